package main

import (
	"errors"
	"strings"

	"github.com/doppelbox/doppelbox/keys"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// hostList are the hosts that a flag has named, several behind one another with
// commas, or by repeating the flag.
type hostList []string

// UnmarshalText adds hosts. None is a mistake, such as of a variable that is not
// set: the flag would do nothing.
func (l *hostList) UnmarshalText(text []byte) error {
	for host := range strings.SplitSeq(string(text), ",") {
		if host == "" {
			return errors.New("a host is missing")
		}
		*l = append(*l, host)
	}
	return nil
}

// allow lets action requests go to hosts where they really are.
func (l hostList) allow(p *provider.Provider) error {
	for _, host := range l {
		if strings.EqualFold(host, keys.PassAll) || strings.Contains(host, "*") {
			return hinted{usagef("--allow %q is not a host, and requests are never allowed to go to all of them", host),
				"a mail from somewhere else could press a button there; name each host, or route it in the world"}
		}
		if err := p.Allow(host); err != nil {
			return usagef("--allow: %w", err)
		}
	}
	return nil
}
