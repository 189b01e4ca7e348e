package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/doppelbox/doppelbox/policy"
)

// Limits of a script. They are ours: far above what people write, and low
// enough that a wrong file is noticed at once.
const (
	maxLines    = 10_000
	maxLineSize = 8192 // Octets.
	maxWords    = 64
	maxErrors   = 100
)

// parser reads a script.
type parser struct {
	path  string
	verbs []Verb
	names []string        // Of the sections, in order.
	used  map[string]bool // Sections that a step names; nil checks no names.
	line  int
	src   string
	errs  Errors
}

func (p *parser) report(m mistake) {
	p.errs = append(p.errs, &Error{Path: p.path, Line: p.line, Col: m.col, Src: p.src, Msg: m.msg, Hint: m.hint})
}

// endCol is the column after a line.
func endCol(src string) int { return 1 + utf8.RuneCountInString(src) }

func (p *parser) script(text string) []Phase {
	var phases []Phase
	for line := range strings.Lines(text) {
		p.line++
		p.src = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if p.line > maxLines || len(p.errs) >= maxErrors {
			p.src = p.src[:min(len(p.src), maxLineSize)]
			p.report(mistake{col: 1, msg: fmt.Sprintf("reading the script stops here, after %d lines and %d mistakes", p.line-1, len(p.errs))})
			break
		}
		if len(p.src) > maxLineSize {
			p.src = p.src[:maxLineSize]
			p.report(mistake{col: 1, msg: fmt.Sprintf("the line is longer than %d octets", maxLineSize)})
			continue
		}
		if title, ok := strings.CutPrefix(p.src, "#"); ok {
			if m := (&lexer{src: p.src, line: p.line}).checkCharacters(); m != nil {
				p.report(*m)
				continue
			}
			phases = p.title(phases, strings.TrimSpace(title))
			continue
		}
		if step, ok := p.step(); ok {
			if len(phases) == 0 {
				phases = append(phases, Phase{Line: p.line})
			}
			last := &phases[len(phases)-1]
			last.Steps = append(last.Steps, step)
		}
	}
	return phases
}

// title begins a phase, or goes on with the title of one without steps.
func (p *parser) title(phases []Phase, text string) []Phase {
	if n := len(phases); n > 0 && len(phases[n-1].Steps) == 0 {
		phases[n-1].Title += "\n" + text
		return phases
	}
	return append(phases, Phase{Title: text, Line: p.line})
}

// step reads a line with a step; false if there is none, or one with mistakes.
func (p *parser) step() (Step, bool) {
	tokens, m := lex(p.src, p.line)
	if m != nil {
		p.report(*m)
		return Step{}, false
	}
	if len(tokens) == 0 {
		return Step{}, false
	}
	before := len(p.errs)
	head := tokens[0].whole
	s := Step{Verb: head.Text, Line: p.line, Col: head.Col, Src: p.src}
	if v, ok := findVerb(p.verbs, head.Text); ok {
		if p.fill(&s, v, tokens[1:]) {
			p.check(s, v)
		}
		if v.check != nil && len(p.errs) == before {
			if m := v.check(s); m != nil {
				p.report(*m)
			}
		}
	} else {
		p.unknownVerb(head)
	}
	if len(p.errs) == before {
		return s, true
	}
	// Which sections a step with mistakes means is not known; none of those
	// it may mean is called unused.
	for _, t := range tokens {
		p.use(t.whole.Text)
	}
	return Step{}, false
}

func (p *parser) unknownVerb(head Word) {
	m := mistake{col: head.Col, msg: fmt.Sprintf("unknown verb %q%s", head.Text, policy.Suggest(head.Text, verbNames(p.verbs)))}
	if strings.HasPrefix(head.Text, "#") {
		m.msg = "a comment has to begin in the first column"
	}
	p.report(m)
}

// fill tells words from keys; false if it cannot.
func (p *parser) fill(s *Step, v Verb, tokens []token) bool {
	for _, t := range tokens {
		switch {
		case t.isArg && len(v.Keys) > 0:
			s.Args = append(s.Args, t.arg)
		case t.isArg && t.arg.Value.Quoted:
			p.report(mistake{
				col: t.arg.Value.Col, msg: "a quote inside a bare word",
				hint: s.Verb + " takes no keys; quote the whole word",
			})
			return false
		default:
			s.Words = append(s.Words, t.whole)
		}
	}
	return true
}

// check compares a step with its verb.
func (p *parser) check(s Step, v Verb) {
	hint := "usage: " + v.Usage()
	for i, w := range s.Words {
		param, ok := v.word(i)
		if !ok {
			m := mistake{col: w.Col, msg: fmt.Sprintf("%q is one word too many", w.Text), hint: hint}
			if strings.HasPrefix(w.Text, "#") && !w.Quoted {
				m.hint = "a comment stands on a line of its own"
			}
			p.report(m)
			break
		}
		p.value(param, w)
	}
	var seen []string
	for _, a := range s.Args {
		param, ok := v.key(a.Key)
		switch {
		case !ok:
			p.report(mistake{col: a.Col, msg: fmt.Sprintf("unknown key %q%s", a.Key, policy.Suggest(a.Key, v.keyNames())), hint: hint})
			continue
		case slices.Contains(seen, a.Key) && !param.Repeated:
			p.report(mistake{col: a.Col, msg: fmt.Sprintf("key %q is given twice", a.Key)})
			continue
		}
		seen = append(seen, a.Key)
		p.value(param, a.Value)
	}
	if missing := v.missing(s); len(missing) > 0 {
		p.report(mistake{col: endCol(s.Src), msg: v.Name + " needs " + strings.Join(missing, " and "), hint: hint})
	}
}

// value checks one value against its parameter.
func (p *parser) value(param Param, w Word) {
	items := []string{w.Text}
	if param.List {
		items = strings.Split(w.Text, ",")
	}
	offset := 0
	for _, item := range items {
		if param.Form == FormSection {
			p.section(item, w.innerCol(offset))
			offset += len(item) + len(",")
			continue
		}
		msg := ""
		if len(param.Values) > 0 && !slices.Contains(param.Values, item) {
			msg = fmt.Sprintf("unknown value %q%s", item, policy.Suggest(item, param.Values))
		} else if err := checkForm(param.Form, item); err != nil {
			msg = err.Error()
		}
		if msg != "" {
			p.report(mistake{col: w.innerCol(offset), msg: msg})
		}
		offset += len(item) + len(",")
	}
}

// innerCol returns the column of an octet of the text. In a quoted word it is
// that of the word, since escapes may have moved the text.
func (w Word) innerCol(offset int) int {
	if w.Quoted {
		return w.Col
	}
	return w.Col + utf8.RuneCountInString(w.Text[:offset])
}

// section checks the name of a section, which stands at a column.
func (p *parser) section(name string, col int) {
	if p.used == nil || slices.Contains(p.names, name) {
		p.use(name)
		return
	}
	m := mistake{col: col, msg: fmt.Sprintf("there is no section %q", name)}
	if near, ok := policy.Nearest(name, p.names); ok {
		m.msg += fmt.Sprintf("; did you mean %q?", near)
		p.use(near)
	} else if len(p.names) > 0 {
		m.hint = "sections are " + strings.Join(p.names, ", ")
	}
	p.report(m)
}

func (p *parser) use(name string) {
	if p.used != nil {
		p.used[name] = true
	}
}
