package provider_test

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// Who waits for mail is told of it, and of nothing that comes for others.
func TestIdle(t *testing.T) {
	t.Parallel()
	p := newSealing(t, provider.Options{})
	configure(t, p, alice, provider.Settings{Password: password})
	if err := p.AddAccount(bob); err != nil {
		t.Fatal(err)
	}
	exists := make(chan uint32, 9)
	c := dialIMAP(t, p, imapclient.Options{UnilateralDataHandler: &imapclient.UnilateralDataHandler{Mailbox: func(d *imapclient.UnilateralDataMailbox) {
		if d.NumMessages != nil {
			exists <- *d.NumMessages
		}
	}}})
	must(t, c.Login(alice, password).Wait())
	_, err := c.Select("INBOX", nil).Wait()
	must(t, err)
	idle, err := c.Idle()
	must(t, err)
	deliver(t, p, note(""), bob)
	for want := range uint32(3) {
		delivered(t, p, note(""))
		if n := <-exists; n != want+1 {
			t.Errorf("told of %d messages, there are %d", n, want+1)
		}
	}
	must(t, idle.Close())
	must(t, idle.Wait())
	if len(exists) > 0 {
		t.Error("told of more")
	}
	must(t, c.Logout().Wait())
}

// A provider that lets programs write forgets nothing by it: what came stays.
func TestWritable(t *testing.T) {
	t.Parallel()
	p := newSealing(t, provider.Options{Writable: true})
	configure(t, p, alice, provider.Settings{Password: password})
	m := delivered(t, p, note(""))
	kept := delivered(t, p, note(""))
	c := dialIMAP(t, p, imapclient.Options{})
	must(t, c.Login(alice, password).Wait())
	_, err := c.Select("INBOX", nil).Wait()
	must(t, err)
	must(t, c.Store(imap.SeqSetNum(1), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagDeleted, imap.FlagSeen}}, nil).Close())
	gone, err := c.Expunge().Collect()
	must(t, err)
	if !slices.Equal(gone, []uint32{1}) {
		t.Errorf("expunged %v", gone)
	}
	// The other protocol sees the same.
	q := dialPOP(t, p)
	q.do("USER alice")
	q.do("PASS " + password)
	if text := q.retrieve("UIDL"); text != "1 "+kept.ID+"\r\n" {
		t.Errorf("POP3 lists %q", text)
	}
	if line := q.do("DELE 1"); !strings.HasPrefix(line, "+OK") {
		t.Error(line)
	}
	q.do("QUIT")
	_, _ = io.Copy(io.Discard, q.text.R)
	if status, err := c.Status("INBOX", &imap.StatusOptions{NumMessages: true}).Wait(); err != nil || *status.NumMessages != 0 {
		t.Errorf("IMAP has %+v, %v", status, err)
	}
	if list := messages(t, p, mailbox.Query{Account: alice}); len(list) != 2 || list[0].ID != m.ID {
		t.Errorf("%d messages are left in the record", len(list))
	}
}

// A session in progress does not keep a world from being closed.
func TestCloseWhileReading(t *testing.T) {
	t.Parallel()
	p := newSealing(t, provider.Options{})
	configure(t, p, alice, provider.Settings{Password: password})
	c := dialIMAP(t, p, imapclient.Options{})
	must(t, c.Login(alice, password).Wait())
	_, err := c.Select("INBOX", nil).Wait()
	must(t, err)
	_, err = c.Idle()
	must(t, err)
	q := dialPOP(t, p)
	must(t, p.Close())
	if _, err := q.text.ReadLine(); err == nil {
		t.Error("the POP3 session goes on")
	}
	<-c.Closed()
}
