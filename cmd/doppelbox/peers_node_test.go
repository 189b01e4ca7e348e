//go:build peers

package main

import (
	"bytes"
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
// under CI=true.
func needNode(t *testing.T, pkg string) nodePackage {
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
	return nodePackage{node, dir}
}

// nodePackage is a package of npm, and who runs programs that require it.
type nodePackage struct{ node, dir string }

// program returns the command line of one of our scripts. It is put where the
// package is: there Node finds that, as it does for everybody.
func (p nodePackage) program(t *testing.T, script string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(peerData(t), script))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(p.dir, script)
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return []string{p.node, path}
}

// needNodemailer is needNode for Nodemailer.
func needNodemailer(t *testing.T) nodePackage {
	t.Helper()
	return needNode(t, "nodemailer@10.6.0")
}

// nodemail sends a mail with Nodemailer, and returns how it was answered and
// what was said before.
func nodemail(t *testing.T, s *served, node nodePackage, job map[string]any) (answer string, said []string) {
	t.Helper()
	_, port, err := net.SplitHostPort(s.SMTP)
	if err != nil {
		t.Fatal(err)
	}
	server := job["server"].(map[string]any)
	// The certificate is verified for this name.
	server["host"], server["port"], server["name"] = "localhost", json.Number(port), peerHELO
	data, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	argv := node.program(t, "send.cjs")
	cmd := exec.CommandContext(s.ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+s.ca)
	cmd.Stdin = bytes.NewReader(data)
	var sent struct {
		Response string
		Dialogue []string
	}
	if err := json.Unmarshal([]byte(output(t, 0, cmd)), &sent); err != nil {
		t.Fatal(err)
	}
	return sent.Response, sent.Dialogue
}

// TestPeersNodemailer sends with a client that verifies the certificate of
// STARTTLS, signs, and encodes the mail in its own way.
func TestPeersNodemailer(t *testing.T) {
	t.Parallel()
	node := needNodemailer(t)
	key, record := peerKey(t)
	s := startServed(t, peerWorld("", record))
	answer, _ := nodemail(t, s, node, map[string]any{
		"server": map[string]any{"requireTLS": true},
		"dkim":   map[string]any{"domainName": "shop.example", "keySelector": peerSelector, "privateKey": string(key)},
		"mail": map[string]any{
			"envelope": map[string]any{"from": peerEnvelope, "to": []string{peerAccount}},
			"from":     map[string]any{"name": "Shöp", "address": peerSender}, "to": peerAccount,
			"subject": "Expense 4711 – wäits for your approval", "text": "Please approve expense 4711.", "html": peerHTML,
		},
	})
	if !strings.HasPrefix(answer, "250 2.0.0 OK") {
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
