package dispatcher

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// attempt makes one attempt at a request and records it, but for its outcome.
func (d *Dispatcher) attempt(ctx context.Context, r *Request, n int) Attempt {
	a := Attempt{
		ID:        fmt.Sprintf("%s/%d", r.ID, n),
		RequestID: r.ID,
		N:         n,
		At:        d.opts.Now(),
	}
	// How long it took is about the network, which knows no provider's clock.
	begin := time.Now()
	limited, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	if err := d.exchange(limited, r, &a); err != nil {
		a.Error = err.Error()
		if ctx.Err() != nil && a.Status == 0 && !a.Reason.withholds() {
			a.Reason = ReasonCancelled
		}
	}
	a.Took = time.Since(begin)
	return a
}

// exchange sends a request and reads the answer into the record. An error of
// which the record has no reason is only a remark.
func (d *Dispatcher) exchange(ctx context.Context, r *Request, a *Attempt) error {
	fail := func(err error, otherwise Reason) error {
		a.Reason = reasonOf(ctx, err, otherwise)
		return err
	}
	t, err := parseTarget(r.URL)
	if err != nil {
		return fail(err, ReasonBadURL)
	}
	way, ok := d.opts.Guard.way(t.endpoint)
	if !ok {
		return fail(notRouted(t), "")
	}
	var token string
	if r.Token != nil {
		if token, err = r.Token(ctx); err != nil {
			return fail(&fault{ReasonToken, fmt.Errorf("making token: %w", err)}, "")
		}
	}
	raw, err := r.wire(t, token)
	if err != nil {
		return fail(err, ReasonBadRequest)
	}
	conn, err := d.connect(ctx, way, a)
	if err != nil {
		return fail(err, ReasonUnreachable)
	}
	defer conn.Close()
	defer interruptAtEnd(ctx, conn)()
	secured, err := d.secure(conn, t.host, a)
	if err != nil {
		return fail(err, ReasonTLSOther)
	}
	if err := send(secured, raw, a); err != nil {
		return fail(err, ReasonReset)
	}
	if err := d.receive(secured, r.Method, a); err != nil {
		return fail(err, ReasonReset)
	}
	if !r.succeeds(a.Status) {
		a.Reason = ReasonStatus
	}
	return brokenOff(a)
}

// notRouted is the error of a host that requests must not go to.
func notRouted(t target) error {
	return &fault{ReasonHostNotRouted, fmt.Errorf("%s, port %d, is neither routed nor loopback nor allowed", t.host, t.port)}
}

// secure makes a TLS connection to the host of the URL.
func (d *Dispatcher) secure(conn net.Conn, host string, a *Attempt) (*tls.Conn, error) {
	secured := tls.Client(conn, d.tlsConfig(host))
	if err := secured.Handshake(); err != nil {
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	a.TLSVersion = tls.VersionName(secured.ConnectionState().Version)
	return secured, nil
}

// send writes a request, and records as much as was written.
func send(conn net.Conn, raw []byte, a *Attempt) error {
	sent, err := conn.Write(raw)
	a.Sent = raw[:sent]
	if err != nil {
		return fmt.Errorf("sending request: %w", err)
	}
	return nil
}

// receive reads the answer to a request of a method into the record.
func (d *Dispatcher) receive(conn net.Conn, method string, a *Attempt) error {
	answer, err := readResponse(conn, method, d.opts.MaxBody)
	if err != nil {
		return err
	}
	a.Status, a.Proto, a.Header = answer.status, answer.proto, answer.header
	a.Body, a.BodyTruncated = answer.body, answer.truncated
	a.bodyErr = answer.bodyErr
	return nil
}

// brokenOff is the remark on an answer whose body broke off.
func brokenOff(a *Attempt) error {
	if a.bodyErr == nil {
		return nil
	}
	return fmt.Errorf("reading body: %w", a.bodyErr)
}

// connect opens the connection that a way describes.
func (d *Dispatcher) connect(ctx context.Context, w way, a *Attempt) (net.Conn, error) {
	if w.conn != nil {
		a.Addr = "in-process"
		conn, err := w.conn(ctx)
		if err == nil && conn == nil {
			err = errors.New("no connection")
		}
		if err != nil {
			return nil, fmt.Errorf("connecting within the process: %w", err)
		}
		return pipeConn{conn, bufio.NewReaderSize(conn, pipeBuffer)}, nil
	}
	list, err := d.opts.Guard.addresses(ctx, w.to)
	if err != nil {
		return nil, err
	}
	conn, tried, err := dial(ctx, list)
	a.Addr = tried.String()
	return conn, err
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

// tlsConfig demands the certificate of the URL's host, wherever the request is
// routed.
func (d *Dispatcher) tlsConfig(host string) *tls.Config {
	return &tls.Config{
		ServerName: host,
		RootCAs:    d.opts.RootCAs,
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
	}
}

// interruptAtEnd makes reading and writing fail once ctx ends. The function it
// returns ends that, and waits until it has.
func interruptAtEnd(ctx context.Context, conn net.Conn) func() {
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		// The error would be that of a connection that is closed already.
		_ = conn.SetDeadline(time.Unix(1, 0))
	})
	return func() {
		if !stop() {
			<-interrupted
		}
	}
}
