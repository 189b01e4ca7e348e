package provider_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/keys"
	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// tokenOf is the token of an attempt.
func tokenOf(t *testing.T, a mailbox.Attempt) string {
	t.Helper()
	_, rest, ok := strings.Cut(string(a.Sent), "\r\nAuthorization: Bearer ")
	if !ok {
		return ""
	}
	token, _, _ := strings.Cut(rest, "\r\n")
	return token
}

// tokenPart reads the header (0) or the claims (1) of a token.
func tokenPart(t *testing.T, token string, part int) map[string]any {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[part])
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(raw, &members); err != nil {
		t.Fatal(err)
	}
	return members
}

// seconds is a NumericDate.
func seconds(claims map[string]any, name string) int64 {
	n, _ := claims[name].(float64)
	return int64(n)
}

// tokenSeen delivers a mail, presses its button and looks at the token, which a
// sound service must accept.
func tokenSeen(see func(t *testing.T, header, claims map[string]any) string) func(*testing.T, *provider.Provider) string {
	return func(t *testing.T, p *provider.Provider) string {
		addService(t, p, provider.Service{URL: serviceURL, Trusts: p.Domain()})
		c, list := clicked(t, p, fromShop(script("ConfirmAction", "A", post)))
		token := tokenOf(t, list[0])
		if _, err := p.Keys().Verify(token, keys.VerifyOptions{Audience: "https://shop.example"}); err != nil || c.State != mailbox.ClickSucceeded {
			t.Errorf("the click has %s, the token: %v", c.State, err)
		}
		return see(t, tokenPart(t, token, 0), tokenPart(t, token, 1))
	}
}

// membersSeen are the names in the header and in the claims.
func membersSeen(_ *testing.T, header, claims map[string]any) string {
	return strings.Join(slices.Sorted(maps.Keys(header)), " ") + ", " + strings.Join(slices.Sorted(maps.Keys(claims)), " ")
}

const (
	allHeader = "alg kid typ, "
	allClaims = "aud azp email email_verified exp iat iss sub"
)

// tokenDials are those of the token.
var tokenDials = []dialCase{
	{policy.DialAudience, func(t *testing.T, p *provider.Provider) string {
		if errs := p.Zone().Load("sub", "mail.shop.example. TXT \"v=spf1 ip4:192.0.2.10 -all\"\n"); len(errs) > 0 {
			t.Fatal(errs)
		}
		p.Register(policy.Registration{From: "mail.shop.example", Bearer: true})
		addService(t, p, provider.Service{URL: serviceURL})
		_, list := clicked(t, p, mailFrom("noreply@mail.shop.example", "alice@gmail.test", script("ConfirmAction", "A", post)))
		return fmt.Sprint(tokenPart(t, tokenOf(t, list[0]), 1)["aud"])
	}, map[string]string{"from-domain": "https://mail.shop.example", "org-domain": "https://shop.example"}},
	{policy.DialSelfBearer, func(t *testing.T, p *provider.Provider) string {
		addService(t, p, provider.Service{URL: serviceURL})
		c, err := p.Click(t.Context(), deliveredFrom(t, p, "alice@gmail.test", toSelf(t, p)).ID, 0)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(tokenOf(t, attempts(t, p, c.ID)[0]) != "")
	}, map[string]string{"no": "false", "yes": "true"}},
	{policy.DialSelfAudience, func(t *testing.T, p *provider.Provider) string {
		if err := p.SetDial("self.bearer", "yes"); err != nil {
			t.Fatal(err)
		}
		addService(t, p, provider.Service{URL: serviceURL})
		c, err := p.Click(t.Context(), deliveredFrom(t, p, "alice@gmail.test", toSelf(t, p)).ID, 0)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(tokenPart(t, tokenOf(t, attempts(t, p, c.ID)[0]), 1)["aud"])
	}, map[string]string{"from-domain": "https://gmail.test", "handler-host": "https://shop.example"}},
	{policy.DialTokenLife, tokenSeen(func(_ *testing.T, _, claims map[string]any) string {
		return fmt.Sprint(seconds(claims, "exp") - seconds(claims, "iat"))
	}), map[string]string{"1h": "3600", "10s": "10", "23h": "82800"}},
	{policy.DialTokenAge, tokenSeen(func(_ *testing.T, _, claims map[string]any) string {
		return fmt.Sprint(start().Unix()-seconds(claims, "iat"), seconds(claims, "exp")-seconds(claims, "iat"))
	}), map[string]string{"5s": "5 3600", "0s": "0 3600", "10m": "600 3600"}},
	{policy.DialTokenIssuer, tokenSeen(func(_ *testing.T, _, claims map[string]any) string { return fmt.Sprint(claims["iss"]) }),
		map[string]string{"url": "https://accounts.google.com", "host": "accounts.google.com"}},
	{policy.DialTokenSubject, tokenSeen(membersSeen), map[string]string{"yes": allHeader + allClaims, "no": allHeader + "aud azp email email_verified exp iat iss"}},
	{policy.DialTokenEmail, tokenSeen(membersSeen), map[string]string{"yes": allHeader + allClaims, "no": allHeader + "aud azp exp iat iss sub"}},
	{policy.DialTokenType, tokenSeen(membersSeen), map[string]string{"yes": allHeader + allClaims, "no": "alg kid, " + allClaims}},
	{policy.DialTokenID, tokenSeen(membersSeen), map[string]string{"no": allHeader + allClaims, "yes": allHeader + "aud azp email email_verified exp iat iss jti sub"}},
	{policy.DialTokenReuse, reuse, map[string]string{"never": "abc d", "retries": "aac d", "cached": "aac c"}},
}

// reuse presses a button whose service answers at the third attempt, and then
// another. It returns a letter for each token: "aab" says that the first two
// attempts carry the same. The third comes when the first token would be too old.
func reuse(t *testing.T, p *provider.Provider) string {
	if err := p.SetDial("retry.schedule", "10m,54m"); err != nil {
		t.Fatal(err)
	}
	addService(t, p, provider.Service{URL: serviceURL, Statuses: []int{408, 408, 200}})
	m := delivered(t, p, approval(serviceURL, serviceURL+"&b"))
	var letters string
	seen := map[string]rune{}
	for i := range 2 {
		c, err := p.Click(t.Context(), m.ID, i)
		if err != nil {
			t.Fatal(err)
		}
		// Tokens of one second would be the same: RS256 has no chance in it.
		if err := p.Advance(t.Context(), 64*time.Minute+time.Second); err != nil {
			t.Fatal(err)
		}
		for n, a := range attempts(t, p, c.ID) {
			token := tokenOf(t, a)
			if seen[token] == 0 {
				seen[token] = rune('a' + n + 3*i)
			}
			letters += string(seen[token])
		}
		if i == 0 {
			letters += " "
		}
	}
	return letters
}

// TestReuseAcrossRotation holds that a token that is used again is good until its
// end, although the key that signed it has been retired, and that it is not used
// when a dial asks for another one.
func TestReuseAcrossRotation(t *testing.T) {
	t.Parallel()
	p := newProvider(t, provider.Options{})
	for _, d := range [][2]string{{"token.reuse", "cached"}, {"keys.max-age", "1m"}, {"keys.rotate", "10m"}} {
		if err := p.SetDial(d[0], d[1]); err != nil {
			t.Fatal(err)
		}
	}
	addService(t, p, provider.Service{URL: serviceURL, Trusts: p.Domain()})
	press := func() string {
		t.Helper()
		c, list := clicked(t, p, fromShop(script("ConfirmAction", "A", post)))
		if c.State != mailbox.ClickSucceeded {
			t.Errorf("the click has %s: %s", c.State, list[0].Body)
		}
		return tokenOf(t, list[0])
	}
	advance := func(d time.Duration) {
		t.Helper()
		if err := p.Advance(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	first, key := press(), currentKey(t, p)
	advance(54*time.Minute + 54*time.Second)
	if currentKey(t, p) == key {
		t.Error("the key was not rotated")
	}
	if press() != first {
		t.Error("a token that has five minutes left was not used again")
	}
	advance(time.Second)
	second := press()
	if second == first {
		t.Error("a token that has less left was used again")
	}
	advance(4*time.Minute + 59*time.Second)
	verify := keys.VerifyOptions{Audience: "https://shop.example"}
	if _, err := p.Keys().Verify(first, verify); err != nil {
		t.Errorf("in its last second: %v", err)
	}
	advance(time.Second)
	if _, err := p.Keys().Verify(first, verify); !errors.Is(err, keys.ErrExpired) {
		t.Errorf("at its end: %v", err)
	}
	// What is asked for now counts, and not what was.
	if err := p.SetDial("token.jti", "yes"); err != nil {
		t.Fatal(err)
	}
	if third := press(); third == second || tokenPart(t, third, 1)["jti"] == nil {
		t.Errorf("after the dial the token has %v", tokenPart(t, third, 1))
	}
	if err := p.SetDial("token.jti", "no"); err != nil {
		t.Fatal(err)
	}
	if press() != second {
		t.Error("the token of before the dial is not used again")
	}
	// Not when its key is known to others.
	p.Keys().Withdraw()
	if press() == second {
		t.Error("a token is used again whose key was withdrawn")
	}
	// One that lives for so long that a sound service refuses it is used again, too.
	if err := errors.Join(p.SetDial("keys.rotate", "off"), p.SetDial("token.ttl", "48h")); err != nil {
		t.Fatal(err)
	}
	addService(t, p, provider.Service{URL: serviceURL})
	if long := press(); press() != long {
		t.Error("a token that lives for two days was not used again")
	}
}

// TestOrderedTokenHasTheForm holds that a token that is made by hand is as the
// dials say, but for what the order says.
func TestOrderedTokenHasTheForm(t *testing.T) {
	t.Parallel()
	p := newProvider(t, provider.Options{})
	if err := errors.Join(p.SetDial("token.email", "no"), p.SetDial("token.iat", "1m"), p.SetDial("token.typ", "no"), p.SetDial("token.ttl", "2h")); err != nil {
		t.Fatal(err)
	}
	token, err := p.MakeToken(provider.TokenOrder{Audience: "https://shop.example", Forgery: keys.Forgery{Header: map[string]any{"typ": "at+jwt"}}})
	if err != nil {
		t.Fatal(err)
	}
	header, claims := tokenPart(t, token, 0), tokenPart(t, token, 1)
	if got := membersSeen(t, header, claims); got != allHeader+"aud azp exp iat iss sub" || header["typ"] != "at+jwt" {
		t.Errorf("%s, typ %v", got, header["typ"])
	}
	if iat, exp := seconds(claims, "iat"), seconds(claims, "exp"); iat != start().Unix()-60 || exp-iat != 7200 {
		t.Errorf("iat %d, exp %d", iat, exp)
	}
}

// TestReuseByPersona holds that nobody is sent the token of somebody else.
func TestReuseByPersona(t *testing.T) {
	t.Parallel()
	p := newProvider(t, provider.Options{})
	if err := p.SetDial("token.reuse", "cached"); err != nil {
		t.Fatal(err)
	}
	addService(t, p, provider.Service{URL: serviceURL})
	var tokens []string
	for _, who := range []policy.Persona{policy.PersonaProvider, policy.PersonaOtherProvider, policy.PersonaProvider, policy.PersonaOtherProvider, policy.PersonaThirdParty} {
		c, err := p.ClickAs(t.Context(), who, delivered(t, p, approval(serviceURL)).ID, 0)
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, tokenOf(t, attempts(t, p, c.ID)[0]))
	}
	if tokens[0] == "" || tokens[0] != tokens[2] || tokens[1] == "" || tokens[1] != tokens[3] || tokens[0] == tokens[1] || tokens[4] != "" {
		t.Errorf("tokens %q", tokens)
	}
	// The stranger's keys live by the same dials as the provider's.
	if err := p.SetDial("token.ttl", "10m"); err != nil {
		t.Fatal(err)
	}
	c, err := p.ClickAs(t.Context(), policy.PersonaOtherProvider, delivered(t, p, approval(serviceURL)).ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	claims := tokenPart(t, tokenOf(t, attempts(t, p, c.ID)[0]), 1)
	if got := seconds(claims, "exp") - seconds(claims, "iat"); got != 600 {
		t.Errorf("the other provider's token lives %d seconds", got)
	}
}

// TestDialsThatDoNotFit holds that dials that contradict each other are an error
// that names them, and change nothing.
func TestDialsThatDoNotFit(t *testing.T) {
	t.Parallel()
	p := newProvider(t, provider.Options{})
	for _, tt := range []struct{ name, value, want string }{
		{"keys.rotate", "1h", "dial keys.rotate cannot be 1h while dial keys.max-age is 5h30m: a key would sign that verifiers with a cache do not have yet"},
		{"keys.max-age", "10m", ""},
		{"keys.rotate", "1h", ""},
		{"keys.max-age", "2h", "dial keys.max-age cannot be 2h while dial keys.rotate is 1h: a key would sign that verifiers with a cache do not have yet"},
		{"keys.max-age", "1s", ""},
		{"keys.rotate", "1m", ""},
		{"token.ttl", "12h", "dial token.ttl cannot be 12h: keys: rotation every 1m0s with an overlap of 12h5m1s leaves more than 100 keys published"},
		{"token.iat", "1h", "dial token.iat cannot be 1h while dial token.ttl is 1h: a token would have expired when it is made"},
		{"token.iat", "10m", ""},
		{"token.ttl", "10m", "dial token.ttl cannot be 10m while dial token.iat is 10m: a token would have expired when it is made"},
	} {
		if err := p.SetDial(tt.name, tt.value); (err == nil) != (tt.want == "") || err != nil && err.Error() != tt.want {
			t.Errorf("%s=%s: %v, want %s", tt.name, tt.value, err, tt.want)
		}
	}
	// All is as the last good value of each has it, also for a provider that
	// comes later.
	other, err := p.Beside("other.test")
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []*provider.Provider{p, other} {
		token, err := q.Keys().Token(keys.Claims{Audience: "https://shop.example", IssuedAt: start()})
		if err != nil {
			t.Fatal(err)
		}
		claims := tokenPart(t, token, 1)
		if got := seconds(claims, "exp") - seconds(claims, "iat"); got != 3600 {
			t.Errorf("%s: a token lives %d seconds", q.Domain(), got)
		}
		before := currentKey(t, q)
		if err := p.Advance(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
		if currentKey(t, q) == before {
			t.Errorf("%s: the key was not rotated", q.Domain())
		}
	}
	if err := p.SetDial("keys.rotate", "off"); err != nil {
		t.Fatal(err)
	}
	before := currentKey(t, p)
	if err := p.Advance(t.Context(), 48*time.Hour); err != nil || currentKey(t, p) != before {
		t.Errorf("the key was rotated, %v", err)
	}
}
