package provider_test

import (
	"bytes"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/scenarios/provider"
	"github.com/doppelbox/doppelbox/testdata/conformance"
)

// malformedMails are the files of the conformance data that are mails. The
// octets are as foreign programs made them.
func malformedMails(t *testing.T) []string {
	t.Helper()
	folder := conformance.Path(t, "malformed")
	var list []string
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "smtp-smuggling": // Dialogues, not mails.
			return fs.SkipDir
		case d.IsDir():
		case slices.Contains([]string{".xml", ".json", ".md"}, filepath.Ext(path)), slices.Contains([]string{"LICENSE", "MIT-LICENSE"}, d.Name()):
		default:
			list = append(list, path)
		}
		return nil
	})
	if err != nil || len(list) == 0 {
		t.Fatalf("%d mails, %v", len(list), err)
	}
	return list
}

// Whatever a mail looks like, it is answered, kept byte for byte, and judged
// by every check, and reading it finds no fault of ours. Each is sent as it
// is, and as a client that ends lines with CRLF would send it.
func TestMalformed(t *testing.T) {
	t.Parallel()
	paths := malformedMails(t)
	p := newProvider(t, provider.Options{})
	var checks []policy.CheckID
	for _, c := range policy.Checks() {
		if c.Scope == policy.ScopeMessage {
			checks = append(checks, c.ID)
		}
	}
	var files, deliveries atomic.Int64
	t.Run("mails", func(t *testing.T) {
		for part := range 4 {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for i := part; i < len(paths); i += 4 {
					raw, err := os.ReadFile(paths[i])
					if err != nil {
						t.Fatal(err)
					}
					files.Add(1)
					for _, form := range [][]byte{raw, crlf(raw)} {
						deliveries.Add(1)
						if !keepsMalformed(t, p, form, checks) {
							t.Errorf("in %s", paths[i])
						}
					}
				}
			})
		}
	})
	if deliveries.Load() != 2*files.Load() {
		t.Errorf("%d files, %d deliveries", files.Load(), deliveries.Load())
	}
	conformance.Report(t, "malformed, delivered", int(files.Load()), 0)
}

func crlf(raw []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
}

func keepsMalformed(t *testing.T, p *provider.Provider, raw []byte, checks []policy.CheckID) bool {
	t.Helper()
	d, err := p.Deliver(t.Context(), netip.MustParseAddr(senderPeer), provider.Mail{From: "bounce@shop.example", To: []string{"alice@gmail.test"}, Raw: raw}, false)
	if err != nil {
		t.Error(err)
		return false
	}
	if !d.Reply.Accepted() || len(d.Messages) != 1 {
		t.Errorf("%s, %d messages", d.Reply, len(d.Messages))
		return false
	}
	m := d.Messages[0]
	want := raw
	if !bytes.HasSuffix(raw, []byte("\r\n")) {
		want = append(bytes.Clone(raw), "\r\n"...)
	}
	good := true
	complain := func(format string, args ...any) {
		good = false
		t.Errorf(format, args...)
	}
	if !bytes.Equal(m.Raw, want) {
		complain("%d octets were sent, and %d others kept", len(want), len(m.Raw))
	}
	if m.Problem != "" {
		complain("problem %q", m.Problem)
	}
	var found []policy.CheckID
	for _, f := range m.Verdict.Findings {
		found = append(found, f.Check)
		if f.Reason == "" || f.Result == "" {
			complain("finding %+v", f)
		}
	}
	if !slices.Equal(found, checks) || m.Verdict.Delivery == "" || m.Verdict.Reply.Code == 0 || len(m.Verdict.Actions) != len(m.Evidence.Markup.Actions) {
		complain("findings %q, delivery %q", found, m.Verdict.Delivery)
	}
	for _, a := range m.Verdict.Actions {
		if a.Answer == "" || a.Reason == "" || len(a.Findings) == 0 {
			complain("action %+v", a)
		}
	}
	return good
}
