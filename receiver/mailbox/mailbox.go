// Package mailbox keeps what the provider received, for whoever asks about it
// afterwards: messages with their evidence and verdict, the clicks on them,
// and the attempts at the requests of those clicks.
//
// It decides nothing and sends nothing. [Store] is what a keeper promises;
// [Memory] keeps that promise until the process ends.
package mailbox

import (
	"net/netip"
	"time"

	"github.com/doppelbox/doppelbox/policy"
)

// Message is one message in one account. A message to several recipients is
// kept once for each.
type Message struct {
	World      string    `json:"world"`
	ID         string    `json:"id"`  // Unique in its world; chosen by who puts it.
	Seq        int64     `json:"seq"` // Place among all messages of its world, from 1; given by the store.
	Account    string    `json:"account"`
	ReceivedAt time.Time `json:"receivedAt"` // The provider's clock.
	Raw        []byte    `json:"raw"`        // As it came, without what the provider adds.
	// Evidence and Verdict are those of this account.
	Evidence policy.Evidence `json:"evidence"`
	Verdict  policy.Verdict  `json:"verdict"`
	// Reply is what was said on the wire, line by line, codes included. It
	// differs from the verdict's where the provider only observes.
	Reply []string `json:"reply,omitempty"`
	// Refused says that the reply was a refusal. The message is kept so that
	// one can ask why, but it is not in the account.
	Refused bool `json:"refused,omitempty"`
	// Questions are those that were put to the DNS for this message.
	Questions []Question `json:"questions,omitempty"`
	// Problem says why the message could not be processed; empty if it was.
	Problem string `json:"problem,omitempty"`
}

// Summary is a message as JSON shows it where its octets are not wanted.
type Summary struct {
	Message
	Raw []byte `json:"raw,omitempty"` // Hides Message.Raw; always empty.
}

// Question is one question to the DNS, and its answer.
type Question struct {
	Name string `json:"name"` // Without trailing dot.
	Type string `json:"type"` // "TXT", "MX", "A", "AAAA", "PTR".
	// Answer is zone text, one record a line, or a word such as "nxdomain".
	Answer string        `json:"answer"`
	Source string        `json:"source,omitempty"` // Who answered: "zone", "upstream".
	Took   time.Duration `json:"took,omitempty"`   // Nanoseconds.
}

// ActionUnsubscribe stands for an action's index in a click on one-click
// unsubscription.
const ActionUnsubscribe = -1

// Click is one press of a button in a message.
type Click struct {
	World     string              `json:"world"`
	ID        string              `json:"id"` // Unique in its world; chosen by who puts it.
	MessageID string              `json:"messageId"`
	Action    int                 `json:"action"` // Index of the action, or ActionUnsubscribe.
	Persona   policy.Persona      `json:"persona,omitempty"`
	At        time.Time           `json:"at"` // The provider's clock.
	Verdict   policy.ClickVerdict `json:"verdict"`
	State     ClickState          `json:"state"`
	// EndReason is a stable code for why the request did not succeed, once it has
	// ended; a word of the dispatcher.
	EndReason string `json:"endReason,omitempty"`
	// Answered judges what the service answered to one-click unsubscription; nil
	// before it has, and for actions.
	Answered []policy.Finding `json:"answered,omitempty"`
}

// ClickState is how far a click has come.
type ClickState string

// The states. All but pending are final.
const (
	ClickPending   ClickState = "pending"   // Its request is still to be made, or to be tried again.
	ClickSucceeded ClickState = "succeeded" // Its request was answered with success.
	ClickFailed    ClickState = "failed"    // Its request failed for good.
	ClickWithheld  ClickState = "withheld"  // Its request was not allowed to go out.
	ClickRefused   ClickState = "refused"   // The policy refused it: there is no request.
	ClickOpened    ClickState = "opened"    // The user's browser opened a link: there is no request.
)

// Attempt is one attempt at the request of a click, as the dispatcher saw it.
type Attempt struct {
	World   string    `json:"world"`
	ID      string    `json:"id"` // Unique among the attempts of its click.
	ClickID string    `json:"clickId"`
	N       int       `json:"n"`      // From 1.
	At      time.Time `json:"at"`     // The provider's clock.
	Method  string    `json:"method"` // That of the click, unless a redirect was followed; URL likewise.
	URL     string    `json:"url"`
	// Sent is the request as it went out, bearer token included; empty if
	// nothing did.
	Sent []byte `json:"sent,omitempty"`
	Addr string `json:"addr,omitempty"` // The address that was connected to.
	// Tried are the addresses of the host that were tried before, in order.
	Tried      []Tried `json:"tried,omitempty"`
	TLSVersion string  `json:"tlsVersion,omitempty"` // Such as "TLS 1.3".
	// Hops are the redirects that were followed, in order; what else is here is of
	// the last exchange.
	Hops   []Hop  `json:"hops,omitempty"`
	Status int    `json:"status,omitempty"` // Zero without an answer.
	Proto  string `json:"proto,omitempty"`  // Of the answer, such as "HTTP/1.1".
	// Header is that of the answer, in order as received.
	Header        []Field       `json:"header,omitempty"`
	Body          []byte        `json:"body,omitempty"`
	BodyTruncated bool          `json:"bodyTruncated,omitempty"`
	Took          time.Duration `json:"took"` // Nanoseconds.
	// Error says for people why there is no answer, or not all of it, or why the
	// answer is no success.
	Error string `json:"error,omitempty"`
	// Reason is a stable code for the same; Outcome is what follows from the
	// attempt. The words of both are the dispatcher's.
	Reason  string `json:"reason,omitempty"`
	Outcome string `json:"outcome"`
	// Due is when the next attempt may begin, by the provider's clock; zero if
	// there is to be none. Exhausted says that there would be one, had the schedule
	// of retries not ended.
	Due       time.Time `json:"due,omitzero"`
	Exhausted bool      `json:"exhausted,omitempty"`
}

// Tried is an address to which no connection could be made.
type Tried struct {
	Addr  string `json:"addr"`
	Error string `json:"error"` // Why not, for people.
}

// Hop is an exchange whose answer was a redirect that was followed.
type Hop struct {
	Method   string `json:"method"`
	URL      string `json:"url"`
	Sent     []byte `json:"sent,omitempty"` // As in Attempt.
	Addr     string `json:"addr"`
	Status   int    `json:"status"`
	Location string `json:"location"` // The URL that came next, made absolute.
}

// Field is a header field of an answer.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Outgoing is one mail that the provider sends, for an account.
type Outgoing struct {
	World   string       `json:"world"`
	ID      string       `json:"id"` // Unique in its world; chosen by who puts it.
	Kind    OutgoingKind `json:"kind"`
	Account string       `json:"account"`
	// MessageID is the message that is forwarded; empty for a mail of the
	// provider's own.
	MessageID string    `json:"messageId,omitempty"`
	At        time.Time `json:"at"`   // When it was made.
	From      string    `json:"from"` // The envelope: reverse-path and forward-path.
	To        string    `json:"to"`
	Raw       []byte    `json:"raw,omitempty"`
	// Via is where it was sent to, for people; empty if nowhere.
	Via      string        `json:"via,omitempty"`
	State    OutgoingState `json:"state"`
	Reply    string        `json:"reply,omitempty"` // The last answer of the server, with its codes.
	Problem  string        `json:"problem,omitempty"`
	Attempts int           `json:"attempts"`
	// Sessions are the connections that were made for it, oldest first.
	Sessions []TLSSession `json:"sessions,omitempty"`
}

// TLSSession is one connection to a server that takes outgoing mail, as TLS
// reports tell of it (RFC 8460).
type TLSSession struct {
	At   time.Time  `json:"at"`            // The provider's clock.
	From netip.Addr `json:"from,omitzero"` // The provider's address.
	Host string     `json:"host"`          // The MX host that the server had to be.
	Addr netip.Addr `json:"addr,omitzero"` // Its address; invalid within the process.
	// TLS is as in policy.Arrival; empty if mail went, or would have gone,
	// without.
	TLS string `json:"tls,omitempty"`
	// Result is a result type of RFC 8460 4.3, such as "starttls-not-supported" or
	// "certificate-host-mismatch"; empty is success.
	Result  string    `json:"result,omitempty"`
	Problem string    `json:"problem,omitempty"` // The same for people.
	Policy  TLSPolicy `json:"policy"`
	// Unfetched is the host of an MTA-STS policy that requests do not go to; the
	// session was held as if there were none.
	Unfetched string `json:"unfetched,omitempty"`
}

// TLSPolicy is what a domain asks of TLS for mail to it.
type TLSPolicy struct {
	// Type is a policy type of RFC 8460 4.4: "sts" or "no-policy-found".
	Type string `json:"type"`
	// Lines are those of an MTA-STS policy (RFC 8461 3.2), and Hosts its patterns
	// of MX hosts; none if it could not be had.
	Lines []string `json:"lines,omitempty"`
	Hosts []string `json:"hosts,omitempty"`
}

// OutgoingKind says why a mail is sent.
type OutgoingKind string

// The kinds.
const (
	OutgoingForward      OutgoingKind = "forward"      // An account's automatic forward.
	OutgoingConfirmation OutgoingKind = "confirmation" // The code that confirms a send-as address.
)

// OutgoingState is how far an outgoing mail has come.
type OutgoingState string

// The states. All but pending are final.
const (
	OutgoingPending  OutgoingState = "pending"  // Still to be sent, or to be tried again.
	OutgoingSent     OutgoingState = "sent"     // Accepted by the server.
	OutgoingRefused  OutgoingState = "refused"  // Refused for good by the server.
	OutgoingFailed   OutgoingState = "failed"   // Given up after several attempts.
	OutgoingWithheld OutgoingState = "withheld" // Not allowed to go out.
)

// Access is one session of a program that reads an account's mail.
type Access struct {
	World    string     `json:"world"`
	ID       string     `json:"id"` // Unique in its world; chosen by who puts it.
	At       time.Time  `json:"at"` // When it logged in, or failed to.
	Account  string     `json:"account"`
	Protocol string     `json:"protocol"` // "imap", "pop3".
	Peer     netip.Addr `json:"peer,omitzero"`
	TLS      string     `json:"tls,omitempty"`
	// Client is what the program says of itself; POP3 has no way to say it.
	Client string `json:"client,omitempty"`
	Denied bool   `json:"denied,omitempty"` // The login failed.
	// Read are the messages that it got whole, in order, each once.
	Read []string `json:"read,omitempty"`
}
