package probe

import (
	"cmp"
	"slices"
)

// Catalogue returns all probes in the order in which they are tried: by phase,
// then what must be refused before what should be, then the most severe first.
func Catalogue() []Probe {
	all := slices.Concat(
		credentialProbes, signatureProbes, headerProbes, issuerProbes, audienceProbes, partyProbes, timeProbes,
		methodProbes, originProbes, formProbes, limitedProbes, framingProbes, goodProbes, repeatProbes, keyProbes, lenientProbes)
	slices.SortStableFunc(all, func(a, b Probe) int {
		return cmp.Or(
			cmp.Compare(slices.Index(phases, a.Phase), slices.Index(phases, b.Phase)),
			cmp.Compare(slices.Index(expects, a.Expect), slices.Index(expects, b.Expect)),
			cmp.Compare(slices.Index(Severities(), a.Severity), slices.Index(Severities(), b.Severity)),
		)
	})
	return all
}

var (
	phases  = []Phase{Hostile, Good, After}
	expects = []Expect{MustRefuse, ShouldRefuse, MustNotAct, AtMostOnce, MustAccept, Either}
	none    = []string{} // No Authorization field.
)

// group fills in what the probes of a table have in common: the phase, which
// follows from what is expected, the group, and the fix unless one has its own.
func group(name, fix string, list []Probe) []Probe {
	for i := range list {
		p := &list[i]
		p.Group, p.Fix = name, cmp.Or(p.Fix, fix)
		if p.Phase == "" {
			p.Phase = Hostile
		}
		if p.Expect == Either {
			p.Phase = After
		}
	}
	return list
}

var goodProbes = group("good", "", []Probe{{
	ID: "good", Title: "The good request",
	Reason: "The user presses the button. If this is refused, no refusal proves anything.",
	Source: "gmail-actions.md 2", Severity: Critical, Expect: MustAccept, Phase: Good,
}})
