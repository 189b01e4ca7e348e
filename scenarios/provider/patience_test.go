package provider_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"testing"

	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// A caller that stops waiting for a slow service must not make the service see
// the request twice: what it was sent it may have carried out.
func TestImpatientClickIsOneRequest(t *testing.T) {
	t.Parallel()
	p := newProvider(t, provider.Options{})
	asked, answer := make(chan struct{}, 8), make(chan struct{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config, err := p.CA().TLSConfig("shop.example")
	if err != nil {
		t.Fatal(err)
	}
	service := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-answer
	})}
	served := make(chan error, 1)
	go func() { served <- service.Serve(tls.NewListener(l, config)) }()
	defer func() { service.Close(); <-served }()
	if err := p.Route("shop.example", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	m := delivered(t, p, approval(serviceURL))

	ctx, giveUp := context.WithCancel(t.Context())
	clicked := make(chan error, 1)
	go func() {
		_, err := p.Click(ctx, m.ID, 0)
		clicked <- err
	}()
	<-asked
	giveUp()
	if err := <-clicked; !errors.Is(err, context.Canceled) {
		t.Errorf("the impatient click: %v", err)
	}
	if c, err := p.Click(t.Context(), m.ID, 0); err != nil || c.Verdict.Reason != "request-pending" {
		t.Errorf("a click meanwhile: %s, %v", c.Verdict.Reason, err)
	}
	close(answer)
	if err := p.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := p.Store().Clicks(t.Context(), p.WorldName(), m.ID)
	if err != nil || list[0].State != mailbox.ClickSucceeded {
		t.Errorf("the click ended as %+v, %v", list, err)
	}
	if n := len(asked); n != 0 {
		t.Errorf("the service was asked %d more times", n)
	}
}

// A provider that is told so calls nothing on this machine, either, unless it
// is routed.
func TestRoutedOnly(t *testing.T) {
	t.Parallel()
	p := newProvider(t, provider.Options{RoutedOnly: true})
	m := delivered(t, p, approval("https://localhost:18555/approve"))
	c, err := p.Click(t.Context(), m.ID, 0)
	if err != nil || c.State != mailbox.ClickWithheld {
		t.Errorf("the click is %s, %v", c.State, err)
	}
}
