package mailauth

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
)

const spfZone = `
shop.example TXT "v=spf1 ip4:192.0.2.0/24 include:esp.example ?ip4:203.0.113.9 -all"
shop.example TXT "other=text"
esp.example TXT "v=spf1 a:mail.esp.example ~all"
mail.esp.example A 198.51.100.1
redirect.example TXT "v=spf1 redirect=esp.example"
open.example TXT "v=spf1 mx"
two.example TXT "v=spf1 -all"
two.example TXT "v=spf1 +all"
late.example TXT "v=spf1 +all bogus:x"
inclate.example TXT "v=spf1 include:late.example -all"
down.example FAULT servfail
incdown.example TXT "v=spf1 include:down.example -all"
deep.example TXT "v=spf1 include:deep.example -all"
macro.example TXT "v=spf1 exists:%{l}.%{o}.m.example -all"
postmaster.macro.example.m.example A 127.0.0.2
a=40b.macro.example.m.example A 127.0.0.2
xn--bcher-kva.example TXT "v=spf1 +all"
helo.example TXT "v=spf1 a -all"
helo.example A 192.0.2.7
`

func TestSPF(t *testing.T) {
	t.Parallel()
	r := resolver(t, spfZone)
	for _, tt := range []struct {
		peer, helo, from string
		want             string // Result, identity and domain, then the mechanism.
		problem          string // A part of it.
	}{
		{"192.0.2.10", "h.example", "a@shop.example", "pass mailfrom shop.example ip4:192.0.2.0/24", ""},
		{"::ffff:192.0.2.10", "h.example", "a@SHOP.example", "pass mailfrom shop.example ip4:192.0.2.0/24", ""},
		{"198.51.100.1", "h.example", "a@shop.example", "pass mailfrom shop.example include:esp.example", ""},
		{"203.0.113.9", "h.example", "a@shop.example", "neutral mailfrom shop.example ip4:203.0.113.9", ""},
		{"203.0.113.1", "h.example", "a@shop.example", "fail mailfrom shop.example all", ""},
		{"203.0.113.1", "h.example", "a@redirect.example", "softfail mailfrom redirect.example all", ""},
		{"203.0.113.1", "h.example", "a@open.example", "neutral mailfrom open.example ", ""},
		{"203.0.113.1", "h.example", "a@mail.esp.example", "none mailfrom mail.esp.example ", ""},
		{"203.0.113.1", "h.example", "a@nowhere.example", "none mailfrom nowhere.example ", ""},
		{"203.0.113.1", "h.example", "a@two.example", "permerror mailfrom two.example ", "several"},
		{"203.0.113.1", "h.example", "a@late.example", "permerror mailfrom late.example ", `"bogus:x": no such mechanism`},
		{"203.0.113.1", "h.example", "a@inclate.example", "permerror mailfrom inclate.example ", "record of late.example"},
		{"203.0.113.1", "h.example", "a@down.example", "temperror mailfrom down.example ", "server misbehaving"},
		{"203.0.113.1", "h.example", "a@incdown.example", "temperror mailfrom incdown.example ", "server misbehaving"},
		{"203.0.113.1", "h.example", "a@deep.example", "permerror mailfrom deep.example ", "limit"},
		{"192.0.2.7", "helo.example", "", "pass helo helo.example a", ""},
		{"192.0.2.8", "helo.example", "", "fail helo helo.example all", ""},
		{"203.0.113.1", "macro.example", "", "pass helo macro.example exists:%{l}.%{o}.m.example", ""},
		{"203.0.113.1", "h.example", "@macro.example", "pass mailfrom macro.example exists:%{l}.%{o}.m.example", ""},
		{"203.0.113.1", "h.example", "a@b@macro.example", "pass mailfrom macro.example exists:%{l}.%{o}.m.example", ""},
		{"203.0.113.1", "h.example", "a@bücher.example", "pass mailfrom xn--bcher-kva.example all", ""},
		{"203.0.113.1", "[203.0.113.1]", "", "none helo [203.0.113.1] ", "cannot be looked up"},
		{"203.0.113.1", "localhost", "", "none helo localhost ", "cannot be looked up"},
		{"203.0.113.1", "h.example", "a@shop.example.", "none mailfrom shop.example ", "cannot be looked up"},
		{"203.0.113.1", "h.example", "a@shop..example", "none mailfrom shop..example ", "cannot be looked up"},
		{"203.0.113.1", "h.example", "postmaster", "none mailfrom  ", "cannot be looked up"},
		{"", "h.example", "a@shop.example", "none mailfrom shop.example ", "not known"},
	} {
		a := policy.Arrival{HELO: tt.helo, MailFrom: tt.from}
		a.Peer, _ = netip.ParseAddr(tt.peer)
		s := checkSPF(context.Background(), r, a)
		got := string(s.Result) + " " + s.Identity + " " + s.Domain + " " + s.Mechanism
		if got != tt.want || !strings.Contains(s.Problem, tt.problem) || tt.problem == "" && s.Problem != "" {
			t.Errorf("%s %s <%s>:\n got %q (%s)\nwant %q (%s)", tt.peer, tt.helo, tt.from, got, s.Problem, tt.want, tt.problem)
		}
		if s.Domain == "shop.example" && s.Result == policy.AuthPass && !strings.HasPrefix(s.Record, "v=spf1 ip4:") {
			t.Errorf("record %q", s.Record)
		}
	}
}

func TestLintSPF(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"v=spf1", "v=spf1 ", "V=SPF1  +A  ?MX:a.example//64 -all", "v=spf1 a/24//64 mx/0 a:%{d}/8 ptr ptr:a.b", "v=spf1 ip4:1.2.3.4/32 ip6:::1/128",
		"v=spf1 exists:%{ir}.%{v}._spf.%{d2} redirect=_spf.example.com", "v=spf1 exp=x.%{d} unknown=%{l}%%%_%- moo.cow-far_out=x -all",
		"v=spf1 include:a.b. include:_a.xn--p1ai", "v=spf1 a:foo:bar/baz.example.com",
	} {
		if problem := lintSPF(good); problem != "" {
			t.Errorf("%q: %s", good, problem)
		}
	}
	for _, bad := range []string{
		"all:x", "all/8", "all.", "include", "include:", "include/24", "exists", "ip4", "ip4:", "ip4:1.2.3", "ip4:::1", "ip4:1.2.3.4/33", "ip4:1.2.3.4/08",
		"ip6:1.2.3.4", "ip6:::1/129", "ip6:fe80::1%eth0", "a:", "a/", "a/33", "a//129", "a:b", "a:b.1", "a:b.-c", "a:.c", "mx:a.b/99", "ptr/8", "ptr:",
		"include:%", "include:%{", "include:%{x}", "include:%{d0}", "include:%{c}", "include:%a", "include:a.b}", "a:a\x80.b", "redirect=", "redirect=a.b redirect=a.b",
		"exp=a.b exp=a.b", "bogus", "1x=y", "--all", "=x", "a:b.c\tall",
	} {
		if lintSPF("v=spf1 "+bad) == "" {
			t.Errorf("%q: no problem", bad)
		}
	}
}
