package probe

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// crossing is a request with the URL of one action and the limited-use token of
// another. That it is accepted is no fault by itself: a service that reads from
// the token whose action it is, and ignores the rest of the URL, carries out
// what the token's owner could have had carried out anyway. It is a hole if the
// action was that of the URL.
type crossing struct {
	probe  Probe
	owner  *action // Whose token it was.
	victim *action // Whose URL.
	before string  // What the effects were.
	result *Result
}

// crosses says whether a probe is a crossing.
func (c Change) crosses() bool {
	return c.LimitedUse == LimitedOther || c.LimitedUse == LimitedOtherUser || c.Plan == OtherAsker
}

// cross judges a crossing that was accepted.
func (r *runner) cross(ctx context.Context, c crossing) error {
	r.stranger = nil // It may have been carried out.
	const tell = ". Effects (--effects) that print these values of what was carried out tell which it is"
	params := differences(c.owner, c.victim)
	answer := c.result.Detail
	hole := func(why string) { c.result.Detail = answer + ", and " + why }
	note := func(why string) {
		c.result.Mark = Noted
		c.result.Detail = fmt.Sprintf("%s: sound if the service acted on what the token was granted for, and ignores %s, in which the two URLs differ; a hole if it acted on that%s",
			answer, named(params), why)
	}
	switch told(c.before, r.effect, params) {
	case ofVictim:
		hole("the effects name the action of the URL, which is not that of the token")
		return nil
	case ofOwner:
		note(". The effects name the action of the token")
		return nil
	}
	if r.o.Fresh == nil {
		note(tell)
		return nil
	}
	done, known, err := r.alone(ctx, c, c.victim)
	switch {
	case err != nil:
		return err
	case !known || done && r.o.Effects == nil:
		note(tell) // It may have been answered as a retry is.
		return nil
	case done:
		note(". The action of the URL could be carried out after it" + tell)
		return nil
	}
	coupled, err := r.coupled(ctx, c)
	if err != nil {
		return err
	}
	if coupled {
		note(". The action of the URL could not be carried out after it, but neither can it after the good request of the other" + tell)
		return nil
	}
	hole("it used up the action of the URL, which the good request of the other does not")
	return nil
}

// alone sends the good request of an action, and says whether it was carried
// out, if that is known.
func (r *runner) alone(ctx context.Context, c crossing, a *action) (done, known bool, err error) {
	m, err := r.build(a, Change{}, "")
	if err != nil {
		return false, false, err
	}
	attempt, shown := r.send(ctx, c.probe.ID, m)
	c.result.Exchanges = append(c.result.Exchanges, shown)
	if err := r.reached(ctx, c.probe, attempt, shown); err != nil {
		return false, false, err
	}
	seen, err := r.observe(ctx)
	switch out := outcome(attempt, seen); out {
	case Accepted, Consumed:
		return true, true, err
	case Answered, Refused:
		return false, true, err
	}
	return false, false, err
}

// coupled says whether an action such as the victim's can be carried out after
// the good request of one such as the owner's. What cannot be told counts as
// coupled: then nothing is to be blamed on the crossing.
func (r *runner) coupled(ctx context.Context, c crossing) (bool, error) {
	r.spent = c.probe.ID + " was tried on it"
	if err := r.renew(ctx); err != nil {
		return false, err
	}
	other, err := r.lender(ctx, c.probe)
	if err != nil {
		return false, err
	}
	owner, victim := c.probe.roles(other, r.act)
	r.stranger = nil
	if err := r.observeFirst(ctx); err != nil {
		return false, err
	}
	for _, a := range []*action{owner, victim} {
		if done, _, err := r.alone(ctx, c, a); err != nil || !done {
			return true, err
		}
	}
	return false, nil
}

// roles says whose token a crossing has, and whose URL, of another action and
// the one that is tried.
func (p Probe) roles(other, own *action) (owner, victim *action) {
	if p.Change.Plan == OtherAsker {
		return own, other
	}
	return other, own
}

// difference is a parameter in which two URLs differ.
type difference struct {
	name          string // For people.
	owner, victim string // Its values.
}

// differences are those of two URLs but for the limited-use token.
func differences(owner, victim *action) []difference {
	var list []difference
	of, at := owner.byName(), victim.byName()
	seen := map[string]bool{victim.limited.called(): true}
	for _, p := range slices.Concat(victim.places(), owner.places()) {
		name := p.called()
		if a, b := of[name].value, at[name].value; a != b && !seen[name] {
			list = append(list, difference{p.how, a, b}) // What one of them has not is empty.
		}
		seen[name] = true
	}
	return list
}

// named are the names of some differences.
func named(list []difference) string {
	var names []string
	for _, d := range list {
		names = append(names, d.name)
	}
	if len(names) == 0 {
		return "what else is in the URL"
	}
	return strings.Join(names, " and ")
}

// teller is whose action the effects tell of.
type teller int

const (
	ofNobody teller = iota
	ofOwner
	ofVictim
)

// told says whose action effects tell of, if they are a text and have the values
// of one and not those of the other more often than before.
func told(before, after string, params []difference) teller {
	owner, victim := false, false
	for _, d := range params {
		owner = owner || d.owner != "" && count(after, d.owner) > count(before, d.owner)
		victim = victim || d.victim != "" && count(after, d.victim) > count(before, d.victim)
	}
	switch {
	case isNumber(after) || owner == victim:
		return ofNobody
	case owner:
		return ofOwner
	}
	return ofVictim
}

// count is how often a text has a word.
func count(text, word string) int {
	n := 0
	for _, w := range strings.FieldsFunc(text, func(c rune) bool {
		return !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune("-_.@%", c)
	}) {
		if w == word {
			n++
		}
	}
	return n
}

// isNumber says whether effects are a number, which may be like a value of a
// parameter by chance.
func isNumber(text string) bool {
	_, err := strconv.Atoi(strings.TrimSpace(text))
	return err == nil
}
