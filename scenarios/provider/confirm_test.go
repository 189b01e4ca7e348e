package provider_test

import (
	"bytes"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// codeIn reads the code from a mail, as its reader does.
func codeIn(t *testing.T, raw []byte) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^Confirmation code: ([0-9]{9})\r$`).FindSubmatch(raw)
	if found == nil {
		t.Fatalf("there is no code in\n%s", raw)
	}
	return string(found[1])
}

// request asks that alice may send as an address, and returns the code that was
// sent there.
func request(t *testing.T, p *provider.Provider, address string) string {
	t.Helper()
	o, err := p.RequestSendAs(t.Context(), alice, address)
	if err != nil {
		t.Fatal(err)
	}
	if o.State != mailbox.OutgoingSent {
		t.Fatalf("the mail is %s: %s %s", o.State, o.Reply, o.Problem)
	}
	return codeIn(t, o.Raw)
}

// sendAs writes the addresses that alice wants to send as.
func sendAs(p *provider.Provider) []string {
	var list []string
	for _, a := range p.Mailboxes() {
		for _, s := range a.SendAs {
			state := "pending"
			if s.Verified {
				state = "accepted"
			}
			list = append(list, a.Address+" as "+s.Address+" "+state)
		}
	}
	return list
}

func confirms(p *provider.Provider, address, code, want string) string {
	err := p.ConfirmSendAs(alice, address, code)
	switch {
	case want == "" && err == nil:
	case err == nil:
		return "it is taken"
	case want == "" || !strings.Contains(err.Error(), want):
		return err.Error()
	}
	return ""
}

// The code goes to the address by mail, and proves that it has been read there.
func TestConfirm(t *testing.T) {
	t.Parallel()
	p, _ := newPair(t, provider.Options{})
	o, err := p.RequestSendAs(t.Context(), "Alice@GMAIL.test", "Carol@Other.TEST")
	if err != nil {
		t.Fatal(err)
	}
	if o.Kind != mailbox.OutgoingConfirmation || o.Account != alice || o.To != carol || o.From != "noreply@gmail.test" || o.MessageID != "" || o.State != mailbox.OutgoingSent {
		t.Errorf("got %+v", o)
	}
	if got := sendAs(p); !slices.Equal(got, []string{"alice@gmail.test as carol@other.test pending"}) {
		t.Errorf("before: %q", got)
	}
	list := messages(t, p, mailbox.Query{Account: carol})
	if len(list) != 1 {
		t.Fatalf("%d mails came", len(list))
	}
	auth := list[0].Evidence.Auth
	if auth.SPF.Result != policy.AuthPass || len(auth.DKIM) != 1 || auth.DKIM[0].Result != policy.AuthPass || auth.DKIM[0].Domain != "gmail.test" {
		t.Errorf("SPF %s, DKIM %+v", auth.SPF.Result, auth.DKIM)
	}
	code := codeIn(t, list[0].Raw)
	if subject := list[0].Evidence.Header.Subject; subject != "(#"+code+") Confirmation: send mail as "+carol {
		t.Errorf("subject is %q", subject)
	}
	if err := p.ConfirmSendAs("ALICE@gmail.test", "CAROL@other.test", code); err != nil {
		t.Error(err)
	}
	if got := sendAs(p); !slices.Equal(got, []string{"alice@gmail.test as carol@other.test accepted"}) {
		t.Errorf("afterwards: %q", got)
	}
	if got := confirms(p, carol, code, "no confirmation is under way"); got != "" {
		t.Errorf("again: %s", got)
	}
}

// What a code is not good for.
func TestConfirmRefused(t *testing.T) {
	t.Parallel()
	const week = 7 * 24 * time.Hour
	wrong := func(code string) string {
		if code[0] == '9' {
			return "0" + code[1:]
		}
		return string(code[0]+1) + code[1:]
	}
	tests := []struct {
		name string
		do   func(t *testing.T, p *provider.Provider, code string) string
	}{
		{"in time", func(t *testing.T, p *provider.Provider, code string) string {
			advance(t, p, week-time.Second)
			return confirms(p, carol, code, "")
		}},
		{"expired", func(t *testing.T, p *provider.Provider, code string) string {
			advance(t, p, week)
			return confirms(p, carol, code, "the code has expired")
		}},
		{"wrong", func(_ *testing.T, p *provider.Provider, code string) string {
			return confirms(p, carol, wrong(code), "the code is another one")
		}},
		{"empty", func(_ *testing.T, p *provider.Provider, _ string) string {
			return confirms(p, carol, "", "the code is another one")
		}},
		{"with blanks", func(_ *testing.T, p *provider.Provider, code string) string {
			return confirms(p, carol, code+" ", "the code is another one")
		}},
		{"four wrong", func(_ *testing.T, p *provider.Provider, code string) string {
			for range 4 {
				if got := confirms(p, carol, wrong(code), "the code is another one"); got != "" {
					return got
				}
			}
			return confirms(p, carol, code, "")
		}},
		{"five wrong", func(t *testing.T, p *provider.Provider, code string) string {
			for range 5 {
				if got := confirms(p, carol, wrong(code), "the code is another one"); got != "" {
					return got
				}
			}
			if got := confirms(p, carol, code, "too many wrong codes"); got != "" {
				return got
			}
			return confirms(p, carol, request(t, p, carol), "") // Another code has tries of its own.
		}},
		{"replaced", func(t *testing.T, p *provider.Provider, code string) string {
			next := request(t, p, carol)
			if next != code { // One in a thousand million.
				if got := confirms(p, carol, code, "the code is another one"); got != "" {
					return got
				}
			}
			return confirms(p, carol, next, "")
		}},
		{"of another address", func(_ *testing.T, p *provider.Provider, code string) string {
			return confirms(p, "dave@other.test", code, "no confirmation is under way")
		}},
		{"of another account", func(_ *testing.T, p *provider.Provider, code string) string {
			if err := p.ConfirmSendAs(bob, carol, code); err == nil || !strings.Contains(err.Error(), "no confirmation is under way") {
				return "another account may use it"
			}
			return confirms(p, carol, code, "")
		}},
		{"of no account", func(_ *testing.T, p *provider.Provider, code string) string {
			if err := p.ConfirmSendAs("nobody@gmail.test", carol, code); err == nil || err.Error() != `there is no account "nobody@gmail.test"` {
				return "nobody may use it"
			}
			return ""
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, _ := newPair(t, provider.Options{})
			if err := p.AddAccount(bob); err != nil {
				t.Fatal(err)
			}
			if got := tt.do(t, p, request(t, p, carol)); got != "" {
				t.Error(got)
			}
			verified := slices.Contains(sendAs(p), "alice@gmail.test as carol@other.test accepted")
			// Only those that end with a code that was taken have confirmed.
			want := slices.Contains([]string{"in time", "four wrong", "five wrong", "replaced", "of another account"}, tt.name)
			if verified != want || slices.Contains(sendAs(p), "bob@gmail.test as carol@other.test accepted") {
				t.Errorf("afterwards: %q", sendAs(p))
			}
		})
	}
}

// To ask for what has been confirmed takes nothing away.
func TestConfirmedStays(t *testing.T) {
	t.Parallel()
	p, _ := newPair(t, provider.Options{})
	configure(t, p, alice, provider.Settings{SendAs: []string{carol}})
	request(t, p, carol)
	if got := sendAs(p); !slices.Equal(got, []string{"alice@gmail.test as carol@other.test accepted"}) {
		t.Errorf("got %q", got)
	}
}

// A request that leads nowhere says so.
func TestRequestSendAsErrors(t *testing.T) {
	t.Parallel()
	p := newSealing(t, provider.Options{})
	if _, err := p.RequestSendAs(t.Context(), "nobody@gmail.test", carol); err == nil || err.Error() != `there is no account "nobody@gmail.test"` {
		t.Errorf("got %v", err)
	}
	o, err := p.RequestSendAs(t.Context(), alice, carol)
	if err != nil || o.State != mailbox.OutgoingWithheld || !strings.HasPrefix(o.Problem, "host-not-routed: ") {
		t.Errorf("%s, %s, %v", o.State, o.Problem, err)
	}
	if n := len(outgoing(t, p)); n != 1 {
		t.Errorf("%d mails", n)
	}
}

// What is no address is refused before anything is made of it: it would stand
// in the header of the mail.
func TestRequestSendAsAddress(t *testing.T) {
	t.Parallel()
	p := newSealing(t, provider.Options{})
	addSink(t, p, provider.Sink{Domain: "acme.test"})
	for _, address := range []string{"", "nobody", "@acme.test", "x@acme.test\r\nBcc: y@acme.test", "x\r\nBcc: y@acme.test", "a b@acme.test"} {
		if _, err := p.RequestSendAs(t.Context(), alice, address); err == nil {
			t.Errorf("%q may be confirmed", address)
		}
	}
	for _, o := range outgoing(t, p) {
		if bytes.Contains(o.Raw, []byte("\nBcc:")) {
			t.Errorf("a mail has the header\n%s", o.Raw[:bytes.Index(o.Raw, []byte("\r\n\r\n"))])
		}
	}
}

// The code stands in the mail alone: in no log, and in no answer on the wire.
func TestCodeIsNotTold(t *testing.T) {
	t.Parallel()
	var book logBook
	p, _ := newPair(t, provider.Options{Logger: book.logger()})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	l.Close()
	sinks := []provider.Sink{{Domain: "a.test"}, {Domain: "b.test", Code: 550}, {Domain: "c.test", Code: 450}, {Domain: "d.test", Addr: closed}}
	for _, s := range sinks {
		addSink(t, p, s)
	}
	for _, domain := range []string{"a.test", "b.test", "c.test", "d.test", "e.test", "other.test"} {
		if _, err := p.RequestSendAs(t.Context(), alice, "carol@"+domain); err != nil {
			t.Fatal(err)
		}
	}
	advance(t, p, 24*time.Hour)
	var codes []string
	for _, o := range outgoing(t, p) {
		code := codeIn(t, o.Raw)
		codes = append(codes, code)
		for _, text := range []string{o.Reply, o.Problem, o.Via, o.ID, o.From, o.To} {
			if strings.Contains(text, code) {
				t.Errorf("the code of %s is in %q", o.To, text)
			}
		}
		if err := p.ConfirmSendAs(alice, o.To, "0000000000"); err == nil || strings.Contains(err.Error(), code) {
			t.Errorf("got %v", err)
		}
	}
	for _, code := range codes {
		if strings.Contains(book.String(), code) {
			t.Errorf("the log has the code %s:\n%s", code, book.String())
		}
	}
	slices.Sort(codes)
	if len(slices.Compact(codes)) != 6 {
		t.Errorf("codes are %q", codes)
	}
}
