package forwarding

import (
	"bytes"
	"fmt"
	"net/mail"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
)

const (
	// maxMessageID is the longest Message-ID that is referred to, in octets.
	// A longer one could not be folded.
	maxMessageID = 900
	// maxReferences bounds the identifiers that are taken over: the last ones,
	// as clients cut the list too.
	maxReferences = 100
)

// mailIn is what a client reads of the mail that it forwards.
type mailIn struct {
	from, to, cc people
	subject      string
	date         string    // As written.
	time         time.Time // Zero if the date cannot be read.
	messageID    string    // With brackets; empty if it is none.
	references   []string  // Likewise.
	text, html   string    // The first part of either kind, with LF; empty if there is none.
	isHTML       bool
	files        []node // Everything else.
}

// people is an address field.
type people struct {
	list []policy.Address
	text string // The field as written, where no address can be read.
}

func (p people) empty() bool { return len(p.list) == 0 && p.text == "" }

// readHeader reads what the header of an original says.
func readHeader(m *message.Message) *mailIn {
	h := m.Header()
	o := &mailIn{
		from:       readPeople(m, "From"),
		to:         readPeople(m, "To"),
		cc:         readPeople(m, "Cc"),
		subject:    clean(h.Subject),
		date:       clean(h.Date),
		references: messageIDs(m, "References"),
	}
	if t, err := mail.ParseDate(h.Date); err == nil {
		o.time = t
	}
	if ids := messageIDs(m, "Message-ID"); len(ids) == 1 {
		o.messageID = ids[0]
		o.references = append(o.references, ids[0])
	}
	o.references = o.references[max(0, len(o.references)-maxReferences):]
	return o
}

// readParts reads the parts of an original whose lines end in CRLF.
func (o *mailIn) readParts(original []byte) error {
	hasText := false
	_, err := walk(original, func(e entity) ([]byte, error) {
		switch {
		case e.typ == "text/plain" && !e.file() && !hasText:
			o.text, hasText = e.text(), true
		case e.typ == "text/html" && !e.file() && !o.isHTML:
			o.html, o.isHTML = e.text(), true
		default:
			o.files = append(o.files, e.attached())
		}
		return nil, nil
	})
	if err == nil && o.isHTML && !hasText {
		o.text, err = textOf(o.html)
	}
	return err
}

// readPeople reads the first field of a name.
func readPeople(m *message.Message, name string) people {
	f, _ := m.Get(name)
	list, _ := message.Addresses(f.Value) // Of a malformed field, what a client would show of it.
	if len(list) == 0 {
		return people{text: clean(f.Unfolded())}
	}
	for i := range list {
		list[i].Name, list[i].Addr = clean(list[i].Name), clean(list[i].Addr)
	}
	return people{list: list}
}

// messageIDs returns the identifiers of a field (RFC 5322 3.6.4). What is none
// is left out: it cannot be referred to.
func messageIDs(m *message.Message, name string) []string {
	f, _ := m.Get(name)
	var ids []string
	for word := range strings.FieldsSeq(f.Unfolded()) {
		if isMessageID(word) {
			ids = append(ids, word)
		}
	}
	return ids
}

func isMessageID(s string) bool {
	inner, ok := strings.CutPrefix(s, "<")
	inner, end := strings.CutSuffix(inner, ">")
	return ok && end && inner != "" && len(s) <= maxMessageID && isPrintable(inner) && !strings.ContainsAny(inner, "<> ")
}

// text returns the content of a text part in UTF-8, with LF.
func (e entity) text() string {
	parts, _ := e.Parts()
	if len(parts) == 0 {
		return ""
	}
	return withLF(string(parts[0].Text))
}

// withLF returns text in UTF-8 whose lines end in LF.
func withLF(text string) string {
	return strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.ToValidUTF8(text, "\uFFFD"))
}

// attached returns the part as it is, without fields that are none of MIME:
// a part can be the whole message.
func (e entity) attached() node {
	n := node{fields: []byte{}, body: e.Body}
	for _, f := range e.Fields {
		if len(f.Name) > len("Content-") && strings.EqualFold(f.Name[:len("Content-")], "Content-") {
			n.fields = append(n.fields, bytes.TrimRight(f.Raw, "\r\n")...)
			n.fields = append(n.fields, "\r\n"...)
		}
	}
	return n
}

// withCRLF returns a mail whose lines all end in CRLF, as it would have come by
// SMTP.
func withCRLF(raw []byte) []byte {
	if bytes.Count(raw, []byte("\n")) == bytes.Count(raw, []byte("\r\n")) {
		return raw
	}
	return bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
}

// describe returns people as a client names them: how it writes somebody
// without a name, and what stands between two.
func (p people) describe(nameless, between string) string {
	if len(p.list) == 0 {
		return p.text
	}
	var names []string
	for _, a := range p.list {
		if a.Name == "" {
			names = append(names, strings.ReplaceAll(nameless, "%", a.Addr))
		} else {
			names = append(names, fmt.Sprintf("%s <%s>", a.Name, a.Addr))
		}
	}
	return strings.Join(names, between)
}
