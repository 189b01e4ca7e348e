package scenarios

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/doppelbox/doppelbox/receiver/mailbox"
)

// before is what there was when steps came to a provider that runs already. What
// is told of lists that grow is bounded by it: else each answer would have all
// that ever happened.
type before struct {
	rows  map[string]int  // By the name of the list and the id: a count that grows with the row.
	named map[string]bool // Rows that a claim of these steps names, such as "request.3".
}

// resume has the steps go on from what a running provider has: its last click is
// the one that they speak of, until they make one.
func (r *Runner) resume(ctx context.Context) error {
	b := &before{map[string]int{}, map[string]bool{}}
	clicks, err := r.allClicks(ctx)
	if err != nil {
		return err
	}
	for i, c := range clicks {
		attempts, err := r.attempts(ctx, c)
		if err != nil {
			return err
		}
		b.rows["request/"+c.ID] = len(attempts)
		r.click = &clicks[i]
	}
	outgoing, err := r.p.Store().Outgoing(ctx, r.p.WorldName())
	if err != nil {
		return err
	}
	for _, o := range outgoing {
		b.rows["outgoing/"+o.ID] = o.Attempts
	}
	accesses, err := r.p.Store().Accesses(ctx, r.p.WorldName())
	if err != nil {
		return err
	}
	for _, a := range accesses {
		b.rows["access/"+a.ID] = len(a.Read)
	}
	r.before = b
	return nil
}

// name notes the row of a list that a claim is about.
func (r *Runner) name(path string) {
	if list, rest, ok := strings.Cut(path, "."); ok && r.before != nil {
		n, _, _ := strings.Cut(rest, ".")
		r.before.named[list+"."+n] = true
	}
}

// tells says whether row i of n of a list is told of: in a run with a provider
// of its own each is; else one that the steps made, carried on or name, and the
// last one.
func (r *Runner) tells(list string, i, n int, id string, count int) bool {
	if r.before == nil || i == n-1 || r.before.named[list+"."+strconv.Itoa(i)] {
		return true
	}
	was, known := r.before.rows[list+"/"+id]
	return !known || was != count
}

// clickPaths tells of the last click, of requests, and of the token of the last
// one that carried one.
func (r *Runner) clickPaths(ctx context.Context, p *paths) error {
	clicks, err := r.allClicks(ctx)
	if err != nil {
		return err
	}
	if r.click != nil {
		last := *r.click
		for _, c := range clicks {
			if c.ID == last.ID {
				last = c
			}
		}
		p.add("click", string(last.Verdict.Answer))
		p.add("click.state", string(last.State))
		p.add("click.reason", string(last.Verdict.Reason))
		p.some("click.decider", string(last.Verdict.Decider))
		p.some("click.target", last.Verdict.Target)
		p.add("click.persona", string(last.Persona))
		p.findings("click.check.", last.Answered)
	}
	fired := slices.DeleteFunc(clicks, func(c mailbox.Click) bool { return c.Verdict.Request == nil })
	p.count("requests", len(fired))
	told, token := make([]paths, len(fired)), ""
	for i, c := range slices.Backward(fired) {
		attempts, err := r.attempts(ctx, c)
		if err != nil {
			return err
		}
		tells := r.tells("request", i, len(fired), c.ID, len(attempts))
		if !tells && token != "" {
			continue
		}
		var one paths
		if t := one.request("request."+strconv.Itoa(i), c, attempts); token == "" {
			token = t
		}
		if tells {
			told[i] = one
		}
	}
	*p = append(*p, slices.Concat(told...)...)
	r.tokenPaths(p, token)
	return nil
}

// attempts returns the attempts at the request of a click; none if it has been
// forgotten meanwhile, with its message.
func (r *Runner) attempts(ctx context.Context, c mailbox.Click) ([]mailbox.Attempt, error) {
	list, err := r.p.Store().Attempts(ctx, r.p.WorldName(), c.ID)
	if errors.Is(err, mailbox.ErrNotFound) {
		return nil, nil
	}
	return list, err
}

// allClicks returns the clicks on all messages that are still kept, oldest
// first.
func (r *Runner) allClicks(ctx context.Context) ([]mailbox.Click, error) {
	all, err := r.p.Store().AllClicks(ctx, r.p.WorldName())
	if err != nil {
		return nil, err
	}
	// Ids count up: a longer one is a later one.
	slices.SortFunc(all, func(a, b mailbox.Click) int {
		return cmp.Or(cmp.Compare(len(a.ID), len(b.ID)), cmp.Compare(a.ID, b.ID))
	})
	return all, nil
}
