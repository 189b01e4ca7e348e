package provider

import (
	"fmt"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/policy"
)

var volumeStart = time.Date(2026, 1, 15, 9, 0, 0, 0, time.UTC)

func TestCountSlides(t *testing.T) {
	t.Parallel()
	var v volume
	k := counterKey{policy.ByPeer, "192.0.2.10", time.Minute}
	for _, tt := range []struct {
		after   time.Duration
		n, want int
	}{
		{0, 1, 1}, {0, 1, 2}, {30 * time.Second, 1, 3}, {59 * time.Second, 0, 3}, {60 * time.Second, 0, 1},
		{89 * time.Second, 0, 1}, {90 * time.Second, 0, 0}, {24 * time.Hour, 1, 1}, {23 * time.Hour, 0, 1},
	} {
		if got := v.count(k, volumeStart.Add(tt.after), tt.n); got != tt.want {
			t.Errorf("after %s: %d, want %d", tt.after, got, tt.want)
		}
	}
	// Long before the epoch of the clock, as check --at may ask.
	if got := v.count(counterKey{policy.ByPeer, "x", time.Minute}, time.Date(1902, 1, 1, 0, 0, 0, 0, time.UTC), 1); got != 1 {
		t.Errorf("in 1902: %d", got)
	}
}

// TestCountersAreBounded holds that what was counted last is kept.
func TestCountersAreBounded(t *testing.T) {
	t.Parallel()
	var v volume
	for i := range 2*maxCounters + 10 {
		v.count(counterKey{policy.ByMessageID, fmt.Sprint(i), time.Hour}, volumeStart.Add(time.Duration(i)*time.Second), 1)
	}
	if len(v.counters) > maxCounters {
		t.Errorf("%d counters", len(v.counters))
	}
	last := counterKey{policy.ByMessageID, fmt.Sprint(2*maxCounters + 9), time.Hour}
	if got := v.count(last, volumeStart.Add((2*maxCounters+9)*time.Second), 1); got != 2 {
		t.Errorf("the newest counter has %d, want 2", got)
	}
}

func senderEvidence(from, org string, at time.Time, threshold string) *policy.Evidence {
	e := &policy.Evidence{At: at, Dials: policy.Dials{policy.DialBulkVolume: threshold}}
	e.Auth.DMARC.Domain, e.Auth.DMARC.OrgDomain = from, org
	return e
}

// TestBulkByVolume holds that all below a primary domain adds up, that a look
// counts nothing, and that who was a bulk sender once is one for ever.
func TestBulkByVolume(t *testing.T) {
	t.Parallel()
	var v volume
	for i, tt := range []struct {
		from   string
		after  time.Duration
		n      int
		volume int
		bulk   bool
	}{
		{"a.shop.example", 0, 1, 1, false},
		{"b.shop.example", time.Hour, 1, 2, false},
		{"shop.example", time.Hour, 0, 3, false}, // Looked at only.
		{"shop.example", 24*time.Hour + 30*time.Minute, 1, 2, false},
		{"a.shop.example", 24*time.Hour + 30*time.Minute, 1, 3, true},
		{"shop.example", 1000 * time.Hour, 1, 1, true},
	} {
		s := v.sender(senderEvidence(tt.from, "shop.example", volumeStart.Add(tt.after), "3"), tt.n)
		if s.Domain != "shop.example" || s.Volume != tt.volume || s.Bulk != tt.bulk || s.Declared {
			t.Errorf("%d: %+v, want volume %d, bulk %t", i, s, tt.volume, tt.bulk)
		}
	}
	if s := v.sender(senderEvidence("", "", volumeStart, "1"), 1); s != (policy.Sender{}) {
		t.Errorf("mail without From: %+v", s)
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
		if s := p.volume.sender(senderEvidence(from, org, volumeStart, "1"), 1); s.Bulk != want || !s.Declared {
			t.Errorf("%s: %+v, want bulk %t", from, s, want)
		}
	}
}
