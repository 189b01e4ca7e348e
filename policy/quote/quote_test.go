package quote

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/testdata/conformance"
)

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// about returns a Subject.
func about(subject string) func() string { return func() string { return subject } }

// fixtureOf returns what the name of a fixture says of its client and language.
// All bodies of Outlook on the web are English.
func fixtureOf(name string) (client, language string) {
	name, _, _ = strings.Cut(name, "_body")
	for prefix, c := range map[string]string{"gmail_": Gmail, "apple_mail_": AppleMail, "new_outlook_2019_": Outlook, "thunderbird_": Thunderbird} {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			return c, strings.ReplaceAll(rest, "_", "-")
		}
	}
	return Outlook, "en"
}

// shared are the fixtures whose wording is that of several languages.
var shared = map[string]string{
	"gmail_cs_body.txt":               "only From is translated; it is Od in cs, pl, sk",
	"gmail_pl_body.txt":               "likewise",
	"gmail_sk_body.txt":               "likewise",
	"gmail_da_body.txt":               "it is Fra in da, no",
	"gmail_no_body.txt":               "likewise",
	"gmail_es_body.txt":               "it is De in es, pt, pt-br",
	"gmail_pt_body.txt":               "likewise",
	"gmail_pt_br_body.txt":            "likewise",
	"new_outlook_2019_pt_body.txt":    "the labels of pt and pt-br are the same",
	"new_outlook_2019_pt_br_body.txt": "likewise",
}

func TestForwardParser(t *testing.T) {
	t.Parallel()
	dir := conformance.Path(t, "forward/email-forward-parser")
	var want struct {
		Constants map[string]string `json:"constants"`
		Tests     []struct {
			Test    string                           `json:"test"`
			Forward bool                             `json:"uses_common_expectation"`
			Skip    []string                         `json:"skip"`
			Entries []struct{ Body, Subject string } `json:"entries"`
		} `json:"tests"`
	}
	if err := json.Unmarshal(readFile(t, filepath.Join(dir, "expected.json")), &want); err != nil {
		t.Fatal(err)
	}
	cases := 0
	for _, test := range want.Tests {
		for _, e := range test.Entries {
			cases++
			subject := ""
			if e.Subject != "" {
				subject = strings.TrimSpace(string(readFile(t, filepath.Join(dir, "fixtures", e.Subject))))
			}
			mails := Text(readFile(t, filepath.Join(dir, "fixtures", e.Body)), about(subject))
			if (len(mails) > 0) != test.Forward {
				t.Errorf("%s %s: %d mails", test.Test, e.Body, len(mails))
			}
			if len(mails) == 0 {
				continue
			}
			got := mails[0].Enclosed
			client, language := fixtureOf(e.Body)
			if shared[e.Body] != "" {
				language = ""
			}
			if got.How != policy.EnclosedInline || got.Client != client || got.Language != language {
				t.Errorf("%s %s: %+v, want %s in %q", test.Test, e.Body, got, client, language)
			}
			name := want.Constants["FROM_NAME"]
			if slices.Contains(test.Skip, "skipFrom") {
				name = "" // None, or another one.
			}
			if !strings.Contains(got.From, name) || !strings.Contains(got.From, want.Constants["FROM_ADDRESS"]) || got.Subject != want.Constants["SUBJECT"] {
				t.Errorf("%s %s: from %q, subject %q", test.Test, e.Body, got.From, got.Subject)
			}
		}
	}
	conformance.Report(t, "forward/email-forward-parser, quoted mail", cases, 0)
}

const (
	gmailLine   = "---------- Forwarded message ---------\n"
	gmailBlock  = "From: A <a@b.example>\nDate: Wed, Oct 27, 2021 at 9:31\u202fAM\nSubject: Hello\nTo: <c@d.example>\n\nText\n"
	outlookText = "From: A <a@b.example>\nSent: Wednesday, October 27, 2021 15:14\nTo: C <c@d.example>\nSubject: Hello\n\nText\n"
	rule        = "________________________________\n"
)

func TestText(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, subject, text string
		want                []string // Client, language, from, subject.
	}{
		{"Gmail", "x", gmailLine + gmailBlock, []string{"gmail en A <a@b.example> Hello"}},
		{"Gmail until 2018", "x", "---------- Forwarded message ----------\n" + gmailBlock, []string{"gmail en A <a@b.example> Hello"}},
		{"CRLF", "x", strings.ReplaceAll("Hi\n\n"+gmailLine+gmailBlock, "\n", "\r\n"), []string{"gmail en A <a@b.example> Hello"}},
		{"CR alone", "x", strings.ReplaceAll("Hi\n\n"+gmailLine+gmailBlock, "\n", "\r"), []string{"gmail en A <a@b.example> Hello"}},
		{"all line ends", "x", "Hi\r\r\n" + gmailLine + "From: A\rSubject: Hello\r\nTo: B\r", []string{"gmail en A Hello"}},
		{"quoted in a reply", "Re: x", "Hi\n\n> > " + gmailLine + strings.ReplaceAll("\n"+gmailBlock, "\n", "\n>> "), []string{"gmail en A <a@b.example> Hello"}},
		{"indented, with marks of direction", "x", "\ufeff   " + gmailLine + "\u200e\u00a0From\u00a0: \u202aA <a@b.example>\u202c\nSubject:\u00a0Hello\n", []string{"gmail en A <a@b.example> Hello"}},
		{"bold", "x", "*Begin forwarded message:*\n\n*From: *A <a@b.example>\n*Subject:* **Hello**\n", []string{"apple-mail en A <a@b.example> **Hello**"}},
		{"bold labels alone", "FW: x", "*From*: A\n*Sent:* x\n**To:** B\n*Subject: ***Hello**", []string{"outlook en A **Hello**"}},
		{"wide colons", "x", gmailLine + "From： A\nSubject： Hello\nTo： B\n", []string{"gmail en A Hello"}},
		{"wrapped", "x", gmailLine + "From: A very long name\n <a@b.example>\nSubject: Hello\n world\nDate: today\nTo: B <b@b.example>,\n C <c@b.example>\nCc: D\n\nText", []string{"gmail en A very long name <a@b.example> Hello world"}},
		{"a field more", "x", "Begin forwarded message:\n\nFrom: A\nReply-To: B\nSubject: Hello\n", []string{"apple-mail en A Hello"}},
		{"Gmail in Japanese", "x", gmailLine + "送信者： A <a@b.example>\nDate: 2021年10月27日\nSubject: Hello\nTo: <c@d.example>\n", []string{"gmail  A <a@b.example> Hello"}},
		{"spaces in the rows of a table", "x", "-------- Forwarded Message --------\n\nSubject: Hello\n\nDate: today\n\nFrom: A\n\nTo: B\n\nText", []string{"thunderbird en A Hello"}},
		{"Yahoo", "x", "----- Forwarded Message -----\nFrom: A\nTo: B\nSent: today\nSubject: Hello\n", []string{" en A Hello"}},
		{"KMail", "x", "----------  Forwarded Message  ----------\n\nSubject: Hello\nDate: today\nFrom: A\nTo: B\n", []string{" en A Hello"}},
		{"Mutt", "x", "----- Forwarded message from A <a@b.example> -----\n\nDate: today\nFrom: A <a@b.example>\nTo: B\nSubject: Hello\n", []string{"  A <a@b.example> Hello"}},
		{"in each other", "x", gmailLine + gmailBlock + "-------- Weitergeleitete Nachricht --------\nBetreff: Hallo\nDatum: heute\nVon: B\nAn: A\n", []string{"gmail en A <a@b.example> Hello", "thunderbird de B Hallo"}},

		{"talk", "Fwd: x", "Gmail writes\n" + gmailLine + "above a forwarded mail: and then the header.\n", nil},
		{"line alone", "Fwd: x", gmailLine, nil},
		{"line and empty lines", "x", gmailLine + strings.Repeat("\n", 9) + gmailBlock, nil},
		{"no author", "Fwd: x", gmailLine + "From:\nSubject: Hello\nTo: B\n", nil},
		{"one label", "Fwd: x", gmailLine + "From: A\n\nText\n", nil},
		{"no hyphens", "x", "Forwarded message\n" + gmailBlock, nil},
		{"hyphens before alone", "x", "---------- Forwarded message\n" + gmailBlock, nil},
		{"colon without hyphens", "x", "Weitergeleitete Nachricht:\n" + gmailBlock, nil},
		{"reply of Gmail", "Re: x", "On Wed, Oct 27, 2021 at 9:31 AM A <a@b.example>\nwrote:\n\n> Text\n", nil},
		{"patch", "x", "---\n--- a/From: x\n+++ b/To: x\n-- \nFrom: A\n", nil},
		{"rule", "x", "----------\n--------------------\n___\n", nil},

		{"Outlook forward", "FW: x", outlookText, []string{"outlook en A <a@b.example> Hello"}},
		{"Outlook forward with text", "Fw: x", "Look:\n\n" + rule + outlookText, []string{"outlook en A <a@b.example> Hello"}},
		{"Outlook without prefix", "x", rule + "\n" + outlookText, []string{"outlook en A <a@b.example> Hello"}},
		{"Outlook without prefix and rule", "x", outlookText, nil},
		{"Outlook without prefix and subject", "x", rule + "From: A\nSent: today\nTo: B\n", nil},
		{"rule further above", "x", rule + "Text\n" + outlookText, nil},
		{"Outlook reply", "Re: x", rule + outlookText, nil},
		{"Outlook reply to a forward", "AW: WG: x", rule + outlookText, nil},
		{"mail in it", "FW: x", outlookText + "\n" + strings.ReplaceAll(outlookText, "Hello", "Deeper"), []string{"outlook en A <a@b.example> Hello"}},
		{"other order", "FW: x", "From: A\nTo: B\nSent: today\n\nText", nil},
		{"other languages", "FW: x", "From: A\nGesendet: heute\nTo: B\nSubject: x\n", nil},
		{"empty line", "FW: x", "From: A\n\nSent: today\nTo: B\n", nil},
		{"twice", "FW: x", "From: A\n" + outlookText, []string{"outlook en A <a@b.example> Hello"}},
		{"German", "WG: x", "Von: A\nGesendet: heute\nAn: B\nBetreff: Hallo\n", []string{"outlook de A Hallo"}},
		{"VS in Norwegian", "VS: x", "Fra: A\nSendt: i dag\nTil: B\nKopi: C\nEmne: Hei\n", []string{"outlook no A Hei"}},
		{"VS in Finnish", "VS: x", "Lähettäjä: A\nLähetetty: tänään\nVastaanottaja: B\nAihe: Hei\n", nil},
		{"journey", "Your tickets", "From: Berlin\nTo: Paris\nDate: 3 May\n", nil},

		{"original message, forward", "Fwd: x", "-----Original Message-----\nFrom: A\nSent: today\nTo: B\nSubject: Hello\n", []string{"outlook en A Hello"}},
		{"original message, reply", "Re: x", "-----Original Message-----\nFrom: A\nSent: today\nTo: B\nSubject: Hello\n", nil},
		{"Thunderbird of old", "Fwd: x", "-------- Original Message --------\nSubject: Hello\nDate: today\nFrom: A\nTo: B\n", []string{"  A Hello"}},
		{"other hyphens, no prefix", "x", "----- Schedule -----\nSubject: Hello\nDate: today\nFrom: A\nTo: B\n", nil},
		{"bounce", "Delivery Status Notification", "----- Original message -----\n\nReceived: by a\nDate: x\nSubject: Hi\nFrom: A\nTo: B\n", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, m := range Text([]byte(tt.text), about(tt.subject)) {
				got = append(got, strings.Join([]string{m.Enclosed.Client, m.Enclosed.Language, m.Enclosed.From, m.Enclosed.Subject}, " "))
				if m.Enclosed.Mark == "" || m.Enclosed.Place != (policy.Place{}) {
					t.Errorf("%+v", m)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestTextOffsets(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"Hi\n\n> " + gmailLine + gmailBlock: 4,
		"Hi\n" + rule + "\n" + outlookText:  3,
		"Hi\n" + outlookText:                3,
	} {
		if mails := Text([]byte(text), about("FW: x")); len(mails) != 1 || mails[0].At != want {
			t.Errorf("%q: %+v", text, mails)
		}
	}
}

func TestTextLimits(t *testing.T) {
	t.Parallel()
	calls := 0
	subject := func() string { calls++; return "x" }
	if n := len(Text([]byte(strings.Repeat(gmailLine+gmailBlock, maxMails+1)), subject)); n != maxMails || calls != 0 {
		t.Errorf("%d mails, %d calls", n, calls)
	}
	Text([]byte(strings.Repeat(outlookText, 10)), subject)
	if calls != 1 {
		t.Errorf("asked for the subject %d times", calls)
	}
	long := strings.Repeat("ü", 5000)
	m := Text([]byte(gmailLine+"From: "+long+"\nTo: "+strings.Repeat("b\n", maxFolds)+"Subject: "+long+"\n"), nil)
	if len(m) != 1 || len(m[0].Enclosed.From) != maxValue || len(m[0].Enclosed.Subject) != maxValue {
		t.Errorf("%+v", m)
	}
}

func TestPrefixOf(t *testing.T) {
	t.Parallel()
	for subject, want := range map[string]prefix{
		"": prefixNone, "x": prefixNone, "News: x": prefixNone, "[x": prefixNone, ":": prefixNone,
		strings.Repeat("f", 99) + ": x": prefixNone,
		"FW: x":                         prefixForward, " fwd : x": prefixForward, "[list] [EXTERNAL] WG: x": prefixForward, "İLT: x": prefixForward,
		"Redir.: x": prefixForward, "Fwd(2): x": prefixForward, "转发：x": prefixForward, "FW: Re: x": prefixForward,
		"Re[2]: x": prefixReply, "RE: FW: x": prefixReply, "Antw: x": prefixReply, "SV: x": prefixReply, "Vs: x": prefixVS,
	} {
		if got := prefixOf(subject); got != want {
			t.Errorf("%q is %v, want %v", subject, got, want)
		}
	}
}

func TestAttached(t *testing.T) {
	t.Parallel()
	mail := "From: A <a@b.example>\nSubject: =?x?\n\nText"
	for _, tt := range []struct {
		name string
		part message.Part
		want bool
	}{
		{"mail", message.Part{Type: "message/rfc822", Within: []string{"multipart/mixed"}, Text: []byte(mail)}, true},
		{"global", message.Part{Type: "message/global", Text: []byte(mail)}, true},
		{"report", message.Part{Type: "message/rfc822", Within: []string{"multipart/report"}, Text: []byte(mail)}, false},
		{"deeper in a report", message.Part{Type: "message/rfc822", Within: []string{"multipart/report", "multipart/mixed"}, Text: []byte(mail)}, false},
		{"digest", message.Part{Type: "message/rfc822", Within: []string{"multipart/mixed", "multipart/digest"}, Text: []byte(mail)}, false},
		{"text", message.Part{Type: "text/plain", Text: []byte(mail)}, false},
		{"no field of RFC 2046", message.Part{Type: "message/rfc822", Text: []byte("To: x\n\nText")}, false},
		{"date alone", message.Part{Type: "message/rfc822", Text: []byte("Date: x\n\nText")}, true},
	} {
		tt.part.Number = "2"
		m, what := Attached(tt.part)
		if (m != nil) != tt.want {
			t.Errorf("%s: %+v", tt.name, what)
		}
		want := policy.Enclosed{How: policy.EnclosedAttachment, Mark: "message/rfc822", From: "A <a@b.example>", Subject: "=?x?", Place: policy.Place{Part: "2"}}
		if tt.name == "mail" && what != want {
			t.Errorf("%+v, want %+v", what, want)
		}
	}
}

// checkMails holds for any octets.
func checkMails(t *testing.T, mails []Mail, size int) {
	t.Helper()
	for i, m := range mails {
		if m.At < 0 || m.At > size || i > 0 && m.At <= mails[i-1].At || len(mails) > maxMails {
			t.Fatalf("mail %d at %d", i, m.At)
		}
		for _, s := range []string{m.Enclosed.Mark, m.Enclosed.From, m.Enclosed.Subject} {
			if len(s) > maxValue || !utf8.ValidString(s) {
				t.Fatalf("mail %d: %+v", i, m)
			}
		}
		if m.Enclosed.Mark == "" || m.Enclosed.How != policy.EnclosedInline {
			t.Fatalf("mail %d: %+v", i, m)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{gmailLine + gmailBlock, rule + outlookText, "-----Original Message-----\n" + outlookText, "> Début du message réexpédié :\n>\n> De: A\n> Objet: b"} {
		f.Add([]byte(s), []byte("From: B\n"), "FW: x")
		f.Add([]byte("x\n"+s), []byte(gmailLine), "x")
	}
	f.Fuzz(func(t *testing.T, text, line []byte, subject string) {
		mails := Text(text, about(subject))
		checkMails(t, mails, len(text))
		// What comes below takes nothing back.
		more := Text(slices.Concat(text, []byte("\n"), line), about(subject))
		if len(more) < len(mails) {
			t.Fatalf("%d mails, %d with a line more", len(mails), len(more))
		}
		for i, m := range mails {
			if more[i].At != m.At || more[i].Enclosed.Mark != m.Enclosed.Mark {
				t.Fatalf("mail %d is %+v, with a line more %+v", i, m, more[i])
			}
		}
	})
}

func BenchmarkText(b *testing.B) {
	raw := []byte(strings.Repeat("Thank you for your order of today: it will be sent tomorrow, you\r\nwill get the invoice.\r\n\r\nFor questions: https://shop.example/\r\n", 16))
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		Text(raw, nil)
	}
}
