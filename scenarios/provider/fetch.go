package provider

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/receiver/popfetch"
)

// ErrNoSource is the error of fetching from an address that is not among the
// settings of the account.
var ErrNoSource = errors.New("the account does not fetch from that address")

// POPSource says how the mailbox of an address elsewhere is fetched from by POP.
type POPSource struct {
	popfetch.Source
	// Addr is the host and port to connect to; empty is a mailbox within the
	// process, which AddRemoteMail fills.
	Addr string
	// Fail spoils the mailbox within the process; empty is not at all.
	Fail RemoteFailure
}

// source is a POPSource and, if it is within the process, its mail.
type source struct {
	POPSource
	box  *remoteBox
	turn chan struct{} // Has room for one: who fetches from it now.
}

// Fetched is what came of fetching from a source.
type Fetched struct {
	popfetch.Result
	Messages []mailbox.Message // Those that were stored.
}

// SetPOPSource says how an address elsewhere is fetched from. What is left empty
// is that of a mailbox within the process.
func (w *World) SetPOPSource(s POPSource) error {
	_, err := w.setSource(s, true)
	return err
}

// setSource sets a source, unless there is one that is not to be replaced, and
// returns the one that holds.
func (w *World) setSource(s POPSource, replace bool) (*source, error) {
	s.Address = normal(s.Address)
	_, domain, ok := cutLast(s.Address, '@')
	if !ok {
		return nil, fmt.Errorf("mailbox %q has no local part and domain", s.Address)
	}
	s.Login, s.TLS = cmp.Or(s.Login, s.Address), cmp.Or(s.TLS, popfetch.TLSImplicit)
	s.Host = cmp.Or(s.Host, "pop."+domain)
	if s.Port == 0 {
		s.Port = 995
		if s.TLS != popfetch.TLSImplicit {
			s.Port = 110
		}
	}
	made := &source{POPSource: s, turn: make(chan struct{}, 1)}
	w.mu.Lock()
	defer w.mu.Unlock()
	if old := w.sources[s.Address]; old != nil {
		if !replace {
			return old, nil
		}
		// The mail stays, whatever becomes of the settings, and so does the order.
		made.box, made.turn = old.box, old.turn
	}
	if s.Addr == "" {
		if made.box == nil {
			made.box = &remoteBox{}
		}
		made.box.set(cmp.Or(s.Password, builtinPassword), s.Fail)
		made.Password = cmp.Or(s.Password, builtinPassword)
	}
	w.sources[s.Address] = made
	return made, nil
}

// builtinPassword is that of mailboxes within the process that were given none.
const builtinPassword = "builtin"

// source returns how an address elsewhere is fetched from: from a mailbox within
// the process, unless somebody has said otherwise.
func (w *World) source(address string) (*source, error) {
	return w.setSource(POPSource{Source: popfetch.Source{Address: address, Keep: true}}, false)
}

// Fetch fetches the mail of an address elsewhere into an account, now.
func (w *World) Fetch(ctx context.Context, account, address string) (Fetched, error) {
	address = normal(address)
	w.mu.Lock()
	a, err := w.named(account)
	known := err == nil && slices.Contains(a.POPFrom, address)
	w.mu.Unlock()
	if err != nil {
		return Fetched{}, err
	}
	if !known {
		return Fetched{}, fmt.Errorf("fetching from %s into %s: %w", address, account, ErrNoSource)
	}
	got, err := w.fetch(ctx, a.Address, address)
	if err != nil {
		return got, err
	}
	return got, w.settle(ctx)
}

// fetchTime bounds one fetch, in real time. What it leaves comes with the next
// one.
const fetchTime = 10 * time.Minute

// fetch fetches once. No two fetches from a source run at a time: the second
// would fetch what the first is about to store.
func (w *World) fetch(ctx context.Context, account, address string) (Fetched, error) {
	s, err := w.source(address)
	if err != nil {
		return Fetched{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	defer context.AfterFunc(w.ctx, cancel)()
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return Fetched{}, context.Cause(ctx)
	}
	into := &fetchSink{w: w, p: w.of(account), account: account, source: address}
	result, err := popfetch.Fetch(ctx, s.Source, into, popfetch.Options{Dial: w.popDial(s), TLSConfig: w.popTLS(s), Logger: w.log})
	return Fetched{Result: result, Messages: into.stored}, err
}

// popDial connects to a source: within the process, or to its address.
func (w *World) popDial(s *source) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		if s.Addr != "" {
			return new(net.Dialer).DialContext(ctx, network, s.Addr)
		}
		client, server := net.Pipe()
		conn := net.Conn(&pipeConn{Conn: server, peer: peerAddr(netip.IPv6Loopback())})
		if s.TLS == popfetch.TLSImplicit {
			config, err := w.ca.TLSConfig(s.Host)
			if err != nil {
				return nil, err
			}
			config.SessionTicketsDisabled = true
			conn = tls.Server(conn, config)
		}
		end := &remoteConn{Conn: conn}
		pop, err := w.remoteServer(s, end)
		if err != nil {
			return nil, errors.Join(err, client.Close(), server.Close())
		}
		if !w.begin(func() {
			pop.ServeConn(end)
			_ = pop.Close() // It serves this one connection.
		}) {
			return nil, errors.Join(ErrClosed, client.Close(), server.Close())
		}
		return &pipeConn{Conn: client, peer: pipeAddr("in-process")}, nil
	}
}

// popTLS is how a source's server is verified: one within the process by the
// provider's own authority, one outside by that, too, and by those trusted for
// requests.
func (w *World) popTLS(s *source) *tls.Config {
	config := w.clientTLS(s.Host)
	if s.Addr == "" || w.roots == nil {
		return config
	}
	roots, err := w.roots()
	if err != nil {
		w.log.Error("reading trusted authorities", slog.Any("error", err))
		return config
	}
	config.RootCAs = roots.Clone()
	config.RootCAs.AppendCertsFromPEM(w.ca.PEM())
	return config
}

// schedule puts the fetches from a source on the agenda. The first one is not
// at once: what the user is about to say of the source has to be said first.
func (w *World) schedule(account, address string) {
	plan, lane := w.plan(popfetch.Schedule{}), "pop "+address
	var poll func(ctx context.Context)
	poll = func(ctx context.Context) {
		got, err := w.fetch(ctx, account, address)
		if err != nil && ctx.Err() == nil {
			w.log.Warn("fetching mail", slog.String("account", account), slog.String("source", address), slog.Any("error", err))
		}
		plan = w.plan(plan)
		w.agenda.add(w, lane, plan.Next(w.clock.Now(), got.Fetched > 0), poll)
	}
	w.agenda.add(w, lane, w.clock.Now().Add(cmp.Or(plan.Shortest, popfetch.Shortest)), poll)
}

// minInterval bounds pop.interval: a clock that is moved on stops at each fetch.
const minInterval = time.Second

// plan gives a schedule the bounds that the dial has now.
func (w *World) plan(s popfetch.Schedule) popfetch.Schedule {
	if bounds := w.dialsSet().Durations(policy.DialFetchInterval); len(bounds) > 0 {
		s.Shortest, s.Longest = max(bounds[0], minInterval), bounds[len(bounds)-1]
	}
	return s
}

// fetchSink stores what is fetched into one account.
type fetchSink struct {
	w               *World
	p               *Provider
	account, source string
	stored          []mailbox.Message
}

// Seen implements popfetch.Sink.
func (s *fetchSink) Seen(ctx context.Context, uids []string) (map[string]bool, error) {
	return s.w.store.Fetched(ctx, s.w.name, s.account, s.source, uids)
}

// Store implements popfetch.Sink: it judges the message as one by SMTP is, and
// stores it with its UID.
func (s *fetchSink) Store(ctx context.Context, f policy.Fetch, raw []byte) error {
	arrival := policy.Arrival{Channel: policy.ChannelPOP, Fetch: &f}
	// What is fetched counts as nobody's sending.
	rows := s.p.judge(ctx, arrival, []string{s.account}, raw, func([]mailbox.Message) {})
	if ctx.Err() != nil {
		// What was cut short must not stand as the verdict: it is fetched again.
		return context.Cause(ctx)
	}
	if err := s.w.store.Put(ctx, rows...); err != nil {
		return err
	}
	s.p.signatures.remember(rows, s.w.clock.Now())
	s.w.announce(ctx, rows)
	s.w.forwardLater(ctx, rows[0])
	s.stored = append(s.stored, rows[0])
	return nil
}
