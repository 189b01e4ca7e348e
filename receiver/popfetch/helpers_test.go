package popfetch

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
)

// memSink is a Sink that keeps what it gets. The hooks are set before use.
type memSink struct {
	onStore func(f policy.Fetch, raw []byte) error // What Store does before it stores.
	onSeen  func(uids []string) error

	mu     sync.Mutex
	stored []stored
}

type stored struct {
	policy.Fetch
	raw string
}

func (s *memSink) Seen(_ context.Context, uids []string) (map[string]bool, error) {
	if s.onSeen != nil {
		if err := s.onSeen(uids); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := map[string]bool{}
	for _, m := range s.stored {
		if slices.Contains(uids, m.UID) {
			seen[m.UID] = true
		}
	}
	return seen, nil
}

func (s *memSink) Store(_ context.Context, f policy.Fetch, raw []byte) error {
	if s.onStore != nil {
		if err := s.onStore(f, raw); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored = append(s.stored, stored{f, string(raw)})
	return nil
}

// all returns the messages, each as "UID:octets".
func (s *memSink) all() []string {
	var list []string
	for _, m := range s.stored {
		list = append(list, m.UID+":"+m.raw)
	}
	return list
}

// pipeSource is the mailbox of most tests, reached through a pipe.
func pipeSource() Source {
	return Source{Address: "bob@acme.test", Host: "pop.acme.test", Port: 110, Login: "bob", Password: "s3cret", TLS: TLSNone}
}

type dialFunc = func(context.Context, string, string) (net.Conn, error)

// scripted returns a Dial that leads to a server with a script: lines that
// begin with "> " are commands that it waits for, all others are sent with
// CRLF. {LF}, {CR} and {NUL} stand for octets, and "(silence)" has it wait for
// the client to close. At the end of the script it closes the connection.
func scripted(t *testing.T, script string) dialFunc {
	t.Helper()
	return func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer far.Close()
			play(t, far, script)
		}()
		t.Cleanup(func() { near.Close(); <-done })
		return near, nil
	}
}

func play(t *testing.T, conn net.Conn, script string) {
	in := bufio.NewReader(conn)
	octets := strings.NewReplacer("{LF}", "\n", "{CR}", "\r", "{NUL}", "\x00")
	var out strings.Builder
	flush := func() error {
		_, err := io.WriteString(conn, out.String())
		out.Reset()
		return err
	}
	for line := range strings.SplitSeq(strings.TrimSpace(script), "\n") {
		line = strings.TrimLeft(line, "\t")
		want, isCommand := strings.CutPrefix(line, "> ")
		switch {
		case line == "(silence)":
			_ = flush()
			_, _ = io.Copy(io.Discard, in)
			return
		case !isCommand && strings.HasSuffix(line, "{LF}"):
			out.WriteString(octets.Replace(line))
		case !isCommand:
			out.WriteString(octets.Replace(line) + "\r\n")
		case flush() != nil:
			return
		default:
			got, err := in.ReadString('\n')
			if err != nil {
				if !errors.Is(err, io.EOF) || got != "" {
					t.Errorf("waiting for %q: %v after %q", want, err, got)
				}
				return
			}
			if got != want+"\r\n" {
				t.Errorf("got command %q, want %q", got, want)
				return
			}
		}
	}
	_ = flush()
}

// in is the beginning of most scripts: everything up to the listing.
const in = `+OK hello
> CAPA
+OK
USER
UIDL
.
> USER bob
+OK
> PASS s3cret
+OK
`

// two is a mailbox of two messages.
const two = in + `> LIST
+OK
1 5
2 5
.
> UIDL
+OK
1 a
2 b
.
`

func problemCodes(r Result) []policy.Reason {
	var codes []policy.Reason
	for _, p := range r.Problems {
		codes = append(codes, p.Code)
	}
	return codes
}
