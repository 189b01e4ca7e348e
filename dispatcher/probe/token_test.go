package probe_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/dispatcher/probe"
	"github.com/doppelbox/doppelbox/keys"
)

// choosy has a service refuse what it would accept, unless take likes the
// bearer token and its times. Two requests at once ask it one after the other.
func choosy(s *service, take func(token string, issued, expiry int64) bool) {
	sound := s.Config.Handler
	var mu sync.Mutex
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if parts := strings.Split(token, "."); len(parts) == 3 {
			var times struct{ Iat, Exp int64 }
			payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
			mu.Lock()
			ok := json.Unmarshal(payload, &times) != nil || take(token, times.Iat, times.Exp)
			mu.Unlock()
			if !ok {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
		}
		sound.ServeHTTP(w, r)
	})
}

// TestFreshTokens holds that good tokens are as new as the provider's are: a
// service that wants those of the last ten seconds is as sound as any.
func TestFreshTokens(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s, target, o := b.try(t)
	now := b.provider.clock.Now().Unix()
	choosy(s, func(_ string, issued, _ int64) bool { return issued > now-10 })
	o.Skip = []string{"lenient"} // Which has old tokens, too.
	report, err := probe.Run(t.Context(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	if report.Failed() || report.Count(probe.Undetermined)+report.Count(probe.NotProven) > 0 {
		t.Errorf("a service that wants new tokens is not found sound:\n%s", describe(report))
	}
}

// TestShortLife has tokens of a short life, and a clock that stands still: no
// two good tokens are the same, so that a service which takes each of them once
// is as sound as any, and each is good now, and for no longer than it may be.
// Where they run out this is said, and none is sent twice.
func TestShortLife(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		life    time.Duration
		problem string
	}{
		{40 * time.Second, ""},
		{9 * time.Second, "the run had to end: no good bearer token is left that was not sent before"},
	} {
		t.Run(c.life.String(), func(t *testing.T) {
			t.Parallel()
			provider, err := newIssuer(keys.Options{Lifetime: c.life})
			if err != nil {
				t.Fatal(err)
			}
			b := benchWith(t, provider)
			s, target, o := b.try(t)
			now := b.provider.clock.Now().Unix()
			count := map[string]int{}
			choosy(s, func(token string, issued, expiry int64) bool {
				if _, err := provider.Verify(token, keys.VerifyOptions{Audience: audience}); err == nil {
					count[token]++
					if life := time.Duration(expiry-issued) * time.Second; expiry <= now || life > c.life && life < 20*time.Minute {
						t.Errorf("a token was issued %d seconds ago, and is good for %d more", now-issued, expiry-now)
					}
				}
				return count[token] < 2
			})
			o.Skip = []string{"lenient", "replay", "replay-with-parameter", "two-at-once"} // They send one twice.
			report, err := probe.Run(t.Context(), target, o)
			if err != nil {
				t.Fatal(err)
			}
			for token, n := range count {
				if n > 1 {
					t.Errorf("a good token was sent %d times: %s", n, token)
				}
			}
			if problems := strings.Join(report.Problems, "\n"); (problems == "") != (c.problem == "") || !strings.Contains(problems, c.problem) || report.Count(probe.Failed) > 0 {
				t.Errorf("with tokens of %v the service is not found sound:\n%s", c.life, describe(report))
			}
		})
	}
}
