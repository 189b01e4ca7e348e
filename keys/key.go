package keys

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// keyBits is the size of a signing key, that of Google's.
const keyBits = 2048

// key is a signing key that is made when it is first needed. Its private part
// is behind two pointers, which fmt and encoding/json do not follow.
type key struct {
	once sync.Once
	made atomic.Pointer[material]
	err  error
}

// material is a made key. It does not change.
type material struct {
	id          string
	private     *rsa.PrivateKey
	certificate string // PEM.
	der         []byte // The same, in DER.
	signer      jose.Signer
}

// material returns the key, making it the first time.
func (k *key) material() (*material, error) {
	k.once.Do(func() {
		m, err := newMaterial()
		if err != nil {
			k.err = fmt.Errorf("making signing key: %w", err)
			return
		}
		k.made.Store(m)
	})
	return k.made.Load(), k.err
}

// knownID is the key's id, empty if it has not been made.
func (k *key) knownID() string {
	if k == nil {
		return ""
	}
	m := k.made.Load()
	if m == nil {
		return ""
	}
	return m.id
}

func newMaterial() (*material, error) {
	private, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, err
	}
	der, err := selfSigned(private)
	if err != nil {
		return nil, err
	}
	digest := sha1.Sum(der)
	id := hex.EncodeToString(digest[:])
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: private, KeyID: id}},
		new(jose.SignerOptions).WithType("JWT"))
	if err != nil {
		return nil, err
	}
	return &material{
		id:          id,
		private:     private,
		certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		der:         der,
		signer:      signer,
	}, nil
}

// selfSigned wraps a signing key in a certificate, as /oauth2/v1/certs
// publishes it. Verifiers take the key out and look at nothing else.
func selfSigned(private *rsa.PrivateKey) ([]byte, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	from, until := validity()
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "doppelbox test signing key"},
		NotBefore:             from,
		NotAfter:              until,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
	}
	return x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
}

// newSerial returns a positive serial number of at most 16 octets (RFC 5280
// 4.1.2.2 allows 20).
func newSerial() (*big.Int, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	return n.Add(n, big.NewInt(1)), nil
}

// validity is that of every certificate. It is fixed and wide, so that neither
// the machine's clock nor a provider's, wherever a test puts it, matters. 2049
// is the last year that fits UTCTime (RFC 5280 4.1.2.5).
func validity() (from, until time.Time) {
	return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2049, 12, 31, 23, 59, 59, 0, time.UTC)
}
