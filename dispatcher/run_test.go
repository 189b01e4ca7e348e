package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// hosts are services of several hosts within the process, whose answers take
// the time that the host's name states.
type hosts struct {
	*bench
	mu          sync.Mutex
	now, most   map[string]int // Requests under way at a host, and the most there ever were.
	all, mostOf int            // The same of all hosts.
	begun       []string       // Paths, in the order of arrival.
}

func newHosts(t *testing.T, o Options, names map[string]time.Duration) *hosts {
	t.Helper()
	h := &hosts{bench: newBench(t, o), now: map[string]int{}, most: map[string]int{}}
	for name, takes := range names {
		config := h.authority.server(t, name, h.authority.cert.NotAfter)
		err := h.guard.RouteConn(name, func(context.Context) (net.Conn, error) {
			client, server := net.Pipe()
			h.wg.Go(func() {
				defer server.Close()
				h.serveOne(t, name, takes, serverOf(server, config))
			})
			return client, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(h.wg.Wait)
	return h
}

func (h *hosts) serveOne(t *testing.T, name string, takes time.Duration, conn net.Conn) {
	path, err := readPath(conn)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	h.mu.Lock()
	h.begun = append(h.begun, path)
	h.now[name]++
	h.all++
	h.most[name], h.mostOf = max(h.most[name], h.now[name]), max(h.mostOf, h.all)
	h.mu.Unlock()
	time.Sleep(takes) // In a bubble, where it takes no time.
	h.mu.Lock()
	h.now[name]--
	h.all--
	h.mu.Unlock()
	status := "200 OK"
	if strings.Contains(path, "408") {
		status = "408 Again"
	}
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n", status)
}

func (h *hosts) ask(t *testing.T, name, path, queue string) string {
	t.Helper()
	r := approve()
	r.ID, r.URL, r.Queue = path, "https://"+name+"/"+path, queue
	return h.submit(t, r)
}

// ended lists the requests in the order in which they ended, and the seconds
// that had passed then.
func (h *hosts) ended(since time.Time) []string {
	var list []string
	for _, r := range h.results {
		list = append(list, fmt.Sprintf("%s %.0f", r.RequestID, r.At.Sub(since).Seconds()))
	}
	return list
}

// TestSlowHost has ten requests to a slow host and one to another: the slow one
// gets its places and no more, and its requests their order.
func TestSlowHost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHosts(t, Options{Now: time.Now, PerHost: 2}, map[string]time.Duration{"slow.example": 10 * time.Second, "fast.example": time.Second})
		begin := time.Now()
		for i := range 5 {
			h.ask(t, "slow.example", fmt.Sprintf("slow%d", i), "")
		}
		for i := range 3 {
			h.ask(t, "fast.example", fmt.Sprintf("fast%d", i), "")
		}
		if err := h.RunDue(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := h.ended(begin)
		slices.Sort(got)
		want := []string{"fast0 1", "fast1 1", "fast2 2", "slow0 10", "slow1 10", "slow2 20", "slow3 20", "slow4 30"}
		if !slices.Equal(got, want) {
			t.Errorf("ended %q, want %q", got, want)
		}
		if h.most["slow.example"] != 2 || h.most["fast.example"] != 2 {
			t.Errorf("the most under way were %v", h.most)
		}
	})
}

// TestConcurrency bounds what is under way in all; within a queue there is one
// at a time.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		names := map[string]time.Duration{}
		for i := range 6 {
			names[fmt.Sprintf("h%d.example", i)] = time.Second
		}
		h := newHosts(t, Options{Now: time.Now, Concurrency: 4}, names)
		begin := time.Now()
		for i := range 6 {
			h.ask(t, fmt.Sprintf("h%d.example", i), fmt.Sprintf("a%d", i), "")
		}
		for i := range 3 {
			h.ask(t, "h0.example", fmt.Sprintf("q%d", i), "queue")
		}
		if err := h.RunDue(t.Context()); err != nil {
			t.Fatal(err)
		}
		if h.mostOf != 4 || len(h.results) != 9 {
			t.Errorf("at most %d were under way, %d have ended", h.mostOf, len(h.results))
		}
		var queue []string
		for _, text := range h.ended(begin) {
			if text[0] == 'q' {
				queue = append(queue, text)
			}
		}
		if want := []string{"q0 2", "q1 3", "q2 4"}; !slices.Equal(queue, want) {
			t.Errorf("of the queue ended %q, want %q", queue, want)
		}
	})
}

// TestAwait waits for one request while others are slow, have no place, or wait
// for a retry.
func TestAwait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHosts(t, Options{Sequential: true, PerHost: 1, Retry: Retry{Schedule: []time.Duration{time.Minute}}},
			map[string]time.Duration{"slow.example": 10 * time.Second, "fast.example": time.Second})
		begin := time.Now()
		took := func(id string, want time.Duration) {
			t.Helper()
			if err := h.Await(t.Context(), id); err != nil {
				t.Error(err)
			}
			if got := time.Since(begin); got != want {
				t.Errorf("%s was waited for until %s, want %s", id, got, want)
			}
		}
		h.ask(t, "slow.example", "slow0", "")
		var others sync.WaitGroup
		others.Go(func() { _ = h.RunDue(t.Context()) })
		synctest.Wait()
		took(h.ask(t, "fast.example", "fast0", ""), time.Second)
		took("never there", time.Second)
		took(h.ask(t, "slow.example", "slow1", ""), 20*time.Second) // Its host's place is taken.
		others.Wait()

		took(h.ask(t, "fast.example", "408", "queue"), 21*time.Second)
		took(h.ask(t, "fast.example", "behind", "queue"), 21*time.Second) // The first has to be retried.
		if s, ok := h.State("behind"); !ok || s.Attempts != 0 {
			t.Errorf("what is behind stands %+v, %v", s, ok)
		}
		took("408", 21*time.Second)
		h.advance(time.Minute)
		took("behind", 23*time.Second)
		if h.Pending() != 0 {
			t.Errorf("%d are pending", h.Pending())
		}
	})
}

// TestAwaitInOrder has many wait for requests to one host: they get its places
// in the order of submission.
func TestAwaitInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHosts(t, Options{Now: time.Now, PerHost: 1}, map[string]time.Duration{"slow.example": time.Second})
		begin := time.Now()
		var all sync.WaitGroup
		h.ask(t, "slow.example", "first", "")
		all.Go(func() { _ = h.Await(t.Context(), "first") })
		synctest.Wait()
		want := []string{"first 1"}
		for i := range 20 {
			id := h.ask(t, "slow.example", fmt.Sprintf("r%d", i), "")
			all.Go(func() {
				if err := h.Await(t.Context(), id); err != nil {
					t.Error(err)
				}
			})
			want = append(want, fmt.Sprintf("%s %d", id, i+2))
		}
		all.Wait()
		if got := h.ended(begin); !slices.Equal(got, want) {
			t.Errorf("ended %q, want %q", got, want)
		}
	})
}

// TestAwaitCutOff ends the context of one who waits: only what it began is cut
// off, and made again.
func TestAwaitCutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHosts(t, Options{}, map[string]time.Duration{"slow.example": 10 * time.Second})
		h.ask(t, "slow.example", "kept", "")
		ended := make(chan error, 1)
		go func() { ended <- h.RunDue(t.Context()) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		h.ask(t, "slow.example", "cut", "")
		// RunDue may be the one that begins it; then it is not cut off.
		if err := h.Await(ctx, "cut"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Await: %v", err)
		}
		if err := <-ended; err != nil {
			t.Errorf("RunDue: %v", err)
		}
		if h.Pending() != 0 {
			t.Errorf("%d are pending", h.Pending())
		}
		for _, a := range h.attempts {
			if a.RequestID == "kept" && (a.Reason != "" || a.N != 1) {
				t.Errorf("another's attempt: %+v", a)
			}
		}
	})
}

// TestRunRests holds that Run looks at the clock when something is due and not
// all the time, also while a host's places are taken.
func TestRunRests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var looked atomic.Int32
		h := newHosts(t, Options{Now: func() time.Time { looked.Add(1); return time.Now() }, PerHost: 1, Concurrency: 2, Retry: Retry{Schedule: []time.Duration{time.Minute}}},
			map[string]time.Duration{"slow.example": 10 * time.Second, "fast.example": time.Second})
		for i := range 3 {
			h.ask(t, "slow.example", fmt.Sprintf("slow%d", i), "")
		}
		h.ask(t, "fast.example", "408", "")
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := h.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if len(h.results) != 4 || looked.Load() > 100 {
			t.Errorf("%d have ended; the clock was read %d times", len(h.results), looked.Load())
		}
	})
}

// TestQueueAtRandom submits much and holds the order within hosts and queues.
func TestQueueAtRandom(t *testing.T) {
	t.Parallel()
	q := newQueue(2, 5)
	now := time.Unix(0, 0)
	var under []*entry
	began := map[string]int{}
	next, ended := 0, 0
	for step := uint32(1); ended < 400; step = step*1664525 + 1013904223 {
		switch kind := step >> 16 % 3; {
		case kind == 0 && next < 400:
			next++
			e := &entry{seq: next, due: now, request: Request{ID: fmt.Sprint(next), URL: fmt.Sprintf("https://h%d.example/", next%7)}}
			if next%4 == 0 {
				e.request.Queue = fmt.Sprint(next % 12)
			}
			q.add(e)
		case kind == 1:
			if e := q.take(now); e != nil {
				under = append(under, e)
				if key := e.request.Queue; key != "" {
					if e.seq < began[key] {
						t.Fatalf("%d of queue %s comes after %d", e.seq, key, began[key])
					}
					began[key] = e.seq
				} else if key := e.lane.host; e.seq < began[key] {
					t.Fatalf("%d of %s comes after %d", e.seq, key, began[key])
				} else {
					began[key] = e.seq
				}
			}
		case len(under) > 0:
			i := int(step>>8) % len(under)
			q.leave(under[i])
			q.remove(under[i])
			under = slices.Delete(under, i, i+1)
			ended++
		}
		for _, l := range q.lanes {
			if l.busy > 2 || (l.place >= 0) != (len(l.ready) > 0 && l.busy < 2) {
				t.Fatalf("lane %+v", l)
			}
		}
		if len(under) > 5 || q.underWay != len(under) {
			t.Fatalf("%d are under way", len(under))
		}
	}
	if len(q.lines)+len(q.byID)+len(q.lanes)+len(q.open) != 0 {
		t.Errorf("the queue is not empty: %+v", q)
	}
}
