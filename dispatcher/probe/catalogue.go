package probe

import (
	"cmp"
	"slices"
)

// Catalogue returns all probes in the order in which they are tried: by phase,
// then what must be refused before what should be, then the most severe first.
func Catalogue() []Probe {
	all := slices.Concat(tokenProbes, goodProbes)
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
	expects = []Expect{MustRefuse, ShouldRefuse, AtMostOnce, MustAccept, Either}
	none    = []string{}
)

var tokenProbes = []Probe{
	{
		ID: "token-missing", Group: "token", Title: "No Authorization field",
		Reason: "Anybody who learns the URL, and every client that is not the provider.",
		Source: "RFC 6750 3.1; gmail-actions.md 3.1", Severity: Critical, Expect: MustRefuse, Phase: Hostile, Fix: "signature",
		Change: Change{Authorization: none},
	},
}

var goodProbes = []Probe{{
	ID: "good", Group: "good", Title: "The good request",
	Reason: "The user presses the button. If this is refused, no refusal proves anything.",
	Source: "gmail-actions.md 2", Severity: Critical, Expect: MustAccept, Phase: Good, Fix: "signature",
}}
