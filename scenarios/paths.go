package scenarios

import (
	"cmp"
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
)

// Path is one value that a claim can be about.
type Path struct{ Name, Value string }

// paths collects values in the order in which they are told.
type paths []Path

func (p *paths) add(name, value string) { *p = append(*p, Path{name, value}) }

func (p *paths) count(name string, n int) { p.add(name, strconv.Itoa(n)) }

// some adds a value that is not empty.
func (p *paths) some(name, value string) {
	if value != "" {
		p.add(name, value)
	}
}

// paths returns everything that can be asserted now: of the last delivery, the
// message that it made, the last click, all requests, the last token. The keys,
// and the header block that one of them seals, are told of only if they are
// asked for, because they have to be made first, which takes a while.
func (r *Runner) paths(ctx context.Context, made bool) ([]Path, error) {
	var p paths
	inbox, err := r.p.Store().Messages(ctx, mailbox.Query{World: r.p.WorldName()})
	if err != nil {
		return nil, err
	}
	p.add("clock", r.p.Clock().Now().Format(time.RFC3339))
	p.count("messages", len(inbox))
	evicted, err := r.p.Store().Evicted(ctx, r.p.WorldName())
	if err != nil {
		return nil, err
	}
	p.count("faults", r.p.OrdersLeft())
	p.add("messages.forgotten", strconv.FormatInt(evicted, 10))
	if r.last != nil {
		p.count("smtp.code", r.last.Reply.Code)
		p.some("smtp.enhanced", r.last.Reply.Enhanced)
		p.add("smtp.text", strings.Join(r.last.Reply.Lines, "\n"))
		p.add("smtp.command", r.last.Reply.Command)
	}
	if r.message != nil {
		p.message(*r.message)
	}
	if err := r.outsidePaths(ctx, &p); err != nil {
		return nil, err
	}
	if err := r.clickPaths(ctx, &p); err != nil {
		return nil, err
	}
	r.probePaths(&p)
	if !made {
		return p, nil
	}
	if err := r.storedPaths(&p); err != nil {
		return nil, err
	}
	published, err := r.p.Keys().Keys()
	if err != nil {
		return nil, err
	}
	p.count("keys", len(published))
	for i, key := range published {
		prefix := "key." + strconv.Itoa(i) + "."
		p.add(prefix+"kid", key.ID)
		p.add(prefix+"state", string(key.State))
		if !key.Until.IsZero() {
			p.add(prefix+"until", key.Until.UTC().Format(time.RFC3339))
		}
	}
	return p, nil
}

func (p *paths) message(m mailbox.Message) {
	e, v := m.Evidence, m.Verdict
	p.some("problem", m.Problem)
	p.add("delivery", string(v.Delivery))
	p.some("folder", string(v.Folder))
	p.some("decider", string(v.Decider))
	p.arrival(e.Arrival, v)
	p.add("account", m.Account)
	p.add("sender.domain", e.Sender.Domain)
	p.count("sender.volume", e.Sender.Volume)
	p.add("sender.bulk", strconv.FormatBool(e.Sender.Bulk))
	p.auth(e.Auth)
	p.access(e.Access, e.Markup.Enclosed)
	p.findings("check.", v.Findings)
	p.count("actions", len(v.Actions))
	for i, a := range v.Actions {
		p.action("action."+strconv.Itoa(i), e.Markup.Actions[i], a)
	}
	p.count("problems", len(e.Markup.Problems))
	for i, problem := range e.Markup.Problems {
		prefix := "problem." + strconv.Itoa(i)
		p.add(prefix, string(problem.Code))
		p.add(prefix+".text", problem.Text)
		p.some(prefix+".part", problem.Place.Part)
		p.count(prefix+".line", problem.Place.Line)
		p.count(prefix+".col", problem.Place.Col)
	}
	p.add("unsubscribe", string(v.Unsubscribe.Answer))
	p.add("unsubscribe.reason", string(v.Unsubscribe.Reason))
	p.some("unsubscribe.url", v.Unsubscribe.URL)
	p.findings("unsubscribe.check.", v.Unsubscribe.Findings)
	p.count("dns", len(m.Questions))
	for i, q := range m.Questions {
		prefix := "dns." + strconv.Itoa(i) + "."
		p.add(prefix+"name", q.Name)
		p.add(prefix+"type", q.Type)
		p.add(prefix+"answer", q.Answer)
	}
}

// arrival tells how a message came; what is fetched has no envelope and gets no
// reply.
func (p *paths) arrival(a policy.Arrival, v policy.Verdict) {
	p.add("arrival", string(a.Channel))
	if f := a.Fetch; f != nil {
		p.add("arrival.source", f.Source)
		p.add("arrival.host", f.Host)
		p.count("arrival.port", f.Port)
		p.add("arrival.login", f.Login)
		p.some("arrival.tls", f.TLS)
		p.add("arrival.uid", f.UID)
		return
	}
	p.add("reply.phase", string(v.Phase))
	p.count("reply.code", v.Reply.Code)
	p.add("reply.enhanced", v.Reply.Enhanced)
	p.add("reply.text", strings.Join(v.Reply.Lines, "\n"))
	p.add("envelope.from", a.MailFrom)
	p.add("envelope.to", a.Rcpt)
	p.add("envelope.peer", a.Peer.String())
	p.add("envelope.helo", a.HELO)
	p.some("envelope.tls", a.TLS)
}

// access tells of the access pattern and its evidence.
func (p *paths) access(a policy.Access, enclosed []policy.Enclosed) {
	p.add("pattern", string(a.Pattern))
	p.add("pattern.confidence", string(a.Confidence))
	p.some("pattern.settle", a.Settle)
	p.signals("pattern.signal", a.Signals)
	p.signals("pattern.contradiction", a.Contradictions)
	if f := a.Forward; f != nil {
		p.add("pattern.forward.style", string(f.Style))
		p.add("pattern.forward.by", f.By)
		p.add("pattern.forward.original", f.Original)
		p.add("pattern.forward.claimed", strings.Join(f.Claimed, ", "))
		p.add("pattern.forward.sendas", f.SendAs)
	}
	p.count("enclosed", len(enclosed))
	for i, in := range enclosed {
		prefix := "enclosed." + strconv.Itoa(i)
		p.add(prefix, string(in.How))
		p.some(prefix+".client", in.Client)
		p.some(prefix+".language", in.Language)
		p.some(prefix+".from", in.From)
		p.some(prefix+".subject", in.Subject)
	}
}

func (p *paths) signals(name string, list []policy.Signal) {
	p.count(name+"s", len(list))
	for i, s := range list {
		prefix := name + "." + strconv.Itoa(i)
		p.add(prefix, s.Name)
		p.count(prefix+".rank", s.Rank)
		p.add(prefix+".value", s.Value)
		p.some(prefix+".for", string(s.For))
	}
}

func (p *paths) auth(a policy.Authentication) {
	p.add("spf", string(a.SPF.Result))
	p.add("spf.domain", a.SPF.Domain)
	p.add("spf.identity", a.SPF.Identity)
	p.some("spf.mechanism", a.SPF.Mechanism)
	p.some("spf.record", a.SPF.Record)
	p.some("spf.problem", a.SPF.Problem)
	p.some("spf.explanation", a.SPF.Explanation)
	best := policy.AuthNone
	for i, d := range a.DKIM {
		if i == 0 || d.Result == policy.AuthPass {
			best = d.Result
		}
	}
	p.add("dkim", string(best))
	for i, d := range a.DKIM {
		prefix := "dkim." + strconv.Itoa(i)
		p.add(prefix, string(d.Result))
		p.some(prefix+".reason", string(d.Reason))
		p.some(prefix+".problem", d.Problem)
		p.add(prefix+".domain", d.Domain)
		p.add(prefix+".selector", d.Selector)
		p.add(prefix+".algorithm", d.Algorithm)
		p.add(prefix+".headers", strings.Join(d.Headers, ":"))
		p.some(prefix+".change", string(d.Change))
		p.count(prefix+".key-bits", d.KeyBits)
		p.some(prefix+".signature", d.Signature)
		p.some(prefix+".flags", keyFlags(d))
	}
	p.add("arc", string(a.ARC.Result))
	p.some("arc.reason", string(a.ARC.Reason))
	p.count("arc.sets", len(a.ARC.Sets))
	for i, set := range a.ARC.Sets {
		prefix := "arc.set." + strconv.Itoa(i)
		p.add(prefix+".domain", set.Domain)
		p.add(prefix+".cv", set.CV)
	}
	p.add("dmarc", string(a.DMARC.Result))
	p.add("dmarc.domain", a.DMARC.Domain)
	p.add("dmarc.orgdomain", a.DMARC.OrgDomain)
	p.add("dmarc.standard", a.DMARC.Standard)
	p.some("dmarc.policy", a.DMARC.Policy)
	p.some("dmarc.percent", a.DMARC.Percent)
	p.some("dmarc.record", a.DMARC.Record)
	p.some("dmarc.problem", a.DMARC.Problem)
	p.add("rdns", string(a.ReverseDNS.Result))
	p.some("rdns.name", a.ReverseDNS.Name)
}

// keyFlags are the flags of a key as its t= has them (RFC 6376 3.6.1).
func keyFlags(d policy.DKIM) string {
	var flags []string
	if d.Testing {
		flags = append(flags, "y")
	}
	if d.Strict {
		flags = append(flags, "s")
	}
	return strings.Join(flags, ":")
}

func (p *paths) findings(prefix string, list []policy.Finding) {
	for _, f := range list {
		p.add(prefix+string(f.Check), string(f.Result))
		p.add(prefix+string(f.Check)+".reason", string(f.Reason))
	}
}

func (p *paths) action(prefix string, a policy.Action, v policy.ActionVerdict) {
	p.add(prefix, string(v.Answer))
	p.add(prefix+".reason", string(v.Reason))
	p.some(prefix+".decider", string(v.Decider))
	p.add(prefix+".type", a.Type)
	p.add(prefix+".kind", string(a.Kind))
	p.add(prefix+".syntax", a.Syntax)
	p.some(prefix+".on", a.On)
	p.some(prefix+".enclosed", string(a.Enclosed))
	p.some(prefix+".name", a.Name)
	for i, h := range a.Handlers {
		if i == 0 {
			p.add(prefix+".url", h.URL)
			p.some(prefix+".method", h.Method)
		}
	}
	for i, t := range a.Targets {
		p.add(prefix+".target."+strconv.Itoa(i), t)
	}
	p.some(prefix+".implied", a.Implied)
	p.findings(prefix+".check.", v.Findings)
}

// request tells of one request as its last attempt made it, where that was
// redirected to last, and returns the bearer token that it began with.
func (p *paths) request(prefix string, c mailbox.Click, attempts []mailbox.Attempt) string {
	last := mailbox.Attempt{URL: c.Verdict.Request.URL}
	if len(attempts) > 0 {
		last = attempts[len(attempts)-1]
	}
	p.add(prefix+".state", string(c.State))
	p.add(prefix+".url", last.URL)
	if u, err := url.Parse(last.URL); err == nil {
		p.add(prefix+".host", u.Host)
	}
	p.count(prefix+".attempts", len(attempts))
	if len(attempts) == 0 {
		return ""
	}
	p.sent(prefix, last.Sent)
	p.count(prefix+".status", last.Status)
	p.add(prefix+".reason", cmp.Or(c.EndReason, last.Reason))
	p.due(prefix, last)
	p.some(prefix+".error", last.Error)
	p.some(prefix+".protocol", last.Proto)
	for i, h := range last.Hops {
		hop := prefix + ".redirect." + strconv.Itoa(i)
		p.add(hop+".from", h.URL)
		p.sent(hop, h.Sent)
		p.count(hop+".status", h.Status)
		p.add(hop+".to", h.Location)
	}
	p.add(prefix+".response.body", string(last.Body))
	for _, f := range last.Header {
		p.add(prefix+".response.header."+strings.ToLower(f.Name), f.Value)
	}
	for i, a := range attempts {
		attempt := prefix + ".attempt." + strconv.Itoa(i)
		p.add(attempt+".at", a.At.Format("2006-01-02T15:04:05Z07:00"))
		p.count(attempt+".status", a.Status)
		p.add(attempt+".outcome", a.Outcome)
		p.some(attempt+".reason", a.Reason)
		p.due(attempt, a)
	}
	return firstToken(last)
}

// due tells when the attempt after another one is due.
func (p *paths) due(prefix string, a mailbox.Attempt) {
	if !a.Due.IsZero() {
		p.add(prefix+".due", a.Due.UTC().Format(time.RFC3339))
	}
}

// firstToken is the bearer token that an attempt began with: redirects may lead to
// where it is not for.
func firstToken(a mailbox.Attempt) string {
	for _, h := range a.Hops {
		if token := tokenOf(h.Sent); token != "" {
			return token
		}
	}
	return tokenOf(a.Sent)
}

// sent tells of a request as it went out: what was written, and not what was
// meant.
func (p *paths) sent(prefix string, raw []byte) {
	head, body, ok := strings.Cut(string(raw), "\r\n\r\n")
	if !ok {
		return
	}
	lines := strings.Split(head, "\r\n")
	if words := strings.Split(lines[0], " "); len(words) == 3 {
		p.add(prefix+".method", words[0])
		p.add(prefix+".target", words[1])
	}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		p.add(prefix+".header."+strings.ToLower(name), strings.TrimSpace(value))
	}
	p.add(prefix+".body", body)
}

// tokenOf returns the bearer token of a request as it went out.
func tokenOf(raw []byte) (token string) {
	head, _, _ := strings.Cut(string(raw), "\r\n\r\n")
	for line := range strings.SplitSeq(head, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		if strings.EqualFold(name, "Authorization") {
			token, _ = strings.CutPrefix(strings.TrimSpace(value), "Bearer ")
		}
	}
	return token
}
