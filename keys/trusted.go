package keys

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// Limits of what keys are read from.
const (
	maxKeyFile = 1 << 18 // Octets.
	maxKeys    = 200
	minRSABits = 2048 // RFC 7518 3.3.
	maxRSABits = 16384
)

// TrustedKeys are the keys with which tokens are verified. The zero value has
// none.
type TrustedKeys struct {
	keys []trusted
	// named: every token names its key, as the provider's do.
	named bool
	// withdrawn is the id of a key that was published once.
	withdrawn string
}

// trusted is one key.
type trusted struct {
	id        string
	algorithm string   // The only one it is for; empty: any that fits.
	use       string   // As in a JWK; empty: any.
	ops       []string // Likewise.
	// public is a *rsa.PublicKey, an *ecdsa.PublicKey, an ed25519.PublicKey or,
	// of a symmetric algorithm, a []byte.
	public   any
	unusable string // Why it verifies nothing.
	state    KeyState
}

// Len returns the number of keys.
func (k TrustedKeys) Len() int { return len(k.keys) }

// Trusted are the keys that are published now. One that has not been made has
// signed nothing, and is not made for this.
func (s *Set) Trusted() TrustedKeys { return s.view().trusted() }

func (v view) trusted() TrustedKeys {
	k := TrustedKeys{named: true, withdrawn: v.withdrawn.knownID()}
	for _, p := range v.published() {
		if m := p.key.made.Load(); m != nil {
			k.keys = append(k.keys, trusted{id: m.id, algorithm: "RS256", public: &m.private.PublicKey, state: p.state})
		}
	}
	return k
}

// ParseKeys reads keys from a JWK or a JWK set (RFC 7517), from a JSON object of
// PEM by key id as /oauth2/v1/certs has it, or from PEM: certificates and public
// keys. Of a private JWK it takes the public part. A key that verifies nothing,
// such as one that is too short, is no error: Examine says so when a token names
// it (RFC 7517 section 5). Certificates are not verified themselves.
func ParseKeys(data []byte) (TrustedKeys, error) {
	if len(data) > maxKeyFile {
		return TrustedKeys{}, fmt.Errorf("reading keys: %d octets, more than %d", len(data), maxKeyFile)
	}
	text := bytes.TrimSpace(data)
	var list []trusted
	var err error
	switch {
	case len(text) == 0:
		err = errors.New("it is empty")
	case text[0] == '{':
		list, err = parseKeyObject(text)
	case bytes.HasPrefix(text, []byte("-----BEGIN ")):
		list, err = parsePEM(text)
	default:
		err = errors.New("it is neither JSON (a JWK, a JWK set, PEM by key id) nor PEM")
	}
	if err == nil {
		err = checkKeys(list)
	}
	if err != nil {
		return TrustedKeys{}, fmt.Errorf("reading keys: %w", err)
	}
	return TrustedKeys{keys: list}, nil
}

// checkKeys refuses what could make one key pass for another.
func checkKeys(list []trusted) error {
	if len(list) == 0 {
		return errors.New("there is no key")
	}
	if len(list) > maxKeys {
		return fmt.Errorf("%d keys, more than %d", len(list), maxKeys)
	}
	seen := map[string]bool{}
	secret, public := false, false
	for _, k := range list {
		if _, ok := k.public.([]byte); ok {
			secret = true
		} else if k.public != nil {
			public = true
		}
		// RFC 7517 4.5 lets keys of different types share an id.
		kind := fmt.Sprintf("%T %s", k.public, k.id)
		if k.id != "" && k.public != nil && seen[kind] {
			return fmt.Errorf("two keys have the id %s", quoted(k.id))
		}
		seen[kind] = true
	}
	if secret && public {
		return errors.New("secrets and public keys are in one set: whose secret is it?")
	}
	return nil
}

func parseKeyObject(text []byte) ([]trusted, error) {
	members, err := object(text)
	if err != nil {
		return nil, fmt.Errorf("it %w", err)
	}
	if raw, ok := members["keys"]; ok {
		var keys []json.RawMessage
		if err := json.Unmarshal(raw, &keys); err != nil {
			return nil, errors.New("keys is no list")
		}
		if len(keys) > maxKeys {
			return nil, fmt.Errorf("%d keys, more than %d", len(keys), maxKeys)
		}
		list := make([]trusted, len(keys))
		for i, raw := range keys {
			list[i] = parseJWK(raw)
		}
		return list, nil
	}
	if _, ok := members["kty"]; ok {
		return []trusted{parseJWK(text)}, nil
	}
	return parseCertificateMap(members)
}

// parseCertificateMap reads PEM by key id.
func parseCertificateMap(members map[string]json.RawMessage) ([]trusted, error) {
	if len(members) > maxKeys {
		return nil, fmt.Errorf("%d keys, more than %d", len(members), maxKeys)
	}
	var list []trusted
	for _, id := range slices.Sorted(maps.Keys(members)) {
		var text string
		if !readString(members, id, &text) {
			return nil, errors.New("it is no JWK (kty is missing), no JWK set (keys is missing) and no object of PEM by key id")
		}
		keys, err := parsePEM([]byte(text))
		switch {
		case err != nil:
			return nil, fmt.Errorf("key %s: %w", quoted(id), err)
		case len(keys) != 1:
			return nil, fmt.Errorf("key %s: %d certificates, want 1", quoted(id), len(keys))
		}
		keys[0].id = id
		list = append(list, keys[0])
	}
	return list, nil
}

// parsePEM reads certificates and public keys, one after another.
func parsePEM(text []byte) ([]trusted, error) {
	var list []trusted
	for len(bytes.TrimSpace(text)) > 0 {
		block, rest := pem.Decode(text)
		if block == nil {
			return nil, errors.New("it is no PEM")
		}
		if len(list) == maxKeys {
			return nil, fmt.Errorf("more than %d keys", maxKeys)
		}
		text = rest
		var public any
		var err error
		switch block.Type {
		case "CERTIFICATE":
			var c *x509.Certificate
			if c, err = x509.ParseCertificate(block.Bytes); err == nil {
				public = c.PublicKey
			}
		case "PUBLIC KEY":
			public, err = x509.ParsePKIXPublicKey(block.Bytes)
		case "RSA PUBLIC KEY":
			public, err = x509.ParsePKCS1PublicKey(block.Bytes)
		default:
			return nil, fmt.Errorf("PEM of type %s: want CERTIFICATE or PUBLIC KEY", quoted(block.Type))
		}
		if err != nil {
			return nil, fmt.Errorf("PEM of type %s: %w", block.Type, err)
		}
		list = append(list, trusted{public: public, unusable: unusable(public)})
	}
	return list, nil
}

// parseJWK reads one JWK. A key that cannot be read is one that is unusable.
func parseJWK(raw json.RawMessage) trusted {
	members, err := object(raw)
	if err != nil {
		return trusted{unusable: "it " + err.Error()}
	}
	var k trusted
	if !readString(members, "kid", &k.id) || !readString(members, "use", &k.use) || !readString(members, "alg", &k.algorithm) {
		return trusted{id: k.id, unusable: "kid, use or alg is no string"}
	}
	if ops, ok := members["key_ops"]; ok && json.Unmarshal(ops, &k.ops) != nil {
		k.unusable = "key_ops is no list of strings"
		return k
	}
	var key jose.JSONWebKey
	if err := key.UnmarshalJSON(raw); err != nil {
		k.unusable = strings.TrimPrefix(err.Error(), joseSays)
		return k
	}
	if k.public = key.Key; !key.IsPublic() {
		if public := key.Public(); public.Key != nil {
			k.public = public.Key
		}
	}
	k.unusable = unusable(k.public)
	return k
}

// unusable says why a key must not verify anything, empty if it may.
func unusable(public any) string {
	switch key := public.(type) {
	case *rsa.PublicKey:
		return unusableRSA(key)
	case *ecdsa.PublicKey:
		if curveAlgorithm(key) == "" {
			return "its curve is not P-256, P-384 or P-521"
		}
	case ed25519.PublicKey, []byte:
	default:
		return "it is of a kind that signs nothing"
	}
	return ""
}

func unusableRSA(key *rsa.PublicKey) string {
	switch bits := key.N.BitLen(); {
	case bits < minRSABits:
		return fmt.Sprintf("it has %d bits, fewer than %d (RFC 7518 3.3)", bits, minRSABits)
	case bits > maxRSABits:
		return fmt.Sprintf("it has %d bits, more than %d", bits, maxRSABits)
	case key.E < 3 || key.E%2 == 0:
		return fmt.Sprintf("its exponent is %d (RFC 8017 3.1)", key.E)
	case guessable(key.N):
		return "its private key can be computed (CVE-2017-15361)"
	}
	return ""
}

// guessable recognises the moduli of a library that made its primes from powers
// of 65537: such a modulus is itself a power of 65537 modulo every small prime.
// Of others, one in two hundred million is.
func guessable(n *big.Int) bool {
	const generator, limit = 65537, 168
	for p := int64(3); p < limit; p += 2 {
		if !big.NewInt(p).ProbablyPrime(0) {
			continue
		}
		rest := new(big.Int).Mod(n, big.NewInt(p)).Int64()
		power, found := int64(1), false
		for range p - 1 {
			found = found || power == rest
			power = power * generator % p
		}
		if !found {
			return false
		}
	}
	return true
}

// curveAlgorithm is the one algorithm of a curve (RFC 7518 3.4).
func curveAlgorithm(key *ecdsa.PublicKey) string {
	switch key.Curve {
	case elliptic.P256():
		return "ES256"
	case elliptic.P384():
		return "ES384"
	case elliptic.P521():
		return "ES512"
	}
	return ""
}

// key finds the keys with which a token may be verified.
func (x *examiner) key(j *jws) []trusted {
	if j == nil {
		x.skip("key", "there is no header")
		return nil
	}
	candidates, reason, detail := x.keys.candidates(j)
	if reason != "" {
		x.fail("key", reason, ErrUnknownKey, "%s", detail)
		return nil
	}
	var fit []trusted
	for _, k := range candidates {
		why, text := k.refuses(j.alg)
		if why == "" {
			fit = append(fit, k)
		} else if reason == "" {
			reason, detail = why, text
		}
	}
	switch {
	case len(fit) == 1 && fit[0].state != "":
		x.pass("key", "%s, %s", quoted(fit[0].id), fit[0].state)
	case len(fit) == 1:
		x.pass("key", "%s", quoted(fit[0].id))
	case len(fit) > 1:
		x.pass("key", "%d that fit", len(fit))
	default:
		x.fail("key", reason, ErrKey, "%s%s", detail, others(j))
	}
	return fit
}

// candidates are the keys that a token may mean.
func (k TrustedKeys) candidates(j *jws) (list []trusted, reason, detail string) {
	if len(k.keys) == 0 && !k.named {
		return nil, "key-unknown", "there is no key"
	}
	if !j.hasKid {
		if k.named {
			return nil, "kid-missing", "there is no kid" + others(j)
		}
		return k.keys, "", ""
	}
	anonymous := true
	for _, t := range k.keys {
		anonymous = anonymous && t.id == ""
		if t.id == j.kid {
			list = append(list, t)
		}
	}
	switch {
	case len(list) > 0:
		return list, "", ""
	case anonymous && !k.named:
		return k.keys, "", "" // Keys without ids; kid is a hint (RFC 7515 4.1.4).
	case j.kid != "" && j.kid == k.withdrawn:
		return nil, "key-withdrawn", quoted(j.kid) + ", which was withdrawn"
	}
	return nil, "key-unknown", quoted(j.kid) + others(j)
}

// others tells of keys that a token brings or points to (RFC 7515 4.1.2, 4.1.3,
// 4.1.5, 4.1.6), which are not looked at.
func others(j *jws) string {
	var names []string
	for _, name := range []string{"jku", "jwk", "x5u", "x5c"} {
		if _, ok := j.header[name]; ok {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "; " + strings.Join(names, " and ") + " of the header not followed"
}

// refuses says why a key must not verify a signature of an algorithm: a reason,
// empty if it may, and a detail.
func (t trusted) refuses(alg string) (reason, detail string) {
	switch {
	case t.unusable != "":
		return "key-unusable", fmt.Sprintf("%s: %s", quoted(t.id), t.unusable)
	case t.use != "" && t.use != "sig":
		return "key-use", fmt.Sprintf("%s has use %s, not \"sig\"", quoted(t.id), quoted(t.use))
	case t.ops != nil && !slices.Contains(t.ops, "verify"):
		return "key-ops", fmt.Sprintf("%s has key_ops %s without \"verify\"", quoted(t.id), quoted(strings.Join(t.ops, " ")))
	case t.algorithm != "" && t.algorithm != alg:
		return "key-algorithm", fmt.Sprintf("%s is for %s, not for %s", quoted(t.id), quoted(t.algorithm), quoted(alg))
	case !t.fits(alg):
		return "key-type", fmt.Sprintf("%s is %s, which is not for %s", quoted(t.id), t.kind(), quoted(alg))
	}
	if secret, ok := t.public.([]byte); ok {
		// RFC 7518 3.2.
		if want := map[string]int{"HS256": 32, "HS384": 48, "HS512": 64}[alg]; len(secret) < want {
			return "key-unusable", fmt.Sprintf("%s has %d octets, fewer than %d", quoted(t.id), len(secret), want)
		}
	}
	return "", ""
}

// fits says whether keys of this kind sign by an algorithm. Nothing but a
// secret is one of HMAC: not the text of a public key either.
func (t trusted) fits(alg string) bool {
	switch key := t.public.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS")
	case *ecdsa.PublicKey:
		return alg == curveAlgorithm(key)
	case ed25519.PublicKey:
		return alg == "EdDSA"
	case []byte:
		return strings.HasPrefix(alg, "HS")
	}
	return false
}

func (t trusted) kind() string {
	switch key := t.public.(type) {
	case *rsa.PublicKey:
		return "an RSA key"
	case *ecdsa.PublicKey:
		return "an EC key of " + key.Curve.Params().Name
	case ed25519.PublicKey:
		return "an Ed25519 key"
	}
	return "a secret"
}
