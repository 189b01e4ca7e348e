package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/doppelbox/doppelbox/keys"
	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// when is a time as a client gives it: RFC 3339, or a duration from now by the
// provider's clock, such as "-10m".
type when string

// at is the time; zero for none.
func (w when) at(now time.Time) (time.Time, error) {
	if w == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, string(w)); err == nil {
		return t, nil
	}
	d, err := time.ParseDuration(string(w))
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is neither a time (2026-01-15T09:00:00Z) nor a duration from now (-10m)", string(w))
	}
	return now.Add(d), nil
}

// tokenRequest asks for a token. Members of header and claims that are null are
// removed.
type tokenRequest struct {
	Audience   string         `json:"audience"`
	Persona    policy.Persona `json:"persona"`
	Provider   string         `json:"provider"` // Its domain.
	Header     map[string]any `json:"header"`
	Claims     map[string]any `json:"claims"`
	Signing    keys.Signing   `json:"signing"`
	EmbedKey   bool           `json:"embedKey"`
	EmbedChain bool           `json:"embedChain"`
	TTL        string         `json:"ttl"` // exp less iat, as a duration.
	IssuedAt   when           `json:"iat"`
	Expiry     when           `json:"exp"`
}

// madeToken is a token that was asked for.
type madeToken struct {
	Token  string          `json:"token"`
	Header json.RawMessage `json:"header,omitempty"`
	Claims json.RawMessage `json:"claims,omitempty"`
}

// makeToken answers with a token.
func (a api) makeToken(w http.ResponseWriter, r *http.Request) {
	var q tokenRequest
	if !readBody(w, r, &q) {
		return
	}
	o := provider.TokenOrder{
		Provider: q.Provider, Persona: q.Persona, Audience: q.Audience,
		Forgery: keys.Forgery{Header: q.Header, Claims: q.Claims, Signing: q.Signing, EmbedKey: q.EmbedKey, EmbedChain: q.EmbedChain},
	}
	now := a.p.Clock().Now()
	var errs [3]error
	o.IssuedAt, errs[0] = q.IssuedAt.at(now)
	o.Expiry, errs[1] = q.Expiry.at(now)
	if q.TTL != "" {
		if o.Lifetime, errs[2] = time.ParseDuration(q.TTL); errs[2] != nil || o.Lifetime <= 0 {
			errs[2] = fmt.Errorf("ttl: %q is no duration above zero, such as 10m", q.TTL)
		}
	}
	if err := errors.Join(errs[:]...); err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	token, err := a.p.MakeToken(o)
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	e := keys.Examine(token, keys.TrustedKeys{}, keys.VerifyOptions{}) // To read it.
	reply(w, http.StatusOK, madeToken{token, e.Header, e.Claims})
}

// verifyRequest asks what is wrong with a token.
type verifyRequest struct {
	Token    string `json:"token"`
	Audience string `json:"audience"` // None leaves aud alone.
	At       when   `json:"at"`
	Provider string `json:"provider"` // Its domain.
}

// verifyToken answers with what was found of a token, good or not.
func (a api) verifyToken(w http.ResponseWriter, r *http.Request) {
	var q verifyRequest
	if !readBody(w, r, &q) {
		return
	}
	at, err := q.At.at(a.p.Clock().Now())
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	e, err := a.p.ExamineToken(q.Provider, q.Token, keys.VerifyOptions{Audience: q.Audience, AnyAudience: q.Audience == "", At: at})
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	reply(w, http.StatusOK, e)
}
