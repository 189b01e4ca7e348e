package reports_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/receiver/dnszone"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/receiver/reports"
)

// A day of sessions, as each form tells of it.
func TestTLS(t *testing.T) {
	t.Parallel()
	list := reports.TLSReports(outgoing(), query())
	if len(list) != 1 {
		t.Fatalf("%d reports", len(list))
	}
	for name, r := range reporters() {
		text, err := list[0].JSON(r)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+".json", append(text, '\n'))
		if bytes.ContainsAny(text, "\r\n") || !json.Valid(text) {
			t.Errorf("%s is not one line of JSON: %s", name, text)
		}
		f, err := list[0].File(r)
		if err != nil {
			t.Fatal(err)
		}
		if got := unpack(t, f); !bytes.Equal(got, text) || f.Messages != 7 || f.Failures != 4 || f.Records != 2 || f.Type != "application/tlsrpt+gzip" ||
			!strings.HasPrefix(f.Name, r.Domain+"!shop.example!1768435200!1768521599!") || !strings.HasSuffix(f.Name, ".json.gz") ||
			strings.Contains(f.Name, "!001.") != (r.Form == reports.Google) {
			t.Errorf("packed it is %+v", f)
		}
	}
}

// What Google has really sent for a day on which all went well, but for the
// names (gmail-inbound.md 6.2).
func TestTLSOfSuccess(t *testing.T) {
	t.Parallel()
	sessions := make([]mailbox.TLSSession, 48)
	for i := range sessions {
		sessions[i] = session("", "")
	}
	list := reports.TLSReports([]mailbox.Outgoing{{To: "x@shop.example", Sessions: sessions}}, query())
	const want = `{"organization-name":"Google Inc.","date-range":{"start-datetime":"2026-01-15T00:00:00Z","end-datetime":"2026-01-15T23:59:59Z"},` +
		`"contact-info":"smtp-tls-reporting@google.com","report-id":"2026-01-15T00:00:00Z_shop.example","policies":[{"policy":{"policy-type":"no-policy-found",` +
		`"policy-domain":"shop.example"},"summary":{"total-successful-session-count":48,"total-failure-session-count":0}}]}`
	if text, err := list[0].JSON(reports.AsGoogle()); err != nil || string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

// Sessions belong to the day on which they were, not to that of their mail.
func TestTLSDays(t *testing.T) {
	t.Parallel()
	late, later := session("starttls-not-supported", "x"), session("", "")
	late.At, later.At = day().AddDate(0, 0, 2), day().AddDate(0, 0, 1)
	rows := []mailbox.Outgoing{{To: "a@shop.example", Sessions: []mailbox.TLSSession{session("", ""), late}}, {To: "b@shop.example", Sessions: []mailbox.TLSSession{later}}}
	var days []int
	for _, r := range reports.TLSReports(rows, query()) {
		days = append(days, r.Begin.Day())
	}
	if !slices.Equal(days, []int{15, 16, 17}) {
		t.Errorf("days %d", days)
	}
	q := query()
	q.Day = late.At
	if list := reports.TLSReports(rows, q); len(list) != 1 || list[0].Begin.Day() != 17 {
		t.Errorf("of one day: %+v", list)
	}
}

func TestTLSReportURIs(t *testing.T) {
	t.Parallel()
	tests := []struct {
		texts []string
		want  []string
	}{
		{[]string{"v=TLSRPTv1; rua=mailto:a@shop.example"}, []string{"mailto:a@shop.example"}},
		{[]string{"v=TLSRPTv1;rua=mailto:a@shop.example,https://shop.example/x ;"}, []string{"mailto:a@shop.example", "https://shop.example/x"}},
		{[]string{"v=spf1 -all", "v=TLSRPTv1; x=y; rua=mailto:a@shop.example"}, []string{"mailto:a@shop.example"}},
		{[]string{"v=TLSRPTv1; rua=mailto:a@shop.example", "v=TLSRPTv1; rua=mailto:b@shop.example"}, nil},
		{[]string{"v=TLSRPTv1;"}, nil},
		{[]string{"v=TLSRPTv1"}, nil},
		{[]string{"v=TLSRPTv2; rua=mailto:a@shop.example"}, nil},
		{[]string{"rua=mailto:a@shop.example; v=TLSRPTv1"}, nil},
		{nil, nil},
	}
	for _, tt := range tests {
		if got := reports.TLSReportURIs(tt.texts); !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q", tt.texts, got)
		}
	}
}

// Records are read whatever is in them, and give few URIs.
func FuzzTLSReportURIs(f *testing.F) {
	f.Add("v=TLSRPTv1; rua=mailto:a@shop.example,https://shop.example/")
	f.Fuzz(func(t *testing.T, text string) {
		for _, uri := range reports.TLSReportURIs([]string{text, "v=spf1"}) {
			if uri == "" || strings.ContainsAny(uri, ",;") {
				t.Errorf("%q has %q", text, uri)
			}
		}
		if n := len(reports.TLSReportURIs([]string{text})); n > 10 {
			t.Errorf("%d URIs", n)
		}
	})
}

// The mails, field by field.
func TestMails(t *testing.T) {
	t.Parallel()
	a := only(t, mixed(), reports.Google)
	tls := reports.TLSReports(outgoing(), query())[0]
	to := []string{"a@shop.example", "b@shop.example"}
	next := time.Date(2026, 1, 16, 10, 53, 20, 0, time.UTC) // The day after.
	google, rfc := reporters()["google"], reporters()["rfc9990"]
	tests := []struct {
		name  string
		file  func(reports.Reporter) (reports.File, error)
		mail  func(reports.Reporter, reports.File, []string, time.Time) reports.Mail
		r     reports.Reporter
		from  string
		want  []string // "{ID}" and "{FILE}" stand for the report's.
		parts []string
	}{
		{"google dmarc", a.File, a.Mail, google, "noreply-dmarc-support@google.com", []string{
			"MIME-Version: 1.0", "Date: Thu, 15 Jan 2026 15:59:59 -0800", "Message-ID: <{ID}@google.com>",
			"Subject: Report domain: shop.example Submitter: google.com Report-ID: {ID}", "From: noreply-dmarc-support@google.com", "To: a@shop.example,\tb@shop.example",
			"Content-Type: application/zip;\tname=\"{FILE}\"", "Content-Disposition: attachment;\tfilename=\"{FILE}\"", "Content-Transfer-Encoding: base64",
		}, []string{"application/zip"}},
		{"rfc dmarc", a.File, a.Mail, rfc, "noreply-dmarc-support@gmail.test", []string{
			"MIME-Version: 1.0", "Date: Fri, 16 Jan 2026 10:53:20 +0000", "Message-ID: <{ID}@gmail.test>",
			"Subject: Report Domain: shop.example\tSubmitter: gmail.test\tReport-ID: <{ID}>", "From: noreply-dmarc-support@gmail.test", "To: a@shop.example,\tb@shop.example",
			"Content-Type: multipart/mixed; boundary=\"{ID}\"",
		}, []string{"text/plain", "application/gzip"}},
		{"google tls", tls.File, tls.Mail, google, "", []string{
			"MIME-Version: 1.0", "Date: Fri, 16 Jan 2026 02:53:20 -0800", "TLS-Report-Domain: shop.example", "TLS-Report-Submitter: google.com",
			"", "Subject: Report Domain: shop.example Submitter: google.com Report-ID: <2026.01.15T00.00.00Z+shop.example@google.com>",
			"From: noreply-smtp-tls-reporting@google.com", "To: a@shop.example,\tb@shop.example", "",
		}, []string{"text/plain", "application/tlsrpt+gzip"}},
		{"rfc tls", tls.File, tls.Mail, rfc, "noreply-smtp-tls-reporting@gmail.test", []string{
			"MIME-Version: 1.0", "Date: Fri, 16 Jan 2026 10:53:20 +0000", "TLS-Report-Domain: shop.example", "TLS-Report-Submitter: gmail.test",
			"", "Subject: Report Domain: shop.example\tSubmitter: gmail.test\tReport-ID: <2026.01.15T00.00.00Z+shop.example@gmail.test>",
			"From: noreply-smtp-tls-reporting@gmail.test", "To: a@shop.example,\tb@shop.example", "",
		}, []string{"text/plain", "application/tlsrpt+gzip"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, err := tt.file(tt.r)
			if err != nil {
				t.Fatal(err)
			}
			got := tt.mail(tt.r, f, to, next)
			m := message.Parse(got.Raw)
			names := strings.NewReplacer("{ID}", a.ID(tt.r), "{FILE}", f.Name)
			for i, field := range m.Fields {
				if text := field.Name + ": " + field.Unfolded(); i < len(tt.want) && tt.want[i] != "" && text != names.Replace(tt.want[i]) {
					t.Errorf("field %d is %q", i, text)
				}
			}
			parts, problems := m.Parts()
			var kinds []string
			for _, p := range parts {
				kinds = append(kinds, p.Type)
			}
			if len(m.Fields) != len(tt.want) || len(m.Problems)+len(problems) > 0 || !slices.Equal(kinds, tt.parts) {
				t.Errorf("%d fields, parts %q, problems %v, %v\n%s", len(m.Fields), kinds, m.Problems, problems, got.Raw)
			}
			if tt.from != "" && got.From != tt.from || tt.from == "" && !strings.HasSuffix(got.From, "@smtp-tls-reporting.bounces.google.com") || !slices.Equal(got.To, to) {
				t.Errorf("the envelope is from %s to %q", got.From, got.To)
			}
			if last := parts[len(parts)-1]; !bytes.Equal(last.Text, f.Content) {
				t.Error("the report in it is another one")
			}
		})
	}
}

// Sessions that differ in anything are told of apart, in time that grows with
// their number alone.
func TestTLSManyFailures(t *testing.T) {
	t.Parallel()
	const many = 50_000
	sessions := make([]mailbox.TLSSession, 0, 2*many)
	for i := range 2 * many {
		sessions = append(sessions, session("validation-failure", fmt.Sprint(i%many)))
	}
	p := reports.TLSReports([]mailbox.Outgoing{{To: "x@shop.example", Sessions: sessions}}, query())[0].Policies[0]
	if len(p.Failures) != many || p.Failures[7].Count != 2 || p.Failures[7].Problem != "7" {
		t.Errorf("%d failures, one is %+v", len(p.Failures), p.Failures[7])
	}
}

// What is left out is said.
func TestTLSNotes(t *testing.T) {
	t.Parallel()
	var sessions []mailbox.TLSSession
	for i := range reports.MaxReports + 2 {
		s := session("", "")
		s.At, s.Unfetched = day().AddDate(0, 0, i), "mta-sts.shop.example"
		sessions = append(sessions, s, s)
	}
	list := reports.TLSReports([]mailbox.Outgoing{{To: "x@shop.example", Sessions: sessions}}, query())
	unfetched := "the policy at mta-sts.shop.example was not fetched, so there is none here: route mta-sts.shop.example to where it is"
	for i, want := range [][]string{{"2 older reports are left out, since at most 366 are made at once: ask for them by their day", unfetched}, {unfetched}} {
		if f, err := list[i].File(reports.AsGoogle()); err != nil || !slices.Equal(f.Notes, want) {
			t.Errorf("%q, %v", f.Notes, err)
		}
	}
}

// Long records are cut as zone files have to have them, and loaded as they were.
func TestZone(t *testing.T) {
	t.Parallel()
	long := "v=DKIM1; p=" + strings.Repeat("x", 600)
	f := reports.Zone(reports.AsGoogle(), [][2]string{{"s._domainkey.google.com", long}, {"_dmarc.google.com", "v=DMARC1; p=none"}})
	if f.Name != "google.com.zone" || f.Kind != reports.KindZone || !strings.HasPrefix(string(f.Content), "; ") {
		t.Errorf("%+v", f)
	}
	z := dnszone.New()
	if errs := z.Load(f.Name, string(f.Content)); len(errs) > 0 {
		t.Fatal(errs)
	}
	texts, err := dnszone.NewResolver(z, dnszone.Options{}).LookupTXT(t.Context(), "s._domainkey.google.com")
	if err != nil || !slices.Equal(texts, []string{long}) || strings.Contains(string(f.Content), strings.Repeat("x", 256)) {
		t.Errorf("%q, %v", texts, err)
	}
}
