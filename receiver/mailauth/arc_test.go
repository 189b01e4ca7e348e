package mailauth

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
)

// sealer seals as any domain, with one key.
type sealer struct {
	key    *rsa.PrivateKey
	record string
}

func newSealer(t testing.TB) sealer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, minKeyBits)
	if err != nil {
		t.Fatal(err)
	}
	record, err := KeyRecord(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return sealer{key, record}
}

// options are those of a hop, whose domain publishes its key in a zone.
func (s sealer) options(dns texts, hop int, chain policy.ARC) SealOptions {
	o := SealOptions{
		Domain:   fmt.Sprintf("hop%d.example", hop),
		Selector: "arc",
		Key:      s.key,
		Time:     time.Unix(1_700_000_000+int64(hop), 0),
		Chain:    chain,
		Results:  fmt.Sprintf("mx.hop%d.example;\r\n       spf=pass smtp.mailfrom=noreply@shop.example", hop),
	}
	dns["arc._domainkey."+o.Domain] = []string{s.record}
	return o
}

// seal puts the next set before a message, which must be possible.
func seal(t testing.TB, raw []byte, o SealOptions) []byte {
	t.Helper()
	fields, err := Seal(message.Parse(raw), o)
	if err != nil {
		t.Fatal(err)
	}
	if fields == nil {
		t.Fatalf("not sealed: %+v", o.Chain)
	}
	return append(fields, raw...)
}

// chainOf seals a message at each of some hops, without looking at it.
func chainOf(t testing.TB, s sealer, dns texts, hops int) []byte {
	t.Helper()
	raw := []byte(plain)
	chain := policy.ARC{Result: policy.AuthNone}
	for hop := range hops {
		raw = seal(t, raw, s.options(dns, hop+1, chain))
		chain = policy.ARC{Result: policy.AuthPass, Sets: make([]policy.ARCSet, hop+1)}
	}
	return raw
}

// arcOf validates the chain of a message.
func arcOf(v *Verifier, raw []byte) policy.ARC {
	return v.validateARC(context.Background(), v.Resolver, message.Parse(raw))
}

// checkARC checks what is true of every result.
func checkARC(t *testing.T, a policy.ARC, found bool) {
	t.Helper()
	switch {
	case (a.Result == policy.AuthNone) == found:
		t.Errorf("%s, and ARC fields: %v", a.Result, found)
	case a.Result != policy.AuthNone && a.Result != policy.AuthPass && a.Result != policy.AuthFail:
		t.Errorf("result %q", a.Result)
	case (a.Result == policy.AuthFail) != (a.Reason != "") || (a.Reason == "") != (a.Problem == ""):
		t.Errorf("%s with reason %q and problem %q", a.Result, a.Reason, a.Problem)
	case a.OldestPass != 0 && (a.Result != policy.AuthPass || a.OldestPass < 2 || a.OldestPass > len(a.Sets)):
		t.Errorf("oldest pass %d of %d sets: %s", a.OldestPass, len(a.Sets), a.Result)
	}
	for i, s := range a.Sets {
		if s.Instance < 1 || s.Instance > maxARCSets || i > 0 && s.Instance <= a.Sets[i-1].Instance {
			t.Errorf("set %d has instance %d", i, s.Instance)
		}
		if a.Result == policy.AuthPass && (s.Instance != i+1 || s.Domain == "" || s.CV != "pass" && s.Instance > 1) {
			t.Errorf("a chain that passes has %+v", s)
		}
	}
}

func TestARCRoundTrip(t *testing.T) {
	t.Parallel()
	s, dns := newSealer(t), texts{}
	v := &Verifier{Resolver: dns, Now: at(1_700_000_100)}
	raw := []byte(plain)
	for hop := 1; hop <= 3; hop++ {
		before := arcOf(v, raw)
		checkARC(t, before, hop > 1)
		raw = seal(t, append([]byte("Received: by mx.example; now\r\n"), raw...), s.options(dns, hop, before))
		got := arcOf(v, raw)
		checkARC(t, got, true)
		if got.Result != policy.AuthPass || len(got.Sets) != hop || got.OldestPass != 0 {
			t.Fatalf("hop %d: %+v", hop, got)
		}
		want := policy.ARCSet{
			Instance: hop, Domain: fmt.Sprintf("hop%d.example", hop), Selector: "arc", CV: string(before.Result),
			Results: fmt.Sprintf("mx.hop%d.example;       spf=pass smtp.mailfrom=noreply@shop.example", hop),
		}
		if got.Sets[hop-1] != want {
			t.Errorf("got %+v, want %+v", got.Sets[hop-1], want)
		}
	}
	if got := v.Authenticate(t.Context(), policy.Arrival{}, message.Parse(raw)); got.ARC.Result != policy.AuthPass {
		t.Errorf("got %+v", got.ARC)
	}
}

// replaced replaces the first of something that is there.
func replaced(t testing.TB, raw []byte, old, new string) []byte {
	t.Helper()
	if !bytes.Contains(raw, []byte(old)) {
		t.Fatalf("%q is not in %s", old, raw)
	}
	return bytes.Replace(raw, []byte(old), []byte(new), 1)
}

// withoutFields takes away each field that starts so.
func withoutFields(raw []byte, starts ...string) []byte {
	m := message.Parse(raw)
	var out []byte
	for _, f := range m.Fields {
		keep := true
		for _, start := range starts {
			keep = keep && !bytes.HasPrefix(f.Raw, []byte(start))
		}
		if keep {
			out = append(out, f.Raw...)
		}
	}
	return append(append(out, "\r\n"...), m.Body...)
}

// setOf returns the names of a set's fields with the instance, as they start.
func setOf(instance int) []string {
	var list []string
	for _, name := range arcNames {
		list = append(list, fmt.Sprintf("%s: i=%d;", name, instance))
	}
	return list
}

func TestARCTampering(t *testing.T) {
	t.Parallel()
	s, dns := newSealer(t), texts{}
	sealed := chainOf(t, s, dns, 3)
	m := message.Parse(sealed)
	var reordered []byte
	for i := 8; i >= 0; i-- { // The newest set is at the bottom now, and each is upside down.
		reordered = append(reordered, m.Fields[i].Raw...)
	}
	reordered = append(reordered, plain...)
	for name, tt := range map[string]struct {
		raw  []byte
		want string // Result, reason or oldest pass, and the field that is blamed.
	}{
		"nothing":            {sealed, "pass 0 "},
		"another order":      {reordered, "pass 0 "},
		"a field on top":     {append([]byte("X-Spam: no\r\n"), sealed...), "pass 0 "},
		"older results":      {replaced(t, sealed, "i=1; mx.hop1.example", "i=1; mx.evil.example"), "fail seal ARC-Seal of instance 3"},
		"newest results":     {replaced(t, sealed, "i=3; mx.hop3.example", "i=3; mx.evil.example"), "fail seal ARC-Seal of instance 3"},
		"older status":       {replaced(t, sealed, "i=2; a=rsa-sha256; t=1700000002; cv=pass", "i=2; a=rsa-sha256; t=1700000002; cv=none"), "fail chain-status the seal of instance 2"},
		"first status":       {replaced(t, sealed, "cv=none", "cv=pass"), "fail chain-status the seal of instance 1"},
		"older status fail":  {replaced(t, sealed, "cv=none", "cv=fail"), "fail chain-status the seal of instance 1"},
		"newest status fail": {replaced(t, sealed, "cv=pass", "cv=fail"), "fail chain-failed the seal of instance 3"},
		"time of a seal":     {replaced(t, sealed, "t=1700000001", "t=1700000009"), "fail seal ARC-Seal of instance 3"},
		"seal with h=":       {replaced(t, sealed, "t=1700000001;", "t=1700000001; h=from;"), "fail seal ARC-Seal of instance 3"},
		"body":               {replaced(t, sealed, "Hello,", "Hullo,"), "fail body-hash ARC-Message-Signature of instance 3"},
		"header":             {replaced(t, sealed, "Your", "My"), "fail signature ARC-Message-Signature of instance 3"},
		"weak algorithm":     {replaced(t, sealed, "i=3; a=rsa-sha256; c", "i=3; a=rsa-sha1; c"), "fail algorithm-weak ARC-Message-Signature of instance 3"},
		"seal is covered":    {replaced(t, sealed, "h=subject:", "h=arc-seal:subject:"), "fail seal-signed ARC-Message-Signature of instance 3"},
		"newest set gone":    {withoutFields(sealed, setOf(3)...), "pass 0 "},
		"middle set gone":    {withoutFields(sealed, setOf(2)...), "fail chain-structure ARC-Authentication-Results of instance 2 is missing"},
		"first set gone":     {withoutFields(sealed, setOf(1)...), "fail chain-structure ARC-Authentication-Results of instance 1 is missing"},
		"seals alone":        {withoutFields(sealed, "ARC-A", "ARC-M"), "fail chain-structure ARC-Authentication-Results of instance 1 is missing"},
		"a seal twice":       {append(bytes.Clone(m.Fields[0].Raw), sealed...), "fail chain-structure ARC-Seal of instance 3 stands twice"},
		"no instance":        {replaced(t, sealed, "i=2; mx", "mx"), "fail chain-structure ARC-Authentication-Results has no instance"},
		"instance 0":         {replaced(t, sealed, "i=2; mx", "i=0; mx"), "fail chain-structure ARC-Authentication-Results has no instance"},
		"instance 51":        {replaced(t, sealed, "i=3; a", "i=51; a"), "fail chain-length ARC-Seal has instance 51"},
		"no tags":            {replaced(t, sealed, "i=3; a", "i=3;; a"), "fail signature-syntax ARC-Seal: an empty tag"},
	} {
		v := &Verifier{Resolver: dns, Now: at(1_700_000_100)}
		got := arcOf(v, tt.raw)
		checkARC(t, got, true)
		result, problem, _ := strings.Cut(tt.want, " ")
		detail, problem, _ := strings.Cut(problem, " ")
		if string(got.Result) != result || detail != string(got.Reason) && detail != fmt.Sprint(got.OldestPass) || !strings.HasPrefix(got.Problem, problem) {
			t.Errorf("%s: got %s %s %d %s, want %s", name, got.Result, got.Reason, got.OldestPass, got.Problem, tt.want)
		}
	}
}

// TestARCOldestPass has hops that change the message before they seal it.
func TestARCOldestPass(t *testing.T) {
	t.Parallel()
	s, dns := newSealer(t), texts{}
	v := &Verifier{Resolver: dns, Now: at(1_700_000_100)}
	raw := []byte(plain)
	for hop, want := range []int{0, 0, 3, 3, 5} {
		chain := arcOf(v, raw)
		if hop == 2 || hop == 4 {
			raw = append(raw, "-- \r\nlist\r\n"...)
		}
		raw = seal(t, raw, s.options(dns, hop+1, chain))
		if got := arcOf(v, raw); got.Result != policy.AuthPass || got.OldestPass != want {
			t.Errorf("hop %d: %s, oldest pass %d, want %d", hop+1, got.Result, got.OldestPass, want)
		}
	}
}

func TestARCKeys(t *testing.T) {
	t.Parallel()
	s, dns := newSealer(t), texts{}
	sealed := chainOf(t, s, dns, 2)
	for record, want := range map[string]policy.Reason{
		s.record:           "",
		s.record + "; t=s": "",
		"NXDOMAIN":         ReasonNoKey,
		"TEMPERROR":        ReasonDNS,
		"PERMERROR":        ReasonDNS,
		"v=DKIM1; p=":      ReasonKeyRevoked,
		testKeyRecord:      ReasonKeyUnusable,
	} {
		// The first hop's key is that of a seal which is looked at late.
		v := &Verifier{Resolver: texts{"arc._domainkey.hop2.example": {s.record}, "arc._domainkey.hop1.example": {record}}, Now: at(0)}
		got := arcOf(v, sealed)
		checkARC(t, got, true)
		if got.Reason != want || want != "" && !strings.HasPrefix(got.Problem, "ARC-Seal of instance 1: ") {
			t.Errorf("%q: got %s (%s), want %s", record, got.Reason, got.Problem, want)
		}
	}
}

func TestARCLength(t *testing.T) {
	t.Parallel()
	s, dns := newSealer(t), texts{}
	v := &Verifier{Resolver: dns, Now: at(1_700_000_100), Keys: NewKeyCache()}
	sealed := chainOf(t, s, dns, maxARCSets)
	got := v.Authenticate(t.Context(), policy.Arrival{}, message.Parse(sealed)).ARC
	if got.Result != policy.AuthPass || len(got.Sets) != maxARCSets {
		t.Fatalf("got %s (%s)", got.Result, got.Problem)
	}
	if fields, err := Seal(message.Parse(sealed), s.options(dns, 51, got)); fields != nil || err != nil {
		t.Errorf("sealed once more: %s, %v", fields, err)
	}
	got = arcOf(v, append([]byte("ARC-Seal: i=1; cv=none; a=rsa-sha256; d=a.example; s=b; b=AAAA\r\n"), sealed...))
	checkARC(t, got, true)
	if got.Result != policy.AuthFail {
		t.Errorf("got %+v", got)
	}
	// Only those of fifty sets are read, and the newest at the bottom is not.
	junk := strings.Repeat("ARC-Seal: i=1\r\n", maxARCFields)
	if got := arcOf(v, append([]byte(junk), sealed...)); got.Reason != ReasonChainStructure || len(got.Sets) != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestCutInstance(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		" i=1; mx.example; spf=pass\r\n":          "1|mx.example; spf=pass",
		" i = 50 ;\r\n\tmx.example;\r\n none\r\n": "50|mx.example; none",
		"(a \\) (b)) i (c) = (d) 7 (e) ; mx\r\n":  "7|mx",
		" i=1;\r\n":                               "1|",
		" i=a; mx":                                "|",
		" i=1 mx; none":                           "|",
		" I=1; mx":                                "|",
		" mx.example; i=1":                        "|",
		" (i=1; mx":                               "|",
		"":                                        "|",
	} {
		instance, rest := cutInstance(message.Field{Value: value}.Unfolded())
		if got := instance + "|" + rest; got != want {
			t.Errorf("%.40q: got %.40q, want %q", value, got, want)
		}
	}
}
