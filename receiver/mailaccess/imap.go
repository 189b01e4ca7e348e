package mailaccess

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
)

const (
	// imapMaxConnections bounds the connections of a server: more than the
	// clients of any test, and some 30 MB at most while they are idle.
	imapMaxConnections = 1000
	// imapCloseGrace is how long Close waits for sessions.
	imapCloseGrace = 5 * time.Second
	// imapGoodbye is how long a client may take for what is still written to it
	// once the server closes.
	imapGoodbye = time.Second
)

// Watcher is a Mailbox that says when it changes. With it, a client that waits
// (IDLE, RFC 2177) is told of a new message at once; without it, when it stops
// waiting.
type Watcher interface {
	Mailbox
	// Changed returns a channel that is closed as soon as Messages returns
	// something else than it did at the time of the call. When ctx ends, nobody
	// waits for the channel any more.
	Changed(ctx context.Context) <-chan struct{}
}

// IMAPServer serves IMAP4rev1 (RFC 3501) on connections and listeners it is
// handed: one mailbox for each login, INBOX. The caller must call Close.
//
// What a client gets of a message is a slice of what [Mailbox] returns, never
// written anew. ENVELOPE and BODYSTRUCTURE are made from what could be read of
// the header fields. SEARCH looks for text, without regard to case, in the
// octets as they came and in the decoded header fields and text parts. No message
// is ever \Recent. UIDVALIDITY is 1 for good, because a Mailbox never uses a UID
// again.
//
// go-imap carries out commands after the login, one at a time. What it leaves
// open is closed before it gets them: it sees no literal, no line that is not
// complete, and no more than imapMaxCommand octets of a command.
type IMAPServer struct {
	opts   Options
	ctx    context.Context // Handed to the Backend.
	cancel context.CancelFunc
	lib    *imapserver.Server

	mu        sync.Mutex // Protects what follows.
	closing   time.Time  // When Close was called; zero before.
	sessions  uint64     // How many there have been.
	listeners map[net.Listener]struct{}
	conns     map[*imapConn]struct{}
	drained   chan struct{} // Closed when the server closes and no connection is left.
}

// NewIMAP returns a server that serves nothing yet.
func NewIMAP(o Options) (*IMAPServer, error) {
	o, err := o.complete(IMAP)
	if err != nil {
		return nil, err
	}
	s := &IMAPServer{
		opts:      o,
		listeners: map[net.Listener]struct{}{},
		conns:     map[*imapConn]struct{}{},
		drained:   make(chan struct{}),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.lib = imapserver.New(&imapserver.Options{
		NewSession: func(c *imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return newIMAPSession(c.NetConn().(*imapConn)), &imapserver.GreetingData{PreAuth: true}, nil
		},
		Caps:   imap.CapSet{imap.CapIMAP4rev1: {}},
		Logger: imapLog{o.Logger},
	})
	return s, nil
}

// Serve accepts connections on l until Close is called, and closes l. It
// returns after its last connection has ended: nil when the server was closed,
// else what went wrong with accepting.
func (s *IMAPServer) Serve(l net.Listener) error {
	defer l.Close()
	s.mu.Lock()
	if !s.closing.IsZero() {
		s.mu.Unlock()
		return nil
	}
	s.listeners[l] = struct{}{}
	s.mu.Unlock()
	err := accepting{IMAP, s.opts.Logger, s.ServeConn}.run(s.ctx, l)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
	return err
}

// ServeConn serves one connection, closes it, and returns. A *[tls.Conn] has
// TLS from the first octet. The client's address is that of c.RemoteAddr(), if
// it has the form of an IP address and port.
func (s *IMAPServer) ServeConn(c net.Conn) {
	conn := newIMAPConn(s, c)
	full, ok := s.add(conn)
	if !ok {
		c.Close()
		return
	}
	defer s.remove(conn)
	conn.serve(full)
}

// add counts c among the connections. ok is false if the server has closed; full
// is true if c is one too many.
func (s *IMAPServer) add(c *imapConn) (full, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closing.IsZero() {
		return false, false
	}
	s.sessions++
	c.about.ID = "imap-" + strconv.FormatUint(s.sessions, 10)
	s.conns[c] = struct{}{}
	return len(s.conns) > imapMaxConnections, true
}

func (s *IMAPServer) remove(c *imapConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.checkDrained()
}

// checkDrained closes drained if it is time. s.mu is held.
func (s *IMAPServer) checkDrained() {
	if s.closing.IsZero() || len(s.conns) > 0 {
		return
	}
	select {
	case <-s.drained:
	default:
		close(s.drained)
	}
}

func (s *IMAPServer) closes() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.closing.IsZero()
}

// Close stops accepting, ends the context of Backend calls, tells every client
// BYE after the command that it is waiting for, and waits for all sessions. It
// gives up after five seconds: their connections are closed, and an error says
// so. It may be called again.
func (s *IMAPServer) Close() error {
	s.cancel()
	err := s.stop()
	grace := time.NewTimer(imapCloseGrace)
	defer grace.Stop()
	select {
	case <-s.drained:
		return err
	case <-grace.C:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.sock.Close()
	}
	if n := len(s.conns); n > 0 {
		err = errors.Join(err, fmt.Errorf("closing IMAP server: %d sessions still busy after %v", n, imapCloseGrace))
	}
	return err
}

// stop closes the listeners and has every session end.
func (s *IMAPServer) stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.IsZero() {
		s.closing = time.Now()
	}
	var errs []error
	for l := range s.listeners {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, fmt.Errorf("closing listener %s: %w", l.Addr(), err))
		}
	}
	clear(s.listeners)
	for c := range s.conns {
		s.limitRead(c, 0)
		s.limitWrite(c)
	}
	s.checkDrained()
	return errors.Join(errs...)
}

// limitRead has reads from c end after d, and at once when the server closes.
// s.mu is held: a session must not put off what Close has set.
func (s *IMAPServer) limitRead(c *imapConn, d time.Duration) {
	deadline := time.Now().Add(d)
	if !s.closing.IsZero() {
		deadline = s.closing
	}
	_ = c.sock.SetReadDeadline(deadline) // It fails if the connection is closed, which reading then tells.
}

// limitWrite has writes to c end after imapWriteTimeout, and soon when the server
// closes. s.mu is held.
func (s *IMAPServer) limitWrite(c *imapConn) {
	deadline := time.Now().Add(imapWriteTimeout)
	if !s.closing.IsZero() {
		deadline = s.closing.Add(imapGoodbye)
	}
	_ = c.sock.SetWriteDeadline(deadline) // As in limitRead.
}

// imapLog is the log of go-imap: of clients that go away in the middle of
// something, and of panics, after which it ends the session.
type imapLog struct{ log *slog.Logger }

func (l imapLog) Printf(format string, args ...any) {
	if strings.HasPrefix(format, "panic") && len(args) == 2 {
		// Its value is not logged: it may quote mail.
		l.log.Error("IMAP session panicked", "type", fmt.Sprintf("%T", args[0]), "stack", fmt.Sprintf("%s", args[1]))
		return
	}
	l.log.Debug("serving IMAP", "go-imap", fmt.Sprintf(format, args...))
}
