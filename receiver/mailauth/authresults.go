package mailauth

import (
	"fmt"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
)

// ResultsOptions are what a field with results is written from.
type ResultsOptions struct {
	Hostname string // Who says so: the authserv-id, such as "mx.gmail.test".
	Domain   string // The provider's domain, with which comments begin: "gmail.test".
	Arrival  policy.Arrival
	Auth     policy.Authentication
}

// AuthenticationResults writes the value of an Authentication-Results field
// (RFC 8601 2.2) as Gmail words it (gmail-inbound.md 3.3): the authserv-id, and
// on a line each the clauses dkim (one for each signature that was evaluated),
// arc, spf and dmarc. There is no clause where there is nothing to say: no
// signature, no chain, no peer, no DMARC record. Without any clause it is
// "none". Lines end in CRLF, but for the last, which has no end.
//
// Results are the evidence's own, but for a body hash that does not verify:
// Gmail calls that neutral. dis= is what DMARC asks for; REJECT is seen only
// because a provider that observes keeps what Gmail would refuse.
//
// What came from outside is shown by pvalue and inComment.
func AuthenticationResults(o ResultsOptions) string {
	show := shower{utf8: isInternational(o.Arrival)}
	w := fieldWriter{indent: "       ", width: len("ARC-Authentication-Results: i=50;")}
	w.words(show.pvalue(o.Hostname))
	clauses := 0
	add := func(words []string) {
		if len(words) > 0 {
			w.text.WriteByte(';')
			w.newLine()
			w.words(words...)
			clauses++
		}
	}
	for _, d := range o.Auth.DKIM {
		add(show.dkim(d))
	}
	add(arcClause(o.Auth.ARC))
	add(show.spf(o))
	add(show.dmarc(o.Auth.DMARC))
	if clauses == 0 {
		add([]string{"none"})
	}
	return w.text.String()
}

// ReceivedSPF writes the value of a Received-SPF field as Gmail words it
// (gmail-inbound.md 3.3), which is not the grammar of RFC 7208 9.1. It is empty
// if SPF was not evaluated, as without a peer.
func ReceivedSPF(o ResultsOptions) string {
	if !hasSPF(o) {
		return ""
	}
	show := shower{utf8: isInternational(o.Arrival)}
	w := fieldWriter{indent: "       ", width: len("Received-SPF:")}
	w.words(string(o.Auth.SPF.Result))
	w.words(show.spfComment(o)...)
	w.words("client-ip=" + addrText(o.Arrival.Peer) + ";")
	return w.text.String()
}

// dkim is the clause of one signature. Those beyond the limit have none: their
// number is the sender's choice.
func (show shower) dkim(d policy.DKIM) []string {
	if d.Result == "" || d.Reason == ReasonTooMany {
		return nil
	}
	result, comment := d.Result, string(d.Reason)
	switch {
	case d.Reason == ReasonBodyHash:
		result, comment = policy.AuthNeutral, "body hash did not verify"
	case d.Reason == ReasonSignature:
		comment = "signature did not verify"
	case d.Reason == ReasonNoKey && d.Result == policy.AuthNeutral:
		comment = "no key"
	case d.Reason == ReasonNoKey || d.Reason == ReasonDNS:
		comment = "no key for signature"
	case d.Reason == ReasonKeyWeak:
		comment = "weak key"
	}
	words := append([]string{"dkim=" + string(result)}, comments(comment)...)
	return append(words, show.properties("header.i", d.AUID, "header.s", d.Selector, "header.b", d.Signature)...)
}

// arcClause is the clause of the chain. Of a chain that passes it names what its
// newest set says to have passed.
func arcClause(a policy.ARC) []string {
	comment := string(a.Reason)
	switch {
	case a.Result == "" || a.Result == policy.AuthNone:
		return nil
	case a.Result == policy.AuthPass && len(a.Sets) > 0:
		comment = sealed(a.Sets[len(a.Sets)-1])
	case a.Reason == ReasonBodyHash:
		comment = "body hash mismatch"
	case a.Reason == ReasonSignature || a.Reason == ReasonSeal:
		comment = "signature failed"
	}
	return append([]string{"arc=" + string(a.Result)}, comments(comment)...)
}

// sealed lists what passed by a set's ARC-Authentication-Results, in Gmail's
// order. What cannot be read of it is not listed, nor what passed for no domain,
// nor what is of a version that nobody knows (RFC 8601 2.6).
func sealed(set policy.ARCSet) string {
	results, _ := ParseAuthenticationResults(set.Results)
	methods := results.Methods[:min(len(results.Methods), maxSealed)]
	if results.Version != 1 {
		methods = nil
	}
	text := fmt.Sprintf("i=%d", set.Instance)
	for _, kind := range []struct {
		method, name string
		properties   []string
	}{
		{"spf", "spfdomain", []string{"smtp.mailfrom", "smtp.helo"}},
		{"dkim", "dkdomain", []string{"header.d", "header.i"}},
		{"dmarc", "fromdomain", []string{"header.from"}},
	} {
		for _, m := range methods {
			domain := normalDomain(m.domain(kind.properties...))
			if m.Method == kind.method && m.Version == 1 && m.Result == policy.AuthPass && isDomain(domain) {
				text += fmt.Sprintf(" %s=pass %s=%s", m.Method, kind.name, domain)
			}
		}
	}
	return text
}

// maxSealed is how many clauses of a set are looked at: those of as many
// signatures as we evaluate, and of three other methods.
const maxSealed = maxSignatures + 3

// domain returns the domain of the first of some properties that stands there.
func (m MethodResult) domain(names ...string) string {
	for _, name := range names {
		if value, ok := m.Get(name); ok {
			if _, domain, isAddress := cutLast(value, "@"); isAddress {
				return domain
			}
			return value
		}
	}
	return ""
}

func hasSPF(o ResultsOptions) bool {
	return o.Auth.SPF.Result != "" && o.Arrival.Peer.IsValid()
}

func (show shower) spf(o ResultsOptions) []string {
	if !hasSPF(o) {
		return nil
	}
	words := append([]string{"spf=" + string(o.Auth.SPF.Result)}, show.spfComment(o)...)
	if o.Auth.SPF.Identity == identityHELO {
		return append(words, show.properties("smtp.helo", o.Arrival.HELO)...)
	}
	return append(words, show.properties("smtp.mailfrom", o.Arrival.MailFrom)...)
}

// spfComment explains an SPF result in Gmail's words.
func (show shower) spfComment(o ResultsOptions) []string {
	spf, who := o.Auth.SPF, o.Arrival.MailFrom
	if spf.Identity == identityHELO {
		who = o.Arrival.HELO
	}
	if who == "" {
		return nil // A client that gave no name at all.
	}
	who = show.inComment(strings.ToLower(who))
	ip := addrText(o.Arrival.Peer)
	text := ""
	switch spf.Result {
	case policy.AuthPass:
		text = "domain of " + who + " designates " + ip + " as permitted sender"
	case policy.AuthFail:
		text = "domain of " + who + " does not designate " + ip + " as permitted sender"
	case policy.AuthSoftFail:
		text = "domain of transitioning " + who + " does not designate " + ip + " as permitted sender"
	case policy.AuthNeutral:
		text = ip + " is neither permitted nor denied by domain of " + who
	case policy.AuthNone:
		text = who + " does not designate permitted sender hosts"
	case policy.AuthTempError:
		text = "error in processing during lookup of " + who + ": DNS error"
	case policy.AuthPermError:
		text = "permanent error in processing during lookup of " + who
		if spf.Problem != "" {
			text += ":"
			for word := range strings.FieldsSeq(clipValue(spf.Problem)) {
				text += " " + show.inComment(word)
			}
		}
	}
	return comments(show.inComment(o.Domain) + ": " + text)
}

// dmarc is the clause of DMARC. Gmail writes none where there is no record.
func (show shower) dmarc(d policy.DMARC) []string {
	if d.Result == "" || d.Result == policy.AuthNone {
		return nil
	}
	words := []string{"dmarc=" + string(d.Result)}
	if d.Published != "" {
		disposition := "none"
		if d.Result == policy.AuthFail {
			disposition = d.Policy
		}
		upper := func(s string) string { return show.inComment(strings.ToUpper(s)) }
		words = append(words, comments("p="+upper(d.Published)+" sp="+upper(d.SubdomainPolicy)+" dis="+upper(disposition))...)
	}
	return append(words, show.properties("header.from", d.Domain)...)
}

// properties writes those of some properties, given as name and value, that
// have a value.
func (show shower) properties(pairs ...string) []string {
	var words []string
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			words = append(words, pairs[i]+"="+show.pvalue(pairs[i+1]))
		}
	}
	return words
}

// comments makes a comment of a text, as the words between which a line may be
// folded; none of an empty text.
func comments(text string) []string {
	words := strings.Fields(text)
	if len(words) == 0 {
		return nil
	}
	words[0] = "(" + words[0]
	words[len(words)-1] += ")"
	return words
}
