package quote

import (
	"bytes"
	"html"
)

const (
	// maxLine bounds what is read of a line of HTML, in octets.
	maxLine = 4 << 10
	// maxRun bounds the texts of a line that are kept before they are read.
	maxRun = 64
)

// hints are words of which one stands in most HTML that [Page] finds something
// in: the hyphens of introducing lines, the quotation of Apple Mail, the element
// of Outlook, the class of its paragraphs. Rare first letters are found fast.
var hints = [...][]byte{[]byte("---"), []byte("RplyFwdMsg"), []byte("MsoNormal"), []byte("cite")}

// MayHold reports whether HTML looks as if it held a mail. It is much faster than
// a [Page] and misses some: it is for HTML of messages without actions, in which
// little depends on that.
func MayHold(html []byte) bool {
	for _, h := range hints {
		if bytes.Contains(html, h) {
			return true
		}
	}
	return false
}

// Page finds mails in the visible lines of HTML, and by the elements that
// clients put around them. It is fed the tokens in order.
//
// Style sheets can make a line end anywhere, and are not read. So the text is
// read twice: once with the lines that it has without them, and once with a line
// at each line end of the source and at each tag, except those of phrases. A mail
// that is found in one of the two is found. Text counts that is hidden by styles,
// or shown only where no scripts run or an element is not known: in what it is
// read is not known either.
type Page struct {
	plain, apart reading
	run          []segment // Of the current line; the readings have not read it yet.
	cut          bool      // The next segment stands apart.
	hidden       bool      // The next text is not shown.
	foreign      bool      // There were SVG or MathML, in which no element has raw text.
}

// segment is text as written, at an offset.
type segment struct {
	text []byte
	at   int
	cut  bool // A tag stands before it.
}

// NewPage returns a reader of one text/html part. Subject is as for [Text].
func NewPage(subject func() string) *Page {
	return &Page{plain: reading{scanner: scanner{subject: subject}}, apart: reading{scanner: scanner{subject: subject}}}
}

// Text reads a text token as written, at an offset. The text must stay as it is
// until [Page.Mails].
func (p *Page) Text(raw []byte, at int) {
	if p.hidden || len(p.run) == 0 && len(p.plain.text) == 0 && len(trimHTML(raw)) == 0 {
		return
	}
	if len(p.run) == maxRun {
		p.settle()
	}
	p.run = append(p.run, segment{raw, at, p.cut})
	p.cut = false
}

// StartTag reads a start tag, as written, at an offset. It is true if the
// tokenizer takes for raw text what follows, and some readers see HTML: then the
// tokens of that text are to be read instead of it, and none of them as raw text.
func (p *Page) StartTag(name string, tag []byte, at int) (inner bool) {
	p.hidden = false
	switch name {
	case "script", "style", "title":
		p.hidden, inner = !p.foreign, p.foreign
	case "noscript", "noframes", "noembed", "iframe", "textarea", "xmp", "plaintext":
		inner = true
	case "svg", "math":
		p.foreign = true
	case "td", "th":
		p.Text([]byte(" "), at)
	}
	switch {
	case name == "br":
		p.endLine(true)
	case isBlock(name):
		p.endLine(false)
	case !isPhrase(name) || name != "a" && len(tag) > len("<>")+len(name):
		p.cut = true
	}
	if name != "div" {
		return inner
	}
	switch {
	case bytes.Contains(tag, []byte("moz-forward-container")):
		p.element(block{source: element, at: at, mark: "moz-forward-container", clients: dict.of[Thunderbird], languages: dict.of[Thunderbird]})
	case bytes.Contains(tag, []byte("divRplyFwdMsg")):
		p.element(block{source: labels, at: at, mark: "divRplyFwdMsg", ruled: true, element: true, clients: dict.of[Outlook], languages: dict.of[Outlook]})
	}
	return inner
}

// EndTag reads an end tag.
func (p *Page) EndTag(name string) {
	p.hidden = false
	if isBlock(name) {
		p.endLine(false)
	} else if !isPhrase(name) {
		p.cut = true
	}
}

// element begins a mail at an element that is a sign of its own.
func (p *Page) element(b block) {
	other := b
	p.plain.scanner.element(&b)
	p.apart.scanner.element(&other)
}

// isBlock reports whether an element begins and ends a line.
func isBlock(name string) bool {
	switch name {
	case "address", "article", "blockquote", "body", "center", "dd", "div", "dl", "dt", "fieldset", "figure", "footer", "form",
		"h1", "h2", "h3", "h4", "h5", "h6", "head", "header", "hr", "html", "li", "main", "nav", "ol", "p", "pre", "section",
		"table", "tbody", "thead", "tr", "ul":
		return true
	}
	return false
}

// isPhrase reports whether an element without attributes is part of a line.
func isPhrase(name string) bool {
	switch name {
	case "a", "b", "big", "code", "em", "font", "i", "small", "strong", "sub", "sup", "tt", "u", "wbr":
		return true
	}
	return false
}

// endLine ends the line. One that is empty counts if it is a br that ends it.
func (p *Page) endLine(br bool) {
	p.cut = false
	switch {
	case len(p.run) == 0 && len(p.plain.text) == 0:
	case p.dull():
		p.plain.scanner.ruled, p.apart.scanner.ruled = false, false
		p.run = p.run[:0]
		return
	default:
		p.settle()
		p.apart.end()
		if p.plain.end() {
			return
		}
	}
	if br {
		p.plain.scanner.line(nil, 0)
	}
}

// dull reports whether neither reading of the line can find anything in it. Most
// lines are dull, and need not be read.
func (p *Page) dull() bool {
	if p.plain.scanner.block != nil || p.apart.scanner.block != nil || len(p.plain.text) > 0 {
		return false
	}
	var last byte // Of the line so far; 0 at its beginning.
	for _, s := range p.run {
		if bytes.IndexByte(s.text, '&') >= 0 {
			return false
		}
		cut := s.cut
		for line := range lines(s.text) {
			if cut && isColon(last) {
				return false
			}
			if cut {
				last = 0
			}
			cut = true
			if line = trimHTML(line); len(line) == 0 {
				continue
			}
			if last == 0 && dict.first[line[0]] {
				return false
			}
			last = line[len(line)-1]
		}
	}
	return !isColon(last)
}

// isColon reports whether a line with that octet at its end may end in a colon.
func isColon(c byte) bool { return c == ':' || c >= 0x80 }

// settle lets both readings read what there is of the line.
func (p *Page) settle() {
	for _, s := range p.run {
		p.plain.add(s.text, s.at)
		cut := s.cut
		for line, at := range lines(s.text) {
			if cut {
				p.apart.end()
			}
			p.apart.add(line, s.at+at)
			cut = true
		}
	}
	p.run = p.run[:0]
}

// Mails returns what was found, in order. It ends the page.
func (p *Page) Mails() []Mail {
	p.endLine(false)
	mails, more := p.plain.scanner.finish(), p.apart.scanner.finish()
	if len(mails) == 0 {
		return more
	}
	// The first decides. What stands below it was found by its lines.
	n := 0
	for n < len(more) && more[n].At < mails[0].At {
		n++
	}
	if n == 0 {
		return mails
	}
	mails = append(more[:n:n], mails...)
	return mails[:min(len(mails), maxMails)]
}

// reading is one way to see lines in HTML.
type reading struct {
	scanner scanner
	text    []byte // The line so far, white space collapsed.
	at      int    // Where it starts.
}

// add adds text to the line.
func (r *reading) add(raw []byte, at int) {
	if len(r.text) == maxLine {
		return
	}
	text := raw
	if bytes.IndexByte(raw, '&') >= 0 {
		text = []byte(html.UnescapeString(string(raw)))
	}
	if len(r.text) == 0 {
		r.at = at + len(raw) - len(bytes.TrimLeft(raw, " \t\r\n\f"))
	}
	for _, c := range text {
		switch {
		case len(r.text) == maxLine:
			return
		case !isSpace(c):
			r.text = append(r.text, c)
		case len(r.text) > 0 && r.text[len(r.text)-1] != ' ':
			r.text = append(r.text, ' ')
		}
	}
}

// end ends the line, and reports whether there was one.
func (r *reading) end() bool {
	if len(r.text) == 0 {
		return false
	}
	r.scanner.line(r.text, r.at)
	r.text = r.text[:0]
	return true
}

// isSpace reports whether HTML collapses a character with others.
func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' }

// trimHTML removes white space from both ends.
func trimHTML(text []byte) []byte {
	for len(text) > 0 && isSpace(text[0]) {
		text = text[1:]
	}
	for len(text) > 0 && isSpace(text[len(text)-1]) {
		text = text[:len(text)-1]
	}
	return text
}
