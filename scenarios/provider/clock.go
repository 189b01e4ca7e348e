package provider

import (
	"sync"
	"time"
)

// Clock is the provider's clock. It either runs, at the pace of the real one,
// or stands and moves only when it is told to; scenarios use the second kind,
// so that they say the same on every run.
type Clock struct {
	mu     sync.Mutex
	real   func() time.Time // Nil for a standing clock.
	now    time.Time        // Of a standing clock.
	offset time.Duration    // Of a running clock, from the real one.
}

// StandingClock returns a clock that stands at the given time.
func StandingClock(at time.Time) *Clock { return &Clock{now: at} }

// RunningClock returns a clock that shows real's time until it is moved.
func RunningClock(real func() time.Time) *Clock { return &Clock{real: real} }

// Now returns the clock's time, in UTC.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.real == nil {
		return c.now.UTC()
	}
	return c.real().Add(c.offset).UTC()
}

// Set moves the clock to a time.
func (c *Clock) Set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.real == nil {
		c.now = at
		return
	}
	c.offset = at.Sub(c.real())
}

// Advance moves the clock forward.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.real == nil {
		c.now = c.now.Add(d)
		return
	}
	c.offset += d
}

// Runs says whether the clock runs by itself.
func (c *Clock) Runs() bool { return c.real != nil }
