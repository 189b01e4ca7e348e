package provider

import (
	"net/netip"
	"strconv"

	"github.com/doppelbox/doppelbox/dispatcher"
	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
)

// maxRedirects is how many redirects are followed, where any is.
const maxRedirects = 5

// contentTypeJSON is that of a body that a handler wants to have in JSON.
const contentTypeJSON = "application/json"

// requestOf makes the request of a click in one of p's accounts, as the dials
// stand now; those of its token are read at each attempt.
func (w *World) requestOf(p *Provider, click mailbox.Click) dispatcher.Request {
	plan, dials := click.Verdict.Request, w.dialsSet()
	r := dispatcher.Request{
		// Of each person's program on its own: what one waits for is nothing to another.
		ID: click.ID, Queue: click.MessageID + "/" + strconv.Itoa(click.Action) + "/" + string(click.Persona),
		Method: plan.Method, URL: plan.URL, Body: []byte(plan.Body), Retry: retryOf(dials), Timeout: dials.Duration(policy.DialTimeout),
	}
	switch {
	case plan.Form:
		r.Header = append(r.Header, dispatcher.Field{Name: "Content-Type", Value: dispatcher.ContentType})
	case plan.JSON:
		r.Header = append(r.Header, dispatcher.Field{Name: "Content-Type", Value: contentTypeJSON})
	}
	switch {
	case plan.UserAgent:
		r.Header = append(r.Header, dispatcher.Field{Name: "User-Agent", Value: dispatcher.UserAgent})
	case plan.Persona == policy.PersonaThirdParty:
		r.Header = append(r.Header, dispatcher.Field{Name: "User-Agent", Value: thirdPartyUserAgent})
	}
	if plan.Bearer {
		r.Token = w.tokenSource(p, plan)
	}
	r.HTTP2 = dials.Get(policy.DialHTTP2) == "yes"
	r.KeepAlive = dials.Get(policy.DialKeepAlive) == "yes"
	// There is no address auto: the zero one leaves it to the system.
	r.Source, _ = netip.ParseAddr(dials.Get(policy.DialSource))
	if click.Action != mailbox.ActionUnsubscribe && dials.Get(policy.DialRedirect) == "follow" {
		// RFC 8058 3.1 has no redirects for unsubscription.
		r.Redirects = maxRedirects
	}
	if click.Action == mailbox.ActionUnsubscribe || dials.Get(policy.DialSuccess) == "2xx" {
		// RFC 8058 names no status; a sender that took note may say 202 or 204.
		r.Succeeds = func(status int) bool { return status/100 == 2 }
	}
	return r
}

// retryOf is what the dials say of retries.
func retryOf(d policy.Dials) *dispatcher.Retry {
	return &dispatcher.Retry{
		Schedule:        d.Durations(policy.DialRetrySchedule),
		Statuses:        d.Statuses(policy.DialRetryStatus),
		ServerErrors:    d.Get(policy.DialRetryServer) == "yes",
		TooManyRequests: d.Get(policy.DialRetryTooMany) == "yes",
		NoAnswer:        d.Get(policy.DialRetryTimeout) == "yes",
	}
}
