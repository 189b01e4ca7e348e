package mailaccess

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// popBox is a Backend with one mailbox, of user alice with password "open it".
type popBox struct {
	onRead func(ctx context.Context) error
	mails  []string

	mu     sync.Mutex
	events []Event
}

func (b *popBox) Login(_ context.Context, l Login) (Mailbox, error) {
	switch {
	case l.User == "panic":
		panic("open it")
	case l.User == "down":
		return nil, errors.New("disk on fire")
	case l.User != "alice" || l.Password != "open it":
		return nil, fmt.Errorf("looking up: %w", ErrLogin)
	}
	return b, nil
}

func (b *popBox) Accessed(e Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, e)
}

// said returns the events, one a line.
func (b *popBox) said() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var s strings.Builder
	for _, e := range b.events {
		fmt.Fprintf(&s, "%s %s %s %q %q %v\n", e.ID, e.TLS, e.Kind, e.User, e.Message, e.Whole)
	}
	return s.String()
}

func (b *popBox) Name() string { return "alice" }

func (b *popBox) Messages(context.Context) ([]Message, error) {
	var list []Message
	for i, raw := range b.mails {
		list = append(list, Message{ID: fmt.Sprint("id", i+1), UID: uint32(i + 1), Size: int64(len(raw))})
	}
	return list, nil
}

func (b *popBox) Read(ctx context.Context, id string) ([]byte, error) {
	if b.onRead != nil {
		if err := b.onRead(ctx); err != nil {
			return nil, err
		}
	}
	var i int
	_, err := fmt.Sscanf(id, "id%d", &i)
	return []byte(b.mails[i-1]), err
}

func newPOP3Box() *popBox {
	return &popBox{mails: []string{"From: a\r\n\r\n.dot\r\nlast\r\n", "no header", "", "Only: header\r\n.\r\n"}}
}

// newPOP3Server makes a server that is closed with the test.
func newPOP3Server(t testing.TB, b Backend, change func(*Options)) *POP3Server {
	t.Helper()
	o := Options{Backend: b, Hostname: "pop.gmail.test", InsecureLogin: true, Changes: NewChanges()}
	if change != nil {
		change(&o)
	}
	s, err := NewPOP3(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// popClient is the other end of a connection.
type popClient struct {
	t      testing.TB
	conn   net.Conn
	in     *bufio.Reader
	served chan struct{} // Closed when the server is done with it.
}

// dialPOP3 serves one end of a pipe, and reads the greeting from the other.
func dialPOP3(t testing.TB, s *POP3Server) *popClient {
	t.Helper()
	near, far := net.Pipe()
	done := make(chan struct{})
	go func() { defer close(done); s.ServeConn(far) }()
	t.Cleanup(func() { near.Close(); <-done })
	c := &popClient{t, near, bufio.NewReader(near), done}
	c.want("+OK pop.gmail.test POP3 server ready\r\n")
	return c
}

// want reads exactly these octets, or "EOF" for the end.
func (c *popClient) want(want string) {
	c.t.Helper()
	if want == "EOF" {
		if b, err := io.ReadAll(c.in); len(b) > 0 || err != nil {
			c.t.Fatalf("got %q, %v, want the end", b, err)
		}
		return
	}
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c.in, got); string(got) != want {
		c.t.Fatalf("got %q, %v, want %q", got[:n], err, want)
	}
}

// do sends octets and reads the answer.
func (c *popClient) do(said, want string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, said); err != nil {
		c.t.Fatalf("sending %.60q: %v", said, err)
	}
	c.want(want)
}
