package dispatcher

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestOnTheWire reads what a service gets on a real connection.
func TestOnTheWire(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	config := b.authority.server(t, host, b.authority.cert.NotAfter)
	config.NextProtos = []string{"h2", "http/1.1"}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	type seen struct {
		raw        string
		serverName string
		protocol   string
	}
	got := make(chan seen, 1)
	b.wg.Go(func() {
		defer listener.Close()
		conn, err := listener.Accept()
		if err != nil {
			got <- seen{raw: err.Error()}
			return
		}
		defer conn.Close()
		raw := make([]byte, len(approveWire))
		if _, err := io.ReadFull(conn, raw); err != nil {
			raw = []byte(err.Error())
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nX-b: 1\r\nX-A: 2\r\nContent-Length: 4\r\n\r\ndone")
		rest, _ := io.ReadAll(conn) // Nothing more may come before the client hangs up.
		state := conn.(*tls.Conn).ConnectionState()
		got <- seen{string(raw) + string(rest), state.ServerName, state.NegotiatedProtocol}
	})
	t.Cleanup(b.wg.Wait)
	if err := b.guard.Route(host, listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	a := b.run(t, withToken(approve()))
	if s, want := <-got, (seen{approveWire, host, "http/1.1"}); s != want {
		t.Errorf("the service got %+v\nwant %+v", s, want)
	}
	if string(a.Sent) != approveWire {
		t.Errorf("recorded as sent %q", a.Sent)
	}
	if a.Addr != listener.Addr().String() || a.Status != 200 || a.Proto != "HTTP/1.1" || a.TLSVersion != "TLS 1.3" ||
		!slices.Equal(a.Header, []Field{{"X-b", "1"}, {"X-A", "2"}, {"Content-Length", "4"}}) ||
		string(a.Body) != "done" || a.BodyTruncated || a.Error != "" || a.Outcome != OutcomeSucceeded {
		t.Errorf("recorded %+v", a)
	}
}

// TestRedirectIsAnAnswer has a service that redirects to itself, to loopback
// and to the metadata address; it is asked once.
func TestRedirectIsAnAnswer(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	var asked atomic.Int32
	service := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Location", r.URL.Query().Get("to"))
		w.Header().Set("Set-Cookie", "a=b")
		w.WriteHeader(http.StatusTemporaryRedirect)
	}))
	service.TLS = b.authority.server(t, "127.0.0.1", b.authority.cert.NotAfter)
	service.StartTLS()
	t.Cleanup(service.Close)
	for i, to := range []string{"/again", service.URL, "https://169.254.169.254/"} {
		r := approve()
		r.URL = service.URL + "/?to=" + to
		a := b.run(t, r)
		if a.Status != http.StatusTemporaryRedirect || a.Outcome != OutcomeFailed || asked.Load() != int32(i+1) {
			t.Errorf("%s: %+v, asked %d times", to, a, asked.Load())
		}
		if strings.Contains(string(a.Sent), "Cookie") {
			t.Errorf("a cookie was sent: %q", a.Sent)
		}
	}
}

func TestTLSReasons(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	forever := b.authority.cert.NotAfter
	old := b.authority.server(t, host, forever)
	old.MaxVersion = tls.VersionTLS11
	old.MinVersion = tls.VersionTLS10
	for name, tt := range map[string]struct {
		config *tls.Config
		want   Reason
	}{
		"good":              {b.authority.server(t, host, forever), ""},
		"another host":      {b.authority.server(t, "other.example", forever), ReasonTLSName},
		"expired":           {b.authority.server(t, host, time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)), ReasonTLSExpired},
		"unknown authority": {newAuthority(t).server(t, host, forever), ReasonTLSAuthority},
		"old version":       {old, ReasonTLSVersion},
		"no certificate":    {&tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errors.New("none") }}, ReasonTLSOther},
	} {
		b.serveRaw(t, func(conn net.Conn) { answer("HTTP/1.1 200 OK\r\n\r\n")(tls.Server(conn, tt.config)) })
		a := b.run(t, withToken(approve()))
		if a.Reason != tt.want || (a.Reason == "") != (len(a.Sent) > 0) {
			t.Errorf("%s: %s (%s), sent %q", name, a.Reason, a.Error, a.Sent)
		}
		if a.Addr != "in-process" {
			t.Errorf("%s: address %s", name, a.Addr)
		}
	}
	b.serveRaw(t, func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 1<<16))
		_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn)
	})
	if a := b.run(t, approve()); a.Reason != ReasonTLSNone {
		t.Errorf("no TLS: %s (%s)", a.Reason, a.Error)
	}
}

func TestConnectionReasons(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	r := approve()
	r.URL = "https://" + address + "/"

	b.wg.Go(func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_, _ = conn.Read(make([]byte, 1))
		_ = conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	})
	if a := b.run(t, r); a.Reason != ReasonReset || a.Addr != address {
		t.Errorf("reset: %s (%s) at %s", a.Reason, a.Error, a.Addr)
	}
	b.wg.Wait()
	listener.Close()
	if a := b.run(t, r); a.Reason != ReasonConnectRefused || a.Addr != address {
		t.Errorf("closed port: %s (%s) at %s", a.Reason, a.Error, a.Addr)
	}

	for name, tt := range map[string]struct {
		dial func(context.Context) (net.Conn, error)
		want Reason
	}{
		"error":   {func(context.Context) (net.Conn, error) { return nil, errors.New("endpoint is gone") }, ReasonUnreachable},
		"nothing": {func(context.Context) (net.Conn, error) { return nil, nil }, ReasonUnreachable},
	} {
		if err := b.guard.RouteConn(host, tt.dial); err != nil {
			t.Fatal(err)
		}
		if a := b.run(t, approve()); a.Reason != tt.want {
			t.Errorf("%s: %s (%s)", name, a.Reason, a.Error)
		}
	}
}

func TestWithheld(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	for want, change := range map[Reason]func(*Request){
		ReasonHostNotRouted: func(r *Request) {},
		ReasonNotHTTPS:      func(r *Request) { r.URL = "http://127.0.0.1/" },
		ReasonBadURL:        func(r *Request) { r.URL = "https://127.0.0.1/a b" },
		ReasonBadRequest:    func(r *Request) { r.URL, r.Method = "https://127.0.0.1/", "PO ST" },
	} {
		r := approve()
		if want != ReasonBadRequest {
			r.Token = func(context.Context) (string, error) {
				t.Errorf("%s: a token was made", want)
				return "", nil
			}
		}
		change(&r)
		a := b.run(t, r)
		if a.Reason != want || a.Outcome != OutcomeWithheld || a.Error == "" || a.Sent != nil || a.Addr != "" {
			t.Errorf("want %s, got %+v", want, a)
		}
	}
}

// TestTimeouts has services that take their time, in a bubble where time is
// free. All are given ten seconds and a half.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	const head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n"
	drip := func(conn net.Conn, text string) {
		for _, c := range []byte(text) {
			time.Sleep(time.Second)
			if _, err := conn.Write([]byte{c}); err != nil {
				return
			}
		}
	}
	for name, tt := range map[string]struct {
		handle func(net.Conn)
		want   Reason
		broken bool // The body broke off.
	}{
		"silence":       {func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }, ReasonTimeout, false},
		"slow header":   {func(conn net.Conn) { answer("")(conn); drip(conn, head) }, ReasonTimeout, false},
		"half a header": {func(conn net.Conn) { answer(head)(conn); _, _ = io.Copy(io.Discard, conn) }, ReasonTimeout, false},
		"slow body":     {func(conn net.Conn) { answer(head + "\r\n")(conn); drip(conn, strings.Repeat("x", 100)) }, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, Options{})
				b.serve(t, tt.handle)
				r := approve()
				r.Timeout = 10500 * time.Millisecond
				a := b.run(t, r)
				if a.Reason != tt.want || a.Took != r.Timeout || a.BodyTruncated != tt.broken || a.Error == "" {
					t.Errorf("%s after %v: %s, %+v", a.Reason, a.Took, a.Error, a)
				}
				if tt.broken && (a.Outcome != OutcomeSucceeded || string(a.Body) != "xxxxxxxxxx") {
					t.Errorf("body %q, outcome %s", a.Body, a.Outcome)
				}
			})
		})
	}
}

// TestBigBody has a service that would send for ever; it is stopped by the
// client's hanging up.
func TestBigBody(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	b.serve(t, func(conn net.Conn) {
		answer("HTTP/1.1 200 OK\r\n\r\n")(conn)
		for block := make([]byte, 4096); ; {
			if _, err := conn.Write(block); err != nil {
				return
			}
		}
	})
	a := b.run(t, approve())
	if a.Outcome != OutcomeSucceeded || len(a.Body) != DefaultMaxBody || !a.BodyTruncated || a.Error != "" {
		t.Errorf("%d octets kept of %+v", len(a.Body), a.Outcome)
	}
}

func TestGarbage(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	b.serve(t, answer("220 mail.example ESMTP\r\n\r\n"))
	if a := b.run(t, approve()); a.Reason != ReasonBadResponse || a.Outcome != OutcomeFailed || a.Status != 0 || string(a.Sent) == "" {
		t.Errorf("%+v", a)
	}
}
