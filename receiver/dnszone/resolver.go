package dnszone

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"time"
)

const (
	// defaultTimeout is what the stub resolvers of libc and Go wait for one
	// answer.
	defaultTimeout = 5 * time.Second
	// defaultLog holds the questions of some dozens of messages.
	defaultLog = 1000
)

// Options are how a resolver behaves. The zero value is a hermetic resolver.
type Options struct {
	// Upstream answers for names that the zone does not know; nil keeps every
	// question in the process.
	//
	// The zone knows a name if the name has a record or a fault of any type
	// in it, or if a wildcard of the zone covers it. Such a name is answered
	// from the zone alone, for every type. Names above, below and beside it
	// are not known by that.
	Upstream Upstream
	// Timeout is how slow an answer may be; zero is five seconds.
	Timeout time.Duration
	// Delay waits for slow answers and timeouts; nil does not wait: the
	// result is the same, at once.
	Delay func(context.Context, time.Duration) error
	// Now measures how long the upstream takes; nil does not measure.
	Now func() time.Time
	// Log is how many queries are kept; zero is 1000.
	Log int
}

// Resolver answers from a zone. Its methods have the signatures of
// *net.Resolver, and their errors are always a bare *net.DNSError, because the
// SPF and DKIM libraries look for exactly that. It is safe for concurrent use.
type Resolver struct {
	zone    *Zone
	options Options
	log     queryLog
	parent  *Resolver // Sees the questions too; nil if this is none of Record.
}

// NewResolver returns a resolver over a zone.
func NewResolver(z *Zone, o Options) *Resolver {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Log <= 0 {
		o.Log = defaultLog
	}
	return &Resolver{zone: z, options: o, log: queryLog{limit: o.Log}}
}

// Record returns a resolver that answers as r does and logs only its own
// questions; r logs them too. It is made for one message, whose DNS answers
// are kept with it.
func (r *Resolver) Record() *Resolver {
	c := NewResolver(r.zone, r.options)
	c.parent = r
	return c
}

// Queries returns the questions asked, oldest first; of more than Options.Log,
// the latest.
func (r *Resolver) Queries() []Query {
	list, _ := r.log.list()
	return list
}

// Asked returns how many questions were asked, those that are not kept any
// more included.
func (r *Resolver) Asked() int {
	_, n := r.log.list()
	return n
}

// LookupTXT returns the TXT records of a name, each with its strings joined.
func (r *Resolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	a := r.ask(ctx, name, typeTXT)
	r.wait(ctx, &a)
	if a.upstream != "" {
		u := r.startUpstream(a)
		list, err := r.options.Upstream.LookupTXT(ctx, a.upstream)
		for _, s := range list {
			u.line(quote(s))
		}
		return list, u.done(err)
	}
	if err := r.finish(a); err != nil {
		return nil, err
	}
	list := make([]string, len(a.set.records))
	for i, rec := range a.set.records {
		list[i] = rec.text
	}
	return list, nil
}

// LookupMX returns the MX records of a name, best first. Hosts end in a dot.
func (r *Resolver) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	a := r.ask(ctx, name, typeMX)
	r.wait(ctx, &a)
	if a.upstream != "" {
		u := r.startUpstream(a)
		list, err := r.options.Upstream.LookupMX(ctx, a.upstream)
		for _, mx := range list {
			u.line(mxRecord(mx.Pref, mx.Host).rdata)
		}
		return list, u.done(err)
	}
	if err := r.finish(a); err != nil {
		return nil, err
	}
	list := make([]*net.MX, len(a.set.records))
	for i, rec := range a.set.records {
		list[i] = &net.MX{Host: rec.host, Pref: rec.preference}
	}
	return list, nil
}

// LookupIPAddr returns the addresses of a host, IPv4 first. That is two
// questions; one that goes wrong makes the look-up go wrong. An address in text
// is its own answer and no question.
func (r *Resolver) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []net.IPAddr{{IP: addr.AsSlice(), Zone: addr.Zone()}}, nil
	}
	a4, a6 := r.ask(ctx, host, typeA), r.ask(ctx, host, typeAAAA)
	r.wait(ctx, &a4, &a6)
	if a4.upstream != "" && a6.upstream != "" {
		return r.upstreamIPAddr(ctx, a4, a6)
	}
	// One that is still the upstream's here has a companion that went wrong,
	// by a fault at the alias that led upstream, and need not be asked.
	var list []net.IPAddr
	var missing, failed error
	for _, a := range []answer{a4, a6} {
		if a.upstream != "" {
			continue
		}
		switch err := r.finish(a); {
		case err == nil:
			for _, rec := range a.set.records {
				list = append(list, net.IPAddr{IP: rec.addr.AsSlice()})
			}
		case err.IsNotFound:
			missing = err
		default:
			failed = err
		}
	}
	switch {
	case failed != nil:
		return nil, failed
	case len(list) == 0:
		return nil, missing
	}
	return list, nil
}

// LookupAddr returns the names of an address. They end in a dot.
func (r *Resolver) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return nil, &net.DNSError{Err: "unrecognized address", Name: addr, IsNotFound: true}
	}
	a := r.ask(ctx, reverseName(ip), typePTR)
	r.wait(ctx, &a)
	if a.upstream != "" {
		u := r.startUpstream(a)
		var list []string
		if strings.HasSuffix(a.upstream, ".arpa") {
			list, err = r.options.Upstream.LookupAddr(ctx, addr)
		} else {
			// An alias that leads out of the zone (RFC 2317): the upstream
			// cannot be asked for the PTR of a name.
			err = &net.DNSError{Err: "no such host", Name: addr, IsNotFound: true}
		}
		for _, s := range list {
			u.line(s)
		}
		return list, u.done(err)
	}
	if err := r.finish(a); err != nil {
		return nil, err
	}
	list := make([]string, len(a.set.records))
	for i, rec := range a.set.records {
		list[i] = rec.host
	}
	return list, nil
}
