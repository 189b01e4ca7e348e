package probe_test

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/doppelbox/doppelbox/keys"
)

// authenticate returns the bearer token of a request, verified.
func (s *service) authenticate(r *http.Request) (string, error) {
	if s.has("no-bearer") || s.has("forwarded-user") && r.Header.Get("X-Forwarded-User") != "" ||
		(s.has("path") || s.has("original-url")) && r.URL.Path != "/approve" {
		return r.Header.Get("Authorization"), nil
	}
	fields := r.Header.Values("Authorization")
	switch {
	case len(fields) == 0 && s.has("token-in-query") && r.URL.Query().Has("access_token"):
		fields = []string{"Bearer " + r.URL.Query().Get("access_token")}
	case len(fields) > 1 && s.has("first-field"):
		fields = fields[:1]
	case len(fields) > 1 && s.has("last-field"):
		fields = fields[len(fields)-1:]
	}
	if len(fields) != 1 {
		return "", errors.New("one Authorization field, please")
	}
	token, ok := strings.CutPrefix(fields[0], "Bearer ")
	if _, password, basic := r.BasicAuth(); basic && s.has("password") {
		token, ok = password, true
	}
	if !ok {
		return "", errors.New("scheme Bearer, please")
	}
	payload, err := s.payload(token)
	if err != nil {
		return "", err
	}
	if err := s.checkClaims(payload, r); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[signed(token)] = true
	return token, nil
}

// signed is the part of a token that its signature is made of.
func signed(token string) string { return token[:max(0, strings.LastIndex(token, "."))] }

func (s *service) knows(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[signed(token)]
}

// payload returns what was signed.
func (s *service) payload(token string) ([]byte, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 && !s.has("no-signature") || len(token) > 10_000 {
		return nil, errors.New("not a token")
	}
	var raw [][]byte
	for _, part := range parts {
		plain, err := base64.RawURLEncoding.Strict().DecodeString(part)
		if err != nil {
			return nil, err
		}
		raw = append(raw, plain)
	}
	if len(raw) < 2 {
		return nil, errors.New("not a token")
	}
	var header struct {
		Alg  string           `json:"alg"`
		Kid  string           `json:"kid"`
		Jku  string           `json:"jku"`
		Crit []string         `json:"crit"`
		JWK  *jose.JSONWebKey `json:"jwk"`
	}
	if err := json.Unmarshal(raw[0], &header); err != nil {
		return nil, err
	}
	switch {
	case s.has("no-signature"), s.has("cache") && s.knows(token), s.has("alg-none") && header.Alg == "none":
		return raw[1], nil
	case header.Crit != nil:
		return nil, errors.New("crit is not understood")
	case s.has("hs256") && header.Alg == "HS256":
		jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.HS256})
		if err != nil {
			return nil, err
		}
		return jws.Verify([]byte(s.certificate(header.Kid)))
	}
	key, err := s.key(header.Kid, header.Jku, header.JWK)
	if err != nil {
		return nil, err
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return nil, err
	}
	return jws.Verify(key)
}

// key returns the key with which a token is to be verified.
func (s *service) key(kid, jku string, embedded *jose.JSONWebKey) (any, error) {
	from := s.keys + keys.PathJWKS
	switch {
	case s.has("embedded-key") && embedded != nil:
		return embedded.Key, nil
	case s.has("jku") && jku != "":
		from = jku
	case s.has("jku-looks") && jku != "":
		if _, err := fetchKeys(jku); err != nil {
			return nil, err
		}
	case s.has("pinned-keys"):
		if key := s.pinned[kid]; key != nil {
			return key, nil
		}
		return nil, errors.New("no such key")
	}
	found, err := s.keysOf(from, kid)
	if err == nil && found[kid] == nil && s.has("other-provider") {
		found, err = s.keysOf(s.others+keys.PathJWKS, kid)
	}
	if err != nil {
		return nil, err
	}
	if found[kid] == nil {
		return nil, errors.New("no such key")
	}
	return found[kid], nil
}

// keysOf returns what is published, and asks again for a kid that it does not
// know.
func (s *service) keysOf(from, kid string) (map[string]any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cache[from][kid] != nil {
		return s.cache[from], nil
	}
	found, err := fetchKeys(from)
	s.cache[from] = found
	return found, err
}

func fetchKeys(from string) (map[string]any, error) {
	answer, err := http.Get(from)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	return readKeys(answer.Body)
}

func readKeys(from io.Reader) (map[string]any, error) {
	var set jose.JSONWebKeySet
	if err := json.NewDecoder(from).Decode(&set); err != nil {
		return nil, err
	}
	found := make(map[string]any)
	for _, k := range set.Keys {
		found[k.KeyID] = k.Key
	}
	return found, nil
}

// certificate is the published certificate of a key, in PEM.
func (s *service) certificate(kid string) string {
	answer, err := http.Get(s.keys + keys.PathCertificates)
	if err != nil {
		return ""
	}
	defer answer.Body.Close()
	var byID map[string]string
	if err := json.NewDecoder(answer.Body).Decode(&byID); err != nil {
		return ""
	}
	block, _ := pem.Decode([]byte(byID[kid]))
	if block == nil {
		return ""
	}
	return string(pem.EncodeToMemory(block))
}

// expText is an exp that is a number as a text.
var expText = regexp.MustCompile(`"exp":"(\d+)"`)

// checkClaims compares the claims. They are read strictly: every one has its
// type.
func (s *service) checkClaims(payload []byte, r *http.Request) error {
	var c struct {
		Iss string  `json:"iss"`
		Aud string  `json:"aud"`
		Azp *string `json:"azp"`
		Iat *int64  `json:"iat"`
		Exp *int64  `json:"exp"`
		Nbf *int64  `json:"nbf"`
	}
	if s.has("exp-text") {
		payload = expText.ReplaceAll(payload, []byte(`"exp":$1`))
	}
	if err := json.Unmarshal(payload, &c); err != nil {
		return err
	}
	now := s.now().Unix()
	const issuer = "https://accounts.google.com"
	issued := c.Iss == issuer || c.Iss == "accounts.google.com" || s.has("no-iss") ||
		s.has("iss-suffix") && strings.HasSuffix(c.Iss, "accounts.google.com") ||
		s.has("iss-prefix") && strings.HasPrefix(c.Iss, issuer) ||
		s.has("other-provider") && c.Iss == "https://accounts.other.example"
	meant := c.Aud == audience || s.has("no-aud") ||
		s.has("aud-host") && c.Aud == "https://"+r.Host ||
		s.has("aud-forwarded-host") && c.Aud == "https://"+r.Header.Get("X-Forwarded-Host") ||
		s.has("aud-forwarded") && strings.HasPrefix(r.Header.Get("Forwarded"), "host="+strings.TrimPrefix(c.Aud, "https://")+";") ||
		s.has("aud-prefix") && strings.HasPrefix(c.Aud, audience) ||
		s.has("aud-contains") && strings.Contains(c.Aud, audience) ||
		s.has("aud-slash") && strings.TrimSuffix(c.Aud, "/") == audience
	party := c.Azp != nil && (*c.Azp == "gmail@system.gserviceaccount.com" || s.has("other-provider") && *c.Azp == "actions@other.example") || s.has("no-azp")
	switch {
	case !issued:
		return errors.New("wrong issuer")
	case !meant:
		return errors.New("wrong audience")
	case !party:
		return errors.New("wrong party")
	case s.has("no-exp"):
		return nil
	case c.Iat == nil || c.Exp == nil || *c.Iat > now || now > *c.Exp || *c.Exp > now+86400 || c.Nbf != nil && *c.Nbf > now:
		return errors.New("wrong time")
	}
	return nil
}
