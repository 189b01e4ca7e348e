package markup

import (
	"slices"
	"strings"
)

// maxPrefixes bounds the prefixes of schema.org in one @context; real ones have
// one. Each name is compared with all of them.
const maxPrefixes = 20

// context is what an @context says, as far as it is about schema.org. Remote
// contexts are not read.
type context struct {
	vocab    bool     // Names without prefix are of schema.org.
	prefixes []string // Prefixes of schema.org, with their colon.
	known    bool     // There is a context, and schema.org in it.
}

// isSchemaOrg reports whether s is one of the spellings of schema.org as a
// context (gmail-actions.md 1.7).
func isSchemaOrg(s string) bool {
	switch s {
	case "http://schema.org", "http://schema.org/", "https://schema.org", "https://schema.org/":
		return true
	}
	return false
}

// extend adds what an @context says.
func (p *page) extend(c *context, n *node) {
	switch n.kind {
	case 's':
		if isSchemaOrg(n.text) {
			c.vocab, c.known = true, true
			p.prefix(c, "schema", n.at) // The context that schema.org publishes has its own name as prefix.
		}
	case '[':
		for _, e := range n.elements {
			p.extend(c, e)
		}
	case '{':
		for _, m := range n.members {
			if m.value.kind != 's' || !isSchemaOrg(m.value.text) {
				continue
			}
			c.known = true
			if m.name == "@vocab" {
				c.vocab = true
			} else {
				p.prefix(c, m.name, m.at)
			}
		}
	}
}

func (p *page) prefix(c *context, name string, at int) {
	switch prefix := name + ":"; {
	case slices.Contains(c.prefixes, prefix):
	case len(c.prefixes) == maxPrefixes:
		p.add(at, ContextTooLarge, "only the first %d prefixes of schema.org count", maxPrefixes)
	default:
		c.prefixes = append(c.prefixes, prefix)
	}
}

// term returns a name of the block without prefix and vocabulary; false if it
// is not of schema.org.
func (c context) term(s string) (string, bool) {
	if t, ok := term(s); ok {
		return t, true
	}
	for _, prefix := range c.prefixes {
		if t, ok := strings.CutPrefix(s, prefix); ok {
			return t, true
		}
	}
	return s, c.vocab && !strings.Contains(s, ":")
}

// jsonLD reads one block, at an offset.
func (p *page) jsonLD(block []byte, at int) {
	p.scriptTo = at + len(block)
	if n := p.parseJSON(block, at); n != nil {
		p.topNode(n, context{})
	}
}

// topNode reads a value of the top level, of an array there, or of an @graph.
func (p *page) topNode(n *node, c context) {
	switch n.kind {
	case '[':
		for _, e := range n.elements {
			p.topNode(e, c)
		}
		return
	case '{':
	default:
		p.add(n.at, JSONNoObject, "JSON-LD consists of objects, not of other values")
		return
	}
	c, ok := p.context(n, c)
	if !ok {
		return
	}
	if !c.known {
		p.add(n.at, ContextMissing, `the object has no "@context"`)
		return
	}
	if graph := n.get("@graph"); graph != nil && !p.options.NoGraph {
		p.topNode(graph, c)
		if n.get("@type") == nil {
			return
		}
	}
	p.top(p.item(n, c), syntaxJSONLD)
}

// context returns the context inside an object. It is false if the object
// states one that is unknown.
func (p *page) context(n *node, c context) (context, bool) {
	stated := n.get("@context")
	if stated == nil {
		return c, true
	}
	c = context{}
	p.extend(&c, stated)
	if !c.known {
		p.add(stated.at, ContextUnknown, `the "@context" is not http://schema.org or https://schema.org`)
	}
	return c, c.known
}

// item reads an object whose context has been read.
func (p *page) item(n *node, c context) *item {
	it := &item{at: n.at, reach: p.reach(n.at), last: p.scriptTo} // As far as the script, which stands in one place.
	for _, m := range n.members {
		switch m.name {
		case "@context", "@graph":
		case "@id":
			it.id = m.value.text
		case "@type":
			types := []*node{m.value}
			if m.value.kind == '[' {
				types = m.value.elements
			}
			for _, t := range types {
				if typ, ok := c.term(t.text); ok && t.kind == 's' {
					p.addType(it, typ, t.at)
				}
			}
		default:
			name, ok := c.term(m.name)
			if !ok && !strings.HasPrefix(name, "@") && !strings.Contains(name, ":") {
				p.add(m.at, PropertyUnknown, `%.60q has no meaning in this "@context"`, name)
				continue
			}
			it.props = append(it.props, property{name: name, values: p.values(nil, m.value, c), at: m.at})
		}
	}
	return it
}

// values appends the values of a property to a list.
func (p *page) values(list []value, n *node, c context) []value {
	switch n.kind {
	case 's', 'v':
		return append(list, value{text: n.text, at: n.at})
	case '[':
		for _, e := range n.elements {
			list = p.values(list, e, c)
		}
	case '{':
		c, ok := p.context(n, c)
		if !ok {
			return list
		}
		for _, wrapper := range []string{"@value", "@list", "@set"} {
			if inner := n.get(wrapper); inner != nil {
				return p.values(list, inner, c)
			}
		}
		return append(list, value{item: p.item(n, c), at: n.at})
	}
	return list
}
