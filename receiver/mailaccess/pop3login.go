package mailaccess

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"strings"
)

// run carries out one command.
func (p *pop3Session) run(line string) {
	line, whole := strings.CutSuffix(line, "\r\n")
	if !whole || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		p.fault(pop3Syntax)
		return
	}
	verb, arg, hasArg := strings.Cut(line, " ")
	switch verb = strings.ToUpper(verb); verb {
	case "CAPA", "QUIT", "STLS", "STAT", "RSET", "NOOP":
		if hasArg {
			p.fault(pop3Syntax)
			return
		}
	case "USER", "PASS", "AUTH", "RETR", "TOP", "DELE":
		if arg == "" {
			p.fault(pop3Syntax)
			return
		}
	}
	switch {
	case verb == "CAPA":
		p.capa()
	case verb == "QUIT":
		p.quit()
	case p.mailbox == nil:
		p.authorization(verb, arg)
	default:
		p.transaction(verb, arg)
	}
}

// authorization carries out a command of the state before the login.
func (p *pop3Session) authorization(verb, arg string) {
	switch verb {
	case "STLS":
		p.stls()
	case "USER":
		if p.mayLogin() {
			p.user = arg
			p.say("+OK")
		}
	case "PASS":
		if p.user == "" {
			p.fault("-ERR say USER first")
			return
		}
		p.login(p.user, arg)
	case "AUTH":
		if p.mayLogin() {
			p.auth(arg)
		}
	default:
		p.fault(pop3Unknown)
	}
}

// capa lists the capabilities (RFC 2449). Those that cannot be used are left
// out (RFC 2595 4).
func (p *pop3Session) capa() {
	list := "+OK\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n"
	if p.info.TLS != "" || p.server.opts.InsecureLogin {
		list += "USER\r\nSASL PLAIN\r\n"
	}
	if p.mailbox == nil && p.info.TLS == "" && p.server.opts.TLSConfig != nil {
		list += "STLS\r\n"
	}
	p.say(list + ".")
}

// stls puts TLS over the connection (RFC 2595 4).
func (p *pop3Session) stls() {
	switch {
	case p.server.opts.TLSConfig == nil || p.info.TLS != "":
		p.fault(pop3Unknown)
	case p.in.Buffered() > 0:
		// Sent in the clear, to be run under TLS: it must not run at all.
		p.say("-ERR commands must not be pipelined after STLS")
		p.over = true
	default:
		p.user = ""
		p.say("+OK begin TLS")
		if !p.over {
			// An error ends the session, and there is nobody to be told.
			_ = p.handshake(tls.Server(p.sock, p.server.opts.TLSConfig))
		}
	}
}

// mayLogin says whether the client may say its password, and tells it if not.
func (p *pop3Session) mayLogin() bool {
	if p.info.TLS == "" && !p.server.opts.InsecureLogin {
		p.fault(pop3TLSFirst)
		return false
	}
	return true
}

// auth logs in by SASL PLAIN (RFC 5034, RFC 4616).
func (p *pop3Session) auth(arg string) {
	mechanism, response, initial := strings.Cut(arg, " ")
	if !strings.EqualFold(mechanism, "PLAIN") {
		p.fault("-ERR no such mechanism")
		return
	}
	if !initial {
		p.say("+ ")
		line, err := p.read(pop3SASLLine)
		if err != nil {
			p.lost(err)
			return
		}
		var whole bool
		if response, whole = strings.CutSuffix(line, "\r\n"); !whole || response == "*" {
			p.fault("-ERR cancelled")
			return
		}
	}
	plain, err := base64.StdEncoding.Strict().DecodeString(response)
	fields := bytes.Split(plain, []byte{0})
	if err != nil || len(fields) != 3 || len(fields[1]) == 0 || len(fields[2]) == 0 {
		p.fault(pop3Syntax)
		return
	}
	user := string(fields[1])
	if as := string(fields[0]); as != "" && as != user {
		// To act for somebody else is nobody's right here.
		p.denied(user, ErrLogin)
		return
	}
	p.login(user, string(fields[2]))
}

// login asks the Backend, and opens the mailbox as it is now.
func (p *pop3Session) login(user, password string) {
	p.user = ""
	o := p.server.opts
	mailbox, err := o.Backend.Login(p.server.ctx, Login{Session: p.info, User: user, Password: password})
	var list []Message
	if err == nil {
		list, err = mailbox.Messages(p.server.ctx)
	}
	if err != nil {
		p.denied(user, err)
		return
	}
	if o.Changes != nil {
		list = o.Changes.Keep(mailbox.Name(), list)
	}
	p.user, p.mailbox, p.list, p.deleted = user, mailbox, list, map[int]bool{}
	p.event(Event{Kind: EventLogin, User: user})
	p.say("+OK logged in")
}

// denied answers a login that came to nothing.
func (p *pop3Session) denied(user string, err error) {
	p.event(Event{Kind: EventDenied, User: user})
	if errors.Is(err, ErrLogin) {
		p.say("-ERR [AUTH] wrong user name or password")
	} else {
		p.log.Error("opening a mailbox for POP3", "user", user, "error", err)
		p.say(pop3Down)
	}
	p.logins++
	p.over = p.over || p.logins == pop3Logins
}
