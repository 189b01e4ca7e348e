package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// openTerminal opens a new terminal: the side of the keyboard and the screen,
// and that of the programs.
func openTerminal(t *testing.T) (keyboard, programs *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminal can be opened: %v", err)
	}
	t.Cleanup(func() { keyboard.Close() })
	if err := unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	programs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	// It shows not what is typed, and what the programs print stays when a
	// signal is typed: each line is then the answer to a key.
	mode, err := unix.IoctlGetTermios(int(programs.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	mode.Lflag = mode.Lflag&^unix.ECHO | unix.NOFLSH
	if err := unix.IoctlSetTermios(int(programs.Fd()), unix.TCSETS, mode); err != nil {
		t.Fatal(err)
	}
	return keyboard, programs
}

// At a terminal the command has it as its own, and what is typed reaches it
// once, as a change of its size does: from the terminal, and not from us as well.
func TestExecTerminal(t *testing.T) {
	t.Parallel()
	keyboard, programs := openTerminal(t)
	e := newExec(t, "--", "heed")
	e.cmd.Stdin, e.cmd.Stdout, e.cmd.Stderr = programs, programs, programs
	e.cmd.SysProcAttr.Setctty = true
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	programs.Close()
	e.lines = bufio.NewScanner(keyboard)
	if got := e.until(t, "ready"); !slices.Equal(got, []string{"0 terminal=true", "1 terminal=true", "2 terminal=true"}) {
		t.Errorf("it found %v", got)
	}
	const often = 20 // One sent twice might be taken for one.
	for i := range uint16(often) {
		if err := unix.IoctlSetWinsize(int(keyboard.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: i + 1, Col: 80}); err != nil {
			t.Fatal(err)
		}
		if got := e.next(t); got != syscall.SIGWINCH.String() {
			t.Fatalf("a window's change came as %q", got)
		}
		for _, typed := range []struct{ key, name string }{{"\x03", "interrupt"}, {"\x1c", "quit"}} {
			if _, err := io.WriteString(keyboard, typed.key); err != nil {
				t.Fatal(err)
			}
			if got := e.next(t); got != typed.name {
				t.Fatalf("%q came as %q", typed.key, got)
			}
		}
	}
	// Of this the terminal knows nothing.
	e.send(t, syscall.SIGUSR1)
	if got := e.next(t); got != syscall.SIGUSR1.String() {
		t.Errorf("after it came %q", got)
	}
	e.send(t, syscall.SIGTERM)
	e.end(t, 7)
}
