package markup

import (
	"bytes"
	"strconv"
	"strings"

	"golang.org/x/net/html"

	"github.com/doppelbox/doppelbox/policy/quote"
)

// offsetAttr carries the offset of a tag into the tree, which keeps none. It
// comes first in its tag, and the first of two attributes of one name counts; but
// the tree may have tags that the tokeniser takes for text. A rare letter first is
// found fast.
const offsetAttr = "x-doppelbox-at"

// read finds the scripts with the tokeniser, which knows where it is, and
// Microdata in the tree, which is made only if there is any.
func (p *page) read() {
	r := reader{page: p, z: html.NewTokenizer(bytes.NewReader(p.html))}
	for kind := r.z.Next(); kind != html.ErrorToken; kind = r.z.Next() {
		size := len(r.z.Raw())
		token := p.html[r.at : r.at+size]
		switch kind {
		case html.TextToken:
			r.text(token)
		case html.StartTagToken, html.SelfClosingTagToken:
			token = r.startTag(token)
		case html.EndTagToken:
			r.endTag()
		default:
			r.script = false
		}
		if p.microdata {
			r.annotated.Write(token)
		}
		r.at += size
	}
	if !p.microdata {
		return
	}
	if p.room.tags -= r.tags; p.room.tags < 0 {
		p.add(0, HTMLTooLarge, "Microdata is not read: the HTML that has it has more than %d tags", maxTags)
		return
	}
	p.readMicrodata(&r.annotated)
}

// reader goes through the tokens of a page.
type reader struct {
	page *page
	z    *html.Tokenizer
	at   int
	// annotated is the page with the offsets of the tags of Microdata.
	annotated bytes.Buffer
	script    bool // The next text is JSON-LD,
	raw       bool // is nothing that begins the body,
	inner     bool // is raw text that may be shown as HTML.
	tags      int
	templates int // Template elements that are open.
}

func (r *reader) text(text []byte) {
	p := r.page
	if r.script {
		p.jsonLD(text, r.at)
	}
	if p.body < 0 && !r.raw && r.templates == 0 && len(bytes.Trim(text, " \t\r\n\f\uFEFF")) > 0 {
		p.body = r.at
	}
	switch {
	case p.quotes == nil:
	case r.inner:
		feed(p.quotes, text, r.at, true)
	default:
		p.quotes.Text(text, r.at)
	}
	r.script = false
}

// startTag reads a start tag, and returns it without what is annotated already.
func (r *reader) startTag(tag []byte) []byte {
	p := r.page
	r.tags++
	raw, _ := r.z.TagName()
	name := string(raw)
	if name == "template" {
		r.templates++
	}
	if p.body < 0 && r.templates == 0 && !r.inHead(name) {
		p.body = r.at
	}
	if p.quotes != nil {
		r.inner = p.quotes.StartTag(name, tag, r.at)
	}
	r.script = name == "script" && isJSONLD(r.z)
	if r.templates > 0 && (r.script || hasScope(r.z)) {
		p.add(r.at, InTemplate, "markup in a template element is not used: its content is no part of the document")
		r.script = false
	}
	if p.microdata && containsFold(tag, "item") {
		return annotate(&r.annotated, tag, r.at)
	}
	return tag
}

func (r *reader) endTag() {
	r.tags++
	r.script, r.raw, r.inner = false, false, false
	name, _ := r.z.TagName()
	if string(name) == "template" {
		r.templates = max(0, r.templates-1)
	}
	if r.page.quotes != nil {
		r.page.quotes.EndTag(string(name))
	}
}

// inHead reports whether an element may stand before the body: no other ends the
// head, and neither does the end of the head itself (HTML Standard, section
// 13.2.6.4 "The rules for parsing tokens in HTML content").
func (r *reader) inHead(name string) bool {
	r.raw = false
	switch name {
	case "html", "head", "base", "basefont", "bgsound", "link", "meta":
		return true
	case "noframes", "noscript", "script", "style", "template", "title":
		r.raw = true
		return true
	}
	return false
}

// feed feeds the tokens of a text at an offset to a page of quotes. Inner is true
// for what another tokeniser takes for raw text: in it, none is.
func feed(q *quote.Page, text []byte, at int, inner bool) {
	z := html.NewTokenizer(bytes.NewReader(text))
	again := false
	for kind := z.Next(); kind != html.ErrorToken; kind = z.Next() {
		size := len(z.Raw())
		token := text[:size]
		switch kind {
		case html.TextToken:
			if again {
				feed(q, token, at, true)
			} else {
				q.Text(token, at)
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			name, _ := z.TagName()
			again = q.StartTag(string(name), token, at) && !inner
			if inner {
				z.NextIsNotRawText()
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			q.EndTag(string(name))
			again = false
		}
		text, at = text[size:], at+size
	}
}

// annotate writes the beginning of a start tag with its offset, and returns the
// rest of the tag.
func annotate(b *bytes.Buffer, tag []byte, at int) []byte {
	end := bytes.IndexAny(tag, " \t\r\n\f/>") // The tokeniser's name may be longer: NUL is converted in it.
	b.Write(tag[:end])
	b.WriteString(" " + offsetAttr + `="` + strconv.Itoa(at) + `" `)
	return tag[end:]
}

// isJSONLD reports whether the current start tag has the type of JSON-LD.
// Parameters such as profile are allowed.
func isJSONLD(z *html.Tokenizer) bool {
	value, _ := tagAttr(z, "type")
	typ, _, _ := strings.Cut(value, ";")
	return strings.EqualFold(strings.TrimSpace(typ), "application/ld+json")
}

// hasScope reports whether the current start tag makes a Microdata item.
func hasScope(z *html.Tokenizer) bool {
	_, ok := tagAttr(z, "itemscope")
	return ok
}

// tagAttr reads the attributes of the current start tag up to the one of that
// name.
func tagAttr(z *html.Tokenizer, name string) (value string, ok bool) {
	for {
		key, value, more := z.TagAttr()
		if string(key) == name {
			return string(value), true
		}
		if !more {
			return "", false
		}
	}
}
