package dnszone

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

const (
	// maxText is the size of a zone text in octets: some 50,000 records, more
	// than a mail test has a use for.
	maxText = 4 << 20
	// maxErrors is how many mistakes are listed; who has more has given
	// another kind of file.
	maxErrors = 100
)

// Load adds the records and faults of a zone text. It returns every mistake, in
// order, each with its place and with name as its file; with a mistake, nothing
// is added.
//
// TTL and class IN may be given and mean nothing. $ORIGIN and $TTL are known,
// $INCLUDE and $GENERATE are refused. A fault replaces an earlier one for the
// same name and type.
func (z *Zone) Load(name, text string) []*Error {
	l := loader{file: name, faults: map[string]bool{}}
	if len(text) > maxText {
		l.fail(&Error{Line: 1, Col: 1, Msg: fmt.Sprintf("the zone is larger than %d octets", maxText)})
		return l.errors
	}
	s := scanner{text: text, line: 1}
	for e, ok := s.next(); ok && len(l.errors) < maxErrors; e, ok = s.next() {
		l.entry(e)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	l.checkAliases(z)
	l.checkSizes(z)
	if len(l.errors) > 0 {
		return l.errors
	}
	for _, in := range l.items {
		n := z.node(in.key)
		if in.isFault {
			if n.faults == nil {
				n.faults = map[string]fault{}
			}
			n.faults[in.faultType] = in.fault
		} else {
			n.put(in.record)
		}
	}
	return nil
}

// item is a record or a fault that was read.
type item struct {
	key       string
	at        token
	record    record
	isFault   bool
	fault     fault
	faultType string
}

// loader reads one text.
type loader struct {
	file   string
	origin string // Without final dot.
	owner  string // Of the record before, normalised.
	owned  bool
	items  []item
	faults map[string]bool // Name and type of those among items.
	errors []*Error
}

func (l *loader) fail(e *Error) {
	e.File = l.file
	if len(l.errors) < maxErrors {
		l.errors = append(l.errors, e)
	}
	if len(l.errors) == maxErrors-1 {
		l.errors = append(l.errors, &Error{File: l.file, Line: e.Line, Col: e.Col, Msg: "too many mistakes: the rest is not listed"})
	}
}

func (l *loader) entry(e entry) {
	if e.err != nil {
		l.fail(e.err)
		return
	}
	first := e.tokens[0]
	if strings.HasPrefix(first.text, "$") && !first.quoted && !e.indented {
		l.directive(first, e.tokens[1:])
		return
	}
	rest := e.tokens
	if !e.indented {
		rest = rest[1:]
		key, err := l.name(first)
		if err != nil {
			l.owned = false
			l.fail(err)
			return
		}
		l.owner, l.owned = key, true
	} else if !l.owned {
		l.fail(first.errorf("the line starts with white space, and no owner name comes before it"))
		return
	}
	l.record(first, rest)
}

// name reads an owner name, relative to the origin.
func (l *loader) name(t token) (string, *Error) {
	full := t.text
	switch {
	case full == "@" && !t.quoted:
		full = l.origin
	case !strings.HasSuffix(full, ".") && l.origin != "":
		full += "." + l.origin
	}
	key, ok := normalise(full)
	if !ok || t.quoted || strings.Contains(full, `\`) || t.text == "" {
		return "", t.errorf("not a domain name: %q", t.text)
	}
	return key, nil
}

// record reads what follows the owner.
func (l *loader) record(first token, rest []token) {
	var ttl, class bool
	for len(rest) > 0 {
		word := strings.ToUpper(rest[0].text)
		switch {
		case !ttl && isTTL(word):
			ttl = true
		case !class && (word == "CH" || word == "HS" || word == "CS" || word == "ANY" || word == "NONE"):
			l.fail(rest[0].errorf("class %s is not served, only IN", word))
			return
		case !class && word == "IN":
			class = true
		default:
			l.data(rest[0], rest[1:])
			return
		}
		rest = rest[1:]
	}
	l.fail(first.errorf("a record type is missing, one of %s", strings.Join(recordTypes, ", ")))
}

// data reads what follows the type.
func (l *loader) data(word token, rest []token) {
	typ := strings.ToUpper(word.text)
	switch {
	case typ == typeFault && !word.quoted:
		f, holds, err := readFault(word, rest)
		if err != nil {
			l.fail(err)
			return
		}
		if l.faults[l.owner+" "+holds] {
			l.fail(word.errorf("the name has a fault for the same type already"))
			return
		}
		l.faults[l.owner+" "+holds] = true
		l.items = append(l.items, item{key: l.owner, at: word, isFault: true, fault: f, faultType: holds})
		return
	case typ == "SPF":
		l.fail(word.errorf("nobody looks up type SPF since RFC 7208 3.1; did you mean TXT?"))
		return
	case !slices.Contains(recordTypes, typ) || word.quoted:
		l.fail(word.errorf("unknown record type %q%s", word.text, suggest(typ, recordTypes)))
		return
	case len(rest) == 0:
		l.fail(word.errorf("the %s record has no data", typ))
		return
	}
	var line strings.Builder
	line.WriteString(". 0 IN " + typ)
	for _, t := range rest {
		line.WriteString(" " + t.source())
	}
	rec, err := readRecord(line.String(), l.origin)
	if err != nil {
		l.fail(dataError(typ, word, rest, err))
		return
	}
	l.items = append(l.items, item{key: l.owner, at: word, record: rec})
}

// dataError finds the place of a mistake in a record's data. The parser has
// no accessor for the word it stumbled at; it quotes it.
func dataError(typ string, word token, rest []token, err error) *Error {
	var perr *dns.ParseError
	if errors.As(err, &perr) {
		msg := perr.Error()
		if i, j := strings.IndexByte(msg, '"'), strings.LastIndexByte(msg, '"'); i >= 0 && i < j {
			bad, _ := strconv.Unquote(msg[i : j+1])
			if k := slices.IndexFunc(rest, func(t token) bool { return bad != "" && t.text == bad }); k >= 0 {
				return rest[k].errorf("bad %s record at %q", typ, bad)
			}
		}
	}
	return word.errorf("bad %s record", typ)
}

func (l *loader) directive(word token, rest []token) {
	known := []string{"$ORIGIN", "$TTL"}
	switch name := strings.ToUpper(word.text); {
	case name == "$INCLUDE" || name == "$GENERATE":
		l.fail(word.errorf("%s is not allowed here", name))
	case !slices.Contains(known, name):
		l.fail(word.errorf("unknown directive %q%s", word.text, suggest(name, known)))
	case len(rest) != 1:
		l.fail(word.errorf("%s takes one value", name))
	case name == "$TTL":
		if !isTTL(strings.ToUpper(rest[0].text)) {
			l.fail(rest[0].errorf("not a TTL: %q", rest[0].text))
		}
	default:
		if key, err := l.name(rest[0]); err != nil {
			l.fail(err)
		} else {
			l.origin = key
		}
	}
}

// isTTL reports whether an upper-case word is a TTL: seconds, or as BIND writes
// them, "1H30M".
func isTTL(word string) bool {
	digits := 0
	for i := range len(word) {
		switch c := word[i]; {
		case '0' <= c && c <= '9':
			digits++
		case strings.IndexByte("SMHDW", c) < 0 || digits == 0:
			return false
		default:
			digits = 0
		}
	}
	return word != "" && '0' <= word[0] && word[0] <= '9'
}

// checkAliases finds names that would have a CNAME and something else (RFC 1034
// 3.6.2). Faults are no records and may stand beside it.
func (l *loader) checkAliases(z *Zone) {
	alias, other := map[string]string{}, map[string]bool{}
	for _, in := range l.items {
		if n := z.nodes[in.key]; n != nil {
			for typ, set := range n.sets {
				if typ == typeCNAME {
					alias[in.key] = set.text
				} else {
					other[in.key] = true
				}
			}
		}
	}
	for _, in := range l.items {
		if in.isFault {
			continue
		}
		if in.record.typ != typeCNAME {
			other[in.key] = true
		} else if target, ok := alias[in.key]; ok && target != in.record.rdata {
			l.fail(in.at.errorf("%s. has a CNAME already, to %s", in.key, target))
			continue
		} else {
			alias[in.key] = in.record.rdata
		}
		if _, ok := alias[in.key]; ok && other[in.key] {
			l.fail(in.at.errorf("%s. cannot have a CNAME and other records", in.key))
		}
	}
}

// checkSizes finds record sets that would grow too large.
func (l *loader) checkSizes(z *Zone) {
	sizes := map[string]int{}
	for _, in := range l.items {
		if in.isFault {
			continue
		}
		id := in.key + " " + in.record.typ
		if _, ok := sizes[id]; !ok {
			if n := z.nodes[in.key]; n != nil && n.sets[in.record.typ] != nil {
				sizes[id] = len(n.sets[in.record.typ].records)
			}
		}
		if sizes[id]++; sizes[id] == maxSet+1 {
			l.fail(in.at.errorf("%s. has more than %d %s records", in.key, maxSet, in.record.typ))
		}
	}
}
