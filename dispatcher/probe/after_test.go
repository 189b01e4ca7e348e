package probe_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/dispatcher/probe"
)

// TestTwoAtOnceUnseen has the race without anything that shows effects: that
// both are accepted speaks for itself.
func TestTwoAtOnceUnseen(t *testing.T) {
	t.Parallel()
	_, target, o := newBench(t).try(t, "racy")
	o.Effects, o.Only = nil, []string{"repeat"}
	report, err := probe.Run(t.Context(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, report, probe.Failed, must("two-at-once"))
	expect(t, report, probe.Noted, must("replay-fresh-bearer", "two-bearers-at-once")) // Both are accepted by sound services, too.
}

// TestOtherAnswers has services that answer what is neither 200 nor a refusal.
func TestOtherAnswers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, c := range map[string]struct {
		bad, good int
		mark      probe.Mark // Of the hostile request.
		detail    string
		goodMark  probe.Mark
	}{
		"created":        {http.StatusCreated, http.StatusCreated, probe.Failed, "answered 201, though only 200 counts as done", probe.Failed},
		"redirected":     {http.StatusFound, http.StatusOK, probe.Noted, "the service may have acted", probe.Held},
		"patience":       {http.StatusTooManyRequests, http.StatusOK, probe.Undetermined, "no judgement", probe.Held},
		"forbidden":      {http.StatusForbidden, http.StatusOK, probe.Held, "answered 403; 401 is documented", probe.Held},
		"unavailable":    {http.StatusServiceUnavailable, http.StatusOK, probe.Noted, "it failed at it", probe.Held},
		"good elsewhere": {http.StatusUnauthorized, http.StatusFound, probe.NotProven, "but no request was accepted", probe.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, target, o := b.try(t)
			s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", "/")
				if r.Header.Get("Authorization") == "" {
					w.WriteHeader(c.bad)
				} else {
					w.WriteHeader(c.good)
				}
			})
			o = probe.Options{Keys: o.Keys, Exchange: o.Exchange, Only: []string{"token-missing"}}
			report, err := probe.Run(t.Context(), target, o)
			if err != nil {
				t.Fatal(err)
			}
			bad, good := report.Results[0], report.Results[1]
			if bad.Mark != c.mark || !strings.Contains(bad.Detail, c.detail) || good.Mark != c.goodMark {
				t.Errorf("%s (%s), and the good request %s (%s)", bad.Mark, bad.Detail, good.Mark, good.Detail)
			}
		})
	}
}

// TestSameToken has mails that all carry one limited-use token.
func TestSameToken(t *testing.T) {
	t.Parallel()
	_, target, o := newBench(t).try(t, "user-agent", "not-once")
	o.Only = []string{"origin"}
	o.Fresh = func(context.Context) (probe.Target, error) { return target, nil }
	report, err := probe.Run(t.Context(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(report.Notes); n != 1 || !strings.Contains(report.Notes[0], "not of limited use") {
		t.Errorf("notes are %q", report.Notes)
	}
}

// TestRotationTooSoon has keys that cannot be rotated now.
func TestRotationTooSoon(t *testing.T) {
	t.Parallel()
	b := ownBench(t)
	_, target, o := b.try(t)
	if err := b.provider.Rotate(); err != nil {
		t.Fatal(err)
	}
	o.Only = []string{"keys"}
	o.Rotate = func(context.Context) error { return b.provider.Rotate() }
	report, err := probe.Run(t.Context(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, report, probe.Skipped, must("rotation-old-token", "rotation-new-key"))
	at := slices.IndexFunc(report.Results, func(r probe.Result) bool { return r.Mark == probe.Skipped })
	if !strings.Contains(report.Results[at].Detail, "too soon to rotate") {
		t.Errorf("skipped since %s", report.Results[at].Detail)
	}
}
