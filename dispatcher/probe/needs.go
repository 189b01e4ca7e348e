package probe

import (
	"context"
	"fmt"
)

// lacking says what is missing where a need is not met.
var lacking = map[Need]string{
	NeedBearer:     "the sender asked for no bearer tokens",
	NeedLimitedUse: "the URL has no limited-use token (--limited-use names it)",
	NeedPost:       "the action's own method is GET",
	NeedForm:       "the action's good request has no form",
	NeedParameter:  "the URL has no parameter besides the limited-use token",
	NeedKeysURL:    "no URL is known at which the service could reach our keys",
	NeedOther:      "there is no other provider",
	NeedFresh:      "it needs a fresh action, and there is only this one: give it fresh actions (--again)",
	NeedOtherUser:  "it needs the same action for another user: give it one (--other)",
	NeedRotate:     "it needs a rotation of the keys: allow it (--rotate)",
}

// lacks says why a probe cannot be sent; empty if it can.
func (r *runner) lacks(p Probe) string {
	for _, n := range p.Needs() {
		if n == NeedLimitedUse && r.rivals != "" {
			return "which value is the limited-use token cannot be told (--limited-use names it)"
		}
		if !r.has(n) {
			return lacking[n]
		}
	}
	return ""
}

func (r *runner) has(n Need) bool {
	switch n {
	case NeedBearer:
		return r.first.Bearer
	case NeedLimitedUse:
		return r.act.limited.at != ""
	case NeedPost:
		return r.first.Method == "POST"
	case NeedForm:
		return r.first.Method == "POST" && r.first.Body != ""
	case NeedParameter:
		_, _, ok := r.act.other()
		return ok
	case NeedKeysURL:
		return r.o.KeysURL != ""
	case NeedOther:
		return r.o.Other != nil
	case NeedFresh:
		return r.o.Fresh != nil
	case NeedOtherUser:
		return r.o.OtherUser != nil
	case NeedRotate:
		return r.o.Rotate != nil
	}
	return true
}

// lender returns another action, for a probe that needs one.
func (r *runner) lender(ctx context.Context, p Probe) (*action, error) {
	if p.Change.LimitedUse == LimitedOther {
		t, err := r.o.Fresh(ctx)
		if err != nil {
			return nil, fmt.Errorf("probe: getting a fresh action (--again): %w", err)
		}
		return r.takeFrom("the fresh action (--again)", t)
	}
	if r.stranger == nil {
		t, err := r.o.OtherUser(ctx)
		if err != nil {
			return nil, fmt.Errorf("probe: getting another user's action (--other): %w", err)
		}
		if r.stranger, err = r.takeFrom("another user's action (--other)", t); err != nil {
			return nil, err
		}
	}
	return r.stranger, nil
}

// strangerFor returns the limited-use token of another action, for a probe that
// needs one. The error is inapplicable if the URLs differ in nothing else: then
// the exchange would make the other action's own good request.
func (r *runner) strangerFor(ctx context.Context, p Probe) (string, error) {
	if !p.Change.crosses() {
		return "", nil
	}
	other, err := r.lender(ctx, p)
	if err != nil {
		return "", err
	}
	r.lent = other
	if other.limited.at != r.act.limited.at || other.limited.name != r.act.limited.name {
		return "", inapplicable{"the other action has its limited-use token in another place"}
	}
	if other.limited.value == r.act.limited.value {
		return "", inapplicable{"the other action has the same limited-use token"}
	}
	swapped, err := r.act.withLimited(LimitedOther, other.limited.value)
	if err != nil {
		return "", inapplicable{err.Error()}
	}
	if swapped.path == other.path && fmt.Sprint(swapped.query) == fmt.Sprint(other.query) {
		return "", inapplicable{"the URLs of the two actions differ in the limited-use token alone, which is then all that says whose action it is"}
	}
	return other.limited.value, nil
}

// swapped is the other user's action with the limited-use token of this one.
func (r *runner) swapped() *action {
	spot, err := r.stranger.withLimited(LimitedOther, r.act.limited.value)
	if err != nil {
		return r.stranger // strangerFor has tried it.
	}
	a := *r.stranger
	a.path, a.query, a.limited.value = spot.path, spot.query, r.act.limited.value
	return &a
}
