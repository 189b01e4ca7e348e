package popfetch

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
	"slices"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/policy"
)

const (
	// maxCommand is how long a command may be with its CRLF (RFC 2449 4).
	maxCommand = 255
	// maxLine is how long a line of an answer may be. RFC 2449 4 allows 512
	// octets; some refusals have web addresses that are longer.
	maxLine = 4 << 10
	// readBuffer is at least maxLine.
	readBuffer = 16 << 10
)

var (
	errBareLF    = errors.New("a line ends in LF without CR")
	errLong      = fmt.Errorf("a line of more than %d octets", maxLine)
	errEndless   = errors.New("the message does not end")
	errChallenge = errors.New("an unexpected challenge") // RFC 5034 4.
	errClosed    = fmt.Errorf("the server closed the connection: %w", io.ErrUnexpectedEOF)
)

// responseCodes are those of RFC 2449 8 and RFC 3206. What else stands in
// brackets is text.
var responseCodes = []string{"AUTH", "IN-USE", "LOGIN-DELAY", "SYS/PERM", "SYS/TEMP"}

// refusal is -ERR.
type refusal struct{ code, text string }

func (r *refusal) Error() string {
	if r.code == "" {
		return fmt.Sprintf("the server refused: %q", r.text)
	}
	return fmt.Sprintf("the server refused: [%s] %q", r.code, r.text)
}

// nonsense is an answer that is none.
type nonsense struct{ line string }

func (n *nonsense) Error() string {
	return fmt.Sprintf("an answer that is neither +OK nor -ERR: %.200q", n.line)
}

// temporary says that the command may succeed another time.
func (r *refusal) temporary() bool {
	return r.code == "SYS/TEMP" || r.code == "IN-USE" || r.code == "LOGIN-DELAY"
}

// conn is the connection of one session. It is closed as soon as the context
// ends, which ends every read and write.
type conn struct {
	ctx      context.Context
	server   string   // Host and port, as in the Source.
	sock     net.Conn // What was dialled.
	rw       net.Conn // The same, or TLS over it.
	tls      string   // Protocol version such as "TLS1_3"; empty without TLS.
	in       *bufio.Reader
	timeout  time.Duration
	due      time.Time // When the answer must be there; zero: timeout from each read.
	unwatch  func()    // Ends the watch on ctx.
	problems policy.Problems
}

// dial connects and, in that mode, puts TLS over the connection. Nothing has
// been read or written otherwise.
func dial(ctx context.Context, src Source, o Options) (*conn, error) {
	server := src.hostPort()
	dialing, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	sock, err := o.Dial(dialing, "tcp", server)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", server, err)
	}
	c := &conn{ctx: ctx, server: server, sock: sock, rw: sock, timeout: o.Timeout}
	c.in = bufio.NewReaderSize(source{c}, readBuffer)
	c.watch()
	switch {
	case src.TLS == TLSImplicit:
		err = c.handshake(src, o.TLSConfig)
	case src.TLS == TLSNone && !local(sock.RemoteAddr()):
		err = fmt.Errorf("connecting to %s: %w", server, ErrPlaintext)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// local says whether an address is on this machine.
func local(a net.Addr) bool {
	if a == nil {
		return false
	}
	if a.Network() == "pipe" || a.Network() == "unix" {
		return true
	}
	ap, err := netip.ParseAddrPort(a.String())
	return err == nil && ap.Addr().Unmap().IsLoopback()
}

// watch closes the connection when ctx ends.
func (c *conn) watch() {
	done := make(chan struct{})
	stop := context.AfterFunc(c.ctx, func() {
		defer close(done)
		c.sock.Close()
	})
	c.unwatch = func() {
		if !stop() {
			<-done
		}
	}
}

func (c *conn) close() {
	c.unwatch()
	c.sock.Close() // The session is over, well or badly: nothing depends on it.
}

// fail says where err came from.
func (c *conn) fail(op string, err error) error {
	if cause := context.Cause(c.ctx); cause != nil {
		err = cause // The connection was closed because of it.
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("no answer within %v: %w", c.timeout, err)
	}
	return fmt.Errorf("%s of %s: %w", op, c.server, err)
}

// handshake puts TLS over the connection.
func (c *conn) handshake(src Source, config *tls.Config) error {
	if config == nil {
		config = &tls.Config{}
	}
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName = src.Host
	}
	conn := tls.Client(c.sock, config)
	err := c.sock.SetDeadline(time.Now().Add(c.timeout))
	if err == nil {
		err = conn.HandshakeContext(c.ctx)
	}
	if err != nil {
		return c.fail("TLS handshake", err)
	}
	c.rw = conn
	c.in.Reset(source{c})
	c.tls = strings.NewReplacer(" ", "", ".", "_").Replace(tls.VersionName(conn.ConnectionState().Version))
	return nil
}

// source reads from the connection, each time with a deadline.
type source struct{ *conn }

func (s source) Read(p []byte) (int, error) {
	due := s.due
	if due.IsZero() {
		due = time.Now().Add(s.timeout)
	}
	if err := s.rw.SetReadDeadline(due); err != nil {
		return 0, closedBy(err)
	}
	n, err := s.rw.Read(p)
	return n, closedBy(err)
}

// closedBy says of an error whether the server has closed the connection. One
// within the process says so in its own words, of a deadline too.
func closedBy(err error) error {
	if err == io.EOF || err == io.ErrClosedPipe {
		return errClosed
	}
	return err
}

// send sends a line and reads the first line of the answer. An answer that is
// -ERR gives a *refusal.
func (c *conn) send(line string) error {
	if err := c.rw.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
		return closedBy(err)
	}
	if _, err := io.WriteString(c.rw, line+"\r\n"); err != nil {
		return closedBy(err)
	}
	return c.status()
}

// command is send for commands, which have a limit.
func (c *conn) command(line string) error {
	if len(line)+2 > maxCommand {
		return fmt.Errorf("a command of more than %d octets", maxCommand)
	}
	return c.send(line)
}

// status reads the first line of an answer, of which nothing but +OK counts.
// maxRefusalText bounds what is kept of the reason that a server gives.
const maxRefusalText = 500

func (c *conn) status() error {
	c.due = time.Now().Add(c.timeout)
	line, err := c.line()
	c.due = time.Time{}
	if err != nil {
		return err
	}
	word, text, _ := strings.Cut(line, " ")
	switch word {
	case "+OK":
		return nil
	case "+":
		return errChallenge
	case "-ERR":
		text = text[:min(len(text), maxRefusalText)]
		code, rest, closed := strings.Cut(text, "]")
		if code = strings.ToUpper(code); closed && strings.HasPrefix(code, "[") && slices.Contains(responseCodes, code[1:]) {
			return &refusal{code[1:], strings.TrimPrefix(rest, " ")}
		}
		return &refusal{"", text}
	}
	return &nonsense{line}
}

// line reads a line and returns it without its CRLF.
func (c *conn) line() (string, error) {
	line, err := c.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull) || err == nil && len(line) > maxLine:
		return "", errLong
	case err != nil:
		return "", err
	}
	text, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok {
		return "", errBareLF
	}
	return string(text), nil
}

// lines reads the lines of an answer up to its end, and hands each to take.
func (c *conn) lines(max int, take func(line string) error) error {
	for n := 0; ; n++ {
		line, err := c.line()
		if err != nil || line == "." {
			return err
		}
		if n == max {
			return fmt.Errorf("more than %d lines", max)
		}
		if err := take(strings.TrimPrefix(line, ".")); err != nil {
			return err
		}
	}
}

// message reads a message to its end. Of one that has more than max octets only
// their number is returned; one that has more than twice as many is errEndless.
func (c *conn) message(max, listed int64) (raw []byte, size int64, err error) {
	raw = make([]byte, 0, min(listed, max, 1<<20))
	start, cr := true, false // At the start of a line; the last octet was CR.
	for {
		piece, err := c.in.ReadSlice('\n')
		whole := err == nil // A piece is else the beginning of a line, as long as the buffer.
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, size, err
		}
		if start && piece[0] == '.' {
			if string(piece) == ".\r\n" {
				return raw, size, nil
			}
			if piece[1] != '.' {
				c.problems.Add(policy.Place{}, ProblemDot, "a line of a message begins with one dot and is not its end")
			}
			piece = piece[1:]
		}
		n := len(piece)
		size += int64(n)
		switch {
		case size-max > max:
			return nil, size, errEndless
		case size > max:
			raw = nil
		default:
			raw = append(raw, piece...)
		}
		if n > 1 {
			cr = piece[n-2] == '\r'
		}
		start = whole && cr
		cr = piece[n-1] == '\r'
	}
}
