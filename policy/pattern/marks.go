package pattern

import (
	"slices"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/policy/quote"
)

// markFields are fields that forwarders, fetchers and lists leave
// (gmail-inbound.md 4.a, 4.c, 4.g), with what they point to.
var markFields = map[string]policy.Pattern{
	"x-forwarded-to":                         policy.PatternAutoForward,
	"x-forwarded-for":                        policy.PatternAutoForward,
	"resent-from":                            policy.PatternAutoForward,
	"resent-to":                              policy.PatternAutoForward,
	"resent-sender":                          policy.PatternAutoForward,
	"delivered-to":                           policy.PatternAutoForward,
	"x-original-to":                          policy.PatternAutoForward,
	"x-delivered-to":                         policy.PatternAutoForward,
	"x-original-delivered-to":                policy.PatternAutoForward,
	"x-resolved-to":                          policy.PatternAutoForward,
	"envelope-to":                            policy.PatternAutoForward,
	"x-envelope-to":                          policy.PatternAutoForward,
	"x-gm-original-to":                       policy.PatternAutoForward,
	"x-sieve-redirected-from":                policy.PatternAutoForward,
	"x-ms-exchange-forwardingloop":           policy.PatternAutoForward,
	"x-ms-exchange-inbox-rules-loop":         policy.PatternAutoForward,
	"x-yahoo-forwarded":                      policy.PatternAutoForward,
	"x-yandex-forward":                       policy.PatternAutoForward,
	"x-mailru-forward":                       policy.PatternAutoForward,
	"from-rewrite":                           policy.PatternAutoForward,
	"x-gmail-fetch-info":                     policy.PatternPOPFetch,
	"list-id":                                policy.PatternMailingList,
	"list-post":                              policy.PatternMailingList,
	"x-google-group-id":                      policy.PatternMailingList,
	"x-mailman-version":                      policy.PatternMailingList,
	"x-ms-exchange-generated-message-source": policy.PatternAutoForward,
}

// The lengths of the names in markFields: most fields are ruled out by theirs.
const (
	shortestMark = len("list-id")
	longestMark  = len("x-ms-exchange-generated-message-source")
)

// maxMarks bounds the marks of one pattern that are told of; a mail of fifty hops
// has fewer. Beyond it they say nothing new.
const maxMarks = 100

// readMarks reads the signs in the header that somebody passed the mail on.
func (e *evidence) readMarks() {
	if e.Message == nil {
		return
	}
	var list []policy.Signal
	for i, f := range e.Message.Fields {
		if len(f.Name) < shortestMark || len(f.Name) > longestMark {
			continue
		}
		name := strings.ToLower(f.Name)
		p, ok := markFields[name]
		if !ok {
			continue
		}
		s := policy.Signal{Name: name, Rank: rankStructure, Value: f.Unfolded(), For: p}
		switch {
		case p == policy.PatternMailingList:
			// What the author signed is his own: a newsletter has List-Id, too.
			if !e.authors(i) {
				list = told(list, s)
			}
		case e.namesAccount(name, s.Value):
			if name != "delivered-to" {
				continue // The account is where it was sent to.
			}
			// It says that it was there already: so somebody has sent it again.
			s.For = policy.PatternAmbiguous
			e.marks = told(e.marks, s)
		default:
			if name == "resent-from" && e.forward.Style != policy.ForwardCAF && e.forward.Style != policy.ForwardSRS {
				e.forward.Style = policy.ForwardResent
			}
			e.marks = told(e.marks, s)
			e.claim(addressIn(name, s.Value))
		}
	}
	e.readReceived()
	e.readList(list)
}

// authors says whether a field is covered by a valid signature of the author.
func (e *evidence) authors(field int) bool {
	f := e.Message.Fields[field]
	for _, d := range e.Auth.DKIM {
		if d.Result == policy.AuthPass && e.Auth.Aligned(d.Domain, d.OrgDomain) &&
			slices.ContainsFunc(covered(e.Message, d, f.Name), func(c message.Field) bool { return &c.Raw[0] == &f.Raw[0] }) {
			return true
		}
	}
	return false
}

// told adds a mark, unless there are many of its pattern: so that no number of
// one kind hides another.
func told(list []policy.Signal, s policy.Signal) []policy.Signal {
	same := 0
	for _, other := range list {
		if other.For == s.For {
			same++
		}
	}
	if same >= maxMarks {
		return list
	}
	return append(list, s)
}

// addressFields are those of markFields that name the address which the mail was
// sent to before.
var addressFields = []string{
	"x-forwarded-for", "delivered-to", "x-original-to", "x-delivered-to", "x-original-delivered-to", "x-resolved-to",
	"envelope-to", "x-envelope-to", "x-gm-original-to", "resent-from",
}

// addressIn returns the address that a field of addressFields names; "" if it is
// none of them, or names none.
func addressIn(name, value string) string {
	if !slices.Contains(addressFields, name) {
		return ""
	}
	if name == "x-forwarded-for" {
		// The address forwarded from, then those forwarded to.
		value, _, _ = strings.Cut(value, " ")
	}
	list, err := message.Addresses(value)
	if err != nil || len(list) == 0 {
		return ""
	}
	return strings.ToLower(list[0].Addr)
}

// namesAccount says whether a field names the account itself.
func (e *evidence) namesAccount(name, value string) bool {
	addr := addressIn(name, value)
	return addr != "" && policy.SameMailbox(addr, e.Account.Address)
}

// claim notes the address that a field names as the one the mail was first sent
// to.
func (e *evidence) claim(addr string) {
	if addr != "" && len(e.forward.Claimed) < maxMarks && !slices.Contains(e.forward.Claimed, addr) {
		e.forward.Claimed = append(e.forward.Claimed, addr)
	}
}

// readReceived reads whom the last server before the provider received the mail
// for: one that only forwards names another address than the account.
func (e *evidence) readReceived() {
	f, ok := e.Message.Get("Received")
	if !ok {
		return
	}
	addr := receivedFor(f.Unfolded())
	if addr == "" || policy.SameMailbox(addr, e.Account.Address) {
		return
	}
	e.marks = append(e.marks, policy.Signal{Name: "received-for", Rank: rankStructure, Value: addr, For: policy.PatternAutoForward})
	e.claim(strings.ToLower(addr))
}

// receivedFor returns the address of a Received field's for clause (RFC 5321
// 4.4), without brackets; "" if there is none.
func receivedFor(value string) string {
	value, _, _ = strings.Cut(value, ";")
	words := strings.Fields(value)
	for i := len(words) - 2; i >= 0; i-- {
		if strings.EqualFold(words[i], "for") {
			if addr := strings.Trim(words[i+1], "<>"); strings.Contains(addr, "@") {
				return addr
			}
			return ""
		}
	}
	return ""
}

// readList sorts the marks of lists: with the proof that the list's own domain
// passed the mail on, or as mere marks. A newsletter's List-Id alone is none;
// only a list that one can post to passes other people's mail on.
func (e *evidence) readList(marks []policy.Signal) {
	if !slices.ContainsFunc(marks, func(s policy.Signal) bool { return s.Name != "list-id" }) {
		return
	}
	var domains []string
	for _, s := range marks {
		for _, r := range []string{"<", ">", "mailto:"} {
			s.Value = strings.ReplaceAll(s.Value, r, " ")
		}
		for _, word := range strings.Fields(s.Value) {
			word, _, _ = strings.Cut(word, "?")
			if i := strings.LastIndexByte(word, '@'); i >= 0 {
				word = word[i+1:]
			}
			if isName(word) {
				domains = append(domains, strings.ToLower(word))
			}
		}
	}
	// All of them: one more field, which anybody can add, must prove nothing.
	unproven := func(d string) bool { return !e.vouched(d) }
	// And the author must have written to the list, where he signed to whom.
	if len(e.signedDomains) > 0 {
		unproven = func(d string) bool {
			return !e.vouched(d) || !slices.ContainsFunc(e.signedDomains, func(to string) bool { return policy.Within(d, to) || policy.Within(to, d) })
		}
	}
	if len(domains) > 0 && !slices.ContainsFunc(domains, unproven) {
		e.list = append(e.list, policy.Signal{Name: "list-domain", Rank: rankProven, Value: domains[0], For: policy.PatternMailingList})
		if addr := e.listAddressed(marks); addr != "" {
			e.list = append(e.list, policy.Signal{Name: policy.SignalListAddressed, Rank: rankSigned, Value: addr, For: policy.PatternMailingList})
		}
	}
	e.list = append(e.list, marks...)
}

// listAddressed returns the address to post to that a mark names and the author
// has signed as one that he wrote to; "" if there is none.
func (e *evidence) listAddressed(marks []policy.Signal) string {
	for _, s := range marks {
		if s.Name != "list-post" {
			continue
		}
		for _, word := range strings.FieldsFunc(s.Value, func(r rune) bool { return strings.ContainsRune("<>,?: \t", r) }) {
			if word = strings.ToLower(word); slices.Contains(e.signedOthers, word) && e.vouched(message.DomainOf(word)) {
				return word
			}
		}
	}
	return ""
}

// vouched says whether SPF or DKIM passes for a domain or its organisation.
func (e *evidence) vouched(domain string) bool {
	spf := e.Auth.SPF
	return spf.Result == policy.AuthPass && belongs(domain, policy.DKIM{Domain: spf.Domain, OrgDomain: spf.OrgDomain}) ||
		slices.ContainsFunc(e.Auth.DKIM, func(d policy.DKIM) bool { return d.Result == policy.AuthPass && belongs(domain, d) })
}

// isForwardSubject says whether a field is a Subject of a forward: one that
// somebody puts above it must not hide it.
func isForwardSubject(f message.Field) bool {
	return f.Is("Subject") && quote.ForwardPrefix(f.Unfolded())
}

// answersForeign tells a forward by hand without a mark in its text: its Subject
// has a prefix of forwards, and it refers to an earlier message
// (gmail-inbound.md 4.b). The prefix alone is no evidence.
func answersForeign(m *message.Message, h policy.Header) (policy.Signal, bool) {
	if m == nil || !quote.ForwardPrefix(h.Subject) && !slices.ContainsFunc(m.Fields, isForwardSubject) {
		return policy.Signal{}, false
	}
	for _, name := range []string{"In-Reply-To", "References"} {
		if f, ok := m.Get(name); ok && strings.Contains(f.Value, "<") {
			return policy.Signal{Name: "forward-prefix", Rank: rankStructure, Value: h.Subject, For: policy.PatternManualForward}, true
		}
	}
	return policy.Signal{}, false
}
