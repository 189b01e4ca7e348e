//go:build unix

package main

import (
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// passedOn are the signals that end a program or speak to it. Those that stop
// and continue one are left alone: the terminal sends them to the whole
// process group, and so we stop and continue with the command.
func passedOn() []os.Signal {
	return []os.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGQUIT, syscall.SIGINT}
}

// sentByTerminal says whether a signal has reached the command already. What
// is typed at a terminal, as ^C and ^\, it sends to the whole foreground
// process group, to which the command belongs as we do; a program that asks at
// the first ^C and ends at the second would end at the first if it came twice.
// Who sent a signal is not told to a Go program, so one of these two counts as
// typed if our group is in the foreground of a terminal. A kill -INT of our
// process alone is then lost, which is the lesser evil: kill -TERM is not.
func sentByTerminal(sig os.Signal) bool {
	if sig != syscall.SIGINT && sig != syscall.SIGQUIT {
		return false
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDONLY|syscall.O_NOCTTY, 0)
	if err != nil {
		return false // There is none that controls us.
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == syscall.Getpgrp()
}

// signals catches what is sent to us for the command.
type signals chan os.Signal

// catchSignals begins to catch. The signals that whoever started us has told us
// to ignore, as nohup does, stay ignored, for the command, too.
func catchSignals() signals {
	c := make(signals, 16)
	for _, sig := range passedOn() {
		if !signal.Ignored(sig) {
			signal.Notify(c, sig)
		}
	}
	return c
}

// outlivePipes has a write to standard error fail, when nobody reads it any
// more, where it would end us: the command goes on, and its files have to be
// removed after it. To ignore the signal would have the command ignore it, too.
func outlivePipes() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

func (c signals) stop() { signal.Stop(c) }

// run runs a command to its end, and passes on what is sent to us meanwhile. A
// signal that came before the command was started ends us instead.
func (c signals) run(s streams, child childCommand, env []string) error {
	select {
	case sig := <-c:
		return childExit(exitSignal + int(sig.(syscall.Signal)))
	default:
	}
	cmd, err := start(s, child, env)
	if err != nil {
		return err
	}
	done := make(chan struct{})
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			select {
			case sig := <-c:
				if !sentByTerminal(sig) {
					_ = cmd.Process.Signal(sig) // If it has just ended, nobody is there to be told.
				}
			case <-done:
				return
			}
		}
	}()
	err = cmd.Wait()
	close(done)
	<-over
	return ended(cmd, err)
}

// ended is how a command ended, as an error of ours.
func ended(cmd *exec.Cmd, err error) error {
	if cmd.ProcessState == nil {
		return faultError{err}
	}
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case ok && status.Signaled():
		return childExit(exitSignal + int(status.Signal()))
	case cmd.ProcessState.ExitCode() != 0:
		return childExit(cmd.ProcessState.ExitCode())
	}
	return nil
}
