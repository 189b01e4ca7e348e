package mailaccess

import (
	"bytes"
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/doppelbox/doppelbox/policy/message"
)

// Bounds of the MIME tree that a client is shown, as in policy/message.
const (
	imapMaxDepth = 20
	imapMaxParts = 1000
)

// imapEntity is a message or a part of one. All its octets are slices of what the
// Mailbox returned.
type imapEntity struct {
	raw    []byte
	fields []message.Field
	header []byte // With the empty line after it; header and body are raw.
	body   []byte

	kind     imapValue // Of Content-Type, in lower case.
	children []*imapEntity
	message  *imapEntity // What a message/rfc822 holds.
}

// imapTree reads a MIME tree.
type imapTree struct{ parts int }

// parseIMAPEntity reads a message; its parts only if withParts.
func parseIMAPEntity(raw []byte, withParts bool) *imapEntity {
	if !withParts {
		return readIMAPEntity(raw)
	}
	var t imapTree
	return t.entity(raw, "text/plain", 0)
}

func readIMAPEntity(raw []byte) *imapEntity {
	m := message.Parse(raw)
	return &imapEntity{raw: raw, fields: m.Fields, header: raw[:len(raw)-len(m.Body)], body: m.Body}
}

// entity reads a message or part. One without Content-Type is of the type
// fallback. What claims to be a multipart and has no parts that can be found is
// text, so that a client shows it.
func (t *imapTree) entity(raw []byte, fallback string, depth int) *imapEntity {
	e := readIMAPEntity(raw)
	e.kind = imapValue{word: fallback}
	if f, ok := e.get("Content-Type"); ok {
		if v := parseIMAPValue(f.Unfolded()); strings.Count(v.word, "/") == 1 {
			e.kind = v
		}
	}
	typ := e.kind.word
	switch {
	case depth >= imapMaxDepth && (isMultipart(typ) || isMessage(typ)):
		e.kind = imapValue{word: "application/octet-stream"}
	case isMessage(typ):
		e.message = t.entity(e.body, "text/plain", depth+1)
	case isMultipart(typ):
		fallback = "text/plain"
		if typ == "multipart/digest" {
			fallback = "message/rfc822" // RFC 2046 5.1.5
		}
		for _, part := range splitIMAPParts(e.body, e.kind.get("boundary")) {
			if t.parts++; t.parts > imapMaxParts {
				break
			}
			e.children = append(e.children, t.entity(part, fallback, depth+1))
		}
		if len(e.children) == 0 {
			e.kind = imapValue{word: "text/plain"}
		}
	}
	return e
}

func isMultipart(typ string) bool { return strings.HasPrefix(typ, "multipart/") }
func isMessage(typ string) bool   { return typ == "message/rfc822" || typ == "message/global" }

// splitIMAPParts returns the parts of a multipart (RFC 2046 5.1.1), without the
// line end that belongs to the delimiter after them, and no more than a message
// may have.
func splitIMAPParts(body []byte, boundary string) [][]byte {
	if boundary == "" {
		return nil
	}
	delimiter := []byte("--" + boundary)
	var parts [][]byte
	start := -1 // Of the current part; -1 is before the first.
	for pos := 0; pos < len(body) && len(parts) <= imapMaxParts; {
		next := len(body)
		if i := bytes.IndexByte(body[pos:], '\n'); i >= 0 {
			next = pos + i + 1
		}
		after, ok := bytes.CutPrefix(body[pos:next], delimiter)
		after, last := bytes.CutPrefix(after, []byte("--"))
		if !ok || len(bytes.Trim(after, " \t\r\n")) > 0 {
			pos = next
			continue
		}
		if start >= 0 {
			end := bytes.TrimSuffix(bytes.TrimSuffix(body[start:max(start, pos)], []byte("\n")), []byte("\r"))
			parts = append(parts, end)
		}
		if last {
			return parts
		}
		pos, start = next, next
	}
	if start >= 0 {
		parts = append(parts, body[start:])
	}
	return parts
}

// get returns the first field of a name.
func (e *imapEntity) get(name string) (message.Field, bool) {
	for _, f := range e.fields {
		if f.Is(name) {
			return f, true
		}
	}
	return message.Field{}, false
}

// text returns the value of the first field of a name, unfolded.
func (e *imapEntity) text(name string) string {
	f, _ := e.get(name)
	return f.Unfolded()
}

// parts returns the parts of a message: one that is no multipart has itself as
// the only one (RFC 3501 6.4.5).
func (e *imapEntity) parts() []*imapEntity {
	if len(e.children) > 0 {
		return e.children
	}
	return []*imapEntity{e}
}

// part returns the part with a number such as 1.2; nil if there is none.
func (e *imapEntity) part(number []int) *imapEntity {
	list := e.parts()
	for _, n := range number {
		if n < 1 || n > len(list) {
			return nil
		}
		e = list[n-1]
		switch {
		case e.message != nil:
			list = e.message.parts()
		default:
			list = e.children
		}
	}
	return e
}

// needsIMAPParts says whether the MIME tree has to be read.
func needsIMAPParts(o *imap.FetchOptions) bool {
	for _, b := range o.BodySection {
		if len(b.Part) > 0 {
			return true
		}
	}
	return o.BodyStructure != nil
}

// section returns the octets of a section (RFC 3501 6.4.5), none if there is no
// such part. at is where in the message they begin; -1 if that would tell nobody
// how much of it a client has.
func (e *imapEntity) section(b *imap.FetchItemBodySection) (octets []byte, at int) {
	octets, at = e.octets(b)
	if b.Partial == nil {
		return octets, at
	}
	from := min(b.Partial.Offset, int64(len(octets)))
	to := from + min(b.Partial.Size, int64(len(octets))-from)
	if at >= 0 {
		at += int(from)
	}
	return octets[from:to], at
}

func (e *imapEntity) octets(b *imap.FetchItemBodySection) (octets []byte, at int) {
	p := e
	if len(b.Part) > 0 {
		p = e.part(b.Part)
		if p != nil && (b.Specifier == imap.PartSpecifierHeader || b.Specifier == imap.PartSpecifierText) {
			p = p.message // A part has these only if it is a message.
		}
	}
	switch {
	case p == nil:
		return nil, -1
	case len(b.HeaderFields) > 0:
		return p.headerFields(b.HeaderFields, true), -1
	case len(b.HeaderFieldsNot) > 0:
		return p.headerFields(b.HeaderFieldsNot, false), -1
	}
	switch whole := len(b.Part) == 0; {
	case b.Specifier == imap.PartSpecifierNone && whole:
		return p.raw, 0
	case b.Specifier == imap.PartSpecifierHeader && whole:
		return p.header, 0
	case b.Specifier == imap.PartSpecifierText && whole:
		return p.body, len(p.header)
	case b.Specifier == imap.PartSpecifierHeader, b.Specifier == imap.PartSpecifierMIME:
		return p.header, -1
	}
	return p.body, -1
}

// headerFields returns the fields that are, or are not, of certain names, as they
// came, and an empty line.
func (e *imapEntity) headerFields(names []string, wanted bool) []byte {
	var list []byte
	for _, f := range e.fields {
		if imapHasFlag(names, f.Name) == wanted {
			list = append(list, f.Raw...)
		}
	}
	if n := len(list); n > 0 && list[n-1] != '\n' {
		list = append(list, "\r\n"...) // The message ends in the field.
	}
	return append(list, "\r\n"...)
}
