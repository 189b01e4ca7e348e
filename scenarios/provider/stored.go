package provider

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"log/slog"
	"sync"

	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/receiver/mailauth"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
)

// selector is that of the key with which providers seal and sign mail, in the
// shape of the real one's (gmail-inbound.md 3.1).
const selector = "arc-20240605"

// mailKeyBits is the size of that key.
const mailKeyBits = 2048

// sealing is the key with which a provider seals and signs mail. It is made
// when it is first needed, and published in the zone.
type sealing struct {
	mu  sync.Mutex
	key crypto.Signer
}

func (p *Provider) mailKey() (crypto.Signer, error) {
	p.sealing.mu.Lock()
	defer p.sealing.mu.Unlock()
	if p.sealing.key != nil {
		return p.sealing.key, nil
	}
	key := p.givenKey
	if key == nil {
		made, err := rsa.GenerateKey(rand.Reader, mailKeyBits)
		if err != nil {
			return nil, fmt.Errorf("making a key to seal mail with: %w", err)
		}
		key = made
	}
	record, err := mailauth.KeyRecord(key.Public())
	if err != nil {
		return nil, err
	}
	if err := p.zone.SetTXT(selector+"._domainkey."+p.domain, record); err != nil {
		return nil, err
	}
	p.sealing.key = key
	return key, nil
}

// blocks remembers the newest messages as they are stored: to seal one takes
// longer than everything else that is done with it.
type blocks struct {
	mu    sync.Mutex
	byID  map[string][]byte
	order []string // The keys of byID, oldest first.
	size  int
	// sizes are those of all messages that were ever asked for: a program asks
	// for the sizes of all, and for the octets of few.
	sizes map[string]int
}

// maxBlocks bounds the octets that are remembered, maxSizes the sizes.
const (
	maxBlocks = 32 << 20
	maxSizes  = 100_000
)

// get returns what is remembered of a message, nil if nothing is.
func (b *blocks) get(id string) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.byID[id]
}

// put remembers a message, and forgets the oldest ones beyond the bound.
func (b *blocks) put(id string, raw []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.byID == nil || len(b.sizes) > maxSizes {
		b.sizes = map[string]int{}
	}
	if b.byID == nil {
		b.byID = map[string][]byte{}
	}
	b.sizes[id] = len(raw)
	if b.byID[id] != nil || len(raw) > maxBlocks {
		return
	}
	b.byID[id], b.order = raw, append(b.order, id)
	for b.size += len(raw); b.size > maxBlocks; b.order = b.order[1:] {
		b.size -= len(b.byID[b.order[0]])
		delete(b.byID, b.order[0])
	}
}

// Block returns the header block alone that a message of an account has.
func (w *World) Block(m mailbox.Message) ([]byte, error) {
	block, _, err := w.stored(m)
	return block, err
}

// Stored returns a message as its account has it and as mail programs read it:
// under the provider's header block, without what claimed to be ours when it
// came (gmail-inbound.md section 3).
func (w *World) Stored(m mailbox.Message) ([]byte, error) {
	if raw := w.blocks.get(m.ID); raw != nil {
		return raw, nil
	}
	block, kept, err := w.stored(m)
	if err != nil {
		return nil, fmt.Errorf("writing the header block of message %q: %w", m.ID, err)
	}
	raw := append(block, kept...)
	w.blocks.put(m.ID, raw)
	return raw, nil
}

// storedSize returns how many octets Stored has.
func (w *World) storedSize(m mailbox.Message) (int, error) {
	w.blocks.mu.Lock()
	size, ok := w.blocks.sizes[m.ID]
	w.blocks.mu.Unlock()
	if ok {
		return size, nil
	}
	raw, err := w.Stored(m)
	return len(raw), err
}

// stored returns the header block of a message, and what is below it. One for an
// address that is no account's, as a file may be judged, is the first
// provider's.
func (w *World) stored(m mailbox.Message) (block, kept []byte, err error) {
	p := w.of(m.Account)
	if p == nil {
		p = w.Providers()[0]
	}
	key, err := p.mailKey()
	if err != nil {
		return nil, nil, err
	}
	kept, _ = mailauth.StripOwn(message.Parse(m.Raw), p.hostname())
	msg := message.Parse(kept)
	receipt := mailauth.Receipt{
		Hostname: p.hostname(), Domain: p.domain, Account: m.Account, At: m.ReceivedAt,
		Arrival: m.Evidence.Arrival, Auth: m.Evidence.Auth,
		Seal: &mailauth.SealKey{Domain: p.domain, Selector: selector, Key: key},
	}
	block, err = mailauth.HeaderBlock(msg, receipt)
	if err != nil {
		// Better a mail without a seal than none: a chain may be such that nobody
		// can add to it.
		p.log.Warn("sealing a message", slog.String("message", m.ID), slog.Any("error", err))
		receipt.Seal = nil
		block, err = mailauth.HeaderBlock(msg, receipt)
	}
	return block, kept, err
}

// hostname is that of the provider's mail server, which is its authserv-id too.
func (p *Provider) hostname() string { return "mx." + p.domain }
