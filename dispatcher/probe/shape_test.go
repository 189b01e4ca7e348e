package probe_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/dispatcher"
	"github.com/doppelbox/doppelbox/dispatcher/probe"
	"github.com/doppelbox/doppelbox/keys"
)

// Tokens of another shape and age are tried in that shape, the forged ones as
// the good ones, and a service that takes them is found as sound as ever.
func TestShape(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, target, o := b.try(t)
	o.Shape = keys.Shape{BareIssuer: true, NoSubject: true, NoEmail: true, NoType: true, ID: true}
	issued := b.provider.clock.Now().Add(-50 * time.Minute)
	o.IssuedAt = func() time.Time { return issued }
	about := fmt.Sprintf(`"iat":%d`, issued.Unix()/1000) // Each good one has a second of its own.
	var mu sync.Mutex
	sent := map[string]string{} // Tokens by probe, each as its header and claims.
	bearer := regexp.MustCompile(`\r\nAuthorization: Bearer (eyJ[\w-]+)\.(eyJ[\w-]+)\.`)
	number := regexp.MustCompile(`^probe-\d+-`)
	exchange := o.Exchange
	o.Exchange = func(ctx context.Context, raw dispatcher.Raw) dispatcher.Attempt {
		if found := bearer.FindSubmatch(raw.Octets); found != nil {
			var text strings.Builder
			for _, part := range found[1:] {
				plain, err := base64.RawURLEncoding.DecodeString(string(part))
				if err != nil {
					t.Errorf("%s: %v", raw.ID, err)
				}
				text.Write(plain)
			}
			mu.Lock()
			sent[number.ReplaceAllString(raw.ID, "")] = text.String()
			mu.Unlock()
		}
		return exchange(ctx, raw)
	}
	report, err := probe.Run(t.Context(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	if report.Failed() || report.Count(probe.Warned)+report.Count(probe.Undetermined) > 0 {
		t.Errorf("a sound service is not found sound:\n%s", describe(report))
	}
	for _, id := range []string{"good", "azp-missing", "signature-broken", "nbf-future"} {
		text, ok := sent[id]
		if !ok {
			t.Errorf("%s was not sent: %d were", id, len(sent))
			continue
		}
		if !strings.Contains(text, `"iss":"accounts.google.com"`) || !strings.Contains(text, `"jti":"`) {
			t.Errorf("%s has no bare issuer or no id: %s", id, text)
		}
		if !strings.Contains(text, about) {
			t.Errorf("%s was not issued at about %v: %s", id, issued, text)
		}
		for _, member := range []string{`"sub"`, `"email"`, `"email_verified"`, `"typ"`} {
			if strings.Contains(text, member) {
				t.Errorf("%s has %s: %s", id, member, text)
			}
		}
	}
}
