package scenarios

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	_ "embed" // For the test keys.
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/policy/registry"
	"github.com/doppelbox/doppelbox/receiver/mailauth"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// The keys that sign steps sign with. They are published here for everybody,
// so that a signature is the same on every run, and are worth nothing: only a
// zone within this process says that they are anybody's.
var (
	//go:embed testkeys/rsa.pem
	rsaKey []byte
	//go:embed testkeys/ed25519.pem
	ed25519Key []byte
	//go:embed testkeys/other.pem
	otherKey []byte // What break=key publishes.
)

// TestKey returns the key, known to everybody, that signs test mail: RSA with
// 2048 bits, or Ed25519.
func TestKey(algorithm string) (crypto.Signer, error) {
	if algorithm == "ed25519" {
		return parseKey(ed25519Key)
	}
	return parseKey(rsaKey)
}

func parseKey(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("a test key is not PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading a test key: %w", err)
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return k, nil
	case ed25519.PrivateKey:
		return k, nil
	}
	return nil, fmt.Errorf("a test key is a %T", key)
}

// mail returns a section as mail: as it is in the file, or as a sign step has
// left it.
func (r *Runner) mail(s Step, w Word) ([]byte, error) {
	if raw, ok := r.mails[w.Text]; ok {
		return raw, nil
	}
	raw, ok := r.file.Mail(w.Text)
	if !ok {
		return nil, r.at(s, w, "there is no section %q", w.Text)
	}
	return raw, nil
}

func (r *Runner) sign(s Step) error {
	raw, err := r.mail(s, s.Words[0])
	if err != nil {
		return err
	}
	domain, _ := s.Get("d")
	selector, _ := s.Get("s")
	algorithm, _ := s.Get("algorithm")
	key, err := TestKey(algorithm)
	if err != nil {
		return err
	}
	o := mailauth.SignOptions{Domain: domain, Selector: selector, Key: key, Time: r.p.Clock().Now()}
	if headers, ok := s.Get("headers"); ok {
		o.Headers = strings.Split(headers, ":")
	}
	o.AUID, _ = s.Get("i")
	if c, ok := s.Get("c"); ok {
		// RFC 6376 3.5: without a second word the body's is simple.
		header, body, both := strings.Cut(c, "/")
		if !both {
			body = string(mailauth.Simple)
		}
		o.HeaderCanonicalization, o.BodyCanonicalization = mailauth.Canonicalization(header), mailauth.Canonicalization(body)
	}
	if text, ok := s.Get("expires"); ok {
		d, err := time.ParseDuration(text)
		if err != nil {
			return err
		}
		o.Expiration = o.Time.Add(d)
	}
	signed, err := mailauth.Sign(raw, o)
	if err != nil {
		return fmt.Errorf("signing %q: %w", s.Words[0].Text, err)
	}
	fault, _ := s.Get("break")
	if signed, err = spoil(signed, fault); err != nil {
		return fmt.Errorf("breaking %q: %w", s.Words[0].Text, err)
	}
	r.mails[s.Words[0].Text] = signed
	return r.publish(domain, selector, key, fault)
}

// publish puts the key's record into the zone; a broken key is another one.
func (r *Runner) publish(domain, selector string, key crypto.Signer, fault string) error {
	if fault == "key" {
		other, err := parseKey(otherKey)
		if err != nil {
			return err
		}
		key = other
	}
	record, err := mailauth.KeyRecord(key.Public())
	if err != nil {
		return err
	}
	return r.p.Zone().SetTXT(selector+"._domainkey."+domain, record)
}

// spoil changes a signed message as somebody on the way might.
func spoil(signed []byte, fault string) ([]byte, error) {
	out := bytes.Clone(signed)
	switch fault {
	case "", "key":
	case "body":
		out = append(out, "Added on the way.\r\n"...)
	case "signature":
		// The base64 text of b= ends the field; one character of it changes.
		end := bytes.Index(out, []byte("\r\n"))
		for end >= 0 && end+2 < len(out) && (out[end+2] == ' ' || out[end+2] == '\t') {
			next := bytes.Index(out[end+2:], []byte("\r\n"))
			if next < 0 {
				break
			}
			end += 2 + next
		}
		i := end - 12
		if i < 0 || !bytes.Contains(out[:end], []byte("b=")) {
			return nil, errors.New("there is no signature at the top")
		}
		out[i] = flip(out[i])
	case "from":
		i := bytes.Index(bytes.ToLower(out), []byte("\r\nfrom:"))
		if i < 0 {
			return nil, errors.New("there is no From field")
		}
		i += len("\r\nfrom:")
		out = append(append(bytes.Clone(out[:i]), ` "Changed on the way"`...), out[i:]...)
	}
	return out, nil
}

// flip returns another character of base64.
func flip(c byte) byte {
	if c == 'A' {
		return 'B'
	}
	return 'A'
}

// defaultPeer is who delivers a mail whose step names nobody: an address of a
// documentation range that no zone vouches for unless it says so.
const defaultPeer = "203.0.113.1"

func (r *Runner) deliver(ctx context.Context, s Step) error {
	raw, err := r.mail(s, s.Words[0])
	if err != nil {
		return err
	}
	from, _ := s.Get("from")
	return r.send(ctx, s, provider.Mail{From: strings.Trim(from, "<>"), To: s.List("to"), Raw: raw})
}

// send delivers a mail as a step says: to the provider of its first recipient.
func (r *Runner) send(ctx context.Context, s Step, m provider.Mail) error {
	peer := netip.MustParseAddr(defaultPeer)
	if text, ok := s.Get("peer"); ok {
		var err error
		if peer, err = netip.ParseAddr(text); err != nil {
			return err
		}
	}
	// A server without SMTPUTF8 knows domains in A-labels.
	m.From = ascii(m.From)
	for i, to := range m.To {
		m.To[i] = ascii(to)
	}
	m.HELO, _ = s.Get("helo")
	if m.HELO == "" {
		m.HELO = "[" + peer.String() + "]"
		if peer.Is6() {
			m.HELO = "[IPv6:" + peer.String() + "]"
		}
	}
	p := r.p
	if other, ok := r.p.Provider(message.DomainOf(m.To[0])); ok {
		p = other
	}
	useTLS, _ := s.Get("tls")
	d, err := p.Deliver(ctx, peer, m, useTLS == "yes")
	if err != nil {
		return fmt.Errorf("delivering %q: %w", s.Words[0].Text, err)
	}
	r.last, r.message = &d, nil
	if len(d.Messages) > 0 {
		r.message = &d.Messages[0]
	}
	return nil
}

// ascii returns an address with its domain in A-labels. What is no address stays.
func ascii(address string) string {
	a, err := registry.ParseAddress(address)
	if err != nil || len(a) == len(address) {
		return address // As it is written: case may matter to whoever looks.
	}
	return a
}

// addressed returns the message that a step speaks of: the last one, or that
// which message= counts.
func (r *Runner) addressed(ctx context.Context, s Step) (mailbox.Message, error) {
	text, ok := s.Get("message")
	if !ok {
		return r.newest(ctx)
	}
	return r.nth(ctx, text)
}

// newest returns the message that claims speak of, or else the newest one.
func (r *Runner) newest(ctx context.Context) (mailbox.Message, error) {
	if r.message != nil {
		return *r.message, nil
	}
	list, err := r.p.Store().Messages(ctx, mailbox.Query{World: r.p.WorldName()})
	if err != nil {
		return mailbox.Message{}, err
	}
	if len(list) == 0 {
		return mailbox.Message{}, errors.New("there is no message yet")
	}
	return list[len(list)-1], nil
}

// nth returns the message that a number counts, from 0.
func (r *Runner) nth(ctx context.Context, text string) (mailbox.Message, error) {
	list, err := r.p.Store().Messages(ctx, mailbox.Query{World: r.p.WorldName()})
	if err != nil {
		return mailbox.Message{}, err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n >= len(list) {
		return mailbox.Message{}, fmt.Errorf("there is no message %s: there are %d, counted from 0", text, len(list))
	}
	return list[n], nil
}

// open makes a message the one that the following steps speak of.
func (r *Runner) open(ctx context.Context, s Step) error {
	m, err := r.nth(ctx, s.Words[0].Text)
	if err != nil {
		return r.at(s, s.Words[0], "%s", err)
	}
	r.message = &m
	return nil
}

func (r *Runner) press(ctx context.Context, s Step) error {
	m, err := r.addressed(ctx, s)
	if err != nil {
		return err
	}
	action, err := provider.FindAction(m, s.Words[0].Text)
	if err != nil {
		return r.at(s, s.Words[0], "%s", err)
	}
	who := policy.PersonaProvider
	if text, ok := s.Get("persona"); ok {
		who = policy.Persona(text)
	}
	click, err := r.p.ClickAs(ctx, who, m.ID, action)
	if err != nil {
		return err
	}
	r.click = &click
	return nil
}

func (r *Runner) unsubscribe(ctx context.Context, s Step) error {
	m, err := r.addressed(ctx, s)
	if err != nil {
		return err
	}
	click, err := r.p.Unsubscribe(ctx, m.ID)
	if err != nil {
		return err
	}
	r.click = &click
	return nil
}
