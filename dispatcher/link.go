package dispatcher

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// opening says how a connection is made.
type opening struct {
	source netip.Addr    // The address to dial from; zero is any.
	limit  time.Duration // The time limit, for what is said when it has passed.
	http2  bool          // HTTP/2 is offered.
	keep   bool          // One that was kept may be used, and this one kept.
	fresh  bool          // But none that was kept is used.
}

// link is a connection to a service on which TLS has been agreed.
type link struct {
	conn    *tls.Conn
	records *records      // What conn reads.
	reader  *bufio.Reader // Of conn.
	key     linkKey
	reused  bool
	rested  chan bool // Of one that is kept: whether it can still be used.
}

// close ends the connection without a word of TLS: for that a service that reads
// no more would have to be waited for. Every answer says itself where it ends,
// or else the service ends it.
func (l *link) close() { _ = l.conn.NetConn().Close() }

// open makes the connection of an exchange, or takes one that was kept.
func (d *Dispatcher) open(ctx context.Context, x *exchange, p *progress, a *Attempt) (*link, error) {
	if x.way.conn != nil {
		conn, err := inProcess(ctx, x.way, p, a)
		if err != nil {
			return nil, err
		}
		return d.secure(ctx, conn, x, p, a)
	}
	list, err := d.addresses(ctx, x, p)
	if err != nil {
		return nil, err
	}
	key := linkKey{host: x.target.host, source: x.open.source}
	if x.open.keep && !x.open.fresh {
		for _, key.addr = range list {
			if l := d.kept.take(key); l != nil {
				a.Addr, a.TLSVersion = key.addr.String(), tls.VersionName(l.conn.ConnectionState().Version)
				p.addr, p.reused = a.Addr, true
				return l, nil
			}
		}
	}
	conn, at, err := firstOf(ctx, list, p, a, func(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
		return dialOne(ctx, addr, x.open.source)
	})
	if err != nil {
		return nil, err
	}
	l, err := d.secure(ctx, conn, x, p, a)
	if err != nil {
		return nil, err
	}
	key.addr = at
	l.key = key
	return l, nil
}

// inProcess opens a connection within the process.
func inProcess(ctx context.Context, w way, p *progress, a *Attempt) (net.Conn, error) {
	a.Addr = "in-process"
	p.stage, p.addr = stageConnect, a.Addr
	conn, err := w.conn(ctx)
	if err == nil && conn == nil {
		err = errors.New("no connection")
	}
	if err != nil {
		return nil, fmt.Errorf("connecting within the process: %w", err)
	}
	return pipeConn{conn, bufio.NewReaderSize(conn, pipeBuffer)}, nil
}

// addresses looks up where an exchange goes. It does so for each, also if a
// connection is kept: a name that now leads to where requests must not go is not
// asked again.
func (d *Dispatcher) addresses(ctx context.Context, x *exchange, p *progress) ([]netip.AddrPort, error) {
	p.stage = stageLookup
	list, err := d.opts.Guard.addresses(ctx, x.way.to)
	if err != nil {
		return nil, err
	}
	p.stage = stageConnect
	return ofFamily(list, x.open.source, x.target.host)
}

// ofFamily returns the addresses that can be dialled from a source.
func ofFamily(list []netip.AddrPort, source netip.Addr, host string) ([]netip.AddrPort, error) {
	if !source.IsValid() {
		return list, nil
	}
	var same []netip.AddrPort
	for _, addr := range list {
		if addr.Addr().Is4() == source.Unmap().Is4() {
			same = append(same, addr)
		}
	}
	if len(same) == 0 {
		return nil, &fault{ReasonUnreachable, fmt.Errorf("%s has no address that can be reached from %s: one has IPv4 only, the other IPv6", host, source)}
	}
	return same, nil
}

// firstOf connects to the first address that answers, and records those that were
// tried before. Each gets its share of the time that is left.
func firstOf(ctx context.Context, list []netip.AddrPort, p *progress, a *Attempt, connect func(context.Context, netip.AddrPort) (net.Conn, error)) (net.Conn, netip.AddrPort, error) {
	for i, addr := range list {
		a.Addr, p.addr = addr.String(), addr.String()
		one, share, done := shared(ctx, len(list)-i)
		conn, err := connect(one, addr)
		done()
		switch {
		case err == nil:
			return conn, addr, nil
		case i == len(list)-1, ctx.Err() != nil:
			return nil, addr, err
		}
		tried := *p
		tried.limit = share // It had no more.
		a.Tried = append(a.Tried, Tried{a.Addr, tried.trouble(ctx, err).Error()})
	}
	return nil, netip.AddrPort{}, errors.New("no address") // Guard.addresses returns some, or an error.
}

// shared returns a context that ends after the first of n equal shares of the time
// that is left, and how long that is, to the millisecond.
func shared(ctx context.Context, n int) (context.Context, time.Duration, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return ctx, 0, func() {}
	}
	share := time.Until(deadline) / time.Duration(n)
	ctx, cancel := context.WithTimeout(ctx, share)
	return ctx, share.Round(time.Millisecond), cancel
}

// secure agrees on TLS on a connection, or closes it. The certificate must be that
// of the URL's host, wherever the request is routed.
func (d *Dispatcher) secure(ctx context.Context, conn net.Conn, x *exchange, p *progress, a *Attempt) (*link, error) {
	p.stage = stageHandshake
	protocols := []string{"http/1.1"}
	if x.open.http2 {
		protocols = []string{alpnHTTP2, "http/1.1"}
	}
	framed := &records{Conn: conn}
	secured := tls.Client(framed, &tls.Config{
		ServerName: x.target.host,
		RootCAs:    d.opts.RootCAs,
		MinVersion: tls.VersionTLS12,
		NextProtos: protocols,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			p.asked = true
			return new(tls.Certificate), nil // None, which many servers put up with.
		},
	})
	defer interruptAtEnd(ctx, conn)()
	if err := secured.Handshake(); err != nil {
		_ = conn.Close()
		return nil, err
	}
	a.TLSVersion = tls.VersionName(secured.ConnectionState().Version)
	return &link{conn: secured, records: framed, reader: bufio.NewReaderSize(secured, maxHead)}, nil
}

// pipeBuffer is larger than what a TLS server writes at once in a handshake.
const pipeBuffer = 64 << 10

// pipeConn is a connection within the process. Unlike a socket, a net.Pipe
// holds nothing: a client that has read enough to refuse a certificate could
// not say so to a server that still waits for the rest to be read. Reading all
// that is offered releases the server.
type pipeConn struct {
	net.Conn
	buffered *bufio.Reader
}

func (c pipeConn) Read(p []byte) (int, error) { return c.buffered.Read(p) }
