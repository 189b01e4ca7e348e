package provider

import (
	"fmt"
	"slices"

	"github.com/doppelbox/doppelbox/keys"
	"github.com/doppelbox/doppelbox/policy"
)

// SetDial sets a dial, for whatever reads it from now on. The error of an unknown
// one is policy.UnknownDialError; after any error the dial is as it was.
func (w *World) SetDial(name, value string) error {
	w.dialing.Lock()
	defer w.dialing.Unlock()
	old := w.dialsSet()
	dials, err := old.Set(name, value)
	if err != nil {
		return err
	}
	if err := w.retime(old, dials); err != nil {
		return fmt.Errorf("dial %s cannot be %s: %w", name, value, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dials = dials
	return nil
}

// dialsSet returns the dials that were set. It must not be changed.
func (w *World) dialsSet() policy.Dials {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dials
}

// retime has the keys of the world live by other dials, or, after an error, by the
// old ones. The caller holds dialing.
func (w *World) retime(old, dials policy.Dials) error {
	if !slices.ContainsFunc(timingDials, func(id policy.DialID) bool { return old[id] != dials[id] }) {
		return nil
	}
	before, after := timing(old), timing(dials)
	for i, set := range w.keySets() {
		if err := set.Retime(after); err != nil {
			for _, changed := range w.keySets()[:i] {
				// They have lived by these before.
				_ = changed.Retime(before)
			}
			return err
		}
	}
	return nil
}

// timingDials are those that timing reads.
var timingDials = []policy.DialID{policy.DialTokenLife, policy.DialKeyRotation, policy.DialKeyMaxAge}

// timing is what the dials say of the times of keys.
func timing(d policy.Dials) keys.Timing {
	return keys.Timing{
		Lifetime: d.Duration(policy.DialTokenLife), RotateEvery: d.Duration(policy.DialKeyRotation), MaxAge: d.Duration(policy.DialKeyMaxAge),
	}
}

// newKeys makes keys that live as the dials say. The caller holds dialing.
func (w *World) newKeys(o keys.Options) (*keys.Set, error) {
	set, err := keys.New(o)
	if err != nil {
		return nil, err
	}
	return set, set.Retime(timing(w.dialsSet()))
}

// keySets are the keys of all providers of the world, and those of the stranger.
func (w *World) keySets() []*keys.Set {
	var list []*keys.Set
	for _, p := range w.Providers() {
		list = append(list, p.keys)
	}
	if w.stranger.keys != nil {
		list = append(list, w.stranger.keys)
	}
	return list
}
