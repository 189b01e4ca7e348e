// Package provider assembles one running provider: SMTP server, resolver,
// authentication, policy, mailbox, keys, dispatcher and clock, of one world.
//
// It is the only place that wires them. The command, the scenario runner and
// the Go test API all start what New returns, so that what is tested is what
// runs. It has no policy of its own.
package provider

import (
	"cmp"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/doppelbox/doppelbox/keys"
	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/dnszone"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/receiver/smtpserver"
)

// Defaults of Options.
const (
	DefaultDomain = "gmail.test"
	DefaultWorld  = "default"
)

// Options say what a provider is made of. The zero value is a provider in
// memory, whose DNS is hermetic and whose clock is the real one.
type Options struct {
	World  string // The name that every row carries; default DefaultWorld.
	Domain string // The domain of its accounts; default DefaultDomain.
	Clock  *Clock
	Logger *slog.Logger // Nil discards.
	// Store keeps the mail; nil is a bounded store in memory.
	Store mailbox.Store
	// Upstream answers what the zone does not know; nil leaves no question out
	// of the process.
	Upstream dnszone.Upstream
	// Roots are trusted for action requests beside the provider's own CA; nil
	// trusts nobody else.
	Roots func() (*x509.CertPool, error)
	// ProxyFrom are clients whose SMTP connections begin with a PROXY
	// protocol header.
	ProxyFrom []netip.Prefix
	// RoutedOnly lets action requests go nowhere but where they are routed or
	// allowed: not to other services of this machine either.
	RoutedOnly bool
	// Passive does nothing by itself: no mail is fetched or sent, whatever the
	// accounts say.
	Passive bool
	// Enforce answers the verdict on the wire. Otherwise whatever an account
	// may get is accepted, and the verdict says what would have been answered.
	Enforce bool
	// MailKey seals and signs the provider's own mail; nil is a key of its own,
	// made when it is first needed.
	MailKey crypto.Signer
	// Writable lets mail programs set flags and delete messages, for
	// themselves: the store keeps what came. Otherwise they can only read.
	Writable bool
	// OnMessage and OnAttempt are told of what has been stored, if set. They
	// are called one after the other and must not call the provider.
	OnMessage func(mailbox.Message)
	OnAttempt func(mailbox.Click, mailbox.Attempt)
}

// Provider is one running provider. It is safe for concurrent use. The caller
// must call Close on the first one of a world, which closes all of them.
type Provider struct {
	*World
	domain string
	place  int // Among the providers of the world, from 0.
	smtp   *smtpserver.Server
	keys   *keys.Set
	http   *http.Server

	sealing    sealing
	signatures signatures
	sending    sync.Mutex
	published  bool // What a receiver needs to authenticate its mail; guarded by sending.

	certificatesAt atomic.Pointer[string] // Base URL; nil before they are served.

	access access
}

// New makes a provider in a world of its own. It listens nowhere until it is
// told to serve.
func New(o Options) (*Provider, error) {
	w, err := newWorld(o)
	if err != nil {
		return nil, err
	}
	p, err := w.addProvider(cmp.Or(o.Domain, DefaultDomain), keys.Options{Now: w.clock.Now})
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	return p, nil
}

// Beside makes another provider in the same world, with keys and an issuer of
// its own: what only the first one trusts does not trust it.
func (p *Provider) Beside(domain string) (*Provider, error) {
	return p.addProvider(domain, otherKeys(domain, p.clock.Now))
}

// otherKeys are the keys of a provider that is not the first of its world.
func otherKeys(domain string, now func() time.Time) keys.Options {
	return keys.Options{
		Now: now, Issuer: "https://accounts." + domain, AuthorizedParty: "actions@" + domain, Subject: otherSubject,
	}
}

// otherSubject is the sub of every provider but the first.
const otherSubject = "200000000000000000002"

// maxRecipients bounds those of a transaction; fewer are a dial's business.
const maxRecipients = 10_000

func (p *Provider) newSMTP() error {
	config, err := p.ca.TLSConfig("mx."+p.domain, "localhost", "127.0.0.1", "::1")
	if err != nil {
		return err
	}
	// A pipe has no buffer for the tickets that a server writes unasked.
	config.SessionTicketsDisabled = true
	var random io.Reader
	if !p.clock.Runs() {
		random = &chance{seed: p.domain}
	}
	p.smtp, err = smtpserver.New(smtpserver.Options{
		Backend: intake{p}, MaxRecipients: maxRecipients, Hostname: p.hostname(), TLSConfig: config, Logger: p.log, Now: p.clock.Now, Random: random,
		PeerAs: p.peerAs, ProxyFrom: p.proxyFrom,
		BareLineEnds: func() smtpserver.BareLineEnds {
			return smtpserver.BareLineEnds(p.dialsSet().Get(policy.DialBareLineEnds))
		},
		PipelinedHello: func() smtpserver.PipelinedHello {
			return smtpserver.PipelinedHello(p.dialsSet().Get(policy.DialPipelinedHello))
		},
	})
	return err
}

// ServeSMTP accepts mail on l until the provider is closed.
func (p *Provider) ServeSMTP(l net.Listener) {
	p.begin(func() {
		if err := p.smtp.Serve(l); err != nil {
			p.log.Error("serving SMTP", slog.Any("error", err))
		}
	})
}

// ServeCertificates publishes the keys over HTTPS on l until the provider is
// closed, under the names of this machine and of Google's hosts.
func (p *Provider) ServeCertificates(l net.Listener) error {
	config, err := p.ca.TLSConfig(append(keys.GoogleHosts(), "localhost", "127.0.0.1", "::1")...)
	if err != nil {
		return err
	}
	server := p.http
	server.TLSConfig = config
	p.certificatesAt.Store(new("https://" + reachable(l.Addr().String())))
	p.begin(func() {
		if err := server.ServeTLS(l, "", ""); err != nil && !errors.Is(err, http.ErrServerClosed) {
			p.log.Error("serving certificates", slog.Any("error", err))
		}
	})
	return nil
}

// CertificatesURL is the base URL of the published keys, empty if they are not
// served.
func (p *Provider) CertificatesURL() string {
	if at := p.certificatesAt.Load(); at != nil {
		return *at
	}
	return ""
}

// reachable is an address at which a program of this machine reaches what
// listens on addr, which may be all addresses.
func reachable(addr string) string {
	at, err := netip.ParseAddrPort(addr)
	if err != nil || !at.Addr().IsUnspecified() {
		return addr
	}
	return net.JoinHostPort("localhost", strconv.Itoa(int(at.Port())))
}

// Close stops serving, for every provider of the world, lets deliveries in
// progress end, and waits for all of it. It may be called more than once.
func (p *Provider) Close() error { return p.close() }

// WorldName returns the name of the world, which every row of its store has.
func (w *World) WorldName() string { return w.name }

// Domain returns the domain of the provider's accounts.
func (p *Provider) Domain() string { return p.domain }

// Clock returns the provider's clock. To move it, call Advance: that also does
// what falls due.
func (w *World) Clock() *Clock { return w.clock }

// Zone returns the zone that the provider's look-ups are answered from.
func (w *World) Zone() *dnszone.Zone { return w.zone }

// Store returns the store that keeps the provider's mail.
func (w *World) Store() mailbox.Store { return w.store }

// Keys returns the keys that sign the provider's tokens.
func (p *Provider) Keys() *keys.Set { return p.keys }

// CA returns the authority of the provider's certificates.
func (w *World) CA() *keys.CA { return w.ca }

func cutLast(s string, b byte) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, b)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// Register adds a registration.
func (w *World) Register(r policy.Registration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	// A new slice: judgements under way keep the one they have.
	w.registry = append(slices.Clone(w.registry), r)
}

// Registry returns the registrations.
func (w *World) Registry() policy.Registry {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.registry
}

// Enforce says whether verdicts are answered on the wire.
func (w *World) Enforce(yes bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.enforce = yes
}

// Enforces says whether verdicts are answered on the wire.
func (w *World) Enforces() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.enforce
}

// Require says what the domains of the world's providers ask of who delivers to
// them.
func (w *World) Require(in policy.Inbound) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inbound = in
}

// Requires returns what was required last.
func (w *World) Requires() policy.Inbound {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.inbound
}

// inboundFor is what is asked of a peer: nothing of the world's own providers,
// which forward mail to each other.
func (w *World) inboundFor(peer netip.Addr) policy.Inbound {
	for _, p := range w.Providers() {
		if peer.Unmap() == p.outgoingAddress() {
			return policy.Inbound{}
		}
	}
	return w.Requires()
}

// mappedBits are those before the IPv4 address in one of IPv6.
const mappedBits = 96

// ParseNetwork reads a network, or a single address.
func ParseNetwork(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		addr = addr.Unmap().WithZone("")
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err == nil && p.Addr().Is4In6() && p.Bits() >= mappedBits {
		// IPv4 in the form of IPv6 (RFC 4291 2.5.5.2).
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mappedBits), nil
	}
	return p, err
}

// MapPeer lets connections from one address count as from another.
func (w *World) MapPeer(from, as netip.Addr) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.peers[from] = as.Unmap()
}

// NamePeer publishes a name for an address, in both directions.
func (w *World) NamePeer(addr netip.Addr, name string) error {
	return errors.Join(w.zone.AddPTR(addr, name), w.zone.AddA(name, addr))
}

// announce tells whoever asked of stored messages, and, once, that the store
// has begun to forget.
func (w *World) announce(ctx context.Context, rows []mailbox.Message) {
	if !w.full.Load() {
		if n, err := w.store.Evicted(ctx, w.name); err == nil && n > 0 && !w.full.Swap(true) {
			w.log.Warn("the store is full: from now on the oldest message is forgotten for each new one")
		}
	}
	if w.onMessage == nil {
		return
	}
	w.told.Lock()
	defer w.told.Unlock()
	for _, row := range rows {
		// As it was stored, with its place among all messages. One that was
		// forgotten meanwhile is told of as it came.
		if stored, err := w.store.Message(ctx, w.name, row.ID); err == nil {
			row = stored
		}
		w.onMessage(row)
	}
}
