package registry

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Limits of RFC 5321 4.5.3.1.1 and RFC 1035 2.3.4, in octets.
const (
	maxLocalPart = 64
	maxDomain    = 253
	maxLabel     = 63
)

// ParseAddress reads an address that somebody wrote, strictly: a dot-string or
// quoted string, "@", and a domain (RFC 5321 4.1.2, with RFC 6531), without
// brackets, name or comment. The domain is returned as [ParseDomain] does.
func ParseAddress(text string) (string, error) {
	i := strings.LastIndexByte(text, '@')
	if i < 0 {
		return "", fmt.Errorf("%q is not an address: it has no @", text)
	}
	local := text[:i]
	if len(local) > maxLocalPart || !utf8.ValidString(local) || !isDotString(local) && !isQuotedString(local) {
		return "", fmt.Errorf("%q is not an address: bad local part", text)
	}
	domain, err := ParseDomain(text[i+1:])
	if err != nil {
		return "", fmt.Errorf("%q is not an address: %w", text, err)
	}
	return local + "@" + domain, nil
}

// ParseDomain reads a domain that somebody wrote and returns it as A-label, in
// lower case, without trailing dot. Underscores are let through, since names in
// the DNS have them. An address literal is no domain.
func ParseDomain(text string) (string, error) {
	domain := strings.TrimSuffix(text, ".")
	if _, err := netip.ParseAddr(domain); err == nil {
		return "", fmt.Errorf("%q is an IP address, not a domain", text)
	}
	if strings.IndexFunc(domain, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
		ascii, err := idna.Lookup.ToASCII(domain)
		if err != nil {
			return "", fmt.Errorf("%q is not a domain", text)
		}
		domain = ascii
	}
	if len(domain) > maxDomain {
		return "", fmt.Errorf("%q is not a domain: it is too long", text)
	}
	for label := range strings.SplitSeq(domain, ".") {
		if !isLabel(label) {
			return "", fmt.Errorf("%q is not a domain", text)
		}
	}
	return strings.ToLower(domain), nil
}

func isLabel(label string) bool {
	if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	return strings.IndexFunc(label, func(r rune) bool { return !isAlphanumeric(r) && r != '-' && r != '_' }) < 0
}

func isAlphanumeric(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

// isDotString tells a Dot-string of RFC 5321 4.1.2, as RFC 6531 3.3 extends it.
func isDotString(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" {
			return false
		}
		for _, r := range atom {
			if r < utf8.RuneSelf && !isAlphanumeric(r) && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r) {
				return false
			}
		}
	}
	return true
}

// isQuotedString tells a Quoted-string of RFC 5321 4.1.2, as RFC 6531 3.3
// extends it.
func isQuotedString(s string) bool {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return false
	}
	escaped := false
	for _, r := range s[1 : len(s)-1] {
		switch {
		case r < ' ' || r == 0x7f || r == '"' && !escaped:
			return false
		case r == '\\':
			escaped = !escaped
		default:
			escaped = false
		}
	}
	return !escaped
}
