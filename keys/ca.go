package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
)

// CA is a certificate authority for the HTTPS servers of one provider, or of
// many. It is made at start, which is why its keys are ECDSA P-256: that takes
// microseconds. It is safe for concurrent use.
//
// Go, OpenSSL, Node and Java accept its certificates. Apple's verifiers refuse
// them, because they are valid for more than 825 days.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// CAOptions are the settings of an authority.
type CAOptions struct {
	Name string // Common name; default "doppelbox test CA".
}

// NewCA makes an authority with a new key.
func NewCA(o CAOptions) (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making CA key: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, fmt.Errorf("making CA certificate: %w", err)
	}
	from, until := validity()
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: withDefault(o.Name, "doppelbox test CA")},
		NotBefore:             from,
		NotAfter:              until,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true, // It signs leaves and no further authority.
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("making CA certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("making CA certificate: %w", err)
	}
	return &CA{cert: cert, key: key}, nil
}

// PEM returns the authority's certificate, for whoever is to trust it.
func (c *CA) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.cert.Raw})
}

// Pool returns a new pool that holds the authority's certificate only.
func (c *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(c.cert)
	return pool
}

// String names the authority.
func (c *CA) String() string { return "keys.CA[" + c.cert.Subject.CommonName + "]" }

// GoString is String, so that %#v prints no more.
func (c *CA) GoString() string { return c.String() }

// Leaf makes a server certificate for DNS names (A-labels; "*." may stand in
// front) and IP addresses, with a new key that signs but cannot be read.
func (c *CA) Leaf(names ...string) (tls.Certificate, error) {
	if len(names) == 0 {
		return tls.Certificate{}, errors.New("making certificate: no name")
	}
	serial, err := newSerial()
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making certificate: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making certificate: %w", err)
	}
	keyID, err := subjectKeyID(&key.PublicKey)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making certificate: %w", err)
	}
	from, until := validity()
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               subject(names),
		NotBefore:             from,
		NotAfter:              until,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		SubjectKeyId:          keyID,
	}
	for _, name := range names {
		name, err := certName(name)
		if err != nil {
			return tls.Certificate{}, fmt.Errorf("making certificate: %w", err)
		}
		if addr, err := netip.ParseAddr(name); err == nil {
			template.IPAddresses = append(template.IPAddresses, net.IP(addr.AsSlice()))
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.cert, &key.PublicKey, c.key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: signer{key}, Leaf: leaf}, nil
}

// subject names a server. Some programs, fetchmail among them, want a common
// name beside the names that count; it has at most 64 octets (RFC 5280 appendix
// A.1).
func subject(names []string) pkix.Name {
	s := pkix.Name{Organization: []string{"doppelbox test server"}}
	if len(names) > 0 && len(names[0]) <= 64 {
		s.CommonName = names[0]
	}
	return s
}

// TLSConfig returns a server configuration that answers for the given names.
// Each gets a certificate of its own when a client first asks for it; they are
// kept, and there are no more of them than names. A client that names another
// host is refused, and told that it is another one. One that names none, as Java
// does not for "localhost" and nobody does for an address, gets a certificate for
// all names.
func (c *CA) TLSConfig(names ...string) (*tls.Config, error) {
	leaves := map[string]*leaf{"": {names: slices.Clone(names)}}
	for _, name := range names {
		name, err := certName(name)
		if err != nil {
			return nil, fmt.Errorf("making TLS configuration: %w", err)
		}
		if strings.HasPrefix(name, "*.") {
			return nil, fmt.Errorf("making TLS configuration: %q is not a single name", name)
		}
		leaves[name] = &leaf{names: []string{name}}
	}
	if len(leaves) == 1 {
		return nil, errors.New("making TLS configuration: no name")
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			l := leaves[strings.ToLower(hello.ServerName)]
			if l == nil {
				// To crypto/tls that means unrecognized_name, and an error would mean that
				// something is wrong with us.
				return nil, nil
			}
			l.once.Do(func() { l.cert, l.err = c.Leaf(l.names...) })
			return &l.cert, l.err
		},
	}, nil
}

// leaf is a server certificate that is made when it is first asked for.
type leaf struct {
	names []string
	once  sync.Once
	cert  tls.Certificate
	err   error
}

// certName returns a name in the form in which certificates hold it.
func certName(name string) (string, error) {
	if addr, err := netip.ParseAddr(name); err == nil && addr.Zone() == "" {
		return addr.Unmap().String(), nil
	}
	bad := fmt.Errorf("%q is neither an address nor a host name", name)
	lower := strings.ToLower(strings.TrimSuffix(name, "."))
	if len(lower) > 253 {
		return "", bad
	}
	for label := range strings.SplitSeq(strings.TrimPrefix(lower, "*."), ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return "", bad
		}
	}
	return lower, nil
}

// subjectKeyID is the identifier of RFC 7093 section 2 method 1: the first 160
// bits of the key's SHA-256 digest.
func subjectKeyID(public *ecdsa.PublicKey) ([]byte, error) {
	point, err := public.Bytes()
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(point)
	return digest[:20], nil
}

// signer hides a private key behind the one thing that TLS needs of it.
type signer struct{ key *ecdsa.PrivateKey }

func (s signer) Public() crypto.PublicKey { return s.key.Public() }

func (s signer) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.key.Sign(random, digest, opts)
}
