//go:build peers

package main

import (
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
)

// way is one way to deliver a mail.
type way struct {
	tls, pipelining, chunking bool
	content                   string // One of contents.
}

// contents are what a mail may ask of SMTP: nothing, 8BITMIME, or SMTPUTF8.
var contents = []string{"ascii", "8bit", "utf8"}

// allWays are the ways that there are.
func allWays() (list []way) {
	both := []bool{false, true}
	for _, tls := range both {
		for _, pipelining := range both {
			for _, chunking := range both {
				for _, content := range contents {
					list = append(list, way{tls, pipelining, chunking, content})
				}
			}
		}
	}
	return list
}

// String names the way. The mailers find these words in the envelope's sender,
// and do as they say.
func (w way) String() string {
	word := func(is bool, yes, no string) string {
		if is {
			return yes
		}
		return no
	}
	return strings.Join([]string{word(w.tls, "tls", "plain"), word(w.pipelining, "pipelined", "stepwise"), word(w.chunking, "bdat", "data"), w.content}, "-")
}

// The addresses of the mail that needs SMTPUTF8.
const (
	utf8Sender  = "jörg@shop.example"
	utf8Account = "jürgen@gmail.test"
)

// envelope returns the envelope of a way's mail.
func (w way) envelope() (from, to string) {
	if w.content == "utf8" {
		return "rückläufer+" + w.String() + "@shop.example", utf8Account
	}
	return "bounce+" + w.String() + "@shop.example", peerAccount
}

// contentMail returns the mail with a content, with LF.
func contentMail(content string) string {
	mail := peerMail()
	if content == "ascii" {
		return mail
	}
	mail = strings.Replace(mail, "MIME-Version: 1.0\n", "MIME-Version: 1.0\nContent-Transfer-Encoding: 8bit\n", 1) + "<p>Grüße – 感謝</p>\n"
	if content == "utf8" {
		mail = strings.NewReplacer(peerSender, utf8Sender, peerAccount, utf8Account, "From: Shop ", "From: Jörgs Laden ", "Expense", "Spesenüberprüfung").Replace(mail)
	}
	return mail
}

// isASCII reports whether a text has no octet beyond ASCII.
func isASCII(text string) bool {
	return !slices.ContainsFunc([]byte(text), func(b byte) bool { return b >= 0x80 })
}

// wayClient is a program that delivers mail.
type wayClient struct {
	name string
	// start returns what delivers a mail in a way: what was said, line by line
	// after "C: " and "S: ", and what the client says of it in the end.
	start    func(t *testing.T, s *served) func(t *testing.T, w way, from, to, mail string) (said []string, status string)
	received bool // It puts a Received field on top.
	// asks8Bit says that it asks for 8BITMIME where the mail needs it. Exim
	// sends 8-bit text without asking.
	asks8Bit bool
}

// exclusion is ways that a client does not have.
type exclusion struct {
	client string
	ways   func(way) bool
	why    string
}

// exclusions are those that there are. That a client does not use what it is
// offered is seen in its other ways.
var exclusions = []exclusion{
	{"Postfix", func(w way) bool { return w.chunking }, "its client has no BDAT: since 3.4 its server has"},
	{"Nodemailer", func(w way) bool { return w.chunking }, "it knows nothing of CHUNKING"},
	{"Nodemailer", func(w way) bool { return !w.pipelining }, "it pipelines where that is offered, and has no option against it"},
}

func wayClients() []wayClient {
	return []wayClient{
		{name: "Postfix", start: startPostfixWays, received: true, asks8Bit: true},
		{name: "Exim", start: func(t *testing.T, s *served) func(*testing.T, way, string, string, string) ([]string, string) {
			e := newExim(t, s, nil)
			return func(t *testing.T, _ way, from, to, mail string) ([]string, string) { return e.send(t, from, to, mail) }
		}},
		{name: "Nodemailer", start: startNodemailerWays, asks8Bit: true},
	}
}

// startPostfixWays starts a Postfix that has a service for each way.
func startPostfixWays(t *testing.T, s *served) func(*testing.T, way, string, string, string) ([]string, string) {
	needRoot(t)
	_, port, err := net.SplitHostPort(s.SMTP)
	if err != nil {
		t.Fatal(err)
	}
	dir := peerDir(t, "postfix")
	writeFile(t, filepath.Join(dir, "main.cf"), template(t, "ways.cf", "dir", dir, "ca", s.ca), 0o644)
	writeFile(t, filepath.Join(dir, "master.cf"), template(t, "master.cf")+template(t, "ways-master.cf"), 0o644)
	writeFile(t, filepath.Join(dir, "ways"), template(t, "ways.regexp", "port", port), 0o644)
	p := newPostfix(t, dir)
	return func(t *testing.T, _ way, from, to, mail string) (said []string, status string) {
		lines := p.handIn(t, from, to, mail)
		// Such as "postfix/smtp[123]: > 127.0.0.1[127.0.0.1]:25: QUIT".
		spoken := regexp.MustCompile(`\]: ([<>]) 127\.0\.0\.1\[127\.0\.0\.1\]:\d+: (.*)$`)
		for _, line := range lines {
			if match := spoken.FindStringSubmatch(line); match != nil {
				said = append(said, map[string]string{">": "C: ", "<": "S: "}[match[1]]+match[2])
			}
		}
		return said, lines[len(lines)-1]
	}
}

// startNodemailerWays returns what runs Nodemailer.
func startNodemailerWays(t *testing.T, s *served) func(*testing.T, way, string, string, string) ([]string, string) {
	node := needNodemailer(t)
	return func(t *testing.T, w way, from, to, mail string) (said []string, status string) {
		status, said = nodemail(t, s, node, map[string]any{
			"server": map[string]any{"requireTLS": w.tls, "ignoreTLS": !w.tls},
			"mail": map[string]any{
				"envelope": map[string]any{"from": from, "to": []string{to}, "use8BitMime": !isASCII(mail)},
				"raw":      strings.ReplaceAll(mail, "\n", "\r\n"),
			},
		})
		return said, status
	}
}

// TestPeersWays has real clients deliver signed mail in all the ways that they
// have.
func TestPeersWays(t *testing.T) {
	t.Parallel()
	for _, c := range wayClients() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			key, record := peerKey(t)
			world := strings.Replace(peerWorld("", record), "account ", "account "+utf8Account+"\nregister "+utf8Sender+" actions=ConfirmAction\naccount ", 1)
			s := startServed(t, world, "--enforce")
			deliver := c.start(t, s)
			mails := map[string]string{}
			for _, content := range contents {
				mails[content] = signMail(t, key, contentMail(content))
			}
			for _, w := range allWays() {
				if slices.ContainsFunc(exclusions, func(x exclusion) bool { return x.client == c.name && x.ways(w) }) {
					continue
				}
				// One after the other: what was said is that of the newest mail.
				t.Run(w.String(), func(t *testing.T) {
					from, to := w.envelope()
					mail := mails[w.content]
					said, status := deliver(t, w, from, to, mail)
					if !strings.Contains(status, "250 2.0.0 OK ") {
						t.Errorf("the client says of the mail: %s", status)
					}
					expectSaid(t, said, w, c.asks8Bit && !isASCII(mail))
					m := s.message(t)
					expectMessage(t, m, offeredBy(policy.AuthPass))
					expectWay(t, m, w, from, to)
					raw := string(s.call(t, "GET", "messages/"+m.ID+"/raw", ""))
					if c.received {
						raw = withoutReceived(t, raw)
					}
					if want := strings.ReplaceAll(mail, "\n", "\r\n"); raw != want {
						t.Errorf("what arrived is\n%q\nof\n%q", raw, want)
					}
				})
			}
		})
	}
}

// withoutReceived takes the one Received field off the top of a message.
func withoutReceived(t *testing.T, raw string) string {
	t.Helper()
	lines := strings.SplitAfter(raw, "\n")
	if !strings.HasPrefix(lines[0], "Received: ") {
		t.Fatalf("the first line is %q", lines[0])
	}
	n := 1
	for n < len(lines) && strings.HasPrefix(lines[n], "\t") {
		n++
	}
	return strings.Join(lines[n:], "")
}

// expectWay checks what the provider knows of how a message came.
func expectWay(t *testing.T, m mailbox.Message, w way, from, to string) {
	t.Helper()
	a := m.Evidence.Arrival
	if a.MailFrom != from || a.Rcpt != to || a.HELO != peerHELO || a.Peer.String() != "192.0.2.10" {
		t.Errorf("the arrival is %+v", a)
	}
	if strings.HasPrefix(a.TLS, "TLS1_") != w.tls || (a.Cipher != "") != w.tls {
		t.Errorf("the arrival has TLS %q and the cipher %q", a.TLS, a.Cipher)
	}
}

// expectSaid checks what client and server said against the way, and against
// whether the client is to ask for 8BITMIME.
func expectSaid(t *testing.T, said []string, w way, asks8Bit bool) {
	t.Helper()
	find := func(prefix string) int {
		return slices.IndexFunc(said, func(line string) bool { return strings.HasPrefix(line, prefix) })
	}
	fail := func(format string, args ...any) {
		t.Helper()
		t.Errorf("%s; what was said is\n%s", fmt.Sprintf(format, args...), strings.Join(said, "\n"))
	}
	for _, offer := range []string{"PIPELINING", "CHUNKING", "8BITMIME", "SMTPUTF8"} {
		if find("S: 250-"+offer) < 0 && find("S: 250 "+offer) < 0 {
			fail("%s was not offered", offer)
		}
	}
	if (find("C: STARTTLS") >= 0) != w.tls {
		fail("TLS was not to be used: %v", !w.tls)
	}
	mailFrom, rcpt, data := find("C: MAIL FROM:"), find("C: RCPT TO:"), find("C: DATA")
	if w.chunking {
		data = find("C: BDAT ")
	}
	if mailFrom < 0 || rcpt < mailFrom || data < rcpt {
		fail("there is no transaction")
		return
	}
	if chunked := find("C: BDAT ") >= 0; chunked != w.chunking || find("C: DATA") >= 0 == w.chunking {
		fail("BDAT was used: %v", chunked)
	}
	if answered := slices.ContainsFunc(said[mailFrom:rcpt], func(line string) bool { return strings.HasPrefix(line, "S: ") }); answered == w.pipelining {
		fail("RCPT waited for the answer to MAIL: %v", answered)
	}
	if got := strings.Contains(said[mailFrom], " SMTPUTF8"); got != (w.content == "utf8") {
		fail("SMTPUTF8 was asked for: %v", got)
	}
	if got := strings.Contains(said[mailFrom], " BODY=8BITMIME"); got != asks8Bit {
		fail("8BITMIME was asked for: %v", got)
	}
}
