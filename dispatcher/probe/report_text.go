package probe

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// columns is how wide the text is at most, as far as its words allow.
const columns = 100

// languages are the languages of the examples for people.
var languages = map[string]string{"go": "Go", "node": "Node", "python": "Python", "java": "Java"}

// WriteText writes a report for people: whether the service is sound, and the
// numbers; what is to be said of the run; a line for each finding, the worst
// first; all else by reason. Below are the findings with what was sent, what
// came back and what should have, and how to mend them.
func WriteText(w io.Writer, r Report) error {
	var b strings.Builder
	r.writeTop(&b)
	for _, p := range r.Problems {
		b.WriteString("\n" + wrapped("problem: ", p))
	}
	for _, n := range r.Notes {
		b.WriteString("\n" + wrapped("note: ", n))
	}
	r.writeTable(&b)
	r.writeRest(&b)
	usual := r.usual()
	for _, result := range r.bySeverity(Failed, Warned) {
		result.write(&b, usual)
	}
	for _, f := range r.Fixes() {
		f.write(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeTop writes the verdict, the numbers, and what was tried.
func (r Report) writeTop(b *strings.Builder) {
	fmt.Fprintf(b, "%s\n%d probes:", r.verdict(), len(r.Results))
	for i, m := range Marks() {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(b, " %d %s", r.Count(m), m)
	}
	fmt.Fprintf(b, "\n\n%s %s\n", r.Method, r.Service)
	if r.Bearer {
		fmt.Fprintf(b, "  bearer tokens for %s\n", r.Audience)
	} else {
		b.WriteString("  no bearer tokens: the sender asked for none\n")
	}
	fmt.Fprintf(b, "  limited-use token: %s\n", r.LimitedUse)
}

// verdict is the report in a line.
func (r Report) verdict() string {
	proven := slices.ContainsFunc(r.Results, func(result Result) bool { return result.Mark == Held && result.Probe.Phase != Good })
	unsound := slices.ContainsFunc(r.Results, func(result Result) bool { return result.Mark == Failed && result.Probe.Phase != Good })
	switch {
	case unsound:
		return "FAILED: the service is not sound"
	case r.Count(Failed) > 0:
		return "FAILED: the good request is not accepted"
	case r.Failed():
		return "FAILED: the service could not be judged"
	case r.Count(Warned) > 0:
		return "PASSED, with warnings"
	case !proven:
		return "PASSED, but nothing was proven"
	}
	return "PASSED"
}

// writeTable writes a line for each finding; the whole of it is below.
func (r Report) writeTable(b *strings.Builder) {
	list := r.bySeverity(Failed, Warned)
	if len(list) > 0 {
		b.WriteString("\n")
	}
	for _, result := range list {
		line := []rune(fmt.Sprintf("%-6s  %-8s  %-27s  %s", result.Mark, result.Severity(), result.Probe.ID, result.Detail))
		if len(line) > columns {
			line = append(line[:columns-1], '…')
		}
		b.WriteString(strings.TrimRight(string(line), " ") + "\n")
	}
}

// usual are the fields of the good request, with which others are compared.
func (r Report) usual() []string {
	for _, result := range r.Results {
		if result.Probe.Phase == Good && len(result.Exchanges) > 0 {
			return result.Exchanges[0].Fields
		}
	}
	return nil
}

// write writes a finding with all that belongs to it. Of the header it shows
// what is not usual, and the token.
func (r Result) write(b *strings.Builder, usual []string) {
	p := r.Probe
	fmt.Fprintf(b, "\n%s (%s, %s)\n", p.ID, p.Severity, p.Expect)
	b.WriteString(wrapped("  what    ", p.Title))
	b.WriteString(wrapped("  why     ", p.Reason))
	for _, e := range r.Exchanges {
		b.WriteString(wrapped("  sent    ", e.Request))
		for _, f := range e.unusual(usual) {
			b.WriteString(wrapped("          ", f))
		}
		if e.Body != "" {
			b.WriteString("\n" + wrapped("          ", e.Body))
		}
		if e.Then != "" {
			b.WriteString(wrapped("  then    ", e.Then))
		}
		b.WriteString(wrapped("  got     ", e.got()))
	}
	if last := len(r.Exchanges) - 1; last < 0 || r.Detail != fmt.Sprintf("answered %d", r.Exchanges[last].Status) {
		b.WriteString(wrapped("  found   ", r.Detail))
	}
	b.WriteString(wrapped("  should  ", p.Should()))
	b.WriteString(wrapped("  source  ", p.Source))
	if ids := r.fixIDs(); len(ids) > 0 {
		b.WriteString(wrapped("  fix     ", strings.Join(ids, ", ")))
	}
}

// unusual are the fields that the good request has not, and which of its own
// are missing.
func (e Exchange) unusual(usual []string) []string {
	var list, names []string
	for _, f := range e.Fields {
		name, _, _ := strings.Cut(f, ":")
		names = append(names, name)
		if name == "Authorization" || !slices.Contains(usual, f) {
			list = append(list, f)
		}
	}
	for _, f := range usual {
		if name, _, _ := strings.Cut(f, ":"); !slices.Contains(names, name) {
			list = append(list, "(no "+name+")")
		}
	}
	return list
}

// got is what came back, for people.
func (e Exchange) got() string {
	switch {
	case e.Status == 0 && e.Answer == notRead:
		return notRead
	case e.Status == 0:
		return "no answer: " + e.Answer
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", e.Status, e.Answer))
}

func (f Fix) write(b *strings.Builder) {
	fmt.Fprintf(b, "\nfix %s: %s\n", f.ID, f.Title)
	b.WriteString(wrapped("  ", f.Text))
	for _, language := range Languages() {
		code := f.Code[language]
		if code == "" {
			continue
		}
		fmt.Fprintf(b, "\n  %s\n", languages[language])
		for line := range strings.Lines(code) {
			b.WriteString(strings.TrimRight("    "+line, " \n") + "\n")
		}
	}
}

// writeRest names what is no finding by its mark and reason, and counts what
// held by group.
func (r Report) writeRest(b *strings.Builder) {
	for _, m := range []Mark{Undetermined, NotProven, Noted, Skipped} {
		var reasons []string
		byReason := make(map[string][]string)
		for _, result := range r.bySeverity(m) {
			why := result.reason()
			if byReason[why] == nil {
				reasons = append(reasons, why)
			}
			byReason[why] = append(byReason[why], result.Probe.ID)
		}
		for _, why := range reasons {
			b.WriteString("\n" + wrapped(string(m)+": ", why))
			b.WriteString(wrapped("  ", strings.Join(byReason[why], " ")))
		}
	}
	var groups []string
	held := make(map[string]int)
	for _, result := range r.Results {
		if result.Mark != Held {
			continue
		}
		if held[result.Probe.Group]++; held[result.Probe.Group] == 1 {
			groups = append(groups, result.Probe.Group)
		}
	}
	for i, g := range groups {
		groups[i] = fmt.Sprintf("%s %d", g, held[g])
	}
	if len(groups) > 0 {
		b.WriteString("\n" + wrapped("held: ", strings.Join(groups, ", ")))
	}
}

// reason is what a result has in common with others: of what is not proven, why
// that is.
func (r Result) reason() string {
	if at := strings.LastIndex(r.Detail, butSince); r.Mark == NotProven && at >= 0 {
		return r.Detail[at+len(butSince):]
	}
	return r.Detail
}

// wrapped writes a text behind a first word, in lines that are not too long;
// those after the first begin where the text does.
func wrapped(first, text string) string {
	indent := strings.Repeat(" ", utf8.RuneCountInString(first))
	var b strings.Builder
	line := first
	length := utf8.RuneCountInString(first)
	empty := true
	for _, word := range pieces(text, columns-length) {
		n := utf8.RuneCountInString(word)
		if !empty && utf8.RuneCountInString(line)+1+n > columns {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line, empty = indent, true
		}
		if !empty {
			line += " "
		}
		line += word
		empty = false
	}
	return b.String() + strings.TrimRight(line, " ") + "\n"
}

// pieces are the words of a text, those that are too long for a line being cut.
func pieces(text string, width int) []string {
	var list []string
	for _, word := range strings.Fields(text) {
		for runes := []rune(word); len(runes) > 0; {
			n := min(len(runes), width)
			if comma := strings.LastIndexByte(string(runes[:n]), ','); n < len(runes) && comma > 0 {
				n = utf8.RuneCountInString(string(runes[:n])[:comma+1])
			}
			list = append(list, string(runes[:n]))
			runes = runes[n:]
		}
	}
	return list
}
