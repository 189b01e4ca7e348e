package message

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/doppelbox/doppelbox/policy"
)

const (
	// maxFields is twice what Gmail takes (gmail-inbound.md 1.5), so that a message
	// with too many still shows that it has.
	maxFields = 10_000
	// maxLine is the longest line, without its end (RFC 5322 2.1.1).
	maxLine = 998
)

// Parse reads a message. Lines may end in CRLF or LF. Raw is not copied and
// must not be changed afterwards.
//
// The header ends at the first empty line. A line before it that cannot be a
// field is skipped, with a problem and with the folded lines that follow it,
// and the header goes on. If no line is a field, there is no header and all of raw
// is body.
func Parse(raw []byte) *Message {
	var p policy.Problems
	scanLines(raw, &p)
	m := parse(raw, &p)
	if len(m.Fields) == 0 {
		p.Add(atLine(1), NoHeader, "the message has no header field")
	}
	m.Problems = p.List()
	return m
}

// parse reads a message or a part: both are a header and a body.
func parse(raw []byte, p *policy.Problems) *Message {
	r := headerReader{raw: raw[:headerSize(raw)], problems: p}
	r.read()
	if len(r.fields) == 0 && len(r.raw) > 0 {
		return &Message{Raw: raw, Body: raw}
	}
	return &Message{
		Raw:        raw,
		Fields:     r.fields,
		Skipped:    r.skipped,
		HeaderSize: len(r.raw),
		Body:       raw[len(r.raw)+len(lineEnd(raw[len(r.raw):])):],
	}
}

// headerSize returns the octets before the first empty line.
func headerSize(raw []byte) int {
	for pos := 0; pos < len(raw); {
		if len(lineEnd(raw[pos:])) > 0 {
			return pos
		}
		i := bytes.IndexByte(raw[pos:], '\n')
		if i < 0 {
			break
		}
		pos += i + 1
	}
	return len(raw)
}

// lineEnd returns the line end that b starts with, if any.
func lineEnd(b []byte) []byte {
	switch {
	case len(b) > 0 && b[0] == '\n':
		return b[:1]
	case len(b) > 1 && b[0] == '\r' && b[1] == '\n':
		return b[:2]
	}
	return nil
}

// nextLine cuts the first line off: its content, and its length with its end.
func nextLine(b []byte) (content []byte, size int) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return b, len(b)
	}
	size = i + 1
	if i > 0 && b[i-1] == '\r' {
		i--
	}
	return b[:i], size
}

// scanLines finds what is wrong with lines anywhere in the message. Each code
// is reported once, where it is met first, with a count.
func scanLines(raw []byte, p *policy.Problems) {
	var lf, long, crlf struct{ count, first int }
	line := 0
	for rest := raw; len(rest) > 0; {
		content, size := nextLine(rest)
		rest = rest[size:]
		line++
		switch size - len(content) {
		case 2:
			crlf.count++
		case 1:
			if lf.count++; lf.count == 1 {
				lf.first = line
			}
		}
		if len(content) > maxLine {
			if long.count++; long.count == 1 {
				long.first = line
			}
		}
	}
	if lf.count > 0 {
		p.Add(atLine(lf.first), BareLF, "%d lines end in LF instead of CRLF", lf.count)
	}
	if n := bytes.Count(raw, []byte{'\r'}) - crlf.count; n > 0 {
		p.Add(placeOf(raw, bareCR(raw)), BareCR, "%d CR without LF", n)
	}
	if i := bytes.IndexByte(raw, 0); i >= 0 {
		p.Add(placeOf(raw, i), NUL, "%d NUL octets", bytes.Count(raw, []byte{0}))
	}
	if long.count > 0 {
		p.Add(atLine(long.first), LineTooLong, "%d lines are longer than %d octets", long.count, maxLine)
	}
}

// bareCR returns the place of the first CR that no LF follows.
func bareCR(raw []byte) int {
	for i, c := range raw {
		if c == '\r' && (i+1 == len(raw) || raw[i+1] != '\n') {
			return i
		}
	}
	return -1
}

// placeOf returns the line and column of an octet.
func placeOf(raw []byte, i int) policy.Place {
	before := raw[:i]
	return policy.Place{
		Line: 1 + bytes.Count(before, []byte{'\n'}),
		Col:  i - bytes.LastIndexByte(before, '\n'),
	}
}

// headerReader reads a header block. It is also used for the headers of parts.
type headerReader struct {
	raw      []byte
	text     string // raw, copied once: every Name and Value is a slice of it.
	problems *policy.Problems
	fields   []Field
	skipped  [][]byte

	skippedTo int  // Where the last of skipped ends.
	line      int  // Of the current line, from 1.
	inField   bool // The line before belongs to a field, not to something skipped.
}

func (r *headerReader) read() {
	r.text = string(r.raw)
	r.fields = make([]Field, 0, 24)
	for pos := 0; pos < len(r.raw); {
		content, size := nextLine(r.raw[pos:])
		r.line++
		switch c := content[0]; {
		case c == ' ' || c == '\t':
			r.fold(pos, content, size)
		case len(r.fields) == maxFields:
			r.problems.Add(atLine(r.line), TooManyFields, "only the first %d fields are read", maxFields)
			r.skip(pos, len(r.raw)-pos)
			r.checkUTF8()
			return
		default:
			r.field(pos, content, size)
		}
		pos += size
	}
	r.checkUTF8()
}

// checkUTF8 finds fields with octets that are no UTF-8.
func (r *headerReader) checkUTF8() {
	if utf8.ValidString(r.text) {
		return
	}
	for _, f := range r.fields {
		if !utf8.ValidString(f.Value) {
			r.problems.Add(atLine(f.line), Header8Bit, "%s has octets that are not UTF-8", clip(f.Name))
		}
	}
}

// field reads the first line of a field.
func (r *headerReader) field(pos int, content []byte, size int) {
	colon := bytes.IndexByte(content, ':')
	name := r.text[pos : pos+max(colon, 0)]
	trimmed := strings.TrimRight(name, " \t")
	if !isFieldName(trimmed) {
		r.skip(pos, size)
		r.inField = false
		switch {
		case bytes.HasPrefix(content, []byte("From ")) || bytes.HasPrefix(content, []byte(">From ")):
			r.problems.Add(atLine(r.line), MboxLine, "mbox separator in the header")
		case colon < 0:
			r.problems.Add(atLine(r.line), HeaderLine, "header line without a colon: %q", clip(content))
		default:
			r.problems.Add(atLine(r.line), HeaderLine, "not a field name: %q", clip(name))
		}
		return
	}
	if len(trimmed) < len(name) {
		r.problems.AddIn(clip(trimmed), atLine(r.line), SpaceBefore, "white space between %q and its colon", clip(trimmed))
	}
	r.inField = true
	r.fields = append(r.fields, Field{Name: trimmed, Raw: r.raw[pos : pos+size : pos+size], line: r.line})
	r.value(len(name)+1, pos, pos+size)
}

// fold adds a folded line to the field or to the skipped line that it follows.
func (r *headerReader) fold(pos int, content []byte, size int) {
	switch {
	case r.inField:
		f := &r.fields[len(r.fields)-1]
		start := pos - len(f.Raw)
		f.Raw = r.raw[start : pos+size : pos+size]
		r.value(pos-start-len(f.Value), start, pos+size)
		if len(bytes.TrimLeft(content, " \t")) == 0 {
			r.problems.AddIn(clip(f.Name), atLine(r.line), BlankFold, "%s has a folded line of white space alone", clip(f.Name))
		}
	case r.line == 1:
		r.problems.Add(atLine(1), HeaderLine, "the header starts with a folded line: %q", clip(content))
		fallthrough
	default:
		r.skip(pos, size)
	}
}

// value sets the value of the last field, whose text is from start to end.
func (r *headerReader) value(colon, start, end int) {
	f := &r.fields[len(r.fields)-1]
	f.Value = r.text[start+colon : end]
}

// skip keeps lines that are no field. Neighbours become one run, which bounds
// their number by that of the fields.
func (r *headerReader) skip(pos, size int) {
	if n := len(r.skipped); n > 0 && r.skippedTo == pos {
		start := pos - len(r.skipped[n-1])
		r.skipped[n-1] = r.raw[start : pos+size : pos+size]
	} else {
		r.skipped = append(r.skipped, r.raw[pos:pos+size:pos+size])
	}
	r.skippedTo = pos + size
}

// isFieldName reports whether s is an ftext of RFC 5322 3.6.8.
func isFieldName(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return s != ""
}
