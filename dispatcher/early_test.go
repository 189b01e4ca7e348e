package dispatcher

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// TestAnsweredUnasked has a service within the process that reads nothing of a
// request: nothing of it can be sent before the answer has come.
func TestAnsweredUnasked(t *testing.T) {
	t.Parallel()
	const says = "answered before anything of the request had been sent"
	for status, want := range map[string]struct {
		reason, raw Reason
		status      int
	}{
		"200": {ReasonBadResponse, "", 0},
		"302": {ReasonBadResponse, ReasonStatus, 0},
		"408": {ReasonStatus, ReasonStatus, 408},
		"503": {ReasonStatus, ReasonStatus, 503},
	} {
		b := newBench(t, Options{})
		b.serve(t, func(conn net.Conn) {
			_, _ = io.WriteString(conn, "HTTP/1.1 "+status+" X\r\nContent-Length: 2\r\n\r\nok")
		})
		a := b.run(t, approve())
		if a.Reason != want.reason || a.Status != want.status || a.Outcome != OutcomeFailed || len(a.Sent) > 0 || !strings.Contains(a.Error, says) {
			t.Errorf("%s is recorded as %+v", status, a)
		}
		if want.status == 0 && (len(a.Body) > 0 || len(a.Header) > 0) {
			t.Errorf("%s: what is no answer is recorded: %q", status, a.Body)
		}
		// What is sent octet for octet may be refused at sight.
		a = b.Exchange(t.Context(), Raw{URL: "https://" + host + "/", Method: "POST", Octets: []byte("POST / HTTP/1.1\r\n\r\n")})
		if a.Reason != want.raw || string(a.Body) != "ok" || !strings.Contains(a.Error, says) {
			t.Errorf("%s to a raw request is recorded as %+v", status, a)
		}
	}
}

// TestHTTP2AnsweredUnasked is the same by HTTP/2.
func TestHTTP2AnsweredUnasked(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	config := b.authority.server(t, host, b.authority.cert.NotAfter)
	config.NextProtos = []string{"h2"}
	b.serveRaw(t, func(raw net.Conn) {
		f := http2.NewFramer(tls.Server(raw, config), nil)
		if f.WriteSettingsAck() == nil { // Which asks for nothing.
			headers(f, true, ":status", "200")
		}
	})
	r := approve()
	r.HTTP2 = true
	if a := b.run(t, r); a.Reason != ReasonBadResponse || a.Status != 0 || len(a.Sent) > 0 || !strings.Contains(a.Error, "answered before anything of the request had been sent") {
		t.Errorf("recorded as %+v", a)
	}
}

// TestAnsweredUnread has a service that reads the header, and answers.
func TestAnsweredUnread(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	b.serve(t, func(conn net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok")
		}
	})
	r := approve()
	r.Body = make([]byte, maxRequestBody)
	a := b.run(t, r)
	if a.Outcome != OutcomeSucceeded || len(a.Sent) == 0 || len(a.Sent) > maxRequestBody {
		t.Errorf("recorded as %s (%s), %d octets sent", a.Outcome, a.Error, len(a.Sent))
	}
	if !strings.HasPrefix(a.Error, "the service answered when it had been sent ") || !strings.Contains(a.Error, "; the answer counts, but its body broke off after 2 octets") {
		t.Errorf("it says %q", a.Error)
	}
}
