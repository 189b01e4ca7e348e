package popfetch

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
)

const (
	// maxListed is how many messages a mailbox may have: their listing is held
	// in memory, and has some 200 octets for each.
	maxListed = 100_000
	// maxUID is how long a unique id may be (RFC 1939 section 7).
	maxUID = 70
)

// listed is a message of the mailbox.
type listed struct {
	number int
	size   int64  // As LIST says.
	uid    string // Empty if the message has none that tells it apart.
}

// list asks what messages there are, and returns them by number.
func (f *fetch) list(offered capabilities) ([]listed, error) {
	sizes, err := f.listing("LIST")
	if err != nil {
		return nil, err
	}
	uids, err := f.listing("UIDL")
	_, announced := offered["UIDL"]
	if r := (*refusal)(nil); errors.As(err, &r) && !announced && !r.temporary() {
		// Only a server that never had unique ids may do without: else all
		// messages would be stored a second time, by their other ids.
		f.problems.Add(policy.Place{}, ProblemNoUIDL, "the server has no unique ids: %v", r)
		uids, err = nil, nil
	} else if err == nil && len(uids) != len(sizes) {
		err = f.fail("UIDL", fmt.Errorf("it lists %d messages, and LIST lists %d", len(uids), len(sizes)))
	}
	if err != nil {
		return nil, err
	}
	list := make([]listed, 0, len(sizes))
	for _, number := range slices.Sorted(maps.Keys(sizes)) {
		// More may follow the size (RFC 1939 section 5, LIST).
		text, _, _ := strings.Cut(sizes[number], " ")
		size, err := strconv.ParseInt(text, 10, 64)
		if err != nil || size < 0 {
			return nil, f.fail("LIST", fmt.Errorf("the size of message %d is %q", number, text))
		}
		uid, ok := uids[number]
		if !ok && uids != nil {
			return nil, f.fail("UIDL", fmt.Errorf("message %d of LIST is missing", number))
		}
		if ok && !wellFormed(uid) {
			f.problems.Add(policy.Place{}, ProblemUIDSyntax, "the unique id of message %d is %q", number, uid)
			uid = ""
		}
		list = append(list, listed{number, size, uid})
	}
	f.tell(list)
	return list, nil
}

// listing returns the lines of LIST or UIDL by the number they begin with.
func (f *fetch) listing(op string) (map[int]string, error) {
	err := f.command(op)
	list := map[int]string{}
	if err == nil {
		err = f.lines(maxListed, func(line string) error {
			word, rest, _ := strings.Cut(line, " ")
			number, err := strconv.Atoi(word)
			if err != nil || number < 1 {
				return fmt.Errorf("a line that does not begin with a message number: %.100q", line)
			}
			if _, ok := list[number]; ok {
				return fmt.Errorf("message %d twice", number)
			}
			// What is longer is no unique id and no size, and is not held.
			list[number] = strings.Clone(rest[:min(len(rest), maxUID+1)])
			return nil
		})
	}
	if err != nil {
		return nil, f.fail(op, err)
	}
	return list, nil
}

// tell empties the unique ids that do not tell a message apart. Of several
// messages with the same one, the first keeps it, so that it stays known when
// others come. They need not be copies of it.
func (f *fetch) tell(list []listed) {
	first := make(map[string]int, len(list))
	for i := range list {
		m := &list[i]
		if n, ok := first[m.uid]; ok && m.uid != "" {
			f.problems.Add(policy.Place{}, ProblemUIDDuplicate, "messages %d and %d have the same unique id %q", n, m.number, m.uid)
			m.uid = ""
		}
		first[m.uid] = m.number
	}
}

// wellFormed says whether a unique id is one to 70 octets from 0x21 to 0x7E.
func wellFormed(uid string) bool {
	return uid != "" && len(uid) <= maxUID && !strings.ContainsFunc(uid, func(r rune) bool { return r < 0x21 || r > 0x7e })
}
