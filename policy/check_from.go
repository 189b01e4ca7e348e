package policy

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// The checks here are on what From makes a reader believe. Who sends in his own
// name, authenticated, may still write it so that it looks like another's.

// fromReasons are the reasons for which From is not honest, in the order in which
// they are looked for.
var fromReasons = []Reason{
	"from-group", "from-obsolete", "from-syntax", "local-part-odd", "domain-literal", "domain-mixed-script", "domain-confusable", "domain-imitates",
	"name-control", "name-invisible", "name-bidi", "name-other-address", "name-other-domain", "name-mixed-script", "sender-other",
}

func checkFromHonest(s subject) conclusion {
	from := s.from()
	if from.Addr == "" {
		return skip("from-unusable", "there is no single From address to judge")
	}
	facts := []Fact{fact("address", from.Addr), fact("name", from.Name)}
	if from.Comment != "" {
		facts = append(facts, fact("comment", from.Comment))
	}
	j := fromJudge{s, s.otherSenders()}
	for _, judge := range []func() (Reason, string){j.syntax, j.localPart, j.domain, j.names, j.sender} {
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
	others others
}

// others are the domains of other organisations than From's that somebody might
// pretend to be of: the provider's, and those of registered senders.
type others struct {
	list  []string
	looks map[string]string // By how they look.
}

func (s subject) otherSenders() others {
	_, domain, _ := cutAddress(s.e.Account.Address)
	o := others{list: []string{asciiDomain(domain)}, looks: map[string]string{}}
	for _, r := range s.reg {
		o.list = append(o.list, registeredDomain(r))
	}
	slices.Sort(o.list)
	o.list = slices.DeleteFunc(slices.Compact(o.list), func(d string) bool { return d == "" || s.sameOrganisation(d) })
	for _, d := range o.list {
		o.looks[skeleton(uLabels(d))] = d
	}
	return o
}

// like returns the domain that another one, or what that is below, looks like or
// is; "" if there is none.
func (o others) like(domain string) string {
	for rest, ok := domain, true; ok; _, rest, ok = strings.Cut(rest, ".") {
		if d := o.looks[skeleton(rest)]; d != "" {
			return d
		}
	}
	return ""
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
	case quoted && strings.ContainsAny(text, "@<>()[],;:\\\" "):
		return "local-part-odd", "the part before the @ has characters in quotes that look like another address"
	case percent && strings.Contains(route, ".") || bang && strings.Contains(path, "."):
		return "local-part-odd", "the part before the @ names another domain to send on to"
	case strings.ContainsFunc(local, isHidden):
		return "local-part-odd", "the part before the @ has characters that are not seen"
	}
	if mixed := mixedWord(text); mixed != "" {
		return "local-part-odd", "the part before the @ mixes letters of " + mixed
	}
	lower := strings.ToLower(text)
	for _, other := range s.others.list {
		if strings.Contains(lower, other) {
			return "local-part-odd", "the part before the @ names " + other
		}
	}
	return "", ""
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
	own := slices.ContainsFunc(s.reg, func(r Registration) bool { return registeredDomain(r) == asciiDomain(domain) })
	if other := s.others.like(seen); other != "" && (!own || !isPlain(seen)) {
		// A registered domain that is plain is what others look like.
		return "domain-confusable", "From's domain looks like " + other
	}
	for _, other := range s.others.list {
		if imitates(domain, other) {
			return "domain-imitates", "From's domain has " + other + " in it, and does not belong to it"
		}
	}
	return "", ""
}

// imitates says whether a domain has another one among its labels, as it is or
// with hyphens for its dots.
func imitates(domain, known string) bool {
	if !strings.Contains(known, ".") {
		return false
	}
	return strings.HasPrefix(domain, known+".") || strings.Contains(domain, "."+known+".") ||
		slices.Contains(strings.Split(domain, "."), strings.ReplaceAll(known, ".", "-"))
}

// names judges what is shown beside the address: the display name, and
// comments.
func (s fromJudge) names() (Reason, string) {
	for _, name := range []string{s.from().Name, s.from().Comment} {
		name = name[:min(len(name), maxFieldSize)] // A longer one is refused.
		switch {
		case strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) && r != '\t' }):
			return "name-control", "the name has control characters"
		case strings.ContainsFunc(name, isBidi), strings.ContainsFunc(name, isMark) && !strings.ContainsFunc(name, isRightToLeft):
			return "name-bidi", "the name has characters that turn the direction of text around"
		case strings.ContainsFunc(name, isHidden), joinsLatin(name):
			return "name-invisible", "the name has characters that are not seen"
		}
		text := clean(name)
		if other := s.otherAddress(text); other != "" {
			return "name-other-address", "the name holds another address: " + other
		}
		if other := s.otherDomain(text); other != "" {
			return "name-other-domain", "the name holds another sender's domain: " + other
		}
		if mixed := mixedWord(text); mixed != "" {
			return "name-mixed-script", "a word of the name mixes letters of " + mixed
		}
	}
	return "", ""
}

// sender judges the Sender field, which programs show as "on behalf of".
func (s fromJudge) sender() (Reason, string) {
	for _, a := range s.e.Header.Sender {
		for _, other := range s.others.list {
			if within(a.Domain, other) {
				return "sender-other", "Sender names an address of " + other
			}
		}
	}
	return "", ""
}

// clean makes a name comparable: compatibility forms such as full-width letters
// as plain ones, nothing invisible, every kind of dot a dot.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '。' || r == '․' || r == '·':
			return '.'
		case isHidden(r) || isBidi(r) || isMark(r):
			return -1
		}
		return r
	}, norm.NFKC.String(s))
}

// isHidden says whether a character is not seen and has no business in a name.
func isHidden(r rune) bool { return isInvisible(r) || r == '\u2028' || r == '\u2029' }

// isMark says whether a character is a mark of direction, which text from right
// to left may need.
func isMark(r rune) bool { return r == '\u200e' || r == '\u200f' || r == '\u061c' }

func isRightToLeft(r rune) bool {
	return unicode.In(r, unicode.Hebrew, unicode.Arabic, unicode.Syriac, unicode.Thaana, unicode.Nko)
}

// joinsLatin says whether a joiner, which some scripts and pictures need, stands
// between letters or digits that cannot be joined.
func joinsLatin(s string) bool {
	runes := []rune(s)
	for i, r := range runes {
		if (r == '\u200c' || r == '\u200d') && (i == 0 || i == len(runes)-1 || unjoined(runes[i-1]) || unjoined(runes[i+1])) {
			return true
		}
	}
	return false
}

func unjoined(r rune) bool {
	return r < 0x80 || unicode.In(r, unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Armenian)
}

// maxDomain is the longest domain (RFC 5321 4.5.3.1.2).
const maxDomain = 255

// words cuts text at whatever cannot be part of an address.
func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || strings.ContainsRune(`<>()[]{}"',;:|/\`, r)
	})
}

// otherAddress returns an address in a text that is of another domain than
// From's.
func (s fromJudge) otherAddress(text string) string {
	for _, word := range words(text) {
		local, domain, ok := cutAddress(word)
		domain = strings.Trim(domain, ".!?")
		if !ok || local == "" || !strings.Contains(domain, ".") || len(domain) > maxDomain {
			continue
		}
		if asciiDomain(domain) != s.fromDomain() {
			return word
		}
	}
	return ""
}

// otherDomain returns a domain in a text that is another sender's, or looks like
// it: the provider's, one that is registered, or the host of a URL.
func (s fromJudge) otherDomain(text string) string {
	lower := strings.ToLower(text)
	for _, word := range words(lower) {
		_, word, _ := cutLastAt(word)
		word = strings.Trim(word, ".!?-")
		if !strings.Contains(word, ".") || len(word) > maxDomain {
			continue
		}
		host := asciiDomain(word)
		if s.sameOrganisation(host) {
			continue
		}
		if strings.HasPrefix(word, "www.") || strings.Contains(lower, "://"+word) || s.others.like(uLabels(host)) != "" {
			return word
		}
	}
	return ""
}

// cutLastAt is cutAddress for a word that may have no @, and is all domain then.
func cutLastAt(word string) (local, domain string, ok bool) {
	if local, domain, ok = cutAddress(word); ok {
		return local, domain, true
	}
	return "", word, false
}

// mixedWord names the scripts that one word of a text mixes; "" if none does.
func mixedWord(text string) string {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) }) {
		if mixed := mixesScripts(word); mixed != "" {
			return mixed
		}
	}
	return ""
}

func registeredDomain(r Registration) string {
	_, domain, _ := cutLastAt(r.From)
	return asciiDomain(domain)
}

// sameOrganisation says whether a domain is of the same organisation as From's.
func (s subject) sameOrganisation(domain string) bool {
	from, org := s.fromDomain(), s.e.Auth.DMARC.OrgDomain
	return within(domain, from) || within(from, domain) || s.e.Auth.DMARC.Domain == from && org != "" && within(domain, org)
}

// within says whether a domain is another one, or below it.
func within(domain, parent string) bool {
	rest, ok := strings.CutSuffix(domain, parent)
	return ok && domain != "" && (rest == "" || strings.HasSuffix(rest, "."))
}
