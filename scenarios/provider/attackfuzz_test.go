package provider_test

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/receiver/mailauth"
	"github.com/doppelbox/doppelbox/scenarios"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// tampering makes changes to a signed mail, as bytes choose: the same bytes the
// same ones.
type tampering struct {
	bytes []byte
	text  string // What is put in somewhere, as it is.
}

func (c *tampering) number(n int) int {
	if len(c.bytes) == 0 {
		return 0
	}
	first := c.bytes[0]
	c.bytes = c.bytes[1:]
	return int(first) % n
}

func (c *tampering) one(list ...string) string { return list[c.number(len(list))] }

// field is one that Mallory would add.
func (c *tampering) field() string {
	return c.one(
		"From: Shop <m@evil.example>\r\n", "From: noreply@shop.example\r\n", "from : Shop <m@evil.example>\r\n", "Fro\r\n m: x\r\n", "Subject: Urgent\r\n", "To: bob@gmail.test\r\n",
		"Cc: bob@gmail.test\r\n", "Date: x\r\n", "Content-Type: text/plain\r\n", "Content-Type: multipart/mixed; boundary=a\r\n", "Content-Transfer-Encoding: quoted-printable\r\n",
		"Content-Transfer-Encoding: base64\r\n", "MIME-Version: 2.0\r\n", "Sender: m@evil.example\r\n", "Reply-To: m@evil.example\r\n", "\r\n", " \r\n", "\r", "\n", "X-A: b\rFrom: m@evil.example\r\n",
		"DKIM-Signature: v=1; a=rsa-sha256; d=shop.example; s=s1; l=0; h=from; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\r\n", "List-Unsubscribe: <https://evil.example/u>\r\n",
		"Resent-From: m@evil.example\r\n", "Delivered-To: alice@gmail.test\r\n", "X-Forwarded-For: user@acme.test alice@gmail.test\r\n", "Received: from x by y for <alice@gmail.test>; x\r\n",
		c.text, c.text+"\r\n", "From: "+c.text+"\r\n", "Subject: "+c.text+"\r\n",
	)
}

// lines cuts a header at its line ends.
func lines(header string) []string {
	return slices.Collect(strings.Lines(header))
}

// apply changes a mail in up to three ways.
func (c *tampering) apply(raw string) string {
	header, body, _ := strings.Cut(raw, "\r\n\r\n")
	list := lines(header + "\r\n")
	for range c.number(4) {
		at := c.number(len(list))
		switch c.number(10) {
		case 0, 1, 2:
			list = slices.Insert(list, at, c.field())
		case 3:
			list = append([]string{c.field()}, list...)
		case 4:
			list[at] = c.field()
		case 5:
			if len(list) > 1 {
				list = slices.Delete(list, at, at+1)
			}
		case 6:
			if n := c.number(max(len(list[at]), 1)); n < len(list[at]) {
				list[at] = list[at][:n] + c.one(" ", "\t", "\r\n ", "\r\n\t", "\r", "\n", "\x00", "()", c.text) + list[at][n:]
			}
		case 7:
			list[at] = c.one(strings.ToUpper(list[at]), strings.ToLower(list[at]), strings.Replace(list[at], ":", " :", 1), strings.ReplaceAll(list[at], "shop", "sh0p"))
		case 8:
			body = c.one(body+c.text, c.text+body, button(evilURL), body+button(evilURL), button(evilURL)+body, strings.ReplaceAll(body, "shop.example", "evil.example"), body+"\r\n\r\n", strings.ReplaceAll(body, "\r\n", "\n"))
		case 9:
			list = append(list, list[at])
		}
	}
	return strings.Join(list, "") + "\r\n" + body
}

// attackBases are mails that the shop has signed, well and less well.
func attackBases(t testing.TB) []string {
	body := button(shopURL)
	raw := shop + usual + "\r\n" + body
	n := len(body) / 2
	return []string{
		signAs(t, raw, "shop.example", nil),
		signAs(t, raw, "shop.example", func(o *mailauth.SignOptions) {
			o.HeaderCanonicalization, o.BodyCanonicalization = mailauth.Simple, mailauth.Simple
		}),
		signedFields(t, raw, "From", "To", "Subject", "Date", "Content-Type", "Content-Transfer-Encoding"),
		signedFields(t, raw, "From", "To", "Subject", "Date"),
		signedFields(t, raw, "From"),
		signLength(t, shop+usual, body, len(body), "") + body,
		signLength(t, shop+usual, body, n, "") + body,
		signLength(t, shop+usual, body, 0, "") + body,
	}
}

// canonical is text as DKIM sees it at its most lenient (RFC 6376 3.4.2, 3.4.4).
func canonical(text string) string {
	var list []string
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		list = append(list, strings.TrimRight(strings.Join(strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' }), " "), " "))
	}
	return strings.TrimRight(strings.Join(list, "\n"), "\n")
}

// shown is what a message says to its reader, in the fields that a signature
// must cover, and those that it does.
func shown(raw string, fields []string) string {
	m := message.Parse([]byte(raw))
	text := ""
	for _, name := range fields {
		for _, f := range m.All(name) {
			// These encodings are as good as none.
			if value := canonical(f.Unfolded()); !f.Is("Content-Transfer-Encoding") || !slices.Contains([]string{"7bit", "8bit", "binary"}, strings.ToLower(value)) {
				text += name + ": " + value + "\n"
			}
		}
	}
	return text + "\n" + canonical(string(m.Body))
}

// shownBy are the fields of a base in which nothing may change: by default the
// provider puts up with a Content-Type that is not signed.
func shownBy(base string) []string {
	fields := []string{"From", "To", "Subject", "Content-Transfer-Encoding"}
	signature, _, _ := strings.Cut(strings.ToLower(base), "\r\nfrom:")
	for _, name := range []string{"Date", "Content-Type"} {
		if strings.Contains(signature, strings.ToLower(name)) {
			fields = append(fields, name)
		}
	}
	return fields
}

// tamperer judges what Mallory makes of the shop's mails.
type tamperer struct {
	p     *provider.Provider
	bases []string
}

func newTamperer(t testing.TB) tamperer {
	p := newProvider(t, provider.Options{})
	if err := p.AddAccount("bob@gmail.test"); err != nil {
		t.Fatal(err)
	}
	key, err := scenarios.TestKey("rsa")
	if err != nil {
		t.Fatal(err)
	}
	record, err := mailauth.KeyRecord(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"shop.example", "evil.example"} {
		if err := p.Zone().SetTXT("s1._domainkey."+d, record); err != nil {
			t.Fatal(err)
		}
	}
	if errs := p.Zone().Load("zone", "evil.example. TXT \"v=spf1 ip4:"+malloryPeer+" -all\"\n"); len(errs) > 0 {
		t.Fatal(errs)
	}
	return tamperer{p, attackBases(t)}
}

// try holds that a button is offered only in a mail that says, to the account
// that the shop wrote to, what the shop's says.
func (w tamperer) try(t *testing.T, data []byte, text string) bool {
	t.Helper()
	c := tampering{data, text}
	base := w.bases[c.number(len(w.bases))]
	to := c.one("alice@gmail.test", "alice@gmail.test", "bob@gmail.test")
	from := c.one("bounce@evil.example", "bounce@shop.example", "", "SRS0=HHH=TT=shop.example=b@evil.example", "alice+caf_=bob=gmail.test@evil.example")
	raw := c.apply(base)
	a := policy.Arrival{Channel: policy.ChannelSMTP, Peer: netip.MustParseAddr(malloryPeer), HELO: c.one("mail.evil.example", "mail.shop.example"), MailFrom: from, Rcpt: to}
	m := w.p.Examine(t.Context(), a, []byte(raw))
	if m.Problem != "" {
		t.Errorf("%s", m.Problem)
	}
	offered := false
	for _, v := range m.Verdict.Actions {
		if v.Answer != policy.Offered {
			continue
		}
		offered = true
		if got, want := shown(raw, shownBy(base)), shown(base, shownBy(base)); got != want || to != "alice@gmail.test" {
			t.Errorf("offered to %s, by %s:\n%q\nand the shop wrote\n%q\n%s", to, from, got, want, m.Verdict.Text())
		}
	}
	return offered
}

// TestHeaderAttack tries many changes, the same on every run.
func TestHeaderAttack(t *testing.T) {
	t.Parallel()
	w := newTamperer(t)
	random := rand.New(rand.NewPCG(6, 376))
	offered := 0
	data := make([]byte, 24)
	const tries = 3000
	for range tries {
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		if w.try(t, bytes.Clone(data), "x@evil.example (\"") {
			offered++
		}
	}
	if offered < tries/50 || offered > tries/2 {
		t.Errorf("%d of %d offered: too few or too many to tell", offered, tries)
	}
}

// FuzzHeaderAttack goes on.
func FuzzHeaderAttack(f *testing.F) {
	w := newTamperer(f)
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0}, "x")
	f.Add([]byte{2, 0, 0, 1, 3, 3, 26, 2, 4, 28}, "\"noreply@shop.example\" <m@evil.example>")
	f.Add([]byte{5, 1, 1, 3, 0, 6, 9, 8, 1, 8, 3, 0}, "--a\r\nContent-Type: text/html\r\n\r\n")
	f.Add([]byte{3, 0, 2, 2, 5, 7, 2, 1, 6, 4, 1}, "=?utf-8?q?=00?=")
	f.Fuzz(func(t *testing.T, data []byte, text string) {
		if len(data) < 100 && len(text) < 2000 {
			w.try(t, data, text)
		}
	})
}
