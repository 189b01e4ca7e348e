package provider

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/policy/registry"
	"github.com/doppelbox/doppelbox/receiver/smtpserver"
)

// Order is a reply that somebody wants to see, to learn what a sender does with
// it. It is given whether the provider enforces its verdicts or not.
type Order struct {
	Reply policy.ReplyID
	// Phase is where it is given; empty is the reply's usual one.
	Phase policy.Phase
	// Peer, Domain and Account say to whom: to that address, to mail whose
	// envelope is from that domain or below it (with a null reverse-path, the
	// HELO name), for that recipient. What is empty
	// says nothing; Domain needs phase mail or later, Account rcpt or later.
	Peer    netip.Addr
	Domain  string
	Account string
	// Times is how often; zero is always.
	Times int
}

// orders are those that stand, in the order in which they were given.
type orders struct {
	mu   sync.Mutex
	list []Order
}

// maxOrders bounds them; a test has a handful.
const maxOrders = 1000

// Known reports whether at its phase it is known whom the order is for.
func (o Order) Known() bool {
	order := policy.Phases()
	at := slices.Index(order, o.Phase)
	return (o.Domain == "" || at >= slices.Index(order, policy.PhaseMail)) && (o.Account == "" || at >= slices.Index(order, policy.PhaseRcpt))
}

// OrderReply has the provider give a reply from now on, or as often as said.
func (w *World) OrderReply(o Order) error {
	c, ok := policy.FindReply(o.Reply)
	if !ok {
		return fmt.Errorf("there is no reply %q", o.Reply)
	}
	if o.Phase == "" {
		o.Phase = c.Phases[0]
	}
	switch {
	case !c.Given(o.Phase):
		return fmt.Errorf("the reply %s is not given at %s", o.Reply, o.Phase)
	case o.Times < 0:
		return fmt.Errorf("a reply cannot be given %d times", o.Times)
	case !o.Known():
		return fmt.Errorf("at %s it is not known yet whose mail will come, and for whom", o.Phase)
	}
	if o.Domain != "" {
		domain, err := registry.ParseDomain(o.Domain)
		if err != nil {
			return fmt.Errorf("ordering a reply: %w", err)
		}
		o.Domain = domain
	}
	if o.Account != "" {
		p, ok := w.Provider(message.DomainOf(o.Account))
		if !ok {
			return fmt.Errorf("ordering a reply: %s is no account of this world's", o.Account)
		}
		account, ok := p.account(o.Account)
		if !ok {
			return fmt.Errorf("ordering a reply: there is no account %s%s", o.Account, policy.Suggest(o.Account, w.Accounts()))
		}
		o.Account = account.Address
	}
	o.Peer = o.Peer.Unmap()
	w.orders.mu.Lock()
	defer w.orders.mu.Unlock()
	if len(w.orders.list) >= maxOrders {
		return fmt.Errorf("there are %d orders already", maxOrders)
	}
	w.orders.list = append(w.orders.list, o)
	return nil
}

// OrdersLeft returns how many orders stand.
func (w *World) OrdersLeft() int {
	w.orders.mu.Lock()
	defer w.orders.mu.Unlock()
	return len(w.orders.list)
}

// CancelOrders takes all orders back.
func (w *World) CancelOrders() {
	w.orders.mu.Lock()
	defer w.orders.mu.Unlock()
	w.orders.list = nil
}

// senderDomain is the domain of the envelope: that of HELO for a null
// reverse-path, as SPF has it (RFC 7208 2.4).
func senderDomain(e *smtpserver.Envelope) string {
	if e.From == "" {
		return message.DomainOf("@" + e.HELO)
	}
	return message.DomainOf(e.From)
}

// take returns the reply that is ordered for a session at a phase, and counts
// it. Of several the first one counts.
func (w *World) take(p policy.Phase, e *smtpserver.Envelope, accounts ...string) (policy.ReplyID, bool) {
	w.orders.mu.Lock()
	defer w.orders.mu.Unlock()
	i := w.orders.find(p, e, accounts...)
	if i < 0 {
		return "", false
	}
	o := &w.orders.list[i]
	id := o.Reply
	if o.Times > 0 {
		if o.Times--; o.Times == 0 {
			w.orders.list = slices.Delete(w.orders.list, i, i+1)
		}
	}
	return id, true
}

// foresee tells the evidence which ordered reply a message would meet first, and
// counts nothing.
func (w *World) foresee(e *policy.Evidence) {
	a := e.Arrival
	if a.Channel == policy.ChannelPOP {
		return
	}
	envelope := smtpserver.Envelope{Peer: a.Peer, HELO: a.HELO, From: a.MailFrom}
	w.orders.mu.Lock()
	defer w.orders.mu.Unlock()
	for _, p := range policy.Phases() {
		if i := w.orders.find(p, &envelope, e.Account.Address); i >= 0 {
			e.Order, e.OrderedAt = w.orders.list[i].Reply, p
			return
		}
	}
}

// find returns the place of the first order that holds; negative if there is
// none. The caller holds the lock.
func (o *orders) find(p policy.Phase, e *smtpserver.Envelope, accounts ...string) int {
	return slices.IndexFunc(o.list, func(o Order) bool {
		return o.Phase == p && (!o.Peer.IsValid() || o.Peer == e.Peer.Unmap()) && (o.Domain == "" || policy.Within(senderDomain(e), o.Domain)) &&
			(o.Account == "" || slices.Contains(accounts, o.Account))
	})
}
