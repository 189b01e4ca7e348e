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

// A redirect that is followed is told of whole: what was asked first, with the
// token left out, and what was asked then.
func TestServeRedirect(t *testing.T) {
	t.Parallel()
	s := startServeFor(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/final" {
			http.Redirect(w, r, "/final", http.StatusSeeOther)
		}
	}, "dial request.redirect follow\n")
	defer s.steps(t, "click 0", "expect click.state == succeeded")()
	type request struct {
		Method, URL string
		Sent        []byte
	}
	var attempt struct {
		request
		Hops []request
	}
	s.next(t, "attempt", &attempt)
	if len(attempt.Hops) != 1 || attempt.Method != "GET" || attempt.URL != "https://shop.example/final" || !strings.HasPrefix(string(attempt.Sent), "GET /final ") {
		t.Fatalf("attempt is %+v", attempt)
	}
	first := attempt.Hops[0]
	if first.Method != "POST" || !strings.HasPrefix(first.URL, "https://shop.example/approve") || !strings.HasPrefix(string(first.Sent), "POST /approve") {
		t.Errorf("it began with %+v", first)
	}
	for _, r := range []request{first, attempt.request} {
		if !strings.Contains(string(r.Sent), "\r\nAuthorization: Bearer (token)\r\n") {
			t.Errorf("the event has the request\n%s", r.Sent)
		}
	}
}

// A request that is under way when serve is stopped is cut off, and is not said to
// be made again: nothing is left that could.
func TestServeStopped(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 1)
	s := startServeFor(t, func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	}, "")
	clicked := make(chan struct{})
	go func() {
		defer close(clicked)
		// Stopping serve cuts this off, too, or answers it.
		if answer, err := http.Post(s.API+"steps", "text/plain", strings.NewReader("click 0\n")); err == nil {
			answer.Body.Close()
		}
	}()
	<-asked
	s.stop()
	s.next(t, "stopped", nil)
	var attempt struct {
		Outcome, Reason, Error, Due string
	}
	s.next(t, "attempt", &attempt)
	const says = "the dispatcher was stopped: the request was sent, and the service had not begun its answer; it may still carry the request out"
	if attempt.Outcome != "cut-off" || attempt.Reason != "cancelled" || attempt.Error != says || attempt.Due != "" {
		t.Errorf("attempt is %+v", attempt)
	}
	<-clicked
	if code := <-s.code; code != exitHeld {
		t.Errorf("exit code %d, %s", code, s.stderr)
	}
}
