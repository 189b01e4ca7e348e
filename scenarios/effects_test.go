package scenarios_test

import (
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/scenarios"
)

// What each word of a step does. The claims are the test.
func TestEffects(t *testing.T) {
	t.Parallel()
	const deliver = "deliver mail.eml from=bounce@shop.example to=alice@gmail.test peer=192.0.2.10 helo=mail.shop.example\n"
	const serve = "endpoint https://shop.example/approve"
	tests := []struct{ name, text string }{
		{"nothing broken", world + delivered + `expect dkim.0 == pass
expect dkim.0.algorithm == rsa-sha256
`},
		{"ed25519", world + `dial profile rfc
sign mail.eml d=shop.example s=s1 algorithm=ed25519
` + deliver + `expect dkim.0 == pass
expect dkim.0.algorithm == ed25519-sha256
`},
		{"break=body", world + "sign mail.eml d=shop.example s=s1 break=body\n" + deliver + `expect dkim.0 == fail
expect dkim.0.reason == body-hash
`},
		{"break=signature", world + "sign mail.eml d=shop.example s=s1 break=signature\n" + deliver + `expect dkim.0 == fail
expect dkim.0.reason == signature
`},
		{"break=signature with ed25519", world + "dial profile rfc\nsign mail.eml d=shop.example s=s1 break=signature algorithm=ed25519\n" + deliver + `expect dkim.0 == fail
expect dkim.0.reason == signature
`},
		{"break=key", world + "sign mail.eml d=shop.example s=s1 break=key\n" + deliver + `expect dkim.0 == fail
expect dkim.0.reason == signature
`},
		{"break=from", world + "sign mail.eml d=shop.example s=s1 break=from\n" + deliver + `expect dkim.0 == fail
expect dkim.0.reason == signature
`},
		{"canonicalization", world + "sign mail.eml d=shop.example s=s1 c=simple i=noreply@shop.example headers=from:to expires=1h\n" + deliver + `expect dkim.0 == pass
expect dkim.0.headers contains from:to
`},
		{"expired", world + "sign mail.eml d=shop.example s=s1 expires=1m\nadvance 2m\n" + deliver + `expect dkim.0 != pass
expect dkim.0.reason == expired
`},
		{"signed twice", world + "sign mail.eml d=shop.example s=s1\nsign mail.eml d=relay.example s=s2\n" + deliver + `expect dkim.0.domain == relay.example
expect dkim.0 == pass
expect dkim.1.domain == shop.example
expect dkim.1 == pass
`},
		{"no tls", world + delivered + "expect envelope.tls not exists\n"},
		{"tls=yes", world + "deliver mail.eml from=<> to=alice@gmail.test tls=yes\nexpect envelope.tls == TLS1_3\n"},
		{"defaults of deliver", world + `deliver mail.eml from=<> to=alice@gmail.test
expect envelope.from == ""
expect envelope.to == alice@gmail.test
expect envelope.peer == 203.0.113.1
expect envelope.helo == [203.0.113.1]
deliver mail.eml from=<> to=alice@gmail.test peer=2001:db8::1
expect envelope.helo == [IPv6:2001:db8::1]
`},
		{"fail=timeout", world + serve + " fail=timeout\n" + delivered + `click Approve
expect request.0.reason == timeout
expect request.0.status == 0
expect click.state == failed
`},
		{"fail=reset", world + serve + " fail=reset\n" + delivered + `click Approve
expect request.0.reason == reset
expect click.state == failed
`},
		{"fail=tls, and repaired", world + serve + " fail=tls\n" + delivered + `click Approve
expect request.0.reason == tls-unknown-authority
expect request.0.method not exists
expect click.state == failed
` + serve + `
click Approve
expect request.1.status == 200
` + serve + ` fail=tls
deliver mail.eml from=bounce@shop.example to=alice@gmail.test peer=192.0.2.10 helo=mail.shop.example
click Approve
expect request.2.reason == tls-unknown-authority
`},
		{"no answer is retried by a dial", world + "dial retry.timeout yes\ndial retry.schedule 1m,5m\n" + serve + " fail=timeout\n" + delivered + `click Approve
expect click.state == pending
expect request.0.attempts == 1
advance 1m
expect request.0.attempts == 2
advance 1h
expect request.0.attempts == 3
expect request.0.attempt.0.at == 2026-01-15T09:00:00Z
expect request.0.attempt.1.at == 2026-01-15T09:01:00Z
expect request.0.attempt.2.at == 2026-01-15T09:06:00Z
expect request.0.attempt.1.outcome == retrying
expect request.0.attempt.2.outcome == failed
expect clock == 2026-01-15T10:01:00Z
expect click.state == failed
`},
		{"another program is not held up", world + serve + " status=408,200\n" + delivered + `click Approve
expect click.state == pending
click Approve persona=third-party
expect click.state == succeeded
expect request.1.attempt.0.at == 2026-01-15T09:00:00Z
advance 1m
expect request.0.state == succeeded
`},
		{"retries end", world + "dial retry.schedule 1m\n" + serve + " status=408\n" + delivered + `click Approve
expect request.0.reason == status
expect request.0.due == 2026-01-15T09:01:00Z
advance 1h
expect request.0.state == failed
expect request.0.reason == retries-exhausted
expect request.0.due not exists
expect request.0.attempt.0.due == 2026-01-15T09:01:00Z
expect request.0.attempt.1.reason == status
`},
		{"5xx is retried by a dial", world + "dial retry.5xx yes\n" + serve + " status=503,200\n" + delivered + `click Approve
advance 1m
expect click.state == succeeded
`},
		{"a redirect that is followed", world + "dial request.redirect follow\n" + serve + ` status=307 header=Location:https://other.example/x
endpoint https://other.example/x
` + delivered + `click 0
expect request.0.state == succeeded
expect request.0.status == 200
expect request.0.url == https://other.example/x
expect request.0.host == other.example
expect request.0.method == POST
expect request.0.target == /x
expect request.0.header.authorization not exists
expect request.0.redirect.0.from matches "^https://shop\\.example/approve"
expect request.0.redirect.0.header.host == shop.example
expect request.0.redirect.0.header.authorization contains Bearer
expect request.0.redirect.0.body == confirmed=Approved
expect request.0.redirect.0.status == 307
expect request.0.redirect.0.to == https://other.example/x
expect token.aud == https://shop.example
expect token.verified == yes
`},
		{"a redirect that is followed with GET", world + "dial request.redirect follow\n" + serve + ` status=303 header=Location:/final
endpoint https://shop.example/final
` + delivered + `click 0
expect request.0.url == https://shop.example/final
expect request.0.method == GET
expect request.0.redirect.0.method == POST
`},
		{"what an endpoint answers", world + serve + ` status=200 body="all \"done\"" header="X-One: 1" header=X-Two:2
` + delivered + `click 0
expect request.0.response.body == "all \"done\""
expect request.0.response.header.x-one == 1
expect request.0.response.header.x-two == 2
`},
		{"enforce", world + `inbound enforce
deliver mail.eml from=<> to=alice@gmail.test
expect smtp.code == 550
expect smtp.enhanced == 5.7.26
expect smtp.command == DATA
expect delivery == reject
expect messages == 0
click Approve
expect click == refuse
expect requests == 0
inbound observe
deliver mail.eml from=<> to=alice@gmail.test
expect smtp.code == 250
expect delivery == reject
expect reply.code == 550
expect messages == 1
`},
		{"refused before the message", world + `deliver mail.eml from=<> to=nobody@gmail.test
expect smtp.code == 550
expect smtp.command == RCPT
expect delivery not exists
deliver mail.eml from=<> to=alice@elsewhere.test
expect smtp.code == 553
expect smtp.enhanced == 5.1.2
`},
		{"several recipients", "account bob@gmail.test\n" + world + `deliver mail.eml from=<> to=alice@gmail.test,bob@gmail.test,alice+x@gmail.test
expect messages == 2
expect envelope.to == alice@gmail.test
`},
		{"peer", world + `peer 198.51.100.7 as=192.0.2.10 ptr=mx1.shop.example
sign mail.eml d=shop.example s=s1
deliver mail.eml from=bounce@shop.example to=alice@gmail.test peer=198.51.100.7 helo=mx1.shop.example
expect envelope.peer == 192.0.2.10
expect spf == pass
expect rdns == pass
`},
		{"peer by name only", world + `peer 203.0.113.9 ptr=mx9.shop.example
deliver mail.eml from=<> to=alice@gmail.test peer=203.0.113.9
expect envelope.peer == 203.0.113.9
expect rdns == pass
expect rdns.name == mx9.shop.example
`},
		{"an older message", world + serve + "\n" + delivered + `deliver mail.eml from=bounce@shop.example to=alice@gmail.test
click Approve message=0
expect click.state == succeeded
click Approve message=0
expect click == refuse
expect click.reason == already-done
click Approve
expect requests == 2
`},
		{"advice on a URL used twice", world + delivered + `expect action.0.check.url-once == pass
` + deliver + `expect action.0.check.url-once == fail
expect action.0 == offered
`},
		{"keys", `expect keys == 2
expect key.0.state == current
rotate
advance 5h31m
rotate
expect keys exists
`},
		{"predicates", `expect clock == 2026-01-15T09:00:00Z
expect clock not == 2026
expect clock != 2026
expect clock not != 2026-01-15T09:00:00Z
expect clock contains T09
expect clock not contains T10
expect clock matches ^2026
expect clock not matches ^1026
expect clock exists
expect token.aud not exists
`},
		{"a provider of another name", `provider mail.test
account zoe@mail.test
deliver mail.eml from=<> to=Zoe@MAIL.test
expect envelope.to == Zoe@MAIL.test
expect messages == 1
dns zone
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
