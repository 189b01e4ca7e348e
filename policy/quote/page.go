package quote

import (
	"bytes"
	"html"
)

// maxLine bounds what is read of a line of HTML, in octets.
const maxLine = 4 << 10

// hints are words of which one stands in any HTML that [Page] finds something
// in: the hyphens of introducing lines, the quotation of Apple Mail, the element
// of Outlook, the class of its paragraphs. Rare first letters are found fast.
var hints = [...][]byte{[]byte("---"), []byte("RplyFwdMsg"), []byte("MsoNormal"), []byte("cite")}

// MayHold reports whether HTML may hold a mail. It is much faster than a [Page].
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
type Page struct {
	scanner scanner
	text    []byte // The line so far, white space collapsed.
	at      int    // Where it starts.
	hidden  bool   // The next text is not shown.
	pre     int    // Elements open in which line ends count.
	unseen  int    // Template elements open.
}

// NewPage returns a reader of one text/html part. Subject is as for [Text].
func NewPage(subject func() string) *Page { return &Page{scanner: scanner{subject: subject}} }

// Text reads a text token as written, at an offset.
func (p *Page) Text(raw []byte, at int) {
	if p.hidden || p.unseen > 0 {
		return
	}
	for len(raw) > 0 {
		n := len(raw)
		if i := bytes.IndexByte(raw, '\n'); i >= 0 && p.pre > 0 {
			n = i + 1
		}
		p.add(raw[:n], at)
		if n > 0 && raw[n-1] == '\n' && p.pre > 0 {
			p.breakLine()
		}
		raw, at = raw[n:], at+n
	}
}

// add adds text to the line.
func (p *Page) add(raw []byte, at int) {
	raw = raw[:min(len(raw), maxLine)]
	text := raw
	if bytes.IndexByte(raw, '&') >= 0 {
		text = []byte(html.UnescapeString(string(raw)))
	}
	if len(p.text) == 0 {
		p.at = at + len(raw) - len(bytes.TrimLeft(raw, " \t\r\n\f"))
	}
	for _, c := range text {
		switch {
		case len(p.text) == maxLine:
			return
		case c != ' ' && c != '\t' && c != '\r' && c != '\n' && c != '\f':
			p.text = append(p.text, c)
		case len(p.text) > 0 && p.text[len(p.text)-1] != ' ':
			p.text = append(p.text, ' ')
		}
	}
}

// StartTag reads a start tag, as written, at an offset.
func (p *Page) StartTag(name string, raw []byte, at int) {
	p.hidden = false
	switch name {
	case "script", "style", "title", "textarea", "noscript", "noframes", "iframe", "xmp":
		p.hidden = true
	case "template":
		p.unseen++
	case "br":
		p.breakLine()
	case "pre":
		p.pre++
	case "td", "th":
		p.add([]byte(" "), at)
	}
	if isBlock(name) {
		p.flush()
	}
	if p.unseen > 0 || name != "div" {
		return
	}
	switch {
	case bytes.Contains(raw, []byte("moz-forward-container")):
		p.scanner.element(&block{source: element, at: at, mark: "moz-forward-container", clients: dict.of[Thunderbird], languages: dict.of[Thunderbird]})
	case bytes.Contains(raw, []byte("divRplyFwdMsg")):
		p.scanner.element(&block{source: labels, at: at, mark: "divRplyFwdMsg", ruled: true, element: true, clients: dict.of[Outlook], languages: dict.of[Outlook]})
	}
}

// EndTag reads an end tag.
func (p *Page) EndTag(name string) {
	p.hidden = false
	switch name {
	case "template":
		p.unseen = max(0, p.unseen-1)
	case "pre":
		p.pre = max(0, p.pre-1)
	}
	if isBlock(name) {
		p.flush()
	}
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

// breakLine ends the line, which may be empty.
func (p *Page) breakLine() {
	p.scanner.line(p.text, p.at)
	p.text = p.text[:0]
}

// flush ends the line if there is one.
func (p *Page) flush() {
	if len(p.text) > 0 {
		p.breakLine()
	}
}

// Mails returns what was found, in order. It ends the page.
func (p *Page) Mails() []Mail {
	p.flush()
	return p.scanner.finish()
}
