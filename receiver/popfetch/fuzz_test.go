package popfetch

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// canned is a connection to a server that says what it says, whatever it is
// told.
type canned struct {
	in  io.Reader
	out bytes.Buffer
}

func (c *canned) Read(p []byte) (int, error)       { return c.in.Read(p) }
func (c *canned) Write(p []byte) (int, error)      { return c.out.Write(p) }
func (c *canned) Close() error                     { return nil }
func (c *canned) LocalAddr() net.Addr              { return textAddr("127.0.0.1:1") }
func (c *canned) RemoteAddr() net.Addr             { return textAddr("127.0.0.1:110") }
func (c *canned) SetDeadline(time.Time) error      { return nil }
func (c *canned) SetReadDeadline(time.Time) error  { return nil }
func (c *canned) SetWriteDeadline(time.Time) error { return nil }

// FuzzServer: whatever a server says, what is deleted was stored, no message is
// larger than it may be, and every command is one line.
func FuzzServer(f *testing.F) {
	rest := strings.ReplaceAll("+OK\n+OK\nUIDL\n.\n+OK\n+OK\n+OK\n1 3\n2 3\n.\n+OK\n1 a\n2 a\n.\n+OK\na\n.\n+OK\n+OK\n..\n.\n+OK\n+OK\n", "\n", "\r\n")
	f.Add(rest, false)
	f.Add(strings.Replace(rest, "UIDL", "SASL PLAIN", 1), false)
	f.Add(rest[:40]+"-ERR [SYS/TEMP] x\r\n", true)
	f.Fuzz(func(t *testing.T, said string, keep bool) {
		src, sink := pipeSource(), &memSink{}
		src.Keep = keep
		c := &canned{in: strings.NewReader(said)}
		got, err := Fetch(context.Background(), src, sink, Options{MaxMessage: 100, MaxMessages: 3, Dial: func(context.Context, string, string) (net.Conn, error) {
			return c, nil
		}})
		deletes := 0
		for line := range strings.SplitAfterSeq(c.out.String(), "\r\n") {
			if strings.ContainsAny(strings.TrimSuffix(line, "\r\n"), "\r\n") || len(line) > maxCommand {
				t.Errorf("command %q", line)
			}
			if strings.HasPrefix(line, "DELE ") {
				deletes++
			}
		}
		if deletes > got.Fetched+got.Known || keep && deletes > 0 || got.Deleted > deletes || got.Fetched != len(sink.stored) || got.Fetched > 3 {
			t.Errorf("%d DELE, %+v, %v", deletes, got, err)
		}
		if total := got.Fetched + got.Known + got.Left + len(got.TooLarge) + len(got.Refused); err == nil && total < got.Listed {
			t.Errorf("%d of %d messages accounted for: %+v", total, got.Listed, got)
		}
		for _, m := range sink.stored {
			if len(m.raw) > 100 || !wellFormed(m.UID) || m.raw != "" && !strings.HasSuffix(m.raw, "\r\n") {
				t.Errorf("stored %+v", m)
			}
		}
	})
}

// FuzzMessage: a message comes out as it went in, through server and client.
func FuzzMessage(f *testing.F) {
	for _, s := range nasty()[:20] {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, mail string) {
		h := &house{mails: []string{mail}}
		s := newPeer(t, h, nil)
		near, far := net.Pipe()
		done := make(chan struct{})
		go func() { defer close(done); s.ServeConn(far) }()
		sink := &memSink{}
		_, err := Fetch(context.Background(), pipeSource(), sink, Options{Dial: func(context.Context, string, string) (net.Conn, error) {
			return near, nil
		}})
		<-done
		if mail != "" && !strings.HasSuffix(mail, "\r\n") {
			mail += "\r\n"
		}
		if err != nil || len(sink.stored) != 1 || sink.stored[0].raw != mail {
			t.Errorf("got %q, %v, want %q", sink.all(), err, mail)
		}
	})
}
