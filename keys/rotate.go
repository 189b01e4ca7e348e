package keys

import (
	"fmt"
	"time"
)

// Timing are the durations that may change while a set is in use. What is zero
// is as the set's options say.
type Timing struct {
	Lifetime    time.Duration // As Options.Lifetime.
	RotateEvery time.Duration // As Options.RotateEvery.
	MaxAge      time.Duration // As Options.MaxAge.
}

// Retime changes the durations of the set from now on. The error names what is
// wrong with them, and then nothing changes.
//
// Nobody is cut off by it. Tokens keep the lifetime they were made with, and a
// key that has signed with a longer one stays published until the overlap of
// then ends. Documents that were served keep the max-age they were served with,
// and until it is over no key begins to sign that they lack: a rotation that
// comes earlier is put off if it is automatic, and else a [*TooSoonError]. With
// another RotateEvery, the first automatic rotation is that long after the
// change.
func (s *Set) Retime(t Timing) error {
	o := s.opts
	o.Lifetime = withDefault(t.Lifetime, o.Lifetime)
	o.RotateEvery = withDefault(t.RotateEvery, o.RotateEvery)
	o.MaxAge = withDefault(t.MaxAge, o.MaxAge)
	if err := o.check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.times.retime(s.opts.Now(), o.times())
	return nil
}

// times are the durations that the options ask for.
func (o Options) times() times {
	return times{lifetime: o.Lifetime, every: o.RotateEvery, maxAge: o.MaxAge, overlap: o.overlap()}
}

func (o Options) overlap() time.Duration {
	return withDefault(o.Overlap, o.Lifetime+skew+o.MaxAge)
}

// TooSoonError is the error of a rotation that would break verifiers: some may
// hold a cached document that lacks the key which would begin to sign.
type TooSoonError struct {
	At time.Time // From when on, by the provider's clock, rotation is possible.
}

func (e *TooSoonError) Error() string {
	return fmt.Sprintf("keys: too soon to rotate: caches may lack the next key until %s", stamp(e.At))
}

// Rotate makes the next key the current one, at once, and publishes another
// next key. The previous key stays published until its overlap ends. The first
// rotation is always possible; a later one not before MaxAge after the one
// before it, and the error is then a [*TooSoonError].
func (s *Set) Rotate() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.times.rotate(s.opts.Now())
}

// Withdraw is the rotation of an emergency, when keys have become known to
// others: the next key signs from now on, and every key that has signed before
// is published no longer. It is never too soon for it.
//
// It has a price, which every verifier pays that caches. Until its document
// expires, at most MaxAge later, it goes on to accept the tokens of a withdrawn
// key. And if the last rotation was less than MaxAge ago, its document may lack
// the key that signs now: one that fetches again on an unknown kid, as OpenID
// Connect Core 1.0 section 10.1.1 expects, accepts the new tokens at once; one
// that does not refuses them until its document has expired.
func (s *Set) Withdraw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.times.withdraw(s.opts.Now())
}
