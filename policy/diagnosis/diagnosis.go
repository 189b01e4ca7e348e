// Package diagnosis gives an account of one mail to people who run mail: how it
// came, what each method of authentication found and why, which DNS records
// that rests on, what the provider answers and adds, what would be different
// for a bulk sender, and what to mend, most important first.
//
// [Diagnose] makes it, as a value; [Diagnosis.Text] and [Diagnosis.HTML] show
// it. Everything in it is bounded, and nothing in it decides.
package diagnosis

import (
	"slices"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
)

// Case is what a diagnosis is made from.
type Case struct {
	Evidence policy.Evidence
	Verdict  policy.Verdict // Of Evidence and Registry.
	Registry policy.Registry
	// Questions are those that were put to the DNS, in order.
	Questions []Question
	// Header is the block that the provider puts on top of the mail; empty if
	// it puts none.
	Header string
}

// Question is one question to the DNS, and its answer.
type Question struct {
	Name string `json:"name"` // Without trailing dot.
	Type string `json:"type"` // "TXT", "MX", "A", "AAAA", "PTR".
	// Answer is zone text, one record a line, or a word such as "nxdomain".
	Answer string `json:"answer"`
	Source string `json:"source,omitempty"` // Who answered: "zone", "upstream".
}

// Diagnosis is the account of one mail. Its sentences may be reworded any day;
// its words of one kind, such as those of Rank, may not.
type Diagnosis struct {
	Mail    Mail    `json:"mail"`
	Outcome Outcome `json:"outcome"`
	// Repairs is what to mend, most important first.
	Repairs []Repair `json:"repairs"`
	// MoreRepairs is how many more there are.
	MoreRepairs int        `json:"moreRepairs,omitempty"`
	Came        Came       `json:"came"`
	SPF         SPF        `json:"spf"`
	DKIM        []DKIM     `json:"dkim"`
	MoreDKIM    int        `json:"moreDkim,omitempty"` // How many more signatures there are.
	DMARC       DMARC      `json:"dmarc"`
	ARC         ARC        `json:"arc"`
	ReverseDNS  ReverseDNS `json:"reverseDns"`
	DNS         DNS        `json:"dns"`
	Actions     []Action   `json:"actions"`
	Unsubscribe Action     `json:"unsubscribe"`
	Bulk        Bulk       `json:"bulk"`
	Dials       []string   `json:"dials,omitempty"` // Those that the verdict read: "name=value".

	cut bool // The header was not read to its end.
}

// Mail is what the mail says of itself.
type Mail struct {
	From      []string  `json:"from"` // The addresses of From.
	To        []string  `json:"to,omitempty"`
	Subject   string    `json:"subject"`
	MessageID string    `json:"messageId"`
	Date      string    `json:"date"`
	At        time.Time `json:"at"` // When it came, by the provider's clock.
	Size      int       `json:"size"`
	Fields    int       `json:"fields"` // How many fields the header has.
	Received  int       `json:"received"`
	Problems  []string  `json:"problems,omitempty"` // Deviations from the standards, with their places.
}

// Outcome is what becomes of the mail.
type Outcome struct {
	Delivery policy.Delivery `json:"delivery"`
	Folder   policy.Folder   `json:"folder,omitempty"`
	Check    policy.CheckID  `json:"check,omitempty"` // What decided, if something failed.
	Reason   policy.Reason   `json:"reason,omitempty"`
	Summary  string          `json:"summary"`
	Phase    policy.Phase    `json:"phase,omitempty"` // Where in the session the reply is given.
	// Reply is what the provider answers, line by line, without the session id
	// that ends it; empty for a mail that was fetched.
	Reply []string `json:"reply,omitempty"`
	// Header is what the provider adds, line by line.
	Header []string `json:"header,omitempty"`
}

// Action is the answer on one action, or on one-click unsubscription.
type Action struct {
	Index   int            `json:"index"` // -1 for unsubscription.
	Name    string         `json:"name,omitempty"`
	Type    string         `json:"type,omitempty"`
	Kind    policy.Kind    `json:"kind,omitempty"`
	Answer  policy.Answer  `json:"answer"`
	Check   policy.CheckID `json:"check,omitempty"`
	Reason  policy.Reason  `json:"reason"`
	Summary string         `json:"summary"` // Why.
	URL     string         `json:"url,omitempty"`
	Place   string         `json:"place,omitempty"` // Where it stands in the mail.
}

// The bounds of a diagnosis: of one value in runes, and of lists. What is
// longer than a page is read by nobody.
const (
	maxValue     = 2000
	maxLine      = 1000 // A line of the header has at most 998 octets.
	maxItems     = 50
	maxDKIM      = 20
	maxHeader    = 400 // Lines of the header block.
	maxQuestions = 400 // As many as authentication may ask.
)

// Diagnose gives the account of a case. It does not fail.
func Diagnose(c Case) Diagnosis {
	d := Diagnosis{
		Mail: mail(c.Evidence), Outcome: outcome(c), Came: came(c.Evidence),
		SPF: diagnoseSPF(&c), DMARC: diagnoseDMARC(c.Evidence.Auth),
		ARC: diagnoseARC(c.Evidence.Auth.ARC), ReverseDNS: diagnoseReverseDNS(c.Evidence),
		DNS: sortQuestions(c), Bulk: diagnoseBulk(c), Unsubscribe: unsubscribe(c.Verdict.Unsubscribe),
		DKIM: []DKIM{}, Actions: []Action{},
		cut: slices.ContainsFunc(c.Evidence.Header.Problems, func(p policy.Problem) bool { return p.Code == message.TooManyFields }),
	}
	for _, s := range c.Evidence.Auth.DKIM {
		if len(d.DKIM) == maxDKIM {
			d.MoreDKIM = len(c.Evidence.Auth.DKIM) - maxDKIM
			break
		}
		d.DKIM = append(d.DKIM, diagnoseDKIM(c.Evidence.Auth, s))
	}
	for i, a := range c.Verdict.Actions {
		if i == 2*maxItems {
			break
		}
		d.Actions = append(d.Actions, action(c.Evidence, a))
	}
	for _, f := range c.Verdict.Dials {
		d.Dials = append(d.Dials, f.Name+"="+f.Value)
	}
	d.Repairs = repairs(c, d.Bulk)
	if n := len(d.Repairs); n > maxItems {
		d.Repairs, d.MoreRepairs = d.Repairs[:maxItems], n-maxItems
	}
	return d
}

func mail(e policy.Evidence) Mail {
	h := e.Header
	m := Mail{
		From: addresses(h.From), To: addresses(h.To), Subject: clip(h.Subject), MessageID: clip(h.MessageID), Date: clip(h.Date),
		At: e.At, Size: h.Size, Fields: h.Fields, Received: h.Received,
	}
	for _, p := range bounded(h.Problems) {
		m.Problems = append(m.Problems, clip(p.String()+" ("+string(p.Code)+")"))
	}
	return m
}

func addresses(list []policy.Address) []string {
	out := make([]string, 0, min(len(list), maxItems))
	for _, a := range bounded(list) {
		text := a.Addr
		if a.Name != "" {
			text = a.Name + " <" + a.Addr + ">"
		}
		out = append(out, clip(text))
	}
	return out
}

func outcome(c Case) Outcome {
	v := c.Verdict
	o := Outcome{Delivery: v.Delivery, Folder: v.Folder, Check: v.Decider, Phase: v.Phase}
	why := ""
	if f, ok := v.Finding(v.Decider); ok {
		o.Reason, why = f.Reason, ": "+clip(f.Detail)
	}
	o.Summary = deliveryText(v.Delivery, v.Folder) + why
	if v.Reply.Code != 0 {
		o.Reply = lines(v.Reply.Text(), maxItems)
	}
	o.Header = lines(c.Header, maxHeader)
	return o
}

// deliveryText says what becomes of a mail.
func deliveryText(d policy.Delivery, f policy.Folder) string {
	switch {
	case d == policy.Reject:
		return "refused for good"
	case d == policy.Defer:
		return "put off, for the sender to come again"
	case f == policy.Spam:
		return "accepted, and filed as spam"
	}
	return "accepted into the inbox"
}

func action(e policy.Evidence, v policy.ActionVerdict) Action {
	a := Action{Index: v.Index, Name: clipTo(v.Name, 100), Type: clipTo(v.Type, 100), Kind: v.Kind, Answer: v.Answer, Check: v.Decider, Reason: v.Reason}
	a.Summary = "every check passes"
	if f, ok := v.Finding(v.Decider); ok {
		a.Summary = clip(f.Detail)
	} else if f, ok := v.Finding("access-pattern"); ok {
		a.Summary = "every check passes; " + clip(f.Detail)
	}
	for i := range e.Markup.Actions {
		m := &e.Markup.Actions[i]
		if m.Index != v.Index {
			continue
		}
		a.Place = m.Place.String()
		if len(m.Handlers) > 0 {
			a.URL = clip(m.Handlers[0].URL)
		} else if len(m.Targets) > 0 {
			a.URL = clip(m.Targets[0])
		}
	}
	return a
}

func unsubscribe(v policy.UnsubscribeVerdict) Action {
	a := Action{Index: -1, Answer: v.Answer, Check: v.Decider, Reason: v.Reason, URL: clip(v.URL)}
	switch {
	case v.Answer == policy.Absent:
		a.Summary = "the mail has no List-Unsubscribe field"
	case v.Answer == policy.Offered:
		a.Summary = "every check passes"
	default:
		for _, f := range v.Findings {
			if f.Check == v.Decider {
				a.Summary = clip(f.Detail)
			}
		}
	}
	return a
}

// clip bounds a value.
func clip(s string) string { return clipTo(s, maxValue) }

func clipTo(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	cut := limit
	for cut > 0 && s[cut]&0xc0 == 0x80 { // Not within a character of UTF-8.
		cut--
	}
	return s[:cut] + "… (" + count(len(s), "octet") + ")"
}

// bounded returns the first elements of a list.
func bounded[T any](list []T) []T { return list[:min(len(list), maxItems)] }

// names joins a list of foreign words.
func names(list []string) string {
	text := strings.Join(bounded(list), ", ")
	if more := len(list) - maxItems; more > 0 {
		text += " and " + count(more, "other")
	}
	return clip(text)
}

// lines splits a text into at most so many lines, and says how many it leaves
// out.
func lines(text string, limit int) []string {
	var list []string
	n := 0
	for line := range strings.Lines(text) {
		if n++; n <= limit {
			list = append(list, clipTo(strings.TrimRight(line, "\r\n"), maxLine))
		}
	}
	if n > limit {
		list = append(list, "… and "+count(n-limit, "more line"))
	}
	return list
}
