package diagnosis_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/diagnosis"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/receiver/mailauth"
)

func TestAlignment(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		domain, org, author, authorOrg string
		strict, aligned                bool
		relation                       diagnosis.Relation
		summary                        string
	}{
		{"shop.example", "shop.example", "shop.example", "shop.example", true, true, diagnosis.RelationSame, "aligned: it is the domain of From"},
		{"m.shop.example", "shop.example", "shop.example", "shop.example", false, true, diagnosis.RelationOrg, "aligned, as it belongs to shop.example like the domain of From"},
		{"m.shop.example", "shop.example", "shop.example", "shop.example", true, false, diagnosis.RelationOrg, "not aligned: adkim=s asks for the very domain of From, which is shop.example"},
		{"mailer.example", "mailer.example", "shop.example", "shop.example", false, false, diagnosis.RelationOther, "not aligned: it belongs to mailer.example, and the domain of From to shop.example"},
		{"a", "", "b", "", false, false, diagnosis.RelationOther, "not aligned: a and b have nothing in common"},
		{"", "", "shop.example", "shop.example", false, false, diagnosis.RelationUnknown, "there are no two domains to compare"},
		{"shop.example", "shop.example", "", "", false, false, diagnosis.RelationUnknown, "there are no two domains to compare"},
	} {
		c := goodCase()
		a := &c.Evidence.Auth
		a.DKIM[0].Domain, a.DKIM[0].OrgDomain = tt.domain, tt.org
		a.DMARC.Domain, a.DMARC.OrgDomain, a.DMARC.StrictDKIM = tt.author, tt.authorOrg, tt.strict
		got := diagnosis.Diagnose(c).DKIM[0].Alignment
		if got.Aligned != tt.aligned || got.Relation != tt.relation || got.Summary != tt.summary || (got.Mode == "strict") != tt.strict {
			t.Errorf("%+v gives %+v", tt, got)
		}
	}
}

// TestAppliedPolicy holds that the tag is named from which the policy comes.
func TestAppliedPolicy(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		dmarc policy.DMARC
		want  string
	}{
		{policy.DMARC{Domain: "shop.example", PolicyDomain: "shop.example", Policy: "reject", Applied: "p"}, "p= of its own record"},
		{policy.DMARC{Domain: "m.shop.example", PolicyDomain: "shop.example", Policy: "none", Applied: "sp"}, "sp= of shop.example"},
		{policy.DMARC{Domain: "m.shop.example", PolicyDomain: "shop.example", Policy: "none", Applied: "p"}, "p= of shop.example, which has no sp="},
		{policy.DMARC{Domain: "x.shop.example", PolicyDomain: "shop.example", Policy: "none", Applied: "np", SubdomainPolicy: "none"}, "np= of shop.example, as the domain does not exist"},
		{policy.DMARC{Domain: "m.shop.example", PolicyDomain: "shop.example", Policy: "quarantine", Applied: "sp", Testing: true}, "sp= of shop.example; t=y lowers it by one step"},
		{policy.DMARC{Domain: "shop.example", PolicyDomain: "shop.example", Policy: "none", Problem: "sp= is invalid: treated as p=none"}, "treated as none: sp= is invalid"},
		{policy.DMARC{Domain: "shop.example"}, ""},
	} {
		c := goodCase()
		c.Evidence.Auth.DMARC = tt.dmarc
		if got := diagnosis.Diagnose(c).DMARC.Why; got != tt.want {
			t.Errorf("%+v: %s", tt.dmarc, got)
		}
	}
}

// TestSPFSummary holds what is said of SPF where the result alone says little.
func TestSPFSummary(t *testing.T) {
	t.Parallel()
	type q = diagnosis.Question
	for _, tt := range []struct {
		name   string
		change func(*diagnosis.Case)
		want   string
	}{
		{"a record that another one leads to", func(c *diagnosis.Case) {
			c.Evidence.Auth.SPF = policy.SPF{Result: policy.AuthFail, Domain: "shop.example", Record: "v=spf1 mx redirect=spf.esp.example", Mechanism: "all"}
		}, `shop.example forbids 192.0.2.10, by "all" in the record that redirect=spf.esp.example leads to`},
		{"its own record", func(c *diagnosis.Case) {
			c.Evidence.Auth.SPF = policy.SPF{Result: policy.AuthFail, Domain: "shop.example", Record: "v=spf1 redirect=spf.esp.example -all", Mechanism: "all"}
		}, `shop.example forbids 192.0.2.10, by "all"`},
		{"too many terms", func(c *diagnosis.Case) {
			c.Evidence.Auth.SPF = policy.SPF{Result: policy.AuthPermError, Domain: "many.example", Problem: "lookup limit reached"}
			c.Questions = []q{{Name: "many.example", Type: "TXT", Answer: `"v=spf1 a:x.example"`}, {Name: "x.example", Type: "A", Answer: "nxdomain"}}
		}, "the record has more than ten terms that ask the DNS (RFC 7208 4.6.4); it asked for many.example TXT, x.example A"},
		{"too many names without records", func(c *diagnosis.Case) {
			c.Evidence.Auth.SPF = policy.SPF{Result: policy.AuthPermError, Domain: "void.example", Record: "v=spf1 ptr a:x.example", Problem: "void lookup limit reached"}
			c.Questions = []q{{Name: "void.example", Type: "TXT", Answer: `"v=spf1 a:x.example"`}, {Name: "x.example", Type: "A", Answer: "nxdomain"}, {Name: "y.example", Type: "A", Answer: "192.0.2.1"}, {Name: "10.2.0.192.in-addr.arpa", Type: "PTR", Answer: "nxdomain"}}
		}, "the record has more than two terms whose names have no records (RFC 7208 4.6.4); it asked for x.example A, 10.2.0.192.in-addr.arpa PTR"},
		{"fetched", func(c *diagnosis.Case) {
			c.Evidence.Arrival = policy.Arrival{Channel: policy.ChannelPOP, Rcpt: "alice@gmail.test"}
			c.Evidence.Auth.SPF = policy.SPF{Result: policy.AuthNone, Identity: "helo", Problem: "the domain cannot be looked up"}
		}, "not evaluated: the mail was fetched"},
	} {
		c := goodCase()
		tt.change(&c)
		d := diagnosis.Diagnose(decided(c))
		if d.SPF.Summary != tt.want {
			t.Errorf("%s: %s", tt.name, d.SPF.Summary)
		}
		if text := d.Text(); c.Evidence.Arrival.Channel == policy.ChannelPOP && (strings.Contains(text, "identity") || strings.Contains(text, "RCPT TO  ")) {
			t.Errorf("%s has an envelope:\n%s", tt.name, text)
		}
	}
}

// TestSignaturesNotRead holds that what was not looked at is not judged.
func TestSignaturesNotRead(t *testing.T) {
	t.Parallel()
	c := goodCase()
	for range 24 {
		c.Evidence.Auth.DKIM = append(c.Evidence.Auth.DKIM, policy.DKIM{Result: policy.AuthPolicy, Reason: mailauth.ReasonTooMany, Domain: "esp.example"})
	}
	d := diagnosis.Diagnose(decided(c))
	if a := d.DKIM[1].Alignment; a.Relation != diagnosis.RelationUnknown || a.Summary != "not compared: the signature was not looked at" {
		t.Errorf("alignment = %+v", a)
	}
	if want := "25 signatures, 1 passing; 5 of them are not shown\n"; !strings.Contains(d.Text(), want) {
		t.Errorf("there is no %q in\n%s", want, d.Text())
	}
	c.Evidence.Header.Problems = []policy.Problem{{Code: message.TooManyFields, Text: "more than 10000 fields"}}
	if want := "5 of them are not shown; the header has more fields than were read\n"; !strings.Contains(diagnosis.Diagnose(decided(c)).Text(), want) {
		t.Errorf("there is no %q", want)
	}
	c.Evidence.Auth.DKIM = nil
	if want := "there is no DKIM signature in the fields that were read; the header has more of them\n"; !strings.Contains(diagnosis.Diagnose(decided(c)).Text(), want) {
		t.Errorf("there is no %q", want)
	}
}

// TestLongLabel holds that no label fills the page.
func TestLongLabel(t *testing.T) {
	t.Parallel()
	c := goodCase()
	c.Evidence.Markup.Actions[0].Name = strings.Repeat("x", 3000)
	if text := diagnosis.Diagnose(decided(c)).Text(); strings.Contains(text, strings.Repeat("x", 101)) {
		t.Errorf("the label is not cut:\n%s", text)
	}
}

// TestFound holds by what the organisational domain is said to be found.
func TestFound(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		dmarc policy.DMARC
		want  string
	}{
		{policy.DMARC{Result: policy.AuthPass, Discovery: "treewalk", PolicyDomain: "shop.example"}, "by the DNS tree walk of RFC 9989 4.10"},
		{policy.DMARC{Result: policy.AuthNone, Discovery: "treewalk"}, "by the public suffix list, as the DNS tree walk of RFC 9989 4.10 met no record that counts"},
		{policy.DMARC{Result: policy.AuthTempError, Discovery: "treewalk"}, "by the public suffix list, as the DNS tree walk of RFC 9989 4.10 failed"},
		{policy.DMARC{Result: policy.AuthNone, Discovery: "psl"}, "by the public suffix list"},
	} {
		c := goodCase()
		c.Evidence.Auth.DMARC = tt.dmarc
		if got := diagnosis.Diagnose(c).DMARC.Found; got != tt.want {
			t.Errorf("%+v: %s", tt.dmarc, got)
		}
	}
}

// TestQuestions holds which questions are said to matter, and for what.
func TestQuestions(t *testing.T) {
	t.Parallel()
	type q = diagnosis.Question
	for _, tt := range []struct {
		name   string
		q      diagnosis.Question
		change func(*policy.Evidence)
		want   []string // None is a question without consequence.
	}{
		{"an address of the other family", q{Name: "mail.shop.example", Type: "AAAA", Answer: "2001:db8::1"}, nil, nil},
		{"the peer's name", q{Name: "mail.shop.example", Type: "A", Answer: "192.0.2.10"}, nil, []string{"reverse DNS"}},
		{"an included record", q{Name: "_spf.shop.example", Type: "TXT", Answer: "nxdomain"}, nil, []string{"SPF record that another one names"}},
		{"a term of SPF", q{Name: "a.shop.example", Type: "A", Answer: "192.0.2.1"}, nil, []string{"SPF term"}},
		{"a term without an answer", q{Name: "a.shop.example", Type: "A", Answer: "nodata"}, nil, nil},
		{"one that breaks the record", q{Name: "a.shop.example", Type: "A", Answer: "nodata"}, func(e *policy.Evidence) { e.Auth.SPF.Result = policy.AuthPermError }, []string{"SPF term"}},
		{"a step of the walk", q{Name: "_dmarc.bounces.shop.example", Type: "TXT", Answer: "nxdomain"}, nil, nil},
		{"a step that found a record", q{Name: "_dmarc.bounces.shop.example", Type: "TXT", Answer: `"v=DMARC1; p=none"`}, nil, []string{"organisational domain"}},
		{"two records that do not count", q{Name: "_dmarc.bounces.shop.example", Type: "TXT", Answer: "\"v=DMARC1; p=none\"\n\"v=DMARC1; \" \"p=reject\""}, nil, []string{"DMARC record that does not count"}},
		{"a text that is to be a record", q{Name: "_dmarc.bounces.shop.example", Type: "TXT", Answer: `"v=DMARC1 p=none"`}, nil, []string{"DMARC record that does not count"}},
		{"a record in octets", q{Name: "_dmarc.bounces.shop.example", Type: "TXT", Answer: `"v=\068MARC1\; p=none" "; x=\""`}, nil, []string{"organisational domain"}},
		{"a text that is none", q{Name: "_dmarc.bounces.shop.example", Type: "TXT", Answer: `"v=spf1 -all"`}, nil, nil},
		{"a step that failed", q{Name: "_dmarc.example", Type: "TXT", Answer: "servfail"}, nil, []string{"DMARC"}},
		{"the policy that is not there", q{Name: "_dmarc.shop.example", Type: "TXT", Answer: "nxdomain"}, func(e *policy.Evidence) { e.Auth.DMARC.PolicyDomain = "" }, []string{"DMARC policy"}},
		{"the key of nobody", q{Name: "x._domainkey.shop.example", Type: "TXT", Answer: "nxdomain"}, nil, nil},
		{"a key of the chain", q{Name: "a._domainkey.list.example", Type: "TXT", Answer: "nxdomain"}, func(e *policy.Evidence) {
			e.Auth.ARC.Sets = []policy.ARCSet{{Domain: "list.example", Selector: "a"}}
		}, []string{"ARC key of list.example"}},
		{"the existence of the author domain", q{Name: "x.shop.example", Type: "MX", Answer: "nodata"}, func(e *policy.Evidence) {
			e.Auth.DMARC.Domain, e.Auth.DMARC.Record = "x.shop.example", "v=DMARC1; p=none; np=reject"
		}, []string{"whether the domain exists (np=)"}},
	} {
		c := goodCase()
		if tt.change != nil {
			tt.change(&c.Evidence)
		}
		c.Questions = append(c.Questions, tt.q)
		d := diagnosis.Diagnose(c).DNS
		i := slices.IndexFunc(d.Used, func(l diagnosis.Lookup) bool { return l.Question == tt.q })
		switch {
		case tt.want == nil && i >= 0:
			t.Errorf("%s: matters for %v", tt.name, d.Used[i].For)
		case tt.want != nil && (i < 0 || !slices.Equal(d.Used[i].For, tt.want)):
			t.Errorf("%s: used are %+v", tt.name, d.Used)
		}
	}
}
