package markup

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
)

// action is a complete one, with its @context.
const action = `"@context":"http://schema.org",` + confirm

// TestOptions reads the same markup by default and by one option.
func TestOptions(t *testing.T) {
	t.Parallel()
	twice := strings.Replace("{"+action+"}", `"https://a.example/"`, `["https://a.example/","https://b.example/"]`, 1)
	for _, tt := range []struct {
		name, html   string
		o            Options
		before, want []string // URLs of the handlers.
		problems     []policy.Reason
	}{
		{"JSON", ld("{" + action + "}"), Options{Lenient: true}, []string{"https://a.example/"}, []string{"https://a.example/"}, nil},
		{"comment to the line's end", ld("// an action\n{" + action + "}"), Options{Lenient: true}, nil, []string{"https://a.example/"}, []policy.Reason{JSONLenient}},
		{"comment between", ld("{" + action + "/* }, */}"), Options{Lenient: true}, nil, []string{"https://a.example/"}, []policy.Reason{JSONLenient}},
		{"trailing comma", ld("{" + action + ",\n}"), Options{Lenient: true}, nil, []string{"https://a.example/"}, []policy.Reason{JSONLenient}},
		{"trailing comma and comment", ld("[{" + action + "},//x\n/**/]"), Options{Lenient: true}, nil, []string{"https://a.example/"}, []policy.Reason{JSONLenient}},
		{"commas alone", ld("[,]"), Options{Lenient: true}, nil, nil, []policy.Reason{JSONSyntax}},
		{"two trailing commas", ld("{" + action + ",,}"), Options{Lenient: true}, nil, nil, []policy.Reason{JSONSyntax}},
		{"comment without end", ld("{" + action + "} /* x"), Options{Lenient: true}, nil, []string{"https://a.example/"}, []policy.Reason{JSONLenient}},
		{"something else is wrong", ld("{" + action + ",} x"), Options{Lenient: true}, nil, nil, []policy.Reason{JSONSyntax}},
		{"graph", ld(`{"@context":"http://schema.org","@graph":[{` + confirm + `}]}`), Options{NoGraph: true}, []string{"https://a.example/"}, nil, nil},
		{"graph beside an item", ld(`{"@graph":[{` + confirm + `}],` + action + `}`), Options{NoGraph: true}, []string{"https://a.example/", "https://a.example/"}, []string{"https://a.example/"}, nil},
		{"two URLs", ld(twice), Options{Last: true}, []string{"https://a.example/"}, []string{"https://b.example/"}, []policy.Reason{URLRepeated}},
		{"two URLs in Microdata", `<p itemscope itemtype=http://schema.org/ConfirmAction><b itemprop=handler itemscope itemtype=http://schema.org/HttpActionHandler>` +
			`<a itemprop=url href=https://a.example/></a><meta itemprop=url content=https://b.example/></b></p>`,
			Options{Last: true}, []string{"https://a.example/"}, []string{"https://b.example/"}, []policy.Reason{URLRepeated}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := message.Parse([]byte("Content-Type: text/html\r\n\r\n" + tt.html))
			if got := urls(Extract(m)); !slices.Equal(got, tt.before) {
				t.Errorf("by default %q, want %q", got, tt.before)
			}
			got := tt.o.Extract(m)
			if !slices.Equal(urls(got), tt.want) || !slices.Equal(codes(got.Problems), tt.problems) {
				t.Errorf("%q, problems %v; want %q and %q", urls(got), got.Problems, tt.want, tt.problems)
			}
		})
	}
	// Of a visible link and another value, the one that counts says what it is.
	html := `<p itemscope itemtype=http://schema.org/ConfirmAction><b itemprop=handler itemscope itemtype=http://schema.org/HttpActionHandler>` +
		`<meta itemprop=url content=https://a.example/><a itemprop=url href=https://b.example/></a></b></p>`
	m := message.Parse([]byte("Content-Type: text/html\r\n\r\n" + html))
	if Extract(m).Actions[0].Handlers[0].Link || !(Options{Last: true}).Extract(m).Actions[0].Handlers[0].Link {
		t.Error("the link is not that of the value that counts")
	}
}

func urls(m policy.Markup) (list []string) {
	for _, a := range m.Actions {
		for _, h := range a.Handlers {
			list = append(list, h.URL)
		}
	}
	return list
}

// TestExtent holds that nothing of an action stands further down.
func TestExtent(t *testing.T) {
	t.Parallel()
	const filler = "<p>Some text.</p>"
	script := filler + ld("{"+action+"}")
	micro := filler + `<div itemscope itemtype=http://schema.org/EmailMessage><p itemprop=potentialAction itemscope itemtype=http://schema.org/ConfirmAction itemref=far>` +
		`<meta itemprop=name content=Go></p></div>` + filler + `<b id=far itemprop=handler itemscope itemtype=http://schema.org/HttpActionHandler>`
	for html, want := range map[string]int{
		script + filler: strings.Index(script, "</script>"),
		micro + `<link itemprop=url href=https://a.example/></b>` + filler:                                  len(micro),
		`<p x-doppelbox-at=1>` + micro + `<link itemprop=url href=https://a.example/></b>`:                  len(`<p x-doppelbox-at=1>` + micro + `<link itemprop=url href=https://a.example/></b>`),
		filler + ld(`{"@context":"http://schema.org","@type":"ParcelDelivery","trackingUrl":"https://a/"}`): strings.Index(filler+ld(`{"@context":"http://schema.org","@type":"ParcelDelivery","trackingUrl":"https://a/"}`), "</script>"),
	} {
		actions, _, _ := ExtractHTML("1", []byte(html))
		if len(actions) != 1 || actions[0].Extent != want {
			t.Errorf("%s\nactions %+v, want extent %d", html, actions, want)
		}
	}
}

func FuzzWithoutComments(f *testing.F) {
	f.Add([]byte(`{"a":[1,2,/* x */],// y` + "\n" + `"b":"/* z */",}`))
	f.Add([]byte(`"\`))
	f.Fuzz(func(t *testing.T, block []byte) {
		plain := withoutComments(block)
		if len(plain) != len(block) {
			t.Fatalf("%d octets of %d", len(plain), len(block))
		}
		if json.Valid(block) && string(plain) != string(block) {
			t.Fatalf("JSON was changed to %q", plain)
		}
	})
}
