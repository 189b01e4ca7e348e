package policy_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
)

// passedOn lets a mail come in a pattern other than direct: SPF vouches for the
// one who passed it on, and DKIM for the author.
func passedOn(p policy.Pattern) func(*policy.Evidence) {
	return func(e *policy.Evidence) {
		e.Access = policy.Access{Pattern: p, Confidence: policy.ConfidenceProven}
		e.Auth.SPF.Domain, e.Auth.SPF.OrgDomain = "fwd.example", "fwd.example"
	}
}

func broken(change policy.Change) func(*policy.Evidence) {
	return func(e *policy.Evidence) {
		e.Auth.DKIM[0].Result, e.Auth.DKIM[0].Change, e.Auth.DKIM[0].Problem = policy.AuthFail, change, "a line was added"
	}
}

func forward(f policy.Forward) func(*policy.Evidence) {
	return func(e *policy.Evidence) { e.Access.Forward = &f }
}

// accessCases are about how the mail came: changes, and the check and reason that
// decide.
var accessCases = []struct {
	name    string
	changes []func(*policy.Evidence)
	check   policy.CheckID
	reason  policy.Reason
}{
	{"inside a mail forwarded by hand", []func(*policy.Evidence){func(e *policy.Evidence) {
		e.Access.Pattern = policy.PatternManualForward
		e.Markup.Actions[0].Enclosed = policy.EnclosedInline
		e.Markup.Enclosed = []policy.Enclosed{{How: policy.EnclosedInline, Mark: "Begin forwarded message:"}}
	}}, "own-action", "manual-forward"},
	{"inside an attached mail, which comes first of all reasons", []func(*policy.Evidence){func(e *policy.Evidence) {
		unauthenticate(e, policy.AuthNone)
		e.Markup.Actions[0].Enclosed = policy.EnclosedAttachment
	}}, "own-action", "manual-forward"},
	{"forwarded by hand without a mark", []func(*policy.Evidence){func(e *policy.Evidence) {
		e.Access.Pattern, e.Access.Unmarked = policy.PatternManualForward, true
	}}, "own-action", "manual-forward"},
	{"forwarded by hand without a mark, and fetched", []func(*policy.Evidence){fetched, func(e *policy.Evidence) { e.Access.Unmarked = true }}, "own-action", "manual-forward"},
	{"the forwarder's own action", []func(*policy.Evidence){func(e *policy.Evidence) { e.Access.Pattern = policy.PatternManualForward }}, "", "offered"},

	{"automatic forward", []func(*policy.Evidence){passedOn(policy.PatternAutoForward), forward(policy.Forward{Original: "user@acme.test", SendAs: "user@acme.test"})}, "", "offered"},
	{"from an address that is not verified", []func(*policy.Evidence){passedOn(policy.PatternAutoForward), forward(policy.Forward{Original: "user@acme.test"})}, "access-pattern", "original-unverified"},
	{"from an address that is being verified", []func(*policy.Evidence){passedOn(policy.PatternAutoForward), forward(policy.Forward{Original: "user@acme.test"}), func(e *policy.Evidence) {
		e.Account.SendAs = []policy.SendAs{{Address: "user@acme.test"}}
	}}, "access-pattern", "original-unverified"},
	{"from an address that is only claimed", []func(*policy.Evidence){passedOn(policy.PatternAutoForward), forward(policy.Forward{Claimed: []string{"user@acme.test"}})}, "access-pattern", "original-unproven"},
	{"of which nothing is known", []func(*policy.Evidence){passedOn(policy.PatternAutoForward)}, "access-pattern", "original-unproven"},
	{"broken on the way", []func(*policy.Evidence){passedOn(policy.PatternAutoForward), broken(policy.ChangeFooter)}, "unchanged", "dkim-broken"},
	{"never signed", []func(*policy.Evidence){passedOn(policy.PatternAutoForward), func(e *policy.Evidence) { e.Auth.DKIM = nil }}, "unchanged", "dkim-absent"},
	{"signed by the forwarder alone", []func(*policy.Evidence){passedOn(policy.PatternAutoForward), func(e *policy.Evidence) {
		e.Auth.DKIM[0].Domain, e.Auth.DKIM[0].OrgDomain = "fwd.example", "fwd.example"
	}}, "unchanged", "dkim-absent"},
	{"the key cannot be looked up", []func(*policy.Evidence){passedOn(policy.PatternAutoForward), func(e *policy.Evidence) {
		e.Auth.DKIM[0].Result = policy.AuthTempError
	}}, "unchanged", "auth-temperror"},

	{"the encoding is not signed, by dial", []func(*policy.Evidence){fetched, func(e *policy.Evidence) {
		e.Dials = policy.Dials{policy.DialMIMEFields: "withheld"}
	}}, "content-signed", "mime-unsigned"},
	{"the encoding is signed", []func(*policy.Evidence){fetched, func(e *policy.Evidence) {
		e.Dials = policy.Dials{policy.DialMIMEFields: "withheld"}
		e.Auth.DKIM[0].Headers = append(e.Auth.DKIM[0].Headers, "content-type", "content-transfer-encoding")
	}}, "", "offered"},

	{"fetched", []func(*policy.Evidence){fetched}, "", "offered"},
	{"fetched, changed at the source", []func(*policy.Evidence){fetched, broken(policy.ChangeBody)}, "unchanged", "dkim-broken"},
	{"fetched, and only SPF could have vouched", []func(*policy.Evidence){fetched, func(e *policy.Evidence) { e.Auth.DKIM = nil }}, "unchanged", "dkim-absent"},

	{"list", []func(*policy.Evidence){passedOn(policy.PatternMailingList)}, "access-pattern", "mailing-list"},
	{"list, by dial", []func(*policy.Evidence){passedOn(policy.PatternMailingList), func(e *policy.Evidence) {
		e.Dials = policy.Dials{policy.DialMailingList: "offered"}
	}}, "", "offered"},
	{"list, broken", []func(*policy.Evidence){passedOn(policy.PatternMailingList), broken(policy.ChangeSubject)}, "unchanged", "dkim-broken"},
}

// fetched lets a mail come by POP: there is no peer, and SPF says nothing.
func fetched(e *policy.Evidence) {
	e.Arrival = policy.Arrival{Channel: policy.ChannelPOP, Rcpt: "alice@gmail.test", Fetch: &policy.Fetch{Source: "old@isp.example"}}
	e.Access = policy.Access{Pattern: policy.PatternPOPFetch, Confidence: policy.ConfidenceProven}
	e.Auth.SPF = policy.SPF{Result: policy.AuthNone}
	e.Auth.ReverseDNS = policy.ReverseDNS{Result: policy.AuthNone}
	e.Arrival.Peer = netip.Addr{}
}

func TestDecideAccess(t *testing.T) {
	t.Parallel()
	for _, tt := range accessCases {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e, reg := good()
			for _, change := range tt.changes {
				change(&e)
			}
			v := policy.Decide(e, reg)
			if a := v.Actions[0]; a.Decider != tt.check || a.Reason != tt.reason || (a.Answer == policy.Offered) != (tt.check == "") {
				t.Errorf("got %s by %q (%s), want by %q (%s)\n%s", a.Answer, a.Decider, a.Reason, tt.check, tt.reason, v.Text())
			}
			checkVerdict(t, e, v)
		})
	}
}

// TestLinksAndPatterns holds for which patterns a link is shown.
func TestLinksAndPatterns(t *testing.T) {
	t.Parallel()
	for p, want := range map[policy.Pattern]policy.Answer{
		policy.PatternAutoForward: policy.Withheld,
		policy.PatternMailingList: policy.Offered,
		policy.PatternAmbiguous:   policy.Offered,
		policy.PatternPOPFetch:    policy.Offered,
	} {
		e, _ := good()
		passedOn(p)(&e)
		e.Markup.Actions[0] = policy.Action{Type: "ViewAction", Kind: policy.KindGoTo, Name: "See", Targets: []string{"https://shop.example/v"}}
		if v := policy.Decide(e, policy.Registry{{From: "shop.example"}}); v.Actions[0].Answer != want {
			t.Errorf("%s: %s\n%s", p, v.Actions[0].Answer, v.Text())
		}
	}
}

// TestFetchedIsKept holds that mail which was fetched is filed, and never
// answered.
func TestFetchedIsKept(t *testing.T) {
	t.Parallel()
	for dial, want := range map[string]policy.Folder{"": policy.Spam, "inbox": policy.Inbox} {
		e, reg := good()
		fetched(&e)
		e.Auth.DKIM = nil
		if dial != "" {
			e.Dials = policy.Dials{policy.DialFetchRefused: dial}
		}
		v := policy.Decide(e, reg)
		if v.Delivery != policy.Accept || v.Folder != want || v.Decider != "authenticated" || v.Reply.Code != 0 {
			t.Errorf("%q: %s to %s by %s, reply %v", dial, v.Delivery, v.Folder, v.Decider, v.Reply)
		}
		if !slices.Contains(v.Dials, policy.Fact{Name: "pop.refused", Value: string(want)}) {
			t.Errorf("dials %v", v.Dials)
		}
	}
}

// TestAccessEvidence holds that contradictions are findings.
func TestAccessEvidence(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		access policy.Access
		reason policy.Reason
	}{
		{policy.Access{Pattern: policy.PatternDirect}, "consistent"},
		{policy.Access{Pattern: policy.PatternAmbiguous, Settle: "x"}, "unsettled"},
		{policy.Access{Pattern: policy.PatternDirect, Contradictions: []policy.Signal{{Name: "x-gmail-fetch-info", Value: "y", For: policy.PatternPOPFetch}}}, "contradicted"},
	} {
		e, reg := good()
		e.Access = tt.access
		v := policy.Decide(e, reg)
		if f, ok := v.Finding("access-evidence"); !ok || f.Reason != tt.reason || !f.Advice || v.Decider != "" {
			t.Errorf("%+v, decided by %q", f, v.Decider)
		}
		if told := strings.Contains(v.Brief(), "(access-evidence)"); told != (tt.reason == "contradicted") {
			t.Errorf("%s: %s", tt.reason, v.Brief())
		}
	}
}

// TestPersonas holds what each persona's click leads to.
func TestPersonas(t *testing.T) {
	t.Parallel()
	withheld := func(e *policy.Evidence) { e.Access = policy.Access{Pattern: policy.PatternAmbiguous} }
	for _, tt := range []struct {
		name      string
		persona   policy.Persona
		change    func(*policy.Evidence)
		answer    policy.ClickAnswer
		userAgent bool
		bearer    bool
	}{
		{"nobody in particular", "", nil, policy.ClickFire, true, true},
		{"the provider", policy.PersonaProvider, nil, policy.ClickFire, true, true},
		{"the provider, withheld", policy.PersonaProvider, withheld, policy.ClickRefuse, false, false},
		{"a third party", policy.PersonaThirdParty, nil, policy.ClickFire, false, false},
		{"a third party, withheld", policy.PersonaThirdParty, withheld, policy.ClickFire, false, false},
		{"an impersonator", policy.PersonaImpersonator, withheld, policy.ClickFire, true, false},
		{"another provider", policy.PersonaOtherProvider, withheld, policy.ClickFire, true, true},
		{"another provider, without From", policy.PersonaOtherProvider, func(e *policy.Evidence) { e.Header.From = nil }, policy.ClickFire, true, false},
		{"a third party, and no URL", policy.PersonaThirdParty, func(e *policy.Evidence) { e.Markup.Actions[0].Handlers[0].URL = "http://shop.example/" }, policy.ClickRefuse, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e, reg := good()
			if tt.change != nil {
				tt.change(&e)
			}
			v := policy.DecideClick(policy.ClickEvidence{Message: e, Persona: tt.persona, At: noon}, reg)
			if v.Answer != tt.answer {
				t.Fatalf("got %s\n%s", v.Answer, v.Text())
			}
			if r := v.Request; r != nil && (r.UserAgent != tt.userAgent || r.Bearer != tt.bearer || (r.Audience != "") != tt.bearer) {
				t.Errorf("request = %+v", r)
			}
		})
	}
	e, reg := good()
	c := policy.ClickEvidence{Message: e, Persona: policy.PersonaThirdParty, At: noon, Earlier: []policy.EarlierClick{policy.EarlierSucceeded}}
	if v := policy.DecideClick(c, reg); v.Answer != policy.ClickFire {
		t.Errorf("a third party keeps count:\n%s", v.Text())
	}
}
