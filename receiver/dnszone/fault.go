package dnszone

import (
	"slices"
	"strings"
	"time"
)

// faultKind is what goes wrong with a question.
type faultKind string

const (
	faultServfail faultKind = "servfail" // The server answers that it cannot.
	faultTimeout  faultKind = "timeout"  // No answer comes.
	faultSlow     faultKind = "slow"     // The answer comes after a time.
)

var faultKinds = []string{string(faultServfail), string(faultTimeout), string(faultSlow)}

type fault struct {
	kind  faultKind
	delay time.Duration // Of slow.
}

// fault returns the fault of a question; one for its type comes before one for
// all.
func (n *node) fault(typ string) (fault, bool) {
	if len(n.faults) == 0 {
		return fault{}, false
	}
	f, ok := n.faults[typ]
	if !ok {
		f, ok = n.faults[""]
	}
	return f, ok
}

// readFault reads what follows FAULT: a kind, the delay if it is slow, and
// perhaps the type it holds for ("" if every type). The error is at one of the
// words, or at word if that is missing.
func readFault(word token, rest []token) (f fault, typ string, err *Error) {
	if len(rest) == 0 {
		return f, "", word.errorf("FAULT needs one of %s", strings.Join(faultKinds, ", "))
	}
	f.kind = faultKind(strings.ToLower(rest[0].text))
	if !slices.Contains(faultKinds, string(f.kind)) {
		return f, "", rest[0].errorf("unknown fault %q%s", rest[0].text, suggest(rest[0].text, faultKinds))
	}
	kind := rest[0]
	rest = rest[1:]
	if f.kind == faultSlow {
		if len(rest) == 0 {
			return f, "", kind.errorf("fault slow needs a duration such as 3s")
		}
		d, derr := time.ParseDuration(rest[0].text)
		if derr != nil || d <= 0 {
			return f, "", rest[0].errorf("fault slow needs a duration such as 3s, not %q", rest[0].text)
		}
		f.delay, rest = d, rest[1:]
	}
	if len(rest) > 0 {
		typ = strings.ToUpper(rest[0].text)
		if !slices.Contains(askedTypes, typ) {
			return f, "", rest[0].errorf("a fault holds for %s or for all, not for %q%s",
				strings.Join(askedTypes, ", "), rest[0].text, suggest(typ, askedTypes))
		}
		rest = rest[1:]
	}
	if len(rest) > 0 {
		return f, "", rest[0].errorf("%q is too much here", rest[0].text)
	}
	return f, typ, nil
}
