package probe

import (
	"fmt"

	"github.com/doppelbox/doppelbox/dispatcher"
)

// effect is whether an action was carried out, as far as that can be seen.
type effect int

const (
	unseen effect = iota // It cannot be seen.
	unmoved
	acted
)

// observation is all that is known of a hostile request after its answer.
type observation struct {
	attempt dispatcher.Attempt
	effect  effect
	fetched int    // How often our stranger's key was asked for meanwhile.
	spent   string // Why the action had been used up before; empty if it had not.
	anybody bool   // The same without a token was answered with success as well.
}

// outcome says what a service did.
func outcome(a dispatcher.Attempt, e effect) Outcome {
	switch status := a.Status; {
	case status >= 200 && status < 300 && e == unmoved:
		return Answered
	case status >= 200 && status < 300:
		return Accepted
	case e == acted:
		return Consumed
	case status == 0:
		return Unanswered
	case status == 408, status == 429:
		return Deferred
	case status < 400:
		return Redirected
	case status < 500, status == 501, status == 505:
		// The two of 5xx say what is asked of the server and it does not do
		// (RFC 9110 15.6.2, 15.6.6).
		return Refused
	}
	return ServerError
}

// butSince stands between an answer and the reason for which it proves nothing.
const butSince = "; but "

// maybeSpent follows a reason for which the action counts as used up.
const maybeSpent = ", and the action may have been used up"

// judge says what came of a probe that one request decides.
func judge(p Probe, o observation) (Mark, Outcome, string) {
	out := outcome(o.attempt, o.effect)
	if o.anybody && out == Accepted && o.effect == unseen {
		return Noted, Answered, fmt.Sprintf("answered %d, but so is the same without a token: another site answers for this host", o.attempt.Status)
	}
	if p.Expect == MustNotAct && out == Accepted && o.effect == unseen {
		out = Answered // The answer says nothing of the action.
	}
	mark, detail := judgeOutcome(p, out, o)
	if o.fetched > 0 {
		return Failed, out, fmt.Sprintf("the service fetched a key from a URL in the token's header: whoever writes a token has it send requests where he likes (%s)", detail)
	}
	if o.spent == "" || p.Expect == MustAccept || p.Expect == AtMostOnce {
		return mark, out, detail
	}
	switch {
	case proves(mark, out):
		return NotProven, out, detail + butSince + o.spent + maybeSpent
	case out == Accepted && o.effect == unseen && p.Expect != Either:
		// There are services that say "done already" before they look further.
		return NotProven, out, detail + butSince + o.spent + ", and this may be the answer to that"
	}
	return mark, out, detail
}

// proves says whether a result speaks for the service by a refusal.
func proves(m Mark, out Outcome) bool { return m == Held || m == Noted && out == Unanswered }

func judgeOutcome(p Probe, out Outcome, o observation) (Mark, string) {
	status := o.attempt.Status
	switch p.Expect {
	case MustAccept:
		return judgeGood(out, o)
	case AtMostOnce:
		return judgeRepeat(out, o)
	case MustNotAct:
		return judgeSafe(out, o)
	case Either:
		return judgeEither(out, o)
	}
	wrong := Failed
	if p.Expect == ShouldRefuse {
		wrong = Warned
	}
	switch out {
	case Accepted:
		return wrong, fmt.Sprintf("answered %d%s", status, only200(status))
	case Consumed:
		return wrong, fmt.Sprintf("%s, and yet the action was carried out", answerOf(o.attempt))
	case Answered:
		if p.Phase == After {
			return Noted, fmt.Sprintf("answered %d, and nothing was carried out again", status)
		}
		return Noted, fmt.Sprintf("answered %d, but nothing was carried out: the user is told that it was", status)
	case Refused:
		return Held, refusal(p, status)
	case Redirected:
		// Some frameworks answer so when they have acted.
		if o.effect == unmoved {
			return Held, fmt.Sprintf("answered %d, and nothing was carried out", status)
		}
		return Noted, fmt.Sprintf("answered %d: the provider does not follow it and takes it for a failure, but the service may have acted", status)
	case ServerError:
		return Noted, fmt.Sprintf("answered %d: the service did not refuse the request, it failed at it", status)
	case Deferred:
		return Undetermined, fmt.Sprintf("answered %d, which is no judgement of the request", status)
	}
	if p.Change.Pad > 0 && o.attempt.Addr != "" {
		return Held, "the connection was closed, as may be done to a request of this size"
	}
	if o.effect == unmoved {
		return Noted, "no answer, and nothing was carried out, which is taken for a refusal: " + printable(o.attempt.Error)
	}
	return Undetermined, "no answer: " + printable(o.attempt.Error)
}

// judgeGood judges the good request, and retries of it.
func judgeGood(out Outcome, o observation) (Mark, string) {
	status := o.attempt.Status
	switch {
	case status > 200 && status < 300:
		return Failed, fmt.Sprintf("answered %d: the provider takes 200 alone for done, and tells the user that it failed", status)
	case out == Accepted:
		return Held, fmt.Sprintf("answered %d", status)
	case out == Consumed:
		return Failed, answerOf(o.attempt) + ", though it was carried out: the provider takes 200 alone for done, and tells the user that it failed"
	case putOff(o.attempt):
		return Undetermined, puttingOff(o.attempt)
	case out == Answered:
		return Failed, fmt.Sprintf("answered %d, but nothing was carried out, or what was done cannot be seen", status)
	}
	return Failed, answerOf(o.attempt) + ": it must be accepted"
}

// judgeRepeat judges what must not be done a second time.
func judgeRepeat(out Outcome, o observation) (Mark, string) {
	answer := answerOf(o.attempt)
	switch {
	case o.effect == acted:
		return Failed, answer + ", and the action was carried out again"
	case out == Accepted:
		return Noted, answer + ": sound if it was not done again, which cannot be seen without an observer of effects (--effects)"
	case out == ServerError:
		return Noted, answer + ": the service did not refuse the request, it failed at it"
	case out == Deferred || out == Unanswered:
		return Undetermined, answer
	}
	return Held, answer + ", and the action was not carried out again"
}

// judgeSafe judges what may be answered in any way, if nothing is done.
func judgeSafe(out Outcome, o observation) (Mark, string) {
	answer := answerOf(o.attempt)
	switch {
	case o.effect == acted:
		return Failed, answer + ", and the action was carried out"
	case out == ServerError:
		return Noted, answer + ": the service did not refuse the request, it failed at it"
	case o.effect == unmoved:
		return Held, answer + ", and nothing was carried out"
	case out == Answered:
		return Noted, answer + ": sound if nothing was carried out, which only what is accepted later can show, or an observer of effects (--effects)"
	case out == Redirected:
		return Noted, answer + ": sound if nothing was carried out"
	case out == Deferred || out == Unanswered:
		return Undetermined, answer
	}
	return Held, answer
}

// judgeEither tells what was done, where both answers are sound.
func judgeEither(out Outcome, o observation) (Mark, string) {
	answer := answerOf(o.attempt)
	switch out {
	case ServerError:
		return Noted, answer + ": the service did not refuse the request, it failed at it"
	case Deferred, Unanswered:
		return Undetermined, answer
	case Consumed:
		return Noted, answer + ", and yet the action was carried out"
	}
	return Held, answer + ", which is sound; so would be the other answer"
}

// answerOf tells an answer in a few words.
func answerOf(a dispatcher.Attempt) string {
	if a.Status == 0 {
		return "no answer (" + printable(a.Error) + ")"
	}
	return fmt.Sprintf("answered %d", a.Status)
}

// refusal tells a refusal, and what could be better about it.
func refusal(p Probe, status int) string {
	if status != 401 && p.Fix != "" && fixes[p.Fix].bearer {
		return fmt.Sprintf("answered %d; 401 is documented for a token that does not verify", status)
	}
	return fmt.Sprintf("answered %d", status)
}

// only200 remarks on an answer that the provider does not count.
func only200(status int) string {
	if status == 200 {
		return ""
	}
	return ", though only 200 counts as done"
}
