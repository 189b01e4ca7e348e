package pattern

import (
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
)

func TestDecodeEnvelope(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		mailFrom string
		want     rewritten
	}{
		{"SRS0=HHH=TT=shop.example=bounce@fwd.example", rewritten{policy.ForwardSRS, "bounce@shop.example", ""}},
		{"srs0+HHH=TT=shop.example=bounce=x@fwd.example", rewritten{policy.ForwardSRS, "bounce=x@shop.example", ""}},
		{"SRS0-HHH=TT=shop.example=bounce@fwd.example", rewritten{policy.ForwardSRS, "bounce@shop.example", ""}},
		{"SRS1=HHH=fwd1.example==HHH=TT=shop.example=bounce@fwd2.example", rewritten{policy.ForwardSRS, "bounce@shop.example", ""}},
		{"SRS1=HHH=fwd1.example=+HHH=TT=shop.example=bounce@fwd2.example", rewritten{policy.ForwardSRS, "bounce@shop.example", ""}},
		{"user+SRS=h=tt=shop.example=bounce@acme.test", rewritten{policy.ForwardSRS, "bounce@shop.example", ""}},
		{"user+caf_=alice=gmail.test@acme.test", rewritten{policy.ForwardCAF, "user@acme.test", "alice@gmail.test"}},
		{`"u+x+caf_=al=ice=gmail.test"@acme.test`, rewritten{policy.ForwardCAF, "u+x@acme.test", "al=ice@gmail.test"}},
		{"", rewritten{}},
		{"plain@shop.example", rewritten{}},
		{"prvs=0123abcdef=user@example.com", rewritten{}},
		{"bounces+123-abcd-user=example.com@sender.example", rewritten{}},
		{"SRS0=HHH=TT=nodomain=bounce@fwd.example", rewritten{}},
		{"SRS0=HHH=TT=shop.example=@fwd.example", rewritten{}},
		{"SRS0=HHH@fwd.example", rewritten{}},
		{"SRS1=HHH=fwd1.example=HHH=TT=shop.example=bounce@fwd2.example", rewritten{}},
		{"+caf_=alice=gmail.test@acme.test", rewritten{}},
		{"user+caf_=alice@acme.test", rewritten{}},
	} {
		got, ok := decodeEnvelope(tt.mailFrom)
		if got != tt.want || ok != (tt.want != rewritten{}) {
			t.Errorf("%q: got %+v, %t", tt.mailFrom, got, ok)
		}
	}
}

// FuzzDecodeEnvelope holds that what is decoded is of the envelope's own text.
func FuzzDecodeEnvelope(f *testing.F) {
	f.Add("SRS0=HHH=TT=shop.example=bounce@fwd.example")
	f.Add("SRS1=HHH=fwd1.example==HHH=TT=shop.example=bounce@fwd2.example")
	f.Add("user+caf_=alice=gmail.test@acme.test")
	f.Add("\u0130+CAF_=a=b@c")
	f.Fuzz(func(t *testing.T, mailFrom string) {
		got, ok := decodeEnvelope(mailFrom)
		if !ok {
			return
		}
		for _, part := range []string{got.original, got.target} {
			local, domain, _ := strings.Cut(part, "@")
			if !strings.Contains(mailFrom, local) || !strings.Contains(mailFrom, domain[strings.LastIndexByte(domain, '@')+1:]) {
				t.Errorf("%q: %+v", mailFrom, got)
			}
		}
		if (got.style == policy.ForwardCAF) != (got.target != "") {
			t.Errorf("%q: %+v", mailFrom, got)
		}
	})
}

func TestReceivedFor(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"from a (a [192.0.2.1]) by b with ESMTP id 1 for <user@acme.test>; Thu, 15 Jan": "user@acme.test",
		"from a by b for user@acme.test ; x":                                            "user@acme.test",
		"from for by b; x":                                                              "",
		"(qmail 1 invoked for bounce); x":                                               "",
		"from a by b for <x>; for <late@acme.test>":                                     "",
		"for": "",
	} {
		if got := receivedFor(value); got != want {
			t.Errorf("%q: got %q, want %q", value, got, want)
		}
	}
}
