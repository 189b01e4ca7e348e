//go:build peers

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
)

// peerContext ends with the test, when the tests are interrupted, and early
// enough before their deadline that what was started can still be stopped.
func peerContext(t *testing.T) context.Context {
	t.Helper()
	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt, syscall.SIGTERM)
	t.Cleanup(stop)
	if deadline, ok := t.Deadline(); ok {
		ctx, stop = context.WithDeadline(ctx, deadline.Add(-time.Minute))
		t.Cleanup(stop)
	}
	return ctx
}

// peerProcess is a server that runs while a test does.
type peerProcess struct {
	name string
	ctx  context.Context
	cmd  *exec.Cmd
	over chan struct{} // Closed when it and what it started have ended.

	mu      sync.Mutex
	lines   []string // What it has written.
	read    int      // How many of them have been waited for.
	changed chan struct{}
}

// startPeer starts a server. It is stopped when the test ends, with all
// processes that it started; what it wrote is shown if the test failed.
func startPeer(t *testing.T, path string, args ...string) *peerProcess {
	t.Helper()
	p := newPeer(t, path, args...)
	p.start(t)
	return p
}

// newPeer is a server that is still to be started.
func newPeer(t *testing.T, path string, args ...string) *peerProcess {
	t.Helper()
	ctx := peerContext(t)
	p := &peerProcess{name: filepath.Base(path), ctx: ctx, over: make(chan struct{}), changed: make(chan struct{})}
	p.cmd = exec.CommandContext(ctx, path, args...)
	// A session, because Postfix would make one of its own otherwise, and could
	// not be stopped as a group.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	p.cmd.Cancel = func() error { return syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM) }
	p.cmd.WaitDelay = 20 * time.Second
	p.cmd.Stdout, p.cmd.Stderr = &peerOutput{to: p}, &peerOutput{to: p}
	return p
}

func (p *peerProcess) start(t *testing.T) {
	t.Helper()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.over)
		// It returns when nobody holds the outputs open any more. How the
		// process ended is in its state.
		_ = p.cmd.Wait()
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // Who was left, if anybody.
	}()
	t.Cleanup(func() {
		<-p.over
		if t.Failed() {
			t.Logf("%s ended with %s, having written:\n%s", p.name, p.cmd.ProcessState, p.text())
		}
	})
}

// peerOutput hands what is written to it to a process, line by line.
type peerOutput struct {
	to   *peerProcess
	rest []byte
}

func (o *peerOutput) Write(data []byte) (int, error) {
	o.rest = append(o.rest, data...)
	for {
		line, rest, ok := bytes.Cut(o.rest, []byte("\n"))
		if !ok {
			return len(data), nil
		}
		o.to.add(string(line))
		o.rest = rest
	}
}

func (p *peerProcess) add(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, line)
	close(p.changed)
	p.changed = make(chan struct{})
}

// text returns what it has written, without the ends of very long lines.
func (p *peerProcess) text() string {
	const enough = 1000
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	for _, line := range p.lines {
		fmt.Fprintf(&b, "%.*s\n", enough, line)
	}
	return b.String()
}

// next returns the next line that has not been waited for.
func (p *peerProcess) next() (line string, changed <-chan struct{}, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.read == len(p.lines) {
		return "", p.changed, false
	}
	p.read++
	return p.lines[p.read-1], nil, true
}

// await waits for a line that has the given text in it, after the one that was
// waited for last. The test fails if the process ends before it.
func (p *peerProcess) await(t *testing.T, text string) string {
	t.Helper()
	lines := p.until(t, text)
	return lines[len(lines)-1]
}

// until is await, and returns the lines that came before it, too.
func (p *peerProcess) until(t *testing.T, text string) (lines []string) {
	t.Helper()
	for {
		line, changed, ok := p.next()
		if ok {
			lines = append(lines, line)
			if strings.Contains(line, text) {
				return lines
			}
			continue
		}
		select {
		case <-changed:
		case <-p.over:
			t.Fatalf("%s ended before it wrote %q", p.name, text)
		case <-p.ctx.Done():
			t.Fatalf("%s did not write %q: %v", p.name, text, context.Cause(p.ctx))
		}
	}
}

// served is a running doppelbox serve.
type served struct {
	*peerProcess
	addresses
	ca string // File with its authority.
}

// startServed serves a world with the built binary.
func startServed(t *testing.T, world string, flags ...string) *served {
	t.Helper()
	args := append([]string{"serve", worldFile(t, world), "--json", "--smtp=127.0.0.1:0", "--certs=127.0.0.1:0", "--api=127.0.0.1:0", "--proxy=127.0.0.1:0"}, flags...)
	s := &served{peerProcess: startPeer(t, builtBinary(t), args...)}
	s.event(t, "started", &s.addresses)
	t.Cleanup(func() {
		<-s.over
		if code := s.cmd.ProcessState.ExitCode(); code != exitHeld {
			t.Errorf("doppelbox serve was stopped and ended with %d", code)
		}
	})
	s.ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(s.ca, s.call(t, "GET", "ca.pem", ""), 0o644); err != nil {
		t.Fatal(err)
	}
	return s
}

// builtBinary is the path of the command.
func builtBinary(t *testing.T) string {
	t.Helper()
	binary, err := filepath.Abs("../../.bin/doppelbox")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(binary); err != nil {
		t.Fatalf("%v: make build makes it", err)
	}
	return binary
}

// worldFile is a file with a world.
func worldFile(t *testing.T, world string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "world.txt")
	if err := os.WriteFile(file, []byte(world), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// event waits for the next event of a kind and reads its data.
func (s *served) event(t *testing.T, kind string, data any) {
	t.Helper()
	// Members of an object are written in the order of their names.
	line := s.await(t, `"event":"`+kind+`"}`)
	event := struct{ Data any }{data}
	if err := json.Unmarshal([]byte(line), &event); err != nil {
		t.Fatalf("reading the event %s: %v", line, err)
	}
}

// message waits for the next message.
func (s *served) message(t *testing.T) mailbox.Message {
	t.Helper()
	var m mailbox.Message
	s.event(t, "message", &m)
	return m
}

// call asks the control API.
func (s *served) call(t *testing.T, method, path, body string) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(s.ctx, method, s.API+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	reply, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	answer, err := io.ReadAll(reply.Body)
	if err != nil || reply.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s, %v\n%s", method, path, reply.Status, err, answer)
	}
	return answer
}

// click presses the first button of the newest message.
func (s *served) click(t *testing.T) {
	t.Helper()
	s.call(t, "POST", "steps", "click 0\n")
}

// clicks returns the clicks on a message.
func (s *served) clicks(t *testing.T, m mailbox.Message) []mailbox.Click {
	t.Helper()
	var list []mailbox.Click
	if err := json.Unmarshal(s.call(t, "GET", "messages/"+m.ID+"/clicks", ""), &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// The sender of the mail, at the address that loopback stands for.
const (
	peerSender   = "noreply@shop.example"
	peerEnvelope = "bounce@shop.example"
	peerAccount  = "alice@gmail.test"
	peerHELO     = "mail.shop.example"
	peerSelector = "s1"
)

// peerWorld is a world in which mail of shop.example is in order. Records are
// added to its zone; service, if not empty, is where its requests go.
func peerWorld(service string, records ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "account %s\nregister %s actions=ConfirmAction bearer=yes\n", peerAccount, peerSender)
	fmt.Fprintf(&b, "peer 127.0.0.1 as=192.0.2.10 ptr=%s\ndns zone\n", peerHELO)
	if service != "" {
		fmt.Fprintf(&b, "route shop.example to=%s\n", service)
	}
	fmt.Fprintf(&b, "\n-- zone --\nshop.example. TXT \"v=spf1 ip4:192.0.2.10 -all\"\n_dmarc.shop.example. TXT \"v=DMARC1; p=reject\"\n%s\n", strings.Join(records, "\n"))
	return b.String()
}

// peerHTML is the body of the mail, with its button.
const peerHTML = `<html>
<body>
<script type="application/ld+json">
{
  "@context": "http://schema.org",
  "@type": "EmailMessage",
  "potentialAction": {
    "@type": "ConfirmAction",
    "name": "Approve expense",
    "handler": {"@type": "HttpActionHandler", "url": "https://shop.example/approve?expense=4711"}
  },
  "description": "Approval request for expense 4711"
}
</script>
<p>Please approve expense 4711.</p>
<p>.</p>
.
</body>
</html>
`

// peerMail returns the mail as a program writes it, with LF.
func peerMail() string {
	return "From: Shop <" + peerSender + ">\nTo: " + peerAccount + "\nSubject: Expense 4711 waits for your approval\n" +
		"Date: " + time.Now().Format(time.RFC1123Z) + "\nMessage-ID: <4711@shop.example>\n" +
		"MIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\n\n" + peerHTML
}

// expectation is what is expected of a message's verdict.
type expectation struct {
	spf, dkim, dmarc policy.AuthResult // Dkim is that of the first signature.
	answer           policy.Answer
	reason           policy.Reason
}

// offeredBy is the expectation of a mail that is in order.
func offeredBy(dkim policy.AuthResult) expectation {
	return expectation{spf: policy.AuthPass, dkim: dkim, dmarc: policy.AuthPass, answer: policy.Offered, reason: "offered"}
}

func expectMessage(t *testing.T, m mailbox.Message, want expectation) {
	t.Helper()
	auth := m.Evidence.Auth
	got := expectation{spf: auth.SPF.Result, dkim: policy.AuthNone, dmarc: auth.DMARC.Result}
	if len(auth.DKIM) > 0 {
		got.dkim = auth.DKIM[0].Result
	}
	if len(m.Verdict.Actions) == 1 {
		got.answer, got.reason = m.Verdict.Actions[0].Answer, m.Verdict.Actions[0].Reason
	}
	if got != want || m.Problem != "" {
		t.Errorf("the message is %+v, problem %q; want %+v; the whole verdict is\n%s", got, m.Problem, want, m.Verdict.Text())
	}
}

// output runs a program to its end and returns its standard output. The test
// fails unless it ends with the given code.
func output(t *testing.T, code int, cmd *exec.Cmd) string {
	t.Helper()
	var out, complaints strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != code {
		t.Fatalf("%v: %v, want code %d\n%s%s", cmd.Args, err, code, &out, &complaints)
	}
	return out.String()
}
