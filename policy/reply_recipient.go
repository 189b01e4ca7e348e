package policy

// The replies follow the list of gmail-inbound.md 1.4 and the layout of 1.3: a
// line is near 70 columns, an address begins after two spaces, and the session
// id and "gsmtp" that end every reply are added where it is sent. Where the
// sheet has only the gist of a text, the words are ours. A word in braces stands
// for a value, see ReplyFor.

// sessionReplies come before there is a recipient.
var sessionReplies = []CataloguedReply{
	{
		ID: "server-busy", Code: 421, Enhanced: "4.4.5", Phases: []Phase{PhaseConnect, PhaseHello, PhaseMail},
		Doc: "Too many connections are open.",
		Text: []string{
			"Server busy, try again later.",
		},
	},
	{
		ID: "system-problem", Code: 421, Enhanced: "4.3.0", Phases: []Phase{PhaseMail, PhaseConnect, PhaseHello, PhaseRcpt, PhaseData},
		Doc: "Something is wrong with the provider.",
		Text: []string{
			"Temporary System Problem. Try again later.",
		},
	},
	{
		ID: "try-again-later", Code: 421, Enhanced: "4.7.0", Phases: []Phase{PhaseHello, PhaseConnect, PhaseMail, PhaseRcpt, PhaseData},
		Doc: "The client is throttled early.",
		Text: []string{
			"Try again later, closing connection. ({command})",
			"For more information, go to",
			" https://support.google.com/a/answer/3221692",
		},
	},
	{
		ID: "timeout", Code: 451, Enhanced: "4.4.2", Phases: []Phase{PhaseMail, PhaseHello, PhaseRcpt},
		Doc: "The client was silent for too long, which the server says by itself, too; the session ends.",
		Text: []string{
			"Timeout - closing connection.",
		},
	},
}

// recipientReplies are about one recipient, and what his domain asks for.
var recipientReplies = []CataloguedReply{
	{
		ID: "no-such-user", Code: 550, Enhanced: "5.1.1", Phases: []Phase{PhaseRcpt}, AtRcpt: true,
		Doc: "The recipient is no account.",
		Text: []string{
			"The email account that you tried to reach does not exist. Please try",
			"double-checking the recipient's email address for typos or",
			"unnecessary spaces. For more information, go to",
			" https://support.google.com/mail/?p=NoSuchUser",
		},
	},
	{
		ID: "no-such-domain", Code: 553, Enhanced: "5.1.2", Phases: []Phase{PhaseRcpt}, AtRcpt: true,
		Doc: "The recipient's domain is not the provider's.",
		Text: []string{
			"We weren't able to find the recipient domain {rcpt}. Please",
			"check for any spelling errors, and make sure you didn't enter any",
			"spaces, periods, or other punctuation after the recipient's email",
			"address. For more information, go to",
			" https://support.google.com/mail/?p=BadRcptDomain",
		},
	},
	{
		ID: "several-domains", Code: 451, Enhanced: "4.3.0", Phases: []Phase{PhaseRcpt, PhaseData}, Check: "one-domain",
		Doc: "A transaction has recipients of two of the world's providers.",
		Text: []string{
			"Multiple destination domains per transaction are not supported.",
			"Please use a separate transaction for {rcpt}.",
		},
	},
	{
		ID: "account-inactive", Code: 550, Enhanced: "5.2.1", Phases: []Phase{PhaseRcpt, PhaseData}, Check: "account-open",
		Doc: "The account is disabled (account ... state=disabled).",
		Text: []string{
			"The email account that you tried to reach is inactive. For more",
			"information, go to",
			" https://support.google.com/mail/?p=DisabledUser",
		},
	},
	{
		ID: "over-quota", Code: 452, Enhanced: "4.2.2", Phases: []Phase{PhaseRcpt, PhaseData}, Check: "account-open",
		Doc: "The account is full (account ... state=full).",
		Text: []string{
			"The recipient's inbox is out of storage space. Please direct the",
			"recipient to the help page, and try again later:",
			" https://support.google.com/mail/?p=OverQuotaTemp",
		},
	},
	{
		ID: "over-quota-inactive", Code: 552, Enhanced: "5.2.2", Phases: []Phase{PhaseRcpt, PhaseData}, Check: "account-open",
		Doc: "The account is full, and nobody uses it (account ... state=full-inactive).",
		Text: []string{
			"The recipient's inbox is out of storage space and inactive. Please",
			"direct the recipient to the help page:",
			" https://support.google.com/mail/?p=OverQuotaPerm",
		},
	},
	{
		ID: "tls-required", Code: 421, Enhanced: "4.7.0", Phases: []Phase{PhaseRcpt, PhaseData}, Check: "recipient-domain",
		Doc: "The recipient's domain takes mail by TLS only (inbound ... tls=required).",
		Text: []string{
			"TLS required for RCPT domain {rcpt}, closing connection.",
		},
	},
	{
		ID: "peer-not-allowed", Code: 421, Enhanced: "4.7.0", Phases: []Phase{PhaseRcpt, PhaseData}, Check: "recipient-domain",
		Doc: "The recipient's domain takes mail from some addresses only (inbound ... allow-from=).",
		Text: []string{
			"IP not in whitelist for RCPT domain {rcpt}, closing connection.",
		},
	},
	{
		ID: "receiving-rate", Code: 450, Enhanced: "4.2.1", Phases: []Phase{PhaseRcpt, PhaseData}, Check: "receiving-rate",
		Doc: "The account gets more mail than it may (dials rate.account, rate.account.exceeded).",
		Text: []string{
			"The user you are trying to contact is receiving mail too quickly.",
			"Please resend your message at a later time. If the user is able to",
			"receive mail at that time, your message will be delivered. For more",
			"information, go to",
			" https://support.google.com/mail/?p=ReceivingRate",
		},
	},
	{
		ID: "receiving-rate-blocked", Code: 450, Enhanced: "4.2.1", Phases: []Phase{PhaseRcpt, PhaseData},
		Doc: "The account gets so much mail that it is shut for a while.",
		Text: []string{
			"The user you are trying to contact is receiving mail at a rate that",
			"prevents additional messages from being delivered. Please resend",
			"your message at a later time. For more information, go to",
			" https://support.google.com/mail/?p=ReceivingRate",
		},
	},
	{
		ID: "receiving-rate-permanent", Code: 550, Enhanced: "5.2.1", Phases: []Phase{PhaseRcpt, PhaseData}, Check: "receiving-rate",
		Doc: "The account gets more mail than it may, and the sender shall not come again.",
		Text: []string{
			"The user you are trying to contact is receiving mail at a rate that",
			"prevents additional messages from being delivered. For more",
			"information, go to",
			" https://support.google.com/mail/?p=ReceivingRatePerm",
		},
	},
	{
		ID: "transaction-size", Code: 452, Enhanced: "4.5.3", Phases: []Phase{PhaseRcpt},
		Doc: "The recipient's domain limits how much a transaction may have.",
		Text: []string{
			"Domain policy size per transaction exceeded, please try this",
			"recipient in a separate transaction.",
		},
	},
	{
		ID: "too-many-recipients", Code: 452, Enhanced: "4.5.3", Phases: []Phase{PhaseRcpt}, AtRcpt: true,
		Doc: "The transaction has as many recipients as it may (dial rcpt.max); those it has are kept.",
		Text: []string{
			"The message has too many recipients. For more information, go to",
			" https://support.google.com/mail/?p=TooManyRecipientsError",
		},
	},
	{
		ID: "too-many-recipients-for-sender", Code: 550, Enhanced: "5.5.3", Phases: []Phase{PhaseRcpt},
		Doc: "The sender may not have so many recipients.",
		Text: []string{
			"Too many recipients for this sender. For more information, go to",
			" https://support.google.com/a/answer/3221692",
		},
	},
	{
		ID: "policy-forbids", Code: 550, Enhanced: "5.7.1", Phases: []Phase{PhaseRcpt, PhaseData},
		Doc: "A policy of the recipient's domain forbids the mail.",
		Text: []string{
			"The user or domain that you are sending to (or from) has a policy that",
			"prohibited the mail that you sent. Please contact your domain",
			"administrator for further details.",
		},
	},
}

// rateReplies are about how much somebody sends.
var rateReplies = []CataloguedReply{
	{
		ID: "rate", Code: 421, Enhanced: "4.7.28", Phases: []Phase{PhaseData, PhaseMail},
		Doc: "Too much unusual mail, without saying of whom.",
		Text: []string{
			"[{peer}] There is an unusual rate of mail.",
			"To protect the users, it has been temporarily rate limited.",
			"For more information, go to",
			" https://support.google.com/mail/answer/81126",
		},
	},
	{
		ID: "rate-ip", Code: 421, Enhanced: "4.7.28", Phases: []Phase{PhaseData}, Check: "sending-rate",
		Doc: "The client's address sends more than it may (dial rate.ip).",
		Text: []string{
			"[{peer}] There is an unusual rate of mail from your IP address.",
			"To protect the users, it has been temporarily rate limited.",
			"For more information, go to",
			" https://support.google.com/mail/answer/81126",
		},
	},
	{
		ID: "rate-netblock", Code: 421, Enhanced: "4.7.28", Phases: []Phase{PhaseData}, Check: "sending-rate",
		Doc: "The client's network sends more than it may (dial rate.netblock).",
		Text: []string{
			"[{peer}] There is an unusual rate of unsolicited mail from your netblock {netblock}.",
			"To protect the users, it has been temporarily rate limited.",
			"For more information, go to",
			" https://support.google.com/mail/?p=UnsolicitedRateLimitError",
		},
	},
	{
		ID: "rate-dkim", Code: 421, Enhanced: "4.7.28", Phases: []Phase{PhaseData}, Check: "sending-rate",
		Doc: "A DKIM domain sends more than it may (dial rate.dkim).",
		Text: []string{
			"[{peer}] There is an unusual rate of mail of the DKIM domain {dkim}.",
			"To protect the users, it has been temporarily rate limited.",
			"For more information, go to",
			" https://support.google.com/mail/answer/81126",
		},
	},
	{
		ID: "rate-spf", Code: 421, Enhanced: "4.7.28", Phases: []Phase{PhaseData}, Check: "sending-rate",
		Doc: "An SPF domain sends more than it may (dial rate.spf).",
		Text: []string{
			"[{peer}] There is an unusual rate of mail of the SPF domain {spf}.",
			"To protect the users, it has been temporarily rate limited.",
			"For more information, go to",
			" https://support.google.com/mail/answer/81126",
		},
	},
	{
		ID: "rate-url", Code: 421, Enhanced: "4.7.28", Phases: []Phase{PhaseData},
		Doc: "A domain that the mail links to is in too much mail.",
		Text: []string{
			"[{peer}] There is an unusual rate of mail that links to one of your URL domains.",
			"To protect the users, it has been temporarily rate limited.",
			"For more information, go to",
			" https://support.google.com/mail/answer/81126",
		},
	},
	{
		ID: "rate-message-id", Code: 421, Enhanced: "4.7.28", Phases: []Phase{PhaseData}, Check: "sending-rate",
		Doc: "The same Message-ID comes more often than it may (dial rate.message-id).",
		Text: []string{
			"[{peer}] This message exceeded the quota for sending messages with",
			"the same Message-ID. To protect the users, it has been temporarily",
			"blocked. For more information, go to",
			" https://support.google.com/mail/answer/81126",
		},
	},
	{
		ID: "rate-ip-amount", Code: 421, Enhanced: "4.7.28", Phases: []Phase{PhaseData},
		Doc: "The client's address is blocked for a while.",
		Text: []string{
			"[{peer}] There is an unusual amount of mail from your IP address.",
			"To protect the users, it has been temporarily blocked. For more",
			"information, go to",
			" https://support.google.com/mail/answer/81126",
		},
	},
	{
		ID: "rate-ip-blocked", Code: 550, Enhanced: "5.7.28", Phases: []Phase{PhaseData}, Check: "sending-rate",
		Doc: "The address or network sends more than it may, and shall not come again (dial rate.exceeded).",
		Text: []string{
			"[{peer}] There is an unusual rate of mail from your IP address. To",
			"protect the users, mail from it has been blocked. For more",
			"information, go to",
			" https://support.google.com/mail/answer/81126",
		},
	},
	{
		ID: "not-authorized-directly", Code: 550, Enhanced: "5.7.1", Phases: []Phase{PhaseData},
		Doc: "The client's address is of a network from which nobody sends mail himself.",
		Text: []string{
			"[{peer}] The IP you're using to send mail is not authorized to send",
			"email directly to our servers. Please use the SMTP relay at your",
			"service provider instead. For more information, go to",
			" https://support.google.com/mail/?p=NotAuthorizedError",
		},
	},
	{
		ID: "rate-limited", Code: 550, Enhanced: "5.7.1", Phases: []Phase{PhaseData},
		Doc: "The client's address is blocked for what it sends.",
		Text: []string{
			"[{peer}] Our system has detected an unusual rate of unsolicited mail",
			"from your IP address. To protect the users, mail from it has been",
			"blocked. For more information, go to",
			" https://support.google.com/mail/answer/81126",
		},
	},
}
