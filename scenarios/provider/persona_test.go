package provider_test

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/dispatcher"
	"github.com/doppelbox/doppelbox/keys"
	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// sent returns the request of a click's last attempt, and its bearer token.
func sent(t *testing.T, p *provider.Provider, c mailbox.Click) (*http.Request, string) {
	t.Helper()
	list := attempts(t, p, c.ID)
	if len(list) == 0 {
		t.Fatalf("there is no attempt: %s, %s", c.State, c.Verdict.Reason)
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(list[len(list)-1].Sent)))
	must(t, err)
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return r, token
}

func clickAs(t *testing.T, p *provider.Provider, who policy.Persona, m mailbox.Message) mailbox.Click {
	t.Helper()
	c, err := p.ClickAs(t.Context(), who, m.ID, 0)
	must(t, err)
	return c
}

// Each persona makes the same request, but for who says to make it, and with
// whose token.
func TestPersonas(t *testing.T) {
	t.Parallel()
	p := newProvider(t, provider.Options{})
	addService(t, p, provider.Service{URL: serviceURL, Trusts: "gmail.test"})
	m := delivered(t, p, approval(serviceURL))
	tests := []struct {
		who    policy.Persona
		state  mailbox.ClickState
		status int
		agent  string
		issuer string // Empty is no token.
	}{
		{policy.PersonaThirdParty, mailbox.ClickFailed, 401, "third-party mail program (simulated by doppelbox)", ""},
		{policy.PersonaImpersonator, mailbox.ClickFailed, 401, dispatcher.UserAgent, ""},
		{policy.PersonaOtherProvider, mailbox.ClickFailed, 401, dispatcher.UserAgent, "https://accounts.other-provider.invalid"},
		{policy.PersonaProvider, mailbox.ClickSucceeded, 200, dispatcher.UserAgent, "https://accounts.google.com"},
		// Who does not ask the provider is not told that it has been done.
		{policy.PersonaThirdParty, mailbox.ClickFailed, 401, "third-party mail program (simulated by doppelbox)", ""},
	}
	for _, tt := range tests {
		c := clickAs(t, p, tt.who, m)
		list := attempts(t, p, c.ID)
		r, token := sent(t, p, c)
		if c.Persona != tt.who || c.State != tt.state || len(list) != 1 || list[0].Status != tt.status {
			t.Errorf("%s: %s, %+v", tt.who, c.State, list)
		}
		if r.Method != http.MethodPost || r.UserAgent() != tt.agent || (token == "") != (tt.issuer == "") {
			t.Errorf("%s: %s by %q with token %q", tt.who, r.Method, r.UserAgent(), token)
		}
		if _, err := p.Keys().Verify(token, keys.VerifyOptions{Audience: "https://shop.example"}); (err == nil) != (tt.who == policy.PersonaProvider) {
			t.Errorf("%s: the provider's keys say %v", tt.who, err)
		}
	}
	if c, err := p.Click(t.Context(), m.ID, 0); err != nil || c.Verdict.Reason != "already-done" {
		t.Errorf("the provider's second click: %s, %v", c.Verdict.Reason, err)
	}
}

// Another provider's token is a good one: of the second provider, if the world
// has one, and then its issuer's.
func TestPersonaOfSecondProvider(t *testing.T) {
	t.Parallel()
	p, other := newPair(t, provider.Options{})
	addService(t, p, provider.Service{URL: serviceURL, Trusts: "OTHER.test"})
	m := delivered(t, p, approval(serviceURL))
	c := clickAs(t, p, policy.PersonaOtherProvider, m)
	_, token := sent(t, p, c)
	claims, err := other.Keys().Verify(token, keys.VerifyOptions{Audience: "https://shop.example"})
	if err != nil || claims.Issuer != "https://accounts.other.test" || claims.AuthorizedParty != "actions@other.test" || c.State != mailbox.ClickSucceeded {
		t.Errorf("%+v, %v; the click is %s", claims, err, c.State)
	}
	// The provider itself is not trusted there.
	if c := clickAs(t, p, policy.PersonaProvider, m); c.State != mailbox.ClickFailed {
		t.Errorf("the provider's own click is %s", c.State)
	}
}

// A program that asks nobody presses what is withheld, too, and gets no token
// by it.
func TestPersonaPressesWithheld(t *testing.T) {
	t.Parallel()
	p := newProvider(t, provider.Options{})
	addService(t, p, provider.Service{URL: serviceURL})
	raw := bytes.Replace(approval(serviceURL), []byte("noreply@shop"), []byte("nobody@shop"), 1) // Who is not registered.
	m := delivered(t, p, raw)
	if m.Verdict.Actions[0].Answer != policy.Withheld {
		t.Fatal(m.Verdict.Text())
	}
	if c := clickAs(t, p, policy.PersonaProvider, m); c.State != mailbox.ClickRefused {
		t.Errorf("the provider's click is %s", c.State)
	}
	for _, who := range []policy.Persona{policy.PersonaThirdParty, policy.PersonaImpersonator} {
		c := clickAs(t, p, who, m)
		if _, token := sent(t, p, c); c.State != mailbox.ClickSucceeded || token != "" {
			t.Errorf("%s: %s with token %q", who, c.State, token)
		}
	}
}

// A service that trusts a provider takes its token whatever it is for, and
// nothing else.
func TestServiceTrusts(t *testing.T) {
	t.Parallel()
	p, other := newPair(t, provider.Options{})
	if err := p.AddService(provider.Service{URL: serviceURL, Trusts: "nobody.test"}); err == nil || !strings.Contains(err.Error(), "has no provider nobody.test") {
		t.Errorf("got %v", err)
	}
	const elsewhere = "https://erp.example/approve"
	addService(t, p, provider.Service{URL: elsewhere, Trusts: "gmail.test", Statuses: []int{201}, Body: "done"})
	m := delivered(t, p, approval(elsewhere))
	c := clickAs(t, p, policy.PersonaProvider, m)
	if list := attempts(t, p, c.ID); len(list) != 1 || list[0].Status != 201 || string(list[0].Body) != "done" {
		t.Errorf("got %+v", list)
	}
	// Its aud is the domain of From, and not the service's.
	_, token := sent(t, p, c)
	tests := []struct {
		set  *keys.Set
		o    keys.VerifyOptions
		good bool
	}{
		{p.Keys(), keys.VerifyOptions{Audience: "https://shop.example"}, true},
		{p.Keys(), keys.VerifyOptions{AnyAudience: true}, true},
		{p.Keys(), keys.VerifyOptions{Audience: "https://erp.example", AnyAudience: true}, true},
		{p.Keys(), keys.VerifyOptions{Audience: "https://erp.example"}, false},
		{p.Keys(), keys.VerifyOptions{}, false},
		{p.Keys(), keys.VerifyOptions{AnyAudience: true, At: start().AddDate(0, 0, 1)}, false},
		{other.Keys(), keys.VerifyOptions{AnyAudience: true}, false},
	}
	for _, tt := range tests {
		claims, err := tt.set.Verify(token, tt.o)
		if (err == nil) != tt.good || tt.good && claims.Audience != "https://shop.example" {
			t.Errorf("%+v: %+v, %v", tt.o, claims, err)
		}
	}
}
