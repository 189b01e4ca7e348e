package mailaccess

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// imapBox is a Backend with one mailbox, of user alice with password "open it".
// The fields before mu are set before use.
type imapBox struct {
	readErr error
	listErr error

	mu     sync.Mutex
	mails  []string
	reads  []string // IDs.
	logins []Login
	events []Event
	news   chan struct{} // Closed when mail comes.
}

func newIMAPBox(mails ...string) *imapBox { return &imapBox{mails: mails, news: make(chan struct{})} }

func (b *imapBox) Login(_ context.Context, l Login) (Mailbox, error) {
	b.mu.Lock()
	b.logins = append(b.logins, l)
	b.mu.Unlock()
	switch {
	case l.User == "panic":
		panic("open it")
	case l.User == "down":
		return nil, errors.New("disk on fire")
	case l.User == "blind" && l.Password == "open it":
		return imapPlainBox{b}, nil
	case l.User != "alice" || l.Password != "open it":
		return nil, fmt.Errorf("looking up: %w", ErrLogin)
	}
	return b, nil
}

// imapPlainBox is the mailbox of an imapBox, but no Watcher.
type imapPlainBox struct{ Mailbox }

func (b *imapBox) Accessed(e Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, e)
}

func (b *imapBox) Name() string { return "alice" }

func (b *imapBox) Messages(context.Context) ([]Message, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []Message
	for i, raw := range b.mails {
		list = append(list, Message{
			ID:         fmt.Sprint("id", i+1),
			UID:        uint32(10 * (i + 1)),
			Size:       int64(len(raw)),
			ReceivedAt: time.Date(2026, 9, 10+i, 23, 30, 0, 0, time.FixedZone("", -7*3600)),
		})
	}
	return list, b.listErr
}

func (b *imapBox) Read(_ context.Context, id string) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reads = append(b.reads, id)
	var i int
	if _, err := fmt.Sscanf(id, "id%d", &i); err != nil {
		return nil, err
	}
	if b.mails[i-1] == "panic" {
		panic("open it")
	}
	return []byte(b.mails[i-1]), b.readErr
}

func (b *imapBox) Changed(context.Context) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.news
}

// receive adds a message.
func (b *imapBox) receive(raw string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mails = append(b.mails, raw)
	close(b.news)
	b.news = make(chan struct{})
}

// said returns the events, one a line.
func (b *imapBox) said() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var s strings.Builder
	for _, e := range b.events {
		fmt.Fprintf(&s, "%s %s %s %q %s %v %q\n", e.ID, e.TLS, e.Kind, e.User, e.Message, e.Whole, e.Client)
	}
	return s.String()
}

// newIMAPServer makes a server that is closed with the test. change may be nil.
func newIMAPServer(t testing.TB, b Backend, change func(*Options)) *IMAPServer {
	t.Helper()
	o := Options{Backend: b, Hostname: "imap.gmail.test", InsecureLogin: true, Changes: NewChanges()}
	if change != nil {
		change(&o)
	}
	s, err := NewIMAP(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return s
}

func readOnlyIMAP(o *Options) { o.Changes = nil }

// imapDialogue is the client's end of a connection.
type imapDialogue struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

// pipeIMAP serves one end of a net.Pipe.
func pipeIMAP(t testing.TB, s *IMAPServer) net.Conn {
	t.Helper()
	near, far := net.Pipe()
	served := make(chan struct{})
	go func() {
		defer close(served)
		s.ServeConn(far)
	}()
	t.Cleanup(func() {
		near.Close()
		<-served
	})
	return near
}

// dialIMAP connects and reads the greeting.
func dialIMAP(t testing.TB, s *IMAPServer) *imapDialogue {
	t.Helper()
	conn := pipeIMAP(t, s)
	d := &imapDialogue{t: t, conn: conn, in: bufio.NewReader(conn)}
	if got := d.line(); !strings.HasPrefix(got, "* OK [CAPABILITY IMAP4rev1 ") || !strings.HasSuffix(got, "] imap.gmail.test IMAP4rev1 server ready\r\n") {
		t.Fatalf("greeting %q", got)
	}
	return d
}

// openIMAP logs in and selects INBOX.
func openIMAP(t testing.TB, s *IMAPServer) *imapDialogue {
	t.Helper()
	d := dialIMAP(t, s)
	for _, c := range []string{`LOGIN alice "open it"`, "SELECT INBOX"} {
		if got := d.do(c); !strings.Contains(got, "\r\nx OK") && !strings.HasPrefix(got, "x OK") {
			t.Fatalf("%s: %q", c, got)
		}
	}
	return d
}

// send writes beside reading: the server may answer before it has read all.
func (d *imapDialogue) send(s string) {
	go io.WriteString(d.conn, s) // Ends with the connection at the latest.
}

// line returns the next line; "" at the end.
func (d *imapDialogue) line() string {
	s, err := d.in.ReadString('\n')
	if err != nil && s != "" {
		d.t.Fatalf("reading %q: %v", s, err)
	}
	return s
}

// do sends a command with the tag x and returns all lines up to its answer, or up
// to the end.
func (d *imapDialogue) do(command string) string {
	d.t.Helper()
	d.send("x " + command + "\r\n")
	return d.answer()
}

func (d *imapDialogue) answer() string {
	var all strings.Builder
	for {
		line := d.line()
		all.WriteString(line)
		if line == "" || strings.HasPrefix(line, "x ") {
			return all.String()
		}
	}
}

// want does a command. want has "\n" for line ends.
func (d *imapDialogue) want(command, want string) {
	d.t.Helper()
	want = strings.ReplaceAll(want, "\n", "\r\n")
	if got := d.do(command); got != want {
		d.t.Errorf("%.200s\n got %q\nwant %q", command, got, want)
	}
}

// imapTLS makes a certificate for imap.gmail.test.
func imapTLS(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"imap.gmail.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		&tls.Config{RootCAs: roots, ServerName: "imap.gmail.test"}
}

// listenIMAP serves a loopback listener until the test ends. config is for TLS
// from the first octet; nil is none.
func listenIMAP(t testing.TB, s *IMAPServer, config *tls.Config) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if config != nil {
		l = tls.NewListener(l, config)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-served; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	return addr
}

// crlf returns s with CRLF for "\n".
func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

const imapPlainMail = "From: Shop <noreply@shop.example>\r\nTo: alice@gmail.test\r\nSubject: Your order\r\n" +
	"Date: Thu, 10 Sep 2026 08:00:00 +0200\r\nMessage-ID: <1@shop.example>\r\n\r\nHello Alice\r\n"

// setFlags replaces the flags of a message, as another client would.
func setFlags(c *Changes, name, id string, flags []string) {
	c.editFlags(name, id, func([]string) []string { return flags })
}
