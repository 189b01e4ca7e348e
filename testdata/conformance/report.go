package conformance

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// update rewrites the rows of README instead of comparing them, one test after
// another. Its name leaves -update to the tests.
var update = flag.Bool("update-conformance", false, "write the counts of conformance sets into README")

// The marks of README's table, and what it begins with.
const (
	begin = "<!-- conformance -->\n"
	end   = "<!-- /conformance -->"
	head  = "| set | cases | as expected | differs, justified |\n|---|---|---|---|\n"
)

// Report holds that README tells of a set what a test found: how many of its
// cases were run, and of how many the result is another than the set expects.
// The test itself justifies each of these, and fails for others. A set that is
// used for several things has a row for each; its name then says for what.
func Report(t testing.TB, set string, cases, differ int) {
	t.Helper()
	path := filepath.Join(checkout(t), "README.md")
	row := fmt.Sprintf("| %s | %d | %d | %d |", set, cases, cases-differ, differ)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), begin+head)
	table, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("README has no table of conformance sets: %q, %q, rows, %q", begin, head, end)
	}
	rows := strings.Split(strings.TrimSuffix(table, "\n"), "\n")
	if slices.Contains(rows, row) {
		return
	}
	if !*update {
		t.Errorf("README does not have the row\n%s\ngo test -p 1 -parallel 1 -update-conformance with this package writes it", row)
		return
	}
	rows = slices.DeleteFunc(rows, func(r string) bool { return r == "" || strings.HasPrefix(r, "| "+set+" |") })
	rows = append(rows, row)
	slices.Sort(rows)
	text := before + begin + head + strings.Join(rows, "\n") + "\n" + end + after
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
