package forwarding

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy/markup"
	"github.com/doppelbox/doppelbox/policy/quote"
)

func TestManualHeader(t *testing.T) {
	t.Parallel()
	for style, want := range map[Style]string{
		Gmail:       "MIME-Version References In-Reply-To From Date Message-ID Subject To Content-Type",
		AppleMail:   "From Content-Type Mime-Version Subject Message-Id References Date To X-Mailer",
		Outlook:     "From To Subject Thread-Topic Date Message-ID References In-Reply-To Accept-Language Content-Language X-MS-Has-Attach Content-Type MIME-Version",
		OutlookLive: "From To Subject Thread-Topic Date Message-ID References In-Reply-To Accept-Language Content-Language X-MS-Has-Attach Content-Type MIME-Version",
		Thunderbird: "Content-Type Message-ID Date MIME-Version User-Agent Subject References Content-Language To From In-Reply-To X-Forwarded-Message-Id",
	} {
		m := byHand(t, crlf(shopMail), func(o *ManualOptions) { o.Style = style })
		var names []string
		for _, f := range m.Fields {
			names = append(names, f.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: fields %s, want %s", style, got, want)
		}
		for name, want := range map[string]string{
			"From": "=?UTF-8?B?Qm9iIE3DvGxsZXI=?= <bob@corp.example>", "To": "alice@gmail.test", "Date": "Tue, 27 Oct 2026 12:00:00 +0200",
			"References": "<0@shop.example> <1@shop.example>",
		} {
			if f, _ := m.Get(name); f.Unfolded() != want {
				t.Errorf("%s: %s is %q, want %q", style, name, f.Unfolded(), want)
			}
		}
		if h := m.Header(); len(h.Problems) > 0 || h.From[0].Name != "Bob Müller" {
			t.Errorf("%s: header %+v", style, h)
		}
	}
}

func TestManualInline(t *testing.T) {
	t.Parallel()
	for _, w := range quote.Wordings() {
		if w.Language != "en" {
			continue
		}
		m := byHand(t, crlf(shopMail), func(o *ManualOptions) { o.Style, o.Note = Style(w.Client), "Look <here>" })
		text, page := string(partOf(t, m, "text/plain").Text), partOf(t, m, "text/html").Text
		for _, want := range []string{"Look <here>", "Shop, Orders <noreply@shop.example>", "Approve expense", "Lunch: 12 €"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is not in the text:\n%s", w.Client, want, text)
			}
		}
		actions, _, problems := markup.ExtractHTML("1", page)
		if len(problems) > 0 || len(actions) != 1 || actions[0].Handlers[0].URL != "https://shop.example/approve" {
			t.Errorf("%s: actions %+v, problems %+v", w.Client, actions, problems)
		}
		for _, want := range []string{"Look &lt;here&gt;", "Approve expense", "Lunch: 12 €", `itemprop="description"`, `bgcolor="white"`, "p { color: red }"} {
			if !bytes.Contains(page, []byte(want)) {
				t.Errorf("%s: %q is not in the HTML:\n%s", w.Client, want, page)
			}
		}
		if bytes.Contains(page, []byte("<title>")) || bytes.Count(page, []byte("<div")) != bytes.Count(page, []byte("</div")) {
			t.Errorf("%s: the quote is not balanced:\n%s", w.Client, page)
		}
		receipt := partOf(t, m, "application/pdf")
		if string(receipt.Text) != "%PDF-1.4\n" || receipt.Disposition != "attachment" {
			t.Errorf("%s: attached %+v", w.Client, receipt)
		}
	}
}

func TestManualStrip(t *testing.T) {
	t.Parallel()
	m := byHand(t, crlf(shopMail), func(o *ManualOptions) { o.Markup = Strip })
	page := string(partOf(t, m, "text/html").Text)
	if !strings.Contains(page, "Lunch: 12 €") {
		t.Errorf("the text is gone:\n%s", page)
	}
	for _, gone := range append([]string{"<script", "ld+json"}, itemAttributes...) {
		if strings.Contains(page, gone) {
			t.Errorf("%q stays:\n%s", gone, page)
		}
	}
}

// A mail without HTML stays one, but for the clients that always write some.
// Without a text, one is made of the HTML.
func TestManualKinds(t *testing.T) {
	t.Parallel()
	const head = "From: a@b.example\nSubject: S\nMIME-Version: 1.0\n"
	for _, tt := range []struct {
		name, original string
		style          Style
		types          []string
		text           string
	}{
		{"text", head + "\nOne <1>\nTwo\n", AppleMail, []string{"text/plain"}, "> One <1>\n> Two\n"},
		{"text to HTML", head + "\nOne <1>\nTwo\n", Gmail, []string{"text/plain", "text/html"}, "One <1>\nTwo\n"},
		{"html", head + "Content-Type: text/html\n\n<title>T</title><p>One<br>two &amp;\n<b>three</b></p><pre>a\nb</pre><script>x</script>", Thunderbird,
			[]string{"text/plain", "text/html"}, "\nOne\ntwo & three\n\na\nb\n"},
		{"a file alone", head + "Content-Type: image/png\nContent-Transfer-Encoding: base64\n\niVBORw==\n", Thunderbird, []string{"text/plain", "image/png"}, "From: \ta@b.example\n\n\n\n\n"},
		{"malformed type", head + "Content-Type: text/html;;;=\n\n<p>", Thunderbird, []string{"text/plain", "text/html"}, "From: \ta@b.example\n\n\n\n\n"},
		{"no charset", head + "Content-Type: text/plain; charset=iso-8859-1\n\nGr\xfc\xdfe\n", AppleMail, []string{"text/plain"}, "> Grüße\n"},
		{"controls", head + "\na\x00b\rc\u2028d\n", AppleMail, []string{"text/plain"}, "> a\x00b\n> c\u2028d\n"},
		{"long line", head + "\n" + strings.Repeat("word ", 300) + "\n", AppleMail, []string{"text/plain"}, "> " + strings.Repeat("word ", 299) + "word\n"},
	} {
		m := byHand(t, crlf(tt.original), func(o *ManualOptions) { o.Style = tt.style })
		parts, problems := m.Parts()
		var types []string
		for _, p := range parts {
			types = append(types, p.Type)
		}
		if !slices.Equal(types, tt.types) || len(problems) > 0 {
			t.Errorf("%s: parts %q, want %q; problems %+v", tt.name, types, tt.types, problems)
			continue
		}
		if got := strings.ReplaceAll(string(parts[0].Text), "\r\n", "\n"); !strings.HasSuffix(got, tt.text) {
			t.Errorf("%s: text %q, want the end %q", tt.name, got, tt.text)
		}
		if len(m.Problems) > 0 {
			t.Errorf("%s: problems %+v", tt.name, m.Problems)
		}
	}
}

func TestManualAttachment(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ original, encoding, file string }{
		"plain":      {shopMail, "", `attachment; filename="Approve expense.eml"`},
		"8 bits":     {"Subject: a/b: <c>\n\nGrüße", "8bit", `attachment; filename="a_b_ _c_.eml"`},
		"long line":  {"Subject: Grüße\n\n" + strings.Repeat("x", 999), "binary", "attachment; filename*=utf-8''Gr%C3%BC%C3%9Fe.eml"},
		"no subject": {"From: a@b.example\n\n\n--x\n", "", `attachment; filename=message.eml`},
	} {
		for _, end := range []string{"\n", "\r\n"} {
			original := []byte(strings.ReplaceAll(tt.original, "\n", end))
			encoding := tt.encoding
			if end == "\n" {
				encoding = "binary" // A line that does not end in CRLF (RFC 2045 2.9).
			}
			m := byHand(t, original, func(o *ManualOptions) { o.As, o.Note = Attachment, "See this" })
			if got := partOf(t, m, "message/rfc822"); !bytes.Equal(got.Text, original) {
				t.Errorf("%s: attached %q", name, got.Text)
			}
			if got := string(partOf(t, m, "text/plain").Text); got != "See this\r\n" {
				t.Errorf("%s: text %q", name, got)
			}
			if f, _ := m.Get("Content-Transfer-Encoding"); f.Unfolded() != encoding {
				t.Errorf("%s: transfer encoding %q, want %q", name, f.Unfolded(), encoding)
			}
			if _, ok := m.Get("In-Reply-To"); ok {
				t.Errorf("%s: refers to the original", name)
			}
			if !bytes.Contains(m.Body, []byte("Content-Disposition: "+tt.file+"\r\n")) {
				t.Errorf("%s: disposition is not %s", name, tt.file)
			}
		}
	}
}

// An attached original is not looked into.
func TestManualAttachesTheUnreadable(t *testing.T) {
	t.Parallel()
	original := []byte("Content-Type: text/html\n\n" + strings.Repeat("<div>", 5000))
	m := byHand(t, original, func(o *ManualOptions) { o.As = Attachment })
	if got := partOf(t, m, "message/rfc822"); !bytes.Equal(got.Text, original) {
		t.Errorf("attached %d octets of %d", len(got.Text), len(original))
	}
}

// Whatever the original says, the header is ours.
func TestManualHostile(t *testing.T) {
	t.Parallel()
	evil := "=?utf-8?B?eA0KRnJvbTogZXZpbEBldmlsLmV4YW1wbGUNCg0KPGI+?=" // With CRLF, a From field, CRLF CRLF, <b>.
	for _, w := range quote.Wordings() {
		m := byHand(t, crlf("From: "+evil+" <\"a\\\"b <x>\"@b.example>\nTo: "+evil+" <c@d.example>\nSubject: Fw: "+evil+strings.Repeat(" y", 2000)+strings.Repeat("ü", 3000)+
			"\nMessage-ID: <a@b>\n <c@d>\nReferences: <ok@x> <no good> <"+strings.Repeat("x", 2000)+"@x>\nDate: "+evil+"\n\n<script>\n"), func(o *ManualOptions) {
			o.Style, o.Language = Style(w.Client), w.Language
			o.By = `"Bob, \"B\"" <bob@corp.example>`
		})
		h := m.Header()
		if len(h.Problems) > 0 || len(m.Problems) > 0 {
			t.Errorf("%s %s: problems %+v", w.Client, w.Language, h.Problems)
		}
		if h.FromFields != 1 || len(h.From) != 1 || h.From[0].Addr != "bob@corp.example" || h.From[0].Name != `Bob, "B"` || len(h.To) != 1 {
			t.Errorf("%s %s: from %+v, to %+v", w.Client, w.Language, h.From, h.To)
		}
		if _, ok := m.Get("References"); ok {
			t.Errorf("%s %s: refers to a mail without a usable Message-ID", w.Client, w.Language)
		}
		if part := partOf(t, m, "text/plain"); bytes.Contains(part.Text, []byte("\nFrom: evil")) {
			t.Errorf("%s %s: the name broke the line:\n%s", w.Client, w.Language, part.Text)
		}
	}
}

func TestManualSameAgain(t *testing.T) {
	t.Parallel()
	one := byHand(t, crlf(shopMail), func(*ManualOptions) {})
	if again := byHand(t, crlf(shopMail), func(*ManualOptions) {}); !bytes.Equal(one.Raw, again.Raw) {
		t.Error("the same options give other octets")
	}
	other := byHand(t, crlf(shopMail), func(o *ManualOptions) { o.Note = "x" })
	if one.Header().MessageID == other.Header().MessageID {
		t.Error("other mails have the same Message-ID")
	}
	set := byHand(t, crlf(shopMail), func(o *ManualOptions) { o.MessageID = "<1@x>" })
	if got := set.Header().MessageID; got != "<1@x>" {
		t.Errorf("Message-ID %q", got)
	}
	twice := byHand(t, one.Raw, func(*ManualOptions) {})
	if got := twice.Header().Subject; got != "Fwd: Approve expense" {
		t.Errorf("the prefix stands again: %q", got)
	}
}

func TestManualErrors(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		original string
		change   func(*ManualOptions)
		want     error
		text     string
	}{
		"style":        {shopMail, func(o *ManualOptions) { o.Style = "pine" }, ErrOption, "outlook-live"},
		"language":     {shopMail, func(o *ManualOptions) { o.Language = "tlh" }, ErrOption, "for gmail there are cs, da, de, en"},
		"as":           {shopMail, func(o *ManualOptions) { o.As = "link" }, ErrOption, "link"},
		"markup":       {shopMail, func(o *ManualOptions) { o.Markup = "some" }, ErrOption, "some"},
		"by":           {shopMail, func(o *ManualOptions) { o.By = "a@b.example, c@d.example" }, ErrOption, "2 addresses"},
		"to":           {shopMail, func(o *ManualOptions) { o.To = "alice" }, ErrOption, "recipient"},
		"long":         {shopMail, func(o *ManualOptions) { o.To = strings.Repeat("a", 254) + "@b.example" }, ErrOption, "254"},
		"time":         {shopMail, func(o *ManualOptions) { o.Time = o.Time.AddDate(-3000, 0, 0) }, ErrOption, "time"},
		"id":           {shopMail, func(o *ManualOptions) { o.MessageID = "<a@b>\r\nX: y" }, ErrOption, "message id"},
		"no header":    {"\nFrom: a@b.example\n", func(*ManualOptions) {}, ErrNoHeader, ""},
		"folded":       {" x\nFrom: a@b.example\n", func(*ManualOptions) {}, ErrNoHeader, ""},
		"nothing":      {"", func(*ManualOptions) {}, ErrNoHeader, ""},
		"size":         {"From: a\n\n" + strings.Repeat("x", maxOriginal), func(*ManualOptions) {}, ErrTooLarge, ""},
		"html size":    {"Content-Type: text/html\n\n" + strings.Repeat("x", maxHTML+1), func(*ManualOptions) {}, errHTMLTooLarge, ""},
		"html nesting": {"Content-Type: text/html\n\n" + strings.Repeat("<div>", 5000), func(*ManualOptions) {}, nil, "parsing the original's HTML"},
		"parts":        {"Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\nx\n", maxParts+1), func(*ManualOptions) {}, nil, "parts"},
	} {
		o := ManualOptions{Style: Gmail, By: "bob@corp.example", To: "alice@gmail.test", Time: noon()}
		tt.change(&o)
		raw, err := Manual(crlf(tt.original), o)
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: got %d octets and %v", name, len(raw), err)
		}
	}
}

// Line ends that are no CRLF get it, and the parts that are no text go along
// as they are.
func TestManualLF(t *testing.T) {
	t.Parallel()
	lf := byHand(t, []byte(shopMail), func(o *ManualOptions) { o.MessageID = "<1@x>" })
	if len(lf.Problems) > 0 {
		t.Errorf("problems %+v", lf.Problems)
	}
	want := partOf(t, byHand(t, crlf(shopMail), func(o *ManualOptions) { o.MessageID = "<1@x>" }), "text/html")
	if got := partOf(t, lf, "text/html"); !bytes.Equal(got.Text, want.Text) {
		t.Errorf("with LF\n%s\nwith CRLF\n%s", got.Text, want.Text)
	}
}
