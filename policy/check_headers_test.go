package policy_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/policy"
)

// headerCases have one change each, and the finding of a message that must fail
// for it.
var headerCases = []struct {
	name   string
	change func(*policy.Evidence)
	check  policy.CheckID
	reason policy.Reason
	answer policy.Answer // Of the action.
}{
	{"a registered domain that others imitate", func(*policy.Evidence) {}, "from-honest", "from-honest", policy.Offered},
	{"look-alike of the provider", fromIs("Shop", "x@gmai1.test"), "from-honest", "domain-confusable", policy.Withheld},
	{"address literal", fromIs("Shop", "x@[192.0.2.1]"), "from-honest", "domain-literal", policy.Withheld},
	{"provider's domain as label", fromIs("Shop", "x@gmail-test.shop.test"), "from-honest", "domain-imitates", policy.Withheld},
	{"line break in the name", fromIs("a\nb", "noreply@shop.example"), "from-honest", "name-control", policy.Withheld},
	{"tab in the name", fromIs("a\tb", "noreply@shop.example"), "from-honest", "from-honest", policy.Offered},
	{"joiner at the end", fromIs("shop\u200d", "noreply@shop.example"), "from-honest", "name-invisible", policy.Withheld},
	{"address with a dot behind", fromIs("Write to noreply@shop.example.", "noreply@shop.example"), "from-honest", "from-honest", policy.Offered},
	{"price with an at sign", fromIs("2 @ 5.00", "noreply@shop.example"), "from-honest", "from-honest", policy.Offered},
	{"URL of its own", fromIs("https://www.shop.example/", "noreply@shop.example"), "from-honest", "from-honest", policy.Offered},
	{"URL of nobody known", fromIs("www.bank.example", "noreply@shop.example"), "from-honest", "name-third-party", policy.Offered},
	{"Sender elsewhere", senderIs("mailer@esp.example"), "from-honest", "from-honest", policy.Offered},
	{"Sender of the provider, proven", func(e *policy.Evidence) {
		senderIs("alice@gmail.test")(e)
		e.Auth.DKIM = append(e.Auth.DKIM, policy.DKIM{Result: policy.AuthPass, Domain: "gmail.test", OrgDomain: "gmail.test"})
	}, "from-honest", "from-honest", policy.Offered},
	{"Sender that looks like the provider", senderIs("x@gmai1.test"), "from-honest", "sender-other", policy.Withheld},
	{"Sender of the provider", senderIs("x@gmail.test"), "from-honest", "sender-other", policy.Withheld},
	{"several From", func(e *policy.Evidence) { e.Header.From = append(e.Header.From, e.Header.From[0]) }, "from-honest", "from-unusable", policy.Withheld},
	{"bare LF", problem("bare-lf"), "lines-sound", "bare-lf", policy.Offered},
	{"bare CR", unvouched(problem("bare-cr")), "lines-sound", "bare-cr", policy.Withheld},
	{"bare CR, its own server", problem("bare-cr"), "lines-sound", "bare-cr", policy.Offered},
	{"bare CR in a field, its own server", problemIn("X-A", "bare-cr"), "lines-sound", "bare-cr", policy.Withheld},
	{"bare CR, its own server, and problems left out", func(e *policy.Evidence) {
		e.Header.Problems = []policy.Problem{{Code: "bare-cr"}, {Code: policy.ProblemMore}}
	}, "lines-sound", "bare-cr", policy.Withheld},
	{"folded line of nothing in a field that nobody reads, and problems left out", unvouched(func(e *policy.Evidence) {
		e.Header.Problems = []policy.Problem{{Field: "X-Report", Code: "blank-fold"}, {Code: policy.ProblemMore}}
	}), "lines-sound", "blank-fold", policy.Withheld},
	{"folded line of nothing", unvouched(problemIn("Subject", "blank-fold")), "lines-sound", "blank-fold", policy.Withheld},
	{"folded line of nothing, its own server", problemIn("Subject", "blank-fold"), "lines-sound", "blank-fold", policy.Offered},
	{"folded line of nothing in a field that nobody reads", unvouched(problemIn("X-Report", "blank-fold")), "lines-sound", "lines-sound", policy.Offered},
	{"mbox line at the top", func(e *policy.Evidence) {
		e.Header.Problems = []policy.Problem{{Code: "mbox-line", Place: policy.Place{Line: 1}}}
	}, "lines-sound", "lines-sound", policy.Offered},
	{"field added, its own server", authored("subject", 2, "subject"), "fields-signed-once", "field-added", policy.Offered},
	{"field added", unvouched(authored("subject", 2, "subject")), "fields-signed-once", "field-added", policy.Withheld},
	{"field not signed", unvouched(authored("subject", 1)), "fields-signed-once", "field-unsigned", policy.Withheld},
	{"field not signed, by dial", unvouched(func(e *policy.Evidence) {
		authored("subject", 1)(e)
		e.Dials = policy.Dials{policy.DialUnsignedFields: "offered"}
	}), "fields-signed-once", "field-unsigned", policy.Offered},
	{"field added, whatever the dial", unvouched(func(e *policy.Evidence) {
		authored("subject", 2, "subject")(e)
		e.Dials = policy.Dials{policy.DialUnsignedFields: "offered"}
	}), "fields-signed-once", "field-added", policy.Withheld},
	{"field that nobody sees not signed", unvouched(authored("reply-to", 1)), "fields-signed-once", "field-unsigned", policy.Offered},
	{"Date not signed", unvouched(authored("date", 1)), "fields-signed-once", "field-unsigned", policy.Offered},
	{"Date added above a signed one", unvouched(authored("date", 2, "date")), "fields-signed-once", "field-added", policy.Withheld},
	{"Content-Type not signed", unvouched(authored("content-type", 1)), "fields-signed-once", "field-unsigned", policy.Offered},
	{"Content-Type not signed, by dial", unvouched(func(e *policy.Evidence) {
		authored("content-type", 1)(e)
		e.Dials = policy.Dials{policy.DialMIMEFields: "withheld"}
	}), "fields-signed-once", "field-unsigned", policy.Withheld},
	{"encoding not signed that decodes nothing", unvouched(authored("content-transfer-encoding", 1)), "fields-signed-once", "field-unsigned", policy.Offered},
	{"encoding not signed that decodes", unvouched(func(e *policy.Evidence) {
		e.Header.Authored = []policy.FieldCount{{Name: "content-transfer-encoding", Count: 1, Decodes: true}}
	}), "fields-signed-once", "field-unsigned", policy.Withheld},
	{"encoding not signed that decodes, by dial", unvouched(func(e *policy.Evidence) {
		e.Header.Authored = []policy.FieldCount{{Name: "content-transfer-encoding", Count: 1, Decodes: true}}
		e.Dials = policy.Dials{policy.DialMIMEFields: "any"}
	}), "fields-signed-once", "field-unsigned", policy.Offered},
	{"encoding not signed, of its own server", func(e *policy.Evidence) {
		e.Header.Authored = []policy.FieldCount{{Name: "content-transfer-encoding", Count: 1, Decodes: true}}
	}, "fields-signed-once", "field-unsigned", policy.Offered},
	{"references not signed", unvouched(authored("references", 1, "from")), "fields-signed-once", "fields-signed", policy.Offered},
	{"From signed as often as it stands", authored("from", 1), "fields-signed-once", "from-not-oversigned", policy.Offered},
	{"From signed once more", authored("from", 1, "from"), "fields-signed-once", "fields-signed", policy.Offered},
	{"nothing passes", func(e *policy.Evidence) { e.Auth.DKIM = nil }, "fields-signed-once", "unsigned", policy.Offered},
	{"signed by another", func(e *policy.Evidence) { e.Auth.DKIM[0].OrgDomain = "esp.example" }, "signature-of-author", "signed-by-others", policy.Offered},
	{"signed for another user", func(e *policy.Evidence) { e.Auth.DKIM[0].AUID = "bob@shop.example" }, "signature-of-author", "auid-other", policy.Offered},
	{"signed for a domain below", func(e *policy.Evidence) { e.Auth.DKIM[0].AUID = "bob@mail.shop.example" }, "signature-of-author", "signed-by-author", policy.Offered},
	{"chain that does not hold", func(e *policy.Evidence) { e.Auth.ARC = policy.ARC{Result: policy.AuthFail} }, "arc-chain", "arc-fail", policy.Offered},
	{"chain", func(e *policy.Evidence) { e.Auth.ARC = policy.ARC{Result: policy.AuthPass} }, "arc-chain", "arc-pass", policy.Offered},
	{"replayed, its own server", replayed(func(*policy.Evidence) {}), "signature-new", "peer-vouches", policy.Offered},
	{"replayed", unvouched(replayed(func(*policy.Evidence) {})), "signature-new", "signature-replayed", policy.Withheld},
	{"replayed, by dial", unvouched(replayed(func(e *policy.Evidence) {
		e.Dials = policy.Dials{policy.DialReplay: "note", policy.DialRecipientUnsigned: "offered"}
	})), "signature-new", "signature-replayed", policy.Offered},
	{"replayed, to few", unvouched(replayed(func(e *policy.Evidence) {
		e.Dials = policy.Dials{policy.DialReplayAccounts: "5", policy.DialRecipientUnsigned: "offered"}
	})), "signature-new", "signature-new", policy.Offered},
	{"passed on by a list", unvouched(replayed(func(e *policy.Evidence) { e.Access.Pattern = policy.PatternMailingList })), "signature-new", "signature-replayed", policy.Withheld},
	{"passed on by a list, by dial", unvouched(replayed(func(e *policy.Evidence) {
		e.Access.Pattern = policy.PatternMailingList
		e.Dials = policy.Dials{policy.DialMailingList: "offered"}
	})), "signature-new", "signature-replayed", policy.Withheld},
	{"passed on by a list that the author wrote to", unvouched(replayed(listAddressed)), "signature-new", "passed-on", policy.Offered},
	{"a list's signal in a mail of another pattern", unvouched(replayed(func(e *policy.Evidence) {
		listAddressed(e)
		e.Access.Pattern = policy.PatternAmbiguous
	})), "signature-new", "signature-replayed", policy.Withheld},
	{"addressed", unvouched(replayed(func(e *policy.Evidence) {
		e.Header.Cc = []policy.Address{{Addr: "Alice@gmail.test", Domain: "gmail.test"}}
		authored("cc", 1, "cc")(e)
	})), "signature-new", "addressed", policy.Offered},
	{"addressed, with a plus", unvouched(replayed(func(e *policy.Evidence) { e.Header.To[0].Addr = "Alice+shop@GMAIL.test" })), "signature-new", "addressed", policy.Offered},
	{"addressed, by somebody", unvouched(replayed(func(e *policy.Evidence) {
		e.Header.To = append(e.Header.To, policy.Address{Addr: "alice@gmail.test", Domain: "gmail.test"})
		authored("to", 2)(e)
	})), "signature-new", "signature-replayed", policy.Withheld},
}

func listAddressed(e *policy.Evidence) {
	e.Access.Pattern = policy.PatternMailingList
	e.Access.Signals = []policy.Signal{{Name: policy.SignalListAddressed, Rank: 3}}
	e.Dials = policy.Dials{policy.DialMailingList: "offered"}
}

func problemIn(field string, code policy.Reason) func(*policy.Evidence) {
	return func(e *policy.Evidence) {
		e.Header.Problems = []policy.Problem{{Code: code, Field: field}}
	}
}

func fromIs(name, addr string) func(*policy.Evidence) {
	return func(e *policy.Evidence) {
		_, domain, _ := strings.Cut(addr, "@")
		e.Header.From[0] = policy.Address{Name: name, Addr: addr, Domain: domain}
	}
}

func senderIs(addr string) func(*policy.Evidence) {
	return func(e *policy.Evidence) {
		_, domain, _ := strings.Cut(addr, "@")
		e.Header.Sender = []policy.Address{{Addr: addr, Domain: domain}}
	}
}

// authored lets a field stand so often, and be signed so often.
func authored(name string, count int, signed ...string) func(*policy.Evidence) {
	return func(e *policy.Evidence) {
		e.Header.Authored = append(e.Header.Authored, policy.FieldCount{Name: name, Count: count})
		e.Auth.DKIM[0].Headers = append(e.Auth.DKIM[0].Headers, signed...)
	}
}

// unvouched lets only DKIM vouch for From.
func unvouched(change func(*policy.Evidence)) func(*policy.Evidence) {
	return func(e *policy.Evidence) {
		e.Auth.SPF.Result = policy.AuthNone
		change(e)
	}
}

func replayed(change func(*policy.Evidence)) func(*policy.Evidence) {
	return func(e *policy.Evidence) {
		e.Auth.DKIM[0].Fingerprint = "f"
		e.Header.To[0].Addr = "bob@gmail.test"
		e.Replays = []policy.Replay{{Domain: "shop.example", Fingerprint: "f", Accounts: 2, First: noon}}
		change(e)
	}
}

// TestRecipientSigned: where only DKIM vouches for From, the author must have
// written to the account; a link needs it where he has written to others.
func TestRecipientSigned(t *testing.T) {
	t.Parallel()
	offered := func(e *policy.Evidence) { e.Dials = policy.Dials{policy.DialRecipientUnsigned: "offered"} }
	to := func(addr string) func(*policy.Evidence) {
		return func(e *policy.Evidence) { e.Header.To[0].Addr = addr }
	}
	nobody := func(e *policy.Evidence) { e.Header.To = nil }
	both := func(list ...func(*policy.Evidence)) func(*policy.Evidence) {
		return func(e *policy.Evidence) {
			for _, f := range list {
				f(e)
			}
		}
	}
	for _, tt := range []struct {
		name        string
		change      func(*policy.Evidence)
		inApp, goTo policy.Reason
	}{
		{"to the account", to("alice@gmail.test"), "recipient-signed", "recipient-signed"},
		{"to the account with a plus", to("ALICE+x@gmail.test"), "recipient-signed", "recipient-signed"},
		{"to another", to("mallory@evil.example"), "signed-to-others", "signed-to-others"},
		{"to nobody", nobody, "recipient-unsigned", "recipient-unsigned-go-to"},
		{"To not signed", func(e *policy.Evidence) { e.Auth.DKIM[0].Headers = []string{"from"} }, "recipient-unsigned", "recipient-unsigned-go-to"},
		{"to another, by dial", both(to("mallory@evil.example"), offered), "recipient-unsigned-offered", "recipient-unsigned-offered"},
		{"to nobody, by dial", both(nobody, offered), "recipient-unsigned-offered", "recipient-unsigned-offered"},
		{"to another, by the user's own rule", both(to("alice@old.example"), func(e *policy.Evidence) {
			e.Access = policy.Access{Pattern: policy.PatternAutoForward, Forward: &policy.Forward{Original: "alice@old.example", SendAs: "alice@old.example"}}
		}), "passed-on", "passed-on"},
		{"to another, by the author's own server", both(to("mallory@evil.example"), func(e *policy.Evidence) { e.Auth.SPF.Result = policy.AuthPass }), "peer-vouches", "peer-vouches"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for kind, want := range map[policy.Kind]policy.Reason{policy.KindInApp: tt.inApp, policy.KindGoTo: tt.goTo} {
				e, reg := good()
				if kind == policy.KindGoTo {
					a := &e.Markup.Actions[0]
					a.Type, a.Kind, a.Handlers, a.Targets = "ViewAction", kind, nil, []string{"https://shop.example/"}
					reg[0].Actions = nil
				}
				unvouched(tt.change)(&e)
				v := policy.Decide(e, reg)
				checkVerdict(t, e, v)
				f, _ := v.Actions[0].Finding("recipient-signed")
				if f.Reason != want || (f.Result == policy.Fail) != (v.Actions[0].Answer != policy.Offered) {
					t.Errorf("%s: %s and %s, want %s\n%s", kind, f.Reason, v.Actions[0].Answer, want, v.Text())
				}
			}
		})
	}
}

func TestHeaderChecks(t *testing.T) {
	t.Parallel()
	for _, tt := range headerCases {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e, reg := good()
			tt.change(&e)
			reg = append(reg, policy.Registration{From: "sh0p.example"})
			v := policy.Decide(e, reg)
			checkVerdict(t, e, v)
			f, _ := v.Finding(tt.check)
			if f.Reason != tt.reason || v.Actions[0].Answer != tt.answer {
				t.Errorf("got %s and %s, want %s and %s\n%s", f.Reason, v.Actions[0].Answer, tt.reason, tt.answer, v.Text())
			}
			if v.Decider == tt.check {
				t.Errorf("%s decides on the delivery", tt.check)
			}
		})
	}
}

// TestTwins: of registered domains that look alike the first one is honest, and
// those that are words of their own are all.
func TestTwins(t *testing.T) {
	t.Parallel()
	at := func(days int) time.Time { return noon.AddDate(0, 0, days) }
	for _, tt := range []struct {
		name, from, org string
		reg             policy.Registry
		want            policy.Reason
	}{
		{"the first", "bill.test", "bill.test", policy.Registry{{From: "bill.test"}, {From: "bili.test"}}, "from-honest"},
		{"the second", "bili.test", "bili.test", policy.Registry{{From: "bill.test"}, {From: "bili.test"}}, "domain-confusable"},
		{"the first by time", "bili.test", "bili.test", policy.Registry{{From: "bill.test", Since: at(-1)}, {From: "x@bili.test", Since: at(-9)}}, "from-honest"},
		{"the second by time", "bill.test", "bill.test", policy.Registry{{From: "bill.test", Since: at(-1)}, {From: "x@bili.test", Since: at(-9)}}, "domain-confusable"},
		{"a digit of its own", "1und1.test", "1und1.test", policy.Registry{{From: "1und1.test"}, {From: "lundl.test"}}, "from-honest"},
		{"clock and dock", "clock.test", "clock.test", policy.Registry{{From: "dock.test"}, {From: "clock.test"}}, "from-honest"},
		{"modern and modem", "modern.test", "modern.test", policy.Registry{{From: "modem.test"}, {From: "modern.test"}}, "from-honest"},
		{"one that is not registered", "clock.test", "clock.test", policy.Registry{{From: "dock.test"}}, "domain-confusable"},
		{"of the same name in a country", "amazon.com.br", "amazon.com.br", policy.Registry{{From: "amazon.com"}, {From: "amazon.com.br"}}, "from-honest"},
		{"in a country, not registered", "amazon.com.br", "amazon.com.br", policy.Registry{{From: "amazon.com"}}, "domain-imitates"},
		{"of the same name below another", "amazon.com.evil.test", "evil.test", policy.Registry{{From: "amazon.com"}, {From: "amazon.com.evil.test"}}, "domain-imitates"},
		{"the provider, of which there is a twin", "gmail.test", "gmail.test", policy.Registry{{From: "gmai1.test"}}, "from-honest"},
		{"below the provider", "mail.gmail.test", "gmail.test", policy.Registry{{From: "gmai1.test"}}, "from-honest"},
		{"the provider's twin", "gmai1.test", "gmai1.test", policy.Registry{{From: "gmai1.test"}}, "domain-confusable"},
		{"the provider's twin by two letters", "grnail.test", "grnail.test", policy.Registry{{From: "grnail.test"}}, "domain-confusable"},
		{"a short name in a long one", "tcorner.test", "tcorner.test", policy.Registry{{From: "t.co"}, {From: "tcorner.test"}}, "from-honest"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e, _ := good()
			fromIs("Name", "x@"+tt.from)(&e)
			e.Auth.DMARC.Domain, e.Auth.DMARC.OrgDomain = tt.from, tt.org
			v := policy.Decide(e, tt.reg)
			checkVerdict(t, e, v)
			if f, _ := v.Finding("from-honest"); f.Reason != tt.want {
				t.Errorf("%s, want %s: %s", f.Reason, tt.want, f.Detail)
			}
		})
	}
}

// BenchmarkFromHonest is with a registry of a large provider.
func BenchmarkFromHonest(b *testing.B) {
	e, reg := good()
	for i := range 5000 {
		reg = append(reg, policy.Registration{From: "noreply@sender" + strconv.Itoa(i) + ".example"})
	}
	for b.Loop() {
		policy.Decide(e, reg)
	}
}

// TestHeaderRefusals holds the replies that the provider documents for headers.
func TestHeaderRefusals(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		problem policy.Problem
		reason  policy.Reason
		text    string
	}{
		{policy.Problem{Code: "duplicate-field", Field: "sUBJECT"}, "field-repeated", "there are multiple Subject headers."},
		{policy.Problem{Code: "duplicate-field", Field: "X\r\nY"}, "field-repeated", "there are multiple such headers."},
		{policy.Problem{Code: "from-domain", Field: "From"}, "from-domain", "the domain of the From header is not valid."},
		{policy.Problem{Code: "from-unreadable", Field: "From"}, "from-unreadable", "there is a malformed From header."},
		{policy.Problem{Code: "encoded-address", Field: "Message-ID"}, "encoded-address", "not permitted in the Message-ID header."},
		{policy.Problem{Code: "unicode-field", Field: "MIME-Version"}, "unicode-field", "in the MIME-Version header"},
	} {
		e, reg := good()
		e.Header.Problems = []policy.Problem{tt.problem}
		v := policy.Decide(e, reg)
		checkVerdict(t, e, v)
		f, _ := v.Finding("message-format")
		text := v.Reply.Text()
		if v.Delivery != policy.Reject || f.Reason != tt.reason || !strings.Contains(text, tt.text) || !strings.HasPrefix(text, "550-5.7.1 ") {
			t.Errorf("%s: %s, %s", tt.problem.Code, f.Reason, text)
		}
		for line := range strings.Lines(text) {
			if len(line) > 100 {
				t.Errorf("a long line: %q", line)
			}
		}
	}
}

// FuzzFromHonest judges any name and address, in bounded time and without a
// fault; what it says of a name it says of the same name as comment.
func FuzzFromHonest(f *testing.F) {
	for _, s := range []string{"Shop", "noreply＠shop。example", "a\u200db", "\u202e", "www.x", "Шop", strings.Repeat("あ", 2000), "@.@", "://", "xn--.xn--a"} {
		f.Add(s, "noreply@shop.example")
		f.Add("Shop", s+"@shop.example")
		f.Add("Shop", "x@"+s)
	}
	f.Fuzz(func(t *testing.T, name, addr string) {
		e, reg := good()
		i := strings.LastIndexByte(addr, '@')
		if i < 0 {
			return
		}
		judge := func(name, comment string) policy.Reason {
			e.Header.From[0] = policy.Address{Name: name, Comment: comment, Addr: addr, Domain: addr[i+1:]}
			v := policy.Decide(e, reg)
			checkVerdict(t, e, v)
			finding, _ := v.Finding("from-honest")
			return finding.Reason
		}
		if a, b := judge(name, ""), judge("", name); a != b {
			t.Errorf("%q is %s as name and %s as comment", name, a, b)
		}
	})
}
