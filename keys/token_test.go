package keys

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

const audience = "https://shop.example"

func TestTokenClaims(t *testing.T) {
	t.Parallel()
	s, c := newSet(t, Options{})
	token, err := s.Token(Claims{Audience: audience})
	if err != nil {
		t.Fatal(err)
	}
	header, payload := decoded(t, token)
	keys, err := s.Keys()
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf(`{"alg":"RS256","kid":%q,"typ":"JWT"}`, keys[0].ID); header != want {
		t.Errorf("header %s\nwant   %s", header, want)
	}
	iat := c.Now().Unix() - 5
	want := fmt.Sprintf(`{"iss":"https://accounts.google.com","azp":"gmail@system.gserviceaccount.com","aud":"https://shop.example",`+
		`"sub":"100000000000000000017","email":"gmail@system.gserviceaccount.com","email_verified":true,"iat":%d,"exp":%d}`, iat, iat+3600)
	if payload != want {
		t.Errorf("payload %s\nwant    %s", payload, want)
	}
	if _, err := s.Token(Claims{}); err == nil {
		t.Error("a token without audience was made")
	}
	if completed, err := json.Marshal(s.Complete(Claims{Audience: audience})); err != nil || string(completed) != payload {
		t.Errorf("completed to %s (%v)\nwant         %s", completed, err, payload)
	}

	s, c = newSet(t, Options{Issuer: "https://id.mail.test", AuthorizedParty: "actions@mail.test", Subject: "7", Lifetime: time.Minute})
	token, err = s.Token(Claims{Audience: audience})
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Verify(token, VerifyOptions{Audience: audience})
	if err != nil {
		t.Fatal(err)
	}
	iatTime := c.Now().Add(-Backdate)
	if want := (Claims{"https://id.mail.test", "7", audience, "actions@mail.test", "actions@mail.test", true, iatTime, iatTime.Add(time.Minute)}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestVerify has one token per reason. Each is made well and then told apart
// by its claims alone, but for those whose form or signature is meant.
func TestVerify(t *testing.T) {
	t.Parallel()
	s, c := newSet(t, Options{})
	other, _ := newSet(t, Options{})
	now := c.Now()
	sign := func(s *Set, c Claims) string {
		t.Helper()
		if c.Audience == "" {
			c.Audience = audience
		}
		token, err := s.Token(c)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	good := sign(s, Claims{})
	part := strings.Split(good, ".")
	kid := s.view().current.knownID()
	b64 := base64.RawURLEncoding.EncodeToString

	tests := []struct {
		name  string
		token string
		at    time.Time
		want  error
	}{
		{"good", good, time.Time{}, nil},
		{"good until its last moment", good, now.Add(time.Hour - Backdate - time.Nanosecond), nil},
		{"expired", good, now.Add(time.Hour - Backdate), ErrExpired},
		{"before its time", good, now.Add(-Backdate - time.Nanosecond), ErrNotYetIssued},
		{"issued in the future", sign(s, Claims{IssuedAt: now.Add(time.Minute)}), time.Time{}, ErrNotYetIssued},
		{"issuer without scheme", sign(s, Claims{Issuer: "accounts.google.com"}), time.Time{}, nil},
		{"issuer with another scheme", sign(s, Claims{Issuer: "http://accounts.google.com"}), time.Time{}, ErrIssuer},
		{"audience with slash", sign(s, Claims{Audience: audience + "/"}), time.Time{}, ErrAudience},
		{"authorized party", sign(s, Claims{AuthorizedParty: "chat@system.gserviceaccount.com"}), time.Time{}, ErrAuthorizedParty},
		{"key of another set", sign(other, Claims{}), time.Time{}, ErrUnknownKey},
		{"changed payload", part[0] + "." + b64([]byte(`{}`)) + "." + part[2], time.Time{}, ErrSignature},
		{"no signature", part[0] + "." + part[1] + ".", time.Time{}, ErrSignature},
		{"alg none", b64([]byte(`{"alg":"none","kid":"`+kid+`"}`)) + "." + part[1] + ".", time.Time{}, ErrMalformed},
		{"alg HS256", b64([]byte(`{"alg":"HS256","kid":"`+kid+`"}`)) + "." + part[1] + "." + part[2], time.Time{}, ErrMalformed},
		{"no kid", b64([]byte(`{"alg":"RS256"}`)) + "." + part[1] + "." + part[2], time.Time{}, ErrUnknownKey},
		{"two parts", part[0] + "." + part[1], time.Time{}, ErrMalformed},
		{"empty", "", time.Time{}, ErrMalformed},
		{"line end", good[:40] + "\n" + good[40:], time.Time{}, ErrMalformed},
		{"stray last bits", strayBits(good), time.Time{}, ErrMalformed},
		{"padding", good + "==", time.Time{}, ErrMalformed},
		{"too long", good + strings.Repeat("A", maxToken), time.Time{}, ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := s.Verify(tt.token, VerifyOptions{Audience: audience, At: tt.at})
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if (err == nil) != (got.Audience == audience) {
				t.Errorf("error %v with claims %+v", err, got)
			}
		})
	}
}

// strayBits sets a bit of the last character that stands for no octet.
func strayBits(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, token[len(token)-1])
	return token[:len(token)-1] + string(alphabet[last|1])
}

func TestVerifyOtherPayloads(t *testing.T) {
	t.Parallel()
	s, _ := newSet(t, Options{})
	m, err := s.view().current.material()
	if err != nil {
		t.Fatal(err)
	}
	for _, payload := range []string{`{"aud":["https://shop.example"]}`, `{"exp":1}`, `{"iat":1}`, `{"iat":"1","exp":"2"}`, `foo`, ``} {
		jws, err := m.signer.Sign([]byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		token, err := jws.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Verify(token, VerifyOptions{}); !errors.Is(err, ErrMalformed) {
			t.Errorf("payload %s: %v", payload, err)
		}
	}
}

func decoded(t *testing.T, token string) (header, payload string) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("token has %d parts", len(parts))
	}
	h, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil {
		t.Fatal(err)
	}
	p, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	return string(h), string(p)
}

// FuzzVerify holds that no text but the token itself verifies, and that every
// refusal has a reason.
func FuzzVerify(f *testing.F) {
	s, _ := newSet(f, Options{})
	good, err := s.Token(Claims{Audience: audience})
	if err != nil {
		f.Fatal(err)
	}
	part := strings.Split(good, ".")
	for _, seed := range []string{"", ".", "..", good, good + "\n", part[0] + ".." + part[2], part[0] + "." + part[1] + ".", strayBits(good), "{}", "e30.e30.e30"} {
		f.Add(seed)
	}
	reasons := []error{ErrMalformed, ErrUnknownKey, ErrSignature, ErrIssuer, ErrAudience, ErrAuthorizedParty, ErrNotYetIssued, ErrNotYetValid, ErrExpired, ErrEmail, ErrLifetime}
	f.Fuzz(func(t *testing.T, token string) {
		c, err := s.Verify(token, VerifyOptions{Audience: audience})
		if err == nil {
			if token != good {
				t.Fatalf("%q verifies as %+v", token, c)
			}
			return
		}
		for _, reason := range reasons {
			if errors.Is(err, reason) {
				return
			}
		}
		t.Fatalf("%q is refused without a reason: %v", token, err)
	})
}

// BenchmarkToken stands beside BenchmarkSign, the bare RSA signature that a
// token cannot be cheaper than.
func BenchmarkToken(b *testing.B) {
	s, _ := newSet(b, Options{})
	if err := s.Warm(b.Context()); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.Token(Claims{Audience: audience}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	s, _ := newSet(b, Options{})
	m, err := s.view().current.material()
	if err != nil {
		b.Fatal(err)
	}
	digest := sha256.Sum256([]byte("payload"))
	for b.Loop() {
		if _, err := rsa.SignPKCS1v15(nil, m.private, crypto.SHA256, digest[:]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerify stands beside BenchmarkCheck, the bare RSA verification.
func BenchmarkVerify(b *testing.B) {
	s, _ := newSet(b, Options{})
	token, err := s.Token(Claims{Audience: audience})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.Verify(token, VerifyOptions{Audience: audience}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	s, _ := newSet(b, Options{})
	m, err := s.view().current.material()
	if err != nil {
		b.Fatal(err)
	}
	digest := sha256.Sum256([]byte("payload"))
	signature, err := rsa.SignPKCS1v15(nil, m.private, crypto.SHA256, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := rsa.VerifyPKCS1v15(&m.private.PublicKey, crypto.SHA256, digest[:], signature); err != nil {
			b.Fatal(err)
		}
	}
}
