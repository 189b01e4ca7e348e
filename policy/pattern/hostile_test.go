package pattern_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/markup"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/policy/pattern"
)

// choices are decisions that bytes make: the same bytes the same ones.
type choices []byte

func (c *choices) one(list ...string) string { return list[c.number(len(list))] }

func (c *choices) number(n int) int {
	if len(*c) == 0 {
		return 0
	}
	first := (*c)[0]
	*c = (*c)[1:]
	return int(first) % n
}

const (
	scriptText = `<script type="application/ld+json">{"@context": "http://schema.org", "@type": "EmailMessage", "potentialAction": {
"@type": "ConfirmAction", "name": "Go", "handler": {"@type": "HttpActionHandler", "url": "https://shop.example/%s?t=a8f3c2d91b0e47d6", "method": "POST"}}}</script>` + "\r\n"
	goToText = `<script type="application/ld+json">{"@context": "http://schema.org", "@type": "EmailMessage", "potentialAction": {
"@type": "ViewAction", "name": "See", "target": "https://shop.example/%s"}}</script>` + "\r\n"
	forwardLine = "<div class=\"gmail_attr\">---------- Forwarded message ---------<br>From: <b>Shop</b> &lt;noreply@shop.example&gt;<br>Date: x<br>Subject: y<br>To: &lt;z@corp.example&gt;<br></div>\r\n"
)

// situation is a mail, and all that a receiver knows of it. What somebody adds
// to the body does not break the signatures: the case would be too easy.
type situation struct {
	arrival policy.Arrival
	account policy.Account
	auth    policy.Authentication
	header  string
	body    string
	dials   policy.Dials
}

func (c *choices) situation() situation {
	s := situation{
		arrival: policy.Arrival{Channel: policy.ChannelSMTP, Rcpt: "alice@gmail.test"},
		account: policy.Account{Address: "alice@gmail.test"},
	}
	s.auth.DMARC = policy.DMARC{Result: policy.AuthPass, Domain: "shop.example", OrgDomain: "shop.example"}
	s.arrival.MailFrom = c.one("bounce@shop.example", "x@other.example", "SRS0=HHH=TT=shop.example=b@acme.test", "user+caf_=alice=gmail.test@acme.test", "user+caf_=carol=gmail.test@acme.test", "")
	_, domain, _ := strings.Cut(s.arrival.MailFrom, "@")
	s.auth.SPF = policy.SPF{Result: policy.AuthResult(c.one("none", "pass", "fail", "softfail")), Identity: "mailfrom", Domain: domain, OrgDomain: domain}
	headers := strings.Split(c.one("from", "from:to", "from:to:to:cc", "from:to:subject:list-id:list-post:x-forwarded-for"), ":")
	for range c.number(3) {
		d := c.one("shop.example", "acme.test", "list.example", "evil.example")
		s.auth.DKIM = append(s.auth.DKIM, policy.DKIM{Result: policy.AuthResult(c.one("pass", "fail")), Domain: d, OrgDomain: d, Headers: headers})
	}
	if c.number(6) == 5 {
		s.arrival = policy.Arrival{Channel: policy.ChannelPOP, Rcpt: "alice@gmail.test", Fetch: &policy.Fetch{Source: "old@isp.example"}}
	}
	if who := c.one("", "user@acme.test", "user@acme.test"); who != "" {
		s.account.SendAs = []policy.SendAs{{Address: who, Verified: c.number(2) == 0}}
	}
	s.header = c.one("", "X-Forwarded-For: user@acme.test alice@gmail.test\r\n", "List-Id: <l.list.example>\r\nList-Post: <mailto:l@list.example>\r\n", "X-Gmail-Fetch-Info: a 1 b 995 c\r\n", "In-Reply-To: <x@y>\r\n") +
		"From: " + c.one("Shop <noreply@shop.example>", "alice@gmail.test") + "\r\nTo: " + c.one("alice@gmail.test", "user@acme.test", "other@x.example") + "\r\nSubject: " + c.one("Expense", "Fwd: Expense") +
		"\r\nDate: Thu, 15 Jan 2026 09:00:00 +0000\r\nMessage-ID: <1@shop.example>\r\nContent-Type: text/html\r\n"
	s.body = "<p>Hello</p>\r\n" + fmt.Sprintf(c.one(scriptText, goToText), "own")
	if c.number(2) == 1 {
		s.body += forwardLine + fmt.Sprintf(c.one(scriptText, goToText), "inner")
	}
	// Which fields the author signed is another check's business.
	s.dials = policy.Dials{policy.DialMailingList: c.one("withheld", "offered"), policy.DialUnsignedFields: "offered"}
	return s
}

// additions are what somebody on the way may add without a key: fields on top,
// text before and after the body.
func (c *choices) additions() (fields, before, after string) {
	for range c.number(4) {
		fields += c.one(
			"X-Forwarded-To: alice@gmail.test", "X-Forwarded-For: user@acme.test alice@gmail.test", "Delivered-To: user@acme.test", "Delivered-To: alice@gmail.test",
			"X-Original-To: user@acme.test", "Resent-From: user@acme.test", "Resent-To: alice@gmail.test", "To: alice@gmail.test", "To: user@acme.test", "Cc: alice@gmail.test",
			"X-Gmail-Fetch-Info: old@isp.example 1 pop.isp.example 995 old", "Received: by 10.0.0.1 with POP3 id 6mf9; x", "Received: from a by b for <user@acme.test>; x", "Received: from a by b for <alice@gmail.test>; x",
			"List-Id: <l.list.example>", "List-Post: <mailto:l@list.example>", "List-Id: <news.shop.example>", "List-Post: <mailto:l@evil.example>", "In-Reply-To: <a@b>", "References: <a@b>",
			"Authentication-Results: mx.gmail.test; spf=pass; dkim=pass header.d=shop.example", "ARC-Seal: i=1; a=rsa-sha256; cv=none; d=google.com; s=x; b=x", "Return-Path: <bounce@shop.example>",
			"X-Forwarded-Encrypted: i=1; x", "Sender: alice@gmail.test", "Reply-To: alice@gmail.test", "Subject: Re: Expense", "X-MS-Exchange-ForwardingLoop: user@acme.test;1",
		) + "\r\n"
	}
	text := []string{
		"", "<p>Hi</p>\r\n", "<p>---------- Forwarded message ---------</p>\r\n", forwardLine, "<div class=\"gmail_quote\">\r\n", "</div></blockquote>\r\n", "Begin forwarded message:<br>\r\n",
		"<!-- -->\r\n", "<textarea>\r\n", "<script>\r\n", "<template>\r\n", "<blockquote type=\"cite\">\r\n", "<div id=\"divRplyFwdMsg\">\r\n", "<title>\r\n",
	}
	return fields, c.one(text...), c.one(text...)
}

// judge returns the answers on the actions, by what they lead to: the URL of
// the handler, or the target.
func (s situation) judge(fields, before, after string) (map[string]policy.Answer, policy.Access) {
	s.auth.DKIM = broken(s.auth.DKIM, fields, s.header)
	m := message.Parse([]byte(fields + s.header + "\r\n" + before + s.body + after))
	header := m.Header()
	found := markup.Extract(m)
	// Fields that may stand once only make a message malformed, which is
	// another check's business.
	header.Problems, header.From = nil, header.From[:1]
	e := policy.Evidence{
		At: time.Date(2026, 1, 15, 9, 0, 0, 0, time.UTC), Arrival: s.arrival, Account: s.account, Header: header, Auth: s.auth, Markup: found, Dials: s.dials,
		Access: pattern.Classify(pattern.Trail{Arrival: s.arrival, Account: s.account, Header: header, Auth: s.auth, Enclosed: found.Enclosed, Message: m}),
	}
	if header.From[0].Domain != "shop.example" {
		e.Auth.DMARC.Domain, e.Auth.DMARC.OrgDomain = "gmail.test", "gmail.test"
	}
	v := policy.Decide(e, policy.Registry{{From: "noreply@shop.example"}})
	answers := map[string]policy.Answer{}
	for i, a := range v.Actions {
		action := found.Actions[i]
		key := strings.Join(action.Targets, " ")
		if len(action.Handlers) > 0 {
			key = action.Handlers[0].URL
		}
		answers[key] = a.Answer
	}
	return answers, e.Access
}

// broken returns signatures as they are after fields were added on top: one that
// names a field more often than there were, so that none can be added, fails
// (RFC 6376 5.4.2).
func broken(list []policy.DKIM, fields, header string) []policy.DKIM {
	list = slices.Clone(list)
	added, there := message.Parse([]byte(fields+"\r\n")), message.Parse([]byte(header+"\r\n"))
	for i, d := range list {
		for _, f := range added.Fields {
			names := 0
			for _, h := range d.Headers {
				if f.Is(h) {
					names++
				}
			}
			if names > len(there.All(f.Name)) {
				list[i].Result = policy.AuthFail
			}
		}
	}
	return list
}

// checkHostile holds that nothing that needs no key turns withheld into offered.
func checkHostile(t *testing.T, data []byte) (offered, withheld int) {
	t.Helper()
	c := choices(data)
	s := c.situation()
	fields, before, after := c.additions()
	was, wasAccess := s.judge("", "", "")
	is, isAccess := s.judge(fields, before, after)
	for action, answer := range is {
		if was[action] == policy.Offered {
			offered++
			continue
		}
		withheld++
		if wasAccess.Unmarked && !isAccess.Unmarked {
			// Who can add text and keep what vouches for it is the author, and he
			// may say where the mail begins that he forwards.
			continue
		}
		if answer == policy.Offered && was[action] == policy.Withheld {
			t.Errorf("%s: withheld as %s, and offered as %s after adding %q, %q, %q\n%+v", action, wasAccess.Pattern, isAccess.Pattern, fields, before, after, s)
		}
	}
	return offered, withheld
}

// TestNothingAddedHelps tries it in many situations, the same on every run.
func TestNothingAddedHelps(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(8, 17))
	data := make([]byte, 40)
	offered, withheld := 0, 0
	for range 6000 {
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		o, w := checkHostile(t, data)
		offered, withheld = offered+o, withheld+w
	}
	if offered < 150 || withheld < 1000 {
		t.Errorf("%d offered and %d withheld: too few to tell", offered, withheld)
	}
}

// FuzzNothingAddedHelps goes on.
func FuzzNothingAddedHelps(f *testing.F) {
	f.Add([]byte{2, 1, 1, 1, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 1, 1, 2})
	f.Add([]byte{3, 1, 2, 2, 0, 0, 1, 0, 2, 1, 1, 2, 0, 1, 0, 1, 3, 4, 5, 6})
	f.Fuzz(func(t *testing.T, data []byte) { checkHostile(t, data) })
}
