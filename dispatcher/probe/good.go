package probe

import (
	"context"
	"fmt"

	"github.com/doppelbox/doppelbox/dispatcher"
)

// maxRetries is how often a good request that is answered with 408 is sent
// again, as the provider would.
const maxRetries = 3

// good sends the good request, and finds out why it is refused if it is.
func (r *runner) good(ctx context.Context) error {
	for _, p := range r.of(Good) {
		m, attempt, shown, err := r.insist(ctx, p)
		if err != nil {
			return err
		}
		seen, err := r.observe(ctx)
		if err != nil {
			return err
		}
		mark, out, detail := judge(p, observation{attempt: attempt, effect: seen})
		result := Result{Probe: p, Mark: mark, Outcome: out, Detail: detail, Exchanges: shown}
		if out == Accepted {
			r.accepted = m
			r.spent = "the good request had been accepted before"
		} else if err := r.explain(ctx, &result); err != nil {
			return err
		}
		r.add(result)
	}
	return nil
}

// insist sends the good request for the current action until it is answered
// with something else than 408, or too often.
func (r *runner) insist(ctx context.Context, p Probe) (m message, attempt dispatcher.Attempt, shown []Exchange, err error) {
	for step := range maxRetries + 1 {
		if m, err = r.build(r.act, p.Change, step, ""); err != nil {
			return m, attempt, shown, err
		}
		var e Exchange
		attempt, e = r.send(ctx, p.ID, m)
		shown = append(shown, e)
		if err = r.reached(ctx, p, attempt); err != nil || attempt.Status != 408 {
			break
		}
	}
	return m, attempt, shown, err
}

// explain finds out why the good request was not accepted.
func (r *runner) explain(ctx context.Context, result *Result) error {
	problem := func(format string, args ...any) {
		r.report.Problems = append(r.report.Problems, fmt.Sprintf(format, args...))
	}
	if r.spent != "" {
		// An accepted request that differs little shows as well that the
		// service accepts anything at all.
		result.Mark, result.Detail = NotProven, result.Detail+"; but "+r.spent
		return nil
	}
	if r.o.Fresh == nil {
		problem("the good request was refused; the refusals prove nothing")
		return nil
	}
	problem("the good request was refused; the refusals prove nothing")
	return nil
}

// after sends replays, retries, and what may be accepted.
func (r *runner) after(ctx context.Context) error {
	return nil
}

// conclude looks at the results as a whole.
func (r *runner) conclude() {}
