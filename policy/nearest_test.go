package policy_test

import (
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
)

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"dns", "deliver", "dial", "ConfirmAction"}
	tests := []struct{ word, want string }{
		{"delver", "deliver"},
		{"DELIVER", "deliver"},
		{"dsn", "dns"},
		{"dia", "dial"},
		{"confirm-action", "ConfirmAction"},
		{"", ""},
		{"x", ""},
		{"revilde", ""},
		{strings.Repeat("d", 100), ""},
	}
	for _, tt := range tests {
		if got, ok := policy.Nearest(tt.word, known); got != tt.want || ok != (tt.want != "") {
			t.Errorf("Nearest(%q) = %q, %v, want %q", tt.word, got, ok, tt.want)
		}
	}
}
