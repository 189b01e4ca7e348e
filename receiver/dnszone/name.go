package dnszone

import (
	"net/netip"
	"strconv"
	"strings"
)

// Limits of RFC 1035 2.3.4, in octets of text without the final dot.
const (
	maxLabel = 63
	maxName  = 253
)

// normalise returns a name in lower case and without a final dot. The root is
// "". It does not allocate for a name that is in lower case already. ok is
// false if it cannot be a name in DNS: an empty or overlong label, or an
// overlong name.
func normalise(name string) (key string, ok bool) {
	name = strings.TrimSuffix(name, ".")
	if len(name) > maxName {
		return name, false
	}
	label, upper := 0, false
	for i := range len(name) {
		switch c := name[i]; {
		case c == '.':
			if label == 0 {
				return name, false
			}
			label = 0
			continue
		case 'A' <= c && c <= 'Z':
			upper = true
		}
		if label++; label > maxLabel {
			return name, false
		}
	}
	if label == 0 && name != "" {
		return name, false
	}
	if upper {
		name = lowerASCII(name)
	}
	return name, true
}

// lowerASCII folds only ASCII letters, as DNS does (RFC 4343 3).
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// parent removes the first label. The root is its own parent.
func parent(key string) string {
	_, rest, _ := strings.Cut(key, ".")
	return rest
}

// reverseName returns the name under which an address has its PTR records
// (RFC 1035 3.5, RFC 3596 2.5).
func reverseName(addr netip.Addr) string {
	b := make([]byte, 0, 72)
	if addr = addr.Unmap(); addr.Is4() {
		a := addr.As4()
		for i := len(a) - 1; i >= 0; i-- {
			b = append(strconv.AppendUint(b, uint64(a[i]), 10), '.')
		}
		return string(append(b, "in-addr.arpa"...))
	}
	const hex = "0123456789abcdef"
	a := addr.As16()
	for i := len(a) - 1; i >= 0; i-- {
		b = append(b, hex[a[i]&15], '.', hex[a[i]>>4], '.')
	}
	return string(append(b, "ip6.arpa"...))
}
