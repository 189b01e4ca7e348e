package provider

import (
	"cmp"
	"errors"
	"log/slog"
	"net"
	"slices"

	"github.com/doppelbox/doppelbox/keys"
)

// ServeProxy runs a certificate proxy on l until the world is closed. Of
// several providers it is the first one whose keys are found at Google's hosts.
// The logger of o may be nil: then it is the world's. On an error l is still
// the caller's.
func (w *World) ServeProxy(l net.Listener, o keys.ProxyOptions) (*keys.Proxy, error) {
	o.Logger = cmp.Or(o.Logger, w.log)
	proxy, err := keys.NewProxy(w.Providers()[0].keys, w.ca, o)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.proxies = append(w.proxies, proxy)
	w.mu.Unlock()
	if !w.begin(func() {
		if err := proxy.Serve(l); err != nil {
			w.log.Error("serving the certificate proxy", slog.Any("error", err))
		}
	}) {
		return nil, errors.Join(ErrClosed, proxy.Close())
	}
	return proxy, nil
}

func (w *World) allProxies() []*keys.Proxy {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.proxies)
}
