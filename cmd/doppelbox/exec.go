package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/doppelbox/doppelbox/cmd/doppelbox/console"
	"github.com/doppelbox/doppelbox/keys"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

type execCommand struct {
	World string `arg:"" optional:"" help:"File with the world's set-up; without it, alice@gmail.test has an account." placeholder:"WORLD"`

	Allow   hostList `placeholder:"HOST,..." help:"Let action requests go to this host where it really is. Others must be routed in the world."`
	Trust   []string `placeholder:"FILE" help:"Trust the authorities in this PEM file for action requests."`
	PassOn  []string `placeholder:"HOST" help:"Let CMD reach this host by the proxy, too: a name, \"*.example.com\", or \"all\"."`
	Enforce bool     `help:"Answer the verdict on the wire, as the real provider would, instead of only recording it."`
	Verbose bool     `short:"v" help:"Log what happens, with each verdict, to standard error."`

	worldFlags
}

// Help says what the flags do not.
func (execCommand) Help() string {
	return `CMD runs beside a fresh provider on free ports. HTTPS_PROXY leads to a proxy that answers for Google's certificate hosts with our keys and refuses others. SSL_CERT_FILE, NODE_EXTRA_CA_CERTS, REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE and, for Java, JAVA_TOOL_OPTIONS trust our authority and yours. DOPPELBOX_SMTP, DOPPELBOX_API and others say where the provider is.

The fetch that is built into Node 20 heeds no proxy; that of Node 24 does, as NODE_USE_ENV_PROXY tells it to. Google's own library for Node heeds it in every version. Programs with GnuTLS, as Debian's wget is, do not read SSL_CERT_FILE: wget --ca-certificate=$DOPPELBOX_CA_BUNDLE trusts us.

What --pass-on lets through goes by the HTTPS_PROXY that was set before, less NO_PROXY; ALL_PROXY does not count.

WORLD may be "-": then it is read from standard input, which is at its end for CMD.

On Unix, TERM, HUP, INT, QUIT, USR1, USR2, ABRT, ALRM, XCPU, WINCH and PWR that are sent to exec are passed on to CMD. One that is sent to the whole process group, as timeout sends TERM, reaches CMD twice.

The exit code is that of CMD; 128 and the number of the signal that ended it; 127 if there is no CMD, 126 if it cannot be run.`
}

// Exit codes of exec that are not the command's own, as shells have them.
const (
	exitCannotRun = 126
	exitNotFound  = 127
	exitSignal    = 128 // And the signal's number.
)

// printHelp prints help. The parser would leave the command out of exec's usage.
func printHelp(o kong.HelpOptions, ctx *kong.Context) error {
	if node := ctx.Selected(); node != nil && node.Name == "exec" {
		o.NoAppSummary = true
		fmt.Fprintln(ctx.Stdout, "Usage: "+execUsage)
	}
	return kong.DefaultHelpPrinter(o, ctx)
}

// childExit ends exec with the exit code of what it ran, which has said for
// itself what there was to say.
type childExit int

func (e childExit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// childCommand is what exec runs: a program and its arguments.
type childCommand []string

// execUsage is shown for a command line without a command.
const execUsage = "doppelbox exec [WORLD] [flags] -- CMD ARGS..."

// cutCommand cuts what exec is to run off a command line, at the first "--":
// the flags after it are not ours.
func cutCommand(args []string) (ours []string, child childCommand, err error) {
	if !isExec(args) {
		return args, nil, nil
	}
	i := slices.Index(args, "--")
	if i < 0 {
		if slices.Contains(args, "--help") || slices.Contains(args, "-h") || slices.Contains(args, "-help") {
			return args, nil, nil
		}
		return nil, nil, hinted{usagef(`exec needs "--" before the command to run`), execUsage}
	}
	if i+1 == len(args) || args[i+1] == "" {
		return nil, nil, hinted{usagef(`exec has no command after "--"`), execUsage}
	}
	return args[:i], args[i+1:], nil
}

// isExec says whether a command line is that of exec.
func isExec(args []string) bool { return len(args) > 0 && args[0] == "exec" }

// Run runs the command beside a provider, and ends as it ends.
func (c *execCommand) Run(ctx context.Context, s streams, child childCommand) (err error) {
	// What goes wrong at the end is told, but the command's own end counts for
	// more.
	atEnd := func(fault error) {
		switch {
		case fault == nil:
		case err == nil:
			err = faultError{fault}
		default:
			fmt.Fprintf(s.err, "doppelbox: error: %s\n", oneLine(fault.Error()))
		}
	}
	outlivePipes()
	// Whatever of the user's has to be waited for is read before signals are
	// caught: it may be a pipe.
	trust, err := readTrust(s, os.Getenv)
	if err != nil {
		return err
	}
	p, err := c.open(ctx, s)
	if err != nil {
		return err
	}
	defer func() { atEnd(p.Close()) }()
	a, err := c.listen(s, p)
	if err != nil {
		return err
	}
	defer func() { atEnd(a.close()) }()
	// Before there are files, and again once they are gone, a signal ends
	// whatever is waited for.
	caught := catchSignals()
	defer caught.stop()
	dir, err := makeDir()
	if err != nil {
		return err
	}
	defer func() { atEnd(os.RemoveAll(dir)) }()
	files, err := writeTrust(dir, trust, p.CA().PEM())
	if err != nil {
		return err
	}
	err = caught.run(s, child, append(os.Environ(), childEnv(os.Getenv, a, files)...))
	reportProxy(ctx, s.err, a.proxy)
	return err
}

// makeDir makes the folder of the command's files.
func makeDir() (string, error) {
	// TMPDIR may be relative, and the command may change its folder.
	temp, err := filepath.Abs(os.TempDir())
	if err != nil {
		return "", faultError{err}
	}
	dir, err := os.MkdirTemp(temp, "doppelbox-exec-")
	if err != nil {
		return "", hinted{usagef("no temporary folder: %w", err), "the environment variable TMPDIR names another place"}
	}
	// For a command that goes on as another user. There is nothing secret in it.
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", faultError{errors.Join(err, os.Remove(dir))}
	}
	return dir, nil
}

// open starts the provider.
func (c *execCommand) open(ctx context.Context, s streams) (*provider.Provider, error) {
	roots, err := systemRoots(s, c.Trust)
	if err != nil {
		return nil, err
	}
	o := provider.Options{Logger: logger(s, c.Verbose), Roots: roots}
	if c.Verbose {
		// Standard output is the command's.
		out := &reporter{s: streams{s.in, s.err, s.err}, verbose: true}
		o.OnMessage, o.OnAttempt = out.message, out.attempt
	}
	p, err := c.worldFlags.open(ctx, s, c.World, o)
	if err != nil {
		return nil, err
	}
	if c.Enforce {
		p.Enforce(true) // Whatever the world's inbound step says.
	}
	if err := c.Allow.allow(p); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// around is where the provider of exec can be reached.
type around struct {
	smtp, certs, api, proxyAddr net.Addr
	domain, account             string

	proxy  *keys.Proxy
	server *http.Server
	served chan error
}

// listen opens a provider's doors on free ports of loopback.
func (c *execCommand) listen(s streams, p *provider.Provider) (_ *around, err error) {
	var listeners [4]net.Listener
	defer func() {
		for _, l := range listeners {
			if err != nil && l != nil {
				err = errors.Join(err, l.Close())
			}
		}
	}()
	for i := range listeners {
		if listeners[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return nil, faultError{err}
		}
	}
	a := &around{
		smtp: listeners[0].Addr(), certs: listeners[1].Addr(), api: listeners[2].Addr(), proxyAddr: listeners[3].Addr(),
		domain: p.Domain(), served: make(chan error, 1),
	}
	if accounts := p.Accounts(); len(accounts) > 0 {
		a.account = accounts[0]
	}
	if a.proxy, err = serveProxy(p, listeners[3], c.PassOn); err != nil {
		return nil, err
	}
	if err := p.ServeCertificates(listeners[1]); err != nil {
		return nil, faultError{err}
	}
	p.ServeSMTP(listeners[0])
	a.server = newAPIServer(p, logger(s, c.Verbose))
	go func() { a.served <- a.server.Serve(listeners[2]) }()
	return a, nil
}

// newAPIServer makes the server of the control API.
func newAPIServer(p *provider.Provider, log *slog.Logger) *http.Server {
	return &http.Server{Handler: console.Handler(p), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelInfo)}
}

// close ends what the provider does not end itself.
func (a *around) close() error {
	// Not Shutdown: a client that waits for a message would hold it up.
	err := a.server.Close()
	<-a.served
	return err
}

// serveProxy runs the certificate proxy. What it passes on goes by the proxy of
// our own environment, if there is one.
func serveProxy(p *provider.Provider, l net.Listener, passOn []string) (*keys.Proxy, error) {
	o := keys.ProxyOptions{PassOn: passOn}
	if len(passOn) > 0 {
		var err error
		if o.Via, err = formerProxy(os.Getenv); err != nil {
			return nil, err
		}
	}
	proxy, err := p.ServeProxy(l, o)
	if err != nil {
		return nil, usagef("--pass-on: %w", err)
	}
	return proxy, nil
}

// reportProxy says at the end what the command could not reach. The command's
// connections have ended with it, so there is nothing to wait for, unless it
// has left a program behind that still has one.
func reportProxy(ctx context.Context, out io.Writer, proxy *keys.Proxy) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	proxy.Settle(ctx)
	if list := proxy.Refused(); len(list) > 0 {
		fmt.Fprintf(out, "doppelbox: the proxy refused %s; --pass-on %s lets it through\n", targets(list), passOnValue(list))
	}
	if list := proxy.Distrusted(); len(list) > 0 {
		fmt.Fprintf(out, "doppelbox: the command does not trust the authority in DOPPELBOX_CA, and broke off %s\n", targets(list))
	}
}

// targets lists targets in words.
func targets(list []keys.ProxyCount) string {
	var words []string
	for _, c := range list {
		word := net.JoinHostPort(c.Host, fmt.Sprint(c.Port))
		if c.Times > 1 {
			word += fmt.Sprintf(" (%d times)", c.Times)
		}
		words = append(words, word)
	}
	if more := len(words) - enoughTargets; more > 0 {
		words = append(words[:enoughTargets], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(words, ", ")
}

// passOnValue is the value of --pass-on that would let targets through.
func passOnValue(list []keys.ProxyCount) string {
	var names []string
	for _, c := range list {
		if !slices.Contains(names, c.Host) {
			names = append(names, c.Host)
		}
	}
	if len(names) > enoughTargets {
		return keys.PassAll
	}
	return strings.Join(names, ",")
}

// enoughTargets is how many targets are listed one by one.
const enoughTargets = 10

// start starts a command with our own standard streams: no pipe lies between
// it and a terminal.
func start(s streams, child childCommand, env []string) (*exec.Cmd, error) {
	cmd := exec.Command(child[0], child[1:]...)
	if errors.Is(cmd.Err, exec.ErrDot) {
		cmd.Err = nil // The user's PATH has the current folder in it, which shells heed, too.
	}
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, s.in, s.out, s.err
	err := cmd.Start()
	if err == nil {
		return cmd, nil
	}
	code, why := exitCannotRun, startError(child[0], err)
	if path := notExecutable(child[0]); errors.Is(err, exec.ErrNotFound) && path != "" {
		why = fmt.Sprintf("%q is not executable", path)
	} else if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		code = exitNotFound
	}
	fmt.Fprintf(s.err, "doppelbox: error: cannot run %q: %s\n", child[0], oneLine(why))
	return nil, childExit(code)
}

// notExecutable is a file in PATH of the name of a command that was not found,
// or "". Shells tell the two apart.
func notExecutable(name string) string {
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
	}
	return ""
}

// startError says why a command did not start.
func startError(name string, err error) string {
	var path *fs.PathError
	if errors.Is(err, exec.ErrNotFound) {
		return "there is no such command in PATH"
	}
	if !errors.As(err, &path) {
		return err.Error()
	}
	if _, found := os.Stat(name); errors.Is(err, fs.ErrNotExist) && found == nil {
		return "the program that its first line names is missing"
	}
	return path.Err.Error()
}
