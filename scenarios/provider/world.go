package provider

import (
	"cmp"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/doppelbox/doppelbox/dispatcher"
	"github.com/doppelbox/doppelbox/keys"
	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/policy/registry"
	"github.com/doppelbox/doppelbox/receiver/dnszone"
	"github.com/doppelbox/doppelbox/receiver/mailaccess"
	"github.com/doppelbox/doppelbox/receiver/mailauth"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
)

// World is what the providers of one world share: all but their domain, their
// SMTP server and their keys.
type World struct {
	name      string
	clock     *Clock
	log       *slog.Logger
	store     mailbox.Store
	zone      *dnszone.Zone
	resolver  *dnszone.Resolver
	dkimKeys  *mailauth.KeyCache
	ca        *keys.CA
	services  *services
	guard     *dispatcher.Guard
	dispatch  atomic.Pointer[dispatcher.Dispatcher] // Nil before the first request.
	making    sync.Mutex                            // Held while dispatch is made.
	roots     func() (*x509.CertPool, error)
	trusting  sync.Mutex     // Guards trust.
	trust     *x509.CertPool // What roots returned, and the world's own; nil before it is needed.
	sts       stsPolicies
	onMessage func(mailbox.Message)
	onAttempt func(mailbox.Click, mailbox.Attempt)
	proxyFrom []netip.Prefix
	agenda    *agenda
	givenKey  crypto.Signer
	blocks    blocks
	accesses  accesses
	changes   *mailaccess.Changes // Nil: mailboxes are read-only for programs.
	stranger  stranger
	tokens    tokens // Those that the dial token.reuse has kept.
	volume    volume
	orders    orders
	probing   chan struct{} // Holds a token while a probe runs.

	ids       atomic.Int64
	full      atomic.Bool // The store has begun to forget, and that was said.
	told      sync.Mutex  // Held while OnMessage or OnAttempt runs.
	dialing   sync.Mutex  // Held while a dial is set, or keys are made that live by dials.
	moving    sync.Mutex  // Held while a standing clock is moved on.
	clicks    sync.Mutex  // Held from the decision on a click until it is stored.
	owned     sync.WaitGroup
	beginning sync.Mutex // Guards ended: nothing is added to owned once it is set.
	ended     bool
	ctx       context.Context // Ends with close.
	stop      context.CancelFunc
	closing   sync.Once

	mu        sync.Mutex           // Guards what follows.
	providers []*Provider          // The first one first.
	byDomain  map[string]*Provider // The same.
	accounts  map[string]*account  // By address.
	sources   map[string]*source   // By the address elsewhere.
	sinks     map[string]*sink     // By domain.
	registry  policy.Registry
	peers     map[netip.Addr]netip.Addr
	dials     policy.Dials
	enforce   bool
	inbound   policy.Inbound
	pending   map[string]mailbox.Click // By request id, which is the click's.
	proxies   []*keys.Proxy
}

func newWorld(o Options) (*World, error) {
	w := &World{
		name: cmp.Or(o.World, DefaultWorld), clock: o.Clock, log: o.Logger, store: o.Store, zone: dnszone.New(), roots: o.Roots,
		onMessage: o.OnMessage, onAttempt: o.OnAttempt, enforce: o.Enforce, proxyFrom: o.ProxyFrom,
		byDomain: map[string]*Provider{}, accounts: map[string]*account{}, sources: map[string]*source{}, sinks: map[string]*sink{}, peers: map[netip.Addr]netip.Addr{}, dials: policy.Dials{},
		pending: map[string]mailbox.Click{}, dkimKeys: mailauth.NewKeyCache(), volume: newVolume(),
		probing: make(chan struct{}, 1),
	}
	if w.clock == nil {
		w.clock = RunningClock(time.Now)
	}
	w.sts.known = map[string]stsPolicy{}
	w.agenda, w.givenKey = newAgenda(w.clock, o.Passive), o.MailKey
	if o.Writable {
		w.changes = mailaccess.NewChanges()
	}
	if w.log == nil {
		w.log = slog.New(slog.DiscardHandler)
	}
	if w.store == nil {
		w.store = mailbox.NewMemory(mailbox.Limits{})
	}
	w.ctx, w.stop = context.WithCancel(context.Background())
	w.resolver = dnszone.NewResolver(w.zone, dnszone.Options{Upstream: o.Upstream, Delay: waitOn(w.clock), Now: w.clock.Now})
	w.guard = dispatcher.NewGuard(dispatcher.GuardOptions{Resolve: w.lookup, RoutedOnly: o.RoutedOnly})
	var err error
	if w.ca, err = keys.NewCA(keys.CAOptions{}); err != nil {
		return nil, err
	}
	if w.services, err = newServices(w.ca, w.clock.Now); err != nil {
		return nil, err
	}
	return w, nil
}

// addProvider makes a provider of the world. Its keys are made when they are
// first needed.
func (w *World) addProvider(domain string, o keys.Options) (*Provider, error) {
	domain, err := registry.ParseDomain(domain)
	if err != nil {
		return nil, fmt.Errorf("provider: %w", err)
	}
	p := &Provider{World: w, domain: domain}
	w.dialing.Lock()
	defer w.dialing.Unlock()
	if p.keys, err = w.newKeys(o); err != nil {
		return nil, err
	}
	if err := p.newSMTP(); err != nil {
		return nil, err
	}
	p.http = &http.Server{Handler: p.keys.HostHandler(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(w.log.Handler(), slog.LevelDebug)}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byDomain[p.domain] != nil {
		return nil, errors.Join(errors.New("the world has a provider "+p.domain+" already"), p.smtp.Close())
	}
	p.place = len(w.providers)
	w.providers, w.byDomain[p.domain] = append(w.providers, p), p
	return p, nil
}

// Provider returns the world's provider of a domain.
func (w *World) Provider(domain string) (*Provider, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, ok := w.byDomain[message.DomainOf("@"+domain)]
	return p, ok
}

// Providers returns the world's providers, the first one first.
func (w *World) Providers() []*Provider {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]*Provider(nil), w.providers...)
}

// of returns the provider of an account, whose domain must be one's.
func (w *World) of(account string) *Provider {
	_, domain, _ := cutLast(account, '@')
	p, _ := w.Provider(domain)
	return p
}

// ErrClosed is the error of what is asked of a world that has been closed.
var ErrClosed = errors.New("the provider has been closed")

// begin does something in a goroutine that close waits for; false if the world
// is closing, and nothing begins any more.
func (w *World) begin(do func()) bool {
	w.beginning.Lock()
	defer w.beginning.Unlock()
	if w.ended {
		return false
	}
	w.owned.Go(do)
	return true
}

func (w *World) close() error {
	var err error
	w.closing.Do(func() {
		w.beginning.Lock()
		w.ended = true
		w.beginning.Unlock()
		w.stop()
		for _, p := range w.Providers() {
			err = errors.Join(err, p.smtp.Close(), p.http.Close(), p.closeAccess())
		}
		for _, s := range w.allSinks() {
			err = errors.Join(err, s.close())
		}
		for _, proxy := range w.allProxies() {
			err = errors.Join(err, proxy.Close())
		}
		err = errors.Join(err, w.services.close())
		w.owned.Wait()
		if d := w.dispatch.Load(); d != nil {
			d.Close()
		}
	})
	return err
}
