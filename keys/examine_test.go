package keys

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// examine makes a token by a forgery and examines it as its provider does.
func examine(t *testing.T, s *Set, f Forgery) Examination {
	t.Helper()
	token, err := s.Forge(Claims{Audience: audience}, f)
	if err != nil {
		t.Fatal(err)
	}
	return s.Examine(token, VerifyOptions{Audience: audience})
}

// TestExamineReasons has one forgery per reason that a provider's token can be
// refused for.
func TestExamineReasons(t *testing.T) {
	t.Parallel()
	s, c := newSet(t, Options{})
	now := c.Now().Unix()
	claim := func(name string, value any) Forgery { return Forgery{Claims: map[string]any{name: value}} }
	header := func(name string, value any) Forgery { return Forgery{Header: map[string]any{name: value}} }
	for name, tt := range map[string]struct {
		forgery Forgery
		want    string // Check and reason.
		err     error
	}{
		"good":                     {Forgery{}, "", nil},
		"kid is a number":          {header("kid", 1), "form header-malformed", ErrMalformed},
		"typ is a number":          {header("typ", 5), "form header-malformed", ErrMalformed},
		"another typ":              {header("typ", "at+jwt"), "", nil},
		"embedded key is no key":   {header("jwk", "x"), "form header-malformed", ErrMalformed},
		"payload not encoded":      {Forgery{Header: map[string]any{"b64": false, "crit": []string{"b64"}}}, "form payload-unencoded", ErrMalformed},
		"unknown extension":        {Forgery{Header: map[string]any{"crit": []string{"exp"}, "exp": 1}}, "critical critical-unknown", ErrMalformed},
		"empty crit":               {header("crit", []string{}), "critical critical-malformed", ErrMalformed},
		"no alg":                   {header("alg", nil), "algorithm algorithm-missing", ErrMalformed},
		"none":                     {Forgery{Signing: SignNone}, "algorithm algorithm-none", ErrMalformed},
		"nOnE":                     {header("alg", "nOnE"), "algorithm algorithm-none", ErrMalformed},
		"secret is the public key": {Forgery{Signing: SignHMAC}, "algorithm algorithm-not-permitted", ErrMalformed},
		"another algorithm":        {header("alg", "RS512"), "algorithm algorithm-not-permitted", ErrMalformed},
		"no algorithm":             {header("alg", "RS1"), "algorithm algorithm-not-permitted", ErrMalformed},
		"no kid":                   {header("kid", nil), "key kid-missing", ErrUnknownKey},
		"stranger":                 {Forgery{Signing: SignStranger, EmbedKey: true}, "key key-unknown", ErrUnknownKey},
		"kid is a path":            {header("kid", "../../dev/null"), "key key-unknown", ErrUnknownKey},
		"broken signature":         {Forgery{Signing: SignBroken}, "signature signature-wrong", ErrSignature},
		"truncated signature":      {Forgery{Signing: SignTruncated}, "signature signature-wrong", ErrSignature},
		"aud is a list":            {claim("aud", []string{audience}), "claims claim-malformed", ErrMalformed},
		"iat is a string":          {claim("iat", "1"), "claims claim-malformed", ErrMalformed},
		"exp is beyond all years":  {claim("exp", 1e18), "claims claim-malformed", ErrMalformed},
		"exp is negative":          {claim("exp", -1), "claims claim-malformed", ErrMalformed},
		"no exp":                   {claim("exp", nil), "claims claim-missing", ErrMalformed},
		"no iat":                   {claim("iat", nil), "claims claim-missing", ErrMalformed},
		"email_verified a string":  {claim("email_verified", "true"), "claims claim-malformed", ErrMalformed},
		"no iss":                   {claim("iss", nil), "issuer issuer-missing", ErrIssuer},
		"look-alike iss":           {claim("iss", "https://accounts.google.com.evil.example"), "issuer issuer-wrong", ErrIssuer},
		"no aud":                   {claim("aud", nil), "audience audience-missing", ErrAudience},
		"aud with slash":           {claim("aud", audience+"/"), "audience audience-wrong", ErrAudience},
		"no azp":                   {claim("azp", nil), "authorized-party authorized-party-missing", ErrAuthorizedParty},
		"azp of another":           {claim("azp", "chat@system.gserviceaccount.com"), "authorized-party authorized-party-wrong", ErrAuthorizedParty},
		"iat ahead":                {claim("iat", now+1), "issued-at issued-in-future", ErrNotYetIssued},
		"nbf ahead":                {claim("nbf", now+1), "not-before not-yet-valid", ErrNotYetValid},
		"nbf now":                  {claim("nbf", now), "", nil},
		"exp now":                  {claim("exp", now), "expiry expired", ErrExpired},
		"exp with a fraction":      {claim("exp", float64(now)+100.5), "claims claim-malformed", ErrMalformed},
		"exp with a fraction of 0": {claim("exp", json.RawMessage(fmt.Sprintf("%d.0", now+100))), "claims claim-malformed", ErrMalformed},
		"exp with an exponent":     {claim("exp", json.RawMessage(fmt.Sprintf("%de0", now+100))), "claims claim-malformed", ErrMalformed},
		"iat with a fraction":      {claim("iat", float64(now)-100.5), "claims claim-malformed", ErrMalformed},
		"iat with an exponent":     {claim("iat", json.RawMessage(fmt.Sprintf("%de0", now-100))), "claims claim-malformed", ErrMalformed},
		"iat is zero":              {claim("iat", 0), "claims claim-malformed", ErrMalformed},
		"iat is one":               {claim("iat", 1), "", nil},
		"nbf with a fraction":      {claim("nbf", float64(now)-0.5), "", nil},
		"email not verified":       {claim("email_verified", false), "email-verified email-not-verified", ErrEmail},
		"no email_verified":        {claim("email_verified", nil), "", nil},
		"a day to live":            {claim("exp", now+24*60*60), "lifetime lives-too-long", ErrLifetime},
		"almost a day to live":     {claim("exp", now+24*60*60-1), "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := examine(t, s, tt.forgery)
			got := ""
			if i := slices.IndexFunc(e.Findings, func(f Finding) bool { return f.Result == Fail }); i >= 0 {
				got = e.Findings[i].Check + " " + e.Findings[i].Reason
			}
			if got != tt.want || !errors.Is(e.Err(), tt.err) || e.Verified != (tt.err == nil) {
				t.Errorf("got %q, %v, verified %v, want %q, %v", got, e.Err(), e.Verified, tt.want, tt.err)
			}
		})
	}
}

// TestExamineWithinASecond holds that the life of a token is measured in whole
// seconds, as oauth2client has it: within a second nothing changes.
func TestExamineWithinASecond(t *testing.T) {
	t.Parallel()
	s, c := newSet(t, Options{})
	token, err := s.Forge(Claims{Audience: audience}, Forgery{Claims: map[string]any{"exp": c.Now().Unix() + 24*60*60}})
	if err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration]string{0: "lives-too-long", 999 * time.Millisecond: "lives-too-long", time.Second: ""} {
		if e := s.Examine(token, VerifyOptions{Audience: audience, At: c.Now().Add(after)}); e.Reason != want {
			t.Errorf("after %v: reason %s, want %s", after, e.Reason, want)
		}
	}
}

// TestExamineTellsEverything holds what is said of a token with two faults: all
// is looked at, and what it says of itself is told.
func TestExamineTellsEverything(t *testing.T) {
	t.Parallel()
	s, _ := newSet(t, Options{})
	token, err := s.Forge(Claims{Audience: "https://other.example"}, Forgery{
		Signing: SignBroken, Header: map[string]any{"kid": current(t, s), "x5u": "https://evil.example/"}, Claims: map[string]any{"jti": "1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	e := s.Examine(token, VerifyOptions{Audience: audience})
	var got strings.Builder
	for _, f := range e.Findings {
		got.WriteString(f.Check + " " + string(f.Result) + " " + f.Detail + "\n")
	}
	want := `critical pass no extension that must be understood
algorithm pass RS256
key pass "` + current(t, s) + `", current
signature fail 256 octets, not by this key over these two parts
claims pass 9 claims
issuer pass "https://accounts.google.com"
audience fail "https://other.example", not "https://shop.example"
authorized-party pass "gmail@system.gserviceaccount.com"
issued-at pass 2026-03-01T11:59:55Z, 5s ago
not-before skip there is no nbf
expiry pass 2026-03-01T12:59:55Z, in 59m55s
email-verified pass "gmail@system.gserviceaccount.com"
lifetime pass ends in less than 24h
`
	if _, rest, _ := strings.Cut(got.String(), "\n"); rest != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
	if e.Verified || e.Reason != "signature-wrong" || !e.At.Equal(s.view().now) {
		t.Errorf("verified %v, reason %s, at %s", e.Verified, e.Reason, e.At)
	}
	header, payload := decoded(t, token)
	if string(e.Header) != header || string(e.Claims) != payload {
		t.Errorf("header %s, claims %s", e.Header, e.Claims)
	}
}

// TestExamineForms has texts that are no token at all. What is told of them
// never has them in it.
func TestExamineForms(t *testing.T) {
	t.Parallel()
	s, _ := newSet(t, Options{})
	token := mint(t, s)
	part := strings.Split(token, ".")
	b64 := base64.RawURLEncoding.EncodeToString
	for name, tt := range map[string]struct{ token, want string }{
		"empty":                 {"", "empty"},
		"long":                  {strings.Repeat("A", maxToken+1), "too-long"},
		"JSON":                  {`{"payload":"` + part[1] + `"}`, "json-serialization"},
		"encrypted":             {token + "." + part[1] + "." + part[2], "encrypted"},
		"four parts":            {token + ".", "not-three-parts"},
		"one part":              {part[0], "not-three-parts"},
		"padding":               {part[0] + "=." + part[1] + "." + part[2], "not-base64url"},
		"line end":              {part[0] + "." + part[1] + "\n." + part[2], "not-base64url"},
		"stray last bits":       {strayBits(token), "not-base64url"},
		"header is a list":      {b64([]byte(`[]`)) + "." + part[1] + "." + part[2], "header-not-json"},
		"header is twice":       {b64([]byte(`{"alg":"RS256"}{}`)) + "." + part[1] + "." + part[2], "header-not-json"},
		"header has alg twice":  {b64([]byte(`{"alg":"RS256","\u0061lg":"none"}`)) + "." + part[1] + "." + part[2], "header-not-json"},
		"header is not UTF-8":   {b64([]byte("{\"alg\":\"RS256\",\"\xff\":1}")) + "." + part[1] + "." + part[2], "header-not-json"},
		"header in upper case":  {b64([]byte(`{"ALG":"RS256","KID":"`+current(t, s)+`"}`)) + "." + part[1] + "." + part[2], "algorithm-missing"},
		"without its signature": {part[0] + "." + part[1] + ".", "signature-missing"},
	} {
		e := s.Examine(tt.token, VerifyOptions{Audience: audience})
		if e.Verified || e.Reason != tt.want {
			t.Errorf("%s: verified %v, reason %s, want %s", name, e.Verified, e.Reason, tt.want)
		}
		told := e.Err().Error()
		for _, f := range e.Findings {
			told += f.Detail
		}
		for _, p := range part {
			if strings.Contains(told, p) {
				t.Errorf("%s: the token is told: %s", name, told)
			}
		}
	}
}

// TestExamineNested holds that what is told of a token does not outgrow it,
// however deep its members stand in one another.
func TestExamineNested(t *testing.T) {
	t.Parallel()
	s, _ := newSet(t, Options{})
	nested := func(n int) json.RawMessage {
		return json.RawMessage(strings.Repeat("[", n) + strings.Repeat("]", n))
	}
	claim := func(value any) Forgery { return Forgery{Claims: map[string]any{"x": value}} }
	for name, tt := range map[string]struct {
		forgery Forgery
		want    string
	}{
		"claim at the limit":  {claim(nested(maxNested - 1)), ""}, // The claims are an object themselves.
		"claim beyond it":     {claim(nested(maxNested)), "claims-not-json"},
		"claim far beyond it": {claim(nested(3000)), "claims-not-json"},
		"two, side by side":   {claim([]any{nested(40), nested(40)}), ""},
		"only a text":         {claim(`\"` + strings.Repeat("[{", 1000)), ""},
		"header at the limit": {Forgery{Header: map[string]any{"x": nested(maxNested - 1)}}, ""},
		"header beyond it":    {Forgery{Header: map[string]any{"x": nested(maxNested)}}, "header-not-json"},
	} {
		e := examine(t, s, tt.forgery)
		if e.Verified != (tt.want == "") || e.Reason != tt.want {
			t.Errorf("%s: verified %v, reason %s, want %s", name, e.Verified, e.Reason, tt.want)
		}
		if told, err := json.MarshalIndent(e, "", "  "); err != nil || len(told) > 20_000 {
			t.Errorf("%s: %d octets are told, %v", name, len(told), err)
		}
	}
}

func TestExamineKnowsWithdrawnKeys(t *testing.T) {
	t.Parallel()
	s, _ := newSet(t, Options{})
	token := mint(t, s)
	s.Withdraw()
	mint(t, s)
	if e := s.Examine(token, VerifyOptions{Audience: audience}); e.Reason != "key-withdrawn" || !errors.Is(e.Err(), ErrUnknownKey) {
		t.Errorf("reason %s, %v", e.Reason, e.Err())
	}
}

// TestExamineForeign holds what the tokens of other makers may have.
func TestExamineForeign(t *testing.T) {
	t.Parallel()
	s, c := newSet(t, Options{})
	mint(t, s) // So that there is a key.
	k := s.Trusted()
	for name, tt := range map[string]struct {
		claims map[string]any
		want   string
	}{
		"times in fractions": {map[string]any{"iat": float64(c.Now().Unix()) - 0.5, "exp": json.RawMessage(fmt.Sprintf("%de0", c.Now().Unix()+1))}, ""},
		"iat is zero":        {map[string]any{"iat": 0}, ""},
		"nothing but exp":    {map[string]any{"iss": nil, "azp": nil, "sub": nil, "email": nil, "email_verified": nil, "iat": nil}, ""},
		"email":              {map[string]any{"email_verified": false}, ""},
		"a year to live":     {map[string]any{"exp": c.Now().Add(365 * 24 * time.Hour).Unix()}, ""},
		"one of many":        {map[string]any{"aud": []string{"https://a.example", audience}}, ""},
		"a list of one":      {map[string]any{"aud": []string{audience}}, ""},
		"another list":       {map[string]any{"aud": []string{"https://a.example", "https://b.example"}}, "audience-wrong"},
		"empty list":         {map[string]any{"aud": []string{}}, "audience-wrong"},
		"a list of numbers":  {map[string]any{"aud": []int{1}}, "claim-malformed"},
		"aud is null":        {map[string]any{"aud": json.RawMessage("null")}, "claim-malformed"},
	} {
		token, err := s.Forge(Claims{Audience: audience}, Forgery{Claims: tt.claims})
		if err != nil {
			t.Fatal(err)
		}
		e := Examine(token, k, VerifyOptions{Audience: audience, At: c.Now(), Foreign: true})
		if e.Reason != tt.want || e.Verified != (tt.want == "") {
			t.Errorf("%s: verified %v, reason %s, want %s", name, e.Verified, e.Reason, tt.want)
		}
	}
}

// FuzzExamine holds that whatever the token and the keys, there is an answer
// that can be told as JSON, and that the reason is that of the first failure.
func FuzzExamine(f *testing.F) {
	s, c := newSet(f, Options{})
	good, err := s.Token(Claims{Audience: audience})
	if err != nil {
		f.Fatal(err)
	}
	jwk, err := json.Marshal(publicJWK(s.view().current.made.Load()))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, jwk)
	f.Add(good, []byte(s.view().current.made.Load().certificate))
	for _, seed := range []string{"", "..", "e30.e30.", "eyJhbGciOiJub25lIn0.e30.", "{}", "eyJhbGciOiJIUzI1NiIsImNyaXQiOlsiYjY0Il19.e30.AA"} {
		f.Add(seed, []byte(`{"keys":[{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}`))
	}
	f.Fuzz(func(t *testing.T, token string, file []byte) {
		k, err := ParseKeys(file)
		if err != nil && k.Len() > 0 {
			t.Fatal("keys and an error")
		}
		for _, o := range []VerifyOptions{{At: c.Now(), Audience: audience}, {At: c.Now(), Algorithms: Algorithms(), SignatureOnly: true, Foreign: true}} {
			e := Examine(token, k, o)
			if _, err := json.Marshal(e); err != nil {
				t.Fatal(err)
			}
			if e.Verified != (e.Err() == nil) || e.Verified == (e.Reason != "") {
				t.Fatalf("verified %v, %v, reason %s", e.Verified, e.Err(), e.Reason)
			}
		}
	})
}

// TestExamineForNobody holds that a token is for nobody who names no audience, also
// where a member of its list is empty or null.
func TestExamineForNobody(t *testing.T) {
	t.Parallel()
	s, _ := newSet(t, Options{})
	for name, tt := range map[string]struct {
		aud    any
		reason string
	}{
		"empty":           {"", "audience-wrong"},
		"list of one":     {[]any{""}, "audience-wrong"},
		"list with empty": {[]any{"", "https://x"}, "audience-wrong"},
		"list with null":  {[]any{nil, "https://x"}, "claim-malformed"},
	} {
		token, err := s.Forge(Claims{Audience: audience}, Forgery{Claims: map[string]any{"aud": tt.aud}})
		if err != nil {
			t.Fatal(err)
		}
		if e := s.Examine(token, VerifyOptions{Foreign: true}); e.Verified || e.Reason != tt.reason {
			t.Errorf("%s: %v, %q", name, e.Verified, e.Reason)
		}
	}
}
