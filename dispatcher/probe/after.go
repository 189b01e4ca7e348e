package probe

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/doppelbox/doppelbox/dispatcher"
)

// after sends replays of what was accepted, then retries and what may be
// accepted, on fresh actions.
func (r *runner) after(ctx context.Context) error {
	for _, p := range r.of(After) {
		switch p.Change.Plan {
		case OldToken, AfterTurn:
			continue // The keys change for all that follows.
		}
		if err := r.follow(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// turn has the keys rotate, and tries what must work then.
func (r *runner) turn(ctx context.Context) error {
	for _, p := range r.of(After) {
		switch p.Change.Plan {
		case OldToken, AfterTurn:
			if err := r.follow(ctx, p); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *runner) follow(ctx context.Context, p Probe) error {
	why := r.lacks(p)
	if why == "" && r.accepted.raw.Octets == nil {
		why = "no request was accepted that it could follow"
	}
	if why != "" {
		r.skip(p, why)
		return nil
	}
	switch p.Change.Plan {
	case Replay:
		m := r.accepted
		m.raw.Octets = withParameters(m.raw.Octets, p.Change.Query)
		return r.repeat(ctx, p, m)
	case Again:
		m, err := r.build(r.accepted.of, p.Change, "")
		if err != nil {
			return r.inapplicable(p, err)
		}
		return r.repeat(ctx, p, m)
	case AtOnce, TwoBearers:
		return r.atOnce(ctx, p)
	case ThenGood:
		return r.thenGood(ctx, p)
	case SameToken, Resigned:
		return r.sameToken(ctx, p)
	case OldToken, AfterTurn:
		return r.rotation(ctx, p)
	}
	return r.try(ctx, p)
}

// withParameters returns a request with parameters added to its target.
func withParameters(octets []byte, edits []Edit) []byte {
	method, rest, _ := strings.Cut(string(octets), " ")
	target, rest, _ := strings.Cut(rest, " ")
	for _, e := range edits {
		separator := "?"
		if strings.Contains(target, "?") {
			separator = "&"
		}
		target += separator + e.Name + "=" + e.Value
	}
	return []byte(method + " " + target + " " + rest)
}

// repeat sends something for an action that was carried out.
func (r *runner) repeat(ctx context.Context, p Probe, m message) error {
	attempt, shown := r.send(ctx, p.ID, m)
	return r.conclusion(ctx, p, attempt, []Exchange{shown})
}

// conclusion judges a probe by its last answer.
func (r *runner) conclusion(ctx context.Context, p Probe, a dispatcher.Attempt, shown []Exchange) error {
	if err := r.reached(ctx, p, a, shown[len(shown)-1]); err != nil {
		return err
	}
	seen, err := r.observe(ctx)
	if err != nil {
		return err
	}
	mark, out, detail := judge(p, observation{attempt: a, effect: seen})
	r.add(Result{Probe: p, Mark: mark, Outcome: out, Detail: detail, Exchanges: shown})
	return nil
}

// fresh takes a fresh action, on which only one probe is tried.
func (r *runner) fresh(ctx context.Context, p Probe) error {
	if r.spent == "" {
		r.spent = "another probe was tried on it"
	}
	if err := r.renew(ctx); err != nil {
		return err
	}
	r.spent = p.ID + " was tried on it"
	return nil
}

// atOnce sends the good request twice, at the same time, with one bearer token
// or with two.
func (r *runner) atOnce(ctx context.Context, p Probe) error {
	if err := r.fresh(ctx, p); err != nil {
		return err
	}
	m, err := r.build(r.act, p.Change, "")
	if err != nil {
		return r.inapplicable(p, err)
	}
	messages := [2]message{m, m}
	if p.Change.Plan == TwoBearers {
		if messages[1], err = r.build(r.act, p.Change, ""); err != nil {
			return r.inapplicable(p, err)
		}
	}
	var (
		wg       sync.WaitGroup
		attempts [2]dispatcher.Attempt
		shown    []Exchange
	)
	for i := range attempts {
		r.sent++
		messages[i].raw.ID = fmt.Sprintf("probe-%d-%s", r.sent, p.ID)
		raw := messages[i].raw
		wg.Go(func() { attempts[i] = r.o.Exchange(ctx, raw) })
	}
	wg.Wait()
	accepted, open := 0, 0
	for i, a := range attempts {
		shown = append(shown, redact(messages[i], a))
		if err := r.reached(ctx, p, a, shown[len(shown)-1]); err != nil {
			return err
		}
		switch out := outcome(a, unseen); {
		case out == Accepted:
			accepted++
		case out == Deferred || out == Unanswered || putOff(a):
			open++
		}
	}
	before := r.effect
	if err := r.observeFirst(ctx); err != nil {
		return err
	}
	mark, out, detail := judgeTwo(accepted, open, before, r.effect, r.o.Effects != nil)
	// Of what may be a retry, to accept both is sound.
	either := !r.first.Bearer || p.Expect == AtMostOnce
	if mark == Failed && accepted == 2 && either && r.o.Effects == nil {
		mark, detail = Noted, detail+": sound if it was done once, which cannot be seen without an observer that counts (--effects)"
	} else if mark == Noted && out == Answered && either {
		mark = Held
	}
	r.add(Result{Probe: p, Mark: mark, Outcome: out, Detail: detail, Exchanges: shown})
	return nil
}

// countEffects is what lets once be told from twice.
const countEffects = "--effects prints a number that goes up or down by one whenever the action is carried out"

// judgeTwo judges two requests of which at most one may act. open is how many
// were put off or not answered.
func judgeTwo(accepted, open int, before, after string, seen bool) (Mark, Outcome, string) {
	n, counted := times(before, after)
	once := seen && counted && n == 1
	switch {
	case seen && counted && n > 1:
		return Failed, Accepted, fmt.Sprintf("%d of two were accepted, and the action was carried out %d times", accepted, n)
	case open > 0 && accepted < 2:
		return Undetermined, Deferred, fmt.Sprintf("%d of two were accepted, and %d put off or not answered, which is no judgement", accepted, open)
	case accepted == 0 && once:
		return Failed, Consumed, "neither of two was answered 200, though the action was carried out once"
	case accepted == 0:
		return Failed, Refused, "neither of two was accepted: one must be"
	case accepted == 1 && seen && !counted:
		return Undetermined, Refused, "one of two was accepted, and whether the other one acted, too, cannot be seen: it can if " + countEffects
	case accepted == 1:
		return Held, Refused, "one of two was accepted"
	case once:
		return Noted, Answered, "both were accepted, and the action was carried out once"
	case seen && !counted:
		return Undetermined, Accepted, "both were accepted, and whether they acted once or twice cannot be seen: it can if " + countEffects
	}
	return Failed, Accepted, "both were accepted"
}

// times is how often two requests carried an action out between two
// observations, if these tell: the last number in them counts, up or down, and
// what has not changed means never. More than twice cannot be, and so is no
// count of what they did.
func times(before, after string) (int, bool) {
	if strings.TrimSpace(before) == strings.TrimSpace(after) { // A command ends what it prints with a newline.
		return 0, true
	}
	a, okA := lastNumber(before)
	b, okB := lastNumber(after)
	n := max(a-b, b-a)
	return n, okA && okB && (n == 1 || n == 2)
}

// lastNumber is the last number in a text, if it is a word of its own: the
// digits in a hash are no number.
func lastNumber(s string) (int, bool) {
	end := strings.LastIndexAny(s, "0123456789") + 1
	start := strings.LastIndexFunc(s[:end], func(c rune) bool { return c < '0' || c > '9' }) + 1
	before, _ := utf8.DecodeLastRuneInString(s[:start])
	behind, _ := utf8.DecodeRuneInString(s[end:])
	if unicode.IsLetter(before) || unicode.IsLetter(behind) {
		return 0, false
	}
	if before == '-' {
		start--
	}
	n, err := strconv.Atoi(s[start:end])
	return n, err == nil
}

// thenGood sends something that comes to nothing, as far as the provider can
// see, and then the good request, as the provider would again.
func (r *runner) thenGood(ctx context.Context, p Probe) error {
	if err := r.fresh(ctx, p); err != nil {
		return err
	}
	m, err := r.build(r.act, p.Change, "")
	if err != nil {
		return r.inapplicable(p, err)
	}
	attempt, before := r.send(ctx, p.ID, m)
	if err := r.reached(ctx, p, attempt, before); err != nil {
		return err
	}
	if p.Change.Then != "" {
		before.Status, before.Answer = 0, notRead // The answer is lost, as far as the provider can see.
	}
	first, err := r.observe(ctx)
	if err != nil {
		return err
	}
	if m, err = r.build(r.act, Change{}, ""); err != nil {
		return r.inapplicable(p, err)
	}
	attempt, after := r.send(ctx, p.ID, m)
	if err := r.reached(ctx, p, attempt, after); err != nil {
		return err
	}
	second, err := r.observe(ctx)
	if err != nil {
		return err
	}
	if first == acted && second == unmoved {
		second = acted // Once in all, which is right.
	} else if first == acted && second == acted {
		r.add(Result{
			Probe: p, Mark: Failed, Outcome: Accepted, Exchanges: []Exchange{before, after},
			Detail: answerOf(attempt) + ", and the action was carried out a second time",
		})
		return nil
	}
	mark, out, detail := judge(p, observation{attempt: attempt, effect: second})
	r.add(Result{Probe: p, Mark: mark, Outcome: out, Detail: detail, Exchanges: []Exchange{before, after}})
	return nil
}

// sameToken uses the bearer token of an accepted request for a fresh action, as
// it is or with another signature.
func (r *runner) sameToken(ctx context.Context, p Probe) error {
	used := r.accepted.token
	if at := strings.LastIndex(used, ".") + 1; p.Change.Plan == Resigned {
		used = used[:at] + altered(used[at:])
	}
	if err := r.fresh(ctx, p); err != nil {
		return err
	}
	m, err := r.build(r.act, p.Change, "")
	if err != nil {
		return r.inapplicable(p, err)
	}
	m.raw.Octets = bytes.Replace(m.raw.Octets, []byte(m.token), []byte(used), 1)
	m.token = used
	return r.repeat(ctx, p, m)
}

// rotation tries a token of before the rotation, or of after it.
func (r *runner) rotation(ctx context.Context, p Probe) error {
	if p.Change.Plan == OldToken && r.rotated {
		r.skip(p, "the keys have been rotated already")
		return nil
	}
	if err := r.fresh(ctx, p); err != nil {
		return err
	}
	old, err := r.build(r.act, p.Change, "")
	if err != nil {
		return r.inapplicable(p, err)
	}
	if !r.rotated {
		if err := r.o.Rotate(ctx); err != nil {
			r.skip(p, "the keys could not be rotated: "+printable(err.Error()))
			return nil
		}
		r.rotated = true
		if err := r.findKeys(); err != nil {
			return err
		}
	}
	if p.Change.Plan == OldToken {
		return r.repeat(ctx, p, old)
	}
	m, err := r.build(r.act, p.Change, "")
	if err != nil {
		return r.inapplicable(p, err)
	}
	return r.repeat(ctx, p, m)
}
