package provider

import (
	"context"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// pipeListener is a listener in the process: what dials it is accepted by it,
// and no socket is opened. Scenarios use it, so that nothing of them leaves
// the process.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	close sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

// dial returns the client's end of a connection; the listener gets the other,
// which says that it comes from peer.
func (l *pipeListener) dial(ctx context.Context, peer net.Addr) (net.Conn, error) {
	client, server := net.Pipe()
	broken := new(atomic.Pointer[error])
	select {
	case l.conns <- &pipeConn{Conn: server, peer: peer, broken: broken}:
		return &pipeConn{Conn: client, peer: l.Addr(), broken: broken}, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements net.Listener.
func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *pipeListener) Close() error {
	l.close.Do(func() { close(l.done) })
	return nil
}

// Addr implements net.Listener.
func (l *pipeListener) Addr() net.Addr { return pipeAddr("in-process") }

// pipeAddr is the address of an end of a pipe.
type pipeAddr string

func (pipeAddr) Network() string  { return "pipe" }
func (a pipeAddr) String() string { return string(a) }

// peerAddr is the address that a client in the process claims.
func peerAddr(peer netip.Addr) net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(peer, 25025))
}

// pipeConn is one end of a connection in the process.
type pipeConn struct {
	net.Conn
	peer   net.Addr
	broken *atomic.Pointer[error] // What both ends fail with, once it is set.
}

// RemoteAddr implements net.Conn.
func (c *pipeConn) RemoteAddr() net.Addr { return c.peer }

// Read implements net.Conn.
func (c *pipeConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	return n, c.why(err)
}

// Write implements net.Conn.
func (c *pipeConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	return n, c.why(err)
}

// why is the reason of an error, if there is another one than it says.
func (c *pipeConn) why(err error) error {
	if err != nil && c.broken != nil {
		if why := c.broken.Load(); why != nil {
			return *why
		}
	}
	return err
}

// fail ends the connection so that the other end sees err.
func (c *pipeConn) fail(err error) {
	c.broken.Store(&err)
	_ = c.Close() // A pipe's Close has no other error than none.
}

// errTimedOut is what a client sees of a service that never answers. It comes
// at once: a standing clock has no time to wait.
var errTimedOut error = &net.OpError{Op: "read", Net: "pipe", Err: os.ErrDeadlineExceeded}

// errReset is what a client sees of a service that breaks the connection.
var errReset error = &net.OpError{Op: "read", Net: "pipe", Err: os.NewSyscallError("read", syscall.ECONNRESET)}

// waitOn returns a function that waits for real time to pass, for a provider
// whose clock runs; with a standing clock it is nil.
func waitOn(c *Clock) func(context.Context, time.Duration) error {
	if !c.Runs() {
		return nil
	}
	return func(ctx context.Context, d time.Duration) error {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
