package provider

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/doppelbox/doppelbox/policy/registry"
	"github.com/doppelbox/doppelbox/receiver/mailauth"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/receiver/reports"
)

// ReportQuery says which reports are wanted.
type ReportQuery struct {
	// Domain is the policy domain of DMARC reports, and the domain of TLS reports
	// to which mail went.
	Domain string
	// Form is how they are written; empty is each form.
	Form reports.Form
	// Day is any time of the one UTC day that is wanted; zero is every day of
	// which the store has traffic.
	Day time.Time
}

// reportSelector is that of the key with which reports in Google's form are
// signed. It is not one of Google's own, which a zone must not hide.
const reportSelector = "doppelbox"

// reportsWait is how long reports wait, in real time, for mail that is on its way.
const reportsWait = 30 * time.Second

// ErrDomain is the error of a query for what is no domain.
var ErrDomain = errors.New("reports are about a domain")

// Reports makes the reports that the world's providers would send on a domain,
// and the mails in which they would be sent. Nothing is sent, and no mail is
// judged otherwise after it: what DNS has to have for these mails comes as a file,
// too. The error is a *reports.NoTrafficError if there is nothing to report.
func (w *World) Reports(ctx context.Context, q ReportQuery) ([]reports.File, error) {
	domain, err := registry.ParseDomain(q.Domain)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDomain, err)
	}
	// What is under way belongs into the reports, if a server is not slow with it.
	timed, cancel := context.WithTimeout(ctx, reportsWait)
	defer cancel()
	err = w.Drain(timed)
	pending := err != nil
	if pending && (ctx.Err() != nil || timed.Err() == nil) {
		return nil, err
	}
	messages, err := w.store.Messages(ctx, mailbox.Query{World: w.name, Refused: true})
	if err != nil {
		return nil, err
	}
	outgoing, err := w.store.Outgoing(ctx, w.name)
	if err != nil {
		return nil, err
	}
	notes, err := w.reportNotes(ctx, pending)
	if err != nil {
		return nil, err
	}
	forms := []reports.Form{reports.Google, reports.RFC9990}
	if q.Form != "" {
		if !slices.Contains(forms, q.Form) {
			return nil, fmt.Errorf("reports: unknown form %q; there are %q", q.Form, forms)
		}
		forms = []reports.Form{q.Form}
	}
	var list []reports.File
	for _, p := range w.Providers() {
		b := reporting{p: p, query: reports.Query{Domain: domain, Day: q.Day}, notes: notes}
		for _, m := range messages {
			if _, at, _ := cutLast(m.Account, '@'); at == p.domain {
				b.messages = append(b.messages, m)
			}
		}
		for _, o := range outgoing {
			if _, at, _ := cutLast(o.Account, '@'); at == p.domain {
				b.outgoing = append(b.outgoing, o)
			}
		}
		for _, form := range forms {
			files, err := b.files(ctx, p.reporter(form))
			if err != nil {
				return nil, err
			}
			list = append(list, files...)
		}
		list = append(list, b.zones...)
	}
	if len(list) == 0 {
		return nil, &reports.NoTrafficError{Domain: domain, Day: q.Day, Elsewhere: reports.Elsewhere(messages, domain), Pending: pending}
	}
	return list, nil
}

// reportNotes is what should be known of all reports of each kind.
func (w *World) reportNotes(ctx context.Context, pending bool) (map[reports.Kind][]string, error) {
	notes := map[reports.Kind][]string{}
	forgotten := func(kind reports.Kind, what string, count func(context.Context, string) (int64, error)) error {
		n, err := count(ctx, w.name)
		if err == nil && n > 0 {
			notes[kind] = append(notes[kind], fmt.Sprintf("the store has forgotten %d older %s, which may be missing here", n, what))
		}
		return err
	}
	if err := forgotten(reports.KindDMARC, "messages", w.store.Evicted); err != nil {
		return nil, err
	}
	if err := forgotten(reports.KindTLS, "outgoing mails", w.store.EvictedOutgoing); err != nil {
		return nil, err
	}
	if !w.Enforces() {
		notes[reports.KindDMARC] = append(notes[reports.KindDMARC], "verdicts are only observed here: what they refuse was taken, and is reported as they say")
	}
	if pending {
		for _, kind := range []reports.Kind{reports.KindDMARC, reports.KindTLS} {
			notes[kind] = append(notes[kind], reports.PendingNote)
		}
	}
	return notes, nil
}

// reporter is who the provider is in a form of reports. The first provider of a
// world stands for Google, also in its reports.
func (p *Provider) reporter(form reports.Form) reports.Reporter {
	if form == reports.Google && p.place == 0 {
		return reports.AsGoogle()
	}
	return reports.Reporter{Form: form, Domain: p.domain, Organization: p.domain, Generator: "doppelbox"}
}

// reporting is what one provider has to report of.
type reporting struct {
	p        *Provider
	query    reports.Query
	messages []mailbox.Message
	outgoing []mailbox.Outgoing
	notes    map[reports.Kind][]string
	zones    []reports.File // Of what the mails are signed with; one for each domain.
}

// files makes the reports in one form, each followed by its mail.
func (b *reporting) files(ctx context.Context, r reports.Reporter) ([]reports.File, error) {
	var list []reports.File
	for _, a := range reports.Aggregates(b.messages, b.query, r.Form) {
		f, err := a.File(r)
		if err != nil {
			return nil, err
		}
		to, notes := b.p.dmarcRecipients(ctx, a)
		f.Notes = append(f.Notes, notes...)
		made, err := b.withMail(ctx, r, f, to, func(f reports.File) reports.Mail { return a.Mail(r, f, to, b.p.clock.Now()) })
		if err != nil {
			return nil, err
		}
		list = append(list, made...)
	}
	for _, t := range reports.TLSReports(b.outgoing, b.query) {
		f, err := t.File(r)
		if err != nil {
			return nil, err
		}
		to, notes := b.p.tlsRecipients(ctx, t.Domain)
		f.Notes = append(f.Notes, notes...)
		made, err := b.withMail(ctx, r, f, to, func(f reports.File) reports.Mail { return t.Mail(r, f, to, b.p.clock.Now()) })
		if err != nil {
			return nil, err
		}
		list = append(list, made...)
	}
	return list, nil
}

// withMail returns a report and, if it goes to anybody, its mail.
func (b *reporting) withMail(ctx context.Context, r reports.Reporter, f reports.File, to []string, write func(reports.File) reports.Mail) ([]reports.File, error) {
	f.Notes = append(f.Notes, b.notes[f.Kind]...)
	if now := b.p.clock.Now(); !now.After(f.End) {
		f.Notes = append(f.Notes, "the day is not over: it is counted up to "+now.Format(time.RFC3339))
	}
	if len(to) == 0 {
		return []reports.File{f}, nil
	}
	m := write(f)
	raw, err := b.sign(ctx, r, m)
	if err != nil {
		return nil, fmt.Errorf("signing the mail of a report: %w", err)
	}
	mail := reports.File{
		Name: f.Name + ".eml", Type: "message/rfc822", Content: raw, Kind: reports.KindMail, Form: f.Form, Domain: f.Domain, Window: f.Window,
		From: m.From, To: m.To,
	}
	return []reports.File{f, mail}, nil
}

// dmarcRecipients are the mailboxes that an aggregate report goes to, and why it
// does not go to others.
func (p *Provider) dmarcRecipients(ctx context.Context, a reports.Aggregate) (to, notes []string) {
	if len(a.RUA) == 0 {
		return nil, []string{"no mail: the DMARC record of " + a.Domain + " has no rua="}
	}
	for _, d := range p.verifier(p.resolver).ReportDestinations(ctx, a.Domain, a.RUA) {
		if d.Problem != "" {
			notes = append(notes, "no mail to "+d.URI+": "+d.Problem)
			continue
		}
		to = append(to, d.Address)
	}
	return to, notes
}

// tlsRecipients are likewise those of a TLS report. Nobody has to permit them
// (RFC 8460 3).
func (p *Provider) tlsRecipients(ctx context.Context, domain string) (to, notes []string) {
	name := "_smtp._tls." + domain
	texts, err := p.resolver.LookupTXT(ctx, name)
	var dnsErr *net.DNSError
	if err != nil && (!errors.As(err, &dnsErr) || !dnsErr.IsNotFound) {
		return nil, []string{"no mail: " + name + " cannot be looked up now: DNS failed"}
	}
	uris := reports.TLSReportURIs(texts)
	if len(uris) == 0 {
		return nil, []string{"no mail: there is no TXT v=TLSRPTv1 with rua= at " + name}
	}
	for _, uri := range uris {
		address, problem := mailauth.ReportAddress(uri)
		if problem != "" {
			notes = append(notes, "no mail to "+uri+": "+problem)
			continue
		}
		to = append(to, address)
	}
	return to, notes
}

// sign signs the mail of a report, and notes what lets it pass DMARC, as RFC 9990
// 3.5.2 wants it: the key and, unless the domain has one, a DMARC record.
func (b *reporting) sign(ctx context.Context, r reports.Reporter, m reports.Mail) ([]byte, error) {
	key, err := b.p.mailKey()
	if err != nil {
		return nil, err
	}
	o := mailauth.SignOptions{Domain: r.Domain, Selector: selector, Key: key, Time: b.p.clock.Now(), Headers: m.Signed}
	if r.Domain != b.p.domain {
		o.Selector = reportSelector
	}
	if !slices.ContainsFunc(b.zones, func(f reports.File) bool { return f.Domain == r.Domain }) {
		record, err := mailauth.KeyRecord(key.Public())
		if err != nil {
			return nil, err
		}
		records := [][2]string{{o.Selector + "._domainkey." + r.Domain, record}}
		if name := "_dmarc." + r.Domain; b.p.lacks(ctx, name) {
			records = append(records, [2]string{name, "v=DMARC1; p=none"})
		}
		b.zones = append(b.zones, reports.Zone(r, records))
	}
	return mailauth.Sign(m.Raw, o)
}

// lacks says whether a name has no TXT record. If that cannot be found out, it may
// have one.
func (p *Provider) lacks(ctx context.Context, name string) bool {
	_, err := p.resolver.LookupTXT(ctx, name)
	var dnsErr *net.DNSError
	return errors.As(err, &dnsErr) && dnsErr.IsNotFound
}
