// Package conformance finds the independent test data that is not part of the
// project. Only tests import it: it stands under testdata so that no program
// carries it.
package conformance

import (
	"os"
	"path/filepath"
	"testing"
)

// Path returns a file or folder of the independent test data by its name there,
// with slashes; "." is all of it. The data are in the folder that
// DOPPELBOX_CONFORMANCE names, else in shared/conformance beside the checkout.
// Without that folder the test is skipped. Where there is one that lacks the
// name, the test fails: skipped, it would be missed by nobody.
func Path(t testing.TB, name string) string {
	t.Helper()
	root := os.Getenv("DOPPELBOX_CONFORMANCE")
	if root == "" {
		root = filepath.Join(checkout(t), "..", "shared", "conformance")
	}
	if _, err := os.Stat(root); err != nil {
		t.Skipf("no conformance data; DOPPELBOX_CONFORMANCE can name their folder: %v", err)
	}
	path := filepath.Join(root, filepath.FromSlash(name))
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("the conformance data are incomplete: %v", err)
	}
	return path
}

// checkout returns the project's root: the folder of go.mod above the test's.
func checkout(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = parent
	}
}
