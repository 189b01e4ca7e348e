package smtpserver

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
)

// tlsPair is a server's TLS configuration and one that trusts it.
type tlsPair struct{ server, client *tls.Config }

func testTLS(t *testing.T) tlsPair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"mx.gmail.test"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tlsPair{
		server: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, SessionTicketsDisabled: true},
		client: &tls.Config{RootCAs: roots, ServerName: "mx.gmail.test"},
	}
}

func (c *client) startTLS(config *tls.Config) {
	c.t.Helper()
	c.send("STARTTLS\r\n")
	c.want("220 2.0.0 Ready to start TLS")
	conn := tls.Client(c.conn, config)
	if err := conn.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	c.conn, c.in = conn, bufio.NewReader(conn)
}

func TestStartTLS(t *testing.T) {
	t.Parallel()
	for name, dial := range map[string]func(*testing.T, *Server) *client{"pipe": dialPipe, "tcp": dialTCP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pair := testTLS(t)
			b := &box{}
			c := dial(t, newServer(t, b, func(o *Options) { o.TLSConfig = pair.server }))
			c.send("STARTTLS\r\n")
			c.want(helloFirst)
			c.send("EHLO before.example\r\n")
			c.want(strings.Replace(ehloReply, "250-8BITMIME\n", "250-8BITMIME\n250-STARTTLS\n", 1))
			c.cmd("STARTTLS now", "501-5.7.11 ")
			c.cmd("MAIL FROM:<before@sender.example>", "250")
			c.cmd("RCPT TO:<before@gmail.test>", "250")
			c.startTLS(pair.client)
			for _, line := range []string{"MAIL FROM:<a@sender.example>", "RCPT TO:<u@gmail.test>", "DATA", "BDAT 0 LAST"} {
				c.send(line + "\r\n")
				c.want(helloFirst)
			}
			c.send("EHLO after.example\r\n")
			c.want(ehloReply) // No STARTTLS.
			c.send("STARTTLS\r\n")
			c.want(badSequence)
			c.send("DATA\r\n")
			c.want(outOfSequence("MAIL first."))
			c.cmd("MAIL FROM:<a@sender.example>", "250")
			c.cmd("RCPT TO:<u@gmail.test>", "250")
			c.cmd("DATA", "354")
			c.cmd("x\r\n.", "250")
			c.cmd("QUIT", "221")
			c.wantEOF()
			m := b.one(t)
			if m.TLS == nil || m.TLS.Version != tls.VersionTLS13 || m.HELO != "after.example" || m.From != "a@sender.example" || len(m.Rcpts) != 1 {
				t.Errorf("got %+v", m)
			}
		})
	}
}

// TestStartTLSInjection: commands sent in the clear behind STARTTLS never run
// (CVE-2011-0411).
func TestStartTLSInjection(t *testing.T) {
	t.Parallel()
	for name, dial := range map[string]func(*testing.T, *Server) *client{"pipe": dialPipe, "tcp": dialTCP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dial(t, newServer(t, &box{}, func(o *Options) { o.TLSConfig = testTLS(t).server }))
			c.hello()
			c.send("STARTTLS\r\nNOOP\r\n")
			c.wantCode("523-5.7.10 ")
			c.wantEOF()
		})
	}
}

// TestStartTLSNoHandshake: plain text after 220 ends the session.
func TestStartTLSNoHandshake(t *testing.T) {
	t.Parallel()
	c := dialTCP(t, newServer(t, &box{}, func(o *Options) { o.TLSConfig = testTLS(t).server }))
	c.hello()
	c.cmd("STARTTLS", "220")
	c.send("EHLO client.example\r\nNOOP\r\n")
	// What comes is a TLS alert, if anything: not a reply.
	if got, _ := io.ReadAll(c.in); strings.Contains(string(got), "250") {
		t.Errorf("got %q", got)
	}
}

// TestFailedHandshakeIsLogged, without what the client sent, and there is nothing
// more to it: neither a reply nor a call of the Backend.
func TestFailedHandshakeIsLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	asked := 0
	b := &box{onAdmit: func(context.Context, *Envelope, Stage) *Reply { asked++; return nil }}
	s := newServer(t, b, func(o *Options) { o.TLSConfig, o.Logger = testTLS(t).server, logTo(&log) })
	got := converse(s, io.MultiReader(strings.NewReader("EHLO c\r\nSTARTTLS\r\n"), strings.NewReader("EHLO s3cret\r\nNOOP\r\n")))
	_, rest, _ := strings.Cut(got, "220 2.0.0 Ready to start TLS\r\n")
	if strings.Contains(rest, "gsmtp") || asked != 2 {
		t.Errorf("said %q, asked %d times", rest, asked)
	}
	if !strings.Contains(log.String(), "in TLS handshake") || strings.Contains(log.String(), "s3cret") {
		t.Errorf("log:\n%s", log.String())
	}
}

// TestCloseDuringHandshake: a client that never begins its handshake does not
// hold up Close.
func TestCloseDuringHandshake(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	defer near.Close()
	s := newServer(t, &box{}, func(o *Options) { o.TLSConfig = testTLS(t).server })
	served := make(chan struct{})
	go func() { defer close(served); s.ServeConn(far) }()
	c := &client{t: t, conn: near, in: bufio.NewReader(near)}
	c.wantCode("220")
	c.hello()
	c.cmd("STARTTLS", "220")
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	<-served
}
