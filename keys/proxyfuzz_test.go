package keys

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// canned is a connection whose other side has said all that it says.
type canned struct {
	in     *bytes.Reader
	mu     sync.Mutex
	out    bytes.Buffer
	once   sync.Once
	closed chan struct{}
}

func newCanned(said []byte) *canned {
	return &canned{in: bytes.NewReader(said), closed: make(chan struct{})}
}

func (c *canned) Read(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.in.Read(b)
}

func (c *canned) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.Write(b)
}

func (c *canned) heard() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.String()
}

func (c *canned) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

func (c *canned) CloseWrite() error                { return nil }
func (c *canned) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *canned) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *canned) SetDeadline(time.Time) error      { return nil }
func (c *canned) SetReadDeadline(time.Time) error  { return nil }
func (c *canned) SetWriteDeadline(time.Time) error { return nil }

// FuzzProxyHead holds, of whatever a client sends: it is answered and ended, the
// answer is one line of printable ASCII and fields of ours, a tunnel stands only
// for what may have one, and nothing else is dialled.
func FuzzProxyHead(f *testing.F) {
	for _, text := range []string{
		"CONNECT www.googleapis.com:443 HTTP/1.1\r\nHost: www.googleapis.com:443\r\n\r\n\x16\x03\x01\x00\x05",
		"CONNECT pass.example:443 HTTP/1.1\r\n\r\nearly",
		"CONNECT PASS.example.:1 HTTP/1.0\r\n\r\n",
		"CONNECT [::ffff:127.0.0.1]:443 HTTP/1.1\r\n\r\n",
		"CONNECT no.example:443 HTTP/1.1\r\nContent-Length: 1\r\n\r\nx",
		"CONNECT a%0d%0ab:443 HTTP/1.1\r\n\r\n",
		"CONNECT //x:443 HTTP/1.1\r\n\r\n",
		"GET http://shop.example/ HTTP/1.1\r\nHost: shop.example\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00",
	} {
		f.Add([]byte(text))
	}
	set, err := New(Options{Now: time.Now})
	if err != nil {
		f.Fatal(err)
	}
	ca, err := NewCA(CAOptions{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		passed := newCanned([]byte("from the target"))
		p, err := NewProxy(set, ca, ProxyOptions{PassOn: []string{"pass.example"}, Dial: func(_ context.Context, _, addr string) (net.Conn, error) {
			if host, _, err := net.SplitHostPort(addr); err != nil || host != "pass.example" {
				t.Errorf("dialled %q", addr)
			}
			return passed, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		l := &handover{conns: make(chan net.Conn), done: make(chan struct{})}
		served := make(chan error, 1)
		go func() { served <- p.Serve(l) }()
		conn := newCanned(sent)
		l.give(conn)
		<-conn.closed
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		<-served
		checkAnswer(t, conn.heard(), len(sent))
		for _, c := range p.Refused() {
			if again, err := parseTarget(target{c.Host, uint16(c.Port)}.String()); err != nil || again.host != c.Host {
				t.Errorf("refused %+v, %v", c, err)
			}
		}
	})
}

func checkAnswer(t *testing.T, answer string, sent int) {
	t.Helper()
	if answer == "" {
		return // Nothing, or no whole head, was sent.
	}
	if strings.HasPrefix(answer, established) {
		return
	}
	line, rest, ok := strings.Cut(answer, "\r\n")
	version, phrase, _ := strings.Cut(line, " ") // A client of HTTP/1.0 is answered as one.
	number, _, _ := strings.Cut(phrase, " ")
	code, err := strconv.Atoi(number)
	if !ok || err != nil || code < 400 || code > 599 || asciiLine(line) != line || version != "HTTP/1.1" && version != "HTTP/1.0" {
		t.Errorf("answered %q", answer)
	}
	if fields, _, ok := strings.Cut(rest, "\r\n\r\n"); !ok || !strings.Contains("\r\n"+fields+"\r\n", "\r\nConnection: close\r\n") || strings.Count(fields, "\r\n") > 6 {
		t.Errorf("answered %q", answer)
	}
	if len(answer) > 2000+sent*8 {
		t.Errorf("%d octets are answered with %d", sent, len(answer))
	}
}

// FuzzParseTarget holds that a target that is read can be printed and read
// again, and has nothing in it that matters elsewhere.
func FuzzParseTarget(f *testing.F) {
	for _, text := range []string{"www.googleapis.com:443", "[::1]:1", "[::FFFF:1.2.3.4]:65535", "A.:080", "1.2.3.4:22", "[fe80::1%lo]:1", "a_b:1", ":1", "x"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseTarget(text)
		if err != nil {
			if len(err.Error()) > 2*maxTarget*4 {
				t.Errorf("%q: a long error", text)
			}
			return
		}
		if again, err := parseTarget(got.String()); err != nil || again != got {
			t.Errorf("%q is %v, and that is %v, %v", text, got, again, err)
		}
		if strings.Trim(got.host, "abcdefghijklmnopqrstuvwxyz0123456789-_.:") != "" || strings.HasSuffix(got.host, ".") || got.port == 0 {
			t.Errorf("%q is %v", text, got)
		}
	})
}

// FuzzNextProxy holds that what another proxy answers is read within bounds, and
// that what follows its answer belongs to the tunnel.
func FuzzNextProxy(f *testing.F) {
	for _, text := range []string{"HTTP/1.1 200 OK\r\n\r\nrest", "HTTP/1.0 407 Who\r\nA: b\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 100 Continue\r\n\r\n", "x"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		conn := newCanned(said)
		through, err := connectBy(t.Context(), conn, &url.URL{Scheme: "http", Host: "192.0.2.1"}, target{"shop.example", 443}, "1.1 us")
		if err != nil {
			if text := err.Error(); asciiLine(text) != text || len(text) > 200 {
				t.Errorf("%q: %v", said, err)
			}
			return
		}
		rest, err := io.ReadAll(through)
		if err != nil || !bytes.HasSuffix(said, rest) || bytes.HasPrefix(rest, []byte("HTTP/1.1 200")) {
			t.Errorf("%q: the tunnel begins with %q, %v", said, rest, err)
		}
	})
}

// A client that is slow, or says nothing, is cut off, in every state but a
// tunnel's.
func TestProxySlow(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		sent, answer string
		after        time.Duration
	}{
		{"", "", proxyHeadTime},
		{"CONNECT www.goo", "", proxyHeadTime},
		{"CONNECT www.googleapis.com:443 HTTP/1.1\r\nHost: x\r\nA", "", proxyHeadTime},
		{"CONNECT www.googleapis.com:443 HTTP/1.1\r\n\r\n", established, proxyHeadTime},
		{"CONNECT www.googleapis.com:443 HTTP/1.1\r\n\r\n\x16\x03\x01\x02\x00", established, proxyHeadTime},
		{"CONNECT never.example:443 HTTP/1.1\r\n\r\n", "HTTP/1.1 502 doppelbox cannot pass on never.example:443: context deadline exceeded\r\n", proxyConnectTime},
	} {
		synctest.Test(t, func(t *testing.T) {
			set, err := New(Options{Now: time.Now})
			if err != nil {
				t.Fatal(err)
			}
			p, err := NewProxy(set, newCA(t), ProxyOptions{PassOn: []string{"never.example"}, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}})
			if err != nil {
				t.Fatal(err)
			}
			l := &handover{conns: make(chan net.Conn), done: make(chan struct{})}
			served := make(chan error, 1)
			go func() { served <- p.Serve(l) }()
			client, server := net.Pipe()
			l.give(server)
			began := time.Now() // Of the bubble, in which time passes only while all wait.
			if _, err := io.WriteString(client, test.sent); err != nil {
				t.Fatal(err)
			}
			answer, _ := io.ReadAll(client)
			if got := time.Since(began); got != test.after || !strings.HasPrefix(string(answer), test.answer) {
				t.Errorf("%q is answered %q after %v", test.sent, answer, got)
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
			<-served
		})
	}
}
