package keys

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"strings"
	"testing"
	"time"
)

func newCA(t *testing.T) *CA {
	t.Helper()
	ca, err := NewCA(CAOptions{Name: "test CA"})
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func TestLeafVerifies(t *testing.T) {
	t.Parallel()
	ca := newCA(t)
	cert, err := ca.Leaf("Shop.Example", "*.gmail.test", "127.0.0.1", "::1")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"shop.example", "w7.gmail.test", "127.0.0.1", "[::1]"} {
		for _, year := range []int{2001, 2026, 2049} {
			_, err := cert.Leaf.Verify(x509.VerifyOptions{
				DNSName:     name,
				Roots:       ca.Pool(),
				CurrentTime: time.Date(year, 6, 1, 0, 0, 0, 0, time.UTC),
			})
			if err != nil {
				t.Errorf("%s in %d: %v", name, year, err)
			}
		}
	}
	if _, err := cert.Leaf.Verify(x509.VerifyOptions{DNSName: "other.example", Roots: ca.Pool()}); err == nil {
		t.Error("the certificate is good for another name")
	}
	if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: newCA(t).Pool()}); err == nil {
		t.Error("another authority of the same name vouches for the certificate")
	}
	if len(cert.Leaf.SubjectKeyId) == 0 || !bytes.Equal(cert.Leaf.AuthorityKeyId, ca.cert.SubjectKeyId) {
		t.Error("key identifiers do not chain")
	}
	block, rest := pem.Decode(ca.PEM())
	if block == nil || !bytes.Equal(block.Bytes, ca.cert.Raw) || len(rest) != 0 {
		t.Error("PEM is not the certificate alone")
	}
}

func TestLeafNames(t *testing.T) {
	t.Parallel()
	ca := newCA(t)
	for _, names := range [][]string{{}, {""}, {"."}, {"a..b"}, {"bücher.example"}, {"a b"}, {"*"}, {"a.*.b"}, {"fe80::1%eth0"},
		{"shop.example", "https://shop.example"}, {strings.Repeat("a", 64) + ".example"}} {
		if _, err := ca.Leaf(names...); err == nil {
			t.Errorf("a certificate for %q was made", names)
		}
		if _, err := ca.TLSConfig(names...); err == nil {
			t.Errorf("a configuration for %q was made", names)
		}
	}
	if _, err := ca.TLSConfig("*.gmail.test"); err == nil {
		t.Error("a configuration for a wildcard was made")
	}
}

func TestTLSConfig(t *testing.T) {
	t.Parallel()
	ca := newCA(t)
	config, err := ca.TLSConfig("www.googleapis.com", "accounts.google.com", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	handshake := func(serverName string) (*x509.Certificate, error) {
		client, server := net.Pipe()
		done := make(chan error, 1)
		go func() {
			done <- tls.Server(server, config).Handshake()
			server.Close()
		}()
		defer func() { client.Close(); <-done }()
		conn := tls.Client(client, &tls.Config{ServerName: serverName, RootCAs: ca.Pool()})
		if err := conn.Handshake(); err != nil {
			return nil, err
		}
		return conn.ConnectionState().PeerCertificates[0], nil
	}
	first, err := handshake("accounts.google.com")
	if err != nil {
		t.Fatal(err)
	}
	second, err := handshake("ACCOUNTS.google.com")
	if err != nil {
		t.Fatal(err)
	}
	if !first.Equal(second) || len(first.DNSNames) != 1 {
		t.Errorf("certificates %v and %v are not one and the same", first.DNSNames, second.DNSNames)
	}
	if _, err := handshake("shop.example"); err == nil || err.Error() != "remote error: tls: unrecognized name" {
		t.Errorf("to a name that is not allowed the answer is %v", err)
	}

	// For an address a client sends no name.
	all, err := handshake("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	if len(all.DNSNames) != 2 || len(all.IPAddresses) != 1 {
		t.Errorf("without a name the certificate is for %v and %v", all.DNSNames, all.IPAddresses)
	}
}
