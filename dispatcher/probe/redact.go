package probe

import (
	"cmp"
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
		e.Answer = printable(hiddenError(m, a.Error))
	default:
		first, _, _ := strings.Cut(strings.TrimSpace(string(a.Body)), "\n")
		e.Answer = hide(strings.TrimRight(first, "\r"))
	}
	return e
}

// hider returns what makes a text fit to be shown.
func hider(m message) func(string) string {
	hide := hiding(m)
	return func(s string) string { return printable(hide(s)) }
}

// hiding returns what takes the secrets out of a text, and nothing else.
func hiding(m message) func(string) string {
	var pairs []string
	if m.token != "" {
		pairs = append(pairs, m.token, showToken(m.token))
	}
	for _, s := range m.forms() {
		pairs = append(pairs, s, cutSecret(s))
	}
	replace := strings.NewReplacer(pairs...).Replace
	return func(s string) string { return jws.ReplaceAllStringFunc(replace(s), showToken) }
}

// forms are the secrets of a message in all forms in which they are sent, or a
// service may say them back, the longest first.
func (m message) forms() []string {
	var list []string
	for _, s := range m.secrets {
		plain, err := url.QueryUnescape(s)
		if err != nil {
			plain = s
		}
		for _, form := range []string{s, altered(s), plain, url.QueryEscape(plain), url.PathEscape(plain)} {
			inQuotes := strconv.Quote(form)
			list = append(list, form, inQuotes[1:len(inQuotes)-1])
		}
	}
	list = slices.DeleteFunc(list, func(s string) bool { return len(s) < minLimited })
	slices.SortFunc(list, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	return slices.Compact(list)
}

// hiddenError is the error of an exchange without the secrets of the message. It
// may quote what the service answered, and a quotation may be cut: what is left
// of a secret then stands at its end.
func hiddenError(m message, text string) string {
	text = hiding(m)(text)
	whole := strings.TrimRight(text, `"`)
	end := text[len(whole):]
	for _, s := range m.forms() {
		shown := len(cutSecret(s)) - len("…")
		for n := len(s) - 1; n > shown; n-- {
			if strings.HasSuffix(whole, s[:n]) {
				return strings.TrimSuffix(whole, s[:n]) + cutSecret(s) + end
			}
		}
	}
	return text
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
