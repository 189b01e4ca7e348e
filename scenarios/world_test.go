package scenarios_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/scenarios"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// Open makes the provider of a world; its clock runs on from where the file
// sets it.
func TestOpen(t *testing.T) {
	t.Parallel()
	f := parse(t, "provider mail.test\nclock 2020-02-29T12:00:00Z\naccount zoe@mail.test\ninbound enforce\ndial profile rfc\n")
	p, err := scenarios.Open(t.Context(), f, provider.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	now := p.Clock().Now()
	if p.Domain() != "mail.test" || !p.Clock().Runs() || now.Format(time.DateOnly) != "2020-02-29" || now.Hour() != 12 {
		t.Errorf("%s at %s, running: %v", p.Domain(), now, p.Clock().Runs())
	}
	if got := p.Accounts(); len(got) != 1 || got[0] != "zoe@mail.test" {
		t.Errorf("accounts are %q", got)
	}
	d, err := p.Deliver(t.Context(), netip.MustParseAddr("192.0.2.1"), provider.Mail{To: []string{"zoe@mail.test"}, Raw: []byte("From: x@shop.example\r\n\r\n")}, false)
	if err != nil || d.Reply.Code != 550 {
		t.Errorf("got %v, %v", d.Reply, err)
	}
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	const want = `x.txtar:1:1: account "alice@mail.test" is not of the provider's domain gmail.test`
	_, err := scenarios.Open(t.Context(), parse(t, "account alice@mail.test\naccount bob@mail.test\n"), provider.Options{})
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	const far = "x.txtar:1:7: a clock that runs goes at most 292 years from the machine's"
	_, err = scenarios.Open(t.Context(), parse(t, "clock 1700-01-01T00:00:00Z\n"), provider.Options{})
	if err == nil || err.Error() != far {
		t.Errorf("got %v", err)
	}
}

// A file that is run against a provider changes that one, and can change
// neither whose it is nor what is settled when it starts.
func TestRunAgainstProvider(t *testing.T) {
	t.Parallel()
	p, err := scenarios.Open(t.Context(), parse(t, "clock 2026-01-15T09:00:00Z\n"), provider.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	o := scenarios.RunOptions{Provider: p}
	if got := run(t, "clock 2030-01-15T09:00:00Z\nprovider GMAIL.test\n"+world+delivered+"expect action.0 == offered\n"+approval, o); !got.Held() {
		t.Error(got.Failures().Report())
	}
	if got := run(t, "click Approve\nexpect click.state == withheld\nexpect request.0.reason == host-not-routed\n", o); !got.Held() {
		t.Error(got.Failures().Report())
	}
	if list, err := p.Store().Messages(t.Context(), mailbox.Query{World: p.WorldName()}); err != nil || len(list) != 1 {
		t.Errorf("%d messages, %v", len(list), err)
	}
	tests := []struct{ text, want string }{
		{"provider mail.test\n", `x.txtar:1:1: the provider that runs is gmail.test, not mail.test`},
		{"inbound observe proxy-from=10.0.0.0/8\n", `x.txtar:1:1: the provider runs already: proxy-from has to be there when it starts`},
	}
	for _, tt := range tests {
		if got := run(t, tt.text, o).Failures().Error(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

// A proxy has no mail of its own, and within the process none speaks for it.
func TestDeliverAsProxy(t *testing.T) {
	t.Parallel()
	const want = `x.txtar:3:1: delivering "m": 203.0.113.1 is a proxy, and not the client behind it: name a peer outside of proxy-from`
	got := run(t, "account alice@gmail.test\ninbound observe proxy-from=203.0.113.1,10.0.0.0/8\ndeliver m from=<> to=alice@gmail.test\n-- m --\n", scenarios.RunOptions{})
	if got.Failures().Error() != want || !got.Stopped {
		t.Errorf("got %s", got.Failures())
	}
}

// What a title holds is printed; so it must not act on a terminal.
func TestTitleIsText(t *testing.T) {
	t.Parallel()
	_, errs := scenarios.Parse("x.txtar", []byte("# \x1b[2J\n#\xff\nrotate\n"))
	const want = "x.txtar:1:3: control character '\\x1b'\nx.txtar:2:2: the line is not UTF-8"
	if errs.Error() != want {
		t.Errorf("got %s", errs)
	}
}
