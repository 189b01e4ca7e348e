package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

// An answer that is too long is said to be so, and no part of it is taken for
// the whole.
func TestLongAnswer(t *testing.T) {
	t.Parallel()
	for extra, status := range map[int]int{0: http.StatusOK, 1: http.StatusOK, 2: http.StatusTeapot} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write(bytes.Repeat([]byte(" "), maxAnswer+extra)) // Whoever reads no more has gone.
		}))
		defer s.Close()
		want := fmt.Sprintf("the answer of %s has more than %d octets", s.URL, maxAnswer)
		data, err := apiFlag{API: s.URL}.call(t.Context(), http.MethodGet, "/", "")
		if extra == 0 {
			if err != nil || len(data) != maxAnswer {
				t.Errorf("%d octets, %v", len(data), err)
			}
		} else if err == nil || err.Error() != want {
			t.Errorf("%d octets too many: %v", extra, err)
		}
	}
}
