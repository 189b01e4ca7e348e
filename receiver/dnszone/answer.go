package dnszone

import (
	"context"
	"net"
	"time"
)

// answer is what a question came to.
type answer struct {
	name, typ string
	set       *rrset
	word      string // One of the Answer words, if there is no set.
	took      time.Duration
	upstream  string // The name to ask upstream, if the answer is the upstream's.
}

// ask answers a question from the zone.
func (r *Resolver) ask(ctx context.Context, name, typ string) answer {
	key, ok := normalise(name)
	a := answer{name: key, typ: typ}
	switch {
	case ctx.Err() != nil:
		a.word = AnswerTimeout
	case !ok:
		a.word = AnswerNXDomain
	default:
		r.zone.answer(&a, r.options.Timeout, r.options.Upstream != nil)
	}
	return a
}

// answer fills in what the zone says. With overlay, a name that it does not
// know is left to the upstream.
func (z *Zone) answer(a *answer, timeout time.Duration, overlay bool) {
	z.mu.RLock()
	defer z.mu.RUnlock()
	name := a.name
	for range maxChase + 1 {
		n := z.match(name)
		if overlay && (n == nil || !n.known()) {
			a.upstream = name
			return
		}
		if n == nil {
			a.word = AnswerNXDomain
			return
		}
		if f, ok := n.fault(a.typ); ok {
			a.took += f.delay
			switch {
			case f.kind == faultServfail:
				a.word = AnswerServfail
				return
			case f.kind == faultTimeout || a.took >= timeout:
				a.word, a.took = AnswerTimeout, timeout
				return
			}
		}
		if a.set = n.sets[a.typ]; a.set != nil {
			return
		}
		alias := n.sets[typeCNAME]
		if alias == nil {
			a.word = AnswerNoData
			return
		}
		name, _ = normalise(alias.records[0].host)
	}
	a.word = AnswerServfail
}

// wait waits for the slowest of answers that are asked for together. If the
// wait is cut short, none has come.
func (r *Resolver) wait(ctx context.Context, answers ...*answer) {
	var longest time.Duration
	for _, a := range answers {
		longest = max(longest, a.took)
	}
	if longest == 0 || r.options.Delay == nil || r.options.Delay(ctx, longest) == nil {
		return
	}
	for _, a := range answers {
		a.set, a.upstream, a.word = nil, "", AnswerTimeout
	}
}

// finish logs an answer of the zone and makes its error, nil if it has records.
func (r *Resolver) finish(a answer) *net.DNSError {
	text := a.word
	if a.set != nil {
		text = a.set.text
	}
	r.record(Query{Name: a.name, Type: a.typ, Answer: text, Source: SourceZone, Took: a.took})
	switch a.word {
	case "":
		return nil
	case AnswerServfail:
		return &net.DNSError{Err: "server misbehaving", Name: a.name, IsTemporary: true}
	case AnswerTimeout:
		return &net.DNSError{Err: "i/o timeout", Name: a.name, IsTimeout: true, IsTemporary: true}
	}
	return &net.DNSError{Err: "no such host", Name: a.name, IsNotFound: true}
}

func (r *Resolver) record(q Query) {
	for ; r != nil; r = r.parent {
		r.log.add(q)
	}
}
