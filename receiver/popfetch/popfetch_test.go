package popfetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
)

// TestSession: whole sessions, command by command.
func TestSession(t *testing.T) {
	t.Parallel()
	const shaA = "552bab6864c7a7b69a502ed1854b9245c0e1a30f008aaa0b281da62585fdb025" // Of "abc" and CRLF, by sha256sum.
	tests := map[string]struct {
		script   string
		change   func(*Source, *Options, *memSink)
		want     Result // Without problems and errors of messages.
		stored   []string
		problems []policy.Reason
	}{
		"two messages, deleted": {
			script: two + `> RETR 1
				+OK
				abc
				.
				> DELE 1
				+OK
				> RETR 2
				+OK
				..x
				.
				> DELE 2
				+OK
				> QUIT
				+OK`,
			want:     Result{LoggedIn: true, Listed: 2, Fetched: 2, Deleted: 2},
			stored:   []string{"a:abc\r\n", "b:.x\r\n"},
			problems: []policy.Reason{ProblemSize},
		},
		"kept, one known": {
			script: two + `> RETR 2
				+OK
				abc
				.
				> QUIT
				+OK`,
			change: func(s *Source, _ *Options, sink *memSink) {
				s.Keep = true
				sink.stored = []stored{{policy.Fetch{UID: "a"}, "old"}}
			},
			want:   Result{LoggedIn: true, Listed: 2, Fetched: 1, Known: 1},
			stored: []string{"a:old", "b:abc\r\n"},
		},
		"known ones are deleted": {
			script: two + `> DELE 1
				+OK
				> DELE 2
				+OK
				> QUIT
				+OK`,
			change: func(_ *Source, _ *Options, sink *memSink) {
				sink.stored = []stored{{policy.Fetch{UID: "a"}, ""}, {policy.Fetch{UID: "b"}, ""}}
			},
			want:   Result{LoggedIn: true, Listed: 2, Known: 2, Deleted: 2},
			stored: []string{"a:", "b:"},
		},
		"empty, and quit without an answer": {
			script: in + `> LIST
				+OK
				.
				> UIDL
				+OK
				.
				> QUIT`,
			want:     Result{LoggedIn: true},
			problems: []policy.Reason{ProblemQuit},
		},
		"no CAPA, no UIDL": {
			script: `+OK
				> CAPA
				-ERR what
				> USER bob
				+OK
				> PASS s3cret
				+OK
				> LIST
				+OK
				1 5
				2 5
				.
				> UIDL
				-ERR what
				> RETR 1
				+OK
				abc
				.
				> DELE 1
				+OK
				> RETR 2
				+OK
				abc
				.
				> DELE 2
				+OK
				> QUIT
				+OK`,
			want:     Result{LoggedIn: true, Listed: 2, Fetched: 1, Known: 1, Deleted: 2},
			stored:   []string{shaA + ":abc\r\n"},
			problems: []policy.Reason{ProblemNoUIDL},
		},
		"UIDs that are none": {
			script: in + `> LIST
				+OK
				1 5
				2 5 and more
				3 0
				4 5
				.
				> UIDL
				+OK
				1 same
				2 same
				3 a b
				4 ` + strings.Repeat("x", 71) + `
				.
				> RETR 1
				+OK
				abc
				.
				> RETR 2
				+OK
				abc
				.
				> RETR 3
				+OK
				.
				> RETR 4
				+OK
				abc
				.
				> QUIT
				+OK`,
			change:   func(s *Source, _ *Options, _ *memSink) { s.Keep = true },
			want:     Result{LoggedIn: true, Listed: 4, Fetched: 3, Known: 1},
			stored:   []string{"same:abc\r\n", shaA + ":abc\r\n", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855:"},
			problems: []policy.Reason{ProblemUIDSyntax, ProblemUIDSyntax, ProblemUIDDuplicate},
		},
		"the sink refuses one": {
			script: two + `> RETR 1
				+OK
				abc
				.
				> RETR 2
				+OK
				abd
				.
				> DELE 2
				+OK
				> QUIT
				+OK`,
			change: func(_ *Source, _ *Options, sink *memSink) {
				sink.onStore = func(f policy.Fetch, _ []byte) error {
					if f.UID == "a" {
						return errors.New("disk full")
					}
					return nil
				}
			},
			want: Result{LoggedIn: true, Listed: 2, Fetched: 1, Deleted: 1, Refused: []Refused{
				{1, "a", 5, errors.New("storing message 1 of pop.acme.test:110: disk full")}}},
			stored: []string{"b:abd\r\n"},
		},
		"the server refuses some": {
			script: two + `> RETR 1
				-ERR [SYS/TEMP] gone
				> RETR 2
				+OK
				abc
				.
				> DELE 2
				-ERR no
				> QUIT
				+OK`,
			want: Result{LoggedIn: true, Listed: 2, Fetched: 1, Refused: []Refused{
				{1, "a", 5, errors.New(`RETR 1 of pop.acme.test:110: the server refused: [SYS/TEMP] "gone"`)},
				{2, "b", 5, errors.New(`DELE 2 of pop.acme.test:110: the server refused: "no"`)}}},
			stored: []string{"b:abc\r\n"},
		},
		"too large, by LIST and against it": {
			script: in + `> LIST
				+OK
				1 11
				2 10
				3 9
				.
				> UIDL
				+OK
				1 a
				2 b
				3 c
				.
				> RETR 2
				+OK
				1234567890
				.
				> RETR 3
				+OK
				1234567
				.
				> DELE 3
				+OK
				> QUIT
				+OK`,
			change: func(_ *Source, o *Options, _ *memSink) { o.MaxMessage = 10 },
			want: Result{LoggedIn: true, Listed: 3, Fetched: 1, Deleted: 1,
				TooLarge: []Refused{{1, "a", 11, ErrTooLarge}, {2, "b", 12, ErrTooLarge}}},
			stored:   []string{"c:1234567\r\n"},
			problems: []policy.Reason{ProblemSize},
		},
		"as many as may be": {
			script: two + `> RETR 1
				+OK
				abc
				.
				> DELE 1
				+OK
				> QUIT
				+OK`,
			change: func(_ *Source, o *Options, _ *memSink) { o.MaxMessages = 1 },
			want:   Result{LoggedIn: true, Listed: 2, Fetched: 1, Left: 1, Deleted: 1},
			stored: []string{"a:abc\r\n"},
		},
		"line ends and dots": {
			script: in + `> LIST
				+OK
				1 36
				.
				> UIDL
				+OK
				1 a
				.
				> RETR 1
				+OK
				x{LF}.{LF}..{CR}.
				..
				...
				.one
				{LF}.
				{NUL}{CR}
				.
				> DELE 1
				+OK
				> QUIT
				+OK`,
			want:     Result{LoggedIn: true, Listed: 1, Fetched: 1, Deleted: 1},
			stored:   []string{"a:x\n.\n..\r.\r\n.\r\n..\r\none\r\n\n.\r\n\x00\r\r\n"},
			problems: []policy.Reason{ProblemDot, ProblemSize},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src, sink := pipeSource(), &memSink{}
			o := Options{Dial: scripted(t, tt.script)}
			if tt.change != nil {
				tt.change(&src, &o, sink)
			}
			got, err := Fetch(t.Context(), src, sink, o)
			if err != nil {
				t.Fatal(err)
			}
			if codes := problemCodes(got); !slices.Equal(codes, tt.problems) {
				t.Errorf("problems %v, want %v", got.Problems, tt.problems)
			}
			got.Problems = nil
			if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
			if !slices.Equal(sink.all(), tt.stored) {
				t.Errorf("stored %q, want %q", sink.all(), tt.stored)
			}
		})
	}
}

// TestFailure: what ends a session, and how it is said.
func TestFailure(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		script string
		want   string
		result Result
	}{
		"greeting refused": {script: "-ERR [SYS/TEMP] busy", want: `greeting of HOST: the server refused: [SYS/TEMP] "busy"`},
		"no greeting":      {script: "220 smtp.acme.test", want: `greeting of HOST: an answer that is neither +OK nor -ERR: "220 smtp.acme.test"`},
		"bare LF":          {script: "+OK{LF}", want: `greeting of HOST: a line ends in LF without CR`},
		"endless line":     {script: "+OK " + strings.Repeat("x", 5000), want: `greeting of HOST: a line of more than 4096 octets`},
		"longer line":      {script: "+OK " + strings.Repeat("x", 50_000), want: `greeting of HOST: a line of more than 4096 octets`},
		"endless CAPA":     {script: "+OK\n> CAPA\n+OK\n" + strings.Repeat("X\n", 201), want: `CAPA of HOST: more than 200 lines`},
		"challenge":        {script: "+OK\n> CAPA\n+ go on", want: `CAPA of HOST: an unexpected challenge`},
		"closed":           {script: "+OK\n> CAPA", want: `CAPA of HOST: the server closed the connection: unexpected EOF`},
		"temporary -ERR to UIDL": {
			script: strings.Replace(in, "UIDL\n", "", 1) + "> LIST\n+OK\n1 5\n.\n> UIDL\n-ERR [sys/temp] later",
			want:   `UIDL of HOST: the server refused: [SYS/TEMP] "later"`, result: Result{LoggedIn: true},
		},
		"announced UIDL refused": {
			script: in + "> LIST\n+OK\n1 5\n.\n> UIDL\n-ERR later",
			want:   `UIDL of HOST: the server refused: "later"`, result: Result{LoggedIn: true},
		},
		"LIST refused": {script: in + "> LIST\n-ERR no", want: `LIST of HOST: the server refused: "no"`, result: Result{LoggedIn: true}},
		"fewer in UIDL": {
			script: in + "> LIST\n+OK\n1 5\n2 5\n.\n> UIDL\n+OK\n1 a\n.",
			want:   `UIDL of HOST: it lists 1 messages, and LIST lists 2`, result: Result{LoggedIn: true},
		},
		"others in UIDL": {
			script: in + "> LIST\n+OK\n1 5\n.\n> UIDL\n+OK\n2 a\n.",
			want:   `UIDL of HOST: message 1 of LIST is missing`, result: Result{LoggedIn: true},
		},
		"number twice": {script: in + "> LIST\n+OK\n1 5\n1 6\n.", want: `LIST of HOST: message 1 twice`, result: Result{LoggedIn: true}},
		"no number":    {script: in + "> LIST\n+OK\n0 5\n.", want: `LIST of HOST: a line that does not begin with a message number: "0 5"`, result: Result{LoggedIn: true}},
		"no size":      {script: in + "> LIST\n+OK\n1 -5\n.\n> UIDL\n+OK\n1 a\n.", want: `LIST of HOST: the size of message 1 is "-5"`, result: Result{LoggedIn: true}},
		"neither OK nor ERR in the middle": {
			script: two + "> RETR 1\n+OKAY", want: `RETR 1 of HOST: an answer that is neither +OK nor -ERR: "+OKAY"`,
			result: Result{LoggedIn: true, Listed: 2, Left: 1},
		},
		"closed in a message": {
			script: two + "> RETR 1\n+OK\nabc", want: `RETR 1 of HOST: the server closed the connection: unexpected EOF`,
			result: Result{LoggedIn: true, Listed: 2, Left: 1},
		},
		"endless message": {
			script: two + "> RETR 1\n+OK\n" + strings.Repeat("0123456789\n", 20), want: `RETR 1 of HOST: the message does not end`,
			result: Result{LoggedIn: true, Listed: 2, Left: 1, TooLarge: []Refused{{1, "a", 204, ErrTooLarge}}},
		},
		"QUIT refused after DELE": {
			script: in + "> LIST\n+OK\n1 5\n.\n> UIDL\n+OK\n1 a\n.\n> RETR 1\n+OK\nabc\n.\n> DELE 1\n+OK\n> QUIT\n-ERR some not deleted",
			want:   `QUIT of HOST: the server refused: "some not deleted"`, result: Result{LoggedIn: true, Listed: 1, Fetched: 1},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Fetch(t.Context(), pipeSource(), &memSink{}, Options{Dial: scripted(t, tt.script), MaxMessage: 100})
			if want := strings.ReplaceAll(tt.want, "HOST", "pop.acme.test:110"); err == nil || err.Error() != want {
				t.Errorf("got error %v\nwant      %s", err, want)
			}
			if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", tt.result) {
				t.Errorf("got  %+v\nwant %+v", got, tt.result)
			}
		})
	}
}

func TestConfiguration(t *testing.T) {
	t.Parallel()
	_, err := Fetch(t.Context(), Source{Password: "a\nDELE 1"}, &memSink{}, Options{})
	want := "configuring fetch of :0: no host\nport 0 is none\nunknown TLS mode \"\"\nno login\nline end or NUL in login or password"
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	if _, err := Fetch(t.Context(), pipeSource(), &memSink{}, Options{MaxMessage: -1}); err == nil {
		t.Error("negative limit taken")
	}
	_, err = Fetch(t.Context(), pipeSource(), &memSink{}, Options{Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, io.ErrClosedPipe
	}})
	if err == nil || err.Error() != "connecting to pop.acme.test:110: io: read/write on closed pipe" {
		t.Errorf("got %v", err)
	}
}
