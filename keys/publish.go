package keys

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// The paths of the published forms (gmail-actions.md 3.4).
const (
	PathCertificates = "/oauth2/v1/certs"
	PathJWKS         = "/oauth2/v3/certs"
	PathDiscovery    = "/.well-known/openid-configuration"
	PathTokenInfo    = "/tokeninfo"
)

// The paths at which the key of [SignStranger] is published, for tokens whose
// header points there (jku, x5u: RFC 7515 4.1.2, 4.1.5). Nobody who verifies
// tokens soundly asks for them, and StrangerFetches counts who does.
const (
	PathStrangerJWKS  = "/stranger/oauth2/v3/certs"
	PathStrangerChain = "/stranger/chain.pem"
)

// StrangerFetches is how often the paths of the stranger were asked for.
func (s *Set) StrangerFetches() int { return int(s.strangerFetches.Load()) }

// Handler serves the published forms of the keys, whatever the host asked for:
// the X.509 map, the JWK set, the discovery document and tokeninfo. It answers
// GET and HEAD. Documents may be cached as Cache-Control and Age say, both by
// the provider's clock.
func (s *Set) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == PathStrangerJWKS || r.URL.Path == PathStrangerChain {
			s.serveStranger(w, r)
			return
		}
		document := s.document(r.URL.Path)
		if document == nil && r.URL.Path != PathTokenInfo {
			http.NotFound(w, r)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
			return
		}
		if document == nil {
			s.serveTokenInfo(w, r)
			return
		}
		view := s.serving()
		body, err := document(view)
		if err != nil {
			http.Error(w, "making keys", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Cache-Control", fmt.Sprintf("public, max-age=%d, must-revalidate, no-transform", view.maxAge/time.Second))
		w.Header().Set("Age", strconv.Itoa(int(view.age/time.Second)))
		writeJSON(w, http.StatusOK, body)
	})
}

// serveStranger publishes the stranger's key, and counts.
func (s *Set) serveStranger(w http.ResponseWriter, r *http.Request) {
	s.strangerFetches.Add(1)
	m, err := s.stranger.material()
	if err != nil {
		http.Error(w, "making keys", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	if r.URL.Path == PathStrangerChain {
		w.Header().Set("Content-Type", "application/x-pem-file")
		_, _ = io.WriteString(w, m.certificate)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"keys": []any{publicJWK(m)}})
}

// document returns what makes the document of a path, nil if there is none.
func (s *Set) document(path string) func(view) (any, error) {
	switch path {
	case PathCertificates:
		return certificates
	case PathJWKS:
		return jwks
	case PathDiscovery:
		return s.discovery
	}
	return nil
}

func certificates(v view) (any, error) {
	byID := make(map[string]string)
	for _, p := range v.published() {
		m, err := p.key.material()
		if err != nil {
			return nil, err
		}
		byID[m.id] = m.certificate
	}
	return byID, nil
}

func jwks(v view) (any, error) {
	var set jose.JSONWebKeySet
	for _, p := range v.published() {
		m, err := p.key.material()
		if err != nil {
			return nil, err
		}
		// Java's and Ruby's verifiers want alg in each key.
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: &m.private.PublicKey, KeyID: m.id, Algorithm: string(jose.RS256), Use: "sig"})
	}
	return set, nil
}

// discovery is the document of OpenID Connect Discovery 1.0 section 3.
func (s *Set) discovery(view) (any, error) {
	return struct {
		Issuer                string   `json:"issuer"`
		AuthorizationEndpoint string   `json:"authorization_endpoint"`
		TokenEndpoint         string   `json:"token_endpoint"`
		JWKSURI               string   `json:"jwks_uri"`
		ResponseTypes         []string `json:"response_types_supported"`
		SubjectTypes          []string `json:"subject_types_supported"`
		Algorithms            []string `json:"id_token_signing_alg_values_supported"`
		Claims                []string `json:"claims_supported"`
	}{
		Issuer:                s.opts.Issuer,
		AuthorizationEndpoint: s.opts.Endpoints.Authorization,
		TokenEndpoint:         s.opts.Endpoints.Token,
		JWKSURI:               s.opts.Endpoints.JWKS,
		ResponseTypes:         []string{"id_token"},
		SubjectTypes:          []string{"public"},
		Algorithms:            []string{string(jose.RS256)},
		Claims:                []string{"aud", "azp", "email", "email_verified", "exp", "iat", "iss", "sub"},
	}, nil
}

// serveTokenInfo verifies the token of the query, for any audience, and
// answers its claims, every value a string as in Google's answer.
func (s *Set) serveTokenInfo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	token := r.URL.Query().Get("id_token")
	e := s.Examine(token, VerifyOptions{AnyAudience: true})
	err := e.Err()
	if token == "" {
		err = errors.New("id_token is missing")
	}
	if err != nil {
		writeJSON(w, http.StatusBadRequest, struct {
			Error       string `json:"error"`
			Description string `json:"error_description"`
		}{"invalid_token", err.Error()})
		return
	}
	var header struct {
		KeyID string `json:"kid"`
	}
	// Verified, so it has a header.
	_ = json.Unmarshal(e.Header, &header)
	c := e.read
	writeJSON(w, http.StatusOK, struct {
		Issuer          string `json:"iss"`
		AuthorizedParty string `json:"azp"`
		Audience        string `json:"aud"`
		Subject         string `json:"sub"`
		Email           string `json:"email"`
		EmailVerified   string `json:"email_verified"`
		IssuedAt        string `json:"iat"`
		Expiry          string `json:"exp"`
		Algorithm       string `json:"alg"`
		KeyID           string `json:"kid"`
		Type            string `json:"typ"`
	}{
		c.Issuer, c.AuthorizedParty, c.Audience, c.Subject, c.Email, strconv.FormatBool(c.EmailVerified),
		strconv.FormatInt(c.IssuedAt.Unix(), 10), strconv.FormatInt(c.Expiry.Unix(), 10),
		string(jose.RS256), header.KeyID, "JWT",
	})
}

// writeJSON answers with indented JSON. The content type has to be exact
// enough for Node's library, which otherwise does not parse the certificates
// (libraries.md section 10).
func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, "writing JSON", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // The client went away: there is nobody to tell.
}
