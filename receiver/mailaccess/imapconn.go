package mailaccess

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

const (
	// imapLoginTimeout ends connections on which nobody has logged in.
	imapLoginTimeout = 3 * time.Minute
	// imapIdleTimeout is the least that a server may have (RFC 9051 5.4).
	imapIdleTimeout = 30 * time.Minute
	// imapCommandTimeout is for a command from its first octet to its last, and
	// for a TLS handshake.
	imapCommandTimeout = time.Minute
	// imapWriteTimeout is for each imapWritePiece octets: a message may take
	// long, a client that takes nothing may not.
	imapWriteTimeout = time.Minute
	imapWritePiece   = 64 << 10
	// imapMaxFaults is how many commands of a session may be no commands.
	imapMaxFaults = 20
)

// imapConn is one connection. Before the login it answers the client itself. After
// it, it is the connection that go-imap sees: every Read gives a piece of one
// command, which was checked and is one line.
type imapConn struct {
	net.Conn // What is read from and written to: sock, or TLS over it.

	server *IMAPServer
	sock   net.Conn  // Without TLS.
	tls    *tls.Conn // If the client speaks TLS from the first octet.
	in     *bufio.Reader
	about  Session
	faults int           // Commands that were no commands.
	closed chan struct{} // Closed by Close.

	// After the login:
	user    string
	mailbox Mailbox
	command imapCommand // The one that go-imap works at.
	rest    []byte      // What go-imap has not read yet of it.
	idling  bool        // It is IDLE: the next line ends it.
	lost    bool        // Nothing is read any more.

	writing sync.Mutex // Protects what follows, and keeps responses apart.
	begun   bool       // Something was said to the command.
	over    bool       // Nothing is said any more.
	stuck   bool       // Writing has failed.
}

func newIMAPConn(s *IMAPServer, sock net.Conn) *imapConn {
	c := &imapConn{server: s, closed: make(chan struct{})}
	if c.tls, _ = sock.(*tls.Conn); c.tls != nil {
		sock = c.tls.NetConn()
	}
	c.Conn, c.sock, c.in = sock, sock, bufio.NewReader(sock)
	c.about.Protocol = IMAP
	if addr := sock.RemoteAddr(); addr != nil {
		if a, err := netip.ParseAddrPort(addr.String()); err == nil {
			c.about.Peer = a.Addr().Unmap()
		}
	}
	return c
}

// serve runs the session to its end.
func (c *imapConn) serve(full bool) {
	defer c.Close()
	defer func() {
		if v := recover(); v != nil {
			// Its value is not logged: it may quote what was sent.
			c.server.opts.Logger.Error("IMAP session panicked", "type", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
		}
	}()
	switch {
	case full && c.tls != nil: // A handshake would cost more than it tells.
		return
	case full:
		c.bye("too many connections")
		return
	case c.tls != nil && !c.handshake(c.tls):
		return
	}
	c.say("* OK [CAPABILITY %s] %s IMAP4rev1 server ready", c.capabilities(), c.server.opts.Hostname)
	if !c.login() {
		return
	}
	// Serve returns the error of the listener, which ends with the connection.
	_ = c.server.lib.Serve(&imapOnce{conn: c})
	<-c.closed
}

// imapOnce is a listener with one connection: go-imap has no other door.
type imapOnce struct {
	conn  *imapConn
	taken bool
}

func (l *imapOnce) Accept() (net.Conn, error) {
	if l.taken {
		return nil, net.ErrClosed
	}
	l.taken = true
	l.conn.begin(imapCommand{name: imapGreeting})
	return l.conn, nil
}

func (l *imapOnce) Close() error   { return nil }
func (l *imapOnce) Addr() net.Addr { return l.conn.LocalAddr() }

// handshake has t speak TLS, and reads from it and writes to it from then on.
func (c *imapConn) handshake(t *tls.Conn) bool {
	c.limitRead(imapCommandTimeout)
	c.limitWrite()
	if err := t.HandshakeContext(c.server.ctx); err != nil {
		c.server.opts.Logger.Debug("losing IMAP connection in TLS handshake", "session", c.about.ID, "error", err)
		return false
	}
	c.Conn = t
	c.in.Reset(t)
	c.about.TLS = strings.NewReplacer(" ", "", ".", "_").Replace(tls.VersionName(t.ConnectionState().Version))
	return true
}

// Read gives go-imap the next piece of a command. When it asks for the next
// command, it has answered the one before.
func (c *imapConn) Read(p []byte) (int, error) {
	if len(c.rest) == 0 && !c.lost {
		line, err := c.next()
		if err != nil {
			c.lose(err)
		}
		c.rest, c.lost = line, err != nil
	}
	if c.lost {
		return 0, io.EOF
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// begin notes what go-imap will answer.
func (c *imapConn) begin(cmd imapCommand) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.command, c.begun = cmd, false
}

// Write takes what go-imap answers.
func (c *imapConn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	first := !c.begun
	c.begun = true
	switch {
	case c.over:
		return 0, net.ErrClosed
	case first && c.command.name == imapGreeting:
		return len(p), nil // The client has had ours.
	case first && bytes.Equal(p, []byte(c.command.tag+imapServerBug)):
		// go-imap says so of what it cannot read. Errors of our own are answered
		// otherwise, so it was the client.
		_, err := c.write([]byte(c.command.tag + " BAD the command cannot be read\r\n"))
		return len(p), err
	}
	return c.write(p)
}

// imapServerBug is go-imap's answer to an error that has none.
const imapServerBug = " NO [SERVERBUG] Internal server error\r\n"

// write writes p in pieces, each with its time. c.writing is held.
func (c *imapConn) write(p []byte) (n int, err error) {
	for len(p) > 0 && err == nil {
		c.limitWrite()
		var m int
		m, err = c.Conn.Write(p[:min(len(p), imapWritePiece)])
		p = p[m:]
		n += m
	}
	c.stuck = c.stuck || err != nil
	return n, err
}

// Close ends the session. It is the last that go-imap does with a connection.
func (c *imapConn) Close() error {
	select {
	case <-c.closed:
		return nil
	default:
	}
	defer close(c.closed)
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.stuck {
		return c.sock.Close() // Closing TLS would wait for a client that reads nothing.
	}
	return c.Conn.Close()
}

// Deadlines are ours: go-imap has others for pieces of commands, which it gets
// whole.

func (c *imapConn) SetDeadline(time.Time) error      { return nil }
func (c *imapConn) SetReadDeadline(time.Time) error  { return nil }
func (c *imapConn) SetWriteDeadline(time.Time) error { return nil }

func (c *imapConn) limitRead(d time.Duration) {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.server.limitRead(c, d)
}

func (c *imapConn) limitWrite() {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.server.limitWrite(c)
}

// lose ends the session because reading failed.
func (c *imapConn) lose(err error) {
	switch {
	case c.server.closes():
		c.bye("the server is closing")
	case errors.Is(err, errIMAPLong), errors.Is(err, errIMAPFaults), errors.Is(err, errIMAPIdle):
		c.bye(strings.TrimPrefix(err.Error(), "mailaccess: "))
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.bye("nothing was heard for too long")
	}
	c.server.opts.Logger.Debug("ending IMAP session", "session", c.about.ID, "error", err)
}

// bye says BYE, and nothing after it.
func (c *imapConn) bye(why string) {
	c.say("* BYE %s", why)
	c.writing.Lock()
	c.over = true
	c.writing.Unlock()
}

// tell tells the Backend what the client did.
func (c *imapConn) tell(e Event) {
	e.Session, e.User = c.about, c.user
	c.server.opts.Backend.Accessed(e)
}

// context is handed to the Backend.
func (c *imapConn) context() context.Context { return c.server.ctx }
