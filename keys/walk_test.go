package keys

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// verifier is a service's program that verifies tokens: how it caches the keys.
type verifier struct {
	name       string
	ignoresAge bool // It caches for max-age from when it fetched.
	refetches  bool // It fetches again when it meets an unknown kid.

	keys  TrustedKeys
	until time.Time
}

// fetch fetches the keys as a client does, from what the set serves.
func (v *verifier) fetch(t *testing.T, s *Set, now time.Time) {
	t.Helper()
	w := get(t, s, PathJWKS)
	maxAge, age := cacheTimes(t, w.Header())
	if v.ignoresAge {
		age = 0
	}
	keys, err := ParseKeys(w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	keys.named = true // It never tries a key that the token does not name.
	v.keys, v.until = keys, now.Add(maxAge-age)
}

// verify verifies a token at a moment; the reason is empty if it accepts it.
func (v *verifier) verify(t *testing.T, s *Set, token string, now time.Time) (reason string) {
	t.Helper()
	if !now.Before(v.until) {
		v.fetch(t, s, now)
	}
	e := Examine(token, v.keys, VerifyOptions{Audience: audience, At: now})
	if e.Reason == "key-unknown" && v.refetches {
		v.fetch(t, s, now)
		e = Examine(token, v.keys, VerifyOptions{Audience: audience, At: now})
	}
	return e.Reason
}

func newVerifiers() []*verifier {
	return []*verifier{{name: "caching"}, {name: "ignoring Age", ignoresAge: true}, {name: "fetching again", refetches: true}}
}

func cacheTimes(t *testing.T, h http.Header) (maxAge, age time.Duration) {
	t.Helper()
	text, rest, ok := strings.Cut(strings.TrimPrefix(h.Get("Cache-Control"), "public, max-age="), ",")
	seconds, err := strconv.Atoi(text)
	aged, err2 := strconv.Atoi(h.Get("Age"))
	if !ok || rest != " must-revalidate, no-transform" || err != nil || err2 != nil {
		t.Fatalf("Cache-Control %q, Age %q", h.Get("Cache-Control"), h.Get("Age"))
	}
	return time.Duration(seconds) * time.Second, time.Duration(aged) * time.Second
}

// document holds at each moment what Cache-Control and Age say of the document:
// how old its content is.
type document struct {
	body      string
	generated time.Time
}

// look fetches the document and compares it with the one of a second before.
func (d *document) look(t *testing.T, s *Set, now time.Time, wantMaxAge time.Duration) {
	t.Helper()
	w := get(t, s, PathJWKS)
	maxAge, age := cacheTimes(t, w.Header())
	if maxAge != wantMaxAge || age < 0 || age >= maxAge {
		t.Fatalf("%s: max-age %s, Age %s, want max-age %s", stamp(now), maxAge, age, wantMaxAge)
	}
	generated, body := now.Add(-age), w.Body.String()
	switch {
	case d.body == "" || generated.Equal(d.generated) && body == d.body:
	case generated.Before(d.generated):
		t.Fatalf("%s: the document is of %s, and the one before was of %s", stamp(now), stamp(generated), stamp(d.generated))
	case generated.Equal(d.generated):
		t.Fatalf("%s: another document of the same age", stamp(now))
	case age != 0:
		t.Fatalf("%s: a new document has Age %s", stamp(now), age)
	}
	d.body, d.generated = body, generated
}

// TestWalkRotations walks the provider's clock second by second through
// rotations by clock, by command and through changes of the times. Verifiers of
// every kind accept every token until it expires, and the key of the last token
// of a key is published until the overlap ends and not a second longer.
func TestWalkRotations(t *testing.T) {
	t.Parallel()
	const seconds = time.Second
	s, c := newSet(t, Options{Lifetime: 20 * seconds, MaxAge: 10 * seconds, RotateEvery: 25 * seconds, Overlap: 40 * seconds})
	timing := Timing{}
	changes := map[int]Timing{
		147: {MaxAge: 25 * seconds},                              // Documents live longer than they did.
		200: {MaxAge: 4 * seconds, RotateEvery: 7 * seconds},     // Those of before are cached still.
		260: {Lifetime: 40 * seconds, RotateEvery: 20 * seconds}, // As long as the overlap.
		350: {},
	}
	verifiers := newVerifiers()
	var live []made
	ends := map[string]time.Time{} // When keys are withdrawn, by id.
	var doc document
	before := current(t, s)
	rotations := 0
	for second := range 450 {
		now := c.Now()
		if change, ok := changes[second]; ok {
			if err := s.Retime(change); err != nil {
				t.Fatal(err)
			}
			timing = change
		}
		if second == 60 || second == 292 {
			if err := s.Rotate(); err != nil {
				t.Fatalf("second %d: %v", second, err)
			}
		}
		doc.look(t, s, now, withDefault(timing.MaxAge, 10*seconds))
		if id := current(t, s); id != before {
			ends[before] = now.Add(40 * seconds)
			before = id
			rotations++
		}
		lookForEnds(t, s, now, ends)
		if second%2 == 0 {
			live = append(live, made{mint(t, s), now, now.Add(withDefault(timing.Lifetime, 20*seconds) - Backdate)})
		}
		// The oldest and the newest are enough.
		for _, k := range []made{live[0], live[len(live)-1]} {
			k.look(t, s, now, verifiers)
		}
		live = slices.DeleteFunc(live, func(k made) bool { return !now.Before(k.ends) })
		c.advance(time.Second)
	}
	if rotations < 20 {
		t.Errorf("%d rotations", rotations)
	}
}

// made is a token, when it was made and when it expires.
type made struct {
	token    string
	at, ends time.Time
}

// look holds that every verifier accepts a token until it expires.
func (k made) look(t *testing.T, s *Set, now time.Time, verifiers []*verifier) {
	t.Helper()
	want := ""
	if !now.Before(k.ends) {
		want = "expired"
	}
	for _, v := range verifiers {
		if got := v.verify(t, s, k.token, now); got != want {
			t.Fatalf("%s: the verifier %s finds %q in a token made %s ago, want %q", stamp(now), v.name, got, now.Sub(k.at), want)
		}
	}
}

// lookForEnds holds that keys that sign no more are published until their end,
// and not from then on.
func lookForEnds(t *testing.T, s *Set, now time.Time, ends map[string]time.Time) {
	t.Helper()
	list := keysOf(t, s)
	for id, end := range ends {
		published := slices.ContainsFunc(list, func(k Key) bool { return k.ID == id })
		if published != now.Before(end) {
			t.Fatalf("%s: key %s is published: %v; its overlap ends at %s", stamp(now), id, published, stamp(end))
		}
	}
}

// TestWalkWithdrawal walks through an emergency, once long after the last
// rotation and once within its max-age: what verifiers of each kind do with
// tokens of the withdrawn key and of the one that signs now.
func TestWalkWithdrawal(t *testing.T) {
	t.Parallel()
	const maxAge = 10 * time.Second
	for _, soon := range []bool{false, true} {
		t.Run(fmt.Sprintf("soon %v", soon), func(t *testing.T) {
			t.Parallel()
			s, c := newSet(t, Options{MaxAge: maxAge})
			verifiers := newVerifiers()
			mint(t, s)
			for _, v := range verifiers {
				v.fetch(t, s, c.Now())
			}
			c.advance(3 * time.Second)
			if soon {
				// The verifiers have the key that signs now, and not the one
				// that the emergency lets sign.
				if err := s.Rotate(); err != nil {
					t.Fatal(err)
				}
				c.advance(time.Second)
			}
			stolen := mint(t, s)
			s.Withdraw()
			fresh := mint(t, s)
			first := verifiers[0].until // Of the documents of before.
			for second := range 30 {
				now := c.Now()
				for _, v := range verifiers {
					want := ""
					if soon && !v.refetches && now.Before(first) {
						want = "key-unknown"
					}
					if got := v.verify(t, s, fresh, now); got != want {
						t.Errorf("second %d: the verifier %s finds %q in a new token, want %q", second, v.name, got, want)
					}
					want = "key-unknown"
					if v.until.Equal(first) {
						want = "" // It has not fetched since, and cannot know.
					}
					if got := v.verify(t, s, stolen, now); got != want {
						t.Errorf("second %d: the verifier %s finds %q in a token of the withdrawn key, want %q", second, v.name, got, want)
					}
					if v.until.Equal(first) && !now.Before(first) {
						t.Errorf("second %d: the verifier %s caches longer than max-age", second, v.name)
					}
				}
				c.advance(time.Second)
			}
		})
	}
}

// TestScheduleGrid does two rotations by command and a change of times at every
// moment of a grid, with a verifier that fetches at every second: none misses
// the key of a token before its document has expired.
func TestScheduleGrid(t *testing.T) {
	t.Parallel()
	short := times{lifetime: 6 * time.Second, overlap: 6 * time.Second, maxAge: 4 * time.Second}
	long := times{lifetime: 15 * time.Second, overlap: 15 * time.Second, maxAge: 11 * time.Second}
	byClock := short
	byClock.every = 5 * time.Second
	for _, change := range [][2]times{{short, long}, {long, short}, {long, byClock}, {byClock, long}} {
		for at := 0; at < 26; at += 2 {
			for first := range 20 {
				for second := first; second < 26; second += 2 {
					if err := walkGrid(change, at, first, second); err != nil {
						t.Fatalf("from %+v to %+v at %d, rotations at %d and %d: %v", change[0], change[1], at, first, second, err)
					}
				}
			}
		}
	}
}

func walkGrid(change [2]times, at, first, second int) error {
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	s := newSchedule(change[0], start)
	var caches []cached
	var tokens []signed
	for i := range 45 {
		now := start.Add(time.Duration(i) * time.Second)
		if i == at {
			s.retime(now, change[1])
		}
		if i == first || i == second {
			_ = s.rotate(now) // Too soon is an answer, too.
		}
		s.sign(now)
		numbers := s.document()
		for _, c := range caches {
			if now.Before(c.until) && !slices.Contains(c.numbers, s.current) {
				return fmt.Errorf("at %d a verifier has %v until %s and meets a token of key %d", i, c.numbers, c.until.Sub(start), s.current)
			}
		}
		tokens = append(tokens, signed{s.current, now.Add(s.lifetime)})
		for _, k := range tokens {
			if now.Before(k.expiry) && !slices.Contains(numbers, k.number) {
				return fmt.Errorf("at %d key %d is not published, its token expires at %s", i, k.number, k.expiry.Sub(start))
			}
		}
		s.serve(now)
		caches = append(caches, cached{numbers, now.Add(s.maxAge)}) // Age ignored: the longest.
	}
	return nil
}
