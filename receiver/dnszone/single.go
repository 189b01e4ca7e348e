package dnszone

import (
	"context"
	"net"
	"net/netip"
)

// LookupNetIP returns the addresses of a host in one family: network is "ip4" or
// "ip6". It is the one question that has to be asked for that; an upstream is
// asked for both families all the same. An address in text is its own answer.
func (r *Resolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	is4 := network == "ip4"
	if !is4 && network != "ip6" {
		return nil, net.UnknownNetworkError(network)
	}
	if addr, err := netip.ParseAddr(host); err == nil && addr.Is4() == is4 {
		return []netip.Addr{addr}, nil
	} else if err == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	typ := typeAAAA
	if is4 {
		typ = typeA
	}
	a := r.ask(ctx, host, typ)
	r.wait(ctx, &a)
	if a.upstream != "" {
		u := r.startUpstream(a)
		list, err := r.options.Upstream.LookupIPAddr(ctx, a.upstream)
		var family []netip.Addr
		for _, ip := range list {
			if addr, ok := netip.AddrFromSlice(ip.IP); ok && addr.Unmap().Is4() == is4 {
				family = append(family, addr.Unmap())
				u.line(addr.Unmap().String())
			}
		}
		return family, u.done(err)
	}
	if err := r.finish(a); err != nil {
		return nil, err
	}
	list := make([]netip.Addr, len(a.set.records))
	for i, rec := range a.set.records {
		list[i] = rec.addr
	}
	return list, nil
}

// NameExists reports whether a name exists, in the sense of RFC 8020: it, or one
// below it, has a record of some type, which need not be one that is asked for.
// known is false for a name that is the upstream's to answer: its interface
// does not tell. The question is one for addresses, and is logged as that.
func (r *Resolver) NameExists(ctx context.Context, name string) (exists, known bool, err error) {
	a := r.ask(ctx, name, typeA)
	r.wait(ctx, &a)
	if a.upstream != "" {
		return false, false, nil
	}
	if err := r.finish(a); err != nil && !err.IsNotFound {
		return false, true, err
	}
	return a.word != AnswerNXDomain, true, nil
}
