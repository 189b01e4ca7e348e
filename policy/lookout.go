package policy

import (
	"strings"
	"time"
)

// lookout is what somebody might pretend to be by From: the domains of other
// organisations than From's that are the provider's, or registered, and that
// something in From looks like. They are sought in one pass over the
// registrations, of which there may be thousands.
type lookout struct {
	subject
	seen     string            // From's domain, for people.
	own      []registration    // Of From's own domain.
	domain   string            // Which From's domain, or what that is below, looks like.
	imitated string            // Which stands among the labels of From's domain.
	local    string            // Which stands in the local part.
	senders  map[string]string // Nil without Sender of another organisation.
	words    map[string]string // By the skeleton of what stands in a name; nil without.

	parents   map[string]string   // The parts of From's domain that something may look like, by skeleton.
	runs      map[string]bool     // The labels of From's domain in a row, as skeletons.
	single    map[string]bool     // The same of one label, or a part of it.
	sendersOf map[string][]string // The domains of Senders, by the skeletons of their parents.
	text      string              // The local part.
}

// registration is one of the registry, with what says which was first.
type registration struct {
	since time.Time
	place int
}

// before says which of two was registered first.
func (r registration) before(other registration) bool {
	if !r.since.Equal(other.since) {
		return r.since.Before(other.since)
	}
	return r.place < other.place
}

// lookOut looks for all that something in From, or in Sender, looks like.
func (s subject) lookOut() lookout {
	o := lookout{
		subject: s, seen: uLabels(s.fromDomain()), parents: make(map[string]string, 4), text: s.localText(),
	}
	for rest := range parents(o.seen) {
		o.parents[skeleton(rest)] = rest
	}
	o.runs, o.single = labelRuns(skeleton(o.seen))
	for _, a := range s.e.Header.Sender {
		if !s.sameOrganisation(a.Domain) && !s.e.Auth.proven(a.Domain) {
			if o.sendersOf == nil {
				o.senders, o.sendersOf = map[string]string{}, map[string][]string{}
			}
			for rest := range parents(uLabels(a.Domain)) {
				key := skeleton(rest)
				o.sendersOf[key] = append(o.sendersOf[key], a.Domain)
			}
		}
		o.expect(a.Name)
	}
	o.expect(s.from().Name)
	o.expect(s.from().Comment)
	for i, r := range s.reg {
		if registeredDomain(r) == s.fromDomain() {
			o.own = append(o.own, registration{r.Since, i})
		}
	}
	_, domain, _ := cutAddress(s.e.Account.Address)
	o.meet(asciiDomain(domain), nil)
	for i, r := range s.reg {
		o.meet(registeredDomain(r), &registration{r.Since, i})
	}
	return o
}

// parents yields a domain and all that it is below.
func parents(domain string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for rest, ok := domain, true; ok; _, rest, ok = strings.Cut(rest, ".") {
			if !yield(rest) {
				return
			}
		}
	}
}

// expect prepares for the words of a name.
func (o *lookout) expect(name string) {
	for _, word := range nameWords(name[:min(len(name), maxFieldSize)]) {
		for rest := range parents(uLabels(hostOf(word))) {
			if strings.Contains(rest, ".") {
				if o.words == nil {
					o.words = map[string]string{}
				}
				o.words[skeleton(rest)] = ""
			}
		}
	}
}

// word returns the domain that a word of a name is of, or looks like; "" if there
// is none.
func (o lookout) word(word string) string {
	for rest := range parents(uLabels(hostOf(word))) {
		if other := o.words[skeleton(rest)]; other != "" {
			return other
		}
	}
	return ""
}

// meet compares what From shows with one domain: the provider's, or that of a
// registration.
func (o *lookout) meet(known string, r *registration) {
	if known == "" {
		return
	}
	look := skeleton(uLabels(known))
	part, isParent := o.parents[look]
	_, isWord := o.words[look]
	senders := o.sendersOf[look]
	imitated := o.imitates(look)
	local := o.local == "" && len(known) <= len(o.text) && strings.Contains(o.text, known)
	if !isParent && !isWord && len(senders) == 0 && !imitated && !local || o.sameOrganisation(known) {
		return
	}
	if isWord {
		o.words[look] = known
	}
	for _, d := range senders {
		o.senders[d] = known
	}
	if local {
		o.local = known
	}
	_, provider, _ := cutAddress(o.e.Account.Address)
	if Within(o.fromDomain(), asciiDomain(provider)) {
		return // Whoever looks like the provider, the provider does not look like him.
	}
	if isParent && o.domain == "" && (r == nil || !o.first(part, known, *r)) {
		o.domain = known
	}
	// With a registration of its own, amazon.com.br is a name as good as amazon.com.
	if national := strings.HasPrefix(o.e.Auth.DMARC.OrgDomain, known+".") && o.e.Auth.DMARC.Domain == o.fromDomain(); imitated && !(len(o.own) > 0 && national) {
		o.imitated = known
	}
}

// first says whether From's domain is registered, and nothing in its looks or
// before the other one is.
func (o *lookout) first(part, known string, r registration) bool {
	if len(o.own) == 0 {
		return false
	}
	if foldLetters(part) != foldLetters(uLabels(known)) {
		return true // Two words, such as clock and dock, of which both were let in.
	}
	for _, own := range o.own {
		if own.before(r) {
			return true
		}
	}
	return false
}

// maxRun is how many labels, or parts of them between hyphens, are taken for one
// name.
const maxRun = 8

// minSingle is how long a domain without its dots must be for one label to
// imitate it: shorter ones stand in words by chance.
const minSingle = 8

// labelRuns are what stands in a domain, before its end: every row of labels, or
// of parts of them between hyphens, and every such part.
func labelRuns(domain string) (runs, single map[string]bool) {
	runs, single = map[string]bool{}, map[string]bool{}
	parts := strings.FieldsFunc(domain, func(r rune) bool { return r == '.' || r == '-' })
	for i := range parts {
		if i < len(parts)-1 && len(parts[i]) >= minSingle {
			single[parts[i]] = true
		}
		for n := 2; n <= maxRun && i+n < len(parts); n++ {
			runs[strings.Join(parts[i:i+n], ".")] = true
		}
	}
	return runs, single
}

// imitates says whether From's domain has another one among its labels.
func (o *lookout) imitates(look string) bool {
	if !strings.Contains(look, ".") {
		return false
	}
	if len(o.runs) > 0 && o.runs[strings.ReplaceAll(look, "-", ".")] {
		return true
	}
	return len(o.single) > 0 && o.single[strings.ReplaceAll(strings.ReplaceAll(look, ".", ""), "-", "")]
}
