package markup

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
)

func codes(list []policy.Problem) []policy.Reason {
	var codes []policy.Reason
	for _, p := range list {
		codes = append(codes, p.Code)
	}
	return codes
}

// ld wraps JSON-LD into a part.
func ld(json string) string {
	return "<html><script type=\"application/ld+json\">" + json + "</script></html>"
}

// confirm is a complete action, without @context.
const confirm = `"@type":"EmailMessage","potentialAction":{"@type":"ConfirmAction","name":"Go","handler":{"@type":"HttpActionHandler","url":"https://a.example/"}}`

const confirmed = `ConfirmAction on "EmailMessage" name "Go" targets [] handler "https://a.example/" `

// extractTests are parts, with their actions as describe has them.
type extractTest struct {
	name, html string
	want       []string
	problems   []policy.Reason
}

func (tt extractTest) run(t *testing.T) {
	t.Parallel()
	actions, _, problems := ExtractHTML("1", []byte(tt.html))
	var got []string
	for _, a := range actions {
		got = append(got, describe(a))
	}
	if !slices.Equal(got, tt.want) {
		t.Errorf("actions\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
	}
	if !slices.Equal(codes(problems), tt.problems) {
		t.Errorf("problems %v, want %q", problems, tt.problems)
	}
	checkInvariants(t, []byte(tt.html))
}

func TestPlacesInHTML(t *testing.T) {
	t.Parallel()
	view := `{"@context":"http://schema.org","@type":"ViewAction","url":"https://a.example/"}`
	view1 := `ViewAction on "" name "" targets ["https://a.example/"]`
	for _, tt := range []extractTest{
		{"nothing", "<p>application/ld+json</p>", nil, nil},
		{"type in capitals", `<SCRIPT TYPE=" Application/LD+JSON; profile=x">` + view + `</SCRIPT>`, []string{view1}, nil},
		{"type with a reference", `<script type="application/ld&#43;json">` + view + `</script>`, []string{view1}, nil},
		{"other type", `<script type="application/json">` + view + `</script>`, nil, nil},
		{"no type", `<script>` + view + `</script>`, nil, nil},
		{"attribute before", `<script id=x type="application/ld+json">` + view + `</script>`, []string{view1}, nil},
		{"two scripts", ld(view) + ld(view), []string{view1, view1}, nil},
		{"script in a comment", "<!--" + ld(view) + "-->", nil, nil},
		{"script in a template", "<TEMPLATE>" + ld(view) + "<template/>" + ld(view) + "</template>" + ld(view) + "</template></template>" + ld(view), []string{view1}, []policy.Reason{InTemplate, InTemplate, InTemplate}},
		{"template in a comment", "<!--<template>-->" + ld(view), []string{view1}, nil},
		{"script in a textarea", "<textarea>" + ld(view) + "</textarea>", nil, nil},
		{"not closed", `<script type="application/ld+json">` + view, []string{view1}, nil},
		{"empty", ld(" \n"), nil, []policy.Reason{JSONSyntax}},
		{"among Microdata", `<div itemscope itemtype="http://schema.org/EmailMessage">` + ld(view) +
			`<p itemprop=potentialAction itemscope itemtype=http://schema.org/SaveAction><a itemprop=url href=x></a></p></div>`,
			[]string{view1, `SaveAction on "EmailMessage" name "" targets ["x"]`}, nil},
		{"NUL in a tag", "<aitemscope\x00>", nil, nil},
		{"unfinished tag", "<p itemscope itemtype", nil, nil},
		{"unfinished name", "<itemscope", nil, nil},
		{"too large", ld(view) + strings.Repeat(" ", maxHTML), nil, []policy.Reason{HTMLTooLarge}},
		{"too deep for Microdata", ld(view) + strings.Repeat("<div>", 600) + "<p itemscope>", []string{view1}, []policy.Reason{HTMLTooDeep}},
	} {
		t.Run(tt.name, tt.run)
	}
}

func TestExtract(t *testing.T) {
	t.Parallel()
	script := ld(`{"@context":"http://schema.org",` + confirm + `}`)
	part := func(header, content string) string { return "--b\r\n" + header + "\r\n\r\n" + content + "\r\n" }
	mixed := "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
	tests := []struct {
		name, raw string
		want      []string // Parts of the actions.
		problems  []policy.Reason
	}{
		{"html alone", "Content-Type: text/html\r\n\r\n" + script, []string{"1"}, nil},
		{"plain", "Content-Type: text/plain\r\n\r\n" + script, nil, nil},
		{"html and plain", mixed + part("Content-Type: text/plain", script) + part("Content-Type: text/html", script) + "--b--", []string{"2"}, nil},
		{"two of html", mixed + part("Content-Type: text/html", script) + part("Content-Type: text/html", script) + "--b--", []string{"1", "2"}, []policy.Reason{Repeated}},
		{"AMP", mixed + part("Content-Type: text/x-amp-html", script) + "--b--", nil, nil},
		{"attachment", mixed + part("Content-Type: text/html\r\nContent-Disposition: attachment; filename=x", script) + "--b--", nil, nil},
		{"inline", mixed + part("Content-Type: text/html\r\nContent-Disposition: inline", script) + "--b--", []string{"1"}, nil},
		{"message", mixed + part("Content-Type: message/rfc822", "Content-Type: text/html\r\n\r\n"+script) + "--b--", nil, nil},
		{"broken base64", "Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n*", nil, []policy.Reason{message.Base64}},
		{"unknown encoding", "Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printabel\r\n\r\n" + script, nil, []policy.Reason{message.UnknownEncoding}},
		{"space in the encoding", mixed + part("Content-Type: text/html\r\nContent-Transfer-Encoding: 7 bit", script) + "--b--", nil, []policy.Reason{message.UnknownEncoding}},
		{"no semicolon", "Content-Type: text/html charset=utf-8\r\n\r\n" + script, []string{"1"}, []policy.Reason{message.ContentType}},
		{"no type", "Content-Type: html\r\n\r\n" + script, nil, []policy.Reason{message.ContentType}},
		{"no boundary", "Content-Type: multipart/alternative\r\n\r\n" + part("Content-Type: text/html", script) + "--b--", nil, []policy.Reason{message.BoundaryMissing}},
		{"no boundary within", mixed + part("Content-Type: multipart/alternative", script) + "--b--", nil, []policy.Reason{message.BoundaryMissing}},
		{"too deep", deepMultipart(script), nil, []policy.Reason{message.TooDeep}},
		{"broken attachment", mixed + part("Content-Type: text/html", script) + part("Content-Disposition: attachment\r\nContent-Transfer-Encoding: base64", "*") + "--b--", []string{"1"}, nil},
		{"cut multipart", mixed + part("Content-Type: text/html", script), []string{"1"}, []policy.Reason{message.Unterminated}},
		{"both syntaxes", "Content-Type: text/html\r\n\r\n" + script + `<div itemscope itemtype="http://schema.org/EmailMessage"><p itemprop="potentialAction" itemscope itemtype="http://schema.org/ConfirmAction">` +
			`<i itemprop=handler itemscope itemtype="http://schema.org/HttpActionHandler"><a itemprop=url href="https://a.example/">Go</a></i></p></div>`,
			[]string{"1", "1"}, []policy.Reason{Repeated}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := Extract(message.Parse([]byte(tt.raw)))
			var parts []string
			for i, a := range m.Actions {
				parts = append(parts, a.Place.Part)
				if a.Index != i || a.Type != "ConfirmAction" {
					t.Errorf("action %d is %+v", i, a)
				}
			}
			got := slices.DeleteFunc(codes(m.Problems), func(code policy.Reason) bool { return tt.name == "too deep" && code == message.Unterminated })
			if !slices.Equal(parts, tt.want) || !slices.Equal(got, tt.problems) {
				t.Errorf("actions of parts %q, problems %v; want %q and %q", parts, m.Problems, tt.want, tt.problems)
			}
		})
	}
}

// deepMultipart nests a part in more multiparts than are read.
func deepMultipart(content string) string {
	var b strings.Builder
	for i := range 30 {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	return b.String() + "Content-Type: text/html\r\n\r\n" + content
}

func TestExtractManyActions(t *testing.T) {
	t.Parallel()
	view := `{"@context":"http://schema.org","@type":"ViewAction"}`
	html := ld("[" + strings.Repeat(view+",", maxActions) + view + "]")
	actions, _, problems := ExtractHTML("1", []byte(html))
	if len(actions) != maxActions || !slices.Equal(codes(problems), []policy.Reason{TooManyActions}) {
		t.Errorf("%d actions, problems %v", len(actions), problems)
	}
	raw := "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\nContent-Type: text/html\r\n\r\n"+ld("["+strings.Repeat(view+",", 59)+view+"]")+"\r\n", 2) + "--b--"
	m := Extract(message.Parse([]byte(raw)))
	if len(m.Actions) != maxActions || !slices.Equal(codes(m.Problems), []policy.Reason{TooManyActions}) {
		t.Errorf("%d actions, problems %v", len(m.Actions), m.Problems)
	}
}

func TestExtractManyProblems(t *testing.T) {
	t.Parallel()
	_, _, problems := ExtractHTML("1", []byte(strings.Repeat(ld("{"), 300)))
	if n := len(problems); n != policy.MaxProblems+1 || problems[n-1].Code != message.MoreProblems {
		t.Errorf("%d problems", n)
	}
	// However many there are, each code is seen.
	_, _, problems = ExtractHTML("1", []byte(strings.Repeat(ld("{"), 300)+ld("1")))
	if got, want := slices.Compact(codes(problems)), []policy.Reason{JSONSyntax, JSONNoObject, message.MoreProblems}; !slices.Equal(got, want) {
		t.Errorf("codes %q, want %q", got, want)
	}
	html := "--b\r\nContent-Type: text/html\r\n\r\n"
	m := Extract(message.Parse([]byte("Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat(html+strings.Repeat(ld("{"), 300)+"\r\n", 2) + html + ld("1") + "\r\n--b--")))
	if got, want := slices.Compact(codes(m.Problems)), []policy.Reason{JSONSyntax, JSONNoObject, message.MoreProblems}; !slices.Equal(got, want) {
		t.Errorf("codes %q, want %q", got, want)
	}
}

func TestActionFields(t *testing.T) {
	t.Parallel()
	html := "<p>ä</p>\n" + ld(`
{"@context":"https://schema.org/","@type":["Order","Thing"],"description":"An order","action":
  {"@type":"https://schema.org/SaveAction","name":" Keep ","startTime":"2026-01-02T03:04:05+01:00","endTime":"2026-01-03","url":"b",
   "actionHandler":{"@type":"schema:HttpActionHandler","url":" https://a.example/?a=1&amp;b=2 ","method":{"@id":"http://schema.org/HttpRequestMethod/POST"},"encoding":"form"}}}`)
	actions, items, problems := ExtractHTML("2.1", []byte(html))
	want := []policy.Action{{
		Syntax: "json-ld", Type: "SaveAction", On: "Order", Name: "Keep", Description: "An order", Kind: policy.KindInApp,
		Handlers:  []policy.Handler{{Type: "HttpActionHandler", URL: "https://a.example/?a=1&amp;b=2", Method: "POST", Encoding: "form"}},
		Targets:   []string{"b"},
		StartTime: "2026-01-02T03:04:05+01:00", EndTime: "2026-01-03",
		Legacy: []string{"action", "actionHandler"},
		Place:  policy.Place{Part: "2.1", Line: 4, Col: 3},
		Extent: strings.Index(html, "</script>"),
	}}
	if len(actions) == 1 {
		if got := actions[0].Start.UTC(); got != time.Date(2026, 1, 2, 2, 4, 5, 0, time.UTC) {
			t.Errorf("Start is %v", got)
		}
		if got := actions[0].End; got != time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC) {
			t.Errorf("End is %v", got)
		}
		actions[0].Start, actions[0].End = time.Time{}, time.Time{}
	}
	if !reflect.DeepEqual(actions, want) {
		t.Errorf("got %+v\nwant %+v", actions, want)
	}
	if !slices.Equal(items, []string{"Order"}) {
		t.Errorf("items %q", items)
	}
	if !slices.Equal(codes(problems), []policy.Reason{TimeNoZone}) || problems[0].Place.Line != 4 {
		t.Errorf("problems %+v", problems)
	}
}

func TestUnsubscribe(t *testing.T) {
	t.Parallel()
	tests := []struct {
		header   string
		want     policy.Unsubscribe
		problems int
	}{
		{"", policy.Unsubscribe{}, 0},
		{"List-Unsubscribe: <https://a.example/?x=(1)>, <mailto:u@a.example>\r\nList-Unsubscribe-Post:\r\n List-Unsubscribe=One-Click\r\n",
			policy.Unsubscribe{Fields: 1, URIs: []string{"https://a.example/?x=(1)", "mailto:u@a.example"}, PostFields: 1, Post: "List-Unsubscribe=One-Click"}, 0},
		{"List-Unsubscribe: (a <b> (c\\)) ) <https://a.example/\r\n /x>\r\n", policy.Unsubscribe{Fields: 1, URIs: []string{"https://a.example//x"}}, 0},
		{"List-Unsubscribe: <https://a.example>\r\nlist-unsubscribe: <https://b.example>\r\n", policy.Unsubscribe{Fields: 2, URIs: []string{"https://a.example", "https://b.example"}}, 0},
		{"List-Unsubscribe: https://a.example\r\n", policy.Unsubscribe{Fields: 1}, 1},
		{"List-Unsubscribe: <>\r\n", policy.Unsubscribe{Fields: 1}, 1},
		{"List-Unsubscribe: (<https://a.example>\r\n", policy.Unsubscribe{Fields: 1}, 1},
		{"List-Unsubscribe: <a>, <https://a.example\r\n", policy.Unsubscribe{Fields: 1, URIs: []string{"a"}}, 1},
		{"List-Unsubscribe-Post: a\r\nList-Unsubscribe-Post: b\r\n", policy.Unsubscribe{PostFields: 2, Post: "a"}, 0},
	}
	for _, tt := range tests {
		m := Extract(message.Parse([]byte(tt.header + "Content-Type: text/plain\r\n\r\n")))
		if !reflect.DeepEqual(m.Unsubscribe, tt.want) || len(m.Problems) != tt.problems {
			t.Errorf("%q: %+v, problems %v", tt.header, m.Unsubscribe, m.Problems)
		}
	}
	m := Extract(message.Parse([]byte("List-Unsubscribe: " + strings.Repeat("<a>", maxURIs+1) + "\r\n\r\n")))
	if len(m.Unsubscribe.URIs) != maxURIs || len(m.Problems) != 1 {
		t.Errorf("%d URIs, problems %v", len(m.Unsubscribe.URIs), m.Problems)
	}
}

// checkInvariants holds for any octets.
func checkInvariants(t *testing.T, html []byte) {
	t.Helper()
	actions, items, problems := ExtractHTML("1", html)
	lines := 1 + strings.Count(string(html), "\n")
	inHTML := func(p policy.Place) bool { return p.Part == "1" && p.Line <= lines && (p.Line == 0) == (p.Col == 0) }
	if len(actions) > maxActions || len(problems) > policy.MaxProblems+50 {
		t.Fatalf("%d actions, %d problems", len(actions), len(problems))
	}
	for i, a := range actions {
		if a.Extent < 0 || a.Extent > len(html) {
			t.Fatalf("extent %d of %d", a.Extent, len(html))
		}
		if a.Index != i || !strings.HasSuffix(a.Type, "Action") || !inHTML(a.Place) || a.Name != strings.TrimSpace(a.Name) {
			t.Fatalf("action %d: %+v", i, a)
		}
		if (a.Kind == policy.KindInApp) != (len(a.Handlers) > 0) || a.Kind == policy.KindNothing && len(a.Targets) > 0 || a.Kind == policy.KindGoTo && len(a.Targets) == 0 {
			t.Fatalf("kind %q of %+v", a.Kind, a)
		}
		if a.EndTime != "" && a.End.IsZero() && !slices.ContainsFunc(problems, func(p policy.Problem) bool { return p.Code == TimeUnreadable }) {
			t.Fatalf("end time %q is unread and has no problem", a.EndTime)
		}
	}
	for _, p := range problems {
		if p.Text == "" || !inHTML(p.Place) && p.Code != message.MoreProblems {
			t.Fatalf("problem %+v", p)
		}
	}
	// In a mail that somebody else passes on, nothing is his own.
	for _, mark := range []string{"<body>" + forwardHTML, "\n" + forwardText + "<p>"} {
		passed, _, _ := ExtractHTML("1", append([]byte(mark), html...))
		for i, a := range passed {
			if a.Enclosed != policy.EnclosedInline {
				t.Fatalf("action %d below a mark: %+v", i, a)
			}
		}
	}
	actions2, items2, problems2 := ExtractHTML("1", html)
	if !reflect.DeepEqual(actions, actions2) || !slices.Equal(items, items2) || !slices.Equal(problems, problems2) {
		t.Fatal("read differently the second time")
	}
}

func FuzzExtractHTML(f *testing.F) {
	f.Add([]byte(ld(`{"@context":"http://schema.org",` + confirm + `}`)))
	f.Add([]byte(ld(`[{"@context":["https://schema.org/",{"s":"http://schema.org/"}],"@graph":[{"@type":"s:ParcelDelivery","trackingUrl":"x","a":{"@list":[1,true,null]}}]},{"a":1,}]`)))
	f.Add([]byte(`<div itemscope itemtype="http://schema.org/EmailMessage" itemref="a b"><p itemprop=potentialAction itemscope itemtype=http://schema.org/ViewAction id=b itemref=a><a itemprop="url target" href=x>y</a></div><time id=a itemprop=endTime datetime=2026-01-01>`))
	f.Fuzz(func(t *testing.T, html []byte) { checkInvariants(t, html) })
}

func FuzzExtract(f *testing.F) {
	f.Add([]byte("Content-Type: text/html; charset=utf-8\r\nList-Unsubscribe: <a>\r\n\r\n" + ld(`{"@context":"http://schema.org",`+confirm+`}`)))
	f.Add([]byte("Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n<p itemscope itemtype=3D\"http://schema.org/ViewAction\">\n--b--"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := Extract(message.Parse(raw))
		if len(m.Actions) > maxActions || len(m.Problems) > policy.MaxProblems+80 || m.Actions == nil {
			t.Fatalf("%d actions, %d problems", len(m.Actions), len(m.Problems))
		}
		if !reflect.DeepEqual(m, Extract(message.Parse(raw))) {
			t.Fatal("read differently the second time")
		}
		o := Options{Lenient: true, NoGraph: true, Last: true}
		if other := o.Extract(message.Parse(raw)); len(other.Actions) > maxActions || !reflect.DeepEqual(other.Unsubscribe, m.Unsubscribe) {
			t.Fatalf("by other options: %+v", other)
		}
	})
}

func BenchmarkExtract(b *testing.B) {
	for name, markup := range map[string]string{
		"JSON-LD": ld(`{"@context":"http://schema.org",` + confirm + `}`),
		"Microdata": `<div itemscope itemtype="http://schema.org/EmailMessage"><p itemprop="potentialAction" itemscope itemtype="http://schema.org/ConfirmAction">` +
			`<meta itemprop=name content=Go><i itemprop=handler itemscope itemtype="http://schema.org/HttpActionHandler"><link itemprop=url href="https://a.example/"></i></p></div>`,
		"none": "",
	} {
		b.Run(name, func(b *testing.B) {
			raw := []byte("From: a@b.example\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + markup +
				strings.Repeat("<p style=\"color:black\">Thank you for your order of today.</p>\r\n", 42))
			want := min(1, len(markup))
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				if m := Extract(message.Parse(raw)); len(m.Actions) != want {
					b.Fatal(fmt.Sprint(m))
				}
			}
		})
	}
}
