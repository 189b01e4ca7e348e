package keys

import "time"

// schedule says which key signs and which are published at a moment. Keys are
// numbers: 0, 1, 2 and so on in the order in which they sign. It is pure but
// for its own state, and not safe for concurrent use.
//
// What it holds, for verifiers that fetch a document at any moment t and cache
// it until t + max-age - Age:
//
//  1. Such a verifier has the key of every token made before its cache
//     expires. Key n+1 is published from the rotation that makes n current,
//     and a document fetched before that rotation has expired max-age after
//     it; the next rotation, at which n+1 begins to sign, is not earlier. This
//     holds even for a verifier that ignores Age.
//  2. A verifier that fetches while a token has not expired gets its key, for
//     a retired key stays published for the overlap, which is not shorter than
//     a token's lifetime.
//
// A document is generated at each rotation and then each max-age, and does not
// change in between, so that equal content has one Age.
type schedule struct {
	every   time.Duration // Zero: no automatic rotation.
	maxAge  time.Duration
	overlap time.Duration

	current   int
	since     time.Time // When current began to sign; documents are generated from here on.
	notBefore time.Time // When the next rotation is possible.
	retired   []retirement
}

// retirement is the end of a key's signing. The list of them is in order of
// time and of number.
type retirement struct {
	number int
	at     time.Time
}

// advance does the automatic rotations that were due up to now. A clock that
// was put back undoes none.
func (s *schedule) advance(now time.Time) {
	if s.every > 0 {
		due := int(now.Sub(s.since) / s.every)
		// After a long jump only the last keys can still be published; the
		// others never existed as far as anybody can tell.
		if skip := due - int((s.overlap+s.maxAge)/s.every) - 1; skip > 0 {
			s.current += skip
			s.since = s.since.Add(time.Duration(skip) * s.every)
			s.retired = nil
			due -= skip
		}
		for ; due > 0; due-- {
			s.turn(s.since.Add(s.every))
		}
	}
	generated := s.generated(now)
	for len(s.retired) > 0 && !s.retired[0].at.Add(s.overlap).After(generated) {
		s.retired = s.retired[1:]
	}
}

// rotate rotates by command.
func (s *schedule) rotate(now time.Time) error {
	s.advance(now)
	if now.Before(s.notBefore) {
		return &TooSoonError{At: s.notBefore}
	}
	if now.Before(s.since) {
		now = s.since
	}
	s.turn(now)
	return nil
}

func (s *schedule) turn(at time.Time) {
	s.retired = append(s.retired, retirement{s.current, at})
	s.current++
	s.since = at
	s.notBefore = at.Add(s.maxAge)
}

// generated is when the document that is served now was generated.
func (s *schedule) generated(now time.Time) time.Time {
	if now.Before(s.since) {
		return s.since
	}
	return s.since.Add(now.Sub(s.since) / s.maxAge * s.maxAge)
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
