package smtpserver

import (
	"strings"
	"testing"
)

func TestForwardPath(t *testing.T) {
	t.Parallel()
	tests := []struct {
		path string
		utf8 bool
		want string // Empty: not valid.
	}{
		{"a@b.example", false, "a@b.example"},
		{"A.b+c_d=e@B.Example", false, "A.b+c_d=e@B.Example"},
		{strings.Repeat("l", 300) + "@b.example", false, strings.Repeat("l", 300) + "@b.example"},
		{"postMASTER", false, "postMASTER"},
		{"@r.example:a@b.example", false, "a@b.example"},
		{"a@[192.0.2.1]", false, "a@[192.0.2.1]"},
		{"a@[IPv6:2001:db8::1]", false, "a@[IPv6:2001:db8::1]"},
		{`"a@evil.example"@v.example`, false, `"a@evil.example"@v.example`},
		{`"a b\"c\\"@v.example`, false, `"a b\"c\\"@v.example`},
		{"ä@b.example", true, "ä@b.example"},
		{"a@bücher.example", true, "a@bücher.example"},
		{"ä@b.example", false, ""},
		{"a@bücher.example", false, ""},
		{"a\xff@b.example", true, ""},
		{"a\u0085@b.example", true, ""},
		{"", false, ""},
		{"someone", false, ""},
		{"a@", false, ""},
		{"@b.example", false, ""},
		{"a@b@c.example", false, ""},
		{`"a"b@c.example`, false, ""},
		{`"a@c.example`, false, ""},
		{"a..b@c.example", false, ""},
		{".a@c.example", false, ""},
		{"a.@c.example", false, ""},
		{"a b@c.example", false, ""},
		{"a@c.example.", false, ""},
		{"a@ c.example", false, ""},
		{"a@b.example, a@c.example", false, ""},
		{"a@-c.example", false, ""},
		{"a@c_d.example", false, ""},
		{"a@" + strings.Repeat("l", 64) + ".example", false, ""},
		{"a@" + strings.Repeat("l.", 128) + "example", false, ""},
		{"a@[192.0.2.1", false, ""},
		{"a@[::1]", false, ""},
		{"a@[IPv6:fe80::1%eth0]", false, ""},
		{"@r.example,r2.example:a@b.example", false, ""},
	}
	for _, tt := range tests {
		got, ok := forwardPath(tt.path, tt.utf8)
		if !ok {
			got = ""
		}
		if got != tt.want {
			t.Errorf("forwardPath(%q, %v) = %q, want %q", tt.path, tt.utf8, got, tt.want)
		}
	}
}

// FuzzPath: what is accepted is one path, whole, with nothing that could break
// out of angle brackets or a header line.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"<a@b.example> SIZE=1", "<>", `<"a>b"@c.example>`, "<@r.example:a@b.example>", "<ä@bücher.example>", `<"\`} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, s string, utf8 bool) {
		path, rest, ok := cutPath(s)
		if !ok {
			return
		}
		if "<"+path+">"+rest != s {
			t.Fatalf("cutPath(%q) = %q, %q", s, path, rest)
		}
		addr, ok := reversePath(path, utf8)
		if !ok || addr == "" {
			return
		}
		if !strings.HasSuffix(path, addr) || strings.ContainsAny(addr, "\r\n\x00") {
			t.Fatalf("reversePath(%q) = %q", path, addr)
		}
		again, rest, ok := cutPath("<" + addr + ">")
		if !ok || again != addr || rest != "" {
			t.Fatalf("%q does not survive brackets: %q, %q", addr, again, rest)
		}
		if at := strings.LastIndexByte(addr, '@'); at < 1 || !strings.HasPrefix(addr, `"`) && strings.Count(addr, "@") != 1 {
			t.Fatalf("reversePath(%q) = %q: no single domain", path, addr)
		}
	})
}
