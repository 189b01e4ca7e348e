package mailauth

import (
	"bytes"
	"slices"
	"strings"

	"golang.org/x/net/idna"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
)

// StripOwn returns the message without the Authentication-Results fields that
// claim to be ours, and how many these were (RFC 8601 5). A field claims that
// if its authserv-id is authservID, without regard to case and whether in A- or
// U-labels, or if its authserv-id cannot be read and our name stands in it
// somewhere: better obscured than believed. One that stands behind a bare CR within
// another field takes that field along. Fields of a version that nobody
// knows are removed whoever they claim to be from. All others stay, and so do
// ARC-Authentication-Results. Where nothing is removed, kept is m.Raw itself.
func StripOwn(m *message.Message, authservID string) (kept []byte, removed int) {
	own := newOwnID(authservID)
	end := 0 // Of what is decided.
	for field, start := range fieldsOf(m) {
		if !own.hides(field.Raw) && (!field.Is("Authentication-Results") || !own.claimed(field.Value)) {
			continue
		}
		if removed++; kept == nil {
			kept = make([]byte, 0, len(m.Raw)-len(field.Raw))
		}
		kept = append(kept, m.Raw[end:start]...)
		end = start + len(field.Raw)
	}
	if removed == 0 {
		return m.Raw, 0
	}
	return append(kept, m.Raw[end:]...), removed
}

// fieldsOf yields the fields of a message with where they start, also those that
// package message skips because there are too many before, as other readers may
// have no such limit; and, without a name, the lines that are no field.
func fieldsOf(m *message.Message) func(yield func(message.Field, int) bool) {
	return func(yield func(message.Field, int) bool) {
		base := 0
		for {
			fields, skipped := m.Fields, m.Skipped
			tooMany := slices.ContainsFunc(m.Problems, func(p policy.Problem) bool { return p.Code == message.TooManyFields })
			pos, last := 0, 0 // last is the start of the last run that was skipped.
			for pos < m.HeaderSize {
				if len(fields) == 0 || &fields[0].Raw[0] != &m.Raw[pos] {
					last = pos
					if rest := tooMany && len(skipped) == 1; !rest && !yield(message.Field{Raw: skipped[0]}, base+pos) {
						return
					}
					pos += len(skipped[0])
					skipped = skipped[1:]
					continue
				}
				if !yield(fields[0], base+pos) {
					return
				}
				pos += len(fields[0].Raw)
				fields = fields[1:]
			}
			if !tooMany {
				return
			}
			base += last
			m = message.Parse(m.Raw[last:m.HeaderSize])
		}
	}
}

// ownID is our authserv-id in the forms in which it may stand in a field.
type ownID struct{ ascii, unicode string }

func newOwnID(authservID string) ownID {
	own := ownID{ascii: normalDomain(authservID)}
	own.unicode = own.ascii
	if u, err := idna.New(idna.MapForLookup()).ToUnicode(own.ascii); err == nil {
		own.unicode = u
	}
	return own
}

// hides reports whether a field, or a line that is none, may have one of ours
// behind a bare CR, at which some readers end the line. Which of what follows
// they take for one field differs: better obscured than believed.
func (own ownID) hides(raw []byte) bool {
	if !bytes.Contains(bytes.ReplaceAll(raw, []byte("\r\n"), nil), []byte{'\r'}) {
		return false
	}
	text := squeeze(string(raw))
	i := strings.Index(text, "authentication-results")
	return i >= 0 && own.in(text[i:])
}

// squeeze puts a text in lower case, and leaves out what may tear a name apart.
func squeeze(text string) string {
	return strings.ToLower(strings.Map(func(r rune) rune {
		if r <= ' ' || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, text))
}

func (own ownID) in(text string) bool {
	return strings.Contains(text, own.ascii) || strings.Contains(text, own.unicode)
}

// claimed reports whether a field has to go.
func (own ownID) claimed(value string) bool {
	results, _ := ParseAuthenticationResults(value)
	if results.ServID != "" {
		return results.Version != 1 || normalDomain(results.ServID) == own.ascii
	}
	return own.in(squeeze(value))
}
