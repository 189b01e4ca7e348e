package mailauth

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
)

var (
	errKeyType     = errors.New("neither an RSA nor an Ed25519 key")
	errDomain      = errors.New("not a domain")
	errSelector    = errors.New("not a selector")
	errAUID        = errors.New("not an address in the signing domain")
	errHeaders     = errors.New("not a list of field names with From")
	errTimes       = errors.New("expiration is not after the time of signing")
	errCanonical   = errors.New("unknown canonicalization")
	errNothingFrom = errors.New("the message has no From field")
)

// signedByDefault are the fields that a signature covers if it is not told
// which: those of RFC 6376 5.4.1 that the author sets, and those of one-click
// unsubscription, which only count if they are signed (RFC 8058 4).
var signedByDefault = []string{
	"From", "To", "Cc", "Subject", "Date", "Message-ID", "Reply-To", "In-Reply-To", "References",
	"MIME-Version", "Content-Type", "Content-Transfer-Encoding", "List-Unsubscribe", "List-Unsubscribe-Post",
}

// SignOptions say how a message is signed. Domain, Selector and Key are
// needed.
type SignOptions struct {
	Domain   string        // d=
	Selector string        // s=
	Key      crypto.Signer // RSA or Ed25519; the algorithm follows from it.
	// Headers are the names in h=, in order. Empty is each of the usual fields
	// as often as the message has it, and From once more, so that none can be
	// added.
	Headers    []string
	AUID       string    // i=; empty leaves it out.
	Time       time.Time // t=; zero leaves it out.
	Expiration time.Time // x=; zero leaves it out.
	// HeaderCanonicalization and BodyCanonicalization are c=; empty is relaxed.
	HeaderCanonicalization Canonicalization
	BodyCanonicalization   Canonicalization
}

// Sign returns the message with a DKIM-Signature field before it (RFC 6376 5).
// It reads no clock, so that the same message, options and key give the same
// octets.
func Sign(raw []byte, o SignOptions) ([]byte, error) {
	m := message.Parse(raw)
	if o.HeaderCanonicalization == "" {
		o.HeaderCanonicalization = Relaxed
	}
	if o.BodyCanonicalization == "" {
		o.BodyCanonicalization = Relaxed
	}
	if len(o.Headers) == 0 {
		o.Headers = defaultHeaders(m)
	}
	algorithm, hash, err := o.check(m)
	if err != nil {
		return nil, fmt.Errorf("signing as %q: %w", o.Domain, err)
	}
	end := "\r\n"
	if i := bytes.IndexByte(raw, '\n'); i == 0 || i > 0 && raw[i-1] != '\r' {
		end = "\n"
	}
	bodies := newBodyHashes(m.Body)
	value := o.value(algorithm, bodies.get(o.BodyCanonicalization, -1).sum, end)
	s := signature{
		field:   makeField("DKIM-Signature", value),
		headers: o.HeaderCanonicalization,
		start:   len(value),
		end:     len(value),
	}
	s.result.Headers = o.Headers
	signed, err := o.Key.Sign(rand.Reader, s.headerHash(bodies.hash, m.Fields), hash)
	if err != nil {
		return nil, fmt.Errorf("signing as %q: %w", o.Domain, err)
	}
	var out bytes.Buffer
	out.Grow(len(raw) + len(value) + 2*len(signed))
	out.Write(s.field.Raw)
	out.WriteString(fold(base64.StdEncoding.EncodeToString(signed), folding{width: 72, sep: end + "\t"}))
	out.WriteString(end)
	out.Write(raw)
	return out.Bytes(), nil
}

// makeField makes a field that is not in a message yet.
func makeField(name, value string) message.Field {
	return message.Field{Name: name, Value: value, Raw: []byte(name + ":" + value)}
}

// folding is how a long value is folded: after how many octets of it first and
// then, and what stands between.
type folding struct {
	first, width int
	sep          string
}

// fold breaks a value into lines. It may be broken anywhere.
func fold(s string, f folding) string {
	var b strings.Builder
	for n := f.first; s != ""; n = f.width {
		n = min(n, len(s))
		b.WriteString(s[:n])
		if s = s[n:]; s != "" {
			b.WriteString(f.sep)
		}
	}
	return b.String()
}

// defaultHeaders lists the usual fields that the message has.
func defaultHeaders(m *message.Message) []string {
	var names []string
	for _, name := range signedByDefault {
		for range m.All(name) {
			names = append(names, name)
		}
	}
	return append(names, "From")
}

// isSignable reports whether h= can hold the name of a field.
func isSignable(name string) bool {
	isBad := func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ':' || r == ';' }
	return name != "" && !strings.ContainsFunc(name, isBad)
}

// check finds what is wrong with the options, and what the key makes of them.
func (o SignOptions) check(m *message.Message) (algorithm string, hash crypto.Hash, err error) {
	if o.Key == nil {
		return "", 0, fmt.Errorf("%w: nil", errKeyType)
	}
	switch public := o.Key.Public().(type) {
	case *rsa.PublicKey:
		algorithm, hash = "rsa-sha256", crypto.SHA256
	case ed25519.PublicKey:
		algorithm = "ed25519-sha256"
	default:
		return "", 0, fmt.Errorf("%w: %T", errKeyType, public)
	}
	_, auidDomain, hasAt := cutLast(o.AUID, "@")
	isFrom := func(name string) bool { return strings.EqualFold(name, "From") }
	isBad := func(name string) bool { return !isSignable(name) }
	switch _, hasFrom := m.Get("From"); {
	case !isDomain(normalDomain(o.Domain)):
		err = errDomain
	case !isSelector(o.Selector):
		err = fmt.Errorf("%w: %q", errSelector, o.Selector)
	case o.AUID != "" && (!hasAt || !policy.Within(normalDomain(auidDomain), normalDomain(o.Domain)) || strings.ContainsAny(o.AUID, "=; \t\r\n")):
		err = fmt.Errorf("%w: %q", errAUID, o.AUID)
	case !slices.ContainsFunc(o.Headers, isFrom) || slices.ContainsFunc(o.Headers, isBad):
		err = fmt.Errorf("%w: %q", errHeaders, o.Headers)
	case !o.Expiration.IsZero() && !o.Expiration.After(o.Time):
		err = errTimes
	case !hasFrom:
		err = errNothingFrom
	}
	for _, c := range []Canonicalization{o.HeaderCanonicalization, o.BodyCanonicalization} {
		if c != Simple && c != Relaxed {
			err = fmt.Errorf("%w: %q", errCanonical, c)
		}
	}
	return algorithm, hash, err
}

// value writes the field's value up to "b=".
func (o SignOptions) value(algorithm string, bodyHash []byte, end string) string {
	var b strings.Builder
	fmt.Fprintf(&b, " v=1; a=%s; c=%s/%s;%s\td=%s; s=%s;%s\t",
		algorithm, o.HeaderCanonicalization, o.BodyCanonicalization, end, o.Domain, o.Selector, end)
	if o.AUID != "" {
		b.WriteString("i=" + o.AUID + "; ")
	}
	if !o.Time.IsZero() {
		b.WriteString("t=" + strconv.FormatInt(o.Time.Unix(), 10) + "; ")
	}
	if !o.Expiration.IsZero() {
		b.WriteString("x=" + strconv.FormatInt(o.Expiration.Unix(), 10) + "; ")
	}
	b.WriteString("h=")
	const width = 60
	line := 0
	for i, name := range o.Headers {
		if i > 0 {
			b.WriteByte(':')
		}
		if line += len(name) + 1; line > width {
			b.WriteString(end + "\t ")
			line = len(name)
		}
		b.WriteString(name)
	}
	b.WriteString(";" + end + "\tbh=" + base64.StdEncoding.EncodeToString(bodyHash) + ";" + end + "\tb=")
	return b.String()
}
