package smtpserver

import (
	"bufio"
	"bytes"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"
)

func proxyHeader(t *testing.T, version byte, command proxyproto.ProtocolVersionAndCommand, src, dst string) string {
	t.Helper()
	h := proxyproto.HeaderProxyFromAddrs(version, tcpAddr(src), tcpAddr(dst))
	h.Command = command
	b, err := h.Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestProxyHeader(t *testing.T) {
	t.Parallel()
	v1 := proxyHeader(t, 1, proxyproto.PROXY, "192.0.2.10", "192.0.2.1")
	v2 := proxyHeader(t, 2, proxyproto.PROXY, "2001:db8::10", "2001:db8::1")
	local := proxyHeader(t, 2, proxyproto.LOCAL, "192.0.2.10", "192.0.2.1")
	const mail = "EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<u@gmail.test>\r\nDATA\r\n.\r\n"
	tests := []struct {
		name   string
		from   string
		header string
		peer   string // Empty: the mail must not be taken.
	}{
		{"version 1", "10.1.2.3", v1, "192.0.2.10"},
		{"version 2", "10.1.2.3", v2, "2001:db8::10"},
		{"the proxy itself, version 2", "10.1.2.3", local, "10.1.2.3"},
		{"the proxy itself, version 1", "10.1.2.3", "PROXY UNKNOWN\r\n", "10.1.2.3"},
		{"a proxy must send one", "10.1.2.3", "", ""},
		{"malformed", "10.1.2.3", "PROXY TCP4 192.0.2.10\r\n", ""},
		{"bare LF", "10.1.2.3", strings.Replace(v1, "\r", "", 1), ""},
		{"cut short", "10.1.2.3", v2[:20], ""},
		{"version 1 from a stranger", "11.1.2.3", v1, ""},
		{"version 2 from a stranger", "11.1.2.3", v2, ""},
		{"nobody else sends one", "11.1.2.3", "", "11.1.2.3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := &box{}
			var log bytes.Buffer
			s := newServer(t, b, func(o *Options) {
				o.ProxyFrom = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
				o.Logger = logTo(&log)
			})
			conn := &memConn{in: &patient{in: strings.NewReader(tt.header + mail)}}
			s.ServeConn(fromConn{conn, tcpAddr(tt.from)})
			if tt.peer == "" {
				if len(b.all()) != 0 {
					t.Errorf("delivered: %+v", b.all())
				}
				return
			}
			m := b.one(t)
			if m.Peer.String() != tt.peer || m.Socket.String() != tt.from {
				t.Errorf("peer %s, socket %s", m.Peer, m.Socket)
			}
			if !strings.Contains(conn.out.String(), "at your service, ["+tt.peer+"]") {
				t.Errorf("said\n%s", conn.out.String())
			}
		})
	}
}

type fromConn struct {
	*memConn
	addr net.Addr
}

func (c fromConn) RemoteAddr() net.Addr { return c.addr }

func TestPeerAs(t *testing.T) {
	t.Parallel()
	b := &box{}
	c := dialTCP(t, newServer(t, b, func(o *Options) {
		o.PeerAs = func(a netip.Addr) netip.Addr {
			if a == netip.MustParseAddr("127.0.0.1") {
				return netip.MustParseAddr("192.0.2.10")
			}
			return a
		}
	}))
	c.hello()
	c.cmd("MAIL FROM:<>", "250")
	c.cmd("RCPT TO:<u@gmail.test>", "250")
	c.cmd("DATA", "354")
	c.cmd(".", "250")
	if m := b.one(t); m.Peer.String() != "192.0.2.10" || m.Socket.String() != "127.0.0.1" {
		t.Errorf("peer %s, socket %s", m.Peer, m.Socket)
	}
}

// stringAddr is an address of some other network.
type stringAddr string

func (stringAddr) Network() string  { return "test" }
func (a stringAddr) String() string { return string(a) }

func TestAddrOf(t *testing.T) {
	t.Parallel()
	tests := []struct {
		addr net.Addr
		want string
	}{
		{tcpAddr("192.0.2.1"), "192.0.2.1"},
		{tcpAddr("::ffff:192.0.2.1"), "192.0.2.1"},
		{stringAddr("192.0.2.1:25"), "192.0.2.1"},
		{stringAddr("[2001:db8::1]:25"), "2001:db8::1"},
		{stringAddr("pipe"), "invalid IP"},
		{nil, "invalid IP"},
	}
	for _, tt := range tests {
		if got := addrOf(tt.addr).String(); got != tt.want {
			t.Errorf("addrOf(%v) = %s, want %s", tt.addr, got, tt.want)
		}
	}
	// An address that is not known is not shown.
	near, far := net.Pipe()
	defer near.Close()
	s := newServer(t, &box{}, nil)
	go s.ServeConn(far)
	c := &client{t: t, conn: near, in: bufio.NewReader(near)}
	c.wantCode("220")
	c.send("EHLO c\r\n")
	c.wantCode("250-mx.gmail.test at your service\n")
}
