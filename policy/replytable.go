package policy

import (
	"slices"
	"strconv"
	"strings"
)

// The replies follow the list of gmail-inbound.md 1.4 and the layout of 1.3: a
// line is near 70 columns, an address begins after two spaces, and the session
// id and "gsmtp" that end every reply are added where it is sent. Where the
// sheet has only the gist of a text, the words are ours.

// The pages that replies lead to (gmail-inbound.md 1.3, 1.4).
const (
	helpErrors         = " https://support.google.com/a/answer/3221692"
	helpGuidelines     = " https://support.google.com/mail/answer/81126"
	helpAuthentication = " https://support.google.com/mail/answer/81126#authentication"
	helpBulk           = " https://support.google.com/mail/?p=UnsolicitedRateLimitError"
	helpReputation     = " https://support.google.com/mail/answer/188131"
	helpPolicy         = " https://support.google.com/mail/?p="
)

// sessionReplies come before there is a recipient.
var sessionReplies = []CataloguedReply{
	{ID: "server-busy", Code: 421, Enhanced: "4.4.5", Phases: []Phase{PhaseConnect, PhaseHello, PhaseMail},
		Text: []string{"Server busy, try again later."}, Doc: "Too many connections are open."},
	{ID: "system-problem", Code: 421, Enhanced: "4.3.0", Phases: []Phase{PhaseMail, PhaseConnect, PhaseHello, PhaseRcpt, PhaseData},
		Text: []string{"Temporary System Problem. Try again later."}, Doc: "Something is wrong with the provider."},
	{ID: "try-again-later", Code: 421, Enhanced: "4.7.0", Phases: []Phase{PhaseHello, PhaseConnect, PhaseMail, PhaseRcpt, PhaseData},
		Text: []string{"Try again later, closing connection. ({command})", "For more information, go to", helpErrors},
		Doc:  "The client is throttled early."},
	{ID: "connection-expired", Code: 421, Enhanced: "4.7.0", Phases: []Phase{PhaseMail, PhaseRcpt},
		Text: []string{"Connection expired, try reconnecting."}, Doc: "The connection has been open for too long."},
	{ID: "protocol-violation", Code: 451, Enhanced: "4.5.0", Phases: []Phase{PhaseMail, PhaseRcpt},
		Text: []string{"SMTP protocol violation, no commands allowed to pipeline after", "STARTTLS or the end of data."}, Doc: "The client breaks the protocol in a way that may pass."},
	{ID: "unauthenticated-commands", Code: 554, Enhanced: "5.7.0", Phases: []Phase{PhaseMail, PhaseHello},
		Text: []string{"Too many unauthenticated commands."}, Doc: "The client goes on and on without sending mail."},
}

// recipientReplies are about one recipient, and what his domain asks for.
var recipientReplies = []CataloguedReply{
	{ID: "no-such-user", Code: 550, Enhanced: "5.1.1", Phases: []Phase{PhaseRcpt}, Check: "recipient",
		Text: []string{
			"The email account that you tried to reach does not exist. Please try",
			"double-checking the recipient's email address for typos or",
			"unnecessary spaces. For more information, go to",
			helpPolicy + "NoSuchUser",
		}, Doc: "The recipient is no account."},
	{ID: "no-such-domain", Code: 553, Enhanced: "5.1.2", Phases: []Phase{PhaseRcpt}, Check: "recipient",
		Text: []string{
			"We weren't able to find the recipient domain {rcpt}. Please",
			"check for any spelling errors, and make sure you didn't enter any",
			"spaces, periods, or other punctuation after the recipient's email",
			"address. For more information, go to",
			helpPolicy + "BadRcptDomain",
		}, Doc: "The recipient's domain is not the provider's."},
	{ID: "several-domains", Code: 451, Enhanced: "4.3.0", Phases: []Phase{PhaseRcpt}, Check: "recipient",
		Text: []string{
			"Multiple destination domains per transaction are not supported.",
			"Please use a separate transaction for {rcpt}.",
		}, Doc: "A transaction has recipients of two of the world's providers."},
	{ID: "account-inactive", Code: 550, Enhanced: "5.2.1", Phases: []Phase{PhaseRcpt, PhaseData}, Check: "account-open",
		Text: []string{"The email account that you tried to reach is inactive. For more", "information, go to", helpPolicy + "DisabledUser"},
		Doc:  "The account is disabled (account ... state=disabled)."},
	{ID: "over-quota", Code: 452, Enhanced: "4.2.2", Phases: []Phase{PhaseRcpt, PhaseData}, Check: "account-open",
		Text: []string{
			"The recipient's inbox is out of storage space. Please direct the",
			"recipient to the help page, and try again later:",
			helpPolicy + "OverQuotaTemp",
		}, Doc: "The account is full (account ... state=full)."},
	{ID: "over-quota-inactive", Code: 552, Enhanced: "5.2.2", Phases: []Phase{PhaseRcpt, PhaseData}, Check: "account-open",
		Text: []string{
			"The recipient's inbox is out of storage space and inactive. Please",
			"direct the recipient to the help page:",
			helpPolicy + "OverQuotaPerm",
		}, Doc: "The account is full, and nobody uses it (account ... state=full-inactive)."},
	{ID: "tls-required", Code: 421, Enhanced: "4.7.0", Phases: []Phase{PhaseRcpt, PhaseData}, Check: "recipient-domain",
		Text: []string{"TLS required for RCPT domain {rcpt}, closing connection."},
		Doc:  "The recipient's domain takes mail by TLS only (inbound ... tls=required)."},
	{ID: "peer-not-allowed", Code: 421, Enhanced: "4.7.0", Phases: []Phase{PhaseRcpt, PhaseData}, Check: "recipient-domain",
		Text: []string{"IP not in whitelist for RCPT domain {rcpt}, closing connection."},
		Doc:  "The recipient's domain takes mail from some addresses only (inbound ... allow-from=)."},
	{ID: "receiving-rate", Code: 450, Enhanced: "4.2.1", Phases: []Phase{PhaseRcpt, PhaseData}, Check: "receiving-rate",
		Text: []string{
			"The user you are trying to contact is receiving mail too quickly.",
			"Please resend your message at a later time. If the user is able to",
			"receive mail at that time, your message will be delivered. For more",
			"information, go to",
			helpPolicy + "ReceivingRate",
		}, Doc: "The account gets more mail than it may (dials rate.account, rate.account.exceeded)."},
	{ID: "receiving-rate-blocked", Code: 450, Enhanced: "4.2.1", Phases: []Phase{PhaseRcpt, PhaseData},
		Text: []string{
			"The user you are trying to contact is receiving mail at a rate that",
			"prevents additional messages from being delivered. Please resend",
			"your message at a later time. For more information, go to",
			helpPolicy + "ReceivingRate",
		}, Doc: "The account gets so much mail that it is shut for a while."},
	{ID: "receiving-rate-permanent", Code: 550, Enhanced: "5.2.1", Phases: []Phase{PhaseRcpt, PhaseData}, Check: "receiving-rate",
		Text: []string{
			"The user you are trying to contact is receiving mail at a rate that",
			"prevents additional messages from being delivered. For more",
			"information, go to",
			helpPolicy + "ReceivingRatePerm",
		}, Doc: "The account gets more mail than it may, and the sender shall not come again."},
	{ID: "transaction-size", Code: 452, Enhanced: "4.5.3", Phases: []Phase{PhaseRcpt},
		Text: []string{"Domain policy size per transaction exceeded, please try this", "recipient in a separate transaction."},
		Doc:  "The recipient's domain limits how much a transaction may have."},
	{ID: "too-many-recipients-for-sender", Code: 550, Enhanced: "5.5.3", Phases: []Phase{PhaseRcpt},
		Text: []string{"Too many recipients for this sender. For more information, go to", helpPolicy + "TooManyRecipientsError"},
		Doc:  "The sender may not have so many recipients."},
	{ID: "policy-forbids", Code: 550, Enhanced: "5.7.1", Phases: []Phase{PhaseRcpt, PhaseData},
		Text: []string{"The user or domain that you are sending to (or from) has a policy that", "prohibited the mail that you sent. Please contact your domain", "administrator for further details."},
		Doc:  "A policy of the recipient's domain forbids the mail."},
}

// rateReplies are about how much somebody sends.
func rateReplies() []CataloguedReply {
	return []CataloguedReply{
		{ID: "rate", Code: 421, Enhanced: "4.7.28", Phases: []Phase{PhaseData, PhaseMail}, Text: unusualRate("an unusual rate of mail"), Doc: "Too much unusual mail, without saying of whom."},
		{ID: "rate-ip", Code: 421, Enhanced: "4.7.28", Phases: []Phase{PhaseData}, Check: "sending-rate", Text: unusualRate("an unusual rate of mail from your IP address"), Doc: "The client's address sends more than it may (dial rate.ip)."},
		{ID: "rate-netblock", Code: 421, Enhanced: "4.7.28", Phases: []Phase{PhaseData}, Check: "sending-rate", Text: unusualRate("an unusual rate of mail from your netblock {netblock}"), Doc: "The client's network sends more than it may (dial rate.netblock)."},
		{ID: "rate-dkim", Code: 421, Enhanced: "4.7.28", Phases: []Phase{PhaseData}, Check: "sending-rate", Text: unusualRate("an unusual rate of mail of the DKIM domain {dkim}"), Doc: "A DKIM domain sends more than it may (dial rate.dkim)."},
		{ID: "rate-spf", Code: 421, Enhanced: "4.7.28", Phases: []Phase{PhaseData}, Check: "sending-rate", Text: unusualRate("an unusual rate of mail of the SPF domain {spf}"), Doc: "An SPF domain sends more than it may (dial rate.spf)."},
		{ID: "rate-url", Code: 421, Enhanced: "4.7.28", Phases: []Phase{PhaseData}, Text: unusualRate("an unusual rate of mail that links to one of your URL domains"), Doc: "A domain that the mail links to is in too much mail."},
		{ID: "rate-message-id", Code: 421, Enhanced: "4.7.28", Phases: []Phase{PhaseData}, Check: "sending-rate", Text: []string{
			"[{peer}] This message exceeded the quota for sending messages with", "the same Message-ID. To protect the users, it has been temporarily", "blocked. For more information, go to", helpBulk,
		}, Doc: "The same Message-ID comes more often than it may (dial rate.message-id)."},
		{ID: "rate-ip-amount", Code: 421, Enhanced: "4.7.28", Phases: []Phase{PhaseData}, Text: []string{
			"[{peer}] There is an unusual amount of mail from your IP address.", "To protect the users, it has been temporarily blocked. For more", "information, go to", helpBulk,
		}, Doc: "The client's address is blocked for a while."},
		{ID: "rate-ip-blocked", Code: 550, Enhanced: "5.7.28", Phases: []Phase{PhaseData}, Check: "sending-rate", Text: []string{
			"[{peer}] There is an unusual rate of mail from your IP address. To", "protect the users, mail from it has been blocked. For more", "information, go to", helpBulk,
		}, Doc: "More is sent than may be, and the sender shall not come again (dial rate.exceeded)."},
		{ID: "not-authorized-directly", Code: 550, Enhanced: "5.7.1", Phases: []Phase{PhaseData}, Text: []string{
			"[{peer}] The IP you're using to send mail is not authorized to send", "email directly to our servers. Please use the SMTP relay at your", "service provider instead. For more information, go to", helpPolicy + "NotAuthorizedError",
		}, Doc: "The client's address is of a network from which nobody sends mail himself."},
		{ID: "rate-limited", Code: 550, Enhanced: "5.7.1", Phases: []Phase{PhaseData}, Text: []string{
			"[{peer}] Our system has detected an unusual rate of unsolicited mail", "from your IP address. To protect the users, mail from it has been", "blocked. For more information, go to", helpBulk,
		}, Doc: "The client's address is blocked for what it sends."},
	}
}

// unusualRate is the text of 421 4.7.28 about something.
func unusualRate(what string) []string {
	return []string{
		"[{peer}] There is " + what + ".",
		"To protect the users, it has been temporarily rate limited.",
		"For more information, go to", helpBulk,
	}
}

// senderReplies are about who sends: the sender guidelines, authentication and
// reputation.
func senderReplies() []CataloguedReply {
	return slices.Concat([]CataloguedReply{
		{ID: "ptr", Code: 550, Enhanced: "5.7.25", Phases: []Phase{PhaseData}, Check: "reverse-dns", Text: ptrMissing("has been blocked"), Doc: "The client's address has no PTR record that leads back to it (dial rdns.missing)."},
		{ID: "ptr-temporary", Code: 451, Enhanced: "4.7.23", Phases: []Phase{PhaseData}, Check: "reverse-dns", Text: ptrMissing("is rate limited"), Doc: "The same, for a time."},
		{ID: "ptr-rate-limited", Code: 421, Enhanced: "4.7.0", Phases: []Phase{PhaseData}, Text: ptrMissing("is rate limited"), Doc: "The same, in its older form."},
		{ID: "ipv6", Code: 550, Enhanced: "5.7.1", Phases: []Phase{PhaseData}, Check: "ipv6-sender", Text: []string{
			"[{peer}] Our system has detected that this message does not meet the", "IPv6 sending guidelines regarding PTR records and authentication.", "For more information, go to", helpPolicy + "IPv6AuthError",
		}, Doc: "An IPv6 client lacks a PTR record or authentication."},
		{ID: "spf-suspicious", Code: 550, Enhanced: "5.7.24", Phases: []Phase{PhaseData}, Check: "spf-record", Text: spfSuspicious("blocked"), Doc: "The SPF record that passes lets everybody pass (dial spf.suspicious)."},
		{ID: "spf-suspicious-temporary", Code: 451, Enhanced: "4.7.24", Phases: []Phase{PhaseData}, Check: "spf-record", Text: spfSuspicious("rate limited"), Doc: "The same, for a time."},
		{ID: "unauthenticated", Code: 550, Enhanced: "5.7.26", Phases: []Phase{PhaseData}, Check: "authenticated", Text: unauthenticated("blocked"), Doc: "Neither SPF nor DKIM passes."},
		{ID: "unauthenticated-temporary", Code: 421, Enhanced: "4.7.26", Phases: []Phase{PhaseData}, Check: "authenticated", Text: unauthenticated("rate limited"), Doc: "The same, for a time (dial unauthenticated)."},
		{ID: "authentication-unavailable", Code: 451, Enhanced: "4.7.26", Phases: []Phase{PhaseData}, Check: "dns-available", Text: []string{
			"Unauthenticated email from {from} is not accepted due to the", "domain's DMARC policy, but temporary DNS failures prevent", "authentication. Try again later. For more information, go to", helpAuthentication,
		}, Doc: "A look-up failed for the time being, and what it would have said decides."},
		{ID: "spf-hard-fail", Code: 550, Enhanced: "5.7.26", Phases: []Phase{PhaseData}, Check: "authenticated", Text: []string{
			"The MAIL FROM domain [{spf}] has an SPF record", "with a hard fail policy (-all) but it fails to pass SPF checks with", "the ip: [{peer}]. The message has been blocked. For instructions", "on setting up authentication, go to", helpAuthentication,
		}, Doc: "SPF fails by -all, and DKIM does not pass."},
		{ID: "dmarc", Code: 550, Enhanced: "5.7.26", Phases: []Phase{PhaseData}, Check: "dmarc-policy", Text: []string{
			"Unauthenticated email from {from} is not accepted due to", "the domain's DMARC policy. Please contact the administrator of", "{from} if this was legitimate mail. For more information on", "DMARC, go to", helpPolicy + "DmarcRejection",
		}, Doc: "DMARC fails, and the author domain's policy is reject."},
	}, bulkReplies("spf", 27, "SPF did not pass for {spf} with ip: [{peer}]", "authentication", "bulk-spf"),
		bulkReplies("tls", 29, "was not sent over a TLS connection", "TLS", "transport-security"),
		bulkReplies("dkim", 30, "DKIM did not pass", "authentication", "bulk-dkim"),
		bulkReplies("dmarc", 40, "the domain {from} has no DMARC record, or one without a policy", "DMARC", "bulk-dmarc"),
		[]CataloguedReply{
			{ID: "bulk-alignment-temporary", Code: 421, Enhanced: "4.7.32", Phases: []Phase{PhaseData}, Check: "bulk-alignment", Text: bulkAlignment("rate limited"), Doc: "Mail of a bulk sender whose From is not aligned (dial bulk.alignment)."},
			// Documented as "421 5.7.32", whose digits contradict each other: a client
			// would not know whether to come again (RFC 2034 4).
			{ID: "bulk-alignment", Code: 550, Enhanced: "5.7.32", Phases: []Phase{PhaseData}, Check: "bulk-alignment", Text: bulkAlignment("blocked"), Doc: "The same, for good."},
			{ID: "reputation-ip-temporary", Code: 421, Enhanced: "4.7.0", Phases: []Phase{PhaseData}, Text: reputation("the sending IP", "rate limited"), Doc: "The client's address has a very low reputation."},
			{ID: "reputation-domain-temporary", Code: 421, Enhanced: "4.7.0", Phases: []Phase{PhaseData}, Text: reputation("the sending domain", "temporarily blocked"), Doc: "The sending domain has a very low reputation."},
			{ID: "reputation-ip", Code: 550, Enhanced: "5.7.1", Phases: []Phase{PhaseData}, Text: reputation("the sending IP", "blocked"), Doc: "The client's address has a very low reputation."},
			{ID: "reputation-domain", Code: 550, Enhanced: "5.7.1", Phases: []Phase{PhaseData}, Text: reputation("the sending domain", "blocked"), Doc: "The sending domain has a very low reputation."},
		})
}

func ptrMissing(becomes string) []string {
	return []string{
		"[{peer}] The IP address sending this message does not have a",
		"PTR record, or the record's forward lookup does not lead back to it.",
		"The message " + becomes + ". For more information, go to",
		" https://support.google.com/a?p=sender-guidelines-ip",
	}
}

func spfSuspicious(becomes string) []string {
	return []string{
		"The SPF record of the sending domain {spf} has one or more",
		"suspicious entries. To protect the users, the message has been",
		becomes + ". For more information, go to", helpGuidelines,
	}
}

func unauthenticated(becomes string) []string {
	return []string{
		"Your email has been " + becomes + " because the sender is unauthenticated.",
		"Gmail requires all senders to authenticate with either SPF or DKIM.",
		"",
		" Authentication results:",
		" DKIM = {dkim-result}",
		" SPF [{spf}] with ip: [{peer}] = {spf-result}",
		"",
		" For instructions on setting up authentication, go to", helpAuthentication,
	}
}

// bulkReplies are the two replies to a bulk sender who does not keep a rule.
func bulkReplies(id ReplyID, number int, what, page string, check CheckID) []CataloguedReply {
	text := func(becomes string) []string {
		return []string{
			"Your email has been " + becomes + " because it does not meet the",
			"requirements for bulk senders: " + what + ".",
			"For more information, go to", helpGuidelines + "#" + strings.ToLower(page),
		}
	}
	class := func(n int) string { return strconv.Itoa(n) + ".7." + strconv.Itoa(number) }
	return []CataloguedReply{
		{ID: "bulk-" + id + "-temporary", Code: 421, Enhanced: class(4), Phases: []Phase{PhaseData}, Text: text("rate limited"), Check: check, Doc: "Mail of a bulk sender: " + what + "."},
		{ID: "bulk-" + id, Code: 550, Enhanced: class(5), Phases: []Phase{PhaseData}, Text: text("blocked"), Check: check, Doc: "The same, for good."},
	}
}

func bulkAlignment(becomes string) []string {
	return []string{
		"Your email has been " + becomes + " because the From: header ({from})",
		"is not aligned with the authenticated SPF or DKIM organizational",
		"domain. For more information, go to",
		" https://support.google.com/a?p=dmarc-alignment",
	}
}

func reputation(of, becomes string) []string {
	return []string{
		"[{peer}] This message is likely suspicious due to the very low",
		"reputation of " + of + ". To protect the users, it has been",
		becomes + ". For more information, go to", helpReputation,
	}
}

// contentReplies are about the message itself.
var contentReplies = []CataloguedReply{
	{ID: "not-processed", Code: 451, Enhanced: "4.3.0", Phases: []Phase{PhaseData}, Check: "message-format", Text: []string{"Mail server temporarily rejected message."}, Doc: "The provider could not read or store the message, which is its fault."},
	{ID: "malformed", Code: 554, Enhanced: "5.6.0", Phases: []Phase{PhaseData}, Check: "message-format", Text: []string{"Mail message is malformed. Not accepted."}, Doc: "The message cannot be read."},
	{ID: "not-compliant", Code: 550, Enhanced: "5.7.1", Phases: []Phase{PhaseData}, Check: "message-format", Text: []string{
		"[{peer}] This message is not RFC 5322 compliant:", "{why}. To reduce the amount of spam, it has been", "blocked. For more information, go to", helpPolicy + "RfcMessageNonCompliant",
	}, Doc: "The header breaks RFC 5322 in a way that is not put up with."},
	{ID: "encoded-word", Code: 550, Enhanced: "5.7.1", Phases: []Phase{PhaseData}, Check: "message-format", Text: []string{
		"[{peer}] An encoded word is not permitted in the {what} header.", "The message has been blocked. For more information, go to", helpPolicy + "RfcMessageNonCompliant",
	}, Doc: "An encoded word (RFC 2047) stands in an address of From, or in a field that has no text for people."},
	{ID: "unicode-header", Code: 550, Enhanced: "5.7.1", Phases: []Phase{PhaseData}, Check: "message-format", Text: []string{
		"[{peer}] There are Unicode characters in the {what} header,", "which does not allow them. The message has been blocked. For more", "information, go to", helpPolicy + "RfcMessageNonCompliant",
	}, Doc: "A field of ASCII alone has other characters."},
	{ID: "message-id-missing", Code: 550, Enhanced: "5.7.1", Phases: []Phase{PhaseData}, Check: "message-id", Text: []string{
		"[{peer}] Messages missing a valid Message-ID header are not", "accepted. For more information, go to", helpPolicy + "RfcMessageNonCompliant",
	}, Doc: "There is no valid Message-ID (dial message-id.missing)."},
	{ID: "header-limit", Code: 552, Enhanced: "5.3.4", Phases: []Phase{PhaseData}, Check: "header-limits", Text: []string{
		"The message exceeds the limit on {what}: it has {got}, and", "the limit is {limit}. For more information, go to", helpPolicy + "MaxSizeError",
	}, Doc: "The header, a field of it, or the number of attachments is too large."},
	{ID: "message-size", Code: 552, Enhanced: "5.3.4", Phases: []Phase{PhaseData}, Check: "message-size", Text: []string{
		"Your message exceeded the size limits: it has {got} octets, and the", "limit is {limit}. For more information, go to", helpPolicy + "MaxSizeError",
	}, Doc: "The message is too large (dial size.max); the server gives it by itself, too."},
	{ID: "mail-loop", Code: 554, Enhanced: "5.4.6", Phases: []Phase{PhaseData}, Check: "hop-count", Text: []string{
		"Message exceeded 50 hops, this may indicate a mail loop.", "For more information, go to", helpPolicy + "MailLoop",
	}, Doc: "The message has more than 50 Received fields."},
	{ID: "suspicious-content", Code: 421, Enhanced: "4.7.0", Phases: []Phase{PhaseData}, Text: []string{
		"[{peer}] This message is suspicious due to the nature of its content", "or the links within. To protect the users, it has been rate limited.", "For more information, go to", helpGuidelines,
	}, Doc: "The content looks suspicious."},
	{ID: "blocked-content", Code: 552, Enhanced: "5.7.0", Phases: []Phase{PhaseData}, Text: []string{
		"This message was blocked because its content presents a potential", "security issue. To review the content policy, go to", helpPolicy + "BlockedMessage",
	}, Doc: "An attachment is of a kind that is never taken."},
	{ID: "unsolicited", Code: 550, Enhanced: "5.7.1", Phases: []Phase{PhaseData}, Text: []string{
		"[{peer}] Our system has detected that this message is likely", "unsolicited mail. To reduce the amount of spam, it has been blocked.", "For more information, go to", helpPolicy + "UnsolicitedMessageError",
	}, Doc: "The message looks like spam."},
}
