package keys

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Backdate is how far in the past iat lies unless it is given: some verifiers
// grant no skew at all (gmail-actions.md 3.3).
const Backdate = 5 * time.Second

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

// Complete returns the claims of the token that Token would make of c now.
func (s *Set) Complete(c Claims) Claims { return s.complete(s.view(), c) }

// complete gives the claims that are left zero the set's values.
func (s *Set) complete(v view, c Claims) Claims {
	c.Issuer = withDefault(c.Issuer, s.opts.Issuer)
	c.AuthorizedParty = withDefault(c.AuthorizedParty, s.opts.AuthorizedParty)
	c.Email = withDefault(c.Email, s.opts.AuthorizedParty)
	c.Subject = withDefault(c.Subject, s.opts.Subject)
	c.EmailVerified = true
	if c.IssuedAt.IsZero() {
		c.IssuedAt = v.now.Add(-Backdate)
	}
	if c.Expiry.IsZero() {
		c.Expiry = c.IssuedAt.Add(v.lifetime)
	}
	return c
}

// Verify verifies a token as a sound service would: signature against the
// keys published now, iss and azp against the set's, aud, and the rest that
// Examine looks at, without skew. The error wraps one of the Err variables and
// says what was found; the claims are returned if and only if it is nil.
func (s *Set) Verify(token string, o VerifyOptions) (Claims, error) {
	e := s.Examine(token, o)
	if err := e.Err(); err != nil {
		return Claims{}, err
	}
	return e.read, nil
}

// Examine is [Examine] with what the set knows: its keys, issuer, authorized
// party and clock. Options that are left zero are the set's; its issuer may then
// stand without its scheme.
func (s *Set) Examine(token string, o VerifyOptions) Examination {
	view := s.view()
	if o.At.IsZero() {
		o.At = view.now
	}
	o.bareIssuer = o.Issuer == ""
	o.Issuer = withDefault(o.Issuer, s.opts.Issuer)
	o.AuthorizedParty = withDefault(o.AuthorizedParty, s.opts.AuthorizedParty)
	return Examine(token, view.trusted(), o)
}
