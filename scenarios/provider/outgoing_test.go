package provider_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/receiver/smtpserver"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// names returns the names of the first fields of a mail.
func names(raw []byte, n int) []string {
	var list []string
	for _, f := range message.Parse(raw).Fields {
		if len(list) < n {
			list = append(list, f.Name)
		}
	}
	return list
}

// A message with a line end that stands alone is not sent on: a server that ends
// lines there would take what follows for commands.
func TestForwardBareLineEnd(t *testing.T) {
	t.Parallel()
	p, other := newPair(t, provider.Options{})
	configure(t, p, alice, provider.Settings{Forward: carol})
	delivered(t, p, sign(t, p, append(note(""), "hi\n.\r\nMAIL FROM:<ceo@bank.example>\r\n"...)))
	if o := onlyOutgoing(t, p); o.State != mailbox.OutgoingFailed || !strings.Contains(o.Problem, "stands alone") {
		t.Errorf("got %s: %s", o.State, o.Problem)
	}
	if list := messages(t, other, mailbox.Query{Account: carol}); len(list) > 0 {
		t.Errorf("%d messages came", len(list))
	}
}

// What is asked of a world that has been closed is an error.
func TestAfterClose(t *testing.T) {
	t.Parallel()
	p := newFetching(t, provider.Options{})
	must(t, p.Close())
	ctx := context.Background()
	if err := p.Advance(ctx, time.Hour); !errors.Is(err, provider.ErrClosed) {
		t.Errorf("Advance: %v", err)
	}
	if err := p.Drain(ctx); !errors.Is(err, provider.ErrClosed) {
		t.Errorf("Drain: %v", err)
	}
	if _, err := p.Deliver(ctx, netip.MustParseAddr(senderPeer), provider.Mail{To: []string{alice}, Raw: note("")}, false); !errors.Is(err, provider.ErrClosed) {
		t.Errorf("Deliver: %v", err)
	}
	if err := p.ServePOP3(listen(t), false); !errors.Is(err, provider.ErrClosed) {
		t.Errorf("ServePOP3: %v", err)
	}
}

// A forward goes out as Gmail's do: the envelope, the marks, one more seal, and
// below them the message as it was stored.
func TestForward(t *testing.T) {
	t.Parallel()
	p, other := newPair(t, provider.Options{})
	configure(t, p, alice, provider.Settings{Forward: "Carol@Other.test"})
	m := delivered(t, p, sign(t, p, crlf(approval(serviceURL))))
	o := onlyOutgoing(t, p)
	want := mailbox.Outgoing{
		World: p.WorldName(), ID: o.ID, Kind: mailbox.OutgoingForward, Account: alice, MessageID: m.ID, At: start(), Raw: o.Raw,
		From: "alice+caf_=carol=other.test@gmail.test", To: carol, Via: "mx.other.test", State: mailbox.OutgoingSent, Reply: o.Reply, Attempts: 1,
	}
	if o.Reply == "" || !strings.HasPrefix(o.Reply, "250 2.0.0 OK") || !equalOutgoing(o, want) {
		t.Errorf("got %+v\nwant %+v", o, want)
	}
	block := stored(t, p, m)
	marks := "X-Forwarded-To: carol@other.test\r\nX-Forwarded-For: alice@gmail.test carol@other.test\r\n"
	if !bytes.HasSuffix(o.Raw, append([]byte(marks), block...)) {
		t.Errorf("the marks are not above the stored message:\n%s", o.Raw)
	}
	if got := names(o.Raw, 6); !slices.Equal(got, []string{"ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results", "X-Forwarded-To", "X-Forwarded-For", "Delivered-To"}) {
		t.Errorf("it begins with %q", got)
	}
	auth := authenticate(t, p, policy.Arrival{}, o.Raw)
	if arc := auth.ARC; arc.Result != policy.AuthPass || len(arc.Sets) != 2 || arc.OldestPass != 0 || arc.Sets[0].CV != "none" || arc.Sets[1].CV != "pass" || arc.Sets[1].Domain != "gmail.test" {
		t.Errorf("chain is %+v", arc)
	}
	if len(auth.DKIM) != 1 || auth.DKIM[0].Result != policy.AuthPass {
		t.Errorf("the author's signature: %+v", auth.DKIM)
	}
	list := messages(t, other, mailbox.Query{Account: carol})
	if len(list) != 1 || !bytes.Equal(list[0].Raw, o.Raw) {
		t.Fatalf("%d messages came", len(list))
	}
	e := list[0].Evidence
	if a := e.Arrival; a.Peer != netip.MustParseAddr("198.18.0.1") || a.HELO != "out.gmail.test" || a.TLS != "TLS1_3" || a.MailFrom != o.From || a.Rcpt != carol {
		t.Errorf("it came as %+v", a)
	}
	if e.Auth.SPF.Result != policy.AuthPass || e.Auth.ReverseDNS.Result != policy.AuthPass || e.Auth.DMARC.Result != policy.AuthPass {
		t.Errorf("SPF %s, reverse DNS %s, DMARC %s", e.Auth.SPF.Result, e.Auth.ReverseDNS.Result, e.Auth.DMARC.Result)
	}
	if f := e.Access.Forward; e.Access.Pattern != policy.PatternAutoForward || f == nil || f.Style != policy.ForwardCAF || f.Original != alice {
		t.Errorf("pattern is %+v", e.Access)
	}
}

func equalOutgoing(a, b mailbox.Outgoing) bool {
	same := bytes.Equal(a.Raw, b.Raw) && a.At.Equal(b.At)
	a.Raw, b.Raw, a.At, b.At = nil, nil, time.Time{}, time.Time{}
	return same && a.World == b.World && a.ID == b.ID && a.Kind == b.Kind && a.Account == b.Account && a.MessageID == b.MessageID && a.From == b.From &&
		a.To == b.To && a.Via == b.Via && a.State == b.State && a.Reply == b.Reply && a.Problem == b.Problem && a.Attempts == b.Attempts
}

// What becomes of a forward at the first attempt.
func TestForwardEnds(t *testing.T) {
	t.Parallel()
	const unrouted = "host-not-routed: "
	tests := []struct {
		name, to string
		sink     provider.Sink
		state    mailbox.OutgoingState
		via      string
		reply    string // Its beginning; as is the problem's.
		problem  string
	}{
		{"sink", "x@acme.test", provider.Sink{Domain: "acme.test"}, mailbox.OutgoingSent, "sink acme.test", "250 2.0.0 OK", ""},
		{"sink of another case", "x@ACME.test", provider.Sink{Domain: "Acme.Test"}, mailbox.OutgoingSent, "sink acme.test", "250 2.0.0 OK", ""},
		{"250", "x@acme.test", provider.Sink{Domain: "acme.test", Code: 250}, mailbox.OutgoingSent, "sink acme.test", "250 2.0.0 OK", ""},
		{"550", "x@acme.test", provider.Sink{Domain: "acme.test", Code: 550}, mailbox.OutgoingRefused, "sink acme.test", "550 5.7.1 The sink", ""},
		{"450", "x@acme.test", provider.Sink{Domain: "acme.test", Code: 450}, mailbox.OutgoingPending, "sink acme.test", "450 4.3.0 The sink", ""},
		{"no such user", "nobody@other.test", provider.Sink{Domain: "acme.test"}, mailbox.OutgoingRefused, "mx.other.test", "550 5.1.1 ", ""},
		{"no sink", "x@else.test", provider.Sink{Domain: "acme.test"}, mailbox.OutgoingWithheld, "", "", unrouted},
		{"below a sink", "x@sub.acme.test", provider.Sink{Domain: "acme.test"}, mailbox.OutgoingWithheld, "", "", unrouted},
		{"above a sink", "x@test", provider.Sink{Domain: "acme.test"}, mailbox.OutgoingWithheld, "", "", unrouted},
		{"A-label", "x@xn--bcher-kva.test", provider.Sink{Domain: "xn--bcher-kva.test"}, mailbox.OutgoingSent, "sink xn--bcher-kva.test", "250 ", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, _ := newPair(t, provider.Options{})
			addSink(t, p, tt.sink)
			configure(t, p, alice, provider.Settings{Forward: tt.to})
			delivered(t, p, note(""))
			o := onlyOutgoing(t, p)
			if o.State != tt.state || o.Attempts != 1 || o.Via != tt.via || !strings.HasPrefix(o.Reply, tt.reply) || (o.Reply == "") != (tt.reply == "") ||
				!strings.HasPrefix(o.Problem, tt.problem) || (o.Problem == "") != (tt.problem == "") {
				t.Errorf("%s after %d attempts via %q: reply %q, problem %q", o.State, o.Attempts, o.Via, o.Reply, o.Problem)
			}
		})
	}
}

// A domain is the same in U-labels and in A-labels: a sink that a world names by
// the one takes what is sent to the other.
func TestForwardToUnicodeDomain(t *testing.T) {
	t.Parallel()
	p := newSealing(t, provider.Options{})
	addSink(t, p, provider.Sink{Domain: "bücher.test"})
	configure(t, p, alice, provider.Settings{Forward: "x@bücher.test"})
	delivered(t, p, note(""))
	if o := onlyOutgoing(t, p); o.Problem != "" {
		t.Errorf("%s: %s", o.State, o.Problem)
	}
}

// What is refused for a time is tried again, by the provider's clock, and given
// up after five attempts.
func TestForwardRetries(t *testing.T) {
	t.Parallel()
	later := smtpserver.Reply{Code: 450, Enhanced: "4.2.1", Lines: []string{"Come again."}}
	never := smtpserver.Reply{Code: 550, Enhanced: "5.7.1", Lines: []string{"Never."}}
	all := []string{"0s", "5m0s", "35m0s", "2h35m0s", "10h35m0s"}
	tests := []struct {
		name    string
		answers []smtpserver.Reply
		state   mailbox.OutgoingState
		at      []string // After the delivery.
		reply   string
	}{
		{"at once", nil, mailbox.OutgoingSent, all[:1], "250 2.0.0 OK"},
		{"second", []smtpserver.Reply{later}, mailbox.OutgoingSent, all[:2], "250 2.0.0 OK"},
		{"third refused", []smtpserver.Reply{later, later, never}, mailbox.OutgoingRefused, all[:3], "550 5.7.1 Never."},
		{"last", []smtpserver.Reply{later, later, later, later}, mailbox.OutgoingSent, all, "250 2.0.0 OK"},
		{"given up", []smtpserver.Reply{later, later, later, later, later, later}, mailbox.OutgoingFailed, all, "450 4.2.1 Come again."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newSealing(t, provider.Options{})
			out := &outside{clock: p.Clock(), answers: tt.answers}
			addSink(t, p, provider.Sink{Domain: "acme.test", Addr: serveOutside(t, out)})
			configure(t, p, alice, provider.Settings{Forward: "x@acme.test"})
			delivered(t, p, note(""))
			advance(t, p, 48*time.Hour)
			var at []string
			for _, m := range out.mails() {
				at = append(at, m.At.Sub(start()).String())
				if !bytes.Equal(m.Raw, out.mails()[0].Raw) {
					t.Error("another attempt sends other octets")
				}
			}
			if o := onlyOutgoing(t, p); !slices.Equal(at, tt.at) || o.State != tt.state || o.Attempts != len(tt.at) || !strings.HasPrefix(o.Reply, tt.reply) {
				t.Errorf("attempts at %q, %d of them, %s: %s", at, o.Attempts, o.State, o.Reply)
			}
			if got := p.Clock().Now(); !got.Equal(start().Add(48 * time.Hour)) {
				t.Errorf("the clock shows %s", got)
			}
		})
	}
}

// A server that cannot be reached is tried again, too; the problem says why.
func TestForwardUnreachable(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	l.Close()
	p := newSealing(t, provider.Options{})
	addSink(t, p, provider.Sink{Domain: "acme.test", Addr: closed})
	configure(t, p, alice, provider.Settings{Forward: "x@acme.test"})
	delivered(t, p, note(""))
	if o := onlyOutgoing(t, p); o.State != mailbox.OutgoingPending || o.Attempts != 1 || !strings.Contains(o.Problem, "refused") {
		t.Errorf("%s after %d attempts: %q", o.State, o.Attempts, o.Problem)
	}
	// Somebody begins to listen.
	out := &outside{clock: p.Clock()}
	addSink(t, p, provider.Sink{Domain: "acme.test", Addr: serveOutside(t, out)})
	advance(t, p, 5*time.Minute)
	if o := onlyOutgoing(t, p); o.State != mailbox.OutgoingSent || o.Attempts != 2 || o.Problem != "" {
		t.Errorf("%s after %d attempts: %q", o.State, o.Attempts, o.Problem)
	}
}

// A server that is reached over a socket gets the same octets, the same
// envelope and no TLS.
func TestForwardOverTCP(t *testing.T) {
	t.Parallel()
	p := newSealing(t, provider.Options{})
	out := &outside{clock: p.Clock()}
	addr := serveOutside(t, out)
	addSink(t, p, provider.Sink{Domain: "acme.test", Addr: addr})
	configure(t, p, alice, provider.Settings{Forward: "x@acme.test"})
	m := delivered(t, p, note(""))
	o := onlyOutgoing(t, p)
	list := out.mails()
	if len(list) != 1 || o.Via != addr || o.State != mailbox.OutgoingSent {
		t.Fatalf("%d mails came; %s via %s: %s", len(list), o.State, o.Via, o.Problem)
	}
	got := list[0]
	if !bytes.Equal(got.Raw, o.Raw) || !bytes.HasSuffix(got.Raw, stored(t, p, m)) || !bytes.HasSuffix(got.Raw, []byte("\r\n\r\n.dot\r\nNote.\r\n")) {
		t.Errorf("it got\n%s", got.Raw)
	}
	if got.From != "alice+caf_=x=acme.test@gmail.test" || !slices.Equal(got.Rcpts, []string{"x@acme.test"}) || got.HELO != "out.gmail.test" || got.TLS != nil {
		t.Errorf("the envelope is %+v", got.Envelope)
	}
}

// A provider that is closed while a server keeps it waiting does not wait.
func TestCloseWhileSending(t *testing.T) {
	t.Parallel()
	l := listen(t)
	accepted := make(chan net.Conn, 1)
	var owned sync.WaitGroup
	owned.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			t.Error(err)
		}
		accepted <- conn // It is never greeted.
	})
	p := newSealing(t, provider.Options{})
	addSink(t, p, provider.Sink{Domain: "acme.test", Addr: l.Addr().String()})
	configure(t, p, alice, provider.Settings{Forward: "x@acme.test"})
	smtp := listen(t)
	p.MapPeer(netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr(senderPeer))
	p.ServeSMTP(smtp)
	if reply := send(t, smtp.Addr().String(), nil, provider.Mail{To: []string{alice}, From: "bounce@shop.example", Raw: note("")}); !reply.Accepted() {
		t.Fatal(reply)
	}
	conn := <-accepted
	defer conn.Close()
	owned.Wait()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	// Nothing came of it, and nothing says otherwise.
	if list := outgoing(t, p); len(list) > 0 && list[0].State != mailbox.OutgoingPending {
		t.Errorf("got %+v", list[0])
	}
}
