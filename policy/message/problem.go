package message

import "github.com/doppelbox/doppelbox/policy"

// Codes of the problems of a message's lines and header block. Those that
// decisions rest on have their words from package policy.
const (
	BareLF                      = policy.ProblemBareLF
	BareCR                      = policy.ProblemBareCR
	NUL                         = policy.ProblemNUL      // A NUL octet (RFC 5322 2.3, 4).
	LineTooLong   policy.Reason = "line-too-long"        // More than 998 octets (RFC 5322 2.1.1).
	NoHeader                    = policy.ProblemNoHeader // There is no header field at all.
	MboxLine                    = policy.ProblemMboxLine
	HeaderLine                  = policy.ProblemHeaderLine
	SpaceBefore                 = policy.ProblemSpaceBefore
	BlankFold                   = policy.ProblemBlankFold
	Header8Bit    policy.Reason = "8bit-header"     // Octets that are not UTF-8 (RFC 5322 2.2, RFC 6532 3.2).
	TooManyFields policy.Reason = "too-many-fields" // The header was not read to its end.
)

// Codes of the problems of header fields' content.
const (
	NoFrom                         = policy.ProblemNoFrom         // There is no From field (RFC 5322 3.6).
	FromSeveral                    = policy.ProblemFromSeveral    // There are several From fields (RFC 5322 3.6).
	FromUnreadable                 = policy.ProblemFromUnreadable // From has no address, or something in it is none.
	NoSender         policy.Reason = "no-sender"                  // Several authors and no Sender (RFC 5322 3.6.2).
	NoDate           policy.Reason = "no-date"                    // There is no Date field (RFC 5322 3.6).
	Duplicate                      = policy.ProblemDuplicateField // A field that may stand once stands again.
	AddressSyntax                  = policy.ProblemAddressSyntax
	FromDomain                     = policy.ProblemFromDomain
	FromGroup                      = policy.ProblemFromGroup
	FromObsolete                   = policy.ProblemFromObsolete
	EncodedAddress                 = policy.ProblemEncodedAddress
	UnicodeField                   = policy.ProblemUnicodeField
	TooManyAddresses policy.Reason = "addresses-too-many" // Address fields were not read to their end.
	EncodedWord      policy.Reason = "encoded-word"       // An encoded word cannot be decoded (RFC 2047).
)

// Codes of the problems of MIME parts.
const (
	ContentType      policy.Reason = "content-type"            // Content-Type or Content-Disposition is malformed (RFC 2045 5.1).
	BoundaryMissing  policy.Reason = "boundary-missing"        // A multipart without boundary (RFC 2046 5.1.1).
	NoParts          policy.Reason = "multipart-empty"         // A multipart in which its boundary does not occur.
	Unterminated     policy.Reason = "multipart-unterminated"  // A multipart without its last delimiter.
	MultipartEncoded policy.Reason = "multipart-encoded"       // A multipart with a transfer encoding (RFC 2045 6.4).
	UnknownEncoding  policy.Reason = "encoding-unknown"        // An unknown Content-Transfer-Encoding.
	Base64           policy.Reason = "base64-syntax"           // Broken base64 (RFC 2045 6.8).
	QuotedPrintable  policy.Reason = "quoted-printable-syntax" // Broken quoted-printable (RFC 2045 6.7).
	UnknownCharset   policy.Reason = "charset-unknown"         // A charset that cannot be converted.
	BrokenCharset    policy.Reason = "charset-mismatch"        // Octets that the charset does not have.
	TooDeep          policy.Reason = "parts-too-deep"          // Multiparts nested beyond the limit.
	TooManyParts     policy.Reason = "parts-too-many"          // More parts than the limit.
	TooLarge         policy.Reason = "parts-too-large"         // More decoded octets than the limit.
)

// MoreProblems is the code of the last entry of a list of problems that was
// cut ([policy.Problems]).
const MoreProblems = policy.ProblemMore

func atLine(n int) policy.Place { return policy.Place{Line: n} }

// maxQuote bounds what a problem quotes of the message, in octets.
const maxQuote = 60

// clip shortens what a problem quotes.
func clip[T string | []byte](s T) T { return s[:min(len(s), maxQuote)] }
