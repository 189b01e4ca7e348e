package smtpserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"
)

// closeGrace is how long Close waits for Backend calls before it gives them up.
const closeGrace = 5 * time.Second

// Server serves SMTP on connections and listeners it is handed. The caller must
// call Close or Shutdown.
type Server struct {
	opts   Options
	ctx    context.Context // Handed to the Backend.
	cancel context.CancelFunc

	mu        sync.Mutex // Protects what follows.
	course    course
	listeners map[net.Listener]struct{}
	wires     map[*wire]struct{}
	held      int64         // Octets of messages that count against Options.MaxHeld.
	drained   chan struct{} // Closed when the server stops and no connection is left.

	joining sync.Mutex // Held while a session has a large message twice.
	spares  sync.Pool  // Of *[maxPiece]byte. Garbage would outweigh what is held.
}

// course says how far a server is on its way to an end.
type course int

const (
	serving  course = iota
	draining        // Connections end at the next command; messages under way are finished.
	closing         // Connections end at the next read.
)

// New returns a server that serves nothing yet.
func New(o Options) (*Server, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{
		opts:      o,
		listeners: make(map[net.Listener]struct{}),
		wires:     make(map[*wire]struct{}),
		drained:   make(chan struct{}),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// Serve accepts connections on l until Close or Shutdown is called, and closes
// l. It returns after its last connection has ended: nil when the server was
// stopped, else what went wrong with accepting.
func (s *Server) Serve(l net.Listener) error {
	var conns sync.WaitGroup
	defer conns.Wait()
	defer l.Close()
	s.mu.Lock()
	if s.course != serving {
		s.mu.Unlock()
		return nil
	}
	s.listeners[l] = struct{}{}
	s.mu.Unlock()

	for pause := time.Duration(0); ; {
		c, err := l.Accept()
		if err == nil {
			pause = 0
			conns.Go(func() { s.ServeConn(c) })
			continue
		}
		if s.stopping() {
			return nil
		}
		if !passes(err) {
			s.mu.Lock()
			delete(s.listeners, l)
			s.mu.Unlock()
			return fmt.Errorf("accepting SMTP connection on %s: %w", l.Addr(), err)
		}
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		s.opts.Logger.Warn("accepting SMTP connection", "error", err, "pause", pause)
		select {
		case <-time.After(pause):
		case <-s.drained:
		}
	}
}

// passes says whether accepting may work again after a while: a client has gone
// away already, or the machine has run out of something.
func passes(err error) bool {
	return slices.ContainsFunc([]syscall.Errno{
		syscall.ECONNABORTED, syscall.ECONNRESET, syscall.EINTR, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM,
	}, func(e syscall.Errno) bool { return errors.Is(err, e) })
}

// ServeConn serves one connection, closes it, and returns. The client's address
// is that of c.RemoteAddr(), if it has the form of an IP address and port.
func (s *Server) ServeConn(c net.Conn) {
	w := newWire(s, c)
	full, ok := s.add(w)
	if !ok {
		c.Close()
		return
	}
	defer s.remove(w)
	if full {
		// Without lingering: nobody must hold more connections than there are.
		w.reply(replyBusy)
		w.Close()
		return
	}
	w.serve()
}

// add counts w among the connections. ok is false if the server has stopped;
// full is true if w is one too many.
func (s *Server) add(w *wire) (full, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.course != serving {
		return false, false
	}
	s.wires[w] = struct{}{}
	return len(s.wires) > s.opts.MaxConnections, true
}

func (s *Server) remove(w *wire) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.wires, w)
	s.checkDrained()
}

// checkDrained closes drained if it is time. s.mu is held.
func (s *Server) checkDrained() {
	if s.course == serving || len(s.wires) > 0 {
		return
	}
	select {
	case <-s.drained:
	default:
		close(s.drained)
	}
}

// hold counts n more octets as held, or, if n is negative, fewer. It is false,
// and changes nothing, if that is too many.
func (s *Server) hold(n int64) bool {
	if n == 0 {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n > s.opts.MaxHeld-s.held {
		return false
	}
	s.held += n
	return true
}

func (s *Server) stopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.course != serving
}

// Shutdown stops accepting, tells clients that are not sending a message 421,
// and waits until those that are have had their answer. When ctx ends first,
// it ends the context of Backend calls, closes as Close does, and returns an
// error that wraps ctx's.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.stop(draining)
	select {
	case <-s.drained:
		s.cancel()
		return err
	case <-ctx.Done():
		s.cancel()
		return errors.Join(err, fmt.Errorf("shutting down SMTP server: %w", ctx.Err()), s.Close())
	}
}

// Close stops accepting, tells every client 421 as soon as it waits for it,
// in the middle of a message too, and waits for Backend calls to return and
// be answered. It gives up on those after five seconds: their context ends,
// their connections are closed, and an error says so. It may be called again.
func (s *Server) Close() error {
	err := s.stop(closing)
	grace := time.NewTimer(closeGrace)
	defer grace.Stop()
	select {
	case <-s.drained:
		s.cancel()
		return err
	case <-grace.C:
	}
	s.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.wires {
		w.sock.Close()
	}
	if n := len(s.wires); n > 0 {
		err = errors.Join(err, fmt.Errorf("closing SMTP server: %d sessions still busy after %v", n, closeGrace))
	}
	return err
}

// stop moves the server further on its course, and every connection with it.
func (s *Server) stop(c course) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.course = max(s.course, c)
	var errs []error
	for l := range s.listeners {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, fmt.Errorf("closing listener %s: %w", l.Addr(), err))
		}
	}
	clear(s.listeners)
	for w := range s.wires {
		w.stop(s.course)
	}
	s.checkDrained()
	return errors.Join(errs...)
}
