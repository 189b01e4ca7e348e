package mailaccess

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

// popLogin is the beginning of most dialogues.
const popLogin = "> USER alice\n+OK\n> PASS open it\n+OK logged in\n"

// TestPOP3Dialogue: lines that begin with "> " are said by the client, all
// others by the server.
func TestPOP3Dialogue(t *testing.T) {
	t.Parallel()
	const denied = "-ERR [AUTH] wrong user name or password\n"
	for name, tt := range map[string]struct{ script, events string }{
		"before the login": {script: `> CAPA
			+OK
			TOP
			UIDL
			RESP-CODES
			AUTH-RESP-CODE
			PIPELINING
			USER
			SASL PLAIN
			.
			> STAT
			-ERR no such command now
			> STLS
			-ERR no such command now
			> PASS open it
			-ERR say USER first
			> USER
			-ERR syntax error
			> QUIT now
			-ERR syntax error
			> us{LF}er
			-ERR syntax error
			-ERR no such command now
			> QUIT
			+OK bye
			EOF`},
		"reading": {script: popLogin + `> STAT
			+OK 4 49
			> list
			+OK
			1 23
			2 9
			3 0
			4 17
			.
			> LIST 2
			+OK 2 9
			> UIDL
			+OK
			1 id1
			2 id2
			3 id3
			4 id4
			.
			> UIDL 4
			+OK 4 id4
			> LIST 5
			-ERR no such message
			> LIST 0
			-ERR no such message
			> LIST -1
			-ERR syntax error
			> UIDL 1 2
			-ERR syntax error
			> RETR 1
			+OK 23 octets
			From: a

			..dot
			last
			.
			> RETR 2
			+OK 9 octets
			no header
			.
			> RETR 3
			+OK 0 octets
			.
			> RETR 4
			+OK 17 octets
			Only: header
			..
			.
			> USER alice
			-ERR no such command now
			> NOOP
			+OK
			> QUIT
			+OK bye
			EOF`,
			events: `login "alice" "" false
				read "alice" "id1" true
				read "alice" "id2" true
				read "alice" "id3" true
				read "alice" "id4" true`},
		"top": {script: popLogin + `> TOP 1 0
			+OK 23 octets
			From: a

			.
			> TOP 1 1
			+OK 23 octets
			From: a

			..dot
			.
			> TOP 1 2
			+OK 23 octets
			From: a

			..dot
			last
			.
			> TOP 2 0
			+OK 9 octets
			no header
			.
			> TOP 3 9
			+OK 0 octets
			.
			> TOP 1
			-ERR syntax error
			> TOP 1 -1
			-ERR syntax error
			> TOP 9 1
			-ERR no such message`,
			events: `login "alice" "" false
				read "alice" "id1" false
				read "alice" "id1" false
				read "alice" "id1" true
				read "alice" "id2" true
				read "alice" "id3" true`},
		"deleting": {script: popLogin + `> DELE 1
			+OK
			> DELE 1
			-ERR no such message
			> RETR 1
			-ERR no such message
			> STAT
			+OK 3 26
			> RSET
			+OK
			> STAT
			+OK 4 49
			> DELE 2
			+OK
			> UIDL
			+OK
			1 id1
			3 id3
			4 id4
			.`, events: `login "alice" "" false`},
		"plain": {script: `> AUTH PLAIN AGFsaWNlAG9wZW4gaXQ=
			+OK logged in
			> AUTH PLAIN AGFsaWNlAG9wZW4gaXQ=
			-ERR no such command now`, events: `login "alice" "" false`},
		"plain, challenged": {script: `> AUTH
			-ERR syntax error
			> AUTH LOGIN
			-ERR no such mechanism
			> AUTH PLAIN
			+ {SP}
			> *
			-ERR cancelled
			> auth plain
			+ {SP}
			> YWxpY2UAYWxpY2UAb3BlbiBpdA==
			+OK logged in`, events: `login "alice" "" false`},
		"plain, wrong": {script: `> AUTH PLAIN =
			-ERR syntax error
			> AUTH PLAIN AGFsaWNl
			-ERR syntax error
			> AUTH PLAIN cm9vdABhbGljZQBvcGVuIGl0
			` + denied + `> AUTH PLAIN AGFsaWNlAG9wZW4=
			` + denied + `> AUTH PLAIN AGFsaWNlAG9wZW4=
			` + denied + `EOF`,
			events: `login-denied "alice" "" false
				login-denied "alice" "" false
				login-denied "alice" "" false`},
		"denied": {script: `> USER bob
			+OK
			> PASS open it
			` + denied + `> PASS open it
			-ERR say USER first
			> USER down
			+OK
			> PASS open it
			-ERR [SYS/TEMP] the mailbox is not available
			> USER alice
			+OK
			> PASS  open it
			` + denied + `EOF`,
			events: `login-denied "bob" "" false
				login-denied "down" "" false
				login-denied "alice" "" false`},
		"nonsense": {script: strings.Repeat("> EHLO x\n-ERR no such command now\n", pop3Faults) + "EOF"},
		"a line as long as may be": {script: "> USER " + strings.Repeat("x", pop3Line-7) + "\n+OK\n" +
			"> USER " + strings.Repeat("x", pop3Line-6) + "\n-ERR the line is too long\nEOF"},
		"panic": {script: "> USER panic\n+OK\n> PASS open it\nEOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newPOP3Box()
			var log bytes.Buffer
			s := newPOP3Server(t, b, func(o *Options) {
				o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			})
			c := dialPOP3(t, s)
			octets := strings.NewReplacer("{LF}", "\n", "{SP}", "")
			for line := range strings.SplitSeq(strings.TrimSpace(tt.script), "\n") {
				line = strings.TrimLeft(line, "\t")
				if said, ok := strings.CutPrefix(line, "> "); ok {
					c.do(octets.Replace(said)+"\r\n", "")
				} else if line == "EOF" {
					c.want(line)
				} else {
					c.want(octets.Replace(line) + "\r\n")
				}
			}
			c.conn.Close()
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			want := strings.ReplaceAll("\n"+strings.ReplaceAll(tt.events, "\t", ""), "\n", "\npop3-1  ")[1:]
			if got := strings.TrimSuffix(b.said(), "\n"); got != strings.TrimSuffix(want, "pop3-1  ") {
				t.Errorf("got events\n%s\nwant\n%s", got, want)
			}
			if strings.Contains(log.String(), "open it") || strings.Contains(log.String(), "YWxpY2") {
				t.Errorf("logged %s", &log)
			}
		})
	}
}

// TestPOP3Update: only QUIT deletes, and not without Changes.
func TestPOP3Update(t *testing.T) {
	t.Parallel()
	b := newPOP3Box()
	s := newPOP3Server(t, b, nil)
	enter := func(s *POP3Server) *popClient {
		c := dialPOP3(t, s)
		c.do("USER alice\r\n", "+OK\r\n")
		c.do("PASS open it\r\n", "+OK logged in\r\n")
		return c
	}
	lost, other := enter(s), enter(s)
	lost.do("DELE 2\r\n", "+OK\r\n")
	lost.conn.Close()
	c := enter(s)
	c.do("DELE 1\r\n", "+OK\r\n")
	c.do("DELE 4\r\n", "+OK\r\n")
	c.do("QUIT\r\n", "+OK bye\r\n")
	c.want("EOF")
	other.do("STAT\r\n", "+OK 4 49\r\n")
	other.do("RETR 3\r\n", "+OK 0 octets\r\n.\r\n")
	c = enter(s)
	c.do("UIDL\r\n", "+OK\r\n1 id2\r\n2 id3\r\n.\r\n")

	c = enter(newPOP3Server(t, b, func(o *Options) { o.Changes = nil }))
	c.do("DELE 1\r\n", "-ERR [SYS/PERM] this mailbox is read-only\r\n")
	c.do("STAT\r\n", "+OK 4 49\r\n")
	c.do("QUIT\r\n", "+OK bye\r\n")
}

// TestPOP3Read: a message that cannot be read ends nothing.
func TestPOP3Read(t *testing.T) {
	t.Parallel()
	b := newPOP3Box()
	b.onRead = func(context.Context) error { return errors.New("disk on fire") }
	c := dialPOP3(t, newPOP3Server(t, b, nil))
	c.do("USER alice\r\n", "+OK\r\n")
	c.do("PASS open it\r\n", "+OK logged in\r\n")
	c.do("RETR 1\r\n", "-ERR [SYS/TEMP] the mailbox is not available\r\n")
	c.do("NOOP\r\n", "+OK\r\n")
	if got := b.said(); strings.Contains(got, "read") {
		t.Errorf("got %s", got)
	}
}
