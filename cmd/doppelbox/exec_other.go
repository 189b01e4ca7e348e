//go:build !unix

package main

import (
	"os"
	"os/signal"
)

// signals keeps ^C from ending us before the command: the console tells both.
// There are no other signals here, and none that could be passed on.
type signals chan os.Signal

func catchSignals() signals {
	c := make(signals, 1)
	signal.Notify(c, os.Interrupt)
	return c
}

// outlivePipes has nothing to do: a write to a pipe that nobody reads only fails.
func outlivePipes() {}

func (c signals) stop() { signal.Stop(c) }

// run runs a command to its end.
func (c signals) run(s streams, child childCommand, env []string) error {
	cmd, err := start(s, child, env)
	if err != nil {
		return err
	}
	err = cmd.Wait()
	if cmd.ProcessState == nil {
		return faultError{err}
	}
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		return childExit(code)
	}
	return nil
}
