package provider_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/receiver/dnszone"
	"github.com/doppelbox/doppelbox/receiver/reports"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// What the sender asks of reports.
const (
	reportRecord = "v=DMARC1; p=reject; rua=mailto:dmarc@shop.example,mailto:shop@agg.example,mailto:x@stranger.example,https://shop.example/"
	reportZone   = `shop.example._report._dmarc.agg.example. TXT "v=DMARC1"
_smtp._tls.shop.example. TXT "v=TLSRPTv1; rua=mailto:tls@anywhere.example"
`
)

// newReporting is newSealing with a DMARC record of the sender's and more in the
// zone.
func newReporting(t *testing.T, record, zone string) *provider.Provider {
	t.Helper()
	p := newSealing(t, provider.Options{})
	if err := p.Zone().SetTXT("_dmarc.shop.example", record); err != nil {
		t.Fatal(err)
	}
	if errs := p.Zone().Load("zone", zone); len(errs) > 0 {
		t.Fatal(errs)
	}
	return p
}

func report(t *testing.T, p *provider.Provider, q provider.ReportQuery) []reports.File {
	t.Helper()
	list, err := p.Reports(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// content returns what a packed report has in it.
func content(t *testing.T, f reports.File) string {
	t.Helper()
	var in io.Reader
	if strings.HasSuffix(f.Name, ".zip") {
		z, err := zip.NewReader(bytes.NewReader(f.Content), int64(len(f.Content)))
		if err != nil || len(z.File) != 1 {
			t.Fatal(err)
		}
		file, err := z.File[0].Open()
		if err != nil {
			t.Fatal(err)
		}
		in = file
	} else {
		z, err := gzip.NewReader(bytes.NewReader(f.Content))
		if err != nil {
			t.Fatal(err)
		}
		in = z
	}
	text, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// kinds says of each file what it is.
func kinds(list []reports.File) string {
	var words []string
	for _, f := range list {
		words = append(words, string(f.Form)+"/"+string(f.Kind))
	}
	return strings.Join(words, " ")
}

// The reports of a day on which mail came from a domain and went to it, and the
// mails that would bring them: these pass DMARC themselves.
func TestReports(t *testing.T) {
	t.Parallel()
	p := newReporting(t, reportRecord, reportZone)
	addSink(t, p, provider.Sink{Domain: "shop.example"})
	configure(t, p, alice, provider.Settings{Forward: "back@shop.example"})
	delivered(t, p, sign(t, p, note("")))
	deliverFrom(t, p, "203.0.113.66", "x@evil.example", note(""), alice)
	advance(t, p, 24*time.Hour)
	list := report(t, p, provider.ReportQuery{Domain: "Shop.Example."})
	if got := kinds(list); got != "google/dmarc google/mail google/tls google/mail rfc9990/dmarc rfc9990/mail rfc9990/tls rfc9990/mail google/zone rfc9990/zone" {
		t.Fatalf("got %s", got)
	}
	notes := []string{
		"no mail to mailto:x@stranger.example: it is of another organisation, which does not permit it: there is no TXT v=DMARC1 at shop.example._report._dmarc.stranger.example",
		"no mail to https://shop.example/: it is no mailto URI, and reports go by mail",
		"verdicts are only observed here: what they refuse was taken, and is reported as they say",
	}
	// They have published nothing, but say what has to be.
	for _, zone := range list[8:] {
		if _, err := dnszone.NewResolver(p.Zone(), dnszone.Options{}).LookupTXT(t.Context(), "_dmarc."+zone.Domain); err == nil || zone.Name != zone.Domain+".zone" {
			t.Errorf("%s: the world's zone has a DMARC record of %s: %v", zone.Name, zone.Domain, err)
		}
	}
	again := report(t, p, provider.ReportQuery{Domain: "shop.example"})
	for _, zone := range list[8:] {
		loadZone(t, p, string(zone.Content))
	}
	if f := list[0]; f.Name != "google.com!shop.example!1768435200!1768521599.zip" || f.Records != 2 || f.Messages != 2 || f.Failures != 1 || !slices.Equal(f.Notes, notes) {
		t.Errorf("got %d records of %d messages, %q", f.Records, f.Messages, f.Notes)
	}
	if text := content(t, list[0]); !strings.Contains(text, "<source_ip>203.0.113.66</source_ip>") || !strings.Contains(text, "<disposition>reject</disposition>") {
		t.Errorf("the report is\n%s", text)
	}
	if text := content(t, list[2]); !strings.Contains(text, `"total-successful-session-count":1,"total-failure-session-count":0`) {
		t.Errorf("the TLS report is\n%s", text)
	}
	for _, f := range list {
		if f.Kind != reports.KindMail {
			continue
		}
		to := []string{"dmarc@shop.example", "shop@agg.example"}
		if strings.Contains(f.Name, ".json.gz") {
			to = []string{"tls@anywhere.example"}
		}
		auth := authenticate(t, p, policy.Arrival{}, f.Content)
		want := map[reports.Form]string{reports.Google: "google.com", reports.RFC9990: "gmail.test"}[f.Form]
		if auth.DMARC.Result != policy.AuthPass || auth.DMARC.Domain != want || !auth.DMARC.DKIMAligned || auth.DKIM[0].Uncovered > 0 {
			t.Errorf("%s: DMARC of %s is %s: %s, %+v", f.Name, auth.DMARC.Domain, auth.DMARC.Result, auth.DMARC.Problem, auth.DKIM)
		}
		if !slices.Equal(f.To, to) || len(message.Parse(f.Content).Header().Problems) > 0 {
			t.Errorf("%s goes to %q, problems %v", f.Name, f.To, message.Parse(f.Content).Header().Problems)
		}
	}
	// Made again, it is the same; and its mail at least has the same name.
	for i := range list {
		if again[i].Name != list[i].Name || list[i].Kind != reports.KindMail && !bytes.Equal(again[i].Content, list[i].Content) {
			t.Errorf("%s becomes %s", list[i].Name, again[i].Name)
		}
	}
}

// What there is not is said.
func TestReportsWithout(t *testing.T) {
	t.Parallel()
	p := newReporting(t, "v=DMARC1; p=none", "")
	var none *reports.NoTrafficError
	if _, err := p.Reports(t.Context(), provider.ReportQuery{Domain: "shop.example"}); !errors.As(err, &none) || len(none.Elsewhere) > 0 {
		t.Errorf("without mail: %v", err)
	}
	delivered(t, p, bytes.Replace(sign(t, p, note("")), []byte("noreply@shop.example"), []byte("a@news.shop.example"), 1))
	if _, err := p.Reports(t.Context(), provider.ReportQuery{Domain: "news.shop.example"}); !errors.As(err, &none) || !slices.Equal(none.Elsewhere, []string{"shop.example"}) {
		t.Errorf("of a subdomain: %v", err)
	}
	if _, err := p.Reports(t.Context(), provider.ReportQuery{Domain: "shop.example", Day: start().AddDate(0, 0, 1)}); !errors.As(err, &none) {
		t.Errorf("of another day: %v", err)
	}
	if _, err := p.Reports(t.Context(), provider.ReportQuery{Domain: "not a domain"}); !errors.Is(err, provider.ErrDomain) {
		t.Errorf("of no domain: %v", err)
	}
	if _, err := p.Reports(t.Context(), provider.ReportQuery{Domain: "shop.example", Form: "x"}); err == nil {
		t.Error("an unknown form is taken")
	}
	list := report(t, p, provider.ReportQuery{Domain: "shop.example", Form: reports.RFC9990, Day: start()})
	want := []string{"no mail: the DMARC record of shop.example has no rua=", "verdicts are only observed here: what they refuse was taken, and is reported as they say", "the day is not over: it is counted up to 2026-01-15T09:00:00Z"}
	if len(list) != 1 || !slices.Equal(list[0].Notes, want) {
		t.Errorf("%s: %q", kinds(list), list[0].Notes)
	}
}

// Each provider of a world reports of its own mail, and only the first one as
// Google.
func TestReportsOfSeveralProviders(t *testing.T) {
	t.Parallel()
	p, other := newPair(t, provider.Options{})
	configure(t, p, alice, provider.Settings{Forward: carol})
	delivered(t, p, sign(t, p, note("")))
	var names []string
	for _, f := range report(t, p, provider.ReportQuery{Domain: "shop.example"}) {
		names = append(names, f.Name[:strings.Index(f.Name, "!1768")])
	}
	if want := []string{"google.com!shop.example", "gmail.test!shop.example", "other.test!shop.example", "other.test!shop.example"}; !slices.Equal(names, want) {
		t.Errorf("got %q", names)
	}
	// One message, whose accounts at the first provider are not stored one after
	// the other.
	configure(t, p, bob, provider.Settings{})
	deliver(t, p, note("X-Two: yes\r\n"), alice, carol, bob)
	for i, want := range []int{2, 3} { // Both are forwarded to the second one, which got one itself, too.
		if list := report(t, p, provider.ReportQuery{Domain: "shop.example", Form: reports.Google}); list[i].Messages != want {
			t.Errorf("%s tells of %d messages", list[i].Name, list[i].Messages)
		}
	}
	// One that has the same name in both forms has no file of the same name.
	addSink(t, p, provider.Sink{Domain: "shop.example"})
	configure(t, p, carol, provider.Settings{Forward: "back@shop.example"})
	deliver(t, p, note("X-Three: yes\r\n"), carol)
	seen := map[string]bool{}
	for _, f := range report(t, p, provider.ReportQuery{Domain: "shop.example"}) {
		if seen[f.Name] {
			t.Errorf("%s comes twice", f.Name)
		}
		seen[f.Name] = true
	}
	if len(seen) < 6 {
		t.Errorf("%d files", len(seen))
	}
	list := report(t, other, provider.ReportQuery{Domain: "other.test", Form: reports.RFC9990})
	if got := kinds(list); got != "rfc9990/tls" || list[0].Notes[0] != "no mail: there is no TXT v=TLSRPTv1 with rua= at _smtp._tls.other.test" {
		t.Errorf("got %s: %q", got, list[0].Notes)
	}
}

// Mail that DMARC would take, and that is refused because a bulk sender has not
// signed it, is told of as Google does.
func TestReportsOfSenderRequirement(t *testing.T) {
	t.Parallel()
	p := newReporting(t, reportRecord, "")
	if err := p.DeclareSender("shop.example", true); err != nil {
		t.Fatal(err)
	}
	d, err := p.Deliver(t.Context(), netip.MustParseAddr(senderPeer), provider.Mail{HELO: "mail.shop.example", From: "bounce@shop.example", To: []string{alice}, Raw: note("")}, true)
	if err != nil || len(d.Messages) != 1 || d.Messages[0].Verdict.Decider != "bulk-dkim" {
		t.Fatalf("%v, %+v", err, d.Messages[0].Verdict.Decider)
	}
	r := d.Messages[0].Verdict.Reply
	want := fmt.Sprintf("<disposition>none</disposition>\n        <dkim>fail</dkim>\n        <spf>pass</spf>\n        <reason>\n"+
		"          <type>local_policy</type>\n          <comment>Sender requirement failed: %d-%s</comment>\n        </reason>", r.Code, r.Enhanced)
	if text := content(t, report(t, p, provider.ReportQuery{Domain: "shop.example", Form: reports.Google})[0]); !strings.HasSuffix(r.Enhanced, ".7.30") || !strings.Contains(text, want) {
		t.Errorf("%s:\n%s", r.Enhanced, text)
	}
}

// A report says what is not in it.
func TestReportsIncomplete(t *testing.T) {
	t.Parallel()
	p := newReporting(t, reportRecord, "_mta-sts.shop.example. TXT \"v=STSv1; id=1\"\n")
	p.Enforce(true)
	addSink(t, p, provider.Sink{Domain: "shop.example", TLS: provider.SinkTLSName})
	configure(t, p, alice, provider.Settings{Forward: "back@shop.example"})
	delivered(t, p, sign(t, p, note("")))
	const unfetched = "the policy at mta-sts.shop.example was not fetched, so there is none here: route mta-sts.shop.example to where it is"
	tlsReport := func() reports.File {
		t.Helper()
		list := report(t, p, provider.ReportQuery{Domain: "shop.example", Form: reports.Google})
		at := slices.IndexFunc(list, func(f reports.File) bool { return f.Kind == reports.KindTLS })
		if at < 0 {
			t.Fatal(kinds(list))
		}
		for _, f := range list {
			if f.Kind == reports.KindDMARC && slices.ContainsFunc(f.Notes, func(n string) bool { return strings.Contains(n, "observed") || strings.Contains(n, "forgotten") }) {
				t.Errorf("%s: %q", f.Name, f.Notes)
			}
		}
		return list[at]
	}
	f := tlsReport()
	if !slices.Contains(f.Notes, unfetched) || !strings.Contains(content(t, f), `"result-type":"certificate-host-mismatch"`) {
		t.Errorf("%q\n%s", f.Notes, content(t, f))
	}
	for i := range 1000 {
		o := outgoing(t, p)[0]
		o.ID = fmt.Sprintf("x%d", i)
		if err := p.Store().PutOutgoing(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	if f := tlsReport(); !slices.Contains(f.Notes, "the store has forgotten 1 older outgoing mails, which may be missing here") {
		t.Errorf("%q", f.Notes)
	}
}
