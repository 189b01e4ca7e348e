package policy

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"
)

// The replies are those of gmail-inbound.md 1.3 and 1.4. Where the sheet has
// only the gist of a text, the words are ours in the same shape. The session
// id and "gsmtp" that end every reply are added where it is sent.

// ReplyAccepted is the answer to an accepted message: two spaces, then Unix
// seconds (gmail-inbound.md 1.1).
func ReplyAccepted(at time.Time) Reply {
	return Reply{Code: 250, Enhanced: "2.0.0", Lines: []string{"OK  " + strconv.FormatInt(at.Unix(), 10)}}
}

func replyNotProcessed() Reply {
	return Reply{451, "4.3.0", []string{"Mail server temporarily rejected message."}}
}

func replyMalformed() Reply {
	return Reply{554, "5.6.0", []string{"Mail message is malformed. Not accepted."}}
}

// replyNotCompliant is the refusal of what is not RFC 5322; why completes the
// sentence.
func replyNotCompliant(peer netip.Addr, why string) Reply {
	return Reply{550, "5.7.1", []string{
		fmt.Sprintf("[%s] This message is not RFC 5322 compliant:", peerText(peer)),
		why + ". To reduce the amount of spam, it has been",
		"blocked. For more information, go to",
		" https://support.google.com/mail/?p=RfcMessageNonCompliant",
	}}
}

func replyHeaderLimit(what string) Reply {
	return Reply{552, "5.3.4", []string{
		"The message exceeds the limit on " + what + ". For more",
		"information, go to",
		" https://support.google.com/mail/?p=MaxSizeError",
	}}
}

func replyMailLoop() Reply {
	return Reply{554, "5.4.6", []string{
		"Message exceeded 50 hops, this may indicate a mail loop.",
		"For more information, go to",
		" https://support.google.com/mail/?p=MailLoop",
	}}
}

func replyAuthenticationUnavailable(domain string) Reply {
	return Reply{451, "4.7.26", []string{
		"Mail from " + domain + " cannot be authenticated now: a DNS look-up",
		"failed for the time being. Try again later. For more information, go to",
		" https://support.google.com/mail/answer/81126#authentication",
	}}
}

// peerText is the client's address as replies show it.
func peerText(peer netip.Addr) string {
	if !peer.IsValid() {
		return "unknown"
	}
	return peer.String()
}

// replyUnauthenticated is form (a) of 550 5.7.26.
func replyUnauthenticated(spfDomain string, peer netip.Addr) Reply {
	return Reply{550, "5.7.26", []string{
		"Your email has been blocked because the sender is unauthenticated.",
		"Gmail requires all senders to authenticate with either SPF or DKIM.",
		"",
		" Authentication results:",
		" DKIM = did not pass",
		fmt.Sprintf(" SPF [%s] with ip: [%s] = did not pass", spfDomain, peerText(peer)),
		"",
		" For instructions on setting up authentication, go to",
		" https://support.google.com/mail/answer/81126#authentication",
	}}
}

// replySPFHardFail is form (b) of 550 5.7.26.
func replySPFHardFail(spfDomain string, peer netip.Addr) Reply {
	return Reply{550, "5.7.26", []string{
		fmt.Sprintf("The MAIL FROM domain [%s] has an SPF record", spfDomain),
		"with a hard fail policy (-all) but it fails to pass SPF checks with",
		fmt.Sprintf("the ip: [%s]. The message has been blocked. For instructions", peerText(peer)),
		"on setting up authentication, go to",
		" https://support.google.com/mail/answer/81126#authentication",
	}}
}

// replyDMARC is form (c) of 550 5.7.26: it names the From domain twice.
func replyDMARC(domain string) Reply {
	return Reply{550, "5.7.26", []string{
		"Unauthenticated email from " + domain + " is not accepted due to",
		"the domain's DMARC policy. Please contact the administrator of",
		domain + " if this was legitimate mail. For more information on",
		"DMARC, go to",
		" https://support.google.com/mail/?p=DmarcRejection",
	}}
}

func replyReverseDNS(d Delivery, peer netip.Addr) Reply {
	r := Reply{550, "5.7.25", []string{
		fmt.Sprintf("[%s] The IP address sending this message does not have a", peerText(peer)),
		"PTR record, or the record's forward lookup does not lead back to it.",
		"For more information, go to",
		" https://support.google.com/a?p=sender-guidelines-ip",
	}}
	if d == Defer {
		r.Code, r.Enhanced = 451, "4.7.23"
	}
	return r
}

// ReplyNoSuchUser is the answer to a recipient that is no account.
func ReplyNoSuchUser() Reply {
	return Reply{550, "5.1.1", []string{
		"The email account that you tried to reach does not exist. Please try",
		"double-checking the recipient's email address for typos or",
		"unnecessary spaces. For more information, go to",
		" https://support.google.com/mail/?p=NoSuchUser",
	}}
}

// ReplyNoSuchDomain is the answer to a recipient whose domain is not the
// provider's.
func ReplyNoSuchDomain(domain string) Reply {
	return Reply{553, "5.1.2", []string{
		"We weren't able to find the recipient domain " + domain + ". Please",
		"check for any spelling errors, and make sure you didn't enter any",
		"spaces, periods, or other punctuation after the recipient's email",
		"address. For more information, go to",
		" https://support.google.com/mail/?p=BadRcptDomain",
	}}
}
