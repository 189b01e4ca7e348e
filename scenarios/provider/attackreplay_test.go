package provider_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

func setDials(t testing.TB, p *provider.Provider, pairs ...string) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if err := p.SetDial(pairs[i], pairs[i+1]); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSignedByProviders delivers mail signed over the fields that mail services
// and programs are known to sign, passed on so that only the signature vouches.
func TestSignedByProviders(t *testing.T) {
	t.Parallel()
	const all = "From To Subject Date Message-ID MIME-Version Content-Type"
	for _, tt := range []struct {
		name, signed string
		toUnsigned   bool // An in-app action needs its dial then.
	}{
		{"SendGrid", "Content-Type From MIME-Version Subject Reply-To To Cc", false},
		{"SES", "From Reply-To Subject MIME-Version Content-Type To", false},
		{"SES, long", "From To Subject MIME-Version Content-Type Content-Transfer-Encoding Message-ID Date", false},
		{"Microsoft 365", "From Date Subject Message-ID Content-Type MIME-Version", true},
		{"Gmail", "To Subject Message-ID Date From MIME-Version From To Cc Subject Date Message-ID Reply-To", false},
		{"OpenDKIM, short", "Date From To Subject", false},
		{"PHPMailer, short", "From To Date Subject", false},
		{"Mailgun", "Content-Type MIME-Version Subject From To Reply-To Message-ID Date", false},
		{"Mailchimp", "From Reply-To To Date Message-ID List-ID List-Unsubscribe Content-Type MIME-Version Subject", false},
		{"Brevo", "MIME-Version From To Date List-Unsubscribe Subject Reply-To Message-ID Content-Type", false},
		{"SparkPost", "From Subject Date To MIME-Version Content-Type Message-ID List-Unsubscribe", false},
		{"Zoho", "Date From To Message-ID Subject MIME-Version Content-Type", false},
		{"without encoding", all, false},
	} {
		for _, encoding := range []string{"", "7bit", "8BIT", "binary"} {
			t.Run(tt.name+" "+encoding, func(t *testing.T) {
				t.Parallel()
				fields := shop + usual
				if encoding != "" {
					fields += "Content-Transfer-Encoding: " + encoding + "\r\n"
				}
				p := attackProvider(t, provider.Options{})
				if tt.toUnsigned {
					raw := signedFields(t, fields+"\r\n"+button(shopURL), strings.Fields(tt.signed)...)
					if v := attackWith(t, p, raw, "alice@gmail.test"); v.Actions[0].Reason != "recipient-unsigned" {
						t.Errorf("%s", v.Text())
					}
					setDials(t, p, "dkim.recipient-unsigned", "offered")
				}
				raw := signedFields(t, fields+"\r\n"+button(shopURL), strings.Fields(tt.signed)...)
				if v := attackWith(t, p, raw, "alice@gmail.test"); v.Delivery != policy.Accept || len(v.Actions) != 1 || v.Actions[0].Answer != policy.Offered {
					t.Errorf("not offered:\n%s", v.Text())
				}
			})
		}
	}
}

// TestReplay lets Mallory spread a mail that the shop sent to him, and the shop
// send one mail to several.
func TestReplay(t *testing.T) {
	t.Parallel()
	link := strings.Replace(button(shopURL), `"@type": "ConfirmAction"`, `"@type": "ViewAction"`, 1)
	link = strings.Replace(link, `"handler": {"@type": "HttpActionHandler", "url": "`+shopURL+`", "method": "POST"}`, `"target": "`+shopURL+`"`, 1)
	sent := signAs(t, shop+strings.Replace(usual, "alice@", "mallory@", 1)+"\r\n"+link, "shop.example", nil)
	toAll := signAs(t, shop+strings.Replace(usual, "alice@gmail.test", "alice@gmail.test, bob@gmail.test", 1)+"\r\n"+link, "shop.example", nil)
	signedTo := func(to string) string {
		return signAs(t, shop+strings.Replace(usual, "alice@gmail.test", to, 1)+"\r\n"+link, "shop.example", nil)
	}
	toElsewhere, toNobody, toList := signedTo("mallory@evil.example"), signedTo("undisclosed-recipients:;"), signedTo("l@evil.example")
	const listOnTop = "List-Id: <l.evil.example>\r\nList-Post: <mailto:l@evil.example>\r\n"
	replayed := func(v policy.Verdict) string {
		f, _ := v.Finding("signature-new")
		return string(v.Actions[0].Answer) + " " + string(f.Reason)
	}
	setUp := func(t *testing.T) *provider.Provider {
		p := attackProvider(t, provider.Options{Clock: provider.StandingClock(start())})
		p.Register(policy.Registration{From: "noreply@shop.example"})
		if v := deliver(t, p, []byte(sent), "mallory@gmail.test").Messages[0].Verdict; replayed(v) != "offered signature-new" {
			t.Fatalf("to Mallory: %s\n%s", replayed(v), v.Text())
		}
		return p
	}
	for _, tt := range []struct {
		name string
		do   func(*testing.T, *provider.Provider) policy.Verdict
		want string
	}{
		{"to another account", func(t *testing.T, p *provider.Provider) policy.Verdict {
			return attackWith(t, p, sent, "alice@gmail.test")
		}, "withheld signature-replayed"},
		{"with other white space in b=", func(t *testing.T, p *provider.Provider) policy.Verdict {
			return attackWith(t, p, strings.Replace(sent, "b=", "b= \r\n\t", 1), "alice@gmail.test")
		}, "withheld signature-replayed"},
		{"by dial", func(t *testing.T, p *provider.Provider) policy.Verdict {
			setDials(t, p, "dkim.replay", "note", "dkim.recipient-unsigned", "offered")
			return attackWith(t, p, sent, "alice@gmail.test")
		}, "offered signature-replayed"},
		{"by one dial of two", func(t *testing.T, p *provider.Provider) policy.Verdict {
			setDials(t, p, "dkim.replay", "note")
			return attackWith(t, p, sent, "alice@gmail.test")
		}, "withheld signature-replayed"},
		{"by dial, one is not many", func(t *testing.T, p *provider.Provider) policy.Verdict {
			setDials(t, p, "dkim.replay-accounts", "2", "dkim.recipient-unsigned", "offered")
			return attackWith(t, p, sent, "alice@gmail.test")
		}, "offered signature-new"},
		{"after it is forgotten", func(t *testing.T, p *provider.Provider) policy.Verdict {
			if err := p.Advance(t.Context(), 169*time.Hour); err != nil {
				t.Fatal(err)
			}
			return attackWith(t, p, sent, "alice@gmail.test")
		}, "withheld signature-new"},
		{"disguised as a list", func(t *testing.T, p *provider.Provider) policy.Verdict {
			return attackWith(t, p, listOnTop+sent, "alice@gmail.test")
		}, "withheld signature-replayed"},
		{"the first copy, disguised as a list", func(t *testing.T, p *provider.Provider) policy.Verdict {
			return attackWith(t, p, listOnTop+toElsewhere, "alice@gmail.test")
		}, "withheld signature-new"},
		{"the first copy, with other marks", func(t *testing.T, p *provider.Provider) policy.Verdict {
			return attackWith(t, p, "Delivered-To: alice@gmail.test\r\n"+toElsewhere, "alice@gmail.test")
		}, "withheld signature-new"},
		{"to nobody, disguised as a list", func(t *testing.T, p *provider.Provider) policy.Verdict {
			attackWith(t, p, listOnTop+toNobody, "bob@gmail.test")
			return attackWith(t, p, listOnTop+toNobody, "alice@gmail.test")
		}, "withheld signature-replayed"},
		{"to nobody, several accounts at once", func(t *testing.T, p *provider.Provider) policy.Verdict {
			d, err := p.Deliver(t.Context(), netip.MustParseAddr(malloryPeer), provider.Mail{From: "m@evil.example", To: []string{"alice@gmail.test", "bob@gmail.test", "mallory@gmail.test"}, Raw: []byte(toNobody)}, false)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range d.Messages {
				if m.Verdict.Actions[0].Answer == policy.Offered {
					t.Errorf("%s is offered it", m.Account)
				}
			}
			return d.Messages[0].Verdict
		}, "withheld signature-replayed"},
		{"a list that the shop wrote to", func(t *testing.T, p *provider.Provider) policy.Verdict {
			list := "List-Id: <l.evil.example>\r\nList-Post: <mailto:l@evil.example>\r\n" + toList
			attackWith(t, p, list, "bob@gmail.test")
			return attackWith(t, p, list, "alice@gmail.test")
		}, "offered passed-on"},
		{"again to the same account", func(t *testing.T, p *provider.Provider) policy.Verdict {
			return attackWith(t, p, sent, "mallory@gmail.test")
		}, "offered signature-new"},
		{"the shop itself sends it again", func(t *testing.T, p *provider.Provider) policy.Verdict {
			return deliver(t, p, []byte(sent), "alice@gmail.test").Messages[0].Verdict
		}, "offered peer-vouches"},
		{"to all whom it is addressed to, one after the other", func(t *testing.T, p *provider.Provider) policy.Verdict {
			attackWith(t, p, toAll, "bob@gmail.test")
			return attackWith(t, p, toAll, "alice@gmail.test")
		}, "offered addressed"},
		{"several accounts at once, with a plus and in capitals", func(t *testing.T, p *provider.Provider) policy.Verdict {
			plus := signAs(t, shop+strings.Replace(usual, "alice@gmail.test", "Bob@GMAIL.test, alice+shop@gmail.test", 1)+"\r\n"+link, "shop.example", nil)
			attackWith(t, p, plus, "bob@gmail.test")
			return attackWith(t, p, plus, "alice@gmail.test")
		}, "offered addressed"},
		{"several accounts at once", func(t *testing.T, p *provider.Provider) policy.Verdict {
			d, err := p.Deliver(t.Context(), netip.MustParseAddr(malloryPeer), provider.Mail{From: "list@esp.example", To: []string{"alice@gmail.test", "bob@gmail.test"}, Raw: []byte(toAll)}, false)
			if err != nil {
				t.Fatal(err)
			}
			return d.Messages[1].Verdict
		}, "offered addressed"},
		{"again after a refusal", func(t *testing.T, p *provider.Provider) policy.Verdict {
			p.Enforce(true)
			if err := p.SetDial("rdns.missing", "defer"); err != nil {
				t.Fatal(err)
			}
			attackWith(t, p, toAll, "bob@gmail.test")
			p.Enforce(false)
			if err := p.SetDial("rdns.missing", "note"); err != nil {
				t.Fatal(err)
			}
			return attackWith(t, p, toAll, "alice@gmail.test")
		}, "offered signature-new"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if v := tt.do(t, setUp(t)); replayed(v) != tt.want {
				t.Errorf("got %q, want %q\n%s", replayed(v), tt.want, v.Text())
			}
		})
	}
}
