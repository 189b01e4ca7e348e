package scenarios

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// Step carries out one step. The step must be one that Parse has accepted.
func (r *Runner) Step(ctx context.Context, s Step) error {
	switch s.Verb {
	case "sign":
		return r.sign(s)
	case "deliver":
		return r.deliver(ctx, s)
	case "forward":
		return r.forward(ctx, s)
	case "autoforward":
		return r.autoforward(ctx, s)
	case "fetch":
		return r.fetch(ctx, s)
	case "click":
		return r.press(ctx, s)
	case "unsubscribe":
		return r.unsubscribe(ctx, s)
	case "open":
		return r.open(ctx, s)
	case "sendas":
		return r.sendas(ctx, s)
	case "confirm":
		return r.confirm(ctx, s)
	case "advance":
		d, err := time.ParseDuration(s.Words[0].Text)
		if err != nil {
			return err
		}
		return r.p.Advance(ctx, d)
	case "rotate":
		if withdraw, _ := s.Get("withdraw"); withdraw == "yes" {
			r.p.Keys().Withdraw()
			return nil
		}
		return r.p.Keys().Rotate()
	case "expect":
		return r.expect(ctx, s)
	case "cmp":
		return r.cmp(ctx, s)
	case "probe":
		return r.probe(ctx, s)
	}
	return r.worldStep(ctx, s)
}

// worldStep carries out a step of the world's set-up.
func (r *Runner) worldStep(ctx context.Context, s Step) error {
	switch s.Verb {
	case "provider":
		return r.provider(s)
	case "clock":
		return r.clock(ctx, s)
	case "account":
		return r.p.Configure(s.Words[0].Text, s.settings())
	case "register":
		// Parse has found the registration to be good.
		reg, _ := s.registration()
		r.p.Register(reg)
		return nil
	case "dns":
		return r.dns(s)
	case "endpoint":
		return r.endpoint(s)
	case "route":
		to, _ := s.Get("to")
		return r.p.Route(s.Words[0].Text, to)
	case "peer":
		return r.peer(s)
	case "sink":
		return r.sink(s)
	case "popserver":
		return r.popserver(s)
	case "inbound":
		return r.inbound(s)
	case "sender":
		bulk, _ := s.Get("bulk")
		return r.p.DeclareSender(s.Words[0].Text, bulk == "yes")
	case "fault":
		return r.fault(s)
	case "dial":
		return r.p.SetDial(s.Words[0].Text, s.Words[1].Text)
	}
	return fmt.Errorf("the runner does not know the verb %q", s.Verb)
}

// provider holds that the provider is the one that the step names: its domain
// is given when it is made.
func (r *Runner) provider(s Step) error {
	if _, ok := r.p.Provider(s.Words[0].Text); !ok {
		return fmt.Errorf("the provider that runs is %s, not %s", r.p.Domain(), s.Words[0].Text)
	}
	return nil
}

// clock moves the clock to a time. It does not go back. The first one of a
// file with a provider of its own has set the clock already.
func (r *Runner) clock(ctx context.Context, s Step) error {
	if r.clockSet {
		r.clockSet = false
		return nil
	}
	at, err := time.Parse(time.RFC3339, s.Words[0].Text)
	if err != nil {
		return err
	}
	now := r.p.Clock().Now()
	d := at.Sub(now)
	switch {
	case d < 0:
		return r.at(s, s.Words[0], "the clock does not go back: it shows %s", now.Format(time.RFC3339))
	case d == math.MaxInt64:
		return r.at(s, s.Words[0], "the clock does not go so far in one step: it shows %s", now.Format(time.RFC3339))
	}
	return r.p.Advance(ctx, d)
}

func (r *Runner) dns(s Step) error {
	name := s.Words[0].Text
	text, ok := r.file.Section(name)
	if !ok {
		return r.at(s, s.Words[0], "there is no section %q", name)
	}
	return r.placeZone(name, r.p.Zone().Load(name, string(text)))
}

func (r *Runner) endpoint(s Step) error {
	service := provider.Service{URL: s.Words[0].Text, Header: http.Header{}}
	for _, word := range s.List("status") {
		status, err := strconv.Atoi(word)
		if err != nil {
			return err
		}
		service.Statuses = append(service.Statuses, status)
	}
	service.Body, _ = s.Get("body")
	service.Trusts, _ = s.Get("trusts")
	if fail, ok := s.Get("fail"); ok {
		service.Fail = provider.Failure(fail)
	}
	for _, field := range s.All("header") {
		name, value, _ := strings.Cut(field, ":")
		service.Header.Add(name, strings.TrimSpace(value))
	}
	return r.p.AddService(service)
}

func (r *Runner) peer(s Step) error {
	from, err := netip.ParseAddr(s.Words[0].Text)
	if err != nil {
		return err
	}
	as := from
	if text, ok := s.Get("as"); ok {
		if as, err = netip.ParseAddr(text); err != nil {
			return err
		}
		r.p.MapPeer(from, as)
	}
	if name, ok := s.Get("ptr"); ok {
		return r.p.NamePeer(as, name)
	}
	return nil
}

func (r *Runner) inbound(s Step) error {
	if _, ok := s.Get("proxy-from"); ok && r.given {
		return errors.New("the provider runs already: proxy-from has to be there when it starts")
	}
	in := r.p.Requires()
	if tls, ok := s.Get("tls"); ok {
		in.TLSRequired = tls == "required"
	}
	if _, ok := s.Get("allow-from"); ok {
		in.AllowFrom = nil
	}
	for _, text := range s.List("allow-from") {
		prefix, err := provider.ParseNetwork(text)
		if err != nil {
			return fmt.Errorf("inbound: allow-from: %w", err)
		}
		in.AllowFrom = append(in.AllowFrom, prefix)
	}
	r.p.Require(in)
	r.p.Enforce(s.Words[0].Text == "enforce")
	return nil
}

func (r *Runner) fault(s Step) error {
	if s.Words[0].Text == "none" {
		r.p.CancelOrders()
		return nil
	}
	// Parse has found the order to be good.
	o, _ := s.order()
	return r.p.OrderReply(o)
}

// readInbound reads what an inbound step says that has to be known before the
// server is made.
func readInbound(s Step, o *provider.Options) error {
	for _, text := range s.List("proxy-from") {
		prefix, err := provider.ParseNetwork(text)
		if err != nil {
			return fmt.Errorf("inbound: proxy-from: %w", err)
		}
		o.ProxyFrom = append(o.ProxyFrom, prefix)
	}
	return nil
}
