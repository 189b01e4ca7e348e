package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// pool trusts a served provider's authority, as a user does who has fetched it.
func (s *serving) pool(t *testing.T) *x509.CertPool {
	t.Helper()
	_, text := getBody(t, http.DefaultClient, s.CA)
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(text)) {
		t.Fatalf("the authority is %s", text)
	}
	return pool
}

func getBody(t *testing.T, c *http.Client, target string) (*http.Response, string) {
	t.Helper()
	answer, err := c.Get(target)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(body)
}

// keyIDs are the ids in the map of certificates.
func keyIDs(t *testing.T, text string) map[string]string {
	t.Helper()
	var ids map[string]string
	if err := json.Unmarshal([]byte(text), &ids); err != nil || len(ids) < 2 {
		t.Fatalf("the certificates are %s, %v", text, err)
	}
	return ids
}

// Google's hosts have the keys of the first provider of the world, by the proxy
// and by a line in /etc/hosts; what is passed on is not ours.
func TestServeProxy(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "elsewhere, asked for "+r.URL.Path)
	}))
	defer elsewhere.Close()
	world := write(t, t.TempDir(), "world", "provider gmail.test\nprovider other.test\naccount alice@gmail.test\n")
	s := startServe(t, world, "--pass-on", "127.0.0.1")
	pool := s.pool(t)
	proxy, err := url.Parse(s.Proxy)
	if err != nil {
		t.Fatal(err)
	}
	certs := strings.TrimSuffix(strings.TrimPrefix(s.TokenInfo, "https://"), "/tokeninfo")
	ways := map[string]*http.Transport{
		"proxy": {Proxy: http.ProxyURL(proxy)},
		"hosts": {DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", certs)
		}},
	}
	own := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	defer own.CloseIdleConnections()
	_, text := getBody(t, own, s.Certificates)
	want := keyIDs(t, text)
	for name, transport := range ways {
		transport.TLSClientConfig, transport.ForceAttemptHTTP2 = &tls.Config{RootCAs: pool}, true
		client := &http.Client{Transport: transport}
		defer client.CloseIdleConnections()
		answer, text := getBody(t, client, "https://www.googleapis.com/oauth2/v1/certs")
		for id := range keyIDs(t, text) {
			if want[id] == "" {
				t.Errorf("%s: there is a key %s that the first provider does not have", name, id)
			}
		}
		if answer.ProtoMajor != 2 || answer.Header.Get("Age") == "" || !strings.HasPrefix(answer.Header.Get("Cache-Control"), "public, max-age=") {
			t.Errorf("%s: answered over %s with %v", name, answer.Proto, answer.Header)
		}
		if answer, text := getBody(t, client, "https://accounts.google.com/.well-known/openid-configuration"); answer.StatusCode != http.StatusOK || !strings.Contains(text, `"issuer": "https://accounts.google.com"`) {
			t.Errorf("%s: discovery is %s %s", name, answer.Status, text)
		}
		if answer, _ := getBody(t, client, "https://accounts.google.com/oauth2/v1/certs"); answer.StatusCode != http.StatusNotFound {
			t.Errorf("%s: the certificates are also at another host: %s", name, answer.Status)
		}
	}
	passing := elsewhere.Client()
	passing.Transport.(*http.Transport).Proxy = http.ProxyURL(proxy)
	if _, text := getBody(t, passing, elsewhere.URL+"/x"); text != "elsewhere, asked for /x" {
		t.Errorf("what was passed on answered %s", text)
	}
	if _, err := passing.Get("https://localhost/"); err == nil || !strings.Contains(err.Error(), "--pass-on localhost lets it through") {
		t.Errorf("another host: %v", err)
	}
}

// The line for /etc/hosts is printed only where it leads somewhere.
func TestHostsLine(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"127.0.0.1:443":  "  echo '127.0.0.1 accounts.google.com oauth2.googleapis.com www.googleapis.com' >>/etc/hosts\n",
		"[::1]:443":      "  echo '::1 accounts.google.com oauth2.googleapis.com www.googleapis.com' >>/etc/hosts\n",
		"127.0.0.1:8443": "",
		"0.0.0.0:443":    "",
	} {
		parsed, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := hostsLine(parsed); got != want {
			t.Errorf("%s: %s", addr, got)
		}
	}
}
