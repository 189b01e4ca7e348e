package scenarios_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/scenarios"
)

func TestRedactText(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		{"Bearer eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.c2ln and more", "Bearer (token) and more"},
		{"https://shop.example/a?expense=4711&token=594e0907941d", "https://shop.example/a?expense=47…&token=594e…"},
		{"redirected to /login?next=%2Fa&x=1#access_token=abcdefgh", "redirected to /login?next=%2…&x=1#access_token=abcd…"},
		{`href="https://shop.example/u/594e0907941d5dd3d7?a&amp;code=1234"`, `href="https://shop.example/u/594e…?a&amp;code=12…"`},
		{"HTTPS://shop.example/?594e0907941d5dd3d7", "HTTPS://shop.example/?594e…"},
		{"?name=éééé", "?name=éé…"},
		{"v=DKIM1;k=rsa;p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQ/594e0907941d5dd3d7", "v=DKIM1;k=rsa;p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQ/594e0907941d5dd3d7"},
		{"really?yes=no&perhaps", "really?yes=no&perhaps"},
	} {
		got := scenarios.RedactText(tt.text)
		if got != tt.want {
			t.Errorf("%s\n is %s\nnot %s", tt.text, got, tt.want)
		}
		if again := scenarios.RedactText(got); again != got {
			t.Errorf("%s\n again is %s", got, again)
		}
	}
}

// FuzzRedactAttempt: a bearer token is not in what is left, whatever was
// answered, and JSON stays JSON.
func FuzzRedactAttempt(f *testing.F) {
	f.Add("https://shop.example/a?token=594e0907941d5dd3", "text eyJ.eyJ. eyJ?a=b#c", "sid=1; Path=/")
	f.Add("", "https://a/b?c=\"d\\", "x")
	f.Add("https://é?é=ééééééééé&=", "?=\xff\xff\xff\xff\xff", ";;")
	f.Fuzz(func(t *testing.T, url, text, cookie string) {
		const token = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.c2lnbmF0dXJlIG9mIHRoZSB0b2tlbg"
		sent := "POST / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + token + "\r\n\r\n"
		a := scenarios.RedactAttempt(mailbox.Attempt{
			URL: url, Sent: []byte(sent), Body: []byte(text + token + text), Error: text + " " + token,
			Header: []mailbox.Field{{Name: "Set-Cookie", Value: cookie}, {Name: "X", Value: token + text}},
		})
		for _, s := range []string{string(a.Sent), string(a.Body), a.Error, a.Header[1].Value} {
			if strings.Contains(s, token) || strings.Contains(s, token[len(token)-30:]) {
				t.Errorf("%q has the token", s)
			}
		}
		line, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		if redacted := scenarios.RedactText(string(line)); !json.Valid([]byte(redacted)) {
			t.Errorf("%s has become %s", line, redacted)
		}
	})
}

// FuzzRedactText compares with the patterns that say at length what is cut.
func FuzzRedactText(f *testing.F) {
	location := regexp.MustCompile(`(?i)\bhttps?:[\\/]+[^?#\s"<>\\]*`)
	parameter := regexp.MustCompile(`([?&#](?:amp;)?)([^?&#=\s"<>\\]*=)?([^&#\s"<>\\]+)`)
	random := regexp.MustCompile(`^(?:.*\pL.*[0-9]|.*[0-9].*\pL)`)
	cut := func(s string) string {
		return strings.ToValidUTF8(s[:min(4, len(s)/2)], "") + "…"
	}
	f.Add("x https://shop.example/u/594e0907941d5dd3d7/a?b=cdefgh&amp;d=efghijk#f=1234567")
	f.Add(`{"a":"HTTP:\/\/shop.example\/594e0907941d5dd3d7?=abcdefgh&&amp;amp;a=b=c==?#?abcdefghijk12345678"}`)
	f.Add("xhttp://594e0907941d5dd3d7 http:https://594e0907941d5dd3d7/594e0907941d5dd3d7 ?a=…")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "eyJ") || strings.Contains(text, "…") || strings.ContainsFunc(text, func(c rune) bool { return c > unicode.MaxASCII }) {
			return
		}
		want := location.ReplaceAllStringFunc(text, func(s string) string {
			segments := strings.Split(s, "/")
			for i, segment := range segments {
				if i > 2 && len(segment) >= 16 && random.MatchString(segment) {
					segments[i] = cut(segment)
				}
			}
			return strings.Join(segments, "/")
		})
		want = parameter.ReplaceAllStringFunc(want, func(s string) string {
			m := parameter.FindStringSubmatch(s)
			if value := m[3]; !strings.HasSuffix(value, "…") && (m[2] != "" && len(value) >= 4 || len(value) >= 16 && random.MatchString(value)) {
				return m[1] + m[2] + cut(value)
			}
			return s
		})
		if got := scenarios.RedactText(text); got != want {
			t.Errorf("%q\n is %q\nnot %q", text, got, want)
		}
	})
}

// The token may have gone before a redirect, and not behind it, where the service
// shows it all the same.
func TestRedactRedirected(t *testing.T) {
	t.Parallel()
	const token, limited = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.c2lnbmF0dXJlIG9mIHRoZSB0b2tlbg", "594e0907941d5dd3d7"
	a := scenarios.RedactAttempt(mailbox.Attempt{
		Hops: []mailbox.Hop{{URL: "https://a.example/?t=" + limited, Sent: []byte("POST /?t=" + limited + " HTTP/1.1\r\nHost: a.example\r\nAuthorization: Bearer " + token + "\r\n\r\n")}},
		URL:  "https://b.example/", Sent: []byte("GET / HTTP/1.1\r\nHost: b.example\r\n\r\n"), Body: []byte(token[len(token)-30:] + " " + limited),
	})
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	told := string(text) + string(a.Hops[0].Sent) + string(a.Body)
	for _, secret := range []string{token, token[len(token)-30:], limited} {
		if strings.Contains(told, secret) {
			t.Errorf("%s is in %s", secret, told)
		}
	}
}
