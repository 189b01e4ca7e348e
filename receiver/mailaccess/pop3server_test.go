package mailaccess

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// popTLS makes a server's TLS configuration and one that trusts it.
func popTLS(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"pop.gmail.test"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, SessionTicketsDisabled: true},
		&tls.Config{RootCAs: roots, ServerName: "pop.gmail.test"}
}

// TestPOP3STLS: no login in the clear, and nothing said in the clear counts
// under TLS.
func TestPOP3STLS(t *testing.T) {
	t.Parallel()
	serverTLS, clientTLS := popTLS(t)
	b := newPOP3Box()
	s := newPOP3Server(t, b, func(o *Options) { o.TLSConfig, o.InsecureLogin = serverTLS, false })
	c := dialPOP3(t, s)
	const capa = "+OK\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n"
	c.do("CAPA\r\n", capa+"STLS\r\n.\r\n")
	const first = "-ERR [AUTH] log in with TLS only\r\n"
	c.do("USER alice\r\n", first)
	c.do("PASS open it\r\n", "-ERR say USER first\r\n")
	c.do("AUTH PLAIN AGFsaWNlAG9wZW4gaXQ=\r\n", first)
	c.do("AUTH PLAIN\r\n", first)
	c.do("STLS\r\n", "+OK begin TLS\r\n")
	conn := tls.Client(c.conn, clientTLS)
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	c.conn, c.in = conn, bufio.NewReader(conn)
	c.do("CAPA\r\n", capa+"USER\r\nSASL PLAIN\r\n.\r\n")
	c.do("STLS\r\n", "-ERR no such command now\r\n")
	c.do("USER alice\r\n", "+OK\r\n")
	c.do("PASS open it\r\n", "+OK logged in\r\n")
	c.do("QUIT\r\n", "+OK bye\r\n")
	c.want("EOF") // With TLS's own end: else it is an error.
	if got := b.said(); got != "pop3-1 TLS1_3 login \"alice\" \"\" false\n" {
		t.Errorf("got %s", got)
	}

	c = dialPOP3(t, s)
	c.do("STLS\r\nCAPA\r\n", "-ERR commands must not be pipelined after STLS\r\n")
	c.want("EOF")
	insecure := newPOP3Server(t, b, func(o *Options) { o.TLSConfig = serverTLS })
	c = dialPOP3(t, insecure)
	c.do("USER alice\r\n", "+OK\r\n")
	c.do("STLS\r\n", "+OK begin TLS\r\n")
	conn = tls.Client(c.conn, clientTLS)
	c.conn, c.in = conn, bufio.NewReader(conn)
	c.do("PASS open it\r\n", "-ERR say USER first\r\n")
}

// TestPOP3TCP: a listener with TLS from the first octet, and the end of a
// server with clients in every state.
func TestPOP3TCP(t *testing.T) {
	t.Parallel()
	serverTLS, clientTLS := popTLS(t)
	b := newPOP3Box()
	s := newPOP3Server(t, b, func(o *Options) { o.TLSConfig, o.InsecureLogin = serverTLS, false })
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	secure, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 2)
	go func() { served <- s.Serve(plain) }()
	go func() { served <- s.Serve(tls.NewListener(secure, serverTLS)) }()
	dial := func(l net.Listener) net.Conn {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	conn := tls.Client(dial(secure), clientTLS)
	c := &popClient{t: t, conn: conn, in: bufio.NewReader(conn)}
	c.want("+OK pop.gmail.test POP3 server ready\r\n")
	c.do("CAPA\r\n", "+OK\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nUSER\r\nSASL PLAIN\r\n.\r\n")
	c.do("USER alice\r\nPASS open it\r\nSTAT\r\nDELE 1\r\n", "+OK\r\n+OK logged in\r\n+OK 4 49\r\n+OK\r\n")
	if e := b.events[0]; e.Peer != netip.MustParseAddr("127.0.0.1") || e.TLS != "TLS1_3" || e.Protocol != POP3 {
		t.Errorf("got %+v", e)
	}
	silent := dial(secure) // Never begins its handshake.
	waiting := dial(plain)
	c2 := &popClient{t: t, conn: waiting, in: bufio.NewReader(waiting)}
	c2.want("+OK pop.gmail.test POP3 server ready\r\n")
	c2.do("STLS\r\n", "+OK begin TLS\r\n")
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := <-served; err != nil {
			t.Error(err)
		}
	}
	for _, conn := range []net.Conn{silent, waiting, conn} {
		if _, err := io.ReadAll(conn); errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	}
	if kept := s.opts.Changes.Keep("alice", []Message{{ID: "id1"}}); len(kept) != 1 {
		t.Error("Close has deleted a message")
	}
	if err := s.Serve(plain); err != nil {
		t.Error(err)
	}
	near, far := net.Pipe()
	s.ServeConn(far)
	if _, err := near.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("served after Close: %v", err)
	}
}

// TestPOP3Close: Close ends the context of the Backend, and waits for it.
func TestPOP3Close(t *testing.T) {
	t.Parallel()
	b := newPOP3Box()
	reading, ended := make(chan struct{}), false
	b.onRead = func(ctx context.Context) error {
		close(reading)
		<-ctx.Done()
		ended = true
		return ctx.Err()
	}
	s := newPOP3Server(t, b, nil)
	c := dialPOP3(t, s)
	c.do("USER alice\r\n", "+OK\r\n")
	c.do("PASS open it\r\n", "+OK logged in\r\n")
	c.do("RETR 1\r\n", "")
	<-reading
	if err := s.Close(); err != nil || !ended {
		t.Errorf("ended %v, %v", ended, err)
	}
}

// TestPOP3Idle: a client that is silent, or that reads nothing, is given up.
func TestPOP3Idle(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		piece string // Sent again and again.
		after time.Duration
	}{
		"silent":       {"", pop3Idle},
		"slow":         {"x", pop3Idle},
		"not reading":  {"USER alice\r\n", pop3Write},
		"never closes": {"NOOP \r\n", pop3Write},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newPOP3Server(t, newPOP3Box(), nil)
				near, far := net.Pipe()
				done := make(chan struct{})
				go func() {
					defer close(done)
					if _, err := bufio.NewReader(near).ReadString('\n'); err != nil {
						t.Error(err)
					}
					for tt.piece != "" {
						if _, err := io.WriteString(near, tt.piece); err != nil {
							return
						}
						time.Sleep(5 * time.Second)
					}
				}()
				start := time.Now()
				s.ServeConn(far)
				if d := time.Since(start); d != tt.after {
					t.Errorf("after %v, want %v", d, tt.after)
				}
				near.Close()
				<-done
			})
		})
	}
}

// TestPOP3Full: one connection too many is told so, and the others go on.
func TestPOP3Full(t *testing.T) {
	t.Parallel()
	s := newPOP3Server(t, newPOP3Box(), nil)
	var c *popClient
	for range pop3Connections {
		c = dialPOP3(t, s)
	}
	near, far := net.Pipe()
	done := make(chan struct{})
	go func() { defer close(done); s.ServeConn(far) }()
	(&popClient{t: t, conn: near, in: bufio.NewReader(near)}).want("-ERR [SYS/TEMP] too many connections, come again later\r\n")
	<-done
	c.do("QUIT\r\n", "+OK bye\r\n")
	c.want("EOF")
	<-c.served
	dialPOP3(t, s)
}

func TestNewPOP3(t *testing.T) {
	t.Parallel()
	_, err := NewPOP3(Options{Hostname: "a b"})
	if err == nil || err.Error() != "configuring POP3 server: no backend\nhost name \"a b\" is empty or not plain ASCII" {
		t.Errorf("got %v", err)
	}
}
