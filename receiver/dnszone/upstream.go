package dnszone

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"
)

// Upstream is asked what the zone does not know. *net.Resolver is one.
type Upstream interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
}

// upstreamCall is one question to the upstream.
type upstreamCall struct {
	r     *Resolver
	a     answer
	begun time.Time
	lines []string
}

func (r *Resolver) startUpstream(a answer) *upstreamCall {
	u := &upstreamCall{r: r, a: a}
	if r.options.Now != nil {
		u.begun = r.options.Now()
	}
	return u
}

func (u *upstreamCall) line(s string) { u.lines = append(u.lines, s) }

// done logs the answer and returns the error as a bare *net.DNSError.
func (u *upstreamCall) done(err error) error {
	q := Query{Name: u.a.name, Type: u.a.typ, Answer: strings.Join(u.lines, "\n"), Source: SourceUpstream, Took: u.a.took}
	if u.r.options.Now != nil {
		q.Took += u.r.options.Now().Sub(u.begun)
	}
	if err == nil {
		if len(u.lines) == 0 {
			q.Answer = AnswerNoData
		}
		u.r.record(q)
		return nil
	}
	var dnsErr *net.DNSError
	if !errors.As(err, &dnsErr) {
		dnsErr = &net.DNSError{Err: err.Error(), Name: u.a.name, IsTemporary: true, IsTimeout: errors.Is(err, context.DeadlineExceeded)}
	}
	switch {
	case dnsErr.IsNotFound:
		q.Answer = AnswerNXDomain
	case dnsErr.IsTimeout:
		q.Answer = AnswerTimeout
	default:
		q.Answer = AnswerServfail
	}
	u.r.record(q)
	return dnsErr
}

func (r *Resolver) upstreamIPAddr(ctx context.Context, a4, a6 answer) ([]net.IPAddr, error) {
	u4, u6 := r.startUpstream(a4), r.startUpstream(a6)
	list, err := r.options.Upstream.LookupIPAddr(ctx, a4.upstream)
	for _, ip := range list {
		if ip.IP.To4() != nil {
			u4.line(ip.String())
		} else {
			u6.line(ip.String())
		}
	}
	u6.done(err)
	return list, u4.done(err)
}
