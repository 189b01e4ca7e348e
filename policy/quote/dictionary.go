package quote

import (
	"bytes"
	"math/bits"
	"strings"
	"unicode"
	"unicode/utf8"
)

// dict has the wordings by their words.
var dict = newDictionary(wordings)

// dictionary finds the wordings that have a line or a label.
type dictionary struct {
	list   []Wording
	all    set
	of     map[string]set // Of each client, in the words of policy.Enclosed.
	lines  map[string]set // By the folded words of the line.
	labels map[string]label
	// initial are the first octets of the labels of From. Most lines are not
	// looked up because of it.
	initial [256]bool
	// first are those with which a line may begin that means something: these, and
	// the signs around lines and quotations. All others that are not ASCII may be
	// invisible.
	first [256]bool
}

// label is the meaning of a label, and the wordings that have it.
type label struct {
	field Field
	set   set
}

// newDictionary makes the dictionary of wordings that are not complete.
func newDictionary(list []Wording) dictionary {
	d := dictionary{of: map[string]set{}, lines: map[string]set{}, labels: map[string]label{}}
	for i, w := range list {
		w = w.complete()
		d.list = append(d.list, w)
		one := set{}.with(i)
		d.all = d.all.or(one)
		d.of[w.family()] = d.of[w.family()].or(one)
		if w.family() != Outlook {
			words := string(fold(make([]byte, 0, maxWords), introWords([]byte(w.Line))))
			d.lines[words] = d.lines[words].or(one)
		}
		for _, f := range w.Order {
			name := string(fold(make([]byte, 0, maxWords), []byte(w.Label(f))))
			d.labels[name] = label{f, d.labels[name].set.or(one)}
		}
		for _, s := range []string{w.From, strings.ToLower(w.From), strings.ToUpper(w.From)} {
			d.initial[s[0]] = true
		}
	}
	d.first = d.initial
	for _, c := range []byte("-_*>|&") {
		d.first[c] = true
	}
	for c := 0x80; c < len(d.first); c++ {
		d.first[c] = true
	}
	return d
}

// intro returns the wordings whose introducing line has these words.
func (d *dictionary) intro(line []byte) set {
	var room [maxWords]byte
	return d.lines[string(fold(room[:0], introWords(line)))]
}

// label looks a label up, as written before the colon. A space before the colon
// is French; where it is not, it means nothing.
func (d *dictionary) label(text []byte) (label, bool) {
	var room [maxWords]byte
	words := fold(room[:0], text)
	l, ok := d.labels[string(words)]
	if !ok {
		l, ok = d.labels[string(bytes.TrimSuffix(words, []byte(" ")))]
	}
	return l, ok
}

// set is a set of wordings, by their place in the table.
type set [2]uint64

func (s set) with(i int) set {
	s[i/64] |= 1 << (i % 64)
	return s
}

func (s set) or(t set) set  { return set{s[0] | t[0], s[1] | t[1]} }
func (s set) and(t set) set { return set{s[0] & t[0], s[1] & t[1]} }
func (s set) empty() bool   { return s == set{} }

// narrow returns what s and t have in common, s if that is nothing.
func (s set) narrow(t set) set {
	if both := s.and(t); !both.empty() {
		return both
	}
	return s
}

// where returns the wordings of s that have a property.
func (s set) where(has func(w Wording) bool) set {
	var out set
	for i := range s.each {
		if has(dict.list[i]) {
			out = out.with(i)
		}
	}
	return out
}

// only returns what all wordings of s have in common, empty if they differ.
func (s set) only(of func(w Wording) string) string {
	first, found := "", false
	for i := range s.each {
		v := of(dict.list[i])
		if found && v != first {
			return ""
		}
		first, found = v, true
	}
	return first
}

func (s set) each(yield func(i int) bool) {
	for n, word := range s {
		for ; word != 0; word &= word - 1 {
			if !yield(64*n + bits.TrailingZeros64(word)) {
				return
			}
		}
	}
}

// maxWords bounds a label and the words of a line, in octets. The longest that
// is known has 66.
const maxWords = 96

// fold appends text to dst in the form in which words are compared: in lower
// case, one space for white space of any kind, without marks of direction and
// the asterisks of a text that was bold. The result is empty if dst has no room.
func fold(dst, text []byte) []byte {
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		text = text[size:]
		switch {
		case isInvisible(r) || r == '*':
			continue
		case unicode.IsSpace(r):
			if len(dst) == 0 || dst[len(dst)-1] == ' ' {
				continue
			}
			r = ' '
		}
		if len(dst)+utf8.UTFMax > cap(dst) {
			return nil
		}
		dst = utf8.AppendRune(dst, unicode.ToLower(r))
	}
	return dst
}

// isInvisible reports whether a character shows nothing: byte order mark, soft
// hyphen, joiners, marks of direction.
func isInvisible(r rune) bool {
	return r == '\uFEFF' || r == '\u00AD' || '\u200B' <= r && r <= '\u200F' || '\u202A' <= r && r <= '\u202E' || '\u2060' <= r && r <= '\u2069'
}

// introWords returns the words of an introducing line: without its hyphens or
// its colon.
func introWords(line []byte) []byte {
	return bytes.TrimFunc(line, func(r rune) bool { return r == '-' || r == ':' || r == '*' || unicode.IsSpace(r) || isInvisible(r) })
}
