package forwarding

import (
	"bytes"
	"cmp"
	"strings"
)

// writeHeader writes the fields of the new message, in the client's order.
func (c *composer) writeHeader(out *bytes.Buffer, body node) {
	for _, name := range c.fieldNames() {
		if value := c.field(name, body); value != "" {
			out.WriteString(foldField(name, value))
		}
		if name == "Content-Type" && body.encoding != "" {
			out.WriteString("Content-Transfer-Encoding: " + body.encoding + "\r\n")
		}
	}
}

func (c *composer) fieldNames() []string {
	switch c.Style {
	case Gmail:
		return []string{"MIME-Version", "References", "In-Reply-To", "From", "Date", "Message-ID", "Subject", "To", "Content-Type"}
	case AppleMail:
		return []string{"From", "Content-Type", "Mime-Version", "Subject", "Message-Id", "References", "Date", "To", "X-Mailer"}
	case Thunderbird:
		return []string{"Content-Type", "Message-ID", "Date", "MIME-Version", "User-Agent", "Subject", "References",
			"Content-Language", "To", "From", "In-Reply-To", "X-Forwarded-Message-Id"}
	}
	return []string{"From", "To", "Subject", "Thread-Topic", "Date", "Message-ID", "References", "In-Reply-To",
		"Accept-Language", "Content-Language", "X-MS-Has-Attach", "Content-Type", "MIME-Version"}
}

// field returns the value of a field; empty if the client leaves it out.
func (c *composer) field(name string, body node) string {
	switch strings.ToLower(name) {
	case "from":
		return headerAddress(c.by.Name, c.by.Addr)
	case "to":
		return headerAddress(c.rcp.Name, c.rcp.Addr)
	case "date":
		return c.Time.Format(dateFormat)
	case "subject":
		return encodeText(c.newSubject())
	case "thread-topic":
		return encodeText(c.in.subject)
	case "message-id":
		return cmp.Or(c.MessageID, c.newMessageID())
	case "references", "in-reply-to", "x-forwarded-message-id":
		return c.referring(strings.ToLower(name))
	case "content-type":
		return body.typ
	case "mime-version":
		if c.Style == AppleMail {
			return `1.0 (Mac OS X Mail 16.0 \(3826.700.81\))`
		}
		return "1.0"
	case "x-mailer":
		return "Apple Mail (2.3826.700.81)"
	case "user-agent":
		return "Mozilla Thunderbird"
	case "accept-language", "content-language":
		return languageTag(c.Language)
	case "x-ms-has-attach":
		if len(c.in.files) > 0 || c.As == Attachment {
			return "yes"
		}
	}
	return ""
}

// referring returns what a field says of the original. A mail with an attached
// original is a new one to all clients but Thunderbird.
func (c *composer) referring(name string) string {
	switch {
	case c.in.messageID == "", c.As == Attachment && c.Style != Thunderbird:
		return ""
	case name == "references":
		return strings.Join(c.in.references, " ")
	}
	return c.in.messageID
}

// newSubject puts the client's prefix before the subject, unless it has it.
func (c *composer) newSubject() string {
	prefix, subject := c.wording.Prefixes[0], c.in.subject
	if len(subject) >= len(prefix) && strings.EqualFold(subject[:len(prefix)], prefix) {
		return subject
	}
	return strings.TrimSpace(prefix + " " + subject)
}

func (c *composer) newMessageID() string {
	host := domainOf(c.by.Addr)
	switch c.Style {
	case Gmail:
		return "<CA" + c.seed.hex("id", 48) + "@mail.gmail.com>"
	case AppleMail:
		return "<" + strings.ToUpper(c.seed.uuid("id")) + "@" + host + ">"
	case Thunderbird:
		return "<" + c.seed.uuid("id") + "@" + host + ">"
	}
	return "<" + strings.ToUpper(c.seed.hex("id", 50)) + "@" + host + ">"
}

// boundary has the client's shape.
func (c *composer) boundary(use string) string {
	switch c.Style {
	case Gmail:
		return "000000000000" + c.seed.hex(use, 16)
	case AppleMail:
		return "Apple-Mail=_" + strings.ToUpper(c.seed.uuid(use))
	case Thunderbird:
		return "------------" + c.seed.hex(use, 24)
	}
	return "_000_" + strings.ToUpper(c.seed.hex(use, 32)) + "_"
}

// headerAddress writes an address with its name (RFC 5322 3.4).
func headerAddress(name, addr string) string {
	if name == "" {
		return addr
	}
	return encodePhrase(name) + " <" + addr + ">"
}

// languageTag writes a language as fields have it (RFC 5646 2.1.1).
func languageTag(language string) string {
	primary, region, ok := strings.Cut(language, "-")
	switch {
	case ok:
		return primary + "-" + strings.ToUpper(region)
	case primary == "en":
		return "en-US"
	}
	return primary
}
