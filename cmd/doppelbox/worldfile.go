package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/registry"
	"github.com/doppelbox/doppelbox/receiver/dnszone"
	"github.com/doppelbox/doppelbox/scenarios"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// worldFlags say in which world a command works. Serve and check share them.
type worldFlags struct {
	Registry string   `placeholder:"FILE" help:"Register the senders in this file, one a line: \"noreply@shop.example actions=ConfirmAction bearer=yes\"."`
	Zone     string   `placeholder:"FILE" help:"Answer DNS from this zone text."`
	DNS      string   `enum:"auto,zone,system" default:"auto" help:"Who answers what the zone does not know: nobody (zone), or the machine's resolver (system). Auto is system when no zone and no world is given."`
	Dial     []string `sep:"none" placeholder:"NAME=VALUE" help:"Set a dial; explain --dials lists them."`
	Account  []string `sep:"none" placeholder:"SETTINGS" help:"Make an account, or add to its settings, in the words of a world's account step: \"alice@gmail.test sendas=user@acme.test\"."`
}

// defaultWorld is the world of a command that is given none.
const defaultWorld = `account alice@gmail.test
`

// readFile reads a file that the user named; "-" is standard input.
func readFile(s streams, path string, limit int64) ([]byte, error) {
	in := s.in
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, usageError{err}
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err != nil {
		return nil, usagef("reading %q: %w", path, err)
	}
	if int64(len(data)) > limit {
		return nil, usagef("%q is larger than %d octets", path, limit)
	}
	return data, nil
}

// maxTextFile bounds the files with worlds, registries and zones.
const maxTextFile = 16 << 20

// open starts the provider of a world file with what the flags add. The caller
// must call Close.
func (w worldFlags) open(ctx context.Context, s streams, path string, o provider.Options) (*provider.Provider, error) {
	name, text := "the default world", []byte(defaultWorld)
	if path != "" {
		var err error
		if text, err = readFile(s, path, maxTextFile); err != nil {
			return nil, err
		}
		name = path
	}
	f, mistakes := scenarios.Parse(name, text)
	if err := mistakes.Err(); err != nil {
		return nil, usageError{err}
	}
	if err := f.CheckWorld(); err != nil {
		return nil, hinted{usageError{err}, "replay runs files that have mail and claims in them"}
	}
	if w.DNS == "system" || w.DNS == "auto" && path == "" && w.Zone == "" {
		o.Upstream = net.DefaultResolver
	}
	p, err := scenarios.Open(ctx, f, o)
	if err != nil {
		return nil, usageError{err}
	}
	if err := w.apply(ctx, s, p); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// apply adds to a provider what the flags say.
func (w worldFlags) apply(ctx context.Context, s streams, p *provider.Provider) error {
	for _, settings := range w.Account {
		if err := applyAccount(ctx, p, settings); err != nil {
			return err
		}
	}
	if w.Registry != "" {
		text, err := readFile(s, w.Registry, maxTextFile)
		if err != nil {
			return err
		}
		reg, mistakes := registry.Parse(w.Registry, string(text))
		if len(mistakes) > 0 {
			return usageError{registryErrors(mistakes)}
		}
		for _, r := range reg {
			p.Register(r)
		}
	}
	if w.Zone != "" {
		text, err := readFile(s, w.Zone, maxTextFile)
		if err != nil {
			return err
		}
		if mistakes := p.Zone().Load(w.Zone, string(text)); len(mistakes) > 0 {
			return usageError{zoneErrors(mistakes, string(text))}
		}
	}
	return w.setDials(p)
}

// setDials sets the dials in any order: one that does not go together with another
// is set once that one is.
func (w worldFlags) setDials(p *provider.Provider) error {
	values := policy.Dials{}
	var left []policy.DialID
	for _, dial := range w.Dial {
		name, value, ok := strings.Cut(dial, "=")
		if !ok {
			return usagef("--dial takes NAME=VALUE, not %q", dial)
		}
		id, value, err := policy.ParseDial(name, value)
		if err != nil {
			return usageError{nearestDial(err)}
		}
		if _, twice := values[id]; !twice {
			left = append(left, id)
		}
		values[id] = value
	}
	for len(left) > 0 {
		var refused []policy.DialID
		var first error
		for _, id := range left {
			if err := p.SetDial(string(id), values[id]); err != nil {
				refused, first = append(refused, id), cmp.Or(first, err)
			}
		}
		if len(refused) == len(left) {
			return usageError{first}
		}
		left = refused
	}
	return nil
}

// applyAccount carries out an account step.
func applyAccount(ctx context.Context, p *provider.Provider, settings string) error {
	if strings.ContainsAny(settings, "\r\n") {
		return usagef("--account takes one line, not %q", settings)
	}
	f, mistakes := scenarios.Parse("--account", []byte("account "+settings+"\n"))
	if err := mistakes.Err(); err != nil {
		return usageError{err}
	}
	for _, phase := range f.Phases {
		for _, step := range phase.Steps {
			if err := scenarios.NewRunner(p, f).Step(ctx, step); err != nil {
				return usagef("--account: %w", err)
			}
		}
	}
	return nil
}

// nearestDial adds the nearest right word to the error of an unknown dial.
func nearestDial(err error) error {
	var unknown policy.UnknownDialError
	if !errors.As(err, &unknown) {
		return err
	}
	return fmt.Errorf("%w%s", err, unknown.Suggestion())
}

// registryErrors and zoneErrors show mistakes as those of scenario files are.
func registryErrors(list []*registry.Error) scenarios.Errors {
	var out scenarios.Errors
	for _, e := range list {
		out = append(out, &scenarios.Error{Path: e.Path, Line: e.Line, Col: e.Col, Src: e.Src, Msg: e.Msg})
	}
	return out
}

func zoneErrors(list []*dnszone.Error, text string) scenarios.Errors {
	lines := strings.Split(text, "\n")
	var out scenarios.Errors
	for _, e := range list {
		src := ""
		if e.Line >= 1 && e.Line <= len(lines) {
			src = strings.TrimSuffix(lines[e.Line-1], "\r")
		}
		out = append(out, &scenarios.Error{Path: e.File, Line: e.Line, Col: e.Col, Src: src, Msg: e.Msg})
	}
	return out
}

// systemRoots are the authorities that the machine trusts, and those in files.
// The files are read now, so that a mistake is told at once; the machine's,
// which take longer, when they are needed.
func systemRoots(s streams, files []string) (func() (*x509.CertPool, error), error) {
	var own [][]byte
	for _, path := range files {
		text, err := readFile(s, path, maxTextFile)
		if err != nil {
			return nil, err
		}
		if !x509.NewCertPool().AppendCertsFromPEM(text) {
			return nil, usagef("%q has no certificate in PEM", path)
		}
		own = append(own, text)
	}
	return func() (*x509.CertPool, error) {
		pool, err := x509.SystemCertPool()
		if err != nil {
			return nil, fmt.Errorf("reading the machine's trusted authorities: %w", err)
		}
		for _, text := range own {
			pool.AppendCertsFromPEM(text)
		}
		return pool, nil
	}, nil
}

// loopback says whether an address to listen on can be reached from this
// machine only.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// logger writes what there is to watch to standard error.
func logger(s streams, verbose bool) *slog.Logger {
	level := slog.LevelWarn
	if verbose {
		level = slog.LevelInfo
	}
	return slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: level}))
}
