package policy

import "strconv"

// Answered is what a service answered to one-click unsubscription, at the last
// attempt.
type Answered struct {
	Status  int    `json:"status"`            // Zero without an answer.
	Cookies int    `json:"cookies"`           // How many the answer sets.
	Problem string `json:"problem,omitempty"` // Why there is no answer.
	Hosted  bool   `json:"hosted"`            // The request was allowed to go out.
}

// answerChecks judge what the service made of one-click unsubscription
// (RFC 8058). Nothing depends on them: the request has gone out.
var answerChecks = []Check{
	{
		ID: "unsubscribe-answered", Scope: ScopeAnswer,
		Doc:     "The service takes the request of one-click unsubscription, and sends nobody elsewhere.",
		Source:  "RFC 8058 3.1: no redirect; the status of success is not named, and any 2xx is taken for it",
		Reasons: []Reason{"redirected", "refused", "service-failed", "unanswered", "not-sent", "unsubscribed"},
		run:     checkAnswered,
	},
	{
		ID: "unsubscribe-stateless", Scope: ScopeAnswer, Advice: true,
		Doc:     "The answer sets no cookies: the provider sends none, so nothing may depend on them.",
		Source:  "RFC 8058 3.1, 3.2",
		Reasons: []Reason{"cookies-set", "not-sent", "no-cookies"},
		run:     adviseStateless,
	},
}

// DecideAnswer judges the answer to the request of one-click unsubscription.
func DecideAnswer(a Answered) []Finding {
	list, _, _ := runAll(answerChecks, subject{answered: &a}, "")
	return list
}

func checkAnswered(s subject) conclusion {
	a := s.answered
	status := fact("status", strconv.Itoa(a.Status))
	switch {
	case !a.Hosted:
		return skip("not-sent", "the request was not allowed to go out: "+a.Problem)
	case a.Status == 0:
		return fail("unanswered", "the service did not answer: "+a.Problem)
	case a.Status/100 == 2:
		return pass("unsubscribed", "the service took the request", status)
	case a.Status/100 == 3:
		return fail("redirected", "the service redirects the request, which nobody follows: the user stays subscribed", status)
	case a.Status/100 == 5:
		return fail("service-failed", "the service failed, and the user stays subscribed", status)
	}
	return fail("refused", "the service refused the request, and the user stays subscribed", status)
}

func adviseStateless(s subject) conclusion {
	switch a := s.answered; {
	case !a.Hosted || a.Status == 0:
		return skip("not-sent", "there is no answer")
	case a.Cookies > 0:
		return fail("cookies-set", "the answer sets cookies, which nobody keeps", factInt("cookies", a.Cookies))
	}
	return pass("no-cookies", "the answer sets no cookies")
}
