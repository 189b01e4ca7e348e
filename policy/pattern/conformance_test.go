package pattern_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/markup"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/policy/pattern"
	"github.com/doppelbox/doppelbox/testdata/conformance"
)

func read(t *testing.T, path ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), "\r\n") {
		data = []byte(strings.ReplaceAll(string(data), "\n", "\r\n"))
	}
	return data
}

// classify classifies a message for an account, with what authentication found.
func classify(raw []byte, account policy.Account, change func(*pattern.Trail)) policy.Access {
	m := message.Parse(raw)
	header := m.Header()
	t := pattern.Trail{
		Arrival: policy.Arrival{Channel: policy.ChannelSMTP, Rcpt: account.Address}, Account: account, Header: header,
		Message: m, Enclosed: markup.Extract(m).Enclosed,
	}
	if len(header.From) > 0 {
		t.Auth.DMARC = policy.DMARC{Domain: header.From[0].Domain, OrgDomain: header.From[0].Domain}
	}
	change(&t)
	return pattern.Classify(t)
}

// direct lets SPF pass for From's own domain: the message comes from its own
// server.
func direct(t *pattern.Trail) {
	d := t.Auth.DMARC.Domain
	t.Auth.SPF = policy.SPF{Result: policy.AuthPass, Domain: d, OrgDomain: t.Auth.DMARC.OrgDomain}
}

// TestConformanceManual classifies the forwards of all clients and languages.
func TestConformanceManual(t *testing.T) {
	t.Parallel()
	dir := conformance.Path(t, "forward/email-forward-parser/fixtures")
	bodies, err := filepath.Glob(filepath.Join(dir, "*_body*.txt"))
	if err != nil || len(bodies) < 100 {
		t.Fatalf("%d bodies, %v", len(bodies), err)
	}
	for _, path := range bodies {
		subject, want := "Integer consequat non purus", policy.PatternManualForward
		switch {
		case strings.Contains(path, "_en_body_variant_4"):
			subject, want = "Re: "+subject, policy.PatternDirect // Replies, of all clients.
		case strings.Contains(path, "outlook"):
			subject = "FW: " + subject // Outlook's text alone does not tell forwards from replies.
		}
		raw := "From: bob@corp.example\r\nTo: alice@gmail.test\r\nSubject: " + subject +
			"\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + string(read(t, path))
		for name, auth := range map[string]func(*pattern.Trail){"direct": direct, "unauthenticated": func(*pattern.Trail) {}} {
			if a := classify([]byte(raw), policy.Account{Address: "alice@gmail.test"}, auth); a.Pattern != want {
				t.Errorf("%s, %s: %s", filepath.Base(path), name, a.Pattern)
			}
		}
	}
	conformance.Report(t, "forward/email-forward-parser, access pattern", len(bodies), 0)
}

// below returns a message as the last provider got it: without the fields that
// this one put on top, the last of which is its Authentication-Results.
func below(t *testing.T, raw []byte) (rest []byte, results, mailFrom string) {
	t.Helper()
	m := message.Parse(raw)
	size := 0
	for _, f := range m.Fields {
		size += len(f.Raw)
		if f.Is("Return-Path") {
			mailFrom = strings.Trim(f.Unfolded(), "<>")
		}
		if f.Is("Authentication-Results") {
			return raw[size:], f.Unfolded(), mailFrom
		}
	}
	t.Fatal("no Authentication-Results")
	return nil, "", ""
}

var dkimResult = regexp.MustCompile(`dkim=(\w+) .*?header\.i=@([^ ;]+) header\.s=([^ ;]+)`)

// TestConformanceAutoForward classifies genuine forwards of Gmail's to Gmail, with
// the results that the second one has written down.
func TestConformanceAutoForward(t *testing.T) {
	t.Parallel()
	dir := conformance.Path(t, "forward/mailauth")
	cases := []struct {
		file    string
		aligned bool // A signature of From's own domain passes: those of zonevs.eu are not zone.ee's.
	}{
		{"arc-pass.eml", true},
		{"arc-pass2.eml", false},
		{"arc-fail.eml", false},
		{"arc-fail2.eml", false},
		{"arc-fail3.eml", true}, // Only its chain was tampered with.
	}
	conformance.Report(t, "forward/mailauth, access pattern", len(cases), 0)
	for _, tt := range cases {
		raw, results, mailFrom := below(t, read(t, dir, tt.file))
		m := message.Parse(raw)
		auth := func(tr *pattern.Trail) {
			tr.Arrival.MailFrom = mailFrom
			tr.Auth.SPF = policy.SPF{Result: policy.AuthNeutral, Domain: message.DomainOf(mailFrom), OrgDomain: message.DomainOf(mailFrom)}
			for _, found := range dkimResult.FindAllStringSubmatch(results, -1) {
				d := policy.DKIM{Result: policy.AuthResult(found[1]), Domain: found[2], OrgDomain: found[2]}
				for _, f := range m.All("DKIM-Signature") {
					tags := strings.Join(strings.Fields(f.Value), "")
					if strings.Contains(tags, "d="+found[2]+";") {
						_, h, _ := strings.Cut(tags, ";h=")
						h, _, _ = strings.Cut(h, ";")
						d.Headers = strings.Split(strings.ToLower(h), ":")
					}
				}
				tr.Auth.DKIM = append(tr.Auth.DKIM, d)
			}
		}
		original, _ := m.Get("Delivered-To")
		verified := policy.SendAs{Address: original.Unfolded(), Verified: true}
		for _, account := range []policy.Account{{Address: targetOf(mailFrom)}, {Address: targetOf(mailFrom), SendAs: []policy.SendAs{verified}}} {
			a := classify(raw, account, auth)
			if a.Pattern != policy.PatternAutoForward || a.Forward.Style != policy.ForwardCAF || !slices.Contains(a.Forward.Claimed, original.Unfolded()) {
				t.Errorf("%s: %+v %+v", tt.file, a, a.Forward)
				continue
			}
			// SPF was neutral for the envelope, so that only the author's signature
			// over To can prove the address.
			if got, want := a.Forward.SendAs != "", tt.aligned && len(account.SendAs) > 0; got != want {
				t.Errorf("%s with %v: sendas = %q", tt.file, account.SendAs, a.Forward.SendAs)
			}
		}
	}
}

// targetOf is the account that Gmail's envelope names.
func targetOf(mailFrom string) string {
	_, rest, _ := strings.Cut(mailFrom, "+caf_=")
	rest, _, _ = strings.Cut(rest, "@")
	i := strings.LastIndexByte(rest, '=')
	return rest[:i] + "@" + rest[i+1:]
}

// TestConformancePOPFetch classifies a genuine fetch: as one of ours, and as a
// mail by SMTP that claims to be one.
func TestConformancePOPFetch(t *testing.T) {
	t.Parallel()
	raw := read(t, conformance.Path(t, "forward/rsc-imap/gmail-pop-fetched-calendar.eml"))
	conformance.Report(t, "forward/rsc-imap, access pattern", 1, 0)
	account := policy.Account{Address: "rsc@swtch.com"}
	// The author is google.com, which signed.
	signed := func(tr *pattern.Trail) {
		tr.Auth.DKIM = []policy.DKIM{{Result: policy.AuthPass, Domain: "google.com", OrgDomain: "google.com", Headers: []string{"from", "to", "subject"}}}
	}
	m := message.Parse(raw)
	size := 0
	for _, f := range m.Fields {
		size += len(f.Raw)
		if f.Is("X-Gmail-Fetch-Info") {
			break
		}
	}
	a := classify(raw[size:], account, func(tr *pattern.Trail) {
		signed(tr)
		tr.Arrival = policy.Arrival{Channel: policy.ChannelPOP, Fetch: &policy.Fetch{Source: "russcox@gmail.com", Host: "smtp.gmail.com", Port: 995, Login: "russcox"}}
	})
	if a.Pattern != policy.PatternPOPFetch || a.Confidence != policy.ConfidenceProven {
		t.Errorf("fetched: %+v", a)
	}
	for name, auth := range map[string]func(*pattern.Trail){"signed": signed, "from its own server": direct, "unauthenticated": func(*pattern.Trail) {}} {
		a := classify(raw, account, auth)
		marks := append(slices.Clone(a.Signals), a.Contradictions...)
		if a.Pattern == policy.PatternPOPFetch || !slices.ContainsFunc(marks, func(s policy.Signal) bool { return s.Name == "x-gmail-fetch-info" && s.For == policy.PatternPOPFetch }) {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

// TestConformanceGitLab classifies mail to a service desk, as the server got it
// that is in its header, which knows nothing of SPF and DKIM.
func TestConformanceGitLab(t *testing.T) {
	t.Parallel()
	dir := conformance.Path(t, "forward/gitlab")
	cases := []struct {
		file, account string
		want          policy.Pattern
	}{
		{"auto_reply.eml", "reply@appmail.adventuretime.ooo", policy.PatternDirect},
		{"envelope_to_header_with_angle_brackets.eml", "incoming@appmail.example.com", policy.PatternDirect},
		{"x_envelope_to_header.eml", "incoming@appmail.example.com", policy.PatternDirect},
		{"missing_delivered_to_header.eml", "incoming@appmail.example.com", policy.PatternDirect},
		{"forwarded_new_issue.eml", "incoming@appmail.adventuretime.ooo", policy.PatternAutoForward},
		{"service_desk_forwarded.eml", "incoming@appmail.adventuretime.ooo", policy.PatternAutoForward},
	}
	conformance.Report(t, "forward/gitlab, access pattern", len(cases), 0)
	for _, tt := range cases {
		if a := classify(read(t, dir, tt.file), policy.Account{Address: tt.account}, func(*pattern.Trail) {}); a.Pattern != tt.want {
			t.Errorf("%s: %s, %+v", tt.file, a.Pattern, a.Signals)
		}
	}
}

// TestConformanceSRS decodes the envelopes of an independent implementation.
func TestConformanceSRS(t *testing.T) {
	t.Parallel()
	var data struct {
		Forward []struct{ Sender, Result string }
		Classes []string `json:"patterns_to_classify"`
	}
	if err := json.Unmarshal(read(t, conformance.Path(t, "forward/srs/srs-vectors.json")), &data); err != nil {
		t.Fatal(err)
	}
	conformance.Report(t, "forward/srs, access pattern", len(data.Forward)+len(data.Classes), 0)
	envelope := func(mailFrom string) policy.Access {
		return classify([]byte("From: a@shop.example\r\n\r\n"), policy.Account{Address: "target@example.org"}, func(tr *pattern.Trail) {
			tr.Arrival.MailFrom = mailFrom
			d := message.DomainOf(mailFrom)
			tr.Auth.SPF = policy.SPF{Result: policy.AuthPass, Domain: d, OrgDomain: d}
		})
	}
	for _, f := range data.Forward {
		if a := envelope(f.Result); f.Result != "" && (a.Pattern == policy.PatternAutoForward) != (f.Result != f.Sender) {
			t.Errorf("%s: %s", f.Result, a.Pattern)
		}
	}
	for _, text := range data.Classes {
		mailFrom, _, _ := strings.Cut(text, " ")
		// They have words in the place of domains.
		real := strings.NewReplacer("=domain=", "=domain.example=", "forwarder1=", "forwarder1.example=", "@forwarder", "@forwarder.example").Replace(mailFrom)
		want := policy.PatternDirect
		if strings.Contains(text, "SRS") || strings.Contains(text, "caf_") {
			want = policy.PatternAutoForward
		}
		if a := envelope(real); a.Pattern != want {
			t.Errorf("%s: %s, want %s", real, a.Pattern, want)
		}
	}
}

// TestConformancePrecision holds that ordinary mail that comes from its author's
// own server is not called a forward, whatever its header says: what speaks
// against it is a contradiction. A mail with another one inside is one by hand.
func TestConformancePrecision(t *testing.T) {
	t.Parallel()
	dir := conformance.Path(t, ".")
	count, marked := 0, 0
	for _, set := range []string{"dkim", "malformed", "markup", "auth-e2e", "dmarc/authheaders", "forward/rfc822-attachments", "forward/gitlab", "forward/mailauth"} {
		err := filepath.WalkDir(filepath.Join(dir, filepath.FromSlash(set)), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !slices.Contains([]string{".eml", ".msg", ".raw", ".txt", ".bin"}, filepath.Ext(path)) {
				return err
			}
			raw := read(t, path)
			m := message.Parse(raw)
			if header := m.Header(); len(header.From) != 1 || header.From[0].Domain == "" {
				return nil // Nothing can be aligned with it.
			}
			count++
			inside := markup.Extract(m).Enclosed
			a := classify(raw, policy.Account{Address: "nobody@gmail.test"}, direct)
			if len(a.Contradictions) > 0 {
				marked++
			}
			switch {
			case a.Pattern == policy.PatternDirect && len(inside) == 0:
			case a.Pattern == policy.PatternManualForward && (len(inside) > 0 || a.Unmarked):
			default:
				t.Errorf("%s: %s, %+v", strings.TrimPrefix(path, dir), a.Pattern, a)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if count < 300 || marked < 20 {
		t.Errorf("%d mails, %d with contradictions: too few", count, marked)
	}
	conformance.Report(t, "all mails, access pattern", count, 0)
}
