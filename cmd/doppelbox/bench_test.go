//go:build bench

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// What make bench asks for. The floor is a bare go-smtp server that verifies
// DKIM and nothing else.
const (
	leastOfFloor = 0.6                   // Messages a second, as a part of the floor's.
	mostToBanner = 15 * time.Millisecond // From the process's start to its first 220.
	mostIdle     = 25 << 20              // Octets of memory before the first mail.
)

// How much is measured.
const (
	benchRounds   = 5
	benchMessages = 20000
	benchWarmUp   = 500
	benchStarts   = 15
	benchSessions = 1000 // Messages of the run with one session and a connection for each.
)

// TestBenchIntake loads the whole intake and the floor in turns, and compares
// their medians.
func TestBenchIntake(t *testing.T) {
	source := needDebian(t, "smtp-source", "postfix")
	files := writeBenchFiles(t)
	contenders := []*contender{
		{name: "floor: go-smtp, DKIM", mail: files.text, start: files.startFloor},
		{name: "serve --json", mail: files.text, start: files.startServe("--json")},
		{name: "serve", mail: files.text, start: files.startServe()},
		{name: "serve, action", mail: files.action, start: files.startServe()},
		{name: "serve --json, action", mail: files.action, start: files.startServe("--json")},
	}
	for range benchRounds {
		for _, c := range contenders {
			c.run(t, source)
		}
	}
	floor := contenders[0]
	t.Logf("%-24s %10s %8s %10s %9s %9s", "", "messages/s", "of floor", "CPU us/msg", "idle MB", "peak MB")
	for _, c := range contenders {
		t.Logf("%-24s %10.0f %8.2f %10.0f %9.1f %9.1f", c.name, median(c.rates), c.part(floor), median(c.cpu), median(c.idle), median(c.peak))
	}
	for _, c := range contenders[1:3] {
		if part := c.part(floor); part < leastOfFloor {
			t.Errorf("%s takes %.2f of the floor's messages a second, less than %.2f", c.name, part, leastOfFloor)
		}
		if idle := median(c.idle); idle > mostIdle>>20 {
			t.Errorf("%s takes %.1f MB when idle, more than %d", c.name, idle, mostIdle>>20)
		}
	}
}

// TestBenchBanner measures how long a start takes to the first banner.
func TestBenchBanner(t *testing.T) {
	files := writeBenchFiles(t)
	var took []float64
	for range benchStarts {
		p := files.startServe()(t)
		took = append(took, p.banner.Seconds()*1000)
		p.stop(t)
	}
	got := median(took)
	t.Logf("start to banner: median %.1f ms of %d, from %.1f to %.1f", got, len(took), slices.Min(took), slices.Max(took))
	if limit := mostToBanner.Seconds() * 1000; got > limit {
		t.Errorf("the first banner takes %.1f ms, more than %.0f", got, limit)
	}
}

// TestBenchOneSession measures what a test feels: one mail at a time, each with
// a connection of its own.
func TestBenchOneSession(t *testing.T) {
	source := needDebian(t, "smtp-source", "postfix")
	files := writeBenchFiles(t)
	for _, c := range []*contender{
		{name: "floor: go-smtp, DKIM", mail: files.text, start: files.startFloor},
		{name: "serve --json", mail: files.text, start: files.startServe("--json")},
	} {
		p := c.start(t)
		p.load(t, source, c.mail, "-s", "1", "-m", "100")
		took := p.load(t, source, c.mail, "-s", "1", "-m", fmt.Sprint(benchSessions))
		p.expect(t, 100+benchSessions)
		p.stop(t)
		t.Logf("%-24s %.2f ms a message", c.name, took.Seconds()*1000/benchSessions)
	}
}

// contender is a server under load, and what was measured of it.
type contender struct {
	name  string
	mail  string // The file with the message.
	start func(*testing.T) *benchProcess

	rates, cpu, idle, peak []float64 // Of each round: messages a second, microseconds a message, MB, MB.
}

// run is one round, with a fresh process.
func (c *contender) run(t *testing.T, source string) {
	t.Helper()
	p := c.start(t)
	c.idle = append(c.idle, p.memory(t, "VmRSS"))
	p.load(t, source, c.mail, "-s", "10", "-d", "-m", fmt.Sprint(benchWarmUp))
	before := p.cpu(t)
	took := p.load(t, source, c.mail, "-s", "10", "-d", "-m", fmt.Sprint(benchMessages))
	c.cpu = append(c.cpu, float64((p.cpu(t)-before).Microseconds())/benchMessages)
	c.rates = append(c.rates, benchMessages/took.Seconds())
	c.peak = append(c.peak, p.memory(t, "VmHWM"))
	p.expect(t, benchWarmUp+benchMessages)
	p.stop(t)
}

// part is the median of the rounds' ratios: a round's runs follow each other,
// so that what else the machine does slows both down.
func (c *contender) part(floor *contender) float64 {
	parts := make([]float64, len(c.rates))
	for i := range parts {
		parts[i] = c.rates[i] / floor.rates[i]
	}
	return median(parts)
}

func median(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}

// binary is the built command.
func binary(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", ".bin", "doppelbox"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the command is not built (%v): run make bench", err)
	}
	return path
}
