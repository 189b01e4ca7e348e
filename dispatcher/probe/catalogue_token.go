package probe

import (
	"github.com/doppelbox/doppelbox/dispatcher"
	"github.com/doppelbox/doppelbox/keys"
)

// Where and how the bearer token is given.
var credentialProbes = group("credentials", "credentials", []Probe{
	{
		ID: "token-missing", Title: "No Authorization field",
		Reason: "Anybody who learns the URL, and every client that is not the provider.",
		Source: "RFC 6750 3.1; gmail-actions.md 3.1, 9", Severity: Critical, Expect: MustRefuse,
		Change: Change{Authorization: none},
	}, {
		ID: "token-empty", Title: "Authorization: Bearer, and nothing behind",
		Reason: "Code that cuts the scheme off and verifies only what is left, if anything is.",
		Source: "RFC 6750 2.1", Severity: Critical, Expect: MustRefuse,
		Change: Change{Authorization: []string{"Bearer"}},
	}, {
		ID: "authorization-empty", Title: "An empty Authorization field",
		Reason: "Code that asks only whether there is a field.",
		Source: "RFC 9110 11.6.2", Severity: Critical, Expect: MustRefuse,
		Change: Change{Authorization: []string{""}},
	}, {
		ID: "token-malformed", Title: "A token that is no JWT",
		Reason: "The first thing anybody tries.",
		Source: "RFC 7519 7.2", Severity: Critical, Expect: MustRefuse,
		Change: Change{Authorization: []string{"Bearer x.y.z"}},
	}, {
		ID: "token-null", Title: "The word null for a token",
		Reason: "A client without a token writes this, and some code takes it for one.",
		Source: "RFC 7519 7.2", Severity: Critical, Expect: MustRefuse,
		Change: Change{Authorization: []string{"Bearer null"}},
	}, {
		ID: "access-token", Title: "An opaque access token, as of OAuth",
		Reason: "Everybody with an account can get one; it says nothing about a mail.",
		Source: "RFC 6749 1.4", Severity: Critical, Expect: MustRefuse,
		Change: Change{Authorization: []string{"Bearer ya29.a0AfB_byDoppelboxIsNotGoogleAndThisIsNoToken0171"}},
	}, {
		ID: "scheme-basic", Title: "The token as a password of Basic",
		Reason: "Code that takes a password for a token as well; browsers remember passwords, and send them by themselves.",
		Source: "RFC 6750 2.1; RFC 7617 2", Severity: Low, Expect: MustRefuse,
		Change: Change{Authorization: []string{"Basic {basic}"}},
	}, {
		ID: "scheme-other", Title: "Another scheme than Bearer",
		Reason: "Code that takes the last word of the field for a token, whatever stands before.",
		Source: "RFC 6750 2.1; RFC 9110 11.1", Severity: Low, Expect: MustRefuse,
		Change: Change{Authorization: []string{"JWT {token}"}},
	}, {
		ID: "scheme-missing", Title: "The token without a scheme",
		Reason: "A client that was written in haste; code that looks for a token anywhere in the field.",
		Source: "RFC 6750 2.1", Severity: Low, Expect: MustRefuse,
		Change: Change{Authorization: []string{"{token}"}},
	}, {
		ID: "scheme-joined", Title: "No space between scheme and token",
		Reason: "Code that cuts six characters off, whatever they are.",
		Source: "RFC 6750 2.1", Severity: Low, Expect: MustRefuse,
		Change: Change{Authorization: []string{"Bearer{token}"}},
	}, {
		ID: "authorization-bad-first", Title: "Two Authorization fields, the first with a bad token",
		Reason: "Where a proxy looks at one field and the service at the other, one of them verifies nothing.",
		Source: "RFC 9110 5.3, 11.6.2", Severity: Medium, Expect: ShouldRefuse,
		Change: Change{Authorization: []string{"Bearer x.y.z", "Bearer {good}"}},
	}, {
		ID: "authorization-bad-last", Title: "Two Authorization fields, the last with a bad token",
		Reason: "Where a proxy looks at one field and the service at the other, one of them verifies nothing.",
		Source: "RFC 9110 5.3, 11.6.2", Severity: Medium, Expect: ShouldRefuse,
		Change: Change{Authorization: []string{"Bearer {good}", "Bearer x.y.z"}},
	}, {
		ID: "authorization-list", Title: "Two tokens in one Authorization field",
		Reason: "Some servers join two fields into this.",
		Source: "RFC 9110 5.3, 11.6.2", Severity: Medium, Expect: ShouldRefuse,
		Change: Change{Authorization: []string{"Bearer {good}, Bearer x.y.z"}},
	}, {
		ID: "token-trailing", Title: "Something behind the token",
		Reason: "Code that splits the field at spaces, and verifies one part while it logs or forwards another.",
		Source: "RFC 6750 2.1", Severity: Low, Expect: ShouldRefuse,
		Change: Change{Authorization: []string{"Bearer {token} x"}},
	}, {
		ID: "token-in-query", Title: "The token in the query only",
		Reason: "URLs are logged and passed on, and whoever reads them has the token.",
		Source: "RFC 6750 2.3; gmail-actions.md 2", Severity: Medium, Expect: MustRefuse,
		Change: Change{Authorization: none, Query: []Edit{{Add, "access_token", "{token}"}}},
	}, {
		ID: "token-in-body", Title: "The token in the form only",
		Reason: "A form of another site can send this in a browser, which it cannot with an Authorization field.",
		Source: "RFC 6750 2.2; gmail-actions.md 2", Severity: Medium, Expect: MustRefuse,
		Change: Change{Authorization: none, Form: []Edit{{Add, "access_token", "{token}"}}},
	}, {
		ID: "token-in-cookie", Title: "The token in a cookie only",
		Reason: "Browsers send cookies by themselves, with requests that others make them make.",
		Source: "RFC 6750 2; gmail-actions.md 2", Severity: Medium, Expect: MustRefuse,
		Change: Change{Authorization: none, Set: []dispatcher.Field{{Name: "Cookie", Value: "access_token={token}; token={token}"}}},
	}, {
		ID: "token-oversized", Title: "A good token of more than 64 KiB",
		Reason: "Work for the service that costs the sender nothing. A token of the provider has less than 2000 characters.",
		Source: "gmail-actions.md 3.3 (encoding)", Severity: Low, Expect: ShouldRefuse, Fix: "size",
		Change: Change{Token: Token{Forgery: keys.Forgery{Claims: map[string]any{"pad": "{pad}"}}}, Pad: 48 << 10},
	},
})

// Who signed the token, and how.
var signatureProbes = group("signature", "signature", []Probe{
	{
		ID: "alg-none", Title: "alg is none, and there is no signature",
		Reason: "Code that believes what the token says about its own signature.",
		Source: "RFC 8725 2.1, 3.1; RFC 7515 A.5", Severity: Critical, Expect: MustRefuse,
		Change: Change{Token: Token{Forgery: keys.Forgery{Signing: keys.SignNone}}},
	}, {
		ID: "alg-none-case", Title: "alg is nOnE, and there is no signature",
		Reason: "Code that forbids none, spelt so.",
		Source: "RFC 8725 2.1, 3.1", Severity: Critical, Expect: MustRefuse,
		Change: Change{Token: Token{Forgery: keys.Forgery{Signing: keys.SignNone, Header: map[string]any{"alg": "nOnE", "kid": "{kid}"}}}},
	}, {
		ID: "alg-missing", Title: "No alg, and no signature",
		Reason: "Code with a default for what is missing.",
		Source: "RFC 7515 4.1.1", Severity: Critical, Expect: MustRefuse,
		Change: Change{Token: Token{Forgery: keys.Forgery{Signing: keys.SignNone, Header: map[string]any{"alg": nil, "kid": "{kid}"}}}},
	}, {
		ID: "signature-empty", Title: "The signature cut off, the dot left",
		Reason: "Code that verifies a signature only if there is one.",
		Source: "RFC 7515 5.2", Severity: Critical, Expect: MustRefuse,
		Change: Change{Token: Token{Edit: NoSignature}},
	}, {
		ID: "signature-missing", Title: "Header and claims only",
		Reason: "Code that splits the token at its dots and looks no further.",
		Source: "RFC 7515 3.1, 7.1", Severity: Critical, Expect: MustRefuse,
		Change: Change{Token: Token{Edit: TwoParts}},
	}, {
		ID: "hs256-certificate", Title: "HS256, the published certificate being the secret",
		Reason: "A verifier that is handed a key and the token's own alg takes what is public for a shared secret.",
		Source: "RFC 8725 2.1, 3.1", Severity: Critical, Expect: MustRefuse,
		Change: Change{Token: Token{Forgery: keys.Forgery{Signing: keys.SignHMAC}}},
	}, {
		ID: "hs256-public-key", Title: "HS256, the published key in PEM being the secret",
		Reason: "As with the certificate; which of the two works depends on the form in which the service holds its keys.",
		Source: "RFC 8725 2.1, 3.1", Severity: Critical, Expect: MustRefuse,
		Change: Change{Token: Token{Forgery: keys.Forgery{Signing: keys.SignHMAC}, Edit: HMACPublicKey}},
	}, {
		ID: "hs256-empty", Title: "HS256 with an empty secret",
		Reason: "What a look-up gives that finds no key.",
		Source: "RFC 8725 2.1, 3.5", Severity: Critical, Expect: MustRefuse,
		Change: Change{Token: Token{Forgery: keys.Forgery{Signing: keys.SignHMAC}, Edit: HMACEmpty}},
	}, {
		ID: "signature-broken", Title: "One bit of the signature changed",
		Reason: "Code that decodes the token instead of verifying it.",
		Source: "RFC 7515 5.2", Severity: Critical, Expect: MustRefuse,
		Change: Change{Token: Token{Forgery: keys.Forgery{Signing: keys.SignBroken}}},
	}, {
		ID: "signature-truncated", Title: "The last 16 octets of the signature cut off",
		Reason: "A comparison over the shorter of two lengths.",
		Source: "RFC 8017 8.2.2", Severity: Critical, Expect: MustRefuse,
		Change: Change{Token: Token{Forgery: keys.Forgery{Signing: keys.SignTruncated}}},
	}, {
		ID: "claims-replaced", Title: "Good claims under the signature of others",
		Reason: "Whoever has one token for his own domain writes the claims he likes into it.",
		Source: "RFC 7515 5.2", Severity: Critical, Expect: MustRefuse,
		Change: Change{Token: Token{Forgery: keys.Forgery{Claims: map[string]any{"aud": "https://evil.example"}}, Edit: OtherClaims}},
	}, {
		ID: "accepted-token-resigned", Title: "The token of an accepted request, with another signature",
		Reason: "Code that remembers verified tokens by their header and claims, which anybody can write.",
		Source: "RFC 7515 5.2", Severity: Critical, Expect: MustRefuse, Phase: After, Change: Change{Plan: Resigned},
	}, {
		ID: "key-of-stranger", Title: "Signed by a key that nobody has published, with its own kid",
		Reason: "Code that verifies with whatever key it can find.",
		Source: "RFC 7515 5.2, 6", Severity: Critical, Expect: MustRefuse,
		Change: Change{Token: Token{Forgery: keys.Forgery{Signing: keys.SignStranger}}},
	}, {
		ID: "key-of-stranger-known-kid", Title: "Signed by a key that nobody has published, with the kid of one that is",
		Reason: "Code that asks only whether the kid is known.",
		Source: "RFC 7515 4.1.4, 5.2", Severity: Critical, Expect: MustRefuse,
		Change: Change{Token: Token{Forgery: keys.Forgery{Signing: keys.SignStranger, Header: map[string]any{"kid": "{kid}"}}}},
	}, {
		ID: "key-of-stranger-no-kid", Title: "Signed by a key that nobody has published, without kid",
		Reason: "Code that gives up verifying where it finds no key.",
		Source: "RFC 7515 4.1.4, 6", Severity: Critical, Expect: MustRefuse,
		Change: Change{Token: Token{Forgery: keys.Forgery{Signing: keys.SignStranger, Header: map[string]any{"kid": nil}}}},
	}, {
		ID: "key-withdrawn", Title: "Signed by a key that is published no more",
		Reason: "A key that has leaked is withdrawn, and must be worth nothing from then on.",
		Source: "gmail-actions.md 3.4", Severity: High, Expect: MustRefuse, Fix: "keys",
		Change: Change{Token: Token{Forgery: keys.Forgery{Signing: keys.SignWithdrawn}}},
	}, {
		ID: "other-provider", Title: "The good token of another mail provider",
		Reason: "Others may make tokens in the same way with their own keys; who is trusted is the service's choice, and the default is nobody.",
		Source: "gmail-actions.md 3.1, 9", Severity: Critical, Expect: MustRefuse,
		Change: Change{Token: Token{Other: true}},
	}, {
		ID: "other-provider-pretending", Title: "Another provider's key under this provider's issuer and name",
		Reason: "Keys of several issuers in one pot: any of them can speak for all.",
		Source: "RFC 8725 3.8; gmail-actions.md 3.1", Severity: Critical, Expect: MustRefuse, Fix: "issuer",
		Change: Change{Token: Token{Other: true, Forgery: keys.Forgery{Claims: map[string]any{
			"iss": "{issuer}", "azp": "{party}", "email": "{party}",
		}}}},
	},
})

// What the token's header says.
var headerProbes = group("header", "signature", []Probe{
	{
		ID: "jwk-embedded", Title: "The key in the header, as jwk",
		Reason: "Code that verifies a token with the key that the token brings.",
		Source: "RFC 7515 4.1.3; RFC 8725 2.9", Severity: Critical, Expect: MustRefuse,
		Change: Change{Token: Token{Forgery: keys.Forgery{Signing: keys.SignStranger, EmbedKey: true}}},
	}, {
		ID: "x5c-embedded", Title: "The certificate in the header, as x5c",
		Reason: "Code that verifies a token with the certificate that the token brings.",
		Source: "RFC 7515 4.1.6", Severity: Critical, Expect: MustRefuse,
		Change: Change{Token: Token{Forgery: keys.Forgery{Signing: keys.SignStranger, EmbedChain: true}}},
	}, {
		ID: "jku", Title: "The keys' URL in the header, as jku",
		Reason: "Code that fetches keys from where the token says; it also fetches from within the network what it should not.",
		Source: "RFC 7515 4.1.2; RFC 8725 2.9, 3.10", Severity: Critical, Expect: MustRefuse,
		Change: Change{Token: Token{Forgery: keys.Forgery{Signing: keys.SignStranger, Header: map[string]any{"jku": "{keys}" + keys.PathStrangerJWKS}}}},
	}, {
		ID: "x5u", Title: "The certificate's URL in the header, as x5u",
		Reason: "Code that fetches a certificate from where the token says.",
		Source: "RFC 7515 4.1.5; RFC 8725 2.9, 3.10", Severity: Critical, Expect: MustRefuse,
		Change: Change{Token: Token{Forgery: keys.Forgery{Signing: keys.SignStranger, Header: map[string]any{"x5u": "{keys}" + keys.PathStrangerChain}}}},
	}, {
		ID: "kid-url", Title: "A URL as kid",
		Reason: "Code that makes an address of the kid.",
		Source: "RFC 8725 3.10", Severity: Critical, Expect: MustRefuse,
		Change: Change{Token: Token{Forgery: keys.Forgery{Signing: keys.SignStranger, Header: map[string]any{"kid": "{keys}" + keys.PathStrangerJWKS}}}},
	}, {
		ID: "kid-path", Title: "A path as kid, to a file that is empty",
		Reason: "Code that makes a file name of the kid: the secret is then known to be empty.",
		Source: "RFC 8725 3.10", Severity: Critical, Expect: MustRefuse,
		Change: Change{Token: Token{
			Forgery: keys.Forgery{Signing: keys.SignHMAC, Header: map[string]any{"kid": "../../../../../../dev/null"}}, Edit: HMACEmpty,
		}},
	}, {
		ID: "kid-quote", Title: "A quotation mark in the kid",
		Reason: "Code that makes a query to a database of the kid. Nothing is injected; an answer of 500 tells enough.",
		Source: "RFC 8725 3.10", Severity: High, Expect: MustRefuse,
		Change: Change{Token: Token{Forgery: keys.Forgery{Signing: keys.SignStranger, Header: map[string]any{"kid": "x'\"`"}}}},
	}, {
		ID: "kid-number", Title: "A number as kid",
		Reason: "Code that expects a text and fails.",
		Source: "RFC 7515 4.1.4", Severity: Medium, Expect: MustRefuse,
		Change: Change{Token: Token{Forgery: keys.Forgery{Signing: keys.SignStranger, Header: map[string]any{"kid": 17}}}},
	}, {
		ID: "header-not-json", Title: "A header that is not JSON",
		Reason: "Code that fails before it verifies, and lets pass what it failed at.",
		Source: "RFC 7515 5.2", Severity: High, Expect: MustRefuse,
		Change: Change{Token: Token{Edit: HeaderGarbled}},
	}, {
		ID: "four-parts", Title: "A token of four parts",
		Reason: "Code that takes the first three, or the last.",
		Source: "RFC 7515 7.1", Severity: Low, Expect: ShouldRefuse,
		Change: Change{Token: Token{Edit: FourParts}},
	}, {
		ID: "crit-unknown", Title: "An extension that must be understood, and that nobody understands",
		Reason: "Who ignores it accepts a token whose meaning he does not know.",
		Source: "RFC 7515 4.1.11", Severity: Low, Expect: ShouldRefuse,
		Change: Change{Token: Token{Forgery: keys.Forgery{Header: map[string]any{"crit": []string{"doppelbox"}, "doppelbox": true}}}},
	}, {
		ID: "b64-false", Title: "Claims that are said to be not encoded, and are",
		Reason: "Two readers of such a token see different claims.",
		Source: "RFC 7797 3, 6; RFC 7519 7.2", Severity: Low, Expect: ShouldRefuse,
		Change: Change{Token: Token{Forgery: keys.Forgery{Header: map[string]any{"crit": []string{"b64"}, "b64": false}}}},
	}, {
		ID: "alg-rs512", Title: "alg is RS512, the signature is RS256",
		Reason: "Who accepts it does not look at alg; that does no harm as long as his key says how it is used.",
		Source: "RFC 8725 3.1; libraries.md 10", Severity: Low, Expect: ShouldRefuse,
		Change: Change{Token: Token{Forgery: keys.Forgery{Header: map[string]any{"alg": "RS512"}}}},
	}, {
		ID: "alg-ps256", Title: "alg is PS256, the signature is RS256",
		Reason: "Who accepts it does not look at alg; that does no harm as long as his key says how it is used.",
		Source: "RFC 8725 3.1; libraries.md 10", Severity: Low, Expect: ShouldRefuse,
		Change: Change{Token: Token{Forgery: keys.Forgery{Header: map[string]any{"alg": "PS256"}}}},
	}, {
		ID: "alg-case", Title: "alg is rs256",
		Reason: "Names of algorithms are compared with regard to case; a list of forbidden ones that is not misses some.",
		Source: "RFC 7515 4.1.1", Severity: Low, Expect: ShouldRefuse,
		Change: Change{Token: Token{Forgery: keys.Forgery{Header: map[string]any{"alg": "rs256"}}}},
	}, {
		ID: "padded", Title: "Parts with the padding of base64",
		Reason: "Several texts for one token: who remembers tokens that were used misses some.",
		Source: "RFC 7515 2", Severity: Low, Expect: ShouldRefuse,
		Change: Change{Token: Token{Edit: Padded}},
	},
})
