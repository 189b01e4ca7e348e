package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/diagnosis"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// checked is what check prints as JSON: the message as the provider's API has
// it, and the account.
type checked struct {
	mailbox.Summary
	Diagnosis diagnosis.Diagnosis `json:"diagnosis"`
}

// show prints what the flags ask for.
func (c *checkCommand) show(s streams, p *provider.Provider, m mailbox.Message) error {
	switch {
	case c.HTML == "-" && (c.JSON || c.Brief || c.Findings || c.Verbose):
		return usagef("--html - prints the page and nothing else: it goes without --json, --brief, --findings and -v")
	case c.JSON && (c.Brief || c.Findings || c.Verbose):
		return usagef("--json prints everything: it goes without --brief, --findings and -v")
	case c.Brief && !c.JSON && c.HTML == "":
		return c.print(s, p, m, nil)
	}
	d, err := c.diagnose(p, m)
	if err != nil {
		return err
	}
	if c.HTML != "" {
		if err := c.page(s, d); err != nil || c.HTML == "-" {
			return err
		}
	}
	if c.JSON {
		return writeJSON(s, checked{mailbox.Summary{Message: m}, d})
	}
	return c.print(s, p, m, &d)
}

// diagnose makes the account. The header block belongs to it where the
// provider would write one; to seal it takes a key, which takes a moment to make.
func (c *checkCommand) diagnose(p *provider.Provider, m mailbox.Message) (diagnosis.Diagnosis, error) {
	block := ""
	if m.Verdict.Delivery == policy.Accept || c.Header {
		text, err := p.Block(m)
		if err != nil {
			return diagnosis.Diagnosis{}, faultError{err}
		}
		block = string(text)
	}
	questions := make([]diagnosis.Question, len(m.Questions))
	for i, q := range m.Questions {
		questions[i] = diagnosis.Question{Name: q.Name, Type: q.Type, Answer: q.Answer, Source: q.Source}
	}
	return diagnosis.Diagnose(diagnosis.Case{
		Evidence: m.Evidence, Verdict: m.Verdict, Registry: p.Registry(), Questions: questions, Header: block,
	}), nil
}

// page writes the account as HTML.
func (c *checkCommand) page(s streams, d diagnosis.Diagnosis) error {
	if c.HTML == "-" {
		return d.HTML(s.out)
	}
	if mail, err := os.Stat(c.Mail); err == nil {
		if page, err := os.Stat(c.HTML); err == nil && os.SameFile(mail, page) {
			return usagef("--html: %s is the mail itself", c.HTML)
		}
	}
	f, err := os.Create(c.HTML)
	if err != nil {
		return usagef("--html: %w", err)
	}
	err = d.HTML(f)
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return usagef("--html: %w", err)
	}
	return nil
}

// print prints the account, or in its place the answers if d is nil.
func (c *checkCommand) print(s streams, p *provider.Provider, m mailbox.Message, d *diagnosis.Diagnosis) error {
	fmt.Fprintln(s.out, cameLine(m.Evidence.Arrival))
	fmt.Fprintln(s.out, authLine(m))
	if d != nil && !c.Brief {
		fmt.Fprint(s.out, d.Text())
	} else if err := c.printBrief(s, p, m); err != nil {
		return err
	}
	if c.Findings {
		fmt.Fprintln(s.out, "\nevery finding:")
		for line := range strings.Lines(m.Verdict.Explained()) {
			fmt.Fprint(s.out, "  "+line)
		}
	}
	if c.Verbose {
		fmt.Fprintln(s.out, "DNS:")
		for _, q := range m.Questions {
			fmt.Fprintf(s.out, "  %s %s: %s\n", policy.Printable(q.Name), q.Type, policy.Printable(q.Answer))
		}
	}
	return nil
}

// printBrief prints the answers, and the header block if it was asked for.
func (c *checkCommand) printBrief(s streams, p *provider.Provider, m mailbox.Message) error {
	fmt.Fprint(s.out, m.Verdict.Brief())
	if m.Verdict.Reply.Code != 0 {
		fmt.Fprintf(s.out, "the provider would answer:\n")
		for line := range strings.Lines(m.Verdict.Reply.Text()) {
			fmt.Fprintf(s.out, "  %s\n", policy.Printable(strings.TrimSuffix(line, "\n")))
		}
	}
	if c.Header {
		block, err := p.Block(m)
		if err != nil {
			return faultError{err}
		}
		fmt.Fprintf(s.out, "the provider would put on top of it:\n")
		for line := range strings.Lines(string(block)) {
			fmt.Fprintf(s.out, "  %s\n", policy.Printable(strings.TrimRight(line, "\r\n")))
		}
	}
	return nil
}
