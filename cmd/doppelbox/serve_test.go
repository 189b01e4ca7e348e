package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/keys"
)

// event is a line of serve --json.
type event struct {
	Event string          `json:"event"`
	Data  json.RawMessage `json:"data"`
}

// serving is a serve command that runs in the process.
type serving struct {
	addresses
	lines  *bufio.Scanner
	stop   context.CancelFunc
	code   chan int
	stderr *bytes.Buffer
}

// startServe starts it on free ports and waits until it says that it has
// started. What it prints has to be read, or it waits.
func startServe(t *testing.T, args ...string) *serving {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	out, in := io.Pipe()
	s := &serving{lines: bufio.NewScanner(out), stop: stop, code: make(chan int, 1), stderr: &bytes.Buffer{}}
	s.lines.Buffer(nil, 1<<20)
	args = append([]string{"serve", "--json", "--smtp=127.0.0.1:0", "--certs=127.0.0.1:0", "--api=127.0.0.1:0", "--proxy=127.0.0.1:0", "--dns=zone"}, args...)
	go func() {
		s.code <- run(ctx, args, streams{strings.NewReader(""), in, s.stderr})
		in.Close()
	}()
	t.Cleanup(func() {
		stop()
		// Whatever is still printed, and then the end.
		_, _ = io.Copy(io.Discard, out)
	})
	s.next(t, "started", &s.addresses)
	return s
}

// next reads the next event, which has to be of the kind given.
func (s *serving) next(t *testing.T, kind string, data any) {
	t.Helper()
	if !s.lines.Scan() {
		t.Fatalf("no event %q: %v, exit code %d, %s", kind, s.lines.Err(), <-s.code, s.stderr)
	}
	var e event
	if err := json.Unmarshal(s.lines.Bytes(), &e); err != nil || e.Event != kind {
		t.Fatalf("no event %q: %s", kind, s.lines.Bytes())
	}
	if data == nil {
		return
	}
	if err := json.Unmarshal(e.Data, data); err != nil {
		t.Fatal(err)
	}
}

// command runs another command, and returns its exit code and output.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, streams{strings.NewReader(""), &out, &errs})
	return code, out.String(), errs.String()
}

// Mail, a verdict, a click, and a clean end: the events say so.
func TestServe(t *testing.T) {
	t.Parallel()
	s := startServe(t)
	if s.Domain != "gmail.test" || len(s.Accounts) != 1 || s.Accounts[0] != "alice@gmail.test" {
		t.Errorf("started as %+v", s.addresses)
	}
	// What a command prints waits for its reader; so the two run side by side.
	sent := make(chan string, 1)
	go func() {
		code, out, errs := command(t, "send", "--server", s.SMTP, "--sign", "s1", "--starttls")
		sent <- strings.TrimSpace(out) + errs + " exit " + string(rune('0'+code))
	}()
	var message struct {
		ID      string `json:"id"`
		Account string `json:"account"`
		Raw     []byte `json:"raw"`
		Verdict struct {
			Actions []struct {
				Answer string `json:"answer"`
			} `json:"actions"`
		} `json:"verdict"`
		Evidence struct {
			Arrival struct {
				TLS string `json:"tls"`
			} `json:"arrival"`
		} `json:"evidence"`
	}
	s.next(t, "message", &message)
	if message.Account != "alice@gmail.test" || message.Raw != nil || len(message.Verdict.Actions) != 1 || message.Evidence.Arrival.TLS != "TLS1_3" {
		t.Errorf("message is %+v", message)
	}
	if got := <-sent; !strings.HasPrefix(got, "250 2.0.0 OK  ") || !strings.HasSuffix(got, "gsmtp exit 0") {
		t.Errorf("send said %s", got)
	}
	code, out, _ := command(t, "send", "--server", s.SMTP, "--to", "bob@gmail.test", "--json")
	var reply struct {
		Code              int
		Enhanced, Command string
		Lines             []string
	}
	if err := json.Unmarshal([]byte(out), &reply); err != nil || code != exitNot || reply.Code != 550 || reply.Enhanced != "5.1.1" || reply.Command != "RCPT" || !strings.Contains(out, `"code": 550`) {
		t.Errorf("exit code %d, %s, %v", code, out, err)
	}
	s.stop()
	s.next(t, "stopped", nil)
	if code := <-s.code; code != exitHeld || s.stderr.Len() > 0 {
		t.Errorf("exit code %d, %s", code, s.stderr)
	}
	for _, addr := range []string{s.SMTP, strings.TrimSuffix(strings.TrimPrefix(s.API, "http://"), "/api/v1/"), strings.TrimSuffix(strings.TrimPrefix(s.TokenInfo, "https://"), "/tokeninfo"), strings.TrimPrefix(s.Proxy, "http://")} {
		if answers(addr) {
			t.Errorf("%s still answers", addr)
		}
	}
}

// answers reports whether anybody at an address says something. A connection
// alone proves nothing: a process that another test has just started holds a
// copy of every listener until it runs its own program.
func answers(addr string) bool {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return false
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		return false
	}
	n, _ := conn.Read(make([]byte, 1))
	return n > 0
}

// A click's request goes to a routed service over a real connection, and is
// told as an event.
func TestServeClick(t *testing.T) {
	t.Parallel()
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
	bodies := make(chan string, 1)
	server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies <- string(body)
	})}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(tls.NewListener(l, config)) }()
	t.Cleanup(func() {
		server.Close()
		<-ended
	})
	dir := t.TempDir()
	world := write(t, dir, "world", "account alice@gmail.test\nregister noreply@shop.example bearer=yes\nroute shop.example to="+l.Addr().String()+
		"\npeer 127.0.0.1 as=192.0.2.10\ndns zone\n-- zone --\nshop.example. TXT \"v=spf1 ip4:192.0.2.10 -all\"\n")
	s := startServe(t, world, "--trust", write(t, dir, "ca.pem", string(ca.PEM())))
	sent := make(chan int, 1)
	go func() {
		code, _, _ := command(t, "send", "--server", s.SMTP)
		sent <- code
	}()
	s.next(t, "message", nil)
	if code := <-sent; code != exitHeld {
		t.Errorf("send has exit code %d", code)
	}
	status := make(chan int, 1)
	go func() {
		answer, err := http.Post(s.API+"steps", "text/plain", strings.NewReader("click 0\nexpect click.state == succeeded\n"))
		if err != nil {
			t.Error(err)
			status <- 0
			return
		}
		answer.Body.Close()
		status <- answer.StatusCode
	}()
	var attempt struct {
		Status  int    `json:"status"`
		Outcome string `json:"outcome"`
		Addr    string `json:"addr"`
		Sent    []byte `json:"sent"`
	}
	s.next(t, "attempt", &attempt)
	// What serve prints may be kept in a log: it has no token.
	if !strings.Contains(string(attempt.Sent), "\r\nAuthorization: Bearer (token)\r\n") {
		t.Errorf("the event has the request\n%s", attempt.Sent)
	}
	if attempt.Status != 200 || attempt.Outcome != "succeeded" || attempt.Addr != l.Addr().String() {
		t.Errorf("attempt is %+v", attempt)
	}
	if got := <-bodies; got != "confirmed=Approved" {
		t.Errorf("body is %q", got)
	}
	if got := <-status; got != http.StatusOK {
		t.Errorf("the API answered %d", got)
	}
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The keys of a running provider: listed, rotated, exported.
func TestKeys(t *testing.T) {
	t.Parallel()
	s := startServe(t)
	certs := strings.TrimSuffix(s.TokenInfo, "/tokeninfo")
	code, listed, errs := command(t, "keys", "--api", s.API)
	if lines := strings.Split(strings.TrimSpace(listed), "\n"); code != exitHeld || len(lines) != 2 || !strings.HasSuffix(lines[0], " current") {
		t.Fatalf("exit code %d, %s%s", code, listed, errs)
	}
	code, out, errs := command(t, "keys", "rotate", "--api", s.API)
	if lines := strings.Split(strings.TrimSpace(out), "\n"); code != exitHeld || len(lines) != 3 {
		t.Errorf("rotated: exit code %d, %s%s", code, out, errs)
	}
	code, _, errs = command(t, "keys", "rotate", "--api", s.API)
	if code != exitUsage || !strings.Contains(errs, "409 Conflict: keys: too soon to rotate") {
		t.Errorf("rotated twice: exit code %d, %s", code, errs)
	}
	var list []keys.Key
	code, out, errs = command(t, "keys", "list", "--json", "--api", strings.TrimSuffix(s.API, "/"))
	if err := json.Unmarshal([]byte(out), &list); code != exitHeld || err != nil || len(list) != 3 {
		t.Errorf("as JSON: exit code %d, %v, %s%s", code, err, out, errs)
	}
	for form, want := range map[string]string{"jwks": `"keys"`, "certs": "BEGIN CERTIFICATE", "discovery": `"jwks_uri"`} {
		code, out, errs := command(t, "keys", "export", "--form", form, "--api", s.API, "--from", certs)
		if code != exitHeld || !json.Valid([]byte(out)) || !strings.Contains(out, want) {
			t.Errorf("%s: exit code %d, %s%s", form, code, out, errs)
		}
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if code, out, errs := command(t, "keys", "export", "--form=ca", "--api", s.API, "-o", path); code != exitHeld || out != "" {
		t.Errorf("ca: exit code %d, %s%s", code, out, errs)
	}
	text, err := os.ReadFile(path)
	if err != nil || !x509.NewCertPool().AppendCertsFromPEM(text) {
		t.Errorf("the authority is %s, %v", text, err)
	}
	if code, _, errs := command(t, "keys", "export", "--form=ca", "--api", s.API, "-o", filepath.Join(path, "x")); code != exitUsage || !strings.HasPrefix(errs, "doppelbox: error: open ") {
		t.Errorf("to nowhere: exit code %d, %s", code, errs)
	}
}

// A port that is taken is told with the flag that names it, and what was
// opened before is closed again.
func TestServePortInUse(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().String()
	for _, flag := range []string{"--smtp", "--certs", "--api", "--proxy"} {
		args := []string{"serve", "--dns=zone"}
		for _, other := range []string{"--smtp", "--certs", "--api", "--proxy"} {
			addr := "127.0.0.1:0"
			if other == flag {
				addr = taken
			}
			args = append(args, other, addr)
		}
		code, out, errs := command(t, args...)
		want := "doppelbox: error: " + flag + ": listen tcp " + taken + ": bind: address already in use\ndoppelbox: hint: another address can be given; port 0 takes a free one\n"
		if code != exitUsage || out != "" || errs != want {
			t.Errorf("%s: exit code %d, %s%s", flag, code, out, errs)
		}
	}
}

// In text, the start has lines to paste, and a message its verdict.
func TestServeText(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, in := io.Pipe()
	code := make(chan int, 1)
	var errs bytes.Buffer
	// The flag counts for more than the world.
	world := write(t, t.TempDir(), "world", "account alice@gmail.test\ninbound observe\n")
	go func() {
		code <- run(ctx, []string{"serve", world, "--smtp=127.0.0.1:0", "--certs=127.0.0.1:0", "--api=127.0.0.1:0", "--proxy=127.0.0.1:0", "--dns=zone", "--enforce"}, streams{strings.NewReader(""), in, &errs})
		in.Close()
	}()
	text := bufio.NewReader(out)
	block := func(end string) string {
		var b strings.Builder
		for {
			line, err := text.ReadString('\n')
			b.WriteString(line)
			if err != nil || strings.HasPrefix(line, end) {
				return b.String()
			}
		}
	}
	started := block("  curl --data-binary")
	server, _, ok := strings.Cut(started[strings.Index(started, "send --server ")+len("send --server "):], " ")
	if !ok || !strings.HasPrefix(started, "doppelbox is the mail provider of gmail.test; verdicts are enforced") {
		t.Fatalf("it printed\n%s", started)
	}
	sent := make(chan int, 1)
	go func() {
		code, _, _ := command(t, "send", "--server", server)
		sent <- code
	}()
	if told := block("action 0"); !strings.Contains(told, " for alice@gmail.test from <noreply@shop.example> at 127.0.0.1\nspf=none") || !strings.Contains(told, "withheld") {
		t.Errorf("it printed\n%s", told)
	}
	if got := <-sent; got != exitNot {
		t.Errorf("send has exit code %d", got)
	}
	stop()
	if rest, err := io.ReadAll(text); err != nil || !strings.Contains(string(rest), "stopping: no new mail is taken") {
		t.Errorf("at the end it printed %s, %v", rest, err)
	}
	if got := <-code; got != exitHeld || errs.Len() > 0 {
		t.Errorf("exit code %d, %s", got, errs.String())
	}
}
