package scenarios

import (
	"fmt"
	"strings"
	"testing"
)

// Several mistakes of one file are all reported, as people see them.
func TestReport(t *testing.T) {
	t.Parallel()
	const text = `account alice@gmail.test
provider gmail.test
delver mail.eml from=<> to=alice@gmail.test
	deliver mial.eml form=<> to="alice@gmail.test
deliver mial.eml form=bounce@shop.example to=alice@gmail.test,bob peer=192.0.2.300
expect 漢字 == "ä" é
register shop.example actions=SaveAction,ConfrimAction since=2026-02-30
-- mail.eml --
From: x

-- see below --
-- wnat --
-- mail.eml --
`
	const want = `x.txtar:2:1: provider comes after account in line 1
   2 | provider gmail.test
     | ^
hint: provider and clock come first
x.txtar:3:1: unknown verb "delver"; did you mean "deliver"?
   3 | delver mail.eml from=<> to=alice@gmail.test
     | ^
x.txtar:4:30: the quoted word has no end
   4 | 	deliver mial.eml form=<> to="alice@gmail.test
     | 	                            ^
x.txtar:5:9: there is no section "mial.eml"; did you mean "mail.eml"?
   5 | deliver mial.eml form=bounce@shop.example to=alice@gmail.test,bob peer=192.0.2.300
     |         ^
x.txtar:5:18: unknown key "form"; did you mean "from"?
   5 | deliver mial.eml form=bounce@shop.example to=alice@gmail.test,bob peer=192.0.2.300
     |                  ^
hint: usage: deliver SECTION from=ADDRESS|<> to=ADDRESS[,ADDRESS]... [peer=IP] [helo=NAME] [tls=yes|no]
x.txtar:5:63: "bob" is not an address: it has no @
   5 | deliver mial.eml form=bounce@shop.example to=alice@gmail.test,bob peer=192.0.2.300
     |                                                               ^
x.txtar:5:72: "192.0.2.300" is not an IP address
   5 | deliver mial.eml form=bounce@shop.example to=alice@gmail.test,bob peer=192.0.2.300
     |                                                                        ^
x.txtar:5:83: deliver needs from=
   5 | deliver mial.eml form=bounce@shop.example to=alice@gmail.test,bob peer=192.0.2.300
     |                                                                                   ^
hint: usage: deliver SECTION from=ADDRESS|<> to=ADDRESS[,ADDRESS]... [peer=IP] [helo=NAME] [tls=yes|no]
x.txtar:6:8: "漢字" is not a path: names with dots between them
   6 | expect 漢字 == "ä" é
     |        ^
x.txtar:7:42: unknown value "ConfrimAction"; did you mean "ConfirmAction"?
   7 | register shop.example actions=SaveAction,ConfrimAction since=2026-02-30
     |                                          ^
x.txtar:7:62: "2026-02-30" is not a date or a time such as 2026-01-15T09:00:00Z
   7 | register shop.example actions=SaveAction,ConfrimAction since=2026-02-30
     |                                                              ^
x.txtar:11:1: bad name "see below" of a section
  11 | -- see below --
     | ^
hint: a line that begins with "-- " and ends with " --" begins a section, in a mail too
x.txtar:12:1: unused section "wnat": no step names it
  12 | -- wnat --
     | ^
hint: a line that begins with "-- " and ends with " --" begins a section, in a mail too
x.txtar:13:1: there are two sections "mail.eml"
  13 | -- mail.eml --
     | ^
`
	f, errs := Parse("x.txtar", []byte(text))
	if got := errs.Report(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if f != nil {
		t.Error("there is a file beside errors")
	}
}

func TestStepErrors(t *testing.T) {
	t.Parallel()
	tests := []struct{ src, want string }{
		{"deliver m.eml", "1:14: deliver needs from= and to="},
		{"provider", "1:9: provider needs DOMAIN"},
		{"provider a.test b.test", `1:17: "b.test" is one word too many`},
		{"rotate now # please", `1:8: "now" is one word too many`},
		{"rotate # please", `1:8: "#" is one word too many`},
		{" # please", "1:2: a comment has to begin in the first column"},
		{"advance 1h key=1", `1:12: "key=1" is one word too many`},
		{"rotate key=1", `1:8: unknown key "key"; known are withdraw`},
		{`clock time="now"`, "1:12: a quote inside a bare word"},
		{"clock 2026-01-15", `1:7: "2026-01-15" is not a time such as 2026-01-15T09:00:00Z`},
		{"advance -1h", `1:9: "-1h" is not a duration such as 90s, 10m or 1h30m`},
		{"provider gmail..test", `1:10: "gmail..test" is not a domain`},
		{"deliver m from= to=a@b.test", "1:16: the null reverse-path is written <>"},
		{"deliver m from=<> to=a@b.test, helo=", "1:31: \"\" is not an address: it has no @\n1:37: \"\" is empty or has a blank in it"},
		{"deliver m from=<> to=a@b.test to=b@b.test", `1:31: key "to" is given twice`},
		{"deliver m from=<> to=a@b.test tls=maybe", `1:35: unknown value "maybe"; known are yes, no`},
		{"endpoint shop.example", `1:10: "shop.example" is not an absolute URL of http or https`},
		{"endpoint http://shop.example/", `1:10: an endpoint's URL begins with https://: no other is ever requested`},
		{"endpoint https://u@shop.example/", `1:10: URL "https://u@shop.example/" has a user or a fragment`},
		{"endpoint https://x.test status=100", `1:32: "100" is not an HTTP status from 200 to 599`},
		{"endpoint https://x.test header=X", `1:32: "X" is not a header field such as "Retry-After: 5"`},
		{`endpoint https://x.test header="X: \r\n"`, `1:32: "X: \r\n" is not a header field such as "Retry-After: 5"`},
		{"endpoint https://x.test fail=tls status=200", "1:34: an endpoint with fail= gives no answer that could have status="},
		{"route x.test to=localhost:1", `1:17: "localhost:1" is not an IP address and port such as 127.0.0.1:8443`},
		{"peer 127.0.0.1", "1:15: peer needs as= or ptr="},
		{"peer fe80::1%eth0 as=192.0.2.1", `1:6: "fe80::1%eth0" is not an IP address`},
		{"inbound watch", `1:9: unknown value "watch"; known are observe, enforce`},
		{"inbound observe proxy-from=10.0.0.1,10.0.0.0/33", `1:37: "10.0.0.0/33" is not a network such as 127.0.0.0/8, nor an IP address`},
		{"dial retry.5x yes", `1:6: unknown dial "retry.5x"; did you mean "retry.5xx"?`},
		{"dial retry.5xx perhaps", `1:16: dial retry.5xx takes no or yes, not "perhaps"`},
		{"register a@b.test since=2026-02-01 until=2026-01-01", "1:42: until has to be later than since"},
		{"register a@b.test actions=SaveAction,SaveAction", `1:38: action type "SaveAction" is given twice`},
		{`register a@b.test actions="SaveAction,SaveAction"`, `1:27: action type "SaveAction" is given twice`},
		{"sign m d=b.test s=s1 i=b.test", `1:24: "b.test" is not an address: it has no @`},
		{"sign m d=b.test s=s1 headers=from::to", `1:30: "from::to" is not a list of header fields such as from:to:subject`},
		{"click Approve message=-1", `1:23: "-1" is not a whole number from 0`},
		{"click Approve message=007", `1:23: "007" is not a whole number from 0`},
		{"expect", "1:7: expect needs PATH and [not] exists|==|!=|contains|matches [VALUE]"},
		{"expect a not", "1:13: expect needs a predicate: exists, ==, !=, contains, matches"},
		{"expect a = b", `1:10: unknown predicate "="; known are exists, ==, !=, contains, matches`},
		{"expect a contain b", `1:10: unknown predicate "contain"; did you mean "contains"?`},
		{"expect a ==", "1:12: == needs a value"},
		{"expect a == b c", `1:15: "c" is one word too many`},
		{"expect a exists b", `1:17: "b" is one word too many: exists takes no value`},
		{"expect a matches (", "1:18: reading regular expression: missing closing ): `(`"},
		{"expect a..b exists", `1:8: "a..b" is not a path: names with dots between them`},
		{`expect a == say"hi"`, "1:16: a quote inside a bare word"},
		{`expect a == "x"y`, "1:16: a quoted word has to be followed by a blank"},
		{`expect a == "é\'"`, "1:15: bad escape in a quoted word"},
		{`expect a == "\"`, "1:13: the quoted word has no end"},
		{"expect a == `", "1:13: the quoted word has no end"},
		{"expect a == \x1b[31m", `1:13: control character '\x1b'`},
		{"expect a == \xff", "1:13: the line is not UTF-8"},
		{"click" + strings.Repeat(" a", 64), "1:133: more than 64 words in a line"},
		{"click " + strings.Repeat("a", 8192), "1:1: the line is longer than 8192 octets"},
	}
	for _, tt := range tests {
		_, errs := ParseSteps("x", tt.src)
		got := strings.ReplaceAll(errs.Error(), "x:", "")
		if got != tt.want {
			t.Errorf("%s\ngot  %s\nwant %s", tt.src, got, tt.want)
		}
	}
}

func TestFileErrors(t *testing.T) {
	t.Parallel()
	var sections strings.Builder
	for i := range maxSections + 1 {
		fmt.Fprintf(&sections, "-- s%d --\n", i)
	}
	tests := []struct{ src, want string }{
		{sections.String(), "x:1001:1: more than 1000 sections"},
		{"rotate\nclock 2026-01-15T09:00:00Z\n", "x:2:1: clock comes after rotate in line 1"},
		{"provider a.test\nprovider a.test\n", "x:2:1: this provider is already named in line 1"},
		{"provider a.test\naccount a@a.test\nprovider b.test\n", "x:3:1: provider comes after account in line 2"},
		{"dns zone\n", `x:1:5: there is no section "zone"`},
		{"rotate\n-- a --\n", `x:2:1: unused section "a": no step names it`},
		{strings.Repeat("x\n", 200), ""},
		{strings.Repeat("\n", maxLines+1), "x:10001:1: reading the script stops here, after 10000 lines and 0 mistakes"},
		{strings.Repeat("-- a --\n", 2), "x:1:1: unused section \"a\": no step names it\nx:2:1: there are two sections \"a\"\nx:2:1: unused section \"a\": no step names it"},
		{strings.Repeat(" ", maxFileSize+1), "x:1:1: the file is larger than 16777216 octets"},
	}
	for _, tt := range tests {
		_, errs := Parse("x", []byte(tt.src))
		if tt.want == "" {
			if last := errs[len(errs)-1]; len(errs) != maxErrors+1 || last.Line != maxErrors+1 {
				t.Errorf("%d errors, the last is %v", len(errs), last)
			}
			continue
		}
		if got := errs.Error(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

func TestExcerpt(t *testing.T) {
	t.Parallel()
	tests := []struct {
		src  string
		col  int
		want string
	}{
		{"abc", 4, "   7 | abc\n     |    ^\n"},
		{"\ta\tb", 4, "   7 | \ta\tb\n     | \t \t^\n"},
		{"é漢字x", 4, "   7 | é漢字x\n     |      ^\n"},
		{"e\u0301x", 3, "   7 | e\u0301x\n     |  ^\n"},
		{"🙂x", 2, "   7 | 🙂x\n     |   ^\n"},
		{"\x1b[1m\xff\u202e!", 7, "   7 | \ufffd[1m\ufffd\ufffd!\n     |       ^\n"},
	}
	for _, tt := range tests {
		e := &Error{Line: 7, Col: tt.col, Src: tt.src}
		if got := e.Excerpt(); got != tt.want {
			t.Errorf("%q:\ngot\n%swant\n%s", tt.src, got, tt.want)
		}
	}
}

func TestErrorsErr(t *testing.T) {
	t.Parallel()
	if (Errors{}).Err() != nil || (Errors{{Path: "x"}}).Err() == nil {
		t.Error("Err does not tell whether there are errors")
	}
}
