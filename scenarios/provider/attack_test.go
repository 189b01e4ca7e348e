package provider_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/idna"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailauth"
	"github.com/doppelbox/doppelbox/scenarios"
	"github.com/doppelbox/doppelbox/scenarios/provider"
	"github.com/doppelbox/doppelbox/testdata/conformance"
)

// Mallory has a domain, a server and a key of his own, all in order, and is
// registered himself. He has genuine mail of the shop.
const malloryPeer = "203.0.113.66"

// malloryDomains are Mallory's. He may send as anything at each of them.
func malloryDomains() []string {
	return []string{
		"evil.example", "sh0p.example", "ѕһор.example", "shоp.example", "shöp.example", "grnail.test", "gmail.test.evil.example", "shop.example.evil.example",
		"shop-example.test", "mail.sh0p.example", "evil.hosting.example", "shoр.example",
		"bili.test", "secure-shop-example.evil.example", "shopexample.test", "sh0p-examp1e.evil.example", "ꓢꓧꓳꓑ.example", "sʜᴏᴘ.example", "my--shop.example",
	}
}

func aLabels(t testing.TB, domain string) string {
	t.Helper()
	a, err := idna.Punycode.ToASCII(domain)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// attackProvider returns a provider at which the shop and Mallory are
// registered, and both can be authenticated.
func attackProvider(t testing.TB, o provider.Options) *provider.Provider {
	t.Helper()
	p := newProvider(t, o)
	key, err := scenarios.TestKey("rsa")
	if err != nil {
		t.Fatal(err)
	}
	record, err := mailauth.KeyRecord(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	zone := "_dmarc.hosting.example. TXT \"v=DMARC1; p=none; psd=y\"\n_dmarc.test. TXT \"v=DMARC1; p=none; psd=y\"\n"
	p.Register(policy.Registration{From: "noreply@bill.test"})
	p.Register(policy.Registration{From: "noreply@my-shop.example"})
	for _, d := range malloryDomains() {
		zone += aLabels(t, d) + ". TXT \"v=spf1 ip4:" + malloryPeer + " -all\"\n"
		p.Register(policy.Registration{From: aLabels(t, d)})
	}
	if errs := p.Zone().Load("zone", zone); len(errs) > 0 {
		t.Fatal(errs)
	}
	for _, d := range append(malloryDomains(), "shop.example", "hosting.example", "shop.hosting.example") {
		if err := p.Zone().SetTXT("s1._domainkey."+aLabels(t, d), record); err != nil {
			t.Fatal(err)
		}
	}
	p.Register(policy.Registration{From: "noreply@shop.hosting.example"})
	for _, a := range []string{"bob@gmail.test", "mallory@gmail.test"} {
		if err := p.AddAccount(a); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// signAs signs a mail with the key that everybody has.
func signAs(t testing.TB, raw, domain string, change func(*mailauth.SignOptions)) string {
	t.Helper()
	key, err := scenarios.TestKey("rsa")
	if err != nil {
		t.Fatal(err)
	}
	o := mailauth.SignOptions{Domain: aLabels(t, domain), Selector: "s1", Key: key, Time: start()}
	if change != nil {
		change(&o)
	}
	signed, err := mailauth.Sign([]byte(raw), o)
	if err != nil {
		t.Fatal(err)
	}
	return string(signed)
}

// button is a mail's body with one button.
func button(url string) string {
	_, body, _ := strings.Cut(string(approval(url)), "\r\n\r\n")
	return strings.ReplaceAll(strings.ReplaceAll(body, "\r\n", "\n"), "\n", "\r\n")
}

const (
	shopURL = "https://shop.example/approve?t=a8f3c2d91b0e47d6"
	evilURL = "https://evil.example/approve?t=a8f3c2d91b0e47d6"
	usual   = "To: alice@gmail.test\r\nSubject: Expense\r\nDate: Thu, 15 Jan 2026 09:00:00 +0000\r\nMessage-ID: <1@x.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n"
	shop    = "From: Shop <noreply@shop.example>\r\n"
)

// genuine is a mail that the shop has signed, as it signs all of them.
func genuine(t testing.TB) string {
	return signAs(t, shop+usual+"\r\n"+button(shopURL), "shop.example", nil)
}

// signedFields is a genuine mail of a shop that signs few fields.
func signedFields(t testing.TB, raw string, headers ...string) string {
	t.Helper()
	return signAs(t, raw, "shop.example", func(o *mailauth.SignOptions) { o.Headers = headers })
}

// ownMail is a mail of Mallory's, with a From of his choice.
func ownMail(from string) func(testing.TB) string {
	return func(t testing.TB) string { return signAs(t, from+usual+"\r\n"+button(evilURL), "evil.example", nil) }
}

func ownFrom(domain, from string) func(testing.TB) string {
	return func(t testing.TB) string { return signAs(t, from+usual+"\r\n"+button(evilURL), domain, nil) }
}

// onTop is a genuine mail with fields that were added above it.
func onTop(fields string) func(testing.TB) string {
	return func(t testing.TB) string { return fields + genuine(t) }
}

// changed is a genuine mail with something replaced.
func changed(before, after string) func(testing.TB) string {
	return func(t testing.TB) string {
		raw := genuine(t)
		if !strings.Contains(raw, before) {
			t.Fatalf("%q is not in %q", before, raw)
		}
		return strings.Replace(raw, before, after, 1)
	}
}

// signLength signs the beginning of a body (l=), which mailauth cannot: nobody
// should. Header and body are canonicalized as "simple".
func signLength(t testing.TB, header, body string, length int, tags string) string {
	t.Helper()
	key, err := scenarios.TestKey("rsa")
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256([]byte(body[:length]))
	field := fmt.Sprintf("DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d=shop.example; s=s1; l=%d; %sh=from:to:subject:date:message-id:mime-version:content-type:content-transfer-encoding:from; bh=%s; b=",
		length, tags, base64.StdEncoding.EncodeToString(hash[:]))
	var signed strings.Builder
	for _, name := range []string{"From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"} {
		for line := range strings.Lines(header) {
			if strings.HasPrefix(line, name+":") {
				signed.WriteString(line)
			}
		}
	}
	signed.WriteString(field)
	sum := sha256.Sum256([]byte(signed.String()))
	b, err := key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return field + base64.StdEncoding.EncodeToString(b) + "\r\n" + header + "\r\n"
}

// TestAttacks lets Mallory try, over SMTP: whatever he does, there is a finding
// that says what it was, and no button.
func TestAttacks(t *testing.T) {
	t.Parallel()
	list := slices.Concat(attacksOnFrom(), attacksByLooks(), attacksOnSignatures())
	if len(list) < 60 {
		t.Errorf("%d attacks are few", len(list))
	}
	for _, tt := range list {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := attackProvider(t, provider.Options{})
			setDials(t, p, tt.dials...)
			to := tt.to
			if to == "" {
				to = "alice@gmail.test"
			}
			v := attackWith(t, p, tt.mail(t), to)
			failed := false
			for _, f := range allFindings(v) {
				failed = failed || f.Result == policy.Fail && f.Reason == tt.reason
			}
			if !failed || v.Delivery != tt.delivery {
				t.Errorf("no failure %q, or delivery is %s and not %s:\n%s", tt.reason, v.Delivery, tt.delivery, v.Text())
			}
			for _, a := range v.Actions {
				if a.Answer == policy.Offered {
					t.Errorf("action %d is offered:\n%s", a.Index, v.Text())
				}
			}
			if v.Unsubscribe.Answer == policy.Offered {
				t.Error("one-click unsubscription is offered")
			}
			if len(v.Actions) == 0 && !tt.bare && v.Delivery == policy.Accept {
				t.Error("there is no action to withhold")
			}
			if v.Delivery == policy.Reject && v.Reply.Code/100 != 5 {
				t.Errorf("answered %s", v.Reply.Text())
			}
		})
	}
}

func allFindings(v policy.Verdict) []policy.Finding {
	list := append([]policy.Finding(nil), v.Findings...)
	for _, a := range v.Actions {
		list = append(list, a.Findings...)
	}
	return append(list, v.Unsubscribe.Findings...)
}

// attackWith delivers a mail from Mallory's server.
func attackWith(t testing.TB, p *provider.Provider, raw, to string) policy.Verdict {
	t.Helper()
	d, err := p.Deliver(t.Context(), netip.MustParseAddr(malloryPeer), provider.Mail{HELO: "mail.evil.example", From: "bounce@evil.example", To: []string{to}, Raw: []byte(raw)}, false)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Messages) != 1 {
		t.Fatalf("%d messages: %s", len(d.Messages), d.Reply)
	}
	return d.Messages[0].Verdict
}

// TestOddButHonest delivers mail that looks odd and is all right: it keeps its
// button, whether its own server brings it or only its signature vouches for it.
func TestOddButHonest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, domain, from string }{
		{"as ever", "shop.example", shop},
		{"no name", "shop.example", "From: noreply@shop.example\r\n"},
		{"comma in quotes", "shop.example", "From: \"Shop, Inc.\" <noreply@shop.example>\r\n"},
		{"quotes within quotes", "shop.example", "From: \"The \\\"Shop\\\"\" <noreply@shop.example>\r\n"},
		{"quotes amid the name", "shop.example", "From: The \"Best\" Shop <noreply@shop.example>\r\n"},
		{"its own address as name", "shop.example", "From: \"noreply@shop.example\" <noreply@shop.example>\r\n"},
		{"another address of its own as name", "shop.example", "From: \"help@shop.example\" <noreply@shop.example>\r\n"},
		{"its own domain as name", "shop.example", "From: shop.example <noreply@shop.example>\r\n"},
		{"a dot in the name", "shop.example", "From: St.Pauli Shop <noreply@shop.example>\r\n"},
		{"comment behind", "shop.example", "From: noreply@shop.example (Shop)\r\n"},
		{"comment beside a name", "shop.example", "From: Shop (automatic mail) <noreply@shop.example>\r\n"},
		{"encoded name", "shop.example", "From: =?utf-8?q?Gesch=C3=A4ft?= <noreply@shop.example>\r\n"},
		{"raw UTF-8 name", "shop.example", "From: Geschäft <noreply@shop.example>\r\n"},
		{"Cyrillic name", "shop.example", "From: Магазин <noreply@shop.example>\r\n"},
		{"Cyrillic and Latin words", "shop.example", "From: Магазин Shop <noreply@shop.example>\r\n"},
		{"Japanese and Latin", "shop.example", "From: トヨタ自動車Shop <noreply@shop.example>\r\n"},
		{"Korean and Latin", "shop.example", "From: 삼성Shop <noreply@shop.example>\r\n"},
		{"Arabic with a mark of direction", "shop.example", "From: \u200fمتجر <noreply@shop.example>\r\n"},
		{"Persian with a joiner", "shop.example", "From: می\u200cخواهم <noreply@shop.example>\r\n"},
		{"picture with a joiner", "shop.example", "From: \U0001f469\u200d\U0001f4bb Shop <noreply@shop.example>\r\n"},
		{"capitals", "shop.example", "From: SHOP <NoReply@Shop.Example>\r\n"},
		{"folded", "shop.example", "From: Shop\r\n <noreply@shop.example>\r\n"},
		{"white space within the brackets", "shop.example", "From: Shop < noreply@shop.example >\r\n"},
		{"Sender of its own", "shop.example", "From: Shop <noreply@shop.example>\r\nSender: mailer@mail.shop.example\r\n"},
		{"Latin IDN", "bücher.example", "From: Bücher <noreply@bücher.example>\r\n"},
		{"Latin IDN as A-label", "bücher.example", "From: Bücher <noreply@xn--bcher-kva.example>\r\n"},
		{"Cyrillic IDN", "почта.example", "From: Почта <noreply@почта.example>\r\n"},
		{"Han IDN", "商店.example", "From: 商店 <noreply@商店.example>\r\n"},
		{"its own address in curly quotes", "shop.example", "From: \"“noreply@shop.example”\" <noreply@shop.example>\r\n"},
		{"an address below its domain as name", "shop.example", "From: \"info@mail.shop.example\" <noreply@shop.example>\r\n"},
		{"an address above its domain as name", "mail.shop.example", "From: \"info@shop.example\" <noreply@mail.shop.example>\r\n"},
		{"for somebody whom nobody knows", "shop.example", "From: \"bob@bobs.example (via Shop)\" <noreply@shop.example>\r\n"},
		{"a site that nobody knows", "shop.example", "From: \"www.shop.com\" <noreply@shop.example>\r\n"},
		{"Thai and Latin", "shop.example", "From: ร้านShop <noreply@shop.example>\r\n"},
		{"Devanagari and Latin", "shop.example", "From: दुकानShop <noreply@shop.example>\r\n"},
		{"micro sign", "shop.example", "From: 5\u00b5m Shop <noreply@shop.example>\r\n"},
		{"micro sign before letters", "shop.example", "From: \u00b5Torrent <noreply@shop.example>\r\n"},
		{"ohm sign", "shop.example", "From: k\u2126shop <noreply@shop.example>\r\n"},
		{"flag of Scotland", "shop.example", "From: Shop \U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f <noreply@shop.example>\r\n"},
		{"soft hyphen", "shop.example", "From: Ein\u00adkauf <noreply@shop.example>\r\n"},
		{"isolate in Arabic", "shop.example", "From: متجر \u2068Shop\u2069 <noreply@shop.example>\r\n"},
		{"the account's address as token", "shop.example", "From: Shop <reply+alice=gmail.test@shop.example>\r\n"},
		{"a space in quotes", "shop.example", "From: \"no reply\"@shop.example\r\n"},
		{"a sentence as name", "shop.example", "From: \"Shop. Example. Write to noreply@shop.example. Thanks\" <noreply@shop.example>\r\n"},
		{"two dots in quotes", "shop.example", "From: \"no..reply\"@shop.example\r\n"},
		{"plus and equals sign", "shop.example", "From: no+r=x@shop.example\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, peer := range []string{senderPeer, "198.51.100.9"} {
				p := newProvider(t, provider.Options{})
				domain := aLabels(t, tt.domain)
				p.Register(policy.Registration{From: domain})
				key, err := scenarios.TestKey("rsa")
				if err != nil {
					t.Fatal(err)
				}
				record, err := mailauth.KeyRecord(key.Public())
				if err != nil {
					t.Fatal(err)
				}
				if err := p.Zone().SetTXT("s1._domainkey."+domain, record); err != nil {
					t.Fatal(err)
				}
				raw := signAs(t, tt.from+usual+"\r\n"+button(shopURL), tt.domain, nil)
				from := "bounce@" + domain
				if peer != senderPeer {
					from = "bounce@esp.example"
				}
				d, err := p.Deliver(t.Context(), netip.MustParseAddr(peer), provider.Mail{HELO: "mail", From: from, To: []string{"alice@gmail.test"}, Raw: []byte(raw)}, false)
				if err != nil || len(d.Messages) != 1 {
					t.Fatalf("%d messages, %v", len(d.Messages), err)
				}
				if v := d.Messages[0].Verdict; v.Delivery != policy.Accept || len(v.Actions) != 1 || v.Actions[0].Answer != policy.Offered {
					t.Errorf("from %s, not offered:\n%s", peer, v.Text())
				}
			}
		})
	}
}

// TestFromHeaders delivers the From fields of another project's tests, from a
// server of theirs: none of them pretends.
func TestFromHeaders(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(conformance.Path(t, "malformed/rspamd-from-headers"), "*.eml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	p := newProvider(t, provider.Options{})
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		v := attackWith(t, p, string(crlf(bytes.TrimSpace(raw)))+"\r\n\r\n", "alice@gmail.test")
		format, _ := v.Finding("message-format")
		honest, _ := v.Finding("from-honest")
		if format.Result != policy.Pass || honest.Reason != "from-honest" {
			t.Errorf("%s: %s, %s\n%s", filepath.Base(file), format.Reason, honest.Reason, raw)
		}
	}
}
