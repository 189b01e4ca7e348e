package probe_test

import (
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/dispatcher/probe"
)

// TestHint holds that a refused token is said to be for whom it is, and why.
func TestHint(t *testing.T) {
	t.Parallel()
	_, target, o := newBench(t).try(t, "refuses-all")
	o.Only = []string{"token-missing"}
	report, err := probe.Run(t.Context(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	if notes := strings.Join(report.Notes, "\n"); !strings.Contains(notes, `expect the audience "https://shop.example" (with --url that is what --domain names, whatever the dial token.aud says)`) {
		t.Errorf("notes are %q", notes)
	}
}
