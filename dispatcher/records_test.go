package dispatcher

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// gathering is a connection that keeps what is written to itself.
type gathering struct {
	net.Conn
	kept  bool
	wrote []byte
}

func (g *gathering) Write(p []byte) (int, error) {
	if g.kept {
		g.wrote = append(g.wrote, p...)
		return len(p), nil
	}
	return g.Conn.Write(p)
}

// TestHalfARecordIsKept has a service that sends an answer nobody asked for: the
// beginning of its TLS record with the first answer, the rest when the next request
// comes. That is no answer to it.
func TestHalfARecordIsKept(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config := b.authority.server(t, "127.0.0.1", b.authority.cert.NotAfter)
	var conns atomic.Int32
	serve := func(raw net.Conn, first bool) {
		defer raw.Close()
		g := &gathering{Conn: raw}
		conn := tls.Server(g, config)
		request, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, request.Body)
		g.kept = first
		_, _ = io.WriteString(conn, okAnswer)
		if !first {
			return
		}
		part := len(g.wrote) + recordHead + 2
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstale")
		_, _ = raw.Write(g.wrote[:part])
		if _, err := raw.Read(make([]byte, 1)); err == nil {
			_, _ = raw.Write(g.wrote[part:])
		}
	}
	b.wg.Go(func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			first := conns.Add(1) == 1
			b.wg.Go(func() { serve(raw, first) })
		}
	})
	t.Cleanup(func() { b.Close(); l.Close(); b.wg.Wait() })
	r := approve()
	r.URL, r.KeepAlive = "https://"+l.Addr().String()+"/", true
	for i := range 2 {
		if a := b.run(t, r); string(a.Body) != "ok" {
			t.Errorf("request %d was answered with %q: %s (%s)", i, a.Body, a.Reason, a.Error)
		}
	}
	if conns.Load() != 2 {
		t.Errorf("%d connections", conns.Load())
	}
}

// TestRecords reads records in parts.
func TestRecords(t *testing.T) {
	t.Parallel()
	const two = "\x17\x03\x03\x00\x02ab\x15\x03\x03\x01\x00"
	text := two + strings.Repeat("c", 256)
	for _, size := range []int{1, 2, 3, 7, 300} {
		client, server := net.Pipe()
		go func() { _, _ = io.WriteString(server, text); server.Close() }()
		r, read := &records{Conn: client}, 0
		for {
			n, err := r.Read(make([]byte, size))
			if err != nil {
				break
			}
			read += n
			if want := read == 7 || read == len(text); r.whole() != want {
				t.Errorf("%d octets at a time, after %d: whole is %v", size, read, r.whole())
			}
		}
	}
}
