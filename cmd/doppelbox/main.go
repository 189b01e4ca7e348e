// Command doppelbox is a stand-in for the inbound side of a mail provider. It
// receives mail, judges it and the actions in it, says why, and fires the
// requests of actions, signed with its own keys. It listens on loopback unless
// told otherwise, and keeps nothing.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"unicode"

	"github.com/alecthomas/kong"
	"github.com/doppelbox/doppelbox/scenarios"
)

// The exit codes.
const (
	exitHeld  = 0 // All is well: every claim held.
	exitNot   = 1 // Something that was claimed or judged is not so.
	exitUsage = 2 // A flag, a file or an address is wrong.
	exitFault = 3 // Our fault.
)

func main() {
	ctx, args := context.Background(), os.Args[1:]
	if !isExec(args) { // What is sent to exec is for the command that it runs.
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		// A second signal ends the process at once, whatever it waits for.
		context.AfterFunc(ctx, stop)
	}
	os.Exit(run(ctx, args, streams{os.Stdin, os.Stdout, os.Stderr}))
}

// streams are where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// commands are the subcommands; the tags are their help.
type commands struct {
	Serve   serveCommand   `cmd:"" help:"Run a provider: SMTP, certificates and a control API on loopback."`
	Exec    execCommand    `cmd:"" help:"Run a command beside a fresh provider: doppelbox exec [WORLD] [flags] -- CMD ARGS..."`
	Replay  replayCommand  `cmd:"" help:"Run scenario files and say which claims held."`
	Check   checkCommand   `cmd:"" help:"Judge one message and say why."`
	Explain explainCommand `cmd:"" help:"Print the policy: every check with its source."`
	Send    sendCommand    `cmd:"" help:"Compose, sign and send a test mail to an SMTP server."`
	Keys    keysCommand    `cmd:"" help:"List, rotate and export the keys of a running provider; make and verify tokens."`
	Probe   probeCommand   `cmd:"" help:"Send a service the requests that it must refuse, and say which it did not."`
	Reports reportsCommand `cmd:"" help:"Write a running provider's DMARC and TLS reports on a domain."`
	Demo    demoCommand    `cmd:"" help:"Show the whole way of a mail and a click, with real connections."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

const description = `A stand-in for the inbound side of a mail provider, on your own machine.

Exit codes: 0 all held, 1 something did not, 2 wrong usage or file, 3 fault of doppelbox.`

// run carries out a command line and returns the exit code.
func run(ctx context.Context, args []string, s streams) int {
	var cli commands
	exited := -1
	args, child, err := cutCommand(args)
	if err != nil {
		return complain(s, err)
	}
	parser, err := kong.New(&cli,
		kong.Name("doppelbox"), kong.Description(description),
		kong.Writers(s.out, s.err), kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.Help(printHelp),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(s), kong.Bind(child),
	)
	if err != nil {
		return complain(s, faultError{err})
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(twoDashes(args))
	if exited >= 0 {
		return exited // Help was asked for and has been printed.
	}
	if err != nil {
		return complain(s, usageError{err})
	}
	return complain(s, command.Run())
}

// twoDashes lets a long flag be written with one dash, as Go programs have it:
// -json is --json. No flag of one letter takes its value in the same word.
func twoDashes(args []string) []string {
	out := slices.Clone(args)
	for i, a := range out {
		if a == "--" {
			break
		}
		if name, _, _ := strings.Cut(a, "="); len(name) > 2 && name[0] == '-' && name[1] != '-' {
			out[i] = "-" + a
		}
	}
	return out
}

// usageError is the user's mistake, in a flag, a file or an address.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// faultError is a fault of ours.
type faultError struct{ error }

func (e faultError) Unwrap() error { return e.error }

// errNotHeld ends a command whose answer is no, and has been printed.
var errNotHeld = errors.New("not held")

// hinted is an error with an obvious next step.
type hinted struct {
	error
	hint string
}

func (e hinted) Unwrap() error { return e.error }

// complain prints an error in the command's voice and returns its exit code.
func complain(s streams, err error) int {
	if err == nil {
		return exitHeld
	}
	if errors.Is(err, errNotHeld) {
		return exitNot
	}
	var child childExit
	if errors.As(err, &child) {
		return int(child)
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(s.err, "doppelbox: interrupted")
		return exitNot
	}
	var places scenarios.Errors
	var place *scenarios.Error
	switch {
	case errors.As(err, &places):
		fmt.Fprint(s.err, places.Report())
	case errors.As(err, &place):
		fmt.Fprint(s.err, place.Report())
	default:
		fmt.Fprintf(s.err, "doppelbox: error: %s\n", oneLine(err.Error()))
	}
	var h hinted
	if errors.As(err, &h) {
		fmt.Fprintf(s.err, "doppelbox: hint: %s\n", h.hint)
	}
	if errors.As(err, new(faultError)) {
		return exitFault
	}
	return exitUsage
}

// oneLine keeps what an error quotes from acting on a terminal. Its own line
// breaks stay.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}
