package diagnosis

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
)

// view is a diagnosis laid out for reading: text and HTML show the same. What
// is foreign in it has been made printable already.
type view struct {
	Subject  string
	Lines    []string // The answers, a line each.
	Mark     mark     // Of the outcome.
	Outcome  string
	Repairs  []repairView
	More     string // How many repairs were left out.
	Sections []section
}

// mark says at a glance how good something is. It is shown as a word or a sign,
// and never by colour alone.
type mark string

// The marks.
const (
	good  mark = "good"
	bad   mark = "bad"
	warn  mark = "warn"
	plain mark = "plain"
)

type repairView struct {
	Rank    Rank
	Mark    mark
	Wrong   string
	Effects string
	Where   string
	About   string
	Steps   []Step
	Causes  string
}

// section is one part of the account.
type section struct {
	ID    string
	Title string
	Word  string // The result, if there is one.
	Mark  mark
	Lead  string // A sentence.
	Rows  []row
	List  []string
	Block []string // Lines as they are.
	Table []lookupView
	Parts []section // Of the same kind, such as one for each signature.
	Fold  bool      // Only for who looks for it.
}

type row struct{ Name, Value string }

// row adds a named value, unless it is empty.
func (s *section) row(name, value string) {
	if value != "" {
		s.Rows = append(s.Rows, row{name, policy.Printable(value)})
	}
}

func (s *section) list(items ...string) { s.List = append(s.List, printable(items)...) }

func printable(list []string) []string {
	out := make([]string, len(list))
	for i, item := range list {
		out[i] = policy.Printable(item)
	}
	return out
}

// view lays a diagnosis out.
func (d Diagnosis) view() view {
	v := view{Subject: policy.Printable(clipTo(d.Mail.Subject, 200)), Outcome: policy.Printable(d.Outcome.Summary), Lines: d.answers(), Mark: good}
	switch {
	case d.Outcome.Delivery != policy.Accept:
		v.Mark = bad
	case d.Outcome.Folder == policy.Spam || slices.ContainsFunc(d.Actions, func(a Action) bool { return a.Answer == policy.Withheld }):
		v.Mark = warn
	}
	for _, r := range d.Repairs {
		v.Repairs = append(v.Repairs, r.view())
	}
	if d.MoreRepairs > 0 {
		v.More = "and " + strconv.Itoa(d.MoreRepairs) + " more"
	}
	v.Sections = []section{
		d.viewCame(), d.viewSPF(), d.viewDKIM(), d.viewDMARC(), d.viewARC(), d.viewReverseDNS(), d.viewDNS(),
		d.viewReply(), d.viewHeader(), d.viewActions(), d.viewUnsubscribe(), d.viewBulk(), d.viewMail(), d.viewUnused(),
	}
	v.Sections = slices.DeleteFunc(v.Sections, func(s section) bool { return s.Title == "" })
	return v
}

// answers are the decisions, a line each, in the form of [policy.Verdict.Text].
func (d Diagnosis) answers() []string {
	o := d.Outcome
	line := "delivery " + string(o.Delivery)
	if o.Folder != "" {
		line += ", " + string(o.Folder)
	}
	if o.Check != "" {
		line += fmt.Sprintf(" (%s, %s)", o.Check, o.Reason)
	}
	list := []string{line}
	for _, a := range d.Actions {
		list = append(list, "action "+strconv.Itoa(a.Index)+" "+a.title())
	}
	if d.Unsubscribe.Answer != policy.Absent {
		list = append(list, "unsubscribe "+answerText(d.Unsubscribe.Answer, d.Unsubscribe.Reason))
	}
	return list
}

// title names an action and its answer.
func (a Action) title() string {
	text := policy.Printable(a.Type) + " " + string(a.Kind) + " " + answerText(a.Answer, a.Reason)
	if a.Name != "" {
		text = strconv.Quote(a.Name) + " " + text
	}
	return text
}

func (r Repair) view() repairView {
	v := repairView{
		Rank: r.Rank, Mark: warn, Wrong: policy.Printable(r.Wrong), Where: policy.Printable(r.Where), About: policy.Printable(strings.Join(r.About, "; ")),
		Effects: policy.Printable(strings.Join(r.Effects, "; ")),
	}
	for _, s := range r.Steps {
		v.Steps = append(v.Steps, Step{policy.Printable(s.Do), printable(s.Write)})
	}
	switch r.Rank {
	case RankRefused, RankDeferred, RankSpam:
		v.Mark = bad
	case RankAdvice:
		v.Mark = plain
	}
	var causes []string
	for _, c := range r.Causes {
		causes = append(causes, strings.TrimSpace(string(c.Check)+" "+string(c.Reason)))
	}
	v.Causes = policy.Printable(strings.Join(causes, "; "))
	return v
}

// markOf marks a result of authentication.
func markOf(r policy.AuthResult) mark {
	switch r {
	case policy.AuthPass:
		return good
	case policy.AuthFail, policy.AuthPermError:
		return bad
	case policy.AuthNone:
		return plain
	}
	return warn
}

func markAnswer(a policy.Answer) mark {
	switch a {
	case policy.Offered:
		return good
	case policy.Withheld:
		return warn
	}
	return plain
}
