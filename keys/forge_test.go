package keys

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

func TestForge(t *testing.T) {
	t.Parallel()
	s, _ := newSet(t, Options{})
	for name, c := range map[string]struct {
		forgery Forgery
		want    error // Nil: a sound service accepts it.
	}{
		"nothing forged":      {Forgery{}, nil},
		"one more claim":      {Forgery{Claims: map[string]any{"hd": "shop.example"}}, nil},
		"no typ":              {Forgery{Header: map[string]any{"typ": nil}}, nil},
		"stranger":            {Forgery{Signing: SignStranger}, ErrUnknownKey},
		"withdrawn":           {Forgery{Signing: SignWithdrawn}, ErrUnknownKey},
		"embedded key":        {Forgery{Signing: SignStranger, EmbedKey: true}, ErrUnknownKey},
		"embedded chain":      {Forgery{Signing: SignStranger, EmbedChain: true}, ErrUnknownKey},
		"hmac":                {Forgery{Signing: SignHMAC}, ErrMalformed},
		"none":                {Forgery{Signing: SignNone}, ErrMalformed},
		"broken":              {Forgery{Signing: SignBroken}, ErrSignature},
		"truncated":           {Forgery{Signing: SignTruncated}, ErrSignature},
		"another issuer":      {Forgery{Claims: map[string]any{"iss": "https://accounts.google.com.evil.example"}}, ErrIssuer},
		"no authorized party": {Forgery{Claims: map[string]any{"azp": nil}}, ErrAuthorizedParty},
		"audience in a list":  {Forgery{Claims: map[string]any{"aud": []string{audience}}}, ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			token, err := s.Forge(Claims{Audience: audience}, c.forgery)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Verify(token, VerifyOptions{Audience: audience}); !errors.Is(err, c.want) {
				t.Errorf("verified with %v, want %v", err, c.want)
			}
		})
	}
	if _, err := s.Forge(Claims{}, Forgery{}); err == nil {
		t.Error("a token without audience was made")
	}
	if _, err := s.Forge(Claims{}, Forgery{Claims: map[string]any{"aud": nil}}); err != nil {
		t.Errorf("the audience cannot be removed: %v", err)
	}
	if _, err := s.Forge(Claims{Audience: audience}, Forgery{Signing: "loudly"}); err == nil {
		t.Error("an unknown way to sign was taken")
	}
}

// TestForgedHMAC holds that the secret is the certificate as it is published.
func TestForgedHMAC(t *testing.T) {
	t.Parallel()
	s, _ := newSet(t, Options{})
	token, err := s.Forge(Claims{Audience: audience}, Forgery{Signing: SignHMAC})
	if err != nil {
		t.Fatal(err)
	}
	list, err := s.Keys()
	if err != nil {
		t.Fatal(err)
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.HS256})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jws.Verify([]byte(list[0].Certificate)); err != nil {
		t.Error(err)
	}
}

// TestForgedWithdrawn holds that the key of old tokens is one that was
// published, once there is such a one.
func TestForgedWithdrawn(t *testing.T) {
	t.Parallel()
	s, c := newSet(t, Options{})
	before, err := s.Keys()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Rotate(); err != nil {
		t.Fatal(err)
	}
	c.advance(30 * 24 * time.Hour)
	token, err := s.Forge(Claims{Audience: audience}, Forgery{Signing: SignWithdrawn})
	if err != nil {
		t.Fatal(err)
	}
	if header, _ := decoded(t, token); !strings.Contains(header, before[0].ID) {
		t.Errorf("header %s, want the key %s", header, before[0].ID)
	}
}

func TestStrangerIsPublishedAndCounted(t *testing.T) {
	t.Parallel()
	s, _ := newSet(t, Options{})
	token, err := s.Forge(Claims{Audience: audience}, Forgery{Signing: SignStranger})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest("GET", "https://localhost"+PathStrangerJWKS, nil))
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(w.Body.Bytes(), &set); err != nil {
		t.Fatal(err)
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jws.Verify(&set); err != nil {
		t.Error(err)
	}
	if s.StrangerFetches() != 1 {
		t.Errorf("%d fetches were counted", s.StrangerFetches())
	}
}
