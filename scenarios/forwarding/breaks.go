package forwarding

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime/quotedprintable"
	"slices"
	"strings"

	"github.com/doppelbox/doppelbox/policy/message"
)

// Break is a change that some forwarders make, and that breaks DKIM
// signatures.
type Break string

// The breaks (gmail-inbound.md section 2). None of them touches what is inside
// a message/rfc822 part, nor text that is attached as a file.
const (
	// BreakFooter adds some lines at the end of each text part; in HTML before
	// the end of the body.
	BreakFooter Break = "footer"
	// BreakSubject puts "[fwd] " before the subject.
	BreakSubject Break = "subject"
	// BreakReencode changes the transfer encoding of each text part: to
	// quoted-printable, or to base64 if it is that or would look the same.
	BreakReencode Break = "reencode"
)

// The octets that are added. They have no "=", so that they may be added
// to quoted-printable as they are.
const (
	subjectTag = "[fwd] "
	footerRule = "_______________________________________________"
	footerText = "This mail was passed on by "
)

// breakMessage returns the original, changed as o.Break says.
func breakMessage(m *message.Message, o AutoOptions) ([]byte, error) {
	end := lineEndOf(m.Raw)
	by := domainOf(o.Original)
	switch o.Break {
	case "":
		return m.Raw, nil
	case BreakSubject:
		return tagSubject(m)
	case BreakFooter:
		return changeText(m, func(e entity) ([]byte, error) { return addFooter(e, by, end) })
	case BreakReencode:
		return changeText(m, func(e entity) ([]byte, error) { return reencode(e, end) })
	}
	return nil, fmt.Errorf("%w: it is none of footer, subject, reencode", ErrOption)
}

// tagSubject puts a tag before the value of the first Subject field.
func tagSubject(m *message.Message) ([]byte, error) {
	start, size := findField(m, "Subject")
	if size == 0 {
		return nil, ErrUnbroken
	}
	at := start + bytes.IndexByte(m.Raw[start:], ':') + 1
	for at < start+size && (m.Raw[at] == ' ' || m.Raw[at] == '\t') {
		at++
	}
	return bytes.Join([][]byte{m.Raw[:at], m.Raw[at:]}, []byte(subjectTag)), nil
}

// changeText changes each text part that is there to be read.
func changeText(m *message.Message, change func(entity) ([]byte, error)) ([]byte, error) {
	changed := false
	out, err := walk(m.Raw, func(e entity) ([]byte, error) {
		if e.typ != "text/plain" && e.typ != "text/html" || e.file() || len(e.Body) == 0 {
			return e.Raw, nil
		}
		switch e.encoding() {
		case "7bit", "8bit", "binary", "quoted-printable", "base64":
			changed = true
			return change(e)
		}
		return e.Raw, nil // Nobody knows what it says.
	})
	if err == nil && !changed {
		err = ErrUnbroken
	}
	return out, err
}

// addFooter returns a text part with some more lines.
func addFooter(e entity, by, end string) ([]byte, error) {
	footer := footerRule + end + footerText + by
	if e.typ == "text/html" {
		footer = "<hr><p>" + footerText + by + "</p>"
	}
	if e.encoding() != "base64" {
		return e.withBody(insertFooter(e.Body, footer, end, e.typ), "", end), nil
	}
	text, err := decode(e)
	if err != nil {
		return nil, err
	}
	return e.withBody(wrapBase64(insertFooter(text, footer, end, e.typ), end), "", end), nil
}

// insertFooter puts lines at the end, or before the end of HTML's body. A
// text that does not end its last line does not end it afterwards either: the line
// end may be a delimiter's.
func insertFooter(text []byte, footer, end, typ string) []byte {
	if typ == "text/html" {
		if i := lastTag(text, "</body>"); i >= 0 {
			return bytes.Join([][]byte{text[:i], text[i:]}, []byte(footer+end))
		}
	}
	text = bytes.Clone(text)
	if len(lastLineEnd(text)) > 0 {
		return append(text, footer+end...)
	}
	return append(text, end+footer...)
}

// lastTag finds a tag from the end, without regard to case.
func lastTag(text []byte, tag string) int {
	for i := len(text) - len(tag); i >= 0; i-- {
		if text[i] == '<' && strings.EqualFold(string(text[i:i+len(tag)]), tag) {
			return i
		}
	}
	return -1
}

// reencode returns a text part in another transfer encoding.
func reencode(e entity, end string) ([]byte, error) {
	text, err := decode(e)
	if err != nil {
		return nil, err
	}
	if e.encoding() != "quoted-printable" {
		if body := quotePrintable(text, end); !bytes.Equal(body, e.Body) {
			return e.withBody(body, "quoted-printable", end), nil
		}
	}
	return e.withBody(wrapBase64(text, end), "base64", end), nil
}

// withBody returns the part with another body, and another transfer encoding
// unless that is empty.
func (e entity) withBody(body []byte, encoding, end string) []byte {
	fields := e.Raw[:e.HeaderSize]
	if encoding != "" {
		start, size := findField(e.Message, "Content-Transfer-Encoding")
		if size == 0 {
			start = len(fields)
		}
		field := []byte("Content-Transfer-Encoding: " + encoding + end)
		fields = slices.Concat(fields[:start], field, fields[start+size:])
	}
	empty := e.Raw[e.HeaderSize : len(e.Raw)-len(e.Body)]
	if len(empty) == 0 {
		empty = []byte(end)
	}
	return slices.Concat(fields, empty, body)
}

// decode undoes the transfer encoding of a part, and leaves its charset.
func decode(e entity) ([]byte, error) {
	var text []byte
	var err error
	switch e.encoding() {
	case "quoted-printable":
		text, err = io.ReadAll(quotedprintable.NewReader(bytes.NewReader(e.Body)))
	case "base64":
		text, err = io.ReadAll(base64.NewDecoder(base64.StdEncoding, bytes.NewReader(e.Body)))
	default:
		text = e.Body
	}
	if err != nil {
		return nil, fmt.Errorf("decoding a part in %s: %w", e.encoding(), err)
	}
	return text, nil
}
