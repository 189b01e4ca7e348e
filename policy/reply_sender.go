package policy

// senderReplies are about who sends: authentication, the sender guidelines, reputation.
var senderReplies = []CataloguedReply{
	{
		ID: "ptr", Code: 550, Enhanced: "5.7.25", Phases: []Phase{PhaseData}, Check: "reverse-dns",
		Doc: "The client's address has no PTR record that leads back to it (dial rdns.missing).",
		Text: []string{
			"[{peer}] The IP address sending this message does not have a",
			"PTR record, or the record's forward lookup does not lead back to it.",
			"The message has been blocked. For more information, go to",
			" https://support.google.com/a?p=sender-guidelines-ip",
		},
	},
	{
		ID: "ptr-temporary", Code: 451, Enhanced: "4.7.23", Phases: []Phase{PhaseData}, Check: "reverse-dns",
		Doc: "The same, for a time.",
		Text: []string{
			"[{peer}] The IP address sending this message does not have a",
			"PTR record, or the record's forward lookup does not lead back to it.",
			"The message is rate limited. For more information, go to",
			" https://support.google.com/a?p=sender-guidelines-ip",
		},
	},
	{
		ID: "ptr-rate-limited", Code: 421, Enhanced: "4.7.0", Phases: []Phase{PhaseData},
		Doc: "The same, in its older form.",
		Text: []string{
			"[{peer}] The IP address sending this message does not have a",
			"PTR record, or the record's forward lookup does not lead back to it.",
			"The message is rate limited. For more information, go to",
			" https://support.google.com/a?p=sender-guidelines-ip",
		},
	},
	{
		ID: "ipv6", Code: 550, Enhanced: "5.7.1", Phases: []Phase{PhaseData}, Check: "ipv6-sender",
		Doc: "An IPv6 client lacks a PTR record or authentication.",
		Text: []string{
			"[{peer}] Our system has detected that this message does not meet the",
			"IPv6 sending guidelines regarding PTR records and authentication.",
			"For more information, go to",
			" https://support.google.com/mail/?p=IPv6AuthError",
		},
	},
	{
		ID: "spf-suspicious", Code: 550, Enhanced: "5.7.24", Phases: []Phase{PhaseData}, Check: "spf-record",
		Doc: "The SPF record that passes lets everybody pass (dial spf.suspicious).",
		Text: []string{
			"The SPF record of the sending domain {spf} has one or more",
			"suspicious entries. To protect the users, the message has been",
			"blocked. For more information, go to",
			" https://support.google.com/mail/answer/81126",
		},
	},
	{
		ID: "spf-suspicious-temporary", Code: 451, Enhanced: "4.7.24", Phases: []Phase{PhaseData}, Check: "spf-record",
		Doc: "The same, for a time.",
		Text: []string{
			"The SPF record of the sending domain {spf} has one or more",
			"suspicious entries. To protect the users, the message has been",
			"rate limited. For more information, go to",
			" https://support.google.com/mail/answer/81126",
		},
	},
	{
		ID: "unauthenticated", Code: 550, Enhanced: "5.7.26", Phases: []Phase{PhaseData}, Check: "authenticated",
		Doc: "Neither SPF nor DKIM passes.",
		Text: []string{
			"Your email has been blocked because the sender is unauthenticated.",
			"Gmail requires all senders to authenticate with either SPF or DKIM.",
			"",
			" Authentication results:",
			" DKIM = {dkim-result}",
			" SPF [{spf}] with ip: [{peer}] = {spf-result}",
			"",
			" For instructions on setting up authentication, go to",
			" https://support.google.com/mail/answer/81126#authentication",
		},
	},
	{
		ID: "unauthenticated-temporary", Code: 421, Enhanced: "4.7.26", Phases: []Phase{PhaseData}, Check: "authenticated",
		Doc: "The same, for a time (dial unauthenticated).",
		Text: []string{
			"Your email has been rate limited because the sender is unauthenticated.",
			"Gmail requires all senders to authenticate with either SPF or DKIM.",
			"",
			" Authentication results:",
			" DKIM = {dkim-result}",
			" SPF [{spf}] with ip: [{peer}] = {spf-result}",
			"",
			" For instructions on setting up authentication, go to",
			" https://support.google.com/mail/answer/81126#authentication",
		},
	},
	{
		ID: "authentication-unavailable", Code: 451, Enhanced: "4.7.26", Phases: []Phase{PhaseData}, Check: "dns-available",
		Doc: "A look-up failed for the time being, and what it would have said decides.",
		Text: []string{
			"Unauthenticated email from {from} is not accepted due to the",
			"domain's DMARC policy, but temporary DNS failures prevent",
			"authentication. Try again later. For more information, go to",
			" https://support.google.com/mail/answer/81126#authentication",
		},
	},
	{
		ID: "spf-hard-fail", Code: 550, Enhanced: "5.7.26", Phases: []Phase{PhaseData}, Check: "authenticated",
		Doc: "SPF fails by -all, and DKIM does not pass.",
		Text: []string{
			"The MAIL FROM domain [{spf}] has an SPF record",
			"with a hard fail policy (-all) but it fails to pass SPF checks with",
			"the ip: [{peer}]. The message has been blocked. For instructions",
			"on setting up authentication, go to",
			" https://support.google.com/mail/answer/81126#authentication",
		},
	},
	{
		ID: "dmarc", Code: 550, Enhanced: "5.7.26", Phases: []Phase{PhaseData}, Check: "dmarc-policy",
		Doc: "DMARC fails, and the author domain's policy is reject.",
		Text: []string{
			"Unauthenticated email from {from} is not accepted due to",
			"the domain's DMARC policy. Please contact the administrator of",
			"{from} if this was legitimate mail. For more information on",
			"DMARC, go to",
			" https://support.google.com/mail/?p=DmarcRejection",
		},
	},
	{
		ID: "bulk-spf-temporary", Code: 421, Enhanced: "4.7.27", Phases: []Phase{PhaseData}, Check: "bulk-spf",
		Doc: "Mail of a bulk sender does not pass SPF (dial bulk.spf).",
		Text: []string{
			"Your email has been rate limited because SPF",
			"authentication did not pass for {spf} with ip: [{peer}]. Gmail",
			"requires all bulk email senders to authenticate with SPF. For",
			"instructions on setting up SPF authentication, go to",
			" https://support.google.com/mail/answer/81126#authentication",
		},
	},
	{
		ID: "bulk-spf", Code: 550, Enhanced: "5.7.27", Phases: []Phase{PhaseData}, Check: "bulk-spf",
		Doc: "The same, for good.",
		Text: []string{
			"Your email has been blocked because SPF",
			"authentication did not pass for {spf} with ip: [{peer}]. Gmail",
			"requires all bulk email senders to authenticate with SPF. For",
			"instructions on setting up SPF authentication, go to",
			" https://support.google.com/mail/answer/81126#authentication",
		},
	},
	{
		ID: "bulk-tls-temporary", Code: 421, Enhanced: "4.7.29", Phases: []Phase{PhaseData}, Check: "transport-security",
		Doc: "Mail came without TLS (dials bulk.tls and tls.missing).",
		Text: []string{
			"Your email has been rate limited because it",
			"was not sent over a TLS connection, which Gmail requires of bulk email",
			"senders. For instructions on setting up TLS, go to",
			" https://support.google.com/mail/answer/81126#tls",
		},
	},
	{
		ID: "bulk-tls", Code: 550, Enhanced: "5.7.29", Phases: []Phase{PhaseData}, Check: "transport-security",
		Doc: "The same, for good.",
		Text: []string{
			"Your email has been blocked because it",
			"was not sent over a TLS connection, which Gmail requires of bulk email",
			"senders. For instructions on setting up TLS, go to",
			" https://support.google.com/mail/answer/81126#tls",
		},
	},
	{
		ID: "bulk-dkim-temporary", Code: 421, Enhanced: "4.7.30", Phases: []Phase{PhaseData}, Check: "bulk-dkim",
		Doc: "Mail of a bulk sender does not pass DKIM (dial bulk.dkim).",
		Text: []string{
			"Your email has been rate limited because DKIM",
			"authentication did not pass. Gmail requires all bulk email senders to",
			"authenticate with DKIM. For instructions on setting up DKIM",
			"authentication, go to",
			" https://support.google.com/mail/answer/81126#authentication",
		},
	},
	{
		ID: "bulk-dkim", Code: 550, Enhanced: "5.7.30", Phases: []Phase{PhaseData}, Check: "bulk-dkim",
		Doc: "The same, for good.",
		Text: []string{
			"Your email has been blocked because DKIM",
			"authentication did not pass. Gmail requires all bulk email senders to",
			"authenticate with DKIM. For instructions on setting up DKIM",
			"authentication, go to",
			" https://support.google.com/mail/answer/81126#authentication",
		},
	},
	{
		ID: "bulk-dmarc-temporary", Code: 421, Enhanced: "4.7.40", Phases: []Phase{PhaseData}, Check: "bulk-dmarc",
		Doc: "The domain of a bulk sender has no DMARC policy (dial bulk.dmarc).",
		Text: []string{
			"Your email has been rate limited because the",
			"domain {from} has no DMARC record, or one without a",
			"DMARC policy. Gmail requires all bulk email senders to publish one. For",
			"instructions on setting up DMARC, go to",
			" https://support.google.com/mail/answer/81126#dmarc",
		},
	},
	{
		ID: "bulk-dmarc", Code: 550, Enhanced: "5.7.40", Phases: []Phase{PhaseData}, Check: "bulk-dmarc",
		Doc: "The same, for good.",
		Text: []string{
			"Your email has been blocked because the",
			"domain {from} has no DMARC record, or one without a",
			"DMARC policy. Gmail requires all bulk email senders to publish one. For",
			"instructions on setting up DMARC, go to",
			" https://support.google.com/mail/answer/81126#dmarc",
		},
	},
	{
		ID: "bulk-alignment-temporary", Code: 421, Enhanced: "4.7.32", Phases: []Phase{PhaseData}, Check: "bulk-alignment",
		Doc: "Mail of a bulk sender whose From is not aligned (dial bulk.alignment).",
		Text: []string{
			"Your email has been rate limited because the From: header ({from})",
			"is not aligned with the authenticated SPF or DKIM organizational",
			"domain. For more information, go to",
			" https://support.google.com/a?p=dmarc-alignment",
		},
	},
	{
		ID: "bulk-alignment", Code: 550, Enhanced: "5.7.32", Phases: []Phase{PhaseData}, Check: "bulk-alignment",
		Doc: "The same, for good.",
		Text: []string{
			"Your email has been blocked because the From: header ({from})",
			"is not aligned with the authenticated SPF or DKIM organizational",
			"domain. For more information, go to",
			" https://support.google.com/a?p=dmarc-alignment",
		},
	},
	{
		ID: "reputation-ip-temporary", Code: 421, Enhanced: "4.7.0", Phases: []Phase{PhaseData},
		Doc: "The client's address has a very low reputation.",
		Text: []string{
			"[{peer}] This message is likely suspicious due to the very low",
			"reputation of the sending IP. To protect the users, it has been",
			"rate limited. For more information, go to",
			" https://support.google.com/mail/answer/188131",
		},
	},
	{
		ID: "reputation-domain-temporary", Code: 421, Enhanced: "4.7.0", Phases: []Phase{PhaseData},
		Doc: "The sending domain has a very low reputation.",
		Text: []string{
			"[{peer}] This message is likely suspicious due to the very low",
			"reputation of the sending domain. To protect the users, it has been",
			"temporarily blocked. For more information, go to",
			" https://support.google.com/mail/answer/188131",
		},
	},
	{
		ID: "reputation-ip", Code: 550, Enhanced: "5.7.1", Phases: []Phase{PhaseData},
		Doc: "The client's address has a very low reputation.",
		Text: []string{
			"[{peer}] This message is likely suspicious due to the very low",
			"reputation of the sending IP. To protect the users, it has been",
			"blocked. For more information, go to",
			" https://support.google.com/mail/answer/188131",
		},
	},
	{
		ID: "reputation-domain", Code: 550, Enhanced: "5.7.1", Phases: []Phase{PhaseData},
		Doc: "The sending domain has a very low reputation.",
		Text: []string{
			"[{peer}] This message is likely suspicious due to the very low",
			"reputation of the sending domain. To protect the users, it has been",
			"blocked. For more information, go to",
			" https://support.google.com/mail/answer/188131",
		},
	},
}

// contentReplies are about the message itself.
var contentReplies = []CataloguedReply{
	{
		ID: "not-processed", Code: 451, Enhanced: "4.3.0", Phases: []Phase{PhaseData}, Check: "message-format",
		Doc: "The provider could not read or store the message, which is its fault.",
		Text: []string{
			"Mail server temporarily rejected message.",
		},
	},
	{
		ID: "malformed", Code: 554, Enhanced: "5.6.0", Phases: []Phase{PhaseData}, Check: "message-format",
		Doc: "The message cannot be read.",
		Text: []string{
			"Mail message is malformed. Not accepted.",
		},
	},
	{
		ID: "not-compliant", Code: 550, Enhanced: "5.7.1", Phases: []Phase{PhaseData}, Check: "message-format",
		Doc: "The header breaks RFC 5322 in a way that is not put up with.",
		Text: []string{
			"[{peer}] This message is not RFC 5322 compliant:",
			"{why}. To reduce the amount of spam, it has been",
			"blocked. For more information, go to",
			" https://support.google.com/mail/?p=RfcMessageNonCompliant",
		},
	},
	{
		ID: "encoded-word", Code: 550, Enhanced: "5.7.1", Phases: []Phase{PhaseData}, Check: "message-format",
		Doc: "An encoded word (RFC 2047) stands in an address of From, or in a field that has no text for people.",
		Text: []string{
			"[{peer}] An encoded word is not permitted in the {what} header.",
			"The message has been blocked. For more information, go to",
			" https://support.google.com/mail/?p=RfcMessageNonCompliant",
		},
	},
	{
		ID: "unicode-header", Code: 550, Enhanced: "5.7.1", Phases: []Phase{PhaseData}, Check: "message-format",
		Doc: "A field of ASCII alone has other characters.",
		Text: []string{
			"[{peer}] There are Unicode characters in the {what} header,",
			"which does not allow them. The message has been blocked. For more",
			"information, go to",
			" https://support.google.com/mail/?p=RfcMessageNonCompliant",
		},
	},
	{
		ID: "message-id-missing", Code: 550, Enhanced: "5.7.1", Phases: []Phase{PhaseData}, Check: "message-id",
		Doc: "There is no valid Message-ID (dial message-id.missing).",
		Text: []string{
			"[{peer}] Messages missing a valid Message-ID header are not",
			"accepted. For more information, go to",
			" https://support.google.com/mail/?p=RfcMessageNonCompliant",
		},
	},
	{
		ID: "header-limit", Code: 552, Enhanced: "5.3.4", Phases: []Phase{PhaseData}, Check: "header-limits",
		Doc: "The header, a field of it, or the number of attachments is too large.",
		Text: []string{
			"The message exceeds the limit on {what}: it has {got}, and",
			"the limit is {limit}. For more information, go to",
			" https://support.google.com/mail/?p=MaxSizeError",
		},
	},
	{
		ID: "message-size", Code: 552, Enhanced: "5.3.4", Phases: []Phase{PhaseData}, Check: "message-size",
		Doc: "The message is too large (dial size.max); the server gives it by itself, too.",
		Text: []string{
			"Your message exceeded the size limits: it has {got} octets, and the",
			"limit is {limit}. For more information, go to",
			" https://support.google.com/mail/?p=MaxSizeError",
		},
	},
	{
		ID: "mail-loop", Code: 554, Enhanced: "5.4.6", Phases: []Phase{PhaseData}, Check: "hop-count",
		Doc: "The message has more than 50 Received fields.",
		Text: []string{
			"Message exceeded 50 hops, this may indicate a mail loop.",
			"For more information, go to",
			" https://support.google.com/mail/?p=MailLoop",
		},
	},
	{
		ID: "suspicious-content", Code: 421, Enhanced: "4.7.0", Phases: []Phase{PhaseData},
		Doc: "The content looks suspicious.",
		Text: []string{
			"[{peer}] This message is suspicious due to the nature of its content",
			"or the links within. To protect the users, it has been rate limited.",
			"For more information, go to",
			" https://support.google.com/mail/answer/81126",
		},
	},
	{
		ID: "blocked-content", Code: 552, Enhanced: "5.7.0", Phases: []Phase{PhaseData},
		Doc: "An attachment is of a kind that is never taken.",
		Text: []string{
			"This message was blocked because its content presents a potential",
			"security issue. To review the content policy, go to",
			" https://support.google.com/mail/?p=BlockedMessage",
		},
	},
	{
		ID: "unsolicited", Code: 550, Enhanced: "5.7.1", Phases: []Phase{PhaseData},
		Doc: "The message looks like spam.",
		Text: []string{
			"[{peer}] Our system has detected that this message is likely",
			"unsolicited mail. To reduce the amount of spam, it has been blocked.",
			"For more information, go to",
			" https://support.google.com/mail/?p=UnsolicitedMessageError",
		},
	},
}
