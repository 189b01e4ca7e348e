package policy

import "slices"

// The rules for bulk senders (gmail-inbound.md section 2). They are skipped for
// everybody else.

// bulkFacts name the domain whose mail is counted, and how much of it there is.
func (s subject) bulkFacts() []Fact {
	b := s.e.Sender
	how := "by volume"
	if b.Declared {
		how = "declared"
	}
	return []Fact{fact("sender", b.Domain), factInt("volume", b.Volume), fact("bulk", how)}
}

// notBulk skips the rules for who is no bulk sender; ok says that he is one. Mail
// that was fetched was sent to somebody else: nobody knows how much of it there
// is.
func (s subject) notBulk() (c conclusion, ok bool) {
	switch {
	case s.e.Arrival.Channel == ChannelPOP:
		return skip("no-peer", "the message was fetched, and sent to another provider"), false
	case !s.e.Sender.Bulk:
		return skip("not-bulk", "the sender is no bulk sender"), false
	}
	return conclusion{}, true
}

func checkBulkSPF(s subject) conclusion {
	r := s.e.Auth.SPF
	if c, ok := s.notBulk(); !ok {
		return c
	}
	switch {
	case !s.e.Arrival.Peer.IsValid():
		return skip("no-peer", "the message did not come over a connection")
	case r.Result == AuthPass:
		return pass("spf-pass", "SPF passes", s.bulkFacts()...)
	case r.Result == AuthTempError:
		return skip("auth-temperror", "a look-up failed for the time being", s.bulkFacts()...)
	case s.passedOn():
		return skip("not-direct", "somebody has passed the mail on, and SPF knows only the sender's own servers", s.bulkFacts()...)
	}
	c := fail("bulk-spf-missing", "SPF does not pass, and the sender is a bulk sender", append(s.bulkFacts(), fact("spf", resultText(r.Result, r.Domain, r.Problem)))...)
	return s.broken(c, DialBulkSPF, "bulk-spf-temporary", "bulk-spf")
}

func checkBulkDKIM(s subject) conclusion {
	a := s.e.Auth
	if c, ok := s.notBulk(); !ok {
		return c
	}
	switch {
	case a.dkimPasses():
		return pass("dkim-pass", "DKIM passes", s.bulkFacts()...)
	case slices.ContainsFunc(a.DKIM, func(d DKIM) bool { return d.Result == AuthTempError }):
		return skip("auth-temperror", "a look-up failed for the time being", s.bulkFacts()...)
	case s.e.Access.Pattern == PatternMailingList:
		return skip("not-direct", "a list has passed the mail on, which may have broken the signature", s.bulkFacts()...)
	}
	c := fail("bulk-dkim-missing", "DKIM does not pass, and the sender is a bulk sender", append(s.bulkFacts(), s.authFacts()...)...)
	return s.broken(c, DialBulkDKIM, "bulk-dkim-temporary", "bulk-dkim")
}

func checkBulkAlignment(s subject) conclusion {
	p := s.e.Access.Pattern
	if c, ok := s.notBulk(); !ok {
		return c
	}
	switch {
	case p != PatternDirect && p != PatternSelf && p != PatternManualForward:
		return skip("not-direct", "the rule is for direct mail", fact("pattern", string(p)))
	case s.fromDomain() == "":
		return skip("from-unusable", "there is no single From domain to align with")
	case s.e.Auth.Vouched():
		return pass("aligned", "SPF or DKIM passes for the domain of From", s.bulkFacts()...)
	case s.unsettled():
		return skip("auth-temperror", "a look-up failed for the time being", s.bulkFacts()...)
	}
	detail := "nothing passes for the domain of From, and the sender is a bulk sender"
	if s.e.Auth.SPF.Result == AuthPass || s.e.Auth.dkimPasses() {
		detail = "what passes does not belong to the domain of From, and the sender is a bulk sender"
	}
	c := fail("bulk-unaligned", detail, append(s.bulkFacts(), s.authFacts()...)...)
	return s.broken(c, DialBulkAlignment, "bulk-alignment-temporary", "bulk-alignment")
}

func checkBulkDMARC(s subject) conclusion {
	d := s.e.Auth.DMARC
	if c, ok := s.notBulk(); !ok {
		return c
	}
	switch {
	case d.Policy != "":
		return pass("dmarc-record", "the author domain has a DMARC policy", append(s.bulkFacts(), fact("policy", d.Policy), fact("at", d.PolicyDomain))...)
	case d.Result == AuthTempError || d.Result == AuthPermError:
		return skip("dmarc-not-evaluated", "DMARC could not be evaluated: "+d.Problem, s.bulkFacts()...)
	}
	c := fail("bulk-dmarc-missing", "the author domain has no DMARC record with a policy, and the sender is a bulk sender", append(s.bulkFacts(), fact("from", d.Domain))...)
	return s.broken(c, DialBulkDMARC, "bulk-dmarc-temporary", "bulk-dmarc")
}

func adviseOneClick(s subject) conclusion {
	if c, ok := s.notBulk(); !ok {
		return c
	}
	if s.e.Markup.Unsubscribe.Fields == 0 {
		return fail("one-click-missing", "there is no List-Unsubscribe field, which marketing mail of a bulk sender needs", s.bulkFacts()...)
	}
	for _, rule := range []func(subject) conclusion{checkUnsubscribePresent, checkUnsubscribeURI, checkUnsubscribePost, checkUnsubscribeSigned} {
		if c := rule(s); c.result == Fail {
			return fail("one-click-broken", "one click does not unsubscribe: "+c.detail, c.facts...)
		}
	}
	return pass("one-click", "one click unsubscribes")
}
