package scenarios_test

import (
	"testing"

	"github.com/doppelbox/doppelbox/scenarios"
)

// What does not hold is told with its place, the value there is, and what to
// do about it.
func TestFailures(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"wrong value", world + delivered + "expect spf == fail\nexpect action.0 not == offered\nexpect dmarc not exists\nexpect spf matches ^(fail|none)$\nexpect smtp.enhanced contains 5\nexpect spf != pass\nexpect delivery == accept\n" + approval, `x.txtar:6:15: actual value is "pass"
   6 | expect spf == fail
     |               ^
x.txtar:7:24: actual value is "offered"
   7 | expect action.0 not == offered
     |                        ^
x.txtar:8:8: there is "pass" at "dmarc"
   8 | expect dmarc not exists
     |        ^
x.txtar:9:20: actual value is "pass"
   9 | expect spf matches ^(fail|none)$
     |                    ^
x.txtar:10:31: actual value is "2.0.0"
  10 | expect smtp.enhanced contains 5
     |                               ^
x.txtar:11:15: actual value is "pass"
  11 | expect spf != pass
     |               ^`},
		{"unknown path", world + delivered + "expect acton.0 == offered\nexpect wholly.elsewhere == x\nexpect token.aud exists\n" + approval, `x.txtar:6:8: there is nothing at "acton.0"; did you mean "action.0"?
   6 | expect acton.0 == offered
     |        ^
hint: replay --paths prints every path that there is at the end of a file
x.txtar:7:8: there is nothing at "wholly.elsewhere"
   7 | expect wholly.elsewhere == x
     |        ^
hint: replay --paths prints every path that there is at the end of a file
x.txtar:8:8: there is nothing at "token.aud"
   8 | expect token.aud exists
     |        ^`},
		{"missing button", world + delivered + "click Aprove\nexpect requests == 1\n" + approval, `x.txtar:6:7: there is no button "Aprove"; there are "Approve"
   6 | click Aprove
     |       ^
stopped`},
		{"no button by index", world + delivered + "click 1\n" + approval, `x.txtar:6:7: there is no button "1"; there are "Approve"
   6 | click 1
     |       ^
stopped`},
		{"no action at all", "account alice@gmail.test\ndeliver m from=<> to=alice@gmail.test\nclick 0\n-- m --\nFrom: x@shop.example\n\ntext\n", `x.txtar:3:7: there is no button "0": the message has no action
   3 | click 0
     |       ^
stopped`},
		{"mistakes in a zone", "account alice@gmail.test\n# The zone.\ndns zone\nexpect messages == 0\n-- zone --\nshop.example. TXT \"fine\"\nshop.example. TXTT x\nmail.shop.example. A 192.0.2.300\n", `x.txtar:7:15: unknown record type "TXTT"; did you mean TXT?
   7 | shop.example. TXTT x
     |               ^
x.txtar:8:22: bad A record at "192.0.2.300"
   8 | mail.shop.example. A 192.0.2.300
     |                      ^
stopped`},
		{"clock goes back", "clock 2026-01-15T09:00:00Z\nadvance 1h\nclock 2026-01-15T09:30:00Z\n", `x.txtar:3:7: the clock does not go back: it shows 2026-01-15T10:00:00Z
   3 | clock 2026-01-15T09:30:00Z
     |       ^
stopped`},
		{"clock goes too far", "clock 2026-01-15T09:00:00Z\nclock 2400-01-15T09:00:00Z\n", `x.txtar:2:7: the clock does not go so far in one step: it shows 2026-01-15T09:00:00Z
   2 | clock 2400-01-15T09:00:00Z
     |       ^
stopped`},
		{"beyond the last year", "clock 9999-12-31T23:00:00Z\nadvance 1h\n", `x.txtar:2:1: the clock does not go beyond the year 9999
   2 | advance 1h
     | ^
stopped`},
		{"no such message", world + delivered + "click Approve message=7\n" + approval, `x.txtar:6:1: there is no message 7: there are 1, counted from 0
   6 | click Approve message=7
     | ^
stopped`},
		{"no message yet", "account alice@gmail.test\nunsubscribe\n", `x.txtar:2:1: there is no message yet
   2 | unsubscribe
     | ^
stopped`},
		{"rotated too soon", "rotate\nrotate\n", `x.txtar:2:1: keys: too soon to rotate: caches may lack the next key until 2026-01-15T14:30:00Z
   2 | rotate
     | ^
stopped`},
		{"difference", world + delivered + "cmp reply want\n" + approval + "-- want --\n250 2.0.0 OK  1 (session) - gsmtp\n", `x.txtar:6:11: reply differs from section "want" in line 1: it is "250 2.0.0 OK  1768467600 (session) - gsmtp", and the section has "250 2.0.0 OK  1 (session) - gsmtp"
   6 | cmp reply want
     |           ^
hint: replay --update writes the section anew`},
		{"difference in length", world + delivered + "cmp reply want\n" + approval + "-- want --\n250 2.0.0 OK  1768467600 (session) - gsmtp\nmore\n", `x.txtar:6:11: reply differs from section "want" in line 2: it is "", and the section has "more"
   6 | cmp reply want
     |           ^
hint: replay --update writes the section anew`},
		{"nothing to compare", "account alice@gmail.test\ncmp verdict want\ncmp request want\n-- want --\nx\n", `x.txtar:2:5: there is no verdict yet
   2 | cmp verdict want
     |     ^
x.txtar:3:5: there is no request yet
   3 | cmp request want
     |     ^`},
		{"no request to compare", world + delivered + "click Approve\ncmp request want\n" + approval + "-- want --\nx\n", `x.txtar:7:5: the last click made no request
   7 | cmp request want
     |     ^`},
		{"address refused", "route shop.example to=169.254.169.254:443\n", `x.txtar:1:1: routing "shop.example" to "169.254.169.254:443": 169.254.169.254 is a link-local address
   1 | route shop.example to=169.254.169.254:443
     | ^
stopped`},
		{"foreign account", "provider mail.test\naccount alice@gmail.test\n", `x.txtar:2:1: account "alice@gmail.test" is not of the provider's domain mail.test
   2 | account alice@gmail.test
     | ^
stopped`},
		{"all claims of all phases", "# One.\nexpect messages == 1\nexpect messages == 0\nexpect requests == 2\n# Two.\nexpect requests == 3\n", `x.txtar:2:20: actual value is "0"
   2 | expect messages == 1
     |                    ^
x.txtar:4:20: actual value is "0"
   4 | expect requests == 2
     |                    ^
x.txtar:6:20: actual value is "0"
   6 | expect requests == 3
     |                    ^`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := summary(run(t, tt.text, scenarios.RunOptions{}))
			if got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}
