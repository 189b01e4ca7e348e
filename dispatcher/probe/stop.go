package probe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/doppelbox/doppelbox/dispatcher"
)

const (
	// maxSilence is how many requests in a row may end by the time limit.
	maxSilence = 3
	// maxTimeouts is how many may in all.
	maxTimeouts = 10
)

// ErrUnreachable is that of a run which could not reach the service at all.
var ErrUnreachable = errors.New("probe: the service cannot be reached")

// gone is the error of a run whose service could be reached before.
type gone struct {
	why   string
	after string // The id of the probe that was answered last, or might have been.
}

func (e gone) Error() string {
	return fmt.Sprintf("the service was gone after %s: %s", e.after, e.why)
}

// silent is the error of a run whose service does not answer in time.
type silent struct{ why string }

func (e silent) Error() string { return e.why }

// last is what was sent last.
type last struct {
	probe   Probe
	attempt dispatcher.Attempt
	shown   Exchange
}

// reached looks for a service that cannot be reached, or no more, or that does
// not answer. It is called once for each exchange.
func (r *runner) reached(ctx context.Context, p Probe, a dispatcher.Attempt, shown Exchange) error {
	before := r.last
	r.last = last{p, a, shown}
	if err := ctx.Err(); err != nil {
		return err
	}
	if a.Reason == dispatcher.ReasonCancelled {
		return errors.New("probe: the provider was stopped")
	}
	never := r.sent == 1 && a.Status == 0 && a.TLSVersion == "" // Not even TLS came about.
	withheld := a.Outcome == dispatcher.OutcomeWithheld
	if !withheld && !unreachable(a.Reason) && !never {
		return r.heard(a)
	}
	why := printable(r.hidden(a.Error)) + " (" + string(a.Reason) + ")" + remedy(a.Reason)
	if withheld || before.probe.ID == "" {
		return fmt.Errorf("%w: %s", ErrUnreachable, why)
	}
	r.last = before // This one did not reach it.
	return gone{why, before.probe.ID}
}

// heard counts the requests that are not answered in time, or with 429.
func (r *runner) heard(a dispatcher.Attempt) error {
	if a.Status == 429 {
		if r.throttled++; r.throttled == 1 {
			r.throttledFrom = r.sent
		}
	}
	if a.Reason != dispatcher.ReasonTimeout {
		r.silence = 0
		return nil
	}
	r.silence++
	r.timeouts++
	switch {
	case r.silence == maxSilence:
		return silent{fmt.Sprintf("%d requests in a row were not answered within %v: stopped, for nothing can be told of a service that does not answer", r.silence, r.o.Timeout)}
	case r.timeouts == maxTimeouts:
		return silent{fmt.Sprintf("%d requests were not answered within %v: stopped, for this would take too long", r.timeouts, r.o.Timeout)}
	}
	return nil
}

// unreachable tells the reasons that say nothing about a request: there was no
// connection, or none with TLS.
func unreachable(reason dispatcher.Reason) bool {
	switch reason {
	case dispatcher.ReasonDNS, dispatcher.ReasonConnectRefused, dispatcher.ReasonUnreachable:
		return true
	}
	return strings.HasPrefix(string(reason), "tls-")
}

// remedy says what helps where the provider is told too little.
func remedy(reason dispatcher.Reason) string {
	switch reason {
	case dispatcher.ReasonTLSAuthority:
		return "; tell the provider the authority of its certificate: --trust FILE"
	case dispatcher.ReasonHostNotRouted, dispatcher.ReasonAddressRefused:
		return "; if requests may go there, tell the provider so: --allow HOST"
	}
	return ""
}

// stop ends a run that cannot go on. What was found until then is its report;
// if nothing was, it is an error.
func (r *runner) stop(ctx context.Context, err error) (Report, error) {
	if !slices.ContainsFunc(r.report.Results, func(result Result) bool { return result.Outcome != NotSent }) {
		return Report{}, err
	}
	r.report.Stopped = true
	var why string
	var lost gone
	switch {
	case ctx.Err() != nil:
		why = "stopped before the end"
		r.problem("%s: %s", why, context.Cause(ctx))
	case errors.As(err, &lost):
		why = "the service was gone"
		r.problem("%s", lost)
	default:
		why = "the run had to end before"
		r.problem("the run had to end: %s", strings.TrimPrefix(err.Error(), "probe: "))
	}
	r.pending(why)
	if lost.after != "" {
		r.mark(lost.after, Failed, "", "the service was gone after it")
	}
	for _, p := range r.probes {
		if !r.reported(p.ID) {
			r.skip(p, why)
		}
	}
	r.conclude()
	return r.report, nil
}

// pending reports a request that was sent and not judged.
func (r *runner) pending(why string) {
	p := r.last.probe
	if p.ID == "" || r.reported(p.ID) {
		return
	}
	r.add(Result{
		Probe: p, Mark: Undetermined, Outcome: outcome(r.last.attempt, unseen), Exchanges: []Exchange{r.last.shown},
		Detail: r.hidden(answerOf(r.last.attempt)) + "; then " + why,
	})
}

func (r *runner) reported(id string) bool {
	return slices.ContainsFunc(r.report.Results, func(result Result) bool { return result.Probe.ID == id })
}
