package provider

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/dispatcher"
	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
)

// FindAction returns the index of the action that a button names: by its
// label or, in digits, by its index. The error lists the labels there are.
func FindAction(m mailbox.Message, button string) (int, error) {
	actions := m.Evidence.Markup.Actions
	var found, labels []string
	index := 0
	for _, a := range actions {
		labels = append(labels, strconv.Quote(a.Name))
		if a.Name == button {
			found = append(found, strconv.Itoa(a.Index))
			index = a.Index
		}
	}
	switch len(found) {
	case 1:
		return index, nil
	case 0:
		if n, err := strconv.Atoi(button); err == nil && n >= 0 && n < len(actions) {
			return n, nil
		}
		if len(actions) == 0 {
			return 0, fmt.Errorf("there is no button %q: the message has no action", button)
		}
		return 0, fmt.Errorf("there is no button %q; there are %s", button, strings.Join(labels, ", "))
	}
	return 0, fmt.Errorf("there are %d buttons %q: name one by its index, %s", len(found), button, strings.Join(found, " or "))
}

// Click presses the button of an action, and makes the request that it leads
// to: when it returns, the first attempt has been made and recorded.
func (w *World) Click(ctx context.Context, messageID string, action int) (mailbox.Click, error) {
	return w.ClickAs(ctx, policy.PersonaProvider, messageID, action)
}

// ClickAs is Click in another program than the provider's: its request never
// carries the provider's token.
func (w *World) ClickAs(ctx context.Context, who policy.Persona, messageID string, action int) (mailbox.Click, error) {
	return w.press(ctx, press{messageID, action, who}, policy.DecideClick)
}

// Unsubscribe uses one-click unsubscription, likewise (RFC 8058).
func (w *World) Unsubscribe(ctx context.Context, messageID string) (mailbox.Click, error) {
	return w.press(ctx, press{messageID, mailbox.ActionUnsubscribe, policy.PersonaProvider}, policy.DecideUnsubscribe)
}

// press is one press of a button.
type press struct {
	message string
	action  int
	by      policy.Persona
}

func (w *World) press(ctx context.Context, b press, decide func(policy.ClickEvidence, policy.Registry) policy.ClickVerdict) (mailbox.Click, error) {
	click, err := w.decideClick(ctx, b, decide)
	if err != nil || click.State != mailbox.ClickPending {
		return click, err
	}
	if err := w.wait(ctx, func() error { return w.firstAttempt(click) }); err != nil {
		return click, err
	}
	return w.clickNow(ctx, click)
}

// decideClick judges a click, stores it and hands its request over. No other
// click is judged meanwhile, or two could each be the first.
func (w *World) decideClick(ctx context.Context, b press, decide func(policy.ClickEvidence, policy.Registry) policy.ClickVerdict) (mailbox.Click, error) {
	w.clicks.Lock()
	defer w.clicks.Unlock()
	m, err := w.store.Message(ctx, w.name, b.message)
	if err != nil {
		return mailbox.Click{}, fmt.Errorf("looking up message %q: %w", b.message, err)
	}
	at := w.clock.Now()
	verdict, err := w.judgeClick(ctx, m, b, at, decide)
	if err != nil {
		return mailbox.Click{}, err
	}
	click := mailbox.Click{
		World: w.name, ID: w.nextID("c"), MessageID: b.message, Action: b.action, Persona: b.by, At: at,
		Verdict: verdict, State: mailbox.ClickRefused,
	}
	switch click.Verdict.Answer {
	case policy.ClickOpen:
		click.State = mailbox.ClickOpened
	case policy.ClickFire:
		click.State = mailbox.ClickPending
	}
	if err := w.store.PutClick(ctx, click); err != nil {
		return mailbox.Click{}, fmt.Errorf("storing a click: %w", err)
	}
	if click.State != mailbox.ClickPending {
		return click, nil
	}
	if err := w.submit(w.of(m.Account), click); err != nil {
		// Nothing will ever be heard of it: a pending click would hold up
		// every later one.
		w.recordDone(dispatcher.Result{RequestID: click.ID, Outcome: dispatcher.OutcomeFailed})
		return click, err
	}
	return click, nil
}

// judgeClick judges a press of a button of a message at a moment.
func (w *World) judgeClick(ctx context.Context, m mailbox.Message, b press, at time.Time, decide func(policy.ClickEvidence, policy.Registry) policy.ClickVerdict) (policy.ClickVerdict, error) {
	earlier, err := w.store.Clicks(ctx, w.name, m.ID)
	if err != nil {
		return policy.ClickVerdict{}, fmt.Errorf("looking up clicks on %q: %w", m.ID, err)
	}
	evidence := policy.ClickEvidence{Message: m.Evidence, Action: b.action, Persona: b.by, At: at}
	// Dials are read when they matter: those of the request, at the click.
	evidence.Message.Dials = w.dialsSet()
	for _, c := range earlier {
		if c.Action == b.action && c.Persona == b.by {
			evidence.Earlier = appendEarlier(evidence.Earlier, c.State)
		}
	}
	return decide(evidence, w.Registry()), nil
}

// appendEarlier adds the end of an earlier click, if it had one that counts.
func appendEarlier(list []policy.EarlierClick, s mailbox.ClickState) []policy.EarlierClick {
	switch s {
	case mailbox.ClickPending:
		return append(list, policy.EarlierPending)
	case mailbox.ClickSucceeded:
		return append(list, policy.EarlierSucceeded)
	case mailbox.ClickFailed:
		return append(list, policy.EarlierFailed)
	case mailbox.ClickWithheld:
		return append(list, policy.EarlierWithheld)
	}
	return list
}

// clickNow returns a click as it stands now.
func (w *World) clickNow(ctx context.Context, click mailbox.Click) (mailbox.Click, error) {
	list, err := w.store.Clicks(ctx, w.name, click.MessageID)
	if err != nil {
		return click, err
	}
	if i := slices.IndexFunc(list, func(c mailbox.Click) bool { return c.ID == click.ID }); i >= 0 {
		return list[i], nil
	}
	return click, mailbox.ErrNotFound
}

// submit hands the request of a click in one of p's accounts to the dispatcher.
func (w *World) submit(p *Provider, click mailbox.Click) error {
	w.mu.Lock()
	w.pending[click.ID] = click
	w.mu.Unlock()
	d, err := w.dispatching()
	if err != nil {
		return err
	}
	if _, err := d.Submit(w.requestOf(p, click)); err != nil {
		return fmt.Errorf("submitting the request of a click: %w", err)
	}
	return nil
}

// dispatching returns the dispatcher. It is made at the first request, because
// reading the machine's trusted authorities takes longer than everything else
// at the start.
func (w *World) dispatching() (*dispatcher.Dispatcher, error) {
	w.making.Lock()
	defer w.making.Unlock()
	if d := w.dispatch.Load(); d != nil {
		return d, nil
	}
	roots, err := w.trusted()
	if err != nil {
		return nil, err
	}
	d, err := dispatcher.New(dispatcher.Options{
		Now: w.clock.Now, Guard: w.guard, RootCAs: roots, Logger: w.log,
		Sequential: !w.clock.Runs(), // What is due together is recorded in one order.
		OnAttempt:  w.recordAttempt, OnDone: w.recordDone,
	})
	if err != nil {
		return nil, err
	}
	w.dispatch.Store(d)
	if w.clock.Runs() {
		w.begin(func() {
			// It ends with the provider's context, and has no other error.
			_ = d.Run(w.ctx)
		})
	}
	return d, nil
}

// trusted returns the authorities that are trusted at services and at servers
// outside of the process. They are read when they are first needed.
func (w *World) trusted() (*x509.CertPool, error) {
	w.trusting.Lock()
	defer w.trusting.Unlock()
	if w.trust != nil {
		return w.trust, nil
	}
	roots := x509.NewCertPool()
	if w.roots != nil {
		others, err := w.roots()
		if err != nil {
			return nil, err
		}
		roots = others.Clone()
	}
	roots.AppendCertsFromPEM(w.ca.PEM())
	w.trust = roots
	return roots, nil
}

// recordAttempt stores an attempt beside its click.
func (w *World) recordAttempt(a dispatcher.Attempt) {
	w.mu.Lock()
	click, ok := w.pending[a.RequestID]
	w.mu.Unlock()
	if !ok {
		return
	}
	w.storeAttempt(click, a)
}

// storeAttempt stores an attempt at the request of a click, and tells of it.
func (w *World) storeAttempt(click mailbox.Click, a dispatcher.Attempt) {
	row := mailbox.Attempt{
		World: w.name, ID: a.ID, ClickID: click.ID, N: a.N, At: a.At,
		Method: a.Method, URL: a.URL,
		Sent: a.Sent, Addr: a.Addr, Status: a.Status, Body: a.Body, BodyTruncated: a.BodyTruncated,
		Took: a.Took, Error: errorOf(click, a), Reason: string(a.Reason), Outcome: string(a.Outcome),
		TLSVersion: a.TLSVersion, Proto: a.Proto, Due: a.Due, Exhausted: a.Exhausted,
	}
	if a.Outcome == dispatcher.OutcomeCutOff {
		row.Due = time.Time{} // It ends with the world, and nobody makes another.
	}
	for _, t := range a.Tried {
		row.Tried = append(row.Tried, mailbox.Tried(t))
	}
	for _, h := range a.Hops {
		row.Hops = append(row.Hops, mailbox.Hop{Method: h.Method, URL: h.URL, Sent: h.Sent, Addr: h.Addr, Status: h.Status, Location: h.Location})
	}
	for _, f := range a.Header {
		row.Header = append(row.Header, mailbox.Field(f))
	}
	// The record is made whatever becomes of the caller.
	if err := w.store.PutAttempt(context.WithoutCancel(w.ctx), row); err != nil && !errors.Is(err, mailbox.ErrNotFound) {
		w.log.Error("storing an attempt", slog.Any("error", err))
	}
	if w.onAttempt != nil {
		w.told.Lock()
		defer w.told.Unlock()
		w.onAttempt(click, row)
	}
}

// recordDone stores how a click's request ended.
func (w *World) recordDone(r dispatcher.Result) {
	w.mu.Lock()
	click, ok := w.pending[r.RequestID]
	delete(w.pending, r.RequestID)
	w.mu.Unlock()
	if !ok {
		return
	}
	click.EndReason = string(r.Reason)
	switch r.Outcome {
	case dispatcher.OutcomeSucceeded:
		click.State = mailbox.ClickSucceeded
	case dispatcher.OutcomeWithheld:
		click.State = mailbox.ClickWithheld
	default:
		click.State = mailbox.ClickFailed
	}
	if click.Action == mailbox.ActionUnsubscribe {
		click.Answered = w.judgeAnswer(click)
	}
	// A message that was evicted meanwhile has taken its clicks along.
	if err := w.store.UpdateClick(context.WithoutCancel(w.ctx), click); err != nil && !errors.Is(err, mailbox.ErrNotFound) {
		w.log.Error("storing the end of a click", slog.Any("error", err))
	}
}

// judgeAnswer judges the last attempt at one-click unsubscription.
func (w *World) judgeAnswer(click mailbox.Click) []policy.Finding {
	attempts, err := w.store.Attempts(context.WithoutCancel(w.ctx), w.name, click.ID)
	if err != nil {
		w.log.Error("reading the attempts of a click", slog.Any("error", err))
	}
	var last mailbox.Attempt
	if len(attempts) > 0 {
		last = attempts[len(attempts)-1]
	}
	a := policy.Answered{Status: last.Status, Problem: last.Error, Hosted: len(attempts) > 0 && click.State != mailbox.ClickWithheld}
	for _, f := range last.Header {
		if strings.EqualFold(f.Name, "Set-Cookie") {
			a.Cookies++
		}
	}
	return policy.DecideAnswer(a)
}

// Route sends action requests for a host to an address, host and port.
func (w *World) Route(host, addr string) error { return w.guard.Route(host, addr) }

// Allow lets action requests go to a host where it really is.
func (w *World) Allow(host string) error { return w.guard.Allow(host) }

// AddService puts up a fake service in the process, and routes its host to it.
func (w *World) AddService(s Service) error {
	if s.Trusts != "" {
		p, ok := w.Provider(s.Trusts)
		if !ok {
			return fmt.Errorf("endpoint %q: the world has no provider %s to trust", s.URL, s.Trusts)
		}
		s.keys = p.keys
	}
	host, err := w.services.add(s)
	if err != nil {
		return fmt.Errorf("endpoint %q: %w", s.URL, err)
	}
	return w.guard.RouteConn(host, w.services.dial)
}

// lookup finds the addresses of hosts that are allowed by name.
func (w *World) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	found, err := w.resolver.LookupIPAddr(ctx, host)
	if err != nil {
		return nil, err
	}
	list := make([]netip.Addr, 0, len(found))
	for _, a := range found {
		if addr, ok := netip.AddrFromSlice(a.IP); ok {
			list = append(list, addr.Unmap())
		}
	}
	return list, nil
}
