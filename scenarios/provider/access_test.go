package provider_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

const password = "open sesame"

// serveIMAP serves the accounts of a provider, and returns where.
func serveIMAP(t *testing.T, p *provider.Provider, implicit bool) string {
	t.Helper()
	l := listen(t)
	if err := p.ServeIMAP(l, implicit); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

func servePOP3(t *testing.T, p *provider.Provider, implicit bool) string {
	t.Helper()
	l := listen(t)
	if err := p.ServePOP3(l, implicit); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

func clientTLS(p *provider.Provider, host string) *tls.Config {
	return &tls.Config{RootCAs: p.CA().Pool(), ServerName: host}
}

// dialIMAP returns a client under TLS that has not logged in.
func dialIMAP(t *testing.T, p *provider.Provider, o imapclient.Options) *imapclient.Client {
	t.Helper()
	o.TLSConfig = clientTLS(p, "imap."+p.Domain())
	c, err := imapclient.DialStartTLS(serveIMAP(t, p, false), &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// accesses returns the sessions that were recorded.
func accesses(t *testing.T, p *provider.Provider) []mailbox.Access {
	t.Helper()
	list, err := p.Store().Accesses(context.WithoutCancel(t.Context()), p.WorldName())
	must(t, err)
	return list
}

// pop is a POP3 client that can say anything.
type pop struct {
	t    *testing.T
	text *textproto.Conn
}

// dialPOP returns a client, under TLS from the first octet.
func dialPOP(t *testing.T, p *provider.Provider) pop {
	t.Helper()
	conn, err := tls.Dial("tcp", servePOP3(t, p, true), clientTLS(p, "pop."+p.Domain()))
	must(t, err)
	return newPOP(t, conn)
}

func newPOP(t *testing.T, conn net.Conn) pop {
	t.Helper()
	c := pop{t, textproto.NewConn(conn)}
	t.Cleanup(func() { c.text.Close() })
	c.line()
	return c
}

func (c pop) line() string {
	c.t.Helper()
	line, err := c.text.ReadLine()
	must(c.t, err)
	return line
}

func (c pop) do(command string) string {
	c.t.Helper()
	must(c.t, c.text.PrintfLine("%s", command))
	return c.line()
}

// retrieve reads a message, dot-stuffing undone.
func (c pop) retrieve(command string) string {
	c.t.Helper()
	if line := c.do(command); !strings.HasPrefix(line, "+OK") {
		c.t.Fatalf("%s: %s", command, line)
	}
	// Not ReadDotBytes, which makes LF of CRLF.
	var b strings.Builder
	for {
		line, err := c.text.R.ReadString('\n')
		must(c.t, err)
		if line == ".\r\n" {
			return b.String()
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
}

// What a program reads by IMAP is what is stored, and the session is recorded
// with what it read whole.
func TestReadByIMAP(t *testing.T) {
	t.Parallel()
	p := newSealing(t, provider.Options{})
	configure(t, p, alice, provider.Settings{Password: password})
	first, second := delivered(t, p, sign(t, p, approval(serviceURL))), delivered(t, p, note(""))
	deliver(t, p, note(""), "postmaster@gmail.test")
	c := dialIMAP(t, p, imapclient.Options{})
	_, err := c.ID(&imap.IDData{Name: "gopher", Version: "1.0"}).Wait()
	must(t, err)
	must(t, c.Login("alice", password).Wait())
	box, err := c.Select("INBOX", nil).Wait()
	must(t, err)
	if box.NumMessages != 2 || !slices.Contains(box.Flags, imap.FlagSeen) || len(box.PermanentFlags) > 0 {
		t.Errorf("selected %+v", box)
	}
	whole := &imap.FetchItemBodySection{Peek: true}
	got, err := c.Fetch(imap.SeqSetNum(1, 2), &imap.FetchOptions{RFC822Size: true, InternalDate: true, UID: true, BodySection: []*imap.FetchItemBodySection{whole}}).Collect()
	must(t, err)
	for i, m := range []mailbox.Message{first, second} {
		want := string(stored(t, p, m))
		if raw := string(got[i].FindBodySection(whole)); raw != want || got[i].RFC822Size != int64(len(want)) || !got[i].InternalDate.Equal(start()) || int64(got[i].UID) != m.Seq {
			t.Errorf("message %d: size %d, date %s, UID %d\n%s", i, got[i].RFC822Size, got[i].InternalDate, got[i].UID, raw)
		}
	}
	if err := c.Store(imap.SeqSetNum(1), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagDeleted}}, nil).Close(); err == nil {
		t.Error("a read-only mailbox takes a flag")
	}
	must(t, c.Logout().Wait())
	list := accesses(t, p)
	if len(list) != 1 {
		t.Fatalf("%d sessions: %+v", len(list), list)
	}
	a := list[0]
	if a.World != p.WorldName() || a.Account != alice || a.Protocol != "imap" || a.Peer != netip.MustParseAddr("127.0.0.1") || a.TLS != "TLS1_3" ||
		a.Client != "gopher 1.0" || a.Denied || !a.At.Equal(start()) || !slices.Equal(a.Read, []string{first.ID, second.ID}) {
		t.Errorf("got %+v", a)
	}
}

// Only what was read whole counts as read, each message once.
func TestReadInPart(t *testing.T) {
	t.Parallel()
	p := newSealing(t, provider.Options{})
	configure(t, p, alice, provider.Settings{Password: password})
	delivered(t, p, note(""))
	m := delivered(t, p, note(""))
	c := dialIMAP(t, p, imapclient.Options{})
	must(t, c.Login(alice, password).Wait())
	_, err := c.Select("INBOX", nil).Wait()
	must(t, err)
	header := &imap.FetchItemBodySection{Specifier: imap.PartSpecifierHeader}
	_, err = c.Fetch(imap.SeqSetNum(1), &imap.FetchOptions{Envelope: true, BodySection: []*imap.FetchItemBodySection{header}}).Collect()
	must(t, err)
	if list := accesses(t, p); len(list) != 1 || len(list[0].Read) != 0 {
		t.Errorf("after a header: %+v", list)
	}
	for range 2 {
		_, err = c.Fetch(imap.SeqSetNum(2), &imap.FetchOptions{BodySection: []*imap.FetchItemBodySection{{}}}).Collect()
		must(t, err)
	}
	if list := accesses(t, p); len(list) != 1 || !slices.Equal(list[0].Read, []string{m.ID}) {
		t.Errorf("after a message: %+v", list)
	}
}

// POP3, likewise; it has no way to say which program it is.
func TestReadByPOP3(t *testing.T) {
	t.Parallel()
	p := newSealing(t, provider.Options{})
	configure(t, p, alice, provider.Settings{Password: password})
	m := delivered(t, p, note(""))
	n := delivered(t, p, sign(t, p, approval(serviceURL)))
	c := dialPOP(t, p)
	if a, b := c.do("USER Alice"), c.do("PASS "+password); !strings.HasPrefix(a, "+OK") || !strings.HasPrefix(b, "+OK") {
		t.Fatal(a, b)
	}
	if raw := c.retrieve("RETR 1"); raw != string(stored(t, p, m)) {
		t.Errorf("got\n%s", raw)
	}
	if text := c.retrieve("UIDL"); text != "1 "+m.ID+"\r\n2 "+n.ID+"\r\n" {
		t.Errorf("ids are %q", text)
	}
	if top := c.retrieve("TOP 2 0"); !strings.HasPrefix(string(stored(t, p, n)), top) {
		t.Errorf("top is\n%s", top)
	}
	if line := c.do("DELE 1"); !strings.HasPrefix(line, "-ERR") {
		t.Errorf("a read-only mailbox deletes: %s", line)
	}
	c.do("QUIT")
	list := accesses(t, p)
	if len(list) != 1 || list[0].Protocol != "pop3" || list[0].Account != alice || list[0].TLS != "TLS1_3" || list[0].Client != "" || list[0].Denied || !slices.Equal(list[0].Read, []string{m.ID}) {
		t.Errorf("got %+v", list)
	}
}

// Who gets in, and who not.
func TestAccessLogin(t *testing.T) {
	t.Parallel()
	p, other := newPair(t, provider.Options{})
	configure(t, p, alice, provider.Settings{Password: password})
	configure(t, other, carol, provider.Settings{Password: "of carol"})
	if err := p.AddAccount(bob); err != nil { // He has set no password.
		t.Fatal(err)
	}
	tests := []struct {
		at             *provider.Provider
		user, password string
		in             bool
		account        string // As it is recorded.
	}{
		{p, alice, password, true, alice},
		{p, "ALICE@Gmail.TEST", password, true, alice},
		{p, "alice", password, true, alice},
		{p, alice, "Open sesame", false, alice},
		{p, alice, password + " ", false, alice},
		{p, alice, "", false, alice},
		{p, bob, "", false, bob},
		{p, bob, password, false, bob},
		{p, "nobody", password, false, "nobody@gmail.test"},
		{p, "postmaster", password, false, "postmaster@gmail.test"},
		{p, "alice@other.test", password, false, "alice@other.test"},
		{other, carol, "of carol", true, carol},
		{other, "carol", "of carol", true, carol},
		{other, "alice", password, false, "alice@other.test"},
		{p, "carol", "of carol", false, "carol@gmail.test"},
	}
	imapAt, popAt := map[*provider.Provider]string{}, map[*provider.Provider]string{}
	for _, q := range []*provider.Provider{p, other} {
		imapAt[q], popAt[q] = serveIMAP(t, q, true), servePOP3(t, q, true)
	}
	for _, tt := range tests {
		before := len(accesses(t, p))
		c, err := imapclient.DialTLS(imapAt[tt.at], &imapclient.Options{TLSConfig: clientTLS(p, "imap."+tt.at.Domain())})
		must(t, err)
		err = c.Login(tt.user, tt.password).Wait()
		var no *imap.Error
		if (err == nil) != tt.in || err != nil && (!errors.As(err, &no) || no.Code != imap.ResponseCodeAuthenticationFailed) {
			t.Errorf("IMAP: %q with %q: %v", tt.user, tt.password, err)
		}
		c.Close()
		conn, err := tls.Dial("tcp", popAt[tt.at], clientTLS(p, "pop."+tt.at.Domain()))
		must(t, err)
		q := newPOP(t, conn)
		q.do("USER " + tt.user)
		line := q.do("PASS " + tt.password)
		if strings.HasPrefix(line, "+OK") != tt.in {
			t.Errorf("POP3: %q with %q: %s", tt.user, tt.password, line)
		}
		list := accesses(t, p)[before:]
		if tt.password == "" && len(list) == 1 {
			continue // PASS without a password is no login, but a mistake.
		}
		if len(list) != 2 || list[0].Account != tt.account || list[0].Denied == tt.in || list[1].Account != tt.account || list[1].Denied == tt.in || list[0].ID == list[1].ID {
			t.Errorf("%q: recorded as %+v", tt.user, list)
		}
	}
}

// The accounts of one provider are not readable at another one, even with their
// password.
func TestAccessOfOtherProvider(t *testing.T) {
	t.Parallel()
	p, other := newPair(t, provider.Options{})
	configure(t, p, alice, provider.Settings{Password: password})
	configure(t, other, carol, provider.Settings{Password: "of carol"})
	if err := dialIMAP(t, p, imapclient.Options{}).Login(carol, "of carol").Wait(); err == nil {
		t.Error("carol@other.test is let in by imap.gmail.test")
	}
	c := dialPOP(t, other)
	c.do("USER " + alice)
	if line := c.do("PASS " + password); strings.HasPrefix(line, "+OK") {
		t.Error("alice@gmail.test is let in by pop.other.test")
	}
}

// Without TLS no password is taken, whichever it is, and none is recorded.
func TestAccessNeedsTLS(t *testing.T) {
	t.Parallel()
	var book logBook
	p := newSealing(t, provider.Options{Logger: book.logger()})
	configure(t, p, alice, provider.Settings{Password: password})
	c, err := imapclient.DialInsecure(serveIMAP(t, p, false), nil)
	must(t, err)
	defer c.Close()
	if err := c.Login(alice, password).Wait(); err == nil {
		t.Error("IMAP takes a password in the clear")
	}
	conn, err := net.Dial("tcp", servePOP3(t, p, false))
	must(t, err)
	q := newPOP(t, conn)
	if line := q.do("USER alice"); !strings.HasPrefix(line, "-ERR") {
		t.Errorf("POP3 takes a user in the clear: %s", line)
	}
	// The same connection, with TLS.
	if line := q.do("STLS"); !strings.HasPrefix(line, "+OK") {
		t.Fatal(line)
	}
	secure := tls.Client(conn, clientTLS(p, "pop.gmail.test"))
	q = pop{t, textproto.NewConn(secure)}
	q.do("USER alice")
	if line := q.do("PASS " + password); !strings.HasPrefix(line, "+OK") {
		t.Error(line)
	}
	if list := accesses(t, p); len(list) != 1 || list[0].TLS != "TLS1_3" || list[0].Denied {
		t.Errorf("recorded %+v", list)
	}
	if strings.Contains(book.String(), password) {
		t.Errorf("the log has the password:\n%s", book.String())
	}
}

// One connection is one session: what counts is how it ended.
func TestAccessAfterDenial(t *testing.T) {
	t.Parallel()
	p := newSealing(t, provider.Options{})
	configure(t, p, alice, provider.Settings{Password: password})
	c := dialIMAP(t, p, imapclient.Options{})
	if err := c.Login("bob", "x").Wait(); err == nil {
		t.Error("bob is let in")
	}
	if list := accesses(t, p); len(list) != 1 || !list[0].Denied || list[0].Account != bob {
		t.Errorf("after the first try: %+v", list)
	}
	must(t, c.Login("alice", password).Wait())
	if list := accesses(t, p); len(list) != 1 || list[0].Denied || list[0].Account != alice {
		t.Errorf("after the second: %+v", list)
	}
}
