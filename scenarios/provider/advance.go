package provider

import (
	"context"
	"errors"
	"time"

	"github.com/doppelbox/doppelbox/receiver/mailbox"
)

// Drain does what is due: mail is fetched and sent, attempts at requests are
// made. It returns when nothing is due. If ctx ends before, it returns with
// ctx's error, and what is under way goes on: a caller that stops waiting must
// not have a request cut off that the service may already have carried out.
func (w *World) Drain(ctx context.Context) error {
	return w.wait(ctx, func() error {
		w.agenda.doDue(w)
		if w.ctx.Err() != nil {
			return ErrClosed
		}
		return w.request()
	})
}

// settle lets what a step has led to happen, where the clock stands, so that it
// is over before the next step. Where it runs it happens by itself, and a server
// that is slow holds nobody up.
func (w *World) settle(ctx context.Context) error {
	if w.clock.Runs() {
		return nil
	}
	return w.Drain(ctx)
}

// firstAttempt makes the first attempt at the request of a click. A click waits for
// this alone: neither mail that is fetched from a slow server nor another service
// that is slow must hold it up.
func (w *World) firstAttempt(click mailbox.Click) error {
	if d := w.dispatch.Load(); d != nil {
		return d.Await(w.ctx, click.ID)
	}
	return nil
}

// request makes the attempts at requests that are due.
func (w *World) request() error {
	if d := w.dispatch.Load(); d != nil {
		return d.RunDue(w.ctx)
	}
	return nil
}

// wait does something, and stops waiting for it when ctx ends.
func (w *World) wait(ctx context.Context, do func() error) error {
	done := make(chan error, 1)
	if !w.begin(func() { done <- do() }) {
		return ErrClosed
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// due returns when something falls due next; false if nothing will.
func (w *World) due() (time.Time, bool) {
	at, ok := w.agenda.due()
	if d := w.dispatch.Load(); d != nil {
		if next, some := d.Due(); some && (!ok || next.Before(at)) {
			return next, true
		}
	}
	return at, ok
}

// Advance moves the clock forward and does what falls due on the way. The clock
// stops where each thing falls due, so that it is done at its time, and does not
// move before what is under way has ended. A clock that runs goes on by itself
// meanwhile, and is in the end moved by as much. If ctx ends before, the clock
// stays where it has come to.
func (w *World) Advance(ctx context.Context, by time.Duration) error {
	if by < 0 {
		return errors.New("the clock does not go back")
	}
	w.moving.Lock()
	defer w.moving.Unlock()
	if err := w.clock.reaches(by); err != nil {
		return err
	}
	// What is under way ends at the time at which it began: a retry counts from it.
	if err := w.Drain(ctx); err != nil {
		return err
	}
	for next, ok := w.until(); ok && next <= by; next, ok = w.until() {
		w.move(next)
		by -= next
		if err := w.Drain(ctx); err != nil {
			return err
		}
	}
	w.move(by)
	return nil
}

// until returns how long it is until something falls due; false if nothing will.
func (w *World) until() (time.Duration, bool) {
	at, ok := w.due()
	return max(at.Sub(w.clock.Now()), 0), ok
}

// move moves the clock on, and rouses who sleeps by it.
func (w *World) move(by time.Duration) {
	w.clock.advance(by)
	w.agenda.rouse()
	if d := w.dispatch.Load(); d != nil {
		d.Wake()
	}
}
