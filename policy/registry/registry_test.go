package registry

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/doppelbox/doppelbox/policy"
)

func TestParse(t *testing.T) {
	t.Parallel()
	const text = "# who may show what\n" +
		"noreply@shop.example actions=ConfirmAction,SaveAction bearer=yes since=2026-01-01 until=2026-12-31T12:00:00+01:00\r\n" +
		"\n" +
		"\tBücher.Example.  bearer=no # the bookshop\n" +
		"a#b@shop.example"
	got, errs := Parse("reg", text)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	want := policy.Registry{
		{
			From: "noreply@shop.example", Actions: []string{"ConfirmAction", "SaveAction"}, Bearer: true,
			Since: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, 12, 31, 11, 0, 0, 0, time.UTC),
		},
		{From: "xn--bcher-kva.example"},
		{From: "a#b@shop.example"},
	}
	for i := range got {
		got[i].Until = got[i].Until.UTC()
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	tests := []struct{ src, want string }{
		{"shop.example action=ConfirmAction", `reg:1:14: unknown key "action"; did you mean "actions"?`},
		{"shop.example colour=red", `reg:1:14: unknown key "colour"; known are actions, bearer, since, until`},
		{"shop.example actions=SaveAction,ConfrimAction", `reg:1:33: unknown action type "ConfrimAction"; did you mean "ConfirmAction"?`},
		{"shop.example actions=confirmaction", `reg:1:22: unknown action type "confirmaction"; did you mean "ConfirmAction"?`},
		{"shop.example actions=SaveAction,SaveAction", `reg:1:33: action type "SaveAction" is given twice`},
		{"shop.example bearer=true", `reg:1:21: bearer is yes or no, not "true"`},
		{"shop.example bearer=no bearer=yes", `reg:1:24: key "bearer" is given twice`},
		{"shop.example bearer", `reg:1:14: "bearer" is not of the form key=value`},
		{"bücher.example since=tomorrow", `reg:1:22: "tomorrow" is not a date or a time such as 2026-01-15T09:00:00Z`},
		{"shop.example until=2026-01-01 since=2026-01-01", `reg:1:20: until has to be later than since`},
		{"\nshop..example", `reg:2:1: "shop..example" is not a domain`},
		{"-shop.example", `reg:1:1: "-shop.example" is not a domain`},
		{"192.0.2.1", `reg:1:1: "192.0.2.1" is an IP address, not a domain`},
		{"a b@shop.example", `reg:1:3: "b@shop.example" is not of the form key=value`},
		{"a..b@shop.example", `reg:1:1: "a..b@shop.example" is not an address: bad local part`},
		{`"a"b"@shop.example`, `reg:1:1: "\"a\"b\"@shop.example" is not an address: bad local part`},
		{"@shop.example", `reg:1:1: "@shop.example" is not an address: bad local part`},
		{"noreply@", `reg:1:1: "noreply@" is not an address: "" is not a domain`},
		{strings.Repeat("a", 65) + "@x.example", `reg:1:1: "` + strings.Repeat("a", 65) + `@x.example" is not an address: bad local part`},
		{"shop.example \x1b[31m", `reg:1:14: the line has a control character or is not UTF-8: '\x1b'`},
		{"shop.example \xff", `reg:1:14: the line has a control character or is not UTF-8: '\ufffd'`},
		{strings.Repeat("a", 5000), "reg:1:1: the line is longer than 4096 octets"},
		{
			"shop.exmple bearer=ja until=x\nx\nshop.example acts=y",
			"reg:1:20: bearer is yes or no, not \"ja\"\n" +
				"reg:1:29: \"x\" is not a date or a time such as 2026-01-15T09:00:00Z\n" +
				"reg:3:14: unknown key \"acts\"; known are actions, bearer, since, until",
		},
	}
	for _, tt := range tests {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			reg, errs := Parse("reg", tt.src)
			var lines []string
			for _, e := range errs {
				lines = append(lines, e.Error())
			}
			if got := strings.Join(lines, "\n"); got != tt.want {
				t.Errorf("%q:\ngot  %s\nwant %s", tt.src, got, tt.want)
			}
			if reg != nil {
				t.Errorf("%q: there is a registry beside errors", tt.src)
			}
		})
	}
}

func TestParseStops(t *testing.T) {
	t.Parallel()
	_, errs := Parse("reg", strings.Repeat("!\n", 500))
	last := errs[len(errs)-1]
	if len(errs) != maxErrors+1 || !strings.Contains(last.Msg, "reading stops here") {
		t.Errorf("%d errors, the last is %v", len(errs), last)
	}
	_, errs = Parse("reg", strings.Repeat("shop.example\n", maxRegistrations+1))
	if len(errs) != 1 || errs[0].Line != maxRegistrations+1 {
		t.Errorf("got %v, want one error at the first registration too many", errs)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("noreply@shop.example actions=ConfirmAction bearer=yes since=2026-01-01 until=2026-12-31T00:00:00Z")
	f.Add("# x\r\n\"a@b\"@bücher.example bearer=no\nshop.example acts=1 bearer")
	f.Add("a\tb\xff\n=\n#")
	f.Fuzz(func(t *testing.T, text string) {
		reg, errs := Parse("reg", text)
		lines := strings.Split(text, "\n")
		for _, e := range errs {
			src := lines[e.Line-1]
			if e.Col < 1 || e.Col > utf8.RuneCountInString(src)+1 || !strings.HasPrefix(src, e.Src) {
				t.Fatalf("%v is outside of line %q", e, src)
			}
		}
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		for _, r := range reg {
			if !r.Until.IsZero() && !r.Until.After(r.Since) {
				t.Fatalf("accepted an empty period: %+v", r)
			}
			// What is accepted is written in one way, and covers its own sender.
			again, errs := ParseWords(r.From, nil)
			if len(errs) > 0 || again.From != r.From {
				t.Fatalf("%q is read again as %q, %v", r.From, again.From, errs)
			}
			from := policy.Address{Addr: r.From, Domain: r.From[strings.LastIndexByte(r.From, '@')+1:]}
			if !strings.Contains(r.From, "@") {
				from.Addr = "x@" + r.From
			}
			if _, reason := (policy.Registry{{From: r.From}}).Lookup(from, "ConfirmAction", at); reason != policy.ReasonRegistered {
				t.Fatalf("%q does not cover itself: %s", r.From, reason)
			}
		}
	})
}

func ExampleParse() {
	_, errs := Parse("senders", "noreply@shop.example actions=ConfrimAction bearer=maybe")
	for _, e := range errs {
		fmt.Println(e)
	}
	// Output:
	// senders:1:30: unknown action type "ConfrimAction"; did you mean "ConfirmAction"?
	// senders:1:51: bearer is yes or no, not "maybe"
}
