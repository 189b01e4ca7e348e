package providertest_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/smtp"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/keys"
	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/scenarios/providertest"
)

// approval is what the service under test sends.
const approval = `From: Shop <noreply@shop.example>
To: alice@gmail.test
Subject: Expense 4711
Date: Thu, 15 Jan 2026 09:00:00 +0000
Message-ID: <4711@shop.example>
Content-Type: text/html

<script type="application/ld+json">
{"@context": "http://schema.org", "@type": "EmailMessage", "potentialAction": {
  "@type": "ConfirmAction", "name": "Approve expense", "handler": {
    "@type": "HttpActionHandler", "url": "https://shop.example/approve?id=4711", "method": "POST"}}}
</script>
`

// send stands for the service's own mailer.
func send(t *testing.T, addr string) {
	t.Helper()
	c, err := smtp.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	w, err := mailFrom(c, "bounce@shop.example", "alice@gmail.test")
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.WriteString(w, strings.ReplaceAll(approval, "\n", "\r\n"))
	if err := errors.Join(err, w.Close(), c.Quit()); err != nil {
		t.Fatal(err)
	}
}

func mailFrom(c *smtp.Client, from, to string) (io.WriteCloser, error) {
	if err := errors.Join(c.Mail(from), c.Rcpt(to)); err != nil {
		return nil, err
	}
	return c.Data()
}

func TestApproval(t *testing.T) {
	t.Parallel()
	p := providertest.New(t)
	p.Zone(`shop.example. TXT "v=spf1 ip4:192.0.2.10 -all"`)
	p.Peer("192.0.2.10", "mail.shop.example")
	p.Register(policy.Registration{From: "noreply@shop.example", Bearer: true})
	inbox := p.Inbox("alice@gmail.test")

	// The service under test: it approves if the token is Gmail's, for it.
	p.Handle("shop.example", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if _, err := p.Keys().Verify(token, keys.VerifyOptions{Audience: "https://shop.example"}); err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		fmt.Fprintln(w, "approved", r.FormValue("id"))
	}))
	send(t, p.SMTPAddr)

	m := inbox.Next(t.Context())
	if !m.Offered("Approve expense") {
		t.Fatalf("the button is withheld:\n%s", m)
	}
	if c := m.Click("Approve expense"); c.Attempts[0].Status != 200 || string(c.Attempts[0].Body) != "approved 4711\n" {
		t.Errorf("the service answered %d: %s", c.Attempts[0].Status, c.Attempts[0].Body)
	}
	if c := m.Click("Approve expense"); c.Verdict.Reason != "already-done" {
		t.Errorf("a second click was answered %s (%s)", c.Verdict.Answer, c.Verdict.Reason)
	}
}
