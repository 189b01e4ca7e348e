package mailauth

import (
	"crypto/ed25519"
	"slices"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
)

// change is one edit of a message.
func change(t testing.TB, raw, old, new string) string {
	t.Helper()
	if !strings.Contains(raw, old) {
		t.Fatalf("%q is not in %s", old, raw)
	}
	return strings.Replace(raw, old, new, 1)
}

func changeOf(t testing.TB, raw string) policy.DKIM {
	t.Helper()
	dns := texts{}
	dns.add("s1._domainkey.shop.example", testKeyRecord)
	list := dkimOf(&Verifier{Resolver: dns, Now: at(0), Profile: RFC}, []byte(raw))
	if len(list) != 1 {
		t.Fatalf("%d signatures", len(list))
	}
	return list[0]
}

const (
	single = "From: a@shop.example\r\nSubject: Your order\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n" +
		"Content-Transfer-Encoding: 8bit\r\n\r\nHello \xc3\xbc,\r\n\r\nhere = it is.\r\n"
	multi = "From: a@shop.example\r\nSubject: Your order\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=\"b\"\r\n\r\n" +
		"preamble\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nHello \xc3\xbc.\r\n" +
		"--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<p>Hello \xc3\xbc.\r\n" +
		"--b--\r\n"
	page    = "From: a@shop.example\r\nSubject: Your order\r\nContent-Type: text/html\r\n\r\n<html>\r\n<Body>\r\n<p>Hello.\r\n</BODY>\r\n</html>\r\n"
	encoded = "Hello =C3=BC,\r\n\r\nhere =3D it is.\r\n"
	base64d = "SGVsbG8gw7wsDQoNCmhlcmUgPSBpdCBpcy4NCg==\r\n"
)

func TestChange(t *testing.T) {
	t.Parallel()
	simple := SignOptions{HeaderCanonicalization: Simple, BodyCanonicalization: Simple}
	closing := "--b--\r\n"
	footer := "\r\n_______\r\nlist@list.example\r\n"
	encoding := func(t *testing.T, raw, from, to string) string {
		return change(t, raw, "Content-Transfer-Encoding: "+from, "Content-Transfer-Encoding: "+to)
	}
	for _, tt := range []struct {
		name    string
		raw     string
		change  func(t *testing.T, signed string) string
		want    policy.Change
		problem string // How the problem ends.
	}{
		{"a footer", single, func(_ *testing.T, s string) string { return s + footer }, "footer", ": 2 lines were added at the end of the body"},
		{"one line", single, func(_ *testing.T, s string) string { return s + "bye" }, "footer", ": 1 line was added at the end of the body"},
		{"to nothing", "From: a@shop.example\r\n\r\n", func(_ *testing.T, s string) string { return s + footer }, "footer", ": 2 lines were added at the end of the body"},
		{"the most lines", single, func(_ *testing.T, s string) string { return s + strings.Repeat("x\r\n", maxFooterLines) }, "footer", ": 400 lines were added at the end of the body"},
		{"after the last delimiter", multi, func(_ *testing.T, s string) string { return s + footer }, "footer", ": 2 lines were added at the end of the body"},
		{"in the last part", multi, func(t *testing.T, s string) string { return change(t, s, closing, footer+closing) }, "footer", ": 2 lines were added at the end of the last part"},
		{"another part", multi, func(t *testing.T, s string) string {
			return change(t, s, closing, "--b\r\nContent-Type: text/plain\r\n\r\nlist\r\n"+closing)
		}, "footer", ": 3 lines were added at the end of the last part"},
		{"in the first part", multi, func(t *testing.T, s string) string {
			return change(t, s, "--b\r\nContent-Type: text/html", footer+"--b\r\nContent-Type: text/html")
		}, "footer", ": 2 lines were added at the end of part 1"},
		{"in both parts", multi, func(t *testing.T, s string) string {
			return change(t, change(t, s, closing, footer+closing), "--b\r\nContent-Type: text/html", footer+"--b\r\nContent-Type: text/html")
		}, "footer", ": 4 lines were added at the end of parts 1 and 2"},
		{"in HTML", page, func(t *testing.T, s string) string { return change(t, s, "</BODY>", "<p>list\r\n</BODY>") }, "footer", ": 1 line was added at the end of the HTML"},
		{"in HTML without a body", change(t, page, "</BODY>\r\n", ""), func(t *testing.T, s string) string { return change(t, s, "</html>", "<p>list\r\n</html>") }, "footer", ": 1 line was added at the end of the HTML"},
		{"in text and HTML", change(t, multi, "<p>", "</body>\r\n<p>"), func(t *testing.T, s string) string {
			return change(t, change(t, s, "</body>", "list\r\n</body>"), "--b\r\nContent-Type: text/html", footer+"--b\r\nContent-Type: text/html")
		}, "footer", ": 3 lines were added at the end of parts 1 and 2"},
		{"in the middle of HTML", page, func(t *testing.T, s string) string { return change(t, s, "<p>Hello", "<p>list\r\n<p>Hello") }, "body", "the body was changed"},
		{"put into a multipart", single, func(t *testing.T, s string) string {
			s = change(t, s, "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
				"Content-Type: multipart/mixed; boundary=\"=o\"\r\n\r\n--=o\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n")
			return s + "--=o\r\n\r\nlist\r\n--=o--\r\n"
		}, "footer", ": the body was put into a multipart, and another part after it (2 in all)"},
		{"a footer and a tag", single, func(t *testing.T, s string) string { return change(t, s, "Your", "[list] Your") + footer }, "footer", `: 2 lines were added at the end of the body, and "[list] " was put before the subject`},
		{"a footer and another subject", single, func(t *testing.T, s string) string { return change(t, s, "Your", "My") + footer }, "body", ": 2 lines were added at the end of the body, and a signed field was changed, or the key is another"},
		{"a tag", single, func(t *testing.T, s string) string { return change(t, s, "Your", "[list] Your") }, "subject", `: "[list] " was put before the subject`},
		{"two tags", single, func(t *testing.T, s string) string { return change(t, s, "Your", "EXTERNAL: ***SPAM*** Your") }, "subject", `: "EXTERNAL: ***SPAM*** " was put before the subject`},
		{"a tag behind Re:", change(t, single, "Your", "Re: Your"), func(t *testing.T, s string) string { return change(t, s, "Re: ", "Re: [list] ") }, "subject", `: "[list] " was put before the subject`},
		{"a tag, encoded", change(t, single, "Your", "=?utf-8?q?=C3=BCber?= Your"), func(t *testing.T, s string) string { return change(t, s, "=?utf-8", "[list] =?utf-8") }, "subject", `: "[list] " was put before the subject`},
		{"no tag", single, func(t *testing.T, s string) string { return change(t, s, "Your", "My Your") }, "header", "or the key is another"},
		{"From", single, func(t *testing.T, s string) string { return change(t, s, "a@shop", "b@shop") }, "header", "or the key is another"},
		{"to quoted-printable", single, func(t *testing.T, s string) string {
			return change(t, encoding(t, s, "8bit", "quoted-printable"), "Hello \xc3\xbc,\r\n\r\nhere = it is.\r\n", encoded)
		}, "reencoded", ": the transfer encoding was changed from 7bit or 8bit to quoted-printable"},
		{"to base64", single, func(t *testing.T, s string) string {
			return change(t, encoding(t, s, "8bit", "base64"), "Hello \xc3\xbc,\r\n\r\nhere = it is.\r\n", base64d)
		}, "reencoded", ": the transfer encoding was changed from 7bit or 8bit to base64"},
		{"to quoted-printable, without a field before", change(t, single, "Content-Transfer-Encoding: 8bit\r\n", ""), func(t *testing.T, s string) string {
			s = change(t, s, "\r\n\r\nHello", "\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nHello")
			return change(t, s, "Hello \xc3\xbc,\r\n\r\nhere = it is.\r\n", encoded)
		}, "reencoded", ": the transfer encoding was changed from 7bit or 8bit to quoted-printable"},
		{"from quoted-printable", change(t, encoding(t, single, "8bit", "quoted-printable"), "Hello \xc3\xbc,\r\n\r\nhere = it is.\r\n", encoded), func(t *testing.T, s string) string {
			return change(t, encoding(t, s, "quoted-printable", "8bit"), encoded, "Hello \xc3\xbc,\r\n\r\nhere = it is.\r\n")
		}, "reencoded", ": the transfer encoding was changed from quoted-printable to 7bit or 8bit"},
		{"from base64", change(t, encoding(t, single, "8bit", "base64"), "Hello \xc3\xbc,\r\n\r\nhere = it is.\r\n", base64d), func(t *testing.T, s string) string {
			return change(t, encoding(t, s, "base64", "8bit"), base64d, "Hello \xc3\xbc,\r\n\r\nhere = it is.\r\n")
		}, "reencoded", ": the transfer encoding was changed from base64 to 7bit or 8bit"},
		{"parts to quoted-printable", multi, func(t *testing.T, s string) string {
			return strings.ReplaceAll(strings.ReplaceAll(s, ": 8bit", ": quoted-printable"), "\xc3\xbc", "=C3=BC")
		}, "reencoded", ": the transfer encoding was changed from 7bit or 8bit to quoted-printable"},
		{"parts from quoted-printable", strings.ReplaceAll(strings.ReplaceAll(multi, ": 8bit", ": quoted-printable"), "\xc3\xbc", "=C3=BC"), func(t *testing.T, s string) string {
			return strings.ReplaceAll(strings.ReplaceAll(s, ": quoted-printable", ": 8bit"), "=C3=BC", "\xc3\xbc")
		}, "reencoded", ": the transfer encoding was changed from quoted-printable to 7bit or 8bit"},
		{"a line changed", single, func(t *testing.T, s string) string { return change(t, s, "here", "there") }, "body", "the body was changed"},
		{"a line removed", single, func(t *testing.T, s string) string { return change(t, s, "here = it is.\r\n", "") }, "body", "the body was changed"},
		{"a line changed and a footer", single, func(t *testing.T, s string) string { return change(t, s, "here", "there") + footer }, "body", "the body was changed"},
		{"a line added at the top", single, func(t *testing.T, s string) string { return change(t, s, "\r\n\r\n", "\r\n\r\nCAUTION\r\n") }, "body", "the body was changed"},
		{"a line of a part changed", multi, func(t *testing.T, s string) string { return change(t, s, "<p>", "<b>") }, "body", "the body was changed"},
		{"too many lines", single, func(_ *testing.T, s string) string { return s + strings.Repeat("x\r\n", maxFooterLines+1) }, "body", "the body was changed"},
		{"too much text", single, func(_ *testing.T, s string) string { return s + strings.Repeat("x", maxFooterSize+1) }, "body", "the body was changed"},
		{"too large", single, func(_ *testing.T, s string) string { return s + strings.Repeat("x\r\n", maxChangeOctets/3) + "x" }, "body", "the body was changed"},
	} {
		for i, o := range []SignOptions{{}, simple} {
			got := changeOf(t, tt.change(t, signTest(t, tt.raw, o)))
			if got.Result != policy.AuthFail || got.Change != tt.want || !strings.HasSuffix(got.Problem, tt.problem) {
				t.Errorf("%s, %d: got %s %q: %s", tt.name, i, got.Result, got.Change, got.Problem)
			}
		}
	}
}

// TestChangeNotSought has signatures for which nothing is sought.
func TestChangeNotSought(t *testing.T) {
	t.Parallel()
	signed := signTest(t, single, SignOptions{})
	for name, raw := range map[string]string{
		"passes":             signed,
		"l= and its body":    change(t, change(t, signed, "\tbh=", "\tl=5; bh="), "Hello", "Hallo"),
		"l= and its subject": change(t, change(t, signed, "\tbh=", "\tl=5; bh="), "Your", "[list] Your"),
		"no key":             change(t, signed, "s=s1", "s=s2") + "footer",
	} {
		if got := changeOf(t, raw); got.Change != "" {
			t.Errorf("%s: got %q (%s)", name, got.Change, got.Problem)
		}
	}
}

// TestChangeBounded has more signatures than may be looked into, and one for
// which nothing may be spent any more.
func TestChangeBounded(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("words and more words\r\n", 200)
	raw := change(t, multi, "--b--\r\n", text+"--b--\r\n")
	raw = change(t, raw, "--b\r\nContent-Type: text/html", text+"--b\r\nContent-Type: text/html")
	for range maxSignatures {
		raw = signTest(t, raw, SignOptions{Headers: []string{"From"}})
	}
	dns := texts{}
	dns.add("s1._domainkey.shop.example", testKeyRecord)
	v := &Verifier{Resolver: dns, Now: at(0), Profile: RFC}
	for i, s := range dkimOf(v, []byte(change(t, raw, "preamble", "Preamble"))) {
		if s.Change != policy.ChangeBody {
			t.Errorf("signature %d: %q", i, s.Change)
		}
	}
	m := message.Parse([]byte(signTest(t, single, SignOptions{}) + "footer"))
	s, why := parseSignature(m.Fields[0])
	if why != nil {
		t.Fatal(why)
	}
	key := parseKey(testKeyRecord)
	for _, tt := range []struct {
		spent effort
		want  policy.Change
	}{
		{effort{}, policy.ChangeFooter},
		{effort{octets: maxChangeOctets}, policy.ChangeBody},
		{effort{keys: maxChangeKeys}, policy.ChangeBody},
	} {
		bodies := newBodyHashes(m.Body)
		bodies.spent = tt.spent
		signed{s, m.Fields, bodies}.explain(key, verdictf(policy.AuthFail, ReasonBodyHash, ""))
		if s.result.Change != tt.want {
			t.Errorf("%+v: got %q", tt.spent, s.result.Change)
		}
	}
}

func FuzzChange(f *testing.F) {
	f.Add("Hello\r\n", "\r\n-- \r\nlist\r\n", "[list] ", uint8(0))
	f.Add("--b\r\n\r\nx\r\n--b--\r\n", "--b\r\n\r\nlist\r\n--b--", "Word:  ", uint8(1))
	f.Add("", " ", "", uint8(0))
	f.Fuzz(func(t *testing.T, body, footer, tag string, mode uint8) {
		if strings.ContainsAny(tag, "\r\n") || len(footer) > 1000 {
			return
		}
		o := SignOptions{}
		if mode&1 == 1 {
			o = SignOptions{HeaderCanonicalization: Simple, BodyCanonicalization: Simple}
		}
		raw := "From: a@shop.example\r\nSubject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + body
		if body != "" && !strings.HasSuffix(body, "\n") {
			raw += "\r\n" // A line that goes on is changed, and not followed.
		}
		signed := signTest(t, raw, o)
		got := changeOf(t, change(t, signed, "Subject: x", "Subject: "+tag+"x")+footer)
		if (got.Change == "") != (got.Result == policy.AuthPass) {
			t.Errorf("%+v", got)
		}
		if tag == "" && got.Result != policy.AuthPass && got.Change != policy.ChangeFooter && strings.Count(footer, "\n") < maxFooterLines {
			t.Errorf("%q after %q: %+v", footer, body, got)
		}
		if subjectTag.FindString(tag) == tag && tag != "" && got.Change != policy.ChangeSubject && got.Change != policy.ChangeFooter {
			t.Errorf("%q before the subject: %+v", tag, got)
		}
		// Another key proves nothing.
		other := ed25519.NewKeyFromSeed(slices.Repeat([]byte{8}, ed25519.SeedSize))
		o.Key = other
		forged := changeOf(t, signTest(t, raw, o)+footer)
		if forged.Result == policy.AuthPass || forged.Change != policy.ChangeBody && forged.Change != policy.ChangeHeader {
			t.Errorf("%+v", forged)
		}
	})
}
