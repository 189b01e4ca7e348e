package provider

import (
	"slices"
	"sync"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
)

// Bounds of what is remembered of signatures: how many of them, and to how many
// accounts each came. One more than the dial dkim.replay-accounts can ask for.
const (
	maxSignatures      = 10_000
	maxSignatureOwners = 101
)

// signatures remembers which accounts of a provider got mail with which DKIM
// signature of its author's, for as long as the dial dkim.replay-memory says. The
// zero value is empty.
type signatures struct {
	mu       sync.Mutex
	byID     map[string][]sighting // By fingerprint, oldest first.
	byDomain map[string][]string   // The keys of byID by the signing organisation, oldest first.
}

// sighting is that an account got a mail.
type sighting struct {
	account string
	at      time.Time
}

// replays are the author's passing signatures of a message for an account that
// came to others since the given time, or come to others now.
func (s *signatures) replays(e *policy.Evidence, since, now time.Time, others map[string][]string) []policy.Replay {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []policy.Replay
	for _, d := range authors(e) {
		r := policy.Replay{Domain: d.Domain, Fingerprint: d.Fingerprint}
		var earlier []string
		for _, seen := range s.byID[d.Fingerprint] {
			if seen.account == e.Account.Address || seen.at.Before(since) {
				continue
			}
			earlier = append(earlier, seen.account)
			if r.Accounts++; r.Accounts == 1 {
				r.First = seen.at
			}
		}
		for _, account := range others[d.Fingerprint] {
			if account == e.Account.Address || slices.Contains(earlier, account) {
				continue
			}
			if r.Accounts++; r.Accounts == 1 {
				r.First = now
			}
		}
		if r.Accounts > 0 {
			list = append(list, r)
		}
	}
	return list
}

// authors are the author's passing signatures of a message. Those of others are
// nothing to go by, and anybody can add many.
func authors(e *policy.Evidence) []policy.DKIM {
	var list []policy.DKIM
	for _, d := range e.Auth.DKIM {
		if d.Result == policy.AuthPass && d.Fingerprint != "" && e.Auth.Aligned(d.Domain, d.OrgDomain) {
			list = append(list, d)
		}
	}
	return list
}

// remember notes the signatures of messages that were kept.
func (s *signatures) remember(rows []mailbox.Message, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID == nil {
		s.byID, s.byDomain = map[string][]sighting{}, map[string][]string{}
	}
	for i := range rows {
		for _, d := range authors(&rows[i].Evidence) {
			domain := d.OrgDomain
			if domain == "" {
				domain = d.Domain
			}
			s.add(domain, d.Fingerprint, sighting{rows[i].Account, at})
		}
	}
}

func (s *signatures) add(domain, id string, seen sighting) {
	list, known := s.byID[id]
	if !known {
		s.byDomain[domain] = append(s.byDomain[domain], id)
		if len(s.byID) >= maxSignatures {
			s.forget()
		}
	}
	for i := range list {
		if list[i].account == seen.account {
			// Each account counts once, with its last mail.
			list = append(list[:i], list[i+1:]...)
			break
		}
	}
	if list = append(list, seen); len(list) > maxSignatureOwners {
		list = list[1:]
	}
	s.byID[id] = list
}

// forget drops the oldest signature of the domain that has most, so that who
// sends much makes room for himself alone.
func (s *signatures) forget() {
	most := ""
	for domain, ids := range s.byDomain {
		if n := len(s.byDomain[most]); len(ids) > n || len(ids) == n && domain < most {
			most = domain
		}
	}
	ids := s.byDomain[most]
	delete(s.byID, ids[0])
	if s.byDomain[most] = ids[1:]; len(ids) == 1 {
		delete(s.byDomain, most)
	}
}

// replayed tells the rows of one transaction which of their signatures came to
// other accounts, in an earlier one or in this one.
func (p *Provider) replayed(rows []mailbox.Message) {
	now := p.clock.Now()
	since := now
	if memory := p.dialsSet().Durations(policy.DialReplayMemory); len(memory) > 0 {
		since = since.Add(-memory[0])
	}
	together := map[string][]string{}
	if len(rows) > 1 {
		for i := range rows {
			for _, d := range authors(&rows[i].Evidence) {
				if account := rows[i].Evidence.Account.Address; !slices.Contains(together[d.Fingerprint], account) {
					together[d.Fingerprint] = append(together[d.Fingerprint], account)
				}
			}
		}
	}
	for i := range rows {
		rows[i].Evidence.Replays = p.signatures.replays(&rows[i].Evidence, since, now, together)
	}
}
