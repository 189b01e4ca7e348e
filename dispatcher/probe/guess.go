package probe

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// findLimited finds the limited-use token: the value that was named, or one
// that can only be it.
func (a *action) findLimited() (limited, error) {
	switch a.LimitedUse {
	case "":
		return guess(a.candidates()), nil
	case NoLimitedUse:
		return limited{how: "none, as was said"}, nil
	}
	return a.named(a.LimitedUse)
}

// named is the parameter of a name, or the segment of a number, such as "/2".
func (a *action) named(wanted string) (limited, error) {
	if l, ok := a.byName()[wanted]; ok {
		l.how += ", as was said"
		return l, nil
	}
	number, slash := strings.CutPrefix(wanted, "/")
	if _, err := strconv.Atoi(number); !slash || err != nil {
		hint := cmp.Or(suggest(wanted, a.parameters()), "; a segment of the path is named by its number, as /1")
		return limited{}, fmt.Errorf("probe: the URL has no parameter %s%s", quoted(wanted), hint)
	}
	return limited{}, fmt.Errorf("probe: the path has no segment %s, or an empty one: it has %d", quoted(wanted), strings.Count(a.path, "/"))
}

// places are all values of a URL that may be a limited-use token: of the
// parameters the first of each name, and the segments of the path.
func (a *action) places() []limited {
	var list []limited
	seen := make(map[string]bool)
	for i, pair := range a.query {
		name, value, _ := strings.Cut(pair, "=")
		if seen[name] {
			continue
		}
		seen[name] = true
		list = append(list, limited{at: "query", index: i, name: name, value: value})
		list[len(list)-1].how = "parameter " + quoted(list[len(list)-1].called())
	}
	for i, segment := range strings.Split(a.path, "/") {
		if i > 0 && segment != "" {
			list = append(list, limited{at: "path", index: i, value: segment, how: fmt.Sprintf("segment %d of the path", i)})
		}
	}
	return list
}

// called is what Target.LimitedUse calls a place.
func (l limited) called() string {
	if l.at == "path" {
		return fmt.Sprintf("/%d", l.index)
	}
	if plain, err := url.QueryUnescape(l.name); err == nil {
		return plain
	}
	return l.name
}

// byName are the places of a URL by what they are called.
func (a *action) byName() map[string]limited {
	places := make(map[string]limited)
	for _, l := range a.places() {
		if _, ok := places[l.called()]; !ok {
			places[l.called()] = l
		}
	}
	return places
}

// rank is the place of a parameter's name in limitedNames, and negative for all
// other names and for the path.
func (l limited) rank() int {
	if l.at == "path" {
		return -1
	}
	return slices.Index(limitedNames, plainName(l.name))
}

// surelyNamed says whether a name alone tells the limited-use token.
func (l limited) surelyNamed() bool { return l.rank() >= 0 && l.rank() < alone }

// candidates are the places whose name or look is that of a limited-use token.
func (a *action) candidates() []limited {
	var list []limited
	for _, l := range a.places() {
		least := minLimited
		if l.rank() >= surely {
			least = minRandom
		}
		switch {
		case l.rank() >= 0 && len(l.value) >= least:
			l.by = "by its name"
		case looksRandom(l.value):
			l.by = "by its look"
		default:
			continue
		}
		list = append(list, l)
	}
	return list
}

// guess is the one of some candidates that can only be the limited-use token:
// the surest of those whose names tell, or else the only one.
func guess(list []limited) limited {
	var best *limited
	for i := range list {
		if list[i].surelyNamed() && (best == nil || list[i].rank() < best.rank()) {
			best = &list[i]
		}
	}
	switch {
	case best == nil && len(list) == 0:
		return limited{how: "none found"}
	case best == nil && len(list) > 1:
		var names []string
		for _, l := range list {
			names = append(names, l.how)
		}
		return limited{how: "not known", rivals: strings.Join(names, " or ")}
	case best == nil:
		best = &list[0]
	}
	best.how += ", guessed " + best.by
	best.guessed = true
	return *best
}

// settle finds out which value is the limited-use token, where that is not
// clear from one URL: it is another one in a second. The second URL is then the
// one that is tried, for a service may accept the last one alone.
func (r *runner) settle(ctx context.Context) error {
	list := r.act.candidates()
	if r.act.LimitedUse != "" || r.o.Fresh == nil || len(list) == 1 && list[0].surelyNamed() {
		return nil
	}
	t, err := r.o.Fresh(ctx)
	if err != nil {
		return fmt.Errorf("probe: getting a fresh action (--again): %w", err)
	}
	before := r.act
	if r.act, err = r.takeFrom("the fresh action (--again)", t); err != nil {
		return err
	}
	r.act.limited = between(before, r.act)
	r.secrets = append(r.secrets, r.act.secrets()...)
	if l, err := before.named(r.act.limited.called()); err == nil && r.act.limited.at != "" {
		r.secrets = append(r.secrets, l.value)
	}
	return nil
}

// between tells the limited-use token of the second of two URLs of one action.
func between(before, now *action) limited {
	var named, others []limited
	candidates, was := now.candidates(), before.byName()
	for _, l := range now.places() {
		if old, ok := was[l.called()]; !ok || !renewed(old.value, l.value) {
			continue
		}
		at := slices.IndexFunc(candidates, func(c limited) bool { return c.called() == l.called() && c.at == l.at })
		switch {
		case at >= 0:
			named = append(named, candidates[at])
		case len(l.value) >= minRenewed:
			others = append(others, l)
		}
	}
	if len(named) == 0 {
		named = others
	}
	switch {
	case len(named) == 1:
		l := named[0]
		l.how += ", which is another in each URL"
		return l
	case len(named) > 1:
		return guess(named)
	case before.path == now.path && slices.Equal(before.query, now.query):
		return guess(candidates) // One URL was given twice, which tells nothing.
	}
	// What stays the same is none, unless it is called one.
	return guess(slices.DeleteFunc(candidates, func(l limited) bool { return !l.surelyNamed() }))
}

// minRenewed is how long a value must be to be taken for a limited-use token for
// the sole reason that it is another in each URL.
const minRenewed = 8

// renewed says whether a value has been drawn anew: a number that counts, or a
// time, differs from the one before it in a few characters.
func renewed(before, now string) bool {
	differ := max(len(before), len(now)) - min(len(before), len(now))
	for i := range min(len(before), len(now)) {
		if before[i] != now[i] {
			differ++
		}
	}
	return differ >= minRenewed || 2*differ > max(len(before), len(now))
}

// ofGuess says of a finding that it rests on a guess.
func (r *runner) ofGuess(p Probe, m Mark, detail string) string {
	l := r.act.limited
	if !l.guessed || r.confirmed || m != Failed && m != Warned || p.Change.LimitedUse == "" && p.Change.Plan != OtherAsker {
		return detail
	}
	return detail + "; which value is the limited-use token is a guess (" + l.how + "): --limited-use names it"
}
