package keys

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// cached is what a verifier holds: the numbers in a document, until when.
type cached struct {
	numbers []int
	until   time.Time
}

func (s *schedule) document() []int {
	numbers := []int{s.current, s.current + 1}
	for _, r := range s.retired {
		numbers = append(numbers, r.number)
	}
	return numbers
}

// TestScheduleInvariant lives through weeks of random fetches, tokens,
// rotations and changes of times, and holds that every verifier has the key of
// every token: one that caches by max-age - Age, one that ignores Age, and one
// that fetches just before the token expires.
func TestScheduleInvariant(t *testing.T) {
	t.Parallel()
	timing := func(every, maxAge, lifetime time.Duration) times {
		return times{every: every, maxAge: maxAge, lifetime: lifetime, overlap: lifetime} // The shortest overlap that New allows.
	}
	tests := []struct {
		name string
		of   []times // All but the first come by a change.
	}{
		{"by command", []times{timing(0, 19800*time.Second, time.Hour)}},
		{"by command, short max-age", []times{timing(0, time.Minute, time.Hour)}},
		{"daily", []times{timing(24*time.Hour, 19800*time.Second, time.Hour)}},
		{"as often as possible", []times{timing(20*time.Minute, 20*time.Minute, time.Hour)}},
		{"another max-age", []times{timing(0, 19800*time.Second, time.Hour), timing(0, time.Minute, time.Hour)}},
		{"another lifetime", []times{timing(0, time.Minute, time.Hour), timing(0, time.Minute, time.Minute), timing(0, time.Minute, 3*time.Hour)}},
		{"all of them", []times{
			timing(0, 19800*time.Second, time.Hour), timing(5*time.Minute, time.Minute, 10*time.Minute),
			timing(24*time.Hour, 5*time.Hour, 10*time.Hour), timing(time.Hour, time.Hour, time.Minute), timing(20*time.Minute, time.Second, 3*time.Hour),
		}},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(1, uint64(i)))
			l := newLife(tt.of[0])
			for step := range 60_000 {
				l.now = l.now.Add(time.Duration(random.Int64N(int64(2 * time.Minute))))
				l.s.advance(l.now)
				switch n := random.IntN(800); {
				case n == 0:
					l.s.retime(l.now, tt.of[random.IntN(len(tt.of))])
				case n < 100:
					if l.s.rotate(l.now) == nil {
						l.rotations++
					}
				case n < 300:
					l.fetch(t)
				default:
					l.sign(t)
				}
				if step%16 == 0 {
					l.look(t)
				}
			}
			if l.rotations == 0 {
				t.Error("nothing was rotated")
			}
		})
	}
}

// life is a schedule with verifiers and tokens around it.
type life struct {
	s         schedule
	now       time.Time
	verifiers [2]cached
	tokens    []signed
	rotations int
}

// signed is a token: by which key, until when.
type signed struct {
	number int
	expiry time.Time
}

func newLife(of times) *life {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	return &life{s: newSchedule(of, now), now: now}
}

// fetch lets every verifier fetch whose document has expired.
func (l *life) fetch(t *testing.T) {
	age := l.s.age(l.now)
	if age < 0 || age > l.s.maxAge {
		t.Fatalf("Age is %v with max-age %v", age, l.s.maxAge)
	}
	for v, lives := range []time.Duration{l.s.maxAge - age, l.s.maxAge} {
		if !l.now.Before(l.verifiers[v].until) {
			l.s.serve(l.now)
			l.verifiers[v] = cached{l.s.document(), l.now.Add(lives)}
		}
	}
}

// sign makes a token, which every verifier that does not have to fetch verifies.
func (l *life) sign(t *testing.T) {
	l.s.sign(l.now)
	l.tokens = append(l.tokens, signed{l.s.current, l.now.Add(l.s.lifetime)})
	for v, c := range l.verifiers {
		if l.now.Before(c.until) && !slices.Contains(c.numbers, l.s.current) {
			t.Fatalf("verifier %d caches %v until %v and meets a token of key %d", v, c.numbers, c.until, l.s.current)
		}
	}
}

// look holds that every token which has not expired has its key published.
func (l *life) look(t *testing.T) {
	l.tokens = slices.DeleteFunc(l.tokens, func(k signed) bool { return !l.now.Before(k.expiry) })
	for _, k := range l.tokens {
		if !slices.Contains(l.s.document(), k.number) {
			t.Fatalf("key %d is not published, but its token expires at %v, now %v", k.number, k.expiry, l.now)
		}
	}
}

func TestScheduleDocuments(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	s := newSchedule(times{maxAge: time.Hour, overlap: 2 * time.Hour}, start)
	for _, tt := range []struct {
		after time.Duration
		age   time.Duration
	}{
		{0, 0},
		{time.Millisecond, time.Second}, // Rounded up.
		{59 * time.Minute, 59 * time.Minute},
		{time.Hour, 0},
		{3*time.Hour + 5*time.Second, 5 * time.Second},
		{-time.Hour, 0}, // The clock was put back.
	} {
		if got := s.age(start.Add(tt.after)); got != tt.age {
			t.Errorf("Age after %v is %v, want %v", tt.after, got, tt.age)
		}
	}
	if err := s.rotate(start.Add(30 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	if got := s.age(start.Add(30 * time.Minute)); got != 0 {
		t.Errorf("Age at rotation is %v", got)
	}
	// The overlap of key 0 ends at 2:30, and with it a document begins.
	s.advance(start.Add(2*time.Hour + 29*time.Minute))
	if got := s.document(); !slices.Equal(got, []int{1, 2, 0}) {
		t.Errorf("before the overlap's end the document has %v", got)
	}
	s.advance(start.Add(2*time.Hour + 30*time.Minute))
	if got := s.document(); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("after the overlap's end the document has %v", got)
	}
}

// TestScheduleJump compares one long jump with many short steps.
func TestScheduleJump(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for _, days := range []int{0, 1, 2, 3, 10, 400} {
		jumped := newSchedule(times{maxAge: time.Hour, overlap: 50 * time.Hour, every: 24 * time.Hour}, start)
		walked := jumped
		for hour := range days*24 + 6 {
			walked.advance(start.Add(time.Duration(hour) * time.Hour))
		}
		jumped.advance(start.Add(time.Duration(days*24+5) * time.Hour))
		if !slices.Equal(jumped.document(), walked.document()) || !jumped.since.Equal(walked.since) {
			t.Errorf("after %d days: jumped to %v, walked to %v", days, jumped.document(), walked.document())
		}
	}
}
