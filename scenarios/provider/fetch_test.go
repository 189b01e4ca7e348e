package provider_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/receiver/popfetch"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// old is the address elsewhere that alice fetches from.
const old = "old@isp.example"

// newFetching returns a provider where alice fetches from old.
func newFetching(t testing.TB, o provider.Options) *provider.Provider {
	t.Helper()
	p := newSealing(t, o)
	configure(t, p, alice, provider.Settings{POPFrom: []string{"Old@ISP.example"}})
	return p
}

func setSource(t testing.TB, p *provider.Provider, s provider.POPSource) {
	t.Helper()
	if err := p.SetPOPSource(s); err != nil {
		t.Fatal(err)
	}
}

func addRemote(t testing.TB, p *provider.Provider, mails ...[]byte) {
	t.Helper()
	for _, raw := range mails {
		if err := p.AddRemoteMail(old, raw); err != nil {
			t.Fatal(err)
		}
	}
}

// numbered is the nth mail in a mailbox elsewhere.
func numbered(n string) []byte {
	return []byte("From: Bob <bob@corp.example>\r\nSubject: " + n + "\r\nDate: Thu, 15 Jan 2026 09:00:00 +0000\r\nMessage-ID: <" + n + "@corp.example>\r\n\r\n.\r\n..dots\r\n")
}

// subjects lists the subjects of an account's messages.
func subjects(t testing.TB, p *provider.Provider, account string) string {
	t.Helper()
	var list []string
	for _, m := range messages(t, p, mailbox.Query{Account: account}) {
		list = append(list, m.Evidence.Header.Subject)
	}
	return strings.Join(list, " ")
}

// A message that was fetched is judged as one, has the fetch as its evidence,
// and is kept byte for byte.
func TestFetch(t *testing.T) {
	t.Parallel()
	var told []mailbox.Message
	p := newFetching(t, provider.Options{OnMessage: func(m mailbox.Message) { told = append(told, m) }})
	raw := sign(t, p, approval(serviceURL))
	addRemote(t, p, raw)
	got, err := p.Fetch(t.Context(), "ALICE@gmail.test", "OLD@isp.example")
	if err != nil || !got.LoggedIn || got.Listed != 1 || got.Fetched != 1 || got.Known != 0 || got.Deleted != 0 || len(got.Problems) > 0 || len(got.Messages) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	m := messages(t, p, mailbox.Query{Account: alice})[0]
	if len(told) != 1 || told[0].ID != m.ID || told[0].Seq != m.Seq || got.Messages[0].ID != m.ID || !bytes.Equal(m.Raw, raw) {
		t.Errorf("told of %d messages; raw is\n%s", len(told), m.Raw)
	}
	a := m.Evidence.Arrival
	f := a.Fetch
	if f == nil || a.Peer.IsValid() || a.Socket.IsValid() || a.HELO != "" || a.MailFrom != "" || a.Channel != policy.ChannelPOP || a.Rcpt != alice {
		t.Fatalf("arrival is %+v", a)
	}
	if want := (policy.Fetch{Source: old, Host: "pop.isp.example", Port: 995, Login: old, TLS: "TLS1_3", UID: f.UID}); *f != want || f.UID == "" {
		t.Errorf("fetch is %+v", *f)
	}
	if m.Evidence.Access.Pattern != policy.PatternPOPFetch || m.Evidence.Access.Confidence != policy.ConfidenceProven || m.Verdict.Actions[0].Answer != policy.Offered {
		t.Errorf("%s\n%s", m.Evidence.Access.Pattern, m.Verdict.Text())
	}
	if r := m.Verdict.Reply; r.Code != 0 || r.Enhanced != "" || len(r.Lines) > 0 || len(m.Reply) > 0 || m.Refused {
		t.Errorf("there is nobody to reply to: %+v, %q", r, m.Reply)
	}
	if auth := m.Evidence.Auth; auth.SPF.Result == policy.AuthPass || auth.ReverseDNS.Result == policy.AuthPass {
		t.Errorf("without a peer SPF is %s and reverse DNS %s", auth.SPF.Result, auth.ReverseDNS.Result)
	}
	if block := stored(t, p, m); !bytes.Contains(block, []byte("X-Gmail-Fetch-Info: old@isp.example 1 pop.isp.example 995 old@isp.example\r\n")) || !bytes.HasSuffix(block, raw) {
		t.Errorf("stored as\n%s", block)
	}
}

// Nothing is fetched twice: not by the clock, not after the settings changed,
// not when the message has been forgotten here.
func TestFetchOnce(t *testing.T) {
	t.Parallel()
	p := newFetching(t, provider.Options{Store: mailbox.NewMemory(mailbox.Limits{Messages: 1})})
	addRemote(t, p, numbered("1"), numbered("2"), numbered("3"))
	advance(t, p, time.Hour)
	if got := subjects(t, p, alice); got != "3" {
		t.Errorf("there is %q", got)
	}
	if n, err := p.Store().Evicted(t.Context(), p.WorldName()); err != nil || n != 2 {
		t.Errorf("%d were forgotten, %v", n, err)
	}
	setSource(t, p, provider.POPSource{Source: popfetch.Source{Address: old, Keep: true, TLS: popfetch.TLSNone}})
	got, err := p.Fetch(t.Context(), alice, old)
	if err != nil || got.Listed != 3 || got.Known != 3 || got.Fetched != 0 {
		t.Errorf("%+v, %v", got.Result, err)
	}
	addRemote(t, p, numbered("3")) // The same octets again are another message.
	if got, err := p.Fetch(t.Context(), alice, old); err != nil || got.Known != 3 || got.Fetched != 1 {
		t.Errorf("%+v, %v", got.Result, err)
	}
	if seq, err := p.Store().LastSeq(t.Context(), p.WorldName()); err != nil || seq != 4 {
		t.Errorf("%d messages were stored, %v", seq, err)
	}
}

// Two accounts that fetch from one mailbox each get all of it.
func TestFetchIntoTwo(t *testing.T) {
	t.Parallel()
	p := newFetching(t, provider.Options{})
	configure(t, p, bob, provider.Settings{POPFrom: []string{old}})
	addRemote(t, p, numbered("1"), numbered("2"))
	advance(t, p, 10*time.Minute)
	if a, b := subjects(t, p, alice), subjects(t, p, bob); a != "1 2" || b != "1 2" {
		t.Errorf("alice has %q, bob %q", a, b)
	}
}

// Fetches fall due by the clock: a fetch that brings mail halves the time to
// the next, another one makes it half as long again, within the bounds.
func TestFetchSchedule(t *testing.T) {
	t.Parallel()
	tests := []struct {
		dial string
		mail []time.Duration // When it comes.
		want []string        // When it is fetched.
	}{
		// Fetched at 2m, 5m, 9m30s, 16m15s, 26m22.5s, 41m33.75s, then after an hour at most.
		{"", []time.Duration{0}, []string{"2m0s"}},
		{"", []time.Duration{2*time.Minute + time.Second}, []string{"5m0s"}},
		{"", []time.Duration{10 * time.Minute}, []string{"16m15s"}},
		{"", []time.Duration{10 * time.Minute, 17 * time.Minute}, []string{"16m15s", "19m37.5s"}},
		{"1m,1m", []time.Duration{0, 90 * time.Second, 5 * time.Minute}, []string{"1m0s", "2m0s", "6m0s"}},
		{"10m", []time.Duration{time.Minute, 25 * time.Minute}, []string{"10m0s", "30m0s"}},
		{"4m,8m", []time.Duration{5 * time.Minute, 11 * time.Minute}, []string{"10m0s", "14m0s"}},
	}
	for _, tt := range tests {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			p := newSealing(t, provider.Options{})
			if tt.dial != "" {
				setDial(t, p, policy.DialFetchInterval, tt.dial)
			}
			configure(t, p, alice, provider.Settings{POPFrom: []string{old}})
			configure(t, p, alice, provider.Settings{POPFrom: []string{old}}) // This adds no second schedule.
			for i, at := range tt.mail {
				advance(t, p, start().Add(at).Sub(p.Clock().Now())+time.Nanosecond)
				addRemote(t, p, numbered(string(rune('1'+i))))
			}
			advance(t, p, time.Hour)
			var got []string
			for _, m := range messages(t, p, mailbox.Query{}) {
				got = append(got, m.ReceivedAt.Sub(start()).String())
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("dial %q: fetched at %q, want %q", tt.dial, got, tt.want)
			}
		})
	}
}

// A dial counts from when it is set, also for accounts that were there before:
// in a world the dial may stand below the account.
func TestFetchIntervalSetLater(t *testing.T) {
	t.Parallel()
	p := newFetching(t, provider.Options{})
	setDial(t, p, policy.DialFetchInterval, "10m,10m")
	advance(t, p, 100*time.Minute)
	addRemote(t, p, numbered("1"))
	advance(t, p, 10*time.Minute)
	if got := subjects(t, p, alice); got != "1" {
		t.Errorf("ten minutes later there is %q", got)
	}
}

// A source that fails holds up neither the clock nor the next fetch, and
// nothing of it is lost.
func TestFetchFails(t *testing.T) {
	t.Parallel()
	p := newFetching(t, provider.Options{})
	addRemote(t, p, numbered("1"), numbered("2"), numbered("3"))
	setSource(t, p, provider.POPSource{Source: popfetch.Source{Address: old}, Fail: provider.RemoteFailDrop})
	got, err := p.Fetch(t.Context(), alice, old)
	if err == nil || !got.LoggedIn || got.Listed != 3 || got.Fetched != 1 || got.Deleted != 0 || len(got.Messages) != 1 {
		t.Fatalf("dropped: %+v, %v", got, err)
	}
	if list := messages(t, p, mailbox.Query{}); len(list) != 1 || !bytes.Equal(list[0].Raw, numbered("1")) {
		t.Errorf("half of a message is kept, or not all of the first: %q", subjects(t, p, alice))
	}
	setSource(t, p, provider.POPSource{Source: popfetch.Source{Address: old}, Fail: provider.RemoteFailLogin})
	got, err = p.Fetch(t.Context(), alice, old)
	if refused, ok := errors.AsType[*popfetch.LoginError](err); !ok || got.LoggedIn || got.Listed != 0 || strings.Contains(refused.Error(), "builtin") {
		t.Errorf("refused: %+v, %v", got, err)
	}
	advance(t, p, time.Hour)
	if got := subjects(t, p, alice); got != "1" {
		t.Errorf("fetched although every login fails: %q", got)
	}
	setSource(t, p, provider.POPSource{Source: popfetch.Source{Address: old}})
	advance(t, p, 2*time.Hour)
	if got := subjects(t, p, alice); got != "1 2 3" {
		t.Errorf("there are %q", got)
	}
	if got, err := p.Fetch(t.Context(), alice, old); err != nil || got.Listed != 0 {
		t.Errorf("what was stored is not deleted: %+v, %v", got.Result, err)
	}
}

// Only what is not to be kept is deleted there, also what is known already.
func TestFetchKeep(t *testing.T) {
	t.Parallel()
	p := newFetching(t, provider.Options{})
	addRemote(t, p, numbered("1"))
	steps := []struct {
		keep                            bool
		listed, known, fetched, deleted int
	}{
		{true, 1, 0, 1, 0}, {true, 1, 1, 0, 0}, {false, 1, 1, 0, 1}, {false, 0, 0, 0, 0}, {true, 0, 0, 0, 0},
	}
	for i, s := range steps {
		setSource(t, p, provider.POPSource{Source: popfetch.Source{Address: old, Keep: s.keep}})
		got, err := p.Fetch(t.Context(), alice, old)
		if err != nil || got.Listed != s.listed || got.Known != s.known || got.Fetched != s.fetched || got.Deleted != s.deleted {
			t.Errorf("step %d: %+v, %v", i, got.Result, err)
		}
	}
}

// What would have been refused by SMTP is filed where a dial says.
func TestFetchRefused(t *testing.T) {
	t.Parallel()
	for dial, want := range map[string]policy.Folder{"": policy.Spam, "spam": policy.Spam, "inbox": policy.Inbox} {
		p := newFetching(t, provider.Options{Enforce: true})
		if dial != "" {
			setDial(t, p, policy.DialFetchRefused, dial)
		}
		addRemote(t, p, note("")) // Its domain asks for the refusal of what is not signed.
		got, err := p.Fetch(t.Context(), alice, old)
		if err != nil || len(got.Messages) != 1 {
			t.Fatalf("%+v, %v", got, err)
		}
		if v := got.Messages[0].Verdict; v.Delivery != policy.Accept || v.Folder != want || v.Reply.Code != 0 || v.Decider == "" || got.Messages[0].Refused {
			t.Errorf("dial %q: %s, %s, reply %d, by %q", dial, v.Delivery, v.Folder, v.Reply.Code, v.Decider)
		}
	}
}

// What is fetched is forwarded as other mail is, with an envelope of its own:
// there was none.
func TestFetchForwards(t *testing.T) {
	t.Parallel()
	p := newFetching(t, provider.Options{})
	addSink(t, p, provider.Sink{Domain: "acme.test"})
	configure(t, p, alice, provider.Settings{Forward: "x@acme.test"})
	addRemote(t, p, sign(t, p, note("")))
	if _, err := p.Fetch(t.Context(), alice, old); err != nil {
		t.Fatal(err)
	}
	if o := onlyOutgoing(t, p); o.From != "alice+caf_=x=acme.test@gmail.test" || o.State != mailbox.OutgoingSent {
		t.Errorf("from %q: %s %s", o.From, o.State, o.Problem)
	}
}

// What there is no account or no source for is an error, and stores nothing.
func TestFetchErrors(t *testing.T) {
	t.Parallel()
	p := newFetching(t, provider.Options{})
	addRemote(t, p, numbered("1"))
	if _, err := p.Fetch(t.Context(), "nobody@gmail.test", old); err == nil || err.Error() != `there is no account "nobody@gmail.test"` {
		t.Errorf("got %v", err)
	}
	if _, err := p.Fetch(t.Context(), alice, "other@isp.example"); !errors.Is(err, provider.ErrNoSource) {
		t.Errorf("got %v", err)
	}
	if err := p.SetPOPSource(provider.POPSource{Source: popfetch.Source{Address: "nobody"}}); err == nil {
		t.Error("a source has no domain")
	}
	setSource(t, p, provider.POPSource{Source: popfetch.Source{Address: "away@isp.example"}, Addr: "127.0.0.1:1"})
	if err := p.AddRemoteMail("away@isp.example", numbered("2")); err == nil {
		t.Error("mail is put into a mailbox that is elsewhere")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Fetch(ctx, alice, old); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if got := subjects(t, p, alice); got != "" {
		t.Errorf("there is %q", got)
	}
}
