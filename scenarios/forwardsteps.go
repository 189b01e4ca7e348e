package scenarios

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailauth"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/receiver/popfetch"
	"github.com/doppelbox/doppelbox/scenarios/forwarding"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// srsSecret signs the envelopes of forwarders that rewrite them. Nobody has to
// keep it.
const srsSecret = "doppelbox"

func (r *Runner) forward(ctx context.Context, s Step) error {
	raw, err := r.mail(s, s.Words[0])
	if err != nil {
		return err
	}
	by, _ := s.Get("by")
	to, _ := s.Get("to")
	o := forwarding.ManualOptions{By: by, To: to, Time: r.p.Clock().Now()}
	style, _ := s.Get("style")
	as, _ := s.Get("as")
	markup, _ := s.Get("markup")
	o.Style, o.As, o.Markup = forwarding.Style(style), forwarding.As(as), forwarding.Markup(markup)
	o.Language, _ = s.Get("language")
	o.Note, _ = s.Get("note")
	made, err := forwarding.Manual(raw, o)
	if err != nil {
		return fmt.Errorf("forwarding %q: %w", s.Words[0].Text, err)
	}
	from, ok := s.Get("from")
	if !ok {
		from = by
	}
	return r.pass(ctx, s, strings.Trim(from, "<>"), made)
}

func (r *Runner) autoforward(ctx context.Context, s Step) error {
	raw, err := r.mail(s, s.Words[0])
	if err != nil {
		return err
	}
	by, _ := s.Get("by")
	style, _ := s.Get("style")
	fault, _ := s.Get("break")
	from, _ := s.Get("from")
	_, domain, _ := strings.Cut(by, "@")
	to, _ := s.Get("to")
	made, err := forwarding.Auto(raw, forwarding.AutoOptions{
		Style: policy.ForwardStyle(style), Original: by, To: to, MailFrom: strings.Trim(from, "<>"), Host: "mx." + domain,
		Peer: netip.MustParseAddr(defaultPeer), Time: r.p.Clock().Now(), Secret: srsSecret, Break: forwarding.Break(fault),
	})
	if err != nil {
		return fmt.Errorf("forwarding %q: %w", s.Words[0].Text, err)
	}
	return r.pass(ctx, s, made.MailFrom, made.Raw)
}

// pass signs what a step has made, if it says so, and delivers it.
func (r *Runner) pass(ctx context.Context, s Step, from string, raw []byte) error {
	if domain, ok := s.Get("d"); ok {
		selector, _ := s.Get("s")
		key, err := TestKey("")
		if err != nil {
			return err
		}
		raw, err = mailauth.Sign(raw, mailauth.SignOptions{Domain: domain, Selector: selector, Key: key, Time: r.p.Clock().Now()})
		if err != nil {
			return fmt.Errorf("signing: %w", err)
		}
		if err := r.publish(domain, selector, key, ""); err != nil {
			return err
		}
	}
	return r.send(ctx, s, provider.Mail{From: from, To: s.List("to"), Raw: raw})
}

// fetch fetches mail by POP. What goes wrong there is what the step is about,
// and no error.
func (r *Runner) fetch(ctx context.Context, s Step) error {
	account := s.Words[0].Text
	from, _ := s.Get("from")
	for _, name := range s.List("mail") {
		raw, err := r.mail(s, Word{Text: name, Line: s.Line, Col: s.Col})
		if err != nil {
			return err
		}
		if err := r.p.AddRemoteMail(from, raw); err != nil {
			return err
		}
	}
	got, err := r.p.Fetch(ctx, account, from)
	if errors.Is(err, provider.ErrNoSource) || ctx.Err() != nil {
		return err
	}
	r.fetched, r.fetchErr = &got, err
	r.last = nil
	if n := len(got.Messages); n > 0 {
		stored, err := r.p.Store().Message(ctx, r.p.WorldName(), got.Messages[n-1].ID)
		if err != nil {
			return err
		}
		r.message = &stored
	}
	return nil
}

func (r *Runner) sink(s Step) error {
	sink := provider.Sink{Domain: s.Words[0].Text}
	sink.Addr, _ = s.Get("to")
	if code, ok := s.Get("code"); ok {
		n, err := strconv.Atoi(code)
		if err != nil {
			return err
		}
		sink.Code = n
	}
	if word, ok := s.Get("tls"); ok {
		sink.TLS = provider.SinkTLS(word)
	}
	return r.p.AddSink(sink)
}

func (r *Runner) popserver(s Step) error {
	source := provider.POPSource{Source: popfetch.Source{Address: s.Words[0].Text, Keep: true}}
	source.Addr, _ = s.Get("at")
	source.Host, _ = s.Get("host")
	source.Login, _ = s.Get("login")
	source.Password, _ = s.Get("password")
	mode, _ := s.Get("tls")
	fail, _ := s.Get("fail")
	source.TLS, source.Fail = popfetch.TLSMode(mode), provider.RemoteFailure(fail)
	if keep, _ := s.Get("keep"); keep == "no" {
		source.Keep = false
	}
	if source.Addr != "" {
		host, port, _ := strings.Cut(source.Addr, ":")
		if at, err := netip.ParseAddrPort(source.Addr); err == nil {
			host, port = at.Addr().String(), strconv.Itoa(int(at.Port()))
		}
		source.Host = cmp.Or(source.Host, host)
		n, err := strconv.Atoi(port)
		if err != nil {
			return err
		}
		source.Port = n
	}
	return r.p.SetPOPSource(source)
}

// settings are those that an account step adds.
func (s Step) settings() provider.Settings {
	set := provider.Settings{SendAs: s.List("sendas"), POPFrom: s.List("popfrom")}
	set.Forward, _ = s.Get("forward")
	set.Password, _ = s.Get("password")
	state, _ := s.Get("state")
	set.State = policy.AccountState(state)
	return set
}

func (r *Runner) sendas(ctx context.Context, s Step) error {
	_, err := r.p.RequestSendAs(ctx, s.Words[0].Text, s.Words[1].Text)
	return err
}

// confirm gives a code. That it is refused is what may be claimed, and no
// error.
func (r *Runner) confirm(ctx context.Context, s Step) error {
	account, address := s.Words[0].Text, s.Words[1].Text
	code, ok := s.Get("code")
	if !ok {
		var err error
		if code, err = r.sentCode(ctx, address); err != nil {
			return err
		}
	}
	r.confirmed = true
	r.confirmErr = r.p.ConfirmSendAs(account, address, code)
	return nil
}

// codeText is how the code stands in the mail.
var codeText = regexp.MustCompile(`Confirmation code: ([0-9]+)`)

// sentCode reads the code from the newest mail that was sent to an address, as
// its owner would.
func (r *Runner) sentCode(ctx context.Context, address string) (string, error) {
	list, err := r.p.Store().Outgoing(ctx, r.p.WorldName())
	if err != nil {
		return "", err
	}
	for i := len(list) - 1; i >= 0; i-- {
		o := list[i]
		if o.Kind != mailbox.OutgoingConfirmation || o.State != mailbox.OutgoingSent || !strings.EqualFold(o.To, address) {
			continue
		}
		if found := codeText.FindSubmatch(o.Raw); found != nil {
			return string(found[1]), nil
		}
	}
	return "", fmt.Errorf("no mail with a code has reached %s", address)
}
