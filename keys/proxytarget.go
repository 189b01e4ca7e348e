package keys

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// maxTarget bounds a target's length: a name of 253 octets, a dot, a colon and
// five digits fit in.
const maxTarget = 300

// target is what a CONNECT asks for (RFC 9110 9.3.6): a host and a port. The
// host is a name in lower case without a last dot, or an address, and has
// nothing in it that would matter in a header, a log or a terminal.
type target struct {
	host string
	port uint16
}

// String is the target as CONNECT has it, with brackets around IPv6.
func (t target) String() string {
	return net.JoinHostPort(t.host, strconv.Itoa(int(t.port)))
}

// parseTarget reads the target of a CONNECT.
func parseTarget(text string) (target, error) {
	if len(text) > maxTarget {
		return target{}, fmt.Errorf("a target of %d octets is too long", len(text))
	}
	colon := strings.LastIndexByte(text, ':')
	if colon < 0 || strings.HasSuffix(text, "]") {
		return target{}, fmt.Errorf("%q has no port: a target is HOST:PORT", text)
	}
	port, err := strconv.ParseUint(text[colon+1:], 10, 16)
	if err != nil || port == 0 {
		return target{}, fmt.Errorf("%q is not a port", text[colon+1:])
	}
	host := text[:colon]
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		return target{}, fmt.Errorf("%q: an IPv6 address stands in brackets", text)
	}
	if host, err = parseHost(host); err != nil {
		return target{}, err
	}
	return target{host, uint16(port)}, nil
}

// parseHost reads a host: a name, an IPv4 address, or an IPv6 address, which
// may be in brackets.
func parseHost(text string) (string, error) {
	if inner, ok := strings.CutPrefix(text, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		addr, err := netip.ParseAddr(inner)
		if !ok || err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", fmt.Errorf("%q is not an IPv6 address", text)
		}
		return addr.Unmap().String(), nil
	}
	if strings.Contains(text, "*") {
		return "", fmt.Errorf("%q is not the name of one host", text)
	}
	return certName(text)
}

// PassAll, among the hosts to pass on, stands for every host. Case does not
// matter, as it does not in the name of a host.
const PassAll = "all"

// passRules say which hosts are passed on.
type passRules struct {
	all   bool
	hosts map[string]bool
	below []string // Each begins with a dot.
}

// parsePassRules reads the hosts to pass on.
func parsePassRules(list []string) (passRules, error) {
	rules := passRules{hosts: map[string]bool{}}
	for _, text := range list {
		if strings.EqualFold(text, PassAll) {
			rules.all = true
			continue
		}
		if text == "*" {
			return passRules{}, fmt.Errorf("%q is not a host; %q passes on all of them", text, PassAll)
		}
		name, isPattern := strings.CutPrefix(text, "*.")
		host, err := parseHost(name)
		switch {
		case err != nil && strings.Contains(text, ":"):
			return passRules{}, fmt.Errorf("%q is not a host; a host is passed on with all its ports, so none is given", text)
		case err != nil:
			return passRules{}, err
		case !isPattern && googleHosts[host] != nil:
			return passRules{}, fmt.Errorf("%s is not passed on: doppelbox answers for it itself", host)
		case isPattern && isAddress(host):
			return passRules{}, fmt.Errorf("%q: there are no names below an address", text)
		case isPattern:
			rules.below = append(rules.below, "."+host)
		default:
			rules.hosts[host] = true
		}
	}
	return rules, nil
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

func (r passRules) match(host string) bool {
	if r.all || r.hosts[host] {
		return true
	}
	for _, suffix := range r.below {
		if strings.HasSuffix(host, suffix) && !isAddress(host) {
			return true
		}
	}
	return false
}

// errNoTarget is the error of a CONNECT that has more than a target.
var errNoTarget = errors.New("CONNECT takes HOST:PORT and nothing else")
