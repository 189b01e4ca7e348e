package diagnosis_test

import (
	"net/netip"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/diagnosis"
)

var noon = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

// decided completes a case with its verdict.
func decided(c diagnosis.Case) diagnosis.Case {
	c.Verdict = policy.Decide(c.Evidence, c.Registry)
	return c
}

// goodCase is a mail with which all is well.
func goodCase() diagnosis.Case {
	e := policy.Evidence{
		World: "w1", At: noon,
		Arrival: policy.Arrival{
			Channel: policy.ChannelSMTP, Peer: netip.MustParseAddr("192.0.2.10"), HELO: "mail.shop.example",
			TLS: "TLS1_3", Cipher: "TLS_AES_128_GCM_SHA256", MailFrom: "bounce@bounces.shop.example", Rcpt: "alice@gmail.test",
		},
		Account: policy.Account{Address: "alice@gmail.test"},
		Header: policy.Header{
			From: []policy.Address{{Name: "Shop", Addr: "noreply@shop.example", Domain: "shop.example"}}, FromFields: 1,
			To:      []policy.Address{{Addr: "alice@gmail.test", Domain: "gmail.test"}},
			Subject: "Expense 4711", MessageID: "<4711@shop.example>", Date: "Thu, 15 Jan 2026 12:00:00 +0000",
			Received: 1, Fields: 9, HeaderSize: 900, Size: 2000,
		},
		Auth: policy.Authentication{
			SPF: policy.SPF{
				Result: policy.AuthPass, Identity: "mailfrom", Domain: "bounces.shop.example", OrgDomain: "shop.example",
				Mechanism: "include:_spf.shop.example", Record: "v=spf1 include:_spf.shop.example -all",
			},
			DKIM: []policy.DKIM{{
				Result: policy.AuthPass, Domain: "shop.example", OrgDomain: "shop.example", AUID: "@shop.example", Selector: "s1",
				Algorithm: "rsa-sha256", KeyBits: 2048, Signature: "dGhpcyBp", SignedAt: noon.Add(-time.Minute),
				Headers: []string{"from", "to", "subject", "date", "content-type", "content-transfer-encoding", "list-unsubscribe", "list-unsubscribe-post"},
			}},
			DMARC: policy.DMARC{
				Result: policy.AuthPass, Domain: "shop.example", OrgDomain: "shop.example", Discovery: "treewalk", PolicyDomain: "shop.example",
				Record: "v=DMARC1; p=reject", Policy: "reject", Applied: "p", Published: "reject", SubdomainPolicy: "reject", SPFAligned: true, DKIMAligned: true,
			},
			ReverseDNS: policy.ReverseDNS{Result: policy.AuthPass, Names: []string{"mail.shop.example"}, Name: "mail.shop.example"},
			ARC:        policy.ARC{Result: policy.AuthNone},
		},
		Access: policy.Access{
			Pattern: policy.PatternDirect, Confidence: policy.ConfidenceProven,
			Signals: []policy.Signal{{Name: "dkim-aligned", Rank: 2, Value: "shop.example", For: policy.PatternDirect}},
		},
		Markup: policy.Markup{
			Items: []string{"EmailMessage"},
			Actions: []policy.Action{{
				Syntax: "json-ld", Type: "ConfirmAction", On: "EmailMessage", Name: "Approve expense", Kind: policy.KindInApp,
				Handlers: []policy.Handler{{Type: "HttpActionHandler", URL: "https://shop.example/approve?t=a8f3c2d91b0e47d6", Method: "POST"}},
				Place:    policy.Place{Part: "1", Line: 3, Col: 5},
			}},
			Unsubscribe: policy.Unsubscribe{Fields: 1, URIs: []string{"https://shop.example/u"}, PostFields: 1, Post: "List-Unsubscribe=One-Click"},
		},
		Sender: policy.Sender{Domain: "shop.example", Volume: 12},
	}
	return decided(diagnosis.Case{
		Evidence: e, Registry: policy.Registry{{From: "noreply@shop.example", Actions: []string{"ConfirmAction"}, Bearer: true}},
		Questions: []diagnosis.Question{
			{Name: "10.2.0.192.in-addr.arpa", Type: "PTR", Answer: "mail.shop.example.", Source: "zone"},
			{Name: "mail.shop.example", Type: "A", Answer: "192.0.2.10", Source: "zone"},
			{Name: "mail.shop.example", Type: "AAAA", Answer: "2001:db8::10", Source: "zone"},
			{Name: "bounces.shop.example", Type: "TXT", Answer: "\"v=spf1 include:_spf.shop.example -all\"\n\"verification=1\"", Source: "zone"},
			{Name: "_spf.shop.example", Type: "TXT", Answer: `"v=spf1 a:none.shop.example ip4:192.0.2.0/24 -all"`, Source: "zone"},
			{Name: "none.shop.example", Type: "A", Answer: "nodata", Source: "zone"},
			{Name: "s1._domainkey.shop.example", Type: "TXT", Answer: `"v=DKIM1; k=rsa; p=MIIB"`, Source: "zone"},
			{Name: "_dmarc.bounces.shop.example", Type: "TXT", Answer: "nxdomain", Source: "zone"},
			{Name: "_dmarc.shop.example", Type: "TXT", Answer: `"v=DMARC1; p=reject"`, Source: "zone"},
			{Name: "_dmarc.example", Type: "TXT", Answer: "nxdomain", Source: "zone"},
		},
		Header: "Delivered-To: alice@gmail.test\r\nReturn-Path: <bounce@bounces.shop.example>\r\nAuthentication-Results: mx.gmail.test;\r\n       dmarc=pass header.from=shop.example\r\n",
	})
}

// refusedCase is a mail that another firm sends for the shop: what passes is
// not the shop's, and the shop's signature is broken.
func refusedCase() diagnosis.Case {
	c := goodCase()
	e := &c.Evidence
	e.Arrival.Peer, e.Arrival.HELO, e.Arrival.MailFrom = netip.MustParseAddr("198.51.100.7"), "out.mailer.example", "b-17@mailer.example"
	e.Auth.SPF = policy.SPF{
		Result: policy.AuthPass, Identity: "mailfrom", Domain: "mailer.example", OrgDomain: "mailer.example",
		Mechanism: "ip4:198.51.100.0/24", Record: "v=spf1 ip4:198.51.100.0/24 -all",
	}
	s := &e.Auth.DKIM[0]
	s.Result, s.Reason, s.Problem, s.Change = policy.AuthFail, "body-hash", "the body hash does not verify: the body was changed", policy.ChangeFooter
	e.Auth.DKIM = append(e.Auth.DKIM, policy.DKIM{
		Result: policy.AuthPass, Domain: "mailer.example", OrgDomain: "mailer.example", Selector: "m", Algorithm: "rsa-sha256", KeyBits: 1024, Testing: true,
		Headers: []string{"from"}, Uncovered: 17,
	})
	d := &e.Auth.DMARC
	d.Result, d.SPFAligned, d.DKIMAligned = policy.AuthFail, false, false
	e.Auth.ReverseDNS = policy.ReverseDNS{Result: policy.AuthFail, Names: []string{"host7.isp.example"}}
	e.Access = policy.Access{Pattern: policy.PatternDirect, Confidence: policy.ConfidenceUnknown}
	e.Markup.Unsubscribe.PostFields, e.Markup.Unsubscribe.Post = 0, ""
	e.Markup.Actions[0].Handlers[0].Method = ""
	c.Header = ""
	c.Questions = []diagnosis.Question{
		{Name: "7.100.51.198.in-addr.arpa", Type: "PTR", Answer: "host7.isp.example.", Source: "upstream"},
		{Name: "host7.isp.example", Type: "A", Answer: "198.51.100.99", Source: "upstream"},
		{Name: "mailer.example", Type: "TXT", Answer: `"v=spf1 ip4:198.51.100.0/24 -all"`, Source: "upstream"},
		{Name: "s1._domainkey.shop.example", Type: "TXT", Answer: `"v=DKIM1; k=rsa; p=MIIB"`, Source: "upstream"},
		{Name: "_dmarc.shop.example", Type: "TXT", Answer: `"v=DMARC1; p=reject"`, Source: "upstream"},
	}
	return decided(c)
}

// nasty is what a hostile sender puts wherever he can.
const nasty = "</title></style><script>alert(1)</script>\"'><img src=x onerror=alert(1)> \u202egnp.exe \u2066\x1b[2J\x00\u200b\r\nBcc: x \u05e9\u05dc\u05d5\u05dd {{.}} javascript:x"

// hostileCase has nasty in every place that a sender can fill.
func hostileCase() diagnosis.Case { return hostile(nasty) }

func hostile(x string) diagnosis.Case {
	c := refusedCase()
	e := &c.Evidence
	long := strings.Repeat(x, 100)
	e.Arrival.HELO, e.Arrival.MailFrom, e.Arrival.Rcpt = x, x, x
	e.Header.Subject, e.Header.MessageID, e.Header.Date = long, x, x
	e.Header.From = []policy.Address{{Name: x, Addr: x, Domain: x}}
	e.Header.Problems = []policy.Problem{{Code: "line-too-long", Text: x}}
	e.Auth.SPF = policy.SPF{Result: policy.AuthSoftFail, Domain: x, OrgDomain: x, Record: x, Mechanism: x, Identity: "mailfrom"}
	e.Auth.DKIM = []policy.DKIM{{Result: policy.AuthPermError, Reason: "no-key", Problem: long, Domain: x, OrgDomain: x, Selector: x, AUID: x, Algorithm: x, Signature: x, Headers: []string{x, x}}}
	e.Auth.DMARC = policy.DMARC{Result: policy.AuthFail, Domain: x, OrgDomain: x, PolicyDomain: x, Record: x, Policy: "reject", Discovery: "psl", Problem: x, ProblemDomain: x, BadTag: x}
	e.Auth.ReverseDNS = policy.ReverseDNS{Result: policy.AuthFail, Names: []string{x}, Problem: x}
	e.Auth.ARC = policy.ARC{Result: policy.AuthFail, Reason: "seal", Problem: x, Sets: []policy.ARCSet{{Instance: 1, Domain: x, Selector: x, CV: x, Results: long}}}
	e.Access = policy.Access{
		Pattern: policy.PatternAmbiguous, Confidence: policy.ConfidenceUnknown, Settle: x,
		Signals: []policy.Signal{{Name: "list-id", Value: x, Rank: 4}}, Contradictions: []policy.Signal{{Name: "x-forwarded-to", Value: x, Rank: 4}},
		Forward: &policy.Forward{Original: x, By: x, Claimed: []string{x}},
	}
	e.Markup.Problems = []policy.Problem{{Code: "json", Text: x, Place: policy.Place{Part: "1", Line: 2}}}
	e.Markup.Unsubscribe.URIs = []string{x}
	a := &e.Markup.Actions[0]
	a.Type, a.Name, a.Handlers[0].URL, a.Legacy = x, x, x, []string{x}
	c.Header = "Delivered-To: alice@gmail.test\r\nReturn-Path: " + x + "\r\n"
	c.Questions = append(c.Questions, diagnosis.Question{Name: x, Type: "TXT", Answer: x}, diagnosis.Question{Name: x, Type: "A", Answer: "servfail"})
	return decided(c)
}
