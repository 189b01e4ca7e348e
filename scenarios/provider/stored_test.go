package provider_test

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/receiver/mailauth"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// blockFields are those that the provider puts on top of a mail that came by
// SMTP, in order (gmail-inbound.md 3.1).
var blockFields = []string{
	"Delivered-To", "Received", "X-Received", "ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results",
	"Return-Path", "Received", "Received-SPF", "Authentication-Results",
}

// A message is stored under the provider's block, byte for byte, and without
// what claims to be the provider's own.
func TestStoredStripsOwn(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, field string
		gone        bool
	}{
		{"ours", "Authentication-Results: mx.gmail.test; spf=pass smtp.mailfrom=boss@bank.example\r\n", true},
		{"case", "AUTHENTICATION-results: MX.Gmail.TEST; dkim=pass header.i=@bank.example\r\n", true},
		{"final dot", "Authentication-Results: mx.gmail.test.; dkim=pass header.i=@bank.example\r\n", true},
		{"comment", "Authentication-Results: (of (us)) mx.gmail.test (really) ; dmarc=pass header.from=bank.example\r\n", true},
		{"folded", "Authentication-Results:\r\n\tmx.gmail.test;\r\n       dmarc=pass header.from=bank.example\r\n", true},
		{"quoted", "Authentication-Results: \"mx.gmail.test\"; dmarc=pass header.from=bank.example\r\n", true},
		{"version", "Authentication-Results: mx.gmail.test 1; none\r\n", true},
		{"unknown version", "Authentication-Results: mx.acme.test 2; dmarc=pass header.from=bank.example\r\n", true},
		{"space before the colon", "Authentication-Results : mx.gmail.test; none\r\n", true},
		{"unreadable", "Authentication-Results: =; mx.gmail.test; dkim=pass\r\n", true},
		{"another", "Authentication-Results: mx.acme.test; dkim=pass header.i=@bank.example\r\n", false},
		{"another that ends alike", "Authentication-Results: evil-mx.gmail.test; none\r\n", false},
		{"below ours", "Authentication-Results: eu.mx.gmail.test; none\r\n", false},
		{"ours in a value", "Authentication-Results: mx.acme.test; spf=pass smtp.helo=mx.gmail.test\r\n", false},
		{"the real one", "Authentication-Results: mx.google.com; none\r\n", false},
		{"of a chain", "ARC-Authentication-Results: i=1; mx.gmail.test; none\r\n", false},
		{"original", "X-Original-Authentication-Results: mx.gmail.test; none\r\n", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newSealing(t, provider.Options{})
			m := delivered(t, p, note(tt.field+"X-Between: 1\r\n"+tt.field))
			raw := stored(t, p, m)
			want := note(tt.field + "X-Between: 1\r\n" + tt.field)
			if tt.gone {
				want = note("X-Between: 1\r\n")
			}
			if !bytes.HasSuffix(raw, want) {
				t.Fatalf("stored as\n%s", raw)
			}
			if got := names(raw, len(blockFields)); !slices.Equal(got, blockFields) {
				t.Errorf("the block is %q", got)
			}
			if !bytes.Equal(m.Raw, note(tt.field+"X-Between: 1\r\n"+tt.field)) {
				t.Error("what came was changed")
			}
			block, err := p.Block(m)
			if err != nil || !bytes.Equal(raw, append(block, want...)) {
				t.Errorf("the block alone is another one: %v\n%s", err, block)
			}
			ours := 0
			for _, f := range message.Parse(raw).All("Authentication-Results") {
				if r, _ := mailauth.ParseAuthenticationResults(f.Value); strings.EqualFold(r.ServID, "mx.gmail.test") {
					ours++
				}
			}
			if ours != 1 {
				t.Errorf("%d fields claim to be ours", ours)
			}
		})
	}
}

// hostileDNS answers with whatever names its owner likes.
type hostileDNS struct {
	upstream
	name string
	peer netip.Addr
}

func (h *hostileDNS) LookupAddr(context.Context, string) ([]string, error) {
	return []string{h.name}, nil
}

func (h *hostileDNS) LookupIPAddr(context.Context, string) ([]net.IPAddr, error) {
	return []net.IPAddr{{IP: h.peer.AsSlice()}}, nil
}

// Whatever a client says of itself, the block has the provider's fields and no
// others, and what it says of the mail's authentication is what was found.
func TestStoredHostile(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, helo, from, rdns string }{
		{"comment ends in HELO", `x);dkim=pass;(`, "x@else.example", ""},
		{"results in HELO", `x;dmarc=pass`, "x@else.example", ""},
		{"backslash in HELO", `x\`, "x@else.example", ""},
		{"brackets in HELO", `[192.0.2.1])(`, "x@else.example", ""},
		{"comment in MAIL", "x", `"a) dkim=pass ("@else.example`, ""},
		{"semicolon in MAIL", "x", `"a; dmarc=pass header.from=bank.example"@else.example`, ""},
		{"quote in MAIL", "x", `"a\"; dkim=pass"@else.example`, ""},
		{"backslash in MAIL", "x", `"a\\"@else.example`, ""},
		{"comment in rDNS", "x", "x@else.example", "a);dkim=pass.evil.example."},
		{"lines in rDNS", "x", "x@else.example", "a\r\nAuthentication-Results: mx.gmail.test; dkim=pass.evil.example."},
		{"control characters in rDNS", "x", "x@else.example", "\x00\x1b[2J\x7f.evil.example."},
		{"no ASCII in rDNS", "x", "x@else.example", "b\xfccher.evil.example."},
		{"long rDNS", "x", "x@else.example", strings.Repeat("a).", 60) + "evil.example."},
		{"long HELO", strings.Repeat("a", 200), "x@else.example", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			peer := netip.MustParseAddr("198.51.100.7")
			o := provider.Options{}
			if tt.rdns != "" {
				o.Upstream = &hostileDNS{name: tt.rdns, peer: peer}
			}
			p := newSealing(t, o)
			raw := []byte("From: x@else.example\r\nDate: Thu, 15 Jan 2026 09:00:00 +0000\r\n\r\ntext\r\n")
			d, err := p.Deliver(t.Context(), peer, provider.Mail{HELO: tt.helo, From: tt.from, To: []string{alice}, Raw: raw}, true)
			if err != nil {
				t.Fatal(err)
			}
			if len(d.Messages) != 1 {
				t.Fatalf("it is not taken: %s", d.Reply)
			}
			m := d.Messages[0]
			if a := m.Evidence.Arrival; a.HELO != tt.helo || a.MailFrom != tt.from || (m.Evidence.Auth.ReverseDNS.Name == "") != (tt.rdns == "") {
				t.Errorf("it came as %+v, %+v", a, m.Evidence.Auth.ReverseDNS)
			}
			checkBlock(t, p, m)
		})
	}
}

// checkBlock holds what must hold of any block.
func checkBlock(t *testing.T, p *provider.Provider, m mailbox.Message) {
	t.Helper()
	raw := stored(t, p, m)
	block, ok := bytes.CutSuffix(raw, m.Raw)
	if !ok {
		t.Fatalf("the message is not below the block:\n%s", raw)
	}
	for line := range bytes.Lines(block) {
		line, ok := bytes.CutSuffix(line, []byte("\r\n"))
		if !ok || len(line) > 998 || len(bytes.TrimSpace(line)) == 0 || bytes.ContainsFunc(line, func(r rune) bool { return r != '\t' && r < ' ' || r >= 0x7f }) {
			t.Errorf("line %q", line)
		}
	}
	var fields []string
	parsed := message.Parse(raw)
	for _, f := range message.Parse(append(bytes.Clone(block), "\r\n"...)).Fields {
		fields = append(fields, f.Name)
	}
	want := blockFields
	if m.Evidence.Auth.SPF.Result == "" {
		want = slices.DeleteFunc(slices.Clone(want), func(s string) bool { return s == "Received-SPF" })
	}
	if !slices.Equal(fields, want) {
		t.Errorf("fields are %q", fields)
	}
	f, _ := parsed.Get("Authentication-Results")
	results, err := mailauth.ParseAuthenticationResults(f.Value)
	if err != nil || results.ServID != "mx.gmail.test" {
		t.Errorf("results cannot be read: %v in\n%s", err, f.Raw)
	}
	for _, method := range results.Methods {
		want := map[string]policy.AuthResult{"spf": m.Evidence.Auth.SPF.Result, "dmarc": m.Evidence.Auth.DMARC.Result}[method.Method]
		if method.Result != want {
			t.Errorf("%s=%s is told, and %q was found", method.Method, method.Result, want)
		}
	}
	if auth := authenticate(t, p, policy.Arrival{}, raw); auth.ARC.Result != policy.AuthPass {
		t.Errorf("the seal does not hold: %s", auth.ARC.Problem)
	}
	// A careless reader splits at semicolons, comments and all.
	for part := range strings.SplitSeq(f.Unfolded(), ";") {
		if word := strings.TrimSpace(part); strings.HasPrefix(word, "dkim=") || strings.HasPrefix(word, "dmarc=pass") {
			t.Errorf("to a careless reader it says %q", word)
		}
	}
}

// Two providers of the same world, time and key write the same octets.
func TestStoredIsTheSame(t *testing.T) {
	t.Parallel()
	one, two := newFetching(t, provider.Options{}), newFetching(t, provider.Options{})
	var raws [2][]string
	for i, p := range []*provider.Provider{one, two} {
		addSink(t, p, provider.Sink{Domain: "acme.test"})
		configure(t, p, alice, provider.Settings{Forward: "x@acme.test"})
		for _, useTLS := range []bool{false, true, true} {
			_, err := p.Deliver(t.Context(), netip.MustParseAddr(senderPeer), provider.Mail{HELO: "mail.shop.example", From: "b@shop.example", To: []string{alice}, Raw: sign(t, p, note(""))}, useTLS)
			must(t, err)
		}
		addRemote(t, p, numbered("1"), numbered("2"))
		_, err := p.Fetch(t.Context(), alice, old)
		must(t, err)
		for _, m := range messages(t, p, mailbox.Query{}) {
			raws[i] = append(raws[i], string(stored(t, p, m)))
		}
		for _, o := range outgoing(t, p) {
			if o.State == mailbox.OutgoingSent {
				raws[i] = append(raws[i], string(o.Raw))
			}
		}
	}
	if len(raws[0]) != 8 || !slices.Equal(raws[0], raws[1]) {
		t.Errorf("%d octet strings, and %d others", len(raws[0]), len(raws[1]))
	}
	// And no two of them are the same.
	slices.Sort(raws[0])
	if n := len(slices.Compact(raws[0])); n != 8 {
		t.Errorf("only %d differ", n)
	}
}

// A message that was asked for before, or that is no longer remembered, comes
// out the same, and many large ones are not all remembered.
func TestStoredIsRemembered(t *testing.T) {
	t.Parallel()
	p := newSealing(t, provider.Options{})
	m := delivered(t, p, note(""))
	first := stored(t, p, m)
	if again := stored(t, p, m); &again[0] != &first[0] {
		t.Error("it is written again")
	}
	large := mailbox.Message{Account: alice, ReceivedAt: start(), Raw: append(note(""), bytes.Repeat([]byte("x\r\n"), 4<<20)...)}
	for _, id := range []string{"x1", "x2", "x3"} {
		large.ID = id
		if raw := stored(t, p, large); !bytes.HasSuffix(raw, large.Raw) {
			t.Errorf("%s is stored as another", id)
		}
	}
	again := stored(t, p, m)
	if &again[0] == &first[0] {
		t.Error("more than 32 MiB are remembered")
	}
	if !bytes.Equal(again, first) {
		t.Error("it is written another way")
	}
}

// A message in nobody's account has a block, as check shows it: that of the first
// provider.
func TestStoredOfNobody(t *testing.T) {
	t.Parallel()
	p := newSealing(t, provider.Options{})
	m := p.Examine(t.Context(), policy.Arrival{Channel: policy.ChannelFile, Rcpt: "zoe@elsewhere.example"}, note(""))
	if block, err := p.Block(m); err != nil || !bytes.HasPrefix(block, []byte("Delivered-To: zoe@elsewhere.example\r\n")) {
		t.Errorf("%s, %v", block, err)
	}
	if raw, err := p.Stored(m); err != nil || !bytes.HasSuffix(raw, m.Raw) {
		t.Errorf("%s, %v", raw, err)
	}
}
