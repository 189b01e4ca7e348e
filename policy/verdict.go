package policy

// Delivery is what the provider answers to a message.
type Delivery string

// The deliveries.
const (
	Accept Delivery = "accept" // 250
	Defer  Delivery = "defer"  // 4xx: come again
	Reject Delivery = "reject" // 5xx: for good
)

// Folder is where an accepted message is filed.
type Folder string

// The folders. A message that is not accepted has none.
const (
	Inbox Folder = "inbox"
	Spam  Folder = "spam"
)

// Answer is what becomes of an action, or of one-click unsubscription.
type Answer string

// The answers.
const (
	Offered  Answer = "offered"
	Withheld Answer = "withheld"
	Absent   Answer = "none" // The message has none.
)

// Reply is the SMTP reply to a message (RFC 5321 4.2).
type Reply struct {
	Code     int    `json:"code"`
	Enhanced string `json:"enhanced"` // RFC 3463, such as "5.7.26".
	// Lines is the text, without codes; every line is sent with both codes.
	Lines []string `json:"lines"`
}

// Verdict is the decision on one message, with the whole way to it.
type Verdict struct {
	Delivery Delivery `json:"delivery"`
	Folder   Folder   `json:"folder,omitempty"`
	// Reply is what the provider answers when it enforces its verdict.
	Reply Reply `json:"reply"`
	// Phase is where in the session that is. What would be answered before the
	// message is looked at is told here where the provider only observes, and
	// needs no message where it enforces.
	Phase Phase `json:"phase,omitempty"`
	// Decider is the first failed check that touches delivery; empty if none
	// failed.
	Decider CheckID `json:"decider,omitempty"`
	// Findings has one finding per check of scope message, in table order.
	Findings []Finding       `json:"findings"`
	Actions  []ActionVerdict `json:"actions"`
	// Unsubscribe is the answer on one-click unsubscription.
	Unsubscribe UnsubscribeVerdict `json:"unsubscribe"`
	// Dials are the dials that a check of this verdict read, with their
	// values, in table order.
	Dials []Fact `json:"dials,omitempty"`
}

// ActionVerdict is the decision on one action.
type ActionVerdict struct {
	Index  int    `json:"index"`
	Type   string `json:"type"` // Type, Name and Kind are the action's.
	Name   string `json:"name,omitempty"`
	Kind   Kind   `json:"kind"`
	Answer Answer `json:"answer"`
	// Decider and Reason are those of the first failed check; of an offered
	// action Decider is empty and Reason is "offered".
	Decider CheckID `json:"decider,omitempty"`
	Reason  Reason  `json:"reason"`
	// Findings has one finding per check of scope action, in table order.
	Findings []Finding `json:"findings"`
	// Registration is what the sender is registered for, if it is; a
	// self-sent action needs none.
	Registration *Registration `json:"registration,omitempty"`
}

// UnsubscribeVerdict is the decision on one-click unsubscription (RFC 8058).
type UnsubscribeVerdict struct {
	Answer   Answer    `json:"answer"`
	Decider  CheckID   `json:"decider,omitempty"`
	Reason   Reason    `json:"reason"`
	URL      string    `json:"url,omitempty"` // Where the request goes; empty unless offered.
	Findings []Finding `json:"findings"`
}

// Finding returns the finding of a check of scope message.
func (v Verdict) Finding(id CheckID) (Finding, bool) { return find(v.Findings, id) }

// Finding returns the finding of a check of scope action.
func (v ActionVerdict) Finding(id CheckID) (Finding, bool) { return find(v.Findings, id) }

func find(list []Finding, id CheckID) (Finding, bool) {
	for _, f := range list {
		if f.Check == id {
			return f, true
		}
	}
	return Finding{}, false
}
