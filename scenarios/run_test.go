package scenarios_test

import (
	"io/fs"
	"testing"

	"github.com/doppelbox/doppelbox/scenarios"
)

func TestBundled(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(scenarios.Bundled, "*.txtar")
	if err != nil || len(names) < 15 {
		t.Fatalf("%d bundled scenarios, %v", len(names), err)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := scenarios.Bundled.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			f, errs := scenarios.Parse(name, data)
			if errs.Err() != nil {
				t.Fatal("\n" + errs.Report())
			}
			result, err := scenarios.Run(t.Context(), f, scenarios.RunOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if !result.Held() {
				t.Error("\n" + result.Failures().Report())
			}
			if result.Claims() == 0 {
				t.Error("it claims nothing")
			}
		})
	}
}
