package mailauth

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"blitiri.com.ar/go/spf"
	"github.com/emersion/go-msgauth/authres"
	"github.com/emersion/go-msgauth/dkim"
	"github.com/emersion/go-msgauth/dmarc"

	"github.com/doppelbox/doppelbox/policy"
)

// upstream is a fault of a library as it is today. When a library comes to what
// we do, its test says that what we do instead can go.
type upstream struct {
	fault string
	where string // Our way around it.
	today string // What the library comes to.
	right string // What it should come to, and we do.
}

func (u upstream) compare(t *testing.T, theirs, ours string) {
	t.Helper()
	switch {
	case ours != u.right:
		t.Errorf("%s: we have %q, want %q", u.fault, ours, u.right)
	case theirs == u.right:
		t.Errorf("upstream has mended %q: the work-around in %s can go", u.fault, u.where)
	case theirs != u.today:
		t.Errorf("upstream does something else about %q: %q, was %q", u.fault, theirs, u.today)
	}
}

// structFields are the names of a struct's fields: what a library tells, or can be
// told.
func structFields(v any) string {
	var names []string
	for _, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
		names = append(names, f.Name)
	}
	return strings.Join(names, " ")
}

// TestUpstreamDKIM: go-msgauth/dkim.
func TestUpstreamDKIM(t *testing.T) {
	t.Parallel()
	parts := func(raw, domain string, headers ...string) string {
		return signParts(t, raw, SignOptions{Domain: domain, Selector: "s1", Key: testKey(), Headers: headers,
			HeaderCanonicalization: Relaxed, BodyCanonicalization: Relaxed})
	}
	const short = "From: a@shop.example\r\n\r\nline one\r\n"
	signed := signTest(t, plain, SignOptions{})
	for _, tt := range []struct {
		upstream
		raw     string
		records []string
	}{
		{upstream{"x= and the wall's clock", "dkim.go", "invalid", "pass"},
			signTest(t, plain, SignOptions{Time: time.Unix(1000, 0), Expiration: time.Unix(2000, 0)}), nil},
		{upstream{"b= is taken out of other tags too", "dkimsignature.go", "fail", "pass"},
			parts(short, "shop.example; z=From:bob=20x", "from"), nil},
		{upstream{"l= is refused", "dkim.go", "fail", "pass"}, parts(short, "shop.example; l=10", "from"), nil},
		{upstream{"t=s is not heeded", "dkim.go", "pass", "invalid"},
			parts(short, "shop.example; i=@sub.shop.example", "from"), []string{testKeyRecord + "; t=s"}},
		{upstream{"the case of i='s domain counts", "dkimsignature.go", "invalid", "pass"},
			parts(short, "shop.example; i=@SHOP.example", "from"), nil},
		{upstream{"the case of k= counts", "dkimkey.go", "invalid", "pass"}, signed, []string{strings.Replace(testKeyRecord, "k=ed", "k=ED", 1)}},
		{upstream{"a tab in p= is a mistake", "dkimkey.go", "invalid", "pass"}, signed, []string{strings.Replace(testKeyRecord, "+", "\t+", 1)}},
		{upstream{"x= before t= is accepted", "dkimsignature.go", "pass", "invalid"},
			parts(short, "shop.example; t=9999999999; x=9999999998", "from"), nil},
		{upstream{"of several keys only the first is looked at", "dkim.go", "invalid", "pass"},
			signed, []string{"v=DKIM1; k=rsa; p=", testKeyRecord}},
		{upstream{"a message that ends with its header is none", "policy/message", "failed to read header: EOF", "pass"},
			strings.TrimSuffix(parts("From: a@shop.example\r\n\r\n", "shop.example", "from"), "\r\n"), nil},
	} {
		dns := texts{"s1._domainkey.shop.example": {testKeyRecord}}
		if tt.records != nil {
			dns["s1._domainkey.shop.example"] = tt.records
		}
		c := dkimCase{raw: []byte(tt.raw), dns: dns}
		ours := ""
		for _, s := range dkimOf(&Verifier{Resolver: dns, Now: at(1500), Profile: RFC}, c.raw) {
			ours += word(s)
		}
		tt.compare(t, libraryWords(c), ours)
	}
	for _, tt := range []struct {
		upstream
		theirs string
	}{
		{upstream{"selector, algorithm, key and b= are not told", "dkim.go", "Domain Identifier HeaderKeys Time Expiration Err", ""}, structFields(dkim.Verification{})},
		{upstream{"there is no clock to set", "dkim.go", "LookupTXT MaxVerifications", ""}, structFields(dkim.VerifyOptions{})},
	} {
		tt.compare(t, tt.theirs, "")
	}
}

// wrapping is a resolver whose errors have another one inside.
type wrapping struct{ texts }

func (r wrapping) LookupTXT(ctx context.Context, name string) ([]string, error) {
	list, err := r.texts.LookupTXT(ctx, name)
	if err != nil {
		err = fmt.Errorf("asking: %w", err)
	}
	return list, err
}

// TestUpstreamSPF: blitiri.com.ar/go/spf. What it comes to is a result and, where
// that does not tell, the last name that it asks for.
func TestUpstreamSPF(t *testing.T) {
	t.Parallel()
	label := strings.Repeat("x", 60)
	zoneText := `
late.example TXT "v=spf1 +all bogus:x"
asked.example TXT "v=spf1 exists:%{l}.m.example ?all"
url.example TXT "v=spf1 exists:%{L}.m.example ?all"
long.example TXT "v=spf1 exists:%{l}.%{l}.%{l}.%{l}.%{l}.m.example ?all"
quoted.example TXT "v=spf1 +all"
exp.example TXT "v=spf1 +all exp=a.example exp=b.example"
name.example TXT "v=spf1 exists:%{p}.m.example ?all"
1.2.0.192.in-addr.arpa PTR host.example
host.example A 192.0.2.1
four.example TXT "v=spf1 ip4:2001:db8::1 -all"
slash.example TXT "v=spf1 exists:a/b.example ?all"
localhost TXT "v=spf1 +all"
dot.example TXT "v=spf1 +all"
void.example TXT "v=spf1 a:six.example a:six.example a:six.example +all"
six.example AAAA 2001:db8::1
mapped.example TXT "v=spf1 ip6:::ffff:0:0/96 -all"
`
	for _, tt := range []struct {
		upstream
		ip, sender string
		asked      bool // Compare the name.
		res        Resolver
	}{
		{upstream{"a mistake behind the term that matches", "spfrecord.go", "pass", "permerror"}, "192.0.2.1", "a@late.example", false, nil},
		{upstream{"a null reverse-path has no local part", "spf.go", ".m.example", "postmaster.m.example"}, "192.0.2.1", "", true, nil},
		{upstream{"an @ in the local part", "spf.go", "none", "pass"}, "192.0.2.1", "a@b@quoted.example", false, nil},
		{upstream{"empty parts of a macro are lost", "spfmacro.go", "a.m.example", ".a.m.example"}, "192.0.2.1", ".a@asked.example", true, nil},
		{upstream{"a space in a URL", "spfmacro.go", "a+b.m.example", "a%20b.m.example"}, "192.0.2.1", "a b@url.example", true, nil},
		{upstream{"a name of more than 253 octets", "spfmacro.go", strings.Repeat(label+".", 5) + "m.example", strings.Repeat(label+".", 4) + "m.example"},
			"192.0.2.1", label + "@long.example", true, nil},
		{upstream{"%{p} is unknown", "spfmacro.go", "unknown.m.example", "host.example.m.example"}, "192.0.2.1", "a@name.example", true, nil},
		{upstream{"exp= is ignored, and may stand twice", "spfwatch.go", "pass", "permerror"}, "192.0.2.1", "a@exp.example", false, nil},
		{upstream{"an IPv6 address in ip4", "spfrecord.go", "pass", "permerror"}, "2001:db8::1", "a@four.example", false, nil},
		{upstream{"a / in a domain", "spfwatch.go", "permerror", "neutral"}, "192.0.2.1", "a@slash.example", false, nil},
		{upstream{"a domain of one label", "spf.go", "pass", "none"}, "192.0.2.1", "a@localhost", false, nil},
		// No Domain ends with a dot (RFC 5321 4.1.2); RFC 7208 4.3 does not name it.
		{upstream{"a final dot in the sender's domain", "spf.go", "pass", "none"}, "192.0.2.1", "a@dot.example.", false, nil},
		{upstream{"the other family's addresses", "spfwatch.go", "pass", "permerror"}, "192.0.2.1", "a@void.example", false, nil},
		{upstream{"an IPv6 network that maps IPv4", "spfwatch.go", "pass", "fail"}, "192.0.2.1", "a@mapped.example", false, nil},
		{upstream{"an error of DNS that is not temporary", "spfwatch.go", "permerror", "temperror"}, "192.0.2.1", "a@down.example", false,
			texts{"down.example": {"PERMERROR"}}},
		{upstream{"an error inside another", "spfwatch.go", "permerror", "temperror"}, "192.0.2.1", "a@down.example", false,
			wrapping{texts{"down.example": {"TEMPERROR"}}}},
	} {
		last := func(run func(Resolver) string) string {
			if tt.res != nil {
				return run(tt.res)
			}
			r := resolver(t, zoneText)
			result := run(r)
			if !tt.asked {
				return result
			}
			name := ""
			for _, q := range r.Queries() {
				name = q.Name
			}
			return name
		}
		const helo = "asked.example"
		peer := netip.MustParseAddr(tt.ip)
		theirs := last(func(r Resolver) string {
			result, _ := spf.CheckHostWithSender(net.IP(peer.AsSlice()), helo, tt.sender, spf.WithContext(t.Context()), spf.WithResolver(r))
			return string(result)
		})
		ours := last(func(r Resolver) string {
			return string(spfOf(r, policy.Arrival{Peer: peer, HELO: helo, MailFrom: tt.sender}).Result)
		})
		tt.compare(t, theirs, ours)
	}
}

// TestUpstreamDMARC: go-msgauth/dmarc, which is not used.
func TestUpstreamDMARC(t *testing.T) {
	t.Parallel()
	const where = "dmarcrecord.go and dmarc.go"
	dns := texts{
		"_dmarc.case.example":    {"v=DMARC1; p=Reject"},
		"_dmarc.missing.example": {"v=DMARC1; rua=mailto:a@b.example"},
		"_dmarc.pct.example":     {"v=DMARC1; p=reject; pct=200"},
		"_dmarc.fo.example":      {"v=DMARC1; p=reject; fo=x"},
		"_dmarc.two.example":     {"v=DMARC1; p=reject", "v=DMARC1; p=none"},
	}
	for _, tt := range []struct {
		upstream
		domain string
	}{
		{upstream{"only the domain itself is looked at", where, "no policy", "reject"}, "sub.pct.example"},
		{upstream{"the case of p= counts", where, "error", "reject"}, "case.example"},
		{upstream{"a record without p= is none", where, "error", "none"}, "missing.example"},
		{upstream{"a wrong pct= spoils the record", where, "error", "reject"}, "pct.example"},
		{upstream{"a wrong fo= spoils the record", where, "error", "reject"}, "fo.example"},
		{upstream{"of two records the first counts", where, "reject", "no policy"}, "two.example"},
	} {
		record, err := dmarc.LookupWithOptions(tt.domain, &dmarc.LookupOptions{
			LookupTXT: func(name string) ([]string, error) { return dns.LookupTXT(t.Context(), name) },
		})
		theirs := "error"
		switch {
		case errors.Is(err, dmarc.ErrNoPolicy):
			theirs = "no policy"
		case err == nil:
			theirs = string(record.Policy)
		}
		d := discoverer{res: dns}
		ours := d.evaluate(t.Context(), tt.domain, policy.SPF{}, nil).Policy
		if ours == "" {
			ours = "no policy"
		}
		tt.compare(t, theirs, ours)
	}
	tags := upstream{"np=, psd= and t= are not told", where,
		"DKIMAlignment SPFAlignment FailureOptions Policy Percent ReportFormat ReportInterval ReportURIAggregate ReportURIFailure SubdomainPolicy", ""}
	tags.compare(t, structFields(dmarc.Record{}), "")
}

// TestUpstreamAuthres: go-msgauth/authres, which is not used.
func TestUpstreamAuthres(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		upstream
		field string
	}{
		{upstream{"a semicolon in a comment", "authresultsreader.go", "error", "dkim=pass"}, "mx.example; dkim=pass (2048-bit key; unprotected)"},
		{upstream{"a semicolon in a quoted string", "authresultsreader.go", "error", `dkim=fail "bad; sig"`}, `mx.example; dkim=fail reason="bad; sig"`},
		{upstream{"a space in a quoted string", "authresultsreader.go", `dkim=fail "\"bad"`, `dkim=fail "bad sig"`}, `mx.example; dkim=fail reason="bad sig"`},
		{upstream{"the instance of ARC", "authresultsreader.go", "error", "dkim=pass"}, "i=1; mx.example; dkim=pass"},
	} {
		theirs := "error"
		if _, list, err := authres.Parse(tt.field); err == nil {
			theirs = ""
			for _, r := range list {
				if d, ok := r.(*authres.DKIMResult); ok {
					theirs += strings.TrimSuffix("dkim="+string(d.Value)+fmt.Sprintf(" %q", d.Reason), ` ""`)
				}
			}
		}
		r, err := ParseAuthenticationResults(tt.field)
		if err != nil || len(r.Methods) != 1 {
			t.Fatalf("%s: %v, %+v", tt.field, err, r)
		}
		m := r.Methods[0]
		tt.compare(t, theirs, strings.TrimSuffix(m.Method+"="+string(m.Result)+fmt.Sprintf(" %q", m.Reason), ` ""`))
	}
	arc := upstream{"the clause of ARC has no name", "authresults.go", "mx.example; =pass", "mx.example; arc=pass"}
	arc.compare(t, strings.Join(strings.Fields(authres.Format("mx.example", []authres.Result{&authres.ARCResult{Value: authres.ResultPass}})), " "),
		"mx.example; "+strings.Join(arcClause(policy.ARC{Result: policy.AuthPass}), " "))
	tags := upstream{"header.s, header.b and comments cannot be written", "authresults.go", "Value Reason Domain Identifier", ""}
	tags.compare(t, structFields(authres.DKIMResult{}), "")
}
