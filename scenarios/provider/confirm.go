package provider

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/policy/registry"
	"github.com/doppelbox/doppelbox/receiver/mailauth"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
)

// RequestSendAs begins to prove that a user may send as an address: a mail with
// a code goes to that address, by SMTP (gmail-inbound.md 4.d). When it returns,
// the mail has been sent, or the row says why not.
func (w *World) RequestSendAs(ctx context.Context, account, address string) (mailbox.Outgoing, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000_000))
	if err != nil {
		return mailbox.Outgoing{}, err
	}
	code := fmt.Sprintf("%09d", n)
	if _, err := registry.ParseAddress(address); err != nil {
		return mailbox.Outgoing{}, fmt.Errorf("confirming a send-as address: %w", err)
	}
	address = normal(address)
	w.mu.Lock()
	a, err := w.named(account)
	if err != nil {
		w.mu.Unlock()
		return mailbox.Outgoing{}, err
	}
	a.setSendAs(address, false)
	a.confirmations[address] = &confirmation{code: code, expires: w.clock.Now().Add(confirmationTime)}
	name := a.Address
	w.mu.Unlock()
	p := w.of(name)
	id := w.nextID("o")
	raw, err := p.signOwn(confirmationMail(p.domain, name, address, code, id, w.clock.Now()))
	if err != nil {
		return mailbox.Outgoing{}, err
	}
	row := mailbox.Outgoing{
		World: w.name, ID: id, Kind: mailbox.OutgoingConfirmation, Account: name, At: w.clock.Now(),
		From: "noreply@" + p.domain, To: address, Raw: raw, State: mailbox.OutgoingPending,
	}
	if err := w.store.PutOutgoing(ctx, row); err != nil {
		return row, err
	}
	// Not by the agenda: whoever asks waits for this mail and for no other.
	if err := w.wait(ctx, func() error { w.sendNow(w.ctx, p, id); return nil }); err != nil {
		return row, err
	}
	return w.outgoing(ctx, id)
}

// confirmationMail is the mail with the code. Sender and words are ours: only
// the shape is the real one's.
func confirmationMail(domain, account, address, code, id string, at time.Time) []byte {
	lines := []string{
		"From: Mail team of " + domain + " <noreply@" + domain + ">",
		"To: " + address,
		"Subject: (#" + code + ") Confirmation: send mail as " + address,
		"Date: " + at.Format("Mon, 2 Jan 2006 15:04:05 -0700"),
		"Message-ID: <" + id + "." + fmt.Sprint(at.Unix()) + "@mail." + domain + ">",
		"MIME-Version: 1.0",
		"Content-Type: text/plain; charset=utf-8",
		"",
		"The user of " + account + " wants to send mail as " + address + ".",
		"",
		"Confirmation code: " + code,
		"",
		"If that is not you, there is nothing to do: without the code nothing changes.",
		"",
	}
	return []byte(strings.Join(lines, "\r\n"))
}

// signOwn signs a mail of the provider's own.
func (p *Provider) signOwn(raw []byte) ([]byte, error) {
	key, err := p.mailKey()
	if err != nil {
		return nil, err
	}
	return mailauth.Sign(raw, mailauth.SignOptions{Domain: p.domain, Selector: selector, Key: key, Time: p.clock.Now()})
}
