package diagnosis_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/diagnosis"
)

// TestPassedOn holds who is asked to do what, where a mail was passed on: SPF is
// then the forwarder's, and what the signer did was well done.
func TestPassedOn(t *testing.T) {
	t.Parallel()
	byForward := policy.Access{Pattern: policy.PatternAutoForward, Forward: &policy.Forward{Style: policy.ForwardSRS, By: "forward.example"}}
	byList := policy.Access{Pattern: policy.PatternMailingList, Signals: []policy.Signal{{Name: "list-id", Value: "talk.list.example"}}}
	for _, tt := range []struct {
		name   string
		access policy.Access
		change policy.Change
		where  string
		do     string // How the first step begins.
	}{
		{"a forwarder's footer", byForward, policy.ChangeFooter, "who passed the mail on, forward.example", "DKIM, selector s1 of shop.example: Have it add no footer"},
		{"a list's tag", byList, policy.ChangeSubject, "the list, talk.list.example", "DKIM, selector s1 of shop.example: Have it put no tag"},
		{"a list that does not say its name", policy.Access{Pattern: policy.PatternMailingList}, policy.ChangeReencoded, "the list", "DKIM, selector s1 of shop.example: Have it leave the transfer encoding"},
		{"nothing proven", policy.Access{Pattern: policy.PatternAutoForward}, "", "who passed the mail on", "DKIM, selector s1 of shop.example: Have it pass the mail on octet for octet"},
		{"no signature", byForward, "none", "the domain of From, shop.example", "Sign with DKIM, d=shop.example: only that survives"},
	} {
		c := goodCase()
		signatures := c.Evidence.Auth.DKIM
		envelopeOf(&c, "forward.example")
		c.Evidence.Access = tt.access
		if tt.change != "none" {
			signatures[0].Result, signatures[0].Reason, signatures[0].Change = policy.AuthFail, "body-hash", tt.change
			c.Evidence.Auth.DKIM = signatures
		}
		r := diagnosis.Diagnose(decided(c)).Repairs[0]
		if r.Where != tt.where || !strings.HasPrefix(r.Steps[0].Do, tt.do) {
			t.Errorf("%s: at %s, %s", tt.name, r.Where, r.Steps[0].Do)
		}
		if want := "SPF cannot make up for that: it passes for forward.example, as the mail was passed on."; !slices.ContainsFunc(r.Steps, func(s diagnosis.Step) bool { return s.Do == want }) {
			t.Errorf("%s: the steps are %+v", tt.name, r.Steps)
		}
	}
	// The same where no check complains of it.
	c := goodCase()
	c.Evidence.Access = byForward
	broken := c.Evidence.Auth.DKIM[0]
	broken.Result, broken.Reason, broken.Change = policy.AuthFail, "body-hash", policy.ChangeFooter
	c.Evidence.Auth.DKIM = append(c.Evidence.Auth.DKIM, broken)
	list := diagnosis.Diagnose(decided(c)).Repairs
	if i := slices.IndexFunc(list, func(r diagnosis.Repair) bool { return r.Causes[0] == diagnosis.Cause{Reason: "body-hash"} }); i < 0 || list[i].Where != "who passed the mail on, forward.example" {
		t.Errorf("got %+v", list)
	}
}

// TestOneSignatureMendsAll holds that what one signature mends is one repair,
// and that of the ways in which a mail can be delivered only the worst is named.
func TestOneSignatureMendsAll(t *testing.T) {
	t.Parallel()
	refused := func(c *diagnosis.Case) {
		nothingPasses(c, policy.AuthSoftFail)
		c.Evidence.Auth.DMARC.Policy, c.Evidence.Auth.DMARC.SPFAligned, c.Evidence.Auth.DMARC.DKIMAligned = "quarantine", false, false
	}
	broken := goodCase().Evidence.Auth.DKIM[0]
	broken.Result, broken.Reason = policy.AuthFail, "body-hash"
	for _, tt := range []struct {
		name   string
		change func(*diagnosis.Case)
		rank   diagnosis.Rank
		steps  []string // How they begin.
	}{
		{"nothing passes", refused, diagnosis.RankRefused, []string{"Sign with DKIM, d=shop.example", "Put List-Unsubscribe and", "If 192.0.2.10 is one", "If the mail is not"}},
		{"for bulk senders, too", func(c *diagnosis.Case) { refused(c); c.Evidence.Sender.Bulk = true }, diagnosis.RankRefused,
			[]string{"Sign with DKIM, d=shop.example", "Put List-Unsubscribe and", "If 192.0.2.10 is one", "If the mail is not"}},
		{"the signature is broken", func(c *diagnosis.Case) { refused(c); c.Evidence.Auth.DKIM = []policy.DKIM{broken} }, diagnosis.RankRefused,
			[]string{"DKIM, selector s1 of shop.example: Sign last", "If 192.0.2.10 is one", "If the mail is not"}},
		{"only the signature is broken", func(c *diagnosis.Case) { c.Evidence.Auth.DKIM = []policy.DKIM{broken} }, diagnosis.RankUnsubscribe,
			[]string{"DKIM, selector s1 of shop.example: Sign last"}},
		{"there is only no signature", func(c *diagnosis.Case) { c.Evidence.Auth.DKIM = nil }, diagnosis.RankUnsubscribe,
			[]string{"Sign with DKIM, d=shop.example", "Put List-Unsubscribe and"}},
	} {
		c := goodCase()
		tt.change(&c)
		n := 0
		for _, r := range diagnosis.Diagnose(decided(c)).Repairs {
			var steps []string
			for _, s := range r.Steps {
				steps = append(steps, s.Do)
			}
			text := strings.Join(steps, "\n")
			if !strings.Contains(text, "Sign ") {
				continue
			}
			if n++; r.Rank != tt.rank || !slices.EqualFunc(steps, tt.steps, strings.HasPrefix) {
				t.Errorf("%s: %s\n%s", tt.name, r.Rank, text)
			}
			if !slices.ContainsFunc(r.Causes, func(c diagnosis.Cause) bool { return c.Check == "unsubscribe-signed" }) {
				t.Errorf("%s: causes are %v", tt.name, r.Causes)
			}
			delivery := slices.DeleteFunc(r.Effects, func(e string) bool { return !strings.HasPrefix(e, "the mail is ") })
			if tt.rank == diagnosis.RankRefused && !slices.Equal(delivery, []string{"the mail is refused"}) {
				t.Errorf("%s: therefore %q", tt.name, r.Effects)
			}
		}
		if n != 1 {
			t.Errorf("%s: %d repairs speak of signing", tt.name, n)
		}
	}
}

// TestStrangeHELO holds that a HELO name of somebody else's gets no advice that
// takes it for the sender's.
func TestStrangeHELO(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"mx.google.com", "192.0.2.1"} {
		c := goodCase()
		nothingPasses(&c, policy.AuthNone)
		c.Evidence.Arrival.MailFrom, c.Evidence.Arrival.HELO = "", name
		c.Evidence.Auth.SPF = policy.SPF{Result: policy.AuthNone, Identity: "helo", Domain: name, OrgDomain: name}
		r := diagnosis.Diagnose(decided(c)).Repairs[0]
		if len(r.Steps) < 4 || !strings.HasPrefix(r.Steps[2].Do, "Give HELO a name of your own") || r.Steps[2].Write != nil || !strings.HasPrefix(r.Steps[3].Do, "If the mail is not") {
			t.Errorf("%s: %+v", name, r.Steps)
		}
	}
}

// TestBulkAlignment holds that something is said to pass only if it does.
func TestBulkAlignment(t *testing.T) {
	t.Parallel()
	for result, want := range map[policy.AuthResult]string{
		policy.AuthPass: "what passes does not belong to the domain of From", policy.AuthSoftFail: "nothing passes for the domain of From",
	} {
		c := goodCase()
		envelopeOf(&c, "mailer.example")
		c.Evidence.Auth.SPF.Result = result
		f := policy.Finding{Check: "bulk-alignment", Result: policy.Fail, Reason: "bulk-unaligned"}
		if got := diagnosis.RepairOf(c, f).Wrong; got != want {
			t.Errorf("SPF %s: %s", result, got)
		}
		c.Evidence.Sender.Bulk = true
		if f, ok := decided(c).Verdict.Finding("bulk-alignment"); !ok || f.Detail != want+", and the sender is a bulk sender" {
			t.Errorf("SPF %s: %+v", result, f)
		}
	}
}
