package mailaccess

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"

	"github.com/doppelbox/doppelbox/testdata/conformance"
)

// A client as others write it: TLS from the first octet, STARTTLS, and neither.
func TestIMAPClient(t *testing.T) {
	t.Parallel()
	server, client := imapTLS(t)
	ways := map[string]struct {
		dial func(t *testing.T, s *IMAPServer, o *imapclient.Options) (*imapclient.Client, error)
		tls  string
	}{
		"tls": {func(t *testing.T, s *IMAPServer, o *imapclient.Options) (*imapclient.Client, error) {
			return imapclient.DialTLS(listenIMAP(t, s, server), o)
		}, "TLS1_3"},
		"starttls": {func(t *testing.T, s *IMAPServer, o *imapclient.Options) (*imapclient.Client, error) {
			return imapclient.DialStartTLS(listenIMAP(t, s, nil), o)
		}, "TLS1_3"},
		"pipe": {func(t *testing.T, s *IMAPServer, o *imapclient.Options) (*imapclient.Client, error) {
			return imapclient.New(pipeIMAP(t, s), o), nil
		}, ""},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newIMAPBox(imapPlainMail, imapPlainMail)
			var log bytes.Buffer
			s := newIMAPServer(t, b, func(o *Options) {
				o.TLSConfig, o.InsecureLogin = server, way.tls == ""
				o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			})
			exists := make(chan uint32, 9)
			c, err := way.dial(t, s, &imapclient.Options{
				TLSConfig: client.Clone(),
				UnilateralDataHandler: &imapclient.UnilateralDataHandler{Mailbox: func(d *imapclient.UnilateralDataMailbox) {
					if d.NumMessages != nil {
						exists <- *d.NumMessages
					}
				}},
			})
			if err != nil {
				t.Fatal(err)
			}
			useIMAPClient(t, c, b, exists)
			if err := s.Close(); err != nil { // What is logged, is logged now.
				t.Error(err)
			}
			want := strings.ReplaceAll(`imap-1 V login-denied "alice"  false "gopher 1.0"
imap-1 V login "alice"  false "gopher 1.0"
imap-1 V read "alice" id1 false "gopher 1.0"
imap-1 V read "alice" id2 false "gopher 1.0"
imap-1 V read "alice" id2 true "gopher 1.0"
`, "V", way.tls)
			if got := b.said(); got != want {
				t.Errorf("got events\n%swant\n%s", got, want)
			}
			if strings.Contains(log.String(), "open it") || strings.Contains(log.String(), "closed it") || strings.Contains(log.String(), "Hello") {
				t.Errorf("log has a password or mail:\n%s", log.String())
			}
			if way.tls == "" {
				return
			}
			if peer := b.logins[0].Peer.String(); peer != "127.0.0.1" {
				t.Errorf("got peer %q", peer)
			}
		})
	}
}

func useIMAPClient(t *testing.T, c *imapclient.Client, b *imapBox, exists <-chan uint32) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := c.ID(&imap.IDData{Name: "gopher", Version: "1.0"}).Wait()
	must(err)
	var no *imap.Error
	if err := c.Login("alice", "closed it").Wait(); !errors.As(err, &no) || no.Code != imap.ResponseCodeAuthenticationFailed {
		t.Errorf("got %v", err)
	}
	must(c.Authenticate(sasl.NewPlainClient("", "alice", "open it")))
	selected, err := c.Select("INBOX", nil).Wait()
	must(err)
	if selected.NumMessages != 2 || selected.UIDNext != 21 || selected.UIDValidity != imapUIDValidity {
		t.Errorf("selected %+v", selected)
	}
	got, err := c.Fetch(imap.SeqSetNum(1, 2), &imap.FetchOptions{Envelope: true, BodyStructure: &imap.FetchItemBodyStructure{Extended: true}}).Collect()
	must(err)
	if e := got[1].Envelope; e.Subject != "Your order" || e.From[0].Addr() != "noreply@shop.example" || e.MessageID != "1@shop.example" {
		t.Errorf("got envelope %+v", e)
	}
	if typ := got[0].BodyStructure.MediaType(); typ != "text/plain" {
		t.Errorf("got structure %q", typ)
	}
	whole := &imap.FetchItemBodySection{}
	got, err = c.Fetch(imap.UIDSetNum(20), &imap.FetchOptions{BodySection: []*imap.FetchItemBodySection{whole}}).Collect()
	must(err)
	if raw := string(got[0].FindBodySection(whole)); raw != imapPlainMail {
		t.Errorf("got %q", raw)
	}
	found, err := c.UIDSearch(&imap.SearchCriteria{Flag: []imap.Flag{imap.FlagSeen}}, nil).Wait()
	must(err)
	if uids := found.AllUIDs(); !slices.Equal(uids, []imap.UID{20}) {
		t.Errorf("found %v", uids)
	}
	idle, err := c.Idle()
	must(err)
	b.receive(imapPlainMail)
	if n := <-exists; n != 3 {
		t.Errorf("told of %d messages", n)
	}
	must(idle.Close())
	must(idle.Wait())
	must(c.Store(imap.SeqSetNum(1), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagDeleted}}, nil).Close())
	gone, err := c.Expunge().Collect()
	must(err)
	if !slices.Equal(gone, []uint32{1}) {
		t.Errorf("expunged %v", gone)
	}
	must(c.UnselectAndExpunge().Wait())
	status, err := c.Status("INBOX", &imap.StatusOptions{NumMessages: true}).Wait()
	must(err)
	if *status.NumMessages != 2 {
		t.Errorf("got status %+v", status)
	}
	must(c.Logout().Wait())
}

// What the client says in the clear is forgotten under TLS.
func TestIMAPStartTLS(t *testing.T) {
	t.Parallel()
	server, client := imapTLS(t)
	b := newIMAPBox()
	d := dialIMAP(t, newIMAPServer(t, b, func(o *Options) { o.TLSConfig, o.InsecureLogin = server, false }))
	d.do(`ID ("name" "somebody else")`)
	d.want("STARTTLS", "x OK begin TLS now\n")
	conn := tls.Client(d.conn, client)
	d.conn = conn
	d.in.Reset(conn)
	d.want("CAPABILITY", "* CAPABILITY IMAP4rev1 LITERAL- ID SASL-IR AUTH=PLAIN\nx OK done\n")
	d.want("STARTTLS", "x BAD this is TLS\n")
	d.do(`LOGIN alice "open it"`)
	if got := b.said(); got != "imap-1 TLS1_3 login \"alice\"  false \"\"\n" {
		t.Errorf("got %q", got)
	}
}

// Every message comes out as it went in.
func TestIMAPByteExact(t *testing.T) {
	t.Parallel()
	t.Run("own", func(t *testing.T) {
		t.Parallel()
		testIMAPByteExact(t, map[string]string{
			"empty": "", "lf": "A: b\n\nc\n", "cr": "A: b\r\n\r\nc\rd\r", "nul": "A: b\r\n\r\n\x00",
			"8bit": "\xff: \xfe\r\n\r\n\x80", "dots": "A: b\r\n\r\n.\r\n..\r\n.", "parens": ")\r\nx OK FETCH completed\r\n",
			"long": "A: b\r\n\r\n" + strings.Repeat("x", 10<<20), "bug": "x" + imapServerBug,
		})
	})
	t.Run("conformance", func(t *testing.T) {
		t.Parallel()
		testIMAPByteExact(t, malformedMail(t))
	})
}

func testIMAPByteExact(t *testing.T, mails map[string]string) {
	t.Helper()
	b := newIMAPBox()
	names := slices.Sorted(maps.Keys(mails))
	for _, name := range names {
		b.mails = append(b.mails, mails[name])
	}
	c := imapclient.New(pipeIMAP(t, newIMAPServer(t, b, readOnlyIMAP)), nil)
	defer c.Close()
	if err := c.Login("alice", "open it").Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	sections := []*imap.FetchItemBodySection{
		{Peek: true},
		{Peek: true, Specifier: imap.PartSpecifierHeader},
		{Peek: true, Specifier: imap.PartSpecifierText},
		{Peek: true, Partial: &imap.SectionPartial{Offset: 7, Size: 100}},
	}
	for i, name := range names {
		got, err := c.Fetch(imap.SeqSetNum(uint32(i+1)), &imap.FetchOptions{
			Envelope: true, RFC822Size: true, BodySection: sections, BodyStructure: &imap.FetchItemBodyStructure{Extended: true},
		}).Collect()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		raw := mails[name]
		part := func(i int) string { return string(got[0].FindBodySection(sections[i])) }
		if part(0) != raw || part(1)+part(2) != raw || part(3) != raw[min(7, len(raw)):min(107, len(raw))] || got[0].RFC822Size != int64(len(raw)) {
			t.Errorf("%s: got other octets", name)
		}
	}
	t.Logf("%d messages", len(names))
}

// malformedMail returns the broken messages of the conformance data.
func malformedMail(t *testing.T) map[string]string {
	t.Helper()
	mails := map[string]string{}
	err := filepath.WalkDir(conformance.Path(t, "malformed"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		mails[path] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	conformance.Report(t, "malformed, read by IMAP", len(mails), 0)
	return mails
}
