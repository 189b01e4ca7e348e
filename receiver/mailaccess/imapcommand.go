package mailaccess

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	// imapMaxCommand bounds a command with its literals, in octets. RFC 2683
	// 3.2.1.5 wants 8,000 at least; go-imap takes 50 KB.
	imapMaxCommand = 32 << 10
	// imapMaxLoginCommand is the same before the login.
	imapMaxLoginCommand = 8 << 10
	// imapMaxLiteral bounds a literal. It is what a client with LITERAL- may
	// send without being asked (RFC 7888 section 5).
	imapMaxLiteral = 4096
	// imapMaxTag bounds the tag of a command. Clients have about ten octets.
	imapMaxTag = 100
)

var (
	errIMAPLong   = errors.New("mailaccess: the command is too long")
	errIMAPIdle   = errors.New("mailaccess: expected DONE to end IDLE")
	errIMAPFaults = errors.New("mailaccess: too many commands that are none")
)

// imapCommand is a command that was read whole.
type imapCommand struct {
	tag  string
	name string // In upper case.
	// args is what follows the name, with the space before it. Literals stand
	// in it as quoted strings, and every quoted string is complete, so that
	// go-imap cannot take the octets of a literal or of the next command for
	// something else: on an error it loses its place in them.
	args string
	// fault says why this is no command; empty if it is one.
	fault string
}

// imapGreeting is the name of what go-imap says before the first command.
const imapGreeting = "greeting"

// imapLiteral is the announcement of a literal at the end of a line. go-imap
// takes a space after it.
var imapLiteral = regexp.MustCompile(`\{([0-9]+)(\+?)\} ?$`)

// readCommand reads a command. It may take idle to begin.
func (c *imapConn) readCommand(idle time.Duration, room int) (imapCommand, error) {
	c.limitRead(idle)
	if _, err := c.in.Peek(1); err != nil {
		return imapCommand{}, err
	}
	c.limitRead(imapCommandTimeout)
	var text []byte
	fault := ""
	for {
		line, err := c.readLine(room - len(text))
		if err != nil {
			return imapCommand{}, err
		}
		if why := imapLineFault(line); why != "" {
			fault = why
		}
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		text = append(text, line...)
		match := imapLiteral.FindSubmatch(line)
		if match == nil {
			return parseIMAPCommand(string(text), fault), nil
		}
		text = text[:len(text)-len(match[0])]
		size, err := strconv.ParseUint(string(match[1]), 10, 32)
		synchronous := len(match[2]) == 0
		cmd := parseIMAPCommand(string(text), fault)
		switch tooLarge := err != nil || size > imapMaxLiteral; {
		case synchronous && (cmd.fault != "" || tooLarge || cmd.name == "APPEND"):
			// It is not asked for, so the command ends here.
			if cmd.fault == "" && tooLarge && cmd.name != "APPEND" {
				cmd.fault = fmt.Sprintf("literals are limited to %d octets", imapMaxLiteral)
			}
			return cmd, nil
		case tooLarge:
			return imapCommand{}, errIMAPLong // It comes without being asked for.
		case synchronous:
			c.say("+ go on")
		}
		literal := make([]byte, size)
		if _, err := io.ReadFull(c.in, literal); err != nil {
			return imapCommand{}, err
		}
		if bytes.ContainsAny(literal, "\r\n\x00") && cmd.name != "APPEND" {
			fault = "a literal with line ends or NUL"
		}
		text = appendIMAPQuoted(text, literal)
	}
}

// readLine reads a line with its end.
func (c *imapConn) readLine(room int) ([]byte, error) {
	var line []byte
	for {
		piece, err := c.in.ReadSlice('\n')
		if len(line)+len(piece) > room {
			return nil, errIMAPLong
		}
		line = append(line, piece...)
		if err != bufio.ErrBufferFull {
			return line, err
		}
	}
}

// imapLineFault says what is wrong with the octets of a line.
func imapLineFault(line []byte) string {
	content, ok := bytes.CutSuffix(line, []byte("\r\n"))
	switch {
	case !ok:
		return "lines end in CRLF"
	case bytes.ContainsAny(content, "\r\x00"):
		return "a line with CR or NUL"
	}
	return ""
}

// appendIMAPQuoted appends a quoted string (RFC 3501 section 9).
func appendIMAPQuoted(text, s []byte) []byte {
	text = append(text, '"')
	for _, b := range s {
		if b == '"' || b == '\\' {
			text = append(text, '\\')
		}
		text = append(text, b)
	}
	return append(text, '"')
}

// parseIMAPCommand reads a command of one line.
func parseIMAPCommand(text, fault string) imapCommand {
	tag, rest, _ := strings.Cut(text, " ")
	if tag == "" || len(tag) > imapMaxTag || strings.ContainsFunc(tag, notIMAPTag) {
		return imapCommand{tag: "*", fault: "a command begins with a tag"}
	}
	end := strings.IndexByte(rest, ' ')
	if end < 0 {
		end = len(rest)
	}
	cmd := imapCommand{tag: tag, name: strings.ToUpper(rest[:end]), args: rest[end:], fault: fault}
	if cmd.fault == "" && !imapQuotesEnd(cmd.args) {
		cmd.fault = "a quoted string does not end"
	}
	return cmd
}

// notIMAPTag says whether r may not stand in a tag. It is stricter than RFC 3501
// section 9 in "]", where go-imap is.
func notIMAPTag(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`(){%*"\+]`, r)
}

// imapQuotesEnd says whether every quoted string of s ends.
func imapQuotesEnd(s string) bool {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '\\' && quoted:
			i++
		}
	}
	return !quoted
}

// imapToken cuts a string, an atom, or one of "(" and ")" off s, after spaces. ok
// is false if there is nothing more.
func imapToken(s string) (token, rest string, quoted, ok bool) {
	s = strings.TrimLeft(s, " ")
	switch {
	case s == "":
		return "", "", false, false
	case s[0] == '(' || s[0] == ')':
		return s[:1], s[1:], false, true
	case s[0] != '"':
		end := strings.IndexAny(s, ` ()"`)
		if end < 0 {
			end = len(s)
		}
		return s[:end], s[end:], false, true
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true, true
		case '\\':
			i++
		}
		if i < len(s) {
			b.WriteByte(s[i])
		}
	}
	return b.String(), "", true, true // Not reached: imapQuotesEnd.
}
