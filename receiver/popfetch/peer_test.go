package popfetch

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/receiver/mailaccess"
	"github.com/doppelbox/doppelbox/testdata/conformance"
)

// house is a mailaccess.Backend with one mailbox, that of bob.
type house struct {
	mails []string
	mu    sync.Mutex
	saw   []mailaccess.Event
}

func (h *house) Login(_ context.Context, l mailaccess.Login) (mailaccess.Mailbox, error) {
	if l.User != "bob" || l.Password != "s3cret" {
		return nil, mailaccess.ErrLogin
	}
	return h, nil
}

func (h *house) Accessed(e mailaccess.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.saw = append(h.saw, e)
}

func (h *house) Name() string { return "house" }

func (h *house) Messages(context.Context) ([]mailaccess.Message, error) {
	var list []mailaccess.Message
	for i, raw := range h.mails {
		list = append(list, mailaccess.Message{ID: "m" + strconv.Itoa(i), UID: uint32(i + 1), Size: int64(len(raw))})
	}
	return list, nil
}

func (h *house) Read(_ context.Context, id string) ([]byte, error) {
	i, err := strconv.Atoi(strings.TrimPrefix(id, "m"))
	return []byte(h.mails[i]), err
}

// newPeer makes a server for a mailbox, which is closed with the test.
func newPeer(t testing.TB, h *house, config *tls.Config) *mailaccess.POP3Server {
	t.Helper()
	s, err := mailaccess.NewPOP3(mailaccess.Options{
		Backend: h, Hostname: "pop.acme.test", TLSConfig: config, InsecureLogin: config == nil, Changes: mailaccess.NewChanges(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// piped returns a Dial that leads to s.
func piped(s *mailaccess.POP3Server, served *sync.WaitGroup) dialFunc {
	return func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		served.Go(func() { s.ServeConn(far) })
		return near, nil
	}
}

// tlsPair makes the TLS configuration of pop.acme.test, and one that trusts it.
func tlsPair(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"pop.acme.test"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, SessionTicketsDisabled: true},
		&tls.Config{RootCAs: roots}
}

// TestTLS: both modes, by TCP, and certificates that do not fit.
func TestTLS(t *testing.T) {
	t.Parallel()
	serverTLS, clientTLS := tlsPair(t)
	for _, mode := range []TLSMode{TLSImplicit, TLSSTLS} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			h := &house{mails: []string{"From: a\r\n\r\n.\r\n"}}
			s := newPeer(t, h, serverTLS)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			addr := l.Addr().String()
			if mode == TLSImplicit {
				l = tls.NewListener(l, serverTLS)
			}
			served := make(chan error, 1)
			go func() { served <- s.Serve(l) }()
			src := pipeSource()
			src.TLS = mode
			o := Options{TLSConfig: clientTLS, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, addr)
			}}
			sink := &memSink{}
			got, err := Fetch(t.Context(), src, sink, o)
			if err != nil || got.Fetched != 1 || got.Deleted != 1 || len(got.Problems) != 0 {
				t.Errorf("got %+v, %v", got, err)
			}
			if m := sink.stored[0]; m.raw != h.mails[0] || m.TLS != "TLS1_3" || m.UID != "m0" || m.Source != "bob@acme.test" || m.Login != "bob" || m.Host != "pop.acme.test" || m.Port != 110 {
				t.Errorf("stored %+v", m)
			}

			src.Host = "other.acme.test"
			var refused x509.HostnameError
			if _, err := Fetch(t.Context(), src, sink, o); !errors.As(err, &refused) || !strings.HasPrefix(err.Error(), "TLS handshake of other.acme.test:110: ") {
				t.Errorf("got %v", err)
			}
			src = pipeSource() // Without TLS: the server does not take a login.
			var login *LoginError
			if mode == TLSSTLS {
				if _, err := Fetch(t.Context(), src, sink, o); !errors.As(err, &login) || login.Code != "AUTH" {
					t.Errorf("got %v", err)
				}
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if err := <-served; err != nil {
				t.Error(err)
			}
		})
	}
}

// nasty are messages that an imprecise client or server changes. All end in
// CRLF.
func nasty() []string {
	list := []string{
		"", "\r\n", ".\r\n", "..\r\n", "\r\n.\r\n\r\n", "a\r\n.\r\nb\r\n", "\n.\r\n", "\r.\r\n", "a\n.\n\r\n", ".\n.\r.\r\n", "\r\r\n", "\n\r\n", "\x00\r\n",
		"\r\n\r\n\r\n", "\xff\xfe\x80\r\n", "a\r\n\r.\r\n", "a\r\r\n.x\r\n", "a\n\r\n.x\r\n", strings.Repeat("x", 16<<10-1) + "\r\n.\r\n",
	}
	// A line end and a dot at each place around the end of the reading buffer.
	for n := readBuffer - 4; n <= readBuffer+4; n++ {
		list = append(list, strings.Repeat("x", n)+"\r\n.y\r\n", strings.Repeat("x", n)+"\n.y\r\n", strings.Repeat("x", n)+"\r.y\r\n")
	}
	all := make([]byte, 1000)
	for i := range all {
		all[i] = byte(i)
	}
	big := strings.Repeat(string(all)+"\r\n.\r\n..\r\n\n.\r\r\n", 10_000)
	return append(list, big)
}

// TestByteExact: messages go through server and client unchanged.
func TestByteExact(t *testing.T) {
	t.Parallel()
	t.Run("nasty", func(t *testing.T) {
		t.Parallel()
		testByteExact(t, nasty())
	})
	t.Run("conformance", func(t *testing.T) {
		t.Parallel()
		testByteExact(t, malformed(t))
	})
}

func testByteExact(t *testing.T, mails []string) {
	t.Helper()
	h := &house{mails: mails}
	s := newPeer(t, h, nil)
	var served sync.WaitGroup
	defer served.Wait()
	sink := &memSink{}
	got, err := Fetch(t.Context(), pipeSource(), sink, Options{Dial: piped(s, &served), MaxMessages: len(mails)})
	if err != nil || got.Fetched != len(mails) || got.Deleted != len(mails) {
		t.Fatalf("got %+v, %v", got, err)
	}
	for i, m := range sink.stored {
		want := mails[i]
		if !strings.HasSuffix(want, "\r\n") && want != "" {
			want += "\r\n" // POP3 cannot do without.
		}
		if m.raw != want {
			t.Errorf("message %d: got %.100q, want %.100q", i, m.raw, want)
		}
	}
}

// malformed returns the messages of the independent test data.
func malformed(t *testing.T) []string {
	t.Helper()
	var mails []string
	err := filepath.WalkDir(conformance.Path(t, "malformed"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		mails = append(mails, string(raw))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	conformance.Report(t, "malformed, fetched by POP3", len(mails), 0)
	return mails
}

// breaking is a connection that breaks for good after so many octets.
type breaking struct {
	net.Conn
	reads, writes int
}

func (b *breaking) Read(p []byte) (int, error) {
	if b.reads == 0 {
		b.Close()
		return 0, io.ErrClosedPipe
	}
	n, err := b.Conn.Read(p[:min(b.reads, len(p))])
	b.reads -= n
	return n, err
}

func (b *breaking) Write(p []byte) (int, error) {
	n, err := b.Conn.Write(p[:min(b.writes, len(p))])
	if b.writes -= n; n < len(p) && err == nil {
		b.Close()
		err = io.ErrClosedPipe
	}
	return n, err
}

// TestBroken: wherever the connection breaks, the next fetch has every message
// there, and each was stored once.
func TestBroken(t *testing.T) {
	t.Parallel()
	mails := []string{"one\r\n.\r\n", "", "three\r\n"}
	for _, keep := range []bool{false, true} {
		const enough = 1 << 20
		for cut, over := 0, false; !over; cut++ {
			over = true
			for _, c := range []breaking{{reads: cut, writes: enough}, {reads: enough, writes: cut}} {
				h := &house{mails: mails}
				s := newPeer(t, h, nil)
				var served sync.WaitGroup
				src, sink := pipeSource(), &memSink{}
				src.Keep = keep
				dial := piped(s, &served)
				first, err := Fetch(t.Context(), src, sink, Options{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
					conn, err := dial(ctx, network, addr)
					c.Conn = conn
					return &c, err
				}})
				over = over && err == nil && len(first.Problems) == 0
				if err != nil && !strings.Contains(err.Error(), " of pop.acme.test:110: ") || first.Fetched != len(sink.stored) {
					t.Errorf("cut at %d: got %+v, %v", cut, first, err)
				}
				if _, err := Fetch(t.Context(), src, sink, Options{Dial: dial}); err != nil {
					t.Fatal(err)
				}
				got := strings.Join(sink.all(), "|")
				if want := "m0:" + mails[0] + "|m1:|m2:" + mails[2]; got != want {
					t.Errorf("cut at %d: stored %q", cut, got)
				}
				last, err := Fetch(t.Context(), src, sink, Options{Dial: dial})
				if want := map[bool]int{false: 0, true: 3}[keep]; err != nil || last.Listed != want {
					t.Errorf("cut at %d: in the end %+v, %v", cut, last, err)
				}
				served.Wait()
			}
		}
	}
}
