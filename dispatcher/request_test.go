package dispatcher

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const approveWire = "POST /approve?expenseId=abc123 HTTP/1.1\r\n" +
	"Host: shop.example\r\n" +
	"Authorization: Bearer AbCdEf123456\r\n" +
	"Content-Type: application/x-www-form-urlencoded\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/1.0 (KHTML, like Gecko; Gmail Actions)\r\n" +
	"Content-Length: 18\r\n" +
	"Connection: close\r\n" +
	"\r\n" +
	"confirmed=Approved"

func withToken(r Request) Request {
	r.Token = func(context.Context) (string, error) { return "AbCdEf123456", nil }
	return r
}

func TestWire(t *testing.T) {
	t.Parallel()
	unsubscribe := Request{
		Method: "POST", URL: "https://list.example/u/7",
		Header: []Field{{"Content-Type", ContentType}}, Body: []byte("List-Unsubscribe=One-Click"),
	}
	tests := []struct {
		name string
		r    Request
		want string
	}{
		{"action", withToken(approve()), approveWire},
		{"unsubscribe", unsubscribe, "POST /u/7 HTTP/1.1\r\nHost: list.example\r\nContent-Type: application/x-www-form-urlencoded\r\n" +
			"Content-Length: 26\r\nConnection: close\r\n\r\nList-Unsubscribe=One-Click"},
		{"empty body", Request{Method: "POST", URL: "https://a.example"}, "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
		{"GET", Request{Method: "GET", URL: "HTTPS://A.example:443?x=1"}, "GET /?x=1 HTTP/1.1\r\nHost: A.example:443\r\nConnection: close\r\n\r\n"},
		{"as written", Request{Method: "GET", URL: `https://a.example/%7e//../a%2fb%zz|"{}\?q=a+b%20c&&=?/:@`},
			"GET /%7e//../a%2fb%zz|\"{}\\?q=a+b%20c&&=?/:@ HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			target, err := parseTarget(tt.r.URL)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tt.r.message("AbCdEf123456").wire(target)
			if err != nil || string(got) != tt.want {
				t.Errorf("got  %q %v\nwant %q", got, err, tt.want)
			}
		})
	}
}

func TestWireRefuses(t *testing.T) {
	t.Parallel()
	header := func(fields ...Field) Request {
		return Request{Method: "POST", Header: fields}
	}
	for name, r := range map[string]Request{
		"no method":             {},
		"method with space":     {Method: "GET /"},
		"method with line end":  {Method: "GET\r\n"},
		"line end in value":     header(Field{"X", "a\r\nY: b"}),
		"line feed in value":    header(Field{"X", "a\nb"}),
		"space at end":          header(Field{"X", "a "}),
		"octet above ASCII":     header(Field{"X", "é"}),
		"colon in name":         header(Field{"X:", "a"}),
		"empty name":            header(Field{"", "a"}),
		"own host":              header(Field{"host", "a.example"}),
		"own length":            header(Field{"Content-Length", "1"}),
		"transfer coding":       header(Field{"Transfer-Encoding", "chunked"}),
		"two authorizations":    withToken(header(Field{"Authorization", "Basic x"})),
		"body beyond the limit": {Method: "POST", Body: make([]byte, maxRequestBody+1)},
	} {
		var f *fault
		if raw, err := r.message("t").wire(target{authority: "a.example", path: "/"}); !errors.As(err, &f) || f.reason != ReasonBadRequest {
			t.Errorf("%s: %q %v", name, raw, err)
		}
	}
	r := withToken(header())
	if raw, err := r.message("a\r\nX: b").wire(target{authority: "a.example", path: "/"}); err == nil {
		t.Errorf("a token with line ends was sent: %q", raw)
	}
}

func TestParseTarget(t *testing.T) {
	t.Parallel()
	tests := []struct {
		url  string
		host string // Empty: refused.
		port uint16
		why  string
	}{
		{"https://shop.example/a", "shop.example", 443, ""},
		{"https://SHOP.Example./a", "shop.example", 443, ""},
		{"https://shop.example:8443", "shop.example", 8443, ""},
		{"https://_x.shop-1.example", "_x.shop-1.example", 443, ""},
		{"https://xn--bcher-kva.example/", "xn--bcher-kva.example", 443, ""},
		{"https://192.0.2.1/", "192.0.2.1", 443, ""},
		{"https://127.0.0.1./", "127.0.0.1", 443, ""},
		{"https://[::1]:444/", "::1", 444, ""},
		{"https://[::ffff:127.0.0.1]/", "127.0.0.1", 443, ""},
		{"http://shop.example/", "", 0, "URL has scheme http, not https"},
		{"ftp://shop.example/", "", 0, "URL does not begin with https://"},
		{"//shop.example/", "", 0, "URL does not begin with https://"},
		{"https:/shop.example/", "", 0, "URL does not begin with https://"},
		{"https:shop.example", "", 0, "URL does not begin with https://"},
		{"", "", 0, "URL does not begin with https://"},
		{" https://shop.example/", "", 0, "URL has octet 0x20 at place 0: only visible ASCII can be sent as written"},
		{"https://shop.example/a b", "", 0, "URL has octet 0x20 at place 22: only visible ASCII can be sent as written"},
		{"https://shop.example/\r\nX: y", "", 0, "URL has octet 0x0d at place 21: only visible ASCII can be sent as written"},
		{"https://bücher.example/", "", 0, "URL has octet 0xc3 at place 9: only visible ASCII can be sent as written"},
		{"https://shop.example/#f", "", 0, "URL has a fragment, which is never sent"},
		{"https://shop.example@evil.example/", "", 0, "URL has credentials"},
		{"https://shop.example:443@evil.example/", "", 0, "URL has credentials"},
		{`https://evil.example\@shop.example/`, "", 0, "URL has credentials"},
		{`https://evil.example\.shop.example/`, "", 0, `host "evil.example\\.shop.example" is not a host name`},
		{"https://shop%2eexample/", "", 0, `host "shop%2eexample" is not a host name`},
		{"https:///a", "", 0, `host "" is not a host name`},
		{"https://:443/a", "", 0, `host "" is not a host name`},
		{"https://shop..example/", "", 0, `host "shop..example" is not a host name`},
		{"https://shop.example../", "", 0, `host "shop.example.." is not a host name`},
		{"https://shop.example:/", "", 0, `port "" is not a number from 1 to 65535`},
		{"https://shop.example:0/", "", 0, `port "0" is not a number from 1 to 65535`},
		{"https://shop.example:65536/", "", 0, `port "65536" is not a number from 1 to 65535`},
		{"https://shop.example:+443/", "", 0, `port "+443" is not a number from 1 to 65535`},
		{"https://2130706433/", "", 0, `host "2130706433" is not an IPv4 address in dotted decimal`},
		{"https://0x7f000001/", "", 0, `host "0x7f000001" is not an IPv4 address in dotted decimal`},
		{"https://127.1/", "", 0, `host "127.1" is not an IPv4 address in dotted decimal`},
		{"https://0177.0.0.1/", "", 0, `host "0177.0.0.1" is not an IPv4 address in dotted decimal`},
		{"https://1.2.3.4.5/", "", 0, `host "1.2.3.4.5" is not an IPv4 address in dotted decimal`},
		{"https://[fe80::1%25eth0]/", "", 0, `host "[fe80::1%25eth0]" is not an IPv6 address in brackets`},
		{"https://[127.0.0.1]/", "", 0, `host "[127.0.0.1]" is not an IPv6 address in brackets`},
		{"https://[::1/", "", 0, `host "[:" is not an IPv6 address in brackets`},
		{"https://::1/", "", 0, `host ":" is not a host name`},
		{"https://" + strings.Repeat("a.", 130) + "example", "", 0, "host of 267 octets is longer than 253"},
		{"https://shop.example/" + strings.Repeat("a", maxURL), "", 0, "URL of 16405 octets is longer than 16384"},
	}
	for _, tt := range tests {
		got, err := parseTarget(tt.url)
		if err != nil {
			if tt.host != "" || err.Error() != tt.why {
				t.Errorf("%.60q: %v, want %s", tt.url, err, tt.why)
			}
			continue
		}
		if got.host != tt.host || got.port != tt.port {
			t.Errorf("%q: got %+v", tt.url, got.endpoint)
		}
	}
}

// FuzzWire holds that whatever URL is accepted makes exactly one request with
// exactly the fields written, whose target is the end of the URL.
func FuzzWire(f *testing.F) {
	for _, seed := range []string{
		"https://shop.example/approve?expenseId=abc123", "https://shop.example", "https://[::1]:8443?x", "https://a.example/\r\nX: y",
		"https://a.example/ HTTP/1.1\r\n\r\n", "https://a@b/", "https://a.example/%zz", "HTTPS://A.example.:443/", "https://127.1/", "https://0x7f.1/",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		target, err := parseTarget(text)
		if err != nil {
			return
		}
		r := withToken(approve())
		raw, err := r.message("AbCdEf123456").wire(target)
		if err != nil {
			t.Fatalf("%q is accepted and then not written: %v", text, err)
		}
		line, rest, _ := strings.Cut(string(raw), "\r\n")
		_, wantRest, _ := strings.Cut(strings.Replace(approveWire, "shop.example", target.authority, 1), "\r\n")
		if rest != wantRest {
			t.Fatalf("%q: fields %q", text, rest)
		}
		path := strings.TrimSuffix(strings.TrimPrefix(line, "POST "), " HTTP/1.1")
		if strings.ContainsAny(path, " \r\n\t") || path[0] != '/' || !strings.HasSuffix(text, path[1:]) {
			t.Fatalf("%q: request line %q", text, line)
		}
		if target.addr.IsValid() && target.addr.String() != target.host {
			t.Fatalf("%q: host %q is the address %s", text, target.host, target.addr)
		}
		// What other readers make of it must be the same host.
		if u, err := url.Parse(text); err == nil && !target.addr.IsValid() &&
			strings.TrimSuffix(strings.ToLower(u.Hostname()), ".") != target.host {
			t.Fatalf("%q: host %q, but net/url reads %q", text, target.host, u.Hostname())
		}
		if _, err := url.ParseRequestURI(path); err != nil {
			return // Sent as written; net/http would not read it.
		}
		reader := bufio.NewReader(bytes.NewReader(raw))
		read, err := http.ReadRequest(reader)
		if err != nil {
			t.Fatalf("%q: reading %q: %v", text, raw, err)
		}
		body, err := io.ReadAll(read.Body)
		if err != nil || read.RequestURI != path || read.Host != target.authority || string(body) != "confirmed=Approved" || len(read.Header) != 5 {
			t.Fatalf("%q is read as %q of %q with %q, %v", text, read.RequestURI, read.Host, body, read.Header)
		}
		if _, err := reader.ReadByte(); err != io.EOF {
			t.Fatalf("%q: there is more than one request", text)
		}
	})
}
