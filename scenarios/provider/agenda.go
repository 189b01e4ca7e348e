package provider

import (
	"context"
	"slices"
	"sync"
	"time"
)

// agenda is what a world has to do by itself, and when: fetch mail, send mail
// and try it again. Times are those of the world's clock.
type agenda struct {
	clock   *Clock
	passive bool          // Nothing is ever on it.
	begin   sync.Once     // Of run.
	wake    chan struct{} // Has room for one: something is new.

	mu      sync.Mutex      // Guards what follows.
	duties  []duty          // By time; those of the same time in the order in which they came.
	busy    map[string]bool // The lanes in which a duty is being done.
	changed chan struct{}   // Closed when one has been done.
}

// duty is one thing to do. Those of a lane are done one after the other. It must
// not wait for the agenda.
type duty struct {
	at   time.Time
	lane string
	do   func(ctx context.Context)
}

func newAgenda(c *Clock, passive bool) *agenda {
	return &agenda{clock: c, passive: passive, wake: make(chan struct{}, 1), busy: map[string]bool{}, changed: make(chan struct{})}
}

// add puts a duty on the agenda, for the world w that will do it. With a
// standing clock all are in one lane, so that they happen in the same order on
// every run.
func (a *agenda) add(w *World, lane string, at time.Time, do func(ctx context.Context)) {
	if a.passive {
		return
	}
	if !a.clock.Runs() {
		lane = ""
	}
	a.mu.Lock()
	i := len(a.duties)
	for i > 0 && a.duties[i-1].at.After(at) {
		i--
	}
	a.duties = slices.Insert(a.duties, i, duty{at, lane, do})
	a.mu.Unlock()
	a.begin.Do(func() { w.begin(func() { a.run(w) }) })
	a.rouse()
}

// rouse has the agenda looked at: it is new, or the clock was moved.
func (a *agenda) rouse() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// due returns when the next duty is due; false if there is none.
func (a *agenda) due() (time.Time, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.duties) == 0 {
		return time.Time{}, false
	}
	return a.duties[0].at, true
}

// start begins what is due, in every lane that is free. done is false if there
// is something under way or still to begin; changed is then closed when that has
// become less.
func (a *agenda) start(w *World) (done bool, changed <-chan struct{}) {
	now := a.clock.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	done = len(a.busy) == 0
	a.duties = slices.DeleteFunc(a.duties, func(d duty) bool {
		if d.at.After(now) || w.ctx.Err() != nil {
			return false
		}
		done = false
		if a.busy[d.lane] {
			return false
		}
		begun := w.begin(func() {
			d.do(w.ctx)
			a.finish(d.lane)
		})
		if begun {
			a.busy[d.lane] = true
		}
		return begun
	})
	return done, a.changed
}

// finish frees a lane.
func (a *agenda) finish(lane string) {
	a.mu.Lock()
	delete(a.busy, lane)
	close(a.changed)
	a.changed = make(chan struct{})
	a.mu.Unlock()
	a.rouse()
}

// doDue does what is due, also what falls due through it, and returns when
// nothing is and nothing is under way, or when the world ends.
func (a *agenda) doDue(w *World) {
	for {
		done, changed := a.start(w)
		if done || w.ctx.Err() != nil {
			return
		}
		select {
		case <-changed:
		case <-w.ctx.Done():
			return
		}
	}
}

// run does what falls due until the world ends. A standing clock moves only when
// it is told to, which rouses the agenda.
func (a *agenda) run(w *World) {
	alarm := time.NewTimer(time.Hour)
	defer alarm.Stop()
	for {
		a.start(w)
		alarm.Stop()
		if at, ok := a.due(); ok && a.clock.Runs() {
			if wait := at.Sub(a.clock.Now()); wait > 0 {
				alarm.Reset(wait) // What is due and has not begun waits for its lane.
			}
		}
		select {
		case <-w.ctx.Done():
			return
		case <-a.wake:
		case <-alarm.C:
		}
	}
}
