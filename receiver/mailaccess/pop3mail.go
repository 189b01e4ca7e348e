package mailaccess

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// transaction carries out a command of the state after the login.
func (p *pop3Session) transaction(verb, arg string) {
	switch verb {
	case "NOOP":
		p.say("+OK")
	case "STAT":
		n, size := p.left()
		p.say(fmt.Sprintf("+OK %d %d", n, size))
	case "LIST":
		p.listing(arg, func(m Message) string { return strconv.FormatInt(m.Size, 10) })
	case "UIDL":
		p.listing(arg, func(m Message) string { return m.ID })
	case "RETR":
		p.retrieve(arg, -1)
	case "TOP":
		number, lines, _ := strings.Cut(arg, " ")
		n, ok := pop3Number(lines)
		if !ok {
			p.fault(pop3Syntax)
			return
		}
		p.retrieve(number, n)
	case "DELE":
		p.delete(arg)
	case "RSET":
		clear(p.deleted)
		p.say("+OK")
	default:
		p.fault(pop3Unknown)
	}
}

// left returns how many messages are not deleted, and their size.
func (p *pop3Session) left() (n int, size int64) {
	for i, m := range p.list {
		if !p.deleted[i] {
			n++
			size += m.Size
		}
	}
	return n, size
}

// pop3Number reads a decimal number.
func pop3Number(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	return int(n), err == nil
}

// message returns the index in list of the message that arg is the number of,
// and tells the client if there is none.
func (p *pop3Session) message(arg string) (int, bool) {
	n, ok := pop3Number(arg)
	switch {
	case !ok:
		p.fault(pop3Syntax)
		return 0, false
	case n < 1 || n > len(p.list) || p.deleted[n-1]:
		p.say(pop3NoMessage)
		return 0, false
	}
	return n - 1, true
}

// listing says something of one message, or of all.
func (p *pop3Session) listing(arg string, of func(Message) string) {
	if arg != "" {
		if i, ok := p.message(arg); ok {
			p.say(fmt.Sprintf("+OK %d %s", i+1, of(p.list[i])))
		}
		return
	}
	// The writer keeps the first error, and flush in say gives it.
	_, _ = p.out.WriteString("+OK\r\n")
	for i, m := range p.list {
		if !p.deleted[i] {
			_, _ = fmt.Fprintf(p.out, "%d %s\r\n", i+1, of(m))
		}
	}
	p.say(".")
}

// retrieve sends a message: all of it, or, if lines is not negative, its header
// and so many lines of its body.
func (p *pop3Session) retrieve(arg string, lines int) {
	i, ok := p.message(arg)
	if !ok {
		return
	}
	id := p.list[i].ID
	raw, err := p.mailbox.Read(p.server.ctx, id)
	if err != nil {
		p.log.Error("reading a message for POP3", "message", id, "error", err)
		p.say(pop3Down)
		return
	}
	part := raw
	if lines >= 0 {
		part = pop3Top(raw, lines)
	}
	_, _ = fmt.Fprintf(p.out, "+OK %d octets\r\n", len(raw)) // The writer keeps the first error.
	p.body(part)
	sent := p.flush()
	p.event(Event{Kind: EventRead, User: p.user, Message: id, Whole: sent && len(part) == len(raw)})
}

// body writes octets as lines in which a dot at the beginning is doubled, and
// their end (RFC 1939 section 3).
func (p *pop3Session) body(part []byte) {
	for line := range bytes.SplitAfterSeq(part, []byte("\r\n")) {
		if len(line) > 0 && line[0] == '.' {
			_ = p.out.WriteByte('.')
		}
		_, _ = p.out.Write(line)
	}
	if len(part) > 0 && !bytes.HasSuffix(part, []byte("\r\n")) {
		_, _ = p.out.WriteString("\r\n")
	}
	_, _ = p.out.WriteString(".\r\n")
}

// pop3Top returns the header of a message, the empty line after it and so many
// lines of its body.
func pop3Top(raw []byte, lines int) []byte {
	end, header := 0, true
	for line := range bytes.SplitAfterSeq(raw, []byte("\r\n")) {
		if !header && lines == 0 {
			break
		}
		if !header {
			lines--
		}
		header = header && string(line) != "\r\n"
		end += len(line)
	}
	return raw[:end]
}

// delete marks a message, to be deleted with QUIT.
func (p *pop3Session) delete(arg string) {
	i, ok := p.message(arg)
	switch {
	case !ok:
	case p.server.opts.Changes == nil:
		p.say("-ERR [SYS/PERM] this mailbox is read-only")
	default:
		p.deleted[i] = true
		p.say("+OK")
	}
}

// quit ends the session, and only here are messages deleted.
func (p *pop3Session) quit() {
	var ids []string
	for i := range p.deleted {
		ids = append(ids, p.list[i].ID)
	}
	if len(ids) > 0 {
		p.server.opts.Changes.Delete(p.mailbox.Name(), ids...)
	}
	p.say("+OK bye")
	p.over = true
}
