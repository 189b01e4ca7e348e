package policy

import "time"

// Registration says which From address or domain may show which actions
// (gmail-actions.md section 6).
type Registration struct {
	// From is an address ("noreply@shop.example") or a domain
	// ("shop.example", which covers any address of exactly that domain).
	From string `json:"from"`
	// Actions are the registered types, such as "ConfirmAction"; empty means
	// every type.
	Actions []string `json:"actions,omitempty"`
	// Bearer says whether the sender asked for a bearer token in its requests.
	Bearer bool `json:"bearer"`
	// Since and Until bound the period: valid at Since, no longer at Until.
	// Zero is unbounded.
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
}

// Registry is the provider's list of registered senders. Where several
// registrations cover an address, the best one counts.
type Registry []Registration
