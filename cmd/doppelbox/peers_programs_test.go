//go:build peers

package main

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
)

// accountPassword is what mail programs log in with.
const accountPassword = "battery-staple"

// reading is one run of a mail program.
type reading struct {
	s              *served
	port, password string
	dir            string // A folder of its own.
	code           int    // That the program is to end with.
}

// fill returns one of our templates for the run.
func (r reading) fill(t *testing.T, name string, pairs ...string) string {
	t.Helper()
	return template(t, name, append(pairs, "dir", r.dir, "port", r.port, "user", peerAccount, "password", r.password, "ca", r.s.ca)...)
}

// got returns the one file that matches, which the program has written; empty if
// there is none.
func (r reading) got(t *testing.T, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(r.dir, pattern))
	if err != nil || len(files) > 1 {
		t.Fatalf("%s: %q, %v", pattern, files, err)
	}
	if len(files) == 0 {
		return ""
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// mailProgram reads the first message of an account.
type mailProgram struct {
	name     string
	protocol string // As accesses have it.
	flag     string // The door that it uses.
	lines    string // How the lines of what it got end.
	refused  int    // The code that it ends with when the login is refused.
	read     func(t *testing.T, r reading) string
}

// mailPrograms are those that the tests know. The certificate is good for
// localhost, and each of them verifies that.
func mailPrograms() []mailProgram {
	curl := func(url, path string) func(*testing.T, reading) string {
		return func(t *testing.T, r reading) string {
			return output(t, r.code, exec.CommandContext(r.s.ctx, needDebian(t, "curl", "curl"), "--silent", "--show-error",
				"--ssl-reqd", "--cacert", r.s.ca, "--user", peerAccount+":"+r.password, url+"://localhost:"+r.port+path))
		}
	}
	mbsync := func(tls string) func(*testing.T, reading) string {
		return func(t *testing.T, r reading) string {
			config := filepath.Join(r.dir, "mbsyncrc")
			writeFile(t, config, r.fill(t, "mbsyncrc", "tls", tls), 0o600)
			output(t, r.code, exec.CommandContext(r.s.ctx, needDebian(t, "mbsync", "isync"), "--config", config, "inbox"))
			// It adds a field of its own, by which it finds the file again.
			return regexp.MustCompile(`(?m)^X-TUID: .*\n`).ReplaceAllString(r.got(t, "INBOX/new/*"), "")
		}
	}
	fetchmail := func(t *testing.T, r reading) string {
		config := filepath.Join(r.dir, "fetchmailrc")
		writeFile(t, config, r.fill(t, "fetchmailrc"), 0o600)
		cmd := exec.CommandContext(r.s.ctx, needDebian(t, "fetchmail", "fetchmail"), "--fetchmailrc", config, "--nodetach")
		cmd.Env = append(os.Environ(), "HOME="+r.dir, "FETCHMAILHOME="+r.dir)
		output(t, r.code, cmd)
		return r.got(t, "got")
	}
	const lf, crlf = "\n", "\r\n"
	return []mailProgram{
		{"curl IMAPS", "imap", "--imaps", crlf, 67, curl("imaps", "/INBOX;UID=1")},
		{"curl IMAP with STARTTLS", "imap", "--imap", crlf, 67, curl("imap", "/INBOX;UID=1")},
		{"curl POP3S", "pop3", "--pop3s", crlf, 67, curl("pop3s", "/1")},
		{"curl POP3 with STLS", "pop3", "--pop3", crlf, 67, curl("pop3", "/1")},
		{"mbsync IMAPS", "imap", "--imaps", lf, 1, mbsync("IMAPS")},
		{"mbsync IMAP with STARTTLS", "imap", "--imap", lf, 1, mbsync("STARTTLS")},
		{"fetchmail POP3S", "pop3", "--pop3s", lf, 3, fetchmail},
	}
}

// TestPeersPrograms has mail programs read an account, and presses the button
// as they can: without the provider's token.
func TestPeersPrograms(t *testing.T) {
	t.Parallel()
	verifier := pythonVerifier(t)
	for _, p := range mailPrograms() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			service := startService(t)
			s := startServed(t, peerWorld(service.addr), "--trust", service.ca, "--account", peerAccount+" password="+accountPassword, p.flag, "127.0.0.1:0")
			verifyTokens(service, s, verifier)
			_, port, err := net.SplitHostPort(s.Doors[0].Addr)
			if err != nil {
				t.Fatal(err)
			}
			s.steps(t, "deliver mail.eml from="+peerEnvelope+" to="+peerAccount+" peer=192.0.2.10 helo="+peerHELO,
				"expect action.0 == offered", "-- mail.eml --", peerMail())
			m := s.message(t)

			if got := p.read(t, reading{s, port, "wrong", t.TempDir(), p.refused}); got != "" {
				t.Errorf("with a wrong password it got %q", got)
			}
			got := p.read(t, reading{s, port, accountPassword, t.TempDir(), 0})
			stored := string(s.call(t, "GET", "messages/"+m.ID+"/stored", ""))
			if want := strings.ReplaceAll(stored, "\r\n", p.lines); got != want {
				t.Errorf("it got\n%q\nof\n%q", got, want)
			}
			expectAccesses(t, s, m, p.protocol)

			// Without the token the request is refused; with it, it is not.
			s.steps(t, "click 0 persona="+string(policy.PersonaThirdParty), "expect request.0.status == 401", "expect click.state == failed")
			if r := service.request(t); r.token != "" {
				t.Errorf("a program sent the token %q", r.token)
			}
			s.steps(t, "click 0", "expect request.1.status == 200", "expect click.state == succeeded")
			if r := service.request(t); r.token == "" || r.uri != "/approve?expense=4711" {
				t.Errorf("the provider's request is %+v", r)
			}
		})
	}
}

// TestPeersProgramID has a mail program say who it is. The others do not.
func TestPeersProgramID(t *testing.T) {
	t.Parallel()
	s := startServed(t, peerWorld(""), "--account", peerAccount+" password="+accountPassword, "--imaps", "127.0.0.1:0")
	_, port, err := net.SplitHostPort(s.Doors[0].Addr)
	if err != nil {
		t.Fatal(err)
	}
	output(t, 0, exec.CommandContext(s.ctx, needDebian(t, "curl", "curl"), "--silent", "--show-error", "--cacert", s.ca,
		"--user", peerAccount+":"+accountPassword, "--request", `ID ("name" "curl" "version" "1")`, "imaps://localhost:"+port))
	s.steps(t, "expect accesses == 1", "expect access.0.client == \"curl 1\"", "expect access.0.denied == no", "expect access.0.read == 0")
}

// expectAccesses checks that there were two sessions of a program: one whose
// login was refused, and one that read a message.
func expectAccesses(t *testing.T, s *served, m mailbox.Message, protocol string) {
	t.Helper()
	var list []mailbox.Access
	if err := json.Unmarshal(s.call(t, "GET", "accesses", ""), &list); err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 {
		t.Fatalf("the accesses are %+v", list)
	}
	for i, denied := range []bool{true, false} {
		a := list[i]
		if a.Denied != denied || a.Account != peerAccount || a.Protocol != protocol || !strings.HasPrefix(a.TLS, "TLS1_") || !a.Peer.IsLoopback() {
			t.Errorf("access %d is %+v", i, a)
		}
	}
	if len(list[0].Read) != 0 || len(list[1].Read) != 1 || list[1].Read[0] != m.ID {
		t.Errorf("the messages read are %q and %q", list[0].Read, list[1].Read)
	}
}
