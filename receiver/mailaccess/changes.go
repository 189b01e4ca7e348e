package mailaccess

import (
	"slices"
	"sync"
)

// Changes are the flags and deletions that clients made, for all accounts. The
// mail itself stays as it is: the provider's record of what came must not
// depend on what a client does with it.
type Changes struct {
	mu    sync.Mutex
	boxes map[string]*changed // By the name of the mailbox.
}

// changed is what clients changed in one mailbox.
type changed struct {
	flags   map[string][]string // By message ID, sorted.
	deleted map[string]bool     // Message IDs that are gone for clients.
}

// NewChanges returns an empty record.
func NewChanges() *Changes { return &Changes{boxes: map[string]*changed{}} }

// Delete hides messages of a mailbox from clients.
func (c *Changes) Delete(name string, ids ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		c.of(name).deleted[id] = true
		delete(c.of(name).flags, id)
	}
}

// Keep returns those messages of a mailbox that no client has deleted.
func (c *Changes) Keep(name string, all []Message) []Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	gone := c.of(name).deleted
	return slices.DeleteFunc(slices.Clone(all), func(m Message) bool { return gone[m.ID] })
}

// Flags returns the flags of a message, sorted.
func (c *Changes) Flags(name, id string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.of(name).flags[id])
}

// editFlags changes the flags of a message in one step, unless it would have too
// many, and returns what it has then.
func (c *Changes) editFlags(name, id string, edit func([]string) []string) (flags []string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.of(name)
	flags = edit(slices.Clone(u.flags[id]))
	if len(flags) > imapMaxFlags {
		return slices.Clone(u.flags[id]), false
	}
	slices.Sort(flags)
	if !u.deleted[id] {
		u.flags[id] = flags
	}
	return slices.Clone(flags), true
}

// of returns the record of one mailbox. The caller holds mu.
func (c *Changes) of(name string) *changed {
	got := c.boxes[name]
	if got == nil {
		got = &changed{flags: map[string][]string{}, deleted: map[string]bool{}}
		c.boxes[name] = got
	}
	return got
}
