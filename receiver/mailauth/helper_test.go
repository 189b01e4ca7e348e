package mailauth

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/receiver/dnszone"
)

func read(t testing.TB, elem ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// crlf turns LF into CRLF where there is none yet.
func crlf(b []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
}

func zone(t testing.TB, text string) *dnszone.Zone {
	t.Helper()
	z := dnszone.New()
	for _, err := range z.Load("zone", text) {
		t.Fatal(err)
	}
	return z
}

func resolver(t testing.TB, text string) *dnszone.Resolver {
	t.Helper()
	return dnszone.NewResolver(zone(t, text), dnszone.Options{})
}

// texts is a resolver of TXT records alone. A text in tildes, or a known word,
// is an error.
type texts map[string][]string

func (r texts) LookupTXT(_ context.Context, name string) ([]string, error) {
	list := r[strings.ToLower(name)]
	switch {
	case len(list) == 0 || list[0] == "NXDOMAIN":
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	case list[0] == "TEMPERROR" || strings.HasPrefix(list[0], "~~"):
		return nil, &net.DNSError{Err: list[0], Name: name, IsTemporary: true}
	case list[0] == "PERMERROR":
		return nil, &net.DNSError{Err: list[0], Name: name}
	}
	return list, nil
}

func (r texts) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (r texts) LookupIPAddr(_ context.Context, name string) ([]net.IPAddr, error) {
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (r texts) LookupAddr(_ context.Context, name string) ([]string, error) {
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func at(unix int64) func() time.Time {
	return func() time.Time { return time.Unix(unix, 0) }
}

// dkimOf evaluates the signatures of a message.
func dkimOf(v *Verifier, raw []byte) []policy.DKIM {
	return v.verifyAll(context.Background(), v.Resolver, message.Parse(raw))
}

func (r texts) add(name, text string) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	r[name] = append(r[name], strings.TrimSpace(text))
}
