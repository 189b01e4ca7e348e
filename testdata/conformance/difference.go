package conformance

import "testing"

// Difference is one that is justified: the result that we have, and why it is
// another than the set expects.
type Difference struct{ Got, Why string }

// Differences are those of a test, by the names of its cases.
type Differences map[string]Difference

// Compare reports whether the result of a case is the one that the set expects.
// The test fails if it is not and the difference is none of d, or another one;
// and if d has one, and there is none. Each name is compared once, so that as
// many differ as d has entries: see Missing.
func (d Differences) Compare(t testing.TB, name, got, want string) (same bool) {
	t.Helper()
	known, ok := d[name]
	switch {
	case got == want && ok:
		t.Errorf("%s: does not differ any more: %s", name, known.Why)
	case got == want:
	case !ok:
		t.Errorf("%s: got %q, want %q", name, got, want)
	case got != known.Got:
		t.Errorf("%s: got %q, want %q, or %q: %s", name, got, want, known.Got, known.Why)
	}
	return got == want
}

// Missing fails the test unless all of d were met: differ is how many cases did
// differ.
func (d Differences) Missing(t testing.TB, differ int) {
	t.Helper()
	if differ != len(d) {
		t.Errorf("%d cases differ, and %d are known to", differ, len(d))
	}
}
