package mailauth

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/doppelbox/doppelbox/policy/message"
)

// signParts signs without checking the options.
func signParts(t testing.TB, raw string, o SignOptions) string {
	t.Helper()
	m := message.Parse([]byte(raw))
	bodies := newBodyHashes(m.Body)
	value := o.value("ed25519-sha256", bodies.get(o.BodyCanonicalization, -1).sum, "\r\n")
	s := signature{field: message.Field{Name: "DKIM-Signature", Value: value, Raw: []byte("DKIM-Signature:" + value)},
		headers: o.HeaderCanonicalization, start: len(value), end: len(value)}
	s.result.Headers = o.Headers
	b, err := o.Key.Sign(rand.Reader, s.headerHash(bodies.hash, m.Fields), crypto.Hash(0))
	if err != nil {
		t.Fatal(err)
	}
	return "DKIM-Signature:" + value + base64.StdEncoding.EncodeToString(b) + "\r\n" + raw
}

func TestSign(t *testing.T) {
	t.Parallel()
	o := SignOptions{Domain: "shop.example", Selector: "s1", Key: testKey(), AUID: "@shop.example",
		Time: time.Unix(1_700_000_000, 0), Expiration: time.Unix(1_700_003_600, 0)}
	got, err := Sign([]byte(plain), o)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Sign([]byte(plain), o)
	if err != nil || !bytes.Equal(got, again) {
		t.Errorf("not the same octets: %v", err)
	}
	field, ok := strings.CutSuffix(string(got), plain)
	if !ok {
		t.Fatalf("the message was changed: %s", got)
	}
	const want = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n\td=shop.example; s=s1;\r\n" +
		"\ti=@shop.example; t=1700000000; x=1700003600; h=From:To:Subject:From;\r\n\tbh="
	if !strings.HasPrefix(field, want) {
		t.Errorf("got %s", field)
	}
	for line := range strings.SplitSeq(field, "\r\n") {
		if len(line) > 78 {
			t.Errorf("a line of %d octets: %s", len(line), line)
		}
	}
}

func TestSignLineEnds(t *testing.T) {
	t.Parallel()
	got := signTest(t, "From: a@shop.example\n\nbody\n", SignOptions{})
	if strings.Contains(got, "\r") {
		t.Errorf("got %q", got)
	}
}

func TestSignErrors(t *testing.T) {
	t.Parallel()
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := SignOptions{Domain: "shop.example", Selector: "s1", Key: testKey()}
	for name, tt := range map[string]struct {
		change func(*SignOptions)
		want   error
	}{
		"no key":           {func(o *SignOptions) { o.Key = nil }, errKeyType},
		"another key":      {func(o *SignOptions) { o.Key = p256 }, errKeyType},
		"no domain":        {func(o *SignOptions) { o.Domain = "" }, errDomain},
		"no selector":      {func(o *SignOptions) { o.Selector = "a b" }, errSelector},
		"AUID outside":     {func(o *SignOptions) { o.AUID = "a@other.example" }, errAUID},
		"no From":          {func(o *SignOptions) { o.Headers = []string{"To"} }, errHeaders},
		"bad name":         {func(o *SignOptions) { o.Headers = []string{"From", "a:b"} }, errHeaders},
		"times":            {func(o *SignOptions) { o.Time, o.Expiration = time.Unix(2, 0), time.Unix(1, 0) }, errTimes},
		"canonicalization": {func(o *SignOptions) { o.BodyCanonicalization = "nofws" }, errCanonical},
	} {
		o := good
		tt.change(&o)
		if _, err := Sign([]byte(plain), o); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := Sign([]byte("To: a@b.example\r\n\r\n"), good); !errors.Is(err, errNothingFrom) {
		t.Errorf("no From in the message: got %v", err)
	}
	if _, err := KeyRecord(p256.Public()); !errors.Is(err, errKeyType) {
		t.Errorf("got %v", err)
	}
}

// FuzzCanonical signs with go-msgauth and verifies here, and the other way
// round.
func FuzzCanonical(f *testing.F) {
	f.Add("  Your \t order ", "Hello,\r\n\r\n  two  spaces \r\n\r\n", uint8(0))
	f.Add("", "", uint8(3))
	f.Add("a\r\n b", " \t\r\n\t\r\nx", uint8(1))
	dns := texts{}
	dns.add("s1._domainkey.shop.example", testKeyRecord)
	lookup := func(name string) ([]string, error) { return dns.LookupTXT(context.Background(), name) }
	f.Fuzz(func(t *testing.T, subject, body string, mode uint8) {
		subject = strings.NewReplacer("\r", "", "\n", "").Replace(subject)
		raw := crlf([]byte("From: a@shop.example\nSubject:" + subject + "\nX-Twice: 1\nx-twice:  2 \n\n" + body))
		// A bare CR is an ordinary octet here and white space there; RFC 5322
		// knows none.
		if bytes.Contains(bytes.ReplaceAll(raw, []byte("\r\n"), nil), []byte("\r")) {
			return
		}
		algorithms := [2]Canonicalization{Simple, Relaxed}
		header, text := algorithms[mode&1], algorithms[mode>>1&1]
		var theirs bytes.Buffer
		err := dkim.Sign(&theirs, bytes.NewReader(raw), &dkim.SignOptions{
			Domain: "shop.example", Selector: "s1", Signer: testKey(), HeaderKeys: []string{"From", "Subject", "X-Twice"},
			HeaderCanonicalization: dkim.Canonicalization(header), BodyCanonicalization: dkim.Canonicalization(text),
		})
		if err != nil {
			return // What they do not sign cannot be compared.
		}
		v := &Verifier{Resolver: dns, Now: at(0), Profile: RFC}
		if s := dkimOf(v, theirs.Bytes()); len(s) != 1 || s[0].Result != "pass" {
			t.Errorf("theirs: %+v\n%q", s, theirs.Bytes())
		}
		ours, err := Sign(raw, SignOptions{Domain: "shop.example", Selector: "s1", Key: testKey(),
			HeaderCanonicalization: header, BodyCanonicalization: text})
		if err != nil {
			t.Fatal(err)
		}
		if s := dkimOf(v, ours); s[0].Result != "pass" {
			t.Errorf("ours, here: %+v\n%q", s, ours)
		}
		list, err := dkim.VerifyWithOptions(bytes.NewReader(ours), &dkim.VerifyOptions{LookupTXT: lookup})
		if err != nil || len(list) != 1 || list[0].Err != nil {
			t.Errorf("ours, there: %v %+v\n%q", err, list, ours)
		}
	})
}
