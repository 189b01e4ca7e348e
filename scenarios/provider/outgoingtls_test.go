package provider_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/receiver/smtpserver"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

const stsURL = "https://mta-sts.acme.test/.well-known/mta-sts.txt"

// sts is an MTA-STS policy.
func sts(mode, mx string) string {
	return "version: STSv1\nmode: " + mode + "\nmx: " + mx + "\nmax_age: 86400\n"
}

// forwardedTo sends a mail to the sink acme.test, and returns what became of it.
func forwardedTo(t *testing.T, p *provider.Provider) mailbox.Outgoing {
	t.Helper()
	configure(t, p, alice, provider.Settings{Forward: "x@acme.test"})
	delivered(t, p, note(""))
	list := outgoing(t, p)
	return list[len(list)-1]
}

func loadZone(t *testing.T, p *provider.Provider, text string) {
	t.Helper()
	if errs := p.Zone().Load("zone", text); len(errs) > 0 {
		t.Fatal(errs)
	}
}

// How TLS goes with servers of each kind, with and without a policy.
func TestTLSSessions(t *testing.T) {
	t.Parallel()
	const (
		record = "_mta-sts.acme.test. TXT \"v=STSv1; id=1\"\n"
		plain  = "no-policy-found"
	)
	service := func(body string) *provider.Service { return &provider.Service{URL: stsURL, Body: body} }
	tests := []struct {
		name    string
		zone    string
		service *provider.Service
		sink    provider.SinkTLS
		sent    bool
		tls     bool
		policy  string
		result  string
		problem string
	}{
		{"good", "", nil, "", true, true, plain, "", ""},
		{"no STARTTLS", "", nil, provider.SinkTLSNone, true, false, plain, "starttls-not-supported", "does not offer STARTTLS"},
		{"unknown authority", "", nil, provider.SinkTLSUntrusted, true, true, plain, "certificate-not-trusted", "unknown authority"},
		{"another name", "", nil, provider.SinkTLSName, true, true, plain, "certificate-host-mismatch", "not mx.acme.test"},
		{"MX host", "acme.test. MX 10 in.acme.test.\n", nil, provider.SinkTLSName, true, true, plain, "certificate-host-mismatch", "not in.acme.test"},

		{"enforced", record, service(sts("enforce", "*.acme.test")), "", true, true, "sts", "", ""},
		{"enforced, no STARTTLS", record, service(sts("enforce", "mx.acme.test")), provider.SinkTLSNone, false, false, "sts", "starttls-not-supported", "does not offer STARTTLS"},
		{"enforced, unknown authority", record, service(sts("enforce", "mx.acme.test")), provider.SinkTLSUntrusted, false, false, "sts", "certificate-not-trusted", "unknown authority"},
		{"enforced, another name", record, service(sts("enforce", "mx.acme.test")), provider.SinkTLSName, false, false, "sts", "certificate-host-mismatch", "not mx.acme.test"},
		{"enforced, another MX host", record, service(sts("enforce", "mail.acme.test")), "", false, false, "sts", "validation-failure", "does not name the MX host mx.acme.test"},
		{"testing, another MX host", record, service(sts("testing", "mail.acme.test")), "", true, true, "sts", "validation-failure", "does not name the MX host"},
		{"testing, unknown authority", record, service(sts("testing", "mx.acme.test")), provider.SinkTLSUntrusted, true, true, "sts", "certificate-not-trusted", ""},
		{"none", record, service(sts("none", "mx.acme.test")), "", true, true, plain, "", ""},
		{"no record", "", service(sts("enforce", "mail.acme.test")), "", true, true, plain, "", ""},

		{"policy host not routed", record, nil, "", true, true, plain, "", ""},
		{"policy host not routed, unknown authority", record, nil, provider.SinkTLSUntrusted, true, true, plain, "certificate-not-trusted", "unknown authority"},
		{"policy not found", record, &provider.Service{URL: stsURL, Statuses: []int{404}}, "", true, true, "sts", "sts-policy-fetch-error", "answered 404"},
		{"policy elsewhere", record, &provider.Service{URL: stsURL, Statuses: []int{301}, Header: http.Header{"Location": {"/x"}}}, "", true, true, "sts", "sts-policy-fetch-error", "answered 301"},
		{"policy never comes", record, &provider.Service{URL: stsURL, Fail: provider.FailTimeout}, "", true, true, "sts", "sts-policy-fetch-error", ""},
		{"policy host's certificate", record, &provider.Service{URL: stsURL, Fail: provider.FailTLS}, "", true, true, "sts", "sts-webpki-invalid", "tls-unknown-authority"},
		{"policy unreadable", record, service("version: STSv1\nmode: foo\n"), "", true, true, "sts", "sts-policy-invalid", "mode is"},
		{"policy in HTML", record, &provider.Service{URL: stsURL, Body: sts("enforce", "mx.acme.test"), Header: http.Header{"Content-Type": {"text/html"}}}, "", true, true, "sts", "sts-policy-invalid", "text/plain"},
		{"policy too large", record, service(sts("enforce", "mx.acme.test") + strings.Repeat("x: y\n", 20_000)), "", true, true, "sts", "sts-policy-invalid", "octets"},
		{"policy unreadable, no STARTTLS", record, service("x"), provider.SinkTLSNone, true, false, "sts", "sts-policy-invalid", "is no field"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newSealing(t, provider.Options{})
			loadZone(t, p, tt.zone)
			if tt.service != nil {
				if err := p.AddService(*tt.service); err != nil {
					t.Fatal(err)
				}
			}
			addSink(t, p, provider.Sink{Domain: "acme.test", TLS: tt.sink})
			o := forwardedTo(t, p)
			if len(o.Sessions) != 1 {
				t.Fatalf("%d sessions, %s: %s", len(o.Sessions), o.State, o.Problem)
			}
			s := o.Sessions[0]
			if (o.State == mailbox.OutgoingSent) != tt.sent || !tt.sent && o.State != mailbox.OutgoingPending || s.Policy.Type != tt.policy ||
				s.Result != tt.result || !strings.Contains(s.Problem, tt.problem) || (s.TLS == "TLS1_3") != tt.tls {
				t.Errorf("%s (%s), session %+v", o.State, o.Problem, s)
			}
			if notRouted := strings.HasPrefix(tt.name, "policy host not routed"); notRouted != (s.Unfetched == "mta-sts.acme.test") {
				t.Errorf("not fetched from %q", s.Unfetched)
			}
			if !s.At.Equal(start()) || s.From.String() != "198.18.0.1" || s.Addr.IsValid() || s.Host == "" {
				t.Errorf("session %+v", s)
			}
		})
	}
}

// A policy counts for as long as it says, whatever becomes of its host, until the
// record has another id under which there is another one.
func TestSTSRemembered(t *testing.T) {
	t.Parallel()
	p := newSealing(t, provider.Options{})
	addSink(t, p, provider.Sink{Domain: "acme.test"})
	policyOf := func(want string) {
		t.Helper()
		o := forwardedTo(t, p)
		if s := o.Sessions[0]; strings.Join(s.Policy.Hosts, " ") != want {
			t.Errorf("at %s the policy names %q, not %q: %s", s.At, s.Policy.Hosts, want, s.Problem)
		}
	}
	serve := func(s provider.Service) {
		t.Helper()
		s.URL = stsURL
		if err := p.AddService(s); err != nil {
			t.Fatal(err)
		}
	}
	setRecord := func(text string) {
		t.Helper()
		if err := p.Zone().SetTXT("_mta-sts.acme.test", text); err != nil {
			t.Fatal(err)
		}
	}
	setRecord("v=STSv1; id=1")
	serve(provider.Service{Body: sts("testing", "mx.acme.test")})
	policyOf("mx.acme.test")
	serve(provider.Service{Body: sts("testing", "*.acme.test")})
	policyOf("mx.acme.test") // The same id: it is not fetched again.
	setRecord("v=STSv1; id=2")
	policyOf("*.acme.test")
	setRecord("v=STSv1; id=3")
	serve(provider.Service{Statuses: []int{500}})
	policyOf("*.acme.test")
	setRecord("v=spf1 -all")
	policyOf("*.acme.test")
	advance(t, p, 24*time.Hour)
	policyOf("") // It has ended.
}

// expired is a certificate of yesterday, for the domain, by an authority of its
// own.
func expired(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// With a server that is reached over a socket, TLS is used if it is offered; with
// one that breaks it off, mail goes without.
func TestTLSOverTCP(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		config  *tls.Config
		tls     bool
		result  string
		problem string
	}{
		{"expired", &tls.Config{Certificates: []tls.Certificate{expired(t, "in.acme.test")}}, true, "certificate-expired", "has expired"},
		{"handshake fails", &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, http.ErrAbortHandler }}, false, "validation-failure", "tls:"},
		{"none", nil, false, "starttls-not-supported", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newSealing(t, provider.Options{})
			loadZone(t, p, "acme.test. MX 10 in.acme.test.\n")
			out := &outside{clock: p.Clock()}
			s, err := smtpserver.New(smtpserver.Options{Backend: out, Hostname: "in.acme.test", TLSConfig: tt.config})
			if err != nil {
				t.Fatal(err)
			}
			l := listen(t)
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
			addSink(t, p, provider.Sink{Domain: "acme.test", Addr: l.Addr().String()})
			o := forwardedTo(t, p)
			if o.State != mailbox.OutgoingSent || len(o.Sessions) != 1 || len(out.mails()) != 1 {
				t.Fatalf("%s: %s, %d sessions, %d mails", o.State, o.Problem, len(o.Sessions), len(out.mails()))
			}
			got := o.Sessions[0]
			if got.Result != tt.result || !strings.Contains(got.Problem, tt.problem) || (got.TLS != "") != tt.tls || (out.mails()[0].TLS != nil) != tt.tls ||
				got.Host != "in.acme.test" || got.Addr.String() != "127.0.0.1" {
				t.Errorf("session %+v", got)
			}
		})
	}
}

// Each attempt is a session, and none that did not come so far.
func TestSessionsOfAttempts(t *testing.T) {
	t.Parallel()
	p := newSealing(t, provider.Options{})
	addSink(t, p, provider.Sink{Domain: "acme.test", Code: 450})
	forwardedTo(t, p)
	advance(t, p, time.Hour)
	l := listen(t)
	closed := l.Addr().String()
	l.Close()
	addSink(t, p, provider.Sink{Domain: "acme.test", Addr: closed})
	advance(t, p, 24*time.Hour)
	var at []string
	o := onlyOutgoing(t, p)
	for _, s := range o.Sessions {
		at = append(at, s.At.Sub(start()).String())
	}
	if !slices.Equal(at, []string{"0s", "5m0s", "35m0s"}) || o.Attempts != 5 {
		t.Errorf("sessions at %q, %d attempts", at, o.Attempts)
	}
}
