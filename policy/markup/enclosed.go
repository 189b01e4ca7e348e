package markup

import (
	"bytes"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/policy/quote"
)

const (
	// maxEnclosure bounds mails attached to attached mails; real ones have two or
	// three levels.
	maxEnclosure = 5
	// maxEnclosed bounds the attached mails that are read of one message, of all
	// levels together.
	maxEnclosed = 100
)

// enclosed is what is enclosed in a message.
type enclosed struct {
	message  *message.Message
	options  Options
	title    *string // The Subject, once it was asked for.
	parts    []message.Part
	pages    []*page // By part; nil if it is none in which actions count.
	mails    [][]policy.Enclosed
	attached []attached
}

// attached is a mail that is attached.
type attached struct {
	number string // Of its part.
	mail   *message.Message
}

// findEnclosed reads the parts of a message, and finds the mails that it encloses
// in them and as attachments.
func findEnclosed(m *message.Message, parts []message.Part, o Options, room *room) *enclosed {
	e := &enclosed{message: m, options: o, parts: parts, pages: make([]*page, len(parts)), mails: make([][]policy.Enclosed, len(parts))}
	actions := false
	for i, part := range parts {
		if part.Type == "text/html" && part.Disposition != "attachment" {
			e.pages[i] = newPage(part.Number, part.Text, o, room)
			actions = actions || e.pages[i].scripts || e.pages[i].microdata
		}
	}
	for i, part := range parts {
		if page := e.pages[i]; page != nil {
			page.extract(e.subject, actions)
			e.mails[i] = page.mails
		} else if isShown(part) {
			e.mails[i] = e.inText(part, actions)
		} else if mail, what := quote.Attached(part); mail != nil {
			e.mails[i] = []policy.Enclosed{what}
			e.attached = append(e.attached, attached{part.Number, mail})
		}
	}
	return e
}

// isShown reports whether clients show a part as text. A transfer encoding that
// is not known does not keep all of them from it. A file is not shown, unless it
// is a form of the message itself.
func isShown(part message.Part) bool {
	if !strings.HasPrefix(part.Stated, "text/") || part.Stated == "text/rfc822-headers" {
		return false
	}
	return part.Disposition != "attachment" || len(part.Within) > 0 && part.Within[len(part.Within)-1] == alternative
}

// inText finds the mails in a part in which no actions count. Text of any type
// but text/plain is read as HTML, which finds what is in text without tags, too.
func (e *enclosed) inText(part message.Part, actions bool) []policy.Enclosed {
	var found []quote.Mail
	switch {
	case part.Stated == "text/plain":
		found = quote.Text(part.Text, e.subject)
	case actions || quote.MayHold(part.Text):
		page := quote.NewPage(e.subject)
		feed(page, part.Text, 0, false)
		found = page.Mails()
	}
	var mails []policy.Enclosed
	for _, mail := range found {
		mail.Enclosed.Place = policy.Place{Part: part.Number, Line: 1 + bytes.Count(part.Text[:mail.At], []byte{'\n'}), Col: 1}
		mails = append(mails, mail.Enclosed)
	}
	return mails
}

// subject returns the Subject of the message, decoded.
func (e *enclosed) subject() string {
	if e.title == nil {
		s := e.message.Header().Subject
		e.title = &s
	}
	return *e.title
}

// around reports whether part i is of an enclosed mail as a whole, because of one
// that was found in another part. In a multipart/mixed, what comes first is
// above. The forms of an alternative show the same, whatever their order: if one
// has an enclosed mail and another has none of its own, nothing tells where in
// this it would be. The order of other multiparts means nothing that is known
// here.
func (e *enclosed) around(i int) bool {
	for j, mails := range e.mails {
		if j == i || !hasInline(mails) {
			continue
		}
		switch commonMultipart(e.parts[i], e.parts[j]) {
		case alternative:
			if !hasInline(e.mails[i]) {
				return true
			}
		case "multipart/mixed":
			if j < i {
				return true
			}
		default:
			return true
		}
	}
	return false
}

func hasInline(mails []policy.Enclosed) bool {
	return len(mails) > 0 && mails[0].How == policy.EnclosedInline
}

const alternative = "multipart/alternative"

// commonMultipart returns the type of the innermost multipart that two parts are
// in. Their numbers have one number for each multipart.
func commonMultipart(a, b message.Part) string {
	depth, last := 0, min(len(a.Number), len(b.Number))
	for i := 0; i < last && a.Number[i] == b.Number[i]; i++ {
		if a.Number[i] == '.' {
			depth++
		}
	}
	if depth >= len(a.Within) {
		return ""
	}
	return a.Within[depth]
}

// list returns all mails in order. One that stands in a text/plain part and in
// its text/html form is one mail, and has the place in the latter.
func (e *enclosed) list() []policy.Enclosed {
	var list []policy.Enclosed
	for i, mails := range e.mails {
		if !hasInline(mails) || !e.repeats(i) {
			list = append(list, mails...)
		}
	}
	return list
}

// repeats reports whether part i is text/plain and the mails in it were found in
// its text/html form, too.
func (e *enclosed) repeats(i int) bool {
	for j, page := range e.pages {
		if e.parts[i].Stated == "text/plain" && page != nil && hasInline(e.mails[j]) && commonMultipart(e.parts[i], e.parts[j]) == alternative {
			return true
		}
	}
	return false
}

// attachedActions returns the actions of the attached mails.
func (e *enclosed) attachedActions(room *room, p *policy.Problems) []policy.Action {
	r := attachedReader{options: e.options, room: room, problems: p, left: maxEnclosed}
	for _, a := range e.attached {
		r.read(a, 1)
	}
	return r.actions
}

// attachedReader reads attached mails, and those attached to them.
type attachedReader struct {
	options  Options
	room     *room
	problems *policy.Problems
	left     int // Mails that may still be read.
	actions  []policy.Action
}

func (r *attachedReader) read(a attached, depth int) {
	if r.left == 0 || depth > maxEnclosure {
		r.problems.Add(policy.Place{Part: a.number}, TooManyEnclosed, "only %d attached mails are read, nested no more than %d deep", maxEnclosed, maxEnclosure)
		return
	}
	r.left--
	parts, _ := a.mail.Parts()
	for _, part := range parts {
		part.Number = a.number + "." + part.Number
		if part.Type == "text/html" && part.Disposition != "attachment" {
			page := newPage(part.Number, part.Text, r.options, r.room)
			page.extract(nil, false)
			page.finish(true)
			for _, action := range page.actions {
				action.Enclosed = policy.EnclosedAttachment
				r.actions = append(r.actions, action)
			}
		}
		if mail, _ := quote.Attached(part); mail != nil {
			r.read(attached{part.Number, mail}, depth+1)
		}
	}
}
