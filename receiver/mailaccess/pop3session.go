package mailaccess

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"
)

const (
	// pop3Line is how long a command may be with its CRLF (RFC 2449 4).
	pop3Line = 255
	// pop3SASLLine is how long the answer to a challenge may be: base64 of the
	// three names of PLAIN, of 255 octets each (RFC 4616 2), and CRLF.
	pop3SASLLine = 1026
	// pop3Logins is how many logins may fail in a session, and pop3Faults how
	// many commands may be none: enough for people, and too few for guessing.
	pop3Logins = 3
	pop3Faults = 20
)

// Answers that are said in several places. The codes are those of RFC 3206.
const (
	pop3Syntax    = "-ERR syntax error"
	pop3Unknown   = "-ERR no such command now"
	pop3NoMessage = "-ERR no such message"
	pop3TLSFirst  = "-ERR [AUTH] log in with TLS only"
	pop3Down      = "-ERR [SYS/TEMP] the mailbox is not available"
)

// errPOP3Line is the error of a line that is too long; what follows it cannot
// be told from commands.
var errPOP3Line = errors.New("mailaccess: line too long")

// pop3Session is one connection.
type pop3Session struct {
	server *POP3Server
	log    *slog.Logger
	sock   net.Conn // The connection, for deadlines.
	rw     net.Conn // The same, or TLS over it.
	in     *bufio.Reader
	out    *bufio.Writer
	info   Session
	over   bool // Nothing is read or run any more.
	logins int  // That failed.
	faults int  // Commands that were none.

	user    string  // As given with USER or AUTH.
	mailbox Mailbox // Nil until the client has logged in.
	list    []Message
	deleted map[int]bool // By the index in list.
}

func newPOP3Session(s *POP3Server, c net.Conn, id string) *pop3Session {
	p := &pop3Session{server: s, log: s.opts.Logger.With("session", id), sock: c, info: Session{ID: id, Protocol: POP3}}
	if addr := c.RemoteAddr(); addr != nil {
		// Such as net.Pipe's "pipe" there is no IP address, and Peer is invalid.
		ap, _ := netip.ParseAddrPort(addr.String())
		p.info.Peer = ap.Addr().Unmap()
	}
	p.use(c)
	return p
}

// use makes conn what is read and written. Nothing read before survives it.
func (p *pop3Session) use(conn net.Conn) {
	p.rw = conn
	p.in = bufio.NewReaderSize(conn, 4<<10)
	p.out = bufio.NewWriterSize(pop3Writer{p}, 16<<10)
}

// pop3Writer writes to the client, each time with a deadline.
type pop3Writer struct{ *pop3Session }

func (w pop3Writer) Write(b []byte) (int, error) {
	if err := w.sock.SetWriteDeadline(time.Now().Add(pop3Write)); err != nil {
		return 0, err
	}
	return w.rw.Write(b)
}

// handshake puts TLS over the connection.
func (p *pop3Session) handshake(conn *tls.Conn) error {
	err := p.sock.SetDeadline(time.Now().Add(pop3Idle))
	if err == nil {
		err = conn.HandshakeContext(p.server.ctx)
	}
	if err != nil {
		p.log.Debug("losing POP3 connection in TLS handshake", "error", err)
		p.over = true // Neither side can say anything the other understands.
		return err
	}
	p.info.TLS = strings.NewReplacer(" ", "", ".", "_").Replace(tls.VersionName(conn.ConnectionState().Version))
	p.use(conn)
	return nil
}

// serve runs the session to its end.
func (p *pop3Session) serve() {
	defer func() {
		if fault := recover(); fault != nil {
			// Its value is not logged: it may quote mail.
			p.log.Error("POP3 session panicked", "type", fmt.Sprintf("%T", fault), "stack", string(debug.Stack()))
		}
	}()
	p.say("+OK " + p.server.opts.Hostname + " POP3 server ready")
	for !p.over {
		line, err := p.read(pop3Line)
		if err != nil {
			p.lost(err)
			return
		}
		p.run(line)
	}
}

// read reads a line, which must be there whole when the time is over.
func (p *pop3Session) read(limit int) (string, error) {
	if err := p.sock.SetReadDeadline(time.Now().Add(pop3Idle)); err != nil {
		return "", err
	}
	line, err := p.in.ReadSlice('\n')
	if len(line) > limit || errors.Is(err, bufio.ErrBufferFull) {
		return "", errPOP3Line
	}
	return string(line), err
}

// lost ends the session because reading failed. A client that is silent for too
// long is told nothing (RFC 1939 section 3).
func (p *pop3Session) lost(err error) {
	if errors.Is(err, errPOP3Line) {
		p.say("-ERR the line is too long")
	} else if !errors.Is(err, io.EOF) {
		p.log.Debug("losing POP3 connection", "error", err)
	}
	p.over = true
}

// say writes one line.
func (p *pop3Session) say(line string) {
	_, _ = p.out.WriteString(line + "\r\n") // Flush gives the error.
	p.flush()
}

// flush writes what was said, and reports whether all of it went out.
func (p *pop3Session) flush() bool {
	if err := p.out.Flush(); err != nil && !p.over {
		p.log.Debug("losing POP3 connection", "error", err)
		p.over = true
	}
	return !p.over
}

// fault answers what is no command.
func (p *pop3Session) fault(line string) {
	p.say(line)
	p.faults++
	p.over = p.over || p.faults == pop3Faults
}

// event tells the Backend what the client did.
func (p *pop3Session) event(e Event) {
	e.Session = p.info
	p.server.opts.Backend.Accessed(e)
}
