package mailauth

import (
	"slices"
	"strings"
	"testing"
)

func TestPublishedPolicy(t *testing.T) {
	t.Parallel()
	got, ok := ParseDMARC("v=DMARC1; p=reject; np=none; t=y; adkim=s; fo=1 : d; rua=mailto:a@b.example!10m , https://c.example/")
	if !ok || got.P != "reject" || got.SP != "reject" || got.NP != "none" || !got.Testing || !got.StrictDKIM || got.StrictSPF || got.FO != "1:d" ||
		!slices.Equal(got.RUA, []string{"mailto:a@b.example", "https://c.example/"}) || got.Problem != "" {
		t.Errorf("got %+v, %t", got, ok)
	}
	for text, want := range map[string]string{
		"v=DMARC1; p=none; fo=x":                 "0",
		"v=DMARC1; p=none; fo=":                  "0",
		"v=DMARC1; p=none":                       "0",
		"v=DMARC1; p=none; fo=0:1:d:s":           "0:1:d:s",
		"v=DMARC1; p=none; fo=1; fo=1":           "0",
		"v=DMARC1; rua=mailto:a@b.example; fo=s": "s",
	} {
		if got, ok := ParseDMARC(text); !ok || got.FO != want || got.P != "none" || got.SP != "none" || got.NP != "none" {
			t.Errorf("%q: %+v, %t", text, got, ok)
		}
	}
	for _, text := range []string{"", "v=DMARC1", "v=DMARC1; p=foo", "v=spf1; p=none"} {
		if got, ok := ParseDMARC(text); ok {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

// The obsolete size of reports is ignored, but must be one.
func TestReportSize(t *testing.T) {
	t.Parallel()
	const uri = "mailto:a@b.example"
	far := "!" + strings.Repeat("9", 47)
	for rua, want := range map[string]struct {
		older, newer bool
		uris         string
	}{
		uri:                            {true, true, uri},
		uri + "!10":                    {true, true, uri},
		uri + "!10m":                   {true, true, uri},
		uri + "!10M":                   {true, true, uri},
		uri + "!":                      {false, false, uri + "!"},
		uri + "!m":                     {false, false, uri + "!m"},
		uri + "!10p":                   {false, false, uri + "!10p"},
		uri + "!10mm":                  {false, false, uri + "!10mm"},
		uri + "!-1":                    {false, false, uri + "!-1"},
		uri + "!1!1":                   {false, false, uri + "!1!1"},
		uri + far:                      {false, true, uri},
		"mailto:a!b@b.example":         {false, false, "mailto:a!b@b.example"},
		"mailto:a%21b@b.example!1":     {true, true, "mailto:a%21b@b.example"},
		uri + "!x , " + uri + "!2g , ": {true, true, uri + "!x " + uri},
	} {
		text := "v=DMARC1; rua=" + rua
		older, _ := parseDMARC(text, RFC7489)
		newer, _ := parseDMARC(text, RFC9989)
		if older.usable != want.older || newer.usable != want.newer {
			t.Errorf("%s: %t by RFC 7489, %t by RFC 9989", rua, older.usable, newer.usable)
		}
		if got := strings.Join(reportURIs(rua), " "); got != want.uris {
			t.Errorf("%s: got %s", rua, got)
		}
	}
}

func TestReportAddress(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]string{
		"mailto:a@b.example":                   "a@b.example",
		"MAILTO:a@b.example?subject=x":         "a@b.example",
		"mailto:a%2Bb@b.example":               "a+b@b.example",
		"mailto:a%0d%0ABcc:x@b.example":        "",
		"mailto:a@b.example%20":                "",
		"mailto:a@b.example,c@b.example":       "",
		"mailto:a@b.example%2Cc@b.example":     "",
		"mailto:%3Ca@b.example%3E":             "",
		"mailto:A%20%3Ca@b.example%3E":         "",
		"mailto:ä@b.example":                   "",
		"mailto:a!b@b.example":                 "",
		"mailto:a%21b@b.example":               "a!b@b.example",
		"mailto:a@b.example!10p":               "",
		"mailto:a@b":                           "",
		"mailto:a@[192.0.2.1]":                 "",
		"mailto:a":                             "",
		"mailto:":                              "",
		"mailto:%zz@b.example":                 "",
		"https://b.example/":                   "",
		"a@b.example":                          "",
		"":                                     "",
		"mailto:" + strings.Repeat("a@", 2000): "",
	} {
		if got, problem := ReportAddress(uri); got != want || (problem == "") != (want != "") {
			t.Errorf("%q: %q, %q", uri, got, problem)
		}
	}
}

// Who is of the same organisation gets reports; others if they say so.
func TestReportDestinations(t *testing.T) {
	t.Parallel()
	v := &Verifier{Resolver: texts{
		"_dmarc.shop.example":                       {"v=DMARC1; p=none"},
		"_dmarc.reports.example":                    {"v=DMARC1; p=none"},
		"shop.example._report._dmarc.yes.example":   {"v=spf1 -all", "v=DMARC1"},
		"shop.example._report._dmarc.other.example": {"v=DMARC1; rua=mailto:new@other.example"},
		"shop.example._report._dmarc.away.example":  {"v=DMARC1; rua=mailto:new@victim.example"},
		"shop.example._report._dmarc.web.example":   {"v=DMARC1; rua=https://web.example/"},
		"shop.example._report._dmarc.no.example":    {"v=DMARC2"},
		"shop.example._report._dmarc.down.example":  {"TEMPERROR"},
		"_dmarc.lost.example":                       {"TEMPERROR"},
	}}
	tests := []struct{ uri, want, problem string }{
		{"mailto:a@shop.example", "a@shop.example", ""},
		{"mailto:a@mail.shop.example", "a@mail.shop.example", ""},
		{"mailto:a@yes.example", "a@yes.example", ""},
		{"mailto:a@other.example", "new@other.example", ""},
		{"mailto:a@away.example", "", "not at the same host"},
		{"mailto:a@web.example", "", "not at the same host"},
		{"mailto:a@no.example", "", "there is no TXT v=DMARC1 at shop.example._report._dmarc.no.example"},
		{"mailto:a@reports.example", "", "does not permit it"},
		{"mailto:a@down.example", "", "cannot be found out now"},
		{"mailto:a@lost.example", "", "cannot be found out now"},
		{"mailto:a@" + strings.Repeat("a.", 115) + "example", "", "too long"},
		{"https://shop.example/", "", "reports go by mail"},
	}
	for _, tt := range tests {
		list := v.ReportDestinations(t.Context(), "shop.example", []string{tt.uri})
		if len(list) != 1 || list[0].URI != tt.uri || list[0].Address != tt.want || !strings.Contains(list[0].Problem, tt.problem) || (list[0].Problem == "") != (tt.want != "") {
			t.Errorf("%s: %+v", tt.uri, list)
		}
	}
	list := v.ReportDestinations(t.Context(), "shop.example", slices.Repeat([]string{"mailto:a@shop.example"}, 12))
	if len(list) != 12 || list[9].Problem != "" || list[10].Address != "" || !strings.Contains(list[10].Problem, "only the first 10") {
		t.Errorf("got %+v", list)
	}
}

// An address that reports go to is one mailbox, whatever a record says.
func FuzzReportAddress(f *testing.F) {
	f.Add("mailto:a%2Bb@b.example?subject=x")
	f.Fuzz(func(t *testing.T, uri string) {
		p, _ := ParseDMARC("v=DMARC1; p=none; rua=" + uri)
		for _, u := range append(p.RUA, uri) {
			if a, problem := ReportAddress(u); (a == "") != (problem != "") || strings.ContainsAny(a, "\r\n <>\x00") {
				t.Errorf("%q: %q, %q", u, a, problem)
			}
		}
	})
}
