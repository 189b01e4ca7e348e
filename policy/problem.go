package policy

import "fmt"

// Codes of the problems that a decision rests on, and of the last entry of a
// cut list. Other codes are for people; the packages that find them have them.
const (
	ProblemNoHeader       Reason = "no-header"       // There is no header field at all (RFC 5322 2.1).
	ProblemNUL            Reason = "nul"             // A NUL octet (RFC 5322 2.3, 4).
	ProblemNoFrom         Reason = "no-from"         // There is no From field (RFC 5322 3.6).
	ProblemFromSeveral    Reason = "from-several"    // There are several From fields (RFC 5322 3.6).
	ProblemFromUnreadable Reason = "from-unreadable" // From has no address, or something in it is none.
	ProblemDuplicateField Reason = "duplicate-field" // A field that may stand once stands again (RFC 5322 3.6).
	ProblemNotProcessed   Reason = "not-processed"   // A fault of ours in reading the message, which is kept all the same.
	ProblemMore           Reason = "more-problems"   // Problems were left out: repetitions of codes that are listed.
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
