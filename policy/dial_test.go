package policy_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
)

// TestDialValues holds what dials take that take more than a few words.
func TestDialValues(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		dial      string
		good, bad []string
	}{
		{"token.ttl", []string{"1s", "1h", "90m", "24h", "168h"}, []string{"", "0s", "-1h", "999ms", "1500ms", "169h", "1", "1s..168h", "1d"}},
		{"token.iat", []string{"0s", "0", "5s", "24h"}, []string{"", "-1s", "25h", "0s..24h"}},
		{"keys.rotate", []string{"off", "1m", "24h", "720h"}, []string{"on", "59s", "721h", "0s", "1m..720h"}},
		{"keys.max-age", []string{"1s", "5h30m"}, []string{"off", "0s", "1.5s"}},
		{"request.timeout", []string{"1ns", "50ms", "1500ms", "1h"}, []string{"", "0s", "-1s", "61m", "1ns..1h"}},
		{"markup.max-actions", []string{"1", "100"}, []string{"", "0", "101", "off", "1..100", "1s"}},
		{"markup.max-size", []string{"off", "1000", "104448"}, []string{"on", "999", "4194305", "102KB"}},
		{"request.source", []string{"auto", "127.0.0.2", "::1", "2001:db8::1"}, []string{"", "any", "0.0.0.0", "::", "224.0.0.1", "fe80::1%eth0", "ADDR", "127.0.0.1:80"}},
		{"retry.status", []string{"none", "409", "400,499"}, []string{"", "408", "429", "399", "500", "409,", "4xx", "STATUS,..."}},
	} {
		for _, value := range tt.good {
			if _, _, err := policy.ParseDial(tt.dial, value); err != nil {
				t.Errorf("%s=%s: %v", tt.dial, value, err)
			}
		}
		for _, value := range tt.bad {
			if _, _, err := policy.ParseDial(tt.dial, value); err == nil || !strings.HasPrefix(err.Error(), "dial "+tt.dial+" takes ") {
				t.Errorf("%s=%s: %v", tt.dial, value, err)
			}
		}
	}
	// It says why a status that looks good is none of its.
	const range400 = `dial retry.status takes none or STATUS,..., not "429": from 400 to 499, without 408, which is always retried, and 429, which retry.429 is for`
	if _, _, err := policy.ParseDial("retry.status", "429"); err == nil || err.Error() != range400 {
		t.Errorf("got %v", err)
	}
	if got := (policy.Dials{}).Statuses(policy.DialRetryStatus); got != nil {
		t.Errorf("none is %v", got)
	}
	if got := (policy.Dials{policy.DialRetryStatus: "403,409"}).Statuses(policy.DialRetryStatus); !slices.Equal(got, []int{403, 409}) {
		t.Errorf("statuses %v", got)
	}
	if got := (policy.Dials{}).Duration(policy.DialKeyRotation); got != 0 {
		t.Errorf("off is %v", got)
	}
}

// TestSetDials holds that dials are set one by one, that those that go together
// are, and that an error leaves all as it was.
func TestSetDials(t *testing.T) {
	t.Parallel()
	d := policy.Dials{}
	for _, tt := range []struct {
		name, value string
		other       string // Which the error names; empty if there is none.
	}{
		{"rsvp", "offered", ""},
		{"token.iat", "1h", "token.ttl"},
		{"token.ttl", "2h", ""},
		{"token.iat", "1h", ""},
		{"token.ttl", "1h", "token.iat"},
		{"token.ttl", "3601s", ""},
		{"keys.rotate", "5h", "keys.max-age"},
		{"keys.rotate", "5h30m", ""},
		{"keys.max-age", "331m", "keys.rotate"},
		{"keys.max-age", "1h", ""},
		{"keys.rotate", "off", ""},
		{"keys.max-age", "168h", ""},
	} {
		before := maps.Clone(d)
		set, err := d.Set(tt.name, tt.value)
		if !maps.Equal(d, before) {
			t.Fatalf("%s=%s changed %v to %v", tt.name, tt.value, before, d)
		}
		if tt.other != "" {
			if err == nil || set != nil || !strings.Contains(err.Error(), "dial "+tt.name+" cannot be "+tt.value+" while dial "+tt.other+" is ") {
				t.Errorf("%s=%s: %v", tt.name, tt.value, err)
			}
			continue
		}
		if err != nil || set.Get(policy.DialID(tt.name)) != tt.value || len(set) > len(d)+1 {
			t.Fatalf("%s=%s: %v, %v", tt.name, tt.value, set, err)
		}
		d = set
	}
	if _, err := d.Set("rsvp", "perhaps"); err == nil {
		t.Error("a value that the dial does not take was set")
	}
	if _, err := d.Set("rspv", "offered"); !errors.As(err, new(policy.UnknownDialError)) {
		t.Errorf("an unknown dial: %v", err)
	}
}

func TestSuggestedDial(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"token.tll": `; did you mean "token.ttl"?`,
		"aud":       `; did you mean "token.aud"?`,
		"reuse":     `; did you mean "token.reuse"?`,
		"ttl":       `; did you mean "token.ttl"?`,
		"tokenaud":  `; did you mean "token.aud"?`,
		"xyzzy":     "; known are profile, ",
		"":          "; known are profile, ",
	} {
		if got := (policy.UnknownDialError{Name: name}).Suggestion(); !strings.HasPrefix(got, want) {
			t.Errorf("%q%s, want %s", name, got, want)
		}
	}
}

// TestDialsAreDocumented holds that each has one sentence, a source that it
// names, and a default that is one of its values.
func TestDialsAreDocumented(t *testing.T) {
	t.Parallel()
	seen := map[policy.DialID]bool{}
	for _, d := range policy.AllDials() {
		if seen[d.ID] {
			t.Errorf("dial %s stands twice", d.ID)
		}
		seen[d.ID] = true
		if !strings.HasSuffix(d.Doc, ".") || strings.Contains(d.Doc, "\n") || d.Source == "" || len(d.Values) == 0 {
			t.Errorf("dial %s lacks its sentence, source or values", d.ID)
		}
	}
}
