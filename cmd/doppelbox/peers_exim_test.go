//go:build peers

package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
)

// needExim makes sure that Debian's Exim is there, and returns its path. It is
// unpacked and not installed: a machine has one mail system, and Debian would
// remove Postfix for it.
func needExim(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "doppelbox", "exim")
	path := filepath.Join(dir, "usr", "sbin", "exim4")
	// It does not even say its version without its libraries and its user.
	runs := func() error {
		out, err := exec.Command(path, "-C", "/dev/null", "-bV").CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s -bV: %w\n%s", path, err, out)
		}
		return nil
	}
	giveUp := t.Skipf
	if os.Getenv("CI") == "true" {
		giveUp = t.Fatalf
	}
	if os.Geteuid() != 0 {
		giveUp("Exim runs as another user than who started it only if that was root: run this as root")
	}
	if runs() == nil {
		return path
	}
	apt, err := exec.LookPath("apt-get")
	if err != nil {
		giveUp("Exim is missing, and can only be unpacked on Debian: %v", err)
	}
	if out, err := withApt(func() ([]byte, error) {
		if runs() == nil {
			return nil, nil // Another test has done it.
		}
		return unpackExim(apt, dir)
	}); err != nil {
		giveUp("Exim is missing, and unpacking it went wrong: %v\n%s", err, out)
	}
	if err := runs(); err != nil {
		t.Fatalf("Exim was unpacked, but %v", err)
	}
	return path
}

// unpackExim unpacks Exim's program into a folder, installs the libraries that
// it needs, and makes the user that it insists on.
func unpackExim(apt, dir string) (output []byte, err error) {
	const name = "exim4-daemon-light"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	for _, args := range [][]string{{"update"}, {"download", name}} {
		cmd := exec.Command(apt, args...)
		cmd.Dir = dir
		if output, err := cmd.CombinedOutput(); err != nil {
			return output, err
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, name+"_*.deb"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no package was downloaded: %v", err)
	}
	file := files[len(files)-1]
	if output, err := exec.Command("dpkg-deb", "--extract", file, dir).CombinedOutput(); err != nil {
		return output, err
	}
	depends, err := exec.Command("dpkg-deb", "--field", file, "Depends").CombinedOutput()
	if err != nil {
		return depends, err
	}
	var libraries []string
	for term := range strings.SplitSeq(string(depends), ",") {
		if name := strings.Fields(term)[0]; strings.HasPrefix(name, "lib") {
			libraries = append(libraries, name)
		}
	}
	if output, err := installLocked(apt, libraries); err != nil {
		return output, err
	}
	// As the package's own installation makes it.
	const account = "Debian-exim"
	if _, err := user.Lookup(account); err != nil {
		return exec.Command("useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/var/spool/exim4",
			"--shell", "/usr/sbin/nologin", account).CombinedOutput()
	}
	return nil, nil
}

// exim is an Exim that hands all mail to a doppelbox.
type exim struct {
	s            *served
	path, config string
}

// newExim makes the files of an Exim. It runs while it sends, so that there is
// nothing to start. Its keys, by selector, are in PEM.
func newExim(t *testing.T, s *served, keys map[string][]byte) *exim {
	t.Helper()
	dir := peerDir(t, "exim")
	e := &exim{s: s, path: needExim(t), config: filepath.Join(dir, "exim.conf")}
	_, port, err := net.SplitHostPort(s.SMTP)
	if err != nil {
		t.Fatal(err)
	}
	// Its processes are not root's, and must get at the program and these.
	program := filepath.Join(dir, "exim4")
	binary, err := os.ReadFile(e.path)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, program, string(binary), 0o755)
	e.path = program
	authority, err := os.ReadFile(s.ca)
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(dir, "ca.pem")
	writeFile(t, ca, string(authority), 0o644)
	writeFile(t, e.config, template(t, "exim.conf", "exim", program, "dir", dir, "port", port, "ca", ca), 0o644)
	for selector, key := range keys {
		writeFile(t, filepath.Join(dir, selector+".pem"), string(key), 0o644)
	}
	for _, name := range []string{"spool", "log"} {
		path := filepath.Join(dir, name)
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
		output(t, 0, exec.CommandContext(s.ctx, "chown", "Debian-exim:Debian-exim", path))
	}
	return e
}

// send hands a mail in and returns what was said, line by line, and what
// became of it.
func (e *exim) send(t *testing.T, from, to, mail string) (said []string, status string) {
	t.Helper()
	// Verbose, and delivered before it ends.
	cmd := exec.CommandContext(e.s.ctx, e.path, "-C", e.config, "-v", "-odf", "-i", "-f", from, to)
	cmd.Stdin = strings.NewReader(mail)
	text, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, text)
	}
	// What it writes by itself, what it writes together with more, and what more
	// is to follow; what it reads, with further lines indented.
	spoken := regexp.MustCompile(`(?m)^  SMTP(?:>>|\|>|\+>) (.*)|^(?:  SMTP<<|        ) (\d\d\d[ -].*)|^  ((?:=>|\*\*|==) .*)`)
	for _, match := range spoken.FindAllStringSubmatch(strings.ReplaceAll(string(text), "\r", ""), -1) {
		switch {
		case match[1] != "":
			said = append(said, "C: "+match[1])
		case match[2] != "":
			said = append(said, "S: "+match[2])
		default:
			status = match[3]
		}
	}
	if status == "" {
		t.Errorf("Exim says nothing of the mail:\n%s", text)
	}
	return said, status
}

// TestPeersEximSigns has Exim sign by itself, with two keys: it does so while it
// sends, in another way for BDAT than for DATA.
func TestPeersEximSigns(t *testing.T) {
	t.Parallel()
	needExim(t)
	rsaKey, rsaRecord := peerKey(t)
	edKey, edRecord := edwardsKey(t, "s2")
	for _, tt := range []struct {
		profile string
		second  policy.AuthResult // Of the signature that the real provider does not count.
	}{{"rfc", policy.AuthPass}, {"gmail", policy.AuthNeutral}} {
		t.Run(tt.profile, func(t *testing.T) {
			t.Parallel()
			s := startServed(t, peerWorld("", rsaRecord, edRecord), "--dial", "profile="+tt.profile)
			e := newExim(t, s, map[string][]byte{peerSelector: rsaKey, "s2": edKey})
			for _, words := range []string{"tls-data-signed", "tls-bdat-signed"} {
				said, status := e.send(t, "bounce+"+words+"@shop.example", peerAccount, peerMail())
				if bdat := strings.Contains(strings.Join(said, "\n"), "C: BDAT "); !strings.Contains(status, "250 2.0.0 OK ") || bdat != strings.Contains(words, "bdat") {
					t.Errorf("%s: Exim says of the mail: %s\n%s", words, status, strings.Join(said, "\n"))
				}
				m := s.message(t)
				results := map[string]policy.AuthResult{}
				for _, d := range m.Evidence.Auth.DKIM {
					results[d.Selector+" "+d.Algorithm] = d.Result
				}
				if want := map[string]policy.AuthResult{"s1 rsa-sha256": policy.AuthPass, "s2 ed25519-sha256": tt.second}; !maps.Equal(results, want) {
					t.Errorf("%s: the signatures are %v, want %v", words, results, want)
				}
			}
		})
	}
}

// edwardsKey makes an Ed25519 key for signing mail, as peerKey makes one of RSA.
func edwardsKey(t *testing.T, selector string) (private []byte, record string) {
	t.Helper()
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	record = fmt.Sprintf("%s._domainkey.shop.example. TXT \"v=DKIM1; k=ed25519; p=%s\"", selector, base64.StdEncoding.EncodeToString(public))
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), record
}
