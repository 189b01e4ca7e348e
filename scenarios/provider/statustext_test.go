package provider

import (
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/dispatcher"
)

// What a service writes is shown escaped, and not more than a line of it.
func TestStatusText(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		location    string
		unsubscribe bool
		want        string
	}{
		{"/\x1b[2J\u202e\"", false, `the redirect to "/\x1b[2J\u202e\"" is not followed (dial request.redirect)`},
		{"/a", true, `the redirect to "/a" is not followed (RFC 8058 3.1)`},
		{strings.Repeat("a", 5000), true, `the redirect to "` + strings.Repeat("a", maxLocation) + `..." is not followed (RFC 8058 3.1)`},
	} {
		a := dispatcher.Attempt{Status: 302, N: 1, Header: []dispatcher.Field{{Name: "location", Value: tt.location}}}
		if got := statusText(a, tt.unsubscribe); got != tt.want {
			t.Errorf("got %s", got)
		}
	}
}
