package policy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/policy"
)

// FuzzDecide holds what is true of every verdict, whatever the evidence.
func FuzzDecide(f *testing.F) {
	f.Add("pass", "pass", "pass", "reject", "shop.example", "shop.example", "ConfirmAction", "https://shop.example/a", "Approve", uint16(0), int64(0))
	f.Add("temperror", "fail", "temperror", "none", "a", "b", "ViewAction", "http://x", "", uint16(255), int64(-5))
	f.Add("", "", "fail", "quarantine", "", "", "", "https://\x00", "\x1b[2J", uint16(0x5a), int64(1)<<40)
	f.Add("none", "fail", "fail", "none", "shop.example", "shop.example", "ConfirmAction", "https://shop.example/a", "Approve", uint16(0xff80), int64(0))
	f.Fuzz(func(t *testing.T, spf, dkim, dmarc, dmarcPolicy, domain, org, actionType, url, label string, bits uint16, seconds int64) {
		e, reg := good()
		set := func(n int) bool { return bits&(1<<n) != 0 }
		e.At = noon.Add(time.Duration(seconds))
		e.Auth.SPF.Result, e.Auth.SPF.OrgDomain = policy.AuthResult(spf), org
		e.Auth.DKIM[0].Result, e.Auth.DKIM[0].OrgDomain = policy.AuthResult(dkim), org
		e.Auth.DMARC.Result, e.Auth.DMARC.Policy = policy.AuthResult(dmarc), dmarcPolicy
		e.Header.From[0].Domain = domain
		a := &e.Markup.Actions[0]
		a.Type, a.Name, a.Handlers[0].URL = actionType, label, url
		if set(0) {
			a.Kind, a.Handlers, a.Targets = policy.KindGoTo, nil, []string{url}
		}
		if set(1) {
			e.Header.From = nil
		}
		if set(2) {
			e.Access.Pattern = policy.PatternAmbiguous
		}
		if set(3) {
			e.Access.Pattern = policy.PatternSelf
		}
		if set(4) {
			e.Auth.DKIM = nil
		}
		if set(5) {
			reg = nil
		}
		if set(6) {
			codes := []policy.Reason{"no-from", "bare-lf", "duplicate-field", "nul"}
			e.Header.Problems = []policy.Problem{{Code: codes[len(label)%len(codes)], Text: url}}
		}
		patterns := []policy.Pattern{
			e.Access.Pattern, policy.PatternManualForward, policy.PatternAutoForward, policy.PatternPOPFetch, policy.PatternMailingList, policy.PatternDirect,
		}
		e.Access.Pattern = patterns[int(bits>>7&7)%len(patterns)]
		if set(10) {
			a.Enclosed = policy.EnclosedInline
		}
		if set(11) {
			e.Access.Forward = &policy.Forward{Original: url, SendAs: domain}
		}
		if set(12) {
			e.Arrival = policy.Arrival{Channel: policy.ChannelPOP, Fetch: &policy.Fetch{Source: url}}
		}
		v := policy.Decide(e, reg)
		checkVerdict(t, e, v)
		if set(10) && v.Actions[0].Answer == policy.Offered {
			t.Error("the action of a forwarded mail is offered")
		}
		c := policy.DecideClick(policy.ClickEvidence{Message: e, At: e.At}, reg)
		if (c.Answer == policy.ClickRefuse) != (v.Actions[0].Answer == policy.Withheld) {
			t.Errorf("action %s, but a click at the same time is answered %s", v.Actions[0].Answer, c.Answer)
		}
		if c.Request != nil && !strings.HasPrefix(strings.ToLower(c.Request.URL), "https://") {
			t.Errorf("a request goes to %q", c.Request.URL)
		}
	})
}

func checkVerdict(t *testing.T, e policy.Evidence, v policy.Verdict) {
	t.Helper()
	byScope := map[policy.Scope][]policy.Check{}
	for _, c := range policy.Checks() {
		byScope[c.Scope] = append(byScope[c.Scope], c)
	}
	checkFindings(t, byScope[policy.ScopeMessage], v.Findings)
	checkFindings(t, byScope[policy.ScopeUnsubscribe], v.Unsubscribe.Findings)
	for _, a := range v.Actions {
		checkFindings(t, byScope[policy.ScopeAction], a.Findings)
		if first := firstFailure(a.Findings); first != a.Decider || (first == "") != (a.Answer == policy.Offered) {
			t.Errorf("action is %s by %q, and the first failure is %q", a.Answer, a.Decider, first)
		}
		authenticated := e.Auth.SPF.Result == policy.AuthPass || slices.ContainsFunc(e.Auth.DKIM, func(d policy.DKIM) bool { return d.Result == policy.AuthPass })
		if a.Answer == policy.Offered && (!authenticated || !vouched(e)) {
			t.Error("an action is offered though nothing vouches for the sender in From")
		}
		if f, _ := v.Finding("message-format"); a.Answer == policy.Offered && f.Result != policy.Pass {
			t.Error("an action of a malformed message is offered")
		}
	}
	if first := firstFailure(v.Findings); first != v.Decider {
		t.Errorf("decided by %q, and the first failure is %q", v.Decider, first)
	}
	accepted := 250
	if e.Arrival.Channel == policy.ChannelPOP {
		accepted = 0 // There is nobody to answer to.
	}
	if v.Delivery == policy.Accept && (v.Folder == "" || v.Reply.Code != accepted) || v.Delivery == policy.Reject && v.Reply.Code/100 != 5 || v.Delivery == policy.Defer && v.Reply.Code/100 != 4 {
		t.Errorf("%s to %q with %d", v.Delivery, v.Folder, v.Reply.Code)
	}
	if text := v.Text() + v.Brief(); strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f }) {
		t.Errorf("a control character reaches the text: %q", text)
	}
}

// vouched says, in words of its own, whether something that passes is of the
// domain in From.
func vouched(e policy.Evidence) bool {
	same := func(domain, org string) bool {
		return org != "" && org == e.Auth.DMARC.OrgDomain || domain != "" && domain == e.Auth.DMARC.Domain
	}
	if e.Auth.SPF.Result == policy.AuthPass && same(e.Auth.SPF.Domain, e.Auth.SPF.OrgDomain) {
		return true
	}
	return slices.ContainsFunc(e.Auth.DKIM, func(d policy.DKIM) bool { return d.Result == policy.AuthPass && same(d.Domain, d.OrgDomain) })
}

func checkFindings(t *testing.T, checks []policy.Check, list []policy.Finding) {
	t.Helper()
	if len(list) != len(checks) {
		t.Fatalf("%d findings for %d checks", len(list), len(checks))
	}
	for i, f := range list {
		c := checks[i]
		if f.Check != c.ID || !slices.Contains([]policy.Result{policy.Pass, policy.Fail, policy.Skip}, f.Result) || f.Detail == "" {
			t.Errorf("finding %d is %+v, of check %s", i, f, c.ID)
		}
		if !slices.Contains(c.Reasons, f.Reason) {
			t.Errorf("check %s gives the reason %q, which it does not list", c.ID, f.Reason)
		}
	}
}

// firstFailure names the first failed check that decides.
func firstFailure(list []policy.Finding) policy.CheckID {
	for _, f := range list {
		if f.Result == policy.Fail && !f.Advice {
			return f.Check
		}
	}
	return ""
}

// TestReasonsOfCases runs the invariants over every case of the tables.
func TestReasonsOfCases(t *testing.T) {
	t.Parallel()
	for _, tt := range deliveryCases {
		e, reg := good()
		tt.change(&e)
		checkVerdict(t, e, policy.Decide(e, reg))
	}
	for _, tt := range actionCases {
		e, reg := good()
		tt.change(&e, &e.Markup.Actions[0])
		checkVerdict(t, e, policy.Decide(e, reg))
	}
}
