package scenarios_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"net/textproto"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailauth"
	"github.com/doppelbox/doppelbox/scenarios"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

var update = flag.Bool("update", false, "write testdata/replies.txtar anew")

const (
	replyZone = `shop.example. TXT "v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 -all"
_dmarc.shop.example. TXT "v=DMARC1; p=reject"
`
	replyMail = `From: Shop <noreply@shop.example>
To: alice@gmail.test
Subject: Expense 4711
Date: Thu, 15 Jan 2026 09:00:00 +0000
Message-ID: <4711@shop.example>

Please approve.
`
)

// provoked is what makes the provider give a reply by itself.
type provoked struct {
	world  string              // Steps beside those of every world.
	zone   string              // Instead of replyZone.
	mail   func(string) string // Changes replyMail.
	from   string              // Envelope; default bounce@shop.example.
	to     []string            // Default alice@gmail.test.
	peer   string              // Default 192.0.2.10.
	ptr    string              // Default "ptr=mail.shop.example".
	sign   bool
	before int    // Messages that come first.
	beside string // A second provider.
}

func without(field string) func(string) string {
	return func(s string) string { return regexp.MustCompile("(?m)^"+field+":.*\n").ReplaceAllString(s, "") }
}

func with(line string) func(string) string { return func(s string) string { return line + "\n" + s } }

// provocations are those of every reply that a check gives.
var provocations = map[policy.ReplyID]provoked{
	"no-such-user":               {to: []string{"nobody@gmail.test"}},
	"no-such-domain":             {to: []string{"alice@elsewhere.test"}},
	"too-many-recipients":        {world: "account bob@gmail.test\ndial rcpt.max 1", to: []string{"alice@gmail.test", "bob@gmail.test"}},
	"several-domains":            {beside: "other.test", world: "account carol@other.test", to: []string{"alice@gmail.test", "carol@other.test"}},
	"account-inactive":           {world: "account alice@gmail.test state=disabled"},
	"over-quota":                 {world: "account alice@gmail.test state=full"},
	"over-quota-inactive":        {world: "account alice@gmail.test state=full-inactive"},
	"tls-required":               {world: "inbound enforce tls=required"},
	"peer-not-allowed":           {world: "inbound enforce allow-from=198.51.100.0/24"},
	"receiving-rate":             {world: "dial rate.account 2/1h\ndial rate.account.exceeded defer", before: 2},
	"receiving-rate-permanent":   {world: "dial rate.account 2/1h\ndial rate.account.exceeded reject", before: 2},
	"rate-ip":                    {world: "dial rate.ip 1/1m", before: 1},
	"rate-netblock":              {world: "dial rate.netblock 1/1m", before: 1},
	"rate-dkim":                  {world: "dial rate.dkim 1/1m", before: 1, sign: true},
	"rate-spf":                   {world: "dial rate.spf 1/1m", before: 1},
	"rate-message-id":            {world: "dial rate.message-id 1/24h", before: 1},
	"rate-ip-blocked":            {world: "dial rate.ip 1/1m\ndial rate.exceeded reject", before: 1},
	"ptr":                        {world: "dial rdns.missing reject", ptr: "none"},
	"ptr-temporary":              {world: "dial rdns.missing defer", ptr: "none"},
	"ipv6":                       {peer: "2001:db8::10", ptr: "none"},
	"spf-suspicious":             {world: "dial spf.suspicious reject", zone: `shop.example. TXT "v=spf1 +all"`},
	"spf-suspicious-temporary":   {world: "dial spf.suspicious defer", zone: `shop.example. TXT "v=spf1 ip4:192.0.0.0/4 -all"`},
	"unauthenticated":            {zone: `shop.example. TXT "nothing"`},
	"unauthenticated-temporary":  {world: "dial unauthenticated defer", zone: `shop.example. TXT "nothing"`},
	"authentication-unavailable": {zone: "shop.example. FAULT servfail\n"},
	"spf-hard-fail":              {peer: "192.0.2.99"},
	"dmarc":                      {from: "bounce@mailer.example", zone: replyZone + `mailer.example. TXT "v=spf1 +ip4:192.0.2.10 -all"`},
	"bulk-spf-temporary":         {world: bulk + "dial bulk.tls note", zone: replyZone + `mailer.example. TXT "v=spf1 ~all"`, from: "bounce@mailer.example", sign: true},
	"bulk-spf":                   {world: bulk + "dial bulk.tls note\ndial bulk.spf reject", zone: replyZone + `mailer.example. TXT "v=spf1 ~all"`, from: "bounce@mailer.example", sign: true},
	"bulk-tls-temporary":         {world: bulk},
	"bulk-tls":                   {world: bulk + "dial bulk.tls reject"},
	"bulk-dkim-temporary":        {world: bulk + "dial bulk.tls note"},
	"bulk-dkim":                  {world: bulk + "dial bulk.tls note\ndial bulk.dkim reject"},
	"bulk-dmarc-temporary":       {world: bulk + "dial bulk.tls note", zone: `shop.example. TXT "v=spf1 ip4:192.0.2.10 -all"`, sign: true},
	"bulk-dmarc":                 {world: bulk + "dial bulk.tls note\ndial bulk.dmarc reject", zone: `shop.example. TXT "v=spf1 ip4:192.0.2.10 -all"`, sign: true},
	"bulk-alignment-temporary":   {world: bulk + "dial bulk.tls note\ndial bulk.dkim note", from: "bounce@mailer.example", zone: unaligned},
	"bulk-alignment":             {world: bulk + "dial bulk.tls note\ndial bulk.dkim note\ndial bulk.alignment reject", from: "bounce@mailer.example", zone: unaligned},
	"malformed":                  {mail: with("X-Null: a\x00b")},
	"not-compliant":              {mail: with("From: other@shop.example")},
	"encoded-word":               {mail: func(s string) string { return strings.Replace(s, "Message-ID: <", "Message-ID: <=?utf-8?q?a?=", 1) }},
	"unicode-header":             {mail: with("MIME-Version: 1.0é")},
	"message-id-missing":         {mail: without("Message-ID")},
	"header-limit":               {mail: with("X-Long: " + strings.Repeat("a b ", 10_000))},
	"message-size":               {world: "dial size.max documented", mail: func(s string) string { return s + strings.Repeat(strings.Repeat("x", 998)+"\n", 53_000) }},
	"mail-loop":                  {mail: with(strings.Repeat("Received: by x.example; Thu, 15 Jan 2026 09:00:00 +0000\n", 51) + "X-Loop: yes")},
}

const (
	bulk      = "sender shop.example bulk=yes\n"
	unaligned = `mailer.example. TXT "v=spf1 ip4:192.0.2.10 -all"` + "\n" + `_dmarc.shop.example. TXT "v=DMARC1; p=none"`
)

// notProvoked are replies of a check that no mail can lead to.
var notProvoked = map[policy.ReplyID]string{
	"not-processed": "it tells of a fault of ours",
}

// TestReplies holds a session for every reply of the catalogue: one in which the
// provider gives it by itself, or else one in which it is ordered. The
// transcripts are those of testdata/replies.txtar.
func TestReplies(t *testing.T) {
	t.Parallel()
	path := filepath.Join("testdata", "replies.txtar")
	want, err := os.ReadFile(path)
	if err != nil && !*update {
		t.Fatal(err)
	}
	got := &txtar.Archive{Comment: []byte("What a client and the provider say, for every reply of the catalogue; <id> is the session's.\nThe lines above a session are the world's, beside those of every world (replies_test.go).\n\n")}
	for _, c := range policy.Catalogue() {
		p, natural := provocations[c.ID]
		if !natural {
			if (c.Check != "" || c.AtRcpt) && notProvoked[c.ID] == "" {
				t.Errorf("%s is of the check %s, and nothing here provokes it", c.ID, c.Check)
			}
			p = provoked{world: "fault " + string(c.ID)}
		} else if c.Check == "" && !c.AtRcpt {
			t.Errorf("%s is provoked, and the catalogue names no check for it", c.ID)
		}
		text, last := session(t, p)
		checkReply(t, c, last)
		got.Files = append(got.Files, txtar.File{Name: string(c.ID), Data: []byte(p.world + "\n\n" + text)})
	}
	for id := range provocations {
		if _, ok := policy.FindReply(id); !ok {
			t.Errorf("there is no reply %q to be provoked", id)
		}
	}
	if text := txtar.Format(got); *update {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	} else if !bytes.Equal(text, want) {
		t.Errorf("%s differs; with -update it is written anew:\n%s", path, firstDifference(string(want), string(text)))
	}
}

// TestOrderedReplies orders every reply in every phase in which it can be given,
// of a provider that only observes.
func TestOrderedReplies(t *testing.T) {
	t.Parallel()
	for _, c := range policy.Catalogue() {
		for _, phase := range c.Phases {
			_, last := session(t, provoked{world: fmt.Sprintf("inbound observe\nfault %s at=%s times=1", c.ID, phase)})
			checkReply(t, c, last)
		}
	}
}

// checkReply holds that a reply is that of the catalogue, with the enhanced code
// on every line and no value left out.
func checkReply(t *testing.T, c policy.CataloguedReply, lines []string) {
	t.Helper()
	if len(lines) != len(c.Text) {
		t.Errorf("%s has %d lines, want %d:\n%s", c.ID, len(lines), len(c.Text), strings.Join(lines, "\n"))
		return
	}
	for i, line := range lines {
		separator := "-"
		if i == len(lines)-1 {
			separator = " "
		}
		if want := strconv.Itoa(c.Code) + separator + c.Enhanced + " "; !strings.HasPrefix(line, want) || strings.ContainsAny(line, "{}") {
			t.Errorf("%s: line %q, want it to begin with %q", c.ID, line, want)
		}
	}
	if c.Enhanced[0]-'0' != byte(c.Code/100) {
		t.Errorf("%s: the class of %s is not that of %d (RFC 2034 4)", c.ID, c.Enhanced, c.Code)
	}
}

func firstDifference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d\n-%s\n+%s", i+1, a[i], b[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(b), len(a))
}

// session starts a provider, sends a message over TCP, and returns what was
// said, and the lines of the last reply before QUIT.
func session(t *testing.T, p provoked) (transcript string, last []string) {
	t.Helper()
	at := time.Date(2026, 1, 15, 9, 0, 5, 0, time.UTC)
	o := provider.Options{Clock: provider.StandingClock(at)}
	server, err := provider.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server.ServeSMTP(l)
	if p.beside != "" {
		if _, err := server.Beside(p.beside); err != nil {
			t.Fatal(err)
		}
	}
	peer, ptr := orElse(p.peer, "192.0.2.10"), orElse(p.ptr, "mail.shop.example")
	world := "account alice@gmail.test\ndns zone\ninbound enforce\npeer 127.0.0.1 as=" + peer
	if ptr != "none" {
		world += " ptr=" + ptr
	}
	runWorld(t, server, world+"\n"+p.world+"\n-- zone --\n"+orElse(p.zone, replyZone))
	mail := replyMail
	if p.mail != nil {
		mail = p.mail(mail)
	}
	raw := []byte(strings.ReplaceAll(mail, "\n", "\r\n"))
	if p.sign {
		raw = signReply(t, server, raw, at)
	}
	for range p.before {
		talk(t, l.Addr().String(), p, raw)
	}
	return talk(t, l.Addr().String(), p, raw)
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func runWorld(t *testing.T, p *provider.Provider, text string) {
	t.Helper()
	f, mistakes := scenarios.Parse("world", []byte(text))
	if len(mistakes) > 0 {
		t.Fatalf("%v\n%s", mistakes, text)
	}
	result, err := scenarios.Run(context.Background(), f, scenarios.RunOptions{Provider: p})
	if err != nil {
		t.Fatal(err)
	}
	if !result.Held() {
		t.Fatal(result.Failures().Report())
	}
}

func signReply(t *testing.T, p *provider.Provider, raw []byte, at time.Time) []byte {
	t.Helper()
	key, err := scenarios.TestKey("rsa")
	if err != nil {
		t.Fatal(err)
	}
	record, err := mailauth.KeyRecord(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Zone().SetTXT("s1._domainkey.shop.example", record); err != nil {
		t.Fatal(err)
	}
	signed, err := mailauth.Sign(raw, mailauth.SignOptions{Domain: "shop.example", Selector: "s1", Key: key, Time: at})
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// sessionID is that of a reply, in Gmail's shape.
var sessionID = regexp.MustCompile(`[0-9a-f]{13}-[0-9a-f]+si\d+[a-z]\.\d+`)

// talk holds one session, until it is refused or the message is answered.
func talk(t *testing.T, addr string, p provoked, raw []byte) (transcript string, last []string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := textproto.NewConn(conn)
	var b strings.Builder
	// read takes a reply; it is false if the session should not go on.
	read := func() bool {
		last = nil
		for {
			line, err := c.ReadLine()
			if err != nil {
				t.Fatalf("reading a reply: %v\n%s", err, b.String())
			}
			last = append(last, line)
			fmt.Fprintf(&b, "S: %s\n", sessionID.ReplaceAllString(line, "<id>"))
			if len(line) < 4 || line[3] != '-' {
				return line[0] == '2' || line[0] == '3'
			}
		}
	}
	say := func(line string) bool {
		fmt.Fprintf(&b, "C: %s\n", line)
		if err := c.PrintfLine("%s", line); err != nil {
			t.Fatal(err)
		}
		return read()
	}
	to := p.to
	if to == nil {
		to = []string{"alice@gmail.test"}
	}
	lines := []string{"EHLO mail.shop.example", "MAIL FROM:<" + orElse(p.from, "bounce@shop.example") + ">"}
	for _, rcpt := range to {
		lines = append(lines, "RCPT TO:<"+rcpt+">")
	}
	going := read()
	for _, line := range append(lines, "DATA") {
		going = going && say(line)
	}
	if going {
		b.WriteString("C: (the message)\n")
		if _, err := c.W.Write(slices.Concat(raw, []byte(".\r\n"))); err != nil {
			t.Fatal(err)
		}
		if err := c.W.Flush(); err != nil {
			t.Fatal(err)
		}
		read()
	}
	final := last
	// 421 and 451 4.4.2 end the session, and so does what comes instead of the
	// greeting.
	if strings.HasPrefix(final[0], "421") || strings.HasPrefix(final[0], "451 4.4.2") || !strings.Contains(b.String(), "C: ") {
		if line, err := c.ReadLine(); err == nil {
			t.Errorf("after %s the server says %s", final[0], line)
		}
	} else {
		say("QUIT")
	}
	return b.String(), final
}

// TestReplyValues holds that what a client sends cannot break a reply, nor stand
// for another value in it.
func TestReplyValues(t *testing.T) {
	t.Parallel()
	e := policy.Evidence{}
	e.Arrival.Peer = netip.MustParseAddr("192.0.2.10")
	e.Auth.DMARC.Domain = "{peer}" + strings.Repeat("x", 2000)
	r := policy.ReplyFor("dmarc", &e)
	if !strings.Contains(r.Lines[0], "{peer}xxx") || len(r.Lines[0]) > 400 {
		t.Errorf("line %q", r.Lines[0])
	}
}
