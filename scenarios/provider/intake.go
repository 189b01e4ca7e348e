package provider

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/receiver/smtpserver"
)

// intake is the provider as its SMTP server sees it.
type intake struct{ p *Provider }

// Admit implements smtpserver.Backend: before a recipient only what is ordered
// is refused.
func (in intake) Admit(_ context.Context, e *smtpserver.Envelope, at smtpserver.Stage) *smtpserver.Reply {
	phase := policy.Phase(at)
	id, ok := in.p.take(phase, e)
	if !ok {
		return nil
	}
	return wireReply(policy.ReplyFor(id, &policy.Evidence{Arrival: arrivalOf(e)}, "command", commandAt(phase, e)))
}

// commandAt is the command that is answered at a phase, as replies name it.
func commandAt(p policy.Phase, e *smtpserver.Envelope) string {
	switch p {
	case policy.PhaseConnect:
		return "CONNECT"
	case policy.PhaseHello:
		if !e.ESMTP {
			return "HELO"
		}
		return "EHLO"
	}
	return strings.ToUpper(string(p))
}

func wireReply(r policy.Reply) *smtpserver.Reply {
	return &smtpserver.Reply{Code: r.Code, Enhanced: r.Enhanced, Lines: r.Lines}
}

// Rcpt implements smtpserver.Backend. A provider that only observes refuses
// what no account could get, and what is ordered; the rest is the verdict's.
func (in intake) Rcpt(_ context.Context, e *smtpserver.Envelope, rcpt string) *smtpserver.Reply {
	p := in.p
	arrival := arrivalOf(e)
	arrival.Rcpt = rcpt
	evidence := policy.Evidence{At: p.clock.Now(), Arrival: arrival, Dials: p.dialsSet(), Inbound: p.inboundFor(e.Peer)}
	account, ok := p.account(rcpt)
	if !ok {
		return wireReply(policy.ReplyFor(p.unknownRcpt(rcpt), &evidence))
	}
	evidence.Account = account
	if id, ok := p.take(policy.PhaseRcpt, e, account.Address); ok {
		return wireReply(policy.ReplyFor(id, &evidence, "command", "RCPT"))
	}
	if len(e.Rcpts) >= evidence.Dials.Count(policy.DialMaxRcpt) {
		return wireReply(policy.ReplyFor("too-many-recipients", &evidence))
	}
	if !p.Enforces() {
		return nil
	}
	if len(e.Rcpts) > 0 {
		evidence.Arrival.Beside = p.beside(e.Rcpts[0], account.Address)
	}
	evidence.Rates = p.volume.accountRates(&evidence)
	if r, ok := policy.DecideRcpt(evidence); !ok {
		return wireReply(r)
	}
	return nil
}

// unknownRcpt says what is wrong with a recipient that is no account.
func (p *Provider) unknownRcpt(rcpt string) policy.ReplyID {
	if domain := message.DomainOf(rcpt); domain != "" {
		if _, ok := p.Provider(domain); !ok {
			return "no-such-domain"
		}
	}
	return "no-such-user"
}

// beside returns the domain of a transaction's first recipient if that is of
// another provider than an account.
func (p *Provider) beside(first, account string) string {
	other, ok := p.account(first)
	if !ok || p.of(other.Address) == p.of(account) {
		return ""
	}
	return p.of(other.Address).domain
}

// arrivalOf is how a message comes, as far as the session has got.
func arrivalOf(e *smtpserver.Envelope) policy.Arrival {
	a := policy.Arrival{
		Channel: policy.ChannelSMTP, Peer: e.Peer, HELO: e.HELO, MailFrom: e.From, Session: e.Session,
	}
	if e.Socket != e.Peer {
		a.Socket = e.Socket
	}
	if e.TLS != nil {
		a.TLS = tlsVersion(e.TLS.Version)
		a.Cipher = tls.CipherSuiteName(e.TLS.CipherSuite)
	}
	return a
}

// Deliver implements smtpserver.Backend: it judges the message once for each
// account, stores all of that, and only then answers.
func (in intake) Deliver(ctx context.Context, e smtpserver.Envelope, raw []byte) smtpserver.Reply {
	p := in.p
	var counted *tally
	rows := p.judge(ctx, arrivalOf(&e), e.Rcpts, raw, func(rows []mailbox.Message) {
		accounts := make([]string, len(rows))
		for i := range rows {
			accounts[i] = rows[i].Account
		}
		order, _ := p.take(policy.PhaseData, &e, accounts...)
		for i := range rows {
			rows[i].Evidence.Order = order
		}
		counted = p.volume.tally(rows, order != "") // What is ordered changes nothing.
	})
	gravest := gravestOf(rows)
	reply := p.answer(gravest)
	for i := range rows {
		rows[i].Reply = strings.Split(strings.TrimSuffix(reply.Text(), "\n"), "\n")
		if rows[i].Refused = reply.Code >= 400; rows[i].Refused && rows[i].Verdict.Phase == policy.PhaseRcpt {
			rows[i].Verdict.Phase = policy.PhaseData // What was fine at RCPT was so no longer.
		}
	}
	err := p.store.Put(ctx, rows...)
	counted.end(gravest.Delivery == policy.Accept && err == nil)
	switch {
	case errors.Is(err, mailbox.ErrTooLarge):
		// It would never fit: coming again is of no use.
		p.log.Error("storing a message", slog.Any("error", err))
		return smtpserver.Reply{Code: 552, Enhanced: "5.3.4", Lines: []string{"The message exceeds the size that this provider can keep."}}
	case err != nil:
		p.log.Error("storing a message", slog.Any("error", err))
		return *wireReply(policy.ReplyFor("not-processed", &rows[0].Evidence))
	}
	if reply.Code < 400 {
		p.signatures.remember(rows, p.clock.Now()) // What was refused comes again, and is no replay then.
	}
	p.announce(ctx, rows)
	for _, row := range rows {
		p.forwardLater(ctx, row)
	}
	return *wireReply(reply)
}

// gravestOf returns the verdict that is answered for all accounts of a
// transaction, for there is one answer (RFC 5321 4.1.1.4): the first refusal for
// good, or else for a time.
func gravestOf(rows []mailbox.Message) policy.Verdict {
	for _, d := range []policy.Delivery{policy.Reject, policy.Defer} {
		for _, row := range rows {
			if row.Verdict.Delivery == d {
				return row.Verdict
			}
		}
	}
	return rows[0].Verdict
}

// answer is what is said on the wire: the verdict's reply when the provider
// enforces it, else that of an accepted message.
func (w *World) answer(v policy.Verdict) policy.Reply {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.enforce || v.Decider == policy.OrderedReply {
		return v.Reply
	}
	return policy.ReplyAccepted(w.clock.Now())
}

// Examine judges a message for one account without storing it. The account
// need not exist.
func (p *Provider) Examine(ctx context.Context, a policy.Arrival, raw []byte) mailbox.Message {
	return p.judge(ctx, a, []string{a.Rcpt}, raw, func(rows []mailbox.Message) {
		p.foresee(&rows[0].Evidence)
		p.volume.tally(rows, true)
	})[0]
}
