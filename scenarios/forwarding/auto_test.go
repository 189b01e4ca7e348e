package forwarding

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/testdata/conformance"
)

func autoOptions() AutoOptions {
	return AutoOptions{
		Style: policy.ForwardPlain, Original: "user@acme.example", To: "alice@gmail.test", MailFrom: "bounce@shop.example",
		Host: "mx.acme.example", Peer: netip.MustParseAddr("192.0.2.10"), Time: noon(), ID: "4F2A", Secret: "tops3cr3t",
	}
}

func TestAuto(t *testing.T) {
	t.Parallel()
	const received = "Received: from [192.0.2.10] (unknown [192.0.2.10])\n\tby mx.acme.example (Postfix) with ESMTP id 4F2A\n" +
		"\tfor <user@acme.example>;\n\tTue, 27 Oct 2026 10:00:00 +0000 (UTC)\n"
	for _, tt := range []struct {
		name   string
		change func(*AutoOptions)
		from   string
		fields string
	}{
		{"plain", func(o *AutoOptions) {}, "bounce@shop.example", "X-Original-To: user@acme.example\nDelivered-To: user@acme.example\n" + received},
		{"srs", func(o *AutoOptions) { o.Style = policy.ForwardSRS }, "SRS0=jAmu=IR=shop.example=bounce@acme.example", received},
		{"srs null", func(o *AutoOptions) { o.Style, o.MailFrom = policy.ForwardSRS, "<>" }, "", received},
		{"caf null", func(o *AutoOptions) { o.Style, o.MailFrom = policy.ForwardCAF, "" }, "", ""},
		{"caf", func(o *AutoOptions) { o.Style = policy.ForwardCAF }, "user+caf_=alice=gmail.test@acme.example", ""},
		{"resent", func(o *AutoOptions) { o.Style = policy.ForwardResent }, "user@acme.example",
			"Resent-Date: Tue, 27 Oct 2026 10:00:00 +0000\nResent-From: user@acme.example\nResent-To: alice@gmail.test\nResent-Message-ID: <"},
		{"IPv6", func(o *AutoOptions) { o.Peer = netip.MustParseAddr("2001:db8::1") }, "bounce@shop.example", "X-Original-To: user@acme.example\n" +
			"Delivered-To: user@acme.example\nReceived: from [IPv6:2001:db8::1] (unknown [IPv6:2001:db8::1])\n"},
	} {
		for _, end := range []string{"\n", "\r\n"} {
			original := []byte(strings.ReplaceAll(shopMail, "\n", end))
			o := autoOptions()
			tt.change(&o)
			f, err := Auto(original, o)
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
				continue
			}
			if f.MailFrom != tt.from {
				t.Errorf("%s: envelope %q, want %q", tt.name, f.MailFrom, tt.from)
			}
			top, ok := bytes.CutSuffix(f.Raw, original)
			if !ok {
				t.Errorf("%s: the original is not below", tt.name)
			}
			if fields := strings.ReplaceAll(tt.fields, "\n", end); !bytes.HasPrefix(top, []byte(fields)) {
				t.Errorf("%s: fields\n%q, want\n%q", tt.name, top, fields)
			}
			if again, _ := Auto(original, o); !bytes.Equal(again.Raw, f.Raw) {
				t.Errorf("%s: the same options give other octets", tt.name)
			}
		}
	}
}

// A genuine mail that Gmail passed on has the same fields, without those that
// need Google's keys or say what authentication found.
func TestCAFLikeTheSample(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(conformance.Path(t, "forward/mailauth/arc-pass.eml"))
	if err != nil {
		t.Fatal(err)
	}
	conformance.Report(t, "forward/mailauth, forwarded alike", 1, 0)
	o := autoOptions()
	o.Style = policy.ForwardCAF
	f, err := Auto(crlf(shopMail), o)
	if err != nil {
		t.Fatal(err)
	}
	sample := message.Parse(raw).Fields
	for !sample[0].Is("X-Gm-Message-State") { // Above it is the next delivery.
		sample = sample[1:]
	}
	made := message.Parse(f.Raw).Fields
	shapes := map[string]string{
		"X-Received":      `^by 2[0-9a-f:]+ with SMTP id [a-z]\d+mr\d+[a-z]{3}\.\d{3}\.\d{13}; \w{3}, \d+ \w{3} \d{4} \d\d:\d\d:\d\d [-+]\d{4} \([A-Z]{3}\)$`,
		"X-Forwarded-To":  `^[^ ]+@[^ ]+$`,
		"X-Forwarded-For": `^[^ ]+@[^ ]+ [^ ]+@[^ ]+$`,
		"Delivered-To":    `^[^ ]+@[^ ]+$`,
		"Return-Path":     `^<[^ ]+@[^ ]+>$`,
		"Received":        `^by 2[0-9a-f:]+ with SMTP id [a-z]\d+csp\d+[a-z]{3}; .*\)$|^from [^ ]+ \([^ ]+ \[[0-9.]+\]\) by [^ ]+ with ESMTP id [^ ]+ for <[^ ]+>; .*\)$`,
	}
	spaces := regexp.MustCompile(`\s+`)
	for _, s := range sample {
		if regexp.MustCompile(`^(ARC-|X-Google-|X-Gm-|Received-SPF|Authentication-Results)`).MatchString(s.Name) {
			continue
		}
		if shapes[s.Name] == "" {
			break // The mail as it came to Gmail.
		}
		if s.Name != made[0].Name {
			t.Fatalf("field %s, and the sample has %s", made[0].Name, s.Name)
		}
		for _, v := range []message.Field{s, made[0]} {
			if text := spaces.ReplaceAllString(v.Unfolded(), " "); !regexp.MustCompile(shapes[s.Name]).MatchString(text) {
				t.Errorf("%s has not the shape: %q", v.Name, text)
			}
		}
		made = made[1:]
		if s.Is("Received") && strings.HasPrefix(s.Unfolded(), "from") {
			break
		}
	}
	if made[0].Name != "From" {
		t.Errorf("there is %s more than in the sample", made[0].Name)
	}
}

// reverse undoes srs, as the host does that a bounce comes back to.
func reverse(addr, secret string) (string, error) {
	local, _ := cut(addr)
	kind, rest, _ := strings.Cut(local, "=")
	switch fields := strings.SplitN(rest, "=", 4); {
	case kind == "SRS0" && len(fields) == 4 && fields[0] == srsSum(secret, fields[1], fields[2], fields[3]):
		return fields[3] + "@" + fields[2], nil
	case kind == "SRS1":
		if hop := strings.SplitN(rest, "=", 3); len(hop) == 3 && hop[0] == srsSum(secret, hop[1], hop[2]) {
			return "SRS0" + hop[2] + "@" + hop[1], nil
		}
	}
	return "", errors.New("not an address that this host rewrote")
}

func TestSRSVectors(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(conformance.Path(t, "forward/srs/srs-vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Secret   string `json:"secret"`
		TimeUnix int64  `json:"time_unix"`
		Forward  []struct {
			Sender string `json:"sender"`
			Domain string `json:"alias_domain"`
			Result string `json:"result"`
		} `json:"forward"`
		Reverse []struct {
			Address string `json:"address"`
			Result  string `json:"result"`
		} `json:"reverse"`
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	conformance.Report(t, "forward/srs, rewriting", len(v.Forward)+len(v.Reverse), 0)
	for _, tt := range v.Forward {
		o := autoOptions()
		o.Style, o.Secret, o.Time, o.MailFrom, o.Original = policy.ForwardSRS, v.Secret, time.Unix(v.TimeUnix, 0), tt.Sender, "user@"+tt.Domain
		f, err := Auto(crlf(shopMail), o)
		if f.MailFrom != tt.Result || (err != nil) != (tt.Result == "") {
			t.Errorf("%s: %q, %v; want %q", tt.Sender, f.MailFrom, err, tt.Result)
		}
	}
	for _, tt := range v.Reverse {
		if got, err := reverse(tt.Address, v.Secret); got != tt.Result || (err != nil) != (tt.Result == "") {
			t.Errorf("%s back: %q, %v; want %q", tt.Address, got, err, tt.Result)
		}
	}
}

// Each hop can be undone by the host that made it, and the first one's part
// stays as it is.
func TestSRSHops(t *testing.T) {
	t.Parallel()
	day := time.Unix(1577836860, 0)
	first := srs("test@shop.example", "one.example", "s1", day)
	second := srs(first, "two.example", "s2", day)
	third := srs(second, "three.example", "s3", day)
	tail := strings.TrimSuffix(strings.TrimPrefix(first, "SRS0"), "@one.example")
	for _, addr := range []string{second, third} {
		if !regexp.MustCompile(`^SRS1=.{4}=one\.example=` + regexp.QuoteMeta(tail) + `@`).MatchString(addr) {
			t.Errorf("hop %s", addr)
		}
	}
	for _, tt := range [][3]string{{first, "s1", "test@shop.example"}, {second, "s2", first}, {third, "s3", first}} {
		if got, err := reverse(tt[0], tt[1]); got != tt[2] {
			t.Errorf("%s back: %q, %v; want %q", tt[0], got, err, tt[2])
		}
	}
	if got := srs("SRS1=short@one.example", "two.example", "s", day); !strings.HasPrefix(got, "SRS0=") {
		t.Errorf("what only looks like SRS1 became %s", got)
	}
}

func TestBreaks(t *testing.T) {
	t.Parallel()
	const footer = "_______________________________________________\nThis mail was passed on by acme.example"
	const page = "<hr><p>This mail was passed on by acme.example</p>"
	const m = "From: a@b.example\n"
	for _, tt := range []struct {
		name     string
		how      Break
		in, want string
	}{
		{"subject", BreakSubject, "Bad line\n" + m + "X-Subject: x\nSubject : \t Hi\n there\n\n", "Bad line\n" + m + "X-Subject: x\nSubject : \t [fwd] Hi\n there\n\n"},
		{"folded subject", BreakSubject, m + "Subject:\n Hi\n\n", m + "Subject:[fwd] \n Hi\n\n"},
		{"footer", BreakFooter, m + "\nHi\n", m + "\nHi\n" + footer + "\n"},
		{"footer, no line end", BreakFooter, m + "\nHi", m + "\nHi\n" + footer},
		{"footer in HTML", BreakFooter, m + "Content-Type: text/html\n\n<body>x</BODY></html>\n", m + "Content-Type: text/html\n\n<body>x" + page + "\n</BODY></html>\n"},
		{"footer in HTML without body", BreakFooter, m + "Content-Type: text/html\n\n<p>x\n", m + "Content-Type: text/html\n\n<p>x\n" + page + "\n"},
		{"footer in base64", BreakFooter, m + "Content-Transfer-Encoding: base64\n\nSGkK\n", m + "Content-Transfer-Encoding: base64\n\n" +
			"SGkKX19fX19fX19fX19fX19fX19fX19fX19fX19fX19fX19fX19fX19fX19fX19fX18KVGhpcyBt\nYWlsIHdhcyBwYXNzZWQgb24gYnkgYWNtZS5leGFtcGxlCg==\n"},
		{"footer in parts", BreakFooter,
			m + "Content-Type: multipart/mixed; boundary=b\n\npre\n--b\n\ntext\n--b\nContent-Type: text/plain\nContent-Disposition: Attachment; filename=x\n\nfile\n--b\nContent-Type: message/rfc822\n\nSubject: in\n\nmail\n--b--\npost\n",
			m + "Content-Type: multipart/mixed; boundary=b\n\npre\n--b\n\ntext\n" + footer + "\n--b\nContent-Type: text/plain\nContent-Disposition: Attachment; filename=x\n\nfile\n--b\nContent-Type: message/rfc822\n\nSubject: in\n\nmail\n--b--\npost\n"},
		{"reencode", BreakReencode, m + "X-Content-Transfer-Encoding: 8bit\nContent-Transfer-Encoding: 8bit\nX: y\n\nGrüße = x\n",
			m + "X-Content-Transfer-Encoding: 8bit\nContent-Transfer-Encoding: quoted-printable\nX: y\n\nGr=C3=BC=C3=9Fe =3D x\n"},
		{"reencode without field", BreakReencode, m + "\nGrüße\n", m + "Content-Transfer-Encoding: quoted-printable\n\nGr=C3=BC=C3=9Fe\n"},
		{"reencode what stays", BreakReencode, m + "\nHi\n", m + "Content-Transfer-Encoding: base64\n\nSGkK\n"},
		{"reencode quoted-printable", BreakReencode, m + "Content-Transfer-Encoding: Quoted-Printable\n\n=3D=\nx\n", m + "Content-Transfer-Encoding: base64\n\nPXgK\n"},
		{"reencode base64", BreakReencode, m + "Content-Transfer-Encoding: base64\n\nPXgK\n", m + "Content-Transfer-Encoding: quoted-printable\n\n=3Dx\n"},
		{"reencode parts", BreakReencode,
			m + "Content-Type: multipart/alternative; boundary=b\n\n--b\nno field =\n--b\nContent-Type: text/html\n\n=\n--b--\n",
			m + "Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Transfer-Encoding: quoted-printable\n\nno field =3D\n--b\nContent-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n=3D\n--b--\n"},
	} {
		for _, end := range []string{"\n", "\r\n"} {
			if strings.Contains(tt.name, "base64") || strings.Contains(tt.name, "stays") || strings.Contains(tt.name, "quoted") {
				if end != "\n" {
					continue // Encoded line ends differ.
				}
			}
			o := autoOptions()
			o.Style, o.Break = policy.ForwardSRS, tt.how
			f, err := Auto([]byte(strings.ReplaceAll(tt.in, "\n", end)), o)
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
				continue
			}
			_, got, _ := strings.Cut(string(f.Raw), "(UTC)"+end)
			if want := strings.ReplaceAll(tt.want, "\n", end); got != want {
				t.Errorf("%s: got\n%q\nwant\n%q", tt.name, got, want)
			}
		}
	}
}

func TestAutoErrors(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		original string
		change   func(*AutoOptions)
		want     error
		text     string
	}{
		"style":        {shopMail, func(o *AutoOptions) { o.Style = policy.ForwardOther }, ErrOption, "plain, srs, caf, resent"},
		"host":         {shopMail, func(o *AutoOptions) { o.Host = "a\r\nb" }, ErrOption, "host"},
		"id":           {shopMail, func(o *AutoOptions) { o.ID = "a b" }, ErrOption, "id"},
		"peer":         {shopMail, func(o *AutoOptions) { o.Peer = netip.Addr{} }, ErrOption, "peer"},
		"zone":         {shopMail, func(o *AutoOptions) { o.Peer = netip.MustParseAddr("fe80::1%x)") }, ErrOption, "peer"},
		"time":         {shopMail, func(o *AutoOptions) { o.Time = time.Time{} }, ErrOption, "time"},
		"secret":       {shopMail, func(o *AutoOptions) { o.Style, o.Secret = policy.ForwardSRS, "" }, ErrOption, "secret"},
		"envelope":     {shopMail, func(o *AutoOptions) { o.MailFrom = "foo" }, ErrOption, "envelope"},
		"original":     {shopMail, func(o *AutoOptions) { o.Original = "" }, ErrOption, "original"},
		"to":           {shopMail, func(o *AutoOptions) { o.To = "a@b.example>\r\nX: y" }, ErrOption, "new address"},
		"quoted":       {shopMail, func(o *AutoOptions) { o.Style, o.MailFrom = policy.ForwardSRS, `"a b"@c.example` }, ErrOption, "quoted"},
		"long":         {shopMail, func(o *AutoOptions) { o.Style, o.MailFrom = policy.ForwardSRS, strings.Repeat("a", 240)+"@c.example" }, ErrOption, "254"},
		"break":        {shopMail, func(o *AutoOptions) { o.Break = "body" }, ErrOption, "footer, subject, reencode"},
		"no subject":   {"From: a@b.example\n\nx\n", func(o *AutoOptions) { o.Break = BreakSubject }, ErrUnbroken, ""},
		"no text":      {"From: a@b.example\nContent-Type: image/png\n\nx\n", func(o *AutoOptions) { o.Break = BreakFooter }, ErrUnbroken, ""},
		"odd encoding": {"From: a@b.example\nContent-Transfer-Encoding: uu\n\nx\n", func(o *AutoOptions) { o.Break = BreakReencode }, ErrUnbroken, ""},
		"bad base64":   {"From: a@b.example\nContent-Transfer-Encoding: base64\n\n???\n", func(o *AutoOptions) { o.Break = BreakReencode }, nil, "decoding a part in base64"},
		"no header":    {"\nx", func(o *AutoOptions) {}, ErrNoHeader, ""},
	} {
		o := autoOptions()
		tt.change(&o)
		f, err := Auto(crlf(tt.original), o)
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(fmt.Sprint(err), tt.text) {
			t.Errorf("%s: got %q and %v", name, f.Raw, err)
		}
	}
}
