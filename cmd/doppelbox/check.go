package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

type checkCommand struct {
	Mail string `arg:"" help:"File with the message as it was sent; - is standard input." placeholder:"MAIL"`

	World    string    `placeholder:"FILE" help:"The world in which it is judged."`
	To       string    `placeholder:"ADDRESS" help:"The recipient. Default: alice at the provider, or the world's first account."`
	From     *string   `placeholder:"ADDRESS" help:"The envelope's sender. Default: that of Return-Path, or else of From."`
	Peer     string    `placeholder:"IP" help:"The address that delivers it; without it SPF passes for nobody."`
	HELO     string    `name:"helo" placeholder:"NAME" help:"The name that the peer gives."`
	POPFrom  string    `name:"popfrom" placeholder:"ADDRESS" help:"Judge it as fetched by POP from this mailbox of the user's, and not as delivered."`
	At       time.Time `placeholder:"TIME" help:"When it arrives (RFC 3339). Default: now."`
	JSON     bool      `name:"json" help:"Print evidence, verdict and account as JSON."`
	HTML     string    `name:"html" placeholder:"FILE" help:"Write the account as a page that needs nothing else into this file; - is standard output, and nothing else is printed then."`
	Brief    bool      `help:"Print the answers and not the whole account."`
	Findings bool      `help:"Also print every finding of every check."`
	Header   bool      `help:"Also show the header block that the provider puts on top of it with --brief, and where it would not be put there as the mail is refused."`
	Verbose  bool      `short:"v" help:"Also print the DNS questions and answers, in the order in which they were asked."`

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
	p, err := c.open(ctx, s, c.World, provider.Options{Logger: logger(s, false), Passive: true})
	if err != nil {
		return err
	}
	defer p.Close()
	if !c.At.IsZero() {
		if err := p.Clock().Set(c.At); err != nil {
			return usagef("--at: %w", err)
		}
	}
	arrival, err := c.arrival(p, raw)
	if err != nil {
		return err
	}
	m := p.Examine(ctx, arrival, withCRLF(raw))
	if err := c.show(s, p, m); err != nil {
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
	rcpt, err := c.recipient(p)
	if err != nil {
		return policy.Arrival{}, err
	}
	a := policy.Arrival{Channel: policy.ChannelFile, HELO: c.HELO, Rcpt: rcpt}
	if c.POPFrom != "" {
		return c.fetched(p, a.Rcpt)
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

// recipient is whom the message is for: an account, if the world has any. A typo
// would be answered at RCPT, and the message never looked at.
func (c *checkCommand) recipient(p *provider.Provider) (string, error) {
	accounts, alice := p.Accounts(), "alice@"+p.Domain()
	switch {
	case c.To == "" && (len(accounts) == 0 || slices.Contains(accounts, alice)):
		return alice, nil
	case c.To == "":
		return accounts[0], nil
	case len(accounts) > 0 && !p.HasAccount(c.To):
		return "", usagef("--to: the world has no account %q%s", c.To, policy.Suggest(c.To, accounts))
	}
	return c.To, nil
}

// fetched is the arrival of a message that the provider has fetched itself.
func (c *checkCommand) fetched(p *provider.Provider, rcpt string) (policy.Arrival, error) {
	if c.Peer != "" || c.HELO != "" || c.From != nil {
		return policy.Arrival{}, usagef("a message that is fetched by POP has no peer and no envelope: --popfrom goes without --peer, --helo and --from")
	}
	if err := p.Configure(rcpt, provider.Settings{POPFrom: []string{c.POPFrom}}); err != nil {
		return policy.Arrival{}, usagef("--popfrom: %w", err)
	}
	_, domain, ok := strings.Cut(c.POPFrom, "@")
	if !ok {
		return policy.Arrival{}, usagef("--popfrom takes an address, not %q", c.POPFrom)
	}
	return policy.Arrival{
		Channel: policy.ChannelPOP, Rcpt: rcpt,
		Fetch: &policy.Fetch{Source: c.POPFrom, Host: "pop." + domain, Port: 995, Login: c.POPFrom, UID: "file"},
	}, nil
}

// withCRLF gives a file's lines the ends that they have on the wire: an editor
// has made LF of them. A file that has any CRLF is taken as it is.
func withCRLF(raw []byte) []byte {
	if strings.Contains(string(raw), "\r\n") {
		return raw
	}
	return []byte(strings.ReplaceAll(string(raw), "\n", "\r\n"))
}

// cameLine says how a message came.
func cameLine(a policy.Arrival) string {
	if a.Fetch != nil {
		return fmt.Sprintf("to %s by POP from %s", policy.Printable(a.Rcpt), policy.Printable(a.Fetch.Source))
	}
	peer := "an unknown peer"
	if a.Peer.IsValid() {
		peer = a.Peer.String()
	}
	return fmt.Sprintf("to %s from <%s> by %s", policy.Printable(a.Rcpt), policy.Printable(a.MailFrom), peer)
}
