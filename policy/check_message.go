package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Reason codes that are used in more than one place.
const (
	ReasonOffered    Reason = "offered"
	ReasonRegistered Reason = "registered"
	ReasonSelf       Reason = "self-sent"
	ReasonNone       Reason = "none"
	// ReasonNotModelled marks what the real provider checks and we do not.
	ReasonNotModelled Reason = "not-modelled"
)

// Limits of the header (gmail-inbound.md 1.5). KB is read as 1024 octets.
const (
	maxHeaderSize   = 500 * 1024
	maxHeaderFields = 5000
	maxFieldSize    = 32 * 1024
	maxNameSize     = 1024
	maxSubject      = 998
	maxMessageID    = 500
	maxHops         = 50
)

// messageChecks is the policy on delivery. The DNS comes before what depends
// on it, so that an outage never looks like a sender's fault.
var messageChecks = slices.Concat([]Check{
	{
		ID: "message-format", Scope: ScopeMessage,
		Doc:     "The message can be read, has one From field with one address, and no once-only field twice.",
		Source:  "RFC 5322 3.6; gmail-inbound.md 1.4 (554 5.6.0, 550 5.7.1), section 2",
		Reasons: []Reason{"not-processed", "message-malformed", "from-missing", "from-several", "from-unreadable", "field-repeated", "from-domain", "encoded-address", "unicode-field", "format-deviations", "format-good"},
		run:     checkFormat,
	},
	{
		ID: "header-limits", Scope: ScopeMessage,
		Doc:     "The header is within the provider's limits on size, fields and their length.",
		Source:  "gmail-inbound.md 1.5",
		Reasons: []Reason{"header-too-large", "header-too-many-fields", "field-too-long", "field-name-too-long", "subject-too-long", "message-id-too-long", "header-within-limits"},
		run:     checkHeaderLimits,
	},
	{
		ID: "hop-count", Scope: ScopeMessage,
		Doc:     "The message has at most 50 Received fields.",
		Source:  "gmail-inbound.md 1.5; RFC 5321 6.3",
		Reasons: []Reason{"too-many-hops", "hops-within-limit"},
		run:     checkHops,
	},
	{
		ID: "dns-available", Scope: ScopeMessage,
		Doc:     "No look-up that authentication needs failed for the time being.",
		Source:  "gmail-inbound.md 1.4 (451 4.7.26); RFC 9989 5.3.6",
		Reasons: []Reason{"dns-temperror", "dns-failed-in-part", "dns-answered"},
		run:     checkDNS,
	},
	{
		ID: "authenticated", Scope: ScopeMessage,
		Doc:     "SPF or DKIM passes, for whichever domain.",
		Source:  "gmail-inbound.md 1.4 (550 5.7.26), section 2",
		Reasons: []Reason{"unauthenticated", "spf-hard-fail", "auth-temperror", "spf-pass", "dkim-pass", "spf-and-dkim-pass"},
		Dials:   []DialID{DialUnauthentic},
		run:     checkAuthenticated,
	},
	{
		ID: "dmarc-policy", Scope: ScopeMessage,
		Doc:     "DMARC passes, or the author domain's policy asks for nothing.",
		Source:  "RFC 9989 5.4, 7.4; gmail-inbound.md 1.4 (550 5.7.26)",
		Reasons: []Reason{"dmarc-reject", "dmarc-quarantine", "dmarc-not-evaluated", "dmarc-absent", "dmarc-record-invalid", "dmarc-fail-none", "dmarc-pass"},
		Dials:   []DialID{DialProfile, DialDMARC, DialOrgDomain},
		run:     checkDMARC,
	},
	{
		ID: "reverse-dns", Scope: ScopeMessage,
		Doc:     "The peer's address has a name, and that name leads back to the address.",
		Source:  "gmail-inbound.md section 2, 1.4 (451 4.7.23, 550 5.7.25); which of them is a dial",
		Reasons: []Reason{"ptr-missing", "ptr-mismatch", "ptr-temperror", "no-peer", "ptr-confirmed"},
		Dials:   []DialID{DialReverseDNS},
		run:     checkReverseDNS,
	},
}, headerChecks, []Check{
	{
		ID: "access-evidence", Scope: ScopeMessage, Advice: true,
		Doc:     "Nothing in the message speaks against the way by which it came.",
		Source:  "gmail-inbound.md 4.g: contradictions are told, and overrule nothing",
		Reasons: []Reason{"contradicted", "unsettled", "consistent"},
		run:     checkAccessEvidence,
	},
	{
		ID: "markup-readable", Scope: ScopeMessage, Advice: true,
		Doc:     "Every block of markup can be read.",
		Source:  "gmail-actions.md 1.3, 1.7; section 7",
		Reasons: []Reason{"markup-problem", "markup-none", "markup-good"},
		run:     checkMarkup,
	},
	{
		ID: "reputation", Scope: ScopeMessage,
		Doc:     "The sender's reputation, complaints and content are in order.",
		Source:  "gmail-actions.md 6.2; gmail-inbound.md section 2",
		Reasons: []Reason{ReasonNotModelled},
		run: func(subject) conclusion {
			return skip(ReasonNotModelled, "reputation, complaint rate and content are judged by the real provider and not here; the step fault orders its replies")
		},
	},
})

// problemRefusals says which problems of a message the provider refuses it
// for, and in which words. Other problems are deviations that it puts up with.
var problemRefusals = []struct {
	code, reason Reason
	text         string // Completes the reply, the field's name for %s; empty for a malformed message.
}{
	{ProblemNoHeader, "message-malformed", ""},
	{ProblemNUL, "message-malformed", ""},
	{ProblemNoFrom, "from-missing", "the From header is missing"},
	{ProblemFromSeveral, "from-several", "there are several From headers or addresses"},
	{ProblemFromUnreadable, "from-unreadable", "the From header has no valid address"},
	{ProblemDuplicateField, "field-repeated", "there are multiple %s headers"},
	{ProblemFromDomain, "from-domain", "the domain of the From header is not valid"},
}

func checkFormat(s subject) conclusion {
	h := s.e.Header
	if i := slices.IndexFunc(h.Problems, func(p Problem) bool { return p.Code == ProblemNotProcessed }); i >= 0 {
		return fail("not-processed", "doppelbox could not read the message, which is its fault: "+h.Problems[i].Text).deferred("not-processed")
	}
	for _, refusal := range problemRefusals {
		i := slices.IndexFunc(h.Problems, func(p Problem) bool { return p.Code == refusal.code })
		if i < 0 {
			continue
		}
		p := h.Problems[i]
		text := refusal.text
		switch {
		case strings.Contains(text, "%s"):
			text = fmt.Sprintf(text, fieldName(p))
		case p.Code == ProblemFromUnreadable && len(h.From) > 0:
			text = "there is a malformed From header"
		}
		if refusal.text == "" {
			return fail(refusal.reason, "the message is malformed: "+p.String(), problemFacts(h.Problems)...).rejected("malformed")
		}
		return fail(refusal.reason, text+": "+p.String(), problemFacts(h.Problems)...).rejected("not-compliant", "why", text)
	}
	if len(h.From) > 1 {
		return fail("from-several", "From has several addresses", problemFacts(h.Problems)...).
			rejected("not-compliant", "why", "there are several From headers or addresses")
	}
	if c, refused := s.refuseCharacters(); refused {
		return c
	}
	if len(h.Problems) > 0 {
		return pass("format-deviations", "the message deviates from the standards in ways that are put up with", problemFacts(h.Problems)...)
	}
	return pass("format-good", "the message keeps to RFC 5322")
}

// problemFacts lists problems as facts: their code, then where and what.
func problemFacts(list []Problem) []Fact {
	facts := make([]Fact, 0, len(list))
	for _, p := range list {
		facts = append(facts, fact(string(p.Code), p.String()))
	}
	return facts
}

// String says where the problem is and what.
func (p Problem) String() string {
	if at := p.Place.String(); at != "" {
		return at + ": " + p.Text
	}
	return p.Text
}

// String writes the place as "part 1.2, line 3, column 4", leaving out what is
// unknown.
func (p Place) String() string {
	text := ""
	add := func(word, value string) {
		if text != "" {
			text += ", "
		}
		text += word + " " + value
	}
	if p.Part != "" {
		add("part", p.Part)
	}
	if p.Line > 0 {
		add("line", strconv.Itoa(p.Line))
	}
	if p.Col > 0 {
		add("column", strconv.Itoa(p.Col))
	}
	return text
}

func checkHeaderLimits(s subject) conclusion {
	h := s.e.Header
	for _, limit := range []struct {
		reason   Reason
		what     string
		got, max int
	}{
		{"header-too-large", "total header size", h.HeaderSize, maxHeaderSize},
		{"header-too-many-fields", "the number of header fields", h.Fields, maxHeaderFields},
		{"field-too-long", "the size of a header field", h.LongestValue, maxFieldSize},
		{"field-name-too-long", "the length of a header field's name", h.LongestName, maxNameSize},
		{"subject-too-long", "the length of Subject", len([]rune(h.Subject)), maxSubject},
		{"message-id-too-long", "the length of Message-ID", len(h.MessageID), maxMessageID},
	} {
		if limit.got > limit.max {
			return fail(limit.reason, fmt.Sprintf("%s is %d, and the limit is %d", limit.what, limit.got, limit.max),
				factInt("got", limit.got), factInt("limit", limit.max)).
				rejected("header-limit", "what", limit.what, "got", strconv.Itoa(limit.got), "limit", strconv.Itoa(limit.max))
		}
	}
	return pass("header-within-limits", "the header is within all limits", factInt("size", h.HeaderSize), factInt("fields", h.Fields))
}

func checkHops(s subject) conclusion {
	got := factInt("received", s.e.Header.Received)
	if s.e.Header.Received > maxHops {
		return fail("too-many-hops", "there are more than 50 Received fields: a mail loop", got).rejected("mail-loop")
	}
	return pass("hops-within-limit", "no sign of a mail loop", got)
}

func checkDNS(s subject) conclusion {
	a := s.e.Auth
	facts := s.authFacts()
	failed := a.SPF.Result == AuthTempError || slices.ContainsFunc(a.DKIM, func(d DKIM) bool { return d.Result == AuthTempError })
	switch {
	case a.DMARC.Result == AuthTempError || failed && !authenticated(a):
		return fail("dns-temperror", "a DNS look-up failed for the time being, so the sender cannot be authenticated now", facts...).
			deferred("authentication-unavailable")
	case failed:
		return pass("dns-failed-in-part", "a DNS look-up failed for the time being; what was answered settles the delivery", facts...)
	}
	return pass("dns-answered", "every look-up was answered", facts...)
}

// authenticated says whether SPF or some DKIM signature passes.
func authenticated(a Authentication) bool {
	return a.SPF.Result == AuthPass || a.dkimPasses()
}

func (a Authentication) dkimPasses() bool {
	return slices.ContainsFunc(a.DKIM, func(d DKIM) bool { return d.Result == AuthPass })
}

// authFacts are those of the message, made once for all checks. They are not to be
// changed.
func (s subject) authFacts() []Fact {
	if s.auth == nil {
		return authFacts(s.e)
	}
	return s.auth
}

// authFacts names the results of all methods, their domains, and why they are
// not better.
func authFacts(e *Evidence) []Fact {
	a := e.Auth
	facts := make([]Fact, 0, 3+len(a.DKIM))
	if !e.Arrival.Peer.IsValid() {
		facts = append(facts, fact("peer", "unknown, so SPF passes for nobody"))
	}
	facts = append(facts, fact("spf", resultText(a.SPF.Result, a.SPF.Domain, a.SPF.Problem)))
	for i, d := range a.DKIM {
		text := resultText(d.Result, d.Domain, d.Problem)
		if d.Uncovered > 0 {
			text += ", " + strconv.Itoa(d.Uncovered) + " octets of the body unsigned (l=)"
		}
		if d.Testing {
			text += ", in test (t=y)"
		}
		facts = append(facts, fact("dkim."+strconv.Itoa(i), text))
	}
	return append(facts, fact("dmarc", resultText(a.DMARC.Result, a.DMARC.Domain, a.DMARC.Problem)))
}

func resultText(r AuthResult, domain, problem string) string {
	text := string(r) + " " + domain
	if problem != "" {
		text += ": " + problem
	}
	return text
}

func checkAuthenticated(s subject) conclusion {
	a := s.e.Auth
	facts := s.authFacts()
	spf, dkim := a.SPF.Result == AuthPass, a.dkimPasses()
	switch {
	case spf && dkim:
		return pass("spf-and-dkim-pass", "SPF and DKIM pass", facts...)
	case dkim:
		return pass("dkim-pass", "DKIM passes", facts...)
	case spf:
		return pass("spf-pass", "SPF passes", facts...)
	case a.SPF.Result == AuthTempError || slices.ContainsFunc(a.DKIM, func(d DKIM) bool { return d.Result == AuthTempError }):
		return skip("auth-temperror", "neither passes, and a look-up failed", facts...)
	case a.SPF.Result == AuthFail:
		return fail("spf-hard-fail", "no DKIM signature passes, and the envelope's domain says that the peer is not one of its senders", facts...).
			rejected("spf-hard-fail")
	}
	return s.broken(fail("unauthenticated", "neither SPF nor DKIM passes", facts...), DialUnauthentic, "unauthenticated-temporary", "unauthenticated")
}

func checkDMARC(s subject) conclusion {
	d := s.e.Auth.DMARC
	facts := []Fact{
		fact("domain", d.Domain), fact("orgDomain", d.OrgDomain), fact("result", string(d.Result)), fact("policy", d.Policy),
		fact("spfAligned", strconv.FormatBool(d.SPFAligned)), fact("dkimAligned", strconv.FormatBool(d.DKIMAligned)),
	}
	switch d.Result {
	case AuthPass:
		return pass("dmarc-pass", "DMARC passes", facts...)
	case AuthNone:
		if d.Problem != "" {
			return pass("dmarc-record-invalid", "the author domain's DMARC record does not count: "+d.Problem, facts...)
		}
		return pass("dmarc-absent", "the author domain publishes no DMARC policy", facts...)
	case AuthFail:
	default:
		return skip("dmarc-not-evaluated", "DMARC could not be evaluated: "+d.Problem, facts...)
	}
	switch {
	case d.Policy == "reject" && s.e.Dials.Get(DialProfile) == "gmail":
		return fail("dmarc-reject", "DMARC fails, and the author domain asks to reject", facts...).rejected("dmarc")
	case d.Policy == "reject" || d.Policy == "quarantine":
		// RFC 9989 7.4: a receiver without other knowledge treats reject as
		// quarantine.
		return fail("dmarc-quarantine", "DMARC fails, and the author domain asks to distrust", facts...).filed(Spam)
	}
	return pass("dmarc-fail-none", "DMARC fails, and the author domain asks for nothing", facts...)
}

func checkReverseDNS(s subject) conclusion {
	r, peer := s.e.Auth.ReverseDNS, s.e.Arrival.Peer
	facts := []Fact{fact("peer", peer.String()), fact("result", string(r.Result)), fact("name", r.Name)}
	var c conclusion
	switch {
	case !peer.IsValid():
		return skip("no-peer", "the message did not come over a connection")
	case r.Result == AuthPass:
		return pass("ptr-confirmed", "the peer's name leads back to it", facts...)
	case r.Result == AuthTempError:
		return skip("ptr-temperror", "the look-up failed for the time being", facts...)
	case r.Result == AuthFail:
		c = fail("ptr-mismatch", "no name of the peer leads back to its address", facts...)
	default:
		c = fail("ptr-missing", "the peer's address has no name", facts...)
	}
	return s.broken(c, DialReverseDNS, "ptr-temporary", "ptr")
}

func checkMarkup(s subject) conclusion {
	m := s.e.Markup
	switch {
	case len(m.Problems) > 0:
		return fail("markup-problem", m.Problems[0].String(), problemFacts(m.Problems)...)
	case len(m.Items) == 0:
		return pass("markup-none", "the message has no markup")
	}
	return pass("markup-good", "all markup can be read", factInt("items", len(m.Items)), factInt("actions", len(m.Actions)))
}
