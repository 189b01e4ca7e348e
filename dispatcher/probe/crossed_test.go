package probe_test

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/dispatcher"
	"github.com/doppelbox/doppelbox/dispatcher/probe"
)

// desk is a service that approves expenses by links with an expense, a user and
// a token that was granted for both. It looks at nothing else.
type desk struct {
	kind    string // What it does with a token of another expense or user.
	shared  bool   // Both users are asked about one expense, and one answer is enough.
	retries bool   // It answers 200 to what was done already, and not 409.
	grants  map[string]*deskGrant
	done    map[string]bool // By what was approved.
	log     []string        // What was approved and by whom, as the service has it.
	last    int
}

type deskGrant struct {
	expense, user string
	used          bool
}

func (d *desk) link(user string) string {
	if !d.shared || user == "alice" {
		d.last++
	}
	token := fmt.Sprintf("b1946ac92492d2347c62%012d", len(d.grants))
	d.grants[token] = &deskGrant{expense: strconv.Itoa(d.last), user: user}
	return fmt.Sprintf("https://shop.example/approve?expense=%d&user=%s&token=%s", d.last, user, token)
}

// status is what the service answers.
func (d *desk) status(query url.Values) int {
	g := d.grants[query.Get("token")]
	if g == nil || len(query["token"]) != 1 {
		return 404
	}
	expense, user := query.Get("expense"), query.Get("user")
	if d.kind == "bound" && (expense != g.expense || user != g.user) {
		return 403
	}
	if d.kind == "by the token" {
		expense, user = g.expense, g.user
	}
	what := expense + " " + user
	if d.shared {
		what = expense
	}
	used := d.done[what]
	if d.kind == "by the URL, with the token spent" {
		used = g.used
	}
	switch {
	case used && d.retries:
		return 200
	case used:
		return 409
	}
	g.used, d.done[what] = true, true
	d.log = append(d.log, "approved "+expense+" for "+user)
	return 200
}

func (d *desk) exchange(_ context.Context, r dispatcher.Raw) dispatcher.Attempt {
	a := dispatcher.Attempt{Status: 405, Addr: "127.0.0.1:443", TLSVersion: "TLS 1.3"}
	method, rest, _ := strings.Cut(string(r.Octets), " ")
	target, _, _ := strings.Cut(rest, " ")
	if u, err := url.Parse(target); err == nil && method == "POST" {
		a.Status = d.status(u.Query())
	}
	return a
}

// crossings are the probes that have the token of one action and the URL of
// another.
var crossings = []string{"limited-use-of-other-user", "limited-use-for-other-user", "limited-use-of-other-action"}

// TestCrossings has services that accept a token of another expense or user. It
// is a hole only in those that act on the expense and user of the URL, and is
// found where that can be told.
func TestCrossings(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, c := range []struct {
		desk    desk
		effects string // What they are: nothing, a count, or a text.
		bare    bool   // There are no fresh actions.
		mark    probe.Mark
		detail  string
	}{
		{desk: desk{kind: "bound"}, effects: "count", mark: probe.Held, detail: "answered 403"},
		{desk: desk{kind: "by the token"}, mark: probe.Noted, detail: `and ignores parameter "expense"`},
		{desk: desk{kind: "by the token"}, effects: "count", mark: probe.Noted, detail: "a hole if it acted on that. The action of the URL could be carried out after it"},
		{desk: desk{kind: "by the token"}, effects: "text", mark: probe.Noted, detail: "The effects name the action of the token"},
		{desk: desk{kind: "by the token", retries: true}, effects: "count", mark: probe.Noted, detail: "could be carried out after it"},
		{desk: desk{kind: "by the token", retries: true}, mark: probe.Noted, detail: "sound if the service acted on what the token was granted for"},
		{desk: desk{kind: "by the token"}, bare: true, mark: probe.Noted, detail: "Effects (--effects) that print these values of what was carried out tell"},
		{desk: desk{kind: "by the URL"}, mark: probe.Failed, detail: "answered 200, and it used up the action of the URL"},
		{desk: desk{kind: "by the URL"}, effects: "count", mark: probe.Failed, detail: "answered 200, and it used up the action of the URL"},
		{desk: desk{kind: "by the URL"}, effects: "text", mark: probe.Failed, detail: "answered 200, and the effects name the action of the URL"},
		{desk: desk{kind: "by the URL", retries: true}, effects: "count", mark: probe.Failed, detail: "answered 200, and it used up the action of the URL"},
		{desk: desk{kind: "by the URL", retries: true}, mark: probe.Noted, detail: "a hole if it acted on that"},
		{desk: desk{kind: "by the URL"}, effects: "text", bare: true, mark: probe.Failed, detail: "the effects name the action of the URL"},
		{desk: desk{kind: "by the URL, with the token spent"}, effects: "count", mark: probe.Noted, detail: "a hole if it acted on that"},
		{desk: desk{kind: "by the URL, with the token spent"}, effects: "text", mark: probe.Failed, detail: "the effects name the action of the URL"},
	} {
		d := c.desk
		report := tryDesk(t, b, &d, c.effects, c.bare, crossings...)
		for _, r := range report.Results {
			if r.Probe.ID == "good" || c.bare && r.Probe.ID == "limited-use-of-other-action" || c.bare && r.Mark == probe.NotProven {
				continue
			}
			if r.Mark != c.mark || !strings.Contains(r.Detail, c.detail) {
				t.Errorf("%+v, effects %q: %s is %s: %s; want %s: %s", c.desk, c.effects, r.Probe.ID, r.Mark, r.Detail, c.mark, c.detail)
			}
		}
		if report.Failed() != (c.mark == probe.Failed) {
			t.Errorf("%+v, effects %q: failed %v:\n%s", c.desk, c.effects, report.Failed(), describe(report))
		}
	}
}

// TestCrossingsShared has two users who are asked about one expense: that the
// answer of one leaves nothing to do for the other is no fault.
func TestCrossingsShared(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, effects := range []string{"", "count", "text"} {
		report := tryDesk(t, b, &desk{kind: "by the token", shared: true}, effects, false, crossings[:2]...)
		noted := 0
		for _, r := range report.Results {
			if r.Mark == probe.Noted && strings.Contains(r.Detail, `ignores parameter "user", in which the two URLs differ`) {
				noted++
			}
		}
		if noted != 2 || report.Failed() {
			t.Errorf("effects %q: %d noted:\n%s", effects, noted, describe(report))
		}
	}
}

func tryDesk(t *testing.T, b *bench, d *desk, effects string, bare bool, only ...string) probe.Report {
	t.Helper()
	d.grants, d.done = make(map[string]*deskGrant), make(map[string]bool)
	target := func(user string) probe.Target {
		return probe.Target{URL: d.link(user), Method: "POST", Body: "confirmed=Approved", Audience: audience, Bearer: true, LimitedUse: "token"}
	}
	o := probe.Options{
		Keys: b.provider.Set, Exchange: d.exchange, Only: only,
		OtherUser: func(context.Context) (probe.Target, error) { return target("bob"), nil },
	}
	if !bare {
		o.Fresh = func(context.Context) (probe.Target, error) { return target("alice"), nil }
	}
	if effects != "" {
		o.Effects = func(context.Context) (string, error) {
			return map[string]string{"count": strconv.Itoa(len(d.log)), "text": strings.Join(d.log, "\n")}[effects], nil
		}
	}
	report, err := probe.Run(t.Context(), target("alice"), o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}
