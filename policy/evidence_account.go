package policy

import (
	"net/netip"
	"time"
)

// Account is a mailbox at the provider, with those of its settings that a
// decision may rest on.
type Account struct {
	Address string       `json:"address"`
	State   AccountState `json:"state,omitempty"` // Empty is active.
	// SendAs are the addresses that the user wants to send mail as.
	SendAs []SendAs `json:"sendAs,omitempty"`
	// POPFrom are the mailboxes elsewhere that the account fetches from.
	POPFrom []string `json:"popFrom,omitempty"`
}

// AccountState is whether an account can get mail.
type AccountState string

// The states (gmail-inbound.md 1.4: 5.2.1, 4.2.2 and 5.2.2).
const (
	AccountActive       AccountState = "active"
	AccountDisabled     AccountState = "disabled"
	AccountFull         AccountState = "full"          // Out of space, for a time.
	AccountFullInactive AccountState = "full-inactive" // Out of space, and nobody uses it.
)

// SendAs is an address elsewhere that a user wants to send mail as
// (gmail-inbound.md 4.d).
type SendAs struct {
	Address string `json:"address"` // In lower case.
	// Verified says that the user has proved to get the mail of the address.
	Verified bool `json:"verified"`
}

// Sender is what the provider knows of a sender from the mail that came before
// (gmail-inbound.md section 2: "bulk count").
type Sender struct {
	// Domain is the primary domain, by which mail is counted: the
	// organisational domain of From. It is empty if From has none.
	Domain string `json:"domain,omitempty"`
	// Volume is how many messages of the domain and all below it came to the
	// provider's accounts within the last 24 hours, this one included.
	Volume int `json:"volume"`
	// Bulk says that the domain is a bulk sender: its volume was once so large,
	// which is never forgotten, or it was declared to be one.
	Bulk     bool `json:"bulk"`
	Declared bool `json:"declared,omitempty"`
}

// Inbound is what the recipient's domain asks of who delivers to it.
type Inbound struct {
	TLSRequired bool           `json:"tlsRequired,omitempty"`
	AllowFrom   []netip.Prefix `json:"allowFrom,omitempty"` // Peers that may deliver; empty is everybody.
}

// Measure is what mail is counted by.
type Measure string

// The measures.
const (
	ByAccount   Measure = "account"
	ByPeer      Measure = "ip"
	ByNetblock  Measure = "netblock" // See Netblock.
	ByDKIM      Measure = "dkim"     // A domain whose signature passes.
	BySPF       Measure = "spf"      // The domain for which SPF passes.
	ByMessageID Measure = "message-id"
)

// Rate is how much mail came of late by one measure, and how much may.
type Rate struct {
	By     Measure       `json:"by"`
	Key    string        `json:"key"`    // The account, address, domain and so on.
	Count  int           `json:"count"`  // This message included.
	Limit  int           `json:"limit"`  // As many are fine.
	Window time.Duration `json:"window"` // Nanoseconds.
}
