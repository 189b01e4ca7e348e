package dispatcher

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// maxURL bounds a URL, in octets; RFC 9110 4.1 asks for at least 8000.
const maxURL = 16 << 10

// target is a URL taken apart, but not changed.
type target struct {
	authority string // The value of Host (RFC 9110 7.2), as written.
	path      string // The request target in origin-form (RFC 9112 3.2.1), as written.
	endpoint
}

// endpoint is a host and perhaps a port, in the form in which two are compared.
type endpoint struct {
	host string     // In lower case, without trailing dot and brackets.
	addr netip.Addr // The host if it is an address; IPv4-mapped ones as IPv4.
	port uint16     // Zero: none stated.
}

// parseTarget takes a URL apart. It refuses what a lenient reader would mend,
// since mending means sending something else, perhaps to somebody else.
func parseTarget(url string) (target, error) {
	bad := func(format string, args ...any) (target, error) {
		return target{}, &fault{ReasonBadURL, fmt.Errorf("URL "+format, args...)}
	}
	if len(url) > maxURL {
		return bad("of %d octets is longer than %d", len(url), maxURL)
	}
	for i, c := range []byte(url) {
		if c <= ' ' || c > '~' {
			return bad("has octet %#02x at place %d: only visible ASCII can be sent as written", c, i)
		}
	}
	scheme, rest, ok := strings.Cut(url, "://")
	switch {
	case ok && strings.EqualFold(scheme, "http"):
		return target{}, &fault{ReasonNotHTTPS, errors.New("URL has scheme http, not https")}
	case !ok || !strings.EqualFold(scheme, "https"):
		return bad("does not begin with https://")
	case strings.Contains(rest, "#"):
		return bad("has a fragment, which is never sent")
	}
	t := target{authority: rest, path: "/"}
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		t.authority, t.path = rest[:i], rest[i:]
		if rest[i] == '?' {
			t.path = "/" + t.path // RFC 9112 3.2.1: an empty path is sent as "/".
		}
	}
	if strings.Contains(t.authority, "@") {
		return bad("has credentials")
	}
	var err error
	if t.endpoint, err = parseEndpoint(t.authority); err != nil {
		return target{}, &fault{ReasonBadURL, err}
	}
	if t.port == 0 {
		t.port = 443
	}
	return t, nil
}

// parseEndpoint reads "host", "host:port" or "[address]:port".
func parseEndpoint(s string) (endpoint, error) {
	var e endpoint
	host, port, hasPort := s, "", false
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, ']') {
		host, port, hasPort = s[:i], s[i+1:], true
	}
	if hasPort {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 || port[0] == '+' {
			return e, fmt.Errorf("port %q is not a number from 1 to 65535", port)
		}
		e.port = uint16(n)
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		addr, err := netip.ParseAddr(inner)
		if !ok || err != nil || !addr.Is6() || addr.Zone() != "" {
			return e, fmt.Errorf("host %q is not an IPv6 address in brackets", host)
		}
		e.addr = addr.Unmap()
		e.host = e.addr.String()
		return e, nil
	}
	e.host = strings.TrimSuffix(strings.ToLower(host), ".")
	if len(e.host) > 253 {
		return e, fmt.Errorf("host of %d octets is longer than 253", len(e.host))
	}
	var last string
	for label := range strings.SplitSeq(e.host, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return e, fmt.Errorf("host %q is not a host name", host)
		}
		last = label
	}
	// Resolvers and browsers take "2130706433", "0x7f.1" and "127.1" for
	// addresses. A name cannot end in a number, so whatever does must be an
	// address as everybody writes it.
	if strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") {
		addr, err := netip.ParseAddr(e.host)
		if err != nil {
			return e, fmt.Errorf("host %q is not an IPv4 address in dotted decimal", host)
		}
		e.addr = addr
	}
	return e, nil
}
