//go:build peers

// A key of 512 bits is made here, to be refused.
//
//go:debug rsa1024min=0

package main

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/receiver/mailauth"
)

// author makes the mails that are judged. What it signs is so also judged by a
// stranger.
type author struct {
	now  time.Time
	keys map[string]crypto.Signer // By selector; others have the first one.
}

// newAuthor makes keys. The short ones are those that nobody is to accept.
func newAuthor(t *testing.T) *author {
	t.Helper()
	a := &author{now: time.Now(), keys: map[string]crypto.Signer{}}
	for selector, bits := range map[string]int{"s1": 2048, "short": 1024, "weak": 512} {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		a.keys[selector] = key
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a.keys["ed"] = edwards
	return a
}

func (a *author) key(selector string) crypto.Signer {
	if key, ok := a.keys[selector]; ok {
		return key
	}
	return a.keys["s1"]
}

// zone returns the records of all mails.
func (a *author) zone(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(template(t, "verdicts.zone"))
	key := func(selector, domain, tags string) {
		public := a.key(selector).Public()
		octets, isEdwards := public.(ed25519.PublicKey)
		if !isEdwards {
			der, err := x509.MarshalPKIXPublicKey(public)
			if err != nil {
				t.Fatal(err)
			}
			octets = der
		}
		text := "v=DKIM1; " + tags + "p=" + base64.StdEncoding.EncodeToString(octets)
		fmt.Fprintf(&b, "%s._domainkey.%s. TXT", selector, domain)
		for chunk := range slices.Chunk([]byte(text), 200) {
			fmt.Fprintf(&b, " %q", chunk)
		}
		b.WriteString("\n")
	}
	for selector, tags := range map[string]string{
		"s1": "", "short": "", "weak": "", "ed": "k=ed25519; ", "testing": "t=y; ", "exact": "t=s; ", "sha1": "h=sha1; ", "tlsrpt": "s=tlsrpt; ", "odd": "k=magic; ",
	} {
		key(selector, "shop.example", tags)
	}
	for _, domain := range []string{"mail.shop.example", "strict.example", "other.example", "hop1.example", "hop2.example"} {
		key("s1", domain, "")
	}
	return b.String()
}

// mail is a mail of shop.example, or of others by pairs of what is to be another
// text.
func (a *author) mail(pairs ...string) []byte {
	mail := "From: Shop <noreply@shop.example>\r\nTo: alice@gmail.test\r\nSubject: Expense 4711\r\nDate: " + a.now.Format(time.RFC1123Z) +
		"\r\nMessage-ID: <4711@shop.example>\r\n\r\nPlease approve expense 4711.\r\n"
	return []byte(strings.NewReplacer(pairs...).Replace(mail))
}

// sign signs for shop.example, or as the options say.
func (a *author) sign(t *testing.T, mail []byte, o mailauth.SignOptions) []byte {
	t.Helper()
	if o.Domain == "" {
		o.Domain = "shop.example"
	}
	if o.Selector == "" {
		o.Selector = "s1"
	}
	o.Key = a.key(o.Selector)
	signed, err := mailauth.Sign(mail, o)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// seal adds the set of one hop to a mail's chain.
func (a *author) seal(t *testing.T, mail []byte, hop int, before policy.AuthResult) []byte {
	t.Helper()
	domain := fmt.Sprintf("hop%d.example", hop)
	set, err := mailauth.Seal(message.Parse(mail), mailauth.SealOptions{
		Domain: domain, Selector: "s1", Key: a.key("s1"), Time: a.now,
		Chain:   policy.ARC{Result: before, Sets: make([]policy.ARCSet, hop-1)},
		Results: "mx." + domain + "; spf=pass smtp.mailfrom=bounce@shop.example",
	})
	if err != nil {
		t.Fatal(err)
	}
	return slices.Concat(set, mail)
}

// signPart signs for shop.example as much of the body as there is, with a program
// that is none of ours: ours signs all of every body.
func signPart(t *testing.T, key crypto.Signer, mail []byte) []byte {
	t.Helper()
	python := needDebian(t, "/usr/bin/python3", "python3")
	needDebian(t, "/usr/bin/dkimsign", "python3-dkim")
	path := filepath.Join(t.TempDir(), "key.pem")
	der := x509.MarshalPKCS1PrivateKey(key.(*rsa.PrivateKey))
	writeFile(t, path, string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der})), 0o600)
	cmd := exec.CommandContext(peerContext(t), python, filepath.Join(peerData(t), "signpart.py"), "s1", "shop.example", path)
	cmd.Stdin = bytes.NewReader(mail)
	return []byte(output(t, 0, cmd))
}

// replaced returns the mail with another text, which must be in it.
func replaced(t *testing.T, mail []byte, from, to string) []byte {
	t.Helper()
	if !strings.Contains(string(mail), from) {
		t.Fatalf("there is no %q in\n%s", from, mail)
	}
	return []byte(strings.Replace(string(mail), from, to, 1))
}

// verdictMail is a mail that is judged.
type verdictMail struct {
	name string
	delivered
	ours string // Our opinion.
}

// spfMails have an envelope, and no signature.
func spfMails(a *author) (list []verdictMail) {
	add := func(name, from, ours string) {
		list = append(list, verdictMail{name, delivered{"192.0.2.10", from, a.mail()}, ours})
	}
	add("spf pass", "bounce@shop.example", "dmarc=pass spf=pass")
	add("spf softfail", "bounce@soft.example", "dmarc=fail/reject spf=softfail")
	add("spf neutral", "bounce@neutral.example", "dmarc=fail/reject spf=neutral")
	add("spf none", "bounce@silent.example", "dmarc=fail/reject spf=none")
	add("spf nonexistent domain", "bounce@nobody.example", "dmarc=fail/reject spf=none")
	add("spf temperror", "bounce@unanswered.example", "dmarc=fail/reject spf=temperror")
	add("spf unknown mechanism", "bounce@word.example", "dmarc=fail/reject spf=permerror")
	add("spf unknown mechanism behind the match", "bounce@late.example", "dmarc=fail/reject spf=permerror")
	add("spf ipv4 for ip4", "bounce@typo.example", "dmarc=fail/reject spf=permerror")
	add("spf no address", "bounce@number.example", "dmarc=fail/reject spf=permerror")
	add("spf two records", "bounce@twice.example", "dmarc=fail/reject spf=permerror")
	add("spf a and mx", "bounce@hosts.example", "dmarc=fail/reject spf=pass")
	add("spf include", "bounce@include.example", "dmarc=fail/reject spf=pass")
	add("spf include of nothing", "bounce@dangling.example", "dmarc=fail/reject spf=permerror")
	add("spf redirect", "bounce@redirect.example", "dmarc=fail/reject spf=pass")
	add("spf macros", "bounce@macro.example", "dmarc=fail/reject spf=pass")
	add("spf loop", "bounce@loop.example", "dmarc=fail/reject spf=permerror")
	add("spf void look-ups", "bounce@void.example", "dmarc=fail/reject spf=permerror")
	add("spf null sender", "", "dmarc=pass spf=pass")
	list = append(list, verdictMail{"spf fail", delivered{"198.51.100.7", "bounce@shop.example", a.mail()}, "dmarc=fail/reject spf=fail"})
	return list
}

// dkimMails are signed. Their envelope is of a domain without records.
func dkimMails(t *testing.T, a *author) (list []verdictMail) {
	add := func(name string, mail []byte, ours string) {
		list = append(list, verdictMail{name, delivered{"192.0.2.10", "bounce@silent.example", mail}, ours})
	}
	sign := func(o mailauth.SignOptions) []byte { return a.sign(t, a.mail(), o) }
	signed := sign(mailauth.SignOptions{})
	day := 24 * time.Hour
	add("dkim rsa", signed, "dkim/s1=pass dmarc=pass spf=none")
	add("dkim simple", sign(mailauth.SignOptions{HeaderCanonicalization: mailauth.Simple, BodyCanonicalization: mailauth.Simple}), "dkim/s1=pass dmarc=pass spf=none")
	add("dkim ed25519", sign(mailauth.SignOptions{Selector: "ed"}), "dkim/ed=pass dmarc=pass spf=none")
	add("dkim rsa and ed25519", a.sign(t, signed, mailauth.SignOptions{Selector: "ed"}), "dkim/ed=pass dkim/s1=pass dmarc=pass spf=none")
	add("dkim broken and intact", a.sign(t, replaced(t, signed, "Please", "Kindly"), mailauth.SignOptions{Selector: "short"}), "dkim/s1=fail dkim/short=pass dmarc=pass spf=none")
	add("dkim broken body", replaced(t, signed, "Please", "Kindly"), "dkim/s1=fail dmarc=fail/reject spf=none")
	add("dkim broken subject", replaced(t, signed, "Subject: ", "Subject: [list] "), "dkim/s1=fail dmarc=fail/reject spf=none")
	add("dkim added From", replaced(t, signed, "From: ", "From: <other@shop.example>\r\nFrom: "), "dkim/s1=fail dmarc=permerror spf=none")
	part := signPart(t, a.key("s1"), a.mail())
	add("dkim of a part, all of it", part, "dkim/s1=pass dmarc=pass spf=none")
	add("dkim of a part, with more", append(slices.Clip(part), "And do it now.\r\n"...), "dkim/s1=pass dmarc=pass spf=none")
	add("dkim unknown key", sign(mailauth.SignOptions{Selector: "nobody"}), "dkim/nobody=permerror dmarc=fail/reject spf=none")
	add("dkim revoked", sign(mailauth.SignOptions{Selector: "gone"}), "dkim/gone=permerror dmarc=fail/reject spf=none")
	add("dkim unanswered", sign(mailauth.SignOptions{Selector: "broken"}), "dkim/broken=temperror dmarc=temperror spf=none")
	add("dkim 1024 bits", sign(mailauth.SignOptions{Selector: "short"}), "dkim/short=pass dmarc=pass spf=none")
	add("dkim 512 bits", sign(mailauth.SignOptions{Selector: "weak"}), "dkim/weak=policy dmarc=fail/reject spf=none")
	add("dkim testing", sign(mailauth.SignOptions{Selector: "testing"}), "dkim/testing=pass dmarc=pass spf=none")
	add("dkim testing, broken", replaced(t, sign(mailauth.SignOptions{Selector: "testing"}), "Please", "Kindly"), "dkim/testing=fail dmarc=fail/reject spf=none")
	add("dkim expired", sign(mailauth.SignOptions{Time: a.now.Add(-2 * day), Expiration: a.now.Add(-day)}), "dkim/s1=fail dmarc=fail/reject spf=none")
	add("dkim not yet expired", sign(mailauth.SignOptions{Time: a.now, Expiration: a.now.Add(day)}), "dkim/s1=pass dmarc=pass spf=none")
	add("dkim of tomorrow", sign(mailauth.SignOptions{Time: a.now.Add(day)}), "dkim/s1=pass dmarc=pass spf=none")
	add("dkim of a subdomain's user", sign(mailauth.SignOptions{AUID: "news@mail.shop.example"}), "dkim/s1=pass dmarc=pass spf=none")
	add("dkim of a subdomain's user, forbidden", sign(mailauth.SignOptions{Selector: "exact", AUID: "news@mail.shop.example"}), "dkim/exact=permerror dmarc=fail/reject spf=none")
	add("dkim key for sha1", sign(mailauth.SignOptions{Selector: "sha1"}), "dkim/sha1=permerror dmarc=fail/reject spf=none")
	add("dkim key for reports", sign(mailauth.SignOptions{Selector: "tlsrpt"}), "dkim/tlsrpt=permerror dmarc=fail/reject spf=none")
	add("dkim key of unknown kind", sign(mailauth.SignOptions{Selector: "odd"}), "dkim/odd=permerror dmarc=fail/reject spf=none")
	return list
}

// dmarcMails differ in their author and in who vouches for him.
func dmarcMails(t *testing.T, a *author) (list []verdictMail) {
	add := func(name, from string, mail []byte, ours string) {
		list = append(list, verdictMail{name, delivered{"192.0.2.10", from, mail}, ours})
	}
	of := func(author string) []byte { return a.mail("noreply@shop.example", author) }
	add("dmarc spf of a subdomain", "bounce@sub.strict.example", of("noreply@strict.example"), "dmarc=fail/quarantine spf=pass")
	add("dmarc spf, strict", "bounce@strict.example", of("noreply@strict.example"), "dmarc=pass spf=pass")
	add("dmarc dkim of a subdomain", "bounce@silent.example", a.sign(t, a.mail(), mailauth.SignOptions{Domain: "mail.shop.example"}), "dkim/s1=pass dmarc=pass spf=none")
	add("dmarc dkim of the parent, strict", "bounce@silent.example", a.sign(t, of("noreply@sub.strict.example"), mailauth.SignOptions{Domain: "strict.example"}), "dkim/s1=pass dmarc=fail/reject spf=none")
	add("dmarc dkim, strict", "bounce@silent.example", a.sign(t, of("noreply@strict.example"), mailauth.SignOptions{Domain: "strict.example"}), "dkim/s1=pass dmarc=pass spf=none")
	add("dmarc dkim of a stranger", "bounce@silent.example", a.sign(t, a.mail(), mailauth.SignOptions{Domain: "other.example"}), "dkim/s1=pass dmarc=fail/reject spf=none")
	add("dmarc policy none", "bounce@silent.example", of("noreply@watched.example"), "dmarc=fail/none spf=none")
	add("dmarc policy of subdomains", "bounce@silent.example", of("noreply@news.watched.example"), "dmarc=fail/quarantine spf=none")
	add("dmarc policy of nonexistent subdomains", "bounce@silent.example", of("noreply@nothing.watched.example"), "dmarc=fail/reject spf=none")
	add("dmarc no record", "bounce@silent.example", of("noreply@silent.example"), "dmarc=none spf=none")
	add("dmarc unknown policy", "bounce@silent.example", of("noreply@odd.example"), "dmarc=none spf=none")
	add("dmarc two records", "bounce@silent.example", of("noreply@odd2.example"), "dmarc=none spf=none")
	add("dmarc unanswered", "bounce@silent.example", of("noreply@later.example"), "dmarc=temperror spf=none")
	add("dmarc testing", "bounce@silent.example", of("noreply@tests.example"), "dmarc=fail/quarantine spf=none")
	add("dmarc for no percent", "bounce@silent.example", of("noreply@pct.example"), "dmarc=fail/reject spf=none")
	add("dmarc record in between", "bounce@silent.example", of("noreply@a.unit.deep.example"), "dmarc=fail/none spf=none")
	add("dmarc unit that stands for itself", "bounce@cut.example", of("noreply@unit.cut.example"), "dmarc=fail/reject spf=pass")
	add("dmarc spf unanswered", "bounce@unsettled.example", of("noreply@unsettled.example"), "dmarc=temperror spf=temperror")
	add("dmarc two authors", "bounce@shop.example", of("noreply@shop.example>, <other@silent.example"), "dmarc=permerror spf=pass")
	add("dmarc two authors of one domain", "bounce@shop.example", of("noreply@shop.example>, <other@shop.example"), "dmarc=pass spf=pass")
	add("dmarc two From fields", "bounce@shop.example", a.mail("To: ", "From: other@silent.example\r\nTo: "), "dmarc=permerror spf=pass")
	add("dmarc no author", "bounce@shop.example", a.mail("From: Shop <noreply@shop.example>\r\n", ""), "dmarc=permerror spf=pass")
	return list
}

// arcMails have been passed on.
func arcMails(t *testing.T, a *author) (list []verdictMail) {
	add := func(name string, mail []byte, ours string) {
		list = append(list, verdictMail{name, delivered{"198.51.100.7", "bounce@shop.example", mail}, ours})
	}
	signed := a.sign(t, a.mail(), mailauth.SignOptions{})
	once := a.seal(t, signed, 1, policy.AuthNone)
	twice := a.seal(t, once, 2, policy.AuthPass)
	add("arc one hop", once, "arc=pass dkim/s1=pass dmarc=pass spf=fail")
	add("arc two hops", twice, "arc=pass dkim/s1=pass dmarc=pass spf=fail")
	add("arc changed after it", replaced(t, twice, "Please", "Kindly"), "arc=fail dkim/s1=fail dmarc=fail/reject spf=fail")
	add("arc changed between", a.seal(t, replaced(t, once, "Please", "Kindly"), 2, policy.AuthPass), "arc=pass dkim/s1=fail dmarc=fail/reject spf=fail")
	add("arc changed results", replaced(t, twice, "spf=pass", "spf=fail"), "arc=fail dkim/s1=pass dmarc=pass spf=fail")
	add("arc failed before", a.seal(t, replaced(t, once, "Please", "Kindly"), 2, policy.AuthFail), "arc=fail dkim/s1=fail dmarc=fail/reject spf=fail")
	add("arc without its first set", slices.Concat(twice[:len(twice)-len(once)], signed), "arc=fail dkim/s1=pass dmarc=pass spf=fail")
	add("arc unknown key", replaced(t, once, "d=hop1.example", "d=hop9.example"), "arc=fail dkim/s1=pass dmarc=pass spf=fail")
	return list
}
