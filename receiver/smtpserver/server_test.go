package smtpserver

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
)

const busy = "421-4.4.5 Server busy, try again later. For more information, go to\n" +
	"421 4.4.5 " + helpPage + " ID - gsmtp"

const shutDown = "421-4.3.0 Temporary System Problem. Try again later. For more information, go to\n" +
	"421 4.3.0 " + helpPage + " ID - gsmtp"

// TestShutdownTellsIdleClients: go-smtp alone waits for them until the context
// ends, and then leaves them be; Close after that does nothing.
func TestShutdownTellsIdleClients(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(*Server) error{
		"Close":    (*Server).Close,
		"Shutdown": func(s *Server) error { return s.Shutdown(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, &box{}, nil)
			addr := listen(t, s)
			var clients []*client
			for i := range 3 {
				c := dialAddr(t, addr)
				c.wantCode("220")
				if i > 0 {
					c.hello()
				}
				if i > 1 {
					c.cmd("MAIL FROM:<>", "250")
				}
				clients = append(clients, c)
			}
			for range 2 { // The second does nothing.
				if err := stop(s); err != nil {
					t.Fatal(err)
				}
			}
			for _, c := range clients {
				c.want(shutDown)
				c.wantEOF()
			}
			if got := converse(s, strings.NewReader("NOOP\r\n")); got != "" {
				t.Errorf("still serving: %q", got)
			}
		})
	}
}

// TestShutdownFinishesMessage: a message under way is taken and answered, what
// follows it is not run.
func TestShutdownFinishesMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &box{}
		c, s, end := bubble(t, b)
		defer end()
		c.envelope()
		c.cmd("DATA", "354")
		done := make(chan error, 1)
		go func() { done <- s.Shutdown(context.Background()) }()
		synctest.Wait()
		c.send("x\r\n.\r\nNOOP\r\n")
		c.want(accepted)
		c.want(shutDown)
		c.wantEOF()
		if err := <-done; err != nil {
			t.Error(err)
		}
		b.one(t)
	})
}

// TestCloseInterruptsMessage: half a message is no message.
func TestCloseInterruptsMessage(t *testing.T) {
	t.Parallel()
	b := &box{}
	s := newServer(t, b, nil)
	c := dialPipe(t, s)
	c.envelope()
	c.cmd("DATA", "354")
	c.send("x\r\n")
	done := make(chan error, 1)
	go func() { done <- s.Close() }()
	c.want(shutDown)
	c.wantEOF()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if len(b.all()) != 0 {
		t.Errorf("delivered: %+v", b.all())
	}
}

// TestCloseWaitsForDelivery: what the Backend has stored is answered.
func TestCloseWaitsForDelivery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		leave := make(chan struct{})
		c, s, end := bubble(t, &box{onDeliver: func(context.Context, Envelope, []byte) Reply {
			<-leave
			return Reply{Code: 250}
		}})
		defer end()
		c.envelope()
		c.cmd("DATA", "354")
		c.send("x\r\n.\r\n")
		done := make(chan error, 1)
		go func() { done <- s.Close() }()
		synctest.Wait()
		close(leave)
		c.want(accepted)
		c.want(shutDown)
		c.wantEOF()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestShutdownWithStuckDelivery: the end of the context reaches the Backend.
func TestShutdownWithStuckDelivery(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	b := &box{onDeliver: func(ctx context.Context, _ Envelope, _ []byte) Reply {
		close(entered)
		<-ctx.Done()
		return Reply{Code: 451, Enhanced: "4.3.0", Lines: []string{"Not stored."}}
	}}
	s := newServer(t, b, nil)
	c := dialPipe(t, s)
	c.envelope()
	c.cmd("DATA", "354")
	c.send("x\r\n.\r\n")
	<-entered
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(ctx) }()
	c.want("451 4.3.0 Not stored. ID - gsmtp")
	c.want(shutDown)
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestMaxConnections(t *testing.T) {
	t.Parallel()
	s := newServer(t, &box{}, func(o *Options) { o.MaxConnections = 1 })
	addr := listen(t, s)
	first := dialAddr(t, addr)
	first.wantCode("220")
	second := dialAddr(t, addr)
	second.want(busy)
	second.wantEOF()
	first.cmd("NOOP", "250")
}

func TestServeReturnsAcceptError(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := newServer(t, &box{}, nil).Serve(l); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// TestManySessions: no session sees anything of another.
func TestManySessions(t *testing.T) {
	t.Parallel()
	b := &box{}
	s := newServer(t, b, nil)
	addr := listen(t, s)
	const sessions, messages = 8, 25
	var wg sync.WaitGroup
	for i := range sessions {
		c := dialAddr(t, addr)
		wg.Go(func() {
			if _, err := c.reply(); err != nil {
				t.Error(err)
				return
			}
			fmt.Fprintf(c.conn, "EHLO c%d.example\r\n", i)
			c.reply()
			for j := range messages {
				body := fmt.Sprintf("%d/%d %s\r\n", i, j, strings.Repeat("x", j*500))
				if j%2 == 0 {
					fmt.Fprintf(c.conn, "MAIL FROM:<s%d@b.example>\r\nRCPT TO:<r%d@gmail.test>\r\nDATA\r\n%s.\r\n", i, j, body)
				} else {
					fmt.Fprintf(c.conn, "MAIL FROM:<s%d@b.example>\r\nRCPT TO:<r%d@gmail.test>\r\nBDAT 3\r\n%sBDAT %d LAST\r\n%s", i, j, body[:3], len(body)-3, body[3:])
				}
				for range 4 {
					if _, err := c.reply(); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	seen := make(map[string]bool)
	for _, m := range b.all() {
		var i, j int
		if _, err := fmt.Sscanf(m.raw, "%d/%d", &i, &j); err != nil {
			t.Fatal(err)
		}
		seen[fmt.Sprintf("%d/%d", i, j)] = true
		if m.HELO != fmt.Sprintf("c%d.example", i) || m.From != fmt.Sprintf("s%d@b.example", i) || len(m.Rcpts) != 1 || m.Rcpts[0] != fmt.Sprintf("r%d@gmail.test", j) || len(m.raw) < j*500 {
			t.Errorf("mixed up: %+v", m)
		}
	}
	if len(seen) != sessions*messages {
		t.Errorf("got %d mails, want %d", len(seen), sessions*messages)
	}
}

func TestSessionIDs(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for range 1000 {
		id := newSessionID(rand.Reader)
		if sessionID.FindString(id) != id || seen[id] {
			t.Fatalf("id %q", id)
		}
		seen[id] = true
	}
}

// tiredListener fails twice for want of descriptors, then has one connection.
type tiredListener struct {
	failures int
	conn     net.Conn
	closed   chan struct{}
}

func (l *tiredListener) Accept() (net.Conn, error) {
	if l.failures++; l.failures <= 2 {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *tiredListener) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

func (l *tiredListener) Addr() net.Addr { return tcpAddr("127.0.0.1") }

func TestServeOutlivesLackOfDescriptors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Options{Backend: &box{}, Hostname: "mx.gmail.test"})
		if err != nil {
			t.Fatal(err)
		}
		near, far := net.Pipe()
		served := make(chan error, 1)
		go func() { served <- s.Serve(&tiredListener{conn: far, closed: make(chan struct{})}) }()
		c := &client{t: t, conn: near, in: bufio.NewReader(near)}
		c.wantCode("220")
		c.cmd("QUIT", "221")
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}
