package markup

import (
	"slices"
	"strings"
)

// item is an object of either syntax.
type item struct {
	types []string // Of schema.org, without vocabulary.
	id    string
	props []property // In order. Microdata repeats names.
	at    int        // Offset in the part; below zero is unknown.
	reach int        // How far down it reaches, with all that belongs to it.
	last  int        // How far its part has to be read for all of it.
}

type property struct {
	name   string // Without vocabulary, if it is of schema.org.
	values []value
	at     int
}

// value is an item, or a text.
type value struct {
	item *item
	text string
	at   int
	link bool // It is the address of a visible link.
}

// reachOf returns how far down a value reaches.
func (p *page) reachOf(v value) int {
	if v.item != nil {
		return max(p.reach(v.at), v.item.reach)
	}
	return p.reach(v.at)
}

// string returns a text, or the id of an item: {"@id": ...} is how JSON-LD
// writes a URL in full.
func (v value) string() string {
	if v.item != nil {
		return strings.TrimSpace(v.item.id)
	}
	return strings.TrimSpace(v.text)
}

// typ returns the first type, "" if there is none.
func (it *item) typ() string {
	if len(it.types) == 0 {
		return ""
	}
	return it.types[0]
}

// actionType returns the type that makes an item an action, "" if none does.
func (it *item) actionType() string {
	for _, t := range it.types {
		if strings.HasSuffix(t, "Action") {
			return t
		}
	}
	return ""
}

// addType adds a type of schema.org.
func (p *page) addType(it *item, typ string, at int) {
	if len(it.types) == maxTypes {
		p.add(at, TooManyTypes, "only the first %d types of an item count", maxTypes)
		return
	}
	it.types = append(it.types, typ)
}

func (it *item) is(typ string) bool { return slices.Contains(it.types, typ) }

// values returns all values of a property.
func (it *item) values(name string) []value {
	var list []value
	for _, p := range it.props {
		if p.name == name {
			list = append(list, p.values...)
		}
	}
	return list
}

// text returns the first text of a property.
func (it *item) text(name string) string {
	for _, v := range it.values(name) {
		if s := v.string(); s != "" {
			return s
		}
	}
	return ""
}

// term returns a name of schema.org without the vocabulary.
func term(s string) (string, bool) {
	for _, prefix := range []string{"http://schema.org/", "https://schema.org/"} {
		if rest, ok := strings.CutPrefix(s, prefix); ok {
			return rest, true
		}
	}
	return s, false
}
