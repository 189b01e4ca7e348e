package provider_test

import (
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

const serviceURL = "https://shop.example/approve?token=b1946ac92492d234"

func addService(t testing.TB, p *provider.Provider, s provider.Service) {
	t.Helper()
	if err := p.AddService(s); err != nil {
		t.Fatal(err)
	}
}

// Of many clicks at once on one action one makes the request.
func TestClicksAtOnce(t *testing.T) {
	t.Parallel()
	var told atomic.Int32
	p := newProvider(t, provider.Options{OnAttempt: func(mailbox.Click, mailbox.Attempt) { told.Add(1) }})
	addService(t, p, provider.Service{URL: serviceURL})
	m := delivered(t, p, approval(serviceURL))
	const clicks = 16
	states := make([]mailbox.ClickState, clicks)
	var group sync.WaitGroup
	for i := range clicks {
		group.Go(func() {
			c, err := p.Click(t.Context(), m.ID, 0)
			if err != nil {
				t.Error(err)
			}
			states[i] = c.State
		})
	}
	group.Wait()
	succeeded := 0
	for _, s := range states {
		switch s {
		case mailbox.ClickSucceeded:
			succeeded++
		case mailbox.ClickRefused:
		default:
			t.Errorf("a click is %s", s)
		}
	}
	if succeeded != 1 || told.Load() != 1 {
		t.Errorf("%d clicks succeeded, with %d attempts", succeeded, told.Load())
	}
	list, err := p.Store().Clicks(t.Context(), p.WorldName(), m.ID)
	if err != nil || len(list) != clicks {
		t.Errorf("%d clicks are kept, %v", len(list), err)
	}
}

// A click on one action leaves another one alone.
func TestClickPerAction(t *testing.T) {
	t.Parallel()
	p := newProvider(t, provider.Options{})
	addService(t, p, provider.Service{URL: serviceURL})
	m := delivered(t, p, approval(serviceURL, serviceURL+"&b"))
	for i := range 2 {
		if c, err := p.Click(t.Context(), m.ID, i); err != nil || c.State != mailbox.ClickSucceeded {
			t.Errorf("click on action %d: %s %s, %v", i, c.State, c.Verdict.Reason, err)
		}
	}
	if c, err := p.Click(t.Context(), m.ID, 2); err != nil || c.Verdict.Reason != "no-such-action" {
		t.Errorf("click on action 2: %s, %v", c.Verdict.Reason, err)
	}
	if _, err := p.Click(t.Context(), "m99", 0); !errors.Is(err, mailbox.ErrNotFound) {
		t.Errorf("click in a message that there is not: %v", err)
	}
}

// Retries happen at their due times, those of several requests in the order
// in which they fall due.
func TestAdvanceInOrder(t *testing.T) {
	t.Parallel()
	var order []string
	p := newProvider(t, provider.Options{OnAttempt: func(c mailbox.Click, a mailbox.Attempt) {
		order = append(order, c.ID+" "+a.At.Format(time.TimeOnly))
	}})
	addService(t, p, provider.Service{URL: serviceURL, Statuses: []int{408}})
	m := delivered(t, p, approval(serviceURL, serviceURL+"&b"))
	first, err := p.Click(t.Context(), m.ID, 0)
	if err != nil || first.State != mailbox.ClickPending {
		t.Fatalf("%s, %v", first.State, err)
	}
	if err := p.Advance(t.Context(), 30*time.Second); err != nil {
		t.Fatal(err)
	}
	second, err := p.Click(t.Context(), m.ID, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Advance(t.Context(), 4*time.Hour); err != nil {
		t.Fatal(err)
	}
	// The documented answer, and the schedule that is the dial's default.
	want := []string{
		first.ID + " 09:00:00", second.ID + " 09:00:30", first.ID + " 09:01:00", second.ID + " 09:01:30",
		first.ID + " 09:06:00", second.ID + " 09:06:30", first.ID + " 09:36:00", second.ID + " 09:36:30",
		first.ID + " 11:36:00", second.ID + " 11:36:30",
	}
	if !slices.Equal(order, want) {
		t.Errorf("attempts\n%s\nwant\n%s", strings.Join(order, "\n"), strings.Join(want, "\n"))
	}
	if got := p.Clock().Now(); !got.Equal(start().Add(4*time.Hour + 30*time.Second)) {
		t.Errorf("the clock shows %s", got)
	}
	if list := attempts(t, p, first.ID); len(list) != 5 || list[4].N != 5 || list[4].Outcome != "failed" || list[3].Outcome != "retrying" {
		t.Errorf("attempts are %+v", list)
	}
	if err := p.Advance(t.Context(), -time.Second); err == nil {
		t.Error("the clock went back")
	}
}

// With a running clock retries come by themselves; advancing the clock brings
// them nearer. All of this is in a bubble, where time costs nothing; it also
// shows that Close ends every goroutine.
func TestRunningClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		made := make(chan mailbox.Attempt, 10)
		p := newProvider(t, provider.Options{
			Clock:     provider.RunningClock(time.Now),
			OnAttempt: func(_ mailbox.Click, a mailbox.Attempt) { made <- a },
		})
		addService(t, p, provider.Service{URL: serviceURL, Statuses: []int{408, 408, 408, 200}})
		m := delivered(t, p, approval(serviceURL))
		begun := time.Now()
		click, err := p.Click(t.Context(), m.ID, 0)
		if err != nil || click.State != mailbox.ClickPending {
			t.Fatalf("%s, %v", click.State, err)
		}
		<-made
		synctest.Wait() // Now the timer of the retry runs.
		// A minute of the provider's is half a minute of the machine's.
		if err := p.Advance(t.Context(), 30*time.Second); err != nil {
			t.Fatal(err)
		}
		if second := <-made; time.Since(begun) != 30*time.Second || second.Status != 408 {
			t.Errorf("the retry came after %s: attempt %d, status %d", time.Since(begun), second.N, second.Status)
		}
		// An advance past the due time makes the attempt before it returns.
		if err := p.Advance(t.Context(), 5*time.Minute); err != nil {
			t.Fatal(err)
		}
		if third := <-made; time.Since(begun) != 30*time.Second || third.N != 3 {
			t.Errorf("the second retry came after %s: attempt %d", time.Since(begun), third.N)
		}
		if fourth := <-made; time.Since(begun) != 30*time.Minute+30*time.Second || fourth.Outcome != "succeeded" {
			t.Errorf("the third retry came after %s: attempt %d, %s", time.Since(begun), fourth.N, fourth.Outcome)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Nothing is asked about a host, and nothing sent to it, unless it is routed
// or allowed.
func TestGuard(t *testing.T) {
	t.Parallel()
	up := &upstream{addr: netip.MustParseAddr("192.0.2.80")}
	p := newProvider(t, provider.Options{Upstream: up})
	m := delivered(t, p, approval("https://away.example/", "https://shop.example/x", "https://meta.example/"))
	asked := up.questions()
	click, err := p.Click(t.Context(), m.ID, 0)
	if err != nil || click.State != mailbox.ClickWithheld {
		t.Errorf("%s, %v", click.State, err)
	}
	list := attempts(t, p, click.ID)
	if len(list) != 1 || list[0].Reason != "host-not-routed" || list[0].Outcome != "withheld" || list[0].Sent != nil {
		t.Errorf("attempts are %+v", list)
	}
	if now := up.questions(); len(now) != len(asked) {
		t.Errorf("the click asked %q", now[len(asked):])
	}
	// Routed: to a port where nobody listens.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	l.Close()
	if err := p.Route("shop.example", closed); err != nil {
		t.Fatal(err)
	}
	click, err = p.Click(t.Context(), m.ID, 1)
	if list := attempts(t, p, click.ID); err != nil || len(list) != 1 || list[0].Reason != "connect-refused" || list[0].Addr != closed {
		t.Errorf("attempts are %+v, %v", list, err)
	}
	// Allowed by name: but the name leads to where no request ever goes.
	if err := p.Zone().AddA("meta.example", netip.MustParseAddr("169.254.169.254")); err != nil {
		t.Fatal(err)
	}
	if err := p.Allow("meta.example"); err != nil {
		t.Fatal(err)
	}
	click, err = p.Click(t.Context(), m.ID, 2)
	if list := attempts(t, p, click.ID); err != nil || len(list) != 1 || list[0].Reason != "address-refused" {
		t.Errorf("attempts are %+v, %v", list, err)
	}
	for _, err := range []error{p.Route("", "127.0.0.1:1"), p.Route("x.example", "127.0.0.1"), p.Route("x.example", "169.254.169.254:80"), p.Allow("a b")} {
		if err == nil {
			t.Error("a bad route is taken")
		}
	}
}

func TestAddServiceErrors(t *testing.T) {
	t.Parallel()
	p := newProvider(t, provider.Options{})
	for _, u := range []string{"http://shop.example/", "https:///x", "/x", "https://u:p@shop.example/", "https://[::1", "", "shop.example"} {
		if err := p.AddService(provider.Service{URL: u}); err == nil || !strings.HasPrefix(err.Error(), "endpoint ") {
			t.Errorf("%q: %v", u, err)
		}
	}
}

// A service answers at its path, whatever the query; elsewhere there is none.
func TestServicePaths(t *testing.T) {
	t.Parallel()
	p := newProvider(t, provider.Options{})
	addService(t, p, provider.Service{URL: "https://Shop.example/a", Statuses: []int{201}, Body: "made", Header: http.Header{"X-One": {"1", "2"}}})
	addService(t, p, provider.Service{URL: "https://shop.example:8443/a", Statuses: []int{202}})
	m := delivered(t, p, approval("https://shop.example/a?token=1", "https://shop.example/b?token=1", "https://shop.example:8443/a?token=1"))
	for i, want := range []int{201, 404, 202} {
		c, err := p.Click(t.Context(), m.ID, i)
		if err != nil {
			t.Fatal(err)
		}
		list := attempts(t, p, c.ID)
		if len(list) != 1 || list[0].Status != want {
			t.Fatalf("action %d: %+v", i, list)
		}
		if i == 0 && (string(list[0].Body) != "made" || len(slices.DeleteFunc(list[0].Header, func(f mailbox.Field) bool { return f.Name != "X-One" })) != 2) {
			t.Errorf("answer is %q, %v", list[0].Body, list[0].Header)
		}
	}
}

// A request that cannot be handed over fails, and does not hold up the next.
func TestClickWithoutRoots(t *testing.T) {
	t.Parallel()
	broken := errors.New("no such file")
	roots := []error{broken, nil}
	p := newProvider(t, provider.Options{Roots: func() (*x509.CertPool, error) {
		err := roots[0]
		roots = roots[1:]
		return x509.NewCertPool(), err
	}})
	addService(t, p, provider.Service{URL: serviceURL})
	m := delivered(t, p, approval(serviceURL))
	if _, err := p.Click(t.Context(), m.ID, 0); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if list, err := p.Store().Clicks(t.Context(), p.WorldName(), m.ID); err != nil || len(list) != 1 || list[0].State != mailbox.ClickFailed {
		t.Errorf("clicks are %+v, %v", list, err)
	}
	if c, err := p.Click(t.Context(), m.ID, 0); err != nil || c.State != mailbox.ClickSucceeded {
		t.Errorf("the next click: %s %s, %v", c.State, c.Verdict.Reason, err)
	}
}

func TestFindAction(t *testing.T) {
	t.Parallel()
	var m mailbox.Message
	for i, name := range []string{"Approve", "Reject", "Approve", "1", ""} {
		m.Evidence.Markup.Actions = append(m.Evidence.Markup.Actions, policy.Action{Index: i, Name: name})
	}
	tests := []struct {
		button string
		want   int
		err    string
	}{
		{"Reject", 1, ""},
		{"1", 3, ""}, // A label comes before an index.
		{"0", 0, ""},
		{"2", 2, ""},
		{"", 4, ""},
		{"Approve", 0, `there are 2 buttons "Approve": name one by its index, 0 or 2`},
		{"approve", 0, `there is no button "approve"; there are "Approve", "Reject", "Approve", "1", ""`},
		{"5", 0, `there is no button "5"; there are "Approve", "Reject", "Approve", "1", ""`},
		{"-1", 0, `there is no button "-1"; there are "Approve", "Reject", "Approve", "1", ""`},
	}
	for _, tt := range tests {
		got, err := provider.FindAction(m, tt.button)
		if tt.err != "" {
			if err == nil || err.Error() != tt.err {
				t.Errorf("%q: %v", tt.button, err)
			}
			continue
		}
		if err != nil || got != tt.want {
			t.Errorf("%q: %d, %v", tt.button, got, err)
		}
	}
	if _, err := provider.FindAction(mailbox.Message{}, "0"); err == nil || err.Error() != `there is no button "0": the message has no action` {
		t.Errorf("got %v", err)
	}
}
