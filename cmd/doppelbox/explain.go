package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/smtpserver"
	"github.com/doppelbox/doppelbox/scenarios"
)

type explainCommand struct {
	Check    string `arg:"" optional:"" help:"One check, one reason code, or one dial." placeholder:"CHECK"`
	Dials    bool   `xor:"what" help:"Print the dials: options for what no source documents."`
	Replies  bool   `xor:"what" help:"Print the catalogue of SMTP replies, and what makes each of them be given."`
	Verbs    bool   `xor:"what" help:"Print the verbs of scenario files."`
	Markdown bool   `xor:"what" help:"Print the table of checks as README has it."`
	JSON     bool   `name:"json" help:"Print as JSON."`
}

// Run prints the policy. It is printed from what is run: there is no second
// table.
func (c *explainCommand) Run(s streams) error {
	checks := policy.Checks()
	if i := slices.IndexFunc(policy.AllDials(), func(d policy.Dial) bool { return string(d.ID) == c.Check }); i >= 0 {
		d := policy.AllDials()[i]
		if c.JSON {
			return writeJSON(s, d)
		}
		printDial(s.out, d)
		return nil
	}
	if c.Check != "" && c.Dials {
		return usageError{nearestDial(policy.UnknownDialError{Name: c.Check})}
	}
	if c.Check != "" {
		var err error
		if checks, err = findChecks(c.Check); err != nil {
			return err
		}
	}
	switch {
	case c.Dials && c.JSON:
		return writeJSON(s, policy.AllDials())
	case c.Dials:
		printDials(s.out)
	case c.Replies && c.JSON:
		return writeJSON(s, map[string]any{"catalogue": policy.Catalogue(), "protocol": protocolReplies()})
	case c.Replies:
		printReplies(s.out)
	case c.Verbs && c.JSON:
		return writeJSON(s, scenarios.Verbs())
	case c.Verbs:
		printVerbs(s.out)
	case c.JSON:
		return writeJSON(s, checks)
	case c.Markdown:
		fmt.Fprint(s.out, checkTable())
	default:
		for i, check := range checks {
			if i > 0 {
				fmt.Fprintln(s.out)
			}
			printCheck(s.out, check)
		}
	}
	return nil
}

// findChecks returns the check of an ID, or those that give a reason.
func findChecks(word string) ([]policy.Check, error) {
	var known []string
	var found []policy.Check
	for _, c := range policy.Checks() {
		if string(c.ID) == word || slices.Contains(c.Reasons, policy.Reason(word)) {
			found = append(found, c)
		}
		known = append(known, string(c.ID))
		for _, r := range c.Reasons {
			known = append(known, string(r))
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	for _, d := range policy.AllDials() {
		known = append(known, string(d.ID))
	}
	if near, ok := policy.Nearest(word, known); ok {
		return nil, usagef("there is no check and no reason %q; did you mean %q?", word, near)
	}
	return nil, hinted{usagef("there is no check and no reason %q", word), "explain without an argument prints all of them"}
}

func printCheck(w io.Writer, c policy.Check) {
	advice := ""
	if c.Advice {
		advice = ", advice"
	}
	fmt.Fprintf(w, "%s (%s%s)\n  %s\n  source   %s\n  reasons  %s\n", c.ID, c.Scope, advice, c.Doc, c.Source, joined(c.Reasons))
	if len(c.Dials) > 0 {
		fmt.Fprintf(w, "  dials    %s\n", joined(c.Dials))
	}
}

func joined[T ~string](list []T) string {
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = string(v)
	}
	return strings.Join(words, ", ")
}

func printDial(w io.Writer, d policy.Dial) {
	fmt.Fprintf(w, "%s = %s (%s)\n  %s\n  source   %s\n", d.ID, d.Default, strings.Join(d.Values, " or "), d.Doc, d.Source)
}

func printDials(w io.Writer) {
	for i, d := range policy.AllDials() {
		if i > 0 {
			fmt.Fprintln(w)
		}
		printDial(w, d)
	}
	fmt.Fprint(w, "\nWhat gmail-actions.md section 13 leaves open:\n")
	for _, q := range policy.Questions() {
		fmt.Fprintf(w, "  %-3s  %s\n       %s\n", q.ID, q.Text, cmp.Or(joined(q.Dials), q.Instead))
	}
}

// printReplies prints the replies as they go over the wire, with the words in
// braces that stand for values: those of the catalogue, then those of the
// protocol itself.
func printReplies(w io.Writer) {
	for _, c := range policy.Catalogue() {
		by := "fault " + string(c.ID)
		switch {
		case c.Check != "":
			by = "check " + string(c.Check) + ", or " + by
		case c.AtRcpt:
			by = "RCPT, or " + by
		}
		printReply(w, string(c.ID), joined(c.Phases), c.Doc, by, policy.Reply{Code: c.Code, Enhanced: c.Enhanced, Lines: c.Text})
	}
	for _, c := range protocolReplies() {
		printReply(w, c.ID, c.Phase, c.When, "the protocol", policy.Reply{Code: c.Reply.Code, Enhanced: c.Reply.Enhanced, Lines: c.Reply.Lines})
	}
}

// protocolReplies are the replies of the SMTP server itself, without those by
// which it agrees.
func protocolReplies() []smtpserver.Catalogued {
	return slices.DeleteFunc(smtpserver.Replies(), func(c smtpserver.Catalogued) bool { return c.Reply.Code < 400 })
}

func printReply(w io.Writer, id, phases, doc, by string, r policy.Reply) {
	fmt.Fprintf(w, "%s (%s)\n  %s\n  by       %s\n", id, phases, doc, by)
	for line := range strings.Lines(r.Text()) {
		fmt.Fprintf(w, "    %s", line)
	}
	fmt.Fprintln(w)
}

func printVerbs(w io.Writer) {
	for i, v := range scenarios.Verbs() {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s\n  %s\n  e.g.  %s\n", v.Usage(), v.Doc, v.Example)
	}
}

// checkTable is the table of checks that README has.
func checkTable() string {
	var b strings.Builder
	b.WriteString("| check | about | what must hold | source |\n|---|---|---|---|\n")
	for _, c := range policy.Checks() {
		about := string(c.Scope)
		if c.Advice {
			about += ", advice"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", c.ID, about, c.Doc, c.Source)
	}
	return b.String()
}
