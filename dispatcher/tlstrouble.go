package dispatcher

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// tlsTrouble says what an error of TLS means; nil if it is another's. With TLS
// 1.3 a server may refuse the client when the handshake has ended for it, so
// that the alert comes where an answer is expected (RFC 8446 4.4.2.4).
func (p *progress) tlsTrouble(err error) *fault {
	var (
		record   tls.RecordHeaderError
		network  *net.OpError
		verified *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &verified):
		return p.certificateTrouble(verified)
	case p.stage == stageHandshake && errors.As(err, &record):
		return &fault{ReasonTLSNone, fmt.Errorf("%s does not speak TLS on this port: %s", p.place(), firstWords(record.RecordHeader[:]))}
	case errors.As(err, &network) && network.Op == "remote error":
		return p.alertTrouble(network.Err.Error())
	case p.stage == stageHandshake && strings.Contains(err.Error(), "server selected unsupported protocol version"):
		return p.oldVersion()
	case p.stage == stageHandshake && p.asked && broken(err):
		return p.clientCertificate()
	}
	return nil
}

// firstWords says what the first octets look like.
func firstWords(octets []byte) string {
	switch {
	case bytes.HasPrefix(octets, []byte("HTTP/")):
		return "it answered in plain HTTP"
	case bytes.HasPrefix(octets, []byte("SSH-")):
		return "it is an SSH server"
	}
	return "it began with " + strconv.Quote(string(octets))
}

// alertTrouble says why the server ended TLS. The words are those of
// crypto/tls for the alerts of RFC 8446 6.2, which has no other form of them.
func (p *progress) alertTrouble(alert string) *fault {
	switch strings.TrimPrefix(alert, "tls: ") {
	case "protocol version not supported", "insufficient security level":
		return p.oldVersion()
	case "certificate required":
		return p.clientCertificate()
	case "handshake failure", "bad certificate", "unknown certificate":
		if p.asked {
			return p.clientCertificate()
		}
		if strings.HasSuffix(alert, "handshake failure") {
			return &fault{ReasonTLSCipher, fmt.Errorf("%s gave up the TLS handshake: it has no cipher suite or key exchange in common with what is offered, which is that of TLS 1.2 and 1.3", p.place())}
		}
	case "no application protocol":
		return &fault{ReasonTLSOther, fmt.Errorf("%s gave up the TLS handshake: it speaks no version of HTTP that is offered", p.place())}
	case "unrecognized name":
		return &fault{ReasonTLSName, fmt.Errorf("%s gave up the TLS handshake: it knows no host %s", p.place(), p.host)}
	}
	return &fault{ReasonTLSOther, fmt.Errorf("%s ended TLS with the alert %q", p.place(), strings.TrimPrefix(alert, "tls: "))}
}

func (p *progress) oldVersion() *fault {
	return &fault{ReasonTLSVersion, fmt.Errorf("%s speaks no version of TLS that is offered: 1.2 and 1.3 are, and older ones are refused everywhere (RFC 8996)", p.place())}
}

func (p *progress) clientCertificate() *fault {
	return &fault{ReasonTLSClient, fmt.Errorf("%s demands a certificate of the client, and the provider has none to show", p.place())}
}

// certificateTrouble says why a certificate was not accepted.
func (p *progress) certificateTrouble(e *tls.CertificateVerificationError) *fault {
	var (
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
	)
	switch {
	case errors.As(e, &name):
		return &fault{ReasonTLSName, fmt.Errorf("the certificate of %s is for %s, and not for this host", p.place(), namesOf(name.Certificate))}
	case errors.As(e, &invalid) && invalid.Reason == x509.Expired:
		return &fault{ReasonTLSExpired, errors.New(p.expired(invalid.Cert))}
	case errors.As(e, &authority):
		return &fault{ReasonTLSAuthority, errors.New(p.untrusted(e.UnverifiedCertificates))}
	}
	return &fault{ReasonTLSOther, fmt.Errorf("the certificate of %s is not accepted: %w", p.place(), e.Err)}
}

// expired says when a certificate was or will be valid.
func (p *progress) expired(cert *x509.Certificate) string {
	const layout = "2006-01-02 15:04:05 UTC"
	which := "the certificate"
	if cert.IsCA {
		which = "a certificate of the authority"
	}
	if time.Now().Before(cert.NotBefore) {
		return fmt.Sprintf("%s of %s is not valid yet: it begins at %s", which, p.place(), cert.NotBefore.UTC().Format(layout))
	}
	return fmt.Sprintf("%s of %s expired at %s", which, p.place(), cert.NotAfter.UTC().Format(layout))
}

// untrusted says who signed a chain of certificates.
func (p *progress) untrusted(chain []*x509.Certificate) string {
	if len(chain) == 0 {
		return fmt.Sprintf("the certificate of %s is of an authority that is not trusted", p.place())
	}
	leaf := chain[0]
	if bytes.Equal(leaf.RawIssuer, leaf.RawSubject) && leaf.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature) == nil {
		return fmt.Sprintf("the certificate of %s is signed by itself, and not trusted", p.place())
	}
	text := fmt.Sprintf("the certificate of %s is signed by %q, which is not trusted", p.place(), leaf.Issuer.String())
	if len(chain) == 1 {
		text += "; or the service leaves out the certificate of an authority between"
	}
	return text
}

// maxNames bounds the names of a certificate that are told.
const maxNames = 8

// namesOf lists the names that a certificate is for.
func namesOf(cert *x509.Certificate) string {
	var names []string
	for _, n := range cert.DNSNames {
		names = append(names, strconv.Quote(n))
	}
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	switch more := len(names) - maxNames; {
	case len(names) == 0:
		return "no host (its common name does not count)"
	case more > 0:
		return strings.Join(names[:maxNames], ", ") + " and " + strconv.Itoa(more) + " more"
	}
	return strings.Join(names, ", ")
}
