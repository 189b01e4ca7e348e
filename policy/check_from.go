package policy

import (
	"slices"
	"strings"
)

// The checks here are on what From makes a reader believe. Who sends in his own
// name, authenticated, may still write it so that it looks like another's.

// fromReasons are the reasons for which From is not honest, in the order in which
// they are looked for.
var fromReasons = []Reason{
	"from-group", "from-obsolete", "from-syntax", "local-part-odd", "domain-literal", "domain-mixed-script", "domain-confusable", "domain-imitates",
	"name-control", "name-invisible", "name-bidi", "name-other-address", "name-other-domain", "name-mixed-script", "sender-other", reasonThirdParty,
}

// reasonThirdParty is only told of: "bob@bobs.example (via Shop)" pretends to be
// nobody whom the provider knows.
const reasonThirdParty Reason = "name-third-party"

func checkFromHonest(s subject) conclusion {
	from := s.from()
	if from.Addr == "" {
		return skip("from-unusable", "there is no single From address to judge")
	}
	facts := []Fact{fact("address", from.Addr), fact("name", from.Name)}
	if from.Comment != "" {
		facts = append(facts, fact("comment", from.Comment))
	}
	j := fromJudge{s, s.lookOut()}
	for _, judge := range []func() (Reason, string){j.syntax, j.localPart, j.domain, j.names, j.sender, j.thirdParty} {
		if reason, why := judge(); reason != "" {
			return fail(reason, why, facts...)
		}
	}
	return pass("from-honest", "From says who it is", facts...)
}

// fromJudge judges one From. Each of its methods returns the reason for which it
// is not honest and a sentence, or nothing.
type fromJudge struct {
	subject
	others lookout
}

// syntax finds forms that programs read, and show, in different ways.
func (s fromJudge) syntax() (Reason, string) {
	for _, p := range s.e.Header.Problems {
		if !strings.EqualFold(p.Field, "From") {
			continue
		}
		switch p.Code {
		case ProblemFromGroup:
			return "from-group", "From is a group, of which a program may show the name alone"
		case ProblemFromObsolete:
			return "from-obsolete", "From has a source route, or white space or a comment within the address, which programs read in different ways"
		case ProblemAddressSyntax, ProblemSpaceBefore, ProblemBlankFold:
			return "from-syntax", "programs may read From in different ways: " + p.String()
		}
	}
	return "", ""
}

func (s fromJudge) localPart() (Reason, string) {
	local, _, _ := cutAddress(s.from().Addr)
	text := clean(local[:min(len(local), maxFieldSize)])
	quoted := strings.HasPrefix(local, `"`)
	if quoted {
		text = strings.Trim(text, `"`)
	}
	_, route, percent := strings.Cut(text, "%")
	path, _, bang := strings.Cut(text, "!")
	switch {
	case quoted && strings.ContainsAny(text, "@<>()[],;:\\\""):
		return "local-part-odd", "the part before the @ has characters in quotes that look like another address"
	case percent && strings.Contains(route, ".") || bang && strings.Contains(path, "."):
		return "local-part-odd", "the part before the @ names another domain to send on to"
	case strings.ContainsFunc(local, func(r rune) bool { return isHidden(r) || r == '\u00ad' || isBidi(r) }):
		return "local-part-odd", "the part before the @ has characters that are not seen"
	}
	if mixed := mixedWord(text, mixesScripts); mixed != "" {
		return "local-part-odd", "the part before the @ mixes letters of " + mixed
	}
	if s.others.local != "" {
		return "local-part-odd", "the part before the @ names " + s.others.local
	}
	return "", ""
}

// localText is the part before the @ as it is searched for domains: without the
// account's own address, which senders put behind a plus to know whose answer
// comes (as VERP does for bounces).
func (s subject) localText() string {
	local, _, _ := cutAddress(s.from().Addr)
	text := strings.ToLower(clean(local[:min(len(local), maxFieldSize)]))
	if before, token, ok := strings.Cut(text, "+"); ok {
		if i := strings.LastIndexByte(token, '='); i > 0 && SameMailbox(token[:i]+"@"+token[i+1:], s.e.Account.Address) {
			return before
		}
	}
	return text
}

func (s fromJudge) domain() (Reason, string) {
	domain := s.fromDomain()
	if strings.HasPrefix(domain, "[") {
		return "domain-literal", "From has an address instead of a domain"
	}
	seen := uLabels(domain)
	for label := range strings.SplitSeq(seen, ".") {
		if mixed := mixesScripts(label); mixed != "" {
			return "domain-mixed-script", "a label of From's domain mixes letters of " + mixed
		}
	}
	switch script := unusualScript(seen); {
	case s.others.domain != "":
		return "domain-confusable", "From's domain looks like " + s.others.domain
	case script != "":
		return "domain-confusable", "From's domain has letters of " + script + ", which names are hardly written in, and which look like others"
	case s.others.imitated != "":
		return "domain-imitates", "From's domain has " + s.others.imitated + " in it, and does not belong to it"
	}
	return "", ""
}

// names judges what is shown beside the address: the display name, and
// comments.
func (s fromJudge) names() (Reason, string) {
	for _, name := range []string{s.from().Name, s.from().Comment} {
		if reason, why := s.name(name); reason != "" {
			return reason, why
		}
	}
	return "", ""
}

// sender judges the Sender field, which programs show as "on behalf of". What
// passes for the Sender's own domain proves it.
func (s fromJudge) sender() (Reason, string) {
	for _, a := range s.e.Header.Sender {
		if other := s.others.senders[a.Domain]; other != "" {
			return "sender-other", "Sender names an address of " + other + ", or one that looks like it"
		}
		if _, why := s.name(a.Name); why != "" {
			return "sender-other", "Sender pretends: " + why
		}
	}
	return "", ""
}

// proven says whether SPF or a signature passes for a domain's organisation.
func (a Authentication) proven(domain string) bool {
	in := func(d, org string) bool { return d != "" && (domain == d || org != "" && Within(domain, org)) }
	return a.SPF.Result == AuthPass && in(a.SPF.Domain, a.SPF.OrgDomain) ||
		slices.ContainsFunc(a.DKIM, func(d DKIM) bool { return d.Result == AuthPass && in(d.Domain, d.OrgDomain) })
}

func registeredDomain(r Registration) string {
	if _, domain, ok := cutAddress(r.From); ok {
		return asciiDomain(domain)
	}
	return asciiDomain(r.From)
}

// sameOrganisation says whether a domain is of the same organisation as From's.
func (s subject) sameOrganisation(domain string) bool {
	from, org := s.fromDomain(), s.e.Auth.DMARC.OrgDomain
	return Within(domain, from) || s.e.Auth.DMARC.Domain == from && org != "" && Within(domain, org)
}
