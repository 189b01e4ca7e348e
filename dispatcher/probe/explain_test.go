package probe_test

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/dispatcher"
	"github.com/doppelbox/doppelbox/dispatcher/probe"
)

// TestCulprit has a service that takes a limited-use token for used before it
// verifies anything: the hostile request is found by trying on fresh actions.
func TestCulprit(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for flaw, culprit := range map[string]string{"burns-first": "token-missing", "burns-head": "method-head", "burns-options": "method-options"} {
		t.Run(flaw, func(t *testing.T) {
			t.Parallel()
			_, target, o := b.try(t, flaw)
			report, err := probe.Run(t.Context(), target, o)
			if err != nil {
				t.Fatal(err)
			}
			if failed := found(report, probe.Failed); !slices.Contains(failed, culprit) || slices.Contains(failed, "good") {
				t.Errorf("failed are %v", failed)
			}
			if len(report.Problems) != 1 || !strings.Contains(report.Problems[0], culprit+" used the action up") ||
				!strings.Contains(report.Problems[0], "Every other request that is refused may do the same") || !strings.Contains(report.Problems[0], "mend this, then probe again") {
				t.Errorf("problems are %q", report.Problems)
			}
			if fixes := report.Fixes(); len(fixes) < 2 || fixes[0].ID != "limited-use" || !strings.Contains(fixes[0].Text, "Burn it only") {
				t.Errorf("fixes are %v", fixes)
			}
			at := slices.IndexFunc(report.Results, func(r probe.Result) bool { return r.Probe.ID == culprit })
			for i, r := range report.Results {
				if r.Probe.Phase != probe.Hostile || r.Mark == probe.Skipped || i == at {
					continue
				}
				if want := map[bool]probe.Mark{true: probe.Held, false: probe.NotProven}[i < at]; r.Mark != want {
					t.Errorf("%s is %s: %s", r.Probe.ID, r.Mark, r.Detail)
				}
			}
			if !slices.Contains(found(report, probe.Held), "replay") {
				t.Error("nothing was tried after the good request")
			}
		})
	}
}

// TestEverythingRefused has a service that refuses all: this does not look fine.
func TestEverythingRefused(t *testing.T) {
	t.Parallel()
	_, target, o := newBench(t).try(t, "refuses-all")
	report, err := probe.Run(t.Context(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, report, probe.Failed, must("good"))
	if !report.Failed() || len(report.Problems) != 1 || !strings.Contains(report.Problems[0], "a fresh action, to which nothing else was sent, made no difference") {
		t.Errorf("problems are %q", report.Problems)
	}
	for _, r := range report.Results {
		if r.Mark == probe.Held {
			t.Errorf("%s is said to hold: %s", r.Probe.ID, r.Detail)
		}
	}
}

// TestUnreachable has a service that is not there, and one that requests must
// not go to.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, c := range map[string]struct {
		url, want string
	}{
		"nobody there": {"https://127.0.0.1:1/approve?token=b1946ac92492d234", "connect-refused"},
		"no TLS":       {"https" + strings.TrimPrefix(b.url, "http") + "/approve?token=b1946ac92492d234", "(tls-"},
		"not trusted":  {"", "tell the provider the authority of its certificate: --trust FILE"},
		"not routed":   {"https://production.example/approve?token=b1946ac92492d234", "(host-not-routed); if requests may go there, tell the provider so: --allow HOST"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, target, o := b.try(t)
			if target.URL = cmp.Or(c.url, target.URL); c.url == "" {
				d, err := dispatcher.New(dispatcher.Options{Now: b.provider.clock.Now})
				if err != nil {
					t.Fatal(err)
				}
				o.Exchange = d.Exchange
			}
			report, err := probe.Run(t.Context(), target, o)
			if !errors.Is(err, probe.ErrUnreachable) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "b1946ac92492d234") {
				t.Fatalf("ends with %v", err)
			}
			if len(report.Results) > 0 {
				t.Errorf("reports %d results", len(report.Results))
			}
		})
	}
}

// TestRetried has a service that asks for patience: the good request is sent
// again as the provider would.
func TestRetried(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, c := range map[string]struct {
		times int
		mark  probe.Mark
	}{"twice": {2, probe.Held}, "for ever": {1000, probe.Failed}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, target, o := b.try(t)
			asked := 0
			sound := s.Config.Handler
			s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if asked++; asked <= c.times {
					w.WriteHeader(http.StatusRequestTimeout)
					return
				}
				sound.ServeHTTP(w, r)
			})
			o.Only, o.Fresh = []string{"good"}, nil
			report, err := probe.Run(t.Context(), target, o)
			if err != nil {
				t.Fatal(err)
			}
			good := report.Results[0]
			if good.Mark != c.mark || len(good.Exchanges) != min(c.times, 3)+1 {
				t.Errorf("%s after %d exchanges: %s", good.Mark, len(good.Exchanges), good.Detail)
			}
		})
	}
}

// TestTargets has actions of other shapes.
func TestTargets(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, c := range map[string]struct {
		change func(*probe.Target)
		taken  string
		gone   probe.Need // What is skipped.
	}{
		"without bearer tokens": {func(t *probe.Target) { t.Bearer = false }, `parameter "token", guessed by its name`, probe.NeedBearer},
		"GET":                   {func(t *probe.Target) { t.Method, t.Body = "GET", "" }, `parameter "token", guessed by its name`, probe.NeedPost},
		"no body":               {func(t *probe.Target) { t.Body = "" }, `parameter "token", guessed by its name`, probe.NeedForm},
		"no limited-use token":  {func(t *probe.Target) { t.LimitedUse = probe.NoLimitedUse }, "none, as was said", probe.NeedLimitedUse},
		"another parameter":     {func(t *probe.Target) { t.LimitedUse = "user" }, `parameter "user", as was said`, ""},
		"in the path": {func(t *probe.Target) {
			base, query, _ := strings.Cut(t.URL, "/approve?")
			_, token, _ := strings.Cut(query, "token=")
			t.URL = base + "/a/" + token + "/x"
		}, "segment 2 of the path, guessed by its look", probe.NeedParameter},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, target, o := b.try(t)
			c.change(&target)
			o = probe.Options{Keys: o.Keys, Exchange: o.Exchange}
			report, err := probe.Run(t.Context(), target, o)
			if err != nil {
				t.Fatal(err)
			}
			if report.LimitedUse != c.taken {
				t.Errorf("taken is %s", report.LimitedUse)
			}
			for _, r := range report.Results {
				if r.Mark != probe.Skipped && slices.Contains(r.Probe.Needs(), c.gone) {
					t.Errorf("%s was sent", r.Probe.ID)
				}
				for _, e := range r.Exchanges {
					if fields := strings.Join(e.Fields, "\n"); !target.Bearer && strings.Contains(fields, "Authorization") {
						t.Errorf("%s was sent with a token", r.Probe.ID)
					}
				}
			}
		})
	}
}

func TestOptionErrors(t *testing.T) {
	t.Parallel()
	_, target, o := newBench(t).try(t)
	for want, change := range map[string]func(*probe.Target, *probe.Options){
		`no probe and no group is called "alg-nome"; did you mean "alg-none"?`:  func(_ *probe.Target, o *probe.Options) { o.Only = []string{"alg-nome"} },
		`no probe and no group is called "sinature"; did you mean "signature"?`: func(_ *probe.Target, o *probe.Options) { o.Skip = []string{"sinature"} },
		`the URL has no parameter "tokem"; did you mean "token"?`:               func(t *probe.Target, _ *probe.Options) { t.LimitedUse = "tokem" },
		"the URL does not begin with https://":                                  func(t *probe.Target, _ *probe.Options) { t.URL = "http://x/" },
		"the URL has a space":                                                   func(t *probe.Target, _ *probe.Options) { t.URL += " x" },
		"the URL has a fragment, which is never sent":                           func(t *probe.Target, _ *probe.Options) { t.URL += "#x" },
		"a character that cannot be sent as written":                            func(t *probe.Target, _ *probe.Options) { t.URL += "\u00e4" },
		`the method is "PUT", not POST or GET`:                                  func(t *probe.Target, _ *probe.Options) { t.Method = "PUT" },
		"a GET request has no body":                                             func(t *probe.Target, _ *probe.Options) { t.Method = "GET" },
		`the audience "shop.example" is not`:                                    func(t *probe.Target, _ *probe.Options) { t.Audience = "shop.example" },
		"Keys and Exchange must be given":                                       func(_ *probe.Target, o *probe.Options) { o.Keys = nil },
		"what shows the effects (--effects) changes by itself": func(_ *probe.Target, o *probe.Options) {
			asked := 0
			o.Effects = func(context.Context) (string, error) { asked++; return strings.Repeat("x", asked), nil }
		},
		"looking for effects (--effects): no luck": func(_ *probe.Target, o *probe.Options) {
			o.Effects = func(context.Context) (string, error) { return "", errors.New("no luck") }
		},
	} {
		target, o := target, o
		change(&target, &o)
		if _, err := probe.Run(t.Context(), target, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ends with %v, want %s", err, want)
		}
	}
}

// TestTypeNeedsForm holds that nothing is said of the type of a form that the
// good request does not have.
func TestTypeNeedsForm(t *testing.T) {
	t.Parallel()
	_, target, o := newBench(t).try(t)
	target.Body = ""
	o.Fresh, o.Only = nil, []string{"form"}
	report, err := probe.Run(t.Context(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, report, probe.Skipped, without(of(probe.ShouldRefuse, "form"), "query-parameter-twice", "query-parameter-twice-last"))
}

// TestFirstAccepted holds that doubt falls upon the first request that was
// accepted, and that what is accepted after it is no finding of its own if it
// may be the answer to a repetition.
func TestFirstAccepted(t *testing.T) {
	t.Parallel()
	_, target, o := newBench(t).try(t, "user-agent")
	o.Fresh, o.Effects, o.Only = nil, nil, []string{"origin"}
	report, err := probe.Run(t.Context(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, report, probe.Warned, must("user-agent-other"))
	for _, r := range report.Results {
		if r.Mark == probe.NotProven && !strings.Contains(r.Detail, "; but user-agent-other had been accepted before") {
			t.Errorf("%s: %s", r.Probe.ID, r.Detail)
		}
	}
	expect(t, report, probe.NotProven, must("user-agent-missing", "user-agent-longer"))
}

// TestSelected holds that groups and ids select, and that the good request is
// sent whatever is selected.
func TestSelected(t *testing.T) {
	t.Parallel()
	_, target, o := newBench(t).try(t)
	o.Only, o.Skip = []string{"issuer", "alg-none"}, []string{"iss-case"}
	report, err := probe.Run(t.Context(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	want := append(of(probe.MustRefuse, "issuer"), "alg-none", "good")
	expect(t, report, probe.Held, without(want, "iss-case"))
	o.Only, o.Skip = []string{"alg-none"}, []string{"good"}
	if report, err = probe.Run(t.Context(), target, o); err != nil {
		t.Fatal(err)
	}
	expect(t, report, probe.NotProven, must("alg-none"))
	if report.Failed() || len(report.Notes) != 1 {
		t.Errorf("notes are %q", report.Notes)
	}
}
