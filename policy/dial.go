package policy

import "slices"

// DialID names a dial.
type DialID string

// The dials.
const (
	DialProfile           DialID = "profile"
	DialDMARC             DialID = "dmarc.standard"
	DialOrgDomain         DialID = "dmarc.orgdomain"
	DialReverseDNS        DialID = "rdns.missing"
	DialTLS               DialID = "tls.missing"
	DialUnauthentic       DialID = "unauthenticated"
	DialMessageID         DialID = "message-id.missing"
	DialBrokenID          DialID = "message-id.broken"
	DialMaxRcpt           DialID = "rcpt.max"
	DialSuspiciousSPF     DialID = "spf.suspicious"
	DialImpersonation     DialID = "impersonation"
	DialMaxSize           DialID = "size.max"
	DialBulkVolume        DialID = "bulk.volume"
	DialBulkSPF           DialID = "bulk.spf"
	DialBulkDKIM          DialID = "bulk.dkim"
	DialBulkTLS           DialID = "bulk.tls"
	DialBulkDMARC         DialID = "bulk.dmarc"
	DialBulkAlignment     DialID = "bulk.alignment"
	DialRateAccount       DialID = "rate.account"
	DialAccountRate       DialID = "rate.account.exceeded"
	DialRatePeer          DialID = "rate.ip"
	DialRateNetblock      DialID = "rate.netblock"
	DialRateDKIM          DialID = "rate.dkim"
	DialRateSPF           DialID = "rate.spf"
	DialRateMessageID     DialID = "rate.message-id"
	DialRateExceeded      DialID = "rate.exceeded"
	DialBareLineEnds      DialID = "smtp.bare-line-ends"
	DialPipelinedHello    DialID = "smtp.pipelined-hello"
	DialPartialBody       DialID = "dkim.partial-body"
	DialUnsignedFields    DialID = "dkim.unsigned-fields"
	DialRecipientUnsigned DialID = "dkim.recipient-unsigned"
	DialReplay            DialID = "dkim.replay"
	DialReplayAccounts    DialID = "dkim.replay-accounts"
	DialReplayMemory      DialID = "dkim.replay-memory"
	DialMailingList       DialID = "pattern.mailing-list"
	DialFetchRefused      DialID = "pop.refused"
	DialFetchInterval     DialID = "pop.interval"
	DialForwardSpam       DialID = "forward.spam"
	DialMIMEFields        DialID = "dkim.mime-fields"
	DialLenientJSON       DialID = "markup.lenient"
	DialGraph             DialID = "markup.graph"
	DialRepeatedValue     DialID = "markup.repeated"
	DialSyntax            DialID = "markup.precedence"
	DialMaxActions        DialID = "markup.max-actions"
	DialMaxMarkup         DialID = "markup.max-size"
	DialRSVP              DialID = "rsvp"
	DialHTTPTarget        DialID = "goto.http"
	DialMethod            DialID = "method.default"
	DialSaveBody          DialID = "save.body"
	DialGetInputs         DialID = "get.inputs"
	DialEncoding          DialID = "handler.encoding"
	DialAudience          DialID = "token.aud"
	DialSelfBearer        DialID = "self.bearer"
	DialSelfAudience      DialID = "self.aud"
	DialTokenLife         DialID = "token.ttl"
	DialTokenAge          DialID = "token.iat"
	DialTokenIssuer       DialID = "token.iss"
	DialTokenSubject      DialID = "token.sub"
	DialTokenEmail        DialID = "token.email"
	DialTokenType         DialID = "token.typ"
	DialTokenID           DialID = "token.jti"
	DialTokenReuse        DialID = "token.reuse"
	DialKeyRotation       DialID = "keys.rotate"
	DialKeyMaxAge         DialID = "keys.max-age"
	DialFailedClick       DialID = "once.failed"
	DialHTTP2             DialID = "request.http2"
	DialKeepAlive         DialID = "request.keep-alive"
	DialSource            DialID = "request.source"
	DialRedirect          DialID = "request.redirect"
	DialSuccess           DialID = "success.status"
	DialRetryServer       DialID = "retry.5xx"
	DialRetryTooMany      DialID = "retry.429"
	DialRetryStatus       DialID = "retry.status"
	DialRetryTimeout      DialID = "retry.timeout"
	DialRetrySchedule     DialID = "retry.schedule"
	DialTimeout           DialID = "request.timeout"
)

// Dial is a named option for behaviour that no source documents. Its default
// is ours, and is stated.
type Dial struct {
	ID      DialID   `json:"id"`
	Default string   `json:"default"`
	Values  []string `json:"values"` // The words it takes, or one of the forms below.
	Doc     string   `json:"doc"`    // One sentence.
	Source  string   `json:"source"` // The fact sheet's line that leaves it open.
}

// dials are all dials, in the order in which they matter on a message's way.
var dials = []Dial{
	{DialProfile, "gmail", []string{"gmail", "rfc"}, "Whose rules hold where Gmail and the standards differ: what p=reject does, and whether Ed25519 signatures count.", "gmail-inbound.md section 5, RFC 9989 7.4, RFC 8463"},
	{DialDMARC, "rfc9989", []string{"rfc9989", "rfc7489"}, "Which edition of DMARC holds: by the older one np=, psd= and t= mean nothing, p= must follow v=, several records end the search, and pct= is reported, while the policy is applied to every message, as if each were among those that it selects.", "gmail-inbound.md section 5: RFC 9989, RFC 7489 6.3, 6.6; which one the provider follows is not known"},
	{DialOrgDomain, "standard", []string{"standard", "treewalk", "psl"}, "How the organisational domain is found: by DNS tree walk, by public suffix list, or as the edition of DMARC that holds has it.", "RFC 9989 4.10, RFC 7489 3.2"},
	{DialReverseDNS, "note", []string{"note", "spam", "defer", "reject"}, "What a peer without matching reverse DNS meets; by IPv6 it is always refused.", "gmail-inbound.md section 2: temporary, permanent or spam"},
	{DialTLS, "note", []string{"note", "spam", "defer", "reject"}, "What mail without TLS meets whose sender is not a bulk sender.", "gmail-inbound.md section 2: temporary, permanent or spam; 1.4 has replies for bulk senders only"},
	{DialUnauthentic, "reject", []string{"reject", "defer"}, "Whether mail for which neither SPF nor DKIM passes is refused for good or for a time.", "gmail-inbound.md 1.4 has both, 421 4.7.26 and 550 5.7.26"},
	{DialMessageID, "reject", []string{"reject", "spam", "note"}, "What mail without Message-ID meets.", "gmail-inbound.md 1.4 has a refusal; by 3.4 such mail was seen accepted and repaired, which may go by reputation"},
	{DialBrokenID, "note", []string{"note", "spam", "reject"}, "What mail meets whose Message-ID has not the form <left@right>.", "gmail-inbound.md 1.4 has a refusal, 3.4 an accepted mail"},
	{DialMaxRcpt, "100", []string{formCount}, "How many recipients a transaction may have, up to 10000.", "gmail-inbound.md 1.5: not documented; RFC 5321 4.5.3.1.8 asks for 100"},
	{DialSuspiciousSPF, "note", []string{"note", "spam", "defer", "reject"}, "What mail meets that passes SPF by an entry that lets nearly everybody pass.", "gmail-inbound.md 1.4: which entries are suspicious is not documented"},
	{DialImpersonation, "documented", []string{"documented", "note", "spam", "defer", "reject"}, "What mail meets whose From is the provider's own domain, and which is not authenticated as such; documented is spam, and for a bulk sender a temporary refusal.", "gmail-inbound.md section 2"},
	{DialMaxSize, "announced", []string{"announced", "documented"}, "How large a message may be when it has come: as large as the server announces, or the 50 MB of the help page.", "gmail-inbound.md 1.1 and 1.5 differ"},
	{DialBulkVolume, "5000", []string{formCount}, "How many accepted messages of a primary domain, each account's copy counted, make it a bulk sender within 24 hours, for ever.", "gmail-inbound.md section 2: close to 5,000 or more"},
	{DialBulkSPF, "defer", []string{"defer", "reject", "spam", "note"}, "What mail of a bulk sender without an SPF pass meets.", "gmail-inbound.md section 2: temporary, permanent or spam"},
	{DialBulkDKIM, "defer", []string{"defer", "reject", "spam", "note"}, "What mail of a bulk sender without a DKIM pass meets.", "gmail-inbound.md section 2: temporary, permanent or spam"},
	{DialBulkTLS, "defer", []string{"defer", "reject", "spam", "note"}, "What mail of a bulk sender without TLS meets.", "gmail-inbound.md section 2: temporary, permanent or spam"},
	{DialBulkDMARC, "defer", []string{"defer", "reject", "spam", "note"}, "What mail of a bulk sender without a DMARC record meets.", "gmail-inbound.md section 2 says mitigation only, 1.4 has 421 4.7.40 and 550 5.7.40"},
	{DialBulkAlignment, "defer", []string{"defer", "reject", "spam", "note"}, "What mail of a bulk sender meets whose From is aligned with neither SPF nor DKIM.", "gmail-inbound.md section 2: temporary, permanent or spam"},
	{DialRateAccount, accountLimits, []string{formLimits}, "How much accepted mail an account may get.", "gmail-inbound.md 1.5 documents the default"},
	{DialAccountRate, "note", []string{"note", "defer", "reject"}, "What mail beyond that meets: a note, because a test suite sends faster than people do.", "gmail-inbound.md 1.4 has 450 4.2.1 and 550 5.2.1, and a lock of up to 24 hours"},
	{DialRatePeer, "off", []string{formLimits}, "How much mail a client's address may send.", "gmail-inbound.md section 2: the quotas are not documented"},
	{DialRateNetblock, "off", []string{formLimits}, "How much mail a client's network may send: 24 bits of IPv4, 64 of IPv6.", "gmail-inbound.md 1.4: not documented"},
	{DialRateDKIM, "off", []string{formLimits}, "How much mail a domain may send for which DKIM passes.", "gmail-inbound.md section 2: not documented"},
	{DialRateSPF, "off", []string{formLimits}, "How much mail a domain may send for which SPF passes.", "gmail-inbound.md section 2: not documented"},
	{DialRateMessageID, "off", []string{formLimits}, "How often a Message-ID may come.", "gmail-inbound.md 1.4: not documented"},
	{DialRateExceeded, "defer", []string{"defer", "reject", "spam", "note"}, "What mail beyond the limits on senders meets; only addresses and networks are refused for good, everything else is then deferred.", "gmail-inbound.md 1.4 has 421 4.7.28 and 550 5.7.28"},
	{DialBareLineEnds, "accept", []string{"accept", "reject"}, "Whether a message with a CR or LF that stands alone is taken; it never ends the data.", "gmail-inbound.md section 5: RFC 5321 2.3.8; the real provider's answer is not known"},
	{DialPipelinedHello, "accept", []string{"accept", "reject"}, "Whether commands are run that came with the first EHLO or HELO; refused, the session ends with 451 4.5.0 if they have arrived when EHLO is read, which depends on the packets.", "gmail-inbound.md 1.4: the trigger is not documented; by RFC 2920 3.1 EHLO ends a group of commands, which is the client's duty"},
	{DialPartialBody, "withheld", []string{"withheld", "offered"}, "Whether an action is shown when the only DKIM signature for From leaves part of the body out (l=) and SPF does not vouch for it.", "gmail-inbound.md section 5: RFC 6376 8.2"},
	{DialMIMEFields, "offered", []string{"offered", "withheld", "any"}, "Whether an action is shown when the only DKIM signature for From does not cover Content-Type and Content-Transfer-Encoding, with which somebody could have the signed octets read in another way, and SPF does not vouch for it; offered, as large providers sign neither, but not with an unsigned encoding that has the body decoded, which any permits, too.", "gmail-inbound.md section 5: RFC 6376 5.4.1"},
	{DialUnsignedFields, "withheld", []string{"withheld", "offered"}, "Whether an action is shown when the author's signature leaves out Subject, which is shown, and SPF does not vouch for it: on the way anybody may have written it.", "gmail-inbound.md section 5: RFC 6376 5.4, 8.15"},
	{DialRecipientUnsigned, "withheld", []string{"withheld", "offered"}, "Whether an action is shown when only DKIM vouches for From and no signed To or Cc names the account: an in-app action, or any action if others are named. Withheld, because the first copy of a mail that somebody passes on looks just like a blind copy, an action is for one user, and who sends blind copies through others can have SPF vouch for it, or write to each.", "gmail-inbound.md section 5: RFC 6376 8.6; gmail-actions.md section 5"},
	{DialReplay, "withheld", []string{"withheld", "note"}, "Whether an action is shown in mail that has come with the same signature to other accounts, is not addressed to this one, and is not sent by its author: an action is for one user.", "gmail-inbound.md 3.3 (dara): RFC 6376 8.6"},
	{DialReplayAccounts, "1", []string{"1", "2", "5", "10", "100"}, "How many other accounts must have had the same signed mail before, for it to count as replayed.", "gmail-inbound.md 3.3 (dara)"},
	{DialReplayMemory, "168h", []string{formDuration}, "How long a signature is remembered.", "gmail-inbound.md 3.3 (dara)"},
	{DialMailingList, "withheld", []string{"withheld", "offered"}, "Whether an in-app action is shown in mail that a mailing list has passed on with the author's signature intact.", "gmail-actions.md section 9 does not name lists"},
	{DialFetchRefused, "spam", []string{"spam", "inbox"}, "Where mail fetched by POP is filed that would have been refused by SMTP: there is nobody left to refuse it to.", "gmail-inbound.md 4.c"},
	{DialFetchInterval, "2m,1h", []string{formDurations}, "The shortest and the longest time between two fetches of a mailbox by POP; a fetch that finds mail makes it shorter.", "gmail-inbound.md 4.c: seen as a range only"},
	{DialForwardSpam, "no", []string{"no", "yes"}, "Whether mail filed as spam is forwarded, too, by an account that forwards.", "gmail-inbound.md 4.a does not say"},
	{DialLenientJSON, "no", []string{"no", "yes"}, "Whether JSON-LD with comments or trailing commas is read, which is no JSON; when the mail comes.", "gmail-actions.md 1.7, U6: Google's own samples have both"},
	{DialGraph, "yes", []string{"yes", "no"}, "Whether the items in an @graph are read; when the mail comes.", "gmail-actions.md 1.7, U6"},
	{DialRepeatedValue, "first", []string{"first", "last"}, "Which of several values counts of a property that should have one, such as the url of a handler; when the mail comes.", "gmail-actions.md 1.7, U6: one of Google's own samples has two"},
	{DialSyntax, "both", []string{"both", "json-ld", "microdata"}, "Which syntax counts in a mail that has its own actions in both.", "gmail-actions.md 1.7, U6"},
	{DialMaxActions, "100", []string{"1..100"}, "How many actions of a mail are shown, in the order of the parts and of the text.", "gmail-actions.md 1.7, U6"},
	{DialMaxMarkup, "off", []string{"off", "1000..4194304"}, "How many octets of a text/html part are searched for actions; Gmail shows some 102 KB of it before it clips, 104448.", "gmail-actions.md 1.7, U6: whether clipping concerns markup is not known"},
	{DialRSVP, "withheld", []string{"withheld", "offered"}, "Whether RsvpAction, documented once and since withdrawn, is still shown.", "gmail-actions.md 1.8, U9"},
	{DialHTTPTarget, "offered", []string{"offered", "withheld"}, "Whether a go-to action may lead to plain http.", "gmail-actions.md 2 item 10"},
	{DialMethod, "POST", []string{"POST", "GET"}, "The method of a handler that states none.", "gmail-actions.md 0.1"},
	{DialSaveBody, "empty", []string{"empty", "confirmed"}, "The body of a SaveAction's request: empty, or that of a ConfirmAction.", "gmail-actions.md 2 item 6, U3"},
	{DialGetInputs, "none", []string{"none", "query"}, "Where the inputs of a GET request go: nowhere, or into the query.", "gmail-actions.md 2 item 7, U3"},
	{DialEncoding, "form", []string{"form", "stated"}, "How the inputs of a POST request are written: as a form always, or as JSON where the handler's encoding is application/json.", "gmail-actions.md 2 item 8, U4"},
	{DialAudience, "from-domain", []string{"from-domain", "org-domain"}, "What the token's aud names: the domain of From, or its organisational domain.", "gmail-actions.md 0.3, U5"},
	{DialSelfBearer, "no", []string{"no", "yes"}, "Whether the action of a self-sent mail without registration carries a bearer token.", "gmail-actions.md 6.4, U7"},
	{DialSelfAudience, "from-domain", []string{"from-domain", "handler-host"}, "What aud names in the token of a self-sent mail: the domain of From, as token.aud has it, which is the mail provider's own, or the host of the handler.", "gmail-actions.md 6.4, U5"},
	{DialTokenLife, "1h", []string{"1s..168h"}, "How long a token is valid from its iat; some verifiers refuse one of 24h or more.", "gmail-actions.md 3.2, 3.3, U1"},
	{DialTokenAge, "5s", []string{"0s..24h"}, "How far iat lies in the past, for services whose clock is behind: some verifiers grant no skew.", "gmail-actions.md 3.2, 3.3, U1"},
	{DialTokenIssuer, "url", []string{"url", "host"}, "How iss names the issuer: as a URL, https://accounts.google.com, or by its host alone, which verifiers must take, too.", "gmail-actions.md 3.2, 3.3, U1"},
	{DialTokenSubject, "yes", []string{"yes", "no"}, "Whether a token has sub, a stable number.", "gmail-actions.md 3.2, 3.3, U1"},
	{DialTokenEmail, "yes", []string{"yes", "no"}, "Whether a token has email, which repeats azp, and email_verified.", "gmail-actions.md 3.2, 3.3, U1: so by analogy with other tokens of Google's"},
	{DialTokenType, "yes", []string{"yes", "no"}, "Whether the header of a token has typ, JWT.", "gmail-actions.md 3.2, U1"},
	{DialTokenID, "no", []string{"no", "yes"}, "Whether a token has jti, another one in each.", "gmail-actions.md 3.2, U1"},
	{DialTokenReuse, "never", []string{"never", "retries", "cached"}, "Which attempts carry the same token, until a tenth of its time is left, or five minutes if that is less: none, those of one request, or all with the same aud, as from a service that keeps its tokens.", "gmail-actions.md 3.2, section 4, U1"},
	{DialKeyRotation, "off", []string{"off", "1m..720h"}, "After which time of the provider's clock the keys rotate by themselves, not before keys.max-age; off, so that a test's keys change when it says so (step rotate), while the real ones do so about once a day, 24h.", "gmail-actions.md 3.4, U1"},
	{DialKeyMaxAge, "5h30m", []string{"1s..168h"}, "How long the published keys may be cached (Cache-Control), in whole seconds.", "gmail-actions.md 3.4, U1: the form of the field is known, not the number"},
	{DialFailedClick, "keeps", []string{"keeps", "uses-up"}, "Whether a click whose request failed for good uses up an action that works once.", "gmail-actions.md section 8"},
	{DialHTTP2, "no", []string{"no", "yes"}, "Whether requests are made by HTTP/2 where the service offers it.", "gmail-actions.md 2 item 9, U10"},
	{DialKeepAlive, "no", []string{"no", "yes"}, "Whether a connection by HTTP/1.1 to a service outside of the process is left open for the next request to its host.", "gmail-actions.md 2 item 9, U10"},
	{DialSource, "auto", []string{"auto", formAddress}, "The address of this machine from which requests outside of the process are made; auto leaves it to the system.", "gmail-actions.md 2 item 9, U10"},
	{DialRedirect, "fail", []string{"fail", "follow"}, "Whether a redirect is a failure or is followed, up to five of them; the token goes along to the same host only.", "gmail-actions.md section 4, U2"},
	{DialSuccess, "200", []string{"200", "2xx"}, "Which answers are a success of an action: 200, which is documented, or all from 200 to 299.", "gmail-actions.md section 4, U2"},
	{DialRetryServer, "no", []string{"no", "yes"}, "Whether a 5xx answer is retried.", "gmail-actions.md section 4, U2"},
	{DialRetryTooMany, "no", []string{"no", "yes"}, "Whether a 429 answer is retried.", "gmail-actions.md section 4, U2"},
	{DialRetryStatus, "none", []string{"none", formStatuses}, "Which other answers from 400 to 499 than 408 and 429 are retried, such as 403,409.", "gmail-actions.md section 4, U2"},
	{DialRetryTimeout, "no", []string{"no", "yes"}, "Whether a request is retried that got no answer because the network or the service did not hold: timeout, reset, refused or no connection, no address, GOAWAY; not one that failed in TLS or was answered with no HTTP. The service may have carried it out: requests are made at least once.", "gmail-actions.md section 4, U2"},
	{DialRetrySchedule, "1m,5m,30m,2h", []string{formDurations}, "How long after each failed attempt the next is due, whatever Retry-After says; the attempts end with the list.", "gmail-actions.md section 4, U2"},
	{DialTimeout, "30s", []string{"1ns..1h"}, "How long a request may take.", "gmail-actions.md section 4, U2"},
}

// AllDials returns every dial, in the order in which they matter on a message's
// way.
func AllDials() []Dial { return slices.Clone(dials) }

// Dials are the dials that were set. One that is not in it has its default.
type Dials map[DialID]string

// Get returns the value of a dial.
func (d Dials) Get(id DialID) string {
	if n := dialIndex(id); n >= 0 {
		return d.value(n)
	}
	return ""
}

// maxDials bounds the table of dials; a test holds it.
const maxDials = 100

// dialIndex is the place of a dial in the table; negative if it is none.
func dialIndex(id DialID) int {
	for i := range dials {
		if dials[i].ID == id {
			return i
		}
	}
	return -1
}

// value returns the value of the dial at a place of the table.
func (d Dials) value(i int) string {
	if v, ok := d[dials[i].ID]; ok {
		return v
	}
	return dials[i].Default
}
