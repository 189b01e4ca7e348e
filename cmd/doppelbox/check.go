package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

type checkCommand struct {
	Mail string `arg:"" help:"File with the message as it was sent; - is standard input." placeholder:"MAIL"`

	World   string    `placeholder:"FILE" help:"The world in which it is judged."`
	To      string    `placeholder:"ADDRESS" help:"The recipient. Default: alice at the provider."`
	From    *string   `placeholder:"ADDRESS" help:"The envelope's sender. Default: that of Return-Path, or else of From."`
	Peer    string    `placeholder:"IP" help:"The address that delivers it; without it SPF passes for nobody."`
	HELO    string    `name:"helo" placeholder:"NAME" help:"The name that the peer gives."`
	At      time.Time `placeholder:"TIME" help:"When it arrives (RFC 3339). Default: now."`
	JSON    bool      `name:"json" help:"Print evidence and verdict as JSON."`
	Brief   bool      `help:"Print the answers and not every finding."`
	Verbose bool      `short:"v" help:"Also print the DNS questions and answers."`

	worldFlags
}

// maxMail is the largest message that can be checked: what the real provider
// takes (gmail-inbound.md 1.1).
const maxMail = 157286400

// Run judges the message. The answer is no if it is not accepted into the
// inbox, or if any of its actions is withheld.
func (c *checkCommand) Run(ctx context.Context, s streams) error {
	raw, err := readFile(s, c.Mail, maxMail)
	if err != nil {
		return err
	}
	p, err := c.open(ctx, s, c.World, provider.Options{Logger: logger(s, false)})
	if err != nil {
		return err
	}
	defer p.Close()
	if !c.At.IsZero() {
		p.Clock().Set(c.At)
	}
	arrival, err := c.arrival(p, raw)
	if err != nil {
		return err
	}
	m := p.Examine(ctx, arrival, withCRLF(raw))
	if c.JSON {
		err = writeJSON(s, mailbox.Summary{Message: m})
	} else {
		c.print(s, m)
	}
	if err != nil {
		return err
	}
	if m.Verdict.Delivery != policy.Accept || m.Verdict.Folder != policy.Inbox {
		return errNotHeld
	}
	for _, a := range m.Verdict.Actions {
		if a.Answer != policy.Offered {
			return errNotHeld
		}
	}
	return nil
}

// arrival is how the message is taken to have come: as the flags say, or as
// its own header does.
func (c *checkCommand) arrival(p *provider.Provider, raw []byte) (policy.Arrival, error) {
	a := policy.Arrival{Channel: policy.ChannelFile, HELO: c.HELO, Rcpt: c.To}
	if a.Rcpt == "" {
		a.Rcpt = "alice@" + p.Domain()
	}
	if c.Peer != "" {
		peer, err := netip.ParseAddr(c.Peer)
		if err != nil {
			return a, usagef("--peer takes an IP address, not %q", c.Peer)
		}
		a.Peer = peer
	}
	if c.From != nil {
		a.MailFrom = strings.Trim(*c.From, "<>")
		return a, nil
	}
	m := message.Parse(raw)
	if f, ok := m.Get("Return-Path"); ok {
		a.MailFrom = strings.Trim(f.Unfolded(), "<> ")
	} else if from := m.Header().From; len(from) > 0 {
		a.MailFrom = from[0].Addr
	}
	return a, nil
}

// withCRLF gives a file's lines the ends that they have on the wire: an editor
// has made LF of them. A file that has any CRLF is taken as it is.
func withCRLF(raw []byte) []byte {
	if strings.Contains(string(raw), "\r\n") {
		return raw
	}
	return []byte(strings.ReplaceAll(string(raw), "\n", "\r\n"))
}

func (c *checkCommand) print(s streams, m mailbox.Message) {
	e := m.Evidence
	peer := "an unknown peer"
	if e.Arrival.Peer.IsValid() {
		peer = e.Arrival.Peer.String()
	}
	fmt.Fprintf(s.out, "to %s from <%s> by %s\n", policy.Printable(e.Arrival.Rcpt), policy.Printable(e.Arrival.MailFrom), peer)
	fmt.Fprintln(s.out, authLine(m))
	if c.Brief {
		fmt.Fprint(s.out, m.Verdict.Brief())
	} else {
		fmt.Fprint(s.out, m.Verdict.Explained())
	}
	fmt.Fprintf(s.out, "the provider would answer:\n")
	for line := range strings.Lines(m.Verdict.Reply.Text()) {
		fmt.Fprintf(s.out, "  %s\n", policy.Printable(strings.TrimSuffix(line, "\n")))
	}
	if c.Verbose {
		fmt.Fprintln(s.out, "DNS:")
		for _, q := range m.Questions {
			fmt.Fprintf(s.out, "  %s %s: %s\n", policy.Printable(q.Name), q.Type, policy.Printable(q.Answer))
		}
	}
}
