package scenarios

import (
	"context"
	"errors"
	"strings"

	"github.com/doppelbox/doppelbox/dispatcher/probe"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// probeVerb tries a service.
func probeVerb() Verb {
	return Verb{
		Name: "probe", Group: GroupClaim,
		Words: []Param{{Name: "LABEL|INDEX|URL", Form: FormText, Required: true}},
		Keys: []Param{
			{Key: "message", Name: "N", Form: FormInteger},
			{Key: "domain", Name: "DOMAIN", Form: FormDomain},
			{Key: "limited-use", Name: "NAME|/N", Form: FormWord},
			{Key: "only", Name: "ID", Form: FormWord, List: true},
			{Key: "skip", Name: "ID", Form: FormWord, List: true},
		},
		Doc: "Sends the service of a button what it must refuse, then one good request, then replays; probe.held says whether it stood all of it, and " +
			"probe.ID what it did with each. With domain the word is the URL of a handler, and the domain that of its sender. limited-use names the " +
			"query parameter that holds the limited-use token, or the segment of the path by its number, such as /2. only and skip take ids and groups of " +
			"doppelbox probe --list.",
		Example: `probe "Approve expense" limited-use=token skip=form`,
		check:   checkProbe,
	}
}

func checkProbe(s Step) *mistake {
	if _, ok := s.Get("domain"); ok {
		if err := checkForm(FormURL, s.Words[0].Text); err != nil {
			return &mistake{col: s.Words[0].Col, msg: err.Error()}
		}
		if !strings.HasPrefix(s.Words[0].Text, "https:") {
			return &mistake{col: s.Words[0].Col, msg: "a handler's URL begins with https://"}
		}
		if s.has("message") {
			return &mistake{col: s.Col, msg: "a URL and a message are two things to probe: name one"}
		}
	}
	for _, a := range s.Args {
		if a.Key != "only" && a.Key != "skip" {
			continue
		}
		if err := probe.Check(strings.Split(a.Value.Text, ",")); err != nil {
			return &mistake{col: a.Value.Col, msg: err.Error()}
		}
	}
	return nil
}

func (r *Runner) probe(ctx context.Context, s Step) error {
	b := provider.Probing{Only: s.List("only"), Skip: s.List("skip")}
	b.LimitedUse, _ = s.Get("limited-use")
	if domain, ok := s.Get("domain"); ok {
		b.URL, b.Domain = s.Words[0].Text, domain
	} else {
		m, err := r.addressed(ctx, s)
		if err != nil {
			return err
		}
		action, err := provider.FindAction(m, s.Words[0].Text)
		if err != nil {
			return r.at(s, s.Words[0], "%s", err)
		}
		b.Message, b.Action = m.ID, action
	}
	report, err := r.p.Probe(ctx, b)
	if err != nil {
		if withheld, ok := errors.AsType[*provider.WithheldError](err); ok {
			return r.at(s, s.Words[0], "%s", withheld)
		}
		return err
	}
	r.probed = &report
	return nil
}

// probePaths tells of the last probe.
func (r *Runner) probePaths(p *paths) {
	if r.probed == nil {
		return
	}
	held := "yes"
	if r.probed.Failed() {
		held = "no"
	}
	p.add("probe.held", held)
	p.add("probe.problem", strings.Join(r.probed.Problems, "; "))
	for _, result := range r.probed.Results {
		prefix := "probe." + result.Probe.ID
		p.add(prefix, string(result.Mark))
		p.add(prefix+".outcome", string(result.Outcome))
		p.add(prefix+".detail", result.Detail)
	}
	for _, m := range probe.Marks() {
		p.count("probe.count."+string(m), r.probed.Count(m))
	}
}
