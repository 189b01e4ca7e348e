package pattern_test

import (
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/policy/pattern"
)

func trail(extra string, change func(*pattern.Trail)) pattern.Trail {
	m := message.Parse([]byte("From: Shop <noreply@shop.example>\r\nTo: alice@gmail.test\r\nSubject: s\r\n" + extra + "\r\nbody\r\n"))
	t := pattern.Trail{
		Arrival: policy.Arrival{Channel: policy.ChannelSMTP, MailFrom: "bounce@shop.example", Rcpt: "alice@gmail.test"},
		Account: policy.Account{Address: "alice@gmail.test"},
		Message: m, Header: m.Header(),
	}
	t.Auth.DMARC.Domain, t.Auth.DMARC.OrgDomain = "shop.example", "shop.example"
	if change != nil {
		change(&t)
	}
	return t
}

func spf(t *pattern.Trail) {
	t.Auth.SPF = policy.SPF{Result: policy.AuthPass, Domain: "shop.example", OrgDomain: "shop.example"}
}

func dkim(t *pattern.Trail) {
	t.Auth.DKIM = []policy.DKIM{{Result: policy.AuthPass, Domain: "shop.example", OrgDomain: "shop.example"}}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	forwarded := "X-Forwarded-To: alice@gmail.test\r\nX-Forwarded-For: user@old.example alice@gmail.test\r\n"
	for _, tt := range []struct {
		name           string
		extra          string
		change         func(*pattern.Trail)
		pattern        policy.Pattern
		confidence     policy.Confidence
		contradictions int
	}{
		{"SPF of the author's domain", "", spf, policy.PatternDirect, policy.ConfidenceProven, 0},
		{"DKIM only, no marks", "", dkim, policy.PatternDirect, policy.ConfidenceLikely, 0},
		{"nothing", "", nil, policy.PatternDirect, policy.ConfidenceUnknown, 0},
		{"DKIM, and marks of forwarding", forwarded, dkim, policy.PatternAmbiguous, policy.ConfidenceUnknown, 0},
		{"SPF overrules marks", forwarded, spf, policy.PatternDirect, policy.ConfidenceProven, 2},
		{"marks of a POP fetch on SMTP mail", "X-Gmail-Fetch-Info: a@b.example 1 pop.b.example 995 a\r\n", dkim, policy.PatternAmbiguous, policy.ConfidenceUnknown, 0},
		{"newsletter", "List-Id: <news.shop.example>\r\nList-Unsubscribe: <https://shop.example/u>\r\n", dkim, policy.PatternDirect, policy.ConfidenceLikely, 0},
		{"list that one posts to", "List-Id: <l.list.example>\r\nList-Post: <mailto:l@list.example>\r\n", dkim, policy.PatternAmbiguous, policy.ConfidenceUnknown, 0},
		{"rewritten envelope", "", func(t *pattern.Trail) {
			dkim(t)
			t.Arrival.MailFrom = "SRS0=abcd=xy=shop.example=bounce@fwd.example"
		}, policy.PatternAmbiguous, policy.ConfidenceUnknown, 0},
		{"envelope of Gmail's own forwarding", "", func(t *pattern.Trail) {
			dkim(t)
			t.Arrival.MailFrom = "user+caf_=alice=gmail.test@old.example"
		}, policy.PatternAmbiguous, policy.ConfidenceUnknown, 0},
		{"passing SPF of another domain proves nothing", forwarded, func(t *pattern.Trail) {
			dkim(t)
			t.Auth.SPF = policy.SPF{Result: policy.AuthPass, Domain: "fwd.example", OrgDomain: "fwd.example"}
		}, policy.PatternAmbiguous, policy.ConfidenceUnknown, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := pattern.Classify(trail(tt.extra, tt.change))
			if a.Pattern != tt.pattern || a.Confidence != tt.confidence || len(a.Contradictions) != tt.contradictions {
				t.Errorf("got %+v, want %s, %s with %d contradictions", a, tt.pattern, tt.confidence, tt.contradictions)
			}
			if (a.Pattern == policy.PatternAmbiguous) != (a.Settle != "") {
				t.Errorf("settle = %q", a.Settle)
			}
		})
	}
}

func TestClassifySelf(t *testing.T) {
	t.Parallel()
	own := func(t *pattern.Trail) {
		t.Header.From = []policy.Address{{Addr: "Alice@gmail.test", Domain: "gmail.test"}}
		t.Auth.DMARC.Domain, t.Auth.DMARC.OrgDomain = "gmail.test", "gmail.test"
	}
	a := pattern.Classify(trail("", own))
	if a.Pattern != policy.PatternSelf || a.Confidence != policy.ConfidenceUnknown {
		t.Errorf("unproven: got %s, %s", a.Pattern, a.Confidence)
	}
	a = pattern.Classify(trail("", func(t *pattern.Trail) {
		own(t)
		t.Auth.SPF = policy.SPF{Result: policy.AuthPass, Domain: "gmail.test", OrgDomain: "gmail.test"}
	}))
	if a.Pattern != policy.PatternSelf || a.Confidence != policy.ConfidenceProven {
		t.Errorf("proven: got %s, %s", a.Pattern, a.Confidence)
	}
}

// FuzzClassify holds that no field and no envelope that a sender can write
// makes an unsettled pattern better.
func FuzzClassify(f *testing.F) {
	f.Add("X-Forwarded-To", "alice@gmail.test", "")
	f.Add("Delivered-To", "x", "SRS0=a@b")
	f.Fuzz(func(t *testing.T, name, value, envelope string) {
		order := map[policy.Confidence]int{policy.ConfidenceUnknown: 0, policy.ConfidenceLikely: 1, policy.ConfidenceProven: 2}
		plain := pattern.Classify(trail("", dkim))
		with := trail(name+": "+value+"\r\n", dkim)
		// The From of the message is not what is added here.
		with.Header = trail("", nil).Header
		with.Arrival.MailFrom += envelope
		if a := pattern.Classify(with); order[a.Confidence] > order[plain.Confidence] {
			t.Errorf("%q: %q raises %s to %s", name, value, plain.Confidence, a.Confidence)
		}
	})
}
