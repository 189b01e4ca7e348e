package popfetch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
)

// TestLogin: the ways of logging in, and how they fail.
func TestLogin(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("p", 300)
	plain := "+OK\n> CAPA\n+OK\nSASL LOGIN plain\nUSER\nUIDL\n.\n"
	none := "> LIST\n+OK\n.\n> UIDL\n+OK\n.\n> QUIT\n+OK"
	tests := map[string]struct {
		script, password string
		want             LoginError // The zero value: logged in.
		err              string     // Another error.
	}{
		"plain":           {script: plain + "> AUTH PLAIN AGJvYgBzM2NyZXQ=\n+OK\n" + none},
		"plain, long":     {script: plain + "> AUTH PLAIN\n+ \n> AGJvYgBw" + strings.Repeat("cHBw", 99) + "cHA=\n+OK\n" + none, password: long},
		"plain, too soon": {script: plain + "> AUTH PLAIN\n+OK", password: long, err: "AUTH PLAIN of HOST: +OK before the password was said"},
		"plain, refused": {script: plain + "> AUTH PLAIN AGJvYgBzM2NyZXQ=\n-ERR [AUTH] no",
			want: LoginError{Server: "pop.acme.test:110", Command: "AUTH PLAIN", Code: "AUTH", Text: "no"}},
		"user, long": {script: "+OK\n> CAPA\n-ERR\n> USER bob\n+OK", password: long, err: "PASS of HOST: a command of more than 255 octets"},
		"user refused": {script: "+OK\n> CAPA\n-ERR\n> USER bob\n-ERR [IN-USE] locked",
			want: LoginError{Server: "pop.acme.test:110", Command: "USER", Code: "IN-USE", Text: "locked"}},
		"echo": {script: "+OK\n> CAPA\n-ERR\n> USER bob\n+OK\n> PASS s3cret\n-ERR [AUTH] wrong password s3cret",
			want: LoginError{Server: "pop.acme.test:110", Command: "PASS", Code: "AUTH", Text: "(words that repeat the password)"}},
		"strange echo": {script: "+OK\n> CAPA\n-ERR\n> USER bob\n+OK\n> PASS s3cret\n* PASS s3cret",
			err: `PASS of HOST: an answer that is neither +OK nor -ERR: "(words that repeat the password)"`},
		"no code": {script: "+OK\n> CAPA\n-ERR\n> USER bob\n-ERR [nope] no",
			want: LoginError{Server: "pop.acme.test:110", Command: "USER", Text: "[nope] no"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := pipeSource()
			if tt.password != "" {
				src.Password = tt.password
			}
			got, err := Fetch(t.Context(), src, &memSink{}, Options{Dial: scripted(t, tt.script)})
			var refused *LoginError
			switch {
			case tt.err != "":
				if want := strings.ReplaceAll(tt.err, "HOST", "pop.acme.test:110"); err == nil || err.Error() != want {
					t.Errorf("got %v, want %s", err, want)
				}
			case tt.want == LoginError{}:
				if err != nil || !got.LoggedIn {
					t.Errorf("got %+v, %v", got, err)
				}
			case !errors.As(err, &refused) || *refused != tt.want || got.LoggedIn:
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

// TestNoPlaintext: without TLS nothing is sent to another machine, and nothing
// falls back to it.
func TestNoPlaintext(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]bool{"192.0.2.1:110": false, "127.0.0.1:110": true, "[::1]:110": true, "[::ffff:127.0.0.1]:110": true, "localhost:110": false} {
		if got := local(textAddr(addr)); got != want {
			t.Errorf("%s: got %v", addr, got)
		}
	}
	near, far := net.Pipe()
	defer far.Close()
	_, err := Fetch(t.Context(), pipeSource(), &memSink{}, Options{Dial: func(context.Context, string, string) (net.Conn, error) {
		return addrConn{near, textAddr("192.0.2.1:110")}, nil
	}})
	if !errors.Is(err, ErrPlaintext) {
		t.Errorf("got %v", err)
	}

	src := pipeSource()
	src.TLS = TLSSTLS
	for script, want := range map[string]string{
		"+OK\n> CAPA\n+OK\nUSER\n.":                   "the server does not offer it",
		"+OK\n> CAPA\n-ERR":                           "the server does not offer it",
		"+OK\n> CAPA\n+OK\nSTLS\n.\n> STLS\n-ERR no":  `the server refused: "no"`,
		"+OK\n> CAPA\n+OK\nSTLS\n.\n> STLS\n+OK\n+OK": "the server said more before the TLS handshake",
	} {
		_, err := Fetch(t.Context(), src, &memSink{}, Options{Dial: scripted(t, script)})
		if err == nil || err.Error() != "STLS of pop.acme.test:110: "+want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

type textAddr string

func (textAddr) Network() string  { return "tcp" }
func (a textAddr) String() string { return string(a) }

type addrConn struct {
	net.Conn
	addr net.Addr
}

func (c addrConn) RemoteAddr() net.Addr { return c.addr }

// TestSourceSecret: no way of printing a source shows its password.
func TestSourceSecret(t *testing.T) {
	t.Parallel()
	src := pipeSource()
	var out bytes.Buffer
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		fmt.Fprintf(&out, format+"\n", src)
		fmt.Fprintf(&out, format+"\n", &src)
		fmt.Fprintf(&out, format+"\n", []Source{src})
		fmt.Fprintf(&out, format+"\n", struct{ S Source }{src})
	}
	text := slog.New(slog.NewTextHandler(&out, nil))
	text.Info("x", "source", src, "sources", []Source{src})
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "source", src, "pointer", &src, "sources", []Source{src})
	if err := json.NewEncoder(&out).Encode(src); err != nil {
		t.Fatal(err)
	}
	_, err := Fetch(t.Context(), src, &memSink{}, Options{Logger: text, Dial: scripted(t, in+"> LIST\n-ERR")})
	fmt.Fprintln(&out, err)
	if s := out.String(); strings.Contains(s, "s3cret") || strings.Contains(s, fmt.Sprintf("%x", "s3cret")) || !strings.Contains(s, "bob") {
		t.Errorf("got\n%s", s)
	}
}
