package probe_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/dispatcher"
	"github.com/doppelbox/doppelbox/dispatcher/probe"
)

// instead has some requests not sent, and answered so.
func instead(o *probe.Options, answer func(id string) (dispatcher.Attempt, bool)) {
	exchange := o.Exchange
	o.Exchange = func(ctx context.Context, r dispatcher.Raw) dispatcher.Attempt {
		if a, ok := answer(r.ID); ok {
			return a
		}
		return exchange(ctx, r)
	}
}

func limited() dispatcher.Attempt {
	return dispatcher.Attempt{Status: http.StatusTooManyRequests, Addr: "127.0.0.1:443", TLSVersion: "TLS 1.3", Header: []dispatcher.Field{{Name: "Retry-After", Value: "30"}}}
}

// result is that of a probe.
func result(t *testing.T, r probe.Report, id string) probe.Result {
	t.Helper()
	at := slices.IndexFunc(r.Results, func(r probe.Result) bool { return r.Probe.ID == id })
	if at < 0 {
		t.Fatalf("the report has no %s:\n%s", id, describe(r))
	}
	return r.Results[at]
}

// TestPutOff has services that put requests off, or leave them unanswered: that
// is never taken for a refusal, nor a hostile request blamed for it.
func TestPutOff(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	silent := dispatcher.Attempt{Addr: "127.0.0.1:443", TLSVersion: "TLS 1.3", Error: "EOF"}
	for name, c := range map[string]struct {
		flaws         []string
		bare          bool
		answer        func(goods int) (dispatcher.Attempt, bool) // To a good request, of which there were so many.
		mark          probe.Mark
		problem, note string
	}{
		"limited": {nil, false, func(int) (dispatcher.Attempt, bool) { return limited(), true }, probe.Undetermined,
			"it was answered 429, Retry-After 30 s: a rate limit, and no judgement of the request. Lift the limit for the test", "answered 429 from request"},
		"limited, one action": {nil, true, func(int) (dispatcher.Attempt, bool) { return limited(), true }, probe.Undetermined, "a rate limit, and no judgement", "answered 429 from request"},
		"silent, one action":  {nil, true, func(int) (dispatcher.Attempt, bool) { return silent, true }, probe.Failed, "no answer (EOF)", ""},
		"silent once": {nil, false, func(goods int) (dispatcher.Attempt, bool) { return silent, goods == 1 }, probe.Held, "",
			"the good request came to nothing once (no answer (EOF): it must be accepted), and was accepted on a fresh action"},
		"silent, then limited": {nil, false, func(goods int) (dispatcher.Attempt, bool) {
			return map[bool]dispatcher.Attempt{true: silent, false: limited()}[goods == 1], true
		}, probe.Failed, "nothing could be told either, for the service did not judge it", "answered 429 from request"},
		"limited while looking for the culprit": {[]string{"burns-head"}, false, func(goods int) (dispatcher.Attempt, bool) { return limited(), goods > 2 }, probe.Held,
			"What has used that up could not be found out, for the service put requests off meanwhile", "answered 429 from request"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, target, o := b.try(t, c.flaws...)
			o.Only = []string{"credentials", "method", "repeat"}
			if c.bare {
				o.Fresh, o.OtherUser = nil, nil
			}
			goods := 0
			instead(&o, func(id string) (dispatcher.Attempt, bool) {
				if !strings.HasSuffix(id, "-good") {
					return dispatcher.Attempt{}, false
				}
				goods++
				return c.answer(goods)
			})
			report, err := probe.Run(t.Context(), target, o)
			if err != nil {
				t.Fatal(err)
			}
			if good := result(t, report, "good"); good.Mark != c.mark {
				t.Errorf("the good request is %s: %s", good.Mark, good.Detail)
			}
			if others := without(found(report, probe.Failed), "good"); len(others) > 0 {
				t.Errorf("failed are %v", others)
			}
			problems := strings.Join(report.Problems, "\n")
			if (problems == "") != (c.problem == "") || !strings.Contains(problems, c.problem) || strings.Contains(problems, "Suspects") || strings.Contains(problems, " used the action up") {
				t.Errorf("problems are %q", problems)
			}
			if notes := strings.Join(report.Notes, "\n"); (notes == "") != (c.note == "") || !strings.Contains(notes, c.note) {
				t.Errorf("notes are %q", notes)
			}
			if c.problem != "" && result(t, report, "replay").Mark != probe.Skipped {
				t.Error("something was replayed, and nothing was accepted")
			}
		})
	}
}

// TestTwoAtOnceLimited has a rate limit meet one of two requests at once: this
// is no proof that only one of them can act.
func TestTwoAtOnceLimited(t *testing.T) {
	t.Parallel()
	_, target, o := newBench(t).try(t)
	exchange := o.Exchange
	o.Exchange = func(ctx context.Context, r dispatcher.Raw) dispatcher.Attempt {
		a := exchange(ctx, r)
		if strings.HasSuffix(r.ID, "two-at-once") && a.Status != http.StatusOK {
			a.Status = http.StatusTooManyRequests
		}
		return a
	}
	o.Only = []string{"two-at-once"}
	report, err := probe.Run(t.Context(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, report, probe.Undetermined, must("two-at-once"))
}

// seen is an answer whose status may be changed.
type seen struct {
	http.ResponseWriter
	status func(int) int
}

func (s *seen) WriteHeader(status int) { s.ResponseWriter.WriteHeader(s.status(status)) }

func (s *seen) Write(text []byte) (int, error) { return s.ResponseWriter.Write(text) }

// TestRetryLimited has a rate limit meet a retry: it is not said to have passed.
func TestRetryLimited(t *testing.T) {
	t.Parallel()
	_, target, o := newBench(t).try(t)
	sent := 0
	instead(&o, func(id string) (dispatcher.Attempt, bool) {
		if strings.HasSuffix(id, "-retry-after-incomplete") {
			sent++
		}
		return limited(), sent == 2
	})
	o.Only = []string{"retry-after-incomplete"}
	report, err := probe.Run(t.Context(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, report, probe.Undetermined, must("retry-after-incomplete"))
	if len(report.Problems) != 1 || report.Problems[0] != "1 of 1 retries that must be accepted could not be judged" {
		t.Errorf("problems are %q", report.Problems)
	}
}

// TestCarriedOut has a service that carries the good request out, and then
// redirects the user somewhere: the provider takes that for a failure. Its
// refusals prove as much as those of any other, and it is replayed.
func TestCarriedOut(t *testing.T) {
	t.Parallel()
	s, target, o := newBench(t).try(t)
	sound := s.Config.Handler
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		before := s.count()
		sound.ServeHTTP(&redirecting{seen{w, func(status int) int { return status }}, func() bool { return s.count() > before }}, r)
	})
	o.Only = []string{"credentials", "form", "repeat"}
	o.Skip = []string{"two-bearers-at-once"} // Whether the second is redirected, too, depends on how close it comes behind the first.
	report, err := probe.Run(t.Context(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	if good := result(t, report, "good"); good.Mark != probe.Failed || good.Outcome != probe.Consumed ||
		good.Detail != "answered 303, though it was carried out: the provider takes 200 alone for done, and tells the user that it failed" {
		t.Errorf("the good request is %s, %s: %s", good.Mark, good.Outcome, good.Detail)
	}
	expect(t, report, probe.Failed, must("good", "two-at-once", "retry-after-incomplete"))
	if len(report.Problems) > 0 || report.Count(probe.NotProven) > 0 || result(t, report, "replay").Mark != probe.Held {
		t.Error(describe(report))
	}
}

// redirecting answers 303 to what was carried out.
type redirecting struct {
	seen
	done func() bool
}

func (r *redirecting) Write(text []byte) (int, error) {
	if r.done() {
		r.Header().Set("Location", "/done")
		r.WriteHeader(http.StatusSeeOther)
	}
	return r.seen.Write(text)
}

// count is how often an action was carried out.
func (s *service) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done
}
