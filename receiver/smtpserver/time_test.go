package smtpserver

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const timedOut = "451 4.4.2 Timeout - closing connection. ID - gsmtp"

// bubble starts a session for a test in a synctest bubble, without cleanups
// that would run outside it.
func bubble(t *testing.T, b Backend) (c *client, s *Server, end func()) {
	s, err := New(Options{Backend: b, Hostname: "mx.gmail.test", IdleTimeout: time.Minute, DataTimeout: 10 * time.Second,
		Now: func() time.Time { return time.Unix(1726000000, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	served := make(chan struct{})
	go func() { defer close(served); s.ServeConn(addrConn{far, tcpAddr("127.0.0.1")}) }()
	c = &client{t: t, conn: near, in: bufio.NewReader(near)}
	c.wantCode("220")
	return c, s, func() {
		near.Close()
		<-served
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestIdleClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _, end := bubble(t, &box{})
		defer end()
		c.hello()
		time.Sleep(59 * time.Second)
		c.cmd("NOOP", "250")
		start := time.Now()
		c.want(timedOut)
		if d := time.Since(start); d != time.Minute {
			t.Errorf("after %v", d)
		}
		c.wantEOF()
	})
}

// TestSlowData: go-smtp alone sets the deadline once for the whole message, and
// a message that takes longer in all is lost.
func TestSlowData(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &box{}
		c, _, end := bubble(t, b)
		defer end()
		c.envelope()
		c.cmd("DATA", "354")
		for range 50 {
			time.Sleep(9 * time.Second)
			c.send("x\r\n")
		}
		c.cmd(".", "250")
		c.cmd("MAIL FROM:<>", "250")
		c.cmd("RCPT TO:<u@gmail.test>", "250")
		c.send("BDAT 50 LAST\r\n")
		for range 50 {
			time.Sleep(9 * time.Second)
			c.send("y")
		}
		c.wantCode("250")
		if mails := b.all(); len(mails) != 2 || len(mails[0].raw) != 150 || len(mails[1].raw) != 50 {
			t.Errorf("got %+v", mails)
		}
	})
}

// TestStalledData: go-smtp alone answers 554 and runs what comes after the
// pause as commands.
func TestStalledData(t *testing.T) {
	t.Parallel()
	for _, start := range []string{"DATA\r\n", "BDAT 100\r\n", "BDAT 0\r\nBDAT 50 LAST\r\n"} {
		t.Run(start[:6], func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := &box{}
				c, _, end := bubble(t, b)
				defer end()
				c.envelope()
				c.send(start + "Subject: x\r\n")
				switch start {
				case "DATA\r\n":
					c.wantCode("354")
				case "BDAT 100\r\n":
				default:
					c.wantCode("250")
				}
				begin := time.Now()
				c.want(timedOut)
				if d := time.Since(begin); d != 10*time.Second {
					t.Errorf("after %v", d)
				}
				c.wantEOF()
				if _, err := io.WriteString(c.conn, "QUIT\r\n"); err == nil {
					t.Error("the connection is still read")
				}
				if len(b.all()) != 0 {
					t.Errorf("delivered: %+v", b.all())
				}
			})
		})
	}
}

// TestDrip: a client that never falls silent for long holds its session no
// longer than a command or a message may take.
func TestDrip(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, start, piece string
		want               time.Duration
	}{
		{"DATA", "DATA\r\n", "x\r\n", defaultMessageTimeout},
		{"a chunk", "BDAT 1000000\r\n", "x", defaultMessageTimeout},
		{"many chunks", "BDAT 1\r\nx", "BDAT 1\r\nx", defaultMessageTimeout},
		{"commands between chunks", "BDAT 1\r\nx", "NOOP\r\n", defaultMessageTimeout},
		{"a refused chunk", "RSET\r\nBDAT 1000000\r\n", "x", defaultMessageTimeout},
		{"a chunk of a message too large", "BDAT 1\r\nxBDAT 157286400\r\n", "x", defaultMessageTimeout},
		{"a command", "NOOP ", "x", time.Minute},
		{"a long command", "NOOP " + strings.Repeat("x", 2*readBuffer), "x", time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := &box{}
				c, _, end := bubble(t, b)
				defer end()
				c.envelope()
				begin := time.Now()
				c.send(tt.start)
				stop := c.drip(tt.piece, 9*time.Second)
				var last string
				for {
					got, err := c.reply()
					if err != nil {
						break
					}
					last = got
				}
				if d := time.Since(begin); last != timedOut || d != tt.want {
					t.Errorf("got %q in the end, after %v", last, d)
				}
				stop()
				if len(b.all()) != 0 {
					t.Errorf("delivered: %+v", b.all())
				}
			})
		})
	}
}

// TestCommandsWithoutMessage end the session, if there are very many.
func TestCommandsWithoutMessage(t *testing.T) {
	t.Parallel()
	const expired = "421 4.7.0 "
	const most = maxIdle + defaultMaxRecipients
	idle := strings.Repeat("NOOP\r\n", most-3)
	mail := "MAIL FROM:<>\r\nRCPT TO:<u@gmail.test>\r\n"
	b := &box{}
	got := converse(newServer(t, b, nil), strings.NewReader("HELO c\r\n"+
		strings.Repeat(mail+"BDAT 0\r\n"+idle+strings.Repeat("BDAT 1\r\nx", most)+"BDAT 0 LAST\r\n"+idle, 2)))
	if len(b.all()) != 2 || said(got, expired) {
		t.Errorf("%d messages delivered, said in the end: %s", len(b.all()), got[len(got)-200:])
	}
	got = converse(newServer(t, b, nil), strings.NewReader("HELO c\r\n"+idle+mail+"NOOP\r\nNOOP\r\n"))
	if !said(got, expired) || strings.Count(got, "250 2.0.0 OK ") != most-3 {
		t.Errorf("said in the end: %s", got[len(got)-200:])
	}
}

// TestManyRecipients: as many as a transaction may have are no commands too many,
// nor are keep-alives beside them.
func TestManyRecipients(t *testing.T) {
	t.Parallel()
	const n = 10 * maxIdle
	var in strings.Builder
	in.WriteString("EHLO c\r\n" + strings.Repeat("NOOP\r\n", maxIdle/2) + "MAIL FROM:<>\r\n")
	for i := range n {
		fmt.Fprintf(&in, "RCPT TO:<u%d@gmail.test>\r\n", i)
	}
	in.WriteString("RCPT TO:<more@gmail.test>\r\nBDAT 1 LAST\r\nxQUIT\r\n")
	b := &box{}
	got := converse(newServer(t, b, func(o *Options) { o.MaxRecipients = n }), strings.NewReader(in.String()))
	if !said(got, "452 4.5.3 ") || !said(got, "221 ") {
		t.Fatalf("said in the end: %s", got[max(0, len(got)-200):])
	}
	if m := b.one(t); len(m.Rcpts) != n || m.Rcpts[n-1] != fmt.Sprintf("u%d@gmail.test", n-1) {
		t.Errorf("%d recipients", len(m.Rcpts))
	}
}

// TestClientThatDoesNotRead holds up neither its session for ever nor Close.
func TestClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _, end := bubble(t, &box{})
		c.hello()
		c.send("NOOP\r\n")
		time.Sleep(time.Minute + time.Second)
		if _, err := io.WriteString(c.conn, "NOOP\r\n"); err == nil {
			t.Error("the connection is still read")
		}
		end()
	})
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Options{Backend: &box{}, Hostname: "mx.gmail.test"})
		if err != nil {
			t.Fatal(err)
		}
		near, far := net.Pipe()
		served := make(chan struct{})
		go func() { defer close(served); s.ServeConn(far) }()
		synctest.Wait() // The greeting waits to be read.
		start := time.Now()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if d := time.Since(start); d > goodbyeTimeout {
			t.Errorf("Close took %v", d)
		}
		<-served
		near.Close()
	})
}

// TestCloseGivesUp: a Backend that heeds nothing cannot hold up Close for ever.
func TestCloseGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		leave := make(chan struct{})
		s, err := New(Options{Backend: &box{onRcpt: func(context.Context, *Envelope, string) *Reply {
			<-leave
			return nil
		}}, Hostname: "mx.gmail.test"})
		if err != nil {
			t.Fatal(err)
		}
		near, far := net.Pipe()
		served := make(chan struct{})
		go func() { defer close(served); s.ServeConn(far) }()
		c := &client{t: t, conn: near, in: bufio.NewReader(near)}
		c.wantCode("220")
		c.hello()
		c.cmd("MAIL FROM:<>", "250")
		c.send("RCPT TO:<u@gmail.test>\r\n")
		synctest.Wait()
		start := time.Now()
		if err := s.Close(); err == nil {
			t.Error("no error")
		}
		if d := time.Since(start); d != closeGrace {
			t.Errorf("Close took %v", d)
		}
		c.wantEOF()
		close(leave)
		<-served
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}
