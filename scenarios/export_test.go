package scenarios

// ParseSteps reads steps without sections, for tests of lines. Names of
// sections are not checked, nor where in a script a verb may stand.
func ParseSteps(path, text string) ([]Phase, Errors) {
	p := parser{path: path, verbs: Verbs()}
	phases := p.script(text)
	if len(p.errs) > 0 {
		return nil, p.errs
	}
	return phases, nil
}
