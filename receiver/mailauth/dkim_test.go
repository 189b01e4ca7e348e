package mailauth

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"strings"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/policy"
)

const plain = "From: Shop <noreply@shop.example>\r\nTo: alice@gmail.test\r\nSubject:  Your\r\n\torder \r\n\r\nHello,\r\n\r\n  two  spaces \r\n\r\n\r\n"

// testKey is worth nothing.
func testKey() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
}

const testKeyRecord = "v=DKIM1; k=ed25519; p=6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw="

func signTest(t testing.TB, raw string, o SignOptions) string {
	t.Helper()
	if o.Key == nil {
		o.Key = testKey()
	}
	o.Domain, o.Selector = "shop.example", "s1"
	signed, err := Sign([]byte(raw), o)
	if err != nil {
		t.Fatal(err)
	}
	return string(signed)
}

func TestVerify(t *testing.T) {
	t.Parallel()
	rsa2048, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaRecord, err := KeyRecord(rsa2048.Public())
	if err != nil {
		t.Fatal(err)
	}
	signed := signTest(t, plain, SignOptions{})
	dated := signTest(t, plain, SignOptions{Time: time.Unix(1000, 0), Expiration: time.Unix(2000, 0), AUID: "bob@mail.shop.example"})
	byRSA := signTest(t, plain, SignOptions{Key: rsa2048})
	change := func(s, old, new string) string {
		if !strings.Contains(s, old) {
			t.Fatalf("%q is not in %s", old, s)
		}
		return strings.Replace(s, old, new, 1)
	}
	for _, tt := range []struct {
		name   string
		raw    string
		record string // Empty is testKeyRecord, "-" is none.
		want   string
	}{
		{"good", signed, "", "pass"},
		{"good rsa", byRSA, rsaRecord, "pass"},
		{"simple", signTest(t, plain, SignOptions{HeaderCanonicalization: Simple, BodyCanonicalization: Simple}), "", "pass"},
		{"empty lines added at the end", signed + "\r\n\r\n", "", "pass"},
		{"simple, space at a line's end", change(signTest(t, plain, SignOptions{BodyCanonicalization: Simple}), "Hello,", "Hello, "), "", "fail body-hash"},
		{"relaxed, space at a line's end", change(signed, "Hello,", "Hello, \t"), "", "pass"},
		{"body changed", change(signed, "Hello", "Hallo"), "", "fail body-hash"},
		{"subject changed", change(signed, "Your", "My"), "", "fail signature"},
		{"From added", change(signed, "\r\nFrom:", "\r\nFrom: eve@evil.example\r\nFrom:"), "", "fail signature"},
		{"unsigned field added", "X-Spam: no\r\n" + signed, "", "pass"},
		{"another key", signed, "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", "fail signature"},
		{"LF alone", strings.ReplaceAll(signed, "\r\n", "\n"), "", "pass"},
		{"no body, no empty line", strings.TrimSuffix(signTest(t, "From: a@shop.example\r\n\r\n", SignOptions{}), "\r\n"), "", "pass"},
		{"in time", dated, "", "pass"},
		{"expired", change(dated, "x=2000", "x=1400"), "", "fail expired"},
		{"x= before t=", change(dated, "x=2000", "x=900"), "", "neutral signature-syntax"},
		{"t= is no number", change(dated, "t=1000", "t=now"), "", "neutral signature-syntax"},
		{"t=s", dated, testKeyRecord + "; t=s", "permerror auid-domain strict"},
		{"t=s without i=", signed, testKeyRecord + "; t=s:y", "pass testing strict"},
		{"i= outside", change(dated, "bob@mail.shop.example", "bob@notshop.example"), "", "permerror auid-domain"},
		{"i= without @", change(dated, "bob@mail", "bob.mail"), "", "neutral signature-syntax"},
		{"v=2", change(signed, "v=1", "v=2"), "", "neutral signature-version"},
		{"tag twice", change(signed, "v=1;", "v=1; v=1;"), "", "neutral signature-syntax"},
		{"no tag", change(signed, "v=1;", "v=1; what;"), "", "neutral signature-syntax"},
		{"empty tag", change(signed, "v=1;", "v=1;;"), "", "neutral signature-syntax"},
		{"no bh=", change(signed, "bh=", "bx="), "", "neutral signature-syntax"},
		{"bh= is no base64", change(signed, "bh=", "bh=*"), "", "neutral signature-syntax"},
		{"d= is no domain", change(signed, "d=shop.example", "d=example"), "", "neutral signature-syntax"},
		{"s= is no selector", change(signed, "s=s1", "s=s 1@"), "", "neutral signature-syntax"},
		{"h= without From", signTest(t, plain, SignOptions{Headers: []string{"From", "To"}}), "", "pass"},
		{"From unsigned", change(signTest(t, plain, SignOptions{Headers: []string{"To", "From"}}), "To:From", "To:Date"), "", "permerror from-unsigned"},
		{"empty name in h=", change(signed, "h=From:", "h=From::"), "", "neutral signature-syntax"},
		{"sha1", change(signed, "ed25519-sha256", "rsa-sha1"), "", "policy algorithm-weak"},
		{"unknown algorithm", change(signed, "ed25519-sha256", "rsa-sha512"), "", "neutral algorithm-unknown"},
		{"unknown canonicalization", change(signed, "relaxed/relaxed", "nofws"), "", "neutral canonicalization-unknown"},
		{"unknown query", change(signed, "v=1;", "v=1; q=http/x;"), "", "neutral query-unknown"},
		{"l= too large", change(signed, "v=1;", "v=1; l=99999999999999999999;"), "", "fail body-length"},
		{"no key", signed, "-", "permerror no-key"},
		{"revoked", signed, "v=DKIM1; k=ed25519; p=", "permerror key-revoked"},
		{"key of another kind", signed, rsaRecord, "permerror key-unusable"},
		{"key for another hash", signed, testKeyRecord + "; h=sha1", "permerror key-unusable"},
		{"key for another service", signed, testKeyRecord + "; s=tlsrpt", "permerror key-unusable"},
		{"key for all services", signed, testKeyRecord + "; s=*", "pass"},
		{"key version", signed, strings.Replace(testKeyRecord, "DKIM1", "DKIM2", 1), "permerror key-syntax"},
		{"key version not first", signed, "k=ed25519; v=DKIM1; p=x", "permerror key-syntax"},
		{"key without p=", signed, "v=DKIM1; k=ed25519", "permerror key-syntax"},
		{"key is no base64", signed, "v=DKIM1; k=ed25519; p=?", "permerror key-syntax"},
		{"key too short", signed, "v=DKIM1; k=ed25519; p=AAAA", "permerror key-syntax"},
		{"RSA key is none", byRSA, "v=DKIM1; p=AAAA", "permerror key-syntax"},
		{"RSA key weak", byRSA, "p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALgSoqXVSEmfcIsOzw7oRuCCOwsmtX/SJnTWxYyj2leFxfS/AVJ+dYfY+hXqMsT7l+MZvvh/R1WzN4MO/kI/7XsCAwEAAQ==", "policy key-weak"},
		{"DNS fails", signed, "TEMPERROR", "temperror dns"},
		{"DNS fails for good", signed, "PERMERROR", "permerror dns"},
	} {
		dns := texts{}
		switch tt.record {
		case "":
			dns.add("s1._domainkey.shop.example", testKeyRecord)
		case "-":
		default:
			dns.add("s1._domainkey.shop.example", tt.record)
		}
		v := &Verifier{Resolver: dns, Now: at(1500), Profile: RFC}
		list := dkimOf(v, []byte(tt.raw))
		if len(list) != 1 {
			t.Fatalf("%s: %d signatures", tt.name, len(list))
		}
		got := string(list[0].Result)
		if list[0].Reason != "" {
			got += " " + string(list[0].Reason)
		}
		if list[0].Testing {
			got += " testing"
		}
		if list[0].Strict {
			got += " strict"
		}
		if got != tt.want {
			t.Errorf("%s: got %q (%s), want %q", tt.name, got, list[0].Problem, tt.want)
		}
		if (list[0].Problem == "") != (list[0].Result == policy.AuthPass) {
			t.Errorf("%s: problem %q", tt.name, list[0].Problem)
		}
	}
}

func TestVerifyDetails(t *testing.T) {
	t.Parallel()
	dns := texts{}
	dns.add("s1._domainkey.shop.example", testKeyRecord)
	raw := signTest(t, plain, SignOptions{Time: time.Unix(1000, 0), Expiration: time.Unix(2000, 0), AUID: "bob@shop.example"})
	v := &Verifier{Resolver: dns, Now: at(1500), Profile: RFC}
	s := dkimOf(v, []byte(raw))[0]
	want := policy.DKIM{
		Result: policy.AuthPass, Domain: "shop.example", AUID: "bob@shop.example", Selector: "s1", Algorithm: "ed25519-sha256", KeyBits: 256,
		Signature: s.Signature, SignedAt: time.Unix(1000, 0).UTC(), ExpiresAt: time.Unix(2000, 0).UTC(),
	}
	if got := strings.Join(s.Headers, ":"); got != "from:to:subject:from" {
		t.Errorf("headers %s", got)
	}
	if s.Headers = nil; len(s.Signature) != 8 || !equalDKIM(s, want) {
		t.Errorf("got %+v, want %+v", s, want)
	}
	v.Profile = Gmail
	if s := dkimOf(v, []byte(raw))[0]; s.Result != policy.AuthNeutral || s.Reason != ReasonNoKey {
		t.Errorf("Gmail and Ed25519: got %s %s", s.Result, s.Reason)
	}
}

func equalDKIM(a, b policy.DKIM) bool {
	return a.Result == b.Result && a.Domain == b.Domain && a.AUID == b.AUID && a.Selector == b.Selector && a.Algorithm == b.Algorithm &&
		a.KeyBits == b.KeyBits && a.Signature == b.Signature && a.SignedAt.Equal(b.SignedAt) && a.ExpiresAt.Equal(b.ExpiresAt)
}

// TestLength takes the signature of the beginning of a body and appends to it.
func TestLength(t *testing.T) {
	t.Parallel()
	dns := texts{}
	dns.add("s1._domainkey.shop.example", testKeyRecord)
	v := &Verifier{Resolver: dns, Now: at(0), Profile: RFC}
	// The library of the corpora cannot sign with l=; so this one is made by
	// hand, with the parts that sign.go uses.
	raw := "From: a@shop.example\r\n\r\nline one\r\n"
	o := SignOptions{Domain: "shop.example; l=10", Selector: "s1", Key: testKey(), Headers: []string{"From"},
		HeaderCanonicalization: Relaxed, BodyCanonicalization: Relaxed}
	signed := signParts(t, raw, o)
	for _, tt := range []struct {
		added     string
		uncovered int
		want      policy.AuthResult
	}{
		{"", 0, policy.AuthPass},
		{"line two\r\n", 10, policy.AuthPass},
		{"\r\n\r\n", 0, policy.AuthPass},
	} {
		s := dkimOf(v, []byte(signed+tt.added))[0]
		if s.Result != tt.want || s.Uncovered != tt.uncovered {
			t.Errorf("%q: got %s (%s), %d uncovered", tt.added, s.Result, s.Problem, s.Uncovered)
		}
	}
	if s := dkimOf(v, []byte(strings.Replace(signed, "line one", "line", 1)))[0]; s.Reason != ReasonBodyLength {
		t.Errorf("a shorter body: got %s %s", s.Result, s.Reason)
	}
}

func TestManySignatures(t *testing.T) {
	t.Parallel()
	dns := texts{}
	dns.add("s1._domainkey.shop.example", testKeyRecord)
	raw := plain
	for range maxSignatures + 2 {
		raw = signTest(t, raw, SignOptions{})
	}
	list := dkimOf(&Verifier{Resolver: dns, Now: at(0), Profile: RFC, Keys: NewKeyCache()}, []byte(raw))
	if len(list) != maxSignatures+2 {
		t.Fatalf("got %d", len(list))
	}
	for i, s := range list {
		want := policy.AuthPass
		if i >= maxSignatures {
			want = policy.AuthPolicy
		}
		if s.Result != want || s.Domain != "shop.example" {
			t.Errorf("%d: got %s %s", i, s.Result, s.Problem)
		}
	}
}

func TestSeveralKeys(t *testing.T) {
	t.Parallel()
	raw := []byte(signTest(t, plain, SignOptions{}))
	for _, tt := range []struct {
		records []string
		want    policy.Reason
	}{
		{[]string{testKeyRecord, "v=spf1 -all"}, ""},
		{[]string{"v=DKIM1; p=", testKeyRecord}, ""},
		{[]string{testKeyRecord, testKeyRecord + ";t=y"}, ReasonKeySeveral},
		{[]string{"some text", "other text"}, ReasonKeySyntax},
	} {
		dns := texts{"s1._domainkey.shop.example": tt.records}
		if s := dkimOf(&Verifier{Resolver: dns, Now: at(0), Profile: RFC}, raw)[0]; s.Reason != tt.want {
			t.Errorf("%q: got %s %s", tt.records, s.Result, s.Reason)
		}
	}
}

func TestKeyCache(t *testing.T) {
	t.Parallel()
	c := NewKeyCache()
	if a, b := c.parse(testKeyRecord), c.parse(testKeyRecord); a != b {
		t.Error("parsed twice")
	}
	for i := range maxCachedKeys + 10 {
		c.parse("p=" + strings.Repeat("x", i%100) + string(rune('a'+i%26)) + time.Unix(int64(i), 0).String())
	}
	if n := len(c.keys); n > maxCachedKeys {
		t.Errorf("%d keys", n)
	}
}
