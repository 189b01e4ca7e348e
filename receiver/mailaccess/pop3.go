package mailaccess

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	// pop3Connections is how many clients are served at a time; the others are
	// told to come again.
	pop3Connections = 1000
	// pop3Idle is how long a client may take for its next command (RFC 1939
	// section 3: at least 10 minutes), or for a TLS handshake.
	pop3Idle = 10 * time.Minute
	// pop3Write is how long a client may leave a piece of an answer unread.
	pop3Write = time.Minute
)

// POP3Server serves POP3 (RFC 1939, with RFC 2449, 2595, 3206 and 5034) on
// connections and listeners it is handed. The caller must call Close.
//
// A client sees the mailbox as it was when it logged in. It is not locked:
// several clients may read it at once, and deletions of one are not seen by the
// others until they log in again. What a client deletes is gone when it has
// said QUIT, and else not.
//
// Messages are sent octet for octet. Only CRLF is a line end, so that a dot
// after a bare LF is not doubled; and where a message does not end in CRLF, one
// is added, because POP3 cannot do without. LIST does not count it.
type POP3Server struct {
	opts   Options
	ctx    context.Context // Handed to the Backend.
	cancel context.CancelFunc

	mu        sync.Mutex // Protects what follows.
	closed    bool
	listeners map[net.Listener]struct{}
	conns     map[net.Conn]struct{}
	sessions  int            // That ever were.
	running   sync.WaitGroup // Of ServeConn. Nothing is added once closed is set.
}

// NewPOP3 returns a server that serves nothing yet.
func NewPOP3(o Options) (*POP3Server, error) {
	o, err := o.complete(POP3)
	if err != nil {
		return nil, err
	}
	s := &POP3Server{opts: o, listeners: map[net.Listener]struct{}{}, conns: map[net.Conn]struct{}{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// Serve accepts connections on l until Close is called, and closes l. It
// returns after its last connection has ended: nil when the server was closed,
// else what went wrong with accepting.
func (s *POP3Server) Serve(l net.Listener) error {
	defer l.Close()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.listeners[l] = struct{}{}
	s.mu.Unlock()
	err := accepting{POP3, s.opts.Logger, s.ServeConn}.run(s.ctx, l)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
	return err
}

// ServeConn serves one connection, closes it, and returns. One of [tls.Listener]
// has TLS from the first octet.
func (s *POP3Server) ServeConn(c net.Conn) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		c.Close()
		return
	}
	s.running.Add(1)
	defer s.running.Done()
	s.conns[c] = struct{}{}
	full := len(s.conns) > pop3Connections
	s.sessions++
	id := fmt.Sprintf("pop3-%d", s.sessions)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, c)
	}()
	p := newPOP3Session(s, c, id)
	defer func() { p.rw.Close() }() // TLS too, where it was put over c.
	if full {
		p.say("-ERR [SYS/TEMP] too many connections, come again later")
		return
	}
	if conn, ok := c.(*tls.Conn); ok && p.handshake(conn) != nil {
		return
	}
	p.serve()
}

// Close stops accepting, ends every session, and waits for them. No message
// that a client has marked is deleted by that. Calls of the Backend are waited
// for; their context ends. It may be called again.
func (s *POP3Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.cancel()
	var errs []error
	for l := range s.listeners {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, fmt.Errorf("closing listener %s: %w", l.Addr(), err))
		}
	}
	clear(s.listeners)
	for c := range s.conns {
		if conn, ok := c.(*tls.Conn); ok {
			c = conn.NetConn() // Closing TLS would wait for the client to read of it.
		}
		c.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
	return errors.Join(errs...)
}
