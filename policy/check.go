package policy

import (
	"slices"
	"strconv"
)

// Scope is what a check is about.
type Scope string

// The scopes.
const (
	ScopeMessage     Scope = "message"     // The message: decides delivery.
	ScopeAction      Scope = "action"      // One action: decides whether it is offered.
	ScopeUnsubscribe Scope = "unsubscribe" // One-click unsubscription: likewise.
	ScopeClick       Scope = "click"       // One click: decides whether a request is made.
	ScopeAnswer      Scope = "answer"      // The answer to one-click unsubscription: decides nothing any more.
)

// A Check is one rule of the policy.
type Check struct {
	ID     CheckID `json:"id"`
	Scope  Scope   `json:"scope"`
	Doc    string  `json:"doc"`    // One sentence: what holds if the check passes.
	Source string  `json:"source"` // Where the rule stands, or how far it is known.
	// Phase is where in the session a failure of scope message is answered;
	// empty is PhaseData.
	Phase Phase `json:"phase,omitempty"`
	// Advice marks a check whose failure decides nothing.
	Advice bool `json:"advice,omitempty"`
	// Reasons are all reason codes of its findings, those of failures first.
	Reasons []Reason `json:"reasons"`
	// Dials are those that it reads.
	Dials []DialID `json:"dials,omitempty"`

	run func(subject) conclusion
}

// subject is what a check may look at: all of it, and nothing else.
type subject struct {
	e   *Evidence
	reg Registry
	// verdict is the verdict so far, complete for scope message when checks of
	// other scopes run.
	verdict  *Verdict
	auth     []Fact         // See authFacts; nil where they were not made yet.
	action   *Action        // For scope action and click.
	click    *ClickEvidence // For scope click.
	answered *Answered      // For scope answer.
	offered  *ActionVerdict // For scope click: the action judged anew at the time of the click.
}

// conclusion is a finding in the making, with what it does to delivery.
type conclusion struct {
	result Result
	reason Reason
	detail string
	facts  []Fact
	effect effect
}

// effect is what a failed check of scope message does to the message.
type effect struct {
	advice   bool // Nothing: overrides the others.
	delivery Delivery
	folder   Folder
	// reply and values make the reply, if this failure decides: to make it for
	// each failure would take longer than all checks.
	reply  ReplyID
	values []string
}

func pass(reason Reason, detail string, facts ...Fact) conclusion {
	return conclusion{result: Pass, reason: reason, detail: detail, facts: facts}
}

func fail(reason Reason, detail string, facts ...Fact) conclusion {
	return conclusion{result: Fail, reason: reason, detail: detail, facts: facts}
}

func skip(reason Reason, detail string, facts ...Fact) conclusion {
	return conclusion{result: Skip, reason: reason, detail: detail, facts: facts}
}

// rejected, deferred and filed give a failure its effect on delivery: a reply of
// the catalogue, with the values that the evidence does not have, each after its
// name; or a folder.
func (c conclusion) rejected(id ReplyID, values ...string) conclusion {
	c.effect = effect{delivery: Reject, reply: id, values: values}
	return c
}

func (c conclusion) deferred(id ReplyID, values ...string) conclusion {
	c.effect = effect{delivery: Defer, reply: id, values: values}
	return c
}

func (c conclusion) filed(f Folder) conclusion {
	c.effect = effect{delivery: Accept, folder: f}
	return c
}

// noted takes a failure's effect away.
func (c conclusion) noted() conclusion {
	c.effect = effect{advice: true}
	return c
}

// finding makes the finding of a check.
func (c Check) finding(got conclusion) Finding {
	f := Finding{
		Check: c.ID, Result: got.result, Reason: got.reason, Detail: got.detail, Facts: got.facts,
		Advice: c.Advice || got.effect.advice,
	}
	if got.result == Fail && !f.Advice {
		f.Delivery, f.Folder = got.effect.delivery, got.effect.folder
	}
	return f
}

func fact(name, value string) Fact { return Fact{Name: name, Value: value} }

func factInt(name string, value int) Fact { return Fact{Name: name, Value: strconv.Itoa(value)} }

// Checks returns the whole policy: scope by scope, and in each scope in order
// of precedence. The first failure in that order decides.
func Checks() []Check {
	return slices.Concat(recipientChecks, messageChecks, guidelineChecks, actionChecks, unsubscribeChecks, clickChecks, answerChecks)
}
