// Package registry reads sender registrations as people write them, for the
// provider's operator: one a line in a file, or as the words of a scenario's
// step. Every mistake is reported, with its place and the nearest known word.
//
// It does not match registrations with senders; [policy.Registry.Lookup]
// does. It opens no files.
package registry

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/doppelbox/doppelbox/policy"
)

// Limits of a registry's text. They are ours: far above what people write,
// and low enough that a wrong file is noticed at once.
const (
	maxRegistrations = 10_000
	maxLineSize      = 4096 // Octets.
	maxErrors        = 100
)

// Error is a mistake in a registry's text.
type Error struct {
	Path string // The name given to Parse.
	Line int    // From 1.
	Col  int    // From 1, in characters.
	Src  string // The line, without its end; it may hold any octets.
	Msg  string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.Path, e.Line, e.Col, e.Msg)
}

// Parse reads a registry, one registration a line:
//
//	noreply@shop.example actions=ConfirmAction,SaveAction bearer=yes
//	shop.example since=2026-01-01 until=2026-12-31T12:00:00Z # a comment
//
// [ParseWords] says what the words mean. A word that begins with "#" begins a
// comment; blank lines are skipped. The registry is nil if there is any error;
// after many errors the rest is not read, which is an error too. Name stands
// in the errors only.
func Parse(name, text string) (policy.Registry, []*Error) {
	p := parser{name: name}
	for line := range strings.Lines(text) {
		p.line++
		p.src = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if len(p.errs) >= maxErrors || len(p.reg) >= maxRegistrations {
			p.errorAt(0, fmt.Sprintf("reading stops here, after %d registrations and %d mistakes", len(p.reg), len(p.errs)))
			break
		}
		p.parseLine()
	}
	if len(p.errs) > 0 {
		return nil, p.errs
	}
	return p.reg, nil
}

type parser struct {
	name string
	line int
	src  string
	reg  policy.Registry
	errs []*Error
}

// errorAt records a mistake at an octet of the line.
func (p *parser) errorAt(offset int, msg string) {
	p.errs = append(p.errs, &Error{
		Path: p.name, Line: p.line, Col: 1 + utf8.RuneCountInString(p.src[:offset]), Src: p.src, Msg: msg,
	})
}

func (p *parser) parseLine() {
	if len(p.src) > maxLineSize {
		p.src = p.src[:maxLineSize]
		p.errorAt(0, fmt.Sprintf("the line is longer than %d octets", maxLineSize))
		return
	}
	for i, r := range p.src {
		if r == utf8.RuneError || unicode.IsControl(r) && r != '\t' {
			p.errorAt(i, fmt.Sprintf("the line has a control character or is not UTF-8: %+q", r))
			return
		}
	}
	words, at := fields(p.src)
	if len(words) == 0 {
		return
	}
	var args []Arg
	good := true
	for i, word := range words[1:] {
		key, value, ok := strings.Cut(word, "=")
		if !ok {
			p.errorAt(at[i+1], fmt.Sprintf("%q is not of the form key=value", word))
			good = false
			continue
		}
		args = append(args, Arg{Key: key, Value: value})
	}
	if !good {
		return
	}
	reg, errs := ParseWords(words[0], args)
	for _, e := range errs {
		p.errorAt(place(at, args, e), e.Msg)
	}
	p.reg = append(p.reg, reg)
}

// place returns the octet of the line at which a mistake is. The words of the
// line are the sender and then args.
func place(at []int, args []Arg, e *ArgError) int {
	offset := at[e.Index+1]
	if e.Index >= 0 && !e.InKey {
		offset += len(args[e.Index].Key) + len("=")
	}
	return offset + e.Offset
}

// fields splits a line at blanks, up to a comment, and tells where each word
// begins.
func fields(line string) (words []string, at []int) {
	const blanks = " \t"
	for i := 0; i < len(line); {
		if strings.IndexByte(blanks, line[i]) >= 0 {
			i++
			continue
		}
		if line[i] == '#' {
			break
		}
		n := strings.IndexAny(line[i:], blanks)
		if n < 0 {
			n = len(line) - i
		}
		words, at = append(words, line[i:i+n]), append(at, i)
		i += n
	}
	return words, at
}
