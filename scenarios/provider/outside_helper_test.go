package provider_test

import (
	"bytes"
	"context"
	"crypto"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/receiver/dnszone"
	"github.com/doppelbox/doppelbox/receiver/mailauth"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/receiver/smtpserver"
	"github.com/doppelbox/doppelbox/scenarios"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// The accounts of most tests here. Carol's is at the second provider.
const (
	alice = "alice@gmail.test"
	bob   = "bob@gmail.test"
	carol = "carol@other.test"
)

// testKey is the key that everybody knows: to make one takes long.
func testKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := scenarios.TestKey("")
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// newSealing is newProvider for tests in which mail is sealed.
func newSealing(t testing.TB, o provider.Options) *provider.Provider {
	t.Helper()
	o.MailKey = testKey(t)
	return newProvider(t, o)
}

// newPair returns a provider that has another one beside it, with an account
// each.
func newPair(t testing.TB, o provider.Options) (first, second *provider.Provider) {
	t.Helper()
	first = newSealing(t, o)
	second, err := first.Beside("other.test")
	if err != nil {
		t.Fatal(err)
	}
	if err := second.AddAccount(carol); err != nil {
		t.Fatal(err)
	}
	return first, second
}

func configure(t testing.TB, p *provider.Provider, address string, s provider.Settings) {
	t.Helper()
	if err := p.Configure(address, s); err != nil {
		t.Fatal(err)
	}
}

func addSink(t testing.TB, p *provider.Provider, s provider.Sink) {
	t.Helper()
	if err := p.AddSink(s); err != nil {
		t.Fatal(err)
	}
}

func setDial(t testing.TB, p *provider.Provider, name policy.DialID, value string) {
	t.Helper()
	if err := p.SetDial(string(name), value); err != nil {
		t.Fatal(err)
	}
}

func advance(t testing.TB, p *provider.Provider, by time.Duration) {
	t.Helper()
	if err := p.Advance(t.Context(), by); err != nil {
		t.Fatal(err)
	}
}

// outgoing returns what the providers of a world have sent, or wanted to.
func outgoing(t testing.TB, p *provider.Provider) []mailbox.Outgoing {
	t.Helper()
	list, err := p.Store().Outgoing(context.WithoutCancel(t.Context()), p.WorldName())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// onlyOutgoing returns the one mail that was sent, or was to be.
func onlyOutgoing(t testing.TB, p *provider.Provider) mailbox.Outgoing {
	t.Helper()
	list := outgoing(t, p)
	if len(list) != 1 {
		t.Fatalf("%d outgoing mails: %+v", len(list), list)
	}
	return list[0]
}

func stored(t testing.TB, p *provider.Provider, m mailbox.Message) []byte {
	t.Helper()
	raw, err := p.Stored(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// sign signs a mail as the sender does, and publishes the key.
func sign(t testing.TB, p *provider.Provider, raw []byte) []byte {
	t.Helper()
	key := testKey(t)
	record, err := mailauth.KeyRecord(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Zone().SetTXT("s1._domainkey.shop.example", record); err != nil {
		t.Fatal(err)
	}
	signed, err := mailauth.Sign(raw, mailauth.SignOptions{Domain: "shop.example", Selector: "s1", Key: key, Time: p.Clock().Now()})
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// authenticate verifies a mail as a receiver does who is none of the world's,
// but asks the same DNS.
func authenticate(t testing.TB, p *provider.Provider, a policy.Arrival, raw []byte) policy.Authentication {
	t.Helper()
	v := mailauth.Verifier{Resolver: dnszone.NewResolver(p.Zone(), dnszone.Options{}), Now: p.Clock().Now}
	return v.Authenticate(t.Context(), a, message.Parse(raw))
}

// note is a mail of the sender without anything in it.
func note(fields string) []byte {
	return []byte(fields + "From: Shop <noreply@shop.example>\r\nTo: alice@gmail.test\r\nSubject: Note\r\n" +
		"Date: Thu, 15 Jan 2026 09:00:00 +0000\r\nMessage-ID: <n@shop.example>\r\n\r\n.dot\r\nNote.\r\n")
}

// deliverFrom hands a mail in from any peer, with any envelope sender.
func deliverFrom(t testing.TB, p *provider.Provider, peer, from string, raw []byte, to ...string) provider.Delivery {
	t.Helper()
	d, err := p.Deliver(t.Context(), netip.MustParseAddr(peer), provider.Mail{HELO: "mail.shop.example", From: from, To: to, Raw: raw}, false)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// taken is a mail that a server of the test was handed.
type taken struct {
	smtpserver.Envelope
	Raw []byte
	At  time.Time // The provider's clock.
}

// outside is an SMTP server of the test: what there is outside of the world.
type outside struct {
	clock   *provider.Clock
	answers []smtpserver.Reply // In order; then 250.

	mu   sync.Mutex
	list []taken
}

// Admit implements smtpserver.Backend.
func (*outside) Admit(context.Context, *smtpserver.Envelope, smtpserver.Stage) *smtpserver.Reply {
	return nil
}

// Rcpt implements smtpserver.Backend.
func (*outside) Rcpt(context.Context, *smtpserver.Envelope, string) *smtpserver.Reply { return nil }

// Deliver implements smtpserver.Backend.
func (o *outside) Deliver(_ context.Context, e smtpserver.Envelope, raw []byte) smtpserver.Reply {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.list = append(o.list, taken{e, raw, o.clock.Now()})
	if n := len(o.list); n <= len(o.answers) {
		return o.answers[n-1]
	}
	return smtpserver.Reply{Code: 250, Enhanced: "2.0.0", Lines: []string{"OK"}}
}

func (o *outside) mails() []taken {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]taken(nil), o.list...)
}

// serveOutside serves it on a port, which it returns with the host.
func serveOutside(t *testing.T, o *outside) string {
	t.Helper()
	s, err := smtpserver.New(smtpserver.Options{Backend: o, Hostname: "mx.acme.test"})
	if err != nil {
		t.Fatal(err)
	}
	l := listen(t)
	var served sync.WaitGroup
	served.Go(func() {
		if err := s.Serve(l); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		served.Wait()
	})
	return l.Addr().String()
}

// logBook keeps everything that is logged.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *logBook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
