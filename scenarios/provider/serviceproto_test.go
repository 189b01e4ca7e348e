package provider

import (
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/dispatcher"
	"github.com/doppelbox/doppelbox/keys"
)

// TestServicesByHTTP2 asks the services within the process by HTTP/2, which they
// speak with whoever offers it.
func TestServicesByHTTP2(t *testing.T) {
	t.Parallel()
	ca, err := keys.NewCA(keys.CAOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := newServices(ca, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	guard := dispatcher.NewGuard(dispatcher.GuardOptions{})
	var last dispatcher.Attempt
	d, err := dispatcher.New(dispatcher.Options{Now: time.Now, Guard: guard, RootCAs: ca.Pool(), OnAttempt: func(a dispatcher.Attempt) { last = a }})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		fail   Failure
		reason dispatcher.Reason
		proto  string
		body   string
	}{
		{"", "", "HTTP/2.0", "done"},
		{FailHTTP2Unprocessed, dispatcher.ReasonHTTP2Unprocessed, "", ""},
		{FailHTTP2GoAway, dispatcher.ReasonHTTP2GoAway, "", ""},
		{FailTimeout, dispatcher.ReasonTimeout, "", ""},
		{FailReset, dispatcher.ReasonReset, "", ""},
		{FailSlowHeader, dispatcher.ReasonTimeout, "", ""},
		{FailCutHeader, dispatcher.ReasonReset, "", ""},
		{FailBadResponse, dispatcher.ReasonReset, "", ""},
		{FailCutBody, "", "HTTP/2.0", "half of it"},
		{FailTLSExpired, dispatcher.ReasonTLSExpired, "", ""},
		{FailTLSClient, dispatcher.ReasonTLSClient, "", ""},
		{FailTLSNone, dispatcher.ReasonTLSNone, "", ""},
	} {
		host, err := s.add(Service{URL: "https://shop.example/approve", Body: "done", Fail: tt.fail})
		if err != nil {
			t.Fatal(err)
		}
		if err := guard.RouteConn(host, s.dial); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Submit(dispatcher.Request{Method: "POST", URL: "https://shop.example/approve", Body: []byte("confirmed=Approved"), HTTP2: true}); err != nil {
			t.Fatal(err)
		}
		if err := d.RunDue(t.Context()); err != nil {
			t.Fatal(err)
		}
		if last.Reason != tt.reason || last.Proto != tt.proto || string(last.Body) != tt.body || (last.Error == "") != (tt.fail == "") {
			t.Errorf("%q: %s (%s), %s %q", tt.fail, last.Reason, last.Error, last.Proto, last.Body)
		}
	}
}
