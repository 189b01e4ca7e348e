package mailauth

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// spfWatch sits between the SPF library and the resolver. It hands each record
// over in a form in which none of the library's faults show: a record with a
// mistake anywhere becomes one that is plainly broken, and each domain in a term
// becomes a placeholder. A look-up of a placeholder is one of the domain that
// it stands for, and macros are not expanded before.
//
// A placeholder has no final dot, and every name that the library gets from DNS
// has one; so no answer can be taken for a placeholder.
type spfWatch struct {
	res     Resolver
	macros  spfMacros
	targets map[string]spfTarget // By placeholder.
	written map[string]string    // What a term that was rewritten was.
	asked   bool
	first   *spfRecord // Of the domain itself; empty before it is known.
	decides *spfRecord // The same, or the one that redirect= has led to.
	problem string
	matched string // The term that matched.
}

// spfRecord is a record as it is evaluated.
type spfRecord struct {
	text        string
	domain      string // Whose it is: <domain> of RFC 7208 4.1.
	explanation string // exp=
}

// spfTarget is what a placeholder stands for.
type spfTarget struct {
	term  spfTerm
	owner *spfRecord
}

func newSPFWatch(res Resolver, macros spfMacros) *spfWatch {
	none := &spfRecord{}
	w := &spfWatch{res: res, macros: macros, targets: map[string]spfTarget{}, written: map[string]string{}, first: none, decides: none}
	w.macros.names = w.validated
	return w
}

// name returns the domain that a placeholder stands for, and its term.
func (w *spfWatch) name(ctx context.Context, placeholder string) (string, spfTarget, bool) {
	t, ok := w.targets[placeholder]
	if !ok {
		return strings.TrimSuffix(placeholder, "."), t, false
	}
	return w.macros.domain(ctx, t.term.domain, t.owner.domain), t, true
}

// dnsError makes an error one that the library knows: anything but the absence
// of a name is temporary (RFC 7208 4.4).
func dnsError(name string, err error) error {
	if isNotFound(err) {
		return &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	text := err.Error()
	var inner *net.DNSError
	if errors.As(err, &inner) {
		text = inner.Err
	}
	return &net.DNSError{Err: text, Name: name, IsTemporary: true}
}

func notFound(name string) error {
	return &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

// LookupTXT is only used by the library for records. The first is that of the
// domain itself.
func (w *spfWatch) LookupTXT(ctx context.Context, placeholder string) ([]string, error) {
	name, target, isTarget := w.name(ctx, placeholder)
	first := !w.asked
	w.asked = true
	if !isMultiLabel(name) {
		return nil, notFound(name) // RFC 7208 4.3.
	}
	list, err := w.res.LookupTXT(ctx, name)
	if err != nil {
		return nil, dnsError(name, err)
	}
	var records []string
	for _, text := range list {
		if isSPF(text) {
			records = append(records, text)
		}
	}
	if len(records) != 1 {
		if len(records) > 1 {
			w.problem = name + " has several SPF records"
		}
		return records, nil
	}
	record := &spfRecord{text: records[0], domain: name}
	if first {
		w.first, w.decides = record, record
	} else if isTarget && target.term.name == "redirect" && target.owner == w.decides {
		w.decides = record
	}
	terms, problem := parseSPF(record.text)
	if problem != "" {
		w.problem = "record of " + name + ": " + problem
		return []string{"v=spf1 broken"}, nil
	}
	return []string{w.rewrite(ctx, record, terms)}, nil
}

// isMultiLabel reports whether RFC 7208 4.3 lets a name be looked up.
func isMultiLabel(s string) bool {
	labels := 0
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		labels++
	}
	return labels > 1 && len(s) <= maxDomain
}

// rewrite returns a record that means the same to the library.
func (w *spfWatch) rewrite(ctx context.Context, record *spfRecord, terms []spfTerm) string {
	text := []string{"v=spf1"}
	for _, t := range terms {
		switch t.name {
		case "exp":
			record.explanation = t.domain
		case "ip4", "ip6":
			if (t.name == "ip4") == w.macros.peer.Is4() {
				text = append(text, t.text)
			}
		case "all":
			text = append(text, t.text)
		case "ptr":
			// The library compares this one itself.
			if t.domain == "" {
				t.domain = "%{d}"
			}
			domain := w.macros.domain(ctx, t.domain, record.domain)
			if strings.ContainsAny(domain, " %/") || domain == "" {
				domain = "none.invalid" // A name that no host has.
			}
			text = append(text, w.write(t, domain))
		case "a", "mx", "include", "exists", "redirect":
			if t.domain == "" {
				t.domain = "%{d}"
			}
			placeholder := strconv.Itoa(len(w.targets)) + ".target"
			w.targets[placeholder] = spfTarget{t, record}
			text = append(text, w.write(t, placeholder))
		}
	}
	return strings.Join(text, " ")
}

// write writes a term with another domain, and keeps what it was.
func (w *spfWatch) write(t spfTerm, domain string) string {
	field := t.name + t.separator() + domain + t.prefixes
	w.written[field] = t.unqualified()
	return t.qualifier + field
}

// LookupMX is used for the term mx alone.
func (w *spfWatch) LookupMX(ctx context.Context, placeholder string) ([]*net.MX, error) {
	name, _, _ := w.name(ctx, placeholder)
	list, err := w.res.LookupMX(ctx, name)
	if err != nil {
		return nil, dnsError(name, err)
	}
	for i, mx := range list {
		list[i] = &net.MX{Host: strings.TrimSuffix(mx.Host, ".") + ".", Pref: mx.Pref}
	}
	return list, nil
}

// LookupIPAddr is used for the terms a and exists, and for the names that mx
// and ptr lead to.
func (w *spfWatch) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	name, target, isTarget := w.name(ctx, host)
	is4 := w.macros.peer.Is4() || isTarget && target.term.name == "exists" // RFC 7208 5.7.
	addrs, err := w.addresses(ctx, name, is4)
	switch {
	case err != nil:
		return nil, dnsError(name, err)
	case len(addrs) == 0:
		return nil, notFound(name)
	}
	list := make([]net.IPAddr, len(addrs))
	for i, addr := range addrs {
		list[i] = net.IPAddr{IP: addr.AsSlice()}
	}
	return list, nil
}

// addresses looks the addresses of one family up (RFC 7208 5).
func (w *spfWatch) addresses(ctx context.Context, name string, is4 bool) ([]netip.Addr, error) {
	if _, err := netip.ParseAddr(name); err == nil {
		return nil, notFound(name) // Resolvers take an address for its own answer.
	}
	network := "ip6"
	if is4 {
		network = "ip4"
	}
	return lookupFamily(ctx, w.res, network, name)
}

// LookupAddr is used for the term ptr alone.
func (w *spfWatch) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	list, err := w.res.LookupAddr(ctx, addr)
	if err != nil {
		return nil, dnsError(addr, err)
	}
	for i, name := range list {
		list[i] = strings.TrimSuffix(name, ".") + "."
	}
	return list, nil
}

// validated returns those names of the peer that lead back to it (RFC 7208 5.5).
// An error of DNS leaves out what it hits.
func (w *spfWatch) validated(ctx context.Context) []string {
	list, err := w.LookupAddr(ctx, w.macros.peer.String())
	if err != nil {
		return nil
	}
	var names []string
	for _, name := range list[:min(len(list), maxPTR)] {
		name = strings.TrimSuffix(name, ".")
		if addrs, err := w.addresses(ctx, name, w.macros.peer.Is4()); err == nil && slices.Contains(addrs, w.macros.peer) {
			names = append(names, name)
		}
	}
	return names
}

// explain fetches the explanation of a fail (RFC 7208 6.2): that of the record
// that decided, never that of one that was included. Whatever is wrong with it,
// there is none.
func (w *spfWatch) explain(ctx context.Context) string {
	if w.decides.explanation == "" {
		return ""
	}
	name := w.macros.domain(ctx, w.decides.explanation, w.decides.domain)
	list, err := w.res.LookupTXT(ctx, name)
	if err != nil || len(list) != 1 || len(list[0]) > maxSPFRecord {
		return ""
	}
	text, ok := w.macros.explanation(ctx, list[0], w.decides.domain)
	if !ok {
		return ""
	}
	return text
}

// trace finds the term that matched. The library tells it only here; a test
// holds the forms of its messages. An included record is told before the term
// that includes it, so that the last one is that of the domain's own record,
// or of the one that redirect= leads to.
func (w *spfWatch) trace(format string, args ...any) {
	switch format {
	case "%q %v, %v":
		if field, ok := args[0].(string); ok {
			w.matched = field
			if text, ok := w.written[field]; ok {
				w.matched = text
			}
		}
	case "all: %v":
		w.matched = "all"
	case "fallback to neutral":
		w.matched = ""
	}
}
