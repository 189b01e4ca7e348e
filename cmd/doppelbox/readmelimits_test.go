package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/dispatcher"
	"github.com/doppelbox/doppelbox/policy"
)

// TestReadmeRequests holds what README promises of requests: how often each is
// made, by which dial, and how many at a time.
func TestReadmeRequests(t *testing.T) {
	t.Parallel()
	words := strings.Fields(readFileText(t, "../../README.md"))
	text := strings.Join(words, " ")
	for _, want := range []string{
		"Requests are made at least once, not exactly once: after a 408 and, with `dial " + string(policy.DialRetryTimeout) + " yes`, a lost answer",
		fmt.Sprintf("at most %d go to a host and port at a time, and %d in all", dispatcher.DefaultPerHost, dispatcher.DefaultConcurrency),
		"`dial " + string(policy.DialKeepAlive) + " yes`). The default, a connection each",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("README does not say %q", want)
		}
	}
}
