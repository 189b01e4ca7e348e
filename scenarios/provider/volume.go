package provider

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/registry"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
)

// volume counts the mail that comes to the providers of a world, by the
// world's clock: for the limits that are set, and for who is a bulk sender. Only
// mail that is taken counts, so that nobody can shut an account, or make a
// domain a bulk sender, with mail that is refused.
type volume struct {
	mu       sync.Mutex
	limited  counters[limitKey]
	senders  counters[string] // By primary domain.
	bulk     map[string]bool  // Primary domains that were bulk senders once.
	declared map[string]bool  // Domains that are said to be bulk senders, or not.
}

// limitKey is what one limit is about.
type limitKey struct {
	by     policy.Measure
	key    string
	window time.Duration
}

// bulkWindow is the time in which a bulk sender sends as much as it takes to be
// one (gmail-inbound.md section 2).
const bulkWindow = 24 * time.Hour

// These bound what is remembered: some 30 MB of counters, and a list of domains
// that no world outgrows. A Message-ID that is longer than the provider takes is
// not counted.
const (
	maxLimited       = 60_000
	maxSenders       = 30_000
	maxBulk          = 100_000
	maxMessageIDSize = 500
)

func newVolume() volume {
	return volume{limited: counters[limitKey]{most: maxLimited}, senders: counters[string]{most: maxSenders}}
}

// tally is what one message adds to the counters. It is counted before the
// verdict, so that of two messages at once the second sees the first, and taken
// back if the message is not taken.
type tally struct {
	v      *volume
	at     time.Time
	n      int // 1, or 0 to see only what would be.
	limits []limitKey
	sender string
	copies int
	// bulk says that there is enough to make sender a bulk sender, and vouched
	// that the message is really the sender's.
	bulk, vouched bool
}

// tally counts a message to one or more accounts and tells their rows. If it is
// only looked at, nothing is counted.
func (v *volume) tally(rows []mailbox.Message, look bool) *tally {
	v.mu.Lock()
	defer v.mu.Unlock()
	t := &tally{v: v, at: rows[0].Evidence.At, n: 1, copies: len(rows)}
	if look {
		t.n = 0
	}
	first := &rows[0].Evidence
	shared, sender := t.shared(first), t.ofSender(first)
	for i := range rows {
		e := &rows[i].Evidence
		e.Rates = append(t.rates(nil, e.Dials, policy.DialRateAccount, policy.ByAccount, e.Account.Address), shared...)
		e.Sender = sender
	}
	return t
}

// shared are the rates that are the same for every account.
func (t *tally) shared(e *policy.Evidence) (list []policy.Rate) {
	peer := e.Arrival.Peer.Unmap().WithZone("")
	if limited := e.Dials.Limits(policy.DialRatePeer) != nil || e.Dials.Limits(policy.DialRateNetblock) != nil; limited && peer.IsValid() {
		list = t.rates(list, e.Dials, policy.DialRatePeer, policy.ByPeer, peer.String())
		list = t.rates(list, e.Dials, policy.DialRateNetblock, policy.ByNetblock, policy.Netblock(peer).String())
	}
	var signers []string
	for _, d := range e.Auth.DKIM {
		if d.Result == policy.AuthPass && !slices.Contains(signers, d.Domain) {
			signers = append(signers, d.Domain)
			list = t.rates(list, e.Dials, policy.DialRateDKIM, policy.ByDKIM, d.Domain)
		}
	}
	if e.Auth.SPF.Result == policy.AuthPass {
		list = t.rates(list, e.Dials, policy.DialRateSPF, policy.BySPF, e.Auth.SPF.Domain)
	}
	if id := e.Header.MessageID; id != "" && len(id) <= maxMessageIDSize {
		list = t.rates(list, e.Dials, policy.DialRateMessageID, policy.ByMessageID, id)
	}
	return list
}

// rates adds those by one measure, for the limits of a dial.
func (t *tally) rates(list []policy.Rate, dials policy.Dials, dial policy.DialID, by policy.Measure, key string) []policy.Rate {
	limits := dials.Limits(dial)
	if len(limits) == 0 {
		return list
	}
	if by != policy.ByAccount {
		key = strings.Clone(key) // It may be part of a message, which it would keep.
	}
	list, t.limits = slices.Grow(list, len(limits)), slices.Grow(t.limits, len(limits))
	for _, limit := range limits {
		k := limitKey{by, key, limit.Window}
		count := t.v.limited.count(k, t.at, k.window, t.n) + 1 - t.n
		t.limits = append(t.limits, k)
		list = append(list, policy.Rate{By: by, Key: k.key, Count: count, Limit: limit.Count, Window: limit.Window})
	}
	return list
}

// ofSender is what is known of the message's sender. Each account's copy counts.
func (t *tally) ofSender(e *policy.Evidence) policy.Sender {
	from := e.Auth.DMARC.Domain
	s := policy.Sender{Domain: e.Auth.DMARC.OrgDomain}
	if s.Domain == "" {
		s.Domain = from
	}
	if s.Domain == "" {
		return s
	}
	t.sender = strings.Clone(s.Domain)
	s.Volume = t.v.senders.count(t.sender, t.at, bulkWindow, t.n*t.copies) + (1-t.n)*t.copies
	t.bulk, t.vouched = s.Volume >= e.Dials.Count(policy.DialBulkVolume), e.Auth.Vouched()
	if said, ok := t.v.saidOf(from, s.Domain); ok {
		s.Bulk, s.Declared = said, true
		return s
	}
	s.Bulk = t.bulk || t.v.bulk[s.Domain]
	return s
}

// end says whether the message was taken. If not, it was never counted; but a
// sender whose own mail reached the volume has reached it, even if that mail is
// refused for what bulk senders have to do.
func (t *tally) end(taken bool) {
	if t.n == 0 {
		return
	}
	t.v.mu.Lock()
	defer t.v.mu.Unlock()
	if t.bulk && (taken || t.vouched) && len(t.v.bulk) < maxBulk {
		if t.v.bulk == nil {
			t.v.bulk = map[string]bool{}
		}
		t.v.bulk[t.sender] = true
	}
	if taken {
		return
	}
	for _, k := range t.limits {
		t.v.limited.count(k, t.at, k.window, -1)
	}
	if t.sender != "" {
		t.v.senders.count(t.sender, t.at, bulkWindow, -t.copies)
	}
}

// accountRates are the rates of one account if one more message came.
func (v *volume) accountRates(e *policy.Evidence) []policy.Rate {
	v.mu.Lock()
	defer v.mu.Unlock()
	t := &tally{v: v, at: e.At}
	return t.rates(nil, e.Dials, policy.DialRateAccount, policy.ByAccount, e.Account.Address)
}

// saidOf returns what was declared of a domain, or of one above it up to its
// primary domain. The caller holds the lock.
func (v *volume) saidOf(domain, primary string) (bulk, ok bool) {
	for {
		if bulk, ok = v.declared[domain]; ok || domain == primary {
			return bulk, ok
		}
		_, above, found := strings.Cut(domain, ".")
		if !found {
			bulk, ok = v.declared[primary]
			return bulk, ok
		}
		domain = above
	}
}

// DeclareSender says that a domain, with all below it, is a bulk sender, or that
// it is none, whatever its volume.
func (w *World) DeclareSender(domain string, bulk bool) error {
	name, err := registry.ParseDomain(domain)
	if err != nil {
		return fmt.Errorf("sender: %w", err)
	}
	w.volume.mu.Lock()
	defer w.volume.mu.Unlock()
	if w.volume.declared == nil {
		w.volume.declared = map[string]bool{}
	}
	w.volume.declared[name] = bulk
	return nil
}
