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
	target target
	way    way
	method string
	raw    []byte // As it is sent with HTTP/1.1.
	open   opening
}

// run makes an exchange and records it. The error is a fault, or a remark on
// an answer.
func (d *Dispatcher) run(ctx context.Context, x *exchange, a *Attempt) error {
	p := &progress{host: x.target.host, limit: x.open.limit, whole: len(x.raw)}
	l, err := d.open(ctx, x, p, a)
	if err != nil {
		return p.trouble(ctx, err)
	}
	defer l.close()
	defer interruptAtEnd(ctx, l.conn)()
	if err := l.send(x.raw, p, a); err != nil {
		return p.trouble(ctx, err)
	}
	if err := d.receive(l, x.method, p, a); err != nil {
		return p.trouble(ctx, err)
	}
	return p.brokenOff(ctx, a)
}

// notRouted is the error of a host that requests must not go to.
func notRouted(t target) error {
	return &fault{ReasonHostNotRouted, fmt.Errorf("%s, port %d, is neither routed nor loopback nor allowed", t.host, t.port)}
}

// receive reads the answer to a request of a method into the record.
func (d *Dispatcher) receive(l *link, method string, p *progress, a *Attempt) error {
	p.stage = stageWait
	answer, err := readResponse(l.reader, method, d.opts.MaxBody, p)
	if err != nil {
		return err
	}
	a.Status, a.Proto, a.Header = answer.status, answer.proto, answer.header
	a.Body, a.BodyTruncated = answer.body, answer.truncated
	a.bodyErr = answer.bodyErr
	return nil
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
