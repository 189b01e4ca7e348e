package quote

import (
	"bytes"
	"unicode"

	"github.com/doppelbox/doppelbox/policy"
)

// minRule is the shortest line of underscores that counts as Outlook's, which
// has 32.
const minRule = 10

// minHyphens are the hyphens on each side of an introducing line; Thunderbird's
// in Polish has three, the others more.
const minHyphens = 3

// scanner finds mails in visible lines, which it is handed one after the other.
type scanner struct {
	subject func() string
	prefix  *prefix // Of Subject, once it was asked for.
	mails   []Mail

	block *block // What may become a mail, nil if nothing may.
	ruled bool   // Since rule, a line of underscores, all lines were empty.
	rule  int
}

// line reads the next line, without its end.
func (s *scanner) line(text []byte, at int) {
	text = trim(text)
	switch {
	case s.block == nil && len(text) > 0:
		s.start(text, at)
	case s.block == nil:
	case len(text) == 0:
		if !s.block.blank() {
			s.close()
		}
	case !s.block.line(text):
		s.close()
		s.start(text, at)
	}
}

// start looks whether a line begins something. Most lines do not, and must cost
// little.
func (s *scanner) start(text []byte, at int) {
	ruled := s.ruled
	s.ruled = false
	bare := text
	if text[0] == '*' {
		if bare = bytes.Trim(text, "*"); len(bare) == 0 {
			return
		}
	}
	first, last := bare[0], bare[len(bare)-1]
	switch {
	case first == '-' && last == '-':
		s.hyphens(bare, at)
		return
	case first == '_' && last == '_':
		s.ruled, s.rule = len(bare) >= minRule && len(bytes.Trim(bare, "_")) == 0, at
		return
	case last == ':' && len(text) <= maxWords:
		if words := dict.intro(text).and(dict.of[AppleMail]); !words.empty() {
			s.block = &block{source: saying, at: at, mark: clip(string(text)), clients: words, languages: words}
			return
		}
	}
	// What stands below a mail belongs to it, and may as well be a reply.
	if dict.initial[first] && len(s.mails) == 0 {
		s.labels(text, at, ruled)
	}
}

// labels reads a line that may be the first of Outlook's.
func (s *scanner) labels(text []byte, at int, ruled bool) {
	name, _, ok := cutLabel(text)
	if !ok {
		return
	}
	if l, ok := dict.label(name); !ok || l.field != FieldFrom {
		return
	}
	b := &block{source: labels, at: at, mark: clip(string(text)), ruled: ruled, clients: dict.of[Outlook], languages: dict.of[Outlook]}
	if ruled {
		b.at = s.rule
	}
	if b.line(text) {
		s.block = b
	}
}

// hyphens reads a line that begins and ends with hyphens.
func (s *scanner) hyphens(text []byte, at int) {
	left := len(text) - len(bytes.TrimLeft(text, "-"))
	right := len(text) - len(bytes.TrimRight(text, "-"))
	if left < minHyphens || right < minHyphens || left == len(text) {
		return
	}
	b := &block{source: hyphens, at: at, mark: clip(string(text)), languages: dict.all}
	words := dict.intro(text)
	if !words.empty() || isMutt(text) {
		b.source = saying
		b.clients = words.where(func(w Wording) bool { return w.hyphens(left, right) })
		if b.languages = words; words.empty() {
			b.languages = dict.all
		}
	}
	s.block = b
}

// isMutt reports whether a line is that of Mutt, which names the author in it.
func isMutt(line []byte) bool {
	return bytes.HasPrefix(introWords(line), []byte("Forwarded message from "))
}

// element begins a mail at an element that is a sign of its own.
func (s *scanner) element(b *block) {
	if s.block != nil {
		s.close()
	}
	if b.source != labels || len(s.mails) == 0 {
		s.block = b
	}
}

// close ends the block, which now is a mail or nothing.
func (s *scanner) close() {
	b := s.block
	s.block = nil
	if len(s.mails) == maxMails || !s.holds(b) {
		return
	}
	s.mails = append(s.mails, Mail{At: b.at, Enclosed: policy.Enclosed{
		How:      policy.EnclosedInline,
		Client:   b.client(),
		Language: b.language(),
		Mark:     b.mark,
		From:     clip(b.from),
		Subject:  clip(b.title),
	}})
}

// holds reports whether a block is that of a mail.
func (s *scanner) holds(b *block) bool {
	others := b.count() // Labels besides that of From.
	switch b.source {
	case element:
		return true
	case saying:
		return b.from != "" && (others >= 2 || others == 1 && !b.foreign)
	case hyphens:
		return b.from != "" && others >= 2 && s.subjectPrefix() == prefixForward
	}
	complete := b.from != "" && others == 3
	if !b.element && (b.from == "" || others < 2) {
		return false
	}
	// Outlook writes the same above the mail that is answered.
	switch s.subjectPrefix() {
	case prefixForward:
		return true
	case prefixVS:
		return b.language() != "fi"
	case prefixNone:
		return b.ruled && complete
	}
	return false
}

func (s *scanner) subjectPrefix() prefix {
	if s.prefix == nil {
		p := prefixOf(s.subject())
		s.prefix = &p
	}
	return *s.prefix
}

// finish returns the mails.
func (s *scanner) finish() []Mail {
	if s.block != nil {
		s.close()
	}
	return s.mails
}

// trim removes what stands around the text of a line: white space, invisible
// characters, marks of quotation.
func trim(text []byte) []byte {
	for len(text) > 0 {
		c, size := text[0], 1
		if c > 0x7f {
			if size = len(text) - len(bytes.TrimLeftFunc(text, isBlank)); size == 0 {
				break
			}
		} else if c != ' ' && c != '\t' && c != '>' && c != '|' {
			break
		}
		text = text[size:]
	}
	for len(text) > 0 {
		c, size := text[len(text)-1], 1
		if c > 0x7f {
			if size = len(text) - len(bytes.TrimRightFunc(text, isBlank)); size == 0 {
				break
			}
		} else if c != ' ' && c != '\t' && c != '\r' {
			break
		}
		text = text[:len(text)-size]
	}
	return text
}

func isBlank(r rune) bool { return unicode.IsSpace(r) || isInvisible(r) }
