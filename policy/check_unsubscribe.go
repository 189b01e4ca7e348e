package policy

import (
	"slices"
	"strings"
)

// unsubscribeChecks is the policy on one-click unsubscription. All of them
// are skipped for a message that has no List-Unsubscribe field.
var unsubscribeChecks = []Check{
	{
		ID: "unsubscribe-present", Scope: ScopeUnsubscribe,
		Doc:     "The message has one List-Unsubscribe field and one List-Unsubscribe-Post field.",
		Source:  "RFC 8058 3.1; RFC 2369 3.2",
		Reasons: []Reason{"post-missing", "field-repeated", ReasonNone, "fields-present"},
		run:     checkUnsubscribePresent,
	},
	{
		ID: "unsubscribe-uri", Scope: ScopeUnsubscribe,
		Doc:     "List-Unsubscribe has exactly one HTTPS URI; others such as mailto may stand beside it.",
		Source:  "RFC 8058 3.1; gmail-actions.md section 11",
		Reasons: []Reason{"https-missing", "https-several", "url-malformed", ReasonNone, "https-one"},
		run:     checkUnsubscribeURI,
	},
	{
		ID: "unsubscribe-post", Scope: ScopeUnsubscribe,
		Doc:     `List-Unsubscribe-Post is the one pair "List-Unsubscribe=One-Click".`,
		Source:  "RFC 8058 3.1",
		Reasons: []Reason{"post-missing", "post-value", ReasonNone, "post-good"},
		run:     checkUnsubscribePost,
	},
	{
		ID: "unsubscribe-signed", Scope: ScopeUnsubscribe,
		Doc:     "One passing DKIM signature covers both fields.",
		Source:  "RFC 8058 section 4",
		Reasons: []Reason{"not-covered", "dkim-missing", ReasonNone, "covered"},
		run:     checkUnsubscribeSigned,
	},
	{
		ID: "unsubscribe-aligned", Scope: ScopeUnsubscribe, Advice: true,
		Doc:     "The signature that covers both fields is of From's own domain.",
		Source:  "RFC 8058 does not ask for it; a reader would",
		Reasons: []Reason{"unaligned", "not-covered", ReasonNone, "dkim-aligned"},
		run:     adviseUnsubscribeAligned,
	},
	{
		ID: "unsubscribe-author", Scope: ScopeUnsubscribe,
		Doc:     "Where a signature of the author's vouches for the mail, and not his own server, he has signed both fields.",
		Source:  "RFC 8058 section 4, 6: who adds the fields chooses where the request goes; what the real provider does is not documented",
		Reasons: []Reason{"added-by-others", "nothing-to-align", ReasonNone, "peer-vouches", "dkim-aligned"},
		run:     checkUnsubscribeAuthor,
	},
	{
		ID: "unsubscribe-delivered", Scope: ScopeUnsubscribe,
		Doc:     "The provider accepts the mail and files it in the inbox.",
		Source:  "gmail-actions.md section 11: shown only after the provider's own checks",
		Reasons: []Reason{"would-be-rejected", "would-be-deferred", "in-spam", ReasonNone, "in-inbox"},
		run: func(s subject) conclusion {
			if s.e.Markup.Unsubscribe.Fields == 0 {
				return noUnsubscribe()
			}
			return checkDelivered(s)
		},
	},
}

// oneClickValue is the pair of RFC 8058: value of the field, and body of the
// request.
const oneClickValue = "List-Unsubscribe=One-Click"

func noUnsubscribe() conclusion {
	return skip(ReasonNone, "the message has no List-Unsubscribe field")
}

func decideUnsubscribe(s subject) UnsubscribeVerdict {
	v := UnsubscribeVerdict{Answer: Offered}
	v.Findings, v.Decider, v.Reason = runAll(unsubscribeChecks, s, ReasonOffered)
	u := s.e.Markup.Unsubscribe
	switch {
	case u.Fields == 0:
		v.Answer, v.Reason = Absent, ReasonNone
	case v.Decider != "":
		v.Answer = Withheld
	default:
		v.URL = httpsURIs(u)[0]
	}
	return v
}

func checkUnsubscribePresent(s subject) conclusion {
	u := s.e.Markup.Unsubscribe
	facts := []Fact{factInt("listUnsubscribe", u.Fields), factInt("listUnsubscribePost", u.PostFields)}
	switch {
	case u.Fields == 0:
		return noUnsubscribe()
	case u.Fields > 1 || u.PostFields > 1:
		return fail("field-repeated", "a field stands more than once, and which one counts is not known", facts...)
	case u.PostFields == 0:
		return fail("post-missing", "without List-Unsubscribe-Post the sender does not ask for one click", facts...)
	}
	return pass("fields-present", "both fields are there", facts...)
}

func httpsURIs(u Unsubscribe) []string {
	var list []string
	for _, uri := range u.URIs {
		if strings.HasPrefix(strings.ToLower(uri), "https:") {
			list = append(list, uri)
		}
	}
	return list
}

func checkUnsubscribeURI(s subject) conclusion {
	u := s.e.Markup.Unsubscribe
	if u.Fields == 0 {
		return noUnsubscribe()
	}
	list := httpsURIs(u)
	facts := []Fact{fact("uris", strings.Join(u.URIs, " "))}
	switch {
	case len(list) == 0:
		return fail("https-missing", "no URI is https: mailto alone is not one click", facts...)
	case len(list) > 1:
		return fail("https-several", "there are several HTTPS URIs", facts...)
	}
	parsed, err := parseURL(list[0])
	if err != nil || parsed.Host == "" || parsed.User != nil || strings.Contains(list[0], "#") {
		return fail("url-malformed", "the HTTPS URI cannot be requested as it is", facts...)
	}
	return pass("https-one", "there is one HTTPS URI", facts...)
}

func checkUnsubscribePost(s subject) conclusion {
	u := s.e.Markup.Unsubscribe
	got := fact("value", u.Post)
	switch {
	case u.Fields == 0:
		return noUnsubscribe()
	case u.PostFields == 0:
		return fail("post-missing", "there is no List-Unsubscribe-Post field", got)
	case u.Post != oneClickValue:
		return fail("post-value", "the value must be "+oneClickValue, got)
	}
	return pass("post-good", "the value is the one of RFC 8058", got)
}

func checkUnsubscribeSigned(s subject) conclusion {
	if s.e.Markup.Unsubscribe.Fields == 0 {
		return noUnsubscribe()
	}
	if !s.e.Auth.dkimPasses() {
		return fail("dkim-missing", "no DKIM signature passes", s.authFacts()...)
	}
	if d, ok := coveringSignature(s.e.Auth, func(DKIM) bool { return true }); ok {
		return pass("covered", "a passing signature covers both fields", fact("domain", d.Domain), fact("selector", d.Selector))
	}
	return fail("not-covered", "no passing signature lists both fields in h=", s.authFacts()...)
}

// coveringSignature returns a passing signature that covers both fields and is
// wanted.
func coveringSignature(a Authentication, wanted func(DKIM) bool) (DKIM, bool) {
	for _, d := range a.DKIM {
		if d.Result == AuthPass && slices.Contains(d.Headers, "list-unsubscribe") && slices.Contains(d.Headers, "list-unsubscribe-post") && wanted(d) {
			return d, true
		}
	}
	return DKIM{}, false
}

func adviseUnsubscribeAligned(s subject) conclusion {
	if s.e.Markup.Unsubscribe.Fields == 0 {
		return noUnsubscribe()
	}
	a := s.e.Auth
	if d, ok := coveringSignature(a, func(d DKIM) bool { return a.Aligned(d.Domain, d.OrgDomain) }); ok {
		return pass("dkim-aligned", "the signature is of From's domain", fact("domain", d.Domain))
	}
	if d, ok := coveringSignature(a, func(DKIM) bool { return true }); ok {
		return fail("unaligned", "the signature that covers both fields is of another domain than From's", fact("domain", d.Domain), fact("from", s.fromDomain()))
	}
	return skip("not-covered", "no passing signature covers both fields")
}
