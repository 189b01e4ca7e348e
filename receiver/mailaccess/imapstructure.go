package mailaccess

import (
	"bytes"
	"net/mail"
	"regexp"
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/doppelbox/doppelbox/policy/message"
)

// imapMaxParams bounds the parameters of a field. Real mail has about three.
const imapMaxParams = 100

// imapValue is the value of Content-Type or Content-Disposition, as far as it can
// be read.
type imapValue struct {
	word string // In lower case.
	// params are as written but for quotes: continuations and encodings of RFC
	// 2231 are the client's to read. Names are in lower case. Of two of one name
	// the first counts.
	params map[string]string
}

func (v imapValue) get(name string) string { return v.params[name] }

// parseIMAPValue reads an unfolded value (RFC 2045 5.1).
func parseIMAPValue(s string) imapValue {
	pieces := splitIMAPValue(s)
	words := strings.Fields(strings.ToLower(pieces[0]))
	if len(words) == 0 {
		return imapValue{}
	}
	v := imapValue{word: words[0]}
	for _, piece := range pieces[1:] {
		name, value, ok := strings.Cut(piece, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if _, has := v.params[name]; !ok || has || name == "" || len(v.params) == imapMaxParams {
			continue
		}
		if v.params == nil {
			v.params = map[string]string{}
		}
		v.params[name] = unquoteIMAP(strings.TrimSpace(value))
	}
	return v
}

// splitIMAPValue splits at the semicolons that are neither in quotes nor in
// comments, and leaves comments out (RFC 5322 3.2.2).
func splitIMAPValue(s string) []string {
	var pieces []string
	var b strings.Builder
	quoted, comment := false, 0
	for i := 0; i < len(s); i++ {
		ch := s[i]
		switch {
		case ch == '\\' && (quoted || comment > 0) && i+1 < len(s):
			if comment == 0 {
				b.WriteString(s[i : i+2])
			}
			i++
			continue
		case ch == '"' && comment == 0:
			quoted = !quoted
		case ch == '(' && !quoted:
			comment++
		case ch == ')' && comment > 0:
			comment--
			continue
		case ch == ';' && !quoted && comment == 0:
			pieces = append(pieces, b.String())
			b.Reset()
			continue
		}
		if comment == 0 {
			b.WriteByte(ch)
		}
	}
	return append(pieces, b.String())
}

// unquoteIMAP undoes a quoted string (RFC 5322 3.2.4), also one that does not end.
func unquoteIMAP(s string) string {
	if !strings.HasPrefix(s, `"`) {
		return s
	}
	var b strings.Builder
	for i := 1; i < len(s) && s[i] != '"'; i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// structure returns the structure of an entity (RFC 3501 7.4.2).
func (e *imapEntity) structure() imap.BodyStructure {
	typ, subtype, _ := strings.Cut(e.kind.word, "/")
	disposition := e.disposition()
	language := e.languages()
	location := e.text("Content-Location")
	if len(e.children) > 0 {
		m := &imap.BodyStructureMultiPart{
			Subtype:  subtype,
			Extended: &imap.BodyStructureMultiPartExt{Params: e.kind.params, Disposition: disposition, Language: language, Location: location},
		}
		for _, child := range e.children {
			m.Children = append(m.Children, child.structure())
		}
		return m
	}
	s := &imap.BodyStructureSinglePart{
		Type:        typ,
		Subtype:     subtype,
		Params:      e.kind.params,
		ID:          e.text("Content-ID"),
		Description: e.text("Content-Description"),
		Encoding:    parseIMAPValue(e.text("Content-Transfer-Encoding")).word,
		Size:        *imapNumber(len(e.body)),
		Extended:    &imap.BodyStructureSinglePartExt{Disposition: disposition, Language: language, Location: location},
	}
	lines := int64(bytes.Count(e.body, []byte{'\n'}))
	switch {
	case e.message != nil:
		s.MessageRFC822 = &imap.BodyStructureMessageRFC822{
			Envelope:      e.message.envelope(),
			BodyStructure: e.message.structure(),
			NumLines:      lines,
		}
	case typ == "text":
		s.Text = &imap.BodyStructureText{NumLines: lines}
	}
	return s
}

func (e *imapEntity) disposition() *imap.BodyStructureDisposition {
	v := parseIMAPValue(e.text("Content-Disposition"))
	if v.word == "" {
		return nil
	}
	return &imap.BodyStructureDisposition{Value: v.word, Params: v.params}
}

// languages returns what Content-Language says (RFC 3282).
func (e *imapEntity) languages() []string {
	return strings.FieldsFunc(e.text("Content-Language"), func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
}

// imapMessageID is one identifier of Message-ID or In-Reply-To.
var imapMessageID = regexp.MustCompile(`<([^<>]*)>`)

// envelope returns the envelope (RFC 3501 7.4.2), of the first field of each
// name. Groups of addresses are left out, but not their members. go-imap writes
// the date in one form, and writes none if it cannot be read.
func (e *imapEntity) envelope() *imap.Envelope {
	env := &imap.Envelope{
		Subject: e.text("Subject"),
		From:    e.addresses("From"),
		Sender:  e.addresses("Sender"),
		ReplyTo: e.addresses("Reply-To"),
		To:      e.addresses("To"),
		Cc:      e.addresses("Cc"),
		Bcc:     e.addresses("Bcc"),
	}
	if t, err := mail.ParseDate(e.text("Date")); err == nil {
		env.Date = t
	}
	if m := imapMessageID.FindStringSubmatch(e.text("Message-ID")); m != nil {
		env.MessageID = m[1]
	}
	for _, m := range imapMessageID.FindAllStringSubmatch(e.text("In-Reply-To"), -1) {
		env.InReplyTo = append(env.InReplyTo, m[1])
	}
	return env
}

func (e *imapEntity) addresses(name string) []imap.Address {
	f, ok := e.get(name)
	if !ok {
		return nil
	}
	list, _ := message.Addresses(f.Value) // Those that could be read.
	var addresses []imap.Address
	for _, a := range list {
		at := strings.LastIndexByte(a.Addr, '@')
		addresses = append(addresses, imap.Address{Name: a.Name, Mailbox: a.Addr[:at], Host: a.Addr[at+1:]})
	}
	return addresses
}
