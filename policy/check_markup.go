package policy

import "strconv"

// countedChecks hold an action against the limits that the provider's own
// extraction may have. Markup has every action that stands in the message,
// whatever they are, so that a dial can be turned after it has come.
var countedChecks = []Check{
	{
		ID: "action-counted", Scope: ScopeAction,
		Doc:     "The action is within the provider's limits of size and number, and in the syntax that counts.",
		Source:  "gmail-actions.md 1.7; what the real provider's limits are is not documented",
		Reasons: []Reason{"beyond-max-actions", "beyond-max-size", "other-syntax", "counted"},
		Dials:   []DialID{DialMaxActions, DialMaxMarkup, DialSyntax},
		run:     checkActionCounted,
	},
}

func checkActionCounted(s subject) conclusion {
	a := s.action
	if most := s.e.Dials.Count(DialMaxActions); a.Index >= most {
		return fail("beyond-max-actions", "the mail has more actions than a dial lets the provider show", factInt("action", a.Index), factInt("most", most))
	}
	if most, err := strconv.Atoi(s.e.Dials.Get(DialMaxMarkup)); err == nil && a.Extent > most {
		return fail("beyond-max-size", "the action stands further down in its part than a dial lets the provider search", factInt("extent", a.Extent), factInt("most", most))
	}
	if syntax := s.e.Dials.Get(DialSyntax); syntax != "both" && a.Syntax != syntax && s.hasOwn(syntax) {
		return fail("other-syntax", "the mail has actions in "+syntax+", too, and a dial lets only these count", fact("syntax", a.Syntax))
	}
	return pass("counted", "the action is within the limits of the provider's extraction")
}

// hasOwn says whether the message itself has an action in a syntax.
func (s subject) hasOwn(syntax string) bool {
	for i := range s.e.Markup.Actions {
		if a := &s.e.Markup.Actions[i]; a.Enclosed == "" && a.Syntax == syntax {
			return true
		}
	}
	return false
}
