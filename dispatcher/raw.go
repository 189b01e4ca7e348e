package dispatcher

import (
	"context"
	"time"
)

// Raw is a request that is sent octet for octet: what no provider sends, but
// an attacker does, or somebody whose connection breaks.
type Raw struct {
	ID string // Names the attempt's record.
	// URL says where the request goes, and is judged as that of any request.
	// What is requested there is in Octets alone.
	URL    string
	Method string // That of Octets, for an answer to HEAD has no body.
	Octets []byte // Request line, header and body.
	Then   Then
	// Timeout limits the exchange; zero is DefaultTimeout.
	Timeout time.Duration
}

// Then is what is done when the octets of a raw request have been written.
type Then string

// What can be done then.
const (
	ThenRead      Then = ""           // The answer is read.
	ThenHalfClose Then = "half-close" // The sending side is closed, as at the end of a program; then the answer is read.
	ThenHangUp    Then = "hang-up"    // The connection is closed, and no answer is read: it is lost.
)

// Exchange sends a raw request at once, past the queue, and returns the record.
// It is never repeated. The outcome is succeeded for an answer of 200, and
// failed for another or none; an answer that is not waited for is failed with
// the reason [ReasonLost].
func (d *Dispatcher) Exchange(ctx context.Context, r Raw) Attempt {
	if r.Timeout <= 0 {
		r.Timeout = DefaultTimeout
	}
	a := Attempt{ID: r.ID, RequestID: r.ID, N: 1, At: d.opts.Now()}
	d.timed(ctx, r.Timeout, &a, func(ctx context.Context) error { return d.exchangeRaw(ctx, r, &a) })
	switch {
	case a.Reason == "":
		a.Outcome = OutcomeSucceeded
	case a.withheld():
		a.Outcome = OutcomeWithheld
	default:
		a.Outcome = OutcomeFailed
	}
	return a
}

func (d *Dispatcher) exchangeRaw(ctx context.Context, r Raw, a *Attempt) error {
	x := &exchange{method: r.Method, raw: r.Octets, open: opening{limit: r.Timeout}}
	if err := d.aim(x, r.URL); err != nil {
		return err
	}
	p := &progress{host: x.target.host, limit: r.Timeout, whole: len(r.Octets)}
	l, err := d.open(ctx, x, p, a)
	if err != nil {
		return p.trouble(ctx, err)
	}
	defer l.close()
	defer interruptAtEnd(ctx, l.conn)()
	if _, err := d.converse(l, r.Octets, r.Method, r.Then, p, a); err != nil {
		return p.trouble(ctx, err)
	}
	if a.Status != 200 {
		a.Reason = ReasonStatus
	}
	// Also an answer that came early: what is too long is answered so.
	return p.remark(ctx, a)
}
