package probe

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/keys"
)

// bearer makes a good bearer token that differs from the others of the run: a
// service may take note of those that it has accepted. Signatures of RS256 are
// deterministic, so that two of the same second would be the same octets; so
// each has a second of its own, the usual one or the last one before that is
// free, as far as its life permits: half of what is left of it. now is when the
// token was made, as the keys date theirs: a little in the past.
func (r *runner) bearer() (token string, now time.Time, err error) {
	usual := r.o.Keys.Complete(keys.Claims{})
	now, life := usual.IssuedAt, usual.Expiry.Sub(usual.IssuedAt)
	first := r.issuedAt()
	earliest := first.Add(-(life - now.Sub(first)) / 2)
	issued := first
	for r.issued[issued.Unix()] && issued.After(earliest) {
		issued = issued.Add(-time.Second)
	}
	r.issued[issued.Unix()] = true
	token, err = r.o.Keys.ShapedToken(keys.Claims{Audience: r.first.Audience, IssuedAt: issued}, r.o.Shape)
	return token, now, err
}

// issuedAt is iat of a token that is made now.
func (r *runner) issuedAt() time.Time {
	if r.o.IssuedAt != nil {
		return r.o.IssuedAt()
	}
	return r.o.Keys.Complete(keys.Claims{}).IssuedAt
}

// claimsOf reads the claims of a token of the provider's.
func claimsOf(token string) (keys.Claims, error) {
	var claims keys.Claims
	parts := strings.Split(token, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[min(1, len(parts)-1)])
	if err == nil {
		err = json.Unmarshal(payload, &claims)
	}
	if err != nil {
		return claims, fmt.Errorf("probe: reading a token of the provider: %w", err)
	}
	return claims, nil
}

// forge makes the token of a change. good is the good one, which was issued at
// about now; fill fills in texts.
func (r *runner) forge(t Token, good string, now time.Time, fill func(string) string) (string, error) {
	if t.zero() {
		return good, nil
	}
	set := r.o.Keys
	if t.Other {
		set = r.o.Other
	}
	f := t.Forgery
	f.Shape = r.o.Shape
	f.Header, f.Claims = filledIn(f.Header, now, fill), filledIn(f.Claims, now, fill)
	token, err := set.Forge(keys.Claims{Audience: r.first.Audience, IssuedAt: r.issuedAt()}, f)
	if err != nil {
		return "", fmt.Errorf("probe: %w", err)
	}
	return r.edit(t.Edit, token, good)
}

// filledIn returns members with their texts filled in and their times made
// NumericDates.
func filledIn(members map[string]any, now time.Time, fill func(string) string) map[string]any {
	if members == nil {
		return nil
	}
	full := make(map[string]any, len(members))
	for name, value := range members {
		switch v := value.(type) {
		case string:
			full[name] = fill(v)
		case FromNow:
			full[name] = now.Add(time.Duration(v)).Unix()
		case Fraction:
			full[name] = float64(now.Add(time.Duration(v)).Unix()) + 0.5
		case []string:
			list := make([]string, len(v))
			for i, s := range v {
				list[i] = fill(s)
			}
			full[name] = list
		default:
			full[name] = value
		}
	}
	return full
}

// edit changes the text of a token.
func (r *runner) edit(e TokenEdit, token, good string) (string, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", errors.New("probe: a forged token has not three parts")
	}
	input := parts[0] + "." + parts[1]
	switch e {
	case TwoParts:
		return input, nil
	case NoSignature:
		return input + ".", nil
	case FourParts:
		return token + "." + parts[2], nil
	case Padded:
		for i := range parts {
			for len(parts[i])%4 != 0 {
				parts[i] += "="
			}
		}
		return strings.Join(parts, "."), nil
	case OtherClaims:
		return parts[0] + "." + strings.Split(good, ".")[1] + "." + parts[2], nil
	case HeaderGarbled:
		return "bm90IGEgaGVhZGVy." + parts[1] + "." + parts[2], nil
	case HMACEmpty:
		return withHMAC(input, nil), nil
	case HMACPublicKey:
		secret, err := r.publicKey()
		return withHMAC(input, secret), err
	}
	return token, nil
}

// withHMAC signs the first two parts of a token by HS256.
func withHMAC(input string, secret []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(input))
	return input + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// publicKey is the public key that verifies today, in PEM as a
// SubjectPublicKeyInfo (RFC 7468 section 13).
func (r *runner) publicKey() ([]byte, error) {
	list, err := r.o.Keys.Keys()
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode([]byte(list[0].Certificate))
	if block == nil {
		return nil, errors.New("probe: the certificate of a key is not PEM")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(certificate.PublicKey)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}
