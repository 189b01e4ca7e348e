package mailbox

import (
	"context"
	"fmt"
	"slices"
)

// What a world keeps of outgoing mail and of sessions, beside its messages:
// enough for a test run.
const (
	maxRows     = 1000
	maxRowBytes = 64 << 20
)

// rows are the newest rows of one kind, in the order of their first storing.
type rows[T any] struct {
	list    []T
	bytes   int64
	evicted int64 // How many were forgotten.
}

// put stores a row, or replaces the one that same finds, and forgets the oldest
// ones beyond the limits.
func (r *rows[T]) put(row T, same func(T) bool, size func(T) int64) {
	if i := slices.IndexFunc(r.list, same); i >= 0 {
		r.bytes += size(row) - size(r.list[i])
		r.list[i] = row
		return
	}
	r.list = append(r.list, row)
	r.bytes += size(row)
	for len(r.list) > maxRows || r.bytes > maxRowBytes && len(r.list) > 1 {
		r.bytes -= size(r.list[0])
		r.list = slices.Delete(r.list, 0, 1)
		r.evicted++
	}
}

// PutOutgoing implements [Store].
func (m *Memory) PutOutgoing(_ context.Context, o Outgoing) error {
	if o.World == "" || o.ID == "" {
		return fmt.Errorf("storing outgoing mail %q of world %q: both names are needed", o.ID, o.World)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.world(o.World).outgoing.put(o, func(b Outgoing) bool { return b.ID == o.ID }, func(b Outgoing) int64 { return int64(len(b.Raw)) + rowAllowance })
	return nil
}

// Outgoing implements [Store].
func (m *Memory) Outgoing(_ context.Context, world string) ([]Outgoing, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if w := m.worlds[world]; w != nil {
		return slices.Clone(w.outgoing.list), nil
	}
	return nil, nil
}

// EvictedOutgoing implements [Store].
func (m *Memory) EvictedOutgoing(_ context.Context, world string) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if w := m.worlds[world]; w != nil {
		return w.outgoing.evicted, nil
	}
	return 0, nil
}

// PutAccess implements [Store].
func (m *Memory) PutAccess(_ context.Context, a Access) error {
	if a.World == "" || a.ID == "" {
		return fmt.Errorf("storing access %q of world %q: both names are needed", a.ID, a.World)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.world(a.World).accesses.put(a, func(b Access) bool { return b.ID == a.ID }, func(b Access) int64 { return int64(len(b.Read))*32 + rowAllowance })
	return nil
}

// Accesses implements [Store].
func (m *Memory) Accesses(_ context.Context, world string) ([]Access, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if w := m.worlds[world]; w != nil {
		return slices.Clone(w.accesses.list), nil
	}
	return nil, nil
}

// Fetched implements [Store].
func (m *Memory) Fetched(_ context.Context, world, account, source string, uids []string) (map[string]bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := map[string]bool{}
	if w := m.worlds[world]; w != nil {
		for _, uid := range uids {
			if w.fetched[fetchKey{account, source, uid}] {
				found[uid] = true
			}
		}
	}
	return found, nil
}
