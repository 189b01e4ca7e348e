package diagnosis

import (
	"strconv"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
)

// Relation is how an authenticated domain stands to the author's.
type Relation string

// The relations.
const (
	RelationSame    Relation = "same"    // They are the same domain.
	RelationOrg     Relation = "org"     // They have the same organisational domain.
	RelationOther   Relation = "other"   // They do not.
	RelationUnknown Relation = "unknown" // One of them is not known.
)

// Alignment is how DMARC sees an authenticated domain (RFC 9989 4.4).
type Alignment struct {
	// Aligned says that the domain is aligned in the mode of the author
	// domain's record; whether it passes is another matter.
	Aligned  bool     `json:"aligned"`
	Mode     string   `json:"mode"` // "relaxed", "strict".
	Relation Relation `json:"relation"`
	Summary  string   `json:"summary"`
}

func align(a policy.Authentication, domain, orgDomain string, strict bool, tag string) Alignment {
	author := a.DMARC.Domain
	out := Alignment{Mode: "relaxed", Relation: RelationOther}
	if strict {
		out.Mode = "strict"
	}
	switch {
	case domain == "" || author == "":
		out.Relation, out.Summary = RelationUnknown, "there are no two domains to compare"
		return out
	case domain == author:
		out.Relation, out.Aligned = RelationSame, true
		out.Summary = "aligned: it is the domain of From"
		return out
	case a.Aligned(domain, orgDomain):
		out.Relation = RelationOrg
	}
	domain, author = clip(domain), clip(author)
	switch {
	case out.Relation == RelationOther:
		out.Summary = "not aligned: " + domain + " and " + author + " have nothing in common"
		if orgDomain != "" && a.DMARC.OrgDomain != "" {
			out.Summary = "not aligned: it belongs to " + clip(orgDomain) + ", and the domain of From to " + clip(a.DMARC.OrgDomain)
		}
	case strict:
		out.Summary = "not aligned: " + tag + "=s asks for the very domain of From, which is " + author
	default:
		out.Aligned = true
		out.Summary = "aligned, as it belongs to " + clip(a.DMARC.OrgDomain) + " like the domain of From"
	}
	return out
}

// SPF is the result for the envelope, with its alignment.
type SPF struct {
	policy.SPF
	Alignment Alignment `json:"alignment"`
	Summary   string    `json:"summary"`
	// Place says which record Mechanism stands in, such as "redirect=_spf.shop.example
	// leads to"; empty if it is Record.
	Place string `json:"place,omitempty"`
}

func diagnoseSPF(c *Case) SPF {
	e := c.Evidence
	s := e.Auth.SPF
	out := SPF{SPF: s, Alignment: align(e.Auth, s.Domain, s.OrgDomain, e.Auth.DMARC.StrictSPF, "aspf")}
	out.Domain, out.OrgDomain, out.Mechanism = clip(s.Domain), clip(s.OrgDomain), clip(s.Mechanism)
	out.Record, out.Problem, out.Explanation, out.Place = clip(s.Record), clip(s.Problem), clip(s.Explanation), placeOf(s)
	peer := "the peer"
	if e.Arrival.Peer.IsValid() {
		peer = e.Arrival.Peer.String()
	}
	limit, asked := limitOf(c)
	switch {
	case e.Arrival.Channel == policy.ChannelPOP:
		out.Identity, out.Summary = "", "not evaluated: the mail was fetched"
		return out
	case s.Result == policy.AuthPass:
		out.Summary = out.Domain + " permits " + peer
	case limit != "":
		out.Summary = "the record has " + limit + "; it asked for " + asked
	case s.Problem != "":
		out.Summary = out.Problem
	case s.Result == policy.AuthNone:
		out.Summary = out.Domain + " publishes no SPF record"
	case s.Result == policy.AuthFail:
		out.Summary = out.Domain + " forbids " + peer
	case s.Result == policy.AuthSoftFail:
		out.Summary = out.Domain + " says that " + peer + " is probably none of its senders"
	case s.Result == policy.AuthNeutral:
		out.Summary = out.Domain + " says nothing about " + peer
	}
	switch {
	case s.Mechanism != "":
		out.Summary += ", by \"" + out.Mechanism + "\""
		if out.Place != "" {
			out.Summary += " in the record that " + out.Place
		}
	case s.Result == policy.AuthNeutral:
		out.Summary += ", as no term matches"
	}
	return out
}

// DKIM is the result for one signature, with its alignment.
type DKIM struct {
	policy.DKIM
	Alignment Alignment `json:"alignment"`
	Summary   string    `json:"summary"`
	// Record is the name where the key is.
	Record string `json:"record,omitempty"`
}

func diagnoseDKIM(a policy.Authentication, s policy.DKIM) DKIM {
	out := DKIM{DKIM: s, Alignment: align(a, s.Domain, s.OrgDomain, a.DMARC.StrictDKIM, "adkim"), Record: clip(keyName(s))}
	out.Problem, out.Domain, out.OrgDomain, out.AUID = clip(s.Problem), clip(s.Domain), clip(s.OrgDomain), clip(s.AUID)
	out.Selector, out.Algorithm, out.Signature = clip(s.Selector), clip(s.Algorithm), clip(s.Signature)
	if s.Reason == "too-many-signatures" {
		out.Alignment.Aligned, out.Alignment.Relation, out.Alignment.Summary = false, RelationUnknown, "not compared: the signature was not looked at"
	}
	out.Headers = nil
	for _, name := range bounded(s.Headers) {
		out.Headers = append(out.Headers, clipTo(name, 100))
	}
	if more := len(s.Headers) - maxItems; more > 0 {
		out.Headers = append(out.Headers, "… and "+count(more, "other"))
	}
	out.Summary = "the signature holds"
	if s.Result != policy.AuthPass {
		out.Summary = "the signature does not count"
		if out.Problem != "" {
			out.Summary = out.Problem
		}
	}
	if s.Change != "" {
		out.Summary += " (" + changeTexts[s.Change] + ")"
	}
	return out
}

// changeTexts say what was done to a mail after it was signed.
var changeTexts = map[policy.Change]string{
	policy.ChangeFooter:    "proven: text was added at the end of the body",
	policy.ChangeSubject:   "proven: a tag was put before the subject",
	policy.ChangeReencoded: "proven: the transfer encoding of a part was changed",
	policy.ChangeBody:      "the body is another one",
	policy.ChangeHeader:    "a signed field is another one, or the key is",
}

// keyName is the name at which the key of a signature is.
func keyName(s policy.DKIM) string {
	if s.Selector == "" || s.Domain == "" {
		return ""
	}
	return s.Selector + "._domainkey." + s.Domain
}

// flags are the peculiarities of a signature.
func (s DKIM) flags() string {
	var list []string
	if s.Testing {
		list = append(list, "the key is in test (t=y)")
	}
	if s.Strict {
		list = append(list, "the key wants i= to be in d= itself (t=s)")
	}
	if s.Uncovered > 0 {
		list = append(list, count(s.Uncovered, "octet")+" of the body unsigned (l=)")
	}
	if !s.SignedAt.IsZero() {
		list = append(list, "signed "+s.SignedAt.UTC().Format(timeFormat))
	}
	if !s.ExpiresAt.IsZero() {
		list = append(list, "expires "+s.ExpiresAt.UTC().Format(timeFormat))
	}
	return strings.Join(list, "; ")
}

// timeFormat is how times are written: RFC 3339, to the second.
const timeFormat = "2006-01-02T15:04:05Z07:00"

// DMARC is the result for the author domain.
type DMARC struct {
	policy.DMARC
	Summary string `json:"summary"` // Why it passes or fails.
	// Why says why Policy is the one that applies.
	Why string `json:"why,omitempty"`
	// Found says how the organisational domain was found.
	Found string `json:"found,omitempty"`
}

func diagnoseDMARC(a policy.Authentication) DMARC {
	d := a.DMARC
	out := DMARC{DMARC: d, Why: appliedPolicy(d)}
	out.Domain, out.OrgDomain, out.PolicyDomain = clip(d.Domain), clip(d.OrgDomain), clip(d.PolicyDomain)
	out.Record, out.Problem = clip(d.Record), clip(d.Problem)
	switch {
	case d.Discovery == "psl":
		out.Found = "by the public suffix list"
	case d.Discovery == "treewalk" && d.PolicyDomain == "" && d.Result == policy.AuthNone:
		out.Found = "by the public suffix list, as the DNS tree walk of RFC 9989 4.10 met no record that counts"
	case d.Discovery == "treewalk" && d.PolicyDomain == "":
		out.Found = "by the public suffix list, as the DNS tree walk of RFC 9989 4.10 failed"
	case d.Discovery == "treewalk":
		out.Found = "by the DNS tree walk of RFC 9989 4.10"
	}
	switch {
	case d.Result == policy.AuthPass && d.SPFAligned && d.DKIMAligned:
		out.Summary = "SPF and DKIM pass for the domain of From"
	case d.Result == policy.AuthPass && d.DKIMAligned:
		out.Summary = "DKIM passes for the domain of From"
	case d.Result == policy.AuthPass:
		out.Summary = "SPF passes for the domain of From"
	case d.Result == policy.AuthFail:
		out.Summary = "neither SPF nor DKIM passes for the domain of From"
	case d.Problem != "":
		out.Summary = out.Problem
	case d.Result == policy.AuthNone:
		out.Summary = "the domain of From publishes no policy"
	}
	return out
}

// appliedPolicy says which tag of the record gives the policy (RFC 9989
// 4.10.1).
func appliedPolicy(d policy.DMARC) string {
	at := clip(d.PolicyDomain)
	text := ""
	switch {
	case d.Policy == "":
		return ""
	case d.Applied == "":
		return "treated as none: " + clip(strings.TrimSuffix(d.Problem, ": treated as p=none"))
	case d.PolicyDomain == d.Domain:
		text = d.Applied + "= of its own record"
	case d.Applied == "np":
		text = "np= of " + at + ", as the domain does not exist"
	case d.Applied == "sp":
		text = "sp= of " + at
	default:
		text = "p= of " + at + ", which has no sp="
	}
	if d.Testing {
		text += "; t=y lowers it by one step"
	}
	return text
}

// ARC is the result for the chain.
type ARC struct {
	policy.ARC
	Summary string `json:"summary"`
}

func diagnoseARC(a policy.ARC) ARC {
	out := ARC{ARC: a}
	out.Problem, out.Sets = clip(a.Problem), nil
	for _, s := range bounded(a.Sets) {
		s.Domain, s.Selector, s.CV, s.Results = clip(s.Domain), clip(s.Selector), clip(s.CV), clip(s.Results)
		out.Sets = append(out.Sets, s)
	}
	switch {
	case a.Result == policy.AuthPass:
		out.Summary = "the chain of " + count(len(a.Sets), "set") + " holds; who seals is not thereby known to be honest"
	case a.Problem != "":
		out.Summary = out.Problem
	default:
		out.Summary = "the mail has no chain"
	}
	return out
}

// ReverseDNS is the result for the peer's address.
type ReverseDNS struct {
	policy.ReverseDNS
	Summary string `json:"summary"`
}

func diagnoseReverseDNS(e policy.Evidence) ReverseDNS {
	r := e.Auth.ReverseDNS
	out := ReverseDNS{ReverseDNS: r}
	out.Name, out.Problem, out.Names = clip(r.Name), clip(r.Problem), nil
	for _, name := range bounded(r.Names) {
		out.Names = append(out.Names, clip(name))
	}
	peer := e.Arrival.Peer
	switch {
	case !peer.IsValid():
		out.Summary = "there is no peer"
	case r.Result == policy.AuthPass:
		out.Summary = peer.String() + " has the name " + out.Name + ", which leads back to it"
	case r.Problem != "":
		out.Summary = out.Problem
	case r.Result == policy.AuthFail:
		out.Summary = peer.String() + " has the name " + names(r.Names) + ", which does not lead back to it"
	default:
		out.Summary = peer.String() + " has no name (no PTR record)"
	}
	return out
}

// count writes a number of things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.Itoa(n) + " " + thing + "s"
}
