package dispatcher

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// linger closes a connection so that the other side sees a reset.
func linger(conn net.Conn) {
	if socket, ok := conn.(*net.TCPConn); ok {
		_ = socket.SetLinger(0)
	}
	conn.Close()
}

// TestTroubleOnTheWire has a service on a real socket for everything that goes
// wrong there, and reads what is said of it.
func TestTroubleOnTheWire(t *testing.T) {
	t.Parallel()
	old := func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }
	after := func(then func(net.Conn)) func(net.Conn) {
		return func(conn net.Conn) { answer("")(conn); then(conn.(*tls.Conn).NetConn()) }
	}
	hello := func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1<<16)) }
	const head = "HTTP/1.1 200 OK\r\n"
	tests := []struct {
		name   string
		config func(*tls.Config) // Nil: the service of the row speaks no TLS.
		handle func(net.Conn)
		reason Reason
		status int
		says   string // With * for host, address and port.
	}{
		{"closed in the handshake", nil, hello, ReasonReset, 0, "* closed the connection during the TLS handshake; it may not speak TLS on this port, or not know the name shop.example"},
		{"reset in the handshake", nil, func(c net.Conn) { hello(c); linger(c) }, ReasonReset, 0, "* reset the connection during the TLS handshake; it may not speak TLS on this port, or not know the name shop.example"},
		{"plain HTTP", nil, func(c net.Conn) { hello(c); _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }, ReasonTLSNone, 0, "* does not speak TLS on this port: it answered in plain HTTP"},
		{"SSH", nil, func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-OpenSSH_9.9\r\n"); hello(c) }, ReasonTLSNone, 0, "* does not speak TLS on this port: it is an SSH server"},
		{"garbage for TLS", nil, func(c net.Conn) { hello(c); _, _ = io.WriteString(c, "220 mail.example") }, ReasonTLSNone, 0, `* does not speak TLS on this port: it began with "220 m"`},
		{"TLS 1.1", old, answer(""), ReasonTLSVersion, 0, "* speaks no version of TLS that is offered: 1.2 and 1.3 are, and older ones are refused everywhere (RFC 8996)"},
		{"no common cipher", func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}
		}, answer(""), ReasonTLSCipher, 0, "* gave up the TLS handshake: it has no cipher suite or key exchange in common with what is offered, which is that of TLS 1.2 and 1.3"},
		{"client certificate, TLS 1.3", func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }, answer(""), ReasonTLSClient, 0, "* demands a certificate of the client, and the provider has none to show"},
		{"client certificate, TLS 1.2", func(c *tls.Config) { c.ClientAuth, c.MaxVersion = tls.RequireAnyClientCert, tls.VersionTLS12 }, answer(""), ReasonTLSClient, 0, "* demands a certificate of the client, and the provider has none to show"},
		{"client certificate not needed", func(c *tls.Config) { c.ClientAuth = tls.RequestClientCert }, answer(head + "Content-Length: 0\r\n\r\n"), "", 200, ""},
		{"no HTTP offered", func(c *tls.Config) { c.NextProtos = []string{"imap"} }, answer(""), ReasonTLSOther, 0, "* gave up the TLS handshake: it speaks no version of HTTP that is offered"},

		{"closed after the request", same, answer(""), ReasonReset, 0, "* closed the connection after the request, without an answer; it may have carried the request out"},
		{"reset after the request", same, after(linger), ReasonReset, 0, "* reset the connection after the request, without an answer; it may have carried the request out"},
		{"closed in the header", same, answer(head + "X: y"), ReasonReset, 0, "* closed the connection after 21 octets of the answer's header, before its end; it may have carried the request out"},
		{"closed after an interim answer", same, answer("HTTP/1.1 100 Continue\r\n\r\n"), ReasonReset, 0, "* closed the connection after the interim answer 100, without one that ends the request; it may have carried the request out"},
		{"closed in the header after an interim answer", same, answer("HTTP/1.1 100 Continue\r\n\r\n" + head), ReasonReset, 0, "* closed the connection after 17 octets of the answer's header, before its end; it may have carried the request out"},
		{"huge header", same, answer(head + strings.Repeat("X-Filler: abcdefgh\r\n", 4000)), ReasonBadResponse, 0, "the answer's header from * is longer than 65536 octets"},
		{"header of one line", same, answer(head + "X: " + strings.Repeat("y", 1<<20)), ReasonBadResponse, 0, "the answer's header from * is longer than 65536 octets"},
		{"too many 1xx", same, answer(strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 50)), ReasonBadResponse, 0, "* sent more than 8 interim (1xx) answers, and none that ends the request"},
		{"switches protocols", same, answer("HTTP/1.1 101 Switching\r\n\r\n"), ReasonBadResponse, 0, "* switches to another protocol, which was not asked for"},
		{"HTTP/2 though HTTP/1.1 was agreed", same, answer("\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64"), ReasonBadResponse, 0, "* speaks HTTP/2, though HTTP/1.1 was agreed"},
		{"no HTTP", same, answer("+OK POP3 ready"), ReasonBadResponse, 0, `the answer of * is not HTTP: it begins with "+OK POP3 ready"`},

		{"body too short", same, answer(head + "Content-Length: 10\r\n\r\nhalf"), "", 200, "the answer counts, but its body broke off after 4 octets: the service closed the connection, and had announced 10"},
		{"chunks cut off", same, answer(head + "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"), "", 200, "the answer counts, but its body broke off after 4 octets: the service closed the connection before its end"},
		{"bad chunks", same, answer(head + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n"), "", 200, "the answer counts, but its body broke off after 0 octets: invalid byte in chunk length"},
		{"cut off, of another status", same, answer("HTTP/1.1 500 No\r\nContent-Length: 10\r\n\r\nhalf"), ReasonStatus, 500, "the answer counts, but its body broke off after 4 octets: the service closed the connection, and had announced 10"},
		{"endless body", same, func(c net.Conn) {
			answer(head + "\r\n")(c)
			for block := make([]byte, 4096); ; {
				if _, err := c.Write(block); err != nil {
					return
				}
			}
		}, "", 200, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, Options{})
			l := b.listen(t, func(raw net.Conn) {
				if tt.config == nil {
					tt.handle(raw)
					return
				}
				config := b.authority.server(t, host, b.authority.cert.NotAfter)
				tt.config(config)
				conn := tls.Server(raw, config)
				tt.handle(conn)
				_ = conn.CloseWrite()
				// What was written must arrive, and is not to be lost by a reset.
				_, _ = io.Copy(io.Discard, raw)
			})
			a := b.run(t, approve())
			want := strings.ReplaceAll(tt.says, "*", host+" ("+l.Addr().String()+")")
			if a.Reason != tt.reason || a.Status != tt.status || a.Error != want {
				t.Errorf("%s, %d\ngot  %s\nwant %s", a.Reason, a.Status, a.Error, want)
			}
			if len(a.Body) > DefaultMaxBody {
				t.Errorf("%d octets of the body are kept", len(a.Body))
			}
		})
	}
}

func same(*tls.Config) {}

// TestCertificateTrouble reads what is said of certificates.
func TestCertificateTrouble(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	stranger := newAuthority(t)
	for name, tt := range map[string]struct {
		config *tls.Config
		reason Reason
		says   string
	}{
		"expired": {b.authority.server(t, host, time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)), ReasonTLSExpired, "the certificate of * expired at 2020-01-02 03:04:05 UTC"},
		"not yet valid": {b.authority.issue(t, func(c *x509.Certificate) {
			c.DNSNames, c.NotBefore = []string{host}, time.Date(2048, 1, 2, 3, 4, 5, 0, time.UTC)
		}), ReasonTLSExpired, "the certificate of * is not valid yet: it begins at 2048-01-02 03:04:05 UTC"},
		"other names": {b.authority.issue(t, func(c *x509.Certificate) {
			c.DNSNames, c.IPAddresses = []string{"other.example", "*.other.example"}, []net.IP{net.IPv4(192, 0, 2, 1)}
		}), ReasonTLSName, `the certificate of * is for "other.example", "*.other.example", 192.0.2.1, and not for this host`},
		"many names": {b.authority.issue(t, func(c *x509.Certificate) {
			c.DNSNames = strings.Split(strings.Repeat("a.example ", 99)+"a.example", " ")
		}), ReasonTLSName, `the certificate of * is for ` + strings.Repeat(`"a.example", `, 7) + `"a.example" and 92 more, and not for this host`},
		"no names":          {b.authority.issue(t, func(c *x509.Certificate) { c.Subject.CommonName = host }), ReasonTLSName, "the certificate of * is for no host (its common name does not count), and not for this host"},
		"unknown authority": {stranger.server(t, host, stranger.cert.NotAfter), ReasonTLSAuthority, `the certificate of * is signed by "CN=authority", which is not trusted; or the service leaves out the certificate of an authority between`},
		"self-signed":       {selfSigned(t), ReasonTLSAuthority, "the certificate of * is signed by itself, and not trusted"},
		"for clients": {b.authority.issue(t, func(c *x509.Certificate) {
			c.DNSNames, c.ExtKeyUsage = []string{host}, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		}), ReasonTLSOther, "the certificate of * is not accepted: x509: certificate specifies an incompatible key usage"},
	} {
		l := b.listen(t, func(raw net.Conn) { answer("")(tls.Server(raw, tt.config)) })
		a := b.run(t, withToken(approve()))
		want := strings.Replace(tt.says, "*", host+" ("+l.Addr().String()+")", 1)
		if a.Reason != tt.reason || a.Error != want || a.Sent != nil {
			t.Errorf("%s: %s\ngot  %s\nwant %s", name, a.Reason, a.Error, want)
		}
	}
}

// TestTroubleInTime has the time end at each stage.
func TestTroubleInTime(t *testing.T) {
	t.Parallel()
	silent := func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }
	for name, tt := range map[string]struct {
		dial   func(context.Context) (net.Conn, error) // Nil: the service of the row.
		handle func(net.Conn)
		says   string
	}{
		"connecting": {func(ctx context.Context) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }, nil,
			"shop.example (in-process) had not taken the connection; nothing may be there, or a firewall drops what it is sent"},
		"handshake": {nil, silent, "shop.example (in-process) had taken the connection, and not finished the TLS handshake; it may be overloaded, or expect another protocol on this port"},
		"sending":   {nil, nil, "shop.example (in-process) had taken 0 of the request's 265 octets, and stopped reading"},
		"waiting":   {nil, func(conn net.Conn) { answer("")(conn); silent(conn) }, "the request was sent, and the service had not begun its answer; it may still carry the request out"},
		"interim":   {nil, func(conn net.Conn) { answer("HTTP/1.1 103 Early Hints\r\n\r\n")(conn); silent(conn) }, "the request was sent, and the service had not gone beyond the interim answer 103; it may still carry the request out"},
		"header":    {nil, func(conn net.Conn) { answer("HTTP/1.1 200")(conn); silent(conn) }, "the request was sent, and 12 octets of the answer's header had come, but not its end; the service may still carry the request out"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, Options{})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				switch {
				case tt.dial != nil:
					if err := b.guard.RouteConn(host, tt.dial); err != nil {
						t.Fatal(err)
					}
				case name == "handshake":
					b.serveRaw(t, tt.handle)
				case name == "sending":
					b.serve(t, func(conn net.Conn) {
						if conn.(*tls.Conn).Handshake() == nil {
							<-ctx.Done()
						}
					})
				default:
					b.serve(t, tt.handle)
				}
				r := approve()
				r.Timeout = 90 * time.Second
				if a := b.run(t, r); a.Reason != ReasonTimeout || a.Took != r.Timeout || a.Error != "no answer within 1m30s: "+tt.says {
					t.Errorf("%s after %s: %s", a.Reason, a.Took, a.Error)
				}
			})
		})
	}
}

// TestTriedInTime has addresses that do not take a connection: each has its share
// of the time, and that is what is said of it.
func TestTriedInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		ctx, cancel := context.WithTimeoutCause(t.Context(), 30*time.Second, errLimit)
		defer cancel()
		list := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:443"), netip.MustParseAddrPort("127.0.0.2:443"), netip.MustParseAddrPort("[::1]:443")}
		p, a := &progress{stage: stageConnect, host: host, limit: 30 * time.Second}, new(Attempt)
		conn, at, err := firstOf(ctx, list, p, a, func(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
			if addr == list[2] {
				return nil, nil
			}
			<-ctx.Done()
			return nil, ctx.Err()
		})
		if conn != nil || at != list[2] || err != nil || time.Since(begin) != 20*time.Second || p.limit != 30*time.Second {
			t.Errorf("%v at %s after %s, %v", conn, at, time.Since(begin), err)
		}
		const had = " had not taken the connection; nothing may be there, or a firewall drops what it is sent"
		want := []Tried{
			{"127.0.0.1:443", "no answer within 10s: shop.example (127.0.0.1:443)" + had},
			{"127.0.0.2:443", "no answer within 10s: shop.example (127.0.0.2:443)" + had},
		}
		if !slices.Equal(a.Tried, want) {
			t.Errorf("tried %+v", a.Tried)
		}
	})
}

// TestLookupTrouble has names that cannot be looked up, in time or at all.
func TestLookupTrouble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		guard := NewGuard(GuardOptions{Resolve: func(ctx context.Context, name string) ([]netip.Addr, error) {
			if name == "slow.example" {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return nil, errors.New("no such host")
		}})
		b := newBench(t, Options{Guard: guard})
		for name, want := range map[string]string{
			"slow.example": "timeout: no answer within 30s: the addresses of slow.example were still being looked up",
			"gone.example": `dns: looking up "gone.example": no such host`,
		} {
			if err := guard.Allow(name); err != nil {
				t.Fatal(err)
			}
			r := approve()
			r.URL = "https://" + name + "/"
			if a := b.run(t, r); string(a.Reason)+": "+a.Error != want {
				t.Errorf("%s: %s", a.Reason, a.Error)
			}
		}
	})
}

// TestIPv6 reaches a service that has no other address: by literal, by route
// and by name; and one with a dead address before the one that lives.
func TestIPv6(t *testing.T) {
	t.Parallel()
	wholeLoopback(t)
	addresses := map[string][]netip.Addr{
		"six.example":  {netip.IPv6Loopback()},
		"both.example": {netip.MustParseAddr("127.0.0.9"), netip.IPv6Loopback()},
		"dead.example": {netip.MustParseAddr("127.0.0.9"), netip.MustParseAddr("127.0.0.8")},
	}
	guard := NewGuard(GuardOptions{Resolve: func(_ context.Context, name string) ([]netip.Addr, error) { return addresses[name], nil }})
	b := newBench(t, Options{Guard: guard})
	config := b.authority.issue(t, func(c *x509.Certificate) {
		c.DNSNames, c.IPAddresses = []string{host, "six.example", "both.example"}, []net.IP{net.IPv6loopback}
	})
	l, err := tls.Listen("tcp", "[::1]:0", config)
	if err != nil {
		t.Skipf("this machine has no IPv6: %v", err)
	}
	service := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Host", r.Host) })}
	b.wg.Go(func() { _ = service.Serve(l) })
	t.Cleanup(func() { service.Close(); b.wg.Wait() })
	live := l.Addr().String()
	_, port, err := net.SplitHostPort(live)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(guard.Route(host, live), guard.Allow("six.example"), guard.Allow("both.example"), guard.Allow("dead.example")); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{"https://[::1]:" + port, "https://[0:0::1]:" + port, "https://" + host, "https://six.example:" + port, "https://both.example:" + port} {
		r := approve()
		r.URL = url + "/"
		a := b.run(t, r)
		if a.Outcome != OutcomeSucceeded || a.Addr != live || a.Header[0].Value != strings.TrimPrefix(url, "https://") {
			t.Errorf("%s: %s (%s) at %s", url, a.Reason, a.Error, a.Addr)
		}
		dead := "127.0.0.9:" + port
		switch {
		case !strings.Contains(url, "both"):
			if len(a.Tried) != 0 {
				t.Errorf("%s: tried %+v", url, a.Tried)
			}
		case len(a.Tried) != 1 || a.Tried[0] != Tried{dead, "both.example (" + dead + ") refused the connection: nothing listens there"}:
			t.Errorf("%s: tried %+v", url, a.Tried)
		}
	}
	r := approve()
	r.URL = "https://dead.example:" + port + "/"
	if a := b.run(t, r); a.Reason != ReasonConnectRefused || a.Addr != "127.0.0.8:"+port || len(a.Tried) != 1 {
		t.Errorf("all dead: %s (%s) at %s, tried %+v", a.Reason, a.Error, a.Addr, a.Tried)
	}
}
