package main

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"html"
	"mime"
	"net"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/receiver/mailauth"
	"github.com/doppelbox/doppelbox/scenarios"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

type sendCommand struct {
	Mail string `arg:"" optional:"" help:"File with a message to send as it is, or - for standard input; without it one is composed." placeholder:"MAIL"`

	Server   string   `default:"127.0.0.1:2525" placeholder:"ADDR" help:"The SMTP server. Default 127.0.0.1:2525."`
	From     string   `default:"noreply@shop.example" placeholder:"ADDRESS" help:"The author. Default noreply@shop.example."`
	Envelope *string  `placeholder:"ADDRESS" help:"The envelope's sender; <> is the null one. Default: the author."`
	To       []string `default:"alice@gmail.test" placeholder:"ADDRESS" help:"The recipients. Default alice@gmail.test."`
	HELO     string   `name:"helo" default:"localhost" placeholder:"NAME" help:"The name to give. Default localhost."`
	StartTLS bool     `name:"starttls" help:"Use STARTTLS; the certificate is not verified."`

	Subject string `default:"Expense 4711 waits for your approval" help:"Subject of a composed message."`
	Type    string `enum:"ConfirmAction,SaveAction,ViewAction" default:"ConfirmAction" help:"Type of its action: ConfirmAction, SaveAction or ViewAction."`
	Label   string `default:"Approve expense" help:"Label of its button."`
	URL     string `name:"url" placeholder:"URL" help:"URL of its handler or target. Default: one at the author's domain, with a fresh token."`

	Sign     string `placeholder:"SELECTOR" help:"Sign with DKIM for the author's domain, under this selector."`
	Domain   string `placeholder:"DOMAIN" help:"Sign for another domain."`
	Key      string `placeholder:"FILE" help:"Private key in PEM. Default: the test key that scenarios use, known to everybody."`
	Print    bool   `help:"Print the message instead of sending it."`
	Record   bool   `help:"Print the DNS record of the key, as zone text, instead of sending."`
	JSONFlag bool   `name:"json" help:"Print the server's answer as JSON."`
}

// Run sends the message and prints the server's answer. The answer is no if
// the server did not take it.
func (c *sendCommand) Run(ctx context.Context, s streams) error {
	key, err := c.key(s)
	if err != nil {
		return err
	}
	if c.Record {
		record, err := mailauth.KeyRecord(key.Public())
		if err != nil {
			return usageError{err}
		}
		_, err = fmt.Fprintf(s.out, "%s._domainkey.%s. TXT %q\n", cmp.Or(c.Sign, "s1"), c.domain(), record)
		return err
	}
	raw, err := c.message(s)
	if err != nil {
		return err
	}
	if c.Sign != "" {
		if raw, err = mailauth.Sign(raw, mailauth.SignOptions{Domain: c.domain(), Selector: c.Sign, Key: key, Time: time.Now()}); err != nil {
			return usagef("signing: %w", err)
		}
	}
	if c.Print {
		_, err := s.out.Write(raw)
		return err
	}
	m := provider.Mail{HELO: c.HELO, From: c.From, To: c.To, Raw: raw}
	if c.Envelope != nil {
		m.From = strings.Trim(*c.Envelope, "<>")
	}
	if c.StartTLS {
		// Test servers have certificates of their own; SMTP between servers
		// does not verify either (RFC 7435).
		m.TLS = &tls.Config{InsecureSkipVerify: true}
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.Server)
	if err != nil {
		return hinted{usageError{err}, "doppelbox serve prints the address where it receives mail"}
	}
	reply, err := provider.Send(ctx, conn, m)
	if err != nil {
		return usagef("sending to %s: %w", c.Server, err)
	}
	return c.report(s, reply)
}

func (c *sendCommand) report(s streams, reply provider.Reply) error {
	if c.JSONFlag {
		if err := writeJSON(s, reply); err != nil {
			return err
		}
	} else {
		command := ""
		if !reply.Accepted() {
			command = " to " + cmp.Or(reply.Command, "the connection")
		}
		for _, line := range reply.Lines {
			fmt.Fprintf(s.out, "%d %s %s%s\n", reply.Code, reply.Enhanced, policy.Printable(line), command)
		}
	}
	if !reply.Accepted() {
		return errNotHeld
	}
	return nil
}

func (c *sendCommand) domain() string {
	if c.Domain != "" {
		return c.Domain
	}
	return message.DomainOf(c.From)
}

func (c *sendCommand) key(s streams) (crypto.Signer, error) {
	if c.Key == "" {
		key, err := scenarios.TestKey("rsa")
		if err != nil {
			return nil, faultError{err}
		}
		return key, nil
	}
	text, err := readFile(s, c.Key, maxTextFile)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, usagef("--key %q is not PEM", c.Key)
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, usagef("--key %q: %w", c.Key, err)
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return k, nil
	case ed25519.PrivateKey:
		return k, nil
	}
	return nil, usagef("--key %q is a %T; RSA and Ed25519 keys sign mail", c.Key, key)
}

// message returns the message of the file, or one that is composed.
func (c *sendCommand) message(s streams) ([]byte, error) {
	if c.Mail != "" {
		raw, err := readFile(s, c.Mail, maxMail)
		return withCRLF(raw), err
	}
	for _, value := range append([]string{c.From, c.Subject}, c.To...) {
		if strings.ContainsAny(value, "\r\n") {
			return nil, usagef("%q has a line break in it", value)
		}
	}
	domain := message.DomainOf(c.From)
	if domain == "" {
		return nil, usagef("--from %q has no domain", c.From)
	}
	id, err := freshToken()
	if err != nil {
		return nil, faultError{err}
	}
	if c.URL == "" {
		c.URL = "https://" + domain + "/approve?expense=4711&token=" + id
	}
	markup, err := c.markup()
	if err != nil {
		return nil, faultError{err}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "From: <%s>\n", c.From)
	fmt.Fprintf(&b, "To: %s\n", strings.Join(c.To, ", "))
	fmt.Fprintf(&b, "Subject: %s\n", mime.QEncoding.Encode("utf-8", c.Subject))
	fmt.Fprintf(&b, "Date: %s\n", time.Now().Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	fmt.Fprintf(&b, "Message-ID: <%s@%s>\nMIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\n\n", id, domain)
	fmt.Fprintf(&b, "<html>\n<body>\n<script type=\"application/ld+json\">\n%s\n</script>\n<p>%s</p>\n</body>\n</html>\n", markup, html.EscapeString(c.Subject))
	return withCRLF([]byte(b.String())), nil
}

// markup is the JSON-LD of the action.
func (c *sendCommand) markup() ([]byte, error) {
	action := map[string]any{"@type": c.Type, "name": c.Label}
	if c.Type == "ViewAction" {
		action["target"] = c.URL
	} else {
		action["handler"] = map[string]any{"@type": "HttpActionHandler", "url": c.URL, "method": "http://schema.org/HttpRequestMethod/POST"}
	}
	// Encoding escapes "<", so that nothing in it ends the script.
	return json.MarshalIndent(map[string]any{
		"@context": "http://schema.org", "@type": "EmailMessage", "potentialAction": action, "description": c.Subject,
	}, "", "  ")
}

// freshToken returns 128 random bits as text.
func freshToken() (string, error) {
	raw := make([]byte, 16)
	if _, err := rand.Read(raw); err != nil {
		return "", err
	}
	return hex.EncodeToString(raw), nil
}
