package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/cmd/doppelbox/console"
	"github.com/doppelbox/doppelbox/dispatcher/probe"
	"github.com/doppelbox/doppelbox/policy"
)

type probeCommand struct {
	Message string `arg:"" optional:"" help:"Id of the message whose action is probed; without it, the newest one with an in-app action." placeholder:"MESSAGE"`

	Account    string        `placeholder:"ADDRESS" help:"The newest message of this account."`
	Action     string        `placeholder:"LABEL" help:"Label or index of the action; without it, the first in-app action."`
	URL        string        `name:"url" placeholder:"URL" help:"Probe this handler instead of a mail's; --domain says who the sender is."`
	Domain     string        `placeholder:"DOMAIN" help:"The domain of From, with --url. The token's audience is https:// and this, whatever the dial token.aud says: where it says org-domain, name the organisational domain."`
	Method     string        `enum:"POST,GET," default:"" placeholder:"METHOD" help:"The method of the good request, with --url: POST, which is the default, or GET."`
	NoBearer   bool          `help:"The sender has not asked for bearer tokens, with --url."`
	LimitedUse string        `placeholder:"NAME" help:"The query parameter with the limited-use token, or the segment of the path by its number, such as /2. Without it, it is guessed, and with --again told by what is another in a new URL. \"none\": there is none."`
	Again      string        `placeholder:"CMD" help:"A shell command that has the service make the same action anew: by another mail or, with --url, by printing the new URL. Some requests can be tried only so, and what used up an action can be told."`
	Other      string        `placeholder:"CMD" help:"Likewise, for another user."`
	Effects    string        `placeholder:"CMD" help:"A shell command whose output changes if and only if the action is carried out, such as a query to a database. Let it print a number that goes up or down by one each time: only so can one be told from two."`
	Rotate     bool          `help:"Rotate the provider's keys, to see whether the service gets along with it."`
	Only       []string      `placeholder:"ID" help:"Only these requests, by id or group; --list has them."`
	Skip       []string      `placeholder:"ID" help:"All but these."`
	Timeout    time.Duration `default:"10s" help:"How long one request may take. Default 10s."`
	Wait       time.Duration `default:"30s" help:"How long to wait for the mail of an action made anew. Default 30s."`
	Format     string        `enum:"text,json,junit,sarif" default:"text" help:"Form of the report: text, json, junit or sarif."`
	Out        string        `short:"o" placeholder:"FILE" help:"Write the report to a file."`
	List       bool          `help:"Print the catalogue: every request, why it is sent, and what a sound service answers."`
	Verbose    bool          `short:"v" help:"Print each result as it comes, to standard error."`
	apiFlag
}

// Run probes a service through a running provider, whose keys sign the tokens.
func (c *probeCommand) Run(ctx context.Context, s streams) error {
	if c.List {
		return c.list(s)
	}
	if err := c.check(); err != nil {
		return err
	}
	write := func(text string) error {
		_, err := io.WriteString(s.out, text)
		return err
	}
	if c.Out != "" {
		// Before the action is spent.
		out, err := os.OpenFile(c.Out, os.O_WRONLY|os.O_CREATE, 0o644)
		if err != nil {
			return usagef("--out: %w", err)
		}
		defer out.Close()
		write = func(text string) error {
			_, err := out.WriteString(text)
			return errors.Join(err, out.Truncate(int64(len(text))), out.Close())
		}
	}
	report, err := c.probe(ctx, s)
	if err != nil {
		return err
	}
	if err := write(report.Report); err != nil {
		return usageError{err}
	}
	if c.Out != "" {
		fmt.Fprintf(s.err, "doppelbox: %s: %s\n", c.Out, map[bool]string{false: "the service held", true: "the service did not hold, or could not be judged"}[report.Failed])
	}
	if report.Failed {
		return errNotHeld
	}
	return nil
}

func (c *probeCommand) check() error {
	switch {
	case c.URL != "" && c.Message != "":
		return usagef("a message and --url are two things to probe: name one")
	case c.URL != "" && c.Domain == "":
		return usagef("--url needs --domain: the token's audience is the domain of From")
	case c.URL != "" && (c.Action != "" || c.Account != ""):
		return usagef("--action and --account are of a mail: they do not go with --url")
	case c.URL == "" && (c.Domain != "" || c.Method != "" || c.NoBearer):
		return usagef("--domain, --method and --no-bearer go with --url; a mail says by itself what they would say")
	}
	return nil
}

func (c *probeCommand) list(s streams) error {
	if c.Format == "text" {
		return probe.WriteCatalogue(s.out)
	}
	if c.Format != "json" {
		return usagef("--list is printed as text or json, not as %s", c.Format)
	}
	type listed struct {
		ID       string         `json:"id"`
		Group    string         `json:"group"`
		Title    string         `json:"title"`
		Reason   string         `json:"reason"`
		Source   string         `json:"source"`
		Severity probe.Severity `json:"severity"`
		Expect   probe.Expect   `json:"expect"`
		Phase    probe.Phase    `json:"phase"`
		Should   string         `json:"should"`
	}
	var list []listed
	for _, p := range probe.Catalogue() {
		list = append(list, listed{p.ID, p.Group, p.Title, p.Reason, p.Source, p.Severity, p.Expect, p.Phase, p.Should()})
	}
	return writeJSON(s, list)
}

// probe asks the provider for a probe, helps it along, and returns the event
// with the report.
func (c *probeCommand) probe(ctx context.Context, s streams) (console.ProbeEvent, error) {
	ask := console.ProbeRequest{
		Message: c.Message, Account: c.Account, Action: c.Action, URL: c.URL, Domain: c.Domain, Method: c.Method, NoBearer: c.NoBearer,
		LimitedUse: c.LimitedUse, Only: c.Only, Skip: c.Skip, Timeout: c.Timeout.String(), Wait: c.Wait.String(), Rotate: c.Rotate, Form: c.Format,
	}
	for what, command := range c.helpers() {
		if command != "" {
			ask.Asks = append(ask.Asks, what)
		}
	}
	slices.Sort(ask.Asks)
	body, err := json.Marshal(ask)
	if err != nil {
		return console.ProbeEvent{}, faultError{err}
	}
	// It ends when the probe does. Who interrupts the command gets a report on
	// what was found so far.
	answer, err := c.send(context.WithoutCancel(ctx), &http.Client{}, http.MethodPost, "/api/v1/probes", bytes.NewReader(body))
	if err != nil {
		return console.ProbeEvent{}, err
	}
	defer answer.Body.Close()
	id := ""
	for d := json.NewDecoder(answer.Body); ; {
		var e console.ProbeEvent
		if err := d.Decode(&e); err != nil {
			return console.ProbeEvent{}, usagef("reading what %s tells of the probe: %w", c.API, err)
		}
		switch {
		case e.Event == "started":
			id = e.ID
			defer context.AfterFunc(ctx, func() {
				// If it cannot be stopped it has ended.
				_, _ = c.call(context.WithoutCancel(ctx), http.MethodPost, "/api/v1/probes/"+id+"/stop", "")
			})()
		case e.Event == "result" && c.Verbose:
			var result struct{ ID, Mark, Detail string }
			if err := json.Unmarshal(e.Result, &result); err == nil {
				fmt.Fprintf(s.err, "%-12s %s: %s\n", policy.Printable(result.Mark), policy.Printable(result.ID), policy.Printable(result.Detail))
			}
		case e.Event == "ask":
			if err := c.help(ctx, s, id, e); err != nil {
				return console.ProbeEvent{}, err
			}
		case e.Event == "error":
			return console.ProbeEvent{}, usagef("%s", e.Error)
		case e.Event == "report":
			return e, nil
		}
	}
}

// helpers are the commands that answer what a probe asks.
func (c *probeCommand) helpers() map[console.ProbeAsk]string {
	return map[console.ProbeAsk]string{console.AskAgain: c.Again, console.AskOther: c.Other, console.AskEffects: c.Effects}
}

// maxHelp bounds what a helping command may print, in octets.
const maxHelp = 32 << 10

// help runs the command for what the probe asks, and sends what it printed.
func (c *probeCommand) help(ctx context.Context, s streams, id string, e console.ProbeEvent) error {
	answer := console.ProbeAnswer{N: e.N}
	command := c.helpers()[e.Ask]
	run := exec.CommandContext(ctx, "sh", "-c", command)
	run.Stdin, run.Stderr = nil, s.err
	out, err := run.Output()
	switch {
	case ctx.Err() != nil:
		return nil // The probe is being stopped, and waits no longer.
	case err != nil:
		answer.Error = fmt.Sprintf("%q failed: %v", command, err)
	case len(out) > maxHelp:
		answer.Error = fmt.Sprintf("%q printed more than %d octets", command, maxHelp)
	case e.Ask == console.AskEffects:
		answer.Text = strings.TrimSpace(string(out)) // A number may be counted.
	case c.URL != "":
		// Build tools chatter: the URL is what is printed last.
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		answer.Text = strings.TrimSpace(lines[len(lines)-1])
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return faultError{err}
	}
	_, err = c.call(ctx, http.MethodPost, "/api/v1/probes/"+id+"/answers", string(body))
	if ended := (*statusError)(nil); errors.As(err, &ended) && (ended.status == http.StatusNotFound || ended.status == http.StatusConflict) {
		return nil // It gave up waiting, and says so itself.
	}
	return err
}
