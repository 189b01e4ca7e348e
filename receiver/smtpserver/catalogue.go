package smtpserver

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Catalogued is a reply that the server gives of its own accord, whatever its
// Backend.
type Catalogued struct {
	ID     string // A stable word, such as "too-many-recipients".
	Reply  Reply  // As it is sent, but for the session id.
	Phase  string // "connect", "hello", "starttls", "mail", "rcpt", "data" or "any".
	Source string // Where the code and what is known of the text come from.
	When   string // When it is given: a sentence.
}

// The phases, besides those that Stage has words for.
const (
	phaseConnect = string(StageConnect)
	phaseHello   = string(StageHello)
	phaseTLS     = "starttls"
	phaseMail    = string(StageMail)
	phaseRcpt    = "rcpt"
	phaseData    = "data" // DATA and BDAT, up to the answer to the message.
	phaseAny     = "any"
)

// The sources of most replies.
const (
	fromSession = "gmail-inbound.md 1.1"
	fromTable   = "gmail-inbound.md 1.4"
)

// Replies lists the replies of the server, those that agree first. In replies
// that tell of the server or of what the client said, the server is mx.gmail.test
// and offers STARTTLS, the client is at 192.0.2.10, and the time is 1726000000.
func Replies() []Catalogued {
	return slices.Concat(agreements(), deferrals(), refusals())
}

func agreements() []Catalogued {
	const host = "mx.gmail.test"
	ehlo := replyEHLO(host, netip.AddrFrom4([4]byte{192, 0, 2, 10}), defaultMaxSize, true)
	return []Catalogued{
		{"greeting", replyGreeting(host), phaseConnect, fromSession, "A connection was accepted."},
		{"helo", replyHELO(host), phaseHello, fromSession, "HELO: no capabilities are listed. The reply has no session id."},
		{"ehlo", ehlo, phaseHello, fromSession, "EHLO: the capabilities; STARTTLS only where it can be used. The reply has no session id."},
		{"ready-for-tls", replyReadyForTLS, phaseTLS, fromSession, "STARTTLS: the handshake begins. The reply has no session id."},
		{"sender-ok", replySenderOK, phaseMail, fromSession, "MAIL opened a transaction."},
		{"recipient-ok", replyRcptOK, phaseRcpt, fromSession, "RCPT, unless the mailbox's side has words of its own."},
		{"go-ahead", replyGoAhead, phaseData, fromSession, "DATA: the message may come."},
		{"accepted", replyAccepted(time.Unix(1726000000, 0)), phaseData, fromSession, "The message is stored for every recipient."},
		{"ok", replyOK, phaseAny, "RFC 5321 4.1.1.9, RFC 3030", "NOOP, and a chunk that is not the last."},
		{"reset", replyReset, phaseAny, "RFC 5321 4.1.1.5", "RSET: the transaction is forgotten."},
		{"cannot-verify", replyVerify, phaseAny, "RFC 5321 3.5.3", "VRFY: nothing is told about mailboxes."},
		{"help", replyHelp, phaseAny, fromSession, "HELP."},
		{"closing", replyGoodbye, phaseAny, fromSession, "QUIT; the session ends."},
	}
}

func deferrals() []Catalogued {
	return []Catalogued{
		{"system-problem", replySystemProblem, phaseAny, fromTable, "The server is being stopped, or whoever stands behind it failed; the session ends."},
		{"busy", replyBusy, phaseConnect, fromTable, "As many connections are open as there may be; the session ends."},
		{"connection-expired", replyExpired, phaseAny, fromTable, fmt.Sprintf("Since the last message more commands have come than %d and one for each recipient that a transaction may have; the session ends.", maxIdle)},
		{"no-room", replyNoRoom, phaseData, fromTable, "All sessions together hold as much mail as they may; the message was read to its end and forgotten."},
		{"timeout", replyTimeout, phaseAny, "gmail-inbound.md 1.3", "The client was silent for too long, or took too long for a whole message; the session ends."},
		{"protocol-violation", replyViolation, phaseHello, "gmail-inbound.md 1.4, which names no trigger; RFC 2920 3.1", "Commands came with the first EHLO or HELO, and these are refused; the session ends. It depends on what has arrived by the time EHLO is read: of what is cut into several packets, often nothing."},
		{"too-many-recipients", replyTooManyRcpts, phaseRcpt, fromTable, "The transaction has as many recipients as it may; those it has are kept."},
	}
}

func refusals() []Catalogued {
	return []Catalogued{
		{"line-too-long", replyLineTooLong, phaseAny, "RFC 5321 4.5.3.1.9", fmt.Sprintf("A command line has more than %d octets; it was read to its end and not run.", maxCommandLine)},
		{"hello-empty", replyHeloEmpty, phaseHello, "gmail-inbound.md 1.3", "EHLO or HELO has no argument; the session ends."},
		{"hello-invalid", replyHeloInvalid("a b"), phaseHello, fromTable, "The argument of EHLO or HELO is not one printable word; the session ends."},
		{"tls-parameter", replyTLSParameter, phaseTLS, fromTable, "STARTTLS has an argument."},
		{"unrecognized", replyUnrecognized, phaseAny, fromTable, "There is no such command."},
		{"unimplemented", replyUnimplemented, phaseAny, fromTable, "The command is known, but not offered, such as AUTH or EXPN."},
		{"too-many-unrecognized", replyTooManyFaults, phaseAny, fromTable, fmt.Sprintf("More than %d commands were none, or not well formed; the session ends.", maxFaults)},
		{"bad-sequence", replyBadSequence, phaseAny, fromTable, "MAIL in a transaction, RCPT between chunks, STARTTLS under TLS."},
		{"hello-first", replyHelloFirst, phaseAny, fromTable, "Neither EHLO nor HELO has been said, since STARTTLS if there was one."},
		{"mail-first", replyMailFirst, phaseAny, fromTable, "RCPT, DATA or BDAT without a transaction."},
		{"rcpt-first", replyRcptFirst, phaseData, "gmail-inbound.md 1.3", "DATA or BDAT without a recipient that was accepted."},
		{"no-data-after-bdat", replyNoData, phaseData, fromTable, "DATA in a transaction that has had a chunk."},
		{"tls-pipelined", replyTLSPipelined, phaseTLS, fromTable, "Something came with STARTTLS, before its answer; none of it is run, and the session ends."},
		{"message-too-large", replyTooLarge(157286401, defaultMaxSize), phaseData, fromTable, "The size given with MAIL, or that of the message, is above the limit."},
		{"message-far-too-large", replyFarTooLarge, phaseData, fromTable, "The size given with MAIL is beyond 64 bits, or the message is so large that it is not read to its end; then the session ends."},
		{"recipient-invalid", replyBadRcpt("u@v@gmail.test"), phaseRcpt, fromTable, "The path of RCPT is none, or needs SMTPUTF8."},
		{"sender-invalid", replyBadSender("ann"), phaseMail, fromTable, "The path of MAIL is none, or needs SMTPUTF8."},
		{"message-malformed", replyMalformed, phaseData, fromTable, "The message has a CR or LF that stands alone, and these are refused."},
		{"too-many-unauthenticated", replyStranger, phaseHello, fromTable, fmt.Sprintf("More than %d commands came without EHLO or HELO being accepted, since STARTTLS if there was one; the session ends.", maxStrange)},
		{"syntax-error", replySyntax, phaseAny, fromTable, "The arguments of a command are not well formed, or it has control characters."},
		{"syntax-error-goodbye", replySyntaxBye, phaseAny, fromTable, "A command line ends with a bare LF, or a chunk has no size that can be read; nobody knows what comes next, and the session ends."},
	}
}
