package keys

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// backdate is how far in the past iat lies: some verifiers grant no skew at
// all (gmail-actions.md 3.3).
const backdate = 5 * time.Second

// maxToken is the length of the longest token that is verified; .NET's
// verifier draws the same line (gmail-actions.md 3.3).
const maxToken = 10_000

// Claims are the claims of a bearer token (RFC 7519 section 4, OpenID Connect
// Core 1.0 section 2). In JSON they are the payload of a token: times are
// NumericDates in whole seconds.
type Claims struct {
	Issuer          string    // iss
	Subject         string    // sub
	Audience        string    // aud: the sender's domain as URL, such as "https://shop.example". A string, never a list.
	AuthorizedParty string    // azp
	Email           string    // email
	EmailVerified   bool      // email_verified
	IssuedAt        time.Time // iat
	Expiry          time.Time // exp
}

// wireClaims is the JSON form of Claims.
type wireClaims struct {
	Issuer          string `json:"iss"`
	AuthorizedParty string `json:"azp"`
	Audience        string `json:"aud"`
	Subject         string `json:"sub"`
	Email           string `json:"email"`
	EmailVerified   bool   `json:"email_verified"`
	IssuedAt        *int64 `json:"iat"`
	Expiry          *int64 `json:"exp"`
}

// MarshalJSON writes the claims as the payload of a token.
func (c Claims) MarshalJSON() ([]byte, error) {
	issuedAt, expiry := c.IssuedAt.Unix(), c.Expiry.Unix()
	return json.Marshal(wireClaims{
		Issuer: c.Issuer, AuthorizedParty: c.AuthorizedParty, Audience: c.Audience, Subject: c.Subject,
		Email: c.Email, EmailVerified: c.EmailVerified, IssuedAt: &issuedAt, Expiry: &expiry,
	})
}

// UnmarshalJSON reads the payload of a token. Both times must be there.
func (c *Claims) UnmarshalJSON(data []byte) error {
	var w wireClaims
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	if w.IssuedAt == nil || w.Expiry == nil {
		return errors.New("claims lack iat or exp")
	}
	*c = Claims{
		Issuer: w.Issuer, AuthorizedParty: w.AuthorizedParty, Audience: w.Audience, Subject: w.Subject,
		Email: w.Email, EmailVerified: w.EmailVerified,
		IssuedAt: time.Unix(*w.IssuedAt, 0).UTC(), Expiry: time.Unix(*w.Expiry, 0).UTC(),
	}
	return nil
}

// Token makes a bearer token: a JWT in compact serialization, signed RS256
// with the current key (gmail-actions.md 3.3). Claims that are left zero get
// the set's values: iss, azp, email and sub by its options, iat five seconds
// ago, exp a lifetime after iat. The audience must be given. email_verified is
// true always, whatever c says. Times lose their fractions of a second.
func (s *Set) Token(c Claims) (string, error) {
	if c.Audience == "" {
		return "", errors.New("making token: no audience")
	}
	now := s.signing()
	c = s.complete(now, c)
	payload, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("making token: %w", err)
	}
	m, err := now.current.material()
	if err != nil {
		return "", err
	}
	signed, err := m.signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("signing token: %w", err)
	}
	return signed.CompactSerialize()
}

// complete gives the claims that are left zero the set's values.
func (s *Set) complete(v view, c Claims) Claims {
	c.Issuer = withDefault(c.Issuer, s.opts.Issuer)
	c.AuthorizedParty = withDefault(c.AuthorizedParty, s.opts.AuthorizedParty)
	c.Email = withDefault(c.Email, s.opts.AuthorizedParty)
	c.Subject = withDefault(c.Subject, s.opts.Subject)
	c.EmailVerified = true
	if c.IssuedAt.IsZero() {
		c.IssuedAt = v.now.Add(-backdate)
	}
	if c.Expiry.IsZero() {
		c.Expiry = c.IssuedAt.Add(v.lifetime)
	}
	return c
}

// The reasons for which Verify refuses a token, in the order in which it looks.
var (
	ErrMalformed       = errors.New("keys: token is malformed") // Not a JWT of RS256, or claims unreadable.
	ErrUnknownKey      = errors.New("keys: token names a key that is not published")
	ErrSignature       = errors.New("keys: token signature is wrong")
	ErrIssuer          = errors.New("keys: token issuer is wrong")
	ErrAudience        = errors.New("keys: token audience is wrong")
	ErrAuthorizedParty = errors.New("keys: token authorized party is wrong")
	ErrNotYetIssued    = errors.New("keys: token is issued in the future")
	ErrExpired         = errors.New("keys: token has expired")
)

// VerifyOptions say what a token is verified against.
type VerifyOptions struct {
	Audience string // What aud must be, literally.
	// AnyAudience leaves aud alone: for one who only asks whose token it is.
	AnyAudience bool
	At          time.Time // The verifier's time; zero is the provider's clock.
}

// Verify verifies a token as a sound service would: signature against the
// keys published now, iss and azp against the set's, aud, iat and exp without
// skew. The error wraps one of the Err variables and says what was found; the
// claims are returned if and only if it is nil.
func (s *Set) Verify(token string, o VerifyOptions) (Claims, error) {
	c, err := s.verifyAny(token, o.At)
	if err != nil {
		return Claims{}, err
	}
	if c.Audience != o.Audience && !o.AnyAudience {
		return Claims{}, fmt.Errorf("%w: %q, not %q", ErrAudience, c.Audience, o.Audience)
	}
	return c, nil
}

// verifyAny verifies a token for whatever audience.
func (s *Set) verifyAny(token string, at time.Time) (Claims, error) {
	view := s.view()
	if at.IsZero() {
		at = view.now
	}
	payload, err := verifySignature(token, view.find)
	if err != nil {
		return Claims{}, err
	}
	var c Claims
	if err := json.Unmarshal(payload, &c); err != nil {
		return Claims{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	switch {
	case c.Issuer != s.opts.Issuer:
		return Claims{}, fmt.Errorf("%w: %q, not %q", ErrIssuer, c.Issuer, s.opts.Issuer)
	case c.AuthorizedParty != s.opts.AuthorizedParty:
		return Claims{}, fmt.Errorf("%w: %q, not %q", ErrAuthorizedParty, c.AuthorizedParty, s.opts.AuthorizedParty)
	case c.IssuedAt.After(at):
		return Claims{}, fmt.Errorf("%w: at %s, now %s", ErrNotYetIssued, stamp(c.IssuedAt), stamp(at))
	case !at.Before(c.Expiry):
		return Claims{}, fmt.Errorf("%w: at %s, now %s", ErrExpired, stamp(c.Expiry), stamp(at))
	}
	return c, nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// find returns the published key of an id, nil if there is none. A key that
// was never made has signed nothing, and is not made for this.
func (v view) find(id string) *rsa.PublicKey {
	for _, p := range v.published() {
		if m := p.key.made.Load(); m != nil && m.id == id {
			return &m.private.PublicKey
		}
	}
	return nil
}

// verifySignature returns the payload of a JWS in compact serialization of
// algorithm RS256, if the key of its kid signed it. find returns nil for an
// unknown key.
func verifySignature(token string, find func(id string) *rsa.PublicKey) ([]byte, error) {
	if len(token) > maxToken {
		return nil, fmt.Errorf("%w: %d characters, more than %d", ErrMalformed, len(token), maxToken)
	}
	// go-jose's decoder skips line ends and takes stray last bits; then
	// several texts would be one token.
	for part := range strings.SplitSeq(token, ".") {
		if _, err := base64.RawURLEncoding.Strict().DecodeString(part); err != nil || strings.ContainsAny(part, "\r\n") {
			return nil, fmt.Errorf("%w: a part is not base64url", ErrMalformed)
		}
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	id := jws.Signatures[0].Header.KeyID
	public := find(id)
	if public == nil {
		return nil, fmt.Errorf("%w: %q", ErrUnknownKey, id)
	}
	payload, err := jws.Verify(public)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return payload, nil
}
