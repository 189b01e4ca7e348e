package mailauth

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/subtle"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
)

// maxSignatures is how many signatures of a message are evaluated; RFC 6376 6.1
// leaves the limit to the verifier. Gmail's own mail has three.
const maxSignatures = 10

// The reasons of [policy.DKIM], each with the one result that it comes with.
//
// RFC 8601 2.7.1 calls neutral what could not be processed, policy what
// verifies or might but is not accepted, fail what was acceptable and does not
// verify, permerror what no retry will mend. RFC 6376 6.1 knows only PERMFAIL
// for all of these. Expiry is fail: RFC 6376 6.1.1 lists it with the
// signatures that do not verify. A t= in the future is accepted; RFC 6376 3.5
// leaves that open, and a simulated clock is often behind that of the signer.
const (
	ReasonSyntax        policy.Reason = "signature-syntax"         // neutral: the field breaks RFC 6376 3.5.
	ReasonVersion       policy.Reason = "signature-version"        // neutral: v= is not 1.
	ReasonAlgorithm     policy.Reason = "algorithm-unknown"        // neutral
	ReasonCanonical     policy.Reason = "canonicalization-unknown" // neutral
	ReasonQuery         policy.Reason = "query-unknown"            // neutral: q= has no method that is known.
	ReasonTooMany       policy.Reason = "too-many-signatures"      // policy: not evaluated, ten others were.
	ReasonAlgorithmWeak policy.Reason = "algorithm-weak"           // policy: rsa-sha1 (RFC 8301 3.1).
	ReasonKeyWeak       policy.Reason = "key-weak"                 // policy: an RSA key under 1024 bits (RFC 8301 3.2).
	ReasonKeyLarge      policy.Reason = "key-large"                // policy: an RSA key over 8192 bits.
	ReasonFromUnsigned  policy.Reason = "from-unsigned"            // permerror: h= does not name From (RFC 6376 5.4).
	ReasonAUID          policy.Reason = "auid-domain"              // permerror: i= is not in d=, or below it with t=s.
	ReasonNoKey         policy.Reason = "no-key"                   // permerror: no record; neutral: Gmail and Ed25519.
	ReasonKeySeveral    policy.Reason = "key-several"              // permerror: RFC 6376 3.6.2.2 leaves it undefined.
	ReasonKeySyntax     policy.Reason = "key-syntax"               // permerror
	ReasonKeyRevoked    policy.Reason = "key-revoked"              // permerror: p= is empty.
	ReasonKeyUnusable   policy.Reason = "key-unusable"             // permerror: k=, h= or s= exclude this signature.
	ReasonDNS           policy.Reason = "dns"                      // temperror; permerror if no retry helps.
	ReasonExpired       policy.Reason = "expired"                  // fail: the time is after x=.
	ReasonBodyLength    policy.Reason = "body-length"              // fail: l= is longer than the body.
	ReasonBodyHash      policy.Reason = "body-hash"                // fail: the body is not the one that was signed.
	ReasonSignature     policy.Reason = "signature"                // fail: a signed field, or the signature, is another.
)

// verifyAll evaluates the signatures of a message, in the order of the header.
func (v *Verifier) verifyAll(ctx context.Context, res Resolver, m *message.Message) []policy.DKIM {
	results := []policy.DKIM{} // None is a list too, in JSON.
	var bodies *bodyHashes
	for _, f := range m.Fields {
		if !f.Is("DKIM-Signature") {
			continue
		}
		if bodies == nil {
			bodies = newBodyHashes(m.Body)
		}
		s, why := parseSignature(f)
		switch {
		case len(results) >= maxSignatures:
			why = verdictf(policy.AuthPolicy, ReasonTooMany, "only %d signatures are evaluated", maxSignatures)
		case why == nil:
			why = v.verify(ctx, res, signed{s, m.Fields, bodies})
		}
		s.result.Result = policy.AuthPass
		if why != nil {
			s.result.Result, s.result.Reason, s.result.Problem = why.result, why.reason, why.text
		}
		results = append(results, s.result)
	}
	return results
}

// signed is a signature and what it is to cover.
type signed struct {
	*signature
	fields []message.Field
	bodies *bodyHashes
}

// verify evaluates one signature, and says what was done to the message if it
// fails because of that; nil is pass.
func (v *Verifier) verify(ctx context.Context, res Resolver, s signed) *verdict {
	key, why := v.check(ctx, res, s)
	if key != nil && why != nil {
		return s.explain(key, why)
	}
	return why
}

// check evaluates one signature (RFC 6376 6.1.1 from the expiry on, 6.1.2,
// 6.1.3); nil is pass. The key is that which it was checked with, if it got so far.
func (v *Verifier) check(ctx context.Context, res Resolver, s signed) (*dkimKey, *verdict) {
	if x := s.result.ExpiresAt; !x.IsZero() && v.Now().After(x) {
		return nil, verdictf(policy.AuthFail, ReasonExpired, "expired at %s", x.Format("2006-01-02 15:04:05Z"))
	}
	key, why := v.usableKey(ctx, res, s.signature)
	if why != nil {
		return nil, why
	}
	if why := s.checkBody(); why != nil {
		return key, why
	}
	if !s.checkHeader(key) {
		return key, verdictf(policy.AuthFail, ReasonSignature, "the signature does not verify: a signed field was changed, or the key is another")
	}
	return key, nil
}

// usableKey returns the key of a signature if it may be used.
func (v *Verifier) usableKey(ctx context.Context, res Resolver, s *signature) (*dkimKey, *verdict) {
	if !s.rsa && v.Profile != RFC {
		return nil, verdictf(policy.AuthNeutral, ReasonNoKey, "Gmail does not evaluate Ed25519 signatures")
	}
	key, why := v.findKey(ctx, res, s)
	if why != nil {
		return nil, why
	}
	return key, s.useKey(key)
}

// findKey looks the key of a signature up. Of several records, those for
// another kind of key do not count.
func (v *Verifier) findKey(ctx context.Context, res Resolver, s *signature) (*dkimKey, *verdict) {
	name := s.result.Selector + "._domainkey." + s.result.Domain
	records, err := res.LookupTXT(ctx, name)
	switch {
	case isNotFound(err):
		return nil, verdictf(policy.AuthPermError, ReasonNoKey, "no key at %s", name)
	case err != nil:
		return nil, verdictf(dnsResult(err), ReasonDNS, "%v", err)
	}
	kind := "ed25519"
	if s.rsa {
		kind = "rsa"
	}
	var found, other *dkimKey
	for _, text := range records {
		switch k := v.Keys.parse(text); {
		case !k.isRecord || k.kind != kind:
			if other == nil || k.isRecord && !other.isRecord {
				other = k
			}
		case found != nil:
			return nil, verdictf(policy.AuthPermError, ReasonKeySeveral, "several keys at %s", name)
		default:
			found = k
		}
	}
	switch {
	case found != nil:
		return found, nil
	case other == nil:
		return nil, verdictf(policy.AuthPermError, ReasonNoKey, "no key at %s", name)
	case !other.isRecord:
		return nil, verdictf(policy.AuthPermError, ReasonKeySyntax, "%s: %s", name, other.problem)
	}
	return other, nil
}

// useKey decides whether a key may be used for the signature (RFC 6376 6.1.2).
func (s *signature) useKey(k *dkimKey) *verdict {
	s.result.Testing, s.result.Strict, s.result.KeyBits = k.testing, k.strict, k.bits
	kind := "ed25519"
	if s.rsa {
		kind = "rsa"
	}
	_, domain, _ := cutLast(s.result.AUID, "@")
	switch {
	case k.problem != "":
		return verdictf(policy.AuthPermError, k.reason, "key: %s", k.problem)
	case k.kind != kind:
		return verdictf(policy.AuthPermError, ReasonKeyUnusable, "the key is of kind %q, the signature needs %s", clip(k.kind), kind)
	case !k.sha256:
		return verdictf(policy.AuthPermError, ReasonKeyUnusable, "the key's h= does not allow sha256")
	case !k.email:
		return verdictf(policy.AuthPermError, ReasonKeyUnusable, "the key's s= does not allow email")
	case k.strict && normalDomain(domain) != s.result.Domain:
		return verdictf(policy.AuthPermError, ReasonAUID, "the key has t=s and i= is below %s", s.result.Domain)
	case s.rsa && k.bits < minKeyBits:
		return verdictf(policy.AuthPolicy, ReasonKeyWeak, "the key has %d bits, fewer than %d", k.bits, minKeyBits)
	case s.rsa && k.bits > maxKeyBits:
		return verdictf(policy.AuthPolicy, ReasonKeyLarge, "the key has %d bits, more than %d", k.bits, maxKeyBits)
	}
	return nil
}

// checkBody compares the body with bh=.
func (s signed) checkBody() *verdict {
	b := s.bodies.get(s.body, s.length)
	if s.length > b.total {
		return verdictf(policy.AuthFail, ReasonBodyLength, "l= is %d, the body has %d octets", s.length, b.total)
	}
	if s.length >= 0 {
		s.result.Uncovered, s.result.BodyUnsigned = int(b.total-s.length), s.length == 0
	}
	if subtle.ConstantTimeCompare(b.sum, s.bodyHash) != 1 {
		return verdictf(policy.AuthFail, ReasonBodyHash, "the body hash does not verify: the body was changed")
	}
	return nil
}

// checkHeader verifies the signature over the header (RFC 6376 3.7).
func (s signed) checkHeader(k *dkimKey) bool {
	return s.verifies(k, s.headerHash(s.bodies.hash, s.fields))
}

// verifies reports whether b= is the signature of a hash.
func (s *signature) verifies(k *dkimKey, digest []byte) bool {
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(public, crypto.SHA256, digest, s.signed) == nil
	case ed25519.PublicKey:
		return ed25519.Verify(public, digest, s.signed)
	}
	return false
}

// headerHash hashes the fields that h= names, and the signature's own field
// without the value of b=.
func (s *signature) headerHash(c *canonHash, fields []message.Field) []byte {
	c.reset(-1)
	picker := fieldPicker{fields: fields, used: make([]bool, len(fields))}
	for _, name := range s.result.Headers {
		if i, ok := picker.next(name); ok {
			c.field(fields[i], s.headers)
		}
	}
	value := s.field.Raw[len(s.field.Raw)-len(s.field.Value):]
	c.fieldParts(s.field, value[:s.start], value[s.end:], s.headers)
	return c.sum()
}

// bodyHash is the hash of a canonical body, or of its beginning.
type bodyHash struct {
	algorithm Canonicalization
	length    int64 // How much of it is hashed; negative is all.
	total     int64 // How long the canonical body is.
	sum       []byte
}

// bodyHashes hashes a body once for all signatures that want the same.
type bodyHashes struct {
	body []byte
	hash *canonHash // Used for headers too: its buffer is large.
	done []bodyHash
	// spent is what was spent on failing signatures.
	spent effort
}

func newBodyHashes(body []byte) *bodyHashes { return &bodyHashes{body: body, hash: newCanonHash()} }

func (b *bodyHashes) get(algorithm Canonicalization, length int64) bodyHash {
	for _, h := range b.done {
		if h.algorithm == algorithm && h.length == length {
			return h
		}
	}
	b.hash.reset(length)
	b.hash.body(b.body, algorithm)
	sum := b.hash.sum()
	h := bodyHash{algorithm, length, b.hash.total, sum}
	b.done = append(b.done, h)
	return h
}
