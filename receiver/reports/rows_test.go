package reports_test

import (
	"net/netip"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
)

// day is when the traffic of most tests is.
func day() time.Time { return time.Date(2026, 1, 15, 9, 0, 0, 0, time.UTC) }

const (
	record = "v=DMARC1; p=reject; sp=quarantine; rua=mailto:dmarc@shop.example!10m,mailto:agg@reports.example"
)

// row is a message as a store has it: that of the shop, who has signed it, by
// SMTP. The changes make it another one.
func row(changes ...func(*mailbox.Message)) mailbox.Message {
	m := mailbox.Message{
		World: "w", Account: "alice@gmail.test", ReceivedAt: day(), Raw: []byte("x"),
		Evidence: policy.Evidence{
			Arrival: policy.Arrival{Channel: policy.ChannelSMTP, Peer: netip.MustParseAddr("192.0.2.10"), MailFrom: "bounce@shop.example", Rcpt: "alice@gmail.test"},
			Access:  policy.Access{Pattern: policy.PatternDirect},
			Auth: policy.Authentication{
				SPF:  policy.SPF{Result: policy.AuthPass, Identity: "mailfrom", Domain: "shop.example", OrgDomain: "shop.example"},
				DKIM: []policy.DKIM{{Result: policy.AuthPass, Domain: "shop.example", OrgDomain: "shop.example", Selector: "s1"}},
				DMARC: policy.DMARC{
					Result: policy.AuthPass, Domain: "shop.example", OrgDomain: "shop.example", Discovery: "treewalk", PolicyDomain: "shop.example",
					Record: record, Policy: "reject", SPFAligned: true, DKIMAligned: true,
				},
			},
		},
		Verdict: policy.Verdict{
			Delivery: policy.Accept, Folder: policy.Inbox, Reply: policy.Reply{Code: 250, Enhanced: "2.0.0"},
			Findings: []policy.Finding{{Check: "dmarc-policy", Result: policy.Pass, Reason: "dmarc-pass"}},
		},
	}
	for _, change := range changes {
		change(&m)
	}
	return m
}

// numbered gives rows their places, and octets of their own, as a store does.
func numbered(list ...mailbox.Message) []mailbox.Message {
	for i := range list {
		list[i].Seq = int64(i + 1)
		if len(list[i].Raw) == 1 {
			list[i].Raw = []byte(strings.Repeat("x", i+2))
		}
	}
	return list
}

func from(peer string) func(*mailbox.Message) {
	return func(m *mailbox.Message) { m.Evidence.Arrival.Peer = netip.MustParseAddr(peer) }
}

func at(t time.Time) func(*mailbox.Message) {
	return func(m *mailbox.Message) { m.ReceivedAt = t }
}

func signed(list ...policy.DKIM) func(*mailbox.Message) {
	return func(m *mailbox.Message) { m.Evidence.Auth.DKIM = list }
}

func pattern(p policy.Pattern) func(*mailbox.Message) {
	return func(m *mailbox.Message) { m.Evidence.Access.Pattern = p }
}

// published lets the mail be judged by another record. policy is what applies.
func published(text, policy string) func(*mailbox.Message) {
	return func(m *mailbox.Message) {
		d := &m.Evidence.Auth.DMARC
		d.Record, d.Policy, d.Testing = text, policy, strings.Contains(text, "t=y")
	}
}

// failing lets DMARC fail, and the verdict's finding on it be what follows.
func failing(reason policy.Reason) func(*mailbox.Message) {
	return func(m *mailbox.Message) {
		a := &m.Evidence.Auth
		a.SPF.Result, a.DKIM = policy.AuthSoftFail, nil
		a.DMARC.Result, a.DMARC.SPFAligned, a.DMARC.DKIMAligned = policy.AuthFail, false, false
		f := policy.Finding{Check: "dmarc-policy", Result: policy.Fail, Reason: reason, Detail: "DMARC fails"}
		v := &m.Verdict
		switch reason {
		case "dmarc-reject":
			v.Delivery, v.Folder, v.Decider, v.Reply = policy.Reject, "", f.Check, policy.Reply{Code: 550, Enhanced: "5.7.26"}
		case "dmarc-quarantine":
			v.Folder, v.Decider = policy.Spam, f.Check
		default:
			f.Result = policy.Pass
		}
		v.Findings = []policy.Finding{f}
	}
}

// refused lets another check refuse the mail.
func refused(check policy.CheckID, code int, enhanced string) func(*mailbox.Message) {
	return func(m *mailbox.Message) {
		m.Refused = true
		m.Verdict.Delivery, m.Verdict.Folder, m.Verdict.Decider = policy.Reject, "", check
		m.Verdict.Reply = policy.Reply{Code: code, Enhanced: enhanced}
	}
}

// mixed is a day of mixed traffic.
func mixed() []mailbox.Message {
	dkim := func(result policy.AuthResult, domain, org, selector string) policy.DKIM {
		return policy.DKIM{Result: result, Domain: domain, OrgDomain: org, Selector: selector}
	}
	subdomain := func(m *mailbox.Message) {
		d := &m.Evidence.Auth.DMARC
		d.Domain, d.Policy = "news.shop.example", "quarantine"
	}
	return numbered(
		row(), row(), row(),
		// To two accounts: one message.
		row(func(m *mailbox.Message) { m.Raw = []byte("to two") }),
		row(func(m *mailbox.Message) { m.Raw, m.Account = []byte("to two"), "bob@gmail.test" }),
		// Bounces of the shop, without an envelope sender.
		row(func(m *mailbox.Message) {
			m.Evidence.Arrival.MailFrom, m.Evidence.Auth.SPF.Identity, m.Evidence.Auth.SPF.Domain = "", "helo", "mail.shop.example"
		}),
		// Forged.
		row(from("203.0.113.66"), failing("dmarc-reject")),
		row(from("203.0.113.66"), failing("dmarc-reject")),
		row(from("2001:db8::66"), failing("dmarc-reject"), func(m *mailbox.Message) { m.Refused = true }),
		// A subdomain, for which the policy is another one.
		row(from("203.0.113.67"), subdomain, failing("dmarc-quarantine")),
		// Forwarded: SPF is of the forwarder, the signature is the shop's.
		row(from("198.51.100.7"), pattern(policy.PatternAutoForward), func(m *mailbox.Message) {
			m.Evidence.Auth.SPF.Domain, m.Evidence.Auth.SPF.OrgDomain, m.Evidence.Auth.DMARC.SPFAligned = "acme.test", "acme.test", false
			m.Evidence.Arrival.MailFrom = "srs0=x=y=shop.example=bounce@acme.test"
		}),
		// Several signatures: the best come first, and one that has no selector has
		// no place.
		row(from("192.0.2.11"), signed(
			dkim(policy.AuthFail, "shop.example", "shop.example", "old"), dkim(policy.AuthPass, "esp.example", "esp.example", "k1"),
			dkim(policy.AuthPermError, "x.example", "x.example", ""), dkim(policy.AuthPass, "mail.shop.example", "shop.example", "m"),
			dkim(policy.AuthPass, "shop.example", "shop.example", "s1"), dkim(policy.AuthNeutral, "ed.example", "ed.example", "e"),
		)),
		// Let through all the same.
		row(from("198.51.100.8"), failing("dmarc-override"), pattern(policy.PatternMailingList)),
		row(from("198.51.100.9"), failing("dmarc-override"), pattern(policy.PatternAutoForward)),
		row(from("198.51.100.10"), failing("dmarc-override")),
		row(from("198.51.100.11"), failing("dmarc-quarantine")),
		// Refused for something else than DMARC.
		row(from("192.0.2.12"), refused("bulk-dkim", 550, "5.7.30"), signed()),
		row(from("192.0.2.13"), refused("bulk-spf", 421, "4.7.27")),
		row(from("192.0.2.14"), refused("hop-count", 554, "5.4.6")),
		// Not to be evaluated.
		row(from("192.0.2.15"), func(m *mailbox.Message) {
			m.Evidence.Auth.DMARC.Result, m.Evidence.Auth.DMARC.SPFAligned, m.Evidence.Auth.DMARC.DKIMAligned = policy.AuthTempError, false, false
			m.Evidence.Auth.SPF.Result, m.Evidence.Auth.DKIM = policy.AuthTempError, nil
		}),
		// Not of this report: from nowhere, fetched by POP, of another policy domain, of
		// none.
		row(func(m *mailbox.Message) { m.Evidence.Arrival.Peer = netip.Addr{} }),
		row(func(m *mailbox.Message) { m.Evidence.Arrival.Channel = policy.ChannelPOP }),
		row(func(m *mailbox.Message) {
			m.Evidence.Auth.DMARC.Domain, m.Evidence.Auth.DMARC.PolicyDomain = "own.shop.example", "own.shop.example"
		}),
		row(func(m *mailbox.Message) {
			m.Evidence.Auth.DMARC = policy.DMARC{Result: policy.AuthNone, Domain: "shop.example"}
		}),
	)
}

// session is one in which mail was sent.
func session(result string, problem string) mailbox.TLSSession {
	return mailbox.TLSSession{
		At: day(), From: netip.MustParseAddr("198.18.0.1"), Host: "mx.shop.example", TLS: "TLS1_3", Result: result, Problem: problem,
		Policy: mailbox.TLSPolicy{Type: "no-policy-found"},
	}
}

// outgoing are mails with sessions.
func outgoing() []mailbox.Outgoing {
	sts := session("", "")
	sts.Policy = mailbox.TLSPolicy{
		Type: "sts", Lines: []string{"version: STSv1", "mode: testing", "mx: *.shop.example", "max_age: 86400"}, Hosts: []string{"*.shop.example"},
	}
	expired := sts
	expired.Result, expired.Problem, expired.Addr = "certificate-expired", "x509: certificate has expired", netip.MustParseAddr("192.0.2.25")
	return []mailbox.Outgoing{
		{To: "carol@shop.example", Sessions: []mailbox.TLSSession{session("starttls-not-supported", "the server does not offer STARTTLS"), session("", "")}},
		{To: "dave@Shop.example", Sessions: []mailbox.TLSSession{session("starttls-not-supported", "the server does not offer STARTTLS"), session("certificate-not-trusted", `"<&>"`)}},
		{To: "erin@shop.example", Sessions: []mailbox.TLSSession{sts, sts, expired}},
		{To: "erin@other.example", Sessions: []mailbox.TLSSession{session("", "")}},
		{To: "frank@shop.example"},
	}
}
