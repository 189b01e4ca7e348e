package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
)

// Guard says which hosts requests may go to. Only these are:
//
//   - routed: the request goes to the address of the route;
//   - loopback: an address of 127.0.0.0/8 or ::1, or the name "localhost",
//     which stands for these without being looked up, unless RoutedOnly is set;
//   - allowed by name: the name is looked up.
//
// For others no question is asked of DNS and nothing is sent. Every address is
// checked before it is dialled and again at the moment of connecting; no way
// leads to link-local, multicast, unspecified and cloud metadata addresses,
// not even a route. Which host is meant is decided by the URL; the certificate
// must be that host's wherever the request is routed.
//
// A Guard is safe for concurrent use. Later settings replace earlier ones.
type Guard struct {
	routedOnly bool
	resolve    func(ctx context.Context, host string) ([]netip.Addr, error)

	mu   sync.Mutex
	ways map[endpoint]way
}

// way is how the requests for a host reach it.
type way struct {
	// conn connects within the process, unless nil.
	conn func(context.Context) (net.Conn, error)
	// to is dialled, unless conn is set: an address, "localhost" or a name to
	// be looked up. Port zero is that of the URL.
	to endpoint
}

// GuardOptions are the settings of a guard.
type GuardOptions struct {
	// Resolve looks up the addresses of a host that is allowed by name or is
	// the aim of a route; nil is the system's resolver.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// RoutedOnly refuses loopback, too, unless it is routed or allowed.
	RoutedOnly bool
}

// NewGuard returns a guard that lets requests go to loopback only.
func NewGuard(o GuardOptions) *Guard {
	if o.Resolve == nil {
		o.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	return &Guard{resolve: o.Resolve, routedOnly: o.RoutedOnly, ways: make(map[endpoint]way)}
}

// Route sends the requests for a host to an address. The host may state a
// port, and then the route is for that port only; the address must state one,
// and may name a host, which is looked up at each attempt.
func (g *Guard) Route(host, addr string) error {
	to, err := parseEndpoint(addr)
	if err != nil {
		return fmt.Errorf("routing %q to %q: %w", host, addr, err)
	}
	if to.port == 0 {
		return fmt.Errorf("routing %q to %q: address states no port", host, addr)
	}
	if err := g.set(host, way{to: to}); err != nil {
		return fmt.Errorf("routing %q to %q: %w", host, addr, err)
	}
	return nil
}

// RouteConn sends the requests for a host to an endpoint within the process.
// dial returns the client's end of a connection whose other end speaks TLS; it
// must return when its context ends.
func (g *Guard) RouteConn(host string, dial func(context.Context) (net.Conn, error)) error {
	if err := g.set(host, way{conn: dial}); err != nil {
		return fmt.Errorf("routing %q: %w", host, err)
	}
	return nil
}

// Allow lets requests go to a host where it really is. The host may state a
// port, and then only that one is allowed.
func (g *Guard) Allow(host string) error {
	to, err := parseEndpoint(host)
	if err == nil {
		err = g.set(host, way{to: to})
	}
	if err != nil {
		return fmt.Errorf("allowing %q: %w", host, err)
	}
	return nil
}

func (g *Guard) set(host string, w way) error {
	from, err := parseEndpoint(host)
	if err != nil {
		return err
	}
	if why := refused(w.to.addr); why != "" {
		return fmt.Errorf("%s is %s", w.to.addr, why)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ways[from] = w
	return nil
}

// way returns how a host is reached, and whether it may be.
func (g *Guard) way(e endpoint) (way, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	anyPort := e
	anyPort.port = 0
	w, ok := g.ways[e]
	if !ok {
		w, ok = g.ways[anyPort]
	}
	if !ok && !g.routedOnly && (e.addr.IsLoopback() || e.host == "localhost") {
		w, ok = way{to: e}, true
	}
	if w.to.port == 0 {
		w.to.port = e.port
	}
	return w, ok
}

// addresses returns what may be dialled for a way. If one address of a host is
// refused all are: a name that points there points wherever it likes.
func (g *Guard) addresses(ctx context.Context, e endpoint) ([]netip.AddrPort, error) {
	var found []netip.Addr
	switch {
	case e.addr.IsValid():
		found = []netip.Addr{e.addr}
	case e.host == "localhost":
		found = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	default:
		var err error
		found, err = g.resolve(ctx, e.host)
		if err == nil && len(found) == 0 {
			err = errors.New("no address")
		}
		if err != nil {
			return nil, &fault{ReasonDNS, fmt.Errorf("looking up %q: %w", e.host, err)}
		}
	}
	var list []netip.AddrPort
	for _, addr := range found {
		if why := refused(addr); why != "" {
			return nil, &fault{ReasonAddressRefused, fmt.Errorf("%s has the address %s, which is %s", e.host, addr, why)}
		}
		list = append(list, netip.AddrPortFrom(addr.Unmap(), e.port))
	}
	return list, nil
}

// dialOne connects to an address that has been checked, from a source if it is
// valid.
func dialOne(ctx context.Context, addr netip.AddrPort, source netip.Addr) (net.Conn, error) {
	d := net.Dialer{
		KeepAlive: -1, // The connection is for one request.
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			return checkDialled(address, addr)
		},
	}
	if source.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(source.Unmap(), 0))
	}
	return d.DialContext(ctx, "tcp", addr.String())
}

// checkDialled compares the address that is about to be connected to with the
// one that was checked, in case anything between the two chose another.
func checkDialled(address string, checked netip.AddrPort) error {
	actual, err := netip.ParseAddrPort(address)
	if err != nil {
		return &fault{ReasonAddressRefused, fmt.Errorf("connecting to %s: %w", strconv.Quote(address), err)}
	}
	if actual.Port() != checked.Port() || actual.Addr().Unmap() != checked.Addr() {
		return &fault{ReasonAddressRefused, fmt.Errorf("connecting to %s, but %s was checked", actual, checked)}
	}
	if why := refused(actual.Addr()); why != "" {
		return &fault{ReasonAddressRefused, fmt.Errorf("connecting to %s, which is %s", actual, why)}
	}
	return nil
}
