package probe

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/dispatcher"
	"github.com/doppelbox/doppelbox/keys"
)

// Change says how a request differs from the good one; the zero value is the
// good one. In its texts, words in braces stand for what is known only when it
// is sent:
//
//	{token}     the bearer token with the change's differences
//	{basic}     the same as a password of Basic, encoded
//	{good}      the bearer token of the good request
//	{audience}  the sender's domain as URL; {domain} without the scheme, {parent} without the first label
//	{issuer}    the provider's iss; {issuer-host} without the scheme
//	{party}     the provider's azp
//	{kid}       id of the key that signs; {next-kid} of the one that will sign next
//	{keys}      base URL of our published keys
//	{host}      the value of Host
//	{path}, {query}, {target}  of the URL; target is both
//	{form}      the body of the good request, {name} and {value} its first parameter
//	{pad}       as many letters as Pad says
type Change struct {
	Plan  Plan
	Token Token
	// Authorization has the values of the fields of this name. Nil is one,
	// "Bearer {token}"; an empty list is none.
	Authorization []string
	LimitedUse    LimitedUse
	Method        string
	Path          string
	Target        string // The whole target of the request line.
	Query         []Edit // Of the URL.
	Form          []Edit // Of the body.
	Body          string // In place of the form.
	Set           []dispatcher.Field
	Drop          []string // Names of fields that are left out.
	Extra         int      // How many fields are sent that nobody knows.
	Version       string   // Empty is HTTP/1.1.
	Framing       Framing
	Then          dispatcher.Then
	Pad           int // In octets. A request with padding is oversized, and may be left unanswered.
}

// Plan is how many requests a probe takes, and which.
type Plan string

// The plans.
const (
	Once       Plan = ""            // One, with the change.
	Replay     Plan = "replay"      // The octets of the accepted request once more, but for parameters that are added to its URL.
	Again      Plan = "again"       // The accepted request once more, with another bearer token.
	AtOnce     Plan = "at-once"     // The good request twice in the same octets, at the same time.
	TwoBearers Plan = "two-bearers" // The good request twice at the same time, with two bearer tokens.
	ThenGood   Plan = "then-good"   // One with the change; after its answer, which is taken for lost, the good one.
	SameToken  Plan = "same-token"  // The bearer token of an accepted request, with a fresh action.
	Resigned   Plan = "resigned"    // The same, but one character of the token's signature is another.
	OldToken   Plan = "old-token"   // A token, then a rotation, then the request.
	AfterTurn  Plan = "rotation"    // The good request after a rotation.
	OtherAsker Plan = "other-asker" // The URL of another user's action with this one's limited-use token.
)

// Token says how a bearer token differs from the good one.
type Token struct {
	keys.Forgery      // Texts in it are filled in; values of type [FromNow], [Fraction] and [Text] become times.
	Other        bool // Made by the other provider.
	Edit         TokenEdit
}

// FromNow is a time, as its distance from the provider's.
type FromNow time.Duration

// Fraction is a time as FromNow is, but the NumericDate has a half second.
type Fraction time.Duration

// Text is a time as FromNow is, but it is a text and no number.
type Text time.Duration

// TokenEdit is what is done to the text of a token that has been made.
type TokenEdit string

// The edits.
const (
	TwoParts      TokenEdit = "two-parts"     // Without signature, and without its dot.
	NoSignature   TokenEdit = "no-signature"  // With an empty signature.
	FourParts     TokenEdit = "four-parts"    // With one more part.
	Padded        TokenEdit = "padded"        // With the padding that base64url of JWS leaves out.
	OtherClaims   TokenEdit = "other-claims"  // The claims of the good token, under the signature of this one.
	HMACPublicKey TokenEdit = "hmac-spki"     // Signed by HS256; the secret is the public key in PEM.
	HMACEmpty     TokenEdit = "hmac-empty"    // Signed by HS256; the secret is empty.
	HeaderGarbled TokenEdit = "header-broken" // With a header that is not JSON.
)

// LimitedUse is what is done to the limited-use token.
type LimitedUse string

// What can be done.
const (
	LimitedMissing   LimitedUse = "missing"
	LimitedEmpty     LimitedUse = "empty"
	LimitedAltered   LimitedUse = "altered"    // Its last character is another.
	LimitedCase      LimitedUse = "case"       // Its letters have the other case.
	LimitedCut       LimitedUse = "cut"        // Only its first half.
	LimitedLonger    LimitedUse = "longer"     // With another character behind.
	LimitedArray     LimitedUse = "array"      // As name[].
	LimitedNot       LimitedUse = "not-equal"  // As name[$ne], with another value.
	LimitedBadFirst  LimitedUse = "bad-first"  // Twice, an altered one first.
	LimitedBadLast   LimitedUse = "bad-last"   // Twice, an altered one last.
	LimitedInBody    LimitedUse = "in-body"    // In the form instead.
	LimitedWildcard  LimitedUse = "wildcard"   // The percent sign in its place.
	LimitedQuote     LimitedUse = "quote"      // A condition in its place, behind a quotation mark.
	LimitedOtherUser LimitedUse = "other-user" // That of another user's action.
	LimitedOther     LimitedUse = "other"      // That of another action.
)

// Edit is a change to the parameters of a query or a form.
type Edit struct {
	Op    Op
	Name  string
	Value string
}

// Op is what an edit does.
type Op string

// What an edit can do.
const (
	Add    Op = "add"    // Puts a parameter at the end.
	First  Op = "first"  // Puts it at the beginning.
	Put    Op = "set"    // Gives the parameter another value.
	Rename Op = "rename" // Gives it the name that Value says.
	Remove Op = "remove"
)

// Framing is how the end of the body is told.
type Framing string

// The framings. Where the length can be read in two ways both end at the same
// octet, the last one; and where octets are left over they are no beginning of a
// request. So nothing of a probe can become part of somebody else's request
// behind a proxy.
const (
	FramingLength   Framing = ""             // Content-Length, right.
	FramingChunked  Framing = "chunked"      // Transfer-Encoding.
	FramingBoth     Framing = "both"         // Both; the length is that of the chunked form.
	FramingUnknown  Framing = "unknown"      // Both, the coding being "xchunked".
	FramingSigned   Framing = "signed"       // Content-Length with a plus sign.
	FramingTwice    Framing = "twice"        // Content-Length as a list of two that are equal.
	FramingShort    Framing = "short"        // Content-Length of half the body.
	FramingLong     Framing = "long"         // Content-Length of more than the body.
	FramingHalf     Framing = "half"         // Right, but only half the body is sent.
	FramingNone     Framing = "none"         // Not at all.
	FramingBadChunk Framing = "bad-chunk"    // Chunked, the size of the chunk in the notation of C.
	FramingSpace    Framing = "space"        // Chunked, a space before the colon; the length is that of the chunked form.
	FramingBareLF   Framing = "bare-lf"      // Content-Length; lines end in LF alone.
	FramingContinue Framing = "100-continue" // Content-Length; Expect: 100-continue, without waiting for it.
)

// zero says whether a token is the good one.
func (t Token) zero() bool { return reflect.ValueOf(t).IsZero() }

// carries says whether a request has a bearer token in its Authorization field.
func (c Change) carries() bool {
	return c.Authorization == nil || slices.ContainsFunc(c.Authorization, func(v string) bool { return strings.Contains(v, "{") })
}

// elsewhere says whether a request with a token of its own names another host.
func (c Change) elsewhere() bool {
	return !c.Token.zero() && slices.ContainsFunc(c.Set, func(f dispatcher.Field) bool { return f.Name == "Host" || f.Name == "X-Forwarded-Host" })
}

// Need is what a probe can be sent only with.
type Need string

// The needs.
const (
	NeedBearer     Need = "bearer"
	NeedLimitedUse Need = "limited-use"
	NeedPost       Need = "post"
	NeedForm       Need = "form"
	NeedParameter  Need = "parameter"
	NeedKeysURL    Need = "keys-url"
	NeedOther      Need = "other-provider"
	NeedFresh      Need = "fresh"
	NeedOtherUser  Need = "other-user"
	NeedRotate     Need = "rotate"
)

// Needs returns what a probe needs, in a fixed order.
func (p Probe) Needs() []Need {
	c := p.Change
	var list []Need
	add := func(n Need, needed bool) {
		if needed {
			list = append(list, n)
		}
	}
	otherUser := c.LimitedUse == LimitedOtherUser || c.Plan == OtherAsker
	add(NeedBearer, !c.Token.zero() || c.Authorization != nil || c.Plan == SameToken || c.Plan == Resigned || c.Plan == TwoBearers || c.Plan == OldToken || c.Plan == AfterTurn)
	add(NeedLimitedUse, c.LimitedUse != "" || c.Plan == OtherAsker)
	add(NeedPost, c.Method != "")
	typed := slices.ContainsFunc(c.Set, func(f dispatcher.Field) bool { return f.Name == "Content-Type" })
	add(NeedForm, typed || len(c.Form) > 0 || c.Body != "" || c.Framing != "" || c.LimitedUse == LimitedInBody)
	add(NeedParameter, slices.ContainsFunc(c.Query, func(e Edit) bool { return e.Name == parameterName }))
	add(NeedKeysURL, c.pointsAtUs())
	add(NeedOther, c.Token.Other)
	add(NeedOtherUser, otherUser)
	switch c.Plan {
	case Once, Replay, Again, OtherAsker:
		add(NeedFresh, p.Expect == Either || c.LimitedUse == LimitedOther)
	default:
		add(NeedFresh, true)
	}
	add(NeedRotate, c.Plan == OldToken || c.Plan == AfterTurn)
	return list
}

// parameterName stands in an edit for the first parameter of the query that is
// not the limited-use token.
const parameterName = "{parameter}"

// pointsAtUs says whether the token's header has a URL of ours.
func (c Change) pointsAtUs() bool {
	for _, v := range c.Token.Header {
		if s, ok := v.(string); ok && strings.Contains(s, "{keys}") {
			return true
		}
	}
	return false
}
