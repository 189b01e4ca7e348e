package keys

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
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
