package provider

import (
	"context"
	"sync"
	"time"

	"github.com/doppelbox/doppelbox/keys"
	"github.com/doppelbox/doppelbox/policy"
)

// Limits of tokens that are kept to be used again.
const (
	// maxKept bounds how many are kept; beyond it all are made anew.
	maxKept = 10_000
	// A token is not used again in the last part of its time: it would end on its
	// way. The part is a tenth, or reuseMargin if that is less.
	reuseMargin = 5 * time.Minute
	reusePart   = 10
)

// tokens are bearer tokens that are used again. The zero value is ready, and
// safe for concurrent use.
type tokens struct {
	mu   sync.Mutex
	kept map[tokenUse]keptToken
}

// tokenUse is what a token is for. Two requests carry the same one only if all of
// it is the same: a dial that is turned has new ones made.
type tokenUse struct {
	signer   *keys.Set // Whose it is.
	persona  policy.Persona
	audience string
	form     tokenForm
}

// keptToken is a token, and when it is no longer to be used.
type keptToken struct {
	text  string
	until time.Time
}

// tokenForm is what the dials say of a token.
type tokenForm struct {
	shape     keys.Shape
	life, age time.Duration
}

func formOf(d policy.Dials) tokenForm {
	return tokenForm{
		shape: keys.Shape{
			BareIssuer: d.Get(policy.DialTokenIssuer) == "host",
			NoSubject:  d.Get(policy.DialTokenSubject) == "no",
			NoEmail:    d.Get(policy.DialTokenEmail) == "no",
			NoType:     d.Get(policy.DialTokenType) == "no",
			ID:         d.Get(policy.DialTokenID) == "yes",
		},
		life: d.Duration(policy.DialTokenLife), age: d.Duration(policy.DialTokenAge),
	}
}

// tokenSource returns what makes the token of each attempt at one request, as the
// dials then say.
func (w *World) tokenSource(p *Provider, plan *policy.RequestPlan) func(context.Context) (string, error) {
	own := &tokens{} // Of this request.
	return func(context.Context) (string, error) {
		signer, err := w.tokenKeys(p, plan.Persona)
		if err != nil {
			return "", err
		}
		dials, now := w.dialsSet(), w.clock.Now()
		use := tokenUse{signer, plan.Persona, plan.Audience, formOf(dials)}
		switch dials.Get(policy.DialTokenReuse) {
		case "retries":
			return own.get(use, now)
		case "cached":
			return w.tokens.get(use, now)
		}
		return use.token(now)
	}
}

// token makes a token.
func (u tokenUse) token(now time.Time) (string, error) {
	return u.signer.ShapedToken(keys.Claims{Audience: u.audience, IssuedAt: now.Add(-u.form.age)}, u.form.shape)
}

// verifies says whether the key of a token is still published: it may have been
// withdrawn before its time.
func (u tokenUse) verifies(token string) bool {
	_, err := u.signer.Verify(token, keys.VerifyOptions{SignatureOnly: true})
	return err == nil
}

// get returns the token that is kept for a use, or makes one. Meanwhile nobody
// makes another.
func (t *tokens) get(u tokenUse, now time.Time) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if k, ok := t.kept[u]; ok && now.Before(k.until) && u.verifies(k.text) {
		return k.text, nil
	}
	text, err := u.token(now)
	if err != nil {
		return "", err
	}
	if t.kept == nil || len(t.kept) >= maxKept {
		t.kept = map[tokenUse]keptToken{}
	}
	life := u.form.life
	t.kept[u] = keptToken{text, now.Add(life - u.form.age - min(reuseMargin, life/reusePart))}
	return text, nil
}
