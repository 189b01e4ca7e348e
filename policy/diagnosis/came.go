package diagnosis

import (
	"strconv"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
)

// Came is how the mail came.
type Came struct {
	Channel policy.Channel `json:"channel"`
	// Summary is a sentence on the channel: who says all this.
	Summary  string `json:"summary"`
	Peer     string `json:"peer,omitempty"`
	PTR      string `json:"ptr,omitempty"` // The peer's name, if it leads back to it.
	HELO     string `json:"helo,omitempty"`
	TLS      string `json:"tls,omitempty"`
	MailFrom string `json:"mailFrom"` // In angle brackets; empty if there is no envelope.
	Rcpt     string `json:"rcpt"`
	Account  string `json:"account"`
	Pattern  Access `json:"pattern"`
}

// Access is the access pattern, with what speaks for it and against it.
type Access struct {
	Pattern    policy.Pattern    `json:"pattern"`
	Confidence policy.Confidence `json:"confidence"`
	Summary    string            `json:"summary"`
	For        []string          `json:"for,omitempty"`
	Against    []string          `json:"against,omitempty"`
	Settle     string            `json:"settle,omitempty"` // What would settle an ambiguous one.
	Original   string            `json:"original,omitempty"`
}

func came(e policy.Evidence) Came {
	a := e.Arrival
	c := Came{Channel: a.Channel, Rcpt: clip(a.Rcpt), Account: clip(e.Account.Address), Pattern: access(e.Access)}
	switch a.Channel {
	case policy.ChannelPOP:
		c.Summary = "fetched by the provider, with a login that the user gave it: there is no peer and no envelope"
		if f := a.Fetch; f != nil {
			c.Summary = "fetched by the provider from " + clip(f.Source) + " at " + clip(f.Host) + " port " + strconv.Itoa(f.Port) +
				": there is no peer and no envelope"
			c.TLS = f.TLS
		}
		c.Rcpt = "" // Nobody named one.
		return c
	case policy.ChannelFile:
		c.Summary = "handed in as a file; peer, HELO and envelope are what was claimed"
		c.TLS = "not known"
	default:
		c.Summary = "delivered by SMTP"
		c.TLS = "none"
	}
	c.HELO, c.MailFrom = clip(a.HELO), "<"+clip(a.MailFrom)+">"
	if a.Peer.IsValid() {
		c.Peer, c.PTR = a.Peer.String(), clip(e.Auth.ReverseDNS.Name)
	}
	if a.TLS != "" {
		c.TLS = clip(strings.TrimSpace(a.TLS + " " + a.Cipher))
	}
	return c
}

// patternTexts say what the patterns mean.
var patternTexts = map[policy.Pattern]string{
	policy.PatternDirect:        "from the sender's own systems to the account",
	policy.PatternSelf:          "from the account to itself",
	policy.PatternManualForward: "somebody forwards another mail by hand",
	policy.PatternAutoForward:   "to another address, and passed on from there by a rule",
	policy.PatternPOPFetch:      "to another mailbox, and fetched from there by the provider",
	policy.PatternMailingList:   "to a list, and passed on to its members",
	policy.PatternAmbiguous:     "the evidence does not settle it",
}

func access(a policy.Access) Access {
	out := Access{Pattern: a.Pattern, Confidence: a.Confidence, Summary: patternTexts[a.Pattern], Settle: clip(a.Settle)}
	for _, s := range bounded(a.Signals) {
		out.For = append(out.For, signalText(s))
	}
	for _, s := range bounded(a.Contradictions) {
		out.Against = append(out.Against, signalText(s))
	}
	if a.Forward != nil {
		out.Original = clip(a.Forward.Original)
	}
	return out
}

func signalText(s policy.Signal) string {
	text := s.Name
	if s.Value != "" {
		text += " " + s.Value
	}
	return clip(text) + " (rank " + strconv.Itoa(s.Rank) + ")"
}
