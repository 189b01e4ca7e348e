package mailaccess

import (
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// imapMaxDenied is how many logins of a session may fail.
const imapMaxDenied = 5

// errIMAPIdentity is the error of a client that asks for another user's mail.
var errIMAPIdentity = errors.New("mailaccess: acting for another user")

// say writes a line.
func (c *imapConn) say(format string, args ...any) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if !c.over {
		_, _ = c.write(fmt.Appendf(nil, format+"\r\n", args...)) // Reading tells that the client is gone.
	}
}

// answer says the tagged response to a command.
func (c *imapConn) answer(cmd imapCommand, text string) { c.say("%s %s", cmd.tag, text) }

// bad says that a command is none. It is false when there were too many.
func (c *imapConn) bad(cmd imapCommand, why string) error {
	c.answer(cmd, "BAD "+why)
	if c.faults++; c.faults >= imapMaxFaults {
		return errIMAPFaults
	}
	return nil
}

// mayLogin says whether passwords are taken on this connection.
func (c *imapConn) mayLogin() bool { return c.about.TLS != "" || c.server.opts.InsecureLogin }

// capabilities returns what the server can do now (RFC 3501 6.1.1).
func (c *imapConn) capabilities() string {
	caps := "IMAP4rev1 LITERAL- ID"
	if c.mailbox != nil {
		return caps + " IDLE NAMESPACE CHILDREN UIDPLUS UNSELECT ESEARCH LIST-EXTENDED LIST-STATUS STATUS=SIZE"
	}
	if c.about.TLS == "" && c.server.opts.TLSConfig != nil {
		caps += " STARTTLS"
	}
	if !c.mayLogin() {
		return caps + " LOGINDISABLED"
	}
	return caps + " SASL-IR AUTH=PLAIN"
}

// login carries out the commands before the login. It is true once somebody has
// logged in.
func (c *imapConn) login() bool {
	denied := 0
	until := time.Now().Add(imapLoginTimeout)
	for c.mailbox == nil {
		cmd, err := c.readCommand(time.Until(until), imapMaxLoginCommand)
		if err == nil {
			err = c.loginCommand(cmd, &denied)
		}
		if err != nil {
			c.lose(err)
			return false
		}
	}
	return true
}

func (c *imapConn) loginCommand(cmd imapCommand, denied *int) error {
	if cmd.fault != "" {
		return c.bad(cmd, cmd.fault)
	}
	switch cmd.name {
	case "LOGIN", "AUTHENTICATE", "ID":
	case "CAPABILITY", "NOOP", "LOGOUT", "STARTTLS":
		if cmd.args != "" {
			return c.bad(cmd, cmd.name+" has no arguments")
		}
	default:
		return c.bad(cmd, "no such command before the login")
	}
	switch cmd.name {
	case "CAPABILITY":
		c.say("* CAPABILITY %s", c.capabilities())
		c.answer(cmd, "OK done")
	case "NOOP":
		c.answer(cmd, "OK done")
	case "LOGOUT":
		c.say("* BYE logging out")
		c.answer(cmd, "OK done")
		return io.EOF
	case "STARTTLS":
		return c.startTLS(cmd)
	case "ID":
		return c.identify(cmd)
	case "LOGIN":
		user, rest, _, _ := imapToken(cmd.args)
		password, rest, _, ok := imapToken(rest)
		if !ok || strings.TrimLeft(rest, " ") != "" {
			return c.bad(cmd, "LOGIN has a user name and a password")
		}
		return c.admit(cmd, denied, func() error { return c.open(user, password) })
	case "AUTHENTICATE":
		return c.authenticate(cmd, denied)
	}
	return nil
}

// startTLS carries out STARTTLS (RFC 3501 6.2.1).
func (c *imapConn) startTLS(cmd imapCommand) error {
	switch {
	case c.about.TLS != "":
		return c.bad(cmd, "this is TLS")
	case c.server.opts.TLSConfig == nil:
		return c.bad(cmd, "there is no TLS")
	case c.in.Buffered() > 0:
		// Sent in the clear, to be run under TLS: it must not run at all.
		c.answer(cmd, "BAD octets after STARTTLS")
		c.bye("octets after STARTTLS")
		return io.EOF
	}
	c.answer(cmd, "OK begin TLS now")
	if !c.handshake(tls.Server(c.sock, c.server.opts.TLSConfig)) {
		return io.EOF
	}
	c.about.Client = "" // What was said without TLS may be somebody else's.
	return nil
}

// authenticate carries out AUTHENTICATE (RFC 3501 6.2.2) with PLAIN (RFC 4616).
func (c *imapConn) authenticate(cmd imapCommand, denied *int) error {
	mechanism, rest, _, _ := imapToken(cmd.args)
	initial, rest, _, has := imapToken(rest)
	switch {
	case rest != "":
		return c.bad(cmd, "AUTHENTICATE has a mechanism and an initial response")
	case !strings.EqualFold(mechanism, "PLAIN"):
		c.answer(cmd, "NO [CANNOT] no such mechanism")
		return nil
	case !c.mayLogin():
		return c.admit(cmd, denied, nil)
	case !has:
		c.say("+ ")
		line, err := c.readLine(imapMaxLoginCommand)
		if err != nil {
			return err
		}
		initial = strings.TrimRight(string(line), "\r\n")
	case initial == "=":
		initial = "" // RFC 4959 section 3.
	}
	if initial == "*" {
		return c.bad(cmd, "given up")
	}
	response, err := base64.StdEncoding.DecodeString(initial)
	if err != nil {
		return c.bad(cmd, "the response is not base64")
	}
	parts := strings.Split(string(response), "\x00")
	if len(parts) != 3 {
		return c.bad(cmd, "the response is not of PLAIN")
	}
	return c.admit(cmd, denied, func() error {
		if parts[0] != "" && parts[0] != parts[1] {
			return errIMAPIdentity
		}
		return c.open(parts[1], parts[2])
	})
}

// admit answers a login.
func (c *imapConn) admit(cmd imapCommand, denied *int, login func() error) error {
	if !c.mayLogin() {
		c.answer(cmd, "NO [PRIVACYREQUIRED] passwords are taken under TLS only")
		return nil
	}
	switch err := login(); {
	case err == nil:
		c.tell(Event{Kind: EventLogin}) // First: who has the answer may look for it.
		c.answer(cmd, fmt.Sprintf("OK [CAPABILITY %s] logged in", c.capabilities()))
		return nil
	case errors.Is(err, ErrLogin):
		c.answer(cmd, "NO [AUTHENTICATIONFAILED] wrong user name or password")
	case errors.Is(err, errIMAPIdentity):
		c.answer(cmd, "NO [AUTHORIZATIONFAILED] nobody may act for another user")
	default:
		c.server.opts.Logger.Warn("IMAP login", "session", c.about.ID, "error", err)
		c.answer(cmd, "NO [UNAVAILABLE] nobody can log in now")
	}
	if *denied++; *denied >= imapMaxDenied {
		c.bye("too many failed logins")
		return io.EOF
	}
	return nil
}

// open asks the Backend for the mailbox.
func (c *imapConn) open(user, password string) error {
	m, err := c.server.opts.Backend.Login(c.context(), Login{Session: c.about, User: user, Password: password})
	if err != nil {
		c.server.opts.Backend.Accessed(Event{Session: c.about, Kind: EventDenied, User: user})
		return err
	}
	c.user, c.mailbox = user, m
	return nil
}
