package scenarios

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/receiver/popfetch"
)

// storedPaths tells of the message as its account has it: the provider's fields
// on top, the first of each name.
func (r *Runner) storedPaths(p *paths) error {
	if r.message == nil {
		return nil
	}
	raw, err := r.p.Stored(*r.message)
	if err != nil {
		return err
	}
	m := message.Parse(raw)
	below := len(message.Parse(r.message.Raw).Fields)
	var names []string
	for _, f := range m.Fields[:max(0, len(m.Fields)-below)] {
		if name := strings.ToLower(f.Name); !slices.Contains(names, name) {
			names = append(names, name)
			p.add("stored."+name, f.Unfolded())
		}
	}
	return nil
}

// outsidePaths tells of what goes between the provider and others: mail that it
// sends and fetches, addresses to be confirmed, programs that read its mail.
func (r *Runner) outsidePaths(ctx context.Context, p *paths) error {
	outgoing, err := r.p.Store().Outgoing(ctx, r.p.WorldName())
	if err != nil {
		return err
	}
	p.count("outgoings", len(outgoing))
	for i, o := range outgoing {
		if !r.tells("outgoing", i, len(outgoing), o.ID, o.Attempts) {
			continue
		}
		prefix := "outgoing." + strconv.Itoa(i)
		p.add(prefix, string(o.Kind))
		p.add(prefix+".account", o.Account)
		p.add(prefix+".from", o.From)
		p.add(prefix+".to", o.To)
		p.add(prefix+".state", string(o.State))
		p.count(prefix+".attempts", o.Attempts)
		p.some(prefix+".via", o.Via)
		p.some(prefix+".problem", o.Problem)
		for _, s := range o.Sessions[max(0, len(o.Sessions)-1):] {
			p.add(prefix+".tls", cmp.Or(s.Result, "pass"))
			p.add(prefix+".tls.host", s.Host)
			p.add(prefix+".tls.policy", s.Policy.Type)
			p.some(prefix+".tls.problem", s.Problem)
			p.some(prefix+".tls.unfetched", s.Unfetched)
		}
		var names []string
		for _, f := range message.Parse(o.Raw).Fields {
			if name := strings.ToLower(f.Name); !slices.Contains(names, name) {
				names = append(names, name)
				p.add(prefix+".header."+name, f.Unfolded())
			}
		}
	}
	n := 0
	for _, a := range r.p.Mailboxes() {
		for _, s := range a.SendAs {
			prefix := "sendas." + strconv.Itoa(n)
			n++
			p.add(prefix, s.Address)
			p.add(prefix+".account", a.Address)
			state := "pending"
			if s.Verified {
				state = "accepted"
			}
			p.add(prefix+".state", state)
		}
	}
	p.count("sendases", n)
	if r.confirmed {
		text := ""
		if r.confirmErr != nil {
			text = r.confirmErr.Error()
		}
		p.add("confirm.error", text)
	}
	r.fetchPaths(p)
	return r.accessPaths(ctx, p)
}

// fetchPaths tells of the last fetch.
func (r *Runner) fetchPaths(p *paths) {
	if r.fetched == nil {
		return
	}
	f := r.fetched
	p.count("fetch.listed", f.Listed)
	p.count("fetch.fetched", f.Fetched)
	p.count("fetch.known", f.Known)
	p.count("fetch.deleted", f.Deleted)
	login := "no"
	if f.LoggedIn {
		login = "yes"
	}
	p.add("fetch.login", login)
	reason, text := "", ""
	if r.fetchErr != nil {
		reason, text = "failed", r.fetchErr.Error()
		if _, ok := errors.AsType[*popfetch.LoginError](r.fetchErr); ok {
			reason = "login-refused"
		}
	}
	p.add("fetch.error", reason)
	p.some("fetch.error.text", text)
}

// accessPaths tells of the programs that read accounts.
func (r *Runner) accessPaths(ctx context.Context, p *paths) error {
	accesses, err := r.p.Store().Accesses(ctx, r.p.WorldName())
	if err != nil {
		return err
	}
	p.count("accesses", len(accesses))
	for i, a := range accesses {
		if !r.tells("access", i, len(accesses), a.ID, len(a.Read)) {
			continue
		}
		prefix := "access." + strconv.Itoa(i)
		p.add(prefix, a.Protocol)
		p.add(prefix+".account", a.Account)
		p.some(prefix+".client", a.Client)
		p.some(prefix+".tls", a.TLS)
		denied := "no"
		if a.Denied {
			denied = "yes"
		}
		p.add(prefix+".denied", denied)
		p.count(prefix+".read", len(a.Read))
	}
	return nil
}
