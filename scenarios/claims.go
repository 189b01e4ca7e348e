package scenarios

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
)

// expect evaluates a claim. What is due is done first, so that a claim is
// about what has happened, and nothing has to be waited for.
func (r *Runner) expect(ctx context.Context, s Step) error {
	if err := r.p.Drain(ctx); err != nil {
		return err
	}
	c := s.Claim()
	r.name(c.Path.Text)
	list, err := r.paths(ctx, strings.HasPrefix(c.Path.Text, "key") || strings.HasPrefix(c.Path.Text, "stored"))
	if err != nil {
		return err
	}
	actual, ok := lookup(list, c.Path.Text)
	if c.Predicate == Exists {
		if ok == c.Not {
			word := "nothing"
			if ok {
				word = fmt.Sprintf("%q", actual)
			}
			return r.at(s, c.Path, "there is %s at %q", word, c.Path.Text)
		}
		return nil
	}
	if !ok {
		return r.unknownPath(s, c.Path, list)
	}
	if c.holds(actual) == c.Not {
		return r.at(s, c.Value, "actual value is %q", actual)
	}
	return nil
}

func lookup(list []Path, name string) (string, bool) {
	for _, p := range list {
		if p.Name == name {
			return p.Value, true
		}
	}
	return "", false
}

// holds says whether the predicate is true of a value, "not" left aside.
func (c Claim) holds(actual string) bool {
	switch c.Predicate {
	case Equal:
		return actual == c.Value.Text
	case NotEqual:
		return actual != c.Value.Text
	case Contains:
		return strings.Contains(actual, c.Value.Text)
	case Matches:
		return c.Pattern.MatchString(actual)
	}
	return false
}

func (r *Runner) unknownPath(s Step, path Word, list []Path) error {
	names := make([]string, len(list))
	for i, p := range list {
		names[i] = p.Name
	}
	err := r.at(s, path, "there is nothing at %q", path.Text)
	if near, ok := policy.Nearest(path.Text, names); ok {
		err.Msg += fmt.Sprintf("; did you mean %q?", near)
	}
	err.Hint = "replay --paths prints every path that there is at the end of a file"
	return err
}

// sessionID is how a reply ends: with an id that is another one on each run.
var sessionID = regexp.MustCompile(`[0-9a-f]{13}-[0-9a-f]{11}si[0-9]{9}[a-f]\.[0-9]+ - gsmtp$`)

// comparable are the texts that cmp can compare.
func (r *Runner) comparable(ctx context.Context, what string) (string, error) {
	switch what {
	case "verdict":
		if r.message != nil {
			return r.message.Verdict.Text(), nil
		}
	case "mail":
		if r.message != nil {
			return strings.ReplaceAll(string(r.message.Raw), "\r\n", "\n"), nil
		}
	case "reply":
		if r.last != nil {
			return sessionID.ReplaceAllString(r.last.Reply.String(), "(session) - gsmtp"), nil
		}
	case "click":
		if r.click != nil {
			return r.click.Verdict.Text(), nil
		}
	case "request":
		return r.lastSent(ctx)
	}
	return "", fmt.Errorf("there is no %s yet", what)
}

// lastSent is the last request as it went out. The token, which is another one
// on each run, is replaced.
func (r *Runner) lastSent(ctx context.Context) (string, error) {
	if r.click == nil {
		return "", fmt.Errorf("there is no request yet")
	}
	attempts, err := r.p.Store().Attempts(ctx, r.p.WorldName(), r.click.ID)
	if err != nil {
		return "", err
	}
	if len(attempts) == 0 || len(attempts[len(attempts)-1].Sent) == 0 {
		return "", fmt.Errorf("the last click made no request")
	}
	return strings.ReplaceAll(Redact(attempts[len(attempts)-1]), "\r\n", "\n"), nil
}

// Comparable returns what cmp can compare.
func Comparable() []string { return []string{"verdict", "mail", "reply", "click", "request"} }

func (r *Runner) cmp(ctx context.Context, s Step) error {
	if err := r.p.Drain(ctx); err != nil {
		return err
	}
	what, name := s.Words[0], s.Words[1]
	got, err := r.comparable(ctx, what.Text)
	if err != nil {
		return r.at(s, what, "%s", err)
	}
	// A section always ends its last line; the body of a request need not.
	if got != "" && !strings.HasSuffix(got, "\n") {
		got += "\n"
	}
	want, _ := r.file.Section(name.Text)
	if bytes.Equal([]byte(got), want) {
		return nil
	}
	if r.update {
		r.updated = true
		return r.file.SetSection(name.Text, []byte(got))
	}
	line, g, w := firstDifference(got, string(want))
	e := r.at(s, name, "%s differs from section %q in line %d: it is %q, and the section has %q", what.Text, name.Text, line, g, w)
	e.Hint = "replay --update writes the section anew"
	return e
}

// firstDifference returns the first line that differs, from 1.
func firstDifference(got, want string) (line int, g, w string) {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(a), len(b)) {
		g, w = "", ""
		if i < len(a) {
			g = a[i]
		}
		if i < len(b) {
			w = b[i]
		}
		if g != w || i >= len(a) || i >= len(b) {
			return i + 1, g, w
		}
	}
	return 1, got, want
}
