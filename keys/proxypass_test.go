package keys

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// dialing is how a proxy under test reaches others: every target is one address,
// and what was asked for is kept.
type dialing struct {
	to    string
	mu    sync.Mutex
	asked []string
}

func (d *dialing) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d.mu.Lock()
	d.asked = append(d.asked, addr)
	d.mu.Unlock()
	return (&net.Dialer{}).DialContext(ctx, network, d.to)
}

func (d *dialing) targets() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.asked)
}

// echo reads to the end of what a client says and only then answers with it, so
// that it works through tunnels only that pass on half a close.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer conn.Close()
				text, err := io.ReadAll(conn)
				if err == nil {
					_, _ = conn.Write(bytes.ToUpper(text))
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		conns.Wait()
	})
	return l.Addr().String()
}

// What is told to be passed on is a plain tunnel, and each direction ends for
// itself.
func TestProxyPassesOn(t *testing.T) {
	t.Parallel()
	d := &dialing{to: echo(t)}
	r := startProxy(t, ProxyOptions{PassOn: []string{"api.Example.com.", "*.corp.example", "2001:db8::1", "[2001:db8::2]", "192.0.2.1"}, Dial: d.dial})
	for target, passed := range map[string]bool{
		"api.example.com:443": true, "API.example.com.:8443": true, "x.api.example.com:443": false, "example.com:443": false,
		"a.corp.example:443": true, "a.b.corp.example:443": true, "corp.example:443": false, "xcorp.example:443": false,
		"[2001:db8::1]:443": true, "[2001:DB8:0::2]:443": true, "[2001:db8::3]:443": false, "192.0.2.1:22": true, "192.0.2.2:22": false,
	} {
		conn, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "CONNECT "+target+" HTTP/1.1\r\n\r\nearly, "); err != nil {
			t.Fatal(err)
		}
		// A refused one may be closed already.
		_, _ = io.WriteString(conn, "late")
		_ = conn.(*net.TCPConn).CloseWrite()
		answer, err := io.ReadAll(conn)
		if want := established + "EARLY, LATE"; (string(answer) == want) != passed || !passed && !bytes.HasPrefix(answer, []byte("HTTP/1.1 403 ")) {
			t.Errorf("%s: %s, %v", target, answer, err)
		}
	}
	got := d.targets()
	slices.Sort(got)
	want := []string{"192.0.2.1:22", "[2001:db8::1]:443", "[2001:db8::2]:443", "a.b.corp.example:443", "a.corp.example:443", "api.example.com:443", "api.example.com:8443"}
	if !slices.Equal(got, want) {
		t.Errorf("passed on to %v", got)
	}
}

// Whatever is passed on, Google's hosts are ours, at every port.
func TestProxyPassesOnAll(t *testing.T) {
	t.Parallel()
	d := &dialing{to: echo(t)}
	r := startProxy(t, ProxyOptions{PassOn: []string{PassAll, "*.googleapis.com"}, Dial: d.dial})
	if answer, _ := fetch(t, r.client(t, true), "https://www.googleapis.com/oauth2/v3/certs"); answer.StatusCode != http.StatusOK {
		t.Errorf("answered %s", answer.Status)
	}
	if answer := r.say(t, "CONNECT www.googleapis.com:80 HTTP/1.1\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 403 doppelbox answers for www.googleapis.com at port 443 only\r\n") {
		t.Errorf("another port is answered\n%s", answer)
	}
	if got := d.targets(); len(got) != 0 {
		t.Errorf("passed on to %v", got)
	}
}

// What a target breaks off does not come to the client as if it had come to its
// end.
func TestProxyReset(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := startProxy(t, ProxyOptions{PassOn: []string{PassAll}, Dial: (&dialing{to: l.Addr().String()}).dial})
	client, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := io.WriteString(client, "CONNECT shop.example:443 HTTP/1.1\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	target, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(client, make([]byte, len(established))); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(target.(*net.TCPConn).SetLinger(0), target.Close()); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(client); err == nil {
		t.Errorf("it came to an end after %q", rest)
	}
}

// What cannot be passed on is answered with the reason.
func TestProxyUnreachable(t *testing.T) {
	t.Parallel()
	r := startProxy(t, ProxyOptions{PassOn: []string{"ALL"}, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no route\r\nX-Evil: 1")
	}})
	answer := r.say(t, "CONNECT shop.example:443 HTTP/1.1\r\n\r\n")
	if !strings.HasPrefix(answer, "HTTP/1.1 502 doppelbox cannot pass on shop.example:443: no route??X-Evil: 1\r\n") {
		t.Errorf("answered\n%s", answer)
	}
}

func TestPassOnRules(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]string{
		"":                     "is neither an address nor a host name",
		"shop.example:443":     "a host is passed on with all its ports",
		"https://shop.example": "is not a host",
		"*.*.example":          "is not the name of one host",
		"*":                    `"*" is not a host; "all" passes on all of them`,
		"*.192.0.2.1":          "no names below an address",
		"*.[::1]":              "no names below an address",
		"[::1":                 "is not a host",
		"bücher.example":       "is neither an address nor a host name",
		"www.googleapis.com":   "doppelbox answers for it itself",
		"Accounts.Google.com.": "accounts.google.com is not passed on",
	} {
		if _, err := NewProxy(&Set{}, newCA(t), ProxyOptions{PassOn: []string{"all", rule}}); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "passing on:") {
			t.Errorf("%q: %v, want %q", rule, err, want)
		}
	}
}

// next is another proxy, as a company has one.
type next struct {
	to     string // Where everything that it connects goes.
	answer string // Instead of connecting.
	mu     sync.Mutex
	heads  []http.Header
	asked  []string
}

func (n *next) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	n.heads, n.asked = append(n.heads, r.Header), append(n.asked, r.Method+" "+r.RequestURI+" "+r.Host)
	n.mu.Unlock()
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	if n.answer != "" {
		_, _ = io.WriteString(conn, n.answer)
		return
	}
	to, err := net.Dial("tcp", n.to)
	if err != nil {
		return
	}
	defer to.Close()
	// Its answer and the first octets of the target come together.
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nVia: next\r\n\r\nhello ")
	var both sync.WaitGroup
	both.Go(func() { carry(to, conn) })
	carry(conn, to)
	both.Wait()
}

// What is passed on goes by the user's own proxy, with its credentials, which
// nothing shows.
func TestProxyVia(t *testing.T) {
	t.Parallel()
	n := &next{to: echo(t)}
	server := httptest.NewServer(n)
	defer server.Close()
	via, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	via.User = url.UserPassword("alice", "s3cr:et")
	var log lockedBuffer
	r := startProxy(t, ProxyOptions{
		PassOn: []string{PassAll}, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Via: func(target string) (*url.URL, error) {
			switch target {
			case "direct.example:443":
				return nil, nil
			case "wrong.example:443":
				return nil, errors.New("HTTPS_PROXY is wrong")
			case "socks.example:443":
				return url.Parse("socks5://alice:s3cr:et@192.0.2.1")
			}
			return via, nil
		},
		Dial: (&dialing{to: via.Host}).dial,
	})
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "CONNECT Shop.example:443 HTTP/1.1\r\nProxy-Authorization: Basic eDp5\r\n\r\nabc"); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(conn); err != nil || string(answer) != established+"hello ABC" {
		t.Errorf("answered %s, %v", answer, err)
	}
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("alice:s3cr:et"))
	if got := n.heads[0].Values("Proxy-Authorization"); len(got) != 1 || got[0] != want || n.asked[0] != "CONNECT shop.example:443 shop.example:443" || !slices.Equal(n.heads[0]["Via"], []string{"1.1 " + r.name}) {
		t.Errorf("it was asked %s with %v", n.asked, n.heads)
	}
	for _, test := range []struct{ answer, target, want string }{
		{"HTTP/1.1 407 Say \x1b[31mwho\r\n\r\n", "shop.example:443", "the next proxy, " + via.Host + ": it answered 407 Say ?[31mwho\r\n"},
		{"garbage", "shop.example:443", "its answer is no HTTP"},
		{"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", 2*maxProxyHead), "shop.example:443", "its answer is no HTTP"},
		{"x", "wrong.example:443", "HTTPS_PROXY is wrong"},
		{"x", "socks.example:443", `the next proxy is of the scheme "socks5", and only http and https are known`},
	} {
		n.answer = test.answer
		answer := r.say(t, "CONNECT "+test.target+" HTTP/1.1\r\n\r\n")
		if !strings.HasPrefix(answer, "HTTP/1.1 502 doppelbox cannot pass on "+test.target+": ") || !strings.Contains(answer, test.want) || strings.Contains(answer, "s3cr") {
			t.Errorf("%q is told as\n%s", test.answer, answer)
		}
	}
	if text := log.String(); !strings.Contains(text, "shop.example:443") || strings.Contains(text, "s3cr") || strings.Contains(text, want) {
		t.Errorf("the log is\n%s", text)
	}
}

// A proxy that is led back to itself, with another one between or not, says so,
// rather than go on in circles.
func TestProxyLoop(t *testing.T) {
	t.Parallel()
	var first, second *running
	lead := func(to **running) func(string) (*url.URL, error) {
		return func(string) (*url.URL, error) { return &url.URL{Scheme: "http", Host: (*to).addr}, nil }
	}
	var log lockedBuffer
	first = startProxy(t, ProxyOptions{PassOn: []string{PassAll}, Via: lead(&second), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	second = first
	const loop = "508 this came from here: HTTPS_PROXY leads doppelbox's proxy back to itself"
	if answer := first.say(t, "CONNECT shop.example:443 HTTP/1.1\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 502 ") || !strings.Contains(answer, "it answered "+loop+"\r\n") {
		t.Errorf("by itself: answered\n%s", answer)
	}
	second = startProxy(t, ProxyOptions{PassOn: []string{PassAll}, Via: lead(&first)})
	for _, via := range []string{"", "Via: 1.1 a (\xff\t), 1.0 b\r\nVia: c\r\n"} {
		if answer := first.say(t, "CONNECT shop.example:443 HTTP/1.1\r\n"+via+"\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 502 ") || !strings.Contains(answer, "it answered 502 ") {
			t.Errorf("by another one, with %q: answered\n%s", via, answer)
		}
	}
	if text := log.String(); strings.Count(text, "HTTPS_PROXY leads from this proxy back to it") != 3 {
		t.Errorf("the log is\n%s", text)
	}
	if got, want := viaField([]string{"1.1 a (\xff\t), 1.0 b", " ", "c"}, "us"), "1.1 a (? ), 1.0 b, c, 1.1 us"; got != want {
		t.Errorf("the field is %q, not %q", got, want)
	}
	if first.name == second.name {
		t.Errorf("both are %s", first.name)
	}
}

// lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Close ends what is under way in every state, and waits for it.
func TestProxyClose(t *testing.T) {
	t.Parallel()
	d := &dialing{to: echo(t)}
	set, _ := newSet(t, Options{})
	ca := newCA(t)
	p, err := NewProxy(set, ca, ProxyOptions{PassOn: []string{"shop.example"}, Dial: d.dial})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- p.Serve(l) }()
	r := &running{p, l.Addr().String(), ca, set}
	var open []net.Conn
	for _, octets := range []string{
		"", "CONNECT shop.exa", "CONNECT shop.example:443 HTTP/1.1\r\n\r\nmore to come",
		"CONNECT www.googleapis.com:443 HTTP/1.1\r\n\r\n", "CONNECT www.googleapis.com:443 HTTP/1.1\r\n\r\n\x16\x03\x01",
		"CONNECT refused.example:443 HTTP/1.1\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, octets); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(octets, "\r\n\r\n") || strings.Contains(octets, "\r\n\r\n") {
			if _, err := conn.Read(make([]byte, len(established))); err != nil {
				t.Fatal(err)
			}
		}
		open = append(open, conn)
	}
	c := r.client(t, true)
	fetch(t, c, "https://www.googleapis.com/oauth2/v1/certs") // Its connection stays, idle.
	if err := errors.Join(p.Close(), <-served, p.Close()); err != nil {
		t.Error(err)
	}
	for _, conn := range open {
		_, _ = io.Copy(io.Discard, conn) // It has come to an end, or this would not.
	}
	if _, err := c.Get("https://www.googleapis.com/oauth2/v1/certs"); err == nil {
		t.Error("it still answers")
	}
	late, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Serve(late); err != nil {
		t.Error(err)
	}
	if _, err := late.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a listener that came late: %v", err)
	}
}
