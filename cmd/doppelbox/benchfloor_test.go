//go:build bench

package main

import (
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/emersion/go-smtp"
)

// The environment of the process that is the floor: where it listens, and the
// DKIM record that it finds for every key.
const (
	floorAddr   = "DOPPELBOX_BENCH_FLOOR"
	floorRecord = "DOPPELBOX_BENCH_RECORD"
)

// startFloor starts the floor, which is this test binary.
func (f benchFiles) startFloor(t *testing.T) *benchProcess {
	t.Helper()
	p := &benchProcess{smtp: freeAddr(t)}
	p.cmd = exec.Command(os.Args[0], "-test.run", "^TestFloorServer$")
	p.cmd.Env = append(os.Environ(), floorAddr+"="+p.smtp, floorRecord+"="+f.record)
	p.start(t)
	return p
}

// TestFloorServer is no test: it is the floor, when it is started as such, until
// it is told to stop.
func TestFloorServer(t *testing.T) {
	addr := os.Getenv(floorAddr)
	if addr == "" {
		t.Skip("make bench starts this as a process")
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	record := []string{os.Getenv(floorRecord)}
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &floorSession{record}, nil }))
	s.Domain = "localhost"
	t.Fatal(s.Serve(l))
}

// floorSession reads a message, verifies its signature, and forgets it.
type floorSession struct{ record []string }

func (s *floorSession) Mail(string, *smtp.MailOptions) error { return nil }
func (s *floorSession) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (s *floorSession) Reset()                               {}
func (s *floorSession) Logout() error                        { return nil }

func (s *floorSession) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	list, err := dkim.VerifyWithOptions(bytes.NewReader(raw), &dkim.VerifyOptions{
		LookupTXT: func(string) ([]string, error) { return s.record, nil },
	})
	if err != nil || len(list) != 1 || list[0].Err != nil {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 20}, Message: "no signature that verifies"}
	}
	return nil
}
