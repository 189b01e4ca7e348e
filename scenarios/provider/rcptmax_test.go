package provider_test

import (
	"fmt"
	"testing"

	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// TestMaxRcptDial beyond the commands that a session may send without a message.
func TestMaxRcptDial(t *testing.T) {
	t.Parallel()
	p := newProvider(t, provider.Options{})
	var to []string
	for i := range 1200 {
		to = append(to, fmt.Sprintf("alice+%d@gmail.test", i))
	}
	if err := p.SetDial("rcpt.max", fmt.Sprint(len(to))); err != nil {
		t.Fatal(err)
	}
	if d := deliver(t, p, approval(serviceURL), to...); d.Reply.Code != 250 {
		t.Errorf("%d recipients: %s", len(to), d.Reply)
	}
	if d := deliver(t, p, approval(serviceURL), append(to, "alice@gmail.test")...); d.Reply.Code != 452 {
		t.Errorf("one more: %s", d.Reply)
	}
}
