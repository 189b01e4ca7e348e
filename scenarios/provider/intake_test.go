package provider_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

func TestRecipients(t *testing.T) {
	t.Parallel()
	p := newProvider(t, provider.Options{})
	if err := p.AddAccount("Bob@GMAIL.test"); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		to       []string
		reply    string // Code, enhanced code and command.
		accounts []string
	}{
		{[]string{"alice@gmail.test"}, "250 2.0.0 DATA", []string{"alice@gmail.test"}},
		{[]string{"ALICE@Gmail.Test"}, "250 2.0.0 DATA", []string{"alice@gmail.test"}},
		{[]string{"alice+expenses+2026@gmail.test"}, "250 2.0.0 DATA", []string{"alice@gmail.test"}},
		{[]string{"postmaster@gmail.test"}, "250 2.0.0 DATA", []string{"postmaster@gmail.test"}},
		{[]string{"Postmaster"}, "250 2.0.0 DATA", []string{"postmaster@gmail.test"}},
		{[]string{"bob@gmail.test", "alice@gmail.test", "bob+x@gmail.test"}, "250 2.0.0 DATA", []string{"bob@gmail.test", "alice@gmail.test"}},
		{[]string{"+alice@gmail.test"}, "550 5.1.1 RCPT", nil},
		{[]string{"nobody+alice@gmail.test"}, "550 5.1.1 RCPT", nil},
		{[]string{"alice@mail.gmail.test"}, "553 5.1.2 RCPT", nil},
		{[]string{"alice@elsewhere.example"}, "553 5.1.2 RCPT", nil},
		{[]string{"alice@gmail.test", "nobody@gmail.test"}, "550 5.1.1 RCPT", nil},
	}
	for _, tt := range tests {
		d := deliver(t, p, approval(), tt.to...)
		if got := strings.Join([]string{strconv.Itoa(d.Reply.Code), d.Reply.Enhanced, d.Reply.Command}, " "); got != tt.reply {
			t.Errorf("%q: %s", tt.to, d.Reply)
		}
		var accounts []string
		for _, m := range d.Messages {
			accounts = append(accounts, m.Account)
			if m.Evidence.Account.Address != m.Account {
				t.Errorf("%q: account %q has the evidence of %q", tt.to, m.Account, m.Evidence.Account.Address)
			}
		}
		if !slices.Equal(accounts, tt.accounts) {
			t.Errorf("%q: for %q", tt.to, accounts)
		}
	}
}

func TestAddAccountErrors(t *testing.T) {
	t.Parallel()
	p := newProvider(t, provider.Options{})
	for _, address := range []string{"", "alice", "@gmail.test", "alice@", "alice@mail.test"} {
		if err := p.AddAccount(address); err == nil {
			t.Errorf("there is an account %q", address)
		}
	}
	if got := p.Accounts(); !slices.Equal(got, []string{"alice@gmail.test"}) {
		t.Errorf("accounts are %q", got)
	}
	if err := p.SetDial("retry.5x", "yes"); !errors.As(err, new(policy.UnknownDialError)) {
		t.Errorf("got %v", err)
	}
	if err := p.SetDial("retry.5xx", "perhaps"); err == nil {
		t.Error("a dial has any value")
	}
}

// Observing and enforcing come to the same verdict, and say different things.
func TestObserveAndEnforce(t *testing.T) {
	t.Parallel()
	p := newProvider(t, provider.Options{})
	stranger := func() provider.Delivery {
		d, err := p.Deliver(t.Context(), netip.MustParseAddr("198.51.100.7"), provider.Mail{From: "x@relay.example", To: []string{"alice@gmail.test"}, Raw: approval(serviceURL)}, false)
		if err != nil || len(d.Messages) != 1 {
			t.Fatalf("%+v, %v", d, err)
		}
		return d
	}
	observed := stranger()
	p.Enforce(true)
	enforced := stranger()
	a, b := observed.Messages[0], enforced.Messages[0]
	if observed.Reply.Code != 250 || a.Refused || a.Verdict.Delivery != policy.Reject || a.Verdict.Reply.Code != 550 || !strings.HasPrefix(a.Reply[0], "250 2.0.0 OK") {
		t.Errorf("observed: %s; %+v", observed.Reply, a.Reply)
	}
	if enforced.Reply.Code != 550 || enforced.Reply.Enhanced != "5.7.26" || !b.Refused || len(b.Reply) != len(b.Verdict.Reply.Lines) {
		t.Errorf("enforced: %s; %+v", enforced.Reply, b.Reply)
	}
	if !slices.EqualFunc(a.Verdict.Findings, b.Verdict.Findings, func(x, y policy.Finding) bool {
		return x.Check == y.Check && x.Result == y.Result && x.Reason == y.Reason
	}) {
		t.Error("the findings differ")
	}
	if list := messages(t, p, mailbox.Query{}); len(list) != 1 || list[0].ID != a.ID {
		t.Errorf("%d messages in the account", len(list))
	}
	if list := messages(t, p, mailbox.Query{Refused: true}); len(list) != 2 {
		t.Errorf("%d messages with the refused", len(list))
	}
	// What was refused has not been seen: the sender may come again.
	if again := stranger().Messages[0]; !slices.Equal(again.Evidence.EarlierURLs, []string{serviceURL}) {
		t.Errorf("earlier URLs are %q", again.Evidence.EarlierURLs)
	}
}

func TestEarlierURLs(t *testing.T) {
	t.Parallel()
	p := newProvider(t, provider.Options{})
	urlOnce := func(m mailbox.Message, i int) policy.Result {
		f, ok := m.Verdict.Actions[i].Finding("url-once")
		if !ok {
			t.Fatal("there is no check url-once")
		}
		return f.Result
	}
	first := delivered(t, p, approval(serviceURL, serviceURL+"&b"))
	if urlOnce(first, 0) != policy.Pass || urlOnce(first, 1) != policy.Pass {
		t.Error("the first message has been seen before")
	}
	second := delivered(t, p, approval(serviceURL+"&c", serviceURL+"&b"))
	if urlOnce(second, 0) != policy.Pass || urlOnce(second, 1) != policy.Fail {
		t.Error("the second message's last URL is new, or its first is not")
	}
}

// brokenStore cannot store.
type brokenStore struct{ mailbox.Store }

var errDiskFull = errors.New("disk full")

func (brokenStore) Put(context.Context, ...mailbox.Message) error { return errDiskFull }

// What is not stored is not accepted, and nobody is told of it.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	p := newProvider(t, provider.Options{
		Store:     brokenStore{mailbox.NewMemory(mailbox.Limits{})},
		OnMessage: func(mailbox.Message) { t.Error("a message is announced that is not stored") },
	})
	d := deliver(t, p, approval(), "alice@gmail.test")
	if d.Reply.Code != 451 || d.Reply.Enhanced != "4.3.0" || d.Reply.Command != "DATA" || len(d.Messages) != 0 || strings.Contains(d.Reply.String(), "disk") {
		t.Errorf("got %+v", d)
	}
}

// A fault of ours in reading a message loses no message.
func TestPanicKeepsMail(t *testing.T) {
	t.Parallel()
	up := &upstream{broken: true}
	p := newProvider(t, provider.Options{Upstream: up})
	raw := []byte("From: x@else.example\r\n\r\ntext\r\n")
	d, err := p.Deliver(t.Context(), netip.MustParseAddr("198.51.100.7"), provider.Mail{From: "x@else.example", To: []string{"alice@gmail.test"}, Raw: raw}, false)
	if err != nil || len(d.Messages) != 1 || len(up.questions()) == 0 {
		t.Fatalf("%+v, %v", d, err)
	}
	m := d.Messages[0]
	if m.Problem != "reading the message: upstream is broken" || !bytes.Equal(m.Raw, raw) {
		t.Errorf("problem %q, raw %q", m.Problem, m.Raw)
	}
	if len(m.Verdict.Findings) == 0 || len(m.Evidence.Header.Problems) != 1 {
		t.Errorf("verdict is %+v", m.Verdict)
	}
	// And the server goes on.
	if d := deliver(t, p, approval(), "alice@gmail.test"); !d.Reply.Accepted() {
		t.Errorf("the next one: %s", d.Reply)
	}
}

// What arrives over a real connection, with STARTTLS, has all of it in its
// evidence; a mapped peer keeps its socket's address.
func TestEvidenceOverTCP(t *testing.T) {
	t.Parallel()
	p := newProvider(t, provider.Options{})
	p.MapPeer(netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr(senderPeer))
	l := listen(t)
	p.ServeSMTP(l)
	config := &tls.Config{RootCAs: p.CA().Pool(), ServerName: "mx.gmail.test"}
	raw := []byte("From: noreply@shop.example\r\n\r\n.\r\n..\r\nend without line end")
	reply := send(t, l.Addr().String(), nil, provider.Mail{HELO: "mail.shop.example", From: "bounce@shop.example", To: []string{"alice+x@gmail.test"}, TLS: config, Raw: raw})
	if !reply.Accepted() {
		t.Fatal(reply)
	}
	m := messages(t, p, mailbox.Query{Account: "alice@gmail.test"})[0]
	a := m.Evidence.Arrival
	want := policy.Arrival{
		Channel: policy.ChannelSMTP, Peer: netip.MustParseAddr(senderPeer), Socket: netip.MustParseAddr("127.0.0.1"), HELO: "mail.shop.example",
		TLS: "TLS1_3", Cipher: a.Cipher, MailFrom: "bounce@shop.example", Rcpt: "alice+x@gmail.test", Session: a.Session,
	}
	if a != want || !strings.HasPrefix(a.Cipher, "TLS_") || !strings.Contains(reply.Lines[0], a.Session) {
		t.Errorf("got %+v", a)
	}
	if !bytes.Equal(m.Raw, append(raw, "\r\n"...)) {
		t.Errorf("raw is %q", m.Raw)
	}
	if auth := m.Evidence.Auth; auth.SPF.Result != policy.AuthPass || auth.ReverseDNS.Result != policy.AuthPass || len(m.Questions) == 0 || m.Questions[0].Source != "zone" {
		t.Errorf("got %+v, %+v", auth, m.Questions)
	}
}

// A trusted proxy names the client.
func TestProxyHeader(t *testing.T) {
	t.Parallel()
	p := newProvider(t, provider.Options{ProxyFrom: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	l := listen(t)
	p.ServeSMTP(l)
	header := []byte("PROXY TCP4 192.0.2.10 192.0.2.25 40000 25\r\n")
	if reply := send(t, l.Addr().String(), header, provider.Mail{HELO: "mail.shop.example", To: []string{"alice@gmail.test"}, Raw: approval()}); !reply.Accepted() {
		t.Fatal(reply)
	}
	if a := messages(t, p, mailbox.Query{})[0].Evidence.Arrival; a.Peer.String() != senderPeer || a.Socket.String() != "127.0.0.1" {
		t.Errorf("got %+v", a)
	}
	if _, err := p.Deliver(t.Context(), netip.MustParseAddr("127.0.0.9"), provider.Mail{}, false); err == nil {
		t.Error("mail of the proxy itself is taken")
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// send sends a mail over TCP, after what a proxy says first.
func send(t *testing.T, addr string, proxy []byte, m provider.Mail) provider.Reply {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(proxy); err != nil {
		t.Fatal(err)
	}
	reply, err := provider.Send(t.Context(), conn, m)
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

// Deliveries at the same time get their own messages.
func TestDeliveriesAtOnce(t *testing.T) {
	t.Parallel()
	p := newProvider(t, provider.Options{})
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			raw := approval("https://shop.example/" + strconv.Itoa(i))
			d, err := p.Deliver(t.Context(), netip.MustParseAddr(senderPeer), provider.Mail{To: []string{"alice@gmail.test"}, Raw: raw}, i%2 == 0)
			if err != nil || len(d.Messages) != 1 || !bytes.Equal(d.Messages[0].Raw, raw) {
				t.Errorf("%d messages, %s, %v", len(d.Messages), d.Reply, err)
			}
		})
	}
	group.Wait()
	if list := messages(t, p, mailbox.Query{}); len(list) != 20 || list[19].Seq != 20 {
		t.Errorf("%d messages", len(list))
	}
}

// Examining a message stores nothing and asks for no account.
func TestExamine(t *testing.T) {
	t.Parallel()
	p := newProvider(t, provider.Options{OnMessage: func(mailbox.Message) { t.Error("a message is announced") }})
	m := p.Examine(t.Context(), policy.Arrival{Channel: policy.ChannelFile, Rcpt: "zoe@elsewhere.example"}, approval(serviceURL))
	if m.Account != "zoe@elsewhere.example" || len(m.Verdict.Actions) != 1 || m.Verdict.Actions[0].Answer != policy.Withheld || m.Evidence.Arrival.Peer.IsValid() {
		t.Errorf("got %+v", m.Verdict)
	}
	if list := messages(t, p, mailbox.Query{Refused: true}); len(list) != 0 {
		t.Errorf("%d messages are stored", len(list))
	}
}

func TestSendErrors(t *testing.T) {
	t.Parallel()
	p := newProvider(t, provider.Options{})
	peer := netip.MustParseAddr(senderPeer)
	if _, err := p.Deliver(t.Context(), peer, provider.Mail{From: "a@b.example>\r\nRCPT TO:<x", To: []string{"alice@gmail.test"}}, false); err == nil || err.Error() != "MAIL with a line break in its argument" {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Deliver(ctx, peer, provider.Mail{To: []string{"alice@gmail.test"}}, false); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if r := (provider.Reply{Code: 354, Lines: []string{"Go", "on"}}).String(); r != "354 Go on" {
		t.Errorf("got %q", r)
	}
}

// Closing twice is closing once; afterwards nothing is taken.
func TestClose(t *testing.T) {
	t.Parallel()
	p := newProvider(t, provider.Options{})
	l, certs := listen(t), listen(t)
	p.ServeSMTP(l)
	if err := p.ServeCertificates(certs); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for _, addr := range []string{l.Addr().String(), certs.Addr().String()} {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			t.Errorf("%s still listens", addr)
		}
	}
	if d, err := p.Deliver(t.Context(), netip.MustParseAddr(senderPeer), provider.Mail{To: []string{"alice@gmail.test"}}, false); err == nil && d.Reply.Accepted() {
		t.Error("a closed provider takes mail")
	}
}
