package mailbox

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// Limits bound what a [Memory] keeps of each world. They are per world, so
// that a flood in one takes nothing away from another.
type Limits struct {
	Messages int // Zero is DefaultMessages.
	// Bytes is compared with the octets of raw messages, requests sent and
	// answers received, plus a rough allowance for the rest of each row. The
	// process takes about twice as much, as Go lets garbage gather.
	// Zero is DefaultBytes.
	Bytes int64
}

// The default limits: enough for a long test run, and little enough for a
// developer's machine.
const (
	DefaultMessages = 10_000
	DefaultBytes    = 256 << 20
)

// What a row is taken to need beside its octets.
const (
	messageAllowance = 7 << 10 // Evidence and findings; measured for signed mail.
	actionAllowance  = 4 << 10 // An action of a message, with its findings; measured.
	rowAllowance     = 2 << 10 // The plan of a click, the header of an answer.
)

// Memory is a [Store] in memory. What it holds is lost with the process.
type Memory struct {
	limits Limits

	mu     sync.Mutex
	worlds map[string]*world
}

// NewMemory returns an empty store. It has nothing that needs closing.
func NewMemory(limits Limits) *Memory {
	if limits.Messages <= 0 {
		limits.Messages = DefaultMessages
	}
	if limits.Bytes <= 0 {
		limits.Bytes = DefaultBytes
	}
	return &Memory{limits: limits, worlds: map[string]*world{}}
}

// world returns a world's rows, which may be none yet. The caller holds mu.
func (m *Memory) world(name string) *world {
	w := m.worlds[name]
	if w == nil {
		w = newWorld()
		m.worlds[name] = w
	}
	return w
}

// Put implements [Store]. It fails with ErrTooLarge if the messages of one
// world exceed its limits alone.
func (m *Memory) Put(_ context.Context, messages ...Message) error {
	entries := make([]*entry, len(messages))
	for i, msg := range messages {
		entries[i] = newEntry(msg)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.checkPut(entries); err != nil {
		return err
	}
	for _, e := range entries {
		w := m.world(e.msg.World)
		w.add(e)
		w.evict(m.limits, nil)
		w.announce(e.msg.Account)
	}
	return nil
}

// checkPut says why messages cannot be stored. Since those of a world fit
// into it together, storing one never evicts another one of them.
func (m *Memory) checkPut(entries []*entry) error {
	type key struct{ world, id string }
	seen := make(map[key]bool, len(entries))
	count, size := map[string]int{}, map[string]int64{}
	for _, e := range entries {
		msg := &e.msg
		if msg.World == "" || msg.ID == "" {
			return fmt.Errorf("storing message %q of world %q: both names are needed", msg.ID, msg.World)
		}
		k := key{msg.World, msg.ID}
		if w := m.worlds[msg.World]; seen[k] || w != nil && w.messages[msg.ID] != nil {
			return fmt.Errorf("storing message %q: %w", msg.ID, ErrExists)
		}
		seen[k] = true
		count[msg.World]++
		size[msg.World] += e.size
		if count[msg.World] > m.limits.Messages || size[msg.World] > m.limits.Bytes {
			return fmt.Errorf("storing message %q: %w", msg.ID, ErrTooLarge)
		}
	}
	return nil
}

// Message implements [Store].
func (m *Memory) Message(_ context.Context, world, id string) (Message, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, err := m.entry(world, id)
	if err != nil {
		return Message{}, err
	}
	return e.msg, nil
}

func (m *Memory) entry(world, id string) (*entry, error) {
	if w := m.worlds[world]; w != nil && w.messages[id] != nil {
		return w.messages[id], nil
	}
	return nil, fmt.Errorf("looking for message %q: %w", id, ErrNotFound)
}

// Messages implements [Store].
func (m *Memory) Messages(_ context.Context, q Query) ([]Message, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if w := m.worlds[q.World]; w != nil {
		return w.find(q), nil
	}
	return nil, nil
}

// Wait implements [Store].
func (m *Memory) Wait(ctx context.Context, q Query) (Message, error) {
	q.Limit = 1
	m.mu.Lock()
	defer m.mu.Unlock()
	w := m.world(q.World)
	for {
		if found := w.find(q); len(found) > 0 {
			return found[0], nil
		}
		if ctx.Err() != nil {
			return Message{}, fmt.Errorf("waiting for a message: %w", context.Cause(ctx))
		}
		g := w.enter(q.Account)
		m.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-g.opened:
		}
		m.mu.Lock()
		w.leave(q.Account, g)
	}
}

// SeenURLs implements [Store]. A message that was evicted does not count.
func (m *Memory) SeenURLs(_ context.Context, world string, urls []string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := m.worlds[world]
	if w == nil {
		return nil, nil
	}
	var seen []string
	for _, u := range urls {
		if w.urls[u] > 0 && !slices.Contains(seen, u) {
			seen = append(seen, u)
		}
	}
	return seen, nil
}

// LastSeq implements [Store].
func (m *Memory) LastSeq(_ context.Context, world string) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if w := m.worlds[world]; w != nil {
		return w.seq, nil
	}
	return 0, nil
}

// Evicted implements [Store].
func (m *Memory) Evicted(_ context.Context, world string) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if w := m.worlds[world]; w != nil {
		return w.evicted, nil
	}
	return 0, nil
}

var _ Store = (*Memory)(nil)
