package main

import "testing"

func TestBareToken(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"aa.bb.cc", " aa.bb.cc\n", "Bearer aa.bb.cc", "bearer  aa.bb.cc", "Authorization: Bearer aa.bb.cc\r\n", "\"aa.bb.cc\"",
		"'Bearer aa.bb.cc'", "\ufeffaa.bb.cc", "aa.b\n b.\r\ncc\n",
		"Authorization: Bearer \"aa.bb.cc\"", "Authorization: \"Bearer aa.bb.cc\"", "'Authorization: Bearer aa.bb.cc'", "Bearer 'aa.bb.cc'\n",
		"{\n  \"token\": \"aa.bb.cc\",\n  \"header\": {}\n}\n",
	} {
		if got := bare(text); got != "aa.bb.cc" {
			t.Errorf("%q is read as %q", text, got)
		}
	}
	for text, want := range map[string]string{"": "", "Bearer": "Bearer", "aa bb": "aa bb", "a:b": "a:b", `{"token": 1}`: `{"token": 1}`, `{"payload": "aa"}`: `{"payload": "aa"}`} {
		if got := bare(text); got != want {
			t.Errorf("%q is read as %q, want %q", text, got, want)
		}
	}
}
