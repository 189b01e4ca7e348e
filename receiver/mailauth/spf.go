package mailauth

import (
	"context"
	"net"
	"strings"

	"blitiri.com.ar/go/spf"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
)

// The identities of SPF (RFC 7208 2.3, 2.4).
const (
	identityMailFrom = "mailfrom"
	identityHELO     = "helo"
)

// checkSPF evaluates SPF for the envelope (RFC 7208). A null reverse-path
// stands for postmaster at the HELO name (2.4).
//
// The library evaluates; what it lacks is done here: the identity, the check of
// the domain (4.3), and errors behind the term that matches (4.6).
func checkSPF(ctx context.Context, res Resolver, a policy.Arrival) policy.SPF {
	r := policy.SPF{Result: policy.AuthNone, Identity: identityMailFrom}
	var local, domain string
	if a.MailFrom == "" {
		r.Identity, local, domain = identityHELO, "postmaster", a.HELO
	} else {
		local, domain, _ = cutLast(a.MailFrom, "@")
	}
	r.Domain = message.DomainOf("@" + domain)
	if local == "" {
		local = "postmaster" // RFC 7208 4.3.
	}
	switch peer := a.Peer.Unmap().WithZone(""); {
	case !isDomain(r.Domain) || strings.HasSuffix(domain, "."):
		r.Problem = "the domain cannot be looked up"
	case !peer.IsValid():
		r.Problem = "the peer's address is not known"
	default:
		w := spfWatch{Resolver: res}
		// The library cuts the sender at its first "@", and a quoted local part
		// may have one. Only the macros %{l} and %{s} see the local part.
		sender := strings.ReplaceAll(local, "@", "=40") + "@" + r.Domain
		result, err := spf.CheckHostWithSender(net.IP(peer.AsSlice()), a.HELO, sender,
			spf.WithContext(ctx), spf.WithResolver(&w), spf.WithTraceFunc(w.trace))
		r.Result, r.Record = policy.AuthResult(result), w.record
		switch result {
		case spf.Pass, spf.Fail, spf.SoftFail, spf.Neutral:
			r.Mechanism = w.matched
		case spf.TempError, spf.PermError:
			if r.Problem = w.problem; r.Problem == "" && err != nil {
				r.Problem = err.Error()
			}
		}
	}
	return r
}

// spfWatch sits between the library and the resolver. It sees the records, and
// hands one that breaks the grammar over as one that the library takes for
// broken too, wherever the mistake is.
type spfWatch struct {
	Resolver
	asked   bool
	record  string // Of the domain itself.
	problem string
	matched string // The term that matched.
}

// LookupTXT is only used by the library for records.
func (w *spfWatch) LookupTXT(ctx context.Context, name string) ([]string, error) {
	list, err := w.Resolver.LookupTXT(ctx, name)
	first := !w.asked
	w.asked = true
	if err != nil {
		return nil, err
	}
	var records []string
	for _, text := range list {
		if isSPF(text) {
			records = append(records, text)
		}
	}
	if len(records) != 1 {
		if len(records) > 1 {
			w.problem = strings.TrimSuffix(name, ".") + " has several SPF records"
		}
		return records, nil
	}
	if first {
		w.record = records[0]
	}
	if problem := lintSPF(records[0]); problem != "" {
		w.problem = "record of " + strings.TrimSuffix(name, ".") + ": " + problem
		return []string{"v=spf1 broken"}, nil
	}
	return records, nil
}

// isSPF reports whether a TXT record is an SPF record (RFC 7208 4.5).
func isSPF(text string) bool {
	const version = "v=spf1"
	return len(text) >= len(version) && strings.EqualFold(text[:len(version)], version) &&
		(len(text) == len(version) || text[len(version)] == ' ')
}

// trace finds the term that matched. The library tells it only here; a test
// holds the forms of its messages. An included record is told before the term
// that includes it, so that the last one is that of the domain's own record,
// or of the one that redirect= leads to.
func (w *spfWatch) trace(format string, args ...any) {
	switch format {
	case "%q %v, %v":
		if field, ok := args[0].(string); ok {
			w.matched = field
		}
	case "all: %v":
		w.matched = "all"
	case "fallback to neutral":
		w.matched = ""
	}
}
