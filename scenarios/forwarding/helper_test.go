package forwarding

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/policy/quote"
)

func crlf(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r\n")) }

func noon() time.Time {
	return time.Date(2026, 10, 27, 12, 0, 0, 0, time.FixedZone("", 2*60*60))
}

const shopMail = `From: "Shop, Orders" <noreply@shop.example>
To: alice@corp.example
Subject: Approve expense
Date: Tue, 27 Oct 2026 09:31:00 +0000
Message-ID: <1@shop.example>
References: <0@shop.example>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=m

--m
Content-Type: multipart/alternative; boundary=a

--a
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Lunch: 12 =E2=82=AC
--a
Content-Type: text/html; charset=utf-8

<html itemscope itemtype="http://schema.org/EmailMessage"><head>
<title>Expense</title><style>p { color: red }</style>
<script type="application/ld+json">
{"@context": "http://schema.org", "@type": "EmailMessage", "potentialAction":
 {"@type": "ConfirmAction", "name": "Approve", "handler":
  {"@type": "HttpActionHandler", "url": "https://shop.example/approve"}}}
</script></head>
<body bgcolor="white"><p itemprop="description">Lunch: 12 &euro;</p></div></div></blockquote><p>Unclosed
</body></html>
--a--
--m
Content-Type: application/pdf
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="receipt.pdf"

JVBERi0xLjQK
--m--
`

func byHand(t testing.TB, original []byte, change func(*ManualOptions)) *message.Message {
	t.Helper()
	o := ManualOptions{Style: Gmail, By: "Bob Müller <bob@corp.example>", To: "alice@gmail.test", Time: noon()}
	change(&o)
	raw, err := Manual(original, o)
	if err != nil {
		t.Fatal(err)
	}
	return message.Parse(raw)
}

// partOf returns the first part of a type.
func partOf(t testing.TB, m *message.Message, typ string) message.Part {
	t.Helper()
	parts, problems := m.Parts()
	for _, p := range problems {
		t.Errorf("problem of the parts: %+v", p)
	}
	for _, p := range parts {
		if p.Type == typ {
			for _, problem := range p.Problems {
				t.Errorf("problem of %s: %+v", typ, problem)
			}
			return p
		}
	}
	t.Fatalf("there is no part %s", typ)
	return message.Part{}
}

// enclosedIn returns what policy/quote finds in HTML.
func enclosedIn(page []byte, subject string) []policy.Enclosed {
	p := quote.NewPage(func() string { return subject })
	z := html.NewTokenizer(strings.NewReader(string(page)))
	at := 0
	for {
		kind := z.Next()
		raw := z.Raw()
		switch kind {
		case html.ErrorToken:
			return enclosed(p.Mails())
		case html.TextToken:
			p.Text(raw, at)
		case html.StartTagToken, html.SelfClosingTagToken:
			raw := strings.Clone(string(raw))
			name, _ := z.TagName()
			p.StartTag(string(name), []byte(raw), at)
		case html.EndTagToken:
			size := len(raw)
			name, _ := z.TagName()
			p.EndTag(string(name))
			at += size
			continue
		}
		at += len(raw)
	}
}

func enclosed(mails []quote.Mail) []policy.Enclosed {
	var list []policy.Enclosed
	for _, m := range mails {
		list = append(list, m.Enclosed)
	}
	return list
}
