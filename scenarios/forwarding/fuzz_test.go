package forwarding

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/policy/quote"
	"github.com/doppelbox/doppelbox/testdata/conformance"
)

// FuzzManual forwards anything by hand, and holds: the mail has the forwarder as
// its only author and one recipient, nothing in its header or its structure is
// malformed, and an attached original comes out octet for octet.
func FuzzManual(f *testing.F) {
	f.Add([]byte(shopMail), "Bob <bob@corp.example>", "note", uint(0), false)
	f.Add(crlf(shopMail), `"B, \"b\"" <"b b"@corp.example>`, "", uint(40), true)
	f.Add([]byte("From: =?utf-8?q?a=0D=0Ab?= <a@b>\nContent-Type: text/html\n\n<plaintext><body x=y></div>"), "a@[192.0.2.1]", "\r\x00\u2028", uint(70), false)
	f.Fuzz(checkManual)
}

func checkManual(t *testing.T, original []byte, by, note string, which uint, attach bool) {
	wordings := quote.Wordings()
	w := wordings[which%uint(len(wordings))]
	o := ManualOptions{Style: Style(w.Client), Language: w.Language, By: by, To: "alice@gmail.test", Note: note, Time: noon()}
	if attach {
		o.As = Attachment
	}
	raw, err := Manual(original, o)
	if err != nil {
		return
	}
	m := message.Parse(raw)
	h := m.Header()
	author, err := oneAddress("by", by)
	if err != nil {
		t.Fatal(err)
	}
	if h.FromFields != 1 || len(h.From) != 1 || h.From[0].Addr != author.Addr || h.From[0].Name != author.Name {
		t.Errorf("from %+v, want %+v", h.From, author)
	}
	if len(m.All("To")) != 1 || len(h.To) != 1 || h.To[0].Addr != "alice@gmail.test" {
		t.Errorf("to %+v", h.To)
	}
	encoding, _ := m.Get("Content-Transfer-Encoding")
	for _, p := range h.Problems {
		switch p.Code {
		case message.BareCR, message.BareLF, message.NUL, message.LineTooLong: // A part that goes along may have its own lines.
			if encoding.Unfolded() != "binary" {
				t.Errorf("transfer encoding %q, and %+v", encoding.Unfolded(), p)
			}
		case message.EncodedWord, message.AddressSyntax:
			if !strings.Contains(by+h.Subject, "\uFFFD") { // The original's subject may have octets of no charset.
				t.Errorf("problem %+v", p)
			}
		default:
			t.Errorf("problem %+v", p)
		}
	}
	parts, problems := m.Parts()
	for _, p := range problems {
		if p.Place.Part == "" || strings.HasPrefix(p.Place.Part, "1") {
			t.Errorf("problem %+v", p) // Those of parts that go along are their own.
		}
	}
	if attach {
		if len(parts) != 2 || parts[1].Type != "message/rfc822" || !bytes.Equal(parts[1].Text, original) {
			t.Errorf("attached %+v", parts)
		}
		return
	}
	if len(parts) == 0 || parts[0].Type != "text/plain" || len(parts[0].Problems) > 0 || !strings.HasPrefix(string(parts[0].Text), strings.TrimRight(strings.ReplaceAll(withLF(note), "\n", "\r\n"), "\r\n")) {
		t.Errorf("text %+v", parts)
	}
}

// FuzzAuto passes anything on, and holds: below the new fields is the original,
// and they are fields whatever it is; a break leaves it a mail with the same
// number of fields and parts.
func FuzzAuto(f *testing.F) {
	f.Add([]byte(shopMail), "bounce@shop.example", uint(0), uint(0))
	f.Add(crlf(shopMail), "SRS0=a=b=c=d@e.example", uint(1), uint(1))
	f.Add([]byte("Subject:\n\n"), "", uint(2), uint(2))
	f.Add([]byte("A: b\nContent-Type: multipart/digest; boundary=\"b\"\n\n--b\n\n--b\nx"), "SRS1=a=b=c@d", uint(3), uint(3))
	f.Fuzz(checkAuto)
}

func checkAuto(t *testing.T, original []byte, from string, style, how uint) {
	styles := []policy.ForwardStyle{policy.ForwardPlain, policy.ForwardSRS, policy.ForwardCAF, policy.ForwardResent}
	breaks := []Break{"", BreakFooter, BreakSubject, BreakReencode}
	o := autoOptions()
	o.MailFrom, o.Style, o.Break = from, styles[style%4], breaks[how%4]
	fwd, err := Auto(original, o)
	if err != nil {
		return
	}
	if fwd.MailFrom != "" {
		if _, err := oneAddress("envelope", fwd.MailFrom); err != nil {
			t.Errorf("envelope %q: %v", fwd.MailFrom, err)
		}
	}
	before, after := message.Parse(original), message.Parse(fwd.Raw)
	if o.Break == "" && !bytes.HasSuffix(fwd.Raw, original) {
		t.Error("the original is not below")
	}
	for i, f := range before.Fields {
		j := len(after.Fields) - len(before.Fields) + i
		if o.Break == "" && (j < 0 || !bytes.Equal(after.Fields[j].Raw, f.Raw)) {
			t.Fatalf("field %q is %q", f.Raw, after.Fields[max(j, 0)].Raw)
		}
	}
	was, _ := before.Parts()
	is, _ := after.Parts()
	if len(was) != len(is) {
		t.Errorf("%d parts became %d", len(was), len(is))
	}
}

// TestCorpus forwards the mails of the independent data, which are genuine or
// malformed, in every way.
func TestCorpus(t *testing.T) {
	t.Parallel()
	count := uint(0)
	for _, dir := range []string{"forward", "malformed"} {
		err := filepath.WalkDir(conformance.Path(t, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			t.Run(d.Name(), func(t *testing.T) {
				count++
				checkManual(t, raw, "Bob <bob@corp.example>", "Look", count, false)
				checkManual(t, raw, "Bob <bob@corp.example>", "Look", count, true)
				for how := range uint(4) {
					checkAuto(t, raw, "bounce@shop.example", count, how)
				}
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	conformance.Report(t, "forward and malformed, forwarded", int(count), 0)
}
