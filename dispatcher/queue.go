package dispatcher

import (
	"container/heap"
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
}

// queue holds the requests that have not ended. Those that may begin when they
// are due are in a heap; the others wait behind an earlier one of their Queue.
// It is not safe for concurrent use.
type queue struct {
	byID    map[string]*entry
	ready   readyHeap
	waiting map[string][]*entry // By Request.Queue; an empty list means that one is not behind another.
}

func newQueue() *queue {
	return &queue{byID: make(map[string]*entry), waiting: make(map[string][]*entry)}
}

func (q *queue) add(e *entry) {
	q.byID[e.request.ID] = e
	name := e.request.Queue
	if name == "" {
		heap.Push(&q.ready, e)
		return
	}
	behind, busy := q.waiting[name]
	if busy {
		q.waiting[name] = append(behind, e)
		return
	}
	q.waiting[name] = nil
	heap.Push(&q.ready, e)
}

// take removes and returns the entry to be attempted next, nil if none is due.
func (q *queue) take(now time.Time) *entry {
	if len(q.ready) == 0 || q.ready[0].due.After(now) {
		return nil
	}
	return heap.Pop(&q.ready).(*entry)
}

// putBack returns an entry that was taken, to be attempted again.
func (q *queue) putBack(e *entry) { heap.Push(&q.ready, e) }

// remove forgets an entry that was taken, and lets the next of its Queue begin.
func (q *queue) remove(e *entry) {
	delete(q.byID, e.request.ID)
	name := e.request.Queue
	if name == "" {
		return
	}
	behind := q.waiting[name]
	if len(behind) == 0 {
		delete(q.waiting, name)
		return
	}
	heap.Push(&q.ready, behind[0])
	q.waiting[name] = behind[1:]
}

// readyHeap orders by due time, then submission.
type readyHeap []*entry

func (h readyHeap) Len() int { return len(h) }

func (h readyHeap) Less(i, j int) bool {
	if h[i].due.Equal(h[j].due) {
		return h[i].seq < h[j].seq
	}
	return h[i].due.Before(h[j].due)
}

func (h readyHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

func (h *readyHeap) Push(x any) { *h = append(*h, x.(*entry)) }

func (h *readyHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil // Not to keep it alive.
	*h = (*h)[:last]
	return e
}
