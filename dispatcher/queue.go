package dispatcher

import (
	"container/heap"
	"slices"
	"strconv"
	"time"
)

// entry is a request that has not ended.
type entry struct {
	request  Request
	retry    Retry
	seq      int       // Order of submission.
	due      time.Time // When its next attempt may begin.
	attempts int
	failures int // Attempts that used up a step of the schedule.
	running  bool
	awaited  int // Calls of Await that wait for it.
	lane     *lane
	place    int // In the lane's ready.
}

// queue holds the requests that have not ended. Those that may begin when they
// are due are in the lane of their host; the others wait behind an earlier one
// of their Queue. It is not safe for concurrent use.
type queue struct {
	perHost  int // How many may be under way in a lane,
	most     int // and in all.
	underWay int

	byID  map[string]*entry
	lines map[string]*line // By Request.Queue.
	lanes map[string]*lane // By host and port.
	open  laneHeap         // The lanes with something ready and a free place.
}

// line is the order among the requests of one Queue.
type line struct {
	first  *entry
	behind []*entry
}

// lane is what is to be requested of one host and port, so that a host that is
// slow takes nobody else's place.
type lane struct {
	host  string
	ready readyHeap
	busy  int
	all   int // Entries, those that wait behind others included.
	place int // In queue.open; negative outside.
}

func newQueue(perHost, most int) *queue {
	return &queue{perHost: perHost, most: most, byID: make(map[string]*entry), lines: make(map[string]*line), lanes: make(map[string]*lane)}
}

func (q *queue) add(e *entry) {
	q.byID[e.request.ID] = e
	host := laneOf(e.request.URL)
	if e.lane = q.lanes[host]; e.lane == nil {
		e.lane = &lane{host: host, place: -1}
		q.lanes[host] = e.lane
	}
	e.lane.all++
	if name := e.request.Queue; name != "" {
		if l := q.lines[name]; l != nil {
			l.behind = append(l.behind, e)
			return
		}
		q.lines[name] = &line{first: e}
	}
	q.putBack(e)
}

// laneOf names the host and port of a URL. What cannot be requested has a lane,
// too, for it is recorded as an attempt.
func laneOf(url string) string {
	t, err := parseTarget(url)
	if err != nil {
		return ""
	}
	return t.host + ":" + strconv.Itoa(int(t.port))
}

// take removes and returns the entry to be attempted next, nil if none is due
// or there is no place for one.
func (q *queue) take(now time.Time) *entry {
	if len(q.open) == 0 || q.underWay >= q.most || q.open[0].ready[0].due.After(now) {
		return nil
	}
	return q.takeThis(q.open[0].ready[0], now)
}

// takeThis removes and returns an entry that is in its lane, if it is due and
// there is a place for it.
func (q *queue) takeThis(e *entry, now time.Time) *entry {
	if q.underWay >= q.most || e.lane.busy >= q.perHost || e.due.After(now) {
		return nil
	}
	heap.Remove(&e.lane.ready, e.place)
	e.lane.busy++
	q.underWay++
	q.settle(e.lane)
	return e
}

// overtakes tells whether an entry would begin before an earlier one of its lane
// that somebody waits for, too.
func (q *queue) overtakes(e *entry) bool {
	return slices.ContainsFunc(e.lane.ready, func(o *entry) bool { return o.awaited > 0 && o.less(e) })
}

// settle puts a lane where it belongs, now that it has changed.
func (q *queue) settle(l *lane) {
	switch may := len(l.ready) > 0 && l.busy < q.perHost; {
	case may && l.place >= 0:
		heap.Fix(&q.open, l.place)
	case may:
		heap.Push(&q.open, l)
	case l.place >= 0:
		heap.Remove(&q.open, l.place)
	}
}

// leave frees the place of an entry that was taken.
func (q *queue) leave(e *entry) {
	e.lane.busy--
	q.underWay--
	q.settle(e.lane)
}

// putBack puts an entry into its lane, to be attempted when it is due.
func (q *queue) putBack(e *entry) {
	heap.Push(&e.lane.ready, e)
	q.settle(e.lane)
}

// remove forgets an entry that has left, and lets the next of its Queue begin.
func (q *queue) remove(e *entry) {
	delete(q.byID, e.request.ID)
	if l := q.lines[e.request.Queue]; l != nil && l.first == e {
		if len(l.behind) == 0 {
			delete(q.lines, e.request.Queue)
		} else {
			l.first, l.behind = l.behind[0], l.behind[1:]
			q.putBack(l.first)
		}
	}
	if e.lane.all--; e.lane.all == 0 {
		delete(q.lanes, e.lane.host)
	}
}

// before returns the entry that must be attempted before e may be, or e.
func (q *queue) before(e *entry) *entry {
	if l := q.lines[e.request.Queue]; l != nil {
		return l.first
	}
	return e
}

// due returns when the next attempt may begin; false if none is to be made.
func (q *queue) due() (at time.Time, ok bool) {
	for _, l := range q.lanes {
		if len(l.ready) > 0 && (!ok || l.ready[0].due.Before(at)) {
			at, ok = l.ready[0].due, true
		}
	}
	return at, ok
}

// alarm returns when an attempt begins if nothing happens before; false if none
// does.
func (q *queue) alarm() (time.Time, bool) {
	if len(q.open) == 0 || q.underWay >= q.most {
		return time.Time{}, false
	}
	return q.open[0].ready[0].due, true
}

// less orders by due time, then submission.
func (e *entry) less(other *entry) bool {
	if e.due.Equal(other.due) {
		return e.seq < other.seq
	}
	return e.due.Before(other.due)
}

// readyHeap orders the entries of a lane.
type readyHeap []*entry

func (h readyHeap) Len() int           { return len(h) }
func (h readyHeap) Less(i, j int) bool { return h[i].less(h[j]) }
func (h readyHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

func (h *readyHeap) Push(x any) {
	e := x.(*entry)
	e.place = len(*h)
	*h = append(*h, e)
}

func (h *readyHeap) Pop() any { return pop((*[]*entry)(h)) }

// laneHeap orders lanes, none of which is empty, by their first entries.
type laneHeap []*lane

func (h laneHeap) Len() int           { return len(h) }
func (h laneHeap) Less(i, j int) bool { return h[i].ready[0].less(h[j].ready[0]) }
func (h laneHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

func (h *laneHeap) Push(x any) {
	l := x.(*lane)
	l.place = len(*h)
	*h = append(*h, l)
}

func (h *laneHeap) Pop() any {
	l := pop((*[]*lane)(h))
	l.place = -1
	return l
}

// pop takes the last one off a list, and does not keep it alive.
func pop[T any](list *[]*T) *T {
	last := len(*list) - 1
	x := (*list)[last]
	(*list)[last] = nil
	*list = (*list)[:last]
	return x
}
