package smtpserver

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
)

// Reply is an SMTP reply (RFC 5321 4.2). Every line is sent with both codes,
// the last one followed by the session id and "gsmtp" (gmail-inbound.md 1.3).
type Reply struct {
	Code int
	// Enhanced is the enhanced status code, such as "5.1.1"; empty sends none
	// (RFC 2034).
	Enhanced string
	// Lines is the text, without codes. Octets that are not printable ASCII are
	// sent as "?", for the text may quote what a client sent. A 250 of Deliver
	// without Lines and Enhanced gets Gmail's words for a stored message.
	Lines []string
}

// class is the first digit of the code.
func (r Reply) class() int { return r.Code / 100 }

// final reports whether r can end a command: no 1xx or 3xx, and three digits.
func (r Reply) final() bool { return r.class() == 2 || r.class() == 4 || r.class() == 5 }

// appendTo appends r as it goes over the wire. tail, if not empty, ends the
// last line.
func (r Reply) appendTo(dst []byte, tail string) []byte {
	lines := r.Lines
	if len(lines) == 0 {
		lines = []string{""}
	}
	for i, line := range lines {
		dst = strconv.AppendInt(dst, int64(r.Code), 10)
		if i < len(lines)-1 {
			dst = append(dst, '-')
		} else {
			dst = append(dst, ' ')
		}
		if r.Enhanced != "" {
			dst = appendPrintable(dst, r.Enhanced)
			dst = append(dst, ' ')
		}
		dst = appendPrintable(dst, line)
		if tail != "" && i == len(lines)-1 {
			dst = append(dst, ' ')
			dst = append(dst, tail...)
		}
		dst = append(dst, "\r\n"...)
	}
	return dst
}

// appendPrintable appends s with everything but printable ASCII made "?", so
// that no reply can be split or reach a terminal with control codes.
func appendPrintable(dst []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c > '~' {
			c = '?'
		}
		dst = append(dst, c)
	}
	return dst
}

// newSessionID makes an id in the shape Gmail's have for a session from
// outside, such as "41be03b00d2f7-c1e7c33ddd0si280570012a.202"
// (gmail-inbound.md 1.2), from 20 random octets.
func newSessionID(random io.Reader) string {
	var b [20]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		rand.Read(b[:]) // Never fails.
	}
	h := hex.EncodeToString(b[:12])
	n := binary.BigEndian.Uint32(b[12:])%900_000_000 + 100_000_000
	letter := 'a' + rune(b[16]%6)
	seq := binary.BigEndian.Uint16(b[18:])%1999 + 1
	return fmt.Sprintf("%s-%ssi%d%c.%d", h[:13], h[13:], n, letter, seq)
}
