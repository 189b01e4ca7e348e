package probe_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/dispatcher/probe"
)

// TestNotJudged has services from whose answers little can be told: this is no
// success.
func TestNotJudged(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	throttled := func(s *service) {
		sound, served := s.Config.Handler, 0
		s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if served++; served > 7 && r.Header.Get("Authorization") == "" {
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			sound.ServeHTTP(w, r)
		})
	}
	// It closes the connection where others answer 401.
	closing := func(s *service) {
		sound := s.Config.Handler
		s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "" {
				sound.ServeHTTP(w, r)
				return
			}
			if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
				_ = c.Close()
			}
		})
	}
	for name, c := range map[string]struct {
		change        func(*service)
		effects       bool
		problem, note string
	}{
		"throttled":            {throttled, true, "requests that must be refused could not be judged", "answered 429 from request "},
		"closing":              {closing, false, "requests that must be refused could not be judged; with something that shows", ""},
		"closing, but watched": {closing, true, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, target, o := b.try(t)
			c.change(s)
			o.Only = []string{"credentials", "origin"}
			if !c.effects {
				o.Effects = nil
			}
			report, err := probe.Run(t.Context(), target, o)
			if err != nil {
				t.Fatal(err)
			}
			if problems := strings.Join(report.Problems, "\n"); report.Failed() != (c.problem != "") || !strings.Contains(problems, c.problem) {
				t.Errorf("problems are %q", problems)
			}
			if notes := strings.Join(report.Notes, "\n"); !strings.Contains(notes, c.note) || (notes == "") != (c.note == "") {
				t.Errorf("notes are %q", notes)
			}
			if c.problem == "" && !slices.Contains(found(report, probe.Noted), "token-missing") {
				t.Errorf("what was not answered is not noted:\n%s", describe(report))
			}
		})
	}
}

// TestWithoutBearer has a service that gets no tokens, and so cannot tell a
// retry from a replay: it is sound if it acts once, and nothing is said of
// tokens.
func TestWithoutBearer(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, flaw := range []string{"idempotent", "not-once"} {
		t.Run(flaw, func(t *testing.T) {
			t.Parallel()
			_, target, o := b.try(t, "no-bearer", flaw)
			target.Bearer = false
			fresh := o.Fresh
			o.Fresh = func(ctx context.Context) (probe.Target, error) {
				t, err := fresh(ctx)
				t.Bearer = false
				return t, err
			}
			o.Only = []string{"repeat"}
			if flaw == "idempotent" {
				o.Effects = nil
			}
			report, err := probe.Run(t.Context(), target, o)
			if err != nil {
				t.Fatal(err)
			}
			if report.Failed() != (flaw == "not-once") {
				t.Error(describe(report))
			}
			for _, f := range report.Fixes() {
				if strings.Contains(f.Text, "hash of the bearer") || strings.Contains(f.Code["go"], "bearer") {
					t.Errorf("the fix is %s: %s", f.ID, f.Text)
				}
			}
		})
	}
}
