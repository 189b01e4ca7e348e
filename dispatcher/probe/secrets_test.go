package probe_test

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/doppelbox/doppelbox/dispatcher"
	"github.com/doppelbox/doppelbox/dispatcher/probe"
)

// quoting are services whose answer is no HTTP, and repeats the request: the
// error that says so quotes it, whole or cut.
var quoting = map[string]func(line, bearer string) string{
	"header": func(line, bearer string) string {
		return fmt.Sprintf("the answer is not HTTP: malformed MIME header line: %q", "X "+line+" "+bearer)
	},
	"length": func(line, _ string) string {
		return fmt.Sprintf("the answer is not HTTP: bad Content-Length %q", strings.TrimPrefix(line, "POST "))
	},
	"beginning": func(line, _ string) string {
		return fmt.Sprintf("the answer is not HTTP: it begins with %q", line[:min(len(line), 52)])
	},
}

// TestSecretsInErrors holds that no report has a token, though the error of an
// exchange quotes it.
func TestSecretsInErrors(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	signature := regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]{24,}`)
	for name, quote := range quoting {
		for _, reason := range []dispatcher.Reason{dispatcher.ReasonBadResponse, dispatcher.ReasonConnectRefused} {
			t.Run(name+" "+string(reason), func(t *testing.T) {
				t.Parallel()
				_, target, o := b.try(t)
				target.URL = "https://shop.example/approve?expense=7&token=SECRETa1b2c3d4e5f6a7b8c9"
				o.Only = []string{"token-missing", "expired", "limited-use"}
				fresh := 0
				o.Fresh = func(context.Context) (probe.Target, error) {
					fresh++
					other := target
					other.URL = fmt.Sprintf("https://shop.example/approve?expense=7&token=SECRETf0f0f0f0f0f0f0f0%02d", fresh)
					return other, nil
				}
				sent := 0
				var mu sync.Mutex
				o.Exchange = func(_ context.Context, r dispatcher.Raw) dispatcher.Attempt {
					mu.Lock()
					defer mu.Unlock()
					line, rest, _ := strings.Cut(string(r.Octets), "\r\n")
					_, bearer, _ := strings.Cut(rest, "Authorization: ")
					bearer, _, _ = strings.Cut(bearer, "\r\n")
					a := dispatcher.Attempt{Addr: "127.0.0.1:443", TLSVersion: "TLS 1.3", Reason: dispatcher.ReasonBadResponse, Error: quote(line, bearer)}
					if sent++; sent == 7 {
						a.Reason = reason
					}
					return a
				}
				report, err := probe.Run(t.Context(), target, o)
				if err != nil {
					t.Fatal(err)
				}
				for name, write := range writers {
					var out bytes.Buffer
					if err := write(&out, report); err != nil {
						t.Fatal(err)
					}
					text := strings.Join(strings.Fields(out.String()), "")
					for _, secret := range []string{"SECRET", "secret", "RETa1b2c", "f0f0f0"} {
						if at := strings.Index(text, secret); at >= 0 {
							t.Errorf("%s has %s: %s", name, secret, text[max(0, at-200):at+40])
						}
					}
					if found := signature.FindString(text); found != "" {
						t.Errorf("%s has %s", name, found)
					}
				}
			})
		}
	}
}

// TestOtherSecrets holds that what looks like a secret, or is called one, is
// hidden wherever it is in the URL, also where a probe changes it.
func TestOtherSecrets(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, target, o := b.try(t)
	secrets := []string{
		"9f8e7d6c5b4a39281706f5e4d3c2b1a0", "a1b2c3d4e5f6a7b8c9d0", "837465123987654321", "QmFzZVNpeHR5Rm91ckxldHRlcnM", "hunter2", "0123456789abcdef",
		"qwertzuiopasdfghjklyxcvbnm",
	}
	target.URL = fmt.Sprintf("https://shop.example/u/%s/approve/%s?sess=%s&pin=%s&session=%s&password=%s&token=%s", secrets[0], secrets[6], secrets[1], secrets[2],
		secrets[3], secrets[4], secrets[5])
	o.Fresh, o.OtherUser, o.Effects = nil, nil, nil
	o.Exchange = func(_ context.Context, r dispatcher.Raw) dispatcher.Attempt {
		line, _, _ := strings.Cut(string(r.Octets), "\r\n")
		return dispatcher.Attempt{Status: 200, Body: []byte(line), Addr: "127.0.0.1:443", TLSVersion: "TLS 1.3"}
	}
	report, err := probe.Run(t.Context(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	for name, write := range writers {
		var out bytes.Buffer
		if err := write(&out, report); err != nil {
			t.Fatal(err)
		}
		text := strings.Join(strings.Fields(out.String()), "")
		for _, secret := range secrets {
			for _, part := range []string{secret, secret[:len(secret)*3/4], secret[len(secret)*2/3:]} {
				if len(part) < 5 {
					continue
				}
				if at := strings.Index(text, part); at >= 0 {
					t.Errorf("%s has %s of %s: %s", name, part, secret, text[max(0, at-100):at+40])
				}
			}
		}
	}
}
