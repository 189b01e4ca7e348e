package policy

import (
	"cmp"
	"slices"
)

// Decide applies every check to a message and answers on its delivery, on
// each of its actions and on one-click unsubscription. It does not fail.
func Decide(e Evidence, reg Registry) Verdict {
	v := Verdict{Delivery: Accept, Folder: Inbox}
	s := subject{e: &e, reg: reg, verdict: &v, auth: authFacts(&e)}
	v.Findings = make([]Finding, 0, len(recipientChecks)+len(messageChecks)+len(guidelineChecks))
	var decisive effect
	for c := range allMessageChecks {
		got := c.run(s)
		v.Findings = append(v.Findings, c.finding(got))
		if got.result == Fail && !c.Advice && !got.effect.advice && decides(v, got.effect) {
			v.Decider, v.Delivery, v.Folder, v.Phase = c.ID, got.effect.delivery, got.effect.folder, cmp.Or(c.Phase, PhaseData)
			if c.ID == OrderedReply {
				v.Phase = cmp.Or(e.OrderedAt, PhaseData)
			}
			decisive = got.effect
		}
	}
	switch {
	case e.Arrival.Channel == ChannelPOP:
		keepFetched(&v, e.Dials)
	case v.Delivery == Accept:
		v.Reply, v.Phase = ReplyAccepted(e.At), PhaseData
	default:
		v.Reply = ReplyFor(decisive.reply, &e, decisive.values...)
	}
	v.Actions = make([]ActionVerdict, 0, len(e.Markup.Actions))
	for i := range e.Markup.Actions {
		v.Actions = append(v.Actions, decideAction(s, &e.Markup.Actions[i]))
	}
	v.Unsubscribe = decideUnsubscribe(s)
	v.Dials = dialsRead(e.Dials, recipientChecks, messageChecks, guidelineChecks, actionChecksFor(e.Markup))
	if e.Arrival.Channel == ChannelPOP {
		v.Dials = append(v.Dials, fact(string(DialFetchRefused), e.Dials.Get(DialFetchRefused)))
	}
	return v
}

// decides says whether a failure decides on a message, after those before it: the
// first does, and the first that refuses the message overrules one that would
// file it as spam. What is spam is refused for its size all the same.
func decides(v Verdict, e effect) bool {
	return v.Decider == "" || v.Delivery == Accept && e.delivery != Accept
}

// allMessageChecks yields the checks of scope message, in order.
func allMessageChecks(yield func(Check) bool) {
	for _, table := range [...][]Check{recipientChecks, messageChecks, guidelineChecks} {
		for _, c := range table {
			if !yield(c) {
				return
			}
		}
	}
}

// DecideRcpt answers a RCPT command from what is known by then: the arrival, the
// account, what its domain asks for, and the rates. ok says that nothing speaks
// against the recipient. The checks are those of Decide.
func DecideRcpt(e Evidence) (r Reply, ok bool) {
	s := subject{e: &e, verdict: &Verdict{}}
	for c := range allMessageChecks {
		if c.Phase != PhaseRcpt {
			continue
		}
		if got := c.run(s); got.result == Fail && !got.effect.advice && got.effect.delivery != Accept {
			return ReplyFor(got.effect.reply, &e, got.effect.values...), false
		}
	}
	return Reply{}, true
}

// keepFetched turns a refusal into a folder: mail that was fetched has nobody
// any more to whom it could be refused, and no reply.
func keepFetched(v *Verdict, dials Dials) {
	v.Reply, v.Phase = Reply{}, ""
	if v.Delivery == Accept {
		return
	}
	v.Delivery, v.Folder = Accept, Folder(dials.Get(DialFetchRefused))
}

func decideAction(s subject, a *Action) ActionVerdict {
	s.action = a
	v := ActionVerdict{Index: a.Index, Type: a.Type, Name: a.Name, Kind: a.Kind, Answer: Offered, Reason: ReasonOffered}
	v.Findings, v.Decider, v.Reason = runAll(actionChecks, s, ReasonOffered)
	if v.Decider != "" {
		v.Answer = Withheld
	}
	if r, reason := s.registration(); reason == ReasonRegistered {
		v.Registration = &r
	}
	return v
}

// runAll runs all checks of one scope and names the first failure.
func runAll(checks []Check, s subject, good Reason) (list []Finding, decider CheckID, reason Reason) {
	list, reason = make([]Finding, 0, len(checks)), good
	for _, c := range checks {
		got := c.run(s)
		list = append(list, c.finding(got))
		if got.result == Fail && !c.Advice && decider == "" {
			decider, reason = c.ID, got.reason
		}
	}
	return list, decider, reason
}

func actionChecksFor(m Markup) []Check {
	if len(m.Actions) == 0 {
		return nil
	}
	return actionChecks
}

// dialsRead lists the dials of some checks, with their values.
func dialsRead(set Dials, tables ...[]Check) []Fact {
	list := make([]Fact, 0, len(dials))
	var seen [maxDials]bool
	for _, table := range tables {
		for i := range table {
			for _, id := range table[i].Dials {
				n := dialIndex(id)
				if n < 0 || seen[n] {
					continue
				}
				seen[n] = true
				list = append(list, fact(string(id), set.value(n)))
			}
		}
	}
	return slices.Clip(list)
}
