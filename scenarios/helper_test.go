package scenarios_test

import (
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/scenarios"
)

// approval is the sections that most tests here need: a zone that vouches for
// 192.0.2.10, and a mail with one button.
const approval = `-- zone --
shop.example.            TXT "v=spf1 ip4:192.0.2.10 -all"
_dmarc.shop.example.     TXT "v=DMARC1; p=reject"
mail.shop.example.       A   192.0.2.10
10.2.0.192.in-addr.arpa. PTR mail.shop.example.
-- mail.eml --
From: Shop <noreply@shop.example>
To: alice@gmail.test
Subject: Expense 4711
Date: Thu, 15 Jan 2026 09:00:00 +0000
Message-ID: <4711@shop.example>
MIME-Version: 1.0
Content-Type: text/html; charset=utf-8

<script type="application/ld+json">
{"@context": "http://schema.org", "@type": "EmailMessage", "potentialAction": {
  "@type": "ConfirmAction", "name": "Approve", "handler": {
    "@type": "HttpActionHandler", "url": "https://shop.example/approve?token=b1946ac92492d234", "method": "POST"}}}
</script>
`

// world is the set-up that most tests here need.
const world = `account alice@gmail.test
register noreply@shop.example actions=ConfirmAction bearer=yes
dns zone
`

// delivered is the mail as it arrives when all is well.
const delivered = `sign mail.eml d=shop.example s=s1
deliver mail.eml from=bounce@shop.example to=alice@gmail.test peer=192.0.2.10 helo=mail.shop.example
`

func parse(t *testing.T, text string) *scenarios.File {
	t.Helper()
	f, errs := scenarios.Parse("x.txtar", []byte(text))
	if len(errs) > 0 {
		t.Fatal("\n" + errs.Report())
	}
	return f
}

func run(t *testing.T, text string, o scenarios.RunOptions) scenarios.Result {
	t.Helper()
	result, err := scenarios.Run(t.Context(), parse(t, text), o)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// summary is what the tests compare of a result: how many phases were begun
// and claims evaluated, and the failures as people see them.
func summary(r scenarios.Result) string {
	text := r.Failures().Report()
	if r.Stopped {
		text += "stopped\n"
	}
	return strings.TrimSuffix(text, "\n")
}
