package dispatcher

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const approveHTTP2 = "POST /approve?expenseId=abc123 HTTP/2.0\r\n" +
	"Host: shop.example\r\n" +
	"Authorization: Bearer AbCdEf123456\r\n" +
	"Content-Type: application/x-www-form-urlencoded\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/1.0 (KHTML, like Gecko; Gmail Actions)\r\n" +
	"Content-Length: 18\r\n" +
	"\r\n" +
	"confirmed=Approved"

// TestHTTP2 has the server of net/http on a real socket.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	service := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", fmt.Sprintf("%s %s %s %s %d", r.Proto, r.Host, r.RequestURI, r.Header.Get("Authorization"), len(body)))
		switch r.URL.Path {
		case "/long":
			_, _ = w.Write(make([]byte, 1<<20))
		case "/hints":
			w.WriteHeader(http.StatusEarlyHints)
		case "/broken":
			_, _ = w.Write([]byte("half"))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
	}))
	service.EnableHTTP2 = true
	service.TLS = b.authority.server(t, host, b.authority.cert.NotAfter)
	service.StartTLS()
	t.Cleanup(service.Close)
	if err := b.guard.Route(host, service.Listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	r := withToken(approve())
	r.HTTP2 = true
	if a := b.run(t, r); a.Outcome != OutcomeSucceeded || a.Proto != "HTTP/2.0" || string(a.Sent) != approveHTTP2 || a.Error != "" ||
		a.Header[0] != (Field{"x-seen", "HTTP/2.0 shop.example /approve?expenseId=abc123 Bearer AbCdEf123456 18"}) {
		t.Errorf("recorded %+v, sent %q", a, a.Sent)
	}
	r.Body = make([]byte, maxRequestBody) // More than the first window.
	if a := b.run(t, r); a.Status != 200 || !strings.HasSuffix(a.Header[0].Value, " 65536") {
		t.Errorf("a long body: %s (%s), %+v", a.Reason, a.Error, a.Header)
	}
	r.Body = nil
	r.URL = "https://" + host + "/long"
	if a := b.run(t, r); a.Outcome != OutcomeSucceeded || len(a.Body) != DefaultMaxBody || !a.BodyTruncated || a.Error != "" {
		t.Errorf("a long answer: %s (%s), %d octets", a.Reason, a.Error, len(a.Body))
	}
	r.URL = "https://" + host + "/hints"
	if a := b.run(t, r); a.Outcome != OutcomeSucceeded {
		t.Errorf("after hints: %s (%s)", a.Reason, a.Error)
	}
	r.URL = "https://" + host + "/broken"
	if a := b.run(t, r); a.Outcome != OutcomeSucceeded || string(a.Body) != "half" || a.Error != "the answer counts, but its body broke off after 4 octets: the service reset the stream (INTERNAL_ERROR)" {
		t.Errorf("a broken body: %s (%s)", a.Reason, a.Error)
	}
	r.HTTP2, r.URL = false, "https://"+host+"/approve"
	if a := b.run(t, r); a.Proto != "HTTP/1.1" || !strings.HasPrefix(a.Header[0].Name+a.Header[0].Value, "X-SeenHTTP/1.1") {
		t.Errorf("not offered: %+v", a)
	}
}

// TestHTTP2NotSpoken has a service that knows HTTP/1.1 only.
func TestHTTP2NotSpoken(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	b.serve(t, answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
	r := withToken(approve())
	r.HTTP2 = true
	if a := b.run(t, r); a.Outcome != OutcomeSucceeded || a.Proto != "HTTP/1.1" || string(a.Sent) != approveWire {
		t.Errorf("recorded %+v", a)
	}
}

// frames is a service that reads a request by HTTP/2 and then does what it is
// told with frames.
func frames(t *testing.T, b *bench, then func(net.Conn, *http2.Framer)) func(net.Conn) {
	config := b.authority.server(t, host, b.authority.cert.NotAfter)
	config.NextProtos = []string{"h2"}
	return func(raw net.Conn) {
		conn := tls.Server(raw, config)
		if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
			return
		}
		// The socket has room, so that one side can write while the other does.
		framer := http2.NewFramer(conn, bufio.NewReader(conn))
		for {
			frame, err := framer.ReadFrame()
			if err != nil {
				return
			}
			if data, ok := frame.(*http2.DataFrame); ok && data.StreamEnded() {
				break
			}
		}
		then(conn, framer)
	}
}

// headers writes an answer's header.
func headers(framer *http2.Framer, end bool, fields ...string) {
	var block strings.Builder
	encoder := hpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		_ = encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	rest := []byte(block.String())
	part := rest[:min(len(rest), maxFrame)]
	rest = rest[len(part):]
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: part, EndHeaders: len(rest) == 0, EndStream: end})
	for len(rest) > 0 {
		part = rest[:min(len(rest), maxFrame)]
		rest = rest[len(part):]
		if framer.WriteContinuation(1, len(rest) == 0, part) != nil {
			return
		}
	}
}

func TestHTTP2Trouble(t *testing.T) {
	t.Parallel()
	const where = host + " (127.0.0.1:"
	for name, tt := range map[string]struct {
		then   func(net.Conn, *http2.Framer)
		reason Reason
		says   string
		retry  bool
	}{
		"GOAWAY before": {func(_ net.Conn, f *http2.Framer) {
			_ = f.WriteSettings()
			_ = f.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, nil)
		}, ReasonHTTP2Unprocessed, "ended the connection (GOAWAY, ENHANCE_YOUR_CALM) and did not process the request: it can safely be made again", true},
		"GOAWAY after": {func(_ net.Conn, f *http2.Framer) {
			_ = f.WriteSettings()
			_ = f.WriteGoAway(1, http2.ErrCodeNo, nil)
		}, ReasonHTTP2GoAway, "had not answered the request that it had accepted; it may have carried it out", true},
		"GOAWAY, then the answer": {func(_ net.Conn, f *http2.Framer) {
			_ = f.WriteSettings()
			_ = f.WriteGoAway(1, http2.ErrCodeNo, nil)
			headers(f, true, ":status", "200")
		}, "", "", false},
		"refused": {func(_ net.Conn, f *http2.Framer) {
			_ = f.WriteSettings()
			_ = f.WriteRSTStream(1, http2.ErrCodeRefusedStream)
		}, ReasonHTTP2Unprocessed, "refused the stream (RST_STREAM, REFUSED_STREAM)", true},
		"reset": {func(_ net.Conn, f *http2.Framer) {
			_ = f.WriteSettings()
			_ = f.WriteRSTStream(1, http2.ErrCodeInternal)
		}, ReasonHTTP2Reset, "reset the stream (RST_STREAM, INTERNAL_ERROR) without an answer", true},
		"closed": {func(_ net.Conn, f *http2.Framer) { _ = f.WriteSettings() },
			ReasonReset, "the connection after the request, without an answer", true},
		"closed after an interim answer": {func(_ net.Conn, f *http2.Framer) {
			_ = f.WriteSettings()
			headers(f, false, ":status", "103")
		}, ReasonReset, "the connection after the interim answer 103, without one that ends the request", true},
		"flood of settings": {func(_ net.Conn, f *http2.Framer) {
			for f.WriteSettings() == nil {
			}
		}, ReasonBadResponse, "sent more than 256 frames that are no answer", false},
		"flood of pings": {func(_ net.Conn, f *http2.Framer) {
			_ = f.WriteSettings()
			for f.WritePing(false, [8]byte{}) == nil {
			}
		}, ReasonBadResponse, "sent more than 256 frames that are no answer", false},
		"flood of empty data": {func(_ net.Conn, f *http2.Framer) {
			_ = f.WriteSettings()
			headers(f, false, ":status", "200")
			for f.WriteData(1, false, nil) == nil {
			}
		}, "", "the answer counts, but its body broke off after 0 octets", false},
		"endless interim": {func(_ net.Conn, f *http2.Framer) {
			_ = f.WriteSettings()
			for range 20 {
				headers(f, false, ":status", "103")
			}
		}, ReasonBadResponse, "more than 8 interim (1xx) answers", false},
		"huge header": {func(_ net.Conn, f *http2.Framer) {
			_ = f.WriteSettings()
			headers(f, true, ":status", "200", "x", strings.Repeat("y", 2*maxHead))
		}, ReasonBadResponse, "", false},
		"no settings": {func(_ net.Conn, f *http2.Framer) { headers(f, true, ":status", "200") },
			ReasonBadResponse, "begins with a frame HEADERS and not with SETTINGS", false},
		"HTTP/1.1 after all": {func(c net.Conn, _ *http2.Framer) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n") },
			ReasonBadResponse, "", false},
		"pushed": {func(_ net.Conn, f *http2.Framer) {
			_ = f.WriteSettings()
			_ = f.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2, EndHeaders: true})
		}, ReasonBadResponse, "", false},
		"interim at the end": {func(_ net.Conn, f *http2.Framer) {
			_ = f.WriteSettings()
			headers(f, true, ":status", "103")
		}, ReasonBadResponse, "ends the stream with the interim answer 103", false},
		"another header": {func(_ net.Conn, f *http2.Framer) {
			_ = f.WriteSettings()
			headers(f, false, ":status", "200")
			headers(f, false, "x", "y")
		}, ReasonBadResponse, "sends another header after that of its answer", false},
		"endless header": {func(_ net.Conn, f *http2.Framer) {
			_ = f.WriteSettings()
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x88}})
			for f.WriteContinuation(1, false, nil) == nil {
			}
		}, ReasonBadResponse, "sends a header in more than 256 frames", false},
		"endless trailer": {func(_ net.Conn, f *http2.Framer) {
			_ = f.WriteSettings()
			headers(f, false, ":status", "200")
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndStream: true})
			for f.WriteContinuation(1, false, nil) == nil {
			}
		}, ReasonBadResponse, "sends a header in more than 256 frames", false},
		"padded body": {func(c net.Conn, f *http2.Framer) {
			_ = f.WriteSettings()
			headers(f, false, ":status", "200")
			for i := range 300 {
				_ = f.WriteDataPadded(1, i == 299, []byte("abc"), make([]byte, 5))
			}
			_, _ = io.Copy(io.Discard, c) // What is unread when it closes would be a reset.
		}, "", "", false},
		"GOAWAY while answering": {func(_ net.Conn, f *http2.Framer) {
			_ = f.WriteSettings()
			headers(f, false, ":status", "200")
			_ = f.WriteGoAway(0, http2.ErrCodeNo, nil)
		}, "", "the answer counts, but its body broke off after 0 octets: the service ended the connection (GOAWAY, NO_ERROR), as if it had not processed", false},
		"length unlike the body": {func(_ net.Conn, f *http2.Framer) {
			_ = f.WriteSettings()
			headers(f, false, ":status", "200", "content-length", "10")
			_ = f.WriteData(1, true, []byte("ab"))
		}, "", "the answer counts, but its body has 2 octets, and its header announces 10", false},
		"about a connection": {func(_ net.Conn, f *http2.Framer) {
			_ = f.WriteSettings()
			headers(f, true, ":status", "200", "transfer-encoding", "chunked")
		}, ReasonBadResponse, "answers with the field transfer-encoding", false},
		"status with a sign": {func(_ net.Conn, f *http2.Framer) {
			_ = f.WriteSettings()
			headers(f, true, ":status", "+200")
		}, ReasonBadResponse, `answers with the status "+200"`, false},
		"status of four digits": {func(_ net.Conn, f *http2.Framer) {
			_ = f.WriteSettings()
			headers(f, true, ":status", "0200")
		}, ReasonBadResponse, `answers with the status "0200"`, false},
		"status of no meaning": {func(_ net.Conn, f *http2.Framer) {
			_ = f.WriteSettings()
			headers(f, true, ":status", "999")
		}, ReasonBadResponse, `answers with the status "999"`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, Options{})
			b.listen(t, frames(t, b, tt.then))
			r := approve()
			r.HTTP2 = true
			a := b.run(t, r)
			if a.Reason != tt.reason || a.Reason.unanswered() != tt.retry || !strings.Contains(a.Error, tt.says) {
				t.Errorf("%s (%s), retried: %v", a.Reason, a.Error, a.Reason.unanswered())
			}
			if (a.Error == "") != (tt.says == "" && tt.reason == "") {
				t.Errorf("it says %q", a.Error)
			}
			if tt.reason != "" && !strings.HasPrefix(a.Error, where) && !strings.Contains(a.Error, "header from "+where) {
				t.Errorf("it says %q", a.Error)
			}
		})
	}
}

// FuzzHTTP2 has a service that sends anything: an attempt ends, keeps to its
// limits and has a reason.
func FuzzHTTP2(f *testing.F) {
	seed := func(write func(*http2.Framer)) {
		var b strings.Builder
		write(http2.NewFramer(&b, nil))
		f.Add([]byte(b.String()))
	}
	seed(func(f *http2.Framer) {
		_ = f.WriteSettings()
		headers(f, false, ":status", "200")
		_ = f.WriteData(1, true, []byte("ok"))
	})
	seed(func(f *http2.Framer) { _ = f.WriteSettings(); _ = f.WriteGoAway(0, 0, nil) })
	seed(func(f *http2.Framer) {
		_ = f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})
		_ = f.WriteWindowUpdate(0, 1)
		headers(f, true, ":status", "103")
	})
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := New(Options{Now: time.Now, MaxBody: 100})
		if err != nil {
			t.Fatal(err)
		}
		client, server := net.Pipe()
		defer client.Close()
		go func() {
			defer server.Close()
			go func() { _, _ = io.Copy(io.Discard, server) }()
			_, _ = server.Write(data)
		}()
		var a Attempt
		p := &progress{host: host}
		x := &exchange{message: &message{method: "POST", body: []byte("confirmed=Approved")}, target: target{authority: host, path: "/"}}
		err = b.talkHTTP2(t.Context(), client, bufio.NewReaderSize(client, maxHead), x, p, &a)
		if a.Status == 0 && err == nil || len(a.Body) > 100 {
			t.Fatalf("%v, %+v", err, a)
		}
	})
}
