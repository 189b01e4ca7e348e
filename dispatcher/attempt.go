package dispatcher

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"syscall"
	"time"
)

// Outcome is what came of an attempt, and of a request.
type Outcome string

// The outcomes.
const (
	OutcomeSucceeded Outcome = "succeeded" // Answered with 200, the only answer that counts (gmail-actions.md section 4).
	OutcomeFailed    Outcome = "failed"    // Answered otherwise or not at all, for good.
	OutcomeRetrying  Outcome = "retrying"  // Failed for now; another attempt is due. No request ends so.
	OutcomeWithheld  Outcome = "withheld"  // Not allowed to go out; nothing was sent.
)

// Reason is a stable code for what kept an attempt from success. Success has
// the empty one.
type Reason string

// The reasons. Those of the first group withhold a request.
const (
	ReasonHostNotRouted  Reason = "host-not-routed" // Host neither routed nor loopback nor allowed.
	ReasonAddressRefused Reason = "address-refused" // Host has an address that requests never go to.
	ReasonNotHTTPS       Reason = "http-not-https"  // URL has scheme http.
	ReasonBadURL         Reason = "bad-url"         // URL cannot be requested as written.
	ReasonBadRequest     Reason = "bad-request"     // Method, header or body cannot be sent.

	ReasonToken          Reason = "token" // The token could not be made.
	ReasonDNS            Reason = "dns"   // The host's addresses could not be found.
	ReasonConnectRefused Reason = "connect-refused"
	ReasonUnreachable    Reason = "unreachable" // No connection, for another reason.
	ReasonTimeout        Reason = "timeout"     // The time limit ended before the response's header did.
	ReasonReset          Reason = "reset"       // The server closed the connection before that.
	ReasonTLSAuthority   Reason = "tls-unknown-authority"
	ReasonTLSName        Reason = "tls-name"    // Certificate for another host.
	ReasonTLSExpired     Reason = "tls-expired" // Certificate expired or not yet valid, by the machine's clock.
	ReasonTLSOther       Reason = "tls-other"
	ReasonBadResponse    Reason = "bad-response" // Answer is not HTTP/1.
	ReasonStatus         Reason = "status"       // Answered, but not with 200.
	ReasonCancelled      Reason = "cancelled"    // The dispatcher was stopped meanwhile.
	ReasonLost           Reason = "lost"         // The answer was not waited for, on purpose (see [ThenHangUp]).

	// ReasonRetriesExhausted is that of a request whose last attempt would
	// have been retried, had the schedule not ended.
	ReasonRetriesExhausted Reason = "retries-exhausted"
)

// withholds tells whether a reason means that nothing was allowed to be sent.
func (r Reason) withholds() bool {
	switch r {
	case ReasonHostNotRouted, ReasonAddressRefused, ReasonNotHTTPS, ReasonBadURL, ReasonBadRequest:
		return true
	}
	return false
}

// unanswered tells whether a reason means that no answer came.
func (r Reason) unanswered() bool {
	switch r {
	case ReasonDNS, ReasonConnectRefused, ReasonUnreachable, ReasonTimeout, ReasonReset:
		return true
	}
	return false
}

// Attempt is the record of one attempt at a request. The callee owns it.
type Attempt struct {
	ID        string // RequestID, "/" and N.
	RequestID string
	N         int       // From 1.
	At        time.Time // The provider's clock when it began.
	// Sent is the request as it went out, the bearer token included: whole,
	// or as far as it was written. Empty if there was no connection.
	Sent       []byte
	Addr       string // What was connected to, or tried last; "in-process" for RouteConn.
	TLSVersion string // Such as "TLS 1.3"; empty without a finished handshake.

	Status        int    // Zero without an answer.
	Proto         string // Such as "HTTP/1.1".
	Header        []Field
	Body          []byte // Decoded from chunks; at most Options.MaxBody.
	BodyTruncated bool   // There was, or should have been, more.

	Took    time.Duration // In real time.
	Outcome Outcome
	Reason  Reason
	// Error is the reason for people. It may also say, beside an answer that
	// counts, why its body broke off.
	Error string
	// Due is when the next attempt may begin, by the provider's clock; zero
	// unless Outcome is retrying.
	Due time.Time

	bodyErr error // Why the body broke off.
}

// LogValue has what a log may have of an attempt: no token, no body, and none
// of the URL, in which limited-use tokens travel.
func (a Attempt) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("id", a.ID),
		slog.String("addr", a.Addr),
		slog.Int("status", a.Status),
		slog.String("outcome", string(a.Outcome)),
		slog.String("reason", string(a.Reason)),
		slog.Duration("took", a.Took),
	)
}

// Result is how a request ended.
type Result struct {
	RequestID string
	Attempts  int
	At        time.Time // The provider's clock.
	Outcome   Outcome
	Reason    Reason // Of the last attempt, or ReasonRetriesExhausted.
}

// fault is an error with its reason.
type fault struct {
	reason Reason
	err    error
}

func (f *fault) Error() string { return f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

// reasonOf returns the reason of an attempt's error. otherwise is for an error
// that says nothing by itself; ctx is the attempt's.
func reasonOf(ctx context.Context, err error, otherwise Reason) Reason {
	var (
		f         *fault
		network   net.Error
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &f):
		return f.reason
	case errors.As(err, &authority):
		return ReasonTLSAuthority
	case errors.As(err, &name):
		return ReasonTLSName
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return ReasonTLSExpired
	case ctx.Err() != nil, errors.As(err, &network) && network.Timeout():
		return ReasonTimeout
	case errors.Is(err, syscall.ECONNREFUSED):
		return ReasonConnectRefused
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrClosedPipe):
		return ReasonReset
	}
	return otherwise
}
