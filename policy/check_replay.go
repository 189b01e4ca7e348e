package policy

import (
	"slices"
	"strconv"
)

// The checks here are on mail that is genuine, and was sent to somebody else.

func checkSignatureNew(s subject) conclusion {
	a := s.e.Auth
	least, err := strconv.Atoi(s.e.Dials.Get(DialReplayAccounts))
	if err != nil {
		least = 1
	}
	i := slices.IndexFunc(s.e.Replays, func(r Replay) bool {
		return r.Accounts >= least && slices.ContainsFunc(a.DKIM, func(d DKIM) bool { return d.Fingerprint == r.Fingerprint && a.authors(d) })
	})
	if i < 0 {
		return pass("signature-new", "no other account is known to have had this mail")
	}
	r := s.e.Replays[i]
	facts := []Fact{fact("domain", r.Domain), factInt("accounts", r.Accounts), fact("first", r.First.UTC().Format(timeFormat))}
	named, _ := s.signedTo()
	switch {
	case a.peerVouches():
		return pass("peer-vouches", "others have had the mail, from one of From's own senders as this one is", facts...)
	case s.passedOnKnown():
		return pass("passed-on", "others have had the mail, and somebody passed it on", facts...)
	case named:
		return pass("addressed", "others have had the mail, and it is addressed to this account too", facts...)
	}
	return fail("signature-replayed", "the same signed mail has come to other accounts, it is not addressed to this one, and its author does not send it", facts...)
}

// passedOnKnown says whether it is known who passed the mail on to the account:
// a mailbox of its user's, or a list that the author wrote to. Anybody can have a
// list of his own, and pass on by it what he got himself.
func (s subject) passedOnKnown() bool {
	switch s.e.Access.Pattern {
	case PatternAutoForward, PatternPOPFetch:
		return true
	case PatternMailingList:
		return slices.ContainsFunc(s.e.Access.Signals, func(signal Signal) bool { return signal.Name == SignalListAddressed })
	}
	return false
}

// signedTo says whether the author has signed a To or Cc that names the account,
// and whether one that names anybody.
func (s subject) signedTo() (account, anybody bool) {
	a, h := s.e.Auth, s.e.Header
	counts := a.counting()
	for _, d := range a.DKIM {
		if !counts(d) {
			continue
		}
		for _, f := range [...]struct {
			name string
			list []Address
		}{{"to", h.To}, {"cc", h.Cc}} {
			if d.names(f.name) == 0 || d.names(f.name) < h.authored(f.name) {
				continue
			}
			anybody = anybody || len(f.list) > 0
			account = account || s.namesAccount(f.list)
		}
	}
	return account, anybody
}

// namesAccount says whether a list of addresses has the account's.
func (s subject) namesAccount(list []Address) bool {
	return slices.ContainsFunc(list, func(a Address) bool { return SameMailbox(a.Addr, s.e.Account.Address) })
}

func checkRecipientSigned(s subject) conclusion {
	a := s.e.Auth
	switch {
	case a.peerVouches():
		return pass("peer-vouches", "the mail comes from one of From's own senders, who sends it to whom he likes")
	case !slices.ContainsFunc(a.DKIM, a.authors):
		return skip("nothing-to-align", "nothing vouches for the domain of From")
	case s.e.Access.Pattern == PatternSelf:
		return pass(ReasonSelf, "the mail is the user's own")
	case s.passedOnKnown():
		return pass("passed-on", "it is known who passed the mail on to the account")
	}
	facts := []Fact{fact("account", s.e.Account.Address), fact("to", addressList(s.e.Header.To)), fact("cc", addressList(s.e.Header.Cc))}
	account, anybody := s.signedTo()
	permitted := s.e.Dials.Get(DialRecipientUnsigned) == "offered"
	switch {
	case account:
		return pass("recipient-signed", "the author has signed that the mail is for this account", facts...)
	case permitted:
		return pass("recipient-unsigned-offered", "the author has not signed that the mail is for this account, which a dial permits", facts...)
	case anybody:
		return fail("signed-to-others", "the author has signed to whom he wrote, that is not this account, and he does not send it: somebody may have passed it on", facts...)
	case s.action.Kind == KindGoTo:
		return pass("recipient-unsigned-go-to", "the author has not signed to whom he wrote, but a link does not depend on it", facts...)
	}
	return fail("recipient-unsigned", "the author has not signed to whom he wrote, and he does not send it: it may be a mail to somebody else, passed on", facts...)
}

func checkNotReplayed(s subject) conclusion {
	f, ok := s.verdict.Finding("signature-new")
	switch {
	case !ok || f.Result != Fail:
		return pass("signature-not-replayed", "the mail is no replay that is known")
	case s.e.Dials.Get(DialReplay) == "note":
		return pass("signature-replayed-offered", f.Detail+"; a dial permits that", f.Facts...)
	}
	return fail("signature-replayed", f.Detail, f.Facts...)
}
