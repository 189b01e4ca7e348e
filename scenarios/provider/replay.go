package provider

import (
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
// signature, for as long as the dial dkim.replay-memory says. The zero value is
// empty.
type signatures struct {
	mu    sync.Mutex
	byID  map[string][]sighting // By fingerprint, oldest first.
	order []string              // The keys of byID, oldest first.
}

// sighting is that an account got a mail.
type sighting struct {
	account string
	at      time.Time
}

// replays are the passing signatures of a message for an account that came to
// others since the given time.
func (s *signatures) replays(e *policy.Evidence, since time.Time) []policy.Replay {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []policy.Replay
	for _, d := range e.Auth.DKIM {
		if d.Result != policy.AuthPass {
			continue
		}
		r := policy.Replay{Domain: d.Domain, Fingerprint: d.Fingerprint}
		for _, seen := range s.byID[d.Fingerprint] {
			if seen.account == e.Account.Address || seen.at.Before(since) {
				continue
			}
			if r.Accounts++; r.Accounts == 1 {
				r.First = seen.at
			}
		}
		if r.Accounts > 0 {
			list = append(list, r)
		}
	}
	return list
}

// remember notes the signatures of messages that were kept.
func (s *signatures) remember(rows []mailbox.Message, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID == nil {
		s.byID = map[string][]sighting{}
	}
	for _, row := range rows {
		for _, d := range row.Evidence.Auth.DKIM {
			if d.Result == policy.AuthPass && d.Fingerprint != "" {
				s.add(d.Fingerprint, sighting{row.Account, at})
			}
		}
	}
}

func (s *signatures) add(id string, seen sighting) {
	list, known := s.byID[id]
	if !known {
		s.order = append(s.order, id)
		if len(s.order) > maxSignatures {
			delete(s.byID, s.order[0])
			s.order = s.order[1:]
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

// replayed tells the rows of one transaction which of their signatures came in an
// earlier one.
func (p *Provider) replayed(rows []mailbox.Message) {
	since := p.clock.Now()
	if memory := p.dialsSet().Durations(policy.DialReplayMemory); len(memory) > 0 {
		since = since.Add(-memory[0])
	}
	for i := range rows {
		rows[i].Evidence.Replays = p.signatures.replays(&rows[i].Evidence, since)
	}
}
