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
		{"PK", "", exitHeld, "PK new"}, // Cut off.
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
	// An empty file is no loss.
	empty := t.TempDir()
	path := filepath.Join(empty, name)
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	code, _, errs := command(t, "reports", "--for", "shop.example", "--out", empty, "--api", api)
	if got, err := os.ReadFile(path); code != exitHeld || string(got) != "PK new" || err != nil {
		t.Errorf("over nothing: exit code %d, there is %q: %s", code, got, errs)
	}
	if list, err := os.ReadDir(empty); err != nil || len(list) != 1 {
		t.Errorf("there are %v, %v", list, err)
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

// Of two files of one name neither is written.
func TestReportsTwice(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	f := reports.File{Name: "x.zip", Content: []byte("PK")}
	code, out, errs := command(t, "reports", "--for", "shop.example", "--out", dir, "--api", answering(t, f, f))
	if code != exitUsage || out != "" || !strings.Contains(errs, `named two files "x.zip"`) {
		t.Errorf("exit code %d, %s%s", code, out, errs)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) > 0 {
		t.Errorf("there are %v, %v", list, err)
	}
}

// A zone of the user's own is not replaced, though it begins with a comment, too.
func TestReportsZone(t *testing.T) {
	t.Parallel()
	zone := reports.Zone(reports.AsGoogle(), [][2]string{{"_dmarc.google.com", "v=DMARC1; p=none"}})
	api := answering(t, zone)
	for there, want := range map[string]int{"; my zone, which is long enough for the first line of the other one\n": exitUsage, string(zone.Content) + "x": exitHeld} {
		dir := t.TempDir()
		path := filepath.Join(dir, zone.Name)
		if err := os.WriteFile(path, []byte(there), 0o644); err != nil {
			t.Fatal(err)
		}
		code, out, errs := command(t, "reports", "--for", "shop.example", "--out", dir, "--api", api)
		got, err := os.ReadFile(path)
		if code != want || err != nil || (string(got) == there) != (want == exitUsage) || want == exitHeld && !strings.Contains(out, "google.com.zone: DNS records") {
			t.Errorf("over %q: exit code %d, %s%s", there, code, out, errs)
		}
	}
}
