//go:build peers

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/receiver/popfetch"
)

// peerDir makes a folder for the files of a server, which goes with the test.
// It is not the test's own: that one's name is too long for sockets, and
// processes of other users must get in.
func peerDir(t *testing.T, name string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "doppelbox-"+name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// writeFile writes a file of a server.
func writeFile(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// template returns one of our templates; what it has in braces is replaced, by
// pairs of name and value.
func template(t *testing.T, name string, pairs ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(peerData(t), name))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		pairs[i] = "{" + pairs[i] + "}"
	}
	return strings.NewReplacer(pairs...).Replace(string(text))
}

// loopbackAddr returns an address of loopback for one server, which cannot take
// a free port by itself: at an address of its own every port is free.
func loopbackAddr(t *testing.T) netip.Addr {
	t.Helper()
	var b [3]byte
	if _, err := rand.Read(b[:]); err != nil {
		t.Fatal(err)
	}
	return netip.AddrFrom4([4]byte{127, 64 | b[0]&63, b[1], b[2]})
}

// signMail signs a mail of shop.example with a program that is none of ours.
func signMail(t *testing.T, key []byte, mail string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key.pem")
	writeFile(t, path, string(key), 0o600)
	cmd := exec.CommandContext(peerContext(t), needDebian(t, "/usr/bin/dkimsign", "python3-dkim"), peerSelector, "shop.example", path)
	cmd.Stdin = strings.NewReader(mail)
	return output(t, 0, cmd)
}

// mailTo is the mail with another address in To.
func mailTo(address string) string {
	return strings.Replace(peerMail(), "To: "+peerAccount, "To: "+address, 1)
}

// steps carries out lines of a scenario, which must hold.
func (s *served) steps(t *testing.T, lines ...string) {
	t.Helper()
	s.call(t, "POST", "steps", strings.Join(lines, "\n")+"\n")
}

// dovecot is a mail server elsewhere, with one mailbox for each user.
type dovecot struct {
	addr     netip.Addr
	dir, ca  string
	uid, gid int
}

// The server's name, in its certificate, and the password of all its users.
const (
	dovecotHost     = "pop.isp.test"
	dovecotPassword = "correct-horse"
)

// startDovecot starts Dovecot for users of isp.test, and waits until it is
// ready.
func startDovecot(t *testing.T, users ...string) *dovecot {
	t.Helper()
	needDebian(t, "/usr/lib/dovecot/pop3", "dovecot-pop3d")
	program := needDebian(t, "dovecot", "dovecot-core")
	if version := output(t, 0, exec.CommandContext(peerContext(t), program, "--version")); !strings.HasPrefix(version, "2.3.") {
		giveUp := t.Skipf
		if os.Getenv("CI") == "true" {
			giveUp = t.Fatalf
		}
		giveUp("the configuration in testdata/peers is for Dovecot 2.3, and this is %s", version)
	}
	me, group := dovecotUser(t)
	d := &dovecot{addr: loopbackAddr(t), dir: peerDir(t, "dovecot")}
	d.ca = filepath.Join(d.dir, "cert.pem")
	var err error
	if d.uid, err = strconv.Atoi(me.Uid); err != nil {
		t.Fatal(err)
	}
	if d.gid, err = strconv.Atoi(me.Gid); err != nil {
		t.Fatal(err)
	}
	key, cert := selfSigned(t, dovecotHost)
	writeFile(t, filepath.Join(d.dir, "key.pem"), key, 0o600)
	writeFile(t, d.ca, cert, 0o644)
	var passwords strings.Builder
	for _, name := range users {
		fmt.Fprintf(&passwords, "%s:{PLAIN}%s\n", name, dovecotPassword)
		for _, sub := range []string{"cur", "new", "tmp"} {
			d.mkdir(t, "mail", name, sub)
		}
	}
	d.mkdir(t, "run")
	writeFile(t, filepath.Join(d.dir, "users"), passwords.String(), 0o644)
	config := filepath.Join(d.dir, "dovecot.conf")
	writeFile(t, config, template(t, "dovecot.conf", "dir", d.dir, "addr", d.addr.String(),
		"user", me.Username, "group", group.Name, "uid", me.Uid, "gid", me.Gid), 0o644)
	// It says so when it listens.
	startPeer(t, program, "-F", "-c", config).await(t, "starting up for pop3")
	return d
}

// dovecotUser returns whose processes and mail the server's are: nobody's if the
// test is root's, because Dovecot touches no mail of root's.
func dovecotUser(t *testing.T) (*user.User, *user.Group) {
	t.Helper()
	me, err := user.Current()
	if err == nil && me.Uid == "0" {
		me, err = user.Lookup("nobody")
	}
	if err != nil {
		t.Fatal(err)
	}
	group, err := user.LookupGroupId(me.Gid)
	if err != nil {
		t.Fatal(err)
	}
	return me, group
}

// mkdir makes a folder, and those above it, that the server may write to.
func (d *dovecot) mkdir(t *testing.T, parts ...string) {
	t.Helper()
	path := d.dir
	for _, part := range parts {
		path = filepath.Join(path, part)
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, d.uid, d.gid); err != nil {
			t.Fatal(err)
		}
	}
}

// put delivers a mail into a user's mailbox.
func (d *dovecot) put(t *testing.T, name, id, mail string) {
	t.Helper()
	path := filepath.Join(d.dir, "mail", name, "new", id)
	writeFile(t, path, mail, 0o600)
	if err := os.Chown(path, d.uid, d.gid); err != nil {
		t.Fatal(err)
	}
}

// expectMails checks how many mails a user's mailbox has.
func (d *dovecot) expectMails(t *testing.T, name string, want int) {
	t.Helper()
	var mails []string
	for _, sub := range []string{"cur", "new"} {
		list, err := filepath.Glob(filepath.Join(d.dir, "mail", name, sub, "*"))
		if err != nil {
			t.Fatal(err)
		}
		mails = append(mails, list...)
	}
	if len(mails) != want {
		t.Errorf("the mailbox of %s has the mails %q, want %d", name, mails, want)
	}
}

// popServer is the step that says how a user's mail is fetched.
func (d *dovecot) popServer(name, password string, mode popfetch.TLSMode, keep bool) string {
	port := 10110
	if mode == popfetch.TLSImplicit {
		port = 10995
	}
	return fmt.Sprintf("popserver %s at=%s host=%s login=%s password=%s tls=%s keep=%s", name, netip.AddrPortFrom(d.addr, uint16(port)),
		dovecotHost, name, password, mode, map[bool]string{true: "yes", false: "no"}[keep])
}

// selfSigned makes a certificate for a host, and its key, in PEM.
func selfSigned(t *testing.T, host string) (key, cert string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	made := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	certDER, err := x509.CreateCertificate(rand.Reader, made, made, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})),
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certDER}))
}

// TestPeersFetch fetches mail from a real POP3 server.
func TestPeersFetch(t *testing.T) {
	t.Parallel()
	verifier := pythonVerifier(t)
	modes := []popfetch.TLSMode{popfetch.TLSNone, popfetch.TLSSTLS, popfetch.TLSImplicit}
	var users []string
	for _, mode := range modes {
		users = append(users, string(mode)+"@isp.test")
	}
	d := startDovecot(t, users...)
	for i, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			source := users[i]
			key, record := peerKey(t)
			service := startService(t)
			s := startServed(t, peerWorld(service.addr, record), "--trust", service.ca, "--trust", d.ca, "--account", peerAccount+" popfrom="+source)
			verifyTokens(service, s, verifier)
			fetch := "fetch " + peerAccount + " from=" + source

			s.steps(t, d.popServer(source, "wrong", mode, true), fetch,
				"expect fetch.error == login-refused", "expect fetch.login == no", "expect messages == 0")

			mail := signMail(t, key, mailTo(source))
			d.put(t, source, "1.good", mail)
			s.steps(t, d.popServer(source, dovecotPassword, mode, true), fetch,
				`expect fetch.error == ""`, "expect fetch.fetched == 1", "expect fetch.deleted == 0",
				"expect arrival == pop", "expect arrival.source == "+source, "expect dkim.0 == pass",
				"expect pattern == pop-fetch", "expect pattern.confidence == proven",
				"expect action.0 == offered", "expect action.0.check.access-pattern.reason == pop-fetch",
				"click 0", "expect click.state == succeeded", "expect request.0.status == 200")
			m := s.message(t)
			if f := m.Evidence.Arrival.Fetch; f == nil || f.Login != source || f.Host != dovecotHost || (f.TLS != "") != (mode != popfetch.TLSNone) {
				t.Errorf("the mail was fetched by %+v", f)
			}
			if got := s.call(t, "GET", "messages/"+m.ID+"/raw", ""); string(got) != strings.ReplaceAll(mail, "\n", "\r\n") {
				t.Errorf("what was fetched is\n%q\nof\n%q", got, mail)
			}
			if r := service.request(t); r.uri != "/approve?expense=4711" || r.body != "confirmed=Approved" {
				t.Errorf("the request is %+v", r)
			}

			s.steps(t, fetch, "expect fetch.listed == 1", "expect fetch.known == 1", "expect fetch.fetched == 0", "expect messages == 1")
			d.expectMails(t, source, 1)

			// From now on what is stored here is deleted there, the earlier
			// mail, too.
			d.put(t, source, "2.changed", strings.Replace(mail, "Please approve", "Please do approve", 1))
			s.steps(t, d.popServer(source, dovecotPassword, mode, false), fetch,
				"expect fetch.fetched == 1", "expect fetch.known == 1", "expect fetch.deleted == 2",
				"expect pattern == pop-fetch", "expect dkim.0 == fail", "expect action.0 == withheld", "expect action.0.reason == dkim-broken")
			d.expectMails(t, source, 0)
			s.steps(t, fetch, `expect fetch.error == ""`, "expect fetch.listed == 0", "expect messages == 2")
		})
	}
}

// TestPeersFetchUntrusted fetches from a server for whose certificate nobody
// vouches.
func TestPeersFetchUntrusted(t *testing.T) {
	t.Parallel()
	const source = "user@isp.test"
	d := startDovecot(t, source)
	d.put(t, source, "1", mailTo(source))
	s := startServed(t, peerWorld(""), "--account", peerAccount+" popfrom="+source)
	for _, mode := range []popfetch.TLSMode{popfetch.TLSSTLS, popfetch.TLSImplicit} {
		s.steps(t, d.popServer(source, dovecotPassword, mode, false), "fetch "+peerAccount+" from="+source,
			"expect fetch.error == failed", "expect fetch.error.text contains certificate", "expect fetch.login == no", "expect messages == 0")
	}
	d.expectMails(t, source, 1)
}
