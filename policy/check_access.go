package policy

import (
	"slices"
	"strconv"
	"strings"
)

// The checks here are on how the mail came (gmail-actions.md section 9).

func checkAccessEvidence(s subject) conclusion {
	a := s.e.Access
	facts := append(make([]Fact, 0, 2+len(a.Signals)+len(a.Contradictions)), fact("pattern", string(a.Pattern)), fact("confidence", string(a.Confidence)))
	for _, signal := range a.Signals {
		facts = append(facts, fact(signal.Name, signal.Value))
	}
	for _, signal := range a.Contradictions {
		facts = append(facts, fact("against."+signal.Name, signal.Value))
	}
	switch {
	case len(a.Contradictions) > 0:
		return fail("contradicted", "the message came as "+string(a.Pattern)+", though "+a.Contradictions[0].Name+" speaks against it", facts...)
	case a.Pattern == PatternAmbiguous:
		return fail("unsettled", "how the message came is not settled; what would settle it: "+a.Settle, facts...)
	}
	return pass("consistent", "the message came as "+string(a.Pattern), facts...)
}

func checkOwnAction(s subject) conclusion {
	facts := []Fact{fact("pattern", string(s.e.Access.Pattern))}
	if s.action.Enclosed == "" && !s.e.Access.Unmarked {
		return pass("own", "the action is of the message itself", facts...)
	}
	for _, in := range s.e.Markup.Enclosed {
		facts = append(facts, fact("forwarded", string(in.How)), fact("mark", in.Mark), fact("client", in.Client), fact("originalFrom", in.From))
	}
	switch s.action.Enclosed {
	case EnclosedAttachment:
		return fail("manual-forward", "the action is of a mail that was forwarded by hand, as an attachment: who forwards cannot vouch for it", facts...)
	case EnclosedInline:
		return fail("manual-forward", "the action is of a mail that was forwarded by hand: its signature is gone, and who forwards cannot vouch for it", facts...)
	}
	return fail("manual-forward", "by its subject and references the message was forwarded by hand, and nothing shows which part of it is the sender's own", facts...)
}

func checkUnchanged(s subject) conclusion {
	a := s.e.Access
	switch a.Pattern {
	case PatternAutoForward, PatternPOPFetch, PatternMailingList:
	default:
		return skip("not-passed-on", "nobody is known to have passed the mail on")
	}
	if s.fromDomain() == "" {
		return skip("from-unusable", "there is no single From domain that could have signed")
	}
	facts := []Fact{fact("pattern", string(a.Pattern)), fact("from", s.fromDomain())}
	var broken *DKIM
	failed := false
	for i, d := range s.e.Auth.DKIM {
		if !s.e.Auth.Aligned(d.Domain, d.OrgDomain) {
			continue
		}
		facts = append(facts, fact("dkim."+strconv.Itoa(i), resultText(d.Result, d.Domain, d.Problem)))
		switch {
		case d.Result == AuthPass:
			return pass("dkim-intact", "the author's signature is intact", facts...)
		case d.Result == AuthTempError:
			failed = true
		case broken == nil || broken.Change == "":
			broken = &s.e.Auth.DKIM[i]
		}
	}
	switch {
	case failed:
		return fail("auth-temperror", "the key of the author's signature could not be looked up now", facts...)
	case broken == nil:
		return fail("dkim-absent", "the mail was passed on, and has no DKIM signature of the author's that could vouch for it", facts...)
	}
	return fail("dkim-broken", "the mail was passed on, and the author's signature does not hold any more: "+broken.damage(), append(facts, fact("change", string(broken.Change)))...)
}

// damage says what broke a signature.
func (d DKIM) damage() string {
	if d.Problem != "" {
		return d.Problem
	}
	return string(d.Result)
}

func checkAccessPattern(s subject) conclusion {
	a := s.e.Access
	facts := []Fact{fact("pattern", string(a.Pattern)), fact("confidence", string(a.Confidence))}
	for _, signal := range a.Signals {
		facts = append(facts, fact(signal.Name, signal.Value))
	}
	goTo := s.action.Kind == KindGoTo
	switch a.Pattern {
	case PatternSelf:
		return pass(ReasonSelf, "the mail is from the account to itself", facts...)
	case PatternDirect:
		return pass("direct", "the mail came directly", facts...)
	case PatternManualForward:
		return pass("own-of-forwarder", "the mail has another one inside, forwarded by hand; who forwards is judged by what is his own", facts...)
	case PatternPOPFetch:
		return pass("pop-fetch", "the provider fetched the mail with a login that the user gave it", facts...)
	case PatternAutoForward:
		return s.autoForward(facts)
	case PatternMailingList:
		switch {
		case goTo:
			return pass("mailing-list-go-to", "a list passed the mail on, but a link does not depend on it", facts...)
		case s.e.Dials.Get(DialMailingList) == "offered":
			return pass("mailing-list-offered", "a list passed the mail on, which a dial permits", facts...)
		}
		return fail("mailing-list", "a list passed the mail on to all its members: an action is for one user", facts...)
	}
	if goTo {
		return pass("ambiguous-go-to", "how the mail came is not settled, but a link does not depend on it", facts...)
	}
	return fail("ambiguous", "how the mail came is not settled; what would settle it: "+a.Settle, facts...)
}

// autoForward judges an automatic forward: the user must have proved that she
// may send as the address that the mail was first sent to.
func (s subject) autoForward(facts []Fact) conclusion {
	f := s.e.Access.Forward
	if f == nil {
		f = &Forward{}
	}
	facts = append(facts, fact("style", string(f.Style)), fact("original", f.Original), fact("claimed", strings.Join(f.Claimed, ", ")))
	if f.SendAs != "" {
		return pass("auto-forward", "the mail was forwarded automatically from "+f.SendAs+", which the user may send as", facts...)
	}
	if f.Original == "" {
		detail := "the mail was forwarded automatically, and nothing proves from which address"
		if len(f.Claimed) > 0 {
			detail += "; that it is " + strings.Join(f.Claimed, ", ") + " is only claimed"
		}
		if settle := s.e.Access.Settle; settle != "" {
			detail += ". " + settle
		}
		return fail("original-unproven", detail, facts...)
	}
	detail := "the mail was forwarded automatically from " + f.Original + ", and the user has not proved that she may send as that address"
	if slices.ContainsFunc(s.e.Account.SendAs, func(a SendAs) bool { return strings.EqualFold(a.Address, f.Original) }) {
		detail += ": its verification has begun and is not done"
	}
	return fail("original-unverified", detail, facts...)
}
