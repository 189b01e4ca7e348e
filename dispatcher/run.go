package dispatcher

import (
	"context"
	"sync"
	"time"
)

// RunDue makes the attempts that are due, several at once, and returns when none
// is due and none is under way, whoever began it: what becomes due meanwhile is
// made too. If ctx ends it cuts off the attempts that it began, whose requests
// stay due; it returns the error of ctx, and no other. When it returns, nothing
// goes on that it began. Any number of calls can work at the same time, beside
// Await and Run, and share the places.
func (d *Dispatcher) RunDue(ctx context.Context) error {
	return d.drive(ctx, driver{
		next: d.next,
		done: func() bool { return d.queue.underWay == 0 },
	})
}

// Run is RunDue without end: it makes each attempt when it is due, until ctx
// ends, and returns the error of ctx. It is for a provider whose clock runs with
// the machine's. If the clock is moved, Wake has Run look again.
func (d *Dispatcher) Run(ctx context.Context) error {
	return d.drive(ctx, driver{
		next:  d.next,
		done:  func() bool { return false },
		alarm: d.queue.alarm,
	})
}

// Await makes the first attempt at a request, if it has not begun, and returns
// when it has been made and recorded. It waits for nothing else but the places,
// in the order of submission among those who wait, and, if the request is behind
// others of its Queue, for these; it makes their attempts that are due, and no
// longer waits if none of these is. It also returns when the request has ended,
// or was never there. As to ctx it is as RunDue.
func (d *Dispatcher) Await(ctx context.Context, id string) error {
	defer d.awaiting(id)()
	return d.drive(ctx, driver{
		next: func() *entry {
			e := d.queue.byID[id]
			if e == nil || e.attempts > 0 {
				return nil
			}
			if e = d.queue.before(e); e.running || d.queue.overtakes(e) {
				return nil
			}
			return d.queue.takeThis(e, d.opts.Now())
		},
		done: func() bool {
			e := d.queue.byID[id]
			if e == nil || e.attempts > 0 && !e.running {
				return true
			}
			e = d.queue.before(e)
			return !e.running && e.due.After(d.opts.Now())
		},
	})
}

// awaiting notes that somebody waits for a request, until the function that it
// returns is called.
func (d *Dispatcher) awaiting(id string) (ended func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.queue.byID[id]
	if e == nil {
		return func() {}
	}
	e.awaited++
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		e.awaited--
		d.rouse() // Whoever comes after it need not stand back any more.
	}
}

// driver is what a call that makes attempts looks for. Its functions are called
// with mu held.
type driver struct {
	next  func() *entry            // Takes the entry to be attempted now; nil if there is none.
	done  func() bool              // Whether to return, as there is none.
	alarm func() (time.Time, bool) // When there will be one by the passing of time; nil: never.
}

// next takes the entry to be attempted now, in the order of due times.
func (d *Dispatcher) next() *entry {
	if d.opts.Sequential && d.queue.underWay > 0 {
		return nil
	}
	return d.queue.take(d.opts.Now())
}

// drive makes attempts, each in a goroutine, until the driver is done or ctx
// ends, and waits for those that it began.
func (d *Dispatcher) drive(ctx context.Context, v driver) error {
	var own sync.WaitGroup
	defer own.Wait() // After unlocking.
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		for e := v.next(); e != nil; e = v.next() {
			e.attempts++
			e.running = true
			n := e.attempts
			own.Go(func() { d.finish(e, d.attempt(ctx, &e.request, n)) })
		}
		if v.done() {
			return nil
		}
		d.wait(ctx, v)
	}
}

// wait waits until something has changed, with mu unlocked.
func (d *Dispatcher) wait(ctx context.Context, v driver) {
	changed := d.changed
	var alarm <-chan time.Time
	if v.alarm != nil {
		if at, ok := v.alarm(); ok && !(d.opts.Sequential && d.queue.underWay > 0) {
			timer := time.NewTimer(at.Sub(d.opts.Now()))
			defer timer.Stop()
			alarm = timer.C
		}
	}
	d.mu.Unlock()
	defer d.mu.Lock()
	select {
	case <-changed:
	case <-alarm:
	case <-ctx.Done():
	}
}

// Wake has Run look at the clock and the queue again.
func (d *Dispatcher) Wake() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rouse()
}

// rouse tells all drivers that something has changed. mu is held.
func (d *Dispatcher) rouse() {
	close(d.changed)
	d.changed = make(chan struct{})
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
		a.Outcome, a.Due = OutcomeCutOff, now
	case !e.retry.again(a):
		a.Outcome = OutcomeFailed
	case e.failures < len(e.retry.Schedule):
		a.Outcome, a.Due = OutcomeRetrying, now.Add(e.retry.Schedule[e.failures])
		e.failures++
	default:
		a.Outcome, a.Exhausted, result.Reason = OutcomeFailed, true, ReasonRetriesExhausted
	}
	result.Outcome = a.Outcome

	d.opts.Logger.Info("attempt", "attempt", a)
	d.tell(a, result)

	// Last, so that at no moment a request is neither pending nor recorded.
	d.mu.Lock()
	defer d.mu.Unlock()
	e.running = false
	d.queue.leave(e)
	if a.Outcome.ends() {
		d.queue.remove(e)
	} else {
		e.due = a.Due
		d.queue.putBack(e)
	}
	d.rouse()
}

// tell calls back, for one attempt at a time.
func (d *Dispatcher) tell(a Attempt, r Result) {
	d.telling.Lock()
	defer d.telling.Unlock()
	d.opts.OnAttempt(a)
	if a.Outcome.ends() {
		d.opts.OnDone(r)
	}
}
