package forwarding

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// maxHTML is the largest HTML that is quoted, in octets: what policy/markup
// reads of one.
const maxHTML = 4 << 20

var errHTMLTooLarge = errors.New("the original has more than 4 MB of HTML")

// itemAttributes are those of Microdata.
var itemAttributes = []string{"itemid", "itemprop", "itemref", "itemscope", "itemtype"}

// parseHTML parses a document as a client does that shows it.
func parseHTML(text string) (*html.Node, error) {
	if len(text) > maxHTML {
		return nil, errHTMLTooLarge
	}
	doc, err := html.ParseWithOptions(strings.NewReader(text), html.ParseOptionEnableScripting(false))
	if err != nil {
		return nil, fmt.Errorf("parsing the original's HTML: %w", err)
	}
	return doc, nil
}

// quoteHTML returns a document as it can stand inside another one: the content
// of its head that matters, and its body as a div. It is written
// from a tree, so that its tags are closed; only a script that leaves a comment
// open can reach beyond the quote, behind which nothing follows.
func quoteHTML(text string, how Markup) (string, error) {
	doc, err := parseHTML(text)
	if err != nil {
		return "", err
	}
	for _, n := range slices.Collect(doc.Descendants()) {
		tame(n, how)
	}
	quote := &html.Node{Type: html.ElementNode, Data: "div", DataAtom: atom.Div}
	for n := range doc.ChildNodes() {
		if n.Type == html.ElementNode {
			quote.Attr = n.Attr
			collect(quote, n)
		}
	}
	var b strings.Builder
	if err := html.Render(&b, quote); err != nil {
		return "", fmt.Errorf("quoting the original's HTML: %w", err)
	}
	return b.String(), nil
}

// collect moves the content of html into the quote.
func collect(quote, root *html.Node) {
	for n := range root.ChildNodes() {
		switch n.DataAtom {
		case atom.Head:
			for _, c := range slices.Collect(n.ChildNodes()) {
				if isKept(c) {
					n.RemoveChild(c)
					quote.AppendChild(c)
				}
			}
		case atom.Body:
			body := &html.Node{Type: html.ElementNode, Data: "div", DataAtom: atom.Div, Attr: n.Attr}
			for _, c := range slices.Collect(n.ChildNodes()) {
				n.RemoveChild(c)
				body.AppendChild(c)
			}
			quote.AppendChild(body)
		}
	}
}

// isKept reports whether something of the head goes along: scripts, styles, and
// what is Microdata.
func isKept(n *html.Node) bool {
	switch n.DataAtom {
	case atom.Script, atom.Style:
		return true
	case atom.Meta, atom.Link:
		return slices.ContainsFunc(n.Attr, isItem)
	}
	return false
}

func isItem(a html.Attribute) bool { return slices.Contains(itemAttributes, a.Key) }

// tame makes an element fit for a quote, and takes scripts and Microdata out of
// it if they are to be stripped.
func tame(n *html.Node, how Markup) {
	switch n.DataAtom {
	case atom.Noscript, atom.Plaintext:
		// Their text would be written without escapes, and of the latter no end.
		n.Data, n.DataAtom = "div", atom.Div
	}
	if how != Strip {
		return
	}
	if n.DataAtom == atom.Script {
		n.Parent.RemoveChild(n)
	}
	n.Attr = slices.DeleteFunc(n.Attr, isItem)
}

// textOf returns what a document says, as clients do that write a text beside it.
func textOf(text string) (string, error) {
	doc, err := parseHTML(text)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	spell(&b, doc, false)
	var lines []string
	for line := range strings.SplitSeq(b.String(), "\n") {
		line = strings.TrimSpace(line)
		if line != "" || len(lines) > 0 && lines[len(lines)-1] != "" {
			lines = append(lines, line)
		}
	}
	return strings.TrimSpace(strings.Join(lines, "\n")), nil
}

// spell writes the visible text below a node.
func spell(b *strings.Builder, n *html.Node, pre bool) {
	if n.Type == html.TextNode {
		if pre {
			b.WriteString(n.Data)
			return
		}
		words := strings.Join(strings.Fields(n.Data), " ")
		if strings.TrimLeft(n.Data, " \t\n") != n.Data {
			words = " " + words
		}
		if words != " " && strings.TrimRight(n.Data, " \t\n") != n.Data {
			words += " "
		}
		b.WriteString(words)
		return
	}
	block := false
	switch n.DataAtom {
	case atom.Head, atom.Script, atom.Style, atom.Template, atom.Title:
		return
	case atom.Br:
		b.WriteByte('\n')
	case atom.Pre:
		pre, block = true, true
	case atom.P, atom.Div, atom.Tr, atom.Li, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6,
		atom.Table, atom.Ul, atom.Ol, atom.Blockquote, atom.Hr, atom.Section, atom.Article, atom.Header, atom.Footer:
		block = true
	}
	if block {
		b.WriteByte('\n')
	}
	for c := range n.ChildNodes() {
		spell(b, c, pre)
	}
	if block {
		b.WriteByte('\n')
	}
}

// htmlOf returns text as HTML with its lines.
func htmlOf(text string) string {
	return strings.ReplaceAll(html.EscapeString(text), "\n", "<br>\n")
}
