package provider

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/doppelbox/doppelbox/receiver/mailbox"
)

// Result types of RFC 8460 4.3.
const (
	resultNoSTARTTLS  = "starttls-not-supported"
	resultName        = "certificate-host-mismatch"
	resultExpired     = "certificate-expired"
	resultNotTrusted  = "certificate-not-trusted"
	resultOther       = "validation-failure"
	resultFetch       = "sts-policy-fetch-error"
	resultPolicy      = "sts-policy-invalid"
	resultPolicyTrust = "sts-webpki-invalid"
)

// hand hands a mail to the server at the end of a way. Without a policy TLS is
// used if it can be, and whoever the server is (RFC 7435); what is wrong with
// its certificate is only noted. Under a policy that is enforced, nothing is
// sent to a server that does not keep to it (RFC 8461 5). The session is nil if
// it ended before TLS was spoken of.
func (w *World) hand(ctx context.Context, p *Provider, out way, m Mail) (Reply, *mailbox.TLSSession, error) {
	asks := w.asksTLS(ctx, out.domain)
	s := &mailbox.TLSSession{
		At: w.clock.Now(), From: p.outgoingAddress(), Host: out.host, Policy: asks.TLSPolicy, Result: asks.result, Problem: asks.problem,
		Unfetched: asks.unfetched,
	}
	if asks.policy != nil && !asks.policy.Permits(out.host) {
		s.Result, s.Problem = resultOther, fmt.Sprintf("the policy does not name the MX host %s", out.host)
		if asks.enforced() {
			return Reply{}, s, errors.New("MTA-STS: " + s.Problem)
		}
	}
	roots := w.ca.Pool()
	if !out.inside {
		var err error
		if roots, err = w.trusted(); err != nil {
			return Reply{}, nil, err
		}
	}
	var invalid error
	m.use = &tlsUse{required: asks.enforced()}
	m.TLS = verifying(out.host, roots, m.use.required, &invalid)
	reply, err := w.handOver(ctx, out, s, m)
	use := m.use
	if use.err != nil && !use.required && ctx.Err() == nil {
		// The server cannot be spoken with in TLS: better without than not.
		m.TLS = nil
		reply, err = w.handOver(ctx, out, s, m)
	}
	if !use.asked {
		return reply, nil, err
	}
	if use.state != nil {
		s.TLS = tlsVersion(use.state.Version)
	}
	if s.Result == "" {
		s.Result, s.Problem = tlsResult(use, invalid)
	}
	return reply, s, err
}

// handOver connects and sends.
func (w *World) handOver(ctx context.Context, out way, s *mailbox.TLSSession, m Mail) (Reply, error) {
	conn, err := out.dial(ctx)
	if err != nil {
		return Reply{}, err
	}
	if a, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil && !out.inside {
		s.Addr = a.Addr().Unmap()
	}
	return Send(ctx, conn, m)
}

// verifying is how a server is verified that has to be a host. What is wrong
// with its certificate is noted, and ends the handshake if it is required.
func verifying(host string, roots *x509.CertPool, required bool, invalid *error) *tls.Config {
	return &tls.Config{
		ServerName: host, MinVersion: tls.VersionTLS12,
		InsecureSkipVerify: true, // VerifyConnection verifies.
		VerifyConnection: func(state tls.ConnectionState) error {
			o := x509.VerifyOptions{DNSName: host, Roots: roots, Intermediates: x509.NewCertPool()}
			for _, c := range state.PeerCertificates[1:] {
				o.Intermediates.AddCert(c)
			}
			_, *invalid = state.PeerCertificates[0].Verify(o)
			if required {
				return *invalid
			}
			return nil
		},
	}
}

// tlsResult is the result type of a session, and the problem for people; both
// are empty if all was well.
func tlsResult(use *tlsUse, invalid error) (result, problem string) {
	if !use.offered {
		return resultNoSTARTTLS, errNoSTARTTLS.Error()
	}
	err := invalid
	if err == nil {
		err = use.err
	}
	var (
		name      x509.HostnameError
		cert      x509.CertificateInvalidError
		authority x509.UnknownAuthorityError
	)
	switch {
	case err == nil && use.state == nil:
		return resultOther, "the session ended before TLS was begun"
	case err == nil:
		return "", ""
	case errors.As(err, &name):
		return resultName, err.Error()
	case errors.As(err, &cert) && cert.Reason == x509.Expired:
		return resultExpired, err.Error()
	case errors.As(err, &cert), errors.As(err, &authority):
		return resultNotTrusted, err.Error()
	}
	return resultOther, err.Error()
}

// tlsVersion writes a version as Gmail does (gmail-inbound.md 3.1).
func tlsVersion(version uint16) string {
	return strings.ReplaceAll(strings.ReplaceAll(tls.VersionName(version), " ", ""), ".", "_")
}
