package popfetch

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doppelbox/doppelbox/policy"
)

// bubbled runs a fetch from a scripted server in a synctest bubble.
func bubbled(t *testing.T, ctx context.Context, script string, sink Sink) (Result, error) {
	near, far := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer far.Close()
		play(t, far, script)
	}()
	defer func() { <-done }()
	return Fetch(ctx, pipeSource(), sink, Options{Timeout: 10 * time.Second, Dial: func(context.Context, string, string) (net.Conn, error) {
		return near, nil
	}})
}

// TestSilence: a server that says nothing is waited for as long as the timeout
// says, and no longer than the context lasts.
func TestSilence(t *testing.T) {
	t.Parallel()
	for want, script := range map[string]string{
		"greeting":  "(silence)",
		"CAPA":      "+OK\n> CAPA\n+OK\nUSER\n(silence)",
		"PASS":      "+OK\n> CAPA\n-ERR\n> USER bob\n+OK\n> PASS s3cret\n(silence)",
		"LIST":      in + "> LIST\n(silence)",
		"RETR 1":    two + "> RETR 1\n(silence)",
		"RETR 1.":   two + "> RETR 1\n+OK\nabc\n(silence)",
		"RETR 1...": two + "> RETR 1\n+OK\nabc{LF}\n(silence)",
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			want = strings.TrimRight(want, ".") + " of pop.acme.test:110: "
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				_, err := bubbled(t, context.Background(), script, &memSink{})
				if d := time.Since(start); d != 10*time.Second || !errors.Is(err, os.ErrDeadlineExceeded) || !strings.HasPrefix(err.Error(), want+"no answer within 10s") {
					t.Errorf("after %v: %v", d, err)
				}
			})
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
				defer cancel()
				_, err := bubbled(t, ctx, script, &memSink{})
				if d := time.Since(start); d != 3*time.Second || err == nil || err.Error() != want+"context deadline exceeded" {
					t.Errorf("after %v: %v", d, err)
				}
			})
		})
	}
}

// TestSlow: a server may drip a message, but not the first line of an answer.
func TestSlow(t *testing.T) {
	t.Parallel()
	drip := func(t *testing.T, said, dripped string) (Result, error) {
		near, far := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer far.Close()
			play(t, far, said)
			for _, b := range []byte(dripped) {
				time.Sleep(6 * time.Second)
				if _, err := far.Write([]byte{b}); err != nil {
					return
				}
			}
		}()
		defer func() { <-done }()
		return Fetch(context.Background(), pipeSource(), &memSink{}, Options{Timeout: 10 * time.Second, Dial: func(context.Context, string, string) (net.Conn, error) {
			return near, nil
		}})
	}
	synctest.Test(t, func(t *testing.T) {
		got, err := drip(t, two+"> RETR 1\n+OK", "abc\r\n.\r\n")
		if err == nil || got.Fetched != 1 { // The script ends there.
			t.Errorf("got %+v, %v", got, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		if _, err := drip(t, two+"> RETR 1", "+OK\r\n"); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

// TestCancelled: a context that ends while the sink stores ends the fetch, and
// what was stored counts.
func TestCancelled(t *testing.T) {
	t.Parallel()
	for _, fail := range []error{nil, errors.New("interrupted")} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			sink := &memSink{onStore: func(policy.Fetch, []byte) error { cancel(); return fail }}
			got, err := bubbled(t, ctx, two+"> RETR 1\n+OK\nabc\n.\n(silence)", sink)
			if !errors.Is(err, context.Canceled) || got.Fetched != len(sink.stored) || got.Deleted != 0 || len(got.Refused) != 0 {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	var s Schedule
	for i, tt := range []struct {
		found bool
		want  time.Duration
	}{
		{true, 2 * time.Minute}, {false, 3 * time.Minute}, {false, 4*time.Minute + 30*time.Second}, {true, 2*time.Minute + 15*time.Second}, {true, 2 * time.Minute},
	} {
		if got := s.Next(now, tt.found); got != now.Add(tt.want) {
			t.Errorf("step %d: got %v", i, got.Sub(now))
		}
	}
	for range 20 {
		s.Next(now, false)
	}
	if got := s.Next(now, false).Sub(now); got != Longest {
		t.Errorf("got %v", got)
	}
	if got := s.Next(now, true).Sub(now); got != Longest/2 {
		t.Errorf("got %v", got)
	}
	s = Schedule{Shortest: 10 * time.Minute, Longest: time.Minute}
	for _, found := range []bool{true, false, false} {
		if got := s.Next(now, found).Sub(now); got != 10*time.Minute {
			t.Errorf("bounds the wrong way round: %v", got)
		}
	}
}
