package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// TestParseKeys verifies the same token by each form in which its key can be
// given.
func TestParseKeys(t *testing.T) {
	t.Parallel()
	s, c := newSet(t, Options{})
	token := mint(t, s)
	m := s.view().current.made.Load()
	jwk, err := json.Marshal(publicJWK(m))
	if err != nil {
		t.Fatal(err)
	}
	private, err := json.Marshal(jose.JSONWebKey{Key: m.private, KeyID: m.id})
	if err != nil {
		t.Fatal(err)
	}
	pkix, err := x509.MarshalPKIXPublicKey(&m.private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	for name, file := range map[string]string{
		"JWK":                 string(jwk),
		"private JWK":         string(private),
		"JWK set":             `{"keys":[{"kty":"unheard of"},` + string(jwk) + `]}`,
		"served JWK set":      get(t, s, PathJWKS).Body.String(),
		"served certificates": get(t, s, PathCertificates).Body.String(),
		"certificate":         m.certificate,
		"certificates":        "\n" + m.certificate + m.certificate,
		"public key":          block("PUBLIC KEY", pkix),
		"RSA public key":      block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&m.private.PublicKey)),
		"map of public keys":  fmt.Sprintf(`{%q:%q}`, m.id, block("PUBLIC KEY", pkix)),
	} {
		k, err := ParseKeys([]byte(file))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if e := Examine(token, k, VerifyOptions{Audience: audience, At: c.Now()}); !e.Verified {
			t.Errorf("%s: %v", name, e.Err())
		}
	}
}

func TestParseKeysNamesTheMistake(t *testing.T) {
	t.Parallel()
	s, _ := newSet(t, Options{})
	certificate := keysOf(t, s)[0].Certificate
	for file, want := range map[string]string{
		"":                      "it is empty",
		"kid: x":                "neither JSON",
		"{":                     "no JSON object",
		"{} {}":                 "more than a JSON object",
		`{"keys":[],"keys":[]}`: `has "keys" twice`,
		`{"keys":{}}`:           "keys is no list",
		`{"keys":[]}`:           "there is no key",
		`{}`:                    "there is no key",
		`{"a":1}`:               "kty is missing",
		`{"a":"b"}`:             `key "a": it is no PEM`,
		`{"a":"` + strings.Repeat(strings.ReplaceAll(certificate, "\n", `\n`), 2) + `"}`: "2 certificates, want 1",
		"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n":                 `PEM of type "PRIVATE KEY"`,
		"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n":                 "PEM of type CERTIFICATE: ",
		certificate + "and more":                                                           "it is no PEM",
		strings.Repeat(" ", maxKeyFile+1):                                                  "octets, more than",
		`{"keys":[` + strings.Repeat(`{},`, maxKeys) + `{}]}`:                              "201 keys, more than 200",
		`{"keys":[{"kty":"oct","kid":"1","k":"AAAA"},{"kty":"oct","kid":"1","k":"AAAB"}]}`: `two keys have the id "1"`,
		`{"keys":[{"kty":"oct","k":"AAAA"},{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`: "secrets and public keys",
	} {
		_, err := ParseKeys([]byte(file))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", file, err, want)
		}
	}
}

// TestKeysMeetAlgorithms has every kind of key, signs with each in every way
// that it can, and holds that it verifies by its own algorithms alone, and by
// these only if they are permitted.
func TestKeysMeetAlgorithms(t *testing.T) {
	t.Parallel()
	s, c := newSet(t, Options{})
	m, err := s.view().current.material()
	if err != nil {
		t.Fatal(err)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	secret := []byte(strings.Repeat("s", 64))
	signers := map[string]any{"RSA": m.private, "Ed25519": edwards, "secret": secret}
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		if signers[curve.Params().Name], err = ecdsa.GenerateKey(curve, rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	own := map[string]string{"RSA": "RS256 RS384 RS512 PS256 PS384 PS512", "Ed25519": "EdDSA", "secret": "HS256 HS384 HS512", "P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
	trust := map[string]TrustedKeys{}
	for name, private := range signers {
		var public any = secret
		if k, ok := private.(crypto.Signer); ok {
			public = k.Public()
		}
		data, err := json.Marshal(jose.JSONWebKey{Key: public})
		if err != nil {
			t.Fatal(err)
		}
		if trust[name], err = ParseKeys(data); err != nil {
			t.Fatal(err)
		}
	}
	for name, private := range signers {
		for alg := range strings.FieldsSeq(own[name]) {
			signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: private}, nil)
			if err != nil {
				t.Fatal(err)
			}
			signed, err := signer.Sign([]byte(fmt.Sprintf(`{"exp":%d}`, c.Now().Add(time.Hour).Unix())))
			if err != nil {
				t.Fatal(err)
			}
			token, err := signed.CompactSerialize()
			if err != nil {
				t.Fatal(err)
			}
			for other, k := range trust {
				o := VerifyOptions{AnyAudience: true, At: c.Now(), Algorithms: Algorithms(), Foreign: true}
				want := "key-type"
				if other == name {
					want = ""
				}
				if e := Examine(token, k, o); e.Reason != want {
					t.Errorf("%s of %s by %s: %q, want %q", alg, name, other, e.Reason, want)
				}
			}
			o := VerifyOptions{AnyAudience: true, At: c.Now(), Foreign: true}
			if e := Examine(token, trust[name], o); e.Verified != (alg == "RS256") {
				t.Errorf("%s unasked: %v", alg, e.Err())
			}
		}
	}
}

// TestKeysSayWhatTheyAreFor has keys whose own members forbid what their kind
// allows, and keys that verify nothing.
func TestKeysSayWhatTheyAreFor(t *testing.T) {
	t.Parallel()
	s, c := newSet(t, Options{})
	token := mint(t, s)
	m := s.view().current.made.Load()
	with := func(name string, value any) map[string]any {
		jwk := publicJWK(m)
		jwk[name] = value
		return jwk
	}
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		jwk  any
		want string
	}{
		{"as it is", publicJWK(m), ""},
		{"alg", with("alg", "RS512"), "key-algorithm"},
		{"use", with("use", "enc"), "key-use"},
		{"key_ops", with("key_ops", []string{"encrypt"}), "key-ops"},
		{"key_ops with verify", with("key_ops", []string{"verify"}), ""},
		{"key_ops is no list", with("key_ops", "verify"), "key-unusable"},
		{"kid", with("kid", "another"), "key-unknown"},
		{"e", with("e", "AQ"), "key-unusable"},
		{"n", with("n", ""), "key-unusable"},
		{"short", jose.JSONWebKey{Key: &short.PublicKey, KeyID: m.id}, "key-unusable"},
	} {
		data, err := json.Marshal(tt.jwk)
		if err != nil {
			t.Fatal(err)
		}
		k, err := ParseKeys(data)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if e := Examine(token, k, VerifyOptions{Audience: audience, At: c.Now()}); e.Reason != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, e.Reason, tt.want)
		}
	}
}

// FuzzParseKeys holds that there are keys or an error, never more keys than the
// limit, and none that is used without having been looked at.
func FuzzParseKeys(f *testing.F) {
	s, _ := newSet(f, Options{})
	m, err := s.view().current.material()
	if err != nil {
		f.Fatal(err)
	}
	jwk, err := json.Marshal(publicJWK(m))
	if err != nil {
		f.Fatal(err)
	}
	certificates, err := json.Marshal(map[string]string{m.id: m.certificate})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		string(jwk), `{"keys":[` + string(jwk) + `]}`, string(certificates), m.certificate, "", "{}", `{"keys":[{}]}`,
		`{"kty":"oct","k":"AAAA","key_ops":["verify"]}`, `{"kty":"EC","crv":"P-256","x":"","y":""}`, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		k, err := ParseKeys(file)
		if (err == nil) != (k.Len() > 0) || k.Len() > maxKeys {
			t.Fatalf("%d keys, %v", k.Len(), err)
		}
		for _, key := range k.keys {
			fits := slices.ContainsFunc(Algorithms(), func(alg string) bool { reason, _ := key.refuses(alg); return reason == "" })
			if fits && (key.unusable != "" || unusable(key.public) != "") {
				t.Fatalf("a key that is unusable fits: %s", unusable(key.public))
			}
		}
	})
}
