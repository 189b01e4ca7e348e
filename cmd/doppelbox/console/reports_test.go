package console_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/receiver/reports"
)

// reportSteps bring mail of a domain that asks for reports.
const reportSteps = `dns zone
deliver mail from=x@shop.example to=alice@gmail.test peer=192.0.2.10
expect dmarc == pass
-- zone --
shop.example. TXT "v=spf1 ip4:192.0.2.10 -all"
_dmarc.shop.example. TXT "v=DMARC1; p=reject; rua=mailto:dmarc@shop.example"
-- mail --
From: x@shop.example

hi
`

func TestReports(t *testing.T) {
	t.Parallel()
	h := newAPI(t)
	if w := do(t, h, request{method: http.MethodPost, path: "steps", body: reportSteps}); w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	type answer struct {
		Files   []reports.File
		Problem string
	}
	for query, want := range map[string]int{
		"for=shop.example": 3, "for=shop.example&form=google": 3, "for=shop.example&form=rfc9990&day=2026-01-15": 3, "for=Shop.Example&form=both": 6,
		"for=shop.example&day=2026-01-16": 0, "for=other.example": 0,
	} {
		var got answer
		get(t, h, "reports?"+query, &got)
		if len(got.Files) != want || (got.Problem == "") != (want > 0) {
			t.Errorf("%s: %d files, %s", query, len(got.Files), got.Problem)
		}
		for _, f := range got.Files {
			if len(f.Content) == 0 || f.Name == "" || f.Type == "" || f.Kind != reports.KindZone && f.Begin.Day() != 15 {
				t.Errorf("%s: %+v", query, f)
			}
		}
	}
	for query, want := range map[string]string{
		"": "for names the domain", "for=a+b": "not a domain", "for=shop.example&form=x": "form is google", "for=shop.example&day=x": "day is one such as",
	} {
		if w := do(t, h, request{path: "reports?" + query}); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
	if w := do(t, h, request{path: "reports?for=shop.example", host: "evil.example"}); w.Code != http.StatusMisdirectedRequest {
		t.Errorf("for another host: %d", w.Code)
	}
}
