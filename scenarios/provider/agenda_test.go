package provider

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var agendaStart = time.Date(2026, 1, 15, 9, 0, 0, 0, time.UTC)

// newAgendaWorld returns a world that is closed with the test, and a book of
// what was done in it, and when.
func newAgendaWorld(t *testing.T, c *Clock) (*World, *done) {
	t.Helper()
	p, err := New(Options{Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p.World, &done{w: p.World, begun: c.Now(), came: make(chan string, 200)}
}

// done is a book of duties.
type done struct {
	w     *World
	begun time.Time
	came  chan string // Each duty, as it is done.

	mu   sync.Mutex
	list []string
}

func (d *done) note(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name += "@" + d.w.clock.Now().Sub(d.begun).String()
	d.list = append(d.list, name)
	d.came <- name
}

func (d *done) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.list, " ")
}

// add puts a duty on the agenda that is due after a time.
func (d *done) add(name string, after time.Duration) {
	d.duty(after, func(context.Context) { d.note(name) })
}

// duty is add for one that does more. All of them are in one lane.
func (d *done) duty(after time.Duration, do func(context.Context)) { d.in("lane", after, do) }

func (d *done) in(lane string, after time.Duration, do func(context.Context)) {
	d.w.agenda.add(d.w, lane, d.begun.Add(after), do)
}

// With a standing clock a duty is done at its time, those of one time in the
// order in which they came, and no duty before its time.
func TestAgendaOrder(t *testing.T) {
	t.Parallel()
	w, d := newAgendaWorld(t, StandingClock(agendaStart))
	d.add("c", 3*time.Minute)
	d.add("a1", time.Minute)
	d.add("b", 2*time.Minute)
	d.add("a2", time.Minute)
	d.add("late", time.Hour)
	d.add("a3", time.Minute)
	if err := w.Drain(t.Context()); err != nil || d.String() != "" {
		t.Fatalf("before their time: %s, %v", d, err)
	}
	if at, ok := w.due(); !ok || !at.Equal(agendaStart.Add(time.Minute)) {
		t.Errorf("due at %s, %v", at, ok)
	}
	if err := w.Advance(t.Context(), 10*time.Minute); err != nil || d.String() != "a1@1m0s a2@1m0s a3@1m0s b@2m0s c@3m0s" {
		t.Errorf("done: %s, %v", d, err)
	}
	if !w.clock.Now().Equal(agendaStart.Add(10 * time.Minute)) {
		t.Errorf("the clock shows %s", w.clock.Now())
	}
	if err := w.Advance(t.Context(), 50*time.Minute); err != nil || !strings.HasSuffix(d.String(), " late@1h0m0s") {
		t.Errorf("done: %s, %v", d, err)
	}
	if at, ok := w.due(); ok {
		t.Errorf("something is due at %s", at)
	}
}

// What is overdue is done at once, and time does not go back for it.
func TestAgendaOverdue(t *testing.T) {
	t.Parallel()
	w, d := newAgendaWorld(t, StandingClock(agendaStart))
	d.add("past", -time.Hour)
	d.add("now", 0)
	if err := w.Advance(t.Context(), time.Second); err != nil || d.String() != "past@0s now@0s" && d.String() != "past@1s now@1s" {
		t.Errorf("done: %s, %v", d, err)
	}
}

// What a duty adds is done, too, within the same drain if it is due by then.
func TestAgendaAddsDuties(t *testing.T) {
	t.Parallel()
	w, d := newAgendaWorld(t, StandingClock(agendaStart))
	d.duty(time.Minute, func(context.Context) {
		d.note("first")
		d.add("at once", time.Minute)
		d.add("overdue", 0)
		d.add("next", 2*time.Minute)
		d.add("beyond", time.Hour)
	})
	d.add("beside", time.Minute)
	if err := w.Advance(t.Context(), 5*time.Minute); err != nil || d.String() != "first@1m0s overdue@1m0s beside@1m0s at once@1m0s next@2m0s" {
		t.Errorf("done: %s, %v", d, err)
	}
	// One that adds itself again, for ever.
	ticks := 0
	var tick func(context.Context)
	tick = func(context.Context) {
		ticks++
		d.duty(w.clock.Now().Sub(d.begun)+time.Minute, tick)
	}
	d.duty(w.clock.Now().Sub(d.begun)+time.Minute, tick)
	if err := w.Advance(t.Context(), 90*time.Minute); err != nil || ticks != 90 {
		t.Errorf("%d ticks, %v", ticks, err)
	}
}

// Duties are done one after the other, whoever drains.
func TestAgendaOneAtATime(t *testing.T) {
	t.Parallel()
	w, d := newAgendaWorld(t, StandingClock(agendaStart))
	var busy sync.Mutex
	for range 100 {
		d.duty(0, func(context.Context) {
			if !busy.TryLock() {
				t.Error("two duties are done at once")
				return
			}
			d.note("x")
			busy.Unlock()
		})
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if err := w.Drain(t.Context()); err != nil {
				t.Error(err)
			}
			// Whoever returns may rely on all of it.
			if n := len(strings.Fields(d.String())); n != 100 {
				t.Errorf("a drain is over after %d duties", n)
			}
		})
	}
	group.Wait()
}

// With a running clock one lane does not wait for another, and within a lane
// duties are done in their order. With a standing clock there is one lane only:
// what happens must be the same on every run.
func TestAgendaLanes(t *testing.T) {
	t.Parallel()
	for _, runs := range []bool{false, true} {
		clock, want := StandingClock(agendaStart), "slow next other"
		if runs {
			fixed := agendaStart
			clock, want = RunningClock(func() time.Time { return fixed }), "other slow next"
		}
		w, d := newAgendaWorld(t, clock)
		begun, goOn := make(chan struct{}), make(chan struct{})
		d.in("one", 0, func(context.Context) {
			close(begun)
			<-goOn
			d.note("slow")
		})
		d.in("one", 0, func(context.Context) { d.note("next") })
		<-begun
		d.in("two", 0, func(context.Context) { d.note("other") })
		if runs {
			<-d.came // Or it waits for the slow one.
		}
		close(goOn)
		if err := w.Drain(t.Context()); err != nil || strings.ReplaceAll(d.String(), "@0s", "") != want {
			t.Errorf("runs: %v, done: %s, %v", runs, d, err)
		}
	}
}

// Who stops waiting does not stop the duty.
func TestAgendaImpatient(t *testing.T) {
	t.Parallel()
	w, d := newAgendaWorld(t, StandingClock(agendaStart))
	begun, goOn := make(chan struct{}), make(chan struct{})
	d.duty(time.Minute, func(ctx context.Context) {
		close(begun)
		<-goOn
		if ctx.Err() != nil {
			t.Error("the duty was cut off")
		}
		d.note("done")
	})
	ctx, giveUp := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Advance(ctx, time.Minute) }()
	<-begun
	giveUp()
	if err := <-ended; err == nil {
		t.Error("it waited")
	}
	close(goOn)
	if err := w.Drain(t.Context()); err != nil || d.String() != "done@1m0s" {
		t.Errorf("done: %s, %v", d, err)
	}
}

// With a running clock duties come by themselves, at their time; an earlier one
// that is added later comes earlier, and an advance brings them nearer. In the
// bubble this takes no time, and Close must end every goroutine.
func TestAgendaRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, d := newAgendaWorld(t, RunningClock(time.Now))
		next := func(want string, after time.Duration) {
			t.Helper()
			if got := <-d.came; got != want || time.Since(d.begun) != after {
				t.Errorf("after %s %s is done, and not %s after %s", time.Since(d.begun), got, want, after)
			}
		}
		d.add("c", 3*time.Hour)
		d.add("a", time.Minute)
		next("a@1m0s", time.Minute)
		synctest.Wait() // Now the timer of c runs.
		d.add("d", 4*time.Hour)
		d.add("b", 2*time.Minute)
		next("b@2m0s", 2*time.Minute)
		synctest.Wait()
		if err := w.Advance(t.Context(), time.Hour); err != nil || len(d.came) > 0 {
			t.Errorf("%d duties are done too early, %v", len(d.came), err)
		}
		next("c@3h0m0s", 2*time.Hour)
		// What an advance makes due is done when it returns, each at its time, and
		// what that leads to; a duty takes of the machine's time, too.
		d.duty(3*time.Hour+30*time.Minute, func(context.Context) {
			d.note("e")
			time.Sleep(time.Minute)
			d.add("f", 3*time.Hour+45*time.Minute)
		})
		if err := w.Advance(t.Context(), 90*time.Minute); err != nil || len(d.came) != 3 {
			t.Errorf("%d duties are done, %v", len(d.came), err)
		}
		next("e@3h30m0s", 2*time.Hour+time.Minute)
		next("f@3h45m0s", 2*time.Hour+time.Minute)
		next("d@4h0m0s", 2*time.Hour+time.Minute)
		if now := w.clock.Now().Sub(d.begun); now != 4*time.Hour+31*time.Minute {
			t.Errorf("the clock has moved by %s", now)
		}
		d.add("never", 1000*time.Hour)
	})
}

// Close ends a duty's context and waits for the duty; what is due afterwards is
// not done. It does not matter how the duty was begun.
func TestAgendaClose(t *testing.T) {
	t.Parallel()
	for _, runs := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			clock := StandingClock(agendaStart)
			if runs {
				clock = RunningClock(time.Now)
			}
			w, d := newAgendaWorld(t, clock)
			begun := make(chan struct{})
			d.duty(0, func(ctx context.Context) {
				close(begun)
				<-ctx.Done()
				d.note("first")
				d.add("added", 0)
			})
			d.add("second", 0)
			<-begun
			if err := w.close(); err != nil {
				t.Error(err)
			}
			if got := strings.Fields(d.String()); !slices.Equal(got, []string{"first@0s"}) {
				t.Errorf("runs: %v, done: %s", runs, d)
			}
		})
	}
}
