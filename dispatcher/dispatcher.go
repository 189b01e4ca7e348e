// Package dispatcher fires the HTTPS request behind an action. It decides
// nothing about mail: it is handed a request, sends it as it is written, and
// records every attempt.
//
// It follows no redirects unless a request permits it, keeps no cookies and no
// connections, and sends nothing to a host that its [Guard] does not let it
// reach. It keeps no requests that have ended: whoever wants their records takes
// them from the callbacks. A request is delivered at least once, not exactly once: when an
// answer is lost and retries are on, the service sees it again, in an attempt
// with another id.
package dispatcher

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"
)

// DefaultMaxPending is how many requests may be pending at once.
const DefaultMaxPending = 10_000

// The errors of Submit.
var (
	ErrDuplicateID = errors.New("dispatcher: a pending request has this id")
	ErrQueueFull   = errors.New("dispatcher: too many requests are pending")
)

// Options are the settings of a dispatcher. All but Now may be left zero.
type Options struct {
	// Now is the provider's clock. Due times are on it; time limits are not.
	Now func() time.Time
	// Guard says which hosts may be reached; nil is loopback only.
	Guard *Guard
	// RootCAs are the authorities whose certificates count; nil is the
	// system's. Validity is judged by the machine's clock, since certificates
	// of services are made by it.
	RootCAs *x509.CertPool
	// Retry says what is retried and when, for requests that do not say it.
	Retry Retry
	// MaxBody is how many octets of a response's body are kept; default
	// DefaultMaxBody.
	MaxBody int
	// MaxPending is how many requests may be pending at once; default
	// DefaultMaxPending.
	MaxPending int
	// OnAttempt is called after each attempt, OnDone after the last one of a
	// request, while it still counts as pending. They are called one at a time
	// by the goroutine that is in RunDue; they may submit requests, and must
	// not call RunDue.
	OnAttempt func(Attempt)
	OnDone    func(Result)
	Logger    *slog.Logger // Nil discards.
}

// Retry says which failures are followed by another attempt. A status of 408
// always is; for the others nothing is documented (gmail-actions.md section 4,
// U2).
type Retry struct {
	// Schedule is how long after the end of each failed attempt the next is
	// due. When it ends so do the attempts; an empty one allows no retry.
	Schedule        []time.Duration
	ServerErrors    bool // Retry a 5xx.
	TooManyRequests bool // Retry a 429.
	NoAnswer        bool // Retry when no answer came: timeout, reset, no connection, no address.
}

// again tells whether an attempt that did not succeed is to be repeated.
func (r Retry) again(a Attempt) bool {
	switch {
	case a.Status == 408:
		return true
	case a.Status == 429:
		return r.TooManyRequests
	case a.Status >= 500:
		return r.ServerErrors
	}
	return r.NoAnswer && a.Reason.unanswered()
}

// Dispatcher makes requests one after the other, in the order in which they
// are due, then in that of submission. It is safe for concurrent use. It
// starts no goroutine and no timer of its own: RunDue works in the caller's,
// and does what is due by the provider's clock.
type Dispatcher struct {
	opts   Options
	worker chan struct{} // Holds a token while RunDue works.
	wake   chan struct{} // Tells Run that there may be something to do.

	mu        sync.Mutex // Guards what follows; never held during an attempt.
	queue     *queue
	submitted int
}

// New returns a dispatcher. The error says which setting is wrong.
func New(o Options) (*Dispatcher, error) {
	if o.Now == nil {
		return nil, errors.New("dispatcher: no clock")
	}
	if o.MaxBody < 0 || o.MaxPending < 0 {
		return nil, errors.New("dispatcher: a limit is negative")
	}
	if slices.ContainsFunc(o.Retry.Schedule, func(d time.Duration) bool { return d < 0 }) {
		return nil, errors.New("dispatcher: a step of the retry schedule is negative")
	}
	if o.Guard == nil {
		o.Guard = NewGuard(GuardOptions{})
	}
	if o.MaxBody == 0 {
		o.MaxBody = DefaultMaxBody
	}
	if o.MaxPending == 0 {
		o.MaxPending = DefaultMaxPending
	}
	if o.OnAttempt == nil {
		o.OnAttempt = func(Attempt) {}
	}
	if o.OnDone == nil {
		o.OnDone = func(Result) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Dispatcher{
		opts:   o,
		worker: make(chan struct{}, 1),
		wake:   make(chan struct{}, 1),
		queue:  newQueue(),
	}, nil
}

// Submit queues a request, due at once, and returns its id. Whether it can be
// sent turns out at its first attempt, so that this is recorded too. The error
// is ErrDuplicateID or ErrQueueFull.
func (d *Dispatcher) Submit(r Request) (string, error) {
	r.Header = slices.Clone(r.Header)
	r.Body = slices.Clone(r.Body)
	if r.Timeout <= 0 {
		r.Timeout = DefaultTimeout
	}
	retry := d.opts.Retry
	if r.Retry != nil {
		retry = *r.Retry
		retry.Schedule = slices.Clone(retry.Schedule)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.queue.byID) >= d.opts.MaxPending {
		return "", ErrQueueFull
	}
	d.submitted++
	if r.ID == "" {
		r.ID = "request-" + strconv.Itoa(d.submitted)
	}
	if d.queue.byID[r.ID] != nil {
		return "", ErrDuplicateID
	}
	d.queue.add(&entry{request: r, retry: retry, seq: d.submitted, due: d.opts.Now()})
	d.Wake()
	return r.ID, nil
}

// State is how a pending request stands.
type State struct {
	Attempts int       // How many were made, or have begun.
	Running  bool      // One is being made now.
	Due      time.Time // When the next may begin, unless an earlier request of the same queue holds it up.
}

// State returns how a pending request stands. Requests that have ended are
// not known any more.
func (d *Dispatcher) State(id string) (State, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.queue.byID[id]
	if e == nil {
		return State{}, false
	}
	return State{Attempts: e.attempts, Running: e.running, Due: e.due}, true
}

// Pending returns how many requests have not ended.
func (d *Dispatcher) Pending() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.queue.byID)
}

// Due returns when the next attempt may begin, by the provider's clock; false
// if none is to be made.
func (d *Dispatcher) Due() (time.Time, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.queue.ready) == 0 {
		return time.Time{}, false
	}
	return d.queue.ready[0].due, true
}

// RunDue makes the attempts that are due, in the caller's goroutine, until
// none is: what becomes due meanwhile is made too. If ctx ends it stops, also
// in the middle of an attempt, whose request stays due; it returns the error
// of ctx, and no other. Calls wait for one another.
func (d *Dispatcher) RunDue(ctx context.Context) error {
	select {
	case d.worker <- struct{}{}:
		defer func() { <-d.worker }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		e := d.begin()
		if e == nil {
			return nil
		}
		d.finish(e, d.attempt(ctx, &e.request, e.attempts))
	}
}

// Run calls RunDue whenever something is due, until ctx ends, and returns the
// error of ctx. It is for a provider whose clock runs with the machine's. If
// the clock is moved, Wake has Run look again.
func (d *Dispatcher) Run(ctx context.Context) error {
	for {
		if err := d.RunDue(ctx); err != nil {
			return err
		}
		var timer <-chan time.Time
		if due, ok := d.Due(); ok {
			timer = time.After(due.Sub(d.opts.Now()))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-d.wake:
		case <-timer:
		}
	}
}

// Wake has Run look at the clock and the queue again.
func (d *Dispatcher) Wake() {
	select {
	case d.wake <- struct{}{}:
	default: // It has been told already.
	}
}

// begin takes the request to be attempted now, nil if none is due.
func (d *Dispatcher) begin() *entry {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.queue.take(d.opts.Now())
	if e != nil {
		e.attempts++
		e.running = true
	}
	return e
}

// finish decides what comes of an attempt, and says so.
func (d *Dispatcher) finish(e *entry, a Attempt) {
	now := d.opts.Now()
	result := Result{RequestID: a.RequestID, Attempts: a.N, At: now, Reason: a.Reason}
	switch {
	case a.Reason == "":
		a.Outcome = OutcomeSucceeded
	case a.withheld():
		a.Outcome = OutcomeWithheld
	case a.Reason == ReasonCancelled:
		a.Outcome, a.Due = OutcomeRetrying, now
	case !e.retry.again(a):
		a.Outcome = OutcomeFailed
	case e.failures < len(e.retry.Schedule):
		a.Outcome, a.Due = OutcomeRetrying, now.Add(e.retry.Schedule[e.failures])
		e.failures++
	default:
		a.Outcome, result.Reason = OutcomeFailed, ReasonRetriesExhausted
	}
	result.Outcome = a.Outcome

	d.opts.Logger.Info("attempt", "attempt", a)
	d.opts.OnAttempt(a)
	if a.Outcome != OutcomeRetrying {
		d.opts.OnDone(result)
	}

	// Last, so that at no moment a request is neither pending nor recorded.
	d.mu.Lock()
	defer d.mu.Unlock()
	e.running = false
	if a.Outcome == OutcomeRetrying {
		e.due = a.Due
		d.queue.putBack(e)
	} else {
		d.queue.remove(e)
	}
}
