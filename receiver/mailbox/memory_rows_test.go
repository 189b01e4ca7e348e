package mailbox

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
)

func outgoingIDs(t *testing.T, m *Memory, world string) string {
	t.Helper()
	list, err := m.Outgoing(t.Context(), world)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, o := range list {
		ids = append(ids, o.ID+":"+string(o.State))
	}
	return strings.Join(ids, " ")
}

func accessIDs(t *testing.T, m *Memory, world string) string {
	t.Helper()
	list, err := m.Accesses(t.Context(), world)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, a := range list {
		ids = append(ids, a.ID+":"+a.Account)
	}
	return strings.Join(ids, " ")
}

// A row of a known id takes the place of the old one; worlds share none.
func TestRows(t *testing.T) {
	t.Parallel()
	m := NewMemory(Limits{})
	if got := outgoingIDs(t, m, "w") + accessIDs(t, m, "w"); got != "" {
		t.Errorf("an empty store has %q", got)
	}
	for _, o := range []Outgoing{
		{World: "w", ID: "1", State: OutgoingPending}, {World: "w", ID: "2", State: OutgoingSent},
		{World: "v", ID: "1", State: OutgoingWithheld}, {World: "w", ID: "1", State: OutgoingRefused},
	} {
		if err := m.PutOutgoing(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range []Access{{World: "w", ID: "1", Account: "a"}, {World: "w", ID: "2", Account: "b"}, {World: "v", ID: "1", Account: "c"}, {World: "w", ID: "1", Account: "d"}} {
		if err := m.PutAccess(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	for got, want := range map[string]string{
		outgoingIDs(t, m, "w"): "1:refused 2:sent", outgoingIDs(t, m, "v"): "1:withheld", outgoingIDs(t, m, "u"): "",
		accessIDs(t, m, "w"): "1:d 2:b", accessIDs(t, m, "v"): "1:c",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Neither row is stored without its names, and nothing is changed by that.
func TestRowsWithoutNames(t *testing.T) {
	t.Parallel()
	m := NewMemory(Limits{})
	for _, names := range [][2]string{{"", "1"}, {"w", ""}, {"", ""}} {
		if err := m.PutOutgoing(t.Context(), Outgoing{World: names[0], ID: names[1]}); err == nil {
			t.Errorf("outgoing mail %q is stored", names)
		}
		if err := m.PutAccess(t.Context(), Access{World: names[0], ID: names[1]}); err == nil {
			t.Errorf("access %q is stored", names)
		}
	}
	if got := outgoingIDs(t, m, "w") + accessIDs(t, m, "w") + outgoingIDs(t, m, ""); got != "" {
		t.Errorf("there is %q", got)
	}
}

// The list is the caller's own.
func TestRowsAreCopied(t *testing.T) {
	t.Parallel()
	m := NewMemory(Limits{})
	if err := m.PutOutgoing(t.Context(), Outgoing{World: "w", ID: "1"}); err != nil {
		t.Fatal(err)
	}
	if err := m.PutAccess(t.Context(), Access{World: "w", ID: "1"}); err != nil {
		t.Fatal(err)
	}
	outgoing, err := m.Outgoing(t.Context(), "w")
	accesses, accessErr := m.Accesses(t.Context(), "w")
	if err != nil || accessErr != nil {
		t.Fatal(err, accessErr)
	}
	outgoing[0].ID, accesses[0].ID = "changed", "changed"
	if got := outgoingIDs(t, m, "w") + accessIDs(t, m, "w"); got != "1:1:" {
		t.Errorf("the store has %q", got)
	}
}

// The oldest rows are forgotten beyond a number, those of one world alone.
func TestRowsAreBounded(t *testing.T) {
	t.Parallel()
	m := NewMemory(Limits{})
	put := func(world string, id int) {
		t.Helper()
		o, a := Outgoing{World: world, ID: strconv.Itoa(id)}, Access{World: world, ID: strconv.Itoa(id)}
		if err := m.PutOutgoing(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		if err := m.PutAccess(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	put("v", 1)
	for id := range maxRows {
		put("w", id)
	}
	put("w", 0) // Replaced, and still the oldest.
	put("w", maxRows)
	for _, text := range []string{outgoingIDs(t, m, "w"), accessIDs(t, m, "w")} {
		ids := strings.Fields(text)
		if len(ids) != maxRows || ids[0] != "1:" || ids[maxRows-1] != strconv.Itoa(maxRows)+":" {
			t.Errorf("%d rows, from %s to %s", len(ids), ids[0], ids[len(ids)-1])
		}
	}
	for world, want := range map[string]int64{"v": 0, "w": 1, "none": 0} {
		if n, err := m.EvictedOutgoing(t.Context(), world); n != want || err != nil {
			t.Errorf("%s has forgotten %d mails, %v", world, n, err)
		}
	}
	if got := outgoingIDs(t, m, "v") + accessIDs(t, m, "v"); got != "1:1:" {
		t.Errorf("the other world has %q", got)
	}
}

// And beyond a size, but never the newest; a row that grows in its place
// counts for what it is.
func TestOutgoingIsBoundedBySize(t *testing.T) {
	t.Parallel()
	m := NewMemory(Limits{})
	put := func(id string, size int) {
		t.Helper()
		if err := m.PutOutgoing(t.Context(), Outgoing{World: "w", ID: id, Raw: make([]byte, size)}); err != nil {
			t.Fatal(err)
		}
	}
	const half = maxRowBytes / 2
	tests := []struct {
		id   string
		size int
		want string
	}{
		{"1", half - rowAllowance, "1:"},
		{"2", half - rowAllowance, "1: 2:"},
		{"3", 0, "2: 3:"},
		{"2", 0, "2: 3:"}, // Now there is room.
		{"4", half, "2: 3: 4:"},
		{"5", maxRowBytes + 1, "5:"},
		{"6", 0, "6:"},
	}
	for _, tt := range tests {
		put(tt.id, tt.size)
		if got := outgoingIDs(t, m, "w"); got != tt.want {
			t.Errorf("after %s of %d octets there are %q, not %q", tt.id, tt.size, got, tt.want)
		}
	}
}

func fetchedMessage(id, account, source, uid string) Message {
	msg := message("w", id, account)
	msg.Evidence.Arrival = policy.Arrival{Channel: policy.ChannelPOP, Fetch: &policy.Fetch{Source: source, UID: uid}}
	return msg
}

// What was fetched is known for its account, source and UID alone, and stays
// known when the message is forgotten.
func TestFetched(t *testing.T) {
	t.Parallel()
	m := NewMemory(Limits{Messages: 2})
	put(t, m, fetchedMessage("1", "alice", "old@isp.example", "u1"))
	put(t, m, fetchedMessage("2", "alice", "old@isp.example", "u2"))
	put(t, m, fetchedMessage("3", "bob", "old@isp.example", "u3"), message("w", "4", "alice"))
	if got := list(t, m, Query{World: "w"}); got != "3:3 4:4" {
		t.Errorf("there are %q", got)
	}
	tests := []struct {
		world, account, source string
		uids                   []string
		want                   string
	}{
		{"w", "alice", "old@isp.example", []string{"u1", "u2", "u3", "", "u1"}, "u1 u2"},
		{"w", "bob", "old@isp.example", []string{"u1", "u3"}, "u3"},
		{"w", "alice", "new@isp.example", []string{"u1"}, ""},
		{"w", "alice", "old@isp.example", nil, ""},
		{"v", "alice", "old@isp.example", []string{"u1"}, ""},
	}
	for _, tt := range tests {
		got, err := m.Fetched(t.Context(), tt.world, tt.account, tt.source, tt.uids)
		if words := strings.Join(slices.Sorted(maps.Keys(got)), " "); err != nil || words != tt.want {
			t.Errorf("%+v: %q, %v", tt, words, err)
		}
	}
}

// What is not stored has not been fetched.
func TestFetchedOnlyWhenStored(t *testing.T) {
	t.Parallel()
	m := NewMemory(Limits{})
	put(t, m, message("w", "1", "alice"))
	if err := m.Put(t.Context(), fetchedMessage("2", "alice", "s", "u2"), message("w", "1", "alice")); err == nil {
		t.Fatal("a known id is stored again")
	}
	if got, err := m.Fetched(t.Context(), "w", "alice", "s", []string{"u2"}); err != nil || len(got) > 0 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestRowsAtOnce(t *testing.T) {
	t.Parallel()
	m := NewMemory(Limits{})
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for j := range 50 {
				id := strconv.Itoa(j)
				if err := m.PutOutgoing(t.Context(), Outgoing{World: "w", ID: id, Attempts: i}); err != nil {
					t.Error(err)
				}
				if err := m.PutAccess(t.Context(), Access{World: "w", ID: id}); err != nil {
					t.Error(err)
				}
				if list, err := m.Outgoing(t.Context(), "w"); err != nil || len(list) > 50 {
					t.Errorf("%d rows, %v", len(list), err)
				}
			}
		})
	}
	group.Wait()
	if n := len(strings.Fields(outgoingIDs(t, m, "w"))); n != 50 {
		t.Errorf("%d rows", n)
	}
}
