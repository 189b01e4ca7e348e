package mailaccess

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// popMemory is a connection whose client has said all it has to say.
type popMemory struct {
	net.Conn // Nil: for the address only, which is not asked for here.
	in       io.Reader
	out      bytes.Buffer
}

func (c *popMemory) Read(p []byte) (int, error)       { return c.in.Read(p) }
func (c *popMemory) Write(p []byte) (int, error)      { return c.out.Write(p) }
func (c *popMemory) Close() error                     { return nil }
func (c *popMemory) RemoteAddr() net.Addr             { return nil }
func (c *popMemory) SetDeadline(time.Time) error      { return nil }
func (c *popMemory) SetReadDeadline(time.Time) error  { return nil }
func (c *popMemory) SetWriteDeadline(time.Time) error { return nil }

// FuzzPOP3: whatever a client says, the session ends, every answer is
// well-formed, and nobody reads a mail who has not logged in.
func FuzzPOP3(f *testing.F) {
	f.Add("USER alice\r\nPASS open it\r\nLIST\r\nUIDL 1\r\nRETR 1\r\nTOP 1 1\r\nDELE 1\r\nRSET\r\nDELE 2\r\nQUIT\r\n")
	f.Add("AUTH PLAIN\r\nAGFsaWNlAG9wZW4gaXQ=\r\nSTAT\r\nSTLS\r\n")
	f.Add("CAPA\r\nSTLS\r\nUSER a\r\n")
	f.Fuzz(func(t *testing.T, said string) {
		b := newPOP3Box()
		b.mails = []string{"Secret: mail\r\n\r\n.x\r\n", "Secret: too"}
		s := newPOP3Server(t, b, nil)
		c := &popMemory{in: strings.NewReader(said)}
		s.ServeConn(c)
		out := c.out.String()
		if !strings.HasSuffix(out, "\r\n") {
			t.Errorf("got %q", out)
		}
		if strings.Contains(out, "Secret") && !strings.Contains(out, "+OK logged in\r\n") {
			t.Errorf("got mail without a login: %q", out)
		}
		if gone := 2 - len(s.opts.Changes.Keep("alice", []Message{{ID: "id1"}, {ID: "id2"}})); gone > strings.Count(strings.ToUpper(said), "DELE ") || gone > 0 && !strings.HasSuffix(out, "+OK bye\r\n") {
			t.Errorf("%d messages deleted: %q", gone, out)
		}
	})
}
