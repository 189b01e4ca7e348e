package provider_test

import (
	"testing"

	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// TestServiceFailures has a service fail in each way, and reads the record of
// the click: its reason has the failure's name, unless it is said here.
func TestServiceFailures(t *testing.T) {
	t.Parallel()
	const where = "shop.example (in-process) "
	for _, failure := range provider.Failures() {
		reason, says, state := string(failure), "", mailbox.ClickFailed
		switch failure {
		case provider.FailTimeout:
			says = "no answer within 30s: the request was sent, and the service had not begun its answer; it may still carry the request out"
		case provider.FailReset:
			says = where + "reset the connection after the request, without an answer; it may have carried the request out"
		case provider.FailSlowHeader:
			reason, says = "timeout", "no answer within 30s: the request was sent, and 43 octets of the answer's header had come, but not its end; the service may still carry the request out"
		case provider.FailCutHeader:
			reason, says = "reset", where+"closed the connection after 43 octets of the answer's header, before its end; it may have carried the request out"
		case provider.FailCutBody:
			reason, state = "", mailbox.ClickSucceeded
			says = "the answer counts, but its body broke off after 10 octets: the service closed the connection, and had announced 100"
		case provider.FailBadResponse:
			says = "the answer of shop.example (in-process) is not HTTP: it begins with \"+OK this is no HTTP\\r\\n\\r\\n\""
		case provider.FailTLS:
			reason, says = "tls-unknown-authority", "the certificate of "+where+`is signed by "CN=an unknown authority", which is not trusted; or the service leaves out the certificate of an authority between`
		case provider.FailTLSExpired:
			says = "the certificate of " + where + "expired at 2020-01-02 00:00:00 UTC"
		case provider.FailTLSName:
			says = "the certificate of " + where + `is for "another-host.example", and not for this host`
		case provider.FailTLSVersion:
			says = where + "speaks no version of TLS that is offered: 1.2 and 1.3 are, and older ones are refused everywhere (RFC 8996)"
		case provider.FailTLSClient:
			says = where + "demands a certificate of the client, and the provider has none to show"
		case provider.FailTLSNone:
			says = where + "does not speak TLS on this port: it answered in plain HTTP"
		case provider.FailHTTP2Unprocessed, provider.FailHTTP2GoAway:
			reason, says = "reset", where+"closed the connection after the request, without an answer; it may have carried the request out"
		}
		t.Run(string(failure), func(t *testing.T) {
			t.Parallel()
			p := newProvider(t, provider.Options{})
			addService(t, p, provider.Service{URL: serviceURL, Fail: failure})
			m := delivered(t, p, approval(serviceURL))
			c, err := p.Click(t.Context(), m.ID, 0)
			if err != nil || c.State != state {
				t.Errorf("the click is %s, %v", c.State, err)
			}
			list := attempts(t, p, c.ID)
			if len(list) != 1 || list[0].Reason != reason || list[0].Error != says {
				t.Fatalf("recorded %s\ngot  %s\nwant %s", list[0].Reason, list[0].Error, says)
			}
			// It is repaired, and so is its certificate.
			addService(t, p, provider.Service{URL: serviceURL})
			if c, err = p.Click(t.Context(), m.ID, 0); err != nil || c.State != mailbox.ClickSucceeded && failure != provider.FailCutBody {
				t.Errorf("repaired, the click is %s, %v", c.State, err)
			}
		})
	}
}
