package provider

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/markup"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/policy/pattern"
	"github.com/doppelbox/doppelbox/receiver/dnszone"
	"github.com/doppelbox/doppelbox/receiver/mailauth"
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
	return wireReply(policy.ReplyFor(id, &policy.Evidence{Arrival: arrivalOf(e)}, "{command}", commandAt(phase, e)))
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
	evidence := policy.Evidence{At: p.clock.Now(), Arrival: arrival, Dials: p.dialsSet(), Inbound: p.inboundSet()}
	account, ok := p.account(rcpt)
	if !ok {
		return wireReply(policy.ReplyFor(p.unknownRcpt(rcpt), &evidence))
	}
	evidence.Account = account
	if id, ok := p.take(policy.PhaseRcpt, e, account.Address); ok {
		return wireReply(policy.ReplyFor(id, &evidence, "{command}", "RCPT"))
	}
	if !p.Enforces() {
		return nil
	}
	if len(e.Rcpts) > 0 && p.of(account.Address) != p.providerOf(e.Rcpts[0]) {
		return wireReply(policy.ReplyFor("several-domains", &evidence))
	}
	evidence.Rates = p.volume.rates(&evidence, 0)
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

// providerOf returns the provider that takes the mail of a recipient.
func (p *Provider) providerOf(rcpt string) *Provider {
	if account, ok := p.account(rcpt); ok {
		return p.of(account.Address)
	}
	return p
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
	rows := p.judge(ctx, arrivalOf(&e), e.Rcpts, raw, func(rows []mailbox.Message) {
		accounts := make([]string, len(rows))
		for i := range rows {
			accounts[i] = rows[i].Account
		}
		order, _ := p.take(policy.PhaseData, &e, accounts...)
		for i := range rows {
			rows[i].Evidence.Order = order
			p.count(&rows[i].Evidence, 1)
		}
	})
	reply := p.answer(rows[0].Verdict)
	for i := range rows {
		rows[i].Reply = strings.Split(strings.TrimSuffix(reply.Text(), "\n"), "\n")
		rows[i].Refused = reply.Code >= 400
	}
	switch err := p.store.Put(ctx, rows...); {
	case errors.Is(err, mailbox.ErrTooLarge):
		// It would never fit: coming again is of no use.
		p.log.Error("storing a message", slog.Any("error", err))
		return smtpserver.Reply{Code: 552, Enhanced: "5.3.4", Lines: []string{"The message exceeds the size that this provider can keep."}}
	case err != nil:
		p.log.Error("storing a message", slog.Any("error", err))
		return smtpserver.Reply{Code: 451, Enhanced: "4.3.0", Lines: []string{"Mail server temporarily rejected message."}}
	}
	if reply.Code < 400 {
		p.signatures.remember(rows, p.clock.Now()) // What was refused comes again, and is no replay then.
	}
	p.announce(ctx, rows)
	for _, row := range rows {
		p.forwardLater(ctx, row)
	}
	return smtpserver.Reply{Code: reply.Code, Enhanced: reply.Enhanced, Lines: reply.Lines}
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
	return p.judge(ctx, a, []string{a.Rcpt}, raw, func(rows []mailbox.Message) { p.count(&rows[0].Evidence, 0) })[0]
}

// count adds to the evidence how much mail there has been; n is 1 to count the
// message itself, 0 to see what would be.
func (w *World) count(e *policy.Evidence, n int) {
	e.Rates, e.Sender = w.volume.rates(e, n), w.volume.sender(e, n)
}

// judge makes one row for each account that the recipients lead to. Before the
// verdicts, complete adds to their evidence what is not to be read from the
// message.
func (p *Provider) judge(ctx context.Context, a policy.Arrival, rcpts []string, raw []byte, complete func([]mailbox.Message)) []mailbox.Message {
	rows := make([]mailbox.Message, 0, len(rcpts))
	now := p.clock.Now()
	seen := make(map[string]bool, len(rcpts))
	for _, rcpt := range rcpts {
		account, ok := p.account(rcpt)
		if !ok {
			account = policy.Account{Address: rcpt}
		}
		if seen[account.Address] {
			continue
		}
		seen[account.Address] = true
		a.Rcpt = rcpt
		rows = append(rows, mailbox.Message{
			World: p.name, ID: p.nextID("m"), Account: account.Address, ReceivedAt: now, Raw: raw,
			Evidence: policy.Evidence{World: p.name, At: now, Arrival: a, Account: account, Dials: p.dialsSet(), Inbound: p.inboundSet()},
		})
	}
	p.fill(ctx, rows, raw)
	complete(rows)
	p.replayed(rows)
	reg := p.Registry()
	for i := range rows {
		rows[i].Verdict = policy.Decide(rows[i].Evidence, reg)
	}
	return rows
}

// lookupTime bounds all DNS look-ups of one message together, in real time:
// what is cut short is a temporary error. Clients wait ten minutes for the
// answer (RFC 5321 4.5.3.2.6), but tests should not.
const lookupTime = 30 * time.Second

// fill adds what a look at the message says. A fault of ours in reading it
// must not lose the message: it is kept, with the fault as its problem.
func (w *World) fill(ctx context.Context, rows []mailbox.Message, raw []byte) {
	defer func() {
		if fault := recover(); fault != nil {
			for i := range rows {
				rows[i].Problem = fmt.Sprintf("reading the message: %v", fault)
				rows[i].Evidence.Header.Problems = append(rows[i].Evidence.Header.Problems, policy.Problem{Code: policy.ProblemNotProcessed, Text: rows[i].Problem})
			}
			w.log.Error("reading a message", slog.String("message", rows[0].ID), slog.Any("fault", fault))
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	m := message.Parse(raw)
	header := m.Header()
	found := markup.Extract(m)
	resolver := w.resolver.Record()
	auth := w.verifier(resolver).Authenticate(ctx, rows[0].Evidence.Arrival, m)
	questions := questionsOf(resolver)
	earlier := w.earlierURLs(ctx, found)
	for i := range rows {
		e := &rows[i].Evidence
		e.Header, e.Auth, e.Markup, e.EarlierURLs = header, auth, found, earlier
		e.Access = pattern.Classify(pattern.Trail{Arrival: e.Arrival, Account: e.Account, Header: header, Auth: auth, Enclosed: found.Enclosed, Message: m})
		rows[i].Questions = questions
	}
}

func (w *World) verifier(r mailauth.Resolver) *mailauth.Verifier {
	dials := w.dialsSet()
	return &mailauth.Verifier{
		Resolver: r, Now: w.clock.Now, Keys: w.dkimKeys,
		Profile: mailauth.Profile(dials.Get(policy.DialProfile)), Discovery: mailauth.Discovery(dials.Get(policy.DialOrgDomain)),
	}
}

func questionsOf(r *dnszone.Resolver) []mailbox.Question {
	queries := r.Queries()
	list := make([]mailbox.Question, len(queries))
	for i, q := range queries {
		list[i] = mailbox.Question{Name: q.Name, Type: q.Type, Answer: q.Answer, Source: string(q.Source), Took: q.Took}
	}
	return list
}

// earlierURLs returns those handler URLs of a message that another one
// carried before.
func (w *World) earlierURLs(ctx context.Context, m policy.Markup) []string {
	var urls []string
	for _, a := range m.Actions {
		for _, h := range a.Handlers {
			urls = append(urls, h.URL)
		}
	}
	if len(urls) == 0 {
		return nil
	}
	seen, err := w.store.SeenURLs(ctx, w.name, urls)
	if err != nil {
		w.log.Error("looking up URLs", slog.Any("error", err))
	}
	return seen
}

// account finds the account that an address leads to. Local parts are
// compared without case, and what follows a "+" is ignored, as Gmail does.
// Every provider has a postmaster (RFC 5321 4.5.1); without a domain it is p's.
func (p *Provider) account(rcpt string) (policy.Account, bool) {
	i := strings.LastIndexByte(rcpt, '@')
	local, domain := rcpt, p.domain
	if i >= 0 {
		local, domain = rcpt[:i], message.DomainOf(rcpt)
	}
	local = strings.ToLower(local)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byDomain[domain] == nil {
		return policy.Account{}, false
	}
	if local == "postmaster" {
		return policy.Account{Address: "postmaster@" + domain}, true
	}
	if a, ok := p.accounts[local+"@"+domain]; ok {
		return a.Account, true
	}
	if a, ok := p.accounts[withoutTag(local)+"@"+domain]; ok {
		return a.Account, true
	}
	return policy.Account{}, false
}

// nextID returns the next id of a kind: they count up, so that a scenario
// gives the same ones on every run.
func (w *World) nextID(kind string) string {
	return kind + strconv.FormatInt(w.ids.Add(1), 10)
}

// peerAs is the address that a client's address stands for.
func (w *World) peerAs(a netip.Addr) netip.Addr {
	w.mu.Lock()
	defer w.mu.Unlock()
	if as, ok := w.peers[a]; ok {
		return as
	}
	return a
}
