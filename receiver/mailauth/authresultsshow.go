package mailauth

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/doppelbox/doppelbox/policy"
)

const (
	// maxValue bounds a foreign value in a field that we write, in octets: a
	// path of RFC 5321 4.5.3.1 is shorter, and three times as much still fits in
	// a line.
	maxValue = 300
	// maxFieldLine bounds a line of what we write, without its end: RFC 5322
	// 2.1.1 has 998, of which the name of ARC-Authentication-Results may take 34.
	maxFieldLine = 960
)

// shower shows foreign text in fields that we write. Octets that could be taken
// for syntax, by a good reader or by a careless one that splits at ";", become
// "%" and two hexadecimal digits, as in a URL; so does a "%" before two such
// digits, so that the text can be told again. Text longer than maxValue is cut
// and ends in "...".
type shower struct {
	utf8 bool // Printable characters beyond ASCII stand as they are.
}

// isInternational says that the client used SMTPUTF8: without it no address
// of the envelope may have a character beyond ASCII (RFC 6531 3.2).
func isInternational(a policy.Arrival) bool {
	return strings.ContainsFunc(a.MailFrom+a.Rcpt, func(r rune) bool { return r >= utf8.RuneSelf })
}

// inComment shows text as one word of a comment, or anywhere else where only
// white space ends a word.
func (show shower) inComment(s string) string {
	return show.escape(clipValue(s), " ();\"\\")
}

// pvalue shows text as a pvalue of RFC 8601 2.2, quoted where it must be.
func (show shower) pvalue(s string) string {
	s = show.escape(clipValue(s), "();")
	local, domain, isAddress := cutLast(s, "@")
	if (isToken(local) || local == "" && isAddress) && (isToken(domain) || !isAddress) {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// path shows an address of the envelope between angle brackets (RFC 5321
// 4.1.2).
func (show shower) path(addr string) string { return "<" + show.mailbox(addr) + ">" }

// mailbox shows an address. A quoted local part keeps its quotes.
func (show shower) mailbox(addr string) string {
	addr = clipValue(addr)
	special := " ()<>;,\"\\"
	if end := quotedEnd(addr); end > 0 && strings.HasPrefix(addr[end:], "@") && !strings.ContainsAny(addr[end:], special) {
		special = "" // A quoted local part, which may have all of these.
	}
	return show.escape(addr, special)
}

// quotedEnd returns where the quoted string ends that s begins with; zero if
// there is none.
func quotedEnd(s string) int {
	if !strings.HasPrefix(s, `"`) {
		return 0
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

// escape escapes control characters, what is not to be shown, and the
// characters of special.
func (show shower) escape(s, special string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for n := 0; s != ""; s = s[n:] {
		var r rune
		r, n = utf8.DecodeRuneInString(s)
		c := s[0]
		plain := c >= ' ' && c < 0x7f
		if c >= utf8.RuneSelf {
			plain = show.utf8 && n > 1 && unicode.IsPrint(r)
		}
		if plain && strings.IndexByte(special, c) < 0 && (c != '%' || !isEscape(s)) {
			b.WriteString(s[:n])
			continue
		}
		for _, c := range []byte(s[:n]) {
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}

// isEscape reports whether s begins like an escape.
func isEscape(s string) bool {
	return len(s) > 2 && isHex(s[1]) && isHex(s[2])
}

func isHex(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// clipValue cuts a value that is too long, between characters.
func clipValue(s string) string {
	if len(s) <= maxValue {
		return s
	}
	const mark = "..."
	n := maxValue - len(mark)
	for n > maxValue-len(mark)-utf8.UTFMax && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + mark
}

// isToken reports whether s is a token of RFC 2045 5.1.
func isToken(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || strings.IndexByte("()<>@,;:\\\"/[]?=", s[i]) >= 0 {
			return false
		}
	}
	return s != ""
}

func addrText(a netip.Addr) string { return a.Unmap().WithZone("").String() }

// fieldWriter lays words of a field out. Lines are broken where the caller
// wants it, and only where a line would be too long besides.
type fieldWriter struct {
	text   strings.Builder
	indent string // What a folded line begins with.
	width  int    // Octets of the current line.
	begun  bool   // The current line has a word of ours.
}

func (w *fieldWriter) newLine() {
	w.text.WriteString("\r\n" + w.indent)
	w.width, w.begun = len(w.indent), false
}

// words adds words, with a space between two. Two octets are left for what may
// be put after the last, such as ");".
func (w *fieldWriter) words(list ...string) {
	for _, word := range list {
		if w.begun && w.width+len(" ")+len(word)+len(");") > maxFieldLine {
			w.newLine()
		}
		if w.begun {
			w.text.WriteByte(' ')
			w.width++
		}
		w.text.WriteString(word)
		w.width += len(word)
		w.begun = true
	}
}
