package probe

import (
	"context"

	"github.com/doppelbox/doppelbox/dispatcher"
)

// maxRetries is how often a good request that is answered with 408 is sent
// again, as the provider would.
const maxRetries = 3

// good sends the good request, and finds out why it is refused if it is.
func (r *runner) good(ctx context.Context) error {
	for _, p := range r.of(Good) {
		if err := r.renew(ctx); err != nil {
			return err
		}
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
		if out == Accepted || out == Consumed { // By another answer than 200, which a replay may follow all the same.
			if r.spent == "" {
				r.accepted = m // Otherwise it was another that was carried out.
			}
			r.spent = "the good request had been accepted before"
		} else {
			err = r.explain(ctx, &result)
		}
		r.add(result)
		if err != nil {
			return err
		}
	}
	return nil
}

// insist sends the good request for the current action until it is answered
// with something else than 408, or too often.
func (r *runner) insist(ctx context.Context, p Probe) (m message, attempt dispatcher.Attempt, shown []Exchange, err error) {
	for range maxRetries + 1 {
		if m, err = r.build(r.act, p.Change, ""); err != nil {
			return m, attempt, shown, err
		}
		var e Exchange
		attempt, e = r.send(ctx, p.ID, m)
		shown = append(shown, e)
		if err = r.reached(ctx, p, attempt, e); err != nil || attempt.Status != 408 {
			break
		}
	}
	return m, attempt, shown, err
}
