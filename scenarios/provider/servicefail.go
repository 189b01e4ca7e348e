package provider

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/net/http2"

	"github.com/doppelbox/doppelbox/keys"
)

// Failure is a way in which a fake service fails. Where the attempt's reason is
// that very failure by HTTP/1.1, the two have the same name.
type Failure string

// The failures.
const (
	FailTimeout Failure = "timeout" // It takes the request and never answers.
	FailReset   Failure = "reset"   // It takes the request and breaks the connection.

	// What is written of a header is text of HTTP/1.1. By HTTP/2, FailSlowHeader is
	// as FailTimeout, and FailCutHeader and FailBadResponse are as FailReset.
	FailSlowHeader  Failure = "slow-header"  // Its answer begins, and the header does not end in time.
	FailCutHeader   Failure = "cut-header"   // It closes the connection within the header.
	FailCutBody     Failure = "cut-body"     // It answers 200, and closes the connection within the body.
	FailBadResponse Failure = "bad-response" // Its answer is no HTTP.

	// By HTTP/2 it ends the connection with GOAWAY, and says that it has not
	// processed the request, or that it has accepted it. By HTTP/1.1, which has no
	// such words, it closes the connection.
	FailHTTP2Unprocessed Failure = "http2-unprocessed"
	FailHTTP2GoAway      Failure = "http2-goaway"

	// Those of TLS are of the whole host.
	FailTLS        Failure = "tls"                    // Its certificate is of an authority that nobody knows.
	FailTLSExpired Failure = "tls-expired"            // Its certificate has expired.
	FailTLSName    Failure = "tls-name"               // Its certificate is for another host.
	FailTLSVersion Failure = "tls-version"            // It speaks TLS 1.0 and 1.1 only.
	FailTLSClient  Failure = "tls-client-certificate" // It demands a certificate of the client.
	FailTLSNone    Failure = "tls-none"               // It speaks plain HTTP on its port.
)

// Failures returns every failure.
func Failures() []Failure {
	return []Failure{
		FailTimeout, FailReset, FailSlowHeader, FailCutHeader, FailCutBody, FailBadResponse, FailHTTP2Unprocessed, FailHTTP2GoAway,
		FailTLS, FailTLSExpired, FailTLSName, FailTLSVersion, FailTLSClient, FailTLSNone,
	}
}

// fail does to a request what a failing service does to it, and returns false if
// the failure is not one that is left for this moment.
func (f Failure) fail(w http.ResponseWriter, r *http.Request) bool {
	const begun = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
	switch f {
	case FailTimeout:
		breakConn(r, "", errTimedOut)
	case FailReset:
		breakConn(r, "", errReset)
	case FailSlowHeader:
		breakConn(r, begun, errTimedOut)
	case FailCutHeader:
		breakConn(r, begun, io.EOF)
	case FailBadResponse:
		breakConn(r, "+OK this is no HTTP\r\n\r\n", io.EOF)
	case FailHTTP2Unprocessed:
		goAway(r, 0)
	case FailHTTP2GoAway:
		goAway(r, 1)
	case FailCutBody:
		if r.ProtoMajor == 1 {
			breakConn(r, begun+"Content-Length: 100\r\n\r\nhalf of it", io.EOF)
			break
		}
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half of it")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler) // Which is how net/http is told to break a stream off.
	default:
		return false
	}
	return true
}

// breakConn ends the request's connection, so that the client reads a text, which
// only HTTP/1.1 can be, and then sees err.
func breakConn(r *http.Request, text string, err error) {
	c, ok := r.Context().Value(connKey{}).(*tls.Conn)
	if !ok {
		return
	}
	if text != "" && r.ProtoMajor == 1 {
		_, _ = io.WriteString(c, text) // A client that went away is its own loss.
	}
	if pipe, ok := c.NetConn().(*pipeConn); ok {
		pipe.fail(err)
	}
}

// goAway ends the request's connection as HTTP/2 does: last is the last stream
// that may have been processed, and the client's first one is 1.
func goAway(r *http.Request, last uint32) {
	if c, ok := r.Context().Value(connKey{}).(*tls.Conn); ok && r.ProtoMajor == 2 {
		// A frame is one write, which keeps it apart from those of the server.
		_ = http2.NewFramer(c, nil).WriteGoAway(last, http2.ErrCodeNo, nil)
	}
	breakConn(r, "", io.EOF)
}

// hostFailure returns how all of a host fails; empty if it does not.
func (s *services) hostFailure(name string) Failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hostFails(name)
}

// hostFails is hostFailure with mu held.
func (s *services) hostFails(name string) Failure {
	for key, service := range s.byURL {
		if hostOf(key) != name {
			continue
		}
		if i := slices.Index(Failures(), service.Fail); i >= slices.Index(Failures(), FailTLS) {
			return service.Fail
		}
	}
	return ""
}

// agree is how TLS is agreed on for the host that a client names.
func (s *services) agree(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	config := &tls.Config{GetCertificate: s.certificate, SessionTicketsDisabled: true, NextProtos: []string{http2.NextProtoTLS, "http/1.1"}, MinVersion: tls.VersionTLS12}
	switch s.hostFailure(lowerName(hello)) {
	case FailTLSVersion:
		config.MinVersion, config.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	case FailTLSClient:
		config.ClientAuth = tls.RequireAnyClientCert
	case FailTLSNone:
		_, _ = io.WriteString(hello.Conn, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
		return nil, errors.New("TLS, which this service does not speak")
	}
	return config, nil
}

// failingLeaf makes the certificate of a host that fails by it; nil if it does
// not. mu is held.
func (s *services) failingLeaf(name string) (*tls.Certificate, error) {
	var leaf tls.Certificate
	var err error
	switch s.hostFails(name) {
	case FailTLS:
		if s.stranger == nil {
			if s.stranger, err = keys.NewCA(keys.CAOptions{Name: "an unknown authority"}); err != nil {
				return nil, err
			}
		}
		leaf, err = s.stranger.Leaf(name)
	case FailTLSName:
		leaf, err = s.ca.Leaf("another-host.example")
	case FailTLSExpired:
		leaf, err = expiredLeaf(name)
	default:
		return nil, nil
	}
	return &leaf, err
}

// expiredLeaf makes a certificate that was valid for one day long ago. It is of
// its own authority, which nobody asks for any more.
func expiredLeaf(name string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "expired"},
		NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2020, 1, 2, 0, 0, 0, 0, time.UTC),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if addr, err := netip.ParseAddr(name); err == nil {
		template.IPAddresses = []net.IP{addr.AsSlice()}
	} else {
		template.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
