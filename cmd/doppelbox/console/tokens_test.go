package console_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/keys"
)

// post sends a body and returns the status and what the API says is wrong.
func post(t *testing.T, h http.Handler, path, body string, to any) (status int, problem string) {
	t.Helper()
	w := do(t, h, request{method: http.MethodPost, path: path, body: body})
	var answer struct{ Error string }
	if w.Code != http.StatusOK {
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
		return w.Code, answer.Error
	}
	if err := json.Unmarshal(w.Body.Bytes(), to); err != nil {
		t.Fatalf("%s: %v in %s", path, err, w.Body)
	}
	return w.Code, ""
}

type made struct {
	Token          string
	Header, Claims map[string]any
}

func TestTokens(t *testing.T) {
	t.Parallel()
	h := newAPI(t)
	var m made
	if status, problem := post(t, h, "tokens", `{"audience":"https://shop.example","claims":{"azp":null,"hd":"shop.example"},"header":{"typ":"x"},"ttl":"90s","iat":"-1m"}`, &m); status != http.StatusOK {
		t.Fatal(status, problem)
	}
	if m.Header["typ"] != "x" || m.Claims["hd"] != "shop.example" || m.Claims["azp"] != nil || m.Claims["iat"] != 1768467540.0 || m.Claims["exp"] != 1768467630.0 {
		t.Errorf("made %+v", m)
	}
	for body, want := range map[string]string{
		`{"token":"` + m.Token + `"}`:                                    "authorized-party-missing",
		`{"token":"` + m.Token + `","audience":"https://other.example"}`: "audience-wrong",
		`{"token":"` + m.Token + `","at":"31s","audience":""}`:           "authorized-party-missing",
		`{"token":"` + m.Token + `","at":"2026-01-15T08:00:00Z"}`:        "authorized-party-missing",
		`{"token":""}`: "empty",
		`{}`:           "empty",
	} {
		var e keys.Examination
		if status, problem := post(t, h, "tokens/verify", body, &e); status != http.StatusOK || e.Verified || e.Reason != want {
			t.Errorf("%s: %d %s, %s, want %s", body, status, problem, e.Reason, want)
		}
	}
	var good made
	post(t, h, "tokens", `{"audience":"https://shop.example"}`, &good)
	var e keys.Examination
	post(t, h, "tokens/verify", `{"token":"`+good.Token+`","audience":"https://shop.example","at":"3594s"}`, &e)
	if !e.Verified || string(e.Header) == "" || len(e.Findings) != 14 {
		t.Errorf("the provider's token: %+v", e)
	}
	post(t, h, "tokens/verify", `{"token":"`+good.Token+`","at":"3595s"}`, &e)
	if e.Verified || e.Reason != "expired" {
		t.Errorf("an hour later: %+v", e)
	}
}

func TestTokensNameTheMistake(t *testing.T) {
	t.Parallel()
	h := newAPI(t)
	for _, tt := range []struct {
		path, body string
		status     int
		want       string
	}{
		{"tokens", ``, 400, "the request is no JSON object: unexpected end of JSON input"},
		{"tokens", `[]`, 400, "the request is no JSON object"},
		{"tokens", `{"audeince":"x"}`, 400, `the request has no member "audeince"; did you mean "audience"?`},
		{"tokens", `{"Audience":"x"}`, 400, `the request has no member "Audience"; did you mean "audience"?`},
		{"tokens", `{"audience":1}`, 400, "reading the request: "},
		{"tokens", `{"claims":{"aud":null}}`, 200, ""},
		{"tokens", `{"audience":"x","persona":"impersonator"}`, 400, "persona impersonator has no token: its requests go without one"},
		{"tokens", `{"audience":"x","signing":"hmca"}`, 400, `a token cannot be signed "hmca"; did you mean "hmac"?`},
		{"tokens", `{"audience":"x","provider":"gmail.tset"}`, 400, `the world has no provider "gmail.tset"; did you mean "gmail.test"?`},
		{"tokens", `{"audience":"x","ttl":"-1m"}`, 400, `ttl: "-1m" is no duration above zero, such as 10m`},
		{"tokens", `{"audience":"` + strings.Repeat("x", 64<<10) + `"}`, 413, "reading the request: http: request body too large"},
		{"tokens/verify", `{"tokn":"x"}`, 400, `the request has no member "tokn"; did you mean "token"?`},
		{"tokens/verify", `{"token":"secret.secret.secret","at":"noon"}`, 400, `"noon" is neither a time`},
		{"tokens/verify", `{"token":"secret.secret.secret","provider":"x"}`, 400, `the world has no provider "x"; known are gmail.test`},
	} {
		status, problem := post(t, h, tt.path, tt.body, new(made))
		if status != tt.status || !strings.HasPrefix(problem, tt.want) || strings.Contains(problem, "secret") {
			t.Errorf("%s %.60s: %d %s, want %d %s", tt.path, tt.body, status, problem, tt.status, tt.want)
		}
	}
	for _, path := range []string{"tokens", "tokens/verify"} {
		if w := do(t, h, request{path: path}); w.Code != http.StatusMethodNotAllowed {
			t.Errorf("GET %s: %d", path, w.Code)
		}
	}
	w := do(t, h, request{method: http.MethodPost, path: "tokens", body: `{"audience":"x"}`, header: map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}})
	if w.Code != http.StatusForbidden {
		t.Errorf("a page of another site gets a token: %d", w.Code)
	}
}

// FuzzTokens holds that whatever is sent is answered in JSON, and that nothing
// that is sent is a fault of ours.
func FuzzTokens(f *testing.F) {
	h := newAPI(f)
	for _, seed := range []string{"", "{}", `{"audience":"x","claims":{"a":[1e999]},"iat":"-1m"}`, `{"token":"e30.e30.","at":"1s"}`, `{"token":"x","claims":null}`, "[[["} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, path := range []string{"tokens", "tokens/verify"} {
			w := do(t, h, request{method: http.MethodPost, path: path, body: body})
			if w.Code >= 500 || !json.Valid(w.Body.Bytes()) {
				t.Fatalf("%s: %d %s", path, w.Code, w.Body)
			}
		}
	})
}
