package keys

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestRetime tells a life of a set whose times change while it is used.
func TestRetime(t *testing.T) {
	t.Parallel()
	s, c := newSet(t, Options{})
	long := mint(t, s)
	get(t, s, PathJWKS) // A verifier caches it for five and a half hours.
	cached := c.Now().Add(DefaultMaxAge)
	if err := s.Retime(Timing{Lifetime: time.Minute, MaxAge: 10 * time.Second}); err != nil {
		t.Fatal(err)
	}
	short := mint(t, s)
	claims, err := s.Verify(short, VerifyOptions{Audience: audience})
	if err != nil {
		t.Fatal(err)
	}
	if got := claims.Expiry.Sub(claims.IssuedAt); got != time.Minute {
		t.Errorf("a token made after the change lives %v", got)
	}
	if got, want := get(t, s, PathJWKS).Header().Get("Cache-Control"), "public, max-age=10, must-revalidate, no-transform"; got != want {
		t.Errorf("Cache-Control %s, want %s", got, want)
	}

	// The key of the token that lives for an hour stays although the overlap
	// is now six minutes and ten seconds.
	if err := s.Rotate(); err != nil {
		t.Fatal(err)
	}
	c.advance(time.Hour - Backdate - time.Second)
	if _, err := s.Verify(long, VerifyOptions{Audience: audience}); err != nil {
		t.Errorf("a token of before the change, in its last second: %v", err)
	}
	// The document of before the change lacks the key after the next one.
	var tooSoon *TooSoonError
	if err := s.Rotate(); !errors.As(err, &tooSoon) || !tooSoon.At.Equal(cached) {
		t.Errorf("a rotation while a document is cached: %v", err)
	}
	c.advance(tooSoon.At.Sub(c.Now()))
	if err := s.Rotate(); err != nil {
		t.Error(err)
	}
	c.advance(10 * time.Second)
	if err := s.Rotate(); err != nil {
		t.Errorf("after the new max-age: %v", err)
	}

	// Zero is as the options say, which is no rotation by itself.
	if err := s.Retime(Timing{}); err != nil {
		t.Fatal(err)
	}
	if got, want := get(t, s, PathJWKS).Header().Get("Cache-Control"), "public, max-age=19800, must-revalidate, no-transform"; got != want {
		t.Errorf("Cache-Control %s, want %s", got, want)
	}
}

// TestRetimeUnused holds that a change before anything was signed or served
// binds nobody to what was before.
func TestRetimeUnused(t *testing.T) {
	t.Parallel()
	s, c := newSet(t, Options{})
	if err := s.Retime(Timing{Lifetime: time.Minute, MaxAge: 10 * time.Second}); err != nil {
		t.Fatal(err)
	}
	token := mint(t, s)
	if err := s.Rotate(); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		by   time.Duration
		want error
	}{
		{time.Minute - Backdate - time.Second, nil},
		{time.Second, ErrExpired},
		{5*time.Minute + 10*time.Second + Backdate - time.Second, ErrExpired}, // The last second of the overlap.
		{time.Second, ErrUnknownKey},
	} {
		c.advance(step.by)
		if _, err := s.Verify(token, VerifyOptions{Audience: audience}); !errors.Is(err, step.want) {
			t.Errorf("at %s: %v, want %v", stamp(c.Now()), err, step.want)
		}
	}
	if err := s.Rotate(); err != nil {
		t.Error(err)
	}
}

func TestRetimeByClock(t *testing.T) {
	t.Parallel()
	s, c := newSet(t, Options{})
	c.advance(100 * 24 * time.Hour)
	before := current(t, s)
	if err := s.Retime(Timing{RotateEvery: 24 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	c.advance(24*time.Hour - time.Nanosecond)
	if current(t, s) != before {
		t.Error("rotated less than a day after the change")
	}
	// The same again changes nothing.
	if err := s.Retime(Timing{RotateEvery: 24 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	c.advance(time.Nanosecond)
	if current(t, s) == before {
		t.Error("not rotated a day after the change")
	}
}

func TestRetimeNamesEveryMistake(t *testing.T) {
	t.Parallel()
	s, _ := newSet(t, Options{Overlap: 2 * time.Hour})
	err := s.Retime(Timing{Lifetime: 3 * time.Hour, MaxAge: time.Minute, RotateEvery: time.Second})
	want := `keys: overlap 2h0m0s is shorter than the lifetime 3h0m0s of a token
keys: rotation every 1s is more frequent than caches refetch, every 1m0s
keys: rotation every 1s with an overlap of 2h0m0s leaves more than 100 keys published`
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
	if got := get(t, s, PathJWKS).Header().Get("Cache-Control"); !strings.Contains(got, "max-age=19800,") {
		t.Errorf("a change that was refused took place: %s", got)
	}
}

func TestWithdraw(t *testing.T) {
	t.Parallel()
	s, c := newSet(t, Options{})
	first := mint(t, s)
	if err := s.Rotate(); err != nil {
		t.Fatal(err)
	}
	second := mint(t, s)
	next := keysOf(t, s)[1].ID
	s.Withdraw() // Too soon for a rotation.
	list := keysOf(t, s)
	if len(list) != 2 || list[0].ID != next || list[0].State != KeyCurrent || list[1].State != KeyNext {
		t.Errorf("after the withdrawal the keys are %+v, want %s and its next", list, next)
	}
	for _, token := range []string{first, second} {
		if _, err := s.Verify(token, VerifyOptions{Audience: audience}); !errors.Is(err, ErrUnknownKey) {
			t.Errorf("a token of a withdrawn key: %v", err)
		}
	}
	if _, err := s.Verify(mint(t, s), VerifyOptions{Audience: audience}); err != nil {
		t.Error(err)
	}
	if age := get(t, s, PathJWKS).Header().Get("Age"); age != "0" {
		t.Errorf("the document without the keys has Age %s", age)
	}
	// Documents of before the withdrawal lack what is now next.
	var tooSoon *TooSoonError
	if err := s.Rotate(); !errors.As(err, &tooSoon) || !tooSoon.At.Equal(c.Now().Add(DefaultMaxAge)) {
		t.Errorf("a rotation at once: %v", err)
	}
}

func mint(t *testing.T, s *Set) string {
	t.Helper()
	token, err := s.Token(Claims{Audience: audience})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func keysOf(t *testing.T, s *Set) []Key {
	t.Helper()
	list, err := s.Keys()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func current(t *testing.T, s *Set) string {
	t.Helper()
	return keysOf(t, s)[0].ID
}
