package mailauth

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"

	"github.com/doppelbox/doppelbox/policy"
)

const (
	// minKeyBits and maxKeyBits are the RSA keys that count. RFC 8301 3.2
	// forbids shorter ones and asks for up to 4096; beyond 8192 the work is an
	// attack.
	minKeyBits = 1024
	maxKeyBits = 8192
	// maxKeyRecord bounds a key record in octets. An 8192-bit key takes 1,400.
	maxKeyRecord = 8192
	// maxCachedKeys bounds a KeyCache: some 10 MB.
	maxCachedKeys = 4096
)

// dkimKey is a key record (RFC 6376 3.6.1).
type dkimKey struct {
	kind     string // k=: "rsa", "ed25519", or one that is not known.
	public   crypto.PublicKey
	bits     int
	testing  bool // t=y
	strict   bool // t=s
	sha256   bool // h= allows it.
	email    bool // s= allows it.
	problem  string
	reason   policy.Reason // With problem: ReasonKeySyntax or ReasonKeyRevoked.
	isRecord bool          // It looks like a key record at all.
}

// KeyCache remembers parsed keys by the text of their record. It is safe for
// concurrent use and bounded.
type KeyCache struct {
	mu   sync.Mutex
	keys map[string]*dkimKey
}

// NewKeyCache returns an empty cache.
func NewKeyCache() *KeyCache { return &KeyCache{keys: map[string]*dkimKey{}} }

// parse returns the key of a record. c may be nil.
func (c *KeyCache) parse(record string) *dkimKey {
	if c == nil {
		return parseKey(record)
	}
	c.mu.Lock()
	k := c.keys[record]
	c.mu.Unlock()
	if k != nil {
		return k
	}
	k = parseKey(record)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.keys) >= maxCachedKeys {
		clear(c.keys) // Rare enough that nothing cleverer pays.
	}
	c.keys[record] = k
	return k
}

// parseKey reads a key record. It always returns one, perhaps with a problem.
func parseKey(record string) *dkimKey {
	k := &dkimKey{kind: "rsa", sha256: true, email: true}
	if len(record) > maxKeyRecord {
		return k.broken("longer than %d octets", maxKeyRecord)
	}
	tags, err := parseTags(record)
	if err != nil {
		k.isRecord = strings.HasPrefix(record, "v=DKIM1")
		return k.broken("%v", err)
	}
	p, hasKey := tags.get("p")
	version, hasVersion := tags.get("v")
	k.isRecord = hasKey || version == "DKIM1"
	switch {
	case hasVersion && (version != "DKIM1" || tags[0].name != "v"):
		k.isRecord = false
		return k.broken("v= is not DKIM1 at the start")
	case !hasKey:
		return k.broken("p= is missing")
	}
	if v, ok := tags.get("k"); ok {
		k.kind = strings.ToLower(removeFWS(v))
	}
	if v, ok := tags.get("h"); ok {
		k.sha256 = hasWord(v, "sha256")
	}
	if v, ok := tags.get("s"); ok {
		k.email = hasWord(v, "email") || hasWord(v, "*")
	}
	if v, ok := tags.get("t"); ok {
		k.testing, k.strict = hasWord(v, "y"), hasWord(v, "s")
	}
	if p = removeFWS(p); p == "" {
		k.reason, k.problem = ReasonKeyRevoked, "p= is empty: the key is revoked"
		return k
	}
	der, err := base64.StdEncoding.DecodeString(p)
	if err != nil {
		return k.broken("p= is not base64")
	}
	k.readPublic(der)
	return k
}

func (k *dkimKey) broken(format string, args ...any) *dkimKey {
	k.reason, k.problem = ReasonKeySyntax, fmt.Sprintf(format, args...)
	return k
}

// readPublic reads p=. A kind that is not known is no mistake: the record is
// then for others.
func (k *dkimKey) readPublic(der []byte) {
	switch k.kind {
	case "rsa":
		var key *rsa.PublicKey
		// RFC 6376 3.6.1 names RSAPublicKey; its erratum and all signers use
		// SubjectPublicKeyInfo.
		if parsed, err := x509.ParsePKIXPublicKey(der); err == nil {
			key, _ = parsed.(*rsa.PublicKey)
		} else {
			key, _ = x509.ParsePKCS1PublicKey(der)
		}
		if key == nil {
			k.broken("p= is not an RSA key")
			return
		}
		k.public, k.bits = key, key.N.BitLen()
	case "ed25519":
		if len(der) != ed25519.PublicKeySize {
			k.broken("p= has %d octets; an Ed25519 key has %d", len(der), ed25519.PublicKeySize)
			return
		}
		k.public, k.bits = ed25519.PublicKey(der), 8*ed25519.PublicKeySize
	}
}

// hasWord reports whether a colon-separated list has a word.
func hasWord(list, word string) bool {
	for w := range strings.SplitSeq(list, ":") {
		if strings.EqualFold(strings.Trim(w, fws), word) {
			return true
		}
	}
	return false
}

// KeyRecord returns the text of the TXT record that publishes a key at
// "<selector>._domainkey.<domain>" (RFC 6376 3.6.1, RFC 8463 4). The key is an
// *rsa.PublicKey or an ed25519.PublicKey.
func KeyRecord(public crypto.PublicKey) (string, error) {
	switch key := public.(type) {
	case *rsa.PublicKey:
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			return "", fmt.Errorf("encoding RSA key: %w", err)
		}
		return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der), nil
	case ed25519.PublicKey:
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(key), nil
	}
	return "", fmt.Errorf("%w: %T", errKeyType, public)
}
