package console_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/cmd/doppelbox/console"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// mailSteps deliver a mail whose HTML must act in no browser.
const mailSteps = `deliver mail from=<> to=alice@gmail.test
expect smtp.code == 250
-- mail --
From: x@shop.example
Message-ID: <1@shop.example>
Content-Type: text/html

<script>alert(1)</script>
`

// newAPI returns the API of a provider with one account.
func newAPI(t testing.TB) http.Handler {
	t.Helper()
	p, err := provider.New(provider.Options{Clock: provider.StandingClock(time.Date(2026, 1, 15, 9, 0, 0, 0, time.UTC))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	if err := p.AddAccount("alice@gmail.test"); err != nil {
		t.Fatal(err)
	}
	return console.Handler(p)
}

// request is one request to the API.
type request struct {
	method, path, body string
	host               string // Default localhost.
	header             map[string]string
	ctx                context.Context
}

// do makes a request and returns the answer.
func do(t *testing.T, h http.Handler, q request) *httptest.ResponseRecorder {
	t.Helper()
	if q.ctx == nil {
		q.ctx = t.Context()
	}
	if q.method == "" {
		q.method = http.MethodGet
	}
	r := httptest.NewRequestWithContext(q.ctx, q.method, "/api/v1/"+q.path, strings.NewReader(q.body))
	r.Host = q.host
	if q.host == "" {
		r.Host = "localhost:8025"
	}
	for name, value := range q.header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// get decodes a good answer.
func get(t *testing.T, h http.Handler, path string, v any) {
	t.Helper()
	w := do(t, h, request{path: path})
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// Only who names this machine is answered: a page of another site whose name
// is made to lead here names that site.
func TestHost(t *testing.T) {
	t.Parallel()
	h := newAPI(t)
	tests := []struct {
		host string
		want int
	}{
		{"localhost", 200},
		{"localhost:8025", 200},
		{"127.0.0.1:8025", 200},
		{"127.8.9.10", 200},
		{"[::1]:8025", 200},
		{"[::1]", 200},
		{"evil.example", 421},
		{"evil.example:8025", 421},
		{"localhost.evil.example", 421},
		{"127.0.0.1.evil.example:8025", 421},
		{"192.0.2.10:8025", 421},
		{"[2001:db8::1]:8025", 421},
		{"0.0.0.0:8025", 421},
		{"2130706433", 421},
		{"localhost:8025:1", 421},
	}
	for _, tt := range tests {
		w := do(t, h, request{path: "messages", host: tt.host})
		if w.Code != tt.want {
			t.Errorf("host %q: %d %s", tt.host, w.Code, w.Body)
		}
		if w.Code == 200 && (w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Cache-Control") != "no-store") {
			t.Errorf("host %q: header %v", tt.host, w.Header())
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/messages", nil)
	r.Host = ""
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 421 {
		t.Errorf("no host: %d", w.Code)
	}
}

// No page of another site can press a button, whatever it sends.
func TestOrigin(t *testing.T) {
	t.Parallel()
	h := newAPI(t)
	const form, text = "application/x-www-form-urlencoded", "text/plain"
	tests := []struct {
		name   string
		header map[string]string
		want   int
	}{
		{"a program", nil, 200},
		{"curl", map[string]string{"Content-Type": form}, 200},
		{"our own page", map[string]string{"Origin": "http://localhost:8025", "Sec-Fetch-Site": "same-origin"}, 200},
		{"another origin", map[string]string{"Origin": "https://evil.example", "Content-Type": text}, 403},
		{"another port", map[string]string{"Origin": "http://localhost:3000"}, 403},
		{"a form of text", map[string]string{"Sec-Fetch-Site": "cross-site", "Content-Type": text}, 403},
		{"a form", map[string]string{"Sec-Fetch-Site": "cross-site", "Content-Type": form}, 403},
		{"a neighbour", map[string]string{"Sec-Fetch-Site": "same-site"}, 403},
		{"a page in a sandbox", map[string]string{"Origin": "null"}, 403},
		{"JSON", map[string]string{"Content-Type": "application/json; charset=utf-8"}, 415},
	}
	for _, tt := range tests {
		w := do(t, h, request{method: http.MethodPost, path: "steps", body: "expect messages == 0\n", header: tt.header})
		if w.Code != tt.want {
			t.Errorf("%s: %d %s", tt.name, w.Code, w.Body)
		}
	}
}

func TestSteps(t *testing.T) {
	t.Parallel()
	h := newAPI(t)
	tests := []struct {
		name, body string
		status     int
		has        []string
	}{
		{"held", "# A title.\nexpect messages == 0\n", 200, []string{`"held": true`, `"title": "A title."`, `"claims": 1`}},
		{"nothing", "", 200, []string{`"held": true`}},
		{"not held", "expect messages == 1\n", 409, []string{`"held": false`, `"msg": "actual value is \"0\""`, `"line": 1`}},
		{"stopped", "click 0\n", 409, []string{`"stopped": true`, `"msg": "there is no message yet"`}},
		{"provider", "provider mail.test\n", 409, []string{`the provider that runs is gmail.test, not mail.test`}},
		{"not read", "clik 0\nexpect\n", 400, []string{`"error": "the steps cannot be read"`, `did you mean \"click\"?`, `"line": 2`}},
		{"too large", strings.Repeat("#\n", 9<<20), 413, []string{`"error": "reading steps: `}},
		{"a mail", mailSteps, 200, []string{`"held": true`}},
	}
	for _, tt := range tests {
		w := do(t, h, request{method: http.MethodPost, path: "steps", body: tt.body})
		if w.Code != tt.status || w.Header().Get("Content-Type") != "application/json" || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s: %d %s", tt.name, w.Code, w.Body)
		}
		for _, text := range tt.has {
			if !strings.Contains(w.Body.String(), text) {
				t.Errorf("%s: no %s in %s", tt.name, text, w.Body)
			}
		}
	}
}

type summary struct {
	ID      string
	Seq     int64
	Account string
	Raw     []byte
	Refused bool
}

func TestMessages(t *testing.T) {
	t.Parallel()
	h := newAPI(t)
	for range 2 {
		if w := do(t, h, request{method: http.MethodPost, path: "steps", body: mailSteps}); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	enforced := strings.Replace(mailSteps, "expect smtp.code == 250\n", "", 1)
	if w := do(t, h, request{method: http.MethodPost, path: "steps", body: "inbound enforce\n" + enforced}); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	for path, want := range map[string]int{
		"messages": 2, "messages?account=alice@gmail.test": 2, "messages?account=bob@gmail.test": 0,
		"messages?after=1": 1, "messages?after=3&refused=yes": 0, "messages?refused=yes": 3,
		"messages?wait=1m": 2, "messages?after=3&wait=0s": 0,
	} {
		var list []summary
		get(t, h, path, &list)
		if len(list) != want {
			t.Errorf("%s: %+v", path, list)
		}
		for _, m := range list {
			if m.Raw != nil || m.Account != "alice@gmail.test" {
				t.Errorf("%s: %+v", path, m)
			}
		}
	}
	var list []summary
	get(t, h, "messages", &list)
	var one summary
	get(t, h, "messages/"+list[0].ID, &one)
	if one.ID != list[0].ID || one.Seq != 1 || one.Raw != nil {
		t.Errorf("got %+v", one)
	}
	var clicks []any
	get(t, h, "messages/"+list[0].ID+"/clicks", &clicks)
	if clicks == nil || len(clicks) != 0 {
		t.Errorf("clicks are %v", clicks)
	}
	w := do(t, h, request{path: "messages/" + list[0].ID + "/raw"})
	if w.Header().Get("Content-Type") != "text/plain; charset=utf-8" || w.Header().Get("X-Content-Type-Options") != "nosniff" || !strings.HasSuffix(w.Body.String(), "\r\n\r\n<script>alert(1)</script>\r\n") {
		t.Errorf("raw is %v\n%s", w.Header(), w.Body)
	}
}

func TestClicks(t *testing.T) {
	t.Parallel()
	h := newAPI(t)
	const steps = `register noreply@shop.example bearer=yes
dns zone
endpoint https://shop.example/approve
deliver mail from=bounce@shop.example to=alice@gmail.test peer=192.0.2.10
click 0
expect click.state == succeeded
-- zone --
shop.example. TXT "v=spf1 ip4:192.0.2.10 -all"
-- mail --
From: noreply@shop.example
Message-ID: <2@shop.example>
Date: Thu, 15 Jan 2026 09:00:00 +0000
Content-Type: text/html

<script type="application/ld+json">{"@context": "http://schema.org", "@type": "EmailMessage", "potentialAction": {"@type": "ConfirmAction",
"name": "Approve", "handler": {"@type": "HttpActionHandler", "url": "https://shop.example/approve", "method": "POST"}}}</script>
`
	if w := do(t, h, request{method: http.MethodPost, path: "steps", body: steps}); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	var clicks []struct {
		State    string
		Attempts []struct{ Status int }
	}
	get(t, h, "messages/m1/clicks", &clicks)
	if len(clicks) != 1 || clicks[0].State != "succeeded" || len(clicks[0].Attempts) != 1 || clicks[0].Attempts[0].Status != 200 {
		t.Errorf("got %+v", clicks)
	}
	// A click that is refused has no attempt, and its list is a list all the same.
	if w := do(t, h, request{method: http.MethodPost, path: "steps", body: "click 0\nexpect click.reason == already-done\n"}); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if w := do(t, h, request{path: "messages/m1/clicks"}); !strings.Contains(w.Body.String(), `"attempts": []`) || strings.Contains(w.Body.String(), "null") {
		t.Errorf("got %s", w.Body)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	h := newAPI(t)
	tests := []struct {
		method, path string
		status       int
	}{
		{http.MethodGet, "messages/m99", 404},
		{http.MethodGet, "messages/m99/clicks", 404},
		{http.MethodGet, "messages/m99/raw", 404},
		{http.MethodGet, "nothing", 404},
		{http.MethodPost, "messages", 405},
		{http.MethodDelete, "messages/m1", 405},
		{http.MethodGet, "steps", 405},
		{http.MethodPost, "keys", 405},
		{http.MethodGet, "messages?after=x", 400},
		{http.MethodGet, "messages?after=99999999999999999999", 400},
		{http.MethodGet, "messages?wait=soon", 400},
		{http.MethodGet, "messages?wait=-1s", 400},
		{http.MethodGet, "messages?wait=1h", 400},
	}
	for _, tt := range tests {
		if w := do(t, h, request{method: tt.method, path: tt.path}); w.Code != tt.status {
			t.Errorf("%s %s: %d %s", tt.method, tt.path, w.Code, w.Body)
		}
	}
}

// Who waits is told of a message as soon as it is there; who goes away waits
// no longer.
func TestWait(t *testing.T) {
	t.Parallel()
	h := newAPI(t)
	answered := make(chan *httptest.ResponseRecorder, 1)
	go func() { answered <- do(t, h, request{path: "messages?account=alice@gmail.test&after=0&wait=1m"}) }()
	if w := do(t, h, request{method: http.MethodPost, path: "steps", body: mailSteps}); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	var list []summary
	if w := <-answered; json.Unmarshal(w.Body.Bytes(), &list) != nil || len(list) != 1 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan *httptest.ResponseRecorder, 1)
	go func() { gone <- do(t, h, request{path: "messages?after=1&wait=1m", ctx: ctx}) }()
	leave()
	if w := <-gone; w.Body.Len() != 0 && strings.TrimSpace(w.Body.String()) != "[]" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestPublished(t *testing.T) {
	t.Parallel()
	h := newAPI(t)
	var list []struct{ ID, State string }
	get(t, h, "keys", &list)
	if len(list) != 2 {
		t.Errorf("keys are %+v", list)
	}
	w := do(t, h, request{path: "ca.pem"})
	text, _ := io.ReadAll(w.Body)
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/x-pem-file" || !strings.HasPrefix(string(text), "-----BEGIN CERTIFICATE-----\n") {
		t.Errorf("%d %v %s", w.Code, w.Header(), text)
	}
}
