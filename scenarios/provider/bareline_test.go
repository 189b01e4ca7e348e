package provider_test

import (
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/scenarios/provider"
)

func TestBareLineEndsDial(t *testing.T) {
	t.Parallel()
	p := newProvider(t, provider.Options{})
	raw := []byte(strings.Replace(string(approval(serviceURL)), "Subject: Expense\r\n", "Subject: Expense\r\n\tfolded\n\tbadly\r\n", 1))
	if d := deliver(t, p, raw, "alice@gmail.test"); d.Reply.Code != 250 {
		t.Errorf("by default: %s", d.Reply)
	}
	if err := p.SetDial("smtp.bare-line-ends", "reject"); err != nil {
		t.Fatal(err)
	}
	if d := deliver(t, p, raw, "alice@gmail.test"); d.Reply.Code != 554 || d.Reply.Enhanced != "5.6.0" {
		t.Errorf("by dial: %s", d.Reply)
	}
}
