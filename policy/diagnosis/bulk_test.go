package diagnosis_test

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/diagnosis"
)

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// TestDifferences compares verdicts that are made up, whatever checks there
// are.
func TestDifferences(t *testing.T) {
	t.Parallel()
	now := policy.Verdict{
		Delivery: policy.Accept, Folder: policy.Inbox, Reply: policy.Reply{Code: 250, Enhanced: "2.0.0", Lines: []string{"OK"}},
		Findings: []policy.Finding{
			{Check: "steady", Result: policy.Pass, Reason: "good", Detail: "one wording"},
			{Check: "both-methods", Result: policy.Skip, Reason: "not-bulk"},
			{Check: "tls", Result: policy.Fail, Reason: "no-tls", Advice: true},
			{Check: "gone", Result: policy.Pass, Reason: "good"},
		},
		Actions:     []policy.ActionVerdict{{Index: 3, Name: "Approve", Answer: policy.Offered, Reason: policy.ReasonOffered}},
		Unsubscribe: policy.UnsubscribeVerdict{Answer: policy.Absent, Reason: policy.ReasonNone},
	}
	other := now
	other.Delivery, other.Folder, other.Decider = policy.Reject, "", "both-methods"
	other.Reply = policy.Reply{Code: 550, Enhanced: "5.7.30", Lines: []string{"DKIM", "missing"}}
	other.Findings = []policy.Finding{
		{Check: "steady", Result: policy.Pass, Reason: "good", Detail: "another wording"},
		{Check: "both-methods", Result: policy.Fail, Reason: "dkim-missing", Detail: "bulk mail needs DKIM", Delivery: policy.Reject},
		{Check: "tls", Result: policy.Fail, Reason: "no-tls", Delivery: policy.Accept, Folder: policy.Spam},
		{Check: "new", Result: policy.Pass, Reason: "good"},
	}
	other.Actions = []policy.ActionVerdict{{Index: 3, Name: "Approve", Answer: policy.Withheld, Reason: "would-be-rejected"}}
	var got []string
	for _, c := range diagnosis.Differences(now, other) {
		got = append(got, strings.Join([]string{c.Of, string(c.Check), c.From, c.To, c.Summary}, " | "))
	}
	want := []string{
		"delivery |  | accept | reject | the mail would be refused for good (both-methods: dkim-missing), rather than accepted into the inbox",
		"reply |  | 250 2.0.0 OK | 550 5.7.30 DKIM missing | the answer would be \"550 5.7.30 DKIM missing\"",
		"action |  | offered | withheld (would-be-rejected) | action 3 \"Approve\" would be withheld (would-be-rejected)",
		"finding | both-methods | skip not-bulk | fail dkim-missing, reject | both-methods would fail (dkim-missing): bulk mail needs DKIM",
		"finding | tls | fail no-tls, as advice | fail no-tls, accept as spam | tls would fail (no-tls): ",
		"finding | new |  | pass good | new would pass (good): ",
		"finding | gone | pass good |  | gone would not be asked",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if same := diagnosis.Differences(now, now); len(same) != 0 {
		t.Errorf("a verdict differs from itself: %v", same)
	}
}

// TestBulkStatus holds that both sides of bulk status are told.
func TestBulkStatus(t *testing.T) {
	t.Parallel()
	c := goodCase()
	if b := diagnosis.Diagnose(c).Bulk; b.Is || !strings.HasPrefix(b.Summary, "shop.example is not a bulk sender (12 messages within the last 24 hours). If it were, ") {
		t.Errorf("bulk = %+v", b)
	}
	c.Evidence.Sender.Bulk, c.Evidence.Sender.Volume = true, 6000
	if b := diagnosis.Diagnose(decided(c)).Bulk; !b.Is || !strings.HasPrefix(b.Summary, "shop.example is a bulk sender (6000 messages within the last 24 hours). If it were not, ") {
		t.Errorf("bulk = %+v", b)
	}
	c.Evidence.Sender.Declared = true
	if b := diagnosis.Diagnose(decided(c)).Bulk; !strings.HasPrefix(b.Summary, "shop.example was declared to be a bulk sender. ") {
		t.Errorf("bulk = %+v", b)
	}
}
