package keys

import (
	"slices"
	"time"
)

// schedule says which key signs and which are published at a moment. Keys are
// numbers: 0, 1, 2 and so on in the order in which they sign. It is pure but
// for its own state, and not safe for concurrent use.
//
// What it holds, for verifiers that fetch a document at any moment t and cache
// it until t + max-age - Age, whatever retime does in between:
//
//  1. Such a verifier has the key of every token made before its cache
//     expires. Key n+1 is published from the rotation that makes n current,
//     and a document fetched before that rotation has expired max-age after
//     it; the next rotation, at which n+1 begins to sign, is not earlier. This
//     holds even for a verifier that ignores Age. A document that was served
//     under an earlier, longer max-age counts with that.
//  2. A verifier that fetches while a token has not expired gets its key, for
//     a retired key stays published for the overlap, which is not shorter than
//     a token's lifetime. A token that was signed under an earlier, longer
//     lifetime counts with the overlap of then.
//
// An emergency gives up both: see withdraw. A clock that goes back may give up the
// first: what was cached and what was served are then times to come, so that a
// rotation by command may be refused, and one by itself be late, until the clock
// has come up with them; and a document that was fetched before may be cached past
// a rotation that comes after. No key is withdrawn earlier for it.
//
// A document is generated at each rotation, withdrawal and change of times, and
// then each max-age, and does not change in between, so that equal content has
// one Age.
type schedule struct {
	times

	current   int
	since     time.Time // When current began to sign.
	from      time.Time // Documents are generated from here on.
	notBefore time.Time // When the next rotation is possible.
	next      time.Time // The next automatic rotation; meaningless without one.
	retired   []retirement

	owed   time.Time // Until when current stays published at least, for what it has signed.
	cached time.Time // Until when a document of an earlier max-age may be cached.
	served time.Time // When a document of this max-age was last served.
}

// times are the durations of a schedule.
type times struct {
	lifetime time.Duration // Of a token.
	every    time.Duration // Zero: no automatic rotation.
	maxAge   time.Duration
	overlap  time.Duration
}

// retirement is a key that signs no more, and when it is withdrawn. The list
// of them is in order of number, and of time but for a change of times.
type retirement struct {
	number int
	until  time.Time
}

func newSchedule(t times, now time.Time) schedule {
	return schedule{times: t, since: now, from: now, next: now.Add(t.every)}
}

// advance does the automatic rotations and the withdrawals that were due up to
// now. A clock that was put back undoes none.
func (s *schedule) advance(now time.Time) {
	for {
		end := s.firstEnd()
		switch {
		case s.every > 0 && !s.next.After(now) && (end.IsZero() || !end.Before(s.next)):
			s.turn(s.next)
			s.skip(now)
		case !end.IsZero() && !end.After(now):
			s.from = latest(s.from, end)
			s.retired = slices.DeleteFunc(s.retired, func(r retirement) bool { return !r.until.After(end) })
		default:
			return
		}
	}
}

// skip leaves out automatic rotations of a long jump whose keys would have been
// withdrawn again by now: they never existed as far as anybody can tell.
func (s *schedule) skip(now time.Time) {
	n := int(now.Sub(s.next)/s.every) - int(s.overlap/s.every) - 1
	if n <= 0 {
		return
	}
	by := time.Duration(n) * s.every
	s.current += n
	s.since, s.next, s.notBefore = s.since.Add(by), s.next.Add(by), s.notBefore.Add(by)
	s.from = s.since
}

// firstEnd is when the next retired key is withdrawn, zero if none will be.
func (s *schedule) firstEnd() time.Time {
	var end time.Time
	for _, r := range s.retired {
		if end.IsZero() || r.until.Before(end) {
			end = r.until
		}
	}
	return end
}

// rotate rotates by command.
func (s *schedule) rotate(now time.Time) error {
	s.advance(now)
	if now.Before(s.notBefore) {
		return &TooSoonError{At: s.notBefore}
	}
	s.turn(latest(now, s.since))
	return nil
}

// withdraw rotates because keys are known to others: none that has signed stays
// published. It waits for nobody's cache, since the tokens that verifiers then
// refuse for a max-age at most are worth less than those that they must not
// accept.
func (s *schedule) withdraw(now time.Time) {
	s.advance(now)
	s.turn(latest(now, s.since))
	s.retired = nil
}

func (s *schedule) turn(at time.Time) {
	s.retired = append(s.retired, retirement{s.current, latest(at.Add(s.overlap), s.owed)})
	s.current++
	s.since, s.from, s.owed = at, latest(s.from, at), time.Time{}
	s.notBefore = latest(at.Add(s.maxAge), s.cached)
	s.next = latest(at.Add(s.every), s.notBefore)
}

// retime changes the times from now on. The first automatic rotation is a whole
// interval away if the interval is another one.
func (s *schedule) retime(now time.Time, t times) {
	s.advance(now)
	if t == s.times {
		return
	}
	if !s.served.IsZero() {
		s.cached = latest(s.cached, s.served.Add(s.maxAge))
		s.served = time.Time{}
	}
	if t.every != s.every {
		s.next = latest(now.Add(t.every), s.notBefore)
	}
	s.times, s.from = t, latest(s.from, now)
}

// sign notes that the current key signs a token.
func (s *schedule) sign(now time.Time) {
	s.advance(now)
	s.owed = latest(s.owed, now.Add(s.overlap))
}

// serve notes that a document goes out that may be cached.
func (s *schedule) serve(now time.Time) {
	s.advance(now)
	s.served = latest(s.served, now)
}

// generated is when the document that is served now was generated.
func (s *schedule) generated(now time.Time) time.Time {
	if now.Before(s.from) {
		return s.from
	}
	return s.from.Add(now.Sub(s.from) / s.maxAge * s.maxAge)
}

// age is the value of the Age field, in whole seconds, rounded up so that no
// cache keeps a document past its end.
func (s *schedule) age(now time.Time) time.Duration {
	age := max(0, now.Sub(s.generated(now)))
	return (age + time.Second - 1).Truncate(time.Second)
}

// oldest is the lowest number that is published.
func (s *schedule) oldest() int {
	if len(s.retired) > 0 {
		return s.retired[0].number
	}
	return s.current
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
