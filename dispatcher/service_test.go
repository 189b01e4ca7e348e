package dispatcher

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// authority makes the certificates of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "authority"},
		NotBefore:    time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC), // Before the time in synctest.
		NotAfter:     time.Date(2049, 1, 1, 0, 0, 0, 0, time.UTC),
		IsCA:         true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// server returns the configuration of a server of one host.
func (a *authority) server(t testing.TB, host string, until time.Time) *tls.Config {
	t.Helper()
	return a.issue(t, func(c *x509.Certificate) {
		c.NotAfter = until
		if ip := net.ParseIP(host); ip != nil {
			c.IPAddresses = []net.IP{ip}
		} else {
			c.DNSNames = []string{host}
		}
	})
}

// issue returns the configuration of a server with a certificate as it is
// changed.
func (a *authority) issue(t testing.TB, change func(*x509.Certificate)) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		NotBefore:    a.cert.NotBefore,
		NotAfter:     a.cert.NotAfter,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// selfSigned is the configuration of a server whose certificate is its own
// authority's.
func selfSigned(t testing.TB) *tls.Config {
	t.Helper()
	a := newAuthority(t)
	template := *a.cert
	template.IsCA, template.DNSNames = false, []string{host}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: a.key}}}
}

// bench is a dispatcher with its guard, its clock and what it recorded.
type bench struct {
	*Dispatcher
	guard     *Guard
	authority *authority
	wg        sync.WaitGroup // Of the services.

	mu       sync.Mutex
	now      time.Time
	attempts []Attempt
	results  []Result
}

const host = "shop.example"

// newBench makes a dispatcher that trusts a new authority. Its clock stands
// still until moved.
func newBench(t testing.TB, o Options) *bench {
	t.Helper()
	b := &bench{authority: newAuthority(t), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	if o.Now == nil {
		o.Now = b.clock
	}
	if o.Guard == nil {
		o.Guard = NewGuard(GuardOptions{})
	}
	b.guard = o.Guard
	o.RootCAs = b.authority.pool()
	o.OnAttempt = func(a Attempt) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.attempts = append(b.attempts, a)
	}
	o.OnDone = func(r Result) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.results = append(b.results, r)
	}
	var err error
	if b.Dispatcher, err = New(o); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bench) advance(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

// serve routes host to a service within the process. It handles each
// connection in a goroutine that ends before the test does.
func (b *bench) serve(t testing.TB, handle func(net.Conn)) {
	t.Helper()
	config := b.authority.server(t, host, b.authority.cert.NotAfter)
	b.serveRaw(t, func(conn net.Conn) { handle(tls.Server(conn, config)) })
}

func (b *bench) serveRaw(t testing.TB, handle func(net.Conn)) {
	t.Helper()
	err := b.guard.RouteConn(host, func(context.Context) (net.Conn, error) {
		client, server := net.Pipe()
		b.wg.Go(func() {
			defer server.Close()
			handle(server)
		})
		return client, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.wg.Wait)
}

// answer handles a connection: it reads one request and writes a text.
func answer(text string) func(net.Conn) {
	return func(conn net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(conn, text)
	}
}

// answers is a service that gives one status after the other, the last one
// for ever, and keeps the paths it was asked for.
type answers struct {
	mu       sync.Mutex
	statuses []string
	asked    []string
}

func (a *answers) handle(conn net.Conn) {
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)
	a.mu.Lock()
	status := a.statuses[0]
	if len(a.statuses) > 1 {
		a.statuses = a.statuses[1:]
	}
	a.asked = append(a.asked, r.URL.Path+r.Header.Get("Authorization"))
	a.mu.Unlock()
	_, _ = io.WriteString(conn, "HTTP/1.1 "+status+" X\r\nContent-Length: 0\r\n\r\n")
}

func approve() Request {
	return Request{
		Method: "POST",
		URL:    "https://" + host + "/approve?expenseId=abc123",
		Header: []Field{{"Content-Type", ContentType}, {"User-Agent", UserAgent}},
		Body:   []byte("confirmed=Approved"),
	}
}

func (b *bench) submit(t testing.TB, r Request) string {
	t.Helper()
	id, err := b.Submit(r)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// run submits a request, does what is due, and returns the last attempt.
func (b *bench) run(t testing.TB, r Request) Attempt {
	t.Helper()
	b.submit(t, r)
	if err := b.RunDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.attempts) == 0 {
		t.Fatal("no attempt was made")
	}
	return b.attempts[len(b.attempts)-1]
}

// reasonOf is that of an error while an answer is waited for.
func reasonOf(t *testing.T, err error) Reason {
	t.Helper()
	if err == nil {
		return ""
	}
	return (&progress{stage: stageWait}).trouble(t.Context(), err).reason
}

// readerOf has room for a header, as that of a connection.
func readerOf(text string) *bufio.Reader {
	return bufio.NewReaderSize(strings.NewReader(text), maxHead)
}

func serverOf(conn net.Conn, config *tls.Config) net.Conn { return tls.Server(conn, config) }

// readPath reads a request and returns its path without the slash.
func readPath(conn net.Conn) (string, error) {
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return "", err
	}
	_, err = io.Copy(io.Discard, r.Body)
	return strings.TrimPrefix(r.URL.Path, "/"), err
}

// listen routes host to a service on a real socket, which handles one
// connection.
func (b *bench) listen(t testing.TB, handle func(net.Conn)) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.wg.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		handle(conn)
	})
	t.Cleanup(func() { l.Close(); b.wg.Wait() })
	if err := b.guard.Route(host, l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	return l
}

// wholeLoopback skips a test where 127.0.0.1 is the only address of 127.0.0.0/8.
func wholeLoopback(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("this system has one IPv4 address of its own")
	}
}
