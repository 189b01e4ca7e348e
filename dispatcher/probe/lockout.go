package probe

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// lockedOut finds out whether the good request is refused since so much was
// refused before: whether a hostile one that was answered in another way at
// first is answered now as the good one is. That has to be tried without what a
// hostile request may have used up: on a fresh action or, if there is none,
// without the limited-use token.
func (r *runner) lockedOut(ctx context.Context, result *Result) (bool, error) {
	good := result.Exchanges[len(result.Exchanges)-1]
	for _, before := range r.report.Results {
		p := before.Probe
		if p.Phase != Hostile || before.Outcome != Refused || len(before.Exchanges) != 1 || sameAnswer(before.Exchanges[0], good) || !r.leavesAlone(p.Change) {
			continue
		}
		r.spent = "the good request was tried on it"
		if err := r.renew(ctx); err != nil {
			return false, err
		}
		m, err := r.prepare(ctx, p)
		if errors.As(err, new(inapplicable)) {
			continue
		}
		if err != nil {
			return false, err
		}
		attempt, now := r.send(ctx, p.ID, m)
		if err := r.reached(ctx, p, attempt, now); err != nil || !sameAnswer(now, good) {
			return false, err
		}
		result.Mark = Undetermined
		result.Detail += fmt.Sprintf("; but so is %s now, which was answered %d at first", p.ID, before.Exchanges[0].Status)
		r.problem("the good request was not accepted, so the refusals prove nothing; the service seems to lock out whoever it has refused often: "+
			"%s was answered %d at first, and is answered %d now, as the good request is. %s", p.ID, before.Exchanges[0].Status, good.Status, liftLimit)
		return true, nil
	}
	return false, nil
}

// leavesAlone says whether the answer to a change cannot be about an action that
// a hostile request has used up.
func (r *runner) leavesAlone(c Change) bool {
	if r.o.Fresh != nil {
		return c.LimitedUse == "" && c.Plan == Once
	}
	return slices.Contains([]LimitedUse{LimitedMissing, LimitedEmpty, LimitedAltered}, c.LimitedUse)
}

// sameAnswer compares two answers.
func sameAnswer(a, b Exchange) bool { return a.Status == b.Status && a.Answer == b.Answer }
