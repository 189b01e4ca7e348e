package provider_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// serveTLS puts a service on a real socket and routes its host there.
func serveTLS(t *testing.T, p *provider.Provider, host string, handle http.HandlerFunc) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config, err := p.CA().TLSConfig(host)
	if err != nil {
		t.Fatal(err)
	}
	service := &http.Server{Handler: handle}
	served := make(chan error, 1)
	go func() { served <- service.Serve(tls.NewListener(l, config)) }()
	t.Cleanup(func() { service.Close(); <-served })
	if err := p.Route(host, l.Addr().String()); err != nil {
		t.Fatal(err)
	}
}

// A click is not held up by another service that does not answer, whether the
// clock runs or stands.
func TestClickWaitsForItsOwnService(t *testing.T) {
	t.Parallel()
	for name, clock := range map[string]*provider.Clock{"standing": nil, "running": provider.RunningClock(time.Now)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProvider(t, provider.Options{Clock: clock})
			asked, answer := make(chan struct{}, 1), make(chan struct{})
			serveTLS(t, p, "slow.example", func(http.ResponseWriter, *http.Request) {
				asked <- struct{}{}
				<-answer
			})
			serveTLS(t, p, "fast.example", func(http.ResponseWriter, *http.Request) {})
			m := delivered(t, p, approval("https://slow.example/a", "https://fast.example/b"))
			held := make(chan mailbox.ClickState, 1)
			go func() {
				c, err := p.Click(t.Context(), m.ID, 0)
				if err != nil {
					t.Error(err)
				}
				held <- c.State
			}()
			<-asked
			if c, err := p.Click(t.Context(), m.ID, 1); err != nil || c.State != mailbox.ClickSucceeded {
				t.Errorf("the click on the other button is %s, %v", c.State, err)
			}
			close(answer)
			if state := <-held; state != mailbox.ClickSucceeded {
				t.Errorf("the click that was held up is %s", state)
			}
		})
	}
}

// What several services are asked again at the same moment is asked in the same
// order on every run, and each until it answers well.
func TestAdvanceRetriesAtSeveralHosts(t *testing.T) {
	t.Parallel()
	var runs []string
	for range 3 {
		var order []string
		p := newProvider(t, provider.Options{OnAttempt: func(c mailbox.Click, a mailbox.Attempt) {
			order = append(order, fmt.Sprintf("%s %s %s %d", a.ID, a.URL, a.At.Format(time.TimeOnly), a.Status))
		}})
		var urls []string
		for i := range 6 {
			url := fmt.Sprintf("https://h%d.example/%d", i%3, i)
			addService(t, p, provider.Service{URL: url, Statuses: slices.Concat(slices.Repeat([]int{408}, i%3), []int{200})})
			urls = append(urls, url)
		}
		m := delivered(t, p, approval(urls...))
		for i := range urls {
			if _, err := p.Click(t.Context(), m.ID, i); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Advance(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
		runs = append(runs, strings.Join(order, "\n"))
		clicks, err := p.Store().Clicks(t.Context(), p.WorldName(), m.ID)
		if err != nil || len(clicks) != 6 {
			t.Fatalf("%d clicks, %v", len(clicks), err)
		}
		ids := map[string]bool{}
		for i, c := range clicks {
			list := attempts(t, p, c.ID)
			if c.State != mailbox.ClickSucceeded || len(list) != i%3+1 {
				t.Errorf("click %d is %s after %d attempts", i, c.State, len(list))
			}
			for _, a := range list {
				ids[a.ID] = true
			}
		}
		if len(ids) != 12 {
			t.Errorf("%d attempts have an id of their own", len(ids))
		}
	}
	if runs[0] != runs[1] || runs[1] != runs[2] {
		t.Errorf("the runs differ:\n%s", strings.Join(runs, "\n\n"))
	}
}
