package provider_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// The sender that the zone of newProvider vouches for.
const (
	senderPeer = "192.0.2.10"
	senderZone = `shop.example.            TXT "v=spf1 ip4:192.0.2.10 -all"
_dmarc.shop.example.     TXT "v=DMARC1; p=reject"
mail.shop.example.       A   192.0.2.10
10.2.0.192.in-addr.arpa. PTR mail.shop.example.
`
)

func start() time.Time { return time.Date(2026, 1, 15, 9, 0, 0, 0, time.UTC) }

// newProvider returns a provider with one account, whose clock stands unless
// the options have another.
func newProvider(t testing.TB, o provider.Options) *provider.Provider {
	t.Helper()
	if o.Clock == nil {
		o.Clock = provider.StandingClock(start())
	}
	p, err := provider.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := p.AddAccount("alice@" + p.Domain()); err != nil {
		t.Fatal(err)
	}
	if errs := p.Zone().Load("zone", senderZone); len(errs) > 0 {
		t.Fatal(errs)
	}
	p.Register(policy.Registration{From: "noreply@shop.example", Actions: []string{"ConfirmAction"}, Bearer: true})
	return p
}

// approval is a mail with a button for each URL, labelled "A", "B" and so on.
func approval(urls ...string) []byte {
	var b strings.Builder
	b.WriteString("From: Shop <noreply@shop.example>\r\nTo: alice@gmail.test\r\nSubject: Expense\r\n" +
		"Date: Thu, 15 Jan 2026 09:00:00 +0000\r\nMessage-ID: <1@shop.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n")
	for i, u := range urls {
		b.WriteString(`<script type="application/ld+json">{"@context": "http://schema.org", "@type": "EmailMessage", "potentialAction": {
"@type": "ConfirmAction", "name": "` + string(rune('A'+i)) + `", "handler": {"@type": "HttpActionHandler", "url": "` + u + "\", \"method\": \"POST\"}}}</script>\r\n")
	}
	return []byte(b.String())
}

// deliver hands a mail of the sender in, and returns what became of it.
func deliver(t testing.TB, p *provider.Provider, raw []byte, to ...string) provider.Delivery {
	t.Helper()
	d, err := p.Deliver(t.Context(), netip.MustParseAddr(senderPeer), provider.Mail{HELO: "mail.shop.example", From: "bounce@shop.example", To: to, Raw: raw}, false)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// delivered hands a mail for alice in that must be kept.
func delivered(t testing.TB, p *provider.Provider, raw []byte) mailbox.Message {
	t.Helper()
	d := deliver(t, p, raw, "alice@"+p.Domain())
	if len(d.Messages) != 1 {
		t.Fatalf("%d messages: %s", len(d.Messages), d.Reply)
	}
	return d.Messages[0]
}

func messages(t testing.TB, p *provider.Provider, q mailbox.Query) []mailbox.Message {
	t.Helper()
	q.World = p.WorldName()
	list, err := p.Store().Messages(context.WithoutCancel(t.Context()), q)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// attempts returns the attempts of a click.
func attempts(t testing.TB, p *provider.Provider, clickID string) []mailbox.Attempt {
	t.Helper()
	list, err := p.Store().Attempts(t.Context(), p.WorldName(), clickID)
	if err != nil {
		t.Fatal(err)
	}
	return list
}
