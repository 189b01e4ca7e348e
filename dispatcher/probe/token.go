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
	"strconv"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/keys"
)

// maxOlder is how much older than usual a good token may be, at most: a service
// may want one that was issued in the last half minute.
const maxOlder = 10 * time.Second

// span is what tells two good tokens apart: their times, in seconds of the Unix
// epoch.
type span struct{ issued, expiry int64 }

// bearer makes a good bearer token that differs from the others of the run: a
// service may take note of those that it has accepted. now is when the token
// was made, as the keys date theirs: a little in the past. If there is no more
// such token the error is inapplicable.
func (r *runner) bearer() (token string, now time.Time, err error) {
	usual := r.o.Keys.Complete(keys.Claims{})
	now = usual.IssuedAt
	issued, expiry, ok := r.times(now.Add(keys.Backdate), usual.Expiry.Sub(now))
	if !ok {
		return "", now, inapplicable{"no good bearer token is left that was not sent before: they live too short for more that differ (dial token.ttl)"}
	}
	token, err = r.o.Keys.ShapedToken(keys.Claims{Audience: r.first.Audience, IssuedAt: issued, Expiry: expiry}, r.o.Shape)
	return token, now, err
}

// times returns iat and exp of a good token, and false if there are none that
// were not used before. Signatures of RS256 are deterministic, so that tokens
// with the same times would be the same octets. The usual times come first,
// then tokens that expire a second earlier each, as far as half of what is left
// of their life, and then those that are older, too. None lives longer than
// life.
func (r *runner) times(now time.Time, life time.Duration) (issued, expiry time.Time, ok bool) {
	first := r.issuedAt()
	last := first.Add(life)
	if r.o.Shape.ID {
		return first, last, true // Each has a jti of its own.
	}
	most := last.Sub(now) / 2
	for older := time.Duration(0); older <= min(maxOlder, most); older += time.Second {
		for shorter := older; shorter <= most; shorter += time.Second {
			issued, expiry = first.Add(-older), last.Add(-shorter)
			if s := (span{issued.Unix(), expiry.Unix()}); !r.used[s] {
				r.used[s] = true
				return issued, expiry, true
			}
		}
	}
	return issued, expiry, false
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
// seconds of the Unix epoch.
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
		case Text:
			full[name] = strconv.FormatInt(now.Add(time.Duration(v)).Unix(), 10)
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
