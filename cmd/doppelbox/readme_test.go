package main

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/dispatcher/probe"
	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/scenarios"
)

var update = flag.Bool("update", false, "write the generated parts of README anew")

// TestReadme holds that what README shows is what is: the table of checks, the
// scenario, a failure, an account, the Go test, the verifiers of tokens and the
// packages.
func TestReadme(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "README.md")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for name, want := range map[string]string{
		"scenario":  fenced("", readFileText(t, "../../scenarios/registered-and-signed-is-offered.txtar")),
		"failure":   fenced("", failingReplay(t)),
		"check":     fenced("", checkSample(t)),
		"gotest":    fenced("go", readFileText(t, "../../scenarios/providertest/example_test.go")),
		"checks":    checkTable(),
		"patterns":  patternTable(t),
		"packages":  packageTable(t),
		"verifiers": verifierTable(),
	} {
		begin, end := "<!-- "+name+" -->\n", "<!-- /"+name+" -->"
		before, rest, ok := strings.Cut(text, begin)
		got, after, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Fatalf("README has no part %q", name)
		}
		if got != want && !*update {
			t.Errorf("part %q of README is not what it should be; go test ./cmd/doppelbox -run Readme -update writes it:\n%s", name, want)
		}
		text = before + begin + want + end + after
	}
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func fenced(language, text string) string { return "```" + language + "\n" + text + "```\n" }

func readFileText(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.FromSlash(path))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// failingReplay is what replay prints of a scenario with two wrong claims.
func failingReplay(t *testing.T) string {
	t.Helper()
	data, err := scenarios.Bundled.ReadFile("unregistered-is-withheld.txtar")
	if err != nil {
		t.Fatal(err)
	}
	wrong := bytes.Replace(data, []byte("expect action.0 == withheld\n"), []byte("expect action.0 == offered\n"), 1)
	wrong = bytes.Replace(wrong, []byte("expect dmarc == pass\n"), []byte("expect dmark == pass\n"), 1)
	f, mistakes := scenarios.Parse("mine.txtar", wrong)
	if len(mistakes) > 0 {
		t.Fatal(mistakes.Report())
	}
	result, err := scenarios.Run(t.Context(), f, scenarios.RunOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	(&replayCommand{}).text(streams{out: &out}, []scenarios.Result{result})
	return out.String()
}

// checkSample is what check prints of a mail that a mailing service sends in the
// shop's name: the answers, what to mend, and some of what that rests on.
func checkSample(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"world": "account alice@gmail.test\nregister noreply@shop.example\ndns zone\n-- zone --\n" +
			"shop.example. TXT \"v=spf1 ip4:192.0.2.10 -all\"\n_dmarc.shop.example. TXT \"v=DMARC1; p=reject\"\n" +
			"mailer.example. TXT \"v=spf1 ip4:198.51.100.0/24 -all\"\n",
		"mail.eml": "From: Shop <noreply@shop.example>\nTo: alice@gmail.test\nSubject: Expense 4711\n" +
			"Date: Thu, 15 Jan 2026 09:00:00 +0000\nMessage-ID: <4711@shop.example>\n\nPlease approve.\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out, problems bytes.Buffer
	code := run(t.Context(), []string{
		"check", "--world", filepath.Join(dir, "world"), "--from", "b-17@mailer.example", "--peer", "198.51.100.7", "--helo", "out.mailer.example",
		"--at", "2026-01-15T09:00:00Z", filepath.Join(dir, "mail.eml"),
	}, streams{out: &out, err: &problems})
	if code != exitNot {
		t.Fatalf("check ends with %d: %s", code, &problems)
	}
	var b strings.Builder
	b.WriteString("$ doppelbox check --world world --from b-17@mailer.example --peer 198.51.100.7 \\\n    --helo out.mailer.example mail.eml\n")
	cut := false
	for i, part := range strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n\n") {
		switch {
		case i < 2 || strings.HasPrefix(part, "SPF:") || strings.HasPrefix(part, "DMARC:"):
			b.WriteString(part + "\n\n")
			cut = false
		case !cut:
			b.WriteString("...\n\n")
			cut = true
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// patternScenarios are the scenarios of access patterns, in the order of
// gmail-actions.md section 9, each followed by the ways to cheat it.
var patternScenarios = []string{
	"manual-forward", "manual-forward-registered",
	"auto-forward", "auto-forward-unverified", "auto-forward-broken", "auto-forward-forged",
	"pop-fetch", "pop-fetch-forged",
	"third-party", "forwarded-out", "mailing-list",
}

// patternTable has what the bundled scenarios of access patterns claim, a line
// a phase. That the claims hold is another test's business.
func patternTable(t *testing.T) string {
	t.Helper()
	names, err := fs.Glob(scenarios.Bundled, "pattern-*.txtar")
	if err != nil || len(names) != len(patternScenarios) {
		t.Fatalf("%d scenarios of patterns, and %d have a place in the table: %v", len(names), len(patternScenarios), err)
	}
	var b strings.Builder
	b.WriteString("| what happens | pattern | button | why |\n|---|---|---|---|\n")
	for _, name := range patternScenarios {
		name = "pattern-" + name + ".txtar"
		data, err := scenarios.Bundled.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f, mistakes := scenarios.Parse(name, data)
		if len(mistakes) > 0 {
			t.Fatal(mistakes.Report())
		}
		for _, phase := range f.Phases {
			if row := patternRow(phase); row != "" {
				b.WriteString(row)
			}
		}
	}
	return b.String()
}

// patternRow is the line of a phase; empty if it claims nothing of a pattern.
func patternRow(phase scenarios.Phase) string {
	claims := map[string]string{}
	pattern, status := "", ""
	for _, s := range phase.Steps {
		if who, ok := s.Get("persona"); ok && who != string(policy.PersonaProvider) {
			pattern = "third-party"
		}
		c := s.Claim()
		if c.Predicate != scenarios.Equal || c.Not {
			continue
		}
		claims[c.Path.Text] = c.Value.Text
		if strings.HasPrefix(c.Path.Text, "request.") && strings.HasSuffix(c.Path.Text, ".status") {
			status = c.Value.Text
		}
	}
	if pattern == "" {
		pattern = claims["pattern"]
	}
	button := claims["action.0"]
	why := cmp.Or(claims["action.0.reason"], claims["action.0.check.access-pattern.reason"])
	switch {
	case pattern == "third-party":
		button, why = "pressed anyway", "the service answers "+status
	case claims["token.iss"] != "" && status == "401":
		pattern, button, why = cmp.Or(pattern, "third-party"), "pressed", "the service answers "+status
	case claims["actions"] == "0":
		button = "none"
	case pattern == "" || button == "":
		return ""
	}
	cells := []string{strings.ReplaceAll(phase.Title, "\n", " "), pattern, button, why}
	for i := range cells[1:] {
		if v := cells[i+1]; v != "" && !strings.Contains(v, " ") {
			cells[i+1] = "`" + v + "`"
		}
	}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

// packageTable has the first sentence of each package's comment.
func packageTable(t *testing.T) string {
	t.Helper()
	var lines []string
	for _, s := range sources(t) {
		if s.file.Doc == nil {
			continue
		}
		comment := strings.ReplaceAll(s.file.Doc.Text(), "\n", " ")
		first, _, _ := strings.Cut(comment, ". ")
		lines = append(lines, "- `"+s.folder+"`: "+strings.TrimSuffix(strings.TrimSpace(first), ".")+".\n")
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// TestReadmeWorld holds that the world that README shows can be served.
func TestReadmeWorld(t *testing.T) {
	t.Parallel()
	text := readFileText(t, "../../README.md")
	_, rest, _ := strings.Cut(text, "A world is a scenario's\nset-up:\n\n```\n")
	world, _, ok := strings.Cut(rest, "```\n")
	f, mistakes := scenarios.Parse("README.md", []byte(world))
	if !ok || len(mistakes) > 0 {
		t.Fatalf("README has no world that can be read: %s", mistakes.Report())
	}
	if err := f.CheckWorld(); err != nil {
		t.Error(err)
	}
}

// TestReadmeProbe holds that README counts the requests of the probe right, and
// shows one that there is.
func TestReadmeProbe(t *testing.T) {
	t.Parallel()
	text := strings.Join(strings.Fields(readFileText(t, "../../README.md")), " ")
	count := fmt.Sprintf("%d requests in %d groups", len(probe.Catalogue()), len(probe.Groups()))
	if !strings.Contains(text, count) {
		t.Errorf("README does not say %q", count)
	}
	for _, p := range probe.Catalogue() {
		if p.ID != "aud-other" {
			continue
		}
		for _, want := range []string{p.Title, p.Reason, p.Should(), p.Source} {
			if !strings.Contains(text, want) {
				t.Errorf("README does not show %q of %s", want, p.ID)
			}
		}
	}
}

// TestReadmeConformance holds that each row of the sets of test data is reported
// by a test, and each set that is reported has a row. Where the data are, the
// tests hold that the numbers are right.
func TestReadmeConformance(t *testing.T) {
	t.Parallel()
	text := readFileText(t, "../../README.md")
	_, rest, _ := strings.Cut(text, "<!-- conformance -->\n")
	table, _, ok := strings.Cut(rest, "<!-- /conformance -->")
	lines := strings.Split(strings.TrimSpace(table), "\n")
	if !ok || len(lines) < 3 {
		t.Fatal("README has no table of conformance sets")
	}
	var rows []string
	for _, line := range lines[2:] {
		set, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " |")
		rows = append(rows, set)
	}
	slices.Sort(rows)
	if sets := reportedSets(t); !slices.Equal(rows, sets) {
		t.Errorf("README has rows for\n%s\nand the tests report\n%s", strings.Join(rows, "\n"), strings.Join(sets, "\n"))
	}
}

// reportedSets are the sets that the tests give to conformance.Report, sorted. Each
// stands there as it is, so that it can be found.
func reportedSets(t *testing.T) []string {
	t.Helper()
	var sets []string
	root := filepath.Join("..", "..")
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == ".git" || d.Name() == "node_modules"):
			return filepath.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !isReport(call.Fun) || len(call.Args) < 2 {
				return true
			}
			literal, ok := call.Args[1].(*ast.BasicLit)
			if !ok {
				t.Errorf("%s: the name of the set is no string literal", fset.Position(call.Pos()))
				return true
			}
			set, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Error(err)
			}
			sets = append(sets, set)
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(sets)
	return sets
}

// isReport says whether a function is conformance.Report.
func isReport(fun ast.Expr) bool {
	s, ok := fun.(*ast.SelectorExpr)
	if !ok || s.Sel.Name != "Report" {
		return false
	}
	of, ok := s.X.(*ast.Ident)
	return ok && of.Name == "conformance"
}
