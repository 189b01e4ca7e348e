package provider

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailaccess"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
)

// access are the servers by which mail programs read a provider's accounts,
// made when they are first needed.
type access struct {
	mu   sync.Mutex
	imap *mailaccess.IMAPServer
	pop  *mailaccess.POP3Server
	// closed says that nothing is served any more.
	closed bool
}

// accesses are the sessions of mail programs, as they are recorded.
type accesses struct {
	mu   sync.Mutex
	rows map[string]mailbox.Access // By session, of those that are still heard of.
	list []string                  // The same, oldest first.
}

// maxSessions bounds the sessions that are still heard of.
const maxSessions = 1000

// ServeIMAP lets mail programs read accounts by IMAP on l, until the provider is
// closed: with STARTTLS, or with TLS from the first octet.
func (p *Provider) ServeIMAP(l net.Listener, implicitTLS bool) error {
	return p.serveAccess(l, implicitTLS, "imap.", func(o mailaccess.Options) (accessServer, error) {
		if p.access.imap == nil {
			server, err := mailaccess.NewIMAP(o)
			if err != nil {
				return nil, err
			}
			p.access.imap = server
		}
		return p.access.imap, nil
	})
}

// ServePOP3 lets mail programs read accounts by POP3, likewise.
func (p *Provider) ServePOP3(l net.Listener, implicitTLS bool) error {
	return p.serveAccess(l, implicitTLS, "pop.", func(o mailaccess.Options) (accessServer, error) {
		if p.access.pop == nil {
			server, err := mailaccess.NewPOP3(o)
			if err != nil {
				return nil, err
			}
			p.access.pop = server
		}
		return p.access.pop, nil
	})
}

// accessServer is what the servers of both protocols have in common.
type accessServer interface {
	Serve(l net.Listener) error
}

func (p *Provider) serveAccess(l net.Listener, implicitTLS bool, prefix string, server func(mailaccess.Options) (accessServer, error)) error {
	config, err := p.ca.TLSConfig(prefix+p.domain, "localhost", "127.0.0.1", "::1")
	if err != nil {
		return err
	}
	p.access.mu.Lock()
	if p.access.closed {
		p.access.mu.Unlock()
		return errors.Join(ErrClosed, l.Close())
	}
	s, err := server(mailaccess.Options{
		Backend: accessBackend{p}, Hostname: prefix + p.domain, TLSConfig: config, Changes: p.changes, Logger: p.log,
	})
	p.access.mu.Unlock()
	if err != nil {
		return err
	}
	if implicitTLS {
		l = tls.NewListener(l, config)
	}
	if !p.begin(func() {
		if err := s.Serve(l); err != nil {
			p.log.Error("serving mail programs", slog.Any("error", err))
		}
	}) {
		return errors.Join(ErrClosed, l.Close())
	}
	return nil
}

func (p *Provider) closeAccess() error {
	p.access.mu.Lock()
	defer p.access.mu.Unlock()
	p.access.closed = true
	var err error
	if p.access.imap != nil {
		err = errors.Join(err, p.access.imap.Close())
	}
	if p.access.pop != nil {
		err = errors.Join(err, p.access.pop.Close())
	}
	return err
}

// accessBackend is a provider as mail programs see it.
type accessBackend struct{ p *Provider }

// Login implements mailaccess.Backend. Without a domain the user is one of the
// provider's.
func (b accessBackend) Login(_ context.Context, l mailaccess.Login) (mailaccess.Mailbox, error) {
	user := b.p.user(l.User)
	b.p.mu.Lock()
	defer b.p.mu.Unlock()
	a, err := b.p.named(user)
	if err != nil || !strings.HasSuffix(a.Address, "@"+b.p.domain) || a.password == "" || subtle.ConstantTimeCompare([]byte(a.password), []byte(l.Password)) != 1 {
		return nil, mailaccess.ErrLogin
	}
	return inbox{b.p, a.Address}, nil
}

func (p *Provider) user(name string) string {
	name = strings.ToLower(name)
	if !strings.Contains(name, "@") {
		name += "@" + p.domain
	}
	return name
}

// Accessed implements mailaccess.Backend: it keeps the record of the session.
func (b accessBackend) Accessed(e mailaccess.Event) {
	w := b.p.World
	id := b.p.domain + "/" + string(e.Protocol) + "/" + e.ID
	w.accesses.mu.Lock()
	defer w.accesses.mu.Unlock()
	row, ok := w.accesses.rows[id]
	if !ok {
		row = mailbox.Access{World: w.name, ID: id, At: w.clock.Now(), Protocol: string(e.Protocol), Peer: e.Peer}
		w.accesses.remember(id)
	}
	// One connection may try several times; what counts is how it ended.
	row.TLS, row.Client, row.Denied = e.TLS, e.Client, e.Kind == mailaccess.EventDenied
	row.Account = b.p.user(e.User)
	if e.Kind == mailaccess.EventRead && e.Whole && !slices.Contains(row.Read, e.Message) {
		row.Read = append(slices.Clone(row.Read), e.Message)
	}
	w.accesses.rows[id] = row
	if err := w.store.PutAccess(context.WithoutCancel(w.ctx), row); err != nil {
		w.log.Error("storing an access", slog.Any("error", err))
	}
}

// remember makes room for a session. The caller holds mu.
func (a *accesses) remember(id string) {
	if a.rows == nil {
		a.rows = map[string]mailbox.Access{}
	}
	if a.list = append(a.list, id); len(a.list) > maxSessions {
		// Those that were not let in first: anybody can make many of them.
		i := max(0, slices.IndexFunc(a.list, func(id string) bool { return a.rows[id].Denied }))
		delete(a.rows, a.list[i])
		a.list = slices.Delete(a.list, i, i+1)
	}
}

// inbox is an account as a mail program reads it.
type inbox struct {
	p       *Provider
	account string
}

// Name implements mailaccess.Mailbox.
func (in inbox) Name() string { return in.account }

// Changed implements mailaccess.Watcher: it tells of the next message.
func (in inbox) Changed(ctx context.Context) <-chan struct{} {
	changed := make(chan struct{})
	after, err := in.p.store.LastSeq(ctx, in.p.name)
	if err != nil {
		in.p.log.Error("watching an account", slog.Any("error", err))
		return changed
	}
	in.p.begin(func() {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(in.p.ctx, cancel)()
		if _, err := in.p.store.Wait(ctx, mailbox.Query{World: in.p.name, Account: in.account, AfterSeq: after}); err == nil {
			close(changed)
		}
	})
	return changed
}

// Messages implements mailaccess.Mailbox. What is filed as spam is in no mailbox
// that programs see.
func (in inbox) Messages(ctx context.Context) ([]mailaccess.Message, error) {
	rows, err := in.p.store.Messages(ctx, mailbox.Query{World: in.p.name, Account: in.account})
	if err != nil {
		return nil, err
	}
	list := make([]mailaccess.Message, 0, len(rows))
	for _, m := range rows {
		if m.Verdict.Folder == policy.Spam {
			continue
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		size, err := in.p.storedSize(m)
		if err != nil {
			return nil, err
		}
		list = append(list, mailaccess.Message{ID: m.ID, UID: uint32(m.Seq), Size: int64(size), ReceivedAt: m.ReceivedAt})
	}
	return list, nil
}

// Read implements mailaccess.Mailbox.
func (in inbox) Read(ctx context.Context, id string) ([]byte, error) {
	m, err := in.p.store.Message(ctx, in.p.name, id)
	if err != nil {
		return nil, err
	}
	return in.p.Stored(m)
}
