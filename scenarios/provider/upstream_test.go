package provider_test

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
)

// upstream is a DNS of no records. It counts what it is asked.
type upstream struct {
	addr   netip.Addr // The address of every host, if valid.
	broken bool       // Every question finds a fault in the program.

	mu    sync.Mutex
	asked []string
}

func (u *upstream) ask(name string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.asked = append(u.asked, name)
	if u.broken {
		panic("upstream is broken")
	}
	return &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (u *upstream) questions() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.asked)
}

func (u *upstream) LookupTXT(_ context.Context, name string) ([]string, error) {
	return nil, u.ask(name)
}

func (u *upstream) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	return nil, u.ask(name)
}

func (u *upstream) LookupAddr(_ context.Context, addr string) ([]string, error) {
	return nil, u.ask(addr)
}

func (u *upstream) LookupIPAddr(_ context.Context, host string) ([]net.IPAddr, error) {
	err := u.ask(host)
	if u.addr.IsValid() {
		return []net.IPAddr{{IP: u.addr.AsSlice()}}, nil
	}
	return nil, err
}
