package forwarding

import (
	"bytes"
	"encoding/base64"
	"mime/quotedprintable"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// dateFormat is that of date fields (RFC 5322 3.3).
	dateFormat = "Mon, 2 Jan 2006 15:04:05 -0700"
	// maxLine is the longest line, without its end (RFC 5322 2.1.1).
	maxLine = 998
	// foldAt is the width at which fields are folded where they have a space
	// (RFC 5322 2.1.1).
	foldAt = 78
	// maxWord is the longest word of a text that stands in a field without being
	// encoded, in octets: it cannot be folded.
	maxWord = 200
	// wordOctets is what one encoded word holds: 60 digits of base64 beside the
	// 12 around them, where 75 are allowed (RFC 2047 2).
	wordOctets = 45
)

// clean returns text as it may stand on one line: valid UTF-8, with a space for
// each control character and line separator.
func clean(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD")))
}

// isDate reports whether a time can stand in a date field: the year has four
// digits and is not before 1900 (RFC 5322 3.3).
func isDate(t time.Time) bool { return t.Year() >= 1900 && t.Year() <= 9999 }

// encodeText returns clean text as an unstructured field may have it, in encoded
// words if need be (RFC 2047 5).
func encodeText(s string) string {
	plain := isPrintable(s) && !strings.Contains(s, "=?") && !strings.Contains(s, "  ")
	for word := range strings.SplitSeq(s, " ") {
		plain = plain && len(word) <= maxWord
	}
	if plain {
		return s
	}
	var words []string
	for s != "" {
		n := min(wordOctets, len(s))
		for n < len(s) && !utf8.RuneStart(s[n]) {
			n--
		}
		words = append(words, "=?UTF-8?B?"+base64.StdEncoding.EncodeToString([]byte(s[:n]))+"?=")
		s = s[n:]
	}
	return strings.Join(words, " ")
}

// encodePhrase returns clean text as a display name (RFC 5322 3.2.5).
func encodePhrase(s string) string {
	encoded := encodeText(s)
	if encoded != s || !strings.ContainsAny(s, `()<>[]:;@\,."`) {
		return encoded
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// isPrintable reports whether s is ASCII without control characters.
func isPrintable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// foldField writes a field, folded before single spaces.
func foldField(name, value string) string {
	var b strings.Builder
	b.WriteString(name + ":")
	width := len(name) + 1
	for i, word := range strings.Split(value, " ") {
		if i > 0 && word != "" && width+1+len(word) > foldAt {
			b.WriteString("\r\n")
			width = 0
		}
		b.WriteString(" " + word)
		width += 1 + len(word)
	}
	b.WriteString("\r\n")
	return b.String()
}

// node is a MIME entity without the fields of a message.
type node struct {
	typ         string // Value of Content-Type.
	encoding    string // Of Content-Transfer-Encoding; empty is 7bit.
	disposition string // Of Content-Disposition.
	fields      []byte // These stand instead of the three above, if there are any.
	body        []byte
}

// write appends the node as a part of a multipart.
func (n node) write(b *bytes.Buffer) {
	if n.fields != nil {
		b.Write(n.fields)
	} else {
		b.WriteString("Content-Type: " + n.typ + "\r\n")
		for _, f := range [][2]string{{"Content-Transfer-Encoding: ", n.encoding}, {"Content-Disposition: ", n.disposition}} {
			if f[1] != "" {
				b.WriteString(f[0] + f[1] + "\r\n")
			}
		}
	}
	b.WriteString("\r\n")
	b.Write(n.body)
}

// multipart joins nodes. The boundary is made of a hash of all that can be
// in them, so that it is in none.
func multipart(kind, boundary string, nodes ...node) node {
	var b bytes.Buffer
	for _, n := range nodes {
		b.WriteString("--" + boundary + "\r\n")
		n.write(&b)
		b.WriteString("\r\n")
	}
	b.WriteString("--" + boundary + "--\r\n")
	return node{typ: "multipart/" + kind + `; boundary="` + boundary + `"`, encoding: domain(b.Bytes()), body: b.Bytes()}
}

// textNode is a text of UTF-8 with LF as its line ends, in the transfer encoding
// that it needs.
func textNode(subtype, text string) node {
	n := node{typ: "text/" + subtype + `; charset="UTF-8"`}
	n.body = []byte(strings.ReplaceAll(text, "\n", "\r\n"))
	foreign := 0
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			foreign++
		}
	}
	switch {
	case foreign == 0 && domain(n.body) == "":
		n.encoding = "7bit"
	case foreign > len(text)/6: // From there on base64 is shorter.
		n.encoding, n.body = "base64", wrapBase64(n.body, "\r\n")
	default:
		n.encoding, n.body = "quoted-printable", quotePrintable(n.body, "\r\n")
	}
	return n
}

// domain returns the transfer encoding with which a body may stand as it is
// (RFC 2045 2.7 to 2.9): "" for 7bit, 8bit, or binary.
func domain(body []byte) string {
	is8bit := false
	for len(body) > 0 {
		size := lineSize(body)
		line := body[:size]
		body = body[size:]
		if content, ok := bytes.CutSuffix(line, []byte("\r\n")); ok {
			line = content
		}
		if len(line) > maxLine || bytes.ContainsAny(line, "\r\n\x00") {
			return "binary"
		}
		is8bit = is8bit || bytes.ContainsFunc(line, func(r rune) bool { return r >= utf8.RuneSelf })
	}
	if is8bit {
		return "8bit"
	}
	return ""
}

// wrapBase64 encodes in lines of 76 (RFC 2045 6.8).
func wrapBase64(b []byte, end string) []byte {
	const width = 76
	var out bytes.Buffer
	for text := base64.StdEncoding.EncodeToString(b); text != ""; {
		n := min(width, len(text))
		out.WriteString(text[:n] + end)
		text = text[n:]
	}
	return out.Bytes()
}

// quotePrintable encodes in quoted-printable (RFC 2045 6.7). Line ends other
// than end are octets like others.
func quotePrintable(b []byte, end string) []byte {
	var out bytes.Buffer
	w := quotedprintable.NewWriter(&out)
	rest := bytes.ReplaceAll(b, []byte(end), nil)
	w.Binary = bytes.ContainsAny(rest, "\r\n")
	w.Write(b) // A bytes.Buffer takes everything.
	w.Close()
	if end != "\r\n" {
		return bytes.ReplaceAll(out.Bytes(), []byte("\r\n"), []byte(end))
	}
	return out.Bytes()
}
