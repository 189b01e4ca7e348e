package dispatcher

import (
	"context"
	"crypto/tls"
	"errors"
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
	begin := time.Now()
	limited, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	if err := d.exchangeRaw(limited, r, &a); err != nil {
		a.Error = err.Error()
		if ctx.Err() != nil && a.Status == 0 && !a.Reason.withholds() {
			a.Reason = ReasonCancelled
		}
	}
	a.Took = time.Since(begin)
	switch {
	case a.Reason == "":
		a.Outcome = OutcomeSucceeded
	case a.Reason.withholds():
		a.Outcome = OutcomeWithheld
	default:
		a.Outcome = OutcomeFailed
	}
	return a
}

func (d *Dispatcher) exchangeRaw(ctx context.Context, r Raw, a *Attempt) error {
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
	if err := d.converse(secured, r, a); err != nil {
		return fail(err, ReasonReset)
	}
	if a.Status != 200 {
		a.Reason = ReasonStatus
	}
	return brokenOff(a)
}

// converse sends the octets and reads the answer meanwhile: a server may answer
// a body that is too long before it has read all of it, and hang up.
func (d *Dispatcher) converse(conn *tls.Conn, r Raw, a *Attempt) error {
	var sent Attempt
	wrote := make(chan error, 1)
	go func() {
		err := send(conn, r.Octets, &sent)
		if err == nil && r.Then == ThenHalfClose {
			// The server may have closed it already, which reading tells better.
			_ = conn.CloseWrite()
		}
		wrote <- err
	}()
	if r.Then == ThenHangUp {
		err := <-wrote
		a.Sent = sent.Sent
		if err == nil {
			err = &fault{ReasonLost, errors.New("the connection was closed on purpose, before the answer")}
		}
		return err
	}
	err := d.receive(conn, r.Method, a)
	select {
	case wroteErr := <-wrote:
		if err != nil && wroteErr != nil {
			err = wroteErr // It came first.
		}
	default:
		_ = conn.NetConn().Close() // Nobody reads the rest any more.
		<-wrote
	}
	a.Sent = sent.Sent
	return err
}
