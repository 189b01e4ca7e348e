package dispatcher

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// keeping is a service on a real socket that keeps connections as its script
// says: for each request what is answered, and whether the connection is closed.
type keeping struct {
	url    string
	closed chan struct{} // One for each connection that the service has closed.

	mu     sync.Mutex
	script []string
	conns  int
	seen   []string // Number of the connection, and the field Connection.
}

const (
	okAnswer    = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	closeAnswer = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
	hangUp      = ""     // Closes without an answer.
	thenHangUp  = "then" // After okAnswer.
	longAnswer  = "HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n"
	twoLengths  = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
	noBody      = "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n"
	unchanged   = "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n"
	plain204    = "HTTP/1.1 204 No Content\r\n\r\n"
	extraAnswer = okAnswer + okAnswer // One more than was asked for.
)

func newKeeping(t *testing.T, b *bench, script ...string) *keeping {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", b.authority.server(t, "127.0.0.1", b.authority.cert.NotAfter))
	if err != nil {
		t.Fatal(err)
	}
	k := &keeping{url: "https://" + l.Addr().String() + "/", script: script, closed: make(chan struct{}, 100)}
	b.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			k.mu.Lock()
			k.conns++
			n := k.conns
			k.mu.Unlock()
			b.wg.Go(func() { k.serve(conn, n) })
		}
	})
	t.Cleanup(func() { b.Close(); l.Close(); b.wg.Wait() })
	return k
}

func (k *keeping) serve(conn net.Conn, n int) {
	defer func() { conn.Close(); k.closed <- struct{}{} }()
	for r := bufio.NewReader(conn); ; {
		request, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, request.Body)
		k.mu.Lock()
		k.seen = append(k.seen, fmt.Sprintf("%d%s", n, request.Header.Get("Connection")))
		answer := k.script[0]
		k.script = k.script[1:]
		k.mu.Unlock()
		switch answer {
		case hangUp:
			return
		case thenHangUp:
			_, _ = io.WriteString(conn, okAnswer)
			return
		case longAnswer:
			answer += strings.Repeat("x", 70000)
		}
		if _, err := io.WriteString(conn, answer); err != nil {
			return
		}
	}
}

// TestKeepAlive has one request after the other, and says by which connection
// each came.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		script []string
		want   string
		reason Reason // Of the last attempt.
	}{
		"kept":                {[]string{okAnswer, okAnswer, okAnswer}, "1 1 1", ""},
		"service says close":  {[]string{closeAnswer, okAnswer, okAnswer}, "1 2 2", ""},
		"closed when idle":    {[]string{thenHangUp, okAnswer, okAnswer}, "1 2 2", ""},
		"body not read whole": {[]string{longAnswer, okAnswer}, "1 2", ""},
		"more than asked for": {[]string{extraAnswer, okAnswer}, "1 2", ""},
		"two lengths":         {[]string{twoLengths, okAnswer}, "1 2", ""},
		"no body of a length": {[]string{noBody, okAnswer}, "1 2", ""},
		"none in chunks":      {[]string{unchanged, okAnswer}, "1 2", ""},
		"no body":             {[]string{plain204, okAnswer}, "1 1", ""},
		"lost answer":         {[]string{okAnswer, hangUp}, "1 1", ReasonReset},
		"after an error":      {[]string{hangUp, okAnswer}, "1 2", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, Options{})
			k := newKeeping(t, b, tt.script...)
			r := approve()
			r.URL, r.KeepAlive = k.url, true
			var last Attempt
			for i, answer := range tt.script {
				last = b.run(t, r)
				if strings.Contains(string(last.Sent), "Connection:") || last.TLSVersion != "TLS 1.3" || "https://"+last.Addr+"/" != k.url {
					t.Errorf("request %d is recorded as %+v", i, last)
				}
				if answer == thenHangUp {
					<-k.closed
				}
			}
			if got := strings.Join(k.seen, " "); got != tt.want {
				t.Errorf("by the connections %s, want %s", got, tt.want)
			}
			if last.Reason != tt.reason {
				t.Errorf("the last is %s (%s)", last.Reason, last.Error)
			}
			if name == "lost answer" && !strings.Contains(last.Error, "the connection was kept from an earlier request") {
				t.Error(last.Error)
			}
		})
	}
}

// TestKeptForTheSameHost has two names at one address: each demands its own
// certificate, so that they share no connection; and a request that does not keep
// connections uses none.
func TestKeptForTheSameHost(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	k := newKeeping(t, b, okAnswer, okAnswer, okAnswer)
	if err := b.guard.Route(host, strings.Trim(k.url, "htps:/")); err != nil {
		t.Fatal(err)
	}
	r := approve()
	r.URL, r.KeepAlive = k.url, true
	b.run(t, r)
	named := r
	named.URL = "https://" + host + "/"
	if a := b.run(t, named); a.Reason != ReasonTLSName {
		t.Errorf("another name: %s (%s)", a.Reason, a.Error)
	}
	r.KeepAlive = false
	b.run(t, r)
	if got := strings.Join(k.seen, " "); got != "1 3close" {
		t.Errorf("by the connections %s", got)
	}
	b.Close()
	<-k.closed
	r.KeepAlive = true
	b.run(t, r)
	if b.kept.count != 0 {
		t.Error("a connection was kept after Close")
	}
}
