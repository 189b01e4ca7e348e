package probe

import (
	"bytes"
	"io"
	"net/http/httputil"
	"strconv"
	"strings"
	"testing"
)

// TestFramingIsSafe holds what is said of framings: where the length can be read
// in two ways both end with the request, and what is left over begins none.
func TestFramingIsSafe(t *testing.T) {
	t.Parallel()
	for _, p := range Catalogue() {
		if p.Change.Framing == "" {
			continue
		}
		body, fields, _ := framed("POST", "confirmed=Approved", p.Change)
		length, chunked := -1, false
		for _, f := range fields {
			switch strings.TrimSpace(f.Name) {
			case "Content-Length":
				first, _, _ := strings.Cut(f.Value, ",")
				n, err := strconv.Atoi(first)
				if err != nil {
					t.Errorf("%s: %v", p.ID, err)
				}
				length = n
			case "Transfer-Encoding":
				chunked = true
			}
		}
		if chunked {
			if length >= 0 && length != len(body) {
				t.Errorf("%s: by Content-Length %d octets of %d are read", p.ID, length, len(body))
			}
			rest := bytes.NewReader([]byte(strings.TrimPrefix(body, "0x")))
			whole, err := io.ReadAll(httputil.NewChunkedReader(rest))
			left, _ := io.ReadAll(rest)
			if err != nil || string(whole) != "confirmed=Approved" || strings.Trim(string(left), "\r\n") != "" {
				t.Errorf("%s: by chunks %q is read (%v) and %q left", p.ID, whole, err, left)
			}
			continue
		}
		left := body[min(max(length, 0), len(body)):]
		if strings.ContainsAny(left, " \r\n") {
			t.Errorf("%s: %q is left, and may be the beginning of a request", p.ID, left)
		}
	}
}

// TestWriteCatalogue holds that each probe has its place, and says what it
// differs in.
func TestWriteCatalogue(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := WriteCatalogue(&out); err != nil {
		t.Fatal(err)
	}
	changes := map[string]string{}
	for _, p := range Catalogue() {
		if !strings.Contains(out.String(), "  "+p.ID+" ") {
			t.Errorf("%s is missing", p.ID)
		}
		change := p.Change.String()
		if other := changes[change]; other != "" {
			t.Errorf("%s and %s are both: %s", p.ID, other, change)
		}
		changes[change] = p.ID
	}
	for line := range strings.Lines(out.String()) {
		if len(line) > 102 {
			t.Errorf("a line of %d characters: %s", len(line), line)
		}
	}
}
