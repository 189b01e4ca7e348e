package scenarios

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Error is something wrong at a place of a scenario.
type Error struct {
	Path string
	Line int // From 1.
	// Col counts characters from 1. It may be one more than the line has:
	// something is missing at its end.
	Col  int
	Src  string // The line, without its end.
	Msg  string // Lower case, one line.
	Hint string // What to do about it, where that is not obvious; may be empty.
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.Path, e.Line, e.Col, e.Msg)
}

// Excerpt returns two lines: the line of the mistake with its number, and a
// caret under its column. What cannot be printed is shown as U+FFFD, so that
// the text is safe for a terminal.
func (e *Error) Excerpt() string {
	var src, under strings.Builder
	col := 1
	for _, r := range e.Src {
		if r != '\t' && !unicode.IsPrint(r) {
			r = utf8.RuneError
		}
		src.WriteRune(r)
		if col < e.Col {
			under.WriteString(blank(r))
		}
		col++
	}
	return fmt.Sprintf("%4d | %s\n%4s | %s^\n", e.Line, src.String(), "", under.String())
}

// blank returns white space as wide as a character is on a terminal.
func blank(r rune) string {
	switch {
	case r == '\t':
		return "\t"
	case unicode.In(r, unicode.Mn, unicode.Me):
		return ""
	case unicode.Is(wide, r):
		return "  "
	}
	return " "
}

// wide are the characters that take two columns: the ranges of class W and F
// of Unicode Standard Annex 11 that are in use, coarsely.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0x1100, 0x115f, 1}, {0x231a, 0x231b, 1}, {0x23e9, 0x23ec, 1}, {0x2614, 0x2615, 1},
		{0x2648, 0x2653, 1}, {0x26a1, 0x26a1, 1}, {0x2705, 0x2705, 1}, {0x2728, 0x2728, 1},
		{0x274c, 0x274c, 1}, {0x2753, 0x2755, 1}, {0x2757, 0x2757, 1}, {0x2795, 0x2797, 1},
		{0x2e80, 0x303e, 1}, {0x3041, 0x33ff, 1}, {0x3400, 0x4dbf, 1}, {0x4e00, 0xa4cf, 1},
		{0xa960, 0xa97c, 1}, {0xac00, 0xd7a3, 1}, {0xf900, 0xfaff, 1}, {0xfe30, 0xfe6b, 1},
		{0xff01, 0xff60, 1}, {0xffe0, 0xffe6, 1},
	},
	R32: []unicode.Range32{
		{0x16fe0, 0x18cff, 1}, {0x1aff0, 0x1b2fb, 1}, {0x1f300, 0x1f64f, 1}, {0x1f680, 0x1f6ff, 1},
		{0x1f900, 0x1f9ff, 1}, {0x1fa70, 0x1faff, 1}, {0x20000, 0x3fffd, 1},
	},
}

// Report returns the error for people: message, excerpt and hint.
func (e *Error) Report() string {
	text := e.Error() + "\n" + e.Excerpt()
	if e.Hint != "" {
		text += "hint: " + e.Hint + "\n"
	}
	return text
}

// Errors are all mistakes of a text, in the order of their places.
type Errors []*Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// Report returns all errors for people.
func (e Errors) Report() string {
	var text strings.Builder
	for _, err := range e {
		text.WriteString(err.Report())
	}
	return text.String()
}

// Err returns the errors as an error, nil if there are none.
func (e Errors) Err() error {
	if len(e) == 0 {
		return nil
	}
	return e
}

func (e Errors) sort() {
	slices.SortStableFunc(e, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
}
