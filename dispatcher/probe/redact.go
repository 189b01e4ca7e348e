package probe

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/doppelbox/doppelbox/dispatcher"
)

const (
	shownSecret = 4   // How many characters of a secret are shown, at most.
	shownText   = 600 // How many of a text are.
	shownFields = 20  // How many fields of a header are.
)

// jws finds what may be a token in compact serialization: its header is a JSON
// object, which in base64url begins so.
var jws = regexp.MustCompile(`eyJ[A-Za-z0-9_-]+=*\.[A-Za-z0-9_-]+=*(\.[A-Za-z0-9_-]*=*)*`)

// notRead is the Answer of an exchange whose answer is taken for lost.
const notRead = "(sent, not read)"

// redact records an exchange. Nothing of it can be used: bearer tokens lose
// their signature, limited-use tokens all but their first characters.
func redact(m message, a dispatcher.Attempt) Exchange {
	hide := hider(m)
	head, body, found := strings.Cut(string(m.raw.Octets), "\r\n\r\n")
	if !found {
		head, body, _ = strings.Cut(string(m.raw.Octets), "\n\n")
	}
	line, rest, _ := strings.Cut(head, "\n")
	e := Exchange{Request: hide(strings.TrimRight(line, "\r")), Body: hide(body), Then: string(m.raw.Then), Status: a.Status}
	fields := slices.Collect(strings.Lines(rest))
	for i, field := range fields {
		if i == shownFields {
			e.Fields = append(e.Fields, fmt.Sprintf("(%d more)", len(fields)-i))
			break
		}
		e.Fields = append(e.Fields, hide(strings.TrimRight(field, "\r\n")))
	}
	switch {
	case a.Status == 0:
		e.Answer = hide(a.Error)
	default:
		first, _, _ := strings.Cut(strings.TrimSpace(string(a.Body)), "\n")
		e.Answer = hide(strings.TrimRight(first, "\r"))
	}
	return e
}

// hider returns what makes a text fit to be shown.
func hider(m message) func(string) string {
	var secrets []string
	for _, s := range m.secrets {
		if plain, err := url.QueryUnescape(s); err == nil && plain != s {
			secrets = append(secrets, plain)
		}
		secrets = append(secrets, s)
	}
	secrets = slices.DeleteFunc(secrets, func(s string) bool { return len(s) < minLimited })
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	if m.token != "" {
		pairs = append(pairs, m.token, showToken(m.token))
	}
	for _, s := range slices.Compact(secrets) {
		pairs = append(pairs, s, cutSecret(s))
	}
	replace := strings.NewReplacer(pairs...).Replace
	return func(s string) string { return printable(jws.ReplaceAllStringFunc(replace(s), showToken)) }
}

// cutSecret leaves the first characters of a secret, and never more than half.
func cutSecret(s string) string { return s[:min(shownSecret, len(s)/2)] + "…" }

// showToken shows header and claims of a token as JSON, and its signature not
// at all.
func showToken(token string) string {
	parts := strings.Split(token, ".")
	for i, part := range parts {
		switch plain, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(part, "=")); {
		case i >= 2 && part == "":
			parts[i] = "(empty)"
		case i >= 2:
			parts[i] = fmt.Sprintf("(%d characters)", len(part))
		case err == nil && utf8.Valid(plain):
			parts[i] = string(plain)
		default:
			parts[i] = "(not base64url)"
		}
	}
	return strings.Join(parts, ".")
}

// printable escapes what a terminal or a log might obey, and cuts what is long.
func printable(s string) string {
	var b strings.Builder
	n := 0
	for _, c := range s {
		if n++; n > shownText {
			fmt.Fprintf(&b, "… (%d octets)", len(s))
			break
		}
		if unicode.IsPrint(c) && c != utf8.RuneError {
			b.WriteRune(c)
		} else {
			quoted := strconv.QuoteRuneToASCII(c)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}

// quoted is a text from outside for people.
func quoted(s string) string { return strconv.Quote(printable(s)) }
