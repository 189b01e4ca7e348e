package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/doppelbox/doppelbox/keys"
	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailauth"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/scenarios"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

type demoCommand struct{}

// The sender of the demonstration.
const (
	demoSender   = "noreply@shop.example"
	demoAccount  = "alice@gmail.test"
	demoHost     = "shop.example"
	demoSelector = "s1"
)

// Run shows the whole way: a service sends a signed mail over TCP, the
// provider judges it, its button is pressed, and the service answers the
// request and verifies the token.
func (c *demoCommand) Run(ctx context.Context, s streams) error {
	p, err := provider.New(provider.Options{Logger: logger(s, false)})
	if err != nil {
		return faultError{err}
	}
	defer p.Close()
	mail, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return usageError{err}
	}
	p.ServeSMTP(mail)
	service, err := startDemoService(p)
	if err != nil {
		return faultError{err}
	}
	defer service.close()
	raw, err := demoWorld(p, service)
	if err != nil {
		return faultError{err}
	}

	fmt.Fprintf(s.out, "A provider for gmail.test receives mail on %s.\nA service for https://%s listens on %s.\n\n", mail.Addr(), demoHost, service.addr())
	fmt.Fprintf(s.out, "The service sends a signed mail, over TCP:\n\n")
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", mail.Addr().String())
	if err != nil {
		return faultError{err}
	}
	reply, err := provider.Send(ctx, conn, provider.Mail{HELO: "mail." + demoHost, From: "bounce@" + demoHost, To: []string{demoAccount}, Raw: raw})
	if err != nil {
		return faultError{err}
	}
	fmt.Fprintf(s.out, "  %s\n\nThe provider's verdict:\n\n", reply)
	m, err := p.Store().Wait(ctx, mailbox.Query{World: p.WorldName(), Account: demoAccount})
	if err != nil {
		return faultError{err}
	}
	indent(s.out, authLine(m)+"\n"+m.Verdict.Explained())
	return c.click(ctx, s, p, m, service)
}

func (c *demoCommand) click(ctx context.Context, s streams, p *provider.Provider, m mailbox.Message, service *demoService) error {
	fmt.Fprintf(s.out, "\nAlice presses the button %q. The request, as it went out:\n\n", m.Evidence.Markup.Actions[0].Name)
	click, err := p.Click(ctx, m.ID, 0)
	if err != nil {
		return faultError{err}
	}
	attempts, err := p.Store().Attempts(ctx, p.WorldName(), click.ID)
	if err != nil {
		return faultError{err}
	}
	if len(attempts) == 0 {
		return faultError{fmt.Errorf("the click was refused: %s", click.Verdict.Reason)}
	}
	a := attempts[0]
	indent(s.out, strings.ReplaceAll(scenarios.Redact(a), "\r\n", "\n")+"\n")
	fmt.Fprintf(s.out, "\nThe service verified the token: %s\nIt answered %d in %s: %s\n", service.verified(), a.Status, a.Took.Round(100*time.Microsecond), strings.TrimSpace(string(a.Body)))
	fmt.Fprintf(s.out, "\nShe presses it again:\n\n")
	if click, err = p.Click(ctx, m.ID, 0); err != nil {
		return faultError{err}
	}
	indent(s.out, click.Verdict.Explained())
	if a.Status != http.StatusOK || click.Verdict.Reason != "already-done" {
		return errNotHeld
	}
	return nil
}

// demoWorld sets the provider's world up and returns the mail.
func demoWorld(p *provider.Provider, service *demoService) ([]byte, error) {
	key, err := scenarios.TestKey("rsa")
	if err != nil {
		return nil, err
	}
	record, err := mailauth.KeyRecord(key.Public())
	if err != nil {
		return nil, err
	}
	sender := netip.MustParseAddr("192.0.2.10")
	p.MapPeer(netip.MustParseAddr("127.0.0.1"), sender)
	p.Register(policy.Registration{From: demoSender, Actions: []string{"ConfirmAction"}, Bearer: true})
	for _, err := range []error{
		p.AddAccount(demoAccount),
		p.NamePeer(sender, "mail."+demoHost),
		p.Zone().AddTXT(demoHost, "v=spf1 ip4:192.0.2.10 -all"),
		p.Zone().AddTXT("_dmarc."+demoHost, "v=DMARC1; p=reject"),
		p.Zone().AddTXT(demoSelector+"._domainkey."+demoHost, record),
		p.Route(demoHost, service.addr()),
	} {
		if err != nil {
			return nil, err
		}
	}
	compose := sendCommand{From: demoSender, To: []string{demoAccount}, Subject: "Expense 4711 waits for your approval", Type: "ConfirmAction", Label: "Approve expense"}
	raw, err := compose.message(streams{})
	if err != nil {
		return nil, err
	}
	return mailauth.Sign(raw, mailauth.SignOptions{Domain: demoHost, Selector: demoSelector, Key: key, Time: p.Clock().Now()})
}

func indent(w io.Writer, text string) {
	for line := range strings.Lines(text) {
		fmt.Fprintf(w, "  %s", line)
	}
}

// demoService is a small HTTPS service that verifies tokens, as one of ours
// would be.
type demoService struct {
	p      *provider.Provider
	l      net.Listener
	server *http.Server
	owned  sync.WaitGroup

	mu      sync.Mutex
	verdict string
}

func startDemoService(p *provider.Provider) (*demoService, error) {
	config, err := p.CA().TLSConfig(demoHost)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &demoService{p: p, l: l, verdict: "it was not asked to"}
	d.server = &http.Server{Handler: d, ReadHeaderTimeout: 10 * time.Second}
	d.owned.Go(func() {
		// It ends with close, and has no other way to fail.
		_ = d.server.Serve(tls.NewListener(l, config))
	})
	return d, nil
}

func (d *demoService) addr() string { return d.l.Addr().String() }

func (d *demoService) close() {
	_ = d.server.Close() // Nothing is under way any more.
	d.owned.Wait()
}

func (d *demoService) verified() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.verdict
}

// ServeHTTP approves the expense if the token is good.
func (d *demoService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	claims, err := d.p.Keys().Verify(token, keys.VerifyOptions{Audience: "https://" + demoHost})
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.verdict = err.Error()
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	d.verdict = fmt.Sprintf("iss %s, azp %s, aud %s", claims.Issuer, claims.AuthorizedParty, claims.Audience)
	fmt.Fprintln(w, "expense 4711 is approved")
}
