package diagnosis

import (
	"slices"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
)

// remedies say what to do about failed checks, by check and reason. What is not
// in it gets the remedy that [RepairOf] makes of the check's own sentence.
var remedies = map[Cause]remedy{
	{"message-format", "not-processed"}:     {do: step("This is a fault of doppelbox and not of the mail: please report it, with the mail.")},
	{"message-format", "message-malformed"}: {make: atProblem},
	{"message-format", "from-missing"}:      {where: "From", do: step("Write one From field with one address.", "From: Shop <noreply@shop.example>")},
	{"message-format", "from-several"}:      {where: "From", do: step("Write one From field with one address; who sends for several authors names himself in Sender, and one author in From.")},
	{"message-format", "from-unreadable"}:   {where: "From", do: step("Write From as RFC 5322 3.4 has it: a name, then the address in angle brackets. Put a name with special characters in quotes, and encode one outside ASCII (RFC 2047).")},
	{"message-format", "field-repeated"}:    {make: atProblem},

	{"header-limits", "header-too-large"}:       {where: "the header", do: step("Make the header smaller than 500 KB: look for fields that every hop adds.")},
	{"header-limits", "header-too-many-fields"}: {where: "the header", do: step("Write fewer than 5,000 fields: look for fields that every hop adds.")},
	{"header-limits", "field-too-long"}:         {where: "the longest field", do: step("Keep each field below 32 KB: look for lists of recipients and for tokens of tracking.")},
	{"header-limits", "field-name-too-long"}:    {where: "the field with the longest name", do: step("Keep names of fields below 1 KB. A name this long is most often text that landed in the header by mistake.")},
	{"header-limits", "subject-too-long"}:       {where: "Subject", do: step("Keep Subject within 998 characters.")},
	{"header-limits", "message-id-too-long"}:    {where: "Message-ID", do: step("Keep Message-ID within 500 octets.")},

	{"ordered-reply", "ordered"}:               {do: step("Nothing: somebody has ordered this answer, to see what the sender does with it.")},
	{"recipient-domain", "tls-required"}:       {where: "the connection", do: step("Use STARTTLS: the recipient's domain takes nothing without it.")},
	{"recipient-domain", "peer-not-allowed"}:   {where: "the peer", do: step("Deliver from an address that the recipient's domain takes mail from, or have its administrator add this one.")},
	{"account-open", "account-inactive"}:       {where: "the recipient", do: step("Take the address off the list: the account is disabled.")},
	{"account-open", "over-quota"}:             {where: "the recipient", do: step("Come again later: the account is out of space.")},
	{"account-open", "over-quota-inactive"}:    {where: "the recipient", do: step("Take the address off the list: nobody uses the account.")},
	{"receiving-rate", "rate-exceeded"}:        {where: "the recipient", do: step("Send less to this account, and come again later.")},
	{"message-size", "message-too-large"}:      {where: "the message", do: step("Send a link in place of the largest attachments.")},
	{"message-size", "attachments-too-many"}:   {where: "the message", do: step("Put the attachments into one archive, or send a link.")},
	{"message-id", "message-id-missing"}:       {where: "Message-ID", do: step("Write a Message-ID, a new one for each mail, with a domain of yours on its right.", "Message-ID: <unique@shop.example>")},
	{"message-id", "message-id-invalid"}:       {where: "Message-ID", do: step("Write Message-ID as <left@right>, without spaces, with a domain of yours on its right.", "Message-ID: <unique@shop.example>")},
	{"ipv6-sender", "ipv6-ptr"}:                {make: naming},
	{"ipv6-sender", "ipv6-unauthenticated"}:    {make: authentication, dkim: true, spf: true},
	{"spf-record", "spf-suspicious"}:           {make: narrowing},
	{"transport-security", "no-tls"}:           {where: "the connection", do: step("Use STARTTLS.")},
	{"transport-security", "bulk-no-tls"}:      {wrong: "the message came without TLS", where: "the connection", do: step("Use STARTTLS.")},
	{"impersonation", "impersonates-provider"}: {where: "From", do: step("Send from a domain of your own: mail from the provider's own domain comes from the provider's own servers only.")},
	{"bulk-spf", "bulk-spf-missing"}:           {wrong: "SPF does not pass", make: permitting, spf: true},
	{"bulk-dkim", "bulk-dkim-missing"}:         {wrong: "DKIM does not pass", make: signing, dkim: true},
	{"bulk-alignment", "bulk-unaligned"}:       {make: aligning, dkim: true, spf: true},
	{"bulk-dmarc", "bulk-dmarc-missing"}:       {wrong: "the author domain has no DMARC record with a policy", make: publishing},
	{"bulk-one-click", "one-click-missing"}:    {wrong: "there is no List-Unsubscribe field, which marketing mail needs", where: "List-Unsubscribe", do: step("If this is marketing mail, add these fields, with a token of the recipient's, and sign them.", "List-Unsubscribe: <https://shop.example/unsubscribe?token=<token of the recipient>>", "List-Unsubscribe-Post: List-Unsubscribe=One-Click")},
	{"bulk-one-click", "one-click-broken"}:     {where: "List-Unsubscribe, List-Unsubscribe-Post", do: step("If this is marketing mail, mend what is said on one-click unsubscription.")},
	{"subject-honest", "false-reply"}:          {where: "Subject", do: step("Begin the subject with Re: or Fwd: only in a reply or a forward; a reply names the mail before in In-Reply-To.")},
	{"display-name", "name-is-subject"}:        {where: "the display name of From", do: step("Have it be the sender's name, and not the subject.")},
	{"display-name", "name-has-recipient"}:     {where: "the display name of From", do: step("Have it be the sender's name, without the recipient's address.")},
	{"display-name", "name-has-count"}:         {where: "the display name of From", do: step("Have it be the sender's name, without a number in parentheses: that looks like a thread.")},
	{"sending-rate", "rate-ip"}:                slower("the peer's address"),
	{"sending-rate", "rate-netblock"}:          slower("the peer's network"),
	{"sending-rate", "rate-dkim"}:              slower("the domain that signs"),
	{"sending-rate", "rate-spf"}:               slower("the domain of the envelope"),
	{"sending-rate", "rate-message-id"}:        {where: "Message-ID", do: step("Write a new Message-ID for each mail.")},

	{"hop-count", "too-many-hops"}: {where: "Received", do: step("Find the loop: read the Received fields from below, and look for the pair of hosts that comes again. It is most often two forwards to each other.")},

	{"dns-available", "dns-temperror"}:             {make: outage},
	{"unchanged", "auth-temperror"}:                {make: outage},
	{"sender-authenticated", "auth-temperror"}:     {make: outage},
	{"sender-aligned", "auth-temperror"}:           {make: outage},
	{"authenticated", "unauthenticated"}:           {make: authentication, dkim: true, spf: true},
	{"authenticated", "spf-hard-fail"}:             {make: authentication, dkim: true, spf: true},
	{"dmarc-policy", "dmarc-reject"}:               {make: authentication, dkim: true, spf: true},
	{"dmarc-policy", "dmarc-quarantine"}:           {make: authentication, dkim: true, spf: true},
	{"sender-authenticated", "unauthenticated"}:    {make: authentication, dkim: true, spf: true},
	{"sender-aligned", "unaligned"}:                {make: authentication, dkim: true, spf: true},
	{"reverse-dns", "ptr-missing"}:                 {make: naming},
	{"reverse-dns", "ptr-mismatch"}:                {make: naming},
	{"access-evidence", "contradicted"}:            {where: "the header", do: step("Find out who adds the marks of another way, and have him leave them away; nothing is decided by them.")},
	{"access-evidence", "unsettled"}:               {make: settle},
	{"markup-readable", "markup-problem"}:          {make: atMarkup},
	{"unsubscribe-present", "post-missing"}:        {where: "List-Unsubscribe-Post", do: step("Add this field, and sign it.", "List-Unsubscribe-Post: List-Unsubscribe=One-Click")},
	{"unsubscribe-post", "post-missing"}:           {where: "List-Unsubscribe-Post", do: step("Add this field, and sign it.", "List-Unsubscribe-Post: List-Unsubscribe=One-Click")},
	{"unsubscribe-post", "post-value"}:             {where: "List-Unsubscribe-Post", do: step("Write the field so, letter for letter.", "List-Unsubscribe-Post: List-Unsubscribe=One-Click")},
	{"unsubscribe-present", "field-repeated"}:      {where: "List-Unsubscribe, List-Unsubscribe-Post", do: step("Write each of the two fields once; one List-Unsubscribe can have several URIs, separated by commas.")},
	{"unsubscribe-uri", "https-missing"}:           {where: "List-Unsubscribe", do: step("Add a URI with https, one of its own for each recipient; a mailto may stand beside it.", "List-Unsubscribe: <https://shop.example/unsubscribe?token=<token of the recipient>>")},
	{"unsubscribe-uri", "https-several"}:           {where: "List-Unsubscribe", do: step("Leave one URI with https.")},
	{"unsubscribe-uri", "url-malformed"}:           {where: "List-Unsubscribe", do: step("Write an absolute https URI in ASCII, without a user name and without a fragment.")},
	{"unsubscribe-signed", "not-covered"}:          {where: "h= of the DKIM signature", do: step("Put List-Unsubscribe and List-Unsubscribe-Post into h= of the signature.")},
	{"unsubscribe-signed", "dkim-missing"}:         {make: signingUnsubscription, dkim: true},
	{"unsubscribe-aligned", "unaligned"}:           {where: "d= of the DKIM signature", do: step("Have From's own domain sign both fields.")},
	{"unsubscribe-delivered", "would-be-rejected"}: followsDelivery(),
	{"unsubscribe-delivered", "would-be-deferred"}: followsDelivery(),
	{"unsubscribe-delivered", "in-spam"}:           followsDelivery(),
	{"delivered", "would-be-rejected"}:             followsDelivery(),
	{"delivered", "would-be-deferred"}:             followsDelivery(),
	{"delivered", "in-spam"}:                       followsDelivery(),

	{"own-action", "manual-forward"}:              {do: step("Nothing: an action in a mail that somebody forwarded by hand is withheld whoever sends it. The reader is to act on the mail that came to her.")},
	{"unchanged", "dkim-broken"}:                  {make: passing},
	{"unchanged", "dkim-absent"}:                  {make: passing},
	{"content-signed", "body-uncovered"}:          {where: "l= of the DKIM signature", do: step("Sign without l=: what follows it can be written by anybody (RFC 6376 8.2).")},
	{"content-signed", "mime-unsigned"}:           {where: "h= of the DKIM signature", do: step("Put Content-Type and Content-Transfer-Encoding into h=.")},
	{"content-signed", "body-unsigned"}:           {where: "l= of the DKIM signature", do: step("Sign without l=: with l=0 nothing of the body is signed.")},
	{"fields-signed", "field-unsigned"}:           {where: "h= of the DKIM signature", do: step("Put every field that is shown into h=: From, To, Cc, Subject, Date, Content-Type and Content-Transfer-Encoding.")},
	{"fields-signed-once", "field-unsigned"}:      {where: "h= of the DKIM signature", do: step("Put every field that the author writes into h=.")},
	{"fields-signed-once", "from-not-oversigned"}: {where: "h= of the DKIM signature", do: step("Name From in h= once more than it stands, so that none can be added (RFC 6376 8.15).")},
	{"from-static", "from-missing"}:               {where: "From", do: step("Write one From field with one address.", "From: Shop <noreply@shop.example>")},
	{"from-static", "from-several"}:               {where: "From", do: step("Write one From field with one address; who sends for several authors names himself in Sender, and one author in From.")},

	{"sender-registered", "unregistered"}:             {make: registering},
	{"sender-registered", "action-type-unregistered"}: {make: registering},
	{"sender-registered", "registration-not-started"}: {make: registering},
	{"sender-registered", "registration-expired"}:     {make: registering},

	{"access-pattern", "original-unverified"}: {make: sendingAs},
	{"access-pattern", "original-unproven"}:   {make: settle},
	{"access-pattern", "ambiguous"}:           {make: settle},
	{"access-pattern", "mailing-list"}:        {where: "the list", do: step("Send mail with actions to each user herself, and not to a list: an action is for one user. A link (url or target) works in both. Whether the real provider shows it is not known; the dial pattern.mailing-list=offered does.")},

	{"action-counted", "beyond-max-actions"}: {make: atAction("Leave fewer actions in the mail, the most important first. What the real provider's limit is, is not known; the dial markup.max-actions is that of this one.")},
	{"action-counted", "beyond-max-size"}:    {make: atAction("Put the markup further up, into the head or at the beginning of the body. Whether the real provider has a limit is not known; the dial markup.max-size is that of this one.")},
	{"action-counted", "other-syntax"}:       {make: atAction("Write all actions in one syntax. Which of two the real provider prefers is not known; the dial markup.precedence says it for this one.")},

	{"action-type", "type-unknown"}:          {make: atType},
	{"action-type", "type-withdrawn"}:        {make: atType},
	{"handler-or-target", "handler-missing"}: {make: atAction("Give the action a handler (an HttpActionHandler with a url) or a target.")},
	{"handler-or-target", "handler-several"}: {make: atAction("Leave one handler.")},
	{"action-url", "url-missing"}:            {make: atAction("Give the handler a url.")},
	{"action-url", "url-malformed"}:          {make: atAction("Write the handler's url in ASCII, with everything else percent-encoded (RFC 3986 2.1).")},
	{"action-url", "url-relative"}:           {make: atAction("Write the handler's url whole, from https:// on.")},
	{"action-url", "url-not-https"}:          {make: atAction("Serve the handler by https, with a certificate that browsers trust.")},
	{"action-url", "url-credentials"}:        {make: atAction("Take user name and password out of the handler's url; what proves the request is the bearer token, and a token of the url's own.")},
	{"action-url", "url-fragment"}:           {make: atAction("Take the fragment (# and what follows) away, or write it as a parameter.")},
	{"action-url", "target-missing"}:         {make: atAction("Give the action a url or target that is an absolute https address.")},
	{"action-url", "target-http"}:            {make: atAction("Have the target begin with https://.")},
	{"action-period", "period-unreadable"}:   {make: atAction("Write startTime and endTime as ISO 8601 has it, with the time zone: 2026-01-15T09:00:00Z.")},
	{"action-period", "action-not-started"}:  {make: atAction("Send the mail later, or have startTime be earlier. Clocks that differ are the usual cause.")},
	{"action-period", "action-expired"}:      {make: atAction("Have endTime be later, or leave it away.")},
	{"limited-use-token", "token-missing"}:   {make: atAction("Add a parameter to the handler's url that is random (128 bits), of this user and this action, and accepted once.")},
	{"url-once", "url-in-other-message"}:     {make: atAction("Make a new token for each mail: this url was in an earlier one.")},
	{"url-once", "url-in-other-action"}:      {make: atAction("Give each action a url of its own.")},
	{"url-public", "url-local"}:              {make: atAction("Take care that the mail of production names a host that the real provider can reach.")},
	{"method-stated", "method-missing"}:      {make: atAction("State the method: \"method\": \"http://schema.org/HttpRequestMethod/POST\".")},
	{"method-stated", "method-get"}:          {make: atAction("Use POST: scanners follow what can be got.")},
	{"method-stated", "method-unknown"}:      {make: atAction("State the method as POST: \"method\": \"http://schema.org/HttpRequestMethod/POST\".")},
	{"property-names", "legacy-names"}:       {make: atAction("Use potentialAction and handler, and the other names of today's documentation.")},
	{"label", "label-missing"}:               {make: atAction("Give the action a name: it is what the button says.")},
	{"label", "label-punctuation"}:           {make: atAction("Take the punctuation out of the label.")},
	{"label", "label-capitals"}:              {make: atAction("Write the label in small letters.")},
	{"label", "label-long"}:                  {make: atAction("Make the label shorter than 30 characters: a verb and a noun.")},
	{"intended", "visible-link"}:             {make: atAction("Give the visible link another address than the handler, or make of the action one with a target.")},
}

// followsDelivery is the remedy for what only follows from the delivery.
func followsDelivery() remedy {
	return remedy{do: step("This follows from what becomes of the mail: mend that first.")}
}

// slower is the remedy for who sends more than he may (gmail-inbound.md
// section 2: pause, then one connection, then slowly more).
func slower(who string) remedy {
	return remedy{where: who, do: step("Pause for ten minutes, go on with one connection, and send slowly more from then on.")}
}

// atAction is a remedy in the action's markup; where says in which.
func atAction(do string) func(*Case, policy.Finding) remedy {
	return func(_ *Case, _ policy.Finding) remedy {
		return remedy{where: "the action's markup", do: step(do), action: true}
	}
}

func atType(_ *Case, f policy.Finding) remedy {
	return remedy{where: "@type " + factOf(f, "type"), action: true, do: step(
		"Use ConfirmAction or SaveAction for a request, and ViewAction, TrackAction or another type with a target for a link.",
	)}
}

// atProblem is the remedy for a mail that breaks RFC 5322, at the place of each
// problem.
func atProblem(c *Case, _ policy.Finding) remedy {
	m := remedy{do: step("Have the program that writes the mail keep to RFC 5322 3.6; a library for mail does.")}
	var places []string
	for _, p := range c.Evidence.Header.Problems {
		places = listed(places, p.Place.String())
		if len(m.do) <= maxEffects {
			m.do = append(m.do, Step{Do: "Mend: " + clip(p.String())})
		}
	}
	m.where = strings.Join(places, "; ")
	return m
}

// atMarkup is the remedy for markup that cannot be read.
func atMarkup(c *Case, _ policy.Finding) remedy {
	m := remedy{}
	var places []string
	for _, p := range c.Evidence.Markup.Problems {
		places = listed(places, p.Place.String())
		if len(m.do) < maxEffects {
			m.do = append(m.do, Step{Do: "Mend: " + clip(p.String())})
		}
	}
	m.where = strings.Join(places, "; ")
	return m
}

// signingUnsubscription is the remedy where no signature holds that one-click
// unsubscription could rest on. One that is broken and names both fields is only
// to be mended.
func signingUnsubscription(c *Case, f policy.Finding) remedy {
	m := signing(c, f)
	for _, s := range c.Evidence.Auth.DKIM {
		if slices.Contains(s.Headers, "list-unsubscribe") && slices.Contains(s.Headers, "list-unsubscribe-post") {
			return m
		}
	}
	m.extra = step("Put List-Unsubscribe and List-Unsubscribe-Post into h= of the signature: SPF is not enough here (RFC 8058 section 4).")
	return m
}

// aligning is the remedy for a bulk sender for whose From nothing passes.
func aligning(c *Case, f policy.Finding) remedy {
	m := authentication(c, f)
	m.wrong = "nothing passes for the domain of From"
	if c.Evidence.Auth.SPF.Result == policy.AuthPass || slices.ContainsFunc(c.Evidence.Auth.DKIM, func(s policy.DKIM) bool { return s.Result == policy.AuthPass }) {
		m.wrong = "what passes does not belong to the domain of From"
	}
	return m
}

// settle is the remedy where it is not proven how the mail came.
func settle(c *Case, _ policy.Finding) remedy {
	a := c.Evidence.Access
	if a.Settle == "" {
		return remedy{do: step("Have the mail come with a proof of its way: the envelope of the forwarder (SPF), or an intact DKIM signature over the field that names the first recipient.")}
	}
	return remedy{do: step("This would settle it: " + clip(a.Settle) + ".")}
}

// sendingAs is the remedy for a forward from an address that is not known to be
// the user's.
func sendingAs(c *Case, _ policy.Finding) remedy {
	original := ""
	if f := c.Evidence.Access.Forward; f != nil {
		original = clip(f.Original)
	}
	return remedy{
		where: "the account " + clip(c.Evidence.Account.Address),
		do: step("Have the user add "+original+" to the addresses that she sends mail as, and confirm the code that comes there. In a world that is this setting of her account.",
			worldLine("account %s sendas=%s", c.Evidence.Account.Address, original)...),
	}
}

// passing is the remedy for mail that lost its signature on the way.
func passing(c *Case, f policy.Finding) remedy {
	if f.Reason == "dkim-absent" {
		author := clip(c.Evidence.Auth.DMARC.Domain)
		return remedy{where: "the domain of From, " + author, do: step("Sign with DKIM, d="+author+": only that survives being passed on.", newKey(author)...)}
	}
	return remedy{where: forwarder(c), do: []Step{intact(policy.Change(factOf(f, "change")))}}
}

// intact asks who passed a mail on to leave it as it was.
func intact(change policy.Change) Step {
	switch change {
	case policy.ChangeFooter:
		return Step{Do: "Have it add no footer or disclaimer: proven to be what broke the signature."}
	case policy.ChangeSubject:
		return Step{Do: "Have it put no tag before the subject: proven to be what broke the signature."}
	case policy.ChangeReencoded:
		return Step{Do: "Have it leave the transfer encoding as it is: proven to be what broke the signature. Signers can prevent it by sending base64 or quoted-printable."}
	}
	return Step{Do: "Have it pass the mail on octet for octet."}
}

// forwarder names who passed the mail on.
func forwarder(c *Case) string {
	a := c.Evidence.Access
	switch {
	case a.Pattern == policy.PatternMailingList:
		for _, s := range a.Signals {
			if (s.Name == "list-domain" || s.Name == "list-id") && s.Value != "" {
				return "the list, " + clipTo(s.Value, 100)
			}
		}
		return "the list"
	case a.Forward != nil && a.Forward.By != "":
		return "who passed the mail on, " + clip(a.Forward.By)
	}
	return "who passed the mail on"
}

// brokenOnTheWay says that a signature of a mail that was passed on is broken by
// a change: the signer can do nothing about it.
func brokenOnTheWay(c *Case, s policy.DKIM) bool {
	return passedOn(c) && s.Result != policy.AuthPass && (s.Change != "" || s.Reason == "body-hash" || s.Reason == "body-length" || s.Reason == "signature")
}

// registering is the remedy for a sender that is not registered for the action.
func registering(_ *Case, f policy.Finding) remedy {
	from, typ := factOf(f, "from"), factOf(f, "type")
	do := "Register " + from + " for " + typ
	switch f.Reason {
	case "action-type-unregistered":
		do += ", too"
	case "registration-not-started", "registration-expired":
		do = "Have the registration cover this time, with since= or until="
	}
	return remedy{
		where: "the registration of " + from,
		do:    step(do+": with the real provider by its form, in a world with this line.", worldLine("register %s actions=%s", from, typ)...),
	}
}
