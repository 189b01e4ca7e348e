//go:build unix

package main

import (
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// passedOn are the signals that end a program or speak to it, as exec's help
// lists them. Those that stop and continue one are left alone: the terminal sends
// them to the whole process group, and so we stop and continue with the command.
// SIGTRAP, SIGSYS and SIGSTKFLT are lost for the command: Go has them end us.
func passedOn() []os.Signal {
	list := []os.Signal{
		syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGQUIT, syscall.SIGINT,
		syscall.SIGABRT, syscall.SIGALRM, syscall.SIGXCPU, syscall.SIGWINCH,
	}
	if power := unix.SignalNum("SIGPWR"); power != 0 { // Not every system has it.
		list = append(list, power)
	}
	return list
}

// signals catches what is sent to us for the command.
type signals struct {
	// Each signal has a channel of its own: a full one loses what comes next, and
	// many ^C that we have not come to yet must not cost the command its SIGTERM.
	kinds []chan os.Signal
	tty   *os.File // The terminal that controls us, or nil.
}

// catchSignals begins to catch. The signals that whoever started us has told us
// to ignore, as nohup does, stay ignored, for the command, too.
func catchSignals() signals {
	var s signals
	for _, sig := range passedOn() {
		if !signal.Ignored(sig) {
			c := make(chan os.Signal, 16)
			signal.Notify(c, sig)
			s.kinds = append(s.kinds, c)
		}
	}
	if tty, err := os.OpenFile("/dev/tty", os.O_RDONLY|syscall.O_NOCTTY, 0); err == nil {
		s.tty = tty
	}
	return s
}

// stop ends the catching.
func (s signals) stop() {
	for _, c := range s.kinds {
		signal.Stop(c)
	}
	if s.tty != nil {
		_ = s.tty.Close() // Nothing was written to it.
	}
}

// sentByTerminal says whether a signal has reached the command already. What
// is typed at a terminal, as ^C and ^\, and that its window has another size, it
// sends to the whole foreground process group, to which the command belongs as
// we do; a program that asks at the first ^C and ends at the second would end at
// the first if it came twice. Who sent a signal is not told to a Go program, so
// one of these three counts as the terminal's if our group is in the foreground
// of one. A kill -INT of our process alone is then lost, which is the lesser
// evil: kill -TERM is not. But a TERM or a HUP of the whole group comes twice, as
// it cannot be told from one of our process alone.
func (s signals) sentByTerminal(sig os.Signal) bool {
	if s.tty == nil || sig != syscall.SIGINT && sig != syscall.SIGQUIT && sig != syscall.SIGWINCH {
		return false
	}
	group, err := unix.IoctlGetInt(int(s.tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == syscall.Getpgrp()
}

// outlivePipes has a write to standard error fail, when nobody reads it any
// more, where it would end us: the command goes on, and its files have to be
// removed after it. To ignore the signal would have the command ignore it, too.
func outlivePipes() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

// run runs a command to its end, and passes on what is sent to us meanwhile. A
// signal that came before the command was started ends us instead, unless it is
// one that ends nobody.
func (s signals) run(std streams, child childCommand, env []string) error {
	for _, c := range s.kinds {
		select {
		case sig := <-c:
			if sig != syscall.SIGWINCH {
				return childExit(exitSignal + int(sig.(syscall.Signal)))
			}
		default:
		}
	}
	cmd, err := start(std, child, env)
	if err != nil {
		return err
	}
	done := make(chan struct{})
	var passing sync.WaitGroup
	for _, c := range s.kinds {
		passing.Go(func() { s.passOn(cmd.Process, c, done) })
	}
	err = cmd.Wait()
	close(done)
	passing.Wait()
	return ended(cmd, err)
}

// passOn passes signals of one kind on to a process until it is done.
func (s signals) passOn(to *os.Process, c <-chan os.Signal, done <-chan struct{}) {
	for {
		select {
		case sig := <-c:
			if !s.sentByTerminal(sig) {
				_ = to.Signal(sig) // If it has just ended, nobody is there to be told.
			}
		case <-done:
			return
		}
	}
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
