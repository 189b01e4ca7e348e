package provider

import (
	"slices"
	"time"
)

// parts is how many parts a window has: what is counted is exact to one of
// them.
const parts = 60

// counter counts within one window.
type counter struct {
	counts [parts]int32
	// at is the part of all time in which it was last counted.
	at int64
	// used is the place of its last use among those of all counters.
	used int64
}

// count adds n and returns how many there are within the window that ends now.
// What comes a whole window late is not counted.
func (c *counter) count(now time.Time, window time.Duration, n int) int {
	at := partOf(now, window)
	slot := func(at int64) *int32 { return &c.counts[(at%parts+parts)%parts] }
	for stale := max(c.at+1, at-parts+1); stale <= at; stale++ {
		*slot(stale) = 0
	}
	c.at = max(c.at, at)
	if at > c.at-parts {
		*slot(at) += int32(n)
	}
	sum := 0
	for _, k := range c.counts {
		sum += int(k)
	}
	return sum
}

func partOf(t time.Time, window time.Duration) int64 {
	return t.UnixMilli() / (window / parts).Milliseconds()
}

// counters are those of one kind of key. Of too many, those that were not used
// for longest are forgotten.
type counters[K comparable] struct {
	byKey map[K]*counter
	most  int
	uses  int64
}

// count counts n of a key. To look, with n zero, makes no counter.
func (s *counters[K]) count(k K, now time.Time, window time.Duration, n int) int {
	c := s.byKey[k]
	if c == nil {
		if n == 0 {
			return 0
		}
		if s.byKey == nil {
			s.byKey = map[K]*counter{}
		}
		if len(s.byKey) >= s.most {
			s.forget()
		}
		c = &counter{at: partOf(now, window) - parts}
		s.byKey[k] = c
	}
	s.uses++
	c.used = s.uses
	return c.count(now, window, n)
}

// forget drops the half of the counters that were not used for longest.
func (s *counters[K]) forget() {
	uses := make([]int64, 0, len(s.byKey))
	for _, c := range s.byKey {
		uses = append(uses, c.used)
	}
	slices.Sort(uses)
	middle := uses[len(uses)/2]
	for k, c := range s.byKey {
		if c.used <= middle {
			delete(s.byKey, k)
		}
	}
}
