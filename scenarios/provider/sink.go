package provider

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"

	"github.com/doppelbox/doppelbox/keys"
	"github.com/doppelbox/doppelbox/policy/registry"
	"github.com/doppelbox/doppelbox/receiver/smtpserver"
)

// Sink is where the provider's own mail to a domain goes: to a server within
// the process, which takes all of it, or to one that the user names.
type Sink struct {
	Domain string
	// Addr is the host and port of an SMTP server; empty is a server within the
	// process.
	Addr string
	// Code is what the server within the process answers to a message; zero is
	// 250.
	Code int
	// TLS is what is wrong with STARTTLS at the server within the process; empty
	// is nothing.
	TLS SinkTLS
}

// SinkTLS is what is wrong with STARTTLS at a sink.
type SinkTLS string

// What can be wrong.
const (
	SinkTLSNone      SinkTLS = "none"      // It is not offered.
	SinkTLSUntrusted SinkTLS = "untrusted" // The certificate is of an authority that nobody knows.
	SinkTLSName      SinkTLS = "name"      // The certificate is of another host.
)

// sink is a Sink, with its server.
type sink struct {
	Sink
	server *smtpserver.Server // Nil with an Addr.
}

// AddSink lets the provider's own mail to a domain go out. What was sent is in
// the store's outgoing mail.
func (w *World) AddSink(s Sink) error {
	domain, err := registry.ParseDomain(s.Domain)
	if err != nil {
		return fmt.Errorf("sink: %w", err)
	}
	s.Domain = domain
	if _, ok := w.Provider(s.Domain); ok {
		return fmt.Errorf("the mail of %s goes to its provider, not to a sink", s.Domain)
	}
	made := &sink{Sink: s}
	if s.Addr == "" {
		if made.server, err = w.newSink(s); err != nil {
			return err
		}
	}
	w.mu.Lock()
	old := w.sinks[s.Domain]
	w.sinks[s.Domain] = made
	w.mu.Unlock()
	if old != nil {
		return old.close()
	}
	return nil
}

func (w *World) allSinks() []*sink {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Values(w.sinks))
}

func (s *sink) close() error {
	if s.server == nil {
		return nil
	}
	return s.server.Close()
}

// way says how mail gets to the sink's server.
func (s *sink) way(ctx context.Context, w *World, from netip.Addr) way {
	if s.server == nil {
		return way{
			// Without MX the domain is its own (RFC 5321 5.1).
			domain: s.Domain, via: s.Addr, host: w.mxHost(ctx, s.Domain, s.Domain),
			dial: func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", s.Addr) },
		}
	}
	return way{
		domain: s.Domain, via: "sink " + s.Domain, host: w.mxHost(ctx, s.Domain, "mx."+s.Domain), inside: true,
		dial: func(context.Context) (net.Conn, error) { return w.pipe(from, s.server) },
	}
}

// newSink makes the server of a sink within the process. It stands for every MX
// host of the domain, whatever their names are.
func (w *World) newSink(s Sink) (*smtpserver.Server, error) {
	o := smtpserver.Options{Backend: sinkBackend{s}, Hostname: "mx." + s.Domain, Logger: w.log, Now: w.clock.Now}
	ca := w.ca
	switch s.TLS {
	case SinkTLSNone:
		return smtpserver.New(o)
	case SinkTLSUntrusted:
		var err error
		if ca, err = keys.NewCA(keys.CAOptions{Name: "an unknown authority"}); err != nil {
			return nil, err
		}
	case "", SinkTLSName:
	default:
		return nil, fmt.Errorf("sink: unknown TLS %q", s.TLS)
	}
	o.TLSConfig = &tls.Config{
		SessionTicketsDisabled: true, MinVersion: tls.VersionTLS12,
		// A name costs a key, which takes microseconds; so none is kept.
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			name := cmp.Or(hello.ServerName, "mx."+s.Domain)
			if s.TLS == SinkTLSName {
				name = "another-host.example"
			}
			leaf, err := ca.Leaf(name)
			return &leaf, err
		},
	}
	return smtpserver.New(o)
}

// sinkBackend takes what comes, and keeps nothing: the sender has kept it.
type sinkBackend struct{ Sink }

// Admit implements smtpserver.Backend.
func (sinkBackend) Admit(context.Context, *smtpserver.Envelope, smtpserver.Stage) *smtpserver.Reply {
	return nil
}

// Rcpt implements smtpserver.Backend.
func (sinkBackend) Rcpt(context.Context, *smtpserver.Envelope, string) *smtpserver.Reply { return nil }

// Deliver implements smtpserver.Backend.
func (b sinkBackend) Deliver(context.Context, smtpserver.Envelope, []byte) smtpserver.Reply {
	switch b.Code / 100 {
	case 4:
		return smtpserver.Reply{Code: b.Code, Enhanced: "4.3.0", Lines: []string{"The sink was told to answer so."}}
	case 5:
		return smtpserver.Reply{Code: b.Code, Enhanced: "5.7.1", Lines: []string{"The sink was told to answer so."}}
	}
	return smtpserver.Reply{Code: 250, Enhanced: "2.0.0", Lines: []string{"OK"}}
}
