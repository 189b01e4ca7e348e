package message

import "strings"

// maxCommentDepth bounds the nesting of comments; RFC 5322 3.2.2 has no bound,
// and nobody writes more than two.
const maxCommentDepth = 20

// The kinds of token that are not a special character of RFC 5322 3.2.3.
const (
	tokenEnd     = 0
	tokenAtom    = 'a' // Dots are part of it.
	tokenQuoted  = 'q' // The text keeps its quotes.
	tokenLiteral = 'l' // A domain literal; the text keeps its brackets.
	tokenOpen    = 'o' // A quoted string or a domain literal that does not end.
)

type token struct {
	kind  byte
	text  string
	space bool // White space or a comment stands before it.
}

// lexer cuts an address field into tokens.
type lexer struct {
	text    string
	pos     int
	comment string // Content of the last comment.
	// comments are those of all comments, if keep says so.
	comments []string
	keep     bool
	problem  func(format string, args ...any)
}

func (l *lexer) next() token {
	space := l.skipSpace()
	start := l.pos
	if start == len(l.text) {
		return token{space: space}
	}
	switch c := l.text[start]; c {
	case '"':
		return token{l.until('"', tokenQuoted), l.text[start:l.pos], space}
	case '[':
		kind := l.until(']', tokenLiteral)
		if kind == tokenLiteral && strings.ContainsAny(l.text[start+1:l.pos], "[@\\<>\" \t\r\n") {
			// RFC 5321 4.1.3 has no use for these, and an "@" in it would make
			// another domain of what follows.
			l.problem("%q is no address literal", clip(l.text[start:l.pos]))
			kind = tokenOpen
		}
		return token{kind, l.text[start:l.pos], space}
	case '<', '>', '@', ',', ';', ':', ')', ']', '\\':
		l.pos++
		return token{c, l.text[start:l.pos], space}
	}
	for l.pos < len(l.text) && !isDelimiter(l.text[l.pos]) {
		l.pos++
	}
	return token{tokenAtom, l.text[start:l.pos], space}
}

// until reads to the closing octet, over quoted pairs. It returns kind, or
// tokenOpen if there is no closing octet.
func (l *lexer) until(end, kind byte) byte {
	for l.pos++; l.pos < len(l.text); l.pos++ {
		switch l.text[l.pos] {
		case '\\':
			l.pos++
		case end:
			l.pos++
			return kind
		}
	}
	l.pos = len(l.text)
	l.problem("a closing %c is missing", end)
	return tokenOpen
}

// skipSpace passes over white space and comments.
func (l *lexer) skipSpace() bool {
	start := l.pos
	for l.pos < len(l.text) {
		switch l.text[l.pos] {
		case ' ', '\t', '\r', '\n':
			l.pos++
		case '(':
			l.skipComment()
		default:
			return l.pos > start
		}
	}
	return l.pos > start
}

func (l *lexer) skipComment() {
	start, depth := l.pos+1, 0
	for ; l.pos < len(l.text); l.pos++ {
		switch l.text[l.pos] {
		case '\\':
			l.pos++
		case '(':
			if depth++; depth > maxCommentDepth {
				l.problem("comments are nested more than %d deep", maxCommentDepth)
				l.pos = len(l.text)
				return
			}
		case ')':
			if depth--; depth == 0 {
				l.comment = l.text[start:l.pos]
				if l.keep {
					l.comments = append(l.comments, l.comment)
				}
				l.pos++
				return
			}
		}
	}
	l.pos = len(l.text)
	l.problem("a closing parenthesis is missing")
}

func isDelimiter(c byte) bool {
	switch c {
	case ' ', '\t', '\r', '\n', '(', ')', '<', '>', '@', ',', ';', ':', '"', '[', ']', '\\':
		return true
	}
	return false
}

// unquote returns what a quoted string or a comment says: no quotes, and no
// backslash of a quoted pair.
func unquote(s string) string {
	if len(s) > 0 && s[0] == '"' {
		s = strings.TrimSuffix(s[1:], `"`)
	}
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// stripComments removes the comments of a structured field.
func stripComments(s string) string {
	if strings.IndexByte(s, '(') < 0 {
		return s
	}
	var b strings.Builder
	l := lexer{text: s, problem: func(string, ...any) {}}
	for l.pos < len(s) {
		switch s[l.pos] {
		case '"':
			start := l.pos
			l.until('"', tokenQuoted)
			b.WriteString(s[start:l.pos])
		case '(':
			l.skipComment()
		default:
			b.WriteByte(s[l.pos])
			l.pos++
		}
	}
	return b.String()
}

// splitOutsideQuotes cuts at each separator that is not in a quoted string.
func splitOutsideQuotes(s string, separator byte) []string {
	var list []string
	l := lexer{text: s, problem: func(string, ...any) {}}
	start := 0
	for l.pos < len(s) {
		switch s[l.pos] {
		case '"':
			l.until('"', tokenQuoted)
		case separator:
			list = append(list, s[start:l.pos])
			l.pos++
			start = l.pos
		default:
			l.pos++
		}
	}
	return append(list, s[start:])
}
