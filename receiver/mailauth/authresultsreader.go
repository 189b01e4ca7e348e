package mailauth

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/doppelbox/doppelbox/policy"
)

const (
	// maxResultsField bounds the field in octets: Gmail takes 32 KB for any
	// field (gmail-inbound.md 1.5).
	maxResultsField = 32 << 10
	// maxMethods and maxProperties bound the clauses of a field and the
	// properties of a clause: ten signatures and four other methods are much,
	// and no registered method has ten properties.
	maxMethods    = 100
	maxProperties = 20
	// maxResultsComment bounds nested comments, as package message does.
	maxResultsComment = 20
)

// AuthResults is the content of an Authentication-Results field (RFC 8601 2.2)
// or of an ARC-Authentication-Results field (RFC 8617 4.1.1).
type AuthResults struct {
	Instance int            // i= of ARC-Authentication-Results; zero without.
	ServID   string         // The authserv-id, unquoted; empty if it could not be read.
	Version  int            // 1 if the field states none.
	Methods  []MethodResult // In order; empty for "none".
}

// MethodResult is one clause: what one method found.
type MethodResult struct {
	Method     string            // In lower case.
	Version    int               // Of the method; 1 if the clause states none.
	Result     policy.AuthResult // In lower case; it need not be one that is known.
	Reason     string
	Comments   []string // Without their parentheses.
	Properties []Property
}

// Property is what a result refers to.
type Property struct {
	Name  string // ptype and property with a dot, such as "smtp.mailfrom", in lower case.
	Value string // Unquoted; a quoted local part keeps its quotes.
}

// Get returns the value of the first property of that name, which is ptype and
// property, such as "header.from".
func (m MethodResult) Get(name string) (value string, ok bool) {
	for _, p := range m.Properties {
		if p.Name == name {
			return p.Value, true
		}
	}
	return "", false
}

var (
	errResultsLong    = fmt.Errorf("longer than %d octets", maxResultsField)
	errResultsMany    = fmt.Errorf("more than %d methods or %d properties of one", maxMethods, maxProperties)
	errResultsComment = errors.New("a comment that does not end, or too many in one another")
	errResultsQuote   = errors.New("a quoted string that does not end")
)

// ParseAuthenticationResults reads the value of such a field, folded or not.
// An error names the first deviation from RFC 8601; what stands before it is
// returned all the same, whole clauses only. A semicolon at the end is one.
func ParseAuthenticationResults(value string) (AuthResults, error) {
	r := resultsReader{out: AuthResults{Version: 1}}
	if len(value) > maxResultsField {
		return r.out, fmt.Errorf("reading results: %w", errResultsLong)
	}
	r.text = strings.TrimRight(strings.NewReplacer("\r\n", "", "\n", "").Replace(value), " \t")
	if err := r.read(); err != nil {
		return r.out, fmt.Errorf("reading results: octet %d: %w", r.pos+1, err)
	}
	return r.out, nil
}

// resultsReader reads one field.
type resultsReader struct {
	text     string
	pos      int
	comments []string // Those met since they were last taken.
	out      AuthResults
}

func (r *resultsReader) read() error {
	id, err := r.servID()
	if err != nil {
		return err
	}
	if err := r.skip(); err != nil {
		return err
	}
	version := r.run(isDigit)
	if version != "" {
		if r.out.Version, err = strconv.Atoi(version); err != nil {
			return fmt.Errorf("version %q", clip(version))
		}
		if err := r.skip(); err != nil {
			return err
		}
	}
	if !r.atEnd() && r.text[r.pos] != ';' {
		return errors.New("neither a version nor a semicolon after the authserv-id")
	}
	r.out.ServID = id
	if r.atEnd() {
		return errors.New("no result")
	}
	for !r.atEnd() {
		if len(r.out.Methods) == maxMethods {
			return errResultsMany
		}
		more, err := r.clause()
		if err != nil {
			return err
		}
		if !more && !r.atEnd() {
			return errors.New(`text after "none"`)
		}
	}
	return nil
}

// servID reads the authserv-id, and the instance that ARC has before it.
func (r *resultsReader) servID() (string, error) {
	if err := r.skip(); err != nil {
		return "", err
	}
	if err := r.instance(); err != nil {
		return "", err
	}
	var id string
	if strings.HasPrefix(r.text[r.pos:], `"`) {
		var err error
		if id, err = r.quoted(); err != nil {
			return "", err
		}
	} else {
		// Characters beyond ASCII are those of U-labels.
		id = r.run(func(c byte) bool { return c >= utf8.RuneSelf || isToken(string(rune(c))) })
	}
	if id == "" {
		return "", errors.New("no authserv-id")
	}
	return id, nil
}

// instance reads the "i=1;" that ARC has, if it stands here.
func (r *resultsReader) instance() error {
	start := r.pos
	if r.keyword() != "i" || r.skip() != nil || r.atEnd() || r.text[r.pos] != '=' {
		r.pos = start
		return nil
	}
	if err := r.expect('='); err != nil {
		return err
	}
	text := r.run(isDigit)
	n, err := strconv.Atoi(text)
	if err != nil || n == 0 {
		return fmt.Errorf("instance %q", clip(text))
	}
	r.out.Instance = n
	return r.expect(';')
}

// clause reads a semicolon and what follows it. more is false for "none".
func (r *resultsReader) clause() (more bool, err error) {
	r.comments = nil
	if err := r.expect(';'); err != nil {
		return false, err
	}
	m := MethodResult{Version: 1}
	if m.Method = r.keyword(); m.Method == "" {
		return false, errors.New("no method")
	}
	if err := r.skip(); err != nil {
		return false, err
	}
	if m.Method == "none" && r.atEnd() && len(r.out.Methods) == 0 {
		return false, nil
	}
	if strings.HasPrefix(r.text[r.pos:], "/") {
		if err := r.expect('/'); err != nil {
			return false, err
		}
		text := r.run(isDigit)
		if m.Version, err = strconv.Atoi(text); err != nil {
			return false, fmt.Errorf("method version %q", clip(text))
		}
	}
	if err := r.expect('='); err != nil {
		return false, err
	}
	if m.Result = policy.AuthResult(r.keyword()); m.Result == "" {
		return false, errors.New("no result")
	}
	if err := r.properties(&m); err != nil {
		return false, err
	}
	m.Comments = r.comments
	r.out.Methods = append(r.out.Methods, m)
	return true, nil
}

// properties reads up to the next semicolon.
func (r *resultsReader) properties(m *MethodResult) error {
	for {
		before := r.pos
		if err := r.skip(); err != nil {
			return err
		}
		if r.atEnd() || r.text[r.pos] == ';' {
			return nil
		}
		if r.pos == before && len(m.Properties) == 0 {
			return errors.New("no white space before a property")
		}
		name := r.keyword()
		if err := r.skip(); err != nil {
			return err
		}
		isReason := name == "reason" && m.Reason == "" && len(m.Properties) == 0
		if !isReason {
			if err := r.expect('.'); err != nil {
				return err
			}
			property := r.keyword()
			if name == "" || property == "" {
				return errors.New("no name of a property")
			}
			name += "." + property
		}
		if err := r.expect('='); err != nil {
			return err
		}
		value, err := r.value()
		switch {
		case err != nil:
			return err
		case isReason:
			m.Reason = value
			continue
		case len(m.Properties) == maxProperties:
			return errResultsMany
		}
		m.Properties = append(m.Properties, Property{name, value})
	}
}

// value reads a pvalue. Without quotes it may be more than the grammar allows:
// IPv6 addresses and addresses with "=" are written so by many.
func (r *resultsReader) value() (string, error) {
	start := r.pos
	value := ""
	if strings.HasPrefix(r.text[r.pos:], `"`) {
		var err error
		if value, err = r.quoted(); err != nil || !strings.HasPrefix(r.text[r.pos:], "@") {
			return value, err
		}
	}
	r.run(func(c byte) bool { return c > ' ' && c != 0x7f && strings.IndexByte("();\"\\", c) < 0 })
	if r.pos == start {
		return "", errors.New("no value")
	}
	return r.text[start:r.pos], nil
}

// quoted reads a quoted string.
func (r *resultsReader) quoted() (string, error) {
	end := quotedEnd(r.text[r.pos:])
	if end == 0 {
		return "", errResultsQuote
	}
	inner := r.text[r.pos+1 : r.pos+end-1]
	r.pos += end
	return unescapePairs(inner), nil
}

func unescapePairs(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// keyword reads a Keyword of RFC 8601 2.2, in lower case. Underscores are in
// names that are in use.
func (r *resultsReader) keyword() string {
	return strings.ToLower(r.run(func(c byte) bool { return isAlpha(c) || isDigit(c) || c == '-' || c == '_' }))
}

// expect reads one octet with white space and comments around it.
func (r *resultsReader) expect(c byte) error {
	if err := r.skip(); err != nil {
		return err
	}
	if r.atEnd() || r.text[r.pos] != c {
		return fmt.Errorf("no %q", c)
	}
	r.pos++
	return r.skip()
}

func (r *resultsReader) atEnd() bool { return r.pos == len(r.text) }

func (r *resultsReader) run(ok func(c byte) bool) string {
	start := r.pos
	for r.pos < len(r.text) && ok(r.text[r.pos]) {
		r.pos++
	}
	return r.text[start:r.pos]
}

// skip passes over white space and comments (CFWS).
func (r *resultsReader) skip() error {
	for !r.atEnd() {
		switch r.text[r.pos] {
		case ' ', '\t', '\r':
			r.pos++
		case '(':
			if err := r.comment(); err != nil {
				return err
			}
		default:
			return nil
		}
	}
	return nil
}

func (r *resultsReader) comment() error {
	start, depth := r.pos+1, 0
	for ; r.pos < len(r.text); r.pos++ {
		switch r.text[r.pos] {
		case '\\':
			r.pos++
		case '(':
			if depth++; depth > maxResultsComment {
				return errResultsComment
			}
		case ')':
			if depth--; depth == 0 {
				r.comments = append(r.comments, unescapePairs(r.text[start:r.pos]))
				r.pos++
				return nil
			}
		}
	}
	r.pos = len(r.text)
	return errResultsComment
}
