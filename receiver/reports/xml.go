package reports

import (
	"bytes"
	"encoding/xml"
	"strconv"
	"strings"
)

// namespace is that of RFC 9990 6.1.
const namespace = "urn:ietf:params:xml:ns:dmarc-2.0"

// XML writes an aggregate report. The order of elements is Google's, or that of
// the schema of RFC 9990 appendix A.
func (a Aggregate) XML(r Reporter) []byte {
	w := &xmlWriter{}
	if r.Form == Google {
		w.line(`<?xml version="1.0" encoding="UTF-8" ?>`)
		w.line("<feedback>")
	} else {
		w.line(`<?xml version="1.0" encoding="UTF-8"?>`)
		w.line(`<feedback xmlns="` + namespace + `">`)
	}
	w.depth++
	w.text("version", "1.0")
	w.in("report_metadata", func() {
		w.text("org_name", r.Domain)
		w.text("email", r.dmarcFrom())
		w.text("report_id", a.ID(r))
		w.in("date_range", func() {
			w.text("begin", strconv.FormatInt(a.Begin.Unix(), 10))
			w.text("end", strconv.FormatInt(a.End.Unix(), 10))
		})
		if r.Form == RFC9990 {
			w.optional("error", a.Error)
			w.optional("generator", r.Generator)
		}
	})
	w.in("policy_published", func() { w.published(a, r.Form) })
	for _, rec := range a.Records {
		w.in("record", func() { w.record(rec, r.Form) })
	}
	w.depth--
	w.line("</feedback>")
	return w.b.Bytes()
}

func (w *xmlWriter) published(a Aggregate, form Form) {
	p := a.Published
	w.text("domain", a.Domain)
	if form == Google {
		w.text("adkim", p.ADKIM)
		w.text("aspf", p.ASPF)
		w.text("p", p.P)
		w.text("sp", p.SP)
		w.text("pct", "100")
		w.text("np", p.NP)
		return
	}
	w.text("p", p.P)
	w.text("sp", p.SP)
	w.text("np", p.NP)
	w.text("adkim", p.ADKIM)
	w.text("aspf", p.ASPF)
	w.text("discovery_method", p.Discovery)
	w.text("fo", p.FO)
	w.text("testing", map[bool]string{false: "n", true: "y"}[p.Testing])
}

func (w *xmlWriter) record(r Record, form Form) {
	w.in("row", func() {
		w.text("source_ip", r.Source.String())
		w.text("count", strconv.Itoa(r.Count))
		w.in("policy_evaluated", func() {
			w.text("disposition", string(r.Disposition))
			w.text("dkim", passed(r.DKIM))
			w.text("spf", passed(r.SPF))
			for _, reason := range r.Reasons {
				w.in("reason", func() {
					w.text("type", reason.Type)
					w.optional("comment", reason.Comment)
				})
			}
		})
	})
	w.in("identifiers", func() {
		w.text("header_from", r.HeaderFrom)
		if form == RFC9990 {
			w.text("envelope_from", r.EnvelopeFrom)
			w.text("envelope_to", r.EnvelopeTo)
		}
	})
	w.in("auth_results", func() {
		for _, s := range r.Signatures {
			w.in("dkim", func() {
				w.text("domain", s.Domain)
				if form == Google {
					w.text("result", string(s.Result))
					w.text("selector", s.Selector)
					return
				}
				w.text("selector", s.Selector)
				w.text("result", string(s.Result))
			})
		}
		if r.SPFDomain == "" {
			return
		}
		w.in("spf", func() {
			w.text("domain", r.SPFDomain)
			if form == RFC9990 {
				w.text("scope", "mfrom")
			}
			w.text("result", string(r.SPFResult))
		})
	})
}

// xmlWriter writes elements, indented by two spaces.
type xmlWriter struct {
	b     bytes.Buffer
	depth int
}

func (w *xmlWriter) line(s string) {
	w.b.WriteString(strings.Repeat("  ", w.depth))
	w.b.WriteString(s)
	w.b.WriteByte('\n')
}

// in writes an element that holds others.
func (w *xmlWriter) in(name string, inside func()) {
	w.line("<" + name + ">")
	w.depth++
	inside()
	w.depth--
	w.line("</" + name + ">")
}

// text writes an element that holds text.
func (w *xmlWriter) text(name, value string) {
	w.line("<" + name + ">" + escaped(value) + "</" + name + ">")
}

// optional writes it unless there is no text.
func (w *xmlWriter) optional(name, value string) {
	if value != "" {
		w.text(name, value)
	}
}

// escaped is a text without what XML 1.0 section 2.2 does not allow.
func escaped(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\t', r == '\n', r == '\r', r >= 0x20 && r <= 0xd7ff, r >= 0xe000 && r <= 0xfffd, r >= 0x10000:
			return r
		}
		return -1
	}, strings.ToValidUTF8(s, ""))
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // A strings.Builder takes everything.
	return b.String()
}
