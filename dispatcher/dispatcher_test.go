package dispatcher

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{
		{},
		{Now: time.Now, MaxBody: -1},
		{Now: time.Now, MaxPending: -1},
		{Now: time.Now, Retry: Retry{Schedule: []time.Duration{-1}}},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}

// TestRetry lives through a request at a service with the given statuses. A
// status of 0 closes the connection.
func TestRetry(t *testing.T) {
	t.Parallel()
	schedule := []time.Duration{time.Minute, 5 * time.Minute}
	tests := []struct {
		name     string
		retry    Retry
		statuses []string
		want     string // Outcomes and reasons of the attempts, then of the request.
	}{
		{"200", Retry{Schedule: schedule}, []string{"200"}, "succeeded/; succeeded/"},
		{"408, 200", Retry{Schedule: schedule}, []string{"408", "200"}, "retrying/status succeeded/; succeeded/"},
		{"408, 401", Retry{Schedule: schedule}, []string{"408", "401"}, "retrying/status failed/status; failed/status"},
		{"408 for ever", Retry{Schedule: schedule}, []string{"408"}, "retrying/status retrying/status failed/status; failed/retries-exhausted"},
		{"408, no schedule", Retry{}, []string{"408"}, "failed/status; failed/retries-exhausted"},
		{"400", Retry{Schedule: schedule}, []string{"400"}, "failed/status; failed/status"},
		{"201", Retry{Schedule: schedule}, []string{"201"}, "failed/status; failed/status"},
		{"204", Retry{Schedule: schedule}, []string{"204"}, "failed/status; failed/status"},
		{"302", Retry{Schedule: schedule}, []string{"302"}, "failed/status; failed/status"},
		{"500", Retry{Schedule: schedule}, []string{"500"}, "failed/status; failed/status"},
		{"429", Retry{Schedule: schedule}, []string{"429"}, "failed/status; failed/status"},
		{"reset", Retry{Schedule: schedule}, []string{"0"}, "failed/reset; failed/reset"},
		{"500, retried", Retry{Schedule: schedule, ServerErrors: true}, []string{"500", "503", "200"}, "retrying/status retrying/status succeeded/; succeeded/"},
		{"429, retried", Retry{Schedule: schedule, TooManyRequests: true}, []string{"429", "500"}, "retrying/status failed/status; failed/status"},
		{"409, retried", Retry{Schedule: schedule, Statuses: []int{403, 409}}, []string{"409", "410"}, "retrying/status failed/status; failed/status"},
		{"reset, retried", Retry{Schedule: schedule, NoAnswer: true}, []string{"0", "200"}, "retrying/reset succeeded/; succeeded/"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, Options{Retry: tt.retry})
			service := &answers{statuses: tt.statuses}
			b.serve(t, func(conn net.Conn) {
				service.mu.Lock()
				closes := service.statuses[0] == "0"
				if closes && len(service.statuses) > 1 {
					service.statuses = service.statuses[1:]
				}
				service.mu.Unlock()
				if closes {
					answer("")(conn)
					return
				}
				service.handle(conn)
			})
			start := b.clock()
			id := b.submit(t, approve())
			for {
				if err := b.RunDue(t.Context()); err != nil {
					t.Fatal(err)
				}
				due, ok := b.Due()
				if !ok {
					break
				}
				b.advance(due.Sub(b.clock()) - time.Nanosecond)
				if err := b.RunDue(t.Context()); err != nil {
					t.Fatal(err)
				}
				if again, _ := b.Due(); !again.Equal(due) {
					t.Fatalf("an attempt was made before it was due at %v", due)
				}
				b.advance(time.Nanosecond)
			}
			var got []string
			at := start
			for i, a := range b.attempts {
				got = append(got, string(a.Outcome)+"/"+string(a.Reason))
				if a.N != i+1 || a.RequestID != id || a.ID != id+"/"+string(rune('1'+i)) || !a.At.Equal(at) {
					t.Errorf("attempt %d at %v, want %v: %+v", i+1, a.At, at, a)
				}
				if a.Outcome == OutcomeRetrying {
					at = at.Add(schedule[i])
					if !a.Due.Equal(at) {
						t.Errorf("attempt %d: next due at %v, want %v", i+1, a.Due, at)
					}
				}
			}
			text := strings.Join(got, " ") + ";"
			for _, r := range b.results {
				text += " " + string(r.Outcome) + "/" + string(r.Reason)
				if r.Attempts != len(b.attempts) || r.RequestID != id || !r.At.Equal(at) {
					t.Errorf("result %+v", r)
				}
			}
			if text != tt.want {
				t.Errorf("got  %s\nwant %s", text, tt.want)
			}
			if _, ok := b.State(id); ok || b.Pending() != 0 {
				t.Error("a request that has ended is still known")
			}
		})
	}
}

func TestTokenPerAttempt(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{Retry: Retry{Schedule: []time.Duration{0, 0, 0}}})
	service := &answers{statuses: []string{"408", "408", "200"}}
	b.serve(t, service.handle)
	tokens := []string{"first", "second", ""}
	r := approve()
	r.Token = func(context.Context) (string, error) {
		token := tokens[0]
		tokens = tokens[1:]
		if token == "" {
			return "", errors.New("no key")
		}
		return token, nil
	}
	a := b.run(t, r)
	if want := []string{"/approveBearer first", "/approveBearer second"}; !slices.Equal(service.asked, want) {
		t.Errorf("the service was asked %q, want %q", service.asked, want)
	}
	if a.Reason != ReasonToken || a.Outcome != OutcomeFailed || a.Error != "making token: no key" || a.Sent != nil {
		t.Errorf("without token: %+v", a)
	}
}

// TestOrder has requests of two queues and of none: only the same queue waits
// for a retry.
func TestOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{Sequential: true, Retry: Retry{Schedule: []time.Duration{time.Minute}}})
	service := &answers{statuses: []string{"408", "200"}}
	b.serve(t, service.handle)
	for _, tt := range []struct{ path, queue string }{{"a1", "a"}, {"a2", "a"}, {"b1", "b"}, {"free", ""}, {"a3", "a"}, {"b2", "b"}} {
		r := approve()
		r.ID, r.URL, r.Queue = tt.path, "https://"+host+"/"+tt.path, tt.queue
		b.submit(t, r)
	}
	if err := b.RunDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := []string{"/a1", "/b1", "/free", "/b2"}; !slices.Equal(service.asked, want) {
		t.Errorf("asked %q, want %q", service.asked, want)
	}
	state, ok := b.State("a1")
	if want := (State{Attempts: 1, Due: b.clock().Add(time.Minute)}); !ok || state != want {
		t.Errorf("state of a1 is %+v, want %+v", state, want)
	}
	if state, ok := b.State("a3"); !ok || state.Attempts != 0 {
		t.Errorf("state of a3 is %+v", state)
	}
	b.advance(time.Minute)
	if err := b.RunDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := []string{"/a1", "/b1", "/free", "/b2", "/a1", "/a2", "/a3"}; !slices.Equal(service.asked, want) {
		t.Errorf("asked %q, want %q", service.asked, want)
	}
	if len(b.queue.lines)+len(b.queue.byID)+len(b.queue.lanes)+len(b.queue.open) != 0 {
		t.Errorf("the queue is not empty: %+v", b.queue)
	}
}

func TestSubmitLimits(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{MaxPending: 2})
	r := approve()
	r.ID = "x"
	b.submit(t, r)
	if _, err := b.Submit(r); !errors.Is(err, ErrDuplicateID) {
		t.Errorf("same id: %v", err)
	}
	b.submit(t, approve())
	if _, err := b.Submit(approve()); !errors.Is(err, ErrQueueFull) {
		t.Errorf("third request: %v", err)
	}
	if err := b.RunDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.submit(t, r)
}

// TestSubmitCopies changes a request after its submission.
func TestSubmitCopies(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	b.serve(t, answer("HTTP/1.1 200 OK\r\n\r\n"))
	r := withToken(approve())
	b.submit(t, r)
	r.Header[0].Value, r.Body[0] = "text/plain", 'X'
	if err := b.RunDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := string(b.attempts[0].Sent); got != approveWire {
		t.Errorf("sent %q", got)
	}
}

// TestCancelled stops the dispatcher in the middle of an attempt; the request
// is made again and loses no step of the schedule.
func TestCancelled(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	b.serveRaw(t, func(conn net.Conn) {
		cancel()
		_, _ = conn.Read(make([]byte, 1<<16)) // The handshake, which gets no answer.
		_, _ = conn.Read(make([]byte, 1))     // Until the client hangs up.
	})
	id := b.submit(t, approve())
	if err := b.RunDue(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("RunDue: %v", err)
	}
	if a := b.attempts[0]; a.Reason != ReasonCancelled || a.Outcome != OutcomeCutOff || !a.Due.Equal(b.clock()) {
		t.Errorf("attempt %+v", a)
	}
	if err := b.RunDue(ctx); !errors.Is(err, context.Canceled) || len(b.attempts) != 1 {
		t.Errorf("RunDue after the end: %v, %d attempts", err, len(b.attempts))
	}
	b.serve(t, answer("HTTP/1.1 200 OK\r\n\r\n"))
	if err := b.RunDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a := b.attempts[1]; a.Outcome != OutcomeSucceeded || a.ID != id+"/2" {
		t.Errorf("second attempt %+v", a)
	}
}

// TestCallbacksSubmit has a callback submit another request, and finds the
// first one pending while its record is handed over.
func TestCallbacksSubmit(t *testing.T) {
	t.Parallel()
	var d *Dispatcher
	var done []string
	d, err := New(Options{Now: time.Now, OnDone: func(r Result) {
		done = append(done, r.RequestID)
		if _, ok := d.State(r.RequestID); !ok {
			t.Errorf("%s is not pending while it is recorded", r.RequestID)
		}
		if len(done) < 3 {
			if _, err := d.Submit(approve()); err != nil {
				t.Error(err)
			}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Submit(approve()); err != nil {
		t.Fatal(err)
	}
	if err := d.RunDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := []string{"request-1", "request-2", "request-3"}; !slices.Equal(done, want) {
		t.Errorf("done %q, want %q", done, want)
	}
}

// TestRun has a clock that runs with the machine's: what is submitted is made
// at once, what is to be retried when it is due, and a clock that is moved is
// looked at after Wake.
func TestRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		moved := time.Duration(0)
		b := newBench(t, Options{Now: func() time.Time { return time.Now().Add(moved) }})
		service := &answers{statuses: []string{"408", "408", "200"}}
		b.serve(t, service.handle)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		synctest.Wait()
		begin := time.Now()
		r := approve()
		r.Retry = &Retry{Schedule: []time.Duration{time.Hour, 24 * time.Hour}}
		b.submit(t, r)
		synctest.Wait()
		time.Sleep(time.Hour)
		synctest.Wait()
		moved = 24 * time.Hour
		b.Wake()
		synctest.Wait()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
		var at []time.Duration
		for _, a := range b.attempts {
			at = append(at, a.At.Sub(begin))
		}
		if want := []time.Duration{0, time.Hour, 25 * time.Hour}; !slices.Equal(at, want) {
			t.Errorf("attempts at %v, want %v", at, want)
		}
	})
}

// TestRunDueConcurrently has two callers, who share the work.
func TestRunDueConcurrently(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	service := &answers{statuses: []string{"200"}}
	b.serve(t, service.handle)
	for range 6 {
		b.submit(t, approve())
	}
	ended := make(chan error, 2)
	for range 2 {
		go func() { ended <- b.RunDue(t.Context()) }()
	}
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if len(b.attempts) != 6 || b.Pending() != 0 {
		t.Errorf("%d attempts, %d pending", len(b.attempts), b.Pending())
	}
}

func TestLogHasNoSecrets(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	b := newBench(t, Options{Logger: slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	b.serve(t, answer("HTTP/1.1 200 OK\r\nX-Answer: secret\r\n\r\nsecret"))
	a := b.run(t, withToken(approve()))
	if a.Outcome != OutcomeSucceeded || !strings.Contains(out.String(), `"id":"request-1/1"`) {
		t.Errorf("%+v is logged as %s", a, out.String())
	}
	bad := withToken(approve())
	bad.URL += "#abc123"
	b.run(t, bad)
	for _, secret := range []string{"AbCdEf123456", "abc123", "confirmed", "secret"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("the log has %s: %s", secret, out.String())
		}
	}
}

func TestDefaultTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{})
		b.serveRaw(t, func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1<<16)); _, _ = conn.Read(make([]byte, 1)) })
		if a := b.run(t, approve()); a.Reason != ReasonTimeout || a.Took != DefaultTimeout {
			t.Errorf("%s after %v: %s", a.Reason, a.Took, a.Error)
		}
	})
}

// BenchmarkAttempt is one request over TLS within the process.
func BenchmarkAttempt(b *testing.B) {
	bench := newBench(b, Options{})
	bench.serve(b, answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
	for b.Loop() {
		if a := bench.run(b, approve()); a.Status != http.StatusOK {
			b.Fatalf("%+v", a)
		}
	}
}

// What counts as success is the request's matter: an unsubscription may be
// answered with any 2xx.
func TestSucceeds(t *testing.T) {
	t.Parallel()
	r := Request{Succeeds: func(status int) bool { return status/100 == 2 }}
	if !r.succeeds(204) || r.succeeds(302) {
		t.Error("Succeeds is not asked")
	}
	if r = (Request{}); !r.succeeds(200) || r.succeeds(204) {
		t.Error("without Succeeds, 200 alone is success")
	}
}
