package keys

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Shape is how a token is written where no document says it (gmail-actions.md
// 3.2). The zero value is how Token writes it. A sound service verifies a token
// of any shape.
type Shape struct {
	BareIssuer bool // iss is the issuer without its "https://", which Google's libraries take, too.
	NoSubject  bool // There is no sub.
	NoEmail    bool // There is neither email nor email_verified.
	NoType     bool // The header has no typ.
	ID         bool // There is a jti (RFC 7519 4.1.7), another one in each token.
}

// shapedClaims and shapedHeader are the two parts of a token in JSON.
type shapedClaims struct {
	Issuer          string `json:"iss"`
	AuthorizedParty string `json:"azp"`
	Audience        string `json:"aud"`
	Subject         string `json:"sub,omitempty"`
	Email           string `json:"email,omitempty"`
	EmailVerified   bool   `json:"email_verified,omitempty"`
	IssuedAt        int64  `json:"iat"`
	Expiry          int64  `json:"exp"`
	ID              string `json:"jti,omitempty"`
}

type shapedHeader struct {
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid"`
	Type      string `json:"typ,omitempty"`
}

// ShapedToken is Token for a token of another shape.
func (s *Set) ShapedToken(c Claims, shape Shape) (string, error) {
	if shape == (Shape{}) {
		return s.Token(c)
	}
	if c.Audience == "" {
		return "", errors.New("making token: no audience")
	}
	view := s.signing()
	m, err := view.current.material()
	if err != nil {
		return "", err
	}
	head, err := json.Marshal(shape.header(m.id))
	if err != nil {
		return "", fmt.Errorf("making token: %w", err)
	}
	payload, err := json.Marshal(shape.claims(s.complete(view, c)))
	if err != nil {
		return "", fmt.Errorf("making token: %w", err)
	}
	input := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(payload)
	digest := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(rand.Reader, m.private, crypto.SHA256, digest[:])
	if err != nil {
		return "", fmt.Errorf("signing token: %w", err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

func (s Shape) header(id string) shapedHeader {
	h := shapedHeader{Algorithm: "RS256", KeyID: id, Type: "JWT"}
	if s.NoType {
		h.Type = ""
	}
	return h
}

func (s Shape) claims(c Claims) shapedClaims {
	w := shapedClaims{
		Issuer: c.Issuer, AuthorizedParty: c.AuthorizedParty, Audience: c.Audience, Subject: c.Subject,
		Email: c.Email, EmailVerified: c.EmailVerified, IssuedAt: c.IssuedAt.Unix(), Expiry: c.Expiry.Unix(),
	}
	if s.BareIssuer {
		w.Issuer = bareIssuer(c.Issuer)
	}
	if s.NoSubject {
		w.Subject = ""
	}
	if s.NoEmail {
		w.Email, w.EmailVerified = "", false
	}
	if s.ID {
		w.ID = rand.Text()
	}
	return w
}

// bareIssuer is an issuer without its scheme.
func bareIssuer(issuer string) string { return strings.TrimPrefix(issuer, "https://") }
