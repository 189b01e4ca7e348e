package mailauth

import (
	"crypto"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
)

// Receipt is what the provider writes down of the receipt of one message, for
// one account.
type Receipt struct {
	Hostname string // Of the receiving host, which is its authserv-id too: "mx.gmail.test".
	Domain   string // The provider's: "gmail.test".
	Account  string // The address of the account.
	At       time.Time
	Arrival  policy.Arrival
	Auth     policy.Authentication
	Seal     *SealKey // Adds a set of ARC; nil adds none.
}

// SealKey is what the provider seals with (RFC 8617 4.1.3).
type SealKey struct {
	Domain   string
	Selector string
	Key      crypto.Signer // RSA.
}

var errReceipt = errors.New("not a domain")

// HeaderBlock writes the fields that the provider puts on top of a message
// that it stores, in Gmail's order (gmail-inbound.md 3.1, 4.c). The message is
// the one without claims of ours ([StripOwn]), and the block followed by its
// octets is what an account has. Lines end in CRLF, and none is longer than 998
// octets. The same receipt of the same message gives the same octets: ids and
// internal addresses, from the documentation prefix 2001:db8::/32, are derived
// from both.
//
// A message that was fetched by POP gets neither Return-Path nor
// Received-SPF nor Authentication-Results, as Gmail's do not, but for
// Received-SPF: the real one is a guess at the peer of somebody else, and would
// look like a fact. One that was handed in as a file is written down as if it
// came from the peer that it claims, and without a peer "from" and "with"
// are left out.
//
// Two messages need one thing more. Before one that begins with white space
// stands an empty X-Unattached-Header, as its first line would otherwise
// continue the last of our fields; before one without header, the empty line
// that it lacks.
//
// An error is one of sealing, or names a Hostname or Domain that is none.
func HeaderBlock(m *message.Message, r Receipt) ([]byte, error) {
	for _, name := range []string{r.Hostname, r.Domain} {
		if !isHostname(name) {
			return nil, fmt.Errorf("writing header block: %w: %q", errReceipt, name)
		}
	}
	results := ResultsOptions{Hostname: r.Hostname, Domain: r.Domain, Arrival: r.Arrival, Auth: r.Auth}
	authentication := AuthenticationResults(results)
	b := blockWriter{show: shower{utf8: isInternational(r.Arrival)}, at: Pacific(r.At)}
	ids := newIDSource(m, r)

	b.field("Delivered-To", b.show.mailbox(r.Account))
	b.field("Received", "by", ids.address(), "with", "SMTP", "id", ids.delivery()+";")
	b.date("Mon, 2 Jan 2006")
	b.field("X-Received", "by", ids.address(), "with", "SMTP", "id", ids.transfer(r.At)+";")
	b.date("Mon, 02 Jan 2006")
	if r.Seal != nil {
		set, err := Seal(m, SealOptions{
			Domain: r.Seal.Domain, Selector: r.Seal.Selector, Key: r.Seal.Key,
			Time: r.At, Chain: r.Auth.ARC, Results: authentication,
		})
		if err != nil {
			return nil, fmt.Errorf("writing header block: %w", err)
		}
		b.raw(string(set))
	}
	if r.Arrival.Channel == policy.ChannelPOP {
		b.fetched(r, ids)
	} else {
		b.received(r, ids)
		if spf := ReceivedSPF(results); spf != "" {
			b.raw("Received-SPF: " + spf + "\r\n")
		}
		b.raw("Authentication-Results: " + authentication + "\r\n")
	}
	b.join(m)
	return []byte(b.text.String()), nil
}

// isHostname reports whether a name of ours is made of labels; one is enough.
func isHostname(s string) bool { return len(s) <= 253 && isSelector(s) }

// blockWriter writes header fields.
type blockWriter struct {
	fieldWriter
	show shower
	at   time.Time // In Pacific time.
}

// raw adds whole fields.
func (b *blockWriter) raw(fields string) {
	b.end()
	b.text.WriteString(fields)
}

// end ends the current field.
func (b *blockWriter) end() {
	if b.width > 0 {
		b.text.WriteString("\r\n")
		b.width = 0
	}
}

// field begins a field.
func (b *blockWriter) field(name string, words ...string) {
	b.end()
	b.text.WriteString(name + ": ")
	b.width, b.begun, b.indent = len(name)+2, false, "        "
	b.words(words...)
}

// date adds the time on a line of its own.
func (b *blockWriter) date(layout string) {
	b.newLine()
	b.words(b.at.Format(layout + " 15:04:05 -0700 (MST)"))
}

// received writes Return-Path and Received for a message that came by SMTP, or
// as a file that says so.
func (b *blockWriter) received(r Receipt, ids *idSource) {
	b.field("Return-Path", b.show.path(r.Arrival.MailFrom))
	b.field("Received")
	a := r.Arrival
	if a.HELO != "" || a.Peer.IsValid() {
		helo := a.HELO
		if helo == "" {
			helo = "unknown"
		}
		b.words("from", b.show.inComment(helo))
		if a.Peer.IsValid() {
			peer := "[" + addrText(a.Peer) + "])"
			if name := r.Auth.ReverseDNS.Name; name != "" {
				b.words("("+b.show.inComment(name)+".", peer)
			} else {
				b.words("(" + peer)
			}
		}
		b.newLine()
		with := "ESMTP" // HELO and EHLO cannot be told apart here, and nearly all say EHLO.
		if a.TLS != "" {
			with = "ESMTPS"
		}
		b.words("by", r.Hostname, "with", with)
	} else {
		b.words("by", r.Hostname)
	}
	session := a.Session
	if session == "" {
		session = ids.session("si")
	}
	b.words("id", b.show.inComment(session)+b.at.Format(".2006.01.02.15.04.05"))
	b.newLine()
	b.words("for", b.show.path(a.Rcpt))
	if a.TLS != "" {
		cipher, bits := cipherText(a.TLS, a.Cipher)
		b.newLine()
		b.words("(version=" + b.show.inComment(a.TLS))
		if cipher != "" {
			b.words("cipher=" + b.show.inComment(cipher))
		}
		if bits > 0 {
			b.words(fmt.Sprintf("bits=%d/%d", bits, bits))
		}
		b.text.WriteByte(')')
	}
	b.text.WriteByte(';')
	b.date("Mon, 02 Jan 2006")
}

// fetched writes the fields of a message that was fetched by POP.
func (b *blockWriter) fetched(r Receipt, ids *idSource) {
	b.field("Received", "by", ids.address(), "with", "POP3", "id", ids.session("mf")+";")
	b.date("Mon, 02 Jan 2006")
	if f := r.Arrival.Fetch; f != nil {
		// The number after the source is 1 in most samples; nobody knows why.
		b.field("X-Gmail-Fetch-Info", b.show.inComment(f.Source), "1", b.show.inComment(f.Host), strconv.Itoa(f.Port), b.show.inComment(f.Login))
	}
}

// join ends the block so that it joins to the message.
func (b *blockWriter) join(m *message.Message) {
	switch {
	case len(m.Raw) > 0 && (m.Raw[0] == ' ' || m.Raw[0] == '\t') && m.HeaderSize > 0:
		b.field("X-Unattached-Header")
	case m.HeaderSize == 0 && len(m.Body) == len(m.Raw):
		b.end()
		b.text.WriteString("\r\n")
		return
	}
	b.end()
}

// cipherText returns the name of a cipher suite as Gmail writes it, and how
// many bits its key has; zero if that is unknown. Gmail has the names of IANA
// for TLS 1.3 and those of OpenSSL for what is older.
func cipherText(version, name string) (cipher string, bits int) {
	switch {
	case strings.Contains(name, "AES_128"):
		bits = 128
	case strings.Contains(name, "AES_256"), strings.Contains(name, "CHACHA20"):
		bits = 256
	}
	older, ok := strings.CutPrefix(name, "TLS_")
	if !ok || version == "TLS1_3" {
		return name, bits
	}
	older = strings.TrimPrefix(older, "RSA_WITH_") // OpenSSL does not name this key exchange.
	return strings.NewReplacer("_WITH_", "-", "AES_", "AES", "_CBC", "", "POLY1305_SHA256", "POLY1305", "_", "-").Replace(older), bits
}
