package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
)

// maxShown bounds how many signatures authLine shows.
const maxShown = 20

// authLine says on one line what authentication came to.
func authLine(m mailbox.Message) string {
	a := m.Evidence.Auth
	var b strings.Builder
	fmt.Fprintf(&b, "spf=%s", a.SPF.Result)
	if a.SPF.Domain != "" {
		fmt.Fprintf(&b, " (%s)", policy.Printable(a.SPF.Domain))
	}
	if len(a.DKIM) == 0 {
		b.WriteString(" dkim=none")
	}
	for i, d := range a.DKIM {
		if i == maxShown {
			fmt.Fprintf(&b, " (and %d signatures more)", len(a.DKIM)-i)
			break
		}
		fmt.Fprintf(&b, " dkim=%s", d.Result)
		if d.Reason != "" {
			fmt.Fprintf(&b, " [%s]", d.Reason)
		}
		fmt.Fprintf(&b, " (%s/%s)", policy.Printable(d.Domain), policy.Printable(d.Selector))
	}
	fmt.Fprintf(&b, " dmarc=%s", a.DMARC.Result)
	if a.DMARC.Policy != "" {
		fmt.Fprintf(&b, " (p=%s)", a.DMARC.Policy)
	}
	fmt.Fprintf(&b, " rdns=%s pattern=%s", a.ReverseDNS.Result, m.Evidence.Access.Pattern)
	return b.String()
}

// writeJSON prints a value for a script.
func writeJSON(s streams, v any) error {
	e := json.NewEncoder(s.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
