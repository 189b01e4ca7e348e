package mailauth

import (
	"context"
	"net/netip"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
)

// maxPTR is how many names of an address are looked up (RFC 8601 2.7.3 wants a
// limit; 10 is that of RFC 7208 4.6.4).
const maxPTR = 10

// reverseDNS looks the peer's names up and each of them back, until one leads
// to the peer (RFC 8601 2.7.3, "iprev"). Loopback addresses are looked up like
// any other.
func reverseDNS(ctx context.Context, res Resolver, peer netip.Addr) policy.ReverseDNS {
	peer = peer.Unmap().WithZone("")
	if !peer.IsValid() {
		return policy.ReverseDNS{Result: policy.AuthNone, Problem: "the peer's address is not known"}
	}
	names, err := res.LookupAddr(ctx, peer.String())
	switch {
	case isNotFound(err) || err == nil && len(names) == 0:
		return policy.ReverseDNS{Result: policy.AuthNone}
	case err != nil:
		return policy.ReverseDNS{Result: dnsResult(err), Problem: err.Error()}
	}
	r := policy.ReverseDNS{Result: policy.AuthFail, Names: make([]string, len(names))}
	for i, name := range names {
		r.Names[i] = strings.TrimSuffix(name, ".")
	}
	for i, name := range names {
		if i == maxPTR {
			r.Problem = "only the first ten names were looked up"
			break
		}
		addrs, err := res.LookupIPAddr(ctx, name)
		if err != nil && !isNotFound(err) {
			r.Result, r.Problem = dnsResult(err), err.Error()
			continue
		}
		for _, addr := range addrs {
			if ip, ok := netip.AddrFromSlice(addr.IP); ok && ip.Unmap() == peer {
				r.Result, r.Name, r.Problem = policy.AuthPass, r.Names[i], ""
				return r
			}
		}
	}
	return r
}
