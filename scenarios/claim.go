package scenarios

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
)

// Predicate says how a claim compares.
type Predicate string

// The predicates.
const (
	Exists   Predicate = "exists" // The only one without a value.
	Equal    Predicate = "=="
	NotEqual Predicate = "!="
	Contains Predicate = "contains"
	Matches  Predicate = "matches"
)

func predicates() []string {
	return []string{string(Exists), string(Equal), string(NotEqual), string(Contains), string(Matches)}
}

// Claim is what an expect step says.
type Claim struct {
	Path      Word
	Not       bool
	Predicate Predicate
	Value     Word           // Zero for Exists.
	Pattern   *regexp.Regexp // Of Matches, nil for all others.
}

// Claim returns what the step claims. The step is an expect that was accepted
// by [Parse]; of any other it returns the zero value.
func (s Step) Claim() Claim {
	c, m := parseClaim(s)
	if s.Verb != "expect" || m != nil {
		return Claim{}
	}
	return c
}

func checkExpect(s Step) *mistake {
	_, m := parseClaim(s)
	return m
}

func parseClaim(s Step) (Claim, *mistake) {
	if len(s.Words) == 0 {
		return Claim{}, &mistake{col: endCol(s.Src), msg: "expect needs PATH"}
	}
	c := Claim{Path: s.Words[0]}
	words := s.Words[1:]
	if len(words) > 0 && words[0].Text == "not" && !words[0].Quoted {
		c.Not, words = true, words[1:]
	}
	if len(words) == 0 {
		return c, &mistake{col: endCol(s.Src), msg: "expect needs a predicate: " + strings.Join(predicates(), ", ")}
	}
	c.Predicate = Predicate(words[0].Text)
	if !slices.Contains(predicates(), words[0].Text) {
		return c, &mistake{col: words[0].Col, msg: fmt.Sprintf("unknown predicate %q%s", words[0].Text, policy.Suggest(words[0].Text, predicates()))}
	}
	words = words[1:]
	want := 1
	if c.Predicate == Exists {
		want = 0
	}
	switch {
	case len(words) < want:
		return c, &mistake{col: endCol(s.Src), msg: fmt.Sprintf("%s needs a value", c.Predicate)}
	case len(words) > want && want == 1:
		return c, &mistake{col: words[1].Col, msg: fmt.Sprintf("%q is one word too many", words[1].Text), hint: "a value with blanks has to be quoted"}
	case len(words) > want:
		return c, &mistake{col: words[0].Col, msg: fmt.Sprintf("%q is one word too many: exists takes no value", words[0].Text)}
	case want == 1:
		c.Value = words[0]
	}
	if c.Predicate == Matches {
		var err error
		if c.Pattern, err = regexp.Compile(c.Value.Text); err != nil {
			return c, &mistake{col: c.Value.Col, msg: "reading regular expression: " + strings.TrimPrefix(err.Error(), "error parsing regexp: ")}
		}
	}
	return c, nil
}
