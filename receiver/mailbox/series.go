package mailbox

import "sort"

// entry is a stored message with what belongs to it.
type entry struct {
	msg    Message
	urls   []string // Handler URLs, each once.
	clicks []*clickEntry
	size   int64
	gone   bool // Evicted, but perhaps still in a series.
}

type clickEntry struct {
	click    Click
	message  *entry
	attempts []Attempt
}

// series is a list of entries in the order of their Seq. They are added at the
// end and mostly leave at the front, so both cost constant time on average.
type series struct {
	list []*entry
	head int // Entries before it have left.
}

func (s *series) push(e *entry) { s.list = append(s.list, e) }

// trim lets the entries at the front leave that are gone. One in the middle
// that is gone stays until it comes to the front.
func (s *series) trim() {
	for s.head < len(s.list) && s.list[s.head].gone {
		s.list[s.head] = nil
		s.head++
	}
	if s.head > len(s.list)/2 {
		n := copy(s.list, s.list[s.head:])
		clear(s.list[n:])
		s.list, s.head = s.list[:n], 0
	}
}

func (s *series) empty() bool { return s.head == len(s.list) }

// oldest returns the first entry that is not gone and not keep, or nil.
func (s *series) oldest(keep *entry) *entry {
	for _, e := range s.list[s.head:] {
		if !e.gone && e != keep {
			return e
		}
	}
	return nil
}

// after returns the entries with a greater Seq; some may be gone.
func (s *series) after(seq int64) []*entry {
	live := s.list[s.head:]
	i := sort.Search(len(live), func(i int) bool { return live[i].msg.Seq > seq })
	return live[i:]
}
