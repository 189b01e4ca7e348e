package probe_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/dispatcher"
	"github.com/doppelbox/doppelbox/dispatcher/probe"
)

// TestInterrupted has runs that cannot go on: what was found until then is
// reported, and why the rest was not tried.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	none := func(context.Context) (probe.Target, error) { return probe.Target{}, errors.New("no mail came") }
	for name, c := range map[string]struct {
		change  func(*service, *probe.Options, context.CancelFunc)
		problem string
		skipped string // Why the rest was.
		failed  string
	}{
		"no fresh mail": {
			func(_ *service, o *probe.Options, _ context.CancelFunc) { o.Fresh = none },
			"the run had to end: getting a fresh action (--again): no mail came", "the run had to end before", "",
		},
		"no other user": {
			func(_ *service, o *probe.Options, _ context.CancelFunc) { o.OtherUser = none },
			"the run had to end: getting another user's action (--other): no mail came", "the run had to end before", "",
		},
		"odd fresh mail": {
			func(_ *service, o *probe.Options, _ context.CancelFunc) {
				o.Fresh = func(context.Context) (probe.Target, error) { return probe.Target{URL: "mailto:x"}, nil }
			}, "the run had to end: the fresh action (--again): the URL does not begin with https://", "the run had to end before", "",
		},
		"no effects": {
			func(_ *service, o *probe.Options, _ context.CancelFunc) {
				asked := 0
				o.Effects = func(context.Context) (string, error) {
					if asked++; asked == 5 {
						return "", errors.New("no database")
					}
					return "", nil
				}
			}, "the run had to end: looking for effects (--effects): no database", "the run had to end before", "",
		},
		"cancelled": {
			func(_ *service, o *probe.Options, cancel context.CancelFunc) {
				o.OnResult = func(r probe.Result) {
					if r.Probe.Group == "issuer" {
						cancel()
					}
				}
			}, "stopped before the end: context canceled", "stopped before the end", "",
		},
		"gone": {
			func(s *service, o *probe.Options, _ context.CancelFunc) {
				sent, exchange := 0, o.Exchange
				o.Exchange = func(ctx context.Context, r dispatcher.Raw) dispatcher.Attempt {
					if sent++; sent == 3 {
						s.Listener.Close()
					}
					return exchange(ctx, r)
				}
			}, "the service was gone after token-empty: ", "the service was gone", "token-empty",
		},
		"gone at the good request": {
			func(s *service, o *probe.Options, _ context.CancelFunc) {
				exchange := o.Exchange
				o.Only = []string{"token-missing", "repeat"}
				o.Exchange = func(ctx context.Context, r dispatcher.Raw) dispatcher.Attempt {
					a := exchange(ctx, r)
					if strings.HasSuffix(r.ID, "-good") {
						s.Listener.Close()
					}
					return a
				}
			}, "the service was gone after good: ", "the service was gone", "good",
		},
		"gone between two requests of a probe": {
			func(s *service, o *probe.Options, _ context.CancelFunc) {
				exchange := o.Exchange
				o.Only = []string{"retry-after-lost-answer", "keys"}
				o.Rotate = func(context.Context) error { return errors.New("never") }
				o.Exchange = func(ctx context.Context, r dispatcher.Raw) dispatcher.Attempt {
					a := exchange(ctx, r)
					if r.Then != "" {
						s.Listener.Close()
					}
					return a
				}
			}, "the service was gone after retry-after-lost-answer: ", "the service was gone", "retry-after-lost-answer",
		},
		"provider stopped": {
			func(_ *service, o *probe.Options, _ context.CancelFunc) {
				sent, exchange := 0, o.Exchange
				o.Exchange = func(ctx context.Context, r dispatcher.Raw) dispatcher.Attempt {
					if sent++; sent > 4 {
						return dispatcher.Attempt{Reason: dispatcher.ReasonCancelled, Error: "stopped"}
					}
					return exchange(ctx, r)
				}
			}, "the run had to end: the provider was stopped", "the run had to end before", "",
		},
		"silent": {
			func(_ *service, o *probe.Options, _ context.CancelFunc) {
				o.Effects = nil
				o.Exchange = func(context.Context, dispatcher.Raw) dispatcher.Attempt {
					return dispatcher.Attempt{Reason: dispatcher.ReasonTimeout, Error: "no answer", Addr: "127.0.0.1:443", TLSVersion: "TLS 1.3"}
				}
			}, "3 requests in a row were not answered within 10s", "the run had to end before", "",
		},
		"slow": { // It leaves each second request unanswered.
			func(_ *service, o *probe.Options, _ context.CancelFunc) {
				sent, exchange := 0, o.Exchange
				o.Exchange = func(ctx context.Context, r dispatcher.Raw) dispatcher.Attempt {
					if sent++; sent%2 == 0 {
						return dispatcher.Attempt{Reason: dispatcher.ReasonTimeout, Error: "no answer", Addr: "127.0.0.1:443", TLSVersion: "TLS 1.3"}
					}
					return exchange(ctx, r)
				}
			}, "10 requests were not answered within 10s", "the run had to end before", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, target, o := b.try(t, "user-agent")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			told := 0
			c.change(s, &o, cancel)
			if on := o.OnResult; on == nil {
				o.OnResult = func(probe.Result) { told++ }
			} else {
				o.OnResult = func(r probe.Result) { told++; on(r) }
			}
			report, err := probe.Run(ctx, target, o)
			if err != nil || !report.Failed() || len(report.Problems) == 0 || !strings.Contains(report.Problems[0], c.problem) {
				t.Fatalf("ends with %v, problems %q", err, report.Problems)
			}
			if n := len(probe.Catalogue()); len(o.Only) == 0 && len(report.Results) != n || told != len(report.Results) {
				t.Errorf("%d results, %d told of", len(report.Results), told)
			}
			if last := report.Results[len(report.Results)-1]; last.Mark != probe.Skipped || last.Detail != c.skipped {
				t.Errorf("the last is %s: %s", last.Mark, last.Detail)
			}
			if failed := found(report, probe.Failed); c.failed != "" && !slices.Contains(failed, c.failed) {
				t.Errorf("failed are %v", failed)
			}
		})
	}
}
