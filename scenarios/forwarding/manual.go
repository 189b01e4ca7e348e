package forwarding

import (
	"bytes"
	"cmp"
	"fmt"
	"mime"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/quote"
)

// Style is the client that forwards by hand. The words are those of
// policy/quote.
type Style string

// The clients.
const (
	Gmail       Style = quote.Gmail
	AppleMail   Style = quote.AppleMail
	Outlook     Style = quote.Outlook     // The program.
	OutlookLive Style = quote.OutlookLive // Outlook on the web.
	Thunderbird Style = quote.Thunderbird
)

// As is how the original stands in the new mail.
type As string

// The ways. The zero value is Inline.
const (
	Inline     As = "inline"     // In the text, below the client's introduction.
	Attachment As = "attachment" // As a part message/rfc822, octet for octet.
)

// Markup says what becomes of the original's structured data.
type Markup string

// The ways. The zero value is Keep.
const (
	Keep  Markup = "keep"  // It stays inside the quoted HTML.
	Strip Markup = "strip" // Scripts and the attributes of Microdata are taken out, as a provider may do.
)

// ManualOptions say how a mail is forwarded by hand. Style, By, To and Time
// are needed.
type ManualOptions struct {
	Style    Style
	Language string // As in policy/quote; empty is "en".
	As       As
	By       string    // Who forwards: an address, with or without a display name.
	To       string    // Who gets it, likewise.
	Note     string    // Text that he writes above; may be empty.
	Time     time.Time // When; its zone is that of the client.
	// MessageID is the field's value, with its brackets; empty makes one of
	// the client's shape from the original and the options.
	MessageID string
	// Markup matters for Inline only.
	Markup Markup
}

// maxName is the longest name of an attached original, in characters.
const maxName = 60

// Manual returns the mail that somebody sends who forwards another one by hand
// (gmail-inbound.md 4.b), with CRLF.
//
// Inline, the first text and the first HTML of the original are quoted, after its
// lines have got the line ends that SMTP gives them; its other parts are attached
// as they are. No line is longer than 998 octets and none has 8 bits, but for
// those that such a part, or an attached original, has itself; the transfer
// encoding then says so. An original without HTML gets HTML only from the clients
// that always write it: Gmail and Outlook.
//
// Errors are [ErrTooLarge], [ErrNoHeader], [ErrOption], or say what of the
// original is beyond a limit.
func Manual(original []byte, o ManualOptions) ([]byte, error) {
	m, err := read(original)
	if err != nil {
		return nil, fmt.Errorf("forwarding by hand: %w", err)
	}
	c := composer{ManualOptions: o, in: readHeader(m)}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("forwarding by hand: %w", err)
	}
	c.seed = newSeed(string(original), fmt.Sprintf("%+v", c.ManualOptions))
	var body node
	if c.As == Attachment {
		body = c.attachment(original)
	} else if body, err = c.inline(withCRLF(original)); err != nil {
		return nil, fmt.Errorf("forwarding by hand: %w", err)
	}
	var out bytes.Buffer
	c.writeHeader(&out, body)
	out.WriteString("\r\n")
	out.Write(body.body)
	return out.Bytes(), nil
}

// composer writes one forward.
type composer struct {
	ManualOptions
	in      *mailIn
	seed    seed
	by, rcp policy.Address
	wording quote.Wording
}

// check reads the options.
func (c *composer) check() (err error) {
	c.Language = cmp.Or(strings.ToLower(c.Language), "en")
	c.As = cmp.Or(c.As, Inline)
	c.Markup = cmp.Or(c.Markup, Keep)
	if c.by, err = oneAddress("the forwarder", c.By); err != nil {
		return err
	}
	if c.rcp, err = oneAddress("the recipient", c.To); err != nil {
		return err
	}
	known := false
	if c.wording, known = quote.Find(string(c.Style), c.Language); !known {
		var languages []string
		for _, w := range quote.Wordings() {
			if w.Client == string(c.Style) {
				languages = append(languages, w.Language)
			}
		}
		if languages == nil {
			return fmt.Errorf("%w: style %q is none of gmail, apple-mail, outlook, outlook-live, thunderbird", ErrOption, c.Style)
		}
		return fmt.Errorf("%w: language %q; for %s there are %s", ErrOption, c.Language, c.Style, strings.Join(languages, ", "))
	}
	switch {
	case c.As != Inline && c.As != Attachment:
		err = fmt.Errorf("%w: as %q is none of inline, attachment", ErrOption, c.As)
	case c.Markup != Keep && c.Markup != Strip:
		err = fmt.Errorf("%w: markup %q is none of keep, strip", ErrOption, c.Markup)
	case !isDate(c.Time):
		err = fmt.Errorf("%w: time %v", ErrOption, c.Time)
	case len(c.Note) > maxHTML:
		err = fmt.Errorf("%w: a note of more than %d octets", ErrOption, maxHTML)
	case c.MessageID != "" && !isMessageID(c.MessageID):
		err = fmt.Errorf("%w: message id %q", ErrOption, c.MessageID)
	}
	c.Note = withLF(c.Note)
	c.Time = c.Time.Round(0) // What a monotonic clock says must not tell two mails apart.
	return err
}

// inline quotes the original.
func (c *composer) inline(original []byte) (node, error) {
	if err := c.in.readParts(original); err != nil {
		return node{}, err
	}
	body := textNode("plain", c.quotedText())
	if c.in.isHTML || c.Style != AppleMail && c.Style != Thunderbird {
		content := `<div dir="ltr">` + htmlOf(c.in.text) + "</div>"
		if c.in.isHTML {
			var err error
			if content, err = quoteHTML(c.in.html, c.Markup); err != nil {
				return node{}, err
			}
		}
		body = multipart("alternative", c.boundary("alternative"), body, textNode("html", c.quotedHTML(content)))
	}
	if len(c.in.files) > 0 {
		body = multipart("mixed", c.boundary("mixed"), append([]node{body}, c.in.files...)...)
	}
	return body, nil
}

// attachment attaches the original.
func (c *composer) attachment(original []byte) node {
	return multipart("mixed", c.boundary("mixed"), textNode("plain", c.Note+"\n"), node{
		typ:         "message/rfc822",
		encoding:    domain(original),
		disposition: mime.FormatMediaType("attachment", map[string]string{"filename": fileName(c.in.subject) + ".eml"}),
		body:        original,
	})
}

// fileName makes a name of a subject that every system takes.
func fileName(subject string) string {
	name := strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\:*?"<>|`, r) {
			return '_'
		}
		return r
	}, subject)
	for utf8.RuneCountInString(name) > maxName {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	return cmp.Or(strings.Trim(name, ". "), "message")
}
