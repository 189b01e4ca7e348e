package provider

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doppelbox/doppelbox/receiver/mtasts"
)

// breaking is a server that offers TLS, and breaks off or falls silent on the way
// into it.
type breaking struct {
	at     string // "STARTTLS", "handshake" or "EHLO", the second one.
	silent bool
	leaf   tls.Certificate

	mu    sync.Mutex
	mails int // That it took in plain text.
}

func (b *breaking) serve(conn net.Conn) {
	defer conn.Close()
	var in *bufio.Reader
	say := func(text string) { fmt.Fprintf(conn, "%s\r\n", text) }
	listen := func() string {
		line, _ := in.ReadString('\n') // Empty at the end.
		return strings.ToUpper(strings.TrimSpace(line))
	}
	end := func() {
		if b.silent {
			_, _ = in.WriteTo(io.Discard) // Until the client gives up.
		}
	}
	in = bufio.NewReader(conn)
	say("220 ready")
	secured := false
	for {
		switch word, _, _ := strings.Cut(listen(), " "); word {
		case "":
			return
		case "EHLO":
			if secured {
				end()
				return
			}
			say("250-mx.acme.test\r\n250 STARTTLS")
		case "STARTTLS":
			if b.at == "STARTTLS" {
				end()
				return
			}
			say("220 go on")
			if b.at == "handshake" {
				end()
				return
			}
			s := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{b.leaf}})
			if s.Handshake() != nil {
				return
			}
			conn, in, secured = s, bufio.NewReader(s), true
		case "DATA":
			say("354 go on")
			for listen() != "." {
			}
			b.mu.Lock()
			b.mails++
			b.mu.Unlock()
			say("250 2.0.0 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 fine")
		}
	}
}

// Who breaks TLS off, or hangs there, gets the mail without, and is told of it;
// under a policy that is enforced it does not get the mail.
func TestTLSBroken(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"STARTTLS", "handshake", "EHLO"} {
		for _, silent := range []bool{false, true} {
			for _, enforced := range []bool{false, true} {
				name := fmt.Sprintf("%s, silent %v, enforced %v", at, silent, enforced)
				synctest.Test(t, func(t *testing.T) {
					w, _ := newAgendaWorld(t, StandingClock(agendaStart))
					leaf, err := w.ca.Leaf("mx.acme.test")
					if err != nil {
						t.Fatal(err)
					}
					b := &breaking{at: at, silent: silent, leaf: leaf}
					if enforced {
						w.sts.known["acme.test"] = stsPolicy{
							Policy: mtasts.Policy{Mode: mtasts.Enforce, Hosts: []string{"mx.acme.test"}}, until: agendaStart.Add(time.Hour),
						}
					}
					out := way{domain: "acme.test", host: "mx.acme.test", inside: true, dial: func(context.Context) (net.Conn, error) {
						client, server := net.Pipe()
						go b.serve(server)
						return client, nil
					}}
					begun := time.Now()
					reply, s, err := w.hand(t.Context(), w.Providers()[0], out, Mail{To: []string{"x@acme.test"}, Raw: []byte("X: y\r\n\r\n")})
					if s == nil || s.Result != "validation-failure" || s.Problem == "" || s.TLS != "" {
						t.Errorf("%s: session %+v", name, s)
					}
					if silent != strings.Contains(s.Problem, "took too long") || silent != (time.Since(begun) >= tlsTime) || time.Since(begun) > 2*tlsTime {
						t.Errorf("%s: after %s %q", name, time.Since(begun), s.Problem)
					}
					if reply.Accepted() == enforced || (err != nil) != enforced || b.mails == 1 == enforced {
						t.Errorf("%s: %v, %v, %d mails", name, reply, err, b.mails)
					}
				})
			}
		}
	}
}
