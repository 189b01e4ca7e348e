package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A clock that runs does all that falls due on the way when it is moved: all
// retries of a service that never has time, and not only the next one.
func TestServeAdvance(t *testing.T) {
	t.Parallel()
	s := startServeFor(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusRequestTimeout) }, "clock 2026-01-15T09:00:00Z\n")
	defer s.steps(t, "click 0", "expect click.state == pending",
		"advance 24h", "expect request.0.attempts == 5", "expect request.0.state == failed", "expect request.0.reason == retries-exhausted", "expect clock contains 2026-01-16T09:")()
	for _, want := range []string{"retrying", "retrying", "retrying", "retrying", "failed"} {
		var attempt struct {
			Outcome   string    `json:"outcome"`
			At        time.Time `json:"at"`
			Due       time.Time `json:"due"`
			Exhausted bool      `json:"exhausted"`
		}
		s.next(t, "attempt", &attempt)
		if last := want == "failed"; attempt.Outcome != want || attempt.Exhausted != last || attempt.Due.After(attempt.At) == last {
			t.Errorf("an attempt is %+v, not %s", attempt, want)
		}
	}
}

// A clock that runs is not moved so far that it would come round to the past.
func TestServeAdvanceTooFar(t *testing.T) {
	t.Parallel()
	s := startServe(t)
	for _, want := range []int{http.StatusOK, http.StatusConflict} {
		answer, err := http.Post(s.API+"steps", "text/plain", strings.NewReader("advance 1753200h\n"))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.StatusCode != want || strings.Contains(string(text), "a clock that runs goes at most 292 years from") != (want == http.StatusConflict) || err != nil {
			t.Errorf("the API answered %d, %v, %s", answer.StatusCode, err, text)
		}
	}
}
