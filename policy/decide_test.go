package policy_test

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/policy"
)

var noon = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

// good is evidence in which every check passes or is skipped: a case of a
// test shows only what it changes.
func good() (policy.Evidence, policy.Registry) {
	e := policy.Evidence{
		World:   "w1",
		At:      noon,
		Arrival: policy.Arrival{Channel: policy.ChannelSMTP, Peer: netip.MustParseAddr("192.0.2.10"), HELO: "mail.shop.example", TLS: "TLS1_3", MailFrom: "bounce@shop.example", Rcpt: "alice@gmail.test"},
		Account: policy.Account{Address: "alice@gmail.test"},
		Header: policy.Header{
			From: []policy.Address{{Name: "Shop", Addr: "noreply@shop.example", Domain: "shop.example"}}, FromFields: 1,
			To:      []policy.Address{{Addr: "alice@gmail.test", Domain: "gmail.test"}},
			Subject: "Approve", MessageID: "<1@shop.example>", Received: 1, Fields: 8, HeaderSize: 900, Size: 2000,
		},
		Auth: policy.Authentication{
			SPF:        policy.SPF{Result: policy.AuthPass, Identity: "mailfrom", Domain: "shop.example", OrgDomain: "shop.example"},
			DKIM:       []policy.DKIM{{Result: policy.AuthPass, Domain: "shop.example", OrgDomain: "shop.example", Headers: []string{"from", "to", "list-unsubscribe", "list-unsubscribe-post"}}},
			DMARC:      policy.DMARC{Result: policy.AuthPass, Domain: "shop.example", OrgDomain: "shop.example", Discovery: "treewalk", Policy: "reject", SPFAligned: true, DKIMAligned: true},
			ReverseDNS: policy.ReverseDNS{Result: policy.AuthPass, Name: "mail.shop.example"},
		},
		Access: policy.Access{Pattern: policy.PatternDirect, Confidence: policy.ConfidenceProven},
		Markup: policy.Markup{
			Items: []string{"EmailMessage"},
			Actions: []policy.Action{{
				Syntax: "json-ld", Type: "ConfirmAction", On: "EmailMessage", Name: "Approve expense", Kind: policy.KindInApp,
				Handlers: []policy.Handler{{Type: "HttpActionHandler", URL: "https://shop.example/approve?t=a8f3c2d91b0e47d6", Method: "POST"}},
			}},
			Unsubscribe: policy.Unsubscribe{Fields: 1, URIs: []string{"mailto:u@shop.example", "https://shop.example/u"}, PostFields: 1, Post: "List-Unsubscribe=One-Click"},
		},
	}
	return e, policy.Registry{{From: "noreply@shop.example", Actions: []string{"ConfirmAction"}, Bearer: true}}
}

func TestDecideGood(t *testing.T) {
	t.Parallel()
	e, reg := good()
	v := policy.Decide(e, reg)
	if v.Delivery != policy.Accept || v.Folder != policy.Inbox || v.Decider != "" || v.Reply.Code != 250 {
		t.Errorf("delivery = %s %s by %q, reply %v", v.Delivery, v.Folder, v.Decider, v.Reply)
	}
	if a := v.Actions[0]; a.Answer != policy.Offered || a.Reason != policy.ReasonOffered || a.Registration == nil {
		t.Errorf("action = %+v", a)
	}
	if v.Unsubscribe.Answer != policy.Offered || v.Unsubscribe.URL != "https://shop.example/u" {
		t.Errorf("unsubscribe = %+v", v.Unsubscribe)
	}
	if v.Unsubscribe.Findings[4].Reason != "dkim-aligned" {
		t.Errorf("unsubscribe alignment: %+v", v.Unsubscribe.Findings[4])
	}
	for _, list := range [][]policy.Finding{v.Findings, v.Actions[0].Findings, v.Unsubscribe.Findings} {
		for _, f := range list {
			if f.Result == policy.Fail {
				t.Errorf("%s fails on good evidence: %s", f.Check, f.Detail)
			}
		}
	}
}

// deliveryCases have one change each, and the check and reason that decide.
var deliveryCases = []struct {
	name     string
	change   func(*policy.Evidence)
	delivery policy.Delivery
	folder   policy.Folder
	check    policy.CheckID
	reason   policy.Reason
	code     int
	enhanced string
}{
	{"no header", problem("no-header"), policy.Reject, "", "message-format", "message-malformed", 554, "5.6.0"},
	{"nul", problem("nul"), policy.Reject, "", "message-format", "message-malformed", 554, "5.6.0"},
	{"several From", problem("from-several"), policy.Reject, "", "message-format", "from-several", 550, "5.7.1"},
	{"several authors", func(e *policy.Evidence) {
		e.Header.From = append(e.Header.From, policy.Address{Addr: "x@evil.example", Domain: "evil.example"})
	}, policy.Reject, "", "message-format", "from-several", 550, "5.7.1"},
	{"no From", problem("no-from"), policy.Reject, "", "message-format", "from-missing", 550, "5.7.1"},
	{"bad From", problem("from-unreadable"), policy.Reject, "", "message-format", "from-unreadable", 550, "5.7.1"},
	{"two Subjects", problem("duplicate-field"), policy.Reject, "", "message-format", "field-repeated", 550, "5.7.1"},
	{"header size", func(e *policy.Evidence) { e.Header.HeaderSize = 512001 }, policy.Reject, "", "header-limits", "header-too-large", 552, "5.3.4"},
	{"header fields", func(e *policy.Evidence) { e.Header.Fields = 5001 }, policy.Reject, "", "header-limits", "header-too-many-fields", 552, "5.3.4"},
	{"long field", func(e *policy.Evidence) { e.Header.LongestValue = 32769 }, policy.Reject, "", "header-limits", "field-too-long", 552, "5.3.4"},
	{"long name", func(e *policy.Evidence) { e.Header.LongestName = 1025 }, policy.Reject, "", "header-limits", "field-name-too-long", 552, "5.3.4"},
	{"hops", func(e *policy.Evidence) { e.Header.Received = 51 }, policy.Reject, "", "hop-count", "too-many-hops", 554, "5.4.6"},
	{"nothing passes", func(e *policy.Evidence) { unauthenticate(e, policy.AuthSoftFail) }, policy.Reject, "", "authenticated", "unauthenticated", 550, "5.7.26"},
	{"hard fail", func(e *policy.Evidence) { unauthenticate(e, policy.AuthFail) }, policy.Reject, "", "authenticated", "spf-hard-fail", 550, "5.7.26"},
	{"DNS outage", func(e *policy.Evidence) { unauthenticate(e, policy.AuthTempError) }, policy.Defer, "", "dns-available", "dns-temperror", 451, "4.7.26"},
	{"DMARC outage", func(e *policy.Evidence) { e.Auth.DMARC.Result = policy.AuthTempError }, policy.Defer, "", "dns-available", "dns-temperror", 451, "4.7.26"},
	{"p=reject", func(e *policy.Evidence) { e.Auth.DMARC.Result = policy.AuthFail }, policy.Reject, "", "dmarc-policy", "dmarc-reject", 550, "5.7.26"},
	{"p=reject by RFC 9989", func(e *policy.Evidence) {
		e.Auth.DMARC.Result = policy.AuthFail
		e.Dials = policy.Dials{policy.DialProfile: "rfc"}
	}, policy.Accept, policy.Spam, "dmarc-policy", "dmarc-quarantine", 250, "2.0.0"},
	{"p=quarantine", func(e *policy.Evidence) {
		e.Auth.DMARC.Result, e.Auth.DMARC.Policy = policy.AuthFail, "quarantine"
	}, policy.Accept, policy.Spam, "dmarc-policy", "dmarc-quarantine", 250, "2.0.0"},
	{"DMARC record that does not count", func(e *policy.Evidence) {
		e.Auth.DMARC = policy.DMARC{Result: policy.AuthNone, Domain: "shop.example", OrgDomain: "shop.example", Problem: "two records"}
	}, policy.Accept, policy.Inbox, "", "", 250, "2.0.0"},
	{"outage that delivery does not depend on", func(e *policy.Evidence) { e.Auth.SPF.Result = policy.AuthTempError }, policy.Accept, policy.Inbox, "", "", 250, "2.0.0"},
	{"no peer", func(e *policy.Evidence) {
		unauthenticate(e, policy.AuthNone)
		e.Arrival.Peer = netip.Addr{}
	}, policy.Reject, "", "authenticated", "unauthenticated", 550, "5.7.26"},
	{"p=none", func(e *policy.Evidence) {
		e.Auth.DMARC.Result, e.Auth.DMARC.Policy = policy.AuthFail, "none"
	}, policy.Accept, policy.Inbox, "", "", 250, "2.0.0"},
	{"no PTR, by default", func(e *policy.Evidence) { e.Auth.ReverseDNS = policy.ReverseDNS{Result: policy.AuthNone} }, policy.Accept, policy.Inbox, "", "", 250, "2.0.0"},
	{"no PTR, deferred", ptr(policy.AuthNone, "defer"), policy.Defer, "", "reverse-dns", "ptr-missing", 451, "4.7.23"},
	{"PTR mismatch, rejected", ptr(policy.AuthFail, "reject"), policy.Reject, "", "reverse-dns", "ptr-mismatch", 550, "5.7.25"},
}

func problem(code policy.Reason) func(*policy.Evidence) {
	return func(e *policy.Evidence) { e.Header.Problems = []policy.Problem{{Code: code, Text: "what"}} }
}

func ptr(result policy.AuthResult, dial string) func(*policy.Evidence) {
	return func(e *policy.Evidence) {
		e.Auth.ReverseDNS = policy.ReverseDNS{Result: result}
		e.Dials = policy.Dials{policy.DialReverseDNS: dial}
	}
}

func unauthenticate(e *policy.Evidence, spf policy.AuthResult) {
	e.Auth.SPF.Result = spf
	e.Auth.DKIM = nil
	e.Auth.DMARC.Result = policy.AuthNone
}

func TestDecideDelivery(t *testing.T) {
	t.Parallel()
	for _, tt := range deliveryCases {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e, reg := good()
			tt.change(&e)
			v := policy.Decide(e, reg)
			f, _ := v.Finding(v.Decider)
			if v.Delivery != tt.delivery || v.Folder != tt.folder || v.Decider != tt.check || f.Reason != tt.reason {
				t.Errorf("got %s %s by %q (%s), want %s %s by %q (%s)\n%s", v.Delivery, v.Folder, v.Decider, f.Reason, tt.delivery, tt.folder, tt.check, tt.reason, v.Text())
			}
			if v.Reply.Code != tt.code || v.Reply.Enhanced != tt.enhanced {
				t.Errorf("reply = %d %s, want %d %s", v.Reply.Code, v.Reply.Enhanced, tt.code, tt.enhanced)
			}
		})
	}
}

var actionCases = []struct {
	name   string
	change func(*policy.Evidence, *policy.Action)
	check  policy.CheckID // Empty: offered.
	reason policy.Reason
}{
	{"unauthenticated", func(e *policy.Evidence, _ *policy.Action) { unauthenticate(e, policy.AuthNone) }, "sender-authenticated", "unauthenticated"},
	{"outage", func(e *policy.Evidence, _ *policy.Action) { unauthenticate(e, policy.AuthTempError) }, "sender-authenticated", "auth-temperror"},
	{"SPF only", func(e *policy.Evidence, _ *policy.Action) { e.Auth.DKIM = nil }, "", "offered"},
	{"DKIM only", func(e *policy.Evidence, _ *policy.Action) { e.Auth.SPF.Result = policy.AuthNone }, "", "offered"},
	{"subdomain", func(e *policy.Evidence, _ *policy.Action) {
		e.Auth.SPF.Result = policy.AuthNone
		e.Auth.DKIM[0].Domain = "mail.shop.example"
	}, "", "offered"},
	{"unaligned", func(e *policy.Evidence, _ *policy.Action) {
		e.Auth.SPF.OrgDomain, e.Auth.DKIM[0].OrgDomain = "esp.example", "esp.example"
	}, "sender-aligned", "unaligned"},
	{"From without organisational domain", func(e *policy.Evidence, _ *policy.Action) {
		e.Header.From[0] = policy.Address{Addr: "noreply@shop.example", Domain: "intranet"}
		e.Auth.DMARC.Domain, e.Auth.DMARC.OrgDomain = "intranet", ""
		e.Auth.SPF.Domain, e.Auth.SPF.OrgDomain = "evil.example", ""
		e.Auth.DKIM = nil
	}, "sender-aligned", "unaligned"},
	{"From without organisational domain, same domain", func(e *policy.Evidence, _ *policy.Action) {
		e.Auth.DMARC.OrgDomain, e.Auth.SPF.OrgDomain = "", ""
		e.Auth.DKIM = nil
	}, "", "offered"},
	{"own signature could not be looked up", func(e *policy.Evidence, _ *policy.Action) {
		e.Auth.SPF.Domain, e.Auth.SPF.OrgDomain = "esp.example", "esp.example"
		e.Auth.DKIM[0].Result = policy.AuthTempError
	}, "sender-aligned", "auth-temperror"},
	{"body not signed", func(e *policy.Evidence, _ *policy.Action) {
		e.Auth.SPF.Result = policy.AuthNone
		e.Auth.DKIM[0].Uncovered = 352
	}, "content-signed", "body-uncovered"},
	{"body not signed, by dial", func(e *policy.Evidence, _ *policy.Action) {
		e.Auth.SPF.Result = policy.AuthNone
		e.Auth.DKIM[0].Uncovered = 352
		e.Dials = policy.Dials{policy.DialPartialBody: "offered"}
	}, "", "offered"},
	{"body not signed, the peer vouches", func(e *policy.Evidence, _ *policy.Action) { e.Auth.DKIM[0].Uncovered = 352 }, "", "offered"},
	{"body not signed, by one of two", func(e *policy.Evidence, _ *policy.Action) {
		e.Auth.SPF.Result = policy.AuthNone
		e.Auth.DKIM = append([]policy.DKIM{e.Auth.DKIM[0]}, e.Auth.DKIM...)
		e.Auth.DKIM[0].Uncovered = 352
	}, "", "offered"},
	{"two From addresses", func(e *policy.Evidence, _ *policy.Action) {
		e.Header.From = append(e.Header.From, policy.Address{Addr: "x@evil.example", Domain: "evil.example"})
	}, "from-static", "from-several"},
	{"other sender", func(e *policy.Evidence, _ *policy.Action) { e.Header.From[0].Addr = "sales@shop.example" }, "sender-registered", "unregistered"},
	{"other type", func(_ *policy.Evidence, a *policy.Action) { a.Type = "SaveAction" }, "sender-registered", "action-type-unregistered"},
	{"self", func(e *policy.Evidence, _ *policy.Action) {
		e.Access.Pattern = policy.PatternSelf
		e.Header.From[0].Addr = "alice@shop.example"
	}, "", "offered"},
	{"ambiguous", func(e *policy.Evidence, _ *policy.Action) {
		e.Access = policy.Access{Pattern: policy.PatternAmbiguous, Settle: "an SPF pass"}
	}, "access-pattern", "ambiguous"},
	{"spam", func(e *policy.Evidence, _ *policy.Action) {
		e.Auth.DMARC.Result, e.Auth.DMARC.Policy = policy.AuthFail, "quarantine"
	}, "delivered", "in-spam"},
	{"rejected", func(e *policy.Evidence, _ *policy.Action) { e.Header.Received = 60 }, "delivered", "would-be-rejected"},
	{"handler missing", func(_ *policy.Evidence, a *policy.Action) { a.Kind, a.Handlers = policy.KindNothing, nil }, "handler-or-target", "handler-missing"},
	{"two handlers", func(_ *policy.Evidence, a *policy.Action) { a.Handlers = append(a.Handlers, a.Handlers[0]) }, "handler-or-target", "handler-several"},
	{"http", handlerURL("http://shop.example/approve"), "action-url", "url-not-https"},
	{"relative", handlerURL("/approve"), "action-url", "url-relative"},
	{"no host", handlerURL("https:///approve"), "action-url", "url-relative"},
	{"credentials", handlerURL("https://u:p@shop.example/"), "action-url", "url-credentials"},
	{"fragment", handlerURL("https://shop.example/#a"), "action-url", "url-fragment"},
	{"empty fragment", handlerURL("https://shop.example/#"), "action-url", "url-fragment"},
	{"space", handlerURL("https://shop.example/a b"), "action-url", "url-malformed"},
	{"line break", handlerURL("https://shop.example/\r\nX: y"), "action-url", "url-malformed"},
	{"port only", handlerURL("https://:443/x"), "action-url", "url-malformed"},
	{"port too high", handlerURL("https://shop.example:99999/"), "action-url", "url-malformed"},
	{"port zero", handlerURL("https://shop.example:0/"), "action-url", "url-malformed"},
	{"empty label", handlerURL("https://a..b/"), "action-url", "url-malformed"},
	{"host of other characters", handlerURL("https://<script>/"), "action-url", "url-malformed"},
	{"number as host", handlerURL("https://2130706433/"), "action-url", "url-malformed"},
	{"hexadecimal number as host", handlerURL("https://0x7f000001/"), "action-url", "url-malformed"},
	{"with its last octet so", handlerURL("https://127.0.0.0X1/"), "action-url", "url-malformed"},
	{"name that has one inside", handlerURL("https://0x7f.shop.example/"), "", "offered"},
	{"IPv6", handlerURL("https://[2001:db8::1]:8443/x"), "", "offered"},
	{"missing", handlerURL(""), "action-url", "url-missing"},
	{"beyond the number", func(e *policy.Evidence, a *policy.Action) {
		a.Index, e.Dials = 2, policy.Dials{policy.DialMaxActions: "2"}
	}, "action-counted", "beyond-max-actions"},
	{"last of the number", func(e *policy.Evidence, a *policy.Action) {
		a.Index, e.Dials = 1, policy.Dials{policy.DialMaxActions: "2"}
	}, "", "offered"},
	{"beyond the size", func(e *policy.Evidence, a *policy.Action) {
		a.Extent, e.Dials = 2001, policy.Dials{policy.DialMaxMarkup: "2000"}
	}, "action-counted", "beyond-max-size"},
	{"as far as the size", func(e *policy.Evidence, a *policy.Action) {
		a.Extent, e.Dials = 2000, policy.Dials{policy.DialMaxMarkup: "2000"}
	}, "", "offered"},
	{"other syntax alone", func(e *policy.Evidence, _ *policy.Action) {
		e.Dials = policy.Dials{policy.DialSyntax: "microdata"}
	}, "", "offered"},
	{"other syntax", func(e *policy.Evidence, _ *policy.Action) {
		e.Markup.Actions = append(e.Markup.Actions, policy.Action{Index: 1, Syntax: "microdata", Type: "ViewAction"})
		e.Dials = policy.Dials{policy.DialSyntax: "microdata"}
	}, "action-counted", "other-syntax"},
	{"other syntax in a mail inside", func(e *policy.Evidence, _ *policy.Action) {
		e.Markup.Actions = append(e.Markup.Actions, policy.Action{Index: 1, Syntax: "microdata", Type: "ViewAction", Enclosed: policy.EnclosedAttachment})
		e.Dials = policy.Dials{policy.DialSyntax: "microdata"}
	}, "", "offered"},
	{"not started", func(_ *policy.Evidence, a *policy.Action) { a.Start = noon.Add(time.Second) }, "action-period", "action-not-started"},
	{"expired", func(_ *policy.Evidence, a *policy.Action) { a.End = noon }, "action-period", "action-expired"},
	{"endTime unreadable", func(_ *policy.Evidence, a *policy.Action) { a.EndTime = "tomorrow" }, "action-period", "period-unreadable"},
	{"startTime unreadable", func(_ *policy.Evidence, a *policy.Action) { a.StartTime = "0001-01-01T00:00:00Z" }, "action-period", "period-unreadable"},
	{"in its period", func(_ *policy.Evidence, a *policy.Action) { a.Start, a.End = noon, noon.Add(time.Second) }, "", "offered"},
	{"advice never withholds", func(e *policy.Evidence, a *policy.Action) {
		a.Name, a.Legacy = "APPROVE!", []string{"action"}
		a.Handlers[0] = policy.Handler{Type: "HttpActionHandler", URL: "https://127.0.0.1/x", Link: true}
		e.EarlierURLs = []string{"https://127.0.0.1/x"}
		e.Markup.Problems = []policy.Problem{{Code: "json-syntax", Text: "broken"}}
	}, "", "offered"},
}

func handlerURL(u string) func(*policy.Evidence, *policy.Action) {
	return func(_ *policy.Evidence, a *policy.Action) { a.Handlers[0].URL = u }
}

func TestDecideAction(t *testing.T) {
	t.Parallel()
	for _, tt := range actionCases {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e, reg := good()
			tt.change(&e, &e.Markup.Actions[0])
			v := policy.Decide(e, reg)
			if a := v.Actions[0]; a.Decider != tt.check || a.Reason != tt.reason || (a.Answer == policy.Offered) != (tt.check == "") {
				t.Errorf("got %s by %q (%s), want by %q (%s)\n%s", a.Answer, a.Decider, a.Reason, tt.check, tt.reason, v.Text())
			}
		})
	}
}

func TestDecideKindNotType(t *testing.T) {
	t.Parallel()
	e, _ := good()
	// A ConfirmAction with a target is a link (gmail-actions.md 1.5).
	e.Markup.Actions[0] = policy.Action{Type: "ConfirmAction", Kind: policy.KindGoTo, Name: "Confirm", Targets: []string{"http://shop.example/c"}}
	reg := policy.Registry{{From: "shop.example"}}
	if v := policy.Decide(e, reg); v.Actions[0].Answer != policy.Offered {
		t.Errorf("link withheld:\n%s", v.Text())
	}
	e.Dials = policy.Dials{policy.DialHTTPTarget: "withheld"}
	if v := policy.Decide(e, reg); v.Actions[0].Reason != "target-http" {
		t.Errorf("reason = %s, want target-http", v.Actions[0].Reason)
	}
	e.Access.Pattern = policy.PatternAmbiguous
	e.Dials = nil
	if v := policy.Decide(e, reg); v.Actions[0].Answer != policy.Offered {
		t.Errorf("ambiguous withholds a link:\n%s", v.Text())
	}
}

func TestDecideUnsubscribe(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*policy.Evidence, *policy.Unsubscribe)
		answer policy.Answer
		reason policy.Reason
	}{
		{"none", func(_ *policy.Evidence, u *policy.Unsubscribe) { *u = policy.Unsubscribe{} }, policy.Absent, "none"},
		{"no Post", func(_ *policy.Evidence, u *policy.Unsubscribe) { u.PostFields, u.Post = 0, "" }, policy.Withheld, "post-missing"},
		{"two fields", func(_ *policy.Evidence, u *policy.Unsubscribe) { u.Fields = 2 }, policy.Withheld, "field-repeated"},
		{"mailto only", func(_ *policy.Evidence, u *policy.Unsubscribe) { u.URIs = u.URIs[:1] }, policy.Withheld, "https-missing"},
		{"two https", func(_ *policy.Evidence, u *policy.Unsubscribe) {
			u.URIs = []string{"https://a.example/", "HTTPS://b.example/"}
		}, policy.Withheld, "https-several"},
		{"wrong pair", func(_ *policy.Evidence, u *policy.Unsubscribe) { u.Post = "List-Unsubscribe=one-click" }, policy.Withheld, "post-value"},
		{"credentials", func(_ *policy.Evidence, u *policy.Unsubscribe) { u.URIs = []string{"https://a:b@c.example/"} }, policy.Withheld, "url-malformed"},
		{"not covered", func(e *policy.Evidence, _ *policy.Unsubscribe) {
			e.Auth.DKIM[0].Headers = []string{"from", "list-unsubscribe"}
		}, policy.Withheld, "not-covered"},
		{"no DKIM", func(e *policy.Evidence, _ *policy.Unsubscribe) { e.Auth.DKIM = nil }, policy.Withheld, "dkim-missing"},
		{"spam", func(e *policy.Evidence, _ *policy.Unsubscribe) {
			e.Auth.DMARC.Result, e.Auth.DMARC.Policy = policy.AuthFail, "quarantine"
		}, policy.Withheld, "in-spam"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e, reg := good()
			tt.change(&e, &e.Markup.Unsubscribe)
			if u := policy.Decide(e, reg).Unsubscribe; u.Answer != tt.answer || u.Reason != tt.reason || u.URL != "" {
				t.Errorf("got %s (%s) %q, want %s (%s)", u.Answer, u.Reason, u.URL, tt.answer, tt.reason)
			}
		})
	}
}

func TestDecideIsRepeatable(t *testing.T) {
	t.Parallel()
	e, reg := good()
	before, _ := good()
	first := policy.Decide(e, reg)
	if second := policy.Decide(e, reg); !reflect.DeepEqual(first, second) {
		t.Error("the same evidence got two verdicts")
	}
	if !reflect.DeepEqual(e, before) {
		t.Error("Decide changed its evidence")
	}
}

func TestChecksAreDocumented(t *testing.T) {
	t.Parallel()
	seen := map[policy.CheckID]bool{}
	advised := map[policy.Scope]bool{}
	for _, c := range policy.Checks() {
		if seen[c.ID] {
			t.Errorf("check %s stands twice", c.ID)
		}
		seen[c.ID] = true
		if c.Doc == "" || c.Source == "" || len(c.Reasons) == 0 {
			t.Errorf("check %s lacks its sentence, source or reasons", c.ID)
		}
		if advised[c.Scope] && !c.Advice && c.Scope == policy.ScopeAction {
			t.Errorf("check %s decides, and stands after one that advises", c.ID)
		}
		advised[c.Scope] = advised[c.Scope] || c.Advice
	}
	for _, d := range policy.AllDials() {
		if _, _, err := policy.ParseDial(string(d.ID), d.Default); err != nil {
			t.Errorf("dial %s does not take its own default: %v", d.ID, err)
		}
	}
	for _, c := range policy.Checks() {
		for _, id := range c.Dials {
			if !slices.ContainsFunc(policy.AllDials(), func(d policy.Dial) bool { return d.ID == id }) {
				t.Errorf("check %s reads dial %s, which does not exist", c.ID, id)
			}
		}
	}
}

// BenchmarkDecide shows what the policy costs a message with one action: as it
// is by default, and with a dial that is set.
func BenchmarkDecide(b *testing.B) {
	for name, dials := range map[string]policy.Dials{"defaults": nil, "dial set": {policy.DialHTTPTarget: "withheld"}} {
		b.Run(name, func(b *testing.B) {
			e, reg := good()
			e.Dials = dials
			b.ReportAllocs()
			for b.Loop() {
				if v := policy.Decide(e, reg); v.Actions[0].Answer != policy.Offered {
					b.Fatal(v.Text())
				}
			}
		})
	}
}
