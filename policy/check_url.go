package policy

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

func checkActionURL(s subject) conclusion {
	switch {
	case s.action.Kind == KindInApp && len(s.action.Handlers) == 1:
		return checkHandlerURL(s.action.Handlers[0].URL)
	case s.action.Kind == KindGoTo:
		return checkTargets(s)
	}
	return skip("no-url", "the action has no single handler and no target")
}

func checkHandlerURL(raw string) conclusion {
	got := fact("url", raw)
	if raw == "" {
		return fail("url-missing", "the handler has no url", got)
	}
	u, err := parseURL(raw)
	switch {
	case err != nil:
		return fail("url-malformed", "the handler's url cannot be read: "+err.Error(), got)
	case u.Scheme == "" || u.Host == "":
		return fail("url-relative", "the handler's url is not absolute", got)
	case u.Scheme != "https":
		return fail("url-not-https", "the handler's url is "+u.Scheme+", and only https is requested", got)
	case u.User != nil:
		return fail("url-credentials", "the handler's url carries a user name or password", got)
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return fail("url-fragment", "the handler's url has a fragment, which no request can carry", got)
	}
	return pass("url-good", "the handler's url is absolute https", got)
}

// checkTargets wants one web target: app links have it as their fallback
// (gmail-actions.md 1.3).
func checkTargets(s subject) conclusion {
	facts := make([]Fact, 0, len(s.action.Targets))
	for _, t := range s.action.Targets {
		facts = append(facts, fact("target", t))
	}
	target := webTarget(s.action.Targets)
	switch {
	case target == "":
		return fail("target-missing", "no target is an absolute web address", facts...)
	case strings.HasPrefix(strings.ToLower(target), "http:") && s.e.Dials.Get(DialHTTPTarget) == "withheld":
		return fail("target-http", "the target is plain http, which a dial forbids", facts...)
	}
	return pass("target-good", "the target is an absolute web address", facts...)
}

// webTarget returns the first target that a browser can open.
func webTarget(targets []string) string {
	for _, t := range targets {
		if u, err := parseURL(t); err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" {
			return t
		}
	}
	return ""
}

var (
	errURLCharacter = errors.New("it has a space, a control character or one outside ASCII")
	errURLHost      = errors.New("its host is neither a domain nor an IP address")
	errURLPort      = errors.New("its port is not between 1 and 65535")
)

// parseURL reads a URL as strictly as it has to be to be requested as it is
// written: what would have to be changed is an error.
func parseURL(raw string) (*url.URL, error) {
	for i := range len(raw) {
		if raw[i] <= ' ' || raw[i] >= 0x7f {
			return nil, errURLCharacter
		}
	}
	u, err := url.Parse(raw)
	if err != nil {
		var inner *url.Error
		if errors.As(err, &inner) {
			err = inner.Err // Without the URL, which is a fact of its own.
		}
		return nil, err
	}
	if u.Host == "" {
		return u, nil
	}
	if !isHost(u.Hostname()) {
		return nil, errURLHost
	}
	if _, port, ok := cutPort(u.Host); ok {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return nil, errURLPort
		}
	}
	return u, nil
}

// cutPort splits a port from a host, which may be an IP address in brackets.
func cutPort(hostport string) (host, port string, ok bool) {
	i := strings.LastIndexByte(hostport, ':')
	if i < 0 || strings.HasSuffix(hostport, "]") {
		return hostport, "", false
	}
	return hostport[:i], hostport[i+1:], true
}

// isHost says whether a name can be connected to: an IP address, or labels of
// letters, digits, "-" and "_" (RFC 1123 2.1), of which the last is not a
// number, nor begins as one in hexadecimal, since that is how addresses are
// written in odd ways.
func isHost(name string) bool {
	if addr, err := netip.ParseAddr(name); err == nil {
		return addr.Zone() == ""
	}
	name = strings.TrimSuffix(name, ".")
	if name == "" || len(name) > 253 {
		return false
	}
	last := ""
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(strings.ToLower(label), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
		last = label
	}
	return strings.Trim(last, "0123456789") != "" && !strings.HasPrefix(strings.ToLower(last), "0x")
}
