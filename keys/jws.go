package keys

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	_ "crypto/sha256" // For crypto.Hash.
	_ "crypto/sha512" // Likewise.
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"
)

// maxToken is the length of the longest token that is verified; .NET's
// verifier draws the same line (gmail-actions.md 3.3).
const maxToken = 10_000

// maxNested is how deep objects and lists may stand in one another, which RFC
// 8259 section 9 leaves to a parser. Indented, as answers are, text that is
// nested without a limit would grow with the square of its length.
const maxNested = 64

// algorithms are all that can be permitted (RFC 7518 3.1, RFC 8037 3.1).
var algorithms = [...]jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
	jose.ES256, jose.ES384, jose.ES512, jose.EdDSA, jose.HS256, jose.HS384, jose.HS512,
}

// Algorithms returns the names of the algorithms that can be permitted.
func Algorithms() []string {
	list := make([]string, len(algorithms))
	for i, a := range algorithms {
		list[i] = string(a)
	}
	return list
}

// joseSays is how go-jose begins its errors.
const joseSays = "go-jose/go-jose: "

// jws is a token as far as it could be read.
type jws struct {
	head    []byte // The header as it stands in the token.
	header  map[string]json.RawMessage
	alg     string
	kid     string
	hasKid  bool
	payload []byte
	input   string                 // What is signed.
	parsed  *jose.JSONWebSignature // Nil if its form is wrong.
}

// form takes a token apart; nil if it has no header that can be read.
func (x *examiner) form(token string) *jws {
	j, reason, detail := takeApart(token)
	if j != nil {
		x.e.Header = j.head
		if _, err := object(j.payload); err == nil {
			x.e.Claims = j.payload
		}
	}
	if typ := ""; reason == "" && x.strict() && !readString(j.header, "typ", &typ) {
		reason, detail = "header-malformed", "typ is no string, as Google's libraries for Go and Java want it"
	}
	if reason != "" {
		x.fail("form", reason, ErrMalformed, "%s", detail)
		return j
	}
	x.pass("form", "three parts, %d characters", len(token))
	return j
}

// takeApart reads a token as far as that goes, and says what is wrong with its
// form: a reason, empty if nothing is, and a detail, which never has the token
// in it.
func takeApart(token string) (j *jws, reason, detail string) {
	switch {
	case token == "":
		return nil, "empty", "it is empty"
	case len(token) > maxToken:
		return nil, "too-long", fmt.Sprintf("%d characters, more than %d", len(token), maxToken)
	case strings.HasPrefix(strings.TrimSpace(token), "{"):
		return nil, "json-serialization", "it is JSON; a token is in compact serialization"
	}
	parts := strings.Split(token, ".")
	head, err := part(parts[0])
	if err != nil {
		return nil, "not-base64url", fmt.Sprintf("part 1 of %d %s", len(parts), err)
	}
	members, err := object(head)
	if err != nil {
		return nil, "header-not-json", fmt.Sprintf("the header %s", err)
	}
	j = &jws{head: head, header: members}
	_, j.hasKid = members["kid"]
	if !readString(members, "alg", &j.alg) || !readString(members, "kid", &j.kid) {
		return j, "header-malformed", "alg or kid is no string"
	}
	if raw, ok := members["b64"]; ok && string(bytes.TrimSpace(raw)) != "true" {
		// RFC 7797 section 7 keeps it out of JWTs.
		return j, "payload-unencoded", "b64 is not true: the payload is not encoded"
	}
	if len(parts) == 5 {
		return j, "encrypted", "it has five parts: it is encrypted (JWE), not signed"
	}
	if len(parts) > 1 {
		if j.payload, err = part(parts[1]); err != nil {
			return j, "not-base64url", fmt.Sprintf("part 2 of %d %s", len(parts), err)
		}
	}
	if len(parts) != 3 {
		return j, "not-three-parts", fmt.Sprintf("parts: %d, want 3", len(parts))
	}
	if _, err := part(parts[2]); err != nil {
		return j, "not-base64url", fmt.Sprintf("part 3 of 3 %s", err)
	}
	if !slices.Contains(algorithms[:], jose.SignatureAlgorithm(j.alg)) {
		return j, "", "" // The algorithm is found to be wrong next.
	}
	j.input = parts[0] + "." + parts[1]
	if j.parsed, err = jose.ParseSignedCompact(token, algorithms[:]); err != nil {
		return j, "header-malformed", "the header cannot be read: " + strings.TrimPrefix(err.Error(), joseSays)
	}
	return j, "", ""
}

// part decodes a part of a token. A lax decoder skips line ends and takes stray
// last bits; then several texts would be one token.
func part(text string) ([]byte, error) {
	data, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("is not base64url")
	}
	return data, nil
}

// critical refuses extensions that must be understood: none is (RFC 7515
// 4.1.11).
func (x *examiner) critical(j *jws) {
	if j == nil {
		x.skip("critical", "there is no header")
		return
	}
	raw, ok := j.header["crit"]
	if !ok {
		x.pass("critical", "no extension that must be understood")
		return
	}
	var names []string
	if json.Unmarshal(raw, &names) != nil || len(names) == 0 {
		x.fail("critical", "critical-malformed", ErrMalformed, "crit is no list of names")
		return
	}
	x.fail("critical", "critical-unknown", ErrMalformed, "not understood: %s", quoted(strings.Join(names, " ")))
}

func (x *examiner) algorithm(j *jws) {
	switch {
	case j == nil:
		x.skip("algorithm", "there is no header")
	case j.alg == "":
		x.fail("algorithm", "algorithm-missing", ErrMalformed, "there is no alg")
	case strings.EqualFold(j.alg, "none"):
		x.fail("algorithm", "algorithm-none", ErrMalformed, "%s: the token is not signed", quoted(j.alg))
	case !slices.Contains(x.o.Algorithms, j.alg):
		x.fail("algorithm", "algorithm-not-permitted", ErrMalformed, "%s, not %s", quoted(j.alg), strings.Join(x.o.Algorithms, " or "))
	case !slices.Contains(algorithms[:], jose.SignatureAlgorithm(j.alg)):
		x.fail("algorithm", "algorithm-unknown", ErrMalformed, "%s", quoted(j.alg))
	default:
		x.pass("algorithm", "%s", j.alg)
	}
}

// signature looks whether one of the keys has signed the token.
func (x *examiner) signature(j *jws, fit []trusted) {
	switch {
	case j == nil || j.parsed == nil:
		x.skip("signature", "there is none that can be verified")
		return
	case len(fit) == 0:
		x.skip("signature", "there is no key to verify it with")
		return
	case len(j.parsed.Signatures[0].Signature) == 0:
		x.fail("signature", "signature-missing", ErrSignature, "it is empty")
		return
	}
	octets := len(j.parsed.Signatures[0].Signature)
	for _, k := range fit {
		if j.verify(k) == nil {
			x.pass("signature", "%d octets", octets)
			return
		}
	}
	why := "not by this key over these two parts"
	if public, ok := fit[0].public.(*rsa.PublicKey); ok && len(fit) == 1 && public.Size() != octets {
		why = fmt.Sprintf("this key makes %d", public.Size())
	}
	x.fail("signature", "signature-wrong", ErrSignature, "%d octets, %s", octets, why)
}

// verify verifies the signature with a key that fits its algorithm.
func (j *jws) verify(k trusted) error {
	hash, ok := map[string]crypto.Hash{"PS256": crypto.SHA256, "PS384": crypto.SHA384, "PS512": crypto.SHA512}[j.alg]
	if !ok {
		_, err := j.parsed.Verify(k.public)
		return err
	}
	// go-jose takes a salt of any length; RFC 7518 3.5 has one.
	public, ok := k.public.(*rsa.PublicKey)
	if !ok {
		return errors.New("the key is not RSA")
	}
	h := hash.New()
	h.Write([]byte(j.input))
	return rsa.VerifyPSS(public, hash, h.Sum(nil), j.parsed.Signatures[0].Signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
}

// object reads a JSON object whose members have different names: RFC 7515
// section 4 and RFC 7519 section 4 leave it to a parser to refuse others, and
// one that does not can be told two things at once. It is not nested deeper than
// maxNested.
func object(data []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("is not UTF-8")
	}
	if tooDeep(data) {
		return nil, fmt.Errorf("is nested deeper than %d", maxNested)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.New("is no JSON object")
	}
	members := map[string]json.RawMessage{}
	for d.More() {
		name, err := d.Token()
		text, ok := name.(string)
		var value json.RawMessage
		if err != nil || !ok || d.Decode(&value) != nil {
			return nil, errors.New("is no JSON object")
		}
		if _, twice := members[text]; twice {
			return nil, fmt.Errorf("has %s twice", quoted(text))
		}
		members[text] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, errors.New("is no JSON object")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("is more than a JSON object")
	}
	return members, nil
}

// tooDeep says whether objects and lists stand deeper in one another than they
// may. The text need not be JSON.
func tooDeep(text []byte) bool {
	depth, quoted, escaped := 0, false, false
	for _, c := range text {
		switch {
		case escaped:
			escaped = false
		case quoted:
			quoted, escaped = c != '"', c == '\\'
		case c == '"':
			quoted = true
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
		if depth > maxNested {
			return true
		}
	}
	return false
}

// readString reads a member; false if it is there and no string.
func readString(members map[string]json.RawMessage, name string, to *string) bool {
	raw, ok := members[name]
	return !ok || raw[0] == '"' && json.Unmarshal(raw, to) == nil
}

// lastDate is the end of the year 9999, which RFC 3339 can still write.
const lastDate = 253402300799

// numericDate reads a time (RFC 7519 section 2), which may have a fraction.
func numericDate(raw json.RawMessage, to *time.Time) bool {
	seconds, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || raw[0] == '"' || seconds < 0 || seconds > lastDate {
		return false
	}
	whole, fraction := math.Modf(seconds)
	*to = time.Unix(int64(whole), int64(fraction*1e9)).UTC()
	return true
}

// wholeNumber says whether a number is written without a fraction and without an
// exponent, the only form that encoding/json reads into an int64.
func wholeNumber(raw json.RawMessage) bool {
	_, err := strconv.ParseInt(string(raw), 10, 64)
	return err == nil
}
