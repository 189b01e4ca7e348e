package keys

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// running is a proxy that serves on loopback while a test runs.
type running struct {
	*Proxy
	addr string
	ca   *CA
	set  *Set
}

func startProxy(t *testing.T, o ProxyOptions) *running {
	t.Helper()
	set, _ := newSet(t, Options{})
	ca := newCA(t)
	p, err := NewProxy(set, ca, o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- p.Serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(p.Close(), <-served); err != nil {
			t.Error(err)
		}
	})
	return &running{p, l.Addr().String(), ca, set}
}

// client is a client of the proxy that trusts its authority. It speaks HTTP/2
// if it may.
func (r *running) client(t *testing.T, http2 bool) *http.Client {
	t.Helper()
	transport := &http.Transport{
		Proxy:           http.ProxyURL(&url.URL{Scheme: "http", Host: r.addr}),
		TLSClientConfig: &tls.Config{RootCAs: r.ca.Pool()}, ForceAttemptHTTP2: http2,
	}
	if !http2 {
		transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func fetch(t *testing.T, c *http.Client, target string) (*http.Response, string) {
	t.Helper()
	answer, err := c.Get(target)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(body)
}

// say sends octets to the proxy and returns its answer up to its end.
func (r *running) say(t *testing.T, octets string) string {
	t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, octets); err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(conn) // A reset comes after the answer.
	return string(answer)
}

// What a verifier asks Google's hosts for is answered with our keys, over
// HTTP/1.1 and HTTP/2, and nothing else is there.
func TestProxyAnswers(t *testing.T) {
	t.Parallel()
	r := startProxy(t, ProxyOptions{})
	token, err := r.set.Token(Claims{Audience: audience})
	if err != nil {
		t.Fatal(err)
	}
	for _, http2 := range []bool{false, true} {
		c := r.client(t, http2)
		for _, test := range []struct {
			url  string
			code int
			want string
		}{
			{"https://www.googleapis.com/oauth2/v1/certs", 200, "-----BEGIN CERTIFICATE-----"},
			{"https://www.googleapis.com/oauth2/v2/certs", 200, `"kty": "RSA"`},
			{"https://www.googleapis.com/oauth2/v3/certs", 200, `"kty": "RSA"`},
			{"https://www.googleapis.com/oauth2/v3/certs?alt=json", 200, `"kty": "RSA"`},
			{"https://www.googleapis.com/oauth2/v3/tokeninfo?id_token=" + token, 200, `"email_verified": "true"`},
			{"https://oauth2.googleapis.com/tokeninfo?id_token=" + token, 200, `"email_verified": "true"`},
			{"https://oauth2.googleapis.com/tokeninfo?id_token=x", 400, "invalid_token"},
			{"https://accounts.google.com/.well-known/openid-configuration", 200, `"issuer": "https://accounts.google.com"`},
			{"https://Accounts.Google.com./.well-known/openid-configuration", 200, `"issuer": "https://accounts.google.com"`},
			{"https://www.googleapis.com/tokeninfo", 404, "has only /oauth2/v1/certs, /oauth2/v2/certs, /oauth2/v3/certs, /oauth2/v3/tokeninfo"},
			{"https://www.googleapis.com/.well-known/openid-configuration", 404, "doppelbox stands in for www.googleapis.com here"},
			{"https://www.googleapis.com/stranger/oauth2/v3/certs", 404, "doppelbox"},
			{"https://accounts.google.com/oauth2/v3/certs", 404, "has only /.well-known/openid-configuration\n"},
			{"https://oauth2.googleapis.com/token", 404, "has only /tokeninfo\n"},
		} {
			answer, body := fetch(t, c, test.url)
			if answer.StatusCode != test.code || !strings.Contains(body, test.want) {
				t.Errorf("%s is answered %s\n%s", test.url, answer.Status, body)
			}
			if want := map[bool]int{false: 1, true: 2}[http2]; answer.ProtoMajor != want {
				t.Errorf("%s is answered over %s", test.url, answer.Proto)
			}
			if test.code == 200 && answer.Header.Get("Content-Type") != "application/json; charset=UTF-8" {
				t.Errorf("%s is %s", test.url, answer.Header.Get("Content-Type"))
			}
		}
	}
	if list := r.Refused(); len(list) > 0 {
		t.Errorf("refused %v", list)
	}
}

// Other hosts, and other ports of Google's, are refused with a sentence, which
// clients that show only the status line show, too.
func TestProxyRefuses(t *testing.T) {
	t.Parallel()
	r := startProxy(t, ProxyOptions{})
	const rest = " HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, test := range []struct{ request, want string }{
		{"CONNECT api.example.com:443", "403 doppelbox answers only for Google's certificates and does not pass on api.example.com:443; --pass-on api.example.com lets it through\r\n"},
		{"CONNECT API.Example.com.:443", "403 doppelbox answers only for Google's certificates and does not pass on api.example.com:443;"},
		{"CONNECT www.googleapis.com:80", "403 doppelbox answers for www.googleapis.com at port 443 only\r\n"},
		{"CONNECT xwww.googleapis.com:443", "403 "},
		{"CONNECT www.googleapis.com.evil.example:443", "403 "},
		{"CONNECT [2001:DB8::1]:443", "403 doppelbox answers only for Google's certificates and does not pass on [2001:db8::1]:443; --pass-on 2001:db8::1 "},
		{"CONNECT [::ffff:192.0.2.1]:443", "403 doppelbox answers only for Google's certificates and does not pass on 192.0.2.1:443;"},
		{"CONNECT 192.0.2.1:443", "403 "},
		{"CONNECT www.googleapis.com", "400 \"www.googleapis.com\" has no port: a target is HOST:PORT\r\n"},
		{"CONNECT [::1]", "400 \"[::1]\" has no port"},
		{"CONNECT 2001:db8::1:443", "400 "},
		{"CONNECT [fe80::1%25lo]:443", "400 "},
		{"CONNECT www.googleapis.com:0", "400 \"0\" is not a port\r\n"},
		{"CONNECT www.googleapis.com:65536", "400 "},
		{"CONNECT www.googleapis.com:+443", "400 "},
		{"CONNECT :443", "400 "},
		{"CONNECT a..b:443", "400 "},
		{"CONNECT *.example.com:443", "400 \"*.example.com\" is not the name of one host\r\n"},
		{"CONNECT user@www.googleapis.com:443", "400 CONNECT takes HOST:PORT and nothing else\r\n"},
		{"CONNECT www.googleapis.com:443/", "400 CONNECT takes HOST:PORT and nothing else\r\n"},
		{"CONNECT /", "400 CONNECT takes HOST:PORT and nothing else\r\n"},
		{"CONNECT https://www.googleapis.com:443", "400 "},
		{"CONNECT " + strings.Repeat("a.", 200) + "example:443", "400 a target of 411 octets is too long\r\n"},
		{"GET http://shop.example/", "501 Not Implemented\r\n"},
		{"GET https://www.googleapis.com/oauth2/v1/certs", "501 Not Implemented\r\n"},
		{"GET /", "400 Bad Request\r\n"},
		{"GET /" + strings.Repeat("a", 2*maxProxyHead), "431 Request Header Fields Too Large\r\n"},
		{"GET /" + strings.Repeat("a", maxProxyHead-len("GET /"+rest)+1), "431 Request Header Fields Too Large\r\n"},
		{"GET /" + strings.Repeat("a", maxProxyHead-len("GET /"+rest)), "400 Bad Request\r\n"},
		{"\x16\x03\x01\x02\x00\x01", "400 Bad Request\r\n"},
	} {
		answer := r.say(t, test.request+rest)
		if !strings.HasPrefix(answer, "HTTP/1.1 "+test.want) || !strings.Contains(answer, "\r\nConnection: close\r\n") {
			t.Errorf("%.100q is answered\n%s", test.request, answer)
		}
		if _, body, ok := strings.Cut(answer, "\r\n\r\n"); !ok || body == "" {
			t.Errorf("%.100q is answered without a body:\n%s", test.request, answer)
		}
	}
	for request, want := range map[string]string{
		"CONNECT www.googleapis.com:443 HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody":           "CONNECT has no body",
		"CONNECT www.googleapis.com:443 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n": "CONNECT has no body",
		"GET http://shop.example/" + rest:                                                    "set HTTPS_PROXY to it, and not HTTP_PROXY",
		"GET https://shop.example/" + rest:                                                   "asked for an https URL without it",
		"GET /" + rest:                                                                       "set HTTPS_PROXY=http://" + r.addr + " for the program",
	} {
		if answer := r.say(t, request); !strings.Contains(answer, want) {
			t.Errorf("%q is answered\n%s", request, answer)
		}
	}
	if list := r.Refused(); len(list) != 5 || list[0] != (ProxyCount{"api.example.com", 443, 2}) || list[1] != (ProxyCount{"xwww.googleapis.com", 443, 1}) {
		t.Errorf("refused %v", list)
	}
}

// A tunnel is to one host: another name is refused in TLS, and a request for
// another host in HTTP.
func TestProxyOneHost(t *testing.T) {
	t.Parallel()
	r := startProxy(t, ProxyOptions{})
	tunnel := func(name string) (*tls.Conn, error) {
		conn, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		config := &tls.Config{RootCAs: r.ca.Pool(), ServerName: name}
		if name == "" { // A client that names no host looks at the certificate itself.
			config.InsecureSkipVerify = true
			config.VerifyConnection = func(s tls.ConnectionState) error {
				return s.PeerCertificates[0].VerifyHostname("www.googleapis.com")
			}
		}
		// TLS begins in the same octets as the CONNECT: what came early is not lost.
		secure := tls.Client(&early{Conn: conn, head: "CONNECT www.googleapis.com:443 HTTP/1.1\r\n\r\n"}, config)
		return secure, secure.Handshake()
	}
	for _, name := range []string{"www.googleapis.com", ""} {
		conn, err := tunnel(name)
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		leaf := conn.ConnectionState().PeerCertificates[0]
		if len(leaf.DNSNames) != 1 || leaf.DNSNames[0] != "www.googleapis.com" || len(leaf.IPAddresses) != 0 {
			t.Errorf("%q: the certificate is for %v, %v", name, leaf.DNSNames, leaf.IPAddresses)
		}
		for host, want := range map[string]int{"www.googleapis.com": 200, "WWW.googleapis.com.:443": 200, "accounts.google.com": 421, "localhost": 421} {
			request, err := http.NewRequest(http.MethodGet, "https://x/oauth2/v1/certs", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Host = host
			if err := request.Write(conn); err != nil {
				t.Fatal(err)
			}
			answer, err := http.ReadResponse(bufio.NewReader(conn), request)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != want {
				t.Errorf("a request for %s is answered %s, %v", host, answer.Status, err)
			}
		}
	}
	for _, name := range []string{"accounts.google.com", "example.com"} {
		if _, err := tunnel(name); err == nil || err.Error() != "remote error: tls: unrecognized name" {
			t.Errorf("TLS for %s in a tunnel to another host: %v", name, err)
		}
	}
}

// early sends a head before the first octets, and takes the answer off before
// the first that are read.
type early struct {
	net.Conn
	head   string
	answer bool
}

func (e *early) Write(b []byte) (int, error) {
	if e.head == "" {
		return e.Conn.Write(b)
	}
	_, err := e.Conn.Write(append([]byte(e.head), b...))
	e.head = ""
	return len(b), err
}

func (e *early) Read(b []byte) (int, error) {
	if !e.answer {
		e.answer = true
		if _, err := io.ReadFull(e.Conn, make([]byte, len(established))); err != nil {
			return 0, err
		}
	}
	return e.Conn.Read(b)
}

// A client that does not know the authority is counted.
func TestProxyDistrusted(t *testing.T) {
	t.Parallel()
	r := startProxy(t, ProxyOptions{})
	r.Settle(t.Context()) // There is nothing to wait for.
	for range 2 {
		conn, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		head := "CONNECT oauth2.googleapis.com:443 HTTP/1.1\r\n\r\n"
		secure := tls.Client(&early{Conn: conn, head: head}, &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "oauth2.googleapis.com"})
		if err := secure.Handshake(); err == nil {
			t.Fatal("an unknown authority was trusted")
		}
		conn.Close()
	}
	r.Settle(t.Context())
	if list := r.Distrusted(); len(list) != 1 || list[0] != (ProxyCount{"oauth2.googleapis.com", 443, 2}) {
		t.Errorf("distrusted %v", list)
	}
}

// The hosts of Google's are answered by host also without a proxy, as they are
// with an entry in /etc/hosts.
func TestHostHandler(t *testing.T) {
	t.Parallel()
	set, _ := newSet(t, Options{})
	ca := newCA(t)
	config, err := ca.TLSConfig(append(GoogleHosts(), "localhost")...)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: set.HostHandler(), TLSConfig: config}
	served := make(chan error, 1)
	go func() { served <- server.ServeTLS(l, "", "") }()
	t.Cleanup(func() {
		server.Close()
		<-served
	})
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}, ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", l.Addr().String())
		},
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	for target, want := range map[string]int{
		"https://www.googleapis.com/oauth2/v1/certs":                   200,
		"https://www.googleapis.com/oauth2/v3/certs":                   200,
		"https://accounts.google.com/.well-known/openid-configuration": 200,
		"https://accounts.google.com/oauth2/v1/certs":                  404,
		"https://localhost/oauth2/v1/certs":                            200,
		"https://localhost:8443/.well-known/openid-configuration":      200,
		"https://localhost/oauth2/v2/certs":                            404,
		"https://oauth2.googleapis.com:443/tokeninfo?id_token=x":       400,
		"https://oauth2.googleapis.com/stranger/oauth2/v3/certs":       404,
	} {
		answer, body := fetch(t, client, target)
		if answer.StatusCode != want || answer.ProtoMajor != 2 {
			t.Errorf("%s is answered %s over %s\n%s", target, answer.Status, answer.Proto, body)
		}
		if want == 200 && !json.Valid([]byte(body)) {
			t.Errorf("%s is answered\n%s", target, body)
		}
	}
	request, err := http.NewRequest(http.MethodGet, "https://www.googleapis.com/oauth2/v1/certs", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "accounts.google.com"
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("a request for another host than the connection's is answered %s", answer.Status)
	}
}
