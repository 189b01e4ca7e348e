package dnszone

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"
)

func TestLookupNetIP(t *testing.T) {
	t.Parallel()
	z := New()
	for _, err := range z.Load("zone", `
both.example A 192.0.2.1
both.example AAAA 2001:db8::1
four.example A 192.0.2.1
half.example A 192.0.2.1
half.example FAULT servfail AAAA
`) {
		t.Fatal(err)
	}
	r := NewResolver(z, Options{Upstream: upstream{}})
	hermetic := NewResolver(z, Options{})
	for _, tt := range []struct{ network, host, want string }{
		{"ip4", "both.example", "[192.0.2.1]"},
		{"ip6", "both.example", "[2001:db8::1]"},
		{"ip6", "four.example", "not found"},
		{"ip4", "half.example", "[192.0.2.1]"},
		{"ip6", "half.example", "temporary"},
		{"ip4", "192.0.2.7", "[192.0.2.7]"},
		{"ip6", "192.0.2.7", "not found"},
		{"ip4", "none.example", "not found"},
		{"ip5", "both.example", "unknown network ip5"},
	} {
		list, err := hermetic.LookupNetIP(context.Background(), tt.network, tt.host)
		got := fmt.Sprint(list)
		if dnsErr, ok := err.(*net.DNSError); ok && dnsErr.IsNotFound {
			got = "not found"
		} else if ok {
			got = map[bool]string{true: "temporary", false: "permanent"}[dnsErr.Temporary()]
		} else if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s %s: got %s, want %s", tt.network, tt.host, got, tt.want)
		}
	}
	// One question, of which the upstream's answer is a part.
	want, err := upstream{}.LookupIPAddr(context.Background(), "real.example")
	if err != nil {
		t.Fatal(err)
	}
	for network, is4 := range map[string]bool{"ip4": true, "ip6": false} {
		list, err := r.LookupNetIP(context.Background(), network, "real.example")
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, ip := range want {
			if addr, _ := netip.AddrFromSlice(ip.IP); addr.Unmap().Is4() == is4 {
				n++
			}
		}
		if len(list) != n {
			t.Errorf("%s: %v of %v", network, list, want)
		}
	}
	if n := len(r.Queries()); n != 2 {
		t.Errorf("%d queries", n)
	}
}

func TestNameExists(t *testing.T) {
	t.Parallel()
	z := New()
	for _, err := range z.Load("zone", `
text.example TXT "x"
a.b.example A 192.0.2.1
*.wild.example MX 10 mx.example
down.example FAULT servfail
`) {
		t.Fatal(err)
	}
	r := NewResolver(z, Options{})
	for name, want := range map[string]string{
		"text.example": "true true", "b.example": "true true", "x.wild.example": "true true",
		"none.example": "false true", "x.text.example": "false true", "down.example": "error",
	} {
		exists, known, err := r.NameExists(context.Background(), name)
		got := fmt.Sprint(exists, known)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	if _, known, err := NewResolver(z, Options{Upstream: upstream{}}).NameExists(context.Background(), "real.example"); known || err != nil {
		t.Error("the upstream's names are not known", known, err)
	}
}
