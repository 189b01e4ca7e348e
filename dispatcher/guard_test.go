package dispatcher

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
)

func TestRefused(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]bool{
		"127.0.0.1": false, "127.8.9.1": false, "::1": false, "::ffff:127.0.0.1": false,
		"192.0.2.1": false, "10.0.0.1": false, "192.168.1.1": false, "2001:db8::1": false, "fd12:3456::1": false,
		"0.0.0.0": true, "0.1.2.3": true, "::": true, "::ffff:0.0.0.0": true,
		"169.254.169.254": true, "169.254.170.2": true, "::ffff:169.254.169.254": true, "::169.254.169.254": true,
		"64:ff9b::169.254.169.254": true, "64:ff9b::192.0.2.1": false, "64:ff9b:1::1": true,
		"2002:a9fe:a9fe::1": true, "2002:c000:201::1": false, "2001:0:a9fe:a9fe::1": true,
		"fe80::1": true, "fe80::1%eth0": true, "2001:db8::1%eth0": true, "::1%lo": true,
		"fd00:ec2::254": true, "fd20:ce::254": true, "100.100.100.200": true, "168.63.129.16": true, "192.0.0.192": true,
		"224.0.0.1": true, "239.1.1.1": true, "ff02::1": true, "255.255.255.255": true, "240.0.0.1": true,
	} {
		if why := refused(netip.MustParseAddr(addr)); (why != "") != want {
			t.Errorf("%s: refused for %q, want %v", addr, why, want)
		}
	}
}

// TestGuard asks for the reason with which a request is stopped, or for the
// address that would be dialled.
func TestGuard(t *testing.T) {
	t.Parallel()
	names := map[string][]string{
		"api.example":      {"192.0.2.7"},
		"two.example":      {"192.0.2.7", "2001:db8::7"},
		"metadata.example": {"169.254.169.254"},
		"mapped.example":   {"::ffff:169.254.169.254"},
		"mixed.example":    {"192.0.2.7", "fd00:ec2::254"},
		"zero.example":     {"0.0.0.0"},
		"local.example":    {"127.0.0.1"},
		"empty.example":    {},
		"inner.example":    {"10.1.2.3"},
	}
	var asked atomic.Int32
	g := NewGuard(GuardOptions{Resolve: func(_ context.Context, host string) ([]netip.Addr, error) {
		asked.Add(1)
		answer, ok := names[host]
		if !ok {
			return nil, errors.New("no such host")
		}
		var list []netip.Addr
		for _, a := range answer {
			list = append(list, netip.MustParseAddr(a))
		}
		return list, nil
	}})
	for _, host := range []string{"API.example.", "two.example", "metadata.example", "mapped.example", "mixed.example", "zero.example",
		"local.example", "empty.example", "gone.example", "port.example:8443", "198.51.100.1"} {
		if err := g.Allow(host); err != nil {
			t.Fatal(err)
		}
	}
	for host, addr := range map[string]string{
		"routed.example":       "127.0.0.1:8443",
		"routed.example:444":   "127.0.0.1:8444",
		"v6.example":           "[::1]:8443",
		"named.example":        "inner.example:8443",
		"tometadata.example":   "metadata.example:80",
		"tolocalhost.example.": "localhost:8443",
		"127.0.0.9":            "127.0.0.1:8449",
	} {
		if err := g.Route(host, addr); err != nil {
			t.Fatal(err)
		}
	}

	tests := []struct {
		url  string
		want string
		asks int32
	}{
		{"https://routed.example/", "127.0.0.1:8443", 0},
		{"https://routed.example:9/", "127.0.0.1:8443", 0},
		{"https://ROUTED.example.:444/", "127.0.0.1:8444", 0},
		{"https://v6.example/", "[::1]:8443", 0},
		{"https://named.example/", "10.1.2.3:8443", 1},
		{"https://tometadata.example/", "address-refused", 1},
		{"https://tolocalhost.example/", "127.0.0.1:8443 [::1]:8443", 0},
		{"https://127.0.0.9/", "127.0.0.1:8449", 0},

		{"https://127.0.0.1/", "127.0.0.1:443", 0},
		{"https://127.1.2.3:8443/", "127.1.2.3:8443", 0},
		{"https://[::1]:8443/", "[::1]:8443", 0},
		{"https://[::ffff:127.0.0.1]/", "127.0.0.1:443", 0},
		{"https://localhost/", "127.0.0.1:443 [::1]:443", 0},
		{"https://LOCALHOST.:1/", "127.0.0.1:1 [::1]:1", 0},

		{"https://api.example/", "192.0.2.7:443", 1},
		{"https://two.example:8443/", "192.0.2.7:8443 [2001:db8::7]:8443", 1},
		{"https://local.example/", "127.0.0.1:443", 1},
		{"https://198.51.100.1/", "198.51.100.1:443", 0},
		{"https://metadata.example/", "address-refused", 1},
		{"https://mapped.example/", "address-refused", 1},
		{"https://mixed.example/", "address-refused", 1},
		{"https://zero.example/", "address-refused", 1},
		{"https://empty.example/", "dns", 1},
		{"https://gone.example/", "dns", 1},

		{"https://other.example/", "host-not-routed", 0},
		{"https://sub.routed.example/", "host-not-routed", 0},
		{"https://routed.example.evil.example/", "host-not-routed", 0},
		{"https://port.example/", "host-not-routed", 0},
		{"https://localhost.evil.example/", "host-not-routed", 0},
		{"https://a.localhost/", "host-not-routed", 0},
		{"https://169.254.169.254/latest/meta-data/", "host-not-routed", 0},
		{"https://[::ffff:169.254.169.254]/", "host-not-routed", 0},
		{"https://[::ffff:a9fe:a9fe]/", "host-not-routed", 0},
		{"https://[fd00:ec2::254]/", "host-not-routed", 0},
		{"https://0.0.0.0/", "host-not-routed", 0},
		{"https://[::]/", "host-not-routed", 0},
		{"https://10.0.0.1/", "host-not-routed", 0},
		{"https://routed.example@evil.example/", "bad-url", 0},
		{"https://2130706433/", "bad-url", 0},
		{"https://127.1/", "bad-url", 0},
		{"https://[::1%25lo]/", "bad-url", 0},
	}
	for _, tt := range tests {
		before := asked.Load()
		if got := reach(t, g, tt.url); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.url, got, tt.want)
		}
		if n := asked.Load() - before; n != tt.asks {
			t.Errorf("%s: %d names were looked up, want %d", tt.url, n, tt.asks)
		}
	}
}

// reach does what exchange does before it dials.
func reach(t *testing.T, g *Guard, url string) string {
	t.Helper()
	target, err := parseTarget(url)
	if err != nil {
		return string(reasonOf(t, err))
	}
	w, ok := g.way(target.endpoint)
	if !ok {
		return string(ReasonHostNotRouted)
	}
	list, err := g.addresses(t.Context(), w.to)
	if err != nil {
		return string(reasonOf(t, err))
	}
	var texts []string
	for _, a := range list {
		texts = append(texts, a.String())
	}
	return strings.Join(texts, " ")
}

func TestGuardSettings(t *testing.T) {
	t.Parallel()
	g := NewGuard(GuardOptions{})
	for _, tt := range []struct{ host, addr, want string }{
		{host, "169.254.169.254:80", `routing "shop.example" to "169.254.169.254:80": 169.254.169.254 is a link-local address`},
		{host, "[fd00:ec2::254]:80", `routing "shop.example" to "[fd00:ec2::254]:80": fd00:ec2::254 is a cloud metadata address`},
		{host, "[::ffff:169.254.169.254]:80", `routing "shop.example" to "[::ffff:169.254.169.254]:80": 169.254.169.254 is a link-local address`},
		{host, "127.0.0.1", `routing "shop.example" to "127.0.0.1": address states no port`},
		{host, "", `routing "shop.example" to "": host "" is not a host name`},
		{"", "127.0.0.1:1", `routing "" to "127.0.0.1:1": host "" is not a host name`},
		{"https://shop.example", "127.0.0.1:1", `routing "https://shop.example" to "127.0.0.1:1": port "//shop.example" is not a number from 1 to 65535`},
	} {
		if err := g.Route(tt.host, tt.addr); err == nil || err.Error() != tt.want {
			t.Errorf("got %v\nwant %s", err, tt.want)
		}
	}
	if err := g.Allow("169.254.169.254"); err == nil {
		t.Error("a metadata address was allowed")
	}
	if err := g.Allow("*.example"); err == nil {
		t.Error("a pattern was allowed")
	}
	if err := g.RouteConn("a b", nil); err == nil {
		t.Error("a host with a space was routed")
	}
}

func TestCheckDialled(t *testing.T) {
	t.Parallel()
	checked := netip.MustParseAddrPort("192.0.2.1:443")
	for address, ok := range map[string]bool{
		"192.0.2.1:443":          true,
		"[::ffff:192.0.2.1]:443": true,
		"192.0.2.1:80":           false,
		"192.0.2.2:443":          false,
		"169.254.169.254:443":    false,
		"shop.example:443":       false,
	} {
		if err := checkDialled(address, checked); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
	metadata := netip.MustParseAddrPort("169.254.169.254:80")
	if _, err := dialOne(t.Context(), metadata, netip.Addr{}); reasonOf(t, err) != ReasonAddressRefused {
		t.Errorf("an address that was not checked before is dialled: %v", err)
	}
}

// TestRebinding has a name that leads to the service when it is first looked
// up, and to the metadata address from then on.
func TestRebinding(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	guard := NewGuard(GuardOptions{Resolve: func(context.Context, string) ([]netip.Addr, error) {
		if asked.Add(1) == 1 {
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		}
		return []netip.Addr{netip.MustParseAddr("169.254.169.254")}, nil
	}})
	b := newBench(t, Options{Guard: guard})
	service := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {}))
	service.TLS = b.authority.server(t, "rebind.example", b.authority.cert.NotAfter)
	service.StartTLS()
	t.Cleanup(service.Close)
	_, port, err := net.SplitHostPort(service.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := guard.Allow("rebind.example"); err != nil {
		t.Fatal(err)
	}
	r := approve()
	r.URL = "https://rebind.example:" + port + "/"
	if a := b.run(t, r); a.Outcome != OutcomeSucceeded || asked.Load() != 1 {
		t.Errorf("first: %+v, looked up %d times", a, asked.Load())
	}
	if a := b.run(t, r); a.Reason != ReasonAddressRefused || a.Outcome != OutcomeWithheld || a.Sent != nil || a.Addr != "" {
		t.Errorf("second: %+v", a)
	}
}
