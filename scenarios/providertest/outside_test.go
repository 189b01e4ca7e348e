package providertest_test

import (
	"bytes"
	"crypto/tls"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/doppelbox/doppelbox/keys"
	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// standing is a clock that stands when the mail was written.
func standing() provider.Options {
	return provider.Options{Clock: provider.StandingClock(time.Date(2026, 1, 15, 9, 0, 0, 0, time.UTC))}
}

// Mail that the account fetches comes to its inbox, once, by the test's word or
// by the clock.
func TestFetch(t *testing.T) {
	t.Parallel()
	p, inbox := shop(t, standing())
	p.Configure("alice@gmail.test", provider.Settings{POPFrom: []string{"old@isp.example"}})
	raw := []byte(strings.ReplaceAll(approval, "\n", "\r\n"))
	if err := p.AddRemoteMail("old@isp.example", raw); err != nil {
		t.Fatal(err)
	}
	got := p.Fetch("alice@gmail.test", "old@isp.example")
	m := inbox.Next(t.Context())
	if len(got) != 1 || got[0].ID != m.ID || m.Evidence.Access.Pattern != policy.PatternPOPFetch || !bytes.Equal(m.Raw, raw) {
		t.Errorf("%d fetched; %s came by %s", len(got), m.ID, m.Evidence.Access.Pattern)
	}
	if m.Offered("Approve expense") { // Nobody has signed it.
		t.Errorf("the button is offered:\n%s", m)
	}
	if again := p.Fetch("alice@gmail.test", "old@isp.example"); len(again) != 0 {
		t.Errorf("%d fetched again", len(again))
	}
	if err := p.AddRemoteMail("old@isp.example", raw); err != nil {
		t.Fatal(err)
	}
	p.Advance(time.Hour)
	if next := inbox.Next(t.Context()); next.ID == m.ID || next.Evidence.Arrival.Fetch == nil {
		t.Errorf("by the clock came %+v", next.Evidence.Arrival)
	}
}

// Programs read what Stored returns, by either protocol, once the account has a
// password.
func TestPrograms(t *testing.T) {
	t.Parallel()
	p, inbox := shop(t, standing())
	p.Configure("alice@gmail.test", provider.Settings{Password: "open sesame"})
	send(t, p.SMTPAddr)
	m := inbox.Next(t.Context())
	want := string(m.Stored())
	if !strings.HasPrefix(want, "Delivered-To: alice@gmail.test\r\n") || !strings.HasSuffix(want, string(m.Raw)) {
		t.Errorf("stored as\n%s", want)
	}
	c, err := imapclient.DialStartTLS(p.IMAP(), &imapclient.Options{TLSConfig: &tls.Config{RootCAs: p.CA().Pool(), ServerName: "imap.gmail.test"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Login("alice", "open sesame").Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	whole := &imap.FetchItemBodySection{}
	got, err := c.Fetch(imap.SeqSetNum(1), &imap.FetchOptions{BodySection: []*imap.FetchItemBodySection{whole}}).Collect()
	if err != nil || len(got) != 1 || string(got[0].FindBodySection(whole)) != want {
		t.Errorf("IMAP has %+v, %v", got, err)
	}
	text, err := textproto.Dial("tcp", p.POP3())
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	if line, err := text.ReadLine(); err != nil || !strings.HasPrefix(line, "+OK pop.gmail.test ") {
		t.Errorf("POP3 says %q, %v", line, err)
	}
	list, err := p.Store().Accesses(t.Context(), p.WorldName())
	if err != nil || len(list) != 1 || !slices.Equal(list[0].Read, []string{m.ID}) {
		t.Errorf("accesses are %+v, %v", list, err)
	}
}

// A press in another program goes out without the provider's token.
func TestClickAs(t *testing.T) {
	t.Parallel()
	p, inbox := shop(t, standing())
	var tokens []string
	p.Handle("shop.example", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		tokens = append(tokens, token)
		if _, err := p.Keys().Verify(token, keys.VerifyOptions{AnyAudience: true}); err != nil {
			http.Error(w, "who are you?", http.StatusUnauthorized)
		}
	}))
	p.Register(policy.Registration{From: "noreply@shop.example", Bearer: true})
	send(t, p.SMTPAddr)
	m := inbox.Next(t.Context())
	for _, who := range []policy.Persona{policy.PersonaThirdParty, policy.PersonaImpersonator, policy.PersonaOtherProvider} {
		if c := m.ClickAs(who, "Approve expense"); c.State != mailbox.ClickFailed || c.Persona != who || len(c.Attempts) != 1 || c.Attempts[0].Status != 401 {
			t.Errorf("%s: %s, %+v", who, c.State, c.Attempts)
		}
	}
	if len(tokens) != 3 || tokens[0] != "" || tokens[1] != "" || tokens[2] == "" {
		t.Errorf("tokens are %q", tokens)
	}
	if n := len(m.Clicks()); n != 3 {
		t.Errorf("%d clicks", n)
	}
}
