package policy_test

import (
	"slices"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
)

// TestProblems: the limit is one of repetitions, in one list and over joins.
func TestProblems(t *testing.T) {
	t.Parallel()
	var p policy.Problems
	if p.List() != nil {
		t.Error("a list of nothing")
	}
	for range 2 * policy.MaxProblems {
		p.Add(policy.Place{Line: 1}, "a", "a %d", 1)
	}
	p.Add(policy.Place{}, "b", "b")
	p.Add(policy.Place{}, "b", "b again")
	list := p.List()
	if n := len(list); n != policy.MaxProblems+2 || list[0] != (policy.Problem{Code: "a", Text: "a 1", Place: policy.Place{Line: 1}}) || list[n-2].Text != "b" || list[n-1].Code != policy.ProblemMore {
		t.Errorf("%d problems, %v", n, list)
	}

	var q policy.Problems
	q.Add(policy.Place{}, "c", "c")
	q.Join(list)
	q.Join(list)
	q.Add(policy.Place{}, "d", "d")
	var codes []policy.Reason
	for _, x := range q.List() {
		if !slices.Contains(codes, x.Code) {
			codes = append(codes, x.Code)
		}
	}
	if want := []policy.Reason{"c", "a", "b", "d", policy.ProblemMore}; !slices.Equal(codes, want) {
		t.Errorf("codes %q, want %q", codes, want)
	}
	if again := q.List(); len(again) != policy.MaxProblems+3 || again[len(again)-1].Code != policy.ProblemMore {
		t.Errorf("the second time %d problems", len(again))
	}
}
