package message

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"mime"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-message/charset"

	"github.com/doppelbox/doppelbox/policy"
)

// Header returns what the header says. Its problems are those of Parse and
// those of the fields' content; the parts' are not among them.
func (m *Message) Header() policy.Header {
	h := policy.Header{
		HeaderSize: m.HeaderSize,
		Size:       len(m.Raw),
		Fields:     len(m.Fields),

		Attachments: m.attachments(),
	}
	var p policy.Problems
	p.Join(m.Problems)
	// Each side has its own room: no number of recipients may hide the author.
	authors, recipients := newAddressRoom(), newAddressRoom()
	var seen [len(onceOnly)]bool
	authored := newAuthoredCounts()
	for _, f := range m.Fields {
		h.LongestName = max(h.LongestName, len(f.Name))
		if !f.Is("To") && !f.Is("Cc") && !f.Is("References") {
			h.LongestValue = max(h.LongestValue, len(f.Value))
		}
		authored.add(f)
		checkCharacters(f, &p)
		again := false
		if i := onceIndex(f.Name); i >= 0 {
			again, seen[i] = seen[i], true
		}
		if again && !f.Is("From") {
			p.AddIn(f.Name, atLine(f.line), Duplicate, "%s stands again; it may stand once", f.Name)
		}
		switch {
		case f.Is("From"):
			if h.FromFields++; h.FromFields == 2 {
				p.AddIn(f.Name, atLine(f.line), FromSeveral, "there is a second From field")
			}
			h.From = append(h.From, readField(f, &authors, &p)...)
		case f.Is("To"):
			h.To = append(h.To, readField(f, &recipients, &p)...)
		case f.Is("Cc"):
			h.Cc = append(h.Cc, readField(f, &recipients, &p)...)
		case f.Is("Sender"):
			h.Sender = append(h.Sender, readField(f, &authors, &p)...)
		case f.Is("Received"):
			h.Received++
		case again: // The first counts, as in Get.
		case f.Is("Date"):
			h.Date = f.Unfolded()
		case f.Is("In-Reply-To"), f.Is("References"):
			h.Reply = h.Reply || f.Unfolded() != ""
		case f.Is("Message-ID"):
			h.MessageID = f.Unfolded()
		case f.Is("Subject"):
			var err error
			if h.Subject, err = decodeWords(f.Unfolded()); err != nil {
				p.Add(atLine(f.line), EncodedWord, "Subject: %v", err)
			}
		}
	}
	noteMissing(h, seen[onceIndex("Sender")], seen[onceIndex("Date")], &p)
	h.Authored = authored.there()
	h.Problems = p.List()
	return h
}

// noteMissing tells of the fields that a header has to have.
func noteMissing(h policy.Header, sender, date bool, p *policy.Problems) {
	if h.FromFields == 0 {
		p.Add(policy.Place{}, NoFrom, "there is no From field")
	}
	if !sender && len(h.From) > 1 {
		p.Add(policy.Place{}, NoSender, "From has %d addresses and there is no Sender field", len(h.From))
	}
	if !date {
		p.Add(policy.Place{}, NoDate, "there is no Date field")
	}
}

// readField reads an address field. From is unreadable if anything in it is.
func readField(f Field, room *addressRoom, p *policy.Problems) []policy.Address {
	read := readAddresses
	if f.Is("From") {
		read = readAuthors
	}
	r := read(f.Unfolded(), room)
	if r.full != "" {
		p.AddIn(f.Name, atLine(f.line), TooManyAddresses, "%s: %s", f.Name, r.full)
	}
	switch {
	case f.Is("From") && (r.lost > 0 || r.full != "" || len(r.list) == 0):
		p.AddIn(f.Name, atLine(f.line), FromUnreadable, "%s: %s", f.Name, cmp.Or(r.first, r.full, "no address"))
	case r.first != "":
		p.AddIn(f.Name, atLine(f.line), AddressSyntax, "%s: %s", f.Name, r.first)
	}
	if r.keep {
		r.author.report(f, p)
	}
	return r.list
}

// onceOnly are the fields that may stand at most once (RFC 5322 3.6; for those
// of MIME the grammar of RFC 2045 section 3).
var onceOnly = [...]string{
	"Date", "From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Message-ID", "In-Reply-To", "References", "Subject",
	"MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Content-ID", "Content-Description",
}

func onceIndex(name string) int {
	for i, s := range onceOnly {
		if len(s) == len(name) && strings.EqualFold(s, name) {
			return i
		}
	}
	return -1
}

var errCharsetUnknown = errors.New("unknown charset")

// decodeWords decodes the encoded words of a text (RFC 2047). What cannot be
// decoded stays as it is, with an error.
func decodeWords(s string) (string, error) {
	if !strings.Contains(s, "=?") {
		return s, nil
	}
	d := mime.WordDecoder{CharsetReader: func(name string, r io.Reader) (io.Reader, error) {
		cr, err := charset.Reader(name, r)
		if err != nil {
			return nil, fmt.Errorf("%w %q", errCharsetUnknown, clip(name))
		}
		return cr, nil
	}}
	text, err := d.DecodeHeader(s)
	if err != nil {
		return s, err
	}
	if !strings.ContainsRune(s, utf8.RuneError) && strings.ContainsRune(text, utf8.RuneError) {
		return text, errors.New("an encoded word has octets that its charset does not have")
	}
	return text, nil
}
