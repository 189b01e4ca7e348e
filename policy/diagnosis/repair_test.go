package diagnosis_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/diagnosis"
	"github.com/doppelbox/doppelbox/receiver/mailauth"
)

// TestEveryReasonHasARepair holds that no failure is left out, today's or
// tomorrow's: each has something wrong and something to do.
func TestEveryReasonHasARepair(t *testing.T) {
	t.Parallel()
	for _, c := range []diagnosis.Case{goodCase(), refusedCase(), hostileCase(), {}} {
		for _, check := range policy.Checks() {
			for _, reason := range check.Reasons {
				r := diagnosis.RepairOf(c, policy.Finding{Check: check.ID, Result: policy.Fail, Reason: reason})
				if r.Wrong == "" || len(r.Steps) == 0 || r.Steps[0].Do == "" || len(r.Causes) != 1 {
					t.Errorf("%s, %s: %+v", check.ID, reason, r)
				}
			}
		}
	}
	r := diagnosis.RepairOf(goodCase(), policy.Finding{Check: "of-tomorrow", Reason: "unheard-of", Detail: "something is wrong"})
	if r.Wrong != "something is wrong" || r.Steps[0].Do == "" {
		t.Errorf("an unknown check gives %+v", r)
	}
}

// TestRemediesAreOfChecks holds that the table names checks and reasons that
// there are.
func TestRemediesAreOfChecks(t *testing.T) {
	t.Parallel()
	for _, cause := range diagnosis.Remedied() {
		i := slices.IndexFunc(policy.Checks(), func(c policy.Check) bool { return c.ID == cause.Check })
		if i < 0 || !slices.Contains(policy.Checks()[i].Reasons, cause.Reason) {
			t.Errorf("no check has %s, %s", cause.Check, cause.Reason)
		}
	}
}

// TestEverySignatureHasAStep holds the same for the reasons of DKIM.
func TestEverySignatureHasAStep(t *testing.T) {
	t.Parallel()
	seen := map[string]policy.Reason{}
	for _, reason := range []policy.Reason{
		mailauth.ReasonSyntax, mailauth.ReasonVersion, mailauth.ReasonAlgorithm, mailauth.ReasonCanonical, mailauth.ReasonQuery,
		mailauth.ReasonAlgorithmWeak, mailauth.ReasonKeyWeak, mailauth.ReasonKeyLarge, mailauth.ReasonFromUnsigned,
		mailauth.ReasonAUID, mailauth.ReasonNoKey, mailauth.ReasonKeySeveral, mailauth.ReasonKeySyntax, mailauth.ReasonKeyRevoked,
		mailauth.ReasonKeyUnusable, mailauth.ReasonDNS, mailauth.ReasonExpired, mailauth.ReasonBodyLength, mailauth.ReasonBodyHash, mailauth.ReasonSignature,
	} {
		c := goodCase() // Another signature passes, so that no check complains of this one.
		c.Evidence.Auth.DKIM = append(c.Evidence.Auth.DKIM, c.Evidence.Auth.DKIM[0])
		c.Evidence.Auth.DKIM[0].Result, c.Evidence.Auth.DKIM[0].Reason = policy.AuthPermError, reason
		c.Evidence.Markup = policy.Markup{}
		list := diagnosis.Diagnose(decided(c)).Repairs
		i := slices.IndexFunc(list, func(r diagnosis.Repair) bool { return r.Causes[0] == diagnosis.Cause{Reason: reason} })
		if i < 0 || list[i].Rank != diagnosis.RankAdvice || list[i].Where != "s1._domainkey.shop.example" {
			t.Fatalf("%s: repairs are %+v", reason, list)
		}
		do := list[i].Steps[0].Do
		if other, ok := seen[do]; ok {
			t.Errorf("%s has the step of %s: %s", reason, other, do)
		}
		seen[do] = reason
	}
}

// repairCases have one change to the good mail each, and the first repair.
var repairCases = []struct {
	name   string
	change func(*diagnosis.Case)
	rank   diagnosis.Rank
	where  string
	write  []string // Of all steps.
}{
	{"no name", func(c *diagnosis.Case) { c.Evidence.Auth.ReverseDNS = policy.ReverseDNS{Result: policy.AuthNone} },
		diagnosis.RankAdvice, "10.2.0.192.in-addr.arpa", []string{"10.2.0.192.in-addr.arpa. PTR mail.shop.example.", "mail.shop.example. A 192.0.2.10"}},
	{"no name, which a dial refuses", func(c *diagnosis.Case) {
		c.Evidence.Auth.ReverseDNS = policy.ReverseDNS{Result: policy.AuthNone}
		c.Evidence.Arrival.Peer, c.Evidence.Arrival.HELO = netip.MustParseAddr("2001:db8::1"), "[2001:db8::1]"
		c.Evidence.Dials = policy.Dials{policy.DialReverseDNS: "reject"}
	}, diagnosis.RankRefused, "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", []string{
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR <name>.", "<name>. AAAA 2001:db8::1",
	}},
	{"hard fail", func(c *diagnosis.Case) {
		nothingPasses(c, policy.AuthFail)
		c.Evidence.Auth.SPF.Mechanism = "all"
	}, diagnosis.RankRefused, "the domain of From, shop.example", []string{
		`<selector>._domainkey.shop.example. TXT "v=DKIM1; k=rsa; p=<the public key in base64>"`,
		`bounces.shop.example. TXT "v=spf1 ip4:192.0.2.10 include:_spf.shop.example -all"`,
	}},
	{"a term that lets everybody pass", func(c *diagnosis.Case) {
		wideSPF(c, "all", "v=spf1 include:_spf.shop.example ip4:192.0.2.10 a +all exp=why.shop.example")
	}, diagnosis.RankRefused, "bounces.shop.example", []string{`bounces.shop.example. TXT "v=spf1 ip4:192.0.2.10 include:_spf.shop.example a exp=why.shop.example ~all"`}},
	{"a wide network", func(c *diagnosis.Case) { wideSPF(c, "ip4:0.0.0.0/1", "v=spf1 mx ip4:0.0.0.0/1 -all") },
		diagnosis.RankRefused, "bounces.shop.example", []string{`bounces.shop.example. TXT "v=spf1 ip4:192.0.2.10 mx ~all"`}},
	{"a wide network beside a redirect", func(c *diagnosis.Case) {
		wideSPF(c, "ip4:0.0.0.0/1", "v=spf1 ip4:0.0.0.0/1 redirect=spf.esp.example")
	}, diagnosis.RankRefused, "bounces.shop.example", []string{`bounces.shop.example. TXT "v=spf1 ip4:192.0.2.10 redirect=spf.esp.example"`}},
	{"a wide term of another record", func(c *diagnosis.Case) { wideSPF(c, "all", "v=spf1 redirect=spf.esp.example") },
		diagnosis.RankRefused, "bounces.shop.example", nil},
	{"a wide term, seen from within", func(c *diagnosis.Case) {
		wideSPF(c, "all", "v=spf1 +all")
		c.Evidence.Arrival.Peer = netip.MustParseAddr("127.0.0.1")
	}, diagnosis.RankRefused, "bounces.shop.example", nil},
	{"a peer that nobody else knows", func(c *diagnosis.Case) {
		nothingPasses(c, policy.AuthFail)
		c.Evidence.Arrival.Peer = netip.MustParseAddr("fe80::1%eth0")
	}, diagnosis.RankRefused, "the domain of From, shop.example", []string{
		`<selector>._domainkey.shop.example. TXT "v=DKIM1; k=rsa; p=<the public key in base64>"`,
	}},
	{"an envelope of another firm, seen from within", func(c *diagnosis.Case) {
		envelopeOf(c, "mailer.example")
		c.Evidence.Arrival.Peer = netip.MustParseAddr("10.0.0.1")
	}, diagnosis.RankRefused, "the domain of From, shop.example", []string{
		`<selector>._domainkey.shop.example. TXT "v=DKIM1; k=rsa; p=<the public key in base64>"`,
	}},
	{"an envelope of another firm", func(c *diagnosis.Case) {
		envelopeOf(c, "mailer.example")
		c.Questions = append(c.Questions, diagnosis.Question{Name: "shop.example", Type: "TXT", Answer: "\"x\"\n\"v=spf1 mx \" \"-all\""})
	}, diagnosis.RankRefused, "the domain of From, shop.example", []string{
		`<selector>._domainkey.shop.example. TXT "v=DKIM1; k=rsa; p=<the public key in base64>"`,
		`shop.example. TXT "v=spf1 ip4:192.0.2.10 mx -all"`,
	}},
	{"an envelope of another firm, without a record of one's own", func(c *diagnosis.Case) {
		envelopeOf(c, "mailer.example")
		c.Questions = append(c.Questions, diagnosis.Question{Name: "shop.example", Type: "TXT", Answer: "nodata"})
	}, diagnosis.RankRefused, "the domain of From, shop.example", []string{
		`<selector>._domainkey.shop.example. TXT "v=DKIM1; k=rsa; p=<the public key in base64>"`,
		`shop.example. TXT "v=spf1 ip4:192.0.2.10 ~all"`,
	}},
	{"no name, and a strange HELO", func(c *diagnosis.Case) {
		c.Evidence.Auth.ReverseDNS, c.Evidence.Arrival.HELO = policy.ReverseDNS{Result: policy.AuthNone}, "mx.google.com"
	}, diagnosis.RankAdvice, "10.2.0.192.in-addr.arpa", []string{"10.2.0.192.in-addr.arpa. PTR <name>.", "<name>. A 192.0.2.10"}},
	{"no name, and an address in HELO", func(c *diagnosis.Case) {
		c.Evidence.Auth.ReverseDNS, c.Evidence.Arrival.HELO = policy.ReverseDNS{Result: policy.AuthFail, Names: []string{"192.0.2.10"}}, "192.0.2.10"
	}, diagnosis.RankAdvice, "10.2.0.192.in-addr.arpa", []string{"10.2.0.192.in-addr.arpa. PTR <name>.", "<name>. A 192.0.2.10"}},
	{"no name of a peer that nobody else knows", func(c *diagnosis.Case) {
		c.Evidence.Auth.ReverseDNS, c.Evidence.Arrival.Peer = policy.ReverseDNS{Result: policy.AuthNone}, netip.MustParseAddr("::1")
	}, diagnosis.RankAdvice, "::1", nil},
	{"a bounce with the HELO of others", func(c *diagnosis.Case) {
		c.Evidence.Arrival.MailFrom, c.Evidence.Arrival.HELO = "", "mx.google.com"
		c.Evidence.Auth.SPF = policy.SPF{Result: policy.AuthNone, Identity: "helo", Domain: "mx.google.com", OrgDomain: "google.com"}
		c.Evidence.Sender.Bulk = true
	}, diagnosis.RankDeferred, "HELO", nil},
	{"a bounce with a HELO of one's own", func(c *diagnosis.Case) {
		c.Evidence.Arrival.MailFrom = ""
		c.Evidence.Auth.SPF = policy.SPF{Result: policy.AuthNone, Identity: "helo", Domain: "mail.shop.example", OrgDomain: "shop.example"}
		c.Evidence.Sender.Bulk = true
	}, diagnosis.RankDeferred, "mail.shop.example", []string{`mail.shop.example. TXT "v=spf1 ip4:192.0.2.10 ~all"`}},
	{"no SPF record", func(c *diagnosis.Case) {
		nothingPasses(c, policy.AuthNone)
		c.Evidence.Auth.SPF.Record = ""
	}, diagnosis.RankRefused, "the domain of From, shop.example", []string{
		`<selector>._domainkey.shop.example. TXT "v=DKIM1; k=rsa; p=<the public key in base64>"`,
		`bounces.shop.example. TXT "v=spf1 ip4:192.0.2.10 ~all"`,
	}},
	{"a record longer than a string", func(c *diagnosis.Case) {
		nothingPasses(c, policy.AuthSoftFail)
		c.Evidence.Auth.SPF.Record = "v=spf1 " + strings.Repeat("ip4:198.51.100.99 ", 14) + "~all"
	}, diagnosis.RankRefused, "the domain of From, shop.example", []string{
		`<selector>._domainkey.shop.example. TXT "v=DKIM1; k=rsa; p=<the public key in base64>"`,
		`bounces.shop.example. TXT "v=spf1 ip4:192.0.2.10 ` + strings.TrimSpace(strings.Repeat("ip4:198.51.100.99 ", 13)) + `" " ip4:198.51.100.99 ~all"`,
	}},
	{"DNS outage", func(c *diagnosis.Case) {
		nothingPasses(c, policy.AuthTempError)
		c.Questions = []diagnosis.Question{{Name: "shop.example", Type: "TXT", Answer: "servfail"}}
	}, diagnosis.RankDeferred, "shop.example TXT", nil},
	{"quarantine", func(c *diagnosis.Case) {
		c.Evidence.Auth.DMARC.Result, c.Evidence.Auth.DMARC.Policy = policy.AuthFail, "quarantine"
	}, diagnosis.RankSpam, "the domain of From, shop.example", []string{
		`<selector>._domainkey.shop.example. TXT "v=DKIM1; k=rsa; p=<the public key in base64>"`,
	}},
	{"unregistered", func(c *diagnosis.Case) { c.Registry = nil },
		diagnosis.RankWithheld, "the registration of noreply@shop.example", []string{"register noreply@shop.example actions=ConfirmAction"}},
	{"a forward from an address that is not hers", func(c *diagnosis.Case) {
		c.Evidence.Access = policy.Access{Pattern: policy.PatternAutoForward, Forward: &policy.Forward{Original: "user@acme.test"}}
	}, diagnosis.RankWithheld, "the account alice@gmail.test", []string{"account alice@gmail.test sendas=user@acme.test"}},
	{"fetched, though it would have been refused", func(c *diagnosis.Case) {
		c.Evidence.Auth.DMARC.Result = policy.AuthFail
		c.Evidence.Arrival = policy.Arrival{Channel: policy.ChannelPOP, Fetch: &policy.Fetch{Source: "old@isp.example"}}
	}, diagnosis.RankSpam, "the domain of From, shop.example", []string{
		`<selector>._domainkey.shop.example. TXT "v=DKIM1; k=rsa; p=<the public key in base64>"`,
	}},
	{"no one-click", func(c *diagnosis.Case) {
		c.Evidence.Markup.Unsubscribe.PostFields, c.Evidence.Markup.Unsubscribe.Post = 0, ""
	}, diagnosis.RankUnsubscribe, "List-Unsubscribe-Post", []string{"List-Unsubscribe-Post: List-Unsubscribe=One-Click"}},
	{"a tag that stands twice", func(c *diagnosis.Case) {
		brokenRecord(c, "shop.example", "v=DMARC1; p=reject; t=y; t=n", "t", "tag t= stands twice")
	}, diagnosis.RankAdvice, "_dmarc.shop.example", nil},
	{"a bad tag of a subdomain's record", func(c *diagnosis.Case) {
		c.Evidence.Auth.DMARC.Domain, c.Evidence.Auth.DMARC.PolicyDomain = "news.shop.example", "news.shop.example"
		brokenRecord(c, "news.shop.example", "v=DMARC1; p=reject; adkim=x", "adkim", "adkim= is invalid")
	}, diagnosis.RankAdvice, "_dmarc.news.shop.example", []string{`_dmarc.news.shop.example. TXT "v=DMARC1; p=reject"`}},
	{"a bad tag between others", func(c *diagnosis.Case) {
		brokenRecord(c, "shop.example", "v=DMARC1; p=reject; sp=bogus; rua=mailto:r@shop.example", "sp", "sp= is invalid: treated as p=none")
	}, diagnosis.RankAdvice, "_dmarc.shop.example", []string{`_dmarc.shop.example. TXT "v=DMARC1; p=reject; rua=mailto:r@shop.example"`}},
	{"a bad policy", func(c *diagnosis.Case) {
		brokenRecord(c, "shop.example", "v=DMARC1; p=bogus; rua=mailto:r@shop.example", "p", "p= is invalid: treated as p=none")
	}, diagnosis.RankAdvice, "_dmarc.shop.example", nil},
	{"a text that is no tag", func(c *diagnosis.Case) {
		brokenRecord(c, "shop.example", "v=DMARC1; p=none; x y", "", "\"x y\" is no tag")
	}, diagnosis.RankAdvice, "_dmarc.shop.example", nil},
	{"a record that is passed over", func(c *diagnosis.Case) {
		brokenRecord(c, "two.shop.example", "v=DMARC1; p=reject", "", "2 DMARC records at _dmarc.two.shop.example: none counts")
	}, diagnosis.RankAdvice, "_dmarc.two.shop.example", nil},
	{"a record that does not count, and no other", func(c *diagnosis.Case) {
		c.Evidence.Auth.DMARC = policy.DMARC{Result: policy.AuthNone, Domain: "shop.example", OrgDomain: "shop.example"}
		brokenRecord(c, "shop.example", "", "", "2 DMARC records at _dmarc.shop.example: none counts")
		c.Evidence.Sender.Bulk = true
	}, diagnosis.RankDeferred, "_dmarc.shop.example", nil},
	{"a sender whose names cannot be published", func(c *diagnosis.Case) {
		nothingPasses(c, policy.AuthSoftFail)
		c.Evidence.Auth.SPF.Domain, c.Evidence.Auth.DMARC.Domain = "x\nevil.example. A 192.0.2.1", "y\nevil.example. A 192.0.2.1"
	}, diagnosis.RankRefused, "the domain of From, y\nevil.example. A 192.0.2.1", nil},
}

func nothingPasses(c *diagnosis.Case, spf policy.AuthResult) {
	c.Evidence.Auth.SPF.Result, c.Evidence.Auth.DKIM = spf, nil
	c.Evidence.Auth.DMARC.Result, c.Evidence.Auth.DMARC.Policy = policy.AuthFail, "none"
}

// wideSPF has SPF pass by a term that lets nearly everybody pass, which a dial
// refuses.
func wideSPF(c *diagnosis.Case, mechanism, record string) {
	c.Evidence.Auth.SPF.Mechanism, c.Evidence.Auth.SPF.Record = mechanism, record
	c.Evidence.Dials = policy.Dials{policy.DialSuspiciousSPF: "reject"}
}

// envelopeOf has SPF pass for another firm, and nothing else.
func envelopeOf(c *diagnosis.Case, domain string) {
	nothingPasses(c, policy.AuthPass)
	s := &c.Evidence.Auth.SPF
	s.Domain, s.OrgDomain, s.Record, s.Mechanism = domain, domain, "v=spf1 +mx -all", "mx"
	c.Evidence.Auth.DMARC.Policy, c.Evidence.Auth.DMARC.SPFAligned = "reject", false
}

// brokenRecord gives the DMARC record of a domain a problem.
func brokenRecord(c *diagnosis.Case, domain, record, tag, problem string) {
	d := &c.Evidence.Auth.DMARC
	d.ProblemDomain, d.Record, d.BadTag, d.Problem = domain, record, tag, problem
}

func TestRepairs(t *testing.T) {
	t.Parallel()
	if list := diagnosis.Diagnose(goodCase()).Repairs; slices.ContainsFunc(list, func(r diagnosis.Repair) bool { return r.Rank != diagnosis.RankBulk }) {
		t.Errorf("a good mail has repairs: %+v", list)
	}
	for _, tt := range repairCases {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := goodCase()
			tt.change(&c)
			list := slices.DeleteFunc(diagnosis.Diagnose(decided(c)).Repairs, func(r diagnosis.Repair) bool { return r.Rank == diagnosis.RankBulk })
			if len(list) == 0 {
				t.Fatal("there is no repair")
			}
			var write []string
			for _, s := range list[0].Steps {
				write = append(write, s.Write...)
			}
			if r := list[0]; r.Rank != tt.rank || r.Where != tt.where || !slices.Equal(write, tt.write) {
				t.Errorf("%s at %q, write\n%s\nwant %s at %q\n%s", r.Rank, r.Where, strings.Join(write, "\n"), tt.rank, tt.where, strings.Join(tt.write, "\n"))
			}
		})
	}
}

// TestBulkRepairs holds that what only a bulk sender meets comes before advice,
// and that it is a refusal for one.
func TestBulkRepairs(t *testing.T) {
	t.Parallel()
	c := goodCase()
	c.Evidence.Auth.DKIM, c.Evidence.Auth.DMARC = nil, policy.DMARC{Result: policy.AuthNone, Domain: "shop.example", OrgDomain: "shop.example"}
	c.Evidence.Auth.ReverseDNS = policy.ReverseDNS{Result: policy.AuthNone}
	for _, tt := range []struct {
		bulk bool
		want string
	}{
		{false, "unsubscribe bulk advice"},
		{true, "deferred deferred advice advice"},
	} {
		c.Evidence.Sender.Bulk = tt.bulk
		d := diagnosis.Diagnose(decided(c))
		var got []string
		for _, r := range d.Repairs {
			got = append(got, string(r.Rank))
		}
		if strings.Join(got, " ") != tt.want || d.Bulk.Is != tt.bulk || len(d.Bulk.Changes) == 0 {
			t.Errorf("bulk %v: %s\n%s", tt.bulk, got, d.Text())
		}
	}
}

// TestRepairsInOrder holds the order, and that one repair stands for all that
// it mends.
func TestRepairsInOrder(t *testing.T) {
	t.Parallel()
	c := refusedCase()
	c.Registry = nil
	var got []string
	for _, r := range diagnosis.Diagnose(decided(c)).Repairs {
		if r.Rank != diagnosis.RankBulk {
			got = append(got, fmt.Sprint(r.Rank, r.Causes))
		}
	}
	want := []string{
		"refused[{dmarc-policy dmarc-reject} {sender-aligned unaligned}]",
		"withheld[{sender-registered unregistered}]",
		"unsubscribe[{unsubscribe-present post-missing} {unsubscribe-post post-missing}]",
		"unsubscribe[{unsubscribe-signed not-covered}]",
		"advice[{reverse-dns ptr-mismatch}]",
		"advice[{signature-of-author signed-by-others}]",
		"advice[{method-stated method-missing}]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
