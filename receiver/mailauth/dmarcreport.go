package mailauth

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/doppelbox/doppelbox/policy/message"
)

// maxReportURIs is how many addresses of one record get its reports. RFC 9990
// 3.5 leaves the limit to the receiver.
const maxReportURIs = 10

// maxReportRecords bounds what is read of the records of one name that permits
// reports.
const maxReportRecords = 20

// PublishedPolicy is what a DMARC record says of policy and of reports
// (RFC 9989 4.7). What it leaves out has its default.
type PublishedPolicy struct {
	P  string // p=: "none", "quarantine" or "reject".
	SP string // sp=, or p=.
	NP string // np=, or sp=.
	// Testing is t=y, StrictDKIM adkim=s and StrictSPF aspf=s.
	Testing    bool
	StrictDKIM bool
	StrictSPF  bool
	// FO is fo=, the failure reporting options; "0" unless it is valid.
	FO string
	// RUA are the URIs of rua=, in order, without the obsolete size limits.
	RUA     []string
	Problem string // The first thing that is wrong with the record.
}

// ParseDMARC reads a DMARC record. ok is false if it is none, or asks for no
// processing (RFC 9989 4.10.1).
func ParseDMARC(text string) (p PublishedPolicy, ok bool) {
	r, ok := parseDMARC(text, RFC9989)
	if !ok || !r.usable {
		return PublishedPolicy{}, false
	}
	p = PublishedPolicy{
		P: r.p, SP: r.sp, NP: r.np, Testing: r.testing, StrictDKIM: r.strictDKIM, StrictSPF: r.strictSPF,
		FO: failureOptions(r.fo), RUA: reportURIs(r.rua), Problem: r.problem,
	}
	if p.SP == "" {
		p.SP = p.P
	}
	if p.NP == "" {
		p.NP = p.SP
	}
	return p, true
}

// failureOptions are the options of fo= that RFC 9989 4.7 knows.
func failureOptions(fo string) string {
	for option := range strings.SplitSeq(fo, ":") {
		switch strings.Trim(option, fws) {
		case "0", "1", "d", "s":
		default:
			return "0"
		}
	}
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(fws, r) {
			return -1
		}
		return r
	}, fo)
}

// reportURIs are the URIs of a rua= tag, those that are not valid as they are.
func reportURIs(rua string) []string {
	var list []string
	for uri := range strings.SplitSeq(rua, ",") {
		if uri, _ = cutReportSize(strings.Trim(uri, fws), RFC9989); uri != "" {
			list = append(list, uri)
		}
	}
	return list
}

// ReportDestination is one URI that aggregate reports are asked for at.
type ReportDestination struct {
	URI string
	// Address is the mailbox that a report goes to; empty if it goes nowhere.
	Address string
	Problem string // Why it goes nowhere.
}

// ReportDestinations says where the reports on a policy domain go that its
// record asks for. A mailbox of another organisation has to permit it, by a
// record of its own, and may name another mailbox at its host instead
// (RFC 9990 4).
func (v *Verifier) ReportDestinations(ctx context.Context, policyDomain string, rua []string) []ReportDestination {
	d := &discoverer{res: &lookups{inner: v.Resolver}, mode: v.Discovery}
	list := make([]ReportDestination, 0, len(rua))
	for i, uri := range rua {
		dest := ReportDestination{URI: uri}
		if i >= maxReportURIs {
			dest.Problem = fmt.Sprintf("only the first %d addresses of a record get reports", maxReportURIs)
		} else if address, problem := ReportAddress(uri); problem != "" {
			dest.Problem = problem
		} else {
			dest.Address, dest.Problem = d.permitted(ctx, normalDomain(policyDomain), address)
		}
		list = append(list, dest)
	}
	return list
}

// ReportAddress is the mailbox of a mailto URI; the problem says why there is
// none.
func ReportAddress(uri string) (address, problem string) {
	scheme, rest, ok := strings.Cut(uri, ":")
	if !ok {
		return "", "it is no URI"
	}
	if !strings.EqualFold(scheme, "mailto") {
		return "", "it is no mailto URI, and reports go by mail"
	}
	if strings.Contains(rest, "!") {
		return "", "it has a ! that is not percent-encoded, or no size behind it"
	}
	rest, _, _ = strings.Cut(rest, "?")
	address, err := url.PathUnescape(rest)
	if err != nil {
		return "", "it is no valid URI"
	}
	list, err := message.Addresses(address)
	isBad := func(r rune) bool { return r <= ' ' || r >= 0x7f }
	if err != nil || len(list) != 1 || list[0].Addr != address || strings.ContainsFunc(address, isBad) || !isDomain(list[0].Domain) {
		return "", "it is not the URI of one mailbox"
	}
	return address, ""
}

// permitted returns the mailbox that reports for another one go to: the same,
// or the one that its host names instead.
func (d *discoverer) permitted(ctx context.Context, policyDomain, address string) (to, problem string) {
	host := message.DomainOf(address)
	own, other := d.orgDomain(ctx, policyDomain), d.orgDomain(ctx, host)
	if own.err != nil || other.err != nil {
		return "", "its organisation cannot be found out now: DNS failed"
	}
	if own.domain != "" && own.domain == other.domain {
		return address, ""
	}
	name := policyDomain + "._report._dmarc." + host
	if len(name) > 253 {
		return "", "it is of another organisation, and the name of the record that would permit it is too long"
	}
	texts, err := d.res.LookupTXT(ctx, name)
	if err != nil && !isNotFound(err) {
		return "", "it is of another organisation, and whether it permits reports cannot be found out now: " + name + ": DNS failed"
	}
	found, override := false, ""
	for i, text := range texts {
		r, ok := parseDMARC(text, RFC9989)
		if !ok || i >= maxReportRecords {
			continue
		}
		found = true
		if uris := reportURIs(r.rua); len(uris) > 0 && override == "" {
			override = uris[0]
		}
	}
	if !found {
		return "", "it is of another organisation, which does not permit it: there is no TXT v=DMARC1 at " + name
	}
	if override == "" {
		return address, ""
	}
	to, bad := ReportAddress(override)
	if bad != "" || message.DomainOf(to) != host {
		return "", "it is replaced by another one in the record at " + name + ", which is not at the same host"
	}
	return to, ""
}
