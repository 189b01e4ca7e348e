package provider

import (
	"github.com/doppelbox/doppelbox/keys"
	"github.com/doppelbox/doppelbox/policy"
)

// thirdPartyUserAgent is what a mail program that is no impersonator says.
const thirdPartyUserAgent = "third-party mail program (simulated by doppelbox)"

// strangerDomain is that of the provider outside of the world whose tokens are
// sent by policy.PersonaOtherProvider, in a world of one provider.
const strangerDomain = "other-provider.invalid"

// stranger has the keys of that provider, made when they are first needed; the
// world's dialing guards them.
type stranger struct{ keys *keys.Set }

// tokenKeys returns the keys that sign a persona's tokens for the account of p:
// p's own, or those of another provider, of the world if it has one.
func (w *World) tokenKeys(p *Provider, who policy.Persona) (*keys.Set, error) {
	if who != policy.PersonaOtherProvider {
		return p.keys, nil
	}
	for _, other := range w.Providers() {
		if other != p {
			return other.keys, nil
		}
	}
	w.dialing.Lock()
	defer w.dialing.Unlock()
	if w.stranger.keys == nil {
		set, err := w.newKeys(otherKeys(strangerDomain, w.clock.Now))
		if err != nil {
			return nil, err
		}
		w.stranger.keys = set
	}
	return w.stranger.keys, nil
}
