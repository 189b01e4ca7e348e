package probe_test

import (
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/dispatcher/probe"
)

// TestFixes holds that each fix has an example in each language, but for the one
// that is not mended by code, and that those in Go can be read by Go.
func TestFixes(t *testing.T) {
	t.Parallel()
	for _, p := range probe.Catalogue() {
		f, ok := probe.FixOf(p.Fix)
		if !ok {
			continue
		}
		if f.Title == "" || !strings.HasSuffix(f.Text, ".") {
			t.Errorf("%s does not say what to do", f.ID)
		}
		for _, language := range probe.Languages() {
			code := f.Code[language]
			if (code == "") != (f.ID == "framing") {
				t.Errorf("%s has no example in %s, or needs none", f.ID, language)
			}
			for line := range strings.Lines(code) {
				if len(line) > 97 {
					t.Errorf("%s in %s has a line of %d characters: %s", f.ID, language, len(line), line)
				}
			}
			if language != "go" || code == "" {
				continue
			}
			if _, err := parser.ParseFile(token.NewFileSet(), "", "package p\nfunc f() {\n"+code+"}\n", parser.SkipObjectResolution); err != nil {
				t.Errorf("%s: %v", f.ID, err)
			}
		}
	}
}
