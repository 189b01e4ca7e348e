package provider

import (
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"

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
}

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
		var config *tls.Config
		config, err = w.ca.TLSConfig("mx." + s.Domain)
		if err != nil {
			return err
		}
		config.SessionTicketsDisabled = true
		made.server, err = smtpserver.New(smtpserver.Options{
			Backend: sinkBackend{s}, Hostname: "mx." + s.Domain, TLSConfig: config, Logger: w.log, Now: w.clock.Now,
		})
		if err != nil {
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

// dial connects to the sink's server, as a client at an address.
func (s *sink) dial(ctx context.Context, w *World, from netip.Addr) (net.Conn, string, *tls.Config, error) {
	if s.server == nil {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.Addr)
		return conn, s.Addr, nil, err
	}
	client, server := net.Pipe()
	if !w.begin(func() { s.server.ServeConn(&pipeConn{Conn: server, peer: peerAddr(from)}) }) {
		return nil, "", nil, ErrClosed
	}
	return &pipeConn{Conn: client, peer: pipeAddr("in-process")}, "sink " + s.Domain, w.clientTLS("mx." + s.Domain), nil
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
