package keys

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"
	"slices"
	"strings"
	"time"
)

// TrustedKeys are the keys with which tokens are verified. The zero value has
// none.
type TrustedKeys struct {
	keys []trusted
	// named: every token names its key, as the provider's do.
	named bool
	// withdrawn is the id of a key that was published once.
	withdrawn string
}

// trusted is one key.
type trusted struct {
	id        string
	algorithm string   // The only one it is for; empty: any that fits.
	use       string   // As in a JWK; empty: any.
	ops       []string // Likewise.
	// public is a *rsa.PublicKey, an *ecdsa.PublicKey, an ed25519.PublicKey or,
	// of a symmetric algorithm, a []byte.
	public   any
	unusable string // Why it verifies nothing.
	state    KeyState
	until    time.Time
}

// Len returns the number of keys.
func (k TrustedKeys) Len() int { return len(k.keys) }

// Trusted are the keys that are published now. One that has not been made has
// signed nothing, and is not made for this.
func (s *Set) Trusted() TrustedKeys { return s.view().trusted() }

func (v view) trusted() TrustedKeys {
	k := TrustedKeys{named: true, withdrawn: v.withdrawn.knownID()}
	for _, p := range v.published() {
		if m := p.key.made.Load(); m != nil {
			k.keys = append(k.keys, trusted{id: m.id, algorithm: "RS256", public: &m.private.PublicKey, state: p.state, until: p.until})
		}
	}
	return k
}

// key finds the keys with which a token may be verified.
func (x *examiner) key(j *jws) []trusted {
	if j == nil {
		x.skip("key", "there is no header")
		return nil
	}
	candidates, reason, detail := x.keys.candidates(j)
	if reason != "" {
		x.fail("key", reason, ErrUnknownKey, "%s", detail)
		return nil
	}
	var fit []trusted
	for _, k := range candidates {
		why, text := k.refuses(j.alg)
		if why == "" {
			fit = append(fit, k)
		} else if reason == "" {
			reason, detail = why, text
		}
	}
	switch {
	case len(fit) == 1 && !fit[0].until.IsZero():
		x.pass("key", "%s, %s until %s", quoted(fit[0].id), fit[0].state, stamp(fit[0].until))
	case len(fit) == 1 && fit[0].state != "":
		x.pass("key", "%s, %s", quoted(fit[0].id), fit[0].state)
	case len(fit) == 1:
		x.pass("key", "%s", quoted(fit[0].id))
	case len(fit) > 1:
		x.pass("key", "%d that fit", len(fit))
	default:
		x.fail("key", reason, ErrKey, "%s%s", detail, others(j))
	}
	return fit
}

// candidates are the keys that a token may mean.
func (k TrustedKeys) candidates(j *jws) (list []trusted, reason, detail string) {
	if len(k.keys) == 0 && !k.named {
		return nil, "key-unknown", "there is no key"
	}
	if !j.hasKid {
		if k.named {
			return nil, "kid-missing", "there is no kid" + others(j)
		}
		return k.keys, "", ""
	}
	anonymous := true
	for _, t := range k.keys {
		anonymous = anonymous && t.id == ""
		if t.id == j.kid {
			list = append(list, t)
		}
	}
	switch {
	case len(list) > 0:
		return list, "", ""
	case anonymous && !k.named:
		return k.keys, "", "" // Keys without ids; kid is a hint (RFC 7515 4.1.4).
	case j.kid != "" && j.kid == k.withdrawn:
		return nil, "key-withdrawn", quoted(j.kid) + ", which was withdrawn"
	}
	return nil, "key-unknown", quoted(j.kid) + others(j)
}

// others tells of keys that a token brings or points to (RFC 7515 4.1.2, 4.1.3,
// 4.1.5, 4.1.6), which are not looked at.
func others(j *jws) string {
	var names []string
	for _, name := range []string{"jku", "jwk", "x5u", "x5c"} {
		if _, ok := j.header[name]; ok {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "; " + strings.Join(names, " and ") + " of the header not followed"
}

// refuses says why a key must not verify a signature of an algorithm: a reason,
// empty if it may, and a detail.
func (t trusted) refuses(alg string) (reason, detail string) {
	switch {
	case t.unusable != "":
		return "key-unusable", fmt.Sprintf("%s: %s", quoted(t.id), t.unusable)
	case t.use != "" && t.use != "sig":
		return "key-use", fmt.Sprintf("%s has use %s, not \"sig\"", quoted(t.id), quoted(t.use))
	case t.ops != nil && !slices.Contains(t.ops, "verify"):
		return "key-ops", fmt.Sprintf("%s has key_ops %s without \"verify\"", quoted(t.id), quoted(strings.Join(t.ops, " ")))
	case t.algorithm != "" && t.algorithm != alg:
		return "key-algorithm", fmt.Sprintf("%s is for %s, not for %s", quoted(t.id), quoted(t.algorithm), quoted(alg))
	case !t.fits(alg):
		return "key-type", fmt.Sprintf("%s is %s, which is not for %s", quoted(t.id), t.kind(), quoted(alg))
	}
	if secret, ok := t.public.([]byte); ok {
		// RFC 7518 3.2.
		if want := map[string]int{"HS256": 32, "HS384": 48, "HS512": 64}[alg]; len(secret) < want {
			return "key-unusable", fmt.Sprintf("%s has %d octets, fewer than %d", quoted(t.id), len(secret), want)
		}
	}
	return "", ""
}

// fits says whether keys of this kind sign by an algorithm. Nothing but a
// secret is one of HMAC: not the text of a public key either.
func (t trusted) fits(alg string) bool {
	switch key := t.public.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS")
	case *ecdsa.PublicKey:
		return alg == curveAlgorithm(key)
	case ed25519.PublicKey:
		return alg == "EdDSA"
	case []byte:
		return strings.HasPrefix(alg, "HS")
	}
	return false
}

func (t trusted) kind() string {
	switch key := t.public.(type) {
	case *rsa.PublicKey:
		return "an RSA key"
	case *ecdsa.PublicKey:
		return "an EC key of " + key.Curve.Params().Name
	case ed25519.PublicKey:
		return "an Ed25519 key"
	}
	return "a secret"
}

// curveAlgorithm is the one algorithm of a curve (RFC 7518 3.4).
func curveAlgorithm(key *ecdsa.PublicKey) string {
	switch key.Curve {
	case elliptic.P256():
		return "ES256"
	case elliptic.P384():
		return "ES384"
	case elliptic.P521():
		return "ES512"
	}
	return ""
}
