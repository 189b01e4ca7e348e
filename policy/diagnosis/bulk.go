package diagnosis

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
)

// Bulk is what bulk status does to the mail: the same mail, judged as if its
// sender were a bulk sender, or were none.
type Bulk struct {
	// Is says that the sender is a bulk sender; the differences are then those
	// to one that is not.
	Is      bool     `json:"is"`
	Summary string   `json:"summary"`
	Changes []Change `json:"changes"`
	// Hold are the checks that would be asked as well, or no longer, and make no
	// difference as they hold.
	Hold []string `json:"hold,omitempty"`

	other policy.Verdict
}

// Change is one difference between two verdicts on the same mail.
type Change struct {
	// Of is what differs: "delivery", "folder", "reply", "finding", "action",
	// "unsubscribe".
	Of     string         `json:"of"`
	Check  policy.CheckID `json:"check,omitempty"`  // Of a finding.
	Action *int           `json:"action,omitempty"` // Index of the action, or of the one that a finding is about.
	From   string         `json:"from"`             // As it is.
	To     string         `json:"to"`               // As it would be.
	// Summary is a sentence on it.
	Summary string `json:"summary"`
}

func diagnoseBulk(c Case) Bulk {
	e := c.Evidence
	e.Sender.Bulk = !e.Sender.Bulk
	other := policy.Decide(e, c.Registry)
	b := Bulk{Is: c.Evidence.Sender.Bulk, Changes: []Change{}, other: other}
	for _, change := range Differences(c.Verdict, other) {
		switch {
		case isConsequence(change.Check): // Of the delivery, which is told.
		case change.idle():
			b.Hold = append(b.Hold, string(change.Check))
		default:
			b.Changes = append(b.Changes, change)
		}
	}
	sender := clip(c.Evidence.Sender.Domain)
	if sender == "" {
		sender = clip(c.Evidence.Auth.DMARC.OrgDomain)
	}
	if sender == "" {
		sender = "the sender"
	}
	switch {
	case b.Is && c.Evidence.Sender.Declared:
		b.Summary = sender + " was declared to be a bulk sender"
	case b.Is:
		b.Summary = sender + " is a bulk sender (" + count(c.Evidence.Sender.Volume, "message") + " within the last 24 hours)"
	default:
		b.Summary = sender + " is not a bulk sender"
		if n := c.Evidence.Sender.Volume; n > 0 {
			b.Summary += " (" + count(n, "message") + " within the last 24 hours)"
		}
	}
	condition := "If it were"
	if b.Is {
		condition = "If it were not"
	}
	switch {
	case len(b.Changes) == 0:
		b.Summary += ". " + condition + ", nothing would change for this mail"
	case len(b.Changes) > maxItems:
		b.Changes = b.Changes[:maxItems]
		fallthrough
	default:
		b.Summary += ". " + condition + ", this would change"
	}
	return b
}

// Differences says what is different in another verdict on the same mail:
// first the answers, then the findings that lead to them.
func Differences(now, other policy.Verdict) []Change {
	list := []Change{}
	add := func(c Change) {
		if c.From != c.To {
			list = append(list, c)
		}
	}
	add(Change{
		Of: "delivery", From: string(now.Delivery), To: string(other.Delivery),
		Summary: "the mail would be " + deliveryText(other.Delivery, other.Folder) + decidedBy(other) + ", rather than " + deliveryText(now.Delivery, now.Folder),
	})
	if now.Delivery == other.Delivery {
		add(Change{
			Of: "folder", From: string(now.Folder), To: string(other.Folder),
			Summary: "the mail would be " + deliveryText(other.Delivery, other.Folder) + decidedBy(other) + ", rather than " + deliveryText(now.Delivery, now.Folder),
		})
	}
	if a, b := replyLine(now.Reply), replyLine(other.Reply); a != b {
		add(Change{Of: "reply", From: a, To: b, Summary: fmt.Sprintf("the answer would be %q", b)})
	}
	compareActions(now, other, add)
	add(Change{
		Of: "unsubscribe", From: answerText(now.Unsubscribe.Answer, now.Unsubscribe.Reason), To: answerText(other.Unsubscribe.Answer, other.Unsubscribe.Reason),
		Summary: "one-click unsubscription would be " + answerText(other.Unsubscribe.Answer, other.Unsubscribe.Reason),
	})
	compareFindings(now.Findings, other.Findings, nil, add)
	for i := range min(len(now.Actions), len(other.Actions)) {
		compareFindings(now.Actions[i].Findings, other.Actions[i].Findings, &now.Actions[i].Index, add)
	}
	compareFindings(now.Unsubscribe.Findings, other.Unsubscribe.Findings, nil, add)
	return list
}

// idle says that the change is of a finding that is no failure on either side.
func (c Change) idle() bool {
	return c.Of == "finding" && !strings.HasPrefix(c.From, string(policy.Fail)) && !strings.HasPrefix(c.To, string(policy.Fail))
}

// decidedBy names what decides a delivery.
func decidedBy(v policy.Verdict) string {
	f, ok := v.Finding(v.Decider)
	if !ok {
		return ""
	}
	return " (" + string(f.Check) + ": " + string(f.Reason) + ")"
}

// replyLine is the whole text of a reply on one line. The time in that of an
// accepted mail is no difference, as both verdicts are of the same time.
func replyLine(r policy.Reply) string {
	if r.Code == 0 {
		return ""
	}
	words := append([]string{strconv.Itoa(r.Code), r.Enhanced}, r.Lines...)
	return clip(strings.Join(strings.Fields(strings.Join(words, " ")), " "))
}

func answerText(a policy.Answer, r policy.Reason) string {
	if a == policy.Withheld {
		return string(a) + " (" + string(r) + ")"
	}
	return string(a)
}

func compareActions(now, other policy.Verdict, add func(Change)) {
	for i := range min(len(now.Actions), len(other.Actions)) {
		a, b := now.Actions[i], other.Actions[i]
		add(Change{
			Of: "action", Action: &now.Actions[i].Index, From: answerText(a.Answer, a.Reason), To: answerText(b.Answer, b.Reason),
			Summary: actionText(a) + " would be " + answerText(b.Answer, b.Reason),
		})
	}
}

// actionText names an action.
func actionText(a policy.ActionVerdict) string {
	text := "action " + strconv.Itoa(a.Index)
	if a.Name != "" {
		text += " \"" + clipTo(a.Name, 100) + "\""
	}
	return text
}

// actionPlace names an action, and says where it stands.
func actionPlace(e policy.Evidence, v policy.ActionVerdict) string {
	for i := range e.Markup.Actions {
		if a := &e.Markup.Actions[i]; a.Index == v.Index && a.Place.String() != "" {
			return actionText(v) + " at " + a.Place.String()
		}
	}
	return actionText(v)
}

// compareFindings compares the findings of one scope, check by check.
func compareFindings(now, other []policy.Finding, action *int, add func(Change)) {
	for _, b := range other {
		i := slices.IndexFunc(now, func(a policy.Finding) bool { return a.Check == b.Check })
		if i < 0 {
			add(Change{Of: "finding", Check: b.Check, Action: action, To: findingText(b), Summary: wouldBe(b)})
			continue
		}
		add(Change{Of: "finding", Check: b.Check, Action: action, From: findingText(now[i]), To: findingText(b), Summary: wouldBe(b)})
	}
	for _, a := range now {
		if !slices.ContainsFunc(other, func(b policy.Finding) bool { return a.Check == b.Check }) {
			add(Change{Of: "finding", Check: a.Check, Action: action, From: findingText(a), Summary: string(a.Check) + " would not be asked"})
		}
	}
}

// findingText is what of a finding is compared.
func findingText(f policy.Finding) string {
	text := string(f.Result) + " " + string(f.Reason)
	switch {
	case f.Result != policy.Fail:
	case f.Advice:
		text += ", as advice"
	case f.Delivery != "":
		text += ", " + string(f.Delivery)
		if f.Folder == policy.Spam {
			text += " as spam"
		}
	}
	return text
}

func wouldBe(f policy.Finding) string {
	verb := "would pass"
	switch {
	case f.Result == policy.Fail && f.Advice:
		verb = "would advise"
	case f.Result == policy.Fail:
		verb = "would fail"
	case f.Result == policy.Skip:
		verb = "would not apply"
	}
	return string(f.Check) + " " + verb + " (" + string(f.Reason) + "): " + clip(f.Detail)
}
