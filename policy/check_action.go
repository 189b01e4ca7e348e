package policy

import (
	"slices"
	"strconv"
	"strings"
)

// actionChecks is the policy on one action. What is about the sender comes
// first, then how the mail came, then the action itself; advice comes last.
var actionChecks = slices.Concat([]Check{
	{
		ID: "own-action", Scope: ScopeAction,
		Doc:     "The action is the sender's own, and not of a mail that he forwarded by hand.",
		Source:  "gmail-actions.md section 9; gmail-inbound.md 4.b",
		Reasons: []Reason{"manual-forward", "own"},
		run:     checkOwnAction,
	},
	{
		ID: "unchanged", Scope: ScopeAction,
		Doc:     "Mail that somebody passed on still has the author's own DKIM signature, intact.",
		Source:  "gmail-actions.md section 9: DKIM and content intact",
		Reasons: []Reason{"dkim-broken", "dkim-absent", "auth-temperror", "from-unusable", "not-passed-on", "dkim-intact"},
		Dials:   []DialID{DialDMARC, DialOrgDomain},
		run:     checkUnchanged,
	},
	{
		ID: "sender-authenticated", Scope: ScopeAction,
		Doc:     "SPF or DKIM passes; self-sent mail needs it too.",
		Source:  "gmail-actions.md 6.2, 6.4, section 9",
		Reasons: []Reason{"unauthenticated", "auth-temperror", "authenticated"},
		run:     checkSenderAuthenticated,
	},
	{
		ID: "sender-aligned", Scope: ScopeAction,
		Doc:     "The domain of a passing SPF or DKIM has the organisational domain of From.",
		Source:  "gmail-actions.md 6.2",
		Reasons: []Reason{"unaligned", "auth-temperror", "nothing-to-align", "from-unusable", "dkim-aligned", "spf-aligned", "spf-and-dkim-aligned"},
		Dials:   []DialID{DialDMARC, DialOrgDomain},
		run:     checkSenderAligned,
	},
	{
		ID: "content-signed", Scope: ScopeAction,
		Doc: "Where only DKIM vouches for From, a signature covers the whole body, as with l= anybody can add to it, and the fields " +
			"that say how to read it: with another Content-Type the same octets are another text.",
		Source:  "RFC 6376 8.2, 5.4.1; what the real provider does with either is not documented",
		Reasons: []Reason{"body-unsigned", "body-uncovered", "mime-unsigned", "body-uncovered-offered", "mime-unsigned-offered", "nothing-to-align", "peer-vouches", "body-covered"},
		Dials:   []DialID{DialPartialBody, DialMIMEFields},
		run:     checkContentSigned,
	},
	{
		ID: "from-static", Scope: ScopeAction,
		Doc:     "From is one address.",
		Source:  "gmail-actions.md 6.2; gmail-inbound.md section 2",
		Reasons: []Reason{"from-missing", "from-several", "from-one"},
		run:     checkFromStatic,
	},
}, honestChecks, []Check{
	{
		ID: "sender-registered", Scope: ScopeAction,
		Doc:     "From is registered for this type of action at this time; self-sent mail needs no registration.",
		Source:  "gmail-actions.md section 6, 6.4",
		Reasons: []Reason{"unregistered", "action-type-unregistered", "registration-not-started", "registration-expired", ReasonSelf, "from-unusable", ReasonRegistered},
		run:     checkSenderRegistered,
	},
	{
		ID: "access-pattern", Scope: ScopeAction,
		Doc: "The way the mail came permits actions: an automatic forward only from an address that the user may send as, " +
			"a list and an unsettled way no in-app action.",
		Source: "gmail-actions.md section 9; what the real provider does with lists is not documented",
		Reasons: []Reason{"original-unverified", "original-unproven", "mailing-list", "ambiguous", "mailing-list-go-to", "mailing-list-offered",
			"ambiguous-go-to", "direct", ReasonSelf, "own-of-forwarder", "auto-forward", "pop-fetch"},
		Dials: []DialID{DialMailingList},
		run:   checkAccessPattern,
	},
}, signedChecks, countedChecks, []Check{
	{
		ID: "delivered", Scope: ScopeAction,
		Doc:     "The provider accepts the mail and files it in the inbox.",
		Source:  "gmail-actions.md section 7 (reasons of the same kind)",
		Reasons: []Reason{"would-be-rejected", "would-be-deferred", "in-spam", "in-inbox"},
		run:     checkDelivered,
	},
	{
		ID: "action-type", Scope: ScopeAction,
		Doc:     "The type of the action is one that the provider shows.",
		Source:  "gmail-actions.md 1.1, 1.8, 1.9",
		Reasons: []Reason{"type-unknown", "type-withdrawn", "type-known"},
		Dials:   []DialID{DialRSVP},
		run:     checkActionType,
	},
	{
		ID: "handler-or-target", Scope: ScopeAction,
		Doc:     "The action has one handler, or a target.",
		Source:  "gmail-actions.md 1.2, 1.3, 1.5",
		Reasons: []Reason{"handler-missing", "handler-several", "one-handler", "target"},
		run:     checkHandlerOrTarget,
	},
	{
		ID: "action-url", Scope: ScopeAction,
		Doc:    "A handler's URL is absolute https without credentials and fragment; a target's is absolute.",
		Source: "gmail-actions.md 2 item 10, section 9",
		Reasons: []Reason{"url-missing", "url-malformed", "url-relative", "url-not-https", "url-credentials", "url-fragment",
			"target-missing", "target-http", "no-url", "url-good", "target-good"},
		Dials: []DialID{DialHTTPTarget},
		run:   checkActionURL,
	},
	{
		ID: "action-period", Scope: ScopeAction,
		Doc:     "The time is between the action's startTime and endTime.",
		Source:  "gmail-actions.md section 8",
		Reasons: []Reason{"period-unreadable", "action-not-started", "action-expired", "period-open"},
		run:     checkActionPeriod,
	},
	{
		ID: "limited-use-token", Scope: ScopeAction, Advice: true,
		Doc:     "The handler's URL carries a parameter that nobody can guess.",
		Source:  "gmail-actions.md section 5",
		Reasons: []Reason{"token-missing", "go-to", "token-found"},
		run:     adviseToken,
	},
	{
		ID: "url-once", Scope: ScopeAction, Advice: true,
		Doc:     "No other message or action carries the same handler URL.",
		Source:  "gmail-actions.md section 5: one action, one user",
		Reasons: []Reason{"url-in-other-message", "url-in-other-action", "go-to", "url-unique"},
		run:     adviseURLOnce,
	},
	{
		ID: "url-public", Scope: ScopeAction, Advice: true,
		Doc:     "The handler's host is one that the real provider could reach.",
		Source:  "gmail-actions.md section 7",
		Reasons: []Reason{"url-local", "url-malformed", "go-to", "url-public"},
		run:     adviseURLPublic,
	},
	{
		ID: "method-stated", Scope: ScopeAction, Advice: true,
		Doc:     "The handler states its method; the documentation contradicts itself on the default.",
		Source:  "gmail-actions.md 0.1",
		Reasons: []Reason{"method-missing", "method-get", "method-unknown", "go-to", "method-post"},
		Dials:   []DialID{DialMethod},
		run:     adviseMethod,
	},
	{
		ID: "property-names", Scope: ScopeAction, Advice: true,
		Doc:     "The action uses the property names of today's documentation.",
		Source:  "gmail-actions.md 0.8, 1.8",
		Reasons: []Reason{"legacy-names", "current-names"},
		run:     adviseNames,
	},
	{
		ID: "label", Scope: ScopeAction, Advice: true,
		Doc:     "The button's label says what happens: short, no punctuation, not all capitals.",
		Source:  "gmail-actions.md 6.2",
		Reasons: []Reason{"label-missing", "label-punctuation", "label-capitals", "label-long", "label-good"},
		run:     adviseLabel,
	},
	{
		ID: "intended", Scope: ScopeAction, Advice: true,
		Doc:     "The handler is not a visible link that a template turned into an in-app action.",
		Source:  "gmail-actions.md 12 item 10",
		Reasons: []Reason{"visible-link", "go-to", "handler-only"},
		run:     adviseIntended,
	},
})

func checkSenderAuthenticated(s subject) conclusion {
	f, _ := find(s.verdict.Findings, "authenticated")
	switch {
	case authenticated(s.e.Auth):
		return pass("authenticated", f.Detail, f.Facts...)
	case f.Reason == "auth-temperror":
		return fail("auth-temperror", f.Detail, f.Facts...)
	}
	return fail("unauthenticated", f.Detail, f.Facts...)
}

func checkSenderAligned(s subject) conclusion {
	a := s.e.Auth
	facts := []Fact{fact("from", s.fromDomain()), fact("orgDomain", a.DMARC.OrgDomain), fact("discovery", a.DMARC.Discovery)}
	if s.fromDomain() == "" {
		return skip("from-unusable", "there is no single From domain to align with", facts...)
	}
	if !authenticated(a) {
		return skip("nothing-to-align", "neither SPF nor DKIM passes", facts...)
	}
	spf, dkim, unsettled := false, false, false
	if a.Aligned(a.SPF.Domain, a.SPF.OrgDomain) {
		spf, unsettled = a.SPF.Result == AuthPass, a.SPF.Result == AuthTempError
	}
	facts = append(facts, fact("spf", string(a.SPF.Result)+" "+a.SPF.Domain))
	for _, d := range a.DKIM {
		facts = append(facts, fact("dkim", string(d.Result)+" "+d.Domain))
		if a.Aligned(d.Domain, d.OrgDomain) {
			dkim, unsettled = dkim || d.Result == AuthPass, unsettled || d.Result == AuthTempError
		}
	}
	switch {
	case spf && dkim:
		return pass("spf-and-dkim-aligned", "SPF and DKIM pass for the domain of From", facts...)
	case dkim:
		return pass("dkim-aligned", "DKIM passes for the domain of From", facts...)
	case spf:
		return pass("spf-aligned", "SPF passes for the domain of From", facts...)
	case unsettled:
		return fail("auth-temperror", "what would vouch for the domain of From could not be looked up now", facts...)
	}
	return fail("unaligned", "what passes does not belong to the domain of From", facts...)
}

func checkContentSigned(s subject) conclusion {
	a := s.e.Auth
	if a.peerVouches() {
		return pass("peer-vouches", "the mail comes from one of From's own senders")
	}
	best, found := DKIM{}, false
	for _, d := range a.DKIM {
		if !a.authors(d) {
			continue
		}
		if d.Uncovered == 0 && !d.BodyUnsigned && d.coversMIME() {
			return pass("body-covered", "a signature covers the whole body, and how to read it", fact("selector", d.Selector))
		}
		if !found || d.Uncovered == 0 && !d.BodyUnsigned {
			best, found = d, true
		}
	}
	facts := []Fact{fact("selector", best.Selector), factInt("octets", best.Uncovered), fact("h", strings.Join(best.Headers, ":"))}
	dial := s.e.Dials.Get(DialMIMEFields)
	switch {
	case !found:
		return skip("nothing-to-align", "nothing vouches for the domain of From")
	case best.BodyUnsigned:
		// Whatever a dial permits of a body in part: here there is none.
		return fail("body-unsigned", "nothing of the body is signed (l=0), and nobody else vouches for it: anybody may have written it", facts...)
	case best.Uncovered > 0 && s.e.Dials.Get(DialPartialBody) == "offered":
		return pass("body-uncovered-offered", "part of the body is not signed, which a dial permits", facts...)
	case best.Uncovered > 0:
		return fail("body-uncovered", "part of the body is not signed (l=), and nobody else vouches for it", facts...)
	case dial == "offered" && s.e.Header.decodes() && best.names("content-transfer-encoding") == 0:
		return fail("mime-unsigned", "a Content-Transfer-Encoding that has the body decoded is not signed: somebody may have added it", facts...)
	case dial != "withheld":
		return pass("mime-unsigned-offered", "Content-Type or Content-Transfer-Encoding is not signed, so that others can have the body read in another way; a dial permits that", facts...)
	}
	return fail("mime-unsigned", "Content-Type or Content-Transfer-Encoding is not signed, so that others can have the body read in another way", facts...)
}

// coversMIME says whether a signature names the fields that say how to read the
// body, whether they are there or not.
func (d DKIM) coversMIME() bool {
	return slices.Contains(d.Headers, "content-type") && slices.Contains(d.Headers, "content-transfer-encoding")
}

// from is the one From address; zero unless there is exactly one.
func (s subject) from() Address {
	if len(s.e.Header.From) != 1 {
		return Address{}
	}
	return s.e.Header.From[0]
}

func (s subject) fromDomain() string { return s.from().Domain }

func checkFromStatic(s subject) conclusion {
	from := s.e.Header.From
	facts := []Fact{fact("from", addressList(from)), factInt("fields", s.e.Header.FromFields)}
	switch {
	case len(from) == 0:
		return fail("from-missing", "there is no From address", facts...)
	case len(from) > 1 || s.e.Header.FromFields > 1:
		return fail("from-several", "there are several From addresses or fields", facts...)
	}
	return pass("from-one", "From is one address", facts...)
}

// maxListed is how many addresses a fact names: it is made anew for every
// action, and a header may have thousands.
const maxListed = 10

func addressList(all []Address) string {
	list := make([]string, 0, maxListed+1)
	for i, a := range all {
		if i == maxListed {
			list = append(list, "and "+strconv.Itoa(len(all)-i)+" more")
			break
		}
		list = append(list, a.Addr)
	}
	return strings.Join(list, ", ")
}

// registration looks the sender up for the action at hand.
func (s subject) registration() (Registration, Reason) {
	if s.from().Addr == "" {
		return Registration{}, "from-unusable"
	}
	return s.reg.Lookup(s.from(), s.action.Type, s.e.At)
}

func checkSenderRegistered(s subject) conclusion {
	facts := []Fact{fact("from", s.from().Addr), fact("type", s.action.Type), fact("at", s.e.At.Format(timeFormat))}
	if s.e.Access.Pattern == PatternSelf {
		return skip(ReasonSelf, "mail to oneself needs no registration", facts...)
	}
	r, reason := s.registration()
	if r.From != "" {
		facts = append(facts, fact("registration", r.From))
	}
	switch reason {
	case ReasonRegistered:
		return pass(reason, "the sender is registered for this type of action", facts...)
	case "from-unusable":
		return skip(reason, "there is no single From address to look up", facts...)
	case "action-type-unregistered":
		facts = append(facts, fact("registeredTypes", strings.Join(r.Actions, ",")))
		return fail(reason, "the sender is registered, but not for this type of action", facts...)
	case "registration-not-started":
		return fail(reason, "the sender's registration begins at "+r.Since.Format(timeFormat), facts...)
	case "registration-expired":
		return fail(reason, "the sender's registration ended at "+r.Until.Format(timeFormat), facts...)
	}
	return fail("unregistered", "the sender is not registered", facts...)
}

// timeFormat is how times are written in facts: RFC 3339, to the second.
const timeFormat = "2006-01-02T15:04:05Z07:00"

func checkDelivered(s subject) conclusion {
	facts := []Fact{fact("delivery", string(s.verdict.Delivery)), fact("decider", string(s.verdict.Decider))}
	switch {
	case s.verdict.Delivery == Reject:
		return fail("would-be-rejected", "the provider rejects this mail", facts...)
	case s.verdict.Delivery == Defer:
		return fail("would-be-deferred", "the provider does not take this mail now", facts...)
	case s.verdict.Folder == Spam:
		return fail("in-spam", "the provider files this mail as spam", facts...)
	}
	return pass("in-inbox", "the mail is in the inbox", facts...)
}

// Types of actions: what the provider shows (gmail-actions.md 1.1, 1.5).
var (
	oneClickTypes  = []string{"ConfirmAction", "SaveAction"}
	goToTypes      = []string{"ViewAction", "TrackAction", "CancelAction", "CheckInAction", "EditAction", "UpdateAction"}
	withdrawnTypes = []string{"RsvpAction", "ReviewAction"}
)

func checkActionType(s subject) conclusion {
	t := s.action.Type
	facts := []Fact{fact("type", t), fact("kind", string(s.action.Kind)), fact("on", s.action.On)}
	switch {
	case slices.Contains(oneClickTypes, t):
		return pass("type-known", t+" is shown", facts...)
	case slices.Contains(goToTypes, t) && s.action.Kind != KindInApp:
		return pass("type-known", t+" is shown as a link", facts...)
	case slices.Contains(goToTypes, t):
		return fail("type-unknown", t+" with a handler is not an in-app action that the provider documents", facts...)
	case t == "RsvpAction" && s.e.Dials.Get(DialRSVP) == "offered":
		return pass("type-known", "RsvpAction is shown, as a dial says", facts...)
	case slices.Contains(withdrawnTypes, t):
		return fail("type-withdrawn", t+" was documented once and is no longer", facts...)
	}
	return fail("type-unknown", t+" is not a type that the provider shows", facts...)
}

func checkHandlerOrTarget(s subject) conclusion {
	a := s.action
	facts := []Fact{factInt("handlers", len(a.Handlers)), factInt("targets", len(a.Targets))}
	switch {
	case len(a.Handlers) > 1:
		return fail("handler-several", "the action has several handlers, and which one counts is not known", facts...)
	case a.Kind == KindInApp:
		return pass("one-handler", "the action has one HTTP handler: the provider makes a request", facts...)
	case a.Kind == KindGoTo:
		return pass("target", "the action has a target: the user's browser opens it", facts...)
	}
	return fail("handler-missing", "the action has neither handler nor target", facts...)
}

func checkActionPeriod(s subject) conclusion {
	a := s.action
	facts := []Fact{fact("at", s.e.At.Format(timeFormat)), fact("startTime", a.StartTime), fact("endTime", a.EndTime)}
	switch {
	case a.StartTime != "" && a.Start.IsZero() || a.EndTime != "" && a.End.IsZero():
		return fail("period-unreadable", "startTime or endTime is no time of ISO 8601, and so bounds nothing", facts...)
	case !a.Start.IsZero() && s.e.At.Before(a.Start):
		return fail("action-not-started", "the action's startTime is still to come", facts...)
	case !a.End.IsZero() && !s.e.At.Before(a.End):
		return fail("action-expired", "the action's endTime has passed", facts...)
	}
	return pass("period-open", "the time is within the action's period", facts...)
}
