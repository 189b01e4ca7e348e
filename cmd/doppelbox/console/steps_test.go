package console_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// twoActions deliver a mail with an action whose request is retried, and one whose
// request fails with a long answer each time.
var twoActions = `register noreply@shop.example bearer=yes
dns zone
endpoint https://shop.example/approve status=408,200
endpoint https://shop.example/confirm status=500 body=` + strings.Repeat("long-", 1500) + `
deliver mail from=bounce@shop.example to=alice@gmail.test peer=192.0.2.10
click Approve
expect click.state == pending
-- zone --
shop.example. TXT "v=spf1 ip4:192.0.2.10 -all"
-- mail --
From: noreply@shop.example
Message-ID: <2@shop.example>
Date: Thu, 15 Jan 2026 09:00:00 +0000
Content-Type: text/html

<script type="application/ld+json">{"@context": "http://schema.org", "@type": "EmailMessage", "potentialAction": [
{"@type": "ConfirmAction", "name": "Approve", "handler": {"@type": "HttpActionHandler", "url": "https://shop.example/approve", "method": "POST"}},
{"@type": "ConfirmAction", "name": "Confirm", "handler": {"@type": "HttpActionHandler", "url": "https://shop.example/confirm", "method": "POST"}}]}</script>
`

// steps posts steps that hold, and returns the paths of the answer and its size.
func steps(t *testing.T, h http.Handler, text string) (paths map[string]string, size int) {
	t.Helper()
	w := do(t, h, request{method: http.MethodPost, path: "steps", body: text})
	size = w.Body.Len()
	var answer struct{ Paths map[string]string }
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", text, w.Code, w.Body)
	}
	return answer.Paths, size
}

// requests are the requests that paths tell of.
func requests(paths map[string]string) string {
	var list []string
	for name := range paths {
		if m := regexp.MustCompile(`^request\.(\d+)\.`).FindStringSubmatch(name); m != nil && !slices.Contains(list, m[1]) {
			list = append(list, m[1])
		}
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// An answer tells of the requests that its steps made, carried on or name, and of
// the last one, whatever there was before: it does not grow.
func TestStepsTellOfTheirOwn(t *testing.T) {
	t.Parallel()
	h := newAPI(t)
	if paths, _ := steps(t, h, twoActions); requests(paths) != "0" || paths["request.0.state"] != "pending" {
		t.Errorf("the first click: %v", paths)
	}
	var sizes []int
	for range 8 {
		paths, size := steps(t, h, "click Confirm\n")
		if paths["click.state"] != "failed" || paths["token.aud"] != "https://shop.example" || len(requests(paths)) != 1 {
			t.Errorf("a click has requests %s of %s", requests(paths), paths["requests"])
		}
		sizes = append(sizes, size)
	}
	if sizes[7] > sizes[0]+100 || sizes[0] < 7_000 {
		t.Errorf("the answers have %d octets", sizes)
	}
	for _, tt := range []struct{ steps, requests string }{
		{"", "8"},
		{"expect request.1.status == 500\nexpect request.0.attempts == 1\n", "0 1 8"},
		{"click Confirm\nclick Confirm\n", "10 9"},
		{"advance 1m\n", "0 10"}, // The retry.
		{"expect request.0.state == succeeded\nexpect request.11.state not exists\n", "0 10"},
	} {
		paths, _ := steps(t, h, tt.steps)
		if requests(paths) != tt.requests {
			t.Errorf("%q tells of requests %s", tt.steps, requests(paths))
		}
		// How the last click ended can be asked later, too.
		if paths["click.state"] != "failed" || paths["requests"] == "" {
			t.Errorf("%q has %v", tt.steps, paths)
		}
	}
}
