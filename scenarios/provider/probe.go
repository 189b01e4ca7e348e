package provider

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/doppelbox/doppelbox/dispatcher"
	"github.com/doppelbox/doppelbox/dispatcher/probe"
	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/registry"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
)

// DefaultProbeWait is how long a probe waits for the mail of an action that is
// made anew, in real time: the mail comes from outside of the process.
const DefaultProbeWait = 30 * time.Second

// Probing says which action is probed, and with whose help.
type Probing struct {
	// Message and Action name the action of a mail; empty has URL and Domain
	// name a handler instead.
	Message string
	Action  int

	URL      string // The handler's.
	Domain   string // For the audience, whatever token.aud says: that of From.
	Method   string // POST, or GET; default POST.
	NoBearer bool   // The sender has not asked for tokens.

	LimitedUse string        // See [probe.Target].
	Only, Skip []string      // See [probe.Options].
	Timeout    time.Duration // Of one request; default [probe.DefaultTimeout].
	Rotate     bool          // The provider's keys may be rotated, once.

	// Again has the service make the same action anew, for another use, and
	// Other does it for another user. They return the new handler's URL, or
	// nothing, and then the mail that brings it is waited for. Nil: the service
	// cannot be asked.
	Again, Other func(context.Context) (url string, err error)
	// Effects returns something that changes if and only if the action is
	// carried out; nil: that cannot be seen.
	Effects func(context.Context) (string, error)
	Wait    time.Duration // Default DefaultProbeWait.
	// OnResult is told of each result, if set.
	OnResult func(probe.Result)
}

// WithheldError is the error of probing an action for which the provider would
// make no request.
type WithheldError struct{ Verdict policy.ClickVerdict }

func (e *WithheldError) Error() string {
	detail := ""
	for _, f := range e.Verdict.Findings {
		if f.Check == e.Verdict.Decider {
			detail = ": " + f.Detail
		}
	}
	return fmt.Sprintf("the provider makes no request for this action (%s %s)%s", e.Verdict.Decider, e.Verdict.Reason, detail)
}

// Probe tries a service with requests that it must refuse, then with a good
// one, then with replays, and reports what came of it. The good request of a
// mail counts as a click on its action; what is sent besides, for actions made
// anew, leaves no click. A world runs one probe at a time, and the next one waits.
// The error is about what was asked for; that a service is unsound is in the
// report.
func (w *World) Probe(ctx context.Context, b Probing) (probe.Report, error) {
	d, err := w.dispatching()
	if err != nil {
		return probe.Report{}, err
	}
	run := probing{Probing: b, w: w, good: goodRequest(), dispatcher: d, plans: map[string]*planned{}}
	target, err := run.target(ctx)
	if err != nil {
		return probe.Report{}, err
	}
	// What a service fetches of a stranger's keys is counted for all runs alike.
	select {
	case w.probing <- struct{}{}:
		defer func() { <-w.probing }()
	case <-ctx.Done():
		return probe.Report{}, fmt.Errorf("waiting for another probe of this provider to end: %w", context.Cause(ctx))
	}
	other, err := w.tokenKeys(run.provider, policy.PersonaOtherProvider)
	if err != nil {
		return probe.Report{}, err
	}
	form := formOf(w.dialsSet())
	o := probe.Options{
		Shape: form.shape, IssuedAt: func() time.Time { return w.clock.Now().Add(-form.age) },
		Keys: run.provider.keys, Other: other, Exchange: run.exchange, KeysURL: run.provider.CertificatesURL(),
		Effects: b.Effects, Only: b.Only, Skip: b.Skip, Timeout: b.Timeout, OnResult: b.OnResult,
	}
	if b.Rotate {
		o.Rotate = func(context.Context) error { return run.provider.keys.Rotate() }
	}
	if b.Again != nil {
		o.Fresh = func(ctx context.Context) (probe.Target, error) { return run.made(ctx, b.Again, false) }
	}
	if b.Other != nil {
		o.OtherUser = func(ctx context.Context) (probe.Target, error) { return run.made(ctx, b.Other, true) }
	}
	return probe.Run(ctx, target, o)
}

// probing is one run of Probe.
type probing struct {
	Probing
	w        *World
	provider *Provider
	message  mailbox.Message // Its first one, unless a URL is probed.
	label    string          // That of the action there.
	first    probe.Target

	good       string // How the ids of good requests end.
	dispatcher *dispatcher.Dispatcher
	mu         sync.Mutex          // Guards plans.
	plans      map[string]*planned // Of actions of mail, by URL.
}

// planned is the click that a good request for an action of a mail is.
type planned struct {
	press    press
	verdict  policy.ClickVerdict
	click    mailbox.Click // No id before the request is made.
	attempts int
}

// exchange sends what a probe wants sent. A good request for an action of a mail
// is a click on it.
func (r *probing) exchange(ctx context.Context, raw dispatcher.Raw) dispatcher.Attempt {
	a := r.dispatcher.Exchange(ctx, raw)
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.plans[raw.URL]; p != nil && strings.HasSuffix(raw.ID, r.good) {
		r.w.recordGood(p, a)
	}
	return a
}

// goodRequest is how the ids of good requests end.
func goodRequest() string {
	for _, p := range probe.Catalogue() {
		if p.Phase == probe.Good {
			return "-" + p.ID
		}
	}
	return ""
}

// recordGood stores an attempt at a good request, and the click that it was.
func (w *World) recordGood(p *planned, a dispatcher.Attempt) {
	// It is recorded whatever becomes of the caller.
	ctx := context.WithoutCancel(w.ctx)
	state := mailbox.ClickFailed
	if a.Outcome == dispatcher.OutcomeSucceeded {
		state = mailbox.ClickSucceeded
	}
	var err error
	if p.click.ID == "" {
		p.click = mailbox.Click{
			World: w.name, ID: w.nextID("c"), MessageID: p.press.message, Action: p.press.action, Persona: p.press.by, At: a.At,
			Verdict: p.verdict, State: state,
		}
		err = w.store.PutClick(ctx, p.click)
	} else {
		p.click.State = state
		err = w.store.UpdateClick(ctx, p.click)
	}
	if err != nil && !errors.Is(err, mailbox.ErrNotFound) {
		w.log.Error("storing the click of a probe", slog.Any("error", err))
		return
	}
	p.attempts++
	a.RequestID, a.N = p.click.ID, p.attempts
	a.ID = fmt.Sprintf("%s/%d", a.RequestID, a.N)
	w.storeAttempt(p.click, a)
}

// target says what is probed.
func (r *probing) target(ctx context.Context) (probe.Target, error) {
	var err error
	if r.Message != "" && (r.URL != "" || r.Domain != "" || r.Method != "" || r.NoBearer) {
		return probe.Target{}, errors.New("a mail says by itself what its URL, sender, method and tokens are: name a message or a URL")
	}
	if r.Message == "" {
		r.provider = r.w.Providers()[0]
		r.first, err = r.handler()
		return r.first, err
	}
	if r.message, err = r.w.store.Message(ctx, r.w.name, r.Message); err != nil {
		return probe.Target{}, fmt.Errorf("looking up message %q: %w", r.Message, err)
	}
	r.provider = r.w.of(r.message.Account)
	r.first, err = r.plan(ctx, r.message, r.Action)
	if err == nil {
		r.label = r.message.Evidence.Markup.Actions[r.Action].Name
	}
	return r.first, err
}

// handler is the target that a URL and a domain name.
func (r *probing) handler() (probe.Target, error) {
	if r.URL == "" || r.Domain == "" {
		return probe.Target{}, errors.New("a probe needs a message, or a URL and the sender's domain")
	}
	domain, err := registry.ParseDomain(r.Domain)
	if err != nil {
		return probe.Target{}, err
	}
	t := probe.Target{URL: r.URL, Method: r.Method, Audience: "https://" + domain, Bearer: !r.NoBearer, LimitedUse: r.LimitedUse}
	if t.Method == "" {
		t.Method = "POST"
	}
	if t.Method == "POST" {
		t.Body = "confirmed=Approved"
	}
	return t, nil
}

// plan is the target that an action of a message is: the request that the
// provider would make for a click.
func (r *probing) plan(ctx context.Context, m mailbox.Message, action int) (probe.Target, error) {
	by := press{m.ID, action, policy.PersonaProvider}
	v, err := r.w.judgeClick(ctx, m, by, r.w.clock.Now(), policy.DecideClick)
	if err != nil {
		return probe.Target{}, err
	}
	if v.Answer != policy.ClickFire {
		return probe.Target{}, &WithheldError{v}
	}
	plan := v.Request
	r.mu.Lock()
	r.plans[plan.URL] = &planned{press: by, verdict: v}
	r.mu.Unlock()
	t := probe.Target{URL: plan.URL, Method: plan.Method, Body: plan.Body, Audience: plan.Audience, Bearer: plan.Bearer, LimitedUse: r.LimitedUse}
	return t, nil
}

// made has the action made anew, and returns it.
func (r *probing) made(ctx context.Context, make func(context.Context) (string, error), otherUser bool) (probe.Target, error) {
	wait := r.Wait
	if wait <= 0 {
		wait = DefaultProbeWait
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	last, err := r.lastSeq(ctx)
	if err != nil {
		return probe.Target{}, err
	}
	url, err := make(ctx)
	if err != nil {
		return probe.Target{}, err
	}
	if url != "" {
		t := r.first
		t.URL = url
		return t, nil
	}
	if r.Message == "" {
		return probe.Target{}, errors.New("no URL was given for the action made anew")
	}
	q := mailbox.Query{World: r.w.name, AfterSeq: last}
	if !otherUser {
		q.Account = r.message.Account
	}
	for {
		m, err := r.w.store.Wait(ctx, q)
		if err != nil {
			return probe.Target{}, fmt.Errorf("no mail with a button %q came within %s: %w", r.label, wait, err)
		}
		q.AfterSeq = m.Seq
		if otherUser && m.Account == r.message.Account {
			continue
		}
		if action, err := FindAction(m, r.label); err == nil {
			return r.plan(ctx, m, action)
		}
	}
}

// lastSeq is the place of the newest message of all.
func (r *probing) lastSeq(ctx context.Context) (int64, error) {
	list, err := r.w.store.Messages(ctx, mailbox.Query{World: r.w.name})
	if err != nil || len(list) == 0 {
		return 0, err
	}
	return list[len(list)-1].Seq, nil
}
