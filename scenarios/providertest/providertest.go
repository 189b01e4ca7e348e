// Package providertest runs a provider inside a Go test: a fake Gmail that a
// mailer under test delivers to, and that presses its buttons. It is the only
// package of this module, outside tests, that imports testing.
//
// Methods fail the test instead of returning an error, at the line of the
// caller. A provider shares nothing with others, so tests can run in parallel.
package providertest

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/scenarios"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// Provider is a provider that ends with its test.
type Provider struct {
	*provider.Provider
	// SMTPAddr is where it receives mail: host and port, on loopback.
	SMTPAddr string
	// CertsURL is where it publishes its keys: the base of "/oauth2/v1/certs",
	// "/oauth2/v3/certs" and "/.well-known/openid-configuration". Its
	// certificate is of the provider's CA.
	CertsURL string

	t *testing.T
}

// New starts a provider for gmail.test whose clock runs. It is stopped when the
// test ends.
func New(t *testing.T) *Provider {
	t.Helper()
	return Start(t, provider.Options{})
}

// Start is New for a provider with other options. Its log goes to the test's,
// unless they say otherwise.
func Start(t *testing.T, o provider.Options) *Provider {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	inner, err := provider.New(o)
	if err != nil {
		t.Fatalf("starting a provider: %v", err)
	}
	p := &Provider{Provider: inner, t: t}
	t.Cleanup(func() {
		if err := inner.Close(); err != nil {
			t.Errorf("stopping the provider: %v", err)
		}
	})
	mail, certs := p.listen(), p.listen()
	p.SMTPAddr, p.CertsURL = mail.Addr().String(), "https://"+certs.Addr().String()
	inner.ServeSMTP(mail)
	if err := inner.ServeCertificates(certs); err != nil {
		t.Fatalf("serving certificates: %v", err)
	}
	return p
}

func (p *Provider) listen() net.Listener {
	p.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.t.Fatalf("listening: %v", err)
	}
	return l
}

// testLog writes to the log of a test.
type testLog struct{ t *testing.T }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Helper()
	l.t.Log(strings.TrimSuffix(string(b), "\n"))
	return len(b), nil
}

var _ io.Writer = testLog{}

// Inbox makes an account, unless it is there, and returns its mail. It has to
// be asked for before mail is sent to it.
func (p *Provider) Inbox(address string) *Inbox {
	p.t.Helper()
	if err := p.AddAccount(address); err != nil {
		p.t.Fatalf("making an account: %v", err)
	}
	return &Inbox{p: p, account: strings.ToLower(address)}
}

// Configure adds to the settings of an account, and makes it if need be:
// addresses that its user may send as, mailboxes that it fetches from, where it
// forwards to, the password for mail programs.
func (p *Provider) Configure(address string, s provider.Settings) {
	p.t.Helper()
	if err := p.Provider.Configure(address, s); err != nil {
		p.t.Fatalf("configuring an account: %v", err)
	}
}

// Fetch fetches the mail of an address elsewhere into an account, which must
// have it among its settings, and returns what came.
func (p *Provider) Fetch(account, from string) []Message {
	p.t.Helper()
	got, err := p.Provider.Fetch(p.t.Context(), account, from)
	if err != nil {
		p.t.Fatalf("fetching mail: %v", err)
	}
	list := make([]Message, len(got.Messages))
	for i, m := range got.Messages {
		list[i] = Message{Message: m, p: p}
	}
	return list
}

// IMAP lets mail programs read the accounts that have a password, and returns
// where: host and port of IMAP with STARTTLS. Certificates are of the
// provider's CA.
func (p *Provider) IMAP() string {
	p.t.Helper()
	l := p.listen()
	if err := p.ServeIMAP(l, false); err != nil {
		p.t.Fatalf("serving IMAP: %v", err)
	}
	return l.Addr().String()
}

// POP3 is IMAP for POP3 with STLS.
func (p *Provider) POP3() string {
	p.t.Helper()
	l := p.listen()
	if err := p.ServePOP3(l, false); err != nil {
		p.t.Fatalf("serving POP3: %v", err)
	}
	return l.Addr().String()
}

// Register adds a sender registration.
func (p *Provider) Register(r policy.Registration) { p.Provider.Register(r) }

// Zone adds zone text, one record a line, such as
// `shop.example. TXT "v=spf1 ip4:192.0.2.10 -all"`.
func (p *Provider) Zone(text string) {
	p.t.Helper()
	for _, err := range p.Provider.Zone().Load("zone", text) {
		p.t.Fatal(err)
	}
}

// Peer lets connections from this machine count as from another address, which
// gets a name in both directions of the DNS.
func (p *Provider) Peer(addr, name string) {
	p.t.Helper()
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		p.t.Fatalf("peer: %v", err)
	}
	p.MapPeer(netip.MustParseAddr("127.0.0.1"), ip)
	p.MapPeer(netip.IPv6Loopback(), ip)
	if err := p.NamePeer(ip, name); err != nil {
		p.t.Fatalf("peer: %v", err)
	}
}

// Fault has the provider give a reply of its catalogue ([policy.Catalogue]), at
// its usual place in the session and whatever the mail is like: to see what a
// mailer does with it. It is given so many times; zero is always.
func (p *Provider) Fault(id policy.ReplyID, times int) {
	p.t.Helper()
	if err := p.OrderReply(provider.Order{Reply: id, Times: times}); err != nil {
		p.t.Fatal(err)
	}
}

// Bulk makes a domain, with all below it, a bulk sender.
func (p *Provider) Bulk(domain string) {
	p.t.Helper()
	if err := p.DeclareSender(domain, true); err != nil {
		p.t.Fatal(err)
	}
}

// Route sends the action requests for a host to an address, host and port. What
// listens there needs a certificate for host; Certificate makes one.
func (p *Provider) Route(host, addr string) {
	p.t.Helper()
	if err := p.Provider.Route(host, addr); err != nil {
		p.t.Fatal(err)
	}
}

// Certificate makes a server certificate for a host, of the provider's CA,
// which action requests trust.
func (p *Provider) Certificate(host string) tls.Certificate {
	p.t.Helper()
	leaf, err := p.CA().Leaf(host)
	if err != nil {
		p.t.Fatalf("making a certificate: %v", err)
	}
	return leaf
}

// Handle serves a host over HTTPS with a handler, and routes it: for a service
// under test that is an http.Handler.
func (p *Provider) Handle(host string, h http.Handler) {
	p.t.Helper()
	l := p.listen()
	config := &tls.Config{Certificates: []tls.Certificate{p.Certificate(host)}, MinVersion: tls.VersionTLS12}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	var owned sync.WaitGroup
	owned.Go(func() {
		// It ends with the test, and has no other way to fail.
		_ = server.Serve(tls.NewListener(l, config))
	})
	p.t.Cleanup(func() {
		_ = server.Close() // The test is over: what is under way is of no use.
		owned.Wait()
	})
	p.Route(host, l.Addr().String())
}

// Advance moves the clock forward and makes the retries that fall due.
func (p *Provider) Advance(d time.Duration) {
	p.t.Helper()
	if err := p.Provider.Advance(p.t.Context(), d); err != nil {
		p.t.Fatalf("advancing the clock: %v", err)
	}
}

// Run runs scenario files against this provider and fails the test where they
// do not hold, with the place and what is there instead.
func (p *Provider) Run(files ...string) {
	p.t.Helper()
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			p.t.Fatal(err)
		}
		f, mistakes := scenarios.Parse(path, data)
		if len(mistakes) > 0 {
			p.t.Fatalf("\n%s", mistakes.Report())
		}
		result, err := scenarios.Run(p.t.Context(), f, scenarios.RunOptions{Provider: p.Provider})
		if err != nil {
			p.t.Fatalf("%s: %v", path, err)
		}
		if !result.Held() {
			p.t.Errorf("\n%s", result.Failures().Report())
		}
	}
}

// Inbox is the mail of one account.
type Inbox struct {
	p       *Provider
	account string

	mu   sync.Mutex
	seen int64
}

// Next returns the next message of the account, in the order in which they
// came. It waits for it until ctx ends, which fails the test; the failure says
// which mail was refused meanwhile.
func (in *Inbox) Next(ctx context.Context) Message {
	in.p.t.Helper()
	in.mu.Lock()
	defer in.mu.Unlock()
	m, err := in.p.Store().Wait(ctx, mailbox.Query{World: in.p.WorldName(), Account: in.account, AfterSeq: in.seen})
	if err != nil {
		in.p.t.Fatalf("waiting for mail to %s: %v%s", in.account, err, in.refused(ctx))
	}
	in.seen = m.Seq
	return Message{Message: m, p: in.p}
}

// refused lists the mail that was refused, for the message of a failure.
func (in *Inbox) refused(ctx context.Context) string {
	list, err := in.p.Store().Messages(context.WithoutCancel(ctx), mailbox.Query{World: in.p.WorldName(), Account: in.account, Refused: true})
	if err != nil {
		return ""
	}
	text := ""
	for _, m := range list {
		if m.Refused {
			text += "\nrefused: " + strings.Join(m.Reply, " ") + "\n" + m.Verdict.Text()
		}
	}
	return text
}

// Message is a received message: its evidence, its verdict, and its buttons.
type Message struct {
	mailbox.Message
	p *Provider
}

// String is the verdict as people read it, for the message of a failure.
func (m Message) String() string { return m.Verdict.Text() }

// Offered says whether the button with a label, or of an index in digits, is
// offered.
func (m Message) Offered(button string) bool {
	m.p.t.Helper()
	return m.Verdict.Actions[m.action(button)].Answer == policy.Offered
}

func (m Message) action(button string) int {
	m.p.t.Helper()
	action, err := provider.FindAction(m.Message, button)
	if err != nil {
		m.p.t.Fatalf("%v\n%s", err, m)
	}
	return action
}

// Click is a press of a button, and the attempts at its request so far.
type Click struct {
	mailbox.Click
	Attempts []mailbox.Attempt
}

// Click presses the button with a label, or of an index in digits. When it
// returns, the first attempt at the request has been answered.
func (m Message) Click(button string) Click {
	m.p.t.Helper()
	click, err := m.p.Provider.Click(m.p.t.Context(), m.ID, m.action(button))
	return m.p.attempts(click, err)
}

// ClickAs is Click in another program than the provider's.
func (m Message) ClickAs(who policy.Persona, button string) Click {
	m.p.t.Helper()
	click, err := m.p.Provider.ClickAs(m.p.t.Context(), who, m.ID, m.action(button))
	return m.p.attempts(click, err)
}

// Stored returns the message as mail programs read it: under the provider's
// header block.
func (m Message) Stored() []byte {
	m.p.t.Helper()
	raw, err := m.p.Provider.Stored(m.Message)
	if err != nil {
		m.p.t.Fatal(err)
	}
	return raw
}

// Unsubscribe uses the message's one-click unsubscription, likewise.
func (m Message) Unsubscribe() Click {
	m.p.t.Helper()
	click, err := m.p.Provider.Unsubscribe(m.p.t.Context(), m.ID)
	return m.p.attempts(click, err)
}

// Clicks returns all clicks on the message as they stand now, oldest first.
func (m Message) Clicks() []Click {
	m.p.t.Helper()
	list, err := m.p.Store().Clicks(m.p.t.Context(), m.p.WorldName(), m.ID)
	if err != nil {
		m.p.t.Fatalf("reading the clicks: %v", err)
	}
	clicks := make([]Click, len(list))
	for i, c := range list {
		clicks[i] = m.p.attempts(c, nil)
	}
	return clicks
}

func (p *Provider) attempts(c mailbox.Click, err error) Click {
	p.t.Helper()
	if err == nil {
		var attempts []mailbox.Attempt
		if attempts, err = p.Store().Attempts(p.t.Context(), p.WorldName(), c.ID); err == nil {
			return Click{Click: c, Attempts: attempts}
		}
	}
	p.t.Fatalf("clicking: %v", err)
	return Click{}
}
