package mailauth

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// maxSPFRecord bounds an SPF record in octets; RFC 7208 3.4 advises 450, and
// the largest in use are near 2,000.
const maxSPFRecord = 16 << 10

// lintSPF finds the first mistake in a record by the grammar of RFC 7208 12, or
// returns "". A mistake anywhere is a permerror (4.6), also behind the term that
// matches.
func lintSPF(record string) string {
	if len(record) > maxSPFRecord {
		return fmt.Sprintf("it is longer than %d octets", maxSPFRecord)
	}
	redirects, explanations := 0, 0
	_, terms, _ := strings.Cut(record, " ")
	for term := range strings.SplitSeq(terms, " ") {
		if term == "" {
			continue
		}
		name, value, isModifier := cutModifier(term)
		problem := ""
		switch {
		case !isModifier:
			problem = lintDirective(term)
		case strings.EqualFold(name, "redirect"):
			redirects++
			problem = lintDomainSpec(value)
		case strings.EqualFold(name, "exp"):
			explanations++
			problem = lintDomainSpec(value)
		default:
			_, problem = lintMacros(value)
		}
		if problem == "" && (redirects > 1 || explanations > 1) {
			problem = "it stands twice"
		}
		if problem != "" {
			return fmt.Sprintf("%q: %s", clip(term), problem)
		}
	}
	return ""
}

// cutModifier cuts "name=value"; the name ends before any of ":/".
func cutModifier(term string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(term, "=")
	for i := range len(name) {
		if c := name[i]; !isAlpha(c) && (i == 0 || !isDigit(c) && c != '-' && c != '_' && c != '.') {
			return "", "", false
		}
	}
	return name, value, ok && name != ""
}

func lintDirective(term string) string {
	if strings.IndexByte("+-~?", term[0]) >= 0 {
		term = term[1:]
	}
	end := strings.IndexAny(term, ":/")
	if end < 0 {
		end = len(term)
	}
	rest := term[end:]
	switch name := strings.ToLower(term[:end]); name {
	case "all":
		if rest != "" {
			return "all takes no value"
		}
		return ""
	case "include", "exists":
		if !strings.HasPrefix(rest, ":") {
			return name + " needs a domain"
		}
		return lintDomainSpec(rest[1:])
	case "a", "mx":
		return lintHost(rest)
	case "ptr":
		if rest == "" {
			return ""
		}
		if rest[0] != ':' {
			return "ptr takes no prefix length"
		}
		return lintDomainSpec(rest[1:])
	case "ip4", "ip6":
		return lintNetwork(name, rest)
	}
	return "no such mechanism"
}

// lintHost checks [":" domain-spec] [dual-cidr-length].
func lintHost(rest string) string {
	if host, bits, ok := cutLast(rest, "//"); ok {
		if !isPrefixLength(bits, 128) {
			return "no IPv6 prefix length: " + strconv.Quote(bits)
		}
		rest = host
	}
	if host, bits, ok := cutLast(rest, "/"); ok && isDigits(bits) {
		if !isPrefixLength(bits, 32) {
			return "no IPv4 prefix length: " + strconv.Quote(bits)
		}
		rest = host
	}
	switch {
	case rest == "":
		return ""
	case rest[0] != ':':
		return "no prefix length: " + strconv.Quote(rest)
	}
	return lintDomainSpec(rest[1:])
}

func lintNetwork(name, rest string) string {
	text, ok := strings.CutPrefix(rest, ":")
	if !ok {
		return name + " needs an address"
	}
	host, bits, hasBits := strings.Cut(text, "/")
	addr, err := netip.ParseAddr(host)
	isIP4 := !strings.Contains(host, ":")
	if err != nil || isIP4 != (name == "ip4") || addr.Zone() != "" {
		return "no " + name + " address: " + strconv.Quote(host)
	}
	if hasBits && !isPrefixLength(bits, addr.BitLen()) {
		return "no prefix length: " + strconv.Quote(bits)
	}
	return ""
}

func isDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

func isPrefixLength(s string, most int) bool {
	n, err := strconv.Atoi(s)
	return err == nil && isDigits(s) && n <= most && (s == "0" || s[0] != '0')
}

// lintDomainSpec checks a macro-string that ends in a macro or a top label.
func lintDomainSpec(s string) string {
	inMacro, problem := lintMacros(s)
	switch {
	case problem != "":
		return problem
	case s == "":
		return "the domain is empty"
	case inMacro:
		return ""
	}
	host, top, ok := cutLast(strings.TrimSuffix(s, "."), ".")
	if !ok || host == "" || !isTopLabel(top) {
		return "no domain: " + strconv.Quote(clip(s))
	}
	return ""
}

// isTopLabel reports whether s is a toplabel: letters, digits and "-", not
// only digits, "-" not at an end.
func isTopLabel(s string) bool {
	return isLabel(s) && !isDigits(s) && s[0] != '-' && s[len(s)-1] != '-' && !strings.Contains(s, "_")
}

// lintMacros checks a macro-string (RFC 7208 7.1) and reports whether it ends
// in a macro. The letters c, r and t are for explanations alone.
func lintMacros(s string) (inMacro bool, problem string) {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < '!' || c > '~' {
			return false, fmt.Sprintf("octet %#02x is not allowed", c)
		}
		if inMacro = s[i] == '%'; !inMacro {
			continue
		}
		i++
		if i == len(s) {
			return false, "% at the end"
		}
		switch s[i] {
		case '%', '_', '-':
		case '{':
			n := strings.IndexByte(s[i:], '}')
			if n < 0 || !isMacro(s[i+1:i+n]) {
				return false, "no macro: " + strconv.Quote(clip(s[i-1:]))
			}
			i += n
		default:
			return false, "no macro: " + strconv.Quote(s[i-1:i+1])
		}
	}
	return inMacro, ""
}

// isMacro reports whether s is what may stand between "%{" and "}".
func isMacro(s string) bool {
	if s == "" || !strings.Contains("slodiphv", strings.ToLower(s[:1])) {
		return false
	}
	s = s[1:]
	digits := 0
	for digits < len(s) && isDigit(s[digits]) {
		digits++
	}
	if digits > 0 && strings.Trim(s[:digits], "0") == "" {
		return false
	}
	s = s[digits:]
	if s != "" && s[0]|0x20 == 'r' {
		s = s[1:]
	}
	return strings.Trim(s, ".-+,/_=") == ""
}
