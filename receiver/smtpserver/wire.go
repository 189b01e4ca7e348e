package smtpserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

const (
	// readBuffer holds a whole small message, so that it needs few reads.
	readBuffer = 16 << 10
	// maxHeld is how many octets of replies to pipelined commands are held
	// back to be written at once.
	maxHeld = 4 << 10
	// goodbyeTimeout replaces IdleTimeout for writing once the server stops.
	goodbyeTimeout = time.Second
)

// errStopping is what reading gives once the server wants the session to end.
var errStopping = errors.New("smtpserver: stopping")

// wire is one session. To go-smtp it is the connection: every Read gives one
// command that has been checked and may run, every Write is go-smtp's reply to
// the last one, of which only the code is looked at. Everything else, message
// octets too, the wire reads and answers itself.
type wire struct {
	server *Server
	log    *slog.Logger
	sock   net.Conn // The connection.
	rw     net.Conn // The same, or TLS over it.
	in     *bufio.Reader
	out    []byte        // Replies not yet written.
	tail   string        // What ends replies: "<id> - gsmtp".
	closed chan struct{} // Closed by Close.

	pending    pending // The command go-smtp is carrying out.
	said       int     // The code of go-smtp's latest reply.
	terminator bool    // go-smtp is owed the end of DATA.
	over       bool    // Nothing is read or run any more.
	lingers    bool    // The client, who may be sending, has been told.
	// due is when the command or message being read must be there whole; zero
	// before the first read of a command.
	due time.Time

	verb    string // Of the command being dealt with.
	faults  int    // Commands that were no commands.
	strange int    // Commands before EHLO or HELO, since STARTTLS.
	idle    int    // Commands since the last message.
	greeted bool   // EHLO or HELO was said, and since STARTTLS.
	env     Envelope
	draft   draft // What the command being carried out adds to env.
	open    bool  // A transaction is open: MAIL was accepted.
	chunked bool  // The transaction has had a BDAT.
	body    body  // Its message.

	mu        sync.Mutex // Protects what follows, and the deadline against it.
	course    course
	inMessage bool // The client is in the middle of a message.
}

// pending is a command handed to go-smtp: the code by which it agrees, and what
// is then said to the client.
type pending struct {
	open   bool
	expect int
	answer Reply
	plain  bool // The answer has no session id.
}

func newWire(s *Server, c net.Conn) *wire {
	w := &wire{server: s, log: s.opts.Logger, sock: c, rw: c, closed: make(chan struct{}), body: body{server: s}}
	w.in = bufio.NewReaderSize(source{w}, readBuffer)
	w.env.Session = newSessionID(s.opts.Random)
	w.tail = w.env.Session + " - gsmtp"
	return w
}

// serve runs the session to its end.
func (w *wire) serve() {
	defer w.Close()
	if err := w.identify(); err != nil {
		w.log.Warn("refusing SMTP connection", "session", w.env.Session, "socket", w.env.Socket, "error", err)
		return
	}
	if r := w.admit(StageConnect); r.class() != 2 {
		w.hangUp(r)
		return
	}
	// A go-smtp server per connection: its own way of stopping is not used.
	lib := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return session{w}, nil
	}))
	lib.MaxLineLength = 0 // Message octets do not pass through go-smtp, and our lines are short.
	lib.ErrorLog = errorLog{w.log}
	w.feed("", 220, replyGreeting(w.server.opts.Hostname))
	// Serve's error is that of the listener below, which ends with the wire.
	_ = lib.Serve(&single{wire: w})
	_ = lib.Shutdown(context.Background()) // Waits for go-smtp's goroutine.
}

// Read gives go-smtp the next command to carry out. By then it has answered the
// one before.
func (w *wire) Read(p []byte) (int, error) {
	if w.terminator {
		w.terminator = false
		return copy(p, ".\r\n"), nil
	}
	w.settle()
	for !w.over {
		// Commands already read would run without another look at the course.
		if w.ending() {
			w.lost(errStopping)
			break
		}
		if line := w.next(); line != "" {
			return copy(p, line), nil
		}
	}
	return 0, io.EOF
}

// Write takes go-smtp's reply: one line a call, as textproto.Writer does it.
func (w *wire) Write(p []byte) (int, error) {
	if code, err := strconv.Atoi(string(p[:min(3, len(p))])); err == nil {
		w.said = code
	}
	return len(p), nil
}

// Close ends the session. go-smtp calls it after QUIT and at the end.
func (w *wire) Close() error {
	select {
	case <-w.closed:
		return nil
	default:
	}
	w.settle()
	_ = w.flush() // The connection is closed anyway.
	w.over = true
	w.body.reset()
	if w.lingers {
		w.linger()
	}
	close(w.closed)
	return w.rw.Close()
}

// feed has go-smtp carry out line; the client gets answer if go-smtp replies
// with the code expect.
func (w *wire) feed(line string, expect int, answer Reply) string {
	w.pending = pending{open: true, expect: expect, answer: answer}
	return line
}

// settle says the answer to the command go-smtp has carried out.
func (w *wire) settle() {
	if !w.pending.open {
		return
	}
	w.pending.open = false
	switch {
	case w.said != w.pending.expect:
		// Its state and ours differ: nothing after this could be trusted.
		w.log.Error("go-smtp does not agree", "session", w.env.Session, "verb", w.verb, "code", w.said, "expected", w.pending.expect)
		w.hangUp(replySystemProblem)
	case w.pending.plain:
		w.say(w.pending.answer, "")
	default:
		w.answer(w.pending.answer)
	}
}

// answer says r, which may be a Backend's: 421 ends the session, and so does
// Gmail's 451 4.4.2, whose text says so (gmail-inbound.md 1.3).
func (w *wire) answer(r Reply) {
	if r.Code == 421 || r.Enhanced == "4.4.2" {
		w.hangUp(r)
		return
	}
	w.reply(r)
}

// reply answers the client.
func (w *wire) reply(r Reply) { w.say(r, w.tail) }

func (w *wire) say(r Reply, tail string) {
	w.out = r.appendTo(w.out, tail)
	switch w.verb {
	case "MAIL", "RCPT", "RSET", "BDAT":
		// May wait for the replies to pipelined commands (RFC 2920 3.2).
		// source.Read sees to it that nothing waits for the client.
		if len(w.out) < maxHeld {
			return
		}
	}
	_ = w.flush() // A failure sets over.
}

// hangUp answers the client and ends the session.
func (w *wire) hangUp(r Reply) {
	w.reply(r)
	_ = w.flush()
	if !w.over {
		w.lingers, w.over = true, true
	}
}

// flush writes what is to be said.
func (w *wire) flush() error {
	if len(w.out) == 0 || w.over {
		return nil
	}
	err := w.armWrite()
	if err == nil {
		_, err = w.rw.Write(w.out)
	}
	w.out = w.out[:0]
	if err != nil {
		w.over = true
		return fmt.Errorf("writing SMTP reply: %w", err)
	}
	return nil
}

// lost ends the session because reading failed. What was read of a line or a
// message is worth nothing then.
func (w *wire) lost(err error) {
	switch {
	case w.over:
	case errors.Is(err, errTooMuchData):
		w.hangUp(replyFarTooLarge)
	case errors.Is(err, errEndlessLine):
		w.hangUp(replyLineTooLong)
	case errors.Is(err, errStopping) || w.server.stopping():
		w.hangUp(replySystemProblem)
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.hangUp(replyTimeout)
	default:
		w.log.Debug("losing SMTP connection", "session", w.env.Session, "error", err)
		w.over = true
	}
}

// source reads from the connection. All replies are out before it waits, and
// every read has its own deadline, none after that of the whole.
type source struct{ *wire }

func (s source) Read(p []byte) (int, error) {
	if err := s.flush(); err != nil {
		return 0, err
	}
	if err := s.arm(); err != nil {
		return 0, err
	}
	return s.rw.Read(p)
}

// arm sets the deadline of the next read, unless the session is to end.
func (w *wire) arm() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mustEnd() {
		return errStopping
	}
	timeout := w.server.opts.IdleTimeout
	if w.inMessage {
		timeout = w.server.opts.DataTimeout
	}
	deadline := time.Now().Add(timeout)
	if w.due.IsZero() {
		w.due = deadline
	}
	if deadline.After(w.due) {
		deadline = w.due
	}
	return w.sock.SetReadDeadline(deadline)
}

// armWrite sets the deadline of the next write.
func (w *wire) armWrite() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	timeout := w.server.opts.IdleTimeout
	if w.course != serving {
		timeout = goodbyeTimeout
	}
	return w.sock.SetWriteDeadline(time.Now().Add(timeout))
}

// mustEnd reports whether the session may not read on. w.mu is held.
func (w *wire) mustEnd() bool {
	return w.course == closing || w.course == draining && !w.inMessage
}

func (w *wire) ending() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mustEnd()
}

// setInMessage says whether the client is in the middle of a message, which
// Shutdown does not interrupt, but which must come to an end.
func (w *wire) setInMessage(in bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if in && !w.inMessage {
		w.due = time.Now().Add(w.server.opts.MessageTimeout)
	}
	w.inMessage = in
}

// stop wakes the session if it is reading and must not. The server calls it.
func (w *wire) stop(c course) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.course = c
	// The errors would be those of a connection already closed.
	if w.mustEnd() {
		_ = w.sock.SetReadDeadline(time.Unix(1, 0))
	}
	_ = w.sock.SetWriteDeadline(time.Now().Add(goodbyeTimeout))
}

// The rest of net.Conn. Deadlines are the wire's own business.

func (w *wire) LocalAddr() net.Addr              { return w.sock.LocalAddr() }
func (w *wire) RemoteAddr() net.Addr             { return w.sock.RemoteAddr() }
func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// single is a listener that accepts one wire and ends with it.
type single struct {
	wire  *wire
	given bool
}

func (l *single) Accept() (net.Conn, error) {
	if !l.given {
		l.given = true
		return l.wire, nil
	}
	<-l.wire.closed
	return nil, io.EOF
}

func (l *single) Close() error   { return nil }
func (l *single) Addr() net.Addr { return l.wire.LocalAddr() }

// errorLog is go-smtp's logger.
type errorLog struct{ log *slog.Logger }

func (l errorLog) Printf(format string, v ...any) {
	l.log.Warn("go-smtp: " + fmt.Sprintf(format, v...))
}
func (l errorLog) Println(v ...any) { l.log.Warn("go-smtp: " + strings.TrimSpace(fmt.Sprintln(v...))) }

// addrOf is the IP address of a; invalid if it has none.
func addrOf(a net.Addr) netip.Addr {
	if a == nil {
		return netip.Addr{}
	}
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{} // Such as net.Pipe's "pipe".
	}
	return ap.Addr().Unmap()
}
