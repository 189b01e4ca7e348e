package mailaccess

import (
	"slices"
	"strings"
)

// What a client may say of itself (RFC 2971 section 3.3).
const (
	imapMaxIDFields = 30
	imapMaxIDName   = 30
	imapMaxIDValue  = 1024
)

// next returns the line of the next command for go-imap. The others it answers.
func (c *imapConn) next() ([]byte, error) {
	if c.idling {
		return c.nextIdling()
	}
	for {
		cmd, err := c.readCommand(imapIdleTimeout, imapMaxCommand)
		if err != nil {
			return nil, err
		}
		pass, err := c.mailCommand(&cmd)
		if err != nil {
			return nil, err
		}
		if pass {
			c.begin(cmd)
			return []byte(cmd.tag + " " + cmd.name + cmd.args + "\r\n"), nil
		}
	}
}

// nextIdling returns the line that ends IDLE, as go-imap knows it.
func (c *imapConn) nextIdling() ([]byte, error) {
	c.limitRead(imapIdleTimeout)
	line, err := c.readLine(imapMaxCommand)
	if err != nil {
		return nil, err
	}
	c.idling = false
	if !strings.EqualFold(string(line), "DONE\r\n") {
		// go-imap would answer at once, and let what IDLE does go on beside the
		// next command.
		return nil, errIMAPIdle
	}
	return []byte("DONE\r\n"), nil
}

// mailCommand answers a command after the login. pass says that it is for go-imap
// instead.
func (c *imapConn) mailCommand(cmd *imapCommand) (pass bool, err error) {
	if cmd.fault != "" {
		return false, c.bad(*cmd, cmd.fault)
	}
	switch cmd.name {
	case "NOOP", "CHECK", "LOGOUT", "NAMESPACE", "CLOSE", "UNSELECT", "EXPUNGE":
		return true, nil
	case "EXAMINE", "STATUS", "LIST", "LSUB", "SUBSCRIBE", "UNSUBSCRIBE", "CREATE", "DELETE", "RENAME":
		return true, nil
	case "FETCH", "STORE", "COPY", "MOVE":
		return true, nil
	case "SELECT":
		if c.server.opts.Changes == nil {
			cmd.name = "EXAMINE" // go-imap would say that INBOX can be written.
		}
		return true, nil
	case "SEARCH", "UID":
		if sub, _, _, _ := imapToken(cmd.args); cmd.name == "SEARCH" || strings.EqualFold(sub, "SEARCH") {
			cmd.args = keepIMAPSmaller(cmd.args)
		}
		if len(cmd.args) > imapMaxCommand {
			return false, c.bad(*cmd, "too many search keys")
		}
		return true, nil
	case "IDLE":
		if cmd.args != "" {
			return false, c.bad(*cmd, "IDLE has no arguments")
		}
		c.idling = true
		return true, nil
	case "CAPABILITY":
		c.say("* CAPABILITY %s", c.capabilities())
		c.answer(*cmd, "OK done")
	case "ID":
		return false, c.identify(*cmd)
	case "APPEND":
		c.answer(*cmd, "NO [CANNOT] mail comes into this mailbox by SMTP only")
	case "STARTTLS", "LOGIN", "AUTHENTICATE":
		return false, c.bad(*cmd, "somebody has logged in already")
	default:
		return false, c.bad(*cmd, "no such command")
	}
	return false, nil
}

// keepIMAPSmaller writes the search key SMALLER so that go-imap v2.0.0-beta.8
// keeps it: it loses it when a key for a date or for LARGER follows on the same
// level.
func keepIMAPSmaller(args string) string {
	var b strings.Builder
	pending := 0 // How many strings of a key are to come.
	for rest := args; ; {
		token, after, quoted, ok := imapToken(rest)
		if !ok {
			b.WriteString(rest)
			return b.String()
		}
		word := strings.ToUpper(token)
		switch {
		case pending > 0:
			pending--
		case quoted:
		case word == "SMALLER":
			before := len(rest) - len(after) - len(token)
			b.WriteString(rest[:before] + "NOT NOT ")
			rest = rest[before:]
		case word == "HEADER":
			pending = 2
		case slices.Contains([]string{"BCC", "BODY", "CC", "CHARSET", "FROM", "KEYWORD", "SUBJECT", "TEXT", "TO", "UNKEYWORD"}, word):
			pending = 1
		}
		b.WriteString(rest[:len(rest)-len(after)])
		rest = after
	}
}

// identify carries out ID (RFC 2971).
func (c *imapConn) identify(cmd imapCommand) error {
	fields, ok := parseIMAPID(cmd.args)
	if !ok {
		return c.bad(cmd, "ID has NIL or a list of names and values")
	}
	if client := strings.TrimSpace(fields["name"] + " " + fields["version"]); client != c.about.Client {
		c.about.Client = client
		if c.mailbox != nil {
			c.tell(Event{Kind: EventClient})
		}
	}
	c.say(`* ID ("name" "doppelbox")`)
	c.answer(cmd, "OK done")
	return nil
}

// parseIMAPID reads the arguments of ID. Names are in lower case.
func parseIMAPID(args string) (fields map[string]string, ok bool) {
	token, rest, quoted, _ := imapToken(args)
	if strings.EqualFold(token, "NIL") && !quoted && rest == "" {
		return nil, true
	}
	if token != "(" || quoted {
		return nil, false
	}
	fields = map[string]string{}
	for range imapMaxIDFields + 1 {
		var name, value string
		if name, rest, quoted, ok = imapToken(rest); !ok {
			return nil, false
		}
		if !quoted {
			return fields, name == ")" && rest == ""
		}
		value, rest, quoted, _ = imapToken(rest)
		if !quoted && strings.EqualFold(value, "NIL") {
			value, quoted = "", true
		}
		if !quoted || len(name) > imapMaxIDName || len(value) > imapMaxIDValue {
			return nil, false
		}
		fields[strings.ToLower(name)] = value
	}
	return nil, false
}
