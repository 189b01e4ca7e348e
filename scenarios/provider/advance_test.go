package provider_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// TestAdvanceWaits holds that a standing clock does not move while a request is
// under way.
func TestAdvanceWaits(t *testing.T) {
	t.Parallel()
	p := newProvider(t, provider.Options{})
	asked, answer := make(chan struct{}, 1), make(chan struct{})
	serveTLS(t, p, "slow.example", func(http.ResponseWriter, *http.Request) { asked <- struct{}{}; <-answer })
	m := delivered(t, p, approval("https://slow.example/a"))
	done := make(chan error, 1)
	go func() { _, err := p.Click(t.Context(), m.ID, 0); done <- err }()
	<-asked
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Advance(impatient, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("the clock is moved: %v", err)
	}
	if now := p.Clock().Now(); !now.Equal(start()) {
		t.Errorf("the clock stands at %s", now)
	}
	close(answer)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := p.Advance(t.Context(), time.Hour); err != nil || !p.Clock().Now().Equal(start().Add(time.Hour)) {
		t.Errorf("%v, the clock stands at %s", err, p.Clock().Now())
	}
}
