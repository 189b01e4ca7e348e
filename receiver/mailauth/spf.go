package mailauth

import (
	"context"
	"net"
	"strings"
	"time"

	"blitiri.com.ar/go/spf"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
)

// The identities of SPF (RFC 7208 2.3, 2.4).
const (
	identityMailFrom = "mailfrom"
	identityHELO     = "helo"
)

// spfCheck is what SPF is evaluated with besides the message's arrival.
type spfCheck struct {
	res      Resolver
	now      func() time.Time // For %{t}.
	receiver string           // For %{r}; empty is not known.
}

// checkSPF evaluates SPF for the envelope (RFC 7208). A null reverse-path
// stands for postmaster at the HELO name (2.4).
//
// The library evaluates. What it lacks is made up for here and in spfWatch,
// and a test tells when one of these is mended:
//
//   - The local part of a null reverse-path is empty, and a quoted one with an
//     "@" is cut there: macros are expanded in spfmacro.go.
//   - A domain that cannot be looked up is (4.3), and one with a final dot, which
//     no Domain has (RFC 5321 4.1.2): none, before it is called.
//   - A mistake behind the term that matches goes unseen (4.6), and so does one
//     in a domain or in exp=, and an IPv6 address in ip4: parseSPF.
//   - %{p} is always "unknown", empty parts of macros are lost, what they make
//     is not cut at 253 octets (7.3), and a "/" in the domain of a, mx or ptr is
//     taken for a mistake: it gets records without any of these.
//   - exp= is ignored (6.2): explain.
//   - a, mx and exists take addresses of either family, so that a host of only
//     the other is no void look-up (4.6.4, 5), and an IPv4 address matches an
//     IPv6 network that maps it: spfWatch drops the terms and the addresses.
//   - An error that is not temporary is permerror (4.4), and only a bare
//     *net.DNSError is known: spfWatch gives it no other.
func (c spfCheck) checkSPF(ctx context.Context, a policy.Arrival) policy.SPF {
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
		w := newSPFWatch(c.res, spfMacros{
			local: local, origin: r.Domain, helo: a.HELO, peer: peer, receiver: c.receiver, now: c.now,
		})
		result, err := spf.CheckHostWithSender(net.IP(peer.AsSlice()), a.HELO, "postmaster@"+r.Domain,
			spf.WithContext(ctx), spf.WithResolver(w), spf.WithTraceFunc(w.trace))
		r.Result, r.Record = policy.AuthResult(result), w.first.text
		switch result {
		case spf.Pass, spf.Fail, spf.SoftFail, spf.Neutral:
			r.Mechanism = w.matched
		case spf.TempError, spf.PermError:
			if r.Problem = w.problem; r.Problem == "" && err != nil {
				r.Problem = err.Error()
			}
		}
		if result == spf.Fail {
			r.Explanation = w.explain(ctx)
		}
	}
	return r
}
