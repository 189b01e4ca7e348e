package provider

import (
	"context"
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
)

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
		a.Rcpt, a.Beside = rcpt, p.beside(rcpts[0], account.Address)
		rows = append(rows, mailbox.Message{
			World: p.name, ID: p.nextID("m"), Account: account.Address, ReceivedAt: now, Raw: raw,
			Evidence: policy.Evidence{World: p.name, At: now, Arrival: a, Account: account, Dials: p.dialsSet(), Inbound: p.inboundFor(a.Peer)},
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
func (p *Provider) fill(ctx context.Context, rows []mailbox.Message, raw []byte) {
	defer func() {
		if fault := recover(); fault != nil {
			for i := range rows {
				rows[i].Problem = fmt.Sprintf("reading the message: %v", fault)
				rows[i].Evidence.Header.Problems = append(rows[i].Evidence.Header.Problems, policy.Problem{Code: policy.ProblemNotProcessed, Text: rows[i].Problem})
			}
			p.log.Error("reading a message", slog.String("message", rows[0].ID), slog.Any("fault", fault))
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	m := message.Parse(raw)
	header := m.Header()
	found := markupOptions(rows[0].Evidence.Dials).Extract(m)
	resolver := p.resolver.Record()
	auth := p.verifier(resolver).Authenticate(ctx, rows[0].Evidence.Arrival, m)
	questions := questionsOf(resolver)
	earlier := p.earlierURLs(ctx, found)
	for i := range rows {
		e := &rows[i].Evidence
		e.Header, e.Auth, e.Markup, e.EarlierURLs = header, auth, found, earlier
		e.Access = pattern.Classify(pattern.Trail{Arrival: e.Arrival, Account: e.Account, Header: header, Auth: auth, Enclosed: found.Enclosed, Message: m})
		rows[i].Questions = questions
	}
}

// markupOptions is what the dials say of how markup is read.
func markupOptions(d policy.Dials) markup.Options {
	return markup.Options{
		Lenient: d.Get(policy.DialLenientJSON) == "yes",
		NoGraph: d.Get(policy.DialGraph) == "no",
		Last:    d.Get(policy.DialRepeatedValue) == "last",
	}
}

func (p *Provider) verifier(r mailauth.Resolver) *mailauth.Verifier {
	dials := p.dialsSet()
	return &mailauth.Verifier{
		Resolver: r, Now: p.clock.Now, Keys: p.dkimKeys, Hostname: p.hostname(),
		Profile:  mailauth.Profile(dials.Get(policy.DialProfile)),
		Standard: mailauth.Standard(dials.Get(policy.DialDMARC)), Discovery: mailauth.Discovery(dials.Get(policy.DialOrgDomain)),
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
