package provider_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// outsideDials are those that a service outside of the process sees, or only one
// that cannot be reached in time.
var outsideDials = []dialCase{
	{policy.DialHTTP2, func(t *testing.T, p *provider.Provider) string {
		return seenOutside(t, p, func(r *http.Request) string { return r.Proto })[0]
	}, map[string]string{"no": "HTTP/1.1", "yes": "HTTP/2.0"}},
	{policy.DialKeepAlive, func(t *testing.T, p *provider.Provider) string {
		from := seenOutside(t, p, func(r *http.Request) string { return r.RemoteAddr })
		return fmt.Sprint(from[0] == from[1])
	}, map[string]string{"no": "false", "yes": "true"}},
	{policy.DialSource, func(t *testing.T, p *provider.Provider) string {
		// Some systems have but one address of loopback.
		l, err := net.Listen("tcp", "127.0.0.2:0")
		if err != nil {
			t.Skip(err)
		}
		l.Close()
		return seenOutside(t, p, func(r *http.Request) string { return r.RemoteAddr[:strings.LastIndexByte(r.RemoteAddr, ':')] })[0]
	}, map[string]string{"auto": "127.0.0.1", "127.0.0.2": "127.0.0.2"}},
	{policy.DialTimeout, func(t *testing.T, p *provider.Provider) string {
		addService(t, p, provider.Service{URL: serviceURL})
		c, list := clicked(t, p, fromShop(script("ConfirmAction", "A", post)))
		return string(c.State) + " " + list[0].Reason
	}, map[string]string{"30s": "succeeded ", "1ns": "failed timeout"}},
}

// seenOutside presses two buttons whose service is outside of the process, and
// returns what that sees of each request.
func seenOutside(t *testing.T, p *provider.Provider, see func(*http.Request) string) [2]string {
	t.Helper()
	config, err := p.CA().TLSConfig("shop.example")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan string, 2)
	server := &http.Server{TLSConfig: config, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- see(r) })}
	done := make(chan error, 1)
	go func() { done <- server.ServeTLS(l, "", "") }()
	if err := p.Route("shop.example", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if c, list := clicked(t, p, fromShop(script("ConfirmAction", "A", post))); c.State != mailbox.ClickSucceeded {
			t.Fatalf("the click has %s: %s", c.State, list[0].Error)
		}
	}
	if err := errors.Join(server.Close(), <-done); !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	return [2]string{<-seen, <-seen}
}
