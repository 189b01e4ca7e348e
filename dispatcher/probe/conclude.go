package probe

import "fmt"

// conclude looks at the results as a whole.
func (r *runner) conclude() {
	r.allRefused()
	r.unjudged()
	r.unjudgedRetries()
	if r.throttled > 0 {
		r.note(fmt.Sprintf("the service answered 429 from request %d on (%d times in all): lift the limit for the test, or try fewer at once (--only)",
			r.throttledFrom, r.throttled))
	}
}

// unjudged counts what must be refused and was not judged. A run that could
// judge little must not look like one that found little.
func (r *runner) unjudged() {
	sent, open := 0, 0
	var unanswered, uncounted bool
	for _, result := range r.report.Results {
		if result.Probe.Expect != MustRefuse || result.Outcome == NotSent {
			continue
		}
		sent++
		if result.Mark == Undetermined && result.Outcome != Refused { // What was refused says enough.
			open++
			unanswered = unanswered || result.Outcome == Unanswered
			uncounted = uncounted || result.Outcome == Accepted
		}
	}
	if open == 0 {
		return
	}
	hint := ""
	if unanswered && r.o.Effects == nil {
		hint = "; with something that shows whether the action was carried out (--effects), a request that is not answered can be judged, too"
	}
	if uncounted {
		hint += "; once can be told from twice if " + countEffects
	}
	r.problem("%d of %d requests that must be refused could not be judged%s", open, sent, hint)
}

// unjudgedRetries counts the retries of the good request that were not judged.
func (r *runner) unjudgedRetries() {
	sent, open := 0, 0
	for _, result := range r.report.Results {
		if result.Probe.Expect != MustAccept || result.Probe.Phase != After || result.Outcome == NotSent {
			continue
		}
		if sent++; result.Mark == Undetermined {
			open++
		}
	}
	if open > 0 {
		r.problem("%d of %d retries that must be accepted could not be judged", open, sent)
	}
}

// allRefused doubts all refusals if nothing was accepted: then they prove
// nothing.
func (r *runner) allRefused() {
	for _, result := range r.report.Results {
		if result.Outcome == Accepted || result.Outcome == Consumed {
			return
		}
	}
	sent := false
	for _, result := range r.report.Results {
		if result.Outcome == NotSent {
			continue
		}
		sent = true
		if result.Probe.Expect != MustAccept {
			r.doubt(result.Probe.ID, "no request was accepted")
		}
	}
	if len(r.report.Problems) == 0 && sent {
		r.note("no request was accepted, and the good one was not tried: the refusals prove nothing")
	}
}
