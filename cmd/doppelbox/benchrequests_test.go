//go:build bench

package main

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"io"
	"log"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/dispatcher"
	"github.com/doppelbox/doppelbox/keys"
	"github.com/doppelbox/doppelbox/scenarios"
)

// What make bench asks for, and how much is measured. The floor is the bare
// signature of each token, RSA with 2048 bits, on the same cores and with
// nothing besides.
const (
	leastOfSigning = 0.8
	signRounds     = 5
	signRequests   = 4000
)

// TestBenchRequests makes the requests of clicks at an HTTPS service on a real
// socket, each with a token that is signed for it, and compares them with the
// signatures alone. The service is in the same process: what it takes counts
// against the dispatcher. Each round has the floor before and after it, so that
// what else the machine does slows both down.
func TestBenchRequests(t *testing.T) {
	signer, err := scenarios.TestKey("rsa")
	if err != nil {
		t.Fatal(err)
	}
	key, ok := signer.(*rsa.PrivateKey)
	if !ok || key.Size() != 256 {
		t.Fatalf("the key is %T", signer)
	}
	c := newRequestBench(t)
	ways := []struct {
		name string
		keep bool
		gate bool
		part int // Of signRequests.
	}{
		{"kept connections", true, true, 1},
		{"a connection each", false, false, 4}, // For comparison.
	}
	parts, rates, floors := make([][]float64, len(ways)), make([][]float64, len(ways)), []float64{}
	c.requests(t, true, 500)
	signatures(t, key, 500)
	for range signRounds {
		for i, w := range ways {
			count := signRequests / w.part
			before := signatures(t, key, count/2)
			rate := c.requests(t, w.keep, count)
			floor := (before + signatures(t, key, count/2)) / 2
			rates[i], parts[i] = append(rates[i], rate), append(parts[i], rate/floor)
			floors = append(floors, floor)
		}
	}
	t.Logf("%-28s %8s %8s", "", "a second", "of floor")
	t.Logf("%-28s %8.0f %8.2f", "floor: RSA-2048 signatures", median(floors), 1.0)
	for i, w := range ways {
		part := median(parts[i])
		t.Logf("%-28s %8.0f %8.2f", "requests, "+w.name, median(rates[i]), part)
		if w.gate && part < leastOfSigning {
			t.Errorf("signed requests with %s are %.2f of the bare signatures a second, less than %.2f", w.name, part, leastOfSigning)
		}
	}
}

// signatures signs as many digests with all cores, and returns how many a second.
func signatures(t *testing.T, key *rsa.PrivateKey, count int) float64 {
	t.Helper()
	digest := sha256.Sum256([]byte("a token"))
	var left atomic.Int64
	left.Store(int64(count))
	var wg sync.WaitGroup
	runtime.GC()
	begin := time.Now()
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if _, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	return float64(count) / time.Since(begin).Seconds()
}

// requestBench is a dispatcher and the service that it asks.
type requestBench struct {
	dispatch *dispatcher.Dispatcher
	keys     *keys.Set
	url      string

	asked, signed, ended atomic.Int64
}

func newRequestBench(t *testing.T) *requestBench {
	t.Helper()
	ca, err := keys.NewCA(keys.CAOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config, err := ca.TLSConfig("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	c := new(requestBench)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	service := &http.Server{TLSConfig: config, ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != "confirmed=Approved" || strings.Count(r.Header.Get("Authorization"), ".") != 2 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		c.asked.Add(1)
	})}
	served := make(chan error, 1)
	go func() { served <- service.ServeTLS(l, "", "") }()
	t.Cleanup(func() { service.Close(); <-served })
	c.url = "https://" + l.Addr().String() + "/approve?expenseId=abc123"
	if c.keys, err = keys.New(keys.Options{Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	c.dispatch, err = dispatcher.New(dispatcher.Options{
		Now: time.Now, RootCAs: ca.Pool(), OnDone: func(r dispatcher.Result) {
			if r.Outcome == dispatcher.OutcomeSucceeded {
				c.ended.Add(1)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.dispatch.Close)
	return c
}

// requests makes so many requests, and returns how many a second. Each was
// signed for, asked and answered.
func (c *requestBench) requests(t *testing.T, keep bool, count int) float64 {
	t.Helper()
	asked, signed, ended := c.asked.Load(), c.signed.Load(), c.ended.Load()
	runtime.GC()
	begin := time.Now()
	for range count {
		_, err := c.dispatch.Submit(dispatcher.Request{
			Method: "POST", URL: c.url, Body: []byte("confirmed=Approved"), KeepAlive: keep,
			Header: []dispatcher.Field{{Name: "Content-Type", Value: dispatcher.ContentType}, {Name: "User-Agent", Value: dispatcher.UserAgent}},
			Token: func(context.Context) (string, error) {
				c.signed.Add(1)
				return c.keys.Token(keys.Claims{Audience: "https://shop.example"})
			},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := c.dispatch.RunDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	rate := float64(count) / time.Since(begin).Seconds()
	n := int64(count)
	if c.asked.Load()-asked != n || c.signed.Load()-signed != n || c.ended.Load()-ended != n {
		t.Fatalf("of %d requests %d were signed, %d arrived and %d were answered with success", count, c.signed.Load()-signed, c.asked.Load()-asked, c.ended.Load()-ended)
	}
	return rate
}
