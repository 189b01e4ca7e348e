package mailauth

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"net/netip"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/receiver/dnszone"
)

// benchMessage is a signed message of about 2.8 KB, and a zone for it.
func benchMessage(b *testing.B) ([]byte, *dnszone.Resolver) {
	b.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	record, err := KeyRecord(key.Public())
	if err != nil {
		b.Fatal(err)
	}
	z := zone(b, shopZone)
	if err := z.AddTXT("s1._domainkey.shop.example", record); err != nil {
		b.Fatal(err)
	}
	raw := "From: Shop <noreply@shop.example>\r\nTo: Alice <alice@gmail.test>\r\nSubject: Please approve expense 4711\r\n" +
		"Date: Fri, 20 Nov 2026 10:00:00 +0000\r\nMessage-ID: <4711@shop.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" +
		strings.Repeat("<p>This is a line of the message, and it has some words in it.</p>\r\n", 29)
	signed := signTest(b, raw, SignOptions{Key: key})
	return []byte(signed), dnszone.NewResolver(z, dnszone.Options{})
}

func BenchmarkDKIM(b *testing.B) {
	raw, r := benchMessage(b)
	v := &Verifier{Resolver: r, Now: at(0), Keys: NewKeyCache()}
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if s := dkimOf(v, raw); s[0].Result != policy.AuthPass {
			b.Fatal(s)
		}
	}
}

// BenchmarkDKIMLibrary is go-msgauth's verifier at the same message.
func BenchmarkDKIMLibrary(b *testing.B) {
	raw, r := benchMessage(b)
	lookup := func(name string) ([]string, error) { return r.LookupTXT(context.Background(), name) }
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		list, err := dkim.VerifyWithOptions(bytes.NewReader(raw), &dkim.VerifyOptions{LookupTXT: lookup})
		if err != nil || list[0].Err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	raw, r := benchMessage(b)
	v := Verifier{Resolver: r, Now: at(0), Keys: NewKeyCache()}
	a := policy.Arrival{Peer: netip.MustParseAddr("192.0.2.10"), HELO: "mail.shop.example", MailFrom: "bounce@shop.example"}
	m := message.Parse(raw)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if got := v.Authenticate(context.Background(), a, m); got.DMARC.Result != policy.AuthPass {
			b.Fatal(got)
		}
	}
}
