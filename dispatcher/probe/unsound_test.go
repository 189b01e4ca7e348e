package probe_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/dispatcher/probe"
)

// of returns the ids of the hostile probes of some groups that are expected to
// be answered so.
func of(e probe.Expect, groups ...string) []string {
	var ids []string
	for _, p := range probe.Catalogue() {
		if p.Phase == probe.Hostile && p.Expect == e && slices.Contains(groups, p.Group) {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

func without(ids []string, some ...string) []string {
	return slices.DeleteFunc(ids, func(id string) bool { return slices.Contains(some, id) })
}

var tokenGroups = []string{"credentials", "signature", "header", "issuer", "audience", "authorized-party", "time"}

func must(ids ...string) []string { return ids }

// flawed is a service that is unsound in one way, and what is found of it.
type flawed struct {
	flaw           string
	failed, warned []string
}

func unsound() []flawed {
	return []flawed{
		{"no-signature", append(without(of(probe.MustRefuse, "signature", "header"), "other-provider", "kid-number", "header-not-json"), "accepted-token-resigned"),
			without(of(probe.ShouldRefuse, "header"), "padded")},
		{"cache", must("accepted-token-resigned"), nil},
		{"alg-none", must("alg-none"), nil},
		{"hs256", must("hs256-certificate"), nil},
		{"embedded-key", must("jwk-embedded"), nil},
		{"jku", must("jku"), nil},
		{"jku-looks", must("jku"), nil},
		{"pinned-keys", must("key-withdrawn", "rotation-new-key"), nil},
		{"other-provider", must("other-provider", "other-provider-pretending"), nil},
		{"no-bearer", append(of(probe.MustRefuse, tokenGroups...), "identity-fields", "forwarded-loopback", "accepted-token-resigned"), of(probe.ShouldRefuse, tokenGroups...)},
		{"forwarded-user", must("identity-fields"), nil},
		{"original-url", must("original-url"), nil},
		{"path", must("path-double-slash", "path-dot", "path-dot-dot", "path-encoded"), nil},
		{"token-in-query", must("token-in-query"), nil},
		{"password", must("scheme-basic"), nil},
		{"first-field", nil, must("authorization-bad-last")},
		{"last-field", nil, must("authorization-bad-first")},
		{"no-iss", without(of(probe.MustRefuse, "issuer"), "iss-list"), nil},
		{"iss-suffix", must("iss-prefix", "iss-path", "iss-http"), nil},
		{"iss-prefix", must("iss-suffix", "iss-userinfo", "iss-slash"), nil},
		{"no-aud", without(of(probe.MustRefuse, "audience"), "aud-empty-list", "aud-number", "aud-true"), nil},
		{"aud-host", must("aud-other-host"), nil},
		{"aud-forwarded-host", must("aud-other-forwarded"), nil},
		{"aud-forwarded", must("aud-other-forwarded"), nil},
		{"aud-prefix", must("aud-suffix", "aud-slash", "aud-path", "aud-port"), nil},
		{"aud-contains", must("aud-suffix", "aud-substring", "aud-slash", "aud-path", "aud-port"), nil},
		{"aud-slash", must("aud-slash"), nil},
		{"no-azp", without(of(probe.MustRefuse, "authorized-party"), "azp-list"), nil},
		{"no-exp", without(of(probe.MustRefuse, "time"), "exp-text"), without(of(probe.ShouldRefuse, "time"), "exp-string")},
		{"exp-text", nil, must("exp-string")},
		{"any-method", append(without(of(probe.MustRefuse, "method"), "get-by-scanner"), of(probe.MustNotAct, "method")...), of(probe.ShouldRefuse, "method")},
		{"acts-on-options", must("method-options"), nil},
		{"answers-safe-methods", nil, nil},
		{"method-override", must("override-header"), nil},
		{"user-agent", nil, must("user-agent-other", "user-agent-missing", "user-agent-longer")},
		{"no-form", nil, append(without(of(probe.ShouldRefuse, "form"), "query-parameter-twice", "query-parameter-twice-last"),
			"body-incomplete", "length-too-long", "length-too-short", "length-missing", "chunk-size-bad")},
		{"no-limited-use", of(probe.MustRefuse, "limited-use"), of(probe.ShouldRefuse, "limited-use")},
		{"token-case", nil, must("limited-use-case")},
		{"like", must("limited-use-wildcard"), nil},
		{"injection", must("limited-use-quote"), nil},
		{"token-emptied", must("limited-use-empty-after-use"), nil},
		{"whole-url", must("replay-with-parameter"), nil},
		{"not-bound", nil, nil}, // Not unsound: it reads from the token whose action it is, and ignores the rest.
		{"not-once", must("replay", "replay-with-parameter", "two-at-once", "two-bearers-at-once", "replay-fresh-bearer", "retry-after-lost-answer"), nil},
		{"racy", must("two-at-once", "two-bearers-at-once"), nil},
		{"racy-bearers", must("two-bearers-at-once"), nil},
		{"no-retry", must("retry-after-lost-answer"), nil},
		{"crashes", nil, nil},
		{"polite", nil, nil},
		{"idempotent", nil, nil}, // Not unsound, as can be seen by its effects.
	}
}

// TestUnsound has services that are unsound in one way each: the probe finds
// that, and nothing else.
func TestUnsound(t *testing.T) {
	t.Parallel()
	shared := newBench(t)
	for _, c := range unsound() {
		t.Run(c.flaw, func(t *testing.T) {
			t.Parallel()
			b := shared
			if strings.HasPrefix(c.flaw, "jku") || c.flaw == "pinned-keys" {
				b = ownBench(t) // For fetches are counted, and keys rotate once.
			}
			_, target, o := b.try(t, c.flaw)
			o.Skip = []string{"lenient"} // Of which nothing can be found.
			if b != shared {
				o.Rotate = func(context.Context) error { return b.provider.Rotate() }
			}
			report, err := probe.Run(t.Context(), target, o)
			if err != nil {
				t.Fatal(err)
			}
			expect(t, report, probe.Failed, c.failed)
			expect(t, report, probe.Warned, c.warned)
			if report.Failed() != (len(c.failed) > 0) || len(report.Problems) > 0 {
				t.Errorf("failed is %v, problems %q", report.Failed(), report.Problems)
			}
			if n := report.Count(probe.Undetermined) + report.Count(probe.NotProven); n > 0 {
				t.Errorf("%d are not decided:\n%s", n, describe(report))
			}
		})
	}
}

// expect compares the probes that got a mark, in whatever order.
func expect(t *testing.T, r probe.Report, m probe.Mark, want []string) {
	t.Helper()
	got := slices.Sorted(slices.Values(found(r, m)))
	want = slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		t.Errorf("%s are\n%v, want\n%v", m, got, want)
	}
}

// TestUnsoundBare has one action only: what was accepted has used it up, and the
// refusals after that prove nothing.
func TestUnsoundBare(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, c := range []struct {
		flaw           string
		effects        bool
		failed, warned []string
		problem        string
		before         string // The last probe whose refusal is proven.
	}{
		{"alg-none", false, must("alg-none"), nil, "", "access-token"},
		{"hs256", true, must("hs256-certificate"), nil, "", "signature-missing"},
		{"user-agent", false, nil, must("user-agent-other"), "", "method-unknown"},  // What is accepted after that may be a retry to it.,
		{"idempotent", false, must("replay", "replay-with-parameter"), nil, "", ""}, // As the documentation has it, a token that was used is refused.
		{"not-once", false, must("replay", "replay-with-parameter"), nil, "", ""},
		{"not-once", true, must("replay", "replay-with-parameter", "replay-fresh-bearer"), nil, "", ""},
		{"token-emptied", false, must("limited-use-empty-after-use"), nil, "", "replay-with-parameter"},
		{"whole-url", false, must("replay-with-parameter"), nil, "", "replay"},
		{"acts-anyway", true, must("token-missing"), nil, "", ""},
		{"acts-anyway", false, must("replay", "replay-with-parameter"), nil, "", ""}, // Only that nothing is refused that was done before can be seen.
		{"acts-on-options", true, must("method-options"), nil, "", "method-unknown"},
		{"acts-on-options", false, must("replay", "replay-with-parameter"), nil, "", ""}, // As with acts-anyway below.
		{"answers-safe-methods", false, nil, nil, "", "replay"},
		{"burns-first", true, must("good"), nil, "Suspects: token-missing, token-empty, authorization-empty, token-malformed, token-null, and", ""},
		{"refuses-all", false, must("good"), nil, "Either the service refuses every request", ""},
	} {
		t.Run(c.flaw, func(t *testing.T) {
			t.Parallel()
			_, target, o := b.try(t, c.flaw)
			o.Fresh, o.OtherUser = nil, nil
			if !c.effects {
				o.Effects = nil
			}
			report, err := probe.Run(t.Context(), target, o)
			if err != nil {
				t.Fatal(err)
			}
			expect(t, report, probe.Failed, c.failed)
			expect(t, report, probe.Warned, c.warned)
			if problems := strings.Join(report.Problems, "\n"); !strings.Contains(problems, c.problem) || (problems == "") != (c.problem == "") {
				t.Errorf("problems are %q", problems)
			}
			if c.before != "" {
				held := found(report, probe.Held)
				if held[len(held)-1] != c.before && !slices.Contains(held, "replay") {
					t.Errorf("the last that held is %s, want %s", held[len(held)-1], c.before)
				}
			}
		})
	}
}

// TestOtherSite has a sound service on a server that answers 200 for every host
// that it does not know: nobody has carried anything out there.
func TestOtherSite(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, c := range map[string]struct {
		flaws  []string
		failed []string
		noted  bool
	}{
		"sound":   {must("other-site"), nil, true},
		"unsound": {must("aud-host"), must("aud-other-host"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, target, o := b.try(t, c.flaws...)
			o = probe.Options{Keys: o.Keys, Exchange: o.Exchange, Only: []string{"audience"}}
			report, err := probe.Run(t.Context(), target, o)
			if err != nil {
				t.Fatal(err)
			}
			expect(t, report, probe.Failed, c.failed)
			for _, result := range report.Results {
				if result.Probe.ID != "aud-other-host" {
					continue
				}
				if len(result.Exchanges) != 2 || (result.Mark == probe.Noted) != c.noted ||
					strings.Contains(result.Detail, "another site answers for this host") != c.noted {
					t.Errorf("%s by %d requests: %s", result.Mark, len(result.Exchanges), result.Detail)
				}
			}
		})
	}
}
