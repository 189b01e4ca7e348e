package mailauth

import (
	"context"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
)

// The reasons of [policy.ARC]. A signature or seal that does not validate has
// the reason of the same fault in a DKIM signature, such as [ReasonNoKey],
// [ReasonDNS] or [ReasonBodyHash]; the problem says which one it is. All of
// them are final, those of DNS too (RFC 8617 5.2.1).
const (
	ReasonChainFailed    policy.Reason = "chain-failed"    // The newest seal says cv=fail (RFC 8617 5.2 step 2).
	ReasonChainLength    policy.Reason = "chain-length"    // More than fifty sets (5.2 step 1).
	ReasonChainStructure policy.Reason = "chain-structure" // A field is missing, stands twice, or has no instance (5.2 step 3).
	ReasonChainStatus    policy.Reason = "chain-status"    // cv= is not none in the first seal, or not pass in another (5.2 step 3).
	ReasonSealHeaders    policy.Reason = "seal-headers"    // A seal has h= (4.1.3).
	ReasonSealSigned     policy.Reason = "seal-signed"     // A message signature covers a seal (4.1.2).
	ReasonSeal           policy.Reason = "seal"            // A seal does not verify: a field of a set is another.
)

// maxBodyHashes bounds how often a chain may have the body hashed. Without l=
// there are two ways to hash it; each l= is another.
const maxBodyHashes = maxSignatures

// validateARC validates the chain of a message (RFC 8617 5.2). One without a
// chain costs a look at the names of its fields.
func (v *Verifier) validateARC(ctx context.Context, res Resolver, m *message.Message) policy.ARC {
	if !hasARC(m) {
		return policy.ARC{Result: policy.AuthNone}
	}
	c := collectARC(m)
	c.bodies = newBodyHashes(m.Body)
	result := policy.ARC{Result: policy.AuthPass, Sets: c.shown()}
	why := c.judge()
	newest := len(c.sets)
	if why == nil {
		why = v.validateMessageSignature(ctx, res, arcPlace{c, newest})
	}
	for i := newest; i > 0 && why == nil; i-- {
		why = v.validateSeal(ctx, res, arcPlace{c, i})
	}
	if why != nil {
		result.Result, result.Reason, result.Problem = policy.AuthFail, why.reason, why.text
		return result
	}
	// The older message signatures come last here, because they count for
	// nothing if a seal fails.
	for i := newest - 1; i > 0; i-- {
		if len(c.bodies.done) > maxBodyHashes || v.validateMessageSignature(ctx, res, arcPlace{c, i}) != nil {
			result.OldestPass = i + 1
			break
		}
	}
	return result
}

// shown lists the sets whose seal could be read.
func (c *arcChain) shown() []policy.ARCSet {
	var list []policy.ARCSet
	for i, set := range c.sets {
		if set.seal == nil {
			continue
		}
		list = append(list, policy.ARCSet{
			Instance: i + 1,
			Domain:   set.seal.result.Domain,
			Selector: set.seal.result.Selector,
			CV:       set.cv,
			Results:  set.results,
		})
	}
	return list
}

// judge finds what is wrong before any signature is looked at (RFC 8617 5.2
// steps 2 and 3); nil if nothing is.
func (c *arcChain) judge() *verdict {
	if c.newestFailed() {
		return verdictf(policy.AuthFail, ReasonChainFailed, "the seal of instance %d says cv=fail", len(c.sets))
	}
	if c.broken != nil {
		return c.broken
	}
	want := "none"
	for i, set := range c.sets {
		if set.cv != want {
			return verdictf(policy.AuthFail, ReasonChainStatus, "the seal of instance %d says cv=%q, not %s", i+1, set.cv, want)
		}
		want = "pass"
	}
	return nil
}

// arcPlace is an instance of a chain, from 1.
type arcPlace struct {
	chain    *arcChain
	instance int
}

func (p arcPlace) set() *arcSet { return &p.chain.sets[p.instance-1] }

// fault says of which field a verdict is; nil stays nil.
func (p arcPlace) fault(kind int, why *verdict) *verdict {
	if why == nil {
		return nil
	}
	return verdictf(policy.AuthFail, why.reason, "%s of instance %d: %s", arcNames[kind], p.instance, why.text)
}

// validateMessageSignature validates an ARC-Message-Signature; nil is pass.
func (v *Verifier) validateMessageSignature(ctx context.Context, res Resolver, p arcPlace) *verdict {
	set := p.set()
	why := set.why[arcMessageSignature]
	if why == nil {
		_, why = v.check(ctx, res, signed{set.message, p.chain.fields, p.chain.bodies})
	}
	return p.fault(arcMessageSignature, why)
}

// validateSeal validates an ARC-Seal; nil is pass.
func (v *Verifier) validateSeal(ctx context.Context, res Resolver, p arcPlace) *verdict {
	set := p.set()
	why := set.why[arcSeal]
	var key *dkimKey
	if why == nil {
		key, why = v.usableKey(ctx, res, set.seal)
	}
	if why == nil && !set.seal.verifies(key, p.chain.hashSeal(1, p.instance)) {
		why = verdictf(policy.AuthFail, ReasonSeal, "the seal does not verify: a field of a set was changed, or the key is another")
	}
	return p.fault(arcSeal, why)
}
