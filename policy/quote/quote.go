// Package quote finds the mails that somebody forwarded by hand inside a
// message: below a line such as "Forwarded message", in the block that a mail
// client makes of them, or as an attachment. It also has the wordings of the
// clients, by language.
//
// It goes by wording and structure, which anybody can write: what it finds is
// what the message says, and no fact. It does not tell how the message itself
// came, and judges nothing.
package quote

import (
	"bytes"
	"iter"
	"slices"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
)

const (
	// maxMails bounds the mails found in one part; a long thread has some dozens.
	// The first decides what belongs to whom, so no more are needed.
	maxMails = 100
	// maxValue bounds Mark, From and Subject, in octets: the longest line of RFC
	// 5322 2.1.1.
	maxValue = 998
)

// Mail is an enclosed mail in the text of a part.
type Mail struct {
	// Enclosed has no place; the caller knows the part.
	Enclosed policy.Enclosed
	// At is the offset in the part of the line or the element with which the mail
	// begins.
	At int
}

// Text finds the mails in a text/plain part in UTF-8, in order; of more than 100
// the first ones. Subject returns the Subject of the message, decoded; it is
// called at most once, and only if the text leaves open whether it is a forward
// or a reply.
func Text(text []byte, subject func() string) []Mail {
	s := scanner{subject: subject}
	for line, at := range lines(text) {
		s.line(line, at)
	}
	return s.finish()
}

// lines yields the lines of a text and where they start. A carriage return alone
// ends a line, too, as viewers see it; the one before a line feed is left in the
// line. After the last line end there is one line more, which may be empty.
func lines(text []byte) iter.Seq2[[]byte, int] {
	return func(yield func(line []byte, at int) bool) {
		for at := 0; ; {
			end := len(text)
			if i := bytes.IndexByte(text[at:], '\n'); i >= 0 {
				end = at + i
			}
			for {
				i := bytes.IndexByte(text[at:end], '\r')
				if i < 0 || at+i == end-1 && end < len(text) {
					break
				}
				if !yield(text[at:at+i], at) {
					return
				}
				at += i + 1
			}
			if !yield(text[at:end], at) || end == len(text) {
				return
			}
			at = end + 1
		}
	}
}

// Attached returns the mail in a part of type message/rfc822 or message/global,
// read, with what the message says of it; nil if there is none.
//
// The reports of mail servers and the digests of lists have such parts too, and
// nobody forwarded those. Nor is it a mail if it has none of From, Subject and
// Date (RFC 2046 5.2.1).
func Attached(part message.Part) (*message.Message, policy.Enclosed) {
	if part.Type != "message/rfc822" && part.Type != "message/global" ||
		slices.Contains(part.Within, "multipart/report") || slices.Contains(part.Within, "multipart/digest") {
		return nil, policy.Enclosed{}
	}
	m := message.Parse(part.Text)
	from, hasFrom := m.Get("From")
	subject, hasSubject := m.Get("Subject")
	_, hasDate := m.Get("Date")
	if !hasFrom && !hasSubject && !hasDate {
		return nil, policy.Enclosed{}
	}
	return m, policy.Enclosed{
		How:     policy.EnclosedAttachment,
		Mark:    part.Type,
		From:    clip(from.Unfolded()),
		Subject: clip(subject.Unfolded()),
		Place:   policy.Place{Part: part.Number},
	}
}

// clip makes valid UTF-8 of what is quoted of a mail, and cuts it.
func clip(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) > maxValue {
		s = strings.ToValidUTF8(s[:maxValue], "")
	}
	return s
}
