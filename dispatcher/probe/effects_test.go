package probe_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/dispatcher"
	"github.com/doppelbox/doppelbox/dispatcher/probe"
)

// TestEffectsThatCount has observers of effects of which some count, in whatever
// way: once is told from twice by those alone, and nothing is said by others.
func TestEffectsThatCount(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	hash := func(n int) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(fmt.Sprint(n)))) }
	for name, c := range map[string]struct {
		says          func(done int) string
		once, refuses probe.Mark // Both are answered 200, and one acts; one is answered 409, and both act.
	}{
		"done":         {func(n int) string { return fmt.Sprint(n) }, probe.Noted, probe.Failed},
		"open":         {func(n int) string { return fmt.Sprint(1000 - n) }, probe.Noted, probe.Failed},
		"in words":     {func(n int) string { return fmt.Sprintf("as of 12:00, done: %d", n) }, probe.Noted, probe.Failed},
		"a hash":       {hash, probe.Undetermined, probe.Undetermined},
		"another unit": {func(n int) string { return fmt.Sprint(n * 40) }, probe.Undetermined, probe.Undetermined},
	} {
		for _, flaw := range []string{"idempotent", "refuses, and acts"} {
			t.Run(name+" "+flaw, func(t *testing.T) {
				t.Parallel()
				s, target, o := b.try(t, flaw)
				o.Effects = func(context.Context) (string, error) { return c.says(s.count()), nil }
				o.Only = []string{"two-at-once", "token-missing"}
				want := c.once
				if flaw != "idempotent" {
					want = c.refuses
					exchange := o.Exchange
					o.Exchange = func(ctx context.Context, r dispatcher.Raw) dispatcher.Attempt {
						a := exchange(ctx, r)
						if strings.HasSuffix(r.ID, "two-at-once") && a.Status == http.StatusConflict {
							s.mu.Lock()
							defer s.mu.Unlock()
							s.done++
						}
						return a
					}
				}
				report, err := probe.Run(t.Context(), target, o)
				if err != nil {
					t.Fatal(err)
				}
				got := result(t, report, "two-at-once")
				if got.Mark != want || (want == probe.Undetermined) != strings.Contains(got.Detail, "--effects prints a number that goes up or down by one") {
					t.Errorf("%s: %s", got.Mark, got.Detail)
				}
				// Where one was refused, little is open.
				if open := want == probe.Undetermined && flaw == "idempotent"; open != (len(report.Problems) == 1) ||
					open && !strings.Contains(report.Problems[0], "once can be told from twice if --effects prints a number") {
					t.Errorf("problems are %q", report.Problems)
				}
			})
		}
	}
}
