package provider

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/receiver/mailbox"
)

// Mail is a message and its envelope, as an SMTP client sends them.
type Mail struct {
	HELO string   // Default "localhost".
	From string   // The reverse-path without brackets; empty is the null one.
	To   []string // The forward-paths.
	// TLS, if not nil, is used with STARTTLS, which the server must offer.
	TLS *tls.Config
	Raw []byte // Sent byte for byte but for dot-stuffing; CRLF is added at its end if missing.

	use *tlsUse // With TLS: uses it only if the server offers it, and notes what came of it.
}

// tlsUse is how TLS went in a session.
type tlsUse struct {
	required bool // Without it nothing is sent.
	asked    bool // The server has said whether it offers it.
	offered  bool
	state    *tls.ConnectionState // Nil unless the handshake succeeded.
	err      error                // Why it did not, or the server could not be spoken with after it.
}

// errNoSTARTTLS is the end of a session that needs TLS with a server that has
// none.
var errNoSTARTTLS = errors.New("the server does not offer STARTTLS")

// Reply is what a server answered last: to the message, or to the command that
// it refused.
type Reply struct {
	Code     int      `json:"code"`
	Enhanced string   `json:"enhanced,omitempty"` // Empty if the reply has none.
	Lines    []string `json:"lines"`              // Without codes.
	Command  string   `json:"command"`            // What it answers: "DATA" is the message, others are commands.
}

// Accepted says whether the server took the message.
func (r Reply) Accepted() bool { return r.Code == 250 && r.Command == "DATA" }

// String writes the reply on one line.
func (r Reply) String() string {
	text := strconv.Itoa(r.Code)
	if r.Enhanced != "" {
		text += " " + r.Enhanced
	}
	return text + " " + strings.Join(r.Lines, " ")
}

// Send hands a message to a server over a connection that has just been
// opened, and closes it. A refusal is a reply and no error. It does not use
// the client of go-smtp, because that rewrites line ends, and a signed message
// must arrive as it is.
func Send(ctx context.Context, conn net.Conn, m Mail) (Reply, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	d := &dialogue{raw: conn, conn: conn, text: textproto.NewConn(conn)}
	defer d.text.Close()
	r, err := d.send(ctx, m)
	if ctx.Err() != nil {
		return r, context.Cause(ctx)
	}
	return r, err
}

// dialogue is the client's side of an SMTP session.
type dialogue struct {
	raw  net.Conn // What it was begun over.
	conn net.Conn
	text *textproto.Conn
	last Reply
}

// errRefused ends a dialogue after a reply that is a refusal.
var errRefused = errors.New("refused")

func (d *dialogue) send(ctx context.Context, m Mail) (Reply, error) {
	err := d.session(ctx, m)
	if err != nil && !errors.Is(err, errRefused) {
		return d.last, err
	}
	final := d.last
	// The answer to the message stands, whatever becomes of the goodbye.
	_ = d.command("QUIT", 221, "QUIT")
	return final, nil
}

func (d *dialogue) session(ctx context.Context, m Mail) error {
	if err := d.read("", 220); err != nil {
		return err
	}
	helo := cmp.Or(m.HELO, "localhost")
	if err := d.command("EHLO", 250, "EHLO %s", helo); err != nil {
		return err
	}
	if err := d.startTLS(ctx, m, helo); err != nil {
		return err
	}
	if err := d.command("MAIL", 250, "MAIL FROM:<%s>", m.From); err != nil {
		return err
	}
	for _, to := range m.To {
		if err := d.command("RCPT", 250, "RCPT TO:<%s>", to); err != nil {
			return err
		}
	}
	if err := d.command("DATA", 354, "DATA"); err != nil {
		return err
	}
	if _, err := d.text.W.Write(dotStuff(m.Raw)); err != nil {
		return err
	}
	if err := d.text.W.Flush(); err != nil {
		return err
	}
	return d.read("DATA", 250)
}

// startTLS goes over to TLS, as the mail wants it.
func (d *dialogue) startTLS(ctx context.Context, m Mail, helo string) error {
	if m.TLS == nil {
		return nil
	}
	if m.use != nil {
		return d.tryTLS(ctx, m, helo)
	}
	if err := d.command("STARTTLS", 220, "STARTTLS"); err != nil {
		return err
	}
	_, err := d.secure(m.TLS, helo)
	return err
}

// tlsTime bounds the way into TLS, in real time: who hangs there leaves time to
// be tried without.
const tlsTime = 10 * time.Second

// errTLSTime is the end of a way into TLS that takes longer.
var errTLSTime = errors.New("the server took too long to begin TLS")

// tryTLS goes over to TLS if the server offers it, and notes how that went. It
// has succeeded when the server has answered in it: that it refuses what it was
// shown in the handshake comes only then in TLS 1.3.
func (d *dialogue) tryTLS(ctx context.Context, m Mail, helo string) error {
	timed, cancel := context.WithTimeoutCause(ctx, tlsTime, errTLSTime)
	defer cancel()
	stop := context.AfterFunc(timed, func() { _ = d.raw.SetDeadline(time.Unix(1, 0)) })
	err := d.askTLS(m.use)
	if err == nil && m.use.offered {
		var state tls.ConnectionState
		if state, err = d.secure(m.TLS, helo); err == nil || errors.Is(err, errRefused) {
			m.use.state = &state
		}
	}
	if !stop() {
		err = context.Cause(timed)
	}
	if err != nil && !errors.Is(err, errRefused) && !errors.Is(err, errNoSTARTTLS) {
		m.use.state, m.use.err = nil, err
	}
	return err
}

// secure makes the handshake and says EHLO again.
func (d *dialogue) secure(config *tls.Config, helo string) (tls.ConnectionState, error) {
	secured := tls.Client(d.conn, config)
	if err := secured.Handshake(); err != nil {
		return tls.ConnectionState{}, err
	}
	d.conn = secured
	d.text = textproto.NewConn(d.conn)
	return secured.ConnectionState(), d.command("EHLO", 250, "EHLO %s", helo)
}

// askTLS asks for TLS if the server offers it. One that then refuses does not.
func (d *dialogue) askTLS(use *tlsUse) error {
	use.asked = true
	use.offered = slices.ContainsFunc(d.last.Lines, func(line string) bool { return strings.EqualFold(line, "STARTTLS") })
	if use.offered {
		err := d.command("STARTTLS", 220, "STARTTLS")
		if err != nil && !errors.Is(err, errRefused) {
			return err
		}
		use.offered = err == nil
	}
	if !use.offered && use.required {
		return errNoSTARTTLS
	}
	return nil
}

// command sends a line, which must not hold another one, and reads the reply.
func (d *dialogue) command(name string, want int, format string, args ...any) error {
	line := fmt.Sprintf(format, args...)
	if strings.ContainsAny(line, "\r\n") {
		return fmt.Errorf("%s with a line break in its argument", name)
	}
	if err := d.text.PrintfLine("%s", line); err != nil {
		return err
	}
	return d.read(name, want)
}

func (d *dialogue) read(command string, want int) error {
	code, message, err := d.text.ReadResponse(0)
	var protocol *textproto.Error
	if err != nil && !errors.As(err, &protocol) {
		return fmt.Errorf("reading the reply to %q: %w", command, err)
	}
	if protocol != nil {
		code, message = protocol.Code, protocol.Msg
	}
	d.last = Reply{Code: code, Lines: strings.Split(message, "\n"), Command: command}
	for i, line := range d.last.Lines {
		if enhanced, text, ok := strings.Cut(line, " "); ok && isEnhanced(enhanced, code) {
			d.last.Enhanced, d.last.Lines[i] = enhanced, text
		}
	}
	if code != want {
		return errRefused
	}
	return nil
}

// isEnhanced says whether a word is an enhanced status code of the class of a
// reply (RFC 2034).
func isEnhanced(word string, code int) bool {
	return len(word) >= 5 && strings.Count(word, ".") == 2 && int(word[0]-'0') == code/100 && strings.Trim(word, "0123456789.") == ""
}

// dotStuff doubles dots at the beginning of lines and adds the end of data
// (RFC 5321 4.5.2).
func dotStuff(raw []byte) []byte {
	out := bytes.ReplaceAll(raw, []byte("\r\n."), []byte("\r\n.."))
	if bytes.HasPrefix(out, []byte(".")) {
		out = append([]byte("."), out...)
	}
	if !bytes.HasSuffix(out, []byte("\r\n")) {
		out = append(bytes.Clone(out), "\r\n"...)
	}
	return append(bytes.Clone(out), ".\r\n"...)
}

// Delivery is what came of a message that was delivered in the process.
type Delivery struct {
	Reply    Reply
	Messages []mailbox.Message // One for each account; those of a refused message say so.
}

// Deliver hands a message to the provider's SMTP server within the process, as
// a client at the given address would: the whole dialogue is held.
func (p *Provider) Deliver(ctx context.Context, peer netip.Addr, m Mail, useTLS bool) (Delivery, error) {
	if slices.ContainsFunc(p.proxyFrom, func(n netip.Prefix) bool { return n.Contains(peer.Unmap()) }) {
		return Delivery{}, fmt.Errorf("%s is a proxy, and not the client behind it: name a peer outside of proxy-from", peer)
	}
	before, err := p.store.LastSeq(ctx, p.name)
	if err != nil {
		return Delivery{}, err
	}
	if useTLS {
		m.TLS = p.clientTLS(p.hostname())
	}
	client, server := net.Pipe()
	if !p.begin(func() { p.smtp.ServeConn(&pipeConn{Conn: server, peer: peerAddr(peer)}) }) {
		return Delivery{}, ErrClosed
	}
	reply, err := Send(ctx, &pipeConn{Conn: client, peer: pipeAddr("in-process")}, m)
	if err != nil {
		return Delivery{}, err
	}
	drained := p.settle(ctx)
	// What has been stored is told, whatever became of what it led to.
	list, err := p.store.Messages(context.WithoutCancel(ctx), mailbox.Query{World: p.name, AfterSeq: before, Refused: true})
	// Others may deliver meanwhile; every reply ends with the session's id.
	last := reply.Lines[len(reply.Lines)-1]
	list = slices.DeleteFunc(list, func(m mailbox.Message) bool {
		session := m.Evidence.Arrival.Session
		return session == "" || !strings.Contains(last, session)
	})
	return Delivery{Reply: reply, Messages: list}, errors.Join(err, drained)
}
