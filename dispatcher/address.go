package dispatcher

import "net/netip"

// refusedPrefixes are addresses to which no request ever goes. Metadata
// services outside the link-local ranges are those that cloud providers
// document.
var refusedPrefixes = []struct {
	prefix netip.Prefix
	why    string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "an address of this network (RFC 6890)"},
	{netip.MustParsePrefix("169.254.0.0/16"), "a link-local address"},
	{netip.MustParsePrefix("224.0.0.0/4"), "a multicast address"},
	{netip.MustParsePrefix("240.0.0.0/4"), "a reserved or broadcast address"},
	{netip.MustParsePrefix("100.100.100.200/32"), "a cloud metadata address"}, // Alibaba Cloud.
	{netip.MustParsePrefix("168.63.129.16/32"), "a cloud metadata address"},   // Azure.
	{netip.MustParsePrefix("192.0.0.192/32"), "a cloud metadata address"},     // Oracle Cloud.
	{netip.MustParsePrefix("::/128"), "the unspecified address"},
	{netip.MustParsePrefix("fe80::/10"), "a link-local address"},
	{netip.MustParsePrefix("ff00::/8"), "a multicast address"},
	{netip.MustParsePrefix("fd00:ec2::/32"), "a cloud metadata address"},    // AWS.
	{netip.MustParsePrefix("fd20:ce::254/128"), "a cloud metadata address"}, // Google Cloud.
	{netip.MustParsePrefix("2001::/32"), "a Teredo address (RFC 4380)"},     // Leads to an IPv4 address.
	{netip.MustParsePrefix("64:ff9b:1::/48"), "a NAT64 address (RFC 8215)"}, // Leads to one, written anyhow.
}

// carriers are IPv6 prefixes whose addresses lead to the IPv4 address that
// stands in them from an octet on.
var carriers = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("::/96"), 12},        // IPv4-compatible (RFC 4291 2.5.5.1).
	{netip.MustParsePrefix("64:ff9b::/96"), 12}, // NAT64 (RFC 6052).
	{netip.MustParsePrefix("2002::/16"), 2},     // 6to4 (RFC 3056).
}

// refused says why no request may go to an address; empty if one may. The
// zero Addr, which is no address, is not refused.
func refused(addr netip.Addr) string {
	if !addr.IsValid() {
		return ""
	}
	if addr.Zone() != "" {
		return "an address with a zone"
	}
	addr = addr.Unmap()
	if addr.IsLoopback() {
		return "" // ::1 would else count as the carrier of 0.0.0.1.
	}
	for _, r := range refusedPrefixes {
		if r.prefix.Contains(addr) {
			return r.why
		}
	}
	for _, c := range carriers {
		if c.prefix.Contains(addr) {
			octets := addr.As16()
			return refused(netip.AddrFrom4([4]byte(octets[c.at : c.at+4])))
		}
	}
	return ""
}
