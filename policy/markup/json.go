package markup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxBlock is the longest JSON-LD block that is read, more than twice the 102 KB
// of HTML that Gmail shows before it clips (gmail-actions.md 1.7).
const maxBlock = 256 << 10

// node is a JSON value with its place. Objects keep the order of their members.
type node struct {
	kind     byte // '{', '[', 's' for a string, 'v' for a number or boolean, 0 for null.
	text     string
	members  []member
	elements []*node
	at       int // Offset in the part.
}

// member is one member of an object.
type member struct {
	name  string
	value *node
	at    int // Of the name.
}

// get returns the value of a member, nil if there is none.
func (n *node) get(name string) *node {
	for _, m := range n.members {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// parseJSON reads the block at an offset. It returns nil if it cannot be read,
// which has exactly one problem.
func (p *page) parseJSON(block []byte, at int) *node {
	if len(block) > maxBlock {
		p.add(at, JSONTooLarge, "the JSON-LD block has %d octets; blocks with more than %d are not read", len(block), maxBlock)
		return nil
	}
	if i, err := checkJSON(block); err != nil {
		plain := block
		if p.options.Lenient {
			plain = withoutComments(block)
		}
		if _, still := checkJSON(plain); still != nil {
			p.add(at+i, JSONSyntax, "the JSON-LD block is not JSON: %s", explain(block, i, err))
			return nil
		}
		p.add(at+i, JSONLenient, "the JSON-LD block is not JSON, and is read all the same, as a dial says: %s", explain(block, i, err))
		block = plain
	}
	r := jsonReader{page: p, block: block, at: at}
	n := r.value(0)
	if r.deepAt > 0 {
		p.add(r.deepAt, JSONTooDeep, "the JSON-LD block is nested more than %d deep and is not read", maxNesting)
		return nil
	}
	return n
}

// checkJSON says whether a block is JSON, and where it is not.
func checkJSON(block []byte) (at int, err error) {
	// Its errors count octets exactly; those of a Decoder's tokens do not.
	var raw json.RawMessage
	if err = json.Unmarshal(block, &raw); err == nil {
		return 0, nil
	}
	at = len(block)
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) && syntax.Offset > 0 {
		at = int(syntax.Offset) - 1
	}
	if strings.Contains(err.Error(), "end of JSON") {
		at = len(block)
	}
	return at, err
}

// jsonReader reads a block that is valid JSON. A json.Decoder would do, but
// tokens cost it more than all else that is done with a block.
type jsonReader struct {
	page   *page
	block  []byte
	pos    int
	at     int // Offset of the block.
	deepAt int // Offset of what is nested too deep, 0 if nothing is.
}

// next returns the octet with which the next value, name or closing bracket
// begins.
func (r *jsonReader) next() byte {
	for strings.IndexByte(" \t\r\n,:", r.block[r.pos]) >= 0 {
		r.pos++
	}
	return r.block[r.pos]
}

func (r *jsonReader) value(depth int) *node {
	c := r.next()
	n := &node{at: r.at + r.pos}
	switch c {
	case '"':
		n.kind, n.text = 's', r.string()
	case '{', '[':
		n.kind = c
		if depth > maxNesting && r.deepAt == 0 {
			r.deepAt = n.at
		}
		r.members(n, depth+1)
	case 'n':
		r.word()
	default:
		n.kind, n.text = 'v', r.word()
	}
	return n
}

// word reads a number or a name such as true.
func (r *jsonReader) word() string {
	start := r.pos
	for r.pos < len(r.block) && strings.IndexByte(" \t\r\n,:]}", r.block[r.pos]) < 0 {
		r.pos++
	}
	return string(r.block[start:r.pos])
}

func (r *jsonReader) string() string {
	start, escaped := r.pos, false
	for r.pos++; r.block[r.pos] != '"'; r.pos++ {
		if r.block[r.pos] == '\\' {
			escaped = true
			r.pos++
		}
	}
	r.pos++
	quoted := r.block[start:r.pos]
	if !escaped && utf8.Valid(quoted) {
		return string(quoted[1 : len(quoted)-1])
	}
	var text string
	if err := json.Unmarshal(quoted, &text); err != nil {
		panic("reading JSON that was validated: " + err.Error())
	}
	return text
}

// members reads an object or array with its brackets. Of members of one name
// the last counts, as in the parsers that mail programs have (ECMA-262,
// JSON.parse).
func (r *jsonReader) members(n *node, depth int) {
	index := map[string]int{}
	for r.pos++; r.next() != ']' && r.block[r.pos] != '}'; {
		if n.kind == '[' {
			n.elements = append(n.elements, r.value(depth))
			continue
		}
		m := member{at: r.at + r.pos}
		m.name = r.string()
		m.value = r.value(depth)
		if i, ok := index[m.name]; ok {
			r.page.add(m.at, JSONDuplicateKey, "%.60q stands twice in one object; the last counts", m.name)
			n.members[i] = m
			continue
		}
		index[m.name] = len(n.members)
		n.members = append(n.members, m)
	}
	r.pos++
}

// explain says what is wrong at an offset, for people who paste markup.
func explain(block []byte, i int, err error) string {
	if i >= len(block) {
		if len(bytes.TrimSpace(block)) == 0 {
			return "it is empty"
		}
		return "it ends in the middle; a closing bracket or quotation mark is missing"
	}
	rest := block[i:]
	var before byte
	if b := bytes.TrimRight(block[:i], " \t\r\n"); len(b) > 0 {
		before = b[len(b)-1]
	}
	c, _ := utf8.DecodeRune(rest)
	switch {
	case before == ',' && (c == '}' || c == ']'):
		return fmt.Sprintf("a trailing comma before %q", c)
	case c == '/' || c == '#':
		return "comments are not allowed"
	case c == '&':
		return "it is HTML-escaped; in a script, character references such as &quot; are not decoded"
	case c == '<':
		return "there is HTML in it"
	case c == '{' && (before == '{' || bytes.HasPrefix(rest, []byte("{{")) || bytes.HasPrefix(rest, []byte("{%"))), c == '%':
		return "a template placeholder was not filled in"
	case c == '\'' || c == '“' || c == '”' || c == '‘' || c == '’':
		return fmt.Sprintf("strings are quoted with \", not with %c", c)
	case strings.Contains(err.Error(), "in string literal"):
		return fmt.Sprintf("a string contains %q, which must be escaped", c)
	case strings.Contains(err.Error(), "after top-level value"):
		return fmt.Sprintf("there is text after its end: %q", c)
	case (c == '"' || c == '{' || c == '[') && before != ',' && (strings.Contains(err.Error(), "after object") || strings.Contains(err.Error(), "after array")):
		return fmt.Sprintf("a comma is missing before %q", c)
	case c == ']' && strings.Contains(err.Error(), "after object"), c == '}' && strings.Contains(err.Error(), "after array"):
		return fmt.Sprintf("%q closes something else; a bracket before it is missing", c)
	case strings.Contains(err.Error(), "looking for beginning of object key"):
		return fmt.Sprintf("a name in quotation marks was expected, not %q", c)
	}
	return err.Error()
}
