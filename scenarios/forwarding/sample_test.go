package forwarding

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/quote"
	"github.com/doppelbox/doppelbox/testdata/conformance"
)

// sampleMail is the mail that was forwarded in all samples.
const sampleMail = `From: John Doe <john.doe@acme.com>
To: bessie.berry@acme.com
Cc: Walter Sheltan <walter.sheltan@acme.com>, Nicholas <nicholas@globex.corp>
Subject: Integer consequat non purus
Date: Wed, 27 Oct 2021 09:31:00 +0000
Message-ID: <sample@acme.com>
MIME-Version: 1.0
Content-Type: text/html; charset=utf-8

<p>Hello.</p>
`

// sampleNames are the beginnings of the samples' file names.
var sampleNames = map[Style]string{
	Gmail: "gmail", AppleMail: "apple_mail", Outlook: "new_outlook_2019", OutlookLive: "outlook_live", Thunderbird: "thunderbird",
}

// blockOf returns what stands above the mail in a text: the lines up to and
// with the last label, without the date and without a difference of spaces.
func blockOf(text string, w quote.Wording) []string {
	var lines []string
	labels := 0
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		line = strings.Join(strings.Fields(line), " ") // NBSP and tabs too.
		for _, f := range w.Order {
			rest, ok := strings.CutPrefix(strings.TrimPrefix(line, "> "), strings.TrimSpace(w.Label(f)))
			if !ok || !strings.HasPrefix(strings.TrimSpace(rest), ":") {
				continue
			}
			labels++
			if f == quote.FieldDate {
				line, _, _ = strings.Cut(line, ":")
			}
			break
		}
		lines = append(lines, line)
		if labels == len(w.Order) {
			break
		}
	}
	return lines
}

func TestLikeTheSamples(t *testing.T) {
	t.Parallel()
	dir := conformance.Path(t, "forward/email-forward-parser/fixtures")
	compared := 0
	for _, w := range quote.Wordings() {
		style := Style(w.Client)
		name := sampleNames[style] + "_" + strings.ReplaceAll(w.Language, "-", "_")
		subject, prefixed := "Fwd: ", false
		if b, err := os.ReadFile(filepath.Join(dir, name+"_subject.txt")); err == nil {
			subject, prefixed = strings.TrimSpace(string(b)), true
		}
		m := byHand(t, crlf(sampleMail), func(o *ManualOptions) { o.Style, o.Language = style, w.Language })
		if got := m.Header().Subject; prefixed && got != subject {
			t.Errorf("%s: subject %q, the sample has %q", name, got, subject)
		}
		if style == OutlookLive && w.Language == "en" {
			name = "outlook_live"
		}
		sample, err := os.ReadFile(filepath.Join(dir, name+"_body.txt"))
		if err != nil {
			continue
		}
		compared++
		got := strings.Join(blockOf(string(partOf(t, m, "text/plain").Text), w), "\n")
		want := strings.Join(blockOf(string(sample), w), "\n")
		if name == "new_outlook_2019_cs" {
			want = strings.ReplaceAll(want, `"`, "") // The sample's author saved that recipient under his address.
		}
		if got != want {
			t.Errorf("%s: got\n%s\nand the sample has\n%s", name, got, want)
		}
	}
	conformance.Report(t, "forward/email-forward-parser, written alike", compared, 0)
}

// What is written for a client and a language is found as theirs.
func TestFoundAgain(t *testing.T) {
	t.Parallel()
	for _, w := range quote.Wordings() {
		for _, note := range []string{"", "Please have a look.\nBob"} {
			m := byHand(t, crlf(sampleMail), func(o *ManualOptions) {
				o.Style, o.Language, o.Note = Style(w.Client), w.Language, note
			})
			subject := m.Header().Subject
			page := partOf(t, m, "text/html").Text
			if !quote.MayHold(page) {
				t.Errorf("%s %s: nothing may be in the HTML", w.Client, w.Language)
			}
			found := map[string][]policy.Enclosed{
				"text/plain": enclosed(quote.Text(partOf(t, m, "text/plain").Text, func() string { return subject })),
				"text/html":  enclosedIn(page, subject),
			}
			for part, list := range found {
				if len(list) != 1 {
					t.Errorf("%s %s, %s: found %+v", w.Client, w.Language, part, list)
					continue
				}
				e := list[0]
				// Several clients or languages can word it alike.
				client := strings.TrimSuffix(w.Client, "-live")
				if e.Client != client && e.Client != "" || e.Language != w.Language && e.Language != "" {
					t.Errorf("%s %s, %s: found as %s %s", w.Client, w.Language, part, e.Client, e.Language)
				}
				if !strings.Contains(e.From, "john.doe@acme.com") || e.Subject != "Integer consequat non purus" {
					t.Errorf("%s %s, %s: from %q, subject %q", w.Client, w.Language, part, e.From, e.Subject)
				}
			}
		}
	}
}
