package provider_test

import (
	"io"
	"net"
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

// TestPipelinedHelloDial has EHLO and what comes with it in one packet.
func TestPipelinedHelloDial(t *testing.T) {
	t.Parallel()
	p := newProvider(t, provider.Options{})
	l := listen(t)
	p.ServeSMTP(l)
	for _, tt := range []struct{ dial, want string }{{"", "221 2.0.0 "}, {"reject", "451 4.5.0 "}, {"accept", "221 2.0.0 "}} {
		if tt.dial != "" {
			if err := p.SetDial("smtp.pipelined-hello", tt.dial); err != nil {
				t.Fatal(err)
			}
		}
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, "EHLO mail.shop.example\r\nQUIT\r\n"); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(c)
		if err != nil || !strings.Contains(string(got), "\n"+tt.want) || strings.Contains(string(got), "STARTTLS") == (tt.dial == "reject") {
			t.Errorf("%q: %v\n%s", tt.dial, err, got)
		}
		c.Close()
	}
}
