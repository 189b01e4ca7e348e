// Package markup finds what a message offers: schema.org actions (JSON-LD and
// Microdata in text/html), and one-click unsubscription (RFC 8058). It tells the
// actions of the message from those of mails forwarded inside it. Bytes in,
// value out.
//
// It does not judge what it finds, reads no remote context, and knows no RDFa.
// Whether an action type is supported or a URL is acceptable is for checks to
// say.
package markup

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/policy/quote"
)

const (
	// maxHTML is the longest part that is read, forty times what Gmail shows
	// before it clips.
	maxHTML = 4 << 20
	// maxActions bounds the actions of a message; a real one has at most some
	// dozens, in a booking of many tickets.
	maxActions = 100
	// maxTargets bounds the targets and the handlers of one action, each; of
	// handlers a usable action has one.
	maxTargets = 20
	// maxTypes bounds the types of one item; real ones have one or two.
	maxTypes = 20
	// maxNesting bounds items and JSON values inside each other; real markup has
	// about six levels.
	maxNesting = 64
)

// Values of policy.Action's Syntax.
const (
	syntaxJSONLD    = "json-ld"
	syntaxMicrodata = "microdata"
)

// Options say how markup is read where no document does. The zero value is how
// the provider reads it by default.
type Options struct {
	Lenient bool // JSON-LD with comments and trailing commas is read.
	NoGraph bool // The items in an @graph are not read.
	// Last says that of several values of a property that should have one the
	// last counts, and not the first.
	Last bool
}

// Extract returns what the message offers, read by default.
func Extract(m *message.Message) policy.Markup { return Options{}.Extract(m) }

// Extract returns what the message offers. Only text/html parts that are no
// attachment count (gmail-actions.md 1.7); the actions are in the order of the
// parts and of the text. After them come those of the mails that are attached,
// which say so; problems inside these are not its sender's doing, and are left
// out, as are their items and their one-click unsubscription.
func (o Options) Extract(m *message.Message) policy.Markup {
	markup := policy.Markup{Actions: []policy.Action{}}
	var p policy.Problems
	markup.Unsubscribe = unsubscribe(m, &p)
	room := newRoom()
	parts, broken := m.Parts()
	p.Join(broken)
	found := findEnclosed(m, parts, o, &room)
	for i, part := range parts {
		if part.Disposition == "attachment" {
			continue
		}
		// Also of parts that are not searched: what is wrong with one may be why it
		// does not count as text/html.
		p.Join(part.Problems)
		page := found.pages[i]
		if page == nil {
			continue
		}
		page.finish(found.around(i))
		markup.Actions = append(markup.Actions, page.actions...)
		markup.Items = append(markup.Items, page.items...)
		p.Join(page.problems.List())
	}
	own := len(markup.Actions)
	markup.Enclosed = found.list()
	markup.Actions = append(markup.Actions, found.attachedActions(&room, &p)...)
	if n := len(markup.Actions); n > maxActions {
		p.Add(markup.Actions[maxActions].Place, TooManyActions, "%d actions; only the first %d count", n, maxActions)
		markup.Actions = markup.Actions[:maxActions]
	}
	for i := range markup.Actions {
		markup.Actions[i].Index = i
	}
	findRepeated(markup.Actions[:min(own, maxActions)], &p)
	markup.Problems = p.List()
	return markup
}

// ExtractHTML returns the actions of one text/html part in UTF-8, in the order
// of the text, and the types of its top-level items. Part is the number that
// places have.
func ExtractHTML(part string, html []byte) (actions []policy.Action, items []string, problems []policy.Problem) {
	room := newRoom()
	p := newPage(part, html, Options{}, &room)
	p.extract(func() string { return "" }, p.scripts || p.microdata)
	p.finish(false)
	return p.actions, p.items, p.problems.List()
}

// page is one text/html part that is being read.
type page struct {
	part      string
	html      []byte
	scripts   bool // There may be JSON-LD in it,
	microdata bool // and Microdata.
	forged    bool // It has itself what carries the places of Microdata.
	actions   []policy.Action
	items     []string

	problems policy.Problems
	seen     map[*item]bool // Items in which actions were looked for.
	marks    []mark
	room     *room
	options  Options
	scriptTo int // Where the script ends that is being read.

	quotes *quote.Page // Nil if enclosed mails are not looked for.
	mails  []policy.Enclosed
	start  int // Where the first of them begins; below zero, there is none.
	body   int // Where the body begins; below zero, it has not begun.

	found    []found
	count    int // Of actions, also of those for which there is no room.
	overflow int // Where the first of these stands.
}

func newPage(part string, html []byte, o Options, room *room) *page {
	p := &page{part: part, html: html, options: o, room: room, seen: map[*item]bool{}, start: -1, body: -1}
	// Neither word can be written with character references, as the script's type
	// can.
	p.scripts, p.microdata = containsFold(html, "<script"), containsFold(html, "itemscope")
	p.forged = p.microdata && containsFold(html, offsetAttr)
	return p
}

// extract reads the page. Subject returns that of the message, decoded; it is nil
// if no enclosed mails are to be found. Actions says that something depends on
// whether there are any.
func (p *page) extract(subject func() string, actions bool) {
	if subject != nil && (actions || quote.MayHold(p.html)) {
		p.quotes = quote.NewPage(subject)
	}
	switch {
	case len(p.html) > maxHTML && (p.scripts || p.microdata):
		p.add(0, HTMLTooLarge, "the part has %d octets; parts with more than %d are not searched", len(p.html), maxHTML)
		fallthrough
	case !p.scripts && !p.microdata:
		if p.quotes != nil {
			feed(p.quotes, p.html, 0, false)
		}
	default:
		p.read()
	}
	if p.quotes == nil {
		return
	}
	for _, mail := range p.quotes.Mails() {
		if p.start < 0 {
			p.start = mail.At
		}
		mail.Enclosed.Place = p.place(mail.At)
		p.mails = append(p.mails, mail.Enclosed)
	}
}

// found is an action or an item, with its place.
type found struct {
	at     int
	reach  int // Of the action.
	action *policy.Action
	item   string
}

// reach returns how far down something reaches that stands at an offset: there,
// or to the very end if it stands in the head or its place is not sure. A client
// that makes one page of two has but one head for both.
func (p *page) reach(at int) int {
	if p.body < 0 || at < p.body || p.forged {
		return math.MaxInt
	}
	return at
}

// extent returns how much of the page has to be read for an item: all of it, if
// that is not sure.
func (p *page) extent(it *item) int {
	if p.forged {
		return len(p.html)
	}
	return max(it.last, 0)
}

// place returns the place of an offset; one below zero is unknown.
func (p *page) place(at int) policy.Place {
	if at < 0 || at > len(p.html) {
		return policy.Place{Part: p.part}
	}
	if p.marks == nil {
		p.marks = []mark{{}}
	}
	for len(p.marks) <= at/markStep {
		last := p.marks[len(p.marks)-1]
		p.marks = append(p.marks, last.to(p.html, last.at+markStep))
	}
	m := p.marks[at/markStep].to(p.html, at)
	return policy.Place{Part: p.part, Line: m.line + 1, Col: m.col + 1}
}

// markStep is the distance of the marks of a page, in octets.
const markStep = 4 << 10

// mark is an offset whose line and column, from 0, are known. Without marks each
// place would cost the way from the beginning.
type mark struct{ at, line, col int }

// to moves on to an offset. Columns are characters.
func (m mark) to(text []byte, at int) mark {
	for _, c := range text[m.at:at] {
		switch {
		case c == '\n':
			m.line++
			m.col = 0
		case utf8.RuneStart(c):
			m.col++
		}
	}
	m.at = at
	return m
}

// add adds a problem at an offset.
func (p *page) add(at int, code policy.Reason, format string, args ...any) {
	if p.problems.Takes(code) {
		p.problems.Add(p.place(at), code, format, args...)
	}
}

// finish puts what was found in the order of the text: JSON-LD and Microdata
// may stand among each other. Enclosed says that all of the page is of an enclosed
// mail; otherwise its own are the actions that stand above the first in it, with
// all that belongs to them.
func (p *page) finish(enclosed bool) {
	slices.SortStableFunc(p.found, func(a, b found) int { return cmp.Compare(a.at, b.at) })
	for _, f := range p.found {
		if f.action == nil {
			p.items = append(p.items, f.item)
			continue
		}
		if enclosed || p.start >= 0 && f.reach >= p.start {
			f.action.Enclosed = policy.EnclosedInline
		}
		f.action.Index = len(p.actions)
		p.actions = append(p.actions, *f.action)
	}
	if p.count > maxActions {
		p.add(p.overflow, TooManyActions, "%d actions; only the first %d count", p.count, maxActions)
	}
}

// findRepeated finds actions that stand in both syntaxes or in several parts.
// In one syntax repetition is normal: the segments of a journey share one link.
func findRepeated(actions []policy.Action, p *policy.Problems) {
	for i, a := range actions {
		for _, b := range actions[:i] {
			if (a.Syntax != b.Syntax || a.Place.Part != b.Place.Part) && a.Type == b.Type && a.Kind != policy.KindNothing && sameTo(a, b) {
				p.Add(a.Place, Repeated, "%s stands already at %s", a.Type, b.Place)
				break
			}
		}
	}
}

// sameTo reports whether two actions lead to the same URLs.
func sameTo(a, b policy.Action) bool {
	sameURL := func(a, b policy.Handler) bool { return a.URL == b.URL }
	return slices.EqualFunc(a.Handlers, b.Handlers, sameURL) && slices.Equal(a.Targets, b.Targets)
}

// containsFold reports whether b contains a word of lower-case ASCII, in any
// case.
func containsFold(b []byte, word string) bool {
	for i, first := range []byte{word[0], strings.ToUpper(word)[0]} {
		if i > 0 && first == word[0] {
			break
		}
		for rest := b; ; {
			i := bytes.IndexByte(rest, first)
			if i < 0 || len(rest)-i < len(word) {
				break
			}
			if strings.EqualFold(string(rest[i:i+len(word)]), word) {
				return true
			}
			rest = rest[i+1:]
		}
	}
	return false
}
