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
	title    *string // The Subject, once it was asked for.
	parts    []message.Part
	mails    [][]policy.Enclosed // By part; those of text/html are added when they are read.
	attached []attached
}

// attached is a mail that is attached.
type attached struct {
	number string // Of its part.
	mail   *message.Message
}

// findEnclosed finds the mails that a message encloses in text/plain and as
// attachments.
func findEnclosed(m *message.Message, parts []message.Part) *enclosed {
	e := &enclosed{message: m, parts: parts, mails: make([][]policy.Enclosed, len(parts))}
	for i, part := range parts {
		if part.Type == "text/plain" && part.Disposition != "attachment" {
			for _, mail := range quote.Text(part.Text, e.subject) {
				mail.Enclosed.Place = policy.Place{Part: part.Number, Line: 1 + bytes.Count(part.Text[:mail.At], []byte{'\n'}), Col: 1}
				e.mails[i] = append(e.mails[i], mail.Enclosed)
			}
			continue
		}
		if mail, what := quote.Attached(part); mail != nil {
			e.mails[i] = []policy.Enclosed{what}
			e.attached = append(e.attached, attached{part.Number, mail})
		}
	}
	return e
}

// subject returns the Subject of the message, decoded.
func (e *enclosed) subject() string {
	if e.title == nil {
		s := e.message.Header().Subject
		e.title = &s
	}
	return *e.title
}

// inside reports whether part i stands in an enclosed mail that began in a part
// before it.
func (e *enclosed) inside(i int) bool {
	for j, mails := range e.mails[:i] {
		if hasInline(mails) && !alternatives(e.parts[j], e.parts[i]) {
			return true
		}
	}
	return false
}

// alternative reports whether an enclosed mail was found in another form of
// part i.
func (e *enclosed) alternative(i int) bool {
	for j, mails := range e.mails {
		if j != i && hasInline(mails) && alternatives(e.parts[j], e.parts[i]) {
			return true
		}
	}
	return false
}

func hasInline(mails []policy.Enclosed) bool {
	return len(mails) > 0 && mails[0].How == policy.EnclosedInline
}

// alternatives reports whether part b is, or is in, another form of a.
func alternatives(a, b message.Part) bool {
	n := len(a.Within)
	if n == 0 || a.Within[n-1] != "multipart/alternative" || len(b.Within) < n {
		return false
	}
	parent := a.Number[:strings.LastIndexByte(a.Number, '.')+1]
	return strings.HasPrefix(b.Number, parent)
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
	for j, part := range e.parts {
		if e.parts[i].Type == "text/plain" && part.Type == "text/html" && hasInline(e.mails[j]) && alternatives(e.parts[i], part) {
			return true
		}
	}
	return false
}

// attachedActions returns the actions of the attached mails.
func (e *enclosed) attachedActions(room *room, p *policy.Problems) []policy.Action {
	r := attachedReader{room: room, problems: p, left: maxEnclosed}
	for _, a := range e.attached {
		r.read(a, 1)
	}
	return r.actions
}

// attachedReader reads attached mails, and those attached to them.
type attachedReader struct {
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
			page := newPage(part.Number, part.Text, r.room)
			page.extract()
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
