package smtpserver

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// wrapAt is how long a line of a long text may be, without codes. The sheet says
// "near 70" (gmail-inbound.md 1.3); 70 explains where the lines of its 503 end,
// and those of the 553 that many a bounce quotes.
const wrapAt = 70

// The pages that Gmail's replies point to. A space before the address, besides
// that after the code, is Gmail's.
const (
	pageErrors = " https://support.google.com/a/answer/3221692"
	pageHelo   = " https://support.google.com/mail/?p=helo"
	pageRcpts  = " https://support.google.com/mail/?p=TooManyRecipientsError"
	pageSize   = " https://support.google.com/mail/?p=MaxSizeError"
)

// more is a reply in the layout of gmail-inbound.md 1.3: what is wrong, the page
// that tells more, and the RFC to review, if there is one.
func more(code int, enhanced, text, page, rfc string) Reply {
	lines := wrap(text + " For more information, go to")
	if rfc == "" {
		return Reply{code, enhanced, append(lines, page)}
	}
	return Reply{code, enhanced, append(lines, page+" and review RFC "+rfc, "specifications.")}
}

// wrap breaks text between words.
func wrap(text string) []string {
	var lines []string
	line := ""
	for word := range strings.SplitSeq(text, " ") {
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) > wrapAt:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

// wrongOrder is a reply that names the command which must come first.
func wrongOrder(what, page, rfc string) Reply {
	return more(503, "5.5.1", what+" A mail transaction protocol command was issued out of sequence.", page, rfc)
}

// The replies that no Backend gives: codes, short texts and layout from
// gmail-inbound.md 1.1, 1.3 and 1.4; where the sheet has only the gist, the
// words are ours. When each is given says Replies.
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

	replySystemProblem = more(421, "4.3.0", "Temporary System Problem. Try again later.", pageErrors, "")
	replyBusy          = more(421, "4.4.5", "Server busy, try again later.", pageErrors, "")
	replyExpired       = more(421, "4.7.0", "Connection expired, try reconnecting.", pageErrors, "")
	replyNoRoom        = Reply{451, "4.3.0", []string{"Mail server temporarily rejected message."}}
	replyTimeout       = Reply{451, "4.4.2", []string{"Timeout - closing connection."}}
	replyViolation     = more(451, "4.5.0", "SMTP protocol violation.", pageErrors, "5321")
	replyTooManyRcpts  = more(452, "4.5.3", "The message has too many recipients.", pageRcpts, "")

	replyLineTooLong   = more(500, "5.5.2", "Syntax error: command line too long.", pageErrors, "5321")
	replyHeloEmpty     = Reply{501, "5.5.4", []string{"Empty HELO/EHLO argument not allowed, closing connection.", pageHelo}}
	replyTLSParameter  = more(501, "5.7.11", "STARTTLS does not take parameters.", pageErrors, "3207")
	replyUnrecognized  = more(502, "5.5.1", "Unrecognized command.", pageErrors, "")
	replyUnimplemented = more(502, "5.5.1", "Unimplemented command.", pageErrors, "")
	replyTooManyFaults = more(502, "5.5.1", "Too many unrecognized commands, goodbye.", pageErrors, "")
	replyBadSequence   = more(503, "5.5.1", "Bad sequence of commands.", pageErrors, "5321")
	replyHelloFirst    = wrongOrder("EHLO/HELO first.", pageHelo, "")
	replyMailFirst     = wrongOrder("MAIL first.", pageErrors, "5321")
	replyRcptFirst     = wrongOrder("RCPT first.", pageErrors, "5321")
	replyNoData        = wrongOrder("No DATA after BDAT.", pageErrors, "3030")
	replyTLSPipelined  = more(523, "5.7.10", "Commands must not be pipelined after STARTTLS, closing connection.", pageErrors, "3207")
	replyFarTooLarge   = more(552, "5.3.4", "The message exceeds the size limit.", pageSize, "")
	replyMalformed     = Reply{554, "5.6.0", []string{"Mail message is malformed. Not accepted."}}
	replyStranger      = more(554, "5.7.0", "Too many unauthenticated commands.", pageErrors, "")
	replySyntax        = more(555, "5.5.2", "Syntax error.", pageErrors, "5321")
	replySyntaxBye     = more(555, "5.5.2", "Syntax error, goodbye.", pageErrors, "5321")
)

// The replies that tell of the server, the session or the command.

func replyGreeting(hostname string) Reply {
	return Reply{Code: 220, Lines: []string{hostname + " ESMTP"}}
}

// replyHELO has no capabilities (gmail-inbound.md 1.1).
func replyHELO(hostname string) Reply {
	return Reply{Code: 250, Lines: []string{hostname + " at your service"}}
}

func replyEHLO(hostname string, peer netip.Addr, maxSize int64, startTLS bool) Reply {
	first := hostname + " at your service"
	if peer.IsValid() {
		first += ", [" + peer.String() + "]"
	}
	lines := []string{first, "SIZE " + strconv.FormatInt(maxSize, 10), "8BITMIME"}
	if startTLS {
		lines = append(lines, "STARTTLS")
	}
	lines = append(lines, "ENHANCEDSTATUSCODES", "PIPELINING", "CHUNKING", "SMTPUTF8")
	return Reply{Code: 250, Lines: lines}
}

func replyAccepted(at time.Time) Reply {
	// Two spaces and Unix seconds (gmail-inbound.md 1.1).
	return Reply{250, "2.0.0", []string{"OK  " + strconv.FormatInt(at.Unix(), 10)}}
}

func replyHeloInvalid(arg string) Reply {
	return Reply{501, "5.5.4", append(wrap("HELO/EHLO argument "+excerpt(arg)+" invalid, closing connection."), pageHelo)}
}

func replyBadSender(path string) Reply {
	return more(553, "5.1.7", "The sender address <"+excerpt(path)+"> is not a valid RFC 5321 address.", pageErrors, "5321")
}

func replyBadRcpt(path string) Reply {
	return more(553, "5.1.3", "The recipient address <"+excerpt(path)+"> is not a valid RFC 5321 address.", pageErrors, "5321")
}

// replyTooLarge has the numbers in octets. A size that has no number here, as it
// is beyond 64 bits, is math.MaxInt64.
func replyTooLarge(size, limit int64) Reply {
	if size == math.MaxInt64 {
		return replyFarTooLarge
	}
	return more(552, "5.3.4", "The message of "+strconv.FormatInt(size, 10)+" octets exceeds the size limit of "+
		strconv.FormatInt(limit, 10)+" octets.", pageSize, "")
}

// excerpt is what a reply quotes of s, so that its lines stay as short as RFC
// 5321 4.5.3.1.5 has it. What must not be shown is left to appendTo.
func excerpt(s string) string {
	const limit = 256 // A whole path (RFC 5321 4.5.3.1.3).
	if len(s) <= limit {
		return s
	}
	return s[:limit] + "..."
}
