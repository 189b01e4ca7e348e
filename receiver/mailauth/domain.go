package mailauth

import (
	"strings"

	"github.com/doppelbox/doppelbox/policy/message"
)

// normalDomain makes domains comparable: lower case, A-labels, no final dot.
func normalDomain(s string) string {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return message.DomainOf("@" + s)
		}
	}
	return strings.TrimSuffix(strings.ToLower(s), ".")
}

// isDomain reports whether a normalised domain is a name of two labels or more
// that DNS can be asked for: letters, digits, "-" and "_" (RFC 6376 3.1 and
// 7208 4.3, which ask for what RFC 5321 takes as a domain).
func isDomain(s string) bool {
	if len(s) > 253 {
		return false
	}
	labels := 0
	for label := range strings.SplitSeq(s, ".") {
		if !isLabel(label) {
			return false
		}
		labels++
	}
	return labels > 1
}

func isLabel(s string) bool {
	if s == "" || len(s) > 63 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isAlpha(c) && !isDigit(c) && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// cutLast cuts at the last separator.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
