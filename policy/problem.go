package policy

import "fmt"

// Codes of the problems that a decision rests on, and of the last entry of a
// cut list. Other codes are for people; the packages that find them have them.
const (
	ProblemNoHeader       Reason = "no-header"          // There is no header field at all (RFC 5322 2.1).
	ProblemNUL            Reason = "nul"                // A NUL octet (RFC 5322 2.3, 4).
	ProblemNoFrom         Reason = "no-from"            // There is no From field (RFC 5322 3.6).
	ProblemFromSeveral    Reason = "from-several"       // There are several From fields (RFC 5322 3.6).
	ProblemFromUnreadable Reason = "from-unreadable"    // From has no address, or something in it is none.
	ProblemDuplicateField Reason = "duplicate-field"    // A field that may stand once stands again (RFC 5322 3.6).
	ProblemFromDomain     Reason = "from-domain"        // The domain of From is none of RFC 5321 4.1.2, or no valid IDN.
	ProblemFromGroup      Reason = "from-group"         // From is a group (RFC 5322 3.4, which RFC 6854 permits and advises against).
	ProblemFromObsolete   Reason = "from-obsolete"      // A source route, or white space or a comment within the address of From (RFC 5322 4.4).
	ProblemAddressSyntax  Reason = "address-syntax"     // An address field deviates from RFC 5322 3.4 and 4.4.
	ProblemEncodedAddress Reason = "encoded-address"    // An encoded word stands where none may (RFC 2047 section 5).
	ProblemUnicodeField   Reason = "unicode-field"      // A field of ASCII alone has other characters (RFC 6532 3.2 leaves it so).
	ProblemSpaceBefore    Reason = "space-before-colon" // White space before the colon (RFC 5322 4.5).
	ProblemBareLF         Reason = "bare-lf"            // A line ends in LF alone (RFC 5322 2.2, 2.3).
	ProblemBareCR         Reason = "bare-cr"            // A CR that no LF follows (RFC 5322 2.3).
	ProblemHeaderLine     Reason = "header-line"        // A header line that is no field (RFC 5322 2.2).
	ProblemMboxLine       Reason = "mbox-line"          // A "From " line of an mbox file stands in the header.
	ProblemBlankFold      Reason = "blank-fold"         // A folded line of white space alone (RFC 5322 3.2.2).
	ProblemNotProcessed   Reason = "not-processed"      // A fault of ours in reading the message, which is kept all the same.
	ProblemMore           Reason = "more-problems"      // Problems were left out: repetitions of codes that are listed.
)

// MaxProblems bounds a list of [Problems], but for what is said there. No reader
// wants more, and a hostile message can have one every two octets.
const MaxProblems = 100

// Problems collects problems in the order in which they are added. Beyond
// [MaxProblems] only the first of each code is kept: decisions rest on which
// codes there are, so no number of other problems may hide one. Codes must be
// constants, which bounds the list. The zero value is empty.
type Problems struct {
	list []Problem
	seen map[Reason]bool
	more bool // Some were left out.
}

// Takes reports whether Add would keep a problem of that code. If not, it is
// noted that problems were left out. It saves finding a place for nothing.
func (p *Problems) Takes(code Reason) bool {
	if len(p.list) < MaxProblems || !p.seen[code] {
		return true
	}
	p.more = true
	return false
}

// Add adds a problem, its text formatted as by [fmt.Sprintf].
func (p *Problems) Add(place Place, code Reason, format string, args ...any) {
	if p.Takes(code) {
		p.keep(Problem{Code: code, Text: fmt.Sprintf(format, args...), Place: place})
	}
}

// AddIn is Add for a problem of one header field.
func (p *Problems) AddIn(field string, place Place, code Reason, format string, args ...any) {
	if p.Takes(code) {
		p.keep(Problem{Code: code, Text: fmt.Sprintf(format, args...), Field: field, Place: place})
	}
}

// Join adds all problems of a list.
func (p *Problems) Join(list []Problem) {
	for _, x := range list {
		switch {
		case x.Code == ProblemMore:
			p.more = true
		case p.Takes(x.Code):
			p.keep(x)
		}
	}
}

func (p *Problems) keep(x Problem) {
	if p.seen == nil {
		p.seen = map[Reason]bool{}
	}
	p.seen[x.Code] = true
	p.list = append(p.list, x)
}

// List returns what was collected, nil if nothing was. If problems were left
// out, the last entry is of the code [ProblemMore] and says so.
func (p *Problems) List() []Problem {
	if p.more {
		return append(p.list[:len(p.list):len(p.list)], Problem{Code: ProblemMore, Text: "there are more problems of the kinds listed here"})
	}
	return p.list
}
