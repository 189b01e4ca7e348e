package provider

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/registry"
)

// volume counts the mail that comes to the providers of a world, by the
// world's clock: for the limits that are set, and for who is a bulk sender.
type volume struct {
	mu       sync.Mutex
	counters map[counterKey]*counter
	bulk     map[string]bool // Primary domains that were bulk senders once.
	declared map[string]bool // Domains that are said to be bulk senders, or not.
}

type counterKey struct {
	by     policy.Measure
	key    string
	window time.Duration
}

// bySender counts for a primary domain, which is not limited.
const bySender policy.Measure = "sender"

// bulkWindow is the time in which a bulk sender sends as much as it takes to be
// one (gmail-inbound.md section 2).
const bulkWindow = 24 * time.Hour

// maxCounters and maxBulk bound what is remembered: 25 MB of counters, of which
// those that stood still for longest are forgotten first, and a list of domains
// that no world outgrows.
const (
	maxCounters = 20_000
	maxBulk     = 100_000
)

// parts is how many parts a window has: what is counted is exact to one of
// them.
const parts = 60

// counter counts within one window.
type counter struct {
	counts [parts]int32
	// at is the part of all time in which it was last counted.
	at int64
}

// count adds n and returns how many there are within the window that ends now.
// A clock does not go back.
func (c *counter) count(now time.Time, window time.Duration, n int) int {
	at := now.UnixNano() / int64(window/parts)
	slot := func(at int64) *int32 { return &c.counts[(at%parts+parts)%parts] }
	for stale := max(c.at+1, at-parts+1); stale <= at; stale++ {
		*slot(stale) = 0
	}
	c.at = max(c.at, at)
	*slot(at) += int32(n)
	sum := 0
	for _, k := range c.counts {
		sum += int(k)
	}
	return sum
}

// count counts n messages and returns how many there are.
func (v *volume) count(k counterKey, now time.Time, n int) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	c := v.counters[k]
	if c == nil {
		if v.counters == nil {
			v.counters = map[counterKey]*counter{}
		}
		if len(v.counters) >= maxCounters {
			v.forget()
		}
		c = &counter{at: now.UnixNano()/int64(k.window/parts) - parts}
		v.counters[k] = c
	}
	return c.count(now, k.window, n)
}

// forget drops the half of the counters that stood still for longest. The
// caller holds the lock.
func (v *volume) forget() {
	last := func(k counterKey) int64 { return v.counters[k].at * int64(k.window/parts) }
	var all []int64
	for k := range v.counters {
		all = append(all, last(k))
	}
	slices.Sort(all)
	for k := range v.counters {
		if last(k) <= all[len(all)/2] {
			delete(v.counters, k)
		}
	}
}

// rates are those of a message, for the limits that are set. n is 1 to count the
// message, and 0 to see what would be if it came.
func (v *volume) rates(e *policy.Evidence, n int) []policy.Rate {
	var list []policy.Rate
	add := func(dial policy.DialID, by policy.Measure, key string) {
		if key == "" {
			return
		}
		for _, limit := range e.Dials.Limits(dial) {
			count := v.count(counterKey{by, key, limit.Window}, e.At, n)
			list = append(list, policy.Rate{By: by, Key: key, Count: count + 1 - n, Limit: limit.Count, Window: limit.Window})
		}
	}
	add(policy.DialRateAccount, policy.ByAccount, e.Account.Address)
	if peer := e.Arrival.Peer.Unmap(); peer.IsValid() {
		add(policy.DialRatePeer, policy.ByPeer, peer.String())
		add(policy.DialRateNetblock, policy.ByNetblock, policy.Netblock(peer).String())
	}
	var signers []string
	for _, d := range e.Auth.DKIM {
		if d.Result == policy.AuthPass && !slices.Contains(signers, d.Domain) {
			signers = append(signers, d.Domain)
			add(policy.DialRateDKIM, policy.ByDKIM, d.Domain)
		}
	}
	if e.Auth.SPF.Result == policy.AuthPass {
		add(policy.DialRateSPF, policy.BySPF, e.Auth.SPF.Domain)
	}
	add(policy.DialRateMessageID, policy.ByMessageID, e.Header.MessageID)
	return list
}

// sender is what is known of the sender of a message, with n as for rates.
func (v *volume) sender(e *policy.Evidence, n int) policy.Sender {
	from := e.Auth.DMARC.Domain
	s := policy.Sender{Domain: e.Auth.DMARC.OrgDomain}
	if s.Domain == "" {
		s.Domain = from
	}
	if s.Domain == "" {
		return s
	}
	s.Volume = v.count(counterKey{bySender, s.Domain, bulkWindow}, e.At, n) + 1 - n
	v.mu.Lock()
	defer v.mu.Unlock()
	if said, ok := v.saidOf(from, s.Domain); ok {
		s.Bulk, s.Declared = said, true
		return s
	}
	if s.Volume >= e.Dials.Count(policy.DialBulkVolume) && n > 0 && len(v.bulk) < maxBulk {
		if v.bulk == nil {
			v.bulk = map[string]bool{}
		}
		v.bulk[s.Domain] = true
	}
	s.Bulk = v.bulk[s.Domain]
	return s
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
