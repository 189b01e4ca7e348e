package keys

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
)

// secure answers a CONNECT, and begins TLS in its tunnel.
func (p *Proxy) secure(conn *tunnel, t target) (*tls.Conn, error) {
	// Counted before the client can know that there is a tunnel.
	defer p.handshake()()
	if _, err := io.WriteString(conn, established); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(p.ctx, proxyHeadTime)
	defer cancel()
	watched := &watchedConn{Conn: conn}
	inside := tls.Server(watched, p.configs[t.host])
	err := inside.HandshakeContext(ctx)
	watched.over = true
	if err == nil {
		return inside, nil
	}
	if why := watched.refusal(err); why != nil {
		p.count(&p.distrusted, t)
		return nil, fmt.Errorf("the client refused our certificate: %w", why)
	}
	if errors.Is(err, io.EOF) && watched.wrote {
		return nil, errors.New("the client broke off after our certificate")
	}
	return nil, err
}

// onlyFor has a client that names another host be told that it is another one:
// an error of GetCertificate would be told as an internal one.
func (p *Proxy) onlyFor(config *tls.Config, host string) {
	get := config.GetCertificate
	config.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if name := hello.ServerName; name != "" && !strings.EqualFold(name, host) {
			p.log.Info("proxy: TLS for another host than the tunnel's", slog.String("host", host), slog.String("name", name))
			return nil, nil // To crypto/tls, no certificate at all means unrecognized_name.
		}
		return get(hello)
	}
}

// watchedConn is a connection below TLS that heeds the handshake's records. A
// client of TLS 1.3 has to encrypt the alert by which it refuses a certificate
// (RFC 8446 section 5.1), and OpenSSL does not. To crypto/tls that is a record
// that was tampered with.
type watchedConn struct {
	net.Conn
	over  bool // There is no more to watch.
	wrote bool // The server has said something, and its certificate is in what it says first.
	in    recordWatch
}

// Read implements net.Conn.
func (c *watchedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if !c.over {
		c.in.feed(b[:n])
	}
	return n, err
}

// Write implements net.Conn.
func (c *watchedConn) Write(b []byte) (int, error) {
	if !c.over && len(b) > 0 && b[0] == recordHandshake {
		c.wrote = true
	}
	return c.Conn.Write(b)
}

// refusal is the alert by which the client refused a certificate, or nil, if a
// handshake failed for another reason.
func (c *watchedConn) refusal(err error) error {
	var remote *net.OpError
	if errors.As(err, &remote) && remote.Op == "remote error" && strings.Contains(remote.Err.Error(), "certificate") {
		return remote.Err
	}
	alert, ok := c.in.fatalAlert()
	if !ok {
		return nil
	}
	switch alert {
	// From bad_certificate to certificate_unknown, and unknown_ca (RFC 8446
	// section 6).
	case 42, 43, 44, 45, 46, 48:
		return tls.AlertError(alert)
	}
	return nil
}

// The types of TLS records that matter here (RFC 8446 section 5.1).
const (
	recordAlert     = 21
	recordHandshake = 22
)

// recordWatch keeps the beginning of the TLS record that is being read: its
// head, which is a type, a version and a length, and two octets, which is all
// that an alert in plain text has.
type recordWatch struct {
	start [7]byte
	have  int // Octets of start.
	skip  int // Octets of the record that are still to come after start.
}

// feed takes the octets that come next.
func (w *recordWatch) feed(b []byte) {
	for len(b) > 0 {
		if w.skip > 0 {
			n := min(w.skip, len(b))
			w.skip, b = w.skip-n, b[n:]
			continue
		}
		if w.have >= 5 && w.have == 5+min(w.length(), 2) {
			w.have = 0 // That one is whole.
		}
		w.start[w.have] = b[0]
		w.have, b = w.have+1, b[1:]
		if w.have == len(w.start) {
			w.skip = w.length() - 2
		}
	}
}

// length is that of the record's content. The head must be there.
func (w *recordWatch) length() int { return int(binary.BigEndian.Uint16(w.start[3:])) }

// fatalAlert is the description in the last record, if that is a fatal alert in
// plain text.
func (w *recordWatch) fatalAlert() (description byte, ok bool) {
	const fatal = 2
	ok = w.have == len(w.start) && w.start[0] == recordAlert && w.start[1] == 3 && w.length() == 2 && w.start[5] == fatal
	return w.start[6], ok
}
