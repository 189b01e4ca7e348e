package console_test

import (
	"bytes"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/cmd/doppelbox/console"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// outsideSteps make an account that forwards, fetches, and asks for an address.
const outsideSteps = `account alice@gmail.test forward=x@acme.test popfrom=old@isp.example password=s3cret
sink acme.test
dns zone
deliver mail from=bounce@shop.example to=alice@gmail.test peer=192.0.2.10
sendas alice@gmail.test x@acme.test
fetch alice@gmail.test from=old@isp.example
expect fetch.error == ""
-- zone --
shop.example. TXT "v=spf1 ip4:192.0.2.10 -all"
-- mail --
Authentication-Results: mx.gmail.test; dkim=pass header.i=@bank.example
From: x@shop.example
Message-ID: <1@shop.example>
Content-Type: text/html

<script>alert(1)</script>
`

// What goes out is told with its octets; before, there is an empty list.
func TestOutgoing(t *testing.T) {
	t.Parallel()
	h := newAPI(t)
	for _, path := range []string{"outgoing", "accesses"} {
		if w := do(t, h, request{path: path}); w.Code != http.StatusOK || strings.TrimSpace(w.Body.String()) != "[]" {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	if w := do(t, h, request{method: http.MethodPost, path: "steps", body: outsideSteps}); w.Code != http.StatusOK || strings.Contains(w.Body.String(), "s3cret") {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	var list []struct {
		ID, Kind, Account, MessageID, From, To, Via, State, Reply string
		At                                                        time.Time
		Raw                                                       []byte
		Attempts                                                  int
	}
	get(t, h, "outgoing", &list)
	if len(list) != 2 {
		t.Fatalf("got %+v", list)
	}
	f, c := list[0], list[1]
	if f.Kind != "forward" || f.Account != "alice@gmail.test" || f.MessageID != "m1" || f.From != "alice+caf_=x=acme.test@gmail.test" || f.To != "x@acme.test" ||
		f.Via != "sink acme.test" || f.State != "sent" || !strings.HasPrefix(f.Reply, "250 ") || f.Attempts != 1 || f.At.IsZero() {
		t.Errorf("forward is %+v", f)
	}
	if c.Kind != "confirmation" || c.MessageID != "" || !bytes.Contains(c.Raw, []byte("\r\nConfirmation code: ")) {
		t.Errorf("confirmation is %+v", c)
	}
	stored := do(t, h, request{path: "messages/m1/stored"}).Body.Bytes()
	if len(stored) == 0 || !bytes.HasSuffix(f.Raw, stored) {
		t.Error("what is forwarded is not what is stored")
	}
}

// The stored form is text, which no browser shows as HTML, and has the
// provider's own results on top, and no others of that name.
func TestStored(t *testing.T) {
	t.Parallel()
	h := newAPI(t)
	if w := do(t, h, request{method: http.MethodPost, path: "steps", body: outsideSteps}); w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	w := do(t, h, request{path: "messages/m1/stored"})
	text := w.Body.String()
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if !strings.HasPrefix(text, "Delivered-To: alice@gmail.test\r\n") || !strings.HasSuffix(text, "\r\n\r\n<script>alert(1)</script>\r\n") || strings.Contains(text, "bank.example") {
		t.Errorf("stored as\n%s", text)
	}
	raw := do(t, h, request{path: "messages/m1/raw"}).Body.String()
	if !strings.HasPrefix(raw, "Authentication-Results: mx.gmail.test; dkim=pass header.i=@bank.example\r\n") {
		t.Errorf("raw is\n%s", raw)
	}
}

// The sessions of programs are told, without what they said to get in.
func TestAccesses(t *testing.T) {
	t.Parallel()
	p, err := provider.New(provider.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	h := console.Handler(p)
	for _, a := range []mailbox.Access{
		{ID: "1", Account: "bob@gmail.test", Protocol: "pop3", Denied: true},
		{ID: "2", Account: "alice@gmail.test", Protocol: "imap", Peer: netip.MustParseAddr("127.0.0.1"), TLS: "TLS1_3", Client: "<b>gopher</b> 1.0", Read: []string{"m1", "m2"}},
	} {
		a.World = p.WorldName()
		if err := p.Store().PutAccess(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	var list []map[string]any
	get(t, h, "accesses", &list)
	if len(list) != 2 || list[0]["denied"] != true || list[0]["protocol"] != "pop3" || list[1]["denied"] != nil || list[1]["client"] != "<b>gopher</b> 1.0" || list[1]["peer"] != "127.0.0.1" {
		t.Fatalf("got %v", list)
	}
	if read, ok := list[1]["read"].([]any); !ok || len(read) != 2 || read[0] != "m1" {
		t.Errorf("read are %v", list[1]["read"])
	}
}

func TestOutsideErrors(t *testing.T) {
	t.Parallel()
	h := newAPI(t)
	tests := []struct {
		method, path, host string
		status             int
	}{
		{http.MethodGet, "messages/m99/stored", "", 404},
		{http.MethodPost, "messages/m1/stored", "", 405},
		{http.MethodPost, "outgoing", "", 405},
		{http.MethodDelete, "accesses", "", 405},
		{http.MethodGet, "outgoing/o1", "", 404},
		{http.MethodGet, "outgoing", "evil.example", 421},
		{http.MethodGet, "accesses", "evil.example:8025", 421},
		{http.MethodGet, "messages/m1/stored", "evil.example", 421},
	}
	for _, tt := range tests {
		if w := do(t, h, request{method: tt.method, path: tt.path, host: tt.host}); w.Code != tt.status {
			t.Errorf("%s %s: %d %s", tt.method, tt.path, w.Code, w.Body)
		}
	}
}
