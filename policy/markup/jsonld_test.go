package markup

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
)

func TestJSONLD(t *testing.T) {
	t.Parallel()
	context := `"@context":"http://schema.org",`
	target := func(u string) string { return `ViewAction on "EmailMessage" name "" targets ` + u }
	view := func(members string) string {
		return ld(`{` + context + `"@type":"EmailMessage","potentialAction":{"@type":"ViewAction"` + members + `}}`)
	}
	none := target("[]")
	for _, tt := range []extractTest{
		// Contexts.
		{"context", ld(`{` + context + confirm + `}`), []string{confirmed}, nil},
		{"https", ld(`{"@context":"https://schema.org",` + confirm + `}`), []string{confirmed}, nil},
		{"slash", ld(`{"@context":"https://schema.org/",` + confirm + `}`), []string{confirmed}, nil},
		{"context last", ld(`{` + confirm + `,"@context":"http://schema.org/"}`), []string{confirmed}, nil},
		{"context in an array", ld(`{"@context":["http://schema.org",{"@language":"en"}],` + confirm + `}`), []string{confirmed}, nil},
		{"vocab", ld(`{"@context":{"@vocab":"https://schema.org/"},` + confirm + `}`), []string{confirmed}, nil},
		{"prefix", ld(`{"@context":{"s":"http://schema.org/"},"@type":"s:EmailMessage","s:potentialAction":{"@type":"s:ViewAction","s:url":"x"}}`), []string{target(`["x"]`)}, nil},
		{"prefix missing", ld(`{"@context":{"s":"http://schema.org/"},"@type":"s:EmailMessage","potentialAction":{"@type":"s:ViewAction"}}`), nil, []policy.Reason{PropertyUnknown}},
		{"schema prefix", ld(`{` + context + `"@type":"schema:EmailMessage","schema:potentialAction":{"@type":"schema:ViewAction"}}`), []string{none}, nil},
		{"names in full", ld(`{` + context + `"@type":"http://schema.org/EmailMessage","https://schema.org/potentialAction":{"@type":"http://schema.org/ViewAction"}}`), []string{none}, nil},
		{"no context", ld(`{` + confirm + `}`), nil, []policy.Reason{ContextMissing}},
		{"other context", ld(`{"@context":"http://www.schema.org",` + confirm + `}`), nil, []policy.Reason{ContextUnknown}},
		{"null context", ld(`{"@context":null,` + confirm + `}`), nil, []policy.Reason{ContextUnknown}},
		{"inner context", ld(`{"@context":"http://x.example","a":{` + context + confirm + `}}`), nil, []policy.Reason{ContextUnknown}},
		{"other context inside", ld(`{` + context + `"@type":"Order","a":{"@context":"http://x.example",` + confirm + `}}`), nil, []policy.Reason{ContextUnknown}},

		{"many prefixes", ld(`{"@context":[` + strings.Repeat(`{"s":"http://schema.org"},`, 50) + manyPrefixes() + `],"@type":"p18:ViewAction","p18:name":"a","p20:name":"b"}`), []string{`ViewAction on "" name "a" targets []`}, []policy.Reason{ContextTooLarge, ContextTooLarge}},
		{"schema.org many times", ld(`{"@context":[` + strings.Repeat(`"http://schema.org",`, 5_000) + `"https://schema.org"],` + confirm + `}`), []string{confirmed}, nil},

		// Structure.
		{"array", ld(`[{` + context + confirm + `},{` + context + confirm + `}]`), []string{confirmed, confirmed}, nil},
		{"array, one without context", ld(`[{` + context + confirm + `},{` + confirm + `}]`), []string{confirmed}, []policy.Reason{ContextMissing}},
		{"graph", ld(`{` + context + `"@graph":[{` + confirm + `},{` + confirm + `}]}`), []string{confirmed, confirmed}, nil},
		{"string", ld(`"x"`), nil, []policy.Reason{JSONNoObject}},
		{"null in an array", ld(`[null,{` + context + confirm + `}]`), []string{confirmed}, []policy.Reason{JSONNoObject}},
		{"action alone", ld(`{` + context + `"@type":"ConfirmAction","name":"Go"}`), []string{`ConfirmAction on "" name "Go" targets []`}, nil},
		{"deep inside", ld(`{` + context + `"@type":"ParcelDelivery","partOfOrder":{"@type":"Order","x":[[{` + confirm + `}]]}}`), []string{confirmed}, nil},
		{"in an action", ld(`{` + context + `"@type":"InformAction","object":{` + confirm + `}}`), []string{`InformAction on "" name "" targets []`, confirmed}, nil},
		{"several", ld(`{` + context + `"@type":"EmailMessage","potentialAction":[{"@type":"ViewAction","url":"a"},{"@type":"ViewAction","url":"b"}]}`), []string{target(`["a"]`), target(`["b"]`)}, nil},
		{"several types", ld(`{` + context + `"@type":"EmailMessage","potentialAction":{"@type":["Thing","ViewAction"]}}`), []string{none}, nil},
		{"lower case", ld(`{` + context + `"@type":"EmailMessage","potentialaction":{"@type":"ViewAction"}}`), []string{none}, nil},
		{"@set", ld(`{` + context + `"@type":"EmailMessage","potentialAction":{"@set":[{"@type":"ViewAction","url":{"@value":"x"}}]}}`), []string{target(`["x"]`)}, nil},
		{"action elsewhere", ld(`{` + context + `"@type":"Order","acceptedOffer":{"@type":"BuyAction","url":"x"}}`), nil, []policy.Reason{ActionMisplaced}},
		{"action as text", ld(`{` + context + `"@type":"Order","potentialAction":"x"}`), nil, []policy.Reason{ActionType}},
		{"action without type", ld(`{` + context + `"@type":"Order","potentialAction":{"url":"x"}}`), nil, []policy.Reason{ActionType}},
		{"escaped slashes", ld(`{"@context":"http:\/\/schema.org\/",` + confirm + `}`), []string{confirmed}, nil},

		// Targets and handlers.
		{"url and target", view(`,"url":"a","target":["b","a",{"@type":"EntryPoint","urlTemplate":"c"},{"url":"d"},{"@id":"e"}]`), []string{target(`["a" "b" "c" "d" "e"]`)}, nil},
		{"handler and url", view(`,"url":"a","handler":{"@type":"HttpActionHandler","url":"b"}`), []string{target(`["a"] handler "b" `)}, nil},
		{"handler with url list", view(`,"handler":{"@type":"HttpActionHandler","url":["a","b"]}`), []string{target(`[] handler "a" `)}, []policy.Reason{URLRepeated}},
		{"two handlers", view(`,"handler":[{"@type":"HttpActionHandler","url":"a"},{"@type":"HttpActionHandler","url":"b"}]`), []string{target(`[] handler "a"  handler "b" `)}, nil},
		{"handler without type", view(`,"handler":{"url":"a"}`), []string{none}, []policy.Reason{HandlerType}},
		{"handler as text", view(`,"handler":"a"`), []string{none}, []policy.Reason{HandlerType}},
		{"web handler", view(`,"handler":{"@type":"WebActionHandler","url":"a"}`), []string{target(`["a"]`)}, nil},
		{"handler as target", view(`,"target":{"@type":"HttpActionHandler","url":"a"}`), []string{none}, []policy.Reason{HandlerMisplaced}},
		{"handler of no action", ld(`{` + context + `"@type":"EmailMessage","handler":{"@type":"HttpActionHandler","url":"a"}}`), nil, []policy.Reason{HandlerMisplaced}},
		{"method in full", view(`,"handler":{"@type":"HttpActionHandler","method":"http://schema.org/HttpRequestMethod/GET"}`), []string{target(`[] handler "" GET`)}, nil},
		{"method with dot", view(`,"handler":{"@type":"HttpActionHandler","method":"HttpRequestMethod.GET"}`), []string{target(`[] handler "" GET`)}, nil},
		{"method short", view(`,"handler":{"@type":"HttpActionHandler","method":"POST"}`), []string{target(`[] handler "" POST`)}, nil},
		{"method other", view(`,"handler":{"@type":"HttpActionHandler","method":"post"}`), []string{target(`[] handler "" post`)}, []policy.Reason{MethodUnknown}},

		{"many targets", view(`,"url":[` + numbers(maxTargets+2) + `]`), []string{`ViewAction on "EmailMessage" name "" targets ["0" "1" "10" "11" "12" "13" "14" "15" "16" "17" "18" "19" "2" "3" "4" "5" "6" "7" "8" "9"]`}, []policy.Reason{TooManyTargets, TooManyTargets}},
		{"many handlers", view(`,"handler":[` + strings.Repeat(`{"@type":"HttpActionHandler"},`, maxTargets) + `{"@type":"HttpActionHandler"}]`), []string{none + strings.Repeat(` handler "" `, maxTargets)}, []policy.Reason{TooManyTargets}},
		{"many types", ld(`{` + context + `"@type":[` + strings.Repeat(`"Thing",`, maxTypes) + `"ViewAction"]}`), nil, []policy.Reason{TooManyTypes}},

		// Parcels.
		{"parcel", ld(`{` + context + `"@type":"ParcelDelivery","trackingUrl":"x"}`), []string{`TrackAction on "ParcelDelivery" name "" targets ["x"]`}, nil},
		{"parcel with action", ld(`{` + context + `"@type":"ParcelDelivery","trackingUrl":"x","potentialAction":{"@type":"TrackAction","target":"y"}}`), []string{`TrackAction on "ParcelDelivery" name "" targets ["y"]`}, nil},
		{"parcel with other action", ld(`{` + context + `"@type":"ParcelDelivery","potentialAction":{"@type":"ViewAction"},"trackingUrl":"x"}`), []string{`ViewAction on "ParcelDelivery" name "" targets []`, `TrackAction on "ParcelDelivery" name "" targets ["x"]`}, nil},

		// Mistakes.
		{"plural", ld(`{` + context + `"@type":"EmailMessage","potentialActions":{"name":"x"}}`), nil, []policy.Reason{PropertyUnknown}},
		{"underscore", ld(`{` + context + `"@type":"EmailMessage","potential_action":{"name":"x"}}`), nil, []policy.Reason{PropertyUnknown}},
		{"handlers", view(`,"handlers":"x"`), []string{none}, []policy.Reason{PropertyUnknown}},
		{"capital", view(`,"Handler":"x"`), []string{none}, []policy.Reason{PropertyUnknown}},
		{"type without @", ld(`{` + context + `"type":"EmailMessage"}`), nil, []policy.Reason{PropertyUnknown}},
		{"handler's httpMethod", view(`,"handler":{"@type":"HttpActionHandler","httpMethod":"POST"}`), []string{target(`[] handler "" `)}, []policy.Reason{PropertyUnknown}},
		{"handlers elsewhere", ld(`{` + context + `"@type":"EmailMessage","handlers":"x","href":"x"}`), nil, nil},
		{"year 1", view(`,"endTime":"0001-01-01T00:00:00Z"`), []string{none}, []policy.Reason{TimeUnreadable}},
		{"time that is no text", view(`,"endTime":{"@type":"DateTime"},"startTime":" "`), []string{none}, []policy.Reason{TimeUnreadable, TimeUnreadable}},
		{"null as time", view(`,"endTime":null`), []string{none}, nil},
		{"year 1 elsewhere", view(`,"startTime":"0001-01-01T05:00+05:00"`), []string{none}, []policy.Reason{TimeUnreadable}},
		{"bad time", view(`,"endTime":"tomorrow"`), []string{none}, []policy.Reason{TimeUnreadable}},
		{"two names", ld(`{` + context + `"@type":"ViewAction","name":["a","b"]}`), []string{`ViewAction on "" name "a" targets []`}, []policy.Reason{PropertyRepeated}},
		{"name twice", ld(`{` + context + `"@type":"ViewAction","name":"a","name":"b"}`), []string{`ViewAction on "" name "b" targets []`}, []policy.Reason{JSONDuplicateKey}},
	} {
		t.Run(tt.name, tt.run)
	}
}

// numbers returns n numbers of JSON from 0.
func numbers(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = strconv.Itoa(i)
	}
	return strings.Join(list, ",")
}

// manyPrefixes returns an @context of two more than are read besides one.
func manyPrefixes() string {
	var list []string
	for i := range maxPrefixes + 1 {
		list = append(list, fmt.Sprintf(`"p%d":"http://schema.org/"`, i))
	}
	return "{" + strings.Join(list, ",") + "}"
}

// TestUnreadTimes: what was written tells an unreadable time from an absent one.
func TestUnreadTimes(t *testing.T) {
	t.Parallel()
	actions, _, _ := ExtractHTML("1", []byte(ld(`{"@context":"http://schema.org","@type":"ViewAction","startTime":"soon","endTime":"0001-01-01T00:00:00Z"}`)))
	if len(actions) != 1 || actions[0].StartTime != "soon" || actions[0].EndTime != "0001-01-01T00:00:00Z" || !actions[0].Start.IsZero() || !actions[0].End.IsZero() {
		t.Errorf("%+v", actions)
	}
}

func TestJSONLimits(t *testing.T) {
	t.Parallel()
	for _, tt := range []extractTest{
		{"deep", ld(strings.Repeat(`{"a":`, maxNesting+2) + "1" + strings.Repeat("}", maxNesting+2)), nil, []policy.Reason{JSONTooDeep}},
		{"very deep", ld(strings.Repeat(`[`, 100_000)), nil, []policy.Reason{JSONSyntax}},
		{"large", ld(`"` + strings.Repeat("x", maxBlock) + `"`), nil, []policy.Reason{JSONTooLarge}},
	} {
		t.Run(tt.name, tt.run)
	}
}

// TestJSONSyntax: one problem, at the place, in words; other blocks are read.
func TestJSONSyntax(t *testing.T) {
	t.Parallel()
	good := ld(`{"@context":"http://schema.org",` + confirm + `}`)
	tests := []struct {
		name, block string
		line, col   int
		text        string
	}{
		{"trailing comma", "\n{\"a\": 1,\n}", 3, 1, "trailing comma before '}'"},
		{"trailing comma in array", "[1, ]", 1, 5, "trailing comma before ']'"},
		{"missing comma", "\n{\"a\": 1\n  \"b\": 2}", 3, 3, "comma is missing before '\"'"},
		{"missing comma in array", "[{} {}]", 1, 5, "comma is missing before '{'"},
		{"comment", "{ // x\n}", 1, 3, "comments"},
		{"comment before", "/* x */ {}", 1, 1, "comments"},
		{"HTML-escaped", "{&quot;a&quot;: 1}", 1, 2, "HTML-escaped"},
		{"HTML comment", "<!-- {} -->", 1, 1, "HTML"},
		{"placeholder", "{\"a\": {{ url }}}", 1, 8, "placeholder"},
		{"placeholder tag", "{% if x %}", 1, 2, "placeholder"},
		{"single quotes", "{'a': 1}", 1, 2, "quoted with"},
		{"curly quotes", "{“a”: 1}", 1, 2, "quoted with"},
		{"line in a string", "{\"a\": \"x\ny\"}", 1, 9, "must be escaped"},
		{"escape", `{"a": "\x"}`, 1, 9, ""},
		{"text after", "{} ä x", 1, 4, "text after its end: 'ä'"},
		{"unfinished", "{\"a\": [1", 1, 9, "ends in the middle"},
		{"unfinished string", "{\"a", 1, 4, "ends in the middle"},
		{"wrong bracket", "[{\"a\": 1]", 1, 9, "closes something else"},
		{"name without quotes", "{a: 1}", 1, 2, "name in quotation marks"},
		{"after umlauts", "{\"ä\": \"ö\" x}", 1, 11, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if json.Valid([]byte(tt.block)) {
				t.Fatal("the test is wrong: this is JSON")
			}
			start := `<script type="application/ld+json">`
			actions, _, problems := ExtractHTML("1", []byte(good+"\n<p>x\n"+start+tt.block+"</script>"+good))
			if len(actions) != 2 || len(problems) != 1 || problems[0].Code != JSONSyntax {
				t.Fatalf("%d actions, problems %v", len(actions), problems)
			}
			want := policy.Place{Part: "1", Line: tt.line + 2, Col: tt.col}
			if tt.line == 1 {
				want.Col += len(start)
			}
			if got := problems[0]; got.Place != want || !strings.Contains(got.Text, tt.text) {
				t.Errorf("%s, want %s and %q", got, want, tt.text)
			}
		})
	}
}

func TestJSONPlaces(t *testing.T) {
	t.Parallel()
	_, _, problems := ExtractHTML("1", []byte(ld(`
{"@context": "http://schema.org", "@type": "EmailMessage",
 "potentialAction": {"@type": "ViewAction",
  "endTime" : "tomorrow", "Handler": {},
  "n\u0061me": "a", "name" :"b",
  "handler": [ "x" ]
}}`)))
	var got []string
	for _, p := range problems {
		got = append(got, p.String())
	}
	want := []string{
		`part 1, line 5, column 21: "name" stands twice in one object; the last counts`,
		`part 1, line 4, column 15: endTime "tomorrow" is not a time of ISO 8601`,
		`part 1, line 6, column 16: a handler is an item of type HttpActionHandler, not a text`,
		`part 1, line 4, column 27: property "Handler" of "ViewAction" is not known; "handler" is`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
