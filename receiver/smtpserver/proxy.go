package smtpserver

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/pires/go-proxyproto"
)

var errNoTCPSource = errors.New("smtpserver: proxy header names no TCP source")

// identify finds out who the client is. A connection from a trusted proxy must
// begin with a PROXY protocol header; a proxy's own connection ("LOCAL",
// "UNKNOWN") counts as the proxy's.
func (w *wire) identify() error {
	o := &w.server.opts
	w.env.Socket = addrOf(w.sock.RemoteAddr())
	client := w.env.Socket
	if fromProxy(o.ProxyFrom, client) {
		h, err := proxyproto.Read(w.in)
		if err != nil {
			return fmt.Errorf("reading PROXY protocol header: %w", err)
		}
		if !h.Command.IsLocal() {
			src, _, ok := h.TCPAddrs()
			if !ok {
				return errNoTCPSource
			}
			client = addrOf(src)
		}
	}
	w.env.Peer = o.PeerAs(client)
	return nil
}

func fromProxy(proxies []netip.Prefix, a netip.Addr) bool {
	for _, p := range proxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
