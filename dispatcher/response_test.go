package dispatcher

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

func TestReadResponse(t *testing.T) {
	t.Parallel()
	const limit = 10
	tests := []struct {
		name string
		text string
		want response
	}{
		{"length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokmore",
			response{status: 200, proto: "HTTP/1.1", header: []Field{{"Content-Length", "2"}}, body: []byte("ok")}},
		{"chunks", "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
			response{status: 404, proto: "HTTP/1.1", header: []Field{{"Transfer-Encoding", "chunked"}}, body: []byte("no"), more: true}},
		{"until the end", "HTTP/1.0 200 OK\r\n\r\nok", response{status: 200, proto: "HTTP/1.0", body: []byte("ok")}},
		{"order and folding", "HTTP/1.1 302 Found\nb: 1\nA:2 \nX-Folded: a\n  b\nb: 3\nContent-Length: 0\n\n",
			response{status: 302, proto: "HTTP/1.1", header: []Field{{"b", "1"}, {"A", "2"}, {"X-Folded", "a b"}, {"b", "3"}, {"Content-Length", "0"}}, body: []byte{}, more: true}},
		{"interim", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
			response{status: 204, proto: "HTTP/1.1", body: []byte{}, more: true}},
		{"exactly the limit", "HTTP/1.1 200 OK\r\n\r\n0123456789", response{status: 200, proto: "HTTP/1.1", body: []byte("0123456789")}},
		{"beyond the limit", "HTTP/1.1 200 OK\r\n\r\n0123456789a", response{status: 200, proto: "HTTP/1.1", body: []byte("0123456789"), truncated: true}},
		{"broken off", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok",
			response{status: 200, proto: "HTTP/1.1", header: []Field{{"Content-Length", "5"}}, body: []byte("ok"), truncated: true, bodyErr: io.ErrUnexpectedEOF}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := readResponse(readerOf(tt.text), "POST", limit, new(progress))
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v %v\nwant %+v", got, err, tt.want)
			}
		})
	}
	head, err := readResponse(readerOf("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), "HEAD", limit, new(progress))
	if err != nil || head.truncated || len(head.body) != 0 {
		t.Errorf("HEAD: %+v %v", head, err)
	}
}

func TestReadResponseRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Reason{
		"":                              ReasonReset,
		"HTTP/1.1 200 OK\r\n":           ReasonReset,
		"HTTP/1.1 200 OK\r\nA: b":       ReasonReset,
		"\r\n":                          ReasonBadResponse,
		"SSH-2.0-OpenSSH\r\n\r\n":       ReasonBadResponse,
		"HTTP/1.1 20 OK\r\n\r\n":        ReasonBadResponse,
		"HTTP/1.1 099 Low\r\n\r\n":      ReasonBadResponse,
		"HTTP/1.1 600 High\r\n\r\n":     ReasonBadResponse,
		"HTTP/2.0 200 OK\r\n\r\n":       ReasonBadResponse,
		"HTTP/1.1 101 Switch\r\n\r\n":   ReasonBadResponse,
		"HTTP/1.1 200 OK\r\nAb\r\n\r\n": ReasonBadResponse,
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n": ReasonBadResponse,
		"HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", maxHead/6+1):     ReasonBadResponse,
		"HTTP/1.1 200 OK\r\nA: " + strings.Repeat("b", maxHead):             ReasonBadResponse,
		strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", maxInterim+1):       ReasonBadResponse,
	} {
		_, err := readResponse(readerOf(text), "POST", 10, &progress{stage: stageWait})
		if got := reasonOf(t, err); err == nil || got != want {
			t.Errorf("%.60q: %q (%v), want %s", text, got, err, want)
		}
	}
}

// FuzzReadResponse holds that what is read keeps to its limits, that an error
// has a reason, and that fields cannot contain line ends.
func FuzzReadResponse(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 408 T\n\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n2;x\r\nno\r\n0\r\nA: b\r\n\r\n",
		"HTTP/1.0 500\r\nA: b\r\n c\r\n\r\n", "\r\n\r\n", "HTTP/1.1 200 OK\r\n \r\n\r\n",
	} {
		f.Add([]byte(seed), "POST")
	}
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"), "HEAD")
	f.Fuzz(func(t *testing.T, data []byte, method string) {
		const limit = 100
		got, err := readResponse(readerOf(string(data)), method, limit, new(progress))
		if err != nil {
			var known *fault
			if !errors.As(err, &known) && !errors.Is(err, io.EOF) {
				t.Fatalf("error without reason: %v", err)
			}
			return
		}
		if got.status < 200 || got.status > 599 || len(got.body) > limit || !strings.HasPrefix(got.proto, "HTTP/1.") {
			t.Fatalf("got %+v", got)
		}
		if got.bodyErr != nil && !got.truncated {
			t.Fatalf("body broke off and is whole: %+v", got)
		}
		for _, field := range got.header {
			if field.Name == "" || strings.ContainsAny(field.Name+field.Value, "\n") {
				t.Fatalf("field %+v", field)
			}
		}
	})
}
