package dnszone

import (
	"fmt"
	"strings"
)

// Error is a mistake in zone text. Line and column count from 1, the column in
// octets.
type Error struct {
	File      string
	Line, Col int
	Msg       string
}

// Error returns "file:line:col: message".
func (e *Error) Error() string { return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Col, e.Msg) }

// token is one word of zone text.
type token struct {
	text      string // Without quotes, with its escapes.
	quoted    bool
	line, col int
}

func (t token) errorf(format string, args ...any) *Error {
	return &Error{Line: t.line, Col: t.col, Msg: fmt.Sprintf(format, args...)}
}

// source returns the token as it may stand in zone text.
func (t token) source() string {
	if t.quoted {
		return `"` + t.text + `"`
	}
	return t.text
}

// entry is one record or directive. It is on one line, or on several between
// parentheses.
type entry struct {
	tokens []token
	// indented says that the line starts with white space: the owner of the
	// record is that of the one before (RFC 1035 5.1).
	indented bool
	err      *Error
}

// scanner cuts zone text into entries.
type scanner struct {
	text      string
	pos       int
	line      int
	lineStart int
}

func (s *scanner) here() token { return token{line: s.line, col: s.pos - s.lineStart + 1} }

// next returns the next entry that is not empty; ok is false at the end.
func (s *scanner) next() (e entry, ok bool) {
	for s.pos < len(s.text) {
		e = s.entry()
		if len(e.tokens) > 0 || e.err != nil {
			return e, true
		}
	}
	return entry{}, false
}

func (s *scanner) entry() (e entry) {
	c := s.text[s.pos]
	e.indented = c == ' ' || c == '\t'
	var open []token // The parentheses that are open; RFC 1035 nests none, so one at most.
	fail := func(at token, msg string) {
		if e.err == nil {
			e.err = at.errorf("%s", msg)
		}
	}
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; c {
		case '\n':
			s.newline()
			if len(open) == 0 {
				return e
			}
		case ' ', '\t', '\r':
			s.pos++
		case ';':
			s.skipComment()
		case '(':
			if len(open) > 0 {
				fail(s.here(), "parentheses do not nest")
			}
			open = append(open[:0], s.here())
			s.pos++
		case ')':
			if len(open) == 0 {
				fail(s.here(), "no parenthesis is open here")
			}
			open = open[:0]
			s.pos++
		case '"':
			at := s.here()
			t, closed := s.quoted()
			if !closed {
				fail(at, "the string is not closed on its line")
			}
			e.tokens = append(e.tokens, t)
		default:
			e.tokens = append(e.tokens, s.word())
		}
	}
	if len(open) > 0 {
		fail(open[0], "the parenthesis is not closed")
	}
	return e
}

func (s *scanner) newline() {
	s.pos++
	s.line++
	s.lineStart = s.pos
}

func (s *scanner) skipComment() {
	i := strings.IndexByte(s.text[s.pos:], '\n')
	if i < 0 {
		i = len(s.text) - s.pos
	}
	s.pos += i
}

// quoted reads a string; closed is false if the line ends before it.
func (s *scanner) quoted() (t token, closed bool) {
	t = s.here()
	t.quoted = true
	s.pos++
	start := s.pos
	for ; s.pos < len(s.text); s.pos++ {
		switch s.text[s.pos] {
		case '\n':
			t.text = s.text[start:s.pos]
			return t, false
		case '"':
			t.text = s.text[start:s.pos]
			s.pos++
			return t, true
		case '\\':
			if s.pos+1 < len(s.text) && s.text[s.pos+1] != '\n' {
				s.pos++
			}
		}
	}
	t.text = s.text[start:]
	return t, false
}

func (s *scanner) word() token {
	t := s.here()
	start := s.pos
	for ; s.pos < len(s.text); s.pos++ {
		c := s.text[s.pos]
		if c == '\\' && s.pos+1 < len(s.text) && s.text[s.pos+1] != '\n' {
			s.pos++
			continue
		}
		if strings.IndexByte(" \t\r\n;()\"", c) >= 0 {
			break
		}
	}
	t.text = s.text[start:s.pos]
	return t
}
