package mailauth

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
)

func TestAuthor(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"From: a@Shop.Example":                         "shop.example",
		"From: a@shop.example, b@shop.example":         "shop.example",
		"From: a@bücher.example":                       "xn--bcher-kva.example",
		"From: \"a@evil.example\" <b@shop.example>":    "shop.example",
		"To: a@b.example":                              "! there is no From address",
		"From: a@shop.example\r\nFrom: a@shop.example": "! there are 2 From fields",
		"From: a@one.example, b@two.example":           "! From has several domains",
		"From: nobody":                                 "! From",
		"From: a@localhost":                            "! From has an address without a usable domain",
		"From: a@[192.0.2.1]":                          "! From has an address without a usable domain",
	} {
		domain, problem := authorDomain(message.Parse([]byte(header + "\r\n\r\n")))
		if problem != "" {
			domain = "! " + problem
		}
		if domain != want && (!strings.HasPrefix(want, "!") || !strings.HasPrefix(domain, want)) {
			t.Errorf("%q: got %q, want %q", header, domain, want)
		}
	}
}

func TestOrgDomain(t *testing.T) {
	t.Parallel()
	r := resolver(t, `
_dmarc.bar.com TXT "v=DMARC1; p=none"
_dmarc.own.bar.com TXT "v=DMARC1; p=none; psd=n"
_dmarc.bank.example TXT "v=DMARC1; p=reject; psd=y"
_dmarc.a.only.example TXT "v=DMARC1; p=none"
_dmarc.3.4.5.6.7.deep.example TXT "v=DMARC1; p=none; psd=y"
_dmarc.down.example FAULT servfail
`)
	for _, tt := range []struct{ domain, tree, list string }{
		{"bar.com", "bar.com", "bar.com"},
		{"a.b.bar.com", "bar.com", "bar.com"},
		{"x.own.bar.com", "own.bar.com", "bar.com"},
		{"bank.example", "bank.example", "bank.example"},
		{"x.giant.bank.example", "giant.bank.example", "bank.example"},
		{"b.only.example", "only.example", "only.example"}, // No record: the list.
		{"x.a.only.example", "a.only.example", "only.example"},
		{"0.1.2.3.4.5.6.7.deep.example", "2.3.4.5.6.7.deep.example", "deep.example"},
		{"a.b.none.co.uk", "none.co.uk", "none.co.uk"},
		{"co.uk", "co.uk", ""},
		{"me.github.io", "me.github.io", "me.github.io"},
		{"x.down.example", "down.example", "down.example"}, // A guess, with an error.
	} {
		for mode, want := range map[Discovery]string{TreeWalk: tt.tree, PublicSuffix: tt.list} {
			d := discoverer{res: r, mode: mode}
			if got := d.orgDomain(context.Background(), tt.domain); got.domain != want || (got.err != nil) != (mode == TreeWalk && tt.domain == "x.down.example") {
				t.Errorf("%s by %s: got %q, %v, want %q", tt.domain, mode, got.domain, got.err, want)
			}
		}
	}
}

// TestWalkQueries holds the names of RFC 9989 4.10's own example.
func TestWalkQueries(t *testing.T) {
	t.Parallel()
	r := resolver(t, "")
	d := discoverer{res: r}
	d.orgDomain(context.Background(), "a.b.c.d.e.f.g.h.i.j.mail.example.com")
	d.orgDomain(context.Background(), "mail.example.com") // Asks for nothing new.
	var got []string
	for _, q := range r.Queries() {
		got = append(got, q.Name)
	}
	want := []string{"_dmarc.a.b.c.d.e.f.g.h.i.j.mail.example.com", "_dmarc.g.h.i.j.mail.example.com", "_dmarc.h.i.j.mail.example.com",
		"_dmarc.i.j.mail.example.com", "_dmarc.j.mail.example.com", "_dmarc.mail.example.com", "_dmarc.example.com", "_dmarc.com"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestEvaluate(t *testing.T) {
	t.Parallel()
	const zoneText = `
_dmarc.shop.example TXT "v=DMARC1; p=reject; sp=quarantine; np=none; t=y"
mail.shop.example A 192.0.2.1
_dmarc.np.example TXT "v=DMARC1; p=none; sp=quarantine; np=reject"
below.deep.np.example A 192.0.2.1
other.np.example PTR mail.shop.example
_dmarc.strict.example TXT "v=DMARC1; p=reject; adkim=s; aspf=s"
_dmarc.rua.example TXT "v=DMARC1; rua=mailto:r@rua.example"
_dmarc.silent.example TXT "v=DMARC1"
_dmarc.twice.example TXT "v=DMARC1; p=reject; p=none"
_dmarc.two.example TXT "v=DMARC1; p=reject"
_dmarc.two.example TXT "v=DMARC1; p=none"
_dmarc.down.example FAULT servfail
_dmarc.dnsnp.example TXT "v=DMARC1; p=reject; np=none"
a.dnsnp.example FAULT servfail
`
	pass := func(domain string) policy.DKIM { return policy.DKIM{Result: policy.AuthPass, Domain: domain} }
	for _, tt := range []struct {
		name, author string
		spf          policy.SPF
		dkim         policy.DKIM
		want         string // Result, policy domain, policy.
	}{
		{"none", "nowhere.example", policy.SPF{}, pass("nowhere.example"), "none  "},
		{"dkim", "shop.example", policy.SPF{}, pass("mail.shop.example"), "pass shop.example quarantine"},
		{"subdomain", "mail.shop.example", policy.SPF{}, pass("shop.example"), "pass shop.example none"},
		{"unaligned", "shop.example", policy.SPF{}, pass("esp.example"), "fail shop.example quarantine"},
		{"no such subdomain", "gone.shop.example", policy.SPF{}, policy.DKIM{}, "fail shop.example none"},
		{"nothing but a name below", "deep.np.example", policy.SPF{}, policy.DKIM{}, "fail np.example quarantine"},
		{"a record of another type", "other.np.example", policy.SPF{}, policy.DKIM{}, "fail np.example quarantine"},
		{"no such name below one", "x.other.np.example", policy.SPF{}, policy.DKIM{}, "fail np.example reject"},
		{"helo counts", "shop.example", policy.SPF{Result: policy.AuthPass, Identity: "helo", Domain: "mx.shop.example"}, policy.DKIM{}, "pass shop.example quarantine"},
		{"strict", "strict.example", policy.SPF{Result: policy.AuthPass, Domain: "a.strict.example"}, pass("a.strict.example"), "fail strict.example reject"},
		{"strict and same", "strict.example", policy.SPF{Result: policy.AuthPass, Domain: "strict.example"}, policy.DKIM{}, "pass strict.example reject"},
		{"rua alone", "rua.example", policy.SPF{}, policy.DKIM{}, "fail rua.example none"},
		{"no p and no rua", "silent.example", policy.SPF{}, pass("silent.example"), "none silent.example "},
		{"p twice", "twice.example", policy.SPF{}, pass("twice.example"), "none twice.example "},
		{"two records", "two.example", policy.SPF{}, pass("two.example"), "none  "},
		{"dns", "down.example", policy.SPF{}, pass("down.example"), "temperror  "},
		{"dns above", "a.down.example", policy.SPF{}, pass("a.down.example"), "temperror  "},
		{"dns of the other", "shop.example", policy.SPF{}, pass("down.example"), "temperror shop.example quarantine"},
		{"dns of the key", "shop.example", policy.SPF{}, policy.DKIM{Result: policy.AuthTempError, Reason: ReasonDNS, Domain: "shop.example"}, "temperror shop.example quarantine"},
		{"dns of another's key", "shop.example", policy.SPF{}, policy.DKIM{Result: policy.AuthTempError, Reason: ReasonDNS, Domain: "esp.example"}, "fail shop.example quarantine"},
		{"dns of SPF, dkim passes", "shop.example", policy.SPF{Result: policy.AuthTempError, Domain: "shop.example"}, pass("shop.example"), "pass shop.example quarantine"},
		{"dns of np", "a.dnsnp.example", policy.SPF{}, policy.DKIM{}, "temperror dnsnp.example "},
	} {
		d := discoverer{res: resolver(t, zoneText)}
		r := d.evaluate(context.Background(), tt.author, tt.spf, []policy.DKIM{tt.dkim})
		if got := string(r.Result) + " " + r.PolicyDomain + " " + r.Policy; got != tt.want {
			t.Errorf("%s: got %q (%s), want %q", tt.name, got, r.Problem, tt.want)
		}
		if r.Result == policy.AuthPass && r.Problem != "" || r.OrgDomain == "" || r.Discovery != "treewalk" {
			t.Errorf("%s: %+v", tt.name, r)
		}
	}
}

// TestProblemOfRecord holds whose record a problem is about, and which tag: also
// of a record that does not count and another one is taken for.
func TestProblemOfRecord(t *testing.T) {
	t.Parallel()
	r := resolver(t, `
_dmarc.shop.example TXT "v=DMARC1; p=reject"
_dmarc.tag.shop.example TXT "v=DMARC1; p=reject; adkim=x"
_dmarc.two.shop.example TXT "v=DMARC1; p=none"
_dmarc.two.shop.example TXT "v=DMARC1; p=reject"
_dmarc.no.shop.example TXT "v=DMARC1 p=none"
_dmarc.v2.shop.example TXT "V = dmarc2; p=none"
_dmarc.beside.shop.example TXT "v=DMARC1 p=none"
_dmarc.beside.shop.example TXT "v=DMARC1; p=none"
_dmarc.alone.example TXT "v=dmarc1; p=none"
_dmarc.twice.example TXT "v=DMARC1; p=none; T=y; t=y"
_dmarc.words.example TXT "v=DMARC1; p=none; x y"
_dmarc.other.shop.example TXT "v=spf1 -all"
`)
	for author, want := range map[string]string{
		"shop.example":        "shop.example,,,",
		"tag.shop.example":    "tag.shop.example,tag.shop.example,adkim,adkim= is invalid",
		"two.shop.example":    "shop.example,two.shop.example,,2 DMARC records at _dmarc.two.shop.example: none counts",
		"no.shop.example":     "shop.example,no.shop.example,,the text at _dmarc.no.shop.example is no DMARC record, as v=DMARC1 and a semicolon do not begin it",
		"v2.shop.example":     "shop.example,v2.shop.example,,the text at _dmarc.v2.shop.example is no DMARC record, as v=DMARC1 and a semicolon do not begin it",
		"beside.shop.example": "beside.shop.example,,,",
		"alone.example":       ",alone.example,,the text at _dmarc.alone.example is no DMARC record, as v=DMARC1 and a semicolon do not begin it",
		"twice.example":       "twice.example,twice.example,t,tag t= stands twice",
		"words.example":       "words.example,words.example,,\"x y\" is no tag",
		"other.shop.example":  "shop.example,,,",
	} {
		d := discoverer{res: r}
		got := d.evaluate(context.Background(), author, policy.SPF{}, nil)
		if text := strings.Join([]string{got.PolicyDomain, got.ProblemDomain, got.BadTag, got.Problem}, ","); text != want {
			t.Errorf("%s: got %q, want %q", author, text, want)
		}
	}
}

// TestAppliedTag holds which tag of a record the policy is said to come from.
func TestAppliedTag(t *testing.T) {
	t.Parallel()
	r := resolver(t, `
_dmarc.all.example TXT "v=DMARC1; p=reject; sp=quarantine; np=none"
_dmarc.same.example TXT "v=DMARC1; p=none; sp=none; np=none; t=y"
_dmarc.p.example TXT "v=DMARC1; p=reject"
_dmarc.broken.example TXT "v=DMARC1; p=reject; sp=bogus; rua=mailto:r@broken.example"
_dmarc.silent.example TXT "v=DMARC1; p=reject; sp=bogus"
mail.all.example A 192.0.2.1
mail.same.example A 192.0.2.1
mail.p.example A 192.0.2.1
`)
	for author, want := range map[string]string{
		"all.example": "reject p", "mail.all.example": "quarantine sp", "gone.all.example": "none np",
		"same.example": "none p", "mail.same.example": "none sp", "gone.same.example": "none np",
		"p.example": "reject p", "mail.p.example": "reject p", "gone.p.example": "reject p",
		"broken.example": "none ", "mail.broken.example": "none ", "silent.example": " ", "nowhere.example": " ",
	} {
		d := discoverer{res: r}
		got := d.evaluate(context.Background(), author, policy.SPF{}, nil)
		if text := got.Policy + " " + got.Applied; text != want {
			t.Errorf("%s: got %q, want %q", author, text, want)
		}
	}
}

// TestExists asks a resolver that does not tell a name that does not exist from
// one without such records.
func TestExists(t *testing.T) {
	t.Parallel()
	d := discoverer{res: texts{"text.example": {"x"}, "down.example": {"TEMPERROR"}}}
	for name, want := range map[string]string{"text.example": "true", "none.example": "false", "down.example": "true error"} {
		exists, err := d.exists(context.Background(), name)
		got := strconv.FormatBool(exists)
		if err != nil {
			got += " error"
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

// TestStandards evaluates the same by both editions of DMARC.
func TestStandards(t *testing.T) {
	t.Parallel()
	r := resolver(t, `
_dmarc.new.example TXT "v=DMARC1; p=reject; np=none; t=y; pct=20"
_dmarc.order.example TXT "v=DMARC1; sp=none; p=reject"
_dmarc.ruaorder.example TXT "v=DMARC1; sp=none; p=reject; rua=mailto:a@b.example"
_dmarc.bank.example TXT "v=DMARC1; p=reject; psd=y"
_dmarc.pct.example TXT "v=DMARC1; p=quarantine; pct=110"
_dmarc.sub.two.example TXT "v=DMARC1; p=none"
_dmarc.sub.two.example TXT "v=DMARC1; p=quarantine"
_dmarc.two.example TXT "v=DMARC1; p=reject"
_dmarc.badnp.example TXT "v=DMARC1; p=reject; np=bogus"
_dmarc.me.github.io TXT "v=DMARC1; p=reject"
_dmarc.github.io TXT "v=DMARC1; p=none"
`)
	for _, tt := range []struct{ author, now, older string }{
		// Result, policy domain, policy, pct; then the organisational domain.
		{"new.example", "fail new.example quarantine  new.example", "fail new.example reject 20 new.example"},
		{"gone.new.example", "fail new.example none  new.example", "fail new.example reject 20 new.example"},
		{"order.example", "fail order.example reject  order.example", "none order.example   order.example"},
		{"ruaorder.example", "fail ruaorder.example reject  ruaorder.example", "fail ruaorder.example none  ruaorder.example"},
		{"a.shop.bank.example", "fail bank.example reject  shop.bank.example", "fail bank.example reject  bank.example"},
		{"pct.example", "fail pct.example quarantine  pct.example", "fail pct.example quarantine  pct.example"},
		{"sub.two.example", "fail two.example reject  two.example", "none    two.example"},
		{"badnp.example", "none badnp.example   badnp.example", "fail badnp.example reject  badnp.example"},
		{"x.me.github.io", "fail github.io none  github.io", "fail me.github.io reject  me.github.io"},
	} {
		for standard, want := range map[Standard]string{RFC9989: tt.now, RFC7489: tt.older} {
			d := discoverer{res: r, standard: standard, mode: "standard"}
			got := d.evaluate(context.Background(), tt.author, policy.SPF{}, nil)
			if text := strings.Join([]string{string(got.Result), got.PolicyDomain, got.Policy, got.Percent, got.OrgDomain}, " "); text != want || got.Standard != string(standard) {
				t.Errorf("%s by %s: got %q (%s), want %q", tt.author, got.Standard, text, got.Problem, want)
			}
		}
	}
	// Discovery can be chosen apart from the edition.
	for mode, want := range map[Discovery]string{TreeWalk: "github.io", PublicSuffix: "me.github.io"} {
		for _, standard := range []Standard{RFC9989, RFC7489} {
			d := discoverer{res: r, standard: standard, mode: mode}
			if got := d.evaluate(context.Background(), "x.me.github.io", policy.SPF{}, nil); got.OrgDomain != want || got.Discovery != string(mode) {
				t.Errorf("%s, %s: %+v", standard, mode, got)
			}
		}
	}
}

func TestParseDMARC(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"v=DMARC1; p=quarantine; psd=Y":               "",
		"v=DMARC1; p=none; x y; unknown=1":            `"x y" is no tag`,
		"v=DMARC1; p=none; adkim=x":                   "adkim= is invalid",
		"v=DMARC1; p=none; t=y; t=y":                  "tag t= stands twice",
		"v=DMARC1; p=bad; rua=mailto:a@b.example!10m": "p= is invalid: treated as p=none",
		"v=DMARC1; p=bad; rua=bogus":                  "p= is invalid, and there is no rua=: no policy",
		"v=DMARC1; rua=mailto:a@b.example":            "p= is missing: treated as p=none",
		"v=DMARC1; p=none; SP=bad; np=bad":            "sp= is invalid, and there is no rua=: no policy",
		"v=DMARC1; p=none; np=bad":                    "np= is invalid, and there is no rua=: no policy",
		"v=DMARC1; p=none; p=none":                    "tag p= stands twice",
	} {
		if r, ok := parseDMARC(text, RFC9989); !ok || r.problem != want {
			t.Errorf("%q: got %q", text, r.problem)
		}
	}
	for _, text := range []string{"", "v=spf1", "p=none; v=DMARC1", "v=DMARC12; p=none", "v=dmarc1; p=none", strings.Repeat("x", maxDMARCRecord+1)} {
		if _, ok := parseDMARC(text, RFC9989); ok {
			t.Errorf("%q is a record", clip(text))
		}
	}
}
