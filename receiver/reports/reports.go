// Package reports writes what a receiver tells domain owners of their mail:
// DMARC aggregate reports of what came (RFC 9990), and SMTP TLS reports of how
// mail to them went (RFC 8460), each as Google writes them and as the RFCs do.
//
// It counts rows of the store and looks nothing up: whether an address may get
// reports is the caller's to find out. It signs nothing and sends nothing.
package reports

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Form is how reports are written.
type Form string

// The forms.
const (
	Google  Form = "google"  // As Google does (gmail-inbound.md 6.1, 6.2).
	RFC9990 Form = "rfc9990" // As RFC 9990 and RFC 8460 say.
)

// Kind is what a file is.
type Kind string

// The kinds.
const (
	KindDMARC Kind = "dmarc" // A DMARC aggregate report.
	KindTLS   Kind = "tls"   // An SMTP TLS report.
	KindMail  Kind = "mail"  // The mail that brings a report.
	KindZone  Kind = "zone"  // DNS records by which such mails are authenticated.
)

// File is a report, the mail that brings one, or what DNS has to have for that.
type File struct {
	Name    string `json:"name"` // Without folders; the same whenever the same report is made again.
	Type    string `json:"type"` // Media type.
	Content []byte `json:"content"`
	Kind    Kind   `json:"kind"`
	Form    Form   `json:"form"`
	Domain  string `json:"domain"` // What it is about: the policy domain. Of a zone, that of the mails.
	Window         // Zero of a zone.
	// Records is how many records or policies a report has, Messages how many
	// messages or TLS sessions they count, Failures how many of these failed.
	Records  int `json:"records,omitempty"`
	Messages int `json:"messages,omitempty"`
	Failures int `json:"failures,omitempty"`
	// From and To are the envelope of a mail; a report has none.
	From string   `json:"from,omitempty"`
	To   []string `json:"to,omitempty"`
	// Notes say what should be known of a report, such as why it goes to nobody.
	Notes []string `json:"notes,omitempty"`
}

// Zone returns DNS records of a reporter as a file: TXT records, by the names
// that have them.
func Zone(r Reporter, records [][2]string) File {
	const maxString = 255 // RFC 1035 3.3.
	var b strings.Builder
	b.WriteString(zoneStart + r.Domain + "\n")
	for _, rec := range records {
		b.WriteString(rec[0] + ". TXT")
		for text := range slices.Chunk([]byte(rec[1]), maxString) {
			fmt.Fprintf(&b, " %q", text)
		}
		b.WriteString("\n")
	}
	return File{Name: r.Domain + ".zone", Type: "text/dns", Content: []byte(b.String()), Kind: KindZone, Form: r.Form, Domain: r.Domain}
}

// zoneStart is how the first line of a zone begins.
const zoneStart = "; What lets the mails of reports pass DMARC that are from "

// Window is the time that a report is about: a day of UTC.
type Window struct {
	Begin time.Time `json:"begin,omitzero"`
	End   time.Time `json:"end,omitzero"` // Its last second.
}

// Day returns the window that a time is in.
func Day(t time.Time) Window {
	begin := t.UTC().Truncate(24 * time.Hour)
	return Window{Begin: begin, End: begin.Add(24*time.Hour - time.Second)}
}

// key is what windows are compared by.
func (w Window) key() int64 { return w.Begin.Unix() }

// Query selects what reports are about.
type Query struct {
	Domain string    // The policy domain, in lower case and A-labels.
	Day    time.Time // Any time of the one day; zero is all days.
}

func (q Query) wants(w Window) bool { return q.Day.IsZero() || Day(q.Day) == w }

// MaxReports bounds how many reports of one kind are made at once: one a day
// for a year. The newest are kept.
const MaxReports = 366

// newest leaves out the oldest of a list beyond MaxReports.
func newest[T any](list []T) []T { return list[max(0, len(list)-MaxReports):] }

// left notes reports that were left out, on the oldest one that was kept.
func left(older int) []string {
	if older == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d older reports are left out, since at most %d are made at once: ask for them by their day", older, MaxReports)}
}

// NoTrafficError says that there is nothing to report on a domain.
type NoTrafficError struct {
	Domain string
	Day    time.Time // Zero is all days.
	// Elsewhere are the policy domains whose reports tell of mail from the
	// domain, if it has no policy of its own.
	Elsewhere []string
	// Pending says that there is mail on its way, which is not counted.
	Pending bool
}

// PendingNote says that mail was not waited for any longer.
const PendingNote = "mail that is still on its way is not counted"

// Error implements error.
func (e *NoTrafficError) Error() string {
	text := "there is nothing to report on " + e.Domain
	if !e.Day.IsZero() {
		text += " of " + e.Day.UTC().Format(time.DateOnly)
	}
	text += ": no mail came for which it has the DMARC policy, and no mail went to it"
	if len(e.Elsewhere) > 0 {
		text += "; mail from it is told of in the reports on " + strings.Join(e.Elsewhere, ", ")
	}
	if e.Pending {
		text += "; " + PendingNote
	}
	return text
}

// Reporter is who writes reports.
type Reporter struct {
	Form Form
	// Domain names it in reports, and is that of its mail.
	Domain string
	// Organization is its name in TLS reports.
	Organization string
	// Generator names the program, where a form has room for it.
	Generator string
}

// googleDomain is who Google's reports are from.
const googleDomain = "google.com"

// AsGoogle is the reporter of Google's own reports.
func AsGoogle() Reporter {
	return Reporter{Form: Google, Domain: googleDomain, Organization: "Google Inc."}
}

// dmarcFrom, tlsFrom and tlsContact are the addresses that reports name
// (gmail-inbound.md 6.1, 6.2).
func (r Reporter) dmarcFrom() string  { return "noreply-dmarc-support@" + r.Domain }
func (r Reporter) tlsFrom() string    { return "noreply-smtp-tls-reporting@" + r.Domain }
func (r Reporter) tlsContact() string { return "smtp-tls-reporting@" + r.Domain }

// id is the number of a report: nineteen digits, always the same ones for the
// same parts.
func (r Reporter) id(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(append(parts, r.Domain, string(r.Form)), "\x00")))
	const low = 1_000_000_000_000_000_000
	return strconv.FormatUint(low+binary.BigEndian.Uint64(sum[:])%(9*low), 10)
}

// stem is the beginning of a report's file name (RFC 9990 3.5.2, RFC 8460 5.1).
func (r Reporter) stem(domain string, w Window) string {
	return fmt.Sprintf("%s!%s!%d!%d", r.Domain, domain, w.Begin.Unix(), w.End.Unix())
}

// maxText bounds each text in a report that others have written, in octets.
const maxText = 1000

// clip shortens a text to maxText.
func clip(s string) string {
	if len(s) > maxText {
		return s[:maxText]
	}
	return s
}
