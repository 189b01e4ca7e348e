package providertest_test

import (
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/smtp"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/scenarios/provider"
	"github.com/doppelbox/doppelbox/scenarios/providertest"
)

// shop starts a provider that knows the shop, and returns alice's inbox.
func shop(t *testing.T, o provider.Options) (*providertest.Provider, *providertest.Inbox) {
	t.Helper()
	p := providertest.Start(t, o)
	p.Zone(`shop.example. TXT "v=spf1 ip4:192.0.2.10 -all"`)
	p.Peer("192.0.2.10", "mail.shop.example")
	p.Register(policy.Registration{From: "shop.example"})
	return p, p.Inbox("alice@gmail.test")
}

func TestAdvanceRetries(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 15, 9, 0, 0, 0, time.UTC)
	p, inbox := shop(t, provider.Options{Clock: provider.StandingClock(start)})
	answers := []int{http.StatusRequestTimeout, http.StatusRequestTimeout, http.StatusOK}
	p.Handle("shop.example", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(answers[0])
		answers = answers[1:]
	}))
	send(t, p.SMTPAddr)
	m := inbox.Next(t.Context())
	if c := m.Click("0"); c.State != mailbox.ClickPending {
		t.Fatalf("after 408 the click is %s", c.State)
	}
	p.Advance(time.Hour)
	c := m.Clicks()[0]
	if c.State != mailbox.ClickSucceeded || len(c.Attempts) != 3 {
		t.Fatalf("an hour later it is %s after %d attempts", c.State, len(c.Attempts))
	}
	for i, want := range []time.Duration{0, time.Minute, 6 * time.Minute} {
		if got := c.Attempts[i].At.Sub(start); got != want {
			t.Errorf("attempt %d came after %s, want %s", i, got, want)
		}
	}
}

func TestRunAgainstTheSameProvider(t *testing.T) {
	t.Parallel()
	p, inbox := shop(t, provider.Options{})
	p.Handle("shop.example", http.NotFoundHandler())
	send(t, p.SMTPAddr)
	inbox.Next(t.Context())
	path := filepath.Join(t.TempDir(), "click.txtar")
	if err := os.WriteFile(path, []byte("# The mail is there already.\nexpect messages == 1\nclick \"Approve expense\"\nexpect request.0.status == 404\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.Run(path)
}

func TestUnroutedHost(t *testing.T) {
	t.Parallel()
	p, inbox := shop(t, provider.Options{})
	send(t, p.SMTPAddr)
	c := inbox.Next(t.Context()).Click("Approve expense")
	if c.State != mailbox.ClickWithheld || c.Attempts[0].Reason != "host-not-routed" {
		t.Errorf("the click is %s: %+v", c.State, c.Attempts)
	}
}

func TestEnforceRefuses(t *testing.T) {
	t.Parallel()
	p := providertest.Start(t, provider.Options{Enforce: true})
	p.Inbox("alice@gmail.test")
	d, err := p.Deliver(t.Context(), netip.MustParseAddr("198.51.100.7"), provider.Mail{From: "x@evil.example", To: []string{"alice@gmail.test"}, Raw: []byte(strings.ReplaceAll(approval, "\n", "\r\n"))}, true)
	if err != nil {
		t.Fatal(err)
	}
	if d.Reply.Code != 550 || d.Reply.Enhanced != "5.7.26" || !d.Messages[0].Refused || d.Messages[0].Evidence.Arrival.TLS != "TLS1_3" {
		t.Errorf("answered %s; %+v", d.Reply, d.Messages)
	}
}

// TestFault holds that a mailer's client sees an ordered reply as often as it was
// ordered, of a provider that otherwise takes everything.
func TestFault(t *testing.T) {
	t.Parallel()
	p, inbox := shop(t, provider.Options{})
	p.Fault("reputation-domain-temporary", 2)
	p.Bulk("shop.example")
	for range 2 {
		c, err := smtp.Dial(p.SMTPAddr)
		if err != nil {
			t.Fatal(err)
		}
		w, err := mailFrom(c, "bounce@shop.example", "alice@gmail.test")
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.WriteString(w, strings.ReplaceAll(approval, "\n", "\r\n"))
		var reply *textproto.Error
		if err := errors.Join(err, w.Close()); !errors.As(err, &reply) || reply.Code != 421 || !strings.Contains(reply.Msg, "4.7.0 ") {
			t.Fatalf("the message was answered %v", err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	send(t, p.SMTPAddr)
	m := inbox.Next(t.Context())
	if s := m.Evidence.Sender; !s.Bulk || !s.Declared || s.Volume != 1 {
		t.Errorf("the sender is %+v", s)
	}
	if f, ok := m.Verdict.Finding("transport-security"); !ok || f.Reason != "bulk-no-tls" || m.Verdict.Reply.Enhanced != "4.7.29" {
		t.Errorf("without TLS: %+v, reply %v", f, m.Verdict.Reply)
	}
}
