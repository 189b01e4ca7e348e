package mailauth

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
)

const (
	// maxSignatureField bounds a DKIM-Signature field in octets: Gmail takes
	// 32 KB for any field (gmail-inbound.md 1.5).
	maxSignatureField = 32 << 10
	// maxSignedFields bounds the names in h=; signers that name every field
	// twice stay below 100.
	maxSignedFields = 500
)

// signature is a DKIM-Signature field that was read (RFC 6376 3.5).
type signature struct {
	field      message.Field
	result     policy.DKIM
	rsa        bool // The algorithm is rsa-sha256, not ed25519-sha256.
	headers    Canonicalization
	body       Canonicalization
	bodyHash   []byte
	signed     []byte
	length     int64 // l=, negative if absent.
	start, end int   // Where the value of b= stands in the field's value.
}

// verdict is why a signature is not pass.
type verdict struct {
	result policy.AuthResult
	reason policy.Reason
	text   string
}

func (v *verdict) Error() string { return v.text }

func verdictf(r policy.AuthResult, reason policy.Reason, format string, args ...any) *verdict {
	return &verdict{r, reason, fmt.Sprintf(format, args...)}
}

func syntaxf(format string, args ...any) *verdict {
	return verdictf(policy.AuthNeutral, ReasonSyntax, format, args...)
}

// parseSignature reads a field. What could be read is in the signature's result
// even when there is a verdict.
func parseSignature(f message.Field) (*signature, *verdict) {
	s, tags, why := openSignature(f)
	if why != nil {
		return s, why
	}
	if version, _ := tags.get("v"); version != "1" {
		return s, verdictf(policy.AuthNeutral, ReasonVersion, "v= is %q, not 1", clip(version))
	}
	if why := s.complete(tags, "a", "b", "bh", "d", "h", "s"); why != nil {
		return s, why
	}
	return s, s.read(tags)
}

// openSignature reads the tags of a field, and of them what the result shows
// whatever else is wrong.
func openSignature(f message.Field) (*signature, tagList, *verdict) {
	s := &signature{field: f, length: -1}
	if len(f.Value) > maxSignatureField {
		return s, nil, syntaxf("the field is longer than %d octets", maxSignatureField)
	}
	tags, err := parseTags(f.Value)
	if err != nil {
		return s, nil, syntaxf("%v", err)
	}
	d, _ := tags.get("d")
	s.result.Domain = normalDomain(removeFWS(d))
	selector, _ := tags.get("s")
	s.result.Selector = removeFWS(selector)
	algorithm, _ := tags.get("a")
	s.result.Algorithm = strings.ToLower(removeFWS(algorithm))
	for _, t := range tags {
		if t.name == "b" {
			s.start, s.end = t.start, t.end
			b := removeFWS(t.value)
			s.result.Signature = b[:min(8, len(b))]
			if s.signed, err = base64.StdEncoding.DecodeString(b); err != nil {
				s.signed = nil
			}
			s.result.Fingerprint = fingerprint(s.signed)
		}
	}
	return s, tags, nil
}

// fingerprint tells a signature from others: the first 16 octets of its SHA-256,
// which nobody can make the same on purpose.
func fingerprint(signed []byte) string {
	if len(signed) == 0 {
		return ""
	}
	sum := sha256.Sum256(signed)
	return hex.EncodeToString(sum[:16])
}

// complete judges that the tags are there, and those that all kinds of
// signature have: b=, d= and s=.
func (s *signature) complete(tags tagList, names ...string) *verdict {
	for _, name := range names {
		if _, ok := tags.get(name); !ok {
			return syntaxf("tag %s= is missing", name)
		}
	}
	switch {
	case len(s.signed) == 0:
		return syntaxf("b= is not base64")
	case !isDomain(s.result.Domain):
		return syntaxf("d= is no domain: %q", clip(s.result.Domain))
	case !isSelector(s.result.Selector):
		return syntaxf("s= is no selector: %q", clip(s.result.Selector))
	}
	return nil
}

// read reads the other tags of a DKIM-Signature, and judges them.
func (s *signature) read(tags tagList) *verdict {
	if v := s.readBodyHash(tags); v != nil {
		return v
	}
	h, _ := tags.get("h")
	if v := s.readHeaders(h); v != nil {
		return v
	}
	if !slices.Contains(s.result.Headers, "from") {
		return verdictf(policy.AuthPermError, ReasonFromUnsigned, "h= does not name From")
	}
	if v := s.readAUID(tags); v != nil {
		return v
	}
	if v := s.readTimes(tags); v != nil {
		return v
	}
	return s.readMethods(tags)
}

func (s *signature) readBodyHash(tags tagList) *verdict {
	bh, _ := tags.get("bh")
	var err error
	if s.bodyHash, err = base64.StdEncoding.DecodeString(removeFWS(bh)); err != nil {
		return syntaxf("bh= is not base64")
	}
	return nil
}

func isSelector(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if !isLabel(label) {
			return false
		}
	}
	return true
}

// readHeaders reads the value of h=.
func (s *signature) readHeaders(h string) *verdict {
	names := make([]string, 0, strings.Count(h, ":")+1)
	for name := range strings.SplitSeq(h, ":") {
		name = strings.ToLower(strings.Trim(name, fws))
		if name == "" {
			return syntaxf("h= has an empty name")
		}
		names = append(names, name)
	}
	if len(names) > maxSignedFields {
		return syntaxf("h= has more than %d names", maxSignedFields)
	}
	s.result.Headers = names
	return nil
}

// readAUID reads i=, whose domain must be that of d= or below it.
func (s *signature) readAUID(tags tagList) *verdict {
	s.result.AUID = "@" + s.result.Domain
	i, ok := tags.get("i")
	if !ok {
		return nil
	}
	auid, err := decodeQuoted(removeFWS(i))
	if err != nil {
		return syntaxf("i= %v", err)
	}
	s.result.AUID = auid
	if at := strings.LastIndexByte(auid, '@'); at < 0 {
		return syntaxf("i= has no @")
	} else if domain := normalDomain(auid[at+1:]); !policy.Within(domain, s.result.Domain) {
		return verdictf(policy.AuthPermError, ReasonAUID, "i= is in %q, not in %s", clip(domain), s.result.Domain)
	}
	return nil
}

var errQuoted = errors.New("has a = without two hexadecimal digits")

// decodeQuoted decodes a dkim-quoted-printable (RFC 6376 2.11).
func decodeQuoted(s string) (string, error) {
	if !strings.Contains(s, "=") {
		return s, nil
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '=' {
			b = append(b, s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", errQuoted
		}
		n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", errQuoted
		}
		b = append(b, byte(n))
		i += 2
	}
	return string(b), nil
}

// readTimes reads t=, x= and l=.
func (s *signature) readTimes(tags tagList) *verdict {
	for _, name := range []string{"t", "x", "l"} {
		text, ok := tags.get(name)
		if !ok {
			continue
		}
		n, ok := readNumber(text)
		if !ok {
			return syntaxf("%s= is no number: %q", name, clip(text))
		}
		switch name {
		case "t":
			s.result.SignedAt = time.Unix(n, 0).UTC()
		case "x":
			s.result.ExpiresAt = time.Unix(n, 0).UTC()
		case "l":
			s.length = n
		}
	}
	if t, x := s.result.SignedAt, s.result.ExpiresAt; !t.IsZero() && !x.IsZero() && !x.After(t) {
		return syntaxf("x= is not after t=")
	}
	return nil
}

// readNumber reads digits. What is too large for any use becomes the largest
// number that a time can be made of: 12 digits, as RFC 6376 3.5 advises.
func readNumber(s string) (int64, bool) {
	if s == "" {
		return 0, false
	}
	for i := range len(s) {
		if !isDigit(s[i]) {
			return 0, false
		}
	}
	const largest = 999_999_999_999
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		n = math.MaxInt64
	}
	return min(n, largest), true
}

// readMethods reads a=, c= and q=. Those that are not known make a signature
// one that cannot be evaluated, which is not a failure.
func (s *signature) readMethods(tags tagList) *verdict {
	s.headers, s.body = Simple, Simple
	if c, ok := tags.get("c"); ok {
		header, body, _ := strings.Cut(strings.ToLower(removeFWS(c)), "/")
		s.headers = Canonicalization(header)
		if body != "" {
			s.body = Canonicalization(body)
		}
		for _, c := range []Canonicalization{s.headers, s.body} {
			if c != Simple && c != Relaxed {
				return verdictf(policy.AuthNeutral, ReasonCanonical, "c= names %q", clip(string(c)))
			}
		}
	}
	if q, ok := tags.get("q"); ok && !hasWord(q, "dns/txt") {
		return verdictf(policy.AuthNeutral, ReasonQuery, "q= does not name dns/txt")
	}
	return s.readAlgorithm()
}

// readAlgorithm judges a=.
func (s *signature) readAlgorithm() *verdict {
	switch s.result.Algorithm {
	case "rsa-sha256":
		s.rsa = true
	case "ed25519-sha256":
	case "rsa-sha1":
		return verdictf(policy.AuthPolicy, ReasonAlgorithmWeak, "rsa-sha1 does not count (RFC 8301 3.1)")
	default:
		return verdictf(policy.AuthNeutral, ReasonAlgorithm, "a= is %q", clip(s.result.Algorithm))
	}
	return nil
}
