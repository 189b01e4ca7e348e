package diagnosis

import (
	"slices"
	"strconv"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
)

func (d Diagnosis) viewCame() section {
	c := d.Came
	s := section{ID: "came", Title: "how it came", Word: string(c.Pattern.Pattern), Mark: plain, Lead: policy.Printable(c.Summary)}
	if c.Pattern.Pattern == policy.PatternAmbiguous || len(c.Pattern.Against) > 0 {
		s.Mark = warn
	}
	s.row("peer", c.Peer)
	s.row("PTR", c.PTR)
	s.row("HELO", c.HELO)
	s.row("TLS", c.TLS)
	s.row("MAIL FROM", c.MailFrom)
	s.row("RCPT TO", c.Rcpt)
	s.row("account", c.Account)
	s.row("pattern", string(c.Pattern.Pattern)+", "+string(c.Pattern.Confidence)+": "+c.Pattern.Summary)
	for _, text := range c.Pattern.For {
		s.row("for it", text)
	}
	for _, text := range c.Pattern.Against {
		s.row("against it", text)
	}
	s.row("first sent to", c.Pattern.Original)
	s.row("would settle it", c.Pattern.Settle)
	return s
}

func (d Diagnosis) viewSPF() section {
	r := d.SPF
	s := section{ID: "spf", Title: "SPF", Word: string(r.SPF.Result), Mark: markOf(r.SPF.Result), Lead: policy.Printable(r.Summary)}
	s.row("identity", r.Identity)
	s.row("domain", r.Domain)
	s.row("alignment", alignmentText(r.Alignment))
	matched := r.Mechanism
	if r.Place != "" {
		matched += ", in the record that " + r.Place
	}
	s.row("matched", matched)
	s.row("record", r.Record)
	s.row("explanation", r.Explanation)
	return s
}

func alignmentText(a Alignment) string {
	if a.Relation == RelationUnknown {
		return a.Summary
	}
	return a.Summary + " (" + a.Mode + ")"
}

func (d Diagnosis) viewDKIM() section {
	s := section{ID: "dkim", Title: "DKIM", Word: "none", Mark: plain, Lead: "the mail has no DKIM signature"}
	if d.cut {
		s.Lead = "there is no DKIM signature in the fields that were read; the header has more of them"
	}
	if len(d.DKIM) == 0 {
		return s
	}
	passes := 0
	for _, r := range d.DKIM {
		if r.DKIM.Result == policy.AuthPass {
			passes++
		}
		s.Parts = append(s.Parts, r.section())
	}
	s.Word, s.Mark, s.Lead = string(d.DKIM[0].DKIM.Result), markOf(d.DKIM[0].DKIM.Result), count(len(d.DKIM)+d.MoreDKIM, "signature")+", "+strconv.Itoa(passes)+" passing"
	if passes > 0 {
		s.Word, s.Mark = "pass", good
	}
	if d.MoreDKIM > 0 {
		s.Lead += "; " + strconv.Itoa(d.MoreDKIM) + " of them are not shown"
	}
	if d.cut {
		s.Lead += "; the header has more fields than were read"
	}
	return s
}

func (r DKIM) section() section {
	s := section{
		Title: policy.Printable("selector " + r.Selector + " of " + r.Domain), Word: string(r.DKIM.Result), Mark: markOf(r.DKIM.Result),
		Lead: policy.Printable(r.Summary),
	}
	s.row("reason", string(r.Reason))
	s.row("d=", r.Domain)
	s.row("s=", r.Selector)
	s.row("i=", r.AUID)
	algorithm := r.Algorithm
	if r.KeyBits > 0 {
		algorithm += ", key of " + strconv.Itoa(r.KeyBits) + " bits"
	}
	s.row("a=", algorithm)
	s.row("b=", withEllipsis(r.Signature))
	s.row("h=", strings.Join(r.Headers, ":"))
	s.row("flags", r.flags())
	s.row("alignment", alignmentText(r.Alignment))
	s.row("key at", r.Record)
	return s
}

func withEllipsis(s string) string {
	if s == "" {
		return ""
	}
	return s + "…"
}

func (d Diagnosis) viewDMARC() section {
	r := d.DMARC
	s := section{ID: "dmarc", Title: "DMARC", Word: string(r.DMARC.Result), Mark: markOf(r.DMARC.Result), Lead: policy.Printable(r.Summary)}
	s.row("author domain", r.Domain)
	if r.OrgDomain != "" {
		s.row("organisational", strings.TrimSpace(r.OrgDomain+", "+r.Found))
	}
	s.row("policy domain", r.PolicyDomain)
	s.row("record", r.Record)
	if r.Policy != "" {
		s.row("policy", r.Policy+" ("+r.Why+")")
	}
	s.row("SPF", d.alignedText(r.SPFAligned, d.SPF.SPF.Result == policy.AuthPass))
	s.row("DKIM", d.alignedText(r.DKIMAligned, d.passesDKIM()))
	if r.Problem != r.Summary {
		s.row("problem", r.Problem)
	}
	return s
}

func (d Diagnosis) passesDKIM() bool {
	for _, r := range d.DKIM {
		if r.DKIM.Result == policy.AuthPass {
			return true
		}
	}
	return false
}

func (d Diagnosis) alignedText(aligned, passes bool) string {
	switch {
	case d.DMARC.PolicyDomain == "":
		return "" // Without a record there is no mode to compare in.
	case aligned:
		return "passes and is aligned"
	case passes:
		return "passes and is not aligned"
	}
	return "does not pass"
}

func (d Diagnosis) viewARC() section {
	r := d.ARC
	s := section{ID: "arc", Title: "ARC", Word: string(r.ARC.Result), Mark: markOf(r.ARC.Result), Lead: policy.Printable(r.Summary)}
	s.row("reason", string(r.Reason))
	for _, set := range r.Sets {
		s.row("i="+strconv.Itoa(set.Instance), strings.TrimSpace(set.Domain+" "+set.Selector+", cv="+set.CV+": "+set.Results))
	}
	if r.OldestPass > 0 {
		s.row("oldest pass", strconv.Itoa(r.OldestPass))
	}
	return s
}

func (d Diagnosis) viewReverseDNS() section {
	r := d.ReverseDNS
	s := section{ID: "rdns", Title: "reverse DNS", Word: string(r.ReverseDNS.Result), Mark: markOf(r.ReverseDNS.Result), Lead: policy.Printable(r.Summary)}
	s.row("names", strings.Join(r.Names, ", "))
	s.row("confirmed", r.Name)
	return s
}

// phaseTexts say where in the session a reply is given.
var phaseTexts = map[policy.Phase]string{
	policy.PhaseConnect: "in place of the greeting",
	policy.PhaseHello:   "to EHLO",
	policy.PhaseMail:    "to MAIL FROM",
	policy.PhaseRcpt:    "to RCPT TO, before the message",
	policy.PhaseData:    "at the end of the message",
}

func (d Diagnosis) viewReply() section {
	if len(d.Outcome.Reply) == 0 {
		return section{}
	}
	s := section{ID: "reply", Title: "the provider would answer", Block: printable(d.Outcome.Reply), Mark: good, Lead: phaseTexts[d.Outcome.Phase]}
	if d.Outcome.Delivery != policy.Accept {
		s.Mark = bad
	}
	return s
}

func (d Diagnosis) viewHeader() section {
	if len(d.Outcome.Header) == 0 {
		return section{}
	}
	return section{ID: "header", Title: "the provider would put on top of it", Block: printable(d.Outcome.Header), Mark: plain}
}

func (d Diagnosis) viewActions() section {
	s := section{ID: "actions", Title: "actions", Mark: plain}
	for _, a := range d.Actions {
		part := section{Title: "action " + strconv.Itoa(a.Index), Word: string(a.Answer), Mark: markAnswer(a.Answer), Lead: policy.Printable(a.Summary)}
		part.row("label", a.Name)
		part.row("type", strings.TrimSpace(a.Type+" "+string(a.Kind)))
		part.row("url", a.URL)
		part.row("stands at", a.Place)
		if a.Answer == policy.Withheld {
			part.row("decided by", string(a.Check)+" "+string(a.Reason))
		}
		s.Parts = append(s.Parts, part)
	}
	if len(s.Parts) == 0 {
		s.Lead, s.Word = "the mail has no action", "none"
	}
	return s
}

func (d Diagnosis) viewUnsubscribe() section {
	a := d.Unsubscribe
	s := section{ID: "unsubscribe", Title: "one-click unsubscription", Word: string(a.Answer), Mark: markAnswer(a.Answer), Lead: policy.Printable(a.Summary)}
	s.row("url", a.URL)
	if a.Answer == policy.Withheld {
		s.row("decided by", string(a.Check)+" "+string(a.Reason))
	}
	return s
}

func (d Diagnosis) viewBulk() section {
	s := section{ID: "bulk", Title: "bulk status", Word: "no", Mark: plain, Lead: policy.Printable(d.Bulk.Summary)}
	if d.Bulk.Is {
		s.Word = "bulk"
	}
	if len(d.Bulk.Hold) > 0 {
		s.row("no difference by", names(d.Bulk.Hold))
	}
	for _, c := range d.Bulk.Changes {
		text := c.Summary
		if c.Of == "finding" && c.Action != nil {
			text = "action " + strconv.Itoa(*c.Action) + ": " + text
		}
		s.list(text)
	}
	return s
}

func (d Diagnosis) viewMail() section {
	m := d.Mail
	s := section{ID: "mail", Title: "what the mail says", Mark: plain}
	s.row("From", strings.Join(m.From, ", "))
	s.row("To", strings.Join(m.To, ", "))
	s.row("Subject", m.Subject)
	s.row("Message-ID", m.MessageID)
	s.row("Date", m.Date)
	s.row("came at", m.At.Format(timeFormat))
	s.row("size", count(m.Size, "octet")+", "+count(m.Fields, "field")+", "+strconv.Itoa(m.Received)+" of them Received")
	for _, p := range m.Problems {
		s.row("deviation", p)
	}
	s.row("dials set", strings.Join(d.dialsSet(), " "))
	return s
}

// dialsSet are the dials that have not their default.
func (d Diagnosis) dialsSet() []string {
	return slices.DeleteFunc(slices.Clone(d.Dials), func(text string) bool {
		return slices.ContainsFunc(policy.AllDials(), func(dial policy.Dial) bool { return text == string(dial.ID)+"="+dial.Default })
	})
}

func (d Diagnosis) viewDNS() section {
	s := section{ID: "dns", Title: "DNS records that this rests on", Mark: plain, Table: lookups(d.DNS.Used)}
	if len(s.Table) == 0 {
		s.Lead = "no question to the DNS mattered"
	}
	return s
}

func (d Diagnosis) viewUnused() section {
	if len(d.DNS.Unused) == 0 {
		return section{}
	}
	s := section{ID: "dns-unused", Title: "also asked, without consequence", Mark: plain, Table: lookups(d.DNS.Unused), Fold: true}
	if d.DNS.More > 0 {
		s.Lead = count(d.DNS.More, "more question") + " not shown"
	}
	return s
}

// lookupView is a question, with its answer record by record.
type lookupView struct {
	Name, Type string
	Answers    []string
	For        string
}

func lookups(list []Lookup) []lookupView {
	out := make([]lookupView, len(list))
	for i, l := range list {
		out[i] = lookupView{policy.Printable(l.Name), policy.Printable(l.Type), printable(lines(l.Answer, maxItems)), policy.Printable(strings.Join(l.For, ", "))}
	}
	return out
}
