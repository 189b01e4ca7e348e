package message

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestAddresses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		value string
		want  []string // name|address|domain
		err   string   // Part of it.
	}{
		{"a@b.example", []string{`|a@b.example|b.example`}, ""},
		{"Shop <A.B@Shop.EXAMPLE>", []string{`Shop|A.B@shop.example|shop.example`}, ""},
		{"a@b.example, C D <c@d.example>", []string{`|a@b.example|b.example`, `C D|c@d.example|d.example`}, ""},
		{`"D, E" <d@e.example>`, []string{`D, E|d@e.example|e.example`}, ""},
		{`"a \"q\"" <d@e.example>`, []string{`a "q"|d@e.example|e.example`}, ""},
		{`"a b"@c.example`, []string{`|"a b"@c.example|c.example`}, ""},
		{`"a@b"@c.example`, []string{`|"a@b"@c.example|c.example`}, ""},
		{"a@b.example (C D)", []string{`C D|a@b.example|b.example`}, ""},
		{"a(x(y)) @ (z) b . example", []string{`z|a@b.example|b.example`}, ""},
		{"<@r.example,@s.example:a@b.example>", []string{`|a@b.example|b.example`}, ""},
		{"G: a@b.example, C <c@d.example>;", []string{`|a@b.example|b.example`, `C|c@d.example|d.example`}, ""},
		{"undisclosed-recipients:;", nil, ""},
		{", a@b.example,,", []string{`|a@b.example|b.example`}, ""},
		{"=?utf-8?q?Gesch=C3=A4ft?= <a@b.example>", []string{`Geschäft|a@b.example|b.example`}, ""},
		{"=?utf-8?q?a?= =?utf-8?q?b?= <a@b.example>", []string{`ab|a@b.example|b.example`}, ""},
		{"a@bücher.example", []string{`|a@xn--bcher-kva.example|xn--bcher-kva.example`}, ""},
		{"a@[192.0.2.1]", []string{`|a@[192.0.2.1]|[192.0.2.1]`}, ""},
		{"Dr. X <a@b.example>", []string{`Dr. X|a@b.example|b.example`}, ""},
		{"A\r\n <a@b.example>", []string{`A|a@b.example|b.example`}, ""},

		{"x@y.example <a@b.example>", []string{`x@y.example|a@b.example|b.example`}, "in a display name"},
		{"a@b.example; c@d.example", []string{`|a@b.example|b.example`, `|c@d.example|d.example`}, "semicolon"},
		{"G: a@b.example", []string{`|a@b.example|b.example`}, "a group does not end"},
		{"<a@b.example", []string{`|a@b.example|b.example`}, "angle bracket is missing"},
		{"<a@b.example> x", []string{`|a@b.example|b.example`}, "text after"},
		{"=?nonsense?q?x?= <a@b.example>", []string{`=?nonsense?q?x?=|a@b.example|b.example`}, "unknown charset"},
		{"root", nil, "no address"},
		{"A <>", nil, "no address"},
		{"a@", nil, "no address"},
		{"@b.example", nil, "no address"},
		{"a@.", nil, "empty label"},
		{"a@b.example.", nil, "empty label"},
		{"a@b.example..", nil, "empty label"},
		{"a@b..example", nil, "empty label"},
		{"a@.b.example", nil, "empty label"},
		{"a@bücher.example。", nil, "empty label"},
		{"a@\u00ad", nil, "empty label"}, // A soft hyphen, which is mapped to nothing.
		{"a@b.example., c@d.example", []string{`|c@d.example|d.example`}, "empty label"},
		{"a@" + strings.Repeat("b.", 126) + "bbb", []string{"|a@" + strings.Repeat("b.", 126) + "bbb|" + strings.Repeat("b.", 126) + "bbb"}, ""},
		{"a@" + strings.Repeat("b.", 126) + "bbbb", nil, "more than 255"},
		{"a b@c.example", nil, "several words"},
		{"a@b.example c.example", nil, "several words"},
		{"a@b@c.example", nil, "unexpected"},
		{`a@"b.example"`, nil, "unexpected"},
		{"a@b.[192.0.2.1]", nil, "unexpected"},
		{"a\x00@b.example", nil, "control"},
		{"<a@b.example><c@d.example>", []string{`|c@d.example|d.example`}, "second angle bracket"},
		{`"A <a@b.example>`, nil, `closing "`},
		{"(a@b.example", nil, "parenthesis"},
		{strings.Repeat("(", 30) + "a@b.example", nil, "nested"},
		{"a@b.example: c@d.example;", []string{`|c@d.example|d.example`}, "no address"},
		{strings.Repeat("a@b.example,", 50_000), nil, "more than 512000 octets"},
		{strings.Repeat("a@b.example,", maxAddresses), slices.Repeat([]string{`|a@b.example|b.example`}, maxAddresses), ""},
		{strings.Repeat("a@b.example,", maxAddresses+1), slices.Repeat([]string{`|a@b.example|b.example`}, maxAddresses), "more than 5000 addresses"},
		{"A: " + strings.Repeat("a@b.example,", maxAddresses+1) + ";", slices.Repeat([]string{`|a@b.example|b.example`}, maxAddresses), "more than 5000 addresses"},
	}
	for _, tt := range tests {
		got, err := Addresses(tt.value)
		var list []string
		for _, a := range got {
			list = append(list, a.Name+"|"+a.Addr+"|"+a.Domain)
		}
		if !slices.Equal(list, tt.want) {
			t.Errorf("%.80q: %q, want %q", tt.value, list, tt.want)
		}
		if (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%.80q: error %v, want %q", tt.value, err, tt.err)
		}
	}
}

func TestDomainOf(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"":                                 "",
		"a":                                "",
		"a@":                               "",
		"a@B.Example.":                     "b.example",
		"a@b.example..":                    "b.example..",
		"a@.":                              "",
		"a@b。example。":                     "b.example",
		"@r.example:a@b.example":           "b.example",
		`"a@b"@c.example`:                  "c.example",
		`"a@b"`:                            "",
		"a@bücher.example":                 "xn--bcher-kva.example",
		"a@XN--BCHER-KVA.example":          "xn--bcher-kva.example",
		"a@ü＠b.example":                    "ü＠b.example",
		"a@[IPv6:2001:DB8::1]":             "[ipv6:2001:db8::1]",
		"SRS0=x=y=b.example=a@fwd.example": "fwd.example",
	} {
		if got := DomainOf(addr); got != want {
			t.Errorf("%q: %q, want %q", addr, got, want)
		}
	}
}

// repetitive returns values of address fields in which one thing stands very
// often.
func repetitive() []string {
	const n = 10_000
	list := []string{strings.Repeat("a ", 6*n) + strings.Repeat("<a@b>", 6*n)} // Almost as long as is read.
	for _, s := range []string{"<", "<a", "<a@b>", "a ", "@", ":", "a:", "a:;", "(", "()", "((a)", "\"", "\\", "\"a\"", "[", "[]", ".", "a@b,", "a@b;", "=?x?q?", "=?x?q?=Z?= ", "=?utf-8?q?a?= ", "ü", "a@ü。", "\r\n "} {
		list = append(list, strings.Repeat(s, n), "a@"+strings.Repeat(s, n), strings.Repeat(s, n)+"=Z?= <a@b>")
	}
	return list
}

// TestAddressesRepetitive: whatever stands often, the work is that of a long
// field, and no problem quotes more than a little. BenchmarkAddresses measures
// the former.
func TestAddressesRepetitive(t *testing.T) {
	t.Parallel()
	for _, s := range repetitive() {
		list, err := Addresses(s)
		if len(list) > maxAddresses || err != nil && len(err.Error()) > 10*maxQuote {
			t.Errorf("%.20q: %d addresses, error %.200v", s, len(list), err)
		}
	}
}

// BenchmarkAddresses reports as ns/octet what must not depend on the size.
func BenchmarkAddresses(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 60_000} {
		value := strings.Repeat("a ", n) + strings.Repeat("<a@b>", n)
		b.Run(strconv.Itoa(len(value)), func(b *testing.B) {
			for b.Loop() {
				if _, err := Addresses(value); err == nil {
					b.Fatal("no error")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(value)), "ns/octet")
		})
	}
}

func FuzzAddresses(f *testing.F) {
	for _, s := range []string{"a@b.example", `G: "x" <@r:a@b>, (c) d@[e] ;`, `d@[ed@[]`, "=?utf-8?q?x?= <a@bücher.example.>", `<"a@b"@c>`} {
		f.Add(s)
	}
	for _, s := range repetitive() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		list, err := Addresses(s)
		if err != nil && len(err.Error()) > 10*maxQuote {
			t.Errorf("an error of %d octets", len(err.Error()))
		}
		if len(list) > 100 {
			list = list[:100] // Each costs much more here than there.
		}
		for _, a := range list {
			again, err := Addresses("<" + a.Addr + ">")
			if err != nil || len(again) != 1 || again[0].Addr != a.Addr {
				t.Errorf("%q is read again as %q: %v", a.Addr, again, err)
			}
			if got := DomainOf(a.Addr); got != a.Domain && !strings.ContainsAny(a.Domain, "\"<> \t") {
				t.Errorf("DomainOf(%q) = %q, want %q", a.Addr, got, a.Domain)
			}
		}
		if len(list) == 0 && err == nil && strings.ContainsRune(s, '@') && !strings.ContainsAny(s, "(:\"[,;") {
			t.Errorf("%q: no address and no error", s)
		}
	})
}
