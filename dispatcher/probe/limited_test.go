package probe

import (
	"strings"
	"testing"
)

func TestFindLimited(t *testing.T) {
	t.Parallel()
	const random = "b1946ac92492d2347c6235b4d2611184"
	for url, want := range map[string]string{
		"/a?expense=1&accessToken=abcd":     "abcd",
		"/a?token=1234&access_token=abcd":   "abcd",
		"/a?code=4711":                      "",
		"/a?code=4711&x=" + random:          random,
		"/a?code=" + random + "&token=abcd": "abcd",
		"/a?token=":                         "",
		"/a?name=Christopher-Columbus":      "",
		"/a/" + random + "?expense=4711":    random,
		// Nothing tells which of the two it is.
		"/o/5f2b6c7d8e9f0a1b2c3d/a/" + random:            "",
		"/a?cid=0a1b2c3d4e5f6a7b&ct=" + random:           "",
		"/a?nonce=1234&ct=" + random:                     "",
		"/a?hash=0a1b2c3d4e5f6a7b&ct=" + random:          "",
		"/a?key=invoice-2024-000123&ct=" + random:        "",
		"/a/" + random + "?cid=0a1b2c3d4e5f6a7b":         "",
		"/a/" + random + "?expense=4711&token=abcd":      "abcd",
		"?nonce=%2Fabcd%3D":                              "%2Fabcd%3D",
		"/":                                              "",
		"/a?x=" + strings.Repeat("a", 40) + "&y=0123456": "",
	} {
		a, err := newAction(Target{URL: "https://shop.example" + url})
		if err != nil || a.limited.value != want {
			t.Errorf("%s has %q (%v), want %q", url, a.limited.value, err, want)
		}
	}
}

// TestScheme has a scheme in capitals, which is the same (RFC 3986 3.1).
func TestScheme(t *testing.T) {
	t.Parallel()
	a, err := newAction(Target{URL: "HTTPS://shop.example/a"})
	if err != nil || a.URL != "https://shop.example/a" {
		t.Errorf("%v, %v", a, err)
	}
}

// FuzzAction takes any URL apart: unchanged it is put together as it was, a
// change changes it, and none of its limited-use token is shown but the
// beginning.
func FuzzAction(f *testing.F) {
	f.Add("shop.example/approve?expense=4711&token=b1946ac92492d234")
	f.Add("shop.example/a/b1946ac92492d234/x?%74oken=%2F%3d")
	f.Add("shop.example?=&&token=aaaaaaaa&token=aaaaaaaaaaaa#x")
	f.Fuzz(func(t *testing.T, rest string) {
		a, err := newAction(Target{URL: "https://" + rest})
		if err != nil {
			return
		}
		join := func(p place) string {
			if len(p.query) == 0 {
				return p.path
			}
			return p.path + "?" + strings.Join(p.query, "&")
		}
		same, err := a.withLimited("", "")
		whole := rest[len(a.authority):]
		if !strings.HasPrefix(whole, "/") {
			whole = "/" + whole
		}
		if err != nil || join(same) != whole {
			t.Fatalf("%q became %q: %v", whole, join(same), err)
		}
		if a.limited.at == "" {
			return
		}
		for _, change := range []LimitedUse{
			LimitedMissing, LimitedEmpty, LimitedAltered, LimitedCase, LimitedCut, LimitedLonger, LimitedArray, LimitedNot,
			LimitedBadFirst, LimitedBadLast, LimitedInBody, LimitedOther,
		} {
			p, err := a.withLimited(change, "stranger")
			if err == nil && join(p) == whole && a.limited.value != "stranger" {
				t.Errorf("%s changed nothing of %q", change, whole)
			}
		}
		if value := a.limited.value; len(value) >= minLimited && strings.Contains(hider(message{secrets: []string{value}})(whole), value) {
			t.Errorf("%q is shown", value)
		}
	})
}

func FuzzPrintable(f *testing.F) {
	f.Add("a\x1b[2J\r\n\xff…eyJh.eyJh.x")
	f.Fuzz(func(t *testing.T, s string) {
		shown := hider(message{token: "eyJh.eyJh.x", secrets: []string{"secret"}})(s)
		if strings.ContainsFunc(shown, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u2028' || r == '\u202e' }) || len(shown) > 12*shownText+64 {
			t.Errorf("%q is shown as %q", s, shown)
		}
	})
}
