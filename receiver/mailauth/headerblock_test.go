package mailauth

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/testdata/conformance"
)

func receipt() Receipt {
	a := arrival("bounce@shop.example")
	a.TLS, a.Cipher = "TLS1_3", "TLS_AES_256_GCM_SHA384"
	return Receipt{Hostname: "mx.gmail.test", Domain: "gmail.test", Account: "alice@gmail.test",
		At: time.Date(2026, 11, 7, 9, 4, 5, 678e6, time.UTC), Arrival: a, Auth: goodAuth()}
}

func blockOf(t testing.TB, raw string, r Receipt) string {
	t.Helper()
	m := message.Parse([]byte(raw))
	got, err := HeaderBlock(m, r)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := HeaderBlock(m, r); err != nil || !bytes.Equal(got, again) {
		t.Errorf("not the same twice: %v\n%s\n%s", err, got, again)
	}
	return string(got)
}

// derived are the parts of a block that are derived from a hash.
var derived = regexp.MustCompile(`2001:db8:[0-9a-f:]+|[a-z][1-9]csp[1-9]{7}[a-z]{3}|[1-9]{2}mr[1-9]{7}[a-z]{3}\.[1-9]{2}|[0-9a-f]{13}-[0-9a-f]{11}(?:si|mf)[1-9]{9}[a-f]\.[1-9]{2}`)

func TestHeaderBlock(t *testing.T) {
	t.Parallel()
	const internal = "Delivered-To: alice@gmail.test\n" +
		"Received: by * with SMTP id *;\n        Sat, 7 Nov 2026 01:04:05 -0800 (PST)\n" +
		"X-Received: by * with SMTP id *.1794042245678;\n        Sat, 07 Nov 2026 01:04:05 -0800 (PST)\n"
	const date = "        Sat, 07 Nov 2026 01:04:05 -0800 (PST)\n"
	const session = "41be03b00d2f7-c1e7c33ddd0si280570012a.202.2026.11.07.01.04.05"
	spf := "Received-SPF: pass (gmail.test: domain of bounce@shop.example designates 192.0.2.10 as permitted sender) client-ip=192.0.2.10;\n"
	results := "Authentication-Results: mx.gmail.test;\n" +
		"       dkim=pass header.i=@shop.example header.s=s1 header.b=kfZ1QuWM;\n" +
		"       spf=pass (gmail.test: domain of bounce@shop.example designates 192.0.2.10 as permitted sender) smtp.mailfrom=bounce@shop.example;\n" +
		"       dmarc=pass (p=REJECT sp=QUARANTINE dis=NONE) header.from=shop.example\n"
	for _, tt := range []struct {
		name   string
		change func(*Receipt)
		want   string
	}{
		{"all", func(*Receipt) {}, internal +
			"Return-Path: <bounce@shop.example>\n" +
			"Received: from mail.shop.example (mail.shop.example. [192.0.2.10])\n" +
			"        by mx.gmail.test with ESMTPS id " + session + "\n" +
			"        for <alice@gmail.test>\n" +
			"        (version=TLS1_3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256);\n" + date + spf + results},
		{"no TLS, no PTR, IPv6", func(r *Receipt) {
			r.Arrival.TLS, r.Arrival.Cipher, r.Auth.ReverseDNS.Name = "", "", ""
			r.Arrival.Peer = netip.MustParseAddr("2001:db8::1")
		}, internal +
			"Return-Path: <bounce@shop.example>\n" +
			"Received: from mail.shop.example ([*1])\n" +
			"        by mx.gmail.test with ESMTP id " + session + "\n" +
			"        for <alice@gmail.test>;\n" + date + strings.ReplaceAll(spf+results, "192.0.2.10", "*1")},
		{"older TLS", func(r *Receipt) {
			r.Arrival.TLS, r.Arrival.Cipher = "TLS1_2", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
		}, internal +
			"Return-Path: <bounce@shop.example>\n" +
			"Received: from mail.shop.example (mail.shop.example. [192.0.2.10])\n" +
			"        by mx.gmail.test with ESMTPS id " + session + "\n" +
			"        for <alice@gmail.test>\n" +
			"        (version=TLS1_2 cipher=ECDHE-ECDSA-AES128-GCM-SHA256 bits=128/128);\n" + date + spf + results},
		{"a file without a peer", func(r *Receipt) {
			r.Arrival = policy.Arrival{Channel: policy.ChannelFile, Rcpt: "alice@gmail.test"}
			r.Auth = policy.Authentication{}
		}, internal +
			"Return-Path: <>\n" +
			"Received: by mx.gmail.test id *.2026.11.07.01.04.05\n" +
			"        for <alice@gmail.test>;\n" + date +
			"Authentication-Results: mx.gmail.test;\n       none\n"},
		{"fetched", func(r *Receipt) {
			r.Arrival = policy.Arrival{Channel: policy.ChannelPOP, Fetch: &policy.Fetch{Source: "bob@corp.example", Host: "pop.corp.example", Port: 995, Login: "bob; x", UID: "17"}}
		}, internal +
			"Received: by * with POP3 id *;\n" + date +
			"X-Gmail-Fetch-Info: bob@corp.example 1 pop.corp.example 995 bob%3B%20x\n"},
		{"hostile", func(r *Receipt) {
			r.Arrival.HELO, r.Arrival.MailFrom, r.Auth = "a b\r\nX: (y", "a>\r\n\r\n<b@c.example", policy.Authentication{}
			r.Arrival.Rcpt = `"a >\"(b"@gmail.test`
		}, internal +
			"Return-Path: <a%3E%0D%0A%0D%0A%3Cb@c.example>\n" +
			"Received: from a%20b%0D%0AX:%20%28y ([192.0.2.10])\n" +
			"        by mx.gmail.test with ESMTPS id " + session + "\n" +
			"        for <\"a >\\\"(b\"@gmail.test>\n" +
			"        (version=TLS1_3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256);\n" + date +
			"Authentication-Results: mx.gmail.test;\n       none\n"},
	} {
		r := receipt()
		tt.change(&r)
		got := blockOf(t, plain, r)
		if n := strings.Count(got, "\n"); n != strings.Count(got, "\r\n") {
			t.Errorf("%s: a line without CRLF: %q", tt.name, got)
		}
		got = strings.ReplaceAll(derived.ReplaceAllString(got, "*"), "\r\n", "\n")
		if want := strings.ReplaceAll(tt.want, "*1", "*"); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.name, got, want)
		}
	}
}

func TestHeaderBlockIDs(t *testing.T) {
	t.Parallel()
	r := receipt()
	first := blockOf(t, plain, r)
	other := r
	other.Account = "bob@gmail.test"
	for name, text := range map[string]string{
		"another account": blockOf(t, plain, other),
		"another message": blockOf(t, "X: y\r\n"+plain, r),
	} {
		a, b := derived.FindAllString(first, -1), derived.FindAllString(text, -1)
		if len(a) != 4 || len(b) != 4 || slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) }) {
			t.Errorf("%s: %q and %q", name, a, b)
		}
	}
}

func TestHeaderBlockErrors(t *testing.T) {
	t.Parallel()
	m := message.Parse([]byte(plain))
	for name, change := range map[string]func(*Receipt){
		"hostname": func(r *Receipt) { r.Hostname = "a\r\nb" },
		"domain":   func(r *Receipt) { r.Domain = "" },
		"key":      func(r *Receipt) { r.Seal = &SealKey{Domain: "gmail.test", Selector: "s", Key: testKey()} },
	} {
		r := receipt()
		change(&r)
		if got, err := HeaderBlock(m, r); err == nil || got != nil || !strings.HasPrefix(err.Error(), "writing header block: ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestHeaderBlockJoins holds that the message below the block is read as
// before.
func TestHeaderBlockJoins(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ raw, fields, body string }{
		{plain, "From To Subject", "Hello,\r\n\r\n  two  spaces \r\n\r\n\r\n"},
		{" ; dkim=pass header.d=bank.example\r\nFrom: a@b.example\r\n\r\nx", "X-Unattached-Header From", "x"},
		{"\tno header", "", "\tno header"},
		{"no header\r\n", "", "no header\r\n"},
		{"\r\nbody", "", "body"},
		{"\nbody", "", "body"},
		{"", "", ""},
		{"From a mailbox\nFrom: a@b.example\n\nx", "From", "x"},
	} {
		all := blockOf(t, tt.raw, receipt()) + tt.raw
		m := message.Parse([]byte(all))
		const ours = "Delivered-To Received X-Received Return-Path Received Received-SPF Authentication-Results"
		want := strings.TrimSpace(ours + " " + tt.fields)
		if got := strings.Join(names(m), " "); got != want {
			t.Errorf("%q: got the fields %s", tt.raw, got)
		}
		if string(m.Body) != tt.body {
			t.Errorf("%q: got the body %q", tt.raw, m.Body)
		}
		f, _ := m.Get("Authentication-Results")
		if r, err := ParseAuthenticationResults(f.Value); err != nil || len(r.Methods) != 3 {
			t.Errorf("%q: %v in %q", tt.raw, err, f.Value)
		}
	}
}

func names(m *message.Message) []string {
	var list []string
	for _, f := range m.Fields {
		list = append(list, f.Name)
	}
	return list
}

// TestHeaderBlockSeals holds that what was sealed validates where it was
// stored.
func TestHeaderBlockSeals(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	record, err := KeyRecord(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	dns := texts{}
	dns.add("arc._domainkey.gmail.test", record)
	v := &Verifier{Resolver: dns, Now: at(1_794_042_245)}
	raw := plain
	for hop := 1; hop <= 2; hop++ {
		r := receipt()
		r.Auth.ARC = v.validateARC(context.Background(), dns, message.Parse([]byte(raw)))
		r.Seal = &SealKey{Domain: "gmail.test", Selector: "arc", Key: key}
		raw = blockOf(t, raw, r) + raw
		got := v.validateARC(context.Background(), dns, message.Parse([]byte(raw)))
		if got.Result != policy.AuthPass || len(got.Sets) != hop {
			t.Errorf("hop %d: %+v\n%s", hop, got, raw)
		}
		stripped, n := StripOwn(message.Parse([]byte(raw)), "mx.gmail.test")
		if n != 1 {
			t.Errorf("hop %d: %d fields stripped", hop, n)
		}
		raw = string(stripped)
	}
}

// googleOnly are the fields that only Google has a use for.
var googleOnly = regexp.MustCompile(`^(X-Google-.*|X-Gm-.*|DomainKey-Status|X-Forwarded-Encrypted)$`)

// TestGenuineBlocks compares the order of the fields with that of blocks that
// Gmail wrote.
func TestGenuineBlocks(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		file   string
		change func(*Receipt)
		last   string   // The last field of the genuine block.
		differ []string // Fields that the genuine block has and ours has not.
	}{
		{"mailauth/arc-pass.eml", func(r *Receipt) { r.Seal = &SealKey{Domain: "gmail.test", Selector: "arc", Key: key} }, "Authentication-Results", nil},
		{"mailauth/arc-pass2.eml", func(r *Receipt) { r.Seal = &SealKey{Domain: "gmail.test", Selector: "arc", Key: key} }, "Authentication-Results", nil},
		{"rsc-imap/gmail-pop-fetched-calendar.eml", func(r *Receipt) {
			r.Arrival = policy.Arrival{Channel: policy.ChannelPOP, Fetch: &policy.Fetch{}}
		}, "X-Gmail-Fetch-Info", []string{"Received-SPF"}},
	}
	conformance.Report(t, "forward, header block", len(cases), 0)
	for _, tt := range cases {
		folder, file := filepath.Split(tt.file)
		genuine := message.Parse(read(t, conformance.Path(t, "forward/"+folder), file))
		var want []string
		for _, f := range genuine.Fields {
			if !googleOnly.MatchString(f.Name) && !slices.Contains(tt.differ, f.Name) {
				want = append(want, f.Name)
			}
			if f.Is(tt.last) {
				break
			}
		}
		if tt.differ != nil {
			want[2] = "X-Received" // The name that the second Received has had since 2012.
		}
		r := receipt()
		tt.change(&r)
		ours := message.Parse([]byte(blockOf(t, plain, r)))
		if got := names(ours); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", tt.file, got, want)
		}
	}
}

func TestPacific(t *testing.T) {
	t.Parallel()
	for utc, want := range map[string]string{
		"2026-03-08T09:59:59Z": "2026-03-08 01:59:59 PST",
		"2026-03-08T10:00:00Z": "2026-03-08 03:00:00 PDT",
		"2026-11-01T08:59:59Z": "2026-11-01 01:59:59 PDT",
		"2026-11-01T09:00:00Z": "2026-11-01 01:00:00 PST",
		"2020-11-01T09:00:00Z": "2020-11-01 01:00:00 PST",
		"2020-03-08T10:00:00Z": "2020-03-08 03:00:00 PDT",
		"2015-03-08T10:00:00Z": "2015-03-08 03:00:00 PDT",
		"2025-06-07T21:02:46Z": "2025-06-07 14:02:46 PDT",
		"2027-01-01T00:00:00Z": "2026-12-31 16:00:00 PST",
	} {
		at, err := time.Parse(time.RFC3339, utc)
		if err != nil {
			t.Fatal(err)
		}
		if got := Pacific(at).Format("2006-01-02 15:04:05 MST"); got != want {
			t.Errorf("%s: got %s, want %s", utc, got, want)
		}
	}
}

func TestCipherText(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		version, name, want string
		bits                int
	}{
		{"TLS1_3", "TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256", 256},
		{"TLS1_2", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305", 256},
		{"TLS1_2", "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "ECDHE-RSA-AES256-SHA", 256},
		{"TLS1_2", "TLS_RSA_WITH_AES_128_GCM_SHA256", "AES128-GCM-SHA256", 128},
		{"TLS1_2", "0x1234", "0x1234", 0},
	} {
		if got, bits := cipherText(tt.version, tt.name); got != tt.want || bits != tt.bits {
			t.Errorf("%s: got %s %d", tt.name, got, bits)
		}
	}
}

func FuzzHeaderBlock(f *testing.F) {
	f.Add([]byte(plain), "a@b.example", "c@d.example", "h", "n", "s", uint8(0))
	f.Add([]byte(" x\r\nA: b\r\n"), "\"a\"b@c\r\n\r\n", "<>", "(", ")", "\x00", uint8(1))
	f.Add([]byte("\n"), "ü@ü", "\"a b\"@c", "[::1]", "..", "", uint8(6))
	f.Fuzz(func(t *testing.T, raw []byte, from, rcpt, helo, name, word string, mode uint8) {
		r := receipt()
		r.Account = word
		r.Arrival.MailFrom, r.Arrival.Rcpt, r.Arrival.HELO, r.Arrival.Cipher = from, rcpt, helo, word
		r.Auth.ReverseDNS.Name = name
		fields := 7
		if mode&1 == 1 {
			r.Arrival.Channel, r.Arrival.Fetch = policy.ChannelPOP, &policy.Fetch{Source: from, Host: helo, Login: word}
			fields = 5
		}
		if mode&2 == 2 {
			r.Arrival.Peer = netip.Addr{}
			if mode&1 == 0 {
				fields--
			}
		}
		if mode&4 == 4 {
			r.Arrival.Session = word
		}
		m := message.Parse(raw)
		got, err := HeaderBlock(m, r)
		if err != nil {
			t.Fatal(err)
		}
		text := string(got)
		if len(m.Fields) == 0 {
			text = strings.TrimRight(text, "\r\n") + "\r\n"
		} else if raw[0] == ' ' || raw[0] == '\t' {
			fields++
			text = strings.TrimSuffix(text, "X-Unattached-Header: \r\n") + "X: y\r\n"
		}
		checkLines(t, text, fields)
		all := message.Parse(slices.Concat(got, raw))
		if want := min(fields+len(m.Fields), 10_000); len(all.Fields) != want {
			t.Errorf("%d fields, want %d: %q", len(all.Fields), want, got)
		}
		if len(m.Fields) > 0 && !bytes.Equal(all.Body, m.Body) {
			t.Errorf("another body: %q, want %q", all.Body, m.Body)
		}
	})
}
