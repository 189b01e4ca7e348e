package markup

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/testdata/conformance"
)

func TestMicrodata(t *testing.T) {
	t.Parallel()
	mail := func(content string) string {
		return `<div itemscope itemtype="http://schema.org/EmailMessage">` + content + `</div>`
	}
	action := func(content string) string {
		return `<p itemprop="potentialAction" itemscope itemtype="https://schema.org/ViewAction">` + content + `</p>`
	}
	handler := func(content string) string {
		return `<b itemprop="handler" itemscope itemtype="http://schema.org/HttpActionHandler">` + content + `</b>`
	}
	target := func(name, urls string) string {
		return fmt.Sprintf(`ViewAction on "EmailMessage" name %q targets %s`, name, urls)
	}
	none := target("", "[]")
	for _, tt := range []extractTest{
		{"nothing", `<div itemscope><p itemprop=name>x</p></div>`, nil, nil},
		{"action", mail(action(`<i itemprop=name> Go <b>on</b> </i><a itemprop=url href=" /x ">y</a>`)), []string{target("Go on", `["/x"]`)}, nil},
		{"values", mail(action(`<meta itemprop=name content=N><link itemprop=target href=a><area itemprop=target href=b><img itemprop=target src=c>` +
			`<object itemprop=target data=d></object><data itemprop=target value=e>z</data><meter itemprop=target value=5>z</meter><span itemprop=target>f</span>`)),
			[]string{target("N", `["5" "a" "b" "c" "d" "e" "f"]`)}, nil},
		{"content of no meta", mail(action(`<span itemprop=name content=a>b</span>`)), []string{target("b", "[]")}, []policy.Reason{MicrodataContent}},
		{"several names of one element", mail(action(`<a itemprop="url name" href=x></a>`)), []string{target("x", `["x"]`)}, nil},
		{"names in full", mail(`<p itemprop="http://schema.org/potentialAction" itemscope itemtype="http://schema.org/ViewAction"></p>`), []string{none}, nil},
		{"several types", mail(`<p itemprop=potentialAction itemscope itemtype="http://schema.org/Thing http://schema.org/ViewAction"></p>`), []string{none}, nil},
		{"several actions", mail(action("") + action("")), []string{none, none}, nil},
		{"lower case", mail(`<p itemprop=potentialaction itemscope itemtype="http://schema.org/ViewAction"></p>`), []string{none}, nil},
		{"itemref", `<a id=u itemprop=url href=x></a>` + mail(`<p itemprop=potentialAction itemscope itemtype="http://schema.org/ViewAction" itemref="u u"></p>`), []string{target("", `["x"]`)}, nil},
		{"itemref to nothing", mail(`<p itemprop=potentialAction itemscope itemtype="http://schema.org/ViewAction" itemref=u></p>`), []string{none}, []policy.Reason{MicrodataRef}},
		{"itemref to itself", `<div id=d itemscope itemtype="http://schema.org/EmailMessage" itemref=d>` + action("") + `</div>`, []string{none}, nil},
		{"itemref cycle", `<div itemscope itemref=a><p id=a itemprop=a itemscope itemref=b></p><p id=b itemprop=b itemscope itemref=a></p></div>`, nil, []policy.Reason{MicrodataCycle}},
		{"one action of two items", mail("") + `<p id=a itemprop=potentialAction itemscope itemtype="http://schema.org/ViewAction"></p><div itemscope itemtype="http://schema.org/EmailMessage" itemref=a></div>`, []string{none}, nil},
		{"template", mail(`<template>` + action("") + `</template>`), nil, []policy.Reason{InTemplate}},
		{"template in an item", mail(`<template>x</template>` + action("")), []string{none}, nil},
		{"many types", mail(`<p itemprop=potentialAction itemscope itemtype="` + strings.Repeat("http://schema.org/Thing ", maxTypes) + `http://schema.org/ViewAction"></p>`), nil, []policy.Reason{TooManyTypes, ActionType}},
		{"many properties", mail(action(strings.Repeat(`<i itemprop="name b c"></i>`, maxProperties/3+2) + `<a itemprop=url href=x></a>`)), []string{none}, []policy.Reason{MicrodataTooLarge, MicrodataTooLarge, MicrodataTooLarge}},
		{"one action of two items by itemref", `<p id=a itemprop=potentialAction itemscope itemtype="http://schema.org/ViewAction"></p>` + strings.Repeat(`<div itemscope itemtype="http://schema.org/EmailMessage" itemref=a></div>`, 2), []string{none}, nil},
		{"two urls in a handler", mail(action(handler(`<link itemprop=url href=a><meta itemprop=url content=b>`))), []string{target("", `[] handler "a" `)}, []policy.Reason{URLRepeated}},
		{"method", mail(action(handler(`<link itemprop=url href=a><link itemprop=method href="http://schema.org/HttpRequestMethod/POST">`))), []string{target("", `[] handler "a" POST`)}, nil},
		{"time", mail(action(`<time itemprop=startTime datetime="2026-01-02T03:04Z">then</time><time itemprop=endTime>2026</time>`)), []string{none}, []policy.Reason{TimeUnreadable}},
		{"parcel", `<p itemscope itemtype="http://schema.org/ParcelDelivery"><a itemprop=trackingUrl href=x>Track</a></p>`, []string{`TrackAction on "ParcelDelivery" name "" targets ["x"]`}, nil},
		{"orphan", action(""), nil, []policy.Reason{MicrodataOrphan}},
		{"moved out of a table", `<table itemscope itemtype="http://schema.org/EmailMessage"><p itemprop=potentialAction itemscope itemtype="http://schema.org/ViewAction"></p></table>`, nil, []policy.Reason{MicrodataOrphan}},
		{"www", `<div itemscope itemtype="http://www.schema.org/EmailMessage">` + action("") + `</div>`, []string{`ViewAction on "" name "" targets []`}, []policy.Reason{ContextUnknown}},
		{"other vocabulary", `<div itemscope itemtype="http://data.example/X"><p itemprop=potentialAction itemscope itemtype="http://data.example/ViewAction"></p></div>`, nil, []policy.Reason{ActionType}},
		{"misspelt", mail(`<p itemprop=potentialActions>x</p>`), nil, []policy.Reason{PropertyUnknown}},
		{"deep", strings.Repeat(`<p itemprop=a itemscope><div itemscope>`, 2) + strings.Repeat(`<b itemprop=a itemscope>`, maxNesting+2), nil, []policy.Reason{MicrodataTooDeep}},
		{"attribute of ours", `<div ` + offsetAttr + `=7 itemscope itemtype="http://schema.org/EmailMessage">` + action("") + `</div>`, []string{none}, nil},
	} {
		t.Run(tt.name, tt.run)
	}
}

func TestMicrodataPlace(t *testing.T) {
	t.Parallel()
	actions, _, _ := ExtractHTML("1", []byte("<body itemscope itemtype='http://schema.org/EmailMessage'>\n<table><tr><td>ä<p itemprop=potentialAction "+offsetAttr+"=1 itemscope itemtype='http://schema.org/ViewAction'>"))
	if len(actions) != 1 || actions[0].Place != (policy.Place{Part: "1", Line: 2, Col: 17}) {
		t.Errorf("%+v", actions)
	}
}

// TestMicrodataWork: by itemref a short text can ask for much.
func TestMicrodataWork(t *testing.T) {
	t.Parallel()
	var doubling strings.Builder
	for i := range 60 {
		fmt.Fprintf(&doubling, `<p id=a%d itemprop=a itemscope itemref="a%d b%d"></p><p id=b%d itemprop=b itemscope itemref="a%d b%d"></p>`, i, i+1, i+1, i, i+1, i+1)
	}
	ExtractHTML("1", []byte(`<div itemscope itemref="a0 b0"></div>`+doubling.String()))

	many := `<div id=x>` + strings.Repeat(`<i></i>`, 20_000) + `</div>` + strings.Repeat(`<p itemscope itemref=x></p>`, 5_000)
	// One long thing that many items have.
	const long = 1 << 20
	items := strings.Repeat(`<p itemscope itemtype=http://schema.org/ParcelDelivery itemref=x></p>`, 20_000)
	blank := `<meta id=x itemprop=trackingUrl content="` + strings.Repeat(" ", long) + `">`
	names := `<b id=x itemprop="` + strings.Repeat("a ", long/2) + `"></b>`
	for name, tt := range map[string]struct {
		html string
		want policy.Reason
	}{
		"nodes":      {many, MicrodataTooLarge},
		"tags":       {strings.Repeat("<i itemscope>", maxTags+1), HTMLTooLarge},
		"text":       {blank + items, MicrodataTooLarge},
		"names":      {names + items, MicrodataTooLarge},
		"attributes": {`<b id=x ` + strings.Repeat("a ", long/2) + `itemprop=a></b>` + items, ""},
		"types":      {`<b id=x itemprop=a itemscope itemtype="` + strings.Repeat("http://schema.org/A ", long/20) + `"></b>` + items, TooManyTypes},
		"properties": {`<b id=x itemprop=a itemscope>` + strings.Repeat(`<i itemprop=b></i>`, long/40) + `</b>` + items, MicrodataTooLarge},
	} {
		_, _, problems := ExtractHTML("1", []byte(tt.html))
		if got := codes(problems); (tt.want == "") != (len(got) == 0) || tt.want != "" && got[0] != tt.want {
			t.Errorf("%s: problems %q, want %q", name, got, tt.want)
		}
	}
}

// TestMicrodataRoom: what may be done is done for a message, not for each part.
func TestMicrodataRoom(t *testing.T) {
	t.Parallel()
	part := "--b\r\nContent-Type: text/html\r\n\r\n" + strings.Repeat("<i itemscope></i>", maxTags/4+1) + "\r\n"
	m := Extract(message.Parse([]byte("Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part + part + "--b--")))
	if len(m.Problems) != 1 || m.Problems[0].Code != HTMLTooLarge || m.Problems[0].Place.Part != "2" {
		t.Errorf("problems %v", m.Problems)
	}
}

// extructItem is an item as extruct's tests have it: values of one name are a
// value or a list of them.
func extructItem(it *item) map[string]any {
	properties := map[string]any{}
	for _, p := range it.props {
		var v any = strings.Join(strings.Fields(p.values[0].string()), " ")
		if p.values[0].item != nil {
			v = extructItem(p.values[0].item)
		}
		switch old := properties[p.name].(type) {
		case nil:
			properties[p.name] = v
		case []any:
			properties[p.name] = append(old, v)
		default:
			properties[p.name] = []any{old, v}
		}
	}
	result := map[string]any{"properties": properties}
	if len(it.types) > 0 {
		result["type"] = it.typ()
	}
	if it.id != "" {
		result["id"] = it.id
	}
	return result
}

// normalExtruct puts expectations in the form of extructItem: types without
// vocabulary, single white space.
func normalExtruct(v any) any {
	switch v := v.(type) {
	case string:
		return strings.Join(strings.Fields(v), " ")
	case []any:
		for i := range v {
			v[i] = normalExtruct(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = normalExtruct(v[name])
		}
		if s, ok := v["type"].(string); ok {
			v["type"], _ = term(s)
		}
		delete(v, "value")
	}
	return v
}

// extructDiffers says why the items of a page are not those that extruct's
// tests expect.
var extructDiffers = map[string]string{
	"Event.003.json":        "there the content attribute of any element is its value; in the HTML Standard only that of meta is",
	"Event.004.json":        "as Event.003",
	"SearchAction.001.json": "there an input element has a value of its own; in the HTML Standard it has its text",
	"product-ref.json":      "there itemref reaches into an element with itemscope; in the HTML Standard it does not",
}

func TestExtruct(t *testing.T) {
	t.Parallel()
	dir := conformance.Path(t, "microdata/extruct/schema.org")
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, file := range files {
		page, err := os.ReadFile(strings.TrimSuffix(file, ".json") + ".html")
		if err != nil {
			continue
		}
		n++
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var want any
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatal(err)
		}
		want = normalExtruct(want)
		name := filepath.Base(file)
		got := topItems(t, page)
		if why, known := extructDiffers[name]; reflect.DeepEqual(got, want) == known {
			a, _ := json.Marshal(got)
			b, _ := json.Marshal(want)
			t.Errorf("%s:\n%s\nwant\n%s\ndifference known: %q", name, a, b, why)
		}
	}
	conformance.Report(t, "microdata/extruct, items", n, len(extructDiffers))
}

func topItems(t *testing.T, data []byte) any {
	t.Helper()
	room := newRoom()
	d, err := newDocument(&page{html: data, room: &room}, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	list := []any{}
	for _, n := range d.scopes {
		if !hasAttr(n, "itemprop") {
			list = append(list, extructItem(d.item(n, 0)))
		}
	}
	return list
}

// TestCorpus reads every page of the Microdata corpus. What the W3C's pages test
// beyond items is RDF.
func TestCorpus(t *testing.T) {
	t.Parallel()
	n := 0
	err := filepath.WalkDir(conformance.Path(t, "microdata"), func(path string, d os.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".html" {
			return err
		}
		n++
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		checkInvariants(t, data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	conformance.Report(t, "microdata, read", n, 0)
}
