package provider

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/doppelbox/doppelbox/dispatcher"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/receiver/mtasts"
)

// Policy types of RFC 8460 4.4.
const (
	policySTS  = "sts"
	policyNone = "no-policy-found"
)

// stsPolicies are the policies that were fetched, by domain: only of those that
// mail may go to, which bounds them.
type stsPolicies struct {
	mu    sync.Mutex
	known map[string]stsPolicy
}

// stsPolicy is a policy, with the id of its record and when it ends.
type stsPolicy struct {
	mtasts.Policy
	id    string
	until time.Time
}

// asked is what a domain asks of TLS.
type asked struct {
	mailbox.TLSPolicy
	policy *mtasts.Policy // Nil without one.
	// result and problem say why there is none, though the domain has a record.
	result, problem string
	// unfetched is the host that has it, if requests do not go there.
	unfetched string
}

func (a asked) enforced() bool { return a.policy != nil && a.policy.Mode == mtasts.Enforce }

// asksTLS finds the MTA-STS policy of a domain (RFC 8461 3). One that was fetched
// counts for as long as it says, unless the record has another id and the new one
// can be had.
func (w *World) asksTLS(ctx context.Context, domain string) asked {
	w.sts.mu.Lock()
	known, ok := w.sts.known[domain]
	w.sts.mu.Unlock()
	ok = ok && w.clock.Now().Before(known.until)
	texts, err := w.resolver.LookupTXT(ctx, "_mta-sts."+domain)
	id, published := "", false
	if err == nil {
		id, published = mtasts.Record(texts)
	}
	if !published || ok && id == known.id {
		return known.asked(ok)
	}
	fetched, result, err := w.fetchSTS(ctx, domain)
	if err != nil {
		if ok {
			return known.asked(true)
		}
		if errors.Is(err, errUnfetched) {
			// That is nothing that the domain does wrong, and nothing is known of it.
			a := known.asked(false)
			a.unfetched = mtasts.Host(domain)
			return a
		}
		return asked{TLSPolicy: mailbox.TLSPolicy{Type: policySTS}, result: result, problem: err.Error()}
	}
	known = stsPolicy{Policy: fetched, id: id, until: w.clock.Now().Add(fetched.MaxAge)}
	w.sts.mu.Lock()
	w.sts.known[domain] = known
	w.sts.mu.Unlock()
	return known.asked(true)
}

// asked is what follows from a policy that is known, or is not.
func (p stsPolicy) asked(known bool) asked {
	if !known || p.Mode == mtasts.None {
		return asked{TLSPolicy: mailbox.TLSPolicy{Type: policyNone}}
	}
	return asked{TLSPolicy: mailbox.TLSPolicy{Type: policySTS, Lines: p.Lines, Hosts: p.Hosts}, policy: &p.Policy}
}

// errUnfetched is the error of a policy to whose host the guard lets no request
// go.
var errUnfetched = errors.New("the policy was not asked for")

// stsTime bounds the fetch of a policy, in real time; a mail waits for it.
const stsTime = 20 * time.Second

// fetchSTS fetches a policy, as an action's request is made: from nowhere but
// where the guard lets requests go, and without following redirects (RFC 8461
// 3.3). With an error comes the result type that tells of it.
func (w *World) fetchSTS(ctx context.Context, domain string) (mtasts.Policy, string, error) {
	roots, err := w.trusted()
	if err != nil {
		return mtasts.Policy{}, resultFetch, err
	}
	var got dispatcher.Attempt
	d, err := dispatcher.New(dispatcher.Options{
		Now: w.clock.Now, Guard: w.guard, RootCAs: roots, MaxBody: mtasts.MaxPolicy, Logger: w.log,
		OnAttempt: func(a dispatcher.Attempt) { got = a },
	})
	if err != nil {
		return mtasts.Policy{}, resultFetch, err
	}
	url := "https://" + mtasts.Host(domain) + mtasts.Path
	if _, err := d.Submit(dispatcher.Request{Method: http.MethodGet, URL: url, Timeout: stsTime}); err != nil {
		return mtasts.Policy{}, resultFetch, err
	}
	if err := d.RunDue(ctx); err != nil {
		return mtasts.Policy{}, resultFetch, err
	}
	switch got.Reason {
	case "":
	case dispatcher.ReasonHostNotRouted, dispatcher.ReasonAddressRefused:
		return mtasts.Policy{}, "", fmt.Errorf("%w: %s", errUnfetched, got.Error)
	case dispatcher.ReasonTLSAuthority, dispatcher.ReasonTLSName, dispatcher.ReasonTLSExpired, dispatcher.ReasonTLSOther:
		return mtasts.Policy{}, resultPolicyTrust, fmt.Errorf("%s: %s", got.Reason, got.Error)
	default:
		return mtasts.Policy{}, resultFetch, errors.New(cmp.Or(got.Error, fmt.Sprintf("%s answered %d", url, got.Status)))
	}
	p, err := readSTS(got)
	if err != nil {
		return p, resultPolicy, err
	}
	return p, "", nil
}

// readSTS reads the policy in an answer.
func readSTS(a dispatcher.Attempt) (mtasts.Policy, error) {
	at := slices.IndexFunc(a.Header, func(f dispatcher.Field) bool { return strings.EqualFold(f.Name, "Content-Type") })
	if at < 0 {
		return mtasts.Policy{}, errors.New("the policy has no media type, and has to be text/plain")
	}
	if kind, _, err := mime.ParseMediaType(a.Header[at].Value); err != nil || kind != "text/plain" {
		return mtasts.Policy{}, fmt.Errorf("the policy is %.100q, and has to be text/plain", a.Header[at].Value)
	}
	if a.BodyTruncated {
		return mtasts.Policy{}, fmt.Errorf("a policy of more than %d octets", mtasts.MaxPolicy)
	}
	return mtasts.Parse(a.Body)
}
