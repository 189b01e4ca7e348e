package reports

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/receiver/mailauth"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
)

// TLS is an SMTP TLS report: of mail to one domain, on one day (RFC 8460).
type TLS struct {
	Domain string
	Window
	Policies []TLSPolicy
	// Unfetched are the hosts whose MTA-STS policy was not asked for, because
	// requests do not go there.
	Unfetched []string
	// Older is how many reports of earlier days were left out.
	Older int
	// found are places in Policies, counted those in the failures of each.
	found   map[string]int
	counted map[tlsKey]int
}

// tlsKey is what failures are told apart by: that of a policy, and all but the
// count.
type tlsKey struct {
	policy int
	TLSFailure
}

// TLSPolicy is how sessions went under one policy.
type TLSPolicy struct {
	mailbox.TLSPolicy
	Successes int
	Failures  []TLSFailure
}

// TLSFailure is in what way some sessions failed, and how many they are.
type TLSFailure struct {
	Result  string // A result type of RFC 8460 4.3.
	From    netip.Addr
	Host    string
	Addr    netip.Addr
	Problem string
	Count   int
}

// failed is how many sessions failed.
func (p TLSPolicy) failed() int {
	n := 0
	for _, f := range p.Failures {
		n += f.Count
	}
	return n
}

// TLSReports counts the sessions in which mail to a domain was sent, or should
// have been, by day and policy.
func TLSReports(rows []mailbox.Outgoing, q Query) []TLS {
	var list []TLS
	days := map[Window]int{} // Places in list.
	for _, row := range rows {
		if message.DomainOf(row.To) != q.Domain {
			continue
		}
		for _, s := range row.Sessions {
			w := Day(s.At)
			if !q.wants(w) {
				continue
			}
			i, ok := days[w]
			if !ok {
				i = len(list)
				days[w] = i
				list = append(list, TLS{Domain: q.Domain, Window: w, found: map[string]int{}, counted: map[tlsKey]int{}})
			}
			list[i].count(s)
		}
	}
	// A mail that was tried for long has sessions on days after those of mails
	// that were sent later.
	slices.SortStableFunc(list, func(a, b TLS) int { return a.Begin.Compare(b.Begin) })
	kept := newest(list)
	if len(kept) > 0 {
		kept[0].Older = len(list) - len(kept)
	}
	return kept
}

func (t *TLS) count(s mailbox.TLSSession) {
	if s.Unfetched != "" && !slices.Contains(t.Unfetched, s.Unfetched) {
		t.Unfetched = append(t.Unfetched, s.Unfetched)
	}
	key := strings.Join(append([]string{s.Policy.Type}, s.Policy.Lines...), "\n") // No line has a line break.
	at, ok := t.found[key]
	if !ok {
		at = len(t.Policies)
		t.found[key] = at
		t.Policies = append(t.Policies, TLSPolicy{TLSPolicy: s.Policy})
	}
	p := &t.Policies[at]
	if s.Result == "" {
		p.Successes++
		return
	}
	f := TLSFailure{Result: s.Result, From: s.From, Host: s.Host, Addr: s.Addr, Problem: clip(s.Problem)}
	i, ok := t.counted[tlsKey{at, f}]
	if !ok {
		i = len(p.Failures)
		t.counted[tlsKey{at, f}] = i
		p.Failures = append(p.Failures, f)
	}
	p.Failures[i].Count++
}

// tlsJSON and what it holds are RFC 8460 4.4, in its order of members.
type tlsJSON struct {
	Organization string    `json:"organization-name"`
	DateRange    dateRange `json:"date-range"`
	Contact      string    `json:"contact-info"`
	ID           string    `json:"report-id"`
	Policies     []tlsPart `json:"policies"`
}

type dateRange struct {
	Start string `json:"start-datetime"`
	End   string `json:"end-datetime"`
}

type tlsPart struct {
	Policy struct {
		Type   string   `json:"policy-type"`
		String []string `json:"policy-string,omitempty"`
		Domain string   `json:"policy-domain"`
		Hosts  []string `json:"mx-host,omitempty"`
	} `json:"policy"`
	Summary struct {
		Successes int `json:"total-successful-session-count"`
		Failures  int `json:"total-failure-session-count"`
	} `json:"summary"`
	Failures []tlsDetail `json:"failure-details,omitempty"`
}

type tlsDetail struct {
	Result  string     `json:"result-type"`
	From    netip.Addr `json:"sending-mta-ip,omitzero"`
	Host    string     `json:"receiving-mx-hostname,omitempty"`
	Addr    netip.Addr `json:"receiving-ip,omitzero"`
	Count   int        `json:"failed-session-count"`
	Problem string     `json:"failure-reason-code,omitempty"`
}

// JSON writes the report on one line.
func (t TLS) JSON(r Reporter) ([]byte, error) {
	report := tlsJSON{
		Organization: r.Organization, Contact: r.tlsContact(), ID: t.Begin.Format(time.RFC3339) + "_" + t.Domain,
		DateRange: dateRange{t.Begin.Format(time.RFC3339), t.End.Format(time.RFC3339)}, Policies: []tlsPart{},
	}
	for _, p := range t.Policies {
		var part tlsPart
		part.Policy.Type, part.Policy.String, part.Policy.Domain, part.Policy.Hosts = p.Type, p.Lines, t.Domain, p.Hosts
		part.Summary.Successes, part.Summary.Failures = p.Successes, p.failed()
		for _, f := range p.Failures {
			part.Failures = append(part.Failures, tlsDetail{f.Result, f.From, f.Host, f.Addr, f.Count, f.Problem})
		}
		report.Policies = append(report.Policies, part)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(report); err != nil {
		return nil, fmt.Errorf("writing a TLS report: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// File returns the report, packed.
func (t TLS) File(r Reporter) (File, error) {
	f := File{
		Name: r.stem(t.Domain, t.Window) + "!001.json.gz", Type: "application/tlsrpt+gzip",
		Kind: KindTLS, Form: r.Form, Domain: t.Domain, Window: t.Window, Records: len(t.Policies), Notes: left(t.Older),
	}
	if r.Form == RFC9990 {
		// Who has the same name in both forms needs another one here.
		f.Name = r.stem(t.Domain, t.Window) + "!" + t.id(r) + ".json.gz"
	}
	for _, host := range t.Unfetched {
		f.Notes = append(f.Notes, "the policy at "+host+" was not fetched, so there is none here: route "+host+" to where it is")
	}
	for _, p := range t.Policies {
		f.Messages += p.Successes + p.failed()
		f.Failures += p.failed()
	}
	text, err := t.JSON(r)
	if err != nil {
		return f, err
	}
	f.Content, err = gzipped(text)
	return f, err
}

// id is the number of the report.
func (t TLS) id(r Reporter) string { return r.id("tls", t.Domain, fmt.Sprint(t.key())) }

// Mail returns the mail that brings the report to some mailboxes, as it is sent
// at a time of the provider's clock.
func (t TLS) Mail(r Reporter, f File, to []string, at time.Time) Mail {
	id := t.id(r)
	m := Mail{
		From: r.tlsFrom(), To: to,
		Signed: []string{"To", "From", "Subject", "Message-ID", "TLS-Report-Submitter", "TLS-Report-Domain", "Date", "MIME-Version", "Content-Type", "From"},
	}
	w := &mailWriter{}
	date, fold := at.UTC(), "\r\n\t"
	if r.Form == Google {
		date, fold = mailauth.Pacific(at), " "
		m.From = id + "@smtp-tls-reporting.bounces." + r.Domain
	}
	w.field("MIME-Version", "1.0")
	w.field("Date", date.Format(dateForm))
	w.field("TLS-Report-Domain", t.Domain)
	w.field("TLS-Report-Submitter", r.Domain)
	number, _ := strconv.ParseUint(id, 10, 64) // It is a number.
	part := fmt.Sprintf("%016x", number)
	w.field("Message-ID", fmt.Sprintf("<%08x.%s.%s.%stls@%s>", at.Unix(), part[:8], part[8:12], part[12:], r.Domain))
	w.field("Subject", "Report Domain: "+t.Domain+fold+"Submitter: "+r.Domain+fold+
		"Report-ID: <"+t.Begin.Format("2006.01.02T15.04.05Z")+"+"+t.Domain+"@"+r.Domain+">")
	w.field("From", r.tlsFrom())
	w.field("To", strings.Join(to, ",\r\n\t"))
	w.multipart("multipart/report; report-type=tlsrpt", id, "This is an aggregate TLS report from "+r.Domain, f)
	m.Raw = w.b.Bytes()
	return m
}

// TLSReportURIs are the URIs at which a domain asks for TLS reports, by the TXT
// records at its name "_smtp._tls": there has to be exactly one (RFC 8460 3).
func TLSReportURIs(texts []string) []string {
	var found []string
	for i, text := range texts {
		version, rest, ok := strings.Cut(text, ";")
		name, value, _ := strings.Cut(version, "=")
		if !ok || i >= maxTLSRecords || strings.TrimSpace(name) != "v" || strings.TrimSpace(value) != "TLSRPTv1" {
			continue
		}
		found = append(found, rest)
	}
	if len(found) != 1 {
		return nil
	}
	for field := range strings.SplitSeq(found[0], ";") {
		name, value, _ := strings.Cut(field, "=")
		if strings.TrimSpace(name) != "rua" {
			continue
		}
		var list []string
		for uri := range strings.SplitSeq(value, ",") {
			if uri = strings.TrimSpace(uri); uri != "" && len(list) < maxTLSRecords {
				list = append(list, uri)
			}
		}
		return list
	}
	return nil
}

// maxTLSRecords bounds the records that are looked at, and the URIs of one.
const maxTLSRecords = 10
