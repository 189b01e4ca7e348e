package mailauth

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// discoverer finds DMARC records and organisational domains for one message.
// It asks for each name once.
type discoverer struct {
	res      Resolver
	mode     Discovery
	standard Standard
	asked    []dmarcAnswer
	known    []orgDomain
}

// method is how organisational domains are found: as the mode says, else as the
// standard does.
func (d *discoverer) method() Discovery {
	if d.mode == PublicSuffix || d.mode != TreeWalk && d.standard == RFC7489 {
		return PublicSuffix
	}
	return TreeWalk
}

func (d *discoverer) rules() Standard {
	if d.standard == RFC7489 {
		return RFC7489
	}
	return RFC9989
}

// dmarcAnswer is what "_dmarc.<domain>" has.
type dmarcAnswer struct {
	domain  string
	record  dmarcRecord
	found   bool   // There is exactly one record.
	several bool   // There are more.
	problem string // There are several, or a text that is to be one and is none.
	err     error  // DNS; the absence of the name is none.
}

// ask looks the record of a domain up (RFC 9989 4.10 steps 1 and 2).
func (d *discoverer) ask(ctx context.Context, domain string) dmarcAnswer {
	for _, a := range d.asked {
		if a.domain == domain {
			return a
		}
	}
	a := dmarcAnswer{domain: domain}
	list, err := d.res.LookupTXT(ctx, "_dmarc."+domain)
	if err != nil && !isNotFound(err) {
		a.err = err
	}
	count := 0
	for _, text := range list {
		if r, ok := parseDMARC(text, d.standard); ok {
			a.record = r
			count++
		} else if isMeantAsDMARC(text) {
			a.problem = fmt.Sprintf("the text at _dmarc.%s is no DMARC record, as v=DMARC1 and a semicolon do not begin it", domain)
		}
	}
	if a.found = count == 1; a.found {
		a.problem = "" // What stands beside it makes no difference.
	} else if count > 1 {
		a.several, a.record = true, dmarcRecord{}
		a.problem = fmt.Sprintf("%d DMARC records at _dmarc.%s: none counts", count, domain)
	}
	d.asked = append(d.asked, a)
	return a
}

// orgDomain is the organisational domain of a domain.
type orgDomain struct {
	of     string
	domain string // Empty if it has none.
	psd    string // The domain with psd=y right above it, if the walk met one.
	err    error  // DNS: domain is a guess then.
}

// orgDomain finds the organisational domain, by the tree walk or by the public
// suffix list.
//
// A walk that meets no record says nothing but that the start is its own
// organisational domain (RFC 9989 4.10.2). DMARC does not apply then, but the
// rules for actions compare registered domains all the same
// (gmail-actions.md 6.2); so the public suffix list answers in that case, and
// if DNS failed. For DMARC that makes no difference: a record that the walk from
// one domain finds at the registered domain, the walk from the other finds too.
func (d *discoverer) orgDomain(ctx context.Context, domain string) orgDomain {
	for _, o := range d.known {
		if o.of == domain {
			return o
		}
	}
	var o orgDomain
	if d.method() == PublicSuffix {
		o = orgDomain{domain: registeredDomain(domain)}
	} else if o = d.walk(ctx, domain); o.domain == "" {
		if o.domain = registeredDomain(domain); o.domain == "" {
			o.domain = domain
		}
	}
	o.of = domain
	d.known = append(d.known, o)
	return o
}

// walk is the DNS tree walk of RFC 9989 4.10 and the selection of 4.10.2; the
// domain is empty if there is no record or DNS failed.
func (d *discoverer) walk(ctx context.Context, start string) orgDomain {
	var o orgDomain
	for name := start; name != ""; name = nextTarget(name) {
		a := d.ask(ctx, name)
		switch {
		case a.err != nil:
			return orgDomain{err: a.err}
		case !a.found:
		case a.record.psd == "n":
			o.domain = name
			return o
		case a.record.psd == "y" && name != start:
			o.domain, o.psd = oneBelow(name, start), name
			return o
		case a.record.psd == "y":
			o.domain = name
			return o
		default:
			o.domain = name
		}
	}
	return o
}

// oneBelow returns the name one label below a domain on the way to start.
func oneBelow(domain, start string) string {
	above := strings.TrimSuffix(start, "."+domain)
	_, label, ok := cutLast(above, ".")
	if !ok {
		label = above
	}
	return label + "." + domain
}

// maxWalkLabels is where the walk continues for a longer name, which makes it
// eight look-ups at most (RFC 9989 4.10 step 4).
const maxWalkLabels = 7

// nextTarget is the name that is asked for after another.
func nextTarget(name string) string {
	for labels := strings.Count(name, ".") + 1; ; labels-- {
		_, rest, _ := strings.Cut(name, ".")
		name = rest
		if labels <= maxWalkLabels+1 {
			return name
		}
	}
}

// registeredDomain is the public suffix and one label more (RFC 7489 3.2),
// private suffixes such as github.io included; empty for a suffix itself.
func registeredDomain(domain string) string {
	org, err := publicsuffix.EffectiveTLDPlusOne(domain)
	if err != nil {
		return ""
	}
	return org
}
