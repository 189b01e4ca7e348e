package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// follow makes an attempt, with the redirects that the request permits. Each URL
// is judged by the guard like a first one.
func (d *Dispatcher) follow(ctx context.Context, r *Request, a *Attempt) error {
	x := &exchange{open: opening{source: r.Source, limit: r.Timeout, http2: r.HTTP2}}
	if err := d.aim(x, r.URL); err != nil {
		return err
	}
	var token string
	if r.Token != nil {
		var err error
		if token, err = r.Token(ctx); err != nil {
			return &fault{ReasonToken, fmt.Errorf("making token: %w", err)}
		}
	}
	m := r.message(token)
	for from := r.URL; ; {
		// Services within the process are not left with connections to watch.
		x.open.keep = r.KeepAlive && x.way.conn == nil && !r.HTTP2
		m.keep = x.open.keep
		var err error
		if x.raw, err = m.wire(x.target); err != nil {
			return err
		}
		x.method, x.message = m.method, m
		remark := d.run(ctx, x, a)
		var f *fault
		if errors.As(remark, &f) {
			return remark
		}
		if !r.succeeds(a.Status) {
			a.Reason = ReasonStatus
		}
		if !redirects(a.Status) || r.Redirects == 0 {
			return remark
		}
		if len(a.Hops) == r.Redirects {
			return fmt.Errorf("redirected more than %d times: this one was not followed", r.Redirects)
		}
		to, err := location(from, a.Header)
		if err != nil {
			return err
		}
		next := &exchange{open: x.open}
		if err := d.aim(next, to); err != nil {
			// The redirect remains the answer, but it is not why this failed.
			return fmt.Errorf("redirected to %q: %w", to, err)
		}
		a.hop(from, to)
		m = m.redirected(a.Hops[len(a.Hops)-1].Status, x.target.endpoint == next.target.endpoint)
		from, x = to, next
		a.Method, a.URL = m.method, to
	}
}

// aim reads the URL of an exchange and asks the guard for the way there.
func (d *Dispatcher) aim(x *exchange, url string) error {
	var err error
	if x.target, err = parseTarget(url); err != nil {
		return err
	}
	var ok bool
	if x.way, ok = d.opts.Guard.way(x.target.endpoint); !ok {
		return notRouted(x.target)
	}
	return nil
}

// redirects tells whether a status sends the client elsewhere (RFC 9110 15.4).
func redirects(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// location returns where an answer redirects to, made absolute; its fragment is
// not for servers.
func location(from string, header []Field) (string, error) {
	i := slices.IndexFunc(header, func(f Field) bool { return strings.EqualFold(f.Name, "Location") })
	if i < 0 {
		return "", errors.New("redirected without a Location")
	}
	base, err := url.Parse(from)
	if err != nil {
		return "", fmt.Errorf("redirected from a URL to which nothing is relative: %w", err)
	}
	to, err := base.Parse(header[i].Value)
	if err != nil {
		return "", fmt.Errorf("redirected to no URL: %w", err)
	}
	to.Fragment, to.RawFragment = "", ""
	to.RawQuery = escaped(to.RawQuery) // As String does with the path.
	return to.String(), nil
}

// escaped returns a query in visible ASCII.
func escaped(query string) string {
	var b strings.Builder
	for _, c := range []byte(query) {
		if c <= ' ' || c > '~' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// hop moves what was recorded of an exchange among the hops.
func (a *Attempt) hop(from, to string) {
	a.Hops = append(a.Hops, Hop{
		Method: a.Method, URL: from, Sent: a.Sent, Addr: a.Addr, TLSVersion: a.TLSVersion,
		Status: a.Status, Proto: a.Proto, Header: a.Header, Location: to,
	})
	a.Sent, a.Addr, a.Tried, a.TLSVersion = nil, "", nil, ""
	a.Reason = ""
	a.forget()
}

// redirected is the message that follows a redirect. 307 and 308 keep method
// and body (RFC 9110 15.4.8, 15.4.9); with the others user agents ask with GET,
// and without body. Credentials are for the host and port they were made for.
func (m *message) redirected(status int, sameHost bool) *message {
	next := *m
	if status != http.StatusTemporaryRedirect && status != http.StatusPermanentRedirect {
		next.body = nil
		if m.method != "HEAD" {
			next.method = "GET"
		}
		next.header = slices.DeleteFunc(slices.Clone(next.header), func(f Field) bool {
			return strings.HasPrefix(strings.ToLower(f.Name), "content-")
		})
	}
	if !sameHost {
		next.bearer = false
		next.header = slices.DeleteFunc(slices.Clone(next.header), func(f Field) bool {
			return slices.Contains([]string{"authorization", "cookie", "proxy-authorization"}, strings.ToLower(f.Name))
		})
	}
	return &next
}
