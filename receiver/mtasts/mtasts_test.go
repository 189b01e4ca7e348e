package mtasts_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/receiver/mtasts"
)

// The policy of RFC 8461 section 3.2, in its words.
const sample = "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.Example.net\r\nmx: backupmx.example.com\r\nmax_age: 604800\r\n"

func TestParse(t *testing.T) {
	t.Parallel()
	p, err := mtasts.Parse([]byte(sample))
	if err != nil || p.Mode != mtasts.Enforce || p.MaxAge != 7*24*time.Hour || !slices.Equal(p.Hosts, []string{"mail.example.com", "*.example.net", "backupmx.example.com"}) ||
		!slices.Equal(p.Lines, []string{"version: STSv1", "mode: enforce", "mx: mail.example.com", "mx: *.Example.net", "mx: backupmx.example.com", "max_age: 604800"}) {
		t.Errorf("got %+v, %v", p, err)
	}
	for host, want := range map[string]bool{
		"mail.example.com": true, "MAIL.example.com.": true, "a.example.net": true, "example.net": false, "a.b.example.net": false,
		"example.com": false, "x.mail.example.com": false, "": false,
	} {
		if got := p.Permits(host); got != want {
			t.Errorf("%q: %t", host, got)
		}
	}
}

func TestParseOthers(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, old, new, problem string }{
		{"only line feeds", "\r\n", "\n", ""},
		{"no space after the colon", ": ", ":", ""},
		{"another field", "mode: enforce\r\n", "mode: enforce\r\nx-note: a b\r\n", ""},
		{"mode twice: the first counts", "mode: enforce\r\n", "mode: enforce\r\nmode: foo\r\n", ""},
		{"none without mx", "enforce\r\nmx: mail.example.com\r\nmx: *.Example.net\r\nmx: backupmx.example.com\r\n", "none\r\n", ""},
		{"version", "STSv1", "STSv2", "version is"},
		{"mode", "enforce", "Enforce", "mode is"},
		{"no max_age", "max_age", "age", "max_age is"},
		{"max_age of more than a year", "604800", "31557601", "max_age is"},
		{"max_age below zero", "604800", "-1", "max_age is"},
		{"no mx", "mx:", "xm:", "there is no mx"},
		{"mx of an address", "mail.example.com", "[192.0.2.1]", "is no pattern"},
		{"mx with a star inside", "*.Example.net", "mx*.example.net", "is no pattern"},
		{"no field", "mode: enforce", "enforce", "is no field"},
		{"NUL", "enforce", "enf\x00orce", "is no field"},
		{"too large", "max_age", strings.Repeat("x: y\r\n", 20_000) + "max_age", "octets"},
		{"too many hosts", "max_age", strings.Repeat("mx: a.example\r\n", 200) + "max_age", "one too many"},
		{"HTML", sample, "<html>", "is no field"},
		{"empty", sample, "", "version is"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := mtasts.Parse([]byte(strings.ReplaceAll(sample, tt.old, tt.new)))
			if (err == nil) != (tt.problem == "") || err != nil && !strings.Contains(err.Error(), tt.problem) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestRecord(t *testing.T) {
	t.Parallel()
	tests := []struct {
		texts []string
		id    string
	}{
		{[]string{"v=STSv1; id=20260115T000000;"}, "20260115T000000"},
		{[]string{"v=STSv1;id=1"}, "1"},
		{[]string{"v=spf1 -all", "v=STSv1; x=y; id=1"}, "1"},
		{[]string{"v=STSv1; id=1", "v=STSv1; id=1"}, ""},
		{[]string{"v=STSv1"}, ""},
		{[]string{"v=STSv1; id="}, ""},
		{[]string{"v=STSv1; id=a-b"}, ""},
		{[]string{"v=STSv1; id=" + strings.Repeat("a", 33)}, ""},
		{[]string{"v=STSv11; id=1"}, ""},
		{nil, ""},
	}
	for _, tt := range tests {
		if id, ok := mtasts.Record(tt.texts); id != tt.id || ok != (tt.id != "") {
			t.Errorf("%q: %q, %t", tt.texts, id, ok)
		}
	}
}

// Whatever is read keeps what a policy promises.
func FuzzParse(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("version:STSv1\nmode:none\nmax_age:0"))
	f.Fuzz(func(t *testing.T, text []byte) {
		mtasts.Record([]string{string(text)})
		p, err := mtasts.Parse(text)
		if err != nil {
			return
		}
		again, err := mtasts.Parse([]byte(strings.Join(p.Lines, "\n")))
		if err != nil || again.Mode != p.Mode || again.MaxAge != p.MaxAge || !slices.Equal(again.Hosts, p.Hosts) {
			t.Errorf("%q: read again it is %+v, %v", text, again, err)
		}
		for _, h := range p.Hosts {
			if !p.Permits(strings.Replace(h, "*", "a", 1)) {
				t.Errorf("%q: %q does not fit itself", text, h)
			}
		}
	})
}
