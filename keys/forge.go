package keys

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"time"
)

// Signing is how a forged token is signed.
type Signing string

// The ways. All but the first make a token that a sound service refuses.
const (
	SignCurrent   Signing = "current"   // With the key that signs; also what the empty value means.
	SignStranger  Signing = "stranger"  // With a key of the set's that is never published among those of the provider.
	SignWithdrawn Signing = "withdrawn" // With the last key that was withdrawn, or, before there is one, with one that never was published.
	SignHMAC      Signing = "hmac"      // By HS256, the octets of the current key's certificate in PEM being the secret.
	SignNone      Signing = "none"      // Not at all: alg is none and the third part is empty (RFC 7515 appendix A.5).
	SignBroken    Signing = "broken"    // With the key that signs, one bit of the signature being changed.
	SignTruncated Signing = "truncated" // With the key that signs, the last 16 octets of the signature being cut off.
)

// Signings returns all of them.
func Signings() []Signing {
	return []Signing{SignCurrent, SignStranger, SignWithdrawn, SignHMAC, SignNone, SignBroken, SignTruncated}
}

// Forgery is a token that differs from the one that ShapedToken would make.
type Forgery struct {
	Shape Shape
	// Header and Claims are set on top of the members that the token would
	// have; a value of nil removes one. Values are what encoding/json writes.
	// alg and kid follow from Signing unless they are set here.
	Header, Claims map[string]any
	Signing        Signing
	// Lifetime is exp less iat for claims that lack exp; zero is the set's. A
	// token that outlives the overlap outlives its key.
	Lifetime time.Duration
	// EmbedKey puts the key that signs into the header, as jwk (RFC 7515
	// 4.1.3); EmbedChain its certificate, as x5c (4.1.6).
	EmbedKey, EmbedChain bool
}

// Forge makes a token as an attacker, another program or a careless provider
// would make it, with which a service can be tried. Claims that the forgery
// does not name are those of c, completed as Token does. The audience may be
// missing from c if the forgery names it or removes it.
func (s *Set) Forge(c Claims, f Forgery) (string, error) {
	view := s.signing()
	if f.Lifetime != 0 {
		view.lifetime = f.Lifetime
	}
	payload, err := s.forgedClaims(view, c, f)
	if err != nil {
		return "", fmt.Errorf("forging token: %w", err)
	}
	m, err := s.forger(view, f.Signing)
	if err != nil {
		return "", err
	}
	header := map[string]any{"alg": "RS256", "typ": "JWT", "kid": m.id}
	if f.Shape.NoType {
		delete(header, "typ")
	}
	switch f.Signing {
	case SignHMAC:
		header["alg"] = "HS256"
	case SignNone:
		header["alg"] = "none"
		delete(header, "kid")
	}
	if f.EmbedKey {
		header["jwk"] = publicJWK(m)
	}
	if f.EmbedChain {
		header["x5c"] = []string{base64.StdEncoding.EncodeToString(m.der)}
	}
	override(header, f.Header)
	head, err := json.Marshal(header)
	if err != nil {
		return "", fmt.Errorf("forging token: %w", err)
	}
	input := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(payload)
	signature, err := m.forge(input, f.Signing)
	if err != nil {
		return "", fmt.Errorf("forging token: %w", err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// forgedClaims are the claims that a token would have, with some replaced.
func (s *Set) forgedClaims(v view, c Claims, f Forgery) ([]byte, error) {
	if _, given := f.Claims["aud"]; !given && c.Audience == "" {
		return nil, errors.New("no audience")
	}
	full := f.Shape.claims(s.complete(v, c))
	made, err := json.Marshal(full)
	if err != nil {
		return nil, err
	}
	var members map[string]any
	if err := json.Unmarshal(made, &members); err != nil {
		return nil, err
	}
	// Numbers that came through float64 would lose their form.
	members["iat"], members["exp"] = full.IssuedAt, full.Expiry
	override(members, f.Claims)
	return json.Marshal(members)
}

func override(members, by map[string]any) {
	maps.Copy(members, by)
	maps.DeleteFunc(members, func(_ string, v any) bool { return v == nil })
}

// forger is the key that signs a forgery.
func (s *Set) forger(v view, how Signing) (*material, error) {
	switch how {
	case "", SignCurrent, SignHMAC, SignNone, SignBroken, SignTruncated:
		return v.current.material()
	case SignStranger:
		return s.stranger.material()
	case SignWithdrawn:
		return v.withdrawn.material()
	}
	return nil, fmt.Errorf("forging token: unknown way %q to sign", how)
}

// forge signs the first two parts of a token.
func (m *material) forge(input string, how Signing) ([]byte, error) {
	switch how {
	case SignNone:
		return nil, nil
	case SignHMAC:
		mac := hmac.New(sha256.New, []byte(m.certificate))
		mac.Write([]byte(input))
		return mac.Sum(nil), nil
	}
	digest := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(rand.Reader, m.private, crypto.SHA256, digest[:])
	if err != nil {
		return nil, err
	}
	switch how {
	case SignBroken:
		signature[len(signature)/2] ^= 1
	case SignTruncated:
		signature = signature[:len(signature)-16]
	}
	return signature, nil
}

// publicJWK is the public part of a key as a JWK (RFC 7518 6.3.1).
func publicJWK(m *material) map[string]any {
	return map[string]any{
		"kty": "RSA", "alg": "RS256", "use": "sig", "kid": m.id,
		"n": base64.RawURLEncoding.EncodeToString(m.private.N.Bytes()),
		"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(m.private.E)).Bytes()),
	}
}
