package mailauth

import (
	"context"
	"fmt"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
)

// authorDomain returns the one domain of From; with none or several, DMARC
// cannot be evaluated (RFC 9989 5.3.1), and the problem says so.
func authorDomain(m *message.Message) (domain, problem string) {
	fields := 0
	for _, f := range m.Fields {
		if !f.Is("From") {
			continue
		}
		fields++
		addresses, err := message.Addresses(f.Value)
		if err != nil && len(addresses) == 0 {
			return "", "From cannot be read: " + err.Error()
		}
		for _, a := range addresses {
			switch {
			case a.Domain == "" || !isDomain(a.Domain):
				return "", fmt.Sprintf("From has an address without a usable domain: %q", clip(a.Addr))
			case domain != "" && a.Domain != domain:
				return "", fmt.Sprintf("From has several domains, among them %s and %s", domain, a.Domain)
			}
			domain = a.Domain
		}
	}
	switch {
	case fields > 1:
		return domain, fmt.Sprintf("there are %d From fields", fields)
	case domain == "":
		return "", "there is no From address"
	}
	return domain, ""
}

// evaluate evaluates DMARC for an author domain (RFC 9989 5.3, RFC 7489 6.6).
func (d *discoverer) evaluate(ctx context.Context, author string, spf policy.SPF, dkim []policy.DKIM) policy.DMARC {
	org := d.orgDomain(ctx, author)
	r := policy.DMARC{Result: policy.AuthNone, Domain: author, OrgDomain: org.domain, Standard: string(d.rules()), Discovery: string(d.method())}
	a, passed := d.policyRecord(ctx, author, org)
	switch {
	case a.err != nil:
		r.Result, r.Problem = dnsResult(a.err), a.err.Error()
		return r
	case !a.found:
		r.Problem, r.ProblemDomain = passed.problem, passed.domain
		return r
	}
	r.PolicyDomain, r.Record = a.domain, a.record.text
	if r.Problem, r.ProblemDomain, r.BadTag = a.record.problem, a.domain, a.record.badTag; r.Problem == "" {
		r.Problem, r.ProblemDomain = passed.problem, passed.domain
	}
	if !a.record.usable {
		return r
	}
	exists, err := true, error(nil)
	if a.domain != author && a.record.np != "" {
		exists, err = d.exists(ctx, author)
	}
	r.Policy, r.Applied = a.record.policyFor(a.domain == author, exists)
	r.Published, r.SubdomainPolicy = a.record.p, a.record.p
	if a.record.sp != "" {
		r.SubdomainPolicy = a.record.sp
	}
	r.Testing, r.StrictDKIM, r.StrictSPF = a.record.testing, a.record.strictDKIM, a.record.strictSPF
	r.Percent = a.record.percent
	r.Result = d.align(ctx, &r, spf, dkim)
	if r.Result == policy.AuthFail && err != nil {
		// Which policy applies is not known.
		r.Result, r.Policy, r.Applied = dnsResult(err), "", ""
		r.Problem, r.ProblemDomain, r.BadTag = err.Error(), "", ""
	}
	return r
}

// policyRecord finds the record that applies (RFC 9989 4.10.1): that of the
// author domain, of its organisational domain, or of the public suffix above.
// By RFC 7489 6.6.3 several records at the author domain end the search; by RFC
// 9989 they only do not count. passed is the first name whose records were
// passed over with a problem; its domain is empty if there is none.
func (d *discoverer) policyRecord(ctx context.Context, author string, org orgDomain) (a, passed dmarcAnswer) {
	for _, domain := range []string{author, org.domain, org.psd} {
		if domain == "" || domain == author && a.domain != "" {
			continue
		}
		if a = d.ask(ctx, domain); a.found || a.err != nil {
			return a, passed
		}
		if a.problem != "" && passed.domain == "" {
			passed = a
		}
		if domain != author {
			continue
		}
		if d.standard == RFC7489 && a.several {
			break
		}
		if org.err != nil {
			return dmarcAnswer{err: org.err}, passed
		}
	}
	return dmarcAnswer{}, passed
}

// identifier is a domain that SPF or DKIM speaks for.
type identifier struct {
	domain string
	strict bool
	pass   bool
	// failure is the result that DNS gave instead of pass or fail; empty if
	// there is a pass or a fail.
	failure policy.AuthResult
	problem string
}

// align compares the domains that SPF and DKIM have authenticated with the
// author's. Where nothing is aligned, a DNS failure that might have hidden an
// alignment makes the result neither pass nor fail (RFC 9989 5.3.6).
func (d *discoverer) align(ctx context.Context, r *policy.DMARC, spf policy.SPF, dkim []policy.DKIM) policy.AuthResult {
	otherwise, problem := policy.AuthFail, ""
	aligned := func(id identifier) bool {
		if !id.pass && id.failure == "" {
			return false
		}
		ok, err := d.isAligned(ctx, r.Domain, id)
		if err != nil {
			ok, id.pass, id.failure, id.problem = true, false, dnsResult(err), err.Error()
		}
		if ok && !id.pass && otherwise == policy.AuthFail {
			otherwise, problem = id.failure, id.problem
		}
		return ok && id.pass
	}
	id := identifier{domain: spf.Domain, strict: r.StrictSPF, pass: spf.Result == policy.AuthPass}
	if spf.Result == policy.AuthTempError {
		id.failure, id.problem = spf.Result, "SPF: "+spf.Problem
	}
	r.SPFAligned = aligned(id)
	for _, s := range dkim {
		id := identifier{domain: s.Domain, strict: r.StrictDKIM, pass: s.Result == policy.AuthPass}
		if s.Reason == ReasonDNS {
			id.failure, id.problem = s.Result, "DKIM: "+s.Problem
		}
		if aligned(id) {
			r.DKIMAligned = true
		}
	}
	if r.SPFAligned || r.DKIMAligned {
		return policy.AuthPass
	}
	if problem != "" {
		r.Problem, r.ProblemDomain, r.BadTag = problem, "", ""
	}
	return otherwise
}

// isAligned compares one domain with the author's (RFC 9989 4.10.2). The error
// is that of a look-up without which there is no telling.
func (d *discoverer) isAligned(ctx context.Context, author string, id identifier) (bool, error) {
	if id.domain == author || id.strict || id.domain == "" {
		return id.domain == author, nil
	}
	a, b := d.orgDomain(ctx, author), d.orgDomain(ctx, id.domain)
	if a.err != nil {
		return false, a.err
	}
	if b.err != nil {
		return false, b.err
	}
	return a.domain != "" && a.domain == b.domain, nil
}

// exists reports whether a domain exists. RFC 9989 3.2.13 goes by NXDOMAIN, in the
// sense of RFC 8020: a name below it, or a record of any type, makes it exist.
// Where the resolver does not tell that from missing data, a domain exists if it
// has an address, an MX or a TXT record.
func (d *discoverer) exists(ctx context.Context, domain string) (bool, error) {
	if r, ok := d.res.(nameResolver); ok {
		if exists, known, err := r.NameExists(ctx, domain); known || err != nil {
			return exists || err != nil, err
		}
	}
	_, mxErr := d.res.LookupMX(ctx, domain)
	if mxErr == nil {
		return true, nil
	}
	_, addrErr := d.res.LookupIPAddr(ctx, domain)
	if addrErr == nil {
		return true, nil
	}
	_, txtErr := d.res.LookupTXT(ctx, domain)
	if txtErr == nil {
		return true, nil
	}
	for _, err := range []error{mxErr, addrErr, txtErr} {
		if !isNotFound(err) {
			return true, err
		}
	}
	return false, nil
}
