package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/doppelbox/doppelbox/dispatcher"
	"github.com/doppelbox/doppelbox/keys"
	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/scenarios"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

type serveCommand struct {
	World string `arg:"" optional:"" help:"File with the world's set-up; without it, alice@gmail.test has an account." placeholder:"WORLD"`

	SMTP      string   `default:"127.0.0.1:2525" placeholder:"ADDR" help:"Where to receive mail; port 0 takes a free one. Default 127.0.0.1:2525."`
	Certs     string   `default:"127.0.0.1:8443" placeholder:"ADDR" help:"Where to publish certificates over HTTPS. Default 127.0.0.1:8443."`
	API       string   `name:"api" default:"127.0.0.1:8025" placeholder:"ADDR" help:"Where to serve the control API; loopback only. Default 127.0.0.1:8025."`
	Proxy     string   `default:"127.0.0.1:8444" placeholder:"ADDR" help:"Where to run the HTTPS proxy that answers for Google's certificate hosts. Default 127.0.0.1:8444."`
	PassOn    []string `placeholder:"HOST" help:"Let the proxy pass on connections to this host: a name, \"*.example.com\", or \"all\". It refuses all others."`
	IMAP      string   `name:"imap" placeholder:"ADDR" help:"Let mail programs read accounts that have a password by IMAP with STARTTLS here."`
	IMAPS     string   `name:"imaps" placeholder:"ADDR" help:"Likewise, with TLS from the start."`
	POP3      string   `name:"pop3" placeholder:"ADDR" help:"Let mail programs read them by POP3 with STLS here."`
	POP3S     string   `name:"pop3s" placeholder:"ADDR" help:"Likewise, with TLS from the start."`
	Writable  bool     `help:"Let mail programs set flags and delete messages, for themselves; what came is kept."`
	Allow     hostList `placeholder:"HOST,..." help:"Let action requests go to this host where it really is. Others must be routed in the world."`
	Trust     []string `placeholder:"FILE" help:"Trust the authorities in this PEM file for action requests."`
	ProxyFrom []string `placeholder:"CIDR" help:"SMTP connections from here begin with a PROXY protocol header."`
	Enforce   bool     `help:"Answer the verdict on the wire, as the real provider would, instead of only recording it."`
	JSON      bool     `name:"json" help:"Print events as JSON, one a line; the first one has the addresses."`
	Verbose   bool     `short:"v" help:"Log what happens, and print each verdict with all its findings."`

	worldFlags
}

// Run serves until it is told to stop.
func (c *serveCommand) Run(ctx context.Context, s streams) error {
	for _, l := range c.always() {
		if l.addr == "" {
			return hinted{usagef("%s has no address", l.flag), "without the flag there is a default; 127.0.0.1:0 takes a free port"}
		}
	}
	if !loopback(c.API) {
		return usagef("--api %q is not a loopback address: who can reach the API can press buttons", c.API)
	}
	if len(c.PassOn) > 0 && !loopback(c.Proxy) {
		return usagef("--proxy %q is not a loopback address, and --pass-on would let other machines reach what this one can", c.Proxy)
	}
	roots, err := systemRoots(s, c.Trust)
	if err != nil {
		return err
	}
	out := &reporter{s: s, json: c.JSON, verbose: c.Verbose}
	o := provider.Options{
		Logger: logger(s, c.Verbose), Roots: roots,
		OnMessage: out.message, OnAttempt: out.attempt, Writable: c.Writable,
	}
	for _, text := range c.ProxyFrom {
		prefix, err := provider.ParseNetwork(text)
		if err != nil {
			return usagef("--proxy-from %q: %w", text, err)
		}
		o.ProxyFrom = append(o.ProxyFrom, prefix)
	}
	p, err := c.open(ctx, s, c.World, o)
	if err != nil {
		return err
	}
	defer p.Close()
	if c.Enforce {
		p.Enforce(true) // Whatever the world's inbound step says.
	}
	if err := c.Allow.allow(p); err != nil {
		return err
	}
	return c.serve(ctx, out, p)
}

// flagAddr is an address and the flag that sets it.
type flagAddr struct{ flag, addr string }

// always are the addresses at which serve always listens, in their order. None
// may be empty: that would be every address of the machine.
func (c *serveCommand) always() []flagAddr {
	return []flagAddr{{"--smtp", c.SMTP}, {"--certs", c.Certs}, {"--api", c.API}, {"--proxy", c.Proxy}}
}

func (c *serveCommand) serve(ctx context.Context, out *reporter, p *provider.Provider) error {
	always := c.always()
	listeners := make([]net.Listener, len(always))
	for i, l := range always {
		var err error
		if listeners[i], err = listen(out.s, l.flag, l.addr); err != nil {
			return err
		}
		defer listeners[i].Close()
	}
	doors, err := c.openDoors(out.s, p)
	if err != nil {
		return err
	}
	// Mail first: a banner must not wait for anything.
	p.ServeSMTP(listeners[0])
	if err := p.ServeCertificates(listeners[1]); err != nil {
		return faultError{err}
	}
	if _, err := serveProxy(p, listeners[3], c.PassOn); err != nil {
		return err
	}
	server := newAPIServer(p, logger(out.s, c.Verbose))
	served := make(chan error, 1)
	go func() { served <- server.Serve(listeners[2]) }()
	out.started(p, listeners, doors)
	select {
	case <-ctx.Done():
	case err := <-served:
		return faultError{fmt.Errorf("serving the API: %w", err)}
	}
	out.line("stopped", "stopping: no new mail is taken, mail under way is finished, requests under way are cut off")
	// Not Shutdown: a client that waits for a message would hold it up.
	err = errors.Join(server.Close(), p.Close())
	<-served
	if err != nil {
		return faultError{err}
	}
	return nil
}

// listen listens on the address of a flag.
func listen(s streams, flag, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, hinted{usagef("%s: %w", flag, err), "another address can be given; port 0 takes a free one"}
	}
	if !loopback(l.Addr().String()) {
		fmt.Fprintf(s.err, "doppelbox: warning: %s can be reached from other machines\n", l.Addr())
	}
	return l, nil
}

// door is one more way into a provider.
type door struct {
	Name string `json:"name"`
	Addr string `json:"addr"`
}

// openDoors serves what mail programs read, and the certificates of the world's
// other providers. It all ends with the provider.
func (c *serveCommand) openDoors(s streams, p *provider.Provider) ([]door, error) {
	var doors []door
	for _, d := range []struct {
		flag, name, addr string
		serve            func(net.Listener) error
	}{
		{"--imap", "IMAP, STARTTLS", c.IMAP, func(l net.Listener) error { return p.ServeIMAP(l, false) }},
		{"--imaps", "IMAP over TLS", c.IMAPS, func(l net.Listener) error { return p.ServeIMAP(l, true) }},
		{"--pop3", "POP3, STLS", c.POP3, func(l net.Listener) error { return p.ServePOP3(l, false) }},
		{"--pop3s", "POP3 over TLS", c.POP3S, func(l net.Listener) error { return p.ServePOP3(l, true) }},
	} {
		if d.addr == "" {
			continue
		}
		l, err := listen(s, d.flag, d.addr)
		if err != nil {
			return nil, err
		}
		if err := d.serve(l); err != nil {
			return nil, faultError{errors.Join(err, l.Close())}
		}
		doors = append(doors, door{d.name, l.Addr().String()})
	}
	for _, other := range p.Providers()[1:] {
		l, err := listen(s, "certificates of "+other.Domain(), "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		if err := other.ServeCertificates(l); err != nil {
			return nil, faultError{errors.Join(err, l.Close())}
		}
		doors = append(doors, door{"certificates of " + other.Domain(), "https://" + l.Addr().String() + "/oauth2/v1/certs"})
	}
	return doors, nil
}

// reporter prints what serve has to tell. Events come from many goroutines.
type reporter struct {
	mu      sync.Mutex
	s       streams
	json    bool
	verbose bool
}

// event prints one event in the form that was asked for. What is printed here
// ends up in logs of builds, so tokens are left out, in whatever an event has;
// the API has them.
func (r *reporter) event(kind string, data any, text string) {
	if r.json {
		var b strings.Builder
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		// What is printed are plain values of ours: they can be encoded.
		_ = e.Encode(map[string]any{"event": kind, "data": data})
		text = b.String()
	}
	text = scenarios.RedactText(text)
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = io.WriteString(r.s.out, text)
}

func (r *reporter) line(kind, text string) { r.event(kind, nil, text+"\n") }

// addresses are where a provider can be reached.
type addresses struct {
	Domain       string   `json:"domain"`
	SMTP         string   `json:"smtp"`
	Certificates string   `json:"certificates"`
	JWKSet       string   `json:"jwkSet"`
	Discovery    string   `json:"discovery"`
	TokenInfo    string   `json:"tokenInfo"`
	API          string   `json:"api"`
	Proxy        string   `json:"proxy"`
	CA           string   `json:"ca"`
	Accounts     []string `json:"accounts"`
	Doors        []door   `json:"doors,omitempty"`
}

func (r *reporter) started(p *provider.Provider, l []net.Listener, doors []door) {
	certs, api := "https://"+l[1].Addr().String(), "http://"+l[2].Addr().String()
	a := addresses{
		Domain: p.Domain(), SMTP: l[0].Addr().String(), Certificates: certs + "/oauth2/v1/certs", JWKSet: certs + "/oauth2/v3/certs",
		Discovery: certs + "/.well-known/openid-configuration", TokenInfo: certs + "/tokeninfo",
		API: api + "/api/v1/", Proxy: "http://" + l[3].Addr().String(), CA: api + "/api/v1/ca.pem", Accounts: p.Accounts(), Doors: doors,
	}
	account := "alice@" + a.Domain
	if len(a.Accounts) > 0 {
		account = a.Accounts[0]
	}
	var b strings.Builder
	fmt.Fprintf(&b, "doppelbox is the mail provider of %s; verdicts are %s\n\n", a.Domain, map[bool]string{false: "observed: every mail for an account is taken", true: "enforced: they are answered on the wire"}[p.Enforces()])
	fmt.Fprintf(&b, "  mail          %s (SMTP, STARTTLS)\n", a.SMTP)
	fmt.Fprintf(&b, "  certificates  %s\n  JWK set       %s\n  discovery     %s\n  token info    %s\n", a.Certificates, a.JWKSet, a.Discovery, a.TokenInfo)
	fmt.Fprintf(&b, "  proxy         %s (HTTPS only, in place of %s)\n", a.Proxy, strings.Join(keys.GoogleHosts(), ", "))
	fmt.Fprintf(&b, "  control API   %s\n  authority     %s\n", a.API, a.CA)
	fmt.Fprintf(&b, "  accounts      %s\n", strings.Join(a.Accounts, ", "))
	for _, d := range doors {
		fmt.Fprintf(&b, "  %s  %s\n", d.Name, d.Addr)
	}
	fmt.Fprintf(&b, "\nTo try it:\n\n")
	fmt.Fprintf(&b, "  doppelbox send --server %s --from noreply@shop.example --to %s\n", a.SMTP, account)
	fmt.Fprintf(&b, "  swaks --server %s --from noreply@shop.example --to %s\n", a.SMTP, account)
	fmt.Fprintf(&b, "  curl -s -o doppelbox-ca.pem %s\n", a.CA)
	fmt.Fprintf(&b, "  curl --cacert doppelbox-ca.pem %s\n", a.JWKSet)
	fmt.Fprintf(&b, "  HTTPS_PROXY=%s curl --cacert doppelbox-ca.pem https://www.googleapis.com/oauth2/v3/certs\n", a.Proxy)
	b.WriteString(hostsLine(l[1].Addr()))
	fmt.Fprintf(&b, "  curl --data-binary 'click 0' %ssteps\n\n", a.API)
	r.event("started", a, b.String())
}

// hostsLine is the line that leads programs to the certificates without a
// proxy. It helps only at the port of https, and with an address that is one.
func hostsLine(certs net.Addr) string {
	addr, ok := certs.(*net.TCPAddr)
	if !ok || addr.Port != httpsPort || addr.IP.IsUnspecified() {
		return ""
	}
	return fmt.Sprintf("  echo '%s %s' >>/etc/hosts\n", addr.IP, strings.Join(keys.GoogleHosts(), " "))
}

const httpsPort = 443

// message tells of a stored message and its verdict.
func (r *reporter) message(m mailbox.Message) {
	if r.json {
		r.event("message", mailbox.Summary{Message: m}, "")
		return
	}
	e := &m.Evidence
	var b strings.Builder
	came := "from <" + policy.Printable(e.Arrival.MailFrom) + "> at " + e.Arrival.Peer.String()
	if f := e.Arrival.Fetch; f != nil {
		came = "by POP from " + policy.Printable(f.Source)
	}
	fmt.Fprintf(&b, "%s %s for %s %s\n", e.At.Format(time.RFC3339), m.ID, m.Account, came)
	fmt.Fprintf(&b, "%s\n", authLine(m))
	if r.verbose {
		b.WriteString(m.Verdict.Explained())
	} else {
		b.WriteString(m.Verdict.Brief())
	}
	if m.Verdict.Delivery != policy.Accept && !m.Refused {
		b.WriteString("observed only: the message was answered 250 and kept; --enforce answers the verdict\n")
	}
	if m.Problem != "" {
		fmt.Fprintf(&b, "problem %s\n", policy.Printable(m.Problem))
	}
	b.WriteByte('\n')
	r.event("message", nil, b.String())
}

// attempt tells of an attempt at a click's request.
func (r *reporter) attempt(c mailbox.Click, a mailbox.Attempt) {
	a = scenarios.RedactAttempt(a)
	outcome := fmt.Sprintf("%d", a.Status)
	switch {
	case a.Status == 0 || a.Error != "" && a.Reason != "" && a.Reason != string(dispatcher.ReasonStatus):
		outcome = a.Reason + ": " + policy.Printable(a.Error)
	case a.Error != "":
		outcome += " (" + policy.Printable(a.Error) + ")"
	}
	r.event("attempt", a, fmt.Sprintf("%s click %s on %s: %s -> %s, %s\n\n", a.At.Format(time.RFC3339), c.ID, c.MessageID, asked(a), outcome, became(a)))
}

// asked is what an attempt asked for, with the redirects that were followed.
func asked(a mailbox.Attempt) string {
	var b strings.Builder
	for _, h := range a.Hops {
		fmt.Fprintf(&b, "%s %s -> %d, ", h.Method, policy.Printable(h.URL), h.Status)
	}
	fmt.Fprintf(&b, "%s %s", a.Method, policy.Printable(a.URL))
	return b.String()
}

// became is what becomes of the request after an attempt.
func became(a mailbox.Attempt) string {
	switch {
	case a.Outcome == string(dispatcher.OutcomeCutOff):
		return "cut off, and will not be repeated"
	case !a.Due.IsZero():
		return a.Outcome + ", due at " + a.Due.Format(time.RFC3339)
	case a.Exhausted:
		return a.Outcome + ", the schedule of retries has ended"
	}
	return a.Outcome
}
