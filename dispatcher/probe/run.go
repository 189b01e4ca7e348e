package probe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/keys"
)

// runner is a run.
type runner struct {
	o       Options
	probes  []Probe
	first   Target
	kids    map[keys.KeyState]string
	secrets []string // Of all actions.
	sent    int
	sample  string        // A good bearer token.
	sampled time.Time     // When it was made.
	used    map[span]bool // The times of the good ones that were made.

	act    *action // The one that is tried now.
	spent  string  // Why it counts as used up; empty if it does not.
	tried  []Probe // What was sent since it was fresh, and was not accepted.
	effect string  // What Effects said last.

	accepted message // The request that was accepted and used the current action up.
	stranger *action // Another user's.
	lent     *action // The one whose limited-use token, or URL, was taken last.
	rotated  bool
	last     last
	silence  int // How many requests were not answered in time, in a row.
	timeouts int // And in all.

	throttled, throttledFrom int // How many answers were 429, and which request got the first.

	place     limited // Where the first action has its limited-use token; others are looked at there.
	rivals    string  // What that may be, if it is not known.
	confirmed bool    // It was another in a fresh action.

	same   bool // It was noted that fresh actions are not.
	report Report
}

// Run tries an action. The error says that nothing could be tried: an option
// is wrong, ctx has ended, a callback failed, or the service cannot be reached
// ([ErrUnreachable]). A service that is unsound is no error. Neither is a run
// that has to end in the middle: from the first result on there is a report,
// and what ended the run is one of its problems.
func Run(ctx context.Context, t Target, o Options) (Report, error) {
	r, err := newRunner(ctx, t, o)
	if err != nil {
		return Report{}, err
	}
	for _, phase := range []func(context.Context) error{r.hostile, r.good, r.after, r.turn} {
		if err := phase(ctx); err != nil {
			return r.stop(ctx, err)
		}
	}
	r.conclude()
	return r.report, nil
}

func newRunner(ctx context.Context, t Target, o Options) (*runner, error) {
	if o.Keys == nil || o.Exchange == nil {
		return nil, errors.New("probe: Keys and Exchange must be given")
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.OnResult == nil {
		o.OnResult = func(Result) {}
	}
	probes, err := selected(o.Only, o.Skip)
	if err != nil {
		return nil, err
	}
	r := &runner{o: o, probes: probes, kids: make(map[keys.KeyState]string), used: make(map[span]bool)}
	if r.act, err = r.take(t); err != nil {
		return nil, err
	}
	r.first = r.act.Target
	switch {
	case r.first.Method != "POST" && r.first.Method != "GET":
		return nil, fmt.Errorf("probe: the method is %s, not POST or GET", quoted(r.first.Method))
	case r.first.Method == "GET" && r.first.Body != "":
		return nil, errors.New("probe: a GET request has no body")
	case r.first.Bearer && !strings.HasPrefix(r.first.Audience, "https://"):
		return nil, fmt.Errorf("probe: the audience %s is not the sender's domain as URL, such as https://shop.example", quoted(r.first.Audience))
	}
	if !r.first.Bearer {
		r.withoutBearer()
	}
	if err := r.findKeys(); err != nil {
		return nil, err
	}
	if err := r.settle(ctx); err != nil {
		return nil, err
	}
	r.place = r.act.limited
	r.report = Report{
		Service: "https://" + r.act.authority + printable(r.hidden(r.act.path)), Method: r.first.Method,
		Audience: printable(r.first.Audience), Bearer: r.first.Bearer, LimitedUse: r.act.limited.how,
	}
	if r.act.limited.rivals != "" {
		r.rivals = r.act.limited.rivals
		r.note("which value is the limited-use token cannot be told: " + r.rivals + ". What rests on it is not tried. " +
			"--limited-use NAME names a parameter, and --limited-use /N segment N of the path")
	} else if r.act.limited.at == "" {
		r.note("the URL has no limited-use token, so that whoever can guess it can request it, and a replay cannot be told from a click (gmail-actions.md 5)")
	}
	return r, r.steady(ctx)
}

// withoutBearer has replays judged by what they do alone: without bearer tokens
// they are, octet for octet, the provider's retries.
func (r *runner) withoutBearer() {
	for i := range r.probes {
		if r.probes[i].Change.Plan == Replay {
			r.probes[i].Expect = AtMostOnce
		}
	}
}

// steady asks for the effects twice, when nothing has been sent.
func (r *runner) steady(ctx context.Context) error {
	if err := r.observeFirst(ctx); err != nil {
		return err
	}
	if seen, err := r.observe(ctx); err != nil || seen != acted {
		return err
	}
	return errors.New("probe: what shows the effects (--effects) changes by itself: " +
		"asked twice before the first request, it said two things. It must change when the action is carried out, and only then")
}

// note says something once.
func (r *runner) note(text string) {
	if !slices.Contains(r.report.Notes, text) {
		r.report.Notes = append(r.report.Notes, text)
	}
}

// take takes a target apart, and remembers its secrets.
func (r *runner) take(t Target) (*action, error) {
	a, err := newAction(t)
	if err != nil {
		return nil, err
	}
	if t.LimitedUse == "" && r.rivals != "" {
		a.limited = limited{how: "not known", rivals: r.rivals}
	} else if l, err := a.named(r.place.called()); t.LimitedUse == "" && r.place.at != "" && err == nil {
		l.how, l.guessed = r.place.how, r.place.guessed
		a.limited = l
	}
	r.secrets = append(r.secrets, a.secrets()...)
	return a, nil
}

// takeFrom takes the target that a callback returned.
func (r *runner) takeFrom(whose string, t Target) (*action, error) {
	a, err := r.take(t)
	if err != nil {
		return nil, fmt.Errorf("probe: %s: %s", whose, strings.TrimPrefix(err.Error(), "probe: "))
	}
	return a, nil
}

// hidden hides the secrets in a text of ours.
func (r *runner) hidden(s string) string { return hider(message{secrets: r.secrets})(s) }

// findKeys learns the names of the keys.
func (r *runner) findKeys() error {
	list, err := r.o.Keys.Keys()
	if err != nil {
		return err
	}
	clear(r.kids)
	for _, k := range list {
		if r.kids[k.State] == "" {
			r.kids[k.State] = k.ID
		}
	}
	return nil
}

// of returns the probes of a phase.
func (r *runner) of(phase Phase) []Probe {
	return slices.DeleteFunc(slices.Clone(r.probes), func(p Probe) bool { return p.Phase != phase })
}

// hostile sends what must not use the action up.
func (r *runner) hostile(ctx context.Context) error {
	for _, p := range r.of(Hostile) {
		if why := r.lacks(p); why != "" {
			r.skip(p, why)
			continue
		}
		if err := r.try(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// try sends a probe that takes one request, on an action that is not used up
// if one can be had.
func (r *runner) try(ctx context.Context, p Probe) error {
	if err := r.renew(ctx); err != nil {
		return err
	}
	m, err := r.prepare(ctx, p)
	if err != nil {
		return r.inapplicable(p, err)
	}
	fetches, before := r.o.Keys.StrangerFetches(), r.effect
	attempt, shown := r.send(ctx, p.ID, m)
	if err := r.reached(ctx, p, attempt, shown); err != nil {
		return err
	}
	seen, err := r.observe(ctx)
	if err != nil {
		return err
	}
	o := observation{attempt: attempt, effect: seen, fetched: r.o.Keys.StrangerFetches() - fetches, spent: r.spent}
	exchanges := []Exchange{shown}
	if p.Change.elsewhere() && outcome(attempt, seen) == Accepted && seen == unseen {
		if o.anybody, shown, err = r.anybody(ctx, p); err != nil {
			return err
		}
		exchanges = append(exchanges, shown)
	}
	mark, out, detail := judge(p, o)
	result := Result{Probe: p, Mark: mark, Outcome: out, Detail: detail, Exchanges: exchanges}
	if mark == Failed && p.Change.crosses() {
		owner, victim := p.roles(r.lent, r.act)
		if err := r.cross(ctx, crossing{p, owner, victim, before, &result}); err != nil {
			return err
		}
	}
	r.add(result)
	switch {
	case out == Accepted || out == Consumed:
		if r.o.Fresh == nil && r.accepted.raw.Octets == nil {
			r.accepted = m
		}
		if r.spent == "" {
			r.spent = p.ID + " had been accepted before"
		}
	case o.anybody && r.o.Fresh != nil:
		r.spent = p.ID + " was sent without a token, too"
	case out == Unanswered && seen == unseen && r.o.Fresh != nil:
		r.spent = p.ID + " had not been answered"
	default:
		r.tried = append(r.tried, p)
	}
	return nil
}

// anybody sends a probe that names another host once more, without a token: what
// is answered with success even so comes from another site, of which many
// servers have one for all hosts that they do not know.
func (r *runner) anybody(ctx context.Context, p Probe) (bool, Exchange, error) {
	change := p.Change
	change.Token, change.Authorization = Token{}, none
	m, err := r.build(r.act, change, "")
	if err != nil {
		return false, Exchange{}, err
	}
	attempt, shown := r.send(ctx, p.ID, m)
	return outcome(attempt, unseen) == Accepted, shown, r.reached(ctx, p, attempt, shown)
}

// prepare makes the request of a probe for the current action.
func (r *runner) prepare(ctx context.Context, p Probe) (message, error) {
	stranger, err := r.strangerFor(ctx, p)
	if err != nil {
		return message{}, err
	}
	from := r.act
	if p.Change.Plan == OtherAsker {
		from = r.swapped()
	}
	return r.build(from, p.Change, stranger)
}

// renew takes a fresh action if this one is used up and there are others.
func (r *runner) renew(ctx context.Context) error {
	if r.spent == "" || r.o.Fresh == nil {
		return nil
	}
	t, err := r.o.Fresh(ctx)
	if err != nil {
		return fmt.Errorf("probe: getting a fresh action (--again): %w", err)
	}
	a, err := r.takeFrom("the fresh action (--again)", t)
	if err != nil {
		return err
	}
	if before := r.act.limited.value; before != "" && before == a.limited.value && !r.same {
		r.same = true
		r.note("a fresh action has the limited-use token of the one before it: it is not of limited use (gmail-actions.md 5)")
	}
	r.confirmed = r.confirmed || renewed(r.act.limited.value, a.limited.value)
	r.act, r.spent, r.tried = a, "", nil
	// What the new mail itself changed is no effect of a request.
	return r.observeFirst(ctx)
}

// observeFirst asks for the effects, to compare the next ones with.
func (r *runner) observeFirst(ctx context.Context) error {
	_, err := r.observe(ctx)
	return err
}

// observe says whether the action was carried out since it was last asked.
func (r *runner) observe(ctx context.Context) (effect, error) {
	if r.o.Effects == nil {
		return unseen, nil
	}
	now, err := r.o.Effects(ctx)
	if err != nil {
		return unseen, fmt.Errorf("probe: looking for effects (--effects): %w", err)
	}
	before := r.effect
	r.effect = now
	if now == before {
		return unmoved, nil
	}
	return acted, nil
}

func (r *runner) add(result Result) {
	result.Detail = r.ofGuess(result.Probe, result.Mark, result.Detail)
	r.report.Results = append(r.report.Results, result)
	r.o.OnResult(result)
}

func (r *runner) skip(p Probe, why string) {
	r.add(Result{Probe: p, Mark: Skipped, Outcome: NotSent, Detail: why})
}

// inapplicable skips a probe that makes no sense with this target. Any other
// error is one of the run.
func (r *runner) inapplicable(p Probe, err error) error {
	var why inapplicable
	if errors.As(err, &why) {
		r.skip(p, why.why)
		return nil
	}
	return err
}
