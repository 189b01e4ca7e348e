package mailaccess

import (
	"crypto/tls"
	"log/slog"
)

// Options configure a server. Backend and Hostname must be set.
type Options struct {
	Backend  Backend
	Hostname string // The name in the greeting, such as "imap.gmail.test".
	// TLSConfig is for STARTTLS and STLS; nil offers neither. A listener for
	// TLS from the first octet is wrapped by the caller (tls.NewListener).
	TLSConfig *tls.Config
	// InsecureLogin lets clients log in without TLS. Otherwise they are told
	// that they may not.
	InsecureLogin bool
	// Changes keeps what clients write: flags and deletions. Nil makes
	// mailboxes read-only, and what would write is refused. Servers of the same
	// accounts share one.
	Changes *Changes
	Logger  *slog.Logger // Nil discards. No password is ever logged.
}
