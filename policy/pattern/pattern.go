// Package pattern tells how a message reached the mailbox. It judges from the
// trail it is given: arrival, authentication, header, account. It says which
// signals it used, and does not decide what the answer means for an action.
//
// Signals have ranks: (1) what the provider did itself, (2) what is proven,
// (3) fields that a valid signature covers, (4) structure of the header, (5)
// text of the body. A lower rank never overrules a higher one; what it says
// against the answer is kept as a contradiction. Told apart today are direct
// and self-sent mail; where only marks of forwarding or of a list speak, the
// answer is ambiguous, and no guess.
package pattern

import (
	"strings"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
)

// The ranks of signals in use.
const (
	rankProven    = 2
	rankStructure = 4
)

// Trail is what a message left on its way.
type Trail struct {
	Arrival policy.Arrival
	Account policy.Account
	Header  policy.Header
	Auth    policy.Authentication
	Message *message.Message
}

// Classify names the access pattern of an arrival.
func Classify(t Trail) policy.Access {
	proof, marks := proofs(t), marks(t)
	if len(t.Header.From) == 1 && strings.EqualFold(t.Header.From[0].Addr, t.Account.Address) {
		return self(t, proof)
	}
	a := policy.Access{Pattern: policy.PatternDirect, Signals: proof, Contradictions: marks}
	switch {
	case proves(proof, "spf-aligned"):
		// The peer is one of From's own senders: nobody stands between.
		a.Confidence = policy.ConfidenceProven
	case len(marks) > 0:
		a.Pattern, a.Confidence = policy.PatternAmbiguous, policy.ConfidenceUnknown
		a.Signals, a.Contradictions = append(proof, marks...), nil
		a.Settle = "an SPF pass of From's own domain would prove it direct; the marks point to " + string(marks[0].For)
	case proves(proof, "dkim-aligned"):
		a.Confidence = policy.ConfidenceLikely
	default:
		a.Confidence = policy.ConfidenceUnknown
	}
	return a
}

// self is the answer for mail whose From is the account itself. Without proof
// this is a claim; that it is not authenticated is another check's matter.
func self(t Trail, proof []policy.Signal) policy.Access {
	a := policy.Access{Pattern: policy.PatternSelf, Confidence: policy.ConfidenceUnknown}
	a.Signals = append(proof, policy.Signal{Name: "from-is-account", Rank: rankStructure, Value: t.Account.Address, For: policy.PatternSelf})
	if len(proof) > 0 {
		a.Confidence = policy.ConfidenceProven
	}
	return a
}

// proofs are the results that tie From to the peer or to the content.
func proofs(t Trail) []policy.Signal {
	var list []policy.Signal
	if spf := t.Auth.SPF; spf.Result == policy.AuthPass && t.Auth.Aligned(spf.Domain, spf.OrgDomain) {
		list = append(list, policy.Signal{Name: "spf-aligned", Rank: rankProven, Value: spf.Domain, For: policy.PatternDirect})
	}
	for _, d := range t.Auth.DKIM {
		if d.Result == policy.AuthPass && t.Auth.Aligned(d.Domain, d.OrgDomain) {
			list = append(list, policy.Signal{Name: "dkim-aligned", Rank: rankProven, Value: d.Domain, For: policy.PatternDirect})
			break
		}
	}
	return list
}

func proves(list []policy.Signal, name string) bool {
	for _, s := range list {
		if s.Name == name {
			return true
		}
	}
	return false
}

// forwardFields are fields that forwarders and fetchers leave
// (gmail-inbound.md 4.a, 4.c), with what they point to.
var forwardFields = map[string]policy.Pattern{
	"x-forwarded-to":               policy.PatternAutoForward,
	"x-forwarded-for":              policy.PatternAutoForward,
	"resent-from":                  policy.PatternAutoForward,
	"resent-to":                    policy.PatternAutoForward,
	"resent-sender":                policy.PatternAutoForward,
	"delivered-to":                 policy.PatternAutoForward,
	"x-original-to":                policy.PatternAutoForward,
	"x-delivered-to":               policy.PatternAutoForward,
	"x-sieve-redirected-from":      policy.PatternAutoForward,
	"x-ms-exchange-forwardingloop": policy.PatternAutoForward,
	"x-yahoo-forwarded":            policy.PatternAutoForward,
	"x-gmail-fetch-info":           policy.PatternPOPFetch,
	// A newsletter has List-Id too; only a list that one can post to passes
	// other people's mail on.
	"list-post": policy.PatternMailingList,
}

// marks are signs in envelope and header that somebody passed the mail on.
func marks(t Trail) []policy.Signal {
	var list []policy.Signal
	local := t.Arrival.MailFrom
	if i := strings.LastIndexByte(local, '@'); i >= 0 {
		local = local[:i]
	}
	upper := strings.ToUpper(local)
	if strings.HasPrefix(upper, "SRS0") || strings.HasPrefix(upper, "SRS1") || strings.Contains(upper, "+SRS=") || strings.Contains(upper, "+CAF_=") {
		list = append(list, policy.Signal{Name: "envelope-rewritten", Rank: rankStructure, Value: t.Arrival.MailFrom, For: policy.PatternAutoForward})
	}
	if t.Message == nil {
		return list
	}
	for _, f := range t.Message.Fields {
		if len(f.Name) < len("list-post") || len(f.Name) > len("x-ms-exchange-forwardingloop") {
			continue
		}
		name := strings.ToLower(f.Name)
		if p, ok := forwardFields[name]; ok {
			list = append(list, policy.Signal{Name: name, Rank: rankStructure, Value: f.Unfolded(), For: p})
		}
	}
	return list
}
