//go:build peers

package main

import (
	"net"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// peerDNS answers from zone text as an authoritative server does. It reads the
// text by itself, so that a mistake in ours is none here.
type peerDNS struct {
	addr    string
	records map[string][]dns.RR
	broken  map[string]bool // Names whose questions are answered with SERVFAIL.
}

// startDNS serves a zone's text on a port of loopback.
func startDNS(t *testing.T, zone string) *peerDNS {
	t.Helper()
	d := &peerDNS{records: map[string][]dns.RR{}, broken: map[string]bool{}}
	for line := range strings.Lines(zone) {
		if words := strings.Fields(line); len(words) == 3 && words[1] == "FAULT" && words[2] == "servfail" {
			d.broken[dns.CanonicalName(words[0])] = true
			continue
		}
		p := dns.NewZoneParser(strings.NewReader(line), ".", "")
		p.SetDefaultTTL(60)
		rr, ok := p.Next()
		if p.Err() != nil {
			t.Fatalf("reading %q: %v", line, p.Err())
		}
		if ok {
			name := dns.CanonicalName(rr.Header().Name)
			d.records[name] = append(d.records[name], rr)
		}
	}
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d.addr = conn.LocalAddr().String()
	server := &dns.Server{PacketConn: conn, Handler: d}
	over := make(chan error, 1)
	go func() { over <- server.ActivateAndServe() }()
	t.Cleanup(func() {
		conn.Close()
		<-over // It says that the connection was closed.
	})
	return d
}

// ServeDNS answers one question.
func (d *peerDNS) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	reply := new(dns.Msg).SetReply(q)
	reply.Authoritative = true
	name := dns.CanonicalName(q.Question[0].Name)
	if d.broken[name] {
		reply.Rcode = dns.RcodeServerFailure
	} else if exists := d.answer(reply, name, q.Question[0].Qtype); !exists {
		reply.Rcode = dns.RcodeNameError
	}
	if q.IsEdns0() != nil {
		reply.SetEdns0(4096, false)
	}
	// A client that has gone away asks no more.
	_ = w.WriteMsg(reply)
}

// answer adds the records of a name and type. It reports whether the name
// exists, as the ancestors of every name do.
func (d *peerDNS) answer(reply *dns.Msg, name string, qtype uint16) bool {
	for _, rr := range d.records[name] {
		if rr.Header().Rrtype == qtype {
			reply.Answer = append(reply.Answer, rr)
		}
	}
	exists := len(d.records[name]) > 0
	for other := range d.records {
		exists = exists || strings.HasSuffix(other, "."+name)
	}
	return exists
}
