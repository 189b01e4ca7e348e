package provider

import (
	"errors"
	"fmt"
	"math"
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

// lastYear is the last one that RFC 3339 can write.
const lastYear = 9999

// The errors of moving a clock too far. A running one is kept as its distance from
// the real one, which a time.Duration has to hold.
var (
	errLastYear = fmt.Errorf("the clock does not go beyond the year %d", lastYear)
	errTooFar   = errors.New("a clock that runs goes at most 292 years from the machine's")
)

// Set moves the clock to a time. The error is that this is too far away.
func (c *Clock) Set(at time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at.Year() > lastYear {
		return errLastYear
	}
	if c.real == nil {
		c.now = at
		return nil
	}
	offset := at.Sub(c.real())
	if offset == math.MaxInt64 || offset == math.MinInt64 {
		return errTooFar
	}
	c.offset = offset
	return nil
}

// reaches returns an error if the clock cannot be moved forward by d.
func (c *Clock) reaches(d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.real == nil {
		if c.now.Add(d).Year() > lastYear {
			return errLastYear
		}
		return nil
	}
	if c.offset > math.MaxInt64-d {
		return errTooFar
	}
	return nil
}

// advance moves the clock forward, by no more than it reaches.
func (c *Clock) advance(d time.Duration) {
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
