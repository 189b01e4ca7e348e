package main

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/keys"
)

// startServeFor starts a serve command whose actions' requests go to a service
// on a real socket, and hands in a mail with an action. The text is put at the
// beginning of its world.
func startServeFor(t *testing.T, handle http.HandlerFunc, text string) *serving {
	t.Helper()
	ca, err := keys.NewCA(keys.CAOptions{Name: "the service's own"})
	if err != nil {
		t.Fatal(err)
	}
	config, err := ca.TLSConfig("shop.example")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handle, ErrorLog: log.New(io.Discard, "", 0)}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(tls.NewListener(l, config)) }()
	t.Cleanup(func() {
		server.Close()
		<-ended
	})
	dir := t.TempDir()
	world := write(t, dir, "world", text+"account alice@gmail.test\nregister noreply@shop.example bearer=yes\nroute shop.example to="+l.Addr().String()+
		"\npeer 127.0.0.1 as=192.0.2.10\ndns zone\n-- zone --\nshop.example. TXT \"v=spf1 ip4:192.0.2.10 -all\"\n")
	s := startServe(t, world, "--trust", write(t, dir, "ca.pem", string(ca.PEM())))
	sent := make(chan int, 1)
	go func() {
		code, _, _ := command(t, "send", "--server", s.SMTP)
		sent <- code
	}()
	s.next(t, "message", nil)
	if code := <-sent; code != exitHeld {
		t.Fatalf("send has exit code %d", code)
	}
	return s
}

// steps hands steps to the API; the function that it returns waits for the answer,
// which must be that they held. What serve prints meanwhile has to be read; if they
// did not hold serve is stopped, and no event waited for any more.
func (s *serving) steps(t *testing.T, lines ...string) (wait func()) {
	t.Helper()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		answer, err := http.Post(s.API+"steps", "text/plain", strings.NewReader(strings.Join(lines, "\n")+"\n"))
		if err != nil {
			t.Error(err)
			s.stop()
			return
		}
		defer answer.Body.Close()
		if text, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK {
			t.Errorf("the API answered %s, %v", text, err)
			s.stop()
		}
	}()
	return func() { <-answered }
}

// A clock that runs does all that falls due on the way when it is moved: all
// retries of a service that never has time, and not only the next one.
func TestServeAdvance(t *testing.T) {
	t.Parallel()
	s := startServeFor(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusRequestTimeout) }, "clock 2026-01-15T09:00:00Z\n")
	defer s.steps(t, "click 0", "expect click.state == pending",
		"advance 24h", "expect request.0.attempts == 5", "expect request.0.state == failed", "expect clock contains 2026-01-16T09:")()
	for _, want := range []string{"retrying", "retrying", "retrying", "retrying", "failed"} {
		var attempt struct {
			Outcome string `json:"outcome"`
		}
		if s.next(t, "attempt", &attempt); attempt.Outcome != want {
			t.Errorf("an attempt is %s, not %s", attempt.Outcome, want)
		}
	}
}

// A clock that runs is not moved so far that it would come round to the past.
func TestServeAdvanceTooFar(t *testing.T) {
	t.Parallel()
	s := startServe(t)
	for _, want := range []int{http.StatusOK, http.StatusConflict} {
		answer, err := http.Post(s.API+"steps", "text/plain", strings.NewReader("advance 1753200h\n"))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.StatusCode != want || strings.Contains(string(text), "a clock that runs goes at most 292 years from") != (want == http.StatusConflict) || err != nil {
			t.Errorf("the API answered %d, %v, %s", answer.StatusCode, err, text)
		}
	}
}
