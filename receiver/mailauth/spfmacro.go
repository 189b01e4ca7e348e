package mailauth

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/policy"
)

const (
	// maxDomain is the length of a domain name in text (RFC 7208 7.3).
	maxDomain = 253
	// maxExplanation bounds an explanation in octets: a line of a reply has 512
	// (RFC 5321 4.5.3.1.5), code and text of our own included.
	maxExplanation = 400
	// unknown is what stands for a name that is not known (RFC 7208 7.3).
	unknown = "unknown"
)

// spfMacros are what the macros of a check expand to (RFC 7208 7.2).
type spfMacros struct {
	local, origin string // Of the sender.
	helo          string
	peer          netip.Addr
	receiver      string
	now           func() time.Time
	// names finds the peer's validated names; known are those, once it was
	// asked.
	names func(context.Context) []string
	asked bool
	known []string
}

// domain expands a domain-spec of a record of <domain>: without a final dot, and
// cut from the left to the length that a name may have (RFC 7208 7.3).
func (m *spfMacros) domain(ctx context.Context, spec, domain string) string {
	s := strings.TrimSuffix(m.expand(ctx, spec, domain), ".")
	for len(s) > maxDomain {
		_, rest, ok := strings.Cut(s, ".")
		if !ok {
			return ""
		}
		s = rest
	}
	return s
}

// explanation expands an explanation (RFC 7208 6.2). ok is false if it has a
// mistake, or an octet that cannot stand in a reply.
func (m *spfMacros) explanation(ctx context.Context, text, domain string) (string, bool) {
	if _, problem := lintMacros(text, true); problem != "" {
		return "", false
	}
	text = m.expand(ctx, text, domain)
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return "", false
		}
	}
	if len(text) > maxExplanation {
		const mark = "..."
		text = text[:maxExplanation-len(mark)] + mark
	}
	return text, true
}

// expand expands a macro-string that lintMacros has found no mistake in.
func (m *spfMacros) expand(ctx context.Context, s, domain string) string {
	var b strings.Builder
	for b.Len() <= maxSPFRecord {
		literal, rest, ok := strings.Cut(s, "%")
		b.WriteString(literal)
		if !ok || rest == "" {
			break
		}
		switch s = rest[1:]; rest[0] {
		case '%':
			b.WriteByte('%')
		case '_':
			b.WriteByte(' ')
		case '-':
			b.WriteString("%20")
		case '{':
			var macro string
			macro, s, _ = strings.Cut(s, "}")
			b.WriteString(m.macro(ctx, macro, domain))
		}
	}
	return b.String()
}

// macro expands what stands between "%{" and "}".
func (m *spfMacros) macro(ctx context.Context, s, domain string) string {
	letter := s[0]
	text := m.letter(ctx, letter|0x20, domain)
	s = s[1:]
	digits := 0
	for digits < len(s) && isDigit(s[digits]) {
		digits++
	}
	count, err := strconv.Atoi(s[:digits])
	if err != nil {
		count = len(text) + 1 // More than there can be, or not said.
	}
	s = s[digits:]
	reversed := s != "" && s[0]|0x20 == 'r'
	if reversed {
		s = s[1:]
	}
	if s == "" {
		s = "."
	}
	var parts []string
	for start, i := 0, 0; i <= len(text); i++ {
		if i == len(text) || strings.IndexByte(s, text[i]) >= 0 {
			parts = append(parts, text[start:i])
			start = i + 1
		}
	}
	if reversed {
		slices.Reverse(parts)
	}
	text = strings.Join(parts[max(0, len(parts)-count):], ".")
	if letter < 'a' {
		return escapeURL(text)
	}
	return text
}

// letter is what a macro letter stands for, before it is transformed.
func (m *spfMacros) letter(ctx context.Context, letter byte, domain string) string {
	switch letter {
	case 's':
		return m.local + "@" + m.origin
	case 'l':
		return m.local
	case 'o':
		return m.origin
	case 'd':
		return domain
	case 'h':
		return m.helo
	case 'i':
		return dotted(m.peer)
	case 'c':
		return m.peer.String()
	case 'v':
		if m.peer.Is4() {
			return "in-addr"
		}
		return "ip6"
	case 'p':
		return m.name(ctx, domain)
	case 't':
		return strconv.FormatInt(m.now().Unix(), 10)
	case 'r':
		if m.receiver != "" {
			return m.receiver
		}
	}
	return unknown
}

// dotted is an address as its labels in the reverse zone, in the order of the
// address.
func dotted(addr netip.Addr) string {
	if addr.Is4() {
		return addr.String()
	}
	const digits = "0123456789abcdef"
	labels := make([]byte, 0, 64)
	for _, b := range addr.AsSlice() {
		labels = append(labels, digits[b>>4], '.', digits[b&15], '.')
	}
	return string(labels[:len(labels)-1])
}

// name is the peer's validated name: the domain itself before one below it
// before any other (RFC 7208 7.3).
func (m *spfMacros) name(ctx context.Context, domain string) string {
	if !m.asked {
		m.known, m.asked = m.names(ctx), true
	}
	domain = normalDomain(domain)
	best := unknown
	for _, name := range m.known {
		switch n := normalDomain(name); {
		case n == domain:
			return name
		case best == unknown, policy.Within(n, domain) && !policy.Within(normalDomain(best), domain):
			best = name
		}
	}
	return best
}

// escapeURL escapes all but the unreserved characters of RFC 3986 2.3.
func escapeURL(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if isAlpha(c) || isDigit(c) || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}
