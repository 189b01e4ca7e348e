package keys

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"
)

// clock is a provider's clock that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newSet(t testing.TB, o Options) (*Set, *clock) {
	t.Helper()
	c := newClock()
	o.Now = c.Now
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

func TestNewNamesEveryMistake(t *testing.T) {
	t.Parallel()
	_, err := New(Options{
		Now:         time.Now,
		Lifetime:    time.Hour,
		MaxAge:      1500 * time.Millisecond,
		RotateEvery: time.Second,
		Overlap:     time.Minute,
	})
	want := `keys: max-age 1.5s is not a positive number of whole seconds
keys: overlap 1m0s is shorter than the lifetime 1h0m0s of a token
keys: rotation every 1s is more frequent than caches refetch, every 1.5s`
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
	if _, err := New(Options{}); err == nil {
		t.Error("a set without clock was made")
	}
	if _, err := New(Options{Now: time.Now, MaxAge: time.Second, RotateEvery: time.Second}); err == nil {
		t.Error("a set with thousands of published keys was made")
	}
}

func TestKeysAreMadeWhenNeeded(t *testing.T) {
	t.Parallel()
	s, _ := newSet(t, Options{})
	if got := s.String(); got != "keys.Set[]" {
		t.Errorf("a new set has keys: %s", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Warm(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Warm with an ended context: %v", err)
	}
	if got := s.String(); got != "keys.Set[]" {
		t.Errorf("Warm with an ended context made keys: %s", got)
	}
	if err := s.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys, err := s.Keys()
	if err != nil {
		t.Fatal(err)
	}
	if len(keys) != 2 || keys[0].State != KeyCurrent || keys[1].State != KeyNext {
		t.Fatalf("published keys are %+v, want current and next", keys)
	}
	if got, want := s.String(), fmt.Sprintf("keys.Set[%s %s]", keys[0].ID, keys[1].ID); got != want {
		t.Errorf("String is %s, want %s", got, want)
	}
}

func TestRotate(t *testing.T) {
	t.Parallel()
	s, c := newSet(t, Options{MaxAge: time.Hour})
	before, err := s.Keys()
	if err != nil {
		t.Fatal(err)
	}
	token, err := s.Token(Claims{Audience: "https://shop.example"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Rotate(); err != nil {
		t.Fatalf("first rotation: %v", err)
	}
	after, err := s.Keys()
	if err != nil {
		t.Fatal(err)
	}
	if len(after) != 3 || after[0].ID != before[1].ID || after[2].ID != before[0].ID || after[2].State != KeyRetired {
		t.Errorf("after rotation of %+v the keys are %+v", before, after)
	}
	if _, err := s.Verify(token, VerifyOptions{Audience: "https://shop.example"}); err != nil {
		t.Errorf("token of the retired key: %v", err)
	}

	var tooSoon *TooSoonError
	if err := s.Rotate(); !errors.As(err, &tooSoon) || !tooSoon.At.Equal(c.Now().Add(time.Hour)) {
		t.Errorf("second rotation at once: %v", err)
	}
	c.advance(time.Hour)
	if err := s.Rotate(); err != nil {
		t.Errorf("second rotation after max-age: %v", err)
	}
	c.advance(3 * time.Hour) // The overlap is 2 h 5 min; the next document after it is generated at 3 h.
	last, err := s.Keys()
	if err != nil {
		t.Fatal(err)
	}
	if len(last) != 2 {
		t.Errorf("after the overlap of both, %d keys are published, want 2", len(last))
	}
}

// TestNothingPrivateIsPrinted prints everything exported in every way and
// looks for the private numbers in decimal, hexadecimal and base64.
func TestNothingPrivateIsPrinted(t *testing.T) {
	t.Parallel()
	s, _ := newSet(t, Options{})
	if err := s.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	published, err := s.Keys()
	if err != nil {
		t.Fatal(err)
	}
	ca, err := NewCA(CAOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Leaf("shop.example")
	if err != nil {
		t.Fatal(err)
	}
	var secrets []string
	for _, k := range s.keys {
		private := k.made.Load().private
		secrets = append(secrets, formsOf(private.D.Bytes())...)
		secrets = append(secrets, formsOf(private.Primes[0].Bytes())...)
	}
	caKey, err := ca.key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	leafKey, err := cert.PrivateKey.(signer).key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	secrets = append(secrets, formsOf(caKey)...)
	secrets = append(secrets, formsOf(leafKey)...)

	var out strings.Builder
	log := slog.New(slog.NewJSONHandler(&out, nil))
	for _, v := range []any{s, published, s.opts, ca, cert, cert.PrivateKey, Claims{}, &TooSoonError{}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		if b, err := json.Marshal(v); err == nil {
			out.Write(b)
		}
		log.Info("value", "v", v)
	}
	for _, secret := range secrets {
		if strings.Contains(strings.ToLower(out.String()), strings.ToLower(secret)) {
			t.Errorf("a private number of length %d is printed", len(secret))
		}
	}
	if got, want := fmt.Sprintf("%v %#v", ca, ca), "keys.CA[doppelbox test CA] keys.CA[doppelbox test CA]"; got != want {
		t.Errorf("CA prints as %s", got)
	}
}

// formsOf returns the ways in which a number might be printed.
func formsOf(number []byte) []string {
	list := fmt.Sprint(number) // As fmt prints a slice of octets.
	return []string{
		new(big.Int).SetBytes(number).String(),
		hex.EncodeToString(number),
		base64.StdEncoding.EncodeToString(number),
		base64.RawURLEncoding.EncodeToString(number),
		list[1 : len(list)-1],
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	s, c := newSet(t, Options{MaxAge: time.Minute, RotateEvery: 30 * time.Minute})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5 {
				token, err := s.Token(Claims{Audience: "https://shop.example"})
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := s.Verify(token, VerifyOptions{Audience: "https://shop.example"}); err != nil {
					t.Error(err)
				}
				c.advance(time.Minute)
				_ = s.String()
			}
		})
	}
	wg.Wait()
}
