package smtpserver

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxDomain is the longest domain (RFC 5321 4.5.3.1.2), maxLabel the longest
// label in ASCII (RFC 1035 2.3.4). Local parts are limited by the command line
// only: RFC 5321's 64 is what must be accepted, and forwarders exceed it.
const (
	maxDomain = 255
	maxLabel  = 63
)

// cutPath cuts a path with its brackets from the beginning of s and returns
// what is between them. ok is false if s does not begin with a complete path.
func cutPath(s string) (path, rest string, ok bool) {
	if !strings.HasPrefix(s, "<") {
		return "", "", false
	}
	quoted := false
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case c == '>' && !quoted:
			return s[1:i], s[i+1:], true
		}
	}
	return "", "", false
}

// cutSourceRoute removes a source route such as "@a.example,@b.example:",
// which is to be ignored (RFC 5321 appendix C). ok is false if it is not well
// formed.
func cutSourceRoute(path string, utf8OK bool) (mailbox string, ok bool) {
	if !strings.HasPrefix(path, "@") {
		return path, true
	}
	route, mailbox, ok := strings.Cut(path, ":")
	if !ok {
		return "", false
	}
	for hop := range strings.SplitSeq(route, ",") {
		domain, ok := strings.CutPrefix(hop, "@")
		if !ok || !validDomain(domain, utf8OK) {
			return "", false
		}
	}
	return mailbox, true
}

// reversePath returns the address in the path of a MAIL command; "" is the null
// reverse-path. ok is false if it is not valid by RFC 5321 4.1.2, or RFC 6531
// 3.3 where utf8OK says that SMTPUTF8 was asked for.
func reversePath(path string, utf8OK bool) (addr string, ok bool) {
	if path == "" {
		return "", true
	}
	addr, ok = cutSourceRoute(path, utf8OK)
	return addr, ok && validMailbox(addr, utf8OK)
}

// forwardPath is reversePath for RCPT: the path is not empty, and may be
// "Postmaster" alone (RFC 5321 4.5.1).
func forwardPath(path string, utf8OK bool) (addr string, ok bool) {
	if asciiUpper(path) == "POSTMASTER" {
		return path, true
	}
	addr, ok = cutSourceRoute(path, utf8OK)
	return addr, ok && validMailbox(addr, utf8OK)
}

// validMailbox reports whether s is a Mailbox of RFC 5321 4.1.2.
func validMailbox(s string, utf8OK bool) bool {
	if !validText(s, utf8OK) {
		return false
	}
	var domain string
	var ok bool
	if strings.HasPrefix(s, `"`) {
		domain, ok = cutQuotedLocal(s)
	} else {
		var local string
		local, domain, ok = strings.Cut(s, "@")
		ok = ok && validDotString(local)
	}
	if !ok {
		return false
	}
	if strings.HasPrefix(domain, "[") {
		return validLiteral(domain)
	}
	return validDomain(domain, utf8OK)
}

// validText reports whether s has no octet that no address may have. Control
// characters beyond ASCII are allowed by RFC 6531's grammar, but could be shown
// nowhere.
func validText(s string, utf8OK bool) bool {
	for _, r := range s {
		if unicode.IsControl(r) || r >= utf8.RuneSelf && !utf8OK {
			return false
		}
	}
	return utf8.ValidString(s)
}

// cutQuotedLocal returns the domain after a quoted local part.
func cutQuotedLocal(s string) (domain string, ok bool) {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return strings.CutPrefix(s[i+1:], "@")
		}
	}
	return "", false
}

func validDotString(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" {
			return false
		}
		for i := range len(atom) {
			if c := atom[i]; c < utf8.RuneSelf && !isLetterOrDigit(c) && strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) < 0 {
				return false
			}
		}
	}
	return true
}

// validDomain reports whether s is a Domain of RFC 5321 4.1.2, in A-labels, or
// in U-labels too if utf8OK.
func validDomain(s string, utf8OK bool) bool {
	if len(s) > maxDomain || !validText(s, utf8OK) {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		ascii := true
		for i := range len(label) {
			c := label[i]
			ascii = ascii && c < utf8.RuneSelf
			if c < utf8.RuneSelf && !isLetterOrDigit(c) && c != '-' {
				return false
			}
		}
		if ascii && len(label) > maxLabel {
			return false
		}
	}
	return true
}

// validLiteral reports whether s is an address literal for IPv4 or IPv6 (RFC
// 5321 4.1.3); no other kind was ever registered.
func validLiteral(s string) bool {
	inner, ok := strings.CutSuffix(s[1:], "]")
	if !ok {
		return false
	}
	const tag = "IPV6:"
	if len(inner) > len(tag) && asciiUpper(inner[:len(tag)]) == tag {
		a, err := netip.ParseAddr(inner[len(tag):])
		return err == nil && a.Is6() && a.Zone() == ""
	}
	a, err := netip.ParseAddr(inner)
	return err == nil && a.Is4()
}

func isLetterOrDigit(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// asciiUpper makes ASCII letters upper case and nothing else. strings.ToUpper
// and strings.EqualFold would let "RſET" pass for RSET.
func asciiUpper(s string) string {
	for i := range len(s) {
		if c := s[i]; 'a' <= c && c <= 'z' {
			b := []byte(s)
			for j := i; j < len(b); j++ {
				if 'a' <= b[j] && b[j] <= 'z' {
					b[j] -= 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}
