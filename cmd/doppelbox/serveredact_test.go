package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/doppelbox/doppelbox/keys"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/scenarios"
)

// transcript is what a command prints, as a log has it.
type transcript struct {
	mu    sync.Mutex
	text  bytes.Buffer
	begun chan struct{} // Closed when the first of it is there.
}

func (w *transcript) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.text.Len() == 0 {
		defer close(w.begun)
	}
	return w.text.Write(p)
}

func (w *transcript) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// The secrets of the mail's URL: one by its name, one by its look, one in the
// path.
const (
	namedSecret = "hunter42-abcdef"
	shownSecret = "8c1f0a2b3d4e5f607182"
	pathSecret  = "5f6071829304a5b6c7d8"
	cookie      = "session-of-alice-17"
)

// TestServeShowsNoSecrets has a service show all that it was sent, in the header
// and in the body, redirect and set a cookie. What serve prints of that, in text
// or as JSON, can be used by nobody who reads the log; the API has it all.
func TestServeShowsNoSecrets(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
	}{{"text", nil}, {"verbose", []string{"-v"}}, {"json", []string{"--json"}}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			showsNoSecrets(t, tt.args)
		})
	}
}

func showsNoSecrets(t *testing.T, flags []string) {
	ca, addr := echoing(t)
	dir := t.TempDir()
	world := write(t, dir, "world", "account alice@gmail.test\nregister noreply@shop.example bearer=yes\nroute shop.example to="+addr+
		"\npeer 127.0.0.1 as=192.0.2.10\ndns zone\n-- zone --\nshop.example. TXT \"v=spf1 ip4:192.0.2.10 -all\"\n")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, errs, code := &transcript{begun: make(chan struct{})}, &transcript{begun: make(chan struct{})}, make(chan int, 1)
	args := append([]string{"serve", world, "--trust", write(t, dir, "ca.pem", ca), "--smtp=127.0.0.1:0", "--certs=127.0.0.1:0", "--api=127.0.0.1:0", "--proxy=127.0.0.1:0", "--dns=zone"}, flags...)
	go func() { code <- run(ctx, args, streams{strings.NewReader(""), out, errs}) }()
	select {
	case <-out.begun:
	case got := <-code:
		t.Fatalf("exit code %d: %s", got, errs)
	}
	started := out.String()
	api := regexp.MustCompile(`http://[0-9.:]+/api/v1/`).FindString(started)
	server := regexp.MustCompile(`(?:--server |"smtp":")([0-9.:]+)`).FindStringSubmatch(started)[1]
	target := "https://shop.example/do/" + pathSecret + "?expense=4711&token=" + namedSecret + "&u=" + shownSecret
	if code, out, errs := command(t, "send", "--server", server, "--url", target); code != exitHeld {
		t.Fatalf("send: exit code %d, %s%s", code, out, errs)
	}

	// The API answers with what really went and came.
	var report scenarios.Report
	post(t, api+"steps", "click 0\n", &report)
	token, ok := strings.CutPrefix(report.Paths["request.0.header.authorization"], "Bearer ")
	if !ok || report.Paths["token.aud"] != "https://shop.example" || !strings.Contains(report.Paths["request.0.response.body"], token) {
		t.Fatalf("the API has %q", report.Paths)
	}
	var clicks []struct{ Attempts []mailbox.Attempt }
	get(t, api+"messages/"+messageID(t, api)+"/clicks", &clicks)
	if a := clicks[0].Attempts[0]; a.URL != target || !strings.Contains(string(a.Sent), token) {
		t.Errorf("the API has %+v", a)
	}
	stop()
	if got := <-code; got != exitHeld {
		t.Errorf("exit code %d, %s", got, errs)
	}

	told := out.String() + errs.String()
	// Octets are base64 in JSON.
	for _, octets := range regexp.MustCompile(`"(?:sent|body)":"([^"]+)"`).FindAllStringSubmatch(told, -1) {
		plain, err := base64.StdEncoding.DecodeString(octets[1])
		if err != nil {
			t.Error(err)
		}
		told += string(plain)
	}
	if !strings.Contains(told, "/do/5f60…?expense=47…&token=hunt…&u=8c1f…") {
		t.Error("the attempt is not told")
	}
	for name, secret := range map[string]string{
		"the token": token, "its signature": token[strings.LastIndexByte(token, '.')+1:], "claims": strings.Split(token, ".")[1],
		"the named secret": namedSecret, "the random one": shownSecret, "that in the path": pathSecret, "the cookie": cookie,
	} {
		if i := strings.Index(told, secret); i >= 0 {
			t.Errorf("%s is in the log: %s", name, told[max(0, i-80):min(len(told), i+80)])
		}
	}
}

// echoing is a service that shows in its answer what it was asked.
func echoing(t *testing.T) (ca, addr string) {
	t.Helper()
	authority, err := keys.NewCA(keys.CAOptions{Name: "the service's own"})
	if err != nil {
		t.Fatal(err)
	}
	config, err := authority.TLSConfig("shop.example")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		w.Header().Set("X-Echo", r.Header.Get("Authorization")+" "+r.RequestURI)
		w.Header().Set("X-Signature", token[strings.LastIndexByte(token, '.')+1:])
		w.Header().Set("Location", "/login?back="+namedSecret+"&code="+shownSecret+"#token="+namedSecret)
		http.SetCookie(w, &http.Cookie{Name: "sid", Value: cookie, Path: "/"})
		w.WriteHeader(http.StatusFound)
		fmt.Fprintf(w, "%s %s\n%v\n%s\n", r.Method, r.RequestURI, r.Header, namedSecret)
	})}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(tls.NewListener(l, config)) }()
	t.Cleanup(func() {
		server.Close()
		<-ended
	})
	return string(authority.PEM()), l.Addr().String()
}

// post posts steps, which all have to hold.
func post(t *testing.T, url, steps string, answer any) {
	t.Helper()
	response, err := http.Post(url, "text/plain", strings.NewReader(steps))
	if err != nil {
		t.Fatal(err)
	}
	decode(t, response, answer)
}

// get gets JSON.
func get(t *testing.T, url string, answer any) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	decode(t, response, answer)
}

func decode(t *testing.T, response *http.Response, answer any) {
	t.Helper()
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", response.Status, text, err)
	}
	if err := json.Unmarshal(text, answer); err != nil {
		t.Fatal(err)
	}
}

// messageID is the id of the only message.
func messageID(t *testing.T, api string) string {
	t.Helper()
	var list []mailbox.Summary
	get(t, api+"messages", &list)
	if len(list) != 1 {
		t.Fatalf("there are %d messages", len(list))
	}
	return list[0].ID
}
