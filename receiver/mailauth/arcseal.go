package mailauth

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
)

var (
	errSealKey     = errors.New("not an RSA key")
	errSealChain   = errors.New("the chain is not that of the message")
	errSealResults = errors.New("not the content of an authentication results field")
	errSealHeaders = errors.New("not a list of field names that a message signature may cover")
)

// coveredBySeal are the fields that a message signature covers if it is not told
// which. Gmail's covers those of them that a message has, as observed in mail
// that it forwards, and not Content-Type.
var coveredBySeal = []string{
	"From", "To", "Cc", "Subject", "Date", "Message-ID", "Reply-To", "In-Reply-To", "References", "MIME-Version",
	"Content-Transfer-Encoding", "List-Unsubscribe", "List-Unsubscribe-Post", "User-Agent", "DKIM-Signature", "Delivered-To",
}

// notCovered are the fields that a message signature must not cover: others
// add and remove them (RFC 8617 4.1.2, RFC 6376 5.4.1).
var notCovered = []string{
	arcNames[arcResults], arcNames[arcMessageSignature], arcNames[arcSeal], "Authentication-Results", "Received", "Return-Path",
}

// maxLineLength is the longest line of a message in octets, without its CRLF
// (RFC 5322 2.1.1).
const maxLineLength = 998

// SealOptions say how a message is sealed. Domain, Selector, Key, Chain and
// Results are needed.
type SealOptions struct {
	Domain   string        // d=
	Selector string        // s=
	Key      crypto.Signer // RSA.
	Time     time.Time     // t= of the seal; zero leaves it out.
	// Chain is what [Verifier.Authenticate] found in the message, and becomes
	// cv=.
	Chain policy.ARC
	// Results is what ARC-Authentication-Results says after the instance: the
	// name of the host and its results, perhaps folded with CRLF and white
	// space (RFC 8601 2.2).
	Results string
	// Headers are the names in h= of the message signature, in order. Empty is
	// each of the usual fields as often as the message has it, from the bottom.
	Headers []string
}

// Seal returns the fields of the next set of a message's chain, to be put
// before it (RFC 8617 5.1): ARC-Seal, ARC-Message-Signature and
// ARC-Authentication-Results, folded as Gmail folds them, with CRLF. A chain
// that has failed is sealed with cv=fail, over the new set alone (5.1.2).
// Nothing is returned, and no error, for a chain that nobody may extend: its
// newest seal says cv=fail, or it has fifty sets.
//
// A message that begins with white space must have another field before it
// first: its beginning would continue the last of the set.
//
// It reads no clock, so that the same message, options and key give the same
// octets.
func Seal(m *message.Message, o SealOptions) ([]byte, error) {
	if len(o.Headers) == 0 {
		o.Headers = usualHeaders(m)
	}
	c := collectARC(m)
	err := o.check()
	if err == nil {
		err = o.checkChain(c)
	}
	if err != nil {
		return nil, fmt.Errorf("sealing as %q: %w", o.Domain, err)
	}
	// What nobody may extend is no error of him who asks.
	if c.newestFailed() || len(c.sets) == maxARCSets {
		return nil, nil
	}
	c.bodies = newBodyHashes(m.Body)
	if err := c.extend(o); err != nil {
		return nil, fmt.Errorf("sealing as %q: %w", o.Domain, err)
	}
	set := c.sets[len(c.sets)-1]
	return slices.Concat(set.fields[arcSeal].Raw, set.fields[arcMessageSignature].Raw, set.fields[arcResults].Raw), nil
}

// usualHeaders lists the usual fields that the message has, as Gmail does: from
// the bottom, in lower case.
func usualHeaders(m *message.Message) []string {
	var names []string
	for _, f := range slices.Backward(m.Fields) {
		if hasName(coveredBySeal, f.Name) && len(names) < maxSignedFields {
			names = append(names, strings.ToLower(f.Name))
		}
	}
	return names
}

// hasName reports whether a list has a field name. Case does not matter.
func hasName(list []string, name string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(s, name) })
}

// check finds what is wrong with the options.
func (o SealOptions) check() error {
	if o.Key == nil {
		return fmt.Errorf("%w: nil", errSealKey)
	}
	if public, ok := o.Key.Public().(*rsa.PublicKey); !ok {
		return fmt.Errorf("%w: %T", errSealKey, public)
	}
	isBad := func(name string) bool { return !isSignable(name) || hasName(notCovered, name) }
	switch {
	case !isDomain(normalDomain(o.Domain)):
		return errDomain
	case !isSelector(o.Selector):
		return fmt.Errorf("%w: %q", errSelector, o.Selector)
	case len(o.Headers) > maxSignedFields || slices.ContainsFunc(o.Headers, isBad):
		return fmt.Errorf("%w: %q", errSealHeaders, o.Headers)
	case !isFolded(o.Results):
		return fmt.Errorf("%w: %q", errSealResults, clip(o.Results))
	}
	return nil
}

// checkChain finds out whether the chain can be what validation saw.
func (o SealOptions) checkChain(c *arcChain) error {
	ok := false
	switch o.Chain.Result {
	case policy.AuthNone:
		ok = c.found == 0
	case policy.AuthPass:
		ok = c.found > 0 && c.judge() == nil && len(c.sets) == len(o.Chain.Sets)
	case policy.AuthFail:
		ok = c.found > 0
	}
	if !ok {
		return fmt.Errorf("%w: it is said to be %q", errSealChain, o.Chain.Result)
	}
	return nil
}

// isFolded reports whether a text can be the rest of a field without breaking
// out of it, and is not too long for those who validate.
func isFolded(s string) bool {
	const before = len("ARC-Authentication-Results: i=50; ")
	if len(s) > maxSignatureField-before || !utf8.ValidString(s) {
		return false
	}
	isControl := func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
	for i, line := range strings.Split(s, "\r\n") {
		switch {
		case strings.Trim(line, fws) == "" || strings.ContainsFunc(line, isControl):
			return false
		case i > 0 && line[0] != ' ' && line[0] != '\t':
			return false
		case len(line) > maxLineLength-before:
			return false
		}
	}
	return true
}

// extend puts the next set on a chain.
func (c *arcChain) extend(o SealOptions) error {
	instance := len(c.sets) + 1
	from := 1
	if o.Chain.Result == policy.AuthFail {
		from = instance
	}
	tags := fmt.Sprintf(" i=%d; a=rsa-sha256; ", instance)
	names := "d=" + normalDomain(o.Domain) + "; s=" + o.Selector + ";"
	set := arcSet{message: &signature{headers: Relaxed}, seal: &signature{}}
	set.message.result.Headers = o.Headers
	set.fields[arcResults] = makeField(arcNames[arcResults], fmt.Sprintf(" i=%d; %s\r\n", instance, o.Results))

	set.message.begin(arcMessageSignature, tags+"c=relaxed/relaxed; "+names+
		sealFold+"h="+foldNames(o.Headers)+";"+
		sealFold+"bh="+base64.StdEncoding.EncodeToString(c.bodies.get(Relaxed, -1).sum)+";")
	if err := set.message.finish(o.Key, set.message.headerHash(c.bodies.hash, c.fields)); err != nil {
		return err
	}
	set.fields[arcMessageSignature] = set.message.field

	if !o.Time.IsZero() {
		tags += "t=" + strconv.FormatInt(o.Time.Unix(), 10) + "; "
	}
	set.seal.begin(arcSeal, tags+"cv="+string(o.Chain.Result)+";"+sealFold+names)
	set.fields[arcSeal] = set.seal.field
	c.sets = append(c.sets, set)
	if err := set.seal.finish(o.Key, c.hashSeal(from, instance)); err != nil {
		return err
	}
	c.sets[instance-1].fields[arcSeal] = set.seal.field
	return nil
}

// sealFold is Gmail's folding between tags, and with one space more inside a
// value (observed, gmail-inbound.md 3.1).
const sealFold = "\r\n        "

// foldNames writes the names of h= in lines of 77 octets, as Gmail does.
func foldNames(names []string) string {
	const first, next, width = len("        h="), len("         "), 77
	var b strings.Builder
	line := first
	for i, name := range names {
		if i > 0 {
			if line+len(":")+len(name) > width {
				b.WriteString(sealFold + " ")
				line = next
			}
			b.WriteByte(':')
			line++
		}
		b.WriteString(name)
		line += len(name)
	}
	return b.String()
}

// begin makes the field of a signature up to the value of b=.
func (s *signature) begin(kind int, tags string) {
	s.field = makeField(arcNames[kind], tags+sealFold+"b=")
	s.start, s.end = len(s.field.Value), len(s.field.Value)
}

// finish signs a hash and writes it into the field of a signature.
func (s *signature) finish(key crypto.Signer, digest []byte) error {
	b, err := key.Sign(rand.Reader, digest, crypto.SHA256)
	if err != nil {
		return err
	}
	text := fold(base64.StdEncoding.EncodeToString(b), folding{first: 66, width: 68, sep: sealFold + " "})
	s.field = makeField(s.field.Name, s.field.Value+text+"\r\n")
	return nil
}
