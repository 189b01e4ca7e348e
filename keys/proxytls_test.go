package keys

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
)

// plainAlerts is the connection of a client that says something else wherever
// it would say something encrypted, as OpenSSL does when it refuses a
// certificate.
type plainAlerts struct {
	net.Conn
	instead string
}

func (c *plainAlerts) Write(b []byte) (int, error) {
	const encrypted = 23
	if at := bytes.Index(b, []byte{encrypted, 3, 3}); at >= 0 {
		_, err := c.Conn.Write(append(bytes.Clone(b[:at]), c.instead...))
		return len(b), err
	}
	return c.Conn.Write(b)
}

// A client of TLS 1.3 that refuses a certificate without encrypting that is
// understood all the same, and one that only goes is told of.
func TestProxyDistrustedInPlain(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		instead    string
		distrusted bool
		log        string
	}{
		{"\x15\x03\x03\x00\x02\x02\x30", true, "the client refused our certificate: tls: unknown certificate authority"},
		{"\x15\x03\x03\x00\x02\x02\x2a", true, "the client refused our certificate: tls: bad certificate"},
		{"\x15\x03\x03\x00\x02\x02\x2e", true, "the client refused our certificate: tls: unknown certificate"},
		{"\x15\x03\x03\x00\x02\x02\x2f", false, "bad record MAC"}, // An illegal parameter.
		{"\x15\x03\x03\x00\x02\x01\x30", false, "bad record MAC"}, // A warning.
		{"\x17\x03\x03\x00\x02\x02\x30", false, "bad record MAC"},
		{"", false, "the client broke off after our certificate"},
	} {
		var log lockedBuffer
		r := startProxy(t, ProxyOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		conn, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		client := tls.Client(&early{Conn: &plainAlerts{conn, test.instead}, head: "CONNECT www.googleapis.com:443 HTTP/1.1\r\n\r\n"},
			&tls.Config{RootCAs: x509.NewCertPool(), ServerName: "www.googleapis.com"})
		if err := client.Handshake(); err == nil {
			t.Fatal("an unknown authority was trusted")
		}
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, conn) // Or the connection would be reset.
		conn.Close()
		r.Settle(t.Context())
		if err := r.Close(); err != nil { // After which all is logged.
			t.Fatal(err)
		}
		if list := r.Distrusted(); (len(list) == 1) != test.distrusted {
			t.Errorf("%x: distrusted %v", test.instead, list)
		}
		if text := log.String(); !strings.Contains(text, test.log) {
			t.Errorf("%x: the log is\n%s", test.instead, text)
		}
	}
}

// FuzzRecordWatch holds that what is found in the records of a client does not
// depend on how its octets arrive, and is what a reader of the whole finds.
func FuzzRecordWatch(f *testing.F) {
	f.Add([]byte("\x14\x03\x03\x00\x01\x01\x15\x03\x03\x00\x02\x02\x30"), uint8(1))
	f.Add([]byte("\x16\x03\x01\x00\x05abcde\x15\x03\x03\x00\x02\x02\x30\x15"), uint8(3))
	f.Add([]byte("\x17\x03\x03\x00\x00\x15\x03\x03\x00\x02\x02\x30"), uint8(4))
	f.Fuzz(func(t *testing.T, said []byte, step uint8) {
		var whole, parts recordWatch
		whole.feed(said)
		for rest := said; len(rest) > 0; {
			n := min(int(step)+1, len(rest))
			parts.feed(rest[:n])
			rest = rest[n:]
		}
		if whole != parts {
			t.Errorf("%x: %+v in one, %+v in parts", said, whole, parts)
		}
		last := said
		for len(last) >= 5 {
			n := 5 + int(binary.BigEndian.Uint16(last[3:]))
			if n >= len(last) {
				break
			}
			last = last[n:]
		}
		want := len(last) == 7 && bytes.HasPrefix(last, []byte{21, 3}) && bytes.HasPrefix(last[3:], []byte{0, 2, 2})
		if got, ok := whole.fatalAlert(); ok != want || ok && got != last[6] {
			t.Errorf("%x: an alert %d, %t", said, got, ok)
		}
	})
}
