//go:build unix

package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// executing is a doppelbox exec in a process of its own.
type executing struct {
	cmd   *exec.Cmd
	temp  string // Where it may make temporary files.
	lines *bufio.Scanner
}

// newExec prepares one. It is in a session of its own, so that no terminal
// of whoever runs the tests has a say.
func newExec(t *testing.T, args ...string) *executing {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	e := &executing{cmd: exec.CommandContext(t.Context(), self), temp: t.TempDir()}
	e.cmd.Args = append([]string{"doppelbox", "exec", "--dns=zone"}, args...)
	e.cmd.Env = append(os.Environ(), "TMPDIR="+e.temp, "GORACE=atexit_sleep_ms=0")
	e.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return e
}

// start starts it with its output in a pipe.
func (e *executing) start(t *testing.T) {
	t.Helper()
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	e.lines = bufio.NewScanner(out)
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

// next returns the next line that the command prints.
func (e *executing) next(t *testing.T) string {
	t.Helper()
	if !e.lines.Scan() {
		t.Fatalf("it prints no more: %v, %v", e.lines.Err(), e.cmd.Wait())
	}
	return strings.TrimSuffix(e.lines.Text(), "\r") // Which a terminal adds.
}

// until reads lines up to one.
func (e *executing) until(t *testing.T, want string) (before []string) {
	t.Helper()
	for {
		line := e.next(t)
		if line == want {
			return before
		}
		before = append(before, line)
	}
}

// end waits for its end, which has to be with the code given and leave nothing.
func (e *executing) end(t *testing.T, code int) {
	t.Helper()
	var exit *exec.ExitError
	if err := e.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Error(err)
	}
	if got := e.cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("it ended with %v, and not with %d", e.cmd.ProcessState, code)
	}
	left, err := os.ReadDir(e.temp)
	if err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
}

func (e *executing) send(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := e.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// What is sent to exec reaches the command, which alone says when it is over,
// and how.
func TestExecSignals(t *testing.T) {
	t.Parallel()
	e := newExec(t, "--", "heed")
	e.start(t)
	if got := e.until(t, "ready"); !slices.Contains(got, "1 terminal=false") {
		t.Errorf("it found %v", got)
	}
	list := []syscall.Signal{
		syscall.SIGINT, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGQUIT, syscall.SIGINT,
		syscall.SIGABRT, syscall.SIGALRM, syscall.SIGXCPU, syscall.SIGWINCH,
	}
	if power := unix.SignalNum("SIGPWR"); power != 0 {
		list = append(list, power)
	}
	for _, sig := range list {
		e.send(t, sig)
		if got := e.next(t); got != sig.String() {
			t.Errorf("%v came as %s", sig, got)
		}
	}
	e.send(t, syscall.SIGTERM)
	e.end(t, 7)
}

// A command that a signal ends ends exec with 128 and its number.
func TestExecKilled(t *testing.T) {
	t.Parallel()
	for sig, code := range map[syscall.Signal]int{syscall.SIGTERM: 143, syscall.SIGINT: 130, syscall.SIGHUP: 129, syscall.SIGALRM: 142, syscall.SIGABRT: 134} {
		e := newExec(t, "--", "sh", "-c", "echo ready; exec cat")
		in, err := e.cmd.StdinPipe() // Open, so that cat waits.
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		e.start(t)
		e.until(t, "ready")
		e.send(t, sig)
		e.end(t, code)
	}
}

// A signal that came before the command is started ends exec, and the command
// never runs.
func TestExecTooEarly(t *testing.T) {
	t.Parallel()
	caught := signals{kinds: []chan os.Signal{make(chan os.Signal, 1), make(chan os.Signal, 1)}}
	caught.kinds[1] <- syscall.SIGTERM
	run := func() error {
		return caught.run(streams{strings.NewReader(""), io.Discard, io.Discard}, childCommand{"nowhere"}, nil)
	}
	if err := run(); err != childExit(143) {
		t.Errorf("it ended with %v", err)
	}
	// But not one that ends nobody.
	caught.kinds[0] <- syscall.SIGWINCH
	if err := run(); err != childExit(exitNotFound) {
		t.Errorf("after a window has changed it ended with %v", err)
	}
}

// However many signals of one kind wait, none of another is lost by it. Those
// sent here are sent to the tests' own process, which does nothing with them.
func TestExecFlood(t *testing.T) {
	t.Parallel()
	seen := make(chan os.Signal, 1)
	signal.Notify(seen, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(seen)
	caught := catchSignals()
	defer caught.stop()
	raise := func(sig syscall.Signal) {
		if err := syscall.Kill(syscall.Getpid(), sig); err != nil {
			t.Fatal(err)
		}
		<-seen
	}
	for range 100 {
		raise(syscall.SIGUSR2)
	}
	raise(syscall.SIGUSR1)
	raise(syscall.SIGUSR2) // Once it is seen, the one before it is with all that wait for it.
	found := 0
	for _, c := range caught.kinds {
		for range len(c) {
			if <-c == syscall.SIGUSR1 {
				found++
			}
		}
	}
	if found != 1 {
		t.Errorf("of one SIGUSR1 among many others %d came", found)
	}
}

// Before the command is started a signal does what it does to any program,
// whatever is waited for.
func TestExecReading(t *testing.T) {
	t.Parallel()
	e := newExec(t, "-", "--", "true")
	in, err := e.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	e.start(t)
	// More than a pipe holds: once it is written, the world is being read.
	if _, err := io.WriteString(in, strings.Repeat("# A comment.\n", 20000)); err != nil {
		t.Fatal(err)
	}
	e.send(t, syscall.SIGTERM)
	e.end(t, -1) // By the signal itself.
}

// The same where the authorities of the user come from a pipe.
func TestExecReadingAuthorities(t *testing.T) {
	t.Parallel()
	for _, variable := range []string{"SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"} {
		e := newExec(t, "--", "true")
		pipe := filepath.Join(t.TempDir(), "pipe")
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
		e.cmd.Env = append(e.cmd.Env, variable+"="+pipe)
		e.start(t)
		in, err := os.OpenFile(pipe, os.O_WRONLY, 0) // Which waits for the one who reads.
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		e.send(t, syscall.SIGTERM)
		e.end(t, -1)
	}
}

// That nobody reads what exec has to say ends neither it nor the command, which
// is ended by a pipe of its own as ever.
func TestExecUnread(t *testing.T) {
	t.Parallel()
	unread := func() *os.File {
		out, in, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { in.Close() })
		out.Close()
		return in
	}
	e := newExec(t, "--", "sh", "-c", "fetch https://refused.example/; exit 7")
	e.cmd.Stderr = unread()
	e.start(t)
	e.next(t) // The refusal, of which exec tells at the end.
	e.end(t, 7)
	e = newExec(t, "--", "sh", "-c", "echo; exit 7")
	e.cmd.Stdout = unread()
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	e.end(t, 128+int(syscall.SIGPIPE))
}

// What is ignored stays ignored, as nohup wants it.
func TestExecIgnored(t *testing.T) {
	t.Parallel()
	e := newExec(t, "--", "sh", "-c", `echo ready; read line; kill -HUP $$; echo "$line"`)
	in, err := e.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	// The shell that ignores the signal becomes exec.
	path, args := e.cmd.Path, e.cmd.Args
	e.cmd.Path, e.cmd.Args = "/bin/sh", append([]string{"sh", "-c", `trap "" HUP; shift; exec env doppelbox "$@"`, "sh", path}, args[1:]...)
	e.start(t)
	e.until(t, "ready")
	e.send(t, syscall.SIGHUP)
	if _, err := io.WriteString(in, "alive\n"); err != nil {
		t.Fatal(err)
	}
	e.until(t, "alive")
	e.end(t, 0)
}

// Several at once have nothing in common, their keys least of all.
func TestExecParallel(t *testing.T) {
	t.Parallel()
	outputs := make([]string, 4)
	var all sync.WaitGroup
	for i := range outputs {
		e := newExec(t, "--", "fetch", "https://www.googleapis.com/oauth2/v1/certs")
		all.Go(func() {
			out, err := e.cmd.Output()
			if err != nil {
				t.Errorf("%v: %s", err, out)
			}
			_, outputs[i], _ = strings.Cut(string(out), "\n")
		})
	}
	all.Wait()
	ids := map[string]string{}
	for _, text := range outputs {
		var own map[string]string
		if err := json.Unmarshal([]byte(text), &own); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		maps.Copy(ids, own)
	}
	if len(ids) != 2*len(outputs) {
		t.Errorf("there are %d keys", len(ids))
	}
}

// What is passed on goes by the proxy that the user had, with its credentials,
// which nothing prints.
func TestExecFormerProxy(t *testing.T) {
	t.Parallel()
	for _, start := range []func(http.Handler) *httptest.Server{httptest.NewServer, httptest.NewTLSServer} {
		asked := make(chan string, 10)
		former := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked <- r.Method + " " + r.RequestURI + " " + r.Header.Get("Proxy-Authorization")
			http.Error(w, "", http.StatusTeapot)
		}))
		defer former.Close()
		e := newExec(t, "-v", "--pass-on=*.shop.example", "--", "fetch", "https://api.shop.example/", "https://intern.shop.example/")
		for _, name := range []string{"HTTPS_PROXY", "https_proxy"} {
			e.cmd.Env = append(e.cmd.Env, name+"="+strings.Replace(former.URL, "://", "://alice:s3cret@", 1))
		}
		e.cmd.Env = append(e.cmd.Env, "NO_PROXY=", "no_proxy=")
		if cert := former.Certificate(); cert != nil { // That is trusted as the user says.
			text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
			e.cmd.Env = append(e.cmd.Env, "SSL_CERT_FILE="+write(t, t.TempDir(), "own.pem", string(text)))
		}
		var errs bytes.Buffer
		e.cmd.Stderr = &errs
		e.start(t)
		for range 2 {
			if got := e.next(t); !strings.Contains(got, "the next proxy, "+former.Listener.Addr().String()+": it answered 418 I'm a teapot") {
				t.Errorf("what was passed on came back as %s", got)
			}
		}
		e.end(t, 1)
		for _, host := range []string{"api", "intern"} {
			want := "CONNECT " + host + ".shop.example:443 Basic " + base64.StdEncoding.EncodeToString([]byte("alice:s3cret"))
			if got := <-asked; got != want {
				t.Errorf("the proxy was asked %s", got)
			}
		}
		if text := errs.String(); len(asked) > 0 || !strings.Contains(text, "api.shop.example:443") || strings.Contains(text, "s3cret") || strings.Contains(text, "Basic") {
			t.Errorf("it was asked %d times more; the log is\n%s", len(asked), text)
		}
	}
}
