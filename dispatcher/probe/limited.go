package probe

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// action is a target taken apart, but not changed.
type action struct {
	Target
	authority string   // The value of Host.
	path      string   // As written, at least "/".
	query     []string // The parameters as written, "name=value" each.
	limited   limited
}

// limited is where a URL has its limited-use token.
type limited struct {
	at    string // "query", "path", or empty if there is none.
	index int    // Of the parameter, or of the segment.
	name  string // Of the parameter, as written.
	value string // As written.
	how   string // What it is and how it was found, for people.
	by    string // By what it was guessed, if it is a candidate.
	// guessed says that nothing but its name or look tells that it is one.
	guessed bool
	rivals  string // If it is not known, what it may be, for people.
}

// maxURL bounds a URL, in octets, as the dispatcher does.
const maxURL = 16 << 10

// newAction takes a target apart.
func newAction(t Target) (*action, error) {
	const scheme = "https://"
	if len(t.URL) < len(scheme) || !strings.EqualFold(t.URL[:len(scheme)], scheme) {
		return nil, errors.New("probe: the URL does not begin with https://")
	}
	rest := t.URL[len(scheme):]
	t.URL = scheme + rest
	if len(rest) > maxURL {
		return nil, fmt.Errorf("probe: the URL has %d octets, more than %d", len(rest), maxURL)
	}
	switch {
	case strings.Contains(rest, "#"):
		return nil, errors.New("probe: the URL has a fragment, which is never sent: leave out what begins with #")
	case strings.Contains(rest, " "):
		return nil, errors.New("probe: the URL has a space, which cannot be sent as written: encode it as %20")
	case strings.ContainsFunc(rest, func(r rune) bool { return r < ' ' || r > '~' }):
		return nil, errors.New("probe: the URL has a character that cannot be sent as written: encode it")
	}
	a := &action{Target: t, authority: rest, path: "/"}
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		a.authority = rest[:i]
		path, query, asked := strings.Cut(rest[i:], "?")
		if path != "" {
			a.path = path
		}
		if asked {
			a.query = strings.Split(query, "&")
		}
	}
	if a.Method == "" {
		a.Method = "POST"
	}
	var err error
	a.limited, err = a.findLimited()
	return a, err
}

// limitedNames are names that limited-use tokens go by, the surest first, in
// lower case and without "-" and "_". The last ones are those of other things,
// too, and count only with a value that is long.
var limitedNames = []string{
	"accesstoken", "limitedusetoken", "limiteduse", "onetimetoken", "actiontoken", "token", "nonce", "otp",
	"secret", "ticket", "signature", "sig", "hash", "auth", "t", "key", "code",
}

const (
	// surely is how many of limitedNames count with a short value.
	surely = 10
	// alone is how many of them tell the token whatever else looks like one.
	alone = 6
)

// parameters are the names in the query.
func (a *action) parameters() []string {
	var names []string
	for _, pair := range a.query {
		name, _, _ := strings.Cut(pair, "=")
		names = append(names, name)
	}
	return names
}

const (
	// minLimited is how long a value with a usual name must be to be taken.
	minLimited = 4
	// minRandom is how long a value must be to be taken by its look: 16
	// characters of hex are 64 bits.
	minRandom = 16
)

// looksRandom says whether a value may be a token: long, and of letters and
// digits mixed.
func looksRandom(value string) bool {
	return len(value) >= minRandom && !strings.ContainsAny(value, " @") &&
		strings.ContainsFunc(value, unicode.IsLetter) && strings.ContainsFunc(value, unicode.IsDigit)
}

// other is the first parameter of the query that is not the limited-use token,
// as written, and false if there is none.
func (a *action) other() (name, value string, ok bool) {
	for i, pair := range a.query {
		if a.limited.at == "query" && a.limited.index == i {
			continue
		}
		if name, value, _ := strings.Cut(pair, "="); name != "" && value != "" {
			return name, value, true
		}
	}
	return "", "", false
}

// place is a path and a query that are being changed, and what the form gets.
type place struct {
	path  string
	query []string
	form  []string
	// secret is the value that stands for the limited-use token now.
	secret string
}

// withLimited returns the path and query with the limited-use token changed.
// stranger is the token of another action. The error says why it cannot be.
func (a *action) withLimited(change LimitedUse, stranger string) (place, error) {
	p := place{path: a.path, query: slices.Clone(a.query), secret: a.limited.value}
	if change == "" {
		return p, nil
	}
	value := a.limited.value
	switch change {
	case LimitedEmpty:
		value = ""
	case LimitedAltered:
		value = altered(value)
	case LimitedCase:
		if value = otherCase(value); value == a.limited.value {
			return p, fmt.Errorf("the limited-use token has no letters")
		}
	case LimitedCut:
		value = value[:len(value)/2]
	case LimitedLonger:
		value += "0"
	case LimitedWildcard:
		value = "%25"
	case LimitedQuote:
		value = trueInSQL
	case LimitedOther, LimitedOtherUser:
		value = stranger
	}
	p.secret = value
	if a.limited.at == "path" {
		return a.inPath(p, change)
	}
	return a.inQuery(p, change), nil
}

// trueInSQL ends a text of SQL, and makes the condition that it is part of true.
const trueInSQL = "%27%20OR%20%271%27%3D%271" // ' OR '1'='1

// inPath puts the value into the path.
func (a *action) inPath(p place, change LimitedUse) (place, error) {
	segments := strings.Split(a.path, "/")
	switch change {
	case LimitedArray, LimitedNot, LimitedBadFirst, LimitedBadLast, LimitedInBody:
		return p, fmt.Errorf("the limited-use token is in the path")
	case LimitedMissing:
		segments = slices.Delete(segments, a.limited.index, a.limited.index+1)
	default:
		segments[a.limited.index] = p.secret
	}
	p.path = strings.Join(segments, "/")
	return p, nil
}

// inQuery puts the value into the query.
func (a *action) inQuery(p place, change LimitedUse) place {
	i, name, good := a.limited.index, a.limited.name, a.limited.value
	switch change {
	case LimitedMissing:
		p.query = slices.Delete(p.query, i, i+1)
	case LimitedInBody:
		p.form = append(p.form, p.query[i])
		p.query = slices.Delete(p.query, i, i+1)
	case LimitedArray:
		p.query[i] = name + "[]=" + good
	case LimitedNot:
		p.query[i] = name + "[$ne]=0"
	case LimitedBadFirst:
		p.query = slices.Insert(p.query, i, name+"="+altered(good))
	case LimitedBadLast:
		p.query = slices.Insert(p.query, i+1, name+"="+altered(good))
	default:
		p.query[i] = name + "=" + p.secret
	}
	return p
}

// altered returns a value with one character in the middle replaced by another
// of its kind, hexadecimal digits by hexadecimal digits. The last one would not
// do: of base64 it may have bits that are not used.
func altered(value string) string {
	b := []byte(value)
	for n := range b {
		i := (len(b)/2 + n) % len(b)
		if i >= 1 && b[i-1] == '%' || i >= 2 && b[i-2] == '%' {
			continue
		}
		for _, kind := range []string{"0123456789", "abcdef", "ABCDEF", "ghijklmnopqrstuvwxyz", "GHIJKLMNOPQRSTUVWXYZ"} {
			if at := strings.IndexByte(kind, b[i]); at >= 0 {
				b[i] = kind[(at+1)%len(kind)]
				return string(b)
			}
		}
	}
	return value + "0"
}

func otherCase(value string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsUpper(r) {
			return unicode.ToLower(r)
		}
		return unicode.ToUpper(r)
	}, value)
}
