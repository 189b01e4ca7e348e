package policy_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/doppelbox/doppelbox/policy"
)

// bulkSender makes the sender of good evidence a bulk sender.
func bulkSender(e *policy.Evidence) {
	e.Sender = policy.Sender{Domain: "shop.example", Volume: 6000, Bulk: true}
}

// bulkAnd makes the sender a bulk sender and changes something else.
func bulkAnd(change func(*policy.Evidence)) func(*policy.Evidence) {
	return func(e *policy.Evidence) {
		bulkSender(e)
		change(e)
	}
}

func rate(by policy.Measure, count int) func(*policy.Evidence) {
	return func(e *policy.Evidence) {
		e.Rates = []policy.Rate{{By: by, Key: "x", Count: count, Limit: 60, Window: time.Minute}}
	}
}

func from(addr string) func(*policy.Evidence) {
	return func(e *policy.Evidence) {
		_, domain, _ := strings.Cut(addr, "@")
		e.Header.From = []policy.Address{{Addr: addr, Domain: domain}}
		e.Auth.DMARC.Domain, e.Auth.DMARC.OrgDomain = domain, domain
	}
}

func noPeer(e *policy.Evidence) {
	e.Arrival.Channel, e.Arrival.Peer, e.Arrival.TLS = policy.ChannelPOP, netip.Addr{}, ""
	e.Arrival.Fetch = &policy.Fetch{Source: "old@isp.example"}
}

func peer6(address string, rdns policy.AuthResult) func(*policy.Evidence) {
	return func(e *policy.Evidence) {
		e.Arrival.Peer, e.Auth.ReverseDNS.Result = netip.MustParseAddr(address), rdns
	}
}

func oneClick(change func(*policy.Unsubscribe)) func(*policy.Evidence) {
	return bulkAnd(func(e *policy.Evidence) { change(&e.Markup.Unsubscribe) })
}

// guidelineCases reach every reason of the checks that they name.
var guidelineCases = []struct {
	check  policy.CheckID
	reason policy.Reason
	change func(*policy.Evidence)
}{
	{"ordered-reply", "ordered", func(e *policy.Evidence) { e.Order = "unsolicited" }},
	{"ordered-reply", "ordered", func(e *policy.Evidence) { e.Order = "suspicious-content" }},
	{"ordered-reply", "not-ordered", func(*policy.Evidence) {}},
	{"recipient-domain", "tls-required", func(e *policy.Evidence) { e.Inbound.TLSRequired, e.Arrival.TLS = true, "" }},
	{"recipient-domain", "peer-not-allowed", func(e *policy.Evidence) {
		e.Inbound.AllowFrom = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
	}},
	{"recipient-domain", "no-peer", noPeer},
	{"recipient-domain", "domain-open", func(e *policy.Evidence) {
		e.Inbound = policy.Inbound{TLSRequired: true, AllowFrom: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
		e.Arrival.Peer = netip.MustParseAddr("::ffff:192.0.2.10")
	}},
	{"one-domain", "several-domains", func(e *policy.Evidence) { e.Arrival.Beside = "other.test" }},
	{"one-domain", "one-domain", func(*policy.Evidence) {}},
	{"account-open", "account-inactive", func(e *policy.Evidence) { e.Account.State = policy.AccountDisabled }},
	{"account-open", "over-quota", func(e *policy.Evidence) { e.Account.State = policy.AccountFull }},
	{"account-open", "over-quota-inactive", func(e *policy.Evidence) { e.Account.State = policy.AccountFullInactive }},
	{"account-open", "account-active", func(e *policy.Evidence) { e.Account.State = policy.AccountActive }},
	{"receiving-rate", "rate-exceeded", rate(policy.ByAccount, 61)},
	{"receiving-rate", "rate-within", rate(policy.ByAccount, 60)},
	{"receiving-rate", "no-peer", noPeer},
	{"message-size", "message-too-large", func(e *policy.Evidence) { e.Header.Size = 157286401 }},
	{"message-size", "message-too-large", func(e *policy.Evidence) {
		e.Header.Size, e.Dials = 50<<20+1, policy.Dials{policy.DialMaxSize: "documented"}
	}},
	{"message-size", "attachments-too-many", func(e *policy.Evidence) { e.Header.Attachments = 501 }},
	{"message-size", "size-within-limits", func(e *policy.Evidence) { e.Header.Size, e.Header.Attachments = 157286400, 500 }},
	{"message-id", "message-id-missing", func(e *policy.Evidence) { e.Header.MessageID = "" }},
	{"message-id", "message-id-invalid", func(e *policy.Evidence) { e.Header.MessageID = "1@shop.example" }},
	{"message-id", "message-id-invalid", func(e *policy.Evidence) { e.Header.MessageID = "<1>" }},
	{"message-id", "message-id-invalid", func(e *policy.Evidence) { e.Header.MessageID = "<a b@c>" }},
	{"message-id", "message-id-invalid", func(e *policy.Evidence) { e.Header.MessageID = "<a@b><c@d>" }},
	{"message-id", "message-id-invalid", func(e *policy.Evidence) { e.Header.MessageID = "<a@b> x (c)" }},
	{"message-id", "message-id-good", func(*policy.Evidence) {}},
	{"message-id", "message-id-good", func(e *policy.Evidence) { e.Header.MessageID = "<id@x> (added by (a \\) server of) x)" }},
	{"message-id", "message-id-good", func(e *policy.Evidence) { e.Header.MessageID = `<"a b@c"@[192.0.2.1]>` }},
	{"message-id", "message-id-good", func(e *policy.Evidence) { e.Header.MessageID = "<1.a@x@mta1.x>" }},
	{"ipv6-sender", "ipv4", func(*policy.Evidence) {}},
	{"ipv6-sender", "no-peer", noPeer},
	{"ipv6-sender", "local-peer", peer6("::1", policy.AuthNone)},
	{"ipv6-sender", "local-peer", peer6("fd00::1", policy.AuthNone)},
	{"ipv6-sender", "ptr-temperror", peer6("2001:db8::1", policy.AuthTempError)},
	{"ipv6-sender", "ipv6-ptr", peer6("2001:db8::1", policy.AuthFail)},
	{"ipv6-sender", "ipv6-unauthenticated", func(e *policy.Evidence) {
		peer6("2001:db8::1", policy.AuthPass)(e)
		unauthenticate(e, policy.AuthNone)
	}},
	{"ipv6-sender", "auth-temperror", func(e *policy.Evidence) {
		peer6("2001:db8::1", policy.AuthPass)(e)
		unauthenticate(e, policy.AuthTempError)
	}},
	{"ipv6-sender", "ipv6-good", peer6("2001:db8::1", policy.AuthPass)},
	{"spf-record", "spf-suspicious", func(e *policy.Evidence) { e.Auth.SPF.Mechanism = "+all" }},
	{"spf-record", "spf-suspicious", func(e *policy.Evidence) { e.Auth.SPF.Mechanism = "ip4:128.0.0.0/1" }},
	{"spf-record", "spf-suspicious", func(e *policy.Evidence) { e.Auth.SPF.Mechanism = "ip6:2000::/3" }},
	{"spf-record", "spf-not-passed", func(e *policy.Evidence) { e.Auth.SPF.Result = policy.AuthNone }},
	{"spf-record", "spf-narrow", func(e *policy.Evidence) { e.Auth.SPF.Mechanism = "ip4:10.0.0.0/8" }},
	{"transport-security", "no-tls", func(e *policy.Evidence) { e.Arrival.TLS = "" }},
	{"transport-security", "bulk-no-tls", bulkAnd(func(e *policy.Evidence) { e.Arrival.TLS = "" })},
	{"transport-security", "no-peer", noPeer},
	{"transport-security", "tls", func(*policy.Evidence) {}},
	{"impersonation", "impersonates-provider", from("boss@gmail.test")},
	{"impersonation", "impersonates-provider", from("boss@googlemail.com")},
	{"impersonation", "impersonates-provider", bulkAnd(from("boss@gmail.com"))},
	{"impersonation", "from-unusable", func(e *policy.Evidence) { e.Header.From = nil }},
	{"impersonation", "impersonates-provider", from("boss@mail.gmail.test")},
	{"impersonation", "not-direct", func(e *policy.Evidence) {
		from("boss@gmail.com")(e)
		e.Access.Pattern = policy.PatternMailingList
	}},
	{"impersonation", "auth-temperror", func(e *policy.Evidence) {
		from("boss@gmail.test")(e)
		e.Auth.DKIM[0].Result = policy.AuthTempError
	}},
	{"impersonation", "auth-temperror", func(e *policy.Evidence) {
		from("boss@gmail.test")(e)
		e.Auth.DMARC.Result = policy.AuthTempError
	}},
	{"impersonation", "own-domain", func(e *policy.Evidence) {
		from("boss@gmail.test")(e)
		e.Auth.SPF.Domain, e.Auth.SPF.OrgDomain = "gmail.test", "gmail.test"
	}},
	{"impersonation", "other-domain", func(*policy.Evidence) {}},
	{"bulk-spf", "bulk-spf-missing", bulkAnd(func(e *policy.Evidence) { e.Auth.SPF.Result = policy.AuthSoftFail })},
	{"bulk-spf", "not-bulk", func(*policy.Evidence) {}},
	{"bulk-spf", "no-peer", bulkAnd(noPeer)},
	{"bulk-spf", "not-direct", bulkAnd(func(e *policy.Evidence) {
		e.Auth.SPF.Result, e.Access.Pattern = policy.AuthFail, policy.PatternAutoForward
	})},
	{"bulk-spf", "not-direct", bulkAnd(func(e *policy.Evidence) {
		e.Auth.SPF.Result, e.Header.To = policy.AuthFail, []policy.Address{{Addr: "alice@acme.example"}}
	})},
	{"bulk-spf", "bulk-spf-missing", bulkAnd(func(e *policy.Evidence) {
		e.Auth.SPF.Result, e.Header.To = policy.AuthFail, []policy.Address{{Addr: "Alice@gmail.test"}}
	})},
	{"bulk-spf", "auth-temperror", bulkAnd(func(e *policy.Evidence) { e.Auth.SPF.Result = policy.AuthTempError })},
	{"bulk-spf", "spf-pass", bulkSender},
	{"bulk-dkim", "bulk-dkim-missing", bulkAnd(func(e *policy.Evidence) { e.Auth.DKIM = nil })},
	{"bulk-dkim", "not-bulk", func(*policy.Evidence) {}},
	{"bulk-dkim", "no-peer", bulkAnd(noPeer)},
	{"bulk-dkim", "not-direct", bulkAnd(func(e *policy.Evidence) {
		e.Auth.DKIM, e.Access.Pattern = nil, policy.PatternMailingList
	})},
	{"bulk-dkim", "auth-temperror", bulkAnd(func(e *policy.Evidence) { e.Auth.DKIM[0].Result = policy.AuthTempError })},
	{"bulk-dkim", "dkim-pass", bulkSender},
	{"bulk-alignment", "bulk-unaligned", bulkAnd(func(e *policy.Evidence) {
		e.Auth.SPF.OrgDomain, e.Auth.DKIM[0].OrgDomain = "esp.example", "esp.example"
	})},
	{"bulk-alignment", "no-peer", bulkAnd(noPeer)},
	{"bulk-alignment", "auth-temperror", bulkAnd(func(e *policy.Evidence) {
		e.Auth.SPF.OrgDomain, e.Auth.DKIM[0].Result = "esp.example", policy.AuthTempError
	})},
	{"bulk-alignment", "not-bulk", func(*policy.Evidence) {}},
	{"bulk-alignment", "not-direct", bulkAnd(func(e *policy.Evidence) { e.Access.Pattern = policy.PatternMailingList })},
	{"bulk-alignment", "from-unusable", bulkAnd(func(e *policy.Evidence) { e.Header.From = nil })},
	{"bulk-alignment", "auth-temperror", bulkAnd(func(e *policy.Evidence) {
		e.Auth.SPF.Result, e.Auth.DKIM = policy.AuthTempError, nil
	})},
	{"bulk-alignment", "aligned", bulkSender},
	{"bulk-dmarc", "bulk-dmarc-missing", bulkAnd(func(e *policy.Evidence) {
		e.Auth.DMARC = policy.DMARC{Result: policy.AuthNone, Domain: "shop.example", OrgDomain: "shop.example"}
	})},
	{"bulk-dmarc", "no-peer", bulkAnd(noPeer)},
	{"bulk-dmarc", "not-bulk", func(*policy.Evidence) {}},
	{"bulk-dmarc", "dmarc-not-evaluated", bulkAnd(func(e *policy.Evidence) {
		e.Auth.DMARC.Result, e.Auth.DMARC.Policy = policy.AuthTempError, ""
	})},
	{"bulk-dmarc", "dmarc-record", bulkAnd(func(e *policy.Evidence) { e.Auth.DMARC.Policy = "none" })},
	{"bulk-one-click", "one-click-missing", oneClick(func(u *policy.Unsubscribe) { *u = policy.Unsubscribe{} })},
	{"bulk-one-click", "one-click-broken", oneClick(func(u *policy.Unsubscribe) { u.URIs = u.URIs[:1] })},
	{"bulk-one-click", "no-peer", bulkAnd(noPeer)},
	{"bulk-one-click", "not-bulk", func(*policy.Evidence) {}},
	{"bulk-one-click", "one-click", bulkSender},
	{"subject-honest", "false-reply", func(e *policy.Evidence) { e.Header.Subject = "RE: your order" }},
	{"subject-honest", "subject-honest", func(e *policy.Evidence) { e.Header.Subject, e.Header.Reply = "Fwd: your order", true }},
	{"display-name", "name-is-subject", func(e *policy.Evidence) { e.Header.From[0].Name = "APPROVE" }},
	{"display-name", "name-has-recipient", func(e *policy.Evidence) { e.Header.From[0].Name = "Alice@gmail.test via Shop" }},
	{"display-name", "name-has-count", func(e *policy.Evidence) { e.Header.From[0].Name = "Shop, me (2)" }},
	{"display-name", "from-unusable", func(e *policy.Evidence) { e.Header.From = nil }},
	{"display-name", "name-good", func(e *policy.Evidence) { e.Header.From[0].Name = "Shop (EU)" }},
	{"sending-rate", "rate-ip", rate(policy.ByPeer, 61)},
	{"sending-rate", "rate-netblock", rate(policy.ByNetblock, 61)},
	{"sending-rate", "rate-dkim", rate(policy.ByDKIM, 61)},
	{"sending-rate", "rate-spf", rate(policy.BySPF, 61)},
	{"sending-rate", "rate-message-id", rate(policy.ByMessageID, 61)},
	{"sending-rate", "rate-within", rate(policy.ByPeer, 60)},
}

func TestGuidelines(t *testing.T) {
	t.Parallel()
	reached := map[policy.CheckID][]policy.Reason{}
	for _, tt := range guidelineCases {
		e, reg := good()
		tt.change(&e)
		f, ok := policy.Decide(e, reg).Finding(tt.check)
		if !ok || f.Reason != tt.reason {
			t.Errorf("%s: got %s, want %s", tt.check, f.Reason, tt.reason)
		}
		reached[tt.check] = append(reached[tt.check], f.Reason)
	}
	for _, c := range policy.Checks() {
		for _, r := range c.Reasons {
			if list, named := reached[c.ID]; named && !slices.Contains(list, r) {
				t.Errorf("no case reaches %s of %s", r, c.ID)
			}
		}
	}
}

// effectCases are rules whose effect is a dial, with the replies of that rule.
var effectCases = []struct {
	check      policy.CheckID
	dial       policy.DialID
	change     func(*policy.Evidence)
	temp, perm string // Code and enhanced code.
}{
	{"reverse-dns", policy.DialReverseDNS, func(e *policy.Evidence) { e.Auth.ReverseDNS.Result = policy.AuthNone }, "451 4.7.23", "550 5.7.25"},
	{"transport-security", policy.DialTLS, func(e *policy.Evidence) { e.Arrival.TLS = "" }, "421 4.7.29", "550 5.7.29"},
	{"transport-security", policy.DialBulkTLS, bulkAnd(func(e *policy.Evidence) { e.Arrival.TLS = "" }), "421 4.7.29", "550 5.7.29"},
	{"spf-record", policy.DialSuspiciousSPF, func(e *policy.Evidence) { e.Auth.SPF.Mechanism = "all" }, "451 4.7.24", "550 5.7.24"},
	{"impersonation", policy.DialImpersonation, from("boss@gmail.test"), "421 4.7.32", "550 5.7.32"},
	{"bulk-spf", policy.DialBulkSPF, bulkAnd(func(e *policy.Evidence) { e.Auth.SPF.Result = policy.AuthNone }), "421 4.7.27", "550 5.7.27"},
	{"bulk-dkim", policy.DialBulkDKIM, bulkAnd(func(e *policy.Evidence) { e.Auth.DKIM = nil }), "421 4.7.30", "550 5.7.30"},
	{"bulk-dmarc", policy.DialBulkDMARC, bulkAnd(func(e *policy.Evidence) { e.Auth.DMARC.Policy = "" }), "421 4.7.40", "550 5.7.40"},
	{"bulk-alignment", policy.DialBulkAlignment, bulkAnd(func(e *policy.Evidence) {
		e.Auth.SPF.OrgDomain, e.Auth.DKIM[0].OrgDomain = "esp.example", "esp.example"
	}), "421 4.7.32", "550 5.7.32"},
	{"sending-rate", policy.DialRateExceeded, rate(policy.ByNetblock, 61), "421 4.7.28", "550 5.7.28"},
	{"receiving-rate", policy.DialAccountRate, rate(policy.ByAccount, 61), "450 4.2.1", "550 5.2.1"},
	{"message-id", policy.DialBrokenID, func(e *policy.Evidence) { e.Header.MessageID = "1" }, "", "550 5.7.1"},
	{"message-id", policy.DialMessageID, func(e *policy.Evidence) { e.Header.MessageID = "" }, "", "550 5.7.1"},
	{"authenticated", policy.DialUnauthentic, func(e *policy.Evidence) { unauthenticate(e, policy.AuthSoftFail) }, "421 4.7.26", "550 5.7.26"},
}

// TestGuidelineEffects sets every dial of an effect to each of its values.
func TestGuidelineEffects(t *testing.T) {
	t.Parallel()
	for _, tt := range effectCases {
		dials := policy.AllDials()
		d := dials[slices.IndexFunc(dials, func(d policy.Dial) bool { return d.ID == tt.dial })]
		for _, value := range d.Values {
			e, reg := good()
			tt.change(&e)
			e.Dials = policy.Dials{tt.dial: value}
			v := policy.Decide(e, reg)
			got := fmt.Sprintf("%s %s %d %s", v.Delivery, v.Folder, v.Reply.Code, v.Reply.Enhanced)
			want := map[string]string{
				"note": "accept inbox 250 2.0.0", "spam": "accept spam 250 2.0.0", "documented": "accept spam 250 2.0.0",
				"defer": "defer  " + tt.temp, "reject": "reject  " + tt.perm,
			}[value]
			if f, _ := v.Finding(tt.check); got != want || f.Result != policy.Fail || f.Advice != (value == "note") || (v.Decider == tt.check) != (value != "note") {
				t.Errorf("%s=%s: got %s by %q (%+v), want %s", tt.dial, value, got, v.Decider, f, want)
			}
		}
	}
}

// TestPhase holds that what is known at RCPT is answered there, and told in the
// same words when nobody asked there.
func TestPhase(t *testing.T) {
	t.Parallel()
	for _, tt := range guidelineCases {
		e, reg := good()
		tt.change(&e)
		v := policy.Decide(e, reg)
		r, ok := policy.DecideRcpt(e)
		if v.Phase == policy.PhaseRcpt == ok || !ok && r.Text() != v.Reply.Text() {
			t.Errorf("%s %s: verdict at %q says %v, RCPT says %v", tt.check, tt.reason, v.Phase, v.Reply, r)
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"off", "60/1m", "60/1m,3600/1h,86400/24h", "0/1s"} {
		if _, _, err := policy.ParseDial("rate.ip", text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"", "60", "60/", "/1m", "-1/1m", "60/1ms", "60/200h", "1e9/1m", "60/1m,", "x/1m", "off,1/1m"} {
		if _, _, err := policy.ParseDial("rate.ip", text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	if n := len(policy.AllDials()); n > 100 {
		t.Errorf("%d dials: maxDials has to be larger", n)
	}
	if got := (policy.Dials{policy.DialRateAccount: "60/1m, 3600/1h,86400/24h"}).Limits(policy.DialRateAccount); len(got) != 0 {
		t.Errorf("limits that cannot be read: %v", got)
	}
	set := (policy.Dials{policy.DialRatePeer: "60/60s,3600/60m,86400/1440m"}).Limits(policy.DialRatePeer)
	if got := (policy.Dials{}).Limits(policy.DialRateAccount); !slices.Equal(got, set) {
		t.Errorf("the default is %v, and as read %v", got, set)
	}
	if got := (policy.Dials{}).Limits(policy.DialRateAccount); len(got) != 3 || got[1] != (policy.Limit{Count: 3600, Window: time.Hour}) {
		t.Errorf("limits of an account: %v", got)
	}
	for _, text := range []string{"0", "-5", "many", "99999999999999"} {
		if _, _, err := policy.ParseDial("bulk.volume", text); err == nil {
			t.Errorf("%q was taken as a volume", text)
		}
	}
}

// TestRateForGood holds that a domain is never refused for good for its rate: the
// catalogue has no such reply.
func TestRateForGood(t *testing.T) {
	t.Parallel()
	e, reg := good()
	rate(policy.BySPF, 61)(&e)
	e.Dials = policy.Dials{policy.DialRateExceeded: "reject"}
	if v := policy.Decide(e, reg); v.Delivery != policy.Defer || v.Reply.Enhanced != "4.7.28" {
		t.Errorf("got %s, %v", v.Delivery, v.Reply)
	}
}

// TestRefusalOverrulesSpam holds that mail which would be filed as spam is refused
// like any other for what else is wrong with it.
func TestRefusalOverrulesSpam(t *testing.T) {
	t.Parallel()
	e, reg := good()
	e.Auth.DMARC.Result, e.Auth.DMARC.Policy, e.Header.Size = policy.AuthFail, "quarantine", 1<<30
	v := policy.Decide(e, reg)
	if v.Delivery != policy.Reject || v.Decider != "message-size" || v.Folder != "" || v.Reply.Enhanced != "5.3.4" {
		t.Errorf("got %s %q by %s, %v", v.Delivery, v.Folder, v.Decider, v.Reply)
	}
}

func TestReplyFor(t *testing.T) {
	t.Parallel()
	e := policy.Evidence{}
	e.Auth.SPF.Domain = strings.Repeat("x", 254) + "é"
	for _, c := range policy.Catalogue() {
		for _, line := range policy.ReplyFor(c.ID, &e).Lines {
			if !utf8.ValidString(line) || strings.Contains(line, "}") {
				t.Errorf("%s: line %q", c.ID, line)
			}
		}
	}
	if r := policy.ReplyFor("no-such-reply", &e); r.Code != 451 {
		t.Errorf("an unknown reply is %v", r)
	}
}
