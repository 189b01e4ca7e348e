// Package dispatcher fires the HTTPS request behind an action. It decides
// nothing about mail: it is handed a request, sends it as it is written, and
// records every attempt.
//
// It follows no redirects and keeps no connections unless a request permits it,
// keeps no cookies, and sends nothing to a host that its [Guard] does not let it
// reach. It keeps no requests that have ended: whoever wants their records takes
// them from the callbacks.
//
// A request is delivered at least once, not exactly once: when an answer is lost
// and retries are on, the service sees it again, in an attempt with another id.
// Within one attempt a service is sent the request once.
package dispatcher

import (
	"cmp"
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

// How many attempts may be under way. Four at a host are as many as a service
// gets from a few users who click at once, and leave the others a place when one
// is not answered; 64 in all bound sockets and memory, for each may hold a header
// and a body.
const (
	DefaultPerHost     = 4
	DefaultConcurrency = 64
)

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
	// PerHost is how many attempts may be under way at one host and port, by the
	// first URL of the request, and Concurrency how many in all; default
	// DefaultPerHost and DefaultConcurrency. The host is that of the URL and not
	// the address that it leads to: an address is only known when the attempt is
	// under way, a test routes the hosts of many services to one, and whose place
	// is taken by whom must not depend on that.
	PerHost, Concurrency int
	// Sequential has RunDue and Run make one attempt after the other, in the
	// order in which they are due, then in that of submission, so that what is
	// recorded is the same on every run. Await is not held up by it.
	Sequential bool
	// OnAttempt is called after each attempt, OnDone after the last one of a
	// request, while it still counts as pending. They are called one at a time,
	// in no particular goroutine and in the order in which attempts end. They
	// may submit requests, and must not call RunDue, Await or Run.
	OnAttempt func(Attempt)
	OnDone    func(Result)
	Logger    *slog.Logger // Nil discards.
}

// Retry says which failures are followed by another attempt. A status of 408
// always is; for the others nothing is documented (gmail-actions.md section 4,
// U2).
type Retry struct {
	// Statuses are retried beside those below.
	Statuses []int
	// Schedule is how long after the end of each failed attempt the next is
	// due. When it ends so do the attempts; an empty one allows no retry.
	Schedule        []time.Duration
	ServerErrors    bool // Retry a 5xx.
	TooManyRequests bool // Retry a 429.
	NoAnswer        bool // Retry when no answer came: timeout, reset, GOAWAY, no connection, no address.
}

// again tells whether an attempt that did not succeed is to be repeated.
func (r Retry) again(a Attempt) bool {
	switch {
	case a.Status == 408 || slices.Contains(r.Statuses, a.Status):
		return true
	case a.Status == 429:
		return r.TooManyRequests
	case a.Status >= 500:
		return r.ServerErrors
	}
	return r.NoAnswer && a.Reason.unanswered()
}

// Dispatcher makes requests: several at once, each host's in the order in which
// they are due, then in that of submission. A host that is slow holds up nobody
// but itself, while not so many are that they take all places: sixteen, with the
// defaults. Then others wait until an attempt ends, which is at the latest when its
// time does. It is safe for concurrent use. RunDue, Await and Run do what is
// due by the provider's clock, and have ended whatever they began when they
// return; but for watching the connections that are kept, there is no goroutine
// besides.
type Dispatcher struct {
	opts    Options
	telling sync.Mutex // Held while calling back.
	kept    keeper

	mu        sync.Mutex // Guards what follows; never held during an attempt.
	queue     *queue
	submitted int
	changed   chan struct{} // Closed when there may be something to do.
}

// New returns a dispatcher. The error says which setting is wrong.
func New(o Options) (*Dispatcher, error) {
	if o.Now == nil {
		return nil, errors.New("dispatcher: no clock")
	}
	if o.MaxBody < 0 || o.MaxPending < 0 || o.PerHost < 0 || o.Concurrency < 0 {
		return nil, errors.New("dispatcher: a limit is negative")
	}
	if slices.ContainsFunc(o.Retry.Schedule, func(d time.Duration) bool { return d < 0 }) {
		return nil, errors.New("dispatcher: a step of the retry schedule is negative")
	}
	if o.Guard == nil {
		o.Guard = NewGuard(GuardOptions{})
	}
	o.MaxBody = cmp.Or(o.MaxBody, DefaultMaxBody)
	o.MaxPending = cmp.Or(o.MaxPending, DefaultMaxPending)
	o.PerHost = cmp.Or(o.PerHost, DefaultPerHost)
	o.Concurrency = cmp.Or(o.Concurrency, DefaultConcurrency)
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
		opts: o, queue: newQueue(o.PerHost, o.Concurrency), changed: make(chan struct{}),
		kept: keeper{perKey: o.PerHost, most: o.Concurrency},
	}, nil
}

// Close closes the connections that are kept for later requests and, when it
// returns, has no goroutine left. It does not end RunDue, Await and Run, which
// their contexts do; what they still do leaves no connection behind. Without
// requests that set KeepAlive there is nothing to close.
func (d *Dispatcher) Close() { d.kept.close() }

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
	d.rouse()
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
	return d.queue.due()
}
