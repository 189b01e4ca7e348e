package popfetch

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
)

// maxCapabilities is how many lines of CAPA are read; there are some twenty
// registered ones.
const maxCapabilities = 200

// capabilities are what CAPA says: the parameters by the name (RFC 2449 5),
// all in upper case. They are nil if the server has no CAPA.
type capabilities map[string][]string

// capa asks for the capabilities.
func (c *conn) capa() (capabilities, error) {
	err := c.command("CAPA")
	if refused := (*refusal)(nil); errors.As(err, &refused) {
		return nil, nil
	}
	list := capabilities{}
	if err == nil {
		err = c.lines(maxCapabilities, func(line string) error {
			if words := strings.Fields(strings.ToUpper(line)); len(words) > 0 {
				list[words[0]] = words[1:]
			}
			return nil
		})
	}
	if err != nil {
		return nil, c.fail("CAPA", err)
	}
	return list, nil
}

// open brings the session to the transaction state. It returns the capabilities
// that the login rested on.
func (c *conn) open(src Source, o Options) (capabilities, error) {
	if err := c.status(); err != nil {
		return nil, c.refused("greeting", err)
	}
	offered, err := c.capa()
	if err == nil && src.TLS == TLSSTLS {
		if err = c.stls(src, o, offered); err == nil {
			offered, err = c.capa() // What was said in the clear counts no more.
		}
	}
	if err == nil {
		err = c.authenticate(src, offered)
	}
	return offered, err
}

// refused is the error of a command without which nobody gets in.
func (c *conn) refused(op string, err error) error {
	if r := (*refusal)(nil); errors.As(err, &r) {
		return &LoginError{Server: c.server, Command: op, Code: r.code, Text: r.text}
	}
	return c.fail(op, err)
}

// stls puts TLS over the connection (RFC 2595 4). There is no way on without it.
func (c *conn) stls(src Source, o Options, offered capabilities) error {
	if _, ok := offered["STLS"]; !ok {
		return c.fail("STLS", errors.New("the server does not offer it"))
	}
	if err := c.command("STLS"); err != nil {
		return c.fail("STLS", err)
	}
	if c.in.Buffered() > 0 {
		// Sent in the clear, to be read as if it had come by TLS.
		return c.fail("STLS", errors.New("the server said more before the TLS handshake"))
	}
	return c.handshake(src, o.TLSConfig)
}

// authenticate says login and password, in the one way that the server prefers.
func (c *conn) authenticate(src Source, offered capabilities) error {
	op, err := "PASS", error(nil)
	if slices.Contains(offered["SASL"], "PLAIN") {
		op, err = "AUTH PLAIN", c.authPlain(src)
	} else if err = c.command("USER " + src.Login); err != nil {
		op = "USER"
	} else {
		err = c.command("PASS " + src.Password)
	}
	if err == nil {
		return nil
	}
	const hidden = "(words that repeat the password)"
	if r := (*refusal)(nil); errors.As(err, &r) && secret(src, r.text) {
		r.text = hidden
	}
	if n := (*nonsense)(nil); errors.As(err, &n) && secret(src, n.line) {
		n.line = hidden
	}
	return c.refused(op, err)
}

// authPlain logs in by SASL PLAIN (RFC 5034, RFC 4616).
func (c *conn) authPlain(src Source) error {
	response := plain(src)
	if line := "AUTH PLAIN " + response; len(line)+2 <= maxCommand {
		return c.command(line)
	}
	// Too long for a command. The answer to a challenge may have any length.
	err := c.command("AUTH PLAIN")
	switch {
	case errors.Is(err, errChallenge):
		err = c.send(response)
	case err == nil:
		err = errors.New("+OK before the password was said")
	}
	return err
}

func plain(src Source) string {
	return base64.StdEncoding.EncodeToString([]byte("\x00" + src.Login + "\x00" + src.Password))
}

// secret says whether a text has the password in it, in either form in which
// it was sent. What servers say is logged and shown.
func secret(src Source, text string) bool {
	return src.Password != "" && strings.Contains(text, src.Password) || strings.Contains(text, plain(src))
}
