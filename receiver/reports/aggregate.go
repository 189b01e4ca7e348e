package reports

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/receiver/mailauth"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
)

// maxSignatures is how many signatures a record tells of (RFC 9990 3.1.3).
const maxSignatures = 100

// Aggregate is a DMARC aggregate report: of one policy domain and day, under
// one policy.
type Aggregate struct {
	Domain string
	Window
	Published Published
	Records   []Record
	Messages  int
	// RUA are the URIs that the newest message's record asked for reports at.
	RUA []string
	// Error is what was wrong with the record.
	Error string
	// Older is how many reports of earlier days, or of another policy of a day,
	// were left out.
	Older int
	// place is that among the policies of its domain and day, from 0.
	place int
}

// Published is the policy that was found (RFC 9990 3.1.1.5), with defaults
// filled in.
type Published struct {
	P, SP, NP   string
	ADKIM, ASPF string // "r" or "s".
	FO          string
	Discovery   string // "treewalk" or "psl".
	Testing     bool
}

// Disposition is what was done by the policy.
type Disposition string

// The dispositions.
const (
	DispositionNone       Disposition = "none"
	DispositionPass       Disposition = "pass" // DMARC passes, and the policy asks for more than none. Not in Google's form.
	DispositionQuarantine Disposition = "quarantine"
	DispositionReject     Disposition = "reject"
)

// Reason is why the disposition is not the policy's (RFC 9990 3.1.6).
type Reason struct{ Type, Comment string }

// The types of reasons.
const (
	reasonLocal     = "local_policy"
	reasonList      = "mailing_list"
	reasonOther     = "other"
	reasonTest      = "policy_test_mode"
	reasonForwarder = "trusted_forwarder"
)

// Record is what is the same of some messages, and how many they are.
type Record struct {
	Source      netip.Addr
	Count       int
	Disposition Disposition
	// DKIM and SPF say whether each passed, aligned.
	DKIM, SPF    bool
	Reasons      []Reason
	HeaderFrom   string
	EnvelopeFrom string // Empty for the null reverse-path.
	EnvelopeTo   string
	Signatures   []Signature
	SPFDomain    string // Empty if there was nothing to check.
	SPFResult    policy.AuthResult
}

// Signature is one DKIM signature.
type Signature struct {
	Domain, Selector string
	Result           policy.AuthResult
}

// Aggregates counts the messages that came by SMTP, in the order of their rows,
// by policy domain, day and policy. A message to several accounts is counted
// once; messages that were refused are counted, too.
func Aggregates(rows []mailbox.Message, q Query, form Form) []Aggregate {
	var list []Aggregate
	found := map[string]int{} // Places in list.
	counted := map[string]int{}
	var last *mailbox.Message
	seen := map[string]bool{} // The accounts that have the last message.
	for i := range rows {
		m := &rows[i]
		if last != nil && sameMessage(last, m) && !seen[m.Account] {
			seen[m.Account] = true
			continue
		}
		last, seen = m, map[string]bool{m.Account: true}
		window := Day(m.ReceivedAt)
		published, record, ok := publishedIn(m)
		if !ok || m.Evidence.Auth.DMARC.PolicyDomain != q.Domain || !q.wants(window) {
			continue
		}
		key := fmt.Sprintf("%d %+v", window.key(), published)
		at, ok := found[key]
		if !ok {
			at = len(list)
			found[key] = at
			list = append(list, Aggregate{Domain: q.Domain, Window: window, Published: published, place: countOf(list, window)})
		}
		a := &list[at]
		a.Messages++
		a.RUA, a.Error = record.RUA, clip(record.Problem)
		r := recordOf(m, form)
		key = fmt.Sprintf("%d %+v", at, r.fields())
		n, ok := counted[key]
		if !ok {
			n = len(a.Records)
			counted[key] = n
			a.Records = append(a.Records, r)
		}
		a.Records[n].Count++
	}
	kept := newest(list)
	if len(kept) > 0 {
		kept[0].Older = len(list) - len(kept)
	}
	return kept
}

// fields is all that a record says but the count, quoted, so that records are
// the same only if all of it is.
func (r Record) fields() []string {
	list := []string{
		r.Source.String(), string(r.Disposition), passed(r.DKIM), passed(r.SPF), fmt.Sprintf("%q", r.HeaderFrom), fmt.Sprintf("%q", r.EnvelopeFrom),
		fmt.Sprintf("%q", r.EnvelopeTo), fmt.Sprintf("%q", r.SPFDomain), string(r.SPFResult),
	}
	for _, s := range r.Signatures {
		list = append(list, fmt.Sprintf("%q", s))
	}
	for _, s := range r.Reasons {
		list = append(list, fmt.Sprintf("%q", s))
	}
	return list
}

// passed is the result of alignment as reports write it.
func passed(yes bool) string {
	if yes {
		return "pass"
	}
	return "fail"
}

// countOf is how many reports there are of a window.
func countOf(list []Aggregate, w Window) int {
	n := 0
	for _, a := range list {
		if a.Window == w {
			n++
		}
	}
	return n
}

// Elsewhere are the policy domains of mail from a domain that are not that
// domain itself.
func Elsewhere(rows []mailbox.Message, domain string) []string {
	var list []string
	for _, m := range rows {
		d := m.Evidence.Auth.DMARC
		if d.Domain == domain && d.PolicyDomain != "" && d.PolicyDomain != domain && !slices.Contains(list, d.PolicyDomain) {
			list = append(list, d.PolicyDomain)
		}
	}
	return list
}

// sameMessage says whether two rows, of which one follows the other, are of one
// message to several accounts: these are stored together.
func sameMessage(a, b *mailbox.Message) bool {
	return a.ReceivedAt.Equal(b.ReceivedAt) && a.Evidence.Arrival.Session == b.Evidence.Arrival.Session &&
		a.Evidence.Arrival.MailFrom == b.Evidence.Arrival.MailFrom && bytes.Equal(a.Raw, b.Raw)
}

// publishedIn is the policy that a message was judged by; ok is false if none
// was, or the message did not come by SMTP from an address that is known.
func publishedIn(m *mailbox.Message) (p Published, record mailauth.PublishedPolicy, ok bool) {
	d := m.Evidence.Auth.DMARC
	if a := m.Evidence.Arrival; a.Channel != policy.ChannelSMTP || !a.Peer.IsValid() || d.Result == policy.AuthNone || d.PolicyDomain == "" {
		return p, record, false
	}
	record, ok = mailauth.ParseDMARC(d.Record)
	if !ok {
		return p, record, false
	}
	mode := map[bool]string{false: "r", true: "s"}
	return Published{
		P: record.P, SP: record.SP, NP: record.NP, ADKIM: mode[record.StrictDKIM], ASPF: mode[record.StrictSPF],
		FO: record.FO, Discovery: d.Discovery, Testing: record.Testing,
	}, record, true
}

func recordOf(m *mailbox.Message, form Form) Record {
	e := &m.Evidence
	auth := e.Auth
	r := Record{
		Source: e.Arrival.Peer.Unmap().WithZone(""), DKIM: auth.DMARC.DKIMAligned, SPF: auth.DMARC.SPFAligned,
		HeaderFrom: clip(auth.DMARC.Domain), Signatures: signatures(auth),
	}
	if auth.SPF.Domain != "" {
		r.SPFDomain, r.SPFResult = clip(auth.SPF.Domain), auth.SPF.Result
	}
	if form == RFC9990 {
		// Google leaves the envelope out, so what differs in it alone is the same.
		r.EnvelopeFrom, r.EnvelopeTo = clip(message.DomainOf(e.Arrival.MailFrom)), clip(message.DomainOf(e.Arrival.Rcpt))
	}
	r.Disposition, r.Reasons = disposed(m)
	if r.Disposition == DispositionPass && form == Google {
		r.Disposition = DispositionNone
	}
	return r
}

// signatures lists those of a message, best first (RFC 9990 3.1.3). One without
// domain or selector cannot be told of.
func signatures(auth policy.Authentication) []Signature {
	rank := func(d policy.DKIM) int {
		switch {
		case d.Result != policy.AuthPass:
			return 3
		case d.Domain == auth.DMARC.Domain:
			return 0
		case auth.Aligned(d.Domain, d.OrgDomain):
			return 1
		}
		return 2
	}
	sorted := slices.Clone(auth.DKIM)
	slices.SortStableFunc(sorted, func(a, b policy.DKIM) int { return rank(a) - rank(b) })
	var list []Signature
	for _, d := range sorted {
		if d.Domain != "" && d.Selector != "" && len(list) < maxSignatures {
			list = append(list, Signature{clip(d.Domain), clip(d.Selector), d.Result})
		}
	}
	return list
}

// Words of verdicts.
const (
	checkDMARC   policy.CheckID = "dmarc-policy"
	dmarcRejects policy.Reason  = "dmarc-reject"
)

// disposed is what the policy led to, and why that is not what it asks for. It
// is what the verdict says, which is also answered where verdicts are enforced.
func disposed(m *mailbox.Message) (Disposition, []Reason) {
	var reasons []Reason
	if code, ok := guideline(m.Verdict); ok {
		reasons = append(reasons, Reason{reasonLocal, "Sender requirement failed: " + code})
	}
	d := m.Evidence.Auth.DMARC
	switch d.Result {
	case policy.AuthPass:
		if d.Policy == "none" {
			return DispositionNone, reasons
		}
		return DispositionPass, reasons
	case policy.AuthFail:
	default:
		return DispositionNone, append(reasons, Reason{reasonOther, "DMARC could not be evaluated: " + string(d.Result)})
	}
	asked, done := asksFor(d), DispositionNone
	f, _ := m.Verdict.Finding(checkDMARC)
	switch {
	case f.Result != policy.Fail || f.Advice:
	case f.Reason == dmarcRejects:
		done = DispositionReject
	default:
		done = DispositionQuarantine
	}
	switch {
	case done == asked:
		return done, reasons
	case d.Testing && string(done) == d.Policy:
		return done, append(reasons, Reason{reasonTest, ""})
	case done == DispositionQuarantine:
		return done, append(reasons, Reason{reasonLocal, "p=reject alone is treated as quarantine (RFC 9989 7.4)"})
	}
	return done, append(reasons, Reason{exemption(m.Evidence.Access.Pattern), clip(f.Detail)})
}

// exemption is the type of reason for which mail of an access pattern is let
// through.
func exemption(p policy.Pattern) string {
	switch p {
	case policy.PatternMailingList:
		return reasonList
	case policy.PatternAutoForward:
		return reasonForwarder
	}
	return reasonLocal
}

// asksFor is what the record asks for, whether in test (t=y) or not.
func asksFor(d policy.DMARC) Disposition {
	if !d.Testing {
		return Disposition(d.Policy)
	}
	record, _ := mailauth.ParseDMARC(d.Record)
	switch d.Applied {
	case "sp":
		return Disposition(record.SP)
	case "np":
		return Disposition(record.NP)
	}
	return Disposition(record.P)
}

// guidelines are the details of status codes with which senders are refused who
// do not keep to the provider's requirements (gmail-inbound.md 1.4, 6.1).
var guidelines = []string{"1", "25", "27", "29", "30", "31", "32", "40"}

// guideline is the code of a refusal for one of these, as reports write it.
func guideline(v policy.Verdict) (code string, ok bool) {
	if v.Delivery == policy.Accept || v.Decider == checkDMARC {
		return "", false
	}
	class, detail, _ := strings.Cut(v.Reply.Enhanced, ".7.")
	if class != "4" && class != "5" || !slices.Contains(guidelines, detail) {
		return "", false
	}
	return fmt.Sprintf("%d-%s", v.Reply.Code, v.Reply.Enhanced), true
}
