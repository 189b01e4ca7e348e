package providertest

import (
	"context"

	"github.com/doppelbox/doppelbox/dispatcher/probe"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// Probing says how a service is probed. The zero value sends everything that
// can be tried with one mail.
type Probing struct {
	// Again has the service make the same action anew: by another mail to the
	// same account, which is waited for, or by returning the handler's new URL.
	// Other does so for another user. Nil: the service cannot be asked.
	Again, Other func(context.Context) (url string, err error)
	// Effects returns something that changes if and only if the action is
	// carried out, such as how many approvals there are.
	Effects func(context.Context) (string, error)
	// LimitedUse names the query parameter with the limited-use token, or the
	// segment of the path by its number, such as /2; empty has it guessed.
	LimitedUse string
	Only, Skip []string // Ids and groups of probe.Catalogue.
}

// Probe tries the service behind a button with requests that it must refuse,
// then with a good one, then with replays. It judges nothing: that the test does
// by the report.
func (m Message) Probe(button string, b Probing) probe.Report {
	m.p.t.Helper()
	report, err := m.p.Provider.Probe(m.p.t.Context(), provider.Probing{
		Message: m.ID, Action: m.action(button), Again: b.Again, Other: b.Other, Effects: b.Effects,
		LimitedUse: b.LimitedUse, Only: b.Only, Skip: b.Skip,
	})
	if err != nil {
		m.p.t.Fatalf("probing %q: %v", button, err)
	}
	return report
}
