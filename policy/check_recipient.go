package policy

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// OrderedReply is the check that fails where somebody has ordered a reply. Its
// reply is given whether the provider enforces its verdicts or not.
const OrderedReply CheckID = "ordered-reply"

// recipientChecks are those that need no look at the message: what somebody has
// ordered, and what is answered at RCPT. They come first, as they do in a
// session.
var recipientChecks = []Check{
	{
		ID: OrderedReply, Scope: ScopeMessage,
		Doc:     "Nobody has ordered a reply to the message, to see what the sender does with it.",
		Source:  "the step fault; gmail-inbound.md 1.4",
		Reasons: []Reason{"ordered", "not-ordered"},
		run:     checkOrdered,
	},
	{
		ID: "recipient-domain", Scope: ScopeMessage, Phase: PhaseRcpt,
		Doc:     "The recipient's domain takes mail from this address, and by a connection such as this one.",
		Source:  "gmail-inbound.md 1.4 (421 4.7.0: TLS required, IP not in whitelist); the step inbound",
		Reasons: []Reason{"tls-required", "peer-not-allowed", "no-peer", "domain-open"},
		run:     checkRecipientDomain,
	},
	{
		ID: "one-domain", Scope: ScopeMessage, Phase: PhaseRcpt,
		Doc:     "All recipients of the transaction are of one provider.",
		Source:  "gmail-inbound.md 1.4 (451 4.3.0)",
		Reasons: []Reason{"several-domains", "one-domain"},
		run: func(s subject) conclusion {
			if other := s.e.Arrival.Beside; other != "" {
				return fail("several-domains", "an earlier recipient of the transaction is of another provider", fact("other", other)).deferred("several-domains")
			}
			return pass("one-domain", "no earlier recipient is of another provider")
		},
	},
	{
		ID: "account-open", Scope: ScopeMessage, Phase: PhaseRcpt,
		Doc:     "The account is in use, and has room.",
		Source:  "gmail-inbound.md 1.4 (550 5.2.1, 452 4.2.2, 552 5.2.2)",
		Reasons: []Reason{"account-inactive", "over-quota", "over-quota-inactive", "account-active"},
		run:     checkAccountOpen,
	},
	{
		ID: "receiving-rate", Scope: ScopeMessage, Phase: PhaseRcpt,
		Doc:     "The account does not get more mail than it may.",
		Source:  "gmail-inbound.md 1.5; which of 450 4.2.1 and 550 5.2.1 is said is a dial",
		Reasons: []Reason{"rate-exceeded", "no-peer", "rate-within"},
		Dials:   []DialID{DialRateAccount, DialAccountRate},
		run:     checkReceivingRate,
	},
}

func checkOrdered(s subject) conclusion {
	if s.e.Order == "" {
		return pass("not-ordered", "the answer is what the message deserves")
	}
	c := fail("ordered", "somebody has ordered this answer, whatever the message is like", fact("reply", string(s.e.Order)))
	if r, _ := FindReply(s.e.Order); r.Code >= 500 {
		return c.rejected(s.e.Order)
	}
	return c.deferred(s.e.Order, "command", strings.ToUpper(string(cmp.Or(s.e.OrderedAt, PhaseData))))
}

func checkRecipientDomain(s subject) conclusion {
	in, a := s.e.Inbound, s.e.Arrival
	if a.Channel != ChannelSMTP {
		return skip("no-peer", "the message did not come over a connection")
	}
	switch {
	case len(in.AllowFrom) > 0 && !slices.ContainsFunc(in.AllowFrom, func(n netip.Prefix) bool { return n.Contains(a.Peer.Unmap().WithZone("")) }):
		return fail("peer-not-allowed", "the recipient's domain does not take mail from this address", fact("peer", peerText(a.Peer))).
			deferred("peer-not-allowed")
	case in.TLSRequired && a.TLS == "":
		return fail("tls-required", "the recipient's domain takes mail by TLS only").deferred("tls-required")
	}
	return pass("domain-open", "the recipient's domain asks for nothing else")
}

func checkAccountOpen(s subject) conclusion {
	state := fact("state", string(s.e.Account.State))
	switch s.e.Account.State {
	case AccountDisabled:
		return fail("account-inactive", "the account is disabled", state).rejected("account-inactive")
	case AccountFull:
		return fail("over-quota", "the account is out of space", state).deferred("over-quota")
	case AccountFullInactive:
		return fail("over-quota-inactive", "the account is out of space, and nobody uses it", state).rejected("over-quota-inactive")
	}
	return pass("account-active", "the account is in use, and has room")
}

func checkReceivingRate(s subject) conclusion {
	if s.e.Arrival.Channel != ChannelSMTP {
		return skip("no-peer", "the message did not come over a connection")
	}
	r, exceeded := s.exceeded(ByAccount)
	if !exceeded {
		return pass("rate-within", "the account gets no more mail than it may")
	}
	c := fail("rate-exceeded", "the account gets more mail than it may: "+r.String(), rateFacts(r)...)
	switch s.e.Dials.Get(DialAccountRate) {
	case "defer":
		return c.deferred("receiving-rate")
	case "reject":
		return c.rejected("receiving-rate-permanent")
	}
	return c.noted()
}

// exceeded returns the first rate by one of some measures that is beyond its
// limit.
func (s subject) exceeded(measures ...Measure) (Rate, bool) {
	i := slices.IndexFunc(s.e.Rates, func(r Rate) bool { return r.Count > r.Limit && slices.Contains(measures, r.By) })
	if i < 0 {
		return Rate{}, false
	}
	return s.e.Rates[i], true
}

// String says how much came, and how much may.
func (r Rate) String() string {
	return strconv.Itoa(r.Count) + " in " + r.Window.String() + ", and the limit is " + strconv.Itoa(r.Limit)
}

func rateFacts(r Rate) []Fact {
	return []Fact{fact("by", string(r.By)), fact("key", r.Key), factInt("count", r.Count), factInt("limit", r.Limit), fact("window", r.Window.String())}
}
