package mailauth

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/netip"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/receiver/dnszone"
)

const shopZone = `
shop.example TXT "v=spf1 ip4:192.0.2.10 -all"
_dmarc.shop.example TXT "v=DMARC1; p=reject"
mail.shop.example A 192.0.2.10
10.2.0.192.in-addr.arpa PTR mail.shop.example
`

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	record, err := KeyRecord(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	z := zone(t, shopZone)
	if err := z.AddTXT("s1._domainkey.shop.example", record); err != nil {
		t.Fatal(err)
	}
	raw := signTest(t, plain, SignOptions{Key: key})
	r := dnszone.NewResolver(z, dnszone.Options{})
	v := Verifier{Resolver: r, Now: at(0), Keys: NewKeyCache()}
	a := policy.Arrival{Peer: netip.MustParseAddr("192.0.2.10"), HELO: "mail.shop.example", MailFrom: "bounce@shop.example"}
	got := v.Authenticate(context.Background(), a, message.Parse([]byte(raw)))
	if len(got.DKIM[0].Fingerprint) != 32 {
		t.Errorf("fingerprint %q", got.DKIM[0].Fingerprint)
	}
	got.DKIM[0].Signature, got.DKIM[0].Fingerprint = "", ""
	want := policy.Authentication{
		SPF: policy.SPF{Result: policy.AuthPass, Identity: "mailfrom", Domain: "shop.example", OrgDomain: "shop.example",
			Mechanism: "ip4:192.0.2.10", Record: "v=spf1 ip4:192.0.2.10 -all"},
		DKIM: []policy.DKIM{{Result: policy.AuthPass, Domain: "shop.example", OrgDomain: "shop.example", AUID: "@shop.example", Selector: "s1",
			Algorithm: "rsa-sha256", KeyBits: 2048, Headers: []string{"from", "to", "subject", "from"}}},
		DMARC: policy.DMARC{Result: policy.AuthPass, Domain: "shop.example", OrgDomain: "shop.example", Discovery: "treewalk", Standard: "rfc9989",
			PolicyDomain: "shop.example", Record: "v=DMARC1; p=reject", Policy: "reject", Applied: "p", Published: "reject", SubdomainPolicy: "reject",
			SPFAligned: true, DKIMAligned: true},
		ReverseDNS: policy.ReverseDNS{Result: policy.AuthPass, Names: []string{"mail.shop.example"}, Name: "mail.shop.example"},
		ARC:        policy.ARC{Result: policy.AuthNone},
	}
	if g, w := jsonOf(t, got), jsonOf(t, want); g != w {
		t.Errorf("got\n%s\nwant\n%s", g, w)
	}
	// Look-ups: PTR, A and AAAA, SPF, key, and the walk over two names.
	if n := r.Asked(); n != 7 {
		t.Errorf("%d look-ups: %v", n, r.Queries())
	}
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestNoAuthor(t *testing.T) {
	t.Parallel()
	v := Verifier{Resolver: resolver(t, ""), Now: at(0)}
	got := v.Authenticate(context.Background(), policy.Arrival{}, message.Parse([]byte("hello")))
	if got.DMARC.Result != policy.AuthPermError || got.DMARC.Problem == "" || got.SPF.Result != policy.AuthNone || got.ReverseDNS.Result != policy.AuthNone {
		t.Errorf("got %+v", got)
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	v := Verifier{Resolver: resolver(t, shopZone), Now: at(0), Profile: RFC}
	a := policy.Arrival{Peer: netip.MustParseAddr("192.0.2.10"), HELO: "mail.shop.example", MailFrom: "bounce@shop.example"}
	got := v.Authenticate(ctx, a, message.Parse([]byte(signTest(t, plain, SignOptions{}))))
	for _, r := range []policy.AuthResult{got.SPF.Result, got.DKIM[0].Result, got.DMARC.Result, got.ReverseDNS.Result} {
		if r != policy.AuthTempError {
			t.Errorf("got %+v", got)
		}
	}
	if got.DMARC.OrgDomain != "shop.example" {
		t.Errorf("organisational domain %q", got.DMARC.OrgDomain)
	}
}

func TestReverseDNS(t *testing.T) {
	t.Parallel()
	r := resolver(t, shopZone+`
1.2.0.192.in-addr.arpa PTR gone.shop.example
1.2.0.192.in-addr.arpa PTR mail.shop.example
2.2.0.192.in-addr.arpa FAULT servfail
3.2.0.192.in-addr.arpa PTR slow.shop.example
slow.shop.example FAULT timeout
1.0.0.127.in-addr.arpa PTR localhost
localhost A 127.0.0.1
`)
	for _, tt := range []struct{ peer, want string }{
		{"192.0.2.10", "pass mail.shop.example [mail.shop.example]"},
		{"192.0.2.1", "fail  [gone.shop.example mail.shop.example]"},
		{"192.0.2.2", "temperror  []"},
		{"192.0.2.3", "temperror  [slow.shop.example]"},
		{"192.0.2.4", "none  []"},
		{"127.0.0.1", "pass localhost [localhost]"},
		{"::", "none  []"},
		{"", "none  []"},
	} {
		peer, _ := netip.ParseAddr(tt.peer)
		got := reverseDNS(context.Background(), r, peer)
		if s := fmt.Sprintf("%s %s %v", got.Result, got.Name, got.Names); s != tt.want {
			t.Errorf("%s: got %q (%s), want %q", tt.peer, s, got.Problem, tt.want)
		}
	}
}

func TestManyNames(t *testing.T) {
	t.Parallel()
	z := zone(t, "")
	peer := netip.MustParseAddr("192.0.2.10")
	for i := range maxPTR + 5 {
		if err := z.AddPTR(peer, fmt.Sprintf("n%d.example", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.AddA(fmt.Sprintf("n%d.example", maxPTR), peer); err != nil {
		t.Fatal(err)
	}
	got := reverseDNS(context.Background(), dnszone.NewResolver(z, dnszone.Options{}), peer)
	if got.Result != policy.AuthFail || len(got.Names) != maxPTR+5 || got.Problem == "" {
		t.Errorf("got %+v", got)
	}
}

func TestLookupLimit(t *testing.T) {
	t.Parallel()
	l := lookups{inner: resolver(t, "a.example TXT x\na.example MX 1 b\na.example A 192.0.2.1"), made: maxLookups - 1}
	ctx := context.Background()
	if _, err := l.LookupTXT(ctx, "a.example"); err != nil {
		t.Error(err)
	}
	_, err1 := l.LookupTXT(ctx, "a.example")
	_, err2 := l.LookupMX(ctx, "a.example")
	_, err3 := l.LookupIPAddr(ctx, "a.example")
	_, err4 := l.LookupAddr(ctx, "192.0.2.1")
	for _, err := range []error{err1, err2, err3, err4} {
		if err == nil || dnsResult(err) != policy.AuthTempError {
			t.Errorf("got %v", err)
		}
	}
}
