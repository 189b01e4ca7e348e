package message

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/doppelbox/doppelbox/policy"
)

const (
	// maxAddressOctets bounds the address fields that are read together: what
	// Gmail takes as a whole header (gmail-inbound.md 1.5).
	maxAddressOctets = 500 << 10
	// maxAddresses bounds the addresses of these fields: more than Gmail takes
	// as recipients of one message.
	maxAddresses = 5000
	// maxDomain is the longest domain (RFC 5321 4.5.3.1.2).
	maxDomain = 255
)

// Addresses reads the value of an address field (RFC 5322 3.4), folded or not.
// It takes groups, comments, quoted local parts, encoded words, source routes
// and the other obsolete forms of RFC 5322 4.4.
//
// The addresses that could be read are returned even when there is an error,
// which names the first deviation from these grammars. Nothing is read of a
// value longer than 500 KB, and no more than 5,000 addresses.
func Addresses(value string) ([]policy.Address, error) {
	room := newAddressRoom()
	r := readAddresses(unfold(value), &room)
	if why := cmp.Or(r.first, r.full); why != "" {
		return r.list, fmt.Errorf("reading address list: %s", why)
	}
	return r.list, nil
}

// DomainOf returns the domain of an envelope address as [policy.Address] has
// it; "" if addr has none, as the null reverse-path. The one dot with which a
// name of DNS may end (RFC 1034 3.1) is removed.
func DomainOf(addr string) string {
	i := strings.LastIndexByte(addr, '@')
	if i < 0 || strings.ContainsAny(addr[i:], "\" \t<>") {
		return ""
	}
	domain := normalDomain(addr[i+1:])
	if name, ok := strings.CutSuffix(domain, "."); ok && !strings.HasSuffix(name, ".") {
		return name
	}
	return domain
}

// normalDomain makes domains comparable: lower case, A-labels. What is no IDN is
// only put in lower case: mapping may bring forth an "@".
func normalDomain(s string) string {
	s = strings.ToLower(s)
	if isASCII(s) || len(s) > maxDomain*utf8.UTFMax {
		return s // The time that mapping takes grows with the square of the length.
	}
	profile := idna.New(idna.MapForLookup(), idna.Transitional(false))
	if a, err := profile.ToASCII(s); err == nil {
		return a
	}
	return s
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// addressRoom is how much may still be read of address fields that have a limit
// together.
type addressRoom struct{ addresses, octets int }

func newAddressRoom() addressRoom { return addressRoom{maxAddresses, maxAddressOctets} }

// addressReader reads one address list.
type addressReader struct {
	lexer
	room   *addressRoom
	list   []policy.Address
	first  string      // The first deviation.
	full   string      // Why the list is not read to its end; empty if it is.
	lost   int         // Elements from which no address could be read.
	group  bool        // Inside a group.
	author authorMarks // What is odd, if keep says that somebody wants to know.
}

func readAddresses(text string, room *addressRoom) *addressReader {
	r := &addressReader{lexer: lexer{text: text}, room: room}
	return r.read()
}

// readAuthors is readAddresses for From: it keeps comments, and notes what is
// odd beyond the grammar.
func readAuthors(text string, room *addressRoom) *addressReader {
	r := &addressReader{lexer: lexer{text: text, keep: true}, room: room}
	return r.read()
}

func (r *addressReader) read() *addressReader {
	text, room := r.text, r.room
	r.problem = r.deviate
	if len(text) > room.octets {
		r.full = fmt.Sprintf("not read, as all address fields together have more than %d octets", maxAddressOctets)
		return r
	}
	room.octets -= len(text)
	for r.element() && r.full == "" {
	}
	if r.group && r.full == "" {
		r.deviate("a group does not end")
	}
	return r
}

func (r *addressReader) deviate(format string, args ...any) {
	if r.first == "" {
		r.first = fmt.Sprintf(format, args...)
	}
}

// lose gives up an element.
func (r *addressReader) lose(format string, args ...any) {
	r.deviate(format, args...)
	r.lost++
}

// element reads up to the next separator. It reports whether more can follow.
func (r *addressReader) element() bool {
	var words []token
	var addr []token
	angle := false
	r.comment, r.comments = "", nil
	for {
		t := r.next()
		switch t.kind {
		case tokenEnd, ',', ';':
			r.address(words, addr, angle)
			if t.kind == ';' && !r.group {
				r.deviate("a semicolon outside of a group")
			}
			r.group = r.group && t.kind != ';'
			return t.kind != tokenEnd
		case ':':
			if angle || r.group || len(words) == 0 {
				r.deviate("a colon that starts no group")
			}
			if slices.ContainsFunc(words, isAt) || angle {
				r.lose("no address in %q", quote(words))
			}
			words, r.group = nil, true
			r.author.group = true
			if angle {
				return true
			}
		case '<':
			if angle {
				r.lose("a second angle bracket after %s", quote(addr))
			}
			angle, addr = true, r.angle()
		default:
			if angle {
				r.deviate("text after the closing angle bracket: %q", clip(t.text))
			} else {
				words = append(words, t)
			}
		}
	}
}

// angle reads up to the closing angle bracket, without a source route
// (obs-route, RFC 5322 4.4).
func (r *addressReader) angle() []token {
	var list []token
	for {
		switch t := r.next(); {
		case t.kind == '>':
			return list
		case t.kind == tokenEnd:
			r.deviate("a closing angle bracket is missing")
			return list
		case t.kind == ':' && len(list) > 0 && isAt(list[0]):
			list = list[:0]
			r.author.obsolete = true
		case t.kind == ',' && (len(list) == 0 || isAt(list[0])):
			// Between the domains of a route.
		default:
			list = append(list, t)
		}
	}
}

// address adds the address of one element.
func (r *addressReader) address(words, addr []token, angle bool) {
	if !angle {
		if len(words) == 0 {
			return // An empty element (obs-addr-list).
		}
		words, addr = nil, words
	}
	at := lastAt(addr)
	if at <= 0 || at == len(addr)-1 {
		r.lose("no address in %q", quote(words, addr))
		return
	}
	if r.room.addresses == 0 {
		r.full = fmt.Sprintf("not read to its end, as all address fields together have more than %d addresses", maxAddresses)
		return
	}
	if !r.wordsFit(addr[:at], tokenQuoted) || !r.wordsFit(addr[at+1:], tokenLiteral) {
		r.lost++
		return
	}
	domain := normalDomain(join(addr[at+1:]))
	switch {
	case domain == "", strings.HasPrefix(domain, "."), strings.HasSuffix(domain, "."), strings.Contains(domain, ".."):
		r.lose("an empty label in the domain of %q", quote(addr))
		return
	case len(domain) > maxDomain:
		r.lose("a domain of more than %d octets in %q", maxDomain, quote(addr))
		return
	}
	r.room.addresses--
	a := policy.Address{Name: r.displayName(words), Addr: join(addr[:at]) + "@" + domain, Domain: domain}
	if r.keep {
		r.author.read(addr, at, domain)
		a.Comment = commentText(r.comments)
	}
	r.list = append(r.list, a)
}

// wordsFit reports whether tokens make one side of an address, of atoms and of
// one other kind. White space may stand only beside dots (obs-local-part,
// obs-domain), and a domain literal only by itself.
func (r *addressReader) wordsFit(side []token, kind byte) bool {
	for i, t := range side {
		switch {
		case strings.ContainsFunc(t.text, isControl):
			r.deviate("control character in address %q", clip(t.text))
			return false
		case t.kind != tokenAtom && t.kind != kind || t.kind == tokenLiteral && len(side) > 1:
			r.deviate("unexpected %q in address %q", clip(t.text), quote(side))
			return false
		case i > 0 && !strings.HasPrefix(t.text, ".") && !strings.HasSuffix(side[i-1].text, "."):
			r.deviate("several words in address %q", quote(side))
			return false
		}
	}
	return true
}

// displayName returns the decoded name; that of the comment after an address
// without one, as RFC 822 had it.
func (r *addressReader) displayName(words []token) string {
	if len(words) == 0 {
		name, _ := decodeWords(unquote(r.comment))
		return name
	}
	var b strings.Builder
	for _, t := range words {
		if t.kind != tokenAtom && t.kind != tokenQuoted {
			r.deviate("unquoted %q in a display name", clip(t.text))
		}
		if t.space && b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(unquote(t.text))
	}
	name, err := decodeWords(b.String())
	if err != nil {
		r.deviate("%v", err)
	}
	return name
}

func isAt(t token) bool { return t.kind == '@' }

func lastAt(list []token) int {
	for i := len(list) - 1; i >= 0; i-- {
		if isAt(list[i]) {
			return i
		}
	}
	return -1
}

func join(list []token) string {
	if len(list) == 1 {
		return list[0].text
	}
	var b strings.Builder
	for _, t := range list {
		b.WriteString(t.text)
	}
	return b.String()
}

// quote returns what a problem quotes of an element. It joins no more tokens
// than that takes: an element can have a problem for each of its tokens.
func quote(lists ...[]token) string {
	var b strings.Builder
	for _, list := range lists {
		for _, t := range list {
			if b.Len() >= maxQuote {
				break
			}
			b.WriteString(clip(t.text))
		}
	}
	return clip(b.String())
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }
