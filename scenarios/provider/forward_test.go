package provider_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/dnszone"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// states writes outgoing mails as "FROM>TO STATE".
func states(list []mailbox.Outgoing) []string {
	var out []string
	for _, o := range list {
		out = append(out, o.Account+">"+o.To+" "+string(o.State))
	}
	return out
}

// Accounts that forward to each other do so once.
func TestForwardLoop(t *testing.T) {
	t.Parallel()
	t.Run("two", func(t *testing.T) {
		t.Parallel()
		p, other := newPair(t, provider.Options{})
		configure(t, p, alice, provider.Settings{Forward: carol})
		configure(t, other, carol, provider.Settings{Forward: alice})
		delivered(t, p, sign(t, p, note("")))
		list := outgoing(t, p)
		if got := states(list); !slices.Equal(got, []string{"alice@gmail.test>carol@other.test sent", "carol@other.test>alice@gmail.test withheld"}) {
			t.Fatalf("got %q", got)
		}
		if list[1].Attempts != 0 || !strings.Contains(list[1].Problem, "before") {
			t.Errorf("%d attempts, problem %q", list[1].Attempts, list[1].Problem)
		}
		if n := len(messages(t, p, mailbox.Query{})); n != 2 {
			t.Errorf("%d messages", n)
		}
	})
	t.Run("three", func(t *testing.T) {
		t.Parallel()
		p, other := newPair(t, provider.Options{})
		configure(t, p, alice, provider.Settings{Forward: bob})
		configure(t, p, bob, provider.Settings{Forward: carol})
		configure(t, other, carol, provider.Settings{Forward: alice})
		delivered(t, p, sign(t, p, note("")))
		if got := states(outgoing(t, p)); !slices.Equal(got, []string{
			"alice@gmail.test>bob@gmail.test sent", "bob@gmail.test>carol@other.test sent", "carol@other.test>alice@gmail.test withheld",
		}) {
			t.Errorf("got %q", got)
		}
		last := messages(t, p, mailbox.Query{Account: carol})
		if len(last) != 1 {
			t.Fatalf("%d messages came to the end", len(last))
		}
		if arc := last[0].Evidence.Auth.ARC; arc.Result != policy.AuthPass || len(arc.Sets) != 4 {
			t.Errorf("the chain is %s with %d sets: %s", arc.Result, len(arc.Sets), arc.Problem)
		}
		if dkim := last[0].Evidence.Auth.DKIM; len(dkim) != 1 || dkim[0].Result != policy.AuthPass {
			t.Errorf("the author's signature is %+v", dkim)
		}
	})
}

// A mail that says that it has been here, or there, is not forwarded again; one
// that has merely been forwarded is.
func TestForwardMarked(t *testing.T) {
	t.Parallel()
	tests := []struct {
		fields string
		want   mailbox.OutgoingState
	}{
		{"", mailbox.OutgoingSent},
		{"X-Forwarded-For: alice@gmail.test x@acme.test\r\n", mailbox.OutgoingWithheld},
		{"x-forwarded-for: ALICE@Gmail.Test y@else.test\r\n", mailbox.OutgoingWithheld},
		{"X-Forwarded-For:\r\n alice@gmail.test\r\n x@acme.test\r\n", mailbox.OutgoingWithheld},
		{"X-Forwarded-For: z@else.test alice@gmail.test\r\nX-Forwarded-For: alice@gmail.test z@else.test\r\n", mailbox.OutgoingWithheld},
		{"X-Forwarded-For: z@else.test alice@gmail.test\r\nX-Forwarded-To: alice@gmail.test\r\n", mailbox.OutgoingSent},
		{"Delivered-To: alice@gmail.test\r\n", mailbox.OutgoingWithheld},
		{"Delivered-To: Alice@GMAIL.test\r\n", mailbox.OutgoingWithheld},
		{"Delivered-To: x@acme.test\r\n", mailbox.OutgoingWithheld},
		{"Delivered-To: z@else.test\r\nDelivered-To: y@else.test\r\n", mailbox.OutgoingSent},
		{"Resent-From: alice@gmail.test\r\n", mailbox.OutgoingSent},
	}
	for _, tt := range tests {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			p := newSealing(t, provider.Options{})
			addSink(t, p, provider.Sink{Domain: "acme.test"})
			configure(t, p, alice, provider.Settings{Forward: "x@acme.test"})
			delivered(t, p, note(tt.fields))
			if o := onlyOutgoing(t, p); o.State != tt.want || (o.Attempts == 0) != (tt.want == mailbox.OutgoingWithheld) {
				t.Errorf("%q: %s after %d attempts, %s", tt.fields, o.State, o.Attempts, o.Problem)
			}
		})
	}
}

// An account does not forward to itself, however its address is written: what
// follows a "+" is the same mailbox.
func TestForwardToSelf(t *testing.T) {
	t.Parallel()
	p := newSealing(t, provider.Options{})
	for _, to := range []string{alice, "ALICE@gmail.TEST", "alice+copy@gmail.test"} {
		if err := p.Configure(alice, provider.Settings{Forward: to}); err == nil {
			t.Errorf("it forwards to %s", to)
		}
	}
}

// Spam is forwarded only if a dial says so, and what was or would have been
// refused never is.
func TestForwardByVerdict(t *testing.T) {
	t.Parallel()
	// From has a domain that asks for what DMARC fails to be put aside, or to be
	// refused.
	spam := bytes.Replace(note(""), []byte("noreply@shop.example"), []byte("noreply@bank.example"), 1)
	tests := []struct {
		name    string
		raw     []byte
		enforce bool
		dial    string
		want    []string
	}{
		{"good", note(""), true, "", []string{"alice@gmail.test>x@acme.test sent"}},
		{"spam", spam, false, "", []string{"alice@gmail.test>x@acme.test withheld"}},
		{"spam, enforced", spam, true, "", []string{"alice@gmail.test>x@acme.test withheld"}},
		{"spam, forwarded", spam, false, "yes", []string{"alice@gmail.test>x@acme.test sent"}},
		{"rejected", nil, false, "yes", []string{"alice@gmail.test>x@acme.test withheld"}},
		{"refused", nil, true, "yes", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newSealing(t, provider.Options{Enforce: tt.enforce})
			if errs := p.Zone().Load("zone", `_dmarc.bank.example. TXT "v=DMARC1; p=quarantine"`+"\n"); len(errs) > 0 {
				t.Fatal(errs)
			}
			addSink(t, p, provider.Sink{Domain: "acme.test"})
			configure(t, p, alice, provider.Settings{Forward: "x@acme.test"})
			if tt.dial != "" {
				setDial(t, p, policy.DialForwardSpam, tt.dial)
			}
			peer, raw := senderPeer, tt.raw
			if raw == nil {
				peer, raw = "198.51.100.7", note("")
			}
			d := deliverFrom(t, p, peer, "bounce@shop.example", raw, alice)
			if got := states(outgoing(t, p)); !slices.Equal(got, tt.want) {
				t.Errorf("%s (%s, %s): %q", d.Reply, d.Messages[0].Verdict.Delivery, d.Messages[0].Verdict.Folder, got)
			}
		})
	}
}

// The null reverse-path stays null (RFC 5321 4.5.5): a bounce of a bounce would
// go round.
func TestForwardNullReversePath(t *testing.T) {
	t.Parallel()
	p, _ := newPair(t, provider.Options{})
	configure(t, p, alice, provider.Settings{Forward: carol})
	deliverFrom(t, p, senderPeer, "", sign(t, p, note("")), alice)
	if o := onlyOutgoing(t, p); o.From != "" || o.State != mailbox.OutgoingSent {
		t.Errorf("from %q: %s %s", o.From, o.State, o.Problem)
	}
	list := messages(t, p, mailbox.Query{Account: carol})
	if len(list) != 1 || list[0].Evidence.Arrival.MailFrom != "" {
		t.Fatalf("got %+v", list)
	}
	if auth := list[0].Evidence.Auth; auth.SPF.Identity != "helo" || !bytes.Contains(stored(t, p, list[0]), []byte("Return-Path: <>\r\n")) {
		t.Errorf("SPF is of %s %s", auth.SPF.Identity, auth.SPF.Domain)
	}
}

// Each account forwards for itself, and one mail to it once.
func TestForwardAccounts(t *testing.T) {
	t.Parallel()
	p, _ := newPair(t, provider.Options{})
	addSink(t, p, provider.Sink{Domain: "acme.test"})
	configure(t, p, alice, provider.Settings{Forward: "x@acme.test"})
	configure(t, p, bob, provider.Settings{Forward: carol})
	if err := p.AddAccount("zoe@gmail.test"); err != nil {
		t.Fatal(err)
	}
	d := deliver(t, p, note(""), alice, "bob+1@gmail.test", "zoe@gmail.test", "alice+2@gmail.test", "postmaster@gmail.test", bob)
	if len(d.Messages) != 4 {
		t.Errorf("%d messages: %s", len(d.Messages), d.Reply)
	}
	list := outgoing(t, p)
	if got := states(list); !slices.Equal(got, []string{"alice@gmail.test>x@acme.test sent", "bob@gmail.test>carol@other.test sent"}) {
		t.Fatalf("got %q", got)
	}
	for _, o := range list {
		i := slices.IndexFunc(d.Messages, func(m mailbox.Message) bool { return m.ID == o.MessageID })
		if i < 0 || d.Messages[i].Account != o.Account || !bytes.HasSuffix(o.Raw, stored(t, p, d.Messages[i])) {
			t.Errorf("%s has another message than %s", o.ID, o.MessageID)
		}
	}
}

// A chain that nobody can extend holds no forward up.
func TestForwardBrokenChain(t *testing.T) {
	t.Parallel()
	const set = "ARC-Seal: i=%; a=rsa-sha256; cv=!; d=x.example; s=s; b=AAAA\r\n" +
		"ARC-Message-Signature: i=%; a=rsa-sha256; c=relaxed/relaxed; d=x.example; s=s; h=from; bh=AAAA; b=AAAA\r\n" +
		"ARC-Authentication-Results: i=%; mx.x.example; none\r\n"
	fields := func(i, cv string) string { return strings.NewReplacer("%", i, "!", cv).Replace(set) }
	for name, chain := range map[string]string{
		"forged":    fields("1", "none"),
		"failed":    fields("2", "fail") + fields("1", "none"),
		"gap":       fields("3", "pass"),
		"no number": "ARC-Seal: x\r\n",
		"twice":     fields("1", "none") + fields("1", "none"),
		"full":      fields("50", "pass"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newSealing(t, provider.Options{})
			addSink(t, p, provider.Sink{Domain: "acme.test"})
			configure(t, p, alice, provider.Settings{Forward: "x@acme.test"})
			m := delivered(t, p, note(chain))
			o := onlyOutgoing(t, p)
			if o.State != mailbox.OutgoingSent || !bytes.HasSuffix(o.Raw, stored(t, p, m)) || !bytes.HasSuffix(o.Raw, m.Raw) {
				t.Errorf("%s: %s", o.State, o.Problem)
			}
			if arc := authenticate(t, p, policy.Arrival{}, o.Raw).ARC; arc.Result != policy.AuthFail {
				t.Errorf("the chain is %s", arc.Result)
			}
		})
	}
}

// The provider authenticates what it sends, by a record of its own only if the
// zone has none: two would be an error (RFC 7208 4.5).
func TestSenderRecord(t *testing.T) {
	t.Parallel()
	const own = "v=spf1 ip4:198.18.0.1 ~all"
	tests := []struct {
		name string
		zone string
		want []string
		spf  policy.AuthResult
	}{
		{"none", "", []string{own}, policy.AuthPass},
		{"other text", `gmail.test. TXT "verification=1"`, []string{"verification=1", own}, policy.AuthPass},
		{"allows", `gmail.test. TXT "v=spf1 ip4:198.18.0.0/15 -all"`, []string{"v=spf1 ip4:198.18.0.0/15 -all"}, policy.AuthPass},
		{"forbids", `gmail.test. TXT "v=spf1 -all"`, []string{"v=spf1 -all"}, policy.AuthFail},
		{"bare", `gmail.test. TXT "v=spf1"`, []string{"v=spf1"}, policy.AuthNeutral},
		// The version is a literal of ABNF, whose case does not matter.
		{"capitals", `gmail.test. TXT "V=SPF1 ip4:198.18.0.1 -all"`, []string{"V=SPF1 ip4:198.18.0.1 -all"}, policy.AuthPass},
		// This is none: the version ends with a space or the record.
		{"another version", `gmail.test. TXT "v=spf10 -all"`, []string{"v=spf10 -all", own}, policy.AuthPass},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, _ := newPair(t, provider.Options{})
			if errs := p.Zone().Load("zone", tt.zone+"\n"); len(errs) > 0 {
				t.Fatal(errs)
			}
			configure(t, p, alice, provider.Settings{Forward: carol})
			for range 2 { // The record is not doubled, either.
				delivered(t, p, sign(t, p, note("")))
			}
			got, err := dnszone.NewResolver(p.Zone(), dnszone.Options{}).LookupTXT(context.Background(), "gmail.test")
			slices.Sort(got)
			slices.Sort(tt.want)
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("records are %q, %v", got, err)
			}
			for _, m := range messages(t, p, mailbox.Query{Account: carol}) {
				if m.Evidence.Auth.SPF.Result != tt.spf {
					t.Errorf("SPF is %s: %s", m.Evidence.Auth.SPF.Result, m.Evidence.Auth.SPF.Problem)
				}
			}
			if n := len(messages(t, p, mailbox.Query{Account: carol, Refused: true})); n != 2 {
				t.Errorf("%d messages came", n)
			}
		})
	}
}

// What is no address is refused as a target: it would stand in the header of
// every forward.
func TestForwardAddress(t *testing.T) {
	t.Parallel()
	p := newSealing(t, provider.Options{})
	for _, to := range []string{"nobody", "@acme.test", "x@", "a b@acme.test", "x@acme.test\r\nBcc: y@acme.test"} {
		if err := p.Configure(alice, provider.Settings{Forward: to}); err == nil {
			t.Errorf("it forwards to %q", to)
		}
	}
}
