package provider

import (
	"strconv"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
)

func signedRow(account, domain, id string) mailbox.Message {
	m := mailbox.Message{Account: account}
	m.Evidence.Account.Address = account
	m.Evidence.Auth.DMARC = policy.DMARC{Domain: domain, OrgDomain: domain}
	m.Evidence.Auth.DKIM = []policy.DKIM{
		{Result: policy.AuthPass, Domain: domain, OrgDomain: domain, Fingerprint: id},
		{Result: policy.AuthFail, Domain: domain, OrgDomain: domain, Fingerprint: "failed"},
		{Result: policy.AuthPass, Domain: "other.example", OrgDomain: "other.example", Fingerprint: "other"},
	}
	return m
}

// TestSignaturesBounded: what is remembered has a bound, the oldest of the
// domain that has most goes first, and no number of mails to one account hides
// another account.
func TestSignaturesBounded(t *testing.T) {
	t.Parallel()
	var s signatures
	at := time.Date(2026, 1, 15, 9, 0, 0, 0, time.UTC)
	accounts := func(account, id string) int {
		m := signedRow(account, "shop.example", id)
		list := s.replays(&m.Evidence, at, at, nil)
		if len(list) == 0 {
			return 0
		}
		return list[0].Accounts
	}
	for range 1000 {
		s.remember([]mailbox.Message{signedRow("a@x", "shop.example", "first")}, at)
	}
	if n, own := accounts("b@x", "first"), accounts("a@x", "first"); n != 1 || own != 0 || len(s.byID["failed"])+len(s.byID["other"]) != 0 {
		t.Errorf("%d others, %d for the same account", n, own)
	}
	for i := range 2 * maxSignatureOwners {
		s.remember([]mailbox.Message{signedRow(strconv.Itoa(i), "shop.example", "second")}, at)
	}
	if n := accounts("b@x", "second"); n != maxSignatureOwners {
		t.Errorf("%d accounts are remembered", n)
	}
	for i := range 2 * maxSignatures {
		s.remember([]mailbox.Message{signedRow("a@x", "evil.example", strconv.Itoa(i))}, at)
	}
	if len(s.byID) != maxSignatures || accounts("b@x", "first") != 1 || accounts("b@x", "0") != 0 || accounts("b@x", strconv.Itoa(2*maxSignatures-1)) != 1 {
		t.Errorf("%d signatures; the shop's first mail came to %d accounts", len(s.byID), accounts("b@x", "first"))
	}
	for i := range 2 * maxSignatures {
		s.remember([]mailbox.Message{signedRow("a@x", "shop.example", "s"+strconv.Itoa(i))}, at)
	}
	if len(s.byID) != maxSignatures || accounts("b@x", "first") != 0 || len(s.byDomain["evil.example"])+len(s.byDomain["shop.example"]) != maxSignatures {
		t.Errorf("%d signatures; %d and %d", len(s.byID), len(s.byDomain["evil.example"]), len(s.byDomain["shop.example"]))
	}
}
