package markup

import (
	"cmp"
	"io"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/html"
)

const (
	// maxTags bounds the tags of the HTML in which Microdata is read; a mail of
	// the size at which Gmail clips has some thousands. Making a tree of tags that
	// do not fit each other takes a hundred times as long as of others.
	maxTags = 100_000
	// maxWork bounds the nodes visited and the octets of text taken while reading
	// Microdata. By itemref a short text can ask for much.
	maxWork = 4 << 20
	// maxProperties bounds the properties of one item; real ones have some dozens.
	maxProperties = 1000
)

// room is how much may still be done for the Microdata of a message.
type room struct{ tags, work int }

func newRoom() room { return room{maxTags, maxWork} }

// readMicrodata finds the items of a part (HTML Standard, section 5 "Microdata").
func (p *page) readMicrodata(r io.Reader) {
	d, err := newDocument(p, r)
	if err != nil {
		p.add(0, HTMLTooDeep, "Microdata is not read: %v", err)
		return
	}
	for _, n := range d.scopes {
		if !hasAttr(n, "itemprop") {
			p.top(d.item(n, 0), syntaxMicrodata)
		}
	}
	for _, n := range d.scopes {
		if d.items[n] != nil || d.room.work < 0 {
			continue
		}
		for _, t := range d.types(n) {
			if strings.HasSuffix(t, "Action") || t == handlerType {
				p.add(offset(n), MicrodataOrphan, "%.60s has itemprop but stands in no item", t)
			}
		}
	}
	if d.room.work < 0 {
		p.add(0, MicrodataTooLarge, "Microdata takes too much work and is not read to its end")
	}
}

// document is a tree whose items are being read.
type document struct {
	page   *page
	order  map[*html.Node]int    // Place of each element with itemprop.
	ids    map[string]*html.Node // The first element of each id.
	scopes []*html.Node          // Elements with itemscope, in order.
	items  map[*html.Node]*item  // Nil while the item is being read.
	room   *room
}

func newDocument(p *page, r io.Reader) (*document, error) {
	tree, err := html.Parse(r)
	if err != nil {
		return nil, err
	}
	d := &document{page: p, room: p.room, order: map[*html.Node]int{}, ids: map[string]*html.Node{}, items: map[*html.Node]*item{}}
	d.index(tree)
	return d, nil
}

// index goes through the tree; html.Parse bounds its depth.
func (d *document) index(n *html.Node) {
	if n.Type == html.ElementNode {
		if n.Data == "template" {
			return // Its content is no part of the document.
		}
		// Elements are visited many times, and an attribute is found by search.
		n.Attr = slices.DeleteFunc(n.Attr, func(a html.Attribute) bool { return a.Namespace != "" || !isMicrodataAttr(a.Key) })
		if id := attr(n, "id"); id != "" && d.ids[id] == nil {
			d.ids[id] = n
		}
		if hasAttr(n, "itemprop") {
			d.order[n] = len(d.order)
		}
		if hasAttr(n, "itemscope") {
			d.scopes = append(d.scopes, n)
		}
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		d.index(c)
	}
}

// item reads the item of an element, once.
func (d *document) item(n *html.Node, depth int) *item {
	if it, ok := d.items[n]; ok {
		if it == nil {
			d.page.add(offset(n), MicrodataCycle, "the item contains itself by itemref")
		}
		return it
	}
	if depth == maxNesting {
		d.page.add(offset(n), MicrodataTooDeep, "items are nested more than %d deep", maxNesting)
		return nil
	}
	d.items[n] = nil
	it := &item{id: attr(n, "itemid"), at: offset(n), reach: d.page.reach(offset(n)), last: offset(n)}
	for _, typ := range d.types(n) {
		d.page.addType(it, typ, it.at)
	}
	for _, e := range d.properties(n) {
		v := value{at: offset(e), link: e.Data == "a" || e.Data == "area"}
		if hasAttr(e, "itemscope") {
			if v.item = d.item(e, depth+1); v.item == nil {
				continue
			}
		} else {
			v.text = d.text(e)
			d.room.work -= len(v.text) // By itemref, one text can be that of many items.
			if e.Data != "meta" && hasAttr(e, "content") {
				d.page.add(v.at, MicrodataContent, "the content attribute of %s is not used; that of meta is", e.Data)
			}
		}
		it.reach, it.last = max(it.reach, d.page.reachOf(v)), max(it.last, v.at)
		if v.item != nil {
			it.last = max(it.last, v.item.last)
		}
		for name := range strings.FieldsSeq(attr(e, "itemprop")) {
			if len(it.props) == maxProperties {
				d.page.add(v.at, MicrodataTooLarge, "only the first %d properties of an item are read", maxProperties)
				break
			}
			name, _ = term(name)
			it.props = append(it.props, property{name: name, values: []value{v}, at: v.at})
		}
	}
	d.items[n] = it
	return it
}

// types returns the item types of schema.org.
func (d *document) types(n *html.Node) []string {
	var list []string
	for t := range strings.FieldsSeq(attr(n, "itemtype")) {
		name, ok := term(t)
		if ok {
			list = append(list, name)
		} else if strings.Contains(t, "schema.org") {
			d.page.add(offset(n), ContextUnknown, "itemtype %.60q is not of http://schema.org/", t)
		}
	}
	return list
}

// properties returns the elements that are properties of an item, in tree
// order: "the properties of an item" in section 5.2.5.
func (d *document) properties(root *html.Node) []*html.Node {
	var list []*html.Node
	seen := map[*html.Node]bool{root: true}
	var crawl func(n *html.Node)
	crawl = func(n *html.Node) {
		d.room.work--
		if n.Type != html.ElementNode || n.Data == "template" || seen[n] || d.room.work < 0 {
			return
		}
		seen[n] = true
		if names := attr(n, "itemprop"); strings.TrimSpace(names) != "" {
			list = append(list, n)
			d.room.work -= len(names)
		}
		if hasAttr(n, "itemscope") {
			return
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			crawl(c)
		}
	}
	for c := root.FirstChild; c != nil; c = c.NextSibling {
		crawl(c)
	}
	for id := range strings.FieldsSeq(attr(root, "itemref")) {
		if n := d.ids[id]; n != nil {
			crawl(n)
		} else {
			d.page.add(offset(root), MicrodataRef, "itemref names %.60q, which is the id of no element", id)
		}
	}
	slices.SortFunc(list, func(a, b *html.Node) int { return cmp.Compare(d.order[a], d.order[b]) })
	return list
}

// valueAttr is the attribute that holds the value of an element (section
// 5.2.4). URLs are kept as written: a mail has no base to resolve them.
var valueAttr = map[string]string{
	"meta": "content", "a": "href", "area": "href", "link": "href", "object": "data",
	"audio": "src", "embed": "src", "iframe": "src", "img": "src", "source": "src", "track": "src", "video": "src",
	"data": "value", "meter": "value",
}

// isMicrodataAttr reports whether Microdata looks at an attribute.
func isMicrodataAttr(name string) bool {
	switch name {
	case offsetAttr, "id", "itemid", "itemprop", "itemref", "itemscope", "itemtype", "content", "href", "data", "src", "value", "datetime":
		return true
	}
	return false
}

func (d *document) text(n *html.Node) string {
	if name, ok := valueAttr[n.Data]; ok {
		return attr(n, name)
	}
	if n.Data == "time" && hasAttr(n, "datetime") {
		return attr(n, "datetime")
	}
	var b strings.Builder
	d.content(n, &b)
	return b.String()
}

func (d *document) content(n *html.Node, b *strings.Builder) {
	for c := n.FirstChild; c != nil && d.room.work >= 0; c = c.NextSibling {
		d.room.work--
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		}
		d.content(c, b)
	}
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func hasAttr(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

// offset returns where the tag of an element starts, -1 if it is not known. Nor
// is it for html and body, of which all tags make one element.
func offset(n *html.Node) int {
	if n.Data == "html" || n.Data == "body" {
		return -1
	}
	if at, err := strconv.Atoi(attr(n, offsetAttr)); err == nil {
		return at
	}
	return -1
}
