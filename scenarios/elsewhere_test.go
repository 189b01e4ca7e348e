package scenarios_test

import (
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/scenarios"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// pair is a world of two providers.
const pair = `provider gmail.test
provider other.test
account carol@other.test
` + world

// What each new word of a step does. The claims are the test.
func TestElsewhereEffects(t *testing.T) {
	t.Parallel()
	const deliver = "deliver mail.eml from=bounce@shop.example to=alice@gmail.test peer=192.0.2.10 helo=mail.shop.example\n"
	tests := []struct{ name, text string }{
		{"sink", world + `sink acme.test
account alice@gmail.test forward=x@acme.test
` + deliver + `expect outgoings == 1
expect outgoing.0 == forward
expect outgoing.0.account == alice@gmail.test
expect outgoing.0.from == alice+caf_=x=acme.test@gmail.test
expect outgoing.0.to == x@acme.test
expect outgoing.0.state == sent
expect outgoing.0.attempts == 1
expect outgoing.0.via == "sink acme.test"
expect outgoing.0.problem not exists
expect outgoing.0.header.x-forwarded-to == x@acme.test
expect outgoing.0.header.subject == "Expense 4711"
expect outgoing.0.header.arc-seal contains "i=2;"
`},
		{"sink that refuses", world + `sink acme.test code=550
account alice@gmail.test forward=x@acme.test
` + deliver + `expect outgoing.0.state == refused
expect outgoing.0.attempts == 1
advance 24h
expect outgoing.0.attempts == 1
`},
		{"sink that defers", world + `sink acme.test code=450
account alice@gmail.test forward=x@acme.test
` + deliver + `expect outgoing.0.state == pending
advance 5m
expect outgoing.0.attempts == 2
advance 30m
expect outgoing.0.attempts == 3
sink acme.test
advance 2h
expect outgoing.0.attempts == 4
expect outgoing.0.state == sent
`},
		{"sink without STARTTLS", world + `sink acme.test tls=none
account alice@gmail.test forward=x@acme.test
` + deliver + `expect outgoing.0.state == sent
expect outgoing.0.tls == starttls-not-supported
expect outgoing.0.tls.policy == no-policy-found
expect outgoing.0.tls.host == mx.acme.test
sink acme.test tls=name
` + deliver + `expect outgoing.1.tls == certificate-host-mismatch
sink acme.test tls=untrusted
` + deliver + `expect outgoing.2.tls == certificate-not-trusted
expect outgoing.2.tls.problem exists
sink acme.test
` + deliver + `expect outgoing.3.tls == pass
expect outgoing.3.tls.problem not exists
`},
		{"no sink", world + "account alice@gmail.test forward=x@acme.test\n" + deliver + `expect outgoing.0.state == withheld
expect outgoing.0.problem contains host-not-routed
expect outgoing.0.attempts == 1
expect outgoing.0.via not exists
`},
		{"nothing outside", world + deliver + `expect outgoings == 0
expect sendases == 0
expect accesses == 0
expect confirm.error not exists
expect fetch.login not exists
expect outgoing.0 not exists
expect access.0 not exists
`},
		{"send-as", pair + `sendas alice@gmail.test Carol@other.test
expect sendases == 1
expect sendas.0 == carol@other.test
expect sendas.0.account == alice@gmail.test
expect sendas.0.state == pending
expect outgoing.0 == confirmation
expect outgoing.0.to == carol@other.test
expect outgoing.0.from == noreply@gmail.test
expect outgoing.0.header.subject matches "^\\(#[0-9]{9}\\) "
confirm alice@gmail.test carol@other.test code=000
expect confirm.error contains "another one"
expect sendas.0.state == pending
confirm Alice@gmail.test CAROL@other.test
expect confirm.error == ""
expect sendas.0.state == accepted
confirm alice@gmail.test carol@other.test
expect confirm.error contains "no confirmation is under way"
` + deliver},
		{"send-as that expires", pair + `sendas alice@gmail.test carol@other.test
advance 168h
confirm alice@gmail.test carol@other.test
expect confirm.error contains expired
expect sendas.0.state == pending
sendas alice@gmail.test carol@other.test
confirm alice@gmail.test carol@other.test
expect confirm.error == ""
expect outgoings == 2
` + deliver},
		{"send-as of the account", "account alice@gmail.test sendas=B@b.test,c@c.test\nexpect sendases == 2\nexpect sendas.0 == b@b.test\nexpect sendas.0.state == accepted\nexpect sendas.1 == c@c.test\n"},
		{"fetch", world + `account alice@gmail.test popfrom=old@isp.example
sign mail.eml d=shop.example s=s1
fetch alice@gmail.test from=OLD@isp.example mail=mail.eml,mail.eml
expect fetch.login == yes
expect fetch.listed == 2
expect fetch.fetched == 2
expect fetch.known == 0
expect fetch.deleted == 0
expect fetch.error == ""
expect fetch.error.text not exists
expect arrival == pop
expect arrival.source == old@isp.example
expect arrival.host == pop.isp.example
expect arrival.port == 995
expect arrival.login == old@isp.example
expect arrival.tls == TLS1_3
expect arrival.uid exists
expect reply.code not exists
expect envelope.from not exists
expect smtp.code not exists
expect stored.x-gmail-fetch-info exists
expect stored.return-path not exists
expect messages == 2
`},
		{"popserver", world + `popserver old@isp.example login=me password=s3cret tls=stls keep=no host=mail.isp.example
account alice@gmail.test popfrom=old@isp.example
fetch alice@gmail.test from=old@isp.example mail=mail.eml
expect fetch.deleted == 1
expect arrival.host == mail.isp.example
expect arrival.port == 110
expect arrival.login == me
expect arrival.tls == TLS1_3
fetch alice@gmail.test from=old@isp.example
expect fetch.listed == 0
popserver old@isp.example tls=none
fetch alice@gmail.test from=old@isp.example mail=mail.eml
expect arrival.tls not exists
`},
		{"popserver that fails", world + `popserver old@isp.example fail=drop
account alice@gmail.test popfrom=old@isp.example
fetch alice@gmail.test from=old@isp.example mail=mail.eml,mail.eml
expect fetch.error == failed
expect fetch.error.text exists
expect fetch.login == yes
expect fetch.fetched == 1
popserver old@isp.example fail=login
fetch alice@gmail.test from=old@isp.example
expect fetch.error == login-refused
expect fetch.login == no
advance 1h
expect messages == 1
popserver old@isp.example
advance 2h
expect messages == 2
`},
		{"popserver elsewhere", world + `popserver old@isp.example at=127.0.0.1:1 tls=none
account alice@gmail.test popfrom=old@isp.example
fetch alice@gmail.test from=old@isp.example
expect fetch.error == failed
expect fetch.error.text contains 127.0.0.1:1
expect fetch.login == no
` + deliver},
		{"open", pair + deliver + `deliver mail.eml from=<> to=carol@other.test
expect account == carol@other.test
expect envelope.from == ""
open 0
expect account == alice@gmail.test
expect envelope.from == bounce@shop.example
expect stored.delivered-to == alice@gmail.test
expect stored.authentication-results contains mx.gmail.test
open 1
expect stored.authentication-results contains mx.other.test
expect smtp.code == 250
`},
		{"two providers", pair + `account alice@gmail.test forward=carol@other.test
endpoint https://shop.example/approve trusts=other.test
` + delivered + `expect messages == 2
expect account == alice@gmail.test
click Approve
expect token.iss == https://accounts.google.com
expect request.0.status == 401
click Approve persona=other-provider
expect token.iss == https://accounts.other.test
expect request.1.status == 200
expect click.persona == other-provider
`},
		{"trusts", world + "endpoint https://shop.example/approve trusts=GMAIL.test status=202\n" + delivered + `click Approve persona=third-party
expect request.0.status == 401
click Approve
expect request.1.status == 202
`},
		{"forward by hand", world + `sign mail.eml d=shop.example s=s1
forward mail.eml by=bob@corp.example style=gmail language=de as=inline markup=keep note="Bitte lesen" to=alice@gmail.test peer=198.51.100.7 d=corp.example s=c1
expect pattern == manual-forward
expect enclosed == 1
expect enclosed.0 == inline
expect enclosed.0.client == gmail
expect enclosed.0.language == de
expect action.0 == withheld
expect action.0.reason == manual-forward
expect envelope.from == bob@corp.example
expect dkim.0.domain == corp.example
expect dkim.0 == pass
forward mail.eml by=bob@corp.example style=gmail as=attachment from=<> to=alice@gmail.test
expect enclosed.0 == attachment
expect envelope.from == ""
`},
		{"autoforward", world + `account alice@gmail.test sendas=user@acme.test
sign mail.eml d=shop.example s=s1
autoforward mail.eml by=user@acme.test style=caf from=bounce@shop.example to=alice@gmail.test peer=198.51.100.7 helo=fwd.acme.test tls=yes
expect envelope.from == user+caf_=alice=gmail.test@acme.test
expect envelope.helo == fwd.acme.test
expect envelope.tls == TLS1_3
autoforward mail.eml by=user@acme.test style=plain from=bounce@shop.example to=alice@gmail.test break=footer
expect dkim.0.change == footer
autoforward mail.eml by=user@acme.test style=plain from=bounce@shop.example to=alice@gmail.test break=subject
expect dkim.0.change == subject
`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text := tt.text
			if strings.Contains(text, "mail.eml") {
				text += approval
			}
			result := run(t, text, scenarios.RunOptions{})
			if !result.Held() || result.Claims() == 0 {
				t.Errorf("%d claims\n%s", result.Claims(), result.Failures().Report())
			}
		})
	}
}

// What is only found out when a step is carried out stops the file there, with
// its place.
func TestElsewhereFailures(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, want string }{
		{"sink gmail.test\n", "x.txtar:1:1: the mail of gmail.test goes to its provider, not to a sink"},
		{"account alice@gmail.test\n  account alice@gmail.test forward=ALICE@gmail.test\n", `x.txtar:2:3: account "alice@gmail.test" cannot forward to itself`},
		{"account alice@gmail.test forward=alice@gmail.test\n", `x.txtar:1:1: account "alice@gmail.test" cannot forward to itself`},
		{"account carol@other.test\n", `x.txtar:1:1: account "carol@other.test" is not of the provider's domain gmail.test`},
		{"sendas alice@gmail.test b@b.test\n", `x.txtar:1:1: there is no account "alice@gmail.test"`},
		{"confirm alice@gmail.test b@b.test\n", `x.txtar:1:1: no mail with a code has reached b@b.test`},
		{"account alice@gmail.test\nsendas alice@gmail.test b@b.test\nconfirm alice@gmail.test b@b.test\n", `x.txtar:3:1: no mail with a code has reached b@b.test`},
		{"account alice@gmail.test\nfetch alice@gmail.test from=b@b.test\n", "x.txtar:2:1: fetching from b@b.test into alice@gmail.test: the account does not fetch from that address"},
		{"popserver b@b.test at=127.0.0.1:995\naccount alice@gmail.test popfrom=b@b.test\nfetch alice@gmail.test from=b@b.test mail=m\n-- m --\n",
			"x.txtar:3:1: the mailbox of b@b.test is at 127.0.0.1:995, and not within the process"},
		{"open 0\n", "x.txtar:1:6: there is no message 0: there are 0, counted from 0"},
		{"endpoint https://shop.example/ trusts=other.test\n", `x.txtar:1:1: endpoint "https://shop.example/": the world has no provider other.test to trust`},
		{"forward m by=b@b.test style=gmail to=a@gmail.test\n-- m --\n", `x.txtar:1:1: forwarding "m": `},
		{"autoforward m by=b@b.test style=plain from=<> to=a@gmail.test\n-- m --\n", `x.txtar:1:1: forwarding "m": `},
	}
	for _, tt := range tests {
		got := run(t, tt.text, scenarios.RunOptions{})
		if text := got.Failures().Error(); !strings.HasPrefix(text, tt.want) || !got.Stopped {
			t.Errorf("%s\ngot  %s\nwant %s", tt.text, text, tt.want)
		}
	}
}

// Whom a confirmation of nobody's is for is an answer, as a wrong code is: a
// claim can be about it.
func TestConfirmOfNobody(t *testing.T) {
	t.Parallel()
	got := run(t, "confirm alice@gmail.test b@b.test code=1\nexpect confirm.error contains \"no account\"\n", scenarios.RunOptions{})
	if !got.Held() {
		t.Error(got.Failures().Report())
	}
}

// Everything that is told of what goes on outside is the same on every run, and
// has each name once.
func TestElsewherePaths(t *testing.T) {
	t.Parallel()
	text := pair + `account alice@gmail.test popfrom=old@isp.example forward=carol@other.test
sendas alice@gmail.test carol@other.test
confirm alice@gmail.test carol@other.test
` + delivered + "fetch alice@gmail.test from=old@isp.example mail=mail.eml\n" + approval
	paths := func() map[string]string {
		list := map[string]string{}
		for _, p := range withoutChance(run(t, text, scenarios.RunOptions{Paths: true}).Paths) {
			if _, again := list[p.Name]; again {
				t.Errorf("%s is told twice", p.Name)
			}
			list[p.Name] = p.Value
		}
		return list
	}
	first, second := paths(), paths()
	for name, value := range first {
		// The code is random; so is whatever its mail is signed with.
		confirmation := strings.HasPrefix(name, "outgoing.0.header.")
		if !confirmation && second[name] != value {
			t.Errorf("%s is once %q and once %q", name, value, second[name])
		}
	}
	for _, name := range []string{"outgoings", "outgoing.0", "outgoing.2.header.arc-seal", "sendas.0.state", "confirm.error", "fetch.fetched", "accesses", "stored.x-gmail-fetch-info"} {
		if _, ok := first[name]; !ok {
			t.Errorf("%s is not told", name)
		}
	}
	if len(first) != len(second) {
		t.Errorf("there are once %d paths and once %d", len(first), len(second))
	}
}

// The sessions of programs, as claims see them.
func TestAccessPaths(t *testing.T) {
	t.Parallel()
	p, err := scenarios.Open(t.Context(), parse(t, "account alice@gmail.test password=x\n"), provider.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, a := range []mailbox.Access{
		{ID: "1", Account: "alice@gmail.test", Protocol: "imap", TLS: "TLS1_3", Client: "gopher 1.0", Read: []string{"m1", "m2"}},
		{ID: "2", Account: "bob@gmail.test", Protocol: "pop3", Denied: true},
	} {
		a.World = p.WorldName()
		if err := p.Store().PutAccess(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	got := run(t, `expect accesses == 2
expect access.0 == imap
expect access.0.account == alice@gmail.test
expect access.0.client == "gopher 1.0"
expect access.0.tls == TLS1_3
expect access.0.denied == no
expect access.0.read == 2
expect access.1 == pop3
expect access.1.account == bob@gmail.test
expect access.1.client not exists
expect access.1.tls not exists
expect access.1.denied == yes
expect access.1.read == 0
expect access.2 not exists
`, scenarios.RunOptions{Provider: p})
	if !got.Held() || got.Claims() != 14 {
		t.Error(got.Failures().Report())
	}
}

// The domain of a provider may be written in Unicode wherever a domain may.
func TestUnicodeDomains(t *testing.T) {
	t.Parallel()
	got := run(t, `provider bücher.test
provider xn--mller-kva.test
account alice@bücher.test forward=carol@müller.test
account carol@müller.test
sink straße.test
sign mail.eml d=shop.example s=s1
deliver mail.eml from=<> to=alice@bücher.test
expect smtp.code == 250
expect outgoing.0.state == sent
expect messages == 2
-- mail.eml --
From: x@shop.example
Message-ID: <1@shop.example>

text
`, scenarios.RunOptions{})
	if !got.Held() {
		t.Error(got.Failures().Report())
	}
}
