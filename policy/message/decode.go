package message

import (
	"bytes"
	"encoding/base64"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-message/charset"

	"github.com/doppelbox/doppelbox/policy"
)

// isOpaque reports whether a transfer encoding changes octets.
func isOpaque(enc string) bool {
	switch enc {
	case "7bit", "8bit", "binary":
		return false
	}
	return true
}

// decodeTransfer undoes a transfer encoding. It reports whether it knows it.
func decodeTransfer(body []byte, enc string, place policy.Place, p *policy.Problems) ([]byte, bool) {
	switch {
	case !isOpaque(enc):
		return body, true
	case enc == "base64":
		return decodeBase64(body, place, p), true
	case enc == "quoted-printable":
		return decodeQuotedPrintable(body, place, p), true
	}
	p.Add(place, UnknownEncoding, "unknown transfer encoding %q", clip(enc))
	return body, false
}

// decodeBase64 decodes up to the padding and passes over what is not of the
// alphabet (RFC 2045 6.8).
func decodeBase64(body []byte, place policy.Place, p *policy.Problems) []byte {
	digits := make([]byte, 0, len(body))
	padding, foreign := 0, 0
	for i, c := range body {
		switch {
		case c == '\r' || c == '\n' || c == ' ' || c == '\t':
		case c == '=':
			padding++
		case !isBase64(c):
			foreign++
		case padding > 0:
			p.Add(place, Base64, "base64 goes on after its padding; the last %d octets are left out", len(body)-i)
			return decodeDigits(digits)
		default:
			digits = append(digits, c)
		}
	}
	if foreign > 0 {
		p.Add(place, Base64, "%d octets are not base64", foreign)
	}
	if (len(digits)+padding)%4 != 0 || padding > 2 {
		p.Add(place, Base64, "base64 is cut off: %d digits and %d of padding", len(digits), padding)
	}
	return decodeDigits(digits)
}

func decodeDigits(digits []byte) []byte {
	if len(digits)%4 == 1 {
		digits = digits[:len(digits)-1] // Six bits are no octet.
	}
	out, err := base64.RawStdEncoding.AppendDecode(nil, digits)
	if err != nil {
		panic("base64 digits were filtered: " + err.Error())
	}
	return out
}

func isBase64(c byte) bool {
	return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '+' || c == '/'
}

// decodeQuotedPrintable decodes and lets stand what is no escape (RFC 2045 6.7).
func decodeQuotedPrintable(body []byte, place policy.Place, p *policy.Problems) []byte {
	out := make([]byte, 0, len(body))
	broken := 0
	for len(body) > 0 {
		content, size := nextLine(body)
		end := body[len(content):size]
		body = body[size:]
		content = bytes.TrimRight(content, " \t") // Rule 3: added on the way.
		if n := len(content); n > 0 && content[n-1] == '=' {
			content, end = content[:n-1], nil
		}
		for {
			i := bytes.IndexByte(content, '=')
			if i < 0 {
				break
			}
			out = append(out, content[:i]...)
			content = content[i+1:]
			if len(content) < 2 || unhex(content[0]) < 0 || unhex(content[1]) < 0 {
				broken++
				out = append(out, '=')
				continue
			}
			out = append(out, byte(unhex(content[0])<<4|unhex(content[1])))
			content = content[2:]
		}
		out = append(out, content...)
		out = append(out, end...)
	}
	if broken > 0 {
		p.Add(place, QuotedPrintable, "%d equals signs start no escape", broken)
	}
	return out
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}

// toUTF8 converts text from a charset. The result may be one octet longer than
// room, and is then cut.
func toUTF8(text []byte, name string, room int, place policy.Place, p *policy.Problems) []byte {
	name = strings.ToLower(strings.TrimSpace(name))
	switch name {
	case "", "utf-8", "utf8", "us-ascii", "ascii":
		if utf8.Valid(text) {
			return text
		}
		p.Add(place, BrokenCharset, "text is not valid in charset %q", name)
		return bytes.ToValidUTF8(text, []byte("\uFFFD"))
	}
	r, err := charset.Reader(name, bytes.NewReader(text))
	if err != nil {
		p.Add(place, UnknownCharset, "unknown charset %q", clip(name))
		return bytes.ToValidUTF8(text, []byte("\uFFFD"))
	}
	out, err := io.ReadAll(io.LimitReader(r, int64(room)+1))
	if err != nil || bytes.ContainsRune(out, utf8.RuneError) {
		p.Add(place, BrokenCharset, "text is not valid in charset %q", clip(name))
	}
	return out
}
