package message

import (
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/doppelbox/doppelbox/policy"
)

// authoredCounts counts the fields of [policy.Header.Authored].
type authoredCounts []policy.FieldCount

func newAuthoredCounts() authoredCounts {
	names := policy.AuthoredFields()
	list := make(authoredCounts, len(names))
	for i, name := range names {
		list[i].Name = name
	}
	return list
}

func (list authoredCounts) add(f Field) {
	for i := range list {
		if f.Is(list[i].Name) {
			list[i].Count++
			list[i].Decodes = list[i].Decodes || f.Is("Content-Transfer-Encoding") && decodes(f.Value)
			return
		}
	}
}

// decodes reports whether a body is read otherwise with an encoding than without
// one (RFC 2045 6.2).
func decodes(encoding string) bool {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "7bit", "8bit", "binary":
		return false
	}
	return true
}

// there are those that stand at all.
func (list authoredCounts) there() []policy.FieldCount {
	return slices.DeleteFunc(list, func(c policy.FieldCount) bool { return c.Count == 0 })
}

// authorMarks are what is odd in From, though it can be read.
type authorMarks struct {
	group    bool   // There is a group.
	obsolete bool   // A source route, or white space or a comment within an address.
	encoded  string // An address that has an encoded word in it.
	domain   string // A domain that may not be one of From.
}

// read marks one address, whose at sign has the given place.
func (m *authorMarks) read(addr []token, at int, domain string) {
	for _, t := range addr[1:] {
		m.obsolete = m.obsolete || t.space
	}
	whole := join(addr)
	if isEncodedWord(whole) {
		m.encoded = whole
	}
	if raw := join(addr[at+1:]); !isMailDomain(raw, domain) {
		m.domain = raw
	}
}

// report makes problems of the marks.
func (m *authorMarks) report(f Field, p *policy.Problems) {
	if m.group {
		p.AddIn(f.Name, atLine(f.line), FromGroup, "%s has a group", f.Name)
	}
	if m.obsolete {
		p.AddIn(f.Name, atLine(f.line), FromObsolete, "%s has a source route, or white space or a comment within an address", f.Name)
	}
	if m.encoded != "" {
		p.AddIn(f.Name, atLine(f.line), EncodedAddress, "%s has an encoded word within the address %q", f.Name, clip(m.encoded))
	}
	if m.domain != "" {
		p.AddIn(f.Name, atLine(f.line), FromDomain, "%s has the domain %q, which is none", f.Name, clip(m.domain))
	}
}

// isEncodedWord reports whether something in s has the form of an encoded word
// (RFC 2047 section 2), whatever it is quoted with.
func isEncodedWord(s string) bool {
	_, s, ok := strings.Cut(s, "=?")
	if !ok {
		return false
	}
	_, s, ok = strings.Cut(s, "?")
	if !ok {
		return false
	}
	method, s, ok := strings.Cut(s, "?")
	return ok && len(method) == 1 && strings.Contains(s, "?=")
}

// isMailDomain reports whether what stands after the at sign may be the domain
// of a mailbox: an address literal, letters, digits and hyphens (RFC 5321 4.1.2),
// or U-labels as they are registered (RFC 6532 3.2), not what merely maps to some
// domain. A-labels must be those of such U-labels.
func isMailDomain(raw, domain string) bool {
	if strings.HasPrefix(domain, "[") {
		return true // The lexer has judged it.
	}
	idn := !isASCII(raw)
	for label := range strings.SplitSeq(domain, ".") {
		if !isLetterDigitHyphen(label) {
			return false
		}
		idn = idn || strings.HasPrefix(label, "xn--")
	}
	if !idn {
		return true
	}
	if ascii, err := idna.Registration.ToASCII(strings.ToLower(raw)); err != nil || ascii != domain {
		return false
	}
	_, err := idna.Registration.ToUnicode(domain)
	return err == nil
}

func isLetterDigitHyphen(label string) bool {
	const longest = 63
	if label == "" || len(label) > longest || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for i := range len(label) {
		if c := label[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// commentText joins comments, decoded.
func commentText(list []string) string {
	if len(list) == 0 {
		return ""
	}
	text, _ := decodeWords(unquote(strings.Join(list, " ")))
	return text
}

// checkCharacters finds what may not stand in a field whatever its language: a CR
// that ends no line, and
// encoded words and other characters than ASCII in a field that has no text for
// people.
func checkCharacters(f Field, p *policy.Problems) {
	if strings.Count(f.Value, "\r") > strings.Count(f.Value, "\r\n") {
		p.AddIn(f.Name, atLine(f.line), BareCR, "%s has a CR that stands alone", clip(f.Name))
	}
	ascii := f.Is("Date") || f.Is("MIME-Version") || f.Is("Content-Transfer-Encoding")
	if !ascii && !f.Is("Message-ID") {
		return
	}
	value := stripComments(f.Unfolded()) // A comment is for people.
	if isEncodedWord(value) {
		p.AddIn(f.Name, atLine(f.line), EncodedAddress, "%s has an encoded word", f.Name)
	}
	if ascii && utf8.ValidString(value) && !isASCII(value) {
		p.AddIn(f.Name, atLine(f.line), UnicodeField, "%s has characters other than ASCII", f.Name)
	}
}
