package quote

import (
	"slices"
	"strings"
	"testing"
)

func TestWordings(t *testing.T) {
	t.Parallel()
	list := Wordings()
	if len(list) != len(wordings) || len(list) > 128 {
		t.Fatalf("%d wordings", len(list))
	}
	fields := map[string]Field{}
	for i, w := range list {
		if w.Language == "" || strings.ToLower(w.Language) != w.Language || len(w.Prefixes) == 0 || (w.Line == "") != (w.Client == Outlook) || (w.Client == AppleMail) != w.Quoted {
			t.Errorf("%+v", w)
		}
		if len(w.Order) != len(outlookOrder) || slices.ContainsFunc(outlookOrder[:], func(f Field) bool { return !slices.Contains(w.Order, f) }) {
			t.Errorf("order %q of %s %s", w.Order, w.Client, w.Language)
		}
		for _, f := range w.Order {
			// A label of two fields would make the blocks ambiguous.
			name := strings.ToLower(strings.TrimSpace(w.Label(f)))
			if other, ok := fields[name]; name == "" || ok && other != f {
				t.Errorf("label %q of %s %s is %s and %s", name, w.Client, w.Language, f, other)
			}
			fields[name] = f
		}
		for _, p := range w.Prefixes {
			if got := prefixOf(p + " x"); got != prefixForward && got != prefixVS {
				t.Errorf("prefix %q is %v", p, got)
			}
		}
		for _, other := range list[:i] {
			if other.Client == w.Client && other.Language == w.Language {
				t.Errorf("%s %s is there twice", w.Client, w.Language)
			}
		}
		if got, ok := Find(w.Client, w.Language); !ok || got.Line != w.Line || got.From != w.From {
			t.Errorf("found %+v", got)
		}
	}
	list[0].Order[0], list[0].Prefixes[0] = "x", "x"
	if again := Wordings()[0]; again.Order[0] == "x" || again.Prefixes[0] == "x" {
		t.Error("the table was changed")
	}
	if _, ok := Find(Gmail, "x"); ok {
		t.Error("found what is not there")
	}
	if l := list[0].Label("x"); l != "" {
		t.Errorf("label %q", l)
	}
}

// TestRoundTrip writes each wording and finds it.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, w := range Wordings() {
		lines := []string{w.Line, ""}
		if w.Client == OutlookLive || w.Client == Outlook {
			lines = lines[:1]
		}
		for _, f := range w.Order {
			lines = append(lines, w.Label(f)+": some "+string(f))
		}
		mails := Text([]byte(strings.Join(lines, "\r\n")), about(w.Prefixes[0]+" x"))
		if len(mails) != 1 || mails[0].Enclosed.Client != w.family() || mails[0].Enclosed.From != "some from" || mails[0].Enclosed.Subject != "some subject" {
			t.Errorf("%s %s: %+v", w.Client, w.Language, mails)
		} else if l := mails[0].Enclosed.Language; l != w.Language && l != "" {
			t.Errorf("%s %s: language %q", w.Client, w.Language, l)
		}
	}
}
