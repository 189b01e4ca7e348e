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

// sequence is the layout of replies to commands out of order
// (gmail-inbound.md 1.3); what comes first is the first line's beginning.
func sequence(what string) Reply {
	return Reply{503, "5.5.1", []string{
		what + " A mail transaction protocol command was issued out of",
		"sequence. For more information, go to",
		" https://support.google.com/a/answer/3221692 and review RFC 5321",
		"specifications.",
	}}
}

// The replies that no Backend gives: codes, short texts and layout from
// gmail-inbound.md 1.1, 1.3 and 1.4; where the sheet has only the gist, the
// words are ours.
var (
	replyReadyForTLS = Reply{220, "2.0.0", []string{"Ready to start TLS"}}
	replyGoodbye     = Reply{221, "2.0.0", []string{"closing connection"}}
	replyOK          = Reply{250, "2.0.0", []string{"OK"}}
	replySenderOK    = Reply{250, "2.1.0", []string{"OK"}}
	replyRcptOK      = Reply{250, "2.1.5", []string{"OK"}}
	replyReset       = Reply{250, "2.1.5", []string{"Flushed"}}
	replyVerify      = Reply{252, "2.1.5", []string{"Cannot verify the user, but will try to deliver"}}
	replyHelp        = Reply{214, "2.0.0", []string{"https://www.google.com/search?btnI&q=RFC+5321"}}
	replyGoAhead     = Reply{354, "", []string{"Go ahead"}}

	replySystemProblem = Reply{421, "4.3.0", []string{"Temporary System Problem. Try again later."}}
	replyBusy          = Reply{421, "4.4.5", []string{"Server busy, try again later."}}
	replyExpired       = Reply{421, "4.7.0", []string{"Connection expired, try reconnecting."}}
	replyTimeout       = Reply{451, "4.4.2", []string{"Timeout - closing connection."}}

	replyTooManyRcpts = Reply{452, "4.5.3", []string{
		"The message has too many recipients. For more information, go to",
		" https://support.google.com/mail/?p=TooManyRecipientsError",
	}}
	replyNoRoom   = Reply{451, "4.3.0", []string{"Mail server temporarily rejected message."}}
	replyTooLarge = Reply{552, "5.3.4", []string{
		"The message exceeds the size limit. For more information, go to",
		" https://support.google.com/mail/?p=MaxSizeError",
	}}
	replyMalformed = Reply{554, "5.6.0", []string{"Mail message is malformed. Not accepted."}}

	replyHelloFirst    = sequence("EHLO/HELO first.")
	replyMailFirst     = sequence("MAIL first.")
	replyRcptFirst     = sequence("RCPT first.")
	replyNestedMail    = sequence("A transaction is open.")
	replyDuringChunks  = sequence("No other command between BDAT and its LAST.")
	replyAlreadyTLS    = sequence("TLS is active.")
	replyUnrecognized  = Reply{502, "5.5.1", []string{"Unrecognized command."}}
	replyUnimplemented = Reply{502, "5.5.1", []string{"Unimplemented command."}}
	replyTooManyFaults = Reply{502, "5.5.1", []string{"Too many unrecognized commands, goodbye."}}
	replyLineTooLong   = Reply{500, "5.5.2", []string{"Syntax error: command line too long."}}
	replySyntax        = Reply{555, "5.5.2", []string{"Syntax error."}}
	replySyntaxBye     = Reply{555, "5.5.2", []string{"Syntax error, goodbye."}}

	replyHeloEmpty = Reply{501, "5.5.4", []string{
		"Empty HELO/EHLO argument not allowed, closing connection.",
		" https://support.google.com/mail/?p=helo",
	}}
	replyHeloInvalid = Reply{501, "5.5.4", []string{
		"HELO/EHLO argument invalid, closing connection.",
		" https://support.google.com/mail/?p=helo",
	}}
	replyBadSender = Reply{553, "5.1.7", []string{"The sender address is not a valid RFC 5321 address."}}
	replyBadRcpt   = Reply{553, "5.1.3", []string{"The recipient address is not a valid RFC 5321 address."}}

	replyTLSPipelined = Reply{523, "5.7.10", []string{"Commands must not be pipelined after STARTTLS, closing connection."}}
	replyTLSParameter = Reply{501, "5.7.11", []string{"STARTTLS does not take parameters."}}
)
