package scenarios_test

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/scenarios"
)

// An update rewrites the sections that cmp names, and no other byte of the
// file; after it the file holds.
func TestUpdate(t *testing.T) {
	t.Parallel()
	const script = "# A title.\r\n" + world + "endpoint https://shop.example/approve\n" + delivered + `click   Approve
cmp request  sent
cmp reply reply
cmp verdict	verdict
cmp click click
cmp mail came
`
	const others = "-- sent --\nold\n\n-- reply --\r\nold\n--  verdict --\n-- click --\n-- came --\n"
	f := parse(t, script+others+approval)
	before := string(f.Format())
	result, err := scenarios.Run(t.Context(), f, scenarios.RunOptions{Update: true})
	if err != nil || !result.Held() || !result.Updated {
		t.Fatalf("%v %+v", err, result)
	}
	got := string(f.Format())
	if !strings.HasPrefix(got, script+"-- sent --\nPOST /approve?token=b1946ac92492d234 HTTP/1.1\n") || !strings.HasSuffix(got, approval) {
		t.Errorf("the file is now\n%s", got)
	}
	for _, want := range []string{
		"\nAuthorization: Bearer (token)\n", "\n\nconfirmed=Approved\n-- reply --\r\n250 2.0.0 OK  1768467600 (session) - gsmtp\n--  verdict --\ndelivery accept, inbox\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("there is no %q in\n%s", want, got)
		}
	}
	if again := run(t, got, scenarios.RunOptions{Update: true}); again.Updated || !again.Held() {
		t.Errorf("a second update rewrites again, or not all holds: %s", again.Failures().Report())
	}
	if again := run(t, got, scenarios.RunOptions{}); !again.Held() {
		t.Error(again.Failures().Report())
	}
	unchanged := parse(t, before)
	if result, err := scenarios.Run(t.Context(), unchanged, scenarios.RunOptions{}); err != nil || result.Updated || len(result.Failures()) != 5 || string(unchanged.Format()) != before {
		t.Errorf("without an update: %v %+v", err, result)
	}
}

// A file says the same on every run.
func TestDeterminism(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(scenarios.Bundled, "*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := scenarios.Bundled.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			// To tell of all paths keys have to be made, which takes long.
			first, second := report(t, string(data), i%10 == 0), report(t, string(data), i%10 == 0)
			for i := range min(len(first), len(second)) {
				if first[i] != second[i] {
					t.Fatalf("line %d is once %s and once %s", i+1, first[i], second[i])
				}
			}
			if len(first) != len(second) {
				t.Errorf("the report has once %d lines and once %d", len(first), len(second))
			}
		})
	}
}

// report returns the lines of what is reported of a file.
func report(t *testing.T, text string, paths bool) []string {
	t.Helper()
	r := run(t, text, scenarios.RunOptions{Paths: paths})
	r.Paths = withoutChance(r.Paths)
	var b strings.Builder
	if err := scenarios.WriteJSON(&b, []scenarios.Result{r}); err != nil {
		t.Fatal(err)
	}
	return strings.Split(b.String(), "\n")
}

// withoutChance leaves out what is made of random numbers, keys and what they
// sign, and of the time at which the test runs.
func withoutChance(list []scenarios.Path) []scenarios.Path {
	var out []scenarios.Path
	for _, p := range list {
		random := p.Name == "token.kid" || strings.HasSuffix(p.Name, ".kid") || strings.HasSuffix(p.Name, ".header.authorization") ||
			strings.HasSuffix(p.Name, ".response.body") && strings.HasPrefix(p.Value, "keys: ") || // It names the key.
			strings.HasSuffix(p.Name, ".response.header.date")
		if !random {
			out = append(out, p)
		}
	}
	return out
}

// The runner knows every verb that a file may have.
func TestEveryVerbRuns(t *testing.T) {
	t.Parallel()
	for _, v := range scenarios.Verbs() {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			phases, errs := scenarios.ParseSteps("x", v.Example)
			if errs.Err() != nil {
				t.Fatal(errs.Report())
			}
			f := parse(t, "")
			f.Phases = phases
			result, err := scenarios.Run(t.Context(), f, scenarios.RunOptions{})
			if err != nil {
				t.Fatal(err)
			}
			// Many an example lacks what it speaks of; but it is known.
			if text := result.Failures().Error(); strings.Contains(text, "verb") {
				t.Error(text)
			}
		})
	}
}

// The end of the context ends a run, and is an error of nobody's file.
func TestRunEnds(t *testing.T) {
	t.Parallel()
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	_, err := scenarios.Run(ctx, parse(t, world+delivered+approval), scenarios.RunOptions{})
	if !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}
