package dispatcher

import (
	"log/slog"
	"time"
)

// Outcome is what came of an attempt, and of a request.
type Outcome string

// The outcomes.
const (
	OutcomeSucceeded Outcome = "succeeded" // Answered with 200, the only answer that counts (gmail-actions.md section 4).
	OutcomeFailed    Outcome = "failed"    // Answered otherwise or not at all, for good.
	OutcomeRetrying  Outcome = "retrying"  // Failed for now; another attempt is due. No request ends so.
	OutcomeCutOff    Outcome = "cut-off"   // Stopped by whoever made it; another attempt is due if anybody makes it. No request ends so.
	OutcomeWithheld  Outcome = "withheld"  // Not allowed to go out; nothing was sent.
)

// ends tells whether a request ends with an attempt of this outcome.
func (o Outcome) ends() bool { return o != OutcomeRetrying && o != OutcomeCutOff }

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
	ReasonUnreachable    Reason = "unreachable"            // No connection, for another reason.
	ReasonTimeout        Reason = "timeout"                // The time limit ended before the response's header did.
	ReasonReset          Reason = "reset"                  // The server closed the connection before that.
	ReasonTLSAuthority   Reason = "tls-unknown-authority"  // Certificate of an authority that is not trusted, or signed by itself.
	ReasonTLSName        Reason = "tls-name"               // Certificate for another host.
	ReasonTLSExpired     Reason = "tls-expired"            // Certificate expired or not yet valid, by the machine's clock.
	ReasonTLSVersion     Reason = "tls-version"            // Server speaks only versions before TLS 1.2.
	ReasonTLSCipher      Reason = "tls-cipher"             // Server gave up: no cipher or key exchange in common.
	ReasonTLSClient      Reason = "tls-client-certificate" // Server demands a certificate of the client.
	ReasonTLSNone        Reason = "tls-none"               // Server does not speak TLS on this port.
	ReasonTLSOther       Reason = "tls-other"
	ReasonBadResponse    Reason = "bad-response" // Answer is not HTTP as it was agreed, or beyond every measure.

	// GOAWAY or a refused stream: the service says that it has not processed the
	// request (RFC 9113 8.7). GOAWAY otherwise, and no answer until the end.
	// RST_STREAM otherwise.
	ReasonHTTP2Unprocessed Reason = "http2-unprocessed"
	ReasonHTTP2GoAway      Reason = "http2-goaway"
	ReasonHTTP2Reset       Reason = "http2-reset"

	ReasonStatus    Reason = "status"    // Answered, but not with 200.
	ReasonCancelled Reason = "cancelled" // The dispatcher was stopped meanwhile.
	ReasonLost      Reason = "lost"      // The answer was not waited for, on purpose (see [ThenHangUp]).

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

// withheld tells whether nothing was allowed to be sent. A redirect to where
// requests must not go is different: the first one was sent.
func (a *Attempt) withheld() bool {
	return a.Reason.withholds() && a.Status == 0 && len(a.Hops) == 0
}

// unanswered tells whether a reason means that no answer came, which another
// attempt may change: the network or the service did not hold. What the service
// is, such as its certificate or an answer that is no HTTP, is the same the next
// time, until somebody mends it.
func (r Reason) unanswered() bool {
	switch r {
	case ReasonDNS, ReasonConnectRefused, ReasonUnreachable, ReasonTimeout, ReasonReset,
		ReasonHTTP2Unprocessed, ReasonHTTP2GoAway, ReasonHTTP2Reset:
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
	// Method and URL are those of the request, or of the last redirect that was
	// followed.
	Method, URL string
	// Sent is the request as it went out, the bearer token included: whole,
	// or as far as it was written. Empty if there was no connection. A request by
	// HTTP/2 is written as one by HTTP/1.1 would be, with the version HTTP/2.0:
	// Host is sent as :authority, and the names in lower case.
	Sent []byte
	Addr string // What was connected to, or tried last; "in-process" for RouteConn.
	// Tried are the addresses of the host that were tried before Addr, in order.
	Tried      []Tried
	TLSVersion string // Such as "TLS 1.3"; empty without a finished handshake.

	Status        int    // Zero without an answer.
	Proto         string // "HTTP/1.1", "HTTP/1.0" or "HTTP/2.0".
	Header        []Field
	Body          []byte // Decoded from chunks; at most Options.MaxBody.
	BodyTruncated bool   // There was, or should have been, more.

	// Hops are the exchanges that led to a redirect which was followed, in order;
	// what else is in the record is of the last one.
	Hops []Hop

	Took    time.Duration // In real time.
	Outcome Outcome
	Reason  Reason
	// Error is the reason for people. It may also say, beside an answer that
	// counts, why its body broke off.
	Error string
	// Due is when the next attempt may begin, by the provider's clock; zero
	// unless Outcome is retrying or cut-off.
	Due time.Time
	// Exhausted says that there would be another attempt, had the schedule of
	// retries not ended.
	Exhausted bool

	bodyErr error // Why the body broke off.
}

// forget takes what was read of an answer out of the record.
func (a *Attempt) forget() {
	a.Status, a.Proto, a.Header, a.Body, a.BodyTruncated, a.bodyErr = 0, "", nil, nil, false, nil
}

// Tried is an address to which no connection could be made.
type Tried struct {
	Addr  string
	Error string // Why not, for people.
}

// Hop is an exchange whose answer was a redirect that was followed.
type Hop struct {
	Method     string
	URL        string
	Sent       []byte // As in [Attempt].
	Addr       string
	TLSVersion string
	Status     int
	Proto      string
	Header     []Field
	Location   string // The URL that came next, made absolute.
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
