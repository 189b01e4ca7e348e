package policy

import (
	"net/netip"
	"slices"
	"strings"
	"unicode"
)

// Limits of a message (gmail-inbound.md 1.1, 1.5).
const (
	announcedSize  = 157286400
	documentedSize = 50 << 20
	maxAttachments = 500
)

// guidelineChecks are the rules for senders (gmail-inbound.md section 2): first
// those for all, then those for bulk senders. They come behind authentication and
// format: what these refuse is told first.
var guidelineChecks = []Check{
	{
		ID: "message-size", Scope: ScopeMessage,
		Doc:     "The message is no larger than the provider takes, and has at most 500 attachments.",
		Source:  "gmail-inbound.md 1.1, 1.5",
		Reasons: []Reason{"message-too-large", "attachments-too-many", "size-within-limits"},
		Dials:   []DialID{DialMaxSize},
		run:     checkSize,
	},
	{
		ID: "message-id", Scope: ScopeMessage,
		Doc:     "The message has a Message-ID, of the form <left@right>.",
		Source:  "gmail-inbound.md section 2, 1.4 (550 5.7.1), 3.4 (accepted and repaired); RFC 5322 3.6.4",
		Reasons: []Reason{"message-id-missing", "message-id-invalid", "message-id-good"},
		Dials:   []DialID{DialMessageID, DialBrokenID},
		run:     checkMessageID,
	},
	{
		ID: "ipv6-sender", Scope: ScopeMessage,
		Doc:     "A client with an IPv6 address has reverse DNS, and its mail is authenticated, without which other checks refuse it first.",
		Source:  "gmail-inbound.md section 2, 1.4 (550 5.7.1, IPv6AuthError)",
		Reasons: []Reason{"ipv6-ptr", "ipv6-unauthenticated", "no-peer", "ipv4", "local-peer", "ptr-temperror", "auth-temperror", "ipv6-good"},
		run:     checkIPv6,
	},
	{
		ID: "spf-record", Scope: ScopeMessage,
		Doc:     "What passes SPF is an entry for the sender's own addresses, and not for nearly everybody.",
		Source:  "gmail-inbound.md 1.4 (451 4.7.24, 550 5.7.24); that all, and networks of fewer than 8 (IPv4) or 16 bits (IPv6), are meant is ours",
		Reasons: []Reason{"spf-suspicious", "spf-not-passed", "spf-narrow"},
		Dials:   []DialID{DialSuspiciousSPF},
		run:     checkSPFRecord,
	},
	{
		ID: "transport-security", Scope: ScopeMessage,
		Doc:     "The message came over TLS.",
		Source:  "gmail-inbound.md section 2, 1.4 (421 4.7.29, 550 5.7.29 for bulk senders)",
		Reasons: []Reason{"no-tls", "bulk-no-tls", "no-peer", "tls"},
		Dials:   []DialID{DialTLS, DialBulkTLS},
		run:     checkTransport,
	},
	{
		ID: "impersonation", Scope: ScopeMessage,
		Doc:     "A From of the provider's own domain, or below it, is authenticated as that, in mail that nobody has passed on.",
		Source:  "gmail-inbound.md section 2: no impersonation of Gmail in From",
		Reasons: []Reason{"impersonates-provider", "from-unusable", "auth-temperror", "not-direct", "own-domain", "other-domain"},
		Dials:   []DialID{DialImpersonation},
		run:     checkImpersonation,
	},
	{
		ID: "bulk-spf", Scope: ScopeMessage,
		Doc:     "Mail of a bulk sender passes SPF, unless it was passed on.",
		Source:  "gmail-inbound.md section 2, 1.4 (421 4.7.27, 550 5.7.27)",
		Reasons: []Reason{"bulk-spf-missing", "not-bulk", "no-peer", "not-direct", "auth-temperror", "spf-pass"},
		Dials:   []DialID{DialBulkVolume, DialBulkSPF},
		run:     checkBulkSPF,
	},
	{
		ID: "bulk-dkim", Scope: ScopeMessage,
		Doc:     "Mail of a bulk sender passes DKIM, unless a list has passed it on.",
		Source:  "gmail-inbound.md section 2, 1.4 (421 4.7.30, 550 5.7.30)",
		Reasons: []Reason{"bulk-dkim-missing", "not-bulk", "no-peer", "not-direct", "auth-temperror", "dkim-pass"},
		Dials:   []DialID{DialBulkDKIM},
		run:     checkBulkDKIM,
	},
	{
		ID: "bulk-alignment", Scope: ScopeMessage,
		Doc:     "Direct mail of a bulk sender has SPF or DKIM aligned with From.",
		Source:  "gmail-inbound.md section 2, 1.4 (421 4.7.32; its 421 5.7.32 is 550 here)",
		Reasons: []Reason{"bulk-unaligned", "not-bulk", "no-peer", "not-direct", "from-unusable", "auth-temperror", "aligned"},
		Dials:   []DialID{DialBulkAlignment},
		run:     checkBulkAlignment,
	},
	{
		ID: "bulk-dmarc", Scope: ScopeMessage,
		Doc:     "The domain of a bulk sender has a DMARC record with a policy; none is enough.",
		Source:  "gmail-inbound.md section 2, 1.4 (421 4.7.40, 550 5.7.40; its FAQ says 4.7.31)",
		Reasons: []Reason{"bulk-dmarc-missing", "not-bulk", "no-peer", "dmarc-not-evaluated", "dmarc-record"},
		Dials:   []DialID{DialBulkDMARC},
		run:     checkBulkDMARC,
	},
	{
		ID: "bulk-one-click", Scope: ScopeMessage, Advice: true,
		Doc:     "Marketing mail of a bulk sender offers one-click unsubscription.",
		Source:  "gmail-inbound.md section 2: never a refusal by itself; which mail is marketing is for the sender to know",
		Reasons: []Reason{"one-click-missing", "one-click-broken", "not-bulk", "no-peer", "one-click"},
		run:     adviseOneClick,
	},
	{
		ID: "subject-honest", Scope: ScopeMessage, Advice: true,
		Doc:     "The subject begins with Re: or Fwd: only in a reply or a forward.",
		Source:  "gmail-inbound.md section 2",
		Reasons: []Reason{"false-reply", "subject-honest"},
		run:     adviseSubject,
	},
	{
		ID: "display-name", Scope: ScopeMessage, Advice: true,
		Doc:     "From's display name is the sender's: not the subject, not the recipient, no count of messages.",
		Source:  "gmail-inbound.md section 2",
		Reasons: []Reason{"name-is-subject", "name-has-recipient", "name-has-count", "from-unusable", "name-good"},
		run:     adviseDisplayName,
	},
	{
		ID: "sending-rate", Scope: ScopeMessage,
		Doc:     "Address, network, domains and Message-ID do not send more than they may.",
		Source:  "gmail-inbound.md 1.4 (421 4.7.28, 550 5.7.28), section 2; the numbers are not documented",
		Reasons: []Reason{"rate-ip", "rate-netblock", "rate-dkim", "rate-spf", "rate-message-id", "rate-within"},
		Dials:   []DialID{DialRatePeer, DialRateNetblock, DialRateDKIM, DialRateSPF, DialRateMessageID, DialRateExceeded},
		run:     checkSendingRate,
	},
}

// broken gives a failed rule the effect that a dial says.
func (s subject) broken(c conclusion, dial DialID, temporary, permanent ReplyID) conclusion {
	return c.as(s.e.Dials.Get(dial), temporary, permanent)
}

// as gives a failure the effect of a word.
func (c conclusion) as(effect string, temporary, permanent ReplyID) conclusion {
	switch effect {
	case "spam":
		return c.filed(Spam)
	case "defer":
		return c.deferred(temporary)
	case "reject":
		return c.rejected(permanent)
	}
	return c.noted()
}

func checkSize(s subject) conclusion {
	limit := announcedSize
	if s.e.Dials.Get(DialMaxSize) == "documented" {
		limit = documentedSize
	}
	h := s.e.Header
	got, most := factInt("size", h.Size), factInt("limit", limit)
	switch {
	case h.Size > limit:
		return fail("message-too-large", "the message is larger than the provider takes", got, most).
			rejected("message-size", "got", got.Value, "limit", most.Value)
	case h.Attachments > maxAttachments:
		n, most := factInt("attachments", h.Attachments), factInt("limit", maxAttachments)
		return fail("attachments-too-many", "the message has more attachments than the provider takes", n, most).
			rejected("header-limit", "what", "the number of attachments", "got", n.Value, "limit", most.Value)
	}
	return pass("size-within-limits", "the message is not too large", got)
}

func checkMessageID(s subject) conclusion {
	id := s.e.Header.MessageID
	switch {
	case id == "":
		return s.broken(fail("message-id-missing", "there is no Message-ID"), DialMessageID, "message-id-missing", "message-id-missing")
	case isMessageID(id):
		return pass("message-id-good", "the message has a Message-ID")
	}
	c := fail("message-id-invalid", "Message-ID has not the form <left@right>", fact("messageId", clipped(id)))
	return s.broken(c, DialBrokenID, "message-id-missing", "message-id-missing")
}

// isMessageID reports whether a field has one msg-id of RFC 5322 3.6.4, perhaps
// with comments around it. Inside the brackets it is generous: something has to
// stand on both sides of an "@", and a space only where the left side is quoted.
func isMessageID(field string) bool {
	before, rest, ok := strings.Cut(field, "<")
	id, after, closed := strings.Cut(rest, ">")
	at := strings.LastIndexByte(id, '@')
	return ok && closed && isComment(before) && isComment(after) && at > 0 && at < len(id)-1 &&
		!strings.ContainsFunc(id, unicode.IsControl) && (!strings.Contains(id, " ") || strings.HasPrefix(id, `"`) && !strings.Contains(id[at:], " "))
}

// isComment reports whether text is white space and comments (RFC 5322 3.2.2).
func isComment(text string) bool {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == '\\' && depth > 0:
			i++
		case depth == 0 && c != ' ' && c != '\t':
			return false
		}
		if depth < 0 {
			return false
		}
	}
	return depth == 0
}

// maxQuoted bounds what a fact quotes of a field.
const maxQuoted = 998

func clipped(text string) string {
	if len(text) <= maxQuoted {
		return text
	}
	return strings.ToValidUTF8(text[:maxQuoted], "") + "..."
}

func checkIPv6(s subject) conclusion {
	peer, r := s.e.Arrival.Peer.Unmap(), s.e.Auth.ReverseDNS
	name := fact("rdns", string(r.Result))
	switch {
	case !peer.IsValid():
		return skip("no-peer", "the message did not come over a connection")
	case peer.Is4():
		return skip("ipv4", "the client's address is of IPv4")
	case isLocal(peer):
		// The real provider never sees one, and a test must not need a PTR for it.
		return skip("local-peer", "the client's address is of this machine or network")
	case r.Result == AuthTempError:
		return skip("ptr-temperror", "the reverse look-up failed for the time being")
	case r.Result != AuthPass:
		return fail("ipv6-ptr", "an IPv6 address needs a name that leads back to it", name).rejected("ipv6")
	case !authenticated(s.e.Auth) && s.unsettled():
		return skip("auth-temperror", "a look-up failed for the time being", s.authFacts()...)
	case !authenticated(s.e.Auth):
		return fail("ipv6-unauthenticated", "mail from an IPv6 address has to pass SPF or DKIM", s.authFacts()...).rejected("ipv6")
	}
	return pass("ipv6-good", "the client has a name, and its mail is authenticated", name)
}

func isLocal(a netip.Addr) bool { return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() }

// Networks with fewer bits than these are everybody's, in an SPF record.
const (
	wideIPv4 = 8
	wideIPv6 = 16
)

func checkSPFRecord(s subject) conclusion {
	a := s.e.Auth.SPF
	if a.Result != AuthPass {
		return skip("spf-not-passed", "SPF does not pass")
	}
	entry := fact("mechanism", a.Mechanism)
	name, value, _ := strings.Cut(strings.ToLower(strings.TrimLeft(a.Mechanism, "+-~?")), ":")
	wide := name == "all"
	if p, err := netip.ParsePrefix(value); err == nil {
		wide = name == "ip4" && p.Bits() < wideIPv4 || name == "ip6" && p.Bits() < wideIPv6
	}
	if !wide {
		return pass("spf-narrow", "SPF passes by an entry for some", entry)
	}
	return s.broken(fail("spf-suspicious", "SPF passes by an entry that lets nearly everybody pass", entry), DialSuspiciousSPF, "spf-suspicious-temporary", "spf-suspicious")
}

func checkTransport(s subject) conclusion {
	a := s.e.Arrival
	switch {
	case a.TLS != "":
		return pass("tls", "the message came over TLS", fact("tls", a.TLS))
	case a.Channel != ChannelSMTP:
		return skip("no-peer", "the message did not come over a connection")
	case s.e.Sender.Bulk:
		return s.broken(fail("bulk-no-tls", "mail of a bulk sender came without TLS"), DialBulkTLS, "bulk-tls-temporary", "bulk-tls")
	}
	return s.broken(fail("no-tls", "the message came without TLS"), DialTLS, "bulk-tls-temporary", "bulk-tls")
}

// realDomains are those of the real provider's accounts.
var realDomains = []string{"gmail.com", "googlemail.com"}

func checkImpersonation(s subject) conclusion {
	from := s.fromDomain()
	facts := []Fact{fact("from", from)}
	switch own := domainOf(s.e.Account.Address); {
	case from == "":
		return skip("from-unusable", "there is no single From domain")
	case !Within(from, own) && !slices.ContainsFunc(realDomains, func(domain string) bool { return Within(from, domain) }):
		return pass("other-domain", "From is not of the provider's domain", facts...)
	case s.e.Auth.Vouched():
		return pass("own-domain", "From is of the provider's domain, and authenticated as such", facts...)
	case s.unsettled():
		return skip("auth-temperror", "what would vouch for From could not be looked up now", facts...)
	case s.passedOn():
		// The provider's own users write to lists, too.
		return skip("not-direct", "somebody has passed the mail on, which may have broken what vouched for From", facts...)
	}
	effect := s.e.Dials.Get(DialImpersonation)
	if effect == "documented" {
		effect = "spam"
		if s.e.Sender.Bulk {
			effect = "defer"
		}
	}
	c := fail("impersonates-provider", "From is of the provider's domain, and nothing that passes is", facts...)
	return c.as(effect, "bulk-alignment-temporary", "bulk-alignment")
}

// unsettled says whether a look-up failed that might have vouched for From.
func (s subject) unsettled() bool {
	a := s.e.Auth
	return a.SPF.Result == AuthTempError || a.DMARC.Result == AuthTempError ||
		slices.ContainsFunc(a.DKIM, func(d DKIM) bool { return d.Result == AuthTempError })
}

// passedOn says whether a list or a forwarder has passed the mail on. One that
// leaves the envelope alone cannot be told from the sender by that; but then an
// aligned signature is there, and the mail is addressed to somebody else.
func (s subject) passedOn() bool {
	switch s.e.Access.Pattern {
	case PatternMailingList, PatternAutoForward:
		return true
	}
	a := s.e.Auth
	return a.SPF.Result != AuthPass && !s.namesAccount(s.e.Header.To) && !s.namesAccount(s.e.Header.Cc) && len(s.e.Header.To)+len(s.e.Header.Cc) > 0 &&
		slices.ContainsFunc(a.DKIM, a.authors)
}

// Vouched says whether SPF or a signature passes for the author's organisational
// domain.
func (a Authentication) Vouched() bool {
	return a.peerVouches() || slices.ContainsFunc(a.DKIM, a.authors)
}

func checkSendingRate(s subject) conclusion {
	// A network before its addresses would hide which of them it is.
	r, exceeded := s.exceeded(ByPeer, ByNetblock, ByDKIM, BySPF, ByMessageID)
	if !exceeded {
		return pass("rate-within", "nobody sends more than he may")
	}
	id := ReplyID("rate-" + string(r.By))
	c := fail(Reason(id), "more mail came by one "+string(r.By)+" than may: "+r.String(), rateFacts(r)...)
	effect := s.e.Dials.Get(DialRateExceeded)
	if effect == "reject" && r.By != ByPeer && r.By != ByNetblock {
		effect = "defer" // The catalogue refuses nothing else for good.
	}
	return c.as(effect, id, "rate-ip-blocked")
}

func adviseSubject(s subject) conclusion {
	subject := strings.ToLower(s.e.Header.Subject)
	// Only the words that the guidelines name: other languages' are not known
	// to be looked at.
	for _, prefix := range []string{"re:", "fwd:", "fw:"} {
		if strings.HasPrefix(subject, prefix) && !s.e.Header.Reply && len(s.e.Markup.Enclosed) == 0 {
			return fail("false-reply", "the subject says that this is a reply or a forward, and nothing else does", fact("subject", clipped(s.e.Header.Subject)))
		}
	}
	return pass("subject-honest", "the subject claims no reply and no forward that there is not")
}

func adviseDisplayName(s subject) conclusion {
	name := s.from().Name
	folded := strings.ToLower(strings.TrimSpace(name))
	rcpt := strings.ToLower(s.e.Account.Address)
	facts := []Fact{fact("name", clipped(name))}
	switch {
	case s.from().Addr == "":
		return skip("from-unusable", "there is no single From address")
	case folded == "" || s.e.Access.Pattern == PatternSelf:
		return pass("name-good", "nothing is wrong with the display name", facts...)
	case folded == strings.ToLower(strings.TrimSpace(s.e.Header.Subject)):
		return fail("name-is-subject", "the display name is the subject", facts...)
	case rcpt != "" && strings.Contains(folded, rcpt):
		return fail("name-has-recipient", "the display name has the recipient's address", facts...)
	case hasCount(folded):
		return fail("name-has-count", "the display name ends like a count of the messages in a thread", facts...)
	}
	return pass("name-good", "nothing is wrong with the display name", facts...)
}

// hasCount reports whether a name ends in a number in parentheses.
func hasCount(name string) bool {
	rest, ok := strings.CutSuffix(name, ")")
	i := strings.LastIndexByte(rest, '(')
	return ok && i >= 0 && i+1 < len(rest) && strings.Trim(rest[i+1:], "0123456789") == ""
}
