package diagnosis

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// textWidth is how long a line of prose is; values are never broken.
const textWidth = 100

// Text writes the account for a terminal or a mail. Its form may change any
// day, but for its first lines, which are the answers in the form of
// [policy.Verdict.Text].
func (d Diagnosis) Text() string {
	v := d.view()
	var b strings.Builder
	for _, line := range v.Lines {
		b.WriteString(line + "\n")
	}
	b.WriteString("\n")
	if len(v.Repairs) == 0 {
		b.WriteString("nothing to mend\n")
	} else {
		b.WriteString("to mend, most important first:\n")
	}
	for i, r := range v.Repairs {
		r.text(&b, i+1)
	}
	if v.More != "" {
		b.WriteString("  " + v.More + "\n")
	}
	for _, s := range v.Sections {
		b.WriteString("\n")
		s.text(&b, "")
	}
	return b.String()
}

func (r repairView) text(b *strings.Builder, n int) {
	prose(b, fmt.Sprintf("  %d. ", n), "     ", string(r.Rank)+": "+r.Wrong)
	if r.Where != "" {
		prose(b, "     where: ", "            ", r.Where)
	}
	if r.About != "" {
		prose(b, "     of: ", "         ", r.About)
	}
	if r.Effects != "" {
		prose(b, "     therefore: ", "       ", r.Effects)
	}
	for _, step := range r.Steps {
		prose(b, "     - ", "       ", step.Do)
		for _, line := range step.Write {
			b.WriteString("         " + line + "\n")
		}
	}
	prose(b, "     (", "     ", r.Causes+")")
}

func (s section) text(b *strings.Builder, indent string) {
	b.WriteString(indent + s.Title + ":")
	if s.Word != "" {
		b.WriteString(" " + s.Word)
	}
	b.WriteString("\n")
	indent += "  "
	if s.Lead != "" {
		prose(b, indent, indent, s.Lead)
	}
	width := 0
	for _, r := range s.Rows {
		width = max(width, utf8.RuneCountInString(r.Name))
	}
	for _, r := range s.Rows {
		fmt.Fprintf(b, "%s%-*s  %s\n", indent, width, r.Name, r.Value)
	}
	for _, item := range s.List {
		prose(b, indent+"- ", indent+"  ", item)
	}
	for _, line := range s.Block {
		b.WriteString(indent + line + "\n")
	}
	for _, q := range s.Table {
		fmt.Fprintf(b, "%s%s %s: %s", indent, q.Name, q.Type, strings.Join(q.Answers, "; "))
		if q.For != "" {
			b.WriteString(" (" + q.For + ")")
		}
		b.WriteString("\n")
	}
	for _, part := range s.Parts {
		part.text(b, indent)
	}
}

// prose writes words, broken at spaces into lines of some width.
func prose(b *strings.Builder, first, rest, text string) {
	b.WriteString(first)
	column := utf8.RuneCountInString(first)
	for i, word := range strings.Split(text, " ") {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case column+1+n > textWidth:
			b.WriteString("\n" + rest)
			column = utf8.RuneCountInString(rest)
		default:
			b.WriteString(" ")
			column++
		}
		b.WriteString(word)
		column += n
	}
	b.WriteString("\n")
}
