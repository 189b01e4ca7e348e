//go:build bench

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailauth"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/scenarios"
)

// benchWorld is the world of the mail that is sent: everything about it is in
// order. The DKIM key is added.
const benchWorld = `account rcpt@gmail.test
register sender@example.test actions=ConfirmAction
sender example.test bulk=no
peer 127.0.0.1 as=192.0.2.10 ptr=mail.example.test
dns zone

-- zone --
example.test. TXT "v=spf1 ip4:192.0.2.10 -all"
_dmarc.example.test. TXT "v=DMARC1; p=reject"
s1._domainkey.example.test. TXT %q
`

// benchSize is how long the messages are made.
const benchSize = 2800

// benchFiles are what the measured processes and the load read.
type benchFiles struct {
	world, record string
	text, action  string // Signed mail, as smtp-source reads it: with LF.
}

func writeBenchFiles(t *testing.T) benchFiles {
	t.Helper()
	key, err := scenarios.TestKey("rsa")
	if err != nil {
		t.Fatal(err)
	}
	record, err := mailauth.KeyRecord(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	sign := func(kind, begin, line, end string) string {
		const header = "From: <sender@example.test>\r\nTo: <rcpt@gmail.test>\r\nSubject: Expense 4711\r\n" +
			"Date: Sat, 21 Nov 2026 09:00:00 +0000\r\nMessage-ID: <1@example.test>\r\nMIME-Version: 1.0\r\n"
		const signature = 570 // Octets of the field that signing adds.
		raw := header + "Content-Type: " + kind + "; charset=utf-8\r\n\r\n" + begin
		raw += strings.Repeat(line, (benchSize-signature-len(raw)-len(end))/len(line)) + end
		signed, err := mailauth.Sign([]byte(raw), mailauth.SignOptions{Domain: "example.test", Selector: "s1", Key: key, Time: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		return string(bytes.ReplaceAll(signed, []byte("\r\n"), []byte("\n")))
	}
	const markup = `<script type="application/ld+json">{"@context": "http://schema.org", "@type": "EmailMessage", "potentialAction": {"@type": "ConfirmAction", "name": "Approve", "handler": {"@type": "HttpActionHandler", "url": "https://example.test/approve?token=b1946ac92492d234"}}}</script>`
	const words = "a line of a message that is as long as lines of messages often are"
	return benchFiles{
		world: write("world.txt", fmt.Sprintf(benchWorld, record)), record: record,
		text:   write("text.eml", sign("text/plain", "", words+"\r\n", "")),
		action: write("action.eml", sign("text/html", "<html><body>\r\n"+markup+"\r\n", "<p>"+words+"</p>\r\n", "</body></html>\r\n")),
	}
}

// benchProcess is a server under measurement.
type benchProcess struct {
	cmd    *exec.Cmd
	smtp   string
	api    string        // Empty if it has none.
	banner time.Duration // From its start to the first line of its first session.
	stderr bytes.Buffer
}

// startServe returns what starts the command.
func (f benchFiles) startServe(flags ...string) func(*testing.T) *benchProcess {
	return func(t *testing.T) *benchProcess {
		t.Helper()
		p := &benchProcess{smtp: freeAddr(t), api: freeAddr(t)}
		args := append([]string{"serve", f.world, "--smtp", p.smtp, "--certs", "127.0.0.1:0", "--api", p.api, "--proxy", "127.0.0.1:0"}, flags...)
		p.cmd = exec.Command(binary(t), args...)
		p.start(t)
		// The answer waits for the keys: what is idle has made them.
		var keys []json.RawMessage
		p.get(t, "keys", &keys)
		if len(keys) < 2 {
			t.Fatalf("%d keys are published", len(keys))
		}
		return p
	}
}

// freeAddr returns an address where nobody listens. The benchmark has to know
// it before the process is there.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start starts the process and takes the time to its banner.
func (p *benchProcess) start(t *testing.T) {
	t.Helper()
	p.cmd.Stderr = &p.stderr // Standard output is the null device.
	begin := time.Now()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
	})
	deadline := begin.Add(10 * time.Second)
	for {
		c, err := net.Dial("tcp", p.smtp)
		if err == nil {
			defer c.Close()
			_ = c.SetDeadline(deadline)
			line, err := bufio.NewReader(c).ReadString('\n')
			p.banner = time.Since(begin)
			if err != nil || !strings.HasPrefix(line, "220 ") {
				t.Fatalf("the banner is %q, %v\n%s", line, err, &p.stderr)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v\n%s", err, &p.stderr)
		}
		// A measurement, and not a test that waits: this is its resolution.
		time.Sleep(500 * time.Microsecond)
	}
}

// stop ends the process, as a user would.
func (p *benchProcess) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil && p.api != "" {
		t.Fatalf("%v\n%s", err, &p.stderr)
	}
}

// load sends mail and returns how long it took. It fails if the server did not
// take all of it.
func (p *benchProcess) load(t *testing.T, source, mail string, args ...string) time.Duration {
	t.Helper()
	args = append(args, "-4", "-F", mail, "-M", "mail.example.test", "-f", "sender@example.test", "-t", "rcpt@gmail.test", "inet:"+p.smtp)
	begin := time.Now()
	out, err := exec.Command(source, args...).CombinedOutput()
	took := time.Since(begin)
	if err != nil {
		t.Fatalf("smtp-source: %v\n%s\n%s", err, out, &p.stderr)
	}
	return took
}

// expect fails unless exactly so many messages have been stored, and the last
// of them was authenticated. The floor refuses what it does not verify.
func (p *benchProcess) expect(t *testing.T, count int64) {
	t.Helper()
	if p.api == "" {
		return
	}
	var last []mailbox.Message
	p.get(t, fmt.Sprintf("messages?refused=yes&after=%d", count-1), &last)
	if len(last) != 1 || last[0].Seq != count {
		t.Fatalf("%d messages were sent, and %d are stored after the last but one", count, len(last))
	}
	a := last[0].Evidence.Auth
	if a.SPF.Result != "pass" || len(a.DKIM) != 1 || a.DKIM[0].Result != "pass" || a.DMARC.Result != "pass" || a.ReverseDNS.Result != "pass" {
		t.Fatalf("the last message was not authenticated: %+v", a)
	}
	for _, action := range last[0].Verdict.Actions {
		if action.Answer != policy.Offered {
			t.Fatalf("the last message's action is %s: %s", action.Answer, action.Reason)
		}
	}
}

// get asks the control API.
func (p *benchProcess) get(t *testing.T, path string, into any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", "http://"+p.api+"/api/v1/"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	reply, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatalf("%v\n%s", err, &p.stderr)
	}
	defer reply.Body.Close()
	if err := json.NewDecoder(reply.Body).Decode(into); err != nil {
		t.Fatalf("%s of %s: %v", reply.Status, path, err)
	}
}

// cpu returns the processor time the process has taken.
func (p *benchProcess) cpu(t *testing.T) time.Duration {
	t.Helper()
	text := p.proc(t, "stat")
	// The name, in brackets, may have blanks in it.
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	var ticks int64
	for _, field := range fields[11:13] { // utime and stime, proc(5).
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond // USER_HZ is 100 on Linux.
}

// memory returns a line of /proc/PID/status, in MB.
func (p *benchProcess) memory(t *testing.T, name string) float64 {
	t.Helper()
	_, rest, _ := strings.Cut(p.proc(t, "status"), name+":")
	kB, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		t.Fatal(err)
	}
	return kB / 1024
}

func (p *benchProcess) proc(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
