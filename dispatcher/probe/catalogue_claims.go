package probe

import (
	"time"

	"github.com/doppelbox/doppelbox/dispatcher"
	"github.com/doppelbox/doppelbox/keys"
)

// Who issued the token.
var issuerProbes = group("issuer", "issuer", []Probe{
	{
		ID: "iss-other", Title: "Another issuer",
		Reason: "Some verifiers do not look at iss, Google's for Go among them; the service has to.",
		Source: "gmail-actions.md 3.3, 3.6; RFC 8725 3.8", Severity: High, Expect: MustRefuse,
		Change: claims(map[string]any{"iss": "https://issuer.evil.example"}),
	}, {
		ID: "iss-missing", Title: "No issuer",
		Reason: "Code that compares the issuer only if there is one.",
		Source: "gmail-actions.md 3.3; RFC 8725 3.8", Severity: High, Expect: MustRefuse,
		Change: claims(map[string]any{"iss": nil}),
	}, {
		ID: "iss-suffix", Title: "An issuer that begins like the right one",
		Reason: "Code that compares the beginning: the domain can be had.",
		Source: "RFC 8725 3.8; RFC 7519 4.1.1", Severity: High, Expect: MustRefuse,
		Change: claims(map[string]any{"iss": "{issuer}.evil.example"}),
	}, {
		ID: "iss-prefix", Title: "An issuer that ends like the right one",
		Reason: "Code that compares the end: the domain can be had.",
		Source: "RFC 8725 3.8; RFC 7519 4.1.1", Severity: High, Expect: MustRefuse,
		Change: claims(map[string]any{"iss": "https://evil-{issuer-host}"}),
	}, {
		ID: "iss-path", Title: "The right issuer as the path of another",
		Reason: "Code that looks for the issuer anywhere in the text.",
		Source: "RFC 8725 3.8; RFC 7519 4.1.1", Severity: High, Expect: MustRefuse,
		Change: claims(map[string]any{"iss": "https://evil.example/{issuer}"}),
	}, {
		ID: "iss-userinfo", Title: "The right issuer as the user name of another",
		Reason: "Code that reads a URL as people do.",
		Source: "RFC 8725 3.8; RFC 3986 7.6", Severity: High, Expect: MustRefuse,
		Change: claims(map[string]any{"iss": "{issuer}@evil.example"}),
	}, {
		ID: "iss-homoglyph", Title: "An issuer that looks like the right one",
		Reason: "Code that compares what it has made alike before.",
		Source: "RFC 8725 3.8; RFC 7519 7.3", Severity: High, Expect: MustRefuse,
		Change: claims(map[string]any{"iss": "https://accounts.gооgle.com"}), // The two o are Cyrillic.
	}, {
		ID: "iss-list", Title: "The issuer in a list with another",
		Reason: "Code that asks whether the issuer contains the right one.",
		Source: "RFC 7519 4.1.1", Severity: High, Expect: MustRefuse,
		Change: claims(map[string]any{"iss": []string{"https://issuer.evil.example", "{issuer}"}}),
	}, {
		ID: "iss-http", Title: "The issuer with scheme http",
		Reason: "Code that compares only the host.",
		Source: "gmail-actions.md 3.3; OpenID Connect Core 2", Severity: Low, Expect: MustRefuse,
		Change: claims(map[string]any{"iss": "http://{issuer-host}"}),
	}, {
		ID: "iss-slash", Title: "The issuer with a slash behind",
		Reason: "Code that tidies up before it compares.",
		Source: "gmail-actions.md 3.3; RFC 7519 4.1.1", Severity: Low, Expect: MustRefuse,
		Change: claims(map[string]any{"iss": "{issuer}/"}),
	}, {
		ID: "iss-case", Title: "The issuer in capitals",
		Reason: "Code that compares without regard to case.",
		Source: "RFC 7519 4.1.1, 7.3", Severity: Low, Expect: MustRefuse,
		Change: claims(map[string]any{"iss": "HTTPS://ACCOUNTS.GOOGLE.COM"}),
	},
})

// For whom the token is.
var audienceProbes = group("audience", "audience", []Probe{
	{
		ID: "aud-other", Title: "The token of another sender",
		Reason: "Every registered sender gets such tokens, and can send them on.",
		Source: "gmail-actions.md 3.1; RFC 7519 4.1.3", Severity: Critical, Expect: MustRefuse,
		Change: claims(map[string]any{"aud": senderURL}),
	}, {
		ID: "aud-other-host", Title: "The token of another sender, and his domain as Host",
		Reason: "Code that makes the audience it expects of the Host field: then every sender's token is good.",
		Source: "gmail-actions.md 3.1; RFC 7519 4.1.3; RFC 9110 17.1", Severity: Critical, Expect: MustRefuse,
		Change: fromSender(dispatcher.Field{Name: "Host", Value: sender}),
	}, {
		ID: "aud-other-forwarded", Title: "The token of another sender, and his domain in the fields for the host before a proxy",
		Reason: "Code that makes the audience it expects of X-Forwarded-Host or Forwarded, which a client can send as well as a proxy.",
		Source: "gmail-actions.md 3.1; RFC 7519 4.1.3; RFC 7239 8.1", Severity: Critical, Expect: MustRefuse,
		Change: fromSender(
			dispatcher.Field{Name: "X-Forwarded-Host", Value: sender}, dispatcher.Field{Name: "X-Forwarded-Proto", Value: "https"},
			dispatcher.Field{Name: "Forwarded", Value: "host=" + sender + ";proto=https"},
			dispatcher.Field{Name: "X-Original-Host", Value: sender}, dispatcher.Field{Name: "X-Host", Value: sender},
		),
	}, {
		ID: "aud-suffix", Title: "An audience that begins like the right one",
		Reason: "Code that compares the beginning: the domain can be had, and registered.",
		Source: "gmail-actions.md 3.1; RFC 7519 4.1.3", Severity: Critical, Expect: MustRefuse,
		Change: claims(map[string]any{"aud": "{audience}.evil.example"}),
	}, {
		ID: "aud-substring", Title: "The right audience inside another",
		Reason: "Code that looks for the audience anywhere in the text.",
		Source: "gmail-actions.md 3.1; RFC 7519 4.1.3", Severity: Critical, Expect: MustRefuse,
		Change: claims(map[string]any{"aud": "https://evil.example/?{audience}&"}),
	}, {
		ID: "aud-prefix", Title: "An audience that ends like the right one",
		Reason: "Code that compares the end: the domain can be had, and registered.",
		Source: "gmail-actions.md 3.1; RFC 7519 4.1.3", Severity: Critical, Expect: MustRefuse,
		Change: claims(map[string]any{"aud": "https://evil-{domain}"}),
	}, {
		ID: "aud-missing", Title: "No audience",
		Reason: "Code that compares the audience only if there is one.",
		Source: "gmail-actions.md 3.1; RFC 8725 3.9", Severity: High, Expect: MustRefuse,
		Change: claims(map[string]any{"aud": nil}),
	}, {
		ID: "aud-empty", Title: "An empty audience",
		Reason: "Some verifiers take an empty audience for: do not look.",
		Source: "gmail-actions.md 3.1, 3.6; RFC 8725 3.9", Severity: High, Expect: MustRefuse,
		Change: claims(map[string]any{"aud": ""}),
	}, {
		ID: "aud-empty-list", Title: "An empty list as audience",
		Reason: "Code that goes through a list and finds nothing wrong in it.",
		Source: "gmail-actions.md 3.1; RFC 7519 4.1.3", Severity: High, Expect: MustRefuse,
		Change: claims(map[string]any{"aud": []string{}}),
	}, {
		ID: "aud-number", Title: "A number as audience",
		Reason: "Code that compares loosely, or fails.",
		Source: "RFC 7519 4.1.3", Severity: Medium, Expect: MustRefuse,
		Change: claims(map[string]any{"aud": 0}),
	}, {
		ID: "aud-true", Title: "The value true as audience",
		Reason: "Code that compares loosely: true equals every text in some languages.",
		Source: "RFC 7519 4.1.3", Severity: High, Expect: MustRefuse,
		Change: claims(map[string]any{"aud": true}),
	}, {
		ID: "aud-subdomain", Title: "The audience of a subdomain",
		Reason: "Who may send mail as a subdomain need not be who sends as the domain.",
		Source: "gmail-actions.md 0.3, 3.1", Severity: High, Expect: MustRefuse,
		Change: claims(map[string]any{"aud": "https://mail.{domain}"}),
	}, {
		ID: "aud-parent", Title: "The audience of the domain above",
		Reason: "Under one domain there may be many customers.",
		Source: "gmail-actions.md 0.3, 3.1", Severity: High, Expect: MustRefuse,
		Change: claims(map[string]any{"aud": "https://{parent}"}),
	}, {
		ID: "aud-slash", Title: "The audience with a slash behind",
		Reason: "Code that tidies up before it compares; Google's form has no slash.",
		Source: "gmail-actions.md 3.1, 12.6", Severity: Low, Expect: MustRefuse,
		Change: claims(map[string]any{"aud": "{audience}/"}),
	}, {
		ID: "aud-path", Title: "The audience with a path",
		Reason: "Code that compares only the host.",
		Source: "gmail-actions.md 3.1", Severity: Low, Expect: MustRefuse,
		Change: claims(map[string]any{"aud": "{audience}/x"}),
	}, {
		ID: "aud-port", Title: "The audience with a port",
		Reason: "Code that compares only the host.",
		Source: "gmail-actions.md 3.1", Severity: Low, Expect: MustRefuse,
		Change: claims(map[string]any{"aud": "{audience}:443"}),
	}, {
		ID: "aud-http", Title: "The audience with scheme http",
		Reason: "Code that compares only the host.",
		Source: "gmail-actions.md 3.1", Severity: Low, Expect: MustRefuse,
		Change: claims(map[string]any{"aud": "http://{domain}"}),
	}, {
		ID: "aud-bare", Title: "The domain without a scheme as audience",
		Reason: "Code that compares only the host.",
		Source: "gmail-actions.md 3.1", Severity: Low, Expect: MustRefuse,
		Change: claims(map[string]any{"aud": "{domain}"}),
	}, {
		ID: "aud-scheme-case", Title: "The audience with scheme HTTPS",
		Reason: "Code that compares without regard to case.",
		Source: "RFC 7519 4.1.3, 7.3", Severity: Low, Expect: MustRefuse,
		Change: claims(map[string]any{"aud": "HTTPS://{domain}"}),
	}, {
		ID: "aud-list-others", Title: "The right audience in a list with another sender's",
		Reason: "A token for two is one that each of them can use with the other.",
		Source: "RFC 7519 4.1.3; libraries.md 10", Severity: Medium, Expect: ShouldRefuse,
		Change: claims(map[string]any{"aud": []string{senderURL, "{audience}"}}),
	}, {
		ID: "aud-list", Title: "The right audience in a list of one",
		Reason: "The provider writes a text. Verifiers differ.",
		Source: "RFC 7519 4.1.3; libraries.md 10", Severity: Low, Expect: ShouldRefuse,
		Change: claims(map[string]any{"aud": []string{"{audience}"}}),
	},
})

// Another sender, who is registered as well, and his domain as a URL.
const (
	sender    = "sender.evil.example"
	senderURL = "https://" + sender
)

// fromSender is the change of a request that another sender's token comes with,
// and fields that name him.
func fromSender(fields ...dispatcher.Field) Change {
	c := claims(map[string]any{"aud": senderURL})
	c.Set = fields
	return c
}

// On whose behalf the token was made.
var partyProbes = group("authorized-party", "authorized-party", []Probe{
	{
		ID: "azp-other-client", Title: "A token that Google made for somebody else's program",
		Reason: "Everybody can have Google sign a token for any audience; only azp says that Gmail asked for it. No library looks at it.",
		Source: "gmail-actions.md 3.1; libraries.md 10", Severity: Critical, Expect: MustRefuse,
		Change: claims(map[string]any{
			"azp": "104171104171104171104", "sub": "104171104171104171104", "email": "build@evil-project.iam.gserviceaccount.com",
		}),
	}, {
		ID: "azp-missing", Title: "No azp",
		Reason: "Code that compares azp only if there is one; tokens of some clients have none.",
		Source: "gmail-actions.md 3.1", Severity: Critical, Expect: MustRefuse,
		Change: claims(map[string]any{"azp": nil}),
	}, {
		ID: "azp-other", Title: "Another azp, all else being right",
		Reason: "Code that looks at email, or at sub, instead.",
		Source: "gmail-actions.md 3.1", Severity: High, Expect: MustRefuse,
		Change: claims(map[string]any{"azp": "calendar@system.gserviceaccount.com"}),
	}, {
		ID: "azp-suffix", Title: "An azp that begins like the right one",
		Reason: "Code that compares the beginning.",
		Source: "gmail-actions.md 3.1", Severity: High, Expect: MustRefuse,
		Change: claims(map[string]any{"azp": "{party}.evil.example"}),
	}, {
		ID: "azp-prefix", Title: "An azp that ends like the right one",
		Reason: "Code that compares the end, or only the domain.",
		Source: "gmail-actions.md 3.1", Severity: High, Expect: MustRefuse,
		Change: claims(map[string]any{"azp": "not-{party}"}),
	}, {
		ID: "azp-list", Title: "The right azp in a list with another",
		Reason: "Code that asks whether azp contains the right one.",
		Source: "OpenID Connect Core 2", Severity: High, Expect: MustRefuse,
		Change: claims(map[string]any{"azp": []string{"104171104171104171104", "{party}"}}),
	},
})

// When the token is good.
var timeProbes = group("time", "expiry", []Probe{
	{
		ID: "expired", Title: "A token that expired ten minutes ago",
		Reason: "An old request out of a log. Verifiers grant five minutes at most.",
		Source: "RFC 7519 4.1.4; gmail-actions.md 3.6", Severity: High, Expect: MustRefuse,
		Change: claims(map[string]any{"iat": FromNow(-70 * time.Minute), "exp": FromNow(-10 * time.Minute)}),
	}, {
		ID: "expired-long-ago", Title: "A token that expired a year ago",
		Reason: "An old request out of a backup; its key may have leaked since.",
		Source: "RFC 7519 4.1.4", Severity: High, Expect: MustRefuse,
		Change: claims(map[string]any{"iat": FromNow(-365*24*time.Hour - time.Hour), "exp": FromNow(-365 * 24 * time.Hour)}),
	}, {
		ID: "exp-missing", Title: "No exp",
		Reason: "Code that compares the time only if there is one: such a token is good for ever.",
		Source: "gmail-actions.md 3.3; OpenID Connect Core 2", Severity: High, Expect: MustRefuse,
		Change: claims(map[string]any{"exp": nil}),
	}, {
		ID: "exp-negative", Title: "A negative exp",
		Reason: "Code that takes it for a number without sign, or for never.",
		Source: "RFC 7519 2, 4.1.4", Severity: High, Expect: MustRefuse,
		Change: claims(map[string]any{"exp": -1}),
	}, {
		ID: "exp-zero", Title: "An exp of zero",
		Reason: "Code that takes zero for never.",
		Source: "RFC 7519 2, 4.1.4", Severity: High, Expect: MustRefuse,
		Change: claims(map[string]any{"exp": 0}),
	}, {
		ID: "exp-text", Title: "A word as exp",
		Reason: "Code that compares a word with a number, or fails.",
		Source: "RFC 7519 2, 4.1.4", Severity: High, Expect: MustRefuse,
		Change: claims(map[string]any{"exp": "never"}),
	}, {
		ID: "iat-future", Title: "A token that is issued ten minutes from now",
		Reason: "Made in advance, it outlives what it was made with. Some of Google's verifiers let it pass.",
		Source: "gmail-actions.md 3.6; libraries.md 10", Severity: Low, Expect: ShouldRefuse,
		Change: claims(map[string]any{"iat": FromNow(10 * time.Minute), "exp": FromNow(70 * time.Minute)}),
	}, {
		ID: "iat-far-future", Title: "A token that is issued in a year",
		Reason: "Made in advance, it outlives what it was made with. Some of Google's verifiers let it pass.",
		Source: "gmail-actions.md 3.6; libraries.md 10", Severity: Medium, Expect: ShouldRefuse,
		Change: claims(map[string]any{"iat": FromNow(365 * 24 * time.Hour), "exp": FromNow(365*24*time.Hour + time.Hour)}),
	}, {
		ID: "nbf-future", Title: "A token that is good from half an hour on",
		Reason: "Some of Google's verifiers do not look at nbf.",
		Source: "RFC 7519 4.1.5; libraries.md 10", Severity: Low, Expect: ShouldRefuse,
		Change: claims(map[string]any{"nbf": FromNow(30 * time.Minute)}),
	}, {
		ID: "iat-missing", Title: "No iat",
		Reason: "Nobody can tell how old it is. Some of Google's verifiers let it pass.",
		Source: "OpenID Connect Core 2; libraries.md 10", Severity: Low, Expect: ShouldRefuse,
		Change: claims(map[string]any{"iat": nil}),
	}, {
		ID: "exp-far", Title: "A token that is good for two days",
		Reason: "Some of Google's verifiers refuse more than one day.",
		Source: "gmail-actions.md 3.3, 3.6; libraries.md 10", Severity: Low, Expect: ShouldRefuse,
		Change: claims(map[string]any{"exp": FromNow(48 * time.Hour)}),
	}, {
		ID: "exp-string", Title: "A good exp as a text",
		Reason: "A number in quotation marks is no NumericDate; who takes it may compare it as text elsewhere.",
		Source: "RFC 7519 2", Severity: Low, Expect: ShouldRefuse,
		Change: claims(map[string]any{"iat": FromNow(0), "exp": Text(time.Hour)}),
	},
})

// claims is the change of a token to which the provider has given other claims.
func claims(c map[string]any) Change { return Change{Token: Token{Forgery: keys.Forgery{Claims: c}}} }
