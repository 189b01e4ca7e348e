package probe

import (
	"slices"
	"strings"
	"unicode"
)

// secretNames are names of parameters whose values are secrets beside those of
// limitedNames, written as those are.
var secretNames = []string{
	"session", "sessionid", "sid", "sess", "jsessionid", "phpsessid", "csrf", "csrftoken", "xsrftoken", "jwt", "bearer", "idtoken", "refreshtoken",
	"password", "passwd", "pwd", "pass", "pin", "tan", "apikey", "hmac",
}

// plainName is the name of a parameter as limitedNames and secretNames have it.
func plainName(name string) string {
	return strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(name))
}

// secrets are the values of an action that nobody must learn from a report: the
// limited-use token, and what else is called or looks like a secret.
func (a *action) secrets() []string {
	var list []string
	if a.limited.value != "" {
		list = append(list, a.limited.value)
	}
	for _, pair := range slices.Concat(a.query, pairsOf(a.Body)) {
		name, value, _ := strings.Cut(pair, "=")
		rank := slices.Index(limitedNames, plainName(name))
		named := rank >= 0 && rank < surely || slices.Contains(secretNames, plainName(name))
		if named && len(value) >= minLimited || looksSecret(value) {
			list = append(list, value)
		}
		if looksSecret(name) { // "?b1946ac9…" has no name.
			list = append(list, name)
		}
	}
	for _, segment := range strings.Split(a.path, "/") {
		if looksSecret(segment) {
			list = append(list, segment)
		}
	}
	return list
}

const (
	// minDigits is how many digits alone may be a secret: no number that is
	// meant for people has as many.
	minDigits = 12
	// minWord is how many letters of one case may be one: no word has as many.
	minWord = 24
)

// looksSecret says whether a value may be a secret. To hide one too many does
// no harm, so that this takes more than looksRandom does.
func looksSecret(value string) bool {
	digits, upper, lower, others := 0, 0, 0, 0
	for _, c := range value {
		switch {
		case unicode.IsDigit(c):
			digits++
		case unicode.IsUpper(c):
			upper++
		case unicode.IsLower(c):
			lower++
		default:
			others++
		}
	}
	n := len(value)
	switch {
	case looksRandom(value), digits == n && n >= minDigits:
		return true
	case digits+others > 0 || n < minRandom: // Words, perhaps.
		return false
	}
	return n >= minWord || min(upper, lower) >= n/4
}
