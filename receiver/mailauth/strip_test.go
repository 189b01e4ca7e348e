package mailauth

import (
	"bytes"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy/message"
)

func TestStripOwn(t *testing.T) {
	t.Parallel()
	const name = "Authentication-Results:"
	for _, tt := range []struct {
		value string
		own   bool
	}{
		{" mx.gmail.test; spf=pass", true},
		{" MX.Gmail.TEST. 1; none", true},
		{" (comment)\r\n\t\"mx.gmail.test\"; none", true},
		{"\r\n mx.gmail.test\r\n ;none", true},
		{" mx.gmail.test; spf=pass (no end", true},
		{" mx.gmail.test", true},
		{" \"mx.\\gmail.test\" x; none", true},
		{" \"mx.gmail.test", true},
		{" mx.gmail.test/1; none", true},
		{" evil.example mx.gmail.test; none", true},
		{" mx.gma\r\n il.test; none", true},
		{" i=1; mx.gmail.test; none", true},
		{" evil.example 2; none", true},
		{" evil.example; spf=pass (mx.gmail.test)", false},
		{" gmail.test; none", false},
		{" evil.mx.gmail.test; none", false},
		{" (mx.gmail.test) evil.example; none", false},
		{" evil.example x; none", false},
		{"", false},
	} {
		field := name + tt.value + "\r\n"
		raw := "From: a@b.example\r\n" + field + "ARC-Authentication-Results: i=1; mx.gmail.test; none\r\n\r\n" + field
		m := message.Parse([]byte(raw))
		kept, n := StripOwn(m, "mx.gmail.test")
		if !tt.own {
			if n != 0 || &kept[0] != &m.Raw[0] {
				t.Errorf("%q: %d removed", tt.value, n)
			}
			continue
		}
		if want := strings.Replace(raw, field, "", 1); n != 1 || string(kept) != want {
			t.Errorf("%q: %d removed, kept %q", tt.value, n, kept)
		}
	}
}

// TestStripOwnBehindCR has a field of ours in another one, for readers to whom a
// bare CR ends a line.
func TestStripOwnBehindCR(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"X-A: b\rAuthentication-Results: mx.gmail.test; spf=pass\r\nFrom: a\r\n\r\n": "From: a\r\n\r\n",
		"X-A: b\r authentication-results : mx.gmail.test; spf=pass\r\n\r\n":          "\r\n",
		"X-A: b\rAuthentication-Results: other.example; spf=pass\r\n\r\n":            "X-A: b\rAuthentication-Results: other.example; spf=pass\r\n\r\n",
		"X-A: b\rc\r\n\r\n": "X-A: b\rc\r\n\r\n",
		// Folded behind it, torn apart by it, and in lines that are no field.
		"X: a\rAuthentication-Results:\r\n mx.gmail.test; spf=pass\r\n\r\n":        "\r\n",
		"X: a\rAuthentication-Results: \r mx.gmail.test; spf=pass\r\n\r\n":         "\r\n",
		"X: a\rAuthentication-Results: (\r ) mx.gmail.test; spf=pass\r\n\r\n":      "\r\n",
		"X: a\r\nY: z\r\n: x\rAuthentication-Results: mx.gmail.test; none\r\n\r\n": "X: a\r\nY: z\r\n\r\n",
		"From x\rAuthentication-Results: mx.gmail.test; none\r\nFrom: a\r\n\r\nb":  "From: a\r\n\r\nb",
	} {
		if kept, _ := StripOwn(message.Parse([]byte(raw)), "mx.gmail.test"); string(kept) != want {
			t.Errorf("%q: kept %q", raw, kept)
		}
	}
}

func TestStripOwnInternational(t *testing.T) {
	t.Parallel()
	for _, own := range []string{"mx.bücher.example", "mx.xn--bcher-kva.example"} {
		for _, id := range []string{"mx.bücher.example", "MX.BÜCHER.example", "mx.xn--bcher-kva.example", "\"mx.bücher.example", "mx.XN--bcher-kva.example/1"} {
			m := message.Parse([]byte("authentication-results : " + id + "; none\n\nbody"))
			if kept, n := StripOwn(m, own); n != 1 || string(kept) != "\nbody" {
				t.Errorf("%s, %s: %d removed, kept %q", own, id, n, kept)
			}
		}
	}
}

// TestStripOwnSeveral has fields among header lines that are none, and beyond
// those that are read.
func TestStripOwnSeveral(t *testing.T) {
	t.Parallel()
	const own = "Authentication-Results: mx.gmail.test; none\r\n"
	other := strings.Repeat("X: y\r\n", 9_999)
	kept := "From mbox\r\n" + other + "no field\r\n" + other + "no field\r\n" + "Y: z\r\n\r\nbody"
	raw := own + "From mbox\r\n" + own + other + "no field\r\n" + own + other + "no field\r\n" + own + "Y: z\r\n" + own + "\r\nbody"
	got, n := StripOwn(message.Parse([]byte(raw)), "mx.gmail.test")
	if n != 5 || string(got) != kept {
		t.Errorf("%d removed, %d octets kept, want %d", n, len(got), len(kept))
	}
}

func FuzzStripOwn(f *testing.F) {
	f.Add([]byte("Authentication-Results: mx.gmail.test; none\r\nFrom: a\r\n\r\nbody"))
	f.Add([]byte(" x\nAuthentication-Results:\"mx\\.gmail.test\n\tAuthentication-Results: mx.gmail.test\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := message.Parse(raw)
		kept, n := StripOwn(m, "mx.gmail.test")
		again := message.Parse(kept)
		if twice, more := StripOwn(again, "mx.gmail.test"); more != 0 || !bytes.Equal(twice, kept) {
			t.Errorf("%d left of %d in %q", more, n, raw)
		}
		if len(m.Fields) > 0 && n < len(m.Fields) && len(again.Fields) != len(m.Fields)-n {
			t.Errorf("%d of %d fields removed, %d left in %q", n, len(m.Fields), len(again.Fields), raw)
		}
		if !bytes.HasSuffix(raw, again.Body) && len(again.Fields) > 0 {
			t.Errorf("another body in %q", raw)
		}
	})
}
