package pattern_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/policy/pattern"
)

// trail is that of a mail of the shop to alice, with more header fields on top,
// changed by some functions.
func trail(extra string, changes ...func(*pattern.Trail)) pattern.Trail {
	m := message.Parse([]byte(extra + "From: Shop <noreply@shop.example>\r\nTo: user@acme.test\r\nSubject: s\r\n\r\nbody\r\n"))
	t := pattern.Trail{
		Arrival: policy.Arrival{Channel: policy.ChannelSMTP, MailFrom: "bounce@shop.example", Rcpt: "alice@gmail.test"},
		Account: policy.Account{Address: "alice@gmail.test"},
		Message: m, Header: m.Header(),
	}
	t.Auth.DMARC.Domain, t.Auth.DMARC.OrgDomain = "shop.example", "shop.example"
	for _, change := range changes {
		change(&t)
	}
	return t
}

func spf(t *pattern.Trail) {
	t.Auth.SPF = policy.SPF{Result: policy.AuthPass, Domain: "shop.example", OrgDomain: "shop.example"}
}

func spfFail(t *pattern.Trail) {
	t.Auth.SPF = policy.SPF{Result: policy.AuthFail, Domain: "shop.example", OrgDomain: "shop.example"}
}

// forwarder lets SPF pass for a domain that is not the author's, with an
// envelope of it.
func forwarder(local, domain string) func(*pattern.Trail) {
	return func(t *pattern.Trail) {
		t.Arrival.MailFrom = local + "@" + domain
		t.Auth.SPF = policy.SPF{Result: policy.AuthPass, Domain: domain, OrgDomain: domain}
	}
}

// dkim is a signature of the author's that covers From only, or these fields.
func dkim(headers ...string) func(*pattern.Trail) {
	return func(t *pattern.Trail) {
		t.Auth.DKIM = append(t.Auth.DKIM, policy.DKIM{Result: policy.AuthPass, Domain: "shop.example", OrgDomain: "shop.example", Headers: append([]string{"from"}, headers...)})
	}
}

func sendAs(address string, verified bool) func(*pattern.Trail) {
	return func(t *pattern.Trail) {
		t.Account.SendAs = append(t.Account.SendAs, policy.SendAs{Address: address, Verified: verified})
	}
}

func to(address string) func(*pattern.Trail) {
	return func(t *pattern.Trail) {
		t.Message = message.Parse([]byte("From: Shop <noreply@shop.example>\r\nTo: " + address + "\r\n\r\n"))
	}
}

func subject(text string) func(*pattern.Trail) {
	return func(t *pattern.Trail) { t.Header.Subject = text }
}

func enclosed(how policy.Enclosure) func(*pattern.Trail) {
	return func(t *pattern.Trail) { t.Enclosed = []policy.Enclosed{{How: how, Mark: "x"}} }
}

func fetched(t *pattern.Trail) {
	t.Arrival = policy.Arrival{Channel: policy.ChannelPOP, Fetch: &policy.Fetch{Source: "old@isp.example", Host: "pop.isp.example"}}
}

const (
	forwarded = "X-Forwarded-To: alice@gmail.test\r\nX-Forwarded-For: user@acme.test alice@gmail.test\r\n"
	listed    = "List-Id: <l.list.example>\r\nList-Post: <mailto:l@list.example>\r\n"
	fetchInfo = "X-Gmail-Fetch-Info: old@isp.example 1 pop.isp.example 995 old\r\n"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name           string
		trail          pattern.Trail
		pattern        policy.Pattern
		confidence     policy.Confidence
		contradictions int
	}{
		{"SPF of the author's domain", trail("", spf), policy.PatternDirect, policy.ConfidenceProven, 0},
		{"DKIM only, no marks", trail("", dkim()), policy.PatternDirect, policy.ConfidenceLikely, 0},
		{"nothing", trail(""), policy.PatternDirect, policy.ConfidenceUnknown, 0},
		{"DKIM, and the envelope's domain disowns the peer", trail("", dkim(), spfFail), policy.PatternAmbiguous, policy.ConfidenceUnknown, 0},
		{"the same, signed as to the account", trail("", dkim("to"), spfFail, to("Alice+x@gmail.test")), policy.PatternDirect, policy.ConfidenceLikely, 0},
		{"signed as to somebody else", trail("", dkim("to")), policy.PatternAmbiguous, policy.ConfidenceUnknown, 0},
		{"the same from the author's own server: a blind copy", trail("", dkim("to"), spf), policy.PatternDirect, policy.ConfidenceProven, 0},
		{"newsletter", trail("List-Id: <news.shop.example>\r\nList-Unsubscribe: <https://shop.example/u>\r\n", dkim()), policy.PatternDirect, policy.ConfidenceLikely, 0},

		{"DKIM, and marks of forwarding", trail(forwarded, dkim()), policy.PatternAutoForward, policy.ConfidenceLikely, 0},
		{"SPF overrules marks", trail(forwarded, spf), policy.PatternDirect, policy.ConfidenceProven, 2},
		{"to the account, which overrules marks", trail(forwarded, dkim("to"), to("alice@gmail.test")), policy.PatternDirect, policy.ConfidenceLikely, 0},
		{"received for somebody else", trail("Received: from a by b with ESMTP id 1 for <user@acme.test>; x\r\n", dkim()), policy.PatternAutoForward, policy.ConfidenceLikely, 0},
		{"received for the account", trail("Received: from a by b with ESMTP id 1 for <alice@gmail.test>; x\r\n", dkim()), policy.PatternDirect, policy.ConfidenceLikely, 0},
		{"rewritten envelope without proof", trail("", dkim(), func(t *pattern.Trail) {
			t.Arrival.MailFrom = "SRS0=abcd=xy=shop.example=bounce@fwd.example"
		}), policy.PatternAutoForward, policy.ConfidenceLikely, 0},
		{"rewritten envelope", trail("", dkim(), forwarder("SRS0=abcd=xy=shop.example=bounce", "fwd.example")), policy.PatternAutoForward, policy.ConfidenceProven, 0},
		{"Gmail's envelope", trail("", dkim(), forwarder("user+caf_=alice=gmail.test", "acme.test")), policy.PatternAutoForward, policy.ConfidenceProven, 0},
		{"Gmail's envelope for somebody else", trail("", dkim(), forwarder("user+caf_=carol=gmail.test", "acme.test")), policy.PatternAutoForward, policy.ConfidenceLikely, 0},
		{"signed to an address to send as", trail("", dkim("to"), sendAs("user@acme.test", true)), policy.PatternAutoForward, policy.ConfidenceProven, 0},
		{"the same, from the author's own server", trail("", dkim("to"), spf, sendAs("user@acme.test", true)), policy.PatternDirect, policy.ConfidenceProven, 1},
		{"many marks of another kind on top", trail(strings.Repeat("Delivered-To: alice@gmail.test\r\n", 150)+strings.Repeat(fetchInfo, 150)+forwarded, dkim()), policy.PatternAutoForward, policy.ConfidenceLikely, 200},
		{"delivered to the account before", trail("Delivered-To: alice@gmail.test\r\n", dkim()), policy.PatternAmbiguous, policy.ConfidenceUnknown, 0},
		{"a field that names the account", trail("X-Original-To: alice@gmail.test\r\n", dkim()), policy.PatternDirect, policy.ConfidenceLikely, 0},
		{"redirected by a client", trail("Resent-From: user@acme.test\r\n", dkim()), policy.PatternAutoForward, policy.ConfidenceLikely, 0},

		{"marks of a POP fetch on SMTP mail", trail(fetchInfo, dkim()), policy.PatternAmbiguous, policy.ConfidenceUnknown, 0},
		{"the same from the author's own server", trail(fetchInfo, spf), policy.PatternDirect, policy.ConfidenceProven, 1},
		{"fetched", trail("", fetched, dkim()), policy.PatternPOPFetch, policy.ConfidenceProven, 0},
		{"fetched, forwarded before", trail(forwarded, fetched, dkim()), policy.PatternPOPFetch, policy.ConfidenceProven, 0},

		{"list that one posts to", trail(listed, dkim()), policy.PatternAmbiguous, policy.ConfidenceUnknown, 0},
		{"the same, proven", trail(listed, dkim(), forwarder("l-bounces", "list.example")), policy.PatternMailingList, policy.ConfidenceProven, 0},
		{"list fields that the author signed", trail(listed, dkim("list-id", "list-post")), policy.PatternDirect, policy.ConfidenceLikely, 0},
		{"one more on top of those", trail("List-Post: <mailto:x@evil.example>\r\n"+listed, dkim("list-id", "list-post")), policy.PatternAmbiguous, policy.ConfidenceUnknown, 0},
		{"list mail that was forwarded", trail(listed+forwarded, dkim(), forwarder("l-bounces", "list.example")), policy.PatternAutoForward, policy.ConfidenceLikely, 3},

		{"forwarded by hand", trail("", spf, enclosed(policy.EnclosedInline)), policy.PatternManualForward, policy.ConfidenceLikely, 0},
		{"forwarded by hand, as an attachment", trail("", dkim(), enclosed(policy.EnclosedAttachment)), policy.PatternManualForward, policy.ConfidenceLikely, 0},
		{"forwarded by hand, then by a rule", trail(forwarded, dkim(), enclosed(policy.EnclosedInline)), policy.PatternAutoForward, policy.ConfidenceLikely, 1},
		{"forwarded by hand without a mark", trail("In-Reply-To: <1@x.example>\r\n", spf, subject("WG: s")), policy.PatternManualForward, policy.ConfidenceLikely, 0},
		{"the prefix alone", trail("", spf, subject("Fwd: s")), policy.PatternDirect, policy.ConfidenceProven, 0},
		{"a reply", trail("In-Reply-To: <1@x.example>\r\n", spf, subject("Re: s")), policy.PatternDirect, policy.ConfidenceProven, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := pattern.Classify(tt.trail)
			if a.Pattern != tt.pattern || a.Confidence != tt.confidence || len(a.Contradictions) != tt.contradictions {
				t.Errorf("got %+v, want %s, %s with %d contradictions", a, tt.pattern, tt.confidence, tt.contradictions)
			}
			if a.Pattern == policy.PatternAmbiguous && a.Settle == "" {
				t.Error("nothing is said of what would settle it")
			}
			for _, s := range append(a.Signals, a.Contradictions...) {
				if s.Name == "" || s.Rank < 1 || s.Rank > 5 {
					t.Errorf("signal %+v", s)
				}
			}
		})
	}
}

// TestForward holds what is said of an automatic forward, and when the account
// may have it.
func TestForward(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		trail pattern.Trail
		want  policy.Forward
	}{
		{"Gmail's envelope", trail("", dkim(), forwarder("user+caf_=alice=gmail.test", "acme.test"), sendAs("user@acme.test", true)),
			policy.Forward{Style: "caf", By: "acme.test", Original: "user@acme.test", SendAs: "user@acme.test"}},
		{"not verified", trail("", dkim(), forwarder("user+caf_=alice=gmail.test", "acme.test"), sendAs("user@acme.test", false)),
			policy.Forward{Style: "caf", By: "acme.test", Original: "user@acme.test"}},
		{"the envelope names a worse address than To", trail("", dkim("to"), forwarder("bob+caf_=alice=gmail.test", "other.test"), sendAs("user@acme.test", true)),
			policy.Forward{Style: "caf", By: "other.test", Original: "bob@other.test"}},
		{"SRS and To", trail("", dkim("to"), forwarder("SRS0=abcd=xy=shop.example=bounce", "fwd.example"), sendAs("user@acme.test", true)),
			policy.Forward{Style: "srs", By: "fwd.example", Original: "user@acme.test", SendAs: "user@acme.test"}},
		{"SRS, and To is not signed", trail("", dkim(), forwarder("SRS0=abcd=xy=shop.example=bounce", "acme.test"), sendAs("user@acme.test", true)),
			policy.Forward{Style: "srs", By: "acme.test"}},
		{"claims", trail(forwarded+"Delivered-To: other@acme.test\r\nDelivered-To: alice@gmail.test\r\n", dkim(), sendAs("user@acme.test", true)),
			policy.Forward{Style: "plain", Claimed: []string{"user@acme.test", "other@acme.test"}}},
		{"To on top of the signed one", trail("To: user@acme.test\r\n", dkim("to"), sendAs("user@acme.test", true), func(t *pattern.Trail) {
			t.Message = message.Parse([]byte("X-Forwarded-To: a\r\nTo: user@acme.test\r\nFrom: a\r\nTo: mallory@evil.example\r\n\r\n"))
		}), policy.Forward{Style: "plain", Original: "mallory@evil.example"}},
		{"X-Forwarded-For, signed by the forwarder", trail(forwarded, dkim(), sendAs("user@acme.test", true), func(t *pattern.Trail) {
			t.Auth.DKIM = append(t.Auth.DKIM, policy.DKIM{Result: policy.AuthPass, Domain: "acme.test", OrgDomain: "acme.test", Headers: []string{"from", "x-forwarded-for"}})
		}), policy.Forward{Style: "plain", By: "acme.test", Original: "user@acme.test", Claimed: []string{"user@acme.test"}, SendAs: "user@acme.test"}},
		{"X-Forwarded-For, signed by a stranger", trail(forwarded, dkim(), sendAs("user@acme.test", true), func(t *pattern.Trail) {
			t.Auth.DKIM = append(t.Auth.DKIM, policy.DKIM{Result: policy.AuthPass, Domain: "evil.example", OrgDomain: "evil.example", Headers: []string{"from", "x-forwarded-for"}})
		}), policy.Forward{Style: "plain", Claimed: []string{"user@acme.test"}}},
		{"the order of signatures does not matter", trail(forwarded, sendAs("user@acme.test", true), func(t *pattern.Trail) {
			t.Message = message.Parse([]byte(forwarded + "From: a\r\nTo: alice@gmail.test, user@acme.test\r\n\r\n"))
			t.Auth.DKIM = append(t.Auth.DKIM, policy.DKIM{Result: policy.AuthPass, Domain: "acme.test", OrgDomain: "acme.test", Headers: []string{"from", "x-forwarded-for"}})
		}, dkim("to")), policy.Forward{Style: "plain", By: "acme.test", Original: "user@acme.test", Claimed: []string{"user@acme.test"}, SendAs: "user@acme.test"}},
		{"a subdomain does not speak for its parent", trail(forwarded, dkim(), sendAs("user@acme.test", true), func(t *pattern.Trail) {
			t.Auth.DKIM = append(t.Auth.DKIM, policy.DKIM{Result: policy.AuthPass, Domain: "tenant.acme.test", OrgDomain: "acme.test", Headers: []string{"from", "x-forwarded-for"}})
		}), policy.Forward{Style: "plain", Claimed: []string{"user@acme.test"}}},
		{"another address behind the plus", trail("", dkim(), forwarder("user+x+caf_=alice=gmail.test", "acme.test"), sendAs("user@acme.test", true)),
			policy.Forward{Style: "caf", By: "acme.test", Original: "user+x@acme.test"}},
		{"the verified one of several", trail("", func(t *pattern.Trail) {
			t.Message = message.Parse([]byte("From: a\r\nTo: new@acme.test, user@acme.test\r\n\r\n"))
		}, dkim("to"), sendAs("new@acme.test", false), sendAs("user@acme.test", true)),
			policy.Forward{Style: "plain", Original: "user@acme.test", SendAs: "user@acme.test"}},
		{"redirected", trail("Resent-From: user@acme.test\r\n", dkim("to"), forwarder("user", "acme.test"), sendAs("user@acme.test", true)),
			policy.Forward{Style: "resent", Original: "user@acme.test", Claimed: []string{"user@acme.test"}, SendAs: "user@acme.test"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := pattern.Classify(tt.trail)
			if a.Pattern != policy.PatternAutoForward || a.Forward == nil || !reflect.DeepEqual(*a.Forward, tt.want) {
				t.Errorf("got %s %+v, want %+v", a.Pattern, a.Forward, tt.want)
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
