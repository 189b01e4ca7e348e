package dnszone

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

func TestAnswers(t *testing.T) {
	t.Parallel()
	z := load(t, `
a.b.shop.example TXT deep
*.wild.example TXT wild
sub.wild.example MX 10 mx
one CNAME two
two CNAME three
three TXT end
loop1 CNAME loop2
loop2 CNAME loop1
gone CNAME nowhere.example
bad FAULT servfail
dead FAULT timeout TXT
dead MX 10 mx
slow FAULT slow 3s
slow TXT late
veryslow FAULT slow 5s
veryslow TXT late
*.faulty FAULT servfail
`)
	for _, tt := range []struct{ name, want string }{
		{"a.b.shop.example", "[deep]"},
		{"b.shop.example", "nodata"}, // An empty non-terminal.
		{"shop.example", "nodata"},
		{"c.shop.example", "nxdomain"},
		{"x.a.b.shop.example", "nxdomain"},
		{"localhost", "nxdomain"},
		{"..", "nxdomain"},
		{"", "nodata"},
		{"x.wild.example", "[wild]"},
		{"x.y.wild.example", "[wild]"},
		{"wild.example", "nodata"},
		{"sub.wild.example", "nodata"},
		{"x.sub.wild.example", "nxdomain"}, // The closest encloser has no wildcard.
		{"one", "[end]"},
		{"loop1", "servfail"},
		{"gone", "nxdomain"},
		{"bad", "servfail"},
		{"dead", "timeout"},
		{"slow", "[late] 3s"},
		{"veryslow", "timeout 5s"},
		{"any.faulty", "servfail"},
	} {
		r := NewResolver(z, Options{})
		list, err := r.LookupTXT(context.Background(), tt.name)
		q := r.Queries()[0]
		got := q.Answer
		if err == nil {
			got = fmt.Sprint(list)
		}
		if q.Took > 0 && tt.name != "dead" {
			got += " " + q.Took.String()
		}
		if got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
		if err == nil {
			continue
		}
		dnsErr, ok := err.(*net.DNSError)
		if !ok {
			t.Fatalf("%s: the error is a %T", tt.name, err)
		}
		found, temporary := q.Answer == AnswerNXDomain || q.Answer == AnswerNoData, q.Answer == AnswerServfail || q.Answer == AnswerTimeout
		if dnsErr.IsNotFound != found || dnsErr.Temporary() != temporary || dnsErr.Timeout() != (q.Answer == AnswerTimeout) {
			t.Errorf("%s: %s gives %+v", tt.name, q.Answer, dnsErr)
		}
	}
}

func TestLookupIPAddr(t *testing.T) {
	t.Parallel()
	z := load(t, `
both A 192.0.2.1
both AAAA 2001:db8::1
four A 192.0.2.1
half A 192.0.2.1
half FAULT servfail AAAA
text TXT x
`)
	r := NewResolver(z, Options{})
	for _, tt := range []struct{ host, want string }{
		{"both", "[{192.0.2.1 } {2001:db8::1 }] <nil>"},
		{"four", "[{192.0.2.1 }] <nil>"},
		{"half", "[] lookup half: server misbehaving"},
		{"text", "[] lookup text: no such host"},
		{"none", "[] lookup none: no such host"},
		{"192.0.2.7", "[{192.0.2.7 }] <nil>"},
		{"fe80::1%eth0", "[{fe80::1 eth0}] <nil>"},
	} {
		list, err := r.LookupIPAddr(context.Background(), tt.host)
		if got := fmt.Sprint(list, " ", err); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.host, got, tt.want)
		}
	}
}

func TestReverse(t *testing.T) {
	t.Parallel()
	z := New()
	for addr, want := range map[string]string{
		"192.0.2.10":        "10.2.0.192.in-addr.arpa",
		"::ffff:192.0.2.10": "10.2.0.192.in-addr.arpa",
		"2001:db8::12":      "2.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
	} {
		a := netip.MustParseAddr(addr)
		if got := reverseName(a); got != want {
			t.Errorf("%s: got %s", addr, got)
		}
		if err := z.AddPTR(a, "mail.example"); err != nil {
			t.Error(err)
		}
		got, err := NewResolver(z, Options{}).LookupAddr(context.Background(), addr)
		if err != nil || len(got) != 1 || got[0] != "mail.example." {
			t.Errorf("%s: got %v, %v", addr, got, err)
		}
	}
}

func TestAdd(t *testing.T) {
	t.Parallel()
	z := load(t, "alias CNAME b\n")
	for _, err := range []error{
		z.AddTXT("a..b", "x"), z.SetTXT("a..b", "x"), z.AddTXT("alias", "x"), z.SetTXT("alias", "x"),
		z.AddA("a", netip.Addr{}), z.AddPTR(netip.Addr{}, "a"),
	} {
		if err == nil {
			t.Error("no error")
		}
	}
	if err := errors.Join(z.AddTXT("k", "old"), z.AddTXT("k", "older"), z.SetTXT("k", "new"), z.AddMX("k", 5, "mx.k")); err != nil {
		t.Fatal(err)
	}
	if got, err := NewResolver(z, Options{}).LookupTXT(context.Background(), "k"); err != nil || fmt.Sprint(got) != "[new]" {
		t.Errorf("got %v, %v", got, err)
	}
	for range maxSet + 1 {
		if err := z.AddTXT("full", fmt.Sprint(len(z.node("full").sets))); err != nil {
			t.Fatal(err) // The same record again: never full.
		}
	}
}

func TestClearFaults(t *testing.T) {
	t.Parallel()
	z := load(t, "a.b.c FAULT servfail\nd FAULT timeout\nd TXT x\n*.e FAULT servfail\n")
	for _, name := range []string{"a.b.c.", "D", "*.e", "none"} {
		z.ClearFaults(name)
	}
	if errs := z.Load("z", "d FAULT slow 1s"); errs != nil {
		t.Error(errs)
	}
	r := NewResolver(z, Options{})
	for _, name := range []string{"a.b.c", "b.c", "d", "x.e"} {
		r.LookupTXT(context.Background(), name)
	}
	want := []Query{
		{Name: "a.b.c", Type: "TXT", Answer: AnswerNXDomain, Source: SourceZone},
		{Name: "b.c", Type: "TXT", Answer: AnswerNXDomain, Source: SourceZone},
		{Name: "d", Type: "TXT", Answer: `"x"`, Source: SourceZone, Took: time.Second},
		{Name: "x.e", Type: "TXT", Answer: AnswerNXDomain, Source: SourceZone},
	}
	if got := r.Queries(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v", got)
	}
}

func TestDelay(t *testing.T) {
	t.Parallel()
	z := load(t, "a FAULT slow 2s\na A 192.0.2.1\nt FAULT timeout\n")
	var waited time.Duration
	delay := func(_ context.Context, d time.Duration) error { waited += d; return nil }
	r := NewResolver(z, Options{Delay: delay, Timeout: 4 * time.Second})
	if _, err := r.LookupIPAddr(context.Background(), "a"); err != nil || waited != 2*time.Second {
		t.Errorf("two questions together: waited %v, %v", waited, err)
	}
	if _, err := r.LookupTXT(context.Background(), "t"); err == nil || waited != 6*time.Second {
		t.Errorf("timeout: waited %v, %v", waited, err)
	}
	cut := NewResolver(z, Options{Delay: func(context.Context, time.Duration) error { return context.Canceled }})
	if _, err := cut.LookupIPAddr(context.Background(), "a"); err == nil || !err.(*net.DNSError).IsTimeout {
		t.Errorf("a wait cut short: got %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.LookupTXT(ctx, "a"); err == nil || !err.(*net.DNSError).IsTimeout {
		t.Errorf("cancelled: got %v", err)
	}
}

func TestRecord(t *testing.T) {
	t.Parallel()
	r := NewResolver(load(t, "a TXT x\n"), Options{Log: 3})
	one, two := r.Record(), r.Record()
	var wg sync.WaitGroup
	for _, c := range []*Resolver{one, two} {
		wg.Go(func() {
			for range 2 {
				c.LookupTXT(context.Background(), "a")
			}
		})
	}
	wg.Wait()
	if len(one.Queries()) != 2 || len(two.Queries()) != 2 || len(r.Queries()) != 3 || r.Asked() != 4 {
		t.Errorf("got %d, %d, %d of %d", len(one.Queries()), len(two.Queries()), len(r.Queries()), r.Asked())
	}
	for _, name := range []string{"b", "c", "d"} {
		one.LookupTXT(context.Background(), name)
	}
	if q := one.Queries(); q[0].Name != "b" || q[2].Name != "d" {
		t.Errorf("the latest, oldest first: got %v", q)
	}
}

// upstream answers like a net.Resolver.
type upstream struct{ err error }

func (u upstream) LookupTXT(_ context.Context, name string) ([]string, error) {
	return []string{"up " + name}, u.err
}
func (u upstream) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	return []*net.MX{{Host: "mx." + name + ".", Pref: 1}}, u.err
}
func (u upstream) LookupIPAddr(context.Context, string) ([]net.IPAddr, error) {
	return []net.IPAddr{{IP: net.IPv4(192, 0, 2, 99)}}, u.err
}
func (u upstream) LookupAddr(context.Context, string) ([]string, error) {
	return []string{"ptr."}, u.err
}

var _ Upstream = (*net.Resolver)(nil)

func TestOverlay(t *testing.T) {
	t.Parallel()
	z := load(t, "a.shop.example A 192.0.2.1\nout.example CNAME real.example\n*.w.example TXT wild\nf.example FAULT timeout TXT\n"+
		"fa.example FAULT servfail AAAA\nfa.example CNAME real.example\n")
	now := time.Unix(0, 0)
	clock := func() time.Time { now = now.Add(time.Second); return now }
	r := NewResolver(z, Options{Upstream: upstream{}, Now: clock})
	ctx := context.Background()
	r.LookupTXT(ctx, "a.shop.example") // The zone's, and it has no TXT.
	r.LookupTXT(ctx, "shop.example")   // Above a name of the zone: not the zone's.
	r.LookupMX(ctx, "out.example")
	r.LookupTXT(ctx, "x.w.example")
	r.LookupTXT(ctx, "f.example")
	r.LookupIPAddr(ctx, "real.example")
	r.LookupAddr(ctx, "192.0.2.1")
	r.LookupIPAddr(ctx, "fa.example")
	up, zone := SourceUpstream, SourceZone
	want := []Query{
		{"a.shop.example", "TXT", AnswerNoData, zone, 0},
		{"shop.example", "TXT", `"up shop.example"`, up, time.Second},
		{"out.example", "MX", "1 mx.real.example.", up, time.Second},
		{"x.w.example", "TXT", `"wild"`, zone, 0},
		{"f.example", "TXT", AnswerTimeout, zone, defaultTimeout},
		{"real.example", "AAAA", AnswerNoData, up, 2 * time.Second},
		{"real.example", "A", "192.0.2.99", up, 2 * time.Second},
		{"1.2.0.192.in-addr.arpa", "PTR", "ptr.", up, time.Second},
		{"fa.example", "AAAA", AnswerServfail, zone, 0},
	}
	got := r.Queries()
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) {
			t.Fatalf("got %d queries, want %d: %v", len(got), len(want), got)
		}
		g := got[i]
		if g.Type == "A" || g.Type == "AAAA" {
			g.Took, want[i].Took = 0, 0
		}
		if g != want[i] {
			t.Errorf("%d: got %+v, want %+v", i, g, want[i])
		}
	}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("wrapped: %w", &net.DNSError{IsNotFound: true}), AnswerNXDomain},
		{&net.DNSError{IsTimeout: true}, AnswerTimeout},
		{errors.New("no network"), AnswerServfail},
	} {
		r := NewResolver(z, Options{Upstream: upstream{tt.err}})
		_, err := r.LookupTXT(ctx, "up.example")
		if _, ok := err.(*net.DNSError); !ok || r.Queries()[0].Answer != tt.want {
			t.Errorf("%v: got %T, %s", tt.err, err, r.Queries()[0].Answer)
		}
	}
}
