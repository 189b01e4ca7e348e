// Package pattern tells how a message reached the mailbox. It judges from the
// trail it is given: arrival, account, authentication, header, mails found
// inside. It says which signals it used, and does not decide what the answer
// means for an action.
//
// Signals have ranks: (1) what the provider did itself, (2) what is proven,
// (3) fields that a valid signature covers, (4) structure of the header and of
// the MIME parts, (5) text of the body. A lower rank never overrules a higher
// one; what it says against the answer is kept as a contradiction.
//
// Whatever anybody on the way can add, ranks 4 and 5, only ever takes
// permission away: it can make a direct mail look forwarded, and never a
// forwarded one look proven.
package pattern

import (
	"slices"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
)

// The ranks of signals.
const (
	rankOwn       = 1
	rankProven    = 2
	rankSigned    = 3
	rankStructure = 4
	rankText      = 5
)

// Trail is what a message left on its way.
type Trail struct {
	Arrival policy.Arrival
	Account policy.Account
	Header  policy.Header
	Auth    policy.Authentication
	// Enclosed are the mails that were found inside the message.
	Enclosed []policy.Enclosed
	Message  *message.Message
}

// Classify names the access pattern of an arrival.
func Classify(t Trail) policy.Access {
	e := gather(t)
	a := e.transport()
	return e.byHand(a)
}

// evidence is a trail, sorted by rank.
type evidence struct {
	Trail
	proofs []policy.Signal // What ties From to the peer or to the content.
	// forwarder are signals of ranks 2 and 3 for an automatic forward.
	forwarder []policy.Signal
	forward   policy.Forward
	// signedDomains, toAccount and signedTo are what the author signed of whom he
	// wrote to: the domains of all, that the account is one of them, the others,
	// and an address which its user wants to send as.
	signedDomains []string
	signedOthers  []string // The addresses other than the account.
	toAccount     bool
	signedTo      string
	list          []policy.Signal
	marks         []policy.Signal // Of rank 4, other than of lists.
}

func gather(t Trail) *evidence {
	e := &evidence{Trail: t}
	e.proofs = proofs(t)
	e.readEnvelope()
	e.readSigned()
	e.readMarks()
	e.settleSendAs()
	return e
}

// transport is the answer without a look at the mails inside.
func (e *evidence) transport() policy.Access {
	switch {
	case e.Arrival.Channel == policy.ChannelPOP && e.Arrival.Fetch != nil:
		return e.fetched()
	case len(e.Header.From) == 1 && strings.EqualFold(e.Header.From[0].Addr, e.Account.Address):
		return e.self()
	case len(e.forwarder) > 0 && e.forwarder[0].Rank == rankProven:
		return e.autoForward(policy.ConfidenceProven)
	case has(e.proofs, "spf-aligned"):
		// The peer is one of From's own senders: nobody stands between.
		a := policy.Access{Pattern: policy.PatternDirect, Confidence: policy.ConfidenceProven, Signals: e.proofs}
		a.Contradictions = slices.Concat(e.forwarder, e.marks, e.list)
		return a
	case len(e.forwarder) > 0:
		return e.autoForward(policy.ConfidenceProven)
	case e.toAccount:
		// Rank 3 against rank 4: the author wrote to this account.
		a := policy.Access{Pattern: policy.PatternDirect, Confidence: policy.ConfidenceLikely}
		a.Signals = append(e.proofs, policy.Signal{Name: "signed-to-account", Rank: rankSigned, Value: e.Account.Address, For: policy.PatternDirect})
		a.Contradictions = slices.Concat(e.marks, e.list)
		return a
	case e.marked(policy.PatternAutoForward):
		return e.autoForward(policy.ConfidenceLikely)
	}
	return e.unforwarded()
}

// unforwarded is the answer where nothing speaks of an automatic forward.
func (e *evidence) unforwarded() policy.Access {
	a := policy.Access{Pattern: policy.PatternDirect, Signals: e.proofs}
	switch {
	case len(e.marks) > 0:
		a = e.ambiguous(e.marks)
		a.Settle = "an SPF pass of From's own domain, or To signed with " + e.Account.Address + " in it, would prove it direct; " + pointsTo(e.marks[0])
		a.Contradictions = append(a.Contradictions, e.list...)
	case e.Auth.SPF.Result == policy.AuthFail && has(e.proofs, "dkim-aligned"):
		a = e.ambiguous([]policy.Signal{{Name: "spf-fail", Rank: rankProven, Value: e.Auth.SPF.Domain}})
		a.Settle = "the envelope's domain disowns the peer, so somebody may stand between; To signed with " + e.Account.Address + " in it would prove that the mail is for this account"
		a.Contradictions = append(a.Contradictions, e.list...)
	case len(e.list) > 0 && e.list[0].Rank == rankProven:
		a.Pattern, a.Confidence = policy.PatternMailingList, policy.ConfidenceProven
		a.Signals = append(a.Signals, e.list...)
	case len(e.list) > 0:
		a = e.ambiguous(e.list)
		a.Settle = "an SPF pass or a DKIM signature of the list's own domain would prove that a list passed it on"
	case len(e.signedDomains) > 0:
		// A blind copy, or passed on by somebody who leaves no marks.
		a = e.ambiguous([]policy.Signal{{Name: "signed-to-others", Rank: rankSigned}})
		a.Settle = "the author signed To and Cc without " + e.Account.Address + " in them, and another server than his sends it; an SPF pass of From's own domain would prove it direct"
	case has(e.proofs, "dkim-aligned"):
		a.Confidence = policy.ConfidenceLikely
	default:
		a.Confidence = policy.ConfidenceUnknown
	}
	return a
}

// pointsTo says what a mark speaks for.
func pointsTo(mark policy.Signal) string {
	if mark.For == policy.PatternAmbiguous {
		return "the mail says that the account has had it before"
	}
	return "the marks point to " + string(mark.For)
}

func (e *evidence) ambiguous(signals []policy.Signal) policy.Access {
	return policy.Access{
		Pattern: policy.PatternAmbiguous, Confidence: policy.ConfidenceUnknown, Signals: slices.Concat(e.proofs, signals),
	}
}

// fetched is the answer for mail that the provider fetched itself: it knows.
func (e *evidence) fetched() policy.Access {
	f := e.Arrival.Fetch
	return policy.Access{
		Pattern: policy.PatternPOPFetch, Confidence: policy.ConfidenceProven,
		Signals:        append([]policy.Signal{{Name: "fetched", Rank: rankOwn, Value: f.Source + " from " + f.Host + " as " + f.Login, For: policy.PatternPOPFetch}}, e.proofs...),
		Contradictions: e.list,
	}
}

// self is the answer for mail whose From is the account itself. Without proof
// this is a claim; that it is not authenticated is another check's matter.
func (e *evidence) self() policy.Access {
	a := policy.Access{Pattern: policy.PatternSelf, Confidence: policy.ConfidenceUnknown}
	a.Signals = append(e.proofs, policy.Signal{Name: "from-is-account", Rank: rankStructure, Value: e.Account.Address, For: policy.PatternSelf})
	if len(e.proofs) > 0 {
		a.Confidence = policy.ConfidenceProven
	}
	a.Contradictions = slices.Concat(e.forwarder, e.marks, e.list)
	return a
}

// autoForward is the answer for mail that a rule passed on. Which rank says so
// is the confidence; whether the account may have it so is the forward's
// SendAs, which only ranks 2 and 3 can fill.
func (e *evidence) autoForward(c policy.Confidence) policy.Access {
	a := policy.Access{Pattern: policy.PatternAutoForward, Confidence: c, Signals: slices.Concat(e.proofs, e.forwarder), Contradictions: e.list}
	for _, m := range e.marks {
		if m.For == policy.PatternAutoForward {
			a.Signals = append(a.Signals, m)
		} else {
			a.Contradictions = append(a.Contradictions, m)
		}
	}
	if e.Auth.ARC.Result == policy.AuthPass {
		newest := e.Auth.ARC.Sets[len(e.Auth.ARC.Sets)-1]
		a.Signals = append(a.Signals, policy.Signal{Name: "arc-sealed", Rank: rankStructure, Value: newest.Domain, For: policy.PatternAutoForward})
	}
	if len(e.signedOthers) == 1 {
		// It is to nobody else, so it was forwarded from there.
		e.original(e.signedOthers[0])
	}
	forward := e.forward
	a.Forward = &forward
	if forward.Original == "" {
		a.Settle = "To signed by the author, or Gmail's own envelope with an SPF pass, would prove the address that the mail was first sent to"
	}
	return a
}

// byHand adds what mails inside the message say. They do not change how the
// message itself came: a forward by hand is direct mail of who forwards.
func (e *evidence) byHand(a policy.Access) policy.Access {
	var signals []policy.Signal
	for _, in := range e.Enclosed {
		s := policy.Signal{Name: "forwarded-inline", Rank: rankText, Value: in.Mark, For: policy.PatternManualForward}
		if in.How == policy.EnclosedAttachment {
			s.Name, s.Rank = "forwarded-attachment", rankStructure
		}
		signals = append(signals, s)
	}
	if len(signals) == 0 {
		if s, ok := answersForeign(e.Message, e.Header); ok {
			signals, a.Unmarked = append(signals, s), true
		}
	}
	switch {
	case len(signals) == 0:
	case a.Pattern == policy.PatternDirect || a.Pattern == policy.PatternSelf:
		a.Pattern, a.Confidence = policy.PatternManualForward, policy.ConfidenceLikely
		a.Signals = append(signals, a.Signals...)
	default:
		a.Contradictions = append(a.Contradictions, signals...)
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
			list = append(list, policy.Signal{Name: "dkim-aligned", Rank: rankProven, Value: d.Domain})
			break
		}
	}
	return list
}

func has(list []policy.Signal, name string) bool {
	return slices.ContainsFunc(list, func(s policy.Signal) bool { return s.Name == name })
}

func (e *evidence) marked(p policy.Pattern) bool {
	return slices.ContainsFunc(e.marks, func(s policy.Signal) bool { return s.For == p })
}
