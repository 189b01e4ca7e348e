//go:build peers

package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
)

// peerKey makes a key for signing mail. It returns it in PEM, and the DNS
// record of it as zone text. It uses nothing of ours, so that two of our
// mistakes cannot hide each other.
func peerKey(t *testing.T) (private []byte, record string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	p := base64.StdEncoding.EncodeToString(public)
	record = fmt.Sprintf("%s._domainkey.shop.example. TXT \"v=DKIM1; k=rsa; p=%s\" %q", peerSelector, p[:200], p[200:])
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), record
}

// postfix is a Postfix with a milter that signs, which hands all mail to a
// doppelbox.
type postfix struct {
	*peerProcess
	dir      string // Its configuration, its queue and its data.
	sendmail string
}

// startPostfix starts OpenDKIM and Postfix, with files of their own and no
// port, and waits until they are ready.
func startPostfix(t *testing.T, s *served, key []byte, tlsLevel string) *postfix {
	t.Helper()
	opendkim := needDebian(t, "opendkim", "opendkim")
	_, port, err := net.SplitHostPort(s.SMTP)
	if err != nil {
		t.Fatal(err)
	}
	dir := peerDir(t, "postfix")
	at := func(name string) string { return filepath.Join(dir, name) }
	writeFile(t, at("main.cf"), template(t, "main.cf", "dir", dir, "port", port, "tls", tlsLevel, "ca", s.ca, "milter", at("milter")), 0o644)
	writeFile(t, at("master.cf"), template(t, "master.cf"), 0o644)
	writeFile(t, at("opendkim.conf"), template(t, "opendkim.conf", "socket", at("milter"), "key", at("key.pem"), "selector", peerSelector), 0o644)
	writeFile(t, at("key.pem"), string(key), 0o600)
	milter := startPeer(t, opendkim, "-f", "-x", at("opendkim.conf"))
	milter.await(t, fmt.Sprint(milter.cmd.Process.Pid))
	return newPostfix(t, dir)
}

// newPostfix starts the Postfix that has its configuration in a folder.
func newPostfix(t *testing.T, dir string) *postfix {
	t.Helper()
	return &postfix{peerProcess: runPostfix(t, dir), dir: dir, sendmail: needDebian(t, "sendmail", "postfix")}
}

// runPostfix starts Postfix with a folder that has its configuration, makes its
// other files there, and waits until it is ready.
func runPostfix(t *testing.T, dir string) *peerProcess {
	t.Helper()
	program := needDebian(t, "postfix", "postfix")
	for _, name := range []string{"queue", "data"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	ctx := peerContext(t)
	output(t, 0, exec.CommandContext(ctx, "chown", "postfix", filepath.Join(dir, "data")))
	// The check makes the queue's folders.
	output(t, 0, exec.CommandContext(ctx, program, "-c", dir, "check"))
	daemons := output(t, 0, exec.CommandContext(ctx, needDebian(t, "postconf", "postfix"), "-c", dir, "-h", "daemon_directory"))
	p := startPeer(t, filepath.Join(strings.TrimSpace(daemons), "master"), "-c", dir, "-s")
	p.await(t, "daemon started")
	return p
}

// send hands in a mail and waits for what became of it.
func (p *postfix) send(t *testing.T, from, to, mail string) string {
	t.Helper()
	lines := p.handIn(t, from, to, mail)
	return lines[len(lines)-1]
}

// handIn hands in a mail, as a program on the mailer's machine does, and returns
// what Postfix writes until it says what became of it.
func (p *postfix) handIn(t *testing.T, from, to, mail string) []string {
	t.Helper()
	cmd := exec.CommandContext(p.ctx, p.sendmail, "-C", p.dir, "-i", "-f", from, to)
	cmd.Stdin = strings.NewReader(mail)
	output(t, 0, cmd)
	return p.until(t, "to=<"+to+">")
}

// needRoot skips the test if it does not run as root, which Postfix demands.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	giveUp := t.Skip
	if os.Getenv("CI") == "true" {
		giveUp = t.Fatal
	}
	giveUp("Postfix runs as root only: run this as root")
}

// TestPeersPostfix has a real mailer send a signed mail, and a real service
// verify the token of the click with a library of Google's.
func TestPeersPostfix(t *testing.T) {
	t.Parallel()
	needRoot(t)
	verifier := pythonVerifier(t)
	for _, tt := range []struct {
		level string // Of TLS, as Postfix names it.
		tls   bool
	}{{"none", false}, {"may", true}} {
		t.Run(tt.level, func(t *testing.T) {
			t.Parallel()
			key, record := peerKey(t)
			service := startService(t)
			s := startServed(t, peerWorld(service.addr, record), "--enforce", "--trust", service.ca)
			verifyTokens(service, s, verifier)
			p := startPostfix(t, s, key, tt.level)

			if line := p.send(t, peerEnvelope, peerAccount, peerMail()); !strings.Contains(line, "status=sent (250 2.0.0 OK ") {
				t.Errorf("Postfix says of the mail: %s", line)
			}
			m := s.message(t)
			expectMessage(t, m, offeredBy(policy.AuthPass))
			a := m.Evidence.Arrival
			if a.MailFrom != peerEnvelope || a.HELO != peerHELO || a.Peer.String() != "192.0.2.10" || (a.TLS != "") != tt.tls {
				t.Errorf("the arrival is %+v", a)
			}
			if r := m.Evidence.Auth.ReverseDNS; r.Result != policy.AuthPass || r.Name != peerHELO {
				t.Errorf("the reverse DNS is %+v", r)
			}
			if m.Evidence.Access.Pattern != policy.PatternDirect || m.Verdict.Delivery != policy.Accept {
				t.Errorf("the pattern is %s and the delivery %s", m.Evidence.Access.Pattern, m.Verdict.Delivery)
			}

			s.click(t)
			if list := s.clicks(t, m); len(list) != 1 || list[0].State != mailbox.ClickSucceeded {
				t.Errorf("the service did not take the click: %+v\n%s", list, s.call(t, "GET", "messages/"+m.ID+"/clicks", ""))
			}
			if r := service.request(t); r.method != "POST" || r.uri != "/approve?expense=4711" || r.body != "confirmed=Approved" {
				t.Errorf("the request is %s %s with %q", r.method, r.uri, r.body)
			}

			if line := p.send(t, peerEnvelope, "nobody@gmail.test", peerMail()); !strings.Contains(line, "status=bounced") || !strings.Contains(line, "550-5.1.1 ") {
				t.Errorf("Postfix says of a mail to nobody: %s", line)
			}
			// Neither is there a record for this domain nor does the milter
			// sign for it.
			line := p.send(t, "bounce@stranger.example", peerAccount, strings.ReplaceAll(peerMail(), "shop.example", "stranger.example"))
			if !strings.Contains(line, "status=bounced") || !strings.Contains(line, "550-5.7.26 ") {
				t.Errorf("Postfix says of a mail that nothing authenticates: %s", line)
			}
			if m := s.message(t); !m.Refused || m.Verdict.Delivery != policy.Reject {
				t.Errorf("the provider says of a mail that nothing authenticates:\n%s", m.Verdict.Text())
			}
		})
	}
}
