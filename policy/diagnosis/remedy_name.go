package diagnosis

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
)

// naming is the remedy for reverse DNS.
func naming(c *Case, _ policy.Finding) remedy {
	peer, public := peerOf(c)
	switch {
	case !peer.IsValid():
		return remedy{}
	case !public:
		return remedy{where: peer.String(), do: []Step{namingPeer(peer)}}
	}
	name, typ := "<name>", "A"
	// A name in HELO is a claim: only one of the sender's own is his to publish.
	if helo := strings.TrimSuffix(c.Evidence.Arrival.HELO, "."); isOurs(c, helo) {
		name = helo
	}
	if list := c.Evidence.Auth.ReverseDNS.Names; len(list) > 0 && isName(list[0]) {
		name = list[0]
	}
	if peer.Is6() {
		typ = "AAAA"
	}
	return remedy{
		where: reverseName(peer),
		do: step("Have whoever runs the network of "+peer.String()+" give it a name that leads back to it; HELO should give the same name.",
			reverseName(peer)+". PTR "+name+".", name+". "+typ+" "+peer.String()),
	}
}

// reverseName is the name under which the names of an address are (RFC 1035
// 3.5, RFC 3596 2.5).
func reverseName(a netip.Addr) string {
	a = a.Unmap()
	octets := a.AsSlice()
	var labels []string
	for i := len(octets) - 1; i >= 0; i-- {
		if a.Is4() {
			labels = append(labels, strconv.Itoa(int(octets[i])))
		} else {
			labels = append(labels, strconv.FormatUint(uint64(octets[i]&15), 16), strconv.FormatUint(uint64(octets[i]>>4), 16))
		}
	}
	if a.Is4() {
		return strings.Join(labels, ".") + ".in-addr.arpa"
	}
	return strings.Join(labels, ".") + ".ip6.arpa"
}

// isName says whether a text is a domain name of two labels or more that can be
// written into a zone as it is. An address is none, and no last label is a
// number (RFC 3696 2).
func isName(s string) bool {
	s = strings.TrimSuffix(strings.ToLower(s), ".")
	return len(s) <= 253 && strings.Contains(s, ".") && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-._") == "" &&
		!strings.Contains(s, "..") && !strings.HasPrefix(s, ".") && strings.Trim(s[strings.LastIndexByte(s, '.'):], ".0123456789") != ""
}
