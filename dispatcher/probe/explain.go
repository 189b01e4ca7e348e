package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
)

// explain finds out why the good request was not accepted.
func (r *runner) explain(ctx context.Context, result *Result) error {
	const nothing = "the good request was not accepted, so the refusals prove nothing"
	switch {
	case r.spent != "":
		// What was accepted shows as well that not everything is refused.
		result.Mark, result.Detail = NotProven, result.Detail+butSince+r.spent+maybeSpent
		return nil
	case result.Outcome == Answered:
		r.problem("%s: %s", nothing, result.Detail)
		return nil
	case result.Mark == Undetermined:
		r.problem("%s: it was %s. %s", nothing, result.Detail, liftLimit)
		return nil
	case r.o.Fresh == nil && result.unjudged():
		r.problem("%s: %s", nothing, result.Detail)
		return nil
	case r.o.Fresh == nil:
		if locked, err := r.lockedOut(ctx, result); err != nil || locked {
			return err
		}
		r.hint(result)
		r.problem("%s. Either the service refuses every request, or a hostile one has used the action up. To tell the two apart, give it fresh actions: --again.%s",
			nothing, r.suspects())
		return nil
	}
	first, unjudged := result.Detail, result.unjudged()
	came, err := r.consumes(ctx, 0, result)
	if err != nil {
		return err
	}
	switch {
	case came == unclear:
		r.problem("%s; on a fresh action, to which nothing else was sent, nothing could be told either, for the service did not judge it. %s", nothing, liftLimit)
		return nil
	case came == burnt:
		if locked, err := r.lockedOut(ctx, result); err != nil || locked {
			return err
		}
		r.hint(result)
		r.problem("%s; a fresh action, to which nothing else was sent, made no difference", nothing)
		return nil
	case unjudged:
		r.note("the good request came to nothing once (" + first + "), and was accepted on a fresh action")
		return nil
	}
	return r.blame(ctx, result, first)
}

// unjudged says whether the service has told nothing of what it thinks of a
// request.
func (r Result) unjudged() bool { return r.Outcome == Unanswered || r.Outcome == Deferred }

// hint says what a good request may be refused for that is no fault of the
// service's.
func (r *runner) hint(result *Result) {
	if last := len(result.Exchanges) - 1; r.first.Bearer && last >= 0 && result.Exchanges[last].Status == 401 {
		r.note("if it is the token that is refused: the service must find the provider's keys, have the provider's time, and expect the audience " +
			quoted(r.first.Audience) + " (with --url that is what --domain names, whatever the dial token.aud says)")
	}
}

func (r *runner) problem(format string, args ...any) {
	r.report.Problems = append(r.report.Problems, fmt.Sprintf(format, args...))
}

// fate is what has become of an action.
type fate int

const (
	whole   fate = iota // The good request is accepted.
	burnt               // It is refused.
	unclear             // It is put off or not answered, which tells nothing.
)

// consumes says what becomes of a fresh action if the first hostile requests are
// sent before the good one. The answer to that, if it was accepted, goes into
// the result.
func (r *runner) consumes(ctx context.Context, first int, result *Result) (fate, error) {
	tried := r.tried
	r.spent = "it is tried once more"
	if err := r.renew(ctx); err != nil {
		return unclear, err
	}
	r.tried = tried
	for _, p := range tried[:first] {
		m, err := r.prepare(ctx, p)
		if errors.As(err, new(inapplicable)) {
			continue
		}
		if err != nil {
			return unclear, err
		}
		attempt, shown := r.send(ctx, p.ID, m)
		if err := r.reached(ctx, p, attempt, shown); err != nil {
			return unclear, err
		}
		if putOff(attempt) && attempt.Status != r.statusOf(p.ID) {
			return unclear, nil // It came to nothing, which it did not before.
		}
	}
	m, attempt, shown, err := r.insist(ctx, result.Probe)
	if err != nil {
		return unclear, err
	}
	seen, err := r.observe(ctx)
	if err != nil {
		return unclear, err
	}
	mark, out, detail := judge(result.Probe, observation{attempt: attempt, effect: seen})
	switch {
	case out == Accepted || out == Consumed:
		result.Mark, result.Outcome, result.Detail, result.Exchanges = mark, out, detail, shown
		r.accepted, r.spent = m, "the good request had been accepted before"
		return whole, nil
	case putOff(attempt) || out == Deferred || out == Unanswered:
		return unclear, nil
	}
	return burnt, nil
}

// statusOf is the last status that a probe was answered with.
func (r *runner) statusOf(id string) int {
	for _, result := range r.report.Results {
		if n := len(result.Exchanges); result.Probe.ID == id && n > 0 {
			return result.Exchanges[n-1].Status
		}
	}
	return 0
}

// blame finds the first hostile request after which the good one is refused,
// by halves: the good one is accepted after none of them and refused after all.
func (r *runner) blame(ctx context.Context, result *Result, first string) error {
	var failure error
	came := whole
	upTo := sort.Search(len(r.tried), func(i int) bool {
		if failure != nil || came == unclear {
			return true
		}
		came, failure = r.consumes(ctx, i+1, result)
		return came != whole
	})
	switch {
	case failure != nil:
		return failure
	case came == unclear:
		return r.blameNone(ctx, result, first)
	case upTo == len(r.tried):
		r.note("the good request was refused once (" + first + "), and accepted when all was done again")
		return nil
	}
	culprit := r.tried[upTo]
	result.Detail += "; but not on the action to which the hostile ones were sent, for " + culprit.ID + " had used it up"
	r.problem("%s used the action up, though it was refused: the good request after it was refused, too. Every other request that is refused may do the same, "+
		"so that leaving this one out (--skip) only moves the blame to the next. Have the limited-use token burnt only after everything else was verified: "+
		"mend this, then probe again", culprit.ID)
	r.mark(culprit.ID, Failed, Consumed, "the good request after it was refused, which it is not on a fresh action: this used the action up")
	for _, p := range r.tried[upTo+1:] {
		r.doubt(p.ID, culprit.ID+" had used the action up before")
	}
	// The last try may have been one that was refused.
	return r.acceptAgain(ctx, result)
}

// blameNone says that an action was used up, and that it cannot be told by what.
func (r *runner) blameNone(ctx context.Context, result *Result, first string) error {
	result.Detail += "; but not on the action to which the hostile ones were sent (" + first + ")"
	r.problem("the good request was accepted on a fresh action, but not on the one to which the hostile ones had been sent (%s). What has used that up could not be found out, "+
		"for the service put requests off meanwhile, or did not answer. %s", first, liftLimit)
	for _, p := range r.tried {
		r.doubt(p.ID, "one of them had used the action up")
	}
	return r.acceptAgain(ctx, result)
}

// acceptAgain has the good request accepted on a fresh action, for what follows
// it. Nothing follows if it is not.
func (r *runner) acceptAgain(ctx context.Context, result *Result) error {
	came, err := r.consumes(ctx, 0, result)
	if came != whole {
		r.accepted = message{}
	}
	return err
}

// mark changes a result that is in the report already. An empty outcome leaves
// that as it is.
func (r *runner) mark(id string, m Mark, out Outcome, detail string) {
	for i := range r.report.Results {
		if result := &r.report.Results[i]; result.Probe.ID == id {
			result.Mark, result.Outcome, result.Detail = m, cmp.Or(out, result.Outcome), result.Detail+"; "+detail
		}
	}
}

// doubt says of a refusal that it proves nothing.
func (r *runner) doubt(id, why string) {
	for i := range r.report.Results {
		if result := &r.report.Results[i]; result.Probe.ID == id && proves(result.Mark, result.Outcome) {
			result.Mark, result.Detail = NotProven, result.Detail+butSince+why
		}
	}
}

// maxSuspects is how many suspects are named.
const maxSuspects = 5

// suspects names the hostile requests that may have used the action up: those
// that were answered with success first, then those at which the service
// failed, and of the others only those that had the limited-use token.
func (r *runner) suspects() string {
	rank := map[Outcome]int{Answered: 0, ServerError: 1, Unanswered: 1, Redirected: 2, Deferred: 2, Refused: 3}
	var list []Result
	for _, result := range r.report.Results {
		if result.Probe.Phase == Hostile && result.Outcome != NotSent && result.Probe.Change.LimitedUse == "" {
			list = append(list, result)
		}
	}
	if len(list) == 0 {
		return ""
	}
	slices.SortStableFunc(list, func(a, b Result) int { return rank[a.Outcome] - rank[b.Outcome] })
	var names []string
	for i, s := range list {
		if i == maxSuspects {
			names = append(names, fmt.Sprintf("and %d more", len(list)-i))
			break
		}
		names = append(names, s.Probe.ID)
	}
	return " Suspects: " + strings.Join(names, ", ")
}
