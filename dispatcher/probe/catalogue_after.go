package probe

import (
	"time"

	"github.com/doppelbox/doppelbox/dispatcher"
	"github.com/doppelbox/doppelbox/keys"
)

// The same again.
var repeatProbes = group("repeat", "once", []Probe{
	{
		ID: "replay", Title: "An accepted request again, octet for octet",
		Reason: "Out of a log, or by who has seen it. Neither the provider nor a user sends the same token twice.",
		Source: "gmail-actions.md 5", Severity: High, Expect: MustRefuse, Phase: After, Change: Change{Plan: Replay},
	}, {
		ID: "replay-with-parameter", Title: "An accepted request again, with a parameter more in the URL",
		Reason: "Code that remembers whole URLs, or whole requests, and not the token in them.",
		Source: "gmail-actions.md 5", Severity: High, Expect: MustRefuse, Phase: After,
		Change: Change{Plan: Replay, Query: []Edit{{Add, "utm_source", "again"}}},
	}, {
		ID: "limited-use-empty-after-use", Title: "An empty limited-use token, after the action was carried out",
		Reason: "Code that empties the token's column when it is used: the empty token is then that of all actions that were carried out.",
		Source: "gmail-actions.md 5", Severity: High, Expect: MustRefuse, Phase: After, Fix: "limited-use",
		Change: Change{Plan: Again, LimitedUse: LimitedEmpty},
	}, {
		ID: "two-at-once", Title: "The good request twice at the same time",
		Reason: "Code that looks whether the limited-use token was used, and then uses it: both look before one has used it.",
		Source: "gmail-actions.md 5", Severity: High, Expect: MustRefuse, Phase: After, Change: Change{Plan: AtOnce},
	}, {
		ID: "two-bearers-at-once", Title: "Two good requests for one action at the same time, each with a bearer token of its own",
		Reason: "Two clicks, or a retry that meets the first request: code that takes each bearer token once, and looks at the limited-use token before it writes.",
		Source: "gmail-actions.md 4, 5", Severity: High, Expect: AtMostOnce, Phase: After, Change: Change{Plan: TwoBearers},
	}, {
		ID: "replay-fresh-bearer", Title: "The good request again, with a new bearer token",
		Reason: "A second click, or a retry of the provider whose first answer was lost: nobody can tell the two apart.",
		Source: "gmail-actions.md 4, 5", Severity: High, Expect: AtMostOnce, Phase: After, Change: Change{Plan: Again},
	}, {
		ID: "retry-after-incomplete", Title: "The good request after one of which only half arrived",
		Reason: "What the provider does when a connection broke, or after a 408: the limited-use token must still be good.",
		Source: "gmail-actions.md 4; RFC 9110 15.5.9", Severity: High, Expect: MustAccept, Phase: After,
		Change: Change{Plan: ThenGood, Framing: FramingHalf},
	}, {
		ID: "retry-after-lost-answer", Title: "The good request again, its first answer being lost",
		Reason: "The user is told that it failed, although it was done, if the second answer is not 200. The connection is closed while the service works.",
		Source: "gmail-actions.md 4; RFC 9110 9.2.2", Severity: Medium, Expect: MustAccept, Phase: After,
		Change: Change{Plan: ThenGood, Then: dispatcher.ThenHalfClose},
	},
})

// Which keys the service knows after they have changed.
var keyProbes = group("keys", "keys", []Probe{
	{
		ID: "rotation-old-token", Title: "A token of before a rotation, after it",
		Reason: "Tokens live for an hour, and their key is published for longer.",
		Source: "gmail-actions.md 3.4", Severity: Medium, Expect: MustAccept, Phase: After, Change: Change{Plan: OldToken},
	}, {
		ID: "rotation-new-key", Title: "A token of after a rotation",
		Reason: "A service with the keys of the day when it was written works until the next.",
		Source: "gmail-actions.md 3.4", Severity: Medium, Expect: MustAccept, Phase: After, Change: Change{Plan: AfterTurn},
	},
})

// What a sound service may accept as well as refuse. It must not fail at it.
var lenientProbes = group("lenient", "errors", []Probe{
	{
		ID: "scheme-lower-case", Title: "Scheme bearer", Reason: "Schemes are compared without regard to case; Google writes Bearer.",
		Source: "RFC 9110 11.1", Severity: Info, Expect: Either, Change: Change{Authorization: []string{"bearer {token}"}},
	}, {
		ID: "scheme-two-spaces", Title: "Two spaces before the token", Reason: "The syntax allows for them.",
		Source: "RFC 6750 2.1; RFC 9110 11.4", Severity: Info, Expect: Either, Change: Change{Authorization: []string{"Bearer  {token}"}},
	}, {
		ID: "authorization-folded", Title: "The field broken into two lines", Reason: "Obsolete; servers refuse it or make a space of it.",
		Source: "RFC 9112 5.2", Severity: Info, Expect: Either, Change: Change{Authorization: []string{"Bearer\r\n {token}"}},
	}, {
		ID: "typ-other", Title: "typ is at+jwt", Reason: "A service that tells kinds of tokens apart refuses it.",
		Source: "RFC 9068 2.1; RFC 8725 3.11", Severity: Info, Expect: Either,
		Change: header(map[string]any{"typ": "at+jwt"}),
	}, {
		ID: "typ-missing", Title: "No typ", Reason: "It is optional.",
		Source: "RFC 7519 5.1", Severity: Info, Expect: Either, Change: header(map[string]any{"typ": nil}),
	}, {
		ID: "cty", Title: "cty is JWT", Reason: "It says that there is a token within the token.",
		Source: "RFC 7519 5.2", Severity: Info, Expect: Either, Change: header(map[string]any{"cty": "JWT"}),
	}, {
		ID: "zip", Title: "zip is DEF", Reason: "It means something for encryption only.",
		Source: "RFC 7516 4.1.3", Severity: Info, Expect: Either, Change: header(map[string]any{"zip": "DEF"}),
	}, {
		ID: "kid-of-next", Title: "The kid of another published key", Reason: "Some verifiers try every key.",
		Source: "RFC 7515 4.1.4; gmail-actions.md 3.3", Severity: Info, Expect: Either, Change: header(map[string]any{"kid": "{next-kid}"}),
	}, {
		ID: "kid-missing", Title: "No kid, and a good signature", Reason: "Some verifiers try every key.",
		Source: "RFC 7515 4.1.4; gmail-actions.md 3.3", Severity: Info, Expect: Either, Change: header(map[string]any{"kid": nil}),
	}, {
		ID: "kid-unknown", Title: "A kid that nobody knows, and a good signature", Reason: "Some verifiers try every key.",
		Source: "RFC 7515 4.1.4; gmail-actions.md 3.3", Severity: Info, Expect: Either, Change: header(map[string]any{"kid": "0000000000000000000000000000000000000017"}),
	}, {
		ID: "iss-bare", Title: "The issuer without a scheme", Reason: "Google's verifiers take both forms.",
		Source: "gmail-actions.md 3.3", Severity: Info, Expect: Either, Change: claims(map[string]any{"iss": "{issuer-host}"}),
	}, {
		ID: "email-other", Title: "Another email, azp being right", Reason: "Only azp is documented.",
		Source: "gmail-actions.md 3.1, 3.2", Severity: Info, Expect: Either, Change: claims(map[string]any{"email": "someone@shop.invalid"}),
	}, {
		ID: "email-unverified", Title: "email_verified is false", Reason: "Only azp is documented.",
		Source: "gmail-actions.md 3.1, 3.3", Severity: Info, Expect: Either, Change: claims(map[string]any{"email_verified": false}),
	}, {
		ID: "email-verified-text", Title: "email_verified is a text", Reason: "It has made verifiers fail.",
		Source: "gmail-actions.md 3.3", Severity: Info, Expect: Either, Change: claims(map[string]any{"email_verified": "true"}),
	}, {
		ID: "sub-other", Title: "Another sub, azp being right", Reason: "Only azp is documented.",
		Source: "gmail-actions.md 3.1, 3.2", Severity: Info, Expect: Either, Change: claims(map[string]any{"sub": "104171104171104171104"}),
	}, {
		ID: "claim-unknown", Title: "A claim that nobody knows", Reason: "It is to be ignored.",
		Source: "RFC 7519 4", Severity: Info, Expect: Either, Change: claims(map[string]any{"doppelbox": true}),
	}, {
		ID: "exp-fraction", Title: "An exp with a fraction", Reason: "It is allowed, and some verifiers read whole numbers only.",
		Source: "RFC 7519 2", Severity: Info, Expect: Either, Change: claims(map[string]any{"iat": FromNow(0), "exp": Fraction(30 * time.Minute)}),
	}, {
		ID: "expired-just-now", Title: "A token that expired half a minute ago", Reason: "Verifiers grant up to five minutes, or none.",
		Source: "gmail-actions.md 3.6", Severity: Info, Expect: Either,
		Change: claims(map[string]any{"iat": FromNow(-time.Hour), "exp": FromNow(-30 * time.Second)}),
	}, {
		ID: "bearer-of-other-request", Title: "The bearer token of an earlier request for another action", Reason: "It names the sender, and no action; whether Google makes one for each request is not known.",
		Source: "gmail-actions.md 3.2", Severity: Info, Expect: Either, Change: Change{Plan: SameToken},
	}, {
		ID: "form-parameter-unknown", Title: "A parameter more in the form", Reason: "It is to be ignored.",
		Source: "gmail-actions.md 2.5", Severity: Info, Expect: Either, Change: Change{Form: []Edit{{Add, "doppelbox", "1"}}},
	}, {
		ID: "query-parameter-unknown", Title: "A parameter more in the URL", Reason: "Mailers add some to count clicks.",
		Source: "gmail-actions.md 2.4", Severity: Info, Expect: Either, Change: Change{Query: []Edit{{Add, "utm_source", "gmail"}}},
	}, {
		ID: "form-charset", Title: "A charset with the type of the form", Reason: "It means nothing there.",
		Source: "gmail-actions.md 2.2", Severity: Info, Expect: Either,
		Change: Change{Form: []Edit{{Put, "{name}", "{value}"}}, Set: []dispatcher.Field{{Name: "Content-Type", Value: dispatcher.ContentType + "; charset=UTF-8"}}},
	}, {
		ID: "form-type-missing", Title: "A form without Content-Type", Reason: "The service may guess.",
		Source: "RFC 9110 8.3", Severity: Info, Expect: Either,
		Change: Change{Form: []Edit{{Put, "{name}", "{value}"}}, Drop: []string{"Content-Type"}},
	}, {
		ID: "override-to-delete", Title: "POST that says in a field that it is a DELETE", Reason: "It is to be ignored.",
		Source: "RFC 9110 9", Severity: Info, Expect: Either,
		Change: Change{Method: "POST", Set: []dispatcher.Field{{Name: "X-HTTP-Method-Override", Value: "DELETE"}}},
	}, {
		ID: "method-lower-case", Title: "Method post", Reason: "Methods are compared with regard to case.",
		Source: "RFC 9110 9.1", Severity: Info, Expect: Either, Change: Change{Method: "post"},
	}, {
		ID: "host-other", Title: "The Host field of another", Reason: "Which hosts a server answers for is its own business.",
		Source: "RFC 9110 7.2", Severity: Info, Expect: Either, Change: Change{Set: []dispatcher.Field{{Name: "Host", Value: "other.invalid"}}},
	}, {
		ID: "target-absolute", Title: "A whole URL in the request line", Reason: "Servers have to take it, and frameworks stumble over it.",
		Source: "RFC 9112 3.2.2", Severity: Info, Expect: Either, Change: Change{Target: "https://{host}{target}"},
	}, {
		ID: "http-1.0", Title: "HTTP/1.0", Reason: "Old proxies.",
		Source: "RFC 9112 2.3", Severity: Info, Expect: Either, Change: Change{Version: "HTTP/1.0"},
	}, {
		ID: "fields-many", Title: "A header of five hundred fields", Reason: "Servers draw a line somewhere, with 431.",
		Source: "RFC 6585 5", Severity: Info, Expect: Either, Change: Change{Extra: 500},
	}, {
		ID: "field-oversized", Title: "A header with a field of 64 KiB", Reason: "Servers draw a line somewhere, with 431.",
		Source: "RFC 6585 5", Severity: Info, Expect: Either,
		Change: Change{Set: []dispatcher.Field{{Name: "X-Pad", Value: "{pad}"}}, Pad: 64 << 10},
	}, {
		ID: "body-chunked", Title: "The form in chunks", Reason: "It is legal.",
		Source: "RFC 9112 7.1", Severity: Info, Expect: Either, Change: Change{Framing: FramingChunked},
	}, {
		ID: "length-and-chunks", Title: "Content-Length and chunks", Reason: "A server may refuse it; if not, the chunks count.",
		Source: "RFC 9112 6.1, 6.3, 11.2", Severity: Info, Expect: Either, Change: Change{Framing: FramingBoth},
	}, {
		ID: "length-twice", Title: "Content-Length as a list of two equal numbers", Reason: "A server may refuse it, or take them for one.",
		Source: "RFC 9112 6.3; RFC 9110 8.6", Severity: Info, Expect: Either, Change: Change{Framing: FramingTwice},
	}, {
		ID: "lines-bare", Title: "Lines that end in LF alone", Reason: "A server may take them.",
		Source: "RFC 9112 2.2", Severity: Info, Expect: Either, Change: Change{Framing: FramingBareLF},
	}, {
		ID: "expect-continue", Title: "Expect: 100-continue", Reason: "The body comes without waiting for the interim answer.",
		Source: "RFC 9110 10.1.1", Severity: Info, Expect: Either, Change: Change{Framing: FramingContinue},
	},
})

// header is the change of a good token to whose header something was done.
func header(h map[string]any) Change { return Change{Token: Token{Forgery: keys.Forgery{Header: h}}} }
