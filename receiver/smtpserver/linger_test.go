package smtpserver

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestLastReplyOverTCP: a client that is sending when the server hangs up can
// send on, reads the reply, and then an end, not a reset.
func TestLastReplyOverTCP(t *testing.T) {
	t.Parallel()
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pair := testTLS(t)
			c := dialTCP(t, newServer(t, &box{}, func(o *Options) { o.TLSConfig = pair.server }))
			tcp := c.conn
			if secure {
				c.hello()
				c.startTLS(pair.client)
			}
			c.hello()
			c.send("BDAT x LAST\r\n" + strings.Repeat("x", lingerOctets/2))
			c.want(syntaxBye)
			if got, err := c.reply(); err != io.EOF {
				t.Errorf("got %q, %v", got, err)
			}
			if _, err := tcp.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("the connection's end: %v", err)
			}
		})
	}
}

// halfPipe is one end of a pipe that says it can be closed for writing alone.
type halfPipe struct{ net.Conn }

func (halfPipe) CloseWrite() error { return nil }

// hungUp is the client of a session that lingers, in the middle of a message.
func hungUp(t *testing.T) (c *client, s *Server) {
	t.Helper()
	s = newServer(t, &box{}, nil)
	near, far := net.Pipe()
	served := make(chan struct{})
	go func() { defer close(served); s.ServeConn(halfPipe{far}) }()
	t.Cleanup(func() { near.Close(); <-served })
	c = &client{t: t, conn: near, in: bufio.NewReader(near)}
	c.wantCode("220 ")
	c.envelope()
	c.send("BDAT 1\r\nx")
	c.wantCode("250 2.0.0 ")
	c.send("BDAT x\r\n")
	c.wantCode("555-5.5.2 ")
	return c, s
}

func TestLingeringIsBounded(t *testing.T) {
	t.Parallel()
	t.Run("time", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, _ := hungUp(t)
			start := time.Now()
			stop := c.drip("x", time.Second)
			c.wantEOF()
			if d := time.Since(start); d != lingerTimeout {
				t.Errorf("after %v", d)
			}
			stop()
		})
	})
	t.Run("octets", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, _ := hungUp(t)
			n, err := io.Copy(c.conn, io.LimitReader(&endless{line: "x"}, 2*lingerOctets))
			if err == nil || n < lingerOctets || n > lingerOctets+64<<10 {
				t.Errorf("%d octets read, then %v", n, err)
			}
		})
	})
	t.Run("client that goes away", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, s := hungUp(t)
			start := time.Now()
			c.conn.Close()
			synctest.Wait()
			s.mu.Lock()
			defer s.mu.Unlock()
			if n := len(s.wires); n != 0 || !time.Now().Equal(start) {
				t.Errorf("%d sessions left", n)
			}
		})
	})
}

// TestLingeringDoesNotHoldUpClose, nor Shutdown, nor does a client that is
// being told of either.
func TestLingeringDoesNotHoldUpClose(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(*Server) error{
		"Close":    (*Server).Close,
		"Shutdown": func(s *Server) error { return s.Shutdown(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				_, s := hungUp(t)
				near, far := net.Pipe()
				served := make(chan struct{})
				go func() { defer close(served); s.ServeConn(halfPipe{far}) }()
				idle := &client{t: t, conn: near, in: bufio.NewReader(near)}
				idle.wantCode("220 ")
				synctest.Wait()
				start := time.Now()
				told := make(chan struct{})
				go func() { defer close(told); idle.want(shutDown) }()
				if err := stop(s); err != nil {
					t.Error(err)
				}
				if d := time.Since(start); d != 0 {
					t.Errorf("took %v", d)
				}
				<-told
				<-served
			})
		})
	}
}

// TestBusyServerDoesNotLinger: whoever comes when there are too many is not
// kept as one more.
func TestBusyServerDoesNotLinger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, &box{}, func(o *Options) { o.MaxConnections = 1 })
		dialPipe(t, s)
		near, far := net.Pipe()
		c := &client{t: t, conn: near, in: bufio.NewReader(near)}
		start := time.Now()
		go s.ServeConn(halfPipe{far})
		c.want(busy)
		c.wantEOF()
		if d := time.Since(start); d != 0 {
			t.Errorf("took %v", d)
		}
	})
}
