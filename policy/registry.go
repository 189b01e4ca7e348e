package policy

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Reasons of [Registry.Lookup], beside [ReasonRegistered].
const (
	reasonNotStarted       Reason = "registration-not-started"
	reasonExpired          Reason = "registration-expired"
	reasonTypeUnregistered Reason = "action-type-unregistered"
	reasonUnregistered     Reason = "unregistered"
)

// Lookup returns the registration that says most about an action of a sender
// at a time, and what it says. The reason is, best first:
//
//   - registered: it covers the sender and the type, and is valid;
//   - registration-not-started: the same, but its Since is still to come;
//   - registration-expired: the same, but its Until is reached;
//   - action-type-unregistered: it covers the sender, but not the type;
//   - unregistered: there is none; the registration is then the zero value.
//
// Among equally good ones that of an address beats that of a domain, then the
// one that comes first wins.
func (r Registry) Lookup(from Address, actionType string, at time.Time) (Registration, Reason) {
	best, rank := -1, 0
	for i, reg := range r {
		if !reg.Covers(from) {
			continue
		}
		n := 2 * precedence(reg.state(actionType, at))
		if strings.Contains(reg.From, "@") {
			n++
		}
		if n > rank {
			best, rank = i, n
		}
	}
	if best < 0 {
		return Registration{}, reasonUnregistered
	}
	return r[best], r[best].state(actionType, at)
}

// Covers reports whether the registration is for this From address: its
// address, or its exact domain; a subdomain is not covered. Domains are
// compared as A-labels without case. Local parts are compared without case
// as well: RFC 5321 2.4 leaves that to the receiver, and what the real
// provider does is not documented.
func (r Registration) Covers(from Address) bool {
	local, _, ok := cutAddress(from.Addr)
	if !ok {
		return false
	}
	regLocal, regDomain, isAddress := cutAddress(r.From)
	if !isAddress {
		regDomain = r.From
	}
	if isAddress && !strings.EqualFold(regLocal, local) {
		return false
	}
	regDomain = asciiDomain(regDomain)
	return regDomain != "" && regDomain == asciiDomain(from.Domain)
}

// state is what the registration, which covers the sender, says about a type
// at a time.
func (r Registration) state(actionType string, at time.Time) Reason {
	switch {
	case len(r.Actions) > 0 && !slices.Contains(r.Actions, actionType):
		return reasonTypeUnregistered
	case !r.Since.IsZero() && at.Before(r.Since):
		return reasonNotStarted
	case !r.Until.IsZero() && !at.Before(r.Until):
		return reasonExpired
	}
	return ReasonRegistered
}

// precedence orders the states; more is better.
func precedence(state Reason) int {
	order := []Reason{reasonTypeUnregistered, reasonExpired, reasonNotStarted, ReasonRegistered}
	return 1 + slices.Index(order, state)
}

// cutAddress cuts at the last "@", since a quoted local part may hold others.
func cutAddress(addr string) (local, domain string, ok bool) {
	i := strings.LastIndexByte(addr, '@')
	if i < 0 {
		return "", "", false
	}
	return addr[:i], addr[i+1:], true
}

// asciiDomain returns a domain as A-label in lower case, without trailing dot.
// What cannot be converted is compared as it is.
func asciiDomain(domain string) string {
	domain = strings.TrimSuffix(domain, ".")
	if strings.IndexFunc(domain, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
		if ascii, err := idna.Lookup.ToASCII(domain); err == nil {
			domain = ascii
		}
	}
	return strings.ToLower(domain)
}
