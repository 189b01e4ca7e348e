package popfetch

import (
	"cmp"
	"time"
)

// The bounds between fetches (gmail-inbound.md 4.c).
const (
	Shortest = 2 * time.Minute
	Longest  = time.Hour
)

// Schedule says when a source is to be fetched next. Of the provider's own rule
// only the range is known. This one halves the interval after a fetch that
// brought mail, and makes it half as long again after one that did not, or
// that went wrong. It begins at the shortest.
type Schedule struct {
	// Shortest and Longest bound the interval; zero are the constants of these
	// names.
	Shortest, Longest time.Duration

	interval time.Duration
}

// Next notes a fetch that ended at now, and whether it brought mail, and
// returns when the next one is due.
func (s *Schedule) Next(now time.Time, found bool) time.Time {
	shortest, longest := cmp.Or(s.Shortest, Shortest), cmp.Or(s.Longest, Longest)
	s.interval = max(s.interval, shortest)
	if found {
		s.interval /= 2
	} else {
		s.interval += s.interval / 2
	}
	s.interval = min(max(s.interval, shortest), max(shortest, longest))
	return now.Add(s.interval)
}
