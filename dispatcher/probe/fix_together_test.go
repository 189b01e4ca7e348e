package probe_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/dispatcher/probe"
)

// inHandler are the fixes that stand in a handler, in an order in which they
// can.
func inHandler() []string {
	return []string{"credentials", "size", "signature", "issuer", "audience", "authorized-party", "expiry", "errors", "user-agent", "form", "limited-use", "once"}
}

// pasted is the code of all fixes of a language, one behind the other: what
// stands in the handler.
func pasted(t *testing.T, language string) string {
	t.Helper()
	var b strings.Builder
	for _, id := range inHandler() {
		f, ok := probe.FixOf(id)
		if !ok {
			t.Fatalf("there is no fix %s", id)
		}
		code := f.Code[language]
		if _, inside, ok := strings.Cut(code, "In the handler:\n"); ok {
			code = inside
		}
		b.WriteString(code)
	}
	return b.String()
}

// TestFixesTogetherInGo has all examples in Go in one handler: none declares
// what another one has declared, and what one declares is used. Packages are not
// looked for, so that nothing else can be said.
func TestFixesTogetherInGo(t *testing.T) {
	t.Parallel()
	for _, order := range []string{pasted(t, "go"), setup(t)} {
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, "handler.go", "package p\nfunc f() {\n"+order+"}\n", parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		check := types.Config{Error: func(err error) {
			var e types.Error
			if errors.As(err, &e) && !strings.HasPrefix(e.Msg, "undefined: ") {
				t.Errorf("line %d: %s in\n%s", fset.Position(e.Pos).Line-2, e.Msg, order)
			}
		}}
		_, _ = check.Check("p", fset, []*ast.File{file}, nil) // It has told of each error.
	}
}

// setup is what stands where the program starts, and uses what it makes.
func setup(t *testing.T) string {
	t.Helper()
	keys, _ := probe.FixOf("keys")
	return keys.Code["go"] + "use(validator)\n"
}

// TestFixesTogether holds that no example declares what another one has
// declared, in each language.
func TestFixesTogether(t *testing.T) {
	t.Parallel()
	declares := map[string]*regexp.Regexp{
		"go":   regexp.MustCompile(`(?m)^(?:var|const) (\w+) `),
		"node": regexp.MustCompile(`(?m)^(?:let|const) (\w+|\{[^}]*\})`),
		"java": regexp.MustCompile(`(?m)^(?:[A-Z][\w.<>\[\]]*|byte\[\]|long|int|boolean) (\w+)(?: =|;)`),
	}
	for language, declaration := range declares {
		var names []string
		for _, found := range declaration.FindAllStringSubmatch(pasted(t, language), -1) {
			for name := range strings.SplitSeq(strings.Trim(found[1], "{}"), ",") {
				_, renamed, ok := strings.Cut(name, ":")
				if !ok {
					renamed = name
				}
				names = append(names, strings.TrimSpace(renamed))
			}
		}
		slices.Sort(names)
		if once := slices.Compact(slices.Clone(names)); len(once) != len(names) || len(names) < 4 {
			t.Errorf("in %s are declared %v", language, names)
		}
	}
}

// TestFixVerified holds that what a verifier returns is looked at before it is
// used, in each example that calls one.
func TestFixVerified(t *testing.T) {
	t.Parallel()
	looks := map[string]string{"go": "if err != nil", "java": " == null", "node": "catch", "python": "except"}
	call := map[string]string{"go": "Validate(r", "java": "verifier.verify(", "node": ".verifyIdToken({", "python": "verify_oauth2_token(token"}
	for _, id := range inHandler() {
		f, _ := probe.FixOf(id)
		for language, code := range f.Code {
			if strings.Contains(code, call[language]) && !strings.Contains(code, looks[language]) {
				t.Errorf("%s in %s verifies, and does not look at what comes of it:\n%s", id, language, code)
			}
		}
	}
}
