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

// TestScheduleInvariant lives through days of random fetches, tokens and
// rotations, and holds that every verifier has the key of every token: one
// that caches by max-age - Age, one that ignores Age, and one that fetches
// just before the token expires.
func TestScheduleInvariant(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		o    schedule
	}{
		{"by command", schedule{maxAge: 19800 * time.Second}},
		{"by command, short max-age", schedule{maxAge: time.Minute}},
		{"daily", schedule{maxAge: 19800 * time.Second, every: 24 * time.Hour}},
		{"as often as possible", schedule{maxAge: 20 * time.Minute, every: 20 * time.Minute}},
	}
	const lifetime = time.Hour
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(1, uint64(i)))
			now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
			s := tt.o
			s.overlap, s.since = lifetime, now // The shortest overlap that New allows.
			var verifiers [2]cached
			type token struct {
				number int
				expiry time.Time
			}
			var tokens []token
			rotations := 0
			for range 60_000 {
				now = now.Add(time.Duration(random.Int64N(int64(2 * time.Minute))))
				s.advance(now)
				switch random.IntN(8) {
				case 0:
					if s.rotate(now) == nil {
						rotations++
					}
				case 1, 2:
					age := s.age(now)
					if age < 0 || age > s.maxAge {
						t.Fatalf("Age is %v with max-age %v", age, s.maxAge)
					}
					for v, lives := range []time.Duration{s.maxAge - age, s.maxAge} {
						if !now.Before(verifiers[v].until) {
							verifiers[v] = cached{s.document(), now.Add(lives)}
						}
					}
				default:
					tokens = append(tokens, token{s.current, now.Add(lifetime)})
					for v, c := range verifiers {
						if now.Before(c.until) && !slices.Contains(c.numbers, s.current) {
							t.Fatalf("verifier %d caches %v until %v and meets a token of key %d", v, c.numbers, c.until, s.current)
						}
					}
				}
				tokens = slices.DeleteFunc(tokens, func(k token) bool { return !now.Before(k.expiry) })
				for _, k := range tokens {
					if !slices.Contains(s.document(), k.number) {
						t.Fatalf("key %d is not published, but its token expires at %v, now %v", k.number, k.expiry, now)
					}
				}
			}
			if rotations == 0 {
				t.Error("nothing was rotated")
			}
		})
	}
}

func TestScheduleDocuments(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	s := schedule{maxAge: time.Hour, overlap: 2 * time.Hour, since: start}
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
	// The overlap of key 0 ends at 2:30, when a document is generated.
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
		jumped := schedule{maxAge: time.Hour, overlap: 50 * time.Hour, every: 24 * time.Hour, since: start}
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
