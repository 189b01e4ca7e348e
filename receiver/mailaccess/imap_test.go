package mailaccess

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
)

func TestNewIMAP(t *testing.T) {
	t.Parallel()
	_, err := NewIMAP(Options{Hostname: "a b"})
	if err == nil || err.Error() != "configuring IMAP server: no backend\nhost name \"a b\" is empty or not plain ASCII" {
		t.Errorf("got %v", err)
	}
}

func TestIMAPBeforeLogin(t *testing.T) {
	t.Parallel()
	const before = "* CAPABILITY IMAP4rev1 LITERAL- ID SASL-IR AUTH=PLAIN\nx OK done\n"
	const after = "x OK [CAPABILITY IMAP4rev1 LITERAL- ID IDLE NAMESPACE CHILDREN UIDPLUS UNSELECT ESEARCH LIST-EXTENDED LIST-STATUS STATUS=SIZE] logged in\n"
	tests := []struct {
		name   string
		dialog []string
		events string
	}{
		{"commands", []string{
			"CAPABILITY", before,
			"noop", "x OK done\n",
			"NOOP x", "x BAD NOOP has no arguments\n",
			"SELECT INBOX", "x BAD no such command before the login\n",
			"GET / HTTP/1.1", "x BAD no such command before the login\n",
			"STARTTLS", "x BAD there is no TLS\n",
			"LOGOUT", "* BYE logging out\nx OK done\n",
			"NOOP", "",
		}, ""},
		{"login", []string{
			`LOGIN alice "open it"`, after,
			`LOGIN alice "open it"`, "x BAD somebody has logged in already\n",
			"CAPABILITY", "* CAPABILITY IMAP4rev1 LITERAL- ID IDLE NAMESPACE CHILDREN UIDPLUS UNSELECT ESEARCH LIST-EXTENDED LIST-STATUS STATUS=SIZE\nx OK done\n",
			"STARTTLS", "x BAD somebody has logged in already\n",
			"LOGOUT", "* BYE Logging out\nx OK LOGOUT completed\n",
			"NOOP", "",
		}, `imap-1  login "alice"  false ""` + "\n"},
		{"literals", []string{
			"LOGIN {5+}\r\nalice {7}\r\nopen it", "+ go on\n" + after,
		}, `imap-1  login "alice"  false ""` + "\n"},
		{"literal of a line end", []string{
			"LOGIN {7}\r\nali\r\nce open", "+ go on\nx BAD a literal with line ends or NUL\n",
			"NOOP", "x OK done\n",
		}, ""},
		{"denied", []string{
			`LOGIN alice "open"`, "x NO [AUTHENTICATIONFAILED] wrong user name or password\n",
			`LOGIN down "open"`, "x NO [UNAVAILABLE] nobody can log in now\n",
			`LOGIN bob {3+}` + "\r\n\\\"\\", "x NO [AUTHENTICATIONFAILED] wrong user name or password\n",
			`LOGIN "" ""`, "x NO [AUTHENTICATIONFAILED] wrong user name or password\n",
			`LOGIN alice`, "x BAD LOGIN has a user name and a password\n",
			`LOGIN alice a b`, "x BAD LOGIN has a user name and a password\n",
			`LOGIN alice open`, "x NO [AUTHENTICATIONFAILED] wrong user name or password\n",
			"NOOP", "* BYE too many failed logins\n",
		}, `imap-1  login-denied "alice"  false ""
imap-1  login-denied "down"  false ""
imap-1  login-denied "bob"  false ""
imap-1  login-denied ""  false ""
imap-1  login-denied "alice"  false ""
`},
		{"plain", []string{
			"AUTHENTICATE LOGIN", "x NO [CANNOT] no such mechanism\n",
			"AUTHENTICATE PLAIN !", "x BAD the response is not base64\n",
			"AUTHENTICATE PLAIN =", "x BAD the response is not of PLAIN\n",
			"AUTHENTICATE PLAIN Ym9iAGFsaWNlAG9wZW4gaXQ=", "x NO [AUTHORIZATIONFAILED] nobody may act for another user\n",
			"AUTHENTICATE PLAIN\r\n*", "+ \nx BAD given up\n",
			"AUTHENTICATE plain\r\nAGFsaWNlAG9wZW4gaXQ=", "+ \n" + after,
		}, `imap-1  login "alice"  false ""` + "\n"},
		{"initial response", []string{
			"AUTHENTICATE PLAIN YWxpY2UAYWxpY2UAb3BlbiBpdA==", after,
		}, `imap-1  login "alice"  false ""` + "\n"},
		{"client", []string{
			`ID ("name" "isync" "version" "1.4.4" "os" NIL)`, "* ID (\"name\" \"doppelbox\")\nx OK done\n",
			`ID (name isync)`, "x BAD ID has NIL or a list of names and values\n",
			`ID`, "x BAD ID has NIL or a list of names and values\n",
			`ID ("name" "x"`, "x BAD ID has NIL or a list of names and values\n",
			`ID ("name" "` + strings.Repeat("x", 1025) + `")`, "x BAD ID has NIL or a list of names and values\n",
			`ID (` + strings.Repeat(`"a" "b" `, 31) + `)`, "x BAD ID has NIL or a list of names and values\n",
			`LOGIN alice "open it"`, after,
			`ID ("Name" "isync" "version" {5+}` + "\r\n1.4.4)", "* ID (\"name\" \"doppelbox\")\nx OK done\n",
			`ID ("name" "K-9")`, "* ID (\"name\" \"doppelbox\")\nx OK done\n",
			`ID NIL`, "* ID (\"name\" \"doppelbox\")\nx OK done\n",
		}, `imap-1  login "alice"  false "isync 1.4.4"
imap-1  client "alice"  false "K-9"
imap-1  client "alice"  false ""
`},
		{"panic", []string{`LOGIN panic "open it"`, ""}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newIMAPBox()
			d := dialIMAP(t, newIMAPServer(t, b, nil))
			for i := 0; i < len(tt.dialog); i += 2 {
				d.want(tt.dialog[i], tt.dialog[i+1])
			}
			if got := b.said(); got != tt.events {
				t.Errorf("got events\n%swant\n%s", got, tt.events)
			}
		})
	}
}

func TestIMAPNeedsTLS(t *testing.T) {
	t.Parallel()
	b := newIMAPBox()
	config, _ := imapTLS(t)
	d := dialIMAP(t, newIMAPServer(t, b, func(o *Options) { o.InsecureLogin, o.TLSConfig = false, config }))
	d.want("CAPABILITY", "* CAPABILITY IMAP4rev1 LITERAL- ID STARTTLS LOGINDISABLED\nx OK done\n")
	d.want(`LOGIN alice "open it"`, "x NO [PRIVACYREQUIRED] passwords are taken under TLS only\n")
	d.want(`AUTHENTICATE PLAIN AGFsaWNlAG9wZW4gaXQ=`, "x NO [PRIVACYREQUIRED] passwords are taken under TLS only\n")
	d.want(`AUTHENTICATE PLAIN`, "x NO [PRIVACYREQUIRED] passwords are taken under TLS only\n")
	d.want("STARTTLS\r\ny LOGIN alice open", "x BAD octets after STARTTLS\n")
	if rest := d.answer(); rest != "* BYE octets after STARTTLS\r\n" {
		t.Errorf("got %q", rest)
	}
	if len(b.logins) > 0 {
		t.Errorf("got logins %v", b.logins)
	}
}

// What comes to go-imap must be one line each, whatever the client sends.
func TestIMAPFraming(t *testing.T) {
	t.Parallel()
	tests := []struct {
		send, want string
		ends       bool
	}{
		{"x NOOP\n", "x BAD lines end in CRLF\n", false},
		{"x NOOP\rx LOGOUT\r\n", "x BAD a line with CR or NUL\n", false},
		{"x NOOP\x00\r\n", "x BAD a line with CR or NUL\n", false},
		{"\r\n", "* BAD a command begins with a tag\n", false},
		{"+ NOOP\r\n", "* BAD a command begins with a tag\n", false},
		{"x\r\n", "x BAD no such command\n", false},
		{strings.Repeat("t", 101) + " NOOP\r\n", "* BAD a command begins with a tag\n", false},
		{"x LIST \"\" \"INBOX\r\n", "x BAD a quoted string does not end\n", false},
		{"x LIST \"\" \"INBOX\\\"\r\n", "x BAD a quoted string does not end\n", false},
		{"x LIST \"\" {5000}\r\n", "x BAD literals are limited to 4096 octets\n", false},
		{"x LIST \"\" {1073741824}\r\n", "x BAD literals are limited to 4096 octets\n", false},
		{"x LIST \"\" {99999999999999999999}\r\n", "x BAD literals are limited to 4096 octets\n", false},
		{"x LIST \"\" {5000+}\r\n", "* BYE the command is too long\n", true},
		{"x LIST \"\" {1073741824+}\r\n", "* BYE the command is too long\n", true},
		{"x CREATE a {12+}\r\nx LOGOUT\r\nxx\r\n", "x BAD a literal with line ends or NUL\n", false},
		{"x CREATE a {9+}\r\nx LOGOUT  \r\n", "x BAD [CLIENTBUG] Syntax error: expected '(', got \"\\\"\"\n", false},
		{"x CREATE a {9} \r\nx LOGOUT  \r\n", "+ go on\nx BAD [CLIENTBUG] Syntax error: expected '(', got \"\\\"\"\n", false},
		{"x CREATE \"{9+}\"\r\n", "x NO [CANNOT] there is no mailbox but INBOX\n", false},
		{"x APPEND INBOX {1073741824}\r\n", "x NO [CANNOT] mail comes into this mailbox by SMTP only\n", false},
		{"x APPEND INBOX {8+}\r\na: b\r\n\r\n\r\n", "x NO [CANNOT] mail comes into this mailbox by SMTP only\n", false},
		{"x APPEND INBOX {8192+}\r\n", "* BYE the command is too long\n", true},
		{"x LIST \"\" " + strings.Repeat("%", 100_000), "* BYE the command is too long\n", true},
		{strings.Repeat("x", 1<<20), "* BYE the command is too long\n", true},
		{"x LIST \"\" " + strings.Repeat("%", 30_000) + "\r\n", "* LIST (\\HasNoChildren) \"/\" INBOX\nx OK LIST completed\n", false},
		{"x FETCH x FLAGS\r\n", "x BAD the command cannot be read\n", false},
		{"x UID FETCH 0 FLAGS\r\n", "x BAD the command cannot be read\n", false},
		{"x FETCH 1 (X-GM-LABELS)\r\n", "x BAD [CLIENTBUG] Unknown FETCH data item\n", false},
		{"x SEARCH X-GM-RAW foo\r\n", "x BAD the command cannot be read\n", false},
		{"x SEARCH " + strings.Repeat("NOT ", 7000) + "ALL\r\n", "x NO [LIMIT] too many search keys\n", false},
		{"x SEARCH " + strings.Repeat("OR ", 7000) + "ALL\r\n", "x BAD [CLIENTBUG] Syntax error: expected SP, got \"\\r\"\n", false},
		{"x SEARCH " + strings.Repeat("(", 7000) + "\r\n", "x BAD the command cannot be read\n", false},
		{"x SEARCH" + strings.Repeat(" TEXT a", 101) + "\r\n", "x NO [LIMIT] too many search keys\n", false},
		{"x UID SEARCH" + strings.Repeat(" SMALLER 1", 3200) + "\r\n", "x BAD too many search keys\n", false},
		{"x FETCH 1 (" + strings.Repeat("BODY[] ", 101) + "UID)\r\n", "x NO [LIMIT] too many sections\n", false},
		{"x ENABLE IMAP4rev2\r\n", "x BAD no such command\n", false},
		{"x IDLE now\r\n", "x BAD IDLE has no arguments\n", false},
		{"x IDLE\r\nx LOGOUT\r\n", "+ idling\n* BYE expected DONE to end IDLE\n", true},
	}
	for _, tt := range tests {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			d := openIMAP(t, newIMAPServer(t, newIMAPBox(imapPlainMail), nil))
			d.send(tt.send)
			var got strings.Builder
			for n := strings.Count(tt.want, "\n"); n > 0; n-- {
				got.WriteString(d.line())
			}
			if got.String() != crlf(tt.want) {
				t.Errorf("%.100q\n got %q\nwant %q", tt.send, got.String(), crlf(tt.want))
			}
			if tt.ends {
				if rest := d.line(); rest != "" {
					t.Errorf("%.100q: got %q after BYE", tt.send, rest)
				}
				return
			}
			d.want("NOOP", "x OK NOOP completed\n") // In step.
		})
	}
}

// imapBrokenListener fails once, as when the machine has run out of files, and then
// for good.
type imapBrokenListener struct {
	net.Listener
	errs []error
}

func (l *imapBrokenListener) Accept() (net.Conn, error) {
	err := l.errs[0]
	l.errs = l.errs[1:]
	return nil, err
}

func (l *imapBrokenListener) Close() error { return nil }
func (l *imapBrokenListener) Addr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 143}
}

func TestIMAPServeFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, err := NewIMAP(Options{Backend: newIMAPBox(), Hostname: "h"})
		if err != nil {
			t.Fatal(err)
		}
		broken := errors.New("broken")
		err = s.Serve(&imapBrokenListener{errs: []error{syscall.EMFILE, syscall.EMFILE, broken}})
		if !errors.Is(err, broken) || err.Error() != "accepting IMAP connection on 127.0.0.1:143: broken" {
			t.Errorf("got %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := s.Serve(&imapBrokenListener{}); err != nil {
			t.Errorf("after Close: %v", err)
		}
	})
}
