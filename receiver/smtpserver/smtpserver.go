// Package smtpserver speaks the server side of SMTP, in Gmail's words, for
// whoever stands behind it as a Backend.
//
// It has no opinion about mail: which recipients exist and what becomes of a
// message is its Backend's. It knows no accounts, judges nothing and stores
// nothing; it takes care that a message is handed over byte for byte, once,
// with the envelope it really had, and that no byte of a message is ever taken
// for a command, nor the other way round.
//
// The dialogue's state is kept by go-smtp. Between it and the connection
// stands a wire: it hands go-smtp one checked command at a time, reads the
// octets of messages itself, and words the replies. Those that no Backend gives
// are listed by Replies.
package smtpserver

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"time"
)

// Backend decides about sessions, recipients and messages. Its methods are
// called from many sessions at once. A panic in one of them is logged without
// its value, answered with 421, and ends that session.
type Backend interface {
	// Admit says whether the session may go on at a stage before any recipient:
	// nil is yes, a Reply with a 4xx or 5xx code is no. 421 and 451 4.4.2 end the
	// session, and at StageConnect every refusal does. What is refused at another
	// stage leaves the session as it was. The envelope must be neither changed nor
	// kept.
	Admit(ctx context.Context, e *Envelope, at Stage) *Reply
	// Rcpt says whether rcpt is accepted; nil is yes, in Gmail's words, and a
	// 2xx Reply is yes in its own. A refusal has a 4xx or 5xx code. The envelope
	// is that of the transaction so far, without rcpt: it must be neither changed
	// nor kept.
	Rcpt(ctx context.Context, e *Envelope, rcpt string) *Reply
	// Deliver takes a message for all recipients of the envelope and gives the
	// one answer for all. It must have stored the message before it returns a
	// 2xx code. raw is the message as it was sent, dot-stuffing undone; it and
	// the envelope's slices are the callee's. ctx ends when the server is made
	// to stop without waiting.
	Deliver(ctx context.Context, e Envelope, raw []byte) Reply
}

// Stage is a point of the session at which Backend.Admit is asked.
type Stage string

// The stages, and what the envelope has by then besides Session.
const (
	StageConnect Stage = "connect" // Before the greeting: Peer and Socket.
	// StageHello is at EHLO or HELO: HELO, ESMTP and, after STARTTLS, TLS too. In
	// the middle of a session the rest is that of the transaction which would end.
	StageHello Stage = "hello"
	// StageMail is at MAIL: From and its parameters too. Options.MaxSize has been
	// compared with DeclaredSize.
	StageMail Stage = "mail"
)

// Envelope is a mail transaction and the session it is part of (RFC 5321 3.3).
type Envelope struct {
	Session string     // Our id of the session, in Gmail's shape (gmail-inbound.md 1.2).
	Peer    netip.Addr // The client's address, as it is to be judged; invalid if unknown.
	Socket  netip.Addr // The address of the connection; invalid if it has none.
	HELO    string     // The argument of EHLO or HELO.
	ESMTP   bool       // The client said EHLO.
	// TLS is the state of the connection after STARTTLS; nil without.
	TLS *tls.ConnectionState
	// From is the reverse-path and Rcpts are the forward-paths, without
	// brackets and source route, otherwise as written: quoted local parts stay
	// quoted. An empty From is the null reverse-path. "Postmaster", in any case,
	// may stand in Rcpts without a domain.
	From         string
	Rcpts        []string
	UTF8         bool   // SMTPUTF8 was given (RFC 6531).
	Body         string // BODY as given, in upper case: "7BIT", "8BITMIME" or "" (RFC 6152).
	DeclaredSize int64  // SIZE in octets; 0 if not given (RFC 1870).
}

// BareLineEnds says what becomes of a message in which a CR or LF stands
// alone. Whatever it says, only CRLF "." CRLF ends DATA.
type BareLineEnds string

// The treatments. What Gmail does is not known.
const (
	BareLineEndsAccept BareLineEnds = "accept" // The octets are handed over untouched.
	BareLineEndsReject BareLineEnds = "reject" // 554 5.6.0 at the end of the message, by DATA or by BDAT.
)

// PipelinedHello says what becomes of commands that came with the first EHLO or
// HELO, or the first under TLS. The client must not send them before it has the
// answer (RFC 2920 3.1); but whether they are there already when the server looks
// depends on how they were cut into packets.
type PipelinedHello string

// The treatments. Gmail has the refusal; what brings it about is not known.
const (
	PipelinedHelloAccept PipelinedHello = "accept" // They are run, after EHLO.
	PipelinedHelloReject PipelinedHello = "reject" // 451 4.5.0 to EHLO, and the session ends.
)

// Options configure a Server. Backend and Hostname must be set; everything
// else has a default.
type Options struct {
	Backend  Backend
	Hostname string // The name in the greeting, such as "mx.gmail.test".
	// TLSConfig is for STARTTLS; nil offers none. Over an unbuffered net.Pipe
	// it should have SessionTicketsDisabled: the server writes tickets when
	// the client may not be reading.
	TLSConfig *tls.Config
	Logger    *slog.Logger     // Nil discards.
	Now       func() time.Time // The clock of what is said in replies; nil is the real one.

	MaxSize        int64 // Octets of a message; default 157286400 (gmail-inbound.md 1.1).
	MaxRecipients  int   // Per transaction; default 100 (RFC 5321 4.5.3.1.8).
	MaxConnections int   // At a time; default 1000.
	// MaxHeld is how many octets of messages all sessions together may hold,
	// from reading them until Deliver has returned; default 314572800, two of
	// the largest messages at once, or MaxSize if that is more. It must not be
	// less than MaxSize. The first 64 KiB of each message do not count, so that
	// a few large messages do not shut out the small ones. A message for which
	// there is no room is read to its end and answered 451 4.3.0. To hand a
	// large message over, one session at a time holds it twice.
	MaxHeld int64
	// BareLineEnds is asked with each message, from many sessions at once; nil
	// accepts.
	BareLineEnds func() BareLineEnds
	// PipelinedHello is asked with each EHLO or HELO that something came with,
	// from many sessions at once; nil accepts.
	PipelinedHello func() PipelinedHello

	// IdleTimeout is how long the client may take for its next command, and how
	// long it may leave a reply unread; default 5 minutes (RFC 5321 4.5.3.2.7).
	// DataTimeout is how long it may be silent within a message, with the same
	// default. MessageTimeout is how long it may take for a whole message, from
	// DATA or the first BDAT to the last octet; default 30 minutes, which is the
	// largest message at 87 KB a second (no source has a number). They are
	// measured by the real clock.
	IdleTimeout    time.Duration
	DataTimeout    time.Duration
	MessageTimeout time.Duration

	// Random is what session ids are made of, read by several sessions at once;
	// nil is crypto/rand. Ids are no secrets: a test may want the same on each
	// run.
	Random io.Reader

	// PeerAs turns the address of a client, which is invalid if unknown, into
	// the one that is to be judged; nil changes nothing.
	PeerAs func(netip.Addr) netip.Addr
	// ProxyFrom are the addresses whose connections must start with a PROXY
	// protocol header, version 1 or 2, that names the client. From any other
	// address such a header is refused.
	ProxyFrom []netip.Prefix
}

// The defaults of Options.
const (
	defaultMaxSize        = 157286400
	defaultMaxRecipients  = 100
	defaultMaxConnections = 1000
	defaultMaxHeld        = 2 * defaultMaxSize
	defaultTimeout        = 5 * time.Minute
	defaultMessageTimeout = 30 * time.Minute
)

// withDefaults returns o complete, or an error that names everything wrong
// with it.
func (o Options) withDefaults() (Options, error) {
	var errs []error
	if o.Backend == nil {
		errs = append(errs, errors.New("no backend"))
	}
	if o.Hostname == "" || strings.ContainsFunc(o.Hostname, func(r rune) bool { return r <= ' ' || r > '~' }) {
		errs = append(errs, fmt.Errorf("host name %q is empty or not plain ASCII", o.Hostname))
	}
	o.MaxSize = orDefault(o.MaxSize, defaultMaxSize)
	o.MaxHeld = orDefault(o.MaxHeld, max(defaultMaxHeld, o.MaxSize))
	if o.MaxSize < 0 || o.MaxRecipients < 0 || o.MaxConnections < 0 || o.IdleTimeout < 0 || o.DataTimeout < 0 || o.MessageTimeout < 0 {
		errs = append(errs, errors.New("a limit is negative"))
	}
	if o.MaxHeld < o.MaxSize {
		errs = append(errs, fmt.Errorf("limit of %d octets held is less than a message of %d", o.MaxHeld, o.MaxSize))
	}
	if len(errs) > 0 {
		return Options{}, fmt.Errorf("configuring SMTP server: %w", errors.Join(errs...))
	}
	o.MaxRecipients = orDefault(o.MaxRecipients, defaultMaxRecipients)
	o.MaxConnections = orDefault(o.MaxConnections, defaultMaxConnections)
	o.IdleTimeout = orDefault(o.IdleTimeout, defaultTimeout)
	o.DataTimeout = orDefault(o.DataTimeout, defaultTimeout)
	o.MessageTimeout = orDefault(o.MessageTimeout, defaultMessageTimeout)
	if o.BareLineEnds == nil {
		o.BareLineEnds = func() BareLineEnds { return BareLineEndsAccept }
	}
	if o.PipelinedHello == nil {
		o.PipelinedHello = func() PipelinedHello { return PipelinedHelloAccept }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.PeerAs == nil {
		o.PeerAs = func(a netip.Addr) netip.Addr { return a }
	}
	return o, nil
}

func orDefault[T int | int64 | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}
