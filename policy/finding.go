package policy

// Result is what one check concluded.
type Result string

// The results.
const (
	Pass Result = "pass"
	Fail Result = "fail"
	Skip Result = "skip" // Not applicable, or not modelled; the reason says which.
)

// Reason is a stable code for a conclusion. Tests and scenarios compare it;
// it is never renamed.
type Reason string

// CheckID names a check. It is as stable as a reason.
type CheckID string

// Fact is one named value that a check looked at.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Finding is the conclusion of one check.
type Finding struct {
	Check  CheckID `json:"check"`
	Result Result  `json:"result"`
	Reason Reason  `json:"reason"`
	Detail string  `json:"detail"` // For people; may be reworded any day.
	Facts  []Fact  `json:"facts,omitempty"`
	Advice bool    `json:"advice,omitempty"` // A failure of this check decides nothing.
	// Delivery and Folder are what this failure alone would lead to, whichever
	// check decides; empty unless it touches delivery.
	Delivery Delivery `json:"delivery,omitempty"`
	Folder   Folder   `json:"folder,omitempty"`
}
