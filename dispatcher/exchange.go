package dispatcher

import (
	"context"
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
		Method:    r.Method,
		URL:       r.URL,
	}
	d.timed(ctx, r.Timeout, &a, func(ctx context.Context) error { return d.follow(ctx, r, &a) })
	return a
}

// errLimit is the end of an attempt's own time, and not of its caller's.
var errLimit = errors.New("dispatcher: the time limit of the attempt has passed")

// timed has an attempt made within a time, and records how it failed. An error
// of which the record has no reason is only a remark.
func (d *Dispatcher) timed(ctx context.Context, limit time.Duration, a *Attempt, do func(context.Context) error) {
	// How long it took is about the network, which knows no provider's clock.
	begin := time.Now()
	limited, cancel := context.WithTimeoutCause(ctx, limit, errLimit)
	defer cancel()
	err := do(limited)
	a.Took = time.Since(begin)
	if err == nil {
		return
	}
	a.Error = err.Error()
	var f *fault
	if errors.As(err, &f) {
		a.Reason = f.reason
	}
}

// exchange is one request to one URL, of an attempt that may need several.
type exchange struct {
	target  target
	way     way
	method  string
	raw     []byte   // As it is sent with HTTP/1.1.
	message *message // The same, for HTTP/2; nil if that is not offered.
	open    opening
}

// run makes an exchange and records it. The error is a fault, or a remark on
// an answer.
func (d *Dispatcher) run(ctx context.Context, x *exchange, a *Attempt) error {
	p := &progress{host: x.target.host, limit: x.open.limit, whole: len(x.raw)}
	l, err := d.open(ctx, x, p, a)
	if err != nil {
		return p.trouble(ctx, err)
	}
	stop := interruptAtEnd(ctx, l.conn)
	more, err := d.talk(ctx, l, x, p, a)
	if stop() && more {
		d.kept.keep(l)
	} else {
		l.close()
	}
	if err != nil && l.reused && len(a.Sent) == 0 && ctx.Err() == nil {
		// It was given up by the service before anything was sent, or what came
		// answers another request. There may be others that are kept, but they are
		// as old.
		x.open.fresh = true
		a.forget()
		return d.run(ctx, x, a)
	}
	return err
}

// talk sends a request on a link and reads the answer; more tells whether the
// link can be used for another.
func (d *Dispatcher) talk(ctx context.Context, l *link, x *exchange, p *progress, a *Attempt) (more bool, err error) {
	if l.conn.ConnectionState().NegotiatedProtocol == alpnHTTP2 {
		return false, d.talkHTTP2(ctx, l.conn, l.reader, x, p, a)
	}
	if more, err = d.converse(l, x.raw, x.method, ThenRead, p, a); err != nil {
		return false, p.trouble(ctx, err)
	}
	if err := p.premature(a); err != nil {
		return false, err
	}
	remark := p.remark(ctx, a)
	return more && x.open.keep && remark == nil, remark
}

// premature is the fault of an answer before anything of the request was sent:
// what a service says then is about another request, or about none. That it is
// out of order is believed, and only remarked.
func (p *progress) premature(a *Attempt) error {
	if p.sent > 0 || a.Status >= 400 {
		return nil
	}
	a.forget()
	return &fault{ReasonBadResponse, fmt.Errorf("%s answered before anything of the request had been sent", p.place())}
}

// converse sends a request and reads the answer meanwhile: a server may answer a
// body that is too long before it has read all of it, and hang up; or say in TLS
// that it wants no request. more is as with talk.
func (d *Dispatcher) converse(l *link, octets []byte, method string, then Then, p *progress, a *Attempt) (more bool, err error) {
	var written int
	wrote := make(chan error, 1)
	go func() {
		n, err := l.conn.Write(octets)
		written = n
		if err == nil && then == ThenHalfClose {
			// The server may have closed it already, which reading tells better.
			_ = l.conn.CloseWrite()
		}
		wrote <- err
	}()
	if then == ThenHangUp {
		p.stage = stageSend
		if err = <-wrote; err == nil {
			err = &fault{ReasonLost, errors.New("the connection was closed on purpose, before the answer")}
		}
		a.Sent, p.sent = octets[:written], written
		return false, err
	}
	more, err = d.receive(l, method, p, a)
	// Nobody waits for the rest to be read any more.
	_ = l.conn.SetWriteDeadline(time.Unix(1, 0))
	wroteErr := <-wrote
	a.Sent, p.sent = octets[:written], written
	switch {
	case wroteErr != nil:
		more = false
		if err != nil && p.stage == stageWait {
			p.stage = stageSend
		}
	case more:
		more = l.conn.SetWriteDeadline(time.Time{}) == nil
	}
	return more, err
}

// notRouted is the error of a host that requests must not go to.
func notRouted(t target) error {
	return &fault{ReasonHostNotRouted, fmt.Errorf("%s, port %d, is neither routed nor loopback nor allowed", t.host, t.port)}
}

// receive reads the answer to a request of a method into the record; more tells
// whether the connection can be used again.
func (d *Dispatcher) receive(l *link, method string, p *progress, a *Attempt) (more bool, err error) {
	p.stage = stageWait
	answer, err := readResponse(l.reader, method, d.opts.MaxBody, p)
	if err != nil {
		return false, err
	}
	a.Status, a.Proto, a.Header = answer.status, answer.proto, answer.header
	a.Body, a.BodyTruncated = answer.body, answer.truncated
	a.bodyErr = answer.bodyErr
	return answer.more, nil
}

// interruptAtEnd makes reading and writing fail once ctx ends. The function it
// returns ends that, waits until it has, and tells whether ctx had not ended.
func interruptAtEnd(ctx context.Context, conn net.Conn) func() bool {
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		// The error would be that of a connection that is closed already.
		_ = conn.SetDeadline(time.Unix(1, 0))
	})
	return func() bool {
		if stop() {
			return true
		}
		<-interrupted
		return false
	}
}
