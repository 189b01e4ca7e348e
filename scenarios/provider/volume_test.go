package provider

import (
	"fmt"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
)

var volumeStart = time.Date(2026, 1, 15, 9, 0, 0, 0, time.UTC)

func TestCountSlides(t *testing.T) {
	t.Parallel()
	s := counters[string]{most: 10}
	for _, tt := range []struct {
		after   time.Duration
		n, want int
	}{
		{0, 1, 1}, {0, 1, 2}, {30 * time.Second, 1, 3}, {59 * time.Second, 0, 3}, {60 * time.Second, 0, 1},
		{89 * time.Second, 0, 1}, {90 * time.Second, 0, 0}, {24 * time.Hour, 1, 1},
		{23 * time.Hour, 1, 1}, // Late, as of a message whose look-ups took long.
		{24 * time.Hour, -1, 0},
	} {
		if got := s.count("x", volumeStart.Add(tt.after), time.Minute, tt.n); got != tt.want {
			t.Errorf("after %s: %d, want %d", tt.after, got, tt.want)
		}
	}
	// Any time that a clock may be set to, as check --at does.
	for _, year := range []int{1, 1902, 2600, 9999} {
		if got := s.count(fmt.Sprint(year), time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC), time.Second, 1); got != 1 {
			t.Errorf("in %d: %d", year, got)
		}
	}
}

// TestCountersAreBounded holds that what is in use is kept, under a clock that
// stands too, and that to look makes no counter.
func TestCountersAreBounded(t *testing.T) {
	t.Parallel()
	s := counters[string]{most: 100}
	for i := range 1000 {
		s.count("busy", volumeStart, time.Hour, 1)
		s.count(fmt.Sprint(i), volumeStart, time.Hour, 1)
		s.count(fmt.Sprint("looked at ", i), volumeStart, time.Hour, 0)
	}
	if got := s.count("busy", volumeStart, time.Hour, 0); got != 1000 || len(s.byKey) > 100 {
		t.Errorf("the busy one has %d of 1000; %d counters", got, len(s.byKey))
	}
}

// sent are the rows of one message of a domain to some accounts.
func sent(from, org string, at time.Time, threshold string, accounts ...string) []mailbox.Message {
	rows := make([]mailbox.Message, len(accounts))
	for i, account := range accounts {
		e := policy.Evidence{At: at, Account: policy.Account{Address: account}, Dials: policy.Dials{policy.DialBulkVolume: threshold, policy.DialRateMessageID: "5/24h"}}
		e.Auth.DMARC.Domain, e.Auth.DMARC.OrgDomain = from, org
		e.Header.MessageID = "<1@shop.example>"
		rows[i].Evidence = e
	}
	return rows
}

// TestBulkByVolume holds that all below a primary domain adds up, copy by copy,
// that neither a look nor mail that is not taken counts, and that who was a bulk
// sender once is one for ever.
func TestBulkByVolume(t *testing.T) {
	t.Parallel()
	v := newVolume()
	day := 24*time.Hour + 30*time.Minute
	for i, tt := range []struct {
		from   string
		after  time.Duration
		copies int
		look   bool
		taken  bool
		volume int
		bulk   bool
	}{
		{"a.shop.example", 0, 1, false, true, 1, false},
		{"b.shop.example", time.Hour, 1, false, true, 2, false},
		{"shop.example", time.Hour, 2, true, false, 4, true}, // Looked at only.
		{"shop.example", time.Hour, 2, false, false, 4, true},
		{"shop.example", day, 1, false, true, 2, false},
		{"a.shop.example", day, 2, false, true, 4, true},
		{"shop.example", 1000 * time.Hour, 1, false, true, 1, true},
	} {
		rows := sent(tt.from, "shop.example", volumeStart.Add(tt.after), "4", []string{"alice@gmail.test", "bob@gmail.test"}[:tt.copies]...)
		v.tally(rows, tt.look).end(tt.taken)
		for _, row := range rows {
			if s := row.Evidence.Sender; s.Domain != "shop.example" || s.Volume != tt.volume || s.Bulk != tt.bulk || s.Declared {
				t.Errorf("%d: %+v, want volume %d, bulk %t", i, s, tt.volume, tt.bulk)
			}
		}
	}
	rows := sent("", "", volumeStart, "1", "alice@gmail.test")
	v.tally(rows, false).end(true)
	if s := rows[0].Evidence.Sender; s != (policy.Sender{}) {
		t.Errorf("mail without From: %+v", s)
	}
}

// TestRates holds that a message counts once for its sender and once for each
// account, whatever becomes of others.
func TestRates(t *testing.T) {
	t.Parallel()
	v := newVolume()
	for i := range 3 {
		rows := sent("shop.example", "shop.example", volumeStart, "5000", "alice@gmail.test", "bob@gmail.test")
		v.tally(rows, false).end(true)
		v.tally(sent("shop.example", "shop.example", volumeStart, "5000", "alice@gmail.test"), false).end(false)
		for _, row := range rows {
			list := row.Evidence.Rates
			if len(list) != 4 || list[0].By != policy.ByAccount || list[0].Key != row.Evidence.Account.Address || list[0].Count != i+1 ||
				list[3].By != policy.ByMessageID || list[3].Count != i+1 || list[3].Limit != 5 {
				t.Errorf("message %d: %+v", i, list)
			}
		}
	}
	e := sent("shop.example", "shop.example", volumeStart, "5000", "alice@gmail.test")[0].Evidence
	if list := v.accountRates(&e); list[0].Count != 4 || list[0].Limit != 60 {
		t.Errorf("at RCPT: %+v", list)
	}
}

func TestDeclaredSender(t *testing.T) {
	t.Parallel()
	p, err := New(Options{Clock: StandingClock(volumeStart)})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, domain := range []string{"Shop.example", "bücher.example"} {
		if err := p.DeclareSender(domain, true); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.DeclareSender("quiet.shop.example", false); err != nil {
		t.Fatal(err)
	}
	if err := p.DeclareSender("not a domain", true); err == nil {
		t.Error("what is no domain was taken")
	}
	for from, want := range map[string]bool{
		"shop.example": true, "x.y.shop.example": true, "quiet.shop.example": false, "more.quiet.shop.example": false, "xn--bcher-kva.example": true,
	} {
		org := "shop.example"
		if from == "xn--bcher-kva.example" {
			org = from
		}
		rows := sent(from, org, volumeStart, "1", "alice@gmail.test")
		p.volume.tally(rows, false).end(true)
		if s := rows[0].Evidence.Sender; s.Bulk != want || !s.Declared {
			t.Errorf("%s: %+v, want bulk %t", from, s, want)
		}
	}
}

// TestForeseenOrder holds that to examine a message tells which ordered reply it
// would meet first, and uses none up.
func TestForeseenOrder(t *testing.T) {
	t.Parallel()
	p, err := New(Options{Clock: StandingClock(volumeStart)})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.AddAccount("alice@gmail.test"); err != nil {
		t.Fatal(err)
	}
	for _, o := range []Order{
		{Reply: "unsolicited", Times: 1}, {Reply: "over-quota", Account: "Alice+news@gmail.test", Times: 1}, {Reply: "server-busy", Phase: policy.PhaseMail, Domain: "other.example"},
	} {
		if err := p.OrderReply(o); err != nil {
			t.Fatal(err)
		}
	}
	for _, o := range []Order{{Reply: "no-such-reply"}, {Reply: "unsolicited", Times: -1}, {Reply: "over-quota", Account: "ghost@gmail.test"}, {Reply: "over-quota", Account: "x@elsewhere.test"}, {Reply: "server-busy", Domain: "a.example"}, {Reply: "unsolicited", Phase: policy.PhaseRcpt}} {
		if err := p.OrderReply(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	a := policy.Arrival{Channel: policy.ChannelFile, Rcpt: "alice@gmail.test", MailFrom: "b@shop.example"}
	for range 2 {
		v := p.Examine(t.Context(), a, []byte("From: a@shop.example\r\n\r\n")).Verdict
		if v.Decider != policy.OrderedReply || v.Phase != policy.PhaseRcpt || v.Reply.Enhanced != "4.2.2" {
			t.Errorf("by %s at %s: %v", v.Decider, v.Phase, v.Reply)
		}
	}
	if n := p.OrdersLeft(); n != 3 {
		t.Errorf("%d orders are left", n)
	}
}
