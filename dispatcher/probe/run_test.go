package probe_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/dispatcher"
	"github.com/doppelbox/doppelbox/dispatcher/probe"
	"github.com/doppelbox/doppelbox/keys"
)

func discard() *log.Logger { return log.New(io.Discard, "", 0) }

// clock is a provider's clock, which stands still unless it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// issuer is a provider's keys.
type issuer struct {
	*keys.Set
	clock  *clock
	pinned map[string]any // What was published before anything was withdrawn.
}

// newIssuer makes keys of which one has been withdrawn.
func newIssuer(o keys.Options) (*issuer, error) {
	i := &issuer{clock: &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}, pinned: make(map[string]any)}
	o.Now = i.clock.Now
	var err error
	if i.Set, err = keys.New(o); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	i.Handler().ServeHTTP(w, httptest.NewRequest("GET", "https://localhost"+keys.PathJWKS, nil))
	if i.pinned, err = readKeys(w.Body); err != nil {
		return nil, err
	}
	if err := i.Rotate(); err != nil {
		return nil, err
	}
	i.clock.mu.Lock()
	defer i.clock.mu.Unlock()
	i.clock.now = i.clock.now.Add(30 * 24 * time.Hour)
	return i, nil
}

// theIssuer and otherIssuer are those of all tests that neither rotate keys nor
// count fetches, since keys take long to make.
var (
	theIssuer   = sync.OnceValues(func() (*issuer, error) { return newIssuer(keys.Options{}) })
	otherIssuer = sync.OnceValues(func() (*issuer, error) {
		return newIssuer(keys.Options{Issuer: "https://accounts.other.example", AuthorizedParty: "actions@other.example"})
	})
)

// bench is a provider and what it tries a service with.
type bench struct {
	provider, other *issuer
	url, otherURL   string // Where their keys are published.
}

// newBench returns a bench with the keys of all.
func newBench(t *testing.T) *bench {
	t.Helper()
	provider, err := theIssuer()
	if err != nil {
		t.Fatal(err)
	}
	return benchWith(t, provider)
}

// ownBench returns a bench with keys of its own.
func ownBench(t *testing.T) *bench {
	t.Helper()
	provider, err := newIssuer(keys.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return benchWith(t, provider)
}

func benchWith(t *testing.T, provider *issuer) *bench {
	t.Helper()
	other, err := otherIssuer()
	if err != nil {
		t.Fatal(err)
	}
	publish := func(i *issuer) string {
		published := httptest.NewServer(i.Handler())
		t.Cleanup(published.Close)
		return published.URL
	}
	return &bench{provider, other, publish(provider), publish(other)}
}

// try starts a service with flaws, and gives it to a test with an action of it
// and options that let everything be tried.
func (b *bench) try(t *testing.T, flaws ...string) (*service, probe.Target, probe.Options) {
	t.Helper()
	s := newService(t, b.provider.clock.Now, b.url, b.otherURL, flaws...)
	s.pinned = b.provider.pinned
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	d, err := dispatcher.New(dispatcher.Options{Now: b.provider.clock.Now, RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	target := func(url string) probe.Target {
		return probe.Target{URL: url, Method: "POST", Body: "confirmed=Approved", Audience: audience, Bearer: true}
	}
	mails, others := 4711, 8999
	return s, target(s.grant("4711", "alice")), probe.Options{
		Keys: b.provider.Set, Other: b.other.Set, KeysURL: b.url,
		Exchange: s.exchanger(d),
		Fresh: func(context.Context) (probe.Target, error) {
			mails++
			return target(s.grant(strconv.Itoa(mails), "alice")), nil
		},
		OtherUser: func(context.Context) (probe.Target, error) {
			others++
			return target(s.grant(strconv.Itoa(others), "bob")), nil
		},
		Effects: func(context.Context) (string, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			return strconv.Itoa(s.done), nil
		},
	}
}

// exchanger sends, and has the flaws "racy" and "racy-bearers" show themselves:
// two requests at once both look before either acts.
func (s *service) exchanger(d *dispatcher.Dispatcher) func(context.Context, dispatcher.Raw) dispatcher.Attempt {
	if !s.has("racy") && !s.has("racy-bearers") {
		return d.Exchange
	}
	var one, two sync.Once
	return func(ctx context.Context, r dispatcher.Raw) dispatcher.Attempt {
		if strings.HasSuffix(r.ID, "-at-once") {
			both := &one
			if strings.HasSuffix(r.ID, "-two-bearers-at-once") {
				both = &two
			}
			both.Do(func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.barrier = new(sync.WaitGroup)
				s.barrier.Add(2)
			})
		} else {
			s.mu.Lock()
			s.barrier = nil
			s.mu.Unlock()
		}
		return d.Exchange(ctx, r)
	}
}

// found are the ids of the probes that got a mark, in the order of the report.
func found(r probe.Report, m probe.Mark) []string {
	var ids []string
	for _, result := range r.Results {
		if result.Mark == m {
			ids = append(ids, result.Probe.ID)
		}
	}
	return ids
}

func describe(r probe.Report) string {
	var b strings.Builder
	for _, result := range r.Results {
		if result.Mark != probe.Held {
			fmt.Fprintf(&b, "%-12s %-28s %s: %s\n", result.Mark, result.Probe.ID, result.Outcome, result.Detail)
		}
	}
	for _, p := range r.Problems {
		fmt.Fprintln(&b, "problem:", p)
	}
	for _, n := range r.Notes {
		fmt.Fprintln(&b, "note:", n)
	}
	return b.String()
}

func TestSound(t *testing.T) {
	t.Parallel()
	b := ownBench(t)
	_, target, o := b.try(t)
	o.Rotate = func(context.Context) error { return b.provider.Rotate() }
	var told []string
	o.OnResult = func(result probe.Result) { told = append(told, result.Probe.ID) }
	begin := time.Now()
	report, err := probe.Run(t.Context(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d probes in %v", len(report.Results), time.Since(begin))
	if report.Failed() || report.Count(probe.Held) != len(probe.Catalogue()) || len(report.Notes) > 0 {
		t.Errorf("a sound service is not found sound:\n%s", describe(report))
	}
	if all := found(report, probe.Held); !slices.Equal(told, all) {
		t.Errorf("told of %d results, and %d are in the report", len(told), len(all))
	}
}

// TestSoundBare has only one action, and nothing else.
func TestSoundBare(t *testing.T) {
	t.Parallel()
	_, target, o := newBench(t).try(t)
	o = probe.Options{Keys: o.Keys, Exchange: o.Exchange}
	report, err := probe.Run(t.Context(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	if report.Failed() || report.Count(probe.Warned)+report.Count(probe.Undetermined)+report.Count(probe.NotProven) > 0 {
		t.Errorf("a sound service is not found sound:\n%s", describe(report))
	}
	for _, result := range report.Results {
		skipped := slices.ContainsFunc(result.Probe.Needs(), func(n probe.Need) bool {
			return slices.Contains([]probe.Need{probe.NeedFresh, probe.NeedOtherUser, probe.NeedOther, probe.NeedKeysURL, probe.NeedRotate}, n)
		})
		if (result.Mark == probe.Skipped) != skipped {
			t.Errorf("%s is %s: %s", result.Probe.ID, result.Mark, result.Detail)
		}
	}
	if noted := found(report, probe.Noted); !slices.Equal(noted, []string{"replay-fresh-bearer"}) {
		t.Errorf("noted %v", noted)
	}
}
