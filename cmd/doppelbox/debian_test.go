//go:build peers || bench

package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// needDebian makes sure that a program is there, and installs the Debian
// packages that have it if that is possible. Otherwise the test is skipped, or
// fails under CI=true. It returns the program's path.
func needDebian(t *testing.T, program string, packages ...string) (path string) {
	t.Helper()
	needDebianFor(t, program, func() (err error) {
		path, err = lookSystem(program)
		return err
	}, packages...)
	return path
}

// needDebianFor is needDebian for anything whose absence look returns an error
// for.
func needDebianFor(t *testing.T, what string, look func() error, packages ...string) {
	t.Helper()
	if look() == nil {
		return
	}
	giveUp := t.Skipf
	if os.Getenv("CI") == "true" {
		giveUp = t.Fatalf
	}
	apt, err := exec.LookPath("apt-get")
	if err != nil || os.Geteuid() != 0 {
		giveUp("%s is missing: apt-get install %s, or run this as root", what, strings.Join(packages, " "))
	}
	if out, err := installDebian(apt, packages); err != nil {
		giveUp("%s is missing, and installing %s went wrong: %v\n%s", what, strings.Join(packages, " "), err, out)
	}
	if err := look(); err != nil {
		t.Fatalf("%s were installed, but %v", strings.Join(packages, " "), err)
	}
}

// lookSystem finds a program also where Debian keeps servers and their tools,
// which is not in a user's PATH.
func lookSystem(program string) (string, error) {
	path, err := exec.LookPath(program)
	if err == nil {
		return path, nil
	}
	return exec.LookPath(filepath.Join("/usr/sbin", program))
}

// withApt does something with Debian's package tools while nobody else does,
// also from another process: apt-get does not wait for the lock of its lists.
func withApt(do func() (output []byte, err error)) (output []byte, err error) {
	lock, err := os.OpenFile(filepath.Join(os.TempDir(), "doppelbox-apt.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return nil, err
	}
	return do()
}

// installDebian installs packages; their services are neither configured nor
// started.
func installDebian(apt string, packages []string) (output []byte, err error) {
	return withApt(func() ([]byte, error) { return installLocked(apt, packages) })
}

// installLocked is installDebian for who has the lock.
func installLocked(apt string, packages []string) (output []byte, err error) {
	// Debian's way to say that no service is to be started.
	const policy = "/usr/sbin/policy-rc.d"
	f, err := os.OpenFile(policy, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err == nil {
		defer os.Remove(policy)
		_, err = f.WriteString("#!/bin/sh\nexit 101\n")
		err = errors.Join(err, f.Close())
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	answers := exec.Command("debconf-set-selections")
	answers.Stdin = strings.NewReader("postfix postfix/main_mailer_type select No configuration\n")
	if output, err := answers.CombinedOutput(); err != nil {
		return output, err
	}
	for _, args := range [][]string{
		{"update"},
		append([]string{"install", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120"}, packages...),
	} {
		cmd := exec.Command(apt, args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if output, err := cmd.CombinedOutput(); err != nil {
			return output, err
		}
	}
	return nil, nil
}
