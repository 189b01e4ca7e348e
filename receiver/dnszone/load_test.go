package dnszone

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func load(t testing.TB, text string) *Zone {
	t.Helper()
	z := New()
	for _, err := range z.Load("zone", text) {
		t.Error(err)
	}
	return z
}

func TestLoad(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("k", 600)
	z := load(t, `
; a comment
$TTL 1h
shop.example. 3600 IN TXT "v=spf1 " "ip4:192.0.2.10"" -all; not a comment" ; a comment
Shop.Example IN 300 MX 20 mx2.shop.example
shop.example MX 10 mx1.shop.example.
             A 192.0.2.10 ; the owner is the one before
             AAAA 2001:db8::1
key TXT "`+long+`"
escaped TXT "say \"hi\" \\ \065"
plain TXT v=spf1
$ORIGIN corp.example.
@ SOA ns hostmaster (
   1 2 3
   4 5 )
@ NS ns
www CNAME web.corp.example.
web A 192.0.2.20
10.2.0.192.in-addr.arpa. PTR mail
*.wild TXT any
`)
	r := NewResolver(z, Options{})
	ctx := context.Background()
	for name, want := range map[string]string{
		"SHOP.example.":          `["v=spf1 ip4:192.0.2.10 -all; not a comment"]`,
		"key":                    `["` + long + `"]`,
		"escaped":                `["say \"hi\" \\ A"]`,
		"plain":                  `["v=spf1"]`,
		"a.b.wild.corp.example.": `["any"]`,
	} {
		got, err := r.LookupTXT(ctx, name)
		if s := fmt.Sprintf("%q", got); err != nil || s != want {
			t.Errorf("TXT %s: got %s, %v; want %s", name, s, err, want)
		}
	}
	mx, err := r.LookupMX(ctx, "shop.example")
	if err != nil || len(mx) != 2 || mx[0].Host != "mx1.shop.example." || mx[1].Pref != 20 {
		t.Errorf("MX: got %v, %v", mx, err)
	}
	ips, err := r.LookupIPAddr(ctx, "shop.example")
	if err != nil || fmt.Sprint(ips) != "[{192.0.2.10 } {2001:db8::1 }]" {
		t.Errorf("addresses: got %v, %v", ips, err)
	}
	ips, err = r.LookupIPAddr(ctx, "www.corp.example")
	if err != nil || fmt.Sprint(ips) != "[{192.0.2.20 }]" {
		t.Errorf("alias: got %v, %v", ips, err)
	}
	names, err := r.LookupAddr(ctx, "192.0.2.10")
	if err != nil || !slices.Equal(names, []string{"mail.corp.example."}) {
		t.Errorf("PTR: got %v, %v", names, err)
	}
}

func TestLoadErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		{"a.example A 300.1.1.1", `z:1:13: bad A record at "300.1.1.1"`},
		{"a.example A", "z:1:11: the A record has no data"},
		{"a.example A 192.0.2.1 192.0.2.2", `z:1:23: bad A record at "192.0.2.2"`},
		{"a.example AAAA 192.0.2.1", `z:1:16: bad AAAA record at "192.0.2.1"`},
		{"a.example MX mx.a.example", `z:1:14: bad MX record at "mx.a.example"`},
		{"\n a A 192.0.2.1", "z:2:2: the line starts with white space, and no owner name comes before it"},
		{"a TXTT hello", `z:1:3: unknown record type "TXTT"; did you mean TXT?`},
		{"a SRV 1 2 3 b", `z:1:3: unknown record type "SRV"`},
		{"a SPF v=spf1", "z:1:3: nobody looks up type SPF since RFC 7208 3.1; did you mean TXT?"},
		{"a CH TXT b", "z:1:3: class CH is not served, only IN"},
		{"a", "z:1:1: a record type is missing, one of A, AAAA, TXT, MX, CNAME, PTR, NS, SOA, FAULT"},
		{"a..b A 192.0.2.1", `z:1:1: not a domain name: "a..b"`},
		{strings.Repeat("x", 64) + " A 192.0.2.1", `z:1:1: not a domain name: "` + strings.Repeat("x", 64) + `"`},
		{`a\.b A 192.0.2.1`, `z:1:1: not a domain name: "a\\.b"`},
		{"a TXT \"open\nb A 192.0.2.1", "z:1:7: the string is not closed on its line"},
		{"a TXT (x\nb A 192.0.2.1", "z:1:7: the parenthesis is not closed"},
		{"a TXT x)", "z:1:8: no parenthesis is open here"},
		{"$INCLUDE /etc/passwd", "z:1:1: $INCLUDE is not allowed here"},
		{"$GENERATE 1-9 a A 192.0.2.$", "z:1:1: $GENERATE is not allowed here"},
		{"$ORIGN a.", `z:1:1: unknown directive "$ORIGN"; did you mean $ORIGIN?`},
		{"$TTL soon", `z:1:6: not a TTL: "soon"`},
		{"a FAULT", "z:1:3: FAULT needs one of servfail, timeout, slow"},
		{"a FAULT servfial", `z:1:9: unknown fault "servfial"; did you mean servfail?`},
		{"a FAULT slow", "z:1:9: fault slow needs a duration such as 3s"},
		{"a FAULT slow soon", `z:1:14: fault slow needs a duration such as 3s, not "soon"`},
		{"a FAULT timeout TX", `z:1:17: a fault holds for A, AAAA, TXT, MX, PTR or for all, not for "TX"; did you mean TXT?`},
		{"a FAULT timeout TXT MX", `z:1:21: "MX" is too much here`},
		{"a FAULT timeout\na FAULT servfail", "z:2:3: the name has a fault for the same type already"},
		{"a CNAME b\na A 192.0.2.1", "z:2:3: a. cannot have a CNAME and other records"},
		{"a CNAME b\na CNAME c", "z:2:3: a. has a CNAME already, to b."},
	} {
		z := New()
		errs := z.Load("z", tt.text)
		if len(errs) == 0 || errs[0].Error() != tt.want {
			t.Errorf("%q:\n got %v\nwant %s", tt.text, errs, tt.want)
		}
		if len(z.nodes) != 0 {
			t.Errorf("%q: something was loaded", tt.text)
		}
	}
}

func TestLoadLimits(t *testing.T) {
	t.Parallel()
	if errs := New().Load("z", strings.Repeat("a B c\n", 500)); len(errs) != maxErrors {
		t.Errorf("got %d errors", len(errs))
	}
	if errs := New().Load("z", strings.Repeat(" ", maxText+1)); len(errs) != 1 {
		t.Errorf("got %v", errs)
	}
	var many strings.Builder
	for i := range maxSet + 1 {
		fmt.Fprintf(&many, "a TXT %d\n", i)
	}
	if errs := New().Load("z", many.String()); len(errs) != 1 || errs[0].Line != maxSet+1 {
		t.Errorf("got %v", errs)
	}
}

func TestLoadTwice(t *testing.T) {
	t.Parallel()
	const text = "a.example TXT one\na.example FAULT slow 1s\n"
	z := load(t, text)
	if errs := z.Load("again", text); errs != nil {
		t.Fatal(errs)
	}
	if errs := z.Load("alias", "a.example CNAME b"); len(errs) != 1 {
		t.Errorf("a CNAME beside an earlier TXT: got %v", errs)
	}
	got, err := NewResolver(z, Options{}).LookupTXT(context.Background(), "a.example")
	if err != nil || len(got) != 1 {
		t.Errorf("a record set is a set: got %q, %v", got, err)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("shop.example. 300 IN TXT \"a\" ( b\n \"c\" ) ; d\n  MX 10 mx\n")
	f.Add("a FAULT slow 3s TXT\n$ORIGIN b.\n@ A 192.0.2.1\n* CNAME @\n")
	f.Add("a TXT \"\\\"\\065\\\\\"\n$TTL 1h30m\nb SOA a b 1 2 3 4 5")
	f.Fuzz(func(t *testing.T, text string) {
		z, again := New(), New()
		errs, errs2 := z.Load("z", text), again.Load("z", text)
		if len(errs) != len(errs2) {
			t.Fatalf("not deterministic: %v, %v", errs, errs2)
		}
		lines := strings.Split(text, "\n")
		for i, e := range errs {
			if e.Line < 1 || e.Line > len(lines) || e.Col < 1 || e.Col > len(lines[e.Line-1])+1 {
				t.Errorf("%v is not in the text", e)
			}
			if *e != *errs2[i] {
				t.Errorf("not deterministic: %v, %v", e, errs2[i])
			}
		}
		if len(errs) > 0 && len(z.nodes) > 0 {
			t.Error("loaded in spite of errors")
		}
		// What was loaded can be written and loaded again.
		for key, n := range z.nodes {
			for typ, set := range n.sets {
				for _, line := range strings.Split(set.text, "\n") {
					if e := New().Load("out", key+". "+typ+" "+line); e != nil {
						t.Errorf("%s. %s %s: %v", key, typ, line, e)
					}
				}
			}
		}
	})
}

func FuzzTXT(f *testing.F) {
	f.Add("v=DKIM1; p=\"\\\x00\xff")
	f.Fuzz(func(t *testing.T, text string) {
		z := New()
		if err := z.AddTXT("a", text); err != nil {
			t.Fatal(err)
		}
		r := NewResolver(z, Options{})
		if _, err := r.LookupTXT(context.Background(), "a"); err != nil {
			t.Fatal(err)
		}
		q := r.Queries()[0]
		r = NewResolver(load(t, q.Name+" "+q.Type+" "+q.Answer), Options{})
		if got, err := r.LookupTXT(context.Background(), "a"); err != nil || got[0] != text {
			t.Fatalf("got %q, %v; want %q", got, err, text)
		}
	})
}

func BenchmarkLookupTXT(b *testing.B) {
	z := New()
	if err := z.AddTXT("_dmarc.shop.example", "v=DMARC1; p=reject"); err != nil {
		b.Fatal(err)
	}
	r := NewResolver(z, Options{Timeout: time.Second})
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.LookupTXT(ctx, "_dmarc.shop.example"); err != nil {
			b.Fatal(err)
		}
	}
}
