package probe

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/doppelbox/doppelbox/dispatcher"
	"github.com/doppelbox/doppelbox/keys"
)

// message is a request that is ready to be sent.
type message struct {
	raw     dispatcher.Raw
	of      *action  // What it is a request for.
	token   string   // Its bearer token; empty without.
	secrets []string // What must not be shown of it.
}

// inapplicable is the reason for which a change makes no sense with a target.
type inapplicable struct{ why string }

func (e inapplicable) Error() string { return e.why }

// build makes the request of a change to the good request of an action.
// stranger is the limited-use token of another action.
func (r *runner) build(a *action, c Change, stranger string) (message, error) {
	m := message{of: a}
	spot, err := a.withLimited(c.LimitedUse, stranger)
	if err != nil {
		return m, inapplicable{err.Error()}
	}
	words, err := r.words(a, c, &m)
	if err != nil {
		return m, err
	}
	fill := strings.NewReplacer(words...).Replace
	pairs := edited(spot.query, a, c.Query, fill)
	path := strings.ReplaceAll(c.Path, "{path}", spot.path)
	if c.Path == "" {
		path = spot.path
	}
	target := path
	if len(pairs) > 0 {
		target += "?" + strings.Join(pairs, "&")
	}
	// A field that names the target names that of the action, whatever the
	// request line has.
	fill = strings.NewReplacer(append(words, "{target}", target, "{path}", path, "{query}", strings.Join(pairs, "&"))...).Replace
	if c.Target != "" {
		target = fill(c.Target)
	}
	body := strings.Join(edited(append(pairsOf(a.Body), spot.form...), a, c.Form, fill), "&")
	if c.Body != "" {
		body = fill(c.Body)
	}
	method := c.Method
	if method == "" {
		method = a.Method
	}
	if c.Method == "GET" || c.Method == "HEAD" {
		body = ""
	}
	m.secrets = append([]string{a.limited.value, spot.secret, stranger}, r.secrets...)
	m.secrets = slices.DeleteFunc(m.secrets, func(s string) bool { return s == trueInSQL })
	if m.token != "" {
		m.secrets = append(m.secrets, basic(m.token))
	}
	m.raw = dispatcher.Raw{URL: a.URL, Method: method, Then: c.Then, Timeout: r.o.Timeout}
	m.raw.Octets, m.raw.Then = frame(method, target, r.fields(a, c, fill), body, c)
	return m, nil
}

// words are what stands for the words in braces of a change. The token that is
// made for it goes into the message.
func (r *runner) words(a *action, c Change, m *message) ([]string, error) {
	name, value, _ := strings.Cut(firstParameter(a.Body), "=")
	words := []string{
		"{audience}", a.Audience, "{domain}", strings.TrimPrefix(a.Audience, "https://"), "{parent}", parentOf(a.Audience),
		"{kid}", r.kids[keys.KeyCurrent], "{next-kid}", r.kids[keys.KeyNext], "{keys}", strings.TrimSuffix(r.o.KeysURL, "/"),
		"{host}", a.authority, "{form}", a.Body, "{name}", name, "{value}", value, "{pad}", strings.Repeat("a", c.Pad),
	}
	if !r.first.Bearer {
		return words, nil
	}
	// A good token that is not sent itself need not be a new one.
	good := r.sample
	if good == "" || c.Token.zero() && c.carries() {
		var err error
		if good, r.sampled, err = r.bearer(); err != nil {
			return nil, err
		}
		r.sample = good
	}
	made, err := claimsOf(good)
	if err != nil {
		return nil, err
	}
	words = append(words, "{good}", good, "{issuer}", made.Issuer, "{issuer-host}", strings.TrimPrefix(made.Issuer, "https://"),
		"{party}", made.AuthorizedParty)
	m.token, err = r.forge(c.Token, good, r.sampled, strings.NewReplacer(words...).Replace)
	return append(words, "{token}", m.token, "{basic}", basic(m.token)), err
}

// basic are the credentials of a user x whose password is a token (RFC 7617
// section 2).
func basic(token string) string {
	return base64.StdEncoding.EncodeToString([]byte("x:" + token))
}

// parentOf is the domain of an audience without its first label.
func parentOf(audience string) string {
	_, parent, _ := strings.Cut(strings.TrimPrefix(audience, "https://"), ".")
	return parent
}

func pairsOf(form string) []string {
	if form == "" {
		return nil
	}
	return strings.Split(form, "&")
}

func firstParameter(form string) string { first, _, _ := strings.Cut(form, "&"); return first }

// edited returns parameters with edits made to them.
func edited(pairs []string, a *action, edits []Edit, fill func(string) string) []string {
	pairs = slices.Clone(pairs)
	for _, e := range edits {
		name, value := fill(e.Name), fill(e.Value)
		if e.Name == parameterName {
			name, value, _ = a.other()
			value = altered(value)
		}
		at := slices.IndexFunc(pairs, func(pair string) bool { n, _, _ := strings.Cut(pair, "="); return n == name })
		switch {
		case e.Op == Add:
			pairs = append(pairs, name+"="+value)
		case e.Op == First:
			pairs = slices.Insert(pairs, 0, name+"="+value)
		case at < 0:
		case e.Op == Put:
			pairs[at] = name + "=" + value
		case e.Op == Rename:
			_, kept, _ := strings.Cut(pairs[at], "=")
			pairs[at] = value + "=" + kept
		case e.Op == Remove:
			pairs = slices.Delete(pairs, at, at+1)
		}
	}
	return pairs
}

// fields are those of the header, but for the framing, in the order in which
// the provider sends them.
func (r *runner) fields(a *action, c Change, fill func(string) string) []dispatcher.Field {
	list := []dispatcher.Field{{Name: "Host", Value: a.authority}}
	if r.first.Bearer {
		values := c.Authorization
		if values == nil {
			values = []string{"Bearer {token}"}
		}
		for _, v := range values {
			list = append(list, dispatcher.Field{Name: "Authorization", Value: fill(v)})
		}
	}
	if a.Method == "POST" {
		list = append(list, dispatcher.Field{Name: "Content-Type", Value: dispatcher.ContentType})
	}
	list = append(list, dispatcher.Field{Name: "User-Agent", Value: dispatcher.UserAgent})
	list = slices.DeleteFunc(list, func(f dispatcher.Field) bool { return slices.Contains(c.Drop, f.Name) })
	for _, f := range c.Set {
		f.Value = fill(f.Value)
		at := slices.IndexFunc(list, func(have dispatcher.Field) bool { return have.Name == f.Name })
		if at >= 0 && f.Name != "Cookie" {
			list[at] = f
		} else {
			list = append(list, f)
		}
	}
	for i := range c.Extra {
		list = append(list, dispatcher.Field{Name: fmt.Sprintf("X-Unknown-%d", i+1), Value: "x"})
	}
	return list
}

// framed returns a body as it is sent, the fields that tell its end, and what is
// to be done after it: a request that is not whole ends with the connection.
func framed(method, body string, c Change) (string, []dispatcher.Field, dispatcher.Then) {
	length := func(n string) dispatcher.Field { return dispatcher.Field{Name: "Content-Length", Value: n} }
	whole := strconv.Itoa(len(body))
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	coding := dispatcher.Field{Name: "Transfer-Encoding", Value: "chunked"}
	both := func(body string) (string, []dispatcher.Field, dispatcher.Then) {
		return body, []dispatcher.Field{length(strconv.Itoa(len(body))), coding}, c.Then
	}
	one := func(body string, f dispatcher.Field, then dispatcher.Then) (string, []dispatcher.Field, dispatcher.Then) {
		return body, []dispatcher.Field{f}, then
	}
	switch c.Framing {
	case FramingChunked:
		return one(chunked, coding, c.Then)
	case FramingBoth:
		return both(chunked)
	case FramingUnknown:
		coding.Value = "xchunked"
		return both(chunked)
	case FramingSpace:
		coding.Name += " "
		return both(chunked)
	case FramingBadChunk:
		return both("0x" + chunked)
	case FramingSigned:
		return one(body, length("+"+whole), c.Then)
	case FramingTwice:
		return one(body, length(whole+", "+whole), c.Then)
	case FramingShort:
		return one(body, length(strconv.Itoa(len(body)/2)), c.Then)
	case FramingLong:
		return one(body, length(strconv.Itoa(len(body)+8)), dispatcher.ThenHalfClose)
	case FramingHalf:
		return one(body[:len(body)/2], length(whole), dispatcher.ThenHalfClose)
	case FramingNone:
		return body, nil, dispatcher.ThenHalfClose
	case FramingContinue:
		return body, []dispatcher.Field{length(whole), {Name: "Expect", Value: "100-continue"}}, c.Then
	case FramingLength, FramingBareLF:
	}
	if body == "" && (method == "GET" || method == "HEAD") {
		return body, nil, c.Then
	}
	return one(body, length(whole), c.Then)
}

// frame writes the request down, and says what is to be done after it.
func frame(method, target string, fields []dispatcher.Field, body string, c Change) ([]byte, dispatcher.Then) {
	body, framing, then := framed(method, body, c)
	fields = append(fields, framing...)
	if !slices.Contains(c.Drop, "Connection") {
		fields = append(fields, dispatcher.Field{Name: "Connection", Value: "close"})
	}
	end := "\r\n"
	if c.Framing == FramingBareLF {
		end = "\n"
	}
	version := c.Version
	if version == "" {
		version = "HTTP/1.1"
	}
	var b bytes.Buffer
	b.WriteString(method + " " + target + " " + version + end)
	for _, f := range fields {
		b.WriteString(f.Name + ": " + f.Value + end)
	}
	b.WriteString(end + body)
	return b.Bytes(), then
}

// send sends a message, and records it without its secrets.
func (r *runner) send(ctx context.Context, id string, m message) (dispatcher.Attempt, Exchange) {
	r.sent++
	m.raw.ID = fmt.Sprintf("probe-%d-%s", r.sent, id)
	attempt := r.o.Exchange(ctx, m.raw)
	attempt.Error = hiddenError(m, attempt.Error)
	return attempt, redact(m, attempt)
}
