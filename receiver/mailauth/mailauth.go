// Package mailauth evaluates SPF, DKIM, DMARC, ARC and reverse DNS for one
// message, writes the header block in which the provider says so, and signs and
// seals messages. It looks things up through the Resolver it is given and never
// rejects anything: what goes wrong is part of the result.
//
// It decides nothing, and does not store what it writes.
package mailauth

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
)

// maxLookups bounds the DNS look-ups for one message. SPF needs 133 at most
// (ten terms of ten names each, RFC 7208 4.6.4, eleven for %{p}, and one for an
// explanation), ten signatures ten keys, DMARC eight for each of twelve domains
// (RFC 9989 4.10), reverse DNS eleven, and a chain of fifty sets a hundred keys
// (RFC 8617 4.2.1).
const maxLookups = 400

// Resolver asks DNS. The methods are those of *net.Resolver, and so are the
// errors: a bare *net.DNSError, because the SPF library looks for exactly that.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
}

// familyResolver is a Resolver that looks the addresses of one family up alone,
// as *net.Resolver does: network is "ip4" or "ip6". What the other family has,
// or that its look-up fails, then makes no difference (RFC 7208 5).
type familyResolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// nameResolver is a Resolver that tells a name that does not exist from one
// without records of a type (RFC 8020). known is false if it cannot tell of this
// name.
type nameResolver interface {
	NameExists(ctx context.Context, name string) (exists, known bool, err error)
}

// Profile says whose rules hold where Gmail and the standards differ. The
// values are those of the dial "profile".
type Profile string

// The profiles. The zero value is Gmail's.
const (
	Gmail Profile = "gmail" // Ed25519 signatures do not count (gmail-inbound.md 3.3).
	RFC   Profile = "rfc"   // They do (RFC 8463).
)

// Standard says which edition of DMARC holds. The values are those of the dial
// "dmarc.standard".
type Standard string

// The editions. The zero value is the current one. By the older one np=, psd=
// and t= mean nothing, pct= is read, p= must follow v=, and several records at
// the author domain end the search.
const (
	RFC9989 Standard = "rfc9989"
	RFC7489 Standard = "rfc7489"
)

// Discovery says how an organisational domain is found. The values are those
// of the dial "dmarc.orgdomain"; its "standard", as the zero value, is the way
// of the edition of DMARC that holds.
type Discovery string

// The ways of discovery.
const (
	TreeWalk     Discovery = "treewalk" // RFC 9989 4.10.
	PublicSuffix Discovery = "psl"      // RFC 7489 3.2.
)

// Verifier authenticates messages. Its fields are not changed while it is in
// use; then it is safe for concurrent use, if Resolver is. A copy with another
// Resolver shares Keys.
type Verifier struct {
	Resolver Resolver
	// Now is the time by which signatures expire. It is needed, as Resolver is.
	Now       func() time.Time
	Profile   Profile   // Whose rules hold; empty is Gmail's.
	Standard  Standard  // Which DMARC; empty is RFC9989.
	Discovery Discovery // How organisational domains are found; empty is as Standard has it.
	// Hostname is the receiving host, for explanations of SPF; empty is not
	// known.
	Hostname string
	// Keys remembers parsed DKIM keys between messages; nil parses each time.
	Keys *KeyCache
}

// Authenticate evaluates everything for one message. The context bounds the
// time of all look-ups together; those that it cuts short are temporary
// errors in the results.
func (v *Verifier) Authenticate(ctx context.Context, a policy.Arrival, m *message.Message) policy.Authentication {
	res := &lookups{inner: v.Resolver}
	auth := policy.Authentication{
		ReverseDNS: reverseDNS(ctx, res, a.Peer),
		SPF:        spfCheck{res: res, now: v.Now, receiver: v.Hostname}.checkSPF(ctx, a),
		DKIM:       v.verifyAll(ctx, res, m),
	}
	d := discoverer{res: res, mode: v.Discovery, standard: v.Standard}
	if isDomain(auth.SPF.Domain) {
		auth.SPF.OrgDomain = d.orgDomain(ctx, auth.SPF.Domain).domain
	}
	for i := range auth.DKIM {
		if sig := &auth.DKIM[i]; isDomain(sig.Domain) && sig.Reason != ReasonTooMany {
			sig.OrgDomain = d.orgDomain(ctx, sig.Domain).domain
		}
	}
	if author, problem := authorDomain(m); problem != "" {
		auth.DMARC = policy.DMARC{Result: policy.AuthPermError, Domain: author, Standard: string(d.rules()), Discovery: string(d.method()), Problem: problem}
	} else {
		auth.DMARC = d.evaluate(ctx, author, auth.SPF, auth.DKIM)
	}
	// Last, so that a long chain takes no time from what counts more.
	auth.ARC = v.validateARC(ctx, res, m)
	return auth
}

// lookups counts the look-ups of one message and refuses those beyond the
// limit.
type lookups struct {
	inner Resolver
	made  int
}

func (l *lookups) take(name string) error {
	if l.made >= maxLookups {
		return &net.DNSError{Err: "too many look-ups for one message", Name: name, IsTemporary: true}
	}
	l.made++
	return nil
}

func (l *lookups) LookupTXT(ctx context.Context, name string) ([]string, error) {
	if err := l.take(name); err != nil {
		return nil, err
	}
	return l.inner.LookupTXT(ctx, name)
}

func (l *lookups) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	if err := l.take(name); err != nil {
		return nil, err
	}
	return l.inner.LookupMX(ctx, name)
}

func (l *lookups) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	if err := l.take(host); err != nil {
		return nil, err
	}
	return l.inner.LookupIPAddr(ctx, host)
}

// LookupNetIP looks one family up, or both if the resolver can do no other.
func (l *lookups) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if err := l.take(host); err != nil {
		return nil, err
	}
	return lookupFamily(ctx, l.inner, network, host)
}

// lookupFamily looks the addresses of one family up.
func lookupFamily(ctx context.Context, res Resolver, network, host string) ([]netip.Addr, error) {
	if r, ok := res.(familyResolver); ok {
		return r.LookupNetIP(ctx, network, host)
	}
	list, err := res.LookupIPAddr(ctx, host)
	var addrs []netip.Addr
	for _, a := range list {
		if addr, ok := netip.AddrFromSlice(a.IP); ok && addr.Unmap().Is4() == (network == "ip4") {
			addrs = append(addrs, addr.Unmap())
		}
	}
	return addrs, err
}

// NameExists asks the resolver if it can tell.
func (l *lookups) NameExists(ctx context.Context, name string) (exists, known bool, err error) {
	r, ok := l.inner.(nameResolver)
	if !ok {
		return false, false, nil
	}
	if err := l.take(name); err != nil {
		return false, false, err
	}
	return r.NameExists(ctx, name)
}

func (l *lookups) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	if err := l.take(addr); err != nil {
		return nil, err
	}
	return l.inner.LookupAddr(ctx, addr)
}
