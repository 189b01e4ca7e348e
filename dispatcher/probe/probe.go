// Package probe sends a service what an attacker, another client or a confused
// retry would send in place of an action's request, and tells from the answers
// whether the service is sound.
//
// What is sent is data: [Catalogue] has every probe with its reason, its source,
// and what a sound service answers. [Run] sends them in three phases. First the
// hostile ones, which must not use the action up; then the good request, which
// must be accepted; then replays, retries and what a sound service may accept.
//
// Within the hostile phase those that must be refused come before those that
// only should be, and before those that may be answered in any way if nothing is
// done; and the most severe come first. An accepted request uses the
// action up, and what is refused after that may have been refused for that
// alone. So the worst is tried while a refusal still proves something, and a
// leniency that many services have cannot hide it. What a sound service may
// accept is tried after the good request, on a fresh action each.
//
// The package decides nothing about mail, opens no connection itself, and keeps
// no secret in its report.
package probe

import (
	"context"
	"time"

	"github.com/doppelbox/doppelbox/dispatcher"
	"github.com/doppelbox/doppelbox/keys"
)

// Target is the action that is tried.
type Target struct {
	URL    string // The handler's, as the mail has it.
	Method string // POST or GET; empty is POST.
	Body   string // Such as confirmed=Approved, form-encoded; empty for GET.
	// Audience is the sender's domain as a URL, such as https://shop.example.
	Audience string
	// Bearer says whether the sender asked for tokens at its registration.
	// Without, no token is sent, and what rests on one is skipped.
	Bearer bool
	// LimitedUse names the query parameter that holds the limited-use token, or
	// the segment of the path by a slash and its number from 1, such as /2.
	// Empty has it found by the names and the look of the values, and by what is
	// another in a fresh action; [NoLimitedUse] says that there is none.
	LimitedUse string
}

// NoLimitedUse is the LimitedUse of a target that has no limited-use token.
const NoLimitedUse = "none"

// Options are what a run works with. Keys and Exchange must be given.
type Options struct {
	// Keys are the provider's. Fetches of its stranger's key are counted, so no
	// two runs with the same keys may go on at once.
	Keys  *keys.Set
	Other *keys.Set // Another provider's; nil skips what needs it.
	// Exchange sends, as the method of [dispatcher.Dispatcher] does. It is
	// called from two goroutines at once where two requests are sent at once.
	Exchange func(context.Context, dispatcher.Raw) dispatcher.Attempt
	// Shape is that of the provider's tokens, good and forged: a forged one then
	// differs from a good one in what it is forged for, and in nothing else.
	Shape keys.Shape
	// IssuedAt is iat of a good token that is made now; nil: as Keys has it.
	IssuedAt func() time.Time
	// KeysURL is the base URL at which the service can reach the handler of
	// Keys, for headers that point there; empty skips those.
	KeysURL string
	// Fresh returns the same action in a new mail. Nil: there is only this one.
	Fresh func(context.Context) (Target, error)
	// OtherUser returns the same action for another user; nil: there is none.
	OtherUser func(context.Context) (Target, error)
	// Effects returns something that changes whenever, and only when, the
	// action has been carried out; nil: that cannot be seen. It may wait for
	// the service to come to rest. If the last number in it goes up or down by
	// one each time, one can also be told from two.
	Effects func(context.Context) (string, error)
	// Rotate has the provider's keys rotate; nil skips what needs it.
	Rotate func(context.Context) error
	// Only and Skip are ids of probes, or groups. The good request is always
	// sent unless it is skipped by its id.
	Only, Skip []string
	// Timeout limits each exchange; zero is ten seconds.
	Timeout time.Duration
	// OnResult is called with each result when it is known, by the goroutine of
	// Run. What turns out later is only in the report.
	OnResult func(Result)
}

// DefaultTimeout limits an exchange if the options do not.
const DefaultTimeout = 10 * time.Second

// Severity is how much harm there is in accepting what should be refused.
type Severity string

// The severities, the worst first.
const (
	Critical Severity = "critical" // Anybody can carry out actions.
	High     Severity = "high"     // Somebody can who has something: an old request, another's token.
	Medium   Severity = "medium"   // Something else has to go wrong, too.
	Low      Severity = "low"      // A defence is missing that others stand before.
	Info     Severity = "info"     // No harm in either answer.
)

// Severities returns all severities, the worst first.
func Severities() []Severity { return []Severity{Critical, High, Medium, Low, Info} }

// Expect is what a sound service does with a request.
type Expect string

// What can be expected.
const (
	MustRefuse   Expect = "must-refuse"   // A service that verifies as documented refuses it.
	ShouldRefuse Expect = "should-refuse" // It is not as documented, but verifiers in good standing let it pass.
	MustNotAct   Expect = "must-not-act"  // Both answers are sound, but the action must not be carried out.
	Either       Expect = "either"        // Both answers are sound.
	AtMostOnce   Expect = "at-most-once"  // Both answers are sound, but the action must not be carried out again.
	MustAccept   Expect = "must-accept"   // It is the good request, or a retry of it.
)

// Phase is when a probe is sent.
type Phase string

// The phases, in their order.
const (
	Hostile Phase = "hostile" // Before the good request. Must not use the action up.
	Good    Phase = "good"    // The good request.
	After   Phase = "after"   // Replays and retries, and what may be accepted.
)

// Probe is one thing that is tried.
type Probe struct {
	ID       string // Stable.
	Group    string // Also stable; can be selected as ids can.
	Title    string
	Reason   string // Why somebody would send it.
	Source   string // Section of an RFC or of gmail-actions.md.
	Severity Severity
	Expect   Expect
	Phase    Phase
	Fix      string // Names a [Fix].
	Change   Change
}

// Mark is what came of a probe.
type Mark string

// The marks, the worst first.
const (
	Failed       Mark = "failed"       // What must be refused was accepted, or what must be accepted was not.
	Warned       Mark = "warned"       // What should be refused was accepted.
	Undetermined Mark = "undetermined" // The answer tells nothing.
	NotProven    Mark = "not-proven"   // Refused, perhaps only because the action had been used up, or since everything is.
	Noted        Mark = "noted"        // As expected, but something is to be said.
	Held         Mark = "held"         // As expected.
	Skipped      Mark = "skipped"      // Not sent; Detail says why.
)

// Marks returns all marks, the worst first.
func Marks() []Mark {
	return []Mark{Failed, Warned, Undetermined, NotProven, Noted, Held, Skipped}
}

// Outcome is what the service did.
type Outcome string

// The outcomes of an exchange.
const (
	Accepted    Outcome = "accepted"     // Answered 2xx.
	Answered    Outcome = "answered"     // Answered 2xx, and nothing was carried out, or need have been.
	Consumed    Outcome = "consumed"     // Not answered 2xx, and carried out all the same.
	Refused     Outcome = "refused"      // Answered 4xx, but for 408 and 429; or 501 or 505.
	Redirected  Outcome = "redirected"   // Answered 3xx, which the provider does not follow.
	ServerError Outcome = "server-error" // Answered any other 5xx.
	Deferred    Outcome = "deferred"     // Answered 408 or 429.
	Unanswered  Outcome = "unanswered"
	NotSent     Outcome = "not-sent"
)

// Exchange is one request and its answer, without secrets.
type Exchange struct {
	Request string   `json:"request"` // Its first line.
	Fields  []string `json:"fields"`  // Its header fields, a line each.
	Body    string   `json:"body,omitempty"`
	Then    string   `json:"then,omitempty"` // What was done instead of waiting for the answer.
	Status  int      `json:"status"`         // Zero without an answer.
	Answer  string   `json:"answer"`         // First line of the body, or why there is no answer.
}

// Result is what came of one probe.
type Result struct {
	Probe     Probe
	Mark      Mark
	Outcome   Outcome
	Detail    string // A sentence for people.
	Exchanges []Exchange
}

// Report is what came of a run.
type Report struct {
	Service    string // URL of the service, without query.
	Method     string
	Audience   string
	Bearer     bool
	LimitedUse string // What was taken for the limited-use token, for people.
	Results    []Result
	// Problems are what is wrong with the run as a whole, such as that the good
	// request was refused. A report with problems has failed.
	Problems []string
	Notes    []string
	// Stopped says that the run had to end before everything was tried; one of
	// the problems says why.
	Stopped bool
}

// Failed says whether the service is unsound, or could not be judged: something
// that must be refused was accepted, or the good request or a retry of it was
// not.
func (r Report) Failed() bool { return len(r.Problems) > 0 || r.Count(Failed) > 0 }

// Count returns how many probes got a mark.
func (r Report) Count(m Mark) int {
	n := 0
	for _, result := range r.Results {
		if result.Mark == m {
			n++
		}
	}
	return n
}
