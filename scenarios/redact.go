package scenarios

import (
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/doppelbox/doppelbox/receiver/mailbox"
)

const (
	hiddenToken = "(token)" // What stands in the place of a bearer token.
	cutOff      = "…"       // What stands in that of the rest of a secret.

	shownSecret = 4  // How many characters of a secret are shown, at most.
	minSecret   = 4  // How many octets a value of a URL must have to be taken for one.
	minRandom   = 16 // How many it must have to be taken for one by its look.
)

// Redact returns a request as it went out, its token replaced by a word. Its URL
// stays as it is: it is that of the scenario.
func Redact(a mailbox.Attempt) string {
	head, token, rest := cutToken(a.Sent)
	if token == "" {
		return string(a.Sent)
	}
	return head + hiddenToken + rest
}

// cutToken takes the bearer token out of a request as it went out, of which the
// end may be missing.
func cutToken(sent []byte) (head, token, rest string) {
	const field = "\r\nAuthorization: Bearer "
	head, rest, ok := strings.Cut(string(sent), field)
	if !ok {
		return head, "", ""
	}
	token, rest, ok = strings.Cut(rest, "\r\n")
	if ok {
		rest = "\r\n" + rest
	}
	return head + field, token, rest
}

// RedactAttempt makes an attempt fit for a log: its bearer token and the secrets
// of its URL are replaced wherever they stand, in what the service answered,
// too, and so is all that RedactText replaces, and the values of cookies. What a
// service has encoded anew is not found. The API has what really came.
func RedactAttempt(a mailbox.Attempt) mailbox.Attempt {
	var pairs []string
	sent := [][]byte{a.Sent}
	for _, h := range a.Hops {
		sent = append(sent, h.Sent)
	}
	for _, octets := range sent {
		_, token, _ := cutToken(octets)
		if token == "" {
			continue
		}
		pairs = append(pairs, token, hiddenToken)
		// Without its signature it cannot be used; some services show it in parts.
		if i := strings.LastIndexByte(token, '.'); i >= 0 && len(token)-i > minRandom {
			pairs = append(pairs, token[i+1:], hiddenToken)
		}
	}
	secrets := urlSecrets(a.URL)
	for _, h := range a.Hops {
		secrets = append(secrets, urlSecrets(h.URL)...)
	}
	slices.SortStableFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	for _, s := range secrets {
		pairs = append(pairs, s, cutSecret(s))
	}
	replace := strings.NewReplacer(pairs...).Replace
	hide := func(s string) string { return RedactText(replace(s)) }
	// A request's first line has the URL without what shows that it is one.
	a.Sent, a.Body = []byte(hide(hideTarget(string(a.Sent)))), []byte(hide(string(a.Body)))
	a.URL, a.Error = hide(a.URL), hide(a.Error)
	a.Header, a.Hops, a.Tried = slices.Clone(a.Header), slices.Clone(a.Hops), slices.Clone(a.Tried)
	for i, f := range a.Header {
		if strings.EqualFold(f.Name, "Set-Cookie") {
			f.Value = cutCookie(f.Value)
		}
		a.Header[i].Value = hide(f.Value)
	}
	for i, h := range a.Hops {
		a.Hops[i].URL, a.Hops[i].Location = hide(h.URL), hide(h.Location)
		a.Hops[i].Sent = []byte(hide(hideTarget(string(h.Sent))))
	}
	for i, t := range a.Tried {
		a.Tried[i].Error = hide(t.Error)
	}
	return a
}

// hideTarget cuts what looks like a token in the path of a request.
func hideTarget(sent string) string {
	words := strings.SplitN(sent, " ", 3)
	if len(words) < 3 {
		return sent
	}
	path, query, asked := strings.Cut(words[1], "?")
	// As in a URL, whose path begins behind two slashes and the host.
	words[1] = strings.TrimPrefix(cutSegments("//"+path), "//")
	if asked {
		words[1] += "?" + query
	}
	return strings.Join(words, " ")
}

// urlSecrets are the parts of a URL that may be secret, as they are written and
// decoded. They are searched for everywhere, so what is no
// secret by its look, or short, such as the number of an expense, is not among
// them.
func urlSecrets(s string) []string {
	path, query, _ := strings.Cut(s, "?")
	var found []string
	for i, segment := range strings.Split(path, "/") {
		if i > 2 && looksRandom(segment) {
			found = append(found, segment)
		}
	}
	for pair := range strings.SplitSeq(query, "&") {
		name, value, named := strings.Cut(pair, "=")
		if !named {
			name, value = "", name
		}
		if looksRandom(value) || len(value) >= 2*minSecret && slices.Contains(secretNames, strings.ToLower(name)) {
			found = append(found, value)
		}
	}
	for _, value := range slices.Clone(found) {
		if plain, err := url.QueryUnescape(value); err == nil && plain != value && len(plain) >= minSecret {
			found = append(found, plain)
		}
	}
	return found
}

// secretNames are usual names of limited-use tokens.
var secretNames = []string{"token", "access_token", "nonce", "otp", "secret", "ticket", "signature", "sig", "key", "code", "auth", "hash"}

// looksRandom says whether a value may be a token: long, and of letters and
// digits mixed.
func looksRandom(s string) bool {
	return len(s) >= minRandom && strings.ContainsFunc(s, unicode.IsLetter) && strings.ContainsFunc(s, unicode.IsDigit)
}

// cutSecret leaves the first characters of a secret, and never more than half.
func cutSecret(s string) string {
	n := min(shownSecret, len(s)/2)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + cutOff
}

// cutCookie leaves the name and the attributes of a cookie.
func cutCookie(s string) string {
	pair, attributes, more := strings.Cut(s, ";")
	name, value, named := strings.Cut(pair, "=")
	if !named {
		return cutSecret(s)
	}
	cut := name + "=" + cutSecret(value)
	if more {
		cut += ";" + attributes
	}
	return cut
}
