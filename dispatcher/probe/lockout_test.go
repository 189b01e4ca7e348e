package probe_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/dispatcher/probe"
)

// TestLockedOut has a service that answers whoever was refused twenty times with
// 403 from then on, the good request included: this is told from one that
// refuses everything, and from one whose action was used up.
func TestLockedOut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, bare := range []bool{false, true} {
		s, target, o := b.try(t)
		o.Only = []string{"credentials", "signature"}
		if bare { // What has no limited-use token is tried early enough.
			o.Fresh, o.Only = nil, []string{"limited-use", "audience", "good"}
		}
		sound, refused := s.Config.Handler, 0
		s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if refused >= 20 {
				http.Error(w, "go away", http.StatusForbidden)
				return
			}
			sound.ServeHTTP(&seen{w, func(status int) int {
				if status >= 400 {
					refused++
				}
				return status
			}}, r)
		})
		report, err := probe.Run(t.Context(), target, o)
		if err != nil {
			t.Fatal(err)
		}
		if good := result(t, report, "good"); good.Mark != probe.Undetermined || !strings.Contains(good.Detail, "; but so is ") {
			t.Errorf("the good request is %s: %s", good.Mark, good.Detail)
		}
		want := "token-missing was answered 401 at first, and is answered 403 now, as the good request is"
		if bare {
			want = "limited-use-missing was answered 400 at first, and is answered 403 now"
		}
		if len(report.Problems) != 1 || !strings.Contains(report.Problems[0], "seems to lock out") || !strings.Contains(report.Problems[0], want) {
			t.Errorf("problems are %q", report.Problems)
		}
		if held := found(report, probe.Held); len(held) > 0 {
			t.Errorf("%v are said to hold", held)
		}
	}
}
