package smtpserver

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// mail is what a box was handed.
type mail struct {
	Envelope
	raw string
}

// box is a Backend that keeps what it gets. The fields are set before use.
type box struct {
	onAdmit   func(ctx context.Context, e *Envelope, at Stage) *Reply
	onRcpt    func(ctx context.Context, e *Envelope, rcpt string) *Reply
	onDeliver func(ctx context.Context, e Envelope, raw []byte) Reply

	mu    sync.Mutex
	mails []mail
}

func (b *box) Admit(ctx context.Context, e *Envelope, at Stage) *Reply {
	if b.onAdmit != nil {
		return b.onAdmit(ctx, e, at)
	}
	return nil
}

func (b *box) Rcpt(ctx context.Context, e *Envelope, rcpt string) *Reply {
	if b.onRcpt != nil {
		return b.onRcpt(ctx, e, rcpt)
	}
	return nil
}

func (b *box) Deliver(ctx context.Context, e Envelope, raw []byte) Reply {
	b.mu.Lock()
	b.mails = append(b.mails, mail{e, string(raw)})
	b.mu.Unlock()
	if b.onDeliver != nil {
		return b.onDeliver(ctx, e, raw)
	}
	return Reply{Code: 250}
}

func (b *box) all() []mail {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]mail(nil), b.mails...)
}

// one returns the only mail in b.
func (b *box) one(t *testing.T) mail {
	t.Helper()
	mails := b.all()
	if len(mails) != 1 {
		t.Fatalf("got %d mails, want 1: %+v", len(mails), mails)
	}
	return mails[0]
}

// newServer makes a server that is closed with the test. change may be nil.
func newServer(t testing.TB, b Backend, change func(*Options)) *Server {
	t.Helper()
	o := Options{
		Backend:  b,
		Hostname: "mx.gmail.test",
		Now:      func() time.Time { return time.Unix(1726000000, 0) },
	}
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return s
}

// addrConn is a connection from a chosen address.
type addrConn struct {
	net.Conn
	addr net.Addr
}

func (c addrConn) RemoteAddr() net.Addr { return c.addr }

func tcpAddr(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 40000} }

// client is the other end of a connection.
type client struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

// dialPipe serves one end of a net.Pipe, as a connection from 127.0.0.1, and
// reads the greeting from the other.
func dialPipe(t *testing.T, s *Server) *client {
	t.Helper()
	c := dialPipeFrom(t, s, tcpAddr("127.0.0.1"))
	c.want(greeting)
	return c
}

func dialPipeFrom(t *testing.T, s *Server, addr net.Addr) *client {
	t.Helper()
	near, far := net.Pipe()
	served := make(chan struct{})
	go func() {
		defer close(served)
		s.ServeConn(addrConn{far, addr})
	}()
	t.Cleanup(func() {
		near.Close()
		<-served
	})
	return &client{t: t, conn: near, in: bufio.NewReader(near)}
}

// dialTCP serves a loopback listener and connects to it.
func dialTCP(t *testing.T, s *Server) *client {
	t.Helper()
	c := dialAddr(t, listen(t, s))
	c.want(greeting)
	return c
}

func dialAddr(t *testing.T, addr string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &client{t: t, conn: conn, in: bufio.NewReader(conn)}
}

// listen serves a loopback listener until the test ends and returns its address.
func listen(t testing.TB, s *Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-served; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	return l.Addr().String()
}

// send writes s, which may hold many commands.
func (c *client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, s); err != nil {
		c.t.Fatalf("sending %.60q: %v", s, err)
	}
}

var sessionID = regexp.MustCompile(`[0-9a-f]{13}-[0-9a-f]{11}si[0-9]{9}[a-f]\.[0-9]{1,4}`)

// reply reads one reply: its lines, joined by "\n", with ID for session ids.
func (c *client) reply() (string, error) {
	var lines []string
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return strings.Join(lines, "\n"), err
		}
		text, ok := strings.CutSuffix(line, "\r\n")
		if !ok || len(text) < 4 {
			c.t.Fatalf("malformed reply line %q", line)
		}
		lines = append(lines, sessionID.ReplaceAllString(text, "ID"))
		if text[3] == ' ' {
			return strings.Join(lines, "\n"), nil
		}
	}
}

func (c *client) want(want string) {
	c.t.Helper()
	got, err := c.reply()
	if err != nil {
		c.t.Fatalf("reading reply: %v, want %q", err, want)
	}
	if got != want {
		c.t.Fatalf("got reply\n%s\nwant\n%s", got, want)
	}
}

// wantCode reads a reply of which only the beginning matters.
func (c *client) wantCode(prefix string) {
	c.t.Helper()
	got, err := c.reply()
	if err != nil {
		c.t.Fatalf("reading reply: %v, want %q", err, prefix)
	}
	if !strings.HasPrefix(got, prefix) {
		c.t.Fatalf("got reply %q, want %q", got, prefix)
	}
}

func (c *client) wantEOF() {
	c.t.Helper()
	if got, err := c.reply(); err == nil {
		c.t.Fatalf("got reply %q, want the end", got)
	}
}

// cmd sends a line and reads a reply that begins with code.
func (c *client) cmd(line, code string) {
	c.t.Helper()
	c.send(line + "\r\n")
	c.wantCode(code)
}

// drip sends piece again and again, until the connection ends. stop waits for
// that.
func (c *client) drip(piece string, every time.Duration) (stop func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			time.Sleep(every)
			if _, err := io.WriteString(c.conn, piece); err != nil {
				return
			}
		}
	}()
	return func() { <-done }
}

// hello and envelope bring the session to a state.
func (c *client) hello() { c.t.Helper(); c.cmd("EHLO client.example", "250") }

func (c *client) envelope() {
	c.t.Helper()
	c.hello()
	c.cmd("MAIL FROM:<a@sender.example>", "250")
	c.cmd("RCPT TO:<u@gmail.test>", "250")
}

// memConn is a connection whose client has said all it has to say.
type memConn struct {
	in  io.Reader
	out bytes.Buffer
}

func (c *memConn) Read(p []byte) (int, error)       { return c.in.Read(p) }
func (c *memConn) Write(p []byte) (int, error)      { return c.out.Write(p) }
func (c *memConn) Close() error                     { return nil }
func (c *memConn) LocalAddr() net.Addr              { return tcpAddr("127.0.0.1") }
func (c *memConn) RemoteAddr() net.Addr             { return tcpAddr("127.0.0.1") }
func (c *memConn) SetDeadline(time.Time) error      { return nil }
func (c *memConn) SetReadDeadline(time.Time) error  { return nil }
func (c *memConn) SetWriteDeadline(time.Time) error { return nil }

// patient reads what a client says that waits for the answer to its first EHLO:
// no Read goes beyond it.
type patient struct {
	in      io.Reader
	rest    []byte
	read    int
	greeted bool
}

var helloLine = regexp.MustCompile(`(?i)(EHLO|HELO)[^\n]*\n`)

func (r *patient) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		n, err := r.in.Read(p)
		if n == 0 || r.greeted || r.read > maxCommandLine {
			return n, err
		}
		r.read += n
		r.rest = bytes.Clone(p[:n])
	}
	said := r.rest
	if at := helloLine.FindIndex(said); at != nil && !r.greeted {
		said, r.greeted = said[:at[1]], true
	}
	n := copy(p, said)
	r.rest = r.rest[n:]
	return n, nil
}

// converse says input to s and returns all that s says.
func converse(s *Server, input io.Reader) string {
	c := &memConn{in: &patient{in: input}}
	s.ServeConn(c)
	return c.out.String()
}

// said reports whether a line of the replies got begins with prefix.
func said(got, prefix string) bool {
	return strings.HasPrefix(got, prefix) || strings.Contains(got, "\n"+prefix)
}

// logTo returns a logger that writes to b.
func logTo(b io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
