package policy

import (
	"net/url"
	"slices"
	"strings"
)

// clickChecks is the policy on a click.
var clickChecks = []Check{
	{
		ID: "offered-now", Scope: ScopeClick,
		Doc:     "The action is offered, judged anew at the time of the click: its period and the registration may have ended.",
		Source:  "gmail-actions.md section 8; whether the real provider judges again at the click is not documented",
		Reasons: []Reason{"no-such-action", "not-offered", "not-asked", ReasonOffered},
		run:     checkOfferedNow,
	},
	{
		ID: "requestable", Scope: ScopeClick,
		Doc:     "The action has one handler with a URL that may be requested, or a target; a program that does not ask the provider needs that, too.",
		Source:  "gmail-actions.md 2 item 10, section 9",
		Reasons: []Reason{"no-such-action", "not-requestable", "requestable"},
		run:     checkRequestable,
	},
	{
		ID: "once-only", Scope: ScopeClick,
		Doc:     "A ConfirmAction or SaveAction that has succeeded is not fired again by the provider.",
		Source:  "gmail-actions.md section 8",
		Reasons: []Reason{"already-done", "already-failed", "not-counted", "repeatable", "first-time"},
		Dials:   []DialID{DialFailedClick},
		run:     checkOnceOnly,
	},
	{
		ID: "not-pending", Scope: ScopeClick,
		Doc:     "No earlier click on the action still waits for its answer or its retry.",
		Source:  "gmail-actions.md section 8: an action works once, so two requests must not be under way",
		Reasons: []Reason{"request-pending", "go-to", "no-request-pending"},
		run:     checkNotPending,
	},
}

// DecideClick judges a click on an action: with the evidence of the message,
// the registry as it is now, and the time of the click. A persona that is not
// the provider does not ask the provider: its request needs no permission, and
// never carries the provider's token. A failed check's
// reason is, where the action is not offered, the reason of that.
func DecideClick(c ClickEvidence, reg Registry) ClickVerdict {
	e := c.Message
	verdict := Decide(e, reg)
	// Only what is about the action depends on the time of the click; the
	// mail was authenticated and filed when it came.
	e.At = c.At
	s := subject{e: &e, reg: reg, verdict: &verdict, click: &c}
	if i := slices.IndexFunc(e.Markup.Actions, func(a Action) bool { return a.Index == c.Action }); i >= 0 {
		s.action = &e.Markup.Actions[i]
		now := decideAction(s, s.action)
		s.offered = &now
	}
	v := ClickVerdict{Answer: ClickRefuse}
	v.Findings, v.Decider, v.Reason = runAll(clickChecks, s, "clicked")
	v.Dials = dialsRead(e.Dials, clickChecks)
	if v.Decider != "" {
		if v.Decider == "offered-now" && s.offered != nil {
			v.Reason = s.offered.Reason
		}
		return v
	}
	if s.action.Kind == KindGoTo {
		v.Answer, v.Target = ClickOpen, webTarget(s.action.Targets)
		return v
	}
	v.Answer = ClickFire
	v.Request = planRequest(s)
	v.Dials = append(v.Dials, dialsRead(e.Dials, planDials)...)
	return v
}

func checkOfferedNow(s subject) conclusion {
	if s.offered == nil {
		return fail("no-such-action", "the message has no such action", factInt("action", s.click.Action))
	}
	facts := []Fact{fact("at", s.click.At.Format(timeFormat)), fact("reason", string(s.offered.Reason))}
	if !s.click.byProvider() {
		return skip("not-asked", "a program that is not the provider shows what it likes, and does not ask", append(facts, fact("persona", string(s.click.Persona)))...)
	}
	if s.offered.Answer != Offered {
		f, _ := s.offered.Finding(s.offered.Decider)
		return fail("not-offered", "the action is withheld: "+f.Detail, facts...)
	}
	return pass(ReasonOffered, "the action is offered", facts...)
}

// byProvider says whether the provider itself makes the click.
func (c *ClickEvidence) byProvider() bool { return c.Persona == "" || c.Persona == PersonaProvider }

func checkRequestable(s subject) conclusion {
	if s.offered == nil {
		return fail("no-such-action", "the message has no such action", factInt("action", s.click.Action))
	}
	for _, id := range []CheckID{"handler-or-target", "action-url"} {
		if f, _ := s.offered.Finding(id); f.Result == Fail {
			return fail("not-requestable", f.Detail, append(slices.Clone(f.Facts), fact("reason", string(f.Reason)))...)
		}
	}
	return pass("requestable", "there is something to request or to open")
}

func checkOnceOnly(s subject) conclusion {
	if !s.click.byProvider() {
		return skip("not-counted", "a program that is not the provider keeps no count; the service has to")
	}
	if s.action == nil || s.action.Kind != KindInApp || !slices.Contains(oneClickTypes, s.action.Type) {
		return pass("repeatable", "this is not an action that works once")
	}
	facts := []Fact{factInt("earlier", len(s.click.Earlier))}
	if slices.Contains(s.click.Earlier, EarlierSucceeded) {
		return fail("already-done", "the action has been done; it works once", facts...)
	}
	if slices.Contains(s.click.Earlier, EarlierFailed) && s.e.Dials.Get(DialFailedClick) == "uses-up" {
		return fail("already-failed", "the action has failed, and a dial says that this uses it up", facts...)
	}
	return pass("first-time", "the action has not been done", facts...)
}

func checkNotPending(s subject) conclusion {
	if s.action != nil && s.action.Kind == KindGoTo {
		return skip("go-to", "a link makes no request")
	}
	if slices.Contains(s.click.Earlier, EarlierPending) {
		return fail("request-pending", "the request of an earlier click has no final answer yet", factInt("earlier", len(s.click.Earlier)))
	}
	return pass("no-request-pending", "no request is under way")
}

// planDials are those that planRequest reads.
var planDials = []Check{{Dials: []DialID{
	DialMethod, DialSaveBody, DialGetInputs, DialEncoding, DialAudience, DialSelfBearer, DialSelfAudience,
}}}

// planRequest says which request an in-app action leads to
// (gmail-actions.md section 2 and 3).
func planRequest(s subject) *RequestPlan {
	dials := s.e.Dials
	h := s.action.Handlers[0]
	p := &RequestPlan{Method: h.Method, URL: h.URL, Persona: PersonaProvider}
	if s.click.Persona != "" {
		p.Persona = s.click.Persona
	}
	p.UserAgent = p.Persona != PersonaThirdParty
	if p.Method != "POST" && p.Method != "GET" {
		p.Method = dials.Get(DialMethod)
	}
	confirmed := s.action.Type == "ConfirmAction" || dials.Get(DialSaveBody) == "confirmed"
	inputs := ""
	if confirmed {
		inputs = "confirmed=Approved"
	}
	switch {
	case p.Method == "POST" && dials.Get(DialEncoding) == "stated" && asksForJSON(h.Encoding):
		p.Body, p.JSON = "{}", true
		if confirmed {
			p.Body = `{"confirmed":"Approved"}`
		}
	case p.Method == "POST":
		p.Body, p.Form = inputs, true
	case inputs != "" && dials.Get(DialGetInputs) == "query":
		p.URL = withQuery(p.URL, inputs)
	}
	if p.Bearer = s.carriesToken(p.Persona); p.Bearer {
		p.Audience = "https://" + s.audience()
	}
	return p
}

// asksForJSON says whether a handler's encoding is the media type of JSON, with
// parameters or without.
func asksForJSON(encoding string) bool {
	media, _, _ := strings.Cut(encoding, ";")
	return strings.EqualFold(strings.TrimSpace(media), "application/json")
}

// carriesToken says whether the request of a persona carries a token.
func (s subject) carriesToken(who Persona) bool {
	switch {
	case who == PersonaOtherProvider:
		// Whether it has the sender registered is not ours to know: what it can
		// send at most is what a service has to refuse.
		return s.fromDomain() != ""
	case who != PersonaProvider:
		return false
	case s.offered.Registration != nil:
		return s.offered.Registration.Bearer
	}
	return s.e.Dials.Get(DialSelfBearer) == "yes"
}

// audience is the domain that a token's aud names.
func (s subject) audience() string {
	dials := s.e.Dials
	if s.e.Access.Pattern == PatternSelf && dials.Get(DialSelfAudience) == "handler-host" {
		// A handler's URL that cannot be read is never requested.
		if u, err := url.Parse(s.action.Handlers[0].URL); err == nil && u.Hostname() != "" {
			host, _ := strings.CutSuffix(strings.ToLower(u.Host), ":"+u.Port())
			return host
		}
	}
	if dials.Get(DialAudience) == "org-domain" && s.e.Auth.DMARC.OrgDomain != "" {
		return s.e.Auth.DMARC.OrgDomain
	}
	return s.fromDomain()
}

// withQuery appends inputs to a URL's query and leaves the rest as it is.
func withQuery(raw, inputs string) string {
	if _, err := url.Parse(raw); err != nil {
		return raw
	}
	switch {
	case !strings.Contains(raw, "?"):
		return raw + "?" + inputs
	case strings.HasSuffix(raw, "?") || strings.HasSuffix(raw, "&"):
		return raw + inputs
	}
	return raw + "&" + inputs
}

// DecideUnsubscribe judges a press on the provider's unsubscribe button. The
// request is RFC 8058's: no token, no cookies, the one fixed body. The findings
// are those of scope unsubscribe, then not-pending.
func DecideUnsubscribe(c ClickEvidence, reg Registry) ClickVerdict {
	verdict := Decide(c.Message, reg)
	u := verdict.Unsubscribe
	v := ClickVerdict{Answer: ClickRefuse, Decider: u.Decider, Reason: u.Reason, Findings: u.Findings}
	i := slices.IndexFunc(clickChecks, func(c Check) bool { return c.ID == "not-pending" })
	pending := clickChecks[i].finding(clickChecks[i].run(subject{e: &c.Message, reg: reg, verdict: &verdict, click: &c}))
	v.Findings = append(v.Findings, pending)
	switch {
	case u.Answer != Offered:
	case pending.Result == Fail:
		v.Decider, v.Reason = pending.Check, pending.Reason
	default:
		v.Answer, v.Reason = ClickFire, "clicked"
		v.Request = &RequestPlan{Method: "POST", URL: u.URL, Body: oneClickValue, Form: true}
	}
	return v
}
