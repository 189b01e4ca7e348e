package reports_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/receiver/reports"
)

var update = flag.Bool("update", false, "write the golden files anew")

// reporters are who writes, in each form.
func reporters() map[string]reports.Reporter {
	return map[string]reports.Reporter{
		"google":  reports.AsGoogle(),
		"rfc9990": {Form: reports.RFC9990, Domain: "gmail.test", Organization: "gmail.test", Generator: "doppelbox"},
	}
}

// golden compares with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what it should be; -update writes it:\n%s", path, got)
	}
}

func query() reports.Query { return reports.Query{Domain: "shop.example"} }

// only returns the one report that there has to be.
func only(t *testing.T, rows []mailbox.Message, form reports.Form) reports.Aggregate {
	t.Helper()
	list := reports.Aggregates(rows, query(), form)
	if len(list) != 1 {
		t.Fatalf("%d reports", len(list))
	}
	return list[0]
}

// A day of mixed traffic, as each form tells of it.
func TestAggregate(t *testing.T) {
	t.Parallel()
	for name, r := range reporters() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := only(t, mixed(), r.Form)
			text := a.XML(r)
			golden(t, name+".xml", text)
			if a.Messages != 19 || !slices.Equal(a.RUA, []string{"mailto:dmarc@shop.example", "mailto:agg@reports.example"}) {
				t.Errorf("%d messages, for %q", a.Messages, a.RUA)
			}
			checkOrder(t, text, r.Form)
			f, err := a.File(r)
			if err != nil {
				t.Fatal(err)
			}
			if got := unpack(t, f); !bytes.Equal(got, text) {
				t.Errorf("packed it is\n%s", got)
			}
			again, err := only(t, mixed(), r.Form).File(r)
			if err != nil || again.Name != f.Name || !bytes.Equal(again.Content, f.Content) {
				t.Errorf("made again it is %s: %v", again.Name, err)
			}
		})
	}
}

// unpack returns the one file in a packed one.
func unpack(t *testing.T, f reports.File) []byte {
	t.Helper()
	if !strings.HasSuffix(f.Name, ".zip") {
		z, err := gzip.NewReader(bytes.NewReader(f.Content))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	z, err := zip.NewReader(bytes.NewReader(f.Content), int64(len(f.Content)))
	if err != nil {
		t.Fatal(err)
	}
	if len(z.File) != 1 || z.File[0].Name != strings.TrimSuffix(f.Name, ".zip")+".xml" {
		t.Fatalf("%s has %d files", f.Name, len(z.File))
	}
	in, err := z.File[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	text, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// element is one kind of child in the schema of RFC 9990 appendix A, in the order
// in which it stands there. "?" may be missing, "*" may be there often, "+" too
// but at least once.
type element struct{ name, often string }

// schema has the children of each element; one that has none has text.
var schema = map[string][]element{
	"feedback":          {{"version", "?"}, {"report_metadata", ""}, {"policy_published", ""}, {"extension", "?"}, {"record", "+"}},
	"report_metadata":   {{"org_name", ""}, {"email", ""}, {"extra_contact_info", "?"}, {"report_id", ""}, {"date_range", ""}, {"error", "?"}, {"generator", "?"}},
	"date_range":        {{"begin", ""}, {"end", ""}},
	"policy_published":  {{"domain", ""}, {"p", ""}, {"sp", "?"}, {"np", "?"}, {"adkim", "?"}, {"aspf", "?"}, {"discovery_method", "?"}, {"fo", "?"}, {"testing", "?"}},
	"record":            {{"row", ""}, {"identifiers", ""}, {"auth_results", ""}},
	"row":               {{"source_ip", ""}, {"count", ""}, {"policy_evaluated", ""}},
	"policy_evaluated":  {{"disposition", ""}, {"dkim", ""}, {"spf", ""}, {"reason", "*"}},
	"reason":            {{"type", ""}, {"comment", "?"}},
	"identifiers":       {{"header_from", ""}, {"envelope_from", "?"}, {"envelope_to", "?"}},
	"auth_results":      {{"dkim", "*"}, {"spf", "?"}},
	"auth_results/dkim": {{"domain", ""}, {"selector", ""}, {"result", ""}, {"human_result", "?"}},
	"auth_results/spf":  {{"domain", ""}, {"scope", "?"}, {"result", ""}, {"human_result", "?"}},
}

// words are the values that the schema allows.
var words = map[string][]string{
	"version": {"1.0"}, "p": {"none", "quarantine", "reject"}, "sp": {"none", "quarantine", "reject"}, "np": {"none", "quarantine", "reject"},
	"adkim": {"r", "s"}, "aspf": {"r", "s"}, "discovery_method": {"psl", "treewalk"}, "testing": {"n", "y"},
	"disposition": {"none", "pass", "quarantine", "reject"}, "policy_evaluated/dkim": {"pass", "fail"}, "policy_evaluated/spf": {"pass", "fail"},
	"type": {"local_policy", "mailing_list", "other", "policy_test_mode", "trusted_forwarder"}, "scope": {"mfrom"},
	"auth_results/dkim/result": {"none", "pass", "fail", "policy", "neutral", "temperror", "permerror"},
	"auth_results/spf/result":  {"none", "pass", "fail", "softfail", "policy", "neutral", "temperror", "permerror"},
}

// googleSchema is what is different in Google's reports (gmail-inbound.md 6.1).
var googleSchema = map[string][]element{
	"report_metadata":   {{"org_name", ""}, {"email", ""}, {"report_id", ""}, {"date_range", ""}},
	"policy_published":  {{"domain", ""}, {"adkim", ""}, {"aspf", ""}, {"p", ""}, {"sp", ""}, {"pct", ""}, {"np", ""}},
	"identifiers":       {{"header_from", ""}},
	"auth_results/dkim": {{"domain", ""}, {"result", ""}, {"selector", ""}},
	"auth_results/spf":  {{"domain", ""}, {"result", ""}},
}

// node is an element as it was read.
type node struct {
	XMLName  xml.Name
	Attr     []xml.Attr `xml:",any,attr"`
	Children []node     `xml:",any"`
	Text     string     `xml:",chardata"`
}

// checkOrder holds that a report has the elements of its form, in their order.
func checkOrder(t *testing.T, text []byte, form reports.Form) {
	t.Helper()
	var root node
	if err := xml.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	space := "urn:ietf:params:xml:ns:dmarc-2.0"
	if form == reports.Google {
		space = ""
	}
	if root.XMLName.Local != "feedback" || root.XMLName.Space != space {
		t.Errorf("the root is %v", root.XMLName)
	}
	checkNode(t, root, "feedback", form)
}

func checkNode(t *testing.T, n node, path string, form reports.Form) {
	t.Helper()
	children := lookup(schema, path)
	if form == reports.Google && lookup(googleSchema, path) != nil {
		children = lookup(googleSchema, path)
	}
	if children == nil {
		if allowed := lookup(words, path); len(n.Children) > 0 || allowed != nil && !slices.Contains(allowed, n.Text) {
			t.Errorf("%s is %q, with %d elements", path, n.Text, len(n.Children))
		}
		return
	}
	rest := n.Children
	for _, e := range children {
		count := 0
		for len(rest) > 0 && rest[0].XMLName.Local == e.name {
			checkNode(t, rest[0], path+"/"+e.name, form)
			rest = rest[1:]
			count++
		}
		if ok := map[string]bool{"": count == 1, "?": count <= 1, "*": true, "+": count > 0}[e.often]; !ok {
			t.Errorf("%s has %d times %s in its place", path, count, e.name)
		}
	}
	if len(rest) > 0 {
		t.Errorf("%s has %s, which has no place there", path, rest[0].XMLName.Local)
	}
}

// lookup finds what is said of the longest end of a path.
func lookup[T any](table map[string][]T, path string) []T {
	for ; ; path = path[strings.IndexByte(path, '/')+1:] {
		if list, ok := table[path]; ok {
			return list
		}
		if !strings.Contains(path, "/") {
			return nil
		}
	}
}

// One report a day, and one for each policy of a day; their names never change,
// whatever comes after.
func TestWindowsAndPolicies(t *testing.T) {
	t.Parallel()
	const relaxed = "v=DMARC1; p=quarantine; np=reject; adkim=s; fo=1:d; rua=mailto:new@shop.example"
	rows := numbered(
		row(at(day().Add(15*time.Hour-time.Second))), // The last second of a day.
		row(at(day().Add(15*time.Hour))),
		row(at(day().Add(16*time.Hour)), published(relaxed, "quarantine")),
		row(at(day().Add(17*time.Hour)), published("v=DMARC1; p=reject; sp=quarantine", "reject")), // Only rua= is another.
	)
	for name, r := range reporters() {
		list := reports.Aggregates(rows, query(), r.Form)
		if len(list) != 3 || list[0].Messages != 1 || list[1].Messages != 2 || list[2].Messages != 1 || len(list[1].RUA) != 0 {
			t.Fatalf("%s: %+v", name, list)
		}
		if p := list[2].Published; p.P != "quarantine" || p.SP != "quarantine" || p.NP != "reject" || p.ADKIM != "s" || p.ASPF != "r" || p.FO != "1:d" {
			t.Errorf("%s: %+v", name, p)
		}
		var names []string
		for _, a := range list {
			f, err := a.File(r)
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, f.Name)
		}
		want := []string{"google.com!shop.example!1768435200!1768521599.zip", "google.com!shop.example!1768521600!1768607999.zip", "google.com!shop.example!1768521600!1768607999!" + list[2].ID(r) + ".zip"}
		if r.Form == reports.RFC9990 {
			want = []string{
				"gmail.test!shop.example!1768435200!1768521599!" + list[0].ID(r) + ".xml.gz",
				"gmail.test!shop.example!1768521600!1768607999!" + list[1].ID(r) + ".xml.gz",
				"gmail.test!shop.example!1768521600!1768607999!" + list[2].ID(r) + ".xml.gz",
			}
		}
		if !slices.Equal(names, want) {
			t.Errorf("%s: %q", name, names)
		}
		if early := reports.Aggregates(rows[:2], query(), r.Form); early[1].ID(r) != list[1].ID(r) || len(early[1].ID(r)) != 19 {
			t.Errorf("%s: earlier the id was %s, then %s", name, early[1].ID(r), list[1].ID(r))
		}
	}
	q := query()
	q.Day = day().Add(20 * time.Hour)
	if list := reports.Aggregates(rows, q, reports.Google); len(list) != 2 || list[0].Begin.Day() != 16 {
		t.Errorf("of one day: %+v", list)
	}
}

// What was done, and why it is not what the policy asks for.
func TestDispositions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		m       mailbox.Message
		want    string
		reasons string
	}{
		{"pass of a policy", row(), "pass", ""},
		{"pass of none", row(published("v=DMARC1; p=none", "none")), "none", ""},
		{"none", row(published("v=DMARC1; p=none", "none"), failing("dmarc-fail-none")), "none", ""},
		{"quarantine", row(published("v=DMARC1; p=quarantine", "quarantine"), failing("dmarc-quarantine")), "quarantine", ""},
		{"reject", row(failing("dmarc-reject")), "reject", ""},
		{"reject, and refused for something else before", row(failing("dmarc-reject"), refused("authenticated", 550, "5.7.26")), "reject", ""},
		{"reject in test", row(published("v=DMARC1; p=reject; t=y", "quarantine"), failing("dmarc-quarantine")), "quarantine", "policy_test_mode"},
		{"quarantine in test", row(published("v=DMARC1; p=quarantine; t=y", "none"), failing("dmarc-fail-none")), "none", "policy_test_mode"},
		{"none in test", row(published("v=DMARC1; p=none; t=y", "none"), failing("dmarc-fail-none")), "none", ""},
		{"np in test", row(published("v=DMARC1; p=none; sp=none; np=reject; t=y", "quarantine"), failing("dmarc-quarantine"), func(m *mailbox.Message) {
			m.Evidence.Auth.DMARC.Domain, m.Evidence.Auth.DMARC.Applied = "x.shop.example", "np"
		}), "quarantine", "policy_test_mode"},
		{"np in test, beside a lower sp", row(published("v=DMARC1; p=reject; sp=none; np=quarantine; t=y", "none"), failing("dmarc-fail-none"), func(m *mailbox.Message) {
			m.Evidence.Auth.DMARC.Domain, m.Evidence.Auth.DMARC.Applied = "x.shop.example", "np"
		}), "none", "policy_test_mode"},
		{"sp in test", row(published("v=DMARC1; p=reject; sp=none; np=quarantine; t=y", "none"), failing("dmarc-fail-none"), func(m *mailbox.Message) {
			m.Evidence.Auth.DMARC.Domain, m.Evidence.Auth.DMARC.Applied = "x.shop.example", "sp"
		}), "none", ""},
		{"advice", row(failing("dmarc-reject"), func(m *mailbox.Message) { m.Verdict.Findings[0].Advice = true }), "none", "local_policy: DMARC fails"},
		{"sender requirement", row(refused("x", 550, "5.7.25")), "pass", "local_policy: Sender requirement failed: 550-5.7.25"},
		{"sender requirement for a time", row(published("v=DMARC1; p=none", "none"), refused("x", 421, "4.7.32")), "none", "local_policy: Sender requirement failed: 421-4.7.32"},
		{"other refusals", row(refused("x", 550, "5.7.26")), "pass", ""},
		{"another class", row(refused("x", 250, "2.7.30")), "pass", ""},
		{"no finding", row(failing("dmarc-reject"), func(m *mailbox.Message) {
			m.Verdict.Findings, m.Evidence.Access.Pattern = nil, policy.PatternMailingList
		}), "none", "mailing_list"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := only(t, numbered(tt.m), reports.RFC9990).Records[0]
			var reasons []string
			for _, reason := range r.Reasons {
				reasons = append(reasons, strings.TrimSuffix(reason.Type+": "+reason.Comment, ": "))
			}
			if string(r.Disposition) != tt.want || strings.Join(reasons, "; ") != tt.reasons {
				t.Errorf("%s, because of %q", r.Disposition, reasons)
			}
			want := tt.want
			if want == "pass" {
				want = "none" // Google has no such word.
			}
			if r := only(t, numbered(tt.m), reports.Google).Records[0]; string(r.Disposition) != want {
				t.Errorf("Google's is %s", r.Disposition)
			}
		})
	}
}

// What others have written is escaped, and what XML cannot hold is left out.
func TestForeignText(t *testing.T) {
	t.Parallel()
	foreign := "a<b>&\"'\x00\x1b\xff\uFFFE]]>\u00e9\U0001F600" + strings.Repeat("x", 5000)
	a := only(t, numbered(row(func(m *mailbox.Message) {
		m.Evidence.Auth.DKIM[0].Selector, m.Evidence.Auth.SPF.Domain = foreign, foreign
		m.Evidence.Auth.DMARC.Record += "; " + foreign
	})), reports.RFC9990)
	text := a.XML(reporters()["rfc9990"])
	checkOrder(t, text, reports.RFC9990)
	if !bytes.Contains(text, []byte("<selector>a&lt;b&gt;&amp;&#34;&#39;]]&gt;\u00e9\U0001F600xxx")) || len(text) > 6000 {
		t.Errorf("%d octets:\n%s", len(text), text)
	}
}

// A record tells of a hundred signatures.
func TestManySignatures(t *testing.T) {
	t.Parallel()
	var list []policy.DKIM
	for range 150 {
		list = append(list, policy.DKIM{Result: policy.AuthFail, Domain: "x.example", Selector: "s"})
	}
	list = append(list, policy.DKIM{Result: policy.AuthPass, Domain: "shop.example", OrgDomain: "shop.example", Selector: "last"})
	got := only(t, numbered(row(signed(list...))), reports.RFC9990).Records[0].Signatures
	if len(got) != 100 || got[0].Selector != "last" {
		t.Errorf("%d signatures, the first is %+v", len(got), got[0])
	}
}

// Days beyond a year are left out, the oldest first.
func TestManyDays(t *testing.T) {
	t.Parallel()
	var rows []mailbox.Message
	for i := range reports.MaxReports + 10 {
		rows = append(rows, row(at(day().AddDate(0, 0, i))))
	}
	list := reports.Aggregates(numbered(rows...), query(), reports.Google)
	if len(list) != reports.MaxReports || list[0].Window != reports.Day(day().AddDate(0, 0, 10)) {
		t.Errorf("%d reports, from %s", len(list), list[0].Begin)
	}
	if f, err := list[0].File(reports.AsGoogle()); err != nil || !slices.Equal(f.Notes, []string{"10 older reports are left out, since at most 366 are made at once: ask for them by their day"}) {
		t.Errorf("%q, %v", f.Notes, err)
	}
}

func TestNoTraffic(t *testing.T) {
	t.Parallel()
	rows := numbered(row(func(m *mailbox.Message) { m.Evidence.Auth.DMARC.Domain = "news.shop.example" }))
	err := error(&reports.NoTrafficError{Domain: "news.shop.example", Day: day(), Elsewhere: reports.Elsewhere(rows, "news.shop.example")})
	const want = "there is nothing to report on news.shop.example of 2026-01-15: no mail came for which it has the DMARC policy, and no mail went to it; " +
		"mail from it is told of in the reports on shop.example"
	var none *reports.NoTrafficError
	if !errors.As(err, &none) || err.Error() != want {
		t.Error(err)
	}
}
