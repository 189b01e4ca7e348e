package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/receiver/mailbox"
)

// TestAttemptLine reads what serve prints of an attempt: why there is no answer,
// or what was wrong with the one there is, and nothing that came from outside as
// it came.
func TestAttemptLine(t *testing.T) {
	t.Parallel()
	hops := []mailbox.Hop{{Method: "POST", URL: "https://other.example/\x1b[2J", Status: 303}, {Method: "GET", URL: "https://other.example/b", Status: 307}}
	for _, tt := range []struct {
		a    mailbox.Attempt
		want string
	}{
		{mailbox.Attempt{Status: 200, Outcome: "succeeded"}, "-> 200, succeeded"},
		{mailbox.Attempt{Hops: hops, Status: 200, Outcome: "succeeded"}, "-> 200, succeeded"},
		{mailbox.Attempt{Status: 500, Reason: "status", Outcome: "failed"}, "-> 500, failed"},
		{mailbox.Attempt{Reason: "timeout", Error: "no answer within 30s: it slept", Outcome: "retrying", Due: time.Date(2026, 1, 15, 9, 1, 0, 0, time.UTC)}, "-> timeout: no answer within 30s: it slept, retrying, due at 2026-01-15T09:01:00Z"},
		{mailbox.Attempt{Reason: "cancelled", Error: "it was stopped", Outcome: "cut-off"}, "-> cancelled: it was stopped, cut off, and will not be repeated"},
		{mailbox.Attempt{Status: 408, Reason: "status", Outcome: "failed", Exhausted: true}, "-> 408, failed, the schedule of retries has ended"},
		{mailbox.Attempt{Status: 200, Error: "the answer counts, but its body broke off", Outcome: "succeeded"}, "-> 200 (the answer counts, but its body broke off), succeeded"},
		{mailbox.Attempt{Status: 307, Reason: "host-not-routed", Error: "redirected to \x1b[2J", Outcome: "failed"}, `-> host-not-routed: redirected to \x1b[2J, failed`},
	} {
		var out bytes.Buffer
		begin := ""
		if tt.a.Hops != nil {
			begin = `POST https://other.example/\x1b[2J -> 303, GET https://other.example/b -> 307, `
		}
		tt.a.At, tt.a.Method, tt.a.URL = time.Date(2026, 1, 15, 9, 0, 0, 0, time.UTC), "POST", "https://shop.example/a"
		r := &reporter{s: streams{out: &out}}
		r.attempt(mailbox.Click{ID: "c1", MessageID: "m1"}, tt.a)
		want := "2026-01-15T09:00:00Z click c1 on m1: " + begin + "POST https://shop.example/a " + tt.want + "\n\n"
		if got := out.String(); got != want {
			t.Errorf("got  %q\nwant %q", got, strings.TrimSpace(want))
		}
	}
}
