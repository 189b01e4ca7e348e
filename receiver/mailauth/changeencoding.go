package mailauth

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime/quotedprintable"
	"slices"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
)

const encodingField = "Content-Transfer-Encoding"

// encodings are the transfer encodings that a field may have named, and "" for
// no field.
var encodings = []string{"8bit", "7bit", "", "quoted-printable", "base64"}

// reencoded gives the texts of a message another transfer encoding.
func (u *undoer) reencoded(root entity) (undone, bool) {
	for _, from := range []string{"quoted-printable", "base64", "7bit or 8bit"} {
		for _, to := range encodings {
			switch {
			case to == from, !isOpaque(to) && !isOpaque(from):
				continue
			case len(root.parts) == 0 && (to == "7bit" || to == ""):
				continue // The body is the same as with 8bit.
			}
			body, n := u.recode(root, from, to)
			if n == 0 || !u.hasBody(body) {
				continue
			}
			was := to
			if !isOpaque(to) {
				was = "7bit or 8bit"
			}
			text := "the transfer encoding was changed from " + was + " to " + from
			return undone{policy.ChangeReencoded, text, withEncodings(u.fields)}, true
		}
	}
	return undone{}, false
}

// isOpaque reports whether an encoding changes octets.
func isOpaque(encoding string) bool {
	return encoding == "quoted-printable" || encoding == "base64"
}

// withEncodings returns a header as it is, and with each transfer encoding.
func withEncodings(fields []message.Field) [][]message.Field {
	list := [][]message.Field{fields}
	for _, encoding := range encodings {
		other := slices.DeleteFunc(slices.Clone(fields), func(f message.Field) bool { return f.Is(encodingField) })
		if encoding != "" {
			other = append(other, newField(encodingField, encoding))
		}
		list = append(list, other)
	}
	return list
}

// recode returns the body with those texts that have one encoding in another,
// and how many these are; none if one of them cannot be decoded.
func (u *undoer) recode(root entity, from, to string) ([]byte, int) {
	var out bytes.Buffer
	body, pos, n := u.bodies.body, 0, 0
	if !u.spend(len(body)) {
		return nil, 0
	}
	for text := range root.texts() {
		encoding := text.encoding()
		if encoding != from && (isOpaque(encoding) || isOpaque(from)) {
			continue
		}
		content := body[text.start:text.textEnd]
		if !u.spend(2 * len(content)) {
			return nil, 0
		}
		plain, err := decodeTransfer(content, encoding)
		if err != nil {
			return nil, 0
		}
		out.Write(body[pos:text.header])
		if text.number != "" {
			out.Write(withEncodingField(body[text.header:text.start], text.fields, to))
		}
		out.Write(encodeTransfer(plain, to))
		pos = text.textEnd
		n++
	}
	out.Write(body[pos:])
	return out.Bytes(), n
}

// withEncodingField returns the header of a part with another transfer
// encoding, in the same place where there is one.
func withEncodingField(header []byte, fields []message.Field, encoding string) []byte {
	var line []byte
	if encoding != "" {
		line = newField(encodingField, encoding).Raw
	}
	if i := lastField(fields, encodingField); i >= 0 {
		return bytes.Replace(header, fields[i].Raw, line, 1)
	}
	end := len(header)
	if len(trimLineEnd(header)) < end { // The empty line.
		end = len(trimLineEnd(header))
	}
	return slices.Concat(header[:end], line, header[end:])
}

// decodeTransfer undoes a transfer encoding (RFC 2045 6).
func decodeTransfer(b []byte, encoding string) ([]byte, error) {
	switch encoding {
	case "quoted-printable":
		return io.ReadAll(quotedprintable.NewReader(bytes.NewReader(b)))
	case "base64":
		digits := slices.DeleteFunc(slices.Clone(b), func(c byte) bool { return c == '\r' || c == '\n' || c == ' ' || c == '\t' })
		return base64.StdEncoding.AppendDecode(nil, digits)
	}
	return b, nil
}

// encodeTransfer applies a transfer encoding, with lines of 76 characters.
func encodeTransfer(b []byte, encoding string) []byte {
	var out bytes.Buffer
	switch encoding {
	case "quoted-printable":
		w := quotedprintable.NewWriter(&out)
		w.Write(b) // Never fails: a buffer does not.
		w.Close()
		return out.Bytes()
	case "base64":
		const width = 76
		for text := base64.StdEncoding.AppendEncode(nil, b); len(text) > 0; {
			n := min(width, len(text))
			if out.Len() > 0 {
				out.WriteString("\r\n")
			}
			out.Write(text[:n])
			text = text[n:]
		}
		return out.Bytes()
	}
	return b
}
