package markup

import (
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/testdata/conformance"
)

// Forwards as clients write them, in text and in HTML.
const (
	forwardText = "---------- Forwarded message ---------\nFrom: A <a@b.example>\nDate: today\nSubject: Hello\nTo: B\n\nText\n"
	forwardHTML = "\n" + `<div class="gmail_quote"><div class="gmail_attr">---------- Forwarded message ---------<br>From: A &lt;a@b.example&gt;<br>Date: today<br>Subject: Hello<br>To: B<br></div><br>Text</div>`
)

// button is an action with that name, in JSON-LD.
func button(name string) string {
	return ld(`{"@context":"http://schema.org","@type":"ViewAction","name":"` + name + `","url":"https://` + name + `.example/"}`)
}

// buttonItem is the same in Microdata.
func buttonItem(name string) string {
	return `<p itemscope itemtype="http://schema.org/ViewAction"><meta itemprop=name content=` + name + `><a itemprop=url href="https://` + name + `.example/">x</a></p>`
}

// multi makes a multipart of parts, each with its header.
func multi(kind string, parts ...string) string {
	boundary := fmt.Sprintf("b%d", len(strings.Join(parts, "")))
	return "Content-Type: multipart/" + kind + "; boundary=" + boundary + "\n\n--" + boundary + "\n" + strings.Join(parts, "\n--"+boundary+"\n") + "\n--" + boundary + "--\n"
}

func plainPart(text string) string { return "Content-Type: text/plain; charset=utf-8\n\n" + text }
func htmlPart(text string) string  { return "Content-Type: text/html; charset=utf-8\n\n" + text }
func mailPart(text string) string  { return "Content-Type: message/rfc822\n\n" + text }

func TestEnclosed(t *testing.T) {
	t.Parallel()
	other := "From: A <a@b.example>\nSubject: Hello\n"
	tests := []struct {
		name, raw string
		actions   []string // Name, enclosure, part.
		mails     []string // How, mark, from, subject, place.
	}{
		{"none", htmlPart(button("own")), []string{"own  1"}, nil},
		{"before and after", htmlPart("<body>" + button("own") + buttonItem("mine") + forwardHTML + button("his") + buttonItem("hers")), []string{"own  1", "mine  1", "his inline 1", "hers inline 1"},
			[]string{"inline ---------- Forwarded message --------- A <a@b.example> Hello part 1, line 2, column 50"}},
		{"after a reply", htmlPart(`<div class="gmail_quote"><div class="gmail_attr">On Wed, A wrote:<br></div>--- <p>` + button("own")), []string{"own  1"}, nil},
		{"text alone", plainPart(forwardText), nil, []string{"inline ---------- Forwarded message --------- A <a@b.example> Hello part 1, line 1, column 1"}},
		{"in text and in HTML", multi("alternative", plainPart(forwardText), htmlPart("Look"+button("own")+forwardHTML+button("his"))), []string{"own  2", "his inline 2"},
			[]string{"inline ---------- Forwarded message --------- A <a@b.example> Hello part 2, line 2, column 50"}},
		{"in text only", multi("alternative", plainPart("Look:\n"+forwardText), htmlPart(button("own")+button("his"))), []string{"own inline 2", "his inline 2"},
			[]string{"inline ---------- Forwarded message --------- A <a@b.example> Hello part 1, line 2, column 1"}},
		{"in text only, HTML first and deeper", multi("mixed", multi("alternative", multi("related", htmlPart(button("own"))), plainPart(forwardText)), htmlPart(button("later"))), []string{"own inline 1.1.1", "later inline 2"},
			[]string{"inline ---------- Forwarded message --------- A <a@b.example> Hello part 1.2, line 1, column 1"}},
		{"in text between", multi("mixed", htmlPart(button("own")), plainPart(forwardText), htmlPart(button("his"))), []string{"own  1", "his inline 3"},
			[]string{"inline ---------- Forwarded message --------- A <a@b.example> Hello part 2, line 1, column 1"}},
		{"in several parts of HTML", multi("mixed", htmlPart("<p></p>"+button("own")+forwardHTML), htmlPart(button("his"))), []string{"own  1", "his inline 2"},
			[]string{"inline ---------- Forwarded message --------- A <a@b.example> Hello part 1, line 2, column 50"}},
		{"in a text file", multi("mixed", "Content-Disposition: attachment\n\n"+forwardText, htmlPart(button("own"))), []string{"own  2"}, nil},
		{"Outlook, forward", "Subject: =?utf-8?q?FW:_x?=\n" + htmlPart(`<div id="divRplyFwdMsg"><b>From:</b> A<br><b>Sent:</b> x<br><b>To:</b> B<br><b>Subject:</b> C</div>`+button("his")), []string{"his inline 1"}, []string{"inline divRplyFwdMsg A C part 1, line 1, column 1"}},
		{"Outlook, reply", "Subject: RE: FW: x\n" + htmlPart(`<div id="divRplyFwdMsg"><b>From:</b> A<br><b>Sent:</b> x<br><b>To:</b> B<br><b>Subject:</b> C</div>`+button("own")), []string{"own  1"}, nil},

		{"attached", multi("mixed", mailPart(other+htmlPart(button("his"))), htmlPart(button("own"))), []string{"own  2", "his attachment 1.1"}, []string{"attachment message/rfc822 A <a@b.example> Hello part 1"}},
		{"attached, global", multi("mixed", htmlPart(button("own")), "Content-Type: message/global\nContent-Disposition: attachment\n\n"+other+multi("alternative", plainPart("x"), htmlPart(button("his")))), []string{"own  1", "his attachment 2.2"}, []string{"attachment message/global A <a@b.example> Hello part 2"}},
		{"attached in base64", multi("mixed", "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n"+base64.StdEncoding.EncodeToString([]byte(other+htmlPart(button("his"))))), []string{"his attachment 1.1"}, []string{"attachment message/rfc822 A <a@b.example> Hello part 1"}},
		{"the message is one", mailPart(other + htmlPart(button("his"))), []string{"his attachment 1.1"}, []string{"attachment message/rfc822 A <a@b.example> Hello part 1"}},
		{"attached in each other", mailPart(other + multi("mixed", mailPart("Date: x\n"+htmlPart(button("his"))), htmlPart(forwardHTML+button("hers")))), []string{"his attachment 1.1.1", "hers attachment 1.2"}, []string{"attachment message/rfc822 A <a@b.example> Hello part 1"}},
		{"HTML file of an attached mail", mailPart(other + "Content-Disposition: attachment\n" + htmlPart(button("his"))), nil, []string{"attachment message/rfc822 A <a@b.example> Hello part 1"}},
		{"report", multi("report; report-type=delivery-status", plainPart("x"), mailPart(other+htmlPart(button("own")))), nil, nil},
		{"digest", multi("digest", "\n"+other+htmlPart(button("his"))), nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := Extract(message.Parse([]byte(tt.raw)))
			var actions, mails []string
			for i, a := range m.Actions {
				actions = append(actions, fmt.Sprintf("%s %s %s", a.Name, a.Enclosed, a.Place.Part))
				if a.Index != i {
					t.Errorf("index %d of action %d", a.Index, i)
				}
			}
			for _, e := range m.Enclosed {
				mails = append(mails, fmt.Sprintf("%s %s %s %s %s", e.How, e.Mark, e.From, e.Subject, e.Place))
			}
			if !slices.Equal(actions, tt.actions) || !slices.Equal(mails, tt.mails) {
				t.Errorf("actions %q, mails %q; want %q and %q", actions, mails, tt.actions, tt.mails)
			}
			if len(m.Problems) > 0 {
				t.Errorf("problems %v", m.Problems)
			}
		})
	}
}

// TestEnclosedReach holds that an action is the sender's own only if it and all
// that belongs to it stand above the mark, in the body.
func TestEnclosedReach(t *testing.T) {
	t.Parallel()
	const (
		action  = `itemscope itemtype="http://schema.org/ConfirmAction"`
		owner   = `itemscope itemtype="http://schema.org/EmailMessage"`
		handler = `itemprop=handler itemscope itemtype="http://schema.org/HttpActionHandler"`
		url     = `<link itemprop=url href="https://a.example/">`
		parcel  = `itemscope itemtype="http://schema.org/ParcelDelivery"`
	)
	for _, tt := range []struct {
		name, html string
		own        bool
	}{
		{"above", `<div ` + owner + `><p itemprop=potentialAction ` + action + `><i ` + handler + `>` + url + `</i></p></div>` + forwardHTML, true},
		{"above, in the body", `<html><head></head><body><div ` + action + `><i ` + handler + `>` + url + `</i></div>` + forwardHTML, true},
		{"above, by itemref", `<link id=u itemprop=url href=x><p></p><i id=h ` + handler + ` itemref=v></i><i id=v>` + url + `</i><div ` + action + ` itemref=h></div>` + forwardHTML, true},
		{"parcel above", `<div ` + parcel + `><a itemprop=trackingUrl href=x>x</a></div>` + forwardHTML, true},
		{"item around the mark", `<div ` + owner + `><p itemprop=potentialAction ` + action + `><i ` + handler + `>` + url + `</i></p>` + forwardHTML + `</div>`, true},

		{"handler below", `<div ` + action + `>` + forwardHTML + `<i ` + handler + `>` + url + `</i></div>`, false},
		{"url below", `<div ` + action + `><i ` + handler + `>` + forwardHTML + url + `</i></div>`, false},
		{"name below", `<div ` + action + `>` + url + forwardHTML + `<meta itemprop=name content=x></div>`, false},
		{"entry point below", `<div ` + action + `><i itemprop=target itemscope itemtype="http://schema.org/EntryPoint">` + forwardHTML + `<meta itemprop=urlTemplate content=x></i></div>`, false},
		{"handler below, by itemref", `<div ` + action + ` itemref=h></div>` + forwardHTML + `<i id=h ` + handler + `>` + url + `</i>`, false},
		{"url below, by two itemrefs", `<div ` + action + `><i ` + handler + ` itemref=u></i></div>` + forwardHTML + `<p id=u>` + url + `</p>`, false},
		{"action below, by itemref", `<div ` + owner + ` itemref=a></div>` + forwardHTML + `<i id=a itemprop=potentialAction ` + action + `>` + url + `</i>`, false},
		{"owner below, by itemref", `<i id=a itemprop=potentialAction ` + action + `>` + url + `</i>` + forwardHTML + `<div ` + owner + ` itemref=a></div>`, false},
		{"description of the owner below", `<div ` + owner + `><p itemprop=potentialAction ` + action + `>` + url + `</p>` + forwardHTML + `<meta itemprop=description content=x></div>`, false},
		{"parcel's address below", `<div ` + parcel + `>` + forwardHTML + `<a itemprop=trackingUrl href=x>x</a></div>`, false},
		{"parcel below, by itemref", `<a id=t itemprop=trackingUrl href=x>x</a>` + forwardHTML + `<div ` + parcel + ` itemref=t></div>`, false},

		{"second body", `<body style="align-items:center">` + forwardHTML + `<body ` + action + `>` + url, false},
		{"second html", `<html data-item=x><p>Look</p>` + forwardHTML + `<html ` + action + `>` + url, false},
		{"second body as owner", `<p itemprop=potentialAction ` + action + `>` + url + `</p>` + forwardHTML + `<body ` + owner + `>`, false},
		{"body that is named", `<div ` + action + ` itemref=b></div>` + forwardHTML + `<body id=b itemprop=url>`, false},
		{"place that is forged", forwardHTML + `<svg><title></svg><p ` + offsetAttr + `=0 ` + action + `>` + url, false},
		{"template that SVG closes", `<svg><template></svg>` + forwardHTML + `<p ` + action + `>` + url, false},

		{"script in the body", `<!DOCTYPE html><html><head><title>x</title></head> <body>` + button("x") + forwardHTML, true},
		{"script below text", "Look" + button("x") + forwardHTML, true},
		{"script below an element", "<img src=x>" + button("x") + forwardHTML, true},
		{"script in the head", `<html><head>` + button("x") + `</head><body>` + forwardHTML, false},
		{"script after the head", `<head><style>p{}</style><title>Look</title></head>` + button("x") + `<body>` + forwardHTML, false},
		{"script before all", "\ufeff\n<!-- Look -->" + button("x") + forwardHTML, false},
		{"script after a template", `<head><template><p>Look</p></template>` + button("x") + forwardHTML, false},
		{"property in the head", `<head><link id=u itemprop=url href=x><body><div ` + action + ` itemref=u></div>` + forwardHTML, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, mark := range []bool{true, false} {
				html := tt.html
				if !mark {
					html = strings.ReplaceAll(html, forwardHTML, "<p>Text</p>")
				}
				actions, _, _ := ExtractHTML("1", []byte(html))
				if len(actions) != 1 || (actions[0].Enclosed == "") != (tt.own || !mark) {
					t.Errorf("mark %v: %+v", mark, actions)
				}
			}
		})
	}
}

// TestEnclosedParts holds that it does not matter in which part and in which form
// the mark stands.
func TestEnclosedParts(t *testing.T) {
	t.Parallel()
	const (
		outlook = `<div><b>From:</b> A<br><b>Sent:</b> x<br><b>To:</b> B<br><b>Subject:</b> C</div>`
		apple   = `<div>Begin forwarded message:</div><div><b>From: </b>A</div><div><b>Subject: </b>B</div>`
	)
	action := htmlPart("<p></p>" + button("x"))
	mark := htmlPart(forwardHTML)
	file := "Content-Disposition: attachment\n"
	for _, tt := range []struct {
		name, raw string
		own       bool
	}{
		{"alternative, below", multi("alternative", action, mark), false},
		{"alternative, above", multi("alternative", mark, action), false},
		{"alternative, in related", multi("alternative", action, multi("related", mark)), false},
		{"alternative, in mixed", multi("alternative", action, multi("mixed", plainPart("x"), plainPart(forwardText))), false},
		{"alternative, both in others", multi("alternative", multi("related", action), multi("mixed", plainPart(forwardText))), false},
		{"alternative, with its own mark", multi("alternative", htmlPart("<p></p>"+button("x")+forwardHTML), multi("mixed", plainPart(forwardText))), true},
		{"alternative, file", multi("alternative", file+plainPart(forwardText), action), false},
		{"alternative, file of HTML", multi("alternative", file+mark, action), false},
		{"related", multi("related", action, mark), false},
		{"mixed, below", multi("mixed", action, plainPart(forwardText)), true},
		{"mixed, above", multi("mixed", plainPart(forwardText), action), false},
		{"mixed, above and deeper", multi("mixed", multi("related", mark), multi("alternative", plainPart("x"), action)), false},
		{"mixed, tenth part", multi("mixed", append(slices.Repeat([]string{plainPart("x")}, 9), multi("alternative", action, plainPart(forwardText)))...), false},
		{"mixed, file", multi("mixed", file+plainPart(forwardText), action), true},
		{"header of a bounce", multi("mixed", "Content-Type: text/rfc822-headers\n\n"+forwardText, action), true},

		{"hyphens by reference", htmlPart(strings.ReplaceAll(forwardHTML, "-", "&#45;") + button("x")), false},
		{"Outlook without its elements", "Subject: FW: x\n" + htmlPart(outlook+button("x")), false},
		{"the same in Microdata", "Subject: FW: x\n" + htmlPart(outlook+buttonItem("x")), false},
		{"the same in another part", "Subject: FW: x\n" + multi("mixed", htmlPart(outlook), action), false},
		{"Apple Mail without a quotation", htmlPart(apple + button("x")), false},
		{"Apple Mail, cited loudly", htmlPart(`<blockquote type="CITE">` + apple + button("x")), false},
		{"more than is searched", multi("mixed", htmlPart(forwardHTML+"<p itemscope>"+strings.Repeat("x\n", maxHTML/2)), action), false},
		{"text/enriched", multi("mixed", "Content-Type: text/enriched\n\n<bold>"+strings.ReplaceAll(forwardText, "\n", "\n\n"), action), false},
		{"text of unknown type", multi("mixed", "Content-Type: text/x-memo\n\n"+forwardText, action), false},
		{"unknown transfer encoding", multi("alternative", "Content-Transfer-Encoding: x\n"+plainPart(forwardText), action), false},
		{"HTML in unknown transfer encoding", multi("alternative", "Content-Transfer-Encoding: x\n"+mark, action), false},
		{"carriage returns alone", multi("alternative", "Content-Transfer-Encoding: quoted-printable\n"+plainPart(strings.ReplaceAll(forwardText, "\n", "=0D=\n")), action), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := Extract(message.Parse([]byte(tt.raw)))
			if len(m.Actions) != 1 || (m.Actions[0].Enclosed == "") != tt.own || !tt.own && len(m.Enclosed) == 0 {
				t.Errorf("%+v", m)
			}
		})
	}
}

// TestEnclosedIsAnotherMessage holds that nothing but its actions is taken from
// an attached mail.
func TestEnclosedIsAnotherMessage(t *testing.T) {
	t.Parallel()
	inner := "From: A <a@b.example>\nList-Unsubscribe: <https://a.example/>, x\nList-Unsubscribe-Post: x\n" + multi("mixed", htmlPart(ld("{")+button("one")+buttonItem("one")), "Content-Type: text/html\nContent-Transfer-Encoding: base64\n\n*")
	m := Extract(message.Parse([]byte(multi("mixed", mailPart(inner), htmlPart(button("one"))))))
	if len(m.Actions) != 3 || len(m.Problems) > 0 || m.Unsubscribe.Fields+m.Unsubscribe.PostFields > 0 || !slices.Equal(m.Items, []string{"ViewAction"}) {
		t.Errorf("%+v", m)
	}
}

func TestEnclosedLimits(t *testing.T) {
	t.Parallel()
	raw := htmlPart(button("deep"))
	for range maxEnclosure {
		raw = mailPart("Date: x\n" + raw)
	}
	if m := Extract(message.Parse([]byte(raw))); len(m.Actions) != 1 || m.Actions[0].Place.Part != "1.1.1.1.1.1" || len(m.Problems) > 0 {
		t.Errorf("%+v", m)
	}
	if m := Extract(message.Parse([]byte(mailPart("Date: x\n" + raw)))); len(m.Actions) != 0 || len(m.Enclosed) != 1 || !slices.Equal(codes(m.Problems), []policy.Reason{TooManyEnclosed}) {
		t.Errorf("deeper: %+v", m)
	}
	mail := mailPart("Date: x\n" + htmlPart(button("his")))
	m := Extract(message.Parse([]byte(multi("mixed", slices.Repeat([]string{mail}, maxEnclosed+1)...))))
	if len(m.Actions) != maxEnclosed || len(m.Enclosed) != maxEnclosed+1 || !slices.Equal(codes(m.Problems), []policy.Reason{TooManyEnclosed}) {
		t.Errorf("%d actions, %d mails, problems %v", len(m.Actions), len(m.Enclosed), m.Problems)
	}
	// Those of the message itself come first, however many are attached.
	m = Extract(message.Parse([]byte(multi("mixed", mailPart("Date: x\n"+htmlPart(strings.Repeat(button("his"), maxActions))), htmlPart(button("own"))))))
	if len(m.Actions) != maxActions || m.Actions[0].Name != "own" || !slices.Equal(codes(m.Problems), []policy.Reason{TooManyActions}) {
		t.Errorf("%d actions, problems %v", len(m.Actions), m.Problems)
	}
}

// forwards are the messages of the corpora that enclose mails, with the number
// of them; in no other one may any be found.
var forwards = map[string]int{
	"forward/rfc822-attachments/flanker/enclosed.eml":                                  1, // One attached mail.
	"forward/rfc822-attachments/flanker/enclosed-bad-encoding.eml":                     1, // The same with broken base64 inside,
	"forward/rfc822-attachments/flanker/enclosed-broken.eml":                           1, // with a broken header inside,
	"forward/rfc822-attachments/flanker/enclosed-broken-body.eml":                      1, // with a broken body inside,
	"forward/rfc822-attachments/flanker/enclosed-global.eml":                           1, // as message/global.
	"forward/rfc822-attachments/flanker/message-external-body.eml":                     1, // By Pine, whose line Gmail had until 2018; an announcement passed on.
	"forward/rfc822-attachments/flanker/multi-received-headers.eml":                    2, // By Gmail, twice.
	"forward/rfc822-attachments/mikel-mail/attachment_message_rfc822.eml":              1, // One attached mail.
	"forward/rfc822-attachments/mikel-mail/attachment_message_rfc822_inline_image.eml": 1, // Likewise.
	"malformed/mikel-mail/mime_emails/raw_email2.eml":                                  1, // By Gmail.
	"malformed/mikel-mail/plain_emails/raw_email8.eml":                                 1, // By Gmail.
	"malformed/mime-tools-testmsgs/ak-0696.msg":                                        1, // From here on one attached mail each.
	"malformed/mime-tools-testmsgs/frag.msg":                                           1,
	"malformed/mime-tools-testmsgs/jt-0498.msg":                                        1,
	"malformed/mime-tools-testmsgs/mp-msg-rfc822.msg":                                  1,
	"malformed/mime-tools-testmsgs/multi-2gifs-base64.msg":                             1, // All of the message, in base64.
	"malformed/mime-tools-testmsgs/multi-frag.msg":                                     1,
	"malformed/mime-tools-testmsgs/multi-nested.msg":                                   1,
	"malformed/mime-tools-testmsgs/multi-nested2.msg":                                  1,
	"malformed/mime-tools-testmsgs/multi-nested3.msg":                                  1,
	"malformed/mime-tools-testmsgs/re-fwd.msg":                                         1, // All of the message, and again in itself.
	"malformed/mime4j/base64encoded-rfc822message-nested.msg":                          1, // All of the message, in base64.
	"malformed/mime4j/multipartnestedemptyparts.msg":                                   1,
	"malformed/php-mime-mail-parser/issue158a":                                         1,
	"malformed/php-mime-mail-parser/issue158b":                                         1,
	"malformed/php-mime-mail-parser/issue158c":                                         1,
	"malformed/php-mime-mail-parser/issue158d":                                         1,
}

// TestEnclosedCorpus reads all mails of the corpora. Among those in which
// nothing may be found are bounces and other reports with the mail attached
// (flanker's aol, disposition-notification, office365, yahoo; report_422) or
// quoted (gmail-invalid-address), a reply (raw_email_reply), automatic forwards
// (mailauth, gitlab), and an attached message without any field of a mail
// (mime4j's base64encoded-rfc822message).
func TestEnclosedCorpus(t *testing.T) {
	t.Parallel()
	root := conformance.Path(t, ".")
	seen, found := 0, 0
	for _, folder := range []string{"dkim", "forward/gitlab", "forward/mailauth", "forward/rfc822-attachments", "forward/rsc-imap", "malformed", "markup"} {
		err := filepath.WalkDir(filepath.Join(root, filepath.FromSlash(folder)), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			switch filepath.Ext(path) {
			case ".json", ".xml", ".md":
				return nil
			case ".html":
				raw = append([]byte("From: a@b.example\nContent-Type: text/html\n\n"), raw...)
			}
			name, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			seen++
			list := Extract(message.Parse(raw)).Enclosed
			if len(list) != forwards[filepath.ToSlash(name)] {
				t.Errorf("%s: %+v", name, list)
			}
			if len(list) > 0 {
				found++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found != len(forwards) {
		t.Errorf("%d forwards", found)
	}
	conformance.Report(t, "all mails, enclosed mail", seen, 0)
}
