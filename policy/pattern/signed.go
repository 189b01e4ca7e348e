package pattern

import (
	"slices"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
)

// covered returns those fields of a name that a signature covers: for each time
// that h= names it, the next one from the bottom (RFC 6376 5.4.2). What
// somebody put above them is not covered.
func covered(m *message.Message, d policy.DKIM, name string) []message.Field {
	n := 0
	for _, h := range d.Headers {
		if strings.EqualFold(h, name) {
			n++
		}
	}
	if n == 0 || m == nil {
		return nil
	}
	all := m.All(name)
	return all[max(0, len(all)-n):]
}

// readSigned reads what valid signatures cover: whom the author wrote to, and
// what a forwarder wrote. The author's come first, whatever their order.
func (e *evidence) readSigned() {
	for _, d := range e.Auth.DKIM {
		if d.Result == policy.AuthPass && e.Auth.Aligned(d.Domain, d.OrgDomain) {
			e.readRecipients(d)
		}
	}
	if e.toAccount {
		// It is to both: nothing says that the copy came by way of the other.
		e.signedTo = ""
	}
	if e.signedTo != "" {
		e.forwarder = append(e.forwarder, policy.Signal{Name: "signed-recipient", Rank: rankSigned, Value: e.signedTo, For: policy.PatternAutoForward})
		e.original(e.signedTo)
	}
	for _, d := range e.Auth.DKIM {
		if d.Result == policy.AuthPass {
			e.readForwarder(d)
		}
	}
}

// readRecipients reads To and Cc of the author: the account itself, or an
// address that its user wants to send as, and so gets the mail of.
func (e *evidence) readRecipients(d policy.DKIM) {
	for _, name := range []string{"to", "cc"} {
		for _, f := range covered(e.Message, d, name) {
			list, err := message.Addresses(f.Value)
			if err != nil {
				continue // What cannot be read proves nothing.
			}
			for _, a := range list {
				e.signedDomains = append(e.signedDomains, a.Domain)
				if addr := strings.ToLower(a.Addr); policy.SameMailbox(addr, e.Account.Address) {
					e.toAccount = true
				} else if !slices.Contains(e.signedOthers, addr) {
					e.signedOthers = append(e.signedOthers, addr)
				}
				// One that is verified counts before one that is not.
				if s := e.sendAs(a.Addr); s != nil && (e.signedTo == "" || s.Verified) {
					e.signedTo = a.Addr
				}
			}
		}
	}
}

// readForwarder reads X-Forwarded-For that the forwarder signed with the domain
// of the address whose mail it forwards.
func (e *evidence) readForwarder(d policy.DKIM) {
	for _, f := range covered(e.Message, d, "x-forwarded-for") {
		words := strings.Fields(f.Unfolded())
		if len(words) < 2 || !policy.SameMailbox(words[len(words)-1], e.Account.Address) || !policy.Within(message.DomainOf(words[0]), d.Domain) {
			continue
		}
		if !has(e.forwarder, "signed-forwarded-for") {
			e.forwarder = append(e.forwarder, policy.Signal{Name: "signed-forwarded-for", Rank: rankSigned, Value: words[0] + " by " + d.Domain, For: policy.PatternAutoForward})
			e.original(words[0])
			if e.forward.By == "" {
				e.forward.By = d.Domain
			}
		}
	}
}

// belongs says whether a domain is one that a signature speaks for.
func belongs(domain string, d policy.DKIM) bool {
	return domain != "" && (domain == d.Domain || d.OrgDomain != "" && (domain == d.OrgDomain || strings.HasSuffix(domain, "."+d.OrgDomain)))
}

// original notes the address that the mail was first sent to, unless better
// evidence has named one.
func (e *evidence) original(address string) {
	if e.forward.Original == "" {
		e.forward.Original = strings.ToLower(address)
	}
}

// sendAs finds an address among those that the user wants to send as. What
// follows a "+" counts: what it means elsewhere is not known.
func (e *evidence) sendAs(address string) *policy.SendAs {
	i := slices.IndexFunc(e.Account.SendAs, func(s policy.SendAs) bool { return strings.EqualFold(s.Address, address) })
	if i < 0 {
		return nil
	}
	return &e.Account.SendAs[i]
}

// settleSendAs says whether the account may have mail forwarded from the
// address that is proven.
func (e *evidence) settleSendAs() {
	if s := e.sendAs(e.forward.Original); s != nil && s.Verified {
		e.forward.SendAs = s.Address
	}
}
