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
	"github.com/doppelbox/doppelbox/keys"
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
func (p *Provider) Click(ctx context.Context, messageID string, action int) (mailbox.Click, error) {
	return p.press(ctx, messageID, action, policy.DecideClick)
}

// Unsubscribe uses one-click unsubscription, likewise (RFC 8058).
func (p *Provider) Unsubscribe(ctx context.Context, messageID string) (mailbox.Click, error) {
	return p.press(ctx, messageID, mailbox.ActionUnsubscribe, policy.DecideUnsubscribe)
}

func (p *Provider) press(ctx context.Context, messageID string, action int, decide func(policy.ClickEvidence, policy.Registry) policy.ClickVerdict) (mailbox.Click, error) {
	click, err := p.decideClick(ctx, messageID, action, decide)
	if err != nil || click.State != mailbox.ClickPending {
		return click, err
	}
	if err := p.Drain(ctx); err != nil {
		return click, err
	}
	return p.clickNow(ctx, click)
}

// decideClick judges a click, stores it and hands its request over. No other
// click is judged meanwhile, or two could each be the first.
func (p *Provider) decideClick(ctx context.Context, messageID string, action int, decide func(policy.ClickEvidence, policy.Registry) policy.ClickVerdict) (mailbox.Click, error) {
	p.clicks.Lock()
	defer p.clicks.Unlock()
	m, err := p.store.Message(ctx, p.world, messageID)
	if err != nil {
		return mailbox.Click{}, fmt.Errorf("looking up message %q: %w", messageID, err)
	}
	earlier, err := p.store.Clicks(ctx, p.world, messageID)
	if err != nil {
		return mailbox.Click{}, fmt.Errorf("looking up clicks on %q: %w", messageID, err)
	}
	evidence := policy.ClickEvidence{Message: m.Evidence, Action: action, At: p.clock.Now()}
	// Dials are read when they matter: those of the request, at the click.
	evidence.Message.Dials = p.dialsSet()
	for _, c := range earlier {
		if c.Action == action {
			evidence.Earlier = appendEarlier(evidence.Earlier, c.State)
		}
	}
	click := mailbox.Click{
		World: p.world, ID: p.nextID("c"), MessageID: messageID, Action: action, At: evidence.At,
		Verdict: decide(evidence, p.Registry()), State: mailbox.ClickRefused,
	}
	switch click.Verdict.Answer {
	case policy.ClickOpen:
		click.State = mailbox.ClickOpened
	case policy.ClickFire:
		click.State = mailbox.ClickPending
	}
	if err := p.store.PutClick(ctx, click); err != nil {
		return mailbox.Click{}, fmt.Errorf("storing a click: %w", err)
	}
	if click.State != mailbox.ClickPending {
		return click, nil
	}
	if err := p.submit(click); err != nil {
		// Nothing will ever be heard of it: a pending click would hold up
		// every later one.
		p.recordDone(dispatcher.Result{RequestID: click.ID, Outcome: dispatcher.OutcomeFailed})
		return click, err
	}
	return click, nil
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
func (p *Provider) clickNow(ctx context.Context, click mailbox.Click) (mailbox.Click, error) {
	list, err := p.store.Clicks(ctx, p.world, click.MessageID)
	if err != nil {
		return click, err
	}
	if i := slices.IndexFunc(list, func(c mailbox.Click) bool { return c.ID == click.ID }); i >= 0 {
		return list[i], nil
	}
	return click, mailbox.ErrNotFound
}

// submit hands the request of a click to the dispatcher.
func (p *Provider) submit(click mailbox.Click) error {
	p.mu.Lock()
	p.pending[click.ID] = click
	p.mu.Unlock()
	d, err := p.dispatching()
	if err != nil {
		return err
	}
	plan := click.Verdict.Request
	r := dispatcher.Request{
		ID: click.ID, Queue: click.MessageID + "/" + strconv.Itoa(click.Action),
		Method: plan.Method, URL: plan.URL, Body: []byte(plan.Body), Retry: p.retryDials(),
	}
	if durations := p.dialsSet().Durations(policy.DialTimeout); len(durations) > 0 {
		r.Timeout = durations[0]
	}
	if plan.Form {
		r.Header = append(r.Header, dispatcher.Field{Name: "Content-Type", Value: dispatcher.ContentType})
	}
	if plan.UserAgent {
		r.Header = append(r.Header, dispatcher.Field{Name: "User-Agent", Value: dispatcher.UserAgent})
	}
	if plan.Bearer {
		r.Token = func(context.Context) (string, error) { return p.keys.Token(keys.Claims{Audience: plan.Audience}) }
	}
	if click.Action == mailbox.ActionUnsubscribe {
		// RFC 8058 names no status; a sender that took note may say 202 or 204.
		r.Succeeds = func(status int) bool { return status/100 == 2 }
	}
	if _, err := d.Submit(r); err != nil {
		return fmt.Errorf("submitting the request of a click: %w", err)
	}
	return nil
}

// retryDials is what is retried, as the dials stand now.
func (p *Provider) retryDials() *dispatcher.Retry {
	dials := p.dialsSet()
	return &dispatcher.Retry{
		Schedule:        dials.Durations(policy.DialRetrySchedule),
		ServerErrors:    dials.Get(policy.DialRetryServer) == "yes",
		TooManyRequests: dials.Get(policy.DialRetryTooMany) == "yes",
		NoAnswer:        dials.Get(policy.DialRetryTimeout) == "yes",
	}
}

// dispatching returns the dispatcher. It is made at the first request, because
// reading the machine's trusted authorities takes longer than everything else
// at the start.
func (p *Provider) dispatching() (*dispatcher.Dispatcher, error) {
	p.making.Lock()
	defer p.making.Unlock()
	if d := p.dispatch.Load(); d != nil {
		return d, nil
	}
	roots := x509.NewCertPool()
	if p.roots != nil {
		others, err := p.roots()
		if err != nil {
			return nil, err
		}
		roots = others.Clone()
	}
	roots.AppendCertsFromPEM(p.ca.PEM())
	d, err := dispatcher.New(dispatcher.Options{
		Now: p.clock.Now, Guard: p.guard, RootCAs: roots, Logger: p.log,
		OnAttempt: p.recordAttempt, OnDone: p.recordDone,
	})
	if err != nil {
		return nil, err
	}
	p.dispatch.Store(d)
	if p.clock.Runs() {
		p.owned.Go(func() {
			// It ends with the provider's context, and has no other error.
			_ = d.Run(p.ctx)
		})
	}
	return d, nil
}

// Drain makes the attempts that are due, and returns when none is. If ctx ends
// before, it returns with ctx's error, and the attempts go on: a caller that
// stops waiting must not have a request cut off that the service may already
// have carried out.
func (p *Provider) Drain(ctx context.Context) error {
	d := p.dispatch.Load()
	if d == nil {
		return nil
	}
	drained := make(chan error, 1)
	p.owned.Go(func() { drained <- d.RunDue(p.ctx) })
	select {
	case err := <-drained:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Advance moves the clock forward and makes the attempts that then are due. A
// standing clock stops where each falls due, so that it is made at its time; a
// running one jumps.
func (p *Provider) Advance(ctx context.Context, by time.Duration) error {
	if by < 0 {
		return errors.New("the clock does not go back")
	}
	d := p.dispatch.Load()
	if d == nil || p.clock.Runs() {
		p.clock.Advance(by)
		if d != nil {
			d.Wake() // Its timer was set by the clock as it was.
		}
		return p.Drain(ctx)
	}
	end := p.clock.Now().Add(by)
	for next, ok := d.Due(); ok && !next.After(end); next, ok = d.Due() {
		if next.After(p.clock.Now()) {
			p.clock.Set(next)
		}
		if err := p.Drain(ctx); err != nil {
			return err
		}
	}
	p.clock.Set(end)
	return nil
}

// recordAttempt stores an attempt beside its click.
func (p *Provider) recordAttempt(a dispatcher.Attempt) {
	p.mu.Lock()
	click, ok := p.pending[a.RequestID]
	p.mu.Unlock()
	if !ok {
		return
	}
	row := mailbox.Attempt{
		World: p.world, ID: a.ID, ClickID: click.ID, N: a.N, At: a.At,
		Method: click.Verdict.Request.Method, URL: click.Verdict.Request.URL,
		Sent: a.Sent, Addr: a.Addr, Status: a.Status, Body: a.Body, BodyTruncated: a.BodyTruncated,
		Took: a.Took, Error: a.Error, Reason: string(a.Reason), Outcome: string(a.Outcome),
	}
	for _, f := range a.Header {
		row.Header = append(row.Header, mailbox.Field(f))
	}
	// The record is made whatever becomes of the caller.
	if err := p.store.PutAttempt(context.WithoutCancel(p.ctx), row); err != nil && !errors.Is(err, mailbox.ErrNotFound) {
		p.log.Error("storing an attempt", slog.Any("error", err))
	}
	if p.onAttempt != nil {
		p.told.Lock()
		defer p.told.Unlock()
		p.onAttempt(click, row)
	}
}

// recordDone stores how a click's request ended.
func (p *Provider) recordDone(r dispatcher.Result) {
	p.mu.Lock()
	click, ok := p.pending[r.RequestID]
	delete(p.pending, r.RequestID)
	p.mu.Unlock()
	if !ok {
		return
	}
	switch r.Outcome {
	case dispatcher.OutcomeSucceeded:
		click.State = mailbox.ClickSucceeded
	case dispatcher.OutcomeWithheld:
		click.State = mailbox.ClickWithheld
	default:
		click.State = mailbox.ClickFailed
	}
	// A message that was evicted meanwhile has taken its clicks along.
	if err := p.store.UpdateClick(context.WithoutCancel(p.ctx), click); err != nil && !errors.Is(err, mailbox.ErrNotFound) {
		p.log.Error("storing the end of a click", slog.Any("error", err))
	}
}

// Route sends action requests for a host to an address, host and port.
func (p *Provider) Route(host, addr string) error { return p.guard.Route(host, addr) }

// Allow lets action requests go to a host where it really is.
func (p *Provider) Allow(host string) error { return p.guard.Allow(host) }

// AddService puts up a fake service in the process, and routes its host to it.
func (p *Provider) AddService(s Service) error {
	host, err := p.services.add(s)
	if err != nil {
		return fmt.Errorf("endpoint %q: %w", s.URL, err)
	}
	return p.guard.RouteConn(host, p.services.dial)
}

// lookup finds the addresses of hosts that are allowed by name.
func (p *Provider) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	found, err := p.resolver.LookupIPAddr(ctx, host)
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
