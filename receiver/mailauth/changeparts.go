package mailauth

import (
	"bytes"
	"iter"
	"mime"
	"strconv"
	"strings"

	"github.com/doppelbox/doppelbox/policy/message"
)

const (
	// maxChangeDepth and maxChangeParts bound the multiparts in one another and
	// the parts that are looked at; mail with more is left alone.
	maxChangeDepth = 5
	maxChangeParts = 50
)

// entity is a message or a part of one, by places in the body of the message.
type entity struct {
	number  string // As IMAP numbers parts; empty for the message.
	typ     string // The media type in lower case.
	fields  []message.Field
	header  int // Where the header starts; for the message it is elsewhere.
	start   int // Where the content starts.
	textEnd int // Where it ends (RFC 2046 5.1.1).
	end     int // Where the delimiter after it starts.
	closing int // Of a multipart, where the closing delimiter starts; zero without.
	parts   []entity
}

// texts yields the leaves that are text.
func (e entity) texts() iter.Seq[entity] {
	return func(yield func(entity) bool) { e.walkTexts(yield) }
}

func (e entity) walkTexts(yield func(entity) bool) bool {
	if len(e.parts) == 0 {
		return !strings.HasPrefix(e.typ, "text/") || yield(e)
	}
	for _, p := range e.parts {
		if !p.walkTexts(yield) {
			return false
		}
	}
	return true
}

// parts finds the parts of a message. A multipart that cannot be read, because
// it is malformed or beyond the limits, has none.
func parts(body []byte, fields []message.Field) entity {
	root := entity{fields: fields, end: len(body), textEnd: len(body)}
	room := maxChangeParts
	root.split(body, maxChangeDepth, &room)
	if room < 0 {
		root.parts, root.closing = nil, 0
	}
	return root
}

// split finds the parts of an entity.
func (e *entity) split(body []byte, depth int, room *int) {
	e.typ = "text/plain" // RFC 2045 5.2.
	var boundary string
	if i := lastField(e.fields, "Content-Type"); i >= 0 {
		typ, params, err := mime.ParseMediaType(e.fields[i].Unfolded())
		if err != nil {
			typ = "application/octet-stream"
		}
		e.typ, boundary = typ, params["boundary"]
	}
	if !strings.HasPrefix(e.typ, "multipart/") || boundary == "" || depth == 0 {
		return
	}
	delimiter := []byte("--" + boundary)
	start := -1 // Of the current part.
	for pos := e.start; pos < e.textEnd && *room >= 0; {
		line, rest := cutLine(body[pos:e.textEnd])
		next := e.textEnd - len(rest)
		after, ok := bytes.CutPrefix(line, delimiter)
		after = bytes.TrimRight(after, " \t")
		closes := bytes.Equal(after, []byte("--"))
		if ok && (closes || len(after) == 0) {
			if start >= 0 {
				*room--
				e.parts = append(e.parts, e.part(body, start, pos, depth, room))
			}
			start = next
			if closes {
				e.closing = pos
				return
			}
		}
		pos = next
	}
	e.parts = nil // It is not closed.
}

// part reads the part that stands between two delimiters.
func (e *entity) part(body []byte, start, end, depth int, room *int) entity {
	textEnd := start + len(trimLineEnd(body[start:end]))
	content := start + headerLength(body[start:textEnd])
	m := message.Parse(body[start:content])
	number := strconv.Itoa(len(e.parts) + 1)
	if e.number != "" {
		number = e.number + "." + number
	}
	p := entity{number: number, fields: m.Fields, header: start, start: content, textEnd: textEnd, end: end}
	p.split(body, depth-1, room)
	return p
}

// headerLength returns how long a part's header is, with the empty line.
func headerLength(b []byte) int {
	for rest := b; len(rest) > 0; {
		var line []byte
		if line, rest = cutLine(rest); len(line) == 0 {
			return len(b) - len(rest)
		}
	}
	return len(b)
}

// encoding returns the transfer encoding, in lower case.
func (e entity) encoding() string {
	if i := lastField(e.fields, "Content-Transfer-Encoding"); i >= 0 {
		return strings.ToLower(e.fields[i].Unfolded())
	}
	return "7bit"
}
