package mailbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/doppelbox/doppelbox/policy"
)

func message(world, id, account string) Message {
	return Message{World: world, ID: id, Account: account, Raw: []byte("From: x\r\n\r\n")}
}

func put(t *testing.T, m *Memory, messages ...Message) {
	t.Helper()
	if err := m.Put(t.Context(), messages...); err != nil {
		t.Fatal(err)
	}
}

// list writes what a query selects as "id:seq id:seq".
func list(t *testing.T, m *Memory, q Query) string {
	t.Helper()
	messages, err := m.Messages(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, msg := range messages {
		words = append(words, fmt.Sprintf("%s:%d", msg.ID, msg.Seq))
	}
	return strings.Join(words, " ")
}

func TestMessages(t *testing.T) {
	t.Parallel()
	m := NewMemory(Limits{})
	put(t, m, message("w", "1", "alice"), message("w", "2", "bob"))
	put(t, m, message("w", "3", "alice"), message("v", "1", "alice"))
	put(t, m, message("w", "4", "alice"))
	tests := []struct {
		q    Query
		want string
	}{
		{Query{World: "w"}, "1:1 2:2 3:3 4:4"},
		{Query{World: "w", Account: "alice"}, "1:1 3:3 4:4"},
		{Query{World: "w", Account: "alice", AfterSeq: 1}, "3:3 4:4"},
		{Query{World: "w", Account: "alice", AfterSeq: 2, Limit: 1}, "3:3"},
		{Query{World: "w", AfterSeq: 4}, ""},
		{Query{World: "w", Account: "carol"}, ""},
		{Query{World: "v"}, "1:1"},
		{Query{World: "u"}, ""},
	}
	for _, tt := range tests {
		if got := list(t, m, tt.q); got != tt.want {
			t.Errorf("%+v: got %q, want %q", tt.q, got, tt.want)
		}
	}
	if msg, err := m.Message(t.Context(), "v", "1"); err != nil || msg.World != "v" || msg.Seq != 1 {
		t.Errorf("got %+v, %v", msg, err)
	}
	for _, world := range []string{"v", "u"} {
		if _, err := m.Message(t.Context(), world, "2"); !errors.Is(err, ErrNotFound) {
			t.Errorf("message 2 of world %s: %v, want not found", world, err)
		}
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	m := NewMemory(Limits{})
	refused := message("w", "1", "alice")
	refused.Refused = true
	refused.Evidence.Markup.Actions = []policy.Action{{Handlers: []policy.Handler{{URL: "https://shop.example/"}}}}
	put(t, m, refused, message("w", "2", "alice"))
	if got := list(t, m, Query{World: "w", Account: "alice", Limit: 1}); got != "2:2" {
		t.Errorf("the account has %q", got)
	}
	if got := list(t, m, Query{World: "w", Account: "alice", Refused: true}); got != "1:1 2:2" {
		t.Errorf("with refused ones there are %q", got)
	}
	if msg, err := m.Wait(t.Context(), Query{World: "w"}); err != nil || msg.ID != "2" {
		t.Errorf("waiting gives %q, %v", msg.ID, err)
	}
	if seen, err := m.SeenURLs(t.Context(), "w", []string{"https://shop.example/"}); err != nil || len(seen) > 0 {
		t.Errorf("seen %q, %v", seen, err)
	}
	if msg, err := m.Message(t.Context(), "w", "1"); err != nil || !msg.Refused {
		t.Errorf("got %+v, %v", msg, err)
	}
}

func TestPutIsAllOrNothing(t *testing.T) {
	t.Parallel()
	big := message("w", "4", "alice")
	big.Raw = make([]byte, 1<<20)
	tests := []struct {
		name     string
		messages []Message
		want     error
	}{
		{"known id", []Message{message("w", "2", "alice"), message("w", "1", "alice")}, ErrExists},
		{"same id twice", []Message{message("w", "3", "alice"), message("w", "3", "alice")}, ErrExists},
		{"too large", []Message{message("w", "3", "alice"), big}, ErrTooLarge},
		{"too many", []Message{message("w", "3", "alice"), message("w", "4", "alice"), message("w", "5", "alice")}, ErrTooLarge},
		{"no world", []Message{message("w", "3", "alice"), message("", "4", "alice")}, nil},
		{"no id", []Message{message("v", "3", "alice"), message("w", "", "alice")}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := NewMemory(Limits{Messages: 2, Bytes: 1 << 20})
			put(t, m, message("w", "1", "alice"))
			err := m.Put(t.Context(), tt.messages...)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if got := list(t, m, Query{World: "w"}) + list(t, m, Query{World: "v"}); got != "1:1" {
				t.Errorf("the store has %q after a failed Put", got)
			}
		})
	}
}

func TestEvictionByCount(t *testing.T) {
	t.Parallel()
	m := NewMemory(Limits{Messages: 3})
	put(t, m, message("other", "1", "alice"))
	for i := range 10 {
		id := fmt.Sprint(i + 1)
		put(t, m, message("w", id, []string{"alice", "bob"}[i%2]))
		if err := m.PutClick(t.Context(), Click{World: "w", ID: "c" + id, MessageID: id}); err != nil {
			t.Fatal(err)
		}
	}
	if got := list(t, m, Query{World: "w"}); got != "8:8 9:9 10:10" {
		t.Errorf("kept %q", got)
	}
	if got := list(t, m, Query{World: "w", Account: "bob"}); got != "8:8 10:10" {
		t.Errorf("kept %q for bob", got)
	}
	if n, err := m.Evicted(t.Context(), "w"); n != 7 || err != nil {
		t.Errorf("%d evicted, %v", n, err)
	}
	if n, err := m.Evicted(t.Context(), "other"); n != 0 || err != nil {
		t.Errorf("%d evicted of the other world, %v", n, err)
	}
	if _, err := m.Clicks(t.Context(), "w", "7"); !errors.Is(err, ErrNotFound) {
		t.Errorf("clicks of an evicted message: %v", err)
	}
	if err := m.UpdateClick(t.Context(), Click{World: "w", ID: "c7", MessageID: "7"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("click of an evicted message: %v", err)
	}
	// An ID is free again when its message is gone.
	put(t, m, message("w", "1", "carol"))
	if got := list(t, m, Query{World: "w"}); got != "9:9 10:10 1:11" {
		t.Errorf("kept %q", got)
	}
}

func TestEvictionByBytes(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	const limit = 180_000
	m := NewMemory(Limits{Bytes: limit})
	for _, id := range []string{"1", "2", "3"} {
		msg := message("w", id, "alice")
		msg.Raw = make([]byte, 40_000)
		put(t, m, msg)
	}
	if err := m.PutClick(ctx, Click{World: "w", ID: "c", MessageID: "1"}); err != nil {
		t.Fatal(err)
	}
	// What belongs to the oldest message drives the next ones out, not itself.
	attempt := Attempt{World: "w", ID: "a1", ClickID: "c", Sent: make([]byte, 30_000), Body: make([]byte, 10_000)}
	if err := m.PutAttempt(ctx, attempt); err != nil {
		t.Fatal(err)
	}
	if got := list(t, m, Query{World: "w"}); got != "1:1 3:3" {
		t.Errorf("kept %q", got)
	}
	// It cannot outgrow the store, and then nothing is changed.
	attempt.ID = "a2"
	attempt.Header = []Field{{Name: "X", Value: strings.Repeat("x", 60_000)}}
	if err := m.PutAttempt(ctx, attempt); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, want too large", err)
	}
	attempt.Header, attempt.Hops = nil, []Hop{{URL: strings.Repeat("x", 20_000), Sent: make([]byte, 20_000), Location: strings.Repeat("x", 20_000)}}
	if err := m.PutAttempt(ctx, attempt); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, want too large", err)
	}
	if got := list(t, m, Query{World: "w", Account: "alice"}); got != "1:1 3:3" {
		t.Errorf("kept %q", got)
	}
	for i := range 5 {
		put(t, m, message("w", fmt.Sprint(i+4), "alice"))
	}
	if got := list(t, m, Query{World: "w", Account: "alice"}); got != "1:1 3:3 4:4 5:5 6:6 7:7 8:8" {
		t.Errorf("kept %q", got)
	}
	msg := message("w", "last", "alice")
	msg.Raw = make([]byte, limit-messageAllowance)
	put(t, m, msg)
	if got := list(t, m, Query{World: "w"}); got != "last:9" {
		t.Errorf("kept %q", got)
	}
	if w := m.worlds["w"]; w.bytes != limit || len(w.clicks) != 0 || len(w.accounts) != 1 {
		t.Errorf("%d octets counted, %d clicks, %d accounts", w.bytes, len(w.clicks), len(w.accounts))
	}
}

func TestClicksAndAttempts(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	m := NewMemory(Limits{})
	put(t, m, message("w", "1", "alice"), message("v", "1", "alice"))
	steps := []struct {
		name string
		err  error
		want error
	}{
		{"click", m.PutClick(ctx, Click{World: "w", ID: "c1", MessageID: "1", State: ClickPending}), nil},
		{"second click", m.PutClick(ctx, Click{World: "w", ID: "c2", MessageID: "1", Action: ActionUnsubscribe}), nil},
		{"click again", m.PutClick(ctx, Click{World: "w", ID: "c1", MessageID: "1"}), ErrExists},
		{"click of another world", m.PutClick(ctx, Click{World: "v", ID: "c1", MessageID: "1"}), nil},
		{"click on nothing", m.PutClick(ctx, Click{World: "w", ID: "c3", MessageID: "2"}), ErrNotFound},
		{"update", m.UpdateClick(ctx, Click{World: "w", ID: "c1", MessageID: "1", State: ClickSucceeded}), nil},
		{"update of no click", m.UpdateClick(ctx, Click{World: "v", ID: "c2", MessageID: "1"}), ErrNotFound},
		{"update on another message", m.UpdateClick(ctx, Click{World: "w", ID: "c1", MessageID: "2"}), ErrNotFound},
		{"attempt", m.PutAttempt(ctx, Attempt{World: "w", ID: "a1", ClickID: "c1", N: 1}), nil},
		{"second attempt", m.PutAttempt(ctx, Attempt{World: "w", ID: "a2", ClickID: "c1", N: 2}), nil},
		{"attempt again", m.PutAttempt(ctx, Attempt{World: "w", ID: "a1", ClickID: "c1"}), ErrExists},
		{"attempt of no click", m.PutAttempt(ctx, Attempt{World: "u", ID: "a1", ClickID: "c1"}), ErrNotFound},
	}
	for _, s := range steps {
		if !errors.Is(s.err, s.want) {
			t.Errorf("%s: got %v, want %v", s.name, s.err, s.want)
		}
	}
	if m.PutClick(ctx, Click{World: "w", MessageID: "1"}) == nil || m.PutAttempt(ctx, Attempt{World: "w", ClickID: "c1"}) == nil {
		t.Error("a row without id was stored")
	}
	clicks, err := m.Clicks(ctx, "w", "1")
	if err != nil || len(clicks) != 2 || clicks[0].State != ClickSucceeded || clicks[1].ID != "c2" {
		t.Errorf("got %+v, %v", clicks, err)
	}
	if all, err := m.AllClicks(ctx, "w"); err != nil || len(all) != 2 || all[0].State != ClickSucceeded || all[1].ID != "c2" {
		t.Errorf("all clicks are %+v, %v", all, err)
	}
	if all, err := m.AllClicks(ctx, "nowhere"); err != nil || len(all) != 0 {
		t.Errorf("all clicks of no world are %+v, %v", all, err)
	}
	attempts, err := m.Attempts(ctx, "w", "c1")
	if err != nil || len(attempts) != 2 || attempts[0].ID != "a1" || attempts[1].N != 2 {
		t.Errorf("got %+v, %v", attempts, err)
	}
	if attempts, err := m.Attempts(ctx, "v", "c1"); err != nil || len(attempts) != 0 {
		t.Errorf("got %+v, %v in the other world", attempts, err)
	}
	if _, err := m.Attempts(ctx, "v", "c2"); !errors.Is(err, ErrNotFound) {
		t.Errorf("attempts of no click: %v", err)
	}
}

func TestSeenURLs(t *testing.T) {
	t.Parallel()
	m := NewMemory(Limits{Messages: 2})
	with := func(id string, urls ...string) Message {
		msg := message("w", id, "alice")
		for _, u := range urls {
			action := policy.Action{Handlers: []policy.Handler{{URL: u}}}
			msg.Evidence.Markup.Actions = append(msg.Evidence.Markup.Actions, action)
		}
		return msg
	}
	seen := func(world string) string {
		list, err := m.SeenURLs(t.Context(), world, []string{"c", "b", "a", "b"})
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(list, " ")
	}
	put(t, m, with("1", "a", "a", "b"), with("2", "b"))
	if got := seen("w"); got != "b a" {
		t.Errorf("seen %q", got)
	}
	if got := seen("v"); got != "" {
		t.Errorf("seen %q in another world", got)
	}
	put(t, m, with("3"))
	if got := seen("w"); got != "b" {
		t.Errorf("seen %q after an eviction", got)
	}
	put(t, m, with("4"))
	if got := seen("w"); got != "" {
		t.Errorf("seen %q after all evictions", got)
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(Limits{})
		put(t, m, message("w", "1", "alice"))
		queries := map[Query]string{
			{World: "w", Account: "alice"}:              "1",
			{World: "w", Account: "alice", AfterSeq: 1}: "3",
			{World: "w", AfterSeq: 1}:                   "2",
			{World: "v", Account: "alice"}:              "4",
		}
		var done sync.WaitGroup
		for q, want := range queries {
			done.Go(func() {
				if msg, err := m.Wait(t.Context(), q); err != nil || msg.ID != want {
					t.Errorf("%+v: got %q, %v, want %q", q, msg.ID, err, want)
				}
			})
		}
		for _, msg := range []Message{message("w", "2", "bob"), message("w", "3", "alice"), message("v", "4", "alice")} {
			synctest.Wait()
			put(t, m, msg)
		}
		done.Wait()
		checkNobodyWaits(t, m)
	})
}

func TestWaitEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(Limits{})
		cause := errors.New("the test is over")
		ctx, cancel := context.WithCancelCause(t.Context())
		var done sync.WaitGroup
		for range 2 {
			done.Go(func() {
				if _, err := m.Wait(ctx, Query{World: "w", Account: "alice"}); !errors.Is(err, cause) {
					t.Errorf("got %v, want the cause", err)
				}
			})
		}
		synctest.Wait()
		cancel(cause)
		done.Wait()
		checkNobodyWaits(t, m)

		// What is there already is returned even so.
		put(t, m, message("w", "1", "alice"))
		if msg, err := m.Wait(ctx, Query{World: "w"}); err != nil || msg.ID != "1" {
			t.Errorf("got %q, %v", msg.ID, err)
		}
	})
}

func checkNobodyWaits(t *testing.T, m *Memory) {
	t.Helper()
	for name, w := range m.worlds {
		if len(w.gates) > 0 {
			t.Errorf("world %s still has gates %v", name, w.gates)
		}
	}
}

// Several writers and readers see every message of their world once, in order.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	const writers, each = 4, 50
	m := NewMemory(Limits{Messages: writers * each})
	var done sync.WaitGroup
	for _, world := range []string{"v", "w"} {
		for i := range writers {
			done.Go(func() {
				for j := range each {
					if err := m.Put(t.Context(), message(world, fmt.Sprintf("%d-%d", i, j), fmt.Sprint(j%2))); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for _, account := range []string{"", "0", "1"} {
			done.Go(func() {
				want := writers * each
				if account != "" {
					want /= 2
				}
				var ids []string
				q := Query{World: world, Account: account}
				for range want {
					msg, err := m.Wait(t.Context(), q)
					if err != nil || msg.World != world || msg.Seq <= q.AfterSeq {
						t.Errorf("%+v: got %s of %s, seq %d, %v", q, msg.ID, msg.World, msg.Seq, err)
						return
					}
					q.AfterSeq = msg.Seq
					ids = append(ids, msg.ID)
				}
				slices.Sort(ids)
				if n := len(slices.Compact(ids)); n != want {
					t.Errorf("%+v: %d different messages, want %d", q, n, want)
				}
			})
		}
	}
	done.Wait()
}

func BenchmarkPut(b *testing.B) {
	m := NewMemory(Limits{Messages: 10_000})
	raw := make([]byte, 2800)
	i := 0
	for b.Loop() {
		i++
		msg := Message{World: "w", ID: fmt.Sprint(i), Account: fmt.Sprint(i % 100), Raw: raw}
		if err := m.Put(b.Context(), msg); err != nil {
			b.Fatal(err)
		}
	}
}

func TestLastSeq(t *testing.T) {
	t.Parallel()
	m := NewMemory(Limits{Messages: 1})
	for want := range int64(3) {
		if got, err := m.LastSeq(t.Context(), "w"); got != want || err != nil {
			t.Errorf("LastSeq = %d, %v, want %d", got, err, want)
		}
		if err := m.Put(t.Context(), Message{World: "w", ID: string(rune('a' + want)), Account: "alice"}); err != nil {
			t.Fatal(err)
		}
	}
}
