package main

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/receiver/reports"
)

// answering serves files as an API that may not be a provider's.
func answering(t *testing.T, files ...reports.File) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/reports" || r.URL.Query().Get("for") != "shop.example" {
			http.NotFound(w, r)
			return
		}
		if err := json.NewEncoder(w).Encode(map[string]any{"files": files}); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// Nothing is written outside of the folder, whatever the API says.
func TestReportsStayInFolder(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"../x.zip", "/x.zip", "a/x.zip", `a\x.zip`, "..", ".", "", "a/../../x.zip", "x\x00.zip"} {
		base := t.TempDir()
		dir := filepath.Join(base, "out")
		code, out, errs := command(t, "reports", "--for", "shop.example", "--out", dir, "--api", answering(t, reports.File{Name: name, Content: []byte("PK")}))
		if code != exitUsage || out != "" || errs == "" {
			t.Errorf("%q: exit code %d, %s%s", name, code, out, errs)
		}
		err := filepath.WalkDir(base, func(path string, d fs.DirEntry, err error) error {
			if !d.IsDir() {
				t.Errorf("%q: there is %s", name, path)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// What is in the way is left alone, unless it is a report, or may be replaced.
func TestReportsOverwrite(t *testing.T) {
	t.Parallel()
	const name = "google.com!shop.example!1!2.zip"
	api := answering(t, reports.File{Name: name, Content: []byte("PK new"), Kind: reports.KindDMARC})
	tests := []struct {
		there string
		flag  string
		code  int
		want  string
	}{
		{"", "", exitHeld, "PK new"},
		{"PK old", "", exitHeld, "PK new"},
		{"my notes", "", exitUsage, "my notes"},
		{"P", "", exitUsage, "P"},
		{"my notes", "--overwrite", exitHeld, "PK new"},
	}
	for _, tt := range tests {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		if tt.there != "" {
			if err := os.WriteFile(path, []byte(tt.there), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		args := []string{"reports", "--for", "shop.example", "--out", dir, "--api", api}
		if tt.flag != "" {
			args = append(args, tt.flag)
		}
		code, _, errs := command(t, args...)
		if got, err := os.ReadFile(path); code != tt.code || string(got) != tt.want || err != nil {
			t.Errorf("over %q: exit code %d, there is %q: %s", tt.there, code, got, errs)
		}
	}
	// A link is not followed, even to what may be replaced.
	dir := t.TempDir()
	target := filepath.Join(t.TempDir(), "target")
	if err := os.WriteFile(target, []byte("PK"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := command(t, "reports", "--for", "shop.example", "--out", dir, "--overwrite", "--api", api); code != exitUsage || !strings.Contains(errs, "is no file") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}
