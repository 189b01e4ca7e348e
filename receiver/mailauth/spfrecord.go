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

// spfTerm is a term of a record (RFC 7208 4.6.1).
type spfTerm struct {
	text      string // As it stands there.
	qualifier string // "+", "-", "~", "?", or empty.
	name      string // Of the mechanism or modifier, in lower case.
	domain    string // The domain-spec or macro-string; empty if absent.
	prefixes  string // What is left of a and mx: "/24//64".
}

// separator is what stands before the domain.
func (t spfTerm) separator() string {
	if t.name == "redirect" {
		return "="
	}
	return ":"
}

// unqualified is the term without its qualifier.
func (t spfTerm) unqualified() string { return t.text[len(t.qualifier):] }

// isSPF reports whether a TXT record is an SPF record (RFC 7208 4.5).
func isSPF(text string) bool {
	const version = "v=spf1"
	return len(text) >= len(version) && strings.EqualFold(text[:len(version)], version) &&
		(len(text) == len(version) || text[len(version)] == ' ')
}

// parseSPF reads a record by the grammar of RFC 7208 12. The problem is the
// first mistake. One anywhere is a permerror (4.6), also behind the term that
// matches.
func parseSPF(record string) (list []spfTerm, problem string) {
	if len(record) > maxSPFRecord {
		return nil, fmt.Sprintf("it is longer than %d octets", maxSPFRecord)
	}
	redirects, explanations := 0, 0
	_, terms, _ := strings.Cut(record, " ")
	for text := range strings.SplitSeq(terms, " ") {
		if text == "" {
			continue
		}
		t := spfTerm{text: text}
		name, value, isModifier := cutModifier(text)
		problem := ""
		if isModifier {
			t.name, t.domain = strings.ToLower(name), value
		}
		switch {
		case !isModifier:
			problem = t.readDirective()
		case t.name == "redirect":
			redirects++
			problem = lintDomainSpec(value)
		case t.name == "exp":
			explanations++
			problem = lintDomainSpec(value)
		default:
			_, problem = lintMacros(value, false)
			t.name = "" // Nothing is known of it, and it is no mechanism.
		}
		if problem == "" && (redirects > 1 || explanations > 1) {
			problem = "it stands twice"
		}
		if problem != "" {
			return nil, fmt.Sprintf("%q: %s", clip(text), problem)
		}
		list = append(list, t)
	}
	return list, ""
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

// readDirective reads the text of a directive.
func (t *spfTerm) readDirective() (problem string) {
	term := t.text
	if strings.IndexByte("+-~?", term[0]) >= 0 {
		t.qualifier, term = term[:1], term[1:]
	}
	end := strings.IndexAny(term, ":/")
	if end < 0 {
		end = len(term)
	}
	rest := term[end:]
	switch t.name = strings.ToLower(term[:end]); t.name {
	case "all":
		if rest != "" {
			return "all takes no value"
		}
		return ""
	case "include", "exists":
		if !strings.HasPrefix(rest, ":") {
			return t.name + " needs a domain"
		}
	case "a", "mx":
		if rest, problem = t.readPrefixes(rest); problem != "" || rest == "" {
			return problem
		}
		if rest[0] != ':' {
			return "no prefix length: " + strconv.Quote(rest)
		}
	case "ptr":
		if rest == "" {
			return ""
		}
		if rest[0] != ':' {
			return "ptr takes no prefix length"
		}
	case "ip4", "ip6":
		return lintNetwork(t.name, rest)
	default:
		return "no such mechanism"
	}
	t.domain = rest[1:]
	return lintDomainSpec(t.domain)
}

// readPrefixes takes [dual-cidr-length] from the end of what follows a or mx.
func (t *spfTerm) readPrefixes(rest string) (before, problem string) {
	before = rest
	if host, bits, ok := cutLast(before, "//"); ok {
		if !isPrefixLength(bits, 128) {
			return "", "no IPv6 prefix length: " + strconv.Quote(bits)
		}
		before = host
	}
	if host, bits, ok := cutLast(before, "/"); ok && isDigits(bits) {
		if !isPrefixLength(bits, 32) {
			return "", "no IPv4 prefix length: " + strconv.Quote(bits)
		}
		before = host
	}
	t.prefixes = rest[len(before):]
	return before, ""
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
	inMacro, problem := lintMacros(s, false)
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
// in a macro. Spaces and the letters c, r and t are for explanations alone.
func lintMacros(s string, explanation bool) (inMacro bool, problem string) {
	letters := "slodiphv"
	if explanation {
		letters = "slodiphvcrt"
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < '!' || c > '~') && (c != ' ' || !explanation) {
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
			if n < 0 || !isMacro(s[i+1:i+n], letters) {
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
func isMacro(s, letters string) bool {
	if s == "" || !strings.Contains(letters, strings.ToLower(s[:1])) {
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
