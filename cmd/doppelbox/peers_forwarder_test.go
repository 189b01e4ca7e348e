//go:build peers

package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
)

// The forwarder of acme.test, at the address that loopback stands for, and the
// addresses there. One is of the user who has proved it; the other is of one who
// has not.
const (
	forwarderPeer = "203.0.113.25"
	forwarderHELO = "mx.acme.test"
	forwardProved = "user@acme.test"
	forwardOther  = "other@acme.test"
	otherAccount  = "bob@gmail.test"
)

// forwarder is a Postfix that passes mail for acme.test on to a doppelbox.
type forwarder struct {
	*peerProcess
	socket string // Where it receives mail.
}

// startForwarder starts Postfix, and with srs also PostSRSd, which rewrites the
// envelopes. Postfix receives mail on a socket, so that it needs no port.
func startForwarder(t *testing.T, s *served, srs bool) *forwarder {
	t.Helper()
	_, port, err := net.SplitHostPort(s.SMTP)
	if err != nil {
		t.Fatal(err)
	}
	dir := peerDir(t, "forwarder")
	config := template(t, "forwarder.cf", "dir", dir, "port", port, "ca", s.ca)
	if srs {
		config += template(t, "srs.cf", "srs", startPostSRSd(t, dir))
	}
	writeFile(t, filepath.Join(dir, "main.cf"), config, 0o644)
	writeFile(t, filepath.Join(dir, "master.cf"), template(t, "master.cf")+"incoming  unix       n - n -     - smtpd\n", 0o644)
	writeFile(t, filepath.Join(dir, "tags"), "/^Subject: (Announcement.*)/ REPLACE Subject: [acme] $1\n", 0o644)
	return &forwarder{runPostfix(t, dir), filepath.Join(dir, "queue", "public", "incoming")}
}

// startPostSRSd starts PostSRSd for acme.test, and returns the address of its
// tables.
func startPostSRSd(t *testing.T, dir string) string {
	t.Helper()
	program := needDebian(t, "postsrsd", "postsrsd")
	// Version 2 has a file for its configuration, and other tables.
	if version := output(t, 0, exec.CommandContext(peerContext(t), program, "-v")); !strings.HasPrefix(version, "1.") {
		giveUp := t.Skipf
		if os.Getenv("CI") == "true" {
			giveUp = t.Fatalf
		}
		giveUp("the test starts PostSRSd 1, and this is %s", version)
	}
	secret := filepath.Join(dir, "secret")
	writeFile(t, secret, "nobody has to keep it\n", 0o600)
	addr := loopbackAddr(t).String()
	// It does not say when it is ready. Postfix waits for it by itself.
	startPeer(t, program, "-4", "-l"+addr, "-f10001", "-r10002", "-dacme.test", "-s"+secret, "-unobody", "-c"+dir)
	return addr
}

// send sends a mail of shop.example to an address of acme.test, and waits for
// what becomes of it.
func (f *forwarder) send(t *testing.T, to, mail string) string {
	t.Helper()
	cmd := exec.CommandContext(f.ctx, needDebian(t, "swaks", "swaks", "libnet-ssleay-perl"), "--socket", f.socket,
		"--helo", peerHELO, "--from", peerEnvelope, "--to", to, "--data", "-")
	cmd.Stdin = strings.NewReader(mail)
	output(t, 0, cmd)
	return f.await(t, "orig_to=<"+to+">")
}

// forwarding is how a forwarder treats the envelope, and what the provider is to
// make of that.
type forwarding struct {
	style policy.ForwardStyle
	spf   policy.AuthResult
	by    string // The forwarder's domain, where it is proven.
}

// forwarded sends a mail and returns it as it reached the provider.
func (f *forwarder) forwarded(t *testing.T, s *served, want forwarding, to, mail string) mailbox.Message {
	t.Helper()
	if line := f.send(t, to, mail); !strings.Contains(line, "status=sent (250 2.0.0 OK ") {
		t.Errorf("Postfix says of the mail: %s", line)
	}
	m := s.message(t)
	a, access := m.Evidence.Arrival, m.Evidence.Access
	if a.HELO != forwarderHELO || a.Peer.String() != forwarderPeer || (a.MailFrom == peerEnvelope) != (want.style == policy.ForwardPlain) {
		t.Errorf("the arrival is %+v", a)
	}
	if access.Forward == nil {
		t.Fatalf("the access is %+v", access)
	}
	if access.Pattern != policy.PatternAutoForward || access.Forward.Style != want.style || access.Forward.By != want.by {
		t.Errorf("the access is %+v, forward %+v", access, access.Forward)
	}
	return m
}

// TestPeersForwarder has a real mailer forward a signed mail, with the envelope
// as it came and with a rewritten one.
func TestPeersForwarder(t *testing.T) {
	t.Parallel()
	needRoot(t)
	verifier := pythonVerifier(t)
	for _, tt := range []forwarding{
		{policy.ForwardPlain, policy.AuthFail, ""},
		{policy.ForwardSRS, policy.AuthPass, "acme.test"},
	} {
		t.Run(string(tt.style), func(t *testing.T) {
			t.Parallel()
			key, record := peerKey(t)
			service := startService(t)
			s := startServed(t, peerWorld(service.addr, record, `acme.test. TXT "v=spf1 ip4:`+forwarderPeer+` -all"`),
				"--trust", service.ca, "--account", peerAccount+" sendas="+forwardProved, "--account", otherAccount)
			verifyTokens(service, s, verifier)
			s.steps(t, "peer 127.0.0.1 as="+forwarderPeer+" ptr="+forwarderHELO)
			f := startForwarder(t, s, tt.style == policy.ForwardSRS)
			forwarded := func(to, mail string) mailbox.Message { return f.forwarded(t, s, tt, to, mail) }

			m := forwarded(forwardProved, signMail(t, key, mailTo(forwardProved)))
			expectMessage(t, m, expectation{tt.spf, policy.AuthPass, policy.AuthPass, policy.Offered, "offered"})
			if f := m.Evidence.Access.Forward; m.Account != peerAccount || f.Original != forwardProved || f.SendAs != forwardProved {
				t.Errorf("the mail for %s was forwarded by %+v", m.Account, f)
			}
			s.click(t)
			if list := s.clicks(t, m); len(list) != 1 || list[0].State != mailbox.ClickSucceeded {
				t.Errorf("the service did not take the click: %+v", list)
			}
			if r := service.request(t); r.uri != "/approve?expense=4711" || r.body != "confirmed=Approved" {
				t.Errorf("the request is %+v", r)
			}

			// The author has signed whom he wrote to, and that the user may send as
			// that address is not proved: whether she has asked for it or not.
			other := signMail(t, key, mailTo(forwardOther))
			for _, step := range []struct {
				lines    string
				reason   policy.Reason
				original string
			}{
				{"sink acme.test", "original-unverified", forwardOther},
				{"sendas " + otherAccount + " " + forwardOther, "original-unverified", forwardOther},
			} {
				s.steps(t, step.lines)
				m = forwarded(forwardOther, other)
				expectMessage(t, m, expectation{tt.spf, policy.AuthPass, policy.AuthPass, policy.Withheld, step.reason})
				if f := m.Evidence.Access.Forward; m.Account != otherAccount || f.Original != step.original || f.SendAs != "" {
					t.Errorf("the mail for %s was forwarded by %+v", m.Account, f)
				}
			}

			announced := strings.Replace(mailTo(forwardProved), "Subject: ", "Subject: Announcement: ", 1)
			m = forwarded(forwardProved, signMail(t, key, announced))
			expectMessage(t, m, expectation{tt.spf, policy.AuthFail, policy.AuthFail, policy.Withheld, "dkim-broken"})
			if got := m.Evidence.Header.Subject; !strings.HasPrefix(got, "[acme] Announcement: ") || m.Evidence.Auth.DKIM[0].Change != policy.ChangeSubject {
				t.Errorf("with the subject %q, the change is %q", got, m.Evidence.Auth.DKIM[0].Change)
			}
		})
	}
}
