package policy

import (
	"testing"
	"time"
)

func TestRegistryLookup(t *testing.T) {
	t.Parallel()
	day := func(d int) time.Time { return time.Date(2026, 1, d, 0, 0, 0, 0, time.UTC) }
	shop := Address{Addr: "NoReply@shop.example", Domain: "shop.example"}
	confirm := []string{"ConfirmAction"}
	tests := []struct {
		name string
		reg  Registry
		from Address
		at   time.Time
		want Reason
		num  int // Which registration is the answer; -1 is none.
	}{
		{"nothing registered", nil, shop, day(10), "unregistered", -1},
		{"address, without case", Registry{{From: "noreply@Shop.Example"}}, shop, day(10), "registered", 0},
		{"domain", Registry{{From: "shop.example"}}, shop, day(10), "registered", 0},
		{"domain with trailing dot", Registry{{From: "shop.example."}}, shop, day(10), "registered", 0},
		{"another address", Registry{{From: "other@shop.example"}}, shop, day(10), "unregistered", -1},
		{"a subdomain is not covered", Registry{{From: "example"}, {From: "mail.shop.example"}}, shop, day(10), "unregistered", -1},
		{"empty From covers nothing", Registry{{}, {From: "noreply@"}}, Address{Addr: "noreply@"}, day(10), "unregistered", -1},
		{"no address", Registry{{From: "shop.example"}}, Address{Domain: "shop.example"}, day(10), "unregistered", -1},
		{
			"U-label registered, A-label in mail", Registry{{From: "bücher.example"}},
			Address{Addr: "a@bücher.example", Domain: "xn--bcher-kva.example"}, day(10), "registered", 0,
		},
		{
			"quoted local part with an at sign", Registry{{From: `"a@b"@shop.example`}},
			Address{Addr: `"A@b"@shop.example`, Domain: "shop.example"}, day(10), "registered", 0,
		},
		{"valid at since", Registry{{From: "shop.example", Since: day(10)}}, shop, day(10), "registered", 0},
		{"not before since", Registry{{From: "shop.example", Since: day(10)}}, shop, day(10).Add(-1), "registration-not-started", 0},
		{"valid just before until", Registry{{From: "shop.example", Until: day(10)}}, shop, day(10).Add(-1), "registered", 0},
		{"not at until", Registry{{From: "shop.example", Until: day(10)}}, shop, day(10), "registration-expired", 0},
		{"other type", Registry{{From: "shop.example", Actions: []string{"SaveAction"}}}, shop, day(10), "action-type-unregistered", 0},
		{"type is exact", Registry{{From: "shop.example", Actions: []string{"confirmaction"}}}, shop, day(10), "action-type-unregistered", 0},
		{"other type, and expired", Registry{{From: "shop.example", Actions: []string{"SaveAction"}, Until: day(1)}}, shop, day(10), "action-type-unregistered", 0},
		{
			"best wins: valid domain over expired address",
			Registry{{From: "noreply@shop.example", Until: day(1)}, {From: "shop.example"}}, shop, day(10), "registered", 1,
		},
		{
			"best wins: not started over expired over other type",
			Registry{
				{From: "shop.example", Actions: []string{"SaveAction"}}, {From: "shop.example", Until: day(1)},
				{From: "shop.example", Since: day(20)},
			}, shop, day(10), "registration-not-started", 2,
		},
		{
			"expired over other type",
			Registry{{From: "noreply@shop.example", Actions: []string{"SaveAction"}}, {From: "shop.example", Actions: confirm, Until: day(1)}},
			shop, day(10), "registration-expired", 1,
		},
		{"address over domain", Registry{{From: "shop.example"}, {From: "noreply@shop.example", Bearer: true}}, shop, day(10), "registered", 1},
		{"first of equals", Registry{{From: "shop.example", Bearer: true}, {From: "shop.example"}}, shop, day(10), "registered", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, reason := tt.reg.Lookup(tt.from, "ConfirmAction", tt.at)
			if reason != tt.want {
				t.Errorf("reason %q, want %q", reason, tt.want)
			}
			var want Registration
			if tt.num >= 0 {
				want = tt.reg[tt.num]
			}
			if got.From != want.From || got.Bearer != want.Bearer || !got.Since.Equal(want.Since) || !got.Until.Equal(want.Until) {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}
