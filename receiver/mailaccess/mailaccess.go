// Package mailaccess lets mail programs read mailboxes by IMAP and POP3: the
// third-party clients that can show an action, and can never make the
// provider's token.
//
// It has no mail and no accounts of its own: both are its [Backend]'s. It
// changes nothing: what a client may write, flags and deletions, is kept by the
// server for the clients and never reaches the mail itself.
package mailaccess

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"
)

// Protocol is how a client reads.
type Protocol string

// The protocols.
const (
	IMAP Protocol = "imap" // RFC 9051, RFC 3501.
	POP3 Protocol = "pop3" // RFC 1939.
)

// ErrLogin is the error of a [Backend] for a wrong name or password. Clients
// are not told which of them is wrong.
var ErrLogin = errors.New("mailaccess: wrong user name or password")

// Backend has the mailboxes. Its methods are called from many sessions at once.
type Backend interface {
	// Login returns the mailbox that a client may read, or ErrLogin.
	Login(ctx context.Context, l Login) (Mailbox, error)
	// Accessed is told what a client did: a login, good or bad, a message
	// read. It must not wait for the client.
	Accessed(e Event)
}

// Session is one connection of a client.
type Session struct {
	ID       string     // Unique among the sessions of a server.
	Protocol Protocol   // How it reads.
	Peer     netip.Addr // The client's address; invalid if the connection has none.
	TLS      string     // Protocol version such as "TLS1_3"; empty without TLS.
	// Client is what the program says of itself (RFC 2971), such as
	// "isync 1.4.4"; POP3 has no way to say it.
	Client string
}

// Login is an attempt to log in.
type Login struct {
	Session
	User     string
	Password string
}

// LogValue implements slog.LogValuer: it leaves the password out.
func (l Login) LogValue() slog.Value {
	return slog.GroupValue(slog.String("session", l.ID), slog.String("protocol", string(l.Protocol)), slog.String("user", l.User))
}

// Mailbox is the mail that one login may read.
type Mailbox interface {
	// Name is what the mailbox is called, however the user wrote it at the
	// login: Changes are kept under it.
	Name() string
	// Messages returns what there is, oldest first. UIDs ascend, and neither
	// they nor IDs are ever used again for another message.
	Messages(ctx context.Context) ([]Message, error)
	// Read returns a message's octets, with CRLF line ends as they were
	// stored. They must not be changed.
	Read(ctx context.Context, id string) ([]byte, error)
}

// Message is a message of a mailbox.
type Message struct {
	// ID is its unique id: one to 70 characters of 0x21 to 0x7E, as in UIDL
	// (RFC 1939 section 7).
	ID         string
	UID        uint32    // Its unique identifier in IMAP (RFC 9051 2.3.1.1), from 1.
	Size       int64     // In octets, exactly what Read returns.
	ReceivedAt time.Time // Its internal date (RFC 9051 2.3.3).
}

// EventKind is what a client did.
type EventKind string

// The events.
const (
	EventLogin  EventKind = "login"        // It logged in.
	EventDenied EventKind = "login-denied" // It failed to log in.
	EventClient EventKind = "client"       // It said what program it is, after it had logged in.
	EventRead   EventKind = "read"         // It got a message, or part of it.
)

// Event is what a client did.
type Event struct {
	Session
	Kind    EventKind
	User    string // As given at the login.
	Message string // The ID of the message, for EventRead.
	// Whole says that the client got all of it, and not only the header or a
	// part.
	Whole bool
}
