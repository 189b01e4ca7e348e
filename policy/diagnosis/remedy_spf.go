package diagnosis

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
)

// permitting is the remedy for mail that does not pass SPF.
func permitting(c *Case, _ policy.Finding) remedy {
	if !c.Evidence.Arrival.Peer.IsValid() {
		return remedy{do: step("Say which address delivers the mail: without it SPF passes for nobody.")}
	}
	m := remedy{where: clip(c.Evidence.Auth.SPF.Domain), do: []Step{mendSPF(c)}}
	if strangeHELO(c) {
		m.where = "HELO"
	}
	return m
}

// peerOf is the address that delivered the mail, and whether the DNS can say
// anything of it: of an address that is known only here, no record can.
func peerOf(c *Case) (peer netip.Addr, public bool) {
	peer = c.Evidence.Arrival.Peer.Unmap().WithZone("")
	return peer, peer.IsGlobalUnicast() && !peer.IsPrivate()
}

// namingPeer asks for the address with which the mail will really come.
func namingPeer(peer netip.Addr) Step {
	return Step{Do: "Name the public address that the mail will come from (--peer of the command, or \"peer IP as=IP\" in a world): " +
		peer.String() + " is an address that no record can permit or name."}
}

// strangeHELO says that SPF goes by a HELO name that is none of the author's:
// nobody can say whose it is.
func strangeHELO(c *Case) bool {
	s := c.Evidence.Auth.SPF
	return s.Identity == "helo" && !isOurs(c, s.Domain)
}

// isOurs says whether a name is within the organisational domain of the author
// or of the envelope.
func isOurs(c *Case, name string) bool {
	a := c.Evidence.Auth
	within := func(org string) bool {
		return org != "" && (strings.EqualFold(name, org) || strings.HasSuffix(strings.ToLower(name), "."+strings.ToLower(org)))
	}
	return isName(name) && (within(a.DMARC.OrgDomain) || a.SPF.Identity != "helo" && within(a.SPF.OrgDomain))
}

// mendSPF says how the peer is permitted by the domain of the envelope.
func mendSPF(c *Case) Step {
	s := c.Evidence.Auth.SPF
	peer, public := peerOf(c)
	domain := clip(s.Domain)
	limit, names := limitOf(c)
	switch {
	case s.Identity == "helo" && strangeHELO(c):
		return Step{Do: "Give HELO a name of your own: the envelope has no address, so SPF goes by that name."}
	case domain == "":
		return Step{Do: "Use an envelope address with a domain of your own: SPF goes by it."}
	case s.Result == policy.AuthPermError && limit != "":
		return Step{Do: "Have the SPF record of " + domain + " ask for fewer names, as no receiver can evaluate it: it has " + limit +
			". Write addresses (ip4, ip6) in place of names, and take out the senders that are no more. It asked for " + names + "."}
	case s.Result == policy.AuthPermError:
		return Step{Do: "Mend the SPF record of " + domain + ", which no receiver can evaluate: " + clip(s.Problem) + "."}
	case s.Result == policy.AuthTempError:
		return Step{Do: "Have the name servers of " + domain + " answer: " + clip(s.Problem) + "."}
	case !public:
		return namingPeer(peer)
	case s.Result == policy.AuthNone && s.Problem == "":
		return Step{"Publish an SPF record for " + domain + ", with all its other senders added.", zoneText(s.Domain, newSPF(peer))}
	case s.Record == "" || len(s.Record) > maxValue:
		return Step{Do: "If " + peer.String() + " is one of the senders of " + domain + ", permit it in the SPF record."}
	}
	return Step{"If " + peer.String() + " is one of the senders of " + domain + ", permit it: have the SPF record read so.", zoneText(s.Domain, permit(s.Record, peer))}
}

// movingEnvelope is the step that has SPF pass for From, in place of a
// signature: the envelope is the author's then, whose record permits the peer.
// One without the other only makes of an unaligned pass a fail.
func movingEnvelope(c *Case, author string, s SPF) Step {
	peer, public := peerOf(c)
	why := ": SPF passes for " + s.SPF.Domain + ", and that says nothing about From (" + s.Alignment.Summary + ")."
	if !public {
		return Step{Do: "Or use an envelope address at " + author + ", and permit the public address that the mail will come from in its SPF record" + why}
	}
	m := Step{Do: "Or use an envelope address at " + author + ", and permit " + peer.String() + " in the SPF record of " + author + why}
	for _, q := range c.Questions {
		if q.Type != "TXT" || !strings.EqualFold(q.Name, author) || failed(q) {
			continue
		}
		records := slices.DeleteFunc(texts(q.Answer), func(text string) bool { return !isSPF(text) })
		switch len(records) {
		case 0:
			m.Write = zoneText(author, newSPF(peer))
		case 1:
			m.Write = zoneText(author, permit(clip(records[0]), peer))
		}
		return m
	}
	m.Do += " Its record was not asked for: put " + addressTerm(peer) + " right behind v=spf1 there, or publish \"" + newSPF(peer) + "\" if it has none."
	return m
}

func isSPF(text string) bool {
	version, _, _ := strings.Cut(text, " ")
	return strings.EqualFold(version, "v=spf1")
}

// newSPF is a record that permits one address.
func newSPF(peer netip.Addr) string { return "v=spf1 " + addressTerm(peer) + " ~all" }

// permit adds an address to a record: as the first term, as the first that
// matches decides (RFC 7208 4.6.2).
func permit(record string, peer netip.Addr) string {
	version, rest, _ := strings.Cut(record, " ")
	return strings.TrimSpace(version + " " + addressTerm(peer) + " " + strings.TrimSpace(rest))
}

func addressTerm(peer netip.Addr) string {
	if peer.Is4() {
		return "ip4:" + peer.String()
	}
	return "ip6:" + peer.String()
}

// narrowing is the remedy for a record that lets nearly everybody pass. Only the
// term that does is taken out of it; if it is in a record that another one leads
// to, that one is not ours to write.
func narrowing(c *Case, _ policy.Finding) remedy {
	s := c.Evidence.Auth.SPF
	peer, public := peerOf(c)
	m := remedy{where: clip(s.Domain)}
	text := "Have the SPF record name your own senders in place of \"" + clip(s.Mechanism) + "\", which lets nearly everybody pass."
	switch place := placeOf(s); {
	case place != "":
		m.do = step("Have the record that " + place + " name its own senders in place of \"" + clip(s.Mechanism) + "\", which lets nearly everybody pass; or name yours yourself.")
	case !public:
		m.do = append(step(text), namingPeer(peer))
	case len(s.Record) > maxValue:
		m.do = step(text)
	default:
		m.do = step(text+" Without it, and with "+peer.String()+" permitted, it reads so; add those senders that only the wide term let pass.", zoneText(s.Domain, narrowed(s, peer))...)
	}
	return m
}

// narrowed is a record without the term that matched, the peer permitted, and
// everybody else suspected rather than refused, as the senders that are missing
// in it will show only then.
func narrowed(s policy.SPF, peer netip.Addr) string {
	var kept []string
	all, redirect := false, false
	for i, term := range strings.Fields(s.Record) {
		switch name := unqualified(term); {
		case i == 0 || strings.EqualFold(name, addressTerm(peer)):
		case strings.EqualFold(name, "all"):
			all = true
		case strings.EqualFold(name, s.Mechanism):
		default:
			redirect = redirect || strings.HasPrefix(strings.ToLower(name), "redirect=")
			kept = append(kept, term)
		}
	}
	record := strings.Join(append([]string{"v=spf1", addressTerm(peer)}, kept...), " ")
	if all || !redirect { // A redirect= only holds without all.
		record += " ~all"
	}
	return record
}

func unqualified(term string) string { return strings.TrimLeft(term, "+-~?") }

// placeOf says which record the term stands in that matched; nothing if it is
// the domain's own.
func placeOf(s policy.SPF) string {
	target := ""
	for _, term := range strings.Fields(s.Record) {
		name := unqualified(term)
		if strings.EqualFold(name, s.Mechanism) {
			return ""
		}
		if strings.HasPrefix(strings.ToLower(name), "redirect=") {
			target = name
		}
	}
	if target == "" || s.Mechanism == "" {
		return ""
	}
	return clip(target) + " leads to"
}

// limitOf says which limit of RFC 7208 4.6.4 a record exceeds, and which names
// it asked for; nothing if it is none.
func limitOf(c *Case) (limit, asked string) {
	s := c.Evidence.Auth.SPF
	if s.Result != policy.AuthPermError {
		return "", ""
	}
	void := false
	switch {
	case strings.Contains(s.Problem, "void lookup limit"):
		limit, void = "more than two terms whose names have no records (RFC 7208 4.6.4)", true
	case strings.Contains(s.Problem, "lookup limit"):
		limit = "more than ten terms that ask the DNS (RFC 7208 4.6.4)"
	default:
		return "", ""
	}
	var list []string
	for _, q := range c.Questions {
		if void && q.Answer != "nxdomain" && q.Answer != "nodata" {
			continue
		}
		if q.Type == "PTR" && strings.Contains(strings.ToLower(s.Record), "ptr") ||
			slices.ContainsFunc(purposes(*c, q), func(what string) bool { return strings.HasPrefix(what, "SPF ") }) {
			if name := q.Name + " " + q.Type; !slices.Contains(list, name) {
				list = append(list, name)
			}
		}
	}
	if asked = names(list); asked == "" {
		asked = "names that are not known here"
	}
	return limit, asked
}
