package markup

import (
	"bytes"
	"strconv"
	"strings"

	"golang.org/x/net/html"
)

// offsetAttr carries the offset of a tag into the tree, which keeps none. It
// comes first in its tag, and the first of two attributes of one name counts.
const offsetAttr = "data-doppelbox-at"

// read finds the scripts with the tokeniser, which knows where it is, and
// Microdata in the tree, which is made only if there is any.
func (p *page) read(microdata bool) {
	var annotated bytes.Buffer
	z := html.NewTokenizer(bytes.NewReader(p.html))
	script := false
	tags, templates := 0, 0 // All tags; template elements that are open.
	for at := 0; ; {
		kind := z.Next()
		if kind == html.ErrorToken {
			break
		}
		raw := z.Raw()
		text := p.html[at : at+len(raw)]
		switch kind {
		case html.TextToken:
			if script {
				p.jsonLD(text, at)
			}
			script = false
			if p.quotes != nil {
				p.quotes.Text(text, at)
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			tags++
			name, _ := z.TagName()
			tag := string(name)
			if tag == "template" {
				templates++
			}
			if p.quotes != nil {
				p.quotes.StartTag(tag, text, at)
			}
			script = tag == "script" && isJSONLD(z)
			if templates > 0 && (script || hasScope(z)) {
				p.add(at, InTemplate, "markup in a template element is not used: its content is no part of the document")
				script = false
			}
			if microdata && containsFold(text, "item") {
				text = annotate(&annotated, text, at)
			}
		case html.EndTagToken:
			tags++
			script = false
			name, _ := z.TagName()
			if string(name) == "template" {
				templates = max(0, templates-1)
			}
			if p.quotes != nil {
				p.quotes.EndTag(string(name))
			}
		default:
			script = false
		}
		if microdata {
			annotated.Write(text)
		}
		at += len(raw)
	}
	if !microdata {
		return
	}
	if p.room.tags -= tags; p.room.tags < 0 {
		p.add(0, HTMLTooLarge, "Microdata is not read: the HTML that has it has more than %d tags", maxTags)
		return
	}
	p.microdata(&annotated)
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
