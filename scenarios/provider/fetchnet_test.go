package provider_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/keys"
	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailaccess"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/receiver/popfetch"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// popBackend is a mailbox elsewhere, on a server of the test: of user "old" with
// password "s3cret".
type popBackend struct {
	mails [][]byte

	mu     sync.Mutex
	logins []mailaccess.Login
	hold   chan struct{} // If not nil, reading waits until it is closed.
	begun  chan struct{} // Closed when reading waits.
}

func (b *popBackend) Login(_ context.Context, l mailaccess.Login) (mailaccess.Mailbox, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.logins = append(b.logins, l)
	if l.User != "old" || l.Password != "s3cret" {
		return nil, mailaccess.ErrLogin
	}
	return b, nil
}

func (*popBackend) Accessed(mailaccess.Event) {}
func (*popBackend) Name() string              { return "old" }

func (b *popBackend) Messages(context.Context) ([]mailaccess.Message, error) {
	var list []mailaccess.Message
	for i, raw := range b.mails {
		list = append(list, mailaccess.Message{ID: "u" + strconv.Itoa(i), UID: uint32(i + 1), Size: int64(len(raw))})
	}
	return list, nil
}

func (b *popBackend) Read(ctx context.Context, id string) ([]byte, error) {
	if b.hold != nil {
		close(b.begun)
		select {
		case <-b.hold:
		case <-ctx.Done():
		}
	}
	i, err := strconv.Atoi(id[1:])
	return b.mails[i], err
}

// servePOP serves a mailbox elsewhere on a port of this machine.
func servePOP(t *testing.T, b *popBackend, config *tls.Config, implicit bool) net.Addr {
	t.Helper()
	s, err := mailaccess.NewPOP3(mailaccess.Options{Backend: b, Hostname: "pop.isp.example", TLSConfig: config, InsecureLogin: true, Changes: mailaccess.NewChanges()})
	if err != nil {
		t.Fatal(err)
	}
	l := listen(t)
	addr := l.Addr()
	if implicit {
		l = tls.NewListener(l, config)
	}
	var served sync.WaitGroup
	served.Go(func() {
		if err := s.Serve(l); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		served.Wait()
	})
	return addr
}

// authority is one that no provider knows unless it is told to.
func authority(t *testing.T) *keys.CA {
	t.Helper()
	ca, err := keys.NewCA(keys.CAOptions{Name: "the other provider's own"})
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// Each mode of TLS, with a server that is trusted, and with one that is not.
func TestFetchOverTCP(t *testing.T) {
	t.Parallel()
	ca := authority(t)
	trusting := func() (*x509.CertPool, error) { return ca.Pool(), nil }
	tests := []struct {
		name     string
		mode     popfetch.TLSMode
		implicit bool // Of the server.
		host     string
		roots    func() (*x509.CertPool, error)
		own      bool // The server has a certificate of the provider's.
		password string
		tls      string
		err      string // A part of it.
	}{
		{name: "implicit", mode: popfetch.TLSImplicit, implicit: true, host: "pop.isp.example", roots: trusting, tls: "TLS1_3"},
		{name: "stls", mode: popfetch.TLSSTLS, host: "pop.isp.example", roots: trusting, tls: "TLS1_3"},
		{name: "none", mode: popfetch.TLSNone, host: "127.0.0.1"},
		{name: "certificate of the provider", mode: popfetch.TLSImplicit, implicit: true, host: "pop.isp.example", own: true, tls: "TLS1_3"},
		{name: "certificate of the provider beside others", mode: popfetch.TLSSTLS, host: "pop.isp.example", roots: trusting, own: true, tls: "TLS1_3"},
		{name: "nobody's certificate", mode: popfetch.TLSImplicit, implicit: true, host: "pop.isp.example", err: "unknown authority"},
		{name: "nobody's certificate after STLS", mode: popfetch.TLSSTLS, host: "pop.isp.example", err: "unknown authority"},
		{name: "another name", mode: popfetch.TLSImplicit, implicit: true, host: "pop.else.example", roots: trusting, err: "TLS handshake of pop.else.example"},
		{name: "wrong password", mode: popfetch.TLSSTLS, host: "pop.isp.example", roots: trusting, password: "wr0ng", err: "AUTH PLAIN of "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var book logBook
			p := newFetching(t, provider.Options{Roots: tt.roots, Logger: book.logger()})
			issuer := ca
			if tt.own {
				issuer = p.CA()
			}
			config, err := issuer.TLSConfig("pop.isp.example")
			if err != nil {
				t.Fatal(err)
			}
			b := &popBackend{mails: [][]byte{sign(t, p, approval(serviceURL))}}
			addr := servePOP(t, b, config, tt.implicit)
			source := popfetch.Source{Address: old, Host: tt.host, Port: addr.(*net.TCPAddr).Port, Login: "old", Password: "s3cret", TLS: tt.mode}
			if tt.password != "" {
				source.Password = tt.password
			}
			setSource(t, p, provider.POPSource{Source: source, Addr: addr.String()})
			got, err := p.Fetch(t.Context(), alice, old)
			if strings.Contains(book.String(), source.Password) {
				t.Errorf("the password is in the log:\n%s", book.String())
			}
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), source.Password) || got.LoggedIn || len(messages(t, p, mailbox.Query{})) > 0 {
					t.Errorf("%+v, %v", got.Result, err)
				}
				if tt.password == "" && len(b.logins) > 0 {
					t.Error("the password was said to a server that is not trusted")
				}
				return
			}
			if err != nil || got.Fetched != 1 || got.Deleted != 1 || len(b.logins) != 1 || b.logins[0].TLS != tt.tls {
				t.Fatalf("%+v, %v, logins %+v", got, err, b.logins)
			}
			m := messages(t, p, mailbox.Query{})[0]
			want := policy.Fetch{Source: old, Host: tt.host, Port: source.Port, Login: "old", TLS: tt.tls, UID: "u0"}
			if f := m.Evidence.Arrival.Fetch; *f != want || !bytes.Equal(m.Raw, b.mails[0]) || m.Verdict.Actions[0].Answer != policy.Offered {
				t.Errorf("fetch is %+v\n%s", *f, m.Verdict.Text())
			}
		})
	}
}

// A world can be closed in the middle of a fetch, and does not wait for a server
// that says nothing more.
func TestCloseWhileFetching(t *testing.T) {
	t.Parallel()
	b := &popBackend{mails: [][]byte{numbered("1")}, hold: make(chan struct{}), begun: make(chan struct{})}
	p := newFetching(t, provider.Options{Clock: provider.RunningClock(time.Now)})
	addr := servePOP(t, b, nil, false)
	setSource(t, p, provider.POPSource{
		Source: popfetch.Source{Address: old, Host: "127.0.0.1", Port: addr.(*net.TCPAddr).Port, Login: "old", Password: "s3cret", TLS: popfetch.TLSNone}, Addr: addr.String(),
	})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	defer cancel()
	var owned sync.WaitGroup
	defer owned.Wait()
	owned.Go(func() {
		// What is due comes with the clock: the fetch hangs in a duty.
		if err := p.Advance(ctx, 2*time.Minute); err != nil && ctx.Err() == nil && !errors.Is(err, provider.ErrClosed) {
			t.Error(err)
		}
	})
	<-b.begun
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	cancel()
	close(b.hold)
	if list := messages(t, p, mailbox.Query{}); len(list) != 0 {
		t.Errorf("%d messages", len(list))
	}
}

// Fetches at the same time, by the user and by the clock, store each message
// once.
func TestFetchesAtOnce(t *testing.T) {
	t.Parallel()
	p := newFetching(t, provider.Options{})
	for i := range 10 {
		addRemote(t, p, numbered(strconv.Itoa(i)))
	}
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			var err error
			if i%4 == 0 {
				err = p.Advance(t.Context(), 2*time.Minute)
			} else {
				_, err = p.Fetch(t.Context(), alice, old)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	got := strings.Fields(subjects(t, p, alice))
	if want := []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}; !slices.Equal(got, want) {
		t.Errorf("there are %q", got)
	}
}
