package forwarding

import (
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/html"

	"github.com/doppelbox/doppelbox/policy/quote"
)

// row is one line of the block that a client writes above the original.
type row struct {
	field  quote.Field
	label  string // With its colon.
	value  string
	people people // Of From, To and Cc.
}

// rows returns the block in the client's order. A field that the original does
// not have has no row, but From and Subject always have.
func (c *composer) rows() []row {
	nameless, between := "%", ", "
	switch c.Style {
	case Gmail:
		nameless = "<%>"
	case Outlook:
		nameless = "% <%>"
	case OutlookLive:
		nameless, between = "% <%>", "; "
	}
	var rows []row
	for _, f := range c.wording.Order {
		r := row{field: f, label: c.wording.Label(f) + ":"}
		switch f {
		case quote.FieldFrom:
			r.people = c.in.from
		case quote.FieldTo:
			r.people = c.in.to
		case quote.FieldCc:
			r.people = c.in.cc
		case quote.FieldDate:
			r.value = c.originalDate()
		case quote.FieldSubject:
			r.value = c.in.subject
		}
		if !r.people.empty() {
			r.value = r.people.describe(nameless, between)
		}
		if r.value != "" || f == quote.FieldFrom || f == quote.FieldSubject {
			rows = append(rows, r)
		}
	}
	return rows
}

// originalDate writes the original's date in the client's zone. Thunderbird
// shows the field itself. A date that cannot be read is shown as it is.
func (c *composer) originalDate() string {
	if c.in.time.IsZero() || c.Style == Thunderbird {
		return c.in.date
	}
	t := c.in.time.In(c.Time.Location())
	if c.Language != "en" {
		return t.Format("2006-01-02 15:04")
	}
	// U+202F before AM and PM is what recent versions write.
	switch c.Style {
	case Gmail:
		return t.Format("Mon, Jan 2, 2006 at 3:04\u202fPM")
	case AppleMail:
		return t.Format("January 2, 2006 at 3:04:05\u202fPM ") + zoneName(t)
	case Outlook:
		return t.Format("Monday, January 2, 2006 at 3:04\u202fPM")
	}
	return t.Format("Monday, January 2, 2006 3:04 PM")
}

// zoneName names a zone by its distance to GMT: what Apple writes where a
// zone has no name of its own.
func zoneName(t time.Time) string {
	_, offset := t.Zone()
	name := "GMT"
	if minutes := offset / 60; minutes != 0 {
		sign := "+"
		if minutes < 0 {
			sign, minutes = "-", -minutes
		}
		name += sign + strconv.Itoa(minutes/60)
		if minutes%60 != 0 {
			name += ":" + strconv.Itoa(minutes%60/10) + strconv.Itoa(minutes%10)
		}
	}
	return name
}

// quotedText writes the text/plain part.
func (c *composer) quotedText() string {
	var lines []string
	if c.wording.Line != "" {
		lines = append(lines, c.wording.Line)
	}
	space := " "
	switch c.Style {
	case AppleMail:
		lines = append(lines, "")
	case Thunderbird:
		space = " \t"
	}
	for _, r := range c.rows() {
		lines = append(lines, r.label+space+r.value)
	}
	lines = append(lines, "")
	if c.Style == Thunderbird {
		lines = append(lines, "", "")
	}
	lines = append(lines, strings.Split(strings.TrimSuffix(c.in.text, "\n"), "\n")...)
	if c.wording.Quoted {
		for i, line := range lines {
			lines[i] = strings.TrimRight("> "+line, " ")
		}
	}
	text := strings.Join(lines, "\n") + "\n"
	if c.Note != "" {
		text = strings.TrimRight(c.Note, "\n") + "\n\n" + text
	}
	return text
}

// quotedHTML writes the text/html part around the original's content.
func (c *composer) quotedHTML(content string) string {
	var b strings.Builder
	switch c.Style {
	case Gmail:
		c.gmail(&b, content)
	case AppleMail:
		c.appleMail(&b, content)
	case Thunderbird:
		c.thunderbird(&b, content)
	default:
		c.outlook(&b, content)
	}
	return b.String()
}

func (c *composer) gmail(b *strings.Builder, content string) {
	b.WriteString(`<div dir="ltr">` + htmlOf(c.Note) + `<br><br><div class="gmail_quote gmail_quote_container">` +
		`<div dir="ltr" class="gmail_attr">` + html.EscapeString(c.wording.Line) + "<br>\n")
	for _, r := range c.rows() {
		b.WriteString(html.EscapeString(r.label) + " ")
		if r.field == quote.FieldFrom && len(r.people.list) > 0 {
			a := r.people.list[0]
			name := a.Name
			if name == "" {
				name = a.Addr
			}
			b.WriteString(`<strong class="gmail_sendername" dir="auto">` + html.EscapeString(name) +
				`</strong> <span dir="auto">&lt;` + mailto("", a.Addr) + `&gt;</span>`)
		} else {
			b.WriteString(r.linked(func(addr string) string { return "&lt;" + mailto("", addr) + "&gt;" }))
		}
		b.WriteString("<br>\n")
	}
	b.WriteString("</div><br><br>\n" + content + "\n</div></div>\n")
}

func (c *composer) appleMail(b *strings.Builder, content string) {
	const (
		style = ` style="margin-top: 0px; margin-right: 0px; margin-bottom: 0px; margin-left: 0px;"`
		font  = `font-family: -webkit-system-font, Helvetica Neue, Helvetica, sans-serif;`
	)
	b.WriteString(`<html><head><meta http-equiv="content-type" content="text/html; charset=utf-8"></head>` +
		`<body style="overflow-wrap: break-word; -webkit-nbsp-mode: space; line-break: after-white-space;">` + htmlOf(c.Note) +
		`<br id="lineBreakAtBeginningOfMessage"><div><br><blockquote type="cite"><div>` + html.EscapeString(c.wording.Line) +
		`</div><br class="Apple-interchange-newline">` + "\n")
	for _, r := range c.rows() {
		value := r.linked(func(addr string) string { return mailto("", addr) })
		if r.field == quote.FieldSubject {
			value = "<b>" + value + "</b>"
		}
		b.WriteString("<div" + style + `><span style="` + font + ` color:rgba(0, 0, 0, 1.0);"><b>` + html.EscapeString(r.label) +
			` </b></span><span style="` + font + `">` + value + "<br></span></div>\n")
	}
	b.WriteString("<br><div>" + content + "</div></blockquote></div><br></body></html>\n")
}

func (c *composer) outlook(b *strings.Builder, content string) {
	b.WriteString(`<html>
<head>
<meta http-equiv="Content-Type" content="text/html; charset=utf-8">
</head>
<body dir="ltr">
<div style="font-family: Calibri, Helvetica, sans-serif; font-size: 11pt;">` + htmlOf(c.Note) + `<br>
</div>
<div id="appendonsend"></div>
<hr style="display:inline-block;width:98%" tabindex="-1">
<div id="divRplyFwdMsg" dir="ltr"><font face="Calibri, sans-serif" style="font-size:11pt" color="#000000">`)
	for i, r := range c.rows() {
		if i > 0 {
			b.WriteString("<br>\n")
		}
		b.WriteString("<b>" + html.EscapeString(r.label) + "</b> " + html.EscapeString(r.value))
	}
	b.WriteString("</font>\n<div>&nbsp;</div>\n</div>\n" + content + "\n</body>\n</html>\n")
}

func (c *composer) thunderbird(b *strings.Builder, content string) {
	b.WriteString(`<!DOCTYPE html>
<html>
  <head>
    <meta http-equiv="content-type" content="text/html; charset=UTF-8">
  </head>
  <body>
    <p>` + htmlOf(c.Note) + `<br>
    </p>
    <div class="moz-forward-container"><br>
      <br>
      ` + html.EscapeString(c.wording.Line) + `
      <table class="moz-email-headers-table" cellspacing="0" cellpadding="0" border="0">
        <tbody>
`)
	for _, r := range c.rows() {
		value := r.linked(func(addr string) string { return mailto(` class="moz-txt-link-abbreviated"`, addr) })
		b.WriteString(`          <tr>
            <th valign="BASELINE" nowrap="nowrap" align="RIGHT">` + html.EscapeString(r.label) + `
            </th>
            <td>` + value + `</td>
          </tr>
`)
	}
	b.WriteString("        </tbody>\n      </table>\n      <br>\n      <br>\n" + content + "\n    </div>\n  </body>\n</html>\n")
}

// linked returns the value of a row as HTML, with addresses as links; nameless
// writes an address that has no name.
func (r row) linked(nameless func(string) string) string {
	if len(r.people.list) == 0 {
		return html.EscapeString(r.value)
	}
	var list []string
	for _, a := range r.people.list {
		if a.Name == "" {
			list = append(list, nameless(a.Addr))
			continue
		}
		list = append(list, html.EscapeString(a.Name)+" &lt;"+mailto("", a.Addr)+"&gt;")
	}
	return strings.Join(list, ", ")
}

// mailto writes a link to an address; the class is an attribute or empty.
func mailto(class, addr string) string {
	addr = html.EscapeString(addr)
	return "<a" + class + ` href="mailto:` + addr + `">` + addr + "</a>"
}
