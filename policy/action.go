package policy

import "time"

// Kind tells what pressing an action's button does.
type Kind string

// The kinds. It is the handler or target that tells them apart, never the
// type (gmail-actions.md 1.3, 1.5).
const (
	KindInApp   Kind = "in-app" // Has an HTTP handler: the provider makes a request.
	KindGoTo    Kind = "go-to"  // Has a target: the user's browser opens it.
	KindNothing Kind = "none"   // Has neither.
)

// Action is one schema.org action of a message.
type Action struct {
	Index  int    `json:"index"`  // Place among the message's actions, from 0.
	Syntax string `json:"syntax"` // "json-ld", "microdata".
	Type   string `json:"type"`   // Without vocabulary: "ConfirmAction".
	On     string `json:"on,omitempty"`
	// Name is the label of the button. It may be empty.
	Name string `json:"name,omitempty"`
	// Description is that of the item that carries the action.
	Description string    `json:"description,omitempty"`
	Kind        Kind      `json:"kind"`
	Handlers    []Handler `json:"handlers,omitempty"` // A usable action has at most one.
	Targets     []string  `json:"targets,omitempty"`  // Of url and target, in order, without repetition.
	// StartTime and EndTime bound the time in which the action is shown, as
	// written; empty if absent.
	StartTime string    `json:"startTime,omitempty"`
	EndTime   string    `json:"endTime,omitempty"`
	Start     time.Time `json:"start,omitzero"` // StartTime, zero if absent or unreadable.
	End       time.Time `json:"end,omitzero"`
	// Implied is the property that made the provider add this action, such as
	// "trackingUrl"; empty for one that the message states.
	Implied string `json:"implied,omitempty"`
	// Legacy are property names used that today's documentation does not
	// know, such as "action" or "actionHandler".
	Legacy []string `json:"legacy,omitempty"`
	// Enclosed says that the action is not of the message itself, but of a
	// mail inside it that its sender forwarded by hand.
	Enclosed Enclosure `json:"enclosed,omitempty"`
	Place    Place     `json:"place"`
	// Extent is how many octets of the decoded part have to be read for all of
	// the action: up to the end of its script or, in Microdata, to the beginning
	// of the last tag that says something of it.
	Extent int `json:"extent,omitempty"`
}

// Handler is an HttpActionHandler.
type Handler struct {
	Type string `json:"type"`
	URL  string `json:"url"` // As written, white space at the ends removed.
	// Method is "POST", "GET", or what was written; empty if not stated.
	Method   string `json:"method,omitempty"`
	Encoding string `json:"encoding,omitempty"`
	// Link says that URL is the address of a visible link (Microdata, an "a"
	// element).
	Link bool `json:"link,omitempty"`
}

// Place is where something stands in a message. Lines and columns count from
// 1 in the decoded text of the part; zero is unknown.
type Place struct {
	// Part is the MIME part as IMAP numbers it (RFC 9051 6.4.5): "1",
	// "1.2"; empty for the header.
	Part string `json:"part,omitempty"`
	Line int    `json:"line,omitempty"`
	Col  int    `json:"col,omitempty"`
}

// Problem is something that is wrong with a message, at a place. Problems are
// kept, never repaired silently.
type Problem struct {
	Code  Reason `json:"code"`
	Text  string `json:"text"`
	Field string `json:"field,omitempty"` // The name of the header field that it is about, as written.
	Place Place  `json:"place,omitzero"`
}

// Markup is what a message offers to its reader: actions, and one-click
// unsubscription.
type Markup struct {
	Actions []Action `json:"actions"`
	// Items are the top-level types found, such as "EmailMessage", in order.
	Items       []string    `json:"items,omitempty"`
	Problems    []Problem   `json:"problems,omitempty"`
	Unsubscribe Unsubscribe `json:"unsubscribe"`
	// Enclosed are the mails inside the message that somebody forwarded by
	// hand, in the order of the parts and of the text.
	Enclosed []Enclosed `json:"enclosed,omitempty"`
}

// Enclosure is how a forwarded mail stands inside another one.
type Enclosure string

// The enclosures (gmail-inbound.md 4.b).
const (
	EnclosedInline     Enclosure = "inline"     // In the text, below a line such as "Forwarded message".
	EnclosedAttachment Enclosure = "attachment" // As a part of type message/rfc822 or message/global.
)

// Enclosed is a mail that somebody forwarded by hand, as it stands in the
// message that he sent. All of it is what the message says, and no fact.
type Enclosed struct {
	How Enclosure `json:"how"`
	// Client is whose wording it is: "gmail", "apple-mail", "outlook",
	// "thunderbird"; empty if several word it so, and for an attachment.
	Client string `json:"client,omitempty"`
	// Language is the primary subtag of BCP 47 of the wording, "pt-br" beside
	// it; empty if several languages word it so, and for an attachment.
	Language string `json:"language,omitempty"`
	Mark     string `json:"mark"`              // The line, element or media type that gives it away.
	From     string `json:"from,omitempty"`    // The From line of the mail inside, as written.
	Subject  string `json:"subject,omitempty"` // Its Subject line, likewise.
	Place    Place  `json:"place"`
}

// Unsubscribe is what the header says of one-click unsubscription (RFC 8058).
type Unsubscribe struct {
	Fields     int      `json:"fields"`         // How many List-Unsubscribe fields there are.
	URIs       []string `json:"uris,omitempty"` // Those in angle brackets, in order.
	PostFields int      `json:"postFields"`     // How many List-Unsubscribe-Post fields there are.
	Post       string   `json:"post,omitempty"` // The value of List-Unsubscribe-Post, unfolded.
}
