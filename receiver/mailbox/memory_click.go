package mailbox

import (
	"context"
	"fmt"
	"slices"
)

// PutClick implements [Store]. It fails with ErrTooLarge if the message would
// exceed the world's limit alone, with all its clicks and attempts.
func (m *Memory) PutClick(_ context.Context, c Click) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, err := m.entry(c.World, c.MessageID)
	if err != nil {
		return err
	}
	w := m.worlds[c.World]
	switch {
	case c.ID == "":
		return fmt.Errorf("storing a click on message %q: it has no id", c.MessageID)
	case w.clicks[c.ID] != nil:
		return fmt.Errorf("storing click %q: %w", c.ID, ErrExists)
	case e.size+rowAllowance > m.limits.Bytes:
		return fmt.Errorf("storing click %q: %w", c.ID, ErrTooLarge)
	}
	entry := &clickEntry{click: c, message: e}
	e.clicks = append(e.clicks, entry)
	w.clicks[c.ID] = entry
	w.grow(e, rowAllowance)
	w.evict(m.limits, e)
	return nil
}

// UpdateClick implements [Store].
func (m *Memory) UpdateClick(_ context.Context, c Click) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	entry, err := m.click(c.World, c.ID)
	if err != nil {
		return err
	}
	if entry.click.MessageID != c.MessageID {
		return fmt.Errorf("looking for click %q on message %q: %w", c.ID, c.MessageID, ErrNotFound)
	}
	entry.click = c
	return nil
}

func (m *Memory) click(world, id string) (*clickEntry, error) {
	if w := m.worlds[world]; w != nil && w.clicks[id] != nil {
		return w.clicks[id], nil
	}
	return nil, fmt.Errorf("looking for click %q: %w", id, ErrNotFound)
}

// Clicks implements [Store].
func (m *Memory) Clicks(_ context.Context, world, messageID string) ([]Click, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, err := m.entry(world, messageID)
	if err != nil {
		return nil, err
	}
	list := make([]Click, len(e.clicks))
	for i, c := range e.clicks {
		list[i] = c.click
	}
	return list, nil
}

// AllClicks implements [Store].
func (m *Memory) AllClicks(_ context.Context, world string) ([]Click, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := m.worlds[world]
	if w == nil {
		return nil, nil
	}
	list := make([]Click, 0, len(w.clicks))
	for _, e := range w.all.after(0) {
		if e.gone {
			continue
		}
		for _, c := range e.clicks {
			list = append(list, c.click)
		}
	}
	return list, nil
}

// PutAttempt implements [Store]. It fails with ErrTooLarge as PutClick does.
func (m *Memory) PutAttempt(_ context.Context, a Attempt) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, err := m.click(a.World, a.ClickID)
	if err != nil {
		return err
	}
	size := int64(len(a.Sent)+len(a.Body)) + rowAllowance
	for _, f := range a.Header {
		size += int64(len(f.Name) + len(f.Value))
	}
	for _, h := range a.Hops {
		size += int64(len(h.URL) + len(h.Sent) + len(h.Location))
	}
	switch {
	case a.ID == "":
		return fmt.Errorf("storing an attempt of click %q: it has no id", a.ClickID)
	case slices.ContainsFunc(c.attempts, func(b Attempt) bool { return b.ID == a.ID }):
		return fmt.Errorf("storing attempt %q: %w", a.ID, ErrExists)
	case c.message.size+size > m.limits.Bytes:
		return fmt.Errorf("storing attempt %q: %w", a.ID, ErrTooLarge)
	}
	c.attempts = append(c.attempts, a)
	w := m.worlds[a.World]
	w.grow(c.message, size)
	w.evict(m.limits, c.message)
	return nil
}

// Attempts implements [Store].
func (m *Memory) Attempts(_ context.Context, world, clickID string) ([]Attempt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, err := m.click(world, clickID)
	if err != nil {
		return nil, err
	}
	return slices.Clone(c.attempts), nil
}
