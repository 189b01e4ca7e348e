package mailbox

import (
	"context"
	"errors"
)

// Errors of a [Store]. They come wrapped.
var (
	ErrNotFound = errors.New("mailbox: not found") // There is no such row, or not any more.
	ErrExists   = errors.New("mailbox: already stored")
	ErrTooLarge = errors.New("mailbox: larger than the whole store may be")
)

// Query selects messages of one world.
type Query struct {
	World    string
	Account  string // Empty is every account.
	AfterSeq int64  // Only those whose Seq is greater.
	Limit    int    // At most so many, the oldest ones; zero is no limit.
	Refused  bool   // Refused messages as well, which otherwise are left out.
}

// Store keeps rows. Every row belongs to a world, and no call sees the rows of
// another one.
//
// All methods may be called at the same time from several goroutines. A nil
// error of a writing method means stored: every later call sees the row, and
// a store that outlives the process has it on disk. Any other error means
// that nothing was changed.
//
// Rows are shared, not copied: neither who puts a row nor who gets it may
// change what its slices, maps and pointers lead to. The structs themselves
// and the lists returned are the caller's own.
//
// A store may have bounds, and then forgets the oldest messages of a world to
// keep the newest, each with all its clicks and attempts. Evicted tells how
// many.
type Store interface {
	// Put stores messages: all or none. They get their Seq in the order
	// given. It fails with ErrExists if the world has a message of that ID.
	Put(ctx context.Context, messages ...Message) error
	// Message returns one message, or ErrNotFound.
	Message(ctx context.Context, world, id string) (Message, error)
	// Messages returns messages in the order of their Seq.
	Messages(ctx context.Context, q Query) ([]Message, error)
	// LastSeq returns the Seq of the latest message that was ever stored, zero
	// if there was none.
	LastSeq(ctx context.Context, world string) (int64, error)
	// Wait returns the first message that the query selects; if there is
	// none yet, it waits for one. It fails with the cause of ctx's end.
	Wait(ctx context.Context, q Query) (Message, error)
	// SeenURLs returns those of the URLs that are a handler's URL in some
	// stored message of the world, in the order given, each once. Refused
	// messages do not count, since a sender may send them again.
	SeenURLs(ctx context.Context, world string, urls []string) ([]string, error)
	// Evicted returns how many messages of the world were forgotten.
	Evicted(ctx context.Context, world string) (int64, error)

	// PutClick stores a click. It fails with ErrNotFound without its
	// message, and with ErrExists if the world has a click of that ID.
	PutClick(ctx context.Context, c Click) error
	// UpdateClick replaces the click of the same World, ID and MessageID, or
	// fails with ErrNotFound.
	UpdateClick(ctx context.Context, c Click) error
	// Clicks returns the clicks on a message, oldest first, or ErrNotFound
	// without the message.
	Clicks(ctx context.Context, world, messageID string) ([]Click, error)
	// AllClicks returns the clicks on all messages of a world, oldest message
	// first and each one's oldest first.
	AllClicks(ctx context.Context, world string) ([]Click, error)

	// PutAttempt stores an attempt. It fails with ErrNotFound without its
	// click, and with ErrExists if the click has an attempt of that ID.
	PutAttempt(ctx context.Context, a Attempt) error
	// Attempts returns the attempts of a click, oldest first, or ErrNotFound
	// without the click.
	Attempts(ctx context.Context, world, clickID string) ([]Attempt, error)

	// Fetched returns those of the UIDs that a stored message of the account
	// has, fetched from that source; also of messages that were forgotten, or
	// they would be fetched again.
	Fetched(ctx context.Context, world, account, source string, uids []string) (map[string]bool, error)

	// PutOutgoing stores an outgoing mail, or replaces the one of its ID. A
	// store may forget the oldest ones.
	PutOutgoing(ctx context.Context, o Outgoing) error
	// Outgoing returns the outgoing mail of a world, oldest first.
	Outgoing(ctx context.Context, world string) ([]Outgoing, error)
	// EvictedOutgoing returns how many outgoing mails of the world were
	// forgotten.
	EvictedOutgoing(ctx context.Context, world string) (int64, error)
	// PutAccess stores a session, or replaces the one of its ID. A store may
	// forget the oldest ones.
	PutAccess(ctx context.Context, a Access) error
	// Accesses returns the sessions of a world, oldest first.
	Accesses(ctx context.Context, world string) ([]Access, error)
}
