package provider

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/doppelbox/doppelbox/keys"
	"github.com/doppelbox/doppelbox/policy"
)

// TokenOrder is a bearer token that somebody wants to have without a click.
type TokenOrder struct {
	Provider string         // The domain of the provider whose account it is for; empty is the world's first.
	Persona  policy.Persona // Whose token; empty is the provider's.
	Audience string         // aud; it may be missing if the claims name or remove it.
	// IssuedAt and Expiry are iat and exp; what is zero is as in every token of
	// the provider, or as the forgery says.
	IssuedAt, Expiry time.Time
	keys.Forgery
}

// MakeToken makes a token as the provider, or a forger, would make it now: as the
// dials say, but for what the order says.
func (w *World) MakeToken(o TokenOrder) (string, error) {
	p, err := w.providerFor(o.Provider)
	if err != nil {
		return "", err
	}
	switch o.Persona {
	case "", policy.PersonaProvider, policy.PersonaOtherProvider:
	case policy.PersonaThirdParty, policy.PersonaImpersonator:
		return "", fmt.Errorf("persona %s has no token: its requests go without one", o.Persona)
	default:
		var known []string
		for _, p := range policy.Personas() {
			known = append(known, string(p))
		}
		return "", fmt.Errorf("there is no persona %q%s", o.Persona, policy.Suggest(string(o.Persona), known))
	}
	if o.Signing != "" && !slices.Contains(keys.Signings(), o.Signing) {
		var known []string
		for _, s := range keys.Signings() {
			known = append(known, string(s))
		}
		return "", fmt.Errorf("a token cannot be signed %q%s", o.Signing, policy.Suggest(string(o.Signing), known))
	}
	signer, err := w.tokenKeys(p, o.Persona)
	if err != nil {
		return "", err
	}
	if o.Lifetime != 0 && !o.Expiry.IsZero() {
		return "", errors.New("a token gets an expiry or a lifetime, not both")
	}
	form := formOf(w.dialsSet())
	o.Shape = form.shape
	if o.IssuedAt.IsZero() {
		o.IssuedAt = w.clock.Now().Add(-form.age)
	}
	return signer.Forge(keys.Claims{Audience: o.Audience, IssuedAt: o.IssuedAt, Expiry: o.Expiry}, o.Forgery)
}

// ExamineToken says of a token what a sound service of the provider's senders
// would find. The provider is that of a domain, empty for the world's first.
func (w *World) ExamineToken(domain, token string, o keys.VerifyOptions) (keys.Examination, error) {
	p, err := w.providerFor(domain)
	if err != nil {
		return keys.Examination{}, err
	}
	return p.keys.Examine(token, o), nil
}

// providerFor returns the provider of a domain, the first one for an empty domain.
func (w *World) providerFor(domain string) (*Provider, error) {
	list := w.Providers()
	if domain == "" {
		return list[0], nil
	}
	if p, ok := w.Provider(domain); ok {
		return p, nil
	}
	var known []string
	for _, p := range list {
		known = append(known, p.domain)
	}
	return nil, fmt.Errorf("the world has no provider %q%s", domain, policy.Suggest(domain, known))
}
