package markup

import "github.com/doppelbox/doppelbox/policy"

// Codes of the problems of markup.
const (
	HTMLTooLarge      policy.Reason = "html-too-large"      // A part that is not searched.
	HTMLTooDeep       policy.Reason = "html-too-deep"       // HTML nested so deep that its Microdata is not read.
	JSONSyntax        policy.Reason = "json-syntax"         // A JSON-LD block that is not JSON (RFC 8259).
	JSONLenient       policy.Reason = "json-lenient"        // A JSON-LD block that is not JSON and is read all the same.
	JSONDuplicateKey  policy.Reason = "json-duplicate-key"  // A name stands twice in an object (RFC 8259 section 4).
	JSONTooDeep       policy.Reason = "json-too-deep"       // A JSON-LD block nested beyond the limit.
	JSONTooLarge      policy.Reason = "json-too-large"      // A JSON-LD block longer than the limit.
	JSONNoObject      policy.Reason = "json-no-object"      // A JSON-LD block that holds something else than objects.
	ContextMissing    policy.Reason = "context-missing"     // An object without @context.
	ContextUnknown    policy.Reason = "context-unknown"     // A vocabulary that is not schema.org.
	ContextTooLarge   policy.Reason = "context-too-large"   // More prefixes than the limit.
	TooManyTypes      policy.Reason = "types-too-many"      // An item of more types than the limit.
	InTemplate        policy.Reason = "markup-in-template"  // Markup in a template element, whose content is no part of the document.
	MicrodataCycle    policy.Reason = "microdata-cycle"     // An item that contains itself by itemref.
	MicrodataTooDeep  policy.Reason = "microdata-too-deep"  // Items nested beyond the limit.
	MicrodataTooLarge policy.Reason = "microdata-too-large" // Microdata that takes too much work to read.
	MicrodataRef      policy.Reason = "microdata-ref"       // An itemref to an id that does not exist.
	MicrodataContent  policy.Reason = "microdata-content"   // A content attribute that is not that of a meta element.
	MicrodataOrphan   policy.Reason = "microdata-orphan"    // An action or handler that belongs to no item.
	ActionType        policy.Reason = "action-type"         // Something under potentialAction that is no action.
	ActionMisplaced   policy.Reason = "action-misplaced"    // An action under a property that makes no button.
	HandlerType       policy.Reason = "handler-type"        // Something under handler that is no HttpActionHandler.
	HandlerMisplaced  policy.Reason = "handler-misplaced"   // An HttpActionHandler under another property.
	URLRepeated       policy.Reason = "url-repeated"        // Several URLs in one handler.
	PropertyRepeated  policy.Reason = "property-repeated"   // Several values of a property that has one.
	PropertyUnknown   policy.Reason = "property-unknown"    // A name that looks like a mistake for another.
	MethodUnknown     policy.Reason = "method-unknown"      // A method that is neither GET nor POST.
	TimeNoZone        policy.Reason = "time-without-zone"   // A time without offset, read as UTC.
	TimeUnreadable    policy.Reason = "time-unreadable"     // A time that is not ISO 8601.
	TooManyActions    policy.Reason = "actions-too-many"    // More actions than the limit.
	TooManyTargets    policy.Reason = "targets-too-many"    // More targets or handlers of one action than the limit.
	TooManyEnclosed   policy.Reason = "enclosed-too-many"   // More attached mails, or nested deeper, than the limit.
	Repeated          policy.Reason = "action-repeated"     // The same action in another syntax or part. Advice.
	UnsubscribeSyntax policy.Reason = "unsubscribe-syntax"  // A List-Unsubscribe that deviates from RFC 2369 section 2.
)
