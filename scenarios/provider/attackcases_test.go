package provider_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailauth"
)

// attack is what Mallory sends, and what must become of it.
type attack struct {
	name string
	mail func(testing.TB) string
	// reason is that of a finding that must fail; of a pass, with a "+" before it.
	reason   policy.Reason
	delivery policy.Delivery
	to       string // Default alice@gmail.test.
	bare     bool   // There is no action to withhold.
	dials    []string
}

// attacksOnFrom are on what From says.
func attacksOnFrom() []attack {
	const accept, reject = policy.Accept, policy.Reject
	return []attack{
		{name: "several addresses", mail: ownMail("From: noreply@shop.example, m@evil.example\r\n"), reason: "from-several", delivery: reject},
		{name: "several addresses, own first", mail: ownMail("From: m@evil.example, noreply@shop.example\r\n"), reason: "from-several", delivery: reject},
		{name: "several fields, own first", mail: ownMail("From: m@evil.example\r\nFrom: noreply@shop.example\r\n"), reason: "from-several", delivery: reject},
		{name: "several fields, own last", mail: ownMail("From: noreply@shop.example\r\nFrom: m@evil.example\r\n"), reason: "from-several", delivery: reject},
		{name: "a second field with a space before the colon", mail: ownMail("From : noreply@shop.example\r\nFrom: m@evil.example\r\n"), reason: "from-several", delivery: reject},
		{name: "a second field in capitals", mail: ownMail("FROM: noreply@shop.example\r\nFrom: m@evil.example\r\n"), reason: "from-several", delivery: reject},
		{name: "no field", mail: func(t testing.TB) string {
			return strings.Replace(ownMail("From: m@evil.example\r\n")(t), "\r\nFrom: m@", "\r\nX-From: m@", 1)
		}, reason: "from-missing", delivery: reject},
		{name: "an empty field", mail: ownMail("From:\r\n"), reason: "from-unreadable", delivery: reject},
		{name: "a name alone", mail: ownMail("From: Shop\r\n"), reason: "from-unreadable", delivery: reject},
		{name: "a group", mail: ownMail("From: Shop: m@evil.example;\r\n"), reason: "from-group", delivery: accept},
		{name: "a group named as an address", mail: ownMail("From: \"noreply@shop.example\": m@evil.example;\r\n"), reason: "from-group", delivery: accept},
		{name: "an address as a group's name", mail: ownMail("From: noreply@shop.example: m@evil.example;\r\n"), reason: "from-unreadable", delivery: reject},
		{name: "an empty group", mail: ownMail("From: noreply@shop.example:;\r\n"), reason: "from-unreadable", delivery: reject},
		{name: "two angle addresses", mail: ownMail("From: Shop <noreply@shop.example> <m@evil.example>\r\n"), reason: "from-unreadable", delivery: reject},
		{name: "an address as a bare name", mail: ownMail("From: noreply@shop.example <m@evil.example>\r\n"), reason: "from-syntax", delivery: accept},
		{name: "an address as a quoted name", mail: ownMail("From: \"noreply@shop.example\" <m@evil.example>\r\n"), reason: "name-other-address", delivery: accept},
		{name: "an address in angle brackets as a quoted name", mail: ownMail("From: \"Shop <noreply@shop.example>\" <m@evil.example>\r\n"), reason: "name-other-address", delivery: accept},
		{name: "an address as a name with much space", mail: ownMail("From: \"noreply@shop.example" + strings.Repeat(" ", 200) + "\" <m@evil.example>\r\n"), reason: "name-other-address", delivery: accept},
		{name: "the user's own address as a name", mail: ownMail("From: \"alice@gmail.test\" <m@evil.example>\r\n"), reason: "name-other-address", delivery: accept},
		{name: "an address as an encoded name", mail: ownMail("From: =?utf-8?q?noreply=40shop.example?= <m@evil.example>\r\n"), reason: "name-other-address", delivery: accept},
		{name: "an address as an encoded name in base64", mail: ownMail("From: =?utf-8?b?bm9yZXBseUBzaG9wLmV4YW1wbGU=?= <m@evil.example>\r\n"), reason: "name-other-address", delivery: accept},
		{name: "an address as an encoded name in quotes", mail: ownMail("From: \"=?utf-8?q?noreply=40shop.example?=\" <m@evil.example>\r\n"), reason: "name-other-address", delivery: accept},
		{name: "an address in two encoded words", mail: ownMail("From: =?utf-8?q?noreply=40sh?= =?utf-8?q?op.example?= <m@evil.example>\r\n"), reason: "name-other-address", delivery: accept},
		{name: "an address with a full-width at sign", mail: ownMail("From: \"noreply＠shop.example\" <m@evil.example>\r\n"), reason: "name-other-address", delivery: accept},
		{name: "an address with ideographic dots", mail: ownMail("From: \"noreply＠shop。example\" <m@evil.example>\r\n"), reason: "name-other-address", delivery: accept},
		{name: "an address in a comment behind", mail: ownMail("From: m@evil.example (noreply@shop.example)\r\n"), reason: "name-other-address", delivery: accept},
		{name: "an address in a comment before", mail: ownMail("From: (noreply@shop.example) m@evil.example\r\n"), reason: "name-other-address", delivery: accept},
		{name: "an address in a comment beside a name", mail: ownMail("From: Shop (noreply@shop.example) <m@evil.example>\r\n"), reason: "name-other-address", delivery: accept},
		{name: "an address in an encoded comment", mail: ownMail("From: Shop <m@evil.example> (=?utf-8?q?noreply=40shop.example?=)\r\n"), reason: "name-other-address", delivery: accept},
		{name: "an address in a nested comment", mail: ownMail("From: Shop <m@evil.example> (a (noreply@shop.example) b)\r\n"), reason: "name-other-address", delivery: accept},
		{name: "a comment within the address", mail: ownMail("From: m@(shop.example)evil.example\r\n"), reason: "from-obsolete", delivery: accept},
		{name: "an address folded within", mail: ownMail("From: m@\r\n evil.example\r\n"), reason: "from-obsolete", delivery: accept},
		{name: "a folded line of spaces", mail: ownMail("From: Shop\r\n \r\n <m@evil.example>\r\n"), reason: "from-syntax", delivery: accept},
		{name: "a space before the colon", mail: ownMail("From : Shop <m@evil.example>\r\n"), reason: "from-syntax", delivery: accept},
		{name: "a source route", mail: ownMail("From: <@shop.example:m@evil.example>\r\n"), reason: "from-obsolete", delivery: accept},
		{name: "a percent hack", mail: ownMail("From: noreply%shop.example@evil.example\r\n"), reason: "local-part-odd", delivery: accept},
		{name: "a bang path", mail: ownMail("From: shop.example!noreply@evil.example\r\n"), reason: "local-part-odd", delivery: accept},
		{name: "a quoted local part with an at sign", mail: ownMail("From: \"noreply@shop.example\"@evil.example\r\n"), reason: "local-part-odd", delivery: accept},
		{name: "a quoted local part with brackets", mail: ownMail("From: \"noreply@shop.example> \"@evil.example\r\n"), reason: "local-part-odd", delivery: accept},
		{name: "a domain in the local part", mail: ownMail("From: noreply=shop.example@evil.example\r\n"), reason: "local-part-odd", delivery: accept},
		{name: "two at signs", mail: ownMail("From: noreply@shop.example@evil.example\r\n"), reason: "from-unreadable", delivery: reject},
		{name: "an encoded word as local part", mail: ownMail("From: =?utf-8?q?noreply?=@evil.example\r\n"), reason: "encoded-address", delivery: reject},
		{name: "an encoded word with an at sign as local part", mail: ownMail("From: <=?utf-8?q?noreply=40shop.example=3E?=@evil.example>\r\n"), reason: "encoded-address", delivery: reject},
		{name: "an encoded word as the whole address", mail: ownMail("From: <=?utf-8?q?noreply=40shop.example?=>\r\n"), reason: "from-unreadable", delivery: reject},
		{name: "NUL in the address", mail: ownMail("From: noreply@shop.example\x00 <m@evil.example>\r\n"), reason: "message-malformed", delivery: reject},
		{name: "NUL in the name", mail: ownMail("From: \"Shop\x00\" <m@evil.example>\r\n"), reason: "message-malformed", delivery: reject},
		{name: "encoded NUL in the name", mail: ownMail("From: =?utf-8?q?noreply=00Shop?= <m@evil.example>\r\n"), reason: "name-control", delivery: accept},
		{name: "encoded line break in the name", mail: ownMail("From: =?utf-8?q?Shop=0D=0AFrom=3A_noreply=40shop.example?= <m@evil.example>\r\n"), reason: "name-control", delivery: accept},
		{name: "bare CR with a field behind it", mail: ownMail("From: Shop <m@evil.example>\r\nX-A: b\rFrom: noreply@shop.example\r\n"), reason: "bare-cr", delivery: accept},
		{name: "bare LF with a field behind it", mail: ownMail("From: Shop <m@evil.example>\r\nX-A: b\nFrom: noreply@shop.example\r\n"), reason: "from-several", delivery: reject},
		{name: "a line that is no field", mail: ownMail("From: Shop <m@evil.example>\r\nFrоm: noreply@shop.example\r\n"), reason: "header-line", delivery: accept},
		{name: "an mbox line", mail: ownMail("From noreply@shop.example Thu Jan 15 09:00:00 2026\r\nFrom: Shop <m@evil.example>\r\n"), reason: "mbox-line", delivery: accept},
		{name: "full-width at sign", mail: ownMail("From: noreply＠shop.example\r\n"), reason: "from-unreadable", delivery: reject},
		{name: "full-width at sign in the local part", mail: ownMail("From: noreply＠shop.example@evil.example\r\n"), reason: "local-part-odd", delivery: accept},
		{name: "ideographic dot in the domain", mail: ownMail("From: m@evil。example\r\n"), reason: "from-domain", delivery: reject},
		{name: "full-width domain", mail: ownMail("From: noreply@ｓｈｏｐ.example\r\n"), reason: "from-domain", delivery: reject},
		{name: "zero width space in the domain", mail: ownMail("From: noreply@sh\u200bop.example\r\n"), reason: "from-domain", delivery: reject},
		{name: "zero width space in the local part", mail: ownMail("From: nore\u200bply@evil.example\r\n"), reason: "local-part-odd", delivery: accept},
		{name: "underscore in the domain", mail: ownMail("From: noreply@shop_.example\r\n"), reason: "from-domain", delivery: reject},
		{name: "dot at the end", mail: ownMail("From: noreply@shop.example.\r\n"), reason: "from-unreadable", delivery: reject},
		{name: "empty label", mail: ownMail("From: m@evil..example\r\n"), reason: "from-unreadable", delivery: reject},
		{name: "address literal", mail: ownMail("From: noreply@[" + malloryPeer + "]\r\n"), reason: "domain-literal", delivery: accept},
		{name: "the shop's domain in capitals, unsigned by it", mail: ownMail("From: NOREPLY@SHOP.EXAMPLE\r\n"), reason: "signed-by-others", delivery: reject},
		{name: "the shop itself, signed by Mallory", mail: ownMail(shop), reason: "unaligned", delivery: reject},
		{name: "invisible characters in the name", mail: ownMail("From: \"S\u200bhop\" <m@evil.example>\r\n"), reason: "name-invisible", delivery: accept},
		{name: "soft hyphens in an address as name", mail: ownMail("From: \"noreply@sh\u00adop.example\" <m@evil.example>\r\n"), reason: "name-other-address", delivery: accept},
		{name: "tags in the name", mail: ownMail("From: \"Shop\U000e0041\" <m@evil.example>\r\n"), reason: "name-invisible", delivery: accept},
		{name: "a joiner in the name", mail: ownMail("From: \"Sh\u200dop\" <m@evil.example>\r\n"), reason: "name-invisible", delivery: accept},
		{name: "right-to-left override in the name", mail: ownMail("From: \"\u202eelpmaxe.pohs@ylperon\" <m@evil.example>\r\n"), reason: "name-bidi", delivery: accept},
		{name: "isolate in the name", mail: ownMail("From: \"Shop \u2067x\u2069\" <m@evil.example>\r\n"), reason: "name-bidi", delivery: accept},
		{name: "right-to-left mark in a Latin name", mail: ownMail("From: \"Sh\u200fop\" <m@evil.example>\r\n"), reason: "name-bidi", delivery: accept},
		{name: "a Cyrillic letter in a Latin name", mail: ownMail("From: \"Shоp\" <m@evil.example>\r\n"), reason: "name-mixed-script", delivery: accept},
		{name: "the shop's domain as a name", mail: ownMail("From: shop.example <m@evil.example>\r\n"), reason: "name-other-domain", delivery: accept},
		{name: "the provider's domain as a name", mail: ownMail("From: \"gmail.test Security\" <m@evil.example>\r\n"), reason: "name-other-domain", delivery: accept},
		{name: "the shop's domain with zero for o as a name", mail: ownMail("From: \"SH0P.example\" <m@evil.example>\r\n"), reason: "name-other-domain", delivery: accept},
		{name: "a URL as a name", mail: ownMail("From: \"https://shop.example/login\" <m@evil.example>\r\n"), reason: "name-other-domain", delivery: accept},
		{name: "Sender of the shop", mail: ownMail("From: Shop <m@evil.example>\r\nSender: noreply@shop.example\r\n"), reason: "sender-other", delivery: accept},
		{name: "Sender of the provider", mail: ownMail("Sender: security@mail.gmail.test\r\nFrom: Security <m@evil.example>\r\n"), reason: "sender-other", delivery: accept},
		{name: "two Senders", mail: ownMail("From: Shop <m@evil.example>\r\nSender: m@evil.example\r\nSender: noreply@shop.example\r\n"), reason: "field-repeated", delivery: reject},
		{name: "zero for o in the domain", mail: ownFrom("sh0p.example", "From: Shop <noreply@sh0p.example>\r\n"), reason: "domain-confusable", delivery: accept},
		{name: "below a domain with zero for o", mail: ownFrom("mail.sh0p.example", "From: Shop <noreply@mail.sh0p.example>\r\n"), reason: "domain-confusable", delivery: accept},
		{name: "rn for m in the provider's domain", mail: ownFrom("grnail.test", "From: Security <security@grnail.test>\r\n"), reason: "domain-confusable", delivery: accept},
		{name: "a domain of Cyrillic letters that look Latin", mail: ownFrom("ѕһор.example", "From: Shop <noreply@ѕһор.example>\r\n"), reason: "domain-confusable", delivery: accept},
		{name: "the same as A-label", mail: func(t testing.TB) string {
			return ownFrom("ѕһор.example", "From: Shop <noreply@"+aLabels(t, "ѕһор.example")+">\r\n")(t)
		}, reason: "domain-confusable", delivery: accept},
		{name: "one Cyrillic letter in the domain", mail: ownFrom("shоp.example", "From: Shop <noreply@shоp.example>\r\n"), reason: "domain-mixed-script", delivery: accept},
		{name: "another Cyrillic letter, as A-label", mail: func(t testing.TB) string {
			return ownFrom("shoр.example", "From: Shop <noreply@"+aLabels(t, "shoр.example")+">\r\n")(t)
		}, reason: "domain-mixed-script", delivery: accept},
		{name: "an accent in the domain", mail: ownFrom("shöp.example", "From: Shop <noreply@shöp.example>\r\n"), reason: "domain-confusable", delivery: accept},
		{name: "the shop's domain before Mallory's", mail: ownFrom("shop.example.evil.example", "From: Shop <noreply@shop.example.evil.example>\r\n"), reason: "domain-imitates", delivery: accept},
		{name: "the provider's domain before Mallory's", mail: ownFrom("gmail.test.evil.example", "From: Mail <security@gmail.test.evil.example>\r\n"), reason: "domain-imitates", delivery: accept},
		{name: "hyphens for the dots of the shop's domain", mail: ownFrom("shop-example.test", "From: Shop <noreply@shop-example.test>\r\n"), reason: "domain-imitates", delivery: accept},
		{name: "an encoded word in Message-ID", mail: func(t testing.TB) string {
			return strings.Replace(ownMail("From: m@evil.example\r\n")(t), "<1@x.example>", "<=?utf-8?q?1?=@x.example>", 1)
		}, reason: "encoded-address", delivery: reject},
		{name: "Unicode in MIME-Version", mail: func(t testing.TB) string {
			return strings.Replace(ownMail("From: m@evil.example\r\n")(t), "MIME-Version: 1.0", "MIME-Version: １.0", 1)
		}, reason: "unicode-field", delivery: reject},
	}
}

// attacksByLooks are on the domain of From, and on names that hold the shop's with
// something around it.
func attacksByLooks() []attack {
	var list []attack
	for _, tt := range []struct {
		domain string
		reason policy.Reason
	}{
		{"bili.test", "domain-confusable"}, {"secure-shop-example.evil.example", "domain-imitates"}, {"shopexample.test", "domain-imitates"},
		{"sh0p-examp1e.evil.example", "domain-imitates"}, {"ꓢꓧꓳꓑ.example", "domain-confusable"}, {"sʜᴏᴘ.example", "domain-confusable"}, {"my--shop.example", "domain-confusable"},
	} {
		list = append(list, attack{name: "the domain " + tt.domain, mail: func(t testing.TB) string {
			return ownFrom(tt.domain, "From: Shop <noreply@"+aLabels(t, tt.domain)+">\r\n")(t)
		}, reason: tt.reason, delivery: policy.Accept})
	}
	for _, name := range []string{
		"“shop.example”", "«shop.example»", "shop.example™", "*shop.example*", "#shop.example", "~shop.example~", "_shop.example_", "+shop.example", "=shop.example", "–shop.example–",
		"shop\u2027example", "shop\u2022example", "shop .example", "shop. example", "shop[.]example", "shop(.)example", "shop.example-", "»shop.examp1e«", "SHOP.EXAMPLE!", "[shop.example]",
		"via=shop.example;", "noreply @ shop.example", "shop.example®", "shop.example²", "shop.example/login", "https://shop.example", "mail.shop.example", "gmail.test®", "sh\u00adop.example",
	} {
		list = append(list, attack{name: "the name " + name, mail: ownMail("From: \"" + name + "\" <m@evil.example>\r\n"), reason: "name-other-domain", delivery: policy.Accept})
	}
	for _, name := range []string{"noreply%40shop.example", "“noreply@shop.example”", "noreply@shop[.]example", "*noreply@shop.example*", "<noreply@shop.example>"} {
		list = append(list, attack{name: "the name " + name, mail: ownMail("From: \"" + name + "\" <m@evil.example>\r\n"), reason: "name-other-address", delivery: policy.Accept})
	}
	for _, r := range []rune{'\u206a', '\u2800', '\ufff9', '\ufffc', '\u2061'} {
		list = append(list, attack{name: fmt.Sprintf("%U in the name", r), mail: ownMail("From: \"shop" + string(r) + ".example\" <m@evil.example>\r\n"), reason: "name-invisible", delivery: policy.Accept})
	}
	for _, sender := range []string{"noreply@sh0p.example", "\"noreply@shop.example\" <m@evil.example>", "\"gmail.test\" <m@evil.example>", "x@mail.grnail.test"} {
		list = append(list, attack{name: "Sender " + sender, mail: ownMail("From: Shop <m@evil.example>\r\nSender: " + sender + "\r\n"), reason: "sender-other", delivery: policy.Accept})
	}
	return list
}

// attacksOnSignatures begin with a genuine mail of the shop's, or with its key's
// neighbours.
func attacksOnSignatures() []attack {
	const accept, reject = policy.Accept, policy.Reject
	list := []attack{
		{name: "another From above", mail: onTop("From: Shop <m@evil.example>\r\n"), reason: "from-several", delivery: reject},
		{name: "another From below", mail: changed("To: alice", "From: Shop <m@evil.example>\r\nTo: alice"), reason: "from-several", delivery: reject},
		{name: "another Subject above", mail: onTop("Subject: Urgent\r\n"), reason: "field-repeated", delivery: reject},
		{name: "another To above", mail: onTop("To: bob@gmail.test\r\n"), reason: "field-repeated", delivery: reject, to: "bob@gmail.test"},
		{name: "another Date above", mail: onTop("Date: Fri, 16 Jan 2026 09:00:00 +0000\r\n"), reason: "field-repeated", delivery: reject},
		{name: "another Message-ID above", mail: onTop("Message-ID: <2@evil.example>\r\n"), reason: "field-repeated", delivery: reject},
		{name: "another Content-Type above", mail: onTop("Content-Type: text/html; charset=utf-7\r\n"), reason: "field-added", delivery: reject},
		{name: "another MIME-Version above", mail: onTop("MIME-Version: 1.0\r\n"), reason: "field-added", delivery: reject},
		{name: "Content-Transfer-Encoding added", mail: onTop("Content-Transfer-Encoding: quoted-printable\r\n"), reason: "field-unsigned", delivery: accept},
		{name: "Cc added", mail: onTop("Cc: bob@gmail.test\r\n"), reason: "field-unsigned", delivery: accept, to: "bob@gmail.test"},
		{name: "From changed to another of the domain", mail: changed("<noreply@shop.example>", "<ceo@shop.example>"), reason: "unaligned", delivery: reject},
		{name: "the name in From changed", mail: changed("From: Shop", "From: Your Bank"), reason: "unaligned", delivery: reject},
		{name: "the body changed", mail: changed("shop.example/approve", "evil.example/approve"), reason: "unaligned", delivery: reject},
		{name: "x= moved on", mail: func(t testing.TB) string {
			raw := signAs(t, shop+usual+"\r\n"+button(shopURL), "shop.example", func(o *mailauth.SignOptions) {
				o.Time, o.Expiration = start().AddDate(0, 0, -2), start().AddDate(0, 0, -1)
			})
			return strings.Replace(raw, "x=1768", "x=1868", 1)
		}, reason: "unaligned", delivery: reject},
		{name: "expired", mail: func(t testing.TB) string {
			return signAs(t, shop+usual+"\r\n"+button(shopURL), "shop.example", func(o *mailauth.SignOptions) {
				o.Time, o.Expiration = start().AddDate(0, 0, -2), start().AddDate(0, 0, -1)
			})
		}, reason: "unaligned", delivery: reject},
		{name: "z= with the shop's From", mail: func(t testing.TB) string {
			return strings.Replace(ownMail(shop)(t), "v=1;", "v=1; z=From:noreply@shop.example;", 1)
		}, reason: "unaligned", delivery: reject},
		{name: "i= of the shop", mail: func(t testing.TB) string {
			return strings.Replace(ownMail(shop)(t), "s=s1;", "s=s1; i=noreply@shop.example;", 1)
		}, reason: "unaligned", delivery: reject},
		{name: "d= of the top-level domain", mail: func(t testing.TB) string {
			return strings.Replace(ownMail(shop)(t), "d=evil.example", "d=example", 1)
		}, reason: "unaligned", delivery: reject},
		{name: "d= twice", mail: func(t testing.TB) string {
			return strings.Replace(ownMail(shop)(t), "d=evil.example", "d=shop.example; d=evil.example", 1)
		}, reason: "unaligned", delivery: reject},
		{name: "signed by a neighbour under a public suffix", mail: ownFrom("evil.hosting.example", "From: Shop <noreply@shop.hosting.example>\r\n"), reason: "signed-by-others", delivery: accept},
		{name: "signed by the public suffix", mail: ownFrom("hosting.example", "From: Shop <noreply@shop.hosting.example>\r\n"), reason: "signed-by-others", delivery: accept},
		{name: "ten signatures above the shop's", mail: func(t testing.TB) string {
			raw := genuine(t)
			for range 10 {
				raw = signAs(t, raw, "evil.example", nil)
			}
			return raw
		}, reason: "unaligned", delivery: reject},
		{name: "a forged ARC chain", mail: func(t testing.TB) string {
			return "ARC-Seal: i=1; a=rsa-sha256; cv=none; d=gmail.test; s=s1; b=AAAA\r\n" +
				"ARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed/relaxed; d=gmail.test; s=s1; h=from; bh=AAAA; b=AAAA\r\n" +
				"ARC-Authentication-Results: i=1; mx.gmail.test; dkim=pass header.i=@shop.example; spf=pass; dmarc=pass header.from=shop.example\r\n" + ownMail(shop)(t)
		}, reason: "arc-fail", delivery: reject},
		{name: "forged Authentication-Results", mail: func(t testing.TB) string {
			return "Authentication-Results: mx.gmail.test; dkim=pass header.i=@shop.example; spf=pass; dmarc=pass header.from=shop.example\r\n" + ownMail(shop)(t)
		}, reason: "unaligned", delivery: reject},
		{name: "redirected with Resent fields", mail: onTop("Resent-From: noreply@shop.example\r\nResent-To: bob@gmail.test\r\n"), reason: "original-unverified", delivery: accept, to: "bob@gmail.test"},
		{name: "to another account", mail: genuine, reason: "ambiguous", delivery: accept, to: "bob@gmail.test"},
		{name: "to nobody", mail: func(t testing.TB) string {
			return signAs(t, shop+strings.Replace(usual, "alice@gmail.test", "undisclosed-recipients:;", 1)+"\r\n"+button(shopURL), "shop.example", nil)
		}, reason: "recipient-unsigned", delivery: accept},
		{name: "without To", mail: func(t testing.TB) string {
			return signAs(t, shop+strings.Replace(usual, "To: alice@gmail.test\r\n", "", 1)+"\r\n"+button(shopURL), "shop.example", nil)
		}, reason: "recipient-unsigned", delivery: accept},
		{name: "without To, which is added", mail: func(t testing.TB) string {
			return "To: alice@gmail.test\r\n" + signAs(t, shop+strings.Replace(usual, "To: alice@gmail.test\r\n", "", 1)+"\r\n"+button(shopURL), "shop.example", nil)
		}, reason: "recipient-unsigned", delivery: accept},
		{name: "a line that is no field above", mail: onTop("what\r\n"), reason: "header-line", delivery: accept},
		{name: "an mbox line between", mail: changed("To: alice", "From noreply@evil.example Thu\r\nTo: alice"), reason: "mbox-line", delivery: accept},
		{name: "bare CR in a field above", mail: onTop("X-A: b\rSubject: Urgent\r\n"), reason: "bare-cr", delivery: accept},
		{name: "NUL in a field above", mail: onTop("X-A: \x00\r\n"), reason: "message-malformed", delivery: reject},
		{name: "a space before the colon", mail: changed("From: Shop", "From : Shop"), reason: "from-syntax", delivery: accept},
		{name: "a folded line of spaces in From", mail: changed("From: Shop ", "From: Shop\r\n \r\n "), reason: "from-syntax", delivery: accept},
	}
	return append(list, attacksOnWeakSignatures()...)
}

// attacksOnWeakSignatures use what the shop does not sign.
func attacksOnWeakSignatures() []attack {
	const accept = policy.Accept
	body := button(shopURL)
	plain := strings.Replace(usual, "text/html", "text/plain", 1)
	few := []string{"From", "To", "Date", "Content-Type", "Content-Transfer-Encoding"}
	return []attack{
		{name: "Subject changed, which is not signed", mail: func(t testing.TB) string {
			return strings.Replace(signedFields(t, shop+usual+"\r\n"+body, few...), "Subject: Expense", "Subject: Urgent", 1)
		}, reason: "field-unsigned", delivery: accept},
		{name: "Subject added, which was not there", mail: func(t testing.TB) string {
			return "Subject: Urgent\r\n" + signedFields(t, shop+strings.Replace(usual, "Subject: Expense\r\n", "", 1)+"\r\n"+body, few...)
		}, reason: "field-unsigned", delivery: accept},
		{name: "To changed, which is not signed", mail: func(t testing.TB) string {
			return strings.Replace(signedFields(t, shop+usual+"\r\n"+body, "From", "Subject", "Date", "Content-Type", "Content-Transfer-Encoding"), "alice@", "bob@", 1)
		}, reason: "field-unsigned", delivery: accept, to: "bob@gmail.test"},
		{name: "Content-Type changed from plain text, which is not signed", mail: func(t testing.TB) string {
			raw := signedFields(t, shop+plain+"\r\n"+body, "From", "To", "Subject", "Date")
			return strings.Replace(raw, "text/plain", "text/html", 1)
		}, reason: "mime-unsigned", delivery: accept, dials: []string{"dkim.mime-fields", "withheld"}},
		{name: "Content-Type added, which was not there", mail: func(t testing.TB) string {
			bare := strings.Replace(usual, "Content-Type: text/html; charset=utf-8\r\n", "", 1)
			return "Content-Type: text/html\r\n" + signedFields(t, shop+bare+"\r\n"+body, "From", "To", "Subject", "Date")
		}, reason: "mime-unsigned", delivery: accept, dials: []string{"dkim.mime-fields", "withheld"}},
		{name: "base64 added to a body that is not signed as such", mail: func(t testing.TB) string {
			return "Content-Transfer-Encoding: base64\r\n" + signedFields(t, shop+usual+"\r\n"+body, "From", "To", "Subject", "Content-Type")
		}, reason: "field-unsigned", delivery: accept, bare: true},
		{name: "quoted-printable added", mail: onTop("Content-Transfer-Encoding: (x) QUOTED-printable\r\n"), reason: "mime-unsigned", delivery: accept},
		{name: "List-Unsubscribe added", mail: func(t testing.TB) string {
			return "List-Unsubscribe: <https://evil.example/u>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" +
				signedFields(t, shop+usual+"\r\n<p>Hello</p>\r\n", "From", "To", "Subject", "Date", "Content-Type")
		}, reason: "field-unsigned", delivery: accept, bare: true},
		{name: "List-Unsubscribe added, and signed by Mallory", mail: func(t testing.TB) string {
			mail := signedFields(t, shop+usual+"\r\n<p>Hello</p>\r\n", "From", "To", "Subject", "Date", "Content-Type", "Content-Transfer-Encoding")
			return signAs(t, "List-Unsubscribe: <https://evil.example/u>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"+mail, "evil.example", nil)
		}, reason: "added-by-others", delivery: accept, bare: true},
		{name: "one signature of the fields, another one of the body", mail: func(t testing.TB) string {
			other := signedFields(t, shop+strings.Replace(usual, "alice@", "mallory@", 1)+"\r\n"+body, "From", "Content-Type", "Content-Transfer-Encoding")
			signature, _, _ := strings.Cut(other, "From: Shop")
			return signature + signLength(t, shop+usual, "Hello\r\n", 0, "") + body
		}, reason: "field-unsigned", delivery: accept},
		{name: "l=0, another body", mail: func(t testing.TB) string {
			return signLength(t, shop+usual, "Hello\r\n", 0, "") + button(evilURL)
		}, reason: "body-unsigned", delivery: accept},
		{name: "l=0 over an empty body", mail: func(t testing.TB) string {
			return signLength(t, shop+usual, "", 0, "") + button(evilURL)
		}, reason: "body-unsigned", delivery: accept},
		{name: "l=, HTML appended that hides the rest", mail: func(t testing.TB) string {
			body := "<div class=a>Hello</div>\r\n"
			return signLength(t, shop+usual, body, len(body), "") + body + "<style>.a{display:none}</style>" + button(evilURL)
		}, reason: "body-uncovered", delivery: accept},
		{name: "l= within the markup", mail: func(t testing.TB) string {
			n := strings.Index(body, "shop.example")
			return signLength(t, shop+usual, body, n, "") + strings.Replace(body, "shop.example", "evil.example", 1)
		}, reason: "body-uncovered", delivery: accept},
		{name: "l= and x= in the past", mail: func(t testing.TB) string {
			return signLength(t, shop+usual, body, len(body), "t=1000; x=2000; ") + body
		}, reason: "unaligned", delivery: policy.Reject},
	}
}
