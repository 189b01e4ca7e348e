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

// issuer is a provider's keys, published.
type issuer struct {
	*keys.Set
	clock  *clock
	url    string
	pinned map[string]any // What was published before anything was withdrawn.
}

// newIssuer makes keys of which one has been withdrawn.
func newIssuer(t *testing.T, o keys.Options) *issuer {
	t.Helper()
	i := &issuer{clock: &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}}
	o.Now = i.clock.Now
	var err error
	if i.Set, err = keys.New(o); err != nil {
		t.Fatal(err)
	}
	published := httptest.NewServer(i.Handler())
	t.Cleanup(published.Close)
	i.url = published.URL
	if i.pinned, err = fetchKeys(i.url + keys.PathJWKS); err != nil {
		t.Fatal(err)
	}
	if err := i.Rotate(); err != nil {
		t.Fatal(err)
	}
	i.clock.mu.Lock()
	i.clock.now = i.clock.now.Add(30 * 24 * time.Hour)
	i.clock.mu.Unlock()
	return i
}

// bench is a provider and what it tries a service with.
type bench struct {
	provider, other *issuer
}

func newBench(t *testing.T) *bench {
	t.Helper()
	return &bench{
		provider: newIssuer(t, keys.Options{}),
		other:    newIssuer(t, keys.Options{Issuer: "https://accounts.other.example", AuthorizedParty: "actions@other.example"}),
	}
}

// try starts a service with flaws, and gives it to a test with an action of it
// and options that let everything be tried.
func (b *bench) try(t *testing.T, flaws ...string) (*service, probe.Target, probe.Options) {
	t.Helper()
	s := newService(t, b.provider.clock.Now, b.provider.url, b.other.url, flaws...)
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
	mails := 4711
	return s, target(s.grant("4711", "alice")), probe.Options{
		Keys: b.provider.Set, Other: b.other.Set, KeysURL: b.provider.url,
		Exchange: s.exchanger(d),
		Fresh: func(context.Context) (probe.Target, error) {
			mails++
			return target(s.grant(strconv.Itoa(mails), "alice")), nil
		},
		OtherUser: func(context.Context) (probe.Target, error) { return target(s.grant("9000", "bob")), nil },
		Effects: func(context.Context) (string, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			return strconv.Itoa(s.done), nil
		},
	}
}

// exchanger sends, and has the flaw "racy" show itself: two requests at once
// both look before either acts.
func (s *service) exchanger(d *dispatcher.Dispatcher) func(context.Context, dispatcher.Raw) dispatcher.Attempt {
	if !s.has("racy") {
		return d.Exchange
	}
	var both sync.Once
	return func(ctx context.Context, r dispatcher.Raw) dispatcher.Attempt {
		if strings.HasSuffix(r.ID, "two-at-once") {
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
	b := newBench(t)
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
