package diagnosis

import (
	"slices"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
)

// DNS is what was asked, the questions that mattered apart from the others.
type DNS struct {
	Used   []Lookup `json:"used"`
	Unused []Lookup `json:"unused,omitempty"` // Asked on the way, and of no consequence.
	More   int      `json:"more,omitempty"`   // How many more questions there were.
}

// Lookup is a question with what it was asked for.
type Lookup struct {
	Question
	For []string `json:"for,omitempty"`
}

// sortQuestions tells the questions that the results rest on from those that
// were only on the way: steps of a tree walk without a record, addresses of the
// other family, terms of SPF that have none.
func sortQuestions(c Case) DNS {
	d := DNS{Used: []Lookup{}}
	for i, q := range c.Questions {
		if i == maxQuestions {
			d.More = len(c.Questions) - maxQuestions
			break
		}
		found := purposes(c, q)
		q.Name, q.Answer = clip(q.Name), clip(q.Answer)
		l := Lookup{Question: q, For: found}
		if len(found) > 0 {
			d.Used = append(d.Used, l)
		} else {
			d.Unused = append(d.Unused, l)
		}
	}
	return d
}

// purposes says what a question mattered for; nothing if it did not.
func purposes(c Case, q Question) []string {
	var list []string
	a := c.Evidence.Auth
	add := func(is bool, what string) {
		if is && !slices.Contains(list, what) {
			list = append(list, what)
		}
	}
	switch name := strings.ToLower(strings.TrimSuffix(q.Name, ".")); {
	case q.Type == "PTR":
		add(true, "reverse DNS")
	case q.Type != "TXT":
		addressPurposes(c, q, name, add)
	case strings.HasPrefix(name, "_dmarc."):
		domain := strings.TrimPrefix(name, "_dmarc.")
		add(domain == a.DMARC.PolicyDomain, "DMARC policy")
		add(a.DMARC.PolicyDomain == "" && (domain == a.DMARC.Domain || domain == a.DMARC.OrgDomain), "DMARC policy")
		counts, meant := countsAsDMARC(q.Answer)
		add(meant && !counts, "DMARC record that does not count")
		add(counts && domain != a.DMARC.PolicyDomain, "organisational domain")
		add(failed(q), "DMARC")
	case strings.Contains(name, "._domainkey."):
		for _, s := range a.DKIM {
			add(strings.EqualFold(keyName(s), name), "DKIM key "+clip(s.Selector)+" of "+clip(s.Domain))
		}
		for _, s := range a.ARC.Sets {
			add(strings.EqualFold(s.Selector+"._domainkey."+s.Domain, name), "ARC key of "+clip(s.Domain))
		}
		add(len(list) == 0 && len(a.ARC.Sets) > 0, "ARC key")
	default:
		add(name == a.SPF.Domain, "SPF record of the envelope")
		add(name != a.SPF.Domain && (strings.Contains(strings.ToLower(q.Answer), "v=spf1") || named(c, name)), "SPF record that another one names")
		add(asksExistence(c, name), "whether the domain exists (np=)")
	}
	return bounded(list)
}

// addressPurposes is purposes for addresses and MX.
func addressPurposes(c Case, q Question, name string, add func(bool, string)) {
	e := c.Evidence
	add(asksExistence(c, name), "whether the domain exists (np=)")
	add(failed(q) && e.Auth.ReverseDNS.Result != policy.AuthPass && isPTR(c, name), "reverse DNS")
	if e.Arrival.Peer.Unmap().Is4() && q.Type == "AAAA" || e.Arrival.Peer.Is6() && !e.Arrival.Peer.Is4In6() && q.Type == "A" {
		add(failed(q), "SPF")
		return
	}
	add(isPTR(c, name), "reverse DNS")
	// What else asks for addresses are the terms of SPF. Those without an
	// answer only matter to a record that cannot be evaluated.
	broken := e.Auth.SPF.Result == policy.AuthPermError || e.Auth.SPF.Result == policy.AuthTempError
	absent := q.Answer == "nxdomain" || q.Answer == "nodata"
	add(!isPTR(c, name) && !asksExistence(c, name) && (broken || !absent), "SPF term")
}

// isPTR says whether a name is one of the peer's.
func isPTR(c Case, name string) bool {
	return slices.ContainsFunc(c.Evidence.Auth.ReverseDNS.Names, func(n string) bool { return strings.EqualFold(n, name) })
}

// asksExistence says whether a name was asked for to know if the author domain
// exists, on which np= depends (RFC 9989 4.7).
func asksExistence(c Case, name string) bool {
	d := c.Evidence.Auth.DMARC
	return name == d.Domain && d.PolicyDomain != "" && d.PolicyDomain != d.Domain && strings.Contains(strings.ToLower(d.Record), "np=")
}

// named says whether some record of SPF names another one.
func named(c Case, name string) bool {
	for _, q := range c.Questions {
		text := strings.ToLower(q.Answer)
		if q.Type == "TXT" && strings.Contains(text, "v=spf1") &&
			(strings.Contains(text, "include:"+name) || strings.Contains(text, "redirect="+name)) {
			return true
		}
	}
	return false
}

// failed says whether the name servers did not answer.
func failed(q Question) bool { return q.Answer == "servfail" || q.Answer == "timeout" }
