package dispatcher

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestExchange(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	service := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("X-Seen", strings.Join(r.Header.Values("Authorization"), "|"))
		_, _ = io.WriteString(w, r.Method+" "+r.RequestURI)
	}))
	service.TLS = b.authority.server(t, "127.0.0.1", b.authority.cert.NotAfter)
	service.StartTLS()
	t.Cleanup(service.Close)
	for name, c := range map[string]struct {
		raw    Raw
		status int
		reason Reason
		body   string
	}{
		"two of a field": {Raw{Octets: []byte("POST /b HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\nContent-Length: 0\r\n\r\n")}, 200, "", "POST /b"},
		"head":           {Raw{Method: "HEAD", Octets: []byte("HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n")}, 200, "", ""},
		"half a body":    {Raw{Octets: []byte("POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 18\r\n\r\nconfirmed"), Then: ThenHalfClose}, 400, ReasonStatus, ""},
		"hung up":        {Raw{Octets: []byte("POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"), Then: ThenHangUp}, 0, ReasonLost, ""},
		"another host":   {Raw{URL: "https://production.example/"}, 0, ReasonHostNotRouted, ""},
		"no https":       {Raw{URL: "http://127.0.0.1/"}, 0, ReasonNotHTTPS, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.raw.URL == "" {
				c.raw.URL = service.URL + "/ignored"
			}
			if c.raw.Method == "" {
				c.raw.Method = "POST"
			}
			c.raw.ID = "probe-1"
			a := b.Exchange(t.Context(), c.raw)
			if a.ID != "probe-1" || a.Status != c.status || a.Reason != c.reason || string(a.Body) != c.body || a.At != b.clock() {
				t.Errorf("recorded %+v", a)
			}
			if (a.Outcome == OutcomeSucceeded) != (c.status == 200) {
				t.Errorf("the outcome is %s", a.Outcome)
			}
			if a.Addr != "" && string(a.Sent) != string(c.raw.Octets) {
				t.Errorf("sent %q", a.Sent)
			}
		})
	}
	if b.Pending() != 0 || len(b.attempts) != 0 {
		t.Error("the queue has to do with it")
	}
}

// TestExchangeAnsweredEarly has a service that answers a body which it does not
// read, and hangs up: the answer counts.
func TestExchangeAnsweredEarly(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	b.serve(t, func(conn net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
		_ = conn.(*tls.Conn).CloseWrite()
	})
	head := "POST / HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 4194304\r\n\r\n"
	a := b.Exchange(t.Context(), Raw{URL: "https://" + host + "/", Method: "POST", Octets: []byte(head + strings.Repeat("a", 4<<20))})
	if a.Status != 413 || a.Reason != ReasonStatus {
		t.Errorf("recorded status %d, %s (%s)", a.Status, a.Reason, a.Error)
	}
}
