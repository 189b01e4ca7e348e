package policy

import (
	"fmt"
	"strconv"
	"strings"
)

// Text writes a verdict for comparison: one line a finding, ">" before the one
// that decides, "!" before advice that was not kept, every foreign value
// quoted. The form is stable: scenarios compare it.
func (v Verdict) Text() string { return v.text(false) }

// Explained is Text for people: each failure is followed by its sentence,
// which may be reworded any day.
func (v Verdict) Explained() string { return v.text(true) }

func (v Verdict) text(explain bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "delivery %s", v.Delivery)
	if v.Folder != "" {
		fmt.Fprintf(&b, ", %s", v.Folder)
	}
	fmt.Fprintf(&b, "\n")
	writeFindings(&b, v.Findings, v.Decider, explain)
	for _, a := range v.Actions {
		fmt.Fprintf(&b, "action %d %s\n", a.Index, a.describe())
		writeFindings(&b, a.Findings, a.Decider, explain)
	}
	fmt.Fprintf(&b, "unsubscribe %s", v.Unsubscribe.Answer)
	if v.Unsubscribe.Answer != Absent {
		fmt.Fprintf(&b, " (%s)\n", v.Unsubscribe.Reason)
		writeFindings(&b, v.Unsubscribe.Findings, v.Unsubscribe.Decider, explain)
	} else {
		b.WriteByte('\n')
	}
	writeDials(&b, v.Dials)
	return b.String()
}

// Brief writes the answers only, a line each, with what decided and the advice
// that was not kept.
func (v Verdict) Brief() string {
	var b strings.Builder
	fmt.Fprintf(&b, "delivery %s", v.Delivery)
	if v.Folder == Spam {
		b.WriteString(" as spam")
	}
	if f, ok := v.Finding(v.Decider); ok {
		fmt.Fprintf(&b, ": %s (%s, %s)", Printable(f.Detail), f.Check, f.Reason)
	}
	b.WriteByte('\n')
	// What contradicts the access pattern is said even where every action is
	// offered: the reader may know better how the mail got here.
	if f, ok := find(v.Findings, "access-evidence"); ok && f.Reason == "contradicted" {
		fmt.Fprintf(&b, "  advice: %s (%s)\n", Printable(f.Detail), f.Check)
	}
	for _, a := range v.Actions {
		fmt.Fprintf(&b, "action %d %s\n", a.Index, a.describe())
		if f, ok := a.Finding(a.Decider); ok {
			fmt.Fprintf(&b, "  %s (%s)\n", Printable(f.Detail), f.Check)
		}
		for _, f := range a.Findings {
			if f.Advice && f.Result == Fail {
				fmt.Fprintf(&b, "  advice: %s (%s)\n", Printable(f.Detail), f.Check)
			}
		}
	}
	if f, ok := find(v.Findings, "markup-readable"); ok && f.Result == Fail {
		for _, problem := range f.Facts {
			fmt.Fprintf(&b, "markup problem: %s (%s)\n", Printable(problem.Value), problem.Name)
		}
	}
	if u := v.Unsubscribe; u.Answer != Absent {
		fmt.Fprintf(&b, "unsubscribe %s (%s)\n", u.Answer, u.Reason)
	}
	return b.String()
}

// describe names an action and its answer on one line.
func (v ActionVerdict) describe() string {
	text := fmt.Sprintf("%s %s %s", Printable(v.Type), v.Kind, v.Answer)
	if v.Answer != Offered {
		text += " (" + string(v.Reason) + ")"
	}
	if v.Name != "" {
		text = strconv.Quote(v.Name) + " " + text
	}
	return text
}

// Text writes a click's verdict, as [Verdict.Text] does.
func (v ClickVerdict) Text() string { return v.text(false) }

// Explained is Text for people, as [Verdict.Explained] is.
func (v ClickVerdict) Explained() string { return v.text(true) }

func (v ClickVerdict) text(explain bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "click %s (%s)\n", v.Answer, v.Reason)
	writeFindings(&b, v.Findings, v.Decider, explain)
	if r := v.Request; r != nil {
		fmt.Fprintf(&b, "request %s %q", r.Method, r.URL)
		if r.Bearer {
			fmt.Fprintf(&b, " aud=%q", r.Audience)
		}
		b.WriteByte('\n')
	}
	if v.Target != "" {
		fmt.Fprintf(&b, "target %q\n", v.Target)
	}
	writeDials(&b, v.Dials)
	return b.String()
}

func writeDials(b *strings.Builder, dials []Fact) {
	if len(dials) == 0 {
		return
	}
	b.WriteString("dials")
	for _, d := range dials {
		fmt.Fprintf(b, " %s=%s", d.Name, d.Value)
	}
	b.WriteByte('\n')
}

func writeFindings(b *strings.Builder, list []Finding, decider CheckID, explain bool) {
	width := 0
	for _, f := range list {
		width = max(width, len(f.Check))
	}
	for _, f := range list {
		mark := ' '
		switch {
		case f.Check == decider:
			mark = '>'
		case f.Advice && f.Result == Fail:
			mark = '!'
		}
		fmt.Fprintf(b, "%c %s %-*s %s", mark, f.Result, width, f.Check, f.Reason)
		for _, fact := range f.Facts {
			fmt.Fprintf(b, " %s=%q", fact.Name, fact.Value)
		}
		b.WriteByte('\n')
		if explain && mark != ' ' {
			fmt.Fprintf(b, "       %s\n", Printable(f.Detail))
		}
	}
}

// Printable shows foreign text on a line of its own words: what a terminal
// would act on, line breaks among it, is escaped.
func Printable(s string) string {
	quoted := strconv.Quote(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// Text writes a reply as it goes over the wire, without the session id that
// ends it.
func (r Reply) Text() string {
	var b strings.Builder
	for i, line := range r.Lines {
		separator := "-"
		if i == len(r.Lines)-1 {
			separator = " "
		}
		fmt.Fprintf(&b, "%d%s", r.Code, separator)
		if r.Enhanced != "" {
			b.WriteString(r.Enhanced + " ")
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}
