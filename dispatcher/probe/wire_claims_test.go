package probe_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/dispatcher"
	"github.com/doppelbox/doppelbox/dispatcher/probe"
)

// TestWire holds, for every probe, that the octets that are sent have what its
// title says, as far as octets can show it.
func TestWire(t *testing.T) {
	t.Parallel()
	b := ownBench(t)
	s, first, o := b.try(t)
	o.Rotate = func(context.Context) error { return b.provider.Rotate() }
	known := strings.NewReplacer(names(t, b)...)
	var mu sync.Mutex
	sent := map[string]string{}
	number := regexp.MustCompile(`^probe-\d+-`)
	exchange := o.Exchange
	o.Exchange = func(ctx context.Context, raw dispatcher.Raw) dispatcher.Attempt {
		text := known.Replace(legible(raw.Octets, b.provider.clock.Now()))
		s.mu.Lock()
		for token, g := range s.actions {
			text = strings.ReplaceAll(text, token, "{"+g.expense+"/"+g.user+"}")
		}
		s.mu.Unlock()
		mu.Lock()
		sent[number.ReplaceAllString(raw.ID, "")] += "\n" + text
		mu.Unlock()
		return exchange(ctx, raw)
	}
	report, err := probe.Run(t.Context(), first, o)
	if err != nil {
		t.Fatal(err)
	}
	shows := wire()
	for _, p := range probe.Catalogue() {
		text := sent[p.ID]
		if len(shows[p.ID]) == 0 || text == "" {
			t.Errorf("of %s nothing is said, or nothing was sent", p.ID)
		}
		for _, part := range shows[p.ID] {
			if absent, not := strings.CutPrefix(part, "!"); not == strings.Contains(text, absent) {
				t.Errorf("%s, %s: %q; sent was %s", p.ID, p.Title, part, text)
			}
		}
	}
	if len(shows) != len(probe.Catalogue()) {
		t.Errorf("said of %d, and there are %d", len(shows), len(probe.Catalogue()))
	}
	for _, result := range report.Results {
		if shown := fmt.Sprint(result.Exchanges); result.Probe.ID == "scheme-basic" && (!strings.Contains(shown, "Authorization: Basic ") || strings.Contains(shown, "eDpleUpo")) {
			t.Errorf("the password is shown: %s", shown)
		}
	}
}

// names are words for the keys that tokens name.
func names(t *testing.T, b *bench) []string {
	t.Helper()
	list, err := b.provider.Keys()
	if err != nil {
		t.Fatal(err)
	}
	var pairs []string
	for _, k := range list {
		pairs = append(pairs, k.ID, "{"+string(k.State)+"}")
	}
	if list, err = b.other.Keys(); err != nil {
		t.Fatal(err)
	}
	for _, k := range list {
		pairs = append(pairs, k.ID, "{other}")
	}
	for id := range b.provider.pinned {
		pairs = append(pairs, id, "{withdrawn}") // Those that are still published were named before.
	}
	return append(pairs, b.url, "{keys}")
}

// legible is a request with what is encoded in it decoded, its signatures as
// their length, times from now in minutes, and what is long shortened.
func legible(octets []byte, now time.Time) string {
	password := regexp.MustCompile(`Basic ([\w+/]+=*)`)
	token := regexp.MustCompile(`((?:eyJ|bm9)[\w-]+=*)\.(eyJ[\w-]+=*)((?:\.[\w-]*=*)*)`)
	if !bytes.Contains(octets, []byte("\r\n")) {
		octets = slices.Concat([]byte("(LF)\n"), octets)
	}
	text := password.ReplaceAllStringFunc(strings.ReplaceAll(string(octets), "\r\n", "\n"), func(s string) string {
		plain, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s, "Basic "))
		return "Basic base64(" + string(plain) + fmt.Sprintf(") %v", err)
	})
	text = token.ReplaceAllStringFunc(text, func(s string) string {
		parts := strings.Split(s, ".")
		for i, part := range parts {
			plain, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(part, "="))
			if i < 2 && err == nil {
				parts[i] = string(plain) + part[len(strings.TrimRight(part, "=")):]
			} else {
				parts[i] = strconv.Itoa(len(part))
			}
		}
		return strings.Join(parts, ".")
	})
	text = regexp.MustCompile(`\b\d{10}\b`).ReplaceAllStringFunc(text, func(s string) string {
		at, _ := strconv.ParseInt(s, 10, 64)
		return fmt.Sprintf("now%+.0fm", math.Round(time.Unix(at, 0).Sub(now).Minutes()))
	})
	return regexp.MustCompile(`a{99,}`).ReplaceAllStringFunc(text, func(s string) string { return fmt.Sprintf("a*%d", len(s)) })
}

// wire is what the request of each probe has. What begins with "!" it has not.
func wire() map[string][]string {
	const (
		target = "/approve?expense=4711&user=alice&token={4711/alice}"
		line   = "POST " + target + " HTTP/1.1\n"
		bearer = "\nAuthorization: Bearer "
		header = `{"alg":"RS256","kid":"{current}","typ":"JWT"}.`
		good   = bearer + `{"alg":"RS256","kid":"{current}","typ":"JWT"}.{`
		form   = "\n\nconfirmed=Approved"
	)
	return map[string][]string{
		"token-missing": {line, form, "!Authorization"}, "token-empty": {line, form, "\nAuthorization: Bearer\n"},
		"authorization-empty": {line, form, "\nAuthorization: \n"}, "token-malformed": {line, form, bearer + "x.y.z\n"},
		"token-null": {line, form, bearer + "null\n"}, "access-token": {line, form, bearer + "ya29."},
		"scheme-basic": {line, form, "\nAuthorization: Basic base64(x:" + header, ".342) <nil>\n"},
		"scheme-other": {line, form, "\nAuthorization: JWT " + header}, "scheme-missing": {line, form, "\nAuthorization: " + header},
		"scheme-joined":           {line, form, "\nAuthorization: Bearer" + header},
		"authorization-bad-first": {line, form, bearer + "x.y.z" + good}, "authorization-bad-last": {line, form, good, ".342" + bearer + "x.y.z\n"},
		"authorization-list": {line, form, good, ".342, Bearer x.y.z\n"}, "token-trailing": {line, form, good, ".342 x\n"},
		"token-in-query":  {"POST " + target + "&access_token=" + header, form, "!Authorization"},
		"token-in-body":   {line, form + "&access_token=" + header, "!Authorization"},
		"token-in-cookie": {line, form, "\nCookie: access_token=" + header, "; token=" + header, "!Authorization"},
		"token-oversized": {line, form, good, `"pad":"a*49152"`},

		"alg-none": {line, form, bearer + `{"alg":"none",`, "}.0\n"}, "alg-none-case": {line, form, bearer + `{"alg":"nOnE",`, "}.0\n"},
		"alg-missing": {line, form, bearer + `{"kid":`, "}.0\n", "!alg"}, "signature-empty": {line, form, good, "}.0\n"},
		"signature-missing": {line, form, good, "}\n"}, "hs256-certificate": {line, form, bearer + `{"alg":"HS256",`, "}.43\n"},
		"hs256-public-key": {line, form, bearer + `{"alg":"HS256",`, "}.43\n"}, "hs256-empty": {line, form, bearer + `{"alg":"HS256",`, "}.43\n"},
		"signature-broken": {line, form, good, "}.342\n"}, "signature-truncated": {line, form, good, "}.320\n"},
		"claims-replaced": {line, form, good, `"aud":"https://shop.example"`, "}.342\n"}, "accepted-token-resigned": {form, good, "}.342\n"},
		"key-of-stranger": {line, form, "!{current}", `"alg":"RS256"`}, "key-of-stranger-known-kid": {line, form, good},
		"key-of-stranger-no-kid": {line, form, "!kid", `{"alg":"RS256","typ"`}, "key-withdrawn": {line, form, `"kid":"{withdrawn}"`},
		"other-provider":            {line, form, `"kid":"{other}"`, `"iss":"https://accounts.other.example"`, `"azp":"actions@other.example"`},
		"other-provider-pretending": {line, form, `"kid":"{other}"`, `"iss":"https://accounts.google.com"`, `"azp":"gmail@system.gserviceaccount.com"`},
		"jwk-embedded":              {line, form, `"jwk":{`, "!{current}"}, "x5c-embedded": {line, form, `"x5c":["MII`, "!{current}"},
		"jku": {line, form, `"jku":"{keys}/stranger/`}, "x5u": {line, form, `"x5u":"{keys}/stranger/`}, "kid-url": {line, form, `"kid":"{keys}/stranger/`},
		"kid-path": {line, form, `"kid":"../../../../../../dev/null"`, `"alg":"HS256"`}, "kid-quote": {line, form, `"kid":"x'\"` + "`\""},
		"kid-number": {line, form, `"kid":17`}, "header-not-json": {line, form, bearer + "not a header.{"}, "four-parts": {line, form, good, ".342.342\n"},
		"crit-unknown": {line, form, `"crit":["doppelbox"],"doppelbox":true`}, "b64-false": {line, form, `"b64":false,"crit":["b64"]`},
		"alg-rs512": {line, form, `"alg":"RS512"`, ".342\n"}, "alg-ps256": {line, form, `"alg":"PS256"`, ".342\n"}, "alg-case": {line, form, `"alg":"rs256"`, ".342\n"},
		"padded": {line, form, "=.344\n"},

		"iss-other": {line, form, `"iss":"https://issuer.evil.example"`}, "iss-missing": {line, form, good, "!iss"},
		"iss-suffix": {line, form, `"iss":"https://accounts.google.com.evil.example"`}, "iss-prefix": {line, form, `"iss":"https://evil-accounts.google.com"`},
		"iss-path": {line, form, `"iss":"https://evil.example/https://accounts.google.com"`}, "iss-userinfo": {line, form, `"iss":"https://accounts.google.com@evil.example"`},
		"iss-homoglyph": {line, form, "\"iss\":\"https://accounts.g\u043e\u043egle.com\""},
		"iss-list":      {line, form, `"iss":["https://issuer.evil.example","https://accounts.google.com"]`},
		"iss-http":      {line, form, `"iss":"http://accounts.google.com"`}, "iss-slash": {line, form, `"iss":"https://accounts.google.com/"`},
		"iss-case": {line, form, `"iss":"HTTPS://ACCOUNTS.GOOGLE.COM"`},

		"aud-other":      {line, form, `"aud":"https://sender.evil.example"`, "!\nHost: sender"},
		"aud-other-host": {line + "Host: sender.evil.example\n", form, `"aud":"https://sender.evil.example"`},
		"aud-other-forwarded": {line + "Host: 127.0.0.1:", form, `"aud":"https://sender.evil.example"`, "\nX-Forwarded-Host: sender.evil.example\n",
			"\nForwarded: host=sender.evil.example;proto=https\n"},
		"aud-suffix": {line, form, `"aud":"https://shop.example.evil.example"`}, "aud-substring": {line, form, `"aud":"https://evil.example/?https://shop.example\u0026"`},
		"aud-prefix": {line, form, `"aud":"https://evil-shop.example"`}, "aud-missing": {line, form, good, "!aud"}, "aud-empty": {line, form, `"aud":""`},
		"aud-empty-list": {line, form, `"aud":[]`}, "aud-number": {line, form, `"aud":0`}, "aud-true": {line, form, `"aud":true`},
		"aud-subdomain": {line, form, `"aud":"https://mail.shop.example"`}, "aud-parent": {line, form, `"aud":"https://example"`},
		"aud-slash": {line, form, `"aud":"https://shop.example/"`}, "aud-path": {line, form, `"aud":"https://shop.example/x"`},
		"aud-port": {line, form, `"aud":"https://shop.example:443"`}, "aud-http": {line, form, `"aud":"http://shop.example"`},
		"aud-bare": {line, form, `"aud":"shop.example"`}, "aud-scheme-case": {line, form, `"aud":"HTTPS://shop.example"`},
		"aud-list-others": {line, form, `"aud":["https://sender.evil.example","https://shop.example"]`}, "aud-list": {line, form, `"aud":["https://shop.example"]`},
		"azp-other-client": {line, form, `"azp":"104171104171104171104"`}, "azp-missing": {line, form, good, "!azp"},
		"azp-other": {line, form, `"azp":"calendar@system.gserviceaccount.com"`}, "azp-suffix": {line, form, `"azp":"gmail@system.gserviceaccount.com.evil.example"`},
		"azp-prefix": {line, form, `"azp":"not-gmail@system.gserviceaccount.com"`}, "azp-list": {line, form, `"azp":["104171104171104171104","gmail@system.gserviceaccount.com"]`},

		"expired": {line, form, `"exp":now-10m,"iat":now-70m`}, "expired-long-ago": {line, form, `"exp":now-525600m`}, "exp-missing": {line, form, good, `"iat":now-0m`, "!exp\""},
		"exp-negative": {line, form, `"exp":-1,`}, "exp-zero": {line, form, `"exp":0,`}, "exp-text": {line, form, `"exp":"never"`},
		"iat-future": {line, form, `"exp":now+70m,"iat":now+10m`}, "iat-far-future": {line, form, `"iat":now+525600m`}, "nbf-future": {line, form, `"nbf":now+30m`},
		"iat-missing": {line, form, good, `"exp":now+60m`, "!iat"}, "exp-far": {line, form, `"exp":now+2880m`}, "exp-string": {line, form, `"exp":"now+60m"`},

		"get-by-scanner": {"GET " + target, "!Authorization", "!confirmed", "\nUser-Agent: Mozilla/5.0 (compatible; link preview)\n"},
		"method-get":     {"GET " + target + " ", good, "!confirmed"}, "method-get-query": {"GET " + target + "&confirmed=Approved ", good},
		"method-head":     {"HEAD " + target + " ", good, "!confirmed"},
		"override-header": {"GET " + target + "&confirmed=Approved ", good, "\nX-HTTP-Method-Override: POST\n", "\nX-HTTP-Method: POST\n", "\nX-Method-Override: POST\n"},
		"override-query":  {"GET " + target + "&confirmed=Approved&_method=POST ", good}, "method-put": {"PUT " + target, good, form},
		"method-patch": {"PATCH " + target, good, form}, "method-delete": {"DELETE " + target, good, form}, "method-unknown": {"PRESS " + target, good, form},
		"method-options": {"OPTIONS " + target, good, form}, "method-trace": {"TRACE " + target, good, form},

		"identity-fields":    {line, form, "!Authorization", "\nX-Forwarded-User: gmail@system.gserviceaccount.com\n"},
		"forwarded-loopback": {line, form, "!Authorization", "\nX-Forwarded-For: 127.0.0.1\n", "\nForwarded: for=127.0.0.1;proto=https\n"},
		"original-url":       {"POST / HTTP/1.1\n", form, "!Authorization", "\nX-Original-URL: " + target + "\n", "\nX-Rewrite-URL: " + target + "\n"},
		"path-double-slash":  {"POST /" + target, form, "!Authorization"}, "path-dot": {"POST /." + target, form, "!Authorization"},
		"path-dot-dot": {"POST /x/.." + target, form, "!Authorization"}, "path-encoded": {"POST /%2e" + target, form, "!Authorization"},
		"path-slash": {"POST /approve/?expense=4711&", form, "!Authorization"}, "path-semicolon": {"POST /approve;x=y?expense=4711&", form, "!Authorization"},
		"host-missing": {line, form, good, "!\nHost:"}, "user-agent-other": {line, form, good, "\nUser-Agent: curl/8.9.1\n"},
		"user-agent-missing": {line, form, good, "!User-Agent"}, "user-agent-longer": {line, form, good, "Gmail Actions) proxy/1.0\n"},

		"form-missing": {line, good, "!confirmed"}, "form-value-other": {line, good, "\n\nconfirmed=Declined"}, "form-value-empty": {line, good, "\n\nconfirmed=", "!Approved"},
		"form-name-array": {line, good, "\n\nconfirmed[]=Approved"}, "form-twice": {line, good, form + "&confirmed=Declined"},
		"form-twice-bad-first": {line, good, "\n\nconfirmed=Declined&confirmed=Approved"},
		"form-as-json":         {line, good, "\nContent-Type: application/json\n", "\n\n" + `{"confirmed": "Approved"}`},
		"form-as-text":         {line, good, form, "\nContent-Type: text/plain\n"},
		"form-as-multipart":    {line, good, "\nContent-Type: multipart/form-data; boundary=b\n", "\n\n--b\n", "name=\"confirmed\"\n\nApproved\n--b--"},
		"form-oversized":       {line, good, form + "&pad=a*1048576"}, "query-parameter-twice": {"POST /approve?expense=4721&expense=4711&", good, form},
		"query-parameter-twice-last": {"POST " + target + "&expense=4721 ", good, form},

		"limited-use-missing": {"POST /approve?expense=4711&user=alice HTTP", good, form}, "limited-use-empty": {"&user=alice&token= HTTP", good, form},
		"limited-use-altered": {"POST /approve?expense=4711&user=alice&token=", good, form, "!{4711/alice}"},
		"limited-use-cut":     {"POST /approve?expense=4711&user=alice&token=", good, form, "!{4711/alice}"},
		"limited-use-longer":  {"POST " + target + "0 HTTP", good, form}, "limited-use-not-equal": {"&user=alice&token[$ne]=0 HTTP", good, form},
		"limited-use-wildcard": {"&user=alice&token=%25 HTTP", good, form}, "limited-use-quote": {"&user=alice&token=%27%20OR%20%271%27%3D%271 HTTP", good, form},
		"limited-use-of-other-user":  {"POST /approve?expense=4711&user=alice&token={9000/bob} HTTP", good, form},
		"limited-use-for-other-user": {"POST /approve?expense=9000&user=bob&token={4711/alice} HTTP", good, form},
		"limited-use-of-other-action": {
			"POST /approve?expense=4711&user=alice&token={4712/alice} HTTP", good, form,
		},
		"limited-use-case": {"POST /approve?expense=4711&user=alice&token=", good, form, "!{4711/alice}"}, "limited-use-array": {"&token[]={4711/alice} HTTP", good, form},
		"limited-use-bad-first": {"&token={4711/alice} HTTP", "!POST " + target, good, form}, "limited-use-bad-last": {"POST " + target + "&token=", good, form},
		"limited-use-in-body":         {"POST /approve?expense=4711&user=alice HTTP", good, form + "&token={4711/alice}"},
		"limited-use-empty-after-use": {"POST /approve?expense=4711&user=alice&token= HTTP", good, form},

		"body-incomplete": {line, good, "\nContent-Length: 18\n", "\n\nconfirmed", "!Approved"}, "length-too-long": {line, good, "\nContent-Length: 26\n", form},
		"length-too-short": {line, good, "\nContent-Length: 9\n", form}, "length-missing": {line, good, "!Content-Length", "!Transfer-Encoding", form},
		"length-sign": {line, good, "\nContent-Length: +18\n", form}, "coding-unknown": {line, good, "\nTransfer-Encoding: xchunked\n", "\n\n12\nconfirmed=Approved\n0\n\n"},
		"coding-space":   {line, good, "\nTransfer-Encoding : chunked\n", "\nContent-Length: 29\n", "\n\n12\nconfirmed=Approved\n0\n\n"},
		"chunk-size-bad": {line, good, "\nTransfer-Encoding: chunked\n", "\n\n0x12\nconfirmed=Approved\n0\n\n"},

		"good": {line, good, form, "}.342\n"}, "replay": {line, good, form}, "replay-with-parameter": {"POST " + target + "&utm_source=again HTTP", good, form},
		"two-at-once": {good, form}, "two-bearers-at-once": {good, form}, "replay-fresh-bearer": {line, good, form},
		"retry-after-incomplete": {"\n\nconfirmed\nPOST ", good, form}, "retry-after-lost-answer": {form + "\nPOST ", good, form},
		"rotation-old-token": {good, form}, "rotation-new-key": {`"kid":"{next}"`, form},

		"scheme-lower-case": {"\nAuthorization: bearer " + header, form}, "scheme-two-spaces": {"\nAuthorization: Bearer  " + header, form},
		"authorization-folded": {"\nAuthorization: Bearer\n " + header, form}, "typ-other": {`"typ":"at+jwt"`, form}, "typ-missing": {bearer, form, "!typ"},
		"cty": {`"cty":"JWT"`, form}, "zip": {`"zip":"DEF"`, form}, "kid-of-next": {`"kid":"{next}"`, form}, "kid-missing": {bearer, form, "!kid"},
		"kid-unknown": {`"kid":"0000000000000000000000000000000000000017"`, form}, "iss-bare": {`"iss":"accounts.google.com"`, form},
		"email-other": {good, form, "!\"email\":\"gmail@"}, "email-unverified": {`"email_verified":false`, form}, "email-verified-text": {`"email_verified":"true"`, form},
		"sub-other": {`"sub":"104171104171104171104"`, form}, "claim-unknown": {`"doppelbox":true`, form}, "exp-fraction": {`"exp":now+30m.5,`, form},
		"expired-just-now": {`"exp":now-1m,"iat":now-60m`, form}, "bearer-of-other-request": {good, form}, "form-parameter-unknown": {good, form + "&doppelbox=1"},
		"query-parameter-unknown": {"&utm_source=gmail HTTP", good, form}, "form-charset": {"\nContent-Type: application/x-www-form-urlencoded; charset=UTF-8\n", form},
		"form-type-missing": {"!Content-Type", good, form}, "override-to-delete": {"\nX-HTTP-Method-Override: DELETE\n", good, form}, "method-lower-case": {"\npost /approve?", good, form},
		"host-other": {"\nHost: other.invalid\n", good, form}, "target-absolute": {"\nPOST https://127.0.0.1:", good, form}, "http-1.0": {" HTTP/1.0\n", good, form},
		"fields-many": {"\nX-Unknown-500: x\n", good, form}, "field-oversized": {"\nX-Pad: a*65536\n", good, form},
		"body-chunked":      {"\nTransfer-Encoding: chunked\n", "!Content-Length", "\n\n12\nconfirmed=Approved\n0\n\n"},
		"length-and-chunks": {"\nTransfer-Encoding: chunked\n", "\nContent-Length: 29\n", "\n\n12\nconfirmed=Approved\n0\n\n"},
		"length-twice":      {"\nContent-Length: 18, 18\n", good, form}, "lines-bare": {"\n(LF)", good, form}, "expect-continue": {"\nExpect: 100-continue\n", good, form},
	}
}
