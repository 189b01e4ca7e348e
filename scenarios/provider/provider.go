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
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/doppelbox/doppelbox/dispatcher"
	"github.com/doppelbox/doppelbox/keys"
	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/dnszone"
	"github.com/doppelbox/doppelbox/receiver/mailauth"
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
	// Enforce answers the verdict on the wire. Otherwise whatever an account
	// may get is accepted, and the verdict says what would have been answered.
	Enforce bool
	// OnMessage and OnAttempt are told of what has been stored, if set. They
	// are called one after the other and must not call the provider.
	OnMessage func(mailbox.Message)
	OnAttempt func(mailbox.Click, mailbox.Attempt)
}

// Provider is one running provider. It is safe for concurrent use. The caller
// must call Close.
type Provider struct {
	world, domain string
	clock         *Clock
	log           *slog.Logger
	store         mailbox.Store
	zone          *dnszone.Zone
	resolver      *dnszone.Resolver
	dkimKeys      *mailauth.KeyCache
	smtp          *smtpserver.Server
	keys          *keys.Set
	ca            *keys.CA
	http          *http.Server
	services      *services
	guard         *dispatcher.Guard
	dispatch      atomic.Pointer[dispatcher.Dispatcher] // Nil before the first request.
	making        sync.Mutex                            // Held while dispatch is made.
	roots         func() (*x509.CertPool, error)
	onMessage     func(mailbox.Message)
	onAttempt     func(mailbox.Click, mailbox.Attempt)
	proxyFrom     []netip.Prefix

	ids     atomic.Int64
	full    atomic.Bool // The store has begun to forget, and that was said.
	told    sync.Mutex  // Held while OnMessage or OnAttempt runs.
	clicks  sync.Mutex  // Held from the decision on a click until it is stored.
	owned   sync.WaitGroup
	ctx     context.Context // Ends with Close.
	stop    context.CancelFunc
	closing sync.Once

	mu       sync.Mutex // Guards what follows.
	accounts map[string]policy.Account
	registry policy.Registry
	peers    map[netip.Addr]netip.Addr
	dials    policy.Dials
	enforce  bool
	pending  map[string]mailbox.Click // By request id, which is the click's.
}

// New makes a provider. It listens nowhere until it is told to serve.
func New(o Options) (*Provider, error) {
	p := &Provider{
		world: cmp.Or(o.World, DefaultWorld), domain: strings.ToLower(cmp.Or(o.Domain, DefaultDomain)),
		clock: o.Clock, log: o.Logger, store: o.Store, zone: dnszone.New(), roots: o.Roots,
		onMessage: o.OnMessage, onAttempt: o.OnAttempt, enforce: o.Enforce, proxyFrom: o.ProxyFrom,
		accounts: map[string]policy.Account{}, peers: map[netip.Addr]netip.Addr{}, dials: policy.Dials{},
		pending: map[string]mailbox.Click{}, dkimKeys: mailauth.NewKeyCache(),
	}
	if p.clock == nil {
		p.clock = RunningClock(time.Now)
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	if p.store == nil {
		p.store = mailbox.NewMemory(mailbox.Limits{})
	}
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.resolver = dnszone.NewResolver(p.zone, dnszone.Options{Upstream: o.Upstream, Delay: waitOn(p.clock), Now: p.clock.Now})
	var err error
	if p.ca, err = keys.NewCA(keys.CAOptions{}); err != nil {
		return nil, err
	}
	if p.keys, err = keys.New(keys.Options{Now: p.clock.Now}); err != nil {
		return nil, err
	}
	if p.services, err = newServices(p.ca, p.clock.Now); err != nil {
		return nil, err
	}
	if err := p.newSMTP(); err != nil {
		return nil, errors.Join(err, p.services.close())
	}
	p.guard = dispatcher.NewGuard(dispatcher.GuardOptions{Resolve: p.lookup, RoutedOnly: o.RoutedOnly})
	p.http = &http.Server{Handler: p.keys.Handler(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelDebug)}
	return p, nil
}

func (p *Provider) newSMTP() error {
	config, err := p.ca.TLSConfig("mx."+p.domain, "localhost", "127.0.0.1", "::1")
	if err != nil {
		return err
	}
	// A pipe has no buffer for the tickets that a server writes unasked.
	config.SessionTicketsDisabled = true
	p.smtp, err = smtpserver.New(smtpserver.Options{
		Backend: intake{p}, Hostname: "mx." + p.domain, TLSConfig: config, Logger: p.log, Now: p.clock.Now,
		PeerAs: p.peerAs, ProxyFrom: p.proxyFrom,
		BareLineEnds: func() smtpserver.BareLineEnds {
			return smtpserver.BareLineEnds(p.dialsSet().Get(policy.DialBareLineEnds))
		},
	})
	return err
}

// ServeSMTP accepts mail on l until the provider is closed.
func (p *Provider) ServeSMTP(l net.Listener) {
	p.owned.Go(func() {
		if err := p.smtp.Serve(l); err != nil {
			p.log.Error("serving SMTP", slog.Any("error", err))
		}
	})
}

// certificateHosts are the names under which the certificates are served:
// those of the real ones (gmail-actions.md 3.4), and those of this machine.
var certificateHosts = []string{"localhost", "127.0.0.1", "::1", "www.googleapis.com", "accounts.google.com", "oauth2.googleapis.com"}

// ServeCertificates publishes the keys over HTTPS on l until the provider is
// closed.
func (p *Provider) ServeCertificates(l net.Listener) error {
	config, err := p.ca.TLSConfig(certificateHosts...)
	if err != nil {
		return err
	}
	server := p.http
	server.TLSConfig = config
	p.owned.Go(func() {
		if err := server.ServeTLS(l, "", ""); err != nil && !errors.Is(err, http.ErrServerClosed) {
			p.log.Error("serving certificates", slog.Any("error", err))
		}
	})
	return nil
}

// Close stops serving, lets deliveries in progress end, and waits for all of
// it. It may be called more than once.
func (p *Provider) Close() error {
	var err error
	p.closing.Do(func() {
		p.stop()
		err = errors.Join(p.smtp.Close(), p.http.Close(), p.services.close())
		p.owned.Wait()
	})
	return err
}

// World returns the name of the provider's world.
func (p *Provider) World() string { return p.world }

// Domain returns the domain of the provider's accounts.
func (p *Provider) Domain() string { return p.domain }

// Clock returns the provider's clock. To move it, call Advance: that also does
// what falls due.
func (p *Provider) Clock() *Clock { return p.clock }

// Zone returns the zone that the provider's look-ups are answered from.
func (p *Provider) Zone() *dnszone.Zone { return p.zone }

// Store returns the store that keeps the provider's mail.
func (p *Provider) Store() mailbox.Store { return p.store }

// Keys returns the keys that sign the provider's tokens.
func (p *Provider) Keys() *keys.Set { return p.keys }

// CA returns the authority of the provider's certificates.
func (p *Provider) CA() *keys.CA { return p.ca }

// AddAccount makes an account. Its domain must be the provider's.
func (p *Provider) AddAccount(address string) error {
	local, domain, ok := cutLast(address, '@')
	if !ok || local == "" {
		return fmt.Errorf("account %q has no local part and domain", address)
	}
	if !strings.EqualFold(domain, p.domain) {
		return fmt.Errorf("account %q is not of the provider's domain %s", address, p.domain)
	}
	local = strings.ToLower(local)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.accounts[local] = policy.Account{Address: local + "@" + p.domain}
	return nil
}

func cutLast(s string, b byte) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, b)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// Accounts returns the addresses of all accounts, sorted.
func (p *Provider) Accounts() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]string, 0, len(p.accounts))
	for _, a := range p.accounts {
		list = append(list, a.Address)
	}
	slices.Sort(list)
	return list
}

// Register adds a registration.
func (p *Provider) Register(r policy.Registration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// A new slice: judgements under way keep the one they have.
	p.registry = append(slices.Clone(p.registry), r)
}

// Registry returns the registrations.
func (p *Provider) Registry() policy.Registry {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.registry
}

// SetDial sets a dial. The error of an unknown one is policy.UnknownDialError.
func (p *Provider) SetDial(name, value string) error {
	id, value, err := policy.ParseDial(name, value)
	if err != nil {
		return err
	}
	p.mu.Lock()
	dials := make(policy.Dials, len(p.dials)+1)
	for k, v := range p.dials {
		dials[k] = v
	}
	dials[id] = value
	p.dials = dials
	p.mu.Unlock()
	return nil
}

// dialsSet returns the dials that were set. It must not be changed.
func (p *Provider) dialsSet() policy.Dials {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dials
}

// Enforce says whether verdicts are answered on the wire.
func (p *Provider) Enforce(yes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.enforce = yes
}

// Enforces says whether verdicts are answered on the wire.
func (p *Provider) Enforces() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.enforce
}

// ParseNetwork reads a network, or a single address.
func ParseNetwork(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	return netip.ParsePrefix(text)
}

// MapPeer lets connections from one address count as from another.
func (p *Provider) MapPeer(from, as netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.peers[from] = as
}

// NamePeer publishes a name for an address, in both directions.
func (p *Provider) NamePeer(addr netip.Addr, name string) error {
	return errors.Join(p.zone.AddPTR(addr, name), p.zone.AddA(name, addr))
}

// announce tells whoever asked of stored messages, and, once, that the store
// has begun to forget.
func (p *Provider) announce(ctx context.Context, rows []mailbox.Message) {
	if !p.full.Load() {
		if n, err := p.store.Evicted(ctx, p.world); err == nil && n > 0 && !p.full.Swap(true) {
			p.log.Warn("the store is full: from now on the oldest message is forgotten for each new one")
		}
	}
	if p.onMessage == nil {
		return
	}
	p.told.Lock()
	defer p.told.Unlock()
	for _, row := range rows {
		// As it was stored, with its place among all messages. One that was
		// forgotten meanwhile is told of as it came.
		if stored, err := p.store.Message(ctx, p.world, row.ID); err == nil {
			row = stored
		}
		p.onMessage(row)
	}
}
