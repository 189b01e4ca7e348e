package keys

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func get(t *testing.T, s *Set, target string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
	return w
}

func getJSON[T any](t *testing.T, s *Set, target string) T {
	t.Helper()
	w := get(t, s, target)
	var v T
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%s answers %d %s: %v", target, w.Code, w.Body, err)
	}
	return v
}

// TestPublishedForms verifies a token with the standard library alone, from
// what is served.
func TestPublishedForms(t *testing.T) {
	t.Parallel()
	s, _ := newSet(t, Options{})
	if err := s.Rotate(); err != nil {
		t.Fatal(err)
	}
	token, err := s.Token(Claims{Audience: audience})
	if err != nil {
		t.Fatal(err)
	}

	certificates := getJSON[map[string]string](t, s, PathCertificates)
	jwks := getJSON[struct {
		Keys []map[string]string `json:"keys"`
	}](t, s, PathJWKS)
	if len(certificates) != 3 || len(jwks.Keys) != 3 {
		t.Fatalf("%d certificates and %d JWKs, want 3 of each", len(certificates), len(jwks.Keys))
	}
	public := make(map[string]*rsa.PublicKey)
	for kid, text := range certificates {
		block, rest := pem.Decode([]byte(text))
		if block == nil || block.Type != "CERTIFICATE" || len(rest) != 0 {
			t.Fatalf("%s is not one certificate: %s", kid, text)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if err := cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature); err != nil {
			t.Errorf("certificate %s does not sign itself: %v", kid, err)
		}
		if digest := sha1.Sum(block.Bytes); kid != hex.EncodeToString(digest[:]) {
			t.Errorf("kid %s is not the certificate's digest", kid)
		}
		public[kid] = cert.PublicKey.(*rsa.PublicKey)
	}
	for _, k := range jwks.Keys {
		if got := slices.Sorted(maps.Keys(k)); !slices.Equal(got, []string{"alg", "e", "kid", "kty", "n", "use"}) {
			t.Errorf("a JWK has the members %v", got)
		}
		if k["kty"] != "RSA" || k["alg"] != "RS256" || k["use"] != "sig" {
			t.Errorf("JWK %v", k)
		}
		other := public[k["kid"]]
		if other == nil || number(t, k["n"]).Cmp(other.N) != 0 || number(t, k["e"]).Int64() != int64(other.E) {
			t.Errorf("JWK %s is not the key of the certificate", k["kid"])
		}
	}

	header, _ := decoded(t, token)
	var h struct{ Kid string }
	if err := json.Unmarshal([]byte(header), &h); err != nil {
		t.Fatal(err)
	}
	signed, signature := token[:strings.LastIndex(token, ".")], token[strings.LastIndex(token, ".")+1:]
	digest := sha256.Sum256([]byte(signed))
	if err := rsa.VerifyPKCS1v15(public[h.Kid], crypto.SHA256, digest[:], number(t, signature).FillBytes(make([]byte, keyBits/8))); err != nil {
		t.Errorf("token does not verify with the published certificate: %v", err)
	}
}

func number(t *testing.T, text string) *big.Int {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return new(big.Int).SetBytes(b)
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	s, _ := newSet(t, Options{Issuer: "https://id.mail.test", Endpoints: Endpoints{JWKS: "https://id.mail.test/keys"}})
	got := getJSON[map[string]any](t, s, PathDiscovery)
	for name, want := range map[string]string{
		"issuer":                 "https://id.mail.test",
		"jwks_uri":               "https://id.mail.test/keys",
		"authorization_endpoint": DefaultAuthorizationEndpoint,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %s", name, got[name], want)
		}
	}
	if s.String() != "keys.Set[]" {
		t.Error("the discovery document made keys")
	}
}

func TestCaching(t *testing.T) {
	t.Parallel()
	s, c := newSet(t, Options{MaxAge: time.Hour})
	c.advance(90*time.Minute + time.Millisecond)
	for _, path := range []string{PathCertificates, PathJWKS, PathDiscovery} {
		h := get(t, s, path).Header()
		if got, want := h.Get("Cache-Control"), "public, max-age=3600, must-revalidate, no-transform"; got != want {
			t.Errorf("%s: Cache-Control %s, want %s", path, got, want)
		}
		if got := h.Get("Age"); got != "1801" {
			t.Errorf("%s: Age %s, want 1801", path, got)
		}
		if got := h.Get("Content-Type"); got != "application/json; charset=UTF-8" {
			t.Errorf("%s: Content-Type %s", path, got)
		}
	}
	before := get(t, s, PathJWKS).Body.String()
	if err := s.Rotate(); err != nil {
		t.Fatal(err)
	}
	after := get(t, s, PathJWKS)
	if after.Body.String() == before || after.Header().Get("Age") != "0" {
		t.Errorf("after rotation Age is %s", after.Header().Get("Age"))
	}
}

func TestTokenInfo(t *testing.T) {
	t.Parallel()
	s, c := newSet(t, Options{})
	token, err := s.Token(Claims{Audience: audience})
	if err != nil {
		t.Fatal(err)
	}
	target := PathTokenInfo + "?id_token=" + url.QueryEscape(token)
	got := getJSON[map[string]string](t, s, target)
	if got["aud"] != audience || got["email_verified"] != "true" || got["alg"] != "RS256" || got["kid"] == "" || got["exp"] == "" {
		t.Errorf("tokeninfo answers %v", got)
	}
	c.advance(time.Hour)
	for _, tt := range []struct{ target, want string }{
		{target, "keys: token has expired: at 2026-03-01T12:59:55Z, now 2026-03-01T13:00:00Z"},
		{PathTokenInfo, "id_token is missing"},
	} {
		w := get(t, s, tt.target)
		var answer map[string]string
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusBadRequest {
			t.Fatalf("answer %d %s: %v", w.Code, w.Body, err)
		}
		if answer["error"] != "invalid_token" || answer["error_description"] != tt.want {
			t.Errorf("answer %v, want %s", answer, tt.want)
		}
	}
}

func TestMethodsAndPaths(t *testing.T) {
	t.Parallel()
	s, _ := newSet(t, Options{})
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{http.MethodHead, PathJWKS, http.StatusOK},
		{http.MethodPost, PathJWKS, http.StatusMethodNotAllowed},
		{http.MethodPost, PathTokenInfo, http.StatusMethodNotAllowed},
		{http.MethodOptions, PathDiscovery, http.StatusMethodNotAllowed},
		{http.MethodGet, "/", http.StatusNotFound},
		{http.MethodGet, PathJWKS + "/", http.StatusNotFound},
		{http.MethodPost, "/oauth2/v2/certs", http.StatusNotFound},
	} {
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, nil))
		if w.Code != tt.status {
			t.Errorf("%s %s: %d, want %d", tt.method, tt.path, w.Code, tt.status)
		}
		if allow := w.Header().Get("Allow"); (w.Code == http.StatusMethodNotAllowed) != (allow == "GET, HEAD") {
			t.Errorf("%s %s: Allow %q", tt.method, tt.path, allow)
		}
	}
}
