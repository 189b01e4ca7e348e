// Package popfetch fetches another mailbox by POP3 for the provider: once per
// call, byte for byte, each message once.
//
// It judges no mail and keeps none: messages go to the caller's [Sink], which
// also remembers what it has. It speaks RFC 1939, 2449, 2595 and 5034; it knows
// neither APOP nor UTF8. Lines end in CRLF and in nothing else: a server whose
// lines end in LF alone is refused, and a CR or LF that stands alone in a
// message stays as it is and begins no line. Where a message has no line end at
// its end POP3 adds one, and nobody can tell afterwards.
package popfetch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/policy"
)

// TLSMode is how the connection to a source is secured.
type TLSMode string

// The modes. None falls back to another.
const (
	TLSImplicit TLSMode = "implicit" // From the first octet, as on port 995 (RFC 8314 3.3).
	TLSSTLS     TLSMode = "stls"     // After STLS, as on port 110 (RFC 2595 4).
	TLSNone     TLSMode = "none"     // Never: to this machine only.
)

// Source is a mailbox elsewhere, and how to get at it. However it is printed,
// logged or marshalled, the password is left out.
type Source struct {
	Address  string  `json:"address"` // The address of the mailbox.
	Host     string  `json:"host"`
	Port     int     `json:"port"`
	Login    string  `json:"login"` // The user name of the login.
	Password string  `json:"-"`
	TLS      TLSMode `json:"tls"`
	Keep     bool    `json:"keep"` // Leave the messages on the server.
}

// String says which mailbox it is.
func (s Source) String() string {
	return fmt.Sprintf("%s as %q at %s (%s)", s.Address, s.Login, s.hostPort(), s.TLS)
}

// Format implements [fmt.Formatter], for every verb: %d would print the fields.
func (s Source) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue implements [slog.LogValuer].
func (s Source) LogValue() slog.Value { return slog.StringValue(s.String()) }

func (s Source) hostPort() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// check returns all that is wrong with s.
func (s Source) check() error {
	var errs []error
	if s.Host == "" {
		errs = append(errs, errors.New("no host"))
	}
	if s.Port < 1 || s.Port > 65535 {
		errs = append(errs, fmt.Errorf("port %d is none", s.Port))
	}
	if s.TLS != TLSImplicit && s.TLS != TLSSTLS && s.TLS != TLSNone {
		errs = append(errs, fmt.Errorf("unknown TLS mode %q", s.TLS))
	}
	if s.Login == "" {
		errs = append(errs, errors.New("no login"))
	}
	// They would be commands of their own, or fields of their own in PLAIN.
	if strings.ContainsAny(s.Login+s.Password, "\r\n\x00") {
		errs = append(errs, errors.New("line end or NUL in login or password"))
	}
	return errors.Join(errs...)
}

// Sink takes the messages of one source.
type Sink interface {
	// Seen returns which of these UIDs are stored already.
	Seen(ctx context.Context, uids []string) (map[string]bool, error)
	// Store takes a message. It returns nil only when the message and its UID
	// are stored: after that the message may be deleted at the source. raw is
	// the Sink's.
	Store(ctx context.Context, f policy.Fetch, raw []byte) error
}

// Options are how to fetch. The zero value is usable.
type Options struct {
	// Dial connects; nil is a [net.Dialer]. For TLSNone it must lead to a
	// loopback address, a Unix socket or a pipe.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// TLSConfig is for both modes of TLS; nil is Go's default. Without
	// ServerName it is the source's host.
	TLSConfig *tls.Config
	// Timeout is how long the server may take for the first line of an answer,
	// and how long it may be silent in the rest of one; default 1 minute. It is
	// measured by the real clock. The whole is bounded by the context alone.
	Timeout time.Duration
	// MaxMessage is how many octets a message may have; default 157286400, as
	// by SMTP (gmail-inbound.md 1.1). If one has more although LIST does not
	// say so, it is read to its end without being kept, unless it has more than
	// twice as many: that ends the session.
	MaxMessage int64
	// MaxMessages is how many messages are stored in one call; default 1000.
	// The others wait for the next one.
	MaxMessages int
	Logger      *slog.Logger // Nil discards. No password or mail is ever logged.
}

// The defaults of Options.
const (
	defaultTimeout     = time.Minute
	defaultMaxMessage  = 157286400
	defaultMaxMessages = 1000
)

func (o Options) withDefaults() (Options, error) {
	if o.Timeout < 0 || o.MaxMessage < 0 || o.MaxMessages < 0 {
		return o, errors.New("a limit is negative")
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.MaxMessage == 0 {
		o.MaxMessage = defaultMaxMessage
	}
	if o.MaxMessages == 0 {
		o.MaxMessages = defaultMaxMessages
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// Result is what a call of [Fetch] did. It is right whether or not there is an
// error as well.
type Result struct {
	LoggedIn bool // The server took login and password.
	Listed   int  // Messages in the mailbox.
	Fetched  int  // Messages that were stored.
	Known    int  // Messages that had been stored before.
	Left     int  // Messages that were not looked at, because of Options.MaxMessages or an error.
	// Deleted are the messages that the server has deleted: it said so when it
	// was told QUIT.
	Deleted int
	// TooLarge are the messages of more than Options.MaxMessage octets. They
	// are left on the server.
	TooLarge []Refused
	// Refused are the messages that the server would not give, that the Sink
	// would not store, or that the server would not delete.
	Refused []Refused
	// Problems are the server's deviations from the protocol that were got over.
	Problems []policy.Problem
}

// Refused is a message with which something went wrong that did not stop the
// others.
type Refused struct {
	Number int    // Its number in that session.
	UID    string // Its unique id; empty if it is not known.
	Size   int64  // In octets: what was read, or else what LIST says.
	Err    error
}

// The problems.
const (
	ProblemNoUIDL       policy.Reason = "pop-no-uidl"       // The server has no unique ids (RFC 1939 section 7).
	ProblemUIDSyntax    policy.Reason = "pop-uid-syntax"    // A unique id is not 1 to 70 octets from 0x21 to 0x7E (the same).
	ProblemUIDDuplicate policy.Reason = "pop-uid-duplicate" // Two messages have the same unique id.
	ProblemSize         policy.Reason = "pop-size"          // A message has another size than LIST says.
	ProblemDot          policy.Reason = "pop-dot"           // A line begins with one dot, which was not doubled (RFC 1939 section 3).
	ProblemQuit         policy.Reason = "pop-quit"          // QUIT was not answered with +OK, when nothing depended on it.
)

// ErrTooLarge is the error of a message that is too large.
var ErrTooLarge = errors.New("popfetch: message too large")

// ErrPlaintext is the error for a source without TLS that is not on this
// machine. Nothing has been sent to it.
var ErrPlaintext = errors.New("popfetch: refusing to send a password without TLS to another machine")

// LoginError says that the server did not let us in.
type LoginError struct {
	Server  string // Its host and port.
	Command string // What it refused: "greeting", "USER", "PASS" or "AUTH PLAIN".
	// Code is the response code, without brackets: "AUTH" for wrong
	// credentials, "IN-USE", "LOGIN-DELAY", "SYS/TEMP" and "SYS/PERM" for what
	// is no fault of theirs (RFC 2449 8, RFC 3206); empty if there is none.
	Code string
	Text string // What the server said, without the code.
}

// Error implements error.
func (e *LoginError) Error() string {
	return fmt.Sprintf("%s of %s: %v", e.Command, e.Server, &refusal{e.Code, e.Text})
}

// Fetch logs in to a source, hands every message that the sink does not have to
// it, and logs out. Unless the source is to keep them, the messages that the
// sink has are then deleted, those from earlier calls too.
//
// A message counts as had only when [Sink.Store] has returned nil, and what is
// deleted is deleted only at the end of the session. So if a call is cut short
// anywhere, the next one fetches what the sink does not have, and nothing twice.
//
// Messages are told apart by their unique id. Where a message has none that is
// well-formed, and from the second message with the same one on, the SHA-256 of
// its octets in hexadecimal stands in for it: these are read each time, and
// stored once.
//
// The error is a [*LoginError] if the server refused the login; every error
// says at which command it came. What concerns single messages is in the Result.
func Fetch(ctx context.Context, src Source, sink Sink, o Options) (Result, error) {
	o, err := o.withDefaults()
	if err == nil {
		err = src.check()
	}
	if err != nil {
		return Result{}, fmt.Errorf("configuring fetch of %s: %w", src.hostPort(), err)
	}
	c, err := dial(ctx, src, o)
	if err != nil {
		return Result{}, err
	}
	defer c.close()
	f := fetch{conn: c, src: src, sink: sink, opts: o, log: o.Logger.With("source", src)}
	err = f.run()
	f.result.Problems = f.problems.List()
	f.log.Debug("fetched by POP3", "listed", f.result.Listed, "fetched", f.result.Fetched, "known", f.result.Known, "deleted", f.result.Deleted, "error", err)
	return f.result, err
}
