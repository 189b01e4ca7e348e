package keys

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// established is the answer after which a connection is a tunnel.
const established = "HTTP/1.1 200 Connection established\r\n\r\n"

// tunnel is the client's connection after its CONNECT.
type tunnel struct {
	net.Conn
	host   string    // For which it is answered, if it is.
	reader io.Reader // What came with the head, and then the connection.
	once   sync.Once
	closed chan struct{}
}

// hijack takes a connection over from the HTTP server.
func hijack(w http.ResponseWriter) (*tunnel, error) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, err
	}
	return &tunnel{Conn: conn, reader: behind(rw.Reader, conn), closed: make(chan struct{})}, nil
}

// behind reads what a buffer holds already, and then from the connection.
func behind(b *bufio.Reader, conn net.Conn) io.Reader {
	held, _ := b.Peek(b.Buffered()) // As much as there is cannot fail.
	return io.MultiReader(bytes.NewReader(bytes.Clone(held)), conn)
}

// Read implements net.Conn.
func (t *tunnel) Read(b []byte) (int, error) { return t.reader.Read(b) }

// CloseWrite tells the other side that no more follows.
func (t *tunnel) CloseWrite() error { return closeWrite(t.Conn) }

// Close implements net.Conn.
func (t *tunnel) Close() error {
	err := t.Conn.Close()
	t.once.Do(func() { close(t.closed) })
	return err
}

var errNoHalves = errors.New("the connection cannot be closed by halves")

func closeWrite(conn net.Conn) error {
	half, ok := conn.(interface{ CloseWrite() error })
	if !ok {
		return errNoHalves
	}
	return half.CloseWrite()
}

// refuse answers a CONNECT with a sentence. It is the reason phrase, too: that
// is all that many clients show of such an answer.
func refuse(conn *tunnel, code int, sentence string) {
	sentence = asciiLine(sentence)
	_ = conn.SetDeadline(time.Now().Add(proxyHeadTime))
	_, err := fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s\n", code, sentence, len(sentence)+1, sentence)
	if err != nil || conn.CloseWrite() != nil {
		return
	}
	// To close with unread octets would reset the connection, and the answer
	// might be lost. A client that goes on sending is cut off.
	_, _ = io.Copy(io.Discard, io.LimitReader(conn, maxProxyHead))
}

// asciiLine makes a line of printable ASCII, for a header and a terminal.
func asciiLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
}

// passOn connects a client with its target, and carries what they say. Received
// is by which proxies its CONNECT came.
func (p *Proxy) passOn(client *tunnel, t target, received []string) {
	ctx, cancel := context.WithTimeout(p.ctx, proxyConnectTime)
	defer cancel()
	conn, err := p.connect(ctx, t, received)
	if err != nil {
		p.log.Info("proxy: not passed on", slog.String("target", t.String()), slog.Any("error", err))
		refuse(client, http.StatusBadGateway, "doppelbox cannot pass on "+t.String()+": "+err.Error())
		return
	}
	defer p.hold(conn)()
	defer conn.Close()
	p.log.Info("proxy: passing on", slog.String("target", t.String()))
	if _, err := io.WriteString(client, established); err != nil {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { carry(conn, client) })
	carry(client, conn)
	both.Wait()
}

// carry copies one direction. Its end is passed on as the end of that direction
// only; trouble ends both, and is passed on as a reset: an end would say that
// all has come.
func carry(to, from net.Conn) {
	if _, err := io.Copy(to, from); err == nil && closeWrite(to) == nil {
		return
	}
	reset(to)
	reset(from)
}

// reset closes a connection below all that stands on it, with a reset if it is
// of a kind that has one.
func reset(conn net.Conn) {
	switch c := conn.(type) {
	case *tunnel:
		reset(c.Conn)
	case *tls.Conn:
		reset(c.NetConn())
	case *net.TCPConn:
		_ = c.SetLinger(0) // It is closed with a reset, or was closed already.
	}
	_ = conn.Close()
}

// connect opens a connection to a target, by another proxy if one is set.
func (p *Proxy) connect(ctx context.Context, t target, received []string) (net.Conn, error) {
	if p.opts.Via == nil {
		return p.opts.Dial(ctx, "tcp", t.String())
	}
	via, err := p.opts.Via(t.String())
	if err != nil {
		return nil, err
	}
	if via == nil {
		return p.opts.Dial(ctx, "tcp", t.String())
	}
	port := via.Port()
	switch via.Scheme {
	case "http":
		port = withDefault(port, "80")
	case "https":
		port = withDefault(port, "443")
	default:
		return nil, fmt.Errorf("the next proxy is of the scheme %q, and only http and https are known", via.Scheme)
	}
	next := net.JoinHostPort(via.Hostname(), port)
	conn, err := p.opts.Dial(ctx, "tcp", next)
	if err != nil {
		return nil, fmt.Errorf("the next proxy: %w", err)
	}
	through, err := connectBy(ctx, conn, via, t, viaField(received, p.name))
	if err != nil {
		return nil, fmt.Errorf("the next proxy, %s: %w", next, errors.Join(err, conn.Close()))
	}
	return through, nil
}

// viaField is the Via field of a CONNECT that we send on: the one that we have
// received, and ourselves. By it a loop of proxies is found (RFC 9110 7.6.3),
// which would otherwise end only when there are no more connections.
func viaField(received []string, name string) string {
	var came []string
	for _, field := range received {
		if line := asciiLine(strings.Join(strings.Fields(field), " ")); line != "" {
			came = append(came, line)
		}
	}
	return strings.Join(append(came, "1.1 "+name), ", ")
}

// connectBy asks a proxy for a tunnel. The path is our Via field.
func connectBy(ctx context.Context, raw net.Conn, via *url.URL, t target, path string) (net.Conn, error) {
	defer context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })()
	conn := raw
	if via.Scheme == "https" {
		secure := tls.Client(raw, &tls.Config{ServerName: via.Hostname(), MinVersion: tls.VersionTLS12})
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		conn = secure
	}
	head := "CONNECT " + t.String() + " HTTP/1.1\r\nHost: " + t.String() + "\r\nVia: " + path + "\r\n"
	if via.User != nil {
		password, _ := via.User.Password()
		head += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(via.User.Username()+":"+password)) + "\r\n"
	}
	if _, err := io.WriteString(conn, head+"\r\n"); err != nil {
		return nil, err
	}
	b := bufio.NewReader(io.LimitReader(conn, maxProxyHead))
	answer, err := http.ReadResponse(b, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return nil, errors.New("its answer is no HTTP")
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answered %.100s", asciiLine(answer.Status))
	}
	return &tunnel{Conn: conn, reader: behind(b, conn), closed: make(chan struct{})}, nil
}

// handover is a listener whose connections were accepted by others.
type handover struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

// give hands over a connection; false if the listener is closed.
func (h *handover) give(conn net.Conn) bool {
	select {
	case h.conns <- conn:
		return true
	case <-h.done:
		return false
	}
}

// Accept implements net.Listener.
func (h *handover) Accept() (net.Conn, error) {
	select {
	case conn := <-h.conns:
		return conn, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handover) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

// Addr implements net.Listener.
func (h *handover) Addr() net.Addr { return &net.TCPAddr{} }
