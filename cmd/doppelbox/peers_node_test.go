//go:build peers

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
)

// needNode installs a package of npm, of a given version, for this test only.
// Without Node, or if nothing can be downloaded, the test is skipped, or fails
// under CI=true. It returns what runs one of our scripts with the package.
func needNode(t *testing.T, pkg string) func(ctx context.Context, script string, env ...string) *exec.Cmd {
	t.Helper()
	giveUp := t.Skipf
	if os.Getenv("CI") == "true" {
		giveUp = t.Fatalf
	}
	node, err := exec.LookPath("node")
	if err != nil {
		giveUp("node is missing: install Node.js 20 or later, with npm")
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		giveUp("npm is missing: install Node.js 20 or later, with npm")
	}
	dir := t.TempDir()
	// What a package wants to run when it is installed is not run.
	install := exec.CommandContext(peerContext(t), npm, "install", "--prefix", dir, "--ignore-scripts", "--no-audit", "--no-fund", pkg)
	if out, err := install.CombinedOutput(); err != nil {
		giveUp("npm install %s: %v\n%s", pkg, err, out)
	}
	return func(ctx context.Context, script string, env ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, node, filepath.Join(peerData(t), script))
		cmd.Env = append(append(os.Environ(), "NODE_PATH="+filepath.Join(dir, "node_modules")), env...)
		return cmd
	}
}

// TestPeersNodemailer sends with a client that verifies the certificate of
// STARTTLS, signs, and encodes the mail in its own way.
func TestPeersNodemailer(t *testing.T) {
	t.Parallel()
	node := needNode(t, "nodemailer@10.6.0")
	key, record := peerKey(t)
	s := startServed(t, peerWorld("", record))
	_, port, err := net.SplitHostPort(s.SMTP)
	if err != nil {
		t.Fatal(err)
	}
	job, err := json.Marshal(map[string]any{
		// The certificate is verified for this name.
		"server": map[string]any{"host": "localhost", "port": json.Number(port), "requireTLS": true, "name": peerHELO},
		"dkim":   map[string]any{"domainName": "shop.example", "keySelector": peerSelector, "privateKey": string(key)},
		"mail": map[string]any{
			"envelope": map[string]any{"from": peerEnvelope, "to": []string{peerAccount}},
			"from":     map[string]any{"name": "Shöp", "address": peerSender}, "to": peerAccount,
			"subject": "Expense 4711 – wäits for your approval", "text": "Please approve expense 4711.", "html": peerHTML,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := node(s.ctx, "send.cjs", "NODE_EXTRA_CA_CERTS="+s.ca)
	cmd.Stdin = bytes.NewReader(job)
	if answer := output(t, 0, cmd); !strings.HasPrefix(answer, "250 2.0.0 OK") {
		t.Errorf("nodemailer was answered %q", answer)
	}
	m := s.message(t)
	expectMessage(t, m, offeredBy(policy.AuthPass))
	if a := m.Evidence.Arrival; !strings.HasPrefix(a.TLS, "TLS1_") {
		t.Errorf("the arrival is %+v", a)
	}
	if h := m.Evidence.Header; h.Subject != "Expense 4711 – wäits for your approval" || len(h.From) != 1 || h.From[0].Name != "Shöp" {
		t.Errorf("the header was read as %+v", h)
	}
}
