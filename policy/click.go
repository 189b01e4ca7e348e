package policy

import "time"

// ClickAnswer is what a click leads to.
type ClickAnswer string

// The answers to a click.
const (
	ClickFire   ClickAnswer = "fire"   // The provider makes a request.
	ClickOpen   ClickAnswer = "open"   // The user's browser opens a link; the provider makes no request.
	ClickRefuse ClickAnswer = "refuse" // Nothing happens; the reason says why.
)

// Persona is who makes the request of a click.
type Persona string

// The personas (gmail-actions.md section 9: third-party clients cannot get the
// provider's tokens, and a service has to decide what it accepts from them).
const (
	// PersonaProvider is the provider itself, as documented.
	PersonaProvider Persona = "provider"
	// PersonaThirdParty is a mail program of the user's, without any token.
	PersonaThirdParty Persona = "third-party"
	// PersonaImpersonator is such a program that sends the provider's
	// User-Agent, and has no token either.
	PersonaImpersonator Persona = "impersonator"
	// PersonaOtherProvider is another provider, whose token is valid by its own
	// keys and of its own issuer.
	PersonaOtherProvider Persona = "other-provider"
)

// Personas returns all personas.
func Personas() []Persona {
	return []Persona{PersonaProvider, PersonaThirdParty, PersonaImpersonator, PersonaOtherProvider}
}

// ClickEvidence is what the decision on a click rests on.
type ClickEvidence struct {
	Message Evidence
	// Action is the index of the action whose button was pressed.
	Action int
	// Persona is whose button it is; empty is the provider's.
	Persona Persona
	// At is the provider's clock when it was pressed.
	At time.Time
	// Earlier are the earlier clicks of the same persona on the same action,
	// oldest first.
	Earlier []EarlierClick
}

// EarlierClick is how an earlier click on an action ended.
type EarlierClick string

// The ends of a click.
const (
	EarlierPending   EarlierClick = "pending"   // Its request has not been answered yet, or is retried.
	EarlierSucceeded EarlierClick = "succeeded" // Its request was answered with 200.
	EarlierFailed    EarlierClick = "failed"    // Its request failed for good.
	EarlierWithheld  EarlierClick = "withheld"  // Its request was not allowed to go out.
)

// ClickVerdict is the decision on one click.
type ClickVerdict struct {
	Answer   ClickAnswer `json:"answer"`
	Decider  CheckID     `json:"decider,omitempty"`
	Reason   Reason      `json:"reason"`
	Findings []Finding   `json:"findings"` // One per check of scope click, in table order; see DecideUnsubscribe.
	// Request is what is to be requested; nil unless Answer is fire.
	Request *RequestPlan `json:"request,omitempty"`
	Target  string       `json:"target,omitempty"` // What the browser opens, for open.
	Dials   []Fact       `json:"dials,omitempty"`
}

// RequestPlan says which request a click leads to. It does not say whether
// the host may be reached; that is the guard's decision.
type RequestPlan struct {
	Method string `json:"method"`
	URL    string `json:"url"` // As the handler states it, unchanged.
	// Body is form-encoded, or JSON; a request of method GET has none.
	Body string `json:"body"`
	// Form says that Body is sent with the content type of a form, even when
	// empty, and JSON that it is sent with that of JSON.
	Form bool `json:"form"`
	JSON bool `json:"json,omitempty"`
	// UserAgent says that the provider's action User-Agent is sent.
	UserAgent bool `json:"userAgent"`
	// Persona is who makes it: it decides whose token goes with it.
	Persona Persona `json:"persona,omitempty"`
	// Bearer says that a token goes with it; Audience is then its aud.
	Bearer   bool   `json:"bearer"`
	Audience string `json:"audience,omitempty"`
}
