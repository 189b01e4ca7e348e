package policy

import (
	"slices"
	"strings"
)

// The checks here are on what somebody may have done to a header. Those of scope
// message only tell of it, as no source says that the provider refuses it; those
// of scope action withhold: who sent the mail is in doubt.

// headerChecks are of scope message.
var headerChecks = []Check{
	{
		ID: "from-honest", Scope: ScopeMessage, Advice: true,
		Doc: "From says who it is: one plain address, of one script, whose name, domain and Sender do not make it look like the provider's " +
			"or a registered sender's.",
		Source:  "gmail-inbound.md section 2 (UTS #39 5.2, display names); RFC 5322 4.4; what else the real provider looks at is not documented",
		Reasons: append(slices.Clone(fromReasons), "from-unusable", "from-honest"),
		run:     checkFromHonest,
	},
	{
		ID: "lines-sound", Scope: ScopeMessage, Advice: true,
		Doc:     "Every line ends in CRLF and every line of the header is a field, so that all programs read the same mail.",
		Source:  "RFC 5322 2.2, 2.3; RFC 5321 2.3.8; gmail-inbound.md section 5",
		Reasons: append(slices.Clone(lineProblems), "lines-sound"),
		run:     checkLinesSound,
	},
	{
		ID: "fields-signed-once", Scope: ScopeMessage, Advice: true,
		Doc:     "No field stands more often than the signatures that cover it say, the author's covers every field that is shown, and From once more than it stands.",
		Source:  "RFC 6376 5.4.2, 8.15",
		Reasons: []Reason{"field-added", "field-unsigned", "from-not-oversigned", "unsigned", "fields-signed"},
		run:     checkFieldsSignedOnce,
	},
	{
		ID: "signature-of-author", Scope: ScopeMessage, Advice: true,
		Doc:     "One of the passing DKIM signatures is of From's domain, and does not name another user of it.",
		Source:  "RFC 6376 2.6, 3.5; RFC 9989 4.10.2",
		Reasons: []Reason{"signed-by-others", "auid-other", "unsigned", "signed-by-author"},
		run:     checkSignatureOfAuthor,
	},
	{
		ID: "arc-chain", Scope: ScopeMessage, Advice: true,
		Doc:     "The ARC chain is sound, if there is one; nothing rests on it.",
		Source:  "RFC 8617 5.2; gmail-inbound.md section 0 item 1",
		Reasons: []Reason{"arc-fail", ReasonNone, "arc-pass"},
		run:     checkARC,
	},
	{
		ID: "signature-new", Scope: ScopeMessage, Advice: true,
		Doc: "The author's signature has not come before in mail to other accounts, unless he sent it himself, addressed it to this account, " +
			"or somebody is known to have passed it on.",
		Source:  "RFC 6376 8.6; gmail-inbound.md 3.3 (dara); what the real provider does is not documented",
		Reasons: []Reason{"signature-replayed", "peer-vouches", "passed-on", "addressed", "signature-new"},
		Dials:   []DialID{DialReplayAccounts, DialReplayMemory},
		run:     checkSignatureNew,
	},
}

// honestChecks are of scope action, and come after that on From itself.
var honestChecks = []Check{
	{
		ID: "header-honest", Scope: ScopeAction,
		Doc:     "Nothing in the header makes the mail look like another sender's, or like another mail.",
		Source:  "the checks from-honest and lines-sound; what the real provider does is not documented",
		Reasons: slices.Concat(fromReasons, lineProblems[:len(lineProblems)-1], []Reason{"header-honest"}),
		run:     checkHeaderHonest,
	},
}

// signedChecks are of scope action, and come after that on how the mail came,
// which says more.
var signedChecks = []Check{
	{
		ID: "fields-signed", Scope: ScopeAction,
		Doc: "Where only DKIM vouches for From, one signature covers every From and Subject that stands, and of other fields that are shown " +
			"or read by all or none: anybody could have added what it does not cover. What is not signed at all of To and Cc is recipient-signed's matter, of MIME content-signed's.",
		Source:  "RFC 6376 5.4, 8.15; what the real provider does is not documented",
		Reasons: []Reason{"field-added", "field-unsigned", "nothing-to-align", "peer-vouches", "field-unsigned-offered", "fields-signed"},
		Dials:   []DialID{DialUnsignedFields},
		run:     checkFieldsSigned,
	},
	{
		ID: "recipient-signed", Scope: ScopeAction,
		Doc: "Where only DKIM vouches for From, the author has signed a To or Cc that names the account, so that the mail is not one of somebody " +
			"else's passed on; a go-to action needs it only where others are named.",
		Source: "RFC 6376 8.6; gmail-actions.md section 5: one action, one user; what the real provider does is a dial",
		Reasons: []Reason{"signed-to-others", "recipient-unsigned", "peer-vouches", "nothing-to-align", "passed-on", ReasonSelf, "recipient-signed",
			"recipient-unsigned-go-to", "recipient-unsigned-offered"},
		Dials: []DialID{DialRecipientUnsigned},
		run:   checkRecipientSigned,
	},
	{
		ID: "not-replayed", Scope: ScopeAction,
		Doc:     "The mail is not one that was sent to somebody else and is spread with its signature intact.",
		Source:  "RFC 6376 8.6; what the real provider does is a dial",
		Reasons: []Reason{"signature-replayed", "signature-replayed-offered", "signature-not-replayed"},
		Dials:   []DialID{DialReplay, DialReplayAccounts},
		run:     checkNotReplayed,
	},
}

// lineProblems are those that make programs read different mails. The last one
// does so least.
var lineProblems = []Reason{ProblemNUL, ProblemBareCR, ProblemHeaderLine, ProblemMboxLine, ProblemBlankFold, ProblemBareLF}

func checkLinesSound(s subject) conclusion {
	// Where problems were left out, those of other fields may be among them.
	more := slices.ContainsFunc(s.e.Header.Problems, func(p Problem) bool { return p.Code == ProblemMore })
	for _, code := range lineProblems {
		i := slices.IndexFunc(s.e.Header.Problems, func(p Problem) bool {
			// A line of an mbox file at the very top separates messages, and is no
			// part of this one.
			// What nobody reads may be folded as it likes.
			return p.Code == code && (code != ProblemMboxLine || p.Place.Line > 1) && (code != ProblemBlankFold || more || slices.Contains(authoredFields[:], strings.ToLower(p.Field)))
		})
		if i >= 0 {
			p := s.e.Header.Problems[i]
			return fail(code, "programs may read different mails: "+p.String(), problemFacts([]Problem{p})...)
		}
	}
	return pass("lines-sound", "all lines are such as RFC 5322 has them")
}

// shownFields are those that a reader sees or a parser reads by: what stands in
// them must be the author's.
var shownFields = []string{"from", "subject", "to", "cc", "date", "content-type", "content-transfer-encoding"}

// mustSign is how many of shownFields, from the first, a signature must cover.
// Many senders sign none of one of the others.
const mustSign = 2

// names says how often h= names a field.
func (d DKIM) names(field string) int {
	n := 0
	for _, h := range d.Headers {
		if h == field {
			n++
		}
	}
	return n
}

// authors says whether a signature is one of the author's, and passes.
func (a Authentication) authors(d DKIM) bool {
	return d.Result == AuthPass && a.Aligned(d.Domain, d.OrgDomain)
}

// authorsWhole says whether a signature is one of the author's, passes, and
// covers the whole body.
func (a Authentication) authorsWhole(d DKIM) bool {
	return a.authors(d) && d.Uncovered == 0 && !d.BodyUnsigned
}

// counting says which signatures of the author's count: if there are any that
// cover the body, those alone. With one of the body and another one of the
// fields, two mails of the author's could be made one.
func (a Authentication) counting() func(DKIM) bool {
	if slices.ContainsFunc(a.DKIM, a.authorsWhole) {
		return a.authorsWhole
	}
	return a.authors
}

// peerVouches says whether the peer is one of From's own senders.
func (a Authentication) peerVouches() bool {
	return a.SPF.Result == AuthPass && a.Aligned(a.SPF.Domain, a.SPF.OrgDomain)
}

func checkFieldsSignedOnce(s subject) conclusion {
	a, h := s.e.Auth, s.e.Header
	if !a.dkimPasses() {
		return skip("unsigned", "no signature passes")
	}
	var authors []DKIM
	for _, d := range a.DKIM {
		if d.Result != AuthPass {
			continue
		}
		if a.authors(d) {
			authors = append(authors, d)
		}
		for _, f := range h.Authored {
			if n := d.names(f.Name); n > 0 && f.Count > n {
				return fail("field-added", "there are more fields "+f.Name+" than "+d.Domain+" signed: somebody has added one above",
					fact("field", f.Name), factInt("there", f.Count), factInt("signed", n), fact("domain", d.Domain))
			}
		}
	}
	if len(authors) == 0 {
		return skip("unsigned", "no signature of the author passes")
	}
	for _, f := range h.Authored {
		unsigned := func(d DKIM) bool { return d.names(f.Name) == 0 }
		if f.Name != "message-id" && f.Name != "references" && f.Name != "in-reply-to" && !slices.ContainsFunc(authors, func(d DKIM) bool { return !unsigned(d) }) {
			return fail("field-unsigned", "the author has not signed "+f.Name+": anybody may have written it", fact("field", f.Name))
		}
	}
	if n := h.authored("from"); n > 0 && !slices.ContainsFunc(authors, func(d DKIM) bool { return d.names("from") > n }) {
		return fail("from-not-oversigned", "h= names From as often as it stands, so that another one can be added without breaking the signature",
			fact("h", strings.Join(authors[0].Headers, ":")))
	}
	return pass("fields-signed", "the author has signed what is shown", fact("h", strings.Join(authors[0].Headers, ":")))
}

func checkFieldsSigned(s subject) conclusion {
	a := s.e.Auth
	if a.peerVouches() {
		return pass("peer-vouches", "the mail comes from one of From's own senders")
	}
	counts := a.counting()
	var missing string
	var signature DKIM
	found := false
	for _, d := range a.DKIM {
		if !counts(d) {
			continue
		}
		field := s.uncovered(d)
		if field == "" {
			return pass("fields-signed", "a signature covers all that is shown", fact("selector", d.Selector))
		}
		if !found {
			missing, signature, found = field, d, true
		}
	}
	if !found {
		return skip("nothing-to-align", "nothing vouches for the domain of From")
	}
	facts := []Fact{
		fact("field", missing), factInt("there", s.e.Header.authored(missing)), factInt("signed", signature.names(missing)),
		fact("selector", signature.Selector), fact("h", strings.Join(signature.Headers, ":")),
	}
	switch {
	case signature.names(missing) > 0:
		return fail("field-added", "somebody has added "+missing+" above the one that the author signed", facts...)
	case s.e.Dials.Get(DialUnsignedFields) == "offered":
		return pass("field-unsigned-offered", "the author has not signed "+missing+", which a dial permits", facts...)
	}
	return fail("field-unsigned", "the author has not signed "+missing+", and nobody else vouches for it: anybody may have written it", facts...)
}

// uncovered names a shown field that stands more often than a signature covers;
// one that was added comes before one that was never signed, which counts of the
// first only.
func (s subject) uncovered(d DKIM) string {
	unsigned := ""
	for i, name := range shownFields {
		signed := d.names(name)
		switch there := s.e.Header.authored(name); {
		case there <= signed:
		case signed > 0:
			return name
		case unsigned == "" && i < mustSign:
			unsigned = name
		}
	}
	return unsigned
}

func checkSignatureOfAuthor(s subject) conclusion {
	a := s.e.Auth
	facts := make([]Fact, 0, len(a.DKIM))
	passes, other := false, ""
	for _, d := range a.DKIM {
		if d.Result != AuthPass {
			continue
		}
		passes = true
		facts = append(facts, fact("dkim", d.Domain), fact("i", d.AUID))
		if !a.authors(d) {
			continue
		}
		local, domain, _ := cutAddress(d.AUID)
		own, _, _ := cutAddress(s.from().Addr)
		if local == "" || strings.EqualFold(local, own) || asciiDomain(domain) != s.fromDomain() {
			return pass("signed-by-author", "a passing signature is of From's domain", facts...)
		}
		other = d.AUID
	}
	switch {
	case other != "":
		return fail("auid-other", "the signature of From's domain is for another user of it: "+other, facts...)
	case passes:
		return fail("signed-by-others", "no passing signature is of From's domain", facts...)
	}
	return skip("unsigned", "no signature passes")
}

func checkARC(s subject) conclusion {
	arc := s.e.Auth.ARC
	facts := []Fact{factInt("sets", len(arc.Sets)), fact("reason", string(arc.Reason))}
	switch arc.Result {
	case AuthPass:
		return pass("arc-pass", "the ARC chain is sound", facts...)
	case AuthFail:
		return fail("arc-fail", "the ARC chain does not hold: "+arc.Problem, facts...)
	}
	return skip(ReasonNone, "there is no ARC chain")
}

func checkHeaderHonest(s subject) conclusion {
	for _, id := range []CheckID{"from-honest", "lines-sound"} {
		// Of LF alone there is one reading only: everybody who takes it takes it for
		// a line end, and so does DKIM.
		if f, ok := s.verdict.Finding(id); ok && f.Result == Fail && f.Reason != ProblemBareLF && f.Reason != reasonThirdParty && !s.sloppy(f.Reason) {
			return fail(f.Reason, f.Detail, f.Facts...)
		}
	}
	return pass("header-honest", "nothing in the header pretends")
}

// sloppy says whether a problem of lines is the sender's own, as his own server
// brings the mail, and can hide nothing: a fold, or a CR in the body. A CR within
// a field can hide another one from some programs, whoever wrote it.
func (s subject) sloppy(problem Reason) bool {
	if !s.e.Auth.peerVouches() {
		return false
	}
	return problem == ProblemBlankFold || problem == ProblemBareCR &&
		!slices.ContainsFunc(s.e.Header.Problems, func(p Problem) bool { return p.Code == ProblemBareCR && p.Field != "" || p.Code == ProblemMore })
}

// refuseCharacters refuses what the provider names in its list of replies:
// encoded words, and characters other than ASCII, where none may stand
// (gmail-inbound.md 1.4).
func (s subject) refuseCharacters() (conclusion, bool) {
	for _, p := range s.e.Header.Problems {
		switch p.Code {
		case ProblemEncodedAddress:
			return fail("encoded-address", "an encoded word stands where none may: "+p.String(), problemFacts(s.e.Header.Problems)...).
				rejected("encoded-word", "what", fieldName(p)), true
		case ProblemUnicodeField:
			return fail("unicode-field", "a field has characters other than ASCII, and may not: "+p.String(), problemFacts(s.e.Header.Problems)...).
				rejected("unicode-header", "what", fieldName(p)), true
		}
	}
	return conclusion{}, false
}

// fieldName is how replies write the name of a problem's field: as its own
// standard does, so that nothing of the message's gets into them.
func fieldName(p Problem) string {
	for _, name := range [...]string{
		"Date", "From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Message-ID", "In-Reply-To", "References", "Subject",
		"MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Content-ID", "Content-Description",
	} {
		if strings.EqualFold(p.Field, name) {
			return name
		}
	}
	return "such"
}

// checkUnsubscribeAuthor asks that nobody has added the fields to a mail whose
// author signed it without them.
func checkUnsubscribeAuthor(s subject) conclusion {
	if s.e.Markup.Unsubscribe.Fields == 0 {
		return noUnsubscribe()
	}
	a := s.e.Auth
	if a.peerVouches() {
		return pass("peer-vouches", "the mail comes from one of From's own senders")
	}
	if !slices.ContainsFunc(a.DKIM, a.authors) {
		return skip("nothing-to-align", "no signature of the author passes")
	}
	if d, ok := coveringSignature(a, a.authors); ok {
		return pass("dkim-aligned", "the author has signed both fields", fact("selector", d.Selector))
	}
	return fail("added-by-others", "the author has signed the mail without these fields: somebody has added them", s.authFacts()...)
}
