package mailauth

import (
	"slices"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
)

const (
	// maxARCSets is the number of sets of a chain (RFC 8617 4.2.1).
	maxARCSets = 50
	// maxARCFields bounds the ARC fields of a message that are read: those of
	// fifty sets.
	maxARCFields = maxARCSets * arcKinds
)

// The fields of a set, in the order in which a seal covers them (RFC 8617
// 5.1.1).
const (
	arcResults = iota
	arcMessageSignature
	arcSeal
	arcKinds
)

// arcNames are the names of the fields of a set.
var arcNames = [arcKinds]string{"ARC-Authentication-Results", "ARC-Message-Signature", "ARC-Seal"}

// arcSet is one set of a chain, as far as it was found.
type arcSet struct {
	has     [arcKinds]bool
	fields  [arcKinds]message.Field
	results string     // The content of ARC-Authentication-Results after the instance.
	message *signature // Set with arcMessageSignature, as seal is with arcSeal.
	seal    *signature
	cv      string // In lower case, as written otherwise.
	// why is what is wrong with the two signatures; nil if nothing is.
	why [arcKinds]*verdict
}

// arcChain is what a message has of ARC fields, and what their signatures are
// to cover.
type arcChain struct {
	found  int      // How many ARC fields were read.
	sets   []arcSet // By instance, from 1 to the highest that was found.
	broken *verdict // Why it is no chain; nil if each set is whole.
	fields []message.Field
	bodies *bodyHashes
}

// newestFailed reports whether the newest seal says that the chain has failed:
// then nothing else counts (RFC 8617 5.2 step 2), and nobody seals any more
// (5.1 step 2).
func (c *arcChain) newestFailed() bool {
	return len(c.sets) > 0 && c.sets[len(c.sets)-1].cv == "fail"
}

func (c *arcChain) breaks(reason policy.Reason, format string, args ...any) {
	if c.broken == nil {
		c.broken = verdictf(policy.AuthFail, reason, format, args...)
	}
}

// collectARC reads the ARC fields of a message (RFC 8617 5.2 step 1, and the
// structure of step 3).
func collectARC(m *message.Message) *arcChain {
	c := &arcChain{fields: m.Fields}
	for _, f := range m.Fields {
		kind := arcKind(f)
		if kind == arcKinds {
			continue
		}
		if c.found++; c.found > maxARCFields {
			c.breaks(ReasonChainLength, "more than %d ARC fields", maxARCFields)
			break
		}
		c.add(kind, f)
	}
	for i := range c.sets {
		for kind, has := range c.sets[i].has {
			if !has {
				c.breaks(ReasonChainStructure, "%s of instance %d is missing", arcNames[kind], i+1)
			}
		}
	}
	return c
}

// hasARC reports whether a message has an ARC field.
func hasARC(m *message.Message) bool {
	return slices.ContainsFunc(m.Fields, func(f message.Field) bool { return arcKind(f) != arcKinds })
}

// arcKind says which field of a set it is; arcKinds is none. It is asked for
// every field of every message.
func arcKind(f message.Field) int {
	for kind, name := range arcNames {
		if f.Is(name) {
			return kind
		}
	}
	return arcKinds
}

// add reads a field and puts it into its set.
func (c *arcChain) add(kind int, f message.Field) {
	var (
		s        *signature
		tags     tagList
		why      *verdict
		instance string
		results  string
	)
	switch {
	case kind != arcResults:
		if s, tags, why = openSignature(f); why == nil {
			instance, _ = tags.get("i")
		}
	case len(f.Value) > maxSignatureField:
		why = syntaxf("the field is longer than %d octets", maxSignatureField)
	default:
		instance, results = cutInstance(f.Unfolded())
	}
	n, ok := readNumber(instance)
	switch {
	case why != nil:
		c.breaks(why.reason, "%s: %s", f.Name, why.text)
		return
	case !ok || n == 0:
		c.breaks(ReasonChainStructure, "%s has no instance: i= is %q", f.Name, clip(instance))
		return
	case n > maxARCSets:
		c.breaks(ReasonChainLength, "%s has instance %s; a chain has %d sets at most", f.Name, clip(instance), maxARCSets)
		return
	}
	for len(c.sets) < int(n) {
		c.sets = append(c.sets, arcSet{})
	}
	set := &c.sets[n-1]
	if set.has[kind] {
		c.breaks(ReasonChainStructure, "%s of instance %d stands twice", f.Name, n)
		return
	}
	set.has[kind], set.fields[kind] = true, f
	switch kind {
	case arcResults:
		set.results = results
	case arcMessageSignature:
		set.message, set.why[kind] = s, s.readMessageSignature(tags)
	case arcSeal:
		cv, _ := tags.get("cv")
		// The words are ABNF literals, whose case does not matter.
		set.cv = strings.ToLower(clip(cv))
		set.seal, set.why[kind] = s, s.readSeal(tags)
	}
}

// cutInstance cuts the instance off the unfolded value of an
// ARC-Authentication-Results field (RFC 8617 3.9, 4.1.1). It is empty if there
// is none.
func cutInstance(s string) (instance, rest string) {
	s, hasTag := strings.CutPrefix(skipCFWS(s), "i")
	s, hasValue := strings.CutPrefix(skipCFWS(s), "=")
	s = skipCFWS(s)
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	rest, ends := strings.CutPrefix(skipCFWS(s[digits:]), ";")
	if !hasTag || !hasValue || !ends {
		return "", ""
	}
	return s[:digits], strings.Trim(rest, fws)
}

// skipCFWS returns what follows white space and comments (RFC 5322 3.2.2);
// nothing follows a comment that does not end.
func skipCFWS(s string) string {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '(':
			depth++
		case depth > 0 && c == ')':
			depth--
		case depth > 0 && c == '\\':
			i++
		case depth == 0 && strings.IndexByte(fws, c) < 0:
			return s[i:]
		}
	}
	return ""
}

// readMessageSignature reads an ARC-Message-Signature: a DKIM-Signature without
// v= and i= (RFC 8617 4.1.2). What it covers is the
// sealer's choice: unlike a DKIM-Signature it is taken without From.
func (s *signature) readMessageSignature(tags tagList) *verdict {
	if why := s.complete(tags, "a", "b", "bh", "d", "h", "s"); why != nil {
		return why
	}
	if why := s.readBodyHash(tags); why != nil {
		return why
	}
	if h, _ := tags.get("h"); h != "" {
		if why := s.readHeaders(h); why != nil {
			return why
		}
	}
	for _, name := range s.result.Headers {
		// 4.1.2 forbids all three ARC fields. The other two are taken, because
		// sealers have covered them since the drafts.
		if strings.EqualFold(name, arcNames[arcSeal]) {
			return verdictf(policy.AuthFail, ReasonSealSigned, "h= names %s", arcNames[arcSeal])
		}
	}
	if why := s.readTimes(tags); why != nil {
		return why
	}
	s.result.AUID = "@" + s.result.Domain // For keys with t=s.
	return s.readMethods(tags)
}

// readSeal reads an ARC-Seal (RFC 8617 4.1.3), whose tags are few: others are
// not known, and do not count.
func (s *signature) readSeal(tags tagList) *verdict {
	if _, ok := tags.get("h"); ok {
		return verdictf(policy.AuthFail, ReasonSealHeaders, "a seal must not have h=")
	}
	if why := s.complete(tags, "a", "b", "cv", "d", "s"); why != nil {
		return why
	}
	if t, ok := tags.get("t"); ok {
		if _, ok := readNumber(t); !ok {
			return syntaxf("t= is no number: %q", clip(t))
		}
	}
	s.result.AUID = "@" + s.result.Domain
	return s.readAlgorithm()
}

// hashSeal hashes what the seal of an instance covers: all fields of the sets
// from one instance on, and its own without the value of b= (RFC 8617 5.1.1).
func (c *arcChain) hashSeal(from, instance int) []byte {
	h := c.bodies.hash
	h.reset(-1)
	for i := from; i <= instance; i++ {
		set := &c.sets[i-1]
		for kind, f := range set.fields {
			if i < instance || kind != arcSeal {
				h.field(f, Relaxed)
				continue
			}
			value := f.Raw[len(f.Raw)-len(f.Value):]
			h.fieldParts(f, value[:set.seal.start], value[set.seal.end:], Relaxed)
		}
	}
	return h.sum()
}
