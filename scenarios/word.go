package scenarios

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Word is one word of a step.
type Word struct {
	Text   string // Without quotes, escapes resolved. It may hold any octets.
	Line   int
	Col    int // Of its first character, which may be a quote; in characters from 1.
	Quoted bool
}

// Arg is one key=value of a step.
type Arg struct {
	Key   string
	Line  int
	Col   int // Of the key.
	Value Word
}

// mistake is an error in a line, at a column.
type mistake struct {
	col  int
	msg  string
	hint string
}

// token is a word of a line that may be a key and its value. Which it is
// depends on the verb.
type token struct {
	whole Word // All of it; of key="value" the text as written.
	isArg bool // It has the form key=value.
	arg   Arg
}

// keyPattern is how a bare word begins that is a key with its value.
var keyPattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*=`)

const (
	blanks = " \t"
	quotes = "\"`"
)

// lexer splits a line into tokens.
type lexer struct {
	src  string
	line int
	pos  int // In octets.
}

// lex returns the tokens of a line, and what is wrong with it, if anything:
// after a mistake the rest of a line is not understood.
func lex(src string, line int) ([]token, *mistake) {
	x := lexer{src: src, line: line}
	if m := x.checkCharacters(); m != nil {
		return nil, m
	}
	var tokens []token
	for {
		x.pos += len(x.rest()) - len(strings.TrimLeft(x.rest(), blanks))
		if x.rest() == "" {
			return tokens, nil
		}
		if len(tokens) == maxWords {
			return nil, x.mistakeAt(x.pos, fmt.Sprintf("more than %d words in a line", maxWords))
		}
		t, m := x.next()
		if m != nil {
			return nil, m
		}
		tokens = append(tokens, t)
	}
}

func (x *lexer) rest() string { return x.src[x.pos:] }

// col returns the column of an octet.
func (x *lexer) col(pos int) int { return 1 + utf8.RuneCountInString(x.src[:pos]) }

func (x *lexer) mistakeAt(pos int, msg string) *mistake { return &mistake{col: x.col(pos), msg: msg} }

func (x *lexer) checkCharacters() *mistake {
	for i, r := range x.src {
		_, size := utf8.DecodeRuneInString(x.src[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return x.mistakeAt(i, "the line is not UTF-8")
		case unicode.IsControl(r) && r != '\t':
			m := x.mistakeAt(i, fmt.Sprintf("control character %+q", r))
			m.hint = "write it as an escape in a quoted word"
			return m
		}
	}
	return nil
}

// next reads the token at pos, which is not a blank.
func (x *lexer) next() (token, *mistake) {
	start := x.pos
	t := token{whole: Word{Line: x.line, Col: x.col(start)}}
	if strings.IndexByte(quotes, x.src[start]) >= 0 {
		t.whole.Quoted = true
		text, m := x.quoted()
		t.whole.Text = text
		return t, m
	}
	if key := keyPattern.FindString(x.rest()); key != "" {
		x.pos += len(key)
		t.isArg = true
		t.arg = Arg{Key: strings.TrimSuffix(key, "="), Line: x.line, Col: t.whole.Col}
		t.arg.Value = Word{Line: x.line, Col: x.col(x.pos)}
		var m *mistake
		if x.rest() != "" && strings.IndexByte(quotes, x.src[x.pos]) >= 0 {
			t.arg.Value.Quoted = true
			t.arg.Value.Text, m = x.quoted()
		} else {
			t.arg.Value.Text, m = x.bare()
		}
		t.whole.Text = x.src[start:x.pos]
		return t, m
	}
	text, m := x.bare()
	t.whole.Text = text
	return t, m
}

// bare reads up to the next blank.
func (x *lexer) bare() (string, *mistake) {
	text := x.rest()
	if n := strings.IndexAny(text, blanks); n >= 0 {
		text = text[:n]
	}
	if n := strings.IndexAny(text, quotes); n >= 0 {
		m := x.mistakeAt(x.pos+n, "a quote inside a bare word")
		m.hint = "quote the whole word, or for key=value the whole value"
		return "", m
	}
	x.pos += len(text)
	return text, nil
}

// quoted reads a quoted word, which a blank or the end of the line must follow.
func (x *lexer) quoted() (string, *mistake) {
	start, quote := x.pos, x.src[x.pos]
	if strings.IndexByte(x.src[start+1:], quote) < 0 {
		return "", x.mistakeAt(start, "the quoted word has no end")
	}
	var text []byte
	x.pos++
	for {
		switch rest := x.rest(); {
		case rest == "":
			return "", x.mistakeAt(start, "the quoted word has no end")
		case rest[0] == quote:
			x.pos++
			if x.rest() != "" && strings.IndexByte(blanks, x.src[x.pos]) < 0 {
				return "", x.mistakeAt(x.pos, "a quoted word has to be followed by a blank")
			}
			return string(text), nil
		case quote == '`':
			text = append(text, rest[0])
			x.pos++
		default:
			r, multibyte, tail, err := strconv.UnquoteChar(rest, quote)
			if err != nil {
				m := x.mistakeAt(x.pos, "bad escape in a quoted word")
				m.hint = "escapes are those of Go, such as \\n, \\t, \\\" and \\\\; between backquotes there are none"
				return "", m
			}
			if r < utf8.RuneSelf || !multibyte {
				text = append(text, byte(r))
			} else {
				text = utf8.AppendRune(text, r)
			}
			x.pos = len(x.src) - len(tail)
		}
	}
}
