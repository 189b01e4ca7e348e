package mailauth

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/dnszone"
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
a@b.macro.example.m.example A 127.0.0.2
xn--bcher-kva.example TXT "v=spf1 +all"
helo.example TXT "v=spf1 a -all"
helo.example A 192.0.2.7
`

// spfOf evaluates SPF.
func spfOf(r Resolver, a policy.Arrival) policy.SPF {
	return spfCheck{res: r, now: at(1_700_000_000), receiver: "mx.gmail.test"}.checkSPF(context.Background(), a)
}

func problemOf(record string) string {
	_, problem := parseSPF(record)
	return problem
}

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
		s := spfOf(r, a)
		got := string(s.Result) + " " + s.Identity + " " + s.Domain + " " + s.Mechanism
		if got != tt.want || !strings.Contains(s.Problem, tt.problem) || tt.problem == "" && s.Problem != "" {
			t.Errorf("%s %s <%s>:\n got %q (%s)\nwant %q (%s)", tt.peer, tt.helo, tt.from, got, s.Problem, tt.want, tt.problem)
		}
		if s.Domain == "shop.example" && s.Result == policy.AuthPass && !strings.HasPrefix(s.Record, "v=spf1 ip4:") {
			t.Errorf("record %q", s.Record)
		}
	}
}

// TestSPFTerms holds what the library does not do by itself: each record is
// judged for a peer of either family.
func TestSPFTerms(t *testing.T) {
	t.Parallel()
	label := strings.Repeat("x", 60)
	// Five labels of 60 octets are cut to three, as a name has 253.
	r := resolver(t, label+"."+label+"."+label+".end.example A 127.0.0.2"+`
slash.example TXT "v=spf1 a:mail/x.example/24 -all"
mapped.example TXT "v=spf1 ip6:::ffff:0:0/96 ip4:198.51.100.0/24 -all"
void.example TXT "v=spf1 a:six.example mx:six.example a:six.example +all"
voidsix.example TXT "v=spf1 exists:six.example exists:six.example exists:six.example +all"
six.example AAAA 2001:db8::1
six.example MX 10 six.example
half.example TXT "v=spf1 a:half.host.example -all"
half.host.example A 192.0.2.10
half.host.example FAULT servfail AAAA
name.example TXT "v=spf1 ptr:%{d} exists:%{p}.%{d2r}.seen.example -all"
10.2.0.192.in-addr.arpa PTR other.example
10.2.0.192.in-addr.arpa PTR liar.name.example
10.2.0.192.in-addr.arpa PTR mail.name2.example
other.example A 192.0.2.10
mail.name2.example A 192.0.2.10
liar.name.example A 192.0.2.11
name2.example TXT "v=spf1 exists:%{p}.seen.example -all"
mail.name2.example.seen.example A 127.0.0.2
literal.example TXT "v=spf1 a:%{i} -all"
long.example TXT "v=spf1 exists:%{l}.%{l}.%{l}.%{l}.%{l}.end.example -all"
single.example TXT "v=spf1 include:%{h} -all"
localhost TXT "v=spf1 +all"
empty.example TXT "v=spf1 exists:%{l}.empty.seen.example -all"
url.example TXT "v=spf1 exists:%{L}.url.seen.example -all"
a%2Bb%21.url.seen.example A 127.0.0.2
sub.chain.example TXT "v=spf1 a:%{d}.host.example redirect=%{d2}"
chain.example TXT "v=spf1 a:%{d}.host.example -all"
chain.example.host.example A 192.0.2.10
`)
	for _, tt := range []struct{ peer, from, want string }{
		{"192.0.2.10", "a@slash.example", "fail all"},
		{"192.0.2.10", "a@mapped.example", "fail all"},
		{"198.51.100.1", "a@mapped.example", "pass ip4:198.51.100.0/24"},
		{"2001:db8::9", "a@mapped.example", "fail all"},
		{"2001:db8::1", "a@void.example", "pass a:six.example"},
		{"2001:db8::9", "a@void.example", "pass all"},
		{"192.0.2.10", "a@void.example", "pass all"}, // Two: that of mx has an answer.
		{"192.0.2.10", "a@voidsix.example", "permerror "},
		{"2001:db8::1", "a@voidsix.example", "permerror "},
		{"192.0.2.10", "a@half.example", "pass a:half.host.example"},
		{"2001:db8::1", "a@half.example", "temperror "},
		{"192.0.2.10", "a@name.example", "fail all"},
		{"192.0.2.10", "a@name2.example", "pass exists:%{p}.seen.example"},
		{"192.0.2.11", "a@name2.example", "fail all"},
		{"192.0.2.10", "a@literal.example", "fail all"}, // No name is an address.
		{"192.0.2.10", label + "@long.example", "pass exists:%{l}.%{l}.%{l}.%{l}.%{l}.end.example"},
		{"192.0.2.10", "a@single.example", "permerror "},
		{"192.0.2.10", ".a@empty.example", "fail all"},
		{"192.0.2.10", "a+b!@url.example", "pass exists:%{L}.url.seen.example"},
		{"192.0.2.10", "a@sub.chain.example", "pass a:%{d}.host.example"},
	} {
		a := policy.Arrival{HELO: "localhost", MailFrom: tt.from, Peer: netip.MustParseAddr(tt.peer)}
		if s := spfOf(r, a); string(s.Result)+" "+s.Mechanism != tt.want {
			t.Errorf("%s <%s>: got %s %s (%s), want %s", tt.peer, tt.from, s.Result, s.Mechanism, s.Problem, tt.want)
		}
	}
}

// TestSPFExplanation holds what a domain may say of a fail, and what may not get
// into a reply.
func TestSPFExplanation(t *testing.T) {
	t.Parallel()
	z := zone(t, `
shop.example TXT "v=spf1 exp=why.%{d} include:other.example -all"
why.shop.example TXT "%{i} is not ours, %{s} (%{h}): see %_%%%-. Asked by %{r} at %{t}, as %{c}"
other.example TXT "v=spf1 exp=why.shop.example -all"
silent.example TXT "v=spf1 include:shop.example ~include:shop.example -all"
redirected.example TXT "v=spf1 exp=gone.example redirect=shop.example"
soft.example TXT "v=spf1 exp=why.shop.example ~all"
two.example TXT "v=spf1 exp=lines.example -all"
lines.example TXT "one"
lines.example TXT "two"
down.example TXT "v=spf1 exp=fault.example -all"
fault.example FAULT servfail
wrong.example TXT "v=spf1 exp=macro.example -all"
macro.example TXT "%{z}"
local.example TXT "v=spf1 exp=text.local.example -all"
text.local.example TXT "%{l}"
`)
	for name, text := range map[string]string{
		"ctl.example": "a\r\n250 b", "utf.example": "caf\u00e9", "much.example": strings.Repeat("much ", 200),
	} {
		if err := errors.Join(z.AddTXT(name, "v=spf1 exp=why."+name+" -all"), z.AddTXT("why."+name, text)); err != nil {
			t.Fatal(err)
		}
	}
	r := dnszone.NewResolver(z, dnszone.Options{})
	const why = "192.0.2.1 is not ours, a@shop.example (h.example): see  %%20. Asked by mx.gmail.test at 1700000000, as 192.0.2.1"
	for from, want := range map[string]string{
		"a@shop.example":       why,
		"a@redirected.example": strings.Replace(why, "a@shop", "a@redirected", 1),
		"a@silent.example":     "", "a@soft.example": "", "a@two.example": "", "a@down.example": "", "a@wrong.example": "",
		"a@ctl.example": "", "a@utf.example": "", "a@much.example": strings.Repeat("much ", 80)[:maxExplanation-3] + "...",
		"a\x00b@local.example": "", "a b@local.example": "a b",
	} {
		a := policy.Arrival{HELO: "h.example", MailFrom: from, Peer: netip.MustParseAddr("192.0.2.1")}
		if s := spfOf(r, a); s.Explanation != want {
			t.Errorf("<%s>: %s, explained %q, want %q", from, s.Result, s.Explanation, want)
		}
	}
}

func TestParseSPF(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"v=spf1", "v=spf1 ", "V=SPF1  +A  ?MX:a.example//64 -all", "v=spf1 a/24//64 mx/0 a:%{d}/8 ptr ptr:a.b", "v=spf1 ip4:1.2.3.4/32 ip6:::1/128",
		"v=spf1 exists:%{ir}.%{v}._spf.%{d2} redirect=_spf.example.com", "v=spf1 exp=x.%{d} unknown=%{l}%%%_%- moo.cow-far_out=x -all",
		"v=spf1 include:a.b. include:_a.xn--p1ai", "v=spf1 a:foo:bar/baz.example.com",
	} {
		if problem := problemOf(good); problem != "" {
			t.Errorf("%q: %s", good, problem)
		}
	}
	for _, bad := range []string{
		"all:x", "all/8", "all.", "include", "include:", "include/24", "exists", "ip4", "ip4:", "ip4:1.2.3", "ip4:::1", "ip4:1.2.3.4/33", "ip4:1.2.3.4/08",
		"ip6:1.2.3.4", "ip6:::1/129", "ip6:fe80::1%eth0", "a:", "a/", "a/33", "a//129", "a:b", "a:b.1", "a:b.-c", "a:.c", "mx:a.b/99", "ptr/8", "ptr:",
		"include:%", "include:%{", "include:%{x}", "include:%{d0}", "include:%{c}", "include:%a", "include:a.b}", "a:a\x80.b", "redirect=", "redirect=a.b redirect=a.b",
		"exp=a.b exp=a.b", "bogus", "1x=y", "--all", "=x", "a:b.c\tall",
	} {
		if problemOf("v=spf1 "+bad) == "" {
			t.Errorf("%q: no problem", bad)
		}
	}
}
