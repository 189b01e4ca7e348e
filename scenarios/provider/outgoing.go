package provider

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/receiver/mailauth"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/receiver/smtpserver"
)

// outgoingRetries is how long after each failed attempt the next one is due.
// The real schedule is not known.
var outgoingRetries = []time.Duration{5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 8 * time.Hour}

// sendTime bounds one attempt, in real time.
const sendTime = time.Minute

// forwardLater puts the forward of a message that was just stored on the
// agenda, if its account forwards (gmail-inbound.md 4.a).
func (w *World) forwardLater(ctx context.Context, m mailbox.Message) {
	w.mu.Lock()
	a, err := w.named(m.Account)
	if err != nil || a.forward == "" || m.Refused {
		w.mu.Unlock()
		return
	}
	to, spam := a.forward, w.dials.Get(policy.DialForwardSpam)
	w.mu.Unlock()
	p := w.of(m.Account)
	row := mailbox.Outgoing{
		World: w.name, ID: w.nextID("o"), Kind: mailbox.OutgoingForward, Account: m.Account, MessageID: m.ID, At: w.clock.Now(),
		From: cafAddress(m.Account, to), To: to, State: mailbox.OutgoingPending,
	}
	if m.Evidence.Arrival.MailFrom == "" && m.Evidence.Arrival.Channel != policy.ChannelPOP {
		row.From = "" // What must not be answered must not be answered here either.
	}
	switch {
	case m.Verdict.Delivery != policy.Accept:
		row.State, row.Problem = mailbox.OutgoingWithheld, "the verdict on the message is not to take it"
	case m.Verdict.Folder == policy.Spam && spam == "no":
		row.State, row.Problem = mailbox.OutgoingWithheld, "the message is filed as spam; the dial forward.spam forwards that, too"
	case looped(m, to):
		row.State, row.Problem = mailbox.OutgoingWithheld, "the message has been forwarded by this account or to that address before"
	default:
		if row.Raw, err = p.forwarded(ctx, m, to); err != nil {
			row.State, row.Problem = mailbox.OutgoingFailed, err.Error()
		}
	}
	if err := w.sendLater(ctx, p, row); err != nil {
		w.log.Error("forwarding a message", slog.String("message", m.ID), slog.Any("error", err))
	}
}

// cafAddress is the envelope sender of Gmail's forwards: what comes back leads
// to the account, and names the target.
func cafAddress(account, to string) string {
	local, domain, _ := cutLast(account, '@')
	toLocal, toDomain, _ := cutLast(to, '@')
	return local + "+caf_=" + toLocal + "=" + toDomain + "@" + domain
}

// looped says whether a message shows that it came round: it was forwarded by
// the account, or delivered to the target before.
func looped(m mailbox.Message, to string) bool {
	msg := message.Parse(m.Raw)
	for _, f := range msg.All("X-Forwarded-For") {
		by, _, _ := strings.Cut(f.Unfolded(), " ")
		if strings.EqualFold(by, m.Account) {
			return true
		}
	}
	for _, f := range msg.All("Delivered-To") {
		if v := f.Unfolded(); strings.EqualFold(v, m.Account) || strings.EqualFold(v, to) {
			return true
		}
	}
	return false
}

// forwarded is a message as the provider forwards it: as stored, with the marks
// of forwarding and one more seal on top.
func (p *Provider) forwarded(ctx context.Context, m mailbox.Message, to string) ([]byte, error) {
	stored, err := p.Stored(m)
	if err != nil {
		return nil, err
	}
	raw := append([]byte("X-Forwarded-To: "+to+"\r\nX-Forwarded-For: "+m.Account+" "+to+"\r\n"), stored...)
	msg := message.Parse(raw)
	key, err := p.mailKey()
	if err != nil {
		return nil, err
	}
	arrival, auth := m.Evidence.Arrival, m.Evidence.Auth
	results := mailauth.AuthenticationResults(mailauth.ResultsOptions{Hostname: p.hostname(), Domain: p.domain, Arrival: arrival, Auth: auth})
	set, err := mailauth.Seal(msg, mailauth.SealOptions{
		Domain: p.domain, Selector: selector, Key: key, Time: p.clock.Now(), Results: results,
		Chain: p.verifier(p.resolver).Authenticate(ctx, arrival, msg).ARC,
	})
	if err != nil {
		return nil, fmt.Errorf("sealing a forward: %w", err)
	}
	return append(set, raw...), nil
}

// sendLater stores an outgoing mail, and puts it on the agenda if it is to be
// sent.
func (w *World) sendLater(ctx context.Context, p *Provider, row mailbox.Outgoing) error {
	if err := w.store.PutOutgoing(ctx, row); err != nil {
		return err
	}
	if row.State == mailbox.OutgoingPending {
		w.sendAt(p, row, w.clock.Now())
	}
	return nil
}

// lane is that of all mail to one domain: a server that is slow holds up nobody
// else's.
func lane(row mailbox.Outgoing) string { return "smtp " + message.DomainOf(row.To) }

// sendAt puts an attempt to send a mail on the agenda. Only its id is kept there:
// the mail is the store's, which bounds what waits.
func (w *World) sendAt(p *Provider, row mailbox.Outgoing, at time.Time) {
	id := row.ID
	w.agenda.add(w, lane(row), at, func(ctx context.Context) { w.sendNow(ctx, p, id) })
}

// sendNow makes one attempt to send a mail.
func (w *World) sendNow(ctx context.Context, p *Provider, id string) {
	row, err := w.outgoing(ctx, id)
	if err != nil {
		w.log.Warn("a mail that was to be sent has been forgotten", slog.String("mail", id), slog.Any("error", err))
		return
	}
	timed, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	again := w.attempt(timed, p, &row)
	if ctx.Err() != nil {
		return // The world ends: nothing is lost but what memory held.
	}
	if again {
		if row.Attempts <= len(outgoingRetries) {
			w.sendAt(p, row, w.clock.Now().Add(outgoingRetries[row.Attempts-1]))
		} else {
			row.State = mailbox.OutgoingFailed
		}
	}
	if err := w.store.PutOutgoing(ctx, row); err != nil {
		w.log.Error("storing outgoing mail", slog.String("mail", row.ID), slog.Any("error", err))
	}
}

// attempt tries to send a mail, and notes in row what came of it; again says
// that it may be tried later.
func (w *World) attempt(ctx context.Context, p *Provider, row *mailbox.Outgoing) (again bool) {
	row.Attempts++
	row.Problem = ""
	if bareLineEnd(row.Raw) {
		// A server that ends lines there would take what follows for commands.
		row.State, row.Problem = mailbox.OutgoingFailed, "the message has a CR or LF that stands alone, which must not be sent (RFC 5321 2.3.8)"
		return false
	}
	if err := p.publishSender(ctx); err != nil {
		row.State, row.Problem = mailbox.OutgoingFailed, err.Error()
		return false
	}
	domain := message.DomainOf(row.To)
	out, err := w.exit(ctx, p, domain)
	if err != nil {
		row.State, row.Problem = mailbox.OutgoingWithheld, err.Error()
		return false
	}
	row.Via = out.via
	mail := Mail{HELO: p.outgoingHost(), From: row.From, To: []string{row.To}, Raw: row.Raw}
	reply, session, err := w.hand(ctx, p, out, mail)
	if session != nil {
		// A new list: rows that were handed out keep the one they have.
		row.Sessions = append(slices.Clone(row.Sessions), *session)
	}
	if err != nil {
		row.Problem = err.Error()
		return true
	}
	row.Reply = reply.String()
	switch {
	case reply.Accepted():
		row.State = mailbox.OutgoingSent
	case reply.Code/100 == 5:
		row.State = mailbox.OutgoingRefused
	default:
		return true
	}
	return false
}

// bareLineEnd says whether a CR or LF stands alone in a message.
func bareLineEnd(raw []byte) bool {
	pairs := bytes.Count(raw, []byte("\r\n"))
	return bytes.Count(raw, []byte{'\r'}) != pairs || bytes.Count(raw, []byte{'\n'}) != pairs
}

// outgoing returns an outgoing mail as it stands now.
func (w *World) outgoing(ctx context.Context, id string) (mailbox.Outgoing, error) {
	list, err := w.store.Outgoing(ctx, w.name)
	if err != nil {
		return mailbox.Outgoing{}, err
	}
	for _, o := range list {
		if o.ID == id {
			return o, nil
		}
	}
	return mailbox.Outgoing{}, mailbox.ErrNotFound
}

// outgoingAddress is where the provider's own mail comes from: one of the range
// for tests between networks (RFC 2544), by the provider's place in its world.
func (p *Provider) outgoingAddress() netip.Addr {
	return netip.AddrFrom4([4]byte{198, 18, 0, byte(1 + p.place)})
}

func (p *Provider) outgoingHost() string { return "out." + p.domain }

// publishSender publishes what a receiver needs to authenticate the provider's
// own mail: names of its address, and an SPF record, unless the zone has one.
func (p *Provider) publishSender(ctx context.Context) error {
	p.sending.Lock()
	defer p.sending.Unlock()
	if p.published {
		return nil
	}
	if err := p.NamePeer(p.outgoingAddress(), p.outgoingHost()); err != nil {
		return err
	}
	texts, err := p.resolver.LookupTXT(ctx, p.domain)
	var dnsErr *net.DNSError
	if err != nil && (!errors.As(err, &dnsErr) || !dnsErr.IsNotFound) {
		return err
	}
	for _, t := range texts {
		// RFC 7208 4.5: the version ends with a space or the record.
		if version, _, _ := strings.Cut(t, " "); strings.EqualFold(version, "v=spf1") {
			p.published = true
			return nil
		}
	}
	p.published = true
	return p.zone.AddTXT(p.domain, "v=spf1 ip4:"+p.outgoingAddress().String()+" ~all")
}

// errNotRouted says that mail does not go where nobody said that it may: a
// test must not write to strangers.
var errNotRouted = errors.New("host-not-routed: the domain is of no provider of this world, and no sink takes its mail")

// way is where the mail of a domain goes.
type way struct {
	domain string
	via    string // For people.
	host   string // The name of the MX host, which its certificate has to have.
	dial   func(ctx context.Context) (net.Conn, error)
	// inside says that the server is in the process: its certificate is of the
	// world's authority.
	inside bool
}

// exit says where the mail of a domain goes: to a provider of the world, to a
// sink, or nowhere.
func (w *World) exit(ctx context.Context, p *Provider, domain string) (way, error) {
	if other, ok := w.Provider(domain); ok {
		return way{
			domain: domain, via: other.hostname(), host: other.hostname(), inside: true,
			dial: func(context.Context) (net.Conn, error) { return w.pipe(p.outgoingAddress(), other.smtp) },
		}, nil
	}
	w.mu.Lock()
	s := w.sinks[domain]
	w.mu.Unlock()
	if s == nil {
		return way{}, errNotRouted
	}
	return s.way(ctx, w, p.outgoingAddress()), nil
}

// pipe connects to a server in the process, as a client at an address.
func (w *World) pipe(from netip.Addr, to *smtpserver.Server) (net.Conn, error) {
	client, server := net.Pipe()
	if !w.begin(func() { to.ServeConn(&pipeConn{Conn: server, peer: peerAddr(from)}) }) {
		return nil, ErrClosed
	}
	// Who refuses a certificate has to say so to a server that may still wait for
	// the rest of what it says to be read: a pipe holds nothing, but this does.
	return &pipeConn{Conn: readAhead{client, bufio.NewReaderSize(client, pipeBuffer)}, peer: pipeAddr("in-process")}, nil
}

// pipeBuffer is larger than what a TLS server writes at once in a handshake.
const pipeBuffer = 64 << 10

// readAhead is a connection of which all is read that is offered.
type readAhead struct {
	net.Conn
	buffered *bufio.Reader
}

// Read implements net.Conn.
func (c readAhead) Read(b []byte) (int, error) { return c.buffered.Read(b) }

// mxHost is the best MX host of a domain; without one, otherwise.
func (w *World) mxHost(ctx context.Context, domain, otherwise string) string {
	if list, err := w.resolver.LookupMX(ctx, domain); err == nil && len(list) > 0 {
		if host := strings.ToLower(strings.TrimSuffix(list[0].Host, ".")); host != "" {
			return host
		}
	}
	return otherwise
}

// clientTLS is how the provider's own clients verify a server of the world.
func (w *World) clientTLS(name string) *tls.Config {
	return &tls.Config{RootCAs: w.ca.Pool(), ServerName: name, MinVersion: tls.VersionTLS12}
}
