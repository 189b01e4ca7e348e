package quote

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// readPage feeds HTML to a Page, as its users do.
func readPage(text []byte, subject string) []Mail {
	p := NewPage(about(subject))
	feed(p, text, 0, false)
	return p.Mails()
}

// feed feeds the tokens of a text at an offset; inner if none of them is raw.
func feed(p *Page, text []byte, at int, inner bool) {
	z := html.NewTokenizer(bytes.NewReader(text))
	reread := false
	for kind := z.Next(); kind != html.ErrorToken; kind = z.Next() {
		size := len(z.Raw())
		token := text[:size:size]
		switch kind {
		case html.TextToken:
			if reread {
				feed(p, token, at, true)
			} else {
				p.Text(token, at)
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			name, _ := z.TagName()
			reread = p.StartTag(string(name), token, at) && !inner
			if inner {
				z.NextIsNotRawText()
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			p.EndTag(string(name))
			reread = false
		}
		text, at = text[size:], at+size
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	const outlookLabels = `<b>From:</b> A &lt;a@b.example&gt;<br><b>Sent:</b> today<br><b>To:</b> B<br><b>Subject:</b> Hello</font><div>&nbsp;</div></div><div>Text</div>`
	tests := []struct {
		name, subject, html string
		want                []string // What stands at the mail; client, language, from, subject.
	}{
		{"Gmail", "x", `<div dir="ltr">Look<br><br><div class="gmail_quote gmail_quote_container"><div dir="ltr" class="gmail_attr">---------- Forwarded message ---------<br>From: <strong class="gmail_sendername" dir="auto">A</strong> <span dir="auto">&lt;<a href="mailto:a@b.example">a@b.example</a>&gt;</span><br>Date: today<br>Subject: Hello<br>To:  &lt;<a href="mailto:c@d.example">c@d.example</a>&gt;<br></div><br><br>Text</div>`,
			[]string{"----- gmail en A <a@b.example> Hello"}},
		{"reply of Gmail", "Re: x", `Yes<br><div class="gmail_quote gmail_quote_container"><div dir="ltr" class="gmail_attr">On Wed, A &lt;a@b.example&gt; wrote:<br></div><blockquote class="gmail_quote">---<br></blockquote></div>`, nil},
		{"Apple Mail", "x", `<body>Look<div><blockquote type="cite"><div>D&eacute;but du message r&eacute;exp&eacute;di&eacute;&nbsp;:</div><br class="Apple-interchange-newline"><div><span><b>De: </b></span><span>A &lt;a@b.example&gt;<br></span></div><div><b>Objet: </b>Hello<br></div><div><b>Date: </b>x<br></div><br><div>Text`,
			[]string{"D&eac apple-mail fr A <a@b.example> Hello"}},
		{"Thunderbird", "x", `<p>Look</p><div class="moz-forward-container"><br><br>-------- Weitergeleitete Nachricht --------<table class="moz-email-headers-table"><tbody><tr><th>Betreff: </th><td>Hallo</td></tr>` + "\n" + `<tr><th>Datum: </th><td>heute</td></tr><tr><th>Von: </th><td>A &lt;a@b.example&gt;</td></tr><tr><th>An: </th><td>B</td></tr></tbody></table><br>Text</div>`,
			[]string{"<div  thunderbird de A <a@b.example> Hallo"}},
		{"Thunderbird in a language that is not known", "x", `<div class="moz-forward-container">-------- 転送メッセージ --------<table><tr><th>件名: </th><td>x</td></tr></table>`, []string{"<div  thunderbird   "}},
		{"Outlook on the web, forward", "Fw: x", `<div id="appendonsend"></div><hr><div id="divRplyFwdMsg" dir="ltr"><font>` + outlookLabels, []string{"<div  outlook en A <a@b.example> Hello"}},
		{"Outlook on the web, reply", "Re: x", `<div id="appendonsend"></div><hr><div id="divRplyFwdMsg" dir="ltr"><font>` + outlookLabels, nil},
		{"Outlook on the web, no prefix", "x", `<div id="divRplyFwdMsg" dir="ltr"><font>` + outlookLabels, []string{"<div  outlook en A <a@b.example> Hello"}},
		{"Outlook on the web in a language that is not known", "转发: x", `<div id="divRplyFwdMsg"><b>发件人:</b> A<br>`, []string{"<div  outlook   "}},
		{"the same, no prefix", "x", `<div id="divRplyFwdMsg"><b>发件人:</b> A<br>`, nil},
		{"Outlook, forward", "FW: x", `<p class="MsoNormal">Look</p><div><div style="border-top:solid"><p class="MsoNormal"><b>From:</b> A<br><b>Sent:</b> today<br><b>To:</b> B<br><b>Subject:</b> Hello<o:p></o:p></p></div></div>`, []string{"From: outlook en A Hello"}},
		{"pre", "x", "<pre>Look\n" + gmailLine + strings.ReplaceAll(gmailBlock, "<", "&lt;") + "</pre>", []string{"----- gmail en A <a@b.example> Hello"}},
		{"not shown", "x", "<style>\n" + gmailLine + gmailBlock + "</style><title>" + gmailLine + gmailBlock + "</title><script>" + gmailLine + gmailBlock + "</script><!-- " + gmailLine + gmailBlock + " --><p>From: A<p>To: B<p>Subject: C", nil},
		{"lines of the source, then the same and others", "x", "<p>\n" + gmailLine + "From: A\nDate: today\nSubject: Hello\n<hr>Text<hr>-------- Forwarded Message --------<br>From: B<br>Subject: Deeper", []string{"----- gmail en A Hello", "-----  en B Deeper"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if !MayHold([]byte(tt.html)) {
				t.Error("there is no hint")
			}
			var got []string
			for _, m := range readPage([]byte(tt.html), tt.subject) {
				start, _, _ := strings.Cut(tt.html[m.At:m.At+5], "\x00")
				got = append(got, strings.Join([]string{strings.Replace(start, "<b>Fr", "From:", 1), m.Enclosed.Client, m.Enclosed.Language, m.Enclosed.From, m.Enclosed.Subject}, " "))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestPageAnyLines holds that a mail is found whatever makes its lines.
func TestPageAnyLines(t *testing.T) {
	t.Parallel()
	const begin, block = "---------- Forwarded message ---------", "From: A\nDate: today\nSubject: Hello\nTo: B\n"
	each := func(before, after string) string {
		return before + strings.ReplaceAll(begin+"\n"+strings.TrimSpace(block), "\n", after+before) + after
	}
	for name, html := range map[string]string{
		"no pre":                    "<p>Look\n" + begin + "\n" + block + "</p>",
		"white-space":               `<div style="white-space: pre-wrap">` + begin + "\n" + block + "</div>",
		"carriage returns alone":    "<pre>" + strings.ReplaceAll(begin+"\n"+block, "\n", "\r") + "</pre>",
		"references of hyphens":     strings.ReplaceAll(each("<p>", "</p>"), "-", "&#45;"),
		"references without end":    strings.ReplaceAll(strings.ReplaceAll(each("<p>", "</p>"), ":", "&#58"), "-", "&#x2d"),
		"display":                   each(`<span style="display:block">`, "</span>"),
		"display of bold":           each(`<b style="display:block">`, "</b>"),
		"labels in bold":            strings.ReplaceAll(each(`<span class="row">`, "</span>"), "From", "<b>From</b>"),
		"elements that are unknown": each("<x-row>", "</x-row>"),
		"items of a flex box":       `<div style="display:flex">Look ` + each("<span>", "</span>") + "</div>",
		"textarea":                  "Look <textarea>" + begin + "\n" + block + "</textarea>",
		"textarea that is dropped":  "Look <textarea>" + each("<p>", "</p>") + "</textarea>",
		"noscript":                  "Look <noscript>" + each("<p>", "</p>") + "</noscript>",
		"noscript in noscript":      "<noscript><noscript><style></style>" + each("<p>", "</p>") + "</noscript>",
		"frames":                    "<iframe>" + each("<p>", "</p>") + "</iframe>",
		"template":                  "<template>" + each("<p>", "</p>") + "</template>",
		"template that SVG closes":  "<svg><template></svg>" + each("<p>", "</p>"),
		"title that SVG closes":     "<svg><title>x</svg>" + each("<p>", "</p>"),
		"style that a tag closes":   "<math><style>" + each("<p>", "</p>"),
		"textarea in SVG":           "<svg><textarea></svg>" + each("<p>", "</p>"),
		"white space before":        strings.Repeat(" ", 2*maxLine) + each("<p>", "</p>"),
		"white space inside":        strings.Replace(each("<p>", "</p>"), " ", strings.Repeat(" \n<i></i>", maxLine), 1),
		"many elements":             strings.Replace(each("<p>", "</p>"), "<p>From", "<p>"+strings.Repeat("<b></b>\u200b", 3*maxRun)+"From", 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mails := readPage([]byte(html), "x")
			if len(mails) != 1 || mails[0].Enclosed.From != "A" || mails[0].Enclosed.Subject != "Hello" {
				t.Errorf("%+v", mails)
			}
		})
	}
}

func TestMayHold(t *testing.T) {
	t.Parallel()
	if MayHold([]byte("<p style=\"color:black\">Thank you -- for your order.</p>")) {
		t.Error("a hint in ordinary HTML")
	}
}

func FuzzPage(f *testing.F) {
	f.Add([]byte(`<div class="moz-forward-container"><br>-------- Forwarded Message --------<table><tr><th>Subject: </th><td>a</td></tr><tr><th>From: </th><td>&amp;`), "x")
	f.Add([]byte("<pre>"+gmailLine+gmailBlock+`</pre><div id=divRplyFwdMsg><b>From:</b> A<br>Sent: b<br>To: c<hr>`), "FW: x")
	f.Fuzz(func(t *testing.T, text []byte, subject string) {
		mails := readPage(text, subject)
		checkMails(t, mails, len(text))
		// Whatever follows, a mail at the beginning is one.
		mark := "<p>---------- Forwarded message ---------<br>From: A<br>Date: B<br>Subject: C</p>"
		mails = readPage(append([]byte(mark), text...), subject)
		checkMails(t, mails, len(mark)+len(text))
		if len(mails) == 0 || mails[0].At != len("<p>") {
			t.Fatalf("%+v", mails)
		}
	})
}
