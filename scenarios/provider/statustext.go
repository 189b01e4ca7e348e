package provider

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/doppelbox/doppelbox/dispatcher"
	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
)

// errorOf is what an attempt says of its failure, for people. An answer that is
// no success speaks for itself only to who knows what the provider makes of it:
// so a sentence says that, and names the dial.
func errorOf(click mailbox.Click, a dispatcher.Attempt) string {
	if a.Status == 0 || a.Reason != dispatcher.ReasonStatus {
		return a.Error
	}
	if redirects(a.Status) && strings.HasPrefix(a.Error, "redirected ") {
		return a.Error // It says why this one was not followed.
	}
	text := statusText(a, click.Action == mailbox.ActionUnsubscribe)
	if a.Error != "" { // Such as why its body broke off.
		text += "; " + a.Error
	}
	return text
}

// statusText says what comes of an answer that is no success, and by which dial.
// A value of the dial is not named: it is that of the click, and may be another
// one since.
func statusText(a dispatcher.Attempt, unsubscribe bool) string {
	text := ""
	switch {
	case redirects(a.Status):
		text = redirectText(a, unsubscribe)
	case unsubscribe && a.Status/100 < 4:
		text = "only an answer of 2xx is success (RFC 8058 names none)"
	case a.Status/100 < 4:
		text = fmt.Sprintf("only 200 is success (dial %s)", policy.DialSuccess)
	case a.Outcome == dispatcher.OutcomeRetrying:
		text = fmt.Sprintf("it is retried (dial %s)", policy.DialRetrySchedule)
	case a.Exhausted:
		text = fmt.Sprintf("the retries are used up (dial %s)", policy.DialRetrySchedule)
	default:
		text = fmt.Sprintf("%d is not retried (dial %s)", a.Status, retryDial(a.Status))
	}
	if slices.ContainsFunc(a.Header, func(f dispatcher.Field) bool { return strings.EqualFold(f.Name, "Retry-After") }) {
		text += "; Retry-After is not heeded"
	}
	return text
}

// retryDial is the dial that says whether a status is retried.
func retryDial(status int) policy.DialID {
	switch {
	case status == 408: // It always is, as long as the schedule lasts.
		return policy.DialRetrySchedule
	case status == 429:
		return policy.DialRetryTooMany
	case status >= 500:
		return policy.DialRetryServer
	}
	return policy.DialRetryStatus
}

// redirects says whether a status sends the client elsewhere (RFC 9110 15.4).
func redirects(status int) bool {
	return slices.Contains([]int{301, 302, 303, 307, 308}, status)
}

// maxLocation is how many octets of where a redirect leads are told.
const maxLocation = 300

// redirectText says why a redirect was not followed, and where it leads.
func redirectText(a dispatcher.Attempt, unsubscribe bool) string {
	text := "a redirect is not followed"
	if i := slices.IndexFunc(a.Header, func(f dispatcher.Field) bool { return strings.EqualFold(f.Name, "Location") }); i >= 0 {
		to := a.Header[i].Value
		if len(to) > maxLocation {
			to = to[:maxLocation] + "..."
		}
		text = "the redirect to " + strconv.Quote(to) + " is not followed"
	}
	if unsubscribe {
		return text + " (RFC 8058 3.1)"
	}
	return text + fmt.Sprintf(" (dial %s)", policy.DialRedirect)
}
