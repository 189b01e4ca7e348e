//go:build peers

package main

import (
	"encoding/json"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
)

// swaks returns a command that sends the mail, with more flags.
func swaks(t *testing.T, s *served, flags ...string) *exec.Cmd {
	t.Helper()
	host, port, err := net.SplitHostPort(s.SMTP)
	if err != nil {
		t.Fatal(err)
	}
	path := needDebian(t, "swaks", "swaks", "libnet-ssleay-perl")
	cmd := exec.CommandContext(s.ctx, path, append([]string{
		"--server", host, "--port", port, "--helo", peerHELO, "--from", peerEnvelope, "--to", peerAccount, "--data", "-",
	}, flags...)...)
	cmd.Stdin = strings.NewReader(peerMail())
	return cmd
}

func TestPeersSwaks(t *testing.T) {
	t.Parallel()
	needDebian(t, "swaks", "swaks", "libnet-ssleay-perl")
	s := startServed(t, peerWorld(""))

	output(t, 0, swaks(t, s))
	m := s.message(t)
	expectMessage(t, m, offeredBy(policy.AuthNone))
	if a := m.Evidence.Arrival; a.TLS != "" || a.HELO != peerHELO || a.MailFrom != peerEnvelope || a.Peer != netip.MustParseAddr("192.0.2.10") {
		t.Errorf("without TLS, the arrival is %+v", a)
	}

	output(t, 0, swaks(t, s, "--tls", "--tls-verify", "--tls-ca-path", s.ca))
	m = s.message(t)
	expectMessage(t, m, offeredBy(policy.AuthNone))
	if a := m.Evidence.Arrival; !strings.HasPrefix(a.TLS, "TLS1_") || a.Cipher == "" {
		t.Errorf("with STARTTLS, the arrival is %+v", a)
	}
	// A client that verifies refuses a stranger's certificate: 29 is its code
	// for trouble with TLS.
	other := startServed(t, peerWorld(""))
	output(t, 29, swaks(t, s, "--tls", "--tls-verify", "--tls-ca-path", other.ca))

	text := output(t, 24, swaks(t, s, "--to", "nobody@gmail.test"))
	if !strings.Contains(text, "<** 550-5.1.1 ") || !strings.Contains(text, "<** 550 5.1.1 ") {
		t.Errorf("the reply to an unknown account is not 550 5.1.1:\n%s", text)
	}
	// Of two recipients, the unknown one is refused, and the other gets it.
	output(t, 0, swaks(t, s, "--to", "nobody@gmail.test,"+peerAccount))
	if m := s.message(t); m.Account != peerAccount {
		t.Errorf("the message is in %q", m.Account)
	}
}

// TestPeersSwaksProxy sends by a load balancer that says who connected, in
// both versions of its protocol.
func TestPeersSwaksProxy(t *testing.T) {
	t.Parallel()
	needDebian(t, "swaks", "swaks", "libnet-ssleay-perl")
	s := startServed(t, peerWorld(""), "--proxy-from=127.0.0.0/8")
	for _, version := range []string{"1", "2"} {
		for _, tt := range []struct {
			source string
			want   expectation
		}{
			{"192.0.2.10", offeredBy(policy.AuthNone)},
			{"198.51.100.7", expectation{policy.AuthFail, policy.AuthNone, policy.AuthFail, policy.Withheld, "unauthenticated"}},
		} {
			output(t, 0, swaks(t, s, "--proxy-version", version, "--proxy-family", map[string]string{"1": "TCP4", "2": "AF_INET"}[version],
				"--proxy-protocol", "STREAM", "--proxy-source", tt.source, "--proxy-source-port", "40000",
				"--proxy-dest", "203.0.113.5", "--proxy-dest-port", "25"))
			m := s.message(t)
			expectMessage(t, m, tt.want)
			if got := m.Evidence.Arrival.Peer.String(); got != tt.source {
				t.Errorf("with PROXY version %s from %s, the peer is %s", version, tt.source, got)
			}
		}
	}
}

// TestPeersSMTPLib declares sizes with the client of Python's library.
func TestPeersSMTPLib(t *testing.T) {
	t.Parallel()
	python := needDebian(t, "/usr/bin/python3", "python3")
	s := startServed(t, peerWorld(""))
	host, port, err := net.SplitHostPort(s.SMTP)
	if err != nil {
		t.Fatal(err)
	}
	declare := func(size string) (got struct {
		Limit, Text string
		Code        int
	}) {
		cmd := exec.CommandContext(s.ctx, python, filepath.Join(peerData(t), "size.py"), host, port, size)
		if err := json.Unmarshal([]byte(output(t, 0, cmd)), &got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	got := declare("1000")
	if got.Code != 250 {
		t.Errorf("a size of 1000 is answered with %+v", got)
	}
	if got = declare(got.Limit); got.Code != 250 {
		t.Errorf("a size of exactly the limit is answered with %+v", got)
	}
	if got = declare(got.Limit + "0"); got.Code != 552 || !strings.HasPrefix(got.Text, "5.3.4 ") {
		t.Errorf("a size over the limit is answered with %+v", got)
	}
}
