package forwarding

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"net"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/receiver/mailauth"
)

// keyZone knows one text under every name.
type keyZone string

func (z keyZone) LookupTXT(context.Context, string) ([]string, error) {
	return []string{string(z)}, nil
}

func (keyZone) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (keyZone) LookupIPAddr(_ context.Context, name string) ([]net.IPAddr, error) {
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (keyZone) LookupAddr(_ context.Context, name string) ([]string, error) {
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

// Only a break breaks a signature, and each does.
func TestBreaksBreakDKIM(t *testing.T) {
	t.Parallel()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize)) // Worth nothing.
	record, err := mailauth.KeyRecord(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	v := &mailauth.Verifier{Resolver: keyZone(record), Now: noon, Profile: mailauth.RFC}
	verify := func(raw []byte) policy.AuthResult {
		auth := v.Authenticate(context.Background(), policy.Arrival{Channel: policy.ChannelSMTP}, message.Parse(raw))
		if len(auth.DKIM) != 1 {
			t.Fatalf("%d signatures", len(auth.DKIM))
		}
		return auth.DKIM[0].Result
	}
	mails := map[string]string{
		"multipart": shopMail,
		"plain":     "From: a@shop.example\nSubject: S\n\nHi\n",
		"html":      "From: a@shop.example\nSubject: S\nContent-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n<body>=C3=BC</body>\n",
	}
	for name, mail := range mails {
		for _, c := range []mailauth.Canonicalization{mailauth.Simple, mailauth.Relaxed} {
			signed, err := mailauth.Sign(crlf(mail), mailauth.SignOptions{
				Domain: "shop.example", Selector: "s1", Key: key, Time: noon().Add(-time.Hour), HeaderCanonicalization: c, BodyCanonicalization: c,
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, style := range []policy.ForwardStyle{policy.ForwardPlain, policy.ForwardSRS, policy.ForwardCAF, policy.ForwardResent} {
				for how, want := range map[Break]policy.AuthResult{
					"": policy.AuthPass, BreakFooter: policy.AuthFail, BreakSubject: policy.AuthFail, BreakReencode: policy.AuthFail,
				} {
					o := autoOptions()
					o.Style, o.Break = style, how
					f, err := Auto(signed, o)
					if err != nil {
						t.Fatal(err)
					}
					if got := verify(f.Raw); got != want {
						t.Errorf("%s %s, %s, break %q: %s, want %s", name, c, style, how, got, want)
					}
				}
			}
		}
	}
}
