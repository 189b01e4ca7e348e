package scenarios

import (
	"slices"
	"strings"
)

// Group says what a verb is about.
type Group string

// The groups.
const (
	GroupWorld  Group = "world"  // What there is before mail comes.
	GroupMail   Group = "mail"   // What senders do.
	GroupPerson Group = "person" // What the user does.
	GroupTime   Group = "time"   // Time and keys.
	GroupClaim  Group = "claim"  // What must hold.
)

// Verb is one verb of the format.
type Verb struct {
	Name    string
	Group   Group
	Words   []Param // Positional, in order; those not required come last.
	Keys    []Param
	Doc     string // For the manual; whole sentences.
	Example string // A step that is accepted.

	// check finds what is wrong with a step whose words are each good.
	check func(Step) *mistake
}

// Param is a word or key of a verb.
type Param struct {
	Key      string // Empty for a positional word.
	Name     string // What stands for the value in the manual: "DOMAIN".
	Form     Form
	Values   []string // The only values, if not empty.
	List     bool     // One or more values, with commas between them.
	Required bool
	Repeated bool // A word: one or more of them. A key: may be given several times.
}

// Usage returns the verb's line in the manual, optional parts in square
// brackets.
func (v Verb) Usage() string {
	parts := []string{v.Name}
	for _, p := range slices.Concat(v.Words, v.Keys) {
		parts = append(parts, p.usage())
	}
	return strings.Join(parts, " ")
}

func (p Param) usage() string {
	text := p.Name
	if len(p.Values) > 0 && p.Name == "" {
		text = strings.Join(p.Values, "|")
	}
	if p.List {
		text += "[," + text + "]..."
	}
	if p.Key != "" {
		text = p.Key + "=" + text
	}
	if !p.Required {
		text = "[" + text + "]"
	}
	if p.Key != "" && p.Repeated {
		text += "..."
	}
	return text
}

// label is what messages call the parameter.
func (p Param) label() string {
	switch {
	case p.Key != "":
		return p.Key + "="
	case p.Name != "":
		return p.Name
	}
	return strings.Join(p.Values, " or ")
}

// verbNames returns the names of some verbs.
func verbNames(verbs []Verb) []string {
	names := make([]string, len(verbs))
	for i, v := range verbs {
		names[i] = v.Name
	}
	return names
}

func findVerb(verbs []Verb, name string) (Verb, bool) {
	i := slices.IndexFunc(verbs, func(v Verb) bool { return v.Name == name })
	if i < 0 {
		return Verb{}, false
	}
	return verbs[i], true
}

// missing says which required words and keys a step lacks.
func (v Verb) missing(s Step) []string {
	var names []string
	for i, p := range v.Words {
		if p.Required && i >= len(s.Words) {
			names = append(names, p.label())
		}
	}
	for _, p := range v.Keys {
		if p.Required && !s.has(p.Key) {
			names = append(names, p.label())
		}
	}
	return names
}

// word returns the parameter of a positional word.
func (v Verb) word(i int) (Param, bool) {
	if n := len(v.Words); n > 0 && i >= n && v.Words[n-1].Repeated {
		return v.Words[n-1], true
	}
	if i >= len(v.Words) {
		return Param{}, false
	}
	return v.Words[i], true
}

// key returns the parameter of a key.
func (v Verb) key(name string) (Param, bool) {
	i := slices.IndexFunc(v.Keys, func(p Param) bool { return p.Key == name })
	if i < 0 {
		return Param{}, false
	}
	return v.Keys[i], true
}

func (v Verb) keyNames() []string {
	names := make([]string, len(v.Keys))
	for i, p := range v.Keys {
		names[i] = p.Key
	}
	return names
}
