package mailauth

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/receiver/dnszone"
)

func FuzzSignature(f *testing.F) {
	f.Add(" v=1; a=rsa-sha256; c=relaxed/simple; d=shop.example; s=s1; t=1; x=2; l=3; i=a=40@shop.example;\r\n\th=From:To; bh=AA==;\r\n\tb=AAAA\r\n")
	f.Add("v=1;;b=\t;v=1")
	f.Fuzz(func(t *testing.T, value string) {
		field := message.Field{Name: "DKIM-Signature", Value: value, Raw: []byte("DKIM-Signature:" + value)}
		s, why := parseSignature(field)
		if why != nil {
			if why.result == policy.AuthPass || why.reason == "" || why.text == "" {
				t.Errorf("%+v", why)
			}
			return
		}
		r := s.result
		if !isDomain(r.Domain) || r.Selector == "" || r.Algorithm == "" || len(r.Headers) == 0 || len(s.signed) == 0 || !strings.Contains(r.AUID, "@") {
			t.Errorf("%+v", s)
		}
		if strings.Trim(value[:s.start], "b= \t\r\n;") == "" || s.end < s.start || s.end > len(value) || value[s.start-1] != '=' {
			t.Errorf("b= is not at %d..%d of %q", s.start, s.end, value)
		}
		// What b= has does not matter for what is signed.
		other := value[:s.start] + "BBBB" + value[s.end:]
		o, why := parseSignature(message.Field{Name: "DKIM-Signature", Value: other, Raw: []byte("DKIM-Signature:" + other)})
		if why != nil || !bytes.Equal(s.headerHash(newCanonHash(), nil), o.headerHash(newCanonHash(), nil)) {
			t.Errorf("%q and %q: %v", value, other, why)
		}
	})
}

func FuzzKey(f *testing.F) {
	f.Add(testKeyRecord + "; t=y:s; h=sha256; s=email")
	f.Add("v=DKIM1; p=")
	f.Fuzz(func(t *testing.T, record string) {
		k := parseKey(record)
		if (k.problem == "") != (k.reason == "") {
			t.Errorf("%+v", k)
		}
		if k.problem == "" && (k.kind == "rsa" || k.kind == "ed25519") != (k.public != nil && k.bits > 0) {
			t.Errorf("%+v", k)
		}
	})
}

func FuzzDMARCRecord(f *testing.F) {
	f.Add("v=DMARC1; p=reject; sp=none; np=quarantine; t=y; psd=n; adkim=s; aspf=s; rua=mailto:a@b.example", false)
	f.Add("v=DMARC1; p=reject; pct=007; rua=mailto:a@b.example!10m", true)
	f.Fuzz(func(t *testing.T, text string, older bool) {
		standard := RFC9989
		if older {
			standard = RFC7489
		}
		r, ok := parseDMARC(text, standard)
		if !ok {
			return
		}
		for _, own := range []bool{true, false} {
			for _, exists := range []bool{true, false} {
				switch p, _ := r.policyFor(own, exists); p {
				case "none", "quarantine":
				case "reject":
					if r.testing {
						t.Errorf("t=y does not lower: %+v", r)
					}
				default:
					t.Errorf("policy %q: %+v", p, r)
				}
			}
		}
		if !r.usable && (r.problem == "" || r.p != "none") || !strings.Contains("yun", r.psd) {
			t.Errorf("%+v", r)
		}
		if older && (r.testing || r.np != "" || r.psd != "u") || !older && r.percent != "" {
			t.Errorf("a tag of the other edition: %+v", r)
		}
	})
}

func FuzzSPFRecord(f *testing.F) {
	f.Add(" a:%{d}/24//64 mx ptr:a.b ip4:192.0.2.1/24 ip6:::/0 exists:%{ir}.x.y include:a.b redirect=a.b exp=a.b x=y ~all", "a", false)
	f.Add("-exists:%{p}.%{L2r+-}.%{H}%%%_%-.a/b.c exp=shop.example mx/0//0 all", "a@b+c", true)
	f.Add("exp=%{s}.%{o99999999999999999999}.%{v}.why.example -all", "\r\n", true)
	f.Add("%{c} %{r} %{t} is %{P} and %{S}", "x", false)
	f.Fuzz(func(t *testing.T, terms, local string, six bool) {
		record := "v=spf1 " + terms
		problem := problemOf(record)
		z := dnszone.New()
		// An explanation may be anything, the terms too.
		for name, text := range map[string]string{"shop.example": record, "*.why.example": terms} {
			if err := z.AddTXT(name, text); err != nil {
				t.Fatal(err)
			}
		}
		a := policy.Arrival{Peer: netip.MustParseAddr("192.0.2.1"), HELO: "h.example", MailFrom: local + "@shop.example"}
		if six {
			a.Peer = netip.MustParseAddr("2001:db8::1")
		}
		r := spfOf(dnszone.NewResolver(z, dnszone.Options{}), a)
		// A mistake is a permerror, whatever stands before it.
		if problem != "" && (r.Result != policy.AuthPermError || !strings.Contains(r.Problem, problem)) {
			t.Errorf("%q: %s (%s), want %s", record, r.Result, r.Problem, problem)
		}
		if r.Result == policy.AuthPermError && r.Problem == "" || r.Record != record {
			t.Errorf("%+v", r)
		}
		if !strings.Contains(strings.ToLower(record), strings.ToLower(r.Mechanism)) {
			t.Errorf("%q does not have %q", record, r.Mechanism)
		}
		checkExplanation(t, r.Explanation)
		m := spfMacros{local: local, origin: "shop.example", helo: local, peer: a.Peer, now: at(0), names: func(context.Context) []string { return nil }}
		if text, ok := m.explanation(t.Context(), terms, "shop.example"); ok {
			checkExplanation(t, text)
		}
		if _, problem := lintMacros(terms, false); problem == "" {
			if name := m.domain(t.Context(), terms, "shop.example"); len(name) > maxDomain {
				t.Errorf("%q makes a name of %d octets", terms, len(name))
			}
		}
	})
}

// checkExplanation holds that a text can stand in a reply.
func checkExplanation(t *testing.T, text string) {
	t.Helper()
	if len(text) > maxExplanation || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Errorf("an explanation that cannot be given: %q", text)
	}
}

func FuzzAuthenticate(f *testing.F) {
	f.Add([]byte(signTest(f, plain, SignOptions{})), "mail.shop.example", "bounce@shop.example")
	f.Add([]byte("From: a@b.example, c@d.example\n\n"), "", "")
	f.Add([]byte("\n"), "[1.2.3.4]", "\"a@b\"@shop.example")
	z := zone(f, shopZone+"s1._domainkey.shop.example TXT \""+testKeyRecord+"\"\n")
	f.Fuzz(func(t *testing.T, raw []byte, helo, from string) {
		v := Verifier{Resolver: dnszone.NewResolver(z, dnszone.Options{}), Now: at(0), Profile: RFC}
		a := policy.Arrival{Peer: netip.MustParseAddr("192.0.2.10"), HELO: helo, MailFrom: from}
		m := message.Parse(raw)
		got, again := v.Authenticate(context.Background(), a, m), v.Authenticate(context.Background(), a, m)
		if fmt.Sprint(got) != fmt.Sprint(again) {
			t.Errorf("not the same twice: %+v, %+v", got, again)
		}
		if n := len(m.All("DKIM-Signature")); n != len(got.DKIM) {
			t.Errorf("%d of %d signatures", len(got.DKIM), n)
		}
		passed := got.SPF.Result == policy.AuthPass
		for _, s := range got.DKIM {
			passed = passed || s.Result == policy.AuthPass
			if (s.Result == policy.AuthPass) != (s.Reason == "") {
				t.Errorf("%+v", s)
			}
		}
		if got.DMARC.Result == policy.AuthPass && !passed {
			t.Errorf("DMARC passes alone: %+v", got)
		}
	})
}
