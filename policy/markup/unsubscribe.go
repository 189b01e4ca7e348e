package markup

import (
	"fmt"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
)

// maxURIs bounds the URIs of List-Unsubscribe; real mail has two.
const maxURIs = 100

// unsubscribe reads the fields of one-click unsubscription: RFC 8058 section 3
// and, for the first, RFC 2369 section 2. Several fields are read as one list.
func unsubscribe(m *message.Message, p *policy.Problems) policy.Unsubscribe {
	posts := m.All("List-Unsubscribe-Post")
	u := policy.Unsubscribe{PostFields: len(posts)}
	if len(posts) > 0 {
		u.Post = posts[0].Unfolded()
	}
	for _, f := range m.All("List-Unsubscribe") {
		u.Fields++
		uris, deviation := bracketed(f.Unfolded(), maxURIs-len(u.URIs))
		u.URIs = append(u.URIs, uris...)
		if deviation != "" {
			p.Add(policy.Place{}, UnsubscribeSyntax, "List-Unsubscribe: %s", deviation)
		}
	}
	return u
}

// bracketed returns the URIs in angle brackets, without white space and no more
// than limit. Comments between them are allowed; the first deviation is returned
// in words.
func bracketed(s string, limit int) (uris []string, deviation string) {
	deviate := func(text string) {
		if deviation == "" {
			deviation = text
		}
	}
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '(':
			depth++
		case depth > 0:
			if c == ')' {
				depth--
			} else if c == '\\' {
				i++
			}
		case c == '<':
			n := strings.IndexByte(s[i:], '>')
			if n < 0 {
				return uris, "a closing angle bracket is missing"
			}
			switch uri := strings.Join(strings.Fields(s[i+1:i+n]), ""); {
			case uri == "":
				deviate("empty angle brackets")
			case len(uris) == limit:
				return uris, fmt.Sprintf("only the first %d URIs count", maxURIs)
			default:
				uris = append(uris, uri)
			}
			i += n
		case !strings.ContainsRune(", \t\r\n", rune(c)):
			deviate("text outside of angle brackets")
		}
	}
	if depth > 0 {
		deviate("a closing parenthesis is missing")
	}
	return uris, deviation
}
