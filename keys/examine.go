package keys

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The reasons for which Verify refuses a token, in the order in which it looks.
var (
	ErrMalformed       = errors.New("keys: token is malformed") // Not a JWT of a permitted algorithm, or claims unreadable.
	ErrUnknownKey      = errors.New("keys: token names a key that is not published")
	ErrKey             = errors.New("keys: token names a key that must not verify it")
	ErrSignature       = errors.New("keys: token signature is wrong")
	ErrIssuer          = errors.New("keys: token issuer is wrong")
	ErrAudience        = errors.New("keys: token audience is wrong")
	ErrAuthorizedParty = errors.New("keys: token authorized party is wrong")
	ErrNotYetIssued    = errors.New("keys: token is issued in the future")
	ErrNotYetValid     = errors.New("keys: token is not valid yet")
	ErrExpired         = errors.New("keys: token has expired")
	ErrEmail           = errors.New("keys: token email is not verified")
	ErrLifetime        = errors.New("keys: token lives too long")
)

// maxLife is the longest life of a token that every verifier takes; two of them
// draw this line (gmail-actions.md 3.3).
const maxLife = 24 * time.Hour

// VerifyOptions say what a token is verified against.
type VerifyOptions struct {
	Audience string // What aud must be, literally.
	// AnyAudience leaves aud alone: for one who only asks whose token it is.
	AnyAudience bool
	At          time.Time // The verifier's time. For a Set, zero is the provider's clock.

	// What follows a Set knows by itself.

	Issuer          string   // What iss must be; empty leaves it alone.
	AuthorizedParty string   // What azp must be; empty leaves it alone.
	Algorithms      []string // The permitted ones (RFC 7518 3.1); none means RS256.
	// Foreign is for tokens of other makers: aud may be a list (RFC 7519
	// 4.1.3), iat may be missing, times may have fractions (section 2), typ may be
	// anything, and whether the email is verified and how long the token lives is
	// theirs to say.
	Foreign bool
	// SignatureOnly looks at the signature and no further: the payload may be
	// anything.
	SignatureOnly bool

	// bareIssuer takes iss without its scheme, too, as every library of Google's
	// does of its own issuer (gmail-actions.md 3.6).
	bareIssuer bool
}

// Result is what was found of one thing that was looked at.
type Result string

// The results.
const (
	Pass Result = "pass"
	Fail Result = "fail"
	Skip Result = "skip" // Not looked at; the detail says why.
)

// Finding is one thing that was looked at in a token.
type Finding struct {
	Check  string `json:"check"` // Such as "signature".
	Result Result `json:"result"`
	// Reason is a stable word for a failure, such as "signature-wrong".
	Reason string `json:"reason,omitempty"`
	// Detail tells people of the values. Those of the token stand in Go quotes,
	// and long ones are cut.
	Detail string `json:"detail"`

	err error // Of a failure: which of the Err variables.
}

// Examination is all that was found of a token. Header and claims are as they
// were read, also of a token that is not verified: then nobody vouches for them.
type Examination struct {
	Verified bool `json:"verified"`
	// Reason is that of the first failure.
	Reason   string          `json:"reason,omitempty"`
	At       time.Time       `json:"at"` // The verifier's time.
	Header   json.RawMessage `json:"header,omitempty"`
	Claims   json.RawMessage `json:"claims,omitempty"` // Missing if the payload is no JSON object.
	Findings []Finding       `json:"findings"`

	read Claims
}

// Err returns nil for a verified token, and else an error that wraps the Err
// variable of the first failure and says what was found.
func (e Examination) Err() error {
	for _, f := range e.Findings {
		if f.Result == Fail {
			return fmt.Errorf("%w: %s", f.err, f.Detail)
		}
	}
	return nil
}

// Examine looks at everything there is to verify in a token: a JWS in compact
// serialization (RFC 7515 section 7.1) that one of the given keys has signed,
// and the claims of a JWT (RFC 7519) in it. It looks on after a failure, and the
// first one decides. Times have no skew. What email says is not compared: that it
// repeats azp is known by analogy only (gmail-actions.md 3.3).
func Examine(token string, k TrustedKeys, o VerifyOptions) Examination {
	if len(o.Algorithms) == 0 {
		o.Algorithms = []string{"RS256"}
	}
	x := examiner{keys: k, o: o, e: Examination{At: o.At.UTC(), Findings: []Finding{}}}
	j := x.form(token)
	x.critical(j)
	x.algorithm(j)
	x.signature(j, x.key(j))
	if !o.SignatureOnly {
		x.claims(x.payload(j))
	}
	x.e.Verified = true
	for _, f := range x.e.Findings {
		if f.Result == Fail {
			x.e.Verified, x.e.Reason = false, f.Reason
			break
		}
	}
	return x.e
}

// examiner collects findings.
type examiner struct {
	keys TrustedKeys
	o    VerifyOptions
	e    Examination
}

// strict says whether the token has to be one that every library of Google's can
// read, as the provider's own are.
func (x *examiner) strict() bool { return !x.o.Foreign && !x.o.SignatureOnly }

func (x *examiner) pass(check, format string, args ...any) {
	x.e.Findings = append(x.e.Findings, Finding{Check: check, Result: Pass, Detail: fmt.Sprintf(format, args...)})
}

func (x *examiner) skip(check, format string, args ...any) {
	x.e.Findings = append(x.e.Findings, Finding{Check: check, Result: Skip, Detail: fmt.Sprintf(format, args...)})
}

func (x *examiner) fail(check, reason string, err error, format string, args ...any) {
	x.e.Findings = append(x.e.Findings, Finding{Check: check, Result: Fail, Reason: reason, Detail: fmt.Sprintf(format, args...), err: err})
}

// claimSet are the claims that are looked at, and which of them are there.
type claimSet struct {
	Claims
	members   map[string]json.RawMessage
	audiences []string
	notBefore time.Time
}

func (c claimSet) has(name string) bool {
	_, ok := c.members[name]
	return ok
}

// payload reads the claims; nil if they cannot be read.
func (x *examiner) payload(j *jws) *claimSet {
	if j == nil {
		x.skip("claims", "the token has no parts")
		return nil
	}
	members, err := object(j.payload)
	if err != nil {
		x.fail("claims", "claims-not-json", ErrMalformed, "the payload %s", err)
		return nil
	}
	c := claimSet{members: members}
	var bad, missing []string
	for _, name := range []string{"iss", "sub", "azp", "email"} {
		if !readString(members, name, map[string]*string{"iss": &c.Issuer, "sub": &c.Subject, "azp": &c.AuthorizedParty, "email": &c.Email}[name]) {
			bad = append(bad, name+" is no string")
		}
	}
	if !c.readAudience(x.o.Foreign) {
		bad = append(bad, "aud is no string")
	}
	if raw, ok := members["email_verified"]; ok && json.Unmarshal(raw, &c.EmailVerified) != nil {
		bad = append(bad, "email_verified is no boolean")
	}
	for _, t := range []struct {
		name     string
		to       *time.Time
		required bool
	}{{"iat", &c.IssuedAt, !x.o.Foreign}, {"nbf", &c.notBefore, false}, {"exp", &c.Expiry, true}} {
		raw, ok := members[t.name]
		switch {
		case ok && !numericDate(raw, t.to):
			bad = append(bad, t.name+" is no NumericDate")
		case ok && t.required && x.strict() && !wholeNumber(raw):
			bad = append(bad, t.name+" is not written as whole seconds, as Google's libraries for Go and Java want it")
		case ok && t.name == "iat" && x.strict() && t.to.Unix() == 0:
			bad = append(bad, "iat is 0, which Google's library for Node takes for none")
		case !ok && t.required:
			missing = append(missing, t.name)
		}
	}
	switch {
	case len(bad) > 0:
		x.fail("claims", "claim-malformed", ErrMalformed, "%s", strings.Join(bad, ", "))
		return nil
	case len(missing) > 0:
		x.fail("claims", "claim-missing", ErrMalformed, "claims lack %s", strings.Join(missing, " and "))
	default:
		x.pass("claims", "%d claims", len(members))
	}
	x.e.read = c.Claims
	return &c
}

// readAudience reads aud: a string or, if lists are taken, a list of strings.
func (c *claimSet) readAudience(list bool) bool {
	raw, ok := c.members["aud"]
	if !ok {
		return true
	}
	if readString(c.members, "aud", &c.Audience) {
		c.audiences = []string{c.Audience}
		return true
	}
	var members []*string
	if !list || json.Unmarshal(raw, &members) != nil || members == nil {
		return false
	}
	c.audiences = make([]string, len(members))
	for i, m := range members {
		if m == nil {
			return false
		}
		c.audiences[i] = *m
	}
	return true
}

// claims looks at each claim.
func (x *examiner) claims(c *claimSet) {
	if c == nil {
		for _, check := range []string{"issuer", "audience", "authorized-party", "issued-at", "not-before", "expiry", "email-verified", "lifetime"} {
			x.skip(check, "the claims cannot be read")
		}
		return
	}
	issuer := x.o.Issuer
	if x.o.bareIssuer && c.Issuer == bareIssuer(issuer) {
		issuer = c.Issuer
	}
	x.literal("issuer", "iss", c, c.Issuer, issuer, ErrIssuer)
	x.audience(c)
	x.literal("authorized-party", "azp", c, c.AuthorizedParty, x.o.AuthorizedParty, ErrAuthorizedParty)
	x.times(c)
	switch {
	case !c.has("email_verified"):
		x.skip("email-verified", "there is no email_verified")
	case c.EmailVerified:
		x.pass("email-verified", "%s", quoted(c.Email))
	case x.o.Foreign:
		x.skip("email-verified", "%s is not", quoted(c.Email))
	default:
		x.fail("email-verified", "email-not-verified", ErrEmail, "%s", quoted(c.Email))
	}
	// In whole seconds, as oauth2client compares.
	switch left := c.Expiry.Sub(x.o.At.Truncate(time.Second)); {
	case !c.has("exp"):
		x.skip("lifetime", "there is no exp")
	case left < maxLife:
		x.pass("lifetime", "ends in less than %s", short(maxLife))
	case x.o.Foreign:
		x.skip("lifetime", "ends in %s", short(left))
	default:
		x.fail("lifetime", "lives-too-long", ErrLifetime, "ends in %s, which is not less than %s", short(left), short(maxLife))
	}
}

// literal compares a claim octet for octet.
func (x *examiner) literal(check, name string, c *claimSet, got, want string, err error) {
	switch {
	case want == "" && !c.has(name):
		x.skip(check, "there is no %s, and none was asked for", name)
	case want == "":
		x.skip(check, "%s: none was asked for", quoted(got))
	case !c.has(name):
		x.fail(check, check+"-missing", err, "there is no %s, want %s", name, quoted(want))
	case got != want:
		x.fail(check, check+"-wrong", err, "%s, not %s", quoted(got), quoted(want))
	default:
		x.pass(check, "%s", quoted(got))
	}
}

func (x *examiner) audience(c *claimSet) {
	want := x.o.Audience
	switch {
	case x.o.AnyAudience:
		want = ""
	case want == "" && len(c.audiences) < 2:
		x.fail("audience", "audience-wrong", ErrAudience, "%s, not %s", quoted(c.Audience), quoted(want))
		return
	case want == "": // An empty one among several is nobody's.
		x.fail("audience", "audience-wrong", ErrAudience, "%d of them, and none was asked for", len(c.audiences))
		return
	}
	if len(c.audiences) < 2 {
		if len(c.audiences) == 1 {
			c.Audience = c.audiences[0]
		}
		x.literal("audience", "aud", c, c.Audience, want, ErrAudience)
		return
	}
	for _, a := range c.audiences {
		if a == x.o.Audience && !x.o.AnyAudience {
			x.pass("audience", "%s, one of %d", quoted(a), len(c.audiences))
			return
		}
	}
	if x.o.AnyAudience {
		x.skip("audience", "%d of them: none was asked for", len(c.audiences))
		return
	}
	x.fail("audience", "audience-wrong", ErrAudience, "%d of them, none %s", len(c.audiences), quoted(x.o.Audience))
}

func (x *examiner) times(c *claimSet) {
	at := x.o.At
	switch {
	case !c.has("iat"):
		x.skip("issued-at", "there is no iat")
	case c.IssuedAt.After(at):
		x.fail("issued-at", "issued-in-future", ErrNotYetIssued, "at %s, now %s", stamp(c.IssuedAt), stamp(at))
	default:
		x.pass("issued-at", "%s, %s", stamp(c.IssuedAt), relative(at, c.IssuedAt))
	}
	switch {
	case !c.has("nbf"):
		x.skip("not-before", "there is no nbf")
	case c.notBefore.After(at):
		x.fail("not-before", "not-yet-valid", ErrNotYetValid, "before %s, now %s", stamp(c.notBefore), stamp(at))
	default:
		x.pass("not-before", "%s, %s", stamp(c.notBefore), relative(at, c.notBefore))
	}
	switch {
	case !c.has("exp"):
		x.skip("expiry", "there is no exp")
	case !at.Before(c.Expiry):
		x.fail("expiry", "expired", ErrExpired, "at %s, now %s", stamp(c.Expiry), stamp(at))
	default:
		x.pass("expiry", "%s, %s", stamp(c.Expiry), relative(at, c.Expiry))
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// relative says where a time lies as seen from another.
func relative(now, t time.Time) string {
	if d := t.Sub(now); d > 0 {
		return "in " + short(d)
	}
	return short(now.Sub(t)) + " ago"
}

// short writes a duration without units that are zero.
func short(d time.Duration) string {
	text := d.Truncate(time.Second).String()
	if cut, ok := strings.CutSuffix(text, "m0s"); ok {
		text = cut + "m"
	}
	if cut, ok := strings.CutSuffix(text, "h0m"); ok {
		text = cut + "h"
	}
	return text
}

// maxQuoted is how much of a value of a token is told, in octets.
const maxQuoted = 200

func quoted(s string) string {
	if len(s) > maxQuoted {
		return strconv.Quote(s[:maxQuoted]) + "..."
	}
	return strconv.Quote(s)
}
