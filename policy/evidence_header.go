package policy

import (
	"slices"
	"strings"
	"time"
)

// FieldCount is how often a header field stands in a message.
type FieldCount struct {
	Name  string `json:"name"` // In lower case.
	Count int    `json:"count"`
	// Decodes says that one of them has the body decoded before it is read: that a
	// Content-Transfer-Encoding is none of 7bit, 8bit and binary.
	Decodes bool `json:"decodes,omitempty"`
}

// authoredFields are the fields of [Header.Authored]: those that the author
// writes (RFC 5322 3.6.2 to 3.6.5, RFC 2045 section 3, RFC 2369, RFC 8058). What
// servers on the way write is not among them: it may be added by anybody.
var authoredFields = [...]string{
	"from", "sender", "reply-to", "to", "cc", "bcc", "subject", "date", "message-id", "in-reply-to", "references",
	"mime-version", "content-type", "content-transfer-encoding", "content-disposition", "list-unsubscribe", "list-unsubscribe-post",
}

// AuthoredFields returns the names of the fields that [Header.Authored] counts,
// in lower case.
func AuthoredFields() []string { return slices.Clone(authoredFields[:]) }

// authored says how often an authored field stands.
func (h Header) authored(name string) int {
	for _, f := range h.Authored {
		if f.Name == name {
			return f.Count
		}
	}
	return 0
}

// decodes says whether a Content-Transfer-Encoding stands that changes what the
// body says.
func (h Header) decodes() bool {
	return slices.ContainsFunc(h.Authored, func(f FieldCount) bool { return f.Decodes })
}

// Replay is a signature that the provider has seen before.
type Replay struct {
	Domain      string `json:"domain"` // d= of the signature.
	Fingerprint string `json:"fingerprint"`
	// Accounts is how many other accounts got mail with it, earlier or in the same
	// transaction.
	Accounts int       `json:"accounts"`
	First    time.Time `json:"first"` // When the first such mail came.
}

// SignalListAddressed is the signal that the author has signed To or Cc with the
// address of the list that passed his mail on.
const SignalListAddressed = "list-addressed"

// Within reports whether a domain is another one or below it. Both must be in
// their normal form (Address.Domain); an empty one is within none.
func Within(domain, other string) bool {
	rest, ok := strings.CutSuffix(domain, other)
	return ok && domain != "" && (rest == "" || strings.HasSuffix(rest, "."))
}

// SameMailbox compares addresses as providers do: without regard to case, and
// to what follows a "+".
func SameMailbox(a, b string) bool { return baseAddress(a) == baseAddress(b) }

func baseAddress(s string) string {
	local, domain, ok := cutAddress(s)
	if !ok {
		return strings.ToLower(s)
	}
	local = strings.ToLower(local)
	if plus := strings.IndexByte(local, '+'); plus > 0 {
		local = local[:plus]
	}
	return local + "@" + asciiDomain(domain)
}
