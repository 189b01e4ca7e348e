package mailaccess

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A client that says nothing, or stops in the middle of something, or takes
// nothing, is given up after its time.
func TestIMAPTimeouts(t *testing.T) {
	t.Parallel()
	const login = "x LOGIN alice \"open it\"\r\n"
	tests := []struct {
		name, send string
		lines      int // Of answers that are read.
		after      time.Duration
		last       string
	}{
		{"before login", "", 0, imapLoginTimeout, "* BYE nothing was heard for too long\r\n"},
		{"commands before login", "x NOOP\r\n", 1, imapLoginTimeout, "* BYE nothing was heard for too long\r\n"},
		{"in a command", "x LOG", 0, imapCommandTimeout, "* BYE nothing was heard for too long\r\n"},
		{"in a literal", "x LOGIN {5}\r\nali", 1, imapCommandTimeout, "* BYE nothing was heard for too long\r\n"},
		{"in SASL", "x AUTHENTICATE PLAIN\r\n", 1, imapCommandTimeout, "* BYE nothing was heard for too long\r\n"},
		{"after login", login, 1, imapIdleTimeout, "* BYE nothing was heard for too long\r\n"},
		{"idle", login + "x SELECT INBOX\r\nx IDLE\r\n", 10, imapIdleTimeout, "* BYE nothing was heard for too long\r\n"},
		{"in a command after login", login + "x LIS", 1, imapCommandTimeout, "* BYE nothing was heard for too long\r\n"},
		{"taking nothing", login + "x NOOP\r\n", 1, imapWriteTimeout, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, err := NewIMAP(Options{Backend: newIMAPBox(imapPlainMail), Hostname: "h", InsecureLogin: true, Changes: NewChanges()})
				if err != nil {
					t.Fatal(err)
				}
				near, far := net.Pipe()
				began := time.Now()
				var took time.Duration
				var wg sync.WaitGroup
				wg.Go(func() { s.ServeConn(far); took = time.Since(began) })
				in := bufio.NewReader(near)
				if _, err := in.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
				wg.Go(func() { io.WriteString(near, tt.send) })
				for range tt.lines {
					if _, err := in.ReadString('\n'); err != nil {
						t.Fatal(err)
					}
				}
				if tt.last != "" {
					if rest, _ := io.ReadAll(in); string(rest) != tt.last {
						t.Errorf("got %q", rest)
					}
				}
				wg.Wait()
				if took != tt.after {
					t.Errorf("ended after %v, want %v", took, tt.after)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				near.Close()
			})
		})
	}
}

func TestIMAPConnections(t *testing.T) {
	t.Parallel()
	s := newIMAPServer(t, newIMAPBox(), nil)
	for range imapMaxConnections - 1 {
		dialIMAP(t, s)
	}
	last := dialIMAP(t, s)
	conn := pipeIMAP(t, s)
	if got, _ := io.ReadAll(conn); string(got) != "* BYE too many connections\r\n" {
		t.Errorf("got %q", got)
	}
	if got := last.do("LOGOUT"); !strings.HasSuffix(got, "x OK done\r\n") || last.line() != "" {
		t.Errorf("got %q", got)
	}
}

func TestIMAPFaults(t *testing.T) {
	t.Parallel()
	for _, open := range []func(testing.TB, *IMAPServer) *imapDialogue{dialIMAP, openIMAP} {
		d := open(t, newIMAPServer(t, newIMAPBox(), nil))
		for range imapMaxFaults {
			d.do("XYZZY")
		}
		d.want("NOOP", "* BYE too many commands that are none\n")
	}
}

// Close lets the command under way end, says BYE, and waits.
func TestIMAPClose(t *testing.T) {
	t.Parallel()
	server, _ := imapTLS(t)
	s := newIMAPServer(t, newIMAPBox(strings.Repeat("x", 1<<20)), nil)
	idle, login, logged := openIMAP(t, s), dialIMAP(t, s), openIMAP(t, s)
	idle.send("x IDLE\r\n")
	idle.line()
	addr := listenIMAP(t, s, server)
	silent, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	for _, d := range []*imapDialogue{idle, login, logged} {
		if got := d.answer(); got != "* BYE the server is closing\r\n" {
			t.Errorf("got %q", got)
		}
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := pipeIMAP(t, s).Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("got %v", err)
	}
}

// A client that takes nothing holds Close up for a second, a Backend that does
// not end for five.
func TestIMAPCloseStuck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &imapStuckBox{imapBox: newIMAPBox(imapPlainMail), let: make(chan struct{})}
		s, err := NewIMAP(Options{Backend: b, Hostname: "h", InsecureLogin: true})
		if err != nil {
			t.Fatal(err)
		}
		near, far := net.Pipe()
		var wg sync.WaitGroup
		wg.Go(func() { s.ServeConn(far) })
		in := bufio.NewReader(near)
		began := time.Now()
		in.ReadString('\n')
		io.WriteString(near, "x LOGIN alice \"open it\"\r\nx NOOP\r\n")
		synctest.Wait()
		if err := s.Close(); err == nil || !strings.Contains(err.Error(), "1 sessions still busy") {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took != imapCloseGrace {
			t.Errorf("took %v", took)
		}
		close(b.let)
		wg.Wait()
		near.Close()
	})
	synctest.Test(t, func(t *testing.T) {
		s, err := NewIMAP(Options{Backend: newIMAPBox(), Hostname: "h"})
		if err != nil {
			t.Fatal(err)
		}
		near, far := net.Pipe()
		var wg sync.WaitGroup
		wg.Go(func() { s.ServeConn(far) })
		synctest.Wait() // It writes the greeting, which nobody reads.
		began := time.Now()
		if err := s.Close(); err != nil || time.Since(began) != imapGoodbye {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
		wg.Wait()
		near.Close()
	})
}

// imapStuckBox takes its time for a login.
type imapStuckBox struct {
	*imapBox
	let chan struct{}
}

func (b *imapStuckBox) Login(context.Context, Login) (Mailbox, error) {
	<-b.let
	return nil, ErrLogin
}

// FuzzIMAP sends octets, before the login or after it. The session must end
// without a panic, and must answer in lines.
func FuzzIMAP(f *testing.F) {
	for _, seed := range []string{
		"x SELECT INBOX\r\nx FETCH 1:* (BODYSTRUCTURE ENVELOPE BODY[1.HEADER] BODY[HEADER.FIELDS (a)]<1.2>)\r\n",
		"x EXAMINE INBOX\r\nx UID SEARCH OR SMALLER 5 NOT (FROM {3+}\r\nabc) 1:*,*:4\r\n",
		"x SELECT INBOX\r\nx STORE 1:* +FLAGS (\\Deleted a)\r\nx EXPUNGE\r\nx IDLE\r\nDONE\r\nx LOGOUT\r\n",
		"x LIST \"\" (a %*%) RETURN (STATUS (MESSAGES))\r\nx APPEND INBOX {3+}\r\nabc\r\nx ID (\"name\" NIL)\r\n",
		"x CREATE a {12+}\r\nx LOGOUT\r\nx\"\r\nx NOOP\rx NOOP\n\x00 {9}\r\n",
		"x SELECT INBOX\r\nx STATUS INBOX (SIZE)\r\nx UID STORE * -FLAGS.SILENT \\Seen\r\nx CLOSE\r\nx NAMESPACE\r\n",
	} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, octets []byte, before bool) {
		b := newIMAPBox(imapPlainMail, crlf(imapTree0), "\x00")
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, nil))
		s, err := NewIMAP(Options{Backend: b, Hostname: "h", InsecureLogin: true, Changes: NewChanges(), Logger: logger})
		if err != nil {
			t.Fatal(err)
		}
		near, far := net.Pipe()
		watched := &imapWatched{Conn: far}
		var wg sync.WaitGroup
		wg.Go(func() { s.ServeConn(watched) })
		wg.Go(func() { io.Copy(io.Discard, near) })
		if !before {
			io.WriteString(near, "x LOGIN alice \"open it\"\r\n")
		}
		near.Write(octets)
		near.Close()
		wg.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if strings.Contains(log.String(), "panicked") {
			t.Error(log.String())
		}
		if !strings.HasSuffix(watched.tail, "\r\n") && watched.failed == nil {
			t.Errorf("ended in the middle of a line: %q", watched.tail)
		}
	})
}

// imapWatched keeps the end of what was written.
type imapWatched struct {
	net.Conn
	tail   string
	failed error
}

func (w *imapWatched) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	w.tail, w.failed = string(p[:n]), err
	return n, err
}

// FuzzIMAPCommand holds what go-imap gets to its form, by which it cannot lose
// its place.
func FuzzIMAPCommand(f *testing.F) {
	for _, seed := range []string{
		"x NOOP\r\n", "x LOGIN {3+}\r\na\"b \"c\"\r\n", "x a {2+}\r\n\r\n {0+}\r\n\r\n", "x a \"{3+}\r\nb\"\r\n", "x a \"\\{1+}\r\n\"\r\n", "x UID SEARCH SMALLER 1\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, octets []byte) {
		s, err := NewIMAP(Options{Backend: newIMAPBox(), Hostname: "h"})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		near, far := net.Pipe()
		var wg sync.WaitGroup
		wg.Go(func() { io.Copy(io.Discard, near) })
		wg.Go(func() { near.Write(octets); near.Close() })
		c := newIMAPConn(s, far)
		for {
			line, err := c.next()
			if err != nil {
				break
			}
			text, ok := strings.CutSuffix(string(line), "\r\n")
			if !ok || strings.ContainsAny(text, "\r\n\x00") || !imapQuotesEnd(text) || imapLiteral.MatchString(text) || len(line) > imapMaxCommand+2*imapMaxTag {
				t.Fatalf("go-imap got %q", line)
			}
		}
		c.Close()
		wg.Wait()
	})
}
