package provider_test

import (
	"fmt"
	"maps"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// dialCase is a dial, how its effect is seen, and what is seen by each value.
type dialCase struct {
	dial policy.DialID
	see  func(*testing.T, *provider.Provider) string
	want map[string]string
}

// dialCases are of all dials that answer an open question.
func dialCases() []dialCase {
	return slices.Concat(markupDials, requestDials, answerDials, tokenDials, keyDials, outsideDials)
}

// TestDials sets every dial that answers an open question to each of its values,
// in a provider of its own, and looks at the wire or the verdict.
func TestDials(t *testing.T) {
	t.Parallel()
	for _, tt := range dialCases() {
		for _, value := range slices.Sorted(maps.Keys(tt.want)) {
			t.Run(fmt.Sprintf("%s=%s", tt.dial, value), func(t *testing.T) {
				t.Parallel()
				p := newProvider(t, provider.Options{})
				if err := p.SetDial(string(tt.dial), value); err != nil {
					t.Fatal(err)
				}
				if got := tt.see(t, p); got != tt.want[value] {
					t.Errorf("got  %s\nwant %s", got, tt.want[value])
				}
			})
		}
	}
}

// TestEveryQuestionHasADial holds that nothing that is open is left out: of the
// questions, of the dials for them, and of these dials' values.
func TestEveryQuestionHasADial(t *testing.T) {
	t.Parallel()
	shown := map[policy.DialID]map[string]string{}
	for _, tt := range dialCases() {
		shown[tt.dial] = tt.want
	}
	defaults := map[policy.DialID]policy.Dial{}
	for _, d := range policy.AllDials() {
		defaults[d.ID] = d
	}
	for i, q := range policy.Questions() {
		if q.ID != fmt.Sprintf("U%d", i+1) || (len(q.Dials) == 0) != (q.ID == "U8") || (q.Instead == "") == (q.ID == "U8") {
			t.Errorf("question %d is %+v", i+1, q)
		}
		for _, id := range q.Dials {
			d, seen := defaults[id], shown[id]
			values := []string{d.Default}
			for _, v := range d.Values {
				if v == strings.ToLower(v) && !strings.Contains(v, "..") {
					values = append(values, v)
				}
			}
			for _, v := range values {
				if _, ok := seen[v]; !ok {
					t.Errorf("no test shows %s=%s", id, v)
				}
			}
			if byDefault := seen[d.Default]; !slices.ContainsFunc(slices.Collect(maps.Values(seen)), func(s string) bool { return s != byDefault }) {
				t.Errorf("no value of %s makes a difference", id)
			}
		}
	}
}

// mailFrom makes a mail with HTML, from one address to another.
func mailFrom(from, to, html string) []byte {
	return []byte("From: " + from + "\r\nTo: " + to + "\r\nSubject: Expense\r\nDate: Thu, 15 Jan 2026 09:00:00 +0000\r\n" +
		"Message-ID: <1@shop.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n" + html)
}

// fromShop is mailFrom for the sender that is registered.
func fromShop(html string) []byte {
	return mailFrom("noreply@shop.example", "alice@gmail.test", html)
}

// script is JSON-LD of an action, with members of its handler beside the URL.
func script(typ, name, handler string) string {
	return `<script type="application/ld+json">` + actionOf(typ, name, handler) + "</script>\r\n"
}

func actionOf(typ, name, handler string) string {
	return `{"@context": "http://schema.org", "@type": "EmailMessage", "potentialAction": {"@type": "` + typ + `", "name": "` + name +
		`", "handler": {"@type": "HttpActionHandler", "url": "` + serviceURL + `"` + handler + `}}}`
}

// microdata is the same of a ConfirmAction in Microdata.
func microdata(name string) string {
	return `<div itemscope itemtype="http://schema.org/EmailMessage"><p itemprop="potentialAction" itemscope itemtype="http://schema.org/ConfirmAction">` +
		`<meta itemprop="name" content="` + name + `"><i itemprop="handler" itemscope itemtype="http://schema.org/HttpActionHandler">` +
		`<link itemprop="url" href="` + serviceURL + `"></i></p></div>` + "\r\n"
}

const post = `, "method": "POST"`

// offered delivers a mail and says which buttons it has, and why not the others.
func offered(html string) func(*testing.T, *provider.Provider) string {
	return func(t *testing.T, p *provider.Provider) string {
		m := delivered(t, p, fromShop(html))
		var list []string
		for _, a := range m.Verdict.Actions {
			list = append(list, fmt.Sprintf("%s %s", a.Name, a.Reason))
		}
		return strings.Join(list, ", ")
	}
}

// clicked delivers a mail and presses its first button. It returns the click as
// it stands, and its attempts.
func clicked(t *testing.T, p *provider.Provider, raw []byte) (mailbox.Click, []mailbox.Attempt) {
	t.Helper()
	m := delivered(t, p, raw)
	c, err := p.Click(t.Context(), m.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	if c.Verdict.Answer != policy.ClickFire {
		t.Fatalf("the click is answered %s (%s)", c.Verdict.Answer, c.Verdict.Reason)
	}
	return c, attempts(t, p, c.ID)
}

// wire delivers a mail, presses its button, and returns the request line, the
// type of the content, and the content.
func wire(html string) func(*testing.T, *provider.Provider) string {
	return func(t *testing.T, p *provider.Provider) string {
		p.Register(policy.Registration{From: "noreply@shop.example", Actions: []string{"SaveAction"}, Bearer: true})
		addService(t, p, provider.Service{URL: serviceURL})
		_, list := clicked(t, p, fromShop(html))
		head, body, _ := strings.Cut(string(list[0].Sent), "\r\n\r\n")
		lines := strings.Split(head, "\r\n")
		for _, line := range lines[1:] {
			if typ, ok := strings.CutPrefix(line, "Content-Type: "); ok {
				return lines[0] + " | " + typ + " | " + body
			}
		}
		return lines[0]
	}
}

const markupTwo = "https://shop.example/approve?token=second-b1946ac92492"

// markupDials are those of what counts as markup.
var markupDials = []dialCase{
	{policy.DialLenientJSON, offered(`<script type="application/ld+json">// As Google's sample has it.` + "\r\n[" + actionOf("ConfirmAction", "A", "") + ",]</script>"),
		map[string]string{"no": "", "yes": "A offered"}},
	{policy.DialGraph, offered(`<script type="application/ld+json">{"@context": "http://schema.org", "@graph": [` + actionOf("ConfirmAction", "A", "") + `]}</script>`),
		map[string]string{"yes": "A offered", "no": ""}},
	{policy.DialRepeatedValue, func(t *testing.T, p *provider.Provider) string {
		html := strings.Replace(script("ConfirmAction", "A", post), `"`+serviceURL+`"`, `["`+serviceURL+`", "`+markupTwo+`"]`, 1)
		return wire(html)(t, p)
	}, map[string]string{
		"first": "POST /approve?token=b1946ac92492d234 HTTP/1.1 | application/x-www-form-urlencoded | confirmed=Approved",
		"last":  "POST /approve?token=second-b1946ac92492 HTTP/1.1 | application/x-www-form-urlencoded | confirmed=Approved",
	}},
	{policy.DialSyntax, offered(script("ConfirmAction", "A", "") + microdata("B")),
		map[string]string{"both": "A offered, B offered", "json-ld": "A offered, B other-syntax", "microdata": "A other-syntax, B offered"}},
	{policy.DialMaxActions, offered(script("ConfirmAction", "A", "") + microdata("B")),
		map[string]string{"100": "A offered, B offered", "1": "A offered, B beyond-max-actions"}},
	{policy.DialMaxMarkup, offered(script("ConfirmAction", "A", "") + strings.Repeat("<p>Much text.</p>\r\n", 6000) + script("ConfirmAction", "B", "") + microdata("C")),
		map[string]string{"off": "A offered, B offered, C offered", "104448": "A offered, B beyond-max-size, C beyond-max-size", "1000": "A offered, B beyond-max-size, C beyond-max-size"}},
	{policy.DialRSVP, func(t *testing.T, p *provider.Provider) string {
		p.Register(policy.Registration{From: "noreply@shop.example", Actions: []string{"RsvpAction"}})
		return offered(strings.Replace(script("RsvpAction", "A", ""), "EmailMessage", "Event", 1))(t, p)
	}, map[string]string{"withheld": "A type-withdrawn", "offered": "A offered"}},
}

const (
	posted = "POST /approve?token=b1946ac92492d234 HTTP/1.1 | application/x-www-form-urlencoded | "
	asked  = "GET /approve?token=b1946ac92492d234"
)

// requestDials are those of the request that a click leads to.
var requestDials = []dialCase{
	{policy.DialSaveBody, wire(script("SaveAction", "A", post)), map[string]string{"empty": posted, "confirmed": posted + "confirmed=Approved"}},
	{policy.DialGetInputs, wire(script("ConfirmAction", "A", `, "method": "GET"`)),
		map[string]string{"none": asked + " HTTP/1.1", "query": asked + "&confirmed=Approved HTTP/1.1"}},
	{policy.DialEncoding, wire(script("ConfirmAction", "A", post+`, "encoding": "Application/JSON; charset=utf-8"`)),
		map[string]string{"form": posted + "confirmed=Approved", "stated": strings.Replace(posted, "x-www-form-urlencoded", "json", 1) + `{"confirmed":"Approved"}`}},
}

// redirecting is a service that sends everybody elsewhere.
func redirecting(t *testing.T, p *provider.Provider) string {
	addService(t, p, provider.Service{URL: serviceURL, Statuses: []int{307}, Header: map[string][]string{"Location": {"/elsewhere"}}})
	addService(t, p, provider.Service{URL: "https://shop.example/elsewhere"})
	c, list := clicked(t, p, fromShop(script("ConfirmAction", "A", post)))
	return fmt.Sprintf("%s %d", c.State, list[0].Status)
}

// answered is how a click stands when its service answers in a way.
func answered(s provider.Service) func(*testing.T, *provider.Provider) string {
	return func(t *testing.T, p *provider.Provider) string {
		addService(t, p, provider.Service{URL: serviceURL, Statuses: s.Statuses, Fail: s.Fail})
		c, _ := clicked(t, p, fromShop(script("ConfirmAction", "A", post)))
		return string(c.State)
	}
}

// answerDials are those of what becomes of a request.
var answerDials = []dialCase{
	{policy.DialRedirect, redirecting, map[string]string{"fail": "failed 307", "follow": "succeeded 200"}},
	{policy.DialSuccess, answered(provider.Service{Statuses: []int{204}}), map[string]string{"200": "failed", "2xx": "succeeded"}},
	{policy.DialRetryServer, answered(provider.Service{Statuses: []int{503}}), map[string]string{"no": "failed", "yes": "pending"}},
	{policy.DialRetryTooMany, answered(provider.Service{Statuses: []int{429}}), map[string]string{"no": "failed", "yes": "pending"}},
	{policy.DialRetryStatus, answered(provider.Service{Statuses: []int{409}}), map[string]string{"none": "failed", "403,409": "pending", "403": "failed"}},
	{policy.DialRetryTimeout, answered(provider.Service{Fail: provider.FailTimeout}), map[string]string{"no": "failed", "yes": "pending"}},
	{policy.DialRetrySchedule, func(t *testing.T, p *provider.Provider) string {
		addService(t, p, provider.Service{URL: serviceURL, Statuses: []int{408}})
		c, _ := clicked(t, p, fromShop(script("ConfirmAction", "A", post)))
		if err := p.Advance(t.Context(), 24*time.Hour); err != nil {
			t.Fatal(err)
		}
		var at []string
		for _, a := range attempts(t, p, c.ID) {
			at = append(at, a.At.Format("15:04:05"))
		}
		return strings.Join(at, " ")
	}, map[string]string{"1m,5m,30m,2h": "09:00:00 09:01:00 09:06:00 09:36:00 11:36:00", "10s,1h": "09:00:00 09:00:10 10:00:10"}},
}

// keyDials are those of the keys that are published.
var keyDials = []dialCase{
	{policy.DialKeyRotation, func(t *testing.T, p *provider.Provider) string {
		before := currentKey(t, p)
		if err := p.Advance(t.Context(), 25*time.Hour); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(before == currentKey(t, p))
	}, map[string]string{"off": "true", "24h": "false"}},
	{policy.DialKeyMaxAge, func(_ *testing.T, p *provider.Provider) string {
		w := httptest.NewRecorder()
		p.Keys().Handler().ServeHTTP(w, httptest.NewRequest("GET", "/oauth2/v1/certs", nil))
		return w.Header().Get("Cache-Control")
	}, map[string]string{"5h30m": "public, max-age=19800, must-revalidate, no-transform", "10m": "public, max-age=600, must-revalidate, no-transform"}},
}

func currentKey(t *testing.T, p *provider.Provider) string {
	t.Helper()
	list, err := p.Keys().Keys()
	if err != nil {
		t.Fatal(err)
	}
	return list[0].ID
}

// toSelf is a mail of alice's to herself, which she sends by her provider.
func toSelf(t *testing.T, p *provider.Provider) []byte {
	t.Helper()
	if errs := p.Zone().Load("self", "gmail.test. TXT \"v=spf1 ip4:192.0.2.10 -all\"\n"); len(errs) > 0 {
		t.Fatal(errs)
	}
	return mailFrom("alice@gmail.test", "alice@gmail.test", script("ConfirmAction", "A", post))
}

// deliveredFrom hands in a mail with an envelope of its own.
func deliveredFrom(t *testing.T, p *provider.Provider, from string, raw []byte) mailbox.Message {
	t.Helper()
	d, err := p.Deliver(t.Context(), netip.MustParseAddr(senderPeer), provider.Mail{HELO: "mail.shop.example", From: from, To: []string{"alice@gmail.test"}, Raw: raw}, false)
	if err != nil || len(d.Messages) != 1 {
		t.Fatalf("%d messages, %v", len(d.Messages), err)
	}
	return d.Messages[0]
}
