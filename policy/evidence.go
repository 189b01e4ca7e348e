package policy

import (
	"net/netip"
	"time"
)

// Evidence is everything known about one message that a decision may rest on.
// It is made once per message and account and never changed afterwards.
type Evidence struct {
	World   string         `json:"world"`
	At      time.Time      `json:"at"` // The provider's clock when the message arrived.
	Arrival Arrival        `json:"arrival"`
	Account Account        `json:"account"`
	Header  Header         `json:"header"`
	Auth    Authentication `json:"auth"`
	Access  Access         `json:"access"`
	Markup  Markup         `json:"markup"`
	Sender  Sender         `json:"sender"`
	Inbound Inbound        `json:"inbound"`
	// Rates are how much of something came of late, for each limit that is set.
	Rates []Rate `json:"rates,omitempty"`
	// Order is the reply that somebody has ordered for this message, whatever it
	// is like, to see what the sender does; empty if nobody has.
	Order ReplyID `json:"order,omitempty"`
	// OrderedAt is where it is given; empty is PhaseData.
	OrderedAt Phase `json:"orderedAt,omitempty"`
	// EarlierURLs are the handler URLs of this message that the provider has
	// already seen in another one.
	EarlierURLs []string `json:"earlierUrls,omitempty"`
	// Replays are the passing signatures of this message that the provider has
	// seen before, in mail to other accounts.
	Replays []Replay `json:"replays,omitempty"`
	// Dials are the options of undocumented behaviour; unset ones have their
	// default.
	Dials Dials `json:"dials,omitempty"`
}

// Channel is the way by which a message came to the provider.
type Channel string

// The channels.
const (
	ChannelSMTP Channel = "smtp" // By SMTP, from a peer.
	ChannelFile Channel = "file" // Handed in as a file, with a claimed peer and envelope.
	ChannelPOP  Channel = "pop"  // Fetched by the provider from another mailbox, by POP3.
)

// Arrival is how one message came, for one recipient.
type Arrival struct {
	Channel Channel    `json:"channel"`
	Peer    netip.Addr `json:"peer"`            // The client's address, as judged.
	Socket  netip.Addr `json:"socket,omitzero"` // The address of the connection, where it differs from Peer.
	HELO    string     `json:"helo"`            // The name given with EHLO or HELO (RFC 5321 4.1.1.1).
	TLS     string     `json:"tls,omitempty"`   // Protocol version such as "TLS1_3"; empty without TLS.
	Cipher  string     `json:"cipher,omitempty"`
	// MailFrom is the reverse-path without its brackets; empty is the null
	// reverse-path.
	MailFrom string `json:"mailFrom"`
	Rcpt     string `json:"rcpt"` // The forward-path that led to this account.
	// Beside is the domain of an earlier recipient of the transaction that is of
	// another provider; empty if there is none.
	Beside  string `json:"beside,omitempty"`
	Session string `json:"session,omitempty"`
	// Fetch is how the provider fetched it; set for ChannelPOP only. Peer,
	// HELO and MailFrom are then unknown: there was no SMTP peer.
	Fetch *Fetch `json:"fetch,omitempty"`
}

// Fetch is a fetch by POP3 in which the provider logged in with what the user
// gave it. That the login succeeded proves that the user has access.
type Fetch struct {
	Source string `json:"source"` // The address of the mailbox that was fetched from.
	Host   string `json:"host"`
	Port   int    `json:"port"`
	Login  string `json:"login"`         // The user name of the login, without its password.
	TLS    string `json:"tls,omitempty"` // As in Arrival.
	UID    string `json:"uid"`           // The message's unique id there (RFC 1939 section 7).
}

// Address is one mailbox of an address field (RFC 5322 3.4).
type Address struct {
	Name string `json:"name,omitempty"` // Display name, decoded.
	Addr string `json:"addr"`           // local@domain; the local part keeps its case.
	// Domain is the part after the last "@", in lower case and as A-label,
	// without a trailing dot.
	Domain string `json:"domain"`
	// Comment is what the comments beside and within the address say, decoded,
	// with a space between them. Only From's are kept.
	Comment string `json:"comment,omitempty"`
}

// Header is what a message's header says. These are claims, not facts.
type Header struct {
	From       []Address `json:"from"`       // Every address of every From field.
	FromFields int       `json:"fromFields"` // How many From fields there are.
	To         []Address `json:"to,omitempty"`
	Cc         []Address `json:"cc,omitempty"`
	Subject    string    `json:"subject,omitempty"` // Decoded (RFC 2047).
	MessageID  string    `json:"messageId,omitempty"`
	Date       string    `json:"date,omitempty"`
	// Reply says that In-Reply-To or References names an earlier message.
	Reply bool `json:"reply,omitempty"`
	// Attachments is how many parts there are besides the text. They are only
	// counted where there can be more than the limit of gmail-inbound.md 1.5.
	Attachments int `json:"attachments,omitempty"`
	Received    int `json:"received"` // How many Received fields: the hop count.
	Fields      int `json:"fields"`
	HeaderSize  int `json:"headerSize"` // Octets of the header, without the empty line.
	Size        int `json:"size"`       // Octets of the whole message.
	// LongestValue and LongestName are the octets of the longest field value
	// (of Cc, To and References only the others count: gmail-inbound.md 1.5)
	// and of the longest field name.
	LongestValue int       `json:"longestValue"`
	LongestName  int       `json:"longestName"`
	Sender       []Address `json:"sender,omitempty"` // Of all Sender fields.
	// Authored says how often each field stands that an author writes and a
	// reader or a parser goes by. What does not stand is not in it.
	Authored []FieldCount `json:"authored,omitempty"`
	// Problems are deviations from RFC 5322 and MIME met while reading.
	Problems []Problem `json:"problems,omitempty"`
}

// AuthResult is a result keyword of RFC 8601 section 2.7.
type AuthResult string

// The results. Not every method uses all of them.
const (
	AuthNone      AuthResult = "none"
	AuthPass      AuthResult = "pass"
	AuthFail      AuthResult = "fail"
	AuthSoftFail  AuthResult = "softfail"
	AuthNeutral   AuthResult = "neutral"
	AuthPolicy    AuthResult = "policy"
	AuthTempError AuthResult = "temperror"
	AuthPermError AuthResult = "permerror"
)

// Authentication is what SPF, DKIM, DMARC and reverse DNS say of a message.
type Authentication struct {
	SPF        SPF        `json:"spf"`
	DKIM       []DKIM     `json:"dkim"` // One per signature, in header order.
	DMARC      DMARC      `json:"dmarc"`
	ReverseDNS ReverseDNS `json:"reverseDns"`
	// ARC is evidence of the weakest kind: anybody may seal what he likes.
	ARC ARC `json:"arc"`
}

// Aligned says whether a domain belongs to the author's, which is that of
// DMARC: they have the same organisational domain or, where the author's has
// none, as a public suffix or a name of one label has none, they are the same.
func (a Authentication) Aligned(domain, orgDomain string) bool {
	switch {
	case domain == "" || a.DMARC.Domain == "":
		return false
	case a.DMARC.OrgDomain == "":
		return domain == a.DMARC.Domain
	}
	return orgDomain == a.DMARC.OrgDomain
}

// SPF is the result of RFC 7208 for the envelope.
type SPF struct {
	Result   AuthResult `json:"result"`
	Identity string     `json:"identity"` // "mailfrom", or "helo" for a null reverse-path.
	Domain   string     `json:"domain"`   // The domain that was checked.
	// OrgDomain is the organisational domain of Domain, empty if it has none.
	OrgDomain string `json:"orgDomain,omitempty"`
	Mechanism string `json:"mechanism,omitempty"` // What matched, such as "ip4:192.0.2.0/24"; empty if nothing did.
	Record    string `json:"record,omitempty"`    // The record of Domain, as published.
	Problem   string `json:"problem,omitempty"`   // Why it is temperror or permerror.
	// Explanation is what the domain says of a fail (exp=, RFC 7208 6.2):
	// printable US-ASCII of a stranger's.
	Explanation string `json:"explanation,omitempty"`
}

// DKIM is the result of RFC 6376 for one signature.
type DKIM struct {
	Result AuthResult `json:"result"`
	// Reason is a stable code for a result other than pass, such as
	// "body-hash", "signature", "no-key", "key-revoked", "key-weak",
	// "expired", "dns".
	Reason    Reason `json:"reason,omitempty"`
	Problem   string `json:"problem,omitempty"`   // The same for people.
	Domain    string `json:"domain"`              // d=, the SDID.
	OrgDomain string `json:"orgDomain,omitempty"` // The organisational domain of Domain.
	AUID      string `json:"auid,omitempty"`      // i=
	Selector  string `json:"selector,omitempty"`  // s=
	Algorithm string `json:"algorithm,omitempty"` // a=
	KeyBits   int    `json:"keyBits,omitempty"`
	// Headers are the names in h=, in lower case, in their order.
	Headers []string `json:"headers,omitempty"`
	// Signature is the first eight characters of b=, as Authentication-Results
	// shows it.
	Signature string `json:"signature,omitempty"`
	// Uncovered is how many octets of the body l= leaves unsigned.
	Uncovered int `json:"uncovered,omitempty"`
	// BodyUnsigned says that l= is zero: nothing of any body is signed.
	BodyUnsigned bool `json:"bodyUnsigned,omitempty"`
	// Fingerprint tells the signature from every other one: it is of the octets
	// of b=, which white space and order of tags do not change.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Change says what was done to the message after it was signed, where the
	// signature fails because of that and it can be told; empty otherwise.
	Change  Change `json:"change,omitempty"`
	Testing bool   `json:"testing,omitempty"` // The key carries t=y.
	Strict  bool   `json:"strict,omitempty"`  // The key carries t=s: i= must not be below d=.
	// SignedAt and ExpiresAt are t= and x=; zero if absent.
	SignedAt  time.Time `json:"signedAt,omitzero"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"`
}

// Change is what was done to a message after it was signed.
type Change string

// The changes. The first three are proven: the signature verifies when the
// change is undone.
const (
	ChangeFooter    Change = "footer"    // Text was added at the end of the body.
	ChangeSubject   Change = "subject"   // A tag was put before the subject.
	ChangeReencoded Change = "reencoded" // The transfer encoding of a part was changed.
	ChangeBody      Change = "body"      // The body is another one, in some other way.
	ChangeHeader    Change = "header"    // A signed field is another one, or the key is.
)

// ARC is the result of validating the Authenticated Received Chain
// (RFC 8617 5.2).
type ARC struct {
	// Result is none (no chain), pass or fail.
	Result AuthResult `json:"result"`
	// Reason is a stable code for fail.
	Reason  Reason `json:"reason,omitempty"`
	Problem string `json:"problem,omitempty"` // The same for people.
	// Sets are the chain's sets that could be read, by instance.
	Sets []ARCSet `json:"sets,omitempty"`
	// OldestPass is the lowest instance from which on every message signature
	// validates (RFC 8617 5.2 step 5); zero if all do, or unless the chain passes.
	OldestPass int `json:"oldestPass,omitempty"`
}

// ARCSet is one set of a chain (RFC 8617 4.2).
type ARCSet struct {
	Instance int    `json:"instance"`           // i=
	Domain   string `json:"domain"`             // d= of the seal: who says so.
	Selector string `json:"selector,omitempty"` // s= of the seal.
	CV       string `json:"cv"`                 // cv= of the seal: what he found before him.
	// Results is the ARC-Authentication-Results field without its instance,
	// unfolded.
	Results string `json:"results,omitempty"`
}

// DMARC is the result of evaluating the author domain's policy.
type DMARC struct {
	// Result is none, pass, fail, temperror or permerror (RFC 9989 section 9).
	Result AuthResult `json:"result"`
	Domain string     `json:"domain"` // The author domain: that of From.
	// OrgDomain is the author's organisational domain, by the discovery that
	// Discovery names.
	OrgDomain string `json:"orgDomain,omitempty"`
	Discovery string `json:"discovery"` // "treewalk" (RFC 9989 4.10) or "psl" (RFC 7489 3.2).
	// Standard is the edition by which it was evaluated: "rfc9989" or "rfc7489".
	Standard string `json:"standard"`
	// PolicyDomain is where the record was found; empty without one.
	PolicyDomain string `json:"policyDomain,omitempty"`
	Record       string `json:"record,omitempty"`
	// Policy is the policy that applies to Domain: p, sp or np; "none",
	// "quarantine", "reject", or empty without a record.
	Policy string `json:"policy,omitempty"`
	// Applied is the tag that Policy comes from, before t=y: "p", "sp" or "np".
	// It is empty without a policy, and where none is what a broken record is
	// treated as.
	Applied         string `json:"applied,omitempty"`
	Published       string `json:"published,omitempty"`       // p=
	SubdomainPolicy string `json:"subdomainPolicy,omitempty"` // sp= or, in default, p=.
	Testing         bool   `json:"testing,omitempty"`         // t=y
	Percent         string `json:"percent,omitempty"`         // pct=, by RFC 7489 alone; no message is left out because of it.
	StrictDKIM      bool   `json:"strictDkim,omitempty"`      // adkim=s
	StrictSPF       bool   `json:"strictSpf,omitempty"`       // aspf=s
	SPFAligned      bool   `json:"spfAligned"`                // SPF passed, aligned in the record's mode.
	DKIMAligned     bool   `json:"dkimAligned"`               // Some signature passed, aligned likewise.
	// Problem is what is wrong with the record, or with one on the way to it
	// that does not count, or why DMARC could not be evaluated.
	Problem string `json:"problem,omitempty"`
	// ProblemDomain is whose record Problem is about, and BadTag the tag of it in
	// lower case; empty if it is about none.
	ProblemDomain string `json:"problemDomain,omitempty"`
	BadTag        string `json:"badTag,omitempty"`
}

// ReverseDNS is the result of looking the peer's address up and its name back
// (RFC 8601 2.7.3, "iprev").
type ReverseDNS struct {
	// Result is pass, fail (no name leads back), none (no name) or temperror.
	Result  AuthResult `json:"result"`
	Names   []string   `json:"names,omitempty"` // All names of the address, without trailing dot.
	Name    string     `json:"name,omitempty"`  // The one that leads back.
	Problem string     `json:"problem,omitempty"`
}

// Pattern is how a message got here, or who acts.
type Pattern string

// The access patterns (gmail-actions.md section 9, gmail-inbound.md section 4).
const (
	PatternDirect        Pattern = "direct"         // From the sender's own systems to the account.
	PatternSelf          Pattern = "self"           // From the account to itself.
	PatternManualForward Pattern = "manual-forward" // Somebody sends it who has another mail inside, forwarded by hand.
	PatternAutoForward   Pattern = "auto-forward"   // To another address, and passed on from there by a rule.
	PatternPOPFetch      Pattern = "pop-fetch"      // To another mailbox, and fetched from there by the provider.
	PatternMailingList   Pattern = "mailing-list"   // To a list, and passed on to its members.
	PatternAmbiguous     Pattern = "ambiguous"      // The evidence does not settle it.
)

// Confidence says how well a pattern is supported: by the rank of the best
// evidence for it.
type Confidence string

// The confidences, best first.
const (
	ConfidenceProven  Confidence = "proven"  // By what a receiver can verify.
	ConfidenceLikely  Confidence = "likely"  // By the absence of marks to the contrary.
	ConfidenceUnknown Confidence = "unknown" // By nothing that could be verified.
)

// Signal is one piece of evidence for or against a pattern.
type Signal struct {
	Name  string  `json:"name"`
	Rank  int     `json:"rank"` // 1 is strongest: see policy/pattern.
	Value string  `json:"value,omitempty"`
	For   Pattern `json:"for,omitempty"` // The pattern it speaks for.
}

// Access is the access pattern of an arrival, with its evidence.
type Access struct {
	Pattern    Pattern    `json:"pattern"`
	Confidence Confidence `json:"confidence"`
	Signals    []Signal   `json:"signals,omitempty"`
	// Contradictions are signals that speak against Pattern and were
	// overruled by better ones.
	Contradictions []Signal `json:"contradictions,omitempty"`
	// Settle says which fact would settle an ambiguous pattern.
	Settle string `json:"settle,omitempty"`
	// Unmarked says that the message looks forwarded by hand, and that nothing
	// shows where in it the forwarded mail begins.
	Unmarked bool `json:"unmarked,omitempty"`
	// Forward is what is known of an automatic forward; nil for other patterns.
	Forward *Forward `json:"forward,omitempty"`
}

// ForwardStyle is how a forwarder treats the envelope.
type ForwardStyle string

// The styles (gmail-inbound.md 4.a).
const (
	ForwardCAF    ForwardStyle = "caf"    // Gmail's own: user+caf_=target=domain@forwarder.
	ForwardSRS    ForwardStyle = "srs"    // Sender Rewriting Scheme.
	ForwardPlain  ForwardStyle = "plain"  // The sender's own envelope, unchanged.
	ForwardResent ForwardStyle = "resent" // Resent-* fields, as a redirecting client writes them.
	ForwardOther  ForwardStyle = "other"  // Some other envelope of the forwarder.
)

// Forward is what is known of an automatic forward.
type Forward struct {
	Style ForwardStyle `json:"style"`
	// By is the forwarder's domain, where that is proven; empty otherwise.
	By string `json:"by,omitempty"`
	// Original is the address that the mail was first sent to, where that is
	// proven or signed; empty otherwise.
	Original string `json:"original,omitempty"`
	// Claimed are the addresses that header fields name as the original one,
	// without repetition. They are claims, and decide nothing.
	Claimed []string `json:"claimed,omitempty"`
	// SendAs is the account's verified address that the forward is from; empty
	// if it is from none, or that is not proven.
	SendAs string `json:"sendAs,omitempty"`
}
