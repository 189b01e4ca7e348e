package provider

import (
	"strconv"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
)

// TestSignaturesBounded: what is remembered has a bound, the oldest goes first,
// and no number of mails to one account hides another account.
func TestSignaturesBounded(t *testing.T) {
	t.Parallel()
	var s signatures
	at := time.Date(2026, 1, 15, 9, 0, 0, 0, time.UTC)
	row := func(account, id string) mailbox.Message {
		m := mailbox.Message{Account: account}
		m.Evidence.Account.Address = account
		m.Evidence.Auth.DKIM = []policy.DKIM{{Result: policy.AuthPass, Domain: "shop.example", Fingerprint: id}, {Result: policy.AuthFail, Fingerprint: "failed"}}
		return m
	}
	accounts := func(account, id string) int {
		m := row(account, id)
		list := s.replays(&m.Evidence, at)
		if len(list) == 0 {
			return 0
		}
		return list[0].Accounts
	}
	for range 1000 {
		s.remember([]mailbox.Message{row("a@x", "first")}, at)
	}
	if n, own := accounts("b@x", "first"), accounts("a@x", "first"); n != 1 || own != 0 || len(s.byID["failed"]) != 0 {
		t.Errorf("%d others, %d for the same account", n, own)
	}
	for i := range 2 * maxSignatureOwners {
		s.remember([]mailbox.Message{row(strconv.Itoa(i), "second")}, at)
	}
	if n := accounts("b@x", "second"); n != maxSignatureOwners {
		t.Errorf("%d accounts are remembered", n)
	}
	for i := range maxSignatures {
		s.remember([]mailbox.Message{row("a@x", strconv.Itoa(i))}, at)
	}
	if len(s.byID) != maxSignatures || len(s.order) != maxSignatures || accounts("b@x", "first") != 0 || accounts("b@x", strconv.Itoa(maxSignatures-1)) != 1 {
		t.Errorf("%d signatures, %d in order", len(s.byID), len(s.order))
	}
}
