package provider_test

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/keys"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// Whichever provider of a world serves the proxy, Google's hosts have the keys
// of the first one, by the clock of the world; and the proxy ends with the
// world.
func TestServeProxy(t *testing.T) {
	t.Parallel()
	p := newProvider(t, provider.Options{})
	other, err := p.Beside("other.test")
	if err != nil {
		t.Fatal(err)
	}
	l := listen(t)
	proxy, err := other.ServeProxy(l, keys.ProxyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{
		Proxy:           http.ProxyURL(&url.URL{Scheme: "http", Host: l.Addr().String()}),
		TLSClientConfig: &tls.Config{RootCAs: p.CA().Pool()},
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	published := func() (map[string]string, string) {
		answer, err := client.Get("https://www.googleapis.com/oauth2/v1/certs")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		var byID map[string]string
		if err := json.NewDecoder(answer.Body).Decode(&byID); err != nil {
			t.Fatal(err)
		}
		return byID, answer.Header.Get("Age")
	}
	before, age := published()
	list, err := p.Keys().Keys()
	if err != nil || len(list) != len(before) {
		t.Fatalf("%d keys are published of %d, %v", len(before), len(list), err)
	}
	for _, k := range list {
		if before[k.ID] == "" {
			t.Errorf("the key %s is not published", k.ID)
		}
	}
	if err := p.Advance(t.Context(), 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if _, later := published(); later == age {
		t.Errorf("ten seconds later the age is still %s", later)
	}
	if _, err := client.Get("https://shop.example/"); err == nil || len(proxy.Refused()) != 1 {
		t.Errorf("another host: %v, refused %v", err, proxy.Refused())
	}
	if _, err := p.ServeProxy(l, keys.ProxyOptions{PassOn: []string{"shop.example:443"}}); err == nil {
		t.Error("a host with a port is passed on")
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener of a closed world: %v", err)
	}
	if _, err := p.ServeProxy(listen(t), keys.ProxyOptions{}); !errors.Is(err, provider.ErrClosed) {
		t.Errorf("a closed world: %v", err)
	}
}
